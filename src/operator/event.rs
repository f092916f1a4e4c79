//! What can arrive at an operator? One closed enum; the whole behaviour of an operator is one `match` over it.
//!
//! The same events travel between workers (`runtime::exchange`) and inside one. Per producer their order is kept:
//!
//! ```text
//!   Rows* Partials*  Watermark(w)   no row in time for a window closed at w follows
//!   ...              Tick(t)        everything sent before the clock showed t has arrived
//!   ...              Barrier(e)     everything before belongs to epoch e, everything after to the next
//! ```

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;

use super::window::slice::WindowSpan;
pub use crate::change::{Op, Ops};
use crate::ids::Epoch;
pub use crate::rows::{Arrivals, Rows};
use crate::state::KeyGroup;
use crate::state::key::KeyBuf;
use crate::state::layout::StateTable;
use crate::time::Watermark;

#[derive(Debug, Clone)]
pub enum Event {
    Rows(Rows),
    Partials(Partials),
    /// [`Watermark::END`] is the end of input.
    Watermark(Watermark),
    /// Processing time, ms since the epoch. Only in jobs that go by it; it never goes back.
    Tick(i64),
    /// The number of the epoch that ends here.
    Barrier(Epoch),
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
