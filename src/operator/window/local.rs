//! Aggregation before the exchange: rows of this worker's splits become partial aggregates per window and key.
//!
//! What always holds: before a watermark or a barrier is passed on, everything it covers has been sent; so nothing of this
//! operator is in a checkpoint. Windows that the watermark does not close stay here, where they shrink what is sent.

use std::collections::BTreeMap;

use arrow::array::UInt32Array;

use super::slice::{Slot, WindowKind};
use super::table::{Input, WindowTables};
use super::{WindowAggregateSpec, Windows, local_times, local_watermark, local_watermarks};
use crate::operator::window::event_times_ms;
use crate::operator::{Context, Event, Operator, OperatorError, Rows};

/// Accumulators held here before they are sent early: large against one window's keys.
const HELD_BYTES_MAX: usize = 32 << 20;
/// The share of the memory that is left which they may take: the windows behind the exchange need the most of it.
const HELD_SHARE: usize = 4;

pub struct LocalAggregate {
    spec: WindowAggregateSpec,
    open: BTreeMap<Slot, WindowTables>,
}

impl LocalAggregate {
    pub fn new(spec: WindowAggregateSpec) -> LocalAggregate {
        LocalAggregate { spec, open: BTreeMap::new() }
    }

    fn send_until(&mut self, watermark_ms: i64, out: &mut Vec<Event>) -> Result<(), OperatorError> {
        while let Some(entry) = self.open.first_entry() {
            if entry.key().first > watermark_ms.saturating_add(1) {
                break;
            }
            let (slot, tables) = entry.remove_entry();
            tables.each_partials(slot, |partials| {
                out.push(Event::Partials(partials));
                Ok::<_, OperatorError>(())
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
                    self.send_until(i64::MAX, cx.out)?;
                }
            }
            Event::Watermark(w) => {
                self.send_until(local_watermark(self.spec.zone.as_ref(), w), cx.out)?;
                cx.out.push(Event::Watermark(w));
            }
            tick @ Event::Tick(_) => cx.out.push(tick),
            Event::Barrier(epoch) => {
                self.send_until(i64::MAX, cx.out)?;
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

/// Folds a batch into the tables of the windows its rows enter; returns the number of late rows. `fired_mark_ms` is that
/// of the operator, where the tables are those that fire.
pub(super) fn fold_rows(
    spec: &WindowAggregateSpec,
    rows: &Rows,
    fired_mark_ms: Option<i64>,
    tables: &mut BTreeMap<Slot, WindowTables>,
) -> Result<u64, OperatorError> {
    let n = rows.batch.num_rows();
    if n == 0 {
        return Ok(0);
    }
    if spec.windows.kind == WindowKind::Fired {
        // The window fired before the watermark that closes it was passed on: its rows are in time.
        if let Some(end) = rows.window_end_ms {
            let slot = Slot { first: end, last: end };
            let tables = tables.entry(slot).or_insert_with(|| WindowTables::new(spec));
            tables.update(spec, &Input::new(spec.key_types.len(), rows), slot);
        }
        return Ok(0);
    }
    let zone = spec.zone.as_ref();
    let times = local_times(zone, event_times_ms(rows.batch.column(0)));
    let watermarks = local_watermarks(zone, rows.watermarks_ms.as_ref());
    let (slots, late) = open_slots(&spec.windows, &times, watermarks.as_deref(), fired_mark_ms);
    let first = slots[0];
    if first != NONE && slots.iter().all(|&slot| slot == first) {
        let input = Input::new(spec.key_types.len(), rows);
        tables.entry(first).or_insert_with(|| WindowTables::new(spec)).update(spec, &input, first);
        return Ok(0);
    }
    // The batch touches several slots: one pass for each.
    let mut by_slot: BTreeMap<Slot, Vec<u32>> = BTreeMap::new();
    for (row, &slot) in slots.iter().enumerate() {
        if slot != NONE {
            by_slot.entry(slot).or_default().push(row as u32);
        }
    }
    for (slot, picks) in by_slot {
        let part = rows.take(&UInt32Array::from(picks))?;
        tables.entry(slot).or_insert_with(|| WindowTables::new(spec)).update(
            spec,
            &Input::new(spec.key_types.len(), &part),
            slot,
        );
    }
    Ok(late)
}

/// The slot of a row that enters no window: late for all of them, or between them.
const NONE: Slot = Slot { first: i64::MIN, last: i64::MIN };

/// The open windows of each row, and how many rows are late.
fn open_slots(windows: &Windows, times: &[i64], watermarks: Option<&[i64]>, fired_mark: Option<i64>) -> (Vec<Slot>, u64) {
    let mut slots: Vec<Slot> = times.iter().map(|&ts| windows.slot(ts).unwrap_or(NONE)).collect();
    let highest = watermarks.and_then(|w| w.last().copied()).unwrap_or(i64::MIN).max(fired_mark.unwrap_or(i64::MIN));
    let earliest = slots.iter().map(|s| s.first).min().unwrap_or(i64::MAX);
    // Watermarks only grow: if the last one closes no window of the batch, no earlier one does.
    if highest < earliest.saturating_sub(1) {
        return (slots, 0);
    }
    let mut late = 0;
    for (row, slot) in slots.iter_mut().enumerate().filter(|(_, slot)| **slot != NONE) {
        let watermark = watermarks.map_or(i64::MIN, |w| w[row]).max(fired_mark.unwrap_or(i64::MIN));
        *slot = windows.open(*slot, watermark).unwrap_or_else(|| {
            late += 1;
            NONE
        });
    }
    (slots, late)
}
