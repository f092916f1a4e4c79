//! How are group keys written as bytes?
//!
//! A key is its columns one after the other, so that comparing bytes compares keys column by column
//! (NULL first). This is a stored format, version 1:
//!
//! ```text
//! column  = 0x00 zeros(width)        NULL of a fixed-width type, 0x00 alone for a variable one
//!         | 0x01 payload
//! payload = big-endian, sign bit flipped         integers, dates, times, timestamps, decimals (1 to 16 bytes)
//!         | one byte 0 or 1                      BOOLEAN
//!         | big-endian bits, all flipped if negative, else the sign bit      FLOAT, DOUBLE (-0.0 and 0.0 differ, NaN has no sign)
//!         | bytes with 0x00 as 0x00 0xff, then 0x00 0x00                     STRING, BYTES
//!         | (0x01 column)* 0x00                  ARRAY: each element as a column
//!         | column*                              ROW: each field
//!         | (0x01 column column)* 0x00           MAP, MULTISET: key and value, sorted by their bytes
//! ```
//!
//! A NULL of a nested type is 0x00 alone. A MAP is no group key ([`is_key_type`]); its form serves
//! comparison.
//!
//! Used by the window operators and exchanges on every batch, and when results or stored partials
//! are read back.

mod nested;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryBuilder, BooleanBuilder, PrimitiveArray,
    PrimitiveBuilder, StringBuilder,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::floats::{one_nan_32, one_nan_64};
use crate::state::key::nested as key_nested;

/// Encoded keys back to back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyBuf {
    pub bytes: Vec<u8>,
    /// End of key i in `bytes`.
    pub ends: Vec<u32>,
}

impl KeyBuf {
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
    #[inline]
    pub fn get(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.bytes[start..self.ends[i] as usize]
    }
    #[inline]
    pub fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        debug_assert!(
            u32::try_from(self.bytes.len()).is_ok(),
            "keys that travel together take more than 4 GiB"
        );
        self.ends.push(self.bytes.len() as u32);
    }
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.get(i))
    }
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4
    }
}

/// The hash of a key. Part of the stored format: it decides the key group. XXH3-64, seed 0.
#[inline]
pub(crate) fn hash_key(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// True if a column of this type can be part of a key.
pub(crate) fn is_key_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::Binary => true,
        DataType::List(item) => is_key_type(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|f| is_key_type(f.data_type())),
        other => fixed_width(other).is_some(),
    }
}

/// True if rows with a column of this type are kept as the bytes of a key: those of key types, and
/// MAPs, which come back with their pairs in order of their bytes.
pub(crate) fn is_row_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => is_row_type(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|f| is_row_type(f.data_type())),
        DataType::Map(entries, _) => is_row_type(entries.data_type()),
        other => is_key_type(other),
    }
}

/// Payload bytes of a fixed-width type.
pub(super) fn fixed_width(data_type: &DataType) -> Option<usize> {
    Some(match data_type {
        // Numbers without a sign are those of grouping sets.
        DataType::Boolean | DataType::Int8 | DataType::UInt8 => 1,
        DataType::Int16 | DataType::UInt16 => 2,
        DataType::Int32
        | DataType::UInt32
        | DataType::Date32
        | DataType::Time32(TimeUnit::Millisecond)
        | DataType::Float32 => 4,
        DataType::Int64 | DataType::UInt64 | DataType::Float64 => 8,
        DataType::Timestamp(
            TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond,
            _,
        ) => 8,
        DataType::Decimal128(_, _) => 16,
        _ => return None,
    })
}

/// Encodes the rows of `columns` into `out` (cleared first). Columns must be of key types, or of
/// MAPs of them.
pub fn encode_keys(columns: &[ArrayRef], rows: usize, out: &mut KeyBuf) {
    out.clear();
    let fixed: usize =
        columns.iter().filter_map(|c| fixed_width(c.data_type())).map(|w| w + 1).sum();
    // Nested columns are encoded first, as bytes that go in as they are.
    let nested: Vec<Option<KeyBuf>> = columns.iter().map(|c| key_nested::encode(c, rows)).collect();
    let variable: Vec<(&ArrayRef, Option<&KeyBuf>)> = columns
        .iter()
        .zip(&nested)
        .map(|(c, n)| (c, n.as_ref()))
        .filter(|(c, _)| fixed_width(c.data_type()).is_none())
        .collect();
    let mut total = 0u32;
    for row in 0..rows {
        let len = |(column, nested): &(&ArrayRef, Option<&KeyBuf>)| match nested {
            Some(keys) => keys.get(row).len(),
            None => encoded_len(column, row),
        };
        let var: usize = variable.iter().map(len).sum();
        total += (fixed + var) as u32;
        out.ends.push(total);
    }
    out.bytes.resize(total as usize, 0);
    // Where each row's next column goes.
    let mut cursor: Vec<u32> = Vec::with_capacity(rows);
    cursor.push(0);
    cursor.extend_from_slice(&out.ends[..rows.saturating_sub(1)]);
    for (column, nested) in columns.iter().zip(&nested) {
        let Some(keys) = nested else {
            encode_column(column, rows, &mut out.bytes, &mut cursor);
            continue;
        };
        for (row, cursor) in cursor.iter_mut().enumerate().take(rows) {
            let (from, key) = (*cursor as usize, keys.get(row));
            out.bytes[from..from + key.len()].copy_from_slice(key);
            *cursor = (from + key.len()) as u32;
        }
    }
    debug_assert_eq!(
        cursor.get(..rows),
        out.ends.get(..rows),
        "keys are not as long as was found out before"
    );
}

