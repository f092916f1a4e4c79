//! What world does a seed make? The life of a stream, the query that reads it, how the job is run,
//! and what befalls it.
//!
//! Everything is decided here, before anything runs, so that a seed and the code together are the
//! whole world. What always holds: the same seed gives the same scenario.

use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::dies::Sent;
use super::queries::{Alignment, QUERIES, Query};
use super::scaling::{DAY_MS, START_MS, life};
use super::stream::{Life, StreamFaults};
use super::table::TableFaults;
use crate::runtime::crash::CrashPoint;
use crate::runtime::options::CheckpointTrigger;

/// How a process ends before the job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Killed between two turns.
    KilledAtTurn(u64),
    /// Killed when it reaches a point in the life of a checkpoint or a fire for the n-th time.
    KilledAt(CrashPoint, u64),
    /// Killed at the n-th change to its files.
    KilledAtChange(u64),
    /// Killed when it sends its n-th write to a table, before or behind it.
    KilledAtWrite(u64, Sent),
    /// Asked to stop.
    StoppedAtTurn(u64),
}

/// A start that has other bounds than its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misstart {
    EarlierEnd,
    WithoutEnd,
    LaterStart,
}

/// One process of several that run the job one after the other.
#[derive(Debug, Clone)]
pub(super) struct Process {
    /// From the end of the one before it.
    pub begins_after: Duration,
    pub workers: usize,
    pub batch_rows: usize,
    pub lane_bytes_max: usize,
    pub accumulator_bytes_max: usize,
    pub read_ahead_bytes: usize,
    /// What may wait in one writer of the table.
    pub buffer_bytes_max: usize,
    pub owed_bytes_max: usize,
    pub trigger: CheckpointTrigger,
    /// How far its clock is ahead of the service's.
    pub clock_ahead_ms: i64,
    /// It is asked to end with an earlier record than the job.
    pub to_ms: Option<i64>,
    /// Somebody starts it with other bounds first.
    pub misstart: Option<Misstart>,
    pub end: Option<End>,
}

impl Process {
    /// One that runs undisturbed, on one worker.
    fn plain() -> Process {
        Process {
            begins_after: Duration::ZERO,
            workers: 1,
            batch_rows: 1000,
            lane_bytes_max: 1 << 20,
            accumulator_bytes_max: 64 << 20,
            read_ahead_bytes: 64 << 20,
            buffer_bytes_max: 8 << 20,
            owed_bytes_max: 64 << 20,
            trigger: CheckpointTrigger::AtEnd,
            clock_ahead_ms: 0,
            to_ms: None,
            misstart: None,
            end: None,
        }
    }
}

/// What else happens to the stream, between two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twist {
    None,
    /// Nobody reads for longer than it keeps its records.
    Expires,
    /// It is deleted and made again under its name.
    MadeAgain,
}

/// What befalls the table of results.
#[derive(Debug, Clone)]
pub(super) enum ToTable {
    Nothing,
    /// A job with the corrected query writes into it too.
    Rival {
        processes: Vec<Process>,
        /// It runs to its end while the first job stands still; else each process has its turn.
        at_once: bool,
    },
    /// It is deleted and made again as it was.
    MadeAgain,
    /// It is deleted and made again with this key.
    OtherKey(&'static [(&'static str, &'static str)]),
}

/// Where results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Into {
    Files,
    Table,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Horizon,
    Latest,
    /// At this arrival time, ms since the epoch.
    Time(i64),
}

#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub seed: u64,
    pub query: &'static Query,
    pub alignment: Alignment,
    pub life: Life,
    pub from: From,
    /// Befalls the stream before the second process.
    pub twist: Twist,
    /// When the first process starts.
    pub starts_after: Duration,
    /// Records that arrive later are not the job's, ms since the epoch.
    pub to_ms: i64,
    pub faults: StreamFaults,
    pub sink: Into,
    pub table_faults: TableFaults,
    /// The last one has no end but the job's.
    pub processes: Vec<Process>,
    pub to_table: ToTable,
    /// The process in which that begins.
    pub to_table_in: usize,
    /// At which turn of each process, or at its end.
    pub table_turns: Vec<u64>,
    /// Writes of one worker that may be on their way, and rows that may wait.
    pub requests_max: usize,
    pub buffered_max: usize,
    /// The table refuses items that hold this text.
    pub refused_text: Option<&'static str>,
    pub on_refusal: OnRefusal,
    /// A second result, in a table of its own.
    pub also: Also,
    /// It lasts for days, of which the job sees some minutes each.
    pub lasts_days: bool,
    /// Nothing goes wrong.
    pub is_peaceful: bool,
}

