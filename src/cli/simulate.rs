//! `paceline simulate`: an Alleycat crowd to a file, to stdout, or to a Kinesis stream.
//!
//! What always holds: with the same options the same records are sent in the same order, wherever
//! they go; only the speed and the default start differ. Records are lines of JSON in files and on
//! stdout.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::ValueEnum;

use super::Exit;
use super::exit::ended;
use crate::connector::alleycat::crowd::{Crowd, CrowdOptions, PartitionKey, START_MS};
use crate::connector::kinesis::KinesisWriter;
use crate::source::SourceError;
use crate::time::clock::{Clock, SystemClock};
use crate::who::{Again, Mistake, Who};

/// Records handed over at a time: as many as one PutRecords takes.
const BATCH_RECORDS: usize = 500;
/// The longest wait before looking whether to stop.
const NAP_MS_MAX: u64 = 100;

#[derive(clap::Args)]
pub struct Args {
    /// Write lines to this file, replacing it [default: stdout]
    #[arg(long, value_name = "FILE", conflicts_with = "stream_arn")]
    out: Option<PathBuf>,
    /// Send to this Kinesis stream, with the credentials of the AWS command line
    #[arg(long, value_name = "ARN")]
    stream_arn: Option<String>,
    /// Where the Kinesis API is, for an emulator, such as http://localhost:4566
    #[arg(long, value_name = "URL", requires = "stream_arn")]
    endpoint: Option<String>,
    /// Seconds of event time a second: 1, 10, or max, as fast as possible
    #[arg(long, value_enum, default_value = "max")]
    speed: Speed,
    /// Number from which everything is made: the same seed and options give the same bytes
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Races at once, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 1)]
    races: u32,
    /// Riders of a race; in all races at most 39901. Each sends one record a second
    #[arg(long, value_name = "N", default_value_t = 10)]
    racers: u32,
    /// Length of a race in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    race_seconds: u32,
    /// Seconds of event time to send; 0: without end [default: one race]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Event time of the first second, ms since the epoch [default: now for a stream or a speed of
    /// 1 or 10, else 1620240600000]
    #[arg(long, value_name = "MS")]
    start: Option<i64>,
    /// Longest time from event time to sending, in ms of event time: records are out of order by up
    /// to this
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    disorder_ms: u32,
    /// Share of records that come late, 0 to 1
    #[arg(long, value_name = "FRACTION", default_value_t = 0.001)]
    late_fraction: f64,
    /// How late those are, in ms of event time
    #[arg(long, value_name = "MS", default_value_t = 20_000)]
    late_by_ms: u32,
    /// Share of records sent twice, 0 to 1
    #[arg(long, value_name = "FRACTION", default_value_t = 0.002)]
    duplicate_fraction: f64,
    /// What decides the shard of a record in a stream
    #[arg(long, value_enum, default_value = "racer")]
    partition_key: PartitionKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Speed {
    #[value(name = "1")]
    Real,
    #[value(name = "10")]
    Ten,
    Max,
}

impl Speed {
    /// None: no waiting.
    fn factor(self) -> Option<u64> {
        match self {
            Speed::Real => Some(1),
            Speed::Ten => Some(10),
            Speed::Max => None,
        }
    }
}

impl Args {
    fn crowd(&self, clock: &dyn Clock) -> CrowdOptions {
        let is_live = self.stream_arn.is_some() || self.speed != Speed::Max;
        let start_ms =
            self.start.unwrap_or_else(|| if is_live { clock.wall_ms() } else { START_MS });
        CrowdOptions {
            seed: self.seed,
            races: self.races,
            racers: self.racers,
            race_seconds: self.race_seconds,
            start_ms,
            disorder_ms: self.disorder_ms,
            late_fraction: self.late_fraction,
            late_by_ms: self.late_by_ms,
            duplicate_fraction: self.duplicate_fraction,
            seconds: Some(self.seconds.unwrap_or(self.race_seconds.into())).filter(|s| *s > 0),
            partition_key: self.partition_key,
        }
    }
}

/// Where records go: partition key and payload of each, in order.
trait EventSink {
    /// Returns when the records are out of this process.
    fn send(&mut self, events: Vec<(String, Vec<u8>)>) -> Result<(), SendError>;
}

