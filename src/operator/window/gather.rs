//! What a fire asks of the state: everything that a window shows, at once or some key groups at a
//! time.
//!
//! Called by `fire` alone. What always holds: what is taken for a window is forgotten when the
//! window is closed, or is a shown part that a later window shows again.

use std::collections::{BTreeMap, BTreeSet};

use super::WindowAggregateSpec;
use super::slice::{WindowKind, WindowSpan};
use super::state::{LoadedPart, Shown, WindowState};
use super::stored::{read_tables, write_tables};
use super::table::{Values, WindowTables};
use crate::operator::OperatorError;
use crate::state::KeyGroups;
use crate::state::layout::StatePlace;
use crate::state::store::StateDb;
use crate::time::EventTime;

impl WindowState {
    /// Spans whose partial aggregates have waited for the window ending at `end`.
    pub(super) fn waiting(&self, end: EventTime) -> BTreeSet<WindowSpan> {
        let hot = self.hot.keys().take_while(|span| span.first <= end);
        hot.chain(self.stored.keys().take_while(|span| span.first <= end)).copied().collect()
    }

    /// Bytes that lie in the store alone of what the window ending at `end` shows.
    pub(super) fn unloaded_bytes(&self, end: EventTime) -> usize {
        let waiting =
            self.stored.iter().take_while(|(span, _)| span.first <= end).map(|(_, &bytes)| bytes);
        let shown =
            self.shown.values().filter(|part| part.loaded().is_none()).map(Shown::stored_bytes);
        waiting.chain(shown).sum()
    }

    /// Takes what has waited for the window ending at `end` for good: no later window shows it.
    pub(super) fn take_waiting(
        &mut self,
        end: EventTime,
        db: &StateDb,
    ) -> Result<WindowTables, OperatorError> {
        let mut tables = WindowTables::new(&self.spec);
        for span in self.waiting(end) {
            let hot = self.hot.remove(&span);
            fold(&self.spec, &mut tables, hot, Values::Collected)?;
            self.drain_stored(span, &mut tables, db)?;
        }
        tables.count_collected(&self.spec)?;
        Ok(tables)
    }

    /// HOP: the sum of the shown slices of the window ending at `end`.
    pub(super) fn sum_of_slices(&mut self, end: EventTime) -> Result<WindowTables, OperatorError> {
        let WindowState { spec, shown, sums, .. } = self;
        let number = |last: EventTime| spec.windows.number(last);
        let slices: BTreeMap<i64, &WindowTables> = shown
            .iter()
            .filter_map(|(&last, part)| Some((number(last), &part.loaded()?.tables)))
            .collect();
        let newest = slices.keys().next_back().copied().unwrap_or(i64::MIN);
        let mut tables = sums.sum(spec, &slices, number(end), newest);
        tables.count_collected(spec)?;
        Ok(tables)
    }

    /// CUMULATE: the running window that the window ending at `end` shows.
    pub(super) fn running(&self, end: EventTime) -> Option<&WindowTables> {
        Some(&self.shown.get(&self.spec.windows.start_of_window(end))?.loaded()?.tables)
    }

    /// The order in which the running window was shown last, if it is still that of its groups;
    /// else `order` makes one.
    pub(super) fn running_order(
        &mut self,
        end: EventTime,
        order: impl Fn(&WindowAggregateSpec, &WindowTables) -> Vec<u32>,
    ) -> Vec<u32> {
        let empty = || {
            let tables = WindowTables::new(&self.spec);
            Shown::Loaded(Box::new(LoadedPart {
                tables,
                order: vec![],
                stored_bytes: 0,
                changed: false,
            }))
        };
        let running =
            self.shown.entry(self.spec.windows.start_of_window(end)).or_insert_with(empty);
        debug_assert!(
            running.loaded().is_some(),
            "a running window is shown that is not in memory"
        );
        let Some(running) = running.loaded_mut() else { return vec![] };
        let known = std::mem::take(&mut running.order);
        if known.len() == running.tables.groups.len() {
            known
        } else {
            order(&self.spec, &running.tables)
        }
    }

    pub(super) fn keep_running_order(&mut self, end: EventTime, order: Vec<u32>) {
        if let Some(running) =
            self.shown.get_mut(&self.spec.windows.start_of_window(end)).and_then(Shown::loaded_mut)
        {
            running.order = order;
        }
    }

