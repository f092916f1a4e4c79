//! State of keys without a window: in memory while they are in use, else in the store.
//!
//! A write-back cache for operators that keep something of their own for each key. What always holds: a key that is in memory
//! is looked for there only; one that is not is in the store as it was last written; memory is given back by writing what
//! changed and forgetting everything, never between a barrier and its checkpoint.

use hashbrown::HashMap;

use super::OperatorError;
use crate::state::key::KeyBuf;
use crate::state::key_group;
use crate::state::layout::{KeyedKind, keyed};
use crate::state::rocks::{Changes, StateDb};

/// What is kept for a key.
pub trait KeyedValue: Sized {
    /// What reading one takes besides its bytes.
    type Types;
    fn encode(&self) -> Vec<u8>;
    fn decode(bytes: &[u8], types: &Self::Types) -> Result<Self, OperatorError>;
    fn memory_bytes(&self) -> usize;
}

struct Slot<V> {
    hash: u64,
    /// None: the key has no state.
    value: Option<V>,
    dirty: bool,
}

pub struct KeyedCache<V: KeyedValue> {
    operator: u32,
    kind: KeyedKind,
    types: V::Types,
    slots: HashMap<Box<[u8]>, Slot<V>>,
    bytes: usize,
    /// Written at the last barrier, not yet in the store.
    frozen: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    frozen_bytes: usize,
}

/// What a key costs in memory besides its bytes and its value.
const SLOT_BYTES: usize = 64;
/// Frozen entries that are written in one step.
const FROZEN_STEP: usize = 4096;

impl<V: KeyedValue> KeyedCache<V> {
    pub fn new(operator: u32, kind: KeyedKind, types: V::Types) -> KeyedCache<V> {
        KeyedCache { operator, kind, types, slots: HashMap::new(), bytes: 0, frozen: vec![], frozen_bytes: 0 }
    }

    fn store_key(&self, key: &[u8], hash: u64) -> Vec<u8> {
        let mut out = Vec::new();
        keyed(self.operator, self.kind, key_group(hash), 0, key, &mut out);
        out
    }

    /// Brings the keys of a batch into memory.
    pub fn load(&mut self, keys: &KeyBuf, hashes: &[u64], db: &StateDb) -> Result<(), OperatorError> {
        let mut missing: Vec<(Box<[u8]>, u64)> = Vec::new();
        for (key, &hash) in keys.iter().zip(hashes) {
            if !self.slots.contains_key(key) {
                self.slots.insert(key.into(), Slot { hash, value: None, dirty: false });
                self.bytes += key.len() + SLOT_BYTES;
                missing.push((key.into(), hash));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let wanted: Vec<Vec<u8>> = missing.iter().map(|(key, hash)| self.store_key(key, *hash)).collect();
        for ((key, _), bytes) in missing.iter().zip(db.multi_get(&wanted)?) {
            if let (Some(bytes), Some(slot)) = (bytes, self.slots.get_mut(key)) {
                let value = V::decode(&bytes, &self.types)?;
                self.bytes += value.memory_bytes();
                slot.value = Some(value);
            }
        }
        Ok(())
    }

    /// The state of a key that was loaded.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.slots.get(key)?.value.as_ref()
    }

    /// Takes the state of a key out, to be given back by [`KeyedCache::put`].
    pub fn take(&mut self, key: &[u8]) -> Option<V> {
        let value = self.slots.get_mut(key)?.value.take()?;
        self.bytes -= value.memory_bytes();
        Some(value)
    }

    /// Sets the state of a key that was loaded; None removes it.
    pub fn put(&mut self, key: &[u8], value: Option<V>) {
        if let Some(slot) = self.slots.get_mut(key) {
            self.bytes += value.as_ref().map_or(0, V::memory_bytes);
            self.bytes -= slot.value.as_ref().map_or(0, V::memory_bytes);
            slot.value = value;
            slot.dirty = true;
        }
    }

    fn take_dirty(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let (operator, kind) = (self.operator, self.kind);
        let dirty = self.slots.iter_mut().filter(|(_, slot)| slot.dirty);
        let mut entries: Vec<_> = dirty
            .map(|(key, slot)| {
                slot.dirty = false;
                let mut out = Vec::new();
                keyed(operator, kind, key_group(slot.hash), 0, key, &mut out);
                (out, slot.value.as_ref().map(V::encode))
            })
            .collect();
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        entries
    }

    pub fn freeze(&mut self) {
        let entries = self.take_dirty();
        self.frozen_bytes += entries.iter().map(|(k, v)| k.len() + v.as_ref().map_or(0, Vec::len)).sum::<usize>();
        self.frozen.extend(entries);
    }

    /// Adds frozen entries to `changes`; true when none is left.
    pub fn write_frozen(&mut self, changes: &mut Changes) -> bool {
        let from = self.frozen.len().saturating_sub(FROZEN_STEP);
        put_all(self.frozen.drain(from..), changes);
        if self.frozen.is_empty() {
            self.frozen_bytes = 0;
        }
        self.frozen.is_empty()
    }

    /// Writes what changed and forgets everything. False if there is nothing to forget.
    pub fn spill(&mut self, changes: &mut Changes) -> bool {
        if self.slots.is_empty() {
            return false;
        }
        let entries = self.take_dirty();
        put_all(entries.into_iter(), changes);
        self.slots = HashMap::new();
        self.bytes = 0;
        true
    }

    pub fn memory_bytes(&self) -> usize {
        self.bytes + self.frozen_bytes
    }
}

/// Writes or deletes each entry.
pub fn put_all(entries: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>, changes: &mut Changes) {
    for (key, value) in entries {
        match value {
            Some(value) => changes.put(&key, &value),
            None => changes.delete(&key),
        }
    }
}
