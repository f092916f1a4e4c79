//! When may a source be read, and who gets what it gives?
//!
//! The part of a worker's step that reads. What always holds: a chain that is in the middle of
//! something, or has no room, is given nothing; nothing is read between the request of an epoch and
//! its barrier, nor after the barrier of the last.

use super::Worker;
use super::source::{Read, Reading};
use crate::operator::Event;
use crate::runtime::crash::CrashPoint;
use crate::runtime::error::JobError;
use crate::runtime::errors::BarrierSide;

/// Ticks are at least so far apart, so that a worker with nothing to do does not send one in every
/// step.
const TICK_MS: i64 = 10;

impl Worker {
    /// Reads one batch of each source table whose chains can take it, and passes its watermark on.
    pub(super) fn read_sources(&mut self) -> Result<bool, JobError> {
        let mut busy = false;
        for turn in 0..self.sources.len() {
            let s = (self.next_source + turn) % self.sources.len();
            let chains = self.sources[s].chains.clone();
            if chains.iter().any(|&c| self.chains[c].has_work() || !self.chains[c].has_room()) {
                continue;
            }
            busy |= self.read_source(s, &chains)?;
            // The rows may have to wait for something: the watermark comes behind them.
            if !chains.iter().any(|&c| self.chains[c].has_work())
                && let Some(watermark) = self.sources[s].new_watermark()
            {
                busy = true;
                for &chain in &*chains {
                    self.push(chain, Event::Watermark(watermark))?;
                }
            }
        }
        self.next_source = self.next_source.wrapping_add(1) % self.sources.len().max(1);
        Ok(busy)
    }

    fn read_source(&mut self, s: usize, chains: &[usize]) -> Result<bool, JobError> {
        let source = &mut self.sources[s];
        source.open_splits(self.id, &self.inbox.parker)?;
        let reading = Reading {
            worker: self.id,
            batch_rows: self.control.batch_rows,
            now: self.control.clock.monotonic(),
            now_ms: self.control.clock.now_ms(),
            stats: &self.control.stats,
            errors: &mut self.errors,
            side: if self.open_epoch.is_some() { BarrierSide::Behind } else { BarrierSide::Before },
        };
        match source.read(reading)? {
            Read::Nothing => return Ok(false),
            Read::Splits => {}
            Read::Rows(rows) => {
                for &chain in chains {
                    self.push(chain, Event::Rows(rows.clone()))?;
                }
                self.sources[s].handed_on();
                self.crash(CrashPoint::MidRead)?;
            }
        }
        Ok(true)
    }

    /// Tells chains that read sources what time it is, in jobs that go by it. A chain that is in
    /// the middle of something gets the next tick.
    pub(super) fn send_ticks(&mut self) -> Result<(), JobError> {
        if !self.control.ticks {
            return Ok(());
        }
        let now_ms = self.control.clock.now_ms();
        if self.sent_tick_ms.is_some_and(|sent_ms| now_ms < sent_ms.saturating_add(TICK_MS)) {
            return Ok(());
        }
        self.sent_tick_ms = Some(now_ms);
        let chains: Vec<usize> = self.sources.iter().flat_map(|s| s.chains.to_vec()).collect();
        for chain in chains {
            if !self.chains[chain].has_work() && self.chains[chain].has_room() {
                self.push(chain, Event::Tick(now_ms))?;
            }
        }
        Ok(())
    }
}
