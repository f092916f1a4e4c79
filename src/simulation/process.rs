//! One process of a job: what is it given, how does it end, and what did it say of itself?
//!
//! Called by `world` for one process after the other. What always holds: the job sees what a binary
//! would: a disk, a clock, and services that are called; what it counts and shows is that of the
//! product, through the same observer that `run` has.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::clockwork::{Clockwork, CrashAt};
use super::dies::Dies;
use super::executor::Sim;
use super::open_calls::OpenCalls;
use super::plans::{Planned, planned};
use super::queries::Asked;
use super::scaling::START_MS;
use super::scenario::{Also, End, From, Into, OnRefusal, Process, Scenario};
use super::stream::{self, Reads};
use super::table;
use crate::checkpoint::store::CheckpointStore;
use crate::cli::progress::Progress;
use crate::connect::connect;
use crate::connector::dynamodb::DynamoDb;
use crate::connector::inline::select::SelectFormat;
use crate::connector::kinesis::Kinesis;
use crate::connector::kinesis::position::{ShardPlace, ShardPosition};
use crate::connector::{Bounds, Connectors, Environment, OnGap};
use crate::files::memory::Tree;
use crate::ids::Epoch;
use crate::observe::health::{Health, Report};
use crate::peaks::{self, Peaks};
use crate::runtime::control::Stats;
use crate::runtime::crash::{CrashSchedule, NeverCrash};
use crate::runtime::error::JobError;
use crate::runtime::job::{self, Observer, Outcome};
use crate::runtime::options::{JobOptions, Scheduling};
use crate::runtime::worker::SharedSource;
use crate::sink::version::Counts;
use crate::state::store::StoreKind;
use crate::time::clock::SharedClock;
use crate::time::virtual_time::{VirtualClock, VirtualTime};

/// The table of results.
pub(super) const TABLE: &str = "res";
/// That of the second result.
pub(super) const ALSO: &str = "also";
/// What is looked up.
pub(super) const RIDERS: &str = "riders";
/// Folders on the disk of a job.
pub(super) const STATE: &str = "/state";
pub(super) const RESULTS: &str = "/results";
pub(super) const ERRORS: &str = "/errors";

/// What is around the jobs of a world.
#[derive(Clone)]
pub(super) struct Around {
    pub time: Arc<VirtualTime>,
    pub stream: Arc<stream::Service>,
    pub tables: Arc<table::Service>,
}

/// A process that is to be run.
pub(super) struct Start<'a> {
    pub scenario: &'a Scenario,
    pub around: &'a Around,
    pub asked: Asked,
    pub process: &'a Process,
    /// What the table calls the process.
    pub caller: &'a str,
    pub disk: &'a Tree,
    pub on_gap: OnGap,
    pub bounds: Bounds,
    pub sim: &'a Arc<Sim>,
    pub clockwork: &'a Arc<Clockwork>,
}

/// What a process has said of itself.
#[derive(Default)]
pub(super) struct Seen {
    pub checkpoints: u64,
    pub records: u64,
    pub rows: u64,
    pub late: u64,
    pub diverted: u64,
    /// Its run began with it.
    pub is_new: bool,
    /// The number of its run, once it had one.
    pub run_ms: Option<i64>,
    /// When the splits begin that begin at a time, ms since the epoch.
    pub from_ms: Option<i64>,
    /// Each split of the source, for people.
    pub splits: Vec<String>,
    /// What the table had already.
    pub not_new: Counts,
    /// What `/health` said last.
    pub health: Report,
    progress: Option<Progress>,
    /// Its calls to the stream and to the table.
    pub reads: Arc<OpenCalls>,
    pub writes: Arc<OpenCalls>,
    /// The most that it may read ahead, and how much more than that it had read once.
    read_ahead_bytes: usize,
    pub too_far_bytes: usize,
    /// What it held at most.
    pub peaks: Peaks,
}

