//! What comes of a world? Its job is run by one process after the other until it ends, and its
//! answer is compared with that of the same world in peace.
//!
//! Everything happens on the calling thread: [`Clockwork`] gives turns to workers, to tasks of
//! connectors and to time. What always holds: the same scenario and the same code give the same
//! world, turn by turn; a process leaves nothing behind but what is on its disk and what it has sent.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use super::executor::{Moved, Sim};
use super::plans::{Planned, planned};
use super::scenario::{End, Process, START_MS, Scenario};
use super::stream::Service;
use crate::checkpoint::store::CheckpointStore;
use crate::connect::connect;
use crate::connector::inline::select::SelectFormat;
use crate::connector::kinesis::Kinesis;
use crate::connector::{Bounds, Connectors, Environment, OnGap};
use crate::ids::Epoch;
use crate::runtime::control::Stats;
use crate::runtime::crash::{CrashPoint, CrashSchedule, NeverCrash};
use crate::runtime::error::JobError;
use crate::runtime::job::{self, Observer, Outcome};
use crate::runtime::options::{JobOptions, Scheduling, Turn, Turns};
use crate::runtime::worker::SharedSource;
use crate::time::clock::SharedClock;
use crate::time::virtual_time::{Begun, VirtualClock, VirtualTime};

/// A job that has not ended after so many turns goes round in circles.
const TURNS_MAX: u64 = 3_000_000;
/// No world has anything to do for so long.
const LASTS_MAX: Duration = Duration::from_secs(3 * 3600);

/// What a world had at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
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
pub(super) fn run(scenario: &Scenario) -> Result<Answer, Fault> {
    let mut world = World::new(scenario);
    world.run().map_err(|what| Fault { what, trace: world.trace.clone() })
}

struct World<'a> {
    scenario: &'a Scenario,
    time: Begun,
    stream: Arc<Service>,
    disk: TempDir,
    trace: Vec<String>,
}

/// How a process ended.
enum Ended {
    Finished,
    Stopped,
    Killed,
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
        time.0.advance_to(scenario.starts_after);
        let disk = tempfile::tempdir().unwrap_or_else(|e| panic!("a folder for the world: {e}"));
        fastrand::seed(scenario.seed);
        World { scenario, time, stream, disk, trace: Vec::new() }
    }

    fn note(&mut self, what: String) {
        self.trace.push(format!("{:>9.3} s  {what}", self.time.0.elapsed().as_secs_f64()));
    }

    fn run(&mut self) -> Result<Answer, String> {
        for (number, process) in self.scenario.processes.iter().enumerate() {
            self.note(format!("process {number} begins: {process:?}"));
            let ended = self.process(number, process)?;
            match ended {
                Ended::Finished => {
                    self.note("the job has finished".into());
                    return self.answer();
                }
                Ended::Stopped => self.note("stopped in order".into()),
                Ended::Killed => self.note("killed".into()),
            }
            let later = self.time.0.elapsed() + process.begins_after;
            self.time.0.advance_to(later);
        }
        Err("the last process has ended before the job".into())
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
        self.note(format!(
            "{} turns, {} checkpoints, {} records, {} rows, {} late; calls {:?}",
            clockwork.turns(),
            seen.checkpoints,
            seen.records,
            seen.rows,
            seen.late,
            self.stream.calls()
        ));
        match outcome {
            Ok(Outcome::Finished | Outcome::AlreadyFinished) => Ok(Ended::Finished),
            Ok(Outcome::Stopped) => Ok(Ended::Stopped),
            Err(JobError::Crashed(_)) => Ok(Ended::Killed),
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
        let connectors = Connectors::built_in().replacing(Kinesis::on(self.stream.clone()));
        let sink = format!(
            "'connector' = 'filesystem', 'format' = 'json', 'path' = '{}'",
            self.results().display()
        );
        let planned: Rc<Planned> = planned(
            &self.scenario.query.script(&sink, self.scenario.alignment),
            process.workers,
            &connectors,
        );
        let state_dir = self.disk.path().join("state");
        let mut store = CheckpointStore::open(&state_dir)?;
        let run_ms = job::run_start(&mut store, false, || Ok::<i64, JobError>(clock.wall_ms()))?;
        let env = Environment {
            connectors: &connectors,
            config: &planned.config,
            query_path: PathBuf::from("query.sql"),
            local: false,
            state_dir: state_dir.clone(),
            errors_dir: self.errors(),
            run_ms,
            run_name: store.run_name(run_ms),
            on_gap: OnGap::Refuse,
            bounds: Bounds { from_ms: None, to_ms: Some(self.scenario.to_ms) },
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
            scheduling: Scheduling::Turns(clockwork.clone()),
            batch_rows: process.batch_rows,
            lane_bytes_max: process.lane_bytes_max,
            accumulator_bytes_max: process.accumulator_bytes_max,
            read_ahead_bytes: process.read_ahead_bytes,
            state_cache_bytes: 1 << 20,
            crashes,
            clock,
            stop: clockwork.stop.clone(),
        };
        job::run(&planned.plan, &connection.connected, &options, store, run_ms, seen)
    }

    fn results(&self) -> PathBuf {
        self.disk.path().join("results")
    }

    fn errors(&self) -> PathBuf {
        self.disk.path().join("errors")
    }

    fn answer(&self) -> Result<Answer, String> {
        let lines = |folder: PathBuf| {
            let mut lines = Vec::new();
            for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                if name.starts_with('.') {
                    return Err(format!("{name} was left behind"));
                }
                let text = std::fs::read_to_string(file.path()).map_err(|e| e.to_string())?;
                lines.extend(text.lines().map(String::from));
            }
            lines.sort();
            Ok(lines)
        };
        Ok(Answer { rows: lines(self.results())?, errors: lines(self.errors())? })
    }
}

