//! Functions of text. Positions count characters from 1.

use super::rows::ParameterKind::{Bytes, Int, Text, TextOrCode};
use super::rows::{Answer, Body, Definition, Row, function};

pub const ALL: [Definition; 41] = [
    function("parse_url", &[Text, Text, Text], Body::Text(parse_url)).requires(2),
    function("upper", &[Text], Body::Text(|r| ok(r.text(0).to_uppercase()))),
    function("lower", &[Text], Body::Text(|r| ok(r.text(0).to_lowercase()))),
    function("trim", &[Text, Text], Body::Text(|r| ok(trimmed(r, &[End::Left, End::Right])))).requires(1),
    function("btrim", &[Text, Text], Body::Text(|r| ok(trimmed(r, &[End::Left, End::Right])))).requires(1),
    function("ltrim", &[Text, Text], Body::Text(|r| ok(trimmed(r, &[End::Left])))).requires(1),
    function("rtrim", &[Text, Text], Body::Text(|r| ok(trimmed(r, &[End::Right])))).requires(1),
    function("substring", &[Text, Int, Int], Body::Text(substring)).requires(2),
    function("substr", &[Text, Int, Int], Body::Text(substring)).requires(2),
    function("left", &[Text, Int], Body::Text(|r| ok(r.text(0).chars().take(size(r.int(1))).collect()))),
    function(
        "right",
        &[Text, Int],
        Body::Text(|r| {
            let skip = r.text(0).chars().count().saturating_sub(size(r.int(1)));
            ok(r.text(0).chars().skip(skip).collect())
        }),
    ),
    function("position", &[Text, Text], Body::Int(|r| Ok(Some(find(r.text(1), r.text(0), 1))))),
    function("locate", &[Text, Text, Int], Body::Int(|r| Ok(Some(find(r.text(1), r.text(0), r.int_or(2, 1)))))).requires(2),
    function("instr", &[Text, Text, Int, Int], Body::Int(instr)).requires(2),
    function("replace", &[Text, Text, Text], Body::Text(|r| ok(r.text(0).replace(r.text(1), r.text(2))))),
    function("translate", &[Text, Text, Text], Body::Text(translate)),
    function("overlay", &[Text, Text, Int, Int], Body::Text(overlay)).requires(3),
    function("lpad", &[Text, Int, Text], Body::Text(|r| pad(r, End::Left))),
    function("rpad", &[Text, Int, Text], Body::Text(|r| pad(r, End::Right))),
    function("repeat", &[Text, Int], Body::Text(|r| ok(r.text(0).repeat(size(r.int(1)))))),
    function("reverse", &[Text], Body::Text(|r| ok(r.text(0).chars().rev().collect()))),
    function("initcap", &[Text], Body::Text(|r| ok(initcap(r.text(0))))),
    function("concat_ws", &[Text, Text], Body::Text(concat_ws)).requires(1).repeats().sees_nulls(),
    function("split_index", &[Text, TextOrCode, Int], Body::Text(|r| Ok(split_index(r.text(0), &r.text_or_code(1), r.int(2))))),
    function("ascii", &[Text], Body::Int(|r| Ok(Some(i32::from(r.text(0).bytes().next().unwrap_or(0) as i8))))),
    function("chr", &[Int], Body::Text(|r| ok(chr(r.int(0))))),
    function("char_length", &[Text], Body::Int(|r| Ok(Some(r.text(0).chars().count() as i32)))),
    function("character_length", &[Text], Body::Int(|r| Ok(Some(r.text(0).chars().count() as i32)))),
    function("startswith", &[Text, Text], Body::Boolean(|r| Ok(Some(r.text(0).starts_with(r.text(1)))))),
    function("endswith", &[Text, Text], Body::Boolean(|r| Ok(Some(r.text(0).ends_with(r.text(1)))))),
    function("elt", &[Int, Text], Body::Text(elt)).requires(2).repeats().sees_nulls(),
    function("to_base64", &[Bytes], Body::Text(|r| ok(to_base64(r.bytes(0))))),
    function("from_base64", &[Text], Body::Text(|r| Ok(from_base64(r.text(0))))),
    function("unhex", &[Text], Body::Bytes(|r| Ok(unhex(r.text(0))))),
    function("encode", &[Text, Text], Body::Bytes(|r| encode(r.text(0), r.text(1)))),
    function("decode", &[Bytes, Text], Body::Text(|r| decode(r.bytes(0), r.text(1)))),
    function("url_encode", &[Text], Body::Text(|r| ok(url_encode(r.text(0))))),
    function("url_decode", &[Text], Body::Text(|r| Ok(url_decode(r.text(0))))),
    function("is_digit", &[Text], Body::Boolean(|r| all(r, |c| c.is_numeric()))).sees_nulls(),
    function("is_alpha", &[Text], Body::Boolean(|r| all(r, |c| c.is_alphabetic()))).sees_nulls(),
    function(
        "is_decimal",
        &[Text],
        Body::Boolean(|r| Ok(Some(!r.is_null(0) && crate::types::decimal::parse(r.text(0)).is_some()))),
    )
    .sees_nulls(),
];

