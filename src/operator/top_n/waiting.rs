//! Rows that may be among the best of windows that are not over.
//!
//! Held by both operators of this folder. What always holds: of a window's rows there are the best, and of others not more than
//! [`UNPRUNED_ROWS_MAX`].

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::BinaryArray;
use arrow::record_batch::RecordBatch;

use super::TopNSpec;
use super::best::best_rows;
use crate::operator::aggregate::arrival::{ArrivalPlaces, WindowPart};
use crate::operator::{OperatorError, Rows};
use crate::time::EventTime;

/// Rows of a window kept unpruned, beyond what the limit needs.
const UNPRUNED_ROWS_MAX: usize = 65_536;

/// By the windows' ends.
#[derive(Default)]
pub(super) struct WaitingRows {
    windows: BTreeMap<EventTime, WindowBatches>,
}

#[derive(Default)]
struct WindowBatches {
    batches: Vec<RecordBatch>,
    /// Rows that came since the last pruning.
    rows: usize,
}

impl WaitingRows {
    pub fn add(&mut self, spec: &TopNSpec, end: EventTime, rows: Rows) -> Result<(), OperatorError> {
        let batch = if spec.by_arrival { with_places(spec, &rows)? } else { rows.batch };
        let window = self.windows.entry(end).or_default();
        window.rows += batch.num_rows();
        window.batches.push(batch);
        if window.rows > UNPRUNED_ROWS_MAX {
            let (pruned, _) = best_rows(spec, &window.batches)?;
            // Counting from zero again bounds the work where the limit keeps nearly everything.
            window.rows = 0;
            window.batches = vec![pruned];
        }
        Ok(())
    }

    /// The end of the first window.
    pub fn first(&self) -> Option<EventTime> {
        self.windows.keys().next().copied()
    }

    pub fn take(&mut self, end: EventTime) -> Vec<RecordBatch> {
        self.windows.remove(&end).map(|window| window.batches).unwrap_or_default()
    }

    pub fn memory_bytes(&self) -> usize {
        self.windows.values().flat_map(|window| &window.batches).map(RecordBatch::get_array_memory_size).sum()
    }
}

/// Rows with their place in the order of arrival as the last column.
fn with_places(spec: &TopNSpec, rows: &Rows) -> Result<RecordBatch, OperatorError> {
    let mut columns = rows.batch.columns().to_vec();
    if columns.len() < spec.input.fields().len() {
        let places = ArrivalPlaces::new(rows, &WindowPart::Whole);
        columns.push(Arc::new(BinaryArray::from_iter_values((0..rows.len()).map(|row| places.of(row)))));
    }
    Ok(RecordBatch::try_new(spec.input.clone(), columns)?)
}
