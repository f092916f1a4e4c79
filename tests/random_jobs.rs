//! Do random jobs agree with a naive recomputation? The oracle below shares no code with the
//! engine: it reads rows one by one, keeps every window in an ordered map, and decides lateness row
//! by row from the split's own watermark.
//!
//! What each part would catch: disorder and cuts, wrong lateness; several splits, a watermark that
//! runs ahead; small batches, anything that depends on batch boundaries; kills, anything lost or
//! counted twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::job::{finish_with_kills, sink_rows};
use crate::support::seeds::{chosen, each_seed};
use crate::support::tier::by_tier;

struct Row {
    key: Option<String>,
    group: i64,
    value: Option<i64>,
    text: Option<String>,
    ts_ms: i64,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Tumble,
    Hop,
    Cumulate,
    /// With a gap of the step.
    Session,
}

struct Job {
    splits: Vec<Vec<Row>>,
    delay_s: i64,
    kind: Kind,
    size_s: i64,
    /// From one window to the next: the size for TUMBLE.
    step_s: i64,
    offset_s: i64,
}

fn generate(rng: &mut ChaCha8Rng) -> Job {
    let splits = rng.random_range(1..=5);
    let rows = rng.random_range(2000..2600);
    let delay_s = rng.random_range(0..8);
    let step_s = rng.random_range(1..6);
    let steps = rng.random_range(1..6);
    let kind = [Kind::Tumble, Kind::Hop, Kind::Cumulate, Kind::Session][rng.random_range(0..4)];
    let keys = rng.random_range(1..30);
    // More disorder than the watermark allows for makes late rows.
    let disorder_ms = rng.random_range(0..=2 * delay_s * 1000 + 500);
    let start_ms = [0, 1_700_000_000_000, -40_000][rng.random_range(0..3)];
    let mut out: Vec<Vec<Row>> = (0..splits).map(|_| Vec::new()).collect();
    for i in 0..rows {
        let split = rng.random_range(0..splits);
        let skew = split as i64 * rng.random_range(0..300);
        let ts_ms = start_ms + i * 40 + skew - rng.random_range(0..=disorder_ms);
        out[split].push(Row {
            key: (!rng.random_bool(0.05)).then(|| format!("k{}", rng.random_range(0..keys))),
            group: rng.random_range(-2..3),
            value: (!rng.random_bool(0.1)).then(|| rng.random_range(-1000..1000)),
            text: (!rng.random_bool(0.1)).then(|| format!("t{}", rng.random_range(0..6))),
            ts_ms,
        });
    }
    Job {
        splits: out,
        delay_s,
        kind,
        size_s: if kind == Kind::Tumble { step_s } else { step_s * steps },
        step_s,
        offset_s: rng.random_range(-3..4),
    }
}

fn text_of(ts_ms: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(ts_ms).expect("in range");
    let text = at.format("%Y-%m-%d %H:%M:%S%.3f").to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

fn json(v: Option<&String>) -> String {
    v.map_or("null".into(), |v| format!("{v:?}"))
}

#[derive(Default)]
struct Cell {
    count: i64,
    positive: i64,
    values: Vec<i64>,
    texts: BTreeSet<String>,
}

impl Cell {
    fn add(&mut self, row: &Row) {
        self.count += 1;
        self.positive += i64::from(row.value.is_some_and(|v| v > 0));
        self.values.extend(row.value);
        self.texts.extend(row.text.clone());
    }
}

/// Rows of one key and split without a gap.
struct Run<'a> {
    split: usize,
    start: i64,
    end: i64,
    /// The split's watermark when the start became what it is.
    since: i64,
    rows: Vec<&'a Row>,
}

