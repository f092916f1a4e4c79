//! Which DynamoDB item does a row become?
//!
//! Called by the sink for every row, on the worker. Numbers become N, STRING, dates and times S (text as in Flink's JSON),
//! BOOLEAN BOOL, BYTES B. What always holds: two rows have the same [`Item::key`] if and only if DynamoDB would keep them
//! as one item; an item that is returned fits the limits that can be checked here.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow::record_batch::RecordBatch;

use crate::format::{number_text, time_text};

/// DynamoDB's limit on an item with its attribute names, bytes.
const ITEM_BYTES_MAX: usize = 400 * 1024;
/// DynamoDB's numbers: 0 or a magnitude from 1e-130 to just below 1e126.
const NUMBER_MIN: f64 = 1e-130;
const NUMBER_END: f64 = 1e126;
/// What an attribute costs in memory besides its text: names are shared, the rest is pointers and map entries.
const ATTRIBUTE_OVERHEAD_BYTES: usize = 64;

/// An attribute's value in DynamoDB's types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row on its way to DynamoDB.
#[derive(Debug, Clone)]
pub struct Item {
    /// The values of the table's key attributes, each with its type and length: equal for equal items only.
    pub key: Arc<[u8]>,
    pub attributes: Vec<(Arc<str>, Value)>,
    /// Its version, where writes are conditional on it. Not among `attributes`.
    pub version: Option<Arc<str>>,
    /// What it occupies while it waits.
    pub memory_bytes: usize,
}

impl Item {
    /// The row as a JSON object, for people; bytes in hexadecimal.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{");
        for (i, (name, value)) in self.attributes.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let _ = write!(out, "{comma}{}:", serde_json::Value::from(name.as_ref()));
            let _ = match value {
                Value::Null => write!(out, "null"),
                Value::Bool(b) => write!(out, "{b}"),
                Value::Number(n) => write!(out, "{n}"),
                Value::Text(s) => write!(out, "{}", serde_json::Value::from(s.as_str())),
                Value::Bytes(b) => {
                    out.push('"');
                    for b in b {
                        let _ = write!(out, "{b:02x}");
                    }
                    write!(out, "\"")
                }
            };
        }
        out.push('}');
        out
    }
}

/// `S`, `N` or `B`: the type that a column has as a key attribute; None if it cannot be one.
pub fn key_type(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::Boolean => None,
        DataType::Binary => Some("B"),
        DataType::Utf8 | DataType::Date32 | DataType::Time32(_) | DataType::Timestamp(..) => Some("S"),
        _ if is_supported(data_type) => Some("N"),
        _ => None,
    }
}

/// True if a column of this type can be written.
pub fn is_supported(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 => true,
        T::Decimal128(..) | T::Utf8 | T::Binary | T::Date32 | T::Time32(TimeUnit::Millisecond) => true,
        T::Timestamp(unit, _) => *unit != TimeUnit::Second,
        _ => false,
    }
}

/// The key of an item from its key attributes, in the order of the table's key schema. None for a type no key can have.
pub fn key_bytes<'a>(values: impl IntoIterator<Item = &'a Value>) -> Option<Arc<[u8]>> {
    let mut key = Vec::new();
    for value in values {
        let (kind, bytes) = match value {
            Value::Text(s) => (b'S', s.as_bytes()),
            Value::Number(n) => (b'N', n.as_bytes()),
            Value::Bytes(b) => (b'B', b.as_slice()),
            Value::Null | Value::Bool(_) => return None,
        };
        key.push(kind);
        key.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        key.extend_from_slice(bytes);
    }
    Some(key.into())
}

/// Makes items of the rows of one schema.
pub struct ItemEncoder {
    names: Vec<Arc<str>>,
    /// Columns of the table's key, in the order of its key schema.
    key: Vec<usize>,
    ignore_nulls: bool,
    /// Bytes that every item needs beside its columns: the version attribute.
    extra_bytes: usize,
}

impl ItemEncoder {
    /// `names` are those of the batch's columns. Columns must be of types that [`is_supported`] knows.
    pub fn new(names: Vec<Arc<str>>, key: Vec<usize>, ignore_nulls: bool, extra_bytes: usize) -> ItemEncoder {
        ItemEncoder { names, key, ignore_nulls, extra_bytes }
    }

