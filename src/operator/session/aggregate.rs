//! The session aggregation: rows into fragments, fragments into sessions when the watermark passes
//! them.
//!
//! What always holds: a key group's fragments are all in memory or all in the store; the
//! accumulators of fragment `n` are group `n` of every kernel; between a barrier and its checkpoint
//! nothing fires and nothing is spilled.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};

use super::SessionSpec;
use super::fragments::{Fragment, Fragments, Placed};
use super::stored::{self, Packed};
use crate::operator::aggregate::arrival::{ArrivalPlaces, WindowPart};
use crate::operator::aggregate::{Aggregate, Kernel, Selected, kernel};
use crate::operator::window::fire::group_columns;
use crate::operator::window::stored::StoredTypes;
use crate::operator::window::table::KeyedRows;
use crate::operator::window::{
    event_times_ms, local_times, local_watermark, local_watermarks, window_time,
};
use crate::operator::{Context, Event, Operator, OperatorError, OperatorState, Rows, State, Steps};
use crate::state::key::{KeyBuf, decode_keys, encode_keys};
use crate::state::layout::StateTable;
use crate::state::store::{Changes, StateDb};
use crate::state::{KeyGroup, KeyGroups, layout};
use crate::time::{EventTime, Watermark};

/// Rows emitted in one step.
const STEP_ROWS: usize = 8192;

/// A session that has fired and is being emitted.
struct Fired {
    start: EventTime,
    end: EventTime,
    key: u32,
    fragment: u32,
}

/// A fire under way.
struct Fire {
    /// Passed on when the fire is over.
    watermark: Watermark,
    /// The same on the time on which the sessions lie.
    local: Watermark,
    sessions: Vec<Fired>,
    next: usize,
}

pub(crate) struct SessionAggregate {
    spec: SessionSpec,
    stored_types: StoredTypes,
    fragments: Fragments,
    kernels: Vec<Box<dyn Kernel>>,
    /// Values of each DISTINCT aggregate by fragment.
    values: Vec<HashMap<u32, HashSet<Box<[u8]>>>>,
    /// Fragments by an end they had: looked at again when the watermark gets there.
    due: BTreeMap<EventTime, Vec<u32>>,
    /// Key groups that are in the store, with the first end among their fragments.
    stored: BTreeMap<KeyGroup, EventTime>,
    /// What was in memory at the barrier, and the key groups that were not in the store then.
    frozen: Option<(Packed, Vec<KeyGroup>)>,
    fired_mark: Option<Watermark>,
    next_generation: u32,
    fire: Option<Fire>,
}

impl SessionAggregate {
    pub fn new(spec: SessionSpec) -> SessionAggregate {
        SessionAggregate {
            stored_types: stored::types(&spec),
            fragments: Fragments::default(),
            kernels: spec.aggregates.iter().map(kernel).collect(),
            values: distinct(&spec).map(|_| HashMap::new()).collect(),
            due: BTreeMap::new(),
            stored: BTreeMap::new(),
            frozen: None,
            fired_mark: None,
            next_generation: 0,
            fire: None,
            spec,
        }
    }

