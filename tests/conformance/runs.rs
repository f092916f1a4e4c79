//! How is a case run? Plain in many variations, killed by seeds, killed at every point, and with
//! its rows dealt over files. Called by `tests/cases.rs`, which makes a test of each. What always
//! holds: whatever the run, the answers are the same.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use paceline::runtime::crash::CrashPoint;
use paceline::runtime::error::JobError;
use paceline::runtime::graph::LANE_BYTES_MAX;
use paceline::runtime::job::Outcome;
use paceline::runtime::options::{CheckpointTrigger, Scheduling};
use tempfile::TempDir;

use super::answer::{Compared, Kind};
use super::case::Case;
use super::head::{DIGITS, Word};
use crate::support::job::{CrashAt, Variation, attempt, finish, finish_with_kills, planned};
use crate::support::seeds::{chosen, each_seed};
use crate::support::tier::{Tier, by_tier};

fn temporary() -> TempDir {
    tempfile::tempdir().expect("temporary folder")
}

/// The lines of a head that a run has shown to be needed.
struct Needed(Vec<Word>);

/// Compares what stands in `dir`. With one worker, rows reach every operator in the order of the
/// input, so changelogs agree change by change. Otherwise the tables agree that they lead to.
fn check(case: &Case, dir: &Path, compared: Compared, what: &str, needed: &mut Needed) {
    for answer in &case.answers {
        let differs = Word::Differs(answer.name.clone());
        let as_table = Word::AgreesAsTable(answer.name.clone());
        let by_arrival = Word::GoesByArrival(answer.name.clone());
        let digits = case.head.digits();
        let compare = |compared| {
            let exact = answer.compare(dir, compared, DIGITS);
            let close = if digits == DIGITS || exact.is_ok() {
                exact.clone()
            } else {
                answer.compare(dir, compared, digits)
            };
            (exact, close)
        };
        let (mut exact, mut close) = compare(compared);
        if case.head.says(&differs) {
            needed.0.extend(close.is_err().then_some(differs));
            continue;
        }
        if answer.kind == Kind::Changes
            && compared == Compared::EachChange
            && case.head.says(&as_table)
        {
            needed.0.extend(close.is_err().then_some(as_table));
            (exact, close) = compare(Compared::Table);
        }
        if answer.kind == Kind::Changes
            && compared == Compared::Table
            && case.head.says(&by_arrival)
        {
            needed.0.extend(close.is_err().then_some(by_arrival));
            continue;
        }
        needed.0.extend(exact.is_err().then_some(Word::Digits(digits)));
        if let Err(difference) = close {
            panic!("{}, {what}: {difference}", case.name);
        }
    }
}

/// A line of the head that no run needed is to be deleted: the difference has gone. With one worker
/// a run shows a difference or not, whenever it is run. Sums that depend on the order of adding
/// take some variations to show it, and changes of several threads may come in Flink's order by
/// chance, so about these fewer tiers ask.
fn every_line_is_needed(case: &Case, needed: &Needed) {
    let is_idle = |word: &&Word| {
        let is_asked = match word {
            Word::Differs(_) | Word::AgreesAsTable(_) => true,
            Word::Digits(_) => Tier::chosen() != Tier::Plain,
            Word::GoesByArrival(_) => Tier::chosen() == Tier::Nightly,
            Word::Surprising | Word::DealtOverFiles | Word::Refused => false,
        };
        is_asked && !needed.0.contains(word)
    };
    let idle: Vec<String> = case
        .head
        .lines
        .iter()
        .map(|line| &line.word)
        .filter(is_idle)
        .map(|w| format!("`-- {w}`"))
        .collect();
    assert!(
        idle.is_empty(),
        "{}: all runs agree without {}: delete that",
        case.name,
        idle.join(", ")
    );
}

/// Workers, rows of a batch, when checkpoints are made, and how threads are scheduled.
type Plain = (usize, usize, CheckpointTrigger, Scheduling);

fn plain_variations() -> Vec<Plain> {
    let mut all = Vec::new();
    for workers in 1..=4 {
        for batch_rows in [1, 1000] {
            all.push((workers, batch_rows, CheckpointTrigger::AtEnd, Scheduling::Threads));
            all.push((workers, batch_rows, CheckpointTrigger::Records(2), Scheduling::Threads));
            all.push((
                workers,
                batch_rows,
                CheckpointTrigger::Records(3),
                Scheduling::Seeded(workers as u64),
            ));
        }
    }
    if Tier::chosen() == Tier::Plain {
        // Each worker, batch and trigger once.
        let kept = [
            (1, 1000, CheckpointTrigger::AtEnd),
            (1, 1, CheckpointTrigger::Records(3)),
            (3, 1000, CheckpointTrigger::Records(2)),
            (4, 1, CheckpointTrigger::Records(3)),
        ];
        all.retain(|(workers, batch_rows, trigger, _)| {
            kept.contains(&(*workers, *batch_rows, *trigger))
        });
    }
    all
}

