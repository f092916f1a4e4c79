//! Arrays, maps and rows out of JSON: what stands inside a value?
//!
//! Called by `convert` with the text of one valid object or array. What always holds: a value that does not fit leaves its
//! columns with open parts only, which the caller drops; the walk recurses as deep as the column's type, not the text.
//! By Flink's rules the last of two members with one name counts, and a member that a ROW does not have is stepped over.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::format::java_map;
use crate::format::json::MissingFields;
use crate::format::json::column::Column;
use crate::format::json::convert::{self, Token};
use crate::format::json::text;
use crate::format::json::text::skip_blanks;

/// Maps of more members than this look a key up in a table.
const LINEAR_MAX: usize = 16;

/// Reads the elements of an array.
pub(super) fn array(json: &[u8], ends: &mut Vec<i32>, items: &mut Column, mut bad: Option<&mut u64>) -> Option<()> {
    let mut parts = Parts::of(json, b'[')?;
    while let Some(value) = parts.value()? {
        put(items, items.len(), value, bad.as_deref_mut())?;
    }
    ends.push(i32::try_from(items.len()).ok()?);
    Some(())
}

/// Reads the members of an object as a map.
pub(super) fn map(
    json: &[u8],
    ends: &mut Vec<i32>,
    keys: &mut Column,
    values: &mut Column,
    mut bad: Option<&mut u64>,
) -> Option<()> {
    let mut parts = Parts::of(json, b'{')?;
    let mut members: Vec<Member<'_>> = Vec::new();
    let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
    while let Some((key, value)) = parts.member()? {
        let at = if members.len() < LINEAR_MAX {
            members.iter().position(|(k, _)| *k == key)
        } else {
            if known.is_empty() {
                known = members.iter().enumerate().map(|(i, (k, _))| (k.to_vec(), i)).collect();
            }
            known.get(&*key).copied()
        };
        match at {
            Some(at) => members[at].1 = value,
            None => {
                if !known.is_empty() {
                    known.insert(key.to_vec(), members.len());
                }
                members.push((key, value));
            }
        }
    }
    java_map::sort(&mut members, |(key, _)| java_map::hash(key));
    for (key, value) in members {
        if !convert::put(keys, keys.len(), Token::Text(&key), None) {
            return None;
        }
        put(values, values.len(), value, bad.as_deref_mut())?;
    }
    ends.push(i32::try_from(keys.len()).ok()?);
    Some(())
}

/// Reads the members of an object as the fields of row `row`.
pub(super) fn row(
    json: &[u8],
    row: usize,
    fields: &mut [Column],
    missing: MissingFields,
    mut bad: Option<&mut u64>,
) -> Option<()> {
    let mut parts = Parts::of(json, b'{')?;
    while let Some((key, value)) = parts.member()? {
        if let Some(field) = fields.iter_mut().find(|f| f.member.as_bytes() == &*key) {
            put(field, row, value, bad.as_deref_mut())?;
        }
    }
    for field in fields {
        if field.len() == row {
            if missing == MissingFields::AreErrors {
                return None;
            }
            field.push_null();
        }
    }
    Some(())
}

/// One value; NULL and counted if it does not fit and `bad` counts.
fn put(column: &mut Column, row: usize, value: &[u8], mut bad: Option<&mut u64>) -> Option<()> {
    let mut unescaped = Vec::new();
    let token = match *value.first()? {
        b'"' => Token::Text(content(value, &mut unescaped)?),
        b'{' | b'[' => Token::Nested(value),
        b't' => Token::True,
        b'f' => Token::False,
        b'n' => Token::Null,
        _ => Token::Number(value),
    };
    if convert::put(column, row, token, bad.as_deref_mut()) {
        return Some(());
    }
    *bad? += 1;
    column.push_null();
    Some(())
}

fn content<'a>(literal: &'a [u8], unescaped: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let inside = literal.get(1..literal.len().checked_sub(1)?)?;
    if memchr::memchr(b'\\', inside).is_none() {
        return Some(inside);
    }
    text::unescape(unescaped, inside)?;
    Some(unescaped)
}

/// A member's name, escapes undone, and the text of its value.
type Member<'a> = (Cow<'a, [u8]>, &'a [u8]);

/// Steps over the parts of an object or an array.
struct Parts<'a> {
    json: &'a [u8],
    at: usize,
    /// Nothing has been read yet.
    first: bool,
}

impl<'a> Parts<'a> {
    /// None if the text is another kind of value.
    fn of(json: &'a [u8], open: u8) -> Option<Parts<'a>> {
        (*json.first()? == open).then_some(Parts { json, at: 1, first: true })
    }

    /// Goes to the next part; false at the end.
    fn next(&mut self) -> Option<bool> {
        self.at = skip_blanks(self.json, self.at);
        if matches!(self.json.get(self.at)?, b']' | b'}') {
            return Some(false);
        }
        if !self.first {
            // The comma.
            self.at = skip_blanks(self.json, self.at + 1);
        }
        self.first = false;
        Some(true)
    }

    fn value(&mut self) -> Option<Option<&'a [u8]>> {
        if !self.next()? { Some(None) } else { Some(Some(self.read()?)) }
    }

    fn member(&mut self) -> Option<Option<Member<'a>>> {
        if !self.next()? {
            return Some(None);
        }
        let literal = self.read()?;
        let mut unescaped = Vec::new();
        let inside = literal.get(1..literal.len().checked_sub(1)?)?;
        let key = if memchr::memchr(b'\\', inside).is_none() {
            Cow::Borrowed(inside)
        } else {
            text::unescape(&mut unescaped, inside)?;
            Cow::Owned(unescaped)
        };
        self.at = skip_blanks(self.json, self.at);
        self.at = skip_blanks(self.json, self.at + 1); // the colon
        Some(Some((key, self.read()?)))
    }

    /// The text of the value here. It is valid, so that counting brackets finds its end.
    fn read(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match *self.json.get(self.at)? {
                b'"' => self.at = text::string_end(self.json, self.at)?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                _ => {
                    let rest = &self.json[self.at..];
                    let plain = |c: &&u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'+' | b'.');
                    let length = rest.iter().take_while(plain).count();
                    if length == 0 {
                        return None;
                    }
                    self.at += length;
                }
            }
            if depth == 0 {
                return Some(&self.json[start..self.at]);
            }
        }
    }
}
