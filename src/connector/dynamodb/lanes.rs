//! In which order are items sent?
//!
//! Each key is a lane: one write of it is on its way at most, and where results replace each other
//! only the newest waits. Plain bookkeeping, without locks or network; `outbox` owns it. What
//! always holds: an item leaves its lane only when it is settled, and a request never holds a key
//! twice.
//!
//! ```text
//! key 7  waiting: v5 (v4 went, as only the newest waits)   on its way: v3   a new one replaces v5
//! key 8  waiting: v2                                       on its way: none it is ready to go
//! key 9                                                    on its way: v1   settled: the lane goes
//! ```
//!
//! Where every change counts, all of them wait, in their order. An answer settles what was on its
//! way: written, or refused for good; one that the table did not take is ready again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::connector::dynamodb::item::Item;
use crate::connector::dynamodb::lost::Lost;
use crate::sink::Rejected;
use crate::sink::version::{Standing, WriteMode};

/// What one writer has to send, and what went wrong.
pub(crate) struct KeyLanes {
    mode: WriteMode,
    by_key: HashMap<Arc<[u8]>, KeyLane>,
    /// Barriers that have come.
    barriers: u64,
    /// Items from before the last of them that are not settled.
    awaited: usize,
    /// Keys with something waiting and nothing on its way.
    pub ready: VecDeque<Arc<[u8]>>,
    /// Of all items, waiting or on their way.
    pub bytes: usize,
    /// How many those are.
    pub items: usize,
    pub requests: usize,
    /// Requests that pause before they are sent again.
    pub pausing: usize,
    /// The writer is gone: nothing more is sent.
    pub closed: bool,
    pub failure: Option<Lost>,
    /// Rows of the epoch that is under way.
    rejected: Vec<Rejected>,
    /// Rows of the epoch that is being prepared.
    rejected_before: Vec<Rejected>,
}

#[derive(Default)]
struct KeyLane {
    in_flight: Option<Arc<Sent>>,
    waiting: VecDeque<Sent>,
}

/// An item with the number of barriers that came before it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub item: Item,
    barriers: u64,
}

impl KeyLanes {
    pub fn new(mode: WriteMode) -> KeyLanes {
        KeyLanes {
            mode,
            by_key: HashMap::new(),
            barriers: 0,
            awaited: 0,
            ready: VecDeque::new(),
            bytes: 0,
            items: 0,
            requests: 0,
            pausing: 0,
            closed: false,
            failure: None,
            rejected: Vec::new(),
            rejected_before: Vec::new(),
        }
    }

    /// Appends an item to its lane. Of two with versions that wait for one key only one is written:
    /// returns how the other stands against it, whichever it is.
    pub fn push(&mut self, item: Item) -> Option<Standing> {
        let lane = self.by_key.entry(item.key.clone()).or_default();
        if self.mode != WriteMode::Unique
            && let Some(last) = lane.waiting.back_mut()
        {
            let standing = match &item.version {
                None => None,
                same if *same == last.item.version => Some(Standing::Same),
                _ => Some(Standing::BehindWindow),
            };
            // Without versions both are None: the later one stays. It settles what the barrier
            // waits for in the other's stead.
            if item.version >= last.item.version {
                self.bytes = self.bytes - last.item.memory_bytes + item.memory_bytes;
                last.item = item;
            }
            return standing;
        }
        if lane.waiting.is_empty() && lane.in_flight.is_none() {
            self.ready.push_back(item.key.clone());
        }
        self.bytes += item.memory_bytes;
        self.items += 1;
        lane.waiting.push_back(Sent { item, barriers: self.barriers });
        None
    }

    /// A barrier has come.
    pub(crate) fn begin_barrier(&mut self) {
        debug_assert!(
            self.awaited <= self.items,
            "{} of {} items are awaited",
            self.awaited,
            self.items
        );
        self.barriers += 1;
        self.awaited = self.items;
        let rejected = std::mem::take(&mut self.rejected);
        self.rejected_before.extend(rejected);
    }

    /// What was rejected before the last barrier, if everything from before it is settled.
    pub(crate) fn take_prepared(&mut self) -> Option<Vec<Rejected>> {
        (self.awaited == 0).then(|| std::mem::take(&mut self.rejected_before))
    }

    /// Ends the epoch without waiting for what is on its way: it belongs to the next one from now
    /// on. Returns what was rejected.
    pub fn stage(&mut self) -> Vec<Rejected> {
        self.awaited = 0;
        std::mem::take(&mut self.rejected_before)
    }

    /// Notes a row that never became an item.
    pub(crate) fn reject_row(&mut self, rejected: Rejected) {
        self.rejected.push(rejected);
    }

    /// Notes an item that the table does not take, in the epoch that waits for it.
    pub(crate) fn reject(&mut self, sent: &Sent, rejected: Rejected) {
        let is_awaited = self.awaited > 0 && sent.barriers < self.barriers;
        if is_awaited { &mut self.rejected_before } else { &mut self.rejected }.push(rejected);
    }

