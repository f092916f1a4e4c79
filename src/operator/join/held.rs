//! The rows of a key that a join still needs, of both inputs, by time.
//!
//! Used by `interval` and `versioned`. Stored as, for each input: `rows (4)`, then for each row `time
//! (8) | watermark (8) | mark (1) | length (4) | row`, little-endian; rows are in the encoding of
//! `state::key`.

use std::collections::BTreeMap;

use crate::operator::OperatorError;
use crate::operator::keyed::KeyedValue;
use crate::time::{EventTime, Watermark};

/// A row that waits for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldRow {
    /// The watermark of its split before it.
    pub watermark: Watermark,
    /// What the join notes of it.
    pub mark: u8,
    pub row: Box<[u8]>,
}

/// Rows by time, for each input.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Held {
    pub inputs: [BTreeMap<EventTime, Vec<HeldRow>>; 2],
    bytes: usize,
}

/// What a row costs in memory besides its bytes.
const ROW_BYTES: usize = 96;

impl Held {
    pub fn add(&mut self, input: usize, time: EventTime, row: HeldRow) {
        self.bytes += row.row.len() + ROW_BYTES;
        self.inputs[input].entry(time).or_default().push(row);
    }

    /// Takes out the rows of an input before a time.
    pub(crate) fn take_before(&mut self, input: usize, time: EventTime) -> Vec<HeldRow> {
        let rest = self.inputs[input].split_off(&time);
        let gone = std::mem::replace(&mut self.inputs[input], rest);
        let gone: Vec<HeldRow> = gone.into_values().flatten().collect();
        self.bytes -= gone.iter().map(|r| r.row.len() + ROW_BYTES).sum::<usize>();
        gone
    }

    pub fn is_empty(&self) -> bool {
        self.inputs.iter().all(BTreeMap::is_empty)
    }
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*head)
}

fn read(mut bytes: &[u8]) -> Option<Held> {
    let mut held = Held::default();
    for input in 0..2 {
        let rows = u32::from_le_bytes(take(&mut bytes)?);
        for _ in 0..rows {
            let time = EventTime::at(i64::from_le_bytes(take(&mut bytes)?));
            let watermark = Watermark::at(i64::from_le_bytes(take(&mut bytes)?));
            let [mark] = take(&mut bytes)?;
            let length = u32::from_le_bytes(take(&mut bytes)?) as usize;
            let (row, rest) = bytes.split_at_checked(length)?;
            bytes = rest;
            held.add(input, time, HeldRow { watermark, mark, row: row.into() });
        }
    }
    bytes.is_empty().then_some(held)
}

impl KeyedValue for Held {
    type Types = ();

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes);
        for rows in &self.inputs {
            out.extend_from_slice(
                &(rows.values().map(Vec::len).sum::<usize>() as u32).to_le_bytes(),
            );
            for (time, row) in rows.iter().flat_map(|(t, rows)| rows.iter().map(move |r| (t, r))) {
                out.extend_from_slice(&time.ms().to_le_bytes());
                out.extend_from_slice(&row.watermark.ms().to_le_bytes());
                out.push(row.mark);
                out.extend_from_slice(&(row.row.len() as u32).to_le_bytes());
                out.extend_from_slice(&row.row);
            }
        }
        out
    }

    fn decode(bytes: &[u8], (): &()) -> Result<Held, OperatorError> {
        read(bytes).ok_or_else(|| OperatorError::damaged("rows of a join that are too short"))
    }

    fn memory_bytes(&self) -> usize {
        self.bytes + size_of::<Held>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_and_damage_is_an_error() {
        let mut held = Held::default();
        let row =
            |mark, row: &[u8]| HeldRow { watermark: Watermark::at(-7), mark, row: row.into() };
        held.add(0, EventTime::at(5), row(1, b"a"));
        held.add(0, EventTime::at(-5), row(0, b""));
        held.add(1, EventTime::at(5), row(3, b"bcd"));
        let bytes = held.encode();
        assert_eq!(Held::decode(&bytes, &()).expect("own bytes"), held);
        for cut in 0..bytes.len() {
            assert!(Held::decode(&bytes[..cut], &()).is_err());
        }
        assert_eq!(held.take_before(0, EventTime::at(5)), [row(0, b"")]);
        assert!(!held.is_empty() && held.take_before(0, EventTime::at(5)).is_empty());
    }
}
