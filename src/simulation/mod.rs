//! The whole job from a seed, in a world that misbehaves.
//!
//! Source, workers, checkpoints and sinks run on one thread against a fake Kinesis and a fake
//! DynamoDB, by a clock that stands still while something can be done. In reading order:
//! `scenario`, `scaling` and `further` (what a seed makes), `queries`, `stream` and `table` (the
//! services), `executor` and `clockwork` (who runs next), `process` (one process of a job, and what
//! it says of itself), `life` (a job, process after process), `befalls` (what happens to its table),
//! `world` (all of it), `verdict` (whether the answer is right).
//!
//! `PACELINE_SEEDS=0..10000 tests/run.sh simulation` runs the worlds of these seeds.

mod befalls;
mod clockwork;
mod counts;
mod dies;
pub(crate) mod executor;
mod further;
mod life;
mod lines;
mod open_calls;
mod plans;
mod process;
mod queries;
mod scaling;
mod scenario;
pub(crate) mod stream;
pub(crate) mod table;
mod verdict;
mod world;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use life::Lived;
use queries::Asked;
use scenario::From;
use world::Fault;

use crate::planted::{self, Bug};
use crate::support::seeds::chosen;
use crate::support::tier::by_tier;

/// What a world had at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Answer {
    /// Rows of the result, sorted.
    pub rows: Vec<String>,
    /// Records in the error stream, sorted.
    pub errors: Vec<String>,
}

/// What a mutex holds: a world ends where something panics.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The seeds that were asked for, or those of the tier.
fn seeds() -> Range<u64> {
    if let Some(seed) = chosen() {
        return seed..seed + 1;
    }
    let Ok(text) = std::env::var("PACELINE_SEEDS") else { return 0..by_tier(40, 300, 10_000) };
    let parse = || {
        let (from, to) = text.split_once("..")?;
        Some(from.trim().parse().ok()?..to.trim().parse().ok()?)
    };
    parse().unwrap_or_else(|| panic!("PACELINE_SEEDS={text}: it looks like 0..100"))
}

/// How the world of a seed went, or what is wrong with it.
fn live(seed: u64) -> Result<Lived, String> {
    let lived = std::panic::catch_unwind(|| live_through(seed));
    lived.unwrap_or_else(|_| Err("something that always holds did not".into()))
}

fn live_through(seed: u64) -> Result<Lived, String> {
    let scenario = further::scenario(seed);
    let told = |fault: Fault| format!("{}\n{}", fault.what, fault.trace.join("\n"));
    let lived = world::run(&scenario).map_err(told)?;
    if lived.is_refused {
        return Ok(lived);
    }
    let in_peace = |asked, from| match from {
        // Whoever begins behind the end finds nothing.
        From::Time(ms) if ms >= scenario.to_ms => Ok(Answer::default()),
        from => {
            let peaceful = world::run_as(&scenario.in_peace(from), asked);
            let peaceful = peaceful.map_err(|fault| format!("in peace: {}", told(fault)))?;
            Ok::<Answer, String>(peaceful.answer)
        }
    };
    let mut expected = in_peace(Asked::First, lived.from)?;
    if let Some(rival) = &lived.rival {
        // The errors are each job's own, the rows those of the later run.
        let corrected = in_peace(Asked::Corrected, lived.from)?;
        if rival.errors != corrected.errors {
            return Err("the corrected job has another error stream".into());
        }
        if rival.wins {
            expected.rows = corrected.rows;
        }
    }
    let is_right = verdict::is_right(&scenario, &lived, &expected);
    if is_right {
        return Ok(lived);
    }
    let difference = difference(&expected.rows, &lived.answer.rows)
        + &difference(&expected.errors, &lived.answer.errors);
    let (from, to_ms) = (lived.from, scenario.to_ms);
    let trace = lived.trace.join("\n");
    Err(format!("the answer from {from:?} to {to_ms} is another one:\n{difference}{trace}"))
}