/// Whether a job has a second result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Also {
    Nothing,
    Counts,
}

/// What a sink does about a write that the table did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnRefusal {
    TriesAgain,
    /// It ends the job, in the midst of an epoch.
    Fails,
}

/// What befalls the table is drawn from a generator of its own, so that it changes nothing else of
/// a seed.
const TO_TABLE: u64 = 0x7_07ab1e;

impl Scenario {
    pub fn of(seed: u64) -> Scenario {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let query = &QUERIES[rng.random_range(0..QUERIES.len())];
        // Files take no changes.
        let sink =
            if query.is_append_only && rng.random_bool(0.4) { Into::Files } else { Into::Table };
        let lasts_ms = rng.random_range(5_000..40_000);
        let life = life(&mut rng, lasts_ms);
        // Live, in the midst of it, or over what lies there already.
        let starts_after = [0, lasts_ms / 2, lasts_ms + 1000][rng.random_range(0..3)];
        let faults = faults(&mut rng, lasts_ms);
        let table_faults = table_faults(&mut rng);
        let ends = rng.random_range(0..5);
        let mut processes: Vec<Process> = (0..=ends).map(|n| process(&mut rng, n < ends)).collect();
        let from = if rng.random_bool(0.25) { From::Latest } else { From::Horizon };
        let twist = match rng.random_range(0..20) {
            0 | 1 => Twist::Expires,
            2 => Twist::MadeAgain,
            _ => Twist::None,
        };
        if from == From::Latest {
            // A clock that is corrected to the second begins up to a second before the listing of
            // shards, and what one of them got in that second before it was closed is in or out.
            processes.iter_mut().for_each(|process| process.clock_ahead_ms = 0);
        }
        let alignment = if rng.random_bool(0.4) { Alignment::Tight } else { Alignment::None };
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ TO_TABLE);
        let can_befall = sink == Into::Table && twist == Twist::None && from == From::Horizon;
        let to_table = if can_befall { to_table(&mut rng, query) } else { ToTable::Nothing };
        let to_table_in = rng.random_range(0..processes.len());
        let table_turns = processes.iter().map(|_| turn(&mut rng)).collect();
        let is_narrow = rng.random_bool(0.3);
        let requests_max = if is_narrow { rng.random_range(1..4) } else { 50 };
        let buffered_max = if is_narrow { rng.random_range(1..4) } else { 10_000 };
        Scenario {
            seed,
            query,
            alignment,
            life,
            from,
            twist,
            starts_after: Duration::from_millis(starts_after as u64),
            to_ms: START_MS + lasts_ms,
            faults,
            sink,
            table_faults,
            processes,
            to_table,
            to_table_in,
            table_turns,
            requests_max,
            buffered_max,
            refused_text: None,
            on_refusal: OnRefusal::TriesAgain,
            also: Also::Nothing,
            lasts_days: false,
            is_peaceful: false,
        }
    }

    /// The same for the job with the corrected query, which is run by these processes.
    pub fn of_rival(&self, processes: Vec<Process>) -> Scenario {
        Scenario { processes, to_table: ToTable::Nothing, table_turns: vec![], ..self.clone() }
    }

    /// The same records in the same shards, where nothing goes wrong. `from`: where reading began.
    pub fn in_peace(&self, from: From) -> Scenario {
        let faults = StreamFaults { records_max: 1000, ..StreamFaults::default() };
        let starts_after = Duration::from_millis((self.to_ms - START_MS) as u64 + 1000);
        let refused_text = self.refused_text.map(String::from);
        // Nothing expires: whoever reads at the end finds all that whoever reads all along does.
        let life = Life { retention_ms: 30 * DAY_MS, ..self.life.clone() };
        Scenario {
            alignment: Alignment::None,
            from,
            life,
            twist: Twist::None,
            faults,
            table_faults: TableFaults { refused_text, ..TableFaults::default() },
            on_refusal: OnRefusal::TriesAgain,
            starts_after,
            processes: vec![Process::plain()],
            to_table: ToTable::Nothing,
            is_peaceful: true,
            ..self.clone()
        }
    }
}

fn faults(rng: &mut ChaCha8Rng, lasts_ms: i64) -> StreamFaults {
    let mut share =
        |most: f64| if rng.random_bool(0.5) { rng.random_range(0.0..most) } else { 0.0 };
    let (throttled, failed, hangs) = (share(0.3), share(0.2), share(0.02));
    let (iterator_expired, empty, childless) = (share(0.1), share(0.3), share(1.0));
    StreamFaults {
        throttled,
        failed,
        hangs,
        iterator_expired,
        empty,
        childless,
        listing_lag_ms: if rng.random_bool(0.3) { rng.random_range(0..4000) } else { 0 },
        latency_ms: [0, 3, 50][rng.random_range(0..3)],
        records_max: [1, 7, 50, 1000][rng.random_range(0..4)],
        until_ms: START_MS + lasts_ms + rng.random_range(0..60_000),
    }
}

