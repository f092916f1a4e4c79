//! A job in a program of one's own: from SQL text to results, without the binary.
//!
//! [`Job`] is what the command `paceline run` does, as a library: sources, sinks and functions of
//! one's own take part in a query like those that are built in. `start` is common to both. What
//! always holds: nothing outside is touched before the whole query has been understood.

mod failure;
pub(crate) mod folders;
mod function;
pub mod start;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub use failure::JobFailure;
use folders::Folders;
pub use function::Function;
use start::{Start, Started};

use crate::config::Config;
use crate::connect;
use crate::connector::inline::select::SelectFormat;
use crate::connector::{Bounds, Connector, Connectors, OnGap};
use crate::files::on_disk;
use crate::plan::explain::explain;
use crate::plan::lower::lower;
use crate::plan::physical::PhysicalPlan;
use crate::runtime::control::Stats;
use crate::runtime::job;
use crate::runtime::job::{Observer, Outcome};
use crate::runtime::worker::SharedSource;
use crate::sql::bind::bind_using;
use crate::state::store::StoreKind;
use crate::time::clock::SystemClock;

/// A job to be run: a file of SQL, and what it may name.
///
/// ```no_run
/// # fn main() -> Result<(), paceline::JobFailure> {
/// let ran = paceline::Job::new(
///     "CREATE TABLE rides (racer STRING, score DOUBLE) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'rides');
///      CREATE TABLE best (racer STRING PRIMARY KEY NOT ENFORCED, score DOUBLE)
///          WITH ('connector' = 'dynamodb', 'table-name' = 'best', 'aws.region' = 'eu-west-1');
///      INSERT INTO best SELECT racer, MAX(score) FROM rides GROUP BY racer;",
/// )
/// .state_dir("state")
/// .set("execution.checkpointing.interval", "5 s")
/// .run()?;
/// println!("{} records, {} rows", ran.records, ran.rows);
/// # Ok(())
/// # }
/// ```
pub struct Job {
    sql: String,
    settings: Vec<(String, String)>,
    state_dir: Option<PathBuf>,
    connectors: Connectors,
    functions: Vec<Function>,
    stop: Stop,
}

/// What came of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    pub outcome: Outcome,
    /// Read since the start.
    pub records: u64,
    /// Written by all sinks since the start.
    pub rows: u64,
    /// Rows that came after their window.
    pub late: u64,
    /// Records and rows in the error stream.
    pub unusable: u64,
}

/// Stops a job from another thread: it takes a last checkpoint, from which the next start on its
/// state directory goes on.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Job {
    /// A job of the statements in `sql`, as a file for `paceline run` holds them.
    pub fn new(sql: impl Into<String>) -> Job {
        let (settings, functions) = (Vec::new(), Vec::new());
        Job {
            sql: sql.into(),
            settings,
            state_dir: None,
            connectors: Connectors::built_in(),
            functions,
            stop: Stop::default(),
        }
    }

    /// Overrides a setting of the file: Flink's keys, and ours under `paceline.`.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Job {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// Keeps state and checkpoints in this folder, which is new, empty, or that of an earlier run
    /// of the same query, from whose newest checkpoint the job then goes on. Without it, state goes
    /// when the job ends.
    #[must_use]
    pub fn state_dir(mut self, folder: impl AsRef<Path>) -> Job {
        self.state_dir = Some(folder.as_ref().to_path_buf());
        self
    }

    /// Lets tables name a connector of one's own.
    #[must_use]
    pub fn connector(mut self, connector: impl Connector + 'static) -> Job {
        self.connectors = self.connectors.with(connector);
        self
    }

    /// Lets queries call a function of one's own.
    #[must_use]
    pub fn function(mut self, function: Function) -> Job {
        self.functions.push(function);
        self
    }

    /// What stops the job, also before it runs.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Understands the query and touches nothing. Returns the plan, in words.
    pub fn check(&self) -> Result<String, JobFailure> {
        let (plan, config) = self.plan()?;
        connect::check(&plan, &config, &self.connectors, &|_, _| false)
            .map_err(|e| JobFailure::connect(e, &self.sql))?;
        Ok(explain(&plan, |sink| connect::guarantee(&plan.sinks[sink], &self.connectors)))
    }

    /// Runs until the input ends or [`Stop::stop`] is called. Blocks; workers are threads of their
    /// own.
    pub fn run(self) -> Result<Ran, JobFailure> {
        let (plan, config) = self.plan()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let folders = Folders::of(self.state_dir.as_deref(), &config)?;
        let start = Start {
            connectors: &self.connectors,
            config: &config,
            plan: &plan,
            query_path: PathBuf::from(QUERY),
            local: false,
            files: on_disk(),
            state_dir: folders.state.clone(),
            errors_dir: folders.errors.clone(),
            bounds: Bounds::default(),
            on_gap: OnGap::Refuse,
            select: SelectFormat::Json,
            fresh: false,
            allow_duplicates: false,
            clock: SystemClock::shared(),
            tasks: runtime.handle().clone().into(),
            stores: StoreKind::RocksDb,
            stop: self.stop.0.clone(),
        };
        let Started { connection, options, store, run_ms } =
            start.start().map_err(|e| JobFailure::start(e, &self.sql))?;
        let mut counts = Counts::default();
        let outcome = job::run(&plan, &connection.connected, &options, store, run_ms, &mut counts)?;
        let Counts { records, rows, late, unusable } = counts;
        Ok(Ran { outcome, records, rows, late, unusable })
    }

    fn plan(&self) -> Result<(PhysicalPlan, Config), JobFailure> {
        let wrong = |e| JobFailure::query(&e, &self.sql);
        let functions = self.functions.iter().map(Function::to_scalar);
        let script = bind_using(&self.sql, &self.settings, functions).map_err(wrong)?;
        let mut settings: BTreeMap<String, String> = script.settings.clone();
        settings.extend(self.settings.iter().cloned());
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let config =
            Config::resolve(&settings, cores).map_err(|e| wrong(script.setting_error(e)))?;
        let plan = lower(&script, &self.sql, &config, &self.connectors).map_err(wrong)?;
        Ok((plan, config))
    }
}

/// What errors call the text of the query.
const QUERY: &str = "query";

#[derive(Default)]
struct Counts {
    records: u64,
    rows: u64,
    late: u64,
    unusable: u64,
}

impl Observer for Counts {
    fn progress(&mut self, stats: &Stats, _: &[Arc<SharedSource>]) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (self.records, self.rows) = (of(&stats.rows_in), of(&stats.rows_out));
        (self.late, self.unusable) = (of(&stats.late_rows), of(&stats.diverted));
    }
}
