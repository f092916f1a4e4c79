//! Is nothing counted that did not happen, and does everything stay inside its bounds? What a process
//! says of itself against what the services have seen of it.
//!
//! Called by `world` at the end of each process; where nothing went wrong, every count is exact.

use super::Answer;
use super::process::Seen;
use super::queries::{Alignment, Asked};
use super::scenario::{Also, From, Process, Scenario};
use super::table::Told;
use crate::connector::kinesis::queue::NEWS_BYTES_MAX;
use crate::peaks::Peaks;
use crate::sink::version::Counts;

/// Calls to a stream beside those of its shards: what a start asks for, and the audit.
const CALLS_BESIDE_MAX: usize = 2;

/// Edges between the workers of the queries of a world.
const EDGES_MAX: usize = 6;

/// What a process had counted at its end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Last {
    records: u64,
    rows: u64,
    late: u64,
    diverted: u64,
    not_new: Counts,
}

impl Last {
    pub fn of(seen: &Seen) -> Last {
        let Seen { records, rows, late, diverted, not_new, .. } = *seen;
        Last { records, rows, late, diverted, not_new }
    }
}

/// Compares what a process has counted and held with what its services have seen.
pub(super) fn check(scenario: &Scenario, process: &Process, seen: &Seen) -> Result<(), String> {
    if seen.records > seen.reads.records() as u64 {
        let given = seen.reads.records();
        return Err(format!("{} records are counted, and {given} were given", seen.records));
    }
    // What a table refuses need not come of the records of this process.
    if seen.diverted > seen.records && scenario.refused_text.is_none() {
        let Seen { diverted, records, .. } = seen;
        return Err(format!("{diverted} records of {records} are counted as wrong"));
    }
    // Each call that reads has reserved what a shard is expected to bring.
    let reading_max = (process.read_ahead_bytes / NEWS_BYTES_MAX).max(1);
    if seen.reads.most_reading() > reading_max {
        let most = seen.reads.most_reading();
        return Err(format!("{most} shards were read at once, and {reading_max} have room"));
    }
    let calls_max = scenario.life.shards.len() + CALLS_BESIDE_MAX;
    if seen.reads.most() > calls_max {
        return Err(format!("{} calls to the stream were open at once", seen.reads.most()));
    }
    // What a pause gives up was given and is never taken.
    if scenario.alignment == Alignment::None && seen.too_far_bytes > 0 {
        return Err(format!("{} bytes too many were read ahead", seen.too_far_bytes));
    }
    // Those of the workers, and those of what a checkpoint had staged.
    let writes_max = tables(scenario) * (process.workers + 1) * scenario.requests_max;
    if seen.writes.most() > writes_max {
        return Err(format!("{} writes were on their way at once", seen.writes.most()));
    }
    check_peaks(process, &seen.peaks)
}

/// How many tables get results, at most.
fn tables(scenario: &Scenario) -> usize {
    match scenario.also {
        Also::Nothing => 1,
        Also::Counts => 2,
    }
}

/// What was held in lanes, in writers and in checkpoints, against what may be.
fn check_peaks(process: &Process, peaks: &Peaks) -> Result<(), String> {
    let Process { workers, lane_bytes_max, buffer_bytes_max, owed_bytes_max, .. } = *process;
    let step = peaks.step.max(peaks.event);
    // What comes before a barrier that is on its way lies in lanes, of each worker and edge, and in
    // a step that is under way at each of their ends.
    let before_barrier = EDGES_MAX * workers * (lane_bytes_max.max(1) + peaks.event + step);
    let bounds = [
        // A lane that has room takes an event, whatever its size.
        ("a lane", peaks.lane, lane_bytes_max + peaks.event),
        // A chain that has room takes an event, whatever comes of it; a barrier may bring more.
        ("the end of a chain", peaks.outlet, 2 * step),
        ("a writer", peaks.writer, 4 * buffer_bytes_max + before_barrier),
        // One epoch more is stored before that is noticed, and the last is whatever it is.
        ("a checkpoint", peaks.owed, owed_bytes_max + 3 * peaks.staged),
    ];
    match bounds.into_iter().find(|(_, held, most)| held > most) {
        None => Ok(()),
        Some((place, held, most)) => {
            Err(format!("{held} bytes were held in {place}, which has room for {most}: {peaks:?}"))
        }
    }
}

/// The same of a table. `told`: what it has answered.
pub(super) fn check_table(seen: &Seen, told: &Told) -> Result<(), String> {
    let counted = seen.not_new;
    if counted.other_run != told.other_run {
        return Err(format!(
            "{} results are counted as lost to a later run, and the table refused {} for one",
            counted.other_run, told.other_run
        ));
    }
    if counted.same < told.same || counted.newer_window < told.newer_window {
        return Err(format!("{counted:?} are counted, and the table answered {told:?}"));
    }
    // Without a checkpoint behind it, whatever was settled came from its own rows.
    let settled = told.newer + counted.same + counted.newer_window + counted.other_run;
    if seen.is_new && settled > seen.rows {
        return Err(format!("{settled} results came of {} rows: {counted:?}, {told:?}", seen.rows));
    }
    let health = &seen.health;
    if health.status.is_empty() {
        // It has ended before it could say anything.
        return Ok(());
    }
    let is_behind = health.causes.iter().any(|cause| cause.starts_with("behind run"));
    let is_red = health.status == "red";
    if is_behind != (told.other_run > 0) || is_red == health.causes.is_empty() {
        return Err(format!("the table answered {told:?}, and /health says {health:?}"));
    }
    Ok(())
}

/// What has to come of a job that nothing has befallen.
pub(super) fn check_exactly(
    scenario: &Scenario,
    asked: Asked,
    last: &Last,
    answer: &Answer,
) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what}: {last:?}"));
    let records = scenario.life.shards.iter().flat_map(|shard| &shard.records);
    let of_job = |ms: i64| ms < scenario.to_ms;
    let records = records.filter(|record| record.arrival_ms.is_some_and(of_job)).count() as u64;
    if scenario.from == From::Horizon && last.records != records {
        return wrong(&format!("the stream has {records} records"));
    }
    // Windows that the table refuses are in no row, and told with the records that nobody can read.
    let is_all_taken = scenario.refused_text.is_none();
    if last.diverted != answer.errors.len() as u64 {
        return wrong(&format!("{} errors are told", answer.errors.len()));
    }
    if last.not_new.same + last.not_new.other_run > 0 {
        return wrong("nothing is written twice, and nobody else writes");
    }
    if scenario.query.has_rows_of_one_window && is_all_taken && scenario.also == Also::Nothing {
        if last.rows != answer.rows.len() as u64 {
            return wrong(&format!("{} rows are there", answer.rows.len()));
        }
        let counted: u64 = answer.rows.iter().map(|row| count_in(row, asked)).sum();
        if counted + last.late + last.diverted != last.records {
            return wrong(&format!("{counted} records are in a result"));
        }
    }
    Ok(())
}

/// The records of a window's row.
fn count_in(row: &str, asked: Asked) -> u64 {
    let row: serde_json::Value = serde_json::from_str(row).unwrap_or_default();
    let count = row["c"].as_u64().unwrap_or_default();
    // The corrected sessions add that many.
    if asked == Asked::Corrected && count >= 1000 { count - 1000 } else { count }
}
