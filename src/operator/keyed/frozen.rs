//! What a checkpoint still has to take up: entries written at a barrier and not yet in the store.
//!
//! Used by the caches of keyed state. What always holds: entries go to the store as they were at
//! the barrier, whatever happens to their keys meanwhile.

use crate::state::store::Changes;

/// A key of the store with its new value; None deletes it.
pub type Entry = (Vec<u8>, Option<Vec<u8>>);

#[derive(Default)]
pub(crate) struct Frozen {
    entries: Vec<Entry>,
    bytes: usize,
}

/// Entries that are written in one step.
const STEP: usize = 4096;
/// What an entry costs in memory besides its bytes.
const ENTRY_BYTES: usize = 48;

impl Frozen {
    pub fn extend(&mut self, entries: Vec<Entry>) {
        self.bytes += entries
            .iter()
            .map(|(k, v)| k.len() + v.as_ref().map_or(0, Vec::len) + ENTRY_BYTES)
            .sum::<usize>();
        self.entries.extend(entries);
    }

    /// Adds some entries to `changes`; true when none is left.
    pub fn write(&mut self, changes: &mut Changes) -> bool {
        let from = self.entries.len().saturating_sub(STEP);
        put_all(self.entries.drain(from..), changes);
        if self.entries.is_empty() {
            self.bytes = 0;
        }
        self.entries.is_empty()
    }

    /// True if a checkpoint has taken up everything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes
    }
}

/// Writes or deletes each entry.
pub(crate) fn put_all(entries: impl IntoIterator<Item = Entry>, changes: &mut Changes) {
    for (key, value) in entries {
        match value {
            Some(value) => changes.put(&key, &value),
            None => changes.delete(&key),
        }
    }
}
