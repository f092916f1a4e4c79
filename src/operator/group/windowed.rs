//! GROUP BY of a window whose results may change: early and late fires, and windows over rows that
//! are updated.
//!
//! Runs behind [`AssignWindows`](crate::operator::window::assign), which leaves out rows that are
//! late by their own split and gives every row its window. Groups are kept as those of a changelog
//! ([`super::keyed`]): in memory while they are used, else in the store, with an index by window.
//! [`WindowedSpec`] says when a group is sent: with each row, some time after
//! a change, or when its window closes; before a late row changes a group, what was in time is
//! sent.
//!
//! What always holds: a group is sent at the latest when the watermark closes its window; a result
//! equal to the last one sent is not sent again (the algorithm of Flink's AggregateWindowOperator);
//! a window is forgotten when it takes no more rows, and nothing enters it after that.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::{DataType, TimestampMillisecondType};

use super::changes::{ChangeSet, Fate, rounds};
use super::fold::{GroupedRows, apply};
use super::keyed::KeyedGroups;
use super::of_windows::{OfWindows, Sent};
use super::{GroupSpec, Pace, WindowedSpec};
use crate::operator::window::{local_watermark, local_watermarks};
use crate::operator::{
    Context, Event, Op, Operator, OperatorError, OperatorState, Rows, State, Steps,
};
use crate::state::key::{KeyBuf, decode_keys, hash_key};
use crate::state::packed::{pack, unpack};
use crate::state::store::{Changes, StateDb};
use crate::state::{KeyGroup, KeyGroups};
use crate::time::{EventTime, Watermark};

/// Groups sent in one step of a fire by the clock.
const STEP_GROUPS: usize = 8192;
/// Groups of windows that are over are forgotten in memory, too, when there are so many and they
/// are most of all.
const GONE_MAX: usize = 1 << 16;

pub(crate) struct WindowedGroups {
    spec: GroupSpec,
    windows: WindowedSpec,
    groups: KeyedGroups<OfWindows>,
    /// Ends of the windows that have groups, here or in the store.
    open: BTreeSet<EventTime>,
    /// Those of them that may have groups in the store.
    stored: BTreeSet<EventTime>,
    /// Groups in memory by their window's end and key group.
    members: BTreeMap<(EventTime, KeyGroup), Vec<u32>>,
    /// Keys of groups that are to be sent, by the processing time of that, ms.
    due: BTreeMap<i64, Vec<Box<[u8]>>>,
    /// Windows up to here are closed, on the time of their zone.
    passed: Option<Watermark>,
    gone: usize,
    firing: Option<Firing>,
}

enum Firing {
    /// The key groups of one window after the other.
    Watermark {
        watermark: Watermark,
        local: Watermark,
        /// The window's end, and the key groups that have not been looked at.
        window: Option<(EventTime, KeyGroups)>,
    },
    Clock {
        tick_ms: i64,
    },
}

impl WindowedGroups {
    pub fn new(spec: GroupSpec, windows: WindowedSpec) -> WindowedGroups {
        WindowedGroups {
            groups: KeyedGroups::new(spec.clone()),
            spec,
            windows,
            open: BTreeSet::new(),
            stored: BTreeSet::new(),
            members: BTreeMap::new(),
            due: BTreeMap::new(),
            passed: None,
            gone: 0,
            firing: None,
        }
    }

    /// Whether the watermark has closed a window; whether it takes no more rows.
    fn is_closed(&self, end: EventTime) -> bool {
        self.passed.is_some_and(|passed| passed.closes(end))
    }

    fn is_over(&self, end: EventTime) -> bool {
        self.passed.is_some_and(|passed| self.ends(end, passed))
    }

