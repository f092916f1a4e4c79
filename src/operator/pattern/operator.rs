//! The operator: rows wait, are looked at in order, and matches come out.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::DataType;

use super::automaton::Automaton;
use super::kept::KeyState;
use super::partial::{Found, Matched};
use super::values::{Places, values};
use super::{Condition, Operand, PatternSpec};
use crate::operator::calc::condition_mask;
use crate::operator::join::due::DueKeys;
use crate::operator::keyed::KeyedCache;
use crate::operator::over::waiting::{Due, Turns, Waiting};
use crate::operator::rank::sorted::sort_keys;
use crate::operator::window::event_times_ms;
use crate::operator::{Context, Event, Operator, OperatorError, OperatorState, Rows, State, Steps};
use crate::rows::batch_of;
use crate::state::key::{KeyBuf, decode_keys, encode_keys, hash_key};
use crate::state::layout::KeyedKind;
use crate::state::store::{Changes, StateDb};
use crate::time::{EventTime, Watermark};

pub(crate) struct Pattern {
    spec: PatternSpec,
    automaton: Automaton,
    /// For each state, the variables that a row may have to be looked at for.
    asked: Vec<Vec<usize>>,
    waiting: Waiting,
    keys: KeyedCache<KeyState>,
    /// Keys with partial matches that end for want of time.
    due: DueKeys,
    passed: Option<Watermark>,
    next_generation: u32,
    firing: Option<Watermark>,
}

/// A key whose rows are being looked at.
struct Turn {
    places: Places,
    /// Rows of the batch of those that come.
    coming: std::ops::Range<usize>,
}

/// The rows of several keys: those that were kept, then those that come, which are in order.
struct Batch {
    rows: RecordBatch,
    /// Where those that come begin.
    coming_at: usize,
    times: Vec<i64>,
    /// For each variable whose condition goes by the row alone, whether a row is one.
    of_the_row: Vec<Option<BooleanArray>>,
}

impl Pattern {
    /// Of a specification whose quantifiers are small enough.
    pub fn new(spec: PatternSpec) -> Pattern {
        let automaton = spec.automaton.clone();
        let asked = automaton.states().map(|state| automaton.asked(state)).collect();
        let waiting = &spec.waiting;
        let fields = waiting.partition.iter().map(|&c| waiting.input.field(c).clone()).collect();
        Pattern {
            asked,
            automaton,
            keys: KeyedCache::new(waiting.operator, KeyedKind::Pattern, (), None),
            // Beside the two inputs of those that wait.
            due: DueKeys::new(waiting.operator, 2, fields),
            waiting: Waiting::new(waiting),
            passed: None,
            next_generation: 0,
            firing: None,
            spec,
        }
    }

    fn partition_of(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.spec.waiting.partition.iter().map(|&c| rows.column(c).clone()).collect()
    }

    /// Looks at the rows that are due.
    fn look(
        &mut self,
        due: &Due,
        watermark: Watermark,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let (rows, turns) = Turns::split_off(&due.rows, &self.spec.waiting)?;
        let n = rows.num_rows();
        let times = event_times_ms(rows.column(self.spec.waiting.rowtime)).to_vec();
        let mut keys = KeyBuf::default();
        encode_keys(&self.partition_of(&rows), n, &mut keys);
        let columns: Vec<_> =
            self.spec.order.iter().map(|&(c, options)| (rows.column(c).clone(), options)).collect();
        let sorts = sort_keys(&columns, n);
        let mut order: Vec<u32> = (0..n as u32).collect();
        let place = |row: u32| {
            let row = row as usize;
            (keys.get(row), times[row], sorts.get(row), turns.arrival(row))
        };
        order.sort_by(|&a, &b| place(a).cmp(&place(b)));
        let picks = UInt32Array::from(order.clone());
        let columns = rows.columns().iter().map(|c| take(c, &picks, None));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let rows = batch_of(rows.schema(), columns, n)?;
        encode_keys(&self.partition_of(&rows), n, &mut keys);
        self.run(&keys, rows, watermark, cx)
    }

