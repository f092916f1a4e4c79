//! Aggregates that go by the order of arrival, and windows in time zones: what the recorded cases
//! do not show. Several splits, what is refused and where, keys that are there twice, and the
//! windows that Flink loses rows of.

use std::fs;
use std::path::Path;

use crate::support::job::{Variation, attempt, finish, finish_with_kills, planned, sink_rows};
use crate::support::seeds::{each_seed, one_seed};
use crate::support::tier::by_tier;

const TABLES: &str = "CREATE TABLE src (k STRING, v BIGINT, s STRING, ms BIGINT, ts AS TO_TIMESTAMP_LTZ(ms, 3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector'='filesystem','format'='json','path'='${DIR}/in');
CREATE TABLE res (we TIMESTAMP(3), k STRING, a STRING, b STRING) WITH ('connector'='filesystem','format'='json','path'='${DIR}/out');
";
const TUMBLE: &str = "FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '1' HOUR)) GROUP BY window_start, window_end, k;";
const HOP: &str = "FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '1' HOUR, INTERVAL '2' HOUR)) GROUP BY window_start, window_end, k;";

fn sql(query: &str, dir: &Path) -> String {
    format!("{TABLES}{query}").replace("${DIR}", &dir.display().to_string())
}

/// A folder of splits, each with rows of (key, number, ms).
fn input(dir: &Path, splits: &[Vec<(&str, i64, i64)>]) {
    fs::create_dir_all(dir.join("in")).expect("folder");
    for (i, rows) in splits.iter().enumerate() {
        let line = |(k, v, ms): &(&str, i64, i64)| {
            format!("{{\"k\":\"{k}\",\"v\":{v},\"s\":\"s{v}\",\"ms\":{ms}}}\n")
        };
        fs::write(
            dir.join("in").join(format!("{i}.jsonl")),
            rows.iter().map(line).collect::<String>(),
        )
        .expect("writes");
    }
}

#[test]
fn rows_of_several_splits_have_one_order_whatever_the_kills() {
    // Split 0 is ahead of split 1 in event time, row by row: its rows are later.
    let rows = |offset: i64| {
        (0..300).map(move |i| {
            (["a", "b"][(i % 2) as usize], i * 2 + offset, i * 10_000 + offset * 5000)
        })
    };
    let query = format!(
        "INSERT INTO res SELECT window_end, k, CONCAT(CAST(FIRST_VALUE(v) AS STRING), '-', CAST(LAST_VALUE(v) AS STRING)), \
         LISTAGG(s) {TUMBLE}"
    );
    let dir = tempfile::tempdir().expect("temporary folder");
    input(dir.path(), &[rows(1).collect(), rows(0).collect()]);
    finish(&sql(&query, dir.path()), &dir.path().join("state"), &Variation::plain(1));
    let expected = sink_rows(&dir.path().join("out"));
    // Within a split the numbers rise, and the splits' watermarks interleave them.
    assert!(expected[0].contains("s0,s1,s4,s5,s8,s9,"), "{}", expected[0]);
    each_seed(0..by_tier(3, 6, 400), |seed| {
        let dir = tempfile::tempdir().expect("temporary folder");
        input(dir.path(), &[rows(1).collect(), rows(0).collect()]);
        finish_with_kills(&sql(&query, dir.path()), &dir.path().join("state"), seed, 3, 600);
        assert_eq!(sink_rows(&dir.path().join("out")), expected);
    });
}

#[test]
fn a_key_that_is_there_twice_ends_the_job_as_in_flink() {
    let dir = tempfile::tempdir().expect("temporary folder");
    input(dir.path(), &[vec![("a", 1, 1000), ("a", 1, 2000)]]);
    let query = format!(
        "INSERT INTO res SELECT window_end, k, JSON_OBJECTAGG(KEY s VALUE v), 'x' {TUMBLE}"
    );
    let (outcome, _) =
        attempt(&sql(&query, dir.path()), &dir.path().join("state"), &Variation::plain(1));
    let error = outcome.expect_err("a key twice").to_string();
    assert!(error.contains("\"s1\"") && error.contains("twice"), "{error}");
}

