//! Rows in a Kinesis stream, through the binary: partition keys, order, what is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::kinesis_server::KinesisServer;

const ROWS: usize = 3000;

/// Rows of 20 keys, each key's numbers in their order.
fn write_input(dir: &Path) {
    let row = |n: usize| format!("{{\"k\":\"key {}\",\"n\":{n}}}\n", n % 20);
    fs::write(dir.join("in.jsonl"), (0..ROWS).map(row).collect::<String>()).unwrap();
}

fn run(dir: &Path, server: &KinesisServer, declared: &str, options: &str) -> Output {
    let sql = format!(
        "CREATE TABLE src (k STRING, n INT) WITH ('connector'='filesystem','format'='json','path'='in.jsonl');
         CREATE TABLE res (k STRING, n INT) {declared} WITH ('connector'='kinesis','format'='json','stream.arn'='{}'{options});
         INSERT INTO res SELECT k, n FROM src;",
        server.stream_arn("out")
    );
    fs::write(dir.join("q.sql"), sql).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    command.args(["run", "q.sql", "--parallelism", "2"]).current_dir(dir);
    command
        .env("AWS_ENDPOINT_URL_KINESIS", server.endpoint())
        .env("AWS_ACCESS_KEY_ID", "someone")
        .env("AWS_SECRET_ACCESS_KEY", "something")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command.output().unwrap()
}

/// The numbers in each shard by their keys, as they arrived.
fn arrived(server: &KinesisServer) -> Vec<BTreeMap<String, Vec<u64>>> {
    let shards = server.read_all("out").into_iter().map(|(_, records)| {
        let mut keys: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (_, data) in records {
            let row: Value = serde_json::from_slice(&data).unwrap();
            let key = row["k"].as_str().unwrap().to_owned();
            keys.entry(key).or_default().push(row["n"].as_u64().unwrap());
        }
        keys
    });
    shards.collect()
}

#[test]
fn rows_of_a_key_go_to_one_shard_in_their_order() {
    let server = KinesisServer::start();
    server.create_stream("out", 3);
    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path());
    let done = run(dir.path(), &server, "PARTITIONED BY (k)", ",'sink.batch.max-size'='100'");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let shards = arrived(&server);
    let keys: usize = shards.iter().map(BTreeMap::len).sum();
    assert_eq!(keys, 20, "a key is in one shard");
    for (key, numbers) in shards.iter().flatten() {
        assert_eq!(numbers.len(), ROWS / 20, "{key}");
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
    }
}

#[test]
fn without_a_key_records_are_spread_or_stay_together() {
    let server = KinesisServer::start();
    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path());
    for (options, shards_used) in [("", 4..5), (",'sink.partitioner'='fixed'", 1..3)] {
        server.create_stream("out", 4);
        let done = run(dir.path(), &server, "", options);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let shards = arrived(&server);
        let rows: usize = shards.iter().flat_map(BTreeMap::values).map(Vec::len).sum();
        assert_eq!(rows, ROWS, "{options}");
        let used = shards.iter().filter(|keys| !keys.is_empty()).count();
        assert!(shards_used.contains(&used), "{options}: {used}");
        server.delete_stream("out");
    }
}

#[test]
fn a_stream_that_is_not_there_ends_the_job() {
    let server = KinesisServer::start();
    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path());
    let done = run(dir.path(), &server, "", "");
    let log = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{log}");
    assert!(log.contains("there is no stream 'out'"), "{log}");
}

/// What a query takes back and adds goes into one stream, and out of it into another query.
#[test]
fn changes_go_through_a_stream() {
    let server = KinesisServer::start();
    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path());
    for format in ["debezium-json", "canal-json", "maxwell-json"] {
        server.create_stream("out", 2);
        let stream = |name: &str, columns: &str| {
            format!(
                "CREATE TABLE {name} ({columns}, PRIMARY KEY (k) NOT ENFORCED) PARTITIONED BY (k) WITH ('connector'='kinesis','format'='{format}',
                   'stream.arn'='{}','source.init.position'='TRIM_HORIZON');",
                server.stream_arn("out")
            )
        };
        let written = format!(
            "CREATE TABLE src (k STRING, n INT) WITH ('connector'='filesystem','format'='json','path'='in.jsonl');
             {} INSERT INTO sums SELECT k, SUM(n) FROM src GROUP BY k;",
            stream("sums", "k STRING, total INT")
        );
        fs::write(dir.path().join("w.sql"), written).unwrap();
        let run = |args: &[&str]| {
            let output = crate::support::binary::paceline(dir.path(), args)
                .env("AWS_ENDPOINT_URL_KINESIS", server.endpoint())
                .env("AWS_REGION", "us-east-1")
                .stdout(std::process::Stdio::piped())
                .output()
                .unwrap();
            let log = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{format}: {log}");
            String::from_utf8(output.stdout).unwrap()
        };
        run(&["run", "w.sql", "--parallelism", "2"]);
        // A stream holds the numbers of updates by the thousand; what they lead to is 20 rows.
        let read = format!(
            "{} SELECT COUNT(*) AS keys, SUM(total) AS total FROM sums;",
            stream("sums", "k STRING, total INT")
        );
        fs::write(dir.path().join("r.sql"), read).unwrap();
        let to = (chrono::Utc::now() + chrono::Duration::seconds(2)).to_rfc3339();
        let shown = run(&["run", "r.sql", "--parallelism", "2", "--output", "json", "--to", &to]);
        let last: Value = serde_json::from_str(shown.lines().last().unwrap()).unwrap();
        let expected = (ROWS * (ROWS - 1) / 2) as u64;
        assert_eq!(
            (&last["keys"], last["total"].as_u64()),
            (&20.into(), Some(expected)),
            "{format}"
        );
        server.delete_stream("out");
    }
}
