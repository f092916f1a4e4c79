//! Rows with the windows they are in: a window function without an aggregation above it.
//!
//! Every row comes out once for each of its windows, with the window's bounds as columns, in batches of one window each.
//! Holds nothing. `plan::lower` puts it before a Top-N over plain rows or a filter on the window of an aggregation, which drop
//! rows that are late for their window, and before a sink, which does not: there is no window to be late for. What always
//! holds: rows keep their places in the order of arrival.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;

use super::fire::constant;
use super::local::event_times_ms;
use super::{Windows, local_times, local_watermarks, window_time};
use crate::operator::{Context, Event, Operator, OperatorError, Rows};
use crate::time::zone::Zone;

/// A column of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssignedColumn {
    Input(usize),
    WindowStart,
    WindowEnd,
    WindowTime,
}

#[derive(Debug, Clone)]
pub struct AssignSpec {
    pub windows: Windows,
    /// The zone in which the windows lie. None: on the rowtime as it is.
    pub zone: Option<Zone>,
    /// The rowtime among the input columns.
    pub rowtime: usize,
    pub columns: Vec<AssignedColumn>,
    pub output: SchemaRef,
    /// Leaves out windows that the row's own split has closed.
    pub drop_late: bool,
    /// How long after their end windows still take rows, ms.
    pub lateness_ms: i64,
}

pub struct AssignWindows {
    spec: AssignSpec,
}

impl AssignWindows {
    pub fn new(spec: AssignSpec) -> AssignWindows {
        AssignWindows { spec }
    }

    fn assign(&self, rows: &Rows, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let AssignSpec { windows, .. } = &self.spec;
        let mut by_window: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        let zone = self.spec.zone.as_ref();
        let watermarks = local_watermarks(zone, rows.watermarks_ms.as_ref().filter(|_| self.spec.drop_late));
        for (row, &ts) in local_times(zone, event_times_ms(rows.batch.column(self.spec.rowtime))).iter().enumerate() {
            let Some(slot) = windows.slot(ts) else { continue };
            let watermark = watermarks.as_ref().map_or(i64::MIN, |w| w[row].saturating_sub(self.spec.lateness_ms));
            let Some(slot) = windows.open(slot, watermark) else {
                cx.counters.late_rows += 1;
                continue;
            };
            for end in (slot.first..=slot.last).step_by(windows.step_ms() as usize) {
                by_window.entry(end).or_default().push(row as u32);
            }
        }
        for (end, picks) in by_window {
            let picks = UInt32Array::from(picks);
            let arrivals = rows.arrivals.as_ref().map(|a| a.pick(|| picks.values().iter().map(|&row| row as usize)));
            let ops = rows.ops.as_ref().map(|ops| picks.values().iter().map(|&row| ops.get(row as usize)).collect());
            let watermarks_ms = rows.watermarks_ms.as_ref().map(|w| picks.values().iter().map(|&row| w[row as usize]).collect());
            let start = windows.start_of_window(end);
            let column = |(column, field): (&AssignedColumn, &arrow::datatypes::FieldRef)| {
                Ok::<ArrayRef, arrow::error::ArrowError>(match column {
                    AssignedColumn::Input(i) => take(rows.batch.column(*i), &picks, None)?,
                    AssignedColumn::WindowStart => constant(start, picks.len(), field.data_type()),
                    AssignedColumn::WindowEnd => constant(end, picks.len(), field.data_type()),
                    AssignedColumn::WindowTime => constant(window_time(zone, end), picks.len(), field.data_type()),
                })
            };
            let columns = self.spec.columns.iter().zip(self.spec.output.fields()).map(column).collect::<Result<Vec<_>, _>>();
            let batch = columns.and_then(|columns| RecordBatch::try_new(self.spec.output.clone(), columns));
            let batch = batch.map_err(|e| OperatorError::Kernel { operator: "window rows".into(), reason: e.to_string() })?;
            cx.out.push(Event::Rows(Rows {
                window_end_ms: Some(end),
                split: rows.split,
                arrivals,
                ops,
                watermarks_ms,
                ..Rows::new(batch)
            }));
        }
        Ok(())
    }
}

impl Operator for AssignWindows {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) => self.assign(&rows, cx)?,
            other => cx.out.push(other),
        }
        Ok(())
    }

    fn schema(&self) -> SchemaRef {
        self.spec.output.clone()
    }
}
