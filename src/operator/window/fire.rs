//! Turning closed windows into rows, in bounded steps.
//!
//! A fire belongs to one watermark. It goes window by window in order of their ends; within a window by key group, then
//! key, a batch per step. When nothing is due any more it raises the fired mark and passes the watermark on. Driven by
//! `aggregate` between other events; a barrier is never taken while a fire is under way. A window whose stored part does
//! not fit into memory goes through it some key groups at a time, with the same rows in the same order.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMillisecondArray};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::slice::WindowKind;
use super::state::WindowState;
use super::table::WindowTables;
use super::{GroupColumn, WindowAggregateSpec, window_time};
use crate::operator::{Context, Event, OperatorError, Rows};
use crate::state::KEY_GROUPS;

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
    pub fn step(&mut self, windows: &mut WindowState, cx: &mut Context<'_>) -> Result<bool, OperatorError> {
        let window = match self.window.take() {
            Some(window) => window,
            None => {
                let Some(end) = windows.next_due(self.local_ms) else {
                    windows.raise_mark(self.local_ms);
                    cx.out.push(Event::Watermark(self.watermark_ms));
                    return Ok(true);
                };
                cx.counters.windows_fired += 1;
                let window = open(windows, end, cx)?;
                // Set at once, so that what is shown is not due again; rows cannot arrive before the fire is over.
                windows.raise_mark(end - 1);
                window
            }
        };
        self.window = match window {
            OpenWindow::Loaded { end, tables, order, next } => {
                let upto = (next + STEP_ROWS).min(order.len());
                if let Some(from) = tables.as_ref().or_else(|| windows.running(end)) {
                    emit(&windows.spec, from, end, &order[next..upto], cx)?;
                }
                if upto < order.len() {
                    Some(OpenWindow::Loaded { end, tables, order, next: upto })
                } else {
                    if tables.is_none() {
                        windows.keep_running_order(end, order);
                    }
                    windows.close(end, cx.db)?;
                    None
                }
            }
            OpenWindow::Streamed { end, next_group, groups_at_once, written_bytes } => {
                let upto = (next_group + groups_at_once).min(KEY_GROUPS);
                let written_bytes = written_bytes + stream(windows, end, next_group..upto, cx)?;
                if upto < KEY_GROUPS {
                    Some(OpenWindow::Streamed { end, next_group: upto, groups_at_once, written_bytes })
                } else {
                    if windows.counts_shown() {
                        windows.close_running(end, written_bytes);
                    }
                    windows.close(end, cx.db)?;
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

/// Gathers everything that the window ending at `end` shows.
fn open(windows: &mut WindowState, end: i64, cx: &mut Context<'_>) -> Result<OpenWindow, OperatorError> {
    let unloaded_bytes = windows.unloaded_bytes(end);
    if unloaded_bytes > 0 && unloaded_bytes.saturating_mul(LOADED_PER_STORED) > cx.room_bytes {
        let mut changes = cx.db.changes();
        windows.spill_window(end, &mut changes)?;
        cx.db.write(changes)?;
        let total = windows.unloaded_bytes(end).max(1);
        let groups_at_once = (usize::from(KEY_GROUPS) * STREAMED_BYTES / total).clamp(1, usize::from(KEY_GROUPS)) as u16;
        return Ok(OpenWindow::Streamed { end, next_group: 0, groups_at_once, written_bytes: 0 });
    }
    let tables = match windows.spec.windows.kind {
        WindowKind::Tumble { .. } | WindowKind::Fired => windows.take_waiting(end, cx.db)?,
        WindowKind::Hop { .. } => {
            windows.show(end, cx.db)?;
            windows.sum_of_slices(end)?
        }
        WindowKind::Cumulate { .. } => {
            windows.show(end, cx.db)?;
            let order = windows.running_order(end, output_order);
            return Ok(OpenWindow::Loaded { end, tables: None, order, next: 0 });
        }
    };
    Ok(OpenWindow::Loaded { end, order: output_order(&windows.spec, &tables), tables: Some(tables), next: 0 })
}

/// Emits some key groups of a window from the store. A running window is written back with what was added to it; returns
/// the bytes of that.
fn stream(
    windows: &mut WindowState,
    end: i64,
    groups: std::ops::Range<u16>,
    cx: &mut Context<'_>,
) -> Result<usize, OperatorError> {
    let tables = windows.read_groups(end, groups.clone(), cx.db)?;
    emit(&windows.spec, &tables, end, &output_order(&windows.spec, &tables), cx)?;
    if windows.counts_shown() { windows.write_running(end, groups, &tables, cx.db) } else { Ok(0) }
}

/// The output rows of some groups of a window.
fn result_rows(spec: &WindowAggregateSpec, tables: &WindowTables, end: i64, picks: &[u32]) -> Result<RecordBatch, OperatorError> {
    let start = spec.windows.start_of_window(end);
    let keys = tables.keys(&spec.key_types, picks)?;
    let time = window_time(spec.zone.as_ref(), end);
    let mut columns = group_columns(&spec.group_columns, &spec.output, (start, end, time), &keys, picks.len());
    columns.extend(tables.evaluate(picks)?);
    RecordBatch::try_new(spec.output.clone(), columns).map_err(OperatorError::kernel)
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
