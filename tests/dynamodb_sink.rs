//! The DynamoDB sink against a server that throttles, fails after writing and leaves items
//! unprocessed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{
    Array, ArrayRef, Float64Array, Int64Array, ListArray, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Fields, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use paceline::change::Op;
use paceline::connector::dynamodb::sink::DynamoDbSink;
use paceline::ids::Epoch;
use paceline::rows::Rows;
use paceline::runtime::control::Stats;
use paceline::runtime::crash::CrashPoint;
use paceline::runtime::job::{Observer, Outcome};
use paceline::runtime::options::{CheckpointTrigger, Scheduling};
use paceline::runtime::worker::SharedSource;
use paceline::sink::version::{Counts, WriteMode};
use paceline::sink::{Afterwards, Prepared, Rejected, Sink, SinkError, SinkWriter, TableSpec};
use paceline::time::EventTime;
use paceline::who::{Again, Who};

use crate::support::dynamodb_server::{DynamoDbServer, Faults, Item};
use crate::support::job::{CrashAt, Variation, attempt, observe};
use crate::support::prepare::PrepareAndWait;

const RUN_MS: i64 = 1_700_000_000_000;

/// A server, and a runtime for the sink.
struct World {
    server: DynamoDbServer,
    runtime: tokio::runtime::Runtime,
}

impl World {
    /// The table `board` of `race` (hash) and `rider` (range).
    fn new() -> World {
        let server = DynamoDbServer::start();
        server.create_table("board", ("race", "S"), Some(("rider", "S")));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        World { server, runtime }
    }

    fn sink(
        &self,
        mode: WriteMode,
        run_ms: i64,
        extra: &[(&str, &str)],
    ) -> Result<DynamoDbSink, SinkError> {
        self.sink_of(spec(&["race", "rider"]), mode, run_ms, extra)
    }

    fn sink_of(
        &self,
        spec: TableSpec,
        mode: WriteMode,
        run_ms: i64,
        extra: &[(&str, &str)],
    ) -> Result<DynamoDbSink, SinkError> {
        let mut options: BTreeMap<String, String> = BTreeMap::new();
        let defaults = [
            ("table-name", "board"),
            ("aws.endpoint", self.server.endpoint()),
            ("aws.credentials.provider", "BASIC"),
            ("aws.credentials.basic.accesskeyid", "AKIDEXAMPLE"),
            ("aws.credentials.basic.secretkey", "wJalrXUtnFEMI"),
        ];
        options
            .extend(defaults.iter().chain(extra).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        DynamoDbSink::new(spec, &options, run_ms, mode, self.runtime.handle().clone().into())
    }

    /// `race/rider` of each row with its points.
    fn points(&self) -> BTreeMap<String, i64> {
        let items = self.server.scan("board");
        let rows = items.iter().filter(|item| !item.contains_key("paceline_deleted"));
        rows.map(|item| (key(item), points(item))).collect()
    }
}

fn spec(key: &[&str]) -> TableSpec {
    let fields = vec![
        Field::new("race", DataType::Utf8, true),
        Field::new("rider", DataType::Utf8, true),
        Field::new("points", DataType::Int64, true),
        Field::new("speed", DataType::Float64, true),
    ];
    TableSpec {
        name: "board".into(),
        schema: Arc::new(Schema::new(fields)),
        primary_key: key.iter().map(|k| (*k).to_owned()).collect(),
        partitioned_by: vec![],
    }
}

/// Rows of (race, rider, points); the speed is the points as a float.
fn rows(values: &[(Option<&str>, &str, i64)], window_end_ms: Option<i64>) -> Rows {
    let speed = values.iter().map(|v| v.2 as f64).collect::<Vec<_>>();
    rows_with_speed(values, &speed, window_end_ms)
}

fn rows_with_speed(
    values: &[(Option<&str>, &str, i64)],
    speed: &[f64],
    window_end_ms: Option<i64>,
) -> Rows {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter(values.iter().map(|v| v.0))),
        Arc::new(StringArray::from_iter_values(values.iter().map(|v| v.1))),
        Arc::new(Int64Array::from_iter_values(values.iter().map(|v| v.2))),
        Arc::new(Float64Array::from_iter_values(speed.iter().copied())),
    ];
    Rows::of_window(
        RecordBatch::try_new(spec(&[]).schema, columns).unwrap(),
        window_end_ms.map(EventTime::at),
    )
}

fn key(item: &Item) -> String {
    format!("{}/{}", item["race"]["S"].as_str().unwrap(), item["rider"]["S"].as_str().unwrap())
}

fn points(item: &Item) -> i64 {
    item["points"]["N"].as_str().unwrap().parse().unwrap()
}

fn version(item: &Item) -> &str {
    item["paceline_version"]["S"].as_str().unwrap()
}

fn message<T>(result: Result<T, SinkError>) -> String {
    result.err().expect("an error").to_string()
}

fn trouble() -> Faults {
    Faults { throttle_every: 5, fail_every: 7, delay_ms_max: 8, ..Faults::default() }
}

/// Ends an epoch as if it were the last one, and commits it. Returns what was rejected by the writer,
/// and what the table refused then.
fn commit(
    sink: &DynamoDbSink,
    writer: &mut dyn SinkWriter,
    epoch: u64,
) -> Result<Vec<Rejected>, SinkError> {
    let mut prepared = writer.begin_prepare(Epoch::new(epoch), Afterwards::Ends)?;
    loop {
        if let Prepared::Part { staged, mut rejected } = prepared {
            sink.commit(&[staged].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>())?;
            rejected.extend(sink.take_refused());
            return Ok(rejected);
        }
        std::thread::sleep(Duration::from_millis(1));
        prepared = writer.poll_prepare()?;
    }
}

/// Waits for room as a worker does.
fn write(writer: &mut dyn SinkWriter, rows: &Rows) {
    while !writer.has_room() {
        std::thread::yield_now();
    }
    writer.write(rows).unwrap();
}

#[test]
fn changes_of_one_key_keep_their_order_under_retries() {
    let world = World::new();
    world.server.set_faults(trouble());
    let sink = world.sink(WriteMode::InOrder, RUN_MS, &[]).unwrap();
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    let riders = ["a", "b", "c"];
    for n in 0..40 {
        write(&mut *writer, &rows(&riders.map(|r| (Some("x"), r, n)), None));
        if n % 3 == 2 {
            commit(&sink, &mut *writer, n as u64).unwrap();
        }
    }
    commit(&sink, &mut *writer, 40).unwrap();
    let mut last: HashMap<String, i64> = HashMap::new();
    for item in world.server.applied() {
        let before = last.insert(key(&item), points(&item));
        assert!(
            before.is_none_or(|b| b <= points(&item)),
            "{} went from {before:?} to {}",
            key(&item),
            points(&item)
        );
    }
    assert!(world.points().values().all(|p| *p == 39), "{:?}", world.points());
    assert_eq!(world.points().len(), 3);
}

