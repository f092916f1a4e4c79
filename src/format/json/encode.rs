//! Columns to JSON: one object a line, written as Apache Flink's `json` format writes it.
//!
//! Called by sinks that write text and for rows that a sink cannot take. What always holds: the output is valid JSON
//! with the columns in declared order; encoding cannot fail, since `new` refuses types it cannot write.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef,
    Time32MillisecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow::record_batch::RecordBatch;

use crate::format::time_text::{TimestampStandard, ZoneSuffix};
use crate::format::{number_text, time_text};
use crate::map_keys;

use super::{JsonError, base64, text};

/// Flink's options of the `json` format that concern writing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EncodeOptions {
    /// `json.encode.ignore-null-fields`: leaves NULL columns out instead of writing `null`.
    pub ignore_null_fields: bool,
    /// `json.encode.decimal-as-plain-number`: `1000` instead of `1E+3`.
    pub decimal_as_plain_number: bool,
    /// `json.timestamp-format.standard`.
    pub timestamp_standard: TimestampStandard,
}

/// Writes batches of one schema.
pub struct JsonEncoder {
    options: EncodeOptions,
    columns: Vec<OutputColumn>,
}

struct OutputColumn {
    /// `,"name":`; the first column of a row leaves out the comma.
    prefix: Vec<u8>,
    /// The last timestamp and its text: windows repeat them in row after row.
    memo: Option<(i64, Vec<u8>)>,
}

impl JsonEncoder {
    pub fn new(schema: &SchemaRef, options: EncodeOptions) -> Result<JsonEncoder, JsonError> {
        let mut columns = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            if !is_supported(field.data_type()) {
                let (column, data_type) = (field.name().clone(), field.data_type().clone());
                return Err(JsonError::UnsupportedType { column, data_type });
            }
            columns.push(OutputColumn { prefix: prefix(field.name()), memo: None });
        }
        Ok(JsonEncoder { options, columns })
    }

    /// Appends every row of `batch`, which has the encoder's schema: an object and a line feed each.
    pub fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) {
        self.encode_rows(batch, 0..batch.num_rows(), out);
    }

    /// The same for some of the rows, so that a caller can bound what `out` holds.
    pub fn encode_rows(&mut self, batch: &RecordBatch, rows: Range<usize>, out: &mut Vec<u8>) {
        let cells: Vec<Cells> = batch.columns().iter().map(Cells::new).collect();
        for row in rows {
            self.write_object(&cells, row, out);
            out.push(b'\n');
        }
    }

    /// Appends one row as an object, without a line feed.
    pub fn encode_row(&mut self, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) {
        let cells: Vec<Cells> = batch.columns().iter().map(Cells::new).collect();
        self.write_object(&cells, row, out);
    }

    fn write_object(&mut self, cells: &[Cells], row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut skip_comma = 1;
        for (column, cells) in self.columns.iter_mut().zip(cells) {
            let null = cells.is_null(row);
            if null && self.options.ignore_null_fields {
                continue;
            }
            out.extend_from_slice(&column.prefix[skip_comma..]);
            skip_comma = 0;
            if null {
                out.extend_from_slice(b"null");
            } else {
                cells.write(row, self.options, &mut column.memo, out);
            }
        }
        out.push(b'}');
    }
}

fn is_supported(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::List(item) => return is_supported(item.data_type()),
        T::Struct(fields) => return fields.iter().all(|f| is_supported(f.data_type())),
        // A member's name is text.
        T::Map(..) => {
            return map_keys::types(data_type).is_some_and(|(key, value)| *key == T::Utf8 && is_supported(value));
        }
        _ => {}
    }
    matches!(
        data_type,
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Decimal128(..) | T::Utf8
    ) || matches!(data_type, T::Binary | T::Date32 | T::Time32(TimeUnit::Millisecond) | T::Timestamp(..))
}