    fn add_rows(&mut self, rows: &Rows, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let input = KeyedRows::new(self.spec.key_types.len(), rows);
        if !self.stored.is_empty() {
            let needed: HashSet<KeyGroup> =
                input.hashes.iter().map(|&hash| KeyGroup::of_hash(hash)).collect();
            for group in needed {
                self.load(group, cx.db)?;
            }
        }
        let zone = self.spec.zone.as_ref();
        let times = local_times(zone, event_times_ms(rows.batch.column(0)));
        let watermarks = local_watermarks(zone, rows.watermarks_ms.as_ref());
        let fired_mark = self.fired_mark.unwrap_or(Watermark::NONE);
        let mut merges = Vec::new();
        // Rows that are in time, and the fragment of each.
        let (mut kept, mut groups) =
            (Vec::with_capacity(times.len()), Vec::with_capacity(times.len()));
        for (row, ts) in times.iter().map(|&ms| EventTime::at(ms)).enumerate() {
            let key = self.fragments.intern(input.keys.get(row), input.hashes[row]);
            let start_watermark =
                watermarks.as_ref().map_or(Watermark::NONE, |w| Watermark::at(w[row]));
            let end = ts.later(self.spec.gap_ms);
            let fragment = Fragment { key, split: rows.split, start: ts, end, start_watermark };
            let late = match self.fragments.place(key, fragment, fired_mark, &mut merges) {
                Placed::Joined(number) => {
                    kept.push(row as u32);
                    groups.push(number);
                    continue;
                }
                Placed::New(number) => {
                    self.due.entry(end).or_default().push(number);
                    kept.push(row as u32);
                    groups.push(number);
                    continue;
                }
                Placed::Late => &mut cx.counters.late_rows,
                Placed::LateByFiredMark => &mut cx.counters.late_by_fired_mark,
            };
            *late += 1;
            self.fragments.forget_key_if_empty(key);
        }
        if kept.len() < rows.len() {
            self.fold(&rows.take(&UInt32Array::from(kept))?, &groups);
        } else {
            self.fold(rows, &groups);
        }
        for (from, into) in merges {
            self.merge(from, into);
        }
        Ok(())
    }

    fn fold(&mut self, rows: &Rows, groups: &[u32]) {
        let numbers = self.fragments.numbers();
        let mut values = self.values.iter_mut();
        for (aggregate, kernel) in self.spec.aggregates.iter().zip(&mut self.kernels) {
            kernel.resize(numbers);
            let selected = Selected::of(
                aggregate,
                rows.batch.columns(),
                ArrivalPlaces::new(rows, &WindowPart::Whole),
            );
            let argument = aggregate.argument.map(|a| rows.batch.column(a));
            match (aggregate.distinct, argument) {
                (true, Some(argument)) => {
                    if let Some(sets) = values.next() {
                        collect(sets, groups, argument, selected);
                    }
                }
                _ => kernel.update(groups, argument, selected),
            }
        }
    }

    /// Adds the accumulators of one fragment to those of another.
    fn merge(&mut self, from: u32, into: u32) {
        for kernel in &mut self.kernels {
            let state = kernel.state(&[from]);
            kernel.merge(&[into], &state);
        }
        for sets in &mut self.values {
            if let Some(values) = sets.remove(&from) {
                sets.entry(into).or_default().extend(values);
            }
        }
    }

    /// Finds the sessions that a watermark closes and makes each one fragment.
    fn close(&mut self, watermark: Watermark, cx: &mut Context<'_>) -> Result<Fire, OperatorError> {
        let local = local_watermark(self.spec.zone.as_ref(), watermark);
        let reached: Vec<KeyGroup> =
            self.stored.iter().filter(|(_, end)| local.closes(**end)).map(|(&g, _)| g).collect();
        for group in reached {
            self.load(group, cx.db)?;
        }
        let mut sessions = Vec::new();
        while let Some(entry) = self.due.first_entry().filter(|e| local.closes(*e.key())) {
            for number in entry.remove() {
                let Some(fragment) = self.fragments.get(number).copied() else { continue };
                if !fragment.is_closed(local) {
                    self.due.entry(fragment.end).or_default().push(number);
                    continue;
                }
                let members = self.fragments.session_of(number);
                let whole: Vec<Fragment> =
                    members.iter().filter_map(|&m| self.fragments.get(m).copied()).collect();
                let start = whole.iter().map(|f| f.start).min().unwrap_or(fragment.start);
                let end = whole.iter().map(|f| f.end).max().unwrap_or(fragment.end);
                if !local.closes(end) {
                    // Looked at again when its last fragment is due.
                    self.due.entry(end).or_default().push(number);
                    continue;
                }
                for &other in members.iter().filter(|m| **m != number) {
                    self.merge(other, number);
                    self.fragments.remove(other);
                }
                self.fragments.remove(number);
                sessions.push(Fired { start, end, key: fragment.key, fragment: number });
            }
        }
        cx.counters.windows_fired += sessions.len() as u64;
        if !sessions.is_empty() {
            tracing::debug!(sessions = sessions.len(), "sessions fire");
        }
        let fragments = &self.fragments;
        sessions.sort_unstable_by(|a, b| {
            let place = |s: &Fired| (s.end, s.start, fragments.key_group(s.key));
            place(a).cmp(&place(b)).then_with(|| fragments.key(a.key).cmp(fragments.key(b.key)))
        });
        self.count_distinct(&sessions)?;
        debug_assert!(
            sessions.iter().all(|s| s.start < s.end && local.closes(s.end)),
            "a session fires before it is over"
        );
        Ok(Fire { watermark, local, sessions, next: 0 })
    }

