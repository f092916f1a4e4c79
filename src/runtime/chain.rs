//! Operators in a row, on one worker: from a source or an edge to the next edge or a sink.
//!
//! ```text
//!   rows  rows  BARRIER  rows          each operator passes the barrier on behind the output of what was before it
//!     --> [a] --> [b] --> [c] --> end
//!
//!   the barrier at the end: the chain is frozen    no fire goes on, nothing is spilled; rows are still folded in
//!   write_frozen until all operators are done      the store is as it was at the barrier
//!   the checkpoint is made: thawed                 fires go on
//! ```
//!
//! What always holds: an operator gets an event only when none after it in the chain is in the
//! middle of a fire; so order within a chain is the order of events.

use std::sync::Arc;

use tracing::Span;

use super::control::Control;
use super::errors::BarrierSide;
use super::exchange::Outlet;
use crate::ids::Epoch;
use crate::operator::{Context, Event, Operator, OperatorError, OperatorFailure};
#[cfg(test)]
use crate::peaks;
use crate::runtime::error::JobError;
use crate::sink::{Prepared, SinkError, SinkWriter};
use crate::state::store::Changes;
use crate::time::Watermark;

/// Where a chain's output goes.
pub enum ChainEnd {
    Edge(Outlet),
    Sink(SinkEnd),
}

pub struct SinkEnd {
    pub sink: usize,
    pub writer: Box<dyn SinkWriter>,
    /// The writer's part of the epoch whose barrier has come.
    pub prepared: Option<Prepared>,
    /// Says which epoch is the last.
    pub control: Arc<Control>,
    pub rows_written: u64,
}

impl SinkEnd {
    /// Asks a writer that had to wait. True if its part of the epoch is complete.
    pub fn poll_prepare(&mut self) -> Result<bool, SinkError> {
        if self.prepared == Some(Prepared::Waits) {
            self.prepared = Some(self.writer.poll_prepare()?);
        }
        Ok(self.prepared != Some(Prepared::Waits))
    }
}

/// An operator and what messages call it.
pub struct Link {
    pub name: String,
    pub operator: Box<dyn Operator>,
    /// In which the operator writes its log lines.
    pub span: Span,
}

pub struct Chain {
    pub links: Vec<Link>,
    pub end: ChainEnd,
    /// The watermark that has passed the whole chain.
    pub watermark: Watermark,
    /// The epoch whose barrier has passed the chain and whose state is not in a checkpoint yet. No
    /// fire until then.
    pub frozen_epoch: Option<Epoch>,
    /// The epoch whose barrier has passed the chain last.
    pub passed_epoch: Epoch,
    /// Where what fails now stands to the barrier of the epoch that is being prepared.
    pub side: BarrierSide,
    /// In which its end writes log lines.
    pub span: Span,
}

impl Chain {
    pub fn new(links: Vec<Link>, end: ChainEnd, span: Span) -> Chain {
        Chain {
            links,
            end,
            watermark: Watermark::NONE,
            frozen_epoch: None,
            passed_epoch: Epoch::START,
            side: BarrierSide::Before,
            span,
        }
    }

    /// Feeds an event in at the front.
    pub fn push(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), JobError> {
        debug_assert!(!self.has_work(), "a chain is given an event in the middle of a fire");
        self.feed(0, event, cx)
    }

    fn feed(&mut self, at: usize, event: Event, cx: &mut Context<'_>) -> Result<(), JobError> {
        let Some(link) = self.links.get_mut(at) else {
            return self.deliver(event);
        };
        let mut out = Vec::new();
        link.run(|operator, name| operator.on_event(event, &mut cx.of(name, &mut out)))?;
        self.feed_all(at + 1, out, cx)
    }

    fn feed_all(
        &mut self,
        at: usize,
        events: Vec<Event>,
        cx: &mut Context<'_>,
    ) -> Result<(), JobError> {
        for event in events {
            self.feed(at, event, cx)?;
        }
        Ok(())
    }

    fn deliver(&mut self, event: Event) -> Result<(), JobError> {
        let _in_chain = self.span.enter();
        match &event {
            Event::Watermark(w) => self.watermark = *w,
            Event::Barrier(epoch) => {
                debug_assert!(
                    self.frozen_epoch.is_none() && self.side == BarrierSide::Before,
                    "a barrier comes while an epoch is under way"
                );
                tracing::debug!(%epoch, "the barrier has passed the chain");
                self.frozen_epoch = Some(*epoch);
                self.passed_epoch = *epoch;
                self.side = BarrierSide::Behind;
            }
            _ => {}
        }
        match &mut self.end {
            ChainEnd::Edge(outlet) => Ok(outlet.send(event)?),
            ChainEnd::Sink(end) => {
                match event {
                    Event::Rows(rows) => {
                        end.rows_written += rows.batch.num_rows() as u64;
                        end.writer.write(&rows)?;
                    }
                    Event::Barrier(epoch) => {
                        end.prepared = Some(
                            end.writer
                                .begin_prepare(epoch, end.control.requests.afterwards(epoch))?,
                        );
                    }
                    Event::Watermark(_) | Event::Tick(_) | Event::Partials(_) => {}
                }
                Ok(())
            }
        }
    }