#[test]
fn nothing_of_a_change_is_seen_before_its_checkpoint() {
    let world = World::new();
    let sink = world.sink(WriteMode::InOrder, RUN_MS, &[]).unwrap();
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(&[(Some("x"), "a", 1), (Some("x"), "a", 2)], None)).unwrap();
    let staged = staged_part(&mut *writer, 7);
    writer.write(&rows(&[(Some("x"), "a", 3), (Some("x"), "b", 3)], None)).unwrap();
    drop(writer);
    assert_eq!(world.server.calls("PutItem"), 0);
    // Killed while it was committed, or before, or after: it is committed again.
    for same in 0..3 {
        sink.recommit(std::slice::from_ref(&staged)).unwrap();
        assert_eq!(world.points(), BTreeMap::from([("x/a".into(), 2)]));
        assert_eq!(sink.counts(), Counts { same, ..Counts::default() });
    }
    // What the crash has un-happened need not come again: another row does.
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(&[(Some("x"), "c", 4)], None)).unwrap();
    commit(&sink, &mut *writer, 8).unwrap();
    assert_eq!(world.points(), BTreeMap::from([("x/a".into(), 2), ("x/c".into(), 4)]));
    // Two queries may write one key: their parts are of one version, and each key is sent once.
    let parts = [5, 6].map(|n| {
        let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
        writer.write(&rows(&[(Some("x"), "a", n)], None)).unwrap();
        staged_part(&mut *writer, 9)
    });
    sink.commit(&parts).unwrap();
    assert_eq!(world.points()["x/a"], 6);
}

#[test]
fn an_outbox_that_fills_asks_for_its_checkpoint() {
    let world = World::new();
    let sink = world.sink(WriteMode::InOrder, RUN_MS, &[]).unwrap();
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    let race = "x".repeat(1000);
    let mut wanted_at = None;
    for n in 0.. {
        if writer.wants_epoch() {
            wanted_at.get_or_insert(writer.memory_bytes());
        }
        if !writer.has_room() {
            break;
        }
        let riders: Vec<String> = (0..100).map(|r| format!("r{n}-{r}")).collect();
        let values: Vec<_> = riders.iter().map(|r| (Some(race.as_str()), r.as_str(), 1)).collect();
        writer.write(&rows(&values, None)).unwrap();
    }
    assert!(wanted_at.is_some_and(|bytes| bytes * 2 >= writer.memory_bytes() * 9 / 10));
    assert!(staged_part(&mut *writer, 1).len() > 1 << 20);
    assert!(writer.has_room() && !writer.wants_epoch());
}

#[test]
fn a_commit_ends_when_the_job_has_failed() {
    let world = World::new();
    let sink = world.sink(WriteMode::InOrder, RUN_MS, &[]).unwrap();
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(&[(Some("x"), "a", 1)], None)).unwrap();
    let staged = staged_part(&mut *writer, 1);
    world.server.set_faults(Faults { throttle_every: 1, ..Faults::default() });
    let error = std::thread::scope(|scope| {
        let committing = scope.spawn(|| message(sink.commit(std::slice::from_ref(&staged))));
        while world.server.calls("PutItem") == 0 {
            std::thread::yield_now();
        }
        sink.give_up();
        committing.join().unwrap()
    });
    assert!(error.contains("the job has ended"), "{error}");
    assert!(message(sink.commit(&[staged])).contains("the job has ended"));
}

#[test]
fn rows_that_are_taken_back_leave_tombstones() {
    let world = World::new();
    world.server.set_faults(trouble());
    let sink = world.sink(WriteMode::InOrder, RUN_MS, &[]).unwrap();
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    let change = |op, rider, n| Rows {
        ops: Some([op].into_iter().collect()),
        ..rows(&[(Some("x"), rider, n)], None)
    };
    for n in 0..20 {
        write(&mut *writer, &change(Op::Insert, "stays", n));
        write(&mut *writer, &change(Op::Insert, "goes", n));
        write(&mut *writer, &change(Op::Delete, "goes", n));
        write(&mut *writer, &change(Op::Delete, "comes back", n));
        write(&mut *writer, &change(Op::UpdateAfter, "comes back", n));
        if n % 7 == 6 {
            commit(&sink, &mut *writer, n as u64).unwrap();
        }
    }
    commit(&sink, &mut *writer, 20).unwrap();
    let expected: BTreeMap<String, i64> =
        [("x/comes back".to_owned(), 19), ("x/stays".to_owned(), 19)].into();
    assert_eq!(world.points(), expected);
    let items = world.server.scan("board");
    let tombstone = items.iter().find(|item| key(item) == "x/goes").unwrap();
    let names: Vec<&str> = tombstone.keys().map(String::as_str).collect();
    let mut wanted =
        vec!["race", "rider", "paceline_version", "paceline_deleted", "paceline_expires"];
    wanted.sort_unstable();
    assert_eq!(names, wanted, "no attribute that an index has");
    assert_eq!(tombstone["paceline_deleted"], serde_json::json!({ "BOOL": true }));
    let expires_s: i64 = tombstone["paceline_expires"]["N"].as_str().unwrap().parse().unwrap();
    let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!((expires_s - now_s.as_secs() as i64 - 7 * 24 * 60 * 60).abs() < 60, "{expires_s}");
    // What comes late is kept out by it, as it would be by a row.
    let late = staged_of(&sink, &change(Op::Insert, "goes", 3), 13);
    sink.commit(&[late]).unwrap();
    assert_eq!(world.points(), expected);
    assert_eq!(sink.counts().newer_window, 1);
    // A row that comes back takes its place.
    sink.commit(&[staged_of(&sink, &change(Op::Insert, "goes", 4), 21)]).unwrap();
    assert_eq!(world.points()["x/goes"], 4);
}

