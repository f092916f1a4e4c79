//! Which tables take a changelog, and what do they hold in the end? From the outside.

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

/// A source, and a table with this key.
fn tables(sink_columns: &str) -> String {
    format!(
        "CREATE TABLE src (k STRING, v BIGINT) WITH ('connector'='filesystem','format'='json','path'='in.jsonl');
CREATE TABLE best ({sink_columns}) WITH ('connector'='dynamodb','table-name'='best','aws.region'='us-east-1');
CREATE TABLE log (k STRING, s BIGINT) WITH ('connector'='filesystem','format'='json','path'='out');
"
    )
}

fn run(sql: &str, command: &[&str]) -> (tempfile::TempDir, Output) {
    let dir = tempfile::tempdir().expect("temporary folder");
    fs::write(dir.path().join("q.sql"), sql).expect("writes");
    let rows = [("a", 1), ("b", 5), ("c", 3), ("a", 7), ("b", 1), ("c", 2), ("d", 4)];
    let lines: Vec<String> =
        rows.iter().map(|(k, v)| format!(r#"{{"k":"{k}","v":{v}}}"#)).collect();
    fs::write(dir.path().join("in.jsonl"), lines.join("\n")).expect("writes");
    let output = paceline(command, dir.path());
    (dir, output)
}

#[test]
fn what_a_table_cannot_hold_is_refused_with_what_to_do() {
    let keyed = "k STRING, s BIGINT, PRIMARY KEY (k) NOT ENFORCED";
    let query = "INSERT INTO log SELECT k, SUM(v) FROM src GROUP BY k;";
    let (_dir, output) = run(&format!("{}{query}", tables(keyed)), &["check", "q.sql"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{query}\n{text}");
    assert!(text.contains("only takes new rows") && text.contains("q.sql:4"), "{query}\n{text}");
}

#[test]
fn several_rows_may_share_a_key_and_the_newest_stays() {
    let keyed = "k STRING, s BIGINT, PRIMARY KEY (k) NOT ENFORCED";
    let query = "INSERT INTO best SELECT MAX(k), v FROM src GROUP BY v;";
    let sql = format!("{}{query}", tables(keyed));
    let (_dir, output) = run(&sql, &["check", "q.sql"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("several rows of the result can share a key of 'best'"), "{text}");
}

#[test]
fn windows_that_change_say_what_they_do_not_take() {
    let early = "SET 'table.exec.emit.early-fire.enabled' = 'true'; SET 'table.exec.emit.early-fire.delay' = '0 s';";
    let late = "SET 'table.exec.emit.late-fire.enabled' = 'true'; SET 'table.exec.emit.late-fire.delay' = '0 s';";
    let source = "CREATE TABLE src (k STRING, v BIGINT, ts TIMESTAMP(3), pt AS PROCTIME(), WATERMARK FOR ts AS ts) \
                  WITH ('connector'='filesystem','format'='json','path'='in.jsonl');";
    let newest = "CREATE VIEW newest AS SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS n FROM src) \
                  WHERE n = 1;";
    for (settings, query, message) in [
        (
            early,
            "SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end;",
            "early and late fires are for GROUP BY TUMBLE",
        ),
        (
            early,
            "SELECT COUNT(*) FROM src GROUP BY SESSION(ts, INTERVAL '1' SECOND);",
            "a SESSION over rows that are updated, or with early",
        ),
        (
            early,
            "SELECT COUNT(*) FROM src GROUP BY TUMBLE(pt, INTERVAL '1' SECOND);",
            "of processing time",
        ),
        (
            late,
            "SELECT COUNT(*) FROM src GROUP BY TUMBLE(ts, INTERVAL '1' SECOND);",
            "allow-lateness",
        ),
        (
            "",
            "SELECT LISTAGG(k) FROM newest GROUP BY HOP(ts, INTERVAL '1' SECOND, INTERVAL '2' SECOND);",
            "goes by the order of rows",
        ),
        (
            "",
            "SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE newest, DESCRIPTOR(pt), INTERVAL '1' SECOND)) GROUP BY window_start, window_end;",
            "processing time of rows that are updated",
        ),
        (
            "",
            "SELECT SUM(v) OVER (PARTITION BY k ORDER BY ts) FROM newest;",
            "rows that are updated",
        ),
    ] {
        let (_dir, output) =
            run(&format!("{settings}\n{source}\n{newest}\n{query}"), &["check", "q.sql"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{query}\n{text}");
        assert!(text.contains(message), "{query}\n{text}");
    }
}

#[test]
fn the_clock_is_refused_where_it_cannot_be_asked() {
    let source = "CREATE TABLE src (k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) \
                  WITH ('connector'='filesystem','format'='json','path'='in.jsonl');";
    for (query, name) in [
        (
            "SELECT SUM(CASE WHEN NOW() > TO_TIMESTAMP_LTZ(0, 3) THEN 1 ELSE 0 END) OVER (ORDER BY ts) FROM src;",
            "'NOW'",
        ),
        ("SELECT MAX(CURRENT_WATERMARK(ts)) FROM src;", "'CURRENT_WATERMARK'"),
    ] {
        let (_dir, output) = run(&format!("{source}\n{query}"), &["check", "q.sql"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{query}\n{text}");
        assert!(text.contains(name) && text.contains("SELECT it in a subquery"), "{query}\n{text}");
    }
}

#[test]
fn updates_and_deletes_reach_a_table_by_its_key() {
    let rows = |columns: &str, query: &str| -> Vec<String> {
        let sql = format!("{}{query}", tables(columns));
        let (_dir, output) = run(&sql, &["run", "q.sql", "--local", "--parallelism", "2"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{query}\n{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let cells = |line: &str| {
            line.split(['│', '┆', '|'])
                .map(str::trim)
                .filter(|c| !c.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        };
        text.lines().filter(|l| l.contains('┆')).map(cells).skip(1).collect()
    };
    let sums = rows(
        "k STRING, s BIGINT, PRIMARY KEY (k) NOT ENFORCED",
        "INSERT INTO best SELECT k, SUM(v) FROM src GROUP BY k;",
    );
    assert_eq!(sums, ["a 8", "b 6", "c 5", "d 4"]);
    // A key whose last row is taken back leaves the table: no group holds a sum of 1, 3 or 7 in the
    // end.
    let counts = "INSERT INTO best SELECT s, COUNT(*) FROM (SELECT k, SUM(v) AS s FROM src GROUP BY k) GROUP BY s;";
    assert_eq!(
        rows("s BIGINT, n BIGINT, PRIMARY KEY (s) NOT ENFORCED", counts),
        ["4 1", "5 1", "6 1", "8 1"]
    );
    // With more columns in the table's key, an update moves a row and its old place is cleared.
    let wide = rows(
        "k STRING, s BIGINT, PRIMARY KEY (k, s) NOT ENFORCED",
        "INSERT INTO best SELECT k, SUM(v) FROM src GROUP BY k HAVING SUM(v) < 7;",
    );
    assert_eq!(wide, ["b 6", "c 5", "d 4"]);
    let ranks = "INSERT INTO best SELECT k, rn FROM (
        SELECT k, ROW_NUMBER() OVER (ORDER BY s DESC, k) AS rn FROM (SELECT k, SUM(v) AS s FROM src GROUP BY k)) WHERE rn <= 2;";
    let mut board = rows("k STRING, rn BIGINT, PRIMARY KEY (rn) NOT ENFORCED", ranks);
    board.sort();
    assert_eq!(board, ["a 1", "b 2"]);
}

/// What `check` says of a table that takes changes.
#[test]
fn a_check_says_when_changes_are_seen_and_what_a_deletion_leaves() {
    let source = "CREATE TABLE src (k STRING, v BIGINT) WITH ('connector'='filesystem','format'='json','path'='in.jsonl');
CREATE TABLE board (k STRING, n BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector'='dynamodb','table-name'='board');";
    let check = |query: &str| {
        let (_dir, output) = run(&format!("{source}\n{query}"), &["check", "q.sql"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let counts = "INSERT INTO board SELECT k, COUNT(*) FROM src GROUP BY k;";
    let text = check(counts);
    for part in [
        "note: results without a window are written to table 'board' with the checkpoint",
        "every 10s (execution.checkpointing.interval)",
        "warning: rows of table 'board' can be deleted",
        "'paceline_deleted'",
        "TTL for 'paceline_expires'",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let text = check(&format!("SET 'paceline.checkpoint.records' = '500';\n{counts}"));
    assert!(text.contains("every 500 records (paceline.checkpoint.records)"), "{text}");
    let text = check("INSERT INTO board SELECT k, v FROM src;");
    assert!(text.contains("note: ") && !text.contains("can be deleted"), "{text}");
}
