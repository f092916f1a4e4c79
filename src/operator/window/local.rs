//! Aggregation before the exchange: rows of this worker's splits become partial aggregates per window and key.
//!
//! What always holds: before a watermark or a barrier is passed on, everything it covers has been sent; so nothing of this
//! operator is in a checkpoint. Windows that the watermark does not close stay here, where they shrink what is sent.

use std::collections::BTreeMap;

use arrow::array::UInt32Array;

use super::slice::{WindowKind, WindowSpan};
use super::table::{KeyedRows, WindowTables};
use super::{WindowAggregateSpec, Windows, local_times, local_watermark, local_watermarks};
use crate::operator::window::event_times_ms;
use crate::operator::{Context, Event, Operator, OperatorError, Partials, Rows};
use crate::time::{EventTime, Watermark};

/// Accumulators held here before they are sent early: large against one window's keys.
const HELD_BYTES_MAX: usize = 32 << 20;
/// The share of the memory that is left which they may take: the windows behind the exchange need the most of it.
const HELD_SHARE: usize = 4;

pub struct LocalAggregate {
    spec: WindowAggregateSpec,
    open: BTreeMap<WindowSpan, WindowTables>,
}

impl LocalAggregate {
    pub fn new(spec: WindowAggregateSpec) -> LocalAggregate {
        LocalAggregate { spec, open: BTreeMap::new() }
    }

    fn send_until(&mut self, watermark: Watermark, out: &mut Vec<Event>) -> Result<(), OperatorError> {
        while let Some(entry) = self.open.first_entry() {
            if !watermark.closes(entry.key().first) {
                break;
            }
            let (span, tables) = entry.remove_entry();
            tables.each_partials(|entries| {
                out.push(Event::Partials(Partials { span, entries }));
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl Operator for LocalAggregate {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) => {
                cx.counters.late_rows += fold_rows(&self.spec, &rows, None, &mut self.open)?;
                let held_bytes = self.memory_bytes();
                if held_bytes > HELD_BYTES_MAX.min((cx.room_bytes + held_bytes) / HELD_SHARE) {
                    self.send_until(Watermark::END, cx.out)?;
                }
            }
            Event::Watermark(w) => {
                self.send_until(local_watermark(self.spec.zone.as_ref(), w), cx.out)?;
                cx.out.push(Event::Watermark(w));
            }
            tick @ Event::Tick(_) => cx.out.push(tick),
            Event::Barrier(epoch) => {
                self.send_until(Watermark::END, cx.out)?;
                cx.out.push(Event::Barrier(epoch));
            }
            partials @ Event::Partials(_) => cx.out.push(partials),
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.open.values().map(WindowTables::memory_bytes).sum()
    }
}

/// Folds a batch into the tables of the windows its rows enter; returns the number of late rows. `fired_mark` is that
/// of the operator, where the tables are those that fire.
pub(super) fn fold_rows(
    spec: &WindowAggregateSpec,
    rows: &Rows,
    fired_mark: Option<Watermark>,
    tables: &mut BTreeMap<WindowSpan, WindowTables>,
) -> Result<u64, OperatorError> {
    let n = rows.batch.num_rows();
    if n == 0 {
        return Ok(0);
    }
    if spec.windows.kind == WindowKind::Fired {
        // The window fired before the watermark that closes it was passed on: its rows are in time.
        if let Some(end) = rows.window_end {
            let span = WindowSpan { first: end, last: end };
            let tables = tables.entry(span).or_insert_with(|| WindowTables::new(spec));
            tables.update(spec, &KeyedRows::new(spec.key_types.len(), rows), span);
        }
        return Ok(0);
    }
    let zone = spec.zone.as_ref();
    let times = local_times(zone, event_times_ms(rows.batch.column(0)));
    let watermarks = local_watermarks(zone, rows.watermarks_ms.as_ref());
    let (spans, late) = open_spans(&spec.windows, &times, watermarks.as_deref(), fired_mark);
    let first = spans[0];
    if first != NONE && spans.iter().all(|&span| span == first) {
        let input = KeyedRows::new(spec.key_types.len(), rows);
        tables.entry(first).or_insert_with(|| WindowTables::new(spec)).update(spec, &input, first);
        return Ok(0);
    }
    // The batch touches several spans: one pass for each.
    let mut by_span: BTreeMap<WindowSpan, Vec<u32>> = BTreeMap::new();
    for (row, &span) in spans.iter().enumerate() {
        if span != NONE {
            by_span.entry(span).or_default().push(row as u32);
        }
    }
    for (span, picks) in by_span {
        let part = rows.take(&UInt32Array::from(picks))?;
        tables.entry(span).or_insert_with(|| WindowTables::new(spec)).update(
            spec,
            &KeyedRows::new(spec.key_types.len(), &part),
            span,
        );
    }
    Ok(late)
}

/// The span of a row that enters no window: late for all of them, or between them. No window ends then, and an option would make
/// the list of spans half as large again.
const NONE: WindowSpan = WindowSpan { first: EventTime::MIN, last: EventTime::MIN };

/// The open windows of each row, and how many rows are late.
fn open_spans(
    windows: &Windows,
    times: &[i64],
    watermarks: Option<&[i64]>,
    fired_mark: Option<Watermark>,
) -> (Vec<WindowSpan>, u64) {
    debug_assert!(watermarks.is_none_or(|w| w.is_sorted()), "the watermark of a split goes back within a batch");
    let mut spans: Vec<WindowSpan> = times.iter().map(|&ts| windows.span(EventTime::at(ts)).unwrap_or(NONE)).collect();
    let fired_mark = fired_mark.unwrap_or(Watermark::NONE);
    let highest = watermarks.and_then(|w| w.last()).map_or(fired_mark, |&ms| fired_mark.max(Watermark::at(ms)));
    let earliest = spans.iter().map(|s| s.first).min().unwrap_or(EventTime::MAX);
    // Watermarks only grow: if the last one closes no window of the batch, no earlier one does.
    if !highest.closes(earliest) {
        return (spans, 0);
    }
    let mut late = 0;
    for (row, span) in spans.iter_mut().enumerate().filter(|(_, span)| **span != NONE) {
        let watermark = watermarks.map_or(fired_mark, |w| fired_mark.max(Watermark::at(w[row])));
        *span = windows.open(*span, watermark).unwrap_or_else(|| {
            late += 1;
            NONE
        });
    }
    (spans, late)
}
