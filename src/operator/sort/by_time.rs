//! ORDER BY a rowtime: rows wait until the watermark reaches them, and leave in their order.
//!
//! As in Flink a row is dropped only if one of its time or a later one has left when it comes. A row
//! that is behind the watermark and later than those leaves with the next ones, before them. Here that
//! is its own split's watermark, as everywhere: it takes its turn at that watermark, as `over` says, so
//! what comes out does not depend on how splits interleave.

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;

use super::ByTimeSpec;
use crate::operator::event::Arrivals;
use crate::operator::keyed::{KeyedCache, KeyedValue};
use crate::operator::over::waiting::{Due, Turns, Waiting};
use crate::operator::rank::sorted::sort_keys;
use crate::operator::window::event_times_ms;
use crate::operator::{Context, Event, Operator, OperatorError, OperatorState, Rows, State, Steps};
use crate::state::key::{KeyBuf, hash_key};
use crate::state::layout::KeyedKind;
use crate::state::store::{Changes, StateDb};
use crate::time::Watermark;

pub(crate) struct ByTime {
    spec: ByTimeSpec,
    waiting: Waiting,
    /// The time of the last row that has left, without a key.
    last: KeyedCache<Last>,
    passed: Option<Watermark>,
    next_generation: u32,
    firing: Option<Watermark>,
}

/// A time, ms.
struct Last(i64);

impl KeyedValue for Last {
    type Types = ();

    fn encode(&self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }

    fn decode(bytes: &[u8], (): &()) -> Result<Last, OperatorError> {
        let bytes: Result<[u8; 8], _> = bytes.try_into();
        bytes
            .map(|bytes| Last(i64::from_le_bytes(bytes)))
            .map_err(|_| OperatorError::damaged("a time that has not eight bytes"))
    }

    fn memory_bytes(&self) -> usize {
        size_of::<Last>()
    }
}

impl ByTime {
    pub fn new(spec: ByTimeSpec) -> ByTime {
        let waiting = Waiting::new(&spec.waiting);
        let last = KeyedCache::new(spec.waiting.operator, KeyedKind::Sorted, (), None);
        ByTime { spec, waiting, last, passed: None, next_generation: 0, firing: None }
    }

    fn emit(&mut self, due: &Due, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let (rows, turns) = Turns::split_off(&due.rows, &self.spec.waiting)?;
        let n = rows.num_rows();
        let times = event_times_ms(rows.column(self.spec.waiting.rowtime));
        let columns: Vec<_> =
            self.spec.then.iter().map(|&(c, options)| (rows.column(c).clone(), options)).collect();
        let sorts = sort_keys(&columns, n);
        let place = |row: &u32| {
            let row = *row as usize;
            (turns.key(row), times[row], sorts.get(row), turns.arrival(row))
        };
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.sort_by(|a, b| place(a).cmp(&place(b)));
        let leaving = self.in_time(&order, &times, &turns, cx)?;
        if leaving.is_empty() {
            return Ok(());
        }
        let arrivals = Arrivals {
            times_ms: leaving.iter().map(|&row| turns.key(row as usize).0).collect(),
            numbers: leaving.iter().map(|&row| turns.arrival(row as usize).1).collect(),
        };
        // A row that is behind stays so for what follows.
        let mut watermark = Watermark::NONE;
        let watermarks = leaving.iter().map(|&row| {
            if turns.is_behind(row as usize) {
                watermark = watermark.max(Watermark::at(turns.key(row as usize).0));
            }
            watermark.ms()
        });
        let watermarks_ms = Some(watermarks.collect());
        let batch = take_record_batch(&rows, &UInt32Array::from(leaving))?;
        let arrivals = Some(arrivals);
        cx.out.push(Event::Rows(Rows { watermarks_ms, arrivals, ..Rows::new(batch) }));
        Ok(())
    }

    /// Of rows in their order those that are later than all that had left when they came.
    fn in_time(
        &mut self,
        order: &[u32],
        times: &[i64],
        turns: &Turns,
        cx: &mut Context<'_>,
    ) -> Result<Vec<u32>, OperatorError> {
        let mut no_key = KeyBuf::default();
        no_key.push(&[]);
        self.last.load(&no_key, &[hash_key(&[])], cx.now_ms, cx.db)?;
        let mut last_ms = self.last.take(&[]).map_or(i64::MIN, |last| last.0);
        let mut leaving = Vec::with_capacity(order.len());
        for turn in order.chunk_by(|&a, &b| turns.key(a as usize) == turns.key(b as usize)) {
            let left_ms = last_ms;
            for &row in turn {
                let time_ms = times[row as usize];
                if turns.is_behind(row as usize) && time_ms <= left_ms {
                    cx.counters.late_rows += 1;
                    continue;
                }
                last_ms = last_ms.max(time_ms);
                leaving.push(row);
            }
        }
        self.last.put(&[], Some(Last(last_ms)), cx.now_ms);
        Ok(leaving)
    }
}

impl Operator for ByTime {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => {
                let (passed, drops_behind) = (self.passed.unwrap_or(Watermark::NONE), false);
                self.waiting.add(&self.spec.waiting, drops_behind, &rows, passed, cx)?;
            }
            Event::Watermark(w) => self.firing = Some(w),
            tick @ Event::Tick(_) => cx.out.push(tick),
            Event::Barrier(epoch) => {
                self.waiting.freeze();
                self.last.freeze();
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
        Some(self)
    }

    fn memory_bytes(&self) -> usize {
        self.waiting.memory_bytes() + self.last.memory_bytes()
    }
}

impl Steps for ByTime {
    fn has_work(&self) -> bool {
        self.firing.is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Some(watermark) = self.firing else { return Ok(()) };
        if let Some(due) = self.waiting.next_due(&self.spec.waiting, watermark, cx)? {
            return self.emit(&due, cx);
        }
        self.firing = None;
        self.passed = self.passed.max(Some(watermark));
        cx.out.push(Event::Watermark(watermark));
        Ok(())
    }
}

impl State for ByTime {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        let rows = self.waiting.write_frozen(&mut self.next_generation, changes)?;
        Ok(self.last.write_frozen(changes) && rows)
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        self.waiting.spill(&mut self.next_generation, changes)
    }

    fn marks(&self) -> OperatorState {
        OperatorState { fired_mark: self.passed, next_generation: self.next_generation }
    }

    fn restore(&mut self, marks: &OperatorState, db: &StateDb) -> Result<(), OperatorError> {
        self.passed = marks.fired_mark;
        self.next_generation = marks.next_generation;
        self.waiting.restore(db)
    }
}
