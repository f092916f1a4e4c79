//! Which rows are due? Rows lie in buckets of time, in memory or in the store, until the watermark
//! reaches them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use super::{Frame, OverSpec};
use crate::operator::window::event_times_ms;
use crate::operator::window::rows::WindowRows;
use crate::operator::{Context, OperatorError, Rows};
use crate::state::KeyGroups;
use crate::state::store::{Changes, StateDb};
use crate::time::{EventTime, Watermark};

/// Columns that are added to a waiting row: its turn (time, then whether it is behind), its split,
/// its number there.
const MARKS: [&str; 4] = ["(turn)", "(behind)", "(split)", "(number)"];
/// Columns of an arrival behind its key: the watermark of its split, its time, its split, its
/// number there.
const ARRIVAL: [&str; 4] = ["(watermark)", "(time)", "(split)", "(number)"];
/// Width of a bucket: few rows are looked at again because only a part of their bucket was due.
const BUCKET_MS: i64 = 1000;

/// The turns of a batch of waiting rows, column by column.
pub(crate) struct Turns {
    pub turn_ms: Int64Array,
    pub behind: Int64Array,
    pub split: Int64Array,
    pub number: Int64Array,
}

impl Turns {
    /// Splits a batch of waiting rows into the rows and their turns.
    pub fn split_off(
        batch: &RecordBatch,
        spec: &OverSpec,
    ) -> Result<(RecordBatch, Turns), OperatorError> {
        let width = spec.input.fields().len();
        let mark = |i: usize| batch.column(width + i).as_primitive::<Int64Type>().clone();
        let turns = Turns { turn_ms: mark(0), behind: mark(1), split: mark(2), number: mark(3) };
        let rows = RecordBatch::try_new(spec.input.clone(), batch.columns()[..width].to_vec())?;
        Ok((rows, turns))
    }

    /// What rows are taken in order of, within a time.
    pub fn key(&self, row: usize) -> (i64, i64) {
        (self.turn_ms.value(row), self.behind.value(row))
    }

    pub(crate) fn is_behind(&self, row: usize) -> bool {
        self.behind.value(row) != 0
    }

    pub fn arrival(&self, row: usize) -> (u64, u64) {
        (self.split.value(row).cast_unsigned(), self.number.value(row).cast_unsigned())
    }
}

/// The schema of arrivals: the key, then what a row's arrival says.
pub(crate) fn arrival_schema(spec: &OverSpec) -> SchemaRef {
    let keys = spec.partition.iter().map(|&c| Arc::new(spec.input.field(c).clone()));
    let marks = ARRIVAL.iter().map(|name| Arc::new(Field::new(*name, DataType::Int64, true)));
    Arc::new(Schema::new(keys.chain(marks).collect::<Vec<_>>()))
}

/// The schema of waiting rows.
pub(crate) fn waiting_schema(input: &SchemaRef) -> SchemaRef {
    let marks = MARKS.iter().map(|name| Arc::new(Field::new(*name, DataType::Int64, true)));
    Arc::new(Schema::new(input.fields().iter().cloned().chain(marks).collect::<Vec<_>>()))
}

/// Where rows wait.
pub struct Waiting {
    /// By turn.
    rows: WindowRows,
    /// For frames of time: by the watermark that they arrived at.
    arrivals: Option<WindowRows>,
}

/// What is due together.
pub(crate) struct Due {
    pub rows: RecordBatch,
    /// Without columns where nothing is known of arrivals.
    pub arrivals: Option<RecordBatch>,
    /// Everything up to this time is over with it.
    pub limit: EventTime,
}

impl Waiting {
    pub fn new(spec: &OverSpec) -> Waiting {
        let rows =
            WindowRows::new(spec.operator, 0, waiting_schema(&spec.input), spec.partition.clone());
        let keys = (0..spec.partition.len()).collect();
        let arrivals = matches!(spec.frame, Frame::Range { .. })
            .then(|| WindowRows::new(spec.operator, 1, arrival_schema(spec), keys));
        Waiting { rows, arrivals }
    }