#[test]
fn versions_never_go_back_and_a_later_run_wins() {
    let world = World::new();
    world.server.set_faults(trouble());
    {
        let sink = world.sink(WriteMode::Versioned, RUN_MS, &[]).unwrap();
        // Two workers race with the same keys, as after a change of parallelism.
        let mut writers =
            [sink.writer(0, Arc::new(|| {})).unwrap(), sink.writer(1, Arc::new(|| {})).unwrap()];
        for n in 0..20 {
            writers[0].write(&rows(&[(Some("x"), "a", n)], Some(n * 1000))).unwrap();
            writers[1].write(&rows(&[(Some("x"), "a", 19 - n)], Some((19 - n) * 1000))).unwrap();
        }
        writers.iter_mut().for_each(|w| drop(w.prepare(1).unwrap()));
        let counts = sink.counts();
        assert!(counts.newer_window > 0 && counts.other_run == 0, "{counts:?}");
    }
    let applied = world.server.applied();
    assert!(applied.windows(2).all(|pair| version(&pair[0]) <= version(&pair[1])), "{applied:?}");
    assert_eq!(world.points(), BTreeMap::from([("x/a".into(), 19)]));
    // A later run starts over with old windows: its first result replaces the last one of the run
    // before.
    let mut writer = world
        .sink(WriteMode::Versioned, RUN_MS + 1, &[])
        .unwrap()
        .writer(0, Arc::new(|| {}))
        .unwrap();
    writer.write(&rows(&[(Some("x"), "a", 7)], Some(0))).unwrap();
    writer.prepare(1).unwrap();
    assert_eq!(world.points(), BTreeMap::from([("x/a".into(), 7)]));
    // And an earlier run that comes late changes nothing.
    let late = world.sink(WriteMode::Versioned, RUN_MS, &[]).unwrap();
    let mut writer = late.writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(&[(Some("x"), "a", 8)], Some(i64::MAX))).unwrap();
    writer.prepare(1).unwrap();
    assert_eq!(world.points(), BTreeMap::from([("x/a".into(), 7)]));
    assert_eq!(late.counts(), Counts { other_run: 1, ..Counts::default() });
}

#[test]
fn a_replay_leaves_the_same_items() {
    for mode in [WriteMode::Unique, WriteMode::Versioned, WriteMode::InOrder] {
        let world = World::new();
        let sink = world.sink(mode, RUN_MS, &[]).unwrap();
        let mut scans = Vec::new();
        for _ in 0..2 {
            let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
            for n in 0..5 {
                let rider = if mode == WriteMode::Unique { format!("r{n}") } else { "r".into() };
                writer
                    .write(&rows(
                        &[(Some("x"), &rider, n), (Some("y"), &rider, n + 1)],
                        Some(n * 1000),
                    ))
                    .unwrap();
            }
            commit(&sink, &mut *writer, 1).unwrap();
            let mut items = world.server.scan("board");
            items.sort_by_key(key);
            scans.push(items);
        }
        assert_eq!(scans[0].len(), if mode == WriteMode::Unique { 10 } else { 2 }, "{mode:?}");
        assert_eq!(scans[0], scans[1], "{mode:?}");
        assert!(scans[0].iter().all(|item| item.contains_key("paceline_version")), "{mode:?}");
    }
}

#[test]
fn results_with_keys_of_their_own_are_written_one_by_one_and_never_go_back_either() {
    let world = World::new();
    world.server.set_faults(trouble());
    let sink =
        world.sink(WriteMode::Unique, RUN_MS, &[("sink.requests.max-inflight", "9")]).unwrap();
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    let mut want = BTreeMap::new();
    for n in 0..10 {
        let riders: Vec<String> = (0..30).map(|r| format!("r{n}-{r}")).collect();
        let values: Vec<_> = riders.iter().map(|r| (Some("x"), r.as_str(), n)).collect();
        want.extend(riders.iter().map(|r| (format!("x/{r}"), n)));
        write(&mut *writer, &rows(&values, Some(n)));
    }
    writer.prepare(1).unwrap();
    assert_eq!(world.points(), want);
    assert!(writer.take_rejected().is_empty());
    assert!(world.server.calls("PutItem") >= 300);
    // A role that may only put is enough.
    assert_eq!(world.server.calls("BatchWriteItem") + world.server.calls("DeleteItem"), 0);
    // A corrected query has written since: the old job goes on and changes nothing.
    let corrected = world.sink(WriteMode::Unique, RUN_MS + 1, &[]).unwrap();
    let mut later = corrected.writer(0, Arc::new(|| {})).unwrap();
    later.write(&rows(&[(Some("x"), "r0-0", 100)], Some(0))).unwrap();
    later.prepare(1).unwrap();
    writer.write(&rows(&[(Some("x"), "r0-0", 0)], Some(0))).unwrap();
    writer.prepare(2).unwrap();
    assert_eq!(world.points()["x/r0-0"], 100);
    assert_eq!(sink.counts().other_run, 1);
}

#[test]
fn items_differ_by_the_whole_key_in_its_order() {
    let world = World::new();
    // Declared in the other order than the table has it.
    let spec = spec(&["rider", "race"]);
    let mut writer = world
        .sink_of(spec, WriteMode::Unique, RUN_MS, &[])
        .unwrap()
        .writer(0, Arc::new(|| {}))
        .unwrap();
    writer
        .write(&rows(
            &[(Some("a"), "b", 1), (Some("b"), "a", 2), (Some("ab"), "c", 3), (Some("a"), "bc", 4)],
            None,
        ))
        .unwrap();
    writer.prepare(1).unwrap();
    let want = [("a/b", 1), ("b/a", 2), ("ab/c", 3), ("a/bc", 4)];
    assert_eq!(world.points(), want.into_iter().map(|(k, v)| (k.to_owned(), v)).collect());
}

#[test]
fn nulls_are_written_or_left_out() {
    for (ignore, want) in [("false", Some(serde_json::json!({ "NULL": true }))), ("true", None)] {
        let world = World::new();
        let sink =
            world.sink(WriteMode::Versioned, RUN_MS, &[("sink.ignore-nulls", ignore)]).unwrap();
        let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
        let mut with_null = rows(&[(Some("x"), "a", 1)], Some(0));
        let mut columns = with_null.batch.columns().to_vec();
        columns[3] = Arc::new(Float64Array::from(vec![None]));
        with_null.batch = RecordBatch::try_new(with_null.batch.schema(), columns).unwrap();
        writer.write(&with_null).unwrap();
        writer.prepare(1).unwrap();
        assert_eq!(world.server.scan("board")[0].get("speed").cloned(), want);
    }
}

#[test]
fn what_can_never_be_written_is_rejected_and_the_rest_passes() {
    for mode in [WriteMode::Unique, WriteMode::Versioned, WriteMode::InOrder] {
        let world = World::new();
        let sink = world.sink(mode, RUN_MS, &[]).unwrap();
        let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
        let huge = "r".repeat(500 << 10);
        let values = [
            (Some("x"), "a", 1),
            (Some("x"), huge.as_str(), 2),
            (None, "b", 3),
            (Some("x"), "", 4),
            (Some("x"), "c", 5),
        ];
        writer.write(&rows(&values, Some(0))).unwrap();
        writer
            .write(&rows_with_speed(
                &[(Some("x"), "nan", 6), (Some("x"), "d", 7)],
                &[f64::NAN, 1.0],
                Some(0),
            ))
            .unwrap();
        let rejected = commit(&sink, &mut *writer, 1).unwrap();
        assert_eq!(
            world.points().into_iter().collect::<Vec<_>>(),
            [("x/a".into(), 1), ("x/c".into(), 5), ("x/d".into(), 7)]
        );
        let reason = |points: &str| {
            let mut found =
                rejected.iter().filter(|r| r.row.contains(&format!("\"points\":{points},")));
            let reason = found
                .next()
                .unwrap_or_else(|| panic!("row {points} was not rejected"))
                .reason
                .clone();
            assert!(found.next().is_none());
            reason
        };
        assert!(reason("2").contains("DynamoDB takes 1024"), "{}", reason("2"));
        assert_eq!(reason("3"), "key column 'race' is NULL");
        assert!(reason("4").starts_with("key column 'rider' is empty"), "{}", reason("4"));
        assert!(reason("6").starts_with("column 'speed': NaN"), "{}", reason("6"));
        assert_eq!(rejected.len(), 4, "{mode:?}");
        assert!(writer.take_rejected().is_empty());
    }
}

