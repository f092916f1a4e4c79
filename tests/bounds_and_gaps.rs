//! What does a start say that does not fit its run, or finds that records have expired?
//!
//! The binary on a loopback stream: `--from` and `--to` belong to the run, so a later end is taken
//! and said, and every other difference is refused with exit code 3 and the way out; records that
//! expired before they were read are named, and one explicit consent goes on without them. What
//! always holds: a start that is refused changes nothing.

use std::fs;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::operations::signal;
use crate::support::binary::{ended, epoch, paceline, wait_until};
use crate::support::kinesis_server::{Faults, KinesisServer};

const STREAM: &str = "rides";
const STATE: i32 = 3;

struct World {
    kinesis: KinesisServer,
    dir: tempfile::TempDir,
}

impl World {
    fn new(shards: i32) -> World {
        let world = World { kinesis: KinesisServer::start(), dir: tempfile::tempdir().unwrap() };
        world.kinesis.create_stream(STREAM, shards);
        let query = format!(
            "SET 'execution.checkpointing.interval' = '100 ms';
             CREATE TABLE rides (n BIGINT) WITH ('connector' = 'kinesis', 'stream.arn' = '{}', 'aws.endpoint' = '{}',
               'source.init.position' = 'TRIM_HORIZON', 'format' = 'json');
             CREATE TABLE seen (n STRING) WITH ('connector' = 'filesystem', 'format' = 'raw', 'path' = 'seen');
             INSERT INTO seen SELECT CAST(n AS STRING) FROM rides;",
            world.kinesis.stream_arn(STREAM),
            world.kinesis.endpoint(),
        );
        fs::write(world.dir.path().join("q.sql"), query).unwrap();
        world
    }

    /// Rides of these numbers, spread over the shards.
    fn put(&self, numbers: std::ops::Range<u64>) {
        let rides = numbers.map(|n| (n.to_string(), format!("{{\"n\":{n}}}").into_bytes()));
        self.kinesis.put(STREAM, &rides.collect::<Vec<_>>());
    }

    fn start(&self, more: &[&str]) -> std::process::Child {
        let args = [&["run", "q.sql", "--state-dir", "state"], more].concat();
        paceline(self.dir.path(), &args).spawn().unwrap()
    }

    fn run(&self, more: &[&str]) -> (i32, String) {
        ended(self.start(more))
    }

    /// A start that is refused as not fitting, saying this, and leaves everything as it is.
    fn refused(&self, more: &[&str], says: &[&str]) {
        let before = (self.seen(), epoch(&self.dir.path().join("state")));
        let (code, text) = self.run(more);
        assert_eq!(code, STATE, "{more:?}: {text}");
        for part in says {
            assert!(text.contains(part), "{more:?}: {part} is not in: {text}");
        }
        assert_eq!((self.seen(), epoch(&self.dir.path().join("state"))), before, "{more:?}");
    }

