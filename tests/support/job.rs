//! Runs SQL in this process, as `paceline run` does, with what a test wants to vary: workers,
//! batches, checkpoints, kills.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use paceline::checkpoint::store::CheckpointStore;
use paceline::config::Config;
use paceline::connect::connect;
use paceline::connector::inline::select::SelectFormat;
use paceline::connector::{Connectors, Environment};
use paceline::files::on_disk;
use paceline::ids::Epoch;
use paceline::plan::lower::lower;
use paceline::plan::physical::SinkTarget;
use paceline::runtime::control::Stats;
use paceline::runtime::crash::{CrashPoint, CrashSchedule, NeverCrash};
use paceline::runtime::error::JobError;
use paceline::runtime::graph::LANE_BYTES_MAX;
use paceline::runtime::job;
use paceline::runtime::job::{Observer, Outcome};
use paceline::runtime::options::{CheckpointTrigger, JobOptions, Scheduling};
use paceline::runtime::worker::SharedSource;
use paceline::sql::bind::bind;
use paceline::sql::error::SqlError;
use paceline::state::store::StoreKind;
use paceline::time::clock::{SharedClock, SystemClock};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::changelog_sink::ChangelogSink;

/// How one attempt of a job runs.
#[derive(Clone)]
pub struct Variation {
    pub workers: usize,
    pub batch_rows: usize,
    pub lane_bytes_max: usize,
    pub accumulator_bytes_max: usize,
    pub trigger: CheckpointTrigger,
    pub scheduling: Scheduling,
    pub crashes: Arc<dyn CrashSchedule>,
    /// Stops the job when it is set.
    pub stop: Arc<AtomicBool>,
    /// What a bare SELECT prints is written at once, not when its epoch is committed.
    pub prints_at_once: bool,
    /// Those that tables may name.
    pub connectors: Arc<Connectors>,
    pub clock: SharedClock,
}

impl Variation {
    pub fn plain(workers: usize) -> Variation {
        Variation {
            workers,
            batch_rows: 8192,
            lane_bytes_max: LANE_BYTES_MAX,
            accumulator_bytes_max: 256 << 20,
            trigger: CheckpointTrigger::AtEnd,
            scheduling: Scheduling::Threads,
            crashes: Arc::new(NeverCrash),
            stop: Arc::default(),
            prints_at_once: false,
            connectors: Arc::new(Connectors::built_in()),
            clock: SystemClock::shared(),
        }
    }
}

/// Dies the n-th time that a point is reached.
pub struct CrashAt {
    pub point: CrashPoint,
    pub remaining: AtomicI64,
}

