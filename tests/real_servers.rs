//! Does the whole path keep what it promises on servers that others have written, while boto3
//! writes?
//!
//! On each of two Kinesis servers, whose gaps do not overlap: a producer writes all the time, shards
//! split, merge and are scaled, and the binary is killed with SIGKILL at random instants. One job
//! writes into two DynamoDB servers at once, dynoxide and AWS's own, and in each the rows must be
//! those that follow from what the producer says it sent: windows, running sums of which some come
//! and go, and a Top-N over them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::binary::{epoch, paceline};
use crate::support::dynamodb_server::DynamoDbServer;
use crate::support::kinesis_server::KinesisServer;
use crate::support::producer::{Producer, Ride};
use crate::support::real_servers::{RealServer, installed};
use crate::support::seeds::each_seed;
use crate::support::stream_client::StreamClient;
use crate::support::table_client::{Row, TableClient};
use crate::support::tier::by_tier;

const STREAM: &str = "alleycat";
const WINDOW_MS: i64 = 10_000;
const PODIUM: usize = 3;
const KILLS: usize = 10;

/// What somebody does to the stream meanwhile.
#[derive(Debug, Clone, Copy)]
enum Reshard {
    Split,
    Merge,
    Scale(i32),
}

#[test]
fn on_ferrokinesis() {
    let Some(servers) = installed("real_servers::on_ferrokinesis") else { return };
    each_seed(1..by_tier(2, 2, 11), |seed| {
        let kinesis = KinesisServer::start();
        // After UpdateShardCount it names no parents, and nobody could say which shard comes after
        // which: splits and merges alone.
        let reshards = [Reshard::Split, Reshard::Merge, Reshard::Split, Reshard::Split];
        race(&servers, kinesis.endpoint(), &reshards, 400, seed);
    });
}

#[test]
fn on_kinesis_local() {
    let Some(servers) = installed("real_servers::on_kinesis_local") else { return };
    each_seed(1..by_tier(2, 2, 11), |seed| {
        let logs = tempfile::tempdir().unwrap();
        let kinesis = RealServer::kinesis_local(&servers, logs.path());
        let reshards = [Reshard::Split, Reshard::Scale(4), Reshard::Merge, Reshard::Scale(2)];
        // It takes a few hundred records a second, no more.
        race(&servers, kinesis.endpoint(), &reshards, 100, seed);
    });
}

