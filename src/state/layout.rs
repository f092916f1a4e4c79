//! Which bytes stand where in the store?
//!
//! Window state, version 1. All numbers are big-endian; times have the sign bit flipped, so that byte order is time order:
//!
//! ```text
//! key   = operator (4) | kind (1) | time (8) | key group (2) | table (1) | generation (4) | chunk (4)
//! kind  = 0  partial aggregates; time = the first window they enter (its end, ms). For a row in time that is the end of
//!            the first window its slice belongs to; for a row late for some windows, the first one still open to it
//!         1  a running window (CUMULATE); time = the window's start, ms
//!         2  rows that wait for their window; time = the window's end, ms
//! table = 0 for the aggregates; i > 0 for the value set of the i-th DISTINCT aggregate
//! value = `packed` columns of some hundreds of entries
//! ```
//!
//! Time comes before the key group: a window fires and expires as one range from the front. Key groups follow, so that a
//! fire can go group by group and a restore can re-deal them. Generations distinguish rewrites of a running window.

use super::KEY_GROUPS;

pub const VERSION: u8 = 1;
const KEY_BYTES: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    Partial = 0,
    Running = 1,
    Rows = 2,
}

/// The parsed form of a store key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateKey {
    pub operator: u32,
    pub kind: Kind,
    pub time_ms: i64,
    pub key_group: u16,
    pub table: u8,
    pub generation: u32,
    pub chunk: u32,
}

impl StateKey {
    pub fn encode(&self) -> [u8; KEY_BYTES] {
        let mut out = [0; KEY_BYTES];
        out[0..4].copy_from_slice(&self.operator.to_be_bytes());
        out[4] = self.kind as u8;
        out[5..13].copy_from_slice(&(self.time_ms ^ i64::MIN).to_be_bytes());
        out[13..15].copy_from_slice(&self.key_group.to_be_bytes());
        out[15] = self.table;
        out[16..20].copy_from_slice(&self.generation.to_be_bytes());
        out[20..24].copy_from_slice(&self.chunk.to_be_bytes());
        out
    }

    /// None if the bytes are not a window state key.
    pub fn decode(key: &[u8]) -> Option<StateKey> {
        let key: &[u8; KEY_BYTES] = key.try_into().ok()?;
        let word = |at: usize| u32::from_be_bytes([key[at], key[at + 1], key[at + 2], key[at + 3]]);
        let mut time = [0; 8];
        time.copy_from_slice(&key[5..13]);
        let parsed = StateKey {
            operator: word(0),
            kind: match key[4] {
                0 => Kind::Partial,
                1 => Kind::Running,
                2 => Kind::Rows,
                _ => return None,
            },
            time_ms: i64::from_be_bytes(time) ^ i64::MIN,
            key_group: u16::from_be_bytes([key[13], key[14]]),
            table: key[15],
            generation: word(16),
            chunk: word(20),
        };
        (parsed.key_group < KEY_GROUPS).then_some(parsed)
    }
}

/// The first key of everything an operator stores at one time, and the first key after it.
pub fn time_range(operator: u32, kind: Kind, time_ms: i64) -> (Vec<u8>, Vec<u8>) {
    let first = StateKey { operator, kind, time_ms, key_group: 0, table: 0, generation: 0, chunk: 0 };
    let start = first.encode()[..13].to_vec();
    let mut end = start.clone();
    end.extend_from_slice(&[0xff; KEY_BYTES - 13 + 1]);
    (start, end)
}

/// The same for one key group.
pub fn group_range(operator: u32, kind: Kind, time_ms: i64, key_group: u16) -> (Vec<u8>, Vec<u8>) {
    let at =
        |key_group| StateKey { operator, kind, time_ms, key_group, table: 0, generation: 0, chunk: 0 }.encode()[..15].to_vec();
    (at(key_group), at(key_group + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_sort_by_time_then_group() {
        let key = |time_ms, key_group, chunk| StateKey {
            operator: 3,
            kind: Kind::Partial,
            time_ms,
            key_group,
            table: 1,
            generation: 9,
            chunk,
        };
        let keys = [key(i64::MIN, 0, 0), key(-1, 5, 2), key(0, 0, 0), key(0, 127, 0), key(5, 0, 1), key(i64::MAX, 1, 1)];
        for k in keys {
            assert_eq!(StateKey::decode(&k.encode()), Some(k));
        }
        assert!(keys.map(|k| k.encode()).is_sorted());
    }

    #[test]
    fn ranges_hold_their_own_and_nothing_else() {
        let key = |time_ms, key_group, chunk| StateKey {
            operator: 3,
            kind: Kind::Partial,
            time_ms,
            key_group,
            table: 255,
            generation: u32::MAX,
            chunk,
        };
        let (from, to) = time_range(3, Kind::Partial, 7);
        let within = |k: StateKey, from: &[u8], to: &[u8]| k.encode().as_slice() >= from && k.encode().as_slice() < to;
        assert!(within(key(7, 0, 0), &from, &to) && within(key(7, 127, u32::MAX), &from, &to));
        assert!(!within(key(6, 127, u32::MAX), &from, &to) && !within(key(8, 0, 0), &from, &to));
        let (from, to) = group_range(3, Kind::Partial, 7, 4);
        assert!(
            within(key(7, 4, u32::MAX), &from, &to)
                && !within(key(7, 5, 0), &from, &to)
                && !within(key(7, 3, u32::MAX), &from, &to)
        );
    }

    #[test]
    fn other_bytes_are_not_keys() {
        assert_eq!(StateKey::decode(b"short"), None);
        assert_eq!(StateKey::decode(&[9; 24]), None);
    }
}
