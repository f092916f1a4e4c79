//! The start of a job whose query is understood: its folder is locked, its ends are connected.
//!
//! Called by [`super::Job`] and by `paceline run`. The order matters: the run's name, which sinks
//! need, is in the state directory, and only its owner may read it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::checkpoint::store::CheckpointStore;
use crate::config::Config;
use crate::connect::{self, Connection};
use crate::connector::inline::select::SelectFormat;
use crate::connector::{Bounds, ConnectError, Connectors, Environment, OnGap};
use crate::files::Files;
use crate::plan::physical::PhysicalPlan;
use crate::runtime::crash::NeverCrash;
use crate::runtime::error::JobError;
use crate::runtime::graph::LANE_BYTES_MAX;
use crate::runtime::job;
use crate::runtime::options::{CheckpointLimits, CheckpointTrigger, JobOptions, Scheduling};
use crate::sql::error::SqlError;
use crate::state::store::StoreKind;
use crate::tasks::Tasks;
use crate::time::clock::SharedClock;
use crate::who::Who;

/// All that a start depends on.
pub(crate) struct Start<'a> {
    pub connectors: &'a Connectors,
    pub config: &'a Config,
    pub plan: &'a PhysicalPlan,
    /// Samples are looked for beside it.
    pub query_path: PathBuf,
    pub local: bool,
    /// Where the folders below are.
    pub files: Arc<dyn Files>,
    pub state_dir: PathBuf,
    pub errors_dir: PathBuf,
    pub bounds: Bounds,
    pub on_gap: OnGap,
    pub select: SelectFormat,
    pub fresh: bool,
    pub allow_duplicates: bool,
    pub clock: SharedClock,
    pub tasks: Tasks,
    pub stores: StoreKind,
    pub stop: Arc<AtomicBool>,
}

/// A job that [`job::run`] can run.
pub(crate) struct Started {
    pub connection: Connection,
    pub options: JobOptions,
    pub store: CheckpointStore,
    pub run_ms: i64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] JobError),
}

impl StartError {
    pub fn who(&self) -> Who {
        match self {
            StartError::Connect(e) => e.who(),
            StartError::State(e) => e.who(),
        }
    }

    /// The error as one of the query's text, which has a place to show.
    pub fn in_text(&self) -> Option<&SqlError> {
        match self {
            StartError::Connect(e) => e.in_text(),
            StartError::State(_) => None,
        }
    }
}

impl Start<'_> {
    pub fn start(self) -> Result<Started, StartError> {
        let mut store = CheckpointStore::open_in(self.files.clone(), &self.state_dir)
            .map_err(JobError::from)?;
        let run_ms = job::run_start(&mut store, self.fresh, || self.now_ms())?;
        let env = Environment {
            connectors: self.connectors,
            config: self.config,
            query_path: self.query_path.clone(),
            local: self.local,
            files: self.files.clone(),
            state_dir: self.state_dir.clone(),
            errors_dir: self.errors_dir.clone(),
            run_ms,
            run_name: store.run_name(run_ms),
            bounds: self.bounds,
            on_gap: self.on_gap,
            clock: self.clock.clone(),
            tasks: self.tasks.clone(),
            select: self.select,
        };
        let connection = connect::connect(self.plan, &env)?;
        let options = self.options();
        Ok(Started { connection, options, store, run_ms })
    }

    /// The time of the servers that results go to: they see other writers, whose clocks need not be
    /// ours. Where there are none, ours.
    fn now_ms(&self) -> Result<i64, StartError> {
        let asked = if self.local {
            None
        } else {
            connect::server_ms(self.plan, self.connectors, &self.clock, &self.tasks)?
        };
        Ok(asked.unwrap_or_else(|| self.clock.wall_ms()))
    }

    fn options(self) -> JobOptions {
        let Config { workers, batch_rows, memory_bytes, .. } = *self.config;
        JobOptions {
            workers,
            state_dir: self.state_dir,
            fresh: self.fresh,
            allow_duplicates: self.allow_duplicates,
            trigger: trigger(self.config),
            limits: CheckpointLimits {
                timeout: self.config.checkpoint_timeout,
                failures_max: self.config.checkpoint_failures_max,
            },
            scheduling: Scheduling::Threads,
            batch_rows,
            lane_bytes_max: LANE_BYTES_MAX,
            // Two fifths for accumulators and a quarter for RocksDB; the rest is for queues, the
            // batches in work, what is copied while state moves, and freed pages that the system
            // has not got back yet.
            accumulator_bytes_max: memory_bytes / 5 * 2,
            owed_bytes_max: memory_bytes / 16,
            read_ahead_bytes: memory_bytes / 8,
            stores: self.stores,
            state_cache_bytes: memory_bytes / 4,
            crashes: Arc::new(NeverCrash),
            clock: self.clock,
            stop: self.stop,
        }
    }
}

fn trigger(config: &Config) -> CheckpointTrigger {
    match (config.checkpoint_records, config.checkpoint_interval) {
        (Some(records), _) => CheckpointTrigger::Records(records),
        (None, Some(interval)) => CheckpointTrigger::Interval(interval),
        (None, None) => CheckpointTrigger::AtEnd,
    }
}
