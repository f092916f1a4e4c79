//! What is NaN where values are told apart or sorted?
//!
//! Arithmetic leaves NaN with a sign and text has none; here all of them are one, larger than every
//! number. Whoever makes keys, sorts, or looks for the largest asks. Comparisons of a query go by
//! Java's rules instead, and have kernels of their own.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::unary;
use arrow::datatypes::{DataType, Float32Type, Float64Type};

/// The value, and of NaN the only one.
#[inline]
pub(crate) fn one_nan_32(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value }
}

/// The same of a DOUBLE.
#[inline]
pub(crate) fn one_nan_64(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

/// A column whose NaN are all the same; other columns as they are.
pub(crate) fn one_nan(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float32 => {
            Arc::new(unary::<_, _, Float32Type>(column.as_primitive::<Float32Type>(), one_nan_32))
        }
        DataType::Float64 => {
            Arc::new(unary::<_, _, Float64Type>(column.as_primitive::<Float64Type>(), one_nan_64))
        }
        _ => column.clone(),
    }
}

/// A column whose zeros are all the same, as they are to Java's `==`; other columns as they are.
pub(crate) fn one_zero(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float32 => {
            Arc::new(unary::<_, _, Float32Type>(column.as_primitive::<Float32Type>(), |v| v + 0.0))
        }
        DataType::Float64 => {
            Arc::new(unary::<_, _, Float64Type>(column.as_primitive::<Float64Type>(), |v| v + 0.0))
        }
        _ => column.clone(),
    }
}

/// True if the value of a row is NaN, which Java's `==` finds nowhere.
pub(crate) fn is_nan(column: &ArrayRef, row: usize) -> bool {
    match column.data_type() {
        DataType::Float32 => column.as_primitive::<Float32Type>().value(row).is_nan(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).is_nan(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, Float64Array, Int32Array};

    #[test]
    fn nan_is_one_and_zeros_are_two() {
        let column: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(-f64::NAN), Some(f64::NAN), Some(-0.0), None]));
        let one = one_nan(&column);
        let bits: Vec<u64> =
            one.as_primitive::<Float64Type>().values().iter().map(|v| v.to_bits()).collect();
        assert_eq!((bits[0], bits[2]), (bits[1], (-0.0f64).to_bits()));
        assert!(one.is_null(3) && one_nan_32(-f32::NAN).to_bits() == f32::NAN.to_bits());
        assert_eq!(one_zero(&column).as_primitive::<Float64Type>().value(2).to_bits(), 0);
        assert!(is_nan(&column, 0) && !is_nan(&column, 2));
        let other: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        assert!(Arc::ptr_eq(&one_nan(&other), &other));
    }
}
