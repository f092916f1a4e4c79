//! The rows of one input that a regular join keeps, by the key of the join.
//!
//! Each row is an entry of its own in the store, so a key may have more rows than memory holds:
//!
//! ```text
//! key   = the join's key | the row, both as `state::key` encodes them
//! value = count (4) | matches (4), little-endian; with a TTL, when it changed (8) stands before them
//! ```
//!
//! What always holds: a row that is in memory is as it is there; one that is not is in the store as
//! it was last written, unless all rows of its key are in memory; memory is given back by writing
//! what changed and forgetting everything, never between a barrier and its checkpoint; with a TTL, a
//! row that did not change for so long is not kept.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use hashbrown::HashMap;

use crate::ids::OperatorId;
use crate::operator::OperatorError;
use crate::operator::keyed::frozen::{Entry as StoreEntry, Frozen, put_all};
use crate::operator::keyed::ttl::Ttl;
use crate::state::key::KeyBuf;
use crate::state::layout::{KeyedKind, StateTable, keyed_in, keyed_rest};
use crate::state::store::{Changes, StateDb};
use crate::state::{KeyGroup, StateError};

/// What is known of a row that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// How often it is there, at least once.
    pub count: u32,
    /// Rows of the other input that it is joined with, counted where that decides what comes out.
    pub matches: u32,
}

/// Some rows of a key, in the order of their bytes.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub rows: KeyBuf,
    pub kept: Vec<Kept>,
}

struct Row {
    /// None: it is not kept, whatever the store says.
    kept: Option<Kept>,
    /// Processing time of the last change, ms.
    changed_ms: i64,
    dirty: bool,
}

/// Which rows of a key are in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coverage {
    All,
    /// The store may have more: nobody has looked.
    Some,
    /// The store has more than memory should hold.
    TooMany,
}

struct KeyRows {
    hash: u64,
    rows: BTreeMap<Box<[u8]>, Row>,
    coverage: Coverage,
}

pub(crate) struct KeptRows {
    operator: OperatorId,
    table: StateTable,
    keys: HashMap<Box<[u8]>, KeyRows>,
    bytes: usize,
    frozen: Frozen,
    ttl: Ttl,
}

/// What a row costs in memory besides its bytes.
const ROW_BYTES: usize = 72;
/// What a key costs in memory besides its bytes and its rows.
const KEY_BYTES: usize = 96;
/// A key's rows are brought into memory up to so many bytes; a larger key is read row by row each
/// time, which costs less than what it would push out.
const LOADED_KEY_BYTES: usize = 256 << 10;

/// Why a look at the store ends.
enum Ended {
    Enough,
    Failed(OperatorError),
}

impl From<StateError> for Ended {
    fn from(e: StateError) -> Ended {
        Ended::Failed(e.into())
    }
}

impl KeptRows {
    /// `ttl`: a row that did not change for so long is forgotten; None: never.
    pub fn new(operator: OperatorId, input: u8, ttl: Option<Duration>) -> KeptRows {
        let table = StateTable::of_input(input);
        KeptRows {
            operator,
            table,
            keys: HashMap::new(),
            bytes: 0,
            frozen: Frozen::default(),
            ttl: Ttl::in_table(table, operator, KeyedKind::Joined, ttl),
        }
    }

