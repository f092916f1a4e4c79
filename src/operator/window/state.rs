//! What is kept for the windows of one aggregation, and where each part of it is.
//!
//! Owned by `aggregate`, which feeds it, and asked by `fire` in the verbs of `gather`. A partial aggregate first lies in the
//! *hot* table of its slot. When the first window that shows it fires, TUMBLE is done with it; HOP and CUMULATE move it to the
//! *shown* part, which later windows show again:
//!
//! ```text
//! rows, partials --> hot --(barrier)--> frozen --> store (waiting)
//!                     |                              |
//!                     +---------(fire)-----+---------+
//!                                          v
//!                                  shown (memory, store, or both)
//! ```
//!
//! What always holds:
//! - a partial aggregate is in exactly one place: a hot table, a frozen table, or the store;
//! - a shown part is in the store, in memory, or in both with the same content unless it is marked as changed;
//! - the fired mark only grows, and nothing at or below it enters a table.

use std::collections::BTreeMap;

use super::WindowAggregateSpec;
use super::local::fold_rows;
use super::slice::{Slot, WindowKind};
use super::stored::{StoredTypes, read_tables, write_tables};
use super::sums::BlockSums;
use super::table::WindowTables;
use crate::operator::{Context, OperatorError, OperatorState, Partials, Rows};
use crate::state::layout::{self, Kind, Place};
use crate::state::rocks::{Changes, StateDb};

/// What windows have begun to show: the running window of a start (CUMULATE), or a slice that overlapping windows share (HOP).
#[derive(Default)]
pub(super) struct Shown {
    /// None: only in the store.
    pub tables: Option<WindowTables>,
    /// Output order of a running window; made again when keys were added.
    pub order: Vec<u32>,
    /// Bytes in the store; 0 if it was never written.
    pub stored_bytes: usize,
    /// The tables differ from what is in the store.
    pub changed: bool,
}

/// The tables of an aggregation, by the windows that they are for.
pub struct WindowState {
    pub(super) spec: WindowAggregateSpec,
    pub(super) stored_types: StoredTypes,
    pub(super) hot: BTreeMap<Slot, WindowTables>,
    frozen: Vec<(Slot, WindowTables)>,
    /// Slots that have partial aggregates in the store, with their bytes.
    pub(super) stored: BTreeMap<Slot, usize>,
    /// By start (CUMULATE) or by the end of the last window (HOP), ms.
    pub(super) shown: BTreeMap<i64, Shown>,
    frozen_shown: Vec<i64>,
    pub(super) sums: BlockSums,
    fired_mark_ms: Option<i64>,
    next_generation: u32,
}

impl WindowState {
    pub fn new(spec: WindowAggregateSpec) -> WindowState {
        WindowState {
            stored_types: StoredTypes::of(&spec),
            spec,
            hot: BTreeMap::new(),
            frozen: Vec::new(),
            stored: BTreeMap::new(),
            shown: BTreeMap::new(),
            frozen_shown: Vec::new(),
            sums: BlockSums::default(),
            fired_mark_ms: None,
            next_generation: 0,
        }
    }

    /// Folds rows into the hot tables of their windows; those that are too late are counted.
    pub fn take_rows(&mut self, rows: &Rows, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        cx.counters.late_rows += fold_rows(&self.spec, rows, self.fired_mark_ms, &mut self.hot)?;
        Ok(())
    }

    pub fn take_partials(&mut self, partials: &Partials, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let mark = self.fired_mark_ms.unwrap_or(i64::MIN);
        let Some(slot) = self.spec.windows.open(partials.slot, mark) else {
            if partials.table == 0 {
                cx.counters.late_by_fired_mark += partials.len() as u64;
            }
            return Ok(());
        };
        self.hot.entry(slot).or_insert_with(|| WindowTables::new(&self.spec)).merge(&self.spec, partials, false)
    }

