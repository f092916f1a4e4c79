//! Where are the groups? Those in use in memory, as columns of accumulators; all others in the
//! store.
//!
//! A write-back cache over keyed state, used by the operators of this folder and by
//! `over::unbounded`. What always holds: a group that is in memory is looked for there only; one
//! that is not is in the store as it was last written; memory is given back by writing what changed
//! and forgetting everything, never between a barrier and its checkpoint.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};

use super::GroupSpec;
use crate::ids::OperatorId;
use crate::operator::OperatorError;
use crate::operator::aggregate::retract::Accumulators;
use crate::operator::aggregate::retracting::{Retraction, accumulators};
use crate::operator::keyed::frozen::{Entry, Frozen, put_all};
use crate::operator::keyed::ttl::{Ttl, index_key};
use crate::operator::window::table::GroupIndex;
use crate::state::KeyGroup;
use crate::state::key::KeyBuf;
use crate::state::layout::{KeyedKind, keyed};
use crate::state::packed::{pack, unpack};
use crate::state::store::{Changes, StateDb};
use crate::time::EventTime;

/// The groups of one operator on one worker.
pub(crate) struct KeyedGroups<B: Beside> {
    spec: GroupSpec,
    index: GroupIndex,
    pub accumulators: Vec<Accumulators>,
    /// Per group in memory: rows added minus rows taken back. A group without state has None.
    rows: Vec<Option<i64>>,
    /// Processing time of the last change, ms; kept where groups are forgotten.
    changed_ms: Vec<i64>,
    dirty: Vec<bool>,
    dirty_groups: Vec<u32>,
    /// Scratch of a round: where a group is among those that change. None between rounds.
    places: Vec<Option<u32>>,
    frozen: Frozen,
    ttl: Ttl,
    beside: B,
}

/// What else is kept of each group: [`Nothing`], or what a window needs ([`super::of_windows`]).
pub(crate) trait Beside: Default {
    fn resize(&mut self, groups: usize);
    /// The types of its columns in a stored value.
    fn types() -> Vec<DataType>;
    /// Takes up these columns of a stored value.
    fn read(&mut self, group: usize, columns: &[ArrayRef]);
    /// The columns that a stored value has of a group.
    fn columns(&self, group: usize) -> Vec<ArrayRef>;
    /// The time at which the index of the store has a group, if it is not that of the group's last
    /// change.
    fn indexed_at(&self, group: usize) -> Option<EventTime>;
    fn memory_bytes(&self) -> usize;
}

/// Groups of a changelog: their rows and accumulators are all there is.
#[derive(Default)]
pub(crate) struct Nothing;

impl Beside for Nothing {
    fn resize(&mut self, _groups: usize) {}
    fn types() -> Vec<DataType> {
        vec![]
    }
    fn read(&mut self, _group: usize, _columns: &[ArrayRef]) {}
    fn columns(&self, _group: usize) -> Vec<ArrayRef> {
        vec![]
    }
    fn indexed_at(&self, _group: usize) -> Option<EventTime> {
        None
    }
    fn memory_bytes(&self) -> usize {
        0
    }
}

