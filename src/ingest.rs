//! From raw records of one split to rows with watermarks.
//!
//! Unpack, decode, compute the table's columns, and run the WATERMARK expression over the rows:
//! each row is marked with the split's watermark before it, as if a watermark had been sent after
//! every record. Called by `worker` for every batch it polls.
//!
//! A watermark at or before 1970-01-01 is never sent (Flink's W2), so nothing is late before the
//! epoch. A row without a rowtime is diverted (W8 would fail the job).

mod origins;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, TimestampMillisecondArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{
    DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion_physical_expr::PhysicalExpr;

use crate::engine_words;
use crate::format::{BadRecord, Decoder};
use crate::operator::Rows;
use crate::operator::event::Arrivals;
use crate::record::{Places, RawBatch, Unusable};
use crate::rows::batch_of;
use crate::sql::functions::clock;
use crate::sql::hints;
use crate::time::Watermark;
use crate::unpack::{Counts, Unpack, Unpacked};
use origins::Origins;

/// How rows of a source table are made, resolved.
#[derive(Clone)]
pub struct IngestSpec {
    pub table: String,
    /// Columns of the table that the query uses, computed from the decoder's.
    pub columns: Vec<Arc<dyn PhysicalExpr>>,
    pub schema: SchemaRef,
    pub watermark: Option<WatermarkSpec>,
    /// Rows are marked with when they arrived: some function of the job goes by it.
    pub marks_arrival: bool,
    /// Some column is computed from the time of day, which follows the decoded columns.
    pub reads_clock: bool,
}

/// What is known of a split before a batch.
#[derive(Debug, Clone, Copy)]
pub struct SplitMarks {
    pub watermark: Watermark,
    /// Rows that it gave so far.
    pub rows: u64,
}

#[derive(Clone)]
pub struct WatermarkSpec {
    /// Index of the rowtime among the columns.
    pub rowtime: usize,
    pub expression: WatermarkExpression,
}

/// A WATERMARK expression over the table's columns.
#[derive(Clone)]
pub enum WatermarkExpression {
    /// The rowtime minus a constant: nearly all of them.
    Delay {
        delay_ms: i64,
    },
    General(Arc<dyn PhysicalExpr>),
    /// None before the end of input: batch mode. No row is late.
    AtEnd,
}

/// What came of a raw batch.
pub struct Ingested {
    pub rows: Rows,
    /// The split's watermark after the batch, ms.
    pub watermark: Watermark,
    /// What the steps could not open.
    unopened: Vec<Unusable<'static>>,
    /// What came of the last step, and what in it could not be read.
    raw: RawBatch,
    bad: Vec<BadRecord>,
    /// Records, and parts of records, that the table's format ignores.
    pub skipped: u64,
    /// Fields that are NULL for the same reason.
    pub nulled: u64,
    /// What the steps have to tell.
    pub counts: Counts,
}

impl Ingested {
    /// All that nothing was made of, step by step.
    pub fn unusable(&self) -> impl Iterator<Item = Unusable<'_>> {
        self.unopened.iter().cloned().chain(self.bad.iter().map(|bad| bad.of(&self.raw)))
    }
}

/// What makes rows of a table's records.
pub struct Decoding {
    /// In their order, before the decoder.
    pub steps: Vec<Box<dyn Unpack>>,
    pub decoder: Box<dyn Decoder>,
    /// How far a row's time may lie ahead of its record's arrival: one that is further ahead would
    /// drag the watermark along, and close windows before their rows come. None: any way.
    pub ahead_max_ms: Option<i64>,
}

impl Decoding {
    /// The batch that the decoder is to read, and what could not be opened.
    fn unpack(&mut self, raw: RawBatch) -> Unpacked {
        let unpacked = Unpacked { raw, ..Unpacked::default() };
        self.steps.iter_mut().fold(unpacked, |mut before, step| {
            let Unpacked { raw, unusable, counts } = step.unpack(before.raw);
            before.unusable.extend(unusable);
            before.counts.add(counts);
            Unpacked { raw, ..before }
        })
    }
}

pub struct Ingest {
    pub spec: IngestSpec,
    decoding: Decoding,
}

impl Ingest {
    pub fn new(spec: IngestSpec, decoding: Decoding) -> Ingest {
        Ingest { spec, decoding }
    }

    /// Records to be taken at a time, of at most so many.
    pub(crate) fn records_max(&self, most: usize) -> usize {
        self.decoding.steps.iter().filter_map(|step| step.records_max()).fold(most, usize::min)
    }

