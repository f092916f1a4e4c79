//! Is anything lost or doubled when the process is killed? The binary, SIGKILL at ten seeded
//! moments, and a resume after each.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::seeds::each_seed;
use crate::support::tier::by_tier;

fn paceline(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    command.args(args).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn rows(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("the sink's folder") {
        let path = entry.expect("an entry").path();
        assert!(
            !path.file_name().expect("a name").to_string_lossy().starts_with('.'),
            "{} was left behind",
            path.display()
        );
        all.extend(fs::read_to_string(path).expect("text").lines().map(String::from));
    }
    all.sort();
    all
}

fn query(out: &str) -> String {
    format!(
        "CREATE TABLE race (deviceTimestamp BIGINT, raceId BIGINT, racerId BIGINT, cadence DOUBLE, resistance DOUBLE,
           ts AS TO_TIMESTAMP_LTZ(deviceTimestamp, 3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND)
         WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'in');
         CREATE TABLE board (ws TIMESTAMP(3), we TIMESTAMP(3), raceId BIGINT, rn BIGINT, racerId BIGINT, best DOUBLE, n BIGINT)
         WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{out}');
         INSERT INTO board SELECT window_start, window_end, raceId, rn, racerId, best, n FROM (
           SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, raceId ORDER BY best DESC, racerId) AS rn FROM (
             SELECT window_start, window_end, raceId, racerId, MAX(ROUND((cadence + 35) * (resistance + 65) / 100, 4)) AS best, COUNT(*) AS n
             FROM TABLE(CUMULATE(TABLE race, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '5' MINUTE))
             GROUP BY window_start, window_end, raceId, racerId)) WHERE rn <= 10;"
    )
}

/// The newest epoch that has a manifest.
fn newest_epoch(dir: &Path) -> Option<u64> {
    let checkpoints = fs::read_dir(dir.join("state/checkpoints")).into_iter().flatten().flatten();
    let published = checkpoints.filter(|e| e.path().join("manifest").exists());
    published.filter_map(|e| e.file_name().to_str()?.parse().ok()).max()
}

#[test]
fn sigkill_at_ten_moments() {
    each_seed(7..by_tier(8, 8, 107), run);
}

fn run(seed: u64) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let dir = dir.path();
    fs::create_dir(dir.join("in")).expect("folder");
    for crowd in ["1", "2", "3"] {
        let out = format!("in/{crowd}.jsonl");
        let args =
            ["simulate", "--out", &out, "--seed", crowd, "--racers", "60", "--seconds", "300"];
        assert!(paceline(dir, &args).status().expect("starts").success());
    }
    fs::write(dir.join("plain.sql"), query("plain")).expect("writes");
    fs::write(dir.join("killed.sql"), query("killed")).expect("writes");
    assert!(
        paceline(dir, &["run", "plain.sql", "--parallelism", "1"])
            .status()
            .expect("starts")
            .success()
    );
    let expected = rows(&dir.join("plain"));
    assert!(expected.len() > 500, "{} rows", expected.len());

    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut epochs = Vec::new();
    for attempt in 0..=10 {
        let workers = rng.random_range(1..=3).to_string();
        let args = [
            "run",
            "killed.sql",
            "--state-dir",
            "state",
            "--parallelism",
            &workers,
            "--set",
            "paceline.checkpoint.records=3000",
        ];
        let args: Vec<&str> =
            args.into_iter().chain(["--set", "paceline.batch.rows=200"]).collect();
        if attempt == 10 {
            assert!(paceline(dir, &args).status().expect("starts").success());
            break;
        }
        let before = newest_epoch(dir);
        let mut child = paceline(dir, &args).spawn().expect("starts");
        if attempt % 2 == 1 {
            // However slow the machine is, some kills come after a checkpoint of this attempt.
            while newest_epoch(dir) <= before.max(Some(0))
                && child.try_wait().expect("runs").is_none()
            {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        std::thread::sleep(Duration::from_millis(rng.random_range(0..200)));
        // SIGKILL; a process that has finished already is not hurt.
        let _ = child.kill();
        child.wait().expect("ends");
        epochs.extend(newest_epoch(dir));
    }
    assert_eq!(rows(&dir.join("killed")), expected, "epochs when killed: {epochs:?}");
    assert!(epochs.iter().any(|e| *e > 0), "no kill came after a checkpoint: {epochs:?}");
}
