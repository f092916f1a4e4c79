//! STDDEV_POP, STDDEV_SAMP, VAR_POP and VAR_SAMP with Flink's types and its rewriting into sums:
//!
//! ```text
//! variance = (SUM(x * x) - SUM(x) * SUM(x) / COUNT(x)) / n        n = COUNT(x), or COUNT(x) - 1 for a sample
//! deviation = POWER(variance, 0.5)
//! ```
//!
//! All of it happens in the argument's type: integers wrap and are cut toward zero at each division, DECIMAL rounds half up
//! to 6 digits at each step. NULL if no value was added, and for a sample of one.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float32Array, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::compute::kernels::numeric::mul_wrapping;
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type, Int64Type, i256};

use super::count::Count;
use super::{Kernel, Selected, sum};
use crate::operator::OperatorError;

/// The type of a moment of DECIMALs, and of the sums it is made of.
fn decimal_type(input_scale: i8) -> DataType {
    DataType::Decimal128(38, input_scale.max(6))
}

/// The result type, or None if the argument is no number.
pub fn result_type(input: &DataType) -> Option<DataType> {
    use DataType::{Decimal128, Float32, Float64, Int8, Int16, Int32, Int64};
    match input {
        Int8 | Int16 | Int32 | Int64 | Float32 | Float64 => Some(input.clone()),
        Decimal128(_, s) => Some(decimal_type(*s)),
        _ => None,
    }
}

/// `sample` divides by one less than the count; `root` takes the square root.
pub fn kernel(input: &DataType, sample: bool, root: bool) -> Box<dyn Kernel> {
    let value_type = result_type(input).unwrap_or(DataType::Float64);
    let sum_type = match value_type {
        DataType::Decimal128(..) | DataType::Float64 => value_type.clone(),
        DataType::Float32 => DataType::Float64,
        _ => DataType::Int64,
    };
    let sums = || sum::kernel(&value_type, &sum_type);
    Box::new(Moments { count: Count::default(), sum: sums(), squares: sums(), value_type, sum_type, sample, root })
}

struct Moments {
    count: Count,
    sum: Box<dyn Kernel>,
    squares: Box<dyn Kernel>,
    value_type: DataType,
    sum_type: DataType,
    sample: bool,
    root: bool,
}

impl Moments {
    fn squared(&self, values: &ArrayRef) -> ArrayRef {
        match self.value_type {
            DataType::Decimal128(_, scale) => {
                let values = values.as_primitive::<Decimal128Type>();
                let squared = values.iter().map(|v| times(v?, v?, scale)).collect::<Decimal128Array>();
                Arc::new(squared.with_data_type(self.value_type.clone()))
            }
            // A number times itself has a number's type, and nothing is refused.
            _ => mul_wrapping(values, values).unwrap_or_else(|_| values.clone()),
        }
    }

    fn parts(&self) -> [&dyn Kernel; 3] {
        [&self.count, &*self.sum, &*self.squares]
    }
}

/// The product of two decimals of one scale, rounded half up to that scale. None if it leaves DECIMAL(38).
fn times(a: i128, b: i128, scale: i8) -> Option<i128> {
    let product = i256::from_i128(a).checked_mul(i256::from_i128(b))?;
    fitting(divide_half_up(product, i256::from_i128(10).checked_pow(scale.unsigned_abs().into())?)?)
}

/// A quotient rounded half away from zero.
fn divide_half_up(value: i256, by: i256) -> Option<i256> {
    let (quotient, rest) = (value.checked_div(by)?, value.checked_rem(by)?);
    let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2))?;
    if twice < by {
        return Some(quotient);
    }
    quotient.checked_add(if value.is_negative() { i256::MINUS_ONE } else { i256::ONE })
}

fn fitting(value: i256) -> Option<i128> {
    value.to_i128().filter(|v| v.abs() < sum::DECIMAL_LIMIT)
}

/// The divisor of the variance; None where there is none.
fn divisor(count: i64, sample: bool) -> Option<i64> {
    match (count, sample) {
        (0, _) | (1, true) => None,
        (n, true) => Some(n - 1),
        (n, false) => Some(n),
    }
}

fn decimal_moment((count, sum, squares): (i64, i128, i128), scale: i8, sample: bool, root: bool) -> Option<i128> {
    let mean_square = fitting(divide_half_up(i256::from_i128(times(sum, sum, scale)?), i256::from_i128(count.into()))?)?;
    let difference = i256::from_i128(squares.checked_sub(mean_square)?);
    let variance = fitting(divide_half_up(difference, i256::from_i128(divisor(count, sample)?.into()))?)?;
    if !root {
        return Some(variance);
    }
    let unit = 10f64.powi(scale.into());
    let deviation = (variance as f64 / unit).powf(0.5) * unit;
    deviation.is_finite().then(|| deviation.round() as i128)
}

