//! Bytes to rows and rows to bytes: what does a payload mean?
//!
//! Called by `runtime` (decoding on workers) and by sinks that write text. What always holds: a
//! payload that cannot be read never stops the job; it comes back as a [`BadRecord`] with the
//! reason, and the caller diverts it.

mod assemble;
pub(crate) mod changes;
mod collected;
pub mod csv;
pub mod encode;
pub mod java_map;
pub mod json;
pub mod number_text;
pub mod raw;
pub mod time_text;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::record::{RECORD_BYTES_MAX, RawBatch, Span, Unusable};

/// One record, or part of one, that could not be decoded or that nothing is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Index in the raw batch.
    pub index: usize,
    /// None: the whole record.
    pub part: Option<RecordPart>,
    pub reason: String,
}

impl BadRecord {
    /// With what the error stream needs of the batch it was decoded from.
    pub fn of<'a>(&self, raw: &'a RawBatch) -> Unusable<'a> {
        let (mut place, mut bytes) = (raw.places.describe(self.index), raw.record(self.index));
        if let Some(part) = self.part {
            place = format!("{place}, part {}", part.number);
            bytes = &bytes[part.span.start as usize..part.span.end as usize];
        }
        Unusable { place, bytes: bytes.into(), reason: self.reason.clone() }
    }
}

/// A piece of a record that is a record of its own: one of several objects or lines, an element of
/// an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPart {
    /// From 1, in the order of the record.
    pub number: u32,
    /// Where it stands in the record.
    pub span: Span,
}

/// What becomes of a record or a field that cannot be read: Flink's `ignore-parse-errors`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ParseErrors {
    #[default]
    Reported,
    /// Bad fields become NULL and bad records vanish, counted.
    Ignored,
}

/// How many rows a record may hold: `paceline.<table>.records`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RowsPerRecord {
    #[default]
    One,
    Many,
}

/// What follows the first value of a record where a record is one value.
pub(crate) const FOLLOWS: &str = "it follows the first value of its record, and only that is read; \
                                  SET 'paceline.<table>.records' = 'many' reads all";

/// Rows decoded from a raw batch.
#[derive(Debug)]
pub struct Decoded {
    /// The rows of readable records, in order, with the decoder's schema.
    pub batch: RecordBatch,
    /// For each row, the index of its record in the raw batch. None means row i is record i.
    pub record_of_row: Option<Vec<u32>>,
    /// For each row, the part of the record that it is, or None if it is a whole one; if some row
    /// is but a part of one.
    pub parts: Option<Vec<Option<RecordPart>>>,
    pub bad: Vec<BadRecord>,
    /// Records, and parts of records, that gave nothing under `ignore-parse-errors`.
    pub skipped: u64,
    /// Fields that are NULL for the same reason.
    pub nulled: u64,
}

/// Why a record that its source has cut is none: what is left of it could be read as something
/// else.
fn cut(record: &[u8]) -> Option<String> {
    (record.len() >= RECORD_BYTES_MAX)
        .then(|| format!("the record has {RECORD_BYTES_MAX} bytes or more"))
}

/// Turns raw records into columns. One per worker and source table; it may learn from record to
/// record (key order).
pub trait Decoder: Send {
    fn schema(&self) -> &SchemaRef;
    fn decode(&mut self, raw: &RawBatch) -> Decoded;
}
