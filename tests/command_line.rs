//! Does the binary answer bad input well? Exit codes, places, and what to do, from the outside.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn paceline(args: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paceline"))
        .args(args)
        .current_dir(dir)
        .output()
        .expect("the binary starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const TABLES: &str = "CREATE TABLE src (k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
  WITH ('connector'='filesystem','format'='json','path'='in.jsonl');
CREATE TABLE res (k STRING, c BIGINT) WITH ('connector'='filesystem','format'='json','path'='out');
";
const QUERY: &str = "INSERT INTO res SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;";

/// A folder with a query and an input.
fn job(sql: &str, input: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary folder");
    fs::write(dir.path().join("q.sql"), sql).expect("writes");
    fs::write(dir.path().join("in.jsonl"), input).expect("writes");
    dir
}

fn lines(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        all.extend(fs::read_to_string(entry.path()).expect("text").lines().map(String::from));
    }
    all.sort();
    all
}

const GOOD: &str = "{\"k\":\"a\",\"v\":1,\"ts\":\"2024-01-01 00:00:01\"}\n";

#[test]
fn mistakes_in_sql_show_the_line_and_a_caret_and_end_with_2() {
    for (sql, place, message) in [
        ("SELEC 1", "q.sql:1:1", "expected"),
        (
            &format!("{TABLES}INSERT INTO res SELECT k, COUNT(*) FROM srcc GROUP BY k;"),
            "q.sql:4:41",
            "'srcc' does not exist",
        ),
        (
            &format!("{TABLES}INSERT INTO rex SELECT k, v FROM src;"),
            "q.sql:4:13",
            "'rex' does not exist",
        ),
        (&format!("{TABLES}INSERT INTO res SELECT kk, v FROM src;"), "q.sql:4:24", "kk"),
        (
            &format!("{TABLES}INSERT INTO res SELECT k, NO_SUCH(v) FROM src;"),
            "q.sql:4:27",
            "NO_SUCH",
        ),
        (
            &format!("{TABLES}INSERT INTO res SELECT k, COUNT(*) FROM src GROUP BY k;"),
            "q.sql:4",
            "only takes new rows",
        ),
        (&format!("{TABLES}INSERT INTO res SELECT k, UPPER(k) FROM src;"), "q.sql:4:13", "STRING"),
        ("SET 'a' = 'b';", "q.sql", "nothing to do"),
        (
            &format!("{}{QUERY}", TABLES.replace("'path'='out'", "'pat'='out'")),
            "q.sql:3",
            "did you mean 'path'",
        ),
    ] {
        let dir = job(sql, b"");
        let output = paceline(&["check", "q.sql"], dir.path());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{sql}\n{text}");
        assert!(
            text.contains(message) && (text.contains(place) || place == "q.sql"),
            "{sql}\n{text}"
        );
        assert!(text.contains('^') || place == "q.sql", "{sql}\n{text}");
    }
}

#[test]
fn check_prints_the_plan_and_touches_nothing() {
    let dir = job(&format!("{TABLES}{QUERY}"), b"");
    let output = paceline(&["check", "q.sql"], dir.path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for part in ["read src", "TUMBLE 10000 ms", "write res (filesystem), exactly once"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_eq!(fs::read_dir(dir.path()).expect("folder").count(), 2);
}

#[test]
fn records_that_cannot_be_read_are_kept_with_their_place() {
    let mut input = GOOD.as_bytes().to_vec();
    input.extend_from_slice(b"{\"k\":\"a\",\"v\":\"x\",\"ts\":\"2024-01-01 00:00:02\"}\n");
    input.extend_from_slice(b"not json\n\xff\xfe\x00\x01binary\n");
    input.extend_from_slice(b"{\"k\":\"a\",\"v\":2}\n");
    input.extend_from_slice(
        format!("{{\"k\":\"{}\",\"v\":1,\"ts\":\"2024-01-01 00:00:03\"}}\n", "y".repeat(1 << 20))
            .as_bytes(),
    );
    input.extend_from_slice(GOOD.as_bytes());
    // The value takes part, so that its type is checked.
    let sql = format!("{TABLES}{}", QUERY.replace("COUNT(*)", "COUNT(v)"));
    let dir = job(&sql, &input);
    let output = paceline(&["run", "q.sql", "--state-dir", "state"], dir.path());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let rows = lines(&dir.path().join("out"));
    assert_eq!(rows.len(), 2, "the 1 MiB record counts too");
    assert!(rows.contains(&"{\"k\":\"a\",\"c\":2}".to_string()));
    let errors = lines(&dir.path().join("state/errors"));
    assert_eq!(errors.len(), 4, "{errors:#?}");
    for place in ["line 2", "line 3", "line 4", "line 5"] {
        assert!(errors.iter().any(|e| e.contains(place)), "{place}: {errors:#?}");
    }
}

#[test]
fn an_empty_file_finishes_and_a_missing_one_says_so() {
    let dir = job(&format!("{TABLES}{QUERY}"), b"");
    assert_eq!(paceline(&["run", "q.sql"], dir.path()).status.code(), Some(0));
    fs::remove_file(dir.path().join("in.jsonl")).expect("removes");
    let output = paceline(&["run", "q.sql"], dir.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("in.jsonl does not exist"), "{}", stderr(&output));
}

#[test]
fn a_finished_job_adds_nothing_and_fresh_starts_over() {
    let dir = job(&format!("{TABLES}{QUERY}"), GOOD.as_bytes());
    for _ in 0..2 {
        assert_eq!(
            paceline(&["run", "q.sql", "--state-dir", "state"], dir.path()).status.code(),
            Some(0)
        );
        assert_eq!(lines(&dir.path().join("out")).len(), 1);
    }
    assert_eq!(
        paceline(&["run", "q.sql", "--state-dir", "state", "--fresh"], dir.path()).status.code(),
        Some(0)
    );
    assert_eq!(lines(&dir.path().join("out")).len(), 2);
}

/// The newest checkpoint of a finished job.
fn newest(dir: &Path) -> std::path::PathBuf {
    let mut epochs: Vec<_> = fs::read_dir(dir.join("state/checkpoints"))
        .expect("folder")
        .map(|e| e.expect("entry").path())
        .collect();
    epochs.sort();
    epochs.pop().expect("a checkpoint")
}

#[test]
fn damaged_state_is_refused_with_3() {
    for what in ["manifest", "table"] {
        let dir = job(&format!("{TABLES}{QUERY}"), GOOD.as_bytes());
        assert_eq!(
            paceline(&["run", "q.sql", "--state-dir", "state"], dir.path()).status.code(),
            Some(0)
        );
        let newest = newest(dir.path());
        let path = match what {
            "manifest" => newest.join("manifest"),
            _ => {
                let files = fs::read_dir(newest.join("worker-0")).expect("folder");
                files
                    .map(|e| e.expect("entry").path())
                    .find(|p| {
                        p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("MANIFEST"))
                    })
                    .expect("a file")
            }
        };
        let bytes = fs::read(&path).expect("reads");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("writes");
        let output = paceline(&["run", "q.sql", "--state-dir", "state"], dir.path());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{what}: {text}");
        assert!(text.contains("--allow-duplicates"), "{what}: {text}");
        let output =
            paceline(&["run", "q.sql", "--state-dir", "state", "--allow-duplicates"], dir.path());
        assert_eq!(output.status.code(), Some(0), "{what}: {}", stderr(&output));
    }
}

#[test]
fn another_query_on_the_same_state_is_refused_with_3() {
    let dir = job(&format!("{TABLES}{QUERY}"), GOOD.as_bytes());
    assert_eq!(
        paceline(&["run", "q.sql", "--state-dir", "state"], dir.path()).status.code(),
        Some(0)
    );
    fs::write(
        dir.path().join("q.sql"),
        format!("{TABLES}{}", QUERY.replace("'10' SECOND", "'20' SECOND")),
    )
    .expect("writes");
    let output = paceline(&["run", "q.sql", "--state-dir", "state"], dir.path());
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("another query"), "{}", stderr(&output));
}

#[test]
fn a_sink_that_cannot_be_what_the_query_says_is_a_mistake_of_the_query() {
    let sql = format!(
        "{TABLES}CREATE TABLE maps (m MAP<STRING, INT>) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'maps');
         INSERT INTO maps SELECT MAP['x', 1] FROM src;"
    );
    let dir = job(&sql, GOOD.as_bytes());
    for command in ["check", "run"] {
        let output = paceline(&[command, "q.sql"], dir.path());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{command}: {text}");
        assert!(text.contains("not supported by the format csv"), "{command}: {text}");
    }
}

#[test]
fn a_select_prints_one_object_a_line() {
    let dir = job(&format!("{TABLES}SELECT k, v + 1 AS w FROM src WHERE v > 0;"), GOOD.as_bytes());
    let output = paceline(&["run", "q.sql", "--output", "json"], dir.path());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "{\"op\":\"+I\",\"k\":\"a\",\"w\":2}\n",
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_failing_expression_diverts_its_row_alone() {
    let input: String = (0..50)
        .map(|v| format!("{{\"k\":\"a\",\"v\":{},\"ts\":\"2024-01-01 00:00:01\"}}\n", v % 10))
        .collect();
    let dir =
        job(&format!("{TABLES}INSERT INTO res SELECT k, 100 / v FROM src;"), input.as_bytes());
    let output = paceline(&["run", "q.sql", "--state-dir", "state"], dir.path());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(lines(&dir.path().join("out")).len(), 45);
    assert_eq!(lines(&dir.path().join("state/errors")).len(), 5);
}

#[test]
fn unknown_settings_and_options_are_wrong() {
    let dir = job(&format!("{TABLES}{QUERY}"), b"");
    let output = paceline(&["run", "q.sql", "--set", "paceline.batch.row=3"], dir.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("paceline.batch.rows"), "{}", stderr(&output));
    assert_eq!(paceline(&["run", "q.sql", "--no-such-flag"], dir.path()).status.code(), Some(2));
    assert_eq!(paceline(&["run", "missing.sql"], dir.path()).status.code(), Some(2));
    let output = paceline(&["run", "q.sql", "--from", "2024-01-01T00:00:00Z"], dir.path());
    assert_eq!(output.status.code(), Some(2), "--from is for streams: {}", stderr(&output));
}

#[test]
fn a_null_does_not_get_into_a_column_that_is_not_null() {
    let tables = TABLES.replace("res (k STRING, c BIGINT)", "res (k STRING NOT NULL, c BIGINT)");
    let input = format!("{GOOD}{{\"v\":2,\"ts\":\"2024-01-01 00:00:02\"}}\n");
    let dir = job(&format!("{tables}{QUERY}"), input.as_bytes());
    let output = paceline(&["run", "q.sql", "--state-dir", "st"], dir.path());
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(lines(&dir.path().join("out")), ["{\"k\":\"a\",\"c\":1}"]);
    let errors = lines(&dir.path().join("st/errors")).join("");
    assert!(errors.contains("column 'k' is NOT NULL"), "{errors}");
}

#[test]
fn settings_that_are_not_followed_are_told_once() {
    let dir = job(
        &format!("SET 'pipeline.auto-watermark-interval' = '0';\n{TABLES}{QUERY}"),
        GOOD.as_bytes(),
    );
    let checked = paceline(&["check", "q.sql"], dir.path());
    let run = paceline(&["run", "q.sql", "--set", "table.dml-sync=true"], dir.path());
    let usual = paceline(
        &["check", "q.sql", "--set", "pipeline.auto-watermark-interval=200 ms"],
        dir.path(),
    );
    let said = |output: &Output, part: &str| {
        assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
        (String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(output))
            .matches(part)
            .count()
    };
    let mode =
        "'pipeline.auto-watermark-interval' = '0' is not followed: watermarks are not turned off";
    assert_eq!((said(&checked, mode), said(&run, mode), said(&usual, "auto-watermark")), (1, 1, 0));
    assert_eq!(said(&run, "all INSERTs of the file run side by side"), 1);
    let output = paceline(&["check", "q.sql", "--set", "execution.runtime-mode=bach"], dir.path());
    assert!(
        output.status.code() == Some(2) && stderr(&output).contains("expected streaming or batch"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn batch_mode_gives_final_rows_in_order_and_wants_an_end() {
    let sql = "SET 'execution.runtime-mode' = 'batch';
        CREATE TABLE made (n BIGINT) WITH ('connector'='datagen', 'fields.n.kind'='sequence', 'fields.n.start'='1', 'fields.n.end'='500',
          'rows-per-second'='100000');
        CREATE TABLE endless (n BIGINT) WITH ('connector'='datagen');
        SHOW TABLES;\n";
    let dir = job(
        &format!(
            "{sql}SELECT MOD(n, 3) AS k, COUNT(*) AS c FROM made GROUP BY MOD(n, 3) ORDER BY c DESC, k DESC;"
        ),
        b"",
    );
    let args = ["run", "q.sql", "--output", "json", "--parallelism", "3"];
    let output = paceline(&args, dir.path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let wanted = "\
+------------+
| table name |
+------------+
|    endless |
|       made |
+------------+
2 rows in set
{\"op\":\"+I\",\"k\":2,\"c\":167}
{\"op\":\"+I\",\"k\":1,\"c\":167}
{\"op\":\"+I\",\"k\":0,\"c\":166}
";
    assert_eq!(text, wanted);
    let dir = job(&format!("{sql}SELECT COUNT(*) AS c FROM endless;"), b"");
    for command in ["check", "run"] {
        let output = paceline(&[command, "q.sql"], dir.path());
        let text = stderr(&output);
        assert!(
            output.status.code() == Some(2)
                && text.contains("table 'endless': reading it never ends"),
            "{command}: {text}"
        );
    }
}

#[test]
fn a_function_with_a_body_of_sql_runs_and_one_of_java_is_refused_where_it_is_called() {
    let declared = "CREATE FUNCTION f(x BIGINT) RETURNS BIGINT RETURN x * 10 + 1;
        CREATE FUNCTION g AS 'com.shop.G' LANGUAGE JAVA;\n";
    let dir = job(declared, b"");
    let output = paceline(&["check", "q.sql"], dir.path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(text.contains("which Flink does not take") && text.contains("com.shop.G"), "{text}");
    let dir = job(&format!("{declared}SELECT f(n) AS r FROM (VALUES (1), (2)) AS v (n);"), b"");
    let output = paceline(&["run", "q.sql", "--output", "json"], dir.path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text, "{\"op\":\"+I\",\"r\":11}\n{\"op\":\"+I\",\"r\":21}\n");
    let dir = job(&format!("{declared}SELECT g(n) AS r FROM (VALUES (1)) AS v (n);"), b"");
    let text = stderr(&paceline(&["check", "q.sql"], dir.path()));
    assert!(text.contains("q.sql:3:8") && text.contains("CREATE FUNCTION g(x BIGINT)"), "{text}");
}

#[test]
fn debug_lines_say_worker_chain_and_operator() {
    let dir = job(&format!("{TABLES}{QUERY}"), GOOD.as_bytes());
    let run_file = |file: &str, level: &str, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
        command
            .args(["run", file, "--parallelism", "2", "--state-dir", "state", "--fresh"])
            .args(args);
        let output =
            command.env("RUST_LOG", level).current_dir(dir.path()).output().expect("starts");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stderr(&output)
    };
    let run = |level: &str, args: &[&str]| run_file("q.sql", level, args);
    let text = run("paceline=debug", &[]);
    let line = |says: &str| {
        text.lines()
            .find(|line| line.contains(says))
            .unwrap_or_else(|| panic!("no line {says}:\n{text}"))
    };
    let fires = line("a window fires");
    for part in [
        ":chain{number=1 from=\"edge 0\" to=\"res\"}:operator{place=0 called=\"window 1\"}:",
        "groups=1",
    ] {
        assert!(fires.contains(part), "{fires}");
    }
    assert!(
        line("the barrier has passed the chain")
            .contains("chain{number=0 from=\"src\" to=\"edge 0\"}: "),
        "{text}"
    );
    // Groups without a window are there at the last checkpoint.
    let groups = "CREATE TABLE n (n INT) WITH ('connector' = 'datagen', 'number-of-rows' = '50');
        CREATE TABLE c (n INT PRIMARY KEY NOT ENFORCED, c BIGINT)
            WITH ('connector' = 'blackhole');
        INSERT INTO c SELECT n, COUNT(*) FROM n GROUP BY n;";
    fs::write(dir.path().join("groups.sql"), groups).expect("writes");
    let packed = run_file("groups.sql", "paceline=debug", &[]);
    let packed = packed.lines().find(|line| line.contains("frozen state is packed"));
    assert!(packed.is_some_and(|line| line.contains("operator{") && line.contains("bytes=")));
    // As objects, for what reads logs.
    let text = run("paceline=debug", &["--log-format", "json"]);
    let objects = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an object"));
    let fires = objects
        .into_iter()
        .find(|o| o["fields"]["message"] == "a window fires")
        .expect("a window fires");
    let names: Vec<&str> = fires["spans"]
        .as_array()
        .expect("spans")
        .iter()
        .map(|s| s["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        (names, &fires["span"]["called"]),
        (vec!["worker", "chain", "operator"], &"window 1".into()),
        "{fires}"
    );
    // Without being asked for, none of it.
    let text = run("paceline=info", &[]);
    assert!(!text.contains("worker{") && !text.contains("fires"), "{text}");
}
