//! What is in a record before a format reads it? Steps that open what producers wrap records in.
//!
//! `ingest` passes every raw batch through the steps of its table, from raw batch to raw batch, and the format decodes what
//! comes of the last one. `connect` makes the steps from settings. What always holds: a step decodes no rows and keeps nothing
//! from batch to batch, so that a position of the source says all; and what it cannot open is given back with its place.

pub mod gzip;

use crate::record::{RawBatch, Unusable};

/// A step. One per worker and source table.
pub trait Unpack: Send {
    /// Records it takes at a time, so that what comes of them stays within bounds. None: as many as there are, since they
    /// grow by little.
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
}
