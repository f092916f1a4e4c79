//! What does a job do while its table takes nothing, for longer than any client waits?
//!
//! The binary between a Kinesis stream that keeps filling and a table that throttles every write:
//! SIGTERM stops the job within seconds, and once the table takes writes again a resumed job brings
//! it all that it should have: what was staged before the stop, and what came after it. Checkpoints
//! go on all the while, be it windows, which are written at once, or running sums, which are written
//! after the manifest of their checkpoint, of each racer the newest.

use std::collections::BTreeMap;
use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::operations::signal;
use crate::support::binary::{ended, epoch, paceline, wait_until};
use crate::support::dynamodb_server::{DynamoDbServer, Faults};
use crate::support::kinesis_server::KinesisServer;
use crate::support::table_client::TableClient;
use crate::support::tier::by_tier;

const STREAM: &str = "rides";
const TABLE: &str = "board";
const RACERS: usize = 20;
/// Rides of one put: one second of event time.
const RIDES: usize = 50;
/// A window's length in puts.
const WINDOW: usize = 10;
/// No checkpoint takes longer, however busy the machine.
const CHECKPOINT_MAX: Duration = Duration::from_secs(15);
const STOP_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Results {
    Windows,
    Sums,
}

struct World {
    results: Results,
    kinesis: KinesisServer,
    dynamodb: DynamoDbServer,
    dir: tempfile::TempDir,
    /// Puts so far.
    seconds: usize,
}

impl World {
    fn new(results: Results) -> World {
        let world = World {
            results,
            kinesis: KinesisServer::start(),
            dynamodb: DynamoDbServer::start(),
            dir: tempfile::tempdir().unwrap(),
            seconds: 0,
        };
        world.kinesis.create_stream(STREAM, 2);
        let (columns, key, select) = match results {
            Results::Windows => {
                world.dynamodb.create_table(TABLE, ("racer", "S"), Some(("as_of", "S")));
                let select = format!(
                    "SELECT racer, window_end, COUNT(*)
                       FROM TABLE(TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '{WINDOW}' SECOND)) GROUP BY window_start, window_end, racer"
                );
                ("racer STRING, as_of TIMESTAMP(3), n BIGINT", "racer, as_of", select)
            }
            Results::Sums => {
                world.dynamodb.create_table(TABLE, ("racer", "S"), None);
                let select = "SELECT racer, COUNT(*) FROM rides GROUP BY racer".to_owned();
                ("racer STRING, n BIGINT", "racer", select)
            }
        };
        let query = format!(
            "SET 'execution.checkpointing.interval' = '200 ms';
             CREATE TABLE rides (racer STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
               WITH ('connector' = 'kinesis', 'stream.arn' = '{}', 'aws.endpoint' = '{}',
                 'source.init.position' = 'TRIM_HORIZON', 'format' = 'json');
             CREATE TABLE board ({columns}, PRIMARY KEY ({key}) NOT ENFORCED)
               WITH ('connector' = 'dynamodb', 'aws.region' = 'us-east-1', 'aws.endpoint' = '{}', 'table-name' = '{TABLE}');
             INSERT INTO board {select};",
            world.kinesis.stream_arn(STREAM),
            world.kinesis.endpoint(),
            world.dynamodb.endpoint(),
        );
        fs::write(world.dir.path().join("q.sql"), query).unwrap();
        world
    }

    fn start(&self) -> Child {
        paceline(self.dir.path(), &["run", "q.sql", "--state-dir", "state"]).spawn().unwrap()
    }

    fn epoch(&self) -> Option<u64> {
        epoch(&self.dir.path().join("state"))
    }

    fn put(&mut self) {
        let (minute, second) = (self.seconds / 60, self.seconds % 60);
        let ride = |n: usize| {
            let racer = format!("r{}", (self.seconds * 7 + n) % RACERS);
            let ride = format!(
                "{{\"racer\":\"{racer}\",\"ts\":\"2026-01-01 {:02}:{:02}:{second:02}\"}}",
                minute / 60,
                minute % 60
            );
            (racer, ride.into_bytes())
        };
        self.kinesis.put(STREAM, &(0..RIDES).map(ride).collect::<Vec<_>>());
        self.seconds += 1;
    }

    /// What the table should have by now, as rides of each racer in all windows that have closed.
    fn expected(&self) -> BTreeMap<String, usize> {
        let seconds = match self.results {
            // The newest ride is of the second before, and five more are waited for.
            Results::Windows => self.seconds.saturating_sub(6) / WINDOW * WINDOW,
            Results::Sums => self.seconds,
        };
        let mut rides = BTreeMap::new();
        for ride in (0..seconds).flat_map(|s| (0..RIDES).map(move |n| s * 7 + n)) {
            *rides.entry(format!("r{}", ride % RACERS)).or_default() += 1;
        }
        rides
    }

    fn found(&self) -> BTreeMap<String, usize> {
        let mut rides = BTreeMap::new();
        for row in TableClient::new(self.dynamodb.endpoint()).rows(TABLE) {
            *rides.entry(row["racer"].clone()).or_default() += row["n"].parse::<usize>().unwrap();
        }
        rides
    }
}

#[test]
fn windows_wait_beside_checkpoints_a_stop_takes_seconds_and_nothing_is_missing() {
    throttled(Results::Windows);
}

#[test]
fn of_sums_that_wait_a_stop_takes_seconds_and_nothing_is_missing() {
    throttled(Results::Sums);
}

fn throttled(results: Results) {
    let mut world = World::new(results);
    let mut job = world.start();
    (0..2 * WINDOW).for_each(|_| world.put());
    wait_until(&mut job, "the first results", || world.found() == world.expected());

    world.dynamodb.set_faults(Faults { throttle_every: 1, ..Faults::default() });
    let before = world.found();
    let throttled = Duration::from_secs(by_tier(8, 30, 300));
    let since = Instant::now();
    let mut newest = (world.epoch(), Instant::now());
    let mut checkpoints = 0;
    while since.elapsed() < throttled {
        world.put();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(job.try_wait().unwrap(), None, "it ended by itself");
        if world.epoch() > newest.0 {
            newest = (world.epoch(), Instant::now());
            checkpoints += 1;
        }
        let is_late = newest.1.elapsed() > CHECKPOINT_MAX;
        assert!(!is_late, "no checkpoint after {:?}", newest.0);
    }
    assert!(checkpoints > 5, "{checkpoints} in {throttled:?}");
    assert_eq!(world.found(), before, "the table took something");

    let asked = Instant::now();
    signal(&job, "TERM");
    while job.try_wait().unwrap().is_none() {
        if asked.elapsed() > STOP_MAX {
            job.kill().unwrap();
            panic!("SIGTERM did not stop it within {STOP_MAX:?}: {}", ended(job).1);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let (code, text) = ended(job);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("stopped; start again"), "{text}");
    assert_eq!(world.found(), before, "the table took something");

    world.dynamodb.set_faults(Faults::default());
    let mut job = world.start();
    (0..2 * WINDOW).for_each(|_| world.put());
    wait_until(&mut job, "all results", || world.found() == world.expected());
    signal(&job, "TERM");
    let (code, text) = ended(job);
    assert_eq!(code, 0, "{text}");
}
