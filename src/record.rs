//! What is a raw record? Payloads of one split with the place of each, as sources hand them to
//! formats.
//!
//! Made by the readers in `source`, turned into columns by `format`. What always holds: spans lie
//! inside of the bytes, and there is a place for each of them.

use std::borrow::Cow;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;

use crate::change::Op;

/// The longest record. Kinesis takes 10 MiB; files get a little more, and a file without line ends
/// is noticed early. A longer one is cut to this length, by which decoders know it.
pub(crate) const RECORD_BYTES_MAX: usize = 16 << 20;

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
    /// What each record does to its table, where records say so. None: all are inserted.
    pub ops: Option<Vec<Op>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

#[derive(Debug, Clone)]
pub enum Places {
    /// Record i is line `first + i` (from 1) of a file, counting blank lines: then `numbers` lists
    /// them.
    Lines { numbers: Vec<u64> },
    /// Kinesis sequence numbers, and when each record arrived, ms since the epoch by the service's
    /// clock; and the hash keys of the shard, where they are known.
    Sequence { numbers: Vec<String>, arrivals_ms: Vec<Option<i64>>, hashes: Option<HashRange> },
    /// Record i is the `first + i`-th generated one.
    Generated { first: u64 },
    /// Record i was in record `records[i]` of the batch that the source gave.
    Within { source: Box<Places>, records: Vec<u32>, parts: Option<Parts> },
}

/// Which parts of the source's records some records are.
#[derive(Debug, Clone)]
pub struct Parts {
    /// What a part is called, such as `log event`.
    pub what: &'static str,
    /// None: the record is no part of another one.
    pub numbers: Vec<Option<u32>>,
}

/// Part of the 128 bits into which MD5 maps partition keys, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashRange {
    pub first: u128,
    pub last: u128,
}

impl HashRange {
    pub(crate) fn contains(&self, hash: u128) -> bool {
        (self.first..=self.last).contains(&hash)
    }
}

/// A record, or part of one, that nothing is made of: it goes to the error stream.
#[derive(Debug, Clone)]
pub struct Unusable<'a> {
    /// Where it stands in its split.
    pub place: String,
    pub bytes: Cow<'a, [u8]>,
    pub reason: String,
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
            Places::Sequence { numbers, .. } => format!("sequence number {}", numbers[i]),
            Places::Generated { first } => format!("record {}", first + i as u64),
            Places::Within { source, records, parts } => {
                let place = source.describe(records[i] as usize);
                match parts.as_ref().and_then(|p| Some((p.what, p.numbers[i]?))) {
                    Some((what, number)) => format!("{place}, {what} {number}"),
                    None => place,
                }
            }
        }
    }

    /// When record `i` arrived, where that is known.
    pub(crate) fn arrived_ms(&self, i: usize) -> Option<i64> {
        match self {
            Places::Sequence { arrivals_ms, .. } => arrivals_ms[i],
            Places::Within { source, records, .. } => source.arrived_ms(records[i] as usize),
            Places::Lines { .. } | Places::Generated { .. } => None,
        }
    }

    /// The hash keys of the shard that the records come from, where they are known.
    pub(crate) fn hashes(&self) -> Option<HashRange> {
        match self {
            Places::Sequence { hashes, .. } => *hashes,
            Places::Within { source, .. } => source.hashes(),
            Places::Lines { .. } | Places::Generated { .. } => None,
        }
    }

    /// The number of the record in which record `i` was before the newest step.
    pub(crate) fn parent(&self, i: usize) -> usize {
        match self {
            Places::Within { records, .. } => records[i] as usize,
            Places::Lines { .. } | Places::Sequence { .. } | Places::Generated { .. } => i,
        }
    }

    /// The number of the source's record in which record `i` was.
    pub(crate) fn origin(&self, i: usize) -> usize {
        match self {
            Places::Within { source, records, .. } => source.origin(records[i] as usize),
            Places::Lines { .. } | Places::Sequence { .. } | Places::Generated { .. } => i,
        }
    }

    /// True if records may say when they arrived.
    pub(crate) fn have_arrivals(&self) -> bool {
        match self {
            Places::Sequence { .. } => true,
            Places::Within { source, .. } => source.have_arrivals(),
            Places::Lines { .. } | Places::Generated { .. } => false,
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
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.end_record(start);
    }
    /// Makes a record of the bytes from `start` on.
    #[inline]
    pub(crate) fn end_record(&mut self, start: usize) {
        debug_assert!(
            u32::try_from(self.bytes.len()).is_ok(),
            "a batch of {} bytes",
            self.bytes.len()
        );
        self.spans.push(Span { start: start as u32, end: self.bytes.len() as u32 });
    }
    /// The metadata of records in any order, each as often as it is named.
    pub(crate) fn metadata_of(&self, records: &[u32]) -> Vec<ArrayRef> {
        let is_all = || (0..).zip(records).all(|(i, record): (u32, _)| i == *record);
        if records.len() == self.len() && is_all() {
            return self.metadata.clone();
        }
        self.metadata.iter().map(|column| RawBatch::metadata_at(column, records)).collect()
    }

    /// The same of one column.
    pub(crate) fn metadata_at(column: &ArrayRef, records: &[u32]) -> ArrayRef {
        let records = UInt32Array::from(records.to_vec());
        take(column, &records, None).unwrap_or_else(|e| unreachable!("records of the batch: {e}"))
    }
    /// A record that cannot be used.
    pub(crate) fn unusable(&self, i: usize, reason: String) -> Unusable<'static> {
        let (place, bytes) = (self.places.describe(i), self.record(i).to_vec().into());
        Unusable { place, bytes, reason }
    }
    pub fn record(&self, i: usize) -> &[u8] {
        let s = self.spans[i];
        &self.bytes[s.start as usize..s.end as usize]
    }
}
