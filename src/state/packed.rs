//! How are columns written into one stored value?
//!
//! Hundreds of partial aggregates (or rows) share a value, as columns: 20 times the write rate of
//! one entry each. This is a stored format, version 1, little-endian:
//!
//! ```text
//! value  = version (1) | entries (4) | columns (2) | column*
//! column = width (1) | has nulls (1) | [validity bitmap, ceil(entries/8) bytes, bit 0 first] | data
//! data   = entries * width bytes                      width 1, 2, 4, 8 or 16: numbers, times, decimals
//!        | bitmap                                     width 0xf0: BOOLEAN
//!        | end offset (4) * entries | bytes           width 0xf1: STRING, BYTES, keys
//!        | end offset (4) * entries | column          width 0xf2: ARRAY; the column has as many entries as the last end
//!        | end offset (4) * entries | column column   width 0xf3: MAP, MULTISET: keys, then values
//!        | fields (2) | column*                       width 0xf4: ROW; each column has `entries` entries
//! ```
//!
//! Columns inside others have the same form. A nested value that is NULL has no elements.
//!
//! The types are not stored: they follow from the plan, whose fingerprint is in the manifest.
//! Widths are checked.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, BooleanArray, ListArray, MapArray,
    StringArray, StructArray, make_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;

const VERSION: u8 = 1;
const BITS: u8 = 0xf0;
const BYTES: u8 = 0xf1;
const LIST: u8 = 0xf2;
const MAP: u8 = 0xf3;
const ROW: u8 = 0xf4;

#[derive(Debug, thiserror::Error)]
#[error("stored value is damaged or of another version: {0}")]
pub(crate) struct PackedError(pub String);

fn damaged(what: &str) -> PackedError {
    PackedError(what.to_string())
}

fn width(data_type: &DataType) -> Option<u8> {
    match data_type {
        DataType::Boolean => Some(BITS),
        DataType::Utf8 | DataType::Binary => Some(BYTES),
        DataType::List(item) => is_packable(item.data_type()).then_some(LIST),
        DataType::Map(entries, _) => is_packable(entries.data_type()).then_some(MAP),
        DataType::Struct(fields) => {
            fields.iter().all(|f| is_packable(f.data_type())).then_some(ROW)
        }
        other => other.primitive_width().and_then(|w| u8::try_from(w).ok()),
    }
}

/// True if columns of this type can be stored.
pub(crate) fn is_packable(data_type: &DataType) -> bool {
    width(data_type).is_some()
}

/// Appends the columns, all of length `entries`, to `out`. Types must be packable.
pub(crate) fn pack(columns: &[ArrayRef], entries: usize, out: &mut Vec<u8>) {
    debug_assert!(
        columns.iter().all(|c| c.len() == entries),
        "columns of one value are not of one length"
    );
    out.push(VERSION);
    out.extend_from_slice(&(entries as u32).to_le_bytes());
    out.extend_from_slice(&(columns.len() as u16).to_le_bytes());
    for column in columns {
        pack_column(column, entries, out);
    }
}

fn pack_column(column: &ArrayRef, entries: usize, out: &mut Vec<u8>) {
    debug_assert!(is_packable(column.data_type()), "{} cannot be stored", column.data_type());
    let tag = width(column.data_type()).unwrap_or_default();
    out.push(tag);
    match column.nulls().filter(|n| n.null_count() > 0) {
        Some(nulls) => {
            out.push(1);
            push_bits(nulls.inner(), out);
        }
        None => out.push(0),
    }
    match tag {
        BITS => push_bits(column.as_boolean().values(), out),
        BYTES => {
            let (offsets, bytes): (&OffsetBuffer<i32>, &[u8]) = match column.data_type() {
                DataType::Utf8 => {
                    (column.as_string::<i32>().offsets(), column.as_string::<i32>().value_data())
                }
                _ => (column.as_binary::<i32>().offsets(), column.as_binary::<i32>().value_data()),
            };
            push_ends(offsets, out);
            out.extend_from_slice(&bytes[offsets[0] as usize..offsets[entries] as usize]);
        }
        LIST => {
            let list = column.as_list::<i32>();
            push_ends(list.offsets(), out);
            pack_part(list.values(), list.offsets(), out);
        }
        MAP => {
            let map = column.as_map();
            push_ends(map.offsets(), out);
            pack_part(map.keys(), map.offsets(), out);
            pack_part(map.values(), map.offsets(), out);
        }
        ROW => {
            let fields = column.as_struct().columns();
            out.extend_from_slice(&(fields.len() as u16).to_le_bytes());
            for field in fields {
                pack_column(field, entries, out);
            }
        }
        w => {
            let data = column.to_data();
            let from = data.offset() * usize::from(w);
            out.extend_from_slice(
                &data.buffers()[0].as_slice()[from..from + entries * usize::from(w)],
            );
        }
    }
}

