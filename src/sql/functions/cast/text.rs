//! To text: STRING, CHAR(n) and VARCHAR(n), in the form that Flink prints.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimeUnit,
};

use super::time::ticks;
use super::{Type, precision};
use crate::format::number_text::{write_decimal_plain, write_f32, write_f64};
use crate::format::time_text::{TimestampStandard, ZoneSuffix, ticks_per_second, write_date, write_time, write_timestamp};
use crate::map_keys;

pub fn cast(array: &ArrayRef, from: &Type, to: &Type) -> Result<ArrayRef, String> {
    let mut out = StringBuilder::with_capacity(array.len(), array.len() * 12);
    let mut text = String::new();
    let (exactly, at_most) = (to.modifier("CHAR"), to.modifier("VARCHAR"));
    for row in 0..array.len() {
        if array.is_null(row) {
            out.append_null();
            continue;
        }
        text.clear();
        append(&mut text, array, row, from.precision())?;
        if let Some(length) = exactly.or(at_most) {
            cut(&mut text, length);
        }
        if let Some(length) = exactly {
            let missing = length.saturating_sub(text.chars().count());
            text.extend(std::iter::repeat_n(' ', missing));
        }
        out.append_value(&text);
    }
    Ok(Arc::new(out.finish()))
}

/// Leaves at most so many characters.
fn cut(text: &mut String, length: usize) {
    if let Some((at, _)) = text.char_indices().nth(length) {
        text.truncate(at);
    }
}

/// Appends the text of a value that is not NULL. `precision` is the number of digits after the second of a timestamp.
pub fn append(out: &mut String, array: &ArrayRef, row: usize, precision: usize) -> Result<(), String> {
    let mut bytes = Vec::new();
    match array.data_type() {
        DataType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "TRUE" } else { "FALSE" }),
        DataType::Int8 => number(out, array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => number(out, array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => number(out, array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => number(out, array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => write_f32(&mut bytes, array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => write_f64(&mut bytes, array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            write_decimal_plain(&mut bytes, array.as_primitive::<Decimal128Type>().value(row), i32::from(*scale));
        }
        DataType::Binary => bytes.extend_from_slice(array.as_binary::<i32>().value(row)),
        DataType::Date32 => write_date(&mut bytes, array.as_primitive::<Date32Type>().value(row)),
        DataType::Time32(_) => write_time(&mut bytes, array.as_primitive::<Time32MillisecondType>().value(row)),
        DataType::Timestamp(unit, _) => {
            let per_second = ticks_per_second(*unit);
            let value = ticks(array, row);
            let (seconds, rest) = (value.div_euclid(per_second), value.rem_euclid(per_second));
            write_timestamp(&mut bytes, seconds, TimeUnit::Second, ZoneSuffix::Absent, TimestampStandard::Sql);
            if precision > 0 {
                let nanos = format!("{:09}", rest * (1_000_000_000 / per_second));
                bytes.push(b'.');
                bytes.extend_from_slice(&nanos.as_bytes()[..precision.min(9)]);
            }
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            out.push('[');
            for at in 0..items.len() {
                part(out, &items, at, ", ")?;
            }
            out.push(']');
        }
        DataType::Struct(_) => {
            out.push('(');
            for (at, field) in array.as_struct().columns().iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                inside(out, field, row)?;
            }
            out.push(')');
        }
        DataType::Map(..) => {
            let pairs = array.as_map().value(row);
            out.push('{');
            for at in 0..pairs.len() {
                part(out, map_keys::of_entries(&pairs), at, ", ")?;
                out.push('=');
                inside(out, pairs.column(1), at)?;
            }
            out.push('}');
        }
        DataType::Null => out.push_str("NULL"),
        other => return Err(format!("cannot cast {other} to STRING")),
    }
    if !bytes.is_empty() {
        out.push_str(&String::from_utf8_lossy(&bytes));
    }
    Ok(())
}

/// One of several parts, with what stands between them.
fn part(out: &mut String, array: &ArrayRef, at: usize, between: &str) -> Result<(), String> {
    if at > 0 {
        out.push_str(between);
    }
    inside(out, array, at)
}

fn inside(out: &mut String, array: &ArrayRef, row: usize) -> Result<(), String> {
    if array.is_null(row) {
        out.push_str("NULL");
        return Ok(());
    }
    append(out, array, row, precision(array.data_type()))
}

fn number(out: &mut String, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}
