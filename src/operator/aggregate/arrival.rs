//! Which row came first? The order that FIRST_VALUE, LAST_VALUE, LISTAGG and the like go by.
//!
//! Made by `window::table` and `session::aggregate` from what `event::Rows` knows of each row, read by the kernels. What
//! always holds: an [`Order`] is a function of the records of a split, never of batches, workers, crashes or speed, and
//! within a split it is the order of the records. Rows of several splits are in order of the splits' watermarks, then by
//! split: of two shards the one that is further in event time counts as later.
//!
//! Rows that a window fired come together; they are in order of their windows' ends, and within one of their values.

use arrow::buffer::ScalarBuffer;

use crate::operator::event::Rows;
use crate::operator::window::slice::{WindowKind, WindowSpan, Windows};
use crate::time::EventTime;

/// Bytes of an [`Order`].
pub const ORDER_BYTES: usize = 32;

/// A place in the order of arrival. Comparing the bytes compares the places. This is a stored format, version 1:
///
/// ```text
/// part of the window (8) | watermark of the split after the row, ms (8) | hash of the split (8) | number in the split (8)
/// ```
///
/// all big-endian, the first two with the sign bit flipped. For rows of a window: its end, 0, 0.
pub type Order = [u8; ORDER_BYTES];

/// The parts that a window is put together from come one after the other, as in Flink.
#[derive(Debug, Clone)]
pub enum WindowPart {
    Whole,
    /// HOP: the newest slice comes first. The last end of the slice.
    Slice(i64),
    /// CUMULATE: step by step; a row that is late for its own step comes before the next step. Ends of the first step
    /// that shows the rows, and of each row's own step.
    Step {
        first: i64,
        own: Vec<i64>,
    },
}

impl WindowPart {
    pub fn of(windows: &Windows, span: WindowSpan, times_ms: impl Fn() -> ScalarBuffer<i64>) -> WindowPart {
        match windows.kind {
            WindowKind::Tumble { .. } | WindowKind::Fired => WindowPart::Whole,
            WindowKind::Hop { .. } => WindowPart::Slice(span.last.ms()),
            WindowKind::Cumulate { .. } => {
                let own = times_ms().iter().map(|&ts| windows.span(EventTime::at(ts)).unwrap_or(span).first.ms()).collect();
                WindowPart::Step { first: span.first.ms(), own }
            }
        }
    }

    fn number(&self, row: usize) -> i64 {
        match self {
            WindowPart::Whole => 0,
            WindowPart::Slice(last) => last.saturating_neg(),
            WindowPart::Step { first, own } => first.saturating_mul(2).saturating_add(i64::from(own[row] == *first)),
        }
    }
}

/// The places of the rows of a batch.
#[derive(Debug, Clone, Copy)]
pub struct ArrivalPlaces<'a> {
    part: &'a WindowPart,
    rows: &'a Rows,
}

impl<'a> ArrivalPlaces<'a> {
    pub fn new(rows: &'a Rows, part: &'a WindowPart) -> ArrivalPlaces<'a> {
        ArrivalPlaces { part, rows }
    }

    #[inline]
    pub fn of(&self, row: usize) -> Order {
        let part = self.part.number(row);
        match &self.rows.arrivals {
            Some(arrivals) => order(part, EventTime::at(arrivals.times_ms[row]), self.rows.split, arrivals.numbers[row]),
            None => order(part, self.rows.window_end.unwrap_or(EventTime::MIN), 0, 0),
        }
    }
}

fn order(part: i64, time: EventTime, split: u64, number: u64) -> Order {
    let mut bytes = [0; ORDER_BYTES];
    bytes[..8].copy_from_slice(&(part ^ i64::MIN).to_be_bytes());
    bytes[8..16].copy_from_slice(&time.to_bytes());
    bytes[16..24].copy_from_slice(&split.to_be_bytes());
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Watermark;

    #[test]
    fn bytes_sort_by_part_then_time_then_split_then_number() {
        let places = [
            (-5, 9, 9, 9),
            (0, i64::MIN, 9, 0),
            (0, -1, 0, 5),
            (0, 0, 1, 255),
            (0, 0, 1, 256),
            (0, 0, 2, 0),
            (0, 7, 0, 0),
            (1, 0, 0, 0),
        ];
        let bytes: Vec<_> = places.iter().map(|&(p, t, s, n)| order(p, EventTime::at(t), s, n)).collect();
        assert!(bytes.is_sorted_by(|a, b| a < b), "{bytes:?}");
    }

    #[test]
    fn newest_slices_and_oldest_steps_come_first() {
        let hop = Windows { kind: WindowKind::Hop { slide_ms: 10, size_ms: 30 }, offset_ms: 0 };
        let part = |windows: &Windows, ts: i64, watermark: i64| {
            let span = windows.span(EventTime::at(ts)).and_then(|s| windows.open(s, Watermark::at(watermark))).expect("in time");
            WindowPart::of(windows, span, || vec![ts].into()).number(0)
        };
        assert!(part(&hop, 15, 0) < part(&hop, 5, 0));
        assert_eq!(part(&hop, 5, 0), part(&hop, 5, 12));
        let cumulate = Windows { kind: WindowKind::Cumulate { step_ms: 10, size_ms: 30 }, offset_ms: 0 };
        let (first, late, second) = (part(&cumulate, 5, 0), part(&cumulate, 5, 12), part(&cumulate, 15, 12));
        assert!(first < late && late < second);
    }
}
