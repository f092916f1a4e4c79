//! Bytes to rows and rows to bytes: what does a payload mean?
//!
//! Called by `runtime` (decoding on workers) and by sinks that write text. What always holds: a payload that cannot be
//! read never stops the job; it comes back as a [`BadRecord`] with the reason, and the caller diverts it.

mod assemble;
pub mod csv;
pub mod encode;
pub mod java_map;
pub mod json;
pub mod number_text;
pub mod raw;
pub mod time_text;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::source::RawBatch;
use crate::source::file::RECORD_BYTES_MAX;

/// One record that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Index in the raw batch.
    pub index: usize,
    pub reason: String,
}

/// Rows decoded from a raw batch.
#[derive(Debug)]
pub struct Decoded {
    /// One row per readable record, in order, with the decoder's schema.
    pub batch: RecordBatch,
    /// For each row, the index of its record in the raw batch. None means row i is record i.
    pub record_of_row: Option<Vec<u32>>,
    pub bad: Vec<BadRecord>,
    /// Records or fields replaced by nothing or NULL under `json.ignore-parse-errors`.
    pub ignored: u64,
}

/// Why a record that its source has cut is none: what is left of it could be read as something else.
fn cut(record: &[u8]) -> Option<String> {
    (record.len() >= RECORD_BYTES_MAX).then(|| format!("the record has {RECORD_BYTES_MAX} bytes or more"))
}

/// Turns raw records into columns. One per worker and source table; it may learn from record to record (key order).
pub trait Decoder: Send {
    fn schema(&self) -> &SchemaRef;
    fn decode(&mut self, raw: &RawBatch) -> Decoded;
}