#[test]
fn what_flink_refuses_is_refused_with_its_place() {
    let dir = Path::new("nowhere");
    for (query, said) in [
        (format!("SELECT k, FIRST_VALUE(v) {HOP}"), "FIRST_VALUE"),
        (format!("SELECT k, JSON_ARRAYAGG(v) {HOP}"), "JSON_ARRAYAGG"),
        (format!("SELECT k, APPROX_COUNT_DISTINCT(v) {TUMBLE}"), "COUNT(DISTINCT"),
        (format!("SELECT k, LISTAGG(s, k) {TUMBLE}"), "constant"),
        (format!("SELECT k, LISTAGG(v) {TUMBLE}"), "BIGINT"),
        (format!("SELECT k, PERCENTILE(v, 1.5) {TUMBLE}"), "between 0 and 1"),
        (format!("SELECT k, PERCENTILE(v) {TUMBLE}"), "PERCENTILE"),
        (format!("SELECT k, STDDEV_POP(s) {TUMBLE}"), "STRING"),
        (format!("SELECT k, FIRST_VALUE(v IGNORE NULLS) {TUMBLE}"), "IGNORE NULLS"),
        (format!("SELECT k, JSON_ARRAYAGG(v) FILTER (WHERE v > 1) {TUMBLE}"), ""),
        ("SET 'table.local-time-zone' = 'Europe/Berlin';".to_string(), "set it first"),
        ("SET 'table.local-time-zone' = 'Europe/Nowhere';".to_string(), "no time zone"),
    ] {
        let error = planned(&sql(&query, dir)).expect_err(&query);
        let text = format!("{} {:?}", error.message, error);
        assert!(text.contains(said), "{query}: {text}");
        assert!(error.place.is_some(), "{query}: {text}");
    }
}

/// Flink 2.3 loses rows of window functions in zones of half hours without daylight saving; its
/// older windows do not. Ours give the same rows.
#[test]
fn zones_of_half_hours_lose_no_rows() {
    let rows: Vec<_> = (0..200).map(|i| ("a", i, 1_710_000_000_000 + i * 97_000)).collect();
    let older = "FROM src GROUP BY TUMBLE(ts, INTERVAL '1' HOUR), k;";
    let mut answers = Vec::new();
    for (end, from) in [("window_end", TUMBLE), ("TUMBLE_END(ts, INTERVAL '1' HOUR)", older)] {
        let dir = tempfile::tempdir().expect("temporary folder");
        input(dir.path(), std::slice::from_ref(&rows));
        let query = format!(
            "INSERT INTO res SELECT {end}, k, CAST(COUNT(*) AS STRING), CAST(MAX(v) AS STRING) {from}"
        );
        let text =
            format!("SET 'table.local-time-zone' = 'Asia/Kolkata';\n{}", sql(&query, dir.path()));
        let (outcome, _) = attempt(&text, &dir.path().join("state"), &Variation::plain(2));
        outcome.expect("runs");
        answers.push(sink_rows(&dir.path().join("out")));
    }
    assert_eq!(answers[0], answers[1]);
    // 200 rows of 97 s over whole hours of the wall.
    assert!(answers[0].len() == 6 && answers[0][0].contains(":00:00"), "{answers:#?}");
}

/// In a zone behind UTC the windows end, on the wall, before the watermark that closes them.
#[test]
fn a_top_n_and_a_cascade_in_a_zone_behind_utc_lose_no_rows() {
    let seed = one_seed(7);
    let rows = |zone: &str, query: &str| {
        let dir = tempfile::tempdir().expect("temporary folder");
        let of_key = |k, from: i64| {
            (0..400).map(move |i| (k, i, 1_710_000_000_000 + i * 60_000 + from)).collect()
        };
        input(dir.path(), &[of_key("a", 0), of_key("b", 1000)]);
        let text = format!("SET 'table.local-time-zone' = '{zone}';\n{}", sql(query, dir.path()));
        finish_with_kills(&text, &dir.path().join("state"), seed.number, 3, 800);
        sink_rows(&dir.path().join("out")).len()
    };
    let counts = format!(
        "SELECT window_start AS ws, window_end AS we, window_time AS wt, k, COUNT(*) AS c {TUMBLE}"
    );
    let counts =
        counts.trim_end_matches(';').replace("window_end, k", "window_end, window_time, k");
    let top = format!(
        "INSERT INTO res SELECT we, k, CAST(c AS STRING), 'x' FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY ws, we ORDER BY c DESC, \
         k) AS rn FROM (SELECT ws, we, k, c FROM ({counts}))) WHERE rn <= 1;"
    );
    let cascade = format!(
        "CREATE VIEW hours AS {counts};\nINSERT INTO res SELECT window_end, k, CAST(SUM(c) AS STRING), 'x' FROM TABLE(TUMBLE(TABLE hours, \
         DESCRIPTOR(wt), INTERVAL '2' HOUR)) GROUP BY window_start, window_end, k;"
    );
    for query in [top, cascade] {
        assert_eq!(rows("America/New_York", &query), rows("UTC", &query), "{query}");
    }
}
