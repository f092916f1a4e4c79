//! STDDEV_POP, STDDEV_SAMP, VAR_POP and VAR_SAMP with Flink's types: the argument's own, DECIMAL(p,s) as DECIMAL(38, max(s, 6)).
//!
//! Flink adds up DOUBLEs by Welford's method whatever the argument's type, and casts the result: to an integer cut toward
//! zero, to a DECIMAL rounded half up. FLOAT and DOUBLE are done in the same way here. Integers and decimals are added up
//! exactly, so that no rounding on the way can tip a result over the next whole number, whatever the order of the rows:
//!
//! ```text
//! variance = (n * SUM(x * x) - SUM(x) * SUM(x)) / (n * d)        d = n, or n - 1 for a sample
//! ```
//!
//! which can also be taken back (for FLOAT and DOUBLE: `moments_float`). Flink's DOUBLEs may come out on the other side of a
//! whole number after many rows were taken back; the exact result is given here.
//!
//! NULL if no value was added, and for a sample of one. Welford, "Note on a method for calculating corrected sums of squares
//! and products" (Technometrics, 1962); partial sums are merged as in Chan, Golub and LeVeque (1979).

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Decimal256Array, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int64Type, i256};

use super::retract::RetractKernel;
use super::sum::{self, each_float, each_integer};
use super::sum_decimal::DECIMAL_LIMIT;
use super::{Kernel, Selected, moments_float};
use crate::operator::OperatorError;

/// The result type, or None if the argument is no number.
pub fn result_type(input: &DataType) -> Option<DataType> {
    use DataType::{Decimal128, Float32, Float64, Int8, Int16, Int32, Int64};
    match input {
        Int8 | Int16 | Int32 | Int64 | Float32 | Float64 => Some(input.clone()),
        Decimal128(_, s) => Some(Decimal128(38, (*s).max(6))),
        _ => None,
    }
}

/// What is made of the sums.
#[derive(Clone, Copy)]
pub struct Moment {
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

pub fn kernel(input: &DataType, moment: Moment) -> Box<dyn Kernel> {
    match input {
        DataType::Float32 | DataType::Float64 => Box::new(Floats { groups: vec![], moment, output: input.clone() }),
        _ => Box::new(Exact::of(input, moment)),
    }
}

/// The same over rows that may be taken back.
pub fn retracting(input: &DataType, moment: Moment) -> Box<dyn RetractKernel> {
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
        let (means, squares) = (state[1].as_primitive::<Float64Type>(), state[2].as_primitive::<Float64Type>());
        for (row, &g) in groups.iter().enumerate() {
            let other = Welford { count: counts[row], mean: means.value(row), squares: squares.value(row) };
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
        let results: Float64Array = picks.iter().map(|&g| self.groups[g as usize].result(self.moment)).collect();
        if self.output == DataType::Float32 {
            return Ok(Arc::new(results.unary::<_, Float32Type>(|v| v as f32)));
        }
        Ok(Arc::new(results))
    }
    fn beside(&self, picks: &[u32]) -> Option<ArrayRef> {
        Some(Arc::new(Int64Array::from_iter_values(picks.iter().map(|&g| self.groups[g as usize].count))))
    }
    fn memory_bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Welford>()
    }
}

/// Exact sums of integers or unscaled decimals.
#[derive(Clone, Copy)]
struct Sums {
    count: i64,
    sum: i256,
    /// Sum of the squares: what is left in 256 bits.
    squares: i256,
    /// How often that wrapped, which takes some eight rows of DECIMALs with 38 digits.
    wraps: i64,
}

impl Sums {
    const NONE: Sums = Sums { count: 0, sum: i256::ZERO, squares: i256::ZERO, wraps: 0 };

    fn of(value: i128) -> Sums {
        let value = i256::from_i128(value);
        // 127 bits squared are 254.
        Sums { count: 1, sum: value, squares: value.wrapping_mul(value), wraps: 0 }
    }
    fn add(&mut self, other: Sums) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        let wrapped = self.squares.checked_add(other.squares).is_none();
        self.squares = self.squares.wrapping_add(other.squares);
        self.wraps += other.wraps
            + if !wrapped {
                0
            } else if other.squares.is_negative() {
                -1
            } else {
                1
            };
    }
    fn taken_back(self) -> Sums {
        let Sums { count, sum, squares, wraps } = self;
        Sums { count: -count, sum: sum.wrapping_neg(), squares: squares.wrapping_neg(), wraps: -wraps }
    }
    /// The variance as a fraction, in squares of the unit of the values.
    fn variance(&self, moment: Moment) -> Option<(i256, i256)> {
        let divisor = moment.divisor(self.count)?;
        let count = i256::from_i128(self.count.into());
        let squares = count.checked_mul(Some(self.squares).filter(|_| self.wraps == 0)?)?;
        Some((squares.checked_sub(self.sum.checked_mul(self.sum)?)?, count.checked_mul(i256::from_i128(divisor.into()))?))
    }
}

fn power_of_ten(exponent: i32) -> Option<i256> {
    i256::from_i128(10).checked_pow(u32::try_from(exponent).ok()?)
}

/// A quotient of numbers that are not negative, rounded half up where `rounds`, else down.
fn quotient(value: i256, by: i256, rounds: bool) -> Option<i256> {
    let whole = value.checked_div(by)?;
    let rest = value.checked_rem(by)?;
    if rounds && rest.checked_mul(i256::from_i128(2))? >= by { whole.checked_add(i256::ONE) } else { Some(whole) }
}

fn float(value: i256) -> f64 {
    let (low, high) = value.to_parts();
    high as f64 * 2f64.powi(128) + low as f64
}

