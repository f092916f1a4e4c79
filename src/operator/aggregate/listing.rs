//! LISTAGG, ARRAY_AGG, JSON_ARRAYAGG, JSON_OBJECTAGG and LAST_VALUE(DISTINCT): all values in the order they came.
//!
//! Entries of the log are a place in the order of arrival and a value in the form that the result is made of. What always
//! holds: entries are sorted when a result is made, so they may be merged in any order; with DISTINCT, a value counts
//! where it came first.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};

use super::arrival::{ORDER_BYTES, Order, Places};
use super::edge::null_key;
use super::log::Logs;
use super::{Kernel, Selected};
use crate::operator::OperatorError;
use crate::state::key::{KeyBuf, decode_keys, encode_keys};

/// What the values become.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// Text with a separator between each two; NULL if there is none. Skips NULLs.
    Text { separator: String },
    /// An array of this type; NULL if there is none.
    Array { item: DataType, keeps_nulls: bool },
    /// A JSON array of values that are JSON text.
    JsonArray { keeps_nulls: bool },
    /// A JSON object of keys and, as second argument, values that are JSON text. Keys are sorted; a key that is there twice is
    /// an error.
    JsonObject { keeps_nulls: bool },
    /// The last of the values. Skips NULLs.
    Last { item: DataType },
}

pub fn kernel(form: Form, distinct: bool) -> Box<dyn Kernel> {
    Box::new(Listing { logs: Logs::default(), form, distinct })
}

/// The type of ARRAY_AGG over this one.
pub fn array_type(item: &DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item.clone(), true)))
}

struct Listing {
    logs: Logs,
    form: Form,
    /// Each value once.
    distinct: bool,
}

impl Listing {
    fn push(&mut self, g: usize, place: Order, value: &[u8]) {
        if self.logs.push(g, &[&place, value]) && self.distinct {
            self.logs.compact(g, |entries| first_seen(entries).into_iter().map(<[u8]>::to_vec).collect());
        }
    }

    /// The values of a group in order.
    fn values(&self, g: u32) -> Vec<&[u8]> {
        let mut entries: Vec<&[u8]> = self.logs.entries(g).collect();
        if self.distinct {
            entries = first_seen(entries);
        } else {
            entries.sort_unstable();
        }
        entries.into_iter().filter_map(|e| e.get(ORDER_BYTES..)).collect()
    }

    fn update_text(&mut self, groups: &[u32], values: &ArrayRef, rows: Selected<'_>, places: Places<'_>) {
        let Some(text) = values.as_string_opt::<i32>() else { return };
        rows.for_each(groups, text, |row, g| self.push(g, places.of(row), text.value(row).as_bytes()));
    }

    fn update_items(&mut self, groups: &[u32], values: &ArrayRef, rows: Selected<'_>, places: Places<'_>, keeps_nulls: bool) {
        let mut encoded = KeyBuf::default();
        encode_keys(std::slice::from_ref(values), values.len(), &mut encoded);
        rows.for_each_kept(groups, values, keeps_nulls, |row, g| self.push(g, places.of(row), encoded.get(row)));
    }

    fn update_json(&mut self, groups: &[u32], values: &ArrayRef, rows: Selected<'_>, places: Places<'_>, keeps_nulls: bool) {
        let Some(text) = values.as_string_opt::<i32>() else { return };
        rows.for_each_kept(groups, values, keeps_nulls, |row, g| self.push(g, places.of(row), json(text, row)));
    }

    /// A member is its key, a zero byte, which no JSON text holds, and its value.
    fn update_members(&mut self, groups: &[u32], keys: &ArrayRef, rows: Selected<'_>, places: Places<'_>, keeps_nulls: bool) {
        let values = rows.second().and_then(|v| v.as_string_opt::<i32>());
        let (Some(keys), Some(values)) = (keys.as_string_opt::<i32>(), values) else { return };
        let mut member = Vec::new();
        for (row, &g) in groups.iter().enumerate() {
            if rows.has(row) && (keeps_nulls || values.is_valid(row)) {
                member.clear();
                // A key that is NULL is no text at all: the result says so.
                if keys.is_valid(row) {
                    member.extend_from_slice(keys.value(row).as_bytes());
                }
                member.push(0);
                member.extend_from_slice(json(values, row));
                self.push(g as usize, places.of(row), &member);
            }
        }
    }

