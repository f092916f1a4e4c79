//! GROUPING SETS, ROLLUP and CUBE: every row once for each set, with the other sets' keys as NULL
//! and the set's number as a further key.
//!
//! Stands before the aggregation, which groups by all keys and the number. Holds nothing. What
//! always holds: the copies of a row follow each other, in the order of the sets.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::{Context, Event, Operator, OperatorError, Rows};

/// One grouping set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupingSet {
    /// For each key column: is it one of the set's?
    pub keeps: Vec<bool>,
    pub number: i64,
}

#[derive(Debug, Clone)]
pub struct ExpandSpec {
    /// Number of the first key column. The set's number comes behind the last.
    pub first_key: usize,
    pub sets: Vec<GroupingSet>,
    pub output: SchemaRef,
}

pub(crate) struct Expand {
    spec: ExpandSpec,
}

impl Expand {
    pub fn new(spec: ExpandSpec) -> Expand {
        Expand { spec }
    }

    fn expand(&self, rows: &Rows) -> Result<Rows, ArrowError> {
        let sets = &self.spec.sets;
        let copies =
            || (0..rows.len() as u32).flat_map(|row| sets.iter().map(move |set| (row, set)));
        let picks: UInt32Array = copies().map(|(row, _)| row).collect();
        let copied = rows.take(&picks)?;
        let keys = sets.first().map_or(0, |s| s.keeps.len());
        debug_assert!(sets.iter().all(|s| s.keeps.len() == keys), "grouping sets over other keys");
        let mut columns: Vec<ArrayRef> = copied.batch.columns().to_vec();
        for key in 0..keys {
            let kept: UInt32Array =
                copies().map(|(row, set)| set.keeps[key].then_some(row)).collect();
            columns[self.spec.first_key + key] =
                take(rows.batch.column(self.spec.first_key + key), &kept, None)?;
        }
        let numbers: Int64Array = copies().map(|(_, set)| Some(set.number)).collect();
        columns.insert(self.spec.first_key + keys, Arc::new(numbers));
        Ok(copied.with_batch(RecordBatch::try_new(self.spec.output.clone(), columns)?))
    }
}

impl Operator for Expand {
    fn on_event(&mut self, event: Event, cx: &mut Context<'_>) -> Result<(), OperatorError> {
        match event {
            Event::Rows(rows) => {
                let expanded = self.expand(&rows)?;
                cx.out.push(Event::Rows(expanded));
            }
            other => cx.out.push(other),
        }
        Ok(())
    }
}
