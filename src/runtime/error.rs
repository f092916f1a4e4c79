//! What ends a worker, and what ends a job?

use super::crash::CrashPoint;
use crate::checkpoint::durable::StoreError;
use crate::operator::OperatorFailure;
use crate::sink::SinkError;
use crate::source::SourceError;
use crate::state::StateError;

/// A failure that ends the job.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Operator(#[from] OperatorFailure),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("table {table}, split {split}: {reason}")]
    Ingest { table: String, split: String, reason: String },
    #[error("exchange: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error("no split is open in slot {0}; this is a bug")]
    NoSuchSplit(usize),
    /// A crash that a test asked for.
    #[error("killed at {0:?}")]
    Crashed(CrashPoint),
}

#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Operator(#[from] OperatorFailure),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stored state does not fit: exit code 3.
    #[error("{0}")]
    Refused(String),
    #[error("a worker stopped without a report; this is a bug")]
    WorkerGone,
    #[error("no worker can go on; this is a bug")]
    Stuck,
}