#[test]
fn a_full_buffer_says_so_and_empties() {
    let world = World::new();
    let mut writer = world
        .sink(WriteMode::Unique, RUN_MS, &[("sink.requests.max-inflight", "1")])
        .unwrap()
        .writer(0, Arc::new(|| {}))
        .unwrap();
    let race = "x".repeat(2000);
    let mut n = 0;
    // 8 MiB of items of about 4 kB, faster than any server takes them.
    while writer.has_room() && n < 20_000 {
        let riders: Vec<String> = (0..100).map(|r| format!("r{n}-{r:01000}")).collect();
        writer
            .write(&rows(
                &riders.iter().map(|r| (Some(race.as_str()), r.as_str(), n)).collect::<Vec<_>>(),
                None,
            ))
            .unwrap();
        n += 100;
    }
    assert!(!writer.has_room(), "room for {n} rows");
    writer.prepare(1).unwrap();
    assert!(writer.has_room());
    assert_eq!(world.server.scan("board").len(), usize::try_from(n).unwrap());
}

#[test]
fn a_number_of_items_fills_the_buffer_too() {
    let world = World::new();
    let extra = [("sink.requests.max-buffered", "40"), ("sink.requests.max-inflight", "1")];
    let mut writer = world
        .sink(WriteMode::Versioned, RUN_MS, &extra)
        .unwrap()
        .writer(0, Arc::new(|| {}))
        .unwrap();
    world.server.set_faults(Faults { throttle_every: 1, ..Faults::default() });
    let riders: Vec<String> = (0..40).map(|r| format!("r{r}")).collect();
    let values: Vec<_> = riders.iter().map(|r| (Some("x"), r.as_str(), 1)).collect();
    writer.write(&rows(&values[..39], Some(0))).unwrap();
    assert!(writer.has_room());
    writer.write(&rows(&values[39..], Some(0))).unwrap();
    assert!(!writer.has_room());
    world.server.set_faults(Faults::default());
    writer.prepare(1).unwrap();
    assert!(writer.has_room());
    assert_eq!(world.points().len(), 40);
}

#[test]
fn a_throttled_key_holds_up_no_other() {
    for mode in [WriteMode::Unique, WriteMode::Versioned] {
        let world = World::new();
        let sink = world.sink(mode, RUN_MS, &[]).unwrap();
        let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
        world.server.set_faults(Faults { throttle_text: Some("hot"), ..Faults::default() });
        writer.write(&rows(&[(Some("x"), "hot", 1)], Some(0))).unwrap();
        while world.server.calls("PutItem") == 0 {
            std::thread::yield_now();
        }
        writer.write(&rows(&[(Some("x"), "cold", 2)], Some(0))).unwrap();
        // Without a barrier. Far longer than a write takes, and reached only if it never comes.
        for _ in 0..3000 {
            if !world.points().is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(world.points(), BTreeMap::from([("x/cold".into(), 2)]), "{mode:?}");
        world.server.set_faults(Faults::default());
        writer.prepare(1).unwrap();
        assert_eq!(world.points().len(), 2, "{mode:?}");
    }
}

#[test]
fn fail_on_error_ends_the_job_at_the_first_failure() {
    for mode in [WriteMode::Unique, WriteMode::Versioned] {
        let world = World::new();
        let sink = world.sink(mode, RUN_MS, &[("sink.fail-on-error", "true")]).unwrap();
        let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
        world.server.set_faults(Faults { throttle_every: 1, ..Faults::default() });
        writer.write(&rows(&[(Some("x"), "a", 1)], Some(0))).unwrap();
        let throttled = message(writer.prepare(1));
        assert!(throttled.contains("ProvisionedThroughputExceededException"), "{throttled}");
        world.server.set_faults(Faults::default());
        // Refused by the server, with a row beside it that is not.
        world.server.set_faults(Faults { refuse_text: Some("odd"), ..Faults::default() });
        let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
        writer.write(&rows(&[(Some("x"), "odd", 1), (Some("x"), "b", 2)], Some(0))).unwrap();
        let refused = message(writer.prepare(1));
        assert!(
            refused.contains("ValidationException") && refused.contains("\"rider\":\"odd\""),
            "{refused}"
        );
        let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
        let nan =
            message(writer.write(&rows_with_speed(&[(Some("x"), "c", 1)], &[f64::NAN], Some(0))));
        assert!(nan.contains("column 'speed': NaN"), "{nan}");
    }
}

#[test]
fn arrays_and_rows_become_lists_and_maps() {
    let world = World::new();
    world.server.create_table("nested", ("race", "S"), None);
    let laps = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(7), None])]);
    let inner = Fields::from(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("laps", laps.data_type().clone(), true),
    ]);
    let name: ArrayRef = Arc::new(StringArray::from(vec!["Ann"]));
    let rider = StructArray::new(inner.clone(), vec![name, Arc::new(laps)], None);
    let fields = vec![
        Field::new("race", DataType::Utf8, true),
        Field::new("rider", DataType::Struct(inner), true),
    ];
    let spec = TableSpec { schema: Arc::new(Schema::new(fields)), ..spec(&["race"]) };
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec!["x"])), Arc::new(rider)];
    let batch = RecordBatch::try_new(spec.schema.clone(), columns).unwrap();
    // Only what is missing at the top is left out: in a list it would move the others.
    let extra = [("table-name", "nested"), ("sink.ignore-nulls", "true")];
    let mut writer = world
        .sink_of(spec, WriteMode::Unique, RUN_MS, &extra)
        .unwrap()
        .writer(0, Arc::new(|| {}))
        .unwrap();
    writer.write(&Rows::of_window(batch, None)).unwrap();
    writer.prepare(1).unwrap();
    let want = serde_json::json!({ "M": { "name": { "S": "Ann" }, "laps": { "L": [{ "N": "7" }, { "NULL": true }] } } });
    assert_eq!(world.server.scan("nested")[0]["rider"], want);
}

