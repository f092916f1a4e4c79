//! Which format is a sink written in? One encoder for all of them.
//!
//! Made by `connect` from a table's options, called by sinks that write text. A new format adds a
//! line to each `match`.

use std::ops::Range;

use arrow::array::{Array, BooleanArray};
use arrow::compute::{filter_record_batch, is_not_null};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::csv::{CsvEncoder, CsvOptions};
use super::json::{EncodeOptions, JsonEncoder};
use super::raw::{RawEncoder, RawOptions};

/// A format with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EncodeFormat {
    Json(EncodeOptions),
    Csv(CsvOptions),
    Raw(RawOptions),
}

/// The table has a column that the format cannot hold: the query is wrong (exit code 2).
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct EncodeError(String);

/// Writes batches of one schema, each row with a line feed.
pub(crate) enum RowEncoder {
    Json(JsonEncoder),
    Csv(CsvEncoder),
    Raw(RawEncoder),
}

impl From<EncodeOptions> for EncodeFormat {
    fn from(options: EncodeOptions) -> EncodeFormat {
        EncodeFormat::Json(options)
    }
}

impl EncodeFormat {
    pub fn encoder(&self, schema: &SchemaRef) -> Result<RowEncoder, EncodeError> {
        Ok(match self {
            EncodeFormat::Json(options) => RowEncoder::Json(
                JsonEncoder::new(schema, *options).map_err(|e| EncodeError(e.to_string()))?,
            ),
            EncodeFormat::Csv(options) => RowEncoder::Csv(
                CsvEncoder::new(schema, options.clone()).map_err(|e| EncodeError(e.to_string()))?,
            ),
            EncodeFormat::Raw(options) => RowEncoder::Raw(
                RawEncoder::new(schema, *options).map_err(|e| EncodeError(e.to_string()))?,
            ),
        })
    }

    /// How names of files in this format end.
    pub fn extension(&self) -> &'static str {
        match self {
            EncodeFormat::Json(_) => "jsonl",
            EncodeFormat::Csv(_) => "csv",
            EncodeFormat::Raw(_) => "raw",
        }
    }
}

impl RowEncoder {
    pub(crate) fn encode_rows(
        &mut self,
        batch: &RecordBatch,
        rows: Range<usize>,
        out: &mut Vec<u8>,
    ) {
        match self {
            RowEncoder::Json(encoder) => encoder.encode_rows(batch, rows, out),
            RowEncoder::Csv(encoder) => encoder.encode_rows(batch, rows, out),
            RowEncoder::Raw(encoder) => encoder.encode_rows(batch, rows, out),
        }
    }

    /// The rows that the format has a form for, and the number of the others. None if that is all
    /// of them.
    pub(crate) fn writable(&self, batch: &RecordBatch) -> Option<(RecordBatch, usize)> {
        if !matches!(self, RowEncoder::Raw(_)) || batch.column(0).null_count() == 0 {
            return None;
        }
        let keep: BooleanArray = is_not_null(batch.column(0)).ok()?;
        let kept = filter_record_batch(batch, &keep).ok()?;
        let others = batch.num_rows() - kept.num_rows();
        Some((kept, others))
    }
}
