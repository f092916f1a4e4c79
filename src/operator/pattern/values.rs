//! What do conditions and measures see? Values of the rows that a match has so far.

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take;

use super::partial::Matched;
use super::{Reference, What};
use crate::operator::OperatorError;
use crate::operator::over::OverCall;
use crate::operator::over::frames::{FrameRange, evaluate};

/// Where the rows of a key are in a batch: those that were kept, then those that come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    /// The number of the first row that was kept.
    pub first: u64,
    /// The number of the first row that comes.
    pub next: u64,
    /// Where those rows are.
    pub kept_at: u32,
    pub coming_at: u32,
}

impl Places {
    pub fn of(&self, number: u64) -> u32 {
        debug_assert!(number >= self.first, "a row is asked for that was forgotten");
        if number < self.next {
            self.kept_at + (number - self.first) as u32
        } else {
            self.coming_at + (number - self.next) as u32
        }
    }
}

/// The values of a reference, one for each match; `rows` has the rows of all of them.
pub(crate) fn values(
    reference: &Reference,
    rows: &RecordBatch,
    matches: &[(Places, &Matched)],
) -> Result<ArrayRef, OperatorError> {
    match &reference.what {
        What::Nth { column, offset, from_end } => {
            let place = |(places, matched): &(Places, &Matched)| {
                matched.nth(reference.variable, *offset, *from_end).map(|number| places.of(number))
            };
            let picks: UInt32Array = matches.iter().map(place).collect();
            let column = rows.column(*column);
            if picks.null_count() == picks.len() {
                return Ok(new_null_array(column.data_type(), picks.len()));
            }
            Ok(take(column, &picks, None)?)
        }
        What::Aggregate(aggregate) => {
            let mut list: Vec<u32> = Vec::new();
            let mut ranges = Vec::with_capacity(matches.len());
            for (places, matched) in matches {
                let from = list.len() as u32;
                for (first, end) in matched.rows(reference.variable) {
                    list.extend((first..end).map(|number| places.of(number)));
                }
                ranges.push(FrameRange { row: 0, from, to: list.len() as u32, key_from: from });
            }
            evaluate(&OverCall::Aggregate(aggregate.clone()), rows, &list, &ranges)
        }
    }
}
