//! Records within records of a stream, through the binary: aggregates of the Kinesis Producer
//! Library with jobs that are killed, with compressed records in them, with keys of other shards;
//! what the sink writes of that kind; and the envelopes of services.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use flate2::write::GzEncoder;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::several_in_a_record::{SINK, ids, run};
use crate::support::binary::{ended, epoch, paceline, wait_until};
use crate::support::job::sink_rows;
use crate::support::kinesis_server::KinesisServer;
use crate::support::kpl::{aggregate, opened};
use crate::support::seeds::one_seed;

type Records = Vec<(String, Vec<u8>)>;

fn source(server: &KinesisServer, columns: &str) -> String {
    format!(
        "CREATE TABLE src ({columns}) WITH ('connector'='kinesis','stream.arn'='{}','aws.region'='us-east-1','format'='json',
         'aws.endpoint'='{}','source.init.position'='TRIM_HORIZON');\n",
        server.stream_arn("rides"),
        server.endpoint()
    )
}

fn in_two_seconds() -> String {
    (chrono::Utc::now() + chrono::Duration::seconds(2)).to_rfc3339()
}

fn ride(id: usize) -> (String, Vec<u8>) {
    (format!("rider {}", id % 7), format!("{{\"id\":{id}}}").into_bytes())
}

#[test]
fn a_job_that_is_killed_goes_on_behind_whole_aggregates() {
    let seed = one_seed(11);
    let mut rng = ChaCha8Rng::seed_from_u64(seed.number);
    let server = KinesisServer::start();
    server.create_stream("rides", 2);
    let (mut records, mut expected): (Records, Vec<String>) = (vec![], vec![]);
    let mut id = 0;
    for n in 0..2000 {
        let several: Vec<_> = (id..id + rng.random_range(1..20)).map(ride).collect();
        for (sub, (key, data)) in several.iter().enumerate() {
            let id: Value = serde_json::from_slice(data).unwrap();
            expected.push(format!("{{\"id\":{},\"part\":\"{key}\",\"sub\":{sub}}}", id["id"]));
        }
        id += several.len();
        let is_plain = several.len() == 1 && n % 2 == 0;
        let data = if is_plain { several[0].1.clone() } else { aggregate(&several) };
        records.push((if is_plain { several[0].0.clone() } else { format!("outer {n}") }, data));
    }
    server.put("rides", &records);
    let dir = tempfile::tempdir().unwrap();
    let columns = "id INT, part STRING METADATA FROM 'partition-key' VIRTUAL, sub BIGINT METADATA FROM 'sub-sequence-number' VIRTUAL";
    let sql = format!(
        "SET 'paceline.checkpoint.records' = '10';
         SET 'paceline.batch.rows' = '3';
         {}CREATE TABLE res (id INT, part STRING, sub BIGINT) WITH ('connector'='filesystem','format'='json','path'='res');
         INSERT INTO res SELECT id, part, sub FROM src;",
        source(&server, columns)
    );
    fs::write(dir.path().join("q.sql"), sql).unwrap();
    let to = in_two_seconds();
    let args = ["run", "q.sql", "--state-dir", "state", "--parallelism", "2", "--to", &to];
    let mut seen = 0;
    for _ in 0..4 {
        let mut job = paceline(dir.path(), &args).spawn().unwrap();
        let enough = seen + rng.random_range(1..5);
        let newest = || epoch(&dir.path().join("state")).unwrap_or(0);
        wait_until(&mut job, "a few checkpoints", || newest() >= enough);
        job.kill().unwrap();
        job.wait().unwrap();
        seen = newest();
    }
    let (code, text) = ended(paceline(dir.path(), &args).spawn().unwrap());
    assert_eq!(code, 0, "{text}");
    let mut rows = sink_rows(&dir.path().join("res"));
    rows.sort();
    expected.sort();
    assert_eq!(rows, expected);
}

#[test]
fn compressed_records_in_aggregates_and_keys_of_other_shards() {
    let server = KinesisServer::start();
    server.create_stream("rides", 2);
    let dir = tempfile::tempdir().unwrap();
    let gzip = |data: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    let mut several: Records = (0..40).map(ride).map(|(key, data)| (key, gzip(&data))).collect();
    several[7].1 = b"no gzip".to_vec();
    server
        .put("rides", &[("outer".into(), aggregate(&several)), ("k".into(), gzip(b"{\"id\":40}"))]);
    let now = in_two_seconds();
    let bounded = ["--to", &now, "--set", "paceline.src.compression=gzip"];
    let sql = format!("{}{SINK}", source(&server, "id INT"));
    let ran = run(dir.path(), &sql, &bounded, server.endpoint());
    assert_eq!(ids(&ran.rows), (0..41).filter(|id| *id != 7).collect::<Vec<_>>());
    let place = &ran.errors[0].0;
    assert!(
        ran.errors.len() == 1
            && place.starts_with("sequence number ")
            && place.ends_with(", sub-sequence number 7"),
        "{:?}",
        ran.errors
    );
    // Seven riders, of whom some belong to the other shard.
    let told = "records in aggregates of shards to which their keys do not belong";
    assert!(ran.log.contains(told), "{}", ran.log);
    let strict = [&bounded[..], &["--set", "paceline.src.aggregation=kpl-strict"]].concat();
    let ran = run(dir.path(), &sql, &strict, server.endpoint());
    let kept = ids(&ran.rows);
    assert!(kept.len() < 40 && kept.len() > 1 && kept.contains(&40), "{kept:?}");
    let outside = format!("{} {told}", 41 - kept.len() - ran.errors.len());
    assert!(ran.log.contains(&outside), "{outside}: {}", ran.log);
    let none = [&bounded[..], &["--set", "paceline.src.aggregation=none"]].concat();
    let ran = run(dir.path(), &sql, &none, server.endpoint());
    assert_eq!(ids(&ran.rows), [40]);
    let none = ["--to", &now, "--set", "paceline.src.aggregation=none"];
    let ran = run(dir.path(), &sql, &none, server.endpoint());
    let hint = "SET 'paceline.src.aggregation' = 'kpl'";
    assert!(ran.errors.iter().any(|(.., why)| why.contains(hint)), "{:?}", ran.errors);
}

