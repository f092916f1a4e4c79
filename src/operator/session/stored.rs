//! Fragments in the store: packed by the hundred, some key groups at a time.
//!
//! Used by `aggregate` at barriers, when memory runs short, and when a key group is needed again.
//! Everything of a key group is written anew each time, so an entry's place within its key group
//! (its ordinal) names it:
//!
//! ```text
//! table 0     key | start | end | start_watermark | split | accumulators
//! table i > 0 ordinal of the fragment (4 bytes, big-endian) | value of the i-th DISTINCT aggregate in key encoding
//! ```

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};

use super::SessionSpec;
use super::fragments::Fragment;
use crate::operator::aggregate::kernel;
use crate::operator::window::stored::{StoredTypes, StoredWriter};
use crate::operator::{Entries, OperatorError};
use crate::state::KeyGroup;
use crate::state::key::KeyBuf;
use crate::state::layout::{StateKind, StatePlace, StateTable};
use crate::state::store::Changes;
use crate::time::{EventTime, Watermark};

/// Columns of a fragment before its accumulators.
const OWN_COLUMNS: usize = 4;

pub fn place(spec: &SessionSpec) -> StatePlace {
    StatePlace::at(spec.operator, StateKind::Session, EventTime::at(0))
}

pub fn types(spec: &SessionSpec) -> StoredTypes {
    let own = std::iter::repeat_n(DataType::Int64, OWN_COLUMNS);
    StoredTypes::new(own.chain(spec.aggregates.iter().flat_map(|a| kernel(a).state_types())))
}

/// Fragments ordered by key group, with their keys and accumulators.
pub(crate) struct Packed {
    pub keys: KeyBuf,
    pub hashes: Vec<u64>,
    pub key_groups: Vec<KeyGroup>,
    pub fragments: Vec<Fragment>,
    pub states: Vec<ArrayRef>,
    /// For each DISTINCT aggregate: (index in `fragments`, value), ordered by the index.
    pub values: Vec<Vec<(usize, Box<[u8]>)>>,
}

impl Packed {
    pub fn write(self, spec: &SessionSpec, generation: u32, changes: &mut Changes) {
        debug_assert!(
            self.key_groups.is_sorted(),
            "fragments are numbered within their key groups"
        );
        let column = |f: fn(&Fragment) -> i64| {
            Arc::new(self.fragments.iter().map(f).collect::<Int64Array>()) as ArrayRef
        };
        let mut states = vec![
            column(|f| f.start.ms()),
            column(|f| f.end.ms()),
            column(|f| f.start_watermark.ms()),
            column(|f| f.split.cast_signed()),
        ];
        states.extend(self.states);
        let mut ordinals: Vec<u32> = Vec::with_capacity(self.fragments.len());
        for (i, group) in self.key_groups.iter().enumerate() {
            let is_first = i == 0 || self.key_groups[i - 1] != *group;
            ordinals.push(if is_first { 0 } else { ordinals[i - 1] + 1 });
        }
        let mut writer = StoredWriter::new(changes, place(spec), generation);
        for (i, values) in self.values.iter().enumerate().filter(|(_, v)| !v.is_empty()) {
            let mut keys = KeyBuf::default();
            let (mut hashes, mut key_groups) = (Vec::new(), Vec::new());
            for (fragment, value) in values {
                keys.push(&[&ordinals[*fragment].to_be_bytes(), &**value].concat());
                hashes.push(self.hashes[*fragment]);
                key_groups.push(self.key_groups[*fragment]);
            }
            writer.write(&Entries {
                table: StateTable::Side(i as u8),
                keys,
                hashes,
                key_groups,
                states: vec![],
            });
        }
        let Packed { keys, hashes, key_groups, .. } = self;
        writer.write(&Entries { table: StateTable::Main, keys, hashes, key_groups, states });
    }
}

/// The fragments of one stored value, without their keys' numbers.
pub(crate) fn fragments(partials: &Entries) -> Vec<Fragment> {
    let column = |i: usize| partials.states[i].as_primitive::<Int64Type>();
    let (starts, ends, marks, splits) = (column(0), column(1), column(2), column(3));
    let fragment = |i: usize| Fragment {
        key: 0,
        split: splits.value(i).cast_unsigned(),
        start: EventTime::at(starts.value(i)),
        end: EventTime::at(ends.value(i)),
        start_watermark: Watermark::at(marks.value(i)),
    };
    (0..partials.len()).map(fragment).collect()
}

/// The accumulators of one stored value.
pub(crate) fn states(partials: &Entries) -> &[ArrayRef] {
    &partials.states[OWN_COLUMNS..]
}

/// Ordinal and value of an entry of a DISTINCT set.
pub(crate) fn split_value(entry: &[u8]) -> Result<(u32, &[u8]), OperatorError> {
    let (ordinal, value) = entry
        .split_first_chunk::<4>()
        .ok_or_else(|| OperatorError::damaged("a DISTINCT value without its session"))?;
    Ok((u32::from_be_bytes(*ordinal), value))
}
