//! What value has a generated column in row n?
//!
//! Called by the reader for every row. What always holds: a value depends on the table's seed, the
//! column's number, the row and the time the run began, and on nothing else, so reading goes on at
//! any row and a column that a query does not need is not made. Values are written as JSON, which
//! the table's decoder reads.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};

use crate::connector::stand_in::generate::Draws;
use crate::format::time_text::{TimestampStandard, ZoneSuffix};
use crate::format::{number_text, time_text};
use crate::time::MS_PER_DAY;

/// One column of the payload.
#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub data_type: DataType,
    pub kind: FieldKind,
    /// How often the value is NULL: draws below this of 2^32.
    pub null_below: u64,
}

#[derive(Debug, Clone)]
pub enum FieldKind {
    /// `start` in row 0, and so on up to `end`.
    Sequence {
        start: i64,
        end: i64,
    },
    /// Integers, both bounds included.
    Integer {
        min: i64,
        max: i64,
    },
    /// FLOAT, DOUBLE and DECIMAL.
    Fraction {
        min: f64,
        max: f64,
    },
    Boolean,
    /// So many hexadecimal digits; with `var_len` from 1 up to so many.
    Text {
        length: u32,
        var_len: bool,
    },
    Bytes {
        length: u32,
        var_len: bool,
    },
    /// A moment up to so many ms before the row's time.
    Time {
        max_past_ms: u64,
    },
    /// What somebody else makes, as text.
    Made(Arc<dyn Maker>),
    List {
        element: Box<Field>,
        length: u32,
    },
    Map {
        key: Box<Field>,
        value: Box<Field>,
        length: u32,
    },
    Row(Vec<Field>),
}

/// Makes values as text, which are then written as the column's type is.
pub trait Maker: std::fmt::Debug + Send + Sync {
    fn text(&self, draws: &mut Draws, time_ms: i64) -> String;
}

/// Streams of draws of a field in a row: whether it is NULL, and what it is.
const PURPOSE: u64 = 0x6461_7461_6765_6e00;

impl Field {
    /// Rows that a sequence has.
    pub fn rows(&self) -> Option<u64> {
        match self.kind {
            FieldKind::Sequence { start, end } => {
                Some(
                    u64::try_from(i128::from(end) - i128::from(start) + 1)
                        .unwrap_or(if end < start { 0 } else { u64::MAX }),
                )
            }
            _ => None,
        }
    }

    /// Appends the value in row `row`. `number`: the column's, for its stream of draws.
    pub fn write(&self, out: &mut Vec<u8>, seed: u64, number: u64, row: u64, time_ms: i64) {
        let mut draws = Draws::new(seed, PURPOSE + number, row);
        self.write_value(out, &mut draws, row, time_ms);
    }

    fn write_value(&self, out: &mut Vec<u8>, draws: &mut Draws, row: u64, time_ms: i64) {
        if let FieldKind::Sequence { start, .. } = self.kind {
            return self.write_integer(out, start.wrapping_add_unsigned(row));
        }
        if self.null_below > 0 && u64::from(draws.below(u32::MAX)) < self.null_below {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.kind {
            FieldKind::Sequence { .. } => {}
            FieldKind::Integer { min, max } => {
                let range = (i128::from(*max) - i128::from(*min) + 1) as u128;
                let drawn = (u128::from(long(draws)) * range) >> 64;
                self.write_integer(out, (i128::from(*min) + drawn as i128) as i64);
            }
            FieldKind::Fraction { min, max } => {
                // 53 random bits: a double from 0 up to 1.
                let part = (long(draws) >> 11) as f64 / (1u64 << 53) as f64;
                // Not `max - min`, which may be infinite.
                self.write_fraction(out, min * (1.0 - part) + max * part);
            }
            FieldKind::Boolean => {
                out.extend_from_slice(if draws.below(2) == 1 { b"true" } else { b"false" })
            }
            FieldKind::Text { length, var_len } => {
                let length = if *var_len { 1 + draws.below(*length) } else { *length };
                out.push(b'"');
                for _ in 0..length {
                    out.push(b"0123456789abcdef"[draws.below(16) as usize]);
                }
                out.push(b'"');
            }
            FieldKind::Bytes { length, var_len } => {
                let length = if *var_len { 1 + draws.below(*length) } else { *length };
                let bytes: Vec<u8> = (0..length).map(|_| draws.below(256) as u8).collect();
                out.push(b'"');
                crate::format::json::write_base64(out, &bytes);
                out.push(b'"');
            }
            FieldKind::Time { max_past_ms } => {
                let past =
                    (u128::from(long(draws)) * u128::from(max_past_ms.saturating_add(1))) >> 64;
                self.write_time(out, time_ms.saturating_sub_unsigned(past as u64));
            }
            FieldKind::Made(maker) => self.write_text(out, &maker.text(draws, time_ms)),
            FieldKind::List { element, length } => {
                out.push(b'[');
                for i in 0..*length {
                    if i > 0 {
                        out.push(b',');
                    }
                    element.write_value(out, draws, row, time_ms);
                }
                out.push(b']');
            }
            FieldKind::Map { key, value, length } => {
                out.push(b'{');
                for i in 0..*length {
                    if i > 0 {
                        out.push(b',');
                    }
                    let mut name = Vec::new();
                    key.write_value(&mut name, draws, row, time_ms);
                    // Keys of JSON are texts, whatever type they have.
                    if name.first() == Some(&b'"') {
                        out.extend_from_slice(&name);
                    } else {
                        crate::format::json::write_string(out, &String::from_utf8_lossy(&name));
                    }
                    out.push(b':');
                    value.write_value(out, draws, row, time_ms);
                }
                out.push(b'}');
            }
            FieldKind::Row(fields) => {
                out.push(b'{');
                for (i, field) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    crate::format::json::write_string(out, &field.name);
                    out.push(b':');
                    field.write_value(out, draws, row, time_ms);
                }
                out.push(b'}');
            }
        }
    }

