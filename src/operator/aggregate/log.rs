//! Accumulators that keep every value: one log of bytes for each group.
//!
//! Used by `listing` and `counted`. A partial aggregate is the log itself, so merging two is
//! appending one to the other. This is a stored format, version 1:
//!
//! ```text
//! log   = entry*
//! entry = length (4, big-endian) | bytes
//! ```

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray};
use arrow::datatypes::DataType;

use super::Selected;

#[derive(Default)]
pub(crate) struct Logs {
    logs: Vec<Log>,
    heap_bytes: usize,
}

#[derive(Default, Clone)]
struct Log {
    bytes: Vec<u8>,
    /// Length after the last compaction.
    compacted: usize,
}

/// Logs below this are not compacted: a page.
const COMPACT_FROM_BYTES: usize = 4096;

impl Logs {
    pub(crate) fn resize(&mut self, groups: usize) {
        self.logs.resize(groups, Log::default());
    }

    /// Appends an entry made of parts. True if the log has doubled since it was last compacted.
    #[inline]
    pub fn push(&mut self, g: usize, parts: &[&[u8]]) -> bool {
        let log = &mut self.logs[g];
        let before = log.bytes.capacity();
        let length: usize = parts.iter().map(|p| p.len()).sum();
        log.bytes.extend_from_slice(&(length as u32).to_be_bytes());
        for part in parts {
            log.bytes.extend_from_slice(part);
        }
        self.heap_bytes = self.heap_bytes + log.bytes.capacity() - before;
        log.is_long()
    }

    /// Appends whole logs; returns the groups whose logs have doubled.
    pub fn merge(&mut self, groups: &[u32], state: &ArrayRef) -> Vec<usize> {
        let state = state.as_binary::<i32>();
        let mut long = Vec::new();
        Selected::ALL.for_each(groups, state, |row, g| {
            let log = &mut self.logs[g];
            let before = log.bytes.capacity();
            log.bytes.extend_from_slice(state.value(row));
            self.heap_bytes = self.heap_bytes + log.bytes.capacity() - before;
            if log.is_long() {
                long.push(g);
            }
        });
        long
    }

    /// Empties a group's log.
    pub fn clear(&mut self, group: u32) {
        let old = std::mem::take(&mut self.logs[group as usize]);
        self.heap_bytes -= old.bytes.capacity();
    }

    pub fn state(&self, picks: &[u32]) -> ArrayRef {
        Arc::new(BinaryArray::from_iter_values(picks.iter().map(|&g| &self.logs[g as usize].bytes)))
    }

    pub(crate) fn state_types() -> Vec<DataType> {
        vec![DataType::Binary]
    }

    /// The entries of a group, in the order they were appended. Ends where a log is damaged.
    pub fn entries(&self, g: u32) -> impl Iterator<Item = &[u8]> {
        entries_of(&self.logs[g as usize].bytes)
    }

    /// Puts a shorter log with the same meaning in a log's place.
    pub(crate) fn compact(&mut self, g: usize, shorter: impl FnOnce(Vec<&[u8]>) -> Vec<Vec<u8>>) {
        let old = std::mem::take(&mut self.logs[g]);
        self.heap_bytes -= old.bytes.capacity();
        for entry in shorter(entries_of(&old.bytes).collect()) {
            self.push(g, &[&entry]);
        }
        self.logs[g].compacted = self.logs[g].bytes.len();
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.logs.capacity() * size_of::<Log>() + self.heap_bytes
    }
}

impl Log {
    fn is_long(&self) -> bool {
        self.bytes.len() > COMPACT_FROM_BYTES.max(2 * self.compacted)
    }
}

fn entries_of(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (entry, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after;
        Some(entry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_logs_hold_the_entries_of_both() {
        let (mut a, mut b) = (Logs::default(), Logs::default());
        a.resize(2);
        b.resize(1);
        a.push(1, &[b"x", b"yz"]);
        b.push(0, &[b""]);
        b.push(0, &[b"w"]);
        let long = a.merge(&[1], &b.state(&[0]));
        assert!(long.is_empty());
        assert_eq!(a.entries(1).collect::<Vec<_>>(), [&b"xyz"[..], b"", b"w"]);
        assert_eq!(a.entries(0).count(), 0);
    }

    #[test]
    fn a_log_that_doubled_asks_to_be_compacted() {
        let mut logs = Logs::default();
        logs.resize(1);
        let pushes = (0..5000).take_while(|_| !logs.push(0, &[b"12345678"])).count();
        assert_eq!(pushes, COMPACT_FROM_BYTES / 12);
        logs.compact(0, |entries| vec![entries.len().to_string().into_bytes()]);
        assert_eq!(logs.entries(0).collect::<Vec<_>>(), [(pushes + 1).to_string().as_bytes()]);
        assert!(!logs.push(0, &[b"12345678"]));
        assert_eq!(logs.heap_bytes, logs.logs[0].bytes.capacity());
    }
}