fn push_ends(offsets: &OffsetBuffer<i32>, out: &mut Vec<u8>) {
    for end in &offsets[1..] {
        out.extend_from_slice(&((end - offsets[0]) as u32).to_le_bytes());
    }
}

/// The elements that the offsets reach.
fn pack_part(values: &ArrayRef, offsets: &OffsetBuffer<i32>, out: &mut Vec<u8>) {
    let (from, to) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
    pack_column(&values.slice(from, to - from), to - from, out);
}

fn push_bits(bits: &BooleanBuffer, out: &mut Vec<u8>) {
    let mut chunk = 0u8;
    for (i, bit) in bits.iter().enumerate() {
        chunk |= u8::from(bit) << (i % 8);
        if i % 8 == 7 {
            out.push(chunk);
            chunk = 0;
        }
    }
    if !bits.len().is_multiple_of(8) {
        out.push(chunk);
    }
}

/// Reads back what [`pack`] wrote, as columns of the given types.
pub(crate) fn unpack(mut value: &[u8], types: &[DataType]) -> Result<Vec<ArrayRef>, PackedError> {
    let input = &mut value;
    if take(input, 1)?[0] != VERSION {
        return Err(damaged("unknown version"));
    }
    let entries = read_u32(input)? as usize;
    let columns = usize::from(u16::from_le_bytes([take(input, 1)?[0], take(input, 1)?[0]]));
    if columns != types.len() {
        return Err(PackedError(format!("{columns} columns where the plan has {}", types.len())));
    }
    let arrays =
        types.iter().map(|t| unpack_column(input, t, entries)).collect::<Result<Vec<_>, _>>()?;
    if !input.is_empty() {
        return Err(damaged("bytes after the last column"));
    }
    debug_assert!(
        arrays.iter().all(|array| array.len() == entries),
        "a column came back with another length"
    );
    Ok(arrays)
}

fn unpack_column(
    input: &mut &[u8],
    data_type: &DataType,
    entries: usize,
) -> Result<ArrayRef, PackedError> {
    let tag = take(input, 1)?[0];
    if Some(tag) != width(data_type) {
        return Err(PackedError(format!("a column of width {tag} where the plan has {data_type}")));
    }
    let nulls = match take(input, 1)?[0] {
        0 => None,
        1 => Some(NullBuffer::new(read_bits(input, entries)?)),
        _ => return Err(damaged("null marker")),
    };
    Ok(match tag {
        BITS => Arc::new(BooleanArray::new(read_bits(input, entries)?, nulls)),
        BYTES => {
            let offsets = read_ends(input, entries)?;
            let bytes = Buffer::from(take(input, offsets[entries] as usize)?);
            match data_type {
                DataType::Utf8 => Arc::new(
                    StringArray::try_new(offsets, bytes, nulls)
                        .map_err(|e| PackedError(e.to_string()))?,
                ) as ArrayRef,
                _ => Arc::new(
                    BinaryArray::try_new(offsets, bytes, nulls)
                        .map_err(|e| PackedError(e.to_string()))?,
                ),
            }
        }
        LIST | MAP | ROW => unpack_nested(input, data_type, entries, nulls)?,
        w => {
            let bytes = take(input, entries * usize::from(w))?;
            // Copied into an aligned buffer.
            let mut buffer = MutableBuffer::with_capacity(bytes.len());
            buffer.extend_from_slice(bytes);
            let data = ArrayData::builder(data_type.clone())
                .len(entries)
                .add_buffer(buffer.into())
                .nulls(nulls);
            make_array(data.build().map_err(|e| PackedError(e.to_string()))?)
        }
    })
}

fn unpack_nested(
    input: &mut &[u8],
    data_type: &DataType,
    entries: usize,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, PackedError> {
    let wrong = |e: ArrowError| PackedError(e.to_string());
    Ok(match data_type {
        DataType::List(item) => {
            let offsets = read_ends(input, entries)?;
            let values = unpack_column(input, item.data_type(), offsets[entries] as usize)?;
            Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls).map_err(wrong)?)
        }
        DataType::Map(pairs, sorted) => {
            let DataType::Struct(parts) = pairs.data_type() else {
                return Err(damaged("a map without entries"));
            };
            let offsets = read_ends(input, entries)?;
            let read = |part: &FieldRef, input: &mut &[u8]| {
                unpack_column(input, part.data_type(), offsets[entries] as usize)
            };
            let columns =
                parts.iter().map(|part| read(part, input)).collect::<Result<Vec<_>, _>>()?;
            let values = StructArray::try_new(parts.clone(), columns, None).map_err(wrong)?;
            Arc::new(
                MapArray::try_new(pairs.clone(), offsets, values, nulls, *sorted).map_err(wrong)?,
            )
        }
        DataType::Struct(fields) => {
            let count = usize::from(u16::from_le_bytes([take(input, 1)?[0], take(input, 1)?[0]]));
            if count != fields.len() {
                return Err(PackedError(format!(
                    "{count} fields where the plan has {}",
                    fields.len()
                )));
            }
            let columns = fields
                .iter()
                .map(|f| unpack_column(input, f.data_type(), entries))
                .collect::<Result<Vec<_>, _>>()?;
            Arc::new(
                StructArray::try_new_with_length(fields.clone(), columns, nulls, entries)
                    .map_err(wrong)?,
            )
        }
        _ => return Err(damaged("not a nested type")),
    })
}

