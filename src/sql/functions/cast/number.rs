//! Between numbers, and between numbers and BOOLEAN, as Java converts them.
//!
//! Integers wrap; a DOUBLE is cut and held at the ends of INT or BIGINT; TINYINT and SMALLINT are
//! cut from that INT.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use arrow::compute::unary;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type,
};

use super::Unreadable;
use crate::types::decimal::{fits, parse_as, pow10, rescale};

#[derive(Clone, Copy)]
enum Number {
    Integer(i64),
    Float(f32),
    Double(f64),
    /// Unscaled, and its scale.
    Decimal(i128, i8),
}

pub fn cast(array: &ArrayRef, to: &DataType, unreadable: Unreadable) -> Result<ArrayRef, String> {
    // The casts that a query makes most, over whole columns.
    match (array.data_type(), to) {
        (DataType::Int64, DataType::Int32) => {
            return Ok(Arc::new(unary::<_, _, Int32Type>(
                array.as_primitive::<Int64Type>(),
                |v| v as i32,
            )));
        }
        (DataType::Float64, DataType::Int64) => {
            return Ok(Arc::new(unary::<_, _, Int64Type>(
                array.as_primitive::<Float64Type>(),
                |v| v as i64,
            )));
        }
        _ => {}
    }
    let read = reader(array)?;
    Ok(match to {
        DataType::Int8 => each::<Int8Type>(array, |r| Some(to_int(read(r)) as i8)),
        DataType::Int16 => each::<Int16Type>(array, |r| Some(to_int(read(r)) as i16)),
        DataType::Int32 => each::<Int32Type>(array, |r| Some(to_int(read(r)))),
        DataType::Int64 => each::<Int64Type>(array, |r| Some(to_long(read(r)))),
        DataType::Float32 => each::<Float32Type>(array, |r| Some(to_float(read(r)))),
        DataType::Float64 => each::<Float64Type>(array, |r| Some(to_double(read(r)))),
        DataType::Boolean => Arc::new(
            (0..array.len())
                .map(|r| array.is_valid(r).then(|| is_true(read(r))))
                .collect::<BooleanArray>(),
        ),
        DataType::Decimal128(p, s) => {
            let mut bad = None;
            let out: PrimitiveArray<Decimal128Type> = (0..array.len())
                .map(|r| {
                    if array.is_null(r) {
                        return None;
                    }
                    to_decimal(read(r), *p, *s).unwrap_or_else(|text| {
                        bad.get_or_insert(text);
                        None
                    })
                })
                .collect();
            if let (Some(text), Unreadable::RefusesRow) = (bad, unreadable) {
                return Err(format!("cannot cast {text} to DECIMAL({p}, {s})"));
            }
            Arc::new(out.with_precision_and_scale(*p, *s).map_err(|e| e.to_string())?)
        }
        other => return Err(format!("cannot cast {} to {other}", array.data_type())),
    })
}

fn each<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    value: impl Fn(usize) -> Option<T::Native>,
) -> ArrayRef {
    let out: PrimitiveArray<T> =
        (0..array.len()).map(|r| if array.is_valid(r) { value(r) } else { None }).collect();
    Arc::new(out)
}

fn reader(array: &ArrayRef) -> Result<Box<dyn Fn(usize) -> Number + '_>, String> {
    Ok(match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean();
            Box::new(move |r| Number::Integer(i64::from(values.value(r))))
        }
        DataType::Int8 => integers::<Int8Type>(array),
        DataType::Int16 => integers::<Int16Type>(array),
        DataType::Int32 => integers::<Int32Type>(array),
        DataType::Int64 => integers::<Int64Type>(array),
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            Box::new(move |r| Number::Float(values.value(r)))
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            Box::new(move |r| Number::Double(values.value(r)))
        }
        DataType::Decimal128(_, scale) => {
            let (values, scale) = (array.as_primitive::<Decimal128Type>(), *scale);
            Box::new(move |r| Number::Decimal(values.value(r), scale))
        }
        other => return Err(format!("cannot cast {other} to a number")),
    })
}

fn integers<'a, T: ArrowPrimitiveType>(array: &'a ArrayRef) -> Box<dyn Fn(usize) -> Number + 'a>
where
    T::Native: Into<i64>,
{
    let values = array.as_primitive::<T>();
    Box::new(move |r| Number::Integer(values.value(r).into()))
}

fn to_long(number: Number) -> i64 {
    match number {
        Number::Integer(v) => v,
        Number::Float(v) => v as i64,
        Number::Double(v) => v as i64,
        Number::Decimal(v, scale) => (v / pow10(scale as u32)) as i64,
    }
}

fn to_int(number: Number) -> i32 {
    match number {
        Number::Float(v) => v as i32,
        Number::Double(v) => v as i32,
        other => to_long(other) as i32,
    }
}

fn to_double(number: Number) -> f64 {
    match number {
        Number::Integer(v) => v as f64,
        Number::Float(v) => f64::from(v),
        Number::Double(v) => v,
        Number::Decimal(v, scale) => decimal_to_double(v, scale),
    }
}

fn to_float(number: Number) -> f32 {
    match number {
        Number::Integer(v) => v as f32,
        Number::Float(v) => v,
        other => to_double(other) as f32,
    }
}

/// The double nearest to a decimal.
pub(crate) fn decimal_to_double(value: i128, scale: i8) -> f64 {
    // Both parts are exact doubles: one division rounds once.
    if value.unsigned_abs() <= 1 << 53 && scale <= 22 {
        return value as f64 / pow10(scale as u32) as f64;
    }
    format!("{value}e-{scale}").parse().unwrap_or(f64::NAN)
}

fn is_true(number: Number) -> bool {
    match number {
        Number::Integer(v) => v != 0,
        Number::Float(v) => v != 0.0,
        Number::Double(v) => v != 0.0,
        Number::Decimal(v, _) => v != 0,
    }
}

/// None is NULL; the error is the text of a number that no DECIMAL has.
fn to_decimal(number: Number, precision: u8, scale: i8) -> Result<Option<i128>, String> {
    match number {
        Number::Integer(v) => {
            let scaled = i128::from(v).checked_mul(pow10(scale as u32));
            Ok(scaled.filter(|v| fits(*v, precision)))
        }
        Number::Decimal(v, from) => Ok(rescale(v, i32::from(from), i32::from(scale), precision)),
        Number::Float(v) => to_decimal(Number::Double(f64::from(v)), precision, scale),
        // The shortest decimal text of the double is what counts.
        Number::Double(v) => {
            parse_as(&format!("{v:e}"), (precision, scale)).ok_or_else(|| v.to_string())
        }
    }
}