fn table_faults(rng: &mut ChaCha8Rng) -> TableFaults {
    let mut share =
        |most: f64| if rng.random_bool(0.4) { rng.random_range(0.0..most) } else { 0.0 };
    let (throttled, failed, failed_after) = (share(0.4), share(0.2), share(0.2));
    let (lost, answer_lost, late, unprocessed) = (share(0.1), share(0.1), share(0.1), share(0.5));
    TableFaults {
        throttled,
        failed,
        failed_after,
        lost,
        answer_lost,
        late,
        late_ms_max: [1000, 20_000, 120_000][rng.random_range(0..3)],
        unprocessed,
        latency_ms: [0, 2, 30][rng.random_range(0..3)],
        ..TableFaults::default()
    }
}

fn to_table(rng: &mut ChaCha8Rng, query: &Query) -> ToTable {
    match rng.random_range(0..20) {
        0..6 => {
            let ends = rng.random_range(0..3);
            let mut processes: Vec<Process> = (0..=ends).map(|n| process(rng, n < ends)).collect();
            for process in &mut processes {
                process.begins_after += Duration::from_millis(1);
            }
            ToTable::Rival { processes, at_once: rng.random_bool(0.5) }
        }
        6 | 7 => ToTable::MadeAgain,
        8 | 9 => ToTable::OtherKey(query.other_keys.choose(rng).expect("each query has some")),
        _ => ToTable::Nothing,
    }
}

pub(super) fn turn(rng: &mut ChaCha8Rng) -> u64 {
    let most = 1u64 << rng.random_range(0..14);
    rng.random_range(0..=most)
}

pub(super) fn process(rng: &mut ChaCha8Rng, has_end: bool) -> Process {
    let end = has_end.then(|| match rng.random_range(0..5) {
        0 | 1 => End::KilledAtTurn(turn(rng)),
        2 => End::KilledAt(
            CrashPoint::ALL[rng.random_range(0..CrashPoint::ALL.len())],
            rng.random_range(1..4),
        ),
        3 => End::KilledAtChange(1 + (turn(rng) >> 5)),
        _ => End::StoppedAtTurn(turn(rng)),
    });
    Process {
        begins_after: Duration::from_millis([0, 500, 20_000][rng.random_range(0..3)]),
        workers: rng.random_range(1..=3),
        batch_rows: [1, 5, 100][rng.random_range(0..3)],
        lane_bytes_max: [1, 4096, 1 << 20][rng.random_range(0..3)],
        accumulator_bytes_max: [1, 1 << 16, 64 << 20][rng.random_range(0..3)],
        read_ahead_bytes: [1, 1 << 16, 64 << 20][rng.random_range(0..3)],
        buffer_bytes_max: [1, 1 << 10, 8 << 20][rng.random_range(0..3)],
        owed_bytes_max: [1, 1 << 10, 64 << 20, 64 << 20][rng.random_range(0..4)],
        trigger: match rng.random_range(0..4) {
            0 => CheckpointTrigger::AtEnd,
            1 => CheckpointTrigger::Records(rng.random_range(1..10)),
            _ => CheckpointTrigger::Interval(Duration::from_millis(rng.random_range(100..8000))),
        },
        clock_ahead_ms: if rng.random_bool(0.3) { rng.random_range(-90_000..90_000) } else { 0 },
        to_ms: None,
        misstart: None,
        end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::kinesis::api::HashRange;
    use crate::simulation::stream::Shard;

    #[test]
    fn the_open_shards_take_all_keys_at_any_time() {
        for seed in 0..200 {
            let life = Scenario::of(seed).life;
            let times = life.shards.iter().map(|s| s.opened_ms);
            for at_ms in times {
                let is_open =
                    |s: &&Shard| s.opened_ms <= at_ms && s.closed_ms.is_none_or(|c| c > at_ms);
                let mut open: Vec<HashRange> =
                    life.shards.iter().filter(is_open).map(|s| s.hashes).collect();
                open.sort();
                assert_eq!(open.first().map(|r| r.first), Some(0), "seed {seed}");
                assert_eq!(open.last().map(|r| r.last), Some(u128::MAX), "seed {seed}");
                for pair in open.windows(2) {
                    assert_eq!(pair[0].last + 1, pair[1].first, "seed {seed}");
                }
            }
        }
    }
}
