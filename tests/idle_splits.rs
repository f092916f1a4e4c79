//! Who holds the watermark back? A source whose two shards answer by a script, with a clock that
//! only the script moves: a shard that has been certified empty is idle, and stops being so when
//! the server does not say so any more.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::checkpoint::store::CheckpointStore;
use paceline::config::Config;
use paceline::connect::connect;
use paceline::connector::inline::select::SelectFormat;
use paceline::connector::{Connectors, Environment};
use paceline::files::on_disk;
use paceline::plan::lower::lower;
use paceline::record::{Places, RawBatch, Span};
use paceline::runtime::control::Stats;
use paceline::runtime::crash::NeverCrash;
use paceline::runtime::error::JobError;
use paceline::runtime::job;
use paceline::runtime::job::{Observer, Outcome};
use paceline::runtime::options::{CheckpointTrigger, JobOptions, Scheduling};
use paceline::runtime::worker::SharedSource;
use paceline::source::{
    Polled, Position, ReadAhead, Source, SourceError, SplitId, SplitReader, SplitSeed,
};
use paceline::sql::bind::bind;
use paceline::state::store::StoreKind;
use paceline::time::Watermark;
use paceline::time::clock::{Clock, SystemClock};
use paceline::time::idle::{ANSWER_AGE_MAX, EmptyAnswers};

use crate::support::job::sink_rows;

/// What a shard does at a step of the script.
#[derive(Clone, Copy)]
enum Says {
    /// A record with this event time, in seconds.
    Row(i64),
    /// An empty reply with MillisBehindLatest 0, the so many seconds of the clock.
    Empty(u64),
    /// Throttled, or behind: nothing is known.
    Unknown,
    /// No answer comes; the clock stands at so many seconds.
    Hangs(u64),
    End,
}
use Says::{Empty, End, Hangs, Row, Unknown};

/// The script: one line after the other, each for one of the shards.
struct Script {
    lines: Vec<(usize, Says)>,
    next: AtomicUsize,
    clock: Arc<ScriptClock>,
    answers: Mutex<[Option<EmptyAnswers>; 2]>,
    bounded: bool,
}

#[derive(Default)]
struct ScriptClock {
    seconds: AtomicU64,
    is_over: AtomicBool,
    /// Readings after the last line. Some hundreds later a job that does not end by itself is
    /// stopped.
    readings_after: AtomicU64,
    stop: Arc<AtomicBool>,
}

impl Clock for ScriptClock {
    fn wall_ms(&self) -> i64 {
        0
    }
    fn monotonic(&self) -> Duration {
        if self.is_over.load(Ordering::Acquire)
            && self.readings_after.fetch_add(1, Ordering::AcqRel) > 300
        {
            self.stop.store(true, Ordering::Release);
        }
        Duration::from_secs(self.seconds.load(Ordering::Acquire))
    }
}

struct Scripted(Arc<Script>);

impl Source for Scripted {
    fn discover(&self) -> Result<Vec<SplitSeed>, SourceError> {
        let seed = |i: usize| SplitSeed {
            id: SplitId(format!("shard-{i}").into()),
            parents: vec![],
            start: Position::after_records(0),
        };
        Ok(vec![seed(0), seed(1)])
    }
    fn open(
        &self,
        split: &SplitId,
        _: &Position,
        _: ReadAhead,
    ) -> Result<Box<dyn SplitReader>, SourceError> {
        Ok(Box::new(Shard { number: usize::from(&*split.0 == "shard-1"), script: self.0.clone() }))
    }
    fn bounded(&self) -> bool {
        self.0.bounded
    }
}

struct Shard {
    number: usize,
    script: Arc<Script>,
}

