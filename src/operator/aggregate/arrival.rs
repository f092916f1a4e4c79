//! Which row came first? The order that FIRST_VALUE, LAST_VALUE, LISTAGG and the like go by.
//!
//! Made by `window::table` and `session::aggregate` from what `event::Rows` knows of each row, read by the kernels. What
//! always holds: an [`Order`] is a function of the records of a split, never of batches, workers, crashes or speed, and
//! within a split it is the order of the records. Rows of several splits are in order of the splits' watermarks, then by
//! split: of two shards the one that is further in event time counts as later.
//!
//! Rows that a window fired come together; they are in order of their windows' ends, and within one of their values.

use crate::operator::event::Arrivals;

/// Bytes of an [`Order`].
pub const ORDER_BYTES: usize = 24;

/// A place in the order of arrival. Comparing the bytes compares the places. This is a stored format, version 1:
///
/// ```text
/// watermark of the split after the row, ms (8, sign bit flipped) | hash of the split (8) | number in the split (8)
/// ```
///
/// all big-endian. For rows of a window: its end, 0, 0.
pub type Order = [u8; ORDER_BYTES];

/// The places of the rows of a batch.
#[derive(Debug, Clone, Copy)]
pub enum Places<'a> {
    Split {
        split: u64,
        arrivals: &'a Arrivals,
    },
    /// All rows came together.
    Together {
        time_ms: i64,
    },
}

impl Places<'_> {
    #[inline]
    pub fn of(&self, row: usize) -> Order {
        match self {
            Places::Split { split, arrivals } => order(arrivals.times_ms[row], *split, arrivals.numbers[row]),
            Places::Together { time_ms } => order(*time_ms, 0, 0),
        }
    }
}

fn order(time_ms: i64, split: u64, number: u64) -> Order {
    let mut bytes = [0; ORDER_BYTES];
    bytes[..8].copy_from_slice(&(time_ms ^ i64::MIN).to_be_bytes());
    bytes[8..16].copy_from_slice(&split.to_be_bytes());
    bytes[16..].copy_from_slice(&number.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn bytes_sort_by_time_then_split_then_number() {
        let places = [(i64::MIN, 9, 0), (-1, 0, 5), (0, 1, 255), (0, 1, 256), (0, 2, 0), (7, 0, 0)];
        let bytes: Vec<_> = places.iter().map(|&(t, s, n)| order(t, s, n)).collect();
        assert!(bytes.is_sorted_by(|a, b| a < b), "{bytes:?}");
    }
}
