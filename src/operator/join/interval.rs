//! The interval join: rows of two inputs whose times lie within bounds of each other.
//!
//! A row is joined with what is there when it comes, and waits for the rest until its own time plus
//! the bound has passed. With `lower <= left.time - right.time <= upper`, a left row is needed
//! until `left.time - lower`, a right one until `right.time + upper`. Rows that come late are
//! joined like any others, as in Flink, by a rule that does not depend on how splits interleave:
//!
//! ```text
//! joined(l, r) = the condition holds, and watermark of l's split before l <= r is needed until,
//!                                     and watermark of r's split before r <= l is needed until
//! ```
//!
//! The watermark leaves later by the longest that a row can have waited: what comes out is never
//! late.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::filter_record_batch;

use super::JoinSpec;
use super::columns::picked;
use super::due::{BUCKET_MS, DueKeys};
use super::held::HeldRow;
use super::waiting::Waiting;
use crate::operator::calc::condition_mask;
use crate::operator::window::event_times_ms;
use crate::operator::{Context, Event, Operator, OperatorError, Rows, State, Steps};
use crate::state::key::{KeyBuf, encode_keys, hash_key};
use crate::time::{EventTime, Watermark};

/// The bounds of an interval join: `lower_ms <= left time - right time <= upper_ms`.
#[derive(Debug, Clone)]
pub struct Interval {
    pub lower_ms: i64,
    pub upper_ms: i64,
    /// The rowtime of each input.
    pub rowtimes: [usize; 2],
}

impl Interval {
    /// Until when a row of an input is needed.
    fn until(&self, input: usize, time: EventTime) -> EventTime {
        if input == 0 { time.earlier(self.lower_ms) } else { time.later(self.upper_ms) }
    }

    /// Times of the other input's rows that a row can be joined with.
    fn others(&self, input: usize, time: EventTime) -> std::ops::RangeInclusive<EventTime> {
        let (lower, upper) = if input == 0 {
            (-self.upper_ms, -self.lower_ms)
        } else {
            (self.lower_ms, self.upper_ms)
        };
        time.later(lower)..=time.later(upper)
    }

    /// How much later the watermark leaves.
    fn delay_ms(&self) -> i64 {
        self.lower_ms.abs().max(self.upper_ms.abs()) + BUCKET_MS
    }
}

/// The mark of a row that has come out with another one.
const MATCHED: u8 = 1;
/// Pairs that are looked at together.
const STEP_PAIRS: usize = 65_536;

pub(crate) struct IntervalJoin {
    spec: JoinSpec,
    interval: Interval,
    /// Keys are due at the time at which something of theirs is no longer needed.
    waiting: Waiting,
}

/// Pairs of rows of a batch and rows that wait.
#[derive(Default)]
struct Candidates {
    /// Row of the batch, and the other's key (as a row of the batch), time and place.
    pairs: Vec<(u32, EventTime, usize)>,
    others: Vec<Box<[u8]>>,
}

impl IntervalJoin {
    pub fn new(spec: JoinSpec, interval: Interval) -> IntervalJoin {
        let waiting = Waiting::new(&spec);
        IntervalJoin { spec, interval, waiting }
    }