#[test]
fn records_of_a_mebibyte_and_what_becomes_twelve() {
    let server = KinesisServer::start();
    server.create_stream("rides", 1);
    let dir = tempfile::tempdir().unwrap();
    let padded = |id: usize, pad: usize| {
        (format!("k{id}"), format!("{{\"pad\":\"{}\",\"id\":{id}}}", "x".repeat(pad)).into_bytes())
    };
    let several: Records = (0..100).map(|id| padded(id, 10_000)).collect();
    server.put("rides", &[("k".into(), aggregate(&several))]);
    server.put("rides", &[padded(100, 1_000_000)]);
    // 12 MiB of text in one that is small.
    let pressed = zstd::encode_all(&padded(101, 12 << 20).1[..], 3).unwrap();
    server.put("rides", &[("k".into(), pressed)]);
    let now = in_two_seconds();
    let sql = format!("{}{SINK}", source(&server, "id INT"));
    let ran = run(dir.path(), &sql, &["--to", &now], server.endpoint());
    assert_eq!(ids(&ran.rows), (0..101).collect::<Vec<_>>());
    let hint = "SET 'paceline.src.compression' = 'zstd'";
    assert!(ran.errors[0].2.contains(hint), "{:?}", ran.errors[0].2);
    let zstd = ["--to", &now, "--set", "paceline.src.compression=zstd"];
    let ran = run(dir.path(), &sql, &zstd, server.endpoint());
    assert_eq!(ids(&ran.rows), [101]);
}

#[test]
fn the_sink_writes_aggregates_that_keep_the_order_of_keys() {
    const ROWS: usize = 4000;
    let dir = tempfile::tempdir().unwrap();
    let row = |n: usize| format!("{{\"k\":\"key {}\",\"id\":{n}}}\n", n % 20);
    fs::write(dir.path().join("in.jsonl"), (0..ROWS).map(row).collect::<String>()).unwrap();
    for (partitioned, records_max) in [("PARTITIONED BY (k)", ROWS / 4), ("", ROWS / 20)] {
        let server = KinesisServer::start();
        server.create_stream("rides", 3);
        let sql = format!(
            "SET 'paceline.out.aggregation' = 'kpl';
             CREATE TABLE src (k STRING, id INT) WITH ('connector'='filesystem','format'='json','path'='in.jsonl');
             CREATE TABLE out (k STRING, id INT) {partitioned} WITH ('connector'='kinesis','format'='json','stream.arn'='{}');
             INSERT INTO out SELECT k, id FROM src;",
            server.stream_arn("rides")
        );
        let ran = run(dir.path(), &sql, &[], server.endpoint());
        let (mut records, mut keys) = (0, BTreeMap::<String, Vec<u64>>::new());
        for (_, shard) in server.read_all("rides") {
            records += shard.len();
            for (_, record) in shard {
                assert!(record.len() <= 51_200);
                for data in opened(&record) {
                    let row: Value = serde_json::from_slice(&data).unwrap();
                    let numbers = keys.entry(row["k"].as_str().unwrap().into()).or_default();
                    numbers.push(row["id"].as_u64().unwrap());
                }
            }
        }
        assert!(records < records_max, "{records} records, {}", ran.log);
        assert_eq!(keys.values().map(Vec::len).sum::<usize>(), ROWS);
        assert!(partitioned.is_empty() || keys.values().all(|numbers| numbers.is_sorted()));
        let now = in_two_seconds();
        let sql = format!(
            "SET 'paceline.src.aggregation' = 'kpl-strict';\n{}{SINK}",
            source(&server, "id INT")
        );
        let ran = run(dir.path(), &sql, &["--to", &now], server.endpoint());
        assert_eq!(
            ids(&ran.rows),
            (0..ROWS as i64).collect::<Vec<_>>(),
            "every record is in its shard"
        );
    }
}

