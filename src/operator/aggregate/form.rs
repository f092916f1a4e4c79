//! What becomes of the values of a listing: text, an array, JSON, or one of them.
//!
//! Used by `listing` (rows that stay, told apart by when they arrived) and `ordered` (rows that may
//! be taken back). What always holds: [`Form::each`] gives values as the bytes that
//! [`Form::results`] reads, and equal values are equal bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};

use super::edge::null_key;
use super::{NullValues, Selected};
use crate::operator::OperatorError;
use crate::state::key::{KeyBuf, decode_keys, encode_keys};

/// What the values become.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// Text with a separator between each two; NULL if there is none. Skips NULLs.
    Text { separator: String },
    /// An array of this type; NULL if there is none.
    Array { item: DataType, nulls: NullValues },
    /// A JSON array of values that are JSON text.
    JsonArray { nulls: NullValues },
    /// A JSON object of keys and, as second argument, values that are JSON text. Keys are sorted; a
    /// key that is there twice is an error.
    JsonObject { nulls: NullValues },
    /// The first of the values. Skips NULLs.
    First { item: DataType },
    /// The last of the values. Skips NULLs.
    Last { item: DataType },
}

/// The type of ARRAY_AGG over this one.
pub(crate) fn array_type(item: &DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item.clone(), true)))
}

impl Form {
    pub(super) fn nulls(&self) -> NullValues {
        match self {
            Form::Text { .. } | Form::First { .. } | Form::Last { .. } => NullValues::Skipped,
            Form::Array { nulls, .. } | Form::JsonArray { nulls } | Form::JsonObject { nulls } => {
                *nulls
            }
        }
    }

    /// Calls `f(row, group, value)` for each value that takes part.
    pub(super) fn each(
        &self,
        groups: &[u32],
        values: &ArrayRef,
        rows: Selected<'_>,
        mut f: impl FnMut(usize, usize, &[u8]),
    ) {
        let nulls = self.nulls();
        match self {
            Form::Array { .. } | Form::First { .. } | Form::Last { .. } => {
                let mut encoded = KeyBuf::default();
                encode_keys(std::slice::from_ref(values), values.len(), &mut encoded);
                rows.for_each_kept(groups, values, nulls, |row, g| f(row, g, encoded.get(row)));
            }
            Form::Text { .. } => {
                let Some(text) = values.as_string_opt::<i32>() else { return };
                rows.for_each(groups, text, |row, g| f(row, g, text.value(row).as_bytes()));
            }
            Form::JsonArray { .. } => {
                let Some(text) = values.as_string_opt::<i32>() else { return };
                rows.for_each_kept(groups, values, nulls, |row, g| f(row, g, json(text, row)));
            }
            Form::JsonObject { .. } => each_member(groups, values, rows, nulls, f),
        }
    }

    /// The results of groups, given the values of each in their order.
    pub(super) fn results<'a, V>(
        &self,
        groups: impl Iterator<Item = V>,
    ) -> Result<ArrayRef, OperatorError>
    where
        V: DoubleEndedIterator<Item = &'a [u8]>,
    {
        let one_of = |item: &DataType,
                      values: &mut dyn Iterator<Item = Option<&'a [u8]>>|
         -> Result<ArrayRef, OperatorError> {
            let none = null_key(item);
            let values: Vec<Option<&[u8]>> = values.collect();
            let values = values.iter().map(|v| v.unwrap_or(&none));
            Ok(decode_keys(std::slice::from_ref(item), values)?.remove(0))
        };
        Ok(match self {
            Form::Text { separator } => {
                let text = groups.map(|values| {
                    let values: Vec<&[u8]> = values.collect();
                    (!values.is_empty()).then(|| joined(&values, separator))
                });
                Arc::new(text.collect::<StringArray>())
            }
            Form::Array { item, .. } => arrays(item, groups.map(Iterator::collect).collect())?,
            Form::First { item } => one_of(item, &mut groups.map(|mut values| values.next()))?,
            Form::Last { item } => one_of(item, &mut groups.map(|mut values| values.next_back()))?,
            Form::JsonArray { .. } => {
                let text =
                    groups.map(|values| Some(enclosed('[', &values.collect::<Vec<_>>(), ']')));
                Arc::new(text.collect::<StringArray>())
            }
            Form::JsonObject { .. } => {
                let objects = groups.map(|values| object(values.collect()).map(Some));
                Arc::new(objects.collect::<Result<StringArray, _>>()?)
            }
        })
    }
}

/// A member is its key, a zero byte, which no JSON text holds, and its value.
fn each_member(
    groups: &[u32],
    keys: &ArrayRef,
    rows: Selected<'_>,
    nulls: NullValues,
    mut f: impl FnMut(usize, usize, &[u8]),
) {
    let values = rows.second().and_then(|v| v.as_string_opt::<i32>());
    let (Some(keys), Some(values)) = (keys.as_string_opt::<i32>(), values) else { return };
    let mut member = Vec::new();
    for (row, &g) in groups.iter().enumerate() {
        if rows.has(row) && (nulls == NullValues::Kept || values.is_valid(row)) {
            member.clear();
            // A key that is NULL is no text at all: the result says so.
            if keys.is_valid(row) {
                member.extend_from_slice(keys.value(row).as_bytes());
            }
            member.push(0);
            member.extend_from_slice(json(values, row));
            f(row, g as usize, &member);
        }
    }
}

fn object(members: Vec<&[u8]>) -> Result<String, OperatorError> {
    let split = |m: &&[u8]| {
        m.iter().position(|b| *b == 0).map(|at| (m[..at].to_vec(), m[at + 1..].to_vec()))
    };
    let mut members: Vec<(Vec<u8>, Vec<u8>)> = members.iter().filter_map(split).collect();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    if members.first().is_some_and(|(key, _)| key.is_empty()) {
        return Err(OperatorError::data("JSON_OBJECTAGG: a key is NULL"));
    }
    if let Some(twice) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let key = String::from_utf8_lossy(&twice[0].0);
        return Err(OperatorError::Data(format!(
            "JSON_OBJECTAGG: key {key} is there twice in one result"
        )));
    }
    let members: Vec<Vec<u8>> =
        members.into_iter().map(|(key, value)| [&key[..], b":", &value].concat()).collect();
    Ok(enclosed('{', &members.iter().map(Vec::as_slice).collect::<Vec<_>>(), '}'))
}

fn arrays(item: &DataType, groups: Vec<Vec<&[u8]>>) -> Result<ArrayRef, OperatorError> {
    let offsets = OffsetBuffer::from_lengths(groups.iter().map(Vec::len));
    let nulls = NullBuffer::from_iter(groups.iter().map(|v| !v.is_empty()));
    let items = decode_keys(std::slice::from_ref(item), groups.into_iter().flatten())?.remove(0);
    let field = Arc::new(Field::new_list_field(item.clone(), true));
    Ok(Arc::new(ListArray::new(field, offsets, items, Some(nulls))))
}

fn json(text: &StringArray, row: usize) -> &[u8] {
    if text.is_null(row) { b"null" } else { text.value(row).as_bytes() }
}

fn enclosed(open: char, values: &[&[u8]], close: char) -> String {
    let mut text = String::from(open);
    text.push_str(&joined(values, ","));
    text.push(close);
    text
}

fn joined(values: &[&[u8]], separator: &str) -> String {
    String::from_utf8_lossy(&values.join(separator.as_bytes())).into_owned()
}
