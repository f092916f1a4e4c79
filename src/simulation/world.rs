//! What comes of a world? Its job is run by one process after the other until it ends, and its
//! answer is compared with that of the same world in peace.
//!
//! Everything happens on the calling thread, turn by turn, as [`Clockwork`] says. What always holds: the same scenario and the same code give the same
//! world, turn by turn; a process leaves nothing behind but what is on its disk and what it has sent.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::clockwork::{Clockwork, CrashAt};
use super::executor::Sim;
use super::plans::{Planned, planned};
use super::scenario::{End, From, Into, Process, START_MS, Scenario, Twist};
use super::stream::Service;
use super::table;
use crate::checkpoint::store::CheckpointStore;
use crate::connect::connect;
use crate::connector::dynamodb::DynamoDb;
use crate::connector::inline::select::SelectFormat;
use crate::connector::kinesis::Kinesis;
use crate::connector::kinesis::position::{ShardPlace, ShardPosition};
use crate::connector::{Bounds, Connectors, Environment, OnGap};
use crate::files::memory::Tree;
use crate::ids::Epoch;
use crate::runtime::control::Stats;
use crate::runtime::crash::{CrashSchedule, NeverCrash};
use crate::runtime::error::JobError;
use crate::runtime::job::{self, Observer, Outcome};
use crate::runtime::options::{JobOptions, Scheduling};
use crate::runtime::worker::SharedSource;
use crate::source::SourceError;
use crate::state::store::StoreKind;
use crate::time::clock::SharedClock;
use crate::time::virtual_time::{Begun, VirtualClock, VirtualTime};
use crate::who::{Again, Who};

/// How a world went.
#[derive(Debug)]
pub(super) struct Lived {
    pub answer: Answer,
    /// Where reading began.
    pub from: From,
    pub kills: u64,
    pub checkpoints: u64,
    /// Records had expired before they were read; the job said so, and went on when it was agreed.
    pub has_gap: bool,
    /// The job refused to go on, as it should.
    pub is_refused: bool,
    pub trace: Vec<String>,
}

/// A job that fails more often is not mended by a start.
const FAILURES_MAX: u64 = 100;

/// The table of results.
const TABLE: &str = "res";
/// So that its faults are not those of the stream.
const TABLES: u64 = 0x7ab1e;

/// Folders on the disk of the world.
const RESULTS: &str = "/results";
const ERRORS: &str = "/errors";

/// What a world had at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Rows of the result, sorted.
    pub rows: Vec<String>,
    /// Records in the error stream, sorted.
    pub errors: Vec<String>,
}

/// What went wrong in a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub what: String,
    /// What has happened, for people.
    pub trace: Vec<String>,
}

/// Runs a scenario to its end.
pub(super) fn run(scenario: &Scenario) -> Result<Lived, Fault> {
    let mut world = World::new(scenario);
    world.run().map_err(|what| Fault { what, trace: world.trace.clone() })
}

struct World<'a> {
    scenario: &'a Scenario,
    time: Begun,
    stream: Arc<Service>,
    tables: Arc<table::Service>,
    disk: Tree,
    trace: Vec<String>,
    from: From,
    kills: u64,
    checkpoints: u64,
    on_gap: OnGap,
}

/// How a process ended.
enum Ended {
    Finished,
    Stopped,
    Killed,
    /// Records have expired.
    AtGap,
    /// The stream is another one.
    Refused,
    /// Starting again may help.
    Failed,
}

