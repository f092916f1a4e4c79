//! Values as JSON text inside JSON_ARRAYAGG and JSON_OBJECTAGG, as Flink writes them: decimals with all their digits,
//! times with a T.
//!
//! Used by `listing`. What always holds: what is written for a supported type is valid JSON.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};

use crate::format::{number_text, time_text};

/// True if a value of this type can be written.
pub fn supports(data_type: &DataType) -> bool {
    use DataType::{Boolean, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Timestamp, Utf8};
    matches!(data_type, Boolean | Int8 | Int16 | Int32 | Int64 | Float32 | Float64 | Decimal128(..) | Utf8)
        || matches!(data_type, Timestamp(unit, None) if *unit != TimeUnit::Second)
}

/// Appends a text in quotes.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    // Text always encodes, and writing into memory never fails.
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// Appends one value of a supported type; NULL is `null`. `is_json`: a text is JSON already.
pub fn write_value(values: &ArrayRef, row: usize, is_json: bool, out: &mut Vec<u8>) {
    macro_rules! integer {
        ($t:ty) => {
            out.extend_from_slice(itoa::Buffer::new().format(values.as_primitive::<$t>().value(row)).as_bytes())
        };
    }
    if values.is_null(row) {
        out.extend_from_slice(b"null");
        return;
    }
    match values.data_type() {
        DataType::Boolean => out.extend_from_slice(if values.as_boolean().value(row) { b"true" } else { b"false" }),
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::Float32 => {
            let value = values.as_primitive::<Float32Type>().value(row);
            quoted_unless(value.is_finite(), out, |out| number_text::write_f32(out, value));
        }
        DataType::Float64 => {
            let value = values.as_primitive::<Float64Type>().value(row);
            quoted_unless(value.is_finite(), out, |out| number_text::write_f64(out, value));
        }
        DataType::Decimal128(_, scale) => {
            number_text::write_decimal_plain(out, values.as_primitive::<Decimal128Type>().value(row), (*scale).into());
        }
        DataType::Timestamp(unit, _) => {
            let value = match unit {
                TimeUnit::Microsecond => values.as_primitive::<TimestampMicrosecondType>().value(row),
                TimeUnit::Nanosecond => values.as_primitive::<TimestampNanosecondType>().value(row),
                _ => values.as_primitive::<TimestampMillisecondType>().value(row),
            };
            quoted_unless(false, out, |out| time_text::write_timestamp(out, value, *unit, false, true));
        }
        _ => match values.as_string_opt::<i32>() {
            Some(text) if is_json => out.extend_from_slice(text.value(row).as_bytes()),
            Some(text) => write_text(text.value(row), out),
            None => out.extend_from_slice(b"null"),
        },
    }
}

/// JSON has no number for what is not finite, and none for times.
fn quoted_unless(plain: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if !plain {
        out.push(b'"');
    }
    write(out);
    if !plain {
        out.push(b'"');
    }
}
