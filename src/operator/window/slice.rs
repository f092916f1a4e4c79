//! From event time to windows: which is the first window a row enters, and is it late for it?
//!
//! A window is named by its end. A slice is the largest interval that no window boundary crosses: the size for TUMBLE, the
//! step for CUMULATE. Each row updates one slice; the windows that slice belongs to are those ending at `first`, and for
//! CUMULATE the following ones up to the end of the maximum size. All arithmetic is in ms and wraps nowhere: times are
//! clamped to a range that leaves room for a window on both sides.
//!
//! Lateness (Flink's W3, W4): a window is closed by a watermark `w >= end - 1`. A row late for some of its windows enters
//! the first one still open; a row late for all of them is late.

/// How windows lie on the time line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Windows {
    pub kind: WindowKind,
    /// Shift of all boundaries against the epoch. May be negative.
    pub offset_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum WindowKind {
    Tumble {
        size_ms: i64,
    },
    /// Windows of one start that grow by `step_ms` up to `size_ms`, a multiple of the step.
    Cumulate {
        step_ms: i64,
        size_ms: i64,
    },
}

/// Times beyond this are clamped: some 100 million years on each side.
const LIMIT_MS: i64 = i64::MAX / 4;

impl Windows {
    fn slice_ms(&self) -> i64 {
        match self.kind {
            WindowKind::Tumble { size_ms } => size_ms,
            WindowKind::Cumulate { step_ms, .. } => step_ms,
        }
    }

    /// The longest a window gets.
    pub fn size_ms(&self) -> i64 {
        match self.kind {
            WindowKind::Tumble { size_ms } | WindowKind::Cumulate { size_ms, .. } => size_ms,
        }
    }

    /// Start of the (maximum) window that holds `ts`.
    #[inline]
    pub fn start(&self, ts: i64) -> i64 {
        let ts = ts.clamp(-LIMIT_MS, LIMIT_MS);
        ts - (ts - self.offset_ms).rem_euclid(self.size_ms())
    }

    /// Start of the window that ends at `end`.
    pub fn start_of_window(&self, end: i64) -> i64 {
        match self.kind {
            WindowKind::Tumble { size_ms } => end - size_ms,
            WindowKind::Cumulate { .. } => self.start(end - 1),
        }
    }

    /// End of the first window that `ts` enters, leaving lateness aside.
    #[inline]
    pub fn first_end(&self, ts: i64) -> i64 {
        let ts = ts.clamp(-LIMIT_MS, LIMIT_MS);
        let slice = self.slice_ms();
        ts - (ts - self.offset_ms).rem_euclid(slice) + slice
    }

    /// The first window at or after the one ending at `first_end`, of those its slice belongs to, that a watermark has not
    /// closed. None if it has closed them all.
    #[inline]
    pub fn first_open(&self, first_end: i64, watermark_ms: i64) -> Option<i64> {
        if watermark_ms < first_end - 1 {
            return Some(first_end);
        }
        match self.kind {
            WindowKind::Tumble { .. } => None,
            WindowKind::Cumulate { step_ms, size_ms } => {
                let last = self.start(first_end - 1) + size_ms;
                if watermark_ms >= last - 1 {
                    return None;
                }
                // The smallest boundary e with e - 1 > watermark.
                let behind = watermark_ms + 2 - first_end;
                Some(first_end + (behind + step_ms - 1).div_euclid(step_ms) * step_ms)
            }
        }
    }

    /// True if the window ending here is the last one of its start.
    pub fn is_last(&self, end: i64) -> bool {
        self.start_of_window(end) + self.size_ms() == end
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
            assert_eq!(windows.first_end(ts), end, "{windows:?} {ts}");
        }
        assert_eq!(cumulate(5, 20).start_of_window(20), 0);
        assert_eq!(cumulate(5, 20).start_of_window(25), 20);
        assert!(cumulate(5, 20).is_last(20) && !cumulate(5, 20).is_last(15));
    }

    #[test]
    fn a_watermark_closes_a_window_one_before_its_end() {
        assert_eq!(tumble(10, 0).first_open(10, 8), Some(10));
        assert_eq!(tumble(10, 0).first_open(10, 9), None);
        let c = cumulate(5, 20);
        for (watermark, expected) in
            [(3, Some(5)), (4, Some(10)), (8, Some(10)), (9, Some(15)), (18, Some(20)), (19, None), (i64::MAX, None)]
        {
            assert_eq!(c.first_open(5, watermark), expected, "watermark {watermark}");
        }
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        for w in [tumble(10_000, -3), cumulate(1000, 300_000)] {
            for ts in [i64::MIN, i64::MIN + 1, i64::MAX] {
                let end = w.first_end(ts);
                assert!(w.first_open(end, i64::MIN) == Some(end) && w.first_open(end, i64::MAX).is_none());
            }
        }
    }
}