    /// Counts the collected values of sessions that have closed.
    fn count_distinct(&mut self, sessions: &[Fired]) -> Result<(), OperatorError> {
        let aggregates = self.spec.aggregates.iter().enumerate().filter(|(_, a)| a.distinct);
        for ((index, aggregate), sets) in aggregates.zip(&mut self.values) {
            let (mut groups, mut values) = (Vec::new(), Vec::new());
            for session in sessions {
                for value in sets.remove(&session.fragment).unwrap_or_default() {
                    groups.push(session.fragment);
                    values.push(value);
                }
            }
            let column = decode_keys(
                std::slice::from_ref(&aggregate.input_type),
                values.iter().map(|v| &**v),
            )?
            .remove(0);
            self.kernels[index].update(&groups, Some(&column), Selected::ALL);
        }
        Ok(())
    }

    /// Emits the next sessions: a batch for each end, so that a batch is of one window.
    fn emit(&mut self, fire: &mut Fire, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let upto = (fire.next + STEP_ROWS).min(fire.sessions.len());
        for run in
            fire.sessions[fire.next..upto].chunk_by(|a, b| (a.start, a.end) == (b.start, b.end))
        {
            let (start, end) = (run[0].start, run[0].end);
            let time = window_time(self.spec.zone.as_ref(), end);
            let keys =
                decode_keys(&self.spec.key_types, run.iter().map(|s| self.fragments.key(s.key)))?;
            let mut columns = group_columns(
                &self.spec.group_columns,
                &self.spec.output,
                (start, end, time),
                &keys,
                run.len(),
            );
            let picks: Vec<u32> = run.iter().map(|s| s.fragment).collect();
            for kernel in &self.kernels {
                columns.push(kernel.evaluate(&picks)?);
            }
            let batch = RecordBatch::try_new(self.spec.output.clone(), columns)?;
            cx.out.push(Event::Rows(Rows { window_end: Some(end), ..Rows::new(batch) }));
        }
        fire.next = upto;
        Ok(())
    }

    fn forget(&mut self, fire: &Fire) {
        for session in &fire.sessions {
            self.fragments.forget_key_if_empty(session.key);
        }
        if self.fragments.is_sparse() {
            self.compact();
        }
    }

    /// Drops accumulators of fragments that are gone, by numbering those that are left anew.
    fn compact(&mut self) {
        let old = self.fragments.compact();
        let all: Vec<u32> = (0..old.len() as u32).collect();
        for (aggregate, held) in self.spec.aggregates.iter().zip(&mut self.kernels) {
            let mut fresh = kernel(aggregate);
            fresh.resize(all.len());
            fresh.merge(&all, &held.state(&old));
            *held = fresh;
        }
        for sets in &mut self.values {
            *sets = old
                .iter()
                .zip(&all)
                .filter_map(|(old, new)| Some((*new, sets.remove(old)?)))
                .collect();
        }
        self.due.clear();
        for (number, fragment) in self.fragments.iter() {
            self.due.entry(fragment.end).or_default().push(number);
        }
    }

