//! FIRST_VALUE and LAST_VALUE: the value that came first or last. NULLs are skipped; NULL if there was no other.
//!
//! With DISTINCT a value counts where it came first: FIRST_VALUE is the same then, and LAST_VALUE needs all values and is
//! done by `listing`. What always holds: equal places have their values compared, so partials merge in any order.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray};
use arrow::datatypes::DataType;

use super::arrival::ORDER_BYTES;
use super::{Kernel, Selected};
use crate::operator::OperatorError;
use crate::state::key::{KeyBuf, decode_keys, encode_keys};

/// Which value of a group is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    First,
    Last,
}

pub fn kernel(data_type: &DataType, side: Side) -> Box<dyn Kernel> {
    Box::new(Edge { held: vec![], heap_bytes: 0, encoded: KeyBuf::default(), data_type: data_type.clone(), side })
}

struct Edge {
    /// Place and value in key encoding, by group. Comparing bytes compares places. Empty if there is none yet: no place is
    /// that short, and an Option would be looked at for each row.
    held: Vec<Vec<u8>>,
    heap_bytes: usize,
    /// Reused between batches.
    encoded: KeyBuf,
    data_type: DataType,
    side: Side,
}

impl Edge {
    fn offer(&mut self, g: usize, place: &[u8], value: &[u8]) {
        let held = &mut self.held[g];
        let better = held.is_empty() || {
            let (held_place, held_value) = held.split_at(ORDER_BYTES);
            ((place, value) > (held_place, held_value)) == (self.side == Side::Last)
        };
        if better {
            let before = held.capacity();
            held.clear();
            held.extend_from_slice(place);
            held.extend_from_slice(value);
            self.heap_bytes = self.heap_bytes + held.capacity() - before;
        }
    }
}

impl Kernel for Edge {
    fn resize(&mut self, groups: usize) {
        self.held.resize(groups, Vec::new());
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        let (Some(argument), Some(places)) = (argument, rows.places()) else { return };
        let mut encoded = std::mem::take(&mut self.encoded);
        encode_keys(std::slice::from_ref(argument), argument.len(), &mut encoded);
        rows.for_each(groups, argument, |row, g| self.offer(g, &places.of(row), encoded.get(row)));
        self.encoded = encoded;
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        let held = state[0].as_binary::<i32>();
        Selected::ALL.for_each(groups, held, |row, g| {
            if let Some((place, value)) = held.value(row).split_at_checked(ORDER_BYTES) {
                self.offer(g, place, value);
            }
        });
    }
    fn clear(&mut self, group: u32) {
        let held = std::mem::take(&mut self.held[group as usize]);
        self.heap_bytes -= held.capacity();
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        let held = picks.iter().map(|&g| Some(self.held[g as usize].as_slice()).filter(|h| !h.is_empty()));
        vec![Arc::new(held.collect::<BinaryArray>())]
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Binary]
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        let none = null_key(&self.data_type);
        let values = picks.iter().map(|&g| self.held[g as usize].get(ORDER_BYTES..).unwrap_or(&none));
        Ok(decode_keys(std::slice::from_ref(&self.data_type), values)?.remove(0))
    }
    fn memory_bytes(&self) -> usize {
        self.held.capacity() * size_of::<Vec<u8>>() + self.heap_bytes
    }
}

/// NULL in key encoding.
pub(super) fn null_key(data_type: &DataType) -> Vec<u8> {
    let mut key = KeyBuf::default();
    encode_keys(&[arrow::array::new_null_array(data_type, 1)], 1, &mut key);
    key.bytes
}
