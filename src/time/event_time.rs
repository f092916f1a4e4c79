//! When did something happen, and how far has that time come? Points in event time, and the watermark, which only grows and
//! has a start and an end of its own.
//!
//! Passed between sources, operators and workers. What always holds of a stream: behind a watermark comes none that is lower.
//! Columns of times stay numbers; one that is handed on alone has its type.

use serde::{Deserialize, Serialize};

use crate::ids::shown_as_its_number;

shown_as_its_number!(EventTime, Watermark);

/// A point in event time: when a row happened, or where a window ends; ms since 1970-01-01T00:00:00Z. Where windows lie in a
/// zone, it is what the clock on the wall shows there, counted in the same way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct EventTime(i64);

impl EventTime {
    /// Bounds of ranges: no row is that old, or that young.
    pub const MIN: EventTime = EventTime(i64::MIN);
    pub const MAX: EventTime = EventTime(i64::MAX);

    #[inline]
    pub const fn at(ms: i64) -> EventTime {
        EventTime(ms)
    }

    #[inline]
    pub const fn ms(self) -> i64 {
        self.0
    }

    #[inline]
    pub const fn later(self, by_ms: i64) -> EventTime {
        EventTime(self.0.saturating_add(by_ms))
    }

    #[inline]
    pub const fn earlier(self, by_ms: i64) -> EventTime {
        EventTime(self.0.saturating_sub(by_ms))
    }

    /// As stored keys have it: big-endian with the sign bit flipped, so that byte order is time order.
    pub const fn to_bytes(self) -> [u8; 8] {
        (self.0 ^ i64::MIN).to_be_bytes()
    }

    pub const fn from_bytes(bytes: [u8; 8]) -> EventTime {
        EventTime(i64::from_be_bytes(bytes) ^ i64::MIN)
    }
}

/// No row at or before this time is in time any more; ms since 1970-01-01T00:00:00Z. Encoded as that number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watermark(i64);

impl Watermark {
    /// Before any event time: there has been none yet.
    pub const NONE: Watermark = Watermark(i64::MIN);
    /// After any event time: the end of input, at which every window fires.
    pub const END: Watermark = Watermark(i64::MAX);

    pub fn at(ms: i64) -> Watermark {
        Watermark(ms)
    }

    pub fn ms(self) -> i64 {
        self.0
    }

    /// The lowest one that closes a window which ends then.
    #[inline]
    pub fn closing(end: EventTime) -> Watermark {
        Watermark(end.earlier(1).0)
    }

    /// The last time that it covers.
    #[inline]
    pub const fn time(self) -> EventTime {
        EventTime(self.0)
    }

    /// True if a window that ends then takes no more rows.
    #[inline]
    pub fn closes(self, end: EventTime) -> bool {
        Watermark::closing(end) <= self
    }

    /// The watermark of rows that leave so much later. None yet, and the end of input, are the same for them.
    pub fn delayed(self, by_ms: i64) -> Watermark {
        debug_assert!(by_ms >= 0, "a watermark leaves before it comes");
        if self == Watermark::END { self } else { Watermark(self.0.saturating_sub(by_ms)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_closes_one_before_its_end() {
        for (watermark, end_ms, closes) in [
            (Watermark::at(9), 10, true),
            (Watermark::at(8), 10, false),
            (Watermark::NONE, 10, false),
            (Watermark::END, i64::MAX, true),
        ] {
            assert_eq!(watermark.closes(EventTime::at(end_ms)), closes, "{watermark} {end_ms}");
        }
        assert_eq!(Watermark::END.delayed(5), Watermark::END);
        assert_eq!(Watermark::NONE.delayed(5), Watermark::NONE);
        assert_eq!(Watermark::at(7).delayed(5), Watermark::at(2));
    }

    #[test]
    fn stored_times_sort_as_times_do() {
        let times = [i64::MIN, -1, 0, 1, i64::MAX].map(EventTime::at);
        assert!(times.map(EventTime::to_bytes).is_sorted());
        assert_eq!(times.map(|time| EventTime::from_bytes(time.to_bytes())), times);
        assert_eq!(EventTime::MAX.later(1), EventTime::MAX);
    }
}