fn ok(text: String) -> Answer<String> {
    Ok(Some(text))
}

/// An end of a text.
#[derive(Clone, Copy)]
enum End {
    Left,
    Right,
}

/// Without the characters of a set, spaces if none is given, at its ends.
fn trimmed(row: &Row<'_>, ends: &[End]) -> String {
    let set = row.text_or(1, " ");
    let mut text = row.text(0);
    for end in ends {
        text = match end {
            End::Left => text.trim_start_matches(|c| set.contains(c)),
            End::Right => text.trim_end_matches(|c| set.contains(c)),
        };
    }
    text.to_string()
}

fn size(number: i32) -> usize {
    usize::try_from(number).unwrap_or(0)
}

fn all(row: &Row<'_>, test: fn(char) -> bool) -> Answer<bool> {
    Ok(Some(!row.is_null(0) && !row.text(0).is_empty() && row.text(0).chars().all(test)))
}

/// From a position; a negative one counts from the end.
fn substring(row: &Row<'_>) -> Answer<String> {
    let (text, position) = (row.text(0), row.int(1));
    let length = row.int_or(2, i32::MAX);
    if length < 0 {
        return Ok(None);
    }
    let start = match position {
        1.. => position as usize - 1,
        0 => 0,
        _ => match text.chars().count().checked_sub(position.unsigned_abs() as usize) {
            Some(start) => start,
            None => return ok(String::new()),
        },
    };
    ok(text.chars().skip(start).take(length as usize).collect())
}

/// The position of `part` in `text` from a position on; 0 if there is none.
fn find(text: &str, part: &str, from: i32) -> i32 {
    if part.is_empty() {
        return 1;
    }
    let skip = size(from.saturating_sub(1));
    let Some((start, _)) = text.char_indices().map(|(i, c)| (i, Some(c))).chain([(text.len(), None)]).nth(skip) else { return 0 };
    match text[start..].find(part) {
        Some(at) => (skip + text[start..start + at].chars().count() + 1) as i32,
        None => 0,
    }
}

/// The n-th occurrence from a position on, or backwards from a negative one.
fn instr(row: &Row<'_>) -> Answer<i32> {
    let (text, part) = (row.text(0), row.text(1));
    let (from, occurrence) = (row.int_or(2, 1), row.int_or(3, 1));
    if occurrence <= 0 {
        return Err("the occurrence must be positive".into());
    }
    let text: Vec<char> = text.chars().collect();
    let part: Vec<char> = part.chars().collect();
    let matches = |at: usize| text[at..].starts_with(&part);
    let last = text.len() as i64 - part.len() as i64;
    if from == 0 || last < 0 {
        return Ok(Some(0));
    }
    let mut left = occurrence;
    let mut at = if from > 0 { i64::from(from) - 1 } else { (text.len() as i64 + i64::from(from)).min(last) };
    while (0..=last).contains(&at) {
        if matches(at as usize) {
            left -= 1;
            if left == 0 {
                return Ok(Some(at as i32 + 1));
            }
        }
        at += if from > 0 { 1 } else { -1 };
    }
    Ok(Some(0))
}