/// Every session: first the runs of each split, row by row as Flink has them, then what touches
/// across splits.
fn sessions(job: &Job) -> Vec<(i64, i64, Option<String>, i64, Cell)> {
    let (gap, delay) = (job.step_s * 1000, job.delay_s * 1000);
    let mut runs: BTreeMap<(Option<String>, i64), Vec<Run<'_>>> = BTreeMap::new();
    if job.kind != Kind::Session {
        return vec![];
    }
    for (number, split) in job.splits.iter().enumerate() {
        let mut watermark = i64::MIN;
        for row in split {
            let known = runs.entry((row.key.clone(), row.group)).or_default();
            let mut new = Run {
                split: number,
                start: row.ts_ms,
                end: row.ts_ms + gap,
                since: watermark,
                rows: vec![row],
            };
            let is_open = |r: &Run<'_>| r.split == number && r.end - 1 > watermark;
            let touched = |r: &Run<'_>| is_open(r) && r.start <= new.end && new.start <= r.end;
            let (joined, rest): (Vec<Run<'_>>, Vec<Run<'_>>) =
                std::mem::take(known).into_iter().partition(touched);
            *known = rest;
            let late = joined.is_empty() && new.end - 1 <= watermark;
            for run in joined {
                if run.start < new.start || run.start == new.start && run.since < new.since {
                    (new.start, new.since) = (run.start, run.since);
                }
                new.end = new.end.max(run.end);
                new.rows.extend(run.rows);
            }
            if !late {
                known.push(new);
            }
            if row.ts_ms - delay > 0 {
                watermark = watermark.max(row.ts_ms - delay);
            }
        }
    }
    let mut out = Vec::new();
    for ((key, group), mut left) in runs {
        while let Some(first) = left.pop() {
            let mut session = vec![first];
            let mut at = 0;
            while at < session.len() {
                let one = &session[at];
                let joins = |r: &Run<'_>| {
                    let touch = r.start <= one.end && one.start <= r.end;
                    r.split != one.split && touch && r.since < one.end - 1 && one.since < r.end - 1
                };
                let (more, rest): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut left).into_iter().partition(joins);
                left = rest;
                session.extend(more);
                at += 1;
            }
            let mut cell = Cell::default();
            session.iter().flat_map(|r| &r.rows).for_each(|row| cell.add(row));
            let start = session.iter().map(|r| r.start).min().expect("not empty");
            let end = session.iter().map(|r| r.end).max().expect("not empty");
            out.push((start, end, key.clone(), group, cell));
        }
    }
    out
}

/// Every window, recomputed row by row.
fn oracle(job: &Job) -> Vec<String> {
    type Key = (i64, i64, Option<String>, i64);
    let (size, step, delay, offset) =
        (job.size_s * 1000, job.step_s * 1000, job.delay_s * 1000, job.offset_s * 1000);
    let mut cells: BTreeMap<Key, Cell> = BTreeMap::new();
    let sliced = if job.kind == Kind::Session { &[][..] } else { &job.splits };
    for (start, end, key, group, cell) in sessions(job) {
        // Sessions of one key may overlap, but none has the bounds of another here: rows of both
        // would have to be late.
        assert!(cells.insert((start, end, key, group), cell).is_none());
    }
    for split in sliced {
        let mut watermark = i64::MIN;
        for row in split {
            let mut windows = Vec::new();
            if job.kind == Kind::Hop {
                let mut start = row.ts_ms - (row.ts_ms - offset).rem_euclid(step);
                while start + size > row.ts_ms {
                    windows.push((start, start + size));
                    start -= step;
                }
            } else {
                let start = row.ts_ms - (row.ts_ms - offset).rem_euclid(size);
                windows.extend(
                    (1..=size / step)
                        .map(|k| (start, start + k * step))
                        .filter(|(_, end)| row.ts_ms < *end),
                );
            }
            for (start, end) in windows.into_iter().filter(|(_, end)| watermark < end - 1) {
                cells.entry((start, end, row.key.clone(), row.group)).or_default().add(row);
            }
            if row.ts_ms - delay > 0 {
                watermark = watermark.max(row.ts_ms - delay);
            }
        }
    }
    let mut out = Vec::new();
    for ((start, end, key, group), cell) in &cells {
        let sum: Option<i64> = cell.values.iter().copied().reduce(|a, b| a + b);
        let number = |v: Option<i64>| v.map_or("null".to_string(), |v| v.to_string());
        out.push(format!(
            "{{\"avg\":{},\"c\":{},\"g\":{group},\"k\":{},\"mn\":{},\"mx\":{},\"p\":{},\"s\":{},\"t\":{},\"we\":{:?},\"ws\":{:?}}}",
            number(sum.map(|s| s / cell.values.len() as i64)),
            cell.count,
            json(key.as_ref()),
            number(cell.values.iter().copied().min()),
            number(cell.values.iter().copied().max()),
            cell.positive,
            number(sum),
            cell.texts.len(),
            text_of(*end),
            text_of(*start),
        ));
    }
    out.sort();
    out
}

