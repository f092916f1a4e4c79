//! STDDEV and VARIANCE of integers and decimals, added up exactly, so that no rounding on the way can tip a result over the
//! next whole number, whatever the order of the rows:
//!
//! ```text
//! variance = (n * SUM(x * x) - SUM(x) * SUM(x)) / (n * d)        d = n, or n - 1 for a sample
//! ```
//!
//! Called through `moments`. What always holds: rows can be taken back, also before they come, and leave nothing behind.
//! Flink's DOUBLEs may come out on the other side of a whole number, and after rows were taken back below zero, where it gives
//! NULL; the exact result is given here.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Decimal256Array, Int64Array};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Int64Type, i256};

use crate::operator::OperatorError;
use crate::operator::aggregate::moments::{Moment, result_type};
use crate::operator::aggregate::retract::RetractKernel;
use crate::operator::aggregate::sum::{self, each_integer};
use crate::operator::aggregate::sum_decimal::DECIMAL_LIMIT;
use crate::operator::aggregate::{Kernel, Selected};
use crate::types::decimal::Rounding;

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

/// A quotient of numbers that are not negative.
fn quotient(value: i256, by: i256, rounding: Rounding) -> Option<i256> {
    let whole = value.checked_div(by)?;
    let rest = value.checked_rem(by)?;
    if rounding == Rounding::HalfUp && rest.checked_mul(i256::from_i128(2))? >= by {
        whole.checked_add(i256::ONE)
    } else {
        Some(whole)
    }
}

fn float(value: i256) -> f64 {
    let (low, high) = value.to_parts();
    high as f64 * 2f64.powi(128) + low as f64
}

pub(super) struct Exact {
    groups: Vec<Sums>,
    moment: Moment,
    /// Digits behind the point of the values.
    scale: i8,
    output: DataType,
}

impl Exact {
    pub(super) fn of(input: &DataType, moment: Moment) -> Exact {
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
        quotient(over, under, Rounding::HalfUp)?.to_i128().filter(|v| v.abs() < DECIMAL_LIMIT)
    }

    /// Cut toward zero and, as Java casts a DOUBLE, to the range of the type; narrower types wrap from INT.
    fn integer(&self, sums: &Sums) -> Option<i64> {
        let (over, under) = sums.variance(self.moment)?;
        let whole = if self.moment.root {
            (float(over) / float(under)).sqrt() as i64
        } else {
            quotient(over, under, Rounding::Down)?.to_i128().and_then(|v| i64::try_from(v).ok()).unwrap_or(i64::MAX)
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
