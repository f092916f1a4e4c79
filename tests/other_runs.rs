//! Whose rows does a table show that two runs write to?
//!
//! Two queries over the same history, by the binary on loopback servers: the first was wrong and is
//! corrected. What always holds: once the corrected one has written a row, the first never brings
//! its own back, however long it goes on; it counts those writes as `other run`, and its health is
//! red.

use std::collections::BTreeMap;
use std::fs;
use std::process::Child;

use crate::operations::signal;
use crate::support::binary::{ended, health, paceline, wait_until};
use crate::support::dynamodb_server::DynamoDbServer;
use crate::support::kinesis_server::KinesisServer;
use crate::support::real_servers::free_port;
use crate::support::table_client::TableClient;

const STREAM: &str = "rides";
const RACERS: i64 = 10;
const RIDES_PER_WINDOW: i64 = 100;

struct World {
    kinesis: KinesisServer,
    dynamodb: DynamoDbServer,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let world = World {
            kinesis: KinesisServer::start(),
            dynamodb: DynamoDbServer::start(),
            dir: tempfile::tempdir().unwrap(),
        };
        world.kinesis.create_stream(STREAM, 2);
        world.dynamodb.create_table("windows", ("racer", "N"), Some(("as_of", "S")));
        world.dynamodb.create_table("totals", ("racer", "N"), None);
        world.query("wrong.sql", "SUM(points)");
        world.query("right.sql", "SUM(points) * 2");
        world
    }

    fn query(&self, name: &str, score: &str) {
        let sink = format!(
            "'connector' = 'dynamodb', 'aws.region' = 'us-east-1', 'aws.endpoint' = '{}'",
            self.dynamodb.endpoint()
        );
        let text = format!(
            "SET 'execution.checkpointing.interval' = '100 ms';
             CREATE TABLE rides (racer BIGINT, points BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
               WITH ('connector' = 'kinesis', 'stream.arn' = '{}', 'aws.endpoint' = '{}',
                 'source.init.position' = 'TRIM_HORIZON', 'format' = 'json');
             CREATE TABLE windows (racer BIGINT, as_of TIMESTAMP(3), points BIGINT, PRIMARY KEY (racer, as_of) NOT ENFORCED)
               WITH ({sink}, 'table-name' = 'windows');
             CREATE TABLE totals (racer BIGINT, points BIGINT, PRIMARY KEY (racer) NOT ENFORCED)
               WITH ({sink}, 'table-name' = 'totals');
             EXECUTE STATEMENT SET BEGIN
             INSERT INTO windows SELECT racer, window_end, {score}
               FROM TABLE(TUMBLE(TABLE rides, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, racer;
             INSERT INTO totals SELECT racer, {score} FROM rides GROUP BY racer;
             END;",
            self.kinesis.stream_arn(STREAM),
            self.kinesis.endpoint(),
        );
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// Rides of windows `from` to `to`.
    fn put(&self, from: i64, to: i64) {
        let rides = (from * RIDES_PER_WINDOW..to * RIDES_PER_WINDOW).map(|n| {
            let (racer, at_ms) = (n % RACERS, n * 10_000 / RIDES_PER_WINDOW);
            let ts = chrono::DateTime::from_timestamp_millis(1_767_225_600_000 + at_ms).unwrap();
            let ts = ts.format("%Y-%m-%d %H:%M:%S%.3f");
            let ride = format!("{{\"racer\":{racer},\"points\":{},\"ts\":\"{ts}\"}}", points(n));
            (racer.to_string(), ride.into_bytes())
        });
        self.kinesis.put(STREAM, &rides.collect::<Vec<_>>());
    }

    fn start(&self, query: &str, state: &str, more: &[&str]) -> Child {
        let args = [&["run", query, "--state-dir", state], more].concat();
        paceline(self.dir.path(), &args).spawn().unwrap()
    }

    fn totals(&self) -> BTreeMap<i64, i64> {
        let rows = TableClient::new(self.dynamodb.endpoint()).rows("totals");
        rows.iter().map(|r| (r["racer"].parse().unwrap(), r["points"].parse().unwrap())).collect()
    }

    /// By racer and end, which sorts as time does.
    fn windows(&self) -> BTreeMap<(i64, String), i64> {
        let rows = TableClient::new(self.dynamodb.endpoint()).rows("windows");
        let row = |r: &crate::support::table_client::Row| {
            ((r["racer"].parse().unwrap(), r["as_of"].clone()), r["points"].parse().unwrap())
        };
        rows.iter().map(row).collect()
    }
}

fn points(ride: i64) -> i64 {
    ride * 37 % 91 + 1
}

fn expected_totals(windows: i64, factor: i64) -> BTreeMap<i64, i64> {
    let mut totals = BTreeMap::new();
    for n in 0..windows * RIDES_PER_WINDOW {
        *totals.entry(n % RACERS).or_default() += points(n) * factor;
    }
    totals
}

/// In the order of time: of each racer, the points of each window.
fn expected_windows(windows: i64, factor: i64) -> Vec<i64> {
    let of = |racer: i64, window: i64| {
        let rides = window * RIDES_PER_WINDOW..(window + 1) * RIDES_PER_WINDOW;
        rides.filter(|n| n % RACERS == racer).map(points).sum::<i64>() * factor
    };
    (0..RACERS).flat_map(|racer| (0..windows).map(move |w| of(racer, w))).collect()
}

#[test]
fn a_corrected_query_wins_and_the_old_job_brings_nothing_back() {
    let world = World::new();
    world.put(0, 5);
    let mut wrong = world.start("wrong.sql", "wrong", &[]);
    wait_until(&mut wrong, "the wrong totals", || world.totals() == expected_totals(5, 1));
    signal(&wrong, "TERM");
    assert_eq!(ended(wrong).0, 0);
    assert!(world.windows().len() >= 4 * RACERS as usize);

    world.put(5, 10);
    let to = (chrono::Utc::now() + chrono::Duration::seconds(2)).to_rfc3339();
    let (code, text) = ended(world.start("right.sql", "right", &["--to", &to]));
    assert_eq!(code, 0, "{text}");
    let right = (world.totals(), world.windows());
    assert_eq!(right.0, expected_totals(10, 2));
    assert_eq!(right.1.values().copied().collect::<Vec<_>>(), expected_windows(10, 2));

    let address = format!("127.0.0.1:{}", free_port());
    let mut wrong = world.start("wrong.sql", "wrong", &["--listen", &address]);
    let mut last = serde_json::Value::Null;
    let lost = |report: &serde_json::Value, table: &str| {
        let sinks = report["sinks"].as_array().cloned().unwrap_or_default();
        let of = sinks.iter().find(|s| s["table"] == table);
        of.map_or(0, |s| s["other_run"].as_u64().unwrap())
    };
    // All of the history is behind it when the newest window that can close has been refused.
    wait_until(&mut wrong, "writes that give way", || {
        last = health(&address).unwrap_or_default();
        lost(&last, "totals") >= RACERS as u64 && lost(&last, "windows") >= 4 * RACERS as u64
    });
    assert_eq!(last["status"], "red", "{last}");
    let causes = last["causes"].to_string();
    for part in ["behind run", "table 'totals'", "table 'windows'", "a run that began later"] {
        assert!(causes.contains(part), "{part}: {last}");
    }
    assert_eq!((world.totals(), world.windows()), right);
    // Not by a SIGTERM either, behind which everything that waits is written.
    signal(&wrong, "TERM");
    let (code, text) = ended(wrong);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("other_run"), "{text}");
    assert_eq!((world.totals(), world.windows()), right);
}
