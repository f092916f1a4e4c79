//! How are ARRAY, ROW and MAP written in keys?
//!
//! The form is specified in `key`, which calls this for nested columns. What always holds: the
//! bytes of two values are equal if the values are, NULLs inside them included, and sort as the
//! values do, element by element.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use crate::state::key::{KeyBuf, KeyError, decode_column, encode_keys, fixed_width};

/// Longer than any NULL of a column: a flag and 16 bytes.
const NULL_COLUMN: &[u8] = &[0; 17];

/// The keys of a nested column, flags included; None for a column of another type.
pub(super) fn encode(column: &ArrayRef, rows: usize) -> Option<KeyBuf> {
    let mut out = KeyBuf::default();
    let mut inside = KeyBuf::default();
    match column.data_type() {
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let (from, values) = reached(list.values(), list.offsets());
            encode_keys(std::slice::from_ref(&values), values.len(), &mut inside);
            for row in 0..rows {
                if list.is_valid(row) {
                    out.bytes.push(1);
                    for at in list.offsets()[row]..list.offsets()[row + 1] {
                        out.bytes.push(1);
                        out.bytes.extend_from_slice(inside.get(at as usize - from));
                    }
                }
                out.push(&[0]);
            }
        }
        DataType::Map(..) => {
            let map = column.as_map();
            let (from, keys) = reached(map.keys(), map.offsets());
            let (_, values) = reached(map.values(), map.offsets());
            encode_keys(&[keys.clone(), values], keys.len(), &mut inside);
            let mut pairs: Vec<&[u8]> = Vec::new();
            for row in 0..rows {
                if map.is_valid(row) {
                    out.bytes.push(1);
                    pairs.clear();
                    pairs.extend(
                        (map.offsets()[row]..map.offsets()[row + 1])
                            .map(|at| inside.get(at as usize - from)),
                    );
                    pairs.sort_unstable();
                    for pair in &pairs {
                        out.bytes.push(1);
                        out.bytes.extend_from_slice(pair);
                    }
                }
                out.push(&[0]);
            }
        }
        DataType::Struct(_) => {
            let row_of = column.as_struct();
            encode_keys(row_of.columns(), rows, &mut inside);
            for row in 0..rows {
                if row_of.is_valid(row) {
                    out.bytes.push(1);
                    out.push(inside.get(row));
                } else {
                    out.push(&[0]);
                }
            }
        }
        _ => return None,
    }
    Some(out)
}

/// The elements between the first offset and the last, and where they begin.
fn reached(values: &ArrayRef, offsets: &OffsetBuffer<i32>) -> (usize, ArrayRef) {
    let (from, to) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
    (from, values.slice(from, to - from))
}

/// Decodes a nested column from the front of each key.
pub(super) fn decode(data_type: &DataType, rest: &mut [&[u8]]) -> Result<ArrayRef, KeyError> {
    let wrong = |_| KeyError("not a value of its type");
    match data_type {
        DataType::List(item) => {
            let mut ends = vec![0i32];
            let mut valid = Vec::with_capacity(rest.len());
            let mut elements: Vec<&[u8]> = Vec::new();
            for key in rest.iter_mut() {
                valid.push(flag(key)?);
                while valid.last() == Some(&true) && flag(key)? {
                    let start = *key;
                    skip(item.data_type(), key)?;
                    elements.push(&start[..start.len() - key.len()]);
                }
                ends.push(elements.len() as i32);
            }
            let values = decode_column(item.data_type(), &mut elements)?;
            let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
            Ok(Arc::new(
                ListArray::try_new(item.clone(), offsets, values, nulls(valid)).map_err(wrong)?,
            ))
        }
        DataType::Struct(fields) => {
            let valid = rest.iter_mut().map(flag).collect::<Result<Vec<_>, _>>()?;
            let mut columns = Vec::with_capacity(fields.len());
            for field in fields {
                // A row that is NULL has no fields: each reads a NULL.
                let mut each: Vec<&[u8]> = rest
                    .iter()
                    .zip(&valid)
                    .map(|(key, valid)| if *valid { key } else { NULL_COLUMN })
                    .collect();
                columns.push(decode_column(field.data_type(), &mut each)?);
                for ((key, after), _) in
                    rest.iter_mut().zip(each).zip(&valid).filter(|(_, valid)| **valid)
                {
                    *key = after;
                }
            }
            Ok(Arc::new(
                StructArray::try_new_with_length(fields.clone(), columns, nulls(valid), rest.len())
                    .map_err(wrong)?,
            ))
        }
        DataType::Map(entries, is_ordered) => {
            let DataType::Struct(fields) = entries.data_type() else {
                return Err(KeyError("not a map of keys and values"));
            };
            let [key_field, value_field] = &**fields else {
                return Err(KeyError("not a map of keys and values"));
            };
            let mut ends = vec![0i32];
            let mut valid = Vec::with_capacity(rest.len());
            let mut pairs: Vec<&[u8]> = Vec::new();
            for key in rest.iter_mut() {
                valid.push(flag(key)?);
                while valid.last() == Some(&true) && flag(key)? {
                    let start = *key;
                    skip(key_field.data_type(), key)?;
                    skip(value_field.data_type(), key)?;
                    pairs.push(&start[..start.len() - key.len()]);
                }
                ends.push(pairs.len() as i32);
            }
            let keys = decode_column(key_field.data_type(), &mut pairs)?;
            let values = decode_column(value_field.data_type(), &mut pairs)?;
            let pairs =
                StructArray::try_new(fields.clone(), vec![keys, values], None).map_err(wrong)?;
            let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
            let map = MapArray::try_new(entries.clone(), offsets, pairs, nulls(valid), *is_ordered);
            Ok(Arc::new(map.map_err(wrong)?))
        }
        _ => Err(KeyError("not a key type")),
    }
}

fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    Some(NullBuffer::from(valid)).filter(|n| n.null_count() > 0)
}

fn flag(key: &mut &[u8]) -> Result<bool, KeyError> {
    let (flag, after) = key.split_first().ok_or(KeyError("too short"))?;
    *key = after;
    Ok(*flag == 1)
}

/// Steps over one column.
fn skip(data_type: &DataType, key: &mut &[u8]) -> Result<(), KeyError> {
    if let Some(width) = fixed_width(data_type) {
        *key = key.get(1 + width..).ok_or(KeyError("too short"))?;
        return Ok(());
    }
    if !flag(key)? {
        return Ok(());
    }
    match data_type {
        DataType::List(item) => {
            while flag(key)? {
                skip(item.data_type(), key)?;
            }
        }
        DataType::Struct(fields) => {
            for field in fields {
                skip(field.data_type(), key)?;
            }
        }
        DataType::Map(entries, _) => {
            while flag(key)? {
                // The pair is a ROW without a flag of its own.
                if let DataType::Struct(fields) = entries.data_type() {
                    fields.iter().try_for_each(|field| skip(field.data_type(), key))?;
                }
            }
        }
        _ => loop {
            let zero = memchr::memchr(0, key).ok_or(KeyError("no terminator"))?;
            let next = *key.get(zero + 1).ok_or(KeyError("no terminator"))?;
            *key = &key[zero + 2..];
            if next == 0 {
                break;
            }
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::key::decode_keys;
    use arrow::array::{Int32Array, MapBuilder, StringArray, StringBuilder};
    use arrow::datatypes::{Field, Int32Type};

    fn keys(column: &ArrayRef) -> Vec<Vec<u8>> {
        let mut keys = KeyBuf::default();
        // A column behind it shows that each value ends where it should.
        let after: ArrayRef = Arc::new(Int32Array::from(vec![7; column.len()]));
        encode_keys(&[column.clone(), after], column.len(), &mut keys);
        keys.iter().map(<[u8]>::to_vec).collect()
    }

    fn columns() -> Vec<ArrayRef> {
        let list = |rows| Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(rows));
        let ints = list(vec![
            None,
            Some(vec![]),
            Some(vec![None]),
            Some(vec![Some(-1)]),
            Some(vec![Some(-1), Some(0)]),
        ]);
        let text: ArrayRef =
            Arc::new(StringArray::from(vec![Some("x"), None, Some("\0"), Some(""), Some("a\0b")]));
        let field = |name: &str, column: &ArrayRef| {
            Arc::new(Field::new(name, column.data_type().clone(), true))
        };
        let ints: ArrayRef = ints;
        let fields = vec![field("p", &text), field("q", &ints)];
        let valid = NullBuffer::from(vec![false, true, true, true, true]);
        let row: ArrayRef =
            Arc::new(StructArray::new(fields.into(), vec![text, ints.clone()], Some(valid)));
        let item = field("item", &row);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, 2, 2, 5]));
        let rows: ArrayRef = Arc::new(ListArray::new(item, offsets, row.clone(), None));
        vec![ints, row, rows]
    }

    #[test]
    fn nested_keys_come_back_and_sort() {
        for column in columns() {
            for column in [column.clone(), column.slice(1, column.len() - 1)] {
                let keys = keys(&column);
                let types = [column.data_type().clone(), DataType::Int32];
                let back = decode_keys(&types, keys.iter().map(Vec::as_slice)).expect("own keys");
                assert_eq!(self::keys(&back[0]), keys);
                assert_eq!(back[0].null_count(), column.null_count());
            }
        }
        assert!(keys(&columns()[0]).is_sorted());
    }

    #[test]
    fn damaged_keys_are_errors() {
        for column in columns() {
            let keys = keys(&column);
            let types = [column.data_type().clone(), DataType::Int32];
            let key = &keys[keys.len() - 1];
            for cut in 0..key.len() {
                assert!(decode_keys(&types, [&key[..cut]].into_iter()).is_err());
            }
        }
    }

    #[test]
    fn maps_are_equal_in_any_order() {
        let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for pairs in [[("a", "1"), ("b", "2")], [("b", "2"), ("a", "1")], [("a", "2"), ("b", "1")]]
        {
            for (key, value) in pairs {
                map.keys().append_value(key);
                map.values().append_value(value);
            }
            map.append(true).expect("as many keys as values");
        }
        let keys = keys(&(Arc::new(map.finish()) as ArrayRef));
        assert_eq!(keys[0], keys[1]);
        assert_ne!(keys[0], keys[2]);
    }

    #[test]
    fn maps_come_back() {
        let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for pairs in [vec![("b", Some("2")), ("a", None)], vec![], vec![("", Some("\0"))]] {
            for (key, value) in pairs {
                map.keys().append_value(key);
                map.values().append_option(value);
            }
            map.append(true).expect("as many keys as values");
        }
        map.append(false).expect("a NULL");
        let column: ArrayRef = Arc::new(map.finish());
        for column in [column.clone(), column.slice(1, 3)] {
            let keys = keys(&column);
            let types = [column.data_type().clone(), DataType::Int32];
            let back = decode_keys(&types, keys.iter().map(Vec::as_slice)).expect("own keys");
            assert_eq!(self::keys(&back[0]), keys);
            assert_eq!(back[0].null_count(), 1);
            for cut in 0..keys[0].len() {
                assert!(decode_keys(&types, [&keys[0][..cut]].into_iter()).is_err());
            }
        }
    }
}
