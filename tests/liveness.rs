//! Do barriers, stops and ends of input get through whatever the load? With lanes of one batch,
//! memory for nothing, one key that has nearly all rows, and a stop at any step: a job that waits
//! for itself shows as `Stuck`, or as a test that hangs.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use paceline::ids::Epoch;
use paceline::runtime::control::Stats;
use paceline::runtime::graph::LANE_BYTES_MAX;
use paceline::runtime::job::{Observer, Outcome};
use paceline::runtime::options::{CheckpointTrigger, Scheduling};
use paceline::runtime::worker::SharedSource;
use paceline::state::store::{StateDb, StateMemory};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::changelog_sink::changes;
use crate::support::job::{StopAt, Variation, attempt, finish, observe, sink_rows};
use crate::support::seeds::each_seed;
use crate::support::tier::by_tier;

const ROWS: i64 = 3000;
const SPLITS: i64 = 3;

/// Nine of ten rows have one key.
fn write_rows(folder: &Path) {
    for split in 0..SPLITS {
        let mut rows = String::new();
        for i in (split..ROWS).step_by(SPLITS as usize) {
            let key = if i % 10 == 0 { i } else { 7 };
            let _ = writeln!(
                rows,
                r#"{{"k":{key},"v":{i},"ts":"2024-01-01 00:{:02}:{:02}"}}"#,
                i / 600,
                i / 10 % 60
            );
        }
        fs::create_dir_all(folder.join("in")).unwrap();
        fs::write(folder.join(format!("in/{split}.jsonl")), rows).unwrap();
    }
}

fn source(folder: &Path, watermark: &str) -> String {
    format!(
        "CREATE TABLE src (k BIGINT, v BIGINT, ts TIMESTAMP(3){watermark})
           WITH ('connector'='filesystem','format'='json','path'='{}/in');",
        folder.display()
    )
}