    /// Moves what has waited to the shown parts, all of which are in memory afterwards.
    pub(super) fn show(&mut self, end: EventTime, db: &StateDb) -> Result<(), OperatorError> {
        let unloaded: Vec<EventTime> = self
            .shown
            .iter()
            .filter(|(_, part)| part.loaded().is_none())
            .map(|(&shown, _)| shown)
            .collect();
        for shown in unloaded {
            self.load_shown(shown, db)?;
        }
        for span in self.waiting(end) {
            let shown = self.shown_part(span);
            let (mut tables, order, stored_bytes) = match self.shown.remove(&shown) {
                Some(Shown::Loaded(part)) => {
                    let LoadedPart { tables, order, stored_bytes, .. } = *part;
                    (tables, order, stored_bytes)
                }
                stored => {
                    debug_assert!(stored.is_none(), "a part is added to that is not in memory");
                    (WindowTables::new(&self.spec), vec![], 0)
                }
            };
            let hot = self.hot.remove(&span);
            fold(&self.spec, &mut tables, hot, self.shown_values())?;
            self.drain_stored(span, &mut tables, db)?;
            self.shown.insert(
                shown,
                Shown::Loaded(Box::new(LoadedPart { tables, order, stored_bytes, changed: true })),
            );
            self.sums.changed(self.spec.windows.number(span.last));
        }
        Ok(())
    }

    /// Some key groups of the window ending at `end`, out of the store.
    pub(super) fn read_groups(
        &mut self,
        end: EventTime,
        groups: KeyGroups,
        db: &StateDb,
    ) -> Result<WindowTables, OperatorError> {
        let shown_values = self.shown_values();
        let shown = self.shown_places().into_iter().map(|place| (place, Values::Collected));
        let waiting = self.waiting_places(end).into_iter().map(|place| (place, shown_values));
        let mut tables = WindowTables::new(&self.spec);
        // What is shown comes first: it may count its values already.
        for (place, values) in shown.chain(waiting) {
            read_tables(
                (&self.spec, &self.stored_types),
                place.groups(groups),
                &mut tables,
                values,
                db,
            )?;
        }
        if shown_values == Values::Collected {
            tables.count_collected(&self.spec)?;
        }
        Ok(tables)
    }

    /// CUMULATE: writes some key groups of the running window back with what was added to them;
    /// returns their bytes.
    pub(super) fn write_running(
        &mut self,
        end: EventTime,
        groups: KeyGroups,
        tables: &WindowTables,
        db: &StateDb,
    ) -> Result<usize, OperatorError> {
        let mut changes = db.batch();
        for place in self.shown_places().into_iter().chain(self.waiting_places(end)) {
            let (from, to) = place.groups(groups);
            changes.delete_range(&from, &to);
        }
        let start = self.spec.windows.start_of_window(end);
        let (place, generation) = (self.shown_place(start), self.take_generation());
        let written_bytes = write_tables(tables, place, generation, &mut changes)?;
        db.write(changes)?;
        Ok(written_bytes)
    }

    fn shown_places(&self) -> Vec<StatePlace> {
        self.shown.keys().map(|&shown| self.shown_place(shown)).collect()
    }

    fn waiting_places(&self, end: EventTime) -> Vec<StatePlace> {
        self.waiting(end).into_iter().map(|span| self.waiting_place(span)).collect()
    }

    /// CUMULATE: all of a running window has been written back, with so many bytes.
    pub(super) fn close_running(&mut self, end: EventTime, written_bytes: usize) {
        for span in self.waiting(end) {
            self.stored.remove(&span);
        }
        debug_assert!(
            self.shown.values().all(|part| part.loaded().is_none()),
            "a window went through the store with a part in memory"
        );
        self.shown
            .insert(self.spec.windows.start_of_window(end), Shown::Stored { bytes: written_bytes });
    }

    /// Forgets what no later window shows.
    pub(super) fn close(&mut self, end: EventTime, db: &StateDb) -> Result<(), OperatorError> {
        let over = match self.spec.windows.kind {
            WindowKind::Tumble { .. } | WindowKind::Fired => None,
            WindowKind::Hop { .. } => Some(end),
            WindowKind::Cumulate { size_ms, .. } => Some(end.earlier(size_ms)),
        };
        self.sums.retire(self.spec.windows.number(end) + 1);
        let mut changes = db.batch();
        if let Some(shown) = over
            && let Some(part) = self.shown.remove(&shown)
            && part.stored_bytes() > 0
        {
            let (from, to) = self.shown_place(shown).range();
            changes.delete_range(&from, &to);
        }
        let gone: Vec<WindowSpan> =
            self.stored.keys().filter(|span| span.last <= end).copied().collect();
        for span in gone {
            self.stored.remove(&span);
            let (from, to) = self.waiting_place(span).range();
            changes.delete_range(&from, &to);
        }
        if changes.is_empty() { Ok(()) } else { Ok(db.write(changes)?) }
    }
}

/// Folds a hot table in.
fn fold(
    spec: &WindowAggregateSpec,
    into: &mut WindowTables,
    hot: Option<WindowTables>,
    values: Values,
) -> Result<(), OperatorError> {
    let Some(mut hot) = hot else { return Ok(()) };
    if into.is_empty() {
        if values == Values::Counted {
            hot.count_collected(spec)?;
        }
        *into = hot;
    } else if values == Values::Counted && spec.distinct().next().is_some() {
        hot.each_partials(|entries| into.merge(spec, &entries, Values::Counted))?;
    } else {
        into.absorb(&hot);
    }
    Ok(())
}
