//! How far has event time come? A number that only grows, with a start and an end of its own.
//!
//! Passed between sources, operators and workers. What always holds of a stream: behind a watermark comes none that is lower.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{MAX_TIME_MS, MIN_TIME_MS};

/// No row at or before this time is in time any more; ms since 1970-01-01T00:00:00Z. Encoded as that number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watermark(i64);

impl Watermark {
    /// Before any event time: there has been none yet.
    pub const NONE: Watermark = Watermark(MIN_TIME_MS);
    /// After any event time: the end of input, at which every window fires.
    pub const END: Watermark = Watermark(MAX_TIME_MS);

    pub fn at(ms: i64) -> Watermark {
        Watermark(ms)
    }

    pub fn ms(self) -> i64 {
        self.0
    }

    /// True if a window that ends at `end_ms` takes no more rows.
    pub fn closes(self, end_ms: i64) -> bool {
        end_ms.saturating_sub(1) <= self.0
    }

    /// The watermark of rows that leave so much later. None yet, and the end of input, are the same for them.
    pub fn delayed(self, by_ms: i64) -> Watermark {
        debug_assert!(by_ms >= 0, "a watermark leaves before it comes");
        if self == Watermark::END { self } else { Watermark(self.0.saturating_sub(by_ms)) }
    }
}

impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
            assert_eq!(watermark.closes(end_ms), closes, "{watermark} {end_ms}");
        }
        assert_eq!(Watermark::END.delayed(5), Watermark::END);
        assert_eq!(Watermark::NONE.delayed(5), Watermark::NONE);
        assert_eq!(Watermark::at(7).delayed(5), Watermark::at(2));
    }
}
