//! How often is each row there?
//!
//! Changes add to counts, in memory and in the store; nothing is read until all of them are known.
//! In the store a row may have several entries, which add up:
//!
//! ```text
//! key   = sort key | the row, as `state::key` encodes it | generation (4)
//! value = count, signed (8) | bytes of the sort key (4), little-endian
//! ```
//!
//! What always holds: no encoded row is the beginning of another, so the entries of one row lie side
//! by side; two writes never have the same generation; a change is in exactly one place: in memory,
//! frozen for a checkpoint, or in the store.

use std::collections::BTreeMap;

use crate::ids::OperatorId;
use crate::operator::OperatorError;
use crate::operator::keyed::frozen::{Entry, Frozen, put_all};
use crate::state::layout::{KeyedKind, keyed, keyed_range, keyed_rest};
use crate::state::store::{Changes, StateDb};
use crate::state::{KeyGroup, StateError};

const GENERATION_BYTES: usize = 4;

/// What a row costs in memory besides its bytes.
const ROW_BYTES: usize = 56;

/// A change of a row's count, and how many bytes of its key are what it is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    count: i64,
    sort_bytes: u32,
}

impl Count {
    fn encode(self) -> Vec<u8> {
        let mut out = self.count.to_le_bytes().to_vec();
        out.extend_from_slice(&self.sort_bytes.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<Count, OperatorError> {
        let damaged = || OperatorError::damaged("a count of a row that is too short");
        let (count, rest) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
        let sort_bytes: [u8; 4] = rest.try_into().map_err(|_| damaged())?;
        let (count, sort_bytes) = (i64::from_le_bytes(*count), u32::from_le_bytes(sort_bytes));
        Ok(Count { count, sort_bytes })
    }
}

/// Some rows in their order, with how often each is there.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub rows: Vec<(Box<[u8]>, u64)>,
    /// None are left.
    pub is_last: bool,
}

pub(super) struct Counts {
    operator: OperatorId,
    /// By key in the store, without the generation.
    hot: BTreeMap<Box<[u8]>, Count>,
    hot_bytes: usize,
    frozen: Frozen,
    /// Something has been written to the store.
    is_stored: bool,
    /// Where the next page begins in the store; None before the first.
    next: Option<Vec<u8>>,
}

/// Why a look at the store ends.
enum Ended {
    Enough,
    Failed(OperatorError),
}

impl From<StateError> for Ended {
    fn from(e: StateError) -> Ended {
        Ended::Failed(e.into())
    }
}

impl From<OperatorError> for Ended {
    fn from(e: OperatorError) -> Ended {
        Ended::Failed(e)
    }
}

impl Counts {
    pub fn new(operator: OperatorId) -> Counts {
        Counts {
            operator,
            hot: BTreeMap::new(),
            hot_bytes: 0,
            frozen: Frozen::default(),
            is_stored: false,
            next: None,
        }
    }

    /// Adds to the count of a row.
    pub fn add(&mut self, group: KeyGroup, sort: &[u8], row: &[u8], by: i64) {
        let mut key = Vec::with_capacity(8 + sort.len() + row.len());
        keyed(self.operator, KeyedKind::Sorted, group, sort, &mut key);
        key.extend_from_slice(row);
        match self.hot.get_mut(&key[..]) {
            Some(known) => known.count += by,
            None => {
                self.hot_bytes += key.len() + ROW_BYTES;
                let count = Count { count: by, sort_bytes: sort.len() as u32 };
                self.hot.insert(key.into(), count);
            }
        }
    }

    /// What is in memory, as entries of the store.
    fn take_hot(&mut self, generation: &mut u32) -> Vec<Entry> {
        let hot = std::mem::take(&mut self.hot);
        self.hot_bytes = 0;
        // What came and went has left nothing to write.
        let entries = hot.into_iter().filter(|(_, count)| count.count != 0).map(|(key, count)| {
            let mut key = key.into_vec();
            key.extend_from_slice(&generation.to_be_bytes());
            (key, Some(count.encode()))
        });
        let entries: Vec<Entry> = entries.collect();
        if !entries.is_empty() {
            *generation += 1;
            self.is_stored = true;
        }
        entries
    }