#[test]
fn a_write_that_is_forbidden_ends_the_job() {
    let world = World::new();
    let sink = world.sink(WriteMode::Versioned, RUN_MS, &[]).unwrap();
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    world.server.set_faults(Faults { deny: Some("AccessDeniedException"), ..Faults::default() });
    writer.write(&rows(&[(Some("x"), "a", 1)], Some(0))).unwrap();
    let error = message(writer.prepare(1));
    assert!(error.contains("board") && error.contains("AccessDeniedException"), "{error}");
    assert!(
        message(writer.write(&rows(&[(Some("x"), "a", 1)], Some(0))))
            .contains("AccessDeniedException")
    );
}

#[test]
fn a_table_that_does_not_fit_is_an_error_that_says_what_to_do() {
    let world = World::new();
    let writer_error = |spec: TableSpec, extra: &[(&str, &str)]| {
        message(
            world
                .sink_of(spec, WriteMode::Unique, RUN_MS, extra)
                .unwrap()
                .writer(0, Arc::new(|| {})),
        )
    };
    let both = ["race", "rider"];
    let missing = writer_error(spec(&both), &[("table-name", "nope")]);
    assert!(missing.contains("DynamoDB table 'nope': it does not exist: create it"), "{missing}");
    let too_few = writer_error(spec(&["race"]), &[]);
    assert!(too_few.contains("declare PRIMARY KEY (race, rider) NOT ENFORCED"), "{too_few}");
    world.server.create_table("numbers", ("race", "N"), None);
    let wrong_type = writer_error(spec(&["race"]), &[("table-name", "numbers")]);
    assert!(
        wrong_type.contains("has type N") && wrong_type.contains("is written as S"),
        "{wrong_type}"
    );
    let no_key = message(world.sink_of(spec(&[]), WriteMode::Unique, RUN_MS, &[]));
    assert!(no_key.contains("add PRIMARY KEY (...) NOT ENFORCED"), "{no_key}");
    assert_eq!(world.server.calls("PutItem"), 0);
}

/// What a writer stages of rows.
fn staged_of(sink: &DynamoDbSink, rows: &Rows, epoch: u64) -> Vec<u8> {
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    writer.write(rows).unwrap();
    staged_part(&mut *writer, epoch)
}