    /// End of the next window to fire for this watermark. HOP and CUMULATE fire at every step while something is shown.
    pub(super) fn next_due(&self, watermark_ms: i64) -> Option<i64> {
        let mark = self.fired_mark_ms.unwrap_or(i64::MIN);
        let waiting = self.hot.keys().next().into_iter().chain(self.stored.keys().next());
        let waiting = waiting.filter_map(|slot| self.spec.windows.open(*slot, mark)).map(|slot| slot.first).min();
        let shown = self.fired_mark_ms.filter(|_| !self.shown.is_empty()).map(|mark| self.spec.windows.next_end(mark));
        waiting.into_iter().chain(shown).min().filter(|&end| end - 1 <= watermark_ms)
    }

    /// Where partial aggregates of a slot wait in the store.
    pub(super) fn waiting_place(&self, slot: Slot) -> Place {
        Place { operator: self.spec.operator, kind: Kind::Partial, time_ms: slot.first, last_ms: slot.last }
    }

    /// Where a shown part is in the store.
    pub(super) fn shown_place(&self, shown: i64) -> Place {
        Place::at(self.spec.operator, Kind::Running, shown)
    }

    /// The shown part that a slot's partial aggregates become.
    pub(super) fn shown_part(&self, slot: Slot) -> i64 {
        match self.spec.windows.kind {
            WindowKind::Cumulate { size_ms, .. } => slot.last - size_ms,
            _ => slot.last,
        }
    }

    /// True if a shown part counts the values of its DISTINCT sets (a running window does, since it is shown as it is).
    pub(super) fn counts_shown(&self) -> bool {
        matches!(self.spec.windows.kind, WindowKind::Cumulate { .. })
    }

    /// Takes the partial aggregates of a slot out of the store, folding them into `into`.
    pub(super) fn drain_stored(&mut self, slot: Slot, into: &mut WindowTables, db: &StateDb) -> Result<(), OperatorError> {
        if self.stored.remove(&slot).is_none() {
            return Ok(());
        }
        let (from, to) = self.waiting_place(slot).range();
        let mut changes = Changes::default();
        changes.delete_range(&from, &to);
        read_tables((&self.spec, &self.stored_types), (from, to), into, self.counts_shown(), db)?;
        Ok(db.write(changes)?)
    }

    /// Brings a shown part into memory.
    pub(super) fn load_shown(&mut self, shown: i64, db: &StateDb) -> Result<(), OperatorError> {
        let range = self.shown_place(shown).range();
        if let Some(part) = self.shown.get_mut(&shown)
            && part.tables.is_none()
        {
            let mut tables = WindowTables::new(&self.spec);
            // Stored groups of a running window already count the stored values.
            read_tables((&self.spec, &self.stored_types), range, &mut tables, false, db)?;
            part.tables = Some(tables);
        }
        Ok(())
    }

    pub(super) fn take_generation(&mut self) -> u32 {
        self.next_generation += 1;
        self.next_generation - 1
    }

    /// Moves a hot table to the store.
    fn store_waiting(&mut self, slot: Slot, tables: &WindowTables, changes: &mut Changes) -> Result<(), OperatorError> {
        let generation = self.take_generation();
        let place = self.waiting_place(slot);
        *self.stored.entry(slot).or_default() += write_tables(tables, slot, place, generation, changes)?;
        Ok(())
    }

    /// Writes a changed shown part; the older writing goes in the same batch.
    fn store_shown(&mut self, shown: i64, changes: &mut Changes) -> Result<(), OperatorError> {
        let generation = self.take_generation();
        let place = self.shown_place(shown);
        if let Some(part) = self.shown.get_mut(&shown)
            && let Some(tables) = part.tables.as_ref().filter(|_| part.changed)
        {
            let (from, to) = place.range();
            changes.delete_range(&from, &to);
            part.stored_bytes = write_tables(tables, Slot { first: shown, last: shown }, place, generation, changes)?;
            part.changed = false;
        }
        Ok(())
    }

