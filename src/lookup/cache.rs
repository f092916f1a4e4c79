//! Which answers are kept, and for how long?
//!
//! Used by `asker`, one for all workers. Keys and rows are in Arrow's row format: bytes, whose size
//! is known. What always holds: there are no more rows and bytes than the bounds allow; who was not
//! used for longest goes first; what has expired is not given out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::options::CacheOptions;

/// What one cache may hold, bytes: a small part of a machine's memory, and several hundred thousand
/// usual rows.
const BYTES_MAX: usize = 64 << 20;
/// What an entry costs besides its key and rows: its places in the two maps.
const ENTRY_BYTES: usize = 160;
const ROW_BYTES: usize = 16;

/// A row in Arrow's row format.
pub(crate) type RowBytes = Box<[u8]>;

/// The rows of a key.
pub(crate) type KeyRows = Arc<[RowBytes]>;

struct Entry {
    rows: KeyRows,
    written: Duration,
    used: Duration,
    /// Its place in `by_use`.
    turn: u64,
    bytes: usize,
}

pub(crate) struct Cache {
    options: CacheOptions,
    bytes_max: usize,
    entries: HashMap<Key, Entry>,
    /// Keys by when they were last used, the longest ago first.
    by_use: BTreeMap<u64, Key>,
    turn: u64,
    rows: usize,
    bytes: usize,
}

/// What an answer counts: that there is none is kept as a row.
fn weight(rows: &KeyRows) -> usize {
    rows.len().max(1)
}

impl Cache {
    pub fn new(options: CacheOptions) -> Cache {
        Cache {
            options,
            bytes_max: BYTES_MAX,
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            turn: 0,
            rows: 0,
            bytes: 0,
        }
    }

    /// The rows of a key, if they are known at `now` (a monotonic time).
    pub fn get(&mut self, key: &Key, now: Duration) -> Option<KeyRows> {
        let entry = self.entries.get_mut(key)?;
        let is_older = |since: Duration, most: Option<Duration>| {
            most.is_some_and(|most| now.saturating_sub(since) >= most)
        };
        if is_older(entry.written, self.options.expire_after_write)
            || is_older(entry.used, self.options.expire_after_access)
        {
            self.remove(&key.clone());
            return None;
        }
        self.turn += 1;
        self.by_use.remove(&entry.turn);
        self.by_use.insert(self.turn, key.clone());
        entry.turn = self.turn;
        entry.used = now;
        Some(entry.rows.clone())
    }

    /// Keeps the rows of a key, fetched at `now`, if there is room for them at all.
    pub fn put(&mut self, key: Key, rows: KeyRows, now: Duration) {
        self.remove(&key);
        let rows_max = self.options.rows_max.unwrap_or(usize::MAX);
        let bytes =
            ENTRY_BYTES + 2 * key.len() + rows.iter().map(|r| ROW_BYTES + r.len()).sum::<usize>();
        if (rows.is_empty() && !self.options.keeps_missing)
            || weight(&rows) > rows_max
            || bytes > self.bytes_max
        {
            return;
        }
        self.rows += weight(&rows);
        self.bytes += bytes;
        self.turn += 1;
        self.by_use.insert(self.turn, key.clone());
        self.entries.insert(key, Entry { rows, written: now, used: now, turn: self.turn, bytes });
        while (self.rows > rows_max || self.bytes > self.bytes_max)
            && let Some(oldest) = self.by_use.values().next().cloned()
        {
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.turn);
            self.rows -= weight(&entry.rows);
            self.bytes -= entry.bytes;
        }
    }
}

/// A key in Arrow's row format: equal bytes for equal keys.
pub type Key = Arc<[u8]>;

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> CacheOptions {
        CacheOptions {
            rows_max: None,
            expire_after_write: None,
            expire_after_access: None,
            keeps_missing: true,
        }
    }

    fn key(text: &str) -> Key {
        text.as_bytes().into()
    }

    fn rows(texts: &[&str]) -> KeyRows {
        texts.iter().map(|t| t.as_bytes().into()).collect()
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn rows_expire_after_they_were_fetched() {
        let mut cache = Cache::new(CacheOptions { expire_after_write: Some(at(10)), ..options() });
        cache.put(key("a"), rows(&["1"]), at(100));
        // Using them does not help.
        assert!(cache.get(&key("a"), at(105)).is_some());
        assert_eq!(cache.get(&key("a"), at(109)), Some(rows(&["1"])));
        assert_eq!(cache.get(&key("a"), at(110)), None);
        assert_eq!((cache.rows, cache.bytes, cache.by_use.len()), (0, 0, 0));
    }

    #[test]
    fn rows_expire_after_they_were_used() {
        let mut cache = Cache::new(CacheOptions { expire_after_access: Some(at(10)), ..options() });
        cache.put(key("a"), rows(&["1"]), at(0));
        for time in [9, 18, 27] {
            assert!(cache.get(&key("a"), at(time)).is_some(), "{time}");
        }
        assert_eq!(cache.get(&key("a"), at(37)), None);
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let mut cache = Cache::new(CacheOptions { rows_max: Some(4), ..options() });
        cache.put(key("a"), rows(&["1", "2"]), at(0));
        cache.put(key("b"), rows(&[]), at(0));
        cache.put(key("c"), rows(&["3"]), at(0));
        assert!(cache.get(&key("a"), at(0)).is_some());
        cache.put(key("d"), rows(&["4"]), at(0));
        assert_eq!(cache.get(&key("b"), at(0)), None);
        assert_eq!(cache.rows, 4);
        // Replaced, not added.
        cache.put(key("d"), rows(&["5"]), at(0));
        assert_eq!(cache.get(&key("d"), at(0)), Some(rows(&["5"])));
        assert_eq!(cache.rows, 4);
        // More than there is room for is not kept, and drives nothing out.
        cache.put(key("e"), rows(&["1", "2", "3", "4", "5"]), at(0));
        assert_eq!((cache.get(&key("e"), at(0)), cache.rows), (None, 4));
        cache.put(key("f"), rows(&["1", "2", "3", "4"]), at(0));
        assert_eq!((cache.entries.len(), cache.rows), (1, 4));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut cache = Cache::new(options());
        cache.bytes_max = 3 * (ENTRY_BYTES + 2 + ROW_BYTES + 10);
        for name in ["a", "b", "c", "d", "e"] {
            cache.put(key(name), rows(&["0123456789"]), at(0));
            assert!(cache.bytes <= cache.bytes_max);
        }
        let known: Vec<&str> = ["a", "b", "c", "d", "e"]
            .into_iter()
            .filter(|n| cache.get(&key(n), at(0)).is_some())
            .collect();
        assert_eq!(known, ["c", "d", "e"]);
    }

    #[test]
    fn that_there_are_no_rows_is_kept_if_asked_for() {
        for (keeps_missing, known) in [(true, Some(rows(&[]))), (false, None)] {
            let mut cache = Cache::new(CacheOptions { keeps_missing, ..options() });
            // What is missing now was there before.
            cache.put(key("a"), rows(&["1"]), at(0));
            cache.put(key("a"), rows(&[]), at(1));
            assert_eq!(cache.get(&key("a"), at(1)), known);
        }
    }
}