    fn object(&self, g: u32) -> Result<String, OperatorError> {
        let split = |m: &'_ [u8]| m.iter().position(|b| *b == 0).map(|at| (m[..at].to_vec(), m[at + 1..].to_vec()));
        let mut members: Vec<(Vec<u8>, Vec<u8>)> = self.values(g).into_iter().filter_map(split).collect();
        members.sort_by(|a, b| a.0.cmp(&b.0));
        if members.first().is_some_and(|(key, _)| key.is_empty()) {
            return Err(OperatorError::Kernel { operator: "JSON_OBJECTAGG".into(), reason: "a key is NULL".into() });
        }
        if let Some(twice) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let reason = format!("key {} is there twice in one result", String::from_utf8_lossy(&twice[0].0));
            return Err(OperatorError::Kernel { operator: "JSON_OBJECTAGG".into(), reason });
        }
        let members: Vec<Vec<u8>> = members.into_iter().map(|(key, value)| [&key[..], b":", &value].concat()).collect();
        Ok(enclosed('{', &members.iter().map(Vec::as_slice).collect::<Vec<_>>(), '}'))
    }

    fn arrays(&self, item: &DataType, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        let values: Vec<Vec<&[u8]>> = picks.iter().map(|&g| self.values(g)).collect();
        let offsets = OffsetBuffer::from_lengths(values.iter().map(Vec::len));
        let nulls = NullBuffer::from_iter(values.iter().map(|v| !v.is_empty()));
        let items = decode_keys(std::slice::from_ref(item), values.into_iter().flatten())?.remove(0);
        let field = Arc::new(Field::new_list_field(item.clone(), true));
        Ok(Arc::new(ListArray::new(field, offsets, items, Some(nulls))))
    }
}

fn json(text: &StringArray, row: usize) -> &[u8] {
    if text.is_null(row) { b"null" } else { text.value(row).as_bytes() }
}

/// Each value once, where it came first, in the order of arrival.
fn first_seen(mut entries: Vec<&[u8]>) -> Vec<&[u8]> {
    entries.sort_unstable();
    let mut seen = HashSet::with_capacity(entries.len());
    entries.retain(|e| seen.insert(e.get(ORDER_BYTES..)));
    entries
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

impl Kernel for Listing {
    fn resize(&mut self, groups: usize) {
        self.logs.resize(groups);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        let (Some(values), Some(places)) = (argument, rows.places()) else { return };
        match self.form {
            Form::Text { .. } => self.update_text(groups, values, rows, places),
            Form::Array { keeps_nulls, .. } => self.update_items(groups, values, rows, places, keeps_nulls),
            Form::Last { .. } => self.update_items(groups, values, rows, places, false),
            Form::JsonArray { keeps_nulls } => self.update_json(groups, values, rows, places, keeps_nulls),
            Form::JsonObject { keeps_nulls } => self.update_members(groups, values, rows, places, keeps_nulls),
        }
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        for g in self.logs.merge(groups, &state[0]) {
            if self.distinct {
                self.logs.compact(g, |entries| first_seen(entries).into_iter().map(<[u8]>::to_vec).collect());
            }
        }
    }
    fn clear(&mut self, group: u32) {
        self.logs.clear(group);
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        vec![self.logs.state(picks)]
    }
    fn state_types(&self) -> Vec<DataType> {
        Logs::state_types()
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        Ok(match &self.form {
            Form::Text { separator } => {
                let text = picks.iter().map(|&g| {
                    let values = self.values(g);
                    (!values.is_empty()).then(|| joined(&values, separator))
                });
                Arc::new(text.collect::<StringArray>())
            }
            Form::Array { item, .. } => self.arrays(item, picks)?,
            Form::Last { item } => {
                let none = null_key(item);
                let last = picks.iter().map(|&g| self.values(g).last().copied().unwrap_or(&none));
                decode_keys(std::slice::from_ref(item), last)?.remove(0)
            }
            Form::JsonArray { .. } => {
                Arc::new(picks.iter().map(|&g| Some(enclosed('[', &self.values(g), ']'))).collect::<StringArray>())
            }
            Form::JsonObject { .. } => {
                let objects = picks.iter().map(|&g| self.object(g).map(Some));
                Arc::new(objects.collect::<Result<StringArray, _>>()?)
            }
        })
    }
    fn memory_bytes(&self) -> usize {
        self.logs.memory_bytes()
    }
}