impl CrashSchedule for CrashAt {
    fn reached(&self, point: CrashPoint) -> bool {
        point == self.point && self.remaining.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// Asks a job to stop the n-th time that it reaches any point, and counts the reads after that.
pub struct StopAt {
    remaining: AtomicU64,
    stop: Arc<AtomicBool>,
    reads_after: AtomicU64,
}

impl StopAt {
    pub fn new(at: u64, stop: Arc<AtomicBool>) -> Arc<StopAt> {
        Arc::new(StopAt { remaining: AtomicU64::new(at), stop, reads_after: AtomicU64::new(0) })
    }

    pub fn reads_after(&self) -> u64 {
        self.reads_after.load(Ordering::Acquire)
    }
}

impl CrashSchedule for StopAt {
    fn reached(&self, point: CrashPoint) -> bool {
        if self.stop.load(Ordering::Acquire) {
            self.reads_after.fetch_add(u64::from(point == CrashPoint::MidRead), Ordering::AcqRel);
        } else if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.stop.store(true, Ordering::Release);
        }
        false
    }
}

/// What a test learns from an attempt.
#[derive(Default)]
pub struct Seen {
    /// The epoch an attempt went on from, and whether its store held anything.
    pub resumed: Option<(Epoch, bool)>,
    pub checkpoints: u64,
    pub late_rows: u64,
    pub late_by_fired_mark: u64,
    checkpoint_folder: PathBuf,
}

impl Observer for Seen {
    fn progress(&mut self, stats: &Stats, _: &[Arc<SharedSource>]) {
        self.late_rows = stats.late_rows.load(Ordering::Relaxed);
        self.late_by_fired_mark = stats.late_by_fired_mark.load(Ordering::Relaxed);
    }
    fn checkpoint(&mut self, _: Epoch) {
        self.checkpoints += 1;
    }
    fn resumed(&mut self, epoch: Epoch, _: &[(Epoch, String)]) {
        let folder = self.checkpoint_folder.join(format!("{epoch:08}"));
        let has_tables = fs::read_dir(folder).into_iter().flatten().flatten().any(|worker| {
            fs::read_dir(worker.path())
                .into_iter()
                .flatten()
                .flatten()
                .any(|f| f.path().extension().is_some_and(|e| e == "sst"))
        });
        self.resumed = Some((epoch, has_tables));
    }
}

/// Whether a script can be planned.
pub fn planned(sql: &str) -> Result<(), SqlError> {
    let script = bind(sql)?;
    let config = Config::resolve(&script.settings, 2).map_err(|e| script.setting_error(e))?;
    let config = Config { workers: 2, ..config };
    let plan = lower(&script, sql, &config, &Connectors::built_in())?;
    paceline::connect::check(&plan, &config, &Connectors::built_in(), &|_, _| false).map_err(|e| {
        match e {
            paceline::connector::ConnectError::Query(e) => e,
            other => SqlError::new(other.to_string()),
        }
    })
}

/// One attempt of a SQL job on a state directory.
pub fn attempt(
    sql: &str,
    state_dir: &Path,
    variation: &Variation,
) -> (Result<Outcome, JobError>, Seen) {
    let mut seen = Seen { checkpoint_folder: state_dir.join("checkpoints"), ..Seen::default() };
    let outcome = observe(sql, state_dir, variation, &mut seen);
    (outcome, seen)
}

/// The same, watched by whatever the test wants to know.
pub fn observe(
    sql: &str,
    state_dir: &Path,
    variation: &Variation,
    observer: &mut dyn Observer,
) -> Result<Outcome, JobError> {
    let script = bind(sql).unwrap_or_else(|e| panic!("{}", e.render("query.sql", sql)));
    let settings = Config::resolve(&script.settings, variation.workers)
        .unwrap_or_else(|e| panic!("{}", script.setting_error(e).render("query.sql", sql)));
    let planned = Config { workers: variation.workers, ..settings };
    let plan = lower(&script, sql, &planned, &*variation.connectors)
        .unwrap_or_else(|e| panic!("{}", e.render("query.sql", sql)));
    let config = Config::resolve(&BTreeMap::new(), variation.workers).expect("defaults");
    let clock = variation.clock.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("runtime");
    let mut store = CheckpointStore::open(state_dir).expect("state directory");
    let run_ms =
        job::run_start(&mut store, false, || Ok::<i64, JobError>(clock.wall_ms())).expect("run");
    let env = Environment {
        connectors: &variation.connectors,
        config: &config,
        query_path: PathBuf::from("query.sql"),
        local: false,
        files: on_disk(),
        state_dir: state_dir.to_path_buf(),
        errors_dir: state_dir.join("errors"),
        run_ms,
        run_name: store.run_name(run_ms),
        bounds: Default::default(),
        on_gap: Default::default(),
        clock: clock.clone(),
        tasks: runtime.handle().clone().into(),
        select: SelectFormat::Json,
    };
    let mut connection = connect(&plan, &env).unwrap_or_else(|e| panic!("{e}"));
    let prints = plan
        .sinks
        .iter()
        .zip(&mut connection.connected.sinks)
        .filter(|(p, _)| matches!(p.target, SinkTarget::Print));
    for (number, (plan, sink)) in prints.enumerate() {
        let folder = state_dir.with_file_name("changes").join(format!("select_{}", number + 1));
        *sink = Arc::new(ChangelogSink::new(folder, plan.schema.clone(), variation.prints_at_once));
    }
    let options = JobOptions {
        workers: variation.workers,
        state_dir: state_dir.to_path_buf(),
        fresh: false,
        allow_duplicates: false,
        trigger: variation.trigger,
        limits: Default::default(),
        scheduling: variation.scheduling.clone(),
        batch_rows: variation.batch_rows,
        lane_bytes_max: variation.lane_bytes_max,
        accumulator_bytes_max: variation.accumulator_bytes_max,
        owed_bytes_max: 16 << 20,
        read_ahead_bytes: 16 << 20,
        stores: StoreKind::RocksDb,
        state_cache_bytes: 16 << 20,
        crashes: variation.crashes.clone(),
        clock,
        stop: variation.stop.clone(),
    };
    job::run(&plan, &connection.connected, &options, store, run_ms, observer)
}

/// Runs a job to its end without kills.
pub fn finish(sql: &str, state_dir: &Path, variation: &Variation) -> Seen {
    let (outcome, seen) = attempt(sql, state_dir, variation);
    assert_eq!(outcome.unwrap_or_else(|e| panic!("{e}")), Outcome::Finished);
    seen
}

/// Runs a job that is killed at seeded points, each attempt with other workers and batches, until
/// it finishes. Returns how many attempts went on from an epoch after 0 whose store held state.
pub fn finish_with_kills(
    sql: &str,
    state_dir: &Path,
    seed: u64,
    kills: usize,
    records: u64,
) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut restores = 0;
    for kill in 0.. {
        let point = CrashPoint::ALL[rng.random_range(0..CrashPoint::ALL.len())];
        let crashes: Arc<dyn CrashSchedule> = if kill < kills {
            Arc::new(CrashAt { point, remaining: AtomicI64::new(rng.random_range(1..6)) })
        } else {
            Arc::new(NeverCrash)
        };
        let variation = Variation {
            workers: rng.random_range(1..=4),
            batch_rows: [1, 3, 17, 100, 1000][rng.random_range(0..5)].min(records as usize / 4 + 1),
            // At 1 a lane holds one batch: workers wait for each other all the time.
            lane_bytes_max: [1, 2000, LANE_BYTES_MAX][rng.random_range(0..3)],
            // At 0 everything is moved to the store at once, and every window is read back from
            // there.
            accumulator_bytes_max: [0, 20_000, 256 << 20][rng.random_range(0..3)],
            trigger: CheckpointTrigger::Records(rng.random_range(1..=records.max(2) / 2)),
            scheduling: if rng.random_bool(0.5) {
                Scheduling::Threads
            } else {
                Scheduling::Seeded(rng.random())
            },
            crashes,
            ..Variation::plain(1)
        };
        let (outcome, seen) = attempt(sql, state_dir, &variation);
        restores +=
            usize::from(seen.resumed.is_some_and(|(epoch, tables)| epoch > Epoch::START && tables));
        match outcome {
            Ok(Outcome::Finished | Outcome::AlreadyFinished) => return restores,
            Err(JobError::Crashed(_)) => {}
            other => panic!("seed {seed}, attempt {kill}: {other:?}"),
        }
    }
    unreachable!("the loop ends when the job does")
}

