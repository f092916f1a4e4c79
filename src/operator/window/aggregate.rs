//! The window aggregation itself: partial aggregates by key group, held until the watermark closes their windows.
//!
//! Takes rows (when nothing lies between it and the source) or partial aggregates (behind an exchange). What always holds:
//! - a partial aggregate is in exactly one place: a hot table, a frozen table, or the store;
//! - windows fire in order of their ends; nothing at or below the fired mark enters a table or fires again;
//! - between a barrier and the moment its frozen tables are in the store, nothing fires, so the store's content at the
//!   checkpoint is the state at the barrier.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::SchemaRef;

use super::WindowAggregateSpec;
use super::fire::Fire;
use super::local::fold_rows;
use super::slice::WindowKind;
use super::stored::{self, StoredTypes};
use super::table::WindowTables;
use crate::operator::{Context, Event, Operator, OperatorError, OperatorState, Partials};
use crate::state::layout::{self, Kind};
use crate::state::rocks::{Changes, StateDb};

/// A running window of CUMULATE: everything since its start.
pub(super) struct Running {
    pub tables: WindowTables,
    /// Output order; rebuilt when keys were added.
    pub order: Vec<u32>,
    /// The generation in the store, if it was ever written.
    pub generation: Option<u32>,
    /// Changed since it was written.
    pub dirty: bool,
}

impl Running {
    pub fn new(spec: &WindowAggregateSpec) -> Running {
        Running { tables: WindowTables::new(spec), order: vec![], generation: None, dirty: false }
    }
}

pub struct WindowAggregate {
    pub(super) spec: WindowAggregateSpec,
    pub(super) stored_types: StoredTypes,
    /// Hot tables by the end of the first window they enter, ms.
    pub(super) hot: BTreeMap<i64, WindowTables>,
    frozen: Vec<(i64, WindowTables)>,
    /// Windows that have partial aggregates in the store.
    pub(super) stored: BTreeSet<i64>,
    /// Running windows by their start, ms.
    pub(super) running: BTreeMap<i64, Running>,
    frozen_running: Vec<i64>,
    pub(super) fired_mark_ms: Option<i64>,
    next_generation: u32,
    fire: Option<Fire>,
}

impl WindowAggregate {
    pub fn new(spec: WindowAggregateSpec) -> WindowAggregate {
        WindowAggregate {
            stored_types: StoredTypes::of(&spec),
            spec,
            hot: BTreeMap::new(),
            frozen: Vec::new(),
            stored: BTreeSet::new(),
            running: BTreeMap::new(),
            frozen_running: Vec::new(),
            fired_mark_ms: None,
            next_generation: 0,
            fire: None,
        }
    }

    fn take_partials(&mut self, partials: &Partials, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let mark = self.fired_mark_ms.unwrap_or(i64::MIN);
        let Some(end) = self.spec.windows.first_open(partials.window_end_ms, mark) else {
            if partials.table == 0 {
                cx.counters.late_by_fired_mark += partials.len() as u64;
            }
            return Ok(());
        };
        self.hot.entry(end).or_insert_with(|| WindowTables::new(&self.spec)).merge(&self.spec, partials, false)
    }

    /// End of the next window to fire for this watermark. CUMULATE windows fire at every step while their start has keys.
    pub(super) fn next_due(&self, watermark_ms: i64) -> Option<i64> {
        let first = self.hot.keys().next().into_iter().chain(self.stored.iter().next()).min().copied();
        let step = match self.spec.windows.kind {
            WindowKind::Cumulate { step_ms, .. } => step_ms,
            WindowKind::Tumble { .. } => 0,
        };
        // A running window fires next one step after the last fire.
        let running =
            self.running.iter().filter_map(|(&start, _)| self.spec.windows.first_open(start + step, self.fired_mark_ms?));
        running.chain(first).min().filter(|&end| end - 1 <= watermark_ms)
    }

