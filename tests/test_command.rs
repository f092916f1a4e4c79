//! `paceline test` and `--var`, through the binary: what is compared, accepted, varied and hidden.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn paceline(args: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    command.args(args).current_dir(dir).env("FROM_OUTSIDE", "open-sesame").output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs the command, and says how it must end.
fn ends(args: &[&str], dir: &Path, code: i32) -> String {
    let output = paceline(args, dir);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{text}");
    text
}

const QUERY: &str = "CREATE TABLE orders (id BIGINT, shop STRING, price DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
  WITH ('connector'='kinesis','stream.arn'='arn:aws:kinesis:us-east-1:123456789012:stream/orders','aws.region'='us-east-1','format'='json');
CREATE TABLE sales (shop STRING, w TIMESTAMP(3), n BIGINT, total DOUBLE, PRIMARY KEY (shop, w) NOT ENFORCED)
  WITH ('connector'='dynamodb','table-name'='sales','aws.region'='us-east-1');
CREATE TABLE dear (id BIGINT, shop STRING) WITH ('connector'='filesystem','format'='json','path'='dear');
INSERT INTO sales SELECT shop, window_end, COUNT(*), SUM(price)
  FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, shop;
INSERT INTO dear SELECT id, shop FROM orders WHERE price > 90;
SELECT shop, COUNT(*) AS n FROM orders GROUP BY shop;
";

/// A query with sixty orders of three shops, and nothing that is expected yet.
fn orders() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("q.sql"), QUERY).unwrap();
    fs::create_dir(dir.path().join("q.samples")).unwrap();
    let rows: String = (0..60)
        .map(|n| {
            format!(
                "{{\"id\":{n},\"shop\":\"s{}\",\"price\":{},\"ts\":\"2026-01-01 00:00:{n:02}\"}}\n",
                n % 3,
                f64::from(n * 37 % 100) + 0.1
            )
        })
        .collect();
    fs::write(dir.path().join("q.samples/orders.jsonl"), rows).unwrap();
    dir
}

fn expected(dir: &TempDir, table: &str) -> String {
    fs::read_to_string(dir.path().join(format!("q.expected/{table}.jsonl"))).unwrap()
}

#[test]
fn what_came_is_accepted_and_then_expected() {
    let dir = orders();
    let missing = ends(&["test", "q.sql"], dir.path(), 1);
    assert!(missing.contains("sales.jsonl is missing; 18 rows came"), "{missing}");
    assert!(!dir.path().join("q.expected").exists(), "nothing is written unasked");

    let accepted = ends(&["test", "q.sql", "--accept"], dir.path(), 0);
    assert!(accepted.contains("written: 3 results"), "{accepted}");
    assert_eq!(expected(&dir, "select_3").lines().count(), 3, "the table that changes lead to");
    assert!(expected(&dir, "select_3").contains("{\"shop\":\"s0\",\"n\":20}"));
    assert_eq!(expected(&dir, "sales").lines().count(), 18);

    let same = ends(&["test", "q.sql"], dir.path(), 0);
    assert!(same.contains("as expected: 3 results"), "{same}");
    assert!(!dir.path().join("dear").exists(), "no sink of the query is written");
}

#[test]
fn a_difference_is_told_by_rows_and_columns_and_ends_with_1() {
    let dir = orders();
    ends(&["test", "q.sql", "--accept"], dir.path(), 0);
    let path = dir.path().join("q.expected/sales.jsonl");
    let sales = expected(&dir, "sales").replacen("\"n\":4", "\"n\":5", 1);
    fs::write(&path, sales).unwrap();
    let first = expected(&dir, "dear").lines().next().unwrap().to_string();
    fs::write(dir.path().join("q.expected/dear.jsonl"), format!("{first}\n{{\"id\":1000}}\n"))
        .unwrap();
    fs::write(dir.path().join("q.expected/other.jsonl"), "").unwrap();
    let told = ends(&["test", "q.sql"], dir.path(), 1);
    for part in [
        "n 5 -> 4",
        "~ shop=\"s0\", w=\"2026-01-01 00:00:10\"",
        "- {\"id\":1000}",
        "+ {\"id\":",
        "other.jsonl is there, and the query has no such result",
        "q.sql: differs from what is expected; if it is right, --accept writes it down",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    fs::write(&path, "{\"shop\":").unwrap();
    let broken = ends(&["test", "q.sql"], dir.path(), 2);
    assert!(broken.contains("sales.jsonl:1: not a row as a JSON object"), "{broken}");
}

#[test]
fn variations_agree_and_one_that_does_not_is_named() {
    let dir = orders();
    let same = ends(&["test", "q.sql", "--accept", "--vary"], dir.path(), 0);
    assert!(same.contains("the same in 14 variations"), "{same}");

    fs::write(dir.path().join("drawn.sql"), "SELECT RAND() AS r;").unwrap();
    let differs = ends(&["test", "drawn.sql", "--accept", "--vary"], dir.path(), 1);
    assert!(differs.contains("drawn.sql: differs with 1 worker, batches of 8192"), "{differs}");
    assert!(differs.contains("it depends on what may not matter"), "{differs}");
}

#[test]
fn an_example_is_tested_as_its_head_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let told = ends(&["test", "queries/sensors.sql"], folder, 0);
    assert!(told.contains("as expected: 1 result, 9 rows"), "{told}");
}

