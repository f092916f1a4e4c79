//! The regular join: rows of two inputs without a bound in time. Each row is joined with what the
//! other input has by then, and is kept for what it will have.
//!
//! Rows of either input may be taken back. In reading order: this file (the operator), `changes`
//! (what one row changes), `kept` (the rows of an input). A row with more matches than a step should
//! make is worked off in several steps.
//!
//! What always holds: the rows that come out make the table that SQL says for the rows that have
//! come in; no row is ever late here; what is kept is all rows, or with a TTL those that changed
//! within it.

pub(crate) mod changes;
pub(crate) mod kept;
#[cfg(test)]
mod tests;

use std::time::Duration;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};

use super::JoinSpec;
use super::columns::picked;
use crate::operator::calc::condition_mask;
use crate::operator::{Context, Event, Op, Operator, OperatorError, Rows, State, Steps};
use crate::state::key::{KeyBuf, encode_keys, hash_key};
use crate::state::store::Changes;
use changes::{Shown, alone, counts_matches, pair};
use kept::{Kept, KeptRows};

/// A regular join, resolved.
#[derive(Debug, Clone)]
pub struct RegularSpec {
    pub join: JoinSpec,
    /// A NULL of the keys is equal to a NULL.
    pub nulls_match: bool,
    /// For each input: a row is forgotten when it did not change for so long
    /// (`table.exec.state.ttl`, or the hint STATE_TTL); None: never.
    pub ttls: [Option<Duration>; 2],
}

/// Pairs looked at in one step.
const STEP_PAIRS: usize = 8192;
/// Steps that a batch is given at once: nearly always it needs no more, and a chain with a step
/// under way takes nothing while a checkpoint is made.
const STEPS_AT_ONCE: usize = 4;

pub(crate) struct RegularJoin {
    spec: RegularSpec,
    kept: [KeptRows; 2],
    work: Option<Work>,
}

/// A batch that is being joined.
struct Work {
    rows: Rows,
    input: usize,
    keys: KeyBuf,
    hashes: Vec<u64>,
    /// The rows as they are kept.
    encoded: KeyBuf,
    /// Whether a row's key can be equal to another.
    has_key: Vec<bool>,
    /// The row that is looked at.
    row: usize,
    /// The last row of the other input that it has met; None: none yet.
    after: Option<Box<[u8]>>,
    /// Rows that it has been joined with so far.
    matched: u32,
}

/// Rows of the other input that the rows of a step may be joined with.
#[derive(Default)]
struct Candidates {
    /// The row of the batch.
    own: Vec<u32>,
    others: KeyBuf,
    kept: Vec<Kept>,
    parts: Vec<Part>,
}

/// Candidates of one row: those from the end of the part before.
struct Part {
    row: usize,
    end: usize,
    /// The row has no more.
    is_last: bool,
}

/// A row that comes out: what it does, the row of the batch and the candidate that it shows.
type Shows = (Op, Option<u32>, Option<u32>);

/// What comes out of a step.
#[derive(Default)]
struct Output {
    rows: Vec<Shows>,
    /// The row of the batch that caused each.
    causes: Vec<u32>,
}

impl RegularJoin {
    pub fn new(spec: RegularSpec) -> RegularJoin {
        let [left, right] = spec.ttls;
        let operator = spec.join.operator;
        let kept = [KeptRows::new(operator, 0, left), KeptRows::new(operator, 1, right)];
        RegularJoin { spec, kept, work: None }
    }

    /// Takes up a batch: brings what is kept of its rows and keys into memory.
    fn begin(&mut self, rows: Rows, cx: &Context<'_>) -> Result<(), OperatorError> {
        debug_assert!(self.work.is_none(), "a batch comes while another is being joined");
        let input = usize::from(rows.input & 1);
        let columns: Vec<ArrayRef> =
            self.spec.join.keys[input].iter().map(|&c| rows.batch.column(c).clone()).collect();
        let mut keys = KeyBuf::default();
        encode_keys(&columns, rows.len(), &mut keys);
        let hashes: Vec<u64> = keys.iter().map(hash_key).collect();
        let mut encoded = KeyBuf::default();
        encode_keys(rows.batch.columns(), rows.len(), &mut encoded);
        let has_null = |row: usize| columns.iter().any(|c| c.is_null(row));
        let has_key: Vec<bool> =
            (0..rows.len()).map(|row| self.spec.nulls_match || !has_null(row)).collect();
        let picks: Vec<u32> = (0..rows.len() as u32).filter(|&i| has_key[i as usize]).collect();
        let [left, right] = &mut self.kept;
        let (own, other) = if input == 0 { (left, right) } else { (right, left) };
        own.load_rows(&picks, (&keys, &hashes, &encoded), cx.now_ms, cx.db)?;
        // Half of what is left, since rows in columns take as much again.
        let room = (cx.room_bytes / 2, cx.now_ms);
        other.load_keys(&picks, (&keys, &hashes), room, cx.db)?;
        self.work = Some(Work {
            rows,
            input,
            keys,
            hashes,
            encoded,
            has_key,
            row: 0,
            after: None,
            matched: 0,
        });
        Ok(())
    }

