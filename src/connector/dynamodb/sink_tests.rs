//! Does a table ever go back, and does it end as it should, whatever happens to the calls?
//!
//! Each seed is a run of several processes against the table in memory: calls are throttled, lost,
//! answered after the write or carried out much later, and processes are killed while they commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::change::Op;
use crate::ids::Epoch;
use crate::rows::Rows;
use crate::simulation::executor::Sim;
use crate::simulation::table::{Service, TableFaults};
use crate::sink::{Afterwards, Prepared};
use crate::support::seeds::each_seed;
use crate::support::tier::by_tier;
use crate::time::EventTime;
use crate::time::clock::SetClock;
use crate::time::timer::sleep;
use crate::time::virtual_time::{Begun, VirtualTime};

const START_MS: i64 = 1_800_000_000_000;
const RUN_MS: i64 = 7;
const RIDERS: [&str; 4] = ["a", "b", "c", "d"];

/// A table `board` of `rider`, and the time in which all of it happens.
struct World {
    begun: Begun,
    service: Arc<Service>,
    rng: ChaCha8Rng,
    processes: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let begun = VirtualTime::begin();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut share = || if rng.random_bool(0.5) { rng.random_range(0.0..0.3) } else { 0.0 };
        let faults = TableFaults {
            throttled: share(),
            failed: share(),
            failed_after: share(),
            lost: share(),
            answer_lost: share(),
            late: share(),
            late_ms_max: 120_000,
            latency_ms: 50,
            ..TableFaults::default()
        };
        let service = Service::new(START_MS, faults, seed);
        service.create("board", &[("rider", "S")]);
        World { begun, service, rng, processes: 0 }
    }

    /// A process with its tasks and its sink.
    fn process(&mut self, mode: WriteMode, run_ms: i64) -> Process {
        self.processes += 1;
        let sim = Sim::new(self.begun.0.clone(), self.rng.random());
        let caller = self.service.caller(&format!("process {}", self.processes));
        let fields =
            vec![Field::new("rider", DataType::Utf8, true), Field::new("n", DataType::Int64, true)];
        let spec = TableSpec {
            name: "board".into(),
            schema: Arc::new(Schema::new(fields)),
            primary_key: vec!["rider".into()],
            partitioned_by: vec![],
        };
        let options = BTreeMap::from([
            ("table-name".to_owned(), "board".to_owned()),
            ("sink.requests.max-inflight".to_owned(), "3".to_owned()),
        ]);
        let clock = Arc::new(SetClock::at(5));
        let sink = DynamoDbSink::on(&caller, spec, &options, run_ms, mode, clock, sim.tasks());
        Process { sim, sink: Arc::new(sink.expect("options")) }
    }

    /// The rows of the table, with their numbers.
    fn rows(&self) -> BTreeMap<String, i64> {
        let rows = self.service.rows("board").into_values();
        let parsed = rows.map(|row| {
            let row: serde_json::Value = serde_json::from_str(&row).expect("an object");
            (
                row["rider"].as_str().expect("a name").to_owned(),
                row["n"].as_i64().expect("a number"),
            )
        });
        parsed.collect()
    }
}

struct Process {
    sim: Arc<Sim>,
    sink: Arc<DynamoDbSink>,
}

impl Process {
    /// Calls that have to succeed at a start do in the end: a supervisor would start it again.
    fn writer(&self) -> Box<dyn SinkWriter> {
        loop {
            if let Ok(writer) = self.sink.writer(0, Arc::new(|| {})) {
                return writer;
            }
        }
    }

    fn staged(writer: &mut dyn SinkWriter, epoch: u64) -> Staged {
        match writer.begin_prepare(Epoch::new(epoch), Afterwards::GoesOn).expect("it goes on") {
            Prepared::Part { staged, .. } => staged,
            Prepared::Waits => panic!("it waits"),
        }
    }

    /// Ends it after so long.
    fn end_after(&self, pause: Duration) {
        let sink = self.sink.clone();
        self.sim.tasks().spawn(async move {
            sleep(pause).await;
            sink.give_up();
        });
    }

    fn pass(&self, seconds: u64) {
        self.sim.tasks().wait(sleep(Duration::from_secs(seconds))).expect("an end");
    }
}

fn row(op: Op, rider: &str, n: i64, window_end_ms: Option<i64>) -> Rows {
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(vec![rider])), Arc::new(Int64Array::from(vec![n]))];
    let batch = RecordBatch::try_from_iter(["rider", "n"].into_iter().zip(columns));
    let ops = window_end_ms.is_none().then(|| [op].into_iter().collect());
    let window_end = window_end_ms.map(EventTime::at);
    Rows { ops, ..Rows::of_window(batch.expect("columns"), window_end) }
}

