//! The OVER operator: rows wait, become due, and leave with their results.

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;

use super::bounded::Bounded;
use super::unbounded::Unbounded;
use super::waiting::{Due, Turns, Waiting};
use super::{Frame, OverSpec};
use crate::operator::event::Arrivals;
use crate::operator::window::event_times_ms;
use crate::operator::{Context, Event, Operator, OperatorError, OperatorState, Rows, State, Steps};
use crate::state::key::{KeyBuf, encode_keys};
use crate::state::store::{Changes, StateDb};
use crate::time::Watermark;

pub(crate) struct Over {
    spec: OverSpec,
    waiting: Waiting,
    keys: Keys,
    passed: Option<Watermark>,
    next_generation: u32,
    firing: Option<Watermark>,
}

enum Keys {
    Bounded(Box<Bounded>),
    Unbounded(Box<Unbounded>),
}

impl Over {
    pub fn new(spec: OverSpec) -> Over {
        let keys = match spec.frame {
            Frame::Range { .. } | Frame::Rows { .. } | Frame::RowsBeforePeers { .. } => {
                Keys::Bounded(Box::new(Bounded::new(&spec)))
            }
            Frame::UnboundedRange | Frame::UnboundedRows => {
                Keys::Unbounded(Box::new(Unbounded::new(&spec)))
            }
        };
        let waiting = Waiting::new(&spec);
        Over { spec, waiting, keys, passed: None, next_generation: 0, firing: None }
    }

    fn emit(&mut self, due: &Due, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let (rows, turns) = Turns::split_off(&due.rows, &self.spec)?;
        let times = event_times_ms(rows.column(self.spec.rowtime));
        let partition: Vec<ArrayRef> =
            self.spec.partition.iter().map(|&c| rows.column(c).clone()).collect();
        let mut keys = KeyBuf::default();
        encode_keys(&partition, rows.num_rows(), &mut keys);
        let turn =
            |row: u32| (turns.key(row as usize), times[row as usize], turns.arrival(row as usize));
        let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
        order.sort_by(|&a, &b| {
            keys.get(a as usize).cmp(keys.get(b as usize)).then_with(|| turn(a).cmp(&turn(b)))
        });
        let (out, results) = match &mut self.keys {
            Keys::Bounded(bounded) => {
                bounded.results(&rows, due, &turns, &times, &keys, &order, cx)?
            }
            Keys::Unbounded(unbounded) => unbounded.results(&rows, &times, &keys, &order, cx)?,
        };
        debug_assert!(
            results.iter().all(|c| c.len() == out.len()),
            "a row leaves without its result"
        );
        if out.is_empty() {
            return Ok(());
        }
        // In the order of their turns, whatever their keys.
        let mut leaving: Vec<u32> = (0..out.len() as u32).collect();
        leaving.sort_by_key(|&i| turn(out[i as usize]));
        let of_rows: UInt32Array = leaving.iter().map(|&i| out[i as usize]).collect();
        let of_results = UInt32Array::from(leaving);
        let columns = rows.columns()[..self.spec.width].iter().map(|c| take(c, &of_rows, None));
        let results = results.iter().map(|c| take(c, &of_results, None));
        let columns = columns.chain(results).collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(self.spec.output.clone(), columns)?;
        let arrivals = Arrivals {
            times_ms: of_rows.values().iter().map(|&row| turns.key(row as usize).0).collect(),
            numbers: of_rows.values().iter().map(|&row| turns.arrival(row as usize).1).collect(),
        };
        // A row that is behind stays so for what follows: it is late for windows that its watermark
        // had closed.
        let mut watermark = Watermark::NONE;
        let watermarks = of_rows.values().iter().map(|&row| {
            let (turn_ms, _) = turns.key(row as usize);
            if turns.is_behind(row as usize) {
                watermark = watermark.max(Watermark::at(turn_ms));
            }
            watermark.ms()
        });
        let watermarks_ms = Some(watermarks.collect());
        cx.out.push(Event::Rows(Rows {
            watermarks_ms,
            arrivals: Some(arrivals),
            ..Rows::new(batch)
        }));
        Ok(())
    }
}

impl Operator for Over {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => {
                // LAG has no bound in SQL, whatever is kept for it.
                let lags = matches!(self.spec.frame, Frame::RowsBeforePeers { .. });
                let drops_behind = lags || matches!(self.keys, Keys::Unbounded(_));
                let passed = self.passed.unwrap_or(Watermark::NONE);
                self.waiting.add(&self.spec, drops_behind, &rows, passed, cx)?;
            }
            Event::Watermark(w) => self.firing = Some(w),
            tick @ Event::Tick(_) => cx.out.push(tick),
            Event::Barrier(epoch) => {
                self.waiting.freeze();
                match &mut self.keys {
                    Keys::Bounded(bounded) => bounded.tails.freeze(),
                    Keys::Unbounded(unbounded) => unbounded.groups.freeze(),
                }
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
        let keys = match &self.keys {
            Keys::Bounded(bounded) => bounded.tails.memory_bytes(),
            Keys::Unbounded(unbounded) => unbounded.groups.memory_bytes(),
        };
        self.waiting.memory_bytes() + keys
    }
}

impl Steps for Over {
    fn has_work(&self) -> bool {
        self.firing.is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Some(watermark) = self.firing else { return Ok(()) };
        if let Some(due) = self.waiting.next_due(&self.spec, watermark, cx)? {
            return self.emit(&due, cx);
        }
        self.firing = None;
        self.passed = self.passed.max(Some(watermark));
        cx.out.push(Event::Watermark(watermark));
        Ok(())
    }
}

impl State for Over {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        let rows = self.waiting.write_frozen(&mut self.next_generation, changes)?;
        let keys = match &mut self.keys {
            Keys::Bounded(bounded) => bounded.tails.write_frozen(changes),
            Keys::Unbounded(unbounded) => unbounded.groups.write_frozen(changes),
        };
        Ok(rows && keys)
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        let moved = match &mut self.keys {
            Keys::Bounded(bounded) => bounded.tails.spill(changes),
            Keys::Unbounded(unbounded) => unbounded.groups.spill(changes),
        };
        Ok(moved || self.waiting.spill(&mut self.next_generation, changes)?)
    }

    fn marks(&self) -> OperatorState {
        OperatorState { fired_mark: self.passed, next_generation: self.next_generation }
    }

    fn restore(&mut self, state: &OperatorState, db: &StateDb) -> Result<(), OperatorError> {
        self.passed = state.fired_mark;
        self.next_generation = state.next_generation;
        self.waiting.restore(db)
    }
}
