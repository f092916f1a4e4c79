//! Turning closed windows into rows, in bounded steps.
//!
//! A fire belongs to one watermark. It goes window by window in order of their ends; within a
//! window by key group, then key, a batch per step. When nothing is due any more it raises the
//! fired mark and passes the watermark on. Driven by `aggregate` between other events; a barrier is
//! never taken while a fire is under way. A window whose stored part does not fit into memory goes
//! through it some key groups at a time, with the same rows in the same order.
//!
//! ```text
//!   watermark w --> next_due: the first window that w closes; none left: mark_passed(w), w is passed on
//!                      |
//!                      v                       own tables   (TUMBLE takes them, HOP adds slices up)
//!   hot table ----\                         / running table (CUMULATE: added to, shown again)
//!   store (waiting) +-- open(end) -------- +
//!   shown parts ---/    mark_fired(end)     \ streamed      (too large: hot and shown go to the store first)
//!                                                  |
//!                                                  | step, step, ...: a batch, or some key groups
//!                                                  v
//!                                             close(end): what no later window shows is deleted
//! ```
//!
//! A frozen table never meets a fire: a chain does not go on with one until its checkpoint is
//! written.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMillisecondArray};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::slice::WindowKind;
use super::state::WindowState;
use super::table::WindowTables;
use super::{GroupColumn, WindowAggregateSpec, window_time};
use crate::operator::{Context, Event, OperatorError, Rows};
use crate::state::KeyGroups;
use crate::state::key_group::groups_at_once;
use crate::time::{EventTime, Watermark};

/// Rows emitted in one step.
const STEP_ROWS: usize = 8192;
/// A packed partial aggregate takes up to this many times its bytes in memory: hash, slots of the
/// table, room to grow.
const LOADED_PER_STORED: usize = 4;
/// Stored bytes that are gone through at a time.
const STREAMED_BYTES: usize = 4 << 20;

/// A fire under way.
pub(crate) struct Fire {
    /// Passed on when the fire is over.
    watermark: Watermark,
    /// The same on the time on which the windows lie.
    local: Watermark,
    window: Option<OpenWindow>,
}

/// The window being emitted.
enum OpenWindow {
    /// From tables of its own, which nothing shows again.
    Own { end: EventTime, tables: WindowTables, rest: Unsent },
    /// From those of a running window.
    Running { end: EventTime, rest: Unsent },
    /// Everything of it is in the store.
    Streamed {
        end: EventTime,
        rest: KeyGroups,
        groups_at_once: usize,
        /// Bytes of the running window as it is written back.
        written_bytes: usize,
    },
}

/// Groups in the order of output, up to `next` of which have been emitted.
struct Unsent {
    order: Vec<u32>,
    next: usize,
}

impl Unsent {
    fn new(order: Vec<u32>) -> Unsent {
        Unsent { order, next: 0 }
    }

    /// The groups of the next step.
    fn step(&mut self) -> &[u32] {
        let from = self.next;
        self.next = (from + STEP_ROWS).min(self.order.len());
        &self.order[from..self.next]
    }

    fn is_over(&self) -> bool {
        self.next == self.order.len()
    }
}

impl Fire {
    pub fn until(watermark: Watermark, local: Watermark) -> Fire {
        Fire { watermark, local, window: None }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        match &self.window {
            Some(OpenWindow::Own { tables, .. }) => tables.memory_bytes(),
            Some(OpenWindow::Running { .. } | OpenWindow::Streamed { .. }) | None => 0,
        }
    }

    /// Returns true when the fire is over.
    pub fn step(
        &mut self,
        windows: &mut WindowState,
        cx: &mut Context<'_>,
    ) -> Result<bool, OperatorError> {
        let window = match self.window.take() {
            Some(window) => window,
            None => {
                let Some(end) = windows.next_due(self.local) else {
                    windows.mark_passed(self.local);
                    cx.out.push(Event::Watermark(self.watermark));
                    return Ok(true);
                };
                cx.counters.windows_fired += 1;
                let window = open(windows, end, cx)?;
                window.tell();
                // Set at once, so that what is shown is not due again; rows cannot arrive before
                // the fire is over.
                windows.mark_fired(end);
                window
            }
        };
        self.window = window.step(windows, cx)?;
        Ok(false)
    }
}

impl OpenWindow {
    fn tell(&self) {
        match self {
            OpenWindow::Own { end, rest, .. } | OpenWindow::Running { end, rest } => {
                tracing::debug!(end_ms = end.ms(), groups = rest.order.len(), "a window fires");
            }
            OpenWindow::Streamed { end, .. } => {
                tracing::debug!(end_ms = end.ms(), "a window fires from the store")
            }
        }
    }

