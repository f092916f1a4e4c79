//! The whole job from a seed, in a world that misbehaves.
//!
//! Source, workers, checkpoints and sinks run on one thread against a fake Kinesis and a fake
//! DynamoDB, by a clock that stands still while something can be done. In reading order:
//! `scenario` (what a seed makes), `queries`, `stream` and `table` (the services), `executor` (who
//! runs next), `world` (the job, process after process, and its answer).
//!
//! `PACELINE_SEEDS=0..10000 tests/run.sh simulation` runs the worlds of these seeds.

pub(crate) mod executor;
mod plans;
mod queries;
mod scenario;
mod stream;
pub(crate) mod table;
mod world;

use std::ops::Range;

use scenario::Scenario;

use crate::support::tier::by_tier;

/// The seeds that were asked for, or those of the tier.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("PACELINE_SEEDS") else { return 0..by_tier(40, 300, 10_000) };
    let parse = || {
        let (from, to) = text.split_once("..")?;
        Some(from.trim().parse().ok()?..to.trim().parse().ok()?)
    };
    parse().unwrap_or_else(|| panic!("PACELINE_SEEDS={text}: it looks like 0..100"))
}

/// What is wrong with the world of a seed, if anything is.
fn fault(seed: u64) -> Option<String> {
    let scenario = Scenario::of(seed);
    let expected = match world::run(&scenario.in_peace()) {
        Ok(expected) => expected,
        Err(fault) => return Some(format!("in peace: {}\n{}", fault.what, fault.trace.join("\n"))),
    };
    match world::run(&scenario) {
        Ok(answer) if answer == expected => None,
        Ok(answer) => Some(format!("expected {expected:#?}, got {answer:#?}")),
        Err(fault) => Some(format!("{}\n{}", fault.what, fault.trace.join("\n"))),
    }
}

#[test]
fn worlds() {
    let seeds = seeds();
    let (mut count, mut failed) = (0, 0);
    for seed in seeds {
        count += 1;
        if let Some(fault) = fault(seed) {
            failed += 1;
            println!("seed {seed}: {fault}");
            println!(
                "to run this world again: PACELINE_SEEDS={seed}..{} tests/run.sh simulation",
                seed + 1
            );
        }
    }
    println!("{count} worlds, {failed} failed");
    assert_eq!(failed, 0, "{failed} of {count} worlds failed");
}
