//! The life of a job: recover, run epochs, finish.
//!
//! Called by the binary and by tests with a plan and its connections. The job thread owns the checkpoints: it opens an epoch,
//! waits for every worker's part, publishes the manifest, and only then lets sinks publish theirs. One epoch at a time.
//!
//! ```text
//! request epoch ─ workers: barrier, freeze, store, hard links ─ all parts here ─ manifest ─ publishing mark ─ sinks commit
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::control::{Control, Report, Stats};
use super::crash::CrashPoint;
use super::graph::{ERRORS, Graph, first_splits, named_sinks, share_sources};
use super::inputs;
use super::worker::{SharedSource, Worker};
use crate::checkpoint::decide::{Decision, Disk, Wanted, decide};
use crate::checkpoint::manifest::{FirstLook, Manifest, SourceState, join_splits};
use crate::checkpoint::store::CheckpointStore;
use crate::ingest::Ingest;
use crate::operator::OperatorState;
use crate::plan::physical::{OperatorPlan, PhysicalPlan};
use crate::runtime::control::Snapshot;
use crate::runtime::error::{JobError, WorkerError};
use crate::runtime::options::{CheckpointTrigger, Connected, JobOptions, Scheduling};
use crate::sink::{Guarantee, Sink, SinkError};
use crate::state::KEY_GROUPS;
use crate::time::clock::{ProcessingClock, SharedClock};

/// How a job ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The input ended, and everything that follows from it is in the sinks.
    Finished,
    /// It had finished in an earlier process; nothing was done.
    AlreadyFinished,
    /// Stopped from outside, ready to go on.
    Stopped,
}

/// What a caller may look at while the job runs.
pub trait Observer {
    /// Called about every 100 ms and once at the end.
    fn progress(&mut self, stats: &Stats, sources: &[Arc<SharedSource>]);
    /// The newest checkpoint.
    fn checkpoint(&mut self, _epoch: u64) {}
    /// Where the job goes on: the epoch, and newer checkpoints that had to be left out.
    fn resumed(&mut self, _epoch: u64, _skipped: &[(u64, String)]) {}
}

/// The start of the run that a state directory belongs to, if it holds one: sinks need it before the job starts.
pub fn run_start(store: &mut CheckpointStore, fresh: bool, clock: &SharedClock) -> Result<i64, JobError> {
    if fresh {
        store.clear()?;
    }
    let disk = store.read()?;
    let known = disk.checkpoints.iter().filter_map(|f| f.manifest.as_ref().ok()).max_by_key(|m| m.epoch).map(|m| m.run_ms);
    Ok(known.unwrap_or_else(|| clock.wall_ms()))
}

/// Runs a job to its end. `run_ms` comes from [`run_start`].
pub fn run(
    plan: &PhysicalPlan,
    connected: &Connected,
    options: &JobOptions,
    store: CheckpointStore,
    run_ms: i64,
    observer: &mut dyn Observer,
) -> Result<Outcome, JobError> {
    Job { plan, connected, options, store, run_ms, first_looks: vec![], last_epoch: 0 }.run(observer)
}

struct Job<'a> {
    plan: &'a PhysicalPlan,
    connected: &'a Connected,
    options: &'a JobOptions,
    store: CheckpointStore,
    run_ms: i64,
    /// Of the run, for its manifests.
    first_looks: Vec<FirstLook>,
    /// Epochs up to this one have been numbered, also those that are given up: files are named after epochs.
    last_epoch: u64,
}

/// [`Sink::commit`], [`Sink::recommit`] or [`Sink::resume`].
type Publish = fn(&dyn Sink, &[Vec<u8>]) -> Result<(), SinkError>;

/// The epoch in progress.
struct OpenEpoch {
    number: u64,
    parts: Vec<Snapshot>,
    /// Why it was opened.
    purpose: Purpose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Regular,
    Stop,
    Finish,
}

/// What the state directory says of the job.
enum Recovered {
    /// It goes on from this manifest, which is that of epoch 0 at its start.
    GoesOn(Box<Manifest>),
    /// There is nothing to do.
    IsOver(Outcome),
}

