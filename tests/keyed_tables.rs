//! Does a table with a key hold the rows of a changing result, and no others? Queries whose changes
//! Apache Flink has printed (`tests/cases`), written into DynamoDB and into the embedded table:
//! each must hold what those changes lead to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use paceline::runtime::options::CheckpointTrigger;
use serde_json::{Map, Value};

use crate::support::changelog_sink::op_of;
use crate::support::dynamodb_server::{DynamoDbServer, Faults};
use crate::support::job::{Variation, finish, finish_with_kills};
use crate::support::seeds::each_seed;
use crate::support::tier::by_tier;

/// Keys of the results of a case's queries, in their order.
const CASES: [(&str, &[&[&str]]); 2] = [
    (
        "changelogs/cl_filtered",
        &[
            &["k"],
            &["id"],
            &["id"],
            &["k", "rn"],
            &["id"],
            &["v"],
            &["id"],
            &["k"],
            &["s"],
            &["k", "s"],
            &["id"],
        ],
    ),
    ("changelogs/cl_filtered_early", &[&["ws", "k"], &["ws", "k"]]),
];

const MINI_BATCH: &str = "SET 'table.exec.mini-batch.enabled' = 'true';
SET 'table.exec.mini-batch.allow-latency' = '1 s';
SET 'table.exec.mini-batch.size' = '5';
";

/// A query's result: its columns with their SQL types, and the rows that its recorded changes lead
/// to.
struct Recorded {
    columns: Vec<(String, String)>,
    rows: Vec<Map<String, Value>>,
}

fn objects(path: &Path) -> Vec<Map<String, Value>> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

fn recorded(case: &Path, number: usize) -> Recorded {
    let text = |object: &Map<String, Value>, name: &str| {
        object[name].as_str().expect("text").replace("*ROWTIME*", "")
    };
    let schema = objects(&case.join(format!("expected/select_{number}.schema.jsonl")));
    let columns =
        schema.iter().map(|c| (text(c, "col"), text(c, "type").replace(" NOT NULL", ""))).collect();
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for mut row in objects(&case.join(format!("expected/select_{number}.changelog.jsonl"))) {
        let op = op_of(row.remove("op").expect("an op").as_str().expect("text"));
        *counts.entry(Value::Object(row).to_string()).or_default() +=
            if op.adds() { 1 } else { -1 };
    }
    let rows = counts
        .into_iter()
        .filter(|(_, n)| *n > 0)
        .map(|(row, _)| serde_json::from_str(&row).expect("an object"));
    Recorded { columns, rows: rows.collect() }
}

/// Rows as text, sorted.
fn texts(rows: impl IntoIterator<Item = Map<String, Value>>) -> Vec<String> {
    let mut texts: Vec<String> =
        rows.into_iter().map(|row| Value::Object(row).to_string()).collect();
    texts.sort();
    texts
}

/// An item's attributes as a row. None for the tombstone of one.
fn row(mut item: Map<String, Value>) -> Option<Map<String, Value>> {
    assert!(item.remove("paceline_version").is_some(), "{item:?}");
    if item.contains_key("paceline_deleted") {
        return None;
    }
    let plain = |value: Value| match value.as_object().and_then(|v| v.iter().next()) {
        Some((kind, text)) if kind == "S" => text.clone(),
        Some((kind, number)) if kind == "N" => {
            serde_json::from_str(number.as_str().expect("text")).expect("a number")
        }
        Some((kind, _)) if kind == "NULL" => Value::Null,
        other => panic!("{other:?}"),
    };
    Some(item.into_iter().map(|(name, value)| (name, plain(value))).collect())
}

/// A case's script with an INSERT into a table `table1`, `table2` ... for each SELECT.
fn script(case: &Path, keys: &[&[&str]], options: &str) -> (String, Vec<Recorded>) {
    let text = fs::read_to_string(case.join("query.sql")).expect("a query");
    let (mut sql, mut results) = (String::new(), Vec::new());
    for statement in text.replace("${DIR}", &case.display().to_string()).split_inclusive(";\n") {
        if statement.starts_with("SELECT") {
            let number = results.len() + 1;
            let result = recorded(case, number);
            let columns: Vec<String> =
                result.columns.iter().map(|(name, kind)| format!("`{name}` {kind}")).collect();
            let key = keys[number - 1].join(", ");
            sql.push_str(&format!(
                "CREATE TABLE table{number} ({}, PRIMARY KEY ({key}) NOT ENFORCED) WITH ('connector'='dynamodb','table-name'='table{number}'{options});\n\
                 INSERT INTO table{number} ",
                columns.join(", "),
            ));
            results.push(result);
        }
        sql.push_str(statement);
    }
    assert_eq!(results.len(), keys.len());
    (sql, results)
}

