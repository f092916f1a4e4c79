//! Is a state directory kept to its own? Foreign folders, kills with an immediate start, input and
//! output that others changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, SystemTime};

use paceline::runtime::crash::CrashPoint;
use paceline::runtime::error::JobError;
use paceline::runtime::job::Outcome;
use paceline::runtime::options::{CheckpointTrigger, Scheduling};

use super::operations::{LONG_S, Run, names};
use super::support::job::{CrashAt, Variation, attempt, sink_rows};

#[test]
fn a_folder_of_somebody_elses_is_refused_with_2_and_keeps_everything() {
    let run = Run::new(30);
    fs::create_dir_all(run.dir.path().join("mine/checkpoints")).unwrap();
    run.write("mine/checkpoints/thesis.txt", "years of work");
    for extra in [&[][..], &["--fresh"]] {
        let (code, _, text) = run.run(&[&["--state-dir", "mine"], extra].concat());
        assert!(
            code == 2
                && text.contains("mine is no state directory of Paceline")
                && text.contains("an empty folder"),
            "{text}"
        );
        assert_eq!(
            (names(&run.dir.path().join("mine")), run.rows().len()),
            (vec!["checkpoints".into()], 0)
        );
        assert_eq!(
            fs::read_to_string(run.dir.path().join("mine/checkpoints/thesis.txt")).unwrap(),
            "years of work"
        );
    }
    let (code, _, text) = run.run(&["--state-dir", "q.sql"]);
    assert!(code == 2 && text.contains("is no folder"), "{text}");
}

#[test]
fn what_others_put_into_a_state_directory_outlives_fresh() {
    let run = Run::new(30);
    assert_eq!(run.run(&["--state-dir", "st"]).0, 0);
    let foreign = [
        "st/checkpoints/notes.txt",
        "st/checkpoints/0000x/a",
        "st/live/notes.txt",
        "st/tables/notes.txt",
        "st/notes.txt",
    ];
    for name in foreign {
        fs::create_dir_all(run.dir.path().join(name).parent().unwrap()).unwrap();
        run.write(name, "mine");
    }
    assert_eq!(run.run(&["--state-dir", "st"]).0, 0);
    assert_eq!(run.run(&["--state-dir", "st", "--fresh"]).0, 0);
    for name in foreign {
        assert_eq!(fs::read_to_string(run.dir.path().join(name)).unwrap(), "mine", "{name}");
    }
}

#[test]
fn a_state_directory_without_a_marker_goes_on_and_gets_one() {
    let run = Run::new(LONG_S);
    run.run_until_stopped();
    fs::remove_file(run.dir.path().join("st/paceline-state")).unwrap();
    let (code, _, text) = run.run(&["--state-dir", "st"]);
    assert!(code == 0 && text.contains("going on from a checkpoint"), "{text}");
    assert!(run.dir.path().join("st/paceline-state").exists());
}

