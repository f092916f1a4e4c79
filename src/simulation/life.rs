//! How does a job live, process after process?
//!
//! One [`Life`] for each job of a world, run by `world`, or by `befalls` for the other job. What
//! always holds: a process leaves nothing behind but what is on its disk and what it has sent; what
//! befalls its table meanwhile comes from outside, as [`Surroundings`].

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::clockwork::Clockwork;
use super::counts::{self, Last};
use super::executor::Sim;
use super::lines;
use super::process::{self, ALSO, Around, ERRORS, RESULTS, STATE, Seen, Start, TABLE};
use super::queries::Asked;
use super::scaling::START_MS;
use super::scenario::{End, From, Into, Misstart, Process, Scenario, Twist};
use super::{Answer, lock};
use crate::connector::{Bounds, OnGap};
use crate::files::memory::Tree;
use crate::runtime::error::JobError;
use crate::runtime::job::Outcome;
use crate::source::SourceError;
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
    /// Another job with the corrected query has written into the table.
    pub rival: Option<Rival>,
    /// So many writes were lost to the later of the two runs.
    pub other_run: u64,
    /// The table was made again, and what it held was lost.
    pub is_cleared: bool,
    pub trace: Vec<String>,
}

/// A job that fails more often is not mended by a start.
const FAILURES_MAX: u64 = 100;

/// What came of the other job of a world.
#[derive(Debug, Clone)]
pub(super) struct Rival {
    pub errors: Vec<String>,
    /// Its run is the later one.
    pub wins: bool,
}

/// What happens around a job.
pub(super) trait Surroundings: Send {
    /// What comes next, in a process of the job or at its end. `disk`: that of the job.
    fn next(&mut self, process: usize, disk: &Tree);
    /// The first thing that went wrong in it.
    fn failed(&mut self) -> Result<(), String>;
    /// Whether an error of the job is the one that has to come of it.
    fn noticed(&self, error: &JobError) -> Noticed;
    /// What a process has to have said. `began_ms`: when it began, by the service's clock.
    fn check(
        &self,
        seen: &Seen,
        outcome: &Result<Outcome, JobError>,
        began_ms: i64,
    ) -> Result<(), String>;
}

/// Whether an error is about the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noticed {
    Nothing,
    AsItShould,
}

/// A job of a world, process after process.
pub(super) struct Life {
    scenario: Arc<Scenario>,
    around: Around,
    asked: Asked,
    disk: Tree,
    pub trace: Vec<String>,
    from: From,
    kills: u64,
    checkpoints: u64,
    on_gap: OnGap,
    /// The process that is next.
    number: usize,
    failures: u64,
    /// Processes that were started.
    starts: u64,
    /// The number of its run, as the last process had it.
    pub run_ms: Option<i64>,
    other_run: u64,
    /// What the last process has counted.
    last: Last,
    pub befalls: Option<Arc<Mutex<dyn Surroundings>>>,
}

/// How a process ended.
enum Ended {
    Finished,
    Stopped,
    Killed,
    /// Records have expired.
    AtGap,
    /// The stream or the table is another one.
    Refused(String),
    /// Starting again may help.
    Failed,
}

impl Life {
    pub fn new(scenario: &Scenario, around: &Around, asked: Asked) -> Life {
        Life {
            scenario: Arc::new(scenario.clone()),
            around: around.clone(),
            asked,
            disk: Tree::new(),
            trace: Vec::new(),
            from: scenario.from,
            kills: 0,
            checkpoints: 0,
            on_gap: OnGap::Refuse,
            number: 0,
            failures: 0,
            starts: 0,
            run_ms: None,
            other_run: 0,
            last: Last::default(),
            befalls: None,
        }
    }

    fn note(&mut self, what: String) {
        self.trace.push(format!("{:>9.3} s  {what}", self.around.time.elapsed().as_secs_f64()));
    }

    fn lived(&mut self, answer: Answer, is_refused: bool) -> Lived {
        Lived {
            answer,
            from: self.from,
            kills: self.kills,
            checkpoints: self.checkpoints,
            has_gap: self.on_gap == OnGap::Accept,
            is_refused,
            rival: None,
            other_run: self.other_run,
            is_cleared: false,
            trace: std::mem::take(&mut self.trace),
        }
    }

    pub fn run(&mut self) -> Result<Lived, String> {
        loop {
            if let Some(lived) = self.step()? {
                return Ok(lived);
            }
        }
    }

