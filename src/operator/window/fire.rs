//! Turning closed windows into rows, in bounded steps.
//!
//! A fire belongs to one watermark. It goes window by window in order of their ends; within a window by key group, then
//! key, a batch per step. When nothing is due any more it raises the fired mark and passes the watermark on. Driven by
//! `aggregate` between other events; a barrier is never taken while a fire is under way. A window whose stored part does
//! not fit into memory goes through it some key groups at a time, with the same rows in the same order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMillisecondArray};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::aggregate::WindowAggregate;
use super::slice::{Slot, WindowKind};
use super::stored::StoredWriter;
use super::table::WindowTables;
use super::{GroupColumn, WindowAggregateSpec, window_time};
use crate::operator::{Context, Event, OperatorError, Rows};
use crate::state::KEY_GROUPS;
use crate::state::layout::Place;
use crate::state::rocks::{Changes, StateDb};

/// Rows emitted in one step.
const STEP_ROWS: usize = 8192;
/// A packed partial aggregate takes up to this many times its bytes in memory: hash, slots of the table, room to grow.
const LOADED_PER_STORED: usize = 4;
/// Stored bytes that are gone through at a time.
const STREAMED_BYTES: usize = 4 << 20;

/// A fire under way.
pub struct Fire {
    /// Passed on when the fire is over.
    watermark_ms: i64,
    /// The same on the time on which the windows lie.
    local_ms: i64,
    window: Option<OpenWindow>,
}

/// The window being emitted.
enum OpenWindow {
    Loaded {
        end: i64,
        /// Its own tables; None if they are those of a running window.
        tables: Option<WindowTables>,
        order: Vec<u32>,
        next: usize,
    },
    /// Everything of it is in the store.
    Streamed {
        end: i64,
        next_group: u16,
        groups_at_once: u16,
        /// Bytes of the running window as it is written back.
        written_bytes: usize,
    },
}

impl Fire {
    pub fn until(watermark_ms: i64, local_ms: i64) -> Fire {
        Fire { watermark_ms, local_ms, window: None }
    }

    pub fn memory_bytes(&self) -> usize {
        match &self.window {
            Some(OpenWindow::Loaded { tables: Some(tables), .. }) => tables.memory_bytes(),
            _ => 0,
        }
    }

    /// Returns true when the fire is over.
    pub fn step(&mut self, op: &mut WindowAggregate, cx: &mut Context<'_>) -> Result<bool, OperatorError> {
        let window = match self.window.take() {
            Some(window) => window,
            None => {
                let Some(end) = op.next_due(self.local_ms) else {
                    op.fired_mark_ms = op.fired_mark_ms.max(Some(self.local_ms));
                    cx.out.push(Event::Watermark(self.watermark_ms));
                    return Ok(true);
                };
                cx.counters.windows_fired += 1;
                let window = open(op, end, cx)?;
                // Set at once, so that what is shown is not due again; rows cannot arrive before the fire is over.
                op.fired_mark_ms = op.fired_mark_ms.max(Some(end - 1));
                window
            }
        };
        self.window = match window {
            OpenWindow::Loaded { end, tables, order, next } => {
                let upto = (next + STEP_ROWS).min(order.len());
                let shown = op.spec.windows.start_of_window(end);
                let from = tables.as_ref().or_else(|| op.shown.get(&shown)?.tables.as_ref());
                if let Some(from) = from {
                    emit(&op.spec, from, end, &order[next..upto], cx)?;
                }
                if upto < order.len() {
                    Some(OpenWindow::Loaded { end, tables, order, next: upto })
                } else {
                    if let (None, Some(running)) = (tables, op.shown.get_mut(&shown)) {
                        running.order = order;
                    }
                    close(op, end, cx.db)?;
                    None
                }
            }
            OpenWindow::Streamed { end, next_group, groups_at_once, written_bytes } => {
                let upto = (next_group + groups_at_once).min(KEY_GROUPS);
                let written_bytes = written_bytes + stream(op, end, next_group..upto, cx)?;
                if upto < KEY_GROUPS {
                    Some(OpenWindow::Streamed { end, next_group: upto, groups_at_once, written_bytes })
                } else {
                    close_streamed(op, end, written_bytes, cx.db)?;
                    None
                }
            }
        };
        Ok(false)
    }
}

fn output_order(spec: &WindowAggregateSpec, tables: &WindowTables) -> Vec<u32> {
    if spec.in_order { tables.order() } else { tables.by_key_group() }
}

fn emit(
    spec: &WindowAggregateSpec,
    tables: &WindowTables,
    end: i64,
    picks: &[u32],
    cx: &mut Context<'_>,
) -> Result<(), OperatorError> {
    for picks in picks.chunks(STEP_ROWS) {
        let batch = result_rows(spec, tables, end, picks)?;
        cx.out.push(Event::Rows(Rows { window_end_ms: Some(end), ..Rows::new(batch) }));
    }
    Ok(())
}