#[test]
fn what_is_wrong_with_the_query_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = |sql: &str| {
        fs::write(dir.path().join("q.sql"), sql).unwrap();
        ends(&["test", "q.sql"], dir.path(), 2)
    };
    assert!(wrong("SELEC 1;").contains("q.sql:1:1"));
    // What is made up without end is read for its first thousand rows; a sample takes its place.
    fs::write(
        dir.path().join("q.sql"),
        "CREATE TABLE t (n INT) WITH ('connector'='datagen'); SELECT n FROM t;",
    )
    .unwrap();
    let made_up = ends(&["test", "q.sql"], dir.path(), 1);
    assert!(made_up.contains("1000 rows came"), "{made_up}");
    fs::create_dir(dir.path().join("q.samples")).unwrap();
    fs::write(dir.path().join("q.samples/t.jsonl"), "{\"n\":7}\n").unwrap();
    ends(&["test", "q.sql", "--accept"], dir.path(), 0);
    assert_eq!(
        fs::read_to_string(dir.path().join("q.expected/select_1.jsonl")).unwrap(),
        "{\"n\":7}\n"
    );
}

#[test]
fn rows_that_cannot_be_used_and_rows_that_are_made_up_are_told() {
    let dir = orders();
    let path = dir.path().join("q.samples/orders.jsonl");
    let rows = fs::read_to_string(&path).unwrap() + "no JSON\n";
    fs::write(&path, rows).unwrap();
    let told = ends(&["test", "q.sql", "--accept"], dir.path(), 0);
    assert!(told.contains("note: 1 records or rows could not be used"), "{told}");
    assert!(told.contains("orders, line 61: not a JSON object"), "{told}");
    fs::remove_file(&path).unwrap();
    let told = ends(&["test", "q.sql", "--accept"], dir.path(), 0);
    assert!(told.contains("the rows of table 'orders' are made up"), "{told}");
    ends(&["test", "q.sql", "--vary"], dir.path(), 0);
}

const VARIABLES: &str = "CREATE TABLE t (k STRING) WITH ('connector'='filesystem','format'='json','path'='${FOLDER}/in.jsonl');
SELECT k, '${FROM_OUTSIDE}' AS secret, '$${K}' AS plain FROM t WHERE k = '${K}';
";

#[test]
fn variables_stand_for_their_values_in_texts() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("q.sql"), VARIABLES).unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    fs::write(dir.path().join("data/in.jsonl"), "{\"k\":\"it's\"}\n{\"k\":\"other\"}\n").unwrap();
    let given = ["--var", "FOLDER=data", "--var", "K=it's", "--var", "FROM_OUTSIDE"];
    let with = |command: &[&'static str]| [command, &given].concat();
    let rows = ends(&with(&["run", "q.sql", "--output", "json"]), dir.path(), 0);
    let row = "{\"op\":\"+I\",\"k\":\"it's\",\"secret\":\"open-sesame\",\"plain\":\"${K}\"}";
    assert!(rows.contains(row), "{rows}");
    let plan = ends(&with(&["check", "q.sql"]), dir.path(), 0);
    assert!(!plan.contains("sesame"), "{plan}");
    ends(&with(&["test", "q.sql", "--accept"]), dir.path(), 0);
    let written = fs::read_to_string(dir.path().join("q.expected/select_1.jsonl")).unwrap();
    assert!(written.contains("open-sesame"), "results are results");
}

#[test]
fn a_variable_without_a_value_is_an_error_at_its_place_and_values_are_never_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("q.sql"), VARIABLES).unwrap();
    for command in ["run", "check", "test"] {
        let told =
            ends(&[command, "q.sql", "--var", "FROM_OUTSIDE", "--var", "K=x"], dir.path(), 2);
        assert!(told.contains("the variable FOLDER has no value"), "{told}");
        assert!(told.contains("q.sql:1:82"), "{told}");
        assert!(told.contains("--var FOLDER=VALUE"), "{told}");

        // A message that quotes the option, and one that quotes the argument.
        let given = ["--var", "FOLDER=/no/open-sesame", "--var", "K=x", "--var", "FROM_OUTSIDE"];
        if command != "check" {
            let told = text(&paceline(&[&[command, "q.sql"], &given[..]].concat(), dir.path()));
            assert!(!told.contains("sesame"), "{told}");
        }
        let told = ends(&[command, "q.sql", "--var", "a b=open-sesame"], dir.path(), 2);
        assert!(told.contains("expected NAME=VALUE") && !told.contains("sesame"), "{told}");
    }
    let sql = "CREATE TABLE t (k STRING) WITH ('connector'='${FROM_OUTSIDE}'); SELECT k FROM t;";
    fs::write(dir.path().join("q.sql"), sql).unwrap();
    let told = ends(&["check", "q.sql", "--var", "FROM_OUTSIDE"], dir.path(), 0);
    assert!(told.contains("****") && !told.contains("sesame"), "{told}");
    let told = ends(&["run", "q.sql", "--var", "FROM_OUTSIDE"], dir.path(), 2);
    assert!(told.contains("****") && !told.contains("sesame"), "{told}");
}
