//! How much does a process write into its log?
//!
//! [`Lines`] takes the place of the log while `world` runs a process. What always holds: a line is
//! counted under the place in the code that writes it, so that each kind has a bound of its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use super::lock;
use crate::runtime::errors::LOGGED_MAX;

/// Lines of one kind that may follow each other at once.
const AT_ONCE_MAX: u64 = 12;
/// Lines of one kind about a shard: it and what comes after it can be missing. Or about a worker.
const OF_A_PART_MAX: u64 = 2;
/// And for each minute.
const PER_MINUTE_MAX: u64 = 8;

/// Where each record and row is told that is diverted, the first ones of each worker alone.
const OF_DIVERTED: &str = "runtime/errors.rs";

type ByPlace = BTreeMap<(&'static str, u32), u64>;

/// Counts lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<ByPlace>>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let place = (metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
        *lock(&self.0).entry(place).or_default() += 1;
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

thread_local! {
    /// Made once for a thread: each that is made has all places in the code looked at.
    static LOG: Rc<RefCell<Option<(Lines, Dispatch)>>> = Rc::default();
}

/// Runs something with a log of its own. Gives what was written beside.
pub(super) fn counted<T>(run: impl FnOnce() -> T) -> (T, ByPlace) {
    let (lines, dispatch) = LOG.with(|log| {
        let made = || {
            let lines = Lines::default();
            (lines.clone(), Dispatch::new(lines))
        };
        log.borrow_mut().get_or_insert_with(made).clone()
    });
    // A process that stands still goes on with its own counts.
    let before = std::mem::take(&mut *lock(&lines.0));
    let ran = tracing::dispatcher::with_default(&dispatch, run);
    let written = std::mem::replace(&mut *lock(&lines.0), before);
    (ran, written)
}

/// Whether a process that ran for so long has written too much. `parts`: its workers and shards.
pub(super) fn check(written: &ByPlace, ran: Duration, parts: usize) -> Result<(), String> {
    let minutes = ran.as_secs().div_ceil(60);
    let most = AT_ONCE_MAX + OF_A_PART_MAX * parts as u64 + PER_MINUTE_MAX * minutes;
    let of_diverted = most + LOGGED_MAX * parts as u64;
    let most_at = |file: &str| if file.ends_with(OF_DIVERTED) { of_diverted } else { most };
    match written.iter().find(|((file, _), lines)| **lines > most_at(file)) {
        None => Ok(()),
        Some(((file, line), lines)) => {
            Err(format!("{lines} log lines from {file}:{line} within {} s", ran.as_secs()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_where_they_are_written() {
        let write = |times: u64| (0..times).for_each(|_| tracing::warn!("one"));
        let ((), outer) = counted(|| {
            write(2);
            let ((), inner) = counted(|| write(50));
            assert_eq!(inner.into_values().collect::<Vec<_>>(), [50]);
            tracing::debug!("is not written");
        });
        assert_eq!(outer.values().collect::<Vec<_>>(), [&2]);
        assert_eq!(check(&outer, Duration::ZERO, 1), Ok(()));
        let ((), many) = counted(|| write(30));
        assert_eq!(check(&many, Duration::from_secs(150), 1), Ok(()));
        assert!(check(&many, Duration::from_secs(1), 1).is_err_and(|e| e.contains("lines.rs")));
    }
}
