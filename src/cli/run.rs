//! `paceline run`: from arguments to a job and its exit code.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::board::Board;
use super::progress::{Counts, Progress};
use super::{Exit, SqlFile, key_value};
use crate::bounded::{MESSAGE_BYTES_MAX, bounded};
use crate::checkpoint::store::CheckpointStore;
use crate::config::Config;
use crate::connect;
use crate::connector::Bounds;
use crate::connector::inline::select::SelectFormat;
use crate::connector::{ConnectError, Connectors, Environment};
use crate::observe::health::{self, Health};
use crate::plan::explain::explain;
use crate::plan::lower::lower;
use crate::plan::physical::PhysicalPlan;
use crate::runtime::crash::NeverCrash;
use crate::runtime::error::JobError;
use crate::runtime::graph::LANE_BYTES_MAX;
use crate::runtime::job;
use crate::runtime::job::Outcome;
use crate::runtime::options::{CheckpointTrigger, JobOptions, Scheduling};
use crate::sql::bind::bind_with;
use crate::time::clock::{SharedClock, SystemClock};

#[derive(clap::Args)]
pub struct Args {
    /// The SQL file
    query: PathBuf,
    /// Replace remote sources by sample data and remote sinks by embedded tables: no account needed
    #[arg(long)]
    local: bool,
    /// Override a setting: Flink's keys, and ours under `paceline.`
    #[arg(long = "set", value_name = "K=V", value_parser = key_value)]
    settings: Vec<(String, String)>,
    /// A new or empty folder for state and checkpoints; starting again on it goes on from the newest checkpoint [default: temporary]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Number of workers [default: one per core]
    #[arg(long, value_name = "N")]
    parallelism: Option<usize>,
    /// Read streams from this arrival time on: RFC 3339, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "T", value_parser = arrival_time)]
    from: Option<i64>,
    /// Read streams up to this arrival time, exclusive, then finish
    #[arg(long, value_name = "T", value_parser = arrival_time)]
    to: Option<i64>,
    /// Serve GET /health on this address, to whoever reaches it
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Drop what the state directory holds and start over
    #[arg(long)]
    fresh: bool,
    /// Go on from an older checkpoint even if files were published after it
    #[arg(long)]
    allow_duplicates: bool,
    /// How a bare SELECT is printed
    #[arg(long, value_enum, default_value = "table")]
    output: SelectFormat,
}

fn arrival_time(text: &str) -> Result<i64, String> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|t| t.timestamp_millis())
        .map_err(|e| format!("{e}; write 2026-01-31T12:00:00Z"))
}

/// An address with its port, or a host's name with one.
fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|e| format!("{e}; write 127.0.0.1:8080"))?;
    found.next().ok_or_else(|| "the name has no address".into())
}

