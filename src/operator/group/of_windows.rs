//! What is kept of a group because it belongs to a window: when that ends, and what was sent of its
//! result.
//!
//! A column of [`KeyedGroups`] where rows belong to windows, used by `windowed`. What always holds:
//! a group with rows knows the end of its window, under which the index in the store has it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};

use super::keyed::{Beside, KeyedGroups};
use crate::operator::OperatorError;
use crate::state::KeyGroup;
use crate::state::layout::{KeyedKind, keyed, keyed_rest};
use crate::state::store::{Changes, StateDb};
use crate::time::EventTime;

/// Per group in memory.
#[derive(Default)]
pub(crate) struct OfWindows {
    /// The end of the group's window. None: it was asked for by its key and is not there.
    ends: Vec<Option<EventTime>>,
    sent: Vec<Sent>,
}

/// What was sent of a group's result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Sent {
    #[default]
    Nothing,
    /// The result as it is now.
    Current,
    /// An older one, packed.
    Older(Vec<u8>),
}

impl Sent {
    fn code(&self) -> i64 {
        match self {
            Sent::Nothing => 0,
            Sent::Current => 1,
            Sent::Older(_) => 2,
        }
    }
}

/// Stored as `end (BIGINT) | sent (BIGINT) | the older row (BYTES)`.
impl Beside for OfWindows {
    fn resize(&mut self, groups: usize) {
        self.ends.resize(groups, None);
        self.sent.resize(groups, Sent::Nothing);
    }

    fn types() -> Vec<DataType> {
        vec![DataType::Int64, DataType::Int64, DataType::Binary]
    }

    fn read(&mut self, group: usize, columns: &[ArrayRef]) {
        let number = |column: usize| columns[column].as_primitive::<Int64Type>().value(0);
        self.ends[group] = Some(EventTime::at(number(0)));
        self.sent[group] = match number(1) {
            0 => Sent::Nothing,
            1 => Sent::Current,
            _ => Sent::Older(columns[2].as_binary::<i32>().value(0).to_vec()),
        };
    }

    fn columns(&self, group: usize) -> Vec<ArrayRef> {
        debug_assert!(self.ends[group].is_some(), "a group is stored whose window is not known");
        let number = |n: i64| Arc::new(Int64Array::from(vec![n])) as ArrayRef;
        let older = if let Sent::Older(row) = &self.sent[group] { row.as_slice() } else { &[] };
        let end = self.ends[group].unwrap_or(EventTime::MIN);
        vec![
            number(end.ms()),
            number(self.sent[group].code()),
            Arc::new(BinaryArray::from_vec(vec![older])),
        ]
    }

    fn indexed_at(&self, group: usize) -> Option<EventTime> {
        self.ends[group]
    }

    fn memory_bytes(&self) -> usize {
        self.ends.capacity() * size_of::<Option<EventTime>>()
            + self.sent.capacity() * size_of::<Sent>()
    }
}

impl KeyedGroups<OfWindows> {
    /// The end of a group's window; None if it is not known.
    pub fn end(&self, group: u32) -> Option<EventTime> {
        self.beside().ends[group as usize]
    }

    pub(crate) fn set_end(&mut self, group: u32, end: EventTime) {
        let known = &mut self.beside_mut().ends[group as usize];
        debug_assert!(
            known.is_none_or(|known| known == end),
            "a group moves from one window to another"
        );
        *known = Some(end);
    }

    pub fn sent(&self, group: u32) -> &Sent {
        &self.beside().sent[group as usize]
    }

    pub(crate) fn set_sent(&mut self, group: u32, sent: Sent) {
        let held = &mut self.beside_mut().sent[group as usize];
        if *held != sent {
            *held = sent;
            self.mark(group);
        }
    }

    /// Calls `f` with the window's end and the key of each stored group of a key group, for windows
    /// that end from `from` to `to`.
    pub(crate) fn scan_windows(
        &self,
        key_group: KeyGroup,
        (from, to): (EventTime, EventTime),
        db: &StateDb,
        mut f: impl FnMut(EventTime, &[u8]),
    ) -> Result<(), OperatorError> {
        let place = |end: EventTime| {
            let mut out = Vec::new();
            keyed(self.operator(), KeyedKind::Expiry, key_group, &end.to_bytes(), &mut out);
            out
        };
        let (from, to) = (place(from), place(to.later(1)));
        db.scan(&from, &to, |key, _| {
            let rest = keyed_rest(key).and_then(|rest| rest.split_first_chunk::<8>());
            let (end, key) =
                rest.ok_or_else(|| OperatorError::damaged("a window's index entry"))?;
            f(EventTime::from_bytes(*end), key);
            Ok::<_, OperatorError>(())
        })
    }

    /// Forgets groups whose window is over, in memory alone. Only while nothing is frozen.
    pub(crate) fn remove_over(&mut self, groups: &[u32]) {
        groups.iter().for_each(|&group| self.remove(group));
    }

    /// Forgets groups whose window is over, and what the store has of them. Only while nothing is
    /// frozen.
    pub(crate) fn remove_stored(&mut self, groups: &[u32], changes: &mut Changes) {
        for &group in groups {
            changes.delete(&self.store_key(group));
            if let Some(index) = self.index_key(group) {
                changes.delete(&index);
            }
            self.remove(group);
        }
    }
}
