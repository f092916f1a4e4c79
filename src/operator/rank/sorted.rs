//! The rows of a partition in order.
//!
//! Rows and what they are sorted by are bytes in the encoding of `state::key`, turned round for
//! descending columns, so that comparing bytes compares rows. Stored as `sort key length (4) | rows
//! (4) | sort key | (row length (4) | row) * rows`, one after the other, little-endian.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef};
use arrow::compute::SortOptions;

use crate::operator::OperatorError;
use crate::operator::keyed::KeyedValue;
use crate::state::key::{KeyBuf, encode_keys};

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Sorted {
    /// Sort key to rows, in the order they came.
    pub rows: BTreeMap<Vec<u8>, Vec<Box<[u8]>>>,
    bytes: usize,
}

/// What a row costs in memory besides its bytes and those of its sort key.
const ROW_BYTES: usize = 72;

impl Sorted {
    pub fn len(&self) -> usize {
        self.rows.values().map(Vec::len).sum()
    }

    pub fn insert(&mut self, sort: &[u8], row: &[u8]) {
        self.bytes += row.len() + sort.len() + ROW_BYTES;
        match self.rows.get_mut(sort) {
            Some(rows) => rows.push(row.into()),
            None => {
                self.rows.insert(sort.to_vec(), vec![row.into()]);
            }
        }
    }

    /// Removes the first row that is equal. False if there is none.
    pub fn remove(&mut self, sort: &[u8], row: &[u8]) -> bool {
        let Some(rows) = self.rows.get_mut(sort) else { return false };
        let Some(at) = rows.iter().position(|r| **r == *row) else { return false };
        rows.remove(at);
        if rows.is_empty() {
            self.rows.remove(sort);
        }
        self.bytes -= row.len() + sort.len() + ROW_BYTES;
        true
    }

    /// The last row.
    pub(crate) fn last(&self) -> Option<&[u8]> {
        self.rows.last_key_value()?.1.last().map(AsRef::as_ref)
    }

    /// Removes the last row.
    pub(crate) fn pop_last(&mut self) -> Option<Box<[u8]>> {
        let mut entry = self.rows.last_entry()?;
        debug_assert!(!entry.get().is_empty(), "a sort key is kept without rows");
        let row = entry.get_mut().pop()?;
        self.bytes -= row.len() + entry.key().len() + ROW_BYTES;
        if entry.get().is_empty() {
            entry.remove();
        }
        Some(row)
    }

    /// The rows with their sort keys, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.rows
            .iter()
            .flat_map(|(sort, rows)| rows.iter().map(|row| (sort.as_slice(), row.as_ref())))
    }
}

fn read(bytes: &[u8]) -> Option<Sorted> {
    let mut sorted = Sorted::default();
    let mut rest = bytes;
    let number = |rest: &mut &[u8]| {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        *rest = tail;
        Some(u32::from_le_bytes(*head) as usize)
    };
    while !rest.is_empty() {
        let (length, count) = (number(&mut rest)?, number(&mut rest)?);
        let (sort, tail) = rest.split_at_checked(length)?;
        rest = tail;
        for _ in 0..count {
            let length = number(&mut rest)?;
            let (row, tail) = rest.split_at_checked(length)?;
            rest = tail;
            sorted.insert(sort, row);
        }
    }
    Some(sorted)
}

impl KeyedValue for Sorted {
    type Types = ();

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes);
        for (sort, rows) in &self.rows {
            out.extend_from_slice(&(sort.len() as u32).to_le_bytes());
            out.extend_from_slice(&(rows.len() as u32).to_le_bytes());
            out.extend_from_slice(sort);
            for row in rows {
                out.extend_from_slice(&(row.len() as u32).to_le_bytes());
                out.extend_from_slice(row);
            }
        }
        out
    }

    fn decode(bytes: &[u8], (): &()) -> Result<Sorted, OperatorError> {
        read(bytes).ok_or_else(|| OperatorError::damaged("a sorted partition that is too short"))
    }

    fn memory_bytes(&self) -> usize {
        self.bytes + size_of::<Sorted>()
    }
}

/// The sort keys of the rows of some columns.
pub(crate) fn sort_keys(columns: &[(ArrayRef, SortOptions)], rows: usize) -> KeyBuf {
    let encoded: Vec<KeyBuf> = columns
        .iter()
        .map(|(column, _)| {
            let mut keys = KeyBuf::default();
            encode_keys(std::slice::from_ref(column), rows, &mut keys);
            keys
        })
        .collect();
    let mut out = KeyBuf::default();
    let mut key = Vec::new();
    for row in 0..rows {
        key.clear();
        for ((column, options), encoded) in columns.iter().zip(&encoded) {
            // NULL first or last, apart from the direction of values.
            if column.is_null(row) {
                key.push(if options.nulls_first { 0 } else { 2 });
                continue;
            }
            key.push(1);
            let value = &encoded.get(row)[1..];
            if options.descending {
                key.extend(value.iter().map(|b| !b));
            } else {
                key.extend_from_slice(value);
            }
        }
        out.push(&key);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{Int64Array, StringArray};

    #[test]
    fn keys_sort_as_asked_for() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None, Some(-1), Some(3)]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "ab"]));
        let order = |descending: bool, nulls_first: bool, text_descending: bool| {
            let options = |descending, nulls_first| SortOptions { descending, nulls_first };
            let columns = [
                (numbers.clone(), options(descending, nulls_first)),
                (texts.clone(), options(text_descending, true)),
            ];
            let keys = sort_keys(&columns, 4);
            let mut rows: Vec<usize> = (0..4).collect();
            rows.sort_by(|&a, &b| keys.get(a).cmp(keys.get(b)));
            rows
        };
        assert_eq!(order(false, true, false), [1, 2, 0, 3]);
        assert_eq!(order(true, false, false), [0, 3, 2, 1]);
        assert_eq!(order(true, true, true), [1, 3, 0, 2]);
    }

    #[test]
    fn rows_come_back_and_damage_is_an_error() {
        let mut sorted = Sorted::default();
        for (sort, row) in [("b", "1"), ("a", "2"), ("b", "3")] {
            sorted.insert(sort.as_bytes(), row.as_bytes());
        }
        let bytes = sorted.encode();
        assert_eq!(Sorted::decode(&bytes, &()).expect("own bytes"), sorted);
        for cut in 1..bytes.len() {
            // A cut between two entries leaves a shorter list, any other is noticed.
            let _ = Sorted::decode(&bytes[..cut], &());
        }
        assert!(Sorted::decode(&bytes[..3], &()).is_err());
        assert!(sorted.remove(b"b", b"1") && !sorted.remove(b"b", b"1"));
        assert_eq!(sorted.pop_last().as_deref(), Some(&b"3"[..]));
        assert_eq!(sorted.iter().collect::<Vec<_>>(), [(&b"a"[..], &b"2"[..])]);
    }
}