fn translate(row: &Row<'_>) -> Answer<String> {
    let from: Vec<char> = row.text(1).chars().collect();
    let to: Vec<char> = row.text(2).chars().collect();
    let replaced = row.text(0).chars().filter_map(|c| match from.iter().position(|f| *f == c) {
        Some(at) => to.get(at).copied(),
        None => Some(c),
    });
    ok(replaced.collect())
}

/// The units that Java counts: a character beyond the BMP is two.
fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn of_units(units: &[u16]) -> String {
    String::from_utf16_lossy(units)
}

fn overlay(row: &Row<'_>) -> Answer<String> {
    let (text, new, start) = (units(row.text(0)), units(row.text(1)), row.int(2));
    let length = row.int_or(3, new.len() as i32);
    if start <= 0 || start as usize > text.len() {
        return ok(row.text(0).to_string());
    }
    let start = start as usize - 1;
    let mut out = text[..start].to_vec();
    out.extend(new);
    // Nothing to replace means that nothing follows.
    if length > 0 {
        out.extend(text.iter().skip(start + size(length)));
    }
    ok(of_units(&out))
}

fn pad(row: &Row<'_>, end: End) -> Answer<String> {
    let (text, padding) = (units(row.text(0)), units(row.text(2)));
    let Ok(length) = usize::try_from(row.int(1)) else { return Ok(None) };
    if padding.is_empty() {
        return Ok(None);
    }
    let missing = length.saturating_sub(text.len());
    let padding = padding.into_iter().cycle().take(missing);
    let text = text.into_iter().take(length);
    let out: Vec<u16> = match end {
        End::Left => padding.chain(text).collect(),
        End::Right => text.chain(padding).collect(),
    };
    ok(of_units(&out))
}

/// Only ASCII letters and digits make words; only ASCII letters change.
fn initcap(text: &str) -> String {
    let mut inside = false;
    let each = text.chars().map(|c| {
        let out = if inside { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
        inside = c.is_ascii_alphanumeric();
        out
    });
    each.collect()
}

/// NULLs are left out, except for the separator.
fn concat_ws(row: &Row<'_>) -> Answer<String> {
    if row.is_null(0) {
        return Ok(None);
    }
    let parts: Vec<&str> = (1..row.count()).filter(|&i| !row.is_null(i)).map(|i| row.text(i)).collect();
    ok(parts.join(row.text(0)))
}

pub fn split_index(text: &str, separator: &str, index: i32) -> Option<String> {
    let index = usize::try_from(index).ok()?;
    if text.is_empty() {
        return None;
    }
    if separator.is_empty() {
        return text.split_whitespace().nth(index).map(String::from);
    }
    text.split(separator).nth(index).map(String::from)
}

pub fn chr(code: i32) -> String {
    if code < 0 { String::new() } else { char::from((code & 0xff) as u8).to_string() }
}

fn elt(row: &Row<'_>) -> Answer<String> {
    if row.is_null(0) {
        return Ok(None);
    }
    let index = row.int(0);
    if index < 1 || index as usize >= row.count() || row.is_null(index as usize) {
        return Ok(None);
    }
    ok(row.text(index as usize).to_string())
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |w, (i, b)| w | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            let digit = char::from(BASE64[(word >> (18 - 6 * i)) as usize & 63]);
            out.push(if i <= chunk.len() { digit } else { '=' });
        }
    }
    out
}