impl Job<'_> {
    fn run(mut self, observer: &mut dyn Observer) -> Result<Outcome, JobError> {
        let manifest = match self.recover(observer)? {
            Recovered::GoesOn(manifest) => *manifest,
            Recovered::IsOver(outcome) => return Ok(outcome),
        };
        self.first_looks = manifest.first_looks.clone();
        let sources = share_sources(self.plan, self.connected, &manifest, self.options.workers);
        let control = Arc::new(Control {
            requested_epoch: AtomicU64::new(self.last_epoch),
            final_epoch: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            stats: Stats::default(),
            crashes: self.options.crashes.clone(),
            clock: ProcessingClock::new(self.options.clock.clone()),
            ticks: self.plan.chains.iter().flat_map(|c| &c.operators).any(OperatorPlan::goes_by_clock),
            batch_rows: self.options.batch_rows,
            accumulator_bytes_max: self.options.accumulator_bytes_max / self.options.workers.max(1),
        });
        let (send, reports) = channel();
        let graph = Graph {
            plan: self.plan,
            connected: self.connected,
            options: self.options,
            manifest: &manifest,
            store: &self.store,
            sources: &sources,
            control: &control,
            reports: &send,
        };
        let workers = graph.build()?;
        drop(send);
        let mut driver = Driver::start(workers, &control, self.options.scheduling);
        let outcome = self.epochs(&mut driver, &control, &reports, &sources, self.last_epoch, observer);
        control.stop.store(true, Ordering::Release);
        driver.join();
        observer.progress(&control.stats, &sources);
        if outcome.is_ok() {
            self.store.mark_clean()?;
        }
        outcome
    }

    fn recover(&mut self, observer: &mut dyn Observer) -> Result<Recovered, JobError> {
        let disk = self.store.read()?;
        let exactly_once_sink = self.connected.sinks.iter().any(|s| s.guarantee() == Guarantee::ExactlyOnce);
        let wanted = Wanted { plan: &self.plan.fingerprint, exactly_once_sink, allow_duplicates: self.options.allow_duplicates };
        match decide(&disk, wanted) {
            Decision::Refuse(reason) => Err(JobError::Refused(reason)),
            Decision::AlreadyFinished { manifest } => {
                self.recommit(&manifest, &disk)?;
                inputs::tell_changes(self.plan, self.connected, &manifest);
                Ok(Recovered::IsOver(Outcome::AlreadyFinished))
            }
            Decision::Resume { manifest, skipped } => {
                let given_up = skipped.iter().map(|(epoch, _)| *epoch).chain(disk.publishing).max().unwrap_or(0);
                self.last_epoch = manifest.epoch.max(given_up);
                self.store.begin_work()?;
                self.store.drop_after(Some(manifest.epoch))?;
                self.recommit(&manifest, &disk)?;
                self.discard_uncommitted()?;
                self.publish(&manifest, |sink, staged| sink.resume(staged))?;
                observer.resumed(manifest.epoch, &skipped);
                inputs::tell_changes(self.plan, self.connected, &manifest);
                Ok(Recovered::GoesOn(manifest))
            }
            Decision::Start => {
                self.store.begin_work()?;
                self.store.drop_after(None)?;
                self.discard_uncommitted()?;
                let manifest = self.epoch_zero()?;
                Ok(Recovered::GoesOn(Box::new(self.store.publish(manifest)?)))
            }
        }
    }

    fn epoch_zero(&self) -> Result<Manifest, JobError> {
        let mut sources = Vec::new();
        for (number, (plan, source)) in self.plan.sources.iter().zip(&self.connected.sources).enumerate() {
            let mut ingest = Ingest::new(plan.ingest.clone(), (self.connected.decoder)(number));
            sources.push(SourceState { table: plan.table.name.clone(), splits: first_splits(source.as_ref(), &mut ingest)? });
        }
        Ok(Manifest {
            run_ms: self.run_ms,
            epoch: 0,
            finished: false,
            plan: self.plan.fingerprint.clone(),
            workers: self.options.workers,
            key_groups: KEY_GROUPS,
            operators: vec![],
            files: vec![],
            staged: vec![],
            first_looks: inputs::first_looks(self.connected, &sources),
            sources,
        })
    }

    /// Gives every sink what the manifest has of it.
    fn publish(&self, manifest: &Manifest, publish: Publish) -> Result<(), JobError> {
        for (name, sink) in named_sinks(self.plan, self.connected) {
            let staged = manifest.staged.iter().find(|(n, _)| n == name).map(|(_, s)| s.as_slice()).unwrap_or_default();
            publish(sink.as_ref(), staged)?;
        }
        Ok(())
    }

    /// Commits what a killed process may not have. Where it had finished, nothing is looked at again: whoever reads the
    /// files may have taken them away. Where it had begun, that is so for some of them.
    fn recommit(&self, manifest: &Manifest, disk: &Disk) -> Result<(), JobError> {
        if disk.published.is_some_and(|published| published >= manifest.epoch) {
            return Ok(());
        }
        if disk.publishing.is_some_and(|publishing| publishing >= manifest.epoch) {
            self.publish(manifest, |sink, staged| sink.recommit(staged))?;
        } else {
            self.store.begin_publishing(manifest.epoch)?;
            self.publish(manifest, |sink, staged| sink.commit(staged))?;
        }
        Ok(self.store.end_publishing(manifest.epoch)?)
    }

    fn discard_uncommitted(&self) -> Result<(), JobError> {
        for (_, sink) in named_sinks(self.plan, self.connected) {
            sink.discard_uncommitted()?;
        }
        Ok(())
    }

    /// Opens epochs and completes them until the job is over.
    fn epochs(
        &mut self,
        driver: &mut Driver,
        control: &Control,
        reports: &Receiver<Report>,
        sources: &[Arc<SharedSource>],
        last_epoch: u64,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, JobError> {
        let clock = self.options.clock.clone();
        let mut last = last_epoch;
        let mut open: Option<OpenEpoch> = None;
        let mut drained = vec![false; self.options.workers];
        let (mut opened_at, mut opened_records, mut shown_at) = (clock.monotonic(), 0, Duration::ZERO);
        loop {
            while let Some(report) = driver.next_report(reports)? {
                match report {
                    Report::Failed(e) => return Err(e.into()),
                    Report::Drained(worker) => drained[worker] = true,
                    Report::Snapshot(part) => {
                        let Some(epoch) = &mut open else { continue };
                        epoch.parts.push(part);
                        if epoch.parts.len() < self.options.workers {
                            continue;
                        }
                        let Some(epoch) = open.take() else { continue };
                        last = epoch.number;
                        let purpose = epoch.purpose;
                        self.complete(epoch)?;
                        observer.checkpoint(last);
                        match purpose {
                            Purpose::Finish => return Ok(Outcome::Finished),
                            Purpose::Stop => return Ok(Outcome::Stopped),
                            Purpose::Regular => {}
                        }
                    }
                }
            }
            let now = clock.monotonic();
            if now.saturating_sub(shown_at) >= Duration::from_millis(100) {
                shown_at = now;
                observer.progress(&control.stats, sources);
            }
            if open.is_some() {
                continue;
            }
            let records = control.stats.rows_in.load(Ordering::Relaxed);
            let due = match self.options.trigger {
                CheckpointTrigger::Interval(interval) => now.saturating_sub(opened_at) >= interval,
                CheckpointTrigger::Records(n) => records >= opened_records + n,
                CheckpointTrigger::AtEnd => false,
            };
            let purpose = if drained.iter().all(|&d| d) {
                Purpose::Finish
            } else if self.options.stop.load(Ordering::Acquire) {
                Purpose::Stop
            } else if due {
                Purpose::Regular
            } else {
                continue;
            };
            (opened_at, opened_records) = (now, records);
            self.store.begin(last + 1)?;
            open = Some(OpenEpoch { number: last + 1, parts: vec![], purpose });
            if purpose != Purpose::Regular {
                control.final_epoch.store(last + 1, Ordering::Release);
            }
            control.requested_epoch.store(last + 1, Ordering::Release);
            driver.wake();
        }
    }

    /// Publishes an epoch whose parts are all here, then what its sinks staged.
    fn complete(&mut self, mut epoch: OpenEpoch) -> Result<(), JobError> {
        self.crash(CrashPoint::BeforeManifest)?;
        epoch.parts.sort_by_key(|p| p.worker);
        let sources = self.plan.sources.iter().enumerate().map(|(s, plan)| SourceState {
            table: plan.table.name.clone(),
            splits: join_splits(epoch.parts.iter().map(|p| p.splits[s].clone()).collect()),
        });
        let mut operators: std::collections::BTreeMap<u32, OperatorState> = Default::default();
        for (id, state) in epoch.parts.iter().flat_map(|p| &p.operators) {
            let joined = operators.get(id).map_or(*state, |known| known.join(*state));
            operators.insert(*id, joined);
        }
        let staged = self.plan.sinks.iter().enumerate().map(|(i, sink)| {
            let parts = epoch.parts.iter().flat_map(|p| &p.staged).filter(|(s, _)| *s == i).map(|(_, bytes)| bytes.clone());
            (sink.name.clone(), parts.collect::<Vec<_>>())
        });
        let errors: Vec<Vec<u8>> = epoch.parts.iter().map(|p| p.errors_staged.clone()).filter(|e| !e.is_empty()).collect();
        let manifest = Manifest {
            run_ms: self.run_ms,
            epoch: epoch.number,
            finished: epoch.purpose == Purpose::Finish,
            plan: self.plan.fingerprint.clone(),
            workers: self.options.workers,
            key_groups: KEY_GROUPS,
            sources: sources.collect(),
            operators: operators.into_iter().collect(),
            files: vec![],
            staged: staged.chain(std::iter::once((ERRORS.to_string(), errors))).filter(|(_, s)| !s.is_empty()).collect(),
            first_looks: self.first_looks.clone(),
        };
        let manifest = self.store.publish(manifest)?;
        self.crash(CrashPoint::BeforeRename)?;
        self.store.begin_publishing(manifest.epoch)?;
        self.publish(&manifest, |sink, staged| sink.commit(staged))?;
        self.crash(CrashPoint::AfterRename)?;
        self.store.end_publishing(manifest.epoch)?;
        self.store.retain(manifest.epoch)?;
        tracing::debug!(epoch = manifest.epoch, files = manifest.files.len(), "checkpoint published");
        Ok(())
    }

    fn crash(&self, point: CrashPoint) -> Result<(), JobError> {
        if self.options.crashes.reached(point) { Err(WorkerError::Crashed(point).into()) } else { Ok(()) }
    }
}

