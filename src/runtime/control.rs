//! What workers and the job thread tell each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::crash::CrashSchedule;
use super::error::JobError;
use super::holds::Holds;
use crate::checkpoint::manifest::SplitState;
use crate::ids::{Epoch, OperatorId, WorkerId};
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
    /// Records, and parts of records, that gave no row because their format ignores what it cannot
    /// read.
    pub skipped: AtomicU64,
    /// Fields that are NULL for the same reason.
    pub nulled: AtomicU64,
    /// Records in aggregates whose keys belong to another shard.
    pub misplaced: AtomicU64,
    /// Messages of envelopes that hold no rows.
    pub control: AtomicU64,
    pub late_rows: AtomicU64,
    pub late_by_fired_mark: AtomicU64,
    pub windows_fired: AtomicU64,
    pub state_bytes: AtomicU64,
    /// Checkpoints that were not complete in their time.
    pub checkpoints_failed: AtomicU64,
    /// Times that accumulators were moved to the store because memory ran short.
    pub spills: AtomicU64,
}

/// What workers and the job thread tell each other.
pub struct Control {
    pub requests: Requests,
    /// Set when threads must stop where they are.
    pub stop: AtomicBool,
    /// A sink holds so much for the next checkpoint that it should come soon.
    pub is_epoch_wanted: AtomicBool,
    pub stats: Stats,
    pub holds: Holds,
    pub crashes: Arc<dyn CrashSchedule>,
    pub clock: ProcessingClock,
    /// Something in the job goes by processing time: workers send ticks.
    pub ticks: bool,
    /// Stores are written out and linked on threads of their own; not where all is on one.
    pub links_aside: bool,
    pub batch_rows: usize,
    /// Accumulators that one worker may hold before it moves some to the store.
    pub accumulator_bytes_max: usize,
}

/// The epochs that the job has asked its workers for, one after the other.
pub struct Requests {
    newest: AtomicU64,
    /// The epoch after which nothing is read or written any more, because the job stops or ends
    /// with it. Known before that epoch is requested.
    last: OnceLock<(Epoch, Afterwards)>,
}

impl Requests {
    /// Those of a job whose epochs up to this one are numbered.
    pub fn new(numbered: Epoch) -> Requests {
        Requests { newest: AtomicU64::new(numbered.number()), last: OnceLock::new() }
    }

    /// Asks for an epoch. There is none behind one after which the job ends.
    pub fn request(&self, epoch: Epoch, afterwards: Afterwards) {
        debug_assert!(
            self.newest() < epoch && self.last.get().is_none(),
            "epoch {epoch} is requested too late"
        );
        if afterwards != Afterwards::GoesOn {
            // It is not set yet: nothing is requested after the last epoch.
            let _ = self.last.set((epoch, afterwards));
        }
        self.newest.store(epoch.number(), Ordering::Release);
    }

    /// The newest epoch that was asked for.
    pub fn newest(&self) -> Epoch {
        Epoch::new(self.newest.load(Ordering::Acquire))
    }

    /// What comes behind the barrier of an epoch that was asked for.
    pub fn afterwards(&self, epoch: Epoch) -> Afterwards {
        match self.last.get() {
            Some((last, afterwards)) if *last == epoch => *afterwards,
            _ => Afterwards::GoesOn,
        }
    }
}

#[derive(Debug)]
pub enum Report {
    Snapshot(Snapshot),
    /// Every window has fired and the end of input has passed all chains.
    Drained(WorkerId),
    Failed(JobError),
    /// The sinks have published what the newest checkpoint has of them, or one could not.
    Published(Result<(), SinkError>),
}

/// A worker's part of an epoch.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub worker: WorkerId,
    pub epoch: Epoch,
    /// Per source table, in plan order: the splits that this worker owns.
    pub splits: Vec<Vec<SplitState>>,
    /// (operator, state).
    pub operators: Vec<(OperatorId, OperatorState)>,
    /// (sink, what its writer staged).
    pub staged: Vec<(usize, Staged)>,
    pub errors_staged: Staged,
}
