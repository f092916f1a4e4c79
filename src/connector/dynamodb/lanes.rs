//! In which order are items sent?
//!
//! Each key is a lane: one write of it is on its way at most, and only the newest waits. Plain
//! bookkeeping, without locks or network; `sender` owns it. What always holds: an item leaves its
//! lane only when it is settled; what takes the place of another has no lower version.
//!
//! ```text
//! key 7  waiting: v5 (v4 went, as only the newest waits)   on its way: v3   a new one replaces v5
//! key 8  waiting: v2                                       on its way: none it is ready to go
//! key 9                                                    on its way: v1   settled: the lane goes
//! ```
//!
//! An answer settles what was on its way: written, or refused for good; one that the table did not
//! take is sent again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::connector::dynamodb::item::Put;
use crate::connector::dynamodb::lost::Lost;
use crate::sink::Rejected;
use crate::sink::version::Standing;

/// What one writer has to send, and what went wrong.
#[derive(Default)]
pub(crate) struct KeyLanes {
    by_key: HashMap<Arc<[u8]>, KeyLane>,
    /// Keys with something waiting and nothing on its way.
    ready: VecDeque<Arc<[u8]>>,
    /// Of all items, waiting or on their way.
    pub bytes: usize,
    /// How many those are.
    pub items: usize,
    /// How many are on their way.
    pub requests: usize,
    /// The writer is gone: nothing more is sent.
    pub closed: bool,
    pub failure: Option<Lost>,
    /// Rows since they were taken last.
    rejected: Vec<Rejected>,
}

#[derive(Default)]
struct KeyLane {
    in_flight: Option<Arc<Put>>,
    waiting: Option<Put>,
}

impl KeyLanes {
    /// Appends an item to its lane. Of two that wait for one key only one is written: returns how
    /// the other stands against it, whichever it is.
    pub fn push(&mut self, put: Put) -> Option<Standing> {
        let key = put.item.key.clone();
        let lane = self.by_key.entry(key.clone()).or_default();
        if let Some(last) = &mut lane.waiting {
            let is_same = put.version == last.version;
            if put.version >= last.version {
                self.bytes = self.bytes - last.item.memory_bytes + put.item.memory_bytes;
                *last = put;
            }
            return Some(if is_same { Standing::Same } else { Standing::BehindWindow });
        }
        if lane.in_flight.is_none() {
            self.ready.push_back(key);
        }
        self.bytes += put.item.memory_bytes;
        self.items += 1;
        lane.waiting = Some(put);
        None
    }

    /// Notes a row that can never be in the table.
    pub(crate) fn reject(&mut self, rejected: Rejected) {
        self.rejected.push(rejected);
    }

    /// What was rejected since the last call.
    pub fn take_rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }

    /// All items that are not settled, by key; of each key in their order.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = &Put> {
        let mut lanes: Vec<(&Arc<[u8]>, &KeyLane)> = self.by_key.iter().collect();
        lanes.sort_unstable_by_key(|(key, _)| *key);
        lanes
            .into_iter()
            .flat_map(|(_, lane)| lane.in_flight.as_deref().into_iter().chain(&lane.waiting))
    }

    /// The next item to be sent, on its way from now on.
    pub(crate) fn next_request(&mut self) -> Option<Arc<Put>> {
        while let Some(key) = self.ready.pop_front() {
            if let Some(lane) = self.by_key.get_mut(&key)
                && let Some(sent) = lane.waiting.take()
            {
                debug_assert!(lane.in_flight.is_none(), "two writes of one key are on their way");
                let sent = Arc::new(sent);
                lane.in_flight = Some(sent.clone());
                return Some(sent);
            }
        }
        None
    }

    /// An item needs nothing more: its lane is free for the next one.
    pub(crate) fn settle(&mut self, sent: &Put) {
        let key = &sent.item.key;
        self.bytes -= sent.item.memory_bytes;
        self.items -= 1;
        if let Some(lane) = self.by_key.get_mut(key) {
            debug_assert!(lane.in_flight.is_some(), "an item is settled twice");
            lane.in_flight = None;
            if lane.waiting.is_none() {
                self.by_key.remove(key);
            } else {
                self.ready.push_back(key.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::dynamodb::item::Item;
    use crate::connector::dynamodb::value::Value;

    fn put(key: &str, value: &str, version: &str) -> Put {
        let item = Item {
            deletes: false,
            key: key.as_bytes().into(),
            attributes: vec![("v".into(), Value::Text(value.into()))],
            memory_bytes: value.len(),
        };
        Put { item, version: version.into() }
    }

    fn text(put: &Put) -> String {
        format!("{}={}", String::from_utf8_lossy(&put.item.key), put.item.to_json())
    }

    fn next(lanes: &mut KeyLanes) -> Vec<Arc<Put>> {
        std::iter::from_fn(|| lanes.next_request()).collect()
    }

    fn texts(items: &[Arc<Put>]) -> Vec<String> {
        items.iter().map(|put| text(put)).collect()
    }

    #[test]
    fn what_is_not_settled_is_what_is_on_its_way_and_what_waits() {
        let mut lanes = KeyLanes::default();
        for key in ["b", "a"] {
            lanes.push(put(key, "1", "1"));
        }
        let first = lanes.next_request().unwrap();
        lanes.push(put("b", "2", "2"));
        assert_eq!(
            lanes.unsettled().map(text).collect::<Vec<_>>(),
            [r#"a={"v":"1"}"#, r#"b={"v":"1"}"#, r#"b={"v":"2"}"#]
        );
        lanes.push(put("b", "3", "3"));
        let rejected = Rejected { row: "{}".into(), reason: "too large".into() };
        lanes.reject(rejected.clone());
        lanes.settle(&first);
        assert_eq!(lanes.take_rejected(), [rejected]);
        let rest = next(&mut lanes);
        assert_eq!(texts(&rest), [r#"a={"v":"1"}"#, r#"b={"v":"3"}"#]);
        rest.iter().for_each(|put| lanes.settle(put));
        assert_eq!((lanes.unsettled().count(), lanes.items), (0, 0));
    }

    #[test]
    fn the_newest_of_a_key_waits_while_one_is_in_flight() {
        let mut lanes = KeyLanes::default();
        assert_eq!(lanes.push(put("a", "1", "1")), None);
        let first = lanes.next_request().unwrap();
        assert_eq!(lanes.push(put("a", "2", "2")), None);
        assert_eq!(lanes.push(put("a", "33", "3")), Some(Standing::BehindWindow));
        assert_eq!(lanes.push(put("a", "2", "2")), Some(Standing::BehindWindow));
        assert_eq!(lanes.push(put("a", "3333", "3")), Some(Standing::Same));
        assert!(lanes.next_request().is_none(), "one write of a key at a time");
        assert_eq!((lanes.bytes, lanes.items), (5, 2));
        lanes.settle(&first);
        let second = next(&mut lanes);
        assert_eq!(texts(&second), [r#"a={"v":"3333"}"#]);
        lanes.settle(&second[0]);
        assert!(lanes.by_key.is_empty());
        assert_eq!((lanes.bytes, lanes.items), (0, 0));
    }
}
