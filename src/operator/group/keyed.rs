//! Where are the groups? Those in use in memory, as columns of accumulators; all others in the store.
//!
//! A write-back cache over keyed state, used by `aggregate` alone. What always holds: a group that is in memory is looked for
//! there only; one that is not is in the store as it was last written; memory is given back by writing what changed and
//! forgetting everything, never between a barrier and its checkpoint.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};

use super::GroupSpec;
use crate::operator::OperatorError;
use crate::operator::aggregate::retract::Accumulators;
use crate::operator::aggregate::retracting::accumulators;
use crate::operator::keyed::frozen::{Entry, Frozen, put_all};
use crate::operator::keyed::ttl::{Ttl, index_key};
use crate::operator::window::table::GroupIndex;
use crate::state::KeyGroup;
use crate::state::key::KeyBuf;
use crate::state::layout::{KeyedKind, keyed, keyed_rest};
use crate::state::packed::{pack, unpack};
use crate::state::rocks::{Changes, StateDb};

/// The groups of one operator on one worker.
pub struct KeyedGroups {
    spec: GroupSpec,
    index: GroupIndex,
    pub accumulators: Vec<Accumulators>,
    /// Per group in memory: rows added minus rows taken back. A group without state has None.
    rows: Vec<Option<i64>>,
    /// Processing time of the last change, ms; kept where groups are forgotten.
    changed_ms: Vec<i64>,
    dirty: Vec<bool>,
    dirty_groups: Vec<u32>,
    /// Scratch of a round: where a group is among those that change. [`NOWHERE`] between rounds.
    places: Vec<u32>,
    frozen: Frozen,
    ttl: Ttl,
    /// Where groups belong to windows.
    windows: Option<WindowColumns>,
}

/// The end of a group that was asked for by its key and is not there.
const UNKNOWN_END: i64 = i64::MIN;

/// What is kept of groups of windows, per group in memory.
#[derive(Default)]
struct WindowColumns {
    /// The end of the group's window, ms.
    ends: Vec<i64>,
    sent: Vec<Sent>,
}

/// What was sent of a group's result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Sent {
    #[default]
    Nothing,
    /// The result as it is now.
    Current,
    /// An older one, packed.
    Older(Vec<u8>),
}

impl Sent {
    fn code(&self) -> i64 {
        match self {
            Sent::Nothing => 0,
            Sent::Current => 1,
            Sent::Older(_) => 2,
        }
    }
}

const NOWHERE: u32 = u32::MAX;

impl KeyedGroups {
    pub fn new(spec: GroupSpec) -> KeyedGroups {
        let ttl = Ttl::new(spec.operator, KeyedKind::Group, spec.ttl);
        let mut groups = KeyedGroups {
            spec,
            index: GroupIndex::default(),
            accumulators: vec![],
            rows: vec![],
            changed_ms: vec![],
            dirty: vec![],
            dirty_groups: vec![],
            places: vec![],
            frozen: Frozen::default(),
            ttl,
            windows: None,
        };
        groups.windows = groups.spec.windows.as_ref().map(|_| WindowColumns::default());
        groups.accumulators = groups.empty_accumulators();
        groups
    }

    fn empty_accumulators(&self) -> Vec<Accumulators> {
        self.spec.aggregates.iter().map(|a| accumulators(a, self.spec.retracts)).collect()
    }

    /// Groups of a batch's keys, in memory from here on.
    pub fn find(&mut self, keys: &KeyBuf, hashes: &[u64], now_ms: i64, db: &StateDb) -> Result<Vec<u32>, OperatorError> {
        let mut new = Vec::new();
        let groups: Vec<u32> = (0..keys.len())
            .map(|i| {
                let (group, is_new) = self.index.intern(keys.get(i), hashes[i]);
                if is_new {
                    new.push(group);
                }
                group
            })
            .collect();
        if !new.is_empty() {
            self.resize();
            self.load(&new, now_ms, db)?;
        }
        if self.ttl.is_on() {
            self.forget_old(&groups, now_ms);
        }
        Ok(groups)
    }

    fn resize(&mut self) {
        let len = self.index.len();
        self.rows.resize(len, None);
        self.changed_ms.resize(len, 0);
        self.dirty.resize(len, false);
        self.places.resize(len, NOWHERE);
        for accumulators in &mut self.accumulators {
            accumulators.kernel_mut().resize(len);
        }
        if let Some(windows) = &mut self.windows {
            windows.ends.resize(len, UNKNOWN_END);
            windows.sent.resize(len, Sent::Nothing);
        }
    }

    fn store_key(&self, group: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let key_group = KeyGroup::of_hash(self.index.hash(group));
        keyed(self.spec.operator, KeyedKind::Group, key_group, self.index.key(group), &mut out);
        out
    }

