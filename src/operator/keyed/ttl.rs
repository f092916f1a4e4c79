//! When is a key forgotten that nothing happens to? State TTL (`table.exec.state.ttl`), by
//! processing time.
//!
//! Used by the caches of keyed state. Each stored value has an entry in an index by time, so that
//! what is too old is found without looking at the rest. What always holds: a value older than the
//! TTL is never used; it leaves the store an eighth of the TTL later at most.

use std::time::Duration;

use crate::ids::OperatorId;
use crate::operator::OperatorError;
use crate::state::layout::{KeyedKind, StateTable, keyed_in, keyed_rest};
use crate::state::store::StateDb;
use crate::state::{KeyGroup, KeyGroups};

pub(crate) struct Ttl {
    operator: OperatorId,
    /// Of the values.
    kind: KeyedKind,
    /// In which the values are, and their index.
    table: StateTable,
    /// None: nothing is forgotten.
    ttl_ms: Option<i64>,
    /// Values last changed in buckets before this one are gone.
    swept_bucket: i64,
}

/// Values are forgotten this many times per TTL.
const BUCKETS: i64 = 8;

impl Ttl {
    pub fn new(operator: OperatorId, kind: KeyedKind, ttl: Option<Duration>) -> Ttl {
        Ttl::in_table(StateTable::Main, operator, kind, ttl)
    }

    /// The same for values in this table.
    pub(crate) fn in_table(
        table: StateTable,
        operator: OperatorId,
        kind: KeyedKind,
        ttl: Option<Duration>,
    ) -> Ttl {
        let ttl_ms = ttl.map(|ttl| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX / 4));
        Ttl { operator, kind, table, ttl_ms, swept_bucket: i64::MIN }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.ttl_ms.is_some()
    }

    pub(crate) fn is_old(&self, changed_ms: i64, now_ms: i64) -> bool {
        self.ttl_ms.is_some_and(|ttl| changed_ms + ttl <= now_ms)
    }

    fn bucket(&self, ms: i64) -> i64 {
        ms.div_euclid(self.ttl_ms.map_or(i64::MAX, |ttl| (ttl / BUCKETS).max(1)))
    }

    /// The index entry of a value that changed then.
    pub(crate) fn index_key(&self, changed_ms: i64, key: &[u8], hash: u64) -> Vec<u8> {
        timed_key(self.table, self.operator, self.bucket(changed_ms), key, hash)
    }

    /// Deletes stored values that are too old. Called at a barrier, before anything is frozen;
    /// looks once per bucket. `changed_ms` reads from a stored value when it changed.
    pub(crate) fn sweep(
        &mut self,
        now_ms: i64,
        db: &StateDb,
        changed_ms: impl Fn(&[u8]) -> Result<i64, OperatorError>,
    ) -> Result<(), OperatorError> {
        let Some(ttl_ms) = self.ttl_ms else { return Ok(()) };
        // All of a bucket is old only when its last moment is.
        let until = self.bucket(now_ms - ttl_ms);
        if until <= self.swept_bucket {
            return Ok(());
        }
        self.swept_bucket = until;
        let mut changes = db.batch();
        let end = (until ^ i64::MIN).to_be_bytes();
        for group in KeyGroups::ALL.iter() {
            let (mut from, mut to) = (Vec::new(), Vec::new());
            keyed_in(self.table, self.operator, KeyedKind::Expiry, group, &[], &mut from);
            keyed_in(self.table, self.operator, KeyedKind::Expiry, group, &end, &mut to);
            let mut found = false;
            db.scan(&from, &to, |key, _| {
                found = true;
                let key = keyed_rest(key).and_then(|k| k.get(8..)).unwrap_or_default();
                let mut stored = Vec::new();
                keyed_in(self.table, self.operator, self.kind, group, key, &mut stored);
                if let Some(value) = db.get(&stored)?
                    && self.is_old(changed_ms(&value)?, now_ms)
                {
                    changes.delete(&stored);
                }
                Ok::<_, OperatorError>(())
            })?;
            if found {
                changes.delete_range(&from, &to);
            }
        }
        if changes.is_empty() { Ok(()) } else { Ok(db.write(changes)?) }
    }
}

/// The key of an entry in an operator's index by time.
pub(crate) fn index_key(operator: OperatorId, time: i64, key: &[u8], hash: u64) -> Vec<u8> {
    timed_key(StateTable::Main, operator, time, key, hash)
}

fn timed_key(table: StateTable, operator: OperatorId, time: i64, key: &[u8], hash: u64) -> Vec<u8> {
    let mut timed = (time ^ i64::MIN).to_be_bytes().to_vec();
    timed.extend_from_slice(key);
    let mut out = Vec::new();
    keyed_in(table, operator, KeyedKind::Expiry, KeyGroup::of_hash(hash), &timed, &mut out);
    out
}
