//! Do windows of processing time count every row once? The binary on an endless source, killed and
//! stopped in the middle.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

const QUERY: &str = "
    CREATE TABLE src (id BIGINT, k AS MOD(id, 3), pt AS PROCTIME())
      WITH ('connector'='datagen', 'rows-per-second'='400', 'fields.id.kind'='sequence', 'fields.id.start'='1', 'fields.id.end'='1000000');
    CREATE TABLE counts (ws TIMESTAMP(3), k BIGINT, n BIGINT, lo BIGINT, hi BIGINT)
      WITH ('connector'='filesystem', 'format'='json', 'path'='counts');
    INSERT INTO counts SELECT window_start, k, COUNT(*), MIN(id), MAX(id)
      FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(pt), INTERVAL '1' SECOND)) GROUP BY window_start, window_end, k;";

fn start(dir: &Path, workers: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    command.args(["run", "q.sql", "--state-dir", "state", "--parallelism", workers]);
    command.args(["--set", "execution.checkpointing.interval=200 ms"]);
    command.current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts")
}

/// Published rows, by key and window.
fn counts(dir: &Path) -> BTreeMap<(i64, String), (i64, i64, i64)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir.join("counts")).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        for line in fs::read_to_string(entry.path()).expect("text").lines() {
            let row: Value = serde_json::from_str(line).expect("an object");
            let number = |name: &str| row[name].as_i64().expect("a number");
            let window = (number("k"), row["ws"].as_str().expect("text").to_owned());
            assert!(
                all.insert(window, (number("n"), number("lo"), number("hi"))).is_none(),
                "a window twice: {line}"
            );
        }
    }
    all
}

/// Goes on when so many windows have been published, however slow the machine is.
fn wait_for(dir: &Path, windows: usize, child: &mut Child) {
    while counts(dir).len() < windows {
        assert!(child.try_wait().expect("runs").is_none(), "the job has ended");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn every_row_is_in_one_window_of_processing_time() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let dir = dir.path();
    fs::write(dir.join("q.sql"), QUERY).expect("writes");
    for (attempt, workers) in ["1", "3", "2"].into_iter().enumerate() {
        let mut child = start(dir, workers);
        wait_for(dir, 6 * (attempt + 1), &mut child);
        child.kill().expect("SIGKILL");
        child.wait().expect("ends");
    }
    let all = counts(dir);
    for key in 0..3 {
        // Ids of a key come in order and three apart: windows follow each other without a hole and
        // without an id twice.
        let mut windows: Vec<_> =
            all.iter().filter(|((k, _), _)| *k == key).map(|(_, w)| *w).collect();
        windows.sort_by_key(|(_, lo, _)| *lo);
        let mut next = if key == 0 { 3 } else { key };
        for (n, lo, hi) in windows {
            assert_eq!((lo, hi), (next, lo + (n - 1) * 3), "key {key}");
            next = hi + 3;
        }
        assert!(next > 100, "key {key} came to {next}");
    }
}
