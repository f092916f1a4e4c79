//! What can arrive at an operator? One closed enum; the whole behaviour of an operator is one `match` over it.
//!
//! The same events travel between workers (`runtime::exchange`) and inside one. Per producer their order is kept:
//!
//! ```text
//!   Rows* Partials*  Watermark(w)   no row in time for a window closed at w follows
//!   ...              Barrier(e)     everything before belongs to epoch e, everything after to the next
//! ```

use arrow::array::UInt32Array;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::ScalarBuffer;
use arrow::compute::take;

use super::window::slice::Slot;
use crate::state::key::KeyBuf;

#[derive(Debug, Clone)]
pub enum Event {
    Rows(Rows),
    Partials(Partials),
    /// Event time, ms. [`crate::time::MAX_TIME_MS`] is the end of input.
    Watermark(i64),
    /// The number of the epoch that ends here.
    Barrier(u64),
}

impl Event {
    /// Bytes that count against a queue's bound.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Event::Rows(rows) => rows.batch.get_array_memory_size(),
            Event::Partials(p) => p.memory_bytes(),
            Event::Watermark(_) | Event::Barrier(_) => 0,
        }
    }
}

/// A batch of rows.
#[derive(Debug, Clone)]
pub struct Rows {
    pub batch: RecordBatch,
    /// For rows that come straight from a split: the split's watermark before each row, ms. It decides who is late.
    pub watermarks_ms: Option<ScalarBuffer<i64>>,
    /// For rows that come straight from a split: which one, as a hash that is the same in every run. 0 for others.
    pub split: u64,
    /// For rows that a window fired: its end, ms. All rows of a batch come from one window.
    pub window_end_ms: Option<i64>,
}

impl Rows {
    pub fn new(batch: RecordBatch) -> Rows {
        Rows { batch, watermarks_ms: None, split: 0, window_end_ms: None }
    }
}

/// Partial aggregates of one window's keys, or entries of the value set of one DISTINCT aggregate.
#[derive(Debug, Clone)]
pub struct Partials {
    /// The windows they enter.
    pub slot: Slot,
    /// 0: aggregates; i: values of the i-th DISTINCT aggregate (then `states` is empty).
    pub table: u8,
    pub keys: KeyBuf,
    pub hashes: Vec<u64>,
    pub key_groups: Vec<u16>,
    pub states: Vec<ArrayRef>,
}

impl Partials {
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
    pub fn pick(&self, indices: &[u32]) -> Partials {
        let mut keys = KeyBuf::default();
        for &i in indices {
            keys.push(self.keys.get(i as usize));
        }
        let take_from = UInt32Array::from(indices.to_vec());
        Partials {
            slot: self.slot,
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
