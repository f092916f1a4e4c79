//! A worker's part of a checkpoint: from the barrier to the report that it is complete.
//!
//! ```text
//! barrier in every chain ─ frozen state written, a table a step ─ hard links of the store ─ sinks have staged ─ report
//!                          the store stays as it was at the barrier                       │ chains fire again, rows go on to the sinks
//! ```
//!
//! What always holds: a barrier enters a chain only between fires; the store is linked when every
//! chain has seen the barrier and its frozen state is written; until then nothing else is. A sink
//! that waits for its table holds up neither the fires nor the rows of its worker.

use std::time::Duration;

use super::{Report, Worker};
use crate::checkpoint::manifest::SplitState;
use crate::ids::{Epoch, OperatorId};
use crate::operator::{Event, OperatorState};
use crate::runtime::chain::{Chain, ChainEnd};
use crate::runtime::control::Snapshot;
use crate::runtime::crash::CrashPoint;
use crate::runtime::error::JobError;
use crate::runtime::errors::BarrierSide;
use crate::runtime::holds::{Hold, LOOK_INTERVAL};
use crate::sink::{Afterwards, Prepared, Rejected, Staged};
use crate::state::store::Linking;

/// A snapshot under way.
pub(super) struct OpenEpoch {
    epoch: Epoch,
    splits: Vec<Vec<SplitState>>,
    stage: Stage,
}

/// When it was noted last what holds an epoch up.
#[derive(Default)]
pub(super) struct Noted {
    at: Duration,
    is_there: bool,
}

/// What a snapshot waits for.
enum Stage {
    /// Barriers, and frozen state that is being written.
    Store,
    /// The store, which is written out, synced and linked beside the worker.
    Links(Linking),
    /// Sinks. `operators`: what the operators keep in the manifest.
    Sinks { operators: Vec<(OperatorId, OperatorState)> },
    /// The error stream, which is ended last since sinks may reject rows until they are done.
    Errors { operators: Vec<(OperatorId, OperatorState)>, staged: Vec<(usize, Staged)> },
}

impl Worker {
    pub(super) fn open_epoch(&mut self, epoch: Epoch) {
        if self.open_epoch.is_none() {
            let splits = self.sources.iter_mut().map(|s| s.split_states(self.id)).collect();
            self.open_epoch = Some(OpenEpoch { epoch, splits, stage: Stage::Store });
        }
    }

    /// True from the request of an epoch until its barrier has entered the chains that read
    /// sources. Nothing is read meanwhile: two chains that take turns at being in the middle of
    /// something would put the barrier off without end.
    pub(super) fn is_barrier_due(&self) -> bool {
        self.control.requests.newest() > self.injected_epoch
    }

    /// True while the store has to stay as it was at the barrier.
    pub(super) fn is_writing_snapshot(&self) -> bool {
        let stage = self.open_epoch.as_ref().map(|open| &open.stage);
        matches!(stage, Some(Stage::Store | Stage::Links(_)))
    }

    /// Sends the barrier of a newly requested epoch down the chains that read sources.
    pub(super) fn take_barrier(&mut self) -> Result<bool, JobError> {
        let requested = self.control.requests.newest();
        let source_chains: Vec<usize> =
            self.sources.iter().flat_map(|s| s.chains.to_vec()).collect();
        if requested <= self.injected_epoch
            || source_chains.iter().any(|&c| self.chains[c].has_work())
        {
            return Ok(false);
        }
        self.injected_epoch = requested;
        self.is_ending = self.control.requests.afterwards(requested) != Afterwards::GoesOn;
        self.open_epoch(requested);
        for chain in source_chains {
            self.push(chain, Event::Barrier(requested))?;
        }
        Ok(true)
    }

    /// One step of the snapshot, if there is one.
    pub(super) fn continue_snapshot(&mut self) -> Result<bool, JobError> {
        let Some(mut open) = self.open_epoch.take() else { return Ok(false) };
        let (next, is_busy) = match open.stage {
            Stage::Store => self.write_frozen(open.epoch)?,
            Stage::Links(linking) => match linking.ended() {
                Some(linked) => {
                    linked?;
                    self.end_links(open.epoch)?
                }
                None => (Stage::Links(linking), false),
            },
            Stage::Sinks { operators } => self.gather_staged(operators)?,
            Stage::Errors { operators, staged } => {
                let Prepared::Part { staged: errors_staged, .. } = self
                    .errors
                    .prepare(open.epoch, self.control.requests.afterwards(open.epoch))?
                else {
                    self.open_epoch =
                        Some(OpenEpoch { stage: Stage::Errors { operators, staged }, ..open });
                    return Ok(false);
                };
                self.report(open.epoch, open.splits, operators, staged, errors_staged);
                return Ok(true);
            }
        };
        open.stage = next;
        self.open_epoch = Some(open);
        Ok(is_busy)
    }

    /// Writes frozen state, one table a step; makes the store's checkpoint when every chain has
    /// seen the barrier.
    fn write_frozen(&mut self, epoch: Epoch) -> Result<(Stage, bool), JobError> {
        let mut busy = false;
        let mut complete = true;
        for chain in &mut self.chains {
            if chain.frozen_epoch != Some(epoch) {
                complete = false;
                continue;
            }
            let mut changes = self.db.changes();
            complete &= chain.write_frozen(&mut changes)?;
            if !changes.is_empty() {
                self.db.write(changes)?;
                busy = true;
            }
        }
        if !complete {
            return Ok((Stage::Store, busy));
        }
        let folder = self.staging.join(format!("{epoch:08}")).join(format!("worker-{}", self.id));
        if self.control.links_aside {
            let parker = self.parker();
            let linking = self.db.checkpoint_aside(&folder, move || parker.wake());
            return Ok((Stage::Links(linking), false));
        }
        self.db.checkpoint(&folder)?;
        self.end_links(epoch)
    }

