//! Rows with the windows they are in: a window function without an aggregation above it.
//!
//! Every row comes out once for each of its windows, with the window's bounds as columns: in batches of one window each, or
//! row by row where each row is a change. Holds nothing. `plan::lower` puts it before a Top-N over plain rows or a filter on
//! the window of an aggregation, which drop rows that are late for their window, and before a sink, which does not: there is
//! no window to be late for. What always holds: rows keep their places in the order of arrival.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMillisecondArray, UInt32Array};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;

use super::slice::WindowSpan;
use super::{Windows, local_times, local_watermarks, window_time};
use crate::operator::window::event_times_ms;
use crate::operator::{Context, Event, Operator, OperatorError, Rows};
use crate::time::zone::Zone;
use crate::time::{EventTime, Watermark};

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
    /// Rows come out in their order, in batches of several windows; else in batches of one window each.
    pub row_by_row: bool,
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
        let zone = self.spec.zone.as_ref();
        let watermarks = local_watermarks(zone, rows.watermarks_ms.as_ref().filter(|_| self.spec.drop_late));
        let mut spans: Vec<(u32, WindowSpan)> = Vec::with_capacity(rows.len());
        for (row, &ts) in local_times(zone, event_times_ms(rows.batch.column(self.spec.rowtime))).iter().enumerate() {
            let Some(span) = windows.span(EventTime::at(ts)) else { continue };
            let watermark =
                watermarks.as_ref().map_or(Watermark::NONE, |w| Watermark::at(w[row].saturating_sub(self.spec.lateness_ms)));
            match windows.open(span, watermark) {
                Some(span) => spans.push((row as u32, span)),
                None => cx.counters.late_rows += 1,
            }
        }
        let step_ms = windows.step_ms();
        if self.spec.row_by_row {
            // As Flink takes them: the latest window of a row first.
            let ends = |span: WindowSpan| {
                std::iter::successors(Some(span.last), move |end| Some(end.earlier(step_ms)).filter(|&e| e >= span.first))
            };
            let (picks, ends): (Vec<u32>, Vec<EventTime>) =
                spans.into_iter().flat_map(|(row, span)| ends(span).map(move |end| (row, end))).unzip();
            if !picks.is_empty() {
                cx.out.push(Event::Rows(self.rows(rows, &picks.into(), &ends)?));
            }
            return Ok(());
        }
        let mut by_window: BTreeMap<EventTime, Vec<u32>> = BTreeMap::new();
        for (row, span) in spans {
            for end in (span.first.ms()..=span.last.ms()).step_by(step_ms as usize).map(EventTime::at) {
                by_window.entry(end).or_default().push(row);
            }
        }
        for (end, picks) in by_window {
            let ends = vec![end; picks.len()];
            let rows = self.rows(rows, &picks.into(), &ends)?;
            cx.out.push(Event::Rows(Rows { window_end: Some(end), ..rows }));
        }
        Ok(())
    }

    /// The picked rows with the windows that end at `ends`.
    fn rows(&self, rows: &Rows, picks: &UInt32Array, ends: &[EventTime]) -> Result<Rows, ArrowError> {
        let (windows, zone) = (&self.spec.windows, self.spec.zone.as_ref());
        let picked = rows.take(picks)?;
        let bound = |of: &dyn Fn(EventTime) -> EventTime, field: &FieldRef| -> ArrayRef {
            let times: TimestampMillisecondArray = ends.iter().map(|&end| Some(of(end).ms())).collect();
            Arc::new(times.with_data_type(field.data_type().clone()))
        };
        let column = |(column, field): (&AssignedColumn, &FieldRef)| match column {
            AssignedColumn::Input(i) => picked.batch.column(*i).clone(),
            AssignedColumn::WindowStart => bound(&|end| windows.start_of_window(end), field),
            AssignedColumn::WindowEnd => bound(&|end| end, field),
            AssignedColumn::WindowTime => bound(&|end| window_time(zone, end), field),
        };
        let columns = self.spec.columns.iter().zip(self.spec.output.fields()).map(column).collect();
        Ok(picked.with_batch(RecordBatch::try_new(self.spec.output.clone(), columns)?))
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
}