/// What a writer stages while the job goes on.
fn staged_part(writer: &mut dyn SinkWriter, epoch: u64) -> Vec<u8> {
    match writer.begin_prepare(Epoch::new(epoch), Afterwards::GoesOn).unwrap() {
        Prepared::Part { staged, rejected } if rejected.is_empty() => staged,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_slow_table_holds_no_checkpoint_up_and_gets_what_was_staged() {
    for mode in [WriteMode::Unique, WriteMode::Versioned] {
        let world = World::new();
        world.server.set_faults(Faults { throttle_every: 1, ..Faults::default() });
        let (staged, later) = {
            let sink = world.sink(mode, RUN_MS, &[]).unwrap();
            let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
            writer.write(&rows(&[(Some("r"), "a", 1), (Some("r"), "b", 2)], Some(10))).unwrap();
            let staged = staged_part(&mut *writer, 1);
            writer.write(&rows(&[(Some("r"), "c", 3)], Some(10))).unwrap();
            (staged, staged_part(&mut *writer, 1))
        };
        assert!(later.len() > staged.len(), "what is not settled is staged again");
        world.server.set_faults(Faults::default());
        assert!(world.points().is_empty());
        let sink = world.sink(mode, RUN_MS, &[]).unwrap();
        sink.resume(&[staged]).unwrap();
        sink.writer(0, Arc::new(|| {})).unwrap().prepare(2).unwrap();
        assert_eq!(
            world.points(),
            BTreeMap::from([("r/a".into(), 1), ("r/b".into(), 2)]),
            "{mode:?}"
        );
        let damaged = message(sink.resume(&[b"{".to_vec()]));
        assert!(damaged.contains("staged in the checkpoint cannot be read"), "{damaged}");
    }
}

/// What a writer stages of one row before an epoch with which it all ends.
fn last_part(writer: &mut dyn SinkWriter, afterwards: Afterwards) -> Vec<u8> {
    writer.write(&rows(&[(Some("r"), "a", 1)], Some(10))).unwrap();
    match writer.begin_prepare(Epoch::new(1), afterwards).unwrap() {
        Prepared::Part { staged, .. } if !staged.is_empty() => staged,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_ends_waits_for_the_table_and_what_stops_does_not() {
    let throttled = || Faults { throttle_every: 1, ..Faults::default() };
    for mode in [WriteMode::Unique, WriteMode::Versioned] {
        let world = World::new();
        world.server.set_faults(throttled());
        let stopped = {
            let sink = world.sink(mode, RUN_MS, &[]).unwrap();
            let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
            let staged = last_part(&mut *writer, Afterwards::Stops);
            sink.commit(std::slice::from_ref(&staged)).unwrap();
            staged
        };
        world.server.set_faults(Faults::default());
        let sink = world.sink(mode, RUN_MS, &[]).unwrap();
        sink.commit(std::slice::from_ref(&stopped)).unwrap();
        assert!(world.points().is_empty(), "its writers send it");
        sink.resume(&[stopped]).unwrap();
        sink.writer(0, Arc::new(|| {})).unwrap().prepare(2).unwrap();
        assert_eq!(world.points(), BTreeMap::from([("r/a".into(), 1)]));

        let world = World::new();
        world.server.set_faults(throttled());
        let sink = world.sink(mode, RUN_MS, &[]).unwrap();
        let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
        let last = last_part(&mut *writer, Afterwards::Ends);
        std::thread::scope(|scope| {
            let committing = scope.spawn(|| sink.commit(std::slice::from_ref(&last)));
            std::thread::sleep(Duration::from_millis(300));
            assert!(!committing.is_finished());
            world.server.set_faults(Faults::default());
            committing.join().unwrap().unwrap();
        });
        assert_eq!(world.points(), BTreeMap::from([("r/a".into(), 1)]));

        // Killed before it had arrived: whoever commits again sends it, and no writer does.
        let world = World::new();
        let again = world.sink(mode, RUN_MS, &[]).unwrap();
        again.recommit(std::slice::from_ref(&last)).unwrap();
        assert_eq!(world.points(), BTreeMap::from([("r/a".into(), 1)]));
        again.resume(&[last]).unwrap();
        let mut writer = again.writer(0, Arc::new(|| {})).unwrap();
        assert_eq!(staged_part(&mut *writer, 2), b"");
    }
}

#[test]
fn an_equal_version_is_written_again_and_what_keeps_a_row_out_is_told_apart() {
    let world = World::new();
    let sink = world.sink(WriteMode::Versioned, RUN_MS, &[]).unwrap();
    let write = |sink: &DynamoDbSink, n, window_end_ms| {
        let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
        writer.write(&rows(&[(Some("x"), "a", n)], Some(window_end_ms))).unwrap();
        writer.prepare(1).unwrap();
        (world.points()["x/a"], sink.counts())
    };
    let counts = |same, newer_window, other_run| Counts { same, newer_window, other_run };
    assert_eq!(write(&sink, 1, 1000), (1, counts(0, 0, 0)));
    assert_eq!(
        write(&sink, 2, 1000),
        (2, counts(1, 0, 0)),
        "the same window again, as after a crash"
    );
    assert_eq!(write(&sink, 3, 2000), (3, counts(1, 0, 0)));
    assert_eq!(write(&sink, 4, 1000), (3, counts(1, 1, 0)));
    let later = world.sink(WriteMode::Versioned, RUN_MS + 1, &[]).unwrap();
    assert_eq!(write(&later, 5, 1000), (5, counts(0, 0, 0)), "a later run begins anew");
    assert_eq!(write(&sink, 6, 3000), (5, counts(1, 1, 1)));
    // What this program has not written is never overwritten by a window.
    let foreign = serde_json::json!({ "race": { "S": "x" }, "rider": { "S": "a" }, "points": { "N": "7" }, "paceline_version": { "S": "z" } });
    world.server.put("board", &foreign);
    assert_eq!(write(&later, 8, 4000), (7, counts(0, 0, 1)));
}

/// Changes that put and delete.
fn update(n: i64) -> Rows {
    let values = [(Some("x"), "a", n), (Some("x"), "b", n), (Some("y"), "a", n)];
    Rows {
        ops: Some([Op::UpdateAfter, Op::UpdateAfter, Op::Delete].into_iter().collect()),
        ..rows(&values, None)
    }
}

#[test]
fn a_table_whose_key_has_changed_stops_the_job_and_no_row_is_blamed() {
    for (hash, range, key) in [
        (("race", "S"), Some(("place", "S")), "(race S, place S)"),
        (("race", "N"), Some(("rider", "S")), "(race N, rider S)"),
        (("id", "S"), None, "(id S)"),
    ] {
        for mode in [WriteMode::Unique, WriteMode::Versioned, WriteMode::InOrder] {
            let world = World::new();
            let sink = world.sink(mode, RUN_MS, &[]).unwrap();
            let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
            writer.write(&rows(&[(Some("x"), "a", 1)], Some(0))).unwrap();
            commit(&sink, &mut *writer, 1).unwrap();
            world.server.delete_table("board");
            world.server.create_table("board", hash, range);
            let rows = if mode == WriteMode::InOrder {
                update(2)
            } else {
                rows(&[(Some("x"), "a", 2), (Some("x"), "b", 2)], Some(1000))
            };
            writer.write(&rows).unwrap();
            let error = message(commit(&sink, &mut *writer, 2));
            for part in [
                "'board' has changed",
                &format!("its key is {key}"),
                "the query writes (race S, rider S)",
            ] {
                assert!(error.contains(part), "{mode:?}: {error}");
            }
            assert!(writer.take_rejected().is_empty(), "{mode:?}");
            assert!(world.server.scan("board").is_empty(), "{mode:?}");
        }
    }
}

#[test]
fn a_table_with_half_the_key_is_noticed_where_rows_meet() {
    let world = World::new();
    let sink = world.sink(WriteMode::Unique, RUN_MS, &[]).unwrap();
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    world.server.delete_table("board");
    world.server.create_table("board", ("race", "S"), None);
    writer.write(&rows(&[(Some("x"), "a", 1), (Some("x"), "b", 2)], None)).unwrap();
    let error = message(writer.prepare(1));
    assert!(error.contains("its key is (race S)"), "{error}");
}

#[test]
fn a_table_that_is_gone_stops_the_job() {
    for mode in [WriteMode::Unique, WriteMode::Versioned, WriteMode::InOrder] {
        let world = World::new();
        let sink = world.sink(mode, RUN_MS, &[]).unwrap();
        let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
        world.server.delete_table("board");
        writer.write(&update(1)).unwrap();
        let error = message(commit(&sink, &mut *writer, 1));
        assert!(
            error.contains(
                "'board' does not exist any more: create it with the key (race S, rider S)"
            ),
            "{error}"
        );
        assert!(writer.take_rejected().is_empty());
    }
}

#[test]
fn a_refusal_that_is_not_known_is_the_rows_if_the_table_is_what_it_was() {
    for mode in [WriteMode::Unique, WriteMode::Versioned, WriteMode::InOrder] {
        let world = World::new();
        let sink = world.sink(mode, RUN_MS, &[]).unwrap();
        let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
        let looked = world.server.calls("DescribeTable");
        world.server.set_faults(Faults { refuse_text: Some("odd"), ..Faults::default() });
        writer
            .write(&rows(
                &[(Some("x"), "a", 1), (Some("x"), "odd", 2), (Some("x"), "c", 3)],
                Some(0),
            ))
            .unwrap();
        let rejected = commit(&sink, &mut *writer, 1).unwrap();
        assert_eq!(
            world.points(),
            BTreeMap::from([("x/a".into(), 1), ("x/c".into(), 3)]),
            "{mode:?}"
        );
        assert!(rejected.len() == 1 && rejected[0].row.contains("odd"), "{rejected:?}");
        assert!(world.server.calls("DescribeTable") > looked);
    }
}

#[test]
fn a_row_that_cannot_be_written_takes_the_one_it_replaces_with_it() {
    let world = World::new();
    let sink = world.sink(WriteMode::InOrder, RUN_MS, &[]).unwrap();
    let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(&[(Some("x"), "a", 1), (Some("x"), "b", 1)], None)).unwrap();
    commit(&sink, &mut *writer, 1).unwrap();
    let mut bad = rows_with_speed(&[(Some("x"), "a", 2)], &[f64::NAN], None);
    bad.ops = Some([Op::UpdateAfter].into_iter().collect());
    writer.write(&bad).unwrap();
    // A row that was never there, since it has no key, leaves no trace when it is deleted.
    let ops = Some([Op::Delete, Op::Delete].into_iter().collect());
    writer.write(&Rows { ops, ..rows(&[(None, "c", 3), (Some("x"), "", 3)], None) }).unwrap();
    let rejected = commit(&sink, &mut *writer, 2).unwrap();
    assert_eq!(world.points(), BTreeMap::from([("x/b".into(), 1)]));
    assert!(rejected.len() == 1 && rejected[0].reason.contains("NaN"), "{rejected:?}");
}

/// Lets the table take writes once so many checkpoints were made, and stops the job when it has all
/// of them.
struct LiftedAfter<'a> {
    world: &'a World,
    checkpoints: u64,
    points: usize,
    stop: Arc<AtomicBool>,
}

impl Observer for LiftedAfter<'_> {
    fn progress(&mut self, _: &Stats, _: &[Arc<SharedSource>]) {
        self.stop.store(self.world.points().len() == self.points, Ordering::Release);
    }
    fn checkpoint(&mut self, _: Epoch) {
        self.checkpoints = self.checkpoints.saturating_sub(1);
        if self.checkpoints == 0 {
            self.world.server.set_faults(Faults::default());
        }
    }
}

/// A table that takes nothing holds up neither the worker, whose other results go into files, nor
/// the checkpoints. What it had not taken when the process died, which no operator knows any more,
/// it gets from the checkpoint.
#[test]
fn a_job_goes_on_beside_a_table_that_takes_nothing() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let second = |n: usize| format!("2026-01-01 00:{:02}:{:02}", n / 60, n % 60);
    let lines =
        (0..1201).map(|n| format!("{{\"rider\":\"r{}\",\"ts\":\"{}\"}}\n", n % 3, second(n)));
    std::fs::create_dir(path("rides")).unwrap();
    std::fs::write(path("rides/1.jsonl"), lines.collect::<String>()).unwrap();
    let sql = format!(
        "CREATE TABLE rides (rider STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
           WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{}', 'source.monitor-interval' = '1 h');
         CREATE TABLE board (race STRING, rider STRING, points BIGINT) PARTITIONED BY (race, rider)
           WITH ('connector' = 'dynamodb', 'table-name' = 'board', 'aws.region' = 'eu-west-1', 'aws.endpoint' = '{}',
                 'aws.credentials.provider' = 'BASIC', 'aws.credentials.basic.accesskeyid' = 'A',
                 'aws.credentials.basic.secretkey' = 'S');
         CREATE TABLE files (rider STRING) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{}');
         INSERT INTO board SELECT 'x', rider, COUNT(*) FROM TABLE(TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
           GROUP BY window_start, window_end, rider;
         INSERT INTO files SELECT rider FROM rides;",
        path("rides"),
        world.server.endpoint(),
        path("files")
    );
    world.server.set_faults(Faults { throttle_every: 1, ..Faults::default() });
    let trigger = CheckpointTrigger::Interval(Duration::from_millis(5));
    let plain = Variation { batch_rows: 50, trigger, ..Variation::plain(1) };
    let crashes =
        Arc::new(CrashAt { point: CrashPoint::AfterRename, remaining: AtomicI64::new(20) });
    let (outcome, seen) =
        attempt(&sql, &dir.path().join("state"), &Variation { crashes, ..plain.clone() });
    assert!(
        outcome.is_err() && seen.checkpoints == 19,
        "{outcome:?} after {} checkpoints",
        seen.checkpoints
    );
    assert!(world.points().is_empty());

    let mut lifted =
        LiftedAfter { world: &world, checkpoints: 10, points: 3, stop: plain.stop.clone() };
    let outcome = observe(&sql, &dir.path().join("state"), &plain, &mut lifted);
    assert_eq!(outcome.unwrap(), Outcome::Stopped);
    assert_eq!(
        world.points(),
        BTreeMap::from([("x/r0".into(), 20), ("x/r1".into(), 20), ("x/r2".into(), 20)])
    );
    let files = std::fs::read_dir(path("files"))
        .unwrap()
        .map(|f| std::fs::read_to_string(f.unwrap().path()).unwrap());
    assert_eq!(files.map(|text| text.lines().count()).sum::<usize>(), 1201);
}

/// Stops the job when it has read so many records, or has tried for some seconds.
struct StopsAt {
    records: u64,
    started: Instant,
    stop: Arc<AtomicBool>,
    /// What checkpoints were said to wait for.
    awaited: Vec<String>,
}

impl Observer for StopsAt {
    fn checkpoint_waits(&mut self, hold: Option<(Duration, &str)>) {
        self.awaited.extend(hold.map(|(_, awaited)| awaited.to_owned()));
    }
    fn progress(&mut self, stats: &Stats, _: &[Arc<SharedSource>]) {
        let is_read = stats.rows_in.load(Ordering::Relaxed) >= self.records;
        if is_read || self.started.elapsed() > Duration::from_secs(3) {
            self.stop.store(true, Ordering::Release);
        }
    }
}

/// A table that takes nothing, its buffer full or not, does not keep a job from stopping, nor from
/// stopping at its next start. What was not written is once the table takes it.
#[test]
fn a_stop_does_not_wait_for_a_table_that_takes_nothing() {
    let lines = (0..600).map(|n| {
        format!("{{\"rider\":\"r{n}\",\"ts\":\"2026-01-01 00:{:02}:{:02}\"}}\n", n / 60, n % 60)
    });
    let lines: String = lines.collect();
    let windows = "SELECT 'x', rider, COUNT(*) FROM TABLE(TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
        GROUP BY window_start, window_end, rider";
    let totals = "SELECT 'x', rider, COUNT(*) FROM rides GROUP BY rider";
    // Of windows, the last is never closed. The last job has an end, at which it waits.
    let cases = [
        (windows, true, 10_000, 540),
        (windows, true, 1, 540),
        (totals, true, 10_000, 600),
        (windows, false, 10_000, 600),
    ];
    std::thread::scope(|scope| {
        for (query, monitored, buffered, riders) in cases {
            let lines = &lines;
            scope.spawn(move || stops_in_time(lines, query, monitored, buffered, riders));
        }
    });
}

fn stops_in_time(lines: &str, query: &str, monitored: bool, buffered: u64, riders: usize) {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("rides")).unwrap();
    std::fs::write(dir.path().join("rides/1.jsonl"), lines).unwrap();
    let interval = if monitored { ", 'source.monitor-interval' = '1 h'" } else { "" };
    let sql = format!(
        "CREATE TABLE rides (rider STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
           WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{}'{interval});
         CREATE TABLE board (race STRING, rider STRING, points BIGINT) PARTITIONED BY (race, rider)
           WITH ('connector' = 'dynamodb', 'table-name' = 'board', 'aws.endpoint' = '{}',
                 'aws.credentials.basic.accesskeyid' = 'A', 'aws.credentials.basic.secretkey' = 'S',
                 'sink.requests.max-buffered' = '{buffered}');
         INSERT INTO board {query};",
        dir.path().join("rides").display(),
        world.server.endpoint()
    );
    let text = format!("{query}, watched: {monitored}, buffer: {buffered}");
    world.server.set_faults(Faults { throttle_every: 1, ..Faults::default() });
    let trigger = CheckpointTrigger::Interval(Duration::from_millis(100));
    let started = Instant::now();
    for is_asked_at_start in [false, true] {
        let plain = Variation { trigger, ..Variation::plain(2) };
        plain.stop.store(is_asked_at_start, Ordering::Release);
        // The one with an end is stopped when it waits there.
        let records = if monitored { 600 } else { u64::MAX };
        let mut stops = StopsAt { records, started, stop: plain.stop.clone(), awaited: vec![] };
        let outcome = observe(&sql, &dir.path().join("state"), &plain, &mut stops);
        assert_eq!(outcome.unwrap(), Outcome::Stopped, "{text}");
        let names_it = |awaited: &String| awaited == "table board to take what it was given";
        // What is sent at once is staged, and holds nothing up while the job goes on.
        if (query.contains("FROM rides") || !monitored) && !is_asked_at_start {
            assert!(stops.awaited.iter().any(names_it), "{text}: {:?}", stops.awaited);
        }
    }
    assert!(started.elapsed() < Duration::from_secs(30), "{text}");
    assert!(world.points().is_empty());
    world.server.set_faults(Faults::default());
    let plain = Variation { trigger, ..Variation::plain(2) };
    let mut lifted =
        LiftedAfter { world: &world, checkpoints: 1, points: riders, stop: plain.stop.clone() };
    let outcome = observe(&sql, &dir.path().join("state"), &plain, &mut lifted).unwrap();
    let ended = if monitored { Outcome::Stopped } else { Outcome::AlreadyFinished };
    assert_eq!(outcome, ended, "{text}");
    assert_eq!(world.points().len(), riders, "{text}");
}