    /// Fragments of some key groups, ordered by key group.
    fn pack(&self, picked: impl Fn(KeyGroup) -> bool) -> (Vec<u32>, Packed) {
        let group = |n: &u32| {
            self.fragments.get(*n).map_or(KeyGroup::FIRST, |f| self.fragments.key_group(f.key))
        };
        let mut numbers: Vec<u32> =
            self.fragments.iter().map(|(n, _)| n).filter(|n| picked(group(n))).collect();
        numbers.sort_by_key(group);
        let fragments: Vec<Fragment> =
            numbers.iter().filter_map(|&n| self.fragments.get(n).copied()).collect();
        let mut keys = KeyBuf::default();
        for fragment in &fragments {
            keys.push(self.fragments.key(fragment.key));
        }
        let values = self.values.iter().map(|sets| {
            let of = |(i, n): (usize, &u32)| {
                sets.get(n).map(|values| values.iter().map(move |v| (i, v.clone())))
            };
            numbers.iter().enumerate().filter_map(of).flatten().collect()
        });
        let packed = Packed {
            keys,
            hashes: fragments.iter().map(|f| self.fragments.hash(f.key)).collect(),
            key_groups: fragments.iter().map(|f| self.fragments.key_group(f.key)).collect(),
            values: values.collect(),
            states: self.kernels.iter().flat_map(|k| k.state(&numbers)).collect(),
            fragments,
        };
        (numbers, packed)
    }

    fn take_generation(&mut self) -> u32 {
        self.next_generation += 1;
        self.next_generation - 1
    }

    /// Brings a key group's fragments into memory. Their stored form is replaced at the next
    /// writing.
    fn load(&mut self, group: KeyGroup, db: &StateDb) -> Result<(), OperatorError> {
        if self.stored.remove(&group).is_none() {
            return Ok(());
        }
        let (from, to) = stored::place(&self.spec).groups(KeyGroups::one(group));
        let mut numbers: Vec<u32> = Vec::new();
        let (fragments, kernels, due, values) =
            (&mut self.fragments, &mut self.kernels, &mut self.due, &mut self.values);
        db.scan(&from, &to, |key, value| {
            let (key, partials) = self.stored_types.read(key, value)?;
            if let StateTable::Side(number) = key.table {
                let sets = values.get_mut(usize::from(number));
                let sets = sets.ok_or_else(|| OperatorError::damaged("values of no aggregate"))?;
                for entry in partials.keys.iter() {
                    let (ordinal, value) = stored::split_value(entry)?;
                    let number = numbers.get(ordinal as usize);
                    let number =
                        number.ok_or_else(|| OperatorError::damaged("values of no session"))?;
                    sets.entry(*number).or_default().insert(value.into());
                }
                return Ok(());
            }
            let first = numbers.len();
            for (i, fragment) in stored::fragments(&partials).into_iter().enumerate() {
                let key = fragments.intern(partials.keys.get(i), partials.hashes[i]);
                let number = fragments.add(Fragment { key, ..fragment });
                due.entry(fragment.end).or_default().push(number);
                numbers.push(number);
            }
            let mut states = stored::states(&partials);
            for kernel in kernels.iter_mut() {
                let (own, rest) = states.split_at(kernel.state_types().len());
                kernel.resize(fragments.numbers());
                kernel.merge(&numbers[first..], own);
                states = rest;
            }
            Ok::<_, OperatorError>(())
        })
    }
}

fn distinct(spec: &SessionSpec) -> impl Iterator<Item = &Aggregate> {
    spec.aggregates.iter().filter(|a| a.distinct)
}

fn collect(
    sets: &mut HashMap<u32, HashSet<Box<[u8]>>>,
    groups: &[u32],
    argument: &ArrayRef,
    rows: Selected<'_>,
) {
    let mut values = KeyBuf::default();
    encode_keys(std::slice::from_ref(argument), argument.len(), &mut values);
    for (row, &group) in groups.iter().enumerate() {
        if argument.is_valid(row) && rows.has(row) {
            let set = sets.entry(group).or_default();
            if !set.contains(values.get(row)) {
                set.insert(values.get(row).into());
            }
        }
    }
}

