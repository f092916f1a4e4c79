//! How many calls of a process are under way at once, and what have they brought?
//!
//! One [`OpenCalls`] for each process and service, counted by `stream` and `table`, and looked at by
//! `counts`. What always holds: a call that is dropped with its process is under way no more.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::connector::kinesis::queue::Record;

#[derive(Debug, Default)]
pub(crate) struct OpenCalls {
    all: Count,
    /// Those that bring records.
    reading: Count,
    records: AtomicUsize,
    bytes: AtomicUsize,
    reply_bytes_max: AtomicUsize,
}

#[derive(Debug, Default)]
struct Count {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Count {
    fn begin(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
    }
}

/// A call that is under way.
pub(super) struct Open<'a> {
    calls: &'a OpenCalls,
    reads: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.calls.all.now.fetch_sub(1, Ordering::Relaxed);
        if self.reads {
            self.calls.reading.now.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl OpenCalls {
    /// A call begins. `reads`: it brings records.
    pub(super) fn begin(&self, reads: bool) -> Open<'_> {
        self.all.begin();
        if reads {
            self.reading.begin();
        }
        Open { calls: self, reads }
    }

    pub(super) fn note_reply(&self, records: &[Record]) {
        let bytes: usize = records.iter().map(|record| record.data.len()).sum();
        self.records.fetch_add(records.len(), Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.reply_bytes_max.fetch_max(bytes, Ordering::Relaxed);
    }

    /// The most at once.
    pub fn most(&self) -> usize {
        self.all.most.load(Ordering::Relaxed)
    }

    /// The most at once that bring records.
    pub fn most_reading(&self) -> usize {
        self.reading.most.load(Ordering::Relaxed)
    }

    /// Records that were brought.
    pub fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    /// Their payload, and that of the largest reply.
    pub fn bytes(&self) -> (usize, usize) {
        (self.bytes.load(Ordering::Relaxed), self.reply_bytes_max.load(Ordering::Relaxed))
    }
}
