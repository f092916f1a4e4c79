//! SUM of decimals: DECIMAL(p,s) sums to DECIMAL(38,s), and is NULL where the sum does not fit
//! there.
//!
//! What always holds: the result is a function of the values, whatever the order they are added,
//! taken back and merged in: sums are exact far beyond 38 digits. Flink's are not: there a sum that
//! leaves 38 digits becomes NULL at that row and *begins again* with the next. What is left depends
//! on which row came when, in windows also on when a partial sum was handed on (the same HOP window
//! gives another number when its rows are flushed at another watermark), and over rows that are
//! taken back on what was taken back since. Here rows of a batch, of splits and of workers are
//! added up before they meet, and such a sum would change from run to run; it is NULL instead.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int32Array};
use arrow::datatypes::{DataType, Decimal128Type, Int32Type};

use super::{Kernel, Selected};
use crate::operator::OperatorError;

/// The largest magnitude of DECIMAL(38, s), exclusive.
pub(super) const DECIMAL_LIMIT: i128 = 10i128.pow(38);

/// Exact sums, one per group: what is left in 128 bits, and how often they wrapped.
#[derive(Default)]
pub(super) struct WideSums {
    low: Vec<i128>,
    /// More than zero: beyond the top. 32 bits: it takes at least two values to wrap once.
    wraps: Vec<i32>,
}

impl WideSums {
    pub(super) fn resize(&mut self, groups: usize) {
        self.low.resize(groups, 0);
        self.wraps.resize(groups, 0);
    }

    #[inline]
    pub(super) fn add(&mut self, g: usize, value: i128) {
        let (sum, wrapped) = self.low[g].overflowing_add(value);
        self.low[g] = sum;
        if wrapped {
            self.wraps[g] += if value < 0 { -1 } else { 1 };
        }
    }

    pub(super) fn clear(&mut self, group: u32) {
        self.low[group as usize] = 0;
        self.wraps[group as usize] = 0;
    }

    /// The sum, where it fits into DECIMAL(38, s).
    pub(super) fn get(&self, g: usize) -> Option<i128> {
        (self.wraps[g] == 0 && self.low[g].unsigned_abs() < DECIMAL_LIMIT.unsigned_abs())
            .then_some(self.low[g])
    }

    /// Adds partial sums; those that are NULL add nothing.
    pub(super) fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        let (low, wraps) =
            (state[0].as_primitive::<Decimal128Type>(), state[1].as_primitive::<Int32Type>());
        for (row, &g) in groups.iter().enumerate().filter(|(row, _)| low.is_valid(*row)) {
            self.add(g as usize, low.value(row));
            self.wraps[g as usize] += wraps.value(row);
        }
    }

    /// The partial sums of groups, NULL where `known` says so. `sum_type` is DECIMAL(38, s).
    pub(super) fn state(
        &self,
        picks: &[u32],
        sum_type: &DataType,
        known: impl Fn(usize) -> bool,
    ) -> Vec<ArrayRef> {
        let low = picks
            .iter()
            .map(|&g| known(g as usize).then_some(self.low[g as usize]))
            .collect::<Decimal128Array>();
        let wraps = Int32Array::from_iter_values(picks.iter().map(|&g| self.wraps[g as usize]));
        vec![Arc::new(low.with_data_type(sum_type.clone())), Arc::new(wraps)]
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.low.capacity() * 16 + self.wraps.capacity() * 4
    }
}

/// `output` is DECIMAL(38, s).
pub(super) fn kernel(output: &DataType) -> Box<dyn Kernel> {
    Box::new(SumDecimal { sums: WideSums::default(), seen: vec![], output: output.clone() })
}

struct SumDecimal {
    sums: WideSums,
    seen: Vec<bool>,
    output: DataType,
}

impl Kernel for SumDecimal {
    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups);
        self.seen.resize(groups, false);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        let Some(argument) = argument else { return };
        let array = argument.as_primitive::<Decimal128Type>();
        rows.for_each(groups, array, |row, g| {
            self.sums.add(g, array.value(row));
            self.seen[g] = true;
        });
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        self.sums.merge(groups, state);
        for (row, &g) in groups.iter().enumerate() {
            self.seen[g as usize] |= state[0].is_valid(row);
        }
    }
    fn clear(&mut self, group: u32) {
        self.sums.clear(group);
        self.seen[group as usize] = false;
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        self.sums.state(picks, &self.output, |g| self.seen[g])
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![self.output.clone(), DataType::Int32]
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        let sums =
            picks.iter().map(|&g| self.sums.get(g as usize).filter(|_| self.seen[g as usize]));
        Ok(Arc::new(sums.collect::<Decimal128Array>().with_data_type(self.output.clone())))
    }
    fn memory_bytes(&self) -> usize {
        self.sums.memory_bytes() + self.seen.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums in two parts, merged.
    fn summed(values: &[i128], cut: usize) -> Option<i128> {
        let output = DataType::Decimal128(38, 0);
        let mut parts = [kernel(&output), kernel(&output)];
        for (part, values) in parts.iter_mut().zip([&values[..cut], &values[cut..]]) {
            part.resize(1);
            let values: ArrayRef =
                Arc::new(Decimal128Array::from(values.to_vec()).with_data_type(output.clone()));
            part.update(&vec![0; values.len()], Some(&values), Selected::ALL);
        }
        let state = parts[1].state(&[0]);
        parts[0].merge(&[0], &state);
        let sum = parts[0].evaluate(&[0]).expect("evaluates");
        sum.is_valid(0).then(|| sum.as_primitive::<Decimal128Type>().value(0))
    }

    #[test]
    fn a_sum_is_null_where_it_does_not_fit_whatever_the_order() {
        let most = DECIMAL_LIMIT - 1;
        for (values, expected) in [
            (vec![most, 1, -1], Some(most)),
            // Leaves 128 bits on the way.
            (vec![most, most, most, -most, -most, 5], None),
            (vec![most, most, most, -most, -most, -5], Some(most - 5)),
            // Comes around to a number that would fit.
            (vec![most, most, most, most], None),
            (vec![-most, -most, -most, -most], None),
            (vec![-most, -most, most, most], Some(0)),
            (vec![], None),
        ] {
            for turn in 0..values.len().max(1) {
                let mut turned = values.clone();
                turned.rotate_left(turn.min(values.len()));
                for cut in 0..=values.len() {
                    assert_eq!(summed(&turned, cut), expected, "{turned:?} cut at {cut}");
                }
            }
        }
    }
}
