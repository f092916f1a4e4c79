//! In which order are items sent?
//!
//! Each key is a lane: one write of it is on its way at most, and where results replace each other only the newest waits.
//! Plain bookkeeping, without locks or network; `outbox` owns it. What always holds: an item leaves its lane only when it is
//! settled, and a request never holds a key twice.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::connector::dynamodb::item::Item;
use crate::sink::Rejected;
use crate::sink::version::{Standing, WriteMode};

/// What one writer has to send, and what went wrong.
pub struct Lanes {
    mode: WriteMode,
    by_key: HashMap<Arc<[u8]>, Lane>,
    /// Keys with something waiting and nothing on its way.
    pub ready: VecDeque<Arc<[u8]>>,
    /// Of all items, waiting or on their way.
    pub bytes: usize,
    /// How many those are.
    pub items: usize,
    pub requests: usize,
    /// Requests that pause before they are sent again.
    pub pausing: usize,
    /// A barrier waits: requests need not be full.
    pub flushing: bool,
    /// The writer is gone: nothing more is sent.
    pub closed: bool,
    pub failure: Option<String>,
    pub rejected: Vec<Rejected>,
}

#[derive(Default)]
struct Lane {
    in_flight: bool,
    waiting: VecDeque<Item>,
}

impl Lanes {
    pub fn new(mode: WriteMode) -> Lanes {
        Lanes {
            mode,
            by_key: HashMap::new(),
            ready: VecDeque::new(),
            bytes: 0,
            items: 0,
            requests: 0,
            pausing: 0,
            flushing: false,
            closed: false,
            failure: None,
            rejected: Vec::new(),
        }
    }

    /// Appends an item to its lane. Of two with versions that wait for one key only one is written: returns how the other stands
    /// against it, whichever it is.
    pub fn push(&mut self, item: Item) -> Option<Standing> {
        let lane = self.by_key.entry(item.key.clone()).or_default();
        if self.mode != WriteMode::Unique
            && let Some(last) = lane.waiting.back_mut()
        {
            let standing = match &item.version {
                None => None,
                same if *same == last.version => Some(Standing::Same),
                _ => Some(Standing::BehindWindow),
            };
            // Without versions both are None: the later one stays.
            if item.version >= last.version {
                self.bytes = self.bytes - last.memory_bytes + item.memory_bytes;
                *last = item;
            }
            return standing;
        }
        if lane.waiting.is_empty() && !lane.in_flight {
            self.ready.push_back(item.key.clone());
        }
        self.bytes += item.memory_bytes;
        self.items += 1;
        lane.waiting.push_back(item);
        None
    }

    /// True if nothing waits and nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The next items to send together, each of another key; empty if there is nothing to send now.
    pub fn next_request(&mut self, size: usize) -> Vec<Item> {
        let mut items = Vec::new();
        while items.len() < size
            && let Some(key) = self.ready.pop_front()
        {
            if let Some(lane) = self.by_key.get_mut(&key)
                && let Some(item) = lane.waiting.pop_front()
            {
                lane.in_flight = true;
                items.push(item);
            }
        }
        items
    }

    /// An item needs nothing more: its lane is free for the next one.
    pub fn settle(&mut self, item: &Item) {
        self.bytes -= item.memory_bytes;
        self.items -= 1;
        if let Some(lane) = self.by_key.get_mut(&item.key) {
            lane.in_flight = false;
            if lane.waiting.is_empty() {
                self.by_key.remove(&item.key);
            } else {
                self.ready.push_back(item.key.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::dynamodb::value::Value;

    fn item(key: &str, value: &str, version: Option<&str>) -> Item {
        Item {
            deletes: false,
            key: key.as_bytes().into(),
            attributes: vec![("v".into(), Value::Text(value.into()))],
            version: version.map(Into::into),
            memory_bytes: value.len(),
        }
    }

    fn texts(items: &[Item]) -> Vec<String> {
        items.iter().map(|i| format!("{}={}", String::from_utf8_lossy(&i.key), i.to_json())).collect()
    }

    #[test]
    fn the_newest_of_a_key_waits_while_one_is_in_flight() {
        let mut lanes = Lanes::new(WriteMode::Versioned);
        assert_eq!(lanes.push(item("a", "1", Some("1"))), None);
        let first = lanes.next_request(1);
        assert_eq!(lanes.push(item("a", "2", Some("2"))), None);
        assert_eq!(lanes.push(item("a", "33", Some("3"))), Some(Standing::BehindWindow));
        assert_eq!(lanes.push(item("a", "2", Some("2"))), Some(Standing::BehindWindow));
        assert_eq!(lanes.push(item("a", "3333", Some("3"))), Some(Standing::Same));
        assert!(lanes.next_request(9).is_empty(), "one write of a key at a time");
        assert_eq!((lanes.bytes, lanes.items), (5, 2));
        lanes.settle(&first[0]);
        let second = lanes.next_request(9);
        assert_eq!(texts(&second), [r#"a={"v":"3333"}"#]);
        lanes.settle(&second[0]);
        assert!(lanes.by_key.is_empty());
        assert_eq!((lanes.bytes, lanes.items), (0, 0));
    }

    #[test]
    fn without_versions_the_last_one_stays() {
        let mut lanes = Lanes::new(WriteMode::InOrder);
        for value in ["2", "1", "3", "0"] {
            assert_eq!(lanes.push(item("a", value, None)), None);
        }
        assert_eq!(texts(&lanes.next_request(9)), [r#"a={"v":"0"}"#]);
    }

    #[test]
    fn a_request_never_holds_a_key_twice() {
        let mut lanes = Lanes::new(WriteMode::Unique);
        for (key, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("a", "3")] {
            lanes.push(item(key, value, None));
        }
        let first = lanes.next_request(25);
        assert_eq!(texts(&first), [r#"a={"v":"1"}"#, r#"b={"v":"1"}"#]);
        first.iter().for_each(|i| lanes.settle(i));
        let second = lanes.next_request(25);
        assert_eq!(texts(&second), [r#"a={"v":"2"}"#]);
        lanes.settle(&second[0]);
        assert_eq!(texts(&lanes.next_request(25)), [r#"a={"v":"3"}"#]);
    }
}
