//! Records that hold more than one event, from a Kinesis stream and from files, through the binary:
//! what is read, what is kept, what is counted.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::support::kinesis_server::KinesisServer;

/// The rows of a query's sink `res`, sorted; the error stream as position and raw text; the log.
pub struct Ran {
    pub rows: Vec<String>,
    pub errors: Vec<(String, String, String)>,
    pub log: String,
}

fn lines(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let text: String = files.map(|f| fs::read_to_string(f.path()).unwrap()).collect();
    text.lines().map(str::to_owned).collect()
}

pub fn run(dir: &Path, sql: &str, args: &[&str], endpoint: &str) -> Ran {
    fs::write(dir.join("q.sql"), sql).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    command
        .args(["run", "q.sql", "--state-dir", "state", "--parallelism", "2"])
        .args(args)
        .current_dir(dir);
    command
        .env("AWS_ENDPOINT_URL_KINESIS", endpoint)
        .env("AWS_ACCESS_KEY_ID", "someone")
        .env("AWS_SECRET_ACCESS_KEY", "something");
    for left in ["res", "state"] {
        let _ = fs::remove_dir_all(dir.join(left));
    }
    let output = command.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    let mut rows = lines(&dir.join("res"));
    rows.sort();
    let error = |line: &String| {
        let error: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        (text("position"), text("raw"), text("reason"))
    };
    let mut errors: Vec<_> = lines(&dir.join("state/errors")).iter().map(error).collect();
    errors.sort();
    Ran { rows, errors, log }
}

pub const SINK: &str =
    "CREATE TABLE res (id INT) WITH ('connector'='filesystem','format'='json','path'='res');
INSERT INTO res SELECT id FROM src;";

pub fn ids(rows: &[String]) -> Vec<i64> {
    let mut ids: Vec<i64> = rows
        .iter()
        .map(|r| serde_json::from_str::<Value>(r).unwrap()["id"].as_i64().unwrap_or(-1))
        .collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_stream_of_batched_records() {
    let server = KinesisServer::start();
    server.create_stream("rides", 2);
    let dir = tempfile::tempdir().unwrap();
    let gzip = [&[0x1f, 0x8b, 8, 0][..], b"compressed"].concat();
    let records = [
        b"{\"id\":1}\n".to_vec(),
        b"{\"id\":2}\n{\"id\":3}".to_vec(),
        b"[{\"id\":4},{\"id\":\"x\"},{\"id\":6}]".to_vec(),
        b"{\"id\":7}{\"id\":8}\nbroken\n{\"id\":9}\n".to_vec(),
        gzip,
    ];
    let records: Vec<(String, Vec<u8>)> =
        records.into_iter().enumerate().map(|(i, r)| (format!("k{i}"), r)).collect();
    server.put("rides", &records);
    let arn = server.stream_arn("rides");
    let source = |extra: &str| {
        format!(
            "CREATE TABLE src (id INT) WITH ('connector'='kinesis','stream.arn'='{arn}','aws.region'='us-east-1','format'='json',
             'source.init.position'='TRIM_HORIZON'{extra});\n{SINK}"
        )
    };
    let to = ["--to", "2100-01-01T00:00:00Z", "--set", "paceline.src.records=many"];
    let now = (chrono::Utc::now() + chrono::Duration::seconds(2)).to_rfc3339();
    let bounded = ["--to", &now];
    let many = [&bounded[..], &to[2..]].concat();

    let one = run(dir.path(), &source(""), &bounded, server.endpoint());
    assert_eq!(ids(&one.rows), [1, 2, 4, 6, 7]);
    let kept: Vec<bool> =
        one.errors.iter().map(|(position, ..)| position.contains(", part 2")).collect();
    assert_eq!(kept.iter().filter(|k| **k).count(), 3, "{:?}", one.errors);
    assert_eq!(one.errors.len(), 4, "{:?}", one.errors);
    let hint = "SET 'paceline.src.compression' = 'gzip'";
    assert!(
        one.errors.iter().any(|(.., why)| why.contains("looks like gzip") && why.contains(hint)),
        "{:?}",
        one.errors
    );
    assert!(
        one.errors
            .iter()
            .any(|(.., reason)| reason.contains("SET 'paceline.src.records' = 'many'")),
        "{:?}",
        one.errors
    );
    assert!(one.log.contains("4 in the error stream"), "{}", one.log);

    let all = run(dir.path(), &source(""), &many, server.endpoint());
    assert_eq!(ids(&all.rows), [1, 2, 3, 4, 6, 7, 8, 9]);
    assert_eq!(all.errors.len(), 3, "{:?}", all.errors);
    assert!(
        all.errors.iter().any(|(position, ..)| position.starts_with("sequence number")
            && position.ends_with(", part 3"))
    );

    // What is ignored is counted, and what follows a first value is kept all the same.
    let ignoring = ",'json.ignore-parse-errors'='true'";
    let one = run(dir.path(), &source(ignoring), &bounded, server.endpoint());
    assert_eq!(ids(&one.rows), [-1, 1, 2, 4, 6, 7]);
    assert_eq!(one.errors.len(), 2, "{:?}", one.errors);
    assert!(
        one.log.contains("1 records skipped by ignore-parse-errors, 1 fields NULL"),
        "{}",
        one.log
    );
    let all = run(dir.path(), &source(ignoring), &many, server.endpoint());
    assert_eq!(ids(&all.rows), [-1, 1, 2, 3, 4, 6, 7, 8, 9]);
    assert_eq!(all.errors, []);
    assert!(
        all.log.contains("2 records skipped by ignore-parse-errors, 1 fields NULL"),
        "{}",
        all.log
    );
}