/// Runs a case to its end, in variations that may not matter.
pub fn plain(case: &Case) {
    let mut needed = Needed(Vec::new());
    for (workers, batch_rows, trigger, scheduling) in plain_variations() {
        let dir = temporary();
        // At 1 a lane holds one batch: workers wait for each other all the time.
        let lane_bytes_max = if batch_rows == 1 { 1 } else { LANE_BYTES_MAX };
        let variation = Variation {
            batch_rows,
            lane_bytes_max,
            trigger,
            scheduling,
            ..Variation::plain(workers)
        };
        finish(
            &case.sql(&case.folder, &dir.path().join("out")),
            &dir.path().join("state"),
            &variation,
        );
        let compared = if workers == 1 { Compared::EachChange } else { Compared::Table };
        let what = format!(
            "{workers} workers, batches of {batch_rows}, {trigger:?}, {:?}",
            variation.scheduling
        );
        check(case, dir.path(), compared, &what, &mut needed);
    }
    every_line_is_needed(case, &needed);
}

/// Kills a case at points that a seed draws, and has it go on with other workers and batches.
pub fn kills(case: &Case) {
    let mut restores = 0;
    let seeds = by_tier(3, 24, 100);
    each_seed(0..seeds, |seed| {
        let dir = temporary();
        let sql = case.sql(&case.folder, &dir.path().join("out"));
        restores += finish_with_kills(&sql, &dir.path().join("state"), seed, 3, case.records());
        check(
            case,
            dir.path(),
            Compared::Table,
            &format!("killed, seed {seed}"),
            &mut Needed(Vec::new()),
        );
    });
    // Few seeds need not.
    let is_sure = Tier::chosen() != Tier::Plain && chosen().is_none();
    assert!(
        restores > 0 || !case.keeps_state() || !is_sure,
        "{}: no attempt went on from stored state",
        case.name
    );
}

/// Kills a case the first time that it reaches a point, the second time, and so on, until it gets
/// to its end before.
pub fn every_kill(case: &Case) {
    let records = case.records();
    for point in CrashPoint::ALL {
        for nth in 1.. {
            let dir = temporary();
            let (sql, state) =
                (case.sql(&case.folder, &dir.path().join("out")), dir.path().join("state"));
            let variation = Variation {
                batch_rows: records as usize / 12 + 1,
                // In turns: windows are fired from the store, and from memory.
                accumulator_bytes_max: if nth % 2 == 0 { 256 << 20 } else { 0 },
                trigger: CheckpointTrigger::Records(records / 6 + 1),
                scheduling: Scheduling::Seeded(nth),
                crashes: Arc::new(CrashAt { point, remaining: AtomicI64::new(nth as i64) }),
                ..Variation::plain(2)
            };
            match attempt(&sql, &state, &variation).0 {
                Err(JobError::Crashed(_)) => {}
                Ok(Outcome::Finished) => break,
                other => panic!("{}: killed at {point:?} number {nth}: {other:?}", case.name),
            }
            finish_what_was_begun(&sql, &state);
            let what = format!("killed at {point:?} number {nth}");
            check(case, dir.path(), Compared::Table, &what, &mut Needed(Vec::new()));
        }
    }
}

fn finish_what_was_begun(sql: &str, state: &Path) {
    let outcome = attempt(sql, state, &Variation::plain(3)).0;
    assert!(matches!(outcome, Ok(Outcome::Finished | Outcome::AlreadyFinished)), "{outcome:?}");
}

/// The same rows dealt over four files: for cases without late rows, the splits do not matter.
pub fn dealt(case: &Case) {
    let text = fs::read_to_string(case.folder.join("in.jsonl")).expect("input");
    for workers in [1, 3] {
        let dir = temporary();
        let input = dir.path().join("in");
        fs::create_dir_all(input.join("in.jsonl")).expect("folder");
        let mut files = vec![String::new(); 4];
        for (i, line) in text.lines().enumerate() {
            files[i % 4].push_str(line);
            files[i % 4].push('\n');
        }
        for (i, file) in files.iter().enumerate() {
            fs::write(input.join("in.jsonl").join(format!("{i}.jsonl")), file).expect("writes");
        }
        finish(
            &case.sql(&input, &dir.path().join("out")),
            &dir.path().join("state"),
            &Variation::plain(workers),
        );
        let what = format!("dealt over four files, {workers} workers");
        check(case, dir.path(), Compared::Table, &what, &mut Needed(Vec::new()));
    }
}

/// A case that is not supported is refused before anything is read, with its place in the text:
/// never answered differently.
pub fn refused(case: &Case) {
    match planned(&case.sql(&case.folder, Path::new("out"))) {
        Ok(()) => panic!("{} is planned: delete `-- refused`, and it is run", case.name),
        Err(error) => {
            assert!(error.place.is_some(), "{}: {} without a place", case.name, error.message)
        }
    }
}
