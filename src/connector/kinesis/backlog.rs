//! Which records are sent next?
//!
//! Plain bookkeeping, without locks or network; `put` owns it. What always holds: where order
//! counts, a call has one record of a key at most, and none of a key of which one is on its way; a
//! record that was refused goes before what came after it; a record leaves only when the stream has
//! it.
//!
//! Where records are put together, what waits of one key is one record for the stream, so that it
//! lies in the shard of all that is in it, whatever becomes of the shards meanwhile. Records whose
//! keys are random get the key of the first.

use std::collections::{HashMap, HashSet, VecDeque};

use super::api::Entry;
use crate::unpack::kpl::message;

/// Whether several records become one for the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Together {
    Never,
    /// Aggregates of the Kinesis Producer Library, of so many bytes at most.
    UpTo(usize),
}

/// What is to be kept in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The records of each key.
    PerKey,
    /// All records of the writer, call by call: they have one key.
    All,
    None,
}

/// A record with the number of barriers that came before it.
struct Waiting {
    entry: Entry,
    barriers: u64,
}

/// Records of one call.
pub(super) struct Batch {
    groups: Vec<Group>,
}

/// Records that are one for the stream, in order: with the key of the first.
struct Group {
    records: Vec<Waiting>,
    /// Of what is sent.
    bytes: usize,
}

impl Group {
    fn of(first: Waiting) -> Group {
        Group { bytes: size(&first.entry), records: vec![first] }
    }

    fn key(&self) -> &str {
        &self.records[0].entry.0
    }

    /// What is sent with one more record.
    fn bytes_with(&self, next: &Entry) -> usize {
        let before = match &self.records[..] {
            [only] => message::head_bytes(self.key()) + message::added_bytes(&only.entry.1),
            _ => self.bytes - self.key().len(),
        };
        self.key().len() + before + message::added_bytes(&next.1)
    }

    fn entry(&self) -> Entry {
        match &self.records[..] {
            [only] => only.entry.clone(),
            several => {
                let key = self.key();
                let data = message::write(several.iter().map(|w| (key, &w.entry.1[..])));
                debug_assert_eq!(key.len() + data.len(), self.bytes, "bytes of an aggregate");
                (key.to_string(), data)
            }
        }
    }
}

impl Batch {
    /// What the stream gets.
    pub fn entries(&self) -> Vec<Entry> {
        self.groups.iter().map(Group::entry).collect()
    }

    pub fn len(&self) -> usize {
        self.groups.len()
    }
}

#[derive(Default)]
pub(super) struct Backlog {
    waiting: VecDeque<Waiting>,
    /// Keys on their way, where order counts.
    busy: HashSet<String>,
    barriers: u64,
    /// Records from before the last barrier that the stream has not yet.
    awaited: usize,
    pub bytes: usize,
    /// Waiting or on their way.
    pub records: usize,
    pub calls: usize,
}

fn size(entry: &Entry) -> usize {
    entry.0.len() + entry.1.len()
}

impl Backlog {
    pub fn push(&mut self, entry: Entry) {
        self.bytes += size(&entry);
        self.records += 1;
        self.waiting.push_back(Waiting { entry, barriers: self.barriers });
    }

    pub fn begin_barrier(&mut self) {
        self.barriers += 1;
        self.awaited = self.records;
    }

    /// True if the stream has all records from before the last barrier.
    pub fn is_prepared(&self) -> bool {
        self.awaited == 0
    }

    /// The records of the next call, on their way from now on; None if none can go.
    pub fn next(
        &mut self,
        order: Order,
        together: Together,
        count_max: usize,
        bytes_max: usize,
    ) -> Option<Batch> {
        if order == Order::All && self.calls > 0 {
            return None;
        }
        let (mut groups, mut bytes) = (Vec::<Group>::new(), 0);
        let (mut left, mut passed) = (VecDeque::new(), HashSet::new());
        // Where order counts, the group of each key in this call.
        let mut own: HashMap<String, usize> = HashMap::new();
        while let Some(next) = self.waiting.pop_front() {
            let key = &next.entry.0;
            let joined = match order {
                Order::PerKey => own.get(key).copied(),
                Order::All | Order::None => groups.len().checked_sub(1),
            };
            let is_passed = order == Order::PerKey && passed.contains(key);
            if let (Together::UpTo(most), Some(index), false) = (together, joined, is_passed) {
                let group = &mut groups[index];
                let with = group.bytes_with(&next.entry);
                if with <= most && bytes + with - group.bytes <= bytes_max {
                    bytes += with - group.bytes;
                    group.bytes = with;
                    group.records.push(next);
                    continue;
                }
            }
            let is_held = order == Order::PerKey && (self.busy.contains(key) || is_passed);
            if is_held {
                passed.insert(key.clone());
                left.push_back(next);
                continue;
            }
            let is_full = groups.len() == count_max
                || !groups.is_empty() && bytes + size(&next.entry) > bytes_max;
            if is_full {
                self.waiting.push_front(next);
                break;
            }
            if order == Order::PerKey {
                self.busy.insert(key.clone());
                own.insert(key.clone(), groups.len());
            }
            bytes += size(&next.entry);
            groups.push(Group::of(next));
        }
        // Those that were passed over stay before the others.
        while let Some(held) = left.pop_back() {
            self.waiting.push_front(held);
        }
        if groups.is_empty() {
            return None;
        }
        self.calls += 1;
        Some(Batch { groups })
    }