#[derive(Debug, thiserror::Error)]
enum SendError {
    /// The reader has seen enough, as `head` does: no failure.
    #[error("the output was closed")]
    Closed,
    #[error("{place}: {error}")]
    Write { place: String, error: std::io::Error },
    #[error(transparent)]
    Stream(#[from] SourceError),
}

impl SendError {
    fn who(&self) -> Who {
        match self {
            SendError::Closed => Who::Outside(Again::IsInVain),
            SendError::Write { error, .. } => Who::of_io(error),
            SendError::Stream(e) => e.who(),
        }
    }
}

/// Why not all was sent, or nothing.
#[derive(Debug, thiserror::Error)]
enum SimulateError {
    #[error("--{0}")]
    Options(String),
    /// The file of `--out`.
    #[error("{place}: {error}")]
    Create { place: String, error: std::io::Error },
    /// The system refused threads.
    #[error(transparent)]
    System(std::io::Error),
    #[error(transparent)]
    Send(#[from] SendError),
}

impl SimulateError {
    fn who(&self) -> Who {
        match self {
            SimulateError::Options(_) | SimulateError::Create { .. } => Who::User(Mistake::Asked),
            SimulateError::System(e) => Who::of_io(e),
            SimulateError::Send(e) => e.who(),
        }
    }
}

/// One record a line.
struct Lines<W: Write> {
    place: String,
    to: W,
}

impl<W: Write> EventSink for Lines<W> {
    fn send(&mut self, events: Vec<(String, Vec<u8>)>) -> Result<(), SendError> {
        let mut write = || {
            for (_, json) in &events {
                self.to.write_all(json)?;
                self.to.write_all(b"\n")?;
            }
            self.to.flush()
        };
        write().map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => SendError::Closed,
            _ => SendError::Write { place: self.place.clone(), error },
        })
    }
}

impl EventSink for KinesisWriter {
    fn send(&mut self, events: Vec<(String, Vec<u8>)>) -> Result<(), SendError> {
        Ok(self.put(events)?)
    }
}

/// Runs the command to its end.
pub fn main(args: &Args) -> Exit {
    match simulate(args) {
        Ok(()) => Exit::Done,
        Err(e) => ended(&e, e.who()),
    }
}

fn simulate(args: &Args) -> Result<(), SimulateError> {
    let clock = SystemClock::shared();
    let options = args.crowd(&*clock);
    let start_ms = options.start_ms;
    let crowd = Crowd::new(options, 0).map_err(SimulateError::Options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(SimulateError::System)?;
    let mut sink = sink(args, runtime.handle())?;
    let stop = stop_on_interrupt(&runtime);
    let mut pacer = Pacer {
        clock: &*clock,
        sleep: &mut std::thread::sleep,
        factor: args.speed.factor(),
        start_ms,
    };
    let (sent, outcome) = pump(crowd, &mut *sink, &mut pacer, &stop);
    eprintln!("sent {sent} records");
    match outcome {
        Ok(()) | Err(SendError::Closed) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn sink(
    args: &Args,
    runtime: &tokio::runtime::Handle,
) -> Result<Box<dyn EventSink>, SimulateError> {
    if let Some(arn) = &args.stream_arn {
        let writer = KinesisWriter::new(arn, args.endpoint.as_deref(), runtime.clone().into());
        return Ok(Box::new(writer.map_err(SendError::Stream)?));
    }
    Ok(match &args.out {
        Some(path) => {
            let place = path.display().to_string();
            match File::create(path) {
                Ok(file) => Box::new(Lines { place, to: BufWriter::new(file) }),
                Err(error) => return Err(SimulateError::Create { place, error }),
            }
        }
        None => Box::new(Lines { place: "stdout".into(), to: BufWriter::new(std::io::stdout()) }),
    })
}

/// Sets a flag at the first SIGINT, so that the number of records is still told; a second one ends
/// the process at once.
fn stop_on_interrupt(runtime: &tokio::runtime::Runtime) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    runtime.spawn(async move {
        // Without a handler SIGINT ends the process, which is fine too.
        while tokio::signal::ctrl_c().await.is_ok() {
            if flag.swap(true, Ordering::AcqRel) {
                std::process::exit(i32::from(Exit::Failed as u8));
            }
        }
    });
    stop
}

/// When to send: event time runs `factor` times as fast as the clock.
struct Pacer<'a> {
    clock: &'a dyn Clock,
    sleep: &'a mut dyn FnMut(Duration),
    factor: Option<u64>,
    start_ms: i64,
}

impl Pacer<'_> {
    /// Event time reached after this long, in ms. None: it does not go by the clock.
    fn reached_ms(&self, since: Duration) -> Option<i64> {
        let factor = self.factor?;
        Some(self.start_ms.saturating_add((since.as_millis() as i64).saturating_mul(factor as i64)))
    }

    fn nap(&mut self, until_due_ms: i64) {
        let ms = until_due_ms.unsigned_abs().div_ceil(self.factor.unwrap_or(1));
        (self.sleep)(Duration::from_millis(ms.clamp(1, NAP_MS_MAX)));
    }
}