impl SplitReader for Shard {
    fn poll(&mut self, _: usize) -> Result<Polled, SourceError> {
        let script = &self.script;
        let mut answers = script.answers.lock().unwrap();
        let own = &mut answers[self.number];
        let at = script.next.load(Ordering::Acquire);
        let says =
            script.lines.get(at).filter(|(shard, _)| *shard == self.number).map(|(_, says)| *says);
        if says.is_some() {
            script.next.store(at + 1, Ordering::Release);
        }
        script.clock.is_over.store(at + 1 >= script.lines.len(), Ordering::Release);
        let at_seconds = |s: u64| script.clock.seconds.store(s, Ordering::Release);
        match says {
            None => {}
            Some(Row(second)) => {
                *own = None;
                let bytes = format!(
                    r#"{{"shard":{},"ts":"2024-01-01 00:{:02}:{:02}"}}"#,
                    self.number,
                    second / 60,
                    second % 60
                );
                let spans = vec![Span { start: 0, end: bytes.len() as u32 }];
                let places = Places::Generated { first: 0 };
                return Ok(Polled::Records(RawBatch {
                    bytes: bytes.into_bytes(),
                    spans,
                    places,
                    metadata: vec![],
                    ops: None,
                }));
            }
            Some(Empty(second)) => {
                at_seconds(second);
                *own = Some(EmptyAnswers::and_one(*own, Duration::from_secs(second)));
            }
            Some(Unknown) => *own = None,
            Some(Hangs(second)) => at_seconds(second),
            Some(End) => return Ok(Polled::End { children: vec![] }),
        }
        Ok(Polled::Pending { empty: *own })
    }
    fn position(&self) -> Position {
        Position::after_records(0)
    }
}

struct Late {
    rows: u64,
    by_fired_mark: u64,
    /// The source watermark at the end.
    watermark: Watermark,
}

impl Observer for Late {
    fn progress(&mut self, stats: &Stats, sources: &[Arc<SharedSource>]) {
        self.rows = stats.late_rows.load(Ordering::Relaxed);
        self.by_fired_mark = stats.late_by_fired_mark.load(Ordering::Relaxed);
        self.watermark = sources[0].reached();
    }
}

/// Counts rows by shard in windows of ten seconds; a shard is idle after five.
fn run(lines: &[(usize, Says)], bounded: bool) -> (Outcome, Vec<String>, Late) {
    let dir = tempfile::tempdir().unwrap();
    let sql = format!(
        "CREATE TABLE src (shard BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
           WITH ('connector'='filesystem','format'='json','path'='{0}/none');
         CREATE TABLE res (we TIMESTAMP(3), shard BIGINT, c BIGINT) WITH ('connector'='filesystem','format'='json','path'='{0}/res');
         INSERT INTO res SELECT window_end, shard, COUNT(*) FROM TABLE(TUMBLE(TABLE src, DESCRIPTOR(ts), INTERVAL '10' SECOND))
           GROUP BY window_start, window_end, shard;",
        dir.path().display()
    );
    fs::create_dir(dir.path().join("none")).unwrap();
    let state_dir = dir.path().join("state");
    let settings =
        BTreeMap::from([("table.exec.source.idle-timeout".to_string(), "5 s".to_string())]);
    let config = Config::resolve(&settings, 1).unwrap();
    let plan = lower(&bind(&sql).unwrap(), &sql, &config, &Connectors::built_in()).unwrap();
    let clock: Arc<ScriptClock> = Arc::default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut store = CheckpointStore::open(&state_dir).unwrap();
    let run_ms =
        job::run_start(&mut store, false, || Ok::<i64, JobError>(SystemClock::shared().wall_ms()))
            .unwrap();
    let env = Environment {
        connectors: &Connectors::built_in(),
        config: &config,
        query_path: PathBuf::from("query.sql"),
        local: false,
        files: on_disk(),
        state_dir: state_dir.clone(),
        errors_dir: state_dir.join("errors"),
        run_ms,
        run_name: "run".into(),
        bounds: Default::default(),
        on_gap: Default::default(),
        clock: clock.clone(),
        tasks: runtime.handle().clone().into(),
        select: SelectFormat::Json,
    };
    let mut connection = connect(&plan, &env).unwrap();
    let script = Arc::new(Script {
        lines: lines.to_vec(),
        next: AtomicUsize::new(0),
        clock: clock.clone(),
        answers: Mutex::default(),
        bounded,
    });
    connection.connected.sources = vec![Arc::new(Scripted(script))];
    for watermarks in &mut connection.connected.watermarks {
        watermarks.idle_timeout = Duration::from_secs(5);
    }
    let options = JobOptions {
        workers: 1,
        state_dir,
        fresh: false,
        allow_duplicates: false,
        trigger: CheckpointTrigger::AtEnd,
        limits: Default::default(),
        scheduling: Scheduling::Seeded(1),
        batch_rows: 10,
        lane_bytes_max: 1 << 20,
        accumulator_bytes_max: 1 << 20,
        owed_bytes_max: 1 << 20,
        read_ahead_bytes: 1 << 20,
        stores: StoreKind::RocksDb,
        state_cache_bytes: 1 << 20,
        crashes: Arc::new(NeverCrash),
        stop: clock.stop.clone(),
        clock,
    };
    let mut late = Late { rows: 0, by_fired_mark: 0, watermark: Watermark::NONE };
    let outcome =
        job::run(&plan, &connection.connected, &options, store, run_ms, &mut late).unwrap();
    (outcome, sink_rows(&dir.path().join("res")), late)
}