    fn seen(&self) -> Vec<u64> {
        let lines = crate::support::job::sink_rows(&self.dir.path().join("seen"));
        let mut numbers: Vec<u64> = lines.iter().map(|line| line.parse().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    }

    fn epoch(&self) -> Option<u64> {
        epoch(&self.dir.path().join("state"))
    }

    /// Runs until so many rides are in a checkpoint; then SIGTERM.
    fn stopped_after(&self, rides: usize, more: &[&str]) -> String {
        let mut job = self.start(more);
        wait_until(&mut job, "the rides are seen", || self.committed() >= rides);
        signal(&job, "TERM");
        let (code, text) = ended(job);
        assert!(code == 0 && text.contains("stopped"), "{code} {text}");
        text
    }

    /// Rides in files that are published.
    fn committed(&self) -> usize {
        let files = fs::read_dir(self.dir.path().join("seen")).into_iter().flatten().flatten();
        let shown = files.filter(|f| !f.file_name().to_string_lossy().starts_with('.'));
        // A part may get its name, or go, at any time.
        shown.filter_map(|f| fs::read_to_string(f.path()).ok()).map(|t| t.lines().count()).sum()
    }
}

/// A full second so far ahead, for arrival times that the server gives in full seconds.
fn in_seconds(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(Utc::now().timestamp() + seconds, 0).unwrap()
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

fn wait_for(at: DateTime<Utc>) {
    std::thread::sleep((at - Utc::now()).to_std().unwrap_or(Duration::ZERO));
}

#[test]
fn an_end_that_moves_on_is_taken_and_every_other_is_refused() {
    let world = World::new(2);
    world.put(0..100);
    // Further off than any machine is slow.
    let first = in_seconds(600);
    world.stopped_after(100, &["--to", &rfc3339(first)]);
    world.put(100..150);
    world.stopped_after(150, &["--to", &rfc3339(first)]);

    let again = format!("start it --to {} again, or over with --fresh", rfc3339(first));
    let earlier = rfc3339(first - chrono::Duration::seconds(25));
    world.refused(&["--to", &earlier], &[&format!("this start is --to {earlier}"), &again]);
    world.refused(&[], &["this start is without --to", &again]);
    world.refused(
        &["--from", "2026-01-01T00:00:00Z", "--to", &rfc3339(first)],
        &["the run began without --from", "start it without --from again, or over with --fresh"],
    );
    assert_eq!(world.seen(), (0..150).collect::<Vec<_>>());

    // Taken, although it stops before its end again.
    world.put(150..200);
    let second = first + chrono::Duration::seconds(1);
    let text = world.stopped_after(200, &["--to", &rfc3339(second)]);
    assert!(text.contains(&moves(first, second)), "{text}");
    // From now on the later end is that of the run.
    world.refused(&["--to", &rfc3339(first)], &[&rfc3339(second)]);
    world.put(200..250);
    let text = world.stopped_after(250, &["--to", &rfc3339(second)]);
    assert!(!text.contains("moves from"), "{text}");
    assert_eq!(world.seen(), (0..250).collect::<Vec<_>>());
}

#[test]
fn behind_its_end_a_run_has_nothing_to_go_on_with() {
    let world = World::new(1);
    world.put(0..100);
    let to = rfc3339(in_seconds(2));
    let (code, text) = world.run(&["--to", &to]);
    assert!(code == 0 && text.contains("finished"), "{code} {text}");
    assert_eq!(world.seen(), (0..100).collect::<Vec<_>>());
    let (code, text) = world.run(&["--to", &to]);
    assert!(code == 0 && text.contains("finished before"), "{code} {text}");
    world.refused(
        &["--to", &rfc3339(in_seconds(60))],
        &["the run has finished", "a state directory of its own", "--from the end of this run"],
    );
}

fn moves(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let [from, to] = [from, to].map(|at| at.format("%Y-%m-%d %H:%M:%S UTC"));
    format!("the run's end moves from {from} to {to}")
}

#[test]
fn a_beginning_belongs_to_its_run() {
    let world = World::new(1);
    world.put(0..10);
    let from = in_seconds(2);
    wait_for(from);
    world.put(10..20);
    world.stopped_after(10, &["--from", &rfc3339(from)]);
    assert_eq!(world.seen(), (10..20).collect::<Vec<_>>());
    let again = format!("start it --from {} again, or over with --fresh", rfc3339(from));
    world.refused(&[], &["this start is without --from", &again]);
    world.refused(&["--from", "2026-01-01T00:00:00Z"], &["--from 2026-01-01T00:00:00Z", &again]);
    let ends = rfc3339(in_seconds(60));
    world.refused(
        &["--from", &rfc3339(from), "--to", &ends],
        &["the run began without --to", &format!("this start is --to {ends}")],
    );
    world.put(20..30);
    world.stopped_after(20, &["--from", &rfc3339(from)]);
    assert_eq!(world.seen(), (10..30).collect::<Vec<_>>());
}

/// A shard is split and expires, its last records unread.
#[test]
fn a_shard_that_expired_unread_is_named_and_left_out_on_consent() {
    let world = World::new(1);
    world.put(0..50);
    world.stopped_after(50, &[]);
    world.put(50..80);
    let shard = world.kinesis.open_shards(STREAM)[0].clone();
    world.kinesis.split_shard(STREAM, &shard);
    world.put(80..120);
    world.kinesis.set_faults(Faults { gone: Some(shard.clone()), ..Faults::default() });

    world.refused(
        &[],
        &[&shard, "expired before it was read", "are lost", "--accept-gaps", "--fresh"],
    );
    let mut job = world.start(&["--accept-gaps"]);
    wait_until(&mut job, "what came after the gap", || world.committed() >= 90);
    signal(&job, "TERM");
    let (code, text) = ended(job);
    assert!(code == 0 && text.contains("going on as agreed"), "{code} {text}");
    assert!(text.contains(&shard), "{text}");
    assert_eq!(world.seen(), (0..50).chain(80..120).collect::<Vec<_>>());
    // One consent is for one gap: the next start needs none.
    world.put(120..130);
    world.stopped_after(100, &[]);
    assert!(world.epoch() > Some(0));
}

/// The shard is still there, but the stream keeps records for less time than it did, and what came
/// behind the job's position need not be there.
#[test]
fn a_position_older_than_retention_is_named_and_passed_on_consent() {
    let world = World::new(1);
    world.kinesis.set_retention(STREAM, 72);
    // The newest record that the job knows came 30 hours ago.
    world.kinesis.set_faults(Faults { arrived_earlier_s: 30 * 3600, ..Faults::default() });
    world.put(0..50);
    world.stopped_after(50, &[]);
    world.kinesis.set_retention(STREAM, 24);
    world.put(50..60);
    world.kinesis.set_faults(Faults::default());
    let shard = world.kinesis.open_shards(STREAM)[0].clone();
    world.refused(&[], &[&shard, "may have expired", "24 hours", "--accept-gaps", "--fresh"]);
    let mut job = world.start(&["--accept-gaps"]);
    wait_until(&mut job, "what is still there", || world.committed() >= 60);
    signal(&job, "TERM");
    let (code, text) = ended(job);
    assert!(code == 0 && text.contains("going on as agreed"), "{code} {text}");
    assert_eq!(world.seen(), (0..60).collect::<Vec<_>>());
}