impl Operator for SessionAggregate {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.batch.num_rows() > 0 => self.add_rows(&rows, cx)?,
            Event::Rows(_) => {}
            Event::Watermark(w) => self.fire = Some(self.close(w, cx)?),
            tick @ Event::Tick(_) => cx.out.push(tick),
            Event::Barrier(epoch) => {
                debug_assert!(
                    self.frozen.is_none() && self.fire.is_none(),
                    "a barrier came in the middle of something"
                );
                let held = KeyGroups::ALL.iter().filter(|g| !self.stored.contains_key(g)).collect();
                self.frozen = Some((self.pack(|_| true).1, held));
                cx.out.push(Event::Barrier(epoch));
            }
            Event::Partials(_) => return Err(OperatorError::no_place_for_partials()),
        }
        Ok(())
    }

    fn steps(&mut self) -> Option<&mut dyn Steps> {
        Some(self)
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn memory_bytes(&self) -> usize {
        let value = |set: &HashSet<Box<[u8]>>| set.iter().map(|v| v.len() + 48).sum::<usize>();
        let values: usize = self.values.iter().flat_map(HashMap::values).map(value).sum();
        let due: usize = self.due.len() * 64;
        self.fragments.memory_bytes()
            + self.kernels.iter().map(|k| k.memory_bytes()).sum::<usize>()
            + values
            + due
    }
}

impl Steps for SessionAggregate {
    fn has_work(&self) -> bool {
        self.fire.is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        if let Some(mut fire) = self.fire.take() {
            self.emit(&mut fire, cx)?;
            if fire.next < fire.sessions.len() {
                self.fire = Some(fire);
            } else {
                self.forget(&fire);
                self.fired_mark = self.fired_mark.max(Some(fire.local));
                cx.out.push(Event::Watermark(fire.watermark));
            }
        }
        Ok(())
    }
}

impl State for SessionAggregate {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        if let Some((packed, held)) = self.frozen.take() {
            // What was in memory at the barrier is written anew; key groups that were loaded since
            // are in the store as they were at the barrier.
            for group in held {
                let (from, to) = stored::place(&self.spec).groups(KeyGroups::one(group));
                changes.delete_range(&from, &to);
            }
            let generation = self.take_generation();
            packed.write(&self.spec, generation, changes);
        }
        Ok(true)
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        if self.fire.is_some() || self.fragments.alive() == 0 {
            return Ok(false);
        }
        debug_assert!(
            self.frozen.is_none(),
            "sessions are spilled between a barrier and its checkpoint"
        );
        // Half of the key groups that are in memory: the ones to come back are spread evenly
        // anyway.
        let mut held: Vec<KeyGroup> =
            self.fragments.iter().map(|(_, f)| self.fragments.key_group(f.key)).collect();
        held.sort_unstable();
        held.dedup();
        held.truncate(held.len().div_ceil(2));
        let (numbers, packed) = self.pack(|group| held.binary_search(&group).is_ok());
        for (fragment, &group) in packed.fragments.iter().zip(&packed.key_groups) {
            let first = self.stored.entry(group).or_insert(fragment.end);
            *first = (*first).min(fragment.end);
        }
        for &group in &held {
            let (from, to) = stored::place(&self.spec).groups(KeyGroups::one(group));
            changes.delete_range(&from, &to);
        }
        let generation = self.take_generation();
        packed.write(&self.spec, generation, changes);
        for number in numbers {
            if let Some(key) = self.fragments.get(number).map(|f| f.key) {
                self.fragments.remove(number);
                self.fragments.forget_key_if_empty(key);
            }
        }
        self.compact();
        Ok(true)
    }

    fn marks(&self) -> OperatorState {
        OperatorState { fired_mark: self.fired_mark, next_generation: self.next_generation }
    }

    fn restore(&mut self, state: &OperatorState, db: &StateDb) -> Result<(), OperatorError> {
        self.fired_mark = state.fired_mark;
        self.next_generation = state.next_generation;
        let (from, to) = layout::kind_range(self.spec.operator, layout::StateKind::Session);
        db.scan(&from, &to, |key, value| {
            let (key, partials) = self.stored_types.read(key, value)?;
            if key.table == StateTable::Main {
                for fragment in stored::fragments(&partials) {
                    let first = self.stored.entry(key.key_group).or_insert(fragment.end);
                    *first = (*first).min(fragment.end);
                }
            }
            Ok::<_, OperatorError>(())
        })
    }
}
