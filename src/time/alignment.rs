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

use super::Watermark;

/// The sources of a job that are kept together.
#[derive(Debug)]
pub struct AlignmentGroup {
    /// Where each member stands; the end of time for one that holds nothing back.
    members: Vec<AtomicI64>,
}

impl AlignmentGroup {
    /// Until a member has reported, the others wait for it.
    pub fn new(members: usize) -> AlignmentGroup {
        AlignmentGroup { members: (0..members).map(|_| AtomicI64::new(Watermark::NONE.ms())).collect() }
    }

    /// Where a member stands: the lowest watermark of the splits that hold it back; None if there is none. Reports of one
    /// member come one after the other.
    fn report(&self, member: usize, holding: Option<Watermark>) {
        self.members[member].store(holding.unwrap_or(Watermark::END).ms(), Ordering::Release);
    }

    fn lowest(&self) -> Watermark {
        self.members.iter().map(|m| Watermark::at(m.load(Ordering::Acquire))).min().unwrap_or(Watermark::END)
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
    pub fn report(&self, holding: Option<Watermark>) {
        self.group.report(self.member, holding);
    }

    /// True for a split that others have to catch up with.
    pub fn is_ahead(&self, watermark: Watermark) -> bool {
        watermark.ms() > self.group.lowest().ms().saturating_add(self.max_drift_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_ahead_of_whom() {
        let at = |ms| Some(Watermark::at(ms));
        let group = Arc::new(AlignmentGroup::new(2));
        let source = Aligned { group: group.clone(), member: 0, max_drift_ms: 1000 };
        let is_ahead = |ms| source.is_ahead(Watermark::at(ms));
        assert!(is_ahead(5000), "the other has said nothing yet");
        assert!(!source.is_ahead(Watermark::NONE), "none has");
        group.report(0, at(7000));
        group.report(1, at(5000));
        for (ms, ahead) in [(4000, false), (5000, false), (6000, false), (6001, true), (7000, true)] {
            assert_eq!(is_ahead(ms), ahead, "{ms}");
        }
        group.report(1, None);
        assert!(!is_ahead(8000) && is_ahead(8001));
        group.report(0, None);
        assert!(!source.is_ahead(Watermark::END), "nobody holds anything back");
    }
}