fn float_moment((count, sum, squares): (i64, f64, f64), sample: bool, root: bool) -> Option<f64> {
    let variance = (squares - sum * sum / count as f64) / divisor(count, sample)? as f64;
    Some(if root { variance.powf(0.5) } else { variance })
}

/// `sum` and `squares` are cut to the argument's width already, and so is their product by `cut`.
fn integer_moment((count, sum, squares): (i64, i64, i64), cut: impl Fn(i64) -> i64, sample: bool, root: bool) -> Option<i64> {
    let mean_square = cut(sum.wrapping_mul(sum)).checked_div(count)?;
    let variance = squares.wrapping_sub(mean_square).wrapping_div(divisor(count, sample)?);
    // NaN becomes 0, as in Java.
    Some(if root { (variance as f64).powf(0.5) as i64 } else { variance })
}

impl Kernel for Moments {
    fn resize(&mut self, groups: usize) {
        self.count.resize(groups);
        self.sum.resize(groups);
        self.squares.resize(groups);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        // A cast to more digits of the same type.
        let Some(values) = argument.and_then(|a| cast(a, &self.value_type).ok()) else { return };
        let squared = self.squared(&values);
        self.count.update(groups, Some(&values), rows);
        self.sum.update(groups, Some(&values), rows);
        self.squares.update(groups, Some(&squared), rows);
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        let (count, sums) = state.split_at(1);
        let (sum, squares) = sums.split_at(sums.len() / 2);
        self.count.merge(groups, count);
        self.sum.merge(groups, sum);
        self.squares.merge(groups, squares);
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        self.parts().into_iter().flat_map(|k| k.state(picks)).collect()
    }
    fn state_types(&self) -> Vec<DataType> {
        self.parts().into_iter().flat_map(|k| k.state_types()).collect()
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        let (sample, root) = (self.sample, self.root);
        let counts = self.count.evaluate(picks)?;
        let counts = counts.as_primitive::<Int64Type>().values();
        let (sums, squares) = (self.sum.evaluate(picks)?, self.squares.evaluate(picks)?);
        macro_rules! each {
            ($t:ty, $result:ty, $moment:expr) => {{
                let (sums, squares) = (sums.as_primitive::<$t>(), squares.as_primitive::<$t>());
                let values = sums.iter().zip(squares.iter()).zip(counts);
                values.map(|((sum, squares), &n)| $moment((n, sum?, squares?))).collect::<$result>()
            }};
        }
        Ok(match (&self.value_type, &self.sum_type) {
            (_, DataType::Decimal128(_, scale)) => {
                let values = each!(Decimal128Type, Decimal128Array, |sums| decimal_moment(sums, *scale, sample, root));
                Arc::new(values.with_data_type(self.value_type.clone()))
            }
            (DataType::Float32, _) => {
                let values = each!(Float64Type, Float64Array, |sums| float_moment(sums, sample, root));
                let values: Float32Array = values.unary::<_, Float32Type>(|v| v as f32);
                Arc::new(values)
            }
            (_, DataType::Float64) => Arc::new(each!(Float64Type, Float64Array, |sums| float_moment(sums, sample, root))),
            (width, _) => {
                let cut = |v: i64| match width {
                    DataType::Int8 => i64::from(v as i8),
                    DataType::Int16 => i64::from(v as i16),
                    DataType::Int32 => i64::from(v as i32),
                    _ => v,
                };
                let moment = |(n, sum, squares)| integer_moment((n, cut(sum), cut(squares)), cut, sample, root);
                let values: Int64Array = each!(Int64Type, Int64Array, moment);
                sum::wrap(values.iter(), width)
            }
        })
    }
    fn memory_bytes(&self) -> usize {
        self.parts().into_iter().map(|k| k.memory_bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_cut_at_every_division() {
        // 1, 2, 4: squares 21, sum 7, 49 / 3 = 16.
        let moment = |sample, root| integer_moment((3, 7, 21), |v| v, sample, root);
        assert_eq!(moment(false, false), Some(1));
        assert_eq!(moment(true, false), Some(2));
        assert_eq!(moment(true, true), Some(1));
        assert_eq!(integer_moment((1, 5, 25), |v| v, true, false), None);
        assert_eq!(integer_moment((1, 5, 25), |v| v, false, false), Some(0));
    }

    #[test]
    fn decimals_round_half_up_to_six_digits() {
        // 1, 2, 2: 25 / 3 = 8.333333, (9 - 8.333333) / 3 = 0.222222, its root 0.471404...
        let sums = (3, 5_000_000, 9_000_000);
        assert_eq!(decimal_moment(sums, 6, false, false), Some(222_222));
        assert_eq!(decimal_moment(sums, 6, true, false), Some(333_334));
        assert_eq!(decimal_moment(sums, 6, false, true), Some(471_404));
    }
}
