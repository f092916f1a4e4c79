//! The loop: one worker, one thread, no waiting except for something to do.
//!
//! A step goes through a fixed list: send what waits for room, finish a snapshot, go on with fires,
//! drain the inbox, take a barrier, read from a split. What always holds: a chain with no room
//! downstream gets no rows from a source and does not fire, while the worker's other chains go on
//! and barriers pass it in their order, so no ring of workers can wait for each other.
//! [`Worker::step`] never blocks on other workers, so a test can run all workers of a job in one
//! thread, in any order.
//!
//! In reading order: this file, `reading` (sources), `source` (one of them, with its splits),
//! `shared_source` (what all workers know of it), `turns` (which split is next), `lanes` (other
//! workers), `snapshot` (checkpoints).

mod lanes;
mod reading;
mod shared_source;
mod snapshot;
mod source;
mod turns;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tracing::Span;

use super::chain::{Chain, ChainEnd};
use super::control::{Control, Report};
use super::crash::CrashPoint;
use super::errors::{BarrierSide, ErrorStream};
use super::inbox::{Inbox, Parker};
use crate::ids::{Epoch, OperatorId, WorkerId};
use crate::operator::{Context, Counters, Event, FailedRows};
#[cfg(test)]
use crate::planted::{self, Bug};
use crate::runtime::error::JobError;
use crate::state::store::StateDb;
use crate::time::Watermark;
pub use lanes::EdgeInput;
pub use shared_source::{SharedSource, SplitData};
use snapshot::{Noted, OpenEpoch};
pub use source::WorkerSource;

/// What a worker is made of, put together by `graph`.
pub struct WorkerParts {
    pub id: WorkerId,
    /// In which it writes its log lines.
    pub span: Span,
    /// All workers' inboxes; number `id` is its own.
    pub inboxes: Vec<Arc<Inbox>>,
    pub sources: Vec<WorkerSource>,
    pub edges: Vec<EdgeInput>,
    pub chains: Vec<Chain>,
    /// The operators of each chain; None for those without state.
    pub operator_ids: Vec<Vec<Option<OperatorId>>>,
    pub sink_names: Vec<String>,
    pub db: StateDb,
    pub errors: ErrorStream,
    pub control: Arc<Control>,
    pub reports: Sender<Report>,
    /// Where parts of checkpoints go: this folder / epoch / worker.
    pub staging: PathBuf,
}

pub struct Worker {
    id: WorkerId,
    span: Span,
    inbox: Arc<Inbox>,
    peers: Vec<Arc<Inbox>>,
    sources: Vec<WorkerSource>,
    edges: Vec<EdgeInput>,
    chains: Vec<Chain>,
    operator_ids: Vec<Vec<Option<OperatorId>>>,
    sink_names: Vec<String>,
    db: StateDb,
    errors: ErrorStream,
    control: Arc<Control>,
    reports: Sender<Report>,
    staging: PathBuf,
    injected_epoch: Epoch,
    open_epoch: Option<OpenEpoch>,
    /// The barrier of the last epoch has been sent: nothing is read any more.
    is_ending: bool,
    /// This worker's part of the last epoch is done: nothing is written any more.
    is_over: bool,
    drained_reported: bool,
    counters: Counters,
    failed: Vec<FailedRows>,
    next_source: usize,
    /// Bytes of accumulators after the last step.
    held_bytes: usize,
    sent_tick_ms: Option<i64>,
    hold_noted: Noted,
}

impl Worker {
    pub fn new(parts: WorkerParts) -> Worker {
        let WorkerParts {
            id,
            span,
            inboxes,
            sources,
            edges,
            chains,
            operator_ids,
            sink_names,
            db,
            errors,
            control,
            reports,
            staging,
        } = parts;
        let mut chains = chains;
        chains.iter_mut().for_each(|chain| chain.passed_epoch = control.requests.newest());
        Worker {
            id,
            span,
            inbox: inboxes[id.index()].clone(),
            peers: inboxes,
            sources,
            edges,
            chains,
            operator_ids,
            sink_names,
            db,
            errors,
            injected_epoch: control.requests.newest(),
            control,
            reports,
            staging,
            open_epoch: None,
            is_ending: false,
            is_over: false,
            drained_reported: false,
            counters: Counters::default(),
            failed: Vec::new(),
            next_source: 0,
            held_bytes: 0,
            sent_tick_ms: None,
            hold_noted: Noted::default(),
        }
    }

