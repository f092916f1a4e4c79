//! State of keys without a window: in memory while they are in use, else in the store.
//!
//! A write-back cache for operators that keep something of their own for each key. What always
//! holds: a key that is in memory is looked for there only; one that is not is in the store as it
//! was last written; memory is given back by writing what changed and forgetting everything, never
//! between a barrier and its checkpoint; with a TTL, a key that did not change for so long has no
//! state. In reading order: this file, `frozen` (what a checkpoint still takes up), `ttl`.

pub mod frozen;
pub mod ttl;

use std::time::Duration;

use hashbrown::HashMap;

use super::OperatorError;
use crate::ids::OperatorId;
use crate::state::KeyGroup;
use crate::state::key::KeyBuf;
use crate::state::layout::{KeyedKind, keyed};
use crate::state::store::{Changes, StateDb};
use frozen::{Entry, Frozen, put_all};
use ttl::Ttl;

/// What is kept for a key.
pub(crate) trait KeyedValue: Sized {
    /// What reading one takes besides its bytes.
    type Types;
    fn encode(&self) -> Vec<u8>;
    fn decode(bytes: &[u8], types: &Self::Types) -> Result<Self, OperatorError>;
    fn memory_bytes(&self) -> usize;
}

struct Cached<V> {
    hash: u64,
    /// None: the key has no state.
    value: Option<V>,
    dirty: bool,
    /// Processing time of the last change, ms.
    changed_ms: i64,
}

pub(crate) struct KeyedCache<V: KeyedValue> {
    operator: OperatorId,
    kind: KeyedKind,
    types: V::Types,
    cache: HashMap<Box<[u8]>, Cached<V>>,
    bytes: usize,
    frozen: Frozen,
    ttl: Ttl,
}

/// What a key costs in memory besides its bytes and its value.
const CACHED_BYTES: usize = 64;

impl<V: KeyedValue> KeyedCache<V> {
    /// `ttl`: a key that did not change for so long is forgotten; None: never.
    pub fn new(
        operator: OperatorId,
        kind: KeyedKind,
        types: V::Types,
        ttl: Option<Duration>,
    ) -> KeyedCache<V> {
        let ttl = Ttl::new(operator, kind, ttl);
        KeyedCache {
            operator,
            kind,
            types,
            cache: HashMap::new(),
            bytes: 0,
            frozen: Frozen::default(),
            ttl,
        }
    }

    fn store_key(&self, key: &[u8], hash: u64) -> Vec<u8> {
        let mut out = Vec::new();
        keyed(self.operator, self.kind, KeyGroup::of_hash(hash), key, &mut out);
        out
    }

