//! Which rows does a frame of time still take? Flink's timers, per key.
//!
//! Flink sets a timer to forget a key, half a frame longer than its newest row can be reached, and moves it on while rows come.
//! A timer that was moved on still fires, and the key then counts as having given out a row of that time: a row that is behind
//! and not after it is dropped. So lateness depends on when rows *arrived*, not only on their times:
//!
//! ```text
//! arrival of a row at watermark w:  dropped if it is behind and time <= last
//!     if there is no clearing time, or it is before time + frame + 1:  it becomes time + 1.5 * frame + 1, and a timer is set
//! timer at t:  if the clearing time is <= t: the key is new again; else last = t
//! rows at t given out:  last = t
//! ```
//!
//! Timers and rows up to a watermark come in order of time, before the rows that arrive at that watermark. A row that is behind
//! is given out with the next watermark. (RowTimeRangeBoundedPrecedingFunction of Flink 2.3, and seen in case `over_late`.)

use crate::time::EventTime;

/// The times that decide about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lateness {
    /// Of the newest row given out, or of a timer after it.
    pub last: EventTime,
    /// When the key is forgotten.
    pub clear: Option<EventTime>,
    /// Timers that have not fired, in order.
    pub timers: Vec<EventTime>,
}

/// A row against the watermark of its split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// After it.
    InTime,
    /// At it or before.
    Behind,
}

impl Default for Lateness {
    fn default() -> Self {
        Lateness { last: EventTime::MIN, clear: None, timers: vec![] }
    }
}

impl Lateness {
    /// A row arrives. False: it is dropped.
    pub fn arrive(&mut self, ts: EventTime, timing: Timing, frame_ms: i64) -> bool {
        if timing == Timing::Behind && ts <= self.last {
            return false;
        }
        if self.clear.is_none_or(|clear| clear < ts.later(frame_ms + 1)) {
            let clear = ts.later(frame_ms + frame_ms / 2 + 1);
            self.clear = Some(clear);
            let at = self.timers.partition_point(|&t| t < clear);
            if self.timers.get(at) != Some(&clear) {
                self.timers.insert(at, clear);
            }
            debug_assert!(self.timers.is_sorted_by(|a, b| a < b), "timers are out of order: {:?}", self.timers);
        }
        true
    }

    /// The next timer, if it is at or before `limit` and not after `before`.
    pub fn next_timer(&self, limit: EventTime, before: Option<EventTime>) -> Option<EventTime> {
        self.timers.first().copied().filter(|&t| t <= limit && before.is_none_or(|before| t <= before))
    }

    /// The first timer fires. True: the key is new again, and its rows are forgotten.
    pub fn fire(&mut self) -> bool {
        if self.timers.is_empty() {
            return false;
        }
        let t = self.timers.remove(0);
        let clears = self.clear.is_some_and(|clear| clear <= t);
        if clears {
            *self = Lateness { timers: std::mem::take(&mut self.timers), ..Lateness::default() };
        } else {
            self.last = t;
        }
        clears
    }

    /// Nothing is known that a new key would not have too.
    pub fn is_new(&self) -> bool {
        *self == Lateness::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_was_moved_on_counts_as_a_row() {
        let mut key = Lateness::default();
        assert!(key.arrive(EventTime::at(1000), Timing::InTime, 100));
        assert!(key.arrive(EventTime::at(1200), Timing::InTime, 100), "moves the clearing time on");
        assert_eq!(key.timers, [1151, 1351].map(EventTime::at));
        key.last = EventTime::at(1000);
        assert_eq!(key.next_timer(EventTime::at(1160), None), Some(EventTime::at(1151)));
        assert!(!key.fire());
        assert!(!key.arrive(EventTime::at(1150), Timing::Behind, 100) && key.arrive(EventTime::at(1152), Timing::Behind, 100));
    }

    #[test]
    fn a_key_that_was_cleared_takes_any_row() {
        let mut key = Lateness::default();
        assert!(key.arrive(EventTime::at(1000), Timing::InTime, 100));
        key.last = EventTime::at(1000);
        assert!(!key.arrive(EventTime::at(900), Timing::Behind, 100));
        assert!(key.fire());
        assert!(key.is_new() && key.arrive(EventTime::at(900), Timing::Behind, 100));
    }
}
