//! Windows by the clock: rows get the time at which they pass, and ticks of the clock become
//! watermarks.
//!
//! [`ProcessingTime`] stands where a window function, an OVER or a join goes by a processing-time
//! attribute. Behind it that attribute is an event time like any other, whose watermark is the
//! clock, so every operator of windows serves both kinds of time. [`EndedWindows`] stands behind
//! the operator that fires such windows: at the end of input Flink does not wait for the clock, so
//! windows that have not ended by then are dropped. What always holds: a row's time is after every
//! watermark sent before it, also across a restart on a machine whose clock is behind; so no row is
//! late.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::SchemaRef;

use super::window::local_watermark;
use super::{Context, Event, Operator, OperatorError, OperatorState, Rows, State};
use crate::state::store::StateDb;
use crate::time::Watermark;
use crate::time::zone::Zone;

pub(crate) struct ProcessingTime {
    /// The time attribute among the columns.
    column: usize,
    schema: SchemaRef,
    /// The last watermark sent.
    passed: Option<Watermark>,
    /// No tick after the end of input is a watermark. Not in a checkpoint: another worker may have
    /// rows to read again.
    ended: bool,
}

impl ProcessingTime {
    pub fn new(column: usize, schema: SchemaRef) -> ProcessingTime {
        ProcessingTime { column, schema, passed: None, ended: false }
    }

    fn stamp(&self, rows: &Rows, now_ms: i64) -> Result<Rows, arrow::error::ArrowError> {
        let time_ms = self.passed.map_or(now_ms, |passed| now_ms.max(passed.time().later(1).ms()));
        debug_assert!(
            self.passed.is_none_or(|passed| passed.ms() < time_ms),
            "a row gets a time that is over"
        );
        let data_type = self.schema.field(self.column).data_type().clone();
        let mut columns: Vec<ArrayRef> = rows.batch.columns().to_vec();
        columns[self.column] = Arc::new(
            TimestampMillisecondArray::from_value(time_ms, rows.len()).with_data_type(data_type),
        );
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        // What the split's watermark said is of another time.
        Ok(Rows { watermarks_ms: None, ..rows.with_batch(batch) })
    }
}

impl Operator for ProcessingTime {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) => {
                cx.out.push(Event::Rows(self.stamp(&rows, cx.now_ms)?));
            }
            Event::Tick(now_ms) => {
                let passed = Watermark::at(now_ms.saturating_sub(1));
                if !self.ended && self.passed.is_none_or(|last| passed > last) {
                    self.passed = Some(passed);
                    cx.out.push(Event::Watermark(passed));
                }
                cx.out.push(Event::Tick(now_ms));
            }
            Event::Watermark(Watermark::END) => {
                self.ended = true;
                cx.out.push(Event::Watermark(Watermark::END));
            }
            Event::Watermark(_) => {}
            other => cx.out.push(other),
        }
        Ok(())
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}

impl State for ProcessingTime {
    fn marks(&self) -> OperatorState {
        OperatorState { fired_mark: self.passed, ..OperatorState::default() }
    }

    fn restore(&mut self, state: &OperatorState, _db: &StateDb) -> Result<(), OperatorError> {
        self.passed = state.fired_mark;
        Ok(())
    }
}

/// Lets the rows of windows pass that have ended by the clock.
pub(crate) struct EndedWindows {
    zone: Option<Zone>,
}

impl EndedWindows {
    pub fn new(zone: Option<Zone>) -> EndedWindows {
        EndedWindows { zone }
    }
}

impl Operator for EndedWindows {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let over = local_watermark(self.zone.as_ref(), Watermark::at(cx.now_ms.saturating_sub(1)));
        match event {
            Event::Rows(Rows { window_end: Some(end), .. }) if !over.closes(end) => {}
            other => cx.out.push(other),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::Counters;
    use crate::state::store::StateMemory;
    use crate::time::EventTime;
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Schema, TimeUnit, TimestampMillisecondType};