/// Slots whose partial aggregates have waited for the window ending at `end`.
fn waiting(op: &WindowAggregate, end: i64) -> BTreeSet<Slot> {
    let hot = op.hot.keys().take_while(|slot| slot.first <= end);
    hot.chain(op.stored.keys().take_while(|slot| slot.first <= end)).copied().collect()
}

/// Gathers everything that the window ending at `end` shows.
fn open(op: &mut WindowAggregate, end: i64, cx: &mut Context<'_>) -> Result<OpenWindow, OperatorError> {
    let slots = waiting(op, end);
    let unloaded = op.shown.values().filter(|part| part.tables.is_none()).map(|part| part.stored_bytes);
    let stored_bytes = slots.iter().filter_map(|slot| op.stored.get(slot)).copied().chain(unloaded).sum::<usize>();
    if stored_bytes > 0 && stored_bytes.saturating_mul(LOADED_PER_STORED) > cx.room_bytes {
        let mut changes = cx.db.changes();
        op.spill_window(end, &mut changes)?;
        cx.db.write(changes)?;
        let waiting = op.stored.iter().take_while(|(slot, _)| slot.first <= end).map(|(_, bytes)| bytes);
        let total = waiting.chain(op.shown.values().map(|part| &part.stored_bytes)).sum::<usize>().max(1);
        let groups_at_once = (usize::from(KEY_GROUPS) * STREAMED_BYTES / total).clamp(1, usize::from(KEY_GROUPS)) as u16;
        return Ok(OpenWindow::Streamed { end, next_group: 0, groups_at_once, written_bytes: 0 });
    }
    match op.spec.windows.kind {
        WindowKind::Tumble { .. } | WindowKind::Fired => {
            let mut tables = WindowTables::new(&op.spec);
            for slot in slots {
                let hot = op.hot.remove(&slot);
                fold(&op.spec, &mut tables, hot, false)?;
                op.drain_stored(slot, &mut tables, cx.db)?;
            }
            tables.count_collected(&op.spec)?;
            Ok(OpenWindow::Loaded { end, order: output_order(&op.spec, &tables), tables: Some(tables), next: 0 })
        }
        WindowKind::Hop { .. } => {
            show(op, &slots, cx.db)?;
            let WindowAggregate { spec, shown, sums, .. } = op;
            let number = |last: i64| spec.windows.number(last);
            let slices: BTreeMap<i64, &WindowTables> =
                shown.iter().filter_map(|(&last, part)| Some((number(last), part.tables.as_ref()?))).collect();
            let newest = slices.keys().next_back().copied().unwrap_or(i64::MIN);
            let mut tables = sums.sum(spec, &slices, number(end), newest);
            tables.count_collected(spec)?;
            Ok(OpenWindow::Loaded { end, order: output_order(&op.spec, &tables), tables: Some(tables), next: 0 })
        }
        WindowKind::Cumulate { .. } => {
            show(op, &slots, cx.db)?;
            let running = op.shown.entry(op.spec.windows.start_of_window(end)).or_default();
            let tables = running.tables.get_or_insert_with(|| WindowTables::new(&op.spec));
            let mut order = std::mem::take(&mut running.order);
            if order.len() != tables.groups.len() {
                order = output_order(&op.spec, tables);
            }
            Ok(OpenWindow::Loaded { end, tables: None, order, next: 0 })
        }
    }
}

