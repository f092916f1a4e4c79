//! What is a job given: its ends outside, and how it is to run?
//!
//! Filled in by `cli` and by tests; read by `job` and `graph`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use super::crash::CrashSchedule;
use crate::ingest::Decoding;
use crate::lookup::Lookup;
use crate::sink::Sink;
use crate::source::Source;
use crate::state::store::StoreKind;
use crate::time::clock::SharedClock;

/// A plan's ends, connected to the outside.
pub struct Connected {
    /// In the order of the plan's sources.
    pub sources: Vec<Arc<dyn Source>>,
    /// Makes what reads the records of a source; each worker has its own.
    pub decoding: Box<dyn Fn(usize) -> Decoding + Send + Sync>,
    /// Tables that are looked up, in the order of the plan's.
    pub lookups: Vec<Arc<Lookup>>,
    /// In the order of the plan's sinks.
    pub sinks: Vec<Arc<dyn Sink>>,
    /// The error stream.
    pub errors: Arc<dyn Sink>,
    /// How many rows were refused while epochs were published, of which the log has the first.
    pub refused: Arc<AtomicU64>,
    /// In the order of the plan's sources.
    pub watermarks: Vec<SourceWatermarks>,
}

/// What a table says of its watermark beside the expression.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceWatermarks {
    /// A split that has been certified empty for this long no longer holds the watermark back;
    /// zero: never.
    pub idle_timeout: Duration,
    /// The sources that it is read together with, and how far its splits may be ahead of the
    /// slowest.
    pub alignment: Option<Alignment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alignment {
    pub group: String,
    pub max_drift: Duration,
}

/// When an epoch is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointTrigger {
    Interval(Duration),
    /// Each time this many records more were read. For tests and benchmarks that must not depend on
    /// time.
    Records(u64),
    /// Only at the end, or when the job is stopped.
    AtEnd,
}

/// How long checkpoints may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointLimits {
    /// One that is not complete by then counts as failed.
    pub timeout: Duration,
    /// With more failures in a row the job fails. None: with none.
    pub failures_max: Option<u64>,
}

impl Default for CheckpointLimits {
    /// Flink's time, and no end to patience.
    fn default() -> CheckpointLimits {
        CheckpointLimits { timeout: Duration::from_secs(600), failures_max: None }
    }
}

/// How workers get their turns.
#[derive(Clone)]
pub enum Scheduling {
    Threads,
    /// All workers in the calling thread, in an order that follows from the seed.
    Seeded(u64),
    /// All workers in the calling thread, and what is outside beside them, as this says.
    Turns(Arc<dyn Turns>),
}

impl std::fmt::Debug for Scheduling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scheduling::Threads => f.write_str("Threads"),
            Scheduling::Seeded(seed) => write!(f, "Seeded({seed})"),
            Scheduling::Turns(_) => f.write_str("Turns"),
        }
    }
}

/// Who comes next, where everything happens on one thread.
pub trait Turns: Send + Sync {
    fn next(&self, stands: OneThread) -> Turn;
}

/// How things stand on the one thread.
#[derive(Debug, Clone, Copy)]
pub struct OneThread {
    pub workers: usize,
    /// The workers that have found nothing to do since anything happened.
    pub idle: usize,
    /// Sinks are to publish something.
    pub publishes: bool,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// This worker makes a step.
    Worker(usize),
    /// The sinks publish what they are to publish, all of it.
    Publication,
    /// Something outside has happened: there may be something to do again.
    Outside,
    /// The process is killed.
    Killed,
    /// Nothing is left that could happen.
    Nothing,
}

pub struct JobOptions {
    pub workers: usize,
    pub state_dir: PathBuf,
    pub fresh: bool,
    pub allow_duplicates: bool,
    pub trigger: CheckpointTrigger,
    pub limits: CheckpointLimits,
    pub scheduling: Scheduling,
    pub batch_rows: usize,
    /// A lane between workers takes another batch while it holds less than this.
    pub lane_bytes_max: usize,
    /// Bytes for accumulators in memory, all workers together; past them windows are moved to the
    /// store.
    pub accumulator_bytes_max: usize,
    /// While so many bytes are staged and not published, only the last epoch of the job is opened:
    /// manifests hold them, and each is written whole. They are held up to three times: as staged,
    /// in the publication, and as what is sent.
    pub owed_bytes_max: usize,
    /// Bytes that readers may hold beyond what was polled, all splits together.
    pub read_ahead_bytes: usize,
    pub stores: StoreKind,
    /// Bytes for RocksDB's caches and write buffers, all workers together.
    pub state_cache_bytes: usize,
    pub crashes: Arc<dyn CrashSchedule>,
    pub clock: SharedClock,
    /// Set from outside to stop: a last checkpoint is taken, open windows do not fire.
    pub stop: Arc<AtomicBool>,
}
