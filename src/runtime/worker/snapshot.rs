//! A worker's part of a checkpoint: from the barrier to the hard links of its store.
//!
//! What always holds: a barrier enters a chain only between fires; the store is linked when every chain has seen the barrier
//! and its frozen state is written; until then nothing else is.

use std::sync::atomic::Ordering;

use super::{Report, Worker};
use crate::checkpoint::manifest::SplitState;
use crate::operator::Event;
use crate::runtime::chain::ChainEnd;
use crate::runtime::control::Snapshot;
use crate::runtime::crash::CrashPoint;
use crate::runtime::error::WorkerError;

/// A snapshot under way.
pub(super) struct OpenEpoch {
    epoch: u64,
    splits: Vec<Vec<SplitState>>,
}

impl Worker {
    pub(super) fn open_epoch(&mut self, epoch: u64) {
        if self.open_epoch.is_none() {
            let splits = self.sources.iter().map(|s| s.split_states(self.id)).collect();
            self.open_epoch = Some(OpenEpoch { epoch, splits });
        }
    }

    /// True from the request of an epoch until its barrier has entered the chains that read sources. Nothing is read
    /// meanwhile: two chains that take turns at being in the middle of something would put the barrier off without end.
    pub(super) fn is_barrier_due(&self) -> bool {
        self.control.requested_epoch.load(Ordering::Acquire) > self.injected_epoch
    }

    /// Sends the barrier of a newly requested epoch down the chains that read sources.
    pub(super) fn take_barrier(&mut self) -> Result<bool, WorkerError> {
        let requested = self.control.requested_epoch.load(Ordering::Acquire);
        let source_chains: Vec<usize> = self.sources.iter().flat_map(|s| s.chains.clone()).collect();
        if requested <= self.injected_epoch || source_chains.iter().any(|&c| self.chains[c].has_work()) {
            return Ok(false);
        }
        self.injected_epoch = requested;
        self.is_ending = self.control.final_epoch.load(Ordering::Acquire) == requested;
        self.open_epoch(requested);
        for chain in source_chains {
            self.push(chain, Event::Barrier(requested))?;
        }
        Ok(true)
    }

    /// Writes frozen state, one table a step; makes the store's checkpoint when every chain has seen the barrier.
    pub(super) fn continue_snapshot(&mut self) -> Result<bool, WorkerError> {
        let Some(epoch) = self.open_epoch.as_ref().map(|e| e.epoch) else { return Ok(false) };
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
            return Ok(busy);
        }
        self.db.checkpoint(&self.checkpoints.join(format!("{epoch:08}")).join(format!("worker-{}", self.id)))?;
        self.crash(CrashPoint::AfterFlush)?;
        let mut staged = Vec::new();
        for chain in &mut self.chains {
            chain.frozen_epoch = None;
            if let ChainEnd::Sink(end) = &mut chain.end {
                staged.extend(end.staged.take().filter(|s| !s.is_empty()).map(|s| (end.sink, s)));
            }
        }
        let operators = self.chains.iter_mut().zip(&self.operator_ids).flat_map(|(chain, ids)| {
            let states = chain.links.iter_mut().map(|link| link.operator.state());
            ids.iter().copied().zip(states).filter(|(id, _)| *id != 0).filter_map(|(id, state)| Some((id, state?.marks())))
        });
        let operators = operators.collect();
        let errors_staged = self.errors.prepare(epoch)?;
        let splits = self.open_epoch.take().map(|e| e.splits).unwrap_or_default();
        self.is_over = self.is_ending;
        let snapshot = Snapshot { worker: self.id, epoch, splits, operators, staged, errors_staged };
        // The job thread may have failed meanwhile: then it has set `stop`.
        let _ = self.reports.send(Report::Snapshot(snapshot));
        Ok(true)
    }
}