/// Moves what has waited to the shown parts, all of which are in memory afterwards.
fn show(op: &mut WindowAggregate, slots: &BTreeSet<Slot>, db: &StateDb) -> Result<(), OperatorError> {
    let unloaded: Vec<i64> = op.shown.iter().filter(|(_, part)| part.tables.is_none()).map(|(&shown, _)| shown).collect();
    for shown in unloaded {
        op.load_shown(shown, db)?;
    }
    for &slot in slots {
        let shown = op.shown_part(slot);
        let mut part = op.shown.remove(&shown).unwrap_or_default();
        let mut tables = part.tables.take().unwrap_or_else(|| WindowTables::new(&op.spec));
        let hot = op.hot.remove(&slot);
        fold(&op.spec, &mut tables, hot, op.counts_shown())?;
        op.drain_stored(slot, &mut tables, db)?;
        part.tables = Some(tables);
        part.changed = true;
        op.shown.insert(shown, part);
        op.sums.changed(op.spec.windows.number(slot.last));
    }
    Ok(())
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

/// Forgets what no later window shows.
fn close(op: &mut WindowAggregate, end: i64, db: &StateDb) -> Result<(), OperatorError> {
    let over = match op.spec.windows.kind {
        WindowKind::Tumble { .. } | WindowKind::Fired => None,
        WindowKind::Hop { .. } => Some(end),
        WindowKind::Cumulate { size_ms, .. } => Some(end - size_ms),
    };
    op.sums.retire(op.spec.windows.number(end) + 1);
    let mut changes = Changes::default();
    if let Some(shown) = over
        && let Some(part) = op.shown.remove(&shown)
        && part.stored_bytes > 0
    {
        let (from, to) = op.shown_place(shown).range();
        changes.delete_range(&from, &to);
    }
    let gone: Vec<Slot> = op.stored.keys().filter(|slot| slot.last <= end).copied().collect();
    for slot in gone {
        op.stored.remove(&slot);
        let (from, to) = op.waiting_place(slot).range();
        changes.delete_range(&from, &to);
    }
    if changes.is_empty() { Ok(()) } else { Ok(db.write(changes)?) }
}

/// Emits some key groups of a window from the store. A running window is written back with what was added to it; returns
/// the bytes of that.
fn stream(
    op: &mut WindowAggregate,
    end: i64,
    groups: std::ops::Range<u16>,
    cx: &mut Context<'_>,
) -> Result<usize, OperatorError> {
    let shown: Vec<Place> = op.shown.keys().map(|&shown| op.shown_place(shown)).collect();
    let waiting: Vec<Place> = waiting(op, end).into_iter().map(|slot| op.waiting_place(slot)).collect();
    let counts_shown = op.counts_shown();
    let mut tables = WindowTables::new(&op.spec);
    // What is shown comes first: it may count its values already.
    for (place, count) in shown.iter().map(|p| (p, false)).chain(waiting.iter().map(|p| (p, counts_shown))) {
        let (from, to) = place.groups(groups.clone());
        cx.db.scan(&from, &to, |key, value| {
            let (_, partials) = op.stored_types.read(key, value)?;
            tables.merge(&op.spec, &partials, count)
        })?;
    }
    if !counts_shown {
        tables.count_collected(&op.spec)?;
    }
    emit(&op.spec, &tables, end, &output_order(&op.spec, &tables), cx)?;
    if !counts_shown {
        return Ok(0);
    }
    let mut changes = Changes::default();
    for place in shown.iter().chain(&waiting) {
        let (from, to) = place.groups(groups.clone());
        changes.delete_range(&from, &to);
    }
    let start = op.spec.windows.start_of_window(end);
    let (place, generation) = (op.shown_place(start), op.take_generation());
    let mut writer = StoredWriter::new(&mut changes, place, generation);
    tables.each_partials(Slot { first: start, last: start }, |partials| {
        writer.write(&partials);
        Ok::<_, OperatorError>(())
    })?;
    let written_bytes = writer.bytes;
    cx.db.write(changes)?;
    Ok(written_bytes)
}

fn close_streamed(op: &mut WindowAggregate, end: i64, written_bytes: usize, db: &StateDb) -> Result<(), OperatorError> {
    if op.counts_shown() {
        for slot in waiting(op, end) {
            op.stored.remove(&slot);
        }
        op.shown.entry(op.spec.windows.start_of_window(end)).or_default().stored_bytes = written_bytes;
    }
    close(op, end, db)
}

/// The output rows of some groups of a window.
fn result_rows(spec: &WindowAggregateSpec, tables: &WindowTables, end: i64, picks: &[u32]) -> Result<RecordBatch, OperatorError> {
    let start = spec.windows.start_of_window(end);
    let keys = tables.keys(&spec.key_types, picks)?;
    let time = window_time(spec.zone.as_ref(), end);
    let mut columns = group_columns(&spec.group_columns, &spec.output, (start, end, time), &keys, picks.len());
    columns.extend(tables.evaluate(picks)?);
    RecordBatch::try_new(spec.output.clone(), columns)
        .map_err(|e| OperatorError::Kernel { operator: spec.operator.to_string(), reason: e.to_string() })
}

/// The columns before the aggregates, for rows of the window from `start` to `end` with this `window_time`.
pub fn group_columns(
    columns: &[GroupColumn],
    output: &SchemaRef,
    (start, end, time): (i64, i64, i64),
    keys: &[ArrayRef],
    rows: usize,
) -> Vec<ArrayRef> {
    let column = |(column, field): (&GroupColumn, &FieldRef)| match column {
        GroupColumn::WindowStart => constant(start, rows, field.data_type()),
        GroupColumn::WindowEnd => constant(end, rows, field.data_type()),
        GroupColumn::WindowTime => constant(time, rows, field.data_type()),
        GroupColumn::Key(i) => keys[*i].clone(),
    };
    columns.iter().zip(output.fields()).map(column).collect()
}

pub fn constant(ms: i64, rows: usize, data_type: &DataType) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_value(ms, rows).with_data_type(data_type.clone()))
}