/// The rows that a file sink wrote, as canonical text, sorted. Panics if something uncommitted is
/// left.
pub fn sink_rows(folder: &Path) -> Vec<String> {
    sink_rows_to(folder, 12)
}

/// The same, with fractions to so many digits.
pub fn sink_rows_to(folder: &Path, digits: usize) -> Vec<String> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("readable folder").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(!name.starts_with('.'), "{name} was left behind");
        rows.extend(
            fs::read_to_string(&path)
                .expect("readable file")
                .lines()
                .map(|line| canonical(line, digits)),
        );
    }
    rows.sort();
    rows
}

/// A JSON object with numbers by value: 1, 1.0 and 1E0 are the same; fractions agree to 12 digits.
pub fn canonical(line: &str, digits: usize) -> String {
    fn value(v: &serde_json::Value, digits: usize) -> String {
        match v {
            serde_json::Value::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(i), _) => i.to_string(),
                (None, Some(f)) if f.fract() == 0.0 && f.abs() < 9e15 && digits >= 12 => {
                    format!("{}", f as i64)
                }
                // Inputs of few digits often lead to exact halves, which the order of adding would
                // tip either way.
                (None, Some(f)) if digits < 12 => format!("{:.*e}", digits - 1, f * (1.0 + 3e-13)),
                (None, Some(f)) => format!("{f:.*e}", digits - 1),
                (None, None) => n.to_string(),
            },
            serde_json::Value::Object(map) => {
                let fields: Vec<String> =
                    map.iter().map(|(k, v)| format!("{k:?}:{}", value(v, digits))).collect();
                format!("{{{}}}", fields.join(","))
            }
            serde_json::Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| value(item, digits)).collect();
                format!("[{}]", items.join(","))
            }
            other => other.to_string(),
        }
    }
    match serde_json::from_str(line) {
        Ok(parsed) => value(&parsed, digits),
        // A line of CSV, or of a file in the format raw.
        Err(_) => line.to_owned(),
    }
}