    fn join(&mut self, rows: &Rows, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let input = usize::from(rows.input & 1);
        let key_columns: Vec<ArrayRef> =
            self.spec.keys[input].iter().map(|&c| rows.batch.column(c).clone()).collect();
        let mut keys = KeyBuf::default();
        encode_keys(&key_columns, rows.len(), &mut keys);
        let hashes: Vec<u64> = keys.iter().map(hash_key).collect();
        self.waiting.held.load(&keys, &hashes, cx.now_ms, cx.db)?;
        let mut encoded = KeyBuf::default();
        encode_keys(rows.batch.columns(), rows.len(), &mut encoded);
        let times = event_times_ms(rows.batch.column(self.interval.rowtimes[input]));
        let mut matched = vec![false; rows.len()];
        let mut found = Candidates::default();
        for row in 0..rows.len() {
            // NULL is equal to nothing.
            if key_columns.iter().any(|c| c.is_null(row)) {
                continue;
            }
            let time = EventTime::at(times[row]);
            let until = self.interval.until(input, time);
            let range = self.interval.others(input, time);
            let Some(held) =
                self.waiting.held.get(keys.get(row)).filter(|_| range.start() <= range.end())
            else {
                continue;
            };
            for (&time, others) in held.inputs[1 - input].range(range) {
                let in_reach = rows.watermark(row).time() <= self.interval.until(1 - input, time);
                for (place, other) in others
                    .iter()
                    .enumerate()
                    .filter(|(_, o)| in_reach && o.watermark.time() <= until)
                {
                    found.pairs.push((row as u32, time, place));
                    found.others.push(other.row.clone());
                }
            }
            if found.pairs.len() >= STEP_PAIRS {
                self.emit(rows, input, &keys, std::mem::take(&mut found), &mut matched, cx)?;
            }
        }
        self.emit(rows, input, &keys, found, &mut matched, cx)?;
        self.hold(rows, input, &keys, &encoded, &times, &matched, cx)
    }

    /// Sends the pairs for which the condition holds, and marks their rows.
    fn emit(
        &mut self,
        rows: &Rows,
        input: usize,
        keys: &KeyBuf,
        found: Candidates,
        matched: &mut [bool],
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        if found.pairs.is_empty() {
            return Ok(());
        }
        let picks: UInt32Array = found.pairs.iter().map(|(row, ..)| *row).collect();
        let own = picked(rows.batch.columns(), &picks)?;
        let other = self.spec.decoded(1 - input, found.others.iter().map(AsRef::as_ref))?;
        let both = self.spec.side_by_side(input, own, other)?;
        let holds = match &self.spec.condition {
            Some(condition) => condition_mask(condition, &both, cx),
            None => BooleanArray::from(vec![true; both.num_rows()]),
        };
        for (_, &(row, time, place)) in
            found.pairs.iter().enumerate().filter(|(i, _)| holds.value(*i))
        {
            matched[row as usize] = true;
            let key = keys.get(row as usize);
            if let Some(mut held) = self.waiting.held.take(key) {
                if let Some(other) =
                    held.inputs[1 - input].get_mut(&time).and_then(|others| others.get_mut(place))
                {
                    other.mark = MATCHED;
                }
                self.waiting.held.put(key, Some(held), cx.now_ms);
            }
        }
        let both = filter_record_batch(&both, &holds)?;
        let width = self.spec.inputs[0].fields().len();
        let columns = (0..self.spec.widths[0])
            .chain(width..width + self.spec.widths[1])
            .map(|c| both.column(c).clone())
            .collect();
        self.send(columns, cx)
    }

    fn send(&self, columns: Vec<ArrayRef>, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let batch = RecordBatch::try_new(self.spec.output.clone(), columns)?;
        if batch.num_rows() > 0 {
            cx.out.push(Event::Rows(Rows::new(batch)));
        }
        Ok(())
    }

    /// Keeps rows that others may still be joined with; those that none can and that were not
    /// joined leave alone.
    #[expect(clippy::too_many_arguments, reason = "what a batch has prepared for its rows")]
    fn hold(
        &mut self,
        rows: &Rows,
        input: usize,
        keys: &KeyBuf,
        encoded: &KeyBuf,
        times: &[i64],
        matched: &[bool],
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let passed = self.waiting.passed.unwrap_or(Watermark::NONE).time();
        let key_columns: Vec<ArrayRef> =
            self.spec.keys[input].iter().map(|&c| rows.batch.column(c).clone()).collect();
        let mut alone: Vec<&[u8]> = Vec::new();
        let mut buckets: BTreeMap<EventTime, Vec<u32>> = BTreeMap::new();
        for row in 0..rows.len() {
            let time = EventTime::at(times[row]);
            let until = self.interval.until(input, time);
            let has_null = key_columns.iter().any(|c| c.is_null(row));
            if has_null || until < passed {
                if !matched[row] {
                    alone.push(encoded.get(row));
                }
                continue;
            }
            let key = keys.get(row);
            let mut held = self.waiting.held.take(key).unwrap_or_default();
            let (watermark, mark) = (rows.watermark(row), if matched[row] { MATCHED } else { 0 });
            held.add(input, time, HeldRow { watermark, mark, row: encoded.get(row).into() });
            self.waiting.held.put(key, Some(held), cx.now_ms);
            buckets.entry(DueKeys::bucket(until)).or_default().push(row as u32);
        }
        self.send_alone(input, &alone, cx)?;
        self.waiting.due.add(buckets, &key_columns, rows.len())
    }

