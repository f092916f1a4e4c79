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
use crate::time::EventTime;

#[derive(Debug, Clone)]
pub struct Tail {
    pub lateness: Lateness,
    /// In order; the columns that the functions read, their time in front.
    pub rows: RecordBatch,
}

fn time(input: &mut &[u8]) -> Option<EventTime> {
    let (head, rest) = input.split_first_chunk::<8>()?;
    *input = rest;
    Some(EventTime::at(i64::from_le_bytes(*head)))
}

fn lateness(input: &mut &[u8]) -> Option<Lateness> {
    let (last, clear) = (time(input)?, time(input)?);
    let (count, rest) = input.split_first_chunk::<4>()?;
    *input = rest;
    let timers = (0..u32::from_le_bytes(*count)).map(|_| time(input)).collect::<Option<_>>()?;
    Some(Lateness { last, clear: Some(clear).filter(|&c| c < EventTime::MAX), timers })
}

impl KeyedValue for Tail {
    type Types = SchemaRef;

    fn encode(&self) -> Vec<u8> {
        let Lateness { last, clear, timers } = &self.lateness;
        let mut out = last.ms().to_le_bytes().to_vec();
        out.extend_from_slice(&clear.unwrap_or(EventTime::MAX).ms().to_le_bytes());
        out.extend_from_slice(&(timers.len() as u32).to_le_bytes());
        timers.iter().for_each(|t| out.extend_from_slice(&t.ms().to_le_bytes()));
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
        self.rows.get_array_memory_size() + self.lateness.timers.capacity() * 8 + size_of::<Tail>()
    }
}
