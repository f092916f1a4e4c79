//! STDDEV and VARIANCE of FLOAT and DOUBLE over a table that changes.
//!
//! Called through `moments`. Welford's method cannot take a row back before it was added, and each
//! row that it takes back leaves some rounding. Here values and their squares are added up with
//! twice the digits of a DOUBLE, so that `SUM(x * x) - SUM(x) * SUM(x) / n` keeps the digits of the
//! difference. What always holds: the result is that of the rows that are left, whatever was added,
//! taken back and merged before, but for 1e-31 of the largest square that was ever there; it is NaN
//! while an infinite value or NaN is there. The squares of values beyond 1e154 leave the range of a
//! DOUBLE: from then on it is NaN until the group is empty.
//!
//! Dekker, "A floating-point technique for extending the available precision" (Numerische
//! Mathematik, 1971).

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use crate::operator::OperatorError;
use crate::operator::aggregate::moments::{Moment, fractions};
use crate::operator::aggregate::retract::RetractKernel;
use crate::operator::aggregate::sum::each_float;
use crate::operator::aggregate::{Kernel, Selected};

/// A number as the sum of two, the second too small to show in the first.
#[derive(Clone, Copy, Default)]
struct Twofold {
    high: f64,
    low: f64,
}

impl Twofold {
    fn of(value: f64) -> Twofold {
        Twofold { high: value, low: 0.0 }
    }

    /// The sum of two numbers with nothing lost.
    fn sum(a: f64, b: f64) -> Twofold {
        let high = a + b;
        let part = high - a;
        Twofold { high, low: (a - (high - part)) + (b - part) }
    }

    /// The product of two numbers with nothing lost.
    fn product(a: f64, b: f64) -> Twofold {
        let high = a * b;
        Twofold { high, low: a.mul_add(b, -high) }
    }

    fn plus(self, other: Twofold) -> Twofold {
        let (high, low) = (Twofold::sum(self.high, other.high), Twofold::sum(self.low, other.low));
        let first = Twofold::sum(high.high, high.low + low.high);
        Twofold::sum(first.high, first.low + low.low)
    }

    fn times(self, other: Twofold) -> Twofold {
        let whole = Twofold::product(self.high, other.high);
        Twofold::sum(whole.high, whole.low + (self.high * other.low + self.low * other.high))
    }

    fn negative(self) -> Twofold {
        Twofold { high: -self.high, low: -self.low }
    }
}

#[derive(Clone, Copy, Default)]
struct Powers {
    count: i64,
    /// Values among them that are infinite or NaN, which are in no sum.
    endless: i64,
    sum: Twofold,
    squares: Twofold,
}

impl Powers {
    fn of(value: f64) -> Powers {
        if !value.is_finite() {
            return Powers { count: 1, endless: 1, ..Powers::default() };
        }
        Powers {
            count: 1,
            endless: 0,
            sum: Twofold::of(value),
            squares: Twofold::product(value, value),
        }
    }

    fn add(&mut self, other: Powers) {
        self.count += other.count;
        self.endless += other.endless;
        self.sum = self.sum.plus(other.sum);
        self.squares = self.squares.plus(other.squares);
    }

    fn taken_back(self) -> Powers {
        let Powers { count, endless, sum, squares } = self;
        Powers {
            count: -count,
            endless: -endless,
            sum: sum.negative(),
            squares: squares.negative(),
        }
    }

    fn result(&self, moment: Moment) -> Option<f64> {
        let divisor = moment.divisor(self.count)? as f64;
        if self.endless != 0 {
            return Some(f64::NAN);
        }
        let count = Twofold::of(self.count as f64);
        let spread = self.squares.times(count).plus(self.sum.times(self.sum).negative());
        let whole = self.squares.high.abs() * self.count as f64;
        // What is left of equal values is rounding.
        let spread = if spread.high.abs() <= whole * SPREAD_MIN { 0.0 } else { spread.high };
        let variance = spread / self.count as f64 / divisor;
        Some(if moment.root { variance.sqrt() } else { variance })
    }
}

/// A spread below this part of the squares is what rounding left: sums have 106 bits, and a million
/// rows take 20 of them.
const SPREAD_MIN: f64 = 1.0 / (1u128 << 84) as f64;

