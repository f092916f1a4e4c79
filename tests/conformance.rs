//! Do we give Flink's rows? Every case of `tests/cases` against what Apache Flink 2.3 printed: plain, with other batch sizes
//! and numbers of workers, and killed and resumed in the middle. One golden file for all.

use std::fs;
use std::path::{Path, PathBuf};

use paceline::runtime::graph::LANE_BYTES_MAX;
use paceline::runtime::job::{CheckpointTrigger, Scheduling};

use crate::support::job::{Variation, canonical, finish, finish_with_kills, sink_rows};

struct Case {
    folder: PathBuf,
    sql: String,
}

impl Case {
    fn load(name: &str) -> Case {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
        let sql = fs::read_to_string(folder.join("query.sql")).unwrap_or_else(|e| panic!("{name}: {e}"));
        Case { folder, sql }
    }

    /// The SQL with its folders filled in. `input` replaces the case's own folder.
    fn sql(&self, input: &Path, out: &Path) -> String {
        self.sql.replace("${DIR}", &input.display().to_string()).replace("${OUT}", &out.display().to_string())
    }

    fn check(&self, out: &Path, what: &str) {
        let mut sinks = 0;
        for entry in fs::read_dir(self.folder.join("expected")).expect("a case has answers") {
            let path = entry.expect("readable").path();
            let sink = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("readable");
            let mut expected: Vec<String> = text.lines().map(canonical).collect();
            expected.sort();
            assert_eq!(sink_rows(&out.join(&sink)), expected, "{}: sink {sink}, {what}", self.folder.display());
            sinks += 1;
        }
        assert!(sinks > 0);
    }

    fn records(&self) -> u64 {
        fs::read_to_string(self.folder.join("in.jsonl")).expect("input").lines().count() as u64
    }
}

fn run_case(name: &str) {
    let case = Case::load(name);
    let tmp = || tempfile::tempdir().expect("temporary folder");
    for workers in 1..=4 {
        for batch_rows in [1, 1000] {
            for (trigger, scheduling) in [
                (CheckpointTrigger::AtEnd, Scheduling::Threads),
                (CheckpointTrigger::Records(2), Scheduling::Threads),
                (CheckpointTrigger::Records(3), Scheduling::Seeded(workers as u64)),
            ] {
                let dir = tmp();
                let lane_bytes_max = if batch_rows == 1 { 1 } else { LANE_BYTES_MAX };
                let variation = Variation { batch_rows, lane_bytes_max, trigger, scheduling, ..Variation::plain(workers) };
                finish(&case.sql(&case.folder, &dir.path().join("out")), &dir.path().join("state"), &variation);
                case.check(
                    &dir.path().join("out"),
                    &format!("{workers} workers, batches of {batch_rows}, {trigger:?}, {scheduling:?}"),
                );
            }
        }
    }
    let mut restores = 0;
    for seed in 0..24 {
        let dir = tmp();
        let sql = case.sql(&case.folder, &dir.path().join("out"));
        restores += finish_with_kills(&sql, &dir.path().join("state"), seed, 3, case.records());
        case.check(&dir.path().join("out"), &format!("killed, seed {seed}"));
    }
    // A case without windows keeps nothing in the store.
    assert!(restores > 0 || name == "parse_errors", "{name}: no attempt went on from stored state");
}

/// The same rows dealt over four files: for cases without late rows, the splits do not matter.
fn run_dealt(name: &str) {
    let case = Case::load(name);
    let text = fs::read_to_string(case.folder.join("in.jsonl")).expect("input");
    for workers in [1, 3] {
        let dir = tempfile::tempdir().expect("temporary folder");
        let input = dir.path().join("in");
        fs::create_dir_all(input.join("in.jsonl")).expect("folder");
        let mut files = vec![String::new(); 4];
        for (i, line) in text.lines().enumerate() {
            files[i % 4].push_str(line);
            files[i % 4].push('\n');
        }
        for (i, file) in files.iter().enumerate() {
            fs::write(input.join("in.jsonl").join(format!("{i}.jsonl")), file).expect("writes");
        }
        finish(&case.sql(&input, &dir.path().join("out")), &dir.path().join("state"), &Variation::plain(workers));
        case.check(&dir.path().join("out"), &format!("dealt over four files, {workers} workers"));
    }
}

macro_rules! cases {
    ($($name:ident),*) => { $(#[test] fn $name() { run_case(stringify!($name)); })* };
}
cases!(tumble, hop, session, onephase, having, cumulate, parse_errors, topn, epoch);

#[test]
fn topn_dealt() {
    run_dealt("topn");
}

#[test]
fn parse_errors_dealt() {
    run_dealt("parse_errors");
}
