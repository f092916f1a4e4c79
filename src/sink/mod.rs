//! Where do results go? Traits that every sink implements, and the guarantee each one states.
//!
//! Called by `runtime`: each worker has one [`SinkWriter`] per sink table; `prepare` is called at a barrier, `commit`
//! on the job thread once the manifest that names what was prepared is durable, and again after a restore.
//! What always holds: `prepare` returns only when everything written before it is acknowledged by the outside or staged
//! so that `commit` can publish it; `commit` may be repeated; rows of one writer arrive in the order they were made.

pub mod version;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::change::{Op, Ops};

/// What a user may rely on when the job is killed and resumed. Shown by `check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    /// Each row is visible once.
    ExactlyOnce,
    /// Rows are upserts: the table ends as if each record had been processed exactly once.
    EffectivelyOnce,
    /// A row may be visible more than once after a crash.
    AtLeastOnce,
}

impl std::fmt::Display for Guarantee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Guarantee::ExactlyOnce => "exactly once",
            Guarantee::EffectivelyOnce => "effectively once (idempotent upserts)",
            Guarantee::AtLeastOnce => "at least once",
        })
    }
}

/// Results of one operator step. All rows have the sink table's schema, in its column order.
#[derive(Debug, Clone)]
pub struct SinkRows {
    pub batch: RecordBatch,
    /// End of the window that produced the rows, ms since the epoch; None if the query has no window.
    /// With the run and the revision it is the version of an upsert.
    pub window_end_ms: Option<i64>,
    /// What the rows do. None: all are inserted. Sinks without a key are given insertions only.
    pub ops: Option<Ops>,
}

impl SinkRows {
    pub fn insert(batch: RecordBatch, window_end_ms: Option<i64>) -> SinkRows {
        SinkRows { batch, window_end_ms, ops: None }
    }

    pub fn op(&self, row: usize) -> Op {
        self.ops.as_ref().map_or(Op::Insert, |ops| ops.get(row))
    }
}

/// A sink table with a key, as its DDL declares it.
#[derive(Debug, Clone)]
pub struct TableSpec {
    pub name: String,
    pub schema: SchemaRef,
    pub primary_key: Vec<String>,
    pub partitioned_by: Vec<String>,
}

impl TableSpec {
    /// The columns that identify a row.
    pub fn upsert_key(&self) -> &[String] {
        if self.primary_key.is_empty() { &self.partitioned_by } else { &self.primary_key }
    }
}

/// One sink table, shared by all workers.
pub trait Sink: Send + Sync {
    fn guarantee(&self) -> Guarantee;
    fn writer(&self, worker: usize) -> Result<Box<dyn SinkWriter>, SinkError>;
    /// Publishes what writers prepared. `staged` holds what their `prepare` returned, empty ones left out. Idempotent.
    fn commit(&self, _staged: &[Vec<u8>]) -> Result<(), SinkError> {
        Ok(())
    }
    /// The same after a kill in the midst of it. What is neither staged any more nor there under its name was published then,
    /// and whoever reads the results has taken it away: that is said and is no failure.
    fn recommit(&self, staged: &[Vec<u8>]) -> Result<(), SinkError> {
        self.commit(staged)
    }
    /// The job has failed: writers give up what they wait for. Called from another thread.
    fn cancel(&self) {}
    /// After a restore and after `commit` of the restored epoch: removes what this run left uncommitted.
    fn discard_uncommitted(&self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// One worker's end of a sink. Synchronous; network work happens behind a byte-bounded queue.
pub trait SinkWriter: Send {
    fn write(&mut self, rows: &SinkRows) -> Result<(), SinkError>;
    /// False while the queue is full: the worker then stops pulling and asks again.
    fn has_room(&mut self) -> bool {
        true
    }
    /// Waits until everything written is acknowledged or staged, and returns what `Sink::commit` needs.
    fn prepare(&mut self, epoch: u64) -> Result<Vec<u8>, SinkError>;
    /// Rows the outside can never take (too large, no key), since the last call. They go to the error stream.
    fn take_rejected(&mut self) -> Vec<Rejected> {
        Vec::new()
    }
}

/// A row that a sink cannot take, with the reason in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The row as a JSON object.
    pub row: String,
    pub reason: String,
}

/// A failure that ends the job (exit code 1). The message says where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error("sink {table}: {reason}")]
    Config { table: String, reason: String },
    #[error("sink {table}: failed to write: {reason}")]
    Write { table: String, reason: String },
}