    /// Lets time pass for keys without rows.
    fn expire(
        &mut self,
        end: EventTime,
        watermark: Watermark,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let due = self.due.take(end, cx.db)?;
        let mut distinct: Vec<&[u8]> = due.iter().collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut keys = KeyBuf::default();
        distinct.into_iter().for_each(|key| keys.push(key));
        self.run(&keys, RecordBatch::new_empty(self.spec.waiting.input.clone()), watermark, cx)
    }

    /// Looks at rows, which are in order of their keys, or at none: `keys` are theirs, or those for
    /// which time passes.
    fn run(
        &mut self,
        keys: &KeyBuf,
        rows: RecordBatch,
        watermark: Watermark,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let hashes: Vec<u64> = keys.iter().map(hash_key).collect();
        self.keys.load(keys, &hashes, cx.now_ms, cx.db)?;
        let mut encoded = KeyBuf::default();
        encode_keys(rows.columns(), rows.num_rows(), &mut encoded);
        let (turns, batch) = self.gather(keys, rows, cx)?;
        let mut found: Vec<(Places, Matched)> = Vec::new();
        let mut expiries: BTreeMap<EventTime, Vec<u32>> = BTreeMap::new();
        for (index, turn) in &turns {
            let key = keys.get(*index);
            let before = self.keys.take(key);
            let was_open = before.is_some();
            let mut state = before.unwrap_or_default();
            let mut matches = Found::default();
            for row in turn.coming.clone() {
                let time = EventTime::at(batch.times[row]);
                self.let_pass(&mut state, time, &mut matches);
                self.step(&mut state, turn.places, &batch, row, time, cx)?;
                state.rows.push_back(encoded.get(row).into());
                state.partials.release(self.spec.skip, &mut matches);
            }
            self.let_pass(&mut state, watermark.time(), &mut matches);
            state.trim();
            if let Some(within_ms) = self.spec.within_ms
                && let Some(first) = state.partials.open.first()
            {
                let end = DueKeys::bucket(first.since.later(within_ms));
                expiries.entry(end).or_default().push(*index as u32);
            }
            for lost in matches.lost {
                self.fail(turn.places, &batch, &lost, cx);
            }
            found.extend(matches.matches.into_iter().map(|matched| (turn.places, matched)));
            // A key with nothing open is like one that has never been seen.
            let state = (!state.partials.is_empty()).then_some(state);
            if was_open || state.is_some() {
                self.keys.put(key, state, cx.now_ms);
            }
        }
        self.note(keys, expiries)?;
        self.send(&batch, &found, cx)
    }

    /// Notes when keys have to be looked at again.
    fn note(
        &mut self,
        keys: &KeyBuf,
        expiries: BTreeMap<EventTime, Vec<u32>>,
    ) -> Result<(), OperatorError> {
        if expiries.is_empty() {
            return Ok(());
        }
        let fields = self.spec.waiting.partition.iter();
        let types: Vec<DataType> =
            fields.map(|&c| self.spec.waiting.input.field(c).data_type().clone()).collect();
        let columns = decode_keys(&types, keys.iter())?;
        self.due.add(expiries, &columns, keys.len())
    }

    /// Time passes: partial matches end for want of it, and others need not wait for them any more.
    fn let_pass(&self, state: &mut KeyState, time: EventTime, found: &mut Found) {
        state.partials.expire(time, self.spec.within_ms);
        state.partials.release(self.spec.skip, found);
    }

