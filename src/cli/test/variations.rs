//! In which ways may a query be run that must not matter?
//!
//! Called by `test` for `--vary`. What always holds: a variation follows from its seed and the
//! number of records alone, so that it can be run again; only threads have their own order.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::connector::stand_in::generate::Draws;
use crate::runtime::crash::{CrashPoint, CrashSchedule};
use crate::runtime::options::CheckpointTrigger;

const KILLS: usize = 3;
/// Killed runs, each of a seed of its own.
const KILLED_RUNS: u64 = 6;
const PURPOSE: u64 = 0x7061_6365_7465_7374;

/// How one attempt of a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    pub workers: usize,
    pub batch_rows: usize,
    pub trigger: CheckpointTrigger,
    /// Where it dies, and the how manieth time that it comes there.
    pub kill: Option<(CrashPoint, i64)>,
}

/// How a query is run: attempts that are killed, and a last one that is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variation {
    /// None: nothing was drawn.
    pub seed: Option<u64>,
    pub attempts: Vec<Attempt>,
}

impl Variation {
    /// What is compared first: what all others have to agree with.
    pub fn plain() -> Variation {
        Variation::unkilled(1, 8192, CheckpointTrigger::AtEnd)
    }

    fn unkilled(workers: usize, batch_rows: usize, trigger: CheckpointTrigger) -> Variation {
        Variation {
            seed: None,
            attempts: vec![Attempt { workers, batch_rows, trigger, kill: None }],
        }
    }

    /// Killed at points that a seed draws, each time with other workers and batches.
    fn killed(seed: u64, records: u64) -> Variation {
        let mut draws = Draws::new(seed, PURPOSE, 0);
        let records = u32::try_from(records).unwrap_or(u32::MAX);
        let mut attempt = |is_killed: bool| {
            let point = CrashPoint::ALL[draws.below(CrashPoint::ALL.len() as u32) as usize];
            let nth = 1 + i64::from(draws.below(5));
            let rows = [1, 3, 17, 100, 1000][draws.below(5) as usize];
            Attempt {
                workers: 1 + draws.below(4) as usize,
                // Some batches, so that there is something between them.
                batch_rows: rows.min(records as usize / 4 + 1),
                trigger: CheckpointTrigger::Records(1 + u64::from(draws.below(records / 2 + 1))),
                kill: is_killed.then_some((point, nth)),
            }
        };
        let attempts = (0..=KILLS).map(|number| attempt(number < KILLS)).collect();
        Variation { seed: Some(seed), attempts }
    }
}

/// All variations of a query that reads so many records.
pub fn all(seed: u64, records: u64) -> Vec<Variation> {
    let some = CheckpointTrigger::Records(records / 6 + 1);
    let mut all = Vec::new();
    for workers in 1..=4 {
        all.push(Variation::unkilled(workers, 8192, some));
        all.push(Variation::unkilled(workers, 1, CheckpointTrigger::AtEnd));
    }
    let seeds = (0..KILLED_RUNS).map(|n| seed.wrapping_add(n));
    all.extend(seeds.map(|seed| Variation::killed(seed, records)));
    all
}

impl fmt::Display for Variation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(seed) = self.seed {
            return write!(f, "kills drawn from the seed {seed} (--vary --seed {seed})");
        }
        let Some(attempt) = self.attempts.first() else { return Ok(()) };
        let plural = if attempt.workers == 1 { "worker" } else { "workers" };
        write!(f, "{} {plural}, batches of {}", attempt.workers, attempt.batch_rows)?;
        match attempt.trigger {
            CheckpointTrigger::Records(records) => {
                write!(f, ", a checkpoint every {records} records")
            }
            CheckpointTrigger::Interval(_) | CheckpointTrigger::AtEnd => Ok(()),
        }
    }
}

/// Dies the n-th time that a point is reached.
pub struct KillAt {
    point: CrashPoint,
    remaining: AtomicI64,
}

impl KillAt {
    pub fn new((point, nth): (CrashPoint, i64)) -> KillAt {
        KillAt { point, remaining: AtomicI64::new(nth) }
    }
}

impl CrashSchedule for KillAt {
    fn reached(&self, point: CrashPoint) -> bool {
        point == self.point && self.remaining.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variations_follow_from_the_seed() {
        let first = all(7, 100);
        assert_eq!(first, all(7, 100));
        assert_ne!(first, all(70, 100));
        let workers: Vec<usize> = first.iter().map(|v| v.attempts[0].workers).collect();
        assert!((1..=4).all(|n| workers.contains(&n)), "{workers:?}");
        for variation in &first {
            let killed = variation.attempts.iter().filter(|a| a.kill.is_some()).count();
            assert_eq!(killed, variation.attempts.len() - 1, "the last one ends");
        }
        // A seed that is told is the first one of a run with it.
        let told = Variation::killed(9, 100);
        assert_eq!(all(9, 100).iter().find(|v| v.seed.is_some()), Some(&told));
        assert!(first.contains(&told), "{told}");
    }

    #[test]
    fn few_records_are_enough() {
        for records in [0, 1, 2] {
            for attempt in all(1, records).iter().flat_map(|v| &v.attempts) {
                assert!(attempt.batch_rows > 0 && attempt.workers > 0);
                assert!(attempt.trigger != CheckpointTrigger::Records(0));
            }
        }
    }
}
