//! AVG with Flink's types: the argument's own type, integers truncated toward zero (from a sum that
//! wraps at 64 bits), DECIMAL(p,s) to DECIMAL(38, max(s, 6)) rounded half up. NULL if no value was
//! added.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type};

use super::{Kernel, Selected, count::Count, sum, sum_decimal};
use crate::operator::OperatorError;

pub(crate) fn kernel(input: &DataType, output: &DataType) -> Box<dyn Kernel> {
    let sum_type = match input {
        DataType::Decimal128(_, s) => DataType::Decimal128(38, *s),
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        _ => DataType::Int64,
    };
    Box::new(Avg {
        sum: sum::kernel(input, &sum_type),
        count: Count::default(),
        sum_type,
        output: output.clone(),
    })
}

struct Avg {
    sum: Box<dyn Kernel>,
    count: Count,
    sum_type: DataType,
    output: DataType,
}

impl Kernel for Avg {
    fn resize(&mut self, groups: usize) {
        self.sum.resize(groups);
        self.count.resize(groups);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        self.sum.update(groups, argument, rows);
        self.count.update(groups, argument, rows);
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        let (sum, count) = state.split_at(state.len() - 1);
        self.sum.merge(groups, sum);
        self.count.merge(groups, count);
    }
    fn clear(&mut self, group: u32) {
        self.sum.clear(group);
        self.count.clear(group);
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        let mut state = self.sum.state(picks);
        state.extend(self.count.state(picks));
        state
    }
    fn state_types(&self) -> Vec<DataType> {
        let mut types = self.sum.state_types();
        types.extend(self.count.state_types());
        types
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        let sums = self.sum.evaluate(picks)?;
        let counts = self.count.evaluate(picks)?;
        Ok(averages(&sums, counts.as_primitive::<Int64Type>(), &self.sum_type, &self.output))
    }
    fn memory_bytes(&self) -> usize {
        self.sum.memory_bytes() + self.count.memory_bytes()
    }
}

/// `sums / counts` with the type of an average. Sums have `sum_type`, and are NULL where there is
/// nothing to average.
pub(super) fn averages(
    sums: &ArrayRef,
    counts: &Int64Array,
    sum_type: &DataType,
    output: &DataType,
) -> ArrayRef {
    match sum_type {
        DataType::Decimal128(_, from) => {
            let to = if let DataType::Decimal128(_, s) = *output { s } else { *from };
            let sums = sums.as_primitive::<arrow::datatypes::Decimal128Type>();
            let averages = sums
                .iter()
                .zip(counts.values())
                .map(|(sum, &n)| divide_half_up(sum?, n, (to - from) as u32));
            Arc::new(averages.collect::<Decimal128Array>().with_data_type(output.clone()))
        }
        DataType::Float64 => {
            let sums = sums.as_primitive::<Float64Type>();
            let averages: Float64Array =
                sums.iter().zip(counts.values()).map(|(sum, &n)| Some(sum? / n as f64)).collect();
            if *output == DataType::Float32 {
                return Arc::new(averages.unary::<_, Float32Type>(|v| v as f32));
            }
            Arc::new(averages)
        }
        _ => {
            let sums: &Int64Array = sums.as_primitive::<Int64Type>();
            sum::wrap(sums.iter().zip(counts.values()).map(|(sum, &n)| Some(sum? / n)), output)
        }
    }
}

/// `sum / n` with `digits` more decimal places, rounded half away from zero. None where it leaves
/// DECIMAL(38).
fn divide_half_up(sum: i128, n: i64, digits: u32) -> Option<i128> {
    let (n, scale) = (i128::from(n), 10i128.pow(digits));
    // Integer part first, so that scaling up cannot overflow where the result fits.
    let (whole, rest) = (sum / n, sum % n);
    let scaled_rest = rest.checked_mul(scale)?;
    let (fraction, remainder) = (scaled_rest / n, scaled_rest % n);
    let round = if remainder.abs() * 2 >= n { sum.signum() } else { 0 };
    let result = whole.checked_mul(scale)?.checked_add(fraction)?.checked_add(round)?;
    (result.abs() < sum_decimal::DECIMAL_LIMIT).then_some(result)
}

#[cfg(test)]
mod tests {
    use super::divide_half_up;

    #[test]
    fn decimal_averages_round_half_away_from_zero() {
        for (sum, n, digits, expected) in [
            (1469, 4, 4, 3_672_500),
            (1, 3, 4, 3333),
            (2, 3, 4, 6667),
            (5, 2, 0, 3),
            (-5, 2, 0, -3),
            (-1, 3, 0, 0),
        ] {
            assert_eq!(divide_half_up(sum, n, digits), Some(expected), "{sum}/{n}");
        }
    }
}