    fn fold(&mut self, rows: &Rows, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        // A row is late when its own split has closed the window, which may not have been sent yet.
        let marks = local_watermarks(self.windows.zone.as_ref(), rows.watermarks_ms.as_ref());
        let ends = rows
            .batch
            .column(self.windows.end)
            .as_primitive::<TimestampMillisecondType>()
            .values()
            .clone();
        let end = |row: usize| EventTime::at(ends[row]);
        let is_late = |row: usize| {
            self.is_closed(end(row))
                || marks.as_ref().is_some_and(|m| Watermark::at(m[row]).closes(end(row)))
        };
        let one_pace = self.windows.early == self.windows.late;
        let (mut in_time, mut late) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in 0..rows.len() {
            if self.is_over(end(row)) {
                cx.counters.late_by_fired_mark += 1;
            } else if one_pace || !is_late(row) {
                in_time.push(row as u32);
            } else {
                late.push(row as u32);
            }
        }
        self.fold_part(rows, in_time, &ends, false, cx)?;
        self.fold_part(rows, late, &ends, true, cx)
    }

    fn fold_part(
        &mut self,
        rows: &Rows,
        picks: Vec<u32>,
        ends: &[i64],
        are_late: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        if picks.is_empty() {
            return Ok(());
        }
        let known = self.groups.in_memory();
        let part =
            if picks.len() == rows.len() { None } else { Some(rows.take(&picks.clone().into())) };
        let part = part.transpose()?;
        let rows = part.as_ref().unwrap_or(rows);
        let key_columns = &rows.batch.columns()[..self.spec.key_types.len()];
        let input = GroupedRows::find(key_columns, rows, &mut self.groups, cx)?;
        for (&group, &row) in
            input.groups.iter().zip(&picks).filter(|(group, _)| **group as usize >= known)
        {
            let end = EventTime::at(ends[row as usize]);
            self.open.insert(end);
            self.groups.set_end(group, end);
        }
        self.admit(known);
        if are_late {
            // What was in time comes out before.
            let groups: BTreeSet<u32> = input.groups.iter().copied().collect();
            self.send(&groups.into_iter().collect::<Vec<_>>(), None, cx)?;
        }
        match if are_late { self.windows.late } else { self.windows.early } {
            Pace::EachRow => self.fold_each(&input, key_columns, cx),
            Pace::Never => self.fold_silently(&input, None, cx),
            Pace::After { delay_ms } => {
                self.fold_silently(&input, Some(cx.now_ms.saturating_add(delay_ms)), cx)
            }
        }
    }

    /// Notes groups that have come into memory since there were `known`.
    fn admit(&mut self, known: usize) {
        for group in known as u32..self.groups.in_memory() as u32 {
            if let Some(end) = self.groups.end(group) {
                self.members
                    .entry((end, KeyGroup::of_hash(self.groups.hash(group))))
                    .or_default()
                    .push(group);
            }
        }
    }

    /// Folds rows in and sends what each changes.
    fn fold_each(
        &mut self,
        input: &GroupedRows<'_>,
        keys: &[ArrayRef],
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let mut set = ChangeSet::default();
        for picks in rounds(&input.groups) {
            let groups: Vec<u32> = picks.iter().map(|&row| input.groups[row as usize]).collect();
            let before = self.groups.compared(&groups)?;
            let was_there: Vec<bool> =
                groups.iter().map(|&group| *self.groups.sent(group) == Sent::Current).collect();
            apply(&self.spec, &mut self.groups, input, &picks)?;
            let after = self.groups.compared(&groups)?;
            let mut fates = Vec::with_capacity(groups.len());
            for ((&row, &group), was_there) in picks.iter().zip(&groups).zip(was_there) {
                let is_there = self.count(group, input.adds[row as usize], cx.now_ms);
                self.groups.set_sent(group, if is_there { Sent::Current } else { Sent::Nothing });
                fates.push(match (was_there, is_there) {
                    (false, true) => Fate::Appears,
                    (true, true) => Fate::Stays,
                    (true, false) => Fate::Disappears,
                    (false, false) => Fate::Absent,
                });
            }
            set.add(&picks, &fates, before, after, false)?;
        }
        let changes = set.finish(keys, &self.spec.output)?;
        cx.out.extend(changes.map(Event::Rows));
        Ok(())
    }

    /// Notes a row more or less; true if the group has rows.
    fn count(&mut self, group: u32, adds: bool, now_ms: i64) -> bool {
        let rows = self.groups.rows(group).unwrap_or(0) + if adds { 1 } else { -1 };
        self.groups.changed(group, rows, now_ms);
        rows > 0
    }

