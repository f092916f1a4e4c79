//! Which DynamoDB value does a column's value become?
//!
//! Called by `item` for every cell, on the worker. Numbers become N, STRING, dates and times S, BOOLEAN BOOL, BYTES B, ARRAY
//! L, ROW and MAP M, NULL NULL. Times are written as CAST to STRING writes them (`2024-02-29 01:02:03.9`, with a zone a `Z`
//! after it): the text sorts as the time does within one column. Flink leaves times to the AWS client for Java, whose form
//! has changed between versions. What always holds: a value that is returned is one that DynamoDB's types can hold.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};

use serde::{Deserialize, Serialize};

use crate::format::time_text::{TimestampStandard, ZoneSuffix};
use crate::format::{number_text, time_text};
use crate::map_keys;

/// DynamoDB's numbers: 0 or a magnitude from 1e-130 to just below 1e126.
const NUMBER_MIN: f64 = 1e-130;
const NUMBER_END: f64 = 1e126;
/// What DynamoDB charges for a list or map beside its elements, and for each element beside its contents, bytes.
const NESTED_BYTES: usize = 3;
const ELEMENT_BYTES: usize = 1;

/// An attribute's value in DynamoDB's types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    /// Each name once.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// What DynamoDB charges for the value, bytes.
    pub fn size_bytes(&self) -> usize {
        match self {
            Value::Null | Value::Bool(_) => 1,
            Value::Text(s) => s.len(),
            Value::Bytes(b) => b.len(),
            Value::Number(n) => {
                let mantissa = n.split(['e', 'E']).next().unwrap_or(n);
                let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
                digits.div_ceil(2) + 1 + usize::from(n.starts_with('-'))
            }
            Value::List(values) => NESTED_BYTES + values.iter().map(|v| ELEMENT_BYTES + v.size_bytes()).sum::<usize>(),
            Value::Map(entries) => {
                NESTED_BYTES + entries.iter().map(|(name, v)| ELEMENT_BYTES + name.len() + v.size_bytes()).sum::<usize>()
            }
        }
    }

    /// How many values these are, the nested ones and itself.
    pub fn count(&self) -> usize {
        match self {
            Value::List(values) => 1 + values.iter().map(Value::count).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|(_, v)| v.count()).sum::<usize>(),
            _ => 1,
        }
    }

    /// The value as JSON, for people; bytes in hexadecimal.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Value::Number(n) => out.push_str(n),
            Value::Text(s) => write_json_text(s, out),
            Value::Bytes(b) => {
                out.push('"');
                for b in b {
                    let _ = write!(out, "{b:02x}");
                }
                out.push('"');
            }
            Value::List(values) => {
                out.push('[');
                for (i, value) in values.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    value.write_json(out);
                }
                out.push(']');
            }
            Value::Map(entries) => write_json_object(entries.iter().map(|(n, v)| (n.as_str(), v)), out),
        }
    }
}

pub fn write_json_object<'a>(entries: impl Iterator<Item = (&'a str, &'a Value)>, out: &mut String) {
    out.push('{');
    for (i, (name, value)) in entries.enumerate() {
        out.push_str(if i > 0 { "," } else { "" });
        write_json_text(name, out);
        out.push(':');
        value.write_json(out);
    }
    out.push('}');
}

fn write_json_text(text: &str, out: &mut String) {
    let _ = write!(out, "{}", serde_json::Value::from(text));
}

/// `S`, `N` or `B`: the type that a column has as a key attribute; None if it cannot be one.
pub fn key_type(data_type: &DataType) -> Option<&'static str> {
    use DataType as T;
    match data_type {
        T::Binary => Some("B"),
        T::Utf8 | T::Date32 | T::Time32(_) | T::Timestamp(..) => Some("S"),
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Decimal128(..) => Some("N"),
        _ => None,
    }
}

/// True if a column of this type can be written. The keys of a MAP are names, so they must be text.
pub fn is_supported(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 => true,
        T::Decimal128(..) | T::Utf8 | T::Binary | T::Date32 | T::Time32(TimeUnit::Millisecond) => true,
        T::Timestamp(unit, _) => *unit != TimeUnit::Second,
        T::List(element) => is_supported(element.data_type()),
        T::Struct(fields) => fields.iter().all(|f| is_supported(f.data_type())),
        T::Map(..) => map_keys::types(data_type).is_some_and(|(key, value)| *key == T::Utf8 && is_supported(value)),
        _ => false,
    }
}

