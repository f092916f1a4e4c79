//! COUNT(*) and COUNT(x): 64-bit counts, zero for a group without rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};

use super::{Kernel, Selected};
use crate::operator::OperatorError;

#[derive(Default)]
pub(crate) struct Count {
    counts: Vec<i64>,
}

impl Count {
    /// Counts each row as `by`.
    pub(super) fn add(
        &mut self,
        groups: &[u32],
        argument: Option<&ArrayRef>,
        rows: Selected<'_>,
        by: i64,
    ) {
        match argument {
            Some(argument) => rows.for_each(groups, argument, |_, g| self.counts[g] += by),
            None => {
                for (row, &g) in groups.iter().enumerate() {
                    self.counts[g as usize] += i64::from(rows.has(row)) * by;
                }
            }
        }
    }

    fn picked(&self, picks: &[u32]) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(picks.iter().map(|&g| self.counts[g as usize])))
    }
}

impl Kernel for Count {
    fn resize(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
    }

    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        self.add(groups, argument, rows, 1);
    }

    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        let counts = state[0].as_primitive::<Int64Type>().values();
        for (&g, count) in groups.iter().zip(counts) {
            self.counts[g as usize] += count;
        }
    }

    fn clear(&mut self, group: u32) {
        self.counts[group as usize] = 0;
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        vec![self.picked(picks)]
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64]
    }

    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        Ok(self.picked(picks))
    }

    fn memory_bytes(&self) -> usize {
        self.counts.capacity() * 8
    }
}
