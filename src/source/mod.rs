//! Where do records come from? Traits that every source implements, and what a split and a position
//! are.
//!
//! Called by `runtime`: it asks a [`Source`] for its splits once (epoch 0), opens each on one
//! worker, and polls it there. What always holds: a split is read by one worker at a time;
//! [`SplitReader::position`] covers exactly the records that `poll` has returned; nothing here
//! decodes a payload, keeps operator state or knows SQL.

pub mod budget;
mod kept;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::RawBatch;
use crate::tasks::Stopped;
use crate::time::idle::EmptyAnswers;
use crate::wake::Wake;
use crate::who::{Again, Mistake, Who};
use budget::ReadBudget;
pub use kept::{NotRead, Position, RunState};

/// Name of a split, unique within its source and stable over restarts: a shard id, a file path, a
/// generator index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SplitId(pub Arc<str>);

impl std::fmt::Display for SplitId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A split as it is first known: at the start of a run, or as the child of a split that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitSeed {
    pub id: SplitId,
    /// Splits that must end before this one is opened. A parent that the job does not know counts
    /// as ended.
    pub parents: Vec<SplitId>,
    pub start: Position,
}

/// What a poll of a split gave.
#[derive(Debug)]
pub enum Polled {
    /// At least one record.
    Records(RawBatch),
    /// Nothing at the moment. `empty`: the answers in a row that said so (empty replies with
    /// MillisBehindLatest 0), which let a split become idle; None where the server has not said so,
    /// or something came between.
    Pending { empty: Option<EmptyAnswers> },
    /// There are more splits; this one goes on. Only of a split that [`Source::finds`] names. `gone`:
    /// splits that it has found and that are there no more. Those that have ended are forgotten, of
    /// which it is told by [`SplitReader::forget`].
    Found { splits: Vec<SplitSeed>, gone: Vec<SplitId> },
    /// No record will follow. `children` take the split's place; they are known before this is
    /// returned.
    End { children: Vec<SplitSeed> },
}

/// A split as a checkpoint has it.
#[derive(Debug, Clone, Copy)]
pub struct StoredSplit<'a> {
    pub id: &'a str,
    pub position: &'a Position,
    /// It was read to its end.
    pub finished: bool,
}

/// Whether a split is read at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    Begins,
    Ends,
}

/// How a reader may read ahead of what is polled.
pub struct ReadAhead {
    /// To be called when `poll` has something new to say.
    pub wake: Wake,
    /// What the readers of all splits of the job may hold.
    pub budget: Arc<ReadBudget>,
}

impl ReadAhead {
    /// For a reader that is alone.
    pub fn alone(wake: Wake) -> ReadAhead {
        ReadAhead { wake, budget: ReadBudget::new(usize::MAX) }
    }
}

