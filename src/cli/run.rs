//! `paceline run`: from arguments to a job and its exit code.
//!
//! The steps are those of [`start`]: the query is planned (`query`), folders are chosen and locked
//! and the ends connected (`embed`), and the job runs (`drive`) until its input ends or a signal
//! comes (`signals`).

mod drive;
mod query;
mod signals;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Runtime;

use self::drive::Ready;
use self::query::Query;
use super::exit::{ended, refused, wrong};
use super::{Exit, SqlFile, key_value};
use crate::connector::inline::select::SelectFormat;
use crate::connector::{Bounds, Connectors, OnGap};
use crate::embed::folders::Folders;
use crate::embed::start::Start;
use crate::files::on_disk;
use crate::observe::health::{self, Health};
use crate::sql::error::SqlError;
use crate::state::store::StoreKind;
use crate::time::clock::SystemClock;

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
    /// What stands for ${NAME} in the file's texts; without a value it is that of the environment
    #[arg(long = "var", value_name = "NAME=V")]
    variables: Vec<String>,
    /// A new or empty folder for state and checkpoints; starting again on it goes on from the
    /// newest checkpoint [default: temporary]
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
    /// Go on from an older checkpoint even if files, or changes of a table, were published after it
    #[arg(long)]
    allow_duplicates: bool,
    /// Go on where records of a stream have expired before they were read, or a table of results
    /// was made again: what is missing is told, and not read or written again
    #[arg(long)]
    accept_gaps: bool,
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

fn start(args: &Args) -> Result<Exit, Exit> {
    let file = SqlFile::read(&args.query, &args.variables)?;
    let connectors = Connectors::built_in();
    let jobs = Query::of(args, &file, &connectors)?;
    if jobs.is_empty() {
        return Ok(Exit::Done);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(refused)?;
    let stop = Arc::new(AtomicBool::new(false));
    signals::stop_on_signals(&runtime, stop.clone()).map_err(refused)?;
    let mut health = None;
    for (number, job) in jobs.iter().enumerate() {
        // What waits for it cannot begin if it never ends.
        let waiting = jobs.get(number + 1).and_then(|next| next.start);
        let folders = folders(args, job, number, jobs.len())?;
        let start = Start {
            connectors: &connectors,
            config: &job.config,
            plan: &job.plan,
            query_path: file.path.clone(),
            local: args.local,
            files: on_disk(),
            state_dir: folders.state.clone(),
            errors_dir: folders.errors.clone(),
            bounds: bounds(args)?,
            on_gap: if args.accept_gaps { OnGap::Accept } else { OnGap::Refuse },
            select: args.output,
            fresh: args.fresh,
            allow_duplicates: args.allow_duplicates,
            clock: SystemClock::shared(),
            tasks: runtime.handle().clone().into(),
            stores: StoreKind::RocksDb,
            stop: stop.clone(),
        };
        let started = start.start().map_err(|e| match e.in_text() {
            Some(of_text) => file.show(of_text),
            None => ended(&e, e.who()),
        })?;
        if waiting.is_some() && !started.connection.connected.sources.iter().all(|s| s.bounded()) {
            let error = SqlError::new(
                "this reads a table that an INSERT before it writes, and that INSERT never ends",
            );
            return Err(file.show(&error.at(waiting).help(
                "put both into EXECUTE STATEMENT SET BEGIN ... END: they run at once, and the table is read as it is at the start",
            )));
        }
        let health = match &health {
            Some(health) => Arc::clone(health),
            None => health.insert(serve_health(args, &runtime)?).clone(),
        };
        let counts = Ready { plan: &job.plan, started, health }.drive()?;
        if counts.diverted > 0 {
            tracing::warn!(
                "{} records or rows could not be used: {}",
                counts.diverted,
                folders.errors.display()
            );
        }
        if stop.load(Ordering::Acquire) {
            break;
        }
    }
    Ok(Exit::Done)
}

/// The folders of a job: those that are asked for, or one for each if there are several.
fn folders(args: &Args, job: &Query, number: usize, jobs: usize) -> Result<Folders, Exit> {
    let asked = args.state_dir.as_deref();
    let own = asked.filter(|_| jobs > 1).map(|dir| dir.join(format!("job-{}", number + 1)));
    if let (Some(dir), true) = (asked, own.is_some()) {
        std::fs::create_dir_all(dir).map_err(refused)?;
    }
    Folders::of(own.as_deref().or(asked), &job.config).map_err(refused)
}

/// Which arrival times are read.
fn bounds(args: &Args) -> Result<Bounds, Exit> {
    match (args.from, args.to) {
        (Some(from), Some(to)) if from >= to => Err(wrong("--from must be before --to")),
        (from_ms, to_ms) => Ok(Bounds { from_ms, to_ms }),
    }
}

/// The health of the job, and the address at which it can be asked for.
fn serve_health(args: &Args, runtime: &Runtime) -> Result<Arc<Health>, Exit> {
    let health = Arc::new(Health::default());
    if let Some(address) = args.listen {
        // Not a log line: no setting may hush it.
        if let Some(exposure) = health::exposure(address) {
            eprintln!("warning: {exposure}");
        }
        let bound = runtime
            .block_on(health.clone().serve(address))
            .map_err(|e| wrong(format!("--listen {address}: {e}")))?;
        tracing::info!("health on http://{bound}/health");
    }
    Ok(health)
}