    /// Adds rows. Those whose turn is over are dropped and counted, with `drops_behind` also those
    /// that are behind.
    pub fn add(
        &mut self,
        spec: &OverSpec,
        drops_behind: bool,
        rows: &Rows,
        passed: Watermark,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let times = event_times_ms(rows.batch.column(spec.rowtime));
        let n = rows.len();
        let watermark_ms = |row: usize| rows.watermark(row).ms();
        let (mut turns, mut behind, mut kept) =
            (Vec::with_capacity(n), Vec::with_capacity(n), Vec::with_capacity(n));
        for (row, &ts) in times.iter().enumerate() {
            let is_behind = ts <= watermark_ms(row);
            let turn = ts.max(watermark_ms(row));
            let is_over = turn < passed.ms() || turn == passed.ms() && !is_behind;
            let is_dropped =
                is_behind && drops_behind && !(spec.first_only && ts == watermark_ms(row));
            if is_dropped {
                cx.counters.late_rows += 1;
            } else if is_over {
                cx.counters.late_by_fired_mark += 1;
            }
            turns.push(turn);
            behind.push(i64::from(is_behind));
            kept.push(!(is_dropped || is_over));
        }
        let numbers: Int64Array = match &rows.arrivals {
            Some(arrivals) => arrivals.numbers.iter().map(|&n| Some(n.cast_signed())).collect(),
            None => std::iter::repeat_n(Some(0), n).collect(),
        };
        let splits: ArrayRef = Arc::new(Int64Array::from(vec![rows.split.cast_signed(); n]));
        let numbers: ArrayRef = Arc::new(numbers);
        if let Some(arrivals) = &mut self.arrivals {
            let mut columns: Vec<ArrayRef> =
                spec.partition.iter().map(|&c| rows.batch.column(c).clone()).collect();
            let watermarks: Vec<i64> = (0..n).map(watermark_ms).collect();
            let buckets: Vec<EventTime> = watermarks.iter().map(|&w| bucket_end(w)).collect();
            columns.push(Arc::new(Int64Array::from(watermarks)));
            columns.push(Arc::new(Int64Array::from(times.to_vec())));
            columns.extend([splits.clone(), numbers.clone()]);
            let batch = RecordBatch::try_new(arrival_schema(spec), columns)?;
            deal(&batch, &buckets, &kept, arrivals)?;
        }
        let buckets: Vec<EventTime> = turns.iter().map(|&t| bucket_end(t)).collect();
        let mut columns: Vec<ArrayRef> = rows.batch.columns().to_vec();
        columns.push(Arc::new(Int64Array::from(turns)));
        columns.push(Arc::new(Int64Array::from(behind)));
        columns.extend([splits, numbers]);
        let batch = RecordBatch::try_new(waiting_schema(&spec.input), columns)?;
        deal(&batch, &buckets, &kept, &mut self.rows)
    }

    /// Takes what is due of the first bucket that has anything due.
    pub(crate) fn next_due(
        &mut self,
        spec: &OverSpec,
        watermark: Watermark,
        cx: &Context<'_>,
    ) -> Result<Option<Due>, OperatorError> {
        let watermark_ms = watermark.ms();
        let (mut skipped_rows, mut skipped_arrivals, mut found) = (vec![], vec![], None);
        while let Some(end) = self.first().filter(|end| end.earlier(BUCKET_MS) <= watermark.time())
        {
            let width = spec.input.fields().len();
            let is_due = |batch: &RecordBatch, row: usize| {
                let turn = batch.column(width).as_primitive::<Int64Type>().value(row);
                let behind = batch.column(width + 1).as_primitive::<Int64Type>().value(row);
                turn < watermark_ms || turn == watermark_ms && behind == 0
            };
            let rows = take_due(end, watermark, &mut self.rows, is_due, &mut skipped_rows, cx)?;
            let keys = spec.partition.len();
            let has_arrived = |batch: &RecordBatch, row: usize| {
                batch.column(keys).as_primitive::<Int64Type>().value(row) < watermark_ms
            };
            let arrivals = match &mut self.arrivals {
                Some(from) => {
                    Some(take_due(end, watermark, from, has_arrived, &mut skipped_arrivals, cx)?)
                }
                None => None,
            };
            if rows.num_rows() + arrivals.as_ref().map_or(0, RecordBatch::num_rows) > 0 {
                found = Some(Due { rows, arrivals, limit: watermark.time().min(end.earlier(1)) });
                break;
            }
        }
        skipped_rows.into_iter().for_each(|(end, rest)| self.rows.add(end, rest));
        if let Some(arrivals) = &mut self.arrivals {
            skipped_arrivals.into_iter().for_each(|(end, rest)| arrivals.add(end, rest));
        }
        Ok(found)
    }