#[test]
fn a_stream_of_compressed_records() {
    let zipped = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let server = KinesisServer::start();
    server.create_stream("rides", 2);
    let dir = tempfile::tempdir().unwrap();
    // More than are opened at a time, one that is not compressed, one that is cut off, one with
    // something broken inside.
    let mut records: Vec<Vec<u8>> = (0..100)
        .map(|id| zipped(&format!("{{\"id\":{id}}}\n{{\"id\":{}}}\n", id + 1000)))
        .collect();
    records.push(b"{\"id\":-1}".to_vec());
    records.push(zipped("{\"id\":-2}")[..15].to_vec());
    records.push(zipped("{\"id\":2000}\nbroken\n"));
    let records: Vec<(String, Vec<u8>)> =
        records.into_iter().enumerate().map(|(i, r)| (format!("k{i}"), r)).collect();
    server.put("rides", &records);
    let sql = format!(
        "SET 'paceline.src.compression' = 'gzip';
         CREATE TABLE src (id INT, part STRING METADATA FROM 'partition-key' VIRTUAL) WITH ('connector'='kinesis',
             'stream.arn'='{}','aws.region'='us-east-1','format'='json','source.init.position'='TRIM_HORIZON');
         CREATE TABLE res (id INT, part STRING) WITH ('connector'='filesystem','format'='json','path'='res');
         INSERT INTO res SELECT id, part FROM src;",
        server.stream_arn("rides")
    );
    let now = (chrono::Utc::now() + chrono::Duration::seconds(2)).to_rfc3339();
    let ran = run(
        dir.path(),
        &sql,
        &["--to", &now, "--set", "paceline.src.records=many"],
        server.endpoint(),
    );
    let expected: Vec<i64> = (0..100).chain(1000..1100).chain([2000]).collect();
    assert_eq!(ids(&ran.rows), expected);
    assert!(
        ran.rows.contains(&"{\"id\":1042,\"part\":\"k42\"}".to_string()),
        "the key of the record: {:?}",
        ran.rows
    );
    let kept: Vec<(bool, bool)> = ran
        .errors
        .iter()
        .map(|(at, _, why)| (at.starts_with("sequence number"), why.contains("no whole gzip file")))
        .collect();
    assert_eq!(
        kept.iter().filter(|(placed, unopened)| *placed && *unopened).count(),
        2,
        "{:?}",
        ran.errors
    );
    let raw: Vec<&str> = ran.errors.iter().map(|(_, raw, _)| raw.as_str()).collect();
    // In base64: the record as it was, and of one that could be opened what was in it.
    assert!(
        ran.errors.len() == 3 && raw.contains(&"eyJpZCI6LTF9") && raw.contains(&"YnJva2Vu"),
        "{:?}",
        ran.errors
    );
}

#[test]
fn files_and_their_rows_that_a_column_refuses() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("in.jsonl"),
        "{\"k\":\"1\"}{\"k\":\"x\"}{\"k\":\"3\"}\n[{\"k\":\"4\"},{\"k\":\"y\"}]\n",
    )
    .unwrap();
    let source = "CREATE TABLE src (k STRING, id AS CAST(k AS INT))
                  WITH ('connector'='filesystem','format'='json','path'='in.jsonl');\n";
    let many =
        run(dir.path(), &format!("SET 'paceline.src.records' = 'many';\n{source}{SINK}"), &[], "");
    assert_eq!(ids(&many.rows), [1, 3, 4]);
    let places: Vec<(&str, bool)> =
        many.errors.iter().map(|(at, _, why)| (at.as_str(), why.contains("cannot cast"))).collect();
    assert_eq!(places, [("line 1, part 2", true), ("line 2, part 2", true)], "{:?}", many.errors);
}

#[test]
fn the_setting_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |sql: &str| {
        fs::write(dir.path().join("q.sql"), format!("{sql}\n{SINK}")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_paceline"))
            .args(["check", "q.sql"])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let raw =
        "CREATE TABLE src (id INT) WITH ('connector'='filesystem','format'='raw','path'='in');";
    for (sql, message) in [
        (
            format!("SET 'paceline.src.records' = 'many';\n{raw}"),
            "with the format raw a record is one value",
        ),
        (format!("SET 'paceline.srv.records' = 'many';\n{raw}"), "there is no table 'srv'"),
        (
            format!("SET 'paceline.src.compression' = 'gzip';\n{raw}"),
            "records of this connector are never compressed",
        ),
        (format!("SET 'paceline.src.compression' = 'zip';\n{raw}"), "expected none, gzip or zstd"),
        (
            format!("SET 'paceline.src.aggregation' = 'kpl';\n{raw}"),
            "records of this connector are no aggregates",
        ),
        (
            format!("SET 'paceline.src.aggregation' = 'kcl';\n{raw}"),
            "expected kpl, kpl-strict or none",
        ),
        (
            format!("SET 'paceline.src.envelope' = 'dms';\n{raw}"),
            "records of this connector are in no envelopes",
        ),
        (
            format!("SET 'paceline.src.envelope' = 'sns';\n{raw}"),
            "expected none, cloudwatch-logs, eventbridge",
        ),
        (format!("SET 'paceline.srv.envelope' = 'dms';\n{raw}"), "there is no table 'srv'"),
        (format!("SET 'paceline.srv.compression' = 'gzip';\n{raw}"), "there is no table 'srv'"),
        (format!("SET 'paceline.src.records' = 'some';\n{raw}"), "expected one or many"),
    ] {
        let text = refused(&sql);
        assert!(text.contains(message) && text.contains("q.sql:") && text.contains('^'), "{text}");
    }
}
