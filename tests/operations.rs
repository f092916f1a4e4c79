//! Does the binary behave in operation? Signals, health, a second process, changed queries, files
//! taken away, damage accepted.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::support::binary::health;

/// A folder with a query, its input, and what the binary makes of them.
pub struct Run {
    pub dir: tempfile::TempDir,
}

const SOURCE: &str = "CREATE TABLE src (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
  WITH ('connector'='filesystem','format'='json','path'='in');\n";
const QUERY: &str =
    "CREATE TABLE res (we TIMESTAMP(3), k STRING, s DOUBLE) WITH ('connector'='filesystem','format'='json','path'='out');
INSERT INTO res SELECT window_end, k, CAST(SUM(v) AS DOUBLE)
FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;";

impl Run {
    /// A folder with `q.sql` and so many seconds of input.
    pub fn new(seconds: usize) -> Run {
        let run = Run { dir: tempfile::tempdir().unwrap() };
        run.write("q.sql", &format!("{SOURCE}{QUERY}"));
        let rows = (0..seconds).map(|s| {
            let ts = chrono::DateTime::from_timestamp(1_704_067_200 + s as i64, 0)
                .unwrap()
                .format("%F %T");
            format!("{{\"k\":\"k{}\",\"v\":{s},\"ts\":\"{ts}\"}}\n", s % 7)
        });
        fs::create_dir(run.dir.path().join("in")).unwrap();
        run.write("in/a.jsonl", &rows.collect::<String>());
        run
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
        command.args(args).current_dir(&self.dir).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &[&str]) -> (i32, String, String) {
        answer(&self.command(&[&["run", "q.sql"], args].concat()).output().unwrap())
    }

    /// Runs in small steps with a checkpoint every few records; stopped with SIGINT after the
    /// second one.
    pub fn run_until_stopped(&self) {
        let slow =
            ["--state-dir", "st", "--parallelism", "1", "--set", "paceline.checkpoint.records=50"];
        let mut child = self
            .command(&[&["run", "q.sql", "--set", "paceline.batch.rows=5"], &slow[..]].concat())
            .spawn()
            .unwrap();
        while !self.dir.path().join("st/checkpoints/00000002/manifest").exists() {
            assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
            std::thread::sleep(Duration::from_millis(1));
        }
        signal(&child, "INT");
        let (code, _, text) = answer(&child.wait_with_output().unwrap());
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("stopped"), "it had finished before it was stopped: {text}");
    }

    pub fn rows(&self) -> Vec<String> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.dir.path().join("out")).into_iter().flatten().flatten() {
            // A part that is not committed may get its name, or go, at any time.
            if !entry.file_name().to_string_lossy().starts_with('.') {
                all.extend(fs::read_to_string(entry.path()).unwrap().lines().map(String::from));
            }
        }
        all.sort();
        all
    }
}