/// The lines that are in one of two sorted lists.
fn difference(expected: &[String], found: &[String]) -> String {
    let missing = expected.iter().filter(|line| !found.contains(line));
    let surplus = found.iter().filter(|line| !expected.contains(line));
    let lines = missing.map(|l| format!("- {l}\n")).chain(surplus.map(|l| format!("+ {l}\n")));
    let counts = format!("{} lines expected, {} found\n", expected.len(), found.len());
    lines.take(LINES_TOLD_MAX).fold(counts, |all, line| all + &line)
}

/// Lines of a difference that are told.
const LINES_TOLD_MAX: usize = 20;

/// What came of some worlds.
#[derive(Default)]
struct Counts {
    worlds: u64,
    failed: u64,
    kills: u64,
    checkpoints: u64,
    gaps: u64,
    refused: u64,
    rivals: u64,
    other_run: u64,
    cleared: u64,
}

impl Counts {
    fn add(&mut self, seed: u64) {
        self.worlds += 1;
        match live(seed) {
            Ok(lived) => {
                self.kills += lived.kills;
                self.checkpoints += lived.checkpoints;
                self.gaps += u64::from(lived.has_gap);
                self.refused += u64::from(lived.is_refused);
                self.rivals += u64::from(lived.rival.is_some());
                self.other_run += lived.other_run;
                self.cleared += u64::from(lived.is_cleared);
            }
            Err(fault) => {
                self.failed += 1;
                let next = seed + 1;
                println!("seed {seed}: {fault}");
                println!("to run it again: PACELINE_SEEDS={seed}..{next} tests/run.sh simulation");
            }
        }
    }

    fn and(self, other: Counts) -> Counts {
        Counts {
            worlds: self.worlds + other.worlds,
            failed: self.failed + other.failed,
            kills: self.kills + other.kills,
            checkpoints: self.checkpoints + other.checkpoints,
            gaps: self.gaps + other.gaps,
            refused: self.refused + other.refused,
            rivals: self.rivals + other.rivals,
            other_run: self.other_run + other.other_run,
            cleared: self.cleared + other.cleared,
        }
    }
}

/// Each world has a thread for itself; several run at a time.
#[test]
fn worlds() {
    let Range { start, end } = seeds();
    let next = AtomicU64::new(start);
    let run = || {
        let mut counts = Counts::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return counts;
            }
            counts.add(seed);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let counts = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let all = running.into_iter().map(|thread| thread.join().expect("it caught what failed"));
        all.fold(Counts::default(), Counts::and)
    });
    let Counts { worlds, failed, kills, checkpoints, gaps, refused, .. } = counts;
    println!("{kills} kills, {checkpoints} checkpoints, {gaps} gaps, {refused} refused to go on");
    let Counts { rivals, other_run, cleared, .. } = counts;
    println!(
        "{rivals} corrected jobs, {other_run} writes lost to them, {cleared} tables made again"
    );
    println!("{worlds} worlds, {failed} failed");
    assert_eq!(failed, 0, "{failed} of {worlds} worlds failed");
}

/// Seeds within which a planted fault has to be found.
const SEEDS_TO_FIND: u64 = 1000;

#[test]
fn planted_bugs_are_found() {
    // Those that worlds rarely meet take the longest: a plain run is content with some.
    let soon = [Bug::ResumesAtLastRecord, Bug::ForgetsAChild, Bug::IgnoresVersions];
    // A world that hangs lives through a day and a half, and few worlds are killed at the right
    // moment: these two take minutes, which a night has.
    let slow = [Bug::PausesWhatOthersWaitFor, Bug::ForgetsWhatIsBegun];
    let quick: Vec<Bug> = Bug::ALL.into_iter().filter(|bug| !slow.contains(bug)).collect();
    let bugs = by_tier(&soon[..], &quick[..], &Bug::ALL[..]);
    let mut missed = Vec::new();
    for &bug in bugs {
        planted::plant(Some(bug));
        let found = (0..SEEDS_TO_FIND).find(|&seed| live(seed).is_err());
        planted::plant(None);
        match found {
            Some(seed) => println!("{bug:?}: found by seed {seed}"),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found within {SEEDS_TO_FIND} seeds: {missed:?}");
}
