//! Does the whole path keep what it promises? The binary between a Kinesis and a DynamoDB server on
//! loopback: a crowd sent into four shards while the job is killed with SIGKILL at ten seeded
//! moments, one shard splits and two merge.
//!
//! The first race is disordered within the declared delay, so its board follows from what was sent.
//! The second has late rows: what counts then depends on what arrived before them in the same
//! shard, so the oracle reads the shards back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::support::dynamodb_server::{DynamoDbServer, Item};
use crate::support::kinesis_server::{Faults, KinesisServer};
use crate::support::seeds::each_seed;
use crate::support::tier::by_tier;

const STREAM: &str = "alleycat";
const BOARD: &str = "alleycat-leaderboard";
const ARN: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/alleycat";
/// A full five minutes, where a window of the queries starts.
const START_MS: i64 = 1_700_000_100_000;
/// The delay that the queries declare for their watermark.
const DELAY_MS: i64 = 5000;
const WINDOW_MS: i64 = 300_000;

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
        world.kinesis.create_stream(STREAM, 4);
        world.dynamodb.create_table(BOARD, ("raceId", "N"), Some(("rank", "N")));
        world
    }

    /// The binary, told of the servers as any AWS tool is, so that query files need no change.
    fn paceline(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
        command.args(args).current_dir(&self.dir).stdout(Stdio::null()).stderr(Stdio::piped());
        let servers = [
            ("AWS_ENDPOINT_URL_KINESIS", self.kinesis.endpoint()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.endpoint()),
        ];
        command
            .envs(servers)
            .env("AWS_ACCESS_KEY_ID", "someone")
            .env("AWS_SECRET_ACCESS_KEY", "something");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    fn simulate(&self, crowd: &[&str], to: &[&str]) -> Child {
        let start = START_MS.to_string();
        let args = ["simulate", "--start", &start];
        let args: Vec<&str> = args.iter().chain(crowd).chain(to).copied().collect();
        self.paceline(&args).spawn().unwrap()
    }

    /// Lines of the same crowd in a file.
    fn crowd_again(&self, crowd: &[&str]) -> Vec<Value> {
        finished(self.simulate(crowd, &["--out", "crowd.jsonl"]));
        let text = fs::read_to_string(self.dir.path().join("crowd.jsonl")).unwrap();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// The newest published checkpoint.
    fn epoch(&self) -> Option<u64> {
        let checkpoints = fs::read_dir(self.dir.path().join("state/checkpoints")).ok()?.flatten();
        checkpoints
            .filter(|e| e.path().join("manifest").exists())
            .filter_map(|e| e.file_name().to_str()?.parse().ok())
            .max()
    }

    /// Sends `crowd` while `query` runs, is killed ten times, while a shard splits and two merge;
    /// then lets it finish.
    fn race(&self, crowd: &[&str], query: &Path, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let sender = self.simulate(crowd, &["--speed", "10", "--stream-arn", ARN]);
        let run = |to: &str, workers: usize| {
            let workers = workers.to_string();
            let args = [
                "run",
                query.to_str().unwrap(),
                "--state-dir",
                "state",
                "--to",
                to,
                "--parallelism",
                &workers,
            ];
            let settings = ["--set", "execution.checkpointing.interval=200ms"];
            self.paceline(&[&args[..], &settings[..]].concat()).spawn().unwrap()
        };
        for attempt in 0..10 {
            let before = self.epoch();
            let mut child = run(&later(), rng.random_range(1..=3));
            // Every other time it gets as far as a checkpoint of its own.
            if attempt % 2 == 1 {
                while self.epoch() <= before {
                    assert_eq!(
                        child.try_wait().unwrap(),
                        None,
                        "ended by itself: {}",
                        stderr(child)
                    );
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            let open = self.kinesis.open_shards(STREAM);
            match attempt {
                3 => self.kinesis.split_shard(STREAM, &open[1]),
                5 => self.kinesis.merge_shards(STREAM, &open[3], &open[4]),
                _ => {}
            }
            std::thread::sleep(Duration::from_millis(rng.random_range(50..2000)));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(self.epoch() > Some(0), "no kill came after a checkpoint");
        finished(sender);
        finished(run(&later(), 2));
        let shards = self.kinesis.read_all(STREAM);
        assert_eq!(shards.len(), 7);
        assert!(
            shards.iter().all(|(_, records)| !records.is_empty()),
            "a shard without records shows nothing"
        );
    }
}

/// An end that no attempt lives to see. Each start moves that of the run further: an earlier one is
/// refused.
fn later() -> String {
    (chrono::Utc::now() + chrono::Duration::seconds(15)).to_rfc3339()
}

fn stderr(child: Child) -> String {
    String::from_utf8_lossy(&child.wait_with_output().unwrap().stderr).into_owned()
}

fn finished(child: Child) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What an event says of its rider.
#[derive(Clone)]
struct Ride {
    ts_ms: i64,
    race: i64,
    racer: i64,
    name: String,
    class: i64,
    score: f64,
}

fn ride(event: &Value) -> Ride {
    let score = (event["cadence"].as_f64().unwrap() + 35.0)
        * (event["resistance"].as_f64().unwrap() + 65.0)
        / 100.0;
    Ride {
        ts_ms: event["deviceTimestamp"].as_i64().unwrap(),
        race: event["raceId"].as_i64().unwrap(),
        racer: event["racerId"].as_i64().unwrap(),
        name: event["name"].as_str().unwrap().to_owned(),
        class: event["classId"].as_i64().unwrap(),
        score: (score * 10_000.0).round() / 10_000.0,
    }
}

/// A rider's standing in a window: rides counted, and the best of them.
#[derive(Clone)]
struct Standing {
    rides: i64,
    best: Ride,
}

/// Window end and race; then rider.
type Standings = BTreeMap<(i64, i64), BTreeMap<i64, Standing>>;

/// Takes the rides of one split, in order, into windows that end each `step_ms`; late ones only
/// into what is still open.
fn count(standings: &mut Standings, rides: &[Ride], step_ms: i64, mut watermark_ms: i64) -> i64 {
    for ride in rides {
        let start_ms = ride.ts_ms.div_euclid(WINDOW_MS) * WINDOW_MS;
        let ends = (1..=WINDOW_MS / step_ms).map(|k| start_ms + k * step_ms);
        for end_ms in ends.filter(|end_ms| ride.ts_ms < *end_ms && watermark_ms < *end_ms - 1) {
            let riders = standings.entry((end_ms, ride.race)).or_default();
            let standing = riders
                .entry(ride.racer)
                .or_insert_with(|| Standing { rides: 0, best: ride.clone() });
            standing.rides += 1;
            if ride.score > standing.best.score {
                standing.best = ride.clone();
            }
        }
        watermark_ms = watermark_ms.max(ride.ts_ms - DELAY_MS);
    }
    watermark_ms
}

/// A row of the board: race, rank; rider, name, class, score, the second it is of.
type Place = (i64, i64, i64, String, i64, f64, String);

fn second(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms).unwrap().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Every row of every board ever, in the order of time.
fn boards(standings: &Standings) -> Vec<Place> {
    let mut places = Vec::new();
    for ((end_ms, race), riders) in standings {
        let mut best: Vec<&Ride> = riders.values().map(|s| &s.best).collect();
        best.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.racer.cmp(&b.racer)));
        for (i, r) in best.into_iter().take(10).enumerate() {
            places.push((
                *race,
                i as i64 + 1,
                r.racer,
                r.name.clone(),
                r.class,
                r.score,
                second(*end_ms),
            ));
        }
    }
    places
}

fn number<T: std::str::FromStr>(item: &Item, attribute: &str) -> T {
    let text = item[attribute]["N"].as_str().unwrap();
    text.parse().unwrap_or_else(|_| panic!("{attribute} {text}"))
}

fn text(item: &Item, attribute: &str) -> String {
    let text = item[attribute]["S"].as_str().unwrap();
    text.strip_suffix(".000").unwrap_or(text).to_owned()
}

fn place(item: &Item) -> Place {
    (
        number(item, "raceId"),
        number(item, "rank"),
        number(item, "racerId"),
        text(item, "name"),
        number(item, "classId"),
        number(item, "best"),
        text(item, "as_of"),
    )
}

/// The board as it is, and each row that was ever on it.
fn assert_board(world: &World, standings: &Standings) {
    let expected = boards(standings);
    let last: BTreeMap<(i64, i64), Place> =
        expected.iter().map(|p| ((p.0, p.1), p.clone())).collect();
    let is_row = |item: &&Item| item.contains_key("best");
    let items = world.dynamodb.scan(BOARD);
    let table: BTreeMap<(i64, i64), Place> =
        items.iter().filter(is_row).map(place).map(|p| ((p.0, p.1), p)).collect();
    assert_eq!(table, last);

    let known: BTreeSet<String> = expected.iter().map(|p| format!("{p:?}")).collect();
    let mut shown: BTreeMap<(i64, i64), String> = BTreeMap::new();
    let applied: Vec<Place> = world.dynamodb.applied().iter().filter(is_row).map(place).collect();
    assert!(applied.len() > last.len(), "the board was written {} times", applied.len());
    for p in applied {
        assert!(known.contains(&format!("{p:?}")), "never right: {p:?}");
        let before = shown.insert((p.0, p.1), p.6.clone());
        assert!(before.is_none_or(|b| b <= p.6), "went back: {p:?}");
    }
}

#[test]
fn a_board_within_the_delay_follows_from_what_was_sent() {
    each_seed(1..by_tier(2, 2, 21), board_within_the_delay);
}

fn board_within_the_delay(seed: u64) {
    let world = World::new();
    let crowd = [
        "--races",
        "2",
        "--racers",
        "20",
        "--disorder-ms",
        "4900",
        "--late-fraction",
        "0",
        "--seed",
        "11",
    ];
    let query = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries/alleycat/leaderboard.sql");
    world.race(&crowd, &query, seed);
    let rides: Vec<Ride> = world.crowd_again(&crowd).iter().map(ride).collect();
    let sent: usize = world.kinesis.read_all(STREAM).iter().map(|(_, records)| records.len()).sum();
    assert_eq!(sent, rides.len());
    let mut standings = Standings::new();
    // In the order of event time no ride is late.
    let mut in_order = rides;
    in_order.sort_by_key(|r| r.ts_ms);
    count(&mut standings, &in_order, 1000, i64::MIN);
    assert_board(&world, &standings);
}

/// Three results of one stream: the board, and how many rides counted for each rider, which shows a
/// ride counted twice, in a table and in files.
const THREE_RESULTS: &str = "
CREATE TABLE race (
    deviceTimestamp BIGINT, raceId BIGINT, name STRING, racerId BIGINT, classId INT, cadence DOUBLE, resistance DOUBLE,
    ts AS TO_TIMESTAMP_LTZ(deviceTimestamp, 3),
    WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
    'connector' = 'kinesis', 'stream.arn' = 'arn:aws:kinesis:us-east-1:123456789012:stream/alleycat',
    'source.init.position' = 'TRIM_HORIZON', 'format' = 'json'
);
CREATE TABLE leaderboard (
    raceId BIGINT, `rank` BIGINT, racerId BIGINT, name STRING, classId INT, best DOUBLE, as_of TIMESTAMP(3),
    PRIMARY KEY (raceId, `rank`) NOT ENFORCED
) WITH ('connector' = 'dynamodb', 'table-name' = 'alleycat-leaderboard', 'aws.region' = 'us-east-1');
CREATE TABLE rides (
    racerId BIGINT, as_of TIMESTAMP(3), raceId BIGINT, n BIGINT, PRIMARY KEY (racerId, as_of, raceId) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'path' = 'rides', 'format' = 'json');
CREATE TABLE counted (
    racerId BIGINT, as_of TIMESTAMP(3), n BIGINT, PRIMARY KEY (racerId, as_of) NOT ENFORCED
) WITH ('connector' = 'dynamodb', 'table-name' = 'counted', 'aws.region' = 'us-east-1');
CREATE VIEW standings AS
SELECT window_start, window_end, raceId, racerId, COUNT(*) AS n, MAX(name) AS name, MAX(classId) AS classId,
    MAX(ROUND((cadence + 35) * (resistance + 65) / 100, 4)) AS best
FROM TABLE(CUMULATE(TABLE race, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '5' MINUTES))
GROUP BY window_start, window_end, raceId, racerId;
EXECUTE STATEMENT SET BEGIN
INSERT INTO leaderboard SELECT raceId, `rank`, racerId, name, classId, best, window_end FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, raceId ORDER BY best DESC, racerId) AS `rank` FROM standings)
WHERE `rank` <= 10;
INSERT INTO counted SELECT racerId, window_end, COUNT(*) FROM TABLE(CUMULATE(TABLE race, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '5' MINUTES))
GROUP BY window_start, window_end, racerId;
INSERT INTO rides SELECT racerId, window_end, raceId, n FROM standings;
END;";