    fn send(operator: &mut dyn Operator, event: Event, now_ms: i64) -> Vec<String> {
        let dir = tempfile::tempdir().expect("folder");
        let db = StateDb::open(dir.path(), &StateMemory::new(1 << 20, 1)).expect("opens");
        let (mut out, mut failed, mut counters) = (Vec::new(), Vec::new(), Counters::default());
        let mut cx = Context {
            out: &mut out,
            db: &db,
            failed: &mut failed,
            counters: &mut counters,
            room_bytes: usize::MAX,
            operator: "test",
            now_ms,
        };
        operator.on_event(event, &mut cx).expect("takes it");
        let text = |event: &Event| match event {
            Event::Rows(rows) => {
                format!(
                    "rows {:?}",
                    &rows.batch.column(1).as_primitive::<TimestampMillisecondType>().values()[..]
                )
            }
            Event::Watermark(w) => format!("watermark {w}"),
            Event::Tick(t) => format!("tick {t}"),
            other => format!("{other:?}"),
        };
        out.iter().map(text).collect()
    }

    fn schema() -> SchemaRef {
        let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        Arc::new(Schema::new(vec![
            Field::new("v", DataType::Int64, true),
            Field::new("pt", time, true),
        ]))
    }

    fn rows(window_end_ms: Option<i64>) -> Event {
        let window_end = window_end_ms.map(EventTime::at);
        let v: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let pt = TimestampMillisecondArray::from(vec![5, 6]).with_timezone("UTC");
        let batch = RecordBatch::try_new(schema(), vec![v, Arc::new(pt)]).expect("a batch");
        Event::Rows(Rows { window_end, watermarks_ms: Some(vec![3, 3].into()), ..Rows::new(batch) })
    }

    #[test]
    fn rows_get_a_time_after_every_watermark() {
        let mut operator = ProcessingTime::new(1, schema());
        assert_eq!(send(&mut operator, rows(None), 100), ["rows [100, 100]"]);
        assert!(
            send(&mut operator, Event::Watermark(Watermark::at(40)), 100).is_empty(),
            "event time is not looked at"
        );
        assert_eq!(send(&mut operator, Event::Tick(200), 200), ["watermark 199", "tick 200"]);
        assert_eq!(send(&mut operator, Event::Tick(200), 200), ["tick 200"]);
        assert_eq!(send(&mut operator, rows(None), 200), ["rows [200, 200]"]);
        let mut restored = ProcessingTime::new(1, schema());
        let dir = tempfile::tempdir().expect("folder");
        let db = StateDb::open(dir.path(), &StateMemory::new(1 << 20, 1)).expect("opens");
        restored.restore(&operator.marks(), &db).expect("restores");
        assert_eq!(
            send(&mut restored, rows(None), 150),
            ["rows [200, 200]"],
            "the clock of this machine is behind"
        );
        assert_eq!(send(&mut restored, Event::Tick(150), 150), ["tick 150"]);
        assert_eq!(
            send(&mut restored, Event::Watermark(Watermark::END), 150),
            [format!("watermark {}", i64::MAX)]
        );
        assert_eq!(send(&mut restored, Event::Tick(300), 300), ["tick 300"], "the input has ended");
        assert_eq!(
            restored.marks().fired_mark,
            Some(Watermark::at(199)),
            "whose rows another worker may read again"
        );
    }

    #[test]
    fn windows_that_the_clock_has_not_ended_are_dropped() {
        let mut operator = EndedWindows::new(None);
        assert_eq!(send(&mut operator, rows(Some(100)), 100).len(), 1);
        assert!(send(&mut operator, rows(Some(101)), 100).is_empty());
        let kolkata = Zone::parse("Asia/Kolkata").expect("a zone");
        let offset_ms = 19_800_000;
        let mut operator = EndedWindows::new(kolkata);
        assert_eq!(send(&mut operator, rows(Some(100 + offset_ms)), 100).len(), 1);
        assert!(send(&mut operator, rows(Some(101 + offset_ms)), 100).is_empty());
    }
}