fn bytes_of(column: &ArrayRef, row: usize) -> &[u8] {
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).as_bytes(),
        _ => column.as_binary::<i32>().value(row),
    }
}

fn encoded_len(column: &ArrayRef, row: usize) -> usize {
    if column.is_null(row) {
        return 1;
    }
    let bytes = bytes_of(column, row);
    1 + bytes.len() + memchr::memchr_iter(0, bytes).count() + 2
}

fn encode_column(column: &ArrayRef, rows: usize, out: &mut [u8], cursor: &mut [u32]) {
    macro_rules! fixed {
        ($t:ty, $bytes:expr) => {{
            let array = column.as_primitive::<$t>();
            let values = array.values();
            let width = size_of::<<$t as ArrowPrimitiveType>::Native>();
            let has_nulls = array.null_count() > 0;
            for row in 0..rows {
                let at = cursor[row] as usize;
                if !has_nulls || array.is_valid(row) {
                    out[at] = 1;
                    out[at + 1..at + 1 + width].copy_from_slice(&$bytes(values[row]));
                }
                cursor[row] = (at + 1 + width) as u32;
            }
        }};
    }
    match column.data_type() {
        DataType::UInt8 => fixed!(UInt8Type, |v: u8| v.to_be_bytes()),
        DataType::UInt16 => fixed!(UInt16Type, |v: u16| v.to_be_bytes()),
        DataType::UInt32 => fixed!(UInt32Type, |v: u32| v.to_be_bytes()),
        DataType::UInt64 => fixed!(UInt64Type, |v: u64| v.to_be_bytes()),
        DataType::Int8 => fixed!(Int8Type, |v: i8| (v ^ i8::MIN).to_be_bytes()),
        DataType::Int16 => fixed!(Int16Type, |v: i16| (v ^ i16::MIN).to_be_bytes()),
        DataType::Int32 => fixed!(Int32Type, |v: i32| (v ^ i32::MIN).to_be_bytes()),
        DataType::Date32 => fixed!(Date32Type, |v: i32| (v ^ i32::MIN).to_be_bytes()),
        DataType::Time32(_) => fixed!(Time32MillisecondType, |v: i32| (v ^ i32::MIN).to_be_bytes()),
        DataType::Int64 => fixed!(Int64Type, |v: i64| (v ^ i64::MIN).to_be_bytes()),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            fixed!(TimestampMillisecondType, |v: i64| (v ^ i64::MIN).to_be_bytes())
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            fixed!(TimestampMicrosecondType, |v: i64| (v ^ i64::MIN).to_be_bytes())
        }
        DataType::Timestamp(_, _) => {
            fixed!(TimestampNanosecondType, |v: i64| (v ^ i64::MIN).to_be_bytes())
        }
        DataType::Decimal128(_, _) => {
            fixed!(Decimal128Type, |v: i128| (v ^ i128::MIN).to_be_bytes())
        }
        DataType::Float32 => {
            fixed!(Float32Type, |v: f32| order_bits_32(one_nan_32(v).to_bits()).to_be_bytes())
        }
        DataType::Float64 => {
            fixed!(Float64Type, |v: f64| order_bits_64(one_nan_64(v).to_bits()).to_be_bytes())
        }
        DataType::Boolean => {
            let array = column.as_boolean();
            for (row, at) in cursor.iter_mut().enumerate().take(rows) {
                if array.is_valid(row) {
                    out[*at as usize] = 1;
                    out[*at as usize + 1] = u8::from(array.value(row));
                }
                *at += 2;
            }
        }
        _ => {
            for (row, cursor) in cursor.iter_mut().enumerate().take(rows) {
                let mut at = *cursor as usize;
                if column.is_valid(row) {
                    out[at] = 1;
                    at += 1;
                    for &b in bytes_of(column, row) {
                        out[at] = b;
                        at += 1;
                        if b == 0 {
                            out[at] = 0xff;
                            at += 1;
                        }
                    }
                    at += 2; // the terminator, already zero
                } else {
                    at += 1;
                }
                *cursor = at as u32;
            }
        }
    }
}