fn key_type(sql: &str) -> &'static str {
    if matches!(sql, "BIGINT" | "INT") { "N" } else { "S" }
}

/// A case whose results go to tables of a server.
struct OnServer {
    server: DynamoDbServer,
    sql: String,
    results: Vec<Recorded>,
}

impl OnServer {
    fn new(name: &str, keys: &[&[&'static str]], settings: &str) -> OnServer {
        let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
        let server = DynamoDbServer::start();
        let options = format!(
            ",'aws.endpoint'='{}','aws.credentials.basic.accesskeyid'='AKIDEXAMPLE','aws.credentials.basic.secretkey'='wJalr',\
             'aws.credentials.provider'='BASIC'",
            server.endpoint()
        );
        let (sql, results) = script(&case, keys, &options);
        for (number, (result, key)) in results.iter().zip(keys).enumerate() {
            let typed = |name: &'static str| {
                let (_, kind) =
                    result.columns.iter().find(|(column, _)| column == name).expect("a column");
                (name, key_type(kind))
            };
            server.create_table(
                &format!("table{}", number + 1),
                typed(key[0]),
                key.get(1).map(|k| typed(k)),
            );
        }
        OnServer { server, sql: format!("{settings}{sql}"), results }
    }

    /// Compares the tables with what was recorded.
    fn check(self, what: &str) {
        for (number, result) in self.results.into_iter().enumerate() {
            let found = self.server.scan(&format!("table{}", number + 1));
            let what = format!("{what}, select {}", number + 1);
            assert_eq!(texts(found.into_iter().filter_map(row)), texts(result.rows), "{what}");
        }
    }
}

#[test]
fn dynamodb_tables_hold_what_the_recorded_changes_lead_to() {
    for (name, keys) in CASES {
        for (workers, batch_rows, settings) in
            [(1, 1, ""), (1, 1000, ""), (3, 1, ""), (3, 1000, MINI_BATCH)]
        {
            let on_server = OnServer::new(name, keys, settings);
            let dir = tempfile::tempdir().expect("temporary folder");
            // Changes go out with their checkpoints: all with the last one, or a few at a time.
            let trigger = match batch_rows {
                1 => CheckpointTrigger::Records(3),
                _ => CheckpointTrigger::AtEnd,
            };
            let variation = Variation { batch_rows, trigger, ..Variation::plain(workers) };
            finish(&on_server.sql, &dir.path().join("state"), &variation);
            on_server.check(&format!("{name}, {workers} workers, batches of {batch_rows}"));
        }
    }
}

#[test]
fn dynamodb_tables_are_the_same_after_kills() {
    each_seed(0..by_tier(2, 10, 100), |seed| {
        for (name, keys) in CASES {
            let on_server = OnServer::new(name, keys, "");
            // Answers are lost after the write, and others come late.
            on_server.server.set_faults(Faults {
                throttle_every: 11,
                fail_every: 7,
                delay_ms_max: 3,
                ..Faults::default()
            });
            let dir = tempfile::tempdir().expect("temporary folder");
            finish_with_kills(&on_server.sql, &dir.path().join("state"), seed, 5, 20);
            on_server.check(&format!("{name}, seed {seed}"));
        }
    });
}

#[test]
fn embedded_tables_hold_what_the_recorded_changes_lead_to() {
    for (name, keys) in CASES {
        let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
        for (workers, settings) in [("1", ""), ("3", MINI_BATCH)] {
            let (sql, results) = script(&case, keys, "");
            let tables = held(&format!("{settings}{sql}"), workers);
            for (number, result) in results.into_iter().enumerate() {
                let found =
                    tables.get(&format!("table{}", number + 1)).cloned().unwrap_or_default();
                let cells = |row: Map<String, Value>| -> String {
                    // The cell of a NULL is empty.
                    let values = result
                        .columns
                        .iter()
                        .map(|(name, _)| &row[name])
                        .filter(|value| !value.is_null());
                    let cell = |value: &Value| {
                        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
                    };
                    values.map(cell).collect::<Vec<_>>().join(" ")
                };
                let mut want: Vec<String> = result.rows.clone().into_iter().map(cells).collect();
                want.sort();
                assert_eq!(found, want, "{name}, select {}, {workers} workers", number + 1);
            }
        }
    }
}

/// A board of three, then of one, then of two; another race has one window only.
const SHRINKING: &str = r#"{"race":"x","rider":"a","points":5,"ts":"2026-01-01 00:00:01"}
{"race":"x","rider":"b","points":4,"ts":"2026-01-01 00:00:02"}
{"race":"x","rider":"c","points":3,"ts":"2026-01-01 00:00:03"}
{"race":"y","rider":"d","points":9,"ts":"2026-01-01 00:00:04"}
{"race":"y","rider":"e","points":8,"ts":"2026-01-01 00:00:04"}
{"race":"x","rider":"c","points":7,"ts":"2026-01-01 00:00:11"}
{"race":"x","rider":"b","points":6,"ts":"2026-01-01 00:00:21"}
{"race":"x","rider":"a","points":2,"ts":"2026-01-01 00:00:22"}
"#;

/// The script for it: the best ten of each race in the last ten seconds.
fn shrinking(dir: &Path, options: &str, windows: &str) -> String {
    fs::write(dir.join("points.jsonl"), SHRINKING).expect("writes");
    format!(
        "CREATE TABLE points (race STRING, rider STRING, points BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
           WITH ('connector'='filesystem','format'='json','path'='{}');
         CREATE TABLE board (race STRING, place BIGINT, rider STRING, PRIMARY KEY (race, place) NOT ENFORCED)
           WITH ('connector'='dynamodb','table-name'='board'{options});
         INSERT INTO board SELECT race, place, rider FROM (
           SELECT race, rider, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, race ORDER BY n DESC) AS place
           FROM (SELECT window_start, window_end, race, rider, SUM(points) AS n
                 FROM TABLE(TUMBLE(TABLE points, DESCRIPTOR(ts), INTERVAL '10' SECOND))
                 WHERE ts < TIMESTAMP '{windows}' GROUP BY window_start, window_end, race, rider)
         ) WHERE place <= 10;",
        dir.join("points.jsonl").display()
    )
}