    /// `now_ms` is the time of day, for computed columns that ask for it.
    pub fn run(
        &mut self,
        raw: RawBatch,
        split: SplitMarks,
        now_ms: i64,
    ) -> Result<Ingested, String> {
        let Unpacked { raw, unusable: unopened, counts } = self.decoding.unpack(raw);
        let decoded = self.decoding.decoder.decode(&raw);
        let (mut bad, nulled) = (decoded.bad, decoded.nulled);
        let skipped = decoded.skipped + counts.skipped;
        let mut origins = Origins { records: decoded.record_of_row, parts: decoded.parts };
        let mut batch = decoded.batch;
        if raw.ops.is_some() && !bad.is_empty() {
            let whole = origins.in_whole_messages(&raw.places, &mut bad, batch.num_rows());
            let whole = BooleanArray::from(whole);
            batch = filter_record_batch(&batch, &whole).map_err(|e| e.to_string())?;
            origins = origins.filter(&whole);
        }
        loop {
            match self.columns(&batch, now_ms) {
                Ok(columns) => {
                    let (rows, watermark) = self.mark(columns, split, &raw, &mut bad, &origins)?;
                    return Ok(Ingested {
                        rows,
                        watermark,
                        unopened,
                        raw,
                        bad,
                        skipped,
                        nulled,
                        counts,
                    });
                }
                // A computed column refuses some row: find those and go on without them.
                Err(reason) if batch.num_rows() > 0 => {
                    let mask = BooleanArray::from(
                        self.readable(&batch, now_ms, &reason, &mut bad, &origins),
                    );
                    batch = filter_record_batch(&batch, &mask).map_err(|e| e.to_string())?;
                    origins = origins.filter(&mask);
                }
                Err(reason) => return Err(reason),
            }
        }
    }

    /// The first watermark that these records lead to, if any can be read: for a split that is not
    /// open yet.
    pub(crate) fn first_watermark(&mut self, raw: RawBatch) -> Option<Watermark> {
        let raw = self.decoding.unpack(raw).raw;
        let decoded = self.decoding.decoder.decode(&raw);
        let unread = SplitMarks { watermark: Watermark::NONE, rows: 0 };
        let whole = Origins { records: None, parts: None };
        for row in 0..decoded.batch.num_rows() {
            // The time of day is no time of a record.
            let one = self.columns(&decoded.batch.slice(row, 1), 0);
            if let Ok(columns) = one
                && let Ok((rows, watermark)) =
                    self.mark(columns, unread, &raw, &mut Vec::new(), &whole)
                && rows.batch.num_rows() == 1
            {
                return Some(watermark);
            }
        }
        None
    }

    fn columns(&self, batch: &RecordBatch, now_ms: i64) -> Result<RecordBatch, String> {
        let n = batch.num_rows();
        let with_clock = self
            .spec
            .reads_clock
            .then(|| with_clock(batch, now_ms))
            .transpose()
            .map_err(|e| e.to_string())?;
        let batch = with_clock.as_ref().unwrap_or(batch);
        let columns = self
            .spec
            .columns
            .iter()
            .map(|e| e.evaluate(batch)?.into_array(n))
            .collect::<Result<Vec<ArrayRef>, _>>();
        let columns = columns.map_err(|e| engine_words::reason(&e))?;
        batch_of(self.spec.schema.clone(), columns, n).map_err(|e| e.to_string())
    }

    fn readable(
        &self,
        batch: &RecordBatch,
        now_ms: i64,
        reason: &str,
        bad: &mut Vec<BadRecord>,
        origins: &Origins,
    ) -> Vec<bool> {
        let keep =
            (0..batch.num_rows()).map(|row| match self.columns(&batch.slice(row, 1), now_ms) {
                Ok(_) => true,
                Err(e) => {
                    bad.push(origins.bad(row, format!("computed column: {e}")));
                    false
                }
            });
        let keep: Vec<bool> = keep.collect();
        if keep.iter().all(|&k| k) {
            // No row fails alone: give up on all rather than go round for ever.
            bad.extend((0..keep.len()).map(|row| origins.bad(row, reason.to_string())));
            return vec![false; keep.len()];
        }
        keep
    }

