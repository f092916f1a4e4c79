//! Do the shards that are read have all hash keys among them?
//!
//! Asked by `source` when it takes the newest shards, by `poll` when a shard has ended, and by the
//! audit every minute. The service changes a stream while it is listed: a parent may be closed
//! before its children show, or one child show before the other. What always holds: a shard counts
//! as replaced only by shards that take all of its keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::api::{HashRange, ListedShard};

/// Audits in a row that find a shard unread before it is told: listings lag, and children are found
/// at the end of their parents.
const AUDITS_MIN: u32 = 3;
/// Audits in a row that do not list a shard that is not read, before it is forgotten: it has
/// expired. Many, since listings lag.
const AUDITS_TO_FORGET: u32 = 60;

/// True if the parts have every key of the whole.
pub(crate) fn covers(parts: impl IntoIterator<Item = HashRange>, whole: HashRange) -> bool {
    let mut parts: Vec<HashRange> = parts.into_iter().collect();
    parts.sort();
    let mut next = whole.first;
    for part in parts {
        if part.first > next {
            return false;
        }
        if part.last >= whole.last {
            return true;
        }
        next = next.max(part.last + 1);
    }
    false
}

/// The shards from which everything that arrives from now on is found: those that are open, and
/// those that were closed and whose keys no listed one has taken over completely.
pub(crate) fn newest(listed: Vec<ListedShard>) -> Vec<ListedShard> {
    let (mut kept, closed): (Vec<_>, Vec<_>) = listed.into_iter().partition(|shard| shard.open);
    // Children come after their parents, so that whoever replaces a shard has been looked at.
    for shard in closed.into_iter().rev() {
        let Some(whole) = shard.hashes else { continue };
        if !covers(kept.iter().filter_map(|k| k.hashes), whole) {
            kept.push(shard);
        }
    }
    kept
}

/// Whether a listing shows the stream as it was at one moment: all keys of each closed shard have
/// gone to children that are listed, and no two open ones share a key. One that lags for some shards
/// and not for others does not: then a child may be there, and its parent not, whose records come
/// first. A server that gives no hash keys is believed.
pub(crate) fn is_of_one_moment(listed: &[ListedShard]) -> bool {
    let mut children: BTreeMap<&str, Vec<HashRange>> = BTreeMap::new();
    for shard in listed {
        for parent in &shard.parents {
            children.entry(parent).or_default().extend(shard.hashes);
        }
    }
    let mut open: Vec<HashRange> = Vec::new();
    for shard in listed {
        let Some(whole) = shard.hashes else { return true };
        let taken = children.remove(shard.id.as_str()).unwrap_or_default();
        if shard.open {
            open.push(whole);
        }
        let is_replaced = !taken.is_empty();
        if shard.open && is_replaced || !shard.open && !covers(taken, whole) {
            return false;
        }
    }
    open.sort();
    open.windows(2).all(|pair| pair[0].last < pair[1].first)
}

/// What a job knows of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is read, or will be.
    Reading,
    /// It was read to its end, and its children are known.
    Ended,
}

/// What audits of a stream have found.
#[derive(Debug, Default)]
pub(crate) struct Audited {
    /// The last one found a stream that was made later.
    pub is_another: bool,
    pub coverage: Coverage,
}

/// The same, known to the source and to the tasks and readers of its shards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Audits(Arc<Mutex<Audited>>);

impl Audits {
    /// Nothing in here panics half-way through a change, so a poisoned state is a sound one.
    pub fn lock(&self) -> MutexGuard<'_, Audited> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks for shards that nobody reads.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    known: BTreeMap<String, Known>,
    /// The keys of those that are read.
    ranges: BTreeMap<String, HashRange>,
    /// Shards that were found unread, with the audits in a row that found them so.
    unread: BTreeMap<String, u32>,
    /// Shards that are not read and not listed any more, with the audits in a row that did not.
    gone: BTreeMap<String, u32>,
}

impl Coverage {
    pub fn note(&mut self, id: &str, known: Known) {
        let entry = self.known.entry(id.to_owned()).or_insert(known);
        if known == Known::Ended {
            *entry = known;
        }
    }

    /// Notes which keys shards have of which that is known.
    pub(crate) fn note_ranges<'a>(
        &mut self,
        shards: impl IntoIterator<Item = (&'a String, Option<HashRange>)>,
    ) {
        self.ranges.extend(shards.into_iter().filter_map(|(id, range)| Some((id.clone(), range?))));
    }