#[test]
fn late_rides_count_as_their_own_shard_says() {
    each_seed(2..by_tier(3, 3, 22), late_rides);
}

fn late_rides(seed: u64) {
    let world = World::new();
    world.dynamodb.create_table("counted", ("racerId", "N"), Some(("as_of", "S")));
    let crowd = [
        "--races",
        "2",
        "--racers",
        "20",
        "--late-fraction",
        "0.05",
        "--duplicate-fraction",
        "0.05",
        "--seed",
        "12",
    ];
    let query = world.dir.path().join("late.sql");
    fs::write(&query, THREE_RESULTS).unwrap();
    world.race(&crowd, &query, seed);

    let mut standings = Standings::new();
    let mut ended: BTreeMap<String, i64> = BTreeMap::new();
    let parents = world.kinesis.parents(STREAM);
    // Shard numbers grow: parents come before their children.
    for (shard, records) in world.kinesis.read_all(STREAM) {
        let rides: Vec<Ride> =
            records.iter().map(|(_, data)| ride(&serde_json::from_slice(data).unwrap())).collect();
        let watermark_ms = parents[&shard].iter().map(|p| ended[p]).min().unwrap_or(i64::MIN);
        ended.insert(shard, count(&mut standings, &rides, 10_000, watermark_ms));
    }
    let mut without_lateness = Standings::new();
    let mut in_order: Vec<Ride> = world.crowd_again(&crowd).iter().map(ride).collect();
    in_order.sort_by_key(|r| r.ts_ms);
    count(&mut without_lateness, &in_order, 10_000, i64::MIN);
    let total =
        |all: &Standings| all.values().flat_map(BTreeMap::values).map(|s| s.rides).sum::<i64>();
    assert!(total(&standings) < total(&without_lateness), "no ride was late for any board");
    assert_board(&world, &standings);

    let riders = standings.iter().flat_map(|((end_ms, _), riders)| {
        riders.iter().map(|(racer, standing)| ((*racer, second(*end_ms)), standing.rides))
    });
    let expected: BTreeMap<(i64, String), i64> = riders.collect();
    let table = world.dynamodb.scan("counted");
    let found: BTreeMap<(i64, String), i64> =
        table.iter().map(|i| ((number(i, "racerId"), text(i, "as_of")), number(i, "n"))).collect();
    assert_eq!(found, expected);
    assert_rides(&world, &expected);

    // A job that starts when the shards have split and merged finds the same in them.
    fs::remove_dir_all(world.dir.path().join("rides")).unwrap();
    let to = chrono::Utc::now() + chrono::Duration::seconds(2);
    let args = ["run", "late.sql", "--state-dir", "second", "--to", &to.to_rfc3339()];
    finished(world.paceline(&args).spawn().unwrap());
    assert_rides(&world, &expected);
}