    /// Moves everything that the window ending at `end` shows to the store.
    pub(super) fn spill_window(&mut self, end: i64, changes: &mut Changes) -> Result<(), OperatorError> {
        self.sums.clear();
        let slots: Vec<Slot> = self.hot.keys().take_while(|slot| slot.first <= end).copied().collect();
        for slot in slots {
            if let Some(tables) = self.hot.remove(&slot) {
                self.store_waiting(slot, &tables, changes)?;
            }
        }
        let parts: Vec<i64> = self.shown.keys().copied().collect();
        for shown in parts {
            self.spill_shown(shown, changes)?;
        }
        Ok(())
    }

    fn spill_shown(&mut self, shown: i64, changes: &mut Changes) -> Result<(), OperatorError> {
        self.store_shown(shown, changes)?;
        if let Some(part) = self.shown.get_mut(&shown) {
            part.tables = None;
            part.order = Vec::new();
        }
        Ok(())
    }

    /// Windows that end by `ms`, exclusive of the ms behind it, have fired.
    pub fn raise_mark(&mut self, ms: i64) {
        self.fired_mark_ms = self.fired_mark_ms.max(Some(ms));
    }

    /// At a barrier: what is here belongs to the snapshot until [`WindowState::write_frozen`] has written it.
    pub fn freeze(&mut self) {
        debug_assert!(self.is_written(), "a barrier came before the last one's tables were written");
        self.frozen.extend(std::mem::take(&mut self.hot));
        self.frozen_shown = self.shown.iter().filter(|(_, part)| part.changed).map(|(&shown, _)| shown).collect();
    }

    fn is_written(&self) -> bool {
        self.frozen.is_empty() && self.frozen_shown.is_empty()
    }

    /// Writes one frozen table, since rows go on being processed between two calls. True: there is no more.
    pub fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        if let Some((slot, tables)) = self.frozen.pop() {
            self.store_waiting(slot, &tables, changes)?;
        } else if let Some(shown) = self.frozen_shown.pop() {
            self.store_shown(shown, changes)?;
        }
        Ok(self.is_written())
    }

    /// Gives memory back that only saves work, or moves the hot table whose windows fire last to the store. False: there is
    /// nothing of the kind.
    pub fn spill_waiting(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        if !self.sums.is_empty() {
            self.sums.clear();
            return Ok(true);
        }
        let Some((slot, tables)) = self.hot.pop_last() else { return Ok(false) };
        self.store_waiting(slot, &tables, changes)?;
        Ok(true)
    }

    /// Moves the shown part that goes last to the store. Not while a fire shows it.
    pub fn spill_last_shown(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        let loaded = self.shown.iter().rev().find(|(_, part)| part.tables.is_some());
        let Some(shown) = loaded.map(|(&shown, _)| shown) else { return Ok(false) };
        self.spill_shown(shown, changes)?;
        Ok(true)
    }

    pub fn memory_bytes(&self) -> usize {
        let shown = self.shown.values().filter_map(|part| part.tables.as_ref());
        let tables = self.hot.values().chain(shown).chain(self.frozen.iter().map(|(_, t)| t));
        tables.map(WindowTables::memory_bytes).sum::<usize>() + self.sums.memory_bytes()
    }

    /// What a checkpoint keeps beside the store.
    pub fn marks(&self) -> OperatorState {
        OperatorState { fired_mark_ms: self.fired_mark_ms, next_generation: self.next_generation }
    }

    pub fn restore(&mut self, state: &OperatorState, db: &StateDb) -> Result<(), OperatorError> {
        self.fired_mark_ms = state.fired_mark_ms;
        self.next_generation = state.next_generation;
        for kind in [Kind::Partial, Kind::Running] {
            let (from, to) = layout::kind_range(self.spec.operator, kind);
            db.scan(&from, &to, |key, value| {
                let (key, _) = self.stored_types.read(key, value)?;
                let Place { time_ms, last_ms, .. } = key.place;
                let bytes = match kind {
                    Kind::Running => &mut self.shown.entry(time_ms).or_default().stored_bytes,
                    _ => self.stored.entry(Slot { first: time_ms, last: last_ms }).or_default(),
                };
                *bytes += value.len();
                Ok::<_, OperatorError>(())
            })?;
        }
        Ok(())
    }
}
