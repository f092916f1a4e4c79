//! Bounded frames: each key keeps the rows that its next frames can reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use super::frames::{FrameRange, evaluate};
use super::lateness::{Lateness, Timing};
use super::tail::Tail;
use super::waiting::{Due, Turns};
use super::{Frame, OverCall, OverSpec};
use crate::operator::keyed::KeyedCache;
use crate::operator::{Context, OperatorError};
use crate::state::key::{KeyBuf, encode_keys, hash_key};
use crate::state::layout::KeyedKind;
use crate::time::{EventTime, Watermark};

pub struct Bounded {
    frame: Frame,
    /// Calls over the columns of a tail.
    calls: Vec<OverCall>,
    /// Input columns that tails keep, behind the time.
    kept: Vec<usize>,
    schema: SchemaRef,
    pub tails: KeyedCache<Tail>,
}

impl Bounded {
    pub fn new(spec: &OverSpec) -> Bounded {
        let mut kept: Vec<usize> = Vec::new();
        let calls = spec.calls.iter().map(|call| over_kept(call, &mut kept)).collect();
        let mut fields = vec![Field::new("(time)", DataType::Int64, true)];
        fields.extend(kept.iter().map(|&c| spec.input.field(c).clone()));
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let tails = KeyedCache::new(spec.operator, KeyedKind::Over, schema.clone(), None);
        Bounded { frame: spec.frame, calls, kept, schema, tails }
    }