    /// Folds rows in; their groups are sent when the window closes, or at `due_ms` of processing
    /// time.
    fn fold_silently(
        &mut self,
        input: &GroupedRows<'_>,
        due_ms: Option<i64>,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let touched: BTreeSet<u32> = input.groups.iter().copied().collect();
        let sent: Vec<u32> =
            touched.iter().copied().filter(|&g| *self.groups.sent(g) == Sent::Current).collect();
        let before = self.groups.evaluate(&sent)?;
        for (at, &group) in sent.iter().enumerate() {
            self.groups.set_sent(group, Sent::Older(packed(&before, at)));
        }
        if let Some(due_ms) = due_ms {
            // A group that waits already does so with its first change.
            let waits = |g: u32| sent.binary_search(&g).is_ok() || self.groups.rows(g).is_none();
            let first: Vec<u32> = touched.iter().copied().filter(|&g| waits(g)).collect();
            let keys = first.into_iter().map(|g| self.groups.key(g).into());
            self.due.entry(due_ms).or_default().extend(keys);
        }
        for (&group, &adds) in input.groups.iter().zip(&input.adds) {
            self.count(group, adds, cx.now_ms);
        }
        let all: Vec<u32> = (0..input.groups.len() as u32).collect();
        apply(&self.spec, &mut self.groups, input, &all)
    }

    /// Sends how these groups differ from what was sent of them last.
    fn send(
        &mut self,
        groups: &[u32],
        end: Option<EventTime>,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let waiting = |&group: &u32| {
            self.groups.rows(group).is_some() && *self.groups.sent(group) != Sent::Current
        };
        let groups: Vec<u32> = groups.iter().copied().filter(waiting).collect();
        if groups.is_empty() {
            return Ok(());
        }
        let now = self.groups.evaluate(&groups)?;
        let types: Vec<DataType> = now.iter().map(|c| c.data_type().clone()).collect();
        let mut changes =
            Changed { now: &now, ops: vec![], keys: vec![], parts: vec![vec![]; now.len()] };
        for (at, &group) in groups.iter().enumerate() {
            let is_there = self.groups.rows(group).is_some_and(|rows| rows > 0);
            match self.groups.sent(group) {
                Sent::Older(row) => {
                    let old = unpack(row, &types)?;
                    if !is_there {
                        changes.push(Op::Delete, group, Some(old), at);
                    } else if *row != packed(&now, at) {
                        changes.push(Op::UpdateBefore, group, Some(old), at);
                        changes.push(Op::UpdateAfter, group, None, at);
                    }
                }
                _ if is_there => changes.push(Op::Insert, group, None, at),
                _ => {}
            }
            self.groups.set_sent(group, if is_there { Sent::Current } else { Sent::Nothing });
        }
        let Changed { ops, keys, parts, .. } = changes;
        if ops.is_empty() {
            return Ok(());
        }
        let mut columns =
            decode_keys(&self.spec.key_types, keys.iter().map(|&g| self.groups.key(g)))?;
        for part in &parts {
            let pieces: Vec<&dyn Array> = part.iter().map(AsRef::as_ref).collect();
            columns.push(concat(&pieces)?);
        }
        let batch = RecordBatch::try_new(self.spec.output.clone(), columns)?;
        let is_final = self.windows.is_final();
        let ops = (!is_final).then(|| ops.into_iter().collect());
        cx.out.push(Event::Rows(Rows {
            ops,
            window_end: end.filter(|_| is_final),
            ..Rows::new(batch)
        }));
        Ok(())
    }

