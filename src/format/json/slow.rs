//! The careful way through a record: serde_json says what is JSON, and every failure gets a reason in words.
//!
//! Called by `JsonDecoder` for each record that the scanner gave up on. This path defines what a record means; the
//! scanner only agrees with it faster. What always holds: a record comes out as a row, as nothing, or with a reason
//! that names the field or the place in the text; memory is bounded by the record's length.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::Deserializer;

use super::column::Column;
use super::convert::{self, Token};
use super::text;
use crate::format::ParseErrors;
use crate::format::json::text::skip_blanks;

/// Longest piece of input shown in a reason, in characters.
const EXCERPT_CHARS_MAX: usize = 80;

/// Reads the object that a text begins with into the columns, as row `row`. Returns how many fields were NULL because they could
/// not be read: 0 unless errors are ignored.
pub(super) fn record(json: &[u8], columns: &mut [Column], row: usize, errors: ParseErrors) -> Result<u64, String> {
    object(&escape_controls(json), columns, row, errors)
}

/// True if the text is JSON as a whole.
pub(super) fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(&escape_controls(text)).is_ok()
}

fn object(json: &[u8], columns: &mut [Column], row: usize, errors: ParseErrors) -> Result<u64, String> {
    let mut bad_fields = 0;
    let mut unescaped = Vec::new();
    let mut at = skip_blanks(json, 0);
    match json.get(at) {
        Some(b'{') => at = skip_blanks(json, at + 1),
        _ => return Err(format!("not a JSON object: {}", excerpt(json))),
    }
    if json.get(at) == Some(&b'}') {
        return Ok(bad_fields);
    }
    loop {
        if json.get(at) != Some(&b'"') {
            return Err(malformed(json, at, "expected the name of a field"));
        }
        let name_end = value_end(json, at)?;
        let name = content(&json[at..name_end], &mut unescaped).ok_or_else(|| malformed(json, at, "bad escape"))?;
        let column = columns.iter_mut().find(|c| c.member.as_bytes() == name);
        at = skip_blanks(json, name_end);
        if json.get(at) != Some(&b':') {
            return Err(malformed(json, at, "expected `:`"));
        }
        at = skip_blanks(json, at + 1);
        let end = value_end(json, at)?;
        if let Some(column) = column {
            let value = &json[at..end];
            let token = match value[0] {
                b'"' => Token::Text(content(value, &mut unescaped).ok_or_else(|| malformed(json, at, "bad escape"))?),
                b'{' | b'[' => Token::Nested(value),
                b't' => Token::True,
                b'f' => Token::False,
                b'n' => Token::Null,
                _ => Token::Number(value),
            };
            let inside = (errors == ParseErrors::Ignored).then_some(&mut bad_fields);
            if !convert::put(column, row, token, inside) {
                if errors == ParseErrors::Reported {
                    let (member, expected) = (&column.member, column.sql_type());
                    return Err(format!("field `{member}`: expected {expected}, found {}", excerpt(value)));
                }
                bad_fields += 1;
            }
        }
        at = skip_blanks(json, end);
        match json.get(at) {
            Some(b',') => at = skip_blanks(json, at + 1),
            Some(b'}') => return Ok(bad_fields),
            _ => return Err(malformed(json, at, "expected `,` or `}`")),
        }
    }
}

/// Position after the JSON value at `at`.
fn value_end(json: &[u8], at: usize) -> Result<usize, String> {
    let mut values = Deserializer::from_slice(&json[at..]).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => Ok(at + values.byte_offset()),
        Some(Err(error)) => {
            let text = error.to_string();
            // serde_json's line and column count from the value: the byte in the record says more.
            let what = text.split(" at line ").next().unwrap_or(&text);
            let offset = if error.line() == 1 { error.column().saturating_sub(1) } else { 0 };
            Err(malformed(json, at + offset, what))
        }
        None => Err(malformed(json, at, "expected a value")),
    }
}

/// The content of a string literal, which serde_json has accepted.
fn content<'a>(literal: &'a [u8], unescaped: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let inside = &literal[1..literal.len() - 1];
    if !inside.contains(&b'\\') {
        return Some(inside);
    }
    unescaped.clear();
    text::unescape(unescaped, inside)?;
    Some(unescaped)
}

/// Flink reads control characters inside strings as they stand; serde_json wants them escaped.
fn escape_controls(json: &[u8]) -> Cow<'_, [u8]> {
    if json.iter().all(|&c| c >= b' ') {
        return Cow::Borrowed(json);
    }
    let mut out = Vec::with_capacity(json.len() + 16);
    let mut in_string = false;
    let mut bytes = json.iter();
    while let Some(&c) = bytes.next() {
        match c {
            b'"' => {
                in_string = !in_string;
                out.push(c);
            }
            b'\\' => {
                out.push(c);
                // Whatever is escaped stays: an escaped control character is an error either way.
                out.extend(bytes.next());
            }
            0..b' ' if in_string => out.extend_from_slice(format!("\\u{c:04x}").as_bytes()),
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn malformed(json: &[u8], at: usize, what: &str) -> String {
    format!("malformed JSON at byte {at}: {what}: {}", excerpt(json))
}

/// The start of a piece of input, fit for a line of a log.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    let clipped = &bytes[..bytes.len().min(EXCERPT_CHARS_MAX * 4)];
    let text = String::from_utf8_lossy(clipped);
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut out: String = chars.by_ref().take(EXCERPT_CHARS_MAX).collect();
    if chars.next().is_some() || clipped.len() < bytes.len() {
        out.pop();
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        assert_eq!(excerpt(b"a\nb\xff"), "a b\u{fffd}");
        assert_eq!(excerpt("é".repeat(80).as_bytes()).chars().count(), 80);
        let long = excerpt("é".repeat(81).as_bytes());
        assert_eq!(long.chars().count(), 80);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn controls_are_escaped_inside_strings_only() {
        assert_eq!(&*escape_controls(b"{\"a\tb\":\n\"\\\"\x01\"}"), b"{\"a\\u0009b\":\n\"\\\"\\u0001\"}");
        assert_eq!(&*escape_controls(b"\"\\\t\""), b"\"\\\t\"");
    }
}
