//! What is known of each key: its fragments, and which of them a row joins.
//!
//! Used by `aggregate`, whose accumulators are indexed by fragment number. What always holds: open fragments of one key and
//! split do not touch each other; a number is not used again until [`Fragments::compact`] renumbers all.

use hashbrown::HashTable;

use crate::state::KeyGroup;
use crate::time::{EventTime, Watermark};

/// Rows of one key and one split without a gap between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    pub key: u32,
    pub split: u64,
    pub start: EventTime,
    pub end: EventTime,
    /// The split's watermark when `start` became what it is.
    pub start_watermark: Watermark,
}

impl Fragment {
    fn touches(&self, start: EventTime, end: EventTime) -> bool {
        self.start <= end && start <= self.end
    }

    /// Closed by a watermark: no row joins it any more.
    pub fn is_closed(&self, watermark: Watermark) -> bool {
        watermark.closes(self.end)
    }

    /// The rule of the module's head for fragments of different splits.
    pub fn joins(&self, other: &Fragment) -> bool {
        self.split != other.split
            && self.touches(other.start, other.end)
            && !other.is_closed(self.start_watermark)
            && !self.is_closed(other.start_watermark)
    }
}

struct SessionKey {
    bytes: Box<[u8]>,
    hash: u64,
    fragments: Vec<u32>,
}

/// Where a row goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    Joined(u32),
    New(u32),
    /// Its own split had closed it.
    Late,
    /// Its split had not, but the operator has fired that time already.
    LateByFiredMark,
}

#[derive(Default)]
pub struct Fragments {
    table: HashTable<u32>,
    keys: Vec<SessionKey>,
    free_keys: Vec<u32>,
    all: Vec<Option<Fragment>>,
    alive: usize,
    key_bytes: usize,
}

impl Fragments {
    /// One more than the highest number.
    pub fn numbers(&self) -> usize {
        self.all.len()
    }

    pub fn alive(&self) -> usize {
        self.alive
    }

    pub fn get(&self, number: u32) -> Option<&Fragment> {
        self.all.get(number as usize)?.as_ref()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &Fragment)> {
        self.all.iter().enumerate().filter_map(|(i, f)| Some((i as u32, f.as_ref()?)))
    }

    pub fn key(&self, key: u32) -> &[u8] {
        &self.keys[key as usize].bytes
    }

    pub fn hash(&self, key: u32) -> u64 {
        self.keys[key as usize].hash
    }

    pub fn key_group(&self, key: u32) -> KeyGroup {
        KeyGroup::of_hash(self.hash(key))
    }

    pub fn intern(&mut self, bytes: &[u8], hash: u64) -> u32 {
        let keys = &mut self.keys;
        if let Some(&key) = self.table.find(hash, |&k| keys[k as usize].hash == hash && *keys[k as usize].bytes == *bytes) {
            return key;
        }
        let held = SessionKey { bytes: bytes.into(), hash, fragments: Vec::new() };
        self.key_bytes += bytes.len();
        let key = match self.free_keys.pop() {
            Some(key) => {
                keys[key as usize] = held;
                key
            }
            None => {
                keys.push(held);
                keys.len() as u32 - 1
            }
        };
        self.table.insert_unique(hash, key, |&k| keys[k as usize].hash);
        key
    }

