//! What a fire asks of the state: everything that a window shows, at once or some key groups at a time.
//!
//! Called by `fire` alone. What always holds: what is taken for a window is forgotten when the window is closed, or is a shown
//! part that a later window shows again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::WindowAggregateSpec;
use super::slice::{Slot, WindowKind};
use super::state::WindowState;
use super::stored::{read_tables, write_tables};
use super::table::WindowTables;
use crate::operator::OperatorError;
use crate::state::layout::Place;
use crate::state::rocks::{Changes, StateDb};

impl WindowState {
    /// Slots whose partial aggregates have waited for the window ending at `end`.
    pub(super) fn waiting(&self, end: i64) -> BTreeSet<Slot> {
        let hot = self.hot.keys().take_while(|slot| slot.first <= end);
        hot.chain(self.stored.keys().take_while(|slot| slot.first <= end)).copied().collect()
    }

    /// Bytes that lie in the store alone of what the window ending at `end` shows.
    pub(super) fn unloaded_bytes(&self, end: i64) -> usize {
        let waiting = self.stored.iter().take_while(|(slot, _)| slot.first <= end).map(|(_, &bytes)| bytes);
        let shown = self.shown.values().filter(|part| part.tables.is_none()).map(|part| part.stored_bytes);
        waiting.chain(shown).sum()
    }

    /// Takes what has waited for the window ending at `end` for good: no later window shows it.
    pub(super) fn take_waiting(&mut self, end: i64, db: &StateDb) -> Result<WindowTables, OperatorError> {
        let mut tables = WindowTables::new(&self.spec);
        for slot in self.waiting(end) {
            let hot = self.hot.remove(&slot);
            fold(&self.spec, &mut tables, hot, false)?;
            self.drain_stored(slot, &mut tables, db)?;
        }
        tables.count_collected(&self.spec)?;
        Ok(tables)
    }

    /// HOP: the sum of the shown slices of the window ending at `end`.
    pub(super) fn sum_of_slices(&mut self, end: i64) -> Result<WindowTables, OperatorError> {
        let WindowState { spec, shown, sums, .. } = self;
        let number = |last: i64| spec.windows.number(last);
        let slices: BTreeMap<i64, &WindowTables> =
            shown.iter().filter_map(|(&last, part)| Some((number(last), part.tables.as_ref()?))).collect();
        let newest = slices.keys().next_back().copied().unwrap_or(i64::MIN);
        let mut tables = sums.sum(spec, &slices, number(end), newest);
        tables.count_collected(spec)?;
        Ok(tables)
    }

    /// CUMULATE: the running window that the window ending at `end` shows.
    pub(super) fn running(&self, end: i64) -> Option<&WindowTables> {
        self.shown.get(&self.spec.windows.start_of_window(end))?.tables.as_ref()
    }

    /// The order in which the running window was shown last, if it is still that of its groups; else `order` makes one.
    pub(super) fn running_order(
        &mut self,
        end: i64,
        order: impl Fn(&WindowAggregateSpec, &WindowTables) -> Vec<u32>,
    ) -> Vec<u32> {
        let running = self.shown.entry(self.spec.windows.start_of_window(end)).or_default();
        let tables = running.tables.get_or_insert_with(|| WindowTables::new(&self.spec));
        let known = std::mem::take(&mut running.order);
        if known.len() == tables.groups.len() { known } else { order(&self.spec, tables) }
    }

    pub(super) fn keep_running_order(&mut self, end: i64, order: Vec<u32>) {
        if let Some(running) = self.shown.get_mut(&self.spec.windows.start_of_window(end)) {
            running.order = order;
        }
    }

    /// Moves what has waited to the shown parts, all of which are in memory afterwards.
    pub(super) fn show(&mut self, end: i64, db: &StateDb) -> Result<(), OperatorError> {
        let unloaded: Vec<i64> = self.shown.iter().filter(|(_, part)| part.tables.is_none()).map(|(&shown, _)| shown).collect();
        for shown in unloaded {
            self.load_shown(shown, db)?;
        }
        for slot in self.waiting(end) {
            let shown = self.shown_part(slot);
            let mut part = self.shown.remove(&shown).unwrap_or_default();
            let mut tables = part.tables.take().unwrap_or_else(|| WindowTables::new(&self.spec));
            let hot = self.hot.remove(&slot);
            fold(&self.spec, &mut tables, hot, self.counts_shown())?;
            self.drain_stored(slot, &mut tables, db)?;
            part.tables = Some(tables);
            part.changed = true;
            self.shown.insert(shown, part);
            self.sums.changed(self.spec.windows.number(slot.last));
        }
        Ok(())
    }