    pub fn has_work(&mut self) -> bool {
        self.links.iter_mut().any(Link::has_work)
    }

    /// The operator furthest down the chain that is in the middle of a fire.
    fn last_under_way(&mut self) -> Option<usize> {
        self.links.iter_mut().rposition(Link::has_work)
    }

    /// The fire that is furthest down the chain waits for the outside: there is nothing to do until
    /// that answers.
    pub fn is_waiting(&mut self) -> bool {
        let Some(at) = self.last_under_way() else { return false };
        self.links[at].operator.steps().is_some_and(|steps| steps.is_waiting())
    }

    /// The name of the operator that is in the middle of a fire, furthest down the chain.
    pub fn firing(&mut self) -> Option<&str> {
        let at = self.last_under_way()?;
        Some(&self.links[at].name)
    }

    /// One step of the fire that is furthest down the chain.
    pub fn work(&mut self, cx: &mut Context<'_>) -> Result<(), JobError> {
        let Some(at) = self.last_under_way() else { return Ok(()) };
        let mut out = Vec::new();
        self.links[at].run(|operator, name| match operator.steps() {
            Some(steps) => steps.work(&mut cx.of(name, &mut out)),
            None => Ok(()),
        })?;
        self.feed_all(at + 1, out, cx)
    }

    /// False while the sink or the lanes at its end have no room.
    pub fn has_room(&mut self) -> bool {
        match &mut self.end {
            ChainEnd::Edge(outlet) => !outlet.is_stalled(),
            ChainEnd::Sink(end) => end.writer.has_room(),
        }
    }

    /// The same of what comes before a barrier that was requested.
    pub fn has_room_before_barrier(&mut self) -> bool {
        match &mut self.end {
            ChainEnd::Edge(outlet) => !outlet.is_stalled(),
            ChainEnd::Sink(end) => end.writer.has_room_before_barrier(),
        }
    }

    /// True if the sink at its end wants a checkpoint, since only that makes room in it.
    pub fn wants_epoch(&self) -> bool {
        matches!(&self.end, ChainEnd::Sink(end) if end.writer.wants_epoch())
    }

    pub(crate) fn is_stalled(&self) -> bool {
        matches!(&self.end, ChainEnd::Edge(outlet) if outlet.is_stalled())
    }

    /// Adds frozen state to `changes`; true when all operators are done.
    pub fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, JobError> {
        for link in &mut self.links {
            if !link.write_frozen(changes)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Moves a part of the chain's accumulators to `changes`: of the operator that holds most, or
    /// else of any.
    pub(crate) fn spill(&mut self, changes: &mut Changes) -> Result<bool, JobError> {
        let mut order: Vec<usize> = (0..self.links.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(self.links[i].operator.memory_bytes()));
        for i in order {
            if self.links[i].spill(changes)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes what is held at its end, where something has just come to it. `before_bytes`: what was
    /// held there before.
    #[cfg(test)]
    pub(crate) fn note_peaks(&self, before_bytes: usize) {
        let bytes = self.end_bytes();
        peaks::note(|peaks| &mut peaks.step, bytes.saturating_sub(before_bytes));
        peaks::note(
            |peaks| match &self.end {
                ChainEnd::Edge(_) => &mut peaks.outlet,
                ChainEnd::Sink(_) => &mut peaks.writer,
            },
            bytes,
        );
    }

    /// What is held at its end.
    #[cfg(test)]
    pub(crate) fn end_bytes(&self) -> usize {
        match &self.end {
            ChainEnd::Edge(outlet) => outlet.waiting_bytes(),
            ChainEnd::Sink(end) => end.writer.memory_bytes(),
        }
    }

    /// Accumulators, and rows that the sink at its end holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        let held_bytes = match &self.end {
            ChainEnd::Edge(_) => 0,
            ChainEnd::Sink(end) => end.writer.memory_bytes(),
        };
        held_bytes + self.links.iter().map(|link| link.operator.memory_bytes()).sum::<usize>()
    }
}

impl Link {
    /// Has the operator do something, in its span. An error is told whose it is here and nowhere
    /// else.
    pub(super) fn run<T>(
        &mut self,
        act: impl FnOnce(&mut dyn Operator, &str) -> Result<T, OperatorError>,
    ) -> Result<T, OperatorFailure> {
        let Link { name, operator, span } = self;
        span.in_scope(|| act(operator.as_mut(), name)).map_err(|e| e.of(name))
    }

    fn has_work(&mut self) -> bool {
        self.operator.steps().is_some_and(|steps| steps.has_work())
    }

    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorFailure> {
        self.run(|operator, _| {
            let Some(state) = operator.state() else { return Ok(true) };
            let before_bytes = changes.size_bytes();
            let is_done = state.write_frozen(changes)?;
            let bytes = changes.size_bytes().saturating_sub(before_bytes);
            if bytes > 0 {
                tracing::debug!(bytes, "frozen state is packed");
            }
            Ok(is_done)
        })
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorFailure> {
        self.run(|operator, _| {
            let Some(state) = operator.state() else { return Ok(false) };
            let moved = state.spill(changes)?;
            if moved {
                tracing::debug!("memory is short: accumulators are moved to the store");
            }
            Ok(moved)
        })
    }
}
