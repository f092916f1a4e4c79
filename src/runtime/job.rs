//! The life of a job: go on from what is there, run epochs, end.
//!
//! Called by the binary and by tests with a plan and its connections. The job thread owns the
//! checkpoints: it opens an epoch, waits for every worker's part, publishes the manifest, and only
//! then lets sinks publish theirs, on a thread beside it. `epochs` decides what is done when; this
//! does it.
//!
//! ```text
//! request epoch ─ workers: barrier, freeze, store, hard links ─ all parts here ─ manifest ─ publishing mark ─ sinks commit
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::control::{Control, Report, Requests, Snapshot, Stats};
use super::crash::CrashPoint;
use super::driver::Driver;
use super::epochs::{Action, Epochs, Happened, Stands};
use super::graph::{ERRORS, Graph, share_sources};
use super::holds::{Hold, Holds, told};
use super::inputs::Changes;
pub use super::observer::{Observer, Outcome};
use super::publication::Publication;
use super::recovery::{Recovered, Recovery};
use super::worker::SharedSource;
use crate::checkpoint::decide::Disk;
use crate::checkpoint::manifest::{Manifest, SourceState, forget_finished, join_splits};
use crate::checkpoint::store::CheckpointStore;
use crate::ids::{Epoch, OperatorId};
use crate::operator::OperatorState;
use crate::plan::physical::{OperatorPlan, PhysicalPlan};
#[cfg(test)]
use crate::planted::{self, Bug};
use crate::runtime::error::JobError;
use crate::runtime::options::{Connected, JobOptions, Scheduling};
use crate::sink::{Afterwards, Sink, Staged};
use crate::state::KEY_GROUPS;
use crate::time::clock::ProcessingClock;

/// The number of the run that a state directory belongs to, which sinks need before the job starts;
/// `fresh` drops what is there. Where a run begins, its number is `now_ms`, the time of the servers
/// that results go to or else of this machine, but higher than that of any run before here, so that
/// a clock that was put back makes none of its results give way to older ones.
pub fn run_start<E: From<JobError>>(
    store: &mut CheckpointStore,
    fresh: bool,
    now_ms: impl FnOnce() -> Result<i64, E>,
) -> Result<i64, E> {
    let disk = match store.read() {
        // What is dropped need not be readable.
        Err(_) if fresh => None,
        disk => Some(disk.map_err(JobError::from)?),
    };
    let newest = disk.iter().flat_map(Disk::manifests).max_by_key(|m| m.epoch);
    if let Some(newest) = newest.filter(|_| !fresh) {
        return Ok(newest.run_ms);
    }
    let last_ms = store.last_run(disk.as_ref());
    let now_ms = now_ms()?;
    let run_ms = last_ms.map_or(now_ms, |last_ms| now_ms.max(last_ms.saturating_add(1)));
    store.note_run(run_ms).map_err(JobError::from)?;
    if fresh {
        store.clear().map_err(JobError::from)?;
    }
    Ok(run_ms)
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
    let mut store = store;
    let mut changes = Changes::default();
    let recovered =
        Recovery { plan, connected, options, store: &mut store, run_ms, changes: &mut changes }
            .recover(observer)?;
    match recovered {
        Recovered::IsOver(outcome) => Ok(outcome),
        Recovered::GoesOn { manifest: newest, last_epoch } => {
            Job { plan, connected, options, store, run_ms, newest: *newest, changes, last_epoch }
                .run(observer)
        }
    }
}

/// What a checkpoint waits for while the job thread makes it.
const STORING: &str = "its files and its manifest to be stored";

struct Job<'a> {
    plan: &'a PhysicalPlan,
    connected: &'a Connected,
    options: &'a JobOptions,
    store: CheckpointStore,
    run_ms: i64,
    /// That of the newest checkpoint.
    newest: Manifest,
    changes: Changes,
    /// Epochs up to this one have been numbered, also those that are given up: files are named
    /// after epochs.
    last_epoch: Epoch,
}