struct Exact {
    groups: Vec<Sums>,
    moment: Moment,
    /// Digits behind the point of the values.
    scale: i8,
    output: DataType,
}

impl Exact {
    fn of(input: &DataType, moment: Moment) -> Exact {
        let scale = if let DataType::Decimal128(_, s) = input { *s } else { 0 };
        let output = result_type(input).unwrap_or(DataType::Int64);
        Exact { groups: vec![], moment, scale, output }
    }

    fn each(groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>, mut f: impl FnMut(usize, Sums)) {
        let Some(argument) = argument else { return };
        match argument.as_primitive_opt::<Decimal128Type>() {
            Some(decimals) => rows.for_each(groups, decimals, |row, g| f(g, Sums::of(decimals.value(row)))),
            None => each_integer(groups, argument, rows, |g, v| f(g, Sums::of(v.into()))),
        }
    }

    fn decimal(&self, sums: &Sums, to: i8) -> Option<i128> {
        let (over, under) = sums.variance(self.moment)?;
        if self.moment.root {
            let deviation = (float(over) / float(under)).sqrt() * 10f64.powi(i32::from(to - self.scale));
            return Some(deviation.round() as i128).filter(|v| v.abs() < DECIMAL_LIMIT);
        }
        let shift = i32::from(to) - 2 * i32::from(self.scale);
        let (over, under) = if shift >= 0 {
            (over.checked_mul(power_of_ten(shift)?)?, under)
        } else {
            (over, under.checked_mul(power_of_ten(-shift)?)?)
        };
        quotient(over, under, true)?.to_i128().filter(|v| v.abs() < DECIMAL_LIMIT)
    }

    /// Cut toward zero and, as Java casts a DOUBLE, to the range of the type; narrower types wrap from INT.
    fn integer(&self, sums: &Sums) -> Option<i64> {
        let (over, under) = sums.variance(self.moment)?;
        let whole = if self.moment.root {
            (float(over) / float(under)).sqrt() as i64
        } else {
            quotient(over, under, false)?.to_i128().and_then(|v| i64::try_from(v).ok()).unwrap_or(i64::MAX)
        };
        Some(if self.output == DataType::Int64 { whole } else { whole.min(i32::MAX.into()) })
    }
}

impl Kernel for Exact {
    fn resize(&mut self, groups: usize) {
        self.groups.resize(groups, Sums::NONE);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        Exact::each(groups, argument, rows, |g, sums| self.groups[g].add(sums));
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        let (counts, wraps) = (state[0].as_primitive::<Int64Type>(), state[3].as_primitive::<Int64Type>());
        let (sums, squares) = (state[1].as_primitive::<Decimal256Type>(), state[2].as_primitive::<Decimal256Type>());
        for (row, &g) in groups.iter().enumerate() {
            let (count, sum, squares) = (counts.value(row), sums.value(row), squares.value(row));
            self.groups[g as usize].add(Sums { count, sum, squares, wraps: wraps.value(row) });
        }
    }
    fn clear(&mut self, group: u32) {
        self.groups[group as usize] = Sums::NONE;
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        let picked = || picks.iter().map(|&g| self.groups[g as usize]);
        let wide = |values: Decimal256Array| Arc::new(values.with_data_type(WIDE)) as ArrayRef;
        vec![
            Arc::new(Int64Array::from_iter_values(picked().map(|s| s.count))),
            wide(picked().map(|s| Some(s.sum)).collect()),
            wide(picked().map(|s| Some(s.squares)).collect()),
            Arc::new(Int64Array::from_iter_values(picked().map(|s| s.wraps))),
        ]
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64, WIDE, WIDE, DataType::Int64]
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        let picked = picks.iter().map(|&g| &self.groups[g as usize]);
        Ok(match self.output {
            DataType::Decimal128(_, to) => {
                let results: Decimal128Array = picked.map(|sums| self.decimal(sums, to)).collect();
                Arc::new(results.with_data_type(self.output.clone()))
            }
            _ => sum::wrap(picked.map(|sums| self.integer(sums)), &self.output),
        })
    }
    fn beside(&self, picks: &[u32]) -> Option<ArrayRef> {
        Some(Arc::new(Int64Array::from_iter_values(picks.iter().map(|&g| self.groups[g as usize].count))))
    }
    fn memory_bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Sums>()
    }
}

impl RetractKernel for Exact {
    fn retract(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        Exact::each(groups, argument, rows, |g, sums| self.groups[g].add(sums.taken_back()));
    }
}

/// The type of exact sums in partial aggregates.
const WIDE: DataType = DataType::Decimal256(76, 0);

#[cfg(test)]
mod tests {
    use super::*;

    const VAR_POP: Moment = Moment { sample: false, root: false };
    const VAR_SAMP: Moment = Moment { sample: true, root: false };
    const STDDEV_SAMP: Moment = Moment { sample: true, root: true };

    fn evaluated(input: DataType, moment: Moment, values: &ArrayRef) -> ArrayRef {
        // In two parts, as behind an exchange.
        let mut kernels = [kernel(&input, moment), kernel(&input, moment)];
        for (i, kernel) in kernels.iter_mut().enumerate() {
            kernel.resize(1);
            let half = values.slice(i * 2, if i == 0 { 2.min(values.len()) } else { values.len().saturating_sub(2) });
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
        let big: ArrayRef = Arc::new(Int64Array::from(vec![3_037_000_500, 3_037_000_502, 3_037_000_507]));
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
        assert_eq!(evaluated(DataType::Float64, VAR_POP, &one).as_primitive::<Float64Type>().value(0), 0.0);
        for values in [one, Arc::new(Float64Array::from(vec![None, None]))] {
            assert_eq!(evaluated(DataType::Float64, VAR_SAMP, &values).null_count(), 1);
        }
    }
}