#[test]
fn envelopes_of_services() {
    let server = KinesisServer::start();
    server.create_stream("rides", 1);
    let dir = tempfile::tempdir().unwrap();
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let message = |kind: &str, events: &str| {
        gzip(&format!(
            "{{\"messageType\":\"{kind}\",\"owner\":\"1\",\"logGroup\":\"g\",\"logStream\":\"s\",\"subscriptionFilters\":[],\"logEvents\":[{events}]}}"
        ))
    };
    let control = message(
        "CONTROL_MESSAGE",
        "{\"id\":\"\",\"timestamp\":1,\"message\":\"CWL CONTROL MESSAGE\"}",
    );
    let data = message(
        "DATA_MESSAGE",
        "{\"id\":\"a\",\"timestamp\":1432826855000,\"message\":\"{\\\"id\\\":1}\"},{\"id\":\"b\",\"timestamp\":1432826856000,\"message\":\"START\"},\
         {\"id\":\"c\",\"timestamp\":1432826857000,\"message\":\"{\\\"id\\\":\\\"x\\\"}\"}",
    );
    server.put("rides", &[("k".into(), control), ("k".into(), data), ("k".into(), gzip("{}"))]);
    let now = in_two_seconds();
    let columns = "id INT, message STRING, at TIMESTAMP_LTZ(3) METADATA FROM 'envelope.timestamp' VIRTUAL, log STRING METADATA FROM 'envelope.logGroup' VIRTUAL,
        shard STRING METADATA FROM 'shard-id' VIRTUAL, WATERMARK FOR at AS at";
    let sql = format!(
        "SET 'paceline.src.envelope' = 'cloudwatch-logs';
         {}CREATE TABLE res (id INT, message STRING, at STRING, log STRING) WITH ('connector'='filesystem','format'='json','path'='res');
         INSERT INTO res SELECT id, message, CAST(at AS STRING), log FROM src WHERE shard = 'shardId-000000000000';",
        source(&server, columns)
    );
    let ran = run(
        dir.path(),
        &sql,
        &["--to", &now, "--set", "paceline.src.max-ahead=0"],
        server.endpoint(),
    );
    assert_eq!(
        ran.rows,
        [
            "{\"id\":1,\"message\":null,\"at\":\"2015-05-28 15:27:35.000\",\"log\":\"g\"}",
            "{\"id\":null,\"message\":\"START\",\"at\":\"2015-05-28 15:27:36.000\",\"log\":\"g\"}"
        ]
    );
    assert!(ran.log.contains("1 control messages left out"), "{}", ran.log);
    let places: Vec<bool> =
        ran.errors.iter().map(|(at, ..)| at.ends_with(", log event 2")).collect();
    assert_eq!(places.iter().filter(|is| **is).count(), 1, "{:?}", ran.errors);
    assert_eq!(ran.errors.len(), 2, "{:?}", ran.errors);
}

#[test]
fn events_changes_and_payloads_of_devices() {
    let server = KinesisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let event = "{\"version\":\"0\",\"id\":\"e1\",\"detail-type\":\"Ride\",\"time\":\"2017-12-22T18:43:48Z\",\"detail\":{\"id\":1}}";
    let change = "{\"data\":{\"id\":2},\"metadata\":{\"record-type\":\"data\",\"operation\":\"insert\",\"timestamp\":\"2020-12-15T05:47:42.724458Z\"}}";
    let created = "{\"metadata\":{\"record-type\":\"control\",\"operation\":\"create-table\"}}";
    let device = "{\"data\":\"eyJpZCI6M30=\",\"topic\":\"rides\"}";
    for (envelope, key, records, row, control, errors) in [
        ("eventbridge", "detail-type", vec![event, created], "{\"id\":1,\"of\":\"Ride\"}", 0, 1),
        ("dms", "operation", vec![created, change], "{\"id\":2,\"of\":\"insert\"}", 1, 0),
        ("iot", "topic", vec![device, "broken"], "{\"id\":3,\"of\":\"rides\"}", 0, 1),
    ] {
        server.create_stream("rides", 1);
        // Together, in an aggregate.
        let records: Records =
            records.into_iter().map(|record| ("k".into(), record.as_bytes().to_vec())).collect();
        server.put("rides", &[("k".into(), aggregate(&records))]);
        let columns = format!("id INT, of STRING METADATA FROM 'envelope.{key}' VIRTUAL");
        let sql = format!(
            "SET 'paceline.src.envelope' = '{envelope}';
             {}CREATE TABLE res (id INT, of STRING) WITH ('connector'='filesystem','format'='json','path'='res');
             INSERT INTO res SELECT id, of FROM src;",
            source(&server, &columns)
        )
        .replace("of STRING", "`of` STRING")
        .replace("id, of", "id, `of`");
        let ran = run(dir.path(), &sql, &["--to", &in_two_seconds()], server.endpoint());
        assert_eq!(ran.rows, [row], "{envelope}: {}", ran.log);
        assert_eq!(ran.errors.len(), errors, "{envelope}: {:?}", ran.errors);
        assert!(ran.errors.iter().all(|(at, ..)| at.contains(", sub-sequence number ")));
        assert_eq!(ran.log.contains("1 control messages left out"), control == 1, "{}", ran.log);
        server.delete_stream("rides");
    }
}