/// The workers, and how the job hears of them.
struct Running<'a> {
    driver: Driver,
    control: &'a Arc<Control>,
    sources: &'a [Arc<SharedSource>],
    to_reports: Sender<Report>,
    reports: Receiver<Report>,
}

impl Job<'_> {
    fn run(mut self, observer: &mut dyn Observer) -> Result<Outcome, JobError> {
        let sources = share_sources(self.plan, self.connected, &self.newest, self.options);
        let control = Arc::new(Control {
            requests: Requests::new(self.last_epoch),
            stop: AtomicBool::new(false),
            is_epoch_wanted: AtomicBool::new(false),
            stats: Stats::default(),
            holds: Holds::new(self.options.workers),
            crashes: self.options.crashes.clone(),
            clock: ProcessingClock::new(self.options.clock.clone()),
            ticks: self
                .plan
                .chains
                .iter()
                .flat_map(|c| &c.operators)
                .any(OperatorPlan::goes_by_clock),
            links_aside: matches!(self.options.scheduling, Scheduling::Threads),
            batch_rows: self.options.batch_rows,
            accumulator_bytes_max: self.options.accumulator_bytes_max / self.options.workers.max(1),
        });
        let (send, reports) = channel();
        let graph = Graph {
            plan: self.plan,
            connected: self.connected,
            options: self.options,
            manifest: &self.newest,
            store: &self.store,
            sources: &sources,
            control: &control,
            reports: &send,
        };
        let workers = graph.build()?;
        let driver = Driver::start(workers, &control, self.options.scheduling.clone());
        let mut running =
            Running { driver, control: &control, sources: &sources, to_reports: send, reports };
        let outcome = self.epochs(&mut running, observer);
        control.stop.store(true, Ordering::Release);
        if outcome.is_err() {
            // What is being published may wait for the outside without end.
            self.connected.sinks.iter().for_each(|sink| sink.give_up());
        }
        running.driver.join();
        observer.progress(&control.stats, &sources);
        if outcome.is_ok() {
            self.store.mark_clean()?;
        }
        outcome
    }

    /// Does what [`Epochs`] decides, until the job is over.
    fn epochs(
        &mut self,
        running: &mut Running<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, JobError> {
        let clock = self.options.clock.clone();
        let mut epochs = Epochs::new(
            self.options.trigger,
            self.options.limits,
            self.options.workers,
            self.last_epoch,
            clock.monotonic(),
        );
        let mut has_given_up = false;
        loop {
            let happened = match running.driver.next_report(&running.reports)? {
                None => Happened::Nothing,
                Some(Report::Failed(e)) => return Err(e),
                Some(Report::Drained(worker)) => Happened::Drained(worker),
                Some(Report::Snapshot(part)) => Happened::Part(part),
                Some(Report::Published(result)) => {
                    running.driver.published();
                    match result {
                        Ok(()) => Happened::Published,
                        Err(e) if has_given_up => {
                            tracing::warn!("the next start publishes what is left: {e}");
                            Happened::GaveUp
                        }
                        Err(e) => return Err(e.into()),
                    }
                }
            };
            let hold = running.control.holds.now();
            let now = clock.monotonic();
            let stands = Stands {
                now,
                records: running.control.stats.rows_in.load(Ordering::Relaxed),
                is_stop_asked: self.options.stop.load(Ordering::Acquire),
                is_epoch_wanted: running.control.is_epoch_wanted.load(Ordering::Acquire),
                is_outside_awaited: hold.as_ref().is_some_and(|hold| hold.is_outside),
            };
            for action in epochs.on(happened, stands) {
                match action {
                    Action::Show => {
                        let waited = epochs.awaited_since().map(|since| now.saturating_sub(since));
                        let awaited = hold.as_ref().map_or("its workers", |hold| &hold.awaited);
                        observer.checkpoint_waits(waited.map(|waited| (waited, awaited)));
                        observer.progress(&running.control.stats, running.sources)
                    }
                    Action::Audit => {
                        self.changes.tell(self.plan, self.connected, &self.newest);
                        self.connected.sinks.iter().try_for_each(|sink| sink.audit())?;
                    }
                    Action::Open { epoch, afterwards } => self.open(epoch, afterwards, running)?,
                    Action::Publish { epoch, is_finished, parts } => {
                        // Nobody tells how it goes on until that is done.
                        observer.checkpoint_waits(Some((Duration::ZERO, STORING)));
                        self.publish_epoch(epoch, is_finished, &parts, running)?
                    }
                    Action::Complete { epoch } => {
                        self.complete(epoch)?;
                        observer.checkpoint(epoch);
                    }
                    Action::Tell { epoch, waited } => {
                        tracing::warn!("checkpoint {epoch} {}", told(waited, hold.as_ref()));
                    }
                    Action::Fail { epoch, waited, is_last } => {
                        let stats = &running.control.stats;
                        stats.checkpoints_failed.fetch_add(1, Ordering::Relaxed);
                        let waits = told(waited, hold.as_ref());
                        if is_last {
                            return Err(JobError::CheckpointFailed { epoch, waits });
                        }
                        tracing::warn!(
                            "checkpoint {epoch} {waits} and counts as failed; the job goes on, and so does the checkpoint"
                        );
                    }
                    Action::GiveUp => {
                        has_given_up = true;
                        self.connected.sinks.iter().for_each(|sink| sink.give_up());
                    }
                    Action::End(outcome) => return Ok(outcome),
                }
            }
        }
    }

    /// Requests an epoch of the workers.
    fn open(
        &self,
        epoch: Epoch,
        afterwards: Afterwards,
        running: &Running<'_>,
    ) -> Result<(), JobError> {
        self.store.begin(epoch)?;
        running.control.requests.request(epoch, afterwards);
        running.driver.wake();
        Ok(())
    }

    /// Makes a checkpoint of parts that are all here, and lets the sinks publish what they staged.
    fn publish_epoch(
        &mut self,
        epoch: Epoch,
        is_finished: bool,
        parts: &[Snapshot],
        running: &mut Running<'_>,
    ) -> Result<(), JobError> {
        #[cfg(test)]
        if planted::has(Bug::PublishesBeforeManifest) {
            let early = self.manifest_of(epoch, is_finished, parts);
            let early = Publication::of(&early, self.plan, self.connected);
            early.publish(|_, sink, staged| sink.commit(staged))?;
        }
        // Every writer has staged what it held; who holds so much again asks again.
        running.control.is_epoch_wanted.store(false, Ordering::Release);
        self.crash(CrashPoint::BeforeManifest)?;
        let manifest = self.store.publish(self.manifest_of(epoch, is_finished, parts))?;
        self.crash(CrashPoint::BeforeRename)?;
        self.store.begin_publishing(epoch)?;
        tracing::debug!(
            epoch = epoch.number(),
            files = manifest.files.len(),
            "checkpoint published"
        );
        let publication = Publication::of(&manifest, self.plan, self.connected);
        self.newest = manifest;
        let (reports, control) = (running.to_reports.clone(), running.control.clone());
        running.driver.publish(move || {
            let commit = |table: &str, sink: &dyn Sink, staged: &[Staged]| {
                control.holds.note_job(Some(Hold::room_in(table)));
                sink.commit(staged)
            };
            let result = publication.publish(commit).map(|refused| {
                control.stats.diverted.fetch_add(refused, Ordering::Relaxed);
            });
            control.holds.note_job(None);
            // The job may have failed meanwhile; then nobody needs the report.
            let _ = reports.send(Report::Published(result));
        });
        Ok(())
    }

    /// The sinks have published an epoch.
    fn complete(&self, epoch: Epoch) -> Result<(), JobError> {
        self.crash(CrashPoint::AfterRename)?;
        self.store.end_publishing(epoch)?;
        Ok(self.store.retain(epoch)?)
    }

    /// The manifest of an epoch: the parts of all workers joined. `parts`: by worker.
    fn manifest_of(&self, epoch: Epoch, is_finished: bool, parts: &[Snapshot]) -> Manifest {
        debug_assert_eq!(parts.len(), self.options.workers);
        let sources = self.plan.sources.iter().enumerate().map(|(s, plan)| SourceState {
            table: plan.table.name.clone(),
            run: self
                .newest
                .sources
                .iter()
                .find(|known| known.table == plan.table.name)
                .and_then(|known| known.run.clone()),
            splits: forget_finished(join_splits(
                parts.iter().map(|p| p.splits[s].clone()).collect(),
            )),
        });
        let mut operators: BTreeMap<OperatorId, OperatorState> = BTreeMap::new();
        for (id, state) in parts.iter().flat_map(|p| &p.operators) {
            let joined = operators.get(id).map_or(*state, |known| known.join(*state));
            operators.insert(*id, joined);
        }
        let staged = self.plan.sinks.iter().enumerate().map(|(i, sink)| {
            let of_sink = parts
                .iter()
                .flat_map(|p| &p.staged)
                .filter(|(s, _)| *s == i)
                .map(|(_, bytes)| bytes.clone());
            (sink.name.clone(), of_sink.collect::<Vec<_>>())
        });
        let errors: Vec<Staged> =
            parts.iter().map(|p| p.errors_staged.clone()).filter(|e| !e.is_empty()).collect();
        Manifest {
            run_ms: self.run_ms,
            epoch,
            finished: is_finished,
            plan: self.plan.fingerprint.clone(),
            workers: self.options.workers,
            key_groups: KEY_GROUPS,
            sources: sources.collect(),
            operators: operators.into_iter().collect(),
            files: vec![],
            staged: staged
                .chain(std::iter::once((ERRORS.to_string(), errors)))
                .filter(|(_, s)| !s.is_empty())
                .collect(),
        }
    }

    fn crash(&self, point: CrashPoint) -> Result<(), JobError> {
        if self.options.crashes.reached(point) { Err(JobError::Crashed(point)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_run_only_grows_and_a_start_that_goes_on_asks_nobody() {
        let dir = tempfile::tempdir().expect("a folder");
        let start = |fresh, now_ms: Option<i64>, publishes| {
            let mut store = CheckpointStore::open(dir.path()).expect("a store");
            let run_ms = run_start(&mut store, fresh, || {
                Ok::<i64, JobError>(now_ms.expect("nobody need be asked"))
            });
            let run_ms = run_ms.expect("a number");
            if publishes {
                let manifest = Manifest {
                    run_ms,
                    epoch: Epoch::START,
                    finished: false,
                    plan: "p".into(),
                    workers: 0,
                    key_groups: KEY_GROUPS,
                    sources: vec![],
                    operators: vec![],
                    files: vec![],
                    staged: vec![],
                };
                store.begin(Epoch::START).expect("a folder");
                store.publish(manifest).expect("published");
            }
            run_ms
        };
        assert_eq!(start(false, Some(100), false), 100);
        assert_eq!(start(false, Some(50), true), 101, "killed before its first checkpoint");
        assert_eq!(start(false, None, false), 101, "kept when the run goes on");
        assert_eq!(start(true, Some(7), false), 102, "the clock was put back");
        assert_eq!(start(true, Some(7), true), 103, "and there is no checkpoint of the last one");
        assert_eq!(start(true, Some(1000), false), 1000);
        std::fs::remove_file(dir.path().join("last-run")).expect("it is there");
        assert_eq!(start(false, Some(7), true), 7);
        std::fs::remove_file(dir.path().join("last-run")).expect("it is there");
        assert_eq!(
            start(true, Some(7), false),
            8,
            "a directory of an earlier release has manifests"
        );
    }
}