    /// The rows that the keys have kept, in one batch with those that come.
    fn gather(
        &self,
        keys: &KeyBuf,
        rows: RecordBatch,
        cx: &mut Context<'_>,
    ) -> Result<(Vec<(usize, Turn)>, Batch), OperatorError> {
        let mut kept: Vec<&[u8]> = Vec::new();
        let mut turns: Vec<(usize, Turn)> = Vec::new();
        let mut index = 0;
        while index < keys.len() {
            let key = keys.get(index);
            let same = (index..keys.len()).take_while(|&i| keys.get(i) == key).count();
            let (mut first, mut next, kept_at) = (0, 0, kept.len() as u32);
            if let Some(state) = self.keys.get(key) {
                (first, next) = (state.first, state.next());
                kept.extend(state.rows.iter().map(AsRef::as_ref));
            }
            let coming = if rows.num_rows() == 0 { 0..0 } else { index..index + same };
            let places = Places { first, next, kept_at, coming_at: coming.start as u32 };
            turns.push((index, Turn { places, coming }));
            index += same;
        }
        let coming_at = kept.len();
        turns.iter_mut().for_each(|(_, turn)| turn.places.coming_at += coming_at as u32);
        let times = match rows.num_rows() {
            0 => vec![],
            _ => event_times_ms(rows.column(self.spec.waiting.rowtime)).to_vec(),
        };
        let conditions = self.spec.conditions.iter();
        let of_the_row = conditions
            .map(|condition| match condition {
                Some(condition) if condition.is_of_the_row() => {
                    let columns = operands(condition, &rows, |_| unreachable!("of the row alone"))?;
                    Ok(Some(holds(condition, columns, rows.num_rows(), cx)?))
                }
                _ => Ok(None),
            })
            .collect::<Result<Vec<_>, OperatorError>>()?;
        let schema = &self.spec.waiting.input;
        let types: Vec<DataType> = schema.fields().iter().map(|f| f.data_type().clone()).collect();
        let before = RecordBatch::try_new(schema.clone(), decode_keys(&types, kept.into_iter())?)?;
        let rows = if coming_at == 0 { rows } else { concat_batches(schema, [&before, &rows])? };
        Ok((turns, Batch { rows, coming_at, times, of_the_row }))
    }

    /// One row of a key: which variables it is for each partial match, and where that leads.
    fn step(
        &self,
        state: &mut KeyState,
        places: Places,
        batch: &Batch,
        row: usize,
        time: EventTime,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        let number = state.next();
        debug_assert_eq!(places.of(number) as usize, batch.coming_at + row);
        let begins = Matched { start: number, runs: vec![] };
        let open = &state.partials.open;
        // For each variable that goes by other rows too: the partial matches that ask, and whether
        // the row is one for them.
        let mut answers: Vec<Vec<Option<bool>>> = vec![vec![]; self.spec.variables.len()];
        for (variable, condition) in self.spec.conditions.iter().enumerate() {
            let Some(condition) = condition.as_ref().filter(|c| !c.is_of_the_row()) else {
                continue;
            };
            let asks = |state: u16| self.asked[usize::from(state)].contains(&variable);
            let states = open.iter().map(|p| p.state).chain([self.automaton.start()]);
            let asking: Vec<usize> =
                states.enumerate().filter(|(_, state)| asks(*state)).map(|(i, _)| i).collect();
            if asking.is_empty() {
                continue;
            }
            let matches: Vec<Matched> = asking
                .iter()
                .map(|&i| open.get(i).map_or(&begins, |p| &p.matched).with(variable))
                .collect();
            let with_places: Vec<(Places, &Matched)> =
                matches.iter().map(|matched| (places, matched)).collect();
            let here = batch.rows.slice(batch.coming_at + row, 1);
            let repeated = UInt32Array::from(vec![0; asking.len()]);
            let columns = here.columns().iter().map(|c| take(c, &repeated, None));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let here = batch_of(here.schema(), columns, asking.len())?;
            let columns = operands(condition, &here, |reference| {
                values(reference, &batch.rows, &with_places)
            })?;
            let mask = holds(condition, columns, asking.len(), cx)?;
            let answer = &mut answers[variable];
            answer.resize(open.len() + 1, None);
            for (at, i) in asking.into_iter().enumerate() {
                answer[i] = Some(mask.value(at));
            }
        }
        let is = |partial: usize, variable: usize| match &batch.of_the_row[variable] {
            Some(mask) => mask.value(row),
            None if self.spec.conditions[variable].is_none() => true,
            None => {
                let answer = answers[variable].get(partial).copied().flatten();
                debug_assert!(answer.is_some(), "a variable is asked for that was not looked at");
                answer.unwrap_or(false)
            }
        };
        state.partials.take(&self.automaton, (number, time), is);
        Ok(())
    }