/// Where a window has fewer ranks than the one before, the last ranks of that one are no result any
/// more.
#[test]
fn a_board_that_shrinks_leaves_no_ranks_of_the_window_before() {
    for (until, expected) in [
        ("2026-01-01 00:00:10", vec!["x 1 a", "x 2 b", "x 3 c", "y 1 d", "y 2 e"]),
        ("2026-01-01 00:00:20", vec!["x 1 c", "y 1 d", "y 2 e"]),
        ("2026-01-01 00:00:30", vec!["x 1 b", "x 2 a", "y 1 d", "y 2 e"]),
    ] {
        for workers in ["1", "3"] {
            let dir = tempfile::tempdir().expect("temporary folder");
            let tables = held(&shrinking(dir.path(), "", until), workers);
            assert_eq!(tables["board"], expected, "{until}, {workers} workers");
        }
    }
    let server = DynamoDbServer::start();
    server.create_table("board", ("race", "S"), Some(("place", "N")));
    // What an earlier run has left is no result of this one either.
    server.put(
        "board",
        &serde_json::json!({ "race": { "S": "x" }, "place": { "N": "9" }, "rider": { "S": "z" } }),
    );
    let options = format!(
        ",'aws.endpoint'='{}','aws.credentials.basic.accesskeyid'='AKIDEXAMPLE','aws.credentials.basic.secretkey'='wJalr',\
         'aws.credentials.provider'='BASIC'",
        server.endpoint()
    );
    let dir = tempfile::tempdir().expect("temporary folder");
    let sql = shrinking(dir.path(), &options, "2026-01-01 00:00:20");
    finish(&sql, &dir.path().join("state"), &Variation::plain(2));
    let rows = server.scan("board").into_iter().filter_map(row);
    let mut found: Vec<String> = rows
        .map(|row| {
            let text = |name: &str| row[name].as_str().expect("text").to_owned();
            format!("{} {} {}", text("race"), row["place"], text("rider"))
        })
        .collect();
    found.sort();
    assert_eq!(found, ["x 1 c", "y 1 d", "y 2 e"]);
}

