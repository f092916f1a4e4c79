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

use crate::time::MIN_TIME_MS;

/// The times that decide about a key, ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lateness {
    /// Of the newest row given out, or of a timer after it.
    pub last_ms: i64,
    /// When the key is forgotten.
    pub clear_ms: Option<i64>,
    /// Timers that have not fired, in order.
    pub timers_ms: Vec<i64>,
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
        Lateness { last_ms: MIN_TIME_MS, clear_ms: None, timers_ms: vec![] }
    }
}

impl Lateness {
    /// A row arrives. False: it is dropped.
    pub fn arrive(&mut self, ts: i64, timing: Timing, frame_ms: i64) -> bool {
        if timing == Timing::Behind && ts <= self.last_ms {
            return false;
        }
        if self.clear_ms.is_none_or(|clear| clear < ts.saturating_add(frame_ms + 1)) {
            let clear = ts.saturating_add(frame_ms + frame_ms / 2 + 1);
            self.clear_ms = Some(clear);
            let at = self.timers_ms.partition_point(|&t| t < clear);
            if self.timers_ms.get(at) != Some(&clear) {
                self.timers_ms.insert(at, clear);
            }
            debug_assert!(self.timers_ms.is_sorted_by(|a, b| a < b), "timers are out of order: {:?}", self.timers_ms);
        }
        true
    }

    /// The next timer, if it is at or before `limit_ms` and not after `before_ms`.
    pub fn next_timer(&self, limit_ms: i64, before_ms: Option<i64>) -> Option<i64> {
        self.timers_ms.first().copied().filter(|&t| t <= limit_ms && before_ms.is_none_or(|before| t <= before))
    }

    /// The first timer fires. True: the key is new again, and its rows are forgotten.
    pub fn fire(&mut self) -> bool {
        if self.timers_ms.is_empty() {
            return false;
        }
        let t = self.timers_ms.remove(0);
        let clears = self.clear_ms.is_some_and(|clear| clear <= t);
        if clears {
            *self = Lateness { timers_ms: std::mem::take(&mut self.timers_ms), ..Lateness::default() };
        } else {
            self.last_ms = t;
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
        assert!(key.arrive(1000, Timing::InTime, 100));
        assert!(key.arrive(1200, Timing::InTime, 100), "moves the clearing time on");
        assert_eq!(key.timers_ms, [1151, 1351]);
        key.last_ms = 1000;
        assert_eq!(key.next_timer(1160, None), Some(1151));
        assert!(!key.fire());
        assert!(!key.arrive(1150, Timing::Behind, 100) && key.arrive(1152, Timing::Behind, 100));
    }

    #[test]
    fn a_key_that_was_cleared_takes_any_row() {
        let mut key = Lateness::default();
        assert!(key.arrive(1000, Timing::InTime, 100));
        key.last_ms = 1000;
        assert!(!key.arrive(900, Timing::Behind, 100));
        assert!(key.fire());
        assert!(key.is_new() && key.arrive(900, Timing::Behind, 100));
    }
}