    /// Joins some more of the batch.
    fn step(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        let Some(mut work) = self.work.take() else { return Ok(()) };
        let found = self.candidates(&mut work, cx)?;
        let other_input = 1 - work.input;
        let others = self.spec.join.decoded(other_input, found.others.iter())?;
        let holds = match &self.spec.join.condition {
            Some(condition) if !found.own.is_empty() => {
                let own = UInt32Array::from(found.own.clone());
                let own = picked(work.rows.batch.columns(), &own)?;
                let both = self.spec.join.side_by_side(work.input, own, others.clone())?;
                condition_mask(condition, &both, cx)
            }
            _ => BooleanArray::from(vec![true; found.own.len()]),
        };
        let mut output = Output::default();
        let mut at = 0;
        for part in &found.parts {
            for candidate in at..part.end {
                if holds.value(candidate) {
                    self.meet(&mut work, part.row, &found, candidate, cx.now_ms, &mut output);
                }
            }
            at = part.end;
            if part.is_last {
                self.finish_row(&mut work, part.row, cx.now_ms, &mut output);
            }
        }
        self.send(&work, &others, output, cx)?;
        if work.row < work.rows.len() {
            self.work = Some(work);
        }
        Ok(())
    }

    /// The next pairs to look at.
    fn candidates(&self, work: &mut Work, cx: &Context<'_>) -> Result<Candidates, OperatorError> {
        let other = &self.kept[1 - work.input];
        let mut found = Candidates::default();
        while work.row < work.rows.len() && found.own.len() < STEP_PAIRS {
            let row = work.row;
            let mut is_last = true;
            if work.has_key[row] {
                let key = (work.keys.get(row), work.hashes[row]);
                let limit = STEP_PAIRS - found.own.len();
                let (page, more) =
                    other.page(key, work.after.as_deref(), limit, cx.now_ms, cx.db)?;
                found.own.resize(found.own.len() + page.kept.len(), row as u32);
                page.rows.iter().for_each(|other| found.others.push(other));
                found.kept.extend_from_slice(&page.kept);
                is_last = !more;
                work.after = match page.kept.len() {
                    last if more && last > 0 => Some(page.rows.get(last - 1).into()),
                    _ => None,
                };
                debug_assert!(!more || work.after.is_some(), "a row meets the same rows again");
            }
            found.parts.push(Part { row, end: found.own.len(), is_last });
            if is_last {
                work.row += 1;
            }
        }
        Ok(found)
    }

    /// A row of the batch is joined with a candidate.
    fn meet(
        &mut self,
        work: &mut Work,
        row: usize,
        found: &Candidates,
        candidate: usize,
        now_ms: i64,
        output: &mut Output,
    ) {
        let (kind, other_input) = (self.spec.join.kind, 1 - work.input);
        let (key, other) = (work.keys.get(row), found.others.get(candidate));
        let counts = counts_matches(kind, other_input);
        let mut kept = found.kept[candidate];
        if counts {
            // A row before it in the same step may have met the same candidate.
            kept = self.kept[other_input].get(key, other, now_ms).unwrap_or(kept);
        }
        let op = work.rows.op(row);
        let (from, mut matches) = (output.rows.len(), kept.matches);
        matches = pair(kind, work.input, op, matches, |op, shown| {
            output.add(op, shown, row, Some(candidate));
        });
        let until = output.rows.len();
        for _ in 1..kept.count {
            output.repeat(from..until);
        }
        if counts {
            let kept = Some(Kept { matches, ..kept });
            self.kept[other_input].set(key, work.hashes[row], other, kept, now_ms);
        }
        work.matched = work.matched.saturating_add(kept.count);
    }

