//! From event time to windows: which is the first window a row enters, and is it late for it?
//!
//! A window is named by its end. The ends of the windows that a row enters lie one step apart: a [`WindowSpan`] names the first
//! and the last of them. Rows with the same span are in the same windows, so each row updates one span, however many
//! windows overlap. All arithmetic is in ms and wraps nowhere: times are clamped to a range that leaves room for a window
//! on both sides.
//!
//! Lateness (Flink's W3, W4): a window is closed by a watermark `w >= end - 1`. A row late for some of its windows enters
//! the first one still open and those after it; a row late for all of them is late.

use crate::time::{EventTime, Watermark};

/// How windows lie on the time line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Windows {
    pub kind: WindowKind,
    /// Shift of all boundaries against the epoch. May be negative.
    pub offset_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum WindowKind {
    Tumble {
        size_ms: i64,
    },
    /// A window of `size_ms` every `slide_ms`. With a slide above the size some rows are in no window.
    Hop {
        slide_ms: i64,
        size_ms: i64,
    },
    /// Windows of one start that grow by `step_ms` up to `size_ms`, a multiple of the step.
    Cumulate {
        step_ms: i64,
        size_ms: i64,
    },
    /// The windows that have fired the rows: each batch knows its own.
    Fired,
}

/// The windows that some rows enter: the first and the last end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowSpan {
    pub first: EventTime,
    pub last: EventTime,
}

/// Times beyond this are clamped: some 100 million years on each side.
const LIMIT_MS: i64 = i64::MAX / 4;

impl Windows {
    /// From one window's end to the next.
    pub fn step_ms(&self) -> i64 {
        match self.kind {
            WindowKind::Tumble { size_ms } => size_ms,
            WindowKind::Hop { slide_ms, .. } => slide_ms,
            WindowKind::Cumulate { step_ms, .. } => step_ms,
            WindowKind::Fired => 1,
        }
    }

    /// The longest a window gets.
    pub fn size_ms(&self) -> i64 {
        match self.kind {
            WindowKind::Tumble { size_ms } | WindowKind::Hop { size_ms, .. } | WindowKind::Cumulate { size_ms, .. } => size_ms,
            WindowKind::Fired => 0,
        }
    }

    /// Start of the window that ends at `end`.
    pub fn start_of_window(&self, end: EventTime) -> EventTime {
        match self.kind {
            WindowKind::Tumble { size_ms } | WindowKind::Hop { size_ms, .. } => end.earlier(size_ms),
            WindowKind::Cumulate { size_ms, .. } => {
                let last = end.earlier(1);
                last.earlier((last.ms() - self.offset_ms).rem_euclid(size_ms))
            }
            WindowKind::Fired => end,
        }
    }

    /// The windows that a row at `ts` enters, leaving lateness aside. None: `ts` lies between windows.
    #[inline]
    pub fn span(&self, ts: EventTime) -> Option<WindowSpan> {
        let ts = ts.ms().clamp(-LIMIT_MS, LIMIT_MS);
        let since = ts - self.offset_ms;
        match self.kind {
            WindowKind::Tumble { size_ms } => {
                let end = EventTime::at(ts - since.rem_euclid(size_ms) + size_ms);
                Some(WindowSpan { first: end, last: end })
            }
            WindowKind::Hop { slide_ms, size_ms } => {
                // Starts are at the offset plus multiples of the slide.
                let last = EventTime::at(ts - since.rem_euclid(slide_ms) + size_ms);
                // The first end after ts: a watermark just before ts has not closed it.
                let first = self.next_end(Watermark::at(ts - 1));
                (first <= last).then_some(WindowSpan { first, last })
            }
            WindowKind::Cumulate { step_ms, size_ms } => {
                let first = EventTime::at(ts - since.rem_euclid(step_ms) + step_ms);
                Some(WindowSpan { first, last: EventTime::at(ts - since.rem_euclid(size_ms) + size_ms) })
            }
            // `ts` says nothing about it.
            WindowKind::Fired => None,
        }
    }

    /// The end of the first window that a watermark has not closed.
    #[inline]
    pub fn next_end(&self, watermark: Watermark) -> EventTime {
        let after = watermark.ms().clamp(-LIMIT_MS, LIMIT_MS) + 1;
        let anchor = match self.kind {
            WindowKind::Hop { size_ms, .. } => self.offset_ms + size_ms,
            _ => self.offset_ms,
        };
        let step = self.step_ms();
        // The smallest end e with e - 1 > watermark, that is e > after.
        EventTime::at(after - (after - anchor).rem_euclid(step) + step)
    }

