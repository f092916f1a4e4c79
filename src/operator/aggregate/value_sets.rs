//! Which values does a group have, and how many rows of each? Signed: a value may be taken back before it comes.
//!
//! Used by `counted` and `distinct`. What always holds: no value has zero rows; the result of any sequence of additions is
//! that of their sum, so sets are merged by adding; the size of all sets in memory is known without walking them, as it is
//! asked for at each step.
//!
//! A set is stored as `count (8) | length (4) | value` for each value, little-endian, values that have had rows for longer
//! first.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray};

use super::Turn;

/// What a value of a group costs in memory besides its bytes: its pointer, count and age, and its part of the tree's nodes.
const ENTRY_BYTES: usize = 56;

#[derive(Clone, Copy)]
struct Entry {
    count: i64,
    /// Grows with each value of the group that turns from none to some rows.
    since: u64,
}

/// Values in key encoding, which sorts as the values do.
#[derive(Default)]
struct ValueSet {
    values: BTreeMap<Box<[u8]>, Entry>,
    turns: u64,
}

impl ValueSet {
    /// The number of rows before and after.
    fn add(&mut self, value: &[u8], by: i64) -> (i64, i64) {
        let held = self.values.get_mut(value);
        let before = held.as_ref().map_or(0, |e| e.count);
        let after = before + by;
        let turned = before <= 0 && after > 0;
        self.turns += u64::from(turned);
        match held {
            _ if after == 0 => {
                self.values.remove(value);
            }
            Some(entry) => {
                entry.count = after;
                if turned {
                    entry.since = self.turns;
                }
            }
            None => {
                self.values.insert(value.into(), Entry { count: after, since: self.turns });
            }
        }
        (before, after)
    }

    fn write(&self) -> Vec<u8> {
        let mut entries: Vec<(&[u8], Entry)> = self.values.iter().map(|(value, entry)| (&**value, *entry)).collect();
        entries.sort_by_key(|(_, entry)| entry.since);
        let mut out = Vec::new();
        for (value, entry) in entries {
            out.extend_from_slice(&entry.count.to_le_bytes());
            out.extend_from_slice(&(value.len() as u32).to_le_bytes());
            out.extend_from_slice(value);
        }
        out
    }
}

/// The values of every group.
#[derive(Default)]
pub(super) struct ValueSets {
    groups: Vec<ValueSet>,
    heap_bytes: usize,
}

impl ValueSets {
    pub(super) fn resize(&mut self, groups: usize) {
        self.groups.resize_with(groups, ValueSet::default);
    }

    /// Adds `by` rows of a value. Returns the number before and after.
    pub(super) fn add(&mut self, group: usize, value: &[u8], by: i64) -> (i64, i64) {
        let (before, after) = self.groups[group].add(value, by);
        match (before, after) {
            (0, 0) => {}
            (0, _) => self.heap_bytes += value.len() + ENTRY_BYTES,
            (_, 0) => self.heap_bytes -= value.len() + ENTRY_BYTES,
            _ => {}
        }
        (before, after)
    }

    pub(super) fn clear(&mut self, group: u32) {
        let old = std::mem::take(&mut self.groups[group as usize]);
        self.heap_bytes -= old.values.keys().map(|value| value.len() + ENTRY_BYTES).sum::<usize>();
    }

    /// The values of a group that are there, lowest first, with their numbers of rows.
    pub(super) fn there(&self, group: u32) -> impl DoubleEndedIterator<Item = (&[u8], i64)> {
        self.groups[group as usize].values.iter().filter(|(_, e)| e.count > 0).map(|(value, e)| (&**value, e.count))
    }

    pub(super) fn write(&self, picks: &[u32]) -> ArrayRef {
        Arc::new(BinaryArray::from_iter_values(picks.iter().map(|&g| self.groups[g as usize].write())))
    }

    /// Adds stored sets to those of groups. Calls `turned(group, value, turn)` for each value that comes or goes.
    pub(super) fn read(&mut self, groups: &[u32], state: &ArrayRef, mut turned: impl FnMut(u32, &[u8], Turn)) {
        for (&g, bytes) in groups.iter().zip(state.as_binary::<i32>().iter()) {
            let mut bytes = bytes.unwrap_or_default();
            while let Some((count, rest)) = bytes.split_first_chunk::<8>()
                && let Some((length, rest)) = rest.split_first_chunk::<4>()
                && let Some((value, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)
            {
                let (before, after) = self.add(g as usize, value, i64::from_le_bytes(*count));
                if (before > 0) != (after > 0) {
                    turned(g, value, if after > 0 { Turn::Comes } else { Turn::Goes });
                }
                bytes = rest;
            }
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.groups.capacity() * size_of::<ValueSet>() + self.heap_bytes
    }
}