/// What follows from the records behind an older checkpoint need not come by the way that it came
/// before: rows that were seen would stay for ever. Windows come again as they were.
#[test]
fn changes_that_were_sent_are_not_made_again_from_an_older_checkpoint() {
    for (query, is_refused) in [
        ("SELECT 'x', rider, COUNT(*) FROM rides GROUP BY rider", true),
        (
            "SELECT 'x', rider, COUNT(*) FROM TABLE(TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
               GROUP BY window_start, window_end, rider",
            false,
        ),
    ] {
        let world = World::new();
        let dir = tempfile::tempdir().unwrap();
        let lines = (0..180).map(|n| {
            format!("{{\"rider\":\"r{}\",\"ts\":\"2026-01-01 00:{:02}:{:02}\"}}\n", n % 3, n / 60, n % 60)
        });
        std::fs::create_dir(dir.path().join("rides")).unwrap();
        std::fs::write(dir.path().join("rides/1.jsonl"), lines.collect::<String>()).unwrap();
        let sql = format!(
            "CREATE TABLE rides (rider STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
               WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{}', 'source.monitor-interval' = '1 h');
             CREATE TABLE board (race STRING, rider STRING, points BIGINT) PARTITIONED BY (race, rider)
               WITH ('connector' = 'dynamodb', 'table-name' = 'board', 'aws.endpoint' = '{}',
                     'aws.credentials.basic.accesskeyid' = 'A', 'aws.credentials.basic.secretkey' = 'S');
             INSERT INTO board {query};",
            dir.path().join("rides").display(),
            world.server.endpoint()
        );
        let plain = Variation {
            batch_rows: 10,
            trigger: CheckpointTrigger::Records(30),
            ..Variation::plain(1)
        };
        let state = dir.path().join("state");
        let run = |plain: &Variation| {
            let stop = plain.stop.clone();
            let mut lifted = LiftedAfter { world: &world, checkpoints: 1, points: 3, stop };
            observe(&sql, &state, plain, &mut lifted)
        };
        assert_eq!(run(&plain).unwrap(), Outcome::Stopped);
        let epochs = std::fs::read_dir(state.join("checkpoints")).unwrap();
        let newest = epochs.map(|epoch| epoch.unwrap().path()).max().unwrap().join("manifest");
        let mut bytes = std::fs::read(&newest).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&newest, bytes).unwrap();
        plain.stop.store(false, Ordering::Release);
        match run(&plain) {
            Err(e) if is_refused => {
                assert_eq!(e.who(), Who::Stored(Again::IsInVain));
                let text = e.to_string();
                assert!(text.contains("older results") && text.contains("--fresh"), "{text}");
            }
            ended => assert_eq!((ended.unwrap(), is_refused), (Outcome::Stopped, false)),
        }
    }
}

