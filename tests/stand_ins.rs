//! Files as they are written for Flink, on a machine that has none of what they name: `check` plans
//! them, `run --local` gives each INSERT rows, and without `--local` they are refused.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn paceline(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    command.args(arguments).current_dir(dir).env_clear().output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What stands behind a table's name on the board.
fn rows_of(board: &str, table: &str) -> usize {
    let line = board.lines().find(|l| l.starts_with(&format!("{table} (")));
    let count = line.and_then(|l| l.split(['(', ' ']).nth(2)?.parse().ok());
    count.unwrap_or_else(|| panic!("no {table}:\n{board}"))
}

const FILE: &str = "
CREATE TABLE orders (
    order_id STRING, user_id BIGINT, status STRING, amount DECIMAL(10, 2), created STRING,
    tags ARRAY<STRING>, item ROW<sku STRING, price DOUBLE>,
    ts AS TO_TIMESTAMP(created, 'yyyy-MM-dd''T''HH:mm:ss'), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'kafka', 'topic' = 'orders', 'properties.bootstrap.servers' = 'kafka:9092', 'format' = 'avro-confluent');
CREATE TABLE users (id BIGINT, name STRING, PRIMARY KEY (id) NOT ENFORCED)
    WITH ('connector' = 'mysql-cdc', 'hostname' = 'db', 'table-name' = 'users');
CREATE TABLE totals (status STRING, total DECIMAL(38, 2), PRIMARY KEY (status) NOT ENFORCED)
    WITH ('connector' = 'jdbc', 'url' = 'jdbc:mysql://db/x', 'table-name' = 'totals');
CREATE TABLE windows (w TIMESTAMP(3), orders BIGINT) PARTITIONED BY (w) WITH ('connector' = 'hive', 'path' = 's3://x');
CREATE TABLE files (user_id BIGINT, sku STRING) WITH ('connector' = 'filesystem', 'path' = 's3://bucket/x', 'format' = 'parquet');
CREATE TABLE changes (user_id BIGINT, n BIGINT) WITH ('connector' = 'kafka', 'format' = 'debezium-json');
INSERT INTO totals SELECT status, SUM(amount) FROM orders WHERE status IN ('paid', 'sent') AND amount > 5000 GROUP BY status;
INSERT INTO windows SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND))
    GROUP BY window_start, window_end;
INSERT INTO files SELECT user_id, item.sku FROM orders WHERE CARDINALITY(tags) > 0;
INSERT INTO changes SELECT user_id, COUNT(*) FROM orders GROUP BY user_id;
";

#[test]
fn a_file_with_connectors_that_are_not_here() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("q.sql"), FILE).unwrap();
    let checked = paceline(dir.path(), &["check", "q.sql"]);
    let shown = text(&checked.stdout);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    for (connector, instead) in
        [("kafka", "'kinesis'"), ("jdbc", "'dynamodb'"), ("hive", "'filesystem'")]
    {
        let warning = format!("warning: no connector '{connector}' here");
        let line = shown.lines().find(|l| l.starts_with(&warning));
        assert!(line.is_some_and(|l| l.contains(instead)), "{connector}: {shown}");
    }

    let refused = paceline(dir.path(), &["run", "q.sql"]);
    let log = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{log}");
    assert!(log.contains("no connector") && log.contains("--local"), "{log}");

    let ran = paceline(dir.path(), &["run", "--local", "q.sql", "--parallelism", "2"]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let board = text(&ran.stdout);
    assert_eq!(rows_of(&board, "totals"), 2, "the statuses that the query asks for: {board}");
    assert_eq!(rows_of(&board, "windows"), 11, "100 seconds and the disorder: {board}");
    assert!(rows_of(&board, "files") == 1000 && rows_of(&board, "changes") > 1000, "{board}");
    assert!(board.contains("│ -U") && board.contains("│ +U"), "changes say what they do: {board}");
}