    /// Takes the partial aggregates that enter at `end` out of the store, folding them into `into`.
    pub(super) fn drain_stored(&mut self, end: i64, into: &mut WindowTables, db: &StateDb) -> Result<(), OperatorError> {
        if !self.stored.remove(&end) {
            return Ok(());
        }
        let (from, to) = layout::time_range(self.spec.operator, Kind::Partial, end);
        db.scan(&from, &to, |key, value| {
            let (_, partials) = self.stored_types.read(key, value)?;
            into.merge(&self.spec, &partials, true)
        })?;
        let mut changes = Changes::default();
        changes.delete_range(&from, &to);
        Ok(db.write(changes)?)
    }

    fn freeze(&mut self) {
        self.frozen.extend(std::mem::take(&mut self.hot));
        self.frozen_running = self.running.iter().filter(|(_, r)| r.dirty).map(|(&start, _)| start).collect();
    }

    fn take_generation(&mut self) -> u32 {
        self.next_generation += 1;
        self.next_generation - 1
    }
}

impl Operator for WindowAggregate {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) => cx.counters.late_rows += fold_rows(&self.spec, &rows, self.fired_mark_ms, &mut self.hot)?,
            Event::Partials(partials) => self.take_partials(&partials, cx)?,
            Event::Watermark(w) => self.fire = Some(Fire::until(w)),
            Event::Barrier(epoch) => {
                self.freeze();
                cx.out.push(Event::Barrier(epoch));
            }
        }
        Ok(())
    }

    fn has_work(&self) -> bool {
        self.fire.is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        if let Some(mut fire) = self.fire.take()
            && !fire.step(self, cx)?
        {
            self.fire = Some(fire);
        }
        Ok(())
    }

    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        // One table at a time: rows go on being processed between two calls.
        if let Some((end, tables)) = self.frozen.pop() {
            let generation = self.take_generation();
            for partials in tables.all_partials(end)? {
                stored::write(changes, self.spec.operator, Kind::Partial, generation, end, &partials);
            }
            self.stored.insert(end);
        } else if let Some(start) = self.frozen_running.pop() {
            let generation = self.take_generation();
            if let Some(running) = self.running.get_mut(&start) {
                let (from, to) = layout::time_range(self.spec.operator, Kind::Running, start);
                changes.delete_range(&from, &to);
                for partials in running.tables.all_partials(start)? {
                    stored::write(changes, self.spec.operator, Kind::Running, generation, start, &partials);
                }
                running.generation = Some(generation);
                running.dirty = false;
            }
        }
        Ok(self.frozen.is_empty() && self.frozen_running.is_empty())
    }

    fn memory_bytes(&self) -> usize {
        let tables = self.hot.values().chain(self.running.values().map(|r| &r.tables)).chain(self.frozen.iter().map(|(_, t)| t));
        tables.map(WindowTables::memory_bytes).sum()
    }

    fn state(&self) -> OperatorState {
        OperatorState { fired_mark_ms: self.fired_mark_ms, next_generation: self.next_generation }
    }

    fn restore(&mut self, state: &OperatorState, db: &StateDb) -> Result<(), OperatorError> {
        self.fired_mark_ms = state.fired_mark_ms;
        self.next_generation = state.next_generation;
        let operator = self.spec.operator;
        let (from, _) = layout::time_range(operator, Kind::Partial, i64::MIN);
        let (_, to) = layout::time_range(operator, Kind::Running, i64::MAX);
        db.scan(&from, &to, |key, value| {
            let (key, partials) = self.stored_types.read(key, value)?;
            match key.kind {
                Kind::Running => {
                    let running = self.running.entry(key.time_ms).or_insert_with(|| Running::new(&self.spec));
                    running.generation = Some(key.generation);
                    // The stored groups already count the stored values.
                    running.tables.merge(&self.spec, &partials, false)
                }
                _ => {
                    self.stored.insert(key.time_ms);
                    Ok(())
                }
            }
        })
    }

    fn schema(&self) -> SchemaRef {
        self.spec.output.clone()
    }
}
