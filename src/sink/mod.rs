//! Where do results go? Traits that every sink implements, and the guarantee each one states.
//!
//! Called by `runtime`: each worker has one [`SinkWriter`] per sink table. Nothing here waits for
//! the outside:
//!
//! ```text
//! worker   write … write │ begin_prepare(epoch) │ write … write          rows behind the barrier are of the next epoch
//!                        │                      └ poll_prepare … Staged   asked again after each wake-up, if it was not there
//! job      all parts are here │ manifest with what was staged │ commit    may take its time; what is staged meanwhile is joined
//! start    resume(staged) │ commit again, if it may not have ended │ writers are made
//! ```
//!
//! What always holds: once a writer has given its part, everything written before the barrier is
//! acknowledged by the outside or staged, so that `commit` or `resume` can publish it; `commit` may
//! be repeated; rows of one writer arrive in the order they were made.

pub mod version;

use arrow::datatypes::SchemaRef;

use crate::ids::Epoch;
use crate::rows::Rows;
use crate::sink::version::Counts;
use crate::wake::Wake;
use crate::who::{Mistake, Who};

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

/// What stays outside of an epoch that was published, when a job goes on from an older checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Leaves {
    /// Nothing that the replay does not write again as it is.
    #[default]
    Nothing,
    /// Rows of a table that the replay may never come to, and so never takes back; and results that
    /// are newer than those that it begins with.
    Changes,
    /// Rows that the replay writes once more.
    Rows,
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
    pub(crate) fn upsert_key(&self) -> &[String] {
        if self.primary_key.is_empty() { &self.partitioned_by } else { &self.primary_key }
    }
}

/// What a writer has staged for an epoch, in a form that its connector reads. It is kept in the
/// manifest. Empty: nothing.
pub(crate) type Staged = Vec<u8>;

/// What comes after a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// More rows: what is on its way may be staged and go on being sent.
    GoesOn,
    /// Nothing in this process: the job goes on another time. What is on its way may be staged, and
    /// is sent by whoever resumes: a stop waits for nobody outside.
    Stops,
    /// Nothing, since the job ends with this epoch: what is on its way has to arrive, or be
    /// published by `commit`.
    Ends,
}

/// A writer's part of an epoch.
#[derive(Debug, PartialEq, Eq)]
pub enum Prepared {
    /// It is complete. `rejected`: rows from before the barrier that [`SinkWriter::take_rejected`]
    /// has not handed out, and that are not staged.
    Part { staged: Staged, rejected: Vec<Rejected> },
    /// Something has to be acknowledged first: [`SinkWriter::poll_prepare`] is asked after the next
    /// wake-up.
    Waits,
}

impl Prepared {
    /// A part of a writer that hands its rejected rows out at once.
    pub fn staged(staged: Staged) -> Prepared {
        Prepared::Part { staged, rejected: Vec::new() }
    }
}