    fn store_key(&self, key: &[u8], hash: u64, row: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + key.len() + row.len());
        let group = KeyGroup::of_hash(hash);
        keyed_in(self.table, self.operator, KeyedKind::Joined, group, key, &mut out);
        out.extend_from_slice(row);
        out
    }

    /// What a stored value says; None if it is too old to count.
    fn read(&self, value: &[u8], now_ms: i64) -> Result<Option<Row>, OperatorError> {
        let damaged = || OperatorError::damaged("a row of a join that is too short");
        let (changed_ms, value) = if self.ttl.is_on() {
            let (changed_ms, rest) = value.split_first_chunk::<8>().ok_or_else(damaged)?;
            (i64::from_le_bytes(*changed_ms), rest)
        } else {
            (0, value)
        };
        let (count, matches) = value.split_first_chunk::<4>().ok_or_else(damaged)?;
        let matches: [u8; 4] = matches.try_into().map_err(|_| damaged())?;
        let kept = Kept { count: u32::from_le_bytes(*count), matches: u32::from_le_bytes(matches) };
        let is_old = self.ttl.is_old(changed_ms, now_ms);
        Ok((!is_old).then_some(Row { kept: Some(kept), changed_ms, dirty: false }))
    }

    fn write(&self, kept: Kept, changed_ms: i64) -> Vec<u8> {
        let mut out = Vec::with_capacity(16);
        if self.ttl.is_on() {
            out.extend_from_slice(&changed_ms.to_le_bytes());
        }
        out.extend_from_slice(&kept.count.to_le_bytes());
        out.extend_from_slice(&kept.matches.to_le_bytes());
        out
    }

    /// The rows of a key in memory, which has none of a key that it does not know.
    fn key_mut(&mut self, key: &[u8], hash: u64) -> &mut KeyRows {
        if !self.keys.contains_key(key) {
            self.bytes += key.len() + KEY_BYTES;
        }
        let unknown = || KeyRows { hash, rows: BTreeMap::new(), coverage: Coverage::Some };
        self.keys.entry(key.into()).or_insert_with(unknown)
    }

    fn insert(&mut self, key: &[u8], hash: u64, row: &[u8], value: Row) {
        let known = self.key_mut(key, hash);
        match known.rows.get_mut(row) {
            Some(at) => *at = value,
            None => {
                known.rows.insert(row.into(), value);
                self.bytes += row.len() + ROW_BYTES;
            }
        }
    }

    /// Finds out what is kept of these rows: of row `i` with key `keys[i]`, for the `i` in `picks`.
    pub fn load_rows(
        &mut self,
        picks: &[u32],
        (keys, hashes, rows): (&KeyBuf, &[u64], &KeyBuf),
        now_ms: i64,
        db: &StateDb,
    ) -> Result<(), OperatorError> {
        let mut missing: Vec<u32> = Vec::new();
        for &pick in picks {
            let i = pick as usize;
            let known = self.keys.get(keys.get(i)).is_some_and(|known| {
                known.coverage == Coverage::All || known.rows.contains_key(rows.get(i))
            });
            if !known {
                missing.push(pick);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let wanted: Vec<Vec<u8>> = missing
            .iter()
            .map(|&i| i as usize)
            .map(|i| self.store_key(keys.get(i), hashes[i], rows.get(i)))
            .collect();
        for (&i, value) in missing.iter().zip(db.multi_get(&wanted)?) {
            let i = i as usize;
            let found = value.map(|value| self.read(&value, now_ms)).transpose()?.flatten();
            let none = Row { kept: None, changed_ms: 0, dirty: false };
            self.insert(keys.get(i), hashes[i], rows.get(i), found.unwrap_or(none));
        }
        Ok(())
    }

    /// Brings all rows of these keys into memory, those of the `i` in `picks`, where they are few
    /// enough and `room_bytes` allows.
    pub fn load_keys(
        &mut self,
        picks: &[u32],
        (keys, hashes): (&KeyBuf, &[u64]),
        (room_bytes, now_ms): (usize, i64),
        db: &StateDb,
    ) -> Result<(), OperatorError> {
        let mut left = room_bytes;
        for &i in picks {
            let (key, hash) = (keys.get(i as usize), hashes[i as usize]);
            if self.key_mut(key, hash).coverage != Coverage::Some {
                continue;
            }
            let limit = left.min(LOADED_KEY_BYTES);
            let (from, to) = self.range(key, hash, None);
            let prefix = from.len();
            let mut found: Vec<(Box<[u8]>, Vec<u8>)> = Vec::new();
            let mut bytes = 0;
            let ended = db.scan(&from, &to, |stored, value| {
                bytes += stored.len() - prefix + ROW_BYTES;
                if bytes > limit {
                    return Err(Ended::Enough);
                }
                found.push((stored[prefix..].into(), value.to_vec()));
                Ok(())
            });
            match ended {
                Ok(()) => {}
                Err(Ended::Enough) => {
                    let coverage =
                        if limit < LOADED_KEY_BYTES { Coverage::Some } else { Coverage::TooMany };
                    self.key_mut(key, hash).coverage = coverage;
                    continue;
                }
                Err(Ended::Failed(e)) => return Err(e),
            }
            left -= bytes;
            for (row, value) in found {
                // What is in memory is newer.
                if self.key_mut(key, hash).rows.contains_key(&row) {
                    continue;
                }
                if let Some(value) = self.read(&value, now_ms)? {
                    self.insert(key, hash, &row, value);
                }
            }
            self.key_mut(key, hash).coverage = Coverage::All;
        }
        Ok(())
    }

    /// Where the rows of a key are in the store, those behind `after`.
    fn range(&self, key: &[u8], hash: u64, after: Option<&[u8]>) -> (Vec<u8>, Vec<u8>) {
        let mut from = self.store_key(key, hash, &[]);
        let mut to = from.clone();
        // The first key behind all that begin like this one. The operator's number is not all ones.
        while to.last() == Some(&u8::MAX) {
            to.pop();
        }
        if let Some(last) = to.last_mut() {
            *last += 1;
        }
        if let Some(after) = after {
            from.extend_from_slice(after);
            from.push(0);
        }
        (from, to)
    }

    /// What is kept of a row that is in memory.
    pub fn get(&self, key: &[u8], row: &[u8], now_ms: i64) -> Option<Kept> {
        let row = self.keys.get(key)?.rows.get(row)?;
        row.kept.filter(|_| !self.ttl.is_old(row.changed_ms, now_ms))
    }

    /// Says what is kept of a row from now on; None removes it.
    pub fn set(&mut self, key: &[u8], hash: u64, row: &[u8], kept: Option<Kept>, now_ms: i64) {
        debug_assert!(kept.is_none_or(|kept| kept.count > 0), "a row is kept no times");
        self.insert(key, hash, row, Row { kept, changed_ms: now_ms, dirty: true });
    }

    /// The next rows of a key behind `after`, at most `limit`. Returns whether there may be more.
    pub fn page(
        &self,
        (key, hash): (&[u8], u64),
        after: Option<&[u8]>,
        limit: usize,
        now_ms: i64,
        db: &StateDb,
    ) -> Result<(Page, bool), OperatorError> {
        let known = self.keys.get(key);
        let mut page = Page::default();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let in_memory = known
            .into_iter()
            .flat_map(|known| known.rows.range::<[u8], _>((start, Bound::Unbounded)));
        if known.is_some_and(|known| known.coverage == Coverage::All) {
            for (row, value) in in_memory {
                let Some(kept) = value.kept.filter(|_| !self.ttl.is_old(value.changed_ms, now_ms))
                else {
                    continue;
                };
                if page.kept.len() == limit {
                    return Ok((page, true));
                }
                page.rows.push(row);
                page.kept.push(kept);
            }
            return Ok((page, false));
        }
        let prefix = self.store_key(key, hash, &[]).len();
        let (from, to) = self.range(key, hash, after);
        let mut rows: BTreeMap<Box<[u8]>, Option<Kept>> = BTreeMap::new();
        let mut last: Option<Box<[u8]>> = None;
        let ended = db.scan(&from, &to, |stored, value| {
            if rows.len() == limit {
                return Err(Ended::Enough);
            }
            let row: Box<[u8]> = stored[prefix..].into();
            last = Some(row.clone());
            let value = self.read(value, now_ms).map_err(Ended::Failed)?;
            rows.insert(row, value.and_then(|value| value.kept));
            Ok(())
        });
        let mut more = match ended {
            Ok(()) => false,
            Err(Ended::Enough) => true,
            Err(Ended::Failed(e)) => return Err(e),
        };
        // What is in memory is newer; beyond the last row of the store that was looked at it comes
        // in a later page.
        let in_memory = in_memory.take_while(|(row, _)| !more || Some(*row) <= last.as_ref());
        for (row, value) in in_memory {
            let kept = value.kept.filter(|_| !self.ttl.is_old(value.changed_ms, now_ms));
            rows.insert(row.clone(), kept);
        }
        for (row, kept) in rows {
            let Some(kept) = kept else { continue };
            if page.kept.len() == limit {
                more = true;
                break;
            }
            page.rows.push(&row);
            page.kept.push(kept);
        }
        // A page without rows would not say where to go on.
        match last {
            Some(last) if more && page.kept.is_empty() => {
                self.page((key, hash), Some(&last), limit, now_ms, db)
            }
            _ => Ok((page, more)),
        }
    }

    fn take_dirty(&mut self) -> Vec<StoreEntry> {
        let mut entries: Vec<StoreEntry> = Vec::new();
        let mut keys = std::mem::take(&mut self.keys);
        for (key, known) in &mut keys {
            for (row, value) in known.rows.iter_mut().filter(|(_, value)| value.dirty) {
                value.dirty = false;
                let stored = self.store_key(key, known.hash, row);
                if value.kept.is_some() && self.ttl.is_on() {
                    let rest = keyed_rest(&stored).unwrap_or_default();
                    let index = self.ttl.index_key(value.changed_ms, rest, known.hash);
                    entries.push((index, Some(vec![])));
                }
                let written = value.kept.map(|kept| self.write(kept, value.changed_ms));
                entries.push((stored, written));
            }
            if known.coverage == Coverage::All {
                let bytes = &mut self.bytes;
                known.rows.retain(|row, value| {
                    if value.kept.is_none() {
                        *bytes -= row.len() + ROW_BYTES;
                    }
                    value.kept.is_some()
                });
            }
        }
        self.keys = keys;
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        entries
    }

    /// Deletes what is too old from the store. Called at a barrier, before [`KeptRows::freeze`].
    pub fn sweep(&mut self, now_ms: i64, db: &StateDb) -> Result<(), OperatorError> {
        self.ttl.sweep(now_ms, db, |value| {
            let (changed_ms, _) = value
                .split_first_chunk::<8>()
                .ok_or_else(|| OperatorError::damaged("a row of a join without its time"))?;
            Ok(i64::from_le_bytes(*changed_ms))
        })
    }

    pub fn freeze(&mut self) {
        debug_assert!(
            self.frozen.is_empty(),
            "a barrier came before the last one's entries were written"
        );
        let entries = self.take_dirty();
        self.frozen.extend(entries);
    }

    /// Adds frozen entries to `changes`; true when none is left.
    pub fn write_frozen(&mut self, changes: &mut Changes) -> bool {
        self.frozen.write(changes)
    }

    /// Writes what changed and forgets everything. False if there is nothing to forget.
    pub fn spill(&mut self, changes: &mut Changes) -> bool {
        debug_assert!(
            self.frozen.is_empty(),
            "rows are spilled between a barrier and its checkpoint"
        );
        if self.keys.is_empty() {
            return false;
        }
        let entries = self.take_dirty();
        put_all(entries, changes);
        self.keys = HashMap::new();
        self.bytes = 0;
        true
    }

    pub fn memory_bytes(&self) -> usize {
        self.bytes + self.frozen.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::key::hash_key;
    use crate::state::store::StateMemory;

    type Model = BTreeMap<(Vec<u8>, Vec<u8>), Kept>;

    /// All rows of a key, read by pages of this length.
    fn all(kept: &KeptRows, key: &[u8], page: usize, db: &StateDb) -> Vec<(Vec<u8>, Kept)> {
        let mut rows = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let place = (key, hash_key(key));
            let (found, more) =
                kept.page(place, after.as_deref(), page, 0, db).expect("reads a page");
            assert!(found.kept.len() <= page);
            rows.extend(found.rows.iter().map(<[u8]>::to_vec).zip(found.kept.iter().copied()));
            if !more {
                return rows;
            }
            after = Some(rows.last().expect("a page with more behind it has rows").0.clone());
        }
    }

    fn write(kept: &mut KeptRows, db: &StateDb) {
        kept.freeze();
        let mut changes = db.batch();
        while !kept.write_frozen(&mut changes) {}
        db.write(changes).expect("writes");
    }

    /// Rows come and go, are written and forgotten, and are read back as a model has them, whether
    /// all of a key is in memory, a part of it, or nothing.
    #[test]
    fn what_is_kept_is_what_was_said_last() {
        let dir = tempfile::tempdir().expect("a folder");
        for seed in 0..40 {
            let db =
                StateDb::open(&dir.path().join(seed.to_string()), &StateMemory::new(1 << 20, 1))
                    .expect("opens");
            let mut random = fastrand::Rng::with_seed(seed);
            let mut kept = KeptRows::new(OperatorId::FIRST, 0, None);
            let mut other = KeptRows::new(OperatorId::FIRST, 1, None);
            let mut model = Model::new();
            for _ in 0..200 {
                let key = vec![random.u8(0..3), 0xff];
                let hash = hash_key(&key);
                let (mut keys, mut rows) = (KeyBuf::default(), KeyBuf::default());
                keys.push(&key);
                let row = vec![random.u8(250..), random.u8(..6)];
                rows.push(&row);
                match random.u8(0..10) {
                    0..6 => {
                        kept.load_rows(&[0], (&keys, &[hash], &rows), 0, &db).expect("loads");
                        let place = (key.clone(), row.clone());
                        assert_eq!(kept.get(&key, &row, 0), model.get(&place).copied());
                        let count = u32::from(random.u8(0..3));
                        let value = (count > 0).then(|| Kept { count, matches: random.u32(..9) });
                        kept.set(&key, hash, &row, value, 0);
                        match value {
                            Some(value) => model.insert(place, value),
                            None => model.remove(&place),
                        };
                        // The rows of the other input lie beside these.
                        other.load_rows(&[0], (&keys, &[hash], &rows), 0, &db).expect("loads");
                        other.set(&key, hash, &row, Some(Kept { count: 9, matches: 9 }), 0);
                    }
                    6 => {
                        // With room for all of the key, for some of it, or for nothing.
                        let room = [0, 300, 1 << 20][random.usize(..3)];
                        kept.load_keys(&[0], (&keys, &[hash]), (room, 0), &db).expect("loads");
                    }
                    7 => write(&mut kept, &db),
                    8 => {
                        let mut changes = db.batch();
                        kept.spill(&mut changes);
                        other.spill(&mut changes);
                        db.write(changes).expect("writes");
                        assert_eq!(kept.memory_bytes(), 0, "nothing is left in memory");
                    }
                    _ => {
                        let wanted: Vec<(Vec<u8>, Kept)> = model
                            .iter()
                            .filter(|((k, _), _)| *k == key)
                            .map(|((_, row), kept)| (row.clone(), *kept))
                            .collect();
                        let page = random.usize(1..8);
                        assert_eq!(
                            all(&kept, &key, page, &db),
                            wanted,
                            "seed {seed}, pages of {page}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_that_does_not_change_for_the_ttl_is_forgotten() {
        let dir = tempfile::tempdir().expect("a folder");
        let db = StateDb::open(dir.path(), &StateMemory::new(1 << 20, 1)).expect("opens");
        let ttl = Some(Duration::from_secs(8));
        let (key, hash) = (b"k", hash_key(b"k"));
        let kept_once = Some(Kept { count: 1, matches: 0 });
        let (mut left, mut right) =
            (KeptRows::new(OperatorId::FIRST, 0, ttl), KeptRows::new(OperatorId::FIRST, 1, None));
        left.set(key, hash, b"a", kept_once, 0);
        left.set(key, hash, b"b", kept_once, 5_000);
        right.set(key, hash, b"a", kept_once, 0);
        let rows = |kept: &KeptRows, now_ms| {
            let (page, _) = kept.page((key, hash), None, 9, now_ms, &db).expect("reads");
            page.kept.len()
        };
        assert_eq!((rows(&left, 7_999), rows(&left, 8_000), rows(&right, 99_000)), (2, 1, 1));
        write(&mut left, &db);
        write(&mut right, &db);
        // From the store, as after a restart.
        let mut left = KeptRows::new(OperatorId::FIRST, 0, ttl);
        assert_eq!((rows(&left, 7_999), rows(&left, 8_000)), (2, 1));
        left.sweep(14_000, &db).expect("sweeps");
        let mut entries = 0;
        db.scan_all(|_, _| {
            entries += 1;
            Ok::<_, OperatorError>(())
        })
        .expect("scans");
        assert_eq!(entries, 1, "only the row of the input without a TTL is left");
    }
}