    /// Marks every row with the watermark before it; diverts rows without a rowtime, and those whose
    /// rowtime is too far ahead of their arrival.
    fn mark(
        &self,
        batch: RecordBatch,
        split: SplitMarks,
        raw: &RawBatch,
        bad: &mut Vec<BadRecord>,
        origins: &Origins,
    ) -> Result<(Rows, Watermark), String> {
        let start_ms = split.watermark.ms();
        let Some(spec) = &self.spec.watermark else {
            let times = vec![start_ms; batch.num_rows()];
            let rows = Rows { ops: origins.ops(raw, 0..batch.num_rows()), ..Rows::new(batch) };
            return Ok((self.with_arrivals(rows, split.rows, times), split.watermark));
        };
        let rowtime = batch.column(spec.rowtime);
        let values = match &spec.expression {
            WatermarkExpression::Delay { delay_ms } => {
                times_ms(rowtime).map(|v| v.map(|v| v.saturating_sub(*delay_ms))).collect()
            }
            WatermarkExpression::AtEnd => vec![None; batch.num_rows()],
            WatermarkExpression::General(e) => {
                let column = e
                    .evaluate(&batch)
                    .and_then(|v| v.into_array(batch.num_rows()))
                    .map_err(|e| engine_words::reason(&e))?;
                times_ms(&column).collect::<Vec<Option<i64>>>()
            }
        };
        let ahead = self.too_far_ahead(rowtime, &raw.places, origins);
        let is_usable = |row: usize| {
            rowtime.is_valid(row) && ahead.as_ref().is_none_or(|ahead| ahead[row].is_none())
        };
        let mut current = start_ms;
        let mut marks = Vec::with_capacity(values.len());
        for (row, value) in values.iter().enumerate() {
            marks.push(current);
            if let Some(value) = value
                && *value > 0
                && is_usable(row)
            {
                current = current.max(*value);
            }
        }
        debug_assert!(
            current >= start_ms && marks.is_sorted(),
            "the watermark of a split goes back"
        );
        let after = || marks.iter().skip(1).copied().chain(std::iter::once(current));
        if rowtime.null_count() == 0 && ahead.is_none() {
            let times = if self.spec.marks_arrival { after().collect() } else { vec![] };
            let ops = origins.ops(raw, 0..batch.num_rows());
            let rows = Rows { watermarks_ms: Some(marks.into()), ops, ..Rows::new(batch) };
            return Ok((self.with_arrivals(rows, split.rows, times), Watermark::at(current)));
        }
        let name = self.spec.schema.field(spec.rowtime).name();
        for row in (0..batch.num_rows()).filter(|&r| rowtime.is_null(r)) {
            bad.push(origins.bad(row, format!("rowtime column {name} is NULL")));
        }
        for (row, lead) in ahead.iter().flatten().enumerate() {
            if let Some(lead_ms) = lead {
                bad.push(origins.bad(row, self.ahead_in_words(name, *lead_ms)));
            }
        }
        let keep = BooleanArray::from_iter((0..batch.num_rows()).map(|r| Some(is_usable(r))));
        let ops = origins.ops(raw, (0..batch.num_rows()).filter(|r| is_usable(*r)));
        let times = after().enumerate().filter(|(r, _)| is_usable(*r)).map(|(_, m)| m).collect();
        let marks: Vec<i64> =
            marks.into_iter().enumerate().filter(|(r, _)| is_usable(*r)).map(|(_, m)| m).collect();
        let batch = filter_record_batch(&batch, &keep).map_err(|e| e.to_string())?;
        let rows = Rows { watermarks_ms: Some(marks.into()), ops, ..Rows::new(batch) };
        Ok((self.with_arrivals(rows, split.rows, times), Watermark::at(current)))
    }

    /// For each row, how far its time lies ahead of its record's arrival if that is too far, ms. None
    /// if no row's does.
    fn too_far_ahead(
        &self,
        rowtime: &ArrayRef,
        places: &Places,
        origins: &Origins,
    ) -> Option<Vec<Option<i64>>> {
        let most_ms = self.decoding.ahead_max_ms.filter(|_| places.have_arrivals())?;
        let lead_ms = |(row, time_ms): (usize, Option<i64>)| {
            let record = origins.records.as_ref().map_or(row, |r| r[row] as usize);
            let lead_ms = time_ms?.saturating_sub(places.arrived_ms(record)?);
            (lead_ms > most_ms).then_some(lead_ms)
        };
        let leads: Vec<Option<i64>> = times_ms(rowtime).enumerate().map(lead_ms).collect();
        leads.iter().any(Option::is_some).then_some(leads)
    }

    fn ahead_in_words(&self, rowtime: &str, lead_ms: i64) -> String {
        let most_ms = self.decoding.ahead_max_ms.unwrap_or_default();
        format!(
            "rowtime column {rowtime} lies {lead_ms} ms ahead of the record's arrival, more than the {most_ms} ms that \
             'paceline.{}.max-ahead' allows",
            hints::base_name(&self.spec.table)
        )
    }

    /// Numbers the rows, where the job needs that, from `first` on.
    fn with_arrivals(&self, rows: Rows, first: u64, times_ms: Vec<i64>) -> Rows {
        if !self.spec.marks_arrival {
            return rows;
        }
        let numbers = (first..first + rows.len() as u64).collect();
        Rows { arrivals: Some(Arrivals { times_ms: times_ms.into(), numbers }), ..rows }
    }
}

/// A batch with the time of day as its last column.
fn with_clock(batch: &RecordBatch, now_ms: i64) -> Result<RecordBatch, ArrowError> {
    let now = TimestampMillisecondArray::from_value(now_ms, batch.num_rows())
        .with_data_type(clock::now_type());
    let known = batch.schema();
    let fields =
        known.fields().iter().cloned().chain([Arc::new(Field::new(NOW, clock::now_type(), false))]);
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(
        schema,
        batch.columns().iter().cloned().chain([Arc::new(now) as ArrayRef]).collect(),
    )
}

/// The name of the column with the time of day. No SQL column can be called that.
pub const NOW: &str = "(now)";

/// A timestamp column as ms, fractions floored.
fn times_ms(column: &ArrayRef) -> Box<dyn Iterator<Item = Option<i64>> + '_> {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => Box::new(
            column
                .as_primitive::<TimestampMicrosecondType>()
                .iter()
                .map(|v| v.map(|v| v.div_euclid(1000))),
        ),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Box::new(
            column
                .as_primitive::<TimestampNanosecondType>()
                .iter()
                .map(|v| v.map(|v| v.div_euclid(1_000_000))),
        ),
        _ => Box::new(column.as_primitive::<TimestampMillisecondType>().iter()),
    }
}
