//! The window join: rows of both inputs wait for their window and are joined when it closes.
//!
//! Rows that are late for their window never get here: the operator that gave them the window, or
//! the aggregation that fired them, sees to that. A window whose rows do not fit into memory is
//! joined some key groups at a time.

use super::JoinSpec;
use super::pairs::Pairs;
use crate::engine_words;
use crate::operator::window::local_watermark;
use crate::operator::window::rows::WindowRows;
use crate::operator::{Context, Event, Operator, OperatorError, OperatorState, Rows, State, Steps};
use crate::state::key_group::groups_at_once;
use crate::state::store::{Changes, StateDb};
use crate::state::{KEY_GROUPS, KeyGroups};
use crate::time::{EventTime, Watermark};

pub(crate) struct WindowJoin {
    spec: JoinSpec,
    inputs: [WindowRows; 2],
    fired_mark: Option<Watermark>,
    next_generation: u32,
    /// The watermark being worked off.
    firing: Option<Watermark>,
    window: Option<OpenWindow>,
}

/// The window being joined.
struct OpenWindow {
    end: EventTime,
    /// Key groups that have not been looked at.
    rest: KeyGroups,
    groups_at_once: usize,
    pairs: Option<Pairs>,
}

/// Stored rows take up to this many times their bytes in memory.
const LOADED_PER_STORED: usize = 3;
/// Stored bytes that are joined at a time where a window does not fit.
const STREAMED_BYTES: usize = 4 << 20;

impl WindowJoin {
    pub fn new(spec: JoinSpec) -> WindowJoin {
        let input = |i: usize| {
            WindowRows::new(
                spec.operator,
                i as u8,
                spec.inputs[i].clone(),
                spec.placed_by(i).to_vec(),
            )
        };
        let inputs = [input(0), input(1)];
        WindowJoin {
            spec,
            inputs,
            fired_mark: None,
            next_generation: 0,
            firing: None,
            window: None,
        }
    }

    fn add(&mut self, rows: Rows, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Some(end) = rows.window_end else {
            return Err(OperatorError::kernel("a row without a window"));
        };
        if self.fired_mark.is_some_and(|mark| mark.closes(end)) {
            cx.counters.late_by_fired_mark += rows.len() as u64;
            return Ok(());
        }
        self.inputs[usize::from(rows.input & 1)].add(end, rows.batch);
        Ok(())
    }

    /// Opens the window that ends at `end`, in parts if it is too large.
    fn open(&mut self, end: EventTime, cx: &Context<'_>) -> Result<(), OperatorError> {
        let stored: usize = self.inputs.iter().map(|i| i.stored_bytes(end)).sum();
        let mut at_once = usize::from(KEY_GROUPS);
        // Without keys all rows lie in one group.
        if stored.saturating_mul(LOADED_PER_STORED) > cx.room_bytes
            && !self.spec.placed_by(0).is_empty()
        {
            let mut changes = cx.db.batch();
            for input in &mut self.inputs {
                input.spill_window(end, &mut self.next_generation, &mut changes)?;
            }
            cx.db.write(changes)?;
            let stored: usize = self.inputs.iter().map(|i| i.stored_bytes(end)).sum();
            at_once = groups_at_once(stored, STREAMED_BYTES);
        }
        self.window =
            Some(OpenWindow { end, rest: KeyGroups::ALL, groups_at_once: at_once, pairs: None });
        Ok(())
    }

    /// One step of the open window. True when it is over.
    fn join(&mut self, cx: &mut Context<'_>) -> Result<bool, OperatorError> {
        let Some(window) = &mut self.window else { return Ok(true) };
        let pairs = match &mut window.pairs {
            Some(pairs) => pairs,
            None if window.rest.is_empty() => return Ok(true),
            None => {
                let groups = window.rest.take_first(window.groups_at_once);
                let left = self.inputs[0].read(window.end, groups, cx.db)?;
                let right = self.inputs[1].read(window.end, groups, cx.db)?;
                window.pairs.insert(Pairs::new(&self.spec, left, right))
            }
        };
        match pairs
            .step(&self.spec, cx)
            .map_err(|e| OperatorError::data(engine_words::reason(&e)))?
        {
            Some(batch) if batch.num_rows() == 0 => {}
            Some(batch) => {
                cx.out.push(Event::Rows(Rows { window_end: Some(window.end), ..Rows::new(batch) }))
            }
            None => window.pairs = None,
        }
        Ok(false)
    }

    fn next_due(&self, watermark: Watermark) -> Option<EventTime> {
        self.inputs.iter().filter_map(WindowRows::first).min().filter(|&end| watermark.closes(end))
    }
}

impl Operator for WindowJoin {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => self.add(rows, cx)?,
            Event::Watermark(w) => self.firing = Some(w),
            tick @ Event::Tick(_) => cx.out.push(tick),
            Event::Barrier(epoch) => {
                self.inputs.iter_mut().for_each(WindowRows::freeze);
                cx.out.push(Event::Barrier(epoch));
            }
            Event::Partials(_) => return Err(OperatorError::no_place_for_partials()),
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
        let pairs =
            self.window.as_ref().and_then(|w| w.pairs.as_ref()).map_or(0, Pairs::memory_bytes);
        self.inputs.iter().map(WindowRows::memory_bytes).sum::<usize>() + pairs
    }
}

impl Steps for WindowJoin {
    fn has_work(&self) -> bool {
        self.firing.is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Some(watermark) = self.firing else { return Ok(()) };
        if self.window.is_some() {
            if self.join(cx)?
                && let Some(window) = self.window.take()
            {
                for input in &mut self.inputs {
                    input.remove(window.end, cx.db)?;
                }
                cx.counters.windows_fired += 1;
                tracing::debug!(end_ms = window.end.ms(), "a window has fired");
            }
            return Ok(());
        }
        let local = local_watermark(self.spec.zone.as_ref(), watermark);
        if let Some(end) = self.next_due(local) {
            return self.open(end, cx);
        }
        self.firing = None;
        self.fired_mark = self.fired_mark.max(Some(local));
        cx.out.push(Event::Watermark(watermark));
        Ok(())
    }
}

impl State for WindowJoin {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        let mut done = true;
        for input in &mut self.inputs {
            done &= input.write_frozen(&mut self.next_generation, changes)?;
        }
        Ok(done)
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        if self.window.is_some() {
            return Ok(false);
        }
        let larger = usize::from(self.inputs[1].memory_bytes() > self.inputs[0].memory_bytes());
        Ok(self.inputs[larger].spill(&mut self.next_generation, changes)?
            || self.inputs[1 - larger].spill(&mut self.next_generation, changes)?)
    }

    fn marks(&self) -> OperatorState {
        OperatorState { fired_mark: self.fired_mark, next_generation: self.next_generation }
    }

    fn restore(&mut self, state: &OperatorState, db: &StateDb) -> Result<(), OperatorError> {
        self.fired_mark = state.fired_mark;
        self.next_generation = state.next_generation;
        self.inputs.iter_mut().try_for_each(|input| input.restore(db))
    }
}
