//! What has other workers sent? The part of a worker's step that takes events from its inbox.
//!
//! What always holds: a lane is not read while its chain has no room or is in the middle of
//! something, nor after its barrier until those of all lanes of the chain have come; watermarks and
//! ticks are passed on as the lowest of all lanes.

use super::Worker;
use crate::operator::{Event, Rows};
use crate::runtime::error::JobError;
use crate::time::Watermark;

/// The edges that feed a chain, as it sees them: lanes, one for each edge and producer.
pub struct EdgeInput {
    pub chain: usize,
    lanes: Vec<LaneInput>,
    passed_watermark: Watermark,
    passed_tick_ms: Option<i64>,
}

struct LaneInput {
    /// In the worker's inbox.
    number: usize,
    /// Which of the chain's inputs.
    input: u8,
    watermark: Watermark,
    tick_ms: Option<i64>,
    /// Its barrier has arrived: it is not read until those of all lanes have.
    blocked: bool,
}

impl EdgeInput {
    /// `edges` are the chain's inputs in order.
    pub fn new(edges: &[usize], chain: usize, workers: usize) -> EdgeInput {
        let lanes = edges.iter().enumerate().flat_map(|(input, edge)| {
            let lane = move |producer| (edge * workers + producer, input as u8);
            (0..workers).map(lane)
        });
        let lanes = lanes.map(|(number, input)| LaneInput {
            number,
            input,
            watermark: Watermark::NONE,
            tick_ms: None,
            blocked: false,
        });
        EdgeInput {
            chain,
            lanes: lanes.collect(),
            passed_watermark: Watermark::NONE,
            passed_tick_ms: None,
        }
    }
}

/// Events taken from a lane before the next one's turn, and their bytes.
const LANE_TURN_EVENTS: usize = 16;
const LANE_TURN_BYTES: usize = 1 << 20;
/// Steps of fires while the inbox is drained. A watermark often fires nothing or little: without
/// going on at once, a worker would take one watermark in a step, and one that reads large batches
/// would never catch up with the others'.
const FIRE_STEPS: usize = 64;

impl Worker {
    pub(super) fn drain_inbox(&mut self) -> Result<bool, JobError> {
        let mut busy = false;
        let mut fire_steps = 0;
        for e in 0..self.edges.len() {
            for lane in 0..self.edges[e].lanes.len() {
                let (chain, number) = (self.edges[e].chain, self.edges[e].lanes[lane].number);
                let mut taken_bytes = 0;
                for _ in 0..LANE_TURN_EVENTS {
                    while fire_steps < FIRE_STEPS && self.continue_fire(chain)? {
                        fire_steps += 1;
                    }
                    if self.edges[e].lanes[lane].blocked
                        || taken_bytes > LANE_TURN_BYTES
                        || !self.may_receive(chain)
                    {
                        break;
                    }
                    let Some(popped) = self.inbox.pop(number) else { break };
                    busy = true;
                    taken_bytes += popped.bytes;
                    if popped.was_full {
                        self.wake_others();
                    }
                    self.receive(e, lane, popped.event)?;
                }
            }
        }
        Ok(busy || fire_steps > 0)
    }

    /// False while a chain is in the middle of something or has no room. Also while it has passed
    /// the barrier of an epoch that is still being written and memory is short: nothing can be
    /// spilled until then. Those that feed it have passed that barrier too, so no barrier waits for
    /// this.
    fn may_receive(&mut self, chain: usize) -> bool {
        let is_over = self.held_bytes > self.control.accumulator_bytes_max
            && self.chains[chain].frozen_epoch.is_some();
        !is_over && !self.errors.is_full() && !self.chains[chain].has_work() && self.has_room(chain)
    }

    pub(super) fn receive(&mut self, e: usize, lane: usize, event: Event) -> Result<(), JobError> {
        let edge = &mut self.edges[e];
        let chain = edge.chain;
        match event {
            Event::Watermark(w) => {
                edge.lanes[lane].watermark = w;
                let lowest = edge.lanes.iter().map(|l| l.watermark).min().unwrap_or(w);
                if lowest > edge.passed_watermark {
                    edge.passed_watermark = lowest;
                    self.push(chain, Event::Watermark(lowest))?;
                }
            }
            Event::Tick(t) => {
                edge.lanes[lane].tick_ms = Some(t);
                let lowest_ms = edge.lanes.iter().map(|l| l.tick_ms).min().flatten();
                if let Some(tick_ms) = lowest_ms.filter(|_| lowest_ms > edge.passed_tick_ms) {
                    edge.passed_tick_ms = lowest_ms;
                    self.push(chain, Event::Tick(tick_ms))?;
                }
            }
            Event::Barrier(epoch) => {
                edge.lanes[lane].blocked = true;
                if edge.lanes.iter().all(|l| l.blocked) {
                    edge.lanes.iter_mut().for_each(|l| l.blocked = false);
                    self.open_epoch(epoch);
                    self.push(chain, Event::Barrier(epoch))?;
                }
            }
            Event::Rows(rows) => {
                let input = edge.lanes[lane].input;
                self.push(chain, Event::Rows(Rows { input, ..rows }))?;
            }
            partials => self.push(chain, partials)?,
        }
        Ok(())
    }

    /// A lane has room again: its producer may be waiting for that.
    pub(super) fn wake_others(&self) {
        for peer in &self.peers {
            peer.parker.wake();
        }
    }
}