    /// The keys of a shard, which need not be listed any more, or again.
    pub(crate) fn range(&self, id: &str) -> Option<HashRange> {
        self.ranges.get(id).copied()
    }

    /// Takes a listing.
    pub(crate) fn audit(&mut self, listed: &[ListedShard]) {
        let found = unread(listed, &self.known);
        let times = |id: &String| self.unread.get(id).map_or(1, |times| times + 1);
        self.unread = found.into_iter().map(|s| (s.id.clone(), times(&s.id))).collect();
        self.forget_expired(listed);
    }

    /// A stream that is scaled for years has had any number of shards, whether or not they were read.
    fn forget_expired(&mut self, listed: &[ListedShard]) {
        let listed: BTreeSet<&str> = listed.iter().map(|shard| shard.id.as_str()).collect();
        let all: BTreeSet<&String> = self.known.keys().chain(self.ranges.keys()).collect();
        let is_missing = |id: &&String| {
            self.known.get(*id) != Some(&Known::Reading) && !listed.contains(id.as_str())
        };
        let times = |id: &String| self.gone.get(id).map_or(1, |times| times + 1);
        let missing = all.into_iter().filter(is_missing).map(|id| (id.clone(), times(id)));
        let (expired, gone): (BTreeMap<_, _>, _) =
            missing.partition(|(_, times)| *times >= AUDITS_TO_FORGET);
        self.gone = gone;
        for id in expired.keys() {
            self.known.remove(id);
            self.ranges.remove(id);
        }
    }

    /// Those of a listing that nobody reads, nor will find.
    pub(crate) fn unread<'a>(&self, listed: &'a [ListedShard]) -> Vec<&'a ListedShard> {
        unread(listed, &self.known)
    }

    /// Shards that stay unread.
    pub(crate) fn holes(&self) -> impl Iterator<Item = &str> {
        let lasting = |(id, times): (_, &u32)| (*times >= AUDITS_MIN).then_some(id);
        self.unread.iter().filter_map(move |(id, times)| lasting((id.as_str(), times)))
    }
}

