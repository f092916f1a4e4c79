//! How far has each split of a source come, and how far the source as a whole?
//!
//! One [`SplitTable`] per source table, shared by all workers behind a lock that is taken once per
//! batch. It is the whole state machine of split progress: which splits exist, who waits for whom,
//! who holds the watermark back.
//!
//! What always holds:
//! - a split's watermark never goes back, and neither does the source watermark that
//!   [`SplitTable::watermark`] returns;
//! - the source watermark is at or below that of every split that may still deliver rows: a split
//!   that waits for its parents holds it at the lower of their watermarks from the moment it is
//!   known;
//! - a finished split leaves the minimum in the same step that registers its children;
//! - finished splits stay in the table (tombstones): "unknown" never means "finished"; only one
//!   that has no relatives may be forgotten. A parent
//!   that is not known will be registered by the end of one of its own parents; only when no split
//!   is left that could do so has it gone for good;
//! - a source that is not bounded does not end, however many of its splits have.
//!
//! What it costs: a stream keeps its history, so a table may hold ten thousand finished shards
//! beside four open ones. Every change touches a split and its children alone, in time that grows
//! with the logarithm of the table; nothing walks it but a checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Watermark;
use crate::ids::WorkerId;
#[cfg(test)]
use crate::planted::{self, Bug};

/// Whether a source ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundedness {
    /// It has ended when all its splits have.
    Bounded,
    /// It may get new splits for ever.
    Unbounded,
}

/// What a split is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitStatus {
    /// Known, not opened: its parents have not all finished, or its worker has not come to it.
    Waiting,
    /// Open. Holds the source watermark back.
    Active,
    /// Open, and certified to have nothing to deliver. Does not hold the watermark back, unless a
    /// split waits for its end.
    Idle,
    /// Ended. Only its watermark and its children are of interest.
    Finished,
}

/// A split's entry. `S` is the caller's own data (position, seed), opaque here.
#[derive(Debug, Clone)]
pub struct Entry<S> {
    pub id: Arc<str>,
    pub status: SplitStatus,
    /// The watermark after the last record read.
    pub watermark: Watermark,
    pub parents: Vec<String>,
    /// The worker that reads it.
    pub owner: WorkerId,
    pub data: S,
    links: Links,
}

/// A split's place among its relatives, and in the sets of the table.
#[derive(Debug, Clone, Default)]
struct Links {
    children: Vec<usize>,
    /// Parents that are in the table and have not finished.
    unfinished_parents: usize,
    /// Parents that are not in the table yet.
    unknown_parents: usize,
    /// The lowest final watermark of the parents that have finished.
    inherited: Option<Watermark>,
    /// What the sets of the table hold of this split.
    listed: Listed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Listed {
    /// Where it holds the source watermark, if it does.
    holds: Option<Watermark>,
    /// Its watermark, if it is idle.
    idle: Option<Watermark>,
    /// Where it would be opened, if all its parents have finished.
    ready: Option<Watermark>,
    /// The same, if some of its parents are unknown and all others have finished.
    orphan: Option<Watermark>,
    /// It will end before anything else has to, and so may still register splits.
    may_register: bool,
}

/// How many splits a worker keeps open at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// All that may be open.
    ForAll,
    /// Only some: others wait until one has ended.
    Few,
}

/// Splits in order of a watermark, then of their registration.
type InOrder = BTreeSet<(Watermark, usize)>;

/// All splits of one source table.
#[derive(Debug)]
pub struct SplitTable<S> {
    /// In order of registration; a split's number is its index.
    entries: Vec<Entry<S>>,
    numbers: BTreeMap<Arc<str>, usize>,
    /// Numbers of splits that were forgotten, for others.
    vacant: Vec<usize>,
    /// Names of parents that are not known yet, with the splits that wait for them.
    awaited: BTreeMap<String, Vec<usize>>,
    boundedness: Boundedness,
    holding: InOrder,
    idle: InOrder,
    /// By owner.
    ready: BTreeMap<WorkerId, InOrder>,
    orphans: BTreeMap<WorkerId, InOrder>,
    may_register: usize,
    unfinished: usize,
    /// The highest source watermark handed out.
    handed_out: Watermark,
}

impl<S> SplitTable<S> {
    pub fn new(boundedness: Boundedness) -> SplitTable<S> {
        SplitTable {
            entries: Vec::new(),
            numbers: BTreeMap::new(),
            vacant: Vec::new(),
            awaited: BTreeMap::new(),
            boundedness,
            holding: InOrder::new(),
            idle: InOrder::new(),
            ready: BTreeMap::new(),
            orphans: BTreeMap::new(),
            may_register: 0,
            unfinished: 0,
            handed_out: Watermark::NONE,
        }
    }