    /// Puts a row at `[start, end)` of a split with this watermark where it belongs. Fragments that it merges are named in
    /// `merges` as (from, into): the first is gone then, and its accumulators are to be added to the second's.
    pub fn place(&mut self, key: u32, row: Fragment, fired_mark: Watermark, merges: &mut Vec<(u32, u32)>) -> Placed {
        let Fragment { split, start, end, start_watermark: watermark, .. } = row;
        let Fragments { keys, all, alive, .. } = self;
        let list = &mut keys[key as usize].fragments;
        let mut into: Option<u32> = None;
        let mut touches_any = false;
        list.retain(|&number| {
            let Some(fragment) = all[number as usize] else { return false };
            if !fragment.touches(start, end) {
                return true;
            }
            touches_any = true;
            if fragment.split != split || fragment.is_closed(watermark) {
                return true;
            }
            let Some(first) = into else {
                into = Some(number);
                return true;
            };
            if let Some(whole) = &mut all[first as usize] {
                if fragment.start < whole.start {
                    (whole.start, whole.start_watermark) = (fragment.start, fragment.start_watermark);
                }
                whole.end = whole.end.max(fragment.end);
            }
            all[number as usize] = None;
            *alive -= 1;
            merges.push((number, first));
            false
        });
        if let Some(number) = into {
            if let Some(fragment) = &mut all[number as usize] {
                if start < fragment.start {
                    (fragment.start, fragment.start_watermark) = (start, watermark);
                }
                fragment.end = fragment.end.max(end);
            }
            return Placed::Joined(number);
        }
        if row.is_closed(watermark) {
            return Placed::Late;
        }
        if row.is_closed(fired_mark) && !touches_any {
            return Placed::LateByFiredMark;
        }
        Placed::New(self.add(Fragment { key, ..row }))
    }

    pub fn add(&mut self, fragment: Fragment) -> u32 {
        debug_assert!(fragment.start <= fragment.end, "a fragment ends before it begins");
        let number = self.all.len() as u32;
        self.keys[fragment.key as usize].fragments.push(number);
        self.all.push(Some(fragment));
        self.alive += 1;
        number
    }

    /// The fragments that form a session with this one, itself among them.
    pub fn session_of(&self, number: u32) -> Vec<u32> {
        let Some(fragment) = self.get(number) else { return vec![] };
        let list = &self.keys[fragment.key as usize].fragments;
        let mut session = vec![number];
        let mut next = 0;
        while let Some(&member) = session.get(next) {
            next += 1;
            if list.len() > session.len()
                && let Some(member) = self.get(member)
            {
                let joined = |n: &&u32| !session.contains(*n) && self.get(**n).is_some_and(|f| f.joins(member));
                let more: Vec<u32> = list.iter().filter(joined).copied().collect();
                session.extend(more);
            }
        }
        session
    }

    /// Forgets a fragment; its key stays until [`Fragments::forget_key_if_empty`].
    pub fn remove(&mut self, number: u32) {
        if let Some(fragment) = self.all[number as usize].take() {
            self.alive -= 1;
            self.keys[fragment.key as usize].fragments.retain(|&n| n != number);
        }
    }

    pub fn forget_key_if_empty(&mut self, key: u32) {
        let held = &mut self.keys[key as usize];
        if !held.fragments.is_empty() {
            return;
        }
        if let Ok(entry) = self.table.find_entry(held.hash, |&k| k == key) {
            entry.remove();
            self.key_bytes -= held.bytes.len();
            held.bytes = Box::default();
            held.fragments = Vec::new();
            self.free_keys.push(key);
        }
    }

    /// True when more numbers are dead than alive, by enough to be worth it.
    pub fn is_sparse(&self) -> bool {
        self.all.len() > 2 * self.alive + 4096
    }

    /// Numbers the fragments that are alive anew, from 0 in their order; returns their old numbers.
    pub fn compact(&mut self) -> Vec<u32> {
        let old: Vec<u32> = self.iter().map(|(n, _)| n).collect();
        self.all = old.iter().map(|&n| self.all[n as usize]).collect();
        for held in &mut self.keys {
            held.fragments.clear();
        }
        for (number, fragment) in self.all.iter().enumerate() {
            if let Some(fragment) = fragment {
                self.keys[fragment.key as usize].fragments.push(number as u32);
            }
        }
        debug_assert_eq!(self.all.len(), self.alive, "numbers of fragments that are gone");
        old
    }

    pub fn memory_bytes(&self) -> usize {
        self.all.capacity() * size_of::<Option<Fragment>>()
            + self.keys.len() * (size_of::<SessionKey>() + 16)
            + self.key_bytes
            + self.table.capacity() * 5
    }
}
