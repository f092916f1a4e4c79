//! The window aggregation itself: partial aggregates by key group, held until the watermark closes
//! their windows.
//!
//! Takes rows (when nothing lies between it and the source) or partial aggregates (behind an
//! exchange). What always holds:
//! - windows fire in order of their ends; nothing at or below the fired mark enters a table or
//!   fires again;
//! - between a barrier and the moment its frozen tables are in the store, nothing fires or is
//!   spilled, so the store's content at the checkpoint is the state at the barrier.

use super::fire::Fire;
use super::state::WindowState;
use super::{WindowAggregateSpec, local_watermark};
use crate::operator::{Context, Event, Operator, OperatorError, OperatorState, State, Steps};
use crate::state::store::{Changes, StateDb};

pub struct WindowAggregate {
    windows: WindowState,
    fire: Option<Fire>,
}

impl WindowAggregate {
    pub fn new(spec: WindowAggregateSpec) -> WindowAggregate {
        WindowAggregate { windows: WindowState::new(spec), fire: None }
    }
}

impl Operator for WindowAggregate {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) => self.windows.take_rows(&rows, cx)?,
            Event::Partials(partials) => self.windows.take_partials(&partials, cx)?,
            Event::Watermark(w) => {
                debug_assert!(
                    self.fire.is_none(),
                    "a watermark came before the last one's windows had fired"
                );
                self.fire =
                    Some(Fire::until(w, local_watermark(self.windows.spec.zone.as_ref(), w)));
            }
            tick @ Event::Tick(_) => cx.out.push(tick),
            Event::Barrier(epoch) => {
                debug_assert!(self.fire.is_none(), "a barrier came in the middle of a fire");
                self.windows.freeze();
                cx.out.push(Event::Barrier(epoch));
            }
        }
        Ok(())
    }

    fn steps(&mut self) -> Option<&mut dyn Steps> {
        Some(self)
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn memory_bytes(&self) -> usize {
        self.windows.memory_bytes() + self.fire.as_ref().map_or(0, Fire::memory_bytes)
    }
}

impl Steps for WindowAggregate {
    fn has_work(&self) -> bool {
        self.fire.is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        if let Some(mut fire) = self.fire.take()
            && !fire.step(&mut self.windows, cx)?
        {
            self.fire = Some(fire);
        }
        Ok(())
    }
}

impl State for WindowAggregate {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        self.windows.write_frozen(changes)
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.windows.spill_waiting(changes)?
            || self.fire.is_none() && self.windows.spill_last_shown(changes)?)
    }

    fn marks(&self) -> OperatorState {
        self.windows.marks()
    }

    fn restore(&mut self, state: &OperatorState, db: &StateDb) -> Result<(), OperatorError> {
        self.windows.restore(state, db)
    }
}
