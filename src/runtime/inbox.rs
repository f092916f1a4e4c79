//! Queues between workers: one byte-bounded lane per producer and edge, with one wake-up for the
//! whole inbox.
//!
//! Sending never blocks: a lane without room gives the event back, and the producer keeps it and
//! stops making more while it goes on draining its own inbox. That is why workers that wait for
//! each other's room cannot deadlock.
//!
//! What always holds: a lane holds at most one watermark and one tick behind its last rows or
//! barrier, however slow its reader is. They take no bytes and always fit, and a worker without
//! rows sends them a hundred times a second: without this they would pile up in front of a slow
//! worker, and a barrier behind them would never get through.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use crate::operator::Event;
#[cfg(test)]
use crate::peaks;

/// Wakes a worker's thread. Cheap to call when it is awake.
#[derive(Default)]
pub struct Parker {
    signalled: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Parker {
    /// Called once, on the worker's own thread.
    pub(crate) fn attach(&self) {
        let _ = self.thread.set(std::thread::current());
    }

    pub fn wake(&self) {
        if !self.signalled.swap(true, Ordering::AcqRel)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Sleeps until woken, or for `at_most`.
    pub(crate) fn park(&self, at_most: Duration) {
        if !self.signalled.swap(false, Ordering::AcqRel) {
            std::thread::park_timeout(at_most);
            self.signalled.store(false, Ordering::Release);
        }
    }
}

#[derive(Default)]
struct Lane {
    queue: Mutex<VecDeque<Event>>,
    bytes: AtomicUsize,
}

/// What other workers send to one worker.
pub struct Inbox {
    lanes: Vec<Lane>,
    lane_bytes_max: usize,
    pub parker: Arc<Parker>,
}

impl Inbox {
    /// `lane_bytes_max`: a lane takes another batch while it holds less than this.
    pub fn new(lanes: usize, lane_bytes_max: usize) -> Inbox {
        Inbox {
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            lane_bytes_max,
            parker: Arc::default(),
        }
    }

    /// Appends to a lane, or gives the event back if the lane is full. Watermarks and barriers
    /// always fit.
    #[expect(
        clippy::result_large_err,
        reason = "the error is the event itself, given back to be sent later"
    )]
    pub fn push(&self, lane: usize, event: Event) -> Result<(), Event> {
        let lane = &self.lanes[lane];
        let bytes = event.memory_bytes();
        if bytes > 0 && lane.bytes.load(Ordering::Acquire) >= self.lane_bytes_max {
            return Err(event);
        }
        lane.bytes.fetch_add(bytes, Ordering::AcqRel);
        #[cfg(test)]
        {
            peaks::note(|peaks| &mut peaks.lane, lane.bytes.load(Ordering::Acquire));
            peaks::note(|peaks| &mut peaks.event, bytes);
        }
        append(&mut lane.queue.lock().unwrap_or_else(PoisonError::into_inner), event);
        self.parker.wake();
        Ok(())
    }

    /// The next event of a lane.
    pub fn pop(&self, lane: usize) -> Option<Popped> {
        let lane = &self.lanes[lane];
        let event = lane.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
        let bytes = event.memory_bytes();
        let before = lane.bytes.fetch_sub(bytes, Ordering::AcqRel);
        debug_assert!(before >= bytes, "a lane of {before} bytes gives an event of {bytes}");
        Some(Popped {
            event,
            bytes,
            was_full: before >= self.lane_bytes_max && before - bytes < self.lane_bytes_max,
        })
    }
}

/// What a lane gave.
pub struct Popped {
    pub event: Event,
    pub bytes: usize,
    /// The lane was full and is not any more: its producer may be waiting.
    pub was_full: bool,
}

/// Appends an event to a queue. A watermark takes the place of one that no row has followed, and so
/// does a tick.
pub fn append(queue: &mut VecDeque<Event>, event: Event) {
    for queued in queue.iter_mut().rev() {
        match (queued, &event) {
            (Event::Watermark(old), Event::Watermark(new)) => {
                debug_assert!(*old <= *new, "event time goes back from {old} to {new}");
                *old = *new;
                return;
            }
            (Event::Tick(old), Event::Tick(new)) => {
                debug_assert!(*old <= *new, "time goes back from {old} to {new}");
                *old = *new;
                return;
            }
            (Event::Watermark(_), Event::Tick(_)) | (Event::Tick(_), Event::Watermark(_)) => {}
            _ => break,
        }
    }
    queue.push_back(event);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;
    use crate::time::Watermark;

    fn drained(inbox: &Inbox) -> Vec<String> {
        std::iter::from_fn(|| inbox.pop(0)).map(|popped| format!("{:?}", popped.event)).collect()
    }

    fn push(inbox: &Inbox, event: Event) {
        inbox.push(0, event).expect("it takes no bytes");
    }

    #[test]
    fn watermarks_and_ticks_do_not_pile_up() {
        let inbox = Inbox::new(1, 0);
        for time in 0..1000 {
            push(&inbox, Event::Tick(time));
            push(&inbox, Event::Watermark(Watermark::at(time / 2)));
        }
        assert_eq!(drained(&inbox), ["Tick(999)", "Watermark(499)"]);
    }

    #[test]
    fn nothing_moves_over_a_barrier() {
        let inbox = Inbox::new(1, 0);
        for event in [
            Event::Watermark(Watermark::at(1)),
            Event::Barrier(Epoch::new(7)),
            Event::Watermark(Watermark::at(2)),
            Event::Tick(5),
            Event::Watermark(Watermark::at(3)),
        ] {
            push(&inbox, event);
        }
        assert_eq!(drained(&inbox), ["Watermark(1)", "Barrier(7)", "Watermark(3)", "Tick(5)"]);
    }
}
