//! Which rows of two batches match? In steps of some thousand pairs, so that a key with many rows
//! on both sides neither fills the memory nor holds up the worker.
//!
//! Used by `window`. What always holds: pairs come in the order of the left rows, those of one left
//! row in the order of the right; then the left rows without a match, then the right ones.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{filter, take};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion_common::DataFusionError;

use super::{JoinKind, JoinSpec};
use crate::operator::Context;
use crate::operator::calc::condition_mask;
use crate::operator::window::table::GroupIndex;
use crate::rows::batch_of;
use crate::state::key::{KeyBuf, encode_keys, hash_key};

/// Pairs looked at in one step.
const STEP_PAIRS: usize = 8192;

/// Two batches being joined.
pub struct Pairs {
    left: RecordBatch,
    right: RecordBatch,
    /// The group of equal keys of each left row; None: it matches nothing.
    left_groups: Vec<Option<u32>>,
    /// Right rows by group: those of group g are `rows[starts[g]..starts[g + 1]]`.
    starts: Vec<u32>,
    rows: Vec<u32>,
    left_matched: Vec<bool>,
    right_matched: Vec<bool>,
    /// NOT IN over a side with NULL, or whatever else lets nothing out.
    nothing: bool,
    at: Cursor,
}

#[derive(Clone, Copy)]
enum Cursor {
    /// Left row, and how many of its pairs are done.
    Pairs(usize, usize),
    LeftRest(usize),
    RightRest(usize),
    Done,
}

fn has_null(columns: &[ArrayRef], row: usize) -> bool {
    columns.iter().any(|c| c.is_null(row))
}

