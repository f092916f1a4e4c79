//! Which bytes stand where in the store?
//!
//! Window state first. All numbers are big-endian; times have the sign bit flipped, so that byte
//! order is time order:
//!
//! ```text
//! key   = operator (4) | kind (1) | time (8) | last (8) | key group (2) | table (1) | generation (4) | chunk (4)
//! kind  = 0  partial aggregates that wait for their windows; time and last = the ends of the first and the last window they enter, ms. For a row in
//!            time the first is that of its slice; for a row late for some windows, the first one still open to it
//!         1  partial aggregates that windows have begun to show; time = last = the start of a running window (CUMULATE),
//!            or the end of the last window that shows them (HOP), ms
//!         2  rows that wait for their window; time = last = the window's end, ms
//!         3  fragments of sessions; time = last = 0: they are found by key group, not by time
//! table = 0 for the aggregates; i > 0 for the value set of the i-th DISTINCT aggregate
//! value = `packed` columns of some hundreds of entries
//! ```
//!
//! Entries of one place with other generations or chunks add up. Times come before the key group: a
//! window fires and expires as one range from the front. Key groups follow, so that a fire can go
//! group by group and a restore can re-deal them.
//!
//! Keyed state, of operators without windows, is found by key:
//!
//! ```text
//! key   = operator (4) | kind (1) | key group (2) | table (1) | group key, as `key` encodes it | suffix, as the kind has it
//! kind  = 16  groups of a GROUP BY: value = `packed` columns of one entry
//!         17  when groups may be forgotten (table 0): suffix = none; in place of the group key stands
//!             time bucket (8) | group key; value = nothing
//!         20  rows of a key that an interval join or a versioned one needs: value as `operator::join::held` writes it
//!         21  rows of a regular join, of its input i in table i: suffix = the row, as `key` encodes it; value as
//!             `operator::join::regular::kept` writes it
//!         22  partial matches of a key: value as `operator::pattern::kept` writes it
//!         19  partitions of a continuous Top-N: value as `operator::rank::sorted` writes it
//!         23  counts of rows that batch mode sends at the end: suffix and value as `operator::sort::counts` has
//!             them, in place of the group key stands what rows are sorted by. Of an ORDER BY a rowtime: no group key;
//!             value = the time of the last row that has left, ms (8)
//!         18  rows of a key that OVER frames still reach: value as `operator::over::tail` writes it
//! ```

use super::{KeyGroup, KeyGroups};
use crate::ids::OperatorId;
use crate::time::EventTime;

const KEY_BYTES: usize = 32;
/// Bytes before the key group.
const PLACE_BYTES: usize = 21;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum StateKind {
    Waiting = 0,
    Shown = 1,
    Rows = 2,
    Session = 3,
}

/// What keyed state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum KeyedKind {
    Group = FIRST_KEYED_KIND,
    Expiry = 17,
    Over = 18,
    Rank = 19,
    Interval = 20,
    Joined = 21,
    Pattern = 22,
    Sorted = 23,
}

/// Which table an entry is in, among those that lie in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateTable {
    /// Groups with their aggregates, fragments, values of keys; of rows those of the operator's
    /// first input.
    Main,
    /// Beside them, from 0: the value set of a DISTINCT aggregate, or the rows of an input behind
    /// the first.
    Side(u8),
}

impl StateTable {
    /// The rows of an operator's input.
    pub(crate) fn of_input(input: u8) -> StateTable {
        StateTable::of_code(input)
    }

    fn of_code(code: u8) -> StateTable {
        code.checked_sub(1).map_or(StateTable::Main, StateTable::Side)
    }

    fn code(self) -> u8 {
        match self {
            StateTable::Main => 0,
            StateTable::Side(number) => number + 1,
        }
    }
}

const FIRST_KEYED_KIND: u8 = 16;
/// Bytes before the group key.
const KEYED_PREFIX_BYTES: usize = 8;