    /// `rows (BIGINT) | changed (BIGINT) | of windows: end (BIGINT), sent (BIGINT, BYTES) | state of each aggregate`.
    fn stored_types(&self) -> Vec<DataType> {
        let states = self.accumulators.iter().flat_map(|a| a.kernel().state_types());
        let of_windows = self.windows.iter().flat_map(|_| [DataType::Int64, DataType::Int64, DataType::Binary]);
        [DataType::Int64, DataType::Int64].into_iter().chain(of_windows).chain(states).collect()
    }

    fn load(&mut self, groups: &[u32], now_ms: i64, db: &StateDb) -> Result<(), OperatorError> {
        let keys: Vec<Vec<u8>> = groups.iter().map(|&g| self.store_key(g)).collect();
        let types = self.stored_types();
        for (&group, value) in groups.iter().zip(db.multi_get(&keys)?) {
            let Some(value) = value else { continue };
            let columns = unpack(&value, &types)?;
            let number = |c: usize| columns[c].as_primitive::<Int64Type>().value(0);
            if self.ttl.is_old(number(1), now_ms) {
                continue;
            }
            self.rows[group as usize] = Some(number(0));
            self.changed_ms[group as usize] = number(1);
            let mut states = &columns[2..];
            if let Some(windows) = &mut self.windows {
                windows.ends[group as usize] = number(2);
                windows.sent[group as usize] = match number(3) {
                    0 => Sent::Nothing,
                    1 => Sent::Current,
                    _ => Sent::Older(columns[4].as_binary::<i32>().value(0).to_vec()),
                };
                states = &columns[5..];
            }
            for accumulators in &mut self.accumulators {
                let kernel = accumulators.kernel_mut();
                let (own, rest) = states.split_at(kernel.state_types().len());
                kernel.merge(&[group], own);
                states = rest;
            }
        }
        Ok(())
    }

    /// Groups in memory that are too old start anew.
    fn forget_old(&mut self, groups: &[u32], now_ms: i64) {
        for &group in groups {
            let g = group as usize;
            if self.rows[g].is_some() && self.ttl.is_old(self.changed_ms[g], now_ms) {
                self.remove(group);
            }
        }
    }

    /// The place of a group among those that a round changes: `new` if it has none yet.
    pub fn place_of(&mut self, group: u32, new: u32) -> u32 {
        let place = &mut self.places[group as usize];
        if *place == NOWHERE {
            *place = new;
        }
        *place
    }

    pub fn forget_place(&mut self, group: u32) {
        self.places[group as usize] = NOWHERE;
    }

    pub fn rows(&self, group: u32) -> Option<i64> {
        self.rows[group as usize]
    }

    /// Notes that a group's accumulators changed.
    pub fn changed(&mut self, group: u32, rows: i64, now_ms: i64) {
        let g = group as usize;
        self.rows[g] = Some(rows);
        self.changed_ms[g] = now_ms;
        self.mark(group);
    }

    fn mark(&mut self, group: u32) {
        if !std::mem::replace(&mut self.dirty[group as usize], true) {
            self.dirty_groups.push(group);
        }
    }

    /// Forgets a group: its accumulators are empty again.
    pub fn remove(&mut self, group: u32) {
        self.rows[group as usize] = None;
        for accumulators in &mut self.accumulators {
            accumulators.kernel_mut().clear(group);
        }
        self.mark(group);
    }

    pub fn evaluate(&self, picks: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        self.accumulators.iter().map(|a| a.kernel().evaluate(picks)).collect()
    }

    /// The same, and behind it what else makes an update where it changes.
    pub fn compared(&self, picks: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let mut columns = self.evaluate(picks)?;
        columns.extend(self.accumulators.iter().filter_map(|a| a.kernel().beside(picks)));
        Ok(columns)
    }

    /// What the store must hold for the groups that changed since the last time. Clears the marks.
    fn take_dirty(&mut self) -> Vec<Entry> {
        let mut groups = std::mem::take(&mut self.dirty_groups);
        groups.sort_unstable();
        let mut entries = Vec::with_capacity(groups.len());
        for &group in &groups {
            let g = group as usize;
            self.dirty[g] = false;
            let value = self.rows[g].map(|rows| {
                let number = |n: i64| Arc::new(Int64Array::from(vec![n])) as ArrayRef;
                let mut columns = vec![number(rows), number(self.changed_ms[g])];
                if let Some(windows) = &self.windows {
                    let older = if let Sent::Older(row) = &windows.sent[g] { row.as_slice() } else { &[] };
                    columns.extend([number(windows.ends[g]), number(windows.sent[g].code())]);
                    columns.push(Arc::new(BinaryArray::from_vec(vec![older])));
                }
                columns.extend(self.accumulators.iter().flat_map(|a| a.kernel().state(&[group])));
                let mut value = Vec::new();
                pack(&columns, 1, &mut value);
                value
            });
            entries.push((self.store_key(group), value));
            if (self.ttl.is_on() || self.windows.is_some()) && self.rows[g].is_some() {
                entries.push((self.expiry_key(group), Some(vec![])));
            }
        }
        entries
    }

