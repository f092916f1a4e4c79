//! COLLECT: a MULTISET of all values, as a map of each to how often it was seen. NULLs are skipped;
//! without values it is empty.
//!
//! Entries of the log are a count (8 bytes, big-endian) and a value in key encoding. What always
//! holds: the order of entries does not matter, and entries of one value may be added up at any
//! time.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, MapArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::log::Logs;
use super::{Kernel, Selected};
use crate::map_keys;
use crate::operator::OperatorError;
use crate::state::key::{KeyBuf, decode_keys, encode_keys};

/// `output` is a map of the input's type to INT.
pub(crate) fn kernel(input: &DataType, output: &DataType) -> Box<dyn Kernel> {
    Box::new(Collect {
        logs: Logs::default(),
        encoded: KeyBuf::default(),
        input: input.clone(),
        output: output.clone(),
    })
}

struct Collect {
    logs: Logs,
    /// Reused between batches.
    encoded: KeyBuf,
    input: DataType,
    output: DataType,
}

impl Collect {
    fn compact(&mut self, g: usize) {
        let entry = |(value, times): (&[u8], i64)| [&times.to_be_bytes(), value].concat();
        self.logs
            .compact(g, |entries| added_up(entries.into_iter()).into_iter().map(entry).collect());
    }
}

/// Every value once with how often it was seen.
fn added_up<'a>(entries: impl Iterator<Item = &'a [u8]>) -> BTreeMap<&'a [u8], i64> {
    let mut counts = BTreeMap::new();
    for (times, value) in entries.filter_map(|e| e.split_first_chunk::<8>()) {
        let count: &mut i64 = counts.entry(value).or_default();
        *count = count.saturating_add(i64::from_be_bytes(*times));
    }
    counts
}

/// A multiset for each group, given its values and how often each is there. `output` is a map of
/// the input's type to INT.
pub(super) fn multisets<'a, V>(
    groups: impl Iterator<Item = V>,
    input: &DataType,
    output: &DataType,
) -> Result<ArrayRef, OperatorError>
where
    V: Iterator<Item = (&'a [u8], i64)>,
{
    let (mut lengths, mut values, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for group in groups {
        let before = values.len();
        for (value, n) in group {
            values.push(value);
            times.push(i32::try_from(n).unwrap_or(i32::MAX));
        }
        lengths.push(values.len() - before);
    }
    let values = decode_keys(std::slice::from_ref(input), values.into_iter())?.remove(0);
    let map = || {
        let DataType::Map(entries, sorted) = output else {
            return Err(ArrowError::SchemaError(format!("COLLECT gives no {output}")));
        };
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(ArrowError::SchemaError(format!("a map without entries: {output}")));
        };
        let columns = vec![map_keys::wrap(values)?, Arc::new(Int32Array::from(times))];
        let pairs = StructArray::try_new(fields.clone(), columns, None)?;
        MapArray::try_new(
            entries.clone(),
            OffsetBuffer::from_lengths(lengths),
            pairs,
            None,
            *sorted,
        )
    };
    let map = map()?;
    Ok(Arc::new(map))
}

impl Kernel for Collect {
    fn resize(&mut self, groups: usize) {
        self.logs.resize(groups);
    }
    fn clear(&mut self, group: u32) {
        self.logs.clear(group);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        let Some(argument) = argument else { return };
        let mut encoded = std::mem::take(&mut self.encoded);
        encode_keys(std::slice::from_ref(argument), argument.len(), &mut encoded);
        rows.for_each(groups, argument, |row, g| {
            if self.logs.push(g, &[&1i64.to_be_bytes(), encoded.get(row)]) {
                self.compact(g);
            }
        });
        self.encoded = encoded;
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        for g in self.logs.merge(groups, &state[0]) {
            self.compact(g);
        }
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        vec![self.logs.state(picks)]
    }
    fn state_types(&self) -> Vec<DataType> {
        Logs::state_types()
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        let groups: Vec<BTreeMap<&[u8], i64>> =
            picks.iter().map(|&g| added_up(self.logs.entries(g))).collect();
        multisets(
            groups.iter().map(|counts| counts.iter().map(|(value, n)| (*value, *n))),
            &self.input,
            &self.output,
        )
    }
    fn memory_bytes(&self) -> usize {
        self.logs.memory_bytes()
    }
}