    /// The groups of a key group's window, all of them in memory from here on.
    fn gather(
        &mut self,
        end: EventTime,
        number: KeyGroup,
        cx: &Context<'_>,
    ) -> Result<Vec<u32>, OperatorError> {
        if self.stored.contains(&end) {
            let mut keys = KeyBuf::default();
            self.groups.scan_windows(number, (end, end), cx.db, |_, key| keys.push(key))?;
            let hashes: Vec<u64> = keys.iter().map(hash_key).collect();
            let known = self.groups.in_memory();
            self.groups.find(&keys, &hashes, cx.now_ms, cx.db)?;
            self.admit(known);
        }
        let mut groups = self.members.get(&(end, number)).cloned().unwrap_or_default();
        groups.sort_unstable_by(|&a, &b| self.groups.key(a).cmp(self.groups.key(b)));
        Ok(groups)
    }

    /// The next window that the watermark closes or ends, after `after`.
    fn next_window(&self, after: Option<EventTime>, local: Watermark) -> Option<EventTime> {
        let rest = match after {
            Some(after) => self.open.range(after.later(1)..),
            None => self.open.range(..),
        };
        rest.copied()
            .find(|&end| !self.is_closed(end) || self.ends(end, local))
            .filter(|&end| local.closes(end))
    }

    /// The next key group of a window that has groups, among `rest`.
    fn next_number(&self, end: EventTime, rest: KeyGroups) -> Option<KeyGroup> {
        let first = rest.first()?;
        if self.stored.contains(&end) {
            return Some(first);
        }
        self.members
            .range((end, first)..=(end, KeyGroup::LAST))
            .next()
            .map(|((_, number), _)| *number)
    }

    fn ends(&self, end: EventTime, local: Watermark) -> bool {
        end.earlier(1).later(self.windows.lateness_ms) <= local.time()
    }

    /// One step of a fire; true when it is over.
    fn step(&mut self, firing: &mut Firing, cx: &mut Context<'_>) -> Result<bool, OperatorError> {
        match firing {
            Firing::Watermark { watermark, local, window } => {
                let Some((end, rest)) = window
                    .or_else(|| self.next_window(None, *local).map(|end| (end, KeyGroups::ALL)))
                else {
                    self.passed = self.passed.max(Some(*local));
                    cx.out.push(Event::Watermark(*watermark));
                    return self.forget_gone(cx).map(|()| true);
                };
                let over = self.ends(end, *local);
                let Some(number) = self.next_number(end, rest) else {
                    cx.counters.windows_fired += u64::from(!self.is_closed(end));
                    tracing::debug!(end_ms = end.ms(), is_over = over, "a window has fired");
                    if over {
                        self.open.remove(&end);
                        self.stored.remove(&end);
                    }
                    *window = self.next_window(Some(end), *local).map(|end| (end, KeyGroups::ALL));
                    if window.is_none() {
                        self.passed = self.passed.max(Some(*local));
                    }
                    return Ok(false);
                };
                *window = Some((end, rest.after(number)));
                debug_assert!(
                    local.closes(end),
                    "the window that ends at {end} is sent before it is over"
                );
                let groups = self.gather(end, number, cx)?;
                if over || !self.is_closed(end) {
                    self.send(&groups, Some(end), cx)?;
                }
                if over {
                    self.members.remove(&(end, number));
                    self.gone += groups.len();
                    if self.stored.contains(&end) {
                        let mut changes = cx.db.batch();
                        self.groups.remove_stored(&groups, &mut changes);
                        cx.db.write(changes)?;
                    } else {
                        self.groups.remove_over(&groups);
                    }
                }
                Ok(false)
            }
            Firing::Clock { tick_ms } => {
                let Some(mut entry) = self.due.first_entry().filter(|e| *e.key() <= *tick_ms)
                else {
                    cx.out.push(Event::Tick(*tick_ms));
                    return Ok(true);
                };
                let keys = entry.get_mut();
                let taken: Vec<Box<[u8]>> =
                    keys.drain(keys.len().saturating_sub(STEP_GROUPS)..).collect();
                if keys.is_empty() {
                    entry.remove();
                }
                let groups = self.recall(&taken, cx)?;
                self.send(&groups, None, cx)?;
                Ok(false)
            }
        }
    }

