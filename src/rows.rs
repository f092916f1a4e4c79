//! What is a batch of rows on its way from a source to a sink? Columns, and what is known of each
//! row beside them.
//!
//! Made by `ingest` from the records of a split, passed from operator to operator, and given to
//! sinks as it is. What always holds: what is kept for each row has as many entries as the batch
//! has rows.

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use crate::change::{Op, Ops};
use crate::time::{EventTime, Watermark};

/// A batch of rows, with what is known of each beside its columns.
#[derive(Debug, Clone)]
pub struct Rows {
    pub batch: RecordBatch,
    /// For rows that come straight from a split: the split's watermark before each row, ms. It
    /// decides who is late.
    pub watermarks_ms: Option<ScalarBuffer<i64>>,
    /// For rows that come straight from a split: which one, as a hash that is the same in every
    /// run. 0 for others.
    pub split: u64,
    /// For rows that come straight from a split, in jobs that go by it: when each row arrived.
    pub arrivals: Option<Arrivals>,
    /// For rows that a window fired: its end. All rows of a batch come from one window. With the
    /// run and the revision it is the version of an upsert.
    pub window_end: Option<EventTime>,
    /// For rows of a group that counts them: the changes of the input that are folded into each
    /// row, never emissions, so that a replay reaches at least the old number. None: 0 for all.
    pub revisions: Option<ScalarBuffer<u64>>,
    /// What the rows do. None: all are inserted.
    pub ops: Option<Ops>,
    /// Which input of a chain with several they came from.
    pub input: u8,
}

impl Rows {
    pub fn new(batch: RecordBatch) -> Rows {
        Rows {
            batch,
            watermarks_ms: None,
            split: 0,
            arrivals: None,
            window_end: None,
            revisions: None,
            ops: None,
            input: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub fn is_empty(&self) -> bool {
        self.batch.num_rows() == 0
    }

    pub fn op(&self, row: usize) -> Op {
        self.ops.as_ref().map_or(Op::Insert, |ops| ops.get(row))
    }

    /// The watermark of the split before a row; none for rows that come from no split.
    #[inline]
    pub fn watermark(&self, row: usize) -> Watermark {
        self.watermarks_ms.as_ref().map_or(Watermark::NONE, |marks| Watermark::at(marks[row]))
    }

    pub(crate) fn revision(&self, row: usize) -> u64 {
        self.revisions.as_ref().map_or(0, |revisions| revisions[row])
    }

    /// The rows of a window that ends at `window_end`, or of none.
    pub fn of_window(batch: RecordBatch, window_end: Option<EventTime>) -> Rows {
        Rows { window_end, ..Rows::new(batch) }
    }

    /// The same rows with other columns.
    pub(crate) fn with_batch(&self, batch: RecordBatch) -> Rows {
        Rows { batch, ..self.clone() }
    }

    /// The rows at `picks`, in that order.
    pub fn take(&self, picks: &UInt32Array) -> Result<Rows, ArrowError> {
        let picked = |i: &u32| *i as usize;
        Ok(Rows {
            batch: take_rows(&self.batch, picks)?,
            watermarks_ms: self
                .watermarks_ms
                .as_ref()
                .map(|w| picks.values().iter().map(|i| w[picked(i)]).collect()),
            arrivals: self.arrivals.as_ref().map(|a| a.pick(|| picks.values().iter().map(picked))),
            revisions: self
                .revisions
                .as_ref()
                .map(|r| picks.values().iter().map(|i| r[picked(i)]).collect()),
            ops: self
                .ops
                .as_ref()
                .map(|ops| picks.values().iter().map(|i| ops.get(picked(i))).collect()),
            ..*self
        })
    }

    /// The rows where `mask` is true. It has no NULLs.
    pub fn filter(&self, mask: &BooleanArray) -> Result<Rows, ArrowError> {
        let kept = || mask.values().set_indices();
        Ok(Rows {
            batch: filter_record_batch(&self.batch, mask)?,
            watermarks_ms: self.watermarks_ms.as_ref().map(|w| kept().map(|row| w[row]).collect()),
            arrivals: self.arrivals.as_ref().map(|a| a.pick(kept)),
            revisions: self.revisions.as_ref().map(|r| kept().map(|row| r[row]).collect()),
            ops: self.ops.as_ref().map(|ops| kept().map(|row| ops.get(row)).collect()),
            ..*self
        })
    }

    pub fn slice(&self, from: usize, len: usize) -> Rows {
        Rows {
            batch: self.batch.slice(from, len),
            watermarks_ms: self.watermarks_ms.as_ref().map(|w| w.slice(from, len)),
            arrivals: self.arrivals.as_ref().map(|a| a.slice(from, len)),
            revisions: self.revisions.as_ref().map(|r| r.slice(from, len)),
            ops: self.ops.as_ref().map(|ops| ops.slice(from, len)),
            ..*self
        }
    }
}

/// Picked rows of a batch, which may have no columns: COUNT(*) reads none.
fn take_rows(batch: &RecordBatch, picks: &UInt32Array) -> Result<RecordBatch, ArrowError> {
    if batch.num_columns() > 0 {
        return take_record_batch(batch, picks);
    }
    batch_of(batch.schema(), vec![], picks.len())
}

/// A batch of so many rows, which may have no columns.
pub(crate) fn batch_of(
    schema: SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options)
}

/// When the rows of a batch arrived in their split.
#[derive(Debug, Clone)]
pub struct Arrivals {
    /// The split's watermark after each row, ms.
    pub times_ms: ScalarBuffer<i64>,
    /// The number of each row among those of its split.
    pub numbers: ScalarBuffer<u64>,
}

impl Arrivals {
    /// Those of the rows at these indices.
    pub(crate) fn pick<I: Iterator<Item = usize>>(&self, rows: impl Fn() -> I) -> Arrivals {
        Arrivals {
            times_ms: rows().map(|row| self.times_ms[row]).collect(),
            numbers: rows().map(|row| self.numbers[row]).collect(),
        }
    }

    /// For rows that one row became: they came in the order of their ordinals. All rows of a query
    /// pass here or none do.
    pub fn apart(self, ordinals: &[Option<i32>]) -> Arrivals {
        // More elements than this in one value lose their order, not their places among other rows.
        const ELEMENTS_MAX: u64 = 1 << 24;
        let ordinal = |o: &Option<i32>| {
            o.and_then(|o| u64::try_from(o).ok()).unwrap_or(0).min(ELEMENTS_MAX - 1)
        };
        let numbers = self
            .numbers
            .iter()
            .zip(ordinals)
            .map(|(n, o)| n.saturating_mul(ELEMENTS_MAX).saturating_add(ordinal(o)))
            .collect();
        Arrivals { numbers, ..self }
    }

    fn slice(&self, from: usize, len: usize) -> Arrivals {
        Arrivals {
            times_ms: self.times_ms.slice(from, len),
            numbers: self.numbers.slice(from, len),
        }
    }
}
