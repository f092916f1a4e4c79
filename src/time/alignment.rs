//! Which splits are too far ahead of the others to be read on?
//!
//! Sources of one group report where each stands; a worker leaves a split alone whose watermark is further ahead of the slowest
//! source than the group allows, so that few windows are open at a time however unevenly splits are read. Flink's options
//! `scan.watermark.alignment.*`, where a split is told apart within its source too. Called by the worker's source.
//!
//! What always holds: nothing waits for itself. The split that holds the group's lowest watermark is never ahead of it; a split
//! whose end another one waits for is read whatever its watermark ([`SplitTable::is_awaited`]); and a source that holds nothing
//! back, since its splits are idle or have ended, counts for nobody. Results do not depend on any of this.
//!
//! [`SplitTable::is_awaited`]: super::watermark::SplitTable::is_awaited

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::{MAX_TIME_MS, MIN_TIME_MS};

/// The sources of a job that are kept together.
#[derive(Debug)]
pub struct AlignmentGroup {
    /// Where each member stands; the end of time for one that holds nothing back.
    members: Vec<AtomicI64>,
}

impl AlignmentGroup {
    /// Until a member has reported, the others wait for it.
    pub fn new(members: usize) -> AlignmentGroup {
        AlignmentGroup { members: (0..members).map(|_| AtomicI64::new(MIN_TIME_MS)).collect() }
    }

    /// Where a member stands: the lowest watermark of the splits that hold it back; None if there is none. Reports of one
    /// member come one after the other.
    fn report(&self, member: usize, holds_ms: Option<i64>) {
        self.members[member].store(holds_ms.unwrap_or(MAX_TIME_MS), Ordering::Release);
    }

    fn lowest_ms(&self) -> i64 {
        self.members.iter().map(|m| m.load(Ordering::Acquire)).min().unwrap_or(MAX_TIME_MS)
    }
}

/// A source in its group.
#[derive(Debug, Clone)]
pub struct Aligned {
    pub group: Arc<AlignmentGroup>,
    pub member: usize,
    /// How far its splits may be ahead.
    pub max_drift_ms: i64,
}

impl Aligned {
    /// Says where the source stands: see [`AlignmentGroup`].
    pub fn report(&self, holds_ms: Option<i64>) {
        self.group.report(self.member, holds_ms);
    }

    /// True for a split that others have to catch up with.
    pub fn is_ahead(&self, watermark_ms: i64) -> bool {
        watermark_ms > self.group.lowest_ms().saturating_add(self.max_drift_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_ahead_of_whom() {
        let group = Arc::new(AlignmentGroup::new(2));
        let source = Aligned { group: group.clone(), member: 0, max_drift_ms: 1000 };
        assert!(source.is_ahead(5000), "the other has said nothing yet");
        assert!(!source.is_ahead(MIN_TIME_MS), "none has");
        group.report(0, Some(7000));
        group.report(1, Some(5000));
        for (watermark_ms, ahead) in [(4000, false), (5000, false), (6000, false), (6001, true), (7000, true)] {
            assert_eq!(source.is_ahead(watermark_ms), ahead, "{watermark_ms}");
        }
        group.report(1, None);
        assert!(!source.is_ahead(8000) && source.is_ahead(8001));
        group.report(0, None);
        assert!(!source.is_ahead(MAX_TIME_MS), "nobody holds anything back");
    }
}