pub fn run(args: &Args) -> Exit {
    match start(args) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn say(message: impl std::fmt::Display) {
    eprintln!("error: {}", bounded(&message.to_string(), MESSAGE_BYTES_MAX));
}

fn wrong(message: impl std::fmt::Display) -> Exit {
    say(message);
    Exit::Wrong
}

fn failed(message: impl std::fmt::Display) -> Exit {
    say(message);
    Exit::Failed
}

fn start(args: &Args) -> Result<Exit, Exit> {
    let file = SqlFile::read(&args.query)?;
    let connectors = Connectors::built_in();
    let mut script = bind_with(&file.text, &args.settings).map_err(|e| file.show(&e))?;
    let mut settings = script.settings.clone();
    settings.extend(args.settings.iter().cloned());
    if let Some(n) = args.parallelism {
        settings.insert("parallelism.default".into(), n.to_string());
    }
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let config = Config::resolve(&settings, cores).map_err(|e| file.show(&script.setting_error(e)))?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let explained = script.take_explained();
    for script in &explained {
        let plan = lower(script, &file.text, &config, &connectors).map_err(|e| file.show(&e))?;
        print!("{}", explain(&plan, |sink| connect::guarantee(&plan.sinks[sink], &connectors)));
    }
    if script.queries.is_empty() && !explained.is_empty() {
        return Ok(Exit::Done);
    }
    let mut plan = lower(&script, &file.text, &config, &connectors).map_err(|e| file.show(&e))?;
    if args.local {
        // Its positions and results are of other sources and sinks.
        plan.fingerprint.push_str("--local\n");
    }
    for warning in &plan.warnings {
        tracing::warn!("{warning}");
    }
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        return Err(wrong("--from must be before --to"));
    }
    // A new folder each time, which goes with the process: what a killed one left behind is never gone on from.
    let temporary = match &args.state_dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("paceline-").tempdir().map_err(failed)?),
    };
    let state_dir = args.state_dir.as_deref().or(temporary.as_ref().map(|t| t.path())).unwrap_or(Path::new(".")).to_path_buf();
    let clock = SystemClock::shared();
    let mut store = CheckpointStore::open(&state_dir).map_err(|e| ended(&e.into()))?;
    let run_ms = job::run_start(&mut store, args.fresh, &clock).map_err(|e| ended(&e))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    let errors_dir = match &config.errors_path {
        Some(path) => PathBuf::from(path),
        // Temporary state goes with the process; what could not be read must not.
        None if args.state_dir.is_none() => PathBuf::from("paceline-errors"),
        None => state_dir.join("errors"),
    };
    let env = Environment {
        connectors: &connectors,
        config: &config,
        query_path: file.path.clone(),
        local: args.local,
        state_dir: state_dir.clone(),
        errors_dir: errors_dir.clone(),
        run_ms,
        run_name: store.run_name(run_ms),
        bounds: Bounds { from_ms: args.from, to_ms: args.to },
        clock: clock.clone(),
        runtime: runtime.handle().clone(),
        select: args.output,
    };
    let connection = connect::connect(&plan, &env).map_err(|e| match e {
        ConnectError::Query(e) => file.show(&e),
        other => failed(other),
    })?;
    let health = Arc::new(Health::default());
    if let Some(address) = args.listen {
        // Not a log line: no setting may hush it.
        if let Some(exposure) = health::exposure(address) {
            eprintln!("warning: {exposure}");
        }
        let bound = runtime.block_on(health.clone().serve(address)).map_err(|e| wrong(format!("--listen {address}: {e}")))?;
        tracing::info!("health on http://{bound}/health");
    }
    let stop = stop_on_signals(&runtime).map_err(failed)?;
    let options = JobOptions {
        workers: config.workers,
        state_dir,
        fresh: args.fresh,
        allow_duplicates: args.allow_duplicates,
        trigger: trigger(&config),
        scheduling: Scheduling::Threads,
        batch_rows: config.batch_rows,
        lane_bytes_max: LANE_BYTES_MAX,
        // Two fifths for accumulators and a quarter for RocksDB; the rest is for queues, the batches in work, what is copied
        // while state moves, and freed pages that the system has not got back yet.
        accumulator_bytes_max: config.memory_bytes / 5 * 2,
        state_cache_bytes: config.memory_bytes / 4,
        crashes: Arc::new(NeverCrash),
        clock: clock.clone(),
        stop,
    };
    let counts = drive(&plan, connection, &options, store, run_ms, &clock, health)?;
    if counts.diverted > 0 {
        tracing::warn!("{} records or rows could not be used: {}", counts.diverted, errors_dir.display());
    }
    Ok(Exit::Done)
}

fn trigger(config: &Config) -> CheckpointTrigger {
    match (config.checkpoint_records, config.checkpoint_interval) {
        (0, Some(interval)) => CheckpointTrigger::Interval(interval),
        (0, None) => CheckpointTrigger::AtEnd,
        (records, _) => CheckpointTrigger::Records(records),
    }
}

fn drive(
    plan: &PhysicalPlan,
    connection: connect::Connection,
    options: &JobOptions,
    store: CheckpointStore,
    run_ms: i64,
    clock: &SharedClock,
    health: Arc<Health>,
) -> Result<Counts, Exit> {
    let bounded = connection.connected.sources.iter().all(|s| s.bounded());
    let bytes = connection.connected.sources.iter().map(|s| s.size_hint_bytes()).sum::<Option<u64>>().filter(|_| bounded);
    let mut progress = Progress::new(bytes, Board::new(connection.tables), clock.clone(), health);
    let outcome = job::run(plan, &connection.connected, options, store, run_ms, &mut progress);
    let counts = progress.counts;
    let message = match &outcome {
        Ok(Outcome::Finished) => "finished",
        Ok(Outcome::AlreadyFinished) => "finished before: nothing to do (--fresh starts over)",
        Ok(Outcome::Stopped) => "stopped; start again on the same state directory to go on",
        Err(_) => "failed",
    };
    if let Some(board) = &mut progress.board {
        board.finish(message);
    }
    drop(progress);
    match outcome {
        Ok(_) => {
            tracing::info!("{message}: {}", counts.summary());
            Ok(counts)
        }
        Err(e) => Err(ended(&e)),
    }
}

/// Says why a job could not start or go on.
fn ended(error: &JobError) -> Exit {
    say(error);
    match error {
        JobError::Refused(_) => Exit::State,
        JobError::Store(e) if e.is_of_the_folder() => Exit::Wrong,
        _ => Exit::Failed,
    }
}

/// Sets a flag at the first SIGINT or SIGTERM; a second one ends the process at once.
fn stop_on_signals(runtime: &tokio::runtime::Runtime) -> std::io::Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let _guard = runtime.enter();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    runtime.spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if flag.swap(true, Ordering::AcqRel) {
                std::process::exit(i32::from(Exit::Failed as u8));
            }
            tracing::info!("stopping: taking a last checkpoint (a second signal stops at once)");
        }
    });
    Ok(stop)
}
