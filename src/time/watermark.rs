//! How far has each split of a source come, and how far the source as a whole?
//!
//! One [`SplitTable`] per source table, shared by all workers behind a lock that is taken once per batch. It is the whole
//! state machine of split progress: which splits exist, who waits for whom, who holds the watermark back.
//!
//! What always holds:
//! - a split's watermark never goes back, and neither does the source watermark that [`SplitTable::watermark`] returns;
//! - the source watermark is at or below that of every split that may still deliver rows: a split that waits for its
//!   parents holds it at the lower of their watermarks from the moment it is known;
//! - a finished split leaves the minimum in the same step that registers its children;
//! - finished splits stay in the table (tombstones): "unknown" never means "finished". A parent that is not known will be
//!   registered by the end of one of its own parents; only when no split is left that could do so has it gone for good.

use std::collections::BTreeMap;

use super::{MAX_TIME_MS, MIN_TIME_MS};

/// What a split is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitStatus {
    /// Known, not opened: its parents have not all finished, or its worker has not come to it.
    Waiting,
    /// Open. Holds the source watermark back.
    Active,
    /// Open, and certified to have nothing to deliver. Does not hold the watermark back.
    Idle,
    /// Ended. Only its watermark and its children are of interest.
    Finished,
}

/// A split's entry. `S` is the caller's own data (position, seed), opaque here.
#[derive(Debug, Clone)]
pub struct Entry<S> {
    pub status: SplitStatus,
    /// The watermark after the last record read, ms.
    pub watermark_ms: i64,
    pub parents: Vec<String>,
    /// The worker that reads it.
    pub owner: usize,
    pub data: S,
}

/// All splits of one source table.
#[derive(Debug)]
pub struct SplitTable<S> {
    entries: BTreeMap<String, Entry<S>>,
    /// The highest source watermark handed out.
    handed_out_ms: i64,
}

impl<S> Default for SplitTable<S> {
    fn default() -> Self {
        SplitTable { entries: BTreeMap::new(), handed_out_ms: MIN_TIME_MS }
    }
}

impl<S> SplitTable<S> {
    /// Registers a split unless it is known. `watermark_ms` is what its own records have brought it to; one with known
    /// parents starts at the lowest of theirs, whenever it was registered.
    pub fn register(&mut self, id: &str, parents: Vec<String>, owner: usize, watermark_ms: i64, status: SplitStatus, data: S) {
        if !self.entries.contains_key(id) {
            self.entries.insert(id.to_string(), Entry { status, watermark_ms, parents, owner, data });
        }
    }

    /// Where a split stands: its own watermark, or, until it has one, the lowest of its known parents'.
    fn stands_at(&self, entry: &Entry<S>) -> i64 {
        if entry.status != SplitStatus::Waiting {
            return entry.watermark_ms;
        }
        let parents = entry.parents.iter().filter_map(|p| self.entries.get(p));
        entry.watermark_ms.max(parents.map(|p| self.stands_at(p)).min().unwrap_or(MIN_TIME_MS))
    }

    /// The next split of `owner` that may be opened, lowest watermark first; it becomes active.
    pub fn next_to_open(&mut self, owner: usize) -> Option<(String, &mut Entry<S>)> {
        // Without this, the child of a merge would wait for ever if its other parent's parent was read to a bound only.
        let nothing_comes = !self.entries.values().any(|e| self.may_register(e));
        let known_finished = |e: &Entry<S>| e.parents.iter().all(|p| self.parent_finished(p) != Some(false));
        let may_open =
            |e: &Entry<S>| e.status == SplitStatus::Waiting && (self.is_ready(e) || nothing_comes && known_finished(e));
        let id = self
            .entries
            .iter()
            .filter(|(_, e)| e.owner == owner && may_open(e))
            .min_by_key(|(_, e)| self.stands_at(e))
            .map(|(id, _)| id.clone())?;
        let stands_at = self.stands_at(self.entries.get(&id)?);
        let entry = self.entries.get_mut(&id)?;
        entry.status = SplitStatus::Active;
        entry.watermark_ms = stands_at;
        Some((id, entry))
    }