/// Listed shards that are not known, were not replaced by known ones, and will not be found at the
/// end of one that is read.
fn unread<'a>(listed: &'a [ListedShard], known: &BTreeMap<String, Known>) -> Vec<&'a ListedShard> {
    let by_id: BTreeMap<&str, &ListedShard> = listed.iter().map(|s| (s.id.as_str(), s)).collect();
    // Those from which known ones descend.
    let mut before: BTreeSet<&str> = BTreeSet::new();
    let mut next: Vec<&str> = by_id.keys().copied().filter(|id| known.contains_key(*id)).collect();
    while let Some(shard) = next.pop().and_then(|id| by_id.get(id)) {
        for parent in &shard.parents {
            if before.insert(parent) {
                next.push(parent);
            }
        }
    }
    let is_unknown = |id: &str| !known.contains_key(id) && !before.contains(id);
    listed
        .iter()
        .filter(|shard| is_unknown(&shard.id))
        .filter(|shard| {
            let will_be_found = |parent: &String| match known.get(parent) {
                Some(known) => *known == Known::Reading,
                // Whoever finds the parent finds this one.
                None => by_id.contains_key(parent.as_str()) && is_unknown(parent),
            };
            !shard.parents.iter().any(will_be_found)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u128, last: u128) -> HashRange {
        HashRange { first, last }
    }

    fn shard(id: &str, parents: &[&str], hashes: HashRange, open: bool) -> ListedShard {
        let parents = parents.iter().map(|p| (*p).to_owned()).collect();
        ListedShard { id: id.into(), parents, open, hashes: Some(hashes) }
    }

    #[test]
    fn parts_cover_the_whole_or_leave_a_hole() {
        let whole = range(0, u128::MAX);
        for (parts, covered) in [
            (vec![], false),
            (vec![whole], true),
            (vec![range(10, u128::MAX), range(0, 9)], true),
            (vec![range(10, u128::MAX), range(0, 8)], false),
            (vec![range(1, u128::MAX)], false),
            (vec![range(0, u128::MAX - 1)], false),
            (vec![range(0, 50), range(0, 20), range(40, u128::MAX)], true),
        ] {
            assert_eq!(covers(parts.clone(), whole), covered, "{parts:?}");
        }
        assert!(covers([range(0, 100)], range(5, 7)));
    }

    #[test]
    fn a_listing_in_the_midst_of_a_split_leaves_no_keys_out() {
        let ids = |listed: Vec<ListedShard>| -> Vec<String> {
            newest(listed).into_iter().map(|s| s.id).collect()
        };
        let parent = shard("p", &[], range(0, 99), false);
        let (c, d) =
            (shard("c", &["p"], range(0, 49), true), shard("d", &["p"], range(50, 99), true));
        assert_eq!(ids(vec![parent.clone()]), ["p"], "closed before its children show");
        assert_eq!(ids(vec![parent.clone(), c.clone()]), ["c", "p"], "one child shows");
        assert_eq!(ids(vec![parent.clone(), c.clone(), d.clone()]), ["c", "d"]);
        let closed = ListedShard { open: false, ..c };
        assert_eq!(ids(vec![parent, closed, d]), ["d", "c"], "it is leafless and p is covered");
    }

    #[test]
    fn a_listing_that_lags_for_some_shards_is_of_no_moment() {
        let g = |open| shard("g", &["expired"], range(0, 99), open);
        let p = |open| shard("p", &["g"], range(0, 49), open);
        let q = shard("q", &["g"], range(50, 99), true);
        let c = shard("c", &["p"], range(0, 20), true);
        let d = shard("d", &["p"], range(21, 49), true);
        for (listed, is_of_one) in [
            (vec![g(true)], true),
            (vec![g(false)], false),
            (vec![g(false), p(true)], false),
            (vec![g(false), p(true), q.clone()], true),
            (vec![g(true), p(true), q.clone()], false),
            (vec![g(false), q.clone(), c.clone(), d.clone()], false),
            (vec![g(true), c.clone()], false),
            (vec![g(false), p(true), q.clone(), c.clone(), d.clone()], false),
            (vec![g(false), p(false), q.clone(), c.clone()], false),
            (vec![g(false), p(false), q.clone(), c.clone(), d.clone()], true),
            (vec![p(false), q, c, d], true),
        ] {
            let ids: Vec<&str> = listed.iter().map(|s| s.id.as_str()).collect();
            assert_eq!(is_of_one_moment(&listed), is_of_one, "{ids:?}");
        }
        let unknown = ListedShard { hashes: None, ..g(false) };
        assert!(is_of_one_moment(&[unknown]));
    }

    #[test]
    fn a_shard_that_nobody_will_find_is_told_after_some_audits() {
        let listed = [
            shard("old", &[], range(0, 99), false),
            shard("a", &["old"], range(0, 49), false),
            shard("b", &["old"], range(50, 99), true),
            shard("a1", &["a"], range(0, 20), true),
            shard("a2", &["a"], range(21, 49), true),
        ];
        let mut coverage = Coverage::default();
        coverage.note("a", Known::Reading);
        coverage.note("b", Known::Reading);
        for _ in 0..AUDITS_MIN {
            coverage.audit(&listed);
        }
        assert_eq!(coverage.holes().count(), 0, "a will name its children");
        coverage.note("a", Known::Ended);
        coverage.note("a1", Known::Reading);
        for audit in 1..=AUDITS_MIN {
            assert_eq!(coverage.holes().count(), 0, "before audit {audit}");
            coverage.audit(&listed);
        }
        assert_eq!(coverage.holes().collect::<Vec<_>>(), ["a2"]);
        coverage.note("a2", Known::Reading);
        coverage.audit(&listed);
        assert_eq!(coverage.holes().count(), 0);
    }

    #[test]
    fn a_shard_that_has_expired_is_forgotten_and_one_that_is_read_is_not() {
        let mut coverage = Coverage::default();
        for (id, known) in [("old", Known::Ended), ("kept", Known::Ended), ("a", Known::Reading)] {
            coverage.note(id, known);
            coverage.note_ranges([(&id.to_owned(), Some(range(0, 9)))]);
        }
        // One that was over before the job began, and was listed.
        coverage.note_ranges([(&"before".to_owned(), Some(range(0, 9)))]);
        let kept = shard("kept", &[], range(0, 9), false);
        for audit in 1..AUDITS_TO_FORGET {
            coverage.audit(std::slice::from_ref(&kept));
            assert!(coverage.range("old").is_some(), "audit {audit}");
        }
        // A listing that lags shows it once more.
        coverage.audit(&[kept.clone(), shard("old", &[], range(0, 9), false)]);
        for _ in 0..AUDITS_TO_FORGET {
            assert!(coverage.range("old").is_some());
            coverage.audit(std::slice::from_ref(&kept));
        }
        assert_eq!(coverage.known.keys().collect::<Vec<_>>(), ["a", "kept"]);
        assert_eq!(coverage.ranges.keys().collect::<Vec<_>>(), ["a", "kept"]);
    }
}
