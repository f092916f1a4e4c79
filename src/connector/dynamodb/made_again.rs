//! Is the table still the one that the run has written into?
//!
//! A table that is deleted and made again is empty, and what the run had written before comes back
//! only when it is written again. The number of a run is the server's time at which it began, and a
//! table knows when it was made: so nothing has to be kept to see that the table is the younger.
//! Used by `sink`, when it looks at the table first and every minute. What always holds: it is said
//! once in the log, and stays a cause for `/health` to be red unless the user has agreed to go on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::api::{Described, TableKey};
use crate::connector::environment::OnGap;

/// How much later than a run its table may have been made, ms: the number of a run goes by a clock
/// that is right to some seconds, and a script may have made the table just before.
const GRAIN_MS: i64 = 5000;

/// What is known of the table since the run began.
pub(super) struct MadeAgain {
    table: String,
    run_ms: i64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    on_gap: OnGap,
    /// When the table was made, if that was after the run began.
    made_ms: Option<i64>,
    /// The key that it has by now, if that is another one.
    other_key: Option<TableKey>,
}

impl MadeAgain {
    pub fn new(table: &str, run_ms: i64) -> Arc<MadeAgain> {
        Arc::new(MadeAgain { table: table.into(), run_ms, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the user has agreed to.
    pub fn agree(&self, on_gap: OnGap) {
        self.state().on_gap = on_gap;
    }

    /// Takes a look at a table whose key has to be this one.
    pub fn look(&self, found: &Described, key: &TableKey) {
        let is_later = |made_ms: &i64| *made_ms > self.run_ms.saturating_add(GRAIN_MS);
        let made_ms = found.made_ms.filter(is_later);
        let mut state = self.state();
        if made_ms > state.made_ms {
            tracing::warn!("{}", self.in_words(made_ms.unwrap_or_default()));
            state.made_ms = made_ms;
        }
        state.other_key = (found.key != *key).then(|| found.key.clone());
    }

    /// The key of the table, if it is not what it was any more.
    pub fn other_key(&self) -> Option<TableKey> {
        self.state().other_key.clone()
    }

    /// What somebody has to know, if the table is not the one that the run began with.
    pub fn missing(&self) -> Option<String> {
        let state = self.state();
        let made_ms = state.made_ms.filter(|_| state.on_gap == OnGap::Refuse)?;
        Some(self.in_words(made_ms))
    }

    fn in_words(&self, made_ms: i64) -> String {
        let time = |ms| chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
        let time = |ms| time(ms).format("%Y-%m-%d %H:%M:%S UTC");
        format!(
            "DynamoDB table '{}' was made again at {}, after the run began at {}: what the run had written before is not in it. To \
             write all of it again, start over with --fresh; to go on without, start with --accept-gaps",
            self.table,
            time(made_ms),
            time(self.run_ms)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_younger_than_the_run_is_told_of_until_somebody_agrees() {
        let key = |name: &str| TableKey { attributes: vec![(name.into(), "S".into())] };
        let at = |made_ms| Described { key: key("rider"), made_ms };
        let run_ms = 1_760_000_000_000;
        let table = MadeAgain::new("board", run_ms);
        for made_ms in [None, Some(run_ms - 1), Some(run_ms + GRAIN_MS)] {
            table.look(&at(made_ms), &key("rider"));
            assert_eq!(table.missing(), None, "{made_ms:?}");
        }
        table.look(&at(Some(run_ms + 60_000)), &key("rider"));
        let text = table.missing().expect("it is told");
        assert!(text.contains("'board' was made again at 2025-10-09 08:54:20 UTC"), "{text}");
        table.agree(OnGap::Accept);
        assert_eq!((table.missing(), table.other_key()), (None, None));
        table.look(&at(None), &key("race"));
        assert_eq!(table.other_key(), Some(key("rider")));
    }
}