impl Start<'_> {
    /// Runs the process to its end.
    pub fn run(&self, seen: &mut Seen) -> Result<Outcome, JobError> {
        let Start { around, process, .. } = self;
        let clock: SharedClock = Arc::new(VirtualClock {
            time: around.time.clone(),
            start_ms: START_MS + process.clock_ahead_ms,
        });
        let mut writes = around.tables.caller(self.caller);
        writes.buffer_bytes_max = process.buffer_bytes_max;
        if let Some(End::KilledAtWrite(write, sent)) = process.end {
            writes.dies = Some(Dies::new(write, sent, self.sim.clone()));
        }
        seen.writes = writes.open.clone();
        seen.read_ahead_bytes = process.read_ahead_bytes;
        let connectors = Connectors::built_in()
            .replacing(Kinesis::on(Reads {
                service: around.stream.clone(),
                open: seen.reads.clone(),
            }))
            .replacing(DynamoDb::on(writes));
        let planned: Rc<Planned> = planned(&self.script(), process.workers, &connectors);
        let files = self.disk.boot();
        if let Some(End::KilledAtChange(change)) = process.end {
            self.disk.die_at(change);
        }
        let state_dir = PathBuf::from(STATE);
        let mut store = CheckpointStore::open_in(files.clone(), &state_dir)?;
        let server_ms = around.tables.now_ms();
        let run_ms = job::run_start(&mut store, false, || {
            seen.is_new = true;
            Ok::<i64, JobError>(server_ms)
        })?;
        seen.run_ms = Some(run_ms);
        let env = Environment {
            connectors: &connectors,
            config: &planned.config,
            query_path: PathBuf::from("query.sql"),
            local: false,
            files: files.clone(),
            state_dir: state_dir.clone(),
            errors_dir: ERRORS.into(),
            run_ms,
            run_name: store.run_name(run_ms),
            on_gap: self.on_gap,
            bounds: self.bounds,
            clock: clock.clone(),
            tasks: self.sim.tasks(),
            select: SelectFormat::Json,
        };
        let connection = connect(&planned.plan, &env).unwrap_or_else(|e| panic!("{e}"));
        let crashes: Arc<dyn CrashSchedule> = match process.end {
            Some(End::KilledAt(point, times)) => {
                Arc::new(CrashAt { point, left: AtomicU64::new(times) })
            }
            _ => Arc::new(NeverCrash),
        };
        let options = JobOptions {
            workers: process.workers,
            state_dir,
            fresh: false,
            allow_duplicates: false,
            limits: Default::default(),
            trigger: process.trigger,
            scheduling: Scheduling::Turns(self.clockwork.clone()),
            batch_rows: process.batch_rows,
            lane_bytes_max: process.lane_bytes_max,
            accumulator_bytes_max: process.accumulator_bytes_max,
            owed_bytes_max: process.owed_bytes_max,
            read_ahead_bytes: process.read_ahead_bytes,
            stores: StoreKind::Memory(files),
            state_cache_bytes: 1 << 20,
            crashes,
            clock: clock.clone(),
            stop: self.clockwork.stop.clone(),
        };
        let names = planned.plan.sinks.iter().map(|sink| sink.name.clone());
        let sinks = names.zip(connection.connected.sinks.iter().cloned()).collect();
        let health = Arc::new(Health::default());
        seen.progress = Some(Progress::new(None, None, clock, health.clone(), sinks));
        peaks::take();
        let outcome = job::run(&planned.plan, &connection.connected, &options, store, run_ms, seen);
        seen.peaks = peaks::take();
        seen.progress = None;
        seen.health = health.read();
        seen.not_new = connection.connected.sinks[0].not_new().unwrap_or_default();
        outcome
    }

    fn script(&self) -> String {
        let scenario = self.scenario;
        let sink = match scenario.sink {
            Into::Files => {
                format!("'connector' = 'filesystem', 'format' = 'json', 'path' = '{RESULTS}'")
            }
            Into::Table => self.table(TABLE),
        };
        let also = match scenario.also {
            Also::Nothing => None,
            Also::Counts => Some(self.table(ALSO)),
        };
        let position = if scenario.from == From::Latest { "LATEST" } else { "TRIM_HORIZON" };
        scenario.query.script(self.asked, (&sink, also.as_deref()), position, scenario.alignment)
    }

    /// What a table of results is WITH.
    fn table(&self, name: &str) -> String {
        let scenario = self.scenario;
        let fails = scenario.on_refusal == OnRefusal::Fails;
        format!(
            "'connector' = 'dynamodb', 'table-name' = '{name}', 'aws.region' = 'eu-west-1',
             'sink.requests.max-inflight' = '{}', 'sink.requests.max-buffered' = '{}',
             'sink.fail-on-error' = '{fails}'",
            scenario.requests_max, scenario.buffered_max
        )
    }
}

/// The bounds of a process.
pub(super) fn bounds(scenario: &Scenario, process: &Process) -> Bounds {
    Bounds { from_ms: begins_ms(scenario), to_ms: Some(process.to_ms.unwrap_or(scenario.to_ms)) }
}

fn begins_ms(scenario: &Scenario) -> Option<i64> {
    match scenario.from {
        From::Time(ms) => Some(ms),
        From::Horizon | From::Latest => None,
    }
}

fn began_at(source: &SharedSource) -> Option<i64> {
    let splits = source.splits();
    splits.iter().find_map(|split| match ShardPlace::of(&split.data.position).ok()?.at {
        ShardPosition::Time { arrival_ms } => Some(arrival_ms),
        _ => None,
    })
}

fn splits_in_words(source: &SharedSource) -> Vec<String> {
    let splits = source.splits();
    let words = splits.iter().map(|split| {
        format!(
            "{} {:?} at {} {:?} of {}",
            split.id, split.status, split.watermark, split.data.position, split.owner
        )
    });
    words.collect()
}

impl Observer for Seen {
    fn progress(&mut self, stats: &Stats, sources: &[Arc<SharedSource>]) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (self.records, self.rows) = (of(&stats.rows_in), of(&stats.rows_out));
        self.diverted = of(&stats.diverted);
        self.late = of(&stats.late_rows) + of(&stats.late_by_fired_mark);
        self.from_ms = self.from_ms.or_else(|| sources.iter().find_map(|s| began_at(s)));
        self.splits = sources.iter().flat_map(|source| splits_in_words(source)).collect();
        // What it was given and has not taken; a reply may have more than was to be expected.
        let (given, of_reply) = self.reads.bytes();
        let ahead = given.saturating_sub(of(&stats.bytes_in) as usize);
        let too_far = ahead.saturating_sub(self.read_ahead_bytes.max(1024) + of_reply);
        self.too_far_bytes = self.too_far_bytes.max(too_far);
        if let Some(progress) = &mut self.progress {
            progress.progress(stats, sources);
        }
    }

    fn checkpoint(&mut self, epoch: Epoch) {
        self.checkpoints += 1;
        if let Some(progress) = &mut self.progress {
            progress.checkpoint(epoch);
        }
    }

    fn resumed(&mut self, epoch: Epoch, skipped: &[(Epoch, String)]) {
        self.is_new = false;
        if let Some(progress) = &mut self.progress {
            progress.resumed(epoch, skipped);
        }
    }
}
