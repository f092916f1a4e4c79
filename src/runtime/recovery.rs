//! What does a start find, and what has to be done before workers run?
//!
//! Called by `job`, once. `checkpoint::decide` says what to do; this does it: it publishes again
//! what a killed process may not have, removes what nobody will name, hands sinks what was staged,
//! and begins a run where there is none. What always holds: nothing is changed before the decision,
//! and none of it is done for a job that had finished but its last publication.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::graph::{first_splits, named_sinks};
use super::inputs::Changes;
use super::observer::{Observer, Outcome};
use super::publication::Publication;
use crate::checkpoint::decide::{Decision, Disk, Wanted, decide};
use crate::checkpoint::manifest::{Manifest, SourceState, SplitState, StagedOfSinks};
use crate::checkpoint::store::CheckpointStore;
use crate::ids::Epoch;
use crate::ingest::Ingest;
use crate::plan::physical::PhysicalPlan;
#[cfg(test)]
use crate::planted::{self, Bug};
use crate::runtime::epochs::STOP_WAIT_MAX;
use crate::runtime::error::JobError;
use crate::runtime::options::{Connected, JobOptions, Scheduling};
use crate::sink::{Sink, Staged};
use crate::state::KEY_GROUPS;

/// What the state directory says of the job.
pub(crate) enum Recovered {
    /// It goes on from this manifest, which is that of epoch 0 at its start.
    GoesOn {
        manifest: Box<Manifest>,
        /// Epochs up to this one have been numbered, also those that are given up: files are named
        /// after epochs.
        last_epoch: Epoch,
    },
    /// There is nothing to do.
    IsOver(Outcome),
}

/// What came of publishing what a process before this one may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recommitted {
    Done,
    /// The job was asked to stop, and the outside had not taken all of it.
    Stopped,
}

/// From one look at whether the job is to stop to the next.
const STOP_STEP: Duration = Duration::from_millis(20);

/// A start.
pub(crate) struct Recovery<'a> {
    pub plan: &'a PhysicalPlan,
    pub connected: &'a Connected,
    pub options: &'a JobOptions,
    pub store: &'a mut CheckpointStore,
    pub run_ms: i64,
    pub changes: &'a mut Changes,
}