fn order_bits_32(bits: u32) -> u32 {
    if bits >> 31 == 1 { !bits } else { bits ^ (1 << 31) }
}
fn order_bits_64(bits: u64) -> u64 {
    if bits >> 63 == 1 { !bits } else { bits ^ (1 << 63) }
}

/// Stored bytes that are not a key of the expected types.
#[derive(Debug, thiserror::Error)]
#[error("stored key does not have the expected columns: {0}")]
pub(crate) struct KeyError(pub(super) &'static str);

/// Decodes keys back into columns of the given types. Bytes after the last column are left alone.
pub(crate) fn decode_keys<'a>(
    types: &[DataType],
    keys: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<ArrayRef>, KeyError> {
    let mut rest: Vec<&[u8]> = keys.collect();
    types.iter().map(|t| decode_column(t, &mut rest)).collect()
}

pub(super) fn decode_column(
    data_type: &DataType,
    rest: &mut [&[u8]],
) -> Result<ArrayRef, KeyError> {
    macro_rules! fixed {
        ($t:ty, $n:ty, $from:expr) => {{
            let mut builder = PrimitiveBuilder::<$t>::with_capacity(rest.len());
            for key in rest.iter_mut() {
                let (flag, after) = key.split_first().ok_or(KeyError("too short"))?;
                let (payload, after) = after
                    .split_first_chunk::<{ size_of::<$n>() }>()
                    .ok_or(KeyError("too short"))?;
                *key = after;
                if *flag == 1 {
                    builder.append_value($from(<$n>::from_be_bytes(*payload)));
                } else {
                    builder.append_null();
                }
            }
            let array: PrimitiveArray<$t> = builder.finish().with_data_type(data_type.clone());
            Arc::new(array) as ArrayRef
        }};
    }
    Ok(match data_type {
        DataType::UInt8 => fixed!(UInt8Type, u8, |v: u8| v),
        DataType::UInt16 => fixed!(UInt16Type, u16, |v: u16| v),
        DataType::UInt32 => fixed!(UInt32Type, u32, |v: u32| v),
        DataType::UInt64 => fixed!(UInt64Type, u64, |v: u64| v),
        DataType::Int8 => fixed!(Int8Type, i8, |v: i8| v ^ i8::MIN),
        DataType::Int16 => fixed!(Int16Type, i16, |v: i16| v ^ i16::MIN),
        DataType::Int32 => fixed!(Int32Type, i32, |v: i32| v ^ i32::MIN),
        DataType::Date32 => fixed!(Date32Type, i32, |v: i32| v ^ i32::MIN),
        DataType::Time32(_) => fixed!(Time32MillisecondType, i32, |v: i32| v ^ i32::MIN),
        DataType::Int64 => fixed!(Int64Type, i64, |v: i64| v ^ i64::MIN),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            fixed!(TimestampMillisecondType, i64, |v: i64| v ^ i64::MIN)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            fixed!(TimestampMicrosecondType, i64, |v: i64| v ^ i64::MIN)
        }
        DataType::Timestamp(_, _) => fixed!(TimestampNanosecondType, i64, |v: i64| v ^ i64::MIN),
        DataType::Decimal128(_, _) => fixed!(Decimal128Type, i128, |v: i128| v ^ i128::MIN),
        DataType::Float32 => {
            fixed!(Float32Type, u32, |v: u32| f32::from_bits(if v >> 31 == 1 {
                v ^ (1 << 31)
            } else {
                !v
            }))
        }
        DataType::Float64 => {
            fixed!(Float64Type, u64, |v: u64| f64::from_bits(if v >> 63 == 1 {
                v ^ (1 << 63)
            } else {
                !v
            }))
        }
        DataType::Boolean => {
            let mut builder = BooleanBuilder::with_capacity(rest.len());
            for key in rest.iter_mut() {
                let (head, after) = key.split_first_chunk::<2>().ok_or(KeyError("too short"))?;
                *key = after;
                builder.append_option((head[0] == 1).then_some(head[1] == 1));
            }
            Arc::new(builder.finish())
        }
        DataType::Utf8 => {
            let mut builder = StringBuilder::with_capacity(rest.len(), rest.len() * 8);
            let mut text = Vec::new();
            for key in rest.iter_mut() {
                if read_escaped(key, &mut text)? {
                    builder.append_value(
                        std::str::from_utf8(&text).map_err(|_| KeyError("not UTF-8"))?,
                    );
                } else {
                    builder.append_null();
                }
            }
            Arc::new(builder.finish())
        }
        DataType::Binary => {
            let mut builder = BinaryBuilder::with_capacity(rest.len(), rest.len() * 8);
            let mut text = Vec::new();
            for key in rest.iter_mut() {
                if read_escaped(key, &mut text)? {
                    builder.append_value(&text)
                } else {
                    builder.append_null()
                }
            }
            Arc::new(builder.finish())
        }
        nested => return key_nested::decode(nested, rest),
    })
}