/// Windows, then windows of those, then the best of each: three exchanges one after the other.
fn windows(folder: &Path, out: &str) -> String {
    format!(
        "{}
         CREATE TABLE res (we TIMESTAMP(3), k BIGINT, c BIGINT) WITH ('connector'='filesystem','format'='json','path'='{}/{out}');
         CREATE VIEW small AS SELECT window_start AS ws, window_end AS we, window_time AS wt, k, COUNT(*) AS c
           FROM TABLE(HOP(TABLE src, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '4' SECOND)) GROUP BY window_start, window_end, window_time, k;
         INSERT INTO res SELECT window_end, k, c FROM (
           SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY c DESC, k) AS rn FROM (
             SELECT window_start, window_end, k, SUM(c) AS c
               FROM TABLE(TUMBLE(TABLE small, DESCRIPTOR(wt), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k)) WHERE rn <= 5;",
        source(folder, ", WATERMARK FOR ts AS ts"),
        folder.display()
    )
}

/// A tight variation by seed, which stops at its n-th point.
fn stopping(rng: &mut ChaCha8Rng, at: u64) -> (Variation, Arc<StopAt>) {
    let stop: Arc<AtomicBool> = Arc::default();
    let stopper = StopAt::new(at, stop.clone());
    let variation = Variation {
        workers: rng.random_range(1..=4),
        batch_rows: [1, 7, 100][rng.random_range(0..3)],
        lane_bytes_max: [1, 2000, LANE_BYTES_MAX][rng.random_range(0..3)],
        accumulator_bytes_max: [0, 5000, 20_000, 256 << 20][rng.random_range(0..4)],
        trigger: CheckpointTrigger::AtEnd,
        scheduling: Scheduling::Seeded(rng.random()),
        crashes: stopper.clone(),
        stop,
        prints_at_once: false,
        connectors: Arc::new(paceline::connector::Connectors::built_in()),
        clock: paceline::time::clock::SystemClock::shared(),
    };
    (variation, stopper)
}

/// Runs a job that is stopped again and again. After a request no worker reads more than it was
/// about to.
fn finish_with_stops(sql: &str, state: &Path, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for round in 0.. {
        let at = if round < 4 { rng.random_range(1..400) } else { u64::MAX };
        let (variation, stopper) = stopping(&mut rng, at);
        let workers = variation.workers as u64;
        let (outcome, _) = attempt(sql, state, &variation);
        let reads = stopper.reads_after();
        match outcome.unwrap_or_else(|e| panic!("seed {seed}, round {round}: {e}")) {
            Outcome::Stopped => assert!(
                reads <= workers,
                "seed {seed}, round {round}: {reads} reads after the stop"
            ),
            Outcome::Finished | Outcome::AlreadyFinished => return,
        }
    }
}

#[test]
fn a_stop_gets_through_at_any_step() {
    let dir = tempfile::tempdir().unwrap();
    write_rows(dir.path());
    finish(&windows(dir.path(), "plain"), &dir.path().join("plain-state"), &Variation::plain(1));
    let expected = sink_rows(&dir.path().join("plain"));
    assert!(expected.len() > 50, "{} rows", expected.len());
    each_seed(0..by_tier(3, 8, 400), |seed| {
        let out = format!("out-{seed}");
        finish_with_stops(
            &windows(dir.path(), &out),
            &dir.path().join(format!("state-{seed}")),
            seed,
        );
        assert!(sink_rows(&dir.path().join(out)) == expected, "seed {seed}: other rows");
    });
}

/// What is printed is printed once: behind the barrier of a stop nothing more is written.
#[test]
fn rows_are_printed_once_over_a_stop() {
    each_seed(0..by_tier(3, 6, 400), |seed| {
        let dir = tempfile::tempdir().unwrap();
        write_rows(dir.path());
        let sql = format!("{} SELECT v FROM src WHERE v >= 0;", source(dir.path(), ""));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for at in [rng.random_range(1..300), u64::MAX] {
            let (variation, _) = stopping(&mut rng, at);
            let variation = Variation { prints_at_once: true, ..variation };
            attempt(&sql, &dir.path().join("state"), &variation)
                .0
                .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        }
        let printed = changes(&dir.path().join("changes/select_1"));
        assert_eq!(printed.len() as i64, ROWS, "seed {seed}");
    });
}

/// Asks for a stop when so many checkpoints have been made.
struct StopAfter {
    checkpoints: u64,
    stop: Arc<AtomicBool>,
}

impl Observer for StopAfter {
    fn progress(&mut self, _: &Stats, _: &[Arc<SharedSource>]) {}
    fn checkpoint(&mut self, _: Epoch) {
        self.checkpoints = self.checkpoints.saturating_sub(1);
        if self.checkpoints == 0 {
            self.stop.store(true, Ordering::Release);
        }
    }
}

/// One worker reads as fast as it can, the other has nothing and sends only the time: a hundred
/// ticks a second, each of which may close windows.
#[test]
fn checkpoints_pass_a_worker_that_only_sends_the_time() {
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE src (k BIGINT, v INT, pt AS PROCTIME()) WITH ('connector'='datagen', 'rows-per-second'='1000000',
                 'fields.k.min'='0', 'fields.k.max'='100', 'fields.v.min'='0', 'fields.v.max'='100');
               CREATE TABLE gone (k BIGINT, c BIGINT) WITH ('connector'='blackhole');
               INSERT INTO gone SELECT k, COUNT(*) FROM src GROUP BY TUMBLE(pt, INTERVAL '10' SECOND), k;";
    let variation = Variation {
        trigger: CheckpointTrigger::Interval(std::time::Duration::from_millis(100)),
        ..Variation::plain(2)
    };
    let mut watch = StopAfter { checkpoints: 5, stop: variation.stop.clone() };
    let outcome = observe(sql, &dir.path().join("state"), &variation, &mut watch).unwrap();
    assert_eq!((outcome, watch.checkpoints), (Outcome::Stopped, 0));
}

/// Stores share a bound on their write buffers, but none may wait for another's: a store writes its
/// buffer out only when something is written to it.
#[test]
fn a_full_store_does_not_wait_for_another() {
    let (left, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let memory = StateMemory::new(4 << 20, 2);
    let stores = [
        StateDb::open(left.path(), &memory).unwrap(),
        StateDb::open(right.path(), &memory).unwrap(),
    ];
    let value = vec![7u8; 1000];
    for round in 0..400u32 {
        // Much to one, little to the other, in turns.
        for (store, entries) in stores.iter().zip(if round % 40 < 20 { [150, 1] } else { [1, 150] })
        {
            let mut changes = store.changes();
            for entry in 0..entries {
                changes.put(&(round * 1000 + entry).to_be_bytes(), &value);
            }
            store.write(changes).unwrap();
        }
    }
    let mut entries = 0;
    for store in &stores {
        store
            .scan_all(|_, _| {
                entries += 1;
                Ok::<_, paceline::state::StateError>(())
            })
            .unwrap();
    }
    assert_eq!(entries, 400 * 151);
}
