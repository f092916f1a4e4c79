//! Rows beside those that a table outside has for their keys: `JOIN dim FOR SYSTEM_TIME AS OF
//! o.pt`.
//!
//! The operator asks for the keys of a batch, and everything that arrives meanwhile waits behind
//! it: rows, watermarks and barriers keep their order, and no checkpoint is taken with a question
//! open. What always holds: rows come out in the order in which they came in, each with its op,
//! watermark and arrival; a key with NULL is not asked for and matches nothing; at most
//! [`KEYS_MAX`] keys are asked for at a time. What comes out depends on what the table holds when
//! it is asked: a run again may give other rows.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array, new_null_array};
use arrow::compute::{filter, take};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion_physical_expr::PhysicalExpr;

use crate::lookup::{Answer, Asker, Key, Keys, LookupError};
use crate::operator::calc::condition_mask;
use crate::operator::{Context, Event, Operator, OperatorError, Rows, Steps};

/// Different keys of one question: ten batches of DynamoDB's, so that its latency is shared by many
/// rows and an answer is small.
const KEYS_MAX: usize = 1000;
/// Rows of a batch that comes out, if one row does not have more: about what a source's batch has.
const ROWS_MAX: usize = 8192;

/// A lookup join, resolved.
#[derive(Debug, Clone)]
pub struct LookupJoinSpec {
    /// The table, for messages.
    pub table: String,
    /// The table's columns that are asked by.
    pub key_names: Vec<String>,
    /// Columns of the input with the key, each of the type of the table's column.
    pub keys: Vec<usize>,
    /// Columns of the input that come out before those of the table.
    pub before: usize,
    /// Columns of the input that come out at all: those behind them were added for the keys.
    pub width: usize,
    /// LEFT JOIN: a row without a match comes out once, with NULLs.
    pub outer: bool,
    /// Whether a pair matches, over the columns that come out.
    pub condition: Option<Arc<dyn PhysicalExpr>>,
    /// A row matches one row at most.
    pub is_unique: bool,
    pub output: SchemaRef,
}

/// Rows that are being joined.
struct Current {
    rows: Rows,
    keys: Keys,
    /// Rows before this one are done.
    done: usize,
    /// Rows from `done` up to this one are those of the open question.
    asked: usize,
    /// For each of these, the number of its key in the question.
    numbers: Vec<Option<u32>>,
    answer: Option<Answer>,
}

pub(crate) struct LookupJoin {
    spec: LookupJoinSpec,
    asker: Asker,
    current: Option<Current>,
    /// What came meanwhile: no more than the operators before this one make of one event.
    queue: VecDeque<Event>,
}

/// FoundPairs of rows of a part of the input, and of the answer's; None: no match.
#[derive(Default)]
struct FoundPairs {
    left: Vec<u32>,
    right: Vec<Option<u32>>,
    /// The how many-th match of its row.
    ordinals: Vec<Option<i32>>,
}

impl FoundPairs {
    fn push(&mut self, row: usize, found: Option<u32>, ordinal: i32) {
        self.left.push(row as u32);
        self.right.push(found);
        self.ordinals.push(Some(ordinal));
    }
}

impl LookupJoin {
    pub fn new(spec: LookupJoinSpec, asker: Asker) -> LookupJoin {
        LookupJoin { spec, asker, current: None, queue: VecDeque::new() }
    }

    /// Takes up events until there is a question to wait for or an answer to give out.
    fn advance(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        while self.current.is_none()
            && let Some(event) = self.queue.pop_front()
        {
            match event {
                Event::Rows(rows) if !rows.is_empty() => {
                    let columns: Vec<ArrayRef> =
                        self.spec.keys.iter().map(|&k| rows.batch.column(k).clone()).collect();
                    let keys = self.asker.encode(&columns)?;
                    let current =
                        Current { rows, keys, done: 0, asked: 0, numbers: vec![], answer: None };
                    self.ask(current)?;
                }
                Event::Rows(_) => {}
                other => cx.out.push(other),
            }
        }
        Ok(())
    }

    /// Asks for the keys of the next rows.
    fn ask(&mut self, mut current: Current) -> Result<(), LookupError> {
        let mut numbers: HashMap<&[u8], u32> = HashMap::new();
        let mut question: Vec<Key> = Vec::new();
        current.numbers.clear();
        current.asked = current.done;
        for row in current.done..current.keys.len() {
            let number = match current.keys.get(row) {
                None => None,
                Some(key) => match numbers.get(key) {
                    Some(number) => Some(*number),
                    None if question.len() == KEYS_MAX => break,
                    None => {
                        let number = question.len() as u32;
                        numbers.insert(key, number);
                        question.push(key.into());
                        Some(number)
                    }
                },
            };
            current.numbers.push(number);
            current.asked += 1;
        }
        self.asker.ask(question)?;
        self.current = Some(current);
        Ok(())
    }