/// What the tables of a script hold under `--local`, as a user sees it: cells with a space between
/// them, sorted.
fn held(sql: &str, workers: &str) -> BTreeMap<String, Vec<String>> {
    let dir = tempfile::tempdir().expect("temporary folder");
    fs::write(dir.path().join("q.sql"), sql).expect("writes");
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    let output = command
        .args(["run", "q.sql", "--local", "--parallelism", workers])
        .current_dir(dir.path())
        .output()
        .expect("starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{sql}\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some((name, _)) = line.split_once(" (").filter(|(_, rest)| rest.ends_with(" rows)"))
        {
            name.clone_into(&mut current);
        } else if line.starts_with('│') {
            let cells = line
                .split(['│', '┆', '|'])
                .map(str::trim)
                .filter(|c| !c.is_empty())
                .collect::<Vec<_>>()
                .join(" ");
            tables.entry(current.clone()).or_default().push(cells);
        }
    }
    for rows in tables.values_mut() {
        // The names of the columns.
        rows.remove(0);
        rows.sort();
    }
    tables
}

/// A table of sums by key; of the rows in, the sum of `a` goes from 1 to 0 and that of `b` from 2
/// to 5.
fn sums(settings: &str, sink_columns: &str, query: &str) -> Vec<String> {
    let dir = tempfile::tempdir().expect("temporary folder");
    let lines =
        [("a", 1), ("b", 2), ("a", -1), ("b", 3)].map(|(k, v)| format!(r#"{{"k":"{k}","v":{v}}}"#));
    fs::write(dir.path().join("in.jsonl"), lines.join("\n")).expect("writes");
    let path = dir.path().join("in.jsonl").display().to_string();
    let sql = format!(
        "{settings}CREATE TABLE s (k STRING, v BIGINT) WITH ('connector'='filesystem','format'='json','path'='{path}');
CREATE TABLE t ({sink_columns}) WITH ('connector'='dynamodb','table-name'='t');
INSERT INTO t {query};"
    );
    held(&sql, "1").remove("t").unwrap_or_default()
}

#[test]
fn what_no_longer_belongs_to_the_result_leaves_the_table() {
    let drop = "SET 'table.exec.sink.not-null-enforcer' = 'DROP';\n";
    let by_k = "k STRING, s BIGINT, PRIMARY KEY (k) NOT ENFORCED";
    let not_null = "k STRING, s BIGINT NOT NULL, PRIMARY KEY (k) NOT ENFORCED";
    for (settings, columns, query, held) in [
        ("", by_k, "SELECT k, SUM(v) FROM s GROUP BY k HAVING SUM(v) > 0", vec!["b 5"]),
        (
            "",
            by_k,
            "SELECT k, s FROM (SELECT k, SUM(v) AS s FROM s GROUP BY k) WHERE s < 5",
            vec!["a 0"],
        ),
        (drop, not_null, "SELECT k, NULLIF(SUM(v), 0) FROM s GROUP BY k", vec!["b 5"]),
        // A NULL that is refused, and a value that cannot be computed: the row is in the error
        // stream.
        ("", not_null, "SELECT k, NULLIF(SUM(v), 0) FROM s GROUP BY k", vec!["b 5"]),
        ("", by_k, "SELECT k, 10 / SUM(v) FROM s GROUP BY k", vec!["b 2"]),
        (
            "",
            "s BIGINT, k STRING, PRIMARY KEY (k, s) NOT ENFORCED",
            "SELECT SUM(v), k FROM s GROUP BY k HAVING SUM(v) > 0",
            vec!["5 b"],
        ),
    ] {
        assert_eq!(sums(settings, columns, query), held, "{settings}{query}");
    }
}

#[test]
fn a_printed_table_with_a_key_shows_both_sides_of_an_update() {
    let dir = tempfile::tempdir().expect("temporary folder");
    fs::write(dir.path().join("in.jsonl"), "{\"k\":\"a\",\"v\":1}\n{\"k\":\"a\",\"v\":2}\n")
        .expect("writes");
    let sql = "CREATE TABLE s (k STRING, v BIGINT) WITH ('connector'='filesystem','format'='json','path'='in.jsonl');
CREATE TABLE t (k STRING, s BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector'='print');
INSERT INTO t SELECT k, SUM(v) FROM s GROUP BY k;";
    fs::write(dir.path().join("q.sql"), sql).expect("writes");
    let output = Command::new(env!("CARGO_BIN_EXE_paceline"))
        .args(["run", "q.sql"])
        .current_dir(dir.path())
        .output()
        .expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let changes: Vec<&str> = text.lines().filter(|line| line.contains('[')).collect();
    assert_eq!(changes, ["+I[a, 1]", "-U[a, 1]", "+U[a, 3]"], "{text}");
}
