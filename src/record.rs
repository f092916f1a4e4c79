//! What is a raw record? Payloads of one split with the place of each, as sources hand them to formats.
//!
//! Made by the readers in `source`, turned into columns by `format`. What always holds: spans lie inside of the bytes, and
//! there is a place for each of them.

use arrow::array::ArrayRef;

/// The longest record. Kinesis takes 10 MiB; files get a little more, and a file without line ends is noticed early.
/// A longer one is cut to this length, by which decoders know it.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Consecutive raw records of one split.
#[derive(Debug, Default)]
pub struct RawBatch {
    /// Payloads, with or without separators between them.
    pub bytes: Vec<u8>,
    /// Byte range of each record in `bytes`.
    pub spans: Vec<Span>,
    /// Where each record stands, for error messages and the error stream.
    pub places: Places,
    /// One array per metadata key that the table declares, in that order, aligned with `spans`.
    pub metadata: Vec<ArrayRef>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

#[derive(Debug, Clone)]
pub enum Places {
    /// Record i is line `first + i` (from 1) of a file, counting blank lines: then `numbers` lists them.
    Lines { numbers: Vec<u64> },
    /// Kinesis sequence numbers.
    Sequence { numbers: Vec<String> },
    /// Record i is the `first + i`-th generated one.
    Generated { first: u64 },
}

impl Default for Places {
    fn default() -> Self {
        Places::Generated { first: 0 }
    }
}

impl Places {
    /// The place of record `i` as text, e.g. `line 7` or `sequence number 4957...`.
    pub fn describe(&self, i: usize) -> String {
        match self {
            Places::Lines { numbers } => format!("line {}", numbers[i]),
            Places::Sequence { numbers } => format!("sequence number {}", numbers[i]),
            Places::Generated { first } => format!("record {}", first + i as u64),
        }
    }
}

impl RawBatch {
    pub fn len(&self) -> usize {
        self.spans.len()
    }
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
    /// Adds a record, whose payload `write` appends. Its place is the caller's to add.
    #[inline]
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len() as u32;
        write(&mut self.bytes);
        self.spans.push(Span { start, end: self.bytes.len() as u32 });
    }
    pub fn record(&self, i: usize) -> &[u8] {
        let s = self.spans[i];
        &self.bytes[s.start as usize..s.end as usize]
    }
}