/// The rows of the file sink, each there once.
fn assert_rides(world: &World, expected: &BTreeMap<(i64, String), i64>) {
    let files: Vec<Value> = crate::support::job::sink_rows(&world.dir.path().join("rides"))
        .iter()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(files.len(), expected.len(), "exactly once in files");
    for row in files {
        let key = (row["racerId"].as_i64().unwrap(), row["as_of"].as_str().unwrap().to_owned());
        assert_eq!(row["n"].as_i64(), expected.get(&key).copied(), "{key:?}");
    }
}

/// What the binary says of a run that cannot start, with its exit code.
fn refusal(world: &World, env: &[(&str, &str)]) -> (i32, String) {
    let query = concat!(env!("CARGO_MANIFEST_DIR"), "/queries/alleycat/leaderboard.sql");
    let mut command =
        world.paceline(&["run", query, "--state-dir", "refused", "--to", "2026-01-01T00:00:00Z"]);
    let output = command.envs(env.iter().copied()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_is_wrong_outside_is_said_before_the_job_starts() {
    let world = World::new();
    let says = |env: &[(&str, &str)], words: &[&str]| {
        let (code, text) = refusal(&world, env);
        assert_eq!(code, 1, "{text}");
        assert!(words.iter().all(|w| text.contains(w)), "{words:?} in: {text}");
        assert!(text.lines().count() < 5, "{text}");
    };
    let empty = KinesisServer::start();
    says(
        &[("AWS_ENDPOINT_URL_KINESIS", empty.endpoint())],
        &["race", "no stream 'alleycat' in us-east-1", "stream.arn"],
    );
    empty.create_stream(STREAM, 1);
    empty.set_faults(Faults { deny: Some("UnrecognizedClientException"), ..Faults::default() });
    says(
        &[("AWS_ENDPOINT_URL_KINESIS", empty.endpoint())],
        &["credentials", "UnrecognizedClientException"],
    );
    let nothing = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
    says(&nothing, &["no credentials were found", "AWS_ACCESS_KEY_ID"]);
    let without = DynamoDbServer::start();
    says(
        &[("AWS_ENDPOINT_URL_DYNAMODB", without.endpoint())],
        &["leaderboard", "alleycat-leaderboard", "does not exist"],
    );
    without.create_table(BOARD, ("raceId", "N"), None);
    says(
        &[("AWS_ENDPOINT_URL_DYNAMODB", without.endpoint())],
        &["(raceId)", "(raceId, rank)", "PRIMARY KEY"],
    );
}
