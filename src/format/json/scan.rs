//! The fast way through a record: reads the projected members, steps over all others, and learns
//! the order of the keys.
//!
//! Called by `JsonDecoder` for each record. Producers write their keys in the same order in every
//! record, so the scanner first compares the bytes it expects (`"key":`) and looks a key up only
//! when they differ. What always holds: when `record` returns Some, `slow::record` would have given
//! the same row; anything unusual (an escaped key, a nested value in a column that is not, a value
//! of the wrong type, malformed text) returns None and the slow path decides. Nothing is allocated
//! per record once the order is learnt.

use std::collections::HashMap;

use memchr::memchr2;

use super::column::{Column, Values};
use super::convert::{self, Token};
use super::text;
use crate::format::json::text::skip_blanks;

/// Keys beyond these bounds are looked up instead of remembered: the memory of the order must not
/// grow with bad input.
const STEPS_MAX: usize = 512;
const STEP_BYTES_MAX: usize = 256;
/// How many remembered keys may be missing from a record before the next key is looked up.
const LOOK_AHEAD: usize = 4;
/// Deeper nesting is left to the slow path, which does not recurse.
const DEPTH_MAX: usize = 32;
/// A mantissa of this many digits, and a power of ten up to 10^22, are exact in a double.
const EXACT_DIGITS_MAX: usize = 15;
const POWERS_OF_TEN: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

pub(super) struct Scanner {
    /// Column of each projected member.
    columns: HashMap<Vec<u8>, usize>,
    /// The keys of an earlier record, in its order.
    steps: Vec<Step>,
    unescaped: Vec<u8>,
}

struct Step {
    /// `"key":`
    text: Vec<u8>,
    /// None: the member is not projected.
    column: Option<usize>,
}

impl Scanner {
    pub fn new(columns: &[Column]) -> Scanner {
        let columns =
            columns.iter().enumerate().map(|(i, c)| (c.member.clone().into_bytes(), i)).collect();
        Scanner { columns, steps: Vec::new(), unescaped: Vec::new() }
    }

    /// Reads one object into the columns, as row `row`; the position after it. None: undo the row
    /// and take the slow path.
    pub fn record(&mut self, json: &[u8], columns: &mut [Column], row: usize) -> Option<usize> {
        let mut at = skip_blanks(json, 0);
        if *json.get(at)? != b'{' {
            return None;
        }
        at = skip_blanks(json, at + 1);
        let mut step = 0;
        if *json.get(at)? == b'}' {
            at += 1;
        } else {
            loop {
                let column;
                (column, at) = self.key(json, at, &mut step)?;
                at = skip_blanks(json, at);
                at = match column {
                    None => skip_value(json, at, 0)?,
                    Some(i) => self.value(json, at, &mut columns[i], row)?,
                };
                at = skip_blanks(json, at);
                match *json.get(at)? {
                    b',' => at = skip_blanks(json, at + 1),
                    b'}' => {
                        at += 1;
                        break;
                    }
                    _ => return None,
                }
            }
        }
        Some(at)
    }

    /// The column of the key at `at`, and the position after its colon.
    fn key(&mut self, json: &[u8], at: usize, step: &mut usize) -> Option<(Option<usize>, usize)> {
        let rest = &json[at..];
        if let Some(expected) = self.steps.get(*step)
            && rest.starts_with(&expected.text)
        {
            *step += 1;
            return Some((expected.column, at + expected.text.len()));
        }
        if *rest.first()? != b'"' {
            return None;
        }
        let end = at + 1 + memchr2(b'"', b'\\', &json[at + 1..])?;
        if json[end] == b'\\' {
            return None;
        }
        let colon = skip_blanks(json, end + 1);
        if *json.get(colon)? != b':' {
            return None;
        }
        let name = &json[at + 1..end];
        let column = self.columns.get(name).copied();
        self.learn(name, column, step);
        Some((column, colon + 1))
    }

    fn learn(&mut self, name: &[u8], column: Option<usize>, step: &mut usize) {
        let is_key = |s: &Step| s.text.len() == name.len() + 3 && s.text[1..=name.len()] == *name;
        let ahead = self.steps.iter().skip(*step).take(LOOK_AHEAD).position(is_key);
        if let Some(ahead) = ahead {
            *step += ahead + 1;
        } else if *step < STEPS_MAX && name.len() <= STEP_BYTES_MAX {
            if *step == self.steps.len() {
                self.steps.push(Step { text: Vec::new(), column: None });
            }
            let learnt = &mut self.steps[*step];
            learnt.text.clear();
            learnt.text.push(b'"');
            learnt.text.extend_from_slice(name);
            learnt.text.extend_from_slice(b"\":");
            learnt.column = column;
            *step += 1;
        }
    }