pub fn answer(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

pub fn signal(child: &Child, name: &str) {
    assert!(
        Command::new("kill")
            .args([&format!("-{name}"), &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// Long enough that it is stopped before its end.
pub const LONG_S: usize = 200_000;

#[test]
fn a_stopped_job_goes_on_and_its_result_is_that_of_one_run() {
    let run = Run::new(LONG_S);
    run.run_until_stopped();
    assert_eq!(run.run(&["--state-dir", "st"]).0, 0);
    let rows = run.rows();
    fs::remove_dir_all(run.dir.path().join("out")).unwrap();
    assert_eq!(run.run(&["--state-dir", "other"]).0, 0);
    assert!(rows.len() > LONG_S / 10 && rows == run.rows());
}

#[test]
fn files_that_were_taken_away_are_not_missed() {
    let run = Run::new(LONG_S);
    run.run_until_stopped();
    fs::remove_dir_all(run.dir.path().join("out")).unwrap();
    let (code, _, text) = run.run(&["--state-dir", "st"]);
    assert_eq!(code, 0, "{text}");
    assert!(!run.rows().is_empty());
    fs::remove_dir_all(run.dir.path().join("out")).unwrap();
    let (code, _, text) = run.run(&["--state-dir", "st"]);
    assert!(code == 0 && text.contains("finished before"), "{text}");
}

#[test]
fn a_changed_table_is_another_query() {
    for (from, to) in [
        ("v INT", "v DOUBLE"),
        ("v INT", "v DECIMAL(10, 2)"),
        ("INTERVAL '1' SECOND)\n", "INTERVAL '600' SECOND)\n"),
        ("TIMESTAMP(3), WATERMARK", "TIMESTAMP_LTZ(3), WATERMARK"),
        ("'path'='in'", "'path'='in/a.jsonl'"),
        ("'path'='out'", "'path'='elsewhere'"),
    ] {
        let run = Run::new(100);
        assert_eq!(run.run(&["--state-dir", "st"]).0, 0);
        run.write("q.sql", &format!("{SOURCE}{QUERY}").replace(from, to));
        let (code, _, text) = run.run(&["--state-dir", "st"]);
        assert_eq!(code, 3, "{from} -> {to}: {text}");
        assert!(text.contains("another query") && text.contains("--fresh"), "{text}");
    }
    // Where things stand in the file does not matter.
    let run = Run::new(100);
    assert_eq!(run.run(&["--state-dir", "st"]).0, 0);
    run.write("q.sql", &format!("-- a comment\n\n{SOURCE}\n{QUERY}"));
    assert_eq!(run.run(&["--state-dir", "st"]).0, 0);
}

#[test]
fn a_local_run_does_not_stand_for_the_real_one() {
    let run = Run::new(1);
    run.write(
        "q.sql",
        "CREATE TABLE src (k STRING, v INT, at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', WATERMARK FOR at AS at)
         WITH ('connector'='kinesis', 'stream.arn'='arn:aws:kinesis:us-east-1:1:stream/s', 'aws.endpoint'='http://127.0.0.1:9', 'format'='json');
         CREATE TABLE res (we TIMESTAMP(3), n BIGINT) WITH ('connector'='filesystem','format'='json','path'='out');
         INSERT INTO res SELECT window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(at), INTERVAL '10' SECOND))
         GROUP BY window_start, window_end;",
    );
    let (code, _, text) = run.run(&["--local", "--state-dir", "st"]);
    assert_eq!(code, 0, "{text}");
    assert!(!run.rows().is_empty(), "the metadata column has no values: {text}");
    let (code, _, text) = run.run(&["--state-dir", "st"]);
    assert!(code == 3 && text.contains("another query"), "{code} {text}");
}

#[test]
fn accepted_duplicates_lead_to_the_end() {
    let run = Run::new(LONG_S);
    run.run_until_stopped();
    let checkpoints = run.dir.path().join("st/checkpoints");
    let newest = fs::read_dir(&checkpoints).unwrap().map(|e| e.unwrap().path()).max().unwrap();
    fs::write(newest.join("manifest"), "damaged").unwrap();
    let (code, _, text) = run.run(&["--state-dir", "st"]);
    assert!(code == 3 && text.contains("--allow-duplicates"), "{code} {text}");
    let (code, _, text) = run.run(&["--state-dir", "st", "--allow-duplicates"]);
    assert_eq!(code, 0, "{text}");
    let with_duplicates = run.rows();
    fs::remove_dir_all(run.dir.path().join("out")).unwrap();
    assert_eq!(run.run(&["--state-dir", "other"]).0, 0);
    let mut once = with_duplicates.clone();
    once.dedup();
    assert_eq!(once, run.rows());
}

#[test]
fn a_line_that_is_too_long_is_kept_and_the_rest_goes_on() {
    let run = Run::new(20);
    let good = fs::read_to_string(run.dir.path().join("in/a.jsonl")).unwrap();
    let mut file = fs::File::create(run.dir.path().join("in/a.jsonl")).unwrap();
    file.write_all(&vec![b'x'; 20_000_000]).unwrap();
    write!(file, "\n{good}").unwrap();
    let (code, _, text) = run.run(&["--state-dir", "st"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("line 1 has 20000001 bytes") && text.contains("1 in the error stream"),
        "{text}"
    );
    assert_eq!(run.rows().len(), 14);
    assert_eq!(fs::read_dir(run.dir.path().join("st/errors")).unwrap().count(), 1);
}

#[test]
fn late_rows_are_counted_at_the_end() {
    let run = Run::new(60);
    let more = "{\"k\":\"k0\",\"v\":1,\"ts\":\"2024-01-01 00:00:05\"}\n";
    let rows = fs::read_to_string(run.dir.path().join("in/a.jsonl")).unwrap();
    run.write("in/a.jsonl", &format!("{rows}{more}{more}"));
    let (code, _, text) = run.run(&[]);
    assert!(
        code == 0 && text.contains("62 records in, 42 rows out, 2 late rows dropped"),
        "{text}"
    );
    assert!(
        !text.contains("error stream") && !run.dir.path().join("paceline-errors").exists(),
        "{text}"
    );
}

#[test]
fn health_tells_how_far_it_is_and_a_second_process_is_kept_out() {
    let run = Run::new(1);
    run.write(
        "q.sql",
        "CREATE TABLE race (deviceTimestamp BIGINT, ts AS TO_TIMESTAMP_LTZ(deviceTimestamp, 3), WATERMARK FOR ts AS ts)
         WITH ('connector'='alleycat', 'pace'='realtime');
         SELECT window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE race, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end;",
    );
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("localhost:{port}");
    let mut child =
        run.command(&["run", "q.sql", "--state-dir", "st", "--listen", &address]).spawn().unwrap();
    let report = loop {
        assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
        match health(&address) {
            Some(report) if report["rows_in"].as_u64() > Some(0) => break report,
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    assert_eq!(
        (report["status"].as_str(), report["diverted"].as_u64()),
        (Some("running"), Some(0)),
        "{report}"
    );
    let (code, _, text) = run.run(&["--state-dir", "st"]);
    assert!(code != 0 && text.contains("in use by another process"), "{code} {text}");
    signal(&child, "TERM");
    let (code, _, text) = answer(&child.wait_with_output().unwrap());
    assert!(code == 0 && text.contains("stopped"), "{code} {text}");
    assert_eq!(run.run(&["--listen", "nowhere"]).0, 2);
}

#[test]
fn state_without_a_folder_leaves_nothing() {
    let run = Run::new(30);
    fs::create_dir(run.dir.path().join("tmp")).unwrap();
    let output =
        run.command(&["run", "q.sql"]).env("TMPDIR", run.dir.path().join("tmp")).output().unwrap();
    assert!(output.status.success());
    assert_eq!(fs::read_dir(run.dir.path().join("tmp")).unwrap().count(), 0);
    let left: Vec<_> = names(run.dir.path());
    assert_eq!(left, ["in", "out", "q.sql", "tmp"]);
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn new_files_of_a_watched_folder_are_read_once_through_a_kill() {
    let run = Run::new(0);
    fs::remove_file(run.dir.path().join("in/a.jsonl")).unwrap();
    run.write(
        "q.sql",
        "SET 'execution.checkpointing.interval' = '20 ms';
        CREATE TABLE src (k STRING, v INT) WITH ('connector'='filesystem','format'='csv','path'='in','source.monitor-interval'='5 ms');
        CREATE TABLE res (k STRING, v INT) WITH ('connector'='filesystem','format'='json','path'='out');
        INSERT INTO res SELECT k, v FROM src;",
    );
    // Renamed into the folder, so that no half of it is seen.
    let add = |name: &str| {
        run.write("new", &format!("{name},1\n{name},2\n"));
        fs::rename(run.dir.path().join("new"), run.dir.path().join("in").join(name)).unwrap();
    };
    let start = || {
        run.command(&["run", "q.sql", "--state-dir", "st", "--parallelism", "3"]).spawn().unwrap()
    };
    let wait_for = |child: &mut Child, rows: usize| {
        while run.rows().len() < rows {
            assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    add("a");
    let mut child = start();
    for (name, rows) in [("b", 4), ("c", 6)] {
        add(name);
        wait_for(&mut child, rows);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    add("d");
    let mut child = start();
    wait_for(&mut child, 8);
    add("e");
    wait_for(&mut child, 10);
    signal(&child, "INT");
    let (code, _, text) = answer(&child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{text}");
    let expected = ["a", "b", "c", "d", "e"]
        .iter()
        .flat_map(|k| [1, 2].map(|v| format!("{{\"k\":\"{k}\",\"v\":{v}}}")));
    assert_eq!(run.rows(), expected.collect::<Vec<_>>());
}

#[test]
fn what_is_explained_is_not_run() {
    let run = Run::new(20);
    run.write("q.sql", &format!("{SOURCE}{}", QUERY.replace("INSERT", "EXPLAIN PLAN FOR INSERT")));
    let (code, out, text) = run.run(&[]);
    assert_eq!(code, 0, "{text}");
    assert!(
        out.contains("aggregate TUMBLE 10000 ms") && out.contains("write res (filesystem)"),
        "{out}"
    );
    assert!(!run.dir.path().join("out").exists());
}

#[test]
fn records_that_are_no_csv_are_kept_with_their_line() {
    let run = Run::new(0);
    run.write(
        "q.sql",
        "CREATE TABLE src (k STRING, v INT) WITH ('connector'='filesystem','format'='csv','path'='in');
        CREATE TABLE res (k STRING) WITH ('connector'='filesystem','format'='raw','path'='out');
        INSERT INTO res SELECT k FROM src WHERE v IS NOT NULL;",
    );
    run.write("in/a.jsonl", "a,1\nb,x\n\"c\nc\",2\nd\nNULL,3\n");
    let (code, _, text) = run.run(&["--state-dir", "st"]);
    assert_eq!(
        (code, run.rows()),
        (0, ["NULL", "a", "c", "c"].map(String::from).to_vec()),
        "{text}"
    );
    let kept: String = names(&run.dir.path().join("st/errors"))
        .iter()
        .map(|name| fs::read_to_string(run.dir.path().join("st/errors").join(name)).unwrap())
        .collect();
    assert!(kept.contains("line 2") && kept.contains("field `v`: 'x' is no INT"), "{kept}");
    assert!(kept.contains("line 5") && kept.contains("1 fields where 2 are needed"), "{kept}");
}