    pub fn freeze(&mut self) {
        let entries = self.take_dirty();
        self.frozen.extend(entries);
    }

    /// Adds frozen entries to `changes`; true when none is left.
    pub fn write_frozen(&mut self, changes: &mut Changes) -> bool {
        self.frozen.write(changes)
    }

    /// Writes what changed and forgets everything. False if there is nothing to forget.
    pub fn spill(&mut self, changes: &mut Changes) -> bool {
        if self.index.is_empty() {
            return false;
        }
        let entries = self.take_dirty();
        put_all(entries, changes);
        self.index = GroupIndex::default();
        self.accumulators = self.empty_accumulators();
        self.rows = vec![];
        self.changed_ms = vec![];
        self.dirty = vec![];
        self.places = vec![];
        self.windows = self.windows.take().map(|_| WindowColumns::default());
        true
    }

    pub fn memory_bytes(&self) -> usize {
        let accumulators: usize = self.accumulators.iter().map(|a| a.kernel().memory_bytes()).sum();
        let of_windows = self.windows.as_ref().map_or(0, |w| w.ends.capacity() * 8 + w.sent.capacity() * size_of::<Sent>());
        let by_group = accumulators + self.rows.capacity() * 16 + self.changed_ms.capacity() * 8 + of_windows;
        self.index.memory_bytes(by_group) + self.frozen.memory_bytes()
    }

    /// The entry under which a group is found to be forgotten.
    fn expiry_key(&self, group: u32) -> Vec<u8> {
        let (key, hash) = (self.index.key(group), self.index.hash(group));
        match &self.windows {
            Some(windows) => index_key(self.spec.operator, windows.ends[group as usize], key, hash),
            None => self.ttl.index_key(self.changed_ms[group as usize], key, hash),
        }
    }

    /// Deletes stored groups that got no row for the TTL. Called at a barrier, before anything is frozen.
    pub fn sweep(&mut self, now_ms: i64, db: &StateDb) -> Result<(), OperatorError> {
        let types = self.stored_types();
        self.ttl.sweep(now_ms, db, |value| Ok(unpack(value, &types)?[1].as_primitive::<Int64Type>().value(0)))
    }
}

/// Groups of windows.
impl KeyedGroups {
    pub fn key(&self, group: u32) -> &[u8] {
        self.index.key(group)
    }

    pub fn hash(&self, group: u32) -> u64 {
        self.index.hash(group)
    }

    /// Groups in memory, also those without state.
    pub fn in_memory(&self) -> usize {
        self.index.len()
    }

    /// The end of a group's window, ms; None if it is not known.
    pub fn end(&self, group: u32) -> Option<i64> {
        self.windows.as_ref().map(|w| w.ends[group as usize]).filter(|&end| end != UNKNOWN_END)
    }

    pub fn set_end(&mut self, group: u32, end_ms: i64) {
        if let Some(windows) = &mut self.windows {
            windows.ends[group as usize] = end_ms;
        }
    }

    pub fn sent(&self, group: u32) -> &Sent {
        self.windows.as_ref().map_or(&Sent::Nothing, |w| &w.sent[group as usize])
    }

    pub fn set_sent(&mut self, group: u32, sent: Sent) {
        if let Some(windows) = &mut self.windows
            && windows.sent[group as usize] != sent
        {
            windows.sent[group as usize] = sent;
            self.mark(group);
        }
    }

    /// Calls `f` with the window's end and the key of each stored group of a key group, for windows from `from` to `to`, ms.
    pub fn scan_windows(
        &self,
        key_group: KeyGroup,
        (from_ms, to_ms): (i64, i64),
        db: &StateDb,
        mut f: impl FnMut(i64, &[u8]),
    ) -> Result<(), OperatorError> {
        let place = |ms: i64| {
            let mut out = Vec::new();
            keyed(self.spec.operator, KeyedKind::Expiry, key_group, &(ms ^ i64::MIN).to_be_bytes(), &mut out);
            out
        };
        let (from, to) = (place(from_ms), place(to_ms.saturating_add(1)));
        db.scan(&from, &to, |key, _| {
            let rest = keyed_rest(key).and_then(|rest| rest.split_first_chunk::<8>());
            let (end, key) = rest.ok_or_else(|| OperatorError::damaged("a window's index entry"))?;
            f(i64::from_be_bytes(*end) ^ i64::MIN, key);
            Ok::<_, OperatorError>(())
        })
    }

    /// Forgets groups whose window is over; with `stored` also in the store. Only while nothing is frozen.
    pub fn remove_over(&mut self, groups: &[u32], stored: bool, changes: &mut Changes) {
        for &group in groups {
            if stored {
                changes.delete(&self.store_key(group));
                changes.delete(&self.expiry_key(group));
            }
            self.remove(group);
        }
    }
}