#[test]
fn a_killed_job_is_started_again_at_once() {
    let run = Run::new(LONG_S);
    let args = [
        "run",
        "q.sql",
        "--state-dir",
        "st",
        "--set",
        "paceline.checkpoint.records=500",
        "--set",
        "paceline.batch.rows=50",
    ];
    for _ in 0..5 {
        let mut child = run.command(&args).spawn().unwrap();
        while !run.dir.path().join("st/publishing").exists() {
            assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        // Not waited for: the next one starts while this one is being taken down.
        let mut next = run.command(&args).spawn().unwrap();
        child.wait().unwrap();
        std::thread::sleep(Duration::from_millis(30));
        let ended = next.try_wait().unwrap();
        assert!(
            ended.is_none_or(|status| status.success()),
            "{:?}",
            super::operations::answer(&next.wait_with_output().unwrap())
        );
        next.kill().unwrap();
        next.wait().unwrap();
    }
    assert_eq!(run.run(&["--state-dir", "st"]).0, 0);
    let rows = run.rows();
    fs::remove_dir_all(run.dir.path().join("out")).unwrap();
    assert_eq!(run.run(&["--state-dir", "other"]).0, 0);
    assert_eq!(rows, run.rows());
}

#[test]
fn a_part_taken_before_its_publication_was_noted_is_neither_missed_nor_doubled() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().display().to_string();
    let lines: String = (0..1000).map(|v| format!("{{\"v\":{v}}}\n")).collect();
    fs::write(dir.path().join("in"), lines).unwrap();
    let sql = format!(
        "CREATE TABLE src (v INT) WITH ('connector'='filesystem','format'='json','path'='{root}/in');
         CREATE TABLE res (v INT) WITH ('connector'='filesystem','format'='json','path'='{root}/out');
         INSERT INTO res SELECT v FROM src;"
    );
    let (out, taken, state) =
        (dir.path().join("out"), dir.path().join("taken"), dir.path().join("st"));
    fs::create_dir(&taken).unwrap();
    let mut killed = 0;
    for seed in 1.. {
        let crashes =
            Arc::new(CrashAt { point: CrashPoint::AfterRename, remaining: AtomicI64::new(1) });
        let (trigger, scheduling) = (CheckpointTrigger::Records(200), Scheduling::Seeded(seed));
        let (outcome, _) = attempt(
            &sql,
            &state,
            &Variation { batch_rows: 50, trigger, scheduling, crashes, ..Variation::plain(2) },
        );
        for name in names(&out).into_iter().filter(|n| !n.starts_with('.')) {
            fs::rename(out.join(&name), taken.join(name)).unwrap();
        }
        match outcome {
            Ok(Outcome::Finished | Outcome::AlreadyFinished) => break,
            Err(JobError::Crashed(_)) => killed += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(killed > 1, "{killed} kills");
    let mut values: Vec<i64> = sink_rows(&taken)
        .iter()
        .map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap()["v"].as_i64().unwrap())
        .collect();
    values.sort_unstable();
    assert_eq!(values, (0..1000).collect::<Vec<_>>());
    assert_eq!(attempt(&sql, &state, &Variation::plain(1)).0.unwrap(), Outcome::AlreadyFinished);
    assert!(names(&out).is_empty());
}

/// `paceline checkpoints`: exit code, stdout, stderr.
fn looked(run: &Run, folder: &str) -> (i32, String, String) {
    super::operations::answer(&run.command(&["checkpoints", folder]).output().unwrap())
}

/// All files below a folder with their content and time.
fn everything(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(everything(&path));
        } else {
            all.insert(
                path.clone(),
                (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap()),
            );
        }
    }
    all
}

#[test]
fn what_a_state_directory_holds_is_shown_and_not_touched() {
    let run = Run::new(LONG_S);
    let root = run.dir.path().join("st");
    run.run_until_stopped();
    fs::create_dir_all(root.join("errors")).unwrap();
    fs::create_dir_all(root.join("checkpoints/99999999/worker-0")).unwrap();
    for (name, text) in [
        ("errors/part-1.jsonl", "12345"),
        ("notes.txt", "mine"),
        ("checkpoints/99999999/worker-0/LOG", "123"),
    ] {
        run.write(&format!("st/{name}"), text);
    }
    let before = everything(&root);
    let (code, out, text) = looked(&run, "st");
    assert_eq!((code, text.as_str()), (0, ""), "{out}");
    let newest = (0..99_999_999)
        .rev()
        .find(|epoch| before.contains_key(&root.join(format!("checkpoints/{epoch:08}/manifest"))));
    let newest = newest.unwrap();
    let first = out.lines().next().unwrap();
    let (name, rest) = first.split_once(", ").unwrap();
    let (time, rest) = rest.split_once(": ").unwrap();
    assert_eq!(name, format!("checkpoint {newest}"));
    assert!(time.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
    assert!(rest.starts_with("complete, ") && rest.contains(" operators, 1 stores of "), "{rest}");
    for expected in [
        "  source src: 1 splits, 0 of them finished, ",
        "  errors: 5 bytes (records and rows that could not be used)\n",
        "  notes.txt: 4 bytes (not Paceline's)\n",
        "  checkpoints/99999999: 3 bytes (a checkpoint without a manifest: being made, or left by a kill)\n",
        &format!("\ncheckpoint {}, ", newest - 1),
        &format!("\na start goes on from checkpoint {newest}\n"),
    ] {
        assert!(out.contains(expected), "{expected} is not in {out}");
    }
    assert!(everything(&root) == before, "it was changed");

    // A byte of the newest manifest, after which the one before may do; then of both.
    let damage = |epoch: u64| {
        let path = root.join(format!("checkpoints/{epoch:08}/manifest"));
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, bytes).unwrap();
    };
    damage(newest);
    let (code, out, _) = looked(&run, "st");
    assert!(code == 3 && out.contains("damaged (manifest: checksum does not match)"), "{out}");
    assert!(out.contains(&format!("else it goes on from checkpoint {}\n", newest - 1)), "{out}");
    damage(newest - 1);
    let (code, out, _) = looked(&run, "st");
    assert!(code == 3 && out.contains("a start is refused: no checkpoint can be used"), "{out}");
    run.write("st/published", "soon");
    let (code, out, text) = looked(&run, "st");
    assert!(code == 3 && out.is_empty() && text.contains("this is no epoch number"), "{text}");
    let (code, _, text) = run.run(&["--state-dir", "st"]);
    assert!(code == 3 && text.contains("this is no epoch number"), "{text}");
}