    /// Reads a projected value; the position after it.
    fn value(&mut self, json: &[u8], at: usize, column: &mut Column, row: usize) -> Option<usize> {
        // A member that comes again replaces the first value.
        column.truncate(row);
        match *json.get(at)? {
            b'"' => {
                let start = at + 1;
                let mut end = start + memchr2(b'"', b'\\', &json[start..])?;
                let content = if json[end] == b'"' {
                    &json[start..end]
                } else {
                    end = text::string_end(json, at)? - 1;
                    self.unescaped.clear();
                    text::unescape(&mut self.unescaped, &json[start..end])?;
                    &self.unescaped
                };
                convert::put(column, row, Token::Text(content), None).then_some(end + 1)
            }
            b'-' | b'0'..=b'9' => {
                match &mut column.values {
                    Values::I64(values) => {
                        if let Some((value, end)) = short_integer(json, at) {
                            values.push(value);
                            return Some(end);
                        }
                    }
                    Values::I32(values) => {
                        if let Some((value, end)) = short_integer(json, at)
                            && let Ok(value) = i32::try_from(value)
                        {
                            values.push(value);
                            return Some(end);
                        }
                    }
                    Values::F64(values) => {
                        if let Some((value, end)) = short_double(json, at) {
                            values.push(value);
                            return Some(end);
                        }
                    }
                    _ => {}
                }
                let end = skip_number(json, at)?;
                convert::put(column, row, Token::Number(&json[at..end]), None).then_some(end)
            }
            first => {
                let (token, end) = match first {
                    b't' => (Token::True, skip_literal(json, at, b"true")?),
                    b'f' => (Token::False, skip_literal(json, at, b"false")?),
                    b'n' => (Token::Null, skip_literal(json, at, b"null")?),
                    b'{' | b'[' if column.is_nested() => {
                        let end = skip_value(json, at, 0)?;
                        (Token::Nested(&json[at..end]), end)
                    }
                    _ => return None,
                };
                convert::put(column, row, token, None).then_some(end)
            }
        }
    }
}

/// An integer of up to 18 digits, which needs no overflow check. None for anything longer or with a
/// fraction.
fn short_integer(json: &[u8], at: usize) -> Option<(i64, usize)> {
    let negative = json[at] == b'-';
    let start = at + usize::from(negative);
    let mut end = start;
    let mut value = 0i64;
    while let Some(digit) = digit(json, end) {
        if end - start == 18 {
            return None;
        }
        value = value * 10 + i64::from(digit);
        end += 1;
    }
    if end == start
        || (json[start] == b'0' && end > start + 1)
        || matches!(json.get(end), Some(b'.' | b'e' | b'E'))
    {
        return None;
    }
    Some((if negative { -value } else { value }, end))
}

/// A double whose digits and power of ten are both exact, so that one division rounds correctly.
fn short_double(json: &[u8], at: usize) -> Option<(f64, usize)> {
    let negative = json[at] == b'-';
    let start = at + usize::from(negative);
    let mut end = start;
    let mut mantissa = 0u64;
    // More digits wrap around here, and are refused below.
    while let Some(digit) = digit(json, end) {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        end += 1;
    }
    let mut digits = end - start;
    if digits == 0 || (json[start] == b'0' && digits > 1) {
        return None;
    }
    let mut fraction_digits = 0;
    if json.get(end) == Some(&b'.') {
        let point = end;
        end += 1;
        while let Some(digit) = digit(json, end) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            end += 1;
        }
        fraction_digits = end - point - 1;
        digits += fraction_digits;
        if fraction_digits == 0 {
            return None;
        }
    }
    if digits > EXACT_DIGITS_MAX || matches!(json.get(end), Some(b'e' | b'E')) {
        return None;
    }
    let value = mantissa as f64 / POWERS_OF_TEN[fraction_digits];
    Some((if negative { -value } else { value }, end))
}

fn digit(json: &[u8], at: usize) -> Option<u8> {
    let digit = json.get(at)?.wrapping_sub(b'0');
    (digit < 10).then_some(digit)
}

/// Position after the value at `at`, which is checked as far as JSON's grammar goes, but not for
/// UTF-8.
fn skip_value(json: &[u8], at: usize, depth: usize) -> Option<usize> {
    match *json.get(at)? {
        b'"' => skip_string(json, at),
        b'-' | b'0'..=b'9' => skip_number(json, at),
        b't' => skip_literal(json, at, b"true"),
        b'f' => skip_literal(json, at, b"false"),
        b'n' => skip_literal(json, at, b"null"),
        open @ (b'{' | b'[') if depth < DEPTH_MAX => skip_nested(json, at, open, depth),
        _ => None,
    }
}

fn skip_nested(json: &[u8], at: usize, open: u8, depth: usize) -> Option<usize> {
    let close = open + 2; // `[` and `{` stand two before `]` and `}`
    let mut at = skip_blanks(json, at + 1);
    if *json.get(at)? == close {
        return Some(at + 1);
    }
    loop {
        if open == b'{' {
            if *json.get(at)? != b'"' {
                return None;
            }
            at = skip_blanks(json, skip_string(json, at)?);
            if *json.get(at)? != b':' {
                return None;
            }
            at = skip_blanks(json, at + 1);
        }
        at = skip_blanks(json, skip_value(json, at, depth + 1)?);
        match *json.get(at)? {
            b',' => at = skip_blanks(json, at + 1),
            c if c == close => return Some(at + 1),
            _ => return None,
        }
    }
}

fn skip_string(json: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at + 1);
        }
        match json.get(at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
            b'u' => {
                text::hex4(json, at + 2)?;
                at += 6;
            }
            _ => return None,
        }
    }
}

fn skip_number(json: &[u8], at: usize) -> Option<usize> {
    let start = at + usize::from(json[at] == b'-');
    let mut at = skip_digits(json, start)?;
    if json[start] == b'0' && at > start + 1 {
        return None;
    }
    if json.get(at) == Some(&b'.') {
        at = skip_digits(json, at + 1)?;
    }
    if let Some(b'e' | b'E') = json.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = json.get(at) {
            at += 1;
        }
        at = skip_digits(json, at)?;
    }
    Some(at)
}

/// Position after one or more digits.
fn skip_digits(json: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while digit(json, at).is_some() {
        at += 1;
    }
    (at > start).then_some(at)
}

fn skip_literal(json: &[u8], at: usize, literal: &[u8]) -> Option<usize> {
    json[at..].starts_with(literal).then_some(at + literal.len())
}
