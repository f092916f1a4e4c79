//! Do we give Flink's rows? Every case of `tests/cases` against what Apache Flink 2.3 printed: plain, with other batch sizes
//! and numbers of workers, and killed and resumed in the middle. One golden file for all.

use std::fs;
use std::path::{Path, PathBuf};

use paceline::runtime::graph::LANE_BYTES_MAX;
use paceline::runtime::job::{CheckpointTrigger, Scheduling};

use crate::support::job::{Variation, canonical, finish, finish_with_kills, planned, sink_rows_to};

struct Case {
    folder: PathBuf,
    sql: String,
    /// Digits to which fractions are compared.
    digits: usize,
}

impl Case {
    fn load(name: &str) -> Case {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
        let sql = fs::read_to_string(folder.join("query.sql")).unwrap_or_else(|e| panic!("{name}: {e}"));
        let digits = fs::read_to_string(folder.join("digits")).map_or(12, |text| text.trim().parse().expect("a number"));
        Case { folder, sql, digits }
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
            let mut expected: Vec<String> = text.lines().map(|line| canonical(line, self.digits)).collect();
            expected.sort();
            let found = sink_rows_to(&out.join(&sink), self.digits);
            let missing: Vec<&String> = expected.iter().filter(|row| !found.contains(row)).take(3).collect();
            let extra: Vec<&String> = found.iter().filter(|row| !expected.contains(row)).take(3).collect();
            let counts = (found.len(), expected.len());
            let name = self.folder.display();
            assert!(found == expected, "{name}: sink {sink}, {what}, {counts:?}\nmissing {missing:#?}\nextra {extra:#?}");
            sinks += 1;
        }
        assert!(sinks > 0);
    }

    fn records(&self) -> u64 {
        fn count(path: &Path) -> u64 {
            let inside = fs::read_dir(path).into_iter().flatten().flatten().filter(|e| e.file_name() != "expected");
            let lines = || fs::read(path).map_or(0, |bytes| bytes.iter().filter(|b| **b == b'\n').count() as u64);
            if path.is_dir() { inside.map(|e| count(&e.path())).sum() } else { lines() }
        }
        count(&self.folder)
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
    let keeps_state = ["TABLE(", "GROUP BY"].iter().any(|words| case.sql.contains(words));
    assert!(restores > 0 || !keeps_state, "{name}: no attempt went on from stored state");
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
    ($($name:ident),* $(,)?) => {
        /// The cases that are supported as a whole.
        const SUPPORTED: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { run_case(stringify!($name)); })*
    };
}
cases!(
    cumulate,
    cumulate_offset,
    cumulate_steps,
    datagen_seq,
    ddl_like,
    epoch,
    f_arith_double,
    f_arith_int,
    f_cast_num,
    f_decimal,
    f_hash,
    f_string_pos,
    f_trycast_text,
    fmt_csv,
    fmt_csv_bad,
    fmt_csv_nulls,
    fmt_gzip,
    fmt_json_bad,
    having,
    hop,
    hop_distinct,
    hop_epoch,
    hop_late,
    hop_offset,
    hop_sizes,
    hop_types,
    insert_cols,
    legacy,
    legacy_cascade,
    legacy_hop,
    legacy_session,
    legacy_tumble,
    onephase,
    parse_errors,
    session,
    session_aggs,
    session_bridge,
    session_disorder,
    session_keys,
    session_two,
    sink_enforcers,
    src_folder,
    statement_set,
    topn,
    topn_agg,
    tumble,
    tumble_offsets,
);

/// Cases that are answered in part as Flink does, with what differs.
const DIFFERENT: [(&str, &str); 1] =
    [("f_time_floor", "dates before 1582-10-15: Flink's calendar is the Julian one there, ours is not")];

/// A case that is not supported is refused before anything is read, with its place in the text: never answered differently.
#[test]
fn what_is_not_supported_is_refused_with_its_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let names = fs::read_dir(folder).expect("cases").flatten().filter(|e| e.path().is_dir());
    let mut refused = 0;
    for name in names
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|n| !SUPPORTED.contains(&n.as_str()) && !DIFFERENT.iter().any(|(different, _)| different == n))
    {
        let case = Case::load(&name);
        let sql = case.sql(&case.folder, Path::new("out"));
        match planned(&sql) {
            Ok(()) => panic!("{name} is planned: move it to the cases that are run"),
            Err(error) => assert!(error.place.is_some(), "{name}: {} without a place", error.message),
        }
        refused += 1;
    }
    println!("{refused} cases are not supported");
}

#[test]
fn topn_dealt() {
    run_dealt("topn");
}

#[test]
fn parse_errors_dealt() {
    run_dealt("parse_errors");
}
