//! How are columns written into one stored value?
//!
//! Hundreds of partial aggregates (or rows) share a value, as columns: 20 times the write rate of one entry each. This is
//! a stored format, version 1, little-endian:
//!
//! ```text
//! value  = version (1) | entries (4) | columns (2) | column*
//! column = width (1) | has nulls (1) | [validity bitmap, ceil(entries/8) bytes, bit 0 first] | data
//! data   = entries * width bytes                      width 1, 2, 4, 8 or 16: numbers, times, decimals
//!        | bitmap                                     width 0xf0: BOOLEAN
//!        | end offset (4) * entries | bytes           width 0xf1: STRING, BYTES, keys
//! ```
//!
//! The types are not stored: they follow from the plan, whose fingerprint is in the manifest. Widths are checked.

use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, BinaryArray, BooleanArray, StringArray, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

const VERSION: u8 = 1;
const BITS: u8 = 0xf0;
const BYTES: u8 = 0xf1;

#[derive(Debug, thiserror::Error)]
#[error("stored value is damaged or of another version: {0}")]
pub struct PackedError(pub String);

fn damaged(what: &str) -> PackedError {
    PackedError(what.to_string())
}

fn width(data_type: &DataType) -> Option<u8> {
    match data_type {
        DataType::Boolean => Some(BITS),
        DataType::Utf8 | DataType::Binary => Some(BYTES),
        other => other.primitive_width().and_then(|w| u8::try_from(w).ok()),
    }
}

/// True if columns of this type can be stored.
pub fn is_packable(data_type: &DataType) -> bool {
    width(data_type).is_some()
}

/// Appends the columns, all of length `entries`, to `out`. Types must be packable.
pub fn pack(columns: &[ArrayRef], entries: usize, out: &mut Vec<u8>) {
    out.push(VERSION);
    out.extend_from_slice(&(entries as u32).to_le_bytes());
    out.extend_from_slice(&(columns.len() as u16).to_le_bytes());
    for column in columns {
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
                    DataType::Utf8 => (column.as_string::<i32>().offsets(), column.as_string::<i32>().value_data()),
                    _ => (column.as_binary::<i32>().offsets(), column.as_binary::<i32>().value_data()),
                };
                let first = offsets[0];
                for end in &offsets[1..] {
                    out.extend_from_slice(&((end - first) as u32).to_le_bytes());
                }
                out.extend_from_slice(&bytes[first as usize..offsets[entries] as usize]);
            }
            w => {
                let data = column.to_data();
                let from = data.offset() * usize::from(w);
                out.extend_from_slice(&data.buffers()[0].as_slice()[from..from + entries * usize::from(w)]);
            }
        }
    }
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
pub fn unpack(mut value: &[u8], types: &[DataType]) -> Result<Vec<ArrayRef>, PackedError> {
    let input = &mut value;
    if take(input, 1)?[0] != VERSION {
        return Err(damaged("unknown version"));
    }
    let entries = read_u32(input)? as usize;
    let columns = usize::from(u16::from_le_bytes([take(input, 1)?[0], take(input, 1)?[0]]));
    if columns != types.len() {
        return Err(PackedError(format!("{columns} columns where the plan has {}", types.len())));
    }
    let arrays = types.iter().map(|t| unpack_column(input, t, entries)).collect::<Result<Vec<_>, _>>()?;
    if !input.is_empty() {
        return Err(damaged("bytes after the last column"));
    }
    Ok(arrays)
}

fn unpack_column(input: &mut &[u8], data_type: &DataType, entries: usize) -> Result<ArrayRef, PackedError> {
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
            let ends = take(input, entries * 4)?;
            let mut offsets = Vec::with_capacity(entries + 1);
            offsets.push(0i32);
            for end in ends.chunks_exact(4) {
                let end = i32::from_le_bytes([end[0], end[1], end[2], end[3]]);
                if end < offsets[offsets.len() - 1] {
                    return Err(damaged("offsets go back"));
                }
                offsets.push(end);
            }
            let bytes = Buffer::from(take(input, offsets[entries] as usize)?);
            let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
            match data_type {
                DataType::Utf8 => {
                    Arc::new(StringArray::try_new(offsets, bytes, nulls).map_err(|e| PackedError(e.to_string()))?) as ArrayRef
                }
                _ => Arc::new(BinaryArray::try_new(offsets, bytes, nulls).map_err(|e| PackedError(e.to_string()))?),
            }
        }
        w => {
            let bytes = take(input, entries * usize::from(w))?;
            // Copied into an aligned buffer.
            let mut buffer = MutableBuffer::with_capacity(bytes.len());
            buffer.extend_from_slice(bytes);
            let data = ArrayData::builder(data_type.clone()).len(entries).add_buffer(buffer.into()).nulls(nulls);
            make_array(data.build().map_err(|e| PackedError(e.to_string()))?)
        }
    })
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
    use arrow::array::{Decimal128Array, Float64Array, Int64Array};

    fn columns() -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from(vec![Some(1), None, Some(-3)])),
            Arc::new(Float64Array::from(vec![0.5, f64::NAN, -0.0])),
            Arc::new(StringArray::from(vec![Some("é"), None, Some("")])),
            Arc::new(BinaryArray::from(vec![&b"\0\x01"[..], b"", b"xyz"])),
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            Arc::new(
                Decimal128Array::from(vec![Some(i128::MAX / 2), None, Some(-1)]).with_precision_and_scale(38, 2).expect("fits"),
            ),
        ]
    }

    #[test]
    fn columns_come_back_also_when_sliced() {
        for range in [0..3, 1..3, 2..3, 0..0] {
            let columns: Vec<ArrayRef> = columns().iter().map(|c| c.slice(range.start, range.len())).collect();
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
}
