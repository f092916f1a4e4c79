//! Groups and their accumulators: from a batch of keys to the group of each row, and from there
//! into the kernels.
//!
//! A [`WindowTables`] is what is kept for one window (or one slice, or one running window): the
//! groups with their accumulators, and for each DISTINCT aggregate the set of (key, value) pairs
//! seen. Used by the operators of this folder. What always holds: group numbers are dense and never
//! change; every key of a value set is a group of the window, in this table or in another one that
//! is merged with it before the window is shown.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use hashbrown::HashTable;

use super::slice::WindowSpan;
use super::{WindowAggregateSpec, local_times};
use crate::operator::aggregate::arrival::{ArrivalPlaces, WindowPart};
use crate::operator::aggregate::{Kernel, Selected, kernel};
use crate::operator::window::event_times_ms;
use crate::operator::{Entries, OperatorError, Rows};
use crate::state::key::{KeyBuf, decode_keys, encode_keys, hash_key};
use crate::state::layout::StateTable;
use crate::state::{KEY_GROUPS, KeyGroup};

/// Keys that were seen, numbered in the order they came.
#[derive(Default)]
pub(crate) struct GroupIndex {
    table: HashTable<u32>,
    hashes: Vec<u64>,
    keys: KeyBuf,
}

impl GroupIndex {
    pub fn len(&self) -> usize {
        self.hashes.len()
    }
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
    pub fn key(&self, group: u32) -> &[u8] {
        self.keys.get(group as usize)
    }

    /// The group of one key, made if it is new. The flag says whether it was.
    #[inline]
    pub(crate) fn intern(&mut self, key: &[u8], hash: u64) -> (u32, bool) {
        let GroupIndex { table, hashes, keys } = self;
        let found = table
            .find(hash, |&g| hashes[g as usize] == hash && same_bytes(keys.get(g as usize), key));
        if let Some(&group) = found {
            return (group, false);
        }
        debug_assert_eq!(hashes.len(), keys.len(), "group numbers are not dense");
        let group = hashes.len() as u32;
        table.insert_unique(hash, group, |&g| hashes[g as usize]);
        hashes.push(hash);
        keys.push(key);
        (group, true)
    }

    /// The group of a key, if it has one.
    pub fn find(&self, key: &[u8], hash: u64) -> Option<u32> {
        self.table
            .find(hash, |&g| {
                self.hashes[g as usize] == hash && same_bytes(self.keys.get(g as usize), key)
            })
            .copied()
    }

    pub fn hash(&self, group: u32) -> u64 {
        self.hashes[group as usize]
    }

    /// What the groups take, with `others` bytes that grow with them. Everything in a table doubles
    /// at the same count of groups, inside of one batch; so a table that is nearly full counts as
    /// doubled already, and is spilled before it takes twice its share rather than after.
    pub(crate) fn memory_bytes(&self, others: usize) -> usize {
        let taken = self.table.capacity() * 5
            + self.hashes.capacity() * 8
            + self.keys.memory_bytes()
            + others;
        let full = self.table.capacity().min(self.hashes.capacity());
        if full >= LARGE_TABLE && self.len() >= full / 16 * 15 { taken * 2 } else { taken }
    }
}

/// Groups from which on a table's next doubling is looked ahead to: a batch of rows, some 8192, is
/// less than the sixteenth of them that is looked at.
const LARGE_TABLE: usize = 1 << 18;

/// Compares keys, which are short: without a call for each row.
#[inline]
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (a_words, a_rest) = a.as_chunks::<8>();
    let (b_words, b_rest) = b.as_chunks::<8>();
    let words =
        a_words.iter().zip(b_words).all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b));
    words && a_rest.iter().zip(b_rest).all(|(a, b)| a == b)
}

/// An entry of a value set: the group key, the value in key encoding, then the length of the group
/// key (4 bytes, big-endian).
fn split_entry(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, length) = entry.split_last_chunk::<4>()?;
    body.split_at_checked(u32::from_be_bytes(*length) as usize)
}

/// Keys and arguments of a batch, prepared once and shared by all windows it touches.
pub(crate) struct KeyedRows {
    pub keys: KeyBuf,
    pub hashes: Vec<u64>,
    /// What is known of the rows besides.
    pub rows: Rows,
}