/// Appends the key of one entry of keyed state to `out`.
pub fn keyed(
    operator: OperatorId,
    kind: KeyedKind,
    key_group: KeyGroup,
    key: &[u8],
    out: &mut Vec<u8>,
) {
    keyed_in(StateTable::Main, operator, kind, key_group, key, out);
}

/// The same in another table than the first.
pub(crate) fn keyed_in(
    table: StateTable,
    operator: OperatorId,
    kind: KeyedKind,
    key_group: KeyGroup,
    key: &[u8],
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&operator.to_bytes());
    out.push(kind as u8);
    out.extend_from_slice(&key_group.to_bytes());
    out.push(table.code());
    out.extend_from_slice(key);
}

/// The first key of everything of one kind that an operator keeps by key, and the first key after it.
pub(crate) fn keyed_range(operator: OperatorId, kind: KeyedKind) -> (Vec<u8>, Vec<u8>) {
    let bound = |kind: u8| [&operator.to_bytes()[..], &[kind]].concat();
    (bound(kind as u8), bound(kind as u8 + 1))
}

/// What follows the prefix of a key of keyed state.
pub(crate) fn keyed_rest(key: &[u8]) -> Option<&[u8]> {
    key.get(KEYED_PREFIX_BYTES..)
}

/// The key group of any key. None if the bytes are no key.
pub(crate) fn key_group_of(key: &[u8]) -> Option<KeyGroup> {
    if key.len() >= KEYED_PREFIX_BYTES && key[4] >= FIRST_KEYED_KIND {
        return KeyGroup::from_bytes([key[5], key[6]]);
    }
    StateKey::decode(key).map(|k| k.key_group)
}

/// Which part of an operator's state: everything in a key before the key group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StatePlace {
    pub operator: OperatorId,
    pub kind: StateKind,
    pub time: EventTime,
    pub last: EventTime,
}

impl StatePlace {
    /// A place with one time.
    pub fn at(operator: OperatorId, kind: StateKind, time: EventTime) -> StatePlace {
        StatePlace { operator, kind, time, last: time }
    }

    fn encode(&self) -> [u8; PLACE_BYTES] {
        let mut out = [0; PLACE_BYTES];
        out[0..4].copy_from_slice(&self.operator.to_bytes());
        out[4] = self.kind as u8;
        out[5..13].copy_from_slice(&self.time.to_bytes());
        out[13..21].copy_from_slice(&self.last.to_bytes());
        out
    }

    /// The first key of some key groups of this place, and the first key after them.
    pub fn groups(&self, groups: KeyGroups) -> (Vec<u8>, Vec<u8>) {
        let place = self.encode();
        let [from, to] = groups.bounds().map(|group| [&place[..], &group].concat());
        (from, to)
    }

    /// The same for all key groups.
    pub fn range(&self) -> (Vec<u8>, Vec<u8>) {
        self.groups(KeyGroups::ALL)
    }
}

/// The first key of everything of one kind that an operator stores, and the first key after it.
pub(crate) fn kind_range(operator: OperatorId, kind: StateKind) -> (Vec<u8>, Vec<u8>) {
    let (from, _) = StatePlace::at(operator, kind, EventTime::MIN).range();
    let (_, to) = StatePlace::at(operator, kind, EventTime::MAX).range();
    (from, to)
}

/// The parsed form of a store key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateKey {
    pub place: StatePlace,
    pub key_group: KeyGroup,
    pub table: StateTable,
    pub generation: u32,
    pub chunk: u32,
}

impl StateKey {
    pub fn encode(&self) -> [u8; KEY_BYTES] {
        let mut out = [0; KEY_BYTES];
        out[..PLACE_BYTES].copy_from_slice(&self.place.encode());
        out[21..23].copy_from_slice(&self.key_group.to_bytes());
        out[23] = self.table.code();
        out[24..28].copy_from_slice(&self.generation.to_be_bytes());
        out[28..32].copy_from_slice(&self.chunk.to_be_bytes());
        out
    }

