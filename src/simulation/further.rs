//! What else is in a world: starts at a time, other bounds, rows that the table refuses, a second
//! result, a lookup, a death between two writes, days of a stream.
//!
//! Called for each world, whose other parts `scenario` draws. What always holds: it draws from a generator of its
//! own, and changes nothing of a world into which it brings nothing.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::dies::Sent;
use super::queries::{ENRICHED, Query};
use super::scaling::{DAY_MS, START_MS, life};
use super::scenario::{
    Also, End, From, Into, Misstart, OnRefusal, Scenario, ToTable, Twist, process, turn,
};
use super::table::TableFaults;

const FURTHER: u64 = 0xf07_14e7;

/// Items that hold it are refused: those of one key.
const REFUSED: &str = "\"rider-0\"";

/// What a seed makes, all of it.
pub(super) fn scenario(seed: u64) -> Scenario {
    let mut scenario = Scenario::of(seed);
    add(&mut scenario);
    scenario
}

fn add(scenario: &mut Scenario) {
    let mut rng = ChaCha8Rng::seed_from_u64(scenario.seed ^ FURTHER);
    if rng.random_bool(0.02) {
        last_days(&mut rng, scenario);
    }
    let lasts_ms = scenario.to_ms - START_MS;
    if rng.random_bool(0.15) && scenario.from == From::Horizon && !scenario.lasts_days {
        scenario.from = From::Time(START_MS + rng.random_range(-5000..lasts_ms));
    }
    bounds(&mut rng, scenario, lasts_ms);
    if scenario.sink == Into::Table {
        of_table(&mut rng, scenario);
    }
    let is_alone = matches!(scenario.to_table, ToTable::Nothing);
    if rng.random_bool(0.2) && is_alone {
        scenario.also = Also::Counts;
    }
    if rng.random_bool(0.3) && is_alone && can_be_enriched(scenario.query) {
        scenario.query = &ENRICHED;
        // A lookup is tried some times, and then ends the job.
        fail_seldom(&mut scenario.table_faults);
    }
}

fn can_be_enriched(query: &Query) -> bool {
    query.key == ENRICHED.key && query.columns == ENRICHED.columns
}

/// Some days, with scaling up and down in them, and a job that looks at the stream each day.
fn last_days(rng: &mut ChaCha8Rng, scenario: &mut Scenario) {
    if scenario.twist != Twist::None || !matches!(scenario.to_table, ToTable::Nothing) {
        return;
    }
    let lasts_ms = rng.random_range(2 * DAY_MS..4 * DAY_MS);
    scenario.lasts_days = true;
    scenario.life = life(rng, lasts_ms);
    scenario.to_ms = START_MS + lasts_ms;
    scenario.starts_after = Duration::ZERO;
    scenario.faults.until_ms = START_MS + lasts_ms;
    scenario.processes.clear();
    let mut down_ms = 0;
    while down_ms < lasts_ms {
        let mut next = process(rng, true);
        // A moment that surely comes: nothing is read for days.
        next.end = Some(match rng.random_range(0..2) {
            0 => End::KilledAtTurn(turn(rng)),
            _ => End::StoppedAtTurn(turn(rng)),
        });
        // Now and then it comes back when records have expired.
        let hours = if rng.random_bool(0.1) { 20..30 } else { 10..22 };
        let pause_ms = rng.random_range(hours) * 3_600_000;
        next.begins_after = Duration::from_millis(pause_ms as u64);
        down_ms += pause_ms;
        scenario.processes.push(next);
    }
    scenario.processes.push(process(rng, false));
    if scenario.from == From::Latest {
        scenario.processes.iter_mut().for_each(|process| process.clock_ahead_ms = 0);
    }
    scenario.table_turns = vec![0; scenario.processes.len()];
    scenario.to_table_in = 0;
}

/// Bounds that move, and starts that have others than their run.
fn bounds(rng: &mut ChaCha8Rng, scenario: &mut Scenario, lasts_ms: i64) {
    if rng.random_bool(0.15) && scenario.processes.len() > 1 {
        let earlier = rng.random_range(1..scenario.processes.len());
        let to_ms = START_MS + rng.random_range(lasts_ms / 3..lasts_ms);
        let to_ms = match scenario.from {
            From::Time(from_ms) => to_ms.max(from_ms + 1),
            From::Horizon | From::Latest => to_ms,
        };
        scenario.processes[..earlier].iter_mut().for_each(|process| process.to_ms = Some(to_ms));
    }
    if rng.random_bool(0.15) {
        for process in &mut scenario.processes[1..] {
            process.misstart = match rng.random_range(0..6) {
                0 if !matches!(scenario.from, From::Time(_)) => Some(Misstart::EarlierEnd),
                1 => Some(Misstart::WithoutEnd),
                2 => Some(Misstart::LaterStart),
                _ => None,
            };
        }
    }
}

fn of_table(rng: &mut ChaCha8Rng, scenario: &mut Scenario) {
    for process in &mut scenario.processes {
        if process.end.is_some() && !scenario.lasts_days && rng.random_bool(0.25) {
            let sent = if rng.random_bool(0.5) { Sent::Yes } else { Sent::No };
            let most = 1u64 << rng.random_range(0..7);
            process.end = Some(End::KilledAtWrite(rng.random_range(1..=most), sent));
        }
    }
    let is_alone = matches!(scenario.to_table, ToTable::Nothing);
    // A place of a board that is refused would keep whoever had it before.
    let is_of_rider = scenario.query.key[0].0 == "k";
    if rng.random_bool(0.2) && is_alone && is_of_rider {
        scenario.refused_text = Some(REFUSED);
        scenario.table_faults.refused_text = Some(REFUSED.into());
    } else if rng.random_bool(0.1) {
        scenario.on_refusal = OnRefusal::Fails;
        fail_seldom(&mut scenario.table_faults);
    }
}

/// Where each failure costs a start: a job that fails again and again is given up.
fn fail_seldom(faults: &mut TableFaults) {
    let TableFaults {
        throttled, failed, failed_after, lost, answer_lost, late, unprocessed, ..
    } = faults;
    for share in [throttled, failed, failed_after, lost, answer_lost, late, unprocessed] {
        *share /= 20.0;
    }
}