    fn parent_finished(&self, parent: &str) -> Option<bool> {
        self.entries.get(parent).map(|p| p.status == SplitStatus::Finished)
    }

    /// True if nothing keeps it waiting: every parent is known and has finished.
    fn is_ready(&self, entry: &Entry<S>) -> bool {
        entry.parents.iter().all(|p| self.parent_finished(p) == Some(true))
    }

    /// True if it will end before anything else has to, and so may still register splits.
    fn may_register(&self, entry: &Entry<S>) -> bool {
        match entry.status {
            SplitStatus::Active | SplitStatus::Idle => true,
            SplitStatus::Waiting => self.is_ready(entry),
            SplitStatus::Finished => false,
        }
    }

    /// Raises a split's watermark after its rows have been handed on, and makes it active again if it was idle.
    pub fn advance(&mut self, id: &str, watermark_ms: i64) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.watermark_ms = entry.watermark_ms.max(watermark_ms);
            if entry.status == SplitStatus::Idle {
                entry.status = SplitStatus::Active;
            }
        }
    }

    /// Takes a split out of the minimum for as long as it has nothing to deliver.
    pub fn set_idle(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id)
            && entry.status == SplitStatus::Active
        {
            entry.status = SplitStatus::Idle;
        }
    }

    /// Ends a split. Its children must have been registered before, under the same lock.
    pub fn finish(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.status = SplitStatus::Finished;
        }
    }

    /// The source watermark: the minimum over the splits that may still deliver rows. With every split finished it is
    /// the end of time; with every open split idle, the highest of theirs.
    pub fn watermark(&mut self) -> i64 {
        let mut holding = MAX_TIME_MS;
        let mut idle_max: Option<i64> = None;
        let mut open = false;
        for entry in self.entries.values() {
            match entry.status {
                SplitStatus::Waiting | SplitStatus::Active => {
                    open = true;
                    holding = holding.min(self.stands_at(entry));
                }
                SplitStatus::Idle => idle_max = Some(idle_max.unwrap_or(MIN_TIME_MS).max(entry.watermark_ms)),
                SplitStatus::Finished => {}
            }
        }
        let now = if open { holding } else { idle_max.unwrap_or(MAX_TIME_MS) };
        self.handed_out_ms = self.handed_out_ms.max(now);
        self.handed_out_ms
    }

    pub fn all_finished(&self) -> bool {
        self.entries.values().all(|e| e.status == SplitStatus::Finished)
    }

    pub fn get(&self, id: &str) -> Option<&Entry<S>> {
        self.entries.get(id)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut Entry<S>> {
        self.entries.get_mut(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Entry<S>)> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(splits: &[(&str, i64)]) -> SplitTable<()> {
        let mut t = SplitTable::default();
        for (id, wm) in splits {
            t.register(id, vec![], 0, *wm, SplitStatus::Active, ());
        }
        t
    }

    #[test]
    fn the_slowest_split_holds_the_watermark() {
        let mut t = table(&[("a", 10), ("b", 5)]);
        assert_eq!(t.watermark(), 5);
        t.advance("b", 20);
        assert_eq!(t.watermark(), 10);
        t.advance("a", 3);
        assert_eq!(t.watermark(), 10, "a split's watermark never goes back");
    }

    #[test]
    fn no_gap_between_a_parent_and_its_children() {
        let mut t = table(&[("p", 50), ("other", 100)]);
        t.register("c", vec!["p".into()], 1, MIN_TIME_MS, SplitStatus::Waiting, ());
        assert!(t.next_to_open(1).is_none(), "a child is not opened before its parent has ended");
        t.finish("p");
        assert_eq!(t.watermark(), 50);
        assert_eq!(t.next_to_open(1).expect("openable").0, "c");
        t.advance("c", 70);
        assert_eq!(t.watermark(), 70);
    }

    #[test]
    fn a_merge_child_holds_the_minimum_from_the_first_end_on() {
        let mut t = table(&[("p1", 80), ("p2", 30)]);
        let parents = vec!["p1".to_string(), "p2".to_string()];
        t.register("c", parents.clone(), 0, MIN_TIME_MS, SplitStatus::Waiting, ());
        t.finish("p1");
        assert_eq!(t.watermark(), 30);
        t.advance("p2", 90);
        assert_eq!(t.watermark(), 80, "the lower of its parents'");
        t.register("c", parents, 0, MIN_TIME_MS, SplitStatus::Waiting, ());
        t.finish("p2");
        let (id, child) = t.next_to_open(0).expect("openable");
        assert_eq!((id.as_str(), child.watermark_ms), ("c", 80));
        assert_eq!(t.watermark(), 80);
    }

    #[test]
    fn a_child_known_from_the_start_begins_where_its_parents_ended() {
        // Registered with its parent and before it, as a listing of a stream that has split already gives them.
        let mut t = SplitTable::default();
        t.register("grandchild", vec!["c".into()], 0, MIN_TIME_MS, SplitStatus::Waiting, ());
        t.register("c", vec!["p".into(), "gone".into()], 0, MIN_TIME_MS, SplitStatus::Waiting, ());
        t.register("p", vec!["gone".into()], 0, MIN_TIME_MS, SplitStatus::Waiting, ());
        assert_eq!(t.next_to_open(0).expect("openable").0, "p");
        assert_eq!(t.watermark(), MIN_TIME_MS);
        t.advance("p", 50);
        assert_eq!(t.watermark(), 50, "what waits for p stands where p does");
        t.finish("p");
        assert_eq!(t.watermark(), 50, "an empty child is no step back");
        assert_eq!(t.next_to_open(0).expect("openable").1.watermark_ms, 50);
        t.finish("c");
        assert_eq!(t.next_to_open(0).expect("openable").1.watermark_ms, 50);
    }

    #[test]
    fn a_parent_that_is_not_known_yet_is_waited_for() {
        // "m" merges "b" and the child "c" that "a" has not named yet.
        let mut t = table(&[("a", 30), ("b", 80)]);
        t.register("m", vec!["b".into(), "c".into()], 0, MIN_TIME_MS, SplitStatus::Waiting, ());
        t.finish("b");
        assert!(t.next_to_open(0).is_none(), "a may still name c");
        t.register("c", vec!["a".into()], 0, MIN_TIME_MS, SplitStatus::Waiting, ());
        t.finish("a");
        assert_eq!(t.next_to_open(0).expect("openable").0, "c");
        assert!(t.next_to_open(0).is_none());
        t.finish("c");
        let (id, merged) = t.next_to_open(0).expect("openable");
        assert_eq!((id.as_str(), merged.watermark_ms), ("m", 30));
    }

    #[test]
    fn a_parent_that_can_never_be_named_is_not_waited_for() {
        let mut t = table(&[("a", 30), ("b", 80)]);
        t.register("m", vec!["b".into(), "c".into()], 0, MIN_TIME_MS, SplitStatus::Waiting, ());
        t.register("n", vec!["m".into()], 0, MIN_TIME_MS, SplitStatus::Waiting, ());
        t.finish("b");
        t.finish("a");
        assert_eq!(t.next_to_open(0).expect("openable").0, "m");
        assert!(t.next_to_open(0).is_none());
    }

    #[test]
    fn idle_splits_leave_the_minimum_and_come_back_without_a_step_back() {
        let mut t = table(&[("a", 10), ("b", 50)]);
        t.set_idle("a");
        assert_eq!(t.watermark(), 50);
        t.advance("a", 20);
        assert_eq!(t.watermark(), 50);
        t.advance("a", 60);
        t.advance("b", 60);
        assert_eq!(t.watermark(), 60);
    }

    #[test]
    fn all_idle_is_not_the_end_and_all_finished_is() {
        let mut t = table(&[("a", 10), ("b", 50)]);
        t.set_idle("a");
        t.set_idle("b");
        assert_eq!(t.watermark(), 50);
        t.finish("a");
        t.finish("b");
        assert_eq!(t.watermark(), MAX_TIME_MS);
    }
}
