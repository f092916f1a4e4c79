//! STDDEV_POP, STDDEV_SAMP, VAR_POP and VAR_SAMP with Flink's types: the argument's own,
//! DECIMAL(p,s) as DECIMAL(38, max(s, 6)).
//!
//! Flink adds up DOUBLEs by Welford's method whatever the argument's type, and casts the result: to
//! an integer cut toward zero, to a DECIMAL rounded half up. FLOAT and DOUBLE are done in the same
//! way here (over rows that are taken back: `moments_float`), integers and decimals exactly
//! (`moments_exact`).
//!
//! NULL if no value was added, and for a sample of one. Welford, "Note on a method for calculating
//! corrected sums of squares and products" (Technometrics, 1962); partial sums are merged as in
//! Chan, Golub and LeVeque (1979).

mod exact;
mod float;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type};

use super::retract::RetractKernel;
use super::sum::each_float;
use super::{Kernel, Selected};
use crate::operator::OperatorError;
use crate::operator::aggregate::moments::exact::Exact;
use crate::operator::aggregate::moments::float as moments_float;

/// The result type, or None if the argument is no number.
pub(crate) fn result_type(input: &DataType) -> Option<DataType> {
    use DataType::{Decimal128, Float32, Float64, Int8, Int16, Int32, Int64};
    match input {
        Int8 | Int16 | Int32 | Int64 | Float32 | Float64 => Some(input.clone()),
        Decimal128(_, s) => Some(Decimal128(38, (*s).max(6))),
        _ => None,
    }
}

/// What is made of the sums.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    /// Divides by one less than the count.
    pub sample: bool,
    /// Takes the square root.
    pub root: bool,
}

impl Moment {
    /// The divisor of the sum of squared differences; None where there is none.
    pub(super) fn divisor(self, count: i64) -> Option<i64> {
        let divisor = if self.sample { count - 1 } else { count };
        (divisor > 0).then_some(divisor)
    }
}

pub(crate) fn kernel(input: &DataType, moment: Moment) -> Box<dyn Kernel> {
    match input {
        DataType::Float32 | DataType::Float64 => {
            Box::new(Floats { groups: vec![], moment, output: input.clone() })
        }
        _ => Box::new(Exact::of(input, moment)),
    }
}

/// The same over rows that may be taken back.
pub(crate) fn retracting(input: &DataType, moment: Moment) -> Box<dyn RetractKernel> {
    match input {
        DataType::Float32 | DataType::Float64 => moments_float::retracting(input, moment),
        _ => Box::new(Exact::of(input, moment)),
    }
}

#[derive(Clone, Copy, Default)]
struct Welford {
    count: i64,
    mean: f64,
    /// Sum of the squared differences from the mean.
    squares: f64,
}

impl Welford {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (value - self.mean);
    }
    fn merge(&mut self, other: Welford) {
        if self.count == 0 {
            *self = other;
        } else if other.count > 0 {
            let (a, b) = (self.count as f64, other.count as f64);
            let delta = other.mean - self.mean;
            self.count += other.count;
            self.mean += delta * b / (a + b);
            self.squares += other.squares + delta * delta * a * b / (a + b);
        }
    }
    fn result(&self, moment: Moment) -> Option<f64> {
        let variance = self.squares / moment.divisor(self.count)? as f64;
        Some(if moment.root { variance.sqrt() } else { variance })
    }
}

struct Floats {
    groups: Vec<Welford>,
    moment: Moment,
    output: DataType,
}

impl Kernel for Floats {
    fn resize(&mut self, groups: usize) {
        self.groups.resize(groups, Welford::default());
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        if let Some(argument) = argument {
            each_float(groups, argument, rows, |g, v| self.groups[g].add(v));
        }
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        let counts = state[0].as_primitive::<Int64Type>().values();
        let (means, squares) =
            (state[1].as_primitive::<Float64Type>(), state[2].as_primitive::<Float64Type>());
        for (row, &g) in groups.iter().enumerate() {
            let other =
                Welford { count: counts[row], mean: means.value(row), squares: squares.value(row) };
            self.groups[g as usize].merge(other);
        }
    }
    fn clear(&mut self, group: u32) {
        self.groups[group as usize] = Welford::default();
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        let picked = || picks.iter().map(|&g| self.groups[g as usize]);
        vec![
            Arc::new(Int64Array::from_iter_values(picked().map(|w| w.count))),
            Arc::new(Float64Array::from_iter_values(picked().map(|w| w.mean))),
            Arc::new(Float64Array::from_iter_values(picked().map(|w| w.squares))),
        ]
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64, DataType::Float64, DataType::Float64]
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        Ok(fractions(
            picks.iter().map(|&g| self.groups[g as usize].result(self.moment)),
            &self.output,
        ))
    }
    fn beside(&self, picks: &[u32]) -> Option<ArrayRef> {
        Some(Arc::new(Int64Array::from_iter_values(
            picks.iter().map(|&g| self.groups[g as usize].count),
        )))
    }
    fn memory_bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Welford>()
    }
}