    /// The item of a row, or why DynamoDB can never take it.
    pub fn encode(&self, batch: &RecordBatch, row: usize, version: Option<&Arc<str>>) -> Result<Item, String> {
        let mut attributes = Vec::with_capacity(self.names.len());
        let mut size_bytes = self.extra_bytes;
        let mut key = Vec::with_capacity(self.key.len());
        for &column in &self.key {
            key.push(match value(batch.column(column), row).map_err(|e| self.blame(column, &e))? {
                Value::Null => return Err(format!("key column '{}' is NULL", self.names[column])),
                value => value,
            });
        }
        let key = key_bytes(&key).ok_or("a key column has a type that no DynamoDB key can have")?;
        for (column, name) in self.names.iter().enumerate() {
            let value = value(batch.column(column), row).map_err(|e| self.blame(column, &e))?;
            if value == Value::Null && self.ignore_nulls {
                continue;
            }
            size_bytes += name.len() + value_bytes(&value);
            attributes.push((name.clone(), value));
        }
        if size_bytes > ITEM_BYTES_MAX {
            return Err(format!("the item has about {size_bytes} bytes, DynamoDB takes {ITEM_BYTES_MAX}"));
        }
        let memory_bytes = size_bytes + key.len() + attributes.len() * ATTRIBUTE_OVERHEAD_BYTES;
        Ok(Item { key, attributes, version: version.cloned(), memory_bytes })
    }

    fn blame(&self, column: usize, reason: &str) -> String {
        format!("column '{}': {reason}", self.names[column])
    }
}

/// What DynamoDB charges for a value, bytes.
fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Text(s) => s.len(),
        Value::Bytes(b) => b.len(),
        Value::Number(n) => {
            let mantissa = n.split(['e', 'E']).next().unwrap_or(n);
            let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
            digits.div_ceil(2) + 1 + usize::from(n.starts_with('-'))
        }
    }
}

