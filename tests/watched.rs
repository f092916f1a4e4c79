//! What does a folder leave in checkpoints through which files pass for long? A job with a clock that
//! runs fast.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use paceline::checkpoint::store::CheckpointStore;
use paceline::runtime::control::Stats;
use paceline::runtime::job::{Observer, Outcome};
use paceline::runtime::options::CheckpointTrigger;
use paceline::runtime::worker::SharedSource;
use paceline::time::clock::{Clock, SystemClock};

use crate::support::job::{Variation, observe};

/// An hour of it passes in about two seconds.
struct Fast(Instant);

const SPEED: u32 = 2000;

impl Clock for Fast {
    fn wall_ms(&self) -> i64 {
        SystemClock::shared().wall_ms()
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed() * SPEED
    }
}

/// Puts files of a row each into a folder, some at a time, and takes them away when they were read.
struct Passing {
    folder: PathBuf,
    files: u64,
    written: u64,
    /// When the last ones were taken away.
    ended: Option<Instant>,
    stop: Arc<AtomicBool>,
}

const AT_A_TIME: u64 = 20;

impl Passing {
    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:04}.jsonl"))
    }

    fn write(&self, number: u64) {
        let hidden = self.folder.join(".next");
        std::fs::write(&hidden, format!("{{\"n\":{number}}}\n")).unwrap();
        std::fs::rename(hidden, self.path(number)).unwrap();
    }
}

impl Observer for Passing {
    fn progress(&mut self, stats: &Stats, _: &[Arc<SharedSource>]) {
        if let Some(ended) = self.ended {
            // Two hours.
            self.stop.store(ended.elapsed() * SPEED > Duration::from_secs(7200), Ordering::Release);
            return;
        }
        if stats.rows_in.load(Ordering::Relaxed) < self.written {
            return;
        }
        for number in self.written.saturating_sub(AT_A_TIME)..self.written {
            std::fs::remove_file(self.path(number)).unwrap();
        }
        if self.written == self.files {
            self.ended = Some(Instant::now());
            return;
        }
        (self.written..self.written + AT_A_TIME).for_each(|number| self.write(number));
        self.written += AT_A_TIME;
    }
}

/// Stops a job when it has read so many rows.
struct StopsAfter(u64, Arc<AtomicBool>);

impl Observer for StopsAfter {
    fn progress(&mut self, stats: &Stats, _: &[Arc<SharedSource>]) {
        self.1.store(stats.rows_in.load(Ordering::Relaxed) >= self.0, Ordering::Release);
    }
}

/// Rows of the result, and the splits and bytes that the newest checkpoint has of the source.
fn left(dir: &Path) -> (usize, usize, usize) {
    let files = std::fs::read_dir(dir.join("out")).unwrap();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let rows = texts.map(|text| text.lines().count()).sum();
    let mut store = CheckpointStore::open(&dir.join("state")).unwrap();
    let disk = store.read().unwrap();
    let newest = disk.checkpoints.iter().max_by_key(|found| found.epoch).unwrap();
    let source = &newest.manifest.as_ref().unwrap().sources[0];
    (rows, source.splits.len(), serde_json::to_vec(source).unwrap().len())
}

#[test]
fn files_that_were_taken_away_leave_nothing_in_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("in");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("stays.jsonl"), "").unwrap();
    let sql = format!(
        "CREATE TABLE src (n BIGINT) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{}',
           'source.monitor-interval' = '20 s');
         CREATE TABLE res (n BIGINT) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{}');
         INSERT INTO res SELECT n FROM src;",
        folder.display(),
        dir.path().join("out").display()
    );
    let variation = || Variation {
        trigger: CheckpointTrigger::Interval(Duration::from_secs(100)),
        clock: Arc::new(Fast(Instant::now())),
        ..Variation::plain(2)
    };
    let plain = variation();
    let mut passing =
        Passing { folder, files: 400, written: 0, ended: None, stop: plain.stop.clone() };
    let state = dir.path().join("state");
    assert_eq!(observe(&sql, &state, &plain, &mut passing).unwrap(), Outcome::Stopped);
    let (rows, splits, bytes) = left(dir.path());
    assert_eq!(rows, 400);
    // The file that stays, and who looks for others.
    assert_eq!(splits, 2);
    assert!(bytes < 2000, "{bytes} bytes");
    // A name that is forgotten is free.
    passing.write(7);
    let again = variation();
    let mut stops = StopsAfter(1, again.stop.clone());
    assert_eq!(observe(&sql, &state, &again, &mut stops).unwrap(), Outcome::Stopped);
    assert_eq!(left(dir.path()).0, 401);
}
