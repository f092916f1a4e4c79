//! When is a split known to be idle?
//!
//! Readers note when they were told that nothing is left to read; the worker asks whether that
//! makes the split idle, so that it no longer holds the watermark back. What always holds: only
//! answers count, never the time since the last one. A shard that is paused, throttled, hanging,
//! behind or backpressured is not idle, and one that was idle stops being so.

use std::time::Duration;

/// How long an answer says something about now. Readers ask a quiet shard four times a second, so
/// that one without an answer for this long hangs.
pub const ANSWER_AGE_MAX: Duration = Duration::from_secs(10);

/// Answers in a row that said that nothing is left, since the last record or failure. Readings of
/// the job's monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmptyAnswers {
    first: Duration,
    latest: Duration,
}

impl EmptyAnswers {
    /// One more answer, after those that there were.
    pub fn and_one(before: Option<EmptyAnswers>, now: Duration) -> EmptyAnswers {
        let first = before.map_or(now, |answers| answers.first);
        debug_assert!(
            before.is_none_or(|answers| answers.latest <= now),
            "the monotonic clock goes back"
        );
        EmptyAnswers { first, latest: now }
    }

    /// True if they make a split idle. `timeout` zero: never.
    pub(crate) fn are_idle(self, timeout: Duration, now: Duration) -> bool {
        !timeout.is_zero()
            && self.latest - self.first >= timeout
            && now.saturating_sub(self.latest) <= ANSWER_AGE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn only_the_time_between_answers_counts() {
        let one = EmptyAnswers::and_one(None, S(100));
        assert!(!one.are_idle(S(5), S(109)), "nine seconds without an answer are no idleness");
        let two = EmptyAnswers::and_one(Some(one), S(104));
        assert!(!two.are_idle(S(5), S(105)));
        let three = EmptyAnswers::and_one(Some(two), S(105));
        assert!(three.are_idle(S(5), S(105)));
        assert!(!three.are_idle(Duration::ZERO, S(105)), "zero is never");
    }

    #[test]
    fn a_call_that_hangs_ends_idleness() {
        let answers = EmptyAnswers::and_one(Some(EmptyAnswers::and_one(None, S(1))), S(20));
        assert!(answers.are_idle(S(5), S(20) + ANSWER_AGE_MAX));
        assert!(!answers.are_idle(S(5), S(21) + ANSWER_AGE_MAX));
    }
}