fn race(servers: &Path, kinesis: &str, reshards: &[Reshard], rides_per_second: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let aws = RealServer::dynamodb_local(servers, dir.path());
    let dynoxide = DynamoDbServer::start();
    let tables = [("aws", aws.endpoint()), ("dynoxide", dynoxide.endpoint())];
    for (_, endpoint) in tables {
        let client = TableClient::new(endpoint);
        client.create_table("windows", &[("racerId", "N"), ("as_of", "S")]);
        client.create_table("totals", &[("racerId", "N")]);
        client.create_table("podium", &[("raceId", "N"), ("rank", "N")]);
    }
    fs::write(dir.path().join("q.sql"), query(kinesis, &tables)).unwrap();
    let state = dir.path().join("state");
    let stream = StreamClient::new(kinesis);
    stream.create_stream(STREAM, 2);

    let mut producer =
        Producer::start(servers, kinesis, STREAM, dir.path(), seed, rides_per_second);
    for kill in 0..KILLS {
        let before = epoch(&state);
        let mut child = run(dir.path(), rng.random_range(1..=3));
        // Every other time it gets as far as a checkpoint of its own.
        while kill % 2 == 1 && epoch(&state) <= before {
            let ended = child.try_wait().unwrap();
            assert_eq!(ended, None, "it ended by itself: {}", told(dir.path()));
            std::thread::sleep(Duration::from_millis(5));
        }
        if let Some(reshard) = reshards.get(kill) {
            carry_out(&stream, *reshard);
        }
        std::thread::sleep(Duration::from_millis(rng.random_range(20..1500)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(producer.is_writing(), "the producer has given up");
    }
    assert!(epoch(&state) > Some(0), "no kill came after a checkpoint");

    let sent = producer.stop();
    assert!(sent.len() > 500, "{} rides show little", sent.len());
    let mut last = run(dir.path(), 2);
    assert!(last.wait().unwrap().success(), "{}", told(dir.path()));
    let expected = Expected::of(&sent);
    for (name, endpoint) in tables {
        let client = TableClient::new(endpoint);
        let rows = |table, columns: &[&str]| sorted(&client.rows(table), columns);
        assert_eq!(
            rows("windows", &["racerId", "as_of", "n", "points"]),
            expected.windows,
            "windows in {name}"
        );
        assert_eq!(
            rows("totals", &["racerId", "n", "points"]),
            expected.totals,
            "totals in {name}"
        );
        assert_eq!(
            rows("podium", &["raceId", "rank", "racerId", "points"]),
            expected.podium,
            "podium in {name}"
        );
    }
}

fn carry_out(stream: &StreamClient, reshard: Reshard) {
    let open = stream.open_shards(STREAM);
    match reshard {
        Reshard::Split => stream.split_shard(STREAM, &open[open.len() / 2]),
        Reshard::Merge => stream.merge_shards(STREAM, &open[0], &open[1]),
        Reshard::Scale(shards) => stream.update_shard_count(STREAM, shards),
    }
}

/// The job of both kinds of results, into tables of the same names on each server.
fn query(kinesis: &str, tables: &[(&str, &str)]) -> String {
    let sinks = tables.iter().map(|(name, endpoint)| {
        let at = format!("'connector' = 'dynamodb', 'aws.region' = 'us-east-1', 'aws.endpoint' = '{endpoint}'");
        format!(
            "CREATE TABLE windows_{name} (racerId BIGINT, as_of TIMESTAMP(3), n BIGINT, points BIGINT, PRIMARY KEY (racerId, as_of) NOT ENFORCED)
               WITH ({at}, 'table-name' = 'windows');
             CREATE TABLE totals_{name} (racerId BIGINT, n BIGINT, points BIGINT, PRIMARY KEY (racerId) NOT ENFORCED)
               WITH ({at}, 'table-name' = 'totals');
             CREATE TABLE podium_{name} (raceId BIGINT, `rank` BIGINT, racerId BIGINT, points BIGINT, PRIMARY KEY (raceId, `rank`) NOT ENFORCED)
               WITH ({at}, 'table-name' = 'podium');\n"
        )
    });
    let inserts = tables.iter().map(|(name, _)| {
        format!(
            "INSERT INTO windows_{name} SELECT racerId, window_end, COUNT(*), SUM(points)
               FROM TABLE(TUMBLE(TABLE race, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, racerId;
             INSERT INTO totals_{name} SELECT racerId, COUNT(*), SUM(points) FROM race GROUP BY racerId HAVING MOD(COUNT(*), 2) = 0;
             INSERT INTO podium_{name} SELECT raceId, `rank`, racerId, points FROM (
               SELECT *, ROW_NUMBER() OVER (PARTITION BY raceId ORDER BY points DESC, racerId) AS `rank` FROM (
                 SELECT raceId, racerId, SUM(points) AS points FROM race GROUP BY raceId, racerId)) WHERE `rank` <= {PODIUM};\n"
        )
    });
    format!(
        "CREATE TABLE race (racerId BIGINT, raceId BIGINT, points BIGINT, deviceTimestamp BIGINT,
           ts AS TO_TIMESTAMP_LTZ(deviceTimestamp, 3), WATERMARK FOR ts AS ts - INTERVAL '10' SECOND)
         WITH ('connector' = 'kinesis', 'stream.arn' = 'arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}',
           'aws.endpoint' = '{kinesis}', 'source.init.position' = 'TRIM_HORIZON', 'format' = 'json');
         {}EXECUTE STATEMENT SET BEGIN\n{}END;",
        sinks.collect::<String>(),
        inserts.collect::<String>()
    )
}

/// A run until a time that no attempt lives to see but the last. Each moves the end of the run
/// further: an earlier one is refused.
fn run(dir: &Path, workers: usize) -> Child {
    let to = (chrono::Utc::now() + chrono::Duration::seconds(30)).to_rfc3339();
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("log")).unwrap();
    let workers = workers.to_string();
    let args = ["run", "q.sql", "--state-dir", "state", "--to", &to, "--parallelism", &workers];
    let settings = ["--set", "execution.checkpointing.interval=200ms"];
    paceline(dir, &[&args[..], &settings[..]].concat()).stderr(log).spawn().unwrap()
}

/// What all attempts have said.
fn told(dir: &Path) -> String {
    fs::read_to_string(dir.join("log")).unwrap_or_default()
}

/// Rows as text, sorted.
struct Expected {
    windows: Vec<String>,
    totals: Vec<String>,
    podium: Vec<String>,
}

impl Expected {
    fn of(sent: &[Ride]) -> Expected {
        let mut windows = BTreeMap::<(i64, i64), (i64, i64)>::new();
        let mut totals = BTreeMap::<(i64, i64), (i64, i64)>::new();
        let add = |(n, points): &mut (i64, i64), ride: &Ride| {
            *n += 1;
            *points += ride.points;
        };
        for ride in sent {
            let end_ms = (ride.device_timestamp.div_euclid(WINDOW_MS) + 1) * WINDOW_MS;
            add(windows.entry((ride.racer_id, end_ms)).or_default(), ride);
            add(totals.entry((ride.race_id, ride.racer_id)).or_default(), ride);
        }
        let mut races = BTreeMap::<i64, Vec<(i64, i64)>>::new();
        for ((race, racer), (_, points)) in &totals {
            races.entry(*race).or_default().push((-points, *racer));
        }
        let mut podium = Vec::new();
        for (race, mut racers) in races {
            racers.sort_unstable();
            for (i, (points, racer)) in racers.into_iter().take(PODIUM).enumerate() {
                podium.push(format!("{race} {} {racer} {}", i + 1, -points));
            }
        }
        let windows = windows.into_iter().map(|((racer, end_ms), (n, points))| {
            let end = chrono::DateTime::from_timestamp_millis(end_ms).unwrap();
            format!("{racer} {} {n} {points}", end.format("%Y-%m-%d %H:%M:%S"))
        });
        let even = totals.into_iter().filter(|(_, (n, _))| n % 2 == 0);
        let totals = even.map(|((_, racer), (n, points))| format!("{racer} {n} {points}"));
        let mut all = Expected { windows: windows.collect(), totals: totals.collect(), podium };
        [&mut all.windows, &mut all.totals, &mut all.podium].into_iter().for_each(|v| v.sort());
        all
    }
}

fn sorted(rows: &[Row], columns: &[&str]) -> Vec<String> {
    let line = |row: &Row| columns.iter().map(|c| row[*c].clone()).collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.sort();
    lines
}