/// Dies the n-th time that a point is reached.
struct CrashAt {
    point: CrashPoint,
    left: AtomicU64,
}

impl CrashSchedule for CrashAt {
    fn reached(&self, point: CrashPoint) -> bool {
        point == self.point && self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// Gives turns to workers, tasks and time.
struct Clockwork {
    sim: Arc<Sim>,
    time: Arc<VirtualTime>,
    end: Option<End>,
    stop: Arc<AtomicBool>,
    state: Mutex<Ticking>,
}

struct Ticking {
    rng: ChaCha8Rng,
    turns: u64,
    /// Why it was stopped, if nothing else was possible.
    why: String,
}

impl Clockwork {
    fn new(sim: &Arc<Sim>, time: &Arc<VirtualTime>, seed: u64, end: Option<End>) -> Clockwork {
        let ticking =
            Ticking { rng: ChaCha8Rng::seed_from_u64(!seed), turns: 0, why: String::new() };
        Clockwork {
            sim: sim.clone(),
            time: time.clone(),
            end,
            stop: Arc::default(),
            state: Mutex::new(ticking),
        }
    }

    fn state(&self) -> MutexGuard<'_, Ticking> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turns(&self) -> u64 {
        self.state().turns
    }

    fn why(&self) -> String {
        self.state().why.clone()
    }
}

impl Turns for Clockwork {
    fn next(&self, workers: usize, idle: usize) -> Turn {
        let mut state = self.state();
        state.turns += 1;
        let turn = state.turns;
        match self.end {
            Some(End::KilledAtTurn(at)) if turn > at => return Turn::Killed,
            Some(End::StoppedAtTurn(at)) if turn > at => self.stop.store(true, Ordering::Release),
            _ => {}
        }
        if turn > TURNS_MAX || self.time.elapsed() > LASTS_MAX {
            state.why = format!(", after {turn} turns and {} s", self.time.elapsed().as_secs_f64());
            return Turn::Nothing;
        }
        let worker = state.rng.random_range(0..workers);
        let task_first = state.rng.random_bool(0.3);
        drop(state);
        // Each of the workers has most likely looked.
        let all_idle = idle > 3 * workers;
        if (task_first || all_idle) && self.sim.run_one() {
            return Turn::Outside;
        }
        if !all_idle {
            return Turn::Worker(worker);
        }
        match self.sim.pass_time(Duration::from_millis(100)) {
            Moved::On => Turn::Outside,
            Moved::Nowhere => Turn::Nothing,
        }
    }
}

#[derive(Default)]
struct Seen {
    checkpoints: u64,
    records: u64,
    rows: u64,
    late: u64,
    /// Each split of the source, for people.
    splits: Vec<String>,
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
        self.splits = sources.iter().flat_map(|source| splits_in_words(source)).collect();
        self.late = of(&stats.late_rows) + of(&stats.late_by_fired_mark);
    }

    fn checkpoint(&mut self, _: Epoch) {
        self.checkpoints += 1;
    }

    fn resumed(&mut self, _: Epoch, _: &[(Epoch, String)]) {}
}