impl Pairs {
    pub fn new(spec: &JoinSpec, left: RecordBatch, right: RecordBatch) -> Pairs {
        let columns = |batch: &RecordBatch, keys: &[usize]| -> Vec<ArrayRef> {
            keys.iter().map(|&k| batch.column(k).clone()).collect()
        };
        let (left_keys, right_keys) =
            (columns(&left, &spec.keys[0]), columns(&right, &spec.keys[1]));
        let mut index = GroupIndex::default();
        let mut keys = KeyBuf::default();
        encode_keys(&right_keys, right.num_rows(), &mut keys);
        let mut right_groups: Vec<Option<u32>> = Vec::with_capacity(right.num_rows());
        for row in 0..right.num_rows() {
            let key = keys.get(row);
            right_groups
                .push((!has_null(&right_keys, row)).then(|| index.intern(key, hash_key(key)).0));
        }
        let mut starts = vec![0u32; index.len() + 1];
        right_groups.iter().flatten().for_each(|&g| starts[g as usize + 1] += 1);
        for g in 0..index.len() {
            starts[g + 1] += starts[g];
        }
        let mut next = starts.clone();
        let mut rows = vec![0; *starts.last().unwrap_or(&0) as usize];
        for (row, group) in right_groups.iter().enumerate() {
            if let Some(g) = group {
                rows[next[*g as usize] as usize] = row as u32;
                next[*g as usize] += 1;
            }
        }
        debug_assert_eq!(next[..index.len()], starts[1..], "a right row is in no group");
        encode_keys(&left_keys, left.num_rows(), &mut keys);
        let found = |row: usize| {
            if has_null(&left_keys, row) {
                None
            } else {
                index.find(keys.get(row), hash_key(keys.get(row)))
            }
        };
        let left_groups = (0..left.num_rows()).map(found).collect();
        let null_aware = spec.kind == JoinKind::NullAwareAnti;
        let nothing = null_aware && right_groups.iter().any(Option::is_none);
        let mut left_matched = vec![false; left.num_rows()];
        if null_aware && right.num_rows() > 0 {
            // Unknown is not true.
            (0..left.num_rows()).for_each(|row| left_matched[row] = has_null(&left_keys, row));
        }
        let right_matched = vec![false; right.num_rows()];
        Pairs {
            left,
            right,
            left_groups,
            starts,
            rows,
            left_matched,
            right_matched,
            nothing,
            at: Cursor::Pairs(0, 0),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.left.get_array_memory_size()
            + self.right.get_array_memory_size()
            + self.rows.len() * 8
            + self.left_groups.len() * 9
    }

    /// The next rows. None: there are no more. Pairs that the condition refuses go to the error
    /// stream.
    pub fn step(
        &mut self,
        spec: &JoinSpec,
        cx: &mut Context<'_>,
    ) -> Result<Option<RecordBatch>, DataFusionError> {
        if self.nothing {
            return Ok(None);
        }
        match self.at {
            Cursor::Pairs(row, done) => self.pairs(spec, row, done, cx).map(Some),
            Cursor::LeftRest(from) => {
                let (picks, next) = rest(&self.left_matched, from, spec.kind.keeps_left());
                self.at = next.map_or(Cursor::RightRest(0), Cursor::LeftRest);
                let nulls = UInt32Array::new_null(picks.len());
                self.output(spec, &picks.into(), &nulls).map(Some)
            }
            Cursor::RightRest(from) => {
                let (picks, next) = rest(&self.right_matched, from, spec.kind.keeps_right());
                self.at = next.map_or(Cursor::Done, Cursor::RightRest);
                let nulls = UInt32Array::new_null(picks.len());
                self.output(spec, &nulls, &picks.into()).map(Some)
            }
            Cursor::Done => Ok(None),
        }
    }

    fn pairs(
        &mut self,
        spec: &JoinSpec,
        mut row: usize,
        mut done: usize,
        cx: &mut Context<'_>,
    ) -> Result<RecordBatch, DataFusionError> {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        while row < self.left_groups.len() && left.len() < STEP_PAIRS {
            if let Some(group) = self.left_groups[row] {
                let (start, end) = (
                    self.starts[group as usize] as usize,
                    self.starts[group as usize + 1] as usize,
                );
                let n = (end - start - done).min(STEP_PAIRS - left.len());
                left.resize(left.len() + n, row as u32);
                right.extend_from_slice(&self.rows[start + done..start + done + n]);
                done += n;
                if start + done < end {
                    continue;
                }
            }
            row += 1;
            done = 0;
        }
        self.at = if row < self.left_groups.len() {
            Cursor::Pairs(row, done)
        } else {
            Cursor::LeftRest(0)
        };
        let (mut left, mut right) = (UInt32Array::from(left), UInt32Array::from(right));
        if let Some(condition) = &spec.condition {
            let both = self.side_by_side(&left, &right)?;
            let mask = condition_mask(condition, &both, cx);
            left = filter(&left, &mask)?.as_primitive().clone();
            right = filter(&right, &mask)?.as_primitive().clone();
        }
        let first_match = |row: &u32| !self.left_matched[*row as usize];
        // A left row of a semi join comes out at its first match.
        let mut new: Vec<u32> = if spec.kind == JoinKind::Semi {
            left.values().iter().copied().filter(first_match).collect()
        } else {
            vec![]
        };
        new.dedup();
        left.values().iter().for_each(|&row| self.left_matched[row as usize] = true);
        right.values().iter().for_each(|&row| self.right_matched[row as usize] = true);
        match spec.kind {
            JoinKind::Semi => self.output(spec, &new.into(), &UInt32Array::new_null(0)),
            JoinKind::Anti | JoinKind::NullAwareAnti => {
                Ok(RecordBatch::new_empty(spec.output.clone()))
            }
            _ => self.output(spec, &left, &right),
        }
    }

    fn side_by_side(
        &self,
        left: &UInt32Array,
        right: &UInt32Array,
    ) -> Result<RecordBatch, DataFusionError> {
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        for (batch, picks) in [(&self.left, left), (&self.right, right)] {
            for (column, field) in batch.columns().iter().zip(batch.schema().fields()) {
                columns.push(take(column, picks, None)?);
                fields.push(field.clone());
            }
        }
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        Ok(batch_of(schema, columns, left.len())?)
    }

    /// Rows of both sides; where one has no rows, of NULLs in its place.
    fn output(
        &self,
        spec: &JoinSpec,
        left: &UInt32Array,
        right: &UInt32Array,
    ) -> Result<RecordBatch, DataFusionError> {
        let column = |array: &ArrayRef, picks: &UInt32Array| -> Result<ArrayRef, DataFusionError> {
            if picks.null_count() > 0 && array.is_empty() {
                return Ok(new_null_array(array.data_type(), picks.len()));
            }
            Ok(take(array, picks, None)?)
        };
        let mut columns = Vec::with_capacity(spec.output.fields().len());
        for array in &self.left.columns()[..spec.widths[0]] {
            columns.push(column(array, left)?);
        }
        if !spec.kind.only_left() {
            for array in &self.right.columns()[..spec.widths[1]] {
                columns.push(column(array, right)?);
            }
        }
        Ok(batch_of(spec.output.clone(), columns, left.len())?)
    }
}

/// Some of the rows that found no match, and where to go on.
fn rest(matched: &[bool], from: usize, wanted: bool) -> (Vec<u32>, Option<usize>) {
    if !wanted {
        return (vec![], None);
    }
    let picks: Vec<u32> = (from..matched.len())
        .filter(|&row| !matched[row])
        .take(STEP_PAIRS)
        .map(|row| row as u32)
        .collect();
    let next = picks.last().filter(|_| picks.len() == STEP_PAIRS).map(|&last| last as usize + 1);
    (picks, next)
}
