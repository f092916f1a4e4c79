//! What is kept of a key between its rows: the rows that partial matches hold, and how far these
//! have come.
//!
//! Stored as, little-endian:
//!
//! ```text
//! first (8) | rows (4) | rows * (length (4) | row)       the rows that something needs, by number from `first` on
//! partial matches (4) | each: state (2) | since (8) | matched
//! matches that wait (4) | each: matched
//! matched = start (8) | runs (4) | runs * (variable (2) | rows (8))
//! ```

use std::collections::VecDeque;

use super::partial::{Matched, Partial, Partials, Run};
use crate::operator::OperatorError;
use crate::operator::keyed::KeyedValue;
use crate::time::EventTime;

/// The state of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KeyState {
    /// The number of the first row in `rows`; rows of a key are numbered as they are looked at.
    pub first: u64,
    /// As `state::key` encodes them.
    pub rows: VecDeque<Box<[u8]>>,
    pub partials: Partials,
}

/// What a row, and a partial match, cost in memory besides their bytes.
const ITEM_BYTES: usize = 64;

impl KeyState {
    /// The number of the next row.
    pub fn next(&self) -> u64 {
        self.first + self.rows.len() as u64
    }

    /// Forgets the rows that nothing needs.
    pub fn trim(&mut self) {
        let needed = self.partials.first_needed().unwrap_or_else(|| self.next());
        debug_assert!(needed >= self.first, "a row that is needed was forgotten");
        self.rows.drain(..(needed - self.first) as usize);
        self.first = needed;
    }
}

fn put_matched(matched: &Matched, out: &mut Vec<u8>) {
    out.extend_from_slice(&matched.start.to_le_bytes());
    out.extend_from_slice(&(matched.runs.len() as u32).to_le_bytes());
    for run in &matched.runs {
        out.extend_from_slice(&(run.variable as u16).to_le_bytes());
        out.extend_from_slice(&run.rows.to_le_bytes());
    }
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*head)
}

fn take_matched(input: &mut &[u8]) -> Option<Matched> {
    let start = u64::from_le_bytes(take(input)?);
    let mut runs = Vec::new();
    for _ in 0..u32::from_le_bytes(take(input)?) {
        let variable = usize::from(u16::from_le_bytes(take(input)?));
        runs.push(Run { variable, rows: u64::from_le_bytes(take(input)?) });
    }
    Some(Matched { start, runs })
}

fn read(mut input: &[u8]) -> Option<KeyState> {
    let mut state =
        KeyState { first: u64::from_le_bytes(take(&mut input)?), ..KeyState::default() };
    for _ in 0..u32::from_le_bytes(take(&mut input)?) {
        let length = u32::from_le_bytes(take(&mut input)?) as usize;
        let (row, rest) = input.split_at_checked(length)?;
        input = rest;
        state.rows.push_back(row.into());
    }
    for _ in 0..u32::from_le_bytes(take(&mut input)?) {
        let id = u16::from_le_bytes(take(&mut input)?);
        let since = EventTime::at(i64::from_le_bytes(take(&mut input)?));
        let matched = take_matched(&mut input)?;
        state.partials.open.push(Partial { state: id, since, matched });
    }
    for _ in 0..u32::from_le_bytes(take(&mut input)?) {
        state.partials.complete.push(take_matched(&mut input)?);
    }
    input.is_empty().then_some(state)
}

impl KeyedValue for KeyState {
    type Types = ();

    fn encode(&self) -> Vec<u8> {
        let mut out = self.first.to_le_bytes().to_vec();
        out.extend_from_slice(&(self.rows.len() as u32).to_le_bytes());
        for row in &self.rows {
            out.extend_from_slice(&(row.len() as u32).to_le_bytes());
            out.extend_from_slice(row);
        }
        out.extend_from_slice(&(self.partials.open.len() as u32).to_le_bytes());
        for partial in &self.partials.open {
            out.extend_from_slice(&partial.state.to_le_bytes());
            out.extend_from_slice(&partial.since.ms().to_le_bytes());
            put_matched(&partial.matched, &mut out);
        }
        out.extend_from_slice(&(self.partials.complete.len() as u32).to_le_bytes());
        self.partials.complete.iter().for_each(|matched| put_matched(matched, &mut out));
        out
    }

    fn decode(bytes: &[u8], (): &()) -> Result<KeyState, OperatorError> {
        read(bytes).ok_or_else(|| OperatorError::damaged("partial matches that are too short"))
    }

    fn memory_bytes(&self) -> usize {
        let rows: usize = self.rows.iter().map(|row| row.len() + ITEM_BYTES).sum();
        let runs = |matched: &Matched| ITEM_BYTES + matched.runs.len() * size_of::<Run>();
        let open: usize = self.partials.open.iter().map(|p| runs(&p.matched)).sum();
        rows + open + self.partials.complete.iter().map(runs).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_and_damage_is_an_error() {
        let matched = |start| Matched {
            start,
            runs: vec![Run { variable: 3, rows: 2 }, Run { variable: 0, rows: 1 }],
        };
        let open = vec![Partial { state: 7, since: EventTime::at(-5), matched: matched(9) }];
        let mut state = KeyState {
            first: 8,
            rows: [&b"x"[..], b"", b"abc"].map(Into::into).into(),
            partials: Partials { open, complete: vec![matched(10)] },
        };
        let bytes = state.encode();
        assert_eq!(KeyState::decode(&bytes, &()).expect("own bytes"), state);
        for cut in 0..bytes.len() {
            assert!(KeyState::decode(&bytes[..cut], &()).is_err());
        }
        state.trim();
        assert_eq!((state.first, state.rows.len(), state.next()), (9, 2, 11));
        state.partials = Partials::default();
        state.trim();
        assert_eq!((state.first, state.rows.len()), (11, 0));
    }
}
