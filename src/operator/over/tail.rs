//! What later rows of a key can still need: its newest rows, and what decides whether a late one is taken.
//!
//! Stored as `last (8) | clear (8) | timers (4) | timer (8) * timers | packed columns`, little-endian; no clearing time is the
//! largest number.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};

use super::lateness::Lateness;
use crate::operator::OperatorError;
use crate::operator::keyed::KeyedValue;
use crate::state::packed::{pack, unpack};

#[derive(Debug, Clone)]
pub struct Tail {
    pub lateness: Lateness,
    /// In order; the columns that the functions read, their time in front.
    pub rows: RecordBatch,
}

fn number(input: &mut &[u8]) -> Option<i64> {
    let (head, rest) = input.split_first_chunk::<8>()?;
    *input = rest;
    Some(i64::from_le_bytes(*head))
}

fn lateness(input: &mut &[u8]) -> Option<Lateness> {
    let (last_ms, clear_ms) = (number(input)?, number(input)?);
    let (count, rest) = input.split_first_chunk::<4>()?;
    *input = rest;
    let timers_ms = (0..u32::from_le_bytes(*count)).map(|_| number(input)).collect::<Option<_>>()?;
    Some(Lateness { last_ms, clear_ms: Some(clear_ms).filter(|&c| c < i64::MAX), timers_ms })
}

impl KeyedValue for Tail {
    type Types = SchemaRef;

    fn encode(&self) -> Vec<u8> {
        let Lateness { last_ms, clear_ms, timers_ms } = &self.lateness;
        let mut out = last_ms.to_le_bytes().to_vec();
        out.extend_from_slice(&clear_ms.unwrap_or(i64::MAX).to_le_bytes());
        out.extend_from_slice(&(timers_ms.len() as u32).to_le_bytes());
        timers_ms.iter().for_each(|t| out.extend_from_slice(&t.to_le_bytes()));
        pack(self.rows.columns(), self.rows.num_rows(), &mut out);
        out
    }

    fn decode(bytes: &[u8], schema: &SchemaRef) -> Result<Tail, OperatorError> {
        let mut rest = bytes;
        let lateness = lateness(&mut rest).ok_or_else(|| OperatorError::damaged("a short row tail"))?;
        let types: Vec<DataType> = schema.fields().iter().map(|f| f.data_type().clone()).collect();
        let rows = RecordBatch::try_new(schema.clone(), unpack(rest, &types)?);
        Ok(Tail { lateness, rows: rows.map_err(OperatorError::damaged)? })
    }

    fn memory_bytes(&self) -> usize {
        self.rows.get_array_memory_size() + self.lateness.timers_ms.capacity() * 8 + size_of::<Tail>()
    }
}
