//! Which records are sent next?
//!
//! Plain bookkeeping, without locks or network; `put` owns it. What always holds: where order
//! counts, a call has one record of a key at most, and none of a key of which one is on its way; a
//! record that was refused goes before what came after it; a record leaves only when the stream has
//! it.

use std::collections::{HashSet, VecDeque};

use super::api::Entry;

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
    records: Vec<Waiting>,
}

impl Batch {
    pub fn entries(&self) -> Vec<Entry> {
        self.records.iter().map(|w| w.entry.clone()).collect()
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
    pub fn next(&mut self, order: Order, count_max: usize, bytes_max: usize) -> Option<Batch> {
        if order == Order::All && self.calls > 0 {
            return None;
        }
        let (mut records, mut bytes) = (Vec::new(), 0);
        let (mut left, mut passed) = (VecDeque::new(), HashSet::new());
        while records.len() < count_max
            && let Some(next) = self.waiting.pop_front()
        {
            let key = &next.entry.0;
            let is_held =
                order == Order::PerKey && (self.busy.contains(key) || passed.contains(key));
            if is_held {
                passed.insert(key.clone());
                left.push_back(next);
                continue;
            }
            if !records.is_empty() && bytes + size(&next.entry) > bytes_max {
                self.waiting.push_front(next);
                break;
            }
            if order == Order::PerKey {
                self.busy.insert(key.clone());
            }
            bytes += size(&next.entry);
            records.push(next);
        }
        // Those that were passed over stay before the others.
        while let Some(held) = left.pop_back() {
            self.waiting.push_front(held);
        }
        if records.is_empty() {
            return None;
        }
        self.calls += 1;
        Some(Batch { records })
    }

    /// A call has ended. `refused`: for each of its records in order, whether it has to go again.
    pub fn end(&mut self, batch: Batch, refused: impl Iterator<Item = bool>) {
        self.calls -= 1;
        let mut again = Vec::new();
        for (record, is_refused) in batch.records.into_iter().zip(refused) {
            self.busy.remove(&record.entry.0);
            if is_refused {
                again.push(record);
                continue;
            }
            self.bytes -= size(&record.entry);
            self.records -= 1;
            if record.barriers < self.barriers {
                debug_assert!(self.awaited > 0, "a record from before the barrier is awaited");
                self.awaited = self.awaited.saturating_sub(1);
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
        let first = backlog.next(Order::PerKey, 10, 1000).unwrap();
        assert_eq!(shown(&first), "a0 b1 c3 ");
        assert!(backlog.next(Order::PerKey, 10, 1000).is_none(), "a and b are on their way");
        backlog.end(first, [false, true, false].into_iter());
        let second = backlog.next(Order::PerKey, 10, 1000).unwrap();
        assert_eq!(shown(&second), "b1 a2 ", "what was refused goes first, before b4");
        backlog.end(second, [false, false].into_iter());
        assert_eq!(shown(&backlog.next(Order::PerKey, 10, 1000).unwrap()), "b4 ");
    }

    #[test]
    fn calls_are_as_large_as_they_may_be() {
        let mut backlog = backlog("aaaa");
        assert_eq!(shown(&backlog.next(Order::None, 2, 1000).unwrap()), "a0 a1 ");
        assert_eq!(shown(&backlog.next(Order::None, 9, 3).unwrap()), "a2 ");
        assert!(backlog.next(Order::All, 9, 3).is_none(), "one call at a time");
    }

    #[test]
    fn a_barrier_waits_for_what_came_before_it() {
        let mut backlog = backlog("ab");
        backlog.begin_barrier();
        backlog.push(("c".into(), vec![9]));
        let batch = backlog.next(Order::PerKey, 9, 1000).unwrap();
        assert_eq!(shown(&batch), "a0 b1 c9 ");
        backlog.end(batch, [false, true, false].into_iter());
        assert!(!backlog.is_prepared());
        let batch = backlog.next(Order::PerKey, 9, 1000).unwrap();
        backlog.end(batch, [false].into_iter());
        assert!(backlog.is_prepared() && backlog.records == 0 && backlog.bytes == 0);
    }
}
