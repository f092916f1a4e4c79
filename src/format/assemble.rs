//! Decoded columns and metadata columns, put together in the order of the decoder's schema.
//!
//! Called by every decoder at the end of a batch. What always holds: a metadata column has the rows
//! of those records that were readable.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::record::RawBatch;

/// Where an output column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// Index among the columns decoded from the payload.
    Payload(usize),
    /// Index in `RawBatch::metadata`.
    Metadata(usize),
}

/// `records`: for each row the index of its record, None if row i is record i.
pub(super) fn assemble(
    schema: &SchemaRef,
    outputs: &[Output],
    payload: &[ArrayRef],
    raw: &RawBatch,
    rows: usize,
    records: Option<&[u32]>,
) -> Result<RecordBatch, String> {
    let kept = records.map(|records| UInt32Array::from(records.to_vec()));
    let mut arrays = Vec::with_capacity(outputs.len());
    for output in outputs {
        arrays.push(match *output {
            Output::Payload(column) => Arc::clone(&payload[column]),
            Output::Metadata(index) => {
                let array =
                    raw.metadata.get(index).ok_or("the source did not give a metadata column")?;
                match &kept {
                    None => Arc::clone(array),
                    Some(kept) => {
                        take(array, kept, None).map_err(|e| format!("metadata column: {e}"))?
                    }
                }
            }
        });
    }
    // The count is given apart: a query such as COUNT(*) may need no column at all.
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), arrays, &options).map_err(|e| e.to_string())
}