    /// Registers a split unless it is known. `watermark` is what its own records have brought it
    /// to; one with known parents starts at the lowest of theirs, whenever it was registered.
    pub fn register(
        &mut self,
        id: &str,
        parents: Vec<String>,
        owner: WorkerId,
        watermark: Watermark,
        status: SplitStatus,
        data: S,
    ) {
        if self.numbers.contains_key(id) {
            return;
        }
        let number = self.vacant.last().copied().unwrap_or(self.entries.len());
        let mut links = Links::default();
        let distinct: BTreeSet<&String> = parents.iter().collect();
        for parent in distinct {
            match self.numbers.get(parent.as_str()) {
                None => {
                    links.unknown_parents += 1;
                    self.awaited.entry(parent.clone()).or_default().push(number);
                }
                Some(&p) => {
                    let parent = &mut self.entries[p];
                    parent.links.children.push(number);
                    links.meet(parent.status, parent.watermark);
                }
            }
        }
        let id: Arc<str> = id.into();
        self.numbers.insert(id.clone(), number);
        self.unfinished += usize::from(status != SplitStatus::Finished);
        links.children = self.awaited.remove(&*id).unwrap_or_default();
        for &child in &links.children {
            let child = &mut self.entries[child].links;
            child.unknown_parents -= 1;
            child.meet(status, watermark);
        }
        let relatives: Vec<usize> = links
            .children
            .iter()
            .copied()
            .chain(parents.iter().filter_map(|p| self.numbers.get(p.as_str()).copied()))
            .collect();
        let entry = Entry { id, status, watermark, parents, owner, data, links };
        match self.vacant.pop() {
            Some(number) => self.entries[number] = entry,
            None => self.entries.push(entry),
        }
        for split in relatives.into_iter().chain([number]) {
            self.list(split);
        }
    }

    /// Brings the sets up to date with an entry that has changed.
    fn list(&mut self, number: usize) {
        let now = self.listing(&self.entries[number]);
        let entry = &mut self.entries[number];
        let before = std::mem::replace(&mut entry.links.listed, now);
        if before == now {
            return;
        }
        let move_in = |set: &mut InOrder, before: Option<Watermark>, now: Option<Watermark>| {
            if before != now {
                before.map(|watermark| set.remove(&(watermark, number)));
                now.map(|watermark| set.insert((watermark, number)));
            }
        };
        move_in(&mut self.holding, before.holds, now.holds);
        move_in(&mut self.idle, before.idle, now.idle);
        move_in(self.ready.entry(entry.owner).or_default(), before.ready, now.ready);
        move_in(self.orphans.entry(entry.owner).or_default(), before.orphan, now.orphan);
        self.may_register =
            self.may_register + usize::from(now.may_register) - usize::from(before.may_register);
        debug_assert!(
            self.may_register <= self.entries.len(),
            "more splits may register others than there are"
        );
    }

    /// What the sets should hold of an entry.
    fn listing(&self, entry: &Entry<S>) -> Listed {
        let Links { unfinished_parents, unknown_parents, .. } = entry.links;
        let mut listed = Listed::default();
        match entry.status {
            SplitStatus::Waiting => {
                // A parent that has not finished holds the watermark itself, at or below where this
                // split would: only what the others left behind is to be looked at here.
                let held_by_parents = unfinished_parents > 0 && entry.links.inherited.is_none();
                listed.holds = (!held_by_parents).then(|| entry.starts_at());
                let may_open = (unfinished_parents == 0).then(|| entry.starts_at());
                listed.ready = may_open.filter(|_| unknown_parents == 0);
                listed.orphan = may_open.filter(|_| unknown_parents > 0);
                listed.may_register = listed.ready.is_some();
            }
            SplitStatus::Active => {
                listed.holds = Some(entry.watermark);
                listed.may_register = true;
            }
            SplitStatus::Idle => {
                let awaited = |&c: &usize| self.entries[c].status == SplitStatus::Waiting;
                listed.holds = entry.links.children.iter().any(awaited).then_some(entry.watermark);
                listed.idle = Some(entry.watermark);
                listed.may_register = true;
            }
            SplitStatus::Finished => {}
        }
        listed
    }