/// Reads a variable-length column; false means NULL.
fn read_escaped(key: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, KeyError> {
    out.clear();
    let (flag, mut rest) = key.split_first().ok_or(KeyError("too short"))?;
    if *flag == 0 {
        *key = rest;
        return Ok(false);
    }
    loop {
        let zero = memchr::memchr(0, rest).ok_or(KeyError("no terminator"))?;
        out.extend_from_slice(&rest[..zero]);
        let next = *rest.get(zero + 1).ok_or(KeyError("no terminator"))?;
        rest = &rest[zero + 2..];
        if next == 0 {
            *key = rest;
            return Ok(true);
        }
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array,
        ListArray, StringArray, StructArray,
    };
    use arrow::datatypes::Field;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use crate::support::damage::{ANY, damage};
    use crate::support::seeds::each_seed;
    use crate::support::tier::by_tier;

    fn columns() -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from(vec![Some(-5), None, Some(i64::MAX), Some(0)])),
            Arc::new(StringArray::from(vec![Some("a\0b"), Some(""), None, Some("zz")])),
            Arc::new(Int32Array::from(vec![1, -1, i32::MIN, 7])),
            Arc::new(Float64Array::from(vec![-0.0, 0.0, f64::NEG_INFINITY, 1.5])),
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)])),
            Arc::new(
                Decimal128Array::from(vec![Some(-1), Some(12_345), None, Some(0)])
                    .with_precision_and_scale(10, 2)
                    .expect("fits"),
            ),
            Arc::new(BinaryArray::from(vec![Some(&b"\0\0"[..]), None, Some(b"\xff"), Some(b"")])),
        ]
    }

    #[test]
    fn keys_come_back_as_they_went_in() {
        let columns = columns();
        let mut keys = KeyBuf::default();
        encode_keys(&columns, 4, &mut keys);
        let types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
        let back = decode_keys(&types, keys.iter()).expect("own keys decode");
        for (a, b) in columns.iter().zip(&back) {
            assert_eq!(a.to_data(), b.to_data());
        }
    }

    /// Nested columns too: whatever became of a stored key, it is a key or an error.
    #[test]
    fn a_damaged_key_is_a_key_or_an_error() {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
            Some(vec![]),
        ]);
        let rows = StructArray::from(vec![(
            Arc::new(Field::new("s", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("a"), None, Some("bc"), Some("")])) as ArrayRef,
        )]);
        let mut columns = columns();
        columns.extend([Arc::new(lists) as ArrayRef, Arc::new(rows)]);
        let types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
        let mut keys = KeyBuf::default();
        encode_keys(&columns, 4, &mut keys);
        each_seed(0..by_tier(500, 2000, 500_000), |seed| {
            let mut key = keys.get(seed as usize % 4).to_vec();
            damage(&mut ChaCha8Rng::seed_from_u64(seed), &mut key, ANY);
            if let Ok(back) = decode_keys(&types, std::iter::once(key.as_slice())) {
                assert!(
                    back.iter()
                        .zip(&types)
                        .all(|(column, t)| column.len() == 1 && column.data_type() == t)
                );
            }
        });
    }

    #[test]
    fn bytes_sort_as_values_do_with_null_first() {
        let array: ArrayRef = Arc::new(Float64Array::from(vec![
            None,
            Some(f64::NEG_INFINITY),
            Some(-1.0),
            Some(-0.0),
            Some(0.0),
            Some(2.0),
        ]));
        let text: ArrayRef = Arc::new(StringArray::from(vec![
            None,
            Some(""),
            Some("\0"),
            Some("\0a"),
            Some("a"),
            Some("ab"),
        ]));
        for column in [array, text] {
            let mut keys = KeyBuf::default();
            encode_keys(&[column], 6, &mut keys);
            assert!(keys.iter().collect::<Vec<_>>().is_sorted());
        }
    }

    #[test]
    fn damaged_keys_are_errors() {
        let mut keys = KeyBuf::default();
        encode_keys(&columns(), 4, &mut keys);
        let types: Vec<DataType> = columns().iter().map(|c| c.data_type().clone()).collect();
        for cut in 0..keys.get(0).len() {
            assert!(decode_keys(&types, [&keys.get(0)[..cut]].into_iter()).is_err());
        }
    }
}