fn from_base64(text: &str) -> Option<String> {
    let digits = text.trim_end_matches('=');
    let (mut word, mut bits, mut out) = (0u32, 0, Vec::new());
    for c in digits.bytes() {
        word = word << 6 | BASE64.iter().position(|b| *b == c)? as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    // An odd number of digits has a leading 0.
    let odd = digits.len() % 2;
    let mut out = digits[..odd].to_vec();
    out.extend(digits[odd..].chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    Some(out)
}

fn encode(text: &str, charset: &str) -> Answer<Vec<u8>> {
    Ok(Some(match charset.to_ascii_uppercase().as_str() {
        "UTF-8" | "UTF8" => text.as_bytes().to_vec(),
        "UTF-16BE" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF-16" if text.is_empty() => vec![],
        "UTF-16" => [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect(),
        "US-ASCII" | "ASCII" => text.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }).collect(),
        "ISO-8859-1" => text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
        _ => return Err(format!("charset '{charset}' is not known")),
    }))
}

fn decode(bytes: &[u8], charset: &str) -> Answer<String> {
    let utf16 = |word: fn([u8; 2]) -> u16| {
        let words: Vec<u16> = bytes.chunks_exact(2).map(|pair| word([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&words)
    };
    ok(match charset.to_ascii_uppercase().as_str() {
        "UTF-8" | "UTF8" => String::from_utf8_lossy(bytes).into_owned(),
        "UTF-16BE" => utf16(u16::from_be_bytes),
        "UTF-16LE" => utf16(u16::from_le_bytes),
        "UTF-16" => utf16(u16::from_be_bytes).trim_start_matches('\u{feff}').to_string(),
        "US-ASCII" | "ASCII" => bytes.iter().map(|&b| if b.is_ascii() { char::from(b) } else { '\u{fffd}' }).collect(),
        "ISO-8859-1" => bytes.iter().map(|&b| char::from(b)).collect(),
        _ => return Err(format!("charset '{charset}' is not known")),
    })
}

fn url_encode(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(b)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn url_decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let hex = std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()?;
                out.push(u8::from_str_radix(hex, 16).ok()?);
                at += 2;
            }
            b'+' => out.push(b' '),
            other => out.push(other),
        }
        at += 1;
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

/// One part of a URL; NULL if the text is none, or has no such part.
fn parse_url(row: &Row<'_>) -> Answer<String> {
    let part = url_part(row.text(0), row.text(1));
    if row.count() == 2 {
        return Ok(part.map(String::from));
    }
    // One parameter of the query.
    let query = part.filter(|_| row.text(1) == "QUERY").unwrap_or_default();
    let value = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == row.text(2));
    Ok(value.map(|(_, value)| value.to_string()))
}

fn url_part<'a>(url: &'a str, part: &str) -> Option<&'a str> {
    let (protocol, rest) = url.split_once(':')?;
    if !["http", "https", "ftp", "file", "jar"].contains(&protocol.to_ascii_lowercase().as_str()) {
        return None;
    }
    let (rest, reference) = rest.split_once('#').map_or((rest, None), |(r, f)| (r, Some(f)));
    let after_authority = match rest.strip_prefix("//") {
        Some(rest) => &rest[rest.find(['/', '?']).unwrap_or(rest.len())..],
        None => rest,
    };
    let authority = rest[..rest.len() - after_authority.len()].strip_prefix("//").unwrap_or_default();
    let (path, query) = after_authority.split_once('?').map_or((after_authority, None), |(p, q)| (p, Some(q)));
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
    match part {
        "PROTOCOL" => Some(protocol),
        "HOST" => Some(host.split(':').next().unwrap_or(host)),
        "PATH" => Some(path),
        "QUERY" => query,
        "REF" => reference,
        "FILE" => Some(after_authority),
        "AUTHORITY" => Some(authority),
        "USERINFO" => user,
        _ => None,
    }
}
