//! From results before and after to the rows that say what changed.
//!
//! Called by `aggregate` for rows of which no two share a group. Rows out come in the order of the
//! rows in that caused them, also where a batch was gone through in several rounds.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{and, concat, take};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use hashbrown::HashMap;

use crate::operator::{Op, Rows};
use crate::rows::batch_of;

/// What becomes of a group's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Appears,
    Stays,
    Disappears,
    /// There was none and there is none.
    Absent,
}

/// Collects the changes that a batch causes.
#[derive(Default)]
pub(crate) struct ChangeSet {
    /// Results and what is compared with them, one column list for each round and side.
    parts: Vec<Vec<ArrayRef>>,
    len: u32,
    /// (row of the batch that caused it, what happens, row in the concatenated parts).
    changes: Vec<(u32, Op, u32)>,
}

impl ChangeSet {
    /// Adds one round: `rows[i]` of the batch took a group from `before` to `after` (at i). With
    /// `always` results that did not change are sent too. Columns behind the results are compared,
    /// and not sent.
    pub fn add(
        &mut self,
        rows: &[u32],
        fates: &[Fate],
        before: Vec<ArrayRef>,
        after: Vec<ArrayRef>,
        always: bool,
    ) -> Result<(), ArrowError> {
        debug_assert!(
            rows.len() == fates.len() && before.iter().chain(&after).all(|c| c.len() == rows.len()),
            "sides of a round"
        );
        let n = rows.len() as u32;
        let same = if always { None } else { same_rows(&before, &after, rows.len())? };
        let (old, new) = (self.len, self.len + n);
        for (i, (&row, fate)) in rows.iter().zip(fates).enumerate() {
            let at = i as u32;
            match fate {
                Fate::Appears => self.changes.push((row, Op::Insert, new + at)),
                Fate::Disappears => self.changes.push((row, Op::Delete, old + at)),
                Fate::Stays if same.as_ref().is_none_or(|s| !s.value(i)) => {
                    self.changes.push((row, Op::UpdateBefore, old + at));
                    self.changes.push((row, Op::UpdateAfter, new + at));
                }
                Fate::Stays | Fate::Absent => {}
            }
        }
        self.parts.push(before);
        self.parts.push(after);
        self.len += 2 * n;
        Ok(())
    }

    /// The rows: `keys` of the batch, then the results. None if nothing changed.
    pub fn finish(
        mut self,
        keys: &[ArrayRef],
        output: &SchemaRef,
    ) -> Result<Option<Rows>, ArrowError> {
        if self.changes.is_empty() {
            return Ok(None);
        }
        // Stable: the two sides of an update stay together.
        self.changes.sort_by_key(|(row, _, _)| *row);
        let rows: UInt32Array = self.changes.iter().map(|(row, _, _)| *row).collect();
        let results: UInt32Array = self.changes.iter().map(|(_, _, at)| *at).collect();
        let mut columns =
            keys.iter().map(|k| take(k, &rows, None)).collect::<Result<Vec<_>, _>>()?;
        for column in 0..output.fields().len() - keys.len() {
            let parts: Vec<&dyn Array> = self.parts.iter().map(|p| p[column].as_ref()).collect();
            columns.push(take(&concat(&parts)?, &results, None)?);
        }
        let batch = batch_of(output.clone(), columns, rows.len())?;
        let ops = self.changes.iter().map(|(_, op, _)| *op).collect();
        Ok(Some(Rows { ops: Some(ops), ..Rows::new(batch) }))
    }
}

/// Where all columns agree, NULLs included. None: nowhere known.
fn same_rows(
    a: &[ArrayRef],
    b: &[ArrayRef],
    rows: usize,
) -> Result<Option<BooleanArray>, ArrowError> {
    let mut same = BooleanArray::from(vec![true; rows]);
    for (a, b) in a.iter().zip(b) {
        let equal = if is_comparable(a.data_type()) {
            not_distinct(a, b)?
        } else {
            // Nested values: one by one. To Flink no two arrays with a NULL in them are equal.
            let same = |i| a.slice(i, 1).to_data() == b.slice(i, 1).to_data() && !holds_null(a, i);
            (0..rows).map(|i| Some(same(i))).collect()
        };
        same = and(&same, &equal)?;
    }
    Ok(Some(same))
}

fn holds_null(column: &ArrayRef, row: usize) -> bool {
    column
        .as_list_opt::<i32>()
        .is_some_and(|lists| lists.is_valid(row) && lists.value(row).null_count() > 0)
}

fn is_comparable(data_type: &DataType) -> bool {
    !data_type.is_nested()
}

/// Rows of a batch in rounds, so that no group occurs twice in a round and each group's rows keep
/// their order.
pub fn rounds(groups: &[u32]) -> Vec<Vec<u32>> {
    let mut seen: HashMap<u32, usize> = HashMap::with_capacity(groups.len());
    let mut rounds: Vec<Vec<u32>> = Vec::new();
    for (row, &group) in groups.iter().enumerate() {
        let next = seen.entry(group).or_default();
        let round = *next;
        *next += 1;
        if round == rounds.len() {
            rounds.push(Vec::new());
        }
        rounds[round].push(row as u32);
    }
    rounds
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::Int64Array;
    use arrow::datatypes::{Field, Schema};

    #[test]
    fn a_group_occurs_once_in_a_round() {
        assert_eq!(rounds(&[1, 0, 1, 1, 2]), [vec![0, 1, 4], vec![2], vec![3]]);
        assert!(rounds(&[]).is_empty());
    }

    #[test]
    fn changes_come_in_the_order_of_the_rows_that_cause_them() {
        let numbers = |v: &[i64]| vec![Arc::new(Int64Array::from(v.to_vec())) as ArrayRef];
        let mut set = ChangeSet::default();
        set.add(&[0, 2], &[Fate::Appears, Fate::Stays], numbers(&[0, 7]), numbers(&[1, 7]), false)
            .unwrap();
        set.add(
            &[1, 3],
            &[Fate::Stays, Fate::Disappears],
            numbers(&[1, 7]),
            numbers(&[2, 0]),
            false,
        )
        .unwrap();
        let schema: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("k", DataType::Int64, true),
            Field::new("n", DataType::Int64, true),
        ]));
        let keys = numbers(&[5, 5, 6, 6]);
        let rows = set.finish(&keys, &schema).unwrap().expect("something changed");
        let ops: Vec<&str> = (0..rows.len()).map(|i| rows.op(i).name()).collect();
        assert_eq!(ops, ["+I", "-U", "+U", "-D"]);
        assert_eq!(
            format!("{:?}", rows.batch.column(0)),
            format!("{:?}", Int64Array::from(vec![5, 5, 5, 6]))
        );
        assert_eq!(
            format!("{:?}", rows.batch.column(1)),
            format!("{:?}", Int64Array::from(vec![1, 1, 2, 7]))
        );
    }
}