    /// Runs the next process. Gives what came of the job if it has ended.
    pub fn step(&mut self) -> Result<Option<Lived>, String> {
        let (scenario, number) = (self.scenario.clone(), self.number);
        let Some(process) = scenario.processes.get(number) else {
            return Err("the last process has ended before the job".into());
        };
        self.misstart(process)?;
        self.note(format!("process {number} begins, {}: {process:?}", scenario.query.name));
        match self.process(number, process)? {
            Ended::Finished if process.to_ms.is_some() => {
                self.note("the job has finished at the end that it had".into());
            }
            Ended::Finished => {
                self.note("the job has finished".into());
                let answer = self.answer()?;
                if scenario.is_peaceful {
                    counts::check_exactly(&scenario, self.asked, &self.last, &answer)?;
                }
                return Ok(Some(self.lived(answer, false)));
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
                return Ok(None);
            }
            Ended::Failed => {
                self.failures += 1;
                if self.failures > FAILURES_MAX {
                    return Err("the job fails again and again".into());
                }
                self.disk.kill();
                return Ok(None);
            }
            Ended::Refused(why) => {
                self.note(why);
                return Ok(Some(self.lived(Answer::default(), true)));
            }
        }
        self.leave_disk(number);
        let later = self.around.time.elapsed() + process.begins_after;
        self.around.time.advance_to(later);
        if number == 0 {
            self.twist();
        }
        self.befall(number)?;
        self.number += 1;
        Ok(None)
    }

    /// What befalls the table, if it has not while the process ran.
    fn befall(&mut self, number: usize) -> Result<(), String> {
        let Some(befalls) = &self.befalls else { return Ok(()) };
        let mut befalls = lock(befalls);
        befalls.next(number, &self.disk);
        befalls.failed()
    }