    /// Results for due rows. `order` has them by key, then turn; `times` and `keys` are those of `rows`. Returns the rows that
    /// come out, and a column for each call. Rows that are late are counted.
    #[expect(clippy::too_many_arguments, reason = "what the operator knows of the due rows")]
    pub fn results(
        &mut self,
        rows: &RecordBatch,
        due: &Due,
        turns: &Turns,
        times: &[i64],
        keys: &KeyBuf,
        order: &[u32],
        cx: &mut Context<'_>,
    ) -> Result<(Vec<u32>, Vec<ArrayRef>), OperatorError> {
        let arrived = Arrived::new(due.arrivals.as_ref());
        // Due rows and arrivals of each key.
        let mut events: BTreeMap<&[u8], (&[u32], &[u32])> = BTreeMap::new();
        for own in order.chunk_by(|&a, &b| keys.get(a as usize) == keys.get(b as usize)) {
            events.entry(keys.get(own[0] as usize)).or_default().0 = own;
        }
        for own in arrived.order.chunk_by(|&a, &b| arrived.keys.get(a as usize) == arrived.keys.get(b as usize)) {
            events.entry(arrived.keys.get(own[0] as usize)).or_default().1 = own;
        }
        for keys in [keys, &arrived.keys] {
            let hashes: Vec<u64> = keys.iter().map(hash_key).collect();
            self.tails.load(keys, &hashes, cx.now_ms, cx.db)?;
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(times.to_vec()))];
        columns.extend(self.kept.iter().map(|&c| rows.column(c).clone()));
        let new = RecordBatch::try_new(self.schema.clone(), columns)?;
        let states: Vec<Option<Tail>> = events.keys().map(|key| self.tails.take(key)).collect();
        // The due rows, then the tails of their keys.
        let parts: Vec<&RecordBatch> = std::iter::once(&new).chain(states.iter().flatten().map(|t| &t.rows)).collect();
        let all = concat_batches(&self.schema, parts)?;
        let time_of = all.column(0).as_primitive::<Int64Type>();
        let mut next_tail = rows.num_rows() as u32;
        let mut lists = Lists { time_of, list: vec![], key_from: 0, out: vec![], ranges: vec![] };
        // By key: its rows in the list, and what it will remember.
        let mut ends: Vec<(std::ops::Range<usize>, Lateness)> = Vec::new();
        for ((own, arrivals), state) in events.values().zip(states) {
            lists.key_from = lists.list.len() as u32;
            let (mut lateness, tail_rows) = state.map_or_else(Default::default, |t| (t.lateness, t.rows.num_rows() as u32));
            lists.list.extend(next_tail..next_tail + tail_rows);
            next_tail += tail_rows;
            match self.frame {
                Frame::Range { preceding_ms } => {
                    let key = KeyRows { own, turns, times, limit: due.limit };
                    cx.counters.late_rows += self.by_time(&key, arrivals, &arrived, preceding_ms, &mut lateness, &mut lists);
                }
                _ => cx.counters.late_rows += self.by_count(own, turns, times, &mut lateness, &mut lists),
            }
            ends.push((lists.key_from as usize..lists.list.len(), lateness));
        }
        let Lists { list, out, ranges, .. } = lists;
        let calls = self.calls.iter().filter(|_| !out.is_empty());
        let results = calls.map(|c| evaluate(c, &all, &list, &ranges)).collect::<Result<Vec<_>, _>>()?;
        for (key, (own, lateness)) in events.keys().zip(ends) {
            let reached = self.reached(&list[own], time_of);
            let rows = take_record_batch(&all, &UInt32Array::from(reached.to_vec()))?;
            let is_new = lateness.is_new() && rows.num_rows() == 0;
            self.tails.put(key, (!is_new).then_some(Tail { lateness, rows }), cx.now_ms);
        }
        Ok((out, results))
    }

    /// Rows of one key for a frame of rows. Returns how many are late.
    fn by_count(&self, own: &[u32], turns: &Turns, times: &[i64], lateness: &mut Lateness, lists: &mut Lists<'_>) -> u64 {
        let mut late = 0;
        for peers in
            own.chunk_by(|&a, &b| times[a as usize] == times[b as usize] && turns.key(a as usize) == turns.key(b as usize))
        {
            let ts = EventTime::at(times[peers[0] as usize]);
            if ts <= lateness.last {
                late += peers.len() as u64;
            } else {
                self.take(peers, ts, lists);
                lateness.last = ts;
            }
        }
        late
    }

    /// Rows of one key for a frame of time, in step with what arrived. Returns how many are late.
    fn by_time(
        &self,
        key: &KeyRows<'_>,
        arrivals: &[u32],
        arrived: &Arrived,
        frame_ms: i64,
        lateness: &mut Lateness,
        lists: &mut Lists<'_>,
    ) -> u64 {
        // Rows in time, and those behind that wait for the next watermark, each in order of time.
        let (in_time, behind): (Vec<u32>, Vec<u32>) = key.own.iter().partition(|&&row| !key.turns.is_behind(row as usize));
        let mut in_time = in_time.as_slice();
        let mut waiting: Vec<u32> = Vec::new();
        let mut late = 0;
        for step in arrivals.chunk_by(|&a, &b| arrived.watermark(a) == arrived.watermark(b)) {
            let watermark = arrived.watermark(step[0]);
            self.give_out(key, watermark.time(), &mut in_time, &mut waiting, lateness, lists);
            for &arrival in step {
                let ts = arrived.time(arrival);
                let is_behind = ts <= watermark.time();
                let taken = lateness.arrive(ts, if is_behind { Timing::Behind } else { Timing::InTime }, frame_ms);
                if !is_behind {
                    continue;
                }
                let place = arrived.arrival(arrival);
                match behind.iter().find(|&&row| key.turns.arrival(row as usize) == place) {
                    Some(&row) if taken => waiting.push(row),
                    _ => late += 1,
                }
            }
        }
        self.give_out(key, key.limit, &mut in_time, &mut waiting, lateness, lists);
        late
    }

    /// Gives out rows and fires timers up to a time.
    fn give_out(
        &self,
        key: &KeyRows<'_>,
        limit: EventTime,
        in_time: &mut &[u32],
        waiting: &mut Vec<u32>,
        lateness: &mut Lateness,
        lists: &mut Lists<'_>,
    ) {
        // Rows behind the limit only: they come before every row in time that is left.
        waiting.sort_by_key(|&row| (key.time(row), key.turns.arrival(row as usize)));
        let mut behind = std::mem::take(waiting);
        loop {
            let from = if behind.is_empty() { *in_time } else { &behind };
            let next = from.first().map(|&row| key.time(row)).filter(|&ts| ts <= limit);
            if let Some(timer) = lateness.next_timer(limit, next) {
                if next == Some(timer) {
                    // One timer for both: the rows are given out.
                    lateness.timers.remove(0);
                } else {
                    if lateness.fire() {
                        lists.key_from = lists.list.len() as u32;
                    }
                    continue;
                }
            }
            let Some(ts) = next else { return };
            let count = from.iter().take_while(|&&row| key.time(row) == ts).count();
            let peers = from[..count].to_vec();
            if behind.is_empty() {
                *in_time = &in_time[count..];
            } else {
                behind.drain(..count);
            }
            self.take(&peers, ts, lists);
            lateness.last = ts;
        }
    }

    /// Appends rows of one key and time to the list, with the ranges of their frames.
    fn take(&self, peers: &[u32], ts: EventTime, lists: &mut Lists<'_>) {
        let Lists { time_of, list, key_from, out, ranges } = lists;
        let key_from = *key_from;
        match self.frame {
            Frame::Rows { preceding } => {
                for &row in peers {
                    list.push(row);
                    let to = list.len() as u32;
                    let from = key_from.max(to.saturating_sub(preceding as u32 + 1));
                    ranges.push(FrameRange { row, from, to, key_from });
                }
            }
            Frame::Range { preceding_ms } => {
                list.extend_from_slice(peers);
                let to = list.len() as u32;
                let own = &list[key_from as usize..];
                // Not partitioned by time where a late row came in: the newest rows in reach.
                let within = |&&row: &&u32| (ts.earlier(preceding_ms)..=ts).contains(&EventTime::at(time_of.value(row as usize)));
                let from = to - own.iter().rev().take_while(within).count() as u32;
                ranges.extend(peers.iter().map(|&row| FrameRange { row, from, to, key_from }));
            }
            Frame::RowsBeforePeers { .. } | Frame::UnboundedRange | Frame::UnboundedRows => {
                list.extend_from_slice(peers);
                let to = list.len() as u32;
                ranges.extend(peers.iter().map(|&row| FrameRange { row, from: key_from, to, key_from }));
            }
        }
        out.extend_from_slice(peers);
    }

    /// The part of a key's rows that a later frame can reach.
    fn reached<'a>(&self, rows: &'a [u32], time_of: &Int64Array) -> &'a [u32] {
        match self.frame {
            Frame::Rows { preceding } | Frame::RowsBeforePeers { preceding } => &rows[rows.len().saturating_sub(preceding)..],
            Frame::Range { preceding_ms } => {
                let last = rows.last().map_or(i64::MIN, |&row| time_of.value(row as usize));
                let from = rows.iter().rposition(|&row| time_of.value(row as usize) < last.saturating_sub(preceding_ms));
                &rows[from.map_or(0, |at| at + 1)..]
            }
            Frame::UnboundedRange | Frame::UnboundedRows => &[],
        }
    }
}

