//! What can arrive at an operator? One closed enum; the whole behaviour of an operator is one `match` over it.
//!
//! The same events travel between workers (`runtime::exchange`) and inside one. Per producer their order is kept:
//!
//! ```text
//!   Rows* Partials*  Watermark(w)   no row in time for a window closed at w follows
//!   ...              Tick(t)        everything sent before the clock showed t has arrived
//!   ...              Barrier(e)     everything before belongs to epoch e, everything after to the next
//! ```

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{filter_record_batch, take, take_record_batch};
use arrow::error::ArrowError;

use super::window::slice::WindowSpan;
pub use crate::change::{Op, Ops};
use crate::state::KeyGroup;
use crate::state::key::KeyBuf;
use crate::state::layout::StateTable;

#[derive(Debug, Clone)]
pub enum Event {
    Rows(Rows),
    Partials(Partials),
    /// Event time, ms. [`crate::time::MAX_TIME_MS`] is the end of input.
    Watermark(i64),
    /// Processing time, ms since the epoch. Only in jobs that go by it; it never goes back.
    Tick(i64),
    /// The number of the epoch that ends here.
    Barrier(u64),
}

impl Event {
    /// Bytes that count against a queue's bound.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Event::Rows(rows) => rows.batch.get_array_memory_size(),
            Event::Partials(p) => p.memory_bytes(),
            Event::Watermark(_) | Event::Tick(_) | Event::Barrier(_) => 0,
        }
    }
}

/// A batch of rows, with what is known of each beside its columns.
#[derive(Debug, Clone)]
pub struct Rows {
    pub batch: RecordBatch,
    /// For rows that come straight from a split: the split's watermark before each row, ms. It decides who is late.
    pub watermarks_ms: Option<ScalarBuffer<i64>>,
    /// For rows that come straight from a split: which one, as a hash that is the same in every run. 0 for others.
    pub split: u64,
    /// For rows that come straight from a split, in jobs that go by it: when each row arrived.
    pub arrivals: Option<Arrivals>,
    /// For rows that a window fired: its end, ms. All rows of a batch come from one window.
    pub window_end_ms: Option<i64>,
    /// What the rows do. None: all are inserted.
    pub ops: Option<Ops>,
    /// Which input of a chain with several they came from.
    pub input: u8,
}

impl Rows {
    pub fn new(batch: RecordBatch) -> Rows {
        Rows { batch, watermarks_ms: None, split: 0, arrivals: None, window_end_ms: None, ops: None, input: 0 }
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

    /// The same rows with other columns.
    pub fn with_batch(&self, batch: RecordBatch) -> Rows {
        Rows { batch, ..self.clone() }
    }

    /// The rows at `picks`, in that order.
    pub fn take(&self, picks: &UInt32Array) -> Result<Rows, ArrowError> {
        let picked = |i: &u32| *i as usize;
        Ok(Rows {
            batch: take_rows(&self.batch, picks)?,
            watermarks_ms: self.watermarks_ms.as_ref().map(|w| picks.values().iter().map(|i| w[picked(i)]).collect()),
            arrivals: self.arrivals.as_ref().map(|a| a.pick(|| picks.values().iter().map(picked))),
            ops: self.ops.as_ref().map(|ops| picks.values().iter().map(|i| ops.get(picked(i))).collect()),
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
            ops: self.ops.as_ref().map(|ops| kept().map(|row| ops.get(row)).collect()),
            ..*self
        })
    }

    pub fn slice(&self, from: usize, len: usize) -> Rows {
        Rows {
            batch: self.batch.slice(from, len),
            watermarks_ms: self.watermarks_ms.as_ref().map(|w| w.slice(from, len)),
            arrivals: self.arrivals.as_ref().map(|a| a.slice(from, len)),
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
    let options = RecordBatchOptions::new().with_row_count(Some(picks.len()));
    RecordBatch::try_new_with_options(batch.schema(), vec![], &options)
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
    pub fn pick<I: Iterator<Item = usize>>(&self, rows: impl Fn() -> I) -> Arrivals {
        Arrivals {
            times_ms: rows().map(|row| self.times_ms[row]).collect(),
            numbers: rows().map(|row| self.numbers[row]).collect(),
        }
    }

    /// For rows that one row became: they came in the order of their ordinals. All rows of a query pass here or none do.
    pub fn apart(self, ordinals: &[Option<i32>]) -> Arrivals {
        // More elements than this in one value lose their order, not their places among other rows.
        const ELEMENTS_MAX: u64 = 1 << 24;
        let ordinal = |o: &Option<i32>| o.and_then(|o| u64::try_from(o).ok()).unwrap_or(0).min(ELEMENTS_MAX - 1);
        let numbers =
            self.numbers.iter().zip(ordinals).map(|(n, o)| n.saturating_mul(ELEMENTS_MAX).saturating_add(ordinal(o))).collect();
        Arrivals { numbers, ..self }
    }

    fn slice(&self, from: usize, len: usize) -> Arrivals {
        Arrivals { times_ms: self.times_ms.slice(from, len), numbers: self.numbers.slice(from, len) }
    }
}

/// Partial aggregates on their way to the worker that owns their keys.
#[derive(Debug, Clone)]
pub struct Partials {
    /// The windows they enter.
    pub span: WindowSpan,
    pub entries: Entries,
}

impl Partials {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn memory_bytes(&self) -> usize {
        self.entries.memory_bytes()
    }

    /// The entries whose indices are given, in that order.
    pub fn pick(&self, indices: &[u32]) -> Partials {
        Partials { span: self.span, entries: self.entries.pick(indices) }
    }
}

/// Entries of one table: keys with their aggregates, or values of one DISTINCT aggregate.
#[derive(Debug, Clone)]
pub struct Entries {
    /// The main table: keys with aggregates. One beside it: the value set of the DISTINCT aggregate of that number.
    pub table: StateTable,
    pub keys: KeyBuf,
    pub hashes: Vec<u64>,
    pub key_groups: Vec<KeyGroup>,
    /// Columns of the aggregates; none for a value set.
    pub states: Vec<ArrayRef>,
}

impl Entries {
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    pub fn memory_bytes(&self) -> usize {
        self.keys.memory_bytes() + self.len() * 10 + self.states.iter().map(|s| s.get_array_memory_size()).sum::<usize>()
    }

    /// The entries whose indices are given, in that order.
    pub fn pick(&self, indices: &[u32]) -> Entries {
        let mut keys = KeyBuf::default();
        for &i in indices {
            keys.push(self.keys.get(i as usize));
        }
        let take_from = UInt32Array::from(indices.to_vec());
        Entries {
            table: self.table,
            keys,
            hashes: indices.iter().map(|&i| self.hashes[i as usize]).collect(),
            key_groups: indices.iter().map(|&i| self.key_groups[i as usize]).collect(),
            states: self
                .states
                .iter()
                // Indices are in bounds, and take supports every state type.
                .map(|s| take(s, &take_from, None).expect("take with valid indices"))
                .collect(),
        }
    }
}