/// A table's connection to the outside. Shared by all workers; `open` is called on the worker that
/// owns the split.
pub trait Source: Send + Sync {
    /// Called once at each start, before anything else. `stored`: what the run's newest checkpoint
    /// keeps of the source; None in a new run. Returns what checkpoints keep from now on. What does
    /// not fit the outside any more is an error ([`SourceError::Stored`]).
    fn setup(&self, stored: Option<&RunState>) -> Result<Option<RunState>, SourceError> {
        Ok(stored.cloned())
    }
    /// True, after [`Source::setup`], if the run reads on behind the end that it had: splits that
    /// have ended without children are opened again.
    fn reads_on(&self) -> bool {
        false
    }
    /// The splits a new run starts with. Start positions are resolved here, once: LATEST becomes a
    /// time. A bounded source that has no split at all returns an empty list and the job ends.
    fn discover(&self) -> Result<Vec<SplitSeed>, SourceError>;
    /// Starts reading at `position`. Must not block on the network: errors come out of `poll`.
    fn open(
        &self,
        split: &SplitId,
        position: &Position,
        ahead: ReadAhead,
    ) -> Result<Box<dyn SplitReader>, SourceError>;
    /// True if every split ends by itself (files, `--to`, a generator with a row count).
    fn bounded(&self) -> bool;
    /// Reads ahead into a split that is not open, without changing anything: some of its first
    /// records, or None if it has none or is not worth it. Until it is opened the split counts with
    /// the watermark of the first readable one.
    fn peek(&self, _split: &SplitId) -> Result<Option<RawBatch>, SourceError> {
        Ok(None)
    }
    /// True for a split that has no records and only finds others. It never holds the watermark
    /// back.
    fn finds(&self, _split: &SplitId) -> bool {
        false
    }
    /// What is not any more as it was when the job read it, in words: asked at a start from a
    /// checkpoint, and from time to time. `splits` are all that the newest checkpoint has. Must not
    /// wait: what the network has to be asked for is asked in a task, and told the next time.
    fn audit(&self, _splits: &[StoredSplit<'_>]) -> Vec<String> {
        Vec::new()
    }
    /// Splits that are there outside and that nobody reads, as far as the last audit has seen.
    fn unread(&self) -> u64 {
        0
    }
    /// Splits that one worker keeps open at a time. None: all that it owns.
    fn open_at_once(&self) -> Option<usize> {
        None
    }
    /// Bytes or records in all, for a progress bar, where known.
    fn size_hint_bytes(&self) -> Option<u64> {
        None
    }
}

/// Reads one split. Synchronous: `poll` never waits.
pub trait SplitReader: Send {
    /// Up to `max_records` records (a reader may return fewer; never an empty `Records`).
    fn poll(&mut self, max_records: usize) -> Result<Polled, SourceError>;
    /// Where a reader opened now would go on: after everything that `poll` has returned.
    fn position(&self) -> Position;
    /// Splits that were gone are in no part of any checkpoint from the coming one on: a split of
    /// their name is another one.
    fn forget(&mut self, _gone: &BTreeSet<SplitId>) {}
    /// Told when the split is not going to be polled for a while, since it is ahead of others, and
    /// when it is again. What was read ahead is given up meanwhile: others may need the room.
    fn pause(&mut self, _now: Pause) {}
    /// How far the last answer of the outside was behind the newest record of the split, ms of
    /// arrival time. None before the first answer, and where there are no arrival times.
    fn lag_ms(&self) -> Option<i64> {
        None
    }
    /// Payload bytes read so far, for progress.
    fn bytes_read(&self) -> u64 {
        0
    }
    /// Bytes of records that were too long and dropped since the last call: the rest of such a
    /// record goes to the error stream.
    fn take_bytes_cut(&mut self) -> u64 {
        0
    }
}

/// A failure that ends the job. The message says where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// What the query says of the table is wrong.
    #[error("source {table}: {reason}")]
    Config { table: String, reason: String },
    /// The system outside is not there, does not answer, or refuses.
    #[error("source {table}: {reason}")]
    Failed { table: String, reason: String, who: Who },
    /// The same of one split.
    #[error("source {table}, split {split}: {reason}")]
    Read { table: String, split: SplitId, reason: String, who: Who },
    /// What a checkpoint keeps of the source does not fit.
    #[error("source {table}: {reason}")]
    Stored { table: String, reason: String },
}

impl SourceError {
    pub fn who(&self) -> Who {
        match self {
            SourceError::Config { .. } => Who::User(Mistake::Asked),
            SourceError::Failed { who, .. } | SourceError::Read { who, .. } => *who,
            SourceError::Stored { .. } => Who::Stored(Again::IsInVain),
        }
    }

    /// Of network work that nobody does any more.
    pub(crate) fn stopped(table: &str, stopped: Stopped) -> SourceError {
        SourceError::Failed { table: table.into(), reason: stopped.to_string(), who: Who::Us }
    }

    /// Of something kept that cannot be read.
    pub(crate) fn not_read(table: &str, error: &NotRead) -> SourceError {
        SourceError::Stored { table: table.into(), reason: error.to_string() }
    }
}
