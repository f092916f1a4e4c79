//! Which type holds the values of two types, and which digits does a number have in DECIMAL
//! arithmetic?
//!
//! Asked where CASE, UNION, COALESCE, comparisons and nested constructors let values of several
//! types meet.

use arrow::datatypes::DataType;

use super::decimal::{Shape, common};
use super::nested::{array_of, is_multiset, map_of, map_types, row_of};

/// The shape of a number that takes part in DECIMAL arithmetic.
pub(crate) fn decimal_shape(data_type: &DataType) -> Option<Shape> {
    match data_type {
        DataType::Int8 => Some((3, 0)),
        DataType::Int16 => Some((5, 0)),
        DataType::Int32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::Decimal128(p, s) => Some((*p, *s)),
        _ => None,
    }
}

pub(crate) fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

/// The type that holds values of both, if Flink has one.
pub(crate) fn common_type(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Date32, Float32, Float64, Null, Timestamp};
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (Null, t) | (t, Null) => Some(t.clone()),
        (a, b) if a.is_integer() && b.is_integer() => {
            Some(if decimal_shape(a)? > decimal_shape(b)? { a } else { b }.clone())
        }
        (a, b) if is_float(a) || is_float(b) => {
            if !(a.is_numeric() && b.is_numeric()) {
                return None;
            }
            let other = if is_float(a) { b } else { a };
            let float = if is_float(a) { a } else { b };
            Some(if *float == Float32 && (*other == Float32 || other.is_integer()) {
                Float32
            } else {
                Float64
            })
        }
        (a, b) if a.is_numeric() && b.is_numeric() => {
            let (p, s) = common(decimal_shape(a)?, decimal_shape(b)?);
            Some(DataType::Decimal128(p, s))
        }
        (Date32, t @ Timestamp(..)) | (t @ Timestamp(..), Date32) => Some(t.clone()),
        (Timestamp(u, z), Timestamp(v, w)) if z == w => Some(Timestamp(*u.max(v), z.clone())),
        (DataType::List(a), DataType::List(b)) => {
            Some(array_of(common_type(a.data_type(), b.data_type())?))
        }
        (DataType::Struct(a), DataType::Struct(b)) if a.len() == b.len() => {
            let fields = a
                .iter()
                .zip(b)
                .map(|(a, b)| Some((a.name().clone(), common_type(a.data_type(), b.data_type())?)));
            Some(row_of(fields.collect::<Option<Vec<_>>>()?))
        }
        (a @ DataType::Map(..), b @ DataType::Map(..)) if !is_multiset(a) && !is_multiset(b) => {
            let ((k1, v1), (k2, v2)) = (map_types(a)?, map_types(b)?);
            Some(map_of(common_type(k1, k2)?, common_type(v1, v2)?))
        }
        _ => None,
    }
}
