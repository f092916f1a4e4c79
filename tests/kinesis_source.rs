//! The Kinesis source against a server that throttles, fails, lets iterators expire and changes its
//! shards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMillisecondType;
use paceline::connector::Bounds;
use paceline::connector::kinesis::KinesisWriter;
use paceline::connector::kinesis::position::{ShardPlace, ShardPosition};
use paceline::connector::kinesis::{KinesisOptions, KinesisSource};
use paceline::ids::WorkerId;
use paceline::record::Places;
use paceline::source::{
    Polled, Position, ReadAhead, Source, SourceError, SplitId, SplitReader, SplitSeed,
};
use paceline::time::Watermark;
use paceline::time::clock::{SharedClock, SystemClock};
use paceline::time::watermark::{Boundedness, SplitStatus, SplitTable};

use crate::support::kinesis_server::{Faults, KinesisServer};

const STREAM: &str = "rides";

/// A server with one stream, and a runtime for the source.
struct World {
    server: KinesisServer,
    runtime: tokio::runtime::Runtime,
    clock: SharedClock,
}

impl World {
    fn new(shards: i32) -> World {
        let server = KinesisServer::start();
        server.create_stream(STREAM, shards);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        World { server, runtime, clock: SystemClock::shared() }
    }

    fn options(&self, stream: &str, extra: &[(&str, &str)], bounds: Bounds) -> KinesisOptions {
        let arn = self.server.stream_arn(stream);
        let common = [
            ("stream.arn", arn.as_str()),
            ("aws.endpoint", self.server.endpoint()),
            ("aws.credentials.provider", "BASIC"),
            ("aws.credentials.basic.accesskeyid", "someone"),
            ("aws.credentials.basic.secretkey", "something"),
        ];
        let all: BTreeMap<String, String> =
            common.iter().chain(extra).map(|(k, v)| ((*k).into(), (*v).into())).collect();
        KinesisOptions::parse(stream, &all, bounds).unwrap()
    }

    fn source_with(&self, options: KinesisOptions, metadata: &[&str]) -> KinesisSource {
        let keys = metadata.iter().map(|k| (*k).to_owned()).collect();
        KinesisSource::new(
            STREAM,
            options,
            keys,
            self.clock.clone(),
            self.runtime.handle().clone().into(),
        )
        .unwrap()
    }

    fn source(&self, position: &str, bounds: Bounds) -> KinesisSource {
        self.source_with(self.options(STREAM, &[("source.init.position", position)], bounds), &[])
    }

    fn horizon_source(&self) -> KinesisSource {
        self.source("TRIM_HORIZON", Bounds::default())
    }

    /// Writes `count` records for each of some keys; their payload is key and number.
    fn put(&self, from: usize, count: usize) {
        let numbers = from..from + count;
        let records = numbers.flat_map(|n| {
            (0..10).map(move |key| (format!("key-{key}"), format!("key-{key}/{n:06}").into_bytes()))
        });
        self.server.put(STREAM, &records.collect::<Vec<_>>());
    }

    /// Waits for the start of a second, since the server's arrival times are whole seconds. Returns
    /// it in ms.
    fn next_second(&self) -> i64 {
        let second_ms = (self.clock.wall_ms() / 1000 + 1) * 1000;
        while self.clock.wall_ms() < second_ms {
            std::thread::sleep(Duration::from_millis(5));
        }
        second_ms
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    shard: String,
    number: String,
    data: String,
}

/// Reads a source as the runtime does, parents before children; can be stopped and go on with what
/// a checkpoint would hold.
struct Job<'a> {
    source: &'a KinesisSource,
    splits: SplitTable<Position>,
    seen: Vec<Seen>,
}

fn boundedness(source: &KinesisSource) -> Boundedness {
    if source.bounded() { Boundedness::Bounded } else { Boundedness::Unbounded }
}