/// `input` is FLOAT or DOUBLE.
pub(super) fn retracting(input: &DataType, moment: Moment) -> Box<dyn RetractKernel> {
    Box::new(Moments { groups: vec![], moment, output: input.clone() })
}

struct Moments {
    groups: Vec<Powers>,
    moment: Moment,
    output: DataType,
}

impl Kernel for Moments {
    fn resize(&mut self, groups: usize) {
        self.groups.resize(groups, Powers::default());
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        if let Some(argument) = argument {
            each_float(groups, argument, rows, |g, v| self.groups[g].add(Powers::of(v)));
        }
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        let whole = |column: usize| state[column].as_primitive::<Int64Type>();
        let part = |column: usize| state[column].as_primitive::<Float64Type>();
        let twofold = |column: usize, row: usize| Twofold {
            high: part(column).value(row),
            low: part(column + 1).value(row),
        };
        for (row, &g) in groups.iter().enumerate() {
            let (count, endless) = (whole(0).value(row), whole(1).value(row));
            self.groups[g as usize].add(Powers {
                count,
                endless,
                sum: twofold(2, row),
                squares: twofold(4, row),
            });
        }
    }
    fn clear(&mut self, group: u32) {
        self.groups[group as usize] = Powers::default();
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        let whole = |f: fn(&Powers) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(
                picks.iter().map(|&g| f(&self.groups[g as usize])),
            ))
        };
        let part = |f: fn(&Powers) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(
                picks.iter().map(|&g| f(&self.groups[g as usize])),
            ))
        };
        vec![
            whole(|p| p.count),
            whole(|p| p.endless),
            part(|p| p.sum.high),
            part(|p| p.sum.low),
            part(|p| p.squares.high),
            part(|p| p.squares.low),
        ]
    }
    fn state_types(&self) -> Vec<DataType> {
        let (whole, part) = (DataType::Int64, DataType::Float64);
        vec![whole.clone(), whole, part.clone(), part.clone(), part.clone(), part]
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
        self.groups.capacity() * size_of::<Powers>()
    }
}

impl RetractKernel for Moments {
    fn retract(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        if let Some(argument) = argument {
            each_float(groups, argument, rows, |g, v| {
                self.groups[g].add(Powers::of(v).taken_back())
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAR_POP: Moment = Moment { sample: false, root: false };
    const STDDEV_SAMP: Moment = Moment { sample: true, root: true };

    fn left(add: &[f64], take: &[f64], moment: Moment) -> Option<f64> {
        // Taken back first.
        let mut powers = Powers::default();
        take.iter().for_each(|v| powers.add(Powers::of(*v).taken_back()));
        add.iter().for_each(|v| powers.add(Powers::of(*v)));
        powers.result(moment)
    }

    #[test]
    fn what_was_taken_back_leaves_nothing() {
        let left_over =
            left(&[2.0, 4.0, 1e9, 1e-9, 0.1], &[1e9, 1e-9, 0.1], VAR_POP).expect("has values");
        assert!((left_over - 1.0).abs() < 1e-12, "{left_over}");
        assert_eq!(left(&[0.1, 0.7, 0.1], &[0.7], STDDEV_SAMP), Some(0.0));
        assert_eq!(left(&[0.1, 0.3], &[0.3], STDDEV_SAMP), None);
        assert_eq!(left(&[0.3], &[0.3], VAR_POP), None);
    }

    #[test]
    fn a_small_spread_of_large_values_has_its_digits() {
        let values: Vec<f64> = (0..1000).map(|i| 1e9 + f64::from(i % 5) * 0.25).collect();
        assert!((left(&values, &[], VAR_POP).expect("has values") - 0.125).abs() < 1e-15);
    }

    #[test]
    fn a_value_without_end_is_gone_once_taken_back() {
        let (with, without) = (
            left(&[1.0, f64::INFINITY], &[], VAR_POP),
            left(&[1.0, 3.0, f64::NAN], &[f64::NAN], VAR_POP),
        );
        assert!(with.is_some_and(f64::is_nan));
        assert_eq!(without, Some(1.0));
    }
}