impl KeyedRows {
    /// Rows of which `key_count` columns behind the rowtime are the keys.
    pub fn new(key_count: usize, rows: &Rows) -> KeyedRows {
        let batch = &rows.batch;
        let mut keys = KeyBuf::default();
        let first = WindowAggregateSpec::FIRST_KEY;
        encode_keys(&batch.columns()[first..first + key_count], batch.num_rows(), &mut keys);
        let hashes = keys.iter().map(hash_key).collect();
        KeyedRows { keys, hashes, rows: rows.clone() }
    }

    fn columns(&self) -> &[ArrayRef] {
        self.rows.batch.columns()
    }
}

/// What becomes of values that are new to the set of a DISTINCT aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// Their aggregate counts them at once: the window is about to be shown.
    Counted,
    /// They are only kept: another table of the window may have the same ones.
    Collected,
}

/// What is kept for one window.
pub(crate) struct WindowTables {
    pub groups: GroupIndex,
    kernels: Vec<Box<dyn Kernel>>,
    sets: Vec<GroupIndex>,
    /// Reused between batches.
    row_groups: Vec<u32>,
}

impl WindowTables {
    pub fn new(spec: &WindowAggregateSpec) -> WindowTables {
        WindowTables {
            groups: GroupIndex::default(),
            kernels: spec.aggregates.iter().map(kernel).collect(),
            sets: spec.distinct().map(|_| GroupIndex::default()).collect(),
            row_groups: Vec::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.sets.iter().all(GroupIndex::is_empty)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let accumulators = self.kernels.iter().map(|k| k.memory_bytes()).sum::<usize>();
        self.groups.memory_bytes(accumulators)
            + self.sets.iter().map(|set| set.memory_bytes(0)).sum::<usize>()
    }

    /// Folds rows in. DISTINCT values are only collected; they count when a window fires.
    pub fn update(&mut self, spec: &WindowAggregateSpec, input: &KeyedRows, span: WindowSpan) {
        let goes_by_arrival = spec.aggregates.iter().any(|a| a.function.goes_by_arrival());
        let part = if goes_by_arrival {
            WindowPart::of(&spec.windows, span, || {
                local_times(spec.zone.as_ref(), event_times_ms(&input.columns()[0]))
            })
        } else {
            WindowPart::Whole
        };
        let places = ArrivalPlaces::new(&input.rows, &part);
        let mut row_groups = std::mem::take(&mut self.row_groups);
        row_groups.clear();
        for (i, &hash) in input.hashes.iter().enumerate() {
            row_groups.push(self.groups.intern(input.keys.get(i), hash).0);
        }
        let groups = self.groups.len();
        debug_assert_eq!(row_groups.len(), input.rows.len(), "a row is in no group");
        for (aggregate, kernel) in spec.aggregates.iter().zip(&mut self.kernels) {
            kernel.resize(groups);
            if !aggregate.distinct {
                let argument = aggregate.argument.map(|a| &input.columns()[a]);
                kernel.update(
                    &row_groups,
                    argument,
                    Selected::of(aggregate, input.columns(), places),
                );
            }
        }
        for ((_, aggregate), set) in spec.distinct().zip(&mut self.sets) {
            let filter = aggregate.filter.map(|f| input.columns()[f].as_boolean());
            if let Some(argument) = aggregate.argument.map(|a| &input.columns()[a]) {
                collect_values(set, input, argument, Selected::by(filter));
            }
        }
        self.row_groups = row_groups;
    }

    /// Folds partial aggregates in.
    pub fn merge(
        &mut self,
        spec: &WindowAggregateSpec,
        entries: &Entries,
        values: Values,
    ) -> Result<(), OperatorError> {
        let number = match entries.table {
            StateTable::Main => {
                self.merge_groups(entries);
                return Ok(());
            }
            StateTable::Side(number) => usize::from(number),
        };
        let set = self
            .sets
            .get_mut(number)
            .ok_or_else(|| OperatorError::damaged("values of no DISTINCT aggregate"))?;
        let mut new = Vec::new();
        for i in 0..entries.len() {
            let (entry, is_new) = set.intern(entries.keys.get(i), entries.hashes[i]);
            if is_new {
                new.push(entry);
            }
        }
        match values {
            Values::Counted => self.count_values(spec, number, &new),
            Values::Collected => Ok(()),
        }
    }

    fn merge_groups(&mut self, entries: &Entries) {
        let groups: Vec<u32> = (0..entries.len())
            .map(|i| self.groups.intern(entries.keys.get(i), entries.hashes[i]).0)
            .collect();
        let len = self.groups.len();
        let mut states = entries.states.as_slice();
        for kernel in &mut self.kernels {
            let (own, rest) = states.split_at(kernel.state_types().len());
            kernel.resize(len);
            kernel.merge(&groups, own);
            states = rest;
        }
        debug_assert!(states.is_empty(), "{} columns of aggregates are left over", states.len());
    }

    /// Folds other tables of the same window or of a part of it in. Values of sets are collected,
    /// not counted.
    pub(crate) fn absorb(&mut self, other: &WindowTables) {
        let all: Vec<u32> = (0..other.groups.len() as u32).collect();
        let groups: Vec<u32> = all
            .iter()
            .map(|&g| self.groups.intern(other.groups.key(g), other.groups.hashes[g as usize]).0)
            .collect();
        let len = self.groups.len();
        for (kernel, from) in self.kernels.iter_mut().zip(&other.kernels) {
            kernel.resize(len);
            kernel.merge(&groups, &from.state(&all));
        }
        for (set, from) in self.sets.iter_mut().zip(&other.sets) {
            for entry in 0..from.len() as u32 {
                set.intern(from.key(entry), from.hashes[entry as usize]);
            }
        }
    }

    /// Counts every collected value: for tables that were filled by `update` and fire themselves.
    pub(crate) fn count_collected(
        &mut self,
        spec: &WindowAggregateSpec,
    ) -> Result<(), OperatorError> {
        for set in 0..self.sets.len() {
            let all: Vec<u32> = (0..self.sets[set].len() as u32).collect();
            self.count_values(spec, set, &all)?;
        }
        Ok(())
    }

    fn count_values(
        &mut self,
        spec: &WindowAggregateSpec,
        set: usize,
        entries: &[u32],
    ) -> Result<(), OperatorError> {
        let Some((index, aggregate)) = spec.distinct().nth(set) else { return Ok(()) };
        let mut groups = Vec::with_capacity(entries.len());
        let mut values = Vec::with_capacity(entries.len());
        for &entry in entries {
            let (key, value) = split_entry(self.sets[set].key(entry))
                .ok_or_else(|| OperatorError::damaged("a DISTINCT value without its key"))?;
            // Its group may still be in another table of the window, where a spill came between the
            // two.
            groups.push(self.groups.intern(key, hash_key(key)).0);
            values.push(value);
        }
        let column =
            decode_keys(std::slice::from_ref(&aggregate.input_type), values.into_iter())?.remove(0);
        self.kernels[index].resize(self.groups.len());
        self.kernels[index].update(&groups, Some(&column), Selected::ALL);
        Ok(())
    }

    /// All groups by key group, then key: the order of output.
    pub fn order(&self) -> Vec<u32> {
        let mut order = self.by_key_group();
        order.chunk_by_mut(|&a, &b| self.key_group_of(a) == self.key_group_of(b)).for_each(
            |groups| {
                groups.sort_unstable_by(|&a, &b| self.groups.key(a).cmp(self.groups.key(b)));
            },
        );
        order
    }

    /// All groups by key group: what the store asks for. Within one they come as they were seen
    /// first.
    pub(crate) fn by_key_group(&self) -> Vec<u32> {
        by_route(self.groups.len(), |group| self.key_group_of(group))
    }

    pub(crate) fn key_group_of(&self, group: u32) -> KeyGroup {
        KeyGroup::of_hash(self.groups.hashes[group as usize])
    }

    /// Key columns of the picked groups.
    pub fn keys(&self, types: &[DataType], picks: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        Ok(decode_keys(types, picks.iter().map(|&g| self.groups.key(g)))?)
    }

    /// Results of the picked groups.
    pub(crate) fn evaluate(&self, picks: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        self.kernels.iter().map(|k| k.evaluate(picks)).collect()
    }

    /// The picked groups as partial aggregates.
    pub(crate) fn partials(&self, picks: &[u32]) -> Entries {
        let mut keys = KeyBuf::default();
        let mut hashes = Vec::with_capacity(picks.len());
        for &g in picks {
            keys.push(self.groups.key(g));
            hashes.push(self.groups.hashes[g as usize]);
        }
        let key_groups = hashes.iter().map(|&hash| KeyGroup::of_hash(hash)).collect();
        let states = self.kernels.iter().flat_map(|k| k.state(picks)).collect();
        Entries { table: StateTable::Main, keys, hashes, key_groups, states }
    }

    /// Everything, as partial aggregates sorted by key group, some thousands at a time; the groups
    /// first and then the value sets. Each batch is small against the table, so that taking it
    /// apart does not need its memory twice.
    pub(crate) fn each_partials(
        &self,
        mut each: impl FnMut(Entries) -> Result<(), OperatorError>,
    ) -> Result<(), OperatorError> {
        for picks in self.by_key_group().chunks(PARTIALS_MAX) {
            each(self.partials(picks))?;
        }
        for (i, set) in self.sets.iter().enumerate().filter(|(_, s)| !s.is_empty()) {
            let route =
                |e: u32| split_entry(set.key(e)).map(|(key, _)| KeyGroup::of_hash(hash_key(key)));
            let routes: Vec<KeyGroup> = (0..set.len() as u32)
                .map(route)
                .collect::<Option<_>>()
                .ok_or_else(|| OperatorError::damaged("a DISTINCT value without its key"))?;
            for picks in by_route(set.len(), |e| routes[e as usize]).chunks(PARTIALS_MAX) {
                let mut keys = KeyBuf::default();
                picks.iter().for_each(|&e| keys.push(set.key(e)));
                each(Entries {
                    table: StateTable::Side(i as u8),
                    keys,
                    hashes: picks.iter().map(|&e| set.hashes[e as usize]).collect(),
                    key_groups: picks.iter().map(|&e| routes[e as usize]).collect(),
                    states: vec![],
                })?;
            }
        }
        Ok(())
    }
}

/// Partial aggregates that travel together: enough for columns to pay, few enough that a lane's
/// bound means something.
const PARTIALS_MAX: usize = 8192;

/// Numbers below `len` by key group, in one pass over them; those of a key group stay in order.
fn by_route(len: usize, route: impl Fn(u32) -> KeyGroup) -> Vec<u32> {
    let mut ends = [0usize; KEY_GROUPS as usize + 1];
    for i in 0..len as u32 {
        ends[route(i).index() + 1] += 1;
    }
    for group in 1..ends.len() {
        ends[group] += ends[group - 1];
    }
    let mut order = vec![0; len];
    for i in 0..len as u32 {
        let next = &mut ends[route(i).index()];
        order[*next] = i;
        *next += 1;
    }
    debug_assert!(
        order.is_sorted_by_key(|&i| route(i)),
        "groups are not in order of their key groups"
    );
    order
}

fn collect_values(
    set: &mut GroupIndex,
    input: &KeyedRows,
    argument: &ArrayRef,
    rows: Selected<'_>,
) {
    let mut values = KeyBuf::default();
    encode_keys(std::slice::from_ref(argument), argument.len(), &mut values);
    let mut entry = Vec::new();
    for row in 0..argument.len() {
        if argument.is_valid(row) && rows.has(row) {
            let key = input.keys.get(row);
            entry.clear();
            entry.extend_from_slice(key);
            entry.extend_from_slice(values.get(row));
            entry.extend_from_slice(&(key.len() as u32).to_be_bytes());
            set.intern(&entry, hash_key(&entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_table_counts_as_doubled_before_it_doubles() {
        let mut index = GroupIndex::default();
        let mut before = 0;
        for i in 0..(1_u64 << 20) {
            let key = i.to_be_bytes();
            let capacities = (index.table.capacity(), index.hashes.capacity());
            index.intern(&key, hash_key(&key));
            let doubled = capacities != (index.table.capacity(), index.hashes.capacity());
            let now = index.memory_bytes(0);
            if doubled && index.len() > LARGE_TABLE {
                assert!(now <= before, "{now} bytes at {} groups, {before} announced", index.len());
            }
            before = now;
        }
    }
}
