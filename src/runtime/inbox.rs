//! Queues between workers: one byte-bounded lane per producer and edge, with one wake-up for the whole inbox.
//!
//! Sending never blocks: a lane without room gives the event back, and the producer keeps it and stops making more while it
//! goes on draining its own inbox. That is why workers that wait for each other's room cannot deadlock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use crate::operator::Event;

/// Wakes a worker's thread. Cheap to call when it is awake.
#[derive(Default)]
pub struct Parker {
    signalled: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Parker {
    /// Called once, on the worker's own thread.
    pub fn attach(&self) {
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
    pub fn park(&self, at_most: Duration) {
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
        Inbox { lanes: (0..lanes).map(|_| Lane::default()).collect(), lane_bytes_max, parker: Arc::default() }
    }

    /// Appends to a lane, or gives the event back if the lane is full. Watermarks and barriers always fit.
    #[expect(clippy::result_large_err, reason = "the error is the event itself, given back to be sent later")]
    pub fn push(&self, lane: usize, event: Event) -> Result<(), Event> {
        let lane = &self.lanes[lane];
        let bytes = event.memory_bytes();
        if bytes > 0 && lane.bytes.load(Ordering::Acquire) >= self.lane_bytes_max {
            return Err(event);
        }
        lane.bytes.fetch_add(bytes, Ordering::AcqRel);
        lane.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        self.parker.wake();
        Ok(())
    }

    /// The next event of a lane. The second value says that the lane was full, so its producer may be waiting.
    pub fn pop(&self, lane: usize) -> Option<(Event, bool)> {
        let lane = &self.lanes[lane];
        let event = lane.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
        let bytes = event.memory_bytes();
        let before = lane.bytes.fetch_sub(bytes, Ordering::AcqRel);
        Some((event, before >= self.lane_bytes_max && before - bytes < self.lane_bytes_max))
    }
}
