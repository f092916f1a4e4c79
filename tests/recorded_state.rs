//! Does today's build go on from state that an earlier one left? The folders of `tests/state`, each
//! resumed and compared with a run that was never stopped.
//!
//! What it would catch: a changed encoding of a manifest, a key or a value in the store, and a
//! changed name of an operator.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::operations::answer;

fn recorded() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

fn copied(folder: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(folder, dir.path());
    dir
}

/// Exit code, stdout, stderr.
fn run(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    command.args(["run", "query.sql", "--output", "json"]).args(args).current_dir(dir);
    answer(&command.output().unwrap())
}

/// What is in a table after the changes that were printed: rows with their count.
fn table(printed: &str) -> BTreeMap<String, i64> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for line in printed.lines() {
        let mut row: serde_json::Map<String, Value> =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let op = row.remove("op").expect("an op");
        let by = if ["+I", "+U"].contains(&op.as_str().expect("text")) { 1 } else { -1 };
        *counts.entry(Value::Object(row).to_string()).or_default() += by;
    }
    counts.retain(|_, n| *n != 0);
    counts
}

/// The published lines of every sink, sorted.
fn published(dir: &Path) -> BTreeMap<String, Vec<String>> {
    let mut sinks: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for sink in fs::read_dir(dir.join("out")).unwrap() {
        let sink = sink.unwrap();
        let rows = sinks.entry(sink.file_name().to_string_lossy().into_owned()).or_default();
        for part in fs::read_dir(sink.path()).unwrap() {
            let part = part.unwrap();
            assert!(
                !part.file_name().to_string_lossy().starts_with('.'),
                "{:?} was left behind",
                part.path()
            );
            rows.extend(fs::read_to_string(part.path()).unwrap().lines().map(String::from));
        }
        rows.sort();
    }
    sinks
}

#[test]
fn state_of_earlier_builds_goes_on() {
    for folder in recorded().into_iter().filter(|folder| !folder.join("refused").exists()) {
        let name = folder.display();
        let whole = copied(&folder);
        fs::remove_dir_all(whole.path().join("out")).unwrap();
        let (code, printed, text) =
            run(whole.path(), &["--parallelism", "1", "--state-dir", "new"]);
        assert_eq!(code, 0, "{name}: {text}");
        let expected = published(whole.path());
        assert!(expected.values().all(|rows| !rows.is_empty()), "{name}: a sink without rows");
        let before = fs::read_to_string(folder.join("printed.jsonl")).unwrap();
        assert!(
            published(&folder) != expected && table(&before) != table(&printed),
            "{name}: it had finished"
        );
        for workers in ["1", "3"] {
            let dir = copied(&folder);
            let (code, after, text) =
                run(dir.path(), &["--parallelism", workers, "--state-dir", "state"]);
            assert_eq!(code, 0, "{name}, {workers} workers: {text}");
            assert!(!text.contains("finished before"), "{name}: {text}");
            assert_eq!(published(dir.path()), expected, "{name}, {workers} workers");
            assert_eq!(
                table(&format!("{before}{after}")),
                table(&printed),
                "{name}, {workers} workers"
            );
            let errors = fs::read_dir(dir.path().join("state/errors")).unwrap();
            assert_eq!(
                errors.count(),
                fs::read_dir(whole.path().join("new/errors")).unwrap().count(),
                "{name}"
            );
        }
    }
}

#[test]
fn state_that_cannot_go_on_is_refused_with_3() {
    for folder in recorded() {
        let dir = copied(&folder);
        let query = dir.path().join("query.sql");
        if !folder.join("refused").exists() {
            let text = fs::read_to_string(&query).unwrap();
            let changed = text.replacen("INTERVAL '3' SECOND", "INTERVAL '4' SECOND", 1);
            assert_ne!(text, changed);
            fs::write(&query, changed).unwrap();
        }
        let before = fs::read_dir(dir.path().join("state/checkpoints")).unwrap().count();
        let (code, _, text) = run(dir.path(), &["--state-dir", "state"]);
        assert!(code == 3 && text.contains("--fresh"), "{}: {code} {text}", folder.display());
        assert_eq!(
            fs::read_dir(dir.path().join("state/checkpoints")).unwrap().count(),
            before,
            "it was touched"
        );
        assert_eq!(published(dir.path()), published(&folder));
    }
}