impl World<'_> {
    fn new(scenario: &Scenario) -> World<'_> {
        let time = VirtualTime::begin();
        let stream = Service::new(
            time.0.clone(),
            START_MS,
            scenario.life.clone(),
            scenario.faults,
            scenario.seed,
        );
        let tables =
            table::Service::new(START_MS, scenario.table_faults.clone(), scenario.seed ^ TABLES);
        tables.create(TABLE, scenario.query.key);
        time.0.advance_to(scenario.starts_after);
        fastrand::seed(scenario.seed);
        World {
            scenario,
            time,
            stream,
            tables,
            disk: Tree::new(),
            trace: Vec::new(),
            from: scenario.from,
            kills: 0,
            checkpoints: 0,
            on_gap: OnGap::Refuse,
        }
    }

    fn note(&mut self, what: String) {
        self.trace.push(format!("{:>9.3} s  {what}", self.time.0.elapsed().as_secs_f64()));
    }

    fn lived(&mut self, answer: Answer, is_refused: bool) -> Lived {
        Lived {
            answer,
            from: self.from,
            kills: self.kills,
            checkpoints: self.checkpoints,
            has_gap: self.on_gap == OnGap::Accept,
            is_refused,
            trace: std::mem::take(&mut self.trace),
        }
    }

    fn run(&mut self) -> Result<Lived, String> {
        let processes = &self.scenario.processes;
        let (mut number, mut failures) = (0, 0);
        while let Some(process) = processes.get(number) {
            let query = self.scenario.query.name;
            self.note(format!("process {number} begins, {query}: {process:?}"));
            let ended = self.process(number, process)?;
            match ended {
                Ended::Finished => {
                    self.note("the job has finished".into());
                    let answer = self.answer()?;
                    return Ok(self.lived(answer, false));
                }
                Ended::Stopped => self.note("stopped in order".into()),
                Ended::Killed => {
                    self.kills += 1;
                    self.note("killed".into());
                }
                Ended::AtGap => {
                    self.note("records have expired, which is agreed to".into());
                    self.on_gap = OnGap::Accept;
                    self.disk.kill();
                    continue;
                }
                Ended::Failed => {
                    failures += 1;
                    if failures > FAILURES_MAX {
                        return Err("the job fails again and again".into());
                    }
                    self.disk.kill();
                    continue;
                }
                Ended::Refused => {
                    self.note("the stream was made again".into());
                    return Ok(self.lived(Answer::default(), true));
                }
            }
            self.leave_disk(number);
            let later = self.time.0.elapsed() + process.begins_after;
            self.time.0.advance_to(later);
            if number == 0 {
                self.twist();
            }
            number += 1;
        }
        Err("the last process has ended before the job".into())
    }

    fn twist(&mut self) {
        match self.scenario.twist {
            Twist::None => {}
            // A run that has not begun has nothing to lose.
            _ if !self.has_begun() => {}
            Twist::Expires => {
                let later = self.time.0.elapsed() + Duration::from_secs(26 * 3600);
                self.time.0.advance_to(later);
                self.note("a day later".into());
            }
            Twist::MadeAgain => {
                self.stream.make_again();
                self.note("the stream is made again".into());
            }
        }
    }

    /// True if there is a checkpoint that the next process finds.
    fn has_begun(&self) -> bool {
        let (files, folder) = (self.disk.outside(), Path::new("/state/checkpoints"));
        let epochs = files.list(folder).unwrap_or_default();
        epochs.iter().any(|epoch| {
            let within = files.list(&folder.join(&epoch.name)).unwrap_or_default();
            within.iter().any(|file| file.name == *"manifest")
        })
    }

    /// What the process has written is there for the next one, unless the machine has stopped too:
    /// then only what was durable surely is.
    fn leave_disk(&mut self, number: usize) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.scenario.seed ^ (number as u64) << 32);
        if rng.random_bool(0.5) {
            self.note("the machine has stopped".into());
            self.disk.crash(&mut rng);
        } else {
            self.disk.kill();
        }
    }

    fn process(&mut self, number: usize, process: &Process) -> Result<Ended, String> {
        let seed = self.scenario.seed.wrapping_mul(1000) + number as u64;
        let sim = Sim::new(self.time.0.clone(), seed);
        let clock: SharedClock = Arc::new(VirtualClock {
            time: self.time.0.clone(),
            start_ms: START_MS + process.clock_ahead_ms,
        });
        let clockwork = Arc::new(Clockwork::new(&sim, &self.time.0, seed, process.end));
        let mut seen = Seen::default();
        let outcome = self.job(process, &sim, clock, &clockwork, &mut seen);
        sim.kill();
        self.checkpoints += seen.checkpoints;
        if let (From::Latest, Some(at_ms)) = (self.from, seen.from_ms) {
            self.from = From::Time(at_ms);
        }
        self.note(format!(
            "{} turns, {} checkpoints, {} records, {} rows, {} late; calls {:?}, {:?}",
            clockwork.turns(),
            seen.checkpoints,
            seen.records,
            seen.rows,
            seen.late,
            self.stream.calls(),
            self.tables.calls()
        ));
        match outcome {
            Ok(Outcome::Finished | Outcome::AlreadyFinished) => Ok(Ended::Finished),
            Ok(Outcome::Stopped) => Ok(Ended::Stopped),
            Err(JobError::Crashed(_)) => Ok(Ended::Killed),
            Err(JobError::Source(SourceError::Stored { reason, .. }))
                if self.scenario.twist == Twist::Expires
                    && self.on_gap == OnGap::Refuse
                    && reason.contains("--accept-gaps") =>
            {
                self.note(reason);
                Ok(Ended::AtGap)
            }
            Err(JobError::Source(SourceError::Stored { reason, .. }))
                if self.scenario.twist == Twist::MadeAgain && reason.contains("made again") =>
            {
                Ok(Ended::Refused)
            }
            // Killed at a change to its files.
            Err(_) if self.disk.is_dead() => Ok(Ended::Killed),
            // The outside did not answer for too long: somebody starts it again.
            Err(e) if e.who() == Who::Outside(Again::MayHelp) => {
                self.note(format!("the job failed: {e}"));
                Ok(Ended::Failed)
            }
            Err(e) => {
                self.trace.append(&mut seen.splits);
                Err(format!("the job failed: {e}{}", clockwork.why()))
            }
        }
    }

    fn job(
        &self,
        process: &Process,
        sim: &Arc<Sim>,
        clock: SharedClock,
        clockwork: &Arc<Clockwork>,
        seen: &mut Seen,
    ) -> Result<Outcome, JobError> {
        let connectors = Connectors::built_in()
            .replacing(Kinesis::on(self.stream.clone()))
            .replacing(DynamoDb::on(self.tables.caller("job")));
        let sink = match self.scenario.sink {
            Into::Files => {
                format!("'connector' = 'filesystem', 'format' = 'json', 'path' = '{RESULTS}'")
            }
            Into::Table => format!(
                "'connector' = 'dynamodb', 'table-name' = '{TABLE}', 'aws.region' = 'eu-west-1'"
            ),
        };
        let planned: Rc<Planned> = planned(
            &self.scenario.query.script(&sink, self.position(), self.scenario.alignment),
            process.workers,
            &connectors,
        );
        let files = self.disk.boot();
        if let Some(End::KilledAtChange(change)) = process.end {
            self.disk.die_at(change);
        }
        let state_dir = PathBuf::from("/state");
        let mut store = CheckpointStore::open_in(files.clone(), &state_dir)?;
        let server_ms = self.tables.now_ms();
        let run_ms = job::run_start(&mut store, false, || Ok::<i64, JobError>(server_ms))?;
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
            bounds: Bounds { from_ms: self.begins_ms(), to_ms: Some(self.scenario.to_ms) },
            clock: clock.clone(),
            tasks: sim.tasks(),
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
            trigger: process.trigger,
            limits: Default::default(),
            scheduling: Scheduling::Turns(clockwork.clone()),
            batch_rows: process.batch_rows,
            lane_bytes_max: process.lane_bytes_max,
            accumulator_bytes_max: process.accumulator_bytes_max,
            read_ahead_bytes: process.read_ahead_bytes,
            stores: StoreKind::Memory(files),
            state_cache_bytes: 1 << 20,
            crashes,
            clock,
            stop: clockwork.stop.clone(),
        };
        job::run(&planned.plan, &connection.connected, &options, store, run_ms, seen)
    }

    /// Where the query begins to read.
    fn position(&self) -> &'static str {
        if self.scenario.from == From::Latest { "LATEST" } else { "TRIM_HORIZON" }
    }

    fn begins_ms(&self) -> Option<i64> {
        match self.scenario.from {
            From::Time(ms) => Some(ms),
            From::Horizon | From::Latest => None,
        }
    }

    /// What the table holds once all that is on its way has arrived.
    fn rows_of_table(&self) -> Result<Vec<String>, String> {
        self.time.0.advance_to(self.time.0.elapsed() + Duration::from_secs(3600));
        if let Some(key) = self.tables.went_back() {
            return Err(format!("a row of the table went back to an older version: {key}"));
        }
        Ok(self.tables.rows(TABLE).into_values().collect())
    }

    fn answer(&self) -> Result<Answer, String> {
        let files = self.disk.outside();
        let lines = |folder: &str| {
            let mut lines = Vec::new();
            for file in files.list(Path::new(folder)).into_iter().flatten() {
                let name = file.name.to_string_lossy().into_owned();
                if name.starts_with('.') {
                    return Err(format!("{name} was left behind"));
                }
                let bytes = files.read(&file.path).map_err(|e| e.to_string())?;
                lines.extend(String::from_utf8_lossy(&bytes).lines().map(String::from));
            }
            lines.sort();
            Ok(lines)
        };
        let rows = match self.scenario.sink {
            Into::Files => lines(RESULTS)?,
            Into::Table => self.rows_of_table()?,
        };
        Ok(Answer { rows, errors: lines(ERRORS)? })
    }
}

#[derive(Default)]
struct Seen {
    checkpoints: u64,
    records: u64,
    rows: u64,
    late: u64,
    /// When the splits begin that begin at a time, ms since the epoch.
    from_ms: Option<i64>,
    /// Each split of the source, for people.
    splits: Vec<String>,
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
        self.from_ms = self.from_ms.or_else(|| sources.iter().find_map(|s| began_at(s)));
        self.splits = sources.iter().flat_map(|source| splits_in_words(source)).collect();
        self.late = of(&stats.late_rows) + of(&stats.late_by_fired_mark);
    }

    fn checkpoint(&mut self, _: Epoch) {
        self.checkpoints += 1;
    }

    fn resumed(&mut self, _: Epoch, _: &[(Epoch, String)]) {}
}