/// The value in a row of a column whose type [`is_supported`] knows, or why DynamoDB can never take it.
pub fn value(column: &ArrayRef, row: usize) -> Result<Value, String> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    macro_rules! at {
        ($t:ty) => {
            column.as_primitive::<$t>().value(row)
        };
    }
    let mut text = Vec::new();
    let value = match column.data_type() {
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Utf8 => Value::Text(column.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Value::Bytes(column.as_binary::<i32>().value(row).to_vec()),
        DataType::Int8 => Value::Number(at!(Int8Type).to_string()),
        DataType::Int16 => Value::Number(at!(Int16Type).to_string()),
        DataType::Int32 => Value::Number(at!(Int32Type).to_string()),
        DataType::Int64 => Value::Number(at!(Int64Type).to_string()),
        DataType::Float32 => {
            let v = at!(Float32Type);
            float(f64::from(v), || ryu::Buffer::new().format_finite(v).to_owned())?
        }
        DataType::Float64 => {
            let v = at!(Float64Type);
            float(v, || ryu::Buffer::new().format_finite(v).to_owned())?
        }
        DataType::Decimal128(_, scale) => {
            // 38 digits are the most of both DECIMAL and DynamoDB.
            number_text::write_decimal_plain(&mut text, at!(Decimal128Type), i32::from(*scale));
            Value::Number(into_text(text))
        }
        DataType::Date32 => {
            time_text::write_date(&mut text, at!(Date32Type));
            Value::Text(into_text(text))
        }
        DataType::Time32(_) => {
            let millis = at!(Time32MillisecondType);
            time_text::write_time(&mut text, millis);
            time_text::write_fraction(&mut text, millis.rem_euclid(1000).cast_unsigned() * 1_000_000);
            Value::Text(into_text(text))
        }
        DataType::Timestamp(unit, zone) => {
            let ticks = match unit {
                TimeUnit::Millisecond => at!(TimestampMillisecondType),
                TimeUnit::Microsecond => at!(TimestampMicrosecondType),
                TimeUnit::Nanosecond => at!(TimestampNanosecondType),
                TimeUnit::Second => return Err(format!("type {} is not supported", column.data_type())),
            };
            time_text::write_timestamp(&mut text, ticks, *unit, ZoneSuffix::of(zone.as_ref()), TimestampStandard::Sql);
            Value::Text(into_text(text))
        }
        DataType::List(_) => {
            let elements = column.as_list::<i32>().value(row);
            Value::List((0..elements.len()).map(|i| value(&elements, i)).collect::<Result<_, _>>()?)
        }
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            let entries = fields.iter().zip(columns).map(|(field, c)| Ok((field.name().clone(), value(c, row)?)));
            Value::Map(entries.collect::<Result<_, String>>()?)
        }
        DataType::Map(..) => map(&column.as_map().value(row))?,
        other => return Err(format!("type {other} is not supported")),
    };
    Ok(value)
}

/// A map from its entries. Of those with one key the last one counts.
fn map(pairs: &StructArray) -> Result<Value, String> {
    let keys = map_keys::of_entries(pairs).as_string::<i32>();
    let mut entries = std::collections::BTreeMap::new();
    for i in 0..keys.len() {
        if keys.is_null(i) {
            return Err("a MAP with NULL as a key is no map in DynamoDB".into());
        }
        entries.insert(keys.value(i).to_owned(), value(pairs.column(1), i)?);
    }
    Ok(Value::Map(entries.into_iter().collect()))
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn float(value: f64, text: impl Fn() -> String) -> Result<Value, String> {
    if !value.is_finite() {
        return Err(format!("{value} is no number in DynamoDB"));
    }
    // Both zeros are one number, also in a key.
    if value == 0.0 {
        return Ok(Value::Number("0".into()));
    }
    if !(NUMBER_MIN..NUMBER_END).contains(&value.abs()) {
        return Err(format!("{value:e} is beyond DynamoDB's numbers (1e-130 to 1e126)"));
    }
    Ok(Value::Number(text()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::*;
    use arrow::datatypes::{Field, Fields, Int32Type};

    fn json(column: ArrayRef, row: usize) -> String {
        assert!(is_supported(column.data_type()), "{}", column.data_type());
        let mut out = String::new();
        value(&column, row).unwrap().write_json(&mut out);
        out
    }

    #[test]
    fn arrays_rows_and_maps() {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
        let list: ArrayRef = Arc::new(list);
        assert_eq!([0, 1, 2].map(|row| json(list.clone(), row)), ["[1,null]", "null", "[]"]);
        let inner = Fields::from(vec![Field::new("t", DataType::Utf8, true), Field::new("l", list.data_type().clone(), true)]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a\"b"), None, Some("c")]));
        let rows: ArrayRef = Arc::new(StructArray::new(inner, vec![texts, list], None));
        assert_eq!(json(rows.clone(), 0), r#"{"t":"a\"b","l":[1,null]}"#);
        assert_eq!(json(rows, 1), r#"{"t":null,"l":null}"#);
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Float64Builder::new());
        for (key, number) in [("b", 2.5), ("a", 1.0), ("b", -0.0)] {
            maps.keys().append_value(key);
            maps.values().append_value(number);
        }
        maps.append(true).unwrap();
        assert_eq!(json(Arc::new(maps.finish()), 0), r#"{"a":1.0,"b":0}"#);
    }

    #[test]
    fn what_is_nested_is_checked_too() {
        let mut maps = MapBuilder::new(None, Int32Builder::new(), Int32Builder::new());
        maps.append(true).unwrap();
        assert!(!is_supported(maps.finish().data_type()), "names are text");
        let mut lists = ListBuilder::new(Float64Builder::new());
        lists.append_value([Some(1.0), Some(f64::NAN)]);
        let lists: ArrayRef = Arc::new(lists.finish());
        assert!(value(&lists, 0).unwrap_err().starts_with("NaN"));
        assert_eq!(key_type(lists.data_type()), None);
    }

    #[test]
    fn sizes_are_those_dynamodb_charges() {
        let text = |s: &str| Value::Text(s.into());
        let list = Value::List(vec![text("abc"), Value::Null]);
        assert_eq!(list.size_bytes(), 3 + (1 + 3) + (1 + 1));
        let map = Value::Map(vec![("name".into(), list), ("n".into(), Value::Number("-12345".into()))]);
        assert_eq!(map.size_bytes(), 3 + (1 + 4 + 9) + (1 + 1 + 5));
        assert_eq!(map.count(), 5);
    }
}