    pub(crate) fn parker(&self) -> Arc<Parker> {
        self.inbox.parker.clone()
    }

    /// Runs until told to stop. For a thread of its own.
    pub fn run(mut self) {
        self.inbox.parker.attach();
        while !self.control.stop.load(Ordering::Acquire) {
            match self.step() {
                Ok(true) => {}
                // Sources without a wake-up of their own are polled again after this long.
                Ok(false) => self.inbox.parker.park(Duration::from_millis(20)),
                Err(e) => {
                    // The job may be gone already; then nobody needs the report.
                    let _ = self.reports.send(Report::Failed(e));
                    return;
                }
            }
        }
    }

    /// Does one round of what can be done. Returns false if there was nothing.
    pub fn step(&mut self) -> Result<bool, JobError> {
        let _in_worker = self.span.clone().entered();
        let mut busy = self.flush_outlets();
        if self.is_over {
            return Ok(busy);
        }
        busy |= self.continue_snapshot()?;
        busy |= self.continue_fires()?;
        let received = self.drain_inbox()?;
        busy |= received;
        self.keep_within_memory()?;
        busy |= self.take_barrier()?;
        if self.may_read(received) {
            busy |= self.read_sources()?;
            self.send_ticks()?;
        }
        self.publish_counters();
        self.ask_for_epoch();
        self.report_drained();
        self.note_hold();
        Ok(busy)
    }

    /// Whether a chain can be given something. A sink that is full may still take what is before a
    /// barrier that has been requested: else that would come when the outside lets it, or never.
    fn has_room(&mut self, chain: usize) -> bool {
        #[cfg(test)]
        if planted::has(Bug::IgnoresFullLanes) {
            return true;
        }
        let requested = self.control.requests.newest();
        let chain = &mut self.chains[chain];
        chain.has_room() || (chain.passed_epoch < requested && chain.has_room_before_barrier())
    }

    /// Tells the job that a sink wants a checkpoint, unless one is under way here.
    fn ask_for_epoch(&self) {
        if self.open_epoch.is_none()
            && !self.is_barrier_due()
            && self.chains.iter().any(Chain::wants_epoch)
        {
            self.control.is_epoch_wanted.store(true, Ordering::Release);
        }
    }

    /// False between the request of an epoch and its barrier, and from the barrier of the last one
    /// on. While an epoch is under way, what others have sent goes first, as long as there is some
    /// (`received`): their barriers are behind it. And nothing is read while memory is short and
    /// nothing can be spilled, since the store has to stay as it was at the barrier; nor while bad
    /// records wait for the end of the epoch.
    fn may_read(&self, received: bool) -> bool {
        let is_short = self.held_bytes > self.control.accumulator_bytes_max;
        let is_writing = self.is_writing_snapshot();
        let waits = (self.open_epoch.is_some() && received)
            || (is_writing && is_short)
            || self.errors.is_full();
        !waits && !self.is_ending && !self.is_barrier_due()
    }

    fn flush_outlets(&mut self) -> bool {
        let mut moved = false;
        for chain in &mut self.chains {
            if let ChainEnd::Edge(outlet) = &mut chain.end {
                moved |= outlet.flush();
            }
        }
        moved
    }

    fn is_stalled(&self) -> bool {
        self.chains.iter().any(Chain::is_stalled)
    }

    /// Moves accumulators to the store while there are too many. Not during a snapshot, whose store
    /// must stay as it was at the barrier: until that is written, sources wait instead.
    fn keep_within_memory(&mut self) -> Result<(), JobError> {
        self.held_bytes = self.memory_bytes();
        let most = self.control.accumulator_bytes_max;
        if self.held_bytes <= most || self.is_writing_snapshot() || self.is_over {
            return Ok(());
        }
        let mut order: Vec<usize> = (0..self.chains.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(self.chains[i].memory_bytes()));
        for i in order {
            // Some more than needed, so that it is not done again at once.
            while self.held_bytes > most / 4 * 3 {
                let mut changes = self.db.changes();
                if !self.chains[i].spill(&mut changes)? {
                    break;
                }
                self.control.stats.spills.fetch_add(1, Ordering::Relaxed);
                if !changes.is_empty() {
                    self.db.write(changes)?;
                }
                self.held_bytes = self.memory_bytes();
            }
        }
        Ok(())
    }