/// A column with its type resolved, once per batch.
struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Bool(&'a BooleanArray),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    Decimal {
        values: &'a [i128],
        scale: i32,
    },
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a [i32]),
    Time(&'a [i32]),
    Timestamp {
        values: &'a [i64],
        unit: TimeUnit,
        suffix: ZoneSuffix,
    },
    Array {
        offsets: &'a [i32],
        items: Box<Cells<'a>>,
    },
    Map {
        offsets: &'a [i32],
        keys: &'a StringArray,
        values: Box<Cells<'a>>,
    },
    /// Each field with `,"name":` before it.
    Row(Vec<(Vec<u8>, Cells<'a>)>),
    /// A type that `new` refuses; written as null.
    Other,
}

impl<'a> Cells<'a> {
    fn new(array: &'a ArrayRef) -> Cells<'a> {
        let values = match array.data_type() {
            DataType::Boolean => Values::Bool(array.as_boolean()),
            DataType::Int8 => Values::I8(array.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Values::I16(array.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Values::I32(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Values::I64(array.as_primitive::<Int64Type>().values()),
            DataType::Float32 => Values::F32(array.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Values::F64(array.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(_, scale) => {
                Values::Decimal { values: array.as_primitive::<Decimal128Type>().values(), scale: i32::from(*scale) }
            }
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::Binary => Values::Bytes(array.as_binary()),
            DataType::Date32 => Values::Date(array.as_primitive::<Date32Type>().values()),
            DataType::Time32(TimeUnit::Millisecond) => Values::Time(array.as_primitive::<Time32MillisecondType>().values()),
            DataType::Timestamp(unit, zone) => {
                let values = match unit {
                    TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
                    TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                    TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                    TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
                };
                Values::Timestamp { values, unit: *unit, suffix: ZoneSuffix::of(zone.as_ref()) }
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Values::Array { offsets: list.value_offsets(), items: Box::new(Cells::new(list.values())) }
            }
            DataType::Map(..) => {
                let map = array.as_map();
                match map_keys::keys(map).as_string_opt::<i32>() {
                    Some(keys) => Values::Map { offsets: map.value_offsets(), keys, values: Box::new(Cells::new(map.values())) },
                    None => Values::Other,
                }
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns();
                Values::Row(fields.iter().zip(columns).map(|(f, c)| (prefix(f.name()), Cells::new(c))).collect())
            }
            _ => Values::Other,
        };
        Cells { nulls: array.nulls(), values }
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// A value inside another.
    fn write_inside(&self, row: usize, options: EncodeOptions, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
        } else {
            self.write(row, options, &mut None, out);
        }
    }

    fn write(&self, row: usize, options: EncodeOptions, memo: &mut Option<(i64, Vec<u8>)>, out: &mut Vec<u8>) {
        match &self.values {
            Values::Array { offsets, items } => {
                out.push(b'[');
                for at in offsets[row]..offsets[row + 1] {
                    if at > offsets[row] {
                        out.push(b',');
                    }
                    items.write_inside(at as usize, options, out);
                }
                out.push(b']');
                return;
            }
            Values::Map { offsets, keys, values } => {
                out.push(b'{');
                for at in offsets[row]..offsets[row + 1] {
                    if at > offsets[row] {
                        out.push(b',');
                    }
                    // The tables of an INSERT say what becomes of NULL before it comes here; elsewhere it is its word.
                    let key = if keys.is_null(at as usize) { "null" } else { keys.value(at as usize) };
                    text::write_string(out, key);
                    out.push(b':');
                    values.write_inside(at as usize, options, out);
                }
                out.push(b'}');
                return;
            }
            Values::Row(fields) => {
                out.push(b'{');
                let mut skip_comma = 1;
                for (prefix, cells) in fields {
                    if !(options.ignore_null_fields && cells.is_null(row)) {
                        out.extend_from_slice(&prefix[skip_comma..]);
                        skip_comma = 0;
                        cells.write_inside(row, options, out);
                    }
                }
                out.push(b'}');
                return;
            }
            _ => {}
        }
        match self.values {
            Values::Bool(v) => out.extend_from_slice(if v.value(row) { b"true" } else { b"false" }),
            Values::I8(v) => write_integer(out, v[row]),
            Values::I16(v) => write_integer(out, v[row]),
            Values::I32(v) => write_integer(out, v[row]),
            Values::I64(v) => write_integer(out, v[row]),
            Values::F32(v) if v[row].is_finite() => number_text::write_f32(out, v[row]),
            Values::F64(v) if v[row].is_finite() => number_text::write_f64(out, v[row]),
            // JSON has no number for these.
            Values::F32(v) => quoted(out, |out| number_text::write_f32(out, v[row])),
            Values::F64(v) => quoted(out, |out| number_text::write_f64(out, v[row])),
            Values::Decimal { values, scale } => {
                let (unscaled, scale) = number_text::strip_trailing_zeros(values[row], scale);
                if options.decimal_as_plain_number {
                    number_text::write_decimal_plain(out, unscaled, scale);
                } else {
                    number_text::write_decimal(out, unscaled, scale);
                }
            }
            Values::Text(v) => text::write_string(out, v.value(row)),
            Values::Bytes(v) => quoted(out, |out| base64::write(out, v.value(row))),
            Values::Date(v) => quoted(out, |out| time_text::write_date(out, v[row])),
            Values::Time(v) => quoted(out, |out| time_text::write_time(out, v[row])),
            Values::Timestamp { values, unit, suffix } => {
                let value = values[row];
                let (last, text) = memo.get_or_insert_with(|| (value.wrapping_add(1), Vec::new()));
                if *last != value {
                    *last = value;
                    text.clear();
                    quoted(text, |text| time_text::write_timestamp(text, value, unit, suffix, options.timestamp_standard));
                }
                out.extend_from_slice(text);
            }
            Values::Array { .. } | Values::Map { .. } | Values::Row(_) | Values::Other => out.extend_from_slice(b"null"),
        }
    }
}

/// `,"name":`
fn prefix(name: &str) -> Vec<u8> {
    let mut prefix = vec![b','];
    text::write_string(&mut prefix, name);
    prefix.push(b':');
    prefix
}

fn write_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::*;
    use arrow::datatypes::{Field, Schema};

    fn lines(columns: Vec<(&str, ArrayRef)>, options: EncodeOptions) -> Vec<String> {
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
        let mut encoder = JsonEncoder::new(&batch.schema(), options).unwrap();
        let mut out = Vec::new();
        encoder.encode(&batch, &mut out);
        let mut one_by_one = Vec::new();
        for row in 0..batch.num_rows() {
            encoder.encode_row(&batch, row, &mut one_by_one);
            one_by_one.push(b'\n');
        }
        assert_eq!(out, one_by_one);
        let text = String::from_utf8(out).unwrap();
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_type() {
        let decimal = |v: Vec<Option<i128>>| Decimal128Array::from(v).with_precision_and_scale(10, 2).unwrap();
        let utc = TimestampMillisecondArray::from(vec![Some(1_709_168_523_000), None]).with_timezone("UTC");
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("t", Arc::new(Int8Array::from(vec![Some(-128), None]))),
            ("h", Arc::new(Int16Array::from(vec![Some(-1), None]))),
            ("i", Arc::new(Int32Array::from(vec![Some(i32::MIN), None]))),
            ("l", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
            ("f", Arc::new(Float32Array::from(vec![Some(1.1), None]))),
            ("d", Arc::new(Float64Array::from(vec![Some(f64::NEG_INFINITY), None]))),
            ("m", Arc::new(decimal(vec![Some(100_000), None]))),
            ("s", Arc::new(StringArray::from(vec![Some("é/\"😀"), None]))),
            ("y", Arc::new(BinaryArray::from(vec![Some(&[1u8, 2, 3][..]), None]))),
            ("dt", Arc::new(Date32Array::from(vec![Some(19782), None]))),
            ("tm", Arc::new(Time32MillisecondArray::from(vec![Some(3_723_999), None]))),
            ("ts", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_709_168_523_999_999), None]))),
            ("tz", Arc::new(utc)),
        ];
        let first = r#"{"b":true,"t":-128,"h":-1,"i":-2147483648,"l":-9223372036854775808,"f":1.1,"d":"-Infinity","m":1E+3,"s":"é/\"\uD83D\uDE00","y":"AQID","dt":"2024-02-29","tm":"01:02:03","ts":"2024-02-29 01:02:03.999999","tz":"2024-02-29 01:02:03Z"}"#;
        let second = r#"{"b":null,"t":null,"h":null,"i":null,"l":null,"f":null,"d":null,"m":null,"s":null,"y":null,"dt":null,"tm":null,"ts":null,"tz":null}"#;
        assert_eq!(lines(columns.clone(), EncodeOptions::default()), [first, second]);
        let options = EncodeOptions {
            ignore_null_fields: true,
            decimal_as_plain_number: true,
            timestamp_standard: TimestampStandard::Iso8601,
        };
        let first = first.replace("1E+3", "1000").replace("29 01", "29T01");
        assert_eq!(lines(columns, options), [first.as_str(), "{}"]);
    }

    #[test]
    fn left_out_columns_leave_no_comma_and_names_are_escaped() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("a\"", Arc::new(Int32Array::from(vec![None, Some(1), None]))),
            ("b", Arc::new(Int32Array::from(vec![Some(2), None, None]))),
            ("c", Arc::new(Int32Array::from(vec![Some(3), Some(4), Some(5)]))),
        ];
        let options = EncodeOptions { ignore_null_fields: true, ..EncodeOptions::default() };
        assert_eq!(lines(columns, options), [r#"{"b":2,"c":3}"#, r#"{"a\"":1,"c":4}"#, r#"{"c":5}"#]);
    }

    #[test]
    fn repeated_timestamps_are_those_of_their_row() {
        let times = TimestampMillisecondArray::from(vec![Some(0), Some(0), Some(1), None, Some(1), Some(i64::MAX)]);
        let other = TimestampMillisecondArray::from(vec![1, 0, 0, 1, 1, 1]);
        let rows = lines(vec![("a", Arc::new(times)), ("b", Arc::new(other))], EncodeOptions::default());
        let at = |ms: &str| format!("\"1970-01-01 00:00:00{ms}\"");
        assert_eq!(rows[1], format!("{{\"a\":{},\"b\":{}}}", at(""), at("")));
        assert_eq!(rows[2], format!("{{\"a\":{},\"b\":{}}}", at(".001"), at("")));
        assert_eq!(rows[3], format!("{{\"a\":null,\"b\":{}}}", at(".001")));
        assert!(rows[5].starts_with(r#"{"a":"+292278994-08-17 07:12:55.807","b":"#), "{}", rows[5]);
    }

    #[test]
    fn sliced_batches_write_their_own_rows() {
        let array: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3), Some(4)]));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "d"]));
        let batch = RecordBatch::try_from_iter_with_nullable([("i", array, true), ("s", text, true)]).unwrap();
        let mut encoder = JsonEncoder::new(&batch.schema(), EncodeOptions::default()).unwrap();
        let mut out = Vec::new();
        encoder.encode_rows(&batch.slice(1, 3), 0..2, &mut out);
        assert_eq!(out, b"{\"i\":null,\"s\":\"b\"}\n{\"i\":3,\"s\":\"c\"}\n");
    }

    #[test]
    fn nested_values_are_arrays_and_objects() {
        let items = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        map.keys().append_value("k\"");
        map.values().append_null();
        map.append(true).unwrap();
        map.append(false).unwrap();
        map.append(true).unwrap();
        let inner: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None, None]));
        let row = StructArray::from(vec![(Arc::new(Field::new("p", DataType::Utf8, true)), inner)]);
        let columns: Vec<(&str, ArrayRef)> = vec![("a", Arc::new(items)), ("m", Arc::new(map.finish())), ("r", Arc::new(row))];
        let rows = lines(columns.clone(), EncodeOptions::default());
        let first = r#"{"a":[1,null],"m":{"k\"":null},"r":{"p":"x"}}"#;
        assert_eq!(rows, [first, r#"{"a":null,"m":null,"r":{"p":null}}"#, r#"{"a":[],"m":{},"r":{"p":null}}"#]);
        let rows = lines(columns, EncodeOptions { ignore_null_fields: true, ..EncodeOptions::default() });
        assert_eq!(rows[1], r#"{"r":{}}"#);
    }

    #[test]
    fn types_without_a_form_are_refused_by_name() {
        let map = DataType::Map(
            Arc::new(Field::new(
                "entries",
                DataType::Struct(
                    vec![Field::new("key", DataType::Int32, false), Field::new("value", DataType::Int32, true)].into(),
                ),
                false,
            )),
            false,
        );
        let schema = Arc::new(Schema::new(vec![Field::new("m", map, true)]));
        let error = JsonEncoder::new(&schema, EncodeOptions::default()).err().unwrap();
        assert!(error.to_string().starts_with("column `m`: the type MAP<INT, INT>"), "{error}");
    }
}