/// Gives workers their turns: threads of their own, or one seeded thread.
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
enum Driver {
    Threads { handles: Vec<std::thread::JoinHandle<()>>, parkers: Vec<Arc<super::inbox::Parker>> },
    Seeded { workers: Vec<Worker>, rng: ChaCha8Rng, idle_steps: usize },
}

/// Steps in a row that found nothing to do, after which workers in one thread are stuck: each had a hundred and more.
const IDLE_STEPS_MAX: usize = 2000;

impl Driver {
    fn start(workers: Vec<Worker>, control: &Arc<Control>, scheduling: Scheduling) -> Driver {
        if let Scheduling::Seeded(seed) = scheduling {
            return Driver::Seeded { workers, rng: ChaCha8Rng::seed_from_u64(seed), idle_steps: 0 };
        }
        let parkers = workers.iter().map(Worker::parker).collect();
        let spawn = |worker: Worker| {
            let control = control.clone();
            std::thread::spawn(move || {
                // A panic in a worker must end the job, not leave it waiting.
                struct StopOnPanic(Arc<Control>);
                impl Drop for StopOnPanic {
                    fn drop(&mut self) {
                        if std::thread::panicking() {
                            self.0.stop.store(true, Ordering::Release);
                        }
                    }
                }
                let _guard = StopOnPanic(control);
                worker.run();
            })
        };
        Driver::Threads { handles: workers.into_iter().map(spawn).collect(), parkers }
    }

