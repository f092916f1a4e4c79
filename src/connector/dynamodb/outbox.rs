//! What waits for its checkpoint? Results without a window, of each key the newest.
//!
//! A result without a window can be un-happened by a crash: what follows from the records behind
//! the last checkpoint is computed again, and need not pass through the same states. So such a
//! result, or the deletion of one, is not sent before the checkpoint that it belongs to is durable:
//! a writer keeps it here, stages it at the barrier, and `commit` sends what was staged. What always
//! holds: a key is here once, as a row or as a deletion; what is staged has the version of its
//! epoch, however often it is sent.

use std::collections::HashMap;
use std::sync::Arc;

use super::item::{Item, Put};
use super::staged::{self, SentBy};
use crate::sink::Staged;

/// The newest change of each key since the last barrier.
pub(crate) struct Outbox {
    by_key: HashMap<Arc<[u8]>, Item>,
    bytes: usize,
    bytes_max: usize,
}

impl Outbox {
    /// `bytes_max`: it takes another change while it holds less than this.
    pub fn new(bytes_max: usize) -> Outbox {
        Outbox { by_key: HashMap::new(), bytes: 0, bytes_max }
    }

    /// Takes a row or a deletion, in the place of what was to become of its key.
    pub fn push(&mut self, item: Item) {
        self.bytes += item.memory_bytes;
        if let Some(older) = self.by_key.insert(item.key.clone(), item) {
            self.bytes -= older.memory_bytes;
        }
    }

    /// What it occupies.
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// False while it is full, until a barrier comes.
    pub fn has_room(&self) -> bool {
        self.bytes < self.bytes_max
    }

    /// True when a barrier should come soon: well before it is full, so that nobody has to wait.
    pub fn wants_epoch(&self) -> bool {
        self.bytes >= self.bytes_max.div_ceil(2)
    }

    /// Empties it into the form of a checkpoint. `version`: that of the epoch.
    pub fn stage(&mut self, version: &Arc<str>) -> Staged {
        self.bytes = 0;
        let mut items: Vec<Item> = self.by_key.drain().map(|(_, item)| item).collect();
        items.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let puts: Vec<Put> =
            items.into_iter().map(|item| Put { item, version: version.clone() }).collect();
        staged::encode(puts.iter(), SentBy::Commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::dynamodb::value::Value;

    fn item(key: &str, value: &str) -> Item {
        Item {
            key: key.as_bytes().into(),
            attributes: vec![("v".into(), Value::Text(value.into()))],
            deletes: false,
            memory_bytes: value.len(),
        }
    }

    #[test]
    fn the_newest_of_a_key_is_staged_with_the_version_of_the_epoch() {
        let mut outbox = Outbox::new(8 << 20);
        let deletion = Item { deletes: true, ..item("a", "") };
        for item in [item("b", "1"), item("a", "1"), deletion.clone(), item("b", "22")] {
            outbox.push(item);
        }
        assert_eq!(outbox.memory_bytes(), 2);
        let version: Arc<str> = "7".into();
        let staged = staged::decode(&outbox.stage(&version), &"0".into());
        let put = |item| Put { item, version: version.clone() };
        assert_eq!(staged, Ok((SentBy::Commit, vec![put(deletion), put(item("b", "22"))])));
        assert!(outbox.stage(&version).is_empty());
    }

    #[test]
    fn a_barrier_is_wanted_before_it_is_full() {
        let mut outbox = Outbox::new(8 << 20);
        let mut wanted_bytes = None;
        for key in 0.. {
            if outbox.wants_epoch() {
                wanted_bytes.get_or_insert(outbox.memory_bytes());
            }
            if !outbox.has_room() {
                break;
            }
            outbox.push(Item { memory_bytes: 1 << 20, ..item(&key.to_string(), "") });
        }
        assert_eq!((wanted_bytes, outbox.memory_bytes()), (Some(4 << 20), 8 << 20));
        outbox.stage(&"7".into());
        assert!(outbox.has_room() && !outbox.wants_epoch());
    }
}