    fn crash(&self, point: CrashPoint) -> Result<(), JobError> {
        if self.control.crashes.reached(point) { Err(JobError::Crashed(point)) } else { Ok(()) }
    }

    /// Lets a chain do something, and sees to what failed in it.
    fn in_chain(
        &mut self,
        chain: usize,
        act: impl FnOnce(&mut Chain, &mut Context<'_>) -> Result<(), JobError>,
    ) -> Result<(), JobError> {
        let side = self.chains[chain].side;
        let mut cx = Context {
            out: &mut Vec::new(),
            operator: "",
            db: &self.db,
            failed: &mut self.failed,
            counters: &mut self.counters,
            room_bytes: self.control.accumulator_bytes_max.saturating_sub(self.held_bytes),
            now_ms: self.control.clock.now_ms(),
        };
        #[cfg(test)]
        let before_bytes = self.chains[chain].end_bytes();
        act(&mut self.chains[chain], &mut cx)?;
        #[cfg(test)]
        self.chains[chain].note_peaks(before_bytes);
        self.divert_failed(chain, side)
    }

    fn push(&mut self, chain: usize, event: Event) -> Result<(), JobError> {
        self.in_chain(chain, |chain, cx| chain.push(event, cx))
    }

    fn continue_fires(&mut self) -> Result<bool, JobError> {
        let mut busy = false;
        for chain in 0..self.chains.len() {
            busy |= self.continue_fire(chain)?;
        }
        Ok(busy)
    }

    /// One step of a chain's fire, if there is one and it can go on.
    fn continue_fire(&mut self, chain: usize) -> Result<bool, JobError> {
        let state = &mut self.chains[chain];
        // After its barrier a chain's state belongs to the snapshot until that is in a checkpoint.
        if state.frozen_epoch.is_some()
            || !state.has_work()
            || state.is_waiting()
            || !self.has_room(chain)
        {
            return Ok(false);
        }
        self.in_chain(chain, Chain::work)?;
        self.crash(CrashPoint::MidFire)?;
        Ok(true)
    }

    /// Hands failed rows of a chain to the error stream, to the epoch they belong to. `side`: where
    /// the chain stood when it began; what its sink rejects behind a barrier that has come
    /// meanwhile is of the next epoch.
    fn divert_failed(&mut self, chain: usize, side: BarrierSide) -> Result<(), JobError> {
        for failed in self.failed.drain(..) {
            self.errors.failed_rows(&failed, side)?;
        }
        let side = self.chains[chain].side;
        if let ChainEnd::Sink(end) = &mut self.chains[chain].end {
            for rejected in end.writer.take_rejected() {
                self.errors.rejected(
                    &self.sink_names[end.sink],
                    &rejected.row,
                    &rejected.reason,
                    side,
                )?;
            }
        }
        Ok(())
    }

    fn publish_counters(&mut self) {
        let counters = std::mem::take(&mut self.counters);
        let stats = &self.control.stats;
        stats.late_rows.fetch_add(counters.late_rows, Ordering::Relaxed);
        stats.late_by_fired_mark.fetch_add(counters.late_by_fired_mark, Ordering::Relaxed);
        stats.windows_fired.fetch_add(counters.windows_fired, Ordering::Relaxed);
        stats.diverted.fetch_add(self.errors.count_new(), Ordering::Relaxed);
        stats.diverted_bytes_cut.fetch_add(self.errors.cut_bytes_new(), Ordering::Relaxed);
        for chain in &mut self.chains {
            if let ChainEnd::Sink(end) = &mut chain.end {
                stats.rows_out.fetch_add(std::mem::take(&mut end.rows_written), Ordering::Relaxed);
            }
        }
    }

    /// Accumulators held in memory by all chains.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.chains.iter().map(Chain::memory_bytes).sum()
    }

    fn report_drained(&mut self) {
        if self.drained_reported || self.is_stalled() {
            return;
        }
        if self.chains.iter_mut().all(|c| c.watermark == Watermark::END && !c.has_work()) {
            self.drained_reported = true;
            let _ = self.reports.send(Report::Drained(self.id));
        }
    }
}