    pub fn freeze(&mut self, generation: &mut u32) {
        debug_assert!(
            self.frozen.is_empty(),
            "a barrier came before the last one's counts were written"
        );
        let entries = self.take_hot(generation);
        self.frozen.extend(entries);
    }

    /// Adds frozen entries to `changes`; true when none is left.
    pub fn write_frozen(&mut self, changes: &mut Changes) -> bool {
        self.frozen.write(changes)
    }

    /// Moves what is in memory to the store. False if there is nothing.
    pub fn spill(&mut self, generation: &mut u32, changes: &mut Changes) -> bool {
        debug_assert!(
            self.frozen.is_empty(),
            "counts are spilled between a barrier and its checkpoint"
        );
        let has_some = !self.hot.is_empty();
        put_all(self.take_hot(generation), changes);
        has_some
    }

    pub fn restore(&mut self, is_stored: bool) {
        self.is_stored = is_stored;
    }

    pub fn memory_bytes(&self) -> usize {
        self.hot_bytes + self.frozen.memory_bytes()
    }

    /// The next rows that are there, at most so many, in the order of their keys. No row may be added
    /// any more.
    pub fn next_page(
        &mut self,
        rows_max: usize,
        generation: &mut u32,
        db: &StateDb,
    ) -> Result<Page, OperatorError> {
        let mut page = Page::default();
        if !self.is_stored {
            while page.rows.len() < rows_max {
                let Some((key, count)) = self.hot.pop_first() else { break };
                push(&mut page, &key, count)?;
            }
            page.is_last = self.hot.is_empty();
            if page.is_last {
                self.hot_bytes = 0;
            }
            return Ok(page);
        }
        if !self.hot.is_empty() {
            let mut changes = db.changes();
            put_all(self.take_hot(generation), &mut changes);
            db.write(changes)?;
        }
        let (start, end) = keyed_range(self.operator, KeyedKind::Sorted);
        let from = self.next.take().unwrap_or(start);
        let mut open: Option<(Box<[u8]>, Count)> = None;
        let mut next = None;
        let ended = db.scan(&from, &end, |stored, value| {
            let length = stored.len().checked_sub(GENERATION_BYTES);
            let Some((key, _)) = length.and_then(|length| stored.split_at_checked(length)) else {
                return Err(Ended::Failed(OperatorError::damaged("a row without a generation")));
            };
            let value = Count::decode(value)?;
            match &mut open {
                Some((row, count)) if **row == *key => count.count += value.count,
                _ => {
                    if let Some((row, count)) = open.take() {
                        push(&mut page, &row, count)?;
                    }
                    if page.rows.len() >= rows_max {
                        next = Some(stored.to_vec());
                        return Err(Ended::Enough);
                    }
                    open = Some((key.into(), value));
                }
            }
            Ok(())
        });
        match ended {
            Ok(()) => page.is_last = true,
            Err(Ended::Enough) => self.next = next,
            Err(Ended::Failed(e)) => return Err(e),
        }
        if let Some((row, count)) = open {
            push(&mut page, &row, count)?;
        }
        Ok(page)
    }
}

/// Adds a row to a page if it is there.
fn push(page: &mut Page, key: &[u8], count: Count) -> Result<(), OperatorError> {
    let row = keyed_rest(key).and_then(|rest| rest.get(count.sort_bytes as usize..));
    let row = row.ok_or_else(|| OperatorError::damaged("a row that is shorter than its order"))?;
    if let Ok(times) = u64::try_from(count.count)
        && times > 0
    {
        page.rows.push((row.into(), times));
    }
    Ok(())
}
