//! What workers and the job thread tell each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::crash::CrashSchedule;
use super::error::WorkerError;
use crate::checkpoint::manifest::SplitState;
use crate::operator::OperatorState;
use crate::sink::{Afterwards, SinkError, Staged};
use crate::time::clock::ProcessingClock;

/// Figures of a running job, for progress and metrics.
#[derive(Debug, Default)]
pub struct Stats {
    pub rows_in: AtomicU64,
    pub bytes_in: AtomicU64,
    pub rows_out: AtomicU64,
    pub diverted: AtomicU64,
    /// Bytes of records, rows and reasons that are too long for the error stream.
    pub diverted_bytes_cut: AtomicU64,
    /// Records, and parts of records, that gave no row because their format ignores what it cannot read.
    pub skipped: AtomicU64,
    /// Fields that are NULL for the same reason.
    pub nulled: AtomicU64,
    pub late_rows: AtomicU64,
    pub late_by_fired_mark: AtomicU64,
    pub windows_fired: AtomicU64,
    pub state_bytes: AtomicU64,
    /// Times that accumulators were moved to the store because memory ran short.
    pub spills: AtomicU64,
}

/// What workers and the job thread tell each other.
pub struct Control {
    /// The newest epoch that the job has opened.
    pub requested_epoch: AtomicU64,
    /// The epoch after which nothing is read or written any more, because the job stops or ends with it; 0 before that is
    /// known. Set before the epoch is requested.
    pub final_epoch: AtomicU64,
    /// Set when threads must stop where they are.
    pub stop: AtomicBool,
    pub stats: Stats,
    pub crashes: Arc<dyn CrashSchedule>,
    pub clock: ProcessingClock,
    /// Something in the job goes by processing time: workers send ticks.
    pub ticks: bool,
    pub batch_rows: usize,
    /// Accumulators that one worker may hold before it moves some to the store.
    pub accumulator_bytes_max: usize,
}

impl Control {
    /// What comes behind the barrier of an epoch that was requested.
    pub fn afterwards(&self, epoch: u64) -> Afterwards {
        if self.final_epoch.load(Ordering::Acquire) == epoch { Afterwards::Ends } else { Afterwards::GoesOn }
    }
}

#[derive(Debug)]
pub enum Report {
    Snapshot(Snapshot),
    /// Every window has fired and the end of input has passed all chains.
    Drained(usize),
    Failed(WorkerError),
    /// The sinks have published what the newest checkpoint has of them, or one could not.
    Published(Result<(), SinkError>),
}

/// A worker's part of an epoch.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub worker: usize,
    pub epoch: u64,
    /// Per source table, in plan order: the splits that this worker owns.
    pub splits: Vec<Vec<SplitState>>,
    /// (operator, state).
    pub operators: Vec<(u32, OperatorState)>,
    /// (sink, what its writer staged).
    pub staged: Vec<(usize, Staged)>,
    pub errors_staged: Staged,
}
