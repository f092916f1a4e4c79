//! Behind the exchange: numbers the best rows of all workers when their window closes.
//!
//! What always holds: a window is shown once, and nothing at or below the fired mark waits; rows
//! are in one place: waiting, frozen for a checkpoint, or in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

use super::TopNSpec;
use super::best::best_rows;
use super::waiting::WaitingRows;
use crate::operator::window::local_watermark;
use crate::operator::{Context, Event, Operator, OperatorError, OperatorState, Rows, State, Steps};
use crate::state::KeyGroup;
use crate::state::key_group::row_key_groups;
use crate::state::layout::{self, StateKey, StateKind, StatePlace, StateTable};
use crate::state::packed::{pack, unpack};
use crate::state::store::{Changes, StateDb};
use crate::time::{EventTime, Watermark};

pub(crate) struct NumberTopN {
    spec: TopNSpec,
    waiting: WaitingRows,
    /// The best rows of windows at the last barrier, by their ends.
    frozen: Vec<(EventTime, RecordBatch)>,
    /// Ends of windows that have rows in the store.
    stored: BTreeSet<EventTime>,
    fired_mark: Option<Watermark>,
    next_generation: u32,
    /// The watermark being worked off.
    firing: Option<Watermark>,
}

impl NumberTopN {
    pub fn new(spec: TopNSpec) -> NumberTopN {
        NumberTopN {
            spec,
            waiting: WaitingRows::default(),
            frozen: Vec::new(),
            stored: BTreeSet::new(),
            fired_mark: None,
            next_generation: 0,
            firing: None,
        }
    }

    fn add(&mut self, rows: Rows, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let end = rows.window_end.ok_or_else(|| OperatorError::kernel("a row without a window"))?;
        if self.fired_mark.is_some_and(|mark| mark.closes(end)) {
            cx.counters.late_by_fired_mark += rows.len() as u64;
            return Ok(());
        }
        self.waiting.add(&self.spec, end, rows)
    }

    fn emit(&mut self, end: EventTime, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        debug_assert!(
            self.fired_mark.is_none_or(|mark| !mark.closes(end)),
            "the window that ends at {end} is shown again"
        );
        debug_assert!(
            self.frozen.is_empty(),
            "a window is shown before a checkpoint has what was frozen"
        );
        let mut batches = self.waiting.take(end);
        if self.stored.remove(&end) {
            let (from, to) = StatePlace::at(self.spec.operator, StateKind::Rows, end).range();
            let types: Vec<_> =
                self.spec.input.fields().iter().map(|f| f.data_type().clone()).collect();
            cx.db.scan(&from, &to, |_, value| {
                let columns = unpack(value, &types)?;
                batches.push(RecordBatch::try_new(self.spec.input.clone(), columns)?);
                Ok::<_, OperatorError>(())
            })?;
            let mut changes = cx.db.batch();
            changes.delete_range(&from, &to);
            cx.db.write(changes)?;
        }
        if batches.is_empty() {
            return Ok(());
        }
        let (rows, numbers) = best_rows(&self.spec, &batches)?;
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        if self.spec.by_arrival {
            columns.pop();
        }
        if self.spec.output.fields().len() > columns.len() {
            columns.push(Arc::new(numbers));
        }
        let rows = RecordBatch::try_new(self.spec.output.clone(), columns)?;
        cx.out.push(Event::Rows(Rows { window_end: Some(end), ..Rows::new(rows) }));
        Ok(())
    }

    fn next_due(&self, watermark: Watermark) -> Option<EventTime> {
        let first = self.waiting.first().into_iter().chain(self.stored.first().copied()).min();
        first.filter(|&end| watermark.closes(end))
    }

    fn freeze(&mut self) -> Result<(), OperatorError> {
        debug_assert!(
            self.frozen.is_empty(),
            "a barrier came before the last one's rows were written"
        );
        while let Some(end) = self.waiting.first() {
            let (rows, _) = best_rows(&self.spec, &self.waiting.take(end))?;
            self.frozen.push((end, rows));
        }
        Ok(())
    }
}

impl Operator for NumberTopN {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => self.add(rows, cx)?,
            Event::Watermark(w) => self.firing = Some(w),
            Event::Barrier(_) => {
                self.freeze()?;
                cx.out.push(event);
            }
            tick @ Event::Tick(_) => cx.out.push(tick),
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
        self.waiting.memory_bytes()
            + self.frozen.iter().map(|(_, rows)| rows.get_array_memory_size()).sum::<usize>()
    }
}

impl Steps for NumberTopN {
    fn has_work(&self) -> bool {
        self.firing.is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Some(watermark) = self.firing else { return Ok(()) };
        let local = local_watermark(self.spec.zone.as_ref(), watermark);
        if let Some(end) = self.next_due(local) {
            cx.counters.windows_fired += 1;
            tracing::debug!(end_ms = end.ms(), "a window fires");
            return self.emit(end, cx);
        }
        self.firing = None;
        self.fired_mark = self.fired_mark.max(Some(local));
        cx.out.push(Event::Watermark(watermark));
        Ok(())
    }
}

impl State for NumberTopN {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        if let Some((end, rows)) = self.frozen.pop() {
            let generation = self.next_generation;
            self.next_generation += 1;
            for (group, picks) in rows_by_key_group(&self.spec.partition_by, &rows) {
                let part = take_record_batch(&rows, &UInt32Array::from(picks))?;
                let mut value = Vec::new();
                pack(part.columns(), part.num_rows(), &mut value);
                let place = StatePlace::at(self.spec.operator, StateKind::Rows, end);
                let key = StateKey {
                    place,
                    key_group: group,
                    table: StateTable::Main,
                    generation,
                    chunk: 0,
                };
                changes.put(&key.encode(), &value);
            }
            self.stored.insert(end);
        }
        Ok(self.frozen.is_empty())
    }

    fn marks(&self) -> OperatorState {
        OperatorState { fired_mark: self.fired_mark, next_generation: self.next_generation }
    }

    fn restore(&mut self, state: &OperatorState, db: &StateDb) -> Result<(), OperatorError> {
        self.fired_mark = state.fired_mark;
        self.next_generation = state.next_generation;
        let (from, to) = layout::kind_range(self.spec.operator, StateKind::Rows);
        db.scan(&from, &to, |key, _| {
            let key =
                StateKey::decode(key).ok_or_else(|| OperatorError::damaged("an unknown key"))?;
            self.stored.insert(key.place.time);
            Ok(())
        })
    }
}

fn rows_by_key_group(columns: &[usize], rows: &RecordBatch) -> BTreeMap<KeyGroup, Vec<u32>> {
    let mut by_group: BTreeMap<KeyGroup, Vec<u32>> = BTreeMap::new();
    for (row, group) in row_key_groups(columns, rows).into_iter().enumerate() {
        by_group.entry(group).or_default().push(row as u32);
    }
    by_group
}