    pub fn take_rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }

    /// All items that are not settled, by key; of each key in their order.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = &Item> {
        let mut lanes: Vec<(&Arc<[u8]>, &KeyLane)> = self.by_key.iter().collect();
        lanes.sort_unstable_by_key(|(key, _)| *key);
        lanes.into_iter().flat_map(|(_, lane)| {
            let in_flight = lane.in_flight.iter().map(|sent| &sent.item);
            in_flight.chain(lane.waiting.iter().map(|sent| &sent.item))
        })
    }

    /// The next items to send together, each of another key; empty if there is nothing to send now.
    pub(crate) fn next_request(&mut self, size: usize) -> Vec<Arc<Sent>> {
        let mut items = Vec::new();
        while items.len() < size
            && let Some(key) = self.ready.pop_front()
        {
            if let Some(lane) = self.by_key.get_mut(&key)
                && let Some(item) = lane.waiting.pop_front()
            {
                debug_assert!(lane.in_flight.is_none(), "two writes of one key are on their way");
                let sent = Arc::new(item);
                lane.in_flight = Some(sent.clone());
                items.push(sent);
            }
        }
        items
    }

    /// An item needs nothing more: its lane is free for the next one.
    pub(crate) fn settle(&mut self, sent: &Sent) {
        let key = &sent.item.key;
        self.bytes -= sent.item.memory_bytes;
        self.items -= 1;
        if self.awaited > 0 && sent.barriers < self.barriers {
            self.awaited -= 1;
        }
        if let Some(lane) = self.by_key.get_mut(key) {
            debug_assert!(lane.in_flight.is_some(), "an item is settled twice");
            lane.in_flight = None;
            if lane.waiting.is_empty() {
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

    fn text(item: &Item) -> String {
        format!("{}={}", String::from_utf8_lossy(&item.key), item.to_json())
    }

    fn texts(items: &[Arc<Sent>]) -> Vec<String> {
        items.iter().map(|sent| text(&sent.item)).collect()
    }

    #[test]
    fn a_barrier_waits_for_what_came_before_it_and_for_what_takes_its_place() {
        let mut lanes = KeyLanes::new(WriteMode::InOrder);
        for key in ["b", "a"] {
            lanes.push(item(key, "1", None));
        }
        let first = lanes.next_request(1);
        lanes.push(item("b", "2", None));
        lanes.begin_barrier();
        assert_eq!(
            lanes.unsettled().map(text).collect::<Vec<_>>(),
            [r#"a={"v":"1"}"#, r#"b={"v":"1"}"#, r#"b={"v":"2"}"#]
        );
        lanes.push(item("b", "3", None));
        lanes.push(item("c", "1", None));
        lanes.settle(&first[0]);
        let rest = lanes.next_request(9);
        assert_eq!(texts(&rest), [r#"a={"v":"1"}"#, r#"c={"v":"1"}"#, r#"b={"v":"3"}"#]);
        lanes.settle(&rest[0]);
        assert_eq!(lanes.take_prepared(), None);
        let rejected = |reason: &str| Rejected { row: "{}".into(), reason: reason.into() };
        lanes.reject(&rest[1], rejected("after"));
        lanes.reject(&rest[2], rejected("before"));
        lanes.settle(&rest[2]);
        assert_eq!(
            lanes.take_prepared(),
            Some(vec![rejected("before")]),
            "what came after it may take its time"
        );
        assert_eq!(lanes.take_rejected(), [rejected("after")]);
    }

    #[test]
    fn what_is_staged_belongs_to_the_next_epoch() {
        let mut lanes = KeyLanes::new(WriteMode::Unique);
        lanes.push(item("a", "1", None));
        let sent = lanes.next_request(1);
        let rejected = |reason: &str| Rejected { row: "{}".into(), reason: reason.into() };
        lanes.reject_row(rejected("no key"));
        lanes.begin_barrier();
        assert_eq!(lanes.unsettled().count(), 1);
        assert_eq!(lanes.stage(), [rejected("no key")]);
        lanes.reject(&sent[0], rejected("too large"));
        lanes.settle(&sent[0]);
        assert_eq!(
            lanes.take_rejected(),
            [rejected("too large")],
            "it is rejected again if the checkpoint is gone back to"
        );
    }

    #[test]
    fn the_newest_of_a_key_waits_while_one_is_in_flight() {
        let mut lanes = KeyLanes::new(WriteMode::Versioned);
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
        let mut lanes = KeyLanes::new(WriteMode::InOrder);
        for value in ["2", "1", "3", "0"] {
            assert_eq!(lanes.push(item("a", value, None)), None);
        }
        assert_eq!(texts(&lanes.next_request(9)), [r#"a={"v":"0"}"#]);
    }

    #[test]
    fn a_request_never_holds_a_key_twice() {
        let mut lanes = KeyLanes::new(WriteMode::Unique);
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