/// Windows that are in the output, as (end in seconds, shard, rows).
fn windows(rows: &[String]) -> Vec<(i64, i64, i64)> {
    let parse = |row: &String| {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let end = row["we"].as_str().unwrap();
        let seconds = |range: std::ops::Range<usize>| end[range].parse::<i64>().unwrap();
        (
            seconds(14..16) * 60 + seconds(17..19),
            row["shard"].as_i64().unwrap(),
            row["c"].as_i64().unwrap(),
        )
    };
    let mut windows: Vec<_> = rows.iter().map(parse).collect();
    windows.sort_unstable();
    windows
}

#[test]
fn an_idle_shard_lets_the_others_go_on() {
    let lines = [(0, Row(1)), (0, Empty(1)), (0, Empty(6)), (1, Row(2)), (1, Row(25))];
    let (outcome, rows, late) = run(&lines, false);
    assert_eq!((outcome, windows(&rows)), (Outcome::Stopped, vec![(10, 0, 1), (10, 1, 1)]));
    assert_eq!((late.rows, late.by_fired_mark), (0, 0));
}

#[test]
fn a_shard_that_is_throttled_or_hangs_is_not_idle_any_more() {
    let hang = ANSWER_AGE_MAX.as_secs() + 7;
    for (number, trouble) in [Unknown, Hangs(hang)].into_iter().enumerate() {
        let lines = [
            (0, Row(1)),
            (0, Empty(1)),
            (0, Empty(6)),
            (1, Row(2)),
            (0, trouble),
            (0, trouble),
            (1, Row(25)),
            (0, Row(12)),
            (0, End),
            (1, End),
        ];
        let (outcome, rows, late) = run(&lines, true);
        assert_eq!(outcome, Outcome::Finished);
        assert_eq!(
            (late.rows, late.by_fired_mark),
            (0, 0),
            "trouble {number}: its row of second 12 is in time"
        );
        assert_eq!(windows(&rows), [(10, 0, 1), (10, 1, 1), (20, 0, 1), (30, 1, 1)]);
    }
}

#[test]
fn time_without_an_answer_is_no_idleness() {
    let lines = [
        (0, Row(1)),
        (0, Empty(1)),
        (1, Row(2)),
        (0, Hangs(8)),
        (1, Row(25)),
        (0, Row(12)),
        (0, End),
        (1, End),
    ];
    let (_, rows, late) = run(&lines, true);
    assert_eq!((late.rows, late.by_fired_mark), (0, 0));
    assert_eq!(windows(&rows), [(10, 0, 1), (10, 1, 1), (20, 0, 1), (30, 1, 1)]);
}

#[test]
fn an_unbounded_source_whose_shards_have_ended_has_not() {
    let (outcome, rows, late) =
        run(&[(0, Row(1)), (1, Row(12)), (0, End), (1, Row(13)), (1, End)], false);
    assert_eq!((outcome, windows(&rows)), (Outcome::Stopped, vec![(10, 0, 1)]));
    assert_eq!(late.watermark.ms() % 60_000, 13_000, "no end of time");
}
