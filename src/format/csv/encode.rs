//! Columns to CSV: one line a row, written as Apache Flink's `csv` format writes it.
//!
//! Called by sinks that write text. What always holds: encoding cannot fail, since `new` refuses types it cannot write.
//! A text is quoted by Jackson's loose rule: when it is longer than 24 UTF-16 units, or holds a backslash (or the escape
//! character) or anything at or below the larger of the quote and the delimiter. Numbers are never quoted.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef,
    Time32MillisecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow::record_batch::RecordBatch;

use super::{CsvError, CsvOptions};
use crate::format::json::write_base64;
use crate::format::time_text::{TimestampStandard, ZoneSuffix};
use crate::format::{number_text, time_text};

/// The longest text, in UTF-16 units, that is looked at before it is quoted.
const UNQUOTED_UNITS_MAX: usize = 24;

/// Writes batches of one schema.
pub struct CsvEncoder {
    options: CsvOptions,
    /// Text of a value before it is known whether it needs quotes.
    text: Vec<u8>,
}

impl CsvEncoder {
    pub fn new(schema: &SchemaRef, options: CsvOptions) -> Result<CsvEncoder, CsvError> {
        for field in schema.fields() {
            let item = match field.data_type() {
                DataType::List(item) => item.data_type(),
                other => other,
            };
            if !is_supported(item) {
                let (column, data_type) = (field.name().clone(), field.data_type().clone());
                return Err(CsvError::UnsupportedType { column, data_type });
            }
        }
        Ok(CsvEncoder { options, text: Vec::new() })
    }

    /// Appends rows of `batch`, which has the encoder's schema, each with a line feed.
    pub fn encode_rows(&mut self, batch: &RecordBatch, rows: Range<usize>, out: &mut Vec<u8>) {
        let cells: Vec<Cells> = batch.columns().iter().map(Cells::new).collect();
        let null = self.options.null_literal.as_deref().unwrap_or_default();
        for row in rows {
            for (i, cells) in cells.iter().enumerate() {
                if i > 0 {
                    out.push(self.options.dialect.delimiter);
                }
                if cells.is_null(row) {
                    out.extend_from_slice(null.as_bytes());
                } else if cells.is_bare() {
                    cells.write(row, &self.options, out);
                } else {
                    self.text.clear();
                    cells.write(row, &self.options, &mut self.text);
                    write_text(&self.text, &self.options, out);
                }
            }
            out.push(b'\n');
        }
    }
}

fn is_supported(data_type: &DataType) -> bool {
    use DataType as T;
    matches!(
        data_type,
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Decimal128(..) | T::Utf8
    ) || matches!(data_type, T::Binary | T::Date32 | T::Time32(TimeUnit::Millisecond) | T::Timestamp(..))
}

/// Appends a text with the quotes it needs.
fn write_text(text: &[u8], options: &CsvOptions, out: &mut Vec<u8>) {
    let dialect = &options.dialect;
    let Some(quote) = dialect.quote.filter(|quote| needs_quotes(text, dialect.delimiter.max(*quote), dialect.escape)) else {
        out.extend_from_slice(text);
        return;
    };
    out.push(quote);
    for &c in text {
        if c == quote || Some(c) == dialect.escape {
            out.push(c);
        }
        out.push(c);
    }
    out.push(quote);
}

/// `highest`: characters up to this one need quotes.
fn needs_quotes(text: &[u8], highest: u8, escape: Option<u8>) -> bool {
    let special = escape.unwrap_or(b'\\');
    // A line feed counts even beside a delimiter below it.
    let highest = highest.max(b'\r');
    // Bytes beyond ASCII belong to characters above every delimiter.
    if text.iter().any(|&c| c <= highest || c == special) {
        return true;
    }
    text.len() > UNQUOTED_UNITS_MAX && std::str::from_utf8(text).is_ok_and(|t| t.encode_utf16().count() > UNQUOTED_UNITS_MAX)
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
    List {
        items: Box<Cells<'a>>,
        ends: &'a [i32],
    },
    /// A type that `new` refuses; written as nothing.
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
                Values::List { items: Box::new(Cells::new(list.values())), ends: list.offsets() }
            }
            _ => Values::Other,
        };
        Cells { nulls: array.nulls(), values }
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// True for values that are written as they are, whatever they hold.
    fn is_bare(&self) -> bool {
        !matches!(
            self.values,
            Values::Text(_)
                | Values::Bytes(_)
                | Values::Date(_)
                | Values::Time(_)
                | Values::Timestamp { .. }
                | Values::List { .. }
        )
    }

    fn write(&self, row: usize, options: &CsvOptions, out: &mut Vec<u8>) {
        match &self.values {
            Values::Bool(v) => out.extend_from_slice(if v.value(row) { b"true" } else { b"false" }),
            Values::I8(v) => write_integer(out, v[row]),
            Values::I16(v) => write_integer(out, v[row]),
            Values::I32(v) => write_integer(out, v[row]),
            Values::I64(v) => write_integer(out, v[row]),
            Values::F32(v) => number_text::write_f32(out, v[row]),
            Values::F64(v) => number_text::write_f64(out, v[row]),
            Values::Decimal { values, scale } => {
                let (unscaled, scale) = number_text::strip_trailing_zeros(values[row], *scale);
                number_text::write_decimal(out, unscaled, scale);
            }
            Values::Text(v) => out.extend_from_slice(v.value(row).as_bytes()),
            Values::Bytes(v) => write_base64(out, v.value(row)),
            Values::Date(v) => time_text::write_date(out, v[row]),
            Values::Time(v) => {
                time_text::write_time(out, v[row]);
                time_text::write_fraction(out, v[row].rem_euclid(1000) as u32 * 1_000_000);
            }
            Values::Timestamp { values, unit, suffix } => {
                time_text::write_timestamp(out, values[row], *unit, *suffix, TimestampStandard::Sql);
            }
            Values::List { items, ends } => {
                for item in ends[row]..ends[row + 1] {
                    if item > ends[row] {
                        out.extend_from_slice(options.array_delimiter.as_bytes());
                    }
                    if items.is_null(item as usize) {
                        out.extend_from_slice(options.null_literal.as_deref().unwrap_or_default().as_bytes());
                    } else {
                        items.write(item as usize, options, out);
                    }
                }
            }
            Values::Other => {}
        }
    }
}

fn write_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}
