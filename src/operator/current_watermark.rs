//! CURRENT_WATERMARK: gives each row the watermark that its split had before it, as a column.
//!
//! Stands before the filter or projection that asks, which takes the column away again. NULL before the first watermark.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::SchemaRef;

use super::{Context, Event, Operator, OperatorError, Rows};
use crate::time::MIN_TIME_MS;

pub struct CurrentWatermark {
    /// The input's columns, then the watermark.
    output: SchemaRef,
}

impl CurrentWatermark {
    pub fn new(output: SchemaRef) -> CurrentWatermark {
        CurrentWatermark { output }
    }

    fn add(&self, rows: &Rows) -> Result<Rows, arrow::error::ArrowError> {
        let known = |row: usize| rows.watermarks_ms.as_ref().map(|w| w[row]).filter(|&w| w > MIN_TIME_MS);
        let watermarks: TimestampMillisecondArray = (0..rows.len()).map(known).collect();
        let data_type = self.output.field(self.output.fields().len() - 1).data_type();
        let mut columns: Vec<ArrayRef> = rows.batch.columns().to_vec();
        columns.push(Arc::new(watermarks.with_data_type(data_type.clone())));
        Ok(rows.with_batch(RecordBatch::try_new(self.output.clone(), columns)?))
    }
}

impl Operator for CurrentWatermark {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        cx.out.push(match event {
            Event::Rows(rows) => {
                let added = self.add(&rows);
                Event::Rows(added.map_err(|e| OperatorError::Kernel { operator: "watermark".into(), reason: e.to_string() })?)
            }
            other => other,
        });
        Ok(())
    }

    fn schema(&self) -> SchemaRef {
        self.output.clone()
    }
}
