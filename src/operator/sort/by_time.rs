//! ORDER BY a rowtime: rows wait until the watermark reaches them, and leave in their order.
//!
//! As in Flink a row at or behind the watermark when it comes is dropped: those after it have left.
//! Here that is its own split's watermark, as everywhere.

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;

use super::ByTimeSpec;
use crate::operator::event::Arrivals;
use crate::operator::over::waiting::{Due, Turns, Waiting};
use crate::operator::rank::sorted::sort_keys;
use crate::operator::window::event_times_ms;
use crate::operator::{Context, Event, Operator, OperatorError, OperatorState, Rows, State, Steps};
use crate::state::store::{Changes, StateDb};
use crate::time::Watermark;

pub(crate) struct ByTime {
    spec: ByTimeSpec,
    waiting: Waiting,
    passed: Option<Watermark>,
    next_generation: u32,
    firing: Option<Watermark>,
}

impl ByTime {
    pub fn new(spec: ByTimeSpec) -> ByTime {
        let waiting = Waiting::new(&spec.waiting);
        ByTime { spec, waiting, passed: None, next_generation: 0, firing: None }
    }

    fn emit(&self, due: &Due, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let (rows, turns) = Turns::split_off(&due.rows, &self.spec.waiting)?;
        let n = rows.num_rows();
        let times = event_times_ms(rows.column(self.spec.waiting.rowtime));
        let columns: Vec<_> =
            self.spec.then.iter().map(|&(c, options)| (rows.column(c).clone(), options)).collect();
        let sorts = sort_keys(&columns, n);
        let place = |row: &u32| {
            let row = *row as usize;
            (times[row], sorts.get(row), turns.arrival(row))
        };
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.sort_by(|a, b| place(a).cmp(&place(b)));
        let arrivals = Arrivals {
            times_ms: order.iter().map(|&row| times[row as usize]).collect(),
            numbers: order.iter().map(|&row| turns.arrival(row as usize).1).collect(),
        };
        let batch = take_record_batch(&rows, &UInt32Array::from(order))?;
        cx.out.push(Event::Rows(Rows { arrivals: Some(arrivals), ..Rows::new(batch) }));
        Ok(())
    }
}

impl Operator for ByTime {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => {
                let (passed, drops_behind) = (self.passed.unwrap_or(Watermark::NONE), true);
                self.waiting.add(&self.spec.waiting, drops_behind, &rows, passed, cx)?;
            }
            Event::Watermark(w) => self.firing = Some(w),
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
        Some(self)
    }

    fn memory_bytes(&self) -> usize {
        self.waiting.memory_bytes()
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
        self.waiting.write_frozen(&mut self.next_generation, changes)
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
