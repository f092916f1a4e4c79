//! ROUND(x) and ROUND(x, digits), half away from zero, and TRUNCATE, towards zero.
//!
//! A DOUBLE is rounded as its shortest decimal text is, so 1.005 rounds to 1.01 at two digits although its binary value is
//! a little less. Integers and DECIMALs are exact; the scale of a DECIMAL result follows from a constant `digits`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type,
};
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::types::decimal::{Rounding, fits};
use crate::types::sql_name;

pub fn all() -> [ScalarUDF; 2] {
    [Rounding::HalfUp, Rounding::Down]
        .map(|rounding| ScalarUDF::from(Round { rounding, signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Round {
    rounding: Rounding,
    signature: Signature,
}

fn digits_of(scalar: Option<&ScalarValue>) -> Option<i64> {
    match scalar {
        None => Some(0),
        Some(ScalarValue::Int64(digits)) => *digits,
        Some(ScalarValue::Int32(digits)) => digits.map(i64::from),
        Some(_) => None,
    }
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        match self.rounding {
            Rounding::HalfUp => "round",
            Rounding::Down => "truncate",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let mut types = arguments.to_vec();
        match types.as_mut_slice() {
            [number] | [number, _] if !(number.is_numeric() || number.is_null()) => {
                plan_err!("'{}' takes a number, not {}", self.name().to_uppercase(), sql_name(number))
            }
            [_] => Ok(types),
            [_, digits] => {
                // A constant has to stay one, since the scale of a DECIMAL result follows from it.
                if *digits != DataType::Int32 {
                    *digits = DataType::Int64;
                }
                Ok(types)
            }
            _ => plan_err!("'{}' takes a number and a number of digits", self.name().to_uppercase()),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let input = args.arg_fields[0].data_type();
        let digits = match args.scalar_arguments.get(1) {
            None => Some(0),
            Some(None) => None,
            Some(constant) => digits_of(*constant),
        };
        let output = match (input, digits) {
            (DataType::Decimal128(p, s), Some(d)) if d < i64::from(*s) => {
                let scale = d.max(0) as i8;
                DataType::Decimal128((i64::from(*p) - i64::from(*s) + d.max(0) + 1).clamp(1, 38) as u8, scale)
            }
            (DataType::Decimal128(..), None) => {
                return plan_err!("the number of digits of '{}' must be a constant for a DECIMAL", self.name().to_uppercase());
            }
            _ => input.clone(),
        };
        Ok(Arc::new(Field::new(self.name(), output, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (rows, rounding) = (args.number_rows, self.rounding);
        let numbers = args.args[0].to_array(rows)?;
        let digits = match args.args.get(1) {
            None => None,
            Some(d) => Some(cast(&d.to_array(rows)?, &DataType::Int64)?),
        };
        let digits = |row: usize| match &digits {
            None => Some(0),
            Some(d) => d.is_valid(row).then(|| d.as_primitive::<Int64Type>().value(row)),
        };
        let rounded: ArrayRef = match (numbers.data_type(), args.return_field.data_type()) {
            (DataType::Float64, _) => each::<Float64Type>(&numbers, |row, v| Some(round_float(v, digits(row)?, rounding))),
            (DataType::Float32, _) => each::<Float32Type>(&numbers, |row, v| Some(float32(v, digits(row)?, rounding))),
            (DataType::Decimal128(_, from), DataType::Decimal128(p, to)) => {
                let shorten = |row: usize, v: i128| {
                    let keep = digits(row)?.clamp(-38, i64::from(*from));
                    let dropped = 10i128.checked_pow((i64::from(*from) - keep) as u32)?;
                    // Back up to the scale of the result, for a negative number of digits.
                    let rounded = divided(v, dropped, rounding).checked_mul(10i128.pow((i64::from(*to) - keep).max(0) as u32))?;
                    fits(rounded, *p).then_some(rounded)
                };
                let values = numbers.as_primitive::<Decimal128Type>();
                let out: PrimitiveArray<Decimal128Type> =
                    (0..rows).map(|r| shorten(r, values.is_valid(r).then(|| values.value(r))?)).collect();
                Arc::new(out.with_precision_and_scale(*p, *to)?)
            }
            (DataType::Int8, _) => {
                each::<Int8Type>(&numbers, |row, v| Some(round_integer(v.into(), digits(row)?, rounding) as i8))
            }
            (DataType::Int16, _) => {
                each::<Int16Type>(&numbers, |row, v| Some(round_integer(v.into(), digits(row)?, rounding) as i16))
            }
            (DataType::Int32, _) => {
                each::<Int32Type>(&numbers, |row, v| Some(round_integer(v.into(), digits(row)?, rounding) as i32))
            }
            (DataType::Int64, _) => {
                each::<Int64Type>(&numbers, |row, v| Some(round_integer(v.into(), digits(row)?, rounding) as i64))
            }
            (t, _) => return exec_err!("ROUND does not take {}", sql_name(t)),
        };
        Ok(ColumnarValue::Array(rounded))
    }
}

fn each<T: ArrowPrimitiveType>(numbers: &ArrayRef, f: impl Fn(usize, T::Native) -> Option<T::Native>) -> ArrayRef {
    let values = numbers.as_primitive::<T>();
    Arc::new((0..values.len()).map(|r| f(r, values.is_valid(r).then(|| values.value(r))?)).collect::<PrimitiveArray<T>>())
}

/// Rounds to tens and so on; what does not fit wraps where it is stored.
fn round_integer(value: i128, digits: i64, rounding: Rounding) -> i128 {
    if digits >= 0 {
        return value;
    }
    match 10i128.checked_pow(digits.unsigned_abs().min(38) as u32) {
        Some(unit) => divided(value, unit, rounding) * unit,
        None => 0,
    }
}

fn divided(value: i128, unit: i128, rounding: Rounding) -> i128 {
    match rounding {
        Rounding::Down => value / unit,
        Rounding::HalfUp => half_up(value, unit),
    }
}

fn half_up(value: i128, unit: i128) -> i128 {
    let (whole, rest) = (value / unit, value % unit);
    if rest.abs() * 2 >= unit { whole + value.signum() } else { whole }
}

/// A FLOAT goes by its own shortest text.
fn float32(value: f32, digits: i64, rounding: Rounding) -> f32 {
    let text: f64 = value.to_string().parse().unwrap_or(f64::from(value));
    round_float(text, digits, rounding) as f32
}

/// Rounds the shortest decimal text of `value`.
fn round_float(value: f64, digits: i64, rounding: Rounding) -> f64 {
    if value == 0.0 {
        // Through a decimal number a zero loses its sign.
        return 0.0;
    }
    // Beyond 2^53 there are no digits after the point, and beyond 17 digits none that a double has.
    if !value.is_finite() || digits > 17 || (digits >= 0 && value.abs() >= 9_007_199_254_740_992.0) {
        return value;
    }
    let text = format!("{}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if fraction.len() as i64 <= digits {
        return value;
    }
    let keep = whole.len() as i64 + digits;
    if keep < 0 {
        return 0.0;
    }
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
    let mut kept = all[..keep as usize].to_vec();
    if rounding == Rounding::HalfUp && all.get(keep as usize).is_some_and(|d| *d >= 5) {
        let carried = kept.iter().rposition(|d| *d < 9);
        kept.iter_mut().skip(carried.map_or(0, |at| at + 1)).for_each(|d| *d = 0);
        match carried {
            Some(at) => kept[at] += 1,
            None => kept.insert(0, 1),
        }
    }
    let kept: String = std::iter::once('0').chain(kept.iter().map(|d| char::from(b'0' + d))).collect();
    // Decimal text again, so that the result is the double nearest to it.
    format!("{kept}e{}", -digits).parse::<f64>().map_or(value, |v| if v == 0.0 { v } else { v.copysign(value) })
}

#[cfg(test)]
mod tests {
    use super::{Rounding, half_up, round_float};

    #[test]
    fn doubles_round_as_their_text_does() {
        for (value, digits, expected) in [
            (168.744_95, 4, 168.745),
            (1.005, 2, 1.01),
            (2.5, 0, 3.0),
            (-2.5, 0, -3.0),
            (0.000_04, 4, 0.0),
            (0.000_05, 4, 0.0001),
            (1234.5, -2, 1200.0),
            (1250.0, -2, 1300.0),
            (49.0, -2, 0.0),
            (1e300, 2, 1e300),
            (1.26e300, -299, 1.3e300),
            (9.99e300, -299, 1e301),
            (99.5, 0, 100.0),
            (f64::INFINITY, 1, f64::INFINITY),
        ] {
            assert_eq!(round_float(value, digits, Rounding::HalfUp), expected, "{value} {digits}");
        }
    }

    #[test]
    fn decimals_round_half_away_from_zero() {
        assert_eq!((half_up(125, 10), half_up(-125, 10), half_up(124, 10)), (13, -13, 12));
    }
}
