//! Into how many parts is work divided, and which one has a key?
//!
//! Used by whoever deals rows among workers or looks for a part of stored state. What always holds:
//! a key is in one key group, whatever the number of workers, and a key group has one owner; so
//! state can be dealt anew among another number of them without looking into its keys.

use arrow::array::{ArrayRef, RecordBatch};

use super::key::{KeyBuf, encode_keys, hash_key};
use crate::ids::WorkerId;

/// Key groups that work is divided into. Fixed for the life of a state directory: it is part of
/// stored keys.
pub const KEY_GROUPS: u16 = 128;

/// One of the [`KEY_GROUPS`] parts of all keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyGroup(u16);

impl KeyGroup {
    pub const FIRST: KeyGroup = KeyGroup(0);
    pub(crate) const LAST: KeyGroup = KeyGroup(KEY_GROUPS - 1);

    /// That of a key hash. Uses bits that the hash tables do not rely on.
    #[inline]
    pub(crate) fn of_hash(hash: u64) -> KeyGroup {
        KeyGroup(((((hash >> 24) & 0xffff) * u64::from(KEY_GROUPS)) >> 16) as u16)
    }

    /// From 0.
    #[inline]
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// As stored keys have it: big-endian, so that byte order is the order of key groups.
    pub fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }

    /// None for a number that is too high.
    pub(crate) fn from_bytes(bytes: [u8; 2]) -> Option<KeyGroup> {
        Some(u16::from_be_bytes(bytes)).filter(|group| *group < KEY_GROUPS).map(KeyGroup)
    }
}

/// The worker that owns a key group when there are `workers` of them: contiguous ranges.
#[inline]
pub fn owner_of(key_group: KeyGroup, workers: usize) -> WorkerId {
    let owner = key_group.index() * workers / usize::from(KEY_GROUPS);
    debug_assert!(owner < workers, "{key_group:?} belongs to none of {workers} workers");
    WorkerId::new(owner)
}

/// Neighbouring key groups; there may be none left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyGroups {
    from: u16,
    to: u16,
}

impl KeyGroups {
    pub const ALL: KeyGroups = KeyGroups { from: 0, to: KEY_GROUPS };

    pub fn one(group: KeyGroup) -> KeyGroups {
        KeyGroups { from: group.0, to: group.0 + 1 }
    }

    pub fn is_empty(self) -> bool {
        self.from >= self.to
    }

    pub fn first(self) -> Option<KeyGroup> {
        (!self.is_empty()).then_some(KeyGroup(self.from))
    }

    /// Those behind one of them.
    pub fn after(self, group: KeyGroup) -> KeyGroups {
        debug_assert!((self.from..self.to).contains(&group.0), "{group:?} is not among {self:?}");
        KeyGroups { from: group.0 + 1, ..self }
    }

    /// Takes out the first ones: so many, or as many as there are.
    pub(crate) fn take_first(&mut self, count: usize) -> KeyGroups {
        let taken = count.min(usize::from(self.to - self.from)) as u16;
        let first = KeyGroups { from: self.from, to: self.from + taken };
        self.from = first.to;
        first
    }

    pub fn iter(self) -> impl Iterator<Item = KeyGroup> {
        (self.from..self.to).map(KeyGroup)
    }

    /// The bytes of the first one, and of the first one behind them.
    pub(super) fn bounds(self) -> [[u8; 2]; 2] {
        [self.from.to_be_bytes(), self.to.to_be_bytes()]
    }
}

/// How many key groups are gone through at a time, where all of them take `stored_bytes` and
/// `at_once_bytes` may be looked at.
pub(crate) fn groups_at_once(stored_bytes: usize, at_once_bytes: usize) -> usize {
    let all = usize::from(KEY_GROUPS);
    (all * at_once_bytes / stored_bytes.max(1)).clamp(1, all)
}

/// That of rows without a key.
pub(crate) fn of_no_key() -> KeyGroup {
    KeyGroup::of_hash(hash_key(&[]))
}

/// Key group of each row by some of its columns; all rows fall into that of the empty key where
/// there are none.
pub(crate) fn row_key_groups(columns: &[usize], rows: &RecordBatch) -> Vec<KeyGroup> {
    if columns.is_empty() {
        return vec![of_no_key(); rows.num_rows()];
    }
    let columns: Vec<ArrayRef> = columns.iter().map(|&c| rows.column(c).clone()).collect();
    let mut keys = KeyBuf::default();
    encode_keys(&columns, rows.num_rows(), &mut keys);
    keys.iter().map(|k| KeyGroup::of_hash(hash_key(k))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_group_has_one_owner_and_owners_have_neighbours() {
        for workers in 1..=usize::from(KEY_GROUPS) {
            let owners: Vec<WorkerId> =
                KeyGroups::ALL.iter().map(|group| owner_of(group, workers)).collect();
            assert!(
                owners.is_sorted()
                    && owners.first() == Some(&WorkerId::FIRST)
                    && owners.last() == Some(&WorkerId::new(workers - 1))
            );
        }
    }

    #[test]
    fn parts_of_all_key_groups_are_all_of_them() {
        for at_once in [1, 3, 127, 128, 1000] {
            let (mut rest, mut seen) = (KeyGroups::ALL, Vec::new());
            while !rest.is_empty() {
                seen.extend(rest.take_first(at_once).iter());
            }
            assert_eq!(seen, KeyGroups::ALL.iter().collect::<Vec<_>>());
        }
        assert_eq!(KeyGroup::from_bytes(KEY_GROUPS.to_be_bytes()), None);
        assert_eq!(KeyGroups::ALL.after(KeyGroup::LAST).first(), None);
    }
}
