//! What does a JSON value mean in a column of a given type? The rules of Apache Flink's JSON format.
//!
//! Called by both scanners for every projected value (the fast one has shortcuts for the plainest numbers). What always
//! holds: a value that does not fit leaves the column without an entry for the row, whatever the column held for it before.

mod nested;

use crate::format::time_text;

use super::column::{Column, Values};
use super::number::{self, Decimal};
use super::{base64, text};

/// A JSON value as the scanners hand it over.
#[derive(Debug, Clone, Copy)]
pub(in crate::format) enum Token<'a> {
    Null,
    True,
    False,
    /// The text of a number in JSON's grammar.
    Number(&'a [u8]),
    /// The content of a string, escapes undone. Not yet known to be UTF-8.
    Text(&'a [u8]),
    /// The text of a valid object or array.
    Nested(&'a [u8]),
}

/// Sets the column's value for `row`. False if the value does not fit the type; the row then has no value yet. Values inside
/// it that do not fit theirs are NULL where `bad` counts them; else the whole does not fit.
pub(in crate::format) fn put(column: &mut Column, row: usize, token: Token, bad: Option<&mut u64>) -> bool {
    column.truncate(row);
    if matches!(token, Token::Null) {
        column.push_null();
        return true;
    }
    match put_value(&mut column.values, token, bad) {
        Some(Put::Value) => true,
        Some(Put::Null) => {
            column.push_null();
            true
        }
        None => {
            column.drop_open();
            false
        }
    }
}

enum Put {
    Value,
    /// A value that Flink turns into NULL without calling it an error: a DECIMAL that is too large.
    Null,
}

fn put_value(values: &mut Values, token: Token, bad: Option<&mut u64>) -> Option<Put> {
    match values {
        Values::Bool(v) => v.push(boolean(token)?),
        Values::I8(v) => v.push(small_integer(token)?.try_into().ok()?),
        Values::I16(v) => v.push(small_integer(token)?.try_into().ok()?),
        Values::I32(v) => v.push(integer(token, i32::MIN.into(), i32::MAX.into())?.try_into().ok()?),
        Values::I64(v) => v.push(integer(token, i64::MIN, i64::MAX)?),
        Values::F32(v) => v.push(number::float(number_text(token)?)?),
        Values::F64(v) => v.push(number::float(number_text(token)?)?),
        Values::Decimal { values, precision, scale } => match number::decimal(number_text(token)?, *precision, *scale)? {
            Decimal::Value(value) => values.push(value),
            Decimal::TooLarge => return Some(Put::Null),
        },
        Values::Text(v) => {
            match token {
                Token::Nested(json) => text::compact(&mut v.bytes, json)?,
                Token::Text(text) => v.bytes.extend_from_slice(std::str::from_utf8(text).ok()?.as_bytes()),
                Token::Number(text) => v.bytes.extend_from_slice(text),
                Token::True => v.bytes.extend_from_slice(b"true"),
                Token::False => v.bytes.extend_from_slice(b"false"),
                Token::Null => return Some(Put::Null),
            }
            v.close()?;
        }
        Values::Bytes(v) => {
            base64::read(&mut v.bytes, string(token)?)?;
            v.close()?;
        }
        Values::Date(v) => v.push(time_text::parse_date(string(token)?)?),
        Values::Time(v) => v.push(time_text::parse_time(string(token)?)?),
        Values::Timestamp { values, unit, suffix, standard } => {
            values.push(time_text::parse_timestamp(string(token)?, *unit, *suffix, *standard)?);
        }
        Values::Array { ends, items } => nested::array(json(token)?, ends, items, bad)?,
        Values::Map { ends, keys, values } => nested::map(json(token)?, ends, keys, values, bad)?,
        Values::Row { rows, fields, missing } => {
            nested::row(json(token)?, *rows, fields, *missing, bad)?;
            *rows += 1;
        }
    }
    Some(Put::Value)
}

/// Whatever is not true is false, `1` and `"yes"` too; only an object or array is refused.
fn boolean(token: Token) -> Option<bool> {
    match token {
        Token::True => Some(true),
        Token::Text(text) => Some(number::trim(text).eq_ignore_ascii_case(b"true")),
        Token::False | Token::Number(_) => Some(false),
        Token::Null | Token::Nested(_) => None,
    }
}

/// INT and BIGINT cut a fraction of a bare number; in quotes there must be none.
fn integer(token: Token, min: i64, max: i64) -> Option<i64> {
    match token {
        Token::Number(text) => number::integer_from_json_number(text, min, max),
        Token::Text(text) => number::integer(number::trim(text)),
        _ => None,
    }
}

/// TINYINT and SMALLINT take no fraction at all.
fn small_integer(token: Token) -> Option<i64> {
    number::integer(number_text(token)?)
}

fn number_text(token: Token<'_>) -> Option<&[u8]> {
    match token {
        Token::Number(text) => Some(text),
        Token::Text(text) => Some(number::trim(text)),
        _ => None,
    }
}

fn string(token: Token<'_>) -> Option<&[u8]> {
    match token {
        Token::Text(text) => Some(text),
        _ => None,
    }
}

fn json(token: Token<'_>) -> Option<&[u8]> {
    match token {
        Token::Nested(json) => Some(json),
        _ => None,
    }
}