impl<'a> Job<'a> {
    fn start(source: &'a KinesisSource) -> Job<'a> {
        let mut splits = SplitTable::new(boundedness(source));
        for seed in source.discover().unwrap() {
            register(&mut splits, seed);
        }
        Job { source, splits, seen: vec![] }
    }

    /// The splits as a restored job has them: what was open waits to be opened again.
    fn restored(&self) -> SplitTable<Position> {
        let mut splits = SplitTable::new(boundedness(self.source));
        for entry in self.splits.iter() {
            let status = if entry.status == SplitStatus::Finished {
                SplitStatus::Finished
            } else {
                SplitStatus::Waiting
            };
            splits.register(
                &entry.id,
                entry.parents.clone(),
                WorkerId::FIRST,
                Watermark::NONE,
                status,
                entry.data.clone(),
            );
        }
        splits
    }

    /// Reads until `stop`, or until every split has ended; readers are dropped then.
    fn run(&mut self, mut stop: impl FnMut(&[Seen], &BTreeMap<String, bool>) -> bool) {
        let (sender, woken) = channel();
        let mut readers: BTreeMap<String, Box<dyn SplitReader>> = BTreeMap::new();
        let mut caught_up: BTreeMap<String, bool> = BTreeMap::new();
        self.splits = self.restored();
        while !self.splits.all_finished() && !stop(&self.seen, &caught_up) {
            while let Some(entry) = self.splits.next_to_open(WorkerId::FIRST) {
                let sender = sender.clone();
                let wake = Arc::new(move || {
                    let _ = sender.send(());
                });
                readers.insert(
                    entry.id.to_string(),
                    self.source
                        .open(&SplitId(entry.id.clone()), &entry.data, ReadAhead::alone(wake))
                        .unwrap(),
                );
            }
            let mut ended = vec![];
            for (id, reader) in &mut readers {
                match reader.poll(7).unwrap() {
                    Polled::Records(batch) => {
                        let Places::Sequence { numbers, .. } = &batch.places else {
                            panic!("places of a shard")
                        };
                        for (i, number) in numbers.iter().enumerate() {
                            let data = String::from_utf8(batch.record(i).to_vec()).unwrap();
                            self.seen.push(Seen {
                                shard: id.clone(),
                                number: number.clone(),
                                data,
                            });
                        }
                        caught_up.insert(id.clone(), false);
                        sender.send(()).unwrap();
                    }
                    Polled::Pending { empty } => {
                        caught_up.insert(id.clone(), empty.is_some());
                    }
                    Polled::End { children } => ended.push((id.clone(), children)),
                    Polled::Found { .. } => panic!("a shard finds nothing"),
                }
                *self.splits.data_mut(id).unwrap() = reader.position();
            }
            for (id, children) in ended {
                readers.remove(&id);
                caught_up.remove(&id);
                for child in children {
                    register(&mut self.splits, child);
                }
                self.splits.finish(&id);
                sender.send(()).unwrap();
            }
            // A wake-up is all that a poll is made for; the time is for tests that wait for
            // something else.
            let _ = woken.recv_timeout(Duration::from_millis(50));
        }
    }

    /// Every record of the stream once, in the order of its shard.
    fn assert_complete(&self, server: &KinesisServer) {
        for (shard, records) in server.read_all(STREAM) {
            let expected: Vec<(String, String)> = records
                .into_iter()
                .map(|(number, data)| (number, String::from_utf8(data).unwrap()))
                .collect();
            let of_shard = self.seen.iter().filter(|s| s.shard == shard);
            assert_eq!(
                of_shard.map(|s| (s.number.clone(), s.data.clone())).collect::<Vec<_>>(),
                expected,
                "{shard}"
            );
        }
    }
}

fn register(splits: &mut SplitTable<Position>, seed: SplitSeed) {
    let parents = seed.parents.iter().map(|p| p.0.to_string()).collect();
    splits.register(
        &seed.id.0,
        parents,
        WorkerId::FIRST,
        Watermark::NONE,
        SplitStatus::Waiting,
        seed.start,
    );
}

fn names(seen: &[Seen]) -> BTreeSet<&str> {
    seen.iter().map(|s| s.data.as_str()).collect()
}

/// Stops after so many records in all.
fn after(count: usize) -> impl FnMut(&[Seen], &BTreeMap<String, bool>) -> bool {
    move |seen, _| seen.len() >= count
}

#[test]
fn all_is_read_once_through_faults_and_restarts() {
    let world = World::new(3);
    world.server.set_faults(Faults {
        throttle_every: 3,
        fail_every: 7,
        expire_every: 5,
        ..Faults::default()
    });
    world.put(0, 30);
    let source = world.horizon_source();
    let mut job = Job::start(&source);
    assert_eq!(job.splits.iter().count(), 3);
    for stop in [1, 40, 41, 200] {
        job.run(after(stop));
    }
    world.put(30, 10);
    job.run(after(400));
    assert_eq!(job.seen.len(), 400);
    job.assert_complete(&world.server);
    assert!(!source.bounded());
}

#[test]
fn splits_and_merges_are_followed_in_the_order_of_each_key() {
    let world = World::new(2);
    let source = world.horizon_source();
    let mut job = Job::start(&source);
    world.put(0, 5);
    job.run(after(20));
    let open = world.server.open_shards(STREAM);
    world.server.split_shard(STREAM, &open[0]);
    world.put(5, 5);
    job.run(after(70));
    let open = world.server.open_shards(STREAM);
    assert_eq!(open.len(), 3);
    // A child of the split with the untouched shard: its parents end at different times.
    world.server.merge_shards(STREAM, &open[1], &open[2]);
    world.put(10, 5);
    job.run(after(150));
    assert_eq!(job.seen.len(), 150);
    job.assert_complete(&world.server);
    for key in 0..10 {
        let of_key = job
            .seen
            .iter()
            .filter(|s| s.data.starts_with(&format!("key-{key}/")))
            .map(|s| s.data.as_str());
        assert!(of_key.is_sorted(), "key-{key}");
    }
    // A new run finds all shards at once and keeps the same order.
    let mut again = Job::start(&source);
    assert_eq!(again.splits.iter().count(), 5);
    again.run(after(150));
    again.assert_complete(&world.server);
    for key in 0..10 {
        let of_key = again
            .seen
            .iter()
            .filter(|s| s.data.starts_with(&format!("key-{key}/")))
            .map(|s| s.data.as_str());
        assert!(of_key.is_sorted(), "key-{key} from the start");
    }
}

#[test]
fn latest_and_a_timestamp_start_where_they_say() {
    let world = World::new(2);
    world.put(0, 3);
    let middle_ms = world.next_second();
    world.put(3, 3);
    let latest_ms = world.next_second();
    let latest = world.source("LATEST", Bounds::default());
    let mut job = Job::start(&latest);
    for known in job.splits.iter() {
        assert!(
            matches!(ShardPlace::of(&known.data).map(|p| p.at), Ok(ShardPosition::Time { arrival_ms }) if arrival_ms >= latest_ms)
        );
    }
    // Read past the old records before there is a new one.
    job.run(|_, caught_up| caught_up.len() == 2 && caught_up.values().all(|c| *c));
    assert!(job.seen.is_empty());
    world.next_second();
    world.put(6, 3);
    job.run(after(30));
    let new: BTreeSet<String> =
        (6..9).flat_map(|n| (0..10).map(move |key| format!("key-{key}/{n:06}"))).collect();
    assert_eq!(names(&job.seen), new.iter().map(String::as_str).collect());
    assert_eq!(job.seen.len(), 30);

    let at = format!("{}.000", middle_ms / 1000);
    let extra = [("source.init.position", "AT_TIMESTAMP"), ("source.init.timestamp", at.as_str())];
    let source = world.source_with(world.options(STREAM, &extra, Bounds::default()), &[]);
    let mut job = Job::start(&source);
    job.run(after(60));
    assert_eq!((job.seen.len(), names(&job.seen).len()), (60, 60));
    assert!(job.seen.iter().all(|s| &s.data[6..] >= "000003"));
}

#[test]
fn bounds_are_half_open_and_the_job_ends_by_itself() {
    let world = World::new(3);
    world.put(0, 2);
    let from_ms = world.next_second();
    world.put(2, 2);
    // The children get records too, before the upper bound.
    let open = world.server.open_shards(STREAM);
    world.server.split_shard(STREAM, &open[1]);
    world.put(4, 2);
    // This server dates the first records of a child up to a second ahead.
    world.next_second();
    let to_ms = world.next_second();
    // The other shards are empty after the bound; these all go to one.
    let late: Vec<(String, Vec<u8>)> =
        (0..5).map(|n| ("key-1".to_owned(), format!("key-1/{n:06} late").into_bytes())).collect();
    world.server.put(STREAM, &late);
    let source = world.source("LATEST", Bounds { from_ms: Some(from_ms), to_ms: Some(to_ms) });
    assert!(source.bounded());
    let mut job = Job::start(&source);
    job.run(|_, _| false);
    let expected: BTreeSet<String> =
        (2..6).flat_map(|n| (0..10).map(move |key| format!("key-{key}/{n:06}"))).collect();
    assert_eq!(names(&job.seen), expected.iter().map(String::as_str).collect());
    assert_eq!(job.seen.len(), 40);
    assert!(job.splits.all_finished());
}

#[test]
fn an_upper_bound_in_the_future_is_waited_for() {
    let world = World::new(1);
    world.put(0, 1);
    let to_ms = world.next_second() + 4000;
    let source = world.source("TRIM_HORIZON", Bounds { from_ms: None, to_ms: Some(to_ms) });
    let mut job = Job::start(&source);
    job.run(|_, caught_up| caught_up.values().any(|c| *c));
    assert!(!job.splits.all_finished());
    world.put(1, 1);
    job.run(|_, _| false);
    assert_eq!(job.seen.len(), 20);
    assert!(world.clock.wall_ms() >= to_ms);
}

#[test]
fn caught_up_is_certain_or_not_said() {
    let world = World::new(1);
    world.put(0, 1);
    let source = world.horizon_source();
    let mut job = Job::start(&source);
    job.run(|_, caught_up| caught_up.values().any(|c| *c));
    assert_eq!(job.seen.len(), 10);
    let mut was = false;
    job.run(|_, caught_up| {
        let now = caught_up.values().any(|c| *c);
        if now && !was {
            was = true;
            world.server.set_faults(Faults { throttle_every: 1, ..Faults::default() });
        }
        was && !now
    });
    assert!(was);
}

#[test]
fn a_stream_that_was_made_again_is_another_one() {
    let world = World::new(1);
    let run = world
        .horizon_source()
        .setup(None)
        .unwrap()
        .expect("the server says when the stream was made");
    let source = world.horizon_source();
    assert_eq!(source.setup(Some(&run)).unwrap(), Some(run.clone()));
    assert!(source.audit(&[]).is_empty());
    world.server.delete_stream(STREAM);
    // Not being there is no change: who cannot be asked is asked again.
    assert_eq!(world.horizon_source().setup(Some(&run)).unwrap(), Some(run.clone()));
    world.next_second();
    world.server.create_stream(STREAM, 1);
    let refused = world.horizon_source().setup(Some(&run)).unwrap_err();
    assert!(
        matches!(&refused, SourceError::Stored { reason, .. } if reason.contains("deleted and made again")),
        "{refused}"
    );
    // An audit tells what an earlier one has asked for.
    let told = std::iter::repeat_with(|| {
        std::thread::sleep(Duration::from_millis(10));
        source.audit(&[])
    });
    let told = told.take(1000).find(|told| !told.is_empty()).expect("it is noticed");
    assert!(told[0].contains("'rides' was deleted and made again"), "{told:?}");
}

#[test]
fn a_reader_says_how_far_it_is_behind() {
    let world = World::new(1);
    world.put(0, 1);
    let source = world.horizon_source();
    let seed = source.discover().unwrap().remove(0);
    let mut reader = source.open(&seed.id, &seed.start, ReadAhead::alone(Arc::new(|| {}))).unwrap();
    assert_eq!(reader.lag_ms(), None, "nobody has asked");
    while reader.lag_ms() != Some(0) || reader.bytes_read() < 120 {
        reader.poll(1000).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn shards_are_listed_page_by_page() {
    let world = World::new(7);
    world.server.set_faults(Faults { shards_per_page: 3, ..Faults::default() });
    assert_eq!(world.horizon_source().discover().unwrap().len(), 7);
    assert_eq!(world.server.calls("ListShards"), 3);
}

#[test]
fn metadata_columns_follow_the_order_asked_for() {
    let world = World::new(1);
    let before_ms = world.next_second();
    world.put(0, 1);
    let options =
        world.options(STREAM, &[("source.init.position", "TRIM_HORIZON")], Bounds::default());
    let source = world.source_with(
        options.clone(),
        &["partition-key", "timestamp", "shard-id", "sequence-number"],
    );
    let seed = source.discover().unwrap().remove(0);
    let mut reader = source.open(&seed.id, &seed.start, ReadAhead::alone(Arc::new(|| {}))).unwrap();
    let batch = loop {
        match reader.poll(100).unwrap() {
            Polled::Records(batch) => break batch,
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let Places::Sequence { numbers, .. } = &batch.places else { panic!("places of a shard") };
    let text = |column: usize| {
        batch.metadata[column]
            .as_string::<i32>()
            .iter()
            .map(|v| v.unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let keys: Vec<String> = (0..10).map(|k| format!("key-{k}")).collect();
    assert_eq!((batch.len(), text(0), &text(3)), (10, keys, numbers));
    assert!(text(2).iter().all(|id| *id == *seed.id.0));
    let times = batch.metadata[1].as_primitive::<TimestampMillisecondType>();
    assert_eq!((times.timezone(), times.null_count()), (Some("UTC"), 0));
    assert!(times.values().iter().all(|&ms| ms >= before_ms && ms <= world.clock.wall_ms()));
    let at = ShardPlace::of(&reader.position()).unwrap().at;
    let last = ShardPosition::After { sequence_number: numbers[9].clone() };
    assert_eq!((at, reader.bytes_read()), (last, 120));
    let unknown = KinesisSource::new(
        STREAM,
        options,
        vec!["shard".into()],
        world.clock.clone(),
        world.runtime.handle().clone().into(),
    );
    assert!(unknown.is_err_and(|e| e.to_string().contains("shard-id")));
}

#[test]
fn what_cannot_be_read_is_said_clearly() {
    let world = World::new(1);
    let missing = world.source_with(world.options("rids", &[], Bounds::default()), &[]);
    let text = missing.discover().unwrap_err().to_string();
    assert!(text.contains("there is no stream 'rids' in us-east-1"), "{text}");
    let source = world.horizon_source();
    let seed = source.discover().unwrap().remove(0);
    world.server.set_faults(Faults { deny: Some("AccessDeniedException"), ..Faults::default() });
    let text = source.discover().unwrap_err().to_string();
    assert!(
        text.contains("check the credentials") && text.contains("AccessDeniedException"),
        "{text}"
    );
    let mut reader = source.open(&seed.id, &seed.start, ReadAhead::alone(Arc::new(|| {}))).unwrap();
    let error = loop {
        match reader.poll(1) {
            Ok(Polled::Pending { .. }) => std::thread::sleep(Duration::from_millis(5)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, SourceError::Read { split, .. } if *split == seed.id));
    assert!(error.to_string().contains("GetShardIterator: AccessDeniedException"), "{error}");
}

#[test]
fn a_dropped_reader_makes_no_more_calls() {
    let world = World::new(1);
    let source = world.horizon_source();
    let mut job = Job::start(&source);
    job.run(|_, caught_up| caught_up.values().any(|c| *c));
    // The call that was under way may still arrive.
    std::thread::sleep(Duration::from_millis(300));
    let calls = world.server.calls("GetRecords");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(world.server.calls("GetRecords"), calls);
}

#[test]
fn a_writer_sends_only_what_failed_again() {
    let world = World::new(2);
    world.server.set_faults(Faults {
        throttle_every: 3,
        refuse_record_every: 4,
        ..Faults::default()
    });
    let options = world.options(STREAM, &[], Bounds::default());
    let writer =
        KinesisWriter::with_options(&options, world.runtime.handle().clone().into()).unwrap();
    let records: Vec<(String, Vec<u8>)> =
        (0..1200).map(|n| (format!("key-{n}"), format!("{n:04}").into_bytes())).collect();
    writer.put(records.clone()).unwrap();
    let mut written: Vec<Vec<u8>> = world
        .server
        .read_all(STREAM)
        .into_iter()
        .flat_map(|(_, r)| r)
        .map(|(_, data)| data)
        .collect();
    written.sort();
    assert_eq!(written, records.into_iter().map(|(_, data)| data).collect::<Vec<_>>());
    let large: Vec<(String, Vec<u8>)> =
        (0..12).map(|n| (n.to_string(), vec![b'x'; 1 << 19])).collect();
    writer.put(large).unwrap();
    let missing = KinesisWriter::with_options(
        &world.options("rids", &[], Bounds::default()),
        world.runtime.handle().clone().into(),
    )
    .unwrap();
    let text = missing.put(vec![("k".into(), vec![1])]).unwrap_err().to_string();
    assert!(text.contains("rids") && text.contains("ResourceNotFound"), "{text}");
    assert!(KinesisWriter::new("rides", None, world.runtime.handle().clone().into()).is_err());
}