    /// None if the bytes are not a window state key.
    pub fn decode(key: &[u8]) -> Option<StateKey> {
        let key: &[u8; KEY_BYTES] = key.try_into().ok()?;
        let word = |at: usize| u32::from_be_bytes([key[at], key[at + 1], key[at + 2], key[at + 3]]);
        let time = |at: usize| EventTime::from_bytes(std::array::from_fn(|i| key[at + i]));
        let kind = match key[4] {
            0 => StateKind::Waiting,
            1 => StateKind::Shown,
            2 => StateKind::Rows,
            3 => StateKind::Session,
            _ => return None,
        };
        let place = StatePlace {
            operator: OperatorId::from_bytes([key[0], key[1], key[2], key[3]]),
            kind,
            time: time(5),
            last: time(13),
        };
        let key_group = KeyGroup::from_bytes([key[21], key[22]])?;
        Some(StateKey {
            place,
            key_group,
            table: StateTable::of_code(key[23]),
            generation: word(24),
            chunk: word(28),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATOR: OperatorId = OperatorId::FIRST;

    fn key(time_ms: i64, last_ms: i64, key_group: u16, chunk: u32) -> StateKey {
        let place = StatePlace {
            operator: OPERATOR,
            kind: StateKind::Waiting,
            time: EventTime::at(time_ms),
            last: EventTime::at(last_ms),
        };
        let key_group = KeyGroup::from_bytes(key_group.to_be_bytes()).expect("a key group");
        StateKey { place, key_group, table: StateTable::Side(254), generation: u32::MAX, chunk }
    }

    #[test]
    fn keys_round_trip_and_sort_by_times_then_group() {
        let keys = [
            key(i64::MIN, 5, 0, 0),
            key(-1, -1, 5, 2),
            key(0, -7, 3, 0),
            key(0, 9, 0, 0),
            key(0, 9, 127, 0),
            key(5, 0, 0, 1),
            key(i64::MAX, 1, 1, 1),
        ];
        for k in keys {
            assert_eq!(StateKey::decode(&k.encode()), Some(k));
        }
        assert!(keys.map(|k| k.encode()).is_sorted());
    }

    #[test]
    fn ranges_hold_their_own_and_nothing_else() {
        let within = |k: StateKey, range: &(Vec<u8>, Vec<u8>)| {
            k.encode().as_slice() >= range.0.as_slice()
                && k.encode().as_slice() < range.1.as_slice()
        };
        let place = StatePlace {
            operator: OPERATOR,
            kind: StateKind::Waiting,
            time: EventTime::at(7),
            last: EventTime::at(9),
        };
        let all = place.range();
        assert!(within(key(7, 9, 0, 0), &all) && within(key(7, 9, 127, u32::MAX), &all));
        assert!(
            !within(key(7, 8, 127, u32::MAX), &all)
                && !within(key(7, 10, 0, 0), &all)
                && !within(key(8, 9, 0, 0), &all)
        );
        let mut groups = KeyGroups::ALL;
        groups.take_first(4);
        let some = place.groups(groups.take_first(2));
        assert!(within(key(7, 9, 4, 0), &some) && within(key(7, 9, 5, u32::MAX), &some));
        assert!(!within(key(7, 9, 3, u32::MAX), &some) && !within(key(7, 9, 6, 0), &some));
        let kind = kind_range(OPERATOR, StateKind::Waiting);
        assert!(
            within(key(i64::MIN, i64::MIN, 0, 0), &kind)
                && within(key(i64::MAX, i64::MAX, 127, u32::MAX), &kind)
        );
    }

    #[test]
    fn other_bytes_are_not_keys() {
        assert_eq!(StateKey::decode(b"short"), None);
        assert_eq!(StateKey::decode(&[9; KEY_BYTES]), None);
    }
}
