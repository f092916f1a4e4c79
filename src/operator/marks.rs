//! Gives rows what is known of them beside their columns, as a column: the watermark before each, or the time of day.
//!
//! Stands before the filter or projection that asks with CURRENT_WATERMARK or a function of the clock, which takes the column
//! away again. The watermark is that of the row's split; NULL before the first one.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::SchemaRef;

use super::{Context, Event, Operator, OperatorError, Rows};
use crate::time::MIN_TIME_MS;

/// What the column says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Watermark,
    /// Processing time: the same for all rows of a batch.
    Now,
}

pub struct Marks {
    mark: Mark,
    /// The input's columns, then the mark.
    output: SchemaRef,
}

impl Marks {
    pub fn new(mark: Mark, output: SchemaRef) -> Marks {
        Marks { mark, output }
    }

    fn add(&self, rows: &Rows, now_ms: i64) -> Result<Rows, arrow::error::ArrowError> {
        let marks: TimestampMillisecondArray = match self.mark {
            Mark::Watermark => {
                let known = |row: usize| rows.watermarks_ms.as_ref().map(|w| w[row]).filter(|&w| w > MIN_TIME_MS);
                (0..rows.len()).map(known).collect()
            }
            Mark::Now => TimestampMillisecondArray::from_value(now_ms, rows.len()),
        };
        let data_type = self.output.field(self.output.fields().len() - 1).data_type();
        let mut columns: Vec<ArrayRef> = rows.batch.columns().to_vec();
        columns.push(Arc::new(marks.with_data_type(data_type.clone())));
        Ok(rows.with_batch(RecordBatch::try_new(self.output.clone(), columns)?))
    }
}

impl Operator for Marks {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        cx.out.push(match event {
            Event::Rows(rows) => {
                let added = self.add(&rows, cx.now_ms);
                Event::Rows(added.map_err(|e| OperatorError::Kernel { operator: "marks".into(), reason: e.to_string() })?)
            }
            other => other,
        });
        Ok(())
    }

    fn schema(&self) -> SchemaRef {
        self.output.clone()
    }
}