    /// A match that AFTER MATCH names no row behind goes to the error stream.
    fn fail(&self, places: Places, batch: &Batch, lost: &Matched, cx: &mut Context<'_>) {
        let first = places.of(lost.start) as usize;
        let (Some(last), variables) = (lost.end().checked_sub(1), &self.spec.variables) else {
            return;
        };
        let length = places.of(last) as usize + 1 - first;
        let names: Vec<&str> =
            lost.runs.iter().map(|run| variables[run.variable].name.as_str()).collect();
        let reason = format!(
            "a match of {} has no row to go on at: AFTER MATCH SKIP names a variable that has none, or the match's first row, where \
             it would be found for ever",
            names.join(" ")
        );
        let whole = first + length <= batch.rows.num_rows();
        cx.fail(batch.rows.slice(first, if whole { length } else { 1 }), reason);
    }

    fn send(
        &self,
        batch: &Batch,
        found: &[(Places, Matched)],
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        if found.is_empty() {
            return Ok(());
        }
        let matches: Vec<(Places, &Matched)> =
            found.iter().map(|(places, matched)| (*places, matched)).collect();
        let firsts: UInt32Array =
            matches.iter().map(|(places, matched)| Some(places.of(matched.start))).collect();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for column in self.partition_of(&batch.rows) {
            columns.push(take(&column, &firsts, None)?);
        }
        for reference in &self.spec.measures {
            columns.push(values(reference, &batch.rows, &matches)?);
        }
        let batch = batch_of(self.spec.output.clone(), columns, matches.len())?;
        cx.out.push(Event::Rows(Rows::new(batch)));
        Ok(())
    }
}

/// What a condition sees: columns of the rows that are looked at, and what `of` says of others.
fn operands(
    condition: &Condition,
    rows: &RecordBatch,
    of: impl Fn(&super::Reference) -> Result<ArrayRef, OperatorError>,
) -> Result<Vec<ArrayRef>, OperatorError> {
    let operand = |operand: &Operand| match operand {
        Operand::Current(column) => Ok(rows.column(*column).clone()),
        Operand::Of(reference) => of(reference),
    };
    condition.operands.iter().map(operand).collect()
}

/// Where a condition holds. What fails it goes to the error stream.
fn holds(
    condition: &Condition,
    columns: Vec<ArrayRef>,
    rows: usize,
    cx: &mut Context<'_>,
) -> Result<BooleanArray, OperatorError> {
    let batch = batch_of(condition.schema.clone(), columns, rows)?;
    Ok(condition_mask(&condition.expr, &batch, cx))
}

impl Operator for Pattern {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => {
                let passed = self.passed.unwrap_or(Watermark::NONE);
                self.waiting.add(&self.spec.waiting, true, &rows, passed, cx)?;
            }
            Event::Watermark(w) => self.firing = Some(w),
            tick @ Event::Tick(_) => cx.out.push(tick),
            Event::Barrier(epoch) => {
                self.waiting.freeze();
                self.keys.freeze();
                self.due.freeze();
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
        self.waiting.memory_bytes() + self.keys.memory_bytes() + self.due.memory_bytes()
    }
}

impl Steps for Pattern {
    fn has_work(&self) -> bool {
        self.firing.is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Some(watermark) = self.firing else { return Ok(()) };
        if let Some(due) = self.waiting.next_due(&self.spec.waiting, watermark, cx)? {
            // Time has come as far as these rows; what is behind them comes in the next step.
            return self.look(&due, Watermark::at(due.limit.ms()).min(watermark), cx);
        }
        if let Some(end) = self.due.first(watermark) {
            return self.expire(end, watermark, cx);
        }
        self.firing = None;
        self.passed = self.passed.max(Some(watermark));
        cx.out.push(Event::Watermark(watermark));
        Ok(())
    }
}

impl State for Pattern {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        let rows = self.waiting.write_frozen(&mut self.next_generation, changes)?;
        let due = self.due.write_frozen(&mut self.next_generation, changes)?;
        Ok(self.keys.write_frozen(changes) && rows && due)
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        Ok(self.keys.spill(changes)
            || self.waiting.spill(&mut self.next_generation, changes)?
            || self.due.spill(&mut self.next_generation, changes)?)
    }

    fn marks(&self) -> OperatorState {
        OperatorState { fired_mark: self.passed, next_generation: self.next_generation }
    }

    fn restore(&mut self, state: &OperatorState, db: &StateDb) -> Result<(), OperatorError> {
        self.passed = state.fired_mark;
        self.next_generation = state.next_generation;
        self.waiting.restore(db)?;
        self.due.restore(db)
    }
}