    /// Some key groups of the window ending at `end`, out of the store.
    pub(super) fn read_groups(&mut self, end: i64, groups: Range<u16>, db: &StateDb) -> Result<WindowTables, OperatorError> {
        let counts_shown = self.counts_shown();
        let shown = self.shown_places().into_iter().map(|place| (place, false));
        let waiting = self.waiting_places(end).into_iter().map(|place| (place, counts_shown));
        let mut tables = WindowTables::new(&self.spec);
        // What is shown comes first: it may count its values already.
        for (place, count) in shown.chain(waiting) {
            read_tables((&self.spec, &self.stored_types), place.groups(groups.clone()), &mut tables, count, db)?;
        }
        if !counts_shown {
            tables.count_collected(&self.spec)?;
        }
        Ok(tables)
    }

    /// CUMULATE: writes some key groups of the running window back with what was added to them; returns their bytes.
    pub(super) fn write_running(
        &mut self,
        end: i64,
        groups: Range<u16>,
        tables: &WindowTables,
        db: &StateDb,
    ) -> Result<usize, OperatorError> {
        let mut changes = Changes::default();
        for place in self.shown_places().into_iter().chain(self.waiting_places(end)) {
            let (from, to) = place.groups(groups.clone());
            changes.delete_range(&from, &to);
        }
        let start = self.spec.windows.start_of_window(end);
        let (place, generation) = (self.shown_place(start), self.take_generation());
        let written_bytes = write_tables(tables, Slot { first: start, last: start }, place, generation, &mut changes)?;
        db.write(changes)?;
        Ok(written_bytes)
    }

    fn shown_places(&self) -> Vec<Place> {
        self.shown.keys().map(|&shown| self.shown_place(shown)).collect()
    }

    fn waiting_places(&self, end: i64) -> Vec<Place> {
        self.waiting(end).into_iter().map(|slot| self.waiting_place(slot)).collect()
    }

    /// CUMULATE: all of a running window has been written back, with so many bytes.
    pub(super) fn close_running(&mut self, end: i64, written_bytes: usize) {
        for slot in self.waiting(end) {
            self.stored.remove(&slot);
        }
        self.shown.entry(self.spec.windows.start_of_window(end)).or_default().stored_bytes = written_bytes;
    }

    /// Forgets what no later window shows.
    pub(super) fn close(&mut self, end: i64, db: &StateDb) -> Result<(), OperatorError> {
        let over = match self.spec.windows.kind {
            WindowKind::Tumble { .. } | WindowKind::Fired => None,
            WindowKind::Hop { .. } => Some(end),
            WindowKind::Cumulate { size_ms, .. } => Some(end - size_ms),
        };
        self.sums.retire(self.spec.windows.number(end) + 1);
        let mut changes = Changes::default();
        if let Some(shown) = over
            && let Some(part) = self.shown.remove(&shown)
            && part.stored_bytes > 0
        {
            let (from, to) = self.shown_place(shown).range();
            changes.delete_range(&from, &to);
        }
        let gone: Vec<Slot> = self.stored.keys().filter(|slot| slot.last <= end).copied().collect();
        for slot in gone {
            self.stored.remove(&slot);
            let (from, to) = self.waiting_place(slot).range();
            changes.delete_range(&from, &to);
        }
        if changes.is_empty() { Ok(()) } else { Ok(db.write(changes)?) }
    }
}

/// Folds a hot table in; with `count`, values that are new to a DISTINCT set are counted.
fn fold(
    spec: &WindowAggregateSpec,
    into: &mut WindowTables,
    hot: Option<WindowTables>,
    count: bool,
) -> Result<(), OperatorError> {
    let Some(mut hot) = hot else { return Ok(()) };
    if into.is_empty() {
        if count {
            hot.count_collected(spec)?;
        }
        *into = hot;
    } else if count && spec.distinct().next().is_some() {
        hot.each_partials(Slot { first: 0, last: 0 }, |partials| into.merge(spec, &partials, true))?;
    } else {
        into.absorb(&hot);
    }
    Ok(())
}
