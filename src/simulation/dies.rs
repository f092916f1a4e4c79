//! When does a process die between two of its writes?
//!
//! Drawn by `further`, given to the table's caller by `process`, and asked by `table` at each write.
//! What always holds: a process dies once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::executor::Sim;

/// Whether a write is on its way when its process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Yes,
    No,
}

/// A process that dies at one of its writes.
pub(crate) struct Dies {
    left: AtomicU64,
    pub(super) sent: Sent,
    pub(super) process: Arc<Sim>,
}

impl Dies {
    pub fn new(write: u64, sent: Sent, process: Arc<Sim>) -> Arc<Dies> {
        Arc::new(Dies { left: AtomicU64::new(write), sent, process })
    }

    /// True at the write at which it does.
    pub(super) fn is_now(&self) -> bool {
        self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}