    /// A call has ended. `refused`: for each of its records in order, whether it has to go again.
    pub fn end(&mut self, batch: Batch, refused: impl Iterator<Item = bool>) {
        self.calls -= 1;
        let mut again = Vec::new();
        for (group, is_refused) in batch.groups.into_iter().zip(refused) {
            self.busy.remove(group.key());
            if is_refused {
                again.extend(group.records);
                continue;
            }
            for record in group.records {
                self.bytes -= size(&record.entry);
                self.records -= 1;
                if record.barriers < self.barriers {
                    debug_assert!(self.awaited > 0, "a record from before the barrier is awaited");
                    self.awaited = self.awaited.saturating_sub(1);
                }
            }
        }
        for record in again.into_iter().rev() {
            self.waiting.push_front(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(keys: &str) -> Backlog {
        let mut backlog = Backlog::default();
        for (n, key) in keys.chars().enumerate() {
            backlog.push((key.to_string(), vec![n as u8]));
        }
        backlog
    }

    fn shown(batch: &Batch) -> String {
        batch.entries().iter().map(|(key, data)| format!("{key}{} ", data[0])).collect()
    }

    #[test]
    fn records_of_a_key_go_one_after_the_other() {
        let mut backlog = backlog("abacb");
        let first = backlog.next(Order::PerKey, Together::Never, 10, 1000).unwrap();
        assert_eq!(shown(&first), "a0 b1 c3 ");
        assert!(
            backlog.next(Order::PerKey, Together::Never, 10, 1000).is_none(),
            "a and b are on their way"
        );
        backlog.end(first, [false, true, false].into_iter());
        let second = backlog.next(Order::PerKey, Together::Never, 10, 1000).unwrap();
        assert_eq!(shown(&second), "b1 a2 ", "what was refused goes first, before b4");
        backlog.end(second, [false, false].into_iter());
        assert_eq!(shown(&backlog.next(Order::PerKey, Together::Never, 10, 1000).unwrap()), "b4 ");
    }

    #[test]
    fn calls_are_as_large_as_they_may_be() {
        let mut backlog = backlog("aaaa");
        assert_eq!(shown(&backlog.next(Order::None, Together::Never, 2, 1000).unwrap()), "a0 a1 ");
        assert_eq!(shown(&backlog.next(Order::None, Together::Never, 9, 3).unwrap()), "a2 ");
        assert!(backlog.next(Order::All, Together::Never, 9, 3).is_none(), "one call at a time");
    }

    #[test]
    fn a_barrier_waits_for_what_came_before_it() {
        let mut backlog = backlog("ab");
        backlog.begin_barrier();
        backlog.push(("c".into(), vec![9]));
        let batch = backlog.next(Order::PerKey, Together::Never, 9, 1000).unwrap();
        assert_eq!(shown(&batch), "a0 b1 c9 ");
        backlog.end(batch, [false, true, false].into_iter());
        assert!(!backlog.is_prepared());
        let batch = backlog.next(Order::PerKey, Together::Never, 9, 1000).unwrap();
        backlog.end(batch, [false].into_iter());
        assert!(backlog.is_prepared() && backlog.records == 0 && backlog.bytes == 0);
    }

    /// Key, and the payloads that lie in it, of each record for the stream.
    fn opened(batch: &Batch) -> String {
        let one = |(key, data): &Entry| match message::read(data) {
            Some(aggregate) => {
                assert_eq!(aggregate.keys, [key.as_str()]);
                let numbers = aggregate.records.iter().map(|r| data[r.data.clone()][0].to_string());
                format!("{key}[{}] ", numbers.collect::<Vec<_>>().join(","))
            }
            None => format!("{key}{} ", data[0]),
        };
        batch.entries().iter().map(one).collect()
    }

    #[test]
    fn what_waits_of_a_key_goes_together() {
        let together = Together::UpTo(51_200);
        let mut backlog = backlog("abacab");
        backlog.begin_barrier();
        let first = backlog.next(Order::PerKey, together, 2, 1000).unwrap();
        assert_eq!(opened(&first), "a[0,2] b1 ", "c is one too many, and ends the call");
        let second = backlog.next(Order::PerKey, together, 9, 1000).unwrap();
        assert_eq!(opened(&second), "c3 ", "b is on its way");
        backlog.end(first, [true, false].into_iter());
        assert!(!backlog.is_prepared());
        let third = backlog.next(Order::PerKey, together, 9, 1000).unwrap();
        assert_eq!(opened(&third), "a[0,2,4] b5 ");
        backlog.end(third, [false, false].into_iter());
        backlog.end(second, [false].into_iter());
        assert!(backlog.is_prepared() && backlog.records == 0 && backlog.bytes == 0);
    }

    #[test]
    fn random_keys_make_place_for_that_of_the_first() {
        let mut backlog = backlog("abcde");
        let most = 1 + message::head_bytes("a") + 3 * message::added_bytes(b"x");
        let batch = backlog.next(Order::None, Together::UpTo(most), 9, 1000).unwrap();
        assert_eq!(opened(&batch), "a[0,1,2] d[3,4] ");
        backlog.end(batch, [false, true].into_iter());
        let batch = backlog.next(Order::All, Together::UpTo(0), 9, 1000).unwrap();
        assert_eq!(opened(&batch), "d3 e4 ", "nothing fits with another");
    }

    #[test]
    fn what_is_too_long_for_a_key_keeps_what_comes_behind_it_back() {
        let mut backlog = Backlog::default();
        for length in [1, 200, 1] {
            backlog.push(("a".into(), vec![length; length as usize]));
        }
        let batch = backlog.next(Order::PerKey, Together::UpTo(100), 9, 1000).unwrap();
        assert_eq!(opened(&batch), "a1 ");
        backlog.end(batch, [false].into_iter());
        assert_eq!(
            opened(&backlog.next(Order::PerKey, Together::UpTo(100), 9, 1000).unwrap()),
            "a200 "
        );
    }
}
