//! What is in a record before a format reads it? Steps that open what producers wrap records in.
//!
//! `ingest` passes every raw batch through the steps of its table, from raw batch to raw batch, and
//! the format decodes what comes of the last one. `connect` makes the steps from settings. What
//! always holds: a step decodes no rows and keeps nothing from batch to batch on which a row
//! depends; and what it cannot open is given back with its place. A batch passes all steps, and its
//! rows go on, before the source's position is asked for again. So no checkpoint lies within a
//! record, however many are in it, and the position of the source says all.

pub mod changes;
pub mod compressed;
pub mod envelope;
pub mod kpl;
mod members;

use crate::record::{RawBatch, Unusable};

/// A step. One per worker and source table.
pub trait Unpack: Send {
    /// Records it takes at a time, so that what comes of them stays within bounds. None: as many as
    /// there are, since they grow by little.
    fn records_max(&self) -> Option<usize>;
    /// Opens each record; one may become several, or none.
    fn unpack(&mut self, raw: RawBatch) -> Unpacked;
}

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Unpacked {
    /// Its places lead back to the records of the source.
    pub raw: RawBatch,
    pub unusable: Vec<Unusable<'static>>,
    pub counts: Counts,
}

/// What is to be told of records beside what is unusable.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Records in aggregates whose keys belong to another shard than the one they came from.
    pub misplaced: u64,
    /// Messages that say something of their sender, and hold no rows.
    pub control: u64,
    /// Messages that cannot be read, and whose format ignores that.
    pub skipped: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Counts) {
        self.misplaced += other.misplaced;
        self.control += other.control;
        self.skipped += other.skipped;
    }
}