    /// All pairs of a row are known: it comes out alone if it has to, and is kept or forgotten.
    fn finish_row(&mut self, work: &mut Work, row: usize, now_ms: i64, output: &mut Output) {
        let matched = std::mem::take(&mut work.matched);
        let (kind, input, op) = (self.spec.join.kind, work.input, work.rows.op(row));
        alone(kind, input, op, matched, |op, shown| output.add(op, shown, row, None));
        if !work.has_key[row] {
            return;
        }
        let own = &mut self.kept[input];
        let (key, encoded) = (work.keys.get(row), work.encoded.get(row));
        let known = own.get(key, encoded, now_ms);
        let kept = if op.adds() {
            let count = known.map_or(0, |known| known.count).saturating_add(1);
            let matches = if counts_matches(kind, input) { matched } else { 0 };
            Some(Kept { count, matches })
        } else {
            // What is taken back and not there was forgotten before.
            let Some(known) = known else { return };
            known
                .count
                .checked_sub(1)
                .filter(|&count| count > 0)
                .map(|count| Kept { count, ..known })
        };
        own.set(key, work.hashes[row], encoded, kept, now_ms);
    }

    fn send(
        &self,
        work: &Work,
        others: &[ArrayRef],
        output: Output,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        if output.rows.is_empty() {
            return Ok(());
        }
        let spec = &self.spec.join;
        let own: UInt32Array = output.rows.iter().map(|(_, own, _)| *own).collect();
        let other: UInt32Array = output.rows.iter().map(|(_, _, other)| *other).collect();
        let [left_width, right_width] = spec.widths;
        let own_width = spec.widths[work.input].min(work.rows.batch.num_columns());
        let own = picked(&work.rows.batch.columns()[..own_width], &own)?;
        let other = picked(&others[..spec.widths[1 - work.input]], &other)?;
        let (left, right) = if work.input == 0 { (own, other) } else { (other, own) };
        debug_assert_eq!((left.len(), right.len()), (left_width, right_width));
        let columns = if spec.kind.only_left() { left } else { [left, right].concat() };
        let options = RecordBatchOptions::new().with_row_count(Some(output.rows.len()));
        let batch = RecordBatch::try_new_with_options(spec.output.clone(), columns, &options)?;
        let inserts = output.rows.iter().all(|(op, ..)| *op == Op::Insert);
        let ops = (!inserts).then(|| output.rows.iter().map(|(op, ..)| *op).collect());
        // Windows behind are closed for a change as they are for the row that caused it.
        let watermarks_ms = work
            .rows
            .watermarks_ms
            .as_ref()
            .map(|marks| output.causes.iter().map(|&row| marks[row as usize]).collect());
        cx.out.push(Event::Rows(Rows { ops, watermarks_ms, ..Rows::new(batch) }));
        Ok(())
    }
}

impl Output {
    fn add(&mut self, op: Op, shown: Shown, row: usize, candidate: Option<usize>) {
        let own = (shown != Shown::Other).then_some(row as u32);
        let other = candidate.filter(|_| shown != Shown::Own).map(|c| c as u32);
        self.rows.push((op, own, other));
        self.causes.push(row as u32);
    }

    /// Has these rows come out once more.
    fn repeat(&mut self, rows: std::ops::Range<usize>) {
        self.rows.extend_from_within(rows.clone());
        self.causes.extend_from_within(rows);
    }
}

impl Operator for RegularJoin {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) if rows.is_empty() => {}
            Event::Rows(rows) => {
                self.begin(rows, cx)?;
                for _ in 0..STEPS_AT_ONCE {
                    self.step(cx)?;
                }
            }
            Event::Barrier(epoch) => {
                for kept in &mut self.kept {
                    kept.sweep(cx.now_ms, cx.db)?;
                    kept.freeze();
                }
                cx.out.push(Event::Barrier(epoch));
            }
            Event::Partials(_) => return Err(OperatorError::no_place_for_partials()),
            other => cx.out.push(other),
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
        let of_work = |work: &Work| {
            work.rows.batch.get_array_memory_size()
                + work.keys.memory_bytes()
                + work.encoded.memory_bytes()
        };
        let kept: usize = self.kept.iter().map(KeptRows::memory_bytes).sum();
        kept + self.work.as_ref().map_or(0, of_work)
    }
}

impl Steps for RegularJoin {
    fn has_work(&self) -> bool {
        self.work.is_some()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.step(cx)
    }
}

impl State for RegularJoin {
    fn write_frozen(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        let [left, right] = &mut self.kept;
        Ok(left.write_frozen(changes) && right.write_frozen(changes))
    }

    fn spill(&mut self, changes: &mut Changes) -> Result<bool, OperatorError> {
        if self.work.is_some() {
            // Its rows are looked up among those in memory.
            return Ok(false);
        }
        let [left, right] = &mut self.kept;
        // Neither is left out.
        Ok(left.spill(changes) | right.spill(changes))
    }
}