    fn first(&self) -> Option<EventTime> {
        self.rows
            .first()
            .into_iter()
            .chain(self.arrivals.as_ref().and_then(WindowRows::first))
            .min()
    }

    fn all(&mut self) -> impl Iterator<Item = &mut WindowRows> {
        std::iter::once(&mut self.rows).chain(&mut self.arrivals)
    }

    pub(crate) fn freeze(&mut self) {
        self.all().for_each(WindowRows::freeze);
    }

    pub fn write_frozen(
        &mut self,
        generation: &mut u32,
        changes: &mut Changes,
    ) -> Result<bool, OperatorError> {
        let mut done = true;
        for rows in self.all() {
            done &= rows.write_frozen(generation, changes)?;
        }
        Ok(done)
    }

    pub(crate) fn spill(
        &mut self,
        generation: &mut u32,
        changes: &mut Changes,
    ) -> Result<bool, OperatorError> {
        for rows in self.all() {
            if rows.spill(generation, changes)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn restore(&mut self, db: &StateDb) -> Result<(), OperatorError> {
        self.all().try_for_each(|rows| rows.restore(db))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.rows.memory_bytes() + self.arrivals.as_ref().map_or(0, WindowRows::memory_bytes)
    }
}

fn bucket_end(ms: i64) -> EventTime {
    EventTime::at(ms.div_euclid(BUCKET_MS).saturating_add(1).saturating_mul(BUCKET_MS))
}

/// Puts the rows that are kept into their buckets.
fn deal(
    batch: &RecordBatch,
    buckets: &[EventTime],
    kept: &[bool],
    into: &mut WindowRows,
) -> Result<(), OperatorError> {
    let mut ends: Vec<EventTime> =
        buckets.iter().zip(kept).filter(|(_, kept)| **kept).map(|(b, _)| *b).collect();
    ends.sort_unstable();
    ends.dedup();
    for end in ends {
        let mask: BooleanArray =
            buckets.iter().zip(kept).map(|(b, kept)| Some(*kept && *b == end)).collect();
        let part = if mask.true_count() == batch.num_rows() {
            batch.clone()
        } else {
            filter_record_batch(batch, &mask)?
        };
        into.add(end, part);
    }
    Ok(())
}

/// Takes the due rows out of a bucket; the others go to `skipped`.
fn take_due(
    end: EventTime,
    watermark: Watermark,
    from: &mut WindowRows,
    is_due: impl Fn(&RecordBatch, usize) -> bool,
    skipped: &mut Vec<(EventTime, RecordBatch)>,
    cx: &Context<'_>,
) -> Result<RecordBatch, OperatorError> {
    let all = from.read(end, KeyGroups::ALL, cx.db)?;
    from.remove_own(end, cx.db)?;
    let due: BooleanArray = (0..all.num_rows())
        .map(|row| Some(watermark == Watermark::END || is_due(&all, row)))
        .collect();
    if due.true_count() == all.num_rows() {
        return Ok(all);
    }
    let rest = not(&due).and_then(|rest| filter_record_batch(&all, &rest))?;
    skipped.push((end, rest));
    filter_record_batch(&all, &due).map_err(OperatorError::from)
}
