//! Aggregates over ranges of rows.
//!
//! Each range is a group of its own for the kernels, and its rows are dealt to it: many ranges at
//! once, a bounded number of rows at a time. Works for every kernel, at a cost of the sum of all
//! ranges.

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat, take, take_record_batch};

use super::OverCall;
use crate::operator::aggregate::arrival::{ArrivalPlaces, WindowPart};
use crate::operator::aggregate::retracting::{Retraction, accumulators};
use crate::operator::aggregate::{Aggregate, Selected};
use crate::operator::event::Arrivals;
use crate::operator::{OperatorError, Rows};

/// Rows dealt to ranges at a time.
const DEALT_ROWS: usize = 65_536;

/// The rows of one result: a range of a list of rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameRange {
    /// The row it is for.
    pub row: u32,
    pub from: u32,
    pub to: u32,
    /// Where the key's rows begin in the list.
    pub key_from: u32,
}

/// The results of a call for each range of `list`, a list of rows of `rows`.
pub(crate) fn evaluate(
    call: &OverCall,
    rows: &RecordBatch,
    list: &[u32],
    ranges: &[FrameRange],
) -> Result<ArrayRef, OperatorError> {
    match call {
        OverCall::Aggregate(aggregate) => aggregated(aggregate, rows, list, ranges),
        OverCall::Lag { column, offset, default } => {
            let before = |r: &FrameRange| {
                let at = (r.to as usize - 1)
                    .checked_sub(*offset)
                    .filter(|&at| at >= r.key_from as usize);
                at.map(|at| list[at])
            };
            let picks: UInt32Array = ranges.iter().map(before).collect();
            let values = take(rows.column(*column), &picks, None)?;
            let Some(default) = default else { return Ok(values) };
            let own: UInt32Array = ranges.iter().map(|r| Some(r.row)).collect();
            let defaults = take(rows.column(*default), &own, None)?;
            // In the place of a NULL too.
            let found = arrow::compute::is_not_null(&values)?;
            arrow::compute::kernels::zip::zip(&found, &values, &defaults)
                .map_err(OperatorError::from)
        }
        OverCall::RowNumber | OverCall::Rank => {
            Err(OperatorError::kernel("a rank over a bounded frame"))
        }
    }
}

fn aggregated(
    aggregate: &Aggregate,
    rows: &RecordBatch,
    list: &[u32],
    ranges: &[FrameRange],
) -> Result<ArrayRef, OperatorError> {
    let mut parts: Vec<ArrayRef> = Vec::new();
    let mut from = 0;
    while from < ranges.len() {
        let (mut groups, mut picks): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        let mut to = from;
        while to < ranges.len() && (to == from || picks.len() < DEALT_ROWS) {
            let range = ranges[to];
            picks.extend_from_slice(&list[range.from as usize..range.to as usize]);
            groups.resize(picks.len(), (to - from) as u32);
            to += 1;
        }
        let numbers = (0..picks.len() as u64).collect();
        let times_ms = std::iter::repeat_n(0, picks.len()).collect();
        let dealt = take_record_batch(rows, &UInt32Array::from(picks))?;
        let dealt = Rows { arrivals: Some(Arrivals { times_ms, numbers }), ..Rows::new(dealt) };
        let mut accumulators = accumulators(aggregate, Retraction::Never);
        let kernel = accumulators.kernel_mut();
        kernel.resize(to - from);
        let columns = dealt.batch.columns();
        let selected =
            Selected::of(aggregate, columns, ArrivalPlaces::new(&dealt, &WindowPart::Whole));
        kernel.update(&groups, aggregate.argument.map(|a| &columns[a]), selected);
        parts.push(kernel.evaluate(&(0..(to - from) as u32).collect::<Vec<_>>())?);
        from = to;
    }
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    concat(&parts).map_err(OperatorError::from)
}