fn read_ends(input: &mut &[u8], entries: usize) -> Result<OffsetBuffer<i32>, PackedError> {
    let ends = take(input, entries.checked_mul(4).ok_or_else(|| damaged("too long"))?)?;
    let mut offsets = Vec::with_capacity(entries + 1);
    offsets.push(0i32);
    for end in ends.chunks_exact(4) {
        let end = i32::from_le_bytes([end[0], end[1], end[2], end[3]]);
        if end < offsets[offsets.len() - 1] {
            return Err(damaged("offsets go back"));
        }
        offsets.push(end);
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
}

fn read_bits(input: &mut &[u8], entries: usize) -> Result<BooleanBuffer, PackedError> {
    Ok(BooleanBuffer::new(Buffer::from(take(input, entries.div_ceil(8))?), 0, entries))
}

fn read_u32(input: &mut &[u8]) -> Result<u32, PackedError> {
    let b = take(input, 4)?;
    Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn take<'a>(input: &mut &'a [u8], n: usize) -> Result<&'a [u8], PackedError> {
    let (head, tail) = input.split_at_checked(n).ok_or_else(|| damaged("too short"))?;
    *input = tail;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        BooleanBuilder, Decimal128Array, Float64Array, Int64Array, MapBuilder, StringBuilder,
    };
    use arrow::datatypes::{Field, Int32Type};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use crate::support::damage::{ANY, damage};
    use crate::support::seeds::each_seed;
    use crate::support::tier::by_tier;

    fn columns() -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from(vec![Some(1), None, Some(-3)])),
            Arc::new(Float64Array::from(vec![0.5, f64::NAN, -0.0])),
            Arc::new(StringArray::from(vec![Some("é"), None, Some("")])),
            Arc::new(BinaryArray::from(vec![&b"\0\x01"[..], b"", b"xyz"])),
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            Arc::new(
                Decimal128Array::from(vec![Some(i128::MAX / 2), None, Some(-1)])
                    .with_precision_and_scale(38, 2)
                    .expect("fits"),
            ),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
                Some(vec![Some(1), None]),
                None,
                Some(vec![Some(7)]),
            ])),
            Arc::new(map()),
            Arc::new(StructArray::from(vec![(
                Arc::new(Field::new("s", DataType::Utf8, true)),
                Arc::new(StringArray::from(vec![Some("a"), None, Some("bc")])) as ArrayRef,
            )])),
        ]
    }

    fn map() -> MapArray {
        let mut map = MapBuilder::new(None, StringBuilder::new(), BooleanBuilder::new());
        for keys in [&["a", "b"][..], &[], &["c"]] {
            for key in keys {
                map.keys().append_value(key);
                map.values().append_option((*key == "a").then_some(true));
            }
            map.append(true).expect("as many keys as values");
        }
        map.finish()
    }

    #[test]
    fn columns_come_back_also_when_sliced() {
        for range in [0..3, 1..3, 2..3, 0..0] {
            let columns: Vec<ArrayRef> =
                columns().iter().map(|c| c.slice(range.start, range.len())).collect();
            let mut bytes = Vec::new();
            pack(&columns, range.len(), &mut bytes);
            let types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
            let back = unpack(&bytes, &types).expect("own bytes");
            for (a, b) in columns.iter().zip(&back) {
                assert_eq!(format!("{a:?}"), format!("{b:?}"));
            }
        }
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let columns = columns();
        let types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
        let mut bytes = Vec::new();
        pack(&columns, 3, &mut bytes);
        for cut in 0..bytes.len() {
            assert!(unpack(&bytes[..cut], &types).is_err());
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x55;
            let _ = unpack(&changed, &types);
        }
        assert!(unpack(&bytes, &types[1..]).is_err());
    }

    #[test]
    fn whatever_became_of_the_bytes_they_are_columns_or_an_error() {
        let columns = columns();
        let types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
        let mut bytes = Vec::new();
        pack(&columns, 3, &mut bytes);
        each_seed(0..by_tier(500, 2000, 500_000), |seed| {
            let mut changed = bytes.clone();
            damage(&mut ChaCha8Rng::seed_from_u64(seed), &mut changed, ANY);
            if let Ok(back) = unpack(&changed, &types) {
                let entries = back[0].len();
                assert!(
                    back.iter()
                        .zip(&types)
                        .all(|(column, t)| column.len() == entries && column.data_type() == t)
                );
                pack(&back, entries, &mut Vec::new());
            }
        });
    }
}