    fn twist(&mut self) {
        match self.scenario.twist {
            Twist::None => {}
            // A run that has not begun has nothing to lose.
            _ if !has_begun(&self.disk) => {}
            Twist::Expires => {
                let later = self.around.time.elapsed() + Duration::from_secs(26 * 3600);
                self.around.time.advance_to(later);
                self.note("a day later".into());
            }
            Twist::MadeAgain => {
                self.around.stream.make_again();
                self.note("the stream is made again".into());
            }
        }
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

    /// Starts a run with bounds that are not its own, which has to be refused.
    fn misstart(&mut self, process: &Process) -> Result<(), String> {
        let Some(misstart) = process.misstart.filter(|_| has_begun(&self.disk)) else {
            return Ok(());
        };
        let scenario = self.scenario.clone();
        let known = process::bounds(&scenario, process);
        let bounds = match misstart {
            Misstart::EarlierEnd => Bounds { to_ms: Some(START_MS - 1000), ..known },
            Misstart::WithoutEnd => Bounds { to_ms: None, ..known },
            Misstart::LaterStart => Bounds { from_ms: Some(START_MS + 1), ..known },
        };
        let undisturbed = Process { end: None, ..process.clone() };
        let sim = Sim::new(self.around.time.clone(), scenario.seed);
        let clockwork = Arc::new(Clockwork::new(&sim, &self.around.time, scenario.seed, None));
        let start = Start {
            scenario: &scenario,
            around: &self.around,
            asked: self.asked,
            process: &undisturbed,
            caller: "a start by mistake",
            disk: &self.disk,
            on_gap: self.on_gap,
            bounds,
            sim: &sim,
            clockwork: &clockwork,
        };
        let outcome = start.run(&mut Seen::default());
        sim.kill();
        self.disk.kill();
        match outcome {
            Err(JobError::Source(SourceError::Stored { reason, .. }))
                if reason.contains("start it") && reason.contains("--fresh") =>
            {
                self.note(reason);
                Ok(())
            }
            other => Err(format!("started with {bounds:?}, and it ended as {other:?}")),
        }
    }

    fn process(&mut self, number: usize, process: &Process) -> Result<Ended, String> {
        let asked = self.asked;
        let seed = self.scenario.seed.wrapping_mul(1000) + number as u64;
        // So that the two jobs of a world have luck of their own.
        let seed = if asked == Asked::First { seed } else { !seed };
        let time = self.around.time.clone();
        let sim = Sim::new(time.clone(), seed);
        let mut clockwork = Clockwork::new(&sim, &time, seed, process.end);
        let turn = self.scenario.table_turns.get(number);
        if let (Some(befalls), Some(&turn)) = (self.befalls.clone(), turn) {
            let disk = self.disk.clone();
            clockwork.once(turn, move || lock(&befalls).next(number, &disk));
        }
        let clockwork = Arc::new(clockwork);
        self.starts += 1;
        let caller = format!("{asked:?} {}", self.starts);
        let mut seen = Seen::default();
        let (began, began_ms) = (time.elapsed(), self.around.tables.now_ms());
        let start = Start {
            scenario: &self.scenario,
            around: &self.around,
            asked,
            process,
            caller: &caller,
            disk: &self.disk,
            on_gap: self.on_gap,
            bounds: process::bounds(&self.scenario, process),
            sim: &sim,
            clockwork: &clockwork,
        };
        let (outcome, written) = lines::counted(|| start.run(&mut seen));
        let sim_died = sim.is_killed();
        sim.kill();
        let parts = process.workers + self.scenario.life.shards.len();
        let ran = self.around.time.elapsed() - began;
        self.checkpoints += seen.checkpoints;
        self.run_ms = seen.run_ms.or(self.run_ms);
        self.other_run += seen.not_new.other_run;
        if let (From::Latest, Some(at_ms)) = (self.from, seen.from_ms) {
            self.from = From::Time(at_ms);
        }
        self.note(format!(
            "{} turns, {} checkpoints, {} records, {} rows, {} late, {:?}; calls {:?}, {:?}",
            clockwork.turns(),
            seen.checkpoints,
            seen.records,
            seen.rows,
            seen.late,
            seen.not_new,
            self.around.stream.calls(),
            self.around.tables.calls()
        ));
        lines::check(&written, ran, parts)?;
        if let Some(befalls) = &self.befalls {
            lock(befalls).check(&seen, &outcome, began_ms)?;
        }
        counts::check(&self.scenario, process, &seen)?;
        if self.scenario.sink == Into::Table {
            counts::check_table(&seen, &self.around.tables.told(&caller, TABLE))?;
        }
        self.last = Last::of(&seen);
        match outcome {
            Ok(Outcome::Finished | Outcome::AlreadyFinished) => Ok(Ended::Finished),
            Ok(Outcome::Stopped) => Ok(Ended::Stopped),
            Err(JobError::Crashed(_)) => Ok(Ended::Killed),
            Err(JobError::Source(SourceError::Stored { reason, .. }))
                if (self.scenario.twist == Twist::Expires || self.scenario.lasts_days)
                    && self.on_gap == OnGap::Refuse
                    && reason.contains("--accept-gaps") =>
            {
                self.note(reason);
                Ok(Ended::AtGap)
            }
            Err(JobError::Source(SourceError::Stored { reason, .. }))
                if self.scenario.twist == Twist::MadeAgain && reason.contains("made again") =>
            {
                Ok(Ended::Refused("the stream was made again".into()))
            }
            // At the end that it had before.
            Err(JobError::Refused(reason))
                if self.scenario.processes[..number].iter().any(|p| p.to_ms != process.to_ms)
                    && reason.contains("has finished") =>
            {
                Ok(Ended::Refused(reason))
            }
            // A death between two writes.
            Err(_) if matches!(process.end, Some(End::KilledAtWrite(..))) && sim_died => {
                Ok(Ended::Killed)
            }
            Err(e) if self.noticed(&e) == Noticed::AsItShould => {
                Ok(Ended::Refused(format!("the table is another one: {e}")))
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

    /// Whether the table of the job is another one by now, which is what an error is about.
    fn noticed(&self, error: &JobError) -> Noticed {
        self.befalls.as_ref().map_or(Noticed::Nothing, |befalls| lock(befalls).noticed(error))
    }

    /// Waits until all that is on its way to tables has arrived.
    fn settle_tables(&self) -> Result<(), String> {
        // Less than a stream keeps what begins to expire: the other job may go on.
        self.around.time.advance_to(self.around.time.elapsed() + Duration::from_secs(300));
        if let Some(key) = self.around.tables.went_back() {
            return Err(format!("a row of the table went back to an older version: {key}"));
        }
        Ok(())
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
        self.settle_tables()?;
        let mut rows: Vec<String> = match self.scenario.sink {
            Into::Files => lines(RESULTS)?,
            Into::Table => self.around.tables.rows(TABLE).into_values().collect(),
        };
        let second = self.around.tables.rows(ALSO);
        rows.extend(second.into_values().map(|row| format!("also {row}")));
        Ok(Answer { rows, errors: lines(ERRORS)? })
    }
}

/// True if there is a checkpoint that the next process finds.
pub(super) fn has_begun(disk: &Tree) -> bool {
    let files = disk.outside();
    let folder = Path::new(STATE).join("checkpoints");
    let epochs = files.list(&folder).unwrap_or_default();
    epochs.iter().any(|epoch| {
        let within = files.list(&folder.join(&epoch.name)).unwrap_or_default();
        within.iter().any(|file| file.name == *"manifest")
    })
}
