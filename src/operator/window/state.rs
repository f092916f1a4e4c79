//! What is kept for the windows of one aggregation, and where each part of it is.
//!
//! Owned by `aggregate`, which feeds it, and asked by `fire` in the verbs of `gather`. A partial
//! aggregate first lies in the *hot* table of its span. When the first window that shows it fires,
//! TUMBLE is done with it; HOP and CUMULATE move it to the *shown* part, which later windows show
//! again:
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
//! - a shown part is in the store, in memory, or in both with the same content unless it is marked
//!   as changed;
//! - the fired mark only grows, and nothing at or below it enters a table.

use std::collections::BTreeMap;

use super::WindowAggregateSpec;
use super::local::fold_rows;
use super::slice::{WindowKind, WindowSpan};
use super::stored::{StoredTypes, read_tables, write_tables};
use super::sums::BlockSums;
use super::table::{Values, WindowTables};
use crate::operator::{Context, OperatorError, OperatorState, Partials, Rows};
use crate::state::layout::{self, StateKind, StatePlace, StateTable};
use crate::state::store::{Changes, StateDb};
use crate::time::{EventTime, Watermark};

/// What windows have begun to show: the running window of a start (CUMULATE), or a slice that
/// overlapping windows share (HOP).
pub(super) enum Shown {
    /// Only there, with so many bytes.
    Stored {
        bytes: usize,
    },
    Loaded(Box<LoadedPart>),
}

/// A shown part in memory.
pub(super) struct LoadedPart {
    pub tables: WindowTables,
    /// Output order of a running window; made again when keys were added.
    pub order: Vec<u32>,
    /// What the store holds of it.
    pub stored_bytes: usize,
    /// The tables differ from what is in the store.
    pub changed: bool,
}

impl Shown {
    pub(crate) fn stored_bytes(&self) -> usize {
        match self {
            Shown::Stored { bytes } => *bytes,
            Shown::Loaded(part) => part.stored_bytes,
        }
    }

    pub(crate) fn loaded(&self) -> Option<&LoadedPart> {
        match self {
            Shown::Stored { .. } => None,
            Shown::Loaded(part) => Some(part),
        }
    }

    pub(crate) fn loaded_mut(&mut self) -> Option<&mut LoadedPart> {
        match self {
            Shown::Stored { .. } => None,
            Shown::Loaded(part) => Some(part),
        }
    }
}

