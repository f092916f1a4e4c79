//! Turning closed windows into rows, in bounded steps.
//!
//! A fire belongs to one watermark. It goes window by window in order of their ends; within a window by key group, then
//! key, a batch per step. When nothing is due any more it raises the fired mark and passes the watermark on. Driven by
//! `aggregate` between other events; a barrier is never taken while a fire is under way.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMillisecondArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;

use super::aggregate::{Running, WindowAggregate};
use super::slice::WindowKind;
use super::table::WindowTables;
use super::{GroupColumn, WindowAggregateSpec};
use crate::operator::{Context, Event, OperatorError, Rows};
use crate::state::layout::{self, Kind};
use crate::state::rocks::Changes;

/// Rows emitted in one step.
const STEP_ROWS: usize = 8192;

/// A fire under way.
pub struct Fire {
    watermark_ms: i64,
    window: Option<OpenWindow>,
}

/// The window being emitted.
struct OpenWindow {
    end: i64,
    /// Its own tables; None if they are those of a running window.
    tables: Option<WindowTables>,
    order: Vec<u32>,
    next: usize,
}

impl Fire {
    pub fn until(watermark_ms: i64) -> Fire {
        Fire { watermark_ms, window: None }
    }

    /// Returns true when the fire is over.
    pub fn step(&mut self, op: &mut WindowAggregate, cx: &mut Context<'_>) -> Result<bool, OperatorError> {
        if self.window.is_none() {
            let Some(end) = op.next_due(self.watermark_ms) else {
                op.fired_mark_ms = op.fired_mark_ms.max(Some(self.watermark_ms));
                cx.out.push(Event::Watermark(self.watermark_ms));
                return Ok(true);
            };
            cx.counters.windows_fired += 1;
            self.window = Some(open(op, end, cx)?);
            // Set at once, so that a running window is not due again; rows cannot arrive before the fire is over.
            op.fired_mark_ms = op.fired_mark_ms.max(Some(end - 1));
        }
        let Some(window) = &mut self.window else { return Ok(false) };
        let start = op.spec.windows.start_of_window(window.end);
        let upto = (window.next + STEP_ROWS).min(window.order.len());
        let picks = &window.order[window.next..upto];
        if !picks.is_empty() {
            let tables = match &window.tables {
                Some(tables) => tables,
                None => &op.running[&start].tables,
            };
            let batch = result_rows(&op.spec, tables, window.end, picks)?;
            cx.out.push(Event::Rows(Rows { batch, watermarks_ms: None, window_end_ms: Some(window.end) }));
        }
        window.next = upto;
        if upto == window.order.len() {
            let end = window.end;
            let order = std::mem::take(&mut window.order);
            self.window = None;
            close(op, start, end, order, cx)?;
        }
        Ok(false)
    }
}

/// Gathers everything that the window ending at `end` shows.
fn open(op: &mut WindowAggregate, end: i64, cx: &mut Context<'_>) -> Result<OpenWindow, OperatorError> {
    let hot = op.hot.remove(&end);
    if let WindowKind::Tumble { .. } = op.spec.windows.kind {
        let tables = match hot {
            // Nothing of it was ever stored: the hot table is the window.
            Some(mut hot) if !op.stored.contains(&end) => {
                hot.count_collected(&op.spec)?;
                hot
            }
            hot => {
                let mut tables = WindowTables::new(&op.spec);
                op.drain_stored(end, &mut tables, cx.db)?;
                merge_hot(&op.spec, &mut tables, hot, end)?;
                tables
            }
        };
        return Ok(OpenWindow { end, order: tables.order(), tables: Some(tables), next: 0 });
    }
    let start = op.spec.windows.start_of_window(end);
    let mut running = op.running.remove(&start).unwrap_or_else(|| Running::new(&op.spec));
    let changed = hot.is_some() || op.stored.contains(&end);
    op.drain_stored(end, &mut running.tables, cx.db)?;
    merge_hot(&op.spec, &mut running.tables, hot, end)?;
    running.dirty |= changed;
    let mut order = std::mem::take(&mut running.order);
    if order.len() != running.tables.groups.len() {
        order = running.tables.order();
    }
    op.running.insert(start, running);
    Ok(OpenWindow { end, tables: None, order, next: 0 })
}

fn merge_hot(
    spec: &WindowAggregateSpec,
    into: &mut WindowTables,
    hot: Option<WindowTables>,
    end: i64,
) -> Result<(), OperatorError> {
    for partials in hot.map(|h| h.all_partials(end)).transpose()?.unwrap_or_default() {
        into.merge(spec, &partials, true)?;
    }
    Ok(())
}

/// Forgets a window that was the last of its start, and its stored generation with it.
fn close(op: &mut WindowAggregate, start: i64, end: i64, order: Vec<u32>, cx: &Context<'_>) -> Result<(), OperatorError> {
    if !op.spec.windows.is_last(end) {
        if let Some(running) = op.running.get_mut(&start) {
            running.order = order;
        }
        return Ok(());
    }
    if let Some(Running { generation: Some(_), .. }) = op.running.remove(&start) {
        let (from, to) = layout::time_range(op.spec.operator, Kind::Running, start);
        let mut changes = Changes::default();
        changes.delete_range(&from, &to);
        cx.db.write(changes)?;
    }
    Ok(())
}

/// The output rows of some groups of a window.
fn result_rows(spec: &WindowAggregateSpec, tables: &WindowTables, end: i64, picks: &[u32]) -> Result<RecordBatch, OperatorError> {
    let start = spec.windows.start_of_window(end);
    let keys = tables.keys(&spec.key_types, picks)?;
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(spec.output.fields().len());
    for (column, field) in spec.group_columns.iter().zip(spec.output.fields()) {
        columns.push(match column {
            GroupColumn::WindowStart => constant(start, picks.len(), field.data_type()),
            GroupColumn::WindowEnd => constant(end, picks.len(), field.data_type()),
            GroupColumn::WindowTime => constant(end - 1, picks.len(), field.data_type()),
            GroupColumn::Key(i) => keys[*i].clone(),
        });
    }
    columns.extend(tables.evaluate(picks));
    RecordBatch::try_new(spec.output.clone(), columns)
        .map_err(|e| OperatorError::Kernel { operator: spec.operator.to_string(), reason: e.to_string() })
}

fn constant(ms: i64, rows: usize, data_type: &DataType) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_value(ms, rows).with_data_type(data_type.clone()))
}