    /// The next report, or None if there is none at the moment (after a short wait, or some seeded steps).
    fn next_report(&mut self, reports: &Receiver<Report>) -> Result<Option<Report>, JobError> {
        match self {
            Driver::Threads { handles, .. } => match reports.recv_timeout(Duration::from_millis(5)) {
                Ok(report) => Ok(Some(report)),
                Err(RecvTimeoutError::Timeout) if handles.iter().any(|h| h.is_finished()) => {
                    // A worker ends by itself only after a report.
                    reports.try_recv().map(Some).map_err(|_| JobError::WorkerGone)
                }
                Err(RecvTimeoutError::Timeout) => Ok(None),
                Err(RecvTimeoutError::Disconnected) => Err(JobError::WorkerGone),
            },
            Driver::Seeded { workers, rng, idle_steps } => {
                let turn = rng.random_range(0..workers.len());
                *idle_steps = if workers[turn].step()? { 0 } else { *idle_steps + 1 };
                let report = reports.try_recv().ok();
                if report.is_none() && *idle_steps > IDLE_STEPS_MAX {
                    return Err(JobError::Stuck);
                }
                Ok(report)
            }
        }
    }

    fn wake(&self) {
        if let Driver::Threads { parkers, .. } = self {
            parkers.iter().for_each(|p| p.wake());
        }
    }

    fn join(self) {
        self.wake();
        if let Driver::Threads { handles, .. } = self {
            for handle in handles {
                // A panic was reported by its own thread.
                let _ = handle.join();
            }
        }
    }
}