impl Recovery<'_> {
    /// Does what the state directory asks for. An error leaves it to the next start.
    pub(crate) fn recover(&mut self, observer: &mut dyn Observer) -> Result<Recovered, JobError> {
        let disk = self.store.read()?;
        let leaves = self.connected.sinks.iter().map(|s| s.leaves()).max().unwrap_or_default();
        let wanted = Wanted {
            plan: &self.plan.fingerprint,
            leaves,
            allow_duplicates: self.options.allow_duplicates,
        };
        match decide(&disk, wanted) {
            Decision::Refuse(reason) => Err(JobError::Refused(reason)),
            Decision::AlreadyFinished { mut manifest } => {
                self.set_up(&mut manifest)?;
                if let Some(table) = self.reads_on() {
                    return Err(JobError::Refused(format!(
                        "the run has finished: its windows were closed at its end, so that table {table} cannot be read on from there; \
                         give what follows a state directory of its own, and --from the end of this run"
                    )));
                }
                if self.recommit(&manifest, &disk)? == Recommitted::Stopped {
                    return Ok(Recovered::IsOver(Outcome::Stopped));
                }
                self.changes.tell(self.plan, self.connected, &manifest);
                Ok(Recovered::IsOver(Outcome::AlreadyFinished))
            }
            Decision::Resume { mut manifest, skipped } => {
                self.set_up(&mut manifest)?;
                let given_up = skipped.iter().map(|(epoch, _)| *epoch).chain(disk.publishing);
                let last_epoch = given_up.fold(manifest.epoch, Epoch::max);
                self.store.begin_work()?;
                self.store.drop_after(Some(manifest.epoch))?;
                if self.recommit(&manifest, &disk)? == Recommitted::Stopped {
                    return Ok(Recovered::IsOver(Outcome::Stopped));
                }
                self.discard_uncommitted()?;
                self.publication(manifest.epoch, &manifest.staged).resume()?;
                observer.resumed(manifest.epoch, &skipped);
                self.changes.tell(self.plan, self.connected, &manifest);
                Ok(Recovered::GoesOn { manifest, last_epoch })
            }
            Decision::Start => {
                self.store.begin_work()?;
                self.store.drop_after(None)?;
                self.discard_uncommitted()?;
                let manifest = self.epoch_zero()?;
                Ok(Recovered::GoesOn {
                    manifest: Box::new(self.store.publish(manifest)?),
                    last_epoch: Epoch::START,
                })
            }
        }
    }

    /// Shows every source what the run keeps of it, and keeps what it wants kept from now on.
    fn set_up(&self, manifest: &mut Manifest) -> Result<(), JobError> {
        for (plan, source) in self.plan.sources.iter().zip(&self.connected.sources) {
            let state = manifest.sources.iter_mut().find(|s| s.table == plan.table.name);
            let run = source.setup(state.as_ref().and_then(|s| s.run.as_ref()))?;
            if let Some(state) = state {
                state.run = run;
                let ended_there =
                    |split: &&mut SplitState| split.finished && split.children.is_empty();
                if source.reads_on() {
                    state.splits.iter_mut().filter(ended_there).for_each(|s| s.finished = false);
                }
            }
        }
        Ok(())
    }

    /// The table whose source reads on behind the end that the run had, if one does.
    fn reads_on(&self) -> Option<&str> {
        let tables = self.plan.sources.iter().zip(&self.connected.sources);
        let mut reading_on = tables.filter(|(_, source)| source.reads_on());
        reading_on.next().map(|(plan, _)| plan.table.name.as_str())
    }

    fn epoch_zero(&self) -> Result<Manifest, JobError> {
        let mut sources = Vec::new();
        for (number, (plan, source)) in
            self.plan.sources.iter().zip(&self.connected.sources).enumerate()
        {
            let mut ingest = Ingest::new(plan.ingest.clone(), (self.connected.decoding)(number));
            let run = source.setup(None)?;
            let splits = first_splits(source.as_ref(), &mut ingest)?;
            sources.push(SourceState { table: plan.table.name.clone(), run, splits });
        }
        Ok(Manifest {
            run_ms: self.run_ms,
            epoch: Epoch::START,
            finished: false,
            plan: self.plan.fingerprint.clone(),
            workers: self.options.workers,
            key_groups: KEY_GROUPS,
            operators: vec![],
            files: vec![],
            staged: vec![],
            begun: None,
            sources,
        })
    }

    fn publication(&self, epoch: Epoch, staged: &StagedOfSinks) -> Publication {
        Publication::of(epoch, staged, self.plan, self.connected)
    }

    /// Commits what a killed process may not have: what it was at when the checkpoint was made, and
    /// then what is staged in that.
    fn recommit(&self, manifest: &Manifest, disk: &Disk) -> Result<Recommitted, JobError> {
        #[cfg(test)]
        if planted::has(Bug::ForgetsToPublishAgain) {
            self.store.end_publishing(manifest.epoch)?;
            return Ok(Recommitted::Done);
        }
        let begun = manifest.begun.iter().map(|begun| (begun.epoch, &begun.staged));
        let all = begun.chain([(manifest.epoch, &manifest.staged)]);
        let (recommitted, has_given_up) = self.unless_stopped(|| {
            let mut all = all;
            all.try_for_each(|(epoch, staged)| self.recommit_epoch(epoch, staged, disk))
        });
        match recommitted {
            Err(JobError::Sink(e)) if has_given_up => {
                tracing::warn!("the next start publishes what is left: {e}");
                Ok(Recommitted::Stopped)
            }
            Err(e) => Err(e),
            // No sink takes anything any more.
            Ok(()) if has_given_up => Ok(Recommitted::Stopped),
            Ok(()) => Ok(Recommitted::Done),
        }
    }

    /// Where a process had published all of it, nothing is looked at again: whoever reads the files
    /// may have taken them away. Where it had begun, that is so for some of them.
    fn recommit_epoch(
        &self,
        epoch: Epoch,
        staged: &StagedOfSinks,
        disk: &Disk,
    ) -> Result<(), JobError> {
        if disk.published.is_some_and(|published| published >= epoch) {
            return Ok(());
        }
        let publication = self.publication(epoch, staged);
        let is_begun = disk.publishing.is_some_and(|publishing| publishing >= epoch);
        if !is_begun {
            self.store.begin_publishing(epoch)?;
        }
        let publish = |_: &str, sink: &dyn Sink, staged: &[Staged]| {
            if is_begun { sink.recommit(staged) } else { sink.commit(staged) }
        };
        publication.publish(publish)?;
        Ok(self.store.end_publishing(epoch)?)
    }

    /// Does what may wait for the outside; when the job is asked to stop meanwhile, the sinks are
    /// asked to give up some time later. Returns whether they were.
    fn unless_stopped<T>(&self, publish: impl FnOnce() -> T) -> (T, bool) {
        if !matches!(self.options.scheduling, Scheduling::Threads) {
            // Nobody else runs, so that nobody can ask.
            return (publish(), false);
        }
        let (ended, has_given_up) = (AtomicBool::new(false), AtomicBool::new(false));
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut stop_waited = Duration::ZERO;
                while !ended.load(Ordering::Acquire) {
                    std::thread::park_timeout(STOP_STEP);
                    if self.options.stop.load(Ordering::Acquire) {
                        stop_waited += STOP_STEP;
                    }
                    if stop_waited >= STOP_WAIT_MAX && !has_given_up.swap(true, Ordering::AcqRel) {
                        self.connected.sinks.iter().for_each(|sink| sink.give_up());
                    }
                }
            });
            let result = publish();
            ended.store(true, Ordering::Release);
            result
        });
        (result, has_given_up.into_inner())
    }

    fn discard_uncommitted(&self) -> Result<(), JobError> {
        for (_, sink) in named_sinks(self.plan, self.connected) {
            sink.discard_uncommitted()?;
        }
        Ok(())
    }
}