    /// The part of a span that a watermark has not closed. None if it has closed all of it.
    #[inline]
    pub fn open(&self, span: WindowSpan, watermark: Watermark) -> Option<WindowSpan> {
        debug_assert!(span.first <= span.last, "the last window of a row is before its first");
        if !watermark.closes(span.first) {
            return Some(span);
        }
        if watermark.closes(span.last) {
            return None;
        }
        let first = self.next_end(watermark);
        debug_assert!(span.first < first && first <= span.last, "{watermark} leaves {first} of {span:?} open");
        Some(WindowSpan { first, last: span.last })
    }

    /// Number of the window that ends here; neighbours have neighbouring numbers.
    pub fn number(&self, end: EventTime) -> i64 {
        (end.ms() - self.offset_ms).div_euclid(self.step_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tumble(size_ms: i64, offset_ms: i64) -> Windows {
        Windows { kind: WindowKind::Tumble { size_ms }, offset_ms }
    }
    fn cumulate(step_ms: i64, size_ms: i64) -> Windows {
        Windows { kind: WindowKind::Cumulate { step_ms, size_ms }, offset_ms: 0 }
    }
    fn hop(slide_ms: i64, size_ms: i64, offset_ms: i64) -> Windows {
        Windows { kind: WindowKind::Hop { slide_ms, size_ms }, offset_ms }
    }
    fn span(first: i64, last: i64) -> WindowSpan {
        WindowSpan { first: EventTime::at(first), last: EventTime::at(last) }
    }

    #[test]
    fn boundaries_floor_also_before_the_epoch() {
        for (windows, ts, end) in [
            (tumble(10, 0), 0, 10),
            (tumble(10, 0), 9, 10),
            (tumble(10, 0), -1, 0),
            (tumble(10, 0), -10, 0),
            (tumble(10, 3), 2, 3),
            (tumble(7, -2), -2, 5),
            (cumulate(5, 20), 19, 20),
            (cumulate(5, 20), -20, -15),
        ] {
            assert_eq!(windows.span(EventTime::at(ts)).expect("no gaps").first, EventTime::at(end), "{windows:?} {ts}");
        }
        for (end, start) in [(20, 0), (25, 20)] {
            assert_eq!(cumulate(5, 20).start_of_window(EventTime::at(end)), EventTime::at(start));
        }
    }

    #[test]
    fn a_row_is_in_every_window_that_hops_over_it() {
        // By definition: the ends of all windows [start, start + size) with start = offset + k * slide that hold ts.
        for (slide, size, offset) in [(2, 10, 0), (5, 5, 0), (3, 10, 1), (4, 6, -3), (7, 3, 2), (10, 1, 0)] {
            let windows = hop(slide, size, offset);
            for ts in -40..40 {
                let starts = (-30..30).map(|k| offset + k * slide).filter(|s| (*s..s + size).contains(&ts));
                let ends: Vec<EventTime> = starts.map(|s| EventTime::at(s + size)).collect();
                let found = windows.span(EventTime::at(ts));
                assert_eq!(found.map(|s| s.first), ends.first().copied(), "{windows:?} {ts}");
                assert_eq!(found.map(|s| s.last), ends.last().copied(), "{windows:?} {ts}");
                for pair in ends.windows(2) {
                    assert_eq!(windows.number(pair[1]), windows.number(pair[0]) + 1);
                }
                for watermark in (-40..40).map(Watermark::at) {
                    let open: Vec<EventTime> = ends.iter().copied().filter(|&end| !watermark.closes(end)).collect();
                    let left = found.and_then(|s| windows.open(s, watermark));
                    let expected = open.first().zip(open.last()).map(|(&first, &last)| WindowSpan { first, last });
                    assert_eq!(left, expected, "{windows:?} {ts} at {watermark}");
                }
            }
        }
    }

    #[test]
    fn a_watermark_closes_a_window_one_before_its_end() {
        assert_eq!(tumble(10, 0).open(span(10, 10), Watermark::at(8)), Some(span(10, 10)));
        assert_eq!(tumble(10, 0).open(span(10, 10), Watermark::at(9)), None);
        let c = cumulate(5, 20);
        for (watermark, expected) in
            [(3, Some(5)), (4, Some(10)), (8, Some(10)), (9, Some(15)), (18, Some(20)), (19, None), (i64::MAX, None)]
        {
            assert_eq!(c.open(span(5, 20), Watermark::at(watermark)).map(|s| s.first.ms()), expected, "watermark {watermark}");
        }
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        for w in [tumble(10_000, -3), cumulate(1000, 300_000), hop(1000, 60_000, 7)] {
            for ts in [i64::MIN, i64::MIN + 1, i64::MAX].map(EventTime::at) {
                let span = w.span(ts).expect("no gaps");
                assert!(w.open(span, Watermark::NONE) == Some(span) && w.open(span, Watermark::END).is_none());
            }
        }
    }
}
