//! What ends a job?
//!
//! Made by the job thread and by workers, which report it to that. What always holds: the message
//! says where; what an operator could not do is told whose it was by the chain that runs it.

use super::crash::CrashPoint;
use crate::checkpoint::durable::StoreError;
use crate::ids::Epoch;
use crate::lookup::LookupError;
use crate::operator::OperatorFailure;
use crate::sink::SinkError;
use crate::source::SourceError;
use crate::state::StateError;
use crate::who::{Again, Mistake, Who};

/// A failure that ends the job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A lookup that could not be prepared.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error(transparent)]
    Operator(#[from] OperatorFailure),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stored state does not fit.
    #[error("{0}")]
    Refused(String),
    /// Rows of a split of which the columns or the watermark cannot be computed.
    #[error("table {table}, split {split}: {reason}")]
    Ingest { table: String, split: String, reason: String },
    #[error("exchange: {0}")]
    Exchange(#[from] arrow::error::ArrowError),
    #[error("no split is open in slot {0}; this is a bug")]
    NoSuchSplit(usize),
    #[error("a worker stopped without a report; this is a bug")]
    WorkerGone,
    /// More checkpoints in a row than are tolerated were not complete in their time.
    #[error(
        "checkpoint {epoch} {waits}, which is longer than execution.checkpointing.timeout allows; more failures in a row are not \
         tolerated (execution.checkpointing.tolerable-failed-checkpoints)"
    )]
    CheckpointFailed { epoch: Epoch, waits: String },
    #[error("no worker can go on; this is a bug")]
    Stuck,
    /// A crash that a test asked for.
    #[error("killed at {0:?}")]
    Crashed(CrashPoint),
}

impl JobError {
    pub fn who(&self) -> Who {
        match self {
            JobError::Source(e) => e.who(),
            JobError::Sink(e) => e.who(),
            JobError::Lookup(e) => e.who(),
            JobError::Operator(e) => e.who(),
            JobError::State(e) => e.who(),
            JobError::Store(e) => e.who(),
            JobError::Refused(_) => Who::Stored(Again::IsInVain),
            JobError::Ingest { .. } => Who::User(Mistake::Data),
            JobError::Exchange(_)
            | JobError::NoSuchSplit(_)
            | JobError::WorkerGone
            | JobError::Stuck => Who::Us,
            // As a kill from outside would be.
            JobError::CheckpointFailed { .. } | JobError::Crashed(_) => {
                Who::Outside(Again::MayHelp)
            }
        }
    }
}
