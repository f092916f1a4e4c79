//! What comes of a world? Its job is run by one process after the other until it ends, and its
//! answer is compared with that of the same world in peace.
//!
//! Everything happens on the calling thread, turn by turn, as `clockwork` says. What always holds:
//! the same scenario and the same code give the same world, turn by turn.

use std::sync::{Arc, Mutex};

use super::befalls::Befalls;
use super::life::{Life, Lived};
use super::lock;
use super::process::{ALSO, Around, RIDERS, TABLE};
use super::queries::Asked;
use super::scaling::START_MS;
use super::scenario::Scenario;
use super::stream::Service;
use super::table;
use crate::connector::dynamodb::value::Value;
use crate::time::virtual_time::{Begun, VirtualTime};

/// So that its faults are not those of the stream.
const TABLES: u64 = 0x7ab1e;

/// What went wrong in a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub what: String,
    /// What has happened, for people.
    pub trace: Vec<String>,
}

/// Runs a scenario to its end.
pub(super) fn run(scenario: &Scenario) -> Result<Lived, Fault> {
    run_as(scenario, Asked::First)
}

/// The same with this query.
pub(super) fn run_as(scenario: &Scenario, asked: Asked) -> Result<Lived, Fault> {
    let begun = VirtualTime::begin();
    let around = around(scenario, &begun);
    let befalls = Arc::new(Mutex::new(Befalls::new(scenario, &around)));
    let mut first = Life::new(scenario, &around, asked);
    first.befalls = Some(befalls.clone());
    let ended = live_to_the_end(&mut first, &befalls);
    ended.map_err(|what| {
        let mut trace = std::mem::take(&mut first.trace);
        trace.extend(lock(&befalls).trace());
        trace.sort();
        Fault { what, trace }
    })
}

fn live_to_the_end(first: &mut Life, befalls: &Mutex<Befalls>) -> Result<Lived, String> {
    let mut lived = first.run()?;
    if lock(befalls).finish()? {
        // Started once more, it finds that it has finished, or publishes what it had not.
        lived = first.run()?;
    }
    lock(befalls).end(&mut lived, first.run_ms);
    Ok(lived)
}

fn around(scenario: &Scenario, begun: &Begun) -> Around {
    let time = begun.0.clone();
    let stream =
        Service::new(time.clone(), START_MS, scenario.life.clone(), scenario.faults, scenario.seed);
    let tables =
        table::Service::new(START_MS, scenario.table_faults.clone(), scenario.seed ^ TABLES);
    tables.create(TABLE, scenario.query.key);
    tables.create(ALSO, &[("k", "S")]);
    if scenario.query.looks_up() {
        tables.create(RIDERS, &[("k", "S")]);
        // Of some riders nobody knows a team.
        for n in (0..12).filter(|n| n % 4 != 3) {
            let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
            let rider = [text("k", format!("rider-{n}")), text("team", format!("team-{}", n % 3))];
            tables.hold(RIDERS, rider.into_iter().collect());
        }
    }
    time.advance_to(scenario.starts_after);
    fastrand::seed(scenario.seed);
    Around { time, stream, tables }
}