#[test]
fn tables_without_an_end_have_one_on_a_laptop() {
    let dir = tempfile::tempdir().unwrap();
    let file = "
        CREATE TABLE f (name STRING, n INT, at TIMESTAMP(3), m MAP<STRING, INT>) WITH ('connector' = 'faker', 'rows-per-second' = '1',
            'fields.name.expression' = '#{Name.fullName}', 'fields.n.expression' = '#{number.numberBetween ''1'',''5''}',
            'fields.at.expression' = '#{date.past ''15'',''SECONDS''}', 'fields.m.key.expression' = '#{Color.name}',
            'fields.m.value.expression' = '#{number.numberBetween ''1'',''5''}', 'fields.m.length' = '2');
        CREATE TABLE d (a ARRAY<INT>, r ROW<x BIGINT, y STRING>) WITH ('connector' = 'datagen', 'rows-per-second' = '1',
            'fields.a.length' = '4', 'fields.a.element.min' = '1', 'fields.a.element.max' = '3', 'fields.r.x.kind' = 'random');
        CREATE TABLE s (name STRING, n INT, at TIMESTAMP(3), m MAP<STRING, INT>) WITH ('connector' = 'pulsar');
        CREATE TABLE t (size INT, x BIGINT) WITH ('connector' = 'http-sink');
        INSERT INTO s SELECT * FROM f WHERE n BETWEEN 1 AND 4 AND CARDINALITY(m) > 0 AND at IS NOT NULL;
        INSERT INTO t SELECT CARDINALITY(a), r.x FROM d WHERE a[1] BETWEEN 1 AND 3;";
    fs::write(dir.path().join("q.sql"), file).unwrap();
    let ran = paceline(dir.path(), &["run", "--local", "q.sql"]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let board = text(&ran.stdout);
    assert_eq!((rows_of(&board, "s"), rows_of(&board, "t")), (1000, 1000), "{board}");
}

#[test]
fn statements_of_a_session() {
    let dir = tempfile::tempdir().unwrap();
    let file = "
        SET sql-client.execution.result-mode = tableau;
        SET execution.checkpointing.interval = 3s;
        RESET 'execution.checkpointing.interval';
        CREATE CATALOG lake WITH ('type' = 'iceberg', 'warehouse' = 's3://x');
        CREATE DATABASE IF NOT EXISTS shop;
        USE shop;
        CREATE TABLE o (id BIGINT, kind STRING) DISTRIBUTED BY (id) INTO 4 BUCKETS WITH ('connector' = 'kafka');
        USE CATALOG lake;
        CREATE TABLE sales.totals (kind STRING, n BIGINT, PRIMARY KEY (kind) NOT ENFORCED);
        USE CATALOG default_catalog;
        CREATE TABLE shop.copy WITH ('connector' = 'kafka') AS SELECT o.id, kind FROM shop.o WHERE shop.o.id > 0;
        ALTER TABLE shop.copy ADD (note STRING AFTER id);
        ALTER TABLE shop.copy SET ('topic' = 'x');
        CREATE TABLE parts (id BIGINT, day STRING, hour INT) PARTITIONED BY (day, hour) WITH ('connector' = 'hive');
        INSERT INTO lake.sales.totals SELECT kind, COUNT(*) FROM default_catalog.shop.o GROUP BY kind;
        INSERT INTO parts PARTITION (day = '2024-01-01', hour = 7) SELECT id FROM shop.o;
        BEGIN STATEMENT SET;
        INSERT INTO shop.copy (id, kind) SELECT id, kind FROM shop.o;
        END;
        SHOW TABLES; DESCRIBE parts; ADD JAR 'x.jar';
        CREATE VIEW v AS SELECT 1 AS one; ALTER VIEW v RENAME TO w; DROP VIEW w; DROP TABLE IF EXISTS nope;";
    fs::write(dir.path().join("q.sql"), file).unwrap();
    let ran = paceline(dir.path(), &["run", "--local", "q.sql"]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let board = text(&ran.stdout);
    let log = text(&ran.stderr);
    assert!(rows_of(&board, "lake.sales.totals") > 1, "{board}");
    assert_eq!(rows_of(&board, "parts"), 1000, "{board}");
    assert!(board.contains("2024-01-01"), "{board}");
    assert!(log.contains("DISTRIBUTED of"), "{log}");
    assert!(board.contains("table name") && board.contains(" parts |"), "{board}");
}

/// What only a system outside knows, or what goes by a clock that samples do not wait for.
#[test]
fn watermarks_of_a_system_and_windows_by_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    let file = "
        CREATE TABLE visits (id STRING, cents STRING, at TIMESTAMP(3), pt AS PROCTIME(), WATERMARK FOR at AS SOURCE_WATERMARK())
            WITH ('connector' = 'kafka', 'topic' = 'v', 'format' = 'avro');
        CREATE TABLE by_time (w TIMESTAMP(3), n BIGINT, cents INT) WITH ('connector' = 'kafka', 'topic' = 'a', 'format' = 'json');
        CREATE TABLE by_clock (w TIMESTAMP(3), n BIGINT) WITH ('connector' = 'kafka', 'topic' = 'b', 'format' = 'json');
        INSERT INTO by_time SELECT window_start, COUNT(*), SUM(CAST(cents AS INT))
            FROM TABLE(TUMBLE(TABLE visits, DESCRIPTOR(at), INTERVAL '10' SECOND))
            WHERE CAST(cents AS INT) >= 0 GROUP BY window_start, window_end;
        INSERT INTO by_clock SELECT TUMBLE_START(pt, INTERVAL '1' HOUR), COUNT(*) FROM visits GROUP BY TUMBLE(pt, INTERVAL '1' HOUR);
    ";
    fs::write(dir.path().join("q.sql"), file).unwrap();
    let run = paceline(dir.path(), &["run", "--local", "q.sql"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let board = text(&run.stdout);
    // 1000 rows, 100 ms apart.
    assert!(rows_of(&board, "by_time") >= 10, "{board}");
    assert!(rows_of(&board, "by_clock") >= 1, "{board}");
}

/// A materialized table is a table with the query that fills it; procedures are left to their
/// catalog.
#[test]
fn materialized_tables_are_filled_while_the_run_lasts() {
    let dir = tempfile::tempdir().unwrap();
    let file = "
        CREATE TABLE orders (id INT, k INT) WITH ('connector' = 'kafka', 'topic' = 'o', 'format' = 'json');
        CALL sys.compact('orders');
        CREATE MATERIALIZED TABLE totals COMMENT 'per key' WITH ('connector' = 'jdbc', 'url' = 'x', 'table-name' = 't')
            FRESHNESS = INTERVAL '1' MINUTE REFRESH_MODE = FULL AS SELECT k, COUNT(*) AS n FROM orders GROUP BY k;
        CREATE OR ALTER MATERIALIZED TABLE others WITH ('connector' = 'kafka', 'topic' = 'x', 'format' = 'json') AS SELECT id FROM orders;
    ";
    fs::write(
        dir.path().join("q.sql"),
        file.replace("'connector' = 'jdbc'", "'connector' = 'hudi'"),
    )
    .unwrap();
    let run = paceline(dir.path(), &["run", "--local", "q.sql"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let board = text(&run.stdout);
    assert!(rows_of(&board, "others") > 0, "{board}");
    assert!(text(&run.stderr).contains("CALL does nothing here"), "{}", text(&run.stderr));
}