    /// The store's part of the checkpoint is there: chains may change it again.
    fn end_links(&mut self, epoch: Epoch) -> Result<(Stage, bool), JobError> {
        tracing::debug!(%epoch, "all chains have passed the barrier, and the store is linked");
        self.crash(CrashPoint::AfterFlush)?;
        let operators = self.chains.iter_mut().zip(&self.operator_ids).flat_map(|(chain, ids)| {
            let states = chain.links.iter_mut().map(|link| link.operator.state());
            ids.iter().zip(states).filter_map(|(id, state)| Some(((*id)?, state?.marks())))
        });
        let operators = operators.collect();
        if !self.is_ending {
            // Behind the barrier of a stop nothing fires any more.
            self.chains.iter_mut().for_each(|chain| chain.frozen_epoch = None);
        }
        Ok((Stage::Sinks { operators }, true))
    }

    /// Collects the parts of the sinks when all have given theirs.
    fn gather_staged(
        &mut self,
        operators: Vec<(OperatorId, OperatorState)>,
    ) -> Result<(Stage, bool), JobError> {
        for chain in &mut self.chains {
            if let ChainEnd::Sink(end) = &mut chain.end
                && !end.poll_prepare()?
            {
                return Ok((Stage::Sinks { operators }, false));
            }
        }
        let mut parts = Vec::new();
        for chain in &mut self.chains {
            let ChainEnd::Sink(end) = &mut chain.end else { continue };
            let Some(Prepared::Part { staged, rejected }) = end.prepared.take() else { continue };
            for Rejected { row, reason } in rejected {
                // The row came before the barrier: its line is part of the epoch.
                self.errors.rejected(
                    &self.sink_names[end.sink],
                    &row,
                    &reason,
                    BarrierSide::Before,
                )?;
            }
            parts.extend((!staged.is_empty()).then_some((end.sink, staged)));
        }
        Ok((Stage::Errors { operators, staged: parts }, true))
    }

    /// Notes what holds the epoch under way up, now and then.
    pub(super) fn note_hold(&mut self) {
        let is_under_way = self.open_epoch.is_some() || self.is_barrier_due();
        if !is_under_way {
            if std::mem::take(&mut self.hold_noted.is_there) {
                self.control.holds.note(self.id.index(), None);
            }
            return;
        }
        let now = self.control.clock.monotonic();
        if now.saturating_sub(self.hold_noted.at) < LOOK_INTERVAL {
            return;
        }
        self.hold_noted = Noted { at: now, is_there: true };
        let hold = self.hold();
        self.control.holds.note(self.id.index(), Some(hold));
    }

    fn hold(&mut self) -> Hold {
        let requested = self.control.requests.newest();
        match &self.open_epoch {
            Some(OpenEpoch { stage: Stage::Errors { .. }, .. }) => {
                return Hold::here("the error stream to store its rows".into());
            }
            Some(OpenEpoch { stage: Stage::Links(_), .. }) => {
                return Hold::here(format!("the state of worker {} to be linked", self.id));
            }
            Some(OpenEpoch { stage: Stage::Sinks { .. }, .. }) => {
                let waiting = self.chains.iter().find_map(|chain| match &chain.end {
                    ChainEnd::Sink(end) if end.prepared == Some(Prepared::Waits) => Some(end.sink),
                    _ => None,
                });
                let table = waiting.map_or("", |sink| &self.sink_names[sink]);
                return Hold::here(format!("table {table} to store its rows"));
            }
            _ => {}
        }
        let mut behind: Vec<usize> = (0..self.chains.len())
            .filter(|&chain| self.chains[chain].passed_epoch < requested)
            .collect();
        // Those that come last hold nobody up but themselves.
        behind.reverse();
        for &chain in &behind {
            let has_room = self.has_room(chain);
            if let ChainEnd::Sink(end) = &self.chains[chain].end
                && !has_room
            {
                return Hold::room_in(&self.sink_names[end.sink]);
            }
        }
        let worker = self.id;
        let name_of =
            |chain: &Chain| chain.links.last().map_or("its end", |link| &link.name).to_owned();
        for &chain in &behind {
            let is_outside = self.chains[chain].is_waiting();
            let Some(name) = self.chains[chain].firing() else { continue };
            let what =
                if is_outside { "get its answers" } else { "end what it is in the midst of" };
            return Hold { awaited: format!("{name} of worker {worker} to {what}"), is_outside };
        }
        if let Some(&chain) = behind.last() {
            let name = name_of(&self.chains[chain]);
            return Hold::here(format!("the barrier to reach {name} of worker {worker}"));
        }
        Hold::here(format!("the state of worker {worker} to be packed"))
    }

    fn report(
        &mut self,
        epoch: Epoch,
        splits: Vec<Vec<SplitState>>,
        operators: Vec<(OperatorId, OperatorState)>,
        staged: Vec<(usize, Staged)>,
        errors_staged: Staged,
    ) {
        self.chains.iter_mut().for_each(|chain| chain.side = BarrierSide::Before);
        self.is_over = self.is_ending;
        if std::mem::take(&mut self.hold_noted.is_there) {
            self.control.holds.note(self.id.index(), None);
        }
        let snapshot =
            Snapshot { worker: self.id, epoch, splits, operators, staged, errors_staged };
        // The job thread may have failed meanwhile: then it has set `stop`.
        let _ = self.reports.send(Report::Snapshot(snapshot));
    }
}