/// One sink table, shared by all workers.
pub trait Sink: Send + Sync {
    fn guarantee(&self) -> Guarantee;
    /// What a published epoch leaves, whatever becomes of its checkpoint.
    fn leaves(&self) -> Leaves {
        match self.guarantee() {
            Guarantee::ExactlyOnce => Leaves::Rows,
            Guarantee::EffectivelyOnce | Guarantee::AtLeastOnce => Leaves::Nothing,
        }
    }
    /// `writer`: a number that no other writer of the table has, in the same order at each start
    /// with as many workers. `wake` wakes the worker that owns it.
    fn writer(&self, writer: usize, wake: Wake) -> Result<Box<dyn SinkWriter>, SinkError>;
    /// Publishes what writers prepared. `staged` holds what they gave, empty ones left out.
    /// Idempotent. Called on a thread on which nothing else waits, one publication after the other;
    /// writers may be at later epochs meanwhile.
    fn commit(&self, _staged: &[Staged]) -> Result<(), SinkError> {
        Ok(())
    }
    /// The same after a kill in the midst of it. What is neither staged any more nor there under
    /// its name was published then, and whoever reads the results has taken it away: that is said
    /// and is no failure.
    fn recommit(&self, staged: &[Staged]) -> Result<(), SinkError> {
        self.commit(staged)
    }
    /// What is to be committed of an epoch and of one before it that was not: together they are one
    /// publication, and part of one checkpoint. `older` and `newer` hold what writers gave, in their
    /// order. Sinks whose newer part says all leave out what is older.
    fn join_staged(&self, older: Vec<Staged>, newer: Vec<Staged>) -> Vec<Staged> {
        let mut joined = older;
        joined.extend(newer);
        joined
    }
    /// Takes over what was staged for the checkpoint that the job goes on from, whether it was
    /// committed or not. Called before writers are made; they send what may not have arrived.
    fn resume(&self, _staged: &[Staged]) -> Result<(), SinkError> {
        Ok(())
    }
    /// Rows that the outside refused when they were committed, since the last call. They go to the
    /// error stream.
    fn take_refused(&self) -> Vec<Rejected> {
        Vec::new()
    }
    /// How many results were not new to the outside. None where nobody compares.
    fn not_new(&self) -> Option<Counts> {
        None
    }
    /// What the outside does not hold any more of what the run had written, in words; None where it
    /// holds all, or nobody knows.
    fn missing(&self) -> Option<String> {
        None
    }
    /// Called every minute: looks whether the outside is still what it was, without waiting. What
    /// it finds is said by a later call, as an error if nothing more can be written.
    fn audit(&self) -> Result<(), SinkError> {
        Ok(())
    }
    /// The job has failed, or is to stop and has waited long enough: a `commit` that waits for the
    /// outside ends soon, with an error, and leaves the rest to the next start.
    fn give_up(&self) {}
    /// After a restore and after `commit` of the restored epoch: removes what this run left
    /// uncommitted.
    fn discard_uncommitted(&self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// One worker's end of a sink. Synchronous and never waiting; network work happens behind a
/// byte-bounded queue.
pub trait SinkWriter: Send {
    fn write(&mut self, rows: &Rows) -> Result<(), SinkError>;
    /// False while the queue is full: the worker then stops pulling, and asks again when it is
    /// woken.
    fn has_room(&mut self) -> bool {
        true
    }
    /// True if what is held should go into a checkpoint soon, since only that makes room.
    fn wants_epoch(&self) -> bool {
        false
    }
    /// Whether it takes a row from before a barrier that was requested, although it is full: a
    /// barrier can only pass behind what is before it. For writers that stage what they hold.
    fn has_room_before_barrier(&mut self) -> bool {
        self.has_room()
    }
    /// Bytes of rows that are held.
    fn memory_bytes(&self) -> usize {
        0
    }
    /// The barrier of an epoch has come: what was written before it belongs to the epoch, what
    /// follows to the next.
    fn begin_prepare(
        &mut self,
        epoch: Epoch,
        afterwards: Afterwards,
    ) -> Result<Prepared, SinkError>;
    /// Asked while [`SinkWriter::begin_prepare`] has answered [`Prepared::Waits`].
    fn poll_prepare(&mut self) -> Result<Prepared, SinkError> {
        Ok(Prepared::Waits)
    }
    /// Rows the outside can never take (too large, no key), since the last call. They go to the
    /// error stream. From a barrier on these are rows that follow it, or that were staged.
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

/// A failure that ends the job. The message says where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// What the query says of the table is wrong.
    #[error("sink {table}: {reason}")]
    Config { table: String, reason: String },
    /// What is outside, or in the checkpoint, is not what this table needs.
    #[error("sink {table}: {reason}")]
    Unfit { table: String, reason: String, who: Who },
    #[error("sink {table}: failed to write: {reason}")]
    Write { table: String, reason: String, who: Who },
}

impl SinkError {
    pub fn who(&self) -> Who {
        match self {
            SinkError::Config { .. } => Who::User(Mistake::Asked),
            SinkError::Unfit { who, .. } | SinkError::Write { who, .. } => *who,
        }
    }
}

/// For unit tests: a writer whose part of an epoch is complete at once.
#[cfg(test)]
pub(crate) trait PrepareNow {
    fn prepare(&mut self, epoch: u64) -> Result<Staged, SinkError>;
}

#[cfg(test)]
impl<W: SinkWriter + ?Sized> PrepareNow for W {
    fn prepare(&mut self, epoch: u64) -> Result<Staged, SinkError> {
        match self.begin_prepare(Epoch::new(epoch), Afterwards::GoesOn)? {
            Prepared::Part { staged, .. } => Ok(staged),
            Prepared::Waits => panic!("it waits"),
        }
    }
}