    /// A text as the column's type is written; NULL if it is no value of it.
    fn write_text(&self, out: &mut Vec<u8>, text: &str) {
        use DataType as T;
        match &self.data_type {
            T::Boolean if text == "true" || text == "false" => {
                out.extend_from_slice(text.as_bytes())
            }
            T::Int8 | T::Int16 | T::Int32 | T::Int64 => match text.parse::<i64>() {
                Ok(number) => self.write_integer(out, number),
                Err(_) => out.extend_from_slice(b"null"),
            },
            T::Float32 | T::Float64 | T::Decimal128(..) => match text.parse::<f64>() {
                Ok(number) => self.write_fraction(out, number),
                Err(_) => out.extend_from_slice(b"null"),
            },
            T::Binary => {
                out.push(b'"');
                crate::format::json::write_base64(out, text.as_bytes());
                out.push(b'"');
            }
            T::Timestamp(..) | T::Date32 | T::Time32(_) => match time_of(text) {
                Some(time_ms) => self.write_time(out, time_ms),
                None => out.extend_from_slice(b"null"),
            },
            T::Utf8 => crate::format::json::write_string(out, text),
            _ => out.extend_from_slice(b"null"),
        }
    }

    fn write_integer(&self, out: &mut Vec<u8>, value: i64) {
        let text = self.data_type == DataType::Utf8;
        if text {
            out.push(b'"');
        }
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        if text {
            out.push(b'"');
        }
    }

    fn write_fraction(&self, out: &mut Vec<u8>, value: f64) {
        match self.data_type {
            DataType::Float32 => number_text::write_f32(out, value as f32),
            _ => number_text::write_f64(out, value),
        }
    }

    fn write_time(&self, out: &mut Vec<u8>, time_ms: i64) {
        out.push(b'"');
        match &self.data_type {
            DataType::Date32 => time_text::write_date(out, time_ms.div_euclid(MS_PER_DAY) as i32),
            DataType::Time32(_) => {
                time_text::write_time(out, time_ms.rem_euclid(MS_PER_DAY) as i32)
            }
            DataType::Timestamp(_, zone) => {
                let suffix = ZoneSuffix::of(zone.as_ref());
                time_text::write_timestamp(
                    out,
                    time_ms,
                    TimeUnit::Millisecond,
                    suffix,
                    TimestampStandard::Sql,
                );
            }
            _ => {}
        }
        out.push(b'"');
    }
}

/// A moment, or the beginning of a day; ms since the epoch.
fn time_of(text: &str) -> Option<i64> {
    let text = text.trim().trim_end_matches('Z').replace('T', " ");
    let time = chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").ok();
    let day = || chrono::NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    Some(time.or_else(day)?.and_utc().timestamp_millis())
}

fn long(draws: &mut Draws) -> u64 {
    // `below` of 2^32 - 1 would miss one value: two halves of 16 bits miss none.
    (0..4).fold(0, |bits, _| bits << 16 | u64::from(draws.below(1 << 16)))
}
