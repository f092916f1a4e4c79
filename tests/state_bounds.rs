//! Does state stay within its bounds, and does it leave? Windows with far more keys than fit into
//! the memory they are given.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use paceline::ids::Epoch;
use paceline::runtime::control::Stats;
use paceline::runtime::job::Observer;
use paceline::runtime::options::CheckpointTrigger;
use paceline::runtime::worker::SharedSource;
use paceline::state::store::{StateDb, StateMemory};

use crate::support::changelog_sink::changes;
use crate::support::job::{Variation, finish, observe, sink_rows};

const BUDGET_BYTES: usize = 200_000;

/// Keys in the stores of a checkpoint, counted in a copy.
fn stored_keys(checkpoint: &Path) -> usize {
    let mut keys = 0;
    for worker in fs::read_dir(checkpoint).unwrap().flatten().filter(|e| e.path().is_dir()) {
        let copy = tempfile::tempdir().unwrap();
        for file in fs::read_dir(worker.path()).unwrap().flatten() {
            fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        let db = StateDb::open(copy.path(), &StateMemory::new(16 << 20, 1)).unwrap();
        db.scan_all(|_, _| {
            keys += 1;
            Ok::<_, paceline::state::StateError>(())
        })
        .unwrap();
    }
    keys
}

#[derive(Default)]
struct Watch {
    checkpoints: PathBuf,
    /// Stored keys at each checkpoint.
    keys: Vec<usize>,
    spills: u64,
}

impl Observer for Watch {
    fn progress(&mut self, stats: &Stats, _: &[Arc<SharedSource>]) {
        self.spills = stats.spills.load(Ordering::Relaxed);
    }
    fn checkpoint(&mut self, epoch: Epoch) {
        self.keys.push(stored_keys(&self.checkpoints.join(format!("{epoch:08}"))));
    }
    fn resumed(&mut self, _: Epoch, _: &[(Epoch, String)]) {}
}

/// 20,000 keys, most of them in every window; some rows late for one window and in time for the
/// next.
fn write_rows(folder: &Path) {
    let mut rows = String::new();
    for i in 0..60_000u64 {
        let key = i * 7919 % 20_000;
        let at_ms = i * 2 - if i % 50 == 0 { (i * 2).min(7000) } else { 0 };
        let _ = writeln!(
            rows,
            r#"{{"k":{key},"v":{},"ts":"2024-01-01 00:{:02}:{:02}.{:03}"}}"#,
            i % 101,
            at_ms / 60_000,
            at_ms / 1000 % 60,
            at_ms % 1000
        );
    }
    fs::write(folder.join("in.jsonl"), rows).unwrap();
}

fn source(folder: &Path) -> String {
    format!(
        "CREATE TABLE src (k BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '4' SECOND)
           WITH ('connector'='filesystem','format'='json','path'='{}/in.jsonl');",
        folder.display()
    )
}

/// Runs a job with little memory: it must move state to the store, and leave none when every window
/// has fired.
fn run_tight(sql: &str, state: &Path) {
    let variation = Variation {
        accumulator_bytes_max: BUDGET_BYTES,
        trigger: CheckpointTrigger::Records(20_000),
        ..Variation::plain(2)
    };
    let mut watch = Watch { checkpoints: state.join("checkpoints"), ..Watch::default() };
    observe(sql, state, &variation, &mut watch).unwrap();
    assert!(watch.spills > 0, "nothing was moved to the store");
    assert!(watch.keys.iter().any(|keys| *keys > 0), "{:?} stored keys", watch.keys);
    assert_eq!(watch.keys.last(), Some(&0), "keys are left after every window has fired");
}

fn check(window: &str) {
    let dir = tempfile::tempdir().unwrap();
    write_rows(dir.path());
    let sql = |out: &str| {
        format!(
            "{}
             CREATE TABLE res (we TIMESTAMP(3), k BIGINT, c BIGINT, s BIGINT, m BIGINT, d BIGINT)
               WITH ('connector'='filesystem','format'='json','path'='{}/{out}');
             INSERT INTO res SELECT window_end, k, COUNT(*), SUM(v), MAX(v), COUNT(DISTINCT v)
               FROM TABLE({window}) GROUP BY window_start, window_end, k;",
            source(dir.path()),
            dir.path().display()
        )
    };
    finish(&sql("roomy"), &dir.path().join("roomy-state"), &Variation::plain(1));
    let expected = sink_rows(&dir.path().join("roomy"));
    assert!(expected.len() > 20_000, "{} rows", expected.len());
    run_tight(&sql("tight"), &dir.path().join("state"));
    assert!(
        sink_rows(&dir.path().join("tight")) == expected,
        "rows differ when windows are moved to the store"
    );
}

/// Windows that are sent more than once.
#[test]
fn changing_windows_spill_and_leave() {
    let dir = tempfile::tempdir().unwrap();
    write_rows(dir.path());
    let sql = format!(
        "SET 'table.exec.emit.early-fire.enabled' = 'true'; SET 'table.exec.emit.early-fire.delay' = '1 h';
         SET 'table.exec.emit.allow-lateness' = '2 s'; {}
         SELECT HOP_END(ts, INTERVAL '10' SECOND, INTERVAL '20' SECOND), k, COUNT(*), SUM(v), MAX(v), COUNT(DISTINCT v) FROM src
           GROUP BY HOP(ts, INTERVAL '10' SECOND, INTERVAL '20' SECOND), k;",
        source(dir.path())
    );
    let (roomy, tight) = (dir.path().join("roomy"), dir.path().join("tight"));
    finish(&sql, &roomy.join("state"), &Variation::plain(1));
    let expected = table(&roomy);
    assert!(expected.len() > 20_000, "{} rows", expected.len());
    run_tight(&sql, &tight.join("state"));
    assert!(table(&tight) == expected, "rows differ when groups are moved to the store");
}

#[test]
fn tumbling_windows_spill_and_leave() {
    check("TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '30' SECOND)");
}

#[test]
fn hopping_windows_spill_and_leave() {
    check("HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND)");
}

#[test]
fn sessions_spill_and_leave() {
    check("SESSION(TABLE src PARTITION BY k, DESCRIPTOR(ts), INTERVAL '15' SECOND)");
}

#[test]
fn cumulating_windows_spill_and_leave() {
    check("CUMULATE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '1' MINUTE)");
}

/// The table that the changes of the first SELECT lead to.
fn table(dir: &Path) -> BTreeMap<String, i64> {
    let mut rows: BTreeMap<String, i64> = BTreeMap::new();
    for (op, row) in changes(&dir.join("changes").join("select_1")) {
        *rows.entry(row).or_default() += if op.adds() { 1 } else { -1 };
    }
    rows.retain(|_, n| *n != 0);
    rows
}

/// Keys without a window: twenty times more than fit into the memory they are given.
fn check_keyed(select: &str, expected: impl Fn(i64, &[i64]) -> String) {
    const KEYS: i64 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let (mut rows, mut values) = (String::new(), BTreeMap::<i64, Vec<i64>>::new());
    for i in 0..50_000i64 {
        let (key, value) = (i * 7919 % KEYS, i * 31 % 1009);
        values.entry(key).or_default().push(value);
        let _ = writeln!(rows, r#"{{"k":{key},"v":{value}}}"#);
    }
    fs::write(dir.path().join("in.jsonl"), rows).unwrap();
    let sql = format!(
        "CREATE TABLE src (k BIGINT, v BIGINT) WITH ('connector'='filesystem','format'='json','path'='{}/in.jsonl'); {select};",
        dir.path().display()
    );
    let state = dir.path().join("state");
    let variation = Variation {
        accumulator_bytes_max: BUDGET_BYTES,
        trigger: CheckpointTrigger::Records(20_000),
        ..Variation::plain(2)
    };
    let mut watch = Watch { checkpoints: state.join("checkpoints"), ..Watch::default() };
    observe(&sql, &state, &variation, &mut watch).unwrap();
    assert!(watch.spills > 0, "nothing was moved to the store");
    assert_eq!(watch.keys.last(), Some(&(KEYS as usize)), "{:?} stored keys", watch.keys);
    let expected: BTreeMap<String, i64> =
        values.iter().map(|(&k, values)| (expected(k, values), 1)).collect();
    assert!(table(dir.path()) == expected, "the table differs");
}

#[test]
fn groups_without_a_window_need_not_fit() {
    check_keyed(
        "SELECT k, COUNT(*) AS c, SUM(v) AS s, COUNT(DISTINCT v) AS d FROM src GROUP BY k",
        |k, values| {
            let distinct: BTreeSet<&i64> = values.iter().collect();
            let (count, sum) = (values.len(), values.iter().sum::<i64>());
            format!(r#"{{"k":{k},"c":{count},"s":{sum},"d":{}}}"#, distinct.len())
        },
    );
}

#[test]
fn partitions_of_a_top_n_need_not_fit() {
    let select = "SELECT k, v FROM (SELECT k, v, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) AS rn FROM src) WHERE rn = 1";
    check_keyed(select, |k, values| {
        format!(r#"{{"k":{k},"v":{}}}"#, values.iter().max().unwrap_or(&0))
    });
}

/// The most memory that a process of this id has had, in bytes; None when it has ended.
fn peak_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The whole process, with state that is much larger than its share: what is copied while it moves
/// counts too.
#[test]
fn memory_stays_within_its_setting() {
    let dir = tempfile::tempdir().unwrap();
    // A million keys of a hundred letters, all in one window.
    let sql = "CREATE TABLE src (id BIGINT, k AS LPAD(CAST(id AS STRING), 100, 'x'), ts AS TO_TIMESTAMP_LTZ(id, 3), WATERMARK FOR ts AS ts)
                 WITH ('connector'='datagen', 'rows-per-second'='1000000000', 'fields.id.kind'='sequence', 'fields.id.start'='0', 'fields.id.end'='999999');
               CREATE TABLE gone (k STRING, c BIGINT, s BIGINT) WITH ('connector'='blackhole');
               INSERT INTO gone SELECT k, COUNT(*), SUM(id) FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '4' HOUR))
                 GROUP BY window_start, window_end, k;";
    fs::write(dir.path().join("q.sql"), sql).unwrap();
    let run = |state: &str, stop_after: Option<std::time::Duration>| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_paceline"));
        command
            .args(["run", "q.sql", "--parallelism", "2", "--set", "paceline.memory=256 mb"])
            .current_dir(dir.path());
        command.args(["--set", "execution.checkpointing.interval=2 s", "--state-dir", state]);
        let mut job = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        let started = std::time::Instant::now();
        let (mut peak, mut stops) = (0, stop_after);
        let status = loop {
            peak = peak.max(peak_bytes(job.id()).unwrap_or(0));
            if let Some(status) = job.try_wait().unwrap() {
                break status;
            }
            if stops.is_some_and(|after| started.elapsed() > after) {
                stops = None;
                super::operations::signal(&job, "TERM");
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        };
        assert!(status.success());
        assert!((50 << 20..(256 << 20) / 5 * 6).contains(&peak), "{peak} bytes, state in {state}");
        started.elapsed()
    };
    let whole = run("whole", None);
    // The same in two parts: the second finds most of its window in the store.
    run("parts", Some(whole / 2));
    run("parts", None);
}
