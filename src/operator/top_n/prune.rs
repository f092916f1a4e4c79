//! Before the exchange: keeps the best of this worker's rows, and sends them on with the watermark.
//!
//! What always holds: nothing stays here over a watermark or a barrier, so nothing of it is in a checkpoint.

use super::TopNSpec;
use super::best::best_rows;
use super::waiting::WaitingRows;
use crate::operator::{Context, Event, Operator, OperatorError, Rows};

pub struct PruneTopN {
    spec: TopNSpec,
    waiting: WaitingRows,
}

impl PruneTopN {
    pub fn new(spec: TopNSpec) -> PruneTopN {
        PruneTopN { spec, waiting: WaitingRows::default() }
    }

    fn send_all(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        while let Some(end) = self.waiting.first() {
            let (rows, _) = best_rows(&self.spec, &self.waiting.take(end))?;
            cx.out.push(Event::Rows(Rows { window_end: Some(end), ..Rows::new(rows) }));
        }
        Ok(())
    }
}

impl Operator for PruneTopN {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => {
                let end = rows.window_end.ok_or_else(|| OperatorError::kernel("a row without a window"))?;
                self.waiting.add(&self.spec, end, rows)?;
            }
            Event::Watermark(_) | Event::Barrier(_) => {
                self.send_all(cx)?;
                cx.out.push(event);
            }
            tick @ Event::Tick(_) => cx.out.push(tick),
            Event::Partials(_) => return Err(OperatorError::no_place_for_partials()),
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.waiting.memory_bytes()
    }
}