    /// Brings the keys of a batch into memory. `now_ms` is processing time.
    pub fn load(
        &mut self,
        keys: &KeyBuf,
        hashes: &[u64],
        now_ms: i64,
        db: &StateDb,
    ) -> Result<(), OperatorError> {
        let mut missing: Vec<(Box<[u8]>, u64)> = Vec::new();
        for (key, &hash) in keys.iter().zip(hashes) {
            match self.cache.get_mut(key) {
                Some(cached)
                    if cached.value.is_some() && self.ttl.is_old(cached.changed_ms, now_ms) =>
                {
                    self.bytes -= cached.value.take().as_ref().map_or(0, V::memory_bytes);
                    cached.dirty = true;
                }
                Some(_) => {}
                None => {
                    self.cache.insert(
                        key.into(),
                        Cached { hash, value: None, dirty: false, changed_ms: 0 },
                    );
                    self.bytes += key.len() + CACHED_BYTES;
                    missing.push((key.into(), hash));
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let wanted: Vec<Vec<u8>> =
            missing.iter().map(|(key, hash)| self.store_key(key, *hash)).collect();
        for ((key, _), bytes) in missing.iter().zip(db.multi_get(&wanted)?) {
            let (Some(bytes), Some(cached)) = (bytes, self.cache.get_mut(key)) else { continue };
            let (changed_ms, value) = parts(&self.ttl, &bytes)?;
            if self.ttl.is_old(changed_ms, now_ms) {
                continue;
            }
            let value = V::decode(value, &self.types)?;
            self.bytes += value.memory_bytes();
            cached.value = Some(value);
            cached.changed_ms = changed_ms;
        }
        Ok(())
    }

    /// The state of a key that was loaded.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.cache.get(key)?.value.as_ref()
    }

    /// Takes the state of a key out, to be given back by [`KeyedCache::put`] or
    /// [`KeyedCache::put_back`].
    pub fn take(&mut self, key: &[u8]) -> Option<V> {
        let value = self.cache.get_mut(key)?.value.take()?;
        self.bytes -= value.memory_bytes();
        Some(value)
    }

    /// Gives the state of a key back that was taken and did not change.
    pub(crate) fn put_back(&mut self, key: &[u8], value: Option<V>) {
        debug_assert!(self.cache.contains_key(key), "a key is given back that was not loaded");
        if let Some(cached) = self.cache.get_mut(key) {
            self.bytes += value.as_ref().map_or(0, V::memory_bytes);
            self.bytes -= cached.value.as_ref().map_or(0, V::memory_bytes);
            cached.value = value;
        }
    }

    /// Sets the state of a key that was loaded; None removes it. `now_ms` is processing time.
    pub fn put(&mut self, key: &[u8], value: Option<V>, now_ms: i64) {
        self.put_back(key, value);
        if let Some(cached) = self.cache.get_mut(key) {
            cached.dirty = true;
            cached.changed_ms = now_ms;
        }
    }

    fn take_dirty(&mut self) -> Vec<Entry> {
        let (operator, kind, ttl) = (self.operator, self.kind, &self.ttl);
        let mut entries: Vec<Entry> = Vec::new();
        for (key, cached) in self.cache.iter_mut().filter(|(_, cached)| cached.dirty) {
            cached.dirty = false;
            let mut out = Vec::new();
            keyed(operator, kind, KeyGroup::of_hash(cached.hash), key, &mut out);
            let value = cached.value.as_ref().map(|value| {
                let mut bytes =
                    if ttl.is_on() { cached.changed_ms.to_le_bytes().to_vec() } else { vec![] };
                bytes.extend(value.encode());
                bytes
            });
            if ttl.is_on() && value.is_some() {
                entries.push((ttl.index_key(cached.changed_ms, key, cached.hash), Some(vec![])));
            }
            entries.push((out, value));
        }
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        entries
    }

    /// Deletes what is too old from the store. Called at a barrier, before [`KeyedCache::freeze`].
    pub(crate) fn sweep(&mut self, now_ms: i64, db: &StateDb) -> Result<(), OperatorError> {
        self.ttl.sweep(now_ms, db, |value| split_changed(value).map(|(changed_ms, _)| changed_ms))
    }

    pub(crate) fn freeze(&mut self) {
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
    pub(crate) fn spill(&mut self, changes: &mut Changes) -> bool {
        debug_assert!(
            self.frozen.is_empty(),
            "keys are spilled between a barrier and its checkpoint"
        );
        if self.cache.is_empty() {
            return false;
        }
        let entries = self.take_dirty();
        put_all(entries, changes);
        self.cache = HashMap::new();
        self.bytes = 0;
        true
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes + self.frozen.memory_bytes()
    }
}

/// When a stored value changed (0 without a TTL), and the value.
fn parts<'a>(ttl: &Ttl, bytes: &'a [u8]) -> Result<(i64, &'a [u8]), OperatorError> {
    if ttl.is_on() { split_changed(bytes) } else { Ok((0, bytes)) }
}

fn split_changed(bytes: &[u8]) -> Result<(i64, &[u8]), OperatorError> {
    let (changed_ms, value) = bytes
        .split_first_chunk::<8>()
        .ok_or_else(|| OperatorError::damaged("a value without its time"))?;
    Ok((i64::from_le_bytes(*changed_ms), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::key::hash_key;
    use crate::state::store::StateMemory;

    struct Text(String);

    impl KeyedValue for Text {
        type Types = ();
        fn encode(&self) -> Vec<u8> {
            self.0.clone().into_bytes()
        }
        fn decode(bytes: &[u8], _: &()) -> Result<Text, OperatorError> {
            String::from_utf8(bytes.to_vec()).map(Text).map_err(OperatorError::damaged)
        }
        fn memory_bytes(&self) -> usize {
            self.0.len()
        }
    }

    type Cache = KeyedCache<Text>;

    fn cache() -> Cache {
        KeyedCache::new(OperatorId::FIRST, KeyedKind::Rank, (), Some(Duration::from_secs(8)))
    }

    fn read(cache: &mut Cache, key: &str, now_ms: i64, db: &StateDb) -> Option<String> {
        let mut keys = KeyBuf::default();
        keys.push(key.as_bytes());
        cache.load(&keys, &[hash_key(key.as_bytes())], now_ms, db).expect("loads");
        cache.get(key.as_bytes()).map(|v| v.0.clone())
    }

    fn write(cache: &mut Cache, key: &str, value: &str, now_ms: i64, db: &StateDb) {
        read(cache, key, now_ms, db);
        cache.put(key.as_bytes(), Some(Text(value.into())), now_ms);
    }

    /// A checkpoint; returns how many keys the store holds then.
    fn store(cache: &mut Cache, now_ms: i64, db: &StateDb) -> usize {
        cache.sweep(now_ms, db).expect("sweeps");
        cache.freeze();
        let mut changes = db.batch();
        while !cache.write_frozen(&mut changes) {}
        db.write(changes).expect("writes");
        let mut left = 0;
        db.scan_all(|_, _| {
            left += 1;
            Ok::<_, OperatorError>(())
        })
        .expect("scans");
        left
    }

    #[test]
    fn a_key_that_does_not_change_for_the_ttl_is_forgotten() {
        let dir = tempfile::tempdir().expect("folder");
        let db = StateDb::open(dir.path(), &StateMemory::new(1 << 20, 1)).expect("opens");
        let mut used = cache();
        write(&mut used, "a", "1", 0, &db);
        write(&mut used, "b", "1", 0, &db);
        write(&mut used, "b", "2", 5_000, &db);
        // Looking at it is no change.
        let value = used.take(b"a");
        used.put_back(b"a", value);
        assert_eq!(read(&mut used, "a", 7_999, &db).as_deref(), Some("1"));
        assert_eq!(store(&mut used, 7_999, &db), 4, "two values, each with its place in time");
        assert_eq!(read(&mut used, "a", 8_000, &db), None);
        // From the store, as after a restart.
        let mut used = cache();
        assert_eq!(read(&mut used, "a", 8_000, &db), None);
        assert_eq!(read(&mut used, "b", 8_000, &db).as_deref(), Some("2"));
        assert_eq!(store(&mut used, 9_000, &db), 2, "the older one has left");
        assert_eq!(read(&mut used, "b", 13_000, &db), None);
        assert_eq!(store(&mut used, 15_000, &db), 0);
    }
}