/// Results as a column of FLOAT or DOUBLE.
pub(super) fn fractions(results: impl Iterator<Item = Option<f64>>, output: &DataType) -> ArrayRef {
    let results: Float64Array = results.collect();
    if *output == DataType::Float32 {
        Arc::new(results.unary::<_, Float32Type>(|v| v as f32))
    } else {
        Arc::new(results)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, Decimal128Array};
    use arrow::datatypes::Decimal128Type;

    use super::*;

    const VAR_POP: Moment = Moment { sample: false, root: false };
    const VAR_SAMP: Moment = Moment { sample: true, root: false };
    const STDDEV_SAMP: Moment = Moment { sample: true, root: true };

    fn evaluated(input: DataType, moment: Moment, values: &ArrayRef) -> ArrayRef {
        // In two parts, as behind an exchange.
        let mut kernels = [kernel(&input, moment), kernel(&input, moment)];
        for (i, kernel) in kernels.iter_mut().enumerate() {
            kernel.resize(1);
            let half = values.slice(
                i * 2,
                if i == 0 { 2.min(values.len()) } else { values.len().saturating_sub(2) },
            );
            kernel.update(&vec![0; half.len()], Some(&half), Selected::ALL);
        }
        let state = kernels[1].state(&[0]);
        kernels[0].merge(&[0], &state);
        kernels[0].evaluate(&[0]).expect("evaluates")
    }

    #[test]
    fn integers_are_cut_and_narrow_ones_wrap() {
        // Recorded from Flink 2.3.
        let tiny: ArrayRef = Arc::new(arrow::array::Int8Array::from(vec![100, 120, -128]));
        for (moment, expected) in [(VAR_POP, 110), (STDDEV_SAMP, -119)] {
            let result = evaluated(DataType::Int8, moment, &tiny);
            assert_eq!(result.as_primitive::<arrow::datatypes::Int8Type>().value(0), expected);
        }
        let big: ArrayRef =
            Arc::new(Int64Array::from(vec![3_037_000_500, 3_037_000_502, 3_037_000_507]));
        for (moment, expected) in [(VAR_POP, 8), (VAR_SAMP, 13), (STDDEV_SAMP, 3)] {
            let result = evaluated(DataType::Int64, moment, &big);
            assert_eq!(result.as_primitive::<Int64Type>().value(0), expected);
        }
    }

    #[test]
    fn decimals_have_six_digits() {
        // Recorded from Flink 2.3.
        let values = Decimal128Array::from(vec![1_234_567_812, 1_234_567_913, 1_234_567_017]);
        let values: ArrayRef = Arc::new(values.with_precision_and_scale(10, 2).expect("fits"));
        for (moment, expected) in [(VAR_POP, 16_056_022), (STDDEV_SAMP, 4_907_549)] {
            let result = evaluated(DataType::Decimal128(10, 2), moment, &values);
            assert_eq!(result.data_type(), &DataType::Decimal128(38, 6));
            assert_eq!(result.as_primitive::<Decimal128Type>().value(0), expected);
        }
    }

    #[test]
    fn what_has_no_spread_is_null_or_zero() {
        let one: ArrayRef = Arc::new(Float64Array::from(vec![Some(7.5), None]));
        assert_eq!(
            evaluated(DataType::Float64, VAR_POP, &one).as_primitive::<Float64Type>().value(0),
            0.0
        );
        for values in [one, Arc::new(Float64Array::from(vec![None, None]))] {
            assert_eq!(evaluated(DataType::Float64, VAR_SAMP, &values).null_count(), 1);
        }
    }
}