/// The rows of a key that are due.
struct KeyRows<'a> {
    own: &'a [u32],
    turns: &'a Turns,
    times: &'a [i64],
    limit: EventTime,
}

impl KeyRows<'_> {
    fn time(&self, row: u32) -> EventTime {
        EventTime::at(self.times[row as usize])
    }
}

/// What a batch of due rows fills: rows in the order they are given out, and the range of each one's frame.
struct Lists<'a> {
    time_of: &'a Int64Array,
    list: Vec<u32>,
    /// Where the rows of the key begin that is being gone through.
    key_from: u32,
    out: Vec<u32>,
    ranges: Vec<FrameRange>,
}

/// Rows that arrived, by key, watermark and place.
struct Arrived {
    keys: KeyBuf,
    order: Vec<u32>,
    marks: [Int64Array; 4],
}

impl Arrived {
    fn new(batch: Option<&RecordBatch>) -> Arrived {
        let none = || Int64Array::from(Vec::<i64>::new());
        let Some(batch) = batch else {
            return Arrived { keys: KeyBuf::default(), order: vec![], marks: [none(), none(), none(), none()] };
        };
        let first = batch.num_columns() - 4;
        let marks = [0, 1, 2, 3].map(|i| batch.column(first + i).as_primitive::<Int64Type>().clone());
        let mut keys = KeyBuf::default();
        encode_keys(&batch.columns()[..first], batch.num_rows(), &mut keys);
        let mut arrived = Arrived { keys, order: vec![], marks };
        let mut order: Vec<u32> = (0..batch.num_rows() as u32).collect();
        order.sort_by(|&a, &b| {
            let by_key = arrived.keys.get(a as usize).cmp(arrived.keys.get(b as usize));
            by_key.then_with(|| (arrived.watermark(a), arrived.arrival(a)).cmp(&(arrived.watermark(b), arrived.arrival(b))))
        });
        arrived.order = order;
        arrived
    }

    fn watermark(&self, row: u32) -> Watermark {
        Watermark::at(self.marks[0].value(row as usize))
    }

    fn time(&self, row: u32) -> EventTime {
        EventTime::at(self.marks[1].value(row as usize))
    }

    fn arrival(&self, row: u32) -> (u64, u64) {
        (self.marks[2].value(row as usize).cast_unsigned(), self.marks[3].value(row as usize).cast_unsigned())
    }
}

/// A call over the columns of a tail: `kept` grows by those it reads. Column 0 is the time.
pub fn over_kept(call: &OverCall, kept: &mut Vec<usize>) -> OverCall {
    let mut places: BTreeMap<usize, usize> = kept.iter().enumerate().map(|(i, &c)| (c, i + 1)).collect();
    let mut place = |column: usize| {
        *places.entry(column).or_insert_with(|| {
            kept.push(column);
            kept.len()
        })
    };
    match call {
        OverCall::Aggregate(aggregate) => {
            let mut aggregate = aggregate.clone();
            aggregate.argument = aggregate.argument.map(&mut place);
            aggregate.second = aggregate.second.map(&mut place);
            aggregate.filter = aggregate.filter.map(&mut place);
            OverCall::Aggregate(aggregate)
        }
        OverCall::Lag { column, offset, default } => {
            OverCall::Lag { column: place(*column), offset: *offset, default: default.map(place) }
        }
        other => other.clone(),
    }
}