fn run(seed: u64) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let job = generate(&mut rng);
    let dir = tempfile::tempdir().expect("temporary folder");
    let input = dir.path().join("in");
    fs::create_dir_all(&input).expect("folder");
    for (i, rows) in job.splits.iter().enumerate() {
        let mut text = String::new();
        for row in rows {
            let value = row.value.map_or("null".to_string(), |v| v.to_string());
            let (key, other) = (json(row.key.as_ref()), json(row.text.as_ref()));
            let _ = writeln!(
                text,
                "{{\"k\":{key},\"g\":{},\"v\":{value},\"t\":{other},\"ts\":\"{}\"}}",
                row.group,
                text_of(row.ts_ms)
            );
        }
        fs::write(input.join(format!("{i}.jsonl")), text).expect("writes");
    }
    let interval = |s: i64| format!("INTERVAL '{s}' SECOND");
    let (name, intervals) = match job.kind {
        Kind::Tumble => ("TUMBLE", vec![job.size_s]),
        Kind::Hop => ("HOP", vec![job.step_s, job.size_s]),
        Kind::Cumulate => ("CUMULATE", vec![job.step_s, job.size_s]),
        Kind::Session => ("SESSION", vec![job.step_s]),
    };
    let offset = (job.kind != Kind::Session).then_some(job.offset_s);
    let partition = if job.kind == Kind::Session { " PARTITION BY (k, g)" } else { "" };
    let intervals =
        intervals.into_iter().chain(offset).map(interval).collect::<Vec<_>>().join(", ");
    let window = format!("{name}(TABLE src{partition}, DESCRIPTOR(ts), {intervals})");
    let sql = format!(
        "CREATE TABLE src (k STRING, g INT, v BIGINT, t STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - {delay})
           WITH ('connector'='filesystem','format'='json','path'='{input}');
         CREATE TABLE res (avg BIGINT, c BIGINT, g INT, k STRING, mn BIGINT, mx BIGINT, p BIGINT, s BIGINT, t BIGINT, we TIMESTAMP(3), ws TIMESTAMP(3))
           WITH ('connector'='filesystem','format'='json','path'='{out}');
         INSERT INTO res SELECT AVG(v), COUNT(*), g, k, MIN(v), MAX(v), COUNT(*) FILTER (WHERE v > 0), SUM(v), COUNT(DISTINCT t), window_end, window_start
           FROM TABLE({window}) GROUP BY window_start, window_end, k, g;",
        delay = interval(job.delay_s),
        input = input.display(),
        out = dir.path().join("out").display(),
    );
    let records = job.splits.iter().map(Vec::len).sum::<usize>() as u64;
    let kills = rng.random_range(0..4);
    let restores = finish_with_kills(&sql, &dir.path().join("state"), seed, kills, records);
    let got = sink_rows(&dir.path().join("out"));
    let expected = oracle(&job);
    if got != expected {
        let (got, expected): (BTreeSet<_>, BTreeSet<_>) =
            (got.iter().collect(), expected.iter().collect());
        let missing: Vec<_> = expected.difference(&got).take(5).collect();
        let extra: Vec<_> = got.difference(&expected).take(5).collect();
        panic!(
            "seed {seed}: {} rows instead of {}\nmissing {missing:#?}\nextra {extra:#?}",
            got.len(),
            expected.len()
        );
    }
    restores
}

/// Seeds are dealt over a few tests, which run side by side.
fn quarter(number: u64) {
    let seeds = by_tier(10, 50, 1250);
    let mut restores = 0;
    each_seed(number * seeds..(number + 1) * seeds, |seed| restores += run(seed));
    // A single seed need not.
    assert!(restores > 0 || chosen().is_some(), "no job went on from stored state");
}

#[test]
fn first_quarter() {
    quarter(0);
}

#[test]
fn second_quarter() {
    quarter(1);
}

#[test]
fn third_quarter() {
    quarter(2);
}

#[test]
fn last_quarter() {
    quarter(3);
}