/// The tables of an aggregation, by the windows that they are for.
pub(crate) struct WindowState {
    pub(super) spec: WindowAggregateSpec,
    pub(super) stored_types: StoredTypes,
    pub(super) hot: BTreeMap<WindowSpan, WindowTables>,
    frozen: Vec<(WindowSpan, WindowTables)>,
    /// Spans that have partial aggregates in the store, with their bytes.
    pub(super) stored: BTreeMap<WindowSpan, usize>,
    /// By start (CUMULATE) or by the end of the last window (HOP).
    pub(super) shown: BTreeMap<EventTime, Shown>,
    frozen_shown: Vec<EventTime>,
    pub(super) sums: BlockSums,
    fired_mark: Option<Watermark>,
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
            fired_mark: None,
            next_generation: 0,
        }
    }

    /// Folds rows into the hot tables of their windows; those that are too late are counted.
    pub(crate) fn take_rows(
        &mut self,
        rows: &Rows,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        cx.counters.late_rows += fold_rows(&self.spec, rows, self.fired_mark, &mut self.hot)?;
        Ok(())
    }

    pub(crate) fn take_partials(
        &mut self,
        partials: &Partials,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let mark = self.fired_mark.unwrap_or(Watermark::NONE);
        let Some(span) = self.spec.windows.open(partials.span, mark) else {
            if partials.entries.table == StateTable::Main {
                cx.counters.late_by_fired_mark += partials.len() as u64;
            }
            return Ok(());
        };
        self.hot.entry(span).or_insert_with(|| WindowTables::new(&self.spec)).merge(
            &self.spec,
            &partials.entries,
            Values::Collected,
        )
    }

    /// End of the next window to fire for this watermark. HOP and CUMULATE fire at every step while
    /// something is shown.
    pub(super) fn next_due(&self, watermark: Watermark) -> Option<EventTime> {
        let mark = self.fired_mark.unwrap_or(Watermark::NONE);
        let waiting = self.hot.keys().next().into_iter().chain(self.stored.keys().next());
        let waiting = waiting
            .filter_map(|span| self.spec.windows.open(*span, mark))
            .map(|span| span.first)
            .min();
        let shown = self
            .fired_mark
            .filter(|_| !self.shown.is_empty())
            .map(|mark| self.spec.windows.next_end(mark));
        waiting.into_iter().chain(shown).min().filter(|&end| watermark.closes(end))
    }

    /// Where partial aggregates of a span wait in the store.
    pub(super) fn waiting_place(&self, span: WindowSpan) -> StatePlace {
        debug_assert!(span.first <= span.last, "the last window of a table is before its first");
        StatePlace {
            operator: self.spec.operator,
            kind: StateKind::Waiting,
            time: span.first,
            last: span.last,
        }
    }

    /// Where a shown part is in the store.
    pub(super) fn shown_place(&self, shown: EventTime) -> StatePlace {
        StatePlace::at(self.spec.operator, StateKind::Shown, shown)
    }

    /// The shown part that a span's partial aggregates become.
    pub(super) fn shown_part(&self, span: WindowSpan) -> EventTime {
        match self.spec.windows.kind {
            WindowKind::Cumulate { size_ms, .. } => span.last.earlier(size_ms),
            _ => span.last,
        }
    }

    /// What a shown part does with the values of its DISTINCT sets: a running window counts them,
    /// since it is shown as it is.
    pub(super) fn shown_values(&self) -> Values {
        match self.spec.windows.kind {
            WindowKind::Cumulate { .. } => Values::Counted,
            WindowKind::Tumble { .. } | WindowKind::Hop { .. } | WindowKind::Fired => {
                Values::Collected
            }
        }
    }

    /// Takes the partial aggregates of a span out of the store, folding them into `into`.
    pub(super) fn drain_stored(
        &mut self,
        span: WindowSpan,
        into: &mut WindowTables,
        db: &StateDb,
    ) -> Result<(), OperatorError> {
        if self.stored.remove(&span).is_none() {
            return Ok(());
        }
        let (from, to) = self.waiting_place(span).range();
        let mut changes = db.batch();
        changes.delete_range(&from, &to);
        read_tables((&self.spec, &self.stored_types), (from, to), into, self.shown_values(), db)?;
        Ok(db.write(changes)?)
    }

    /// Brings a shown part into memory.
    pub(super) fn load_shown(
        &mut self,
        shown: EventTime,
        db: &StateDb,
    ) -> Result<(), OperatorError> {
        let range = self.shown_place(shown).range();
        if let Some(part) = self.shown.get_mut(&shown)
            && let Shown::Stored { bytes } = *part
        {
            let mut tables = WindowTables::new(&self.spec);
            // Stored groups of a running window already count the stored values.
            read_tables(
                (&self.spec, &self.stored_types),
                range,
                &mut tables,
                Values::Collected,
                db,
            )?;
            *part = Shown::Loaded(Box::new(LoadedPart {
                tables,
                order: vec![],
                stored_bytes: bytes,
                changed: false,
            }));
        }
        Ok(())
    }

    pub(super) fn take_generation(&mut self) -> u32 {
        self.next_generation += 1;
        self.next_generation - 1
    }

    /// Moves a hot table to the store.
    fn store_waiting(
        &mut self,
        span: WindowSpan,
        tables: &WindowTables,
        changes: &mut Changes,
    ) -> Result<(), OperatorError> {
        let generation = self.take_generation();
        let place = self.waiting_place(span);
        *self.stored.entry(span).or_default() += write_tables(tables, place, generation, changes)?;
        Ok(())
    }

    /// Writes a changed shown part; the older writing goes in the same batch.
    fn store_shown(
        &mut self,
        shown: EventTime,
        changes: &mut Changes,
    ) -> Result<(), OperatorError> {
        let generation = self.take_generation();
        let place = self.shown_place(shown);
        if let Some(part) =
            self.shown.get_mut(&shown).and_then(Shown::loaded_mut).filter(|part| part.changed)
        {
            let (from, to) = place.range();
            changes.delete_range(&from, &to);
            part.stored_bytes = write_tables(&part.tables, place, generation, changes)?;
            part.changed = false;
        }
        Ok(())
    }

    /// Moves everything that the window ending at `end` shows to the store.
    pub(super) fn spill_window(
        &mut self,
        end: EventTime,
        changes: &mut Changes,
    ) -> Result<(), OperatorError> {
        self.sums.clear();
        let spans: Vec<WindowSpan> =
            self.hot.keys().take_while(|span| span.first <= end).copied().collect();
        for span in spans {
            if let Some(tables) = self.hot.remove(&span) {
                self.store_waiting(span, &tables, changes)?;
            }
        }
        let parts: Vec<EventTime> = self.shown.keys().copied().collect();
        for shown in parts {
            self.spill_shown(shown, changes)?;
        }
        Ok(())
    }

    fn spill_shown(
        &mut self,
        shown: EventTime,
        changes: &mut Changes,
    ) -> Result<(), OperatorError> {
        self.store_shown(shown, changes)?;
        if let Some(part) = self.shown.get_mut(&shown) {
            debug_assert!(
                part.loaded().is_none_or(|part| !part.changed),
                "a shown part leaves memory that is not in the store"
            );
            *part = Shown::Stored { bytes: part.stored_bytes() };
        }
        Ok(())
    }

    /// The window that ends at `end` fires.
    pub(crate) fn mark_fired(&mut self, end: EventTime) {
        debug_assert!(
            self.fired_mark.is_none_or(|mark| !mark.closes(end)),
            "the window that ends at {end} fires again or too late"
        );
        self.fired_mark = Some(Watermark::closing(end));
    }

    /// All windows that a watermark closes have fired. After a restart watermarks begin below the
    /// mark.
    pub(crate) fn mark_passed(&mut self, watermark: Watermark) {
        self.fired_mark = self.fired_mark.max(Some(watermark));
    }

    /// At a barrier: what is here belongs to the snapshot until [`WindowState::write_frozen`] has
    /// written it.
    pub(crate) fn freeze(&mut self) {
        debug_assert!(
            self.is_written(),
            "a barrier came before the last one's tables were written"
        );
        self.frozen.extend(std::mem::take(&mut self.hot));
        self.frozen_shown = self.changed_parts().collect();
    }

    fn changed_parts(&self) -> impl Iterator<Item = EventTime> {
        self.shown
            .iter()
            .filter(|(_, part)| part.loaded().is_some_and(|part| part.changed))
            .map(|(&shown, _)| shown)
    }

    /// False between a barrier and the moment its tables are in the store.
    pub(super) fn is_written(&self) -> bool {
        self.frozen.is_empty() && self.frozen_shown.is_empty()
    }

    /// Writes one frozen table, since rows go on being processed between two calls. True: there is
    /// no more.
    pub fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        if let Some((span, tables)) = self.frozen.pop() {
            self.store_waiting(span, &tables, changes)?;
        } else if let Some(shown) = self.frozen_shown.pop() {
            self.store_shown(shown, changes)?;
        }
        Ok(self.is_written())
    }

    /// Gives memory back that only saves work, or moves the hot table whose windows fire last to
    /// the store. False: there is nothing of the kind.
    pub(crate) fn spill_waiting(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        debug_assert!(self.is_written(), "a table is spilled between a barrier and its checkpoint");
        if !self.sums.is_empty() {
            self.sums.clear();
            return Ok(true);
        }
        let Some((span, tables)) = self.hot.pop_last() else { return Ok(false) };
        self.store_waiting(span, &tables, changes)?;
        Ok(true)
    }

    /// Moves the shown part that goes last to the store. Not while a fire shows it.
    pub(crate) fn spill_last_shown(
        &mut self,
        changes: &mut Changes,
    ) -> Result<bool, OperatorError> {
        let loaded = self.shown.iter().rev().find(|(_, part)| part.loaded().is_some());
        let Some(shown) = loaded.map(|(&shown, _)| shown) else { return Ok(false) };
        self.spill_shown(shown, changes)?;
        Ok(true)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let shown = self.shown.values().filter_map(Shown::loaded).map(|part| &part.tables);
        let tables = self.hot.values().chain(shown).chain(self.frozen.iter().map(|(_, t)| t));
        tables.map(WindowTables::memory_bytes).sum::<usize>() + self.sums.memory_bytes()
    }

    /// What a checkpoint keeps beside the store.
    pub(crate) fn marks(&self) -> OperatorState {
        OperatorState { fired_mark: self.fired_mark, next_generation: self.next_generation }
    }

    pub(crate) fn restore(
        &mut self,
        state: &OperatorState,
        db: &StateDb,
    ) -> Result<(), OperatorError> {
        self.fired_mark = state.fired_mark;
        self.next_generation = state.next_generation;
        for kind in [StateKind::Waiting, StateKind::Shown] {
            let (from, to) = layout::kind_range(self.spec.operator, kind);
            db.scan(&from, &to, |key, value| {
                let (key, _) = self.stored_types.read(key, value)?;
                let StatePlace { time, last, .. } = key.place;
                if kind == StateKind::Shown {
                    let before = self.shown.get(&time).map_or(0, Shown::stored_bytes);
                    self.shown.insert(time, Shown::Stored { bytes: before + value.len() });
                } else {
                    *self.stored.entry(WindowSpan { first: time, last }).or_default() +=
                        value.len();
                }
                Ok::<_, OperatorError>(())
            })?;
        }
        Ok(())
    }
}