#[test]
fn changes_never_go_back_and_what_a_crash_has_un_happened_is_not_there() {
    each_seed(0..by_tier(100, 1000, 20_000), |seed| {
        let mut world = World::new(seed);
        let mut process = world.process(WriteMode::InOrder, RUN_MS);
        let mut writer = process.writer();
        let mut expected: BTreeMap<String, i64> = BTreeMap::new();
        // In the newest checkpoint, and not committed yet.
        let mut waiting: Vec<Staged> = Vec::new();
        let mut n = 0;
        for epoch in 1..=6 {
            let mut after = expected.clone();
            for _ in 0..world.rng.random_range(0..8) {
                let rider = RIDERS[world.rng.random_range(0..RIDERS.len())];
                n += 1;
                if after.contains_key(rider) && world.rng.random_bool(0.4) {
                    writer.write(&row(Op::Delete, rider, 0, None)).expect("written");
                    after.remove(rider);
                } else {
                    writer.write(&row(Op::UpdateAfter, rider, n, None)).expect("written");
                    after.insert(rider.into(), n);
                }
            }
            if world.rng.random_bool(0.3) {
                // Killed before its checkpoint: none of it has happened.
                process.sim.kill();
                process = world.process(WriteMode::InOrder, RUN_MS);
                writer = process.writer();
                continue;
            }
            let staged = Process::staged(&mut *writer, epoch);
            let staged = [staged].into_iter().filter(|s| !s.is_empty()).collect();
            waiting = process.sink.join_staged(waiting, staged);
            expected = after;
            if epoch < 6 && world.rng.random_bool(0.3) {
                // The next checkpoint is there before its turn comes.
                continue;
            }
            if world.rng.random_bool(0.5) {
                process.end_after(Duration::from_millis(world.rng.random_range(0..30_000)));
            }
            // Killed while it commits, as often as that may be: committed again.
            while process.sink.recommit(&waiting).is_err() {
                process.sim.kill();
                process = world.process(WriteMode::InOrder, RUN_MS);
            }
            waiting.clear();
            writer = process.writer();
            assert_eq!(world.rows(), expected, "after epoch {epoch}");
        }
        while process.sink.recommit(&waiting).is_err() {
            process.sim.kill();
            process = world.process(WriteMode::InOrder, RUN_MS);
        }
        // What is still on its way changes nothing.
        process.pass(600);
        assert_eq!(world.rows(), expected);
        assert_eq!(world.service.went_back(), None);
    });
}

#[test]
fn results_of_windows_never_go_back_and_a_later_run_wins() {
    each_seed(0..by_tier(100, 1000, 20_000), |seed| {
        let mut world = World::new(seed);
        let mut process = world.process(WriteMode::Versioned, RUN_MS);
        let mut writer = process.writer();
        let (mut staged, mut from, mut kills) = (Staged::new(), 1, 0);
        let mut window = 1;
        while window <= 6 {
            for (number, rider) in RIDERS.iter().enumerate() {
                let n = window * 10 + number as i64;
                writer.write(&row(Op::Insert, rider, n, Some(window))).expect("written");
            }
            window += 1;
            match world.rng.random_range(0..4) {
                0 => (staged, from) = (Process::staged(&mut *writer, window as u64), window),
                1 if kills < 3 => {
                    kills += 1;
                    process.sim.kill();
                    process = world.process(WriteMode::Versioned, RUN_MS);
                    let parts: Vec<Staged> =
                        [staged.clone()].into_iter().filter(|s| !s.is_empty()).collect();
                    process.sink.resume(&parts).expect("it can be read");
                    writer = process.writer();
                    window = from;
                }
                _ => process.pass(world.rng.random_range(0..20)),
            }
        }
        let expected = |n: i64| -> BTreeMap<String, i64> {
            (n..).zip(RIDERS).map(|(n, rider)| (rider.to_owned(), n)).collect()
        };
        let end = |process: &Process, writer: &mut dyn SinkWriter| {
            let staged = match writer.begin_prepare(Epoch::new(9), Afterwards::Ends) {
                Ok(Prepared::Part { staged, .. }) => staged,
                other => panic!("{other:?}"),
            };
            process.sink.commit(&[staged]).expect("no failure");
        };
        end(&process, &mut *writer);
        assert_eq!(world.rows(), expected(60));
        // A corrected query writes less; the old one goes on and changes nothing.
        let corrected = world.process(WriteMode::Versioned, RUN_MS + 1);
        let mut later = corrected.writer();
        for (number, rider) in RIDERS.iter().enumerate() {
            later.write(&row(Op::Insert, rider, number as i64, Some(1))).expect("written");
        }
        end(&corrected, &mut *later);
        for rider in RIDERS {
            writer.write(&row(Op::Insert, rider, 70, Some(7))).expect("written");
        }
        end(&process, &mut *writer);
        process.pass(600);
        assert_eq!(world.rows(), expected(0));
        assert_eq!(process.sink.counts().other_run, 4);
        assert_eq!(world.service.went_back(), None);
    });
}

#[test]
fn the_server_says_what_time_it_is() {
    let mut world = World::new(1);
    world.service.quiet();
    // Its own clock stands at the epoch.
    let process = world.process(WriteMode::InOrder, RUN_MS);
    process.pass(3);
    assert_eq!(process.sink.server_ms().ok(), Some(START_MS + 3000));
}

#[test]
fn what_writers_that_end_are_refused_is_told_with_the_last_publication() {
    let mut world = World::new(1);
    world.service.set_faults(TableFaults {
        refused_text: Some("rider-x".into()),
        latency_ms: 50,
        ..TableFaults::default()
    });
    let process = world.process(WriteMode::Versioned, RUN_MS);
    let mut writer = process.writer();
    for rider in ["a", "rider-x"] {
        writer.write(&row(Op::Insert, rider, 1, Some(1))).expect("written");
    }
    // One that is stored before the end is published when the writers have ended already.
    let staged = Process::staged(&mut *writer, 1);
    let Ok(Prepared::Part { staged: last, .. }) =
        writer.begin_prepare(Epoch::new(2), Afterwards::Ends)
    else {
        panic!("nothing holds it up");
    };
    process.sink.commit(&[staged]).expect("no failure");
    assert_eq!(process.sink.take_refused(), []);
    process.sink.commit(&[last]).expect("no failure");
    let refused = process.sink.take_refused();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].row.contains("rider-x"), "{refused:?}");
}