    /// The next split of `owner` that may be opened, lowest watermark first; it becomes active.
    pub fn next_to_open(&mut self, owner: WorkerId) -> Option<&mut Entry<S>> {
        let first = |sets: &BTreeMap<WorkerId, InOrder>| {
            sets.get(&owner).and_then(|set| set.first()).map(|&(_, number)| number)
        };
        // Without orphans, the child of a merge would wait for ever if its other parent's parent
        // was read to a bound only.
        let orphan = || first(&self.orphans).filter(|_| self.may_register == 0);
        let number = first(&self.ready).or_else(orphan)?;
        let entry = &mut self.entries[number];
        debug_assert_eq!(
            entry.links.unfinished_parents, 0,
            "split {} is opened before its parents have ended",
            entry.id
        );
        debug_assert_eq!(entry.status, SplitStatus::Waiting, "split {} is opened twice", entry.id);
        entry.watermark = entry.starts_at();
        entry.status = SplitStatus::Active;
        self.list(number);
        Some(&mut self.entries[number])
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Entry<S>)) {
        if let Some(&number) = self.numbers.get(id) {
            let before = self.entries[number].watermark;
            change(&mut self.entries[number]);
            debug_assert!(
                self.entries[number].watermark >= before,
                "the watermark of split {id} goes back"
            );
            self.list(number);
        }
    }

    /// Raises a split's watermark after its rows have been handed on, and makes it active again if
    /// it was idle.
    pub fn advance(&mut self, id: &str, watermark: Watermark) {
        self.change(id, |entry| {
            entry.watermark = entry.watermark.max(watermark);
            if entry.status == SplitStatus::Idle {
                entry.status = SplitStatus::Active;
            }
        });
    }

    /// Takes a split out of the minimum for as long as it has nothing to deliver.
    pub(crate) fn set_idle(&mut self, id: &str) {
        self.change(id, |entry| {
            if entry.status == SplitStatus::Active {
                entry.status = SplitStatus::Idle;
            }
        });
    }

    /// Takes back that a split has nothing to deliver: it is not known any more. The watermark that
    /// was handed out stays.
    pub(crate) fn set_active(&mut self, id: &str) {
        self.advance(id, Watermark::NONE);
    }

    /// Ends a split. Its children must have been registered before, under the same lock.
    pub fn finish(&mut self, id: &str) {
        let Some(&number) = self.numbers.get(id) else { return };
        let entry = &mut self.entries[number];
        if entry.status == SplitStatus::Finished {
            return;
        }
        entry.status = SplitStatus::Finished;
        self.unfinished -= 1;
        let (watermark, children) = (entry.watermark, entry.links.children.clone());
        for child in children {
            debug_assert_eq!(
                self.entries[child].status,
                SplitStatus::Waiting,
                "a split was opened before its parent {id} ended"
            );
            let links = &mut self.entries[child].links;
            links.unfinished_parents -= 1;
            links.meet(SplitStatus::Finished, watermark);
            self.list(child);
        }
        self.list(number);
    }

    /// Drops a split that has ended and has no relatives: nobody will ask for it, and one of its name
    /// is another one. Returns false, and leaves it, if that is not so.
    pub(crate) fn forget(&mut self, id: &str) -> bool {
        let Some(&number) = self.numbers.get(id) else { return true };
        let entry = &self.entries[number];
        let is_alone = entry.parents.is_empty() && entry.links.children.is_empty();
        if entry.status != SplitStatus::Finished || !is_alone {
            return false;
        }
        self.numbers.remove(id);
        self.vacant.push(number);
        true
    }

    /// The source watermark: the minimum over the splits that may still deliver rows. With every
    /// open split idle it is the highest of theirs; with every split of a bounded source finished,
    /// the end of time.
    pub fn watermark(&mut self) -> Watermark {
        let now = match (self.holding.first(), self.idle.last()) {
            (Some(&(lowest, _)), _) => lowest,
            (None, Some(&(highest, _))) => highest,
            (None, None) if self.boundedness == Boundedness::Bounded => Watermark::END,
            (None, None) => Watermark::NONE,
        };
        self.handed_out = self.handed_out.max(now);
        self.handed_out
    }

    /// The lowest watermark of those that hold the source watermark back, if any does.
    pub(crate) fn lowest_holding(&self) -> Option<Watermark> {
        self.holding.first().map(|&(lowest, _)| lowest)
    }

    /// True if a split waits for the end of this one: a child for its parent, one that is ready for
    /// a place among those that are open, where `places` are few, or one whose parent is not known
    /// yet, since any split may name that at its end.
    pub(crate) fn is_awaited(&self, id: &str, places: Places) -> bool {
        #[cfg(test)]
        if planted::has(Bug::PausesWhatOthersWaitFor) {
            return false;
        }
        let waits = |&child: &usize| self.entries[child].status == SplitStatus::Waiting;
        self.get(id).is_some_and(|entry| {
            let for_its_place = places == Places::Few
                && self.ready.get(&entry.owner).is_some_and(|ready| !ready.is_empty());
            let for_what_it_names = self.orphans.values().any(|orphans| !orphans.is_empty());
            for_its_place || for_what_it_names || entry.links.children.iter().any(waits)
        })
    }

    pub fn all_finished(&self) -> bool {
        self.unfinished == 0
    }

    pub fn get(&self, id: &str) -> Option<&Entry<S>> {
        self.numbers.get(id).map(|&number| &self.entries[number])
    }

    /// The caller's own data of a split.
    pub fn data_mut(&mut self, id: &str) -> Option<&mut S> {
        self.numbers.get(id).map(|&number| &mut self.entries[number].data)
    }

    /// All splits, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Entry<S>> {
        self.numbers.values().map(|&number| &self.entries[number])
    }
}

impl<S> Entry<S> {
    /// Where a split starts: where its own records have brought it, or else at the lowest of its
    /// parents.
    fn starts_at(&self) -> Watermark {
        self.watermark.max(self.links.inherited.unwrap_or(Watermark::NONE))
    }
}

impl Links {
    /// Takes note of a parent.
    fn meet(&mut self, status: SplitStatus, watermark: Watermark) {
        if status == SplitStatus::Finished {
            self.inherited = Some(self.inherited.map_or(watermark, |lowest| lowest.min(watermark)));
        } else {
            self.unfinished_parents += 1;
        }
    }
}

#[cfg(test)]
#[path = "watermark_tests.rs"]
mod tests;