#[test]
fn a_folder_without_checkpoints_is_named_as_what_it_is() {
    let run = Run::new(30);
    let (code, out, text) = looked(&run, "nowhere");
    assert!(code == 2 && out.is_empty() && text.contains("there is no folder nowhere"), "{text}");
    let (code, _, text) = looked(&run, "in");
    assert!(
        code == 2
            && text.contains("in is no state directory of Paceline")
            && text.contains("'a.jsonl'"),
        "{text}"
    );
    let (code, _, text) = looked(&run, "q.sql");
    assert!(code == 2 && text.contains("is no folder"), "{text}");
    assert_eq!(names(run.dir.path()), ["in", "q.sql"]);
    fs::create_dir(run.dir.path().join("empty")).unwrap();
    let (code, out, _) = looked(&run, "empty");
    assert_eq!((code, out.as_str()), (0, "no checkpoint: a start begins a new run\n"));
    assert!(names(&run.dir.path().join("empty")).is_empty());
    assert_eq!(run.run(&["--state-dir", "st"]).0, 0);
    let (code, out, _) = looked(&run, "st");
    assert!(
        code == 0
            && out.contains("a start has nothing to do")
            && out.contains(", 1 of them finished, 30 rows"),
        "{out}"
    );
}

#[test]
fn a_job_that_is_looked_at_goes_on() {
    let run = Run::new(LONG_S);
    let often = [
        "--set",
        "paceline.checkpoint.records=500",
        "--set",
        "paceline.batch.rows=50",
        "--parallelism",
        "2",
    ];
    let mut child = run
        .command(&[&["run", "q.sql", "--state-dir", "st"], &often[..]].concat())
        .spawn()
        .unwrap();
    while !run.dir.path().join("st/published").exists() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
        std::thread::sleep(Duration::from_millis(1));
    }
    // Fewer looks if it is faster than they are.
    for _ in 0..20 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        let (code, out, text) = looked(&run, "st");
        let goes_on = ["a start goes on from checkpoint", "a start has nothing to do"]
            .iter()
            .any(|words| out.contains(words));
        assert!(code == 0 && goes_on, "{out}{text}");
    }
    if child.try_wait().unwrap().is_none() {
        super::operations::signal(&child, "INT");
    }
    let (code, _, text) = super::operations::answer(&child.wait_with_output().unwrap());
    assert!(code == 0 && !text.contains("WARN") && !text.contains("in use"), "{text}");
}

#[test]
fn input_that_changed_meanwhile_is_named() {
    let run = Run::new(60);
    let input = fs::read_to_string(run.dir.path().join("in/a.jsonl")).unwrap();
    assert_eq!(run.run(&["--state-dir", "st"]).0, 0);
    let (code, _, text) = run.run(&["--state-dir", "st"]);
    assert!(code == 0 && text.contains("finished before") && !text.contains("WARN"), "{text}");
    run.write("in/a.jsonl", &format!("{input}{input}"));
    run.write("in/b.jsonl", "");
    let (code, _, text) = run.run(&["--state-dir", "st"]);
    let sizes = format!("{} bytes were read, it has {} now", input.len(), 2 * input.len());
    assert!(
        code == 0 && text.contains(&sizes) && text.contains("b.jsonl came into in after"),
        "{text}"
    );
    run.write("in/a.jsonl", "{}\n");
    let (code, _, text) = run.run(&["--state-dir", "st"]);
    assert!(code == 0 && text.contains("was cut or replaced"), "{text}");
}

#[test]
fn input_that_changed_before_a_stopped_job_goes_on_is_named() {
    let run = Run::new(LONG_S);
    run.run_until_stopped();
    let path = run.dir.path().join("in/a.jsonl");
    let input = fs::read_to_string(&path).unwrap();
    let more = "{\"k\":\"k0\",\"v\":1,\"ts\":\"2030-01-01 00:00:05\"}\n";
    fs::write(&path, format!("{input}{more}")).unwrap();
    let (code, _, text) = run.run(&["--state-dir", "st"]);
    let said =
        format!("it had {} bytes then and has {} now", input.len(), input.len() + more.len());
    assert!(code == 0 && text.contains(&said), "{text}");
    assert!(run.rows().iter().any(|row| row.contains("2030")), "what was added is read");
}
