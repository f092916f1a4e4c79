//! The life of a job: go on from what is there, run epochs, end.
//!
//! Called by the binary and by tests with a plan and its connections. The job thread owns the
//! checkpoints: it opens an epoch, waits for every worker's part, publishes the manifest, and only
//! then lets sinks publish theirs, on a thread beside it, while the next epoch may be under way.
//! `epochs` decides what is done when; this does it.
//!
//! ```text
//! request epoch ─ workers: barrier, freeze, store, hard links ─ all parts here ─ manifest ─ publishing mark ─ sinks commit
//! ```
//!
//! What always holds: all that was staged and may not be published is in the newest manifest, be it
//! as [`Manifest::begun`] or as staged, which names everything that nobody has begun to publish.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::control::{Control, Report, Requests, Snapshot, Stats};
use super::crash::CrashPoint;
use super::driver::Driver;
use super::epochs::{Action, Epochs, Happened, Stands, Waits};
use super::graph::{Graph, named_sinks, share_sources, staged_of};
use super::holds::{Hold, Holds, told};
use super::inputs::Changes;
pub use super::observer::{Observer, Outcome};
use super::publication::Publication;
use super::recovery::{Recovered, Recovery};
use super::worker::SharedSource;
use crate::checkpoint::decide::Disk;
use crate::checkpoint::manifest::{
    Begun, Manifest, SourceState, StagedOfSinks, forget_finished, join_splits,
};
use crate::checkpoint::store::CheckpointStore;
use crate::ids::{Epoch, OperatorId};
use crate::operator::OperatorState;
use crate::plan::physical::{OperatorPlan, PhysicalPlan};
use crate::runtime::error::JobError;
use crate::runtime::options::{Connected, JobOptions, Scheduling};
use crate::sink::{Afterwards, Sink, Staged};
use crate::state::KEY_GROUPS;
use crate::time::clock::ProcessingClock;
#[cfg(test)]
use crate::{
    peaks,
    planted::{self, Bug},
};

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
            let job = Job {
                plan,
                connected,
                options,
                store,
                run_ms,
                newest: *newest,
                is_unpublished: false,
                begun: None,
                changes,
                last_epoch,
            };
            job.run(observer)
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
    /// That of the newest checkpoint, without what the sinks have begun to publish.
    newest: Manifest,
    /// Nobody has begun to publish what that has staged.
    is_unpublished: bool,
    /// What the sinks are at.
    begun: Option<Begun>,
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
            let holds = &running.control.holds;
            let hold = holds.of_workers();
            let now = clock.monotonic();
            let stands = Stands {
                now,
                records: running.control.stats.rows_in.load(Ordering::Relaxed),
                is_stop_asked: self.options.stop.load(Ordering::Acquire),
                is_epoch_wanted: running.control.is_epoch_wanted.load(Ordering::Acquire),
                is_outside_awaited: hold.as_ref().is_some_and(|hold| hold.is_outside),
                is_owed_full: self.owed_bytes() >= self.options.owed_bytes_max,
            };
            let hold_of = |waits| match waits {
                Waits::ToBeStored => hold.clone(),
                Waits::ToBePublished => holds.of_publication(),
            };
            for action in epochs.on(happened, stands) {
                match action {
                    Action::Show => {
                        let awaited = epochs.awaited();
                        let hold = awaited.and_then(|(waits, _)| hold_of(waits));
                        let hold = hold.as_ref().map_or("its workers", |hold| &hold.awaited);
                        let waited = awaited.map(|(_, since)| now.saturating_sub(since));
                        observer.checkpoint_waits(waited.map(|waited| (waited, hold)));
                        observer.progress(&running.control.stats, running.sources)
                    }
                    Action::Audit => {
                        self.changes.tell(self.plan, self.connected, &self.newest);
                        self.connected.sinks.iter().try_for_each(|sink| sink.audit())?;
                    }
                    Action::Open { epoch, afterwards } => self.open(epoch, afterwards, running)?,
                    Action::Store { epoch, is_finished, parts } => {
                        // Nobody tells how it goes on until that is done.
                        observer.checkpoint_waits(Some((Duration::ZERO, STORING)));
                        self.store_epoch(epoch, is_finished, &parts)?;
                        if self.begun.is_some() {
                            observer.checkpoint(epoch);
                        }
                    }
                    Action::Publish { epoch } => self.publish(epoch, running)?,
                    Action::Complete { epoch } => {
                        self.complete(epoch)?;
                        if epoch == self.newest.epoch {
                            observer.checkpoint(epoch);
                        }
                    }
                    Action::Tell { epoch, waits, waited } => {
                        tracing::warn!(
                            "checkpoint {epoch} {}",
                            told(waited, hold_of(waits).as_ref())
                        );
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
        // Every writer will stage what it holds; who holds so much again asks again.
        running.control.is_epoch_wanted.store(false, Ordering::Release);
        running.driver.wake();
        Ok(())
    }

    /// Makes a checkpoint of parts that are all here.
    fn store_epoch(
        &mut self,
        epoch: Epoch,
        is_finished: bool,
        parts: &[Snapshot],
    ) -> Result<(), JobError> {
        let manifest = self.manifest_of(epoch, is_finished, parts);
        #[cfg(test)]
        if planted::has(Bug::PublishesBeforeManifest) {
            let early = Publication::of(epoch, &manifest.staged, self.plan, self.connected);
            early.publish(|_, sink, staged| sink.commit(staged))?;
        }
        self.crash(CrashPoint::BeforeManifest)?;
        self.newest = self.store.publish(manifest)?;
        // The job has that itself.
        self.newest.begun = None;
        self.is_unpublished = true;
        #[cfg(test)]
        {
            let of_part = |part: &Snapshot| -> usize {
                let of_tables: usize = part.staged.iter().map(|(_, staged)| staged.len()).sum();
                of_tables + part.errors_staged.len()
            };
            let own_bytes = parts.iter().map(of_part).sum();
            peaks::note(|peaks| &mut peaks.staged, own_bytes);
            peaks::note(|peaks| &mut peaks.owed, self.owed_bytes());
        }
        self.crash(CrashPoint::BeforeRename)?;
        let files = self.newest.files.len();
        tracing::debug!(epoch = epoch.number(), files, "checkpoint published");
        if self.begun.is_some() {
            // Nothing else forgets older ones while the sinks are at theirs. What these have to
            // publish is in this one.
            self.store.retain(epoch)?;
        }
        Ok(())
    }

    /// Lets the sinks publish what the newest checkpoint has staged.
    fn publish(&mut self, epoch: Epoch, running: &mut Running<'_>) -> Result<(), JobError> {
        debug_assert!(self.begun.is_none() && epoch == self.newest.epoch, "it is not its turn");
        self.store.begin_publishing(epoch)?;
        let staged = std::mem::take(&mut self.newest.staged);
        let publication = Publication::of(epoch, &staged, self.plan, self.connected);
        self.begun = Some(Begun { epoch, staged });
        self.is_unpublished = false;
        let (reports, control) = (running.to_reports.clone(), running.control.clone());
        running.driver.publish(move || {
            let commit = |table: &str, sink: &dyn Sink, staged: &[Staged]| {
                control.holds.note_publication(Some(Hold::room_in(table)));
                sink.commit(staged)
            };
            let result = publication.publish(commit).map(|refused| {
                control.stats.diverted.fetch_add(refused, Ordering::Relaxed);
            });
            control.holds.note_publication(None);
            // The job may have failed meanwhile; then nobody needs the report.
            let _ = reports.send(Report::Published(result));
        });
        Ok(())
    }

    /// The sinks have published an epoch, with all before it.
    fn complete(&mut self, epoch: Epoch) -> Result<(), JobError> {
        self.crash(CrashPoint::AfterRename)?;
        self.store.end_publishing(epoch)?;
        self.begun = None;
        Ok(self.store.retain(epoch)?)
    }

    /// Bytes that are staged and not known to be published.
    fn owed_bytes(&self) -> usize {
        let of = |staged: &StagedOfSinks| -> usize {
            staged.iter().flat_map(|(_, parts)| parts).map(Vec::len).sum()
        };
        let unpublished = if self.is_unpublished { of(&self.newest.staged) } else { 0 };
        unpublished + self.begun.as_ref().map_or(0, |begun| of(&begun.staged))
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
        // By sink, the error stream last.
        let mut own: Vec<Vec<Staged>> = vec![Vec::new(); self.plan.sinks.len() + 1];
        for part in parts {
            part.staged.iter().for_each(|(sink, staged)| own[*sink].push(staged.clone()));
            own[self.plan.sinks.len()].push(part.errors_staged.clone());
        }
        let staged = named_sinks(self.plan, self.connected).zip(own).map(|((name, sink), own)| {
            let own = own.into_iter().filter(|staged| !staged.is_empty()).collect();
            (name.to_owned(), self.with_unpublished(name, sink.as_ref(), own))
        });
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
            staged: staged.filter(|(_, s)| !s.is_empty()).collect(),
            begun: self.still_begun(),
        }
    }

    /// What the sinks are at, for the checkpoint.
    fn still_begun(&self) -> Option<Begun> {
        #[cfg(test)]
        if planted::has(Bug::ForgetsWhatIsBegun) {
            return None;
        }
        self.begun.clone()
    }

    /// What is staged of a sink, with what nobody has begun to publish of the checkpoint before.
    fn with_unpublished(&self, name: &str, sink: &dyn Sink, newer: Vec<Staged>) -> Vec<Staged> {
        if !self.is_unpublished {
            return newer;
        }
        #[cfg(test)]
        if planted::has(Bug::ForgetsWhatWaits) {
            return newer;
        }
        sink.join_staged(staged_of(&self.newest.staged, name).to_vec(), newer)
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
                    begun: None,
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
