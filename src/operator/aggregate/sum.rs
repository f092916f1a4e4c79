//! SUM with Flink's types: integers wrap at their own width, FLOAT and DOUBLE add up as doubles;
//! decimals: `sum_decimal`. NULL if no value was added.
//!
//! Integer sums are kept as wrapping 64-bit sums: cut to 8, 16 or 32 bits at the end, that is the
//! sum that wrapped there.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};

use super::{Kernel, Selected, sum_decimal};
use crate::operator::OperatorError;

pub(crate) fn kernel(input: &DataType, output: &DataType) -> Box<dyn Kernel> {
    match input {
        DataType::Decimal128(_, _) => sum_decimal::kernel(output),
        DataType::Float32 | DataType::Float64 => {
            Box::new(SumFloat { sums: vec![], seen: vec![], output: output.clone() })
        }
        _ => Box::new(SumInteger { sums: vec![], seen: vec![], output: output.clone() }),
    }
}

/// Calls `f(group, value)` for every value of an integer column that takes part.
#[inline]
pub(super) fn each_integer(
    groups: &[u32],
    argument: &ArrayRef,
    rows: Selected<'_>,
    mut f: impl FnMut(usize, i64),
) {
    macro_rules! go {
        ($t:ty) => {{
            let array = argument.as_primitive::<$t>();
            let values = array.values();
            rows.for_each(groups, array, |row, g| f(g, i64::from(values[row])));
        }};
    }
    match argument.data_type() {
        DataType::Int8 => go!(Int8Type),
        DataType::Int16 => go!(Int16Type),
        DataType::Int32 => go!(Int32Type),
        _ => go!(Int64Type),
    }
}

/// Calls `f(group, value)` for every value of a FLOAT or DOUBLE column that takes part.
#[inline]
pub(super) fn each_float(
    groups: &[u32],
    argument: &ArrayRef,
    rows: Selected<'_>,
    mut f: impl FnMut(usize, f64),
) {
    if argument.data_type() == &DataType::Float32 {
        let array = argument.as_primitive::<arrow::datatypes::Float32Type>();
        rows.for_each(groups, array, |row, g| f(g, f64::from(array.value(row))));
    } else {
        let array = argument.as_primitive::<Float64Type>();
        rows.for_each(groups, array, |row, g| f(g, array.value(row)));
    }
}

/// A 64-bit sum cut to the width of an integer type.
pub(super) fn wrap(values: impl Iterator<Item = Option<i64>>, output: &DataType) -> ArrayRef {
    macro_rules! cut {
        ($t:ty, $n:ty) => {
            Arc::new(
                values.map(|v| v.map(|v| v as $n)).collect::<arrow::array::PrimitiveArray<$t>>(),
            )
        };
    }
    match output {
        DataType::Int8 => cut!(Int8Type, i8),
        DataType::Int16 => cut!(Int16Type, i16),
        DataType::Int32 => cut!(Int32Type, i32),
        _ => Arc::new(values.collect::<Int64Array>()),
    }
}

struct SumInteger {
    sums: Vec<i64>,
    seen: Vec<bool>,
    output: DataType,
}

impl SumInteger {
    #[inline]
    fn add(&mut self, g: usize, v: i64) {
        self.sums[g] = self.sums[g].wrapping_add(v);
        self.seen[g] = true;
    }
    fn picked(&self, picks: &[u32]) -> impl Iterator<Item = Option<i64>> {
        picks.iter().map(|&g| self.seen[g as usize].then_some(self.sums[g as usize]))
    }
}

impl Kernel for SumInteger {
    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, 0);
        self.seen.resize(groups, false);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        if let Some(argument) = argument {
            each_integer(groups, argument, rows, |g, v| self.add(g, v));
        }
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        each_integer(groups, &state[0], Selected::ALL, |g, v| self.add(g, v));
    }
    fn clear(&mut self, group: u32) {
        self.sums[group as usize] = 0;
        self.seen[group as usize] = false;
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        vec![Arc::new(self.picked(picks).collect::<Int64Array>())]
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64]
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        Ok(wrap(self.picked(picks), &self.output))
    }
    fn memory_bytes(&self) -> usize {
        self.sums.capacity() * 8 + self.seen.capacity()
    }
}

struct SumFloat {
    sums: Vec<f64>,
    seen: Vec<bool>,
    output: DataType,
}

impl Kernel for SumFloat {
    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, 0.0);
        self.seen.resize(groups, false);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        if let Some(argument) = argument {
            each_float(groups, argument, rows, |g, v| {
                self.sums[g] += v;
                self.seen[g] = true;
            });
        }
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        self.update(groups, Some(&state[0]), Selected::ALL);
    }
    fn clear(&mut self, group: u32) {
        self.sums[group as usize] = 0.0;
        self.seen[group as usize] = false;
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        vec![Arc::new(
            picks
                .iter()
                .map(|&g| self.seen[g as usize].then_some(self.sums[g as usize]))
                .collect::<Float64Array>(),
        )]
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Float64]
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        let sums = self.state(picks).remove(0);
        if self.output == DataType::Float32 {
            return Ok(Arc::new(
                sums.as_primitive::<Float64Type>()
                    .unary::<_, arrow::datatypes::Float32Type>(|v| v as f32),
            ));
        }
        Ok(sums)
    }
    fn memory_bytes(&self) -> usize {
        self.sums.capacity() * 8 + self.seen.capacity()
    }
}