    /// Rows of one input with NULLs in the other's place, if the join keeps them.
    fn send_alone(
        &self,
        input: usize,
        rows: &[&[u8]],
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let kept =
            if input == 0 { self.spec.kind.keeps_left() } else { self.spec.kind.keeps_right() };
        if !kept || rows.is_empty() {
            return Ok(());
        }
        let own = self.spec.decoded(input, rows.iter().copied())?;
        let mut columns = Vec::new();
        for (side, &width) in self.spec.widths.iter().enumerate() {
            if side == input {
                columns.extend_from_slice(&own[..width]);
            } else {
                let fields = self.spec.inputs[side].fields().iter().take(width);
                columns.extend(fields.map(|f| new_null_array(f.data_type(), rows.len())));
            }
        }
        self.send(columns, cx)
    }

    /// Lets go of what is not needed after a watermark, one bucket of keys.
    fn expire(
        &mut self,
        watermark: Watermark,
        end: EventTime,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let encoded = self.waiting.take_due(end, cx)?;
        let mut alone: [Vec<HeldRow>; 2] = [vec![], vec![]];
        for key in encoded.iter() {
            let Some(mut held) = self.waiting.held.take(key) else { continue };
            // Everything whose time of need has passed.
            let limits = [
                watermark.time().later(self.interval.lower_ms),
                watermark.time().earlier(self.interval.upper_ms),
            ];
            for (input, limit) in limits.into_iter().enumerate() {
                let gone = held.take_before(
                    input,
                    if watermark == Watermark::END { EventTime::MAX } else { limit },
                );
                alone[input].extend(gone.into_iter().filter(|r| r.mark != MATCHED));
            }
            self.waiting.held.put(key, (!held.is_empty()).then_some(held), cx.now_ms);
        }
        for (input, rows) in alone.iter().enumerate() {
            let rows: Vec<&[u8]> = rows.iter().map(|r| r.row.as_ref()).collect();
            self.send_alone(input, &rows, cx)?;
        }
        Ok(())
    }
}

impl Operator for IntervalJoin {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => self.join(&rows, cx)?,
            Event::Watermark(w) => self.waiting.fire(w),
            tick @ Event::Tick(_) => cx.out.push(tick),
            Event::Barrier(epoch) => {
                self.waiting.freeze();
                cx.out.push(Event::Barrier(epoch));
            }
            Event::Partials(_) => return Err(OperatorError::no_place_for_partials()),
        }
        Ok(())
    }

    fn steps(&mut self) -> Option<&mut dyn Steps> {
        Some(self)
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(&mut self.waiting)
    }

    fn memory_bytes(&self) -> usize {
        self.waiting.memory_bytes()
    }
}

impl Steps for IntervalJoin {
    fn has_work(&self) -> bool {
        self.waiting.firing().is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Some(watermark) = self.waiting.firing() else { return Ok(()) };
        if let Some(end) = self.waiting.due.first(watermark) {
            return self.expire(watermark, end, cx);
        }
        self.waiting.pass(watermark);
        cx.out.push(Event::Watermark(watermark.delayed(self.interval.delay_ms())));
        Ok(())
    }
}