fn value(column: &ArrayRef, row: usize) -> Result<Value, String> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    let mut text = Vec::new();
    let data_type = column.data_type();
    macro_rules! at {
        ($t:ty) => {
            column.as_primitive::<$t>().value(row)
        };
    }
    let number = |n: String| Ok(Value::Number(n));
    match data_type {
        DataType::Boolean => return Ok(Value::Bool(column.as_boolean().value(row))),
        DataType::Utf8 => return Ok(Value::Text(column.as_string::<i32>().value(row).to_owned())),
        DataType::Binary => return Ok(Value::Bytes(column.as_binary::<i32>().value(row).to_vec())),
        DataType::Int8 => return number(at!(Int8Type).to_string()),
        DataType::Int16 => return number(at!(Int16Type).to_string()),
        DataType::Int32 => return number(at!(Int32Type).to_string()),
        DataType::Int64 => return number(at!(Int64Type).to_string()),
        DataType::Float32 => {
            let v = at!(Float32Type);
            return float(f64::from(v), || ryu::Buffer::new().format_finite(v).to_owned());
        }
        DataType::Float64 => {
            let v = at!(Float64Type);
            return float(v, || ryu::Buffer::new().format_finite(v).to_owned());
        }
        DataType::Decimal128(_, scale) => {
            // 38 digits are the most of both DECIMAL and DynamoDB.
            number_text::write_decimal_plain(&mut text, at!(Decimal128Type), i32::from(*scale));
            return number(String::from_utf8_lossy(&text).into_owned());
        }
        DataType::Date32 => time_text::write_date(&mut text, at!(Date32Type)),
        DataType::Time32(_) => {
            let millis = at!(Time32MillisecondType);
            time_text::write_time(&mut text, millis);
            time_text::write_fraction(&mut text, millis.rem_euclid(1000).cast_unsigned() * 1_000_000);
        }
        DataType::Timestamp(unit, zone) => {
            let ticks = match unit {
                TimeUnit::Millisecond => at!(TimestampMillisecondType),
                TimeUnit::Microsecond => at!(TimestampMicrosecondType),
                TimeUnit::Nanosecond => at!(TimestampNanosecondType),
                TimeUnit::Second => return Err(format!("type {data_type} is not supported")),
            };
            time_text::write_timestamp(&mut text, ticks, *unit, zone.is_some(), false);
        }
        other => return Err(format!("type {other} is not supported")),
    }
    Ok(Value::Text(String::from_utf8_lossy(&text).into_owned()))
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
    use arrow::array::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
    }

    fn encoder(batch: &RecordBatch, key: Vec<usize>, ignore_nulls: bool) -> ItemEncoder {
        ItemEncoder::new(batch.schema().fields().iter().map(|f| f.name().as_str().into()).collect(), key, ignore_nulls, 0)
    }

    #[test]
    fn every_type() {
        let decimal = Decimal128Array::from(vec![Some(-150), None]).with_precision_and_scale(38, 2).unwrap();
        let utc = TimestampMillisecondArray::from(vec![Some(1_709_168_523_000), None]).with_timezone("UTC");
        let batch = batch(vec![
            ("k", Arc::new(StringArray::from(vec!["x", "y"]))),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("l", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
            ("f", Arc::new(Float32Array::from(vec![Some(1.1), None]))),
            ("d", Arc::new(Float64Array::from(vec![Some(-0.0), None]))),
            ("m", Arc::new(decimal)),
            ("y", Arc::new(BinaryArray::from(vec![Some(&[1u8, 255][..]), None]))),
            ("dt", Arc::new(Date32Array::from(vec![Some(19782), None]))),
            ("tm", Arc::new(Time32MillisecondArray::from(vec![Some(3_723_045), None]))),
            ("ts", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_709_168_523_900_000), None]))),
            ("tz", Arc::new(utc)),
        ]);
        let item = encoder(&batch, vec![0], false).encode(&batch, 0, None).unwrap();
        let want = r#"{"k":"x","b":true,"l":-9223372036854775808,"f":1.1,"d":0,"m":-1.50,"y":"01ff","dt":"2024-02-29","tm":"01:02:03.045","ts":"2024-02-29 01:02:03.9","tz":"2024-02-29 01:02:03Z"}"#;
        assert_eq!(item.to_json(), want);
        assert_eq!(encoder(&batch, vec![0], true).encode(&batch, 1, None).unwrap().to_json(), r#"{"k":"y"}"#);
        let nulls = encoder(&batch, vec![0], false).encode(&batch, 1, None).unwrap();
        assert_eq!(nulls.attributes.iter().filter(|(_, v)| *v == Value::Null).count(), 10);
    }

    #[test]
    fn keys_differ_where_items_do() {
        let a: ArrayRef = Arc::new(StringArray::from(vec![Some("ab"), Some("a"), Some("b"), Some("a"), None]));
        let b: ArrayRef = Arc::new(StringArray::from(vec!["c", "bc", "a", "b", "z"]));
        let batch = batch(vec![("a", a), ("b", b)]);
        let encoder = encoder(&batch, vec![0, 1], false);
        let keys: std::collections::HashSet<Arc<[u8]>> = (0..4).map(|r| encoder.encode(&batch, r, None).unwrap().key).collect();
        assert_eq!(keys.len(), 4);
        assert_eq!(encoder.encode(&batch, 4, None).unwrap_err(), "key column 'a' is NULL");
    }

    #[test]
    fn what_dynamodb_cannot_hold_is_refused_with_the_column() {
        let d: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, 1e126, -1e-131, 9.9e125]));
        let batch = batch(vec![("k", Arc::new(Int32Array::from(vec![1; 5])) as ArrayRef), ("d", d)]);
        let encoder = encoder(&batch, vec![0], false);
        for row in 0..4 {
            let error = encoder.encode(&batch, row, None).unwrap_err();
            assert!(error.starts_with("column 'd': "), "{error}");
        }
        assert!(encoder.encode(&batch, 4, None).is_ok());
    }

    #[test]
    fn the_size_counts_names_and_values() {
        for (len, fits) in [(ITEM_BYTES_MAX - 4, true), (ITEM_BYTES_MAX - 3, false)] {
            let text = "x".repeat(len);
            // k, v: two names of one byte; the number 7 takes two.
            let columns: Vec<(&str, ArrayRef)> =
                vec![("k", Arc::new(Int32Array::from(vec![7]))), ("v", Arc::new(StringArray::from(vec![text])))];
            let batch = batch(columns);
            assert_eq!(encoder(&batch, vec![0], false).encode(&batch, 0, None).is_ok(), fits);
        }
    }
}