impl<B: Beside> KeyedGroups<B> {
    pub fn new(spec: GroupSpec) -> KeyedGroups<B> {
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
            beside: B::default(),
        };
        groups.accumulators = groups.empty_accumulators();
        groups
    }

    fn empty_accumulators(&self) -> Vec<Accumulators> {
        let retraction = if self.spec.retracts { Retraction::Possible } else { Retraction::Never };
        self.spec.aggregates.iter().map(|a| accumulators(a, retraction)).collect()
    }

    /// Groups of a batch's keys, in memory from here on.
    pub fn find(
        &mut self,
        keys: &KeyBuf,
        hashes: &[u64],
        now_ms: i64,
        db: &StateDb,
    ) -> Result<Vec<u32>, OperatorError> {
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
        self.places.resize(len, None);
        for accumulators in &mut self.accumulators {
            accumulators.kernel_mut().resize(len);
        }
        self.beside.resize(len);
    }

    pub(super) fn store_key(&self, group: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let key_group = KeyGroup::of_hash(self.index.hash(group));
        keyed(self.spec.operator, KeyedKind::Group, key_group, self.index.key(group), &mut out);
        out
    }

    /// `rows (BIGINT) | changed (BIGINT) | what is beside them | state of each aggregate`.
    fn stored_types(&self) -> Vec<DataType> {
        let states = self.accumulators.iter().flat_map(|a| a.kernel().state_types());
        [DataType::Int64, DataType::Int64].into_iter().chain(B::types()).chain(states).collect()
    }

    fn load(&mut self, groups: &[u32], now_ms: i64, db: &StateDb) -> Result<(), OperatorError> {
        let keys: Vec<Vec<u8>> = groups.iter().map(|&g| self.store_key(g)).collect();
        let (types, beside_columns) = (self.stored_types(), B::types().len());
        for (&group, value) in groups.iter().zip(db.multi_get(&keys)?) {
            let Some(value) = value else { continue };
            let columns = unpack(&value, &types)?;
            let number = |c: usize| columns[c].as_primitive::<Int64Type>().value(0);
            if self.ttl.is_old(number(1), now_ms) {
                continue;
            }
            self.rows[group as usize] = Some(number(0));
            self.changed_ms[group as usize] = number(1);
            let (beside, mut states) = columns[2..].split_at(beside_columns);
            self.beside.read(group as usize, beside);
            for accumulators in &mut self.accumulators {
                let kernel = accumulators.kernel_mut();
                let (own, rest) = states.split_at(kernel.state_types().len());
                kernel.merge(&[group], own);
                states = rest;
            }
            debug_assert!(
                states.is_empty(),
                "{} columns of aggregates are left over",
                states.len()
            );
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
    pub(crate) fn place_of(&mut self, group: u32, new: u32) -> u32 {
        *self.places[group as usize].get_or_insert(new)
    }

    pub(crate) fn forget_place(&mut self, group: u32) {
        self.places[group as usize] = None;
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

    pub(super) fn mark(&mut self, group: u32) {
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

    pub(crate) fn evaluate(&self, picks: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
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
                columns.extend(self.beside.columns(g));
                columns.extend(self.accumulators.iter().flat_map(|a| a.kernel().state(&[group])));
                let mut value = Vec::new();
                pack(&columns, 1, &mut value);
                value
            });
            entries.push((self.store_key(group), value));
            if self.rows[g].is_some() {
                entries.extend(self.index_key(group).map(|index| (index, Some(vec![]))));
            }
        }
        entries
    }

    pub(crate) fn freeze(&mut self) {
        debug_assert!(
            self.frozen.is_empty(),
            "a barrier came before the last one's groups were written"
        );
        let entries = self.take_dirty();
        self.frozen.extend(entries);
    }

    /// Adds frozen entries to `changes`; true when none is left.
    pub fn write_frozen(&mut self, changes: &mut Changes) -> bool {
        self.frozen.write(changes)
    }

    /// Writes what changed and forgets everything. False if there is nothing to forget.
    pub(crate) fn spill(&mut self, changes: &mut Changes) -> bool {
        debug_assert!(
            self.frozen.is_empty(),
            "groups are spilled between a barrier and its checkpoint"
        );
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
        self.beside = B::default();
        true
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let accumulators: usize = self.accumulators.iter().map(|a| a.kernel().memory_bytes()).sum();
        let by_group = accumulators
            + self.rows.capacity() * 16
            + self.changed_ms.capacity() * 8
            + self.beside.memory_bytes();
        self.index.memory_bytes(by_group) + self.frozen.memory_bytes()
    }

    /// The entry of the index under which a group is found when it is to be forgotten; None if it
    /// never is.
    pub(super) fn index_key(&self, group: u32) -> Option<Vec<u8>> {
        let (key, hash) = (self.index.key(group), self.index.hash(group));
        match self.beside.indexed_at(group as usize) {
            Some(end) => Some(index_key(self.spec.operator, end.ms(), key, hash)),
            None => self
                .ttl
                .is_on()
                .then(|| self.ttl.index_key(self.changed_ms[group as usize], key, hash)),
        }
    }

    /// Deletes stored groups that got no row for the TTL. Called at a barrier, before anything is
    /// frozen.
    pub(crate) fn sweep(&mut self, now_ms: i64, db: &StateDb) -> Result<(), OperatorError> {
        let types = self.stored_types();
        self.ttl.sweep(now_ms, db, |value| {
            Ok(unpack(value, &types)?[1].as_primitive::<Int64Type>().value(0))
        })
    }

    pub fn key(&self, group: u32) -> &[u8] {
        self.index.key(group)
    }

    pub fn hash(&self, group: u32) -> u64 {
        self.index.hash(group)
    }

    /// Groups in memory, also those without state.
    pub(crate) fn in_memory(&self) -> usize {
        self.index.len()
    }

    pub(super) fn operator(&self) -> OperatorId {
        self.spec.operator
    }

    pub(super) fn beside(&self) -> &B {
        &self.beside
    }

    pub(super) fn beside_mut(&mut self) -> &mut B {
        &mut self.beside
    }
}