    /// The groups of these keys, in memory from here on. What has been forgotten since is not among
    /// them.
    fn recall(&mut self, keys: &[Box<[u8]>], cx: &Context<'_>) -> Result<Vec<u32>, OperatorError> {
        let mut buf = KeyBuf::default();
        keys.iter().for_each(|key| buf.push(key));
        let hashes: Vec<u64> = buf.iter().map(hash_key).collect();
        let known = self.groups.in_memory();
        let groups = self.groups.find(&buf, &hashes, cx.now_ms, cx.db)?;
        self.admit(known);
        Ok(groups)
    }

    /// Gives the memory of groups back whose windows are over.
    fn forget_gone(&mut self, cx: &Context<'_>) -> Result<(), OperatorError> {
        if self.gone < GONE_MAX.max(self.groups.in_memory() / 2) {
            return Ok(());
        }
        let mut changes = cx.db.batch();
        self.spill(&mut changes)?;
        Ok(cx.db.write(changes)?)
    }
}

/// Rows that a send collects, column by column.
struct Changed<'a> {
    now: &'a [ArrayRef],
    ops: Vec<Op>,
    keys: Vec<u32>,
    parts: Vec<Vec<ArrayRef>>,
}

impl Changed<'_> {
    /// Adds a row: an old one, or that at `at` of the results as they are now.
    fn push(&mut self, op: Op, group: u32, old: Option<Vec<ArrayRef>>, at: usize) {
        self.ops.push(op);
        self.keys.push(group);
        let row = old.unwrap_or_else(|| self.now.iter().map(|c| c.slice(at, 1)).collect());
        self.parts.iter_mut().zip(row).for_each(|(part, value)| part.push(value));
    }
}

fn packed(columns: &[ArrayRef], row: usize) -> Vec<u8> {
    let row: Vec<ArrayRef> = columns.iter().map(|c| c.slice(row, 1)).collect();
    let mut out = Vec::new();
    pack(&row, 1, &mut out);
    out
}

impl Operator for WindowedGroups {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => self.fold(&rows, cx)?,
            Event::Watermark(w) => {
                let local = local_watermark(self.windows.zone.as_ref(), w);
                self.firing = Some(Firing::Watermark { watermark: w, local, window: None });
            }
            Event::Tick(tick_ms) if self.firing.is_none() && !self.due.is_empty() => {
                self.firing = Some(Firing::Clock { tick_ms });
            }
            tick @ Event::Tick(_) => cx.out.push(tick),
            Event::Barrier(epoch) => {
                self.groups.freeze();
                self.stored.extend(&self.open);
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
        let due: usize =
            self.due.values().flatten().map(|key| key.len() + size_of::<Box<[u8]>>()).sum();
        self.groups.memory_bytes() + due + self.groups.in_memory() * size_of::<u32>()
    }
}

impl Steps for WindowedGroups {
    fn has_work(&self) -> bool {
        self.firing.is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        if let Some(mut firing) = self.firing.take()
            && !self.step(&mut firing, cx)?
        {
            self.firing = Some(firing);
        }
        Ok(())
    }
}

impl State for WindowedGroups {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.groups.write_frozen(changes))
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        let spilled = self.groups.spill(changes);
        self.stored.extend(&self.open);
        self.members.clear();
        self.gone = 0;
        Ok(spilled)
    }

    fn marks(&self) -> OperatorState {
        OperatorState { fired_mark: self.passed, ..OperatorState::default() }
    }

    fn restore(&mut self, state: &OperatorState, db: &StateDb) -> Result<(), OperatorError> {
        self.passed = state.fired_mark;
        let waits = [self.windows.early, self.windows.late]
            .iter()
            .any(|pace| matches!(pace, Pace::After { .. }));
        for number in KeyGroups::ALL.iter() {
            let mut keys = Vec::new();
            self.groups.scan_windows(
                number,
                (EventTime::MIN, EventTime::MAX.earlier(1)),
                db,
                |end, key| {
                    self.open.insert(end);
                    self.stored.insert(end);
                    if waits {
                        keys.push(key.into());
                    }
                },
            )?;
            // Which of them have changed since they were sent is seen when they are due: at the
            // first tick.
            self.due.entry(i64::MIN).or_default().extend(keys);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "windowed_tests.rs"]
mod tests;