/// Sends the crowd to its end, or until told to stop; returns how many records the sink took.
fn pump(
    mut crowd: Crowd,
    sink: &mut dyn EventSink,
    pacer: &mut Pacer<'_>,
    stop: &AtomicBool,
) -> (u64, Result<(), SendError>) {
    let begin = pacer.clock.monotonic();
    let mut sent = 0;
    while !stop.load(Ordering::Acquire) {
        let reached_ms = pacer.reached_ms(pacer.clock.monotonic().saturating_sub(begin));
        let mut batch = Vec::new();
        while batch.len() < BATCH_RECORDS
            && crowd.peek().is_some_and(|ride| reached_ms.is_none_or(|ms| ride.due_ms <= ms))
            && let Some(event) = crowd.next()
        {
            batch.push((event.partition_key, event.json));
        }
        if batch.is_empty() {
            match crowd.peek().map(|ride| ride.due_ms) {
                None => break,
                Some(due_ms) => pacer.nap(due_ms - reached_ms.unwrap_or(due_ms)),
            }
            continue;
        }
        let count = batch.len() as u64;
        if let Err(e) = sink.send(batch) {
            return (sent, Err(e));
        }
        sent += count;
    }
    (sent, Ok(()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &[&str]) -> Args {
        Line::try_parse_from([&["simulate"], line].concat()).unwrap_or_else(|e| panic!("{e}")).args
    }

    struct SetClock(Mutex<Duration>);

    impl Clock for SetClock {
        fn wall_ms(&self) -> i64 {
            1_700_000_000_000
        }
        fn monotonic(&self) -> Duration {
            *self.0.lock().expect("not poisoned")
        }
    }

    /// Notes when each batch came; closes after so many records.
    struct Noting<'a> {
        clock: &'a SetClock,
        batches: Vec<(Duration, usize)>,
        left: usize,
    }

    impl EventSink for Noting<'_> {
        fn send(&mut self, events: Vec<(String, Vec<u8>)>) -> Result<(), SendError> {
            self.batches.push((self.clock.monotonic(), events.len()));
            self.left = self.left.checked_sub(events.len()).ok_or(SendError::Closed)?;
            Ok(())
        }
    }

    fn run(line: &[&str], room: usize) -> (u64, Vec<(Duration, usize)>) {
        let clock = SetClock(Mutex::new(Duration::ZERO));
        let args = args(line);
        let options = args.crowd(&clock);
        let start_ms = options.start_ms;
        let mut sleep = |d: Duration| *clock.0.lock().expect("not poisoned") += d;
        let mut pacer =
            Pacer { clock: &clock, sleep: &mut sleep, factor: args.speed.factor(), start_ms };
        let mut sink = Noting { clock: &clock, batches: vec![], left: room };
        let (sent, _) = pump(
            Crowd::new(options, 0).expect("valid"),
            &mut sink,
            &mut pacer,
            &AtomicBool::new(false),
        );
        (sent, sink.batches)
    }

    #[test]
    fn a_race_at_full_speed_does_not_wait() {
        let (sent, batches) = run(&[], usize::MAX);
        assert_eq!(sent, 3006, "300 seconds of 10 riders, and 6 duplicates");
        assert!(batches.iter().all(|(at, n)| at.is_zero() && *n <= BATCH_RECORDS));
    }

    #[test]
    fn at_speed_ten_a_minute_takes_six_seconds() {
        let (sent, batches) =
            run(&["--speed", "10", "--seconds", "60", "--late-fraction", "0"], usize::MAX);
        assert_eq!(sent, 601);
        let end = batches.last().expect("some batches").0;
        assert!((5_900..=6_200).contains(&end.as_millis()), "{end:?}");
        let half: usize =
            batches.iter().filter(|(at, _)| at.as_millis() <= 3_000).map(|(_, n)| n).sum();
        assert!((280..=305).contains(&half), "{half} of 600 records in half the time");
    }

    #[test]
    fn a_closed_output_ends_it_and_only_what_was_taken_counts() {
        assert_eq!(run(&["--seconds", "0"], 1200).0, 1000);
    }

    #[test]
    fn files_hold_the_same_lines_each_time() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let write = |name: &str, seed: &str| {
            let path = dir.path().join(name);
            let exit = main(&args(&[
                "--seed",
                seed,
                "--seconds",
                "5",
                "--out",
                &path.display().to_string(),
            ]));
            assert_eq!(exit, Exit::Done);
            std::fs::read_to_string(path).expect("reads")
        };
        let first = write("a", "1");
        assert_eq!(first.lines().count(), 50);
        assert!(first.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()));
        assert_eq!(first, write("b", "1"));
        assert_ne!(first, write("c", "2"));
    }

    #[test]
    fn options_that_make_no_sense_are_the_callers_fault() {
        assert_eq!(main(&args(&["--races", "0"])), Exit::Wrong);
        assert_eq!(main(&args(&["--out", "/nonexistent/folder/x"])), Exit::Wrong);
        assert_eq!(main(&args(&["--stream-arn", "nothing"])), Exit::Wrong);
        assert!(Line::try_parse_from(["simulate", "--endpoint", "http://localhost"]).is_err());
        assert!(Line::try_parse_from(["simulate", "--speed", "3"]).is_err());
    }

    #[test]
    fn what_cannot_be_sent_is_no_fault_of_the_caller() {
        let full = std::io::Error::from(ErrorKind::StorageFull);
        let refused = SourceError::Failed {
            table: "s".into(),
            reason: "x".into(),
            who: Who::Outside(Again::MayHelp),
        };
        for error in [
            SendError::Write { place: "f".into(), error: full }.into(),
            SendError::Stream(refused).into(),
            SimulateError::System(ErrorKind::OutOfMemory.into()),
        ] {
            assert_eq!(Exit::from(error.who()), Exit::Failed, "{error}");
        }
    }
}