    /// Emits some of it; returns what is left.
    fn step(
        self,
        windows: &mut WindowState,
        cx: &mut Context<'_>,
    ) -> Result<Option<OpenWindow>, OperatorError> {
        match self {
            OpenWindow::Own { end, tables, mut rest } => {
                emit(&windows.spec, &tables, end, rest.step(), cx)?;
                if !rest.is_over() {
                    return Ok(Some(OpenWindow::Own { end, tables, rest }));
                }
                windows.close(end, cx.db)?;
            }
            OpenWindow::Running { end, mut rest } => {
                let picks = rest.step();
                if let Some(tables) = windows.running(end) {
                    emit(&windows.spec, tables, end, picks, cx)?;
                }
                if !rest.is_over() {
                    return Ok(Some(OpenWindow::Running { end, rest }));
                }
                windows.keep_running_order(end, rest.order);
                windows.close(end, cx.db)?;
            }
            OpenWindow::Streamed { end, mut rest, groups_at_once, written_bytes } => {
                let written_bytes =
                    written_bytes + stream(windows, end, rest.take_first(groups_at_once), cx)?;
                if !rest.is_empty() {
                    return Ok(Some(OpenWindow::Streamed {
                        end,
                        rest,
                        groups_at_once,
                        written_bytes,
                    }));
                }
                if is_running(windows) {
                    windows.close_running(end, written_bytes);
                }
                windows.close(end, cx.db)?;
            }
        }
        Ok(None)
    }
}

/// Windows of one start are shown again and again, with what was added.
fn is_running(windows: &WindowState) -> bool {
    matches!(windows.spec.windows.kind, WindowKind::Cumulate { .. })
}

fn output_order(spec: &WindowAggregateSpec, tables: &WindowTables) -> Vec<u32> {
    if spec.in_order { tables.order() } else { tables.by_key_group() }
}

fn emit(
    spec: &WindowAggregateSpec,
    tables: &WindowTables,
    end: EventTime,
    picks: &[u32],
    cx: &mut Context<'_>,
) -> Result<(), OperatorError> {
    for picks in picks.chunks(STEP_ROWS) {
        let batch = result_rows(spec, tables, end, picks)?;
        cx.out.push(Event::Rows(Rows { window_end: Some(end), ..Rows::new(batch) }));
    }
    Ok(())
}

/// Gathers everything that the window ending at `end` shows.
fn open(
    windows: &mut WindowState,
    end: EventTime,
    cx: &mut Context<'_>,
) -> Result<OpenWindow, OperatorError> {
    debug_assert!(windows.is_written(), "a window fires between a barrier and its checkpoint");
    let unloaded_bytes = windows.unloaded_bytes(end);
    if unloaded_bytes > 0 && unloaded_bytes.saturating_mul(LOADED_PER_STORED) > cx.room_bytes {
        let mut changes = cx.db.changes();
        windows.spill_window(end, &mut changes)?;
        cx.db.write(changes)?;
        let groups_at_once = groups_at_once(windows.unloaded_bytes(end), STREAMED_BYTES);
        return Ok(OpenWindow::Streamed {
            end,
            rest: KeyGroups::ALL,
            groups_at_once,
            written_bytes: 0,
        });
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
            return Ok(OpenWindow::Running { end, rest: Unsent::new(order) });
        }
    };
    let rest = Unsent::new(output_order(&windows.spec, &tables));
    Ok(OpenWindow::Own { end, tables, rest })
}

/// Emits some key groups of a window from the store. A running window is written back with what was
/// added to it; returns the bytes of that.
fn stream(
    windows: &mut WindowState,
    end: EventTime,
    groups: KeyGroups,
    cx: &mut Context<'_>,
) -> Result<usize, OperatorError> {
    let tables = windows.read_groups(end, groups, cx.db)?;
    emit(&windows.spec, &tables, end, &output_order(&windows.spec, &tables), cx)?;
    if is_running(windows) { windows.write_running(end, groups, &tables, cx.db) } else { Ok(0) }
}

/// The output rows of some groups of a window.
fn result_rows(
    spec: &WindowAggregateSpec,
    tables: &WindowTables,
    end: EventTime,
    picks: &[u32],
) -> Result<RecordBatch, OperatorError> {
    let start = spec.windows.start_of_window(end);
    let keys = tables.keys(&spec.key_types, picks)?;
    let time = window_time(spec.zone.as_ref(), end);
    let mut columns =
        group_columns(&spec.group_columns, &spec.output, (start, end, time), &keys, picks.len());
    columns.extend(tables.evaluate(picks)?);
    RecordBatch::try_new(spec.output.clone(), columns).map_err(OperatorError::from)
}

/// The columns before the aggregates, for rows of the window from `start` to `end` with this
/// `window_time`.
pub(crate) fn group_columns(
    columns: &[GroupColumn],
    output: &SchemaRef,
    (start, end, time): (EventTime, EventTime, EventTime),
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

pub fn constant(time: EventTime, rows: usize, data_type: &DataType) -> ArrayRef {
    Arc::new(
        TimestampMillisecondArray::from_value(time.ms(), rows).with_data_type(data_type.clone()),
    )
}