/// Changes fill what waits for a checkpoint many times over, also in the midst of a fire, while none
/// is due: the job asks for checkpoints, and nothing waits for itself.
#[test]
fn more_changes_than_may_wait_hold_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    // Each of about 100 kB: some 80 of one writer may wait.
    let line = |n: usize| {
        let text = "v".repeat(100_000);
        format!("{{\"rider\":\"r{n}\",\"ts\":\"2026-01-01 00:00:01\",\"v\":\"{text}\"}}\n")
    };
    std::fs::write(dir.path().join("rides.jsonl"), (0..150).map(line).collect::<String>()).unwrap();
    for (number, query) in [
        "SELECT rider, TIMESTAMP '2026-01-01 00:00:00', MAX(v) FROM rides GROUP BY rider",
        "SELECT rider, TUMBLE_START(ts, INTERVAL '1' MINUTE), MAX(v) FROM rides
           GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE), rider",
    ]
    .into_iter()
    .enumerate()
    {
        for (workers, scheduling, lane_bytes_max) in [
            (1, Scheduling::Seeded(1), 1),
            (3, Scheduling::Seeded(2), 1),
            (2, Scheduling::Threads, 4 << 20),
        ] {
            let world = World::new();
            world.server.delete_table("board");
            world.server.create_table("board", ("rider", "S"), Some(("since", "S")));
            let sql = format!(
                "SET 'table.exec.emit.late-fire.enabled' = 'true';
                 SET 'table.exec.emit.late-fire.delay' = '0 s';
                 SET 'table.exec.emit.allow-lateness' = '1 min';
                 CREATE TABLE rides (rider STRING, ts TIMESTAMP(3), v STRING, WATERMARK FOR ts AS ts)
                   WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{}');
                 CREATE TABLE board (rider STRING, since TIMESTAMP(3), v STRING, PRIMARY KEY (rider, since) NOT ENFORCED)
                   WITH ('connector' = 'dynamodb', 'table-name' = 'board', 'aws.endpoint' = '{}',
                         'aws.credentials.basic.accesskeyid' = 'A', 'aws.credentials.basic.secretkey' = 'S');
                 INSERT INTO board {query};",
                dir.path().join("rides.jsonl").display(),
                world.server.endpoint(),
            );
            let variation = Variation {
                scheduling,
                lane_bytes_max,
                batch_rows: 7,
                trigger: CheckpointTrigger::AtEnd,
                ..Variation::plain(workers)
            };
            let state = dir.path().join(format!("state-{number}-{workers}"));
            let (outcome, seen) = attempt(&sql, &state, &variation);
            assert_eq!(outcome.unwrap(), Outcome::Finished, "{query}, {workers} workers");
            assert_eq!(world.server.scan("board").len(), 150, "{query}, {workers} workers");
            assert!(seen.checkpoints > 1, "{} checkpoints", seen.checkpoints);
        }
    }
}