    /// Gives out some rows of those whose keys are answered. Afterwards `current` is there only if
    /// there are more.
    fn give_out(
        &mut self,
        mut current: Current,
        answer: Answer,
        cx: &mut Context<'_>,
    ) -> Result<(), OperatorError> {
        debug_assert!(
            current.done <= current.asked && current.asked <= current.rows.len(),
            "rows are given out that were not asked for"
        );
        let first = current.asked - current.numbers.len();
        let mut pairs = FoundPairs::default();
        let from = current.done;
        while current.done < current.asked && pairs.left.len() < ROWS_MAX {
            let row = current.done - from;
            let number = current.numbers[current.done - first].map(|n| n as usize);
            let found = number.map_or(0..0, |n| answer.starts[n]..answer.starts[n + 1]);
            if found.is_empty() && self.spec.outer {
                pairs.push(row, None, 1);
            }
            for (ordinal, at) in found.enumerate() {
                pairs.push(row, Some(at), ordinal as i32 + 1);
            }
            current.done += 1;
        }
        let part = current.rows.slice(from, current.done - from);
        let joined = self.joined(&part, &answer.rows, pairs, cx);
        cx.out.extend(joined?.map(Event::Rows));
        if current.done < current.asked {
            current.answer = Some(answer);
            self.current = Some(current);
        } else if current.done < current.rows.len() {
            self.ask(current)?;
        }
        Ok(())
    }

    /// The rows of these pairs that match.
    fn joined(
        &self,
        part: &Rows,
        found: &RecordBatch,
        pairs: FoundPairs,
        cx: &mut Context<'_>,
    ) -> Result<Option<Rows>, ArrowError> {
        let FoundPairs { left, right, ordinals } = pairs;
        let (mut left, mut right) = (UInt32Array::from(left), UInt32Array::from(right));
        let mut ordinals: arrow::array::Int32Array = ordinals.into();
        let mut batch = self.side_by_side(&part.batch, found, &left, &right)?;
        if let Some(condition) = &self.spec.condition {
            let mut mask = condition_mask(condition, &batch, cx);
            if self.spec.outer {
                (mask, right) = keep_first(&mask, &left, &right);
            }
            (left, right) = (
                filter(&left, &mask)?.as_primitive().clone(),
                filter(&right, &mask)?.as_primitive().clone(),
            );
            ordinals = filter(&ordinals, &mask)?.as_primitive().clone();
            batch = self.side_by_side(&part.batch, found, &left, &right)?;
        }
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let mut out = part.take(&left)?.with_batch(batch);
        if !self.spec.is_unique {
            out.arrivals = out.arrivals.map(|a| a.apart(&ordinals.iter().collect::<Vec<_>>()));
        }
        Ok(Some(out))
    }

    fn side_by_side(
        &self,
        part: &RecordBatch,
        found: &RecordBatch,
        left: &UInt32Array,
        right: &UInt32Array,
    ) -> Result<RecordBatch, ArrowError> {
        let mut columns = part.columns()[..self.spec.width]
            .iter()
            .map(|c| take(c, left, None))
            .collect::<Result<Vec<_>, _>>()?;
        let right = found.columns().iter().map(|column| match column.is_empty() {
            // There is nothing to take from.
            true => Ok(new_null_array(column.data_type(), right.len())),
            false => take(column, right, None),
        });
        let right = right.collect::<Result<Vec<_>, _>>()?;
        columns.splice(self.spec.before..self.spec.before, right);
        let options = RecordBatchOptions::new().with_row_count(Some(left.len()));
        RecordBatch::try_new_with_options(self.spec.output.clone(), columns, &options)
    }
}

/// For LEFT JOIN: a row none of whose pairs match keeps its first one, without the other side.
fn keep_first(
    mask: &BooleanArray,
    left: &UInt32Array,
    right: &UInt32Array,
) -> (BooleanArray, UInt32Array) {
    let mut keep: Vec<bool> = mask.iter().map(|m| m == Some(true)).collect();
    let mut right: Vec<Option<u32>> = right.iter().collect();
    let mut start = 0;
    while start < keep.len() {
        let row = left.value(start);
        let end = start + left.values()[start..].iter().take_while(|r| **r == row).count();
        if !keep[start..end].contains(&true) {
            keep[start] = true;
            right[start] = None;
        }
        start = end;
    }
    (keep.into(), right.into())
}

impl Operator for LookupJoin {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        self.queue.push_back(event);
        self.advance(cx)
    }

    fn steps(&mut self) -> Option<&mut dyn Steps> {
        Some(self)
    }
}

impl Steps for LookupJoin {
    fn has_work(&self) -> bool {
        self.current.is_some()
    }

    fn is_waiting(&self) -> bool {
        self.current.as_ref().is_some_and(|c| c.answer.is_none()) && self.asker.is_waiting()
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        if self.is_waiting() {
            return Ok(());
        }
        if let Some(mut current) = self.current.take() {
            match current.answer.take() {
                Some(answer) => self.give_out(current, answer, cx)?,
                None => match self.asker.take()? {
                    Some(answer) => self.give_out(current, answer, cx)?,
                    None => self.current = Some(current),
                },
            }
        }
        self.advance(cx)
    }
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
