//! The `raw` format: a record is one value, as bytes.
//!
//! Called by `runtime` (a [`RawDecoder`] per worker and source table) and by sinks
//! ([`RawEncoder`]). By Flink's rules: a STRING in the charset of `raw.charset`, BYTES as they are,
//! a BOOLEAN as one byte, numbers in two's complement or IEEE 754 in the order of `raw.endianness`.
//! What always holds: text that is not in the charset becomes U+FFFD, as in Java; a number of
//! another length is a bad record.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, PrimitiveArray, StringBuilder,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, SchemaRef,
};
use arrow::record_batch::RecordBatch;

use super::assemble::{Output, assemble};
use super::collected::Collected;
use super::{BadRecord, Decoded, Decoder, cut};
use crate::record::RawBatch;

/// Flink's options of the `raw` format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RawOptions {
    /// `raw.charset`
    pub charset: Charset,
    /// `raw.endianness` is `little-endian`.
    pub little_endian: bool,
}

/// The charsets that every Java has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Charset {
    #[default]
    Utf8,
    Ascii,
    Latin1,
    Utf16Be,
    Utf16Le,
    /// With a byte order mark; big-endian without one, and when written.
    Utf16,
}

/// By its Java name, in any case. The error lists the names.
impl std::str::FromStr for Charset {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Charset, Self::Err> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Charset::Utf8,
            "US-ASCII" | "ASCII" => Charset::Ascii,
            "ISO-8859-1" | "LATIN1" => Charset::Latin1,
            "UTF-16BE" => Charset::Utf16Be,
            "UTF-16LE" => Charset::Utf16Le,
            "UTF-16" => Charset::Utf16,
            _ => return Err("UTF-8, US-ASCII, ISO-8859-1, UTF-16, UTF-16BE, UTF-16LE"),
        })
    }
}

impl Charset {
    fn decode(self, bytes: &[u8]) -> String {
        let units = |bytes: &[u8], little: bool| {
            let units = bytes.chunks(2).map(|pair| match (pair, little) {
                ([a, b], true) => u16::from_le_bytes([*a, *b]),
                ([a, b], false) => u16::from_be_bytes([*a, *b]),
                // Half a unit at the end.
                _ => 0xFFFD,
            });
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        };
        match self {
            Charset::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Charset::Ascii => bytes
                .iter()
                .map(|&b| if b < 128 { b as char } else { char::REPLACEMENT_CHARACTER })
                .collect(),
            Charset::Latin1 => bytes.iter().map(|&b| b as char).collect(),
            Charset::Utf16Be => units(bytes, false),
            Charset::Utf16Le => units(bytes, true),
            Charset::Utf16 => match bytes {
                [0xFF, 0xFE, rest @ ..] => units(rest, true),
                [0xFE, 0xFF, rest @ ..] => units(rest, false),
                _ => units(bytes, false),
            },
        }
    }

    /// A character that the charset does not have is written as `?`.
    fn encode(self, text: &str, out: &mut Vec<u8>) {
        match self {
            Charset::Utf8 => out.extend_from_slice(text.as_bytes()),
            Charset::Ascii => {
                out.extend(text.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }))
            }
            Charset::Latin1 => {
                out.extend(text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')))
            }
            Charset::Utf16Be => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Charset::Utf16Le => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
            Charset::Utf16 => {
                if !text.is_empty() {
                    out.extend_from_slice(&[0xFE, 0xFF]);
                }
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
        }
    }
}

/// Why a table cannot be read from or written as raw values: the query is wrong (exit code 2).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum RawError {
    #[error("column `{column}`: the type {} is not supported by the format raw", crate::types::sql_name(.data_type))]
    UnsupportedType { column: String, data_type: DataType },
    #[error("the format raw holds one physical column, and the table has {count}")]
    ColumnCount { count: usize },
}

fn check_type(column: &str, data_type: &DataType) -> Result<(), RawError> {
    use DataType as T;
    match data_type {
        T::Utf8
        | T::Binary
        | T::Boolean
        | T::Int8
        | T::Int16
        | T::Int32
        | T::Int64
        | T::Float32
        | T::Float64 => Ok(()),
        other => {
            Err(RawError::UnsupportedType { column: column.to_owned(), data_type: other.clone() })
        }
    }
}

/// Where a column of the decoder's output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RawSource {
    Value,
    /// The array at this index of [`RawBatch::metadata`].
    Metadata(usize),
}

/// Decodes raw records that are one value each.
pub(crate) struct RawDecoder {
    schema: SchemaRef,
    options: RawOptions,
    outputs: Vec<Output>,
    /// None if the query needs no value: then its form is not looked at either.
    value: Option<DataType>,
}

impl RawDecoder {
    /// `sources` and the columns of `schema` correspond one to one.
    pub fn new(
        sources: &[RawSource],
        schema: SchemaRef,
        options: RawOptions,
    ) -> Result<RawDecoder, RawError> {
        let mut value = None;
        let mut outputs = Vec::new();
        for (source, field) in sources.iter().zip(schema.fields()) {
            outputs.push(match source {
                RawSource::Metadata(index) => Output::Metadata(*index),
                RawSource::Value => {
                    check_type(field.name(), field.data_type())?;
                    value = Some(field.data_type().clone());
                    Output::Payload(0)
                }
            });
        }
        Ok(RawDecoder { schema, options, outputs, value })
    }

    /// The values, and the records that have none.
    fn values(&self, data_type: &DataType, raw: &RawBatch) -> (ArrayRef, Vec<BadRecord>) {
        let bad = |i| cut(raw.record(i)).map(|reason| BadRecord { index: i, part: None, reason });
        let bad: Vec<BadRecord> = (0..raw.len()).filter_map(bad).collect();
        let records = (0..raw.len()).map(|i| raw.record(i)).filter(|record| cut(record).is_none());
        match data_type {
            DataType::Utf8 => {
                let mut text = StringBuilder::with_capacity(raw.len(), raw.bytes.len());
                for record in records {
                    match std::str::from_utf8(record) {
                        Ok(utf8) if self.options.charset == Charset::Utf8 => {
                            text.append_value(utf8)
                        }
                        _ => text.append_value(self.options.charset.decode(record)),
                    }
                }
                (Arc::new(text.finish()), bad)
            }
            DataType::Binary => {
                let mut bytes = BinaryBuilder::with_capacity(raw.len(), raw.bytes.len());
                records.for_each(|record| bytes.append_value(record));
                (Arc::new(bytes.finish()), bad)
            }
            DataType::Boolean => {
                let records = (0..raw.len()).map(|i| raw.record(i));
                let values: Vec<Option<bool>> =
                    records.map(|r| <[u8; 1]>::try_from(r).ok().map(|[b]| b != 0)).collect();
                let bad = bad_lengths(values.iter().map(Option::is_none), raw, 1);
                (
                    Arc::new(
                        values
                            .into_iter()
                            .flatten()
                            .collect::<Vec<bool>>()
                            .into_iter()
                            .map(Some)
                            .collect::<BooleanArray>(),
                    ),
                    bad,
                )
            }
            DataType::Int8 => self.numbers::<Int8Type, 1>(raw, i8::from_be_bytes),
            DataType::Int16 => self.numbers::<Int16Type, 2>(raw, i16::from_be_bytes),
            DataType::Int32 => self.numbers::<Int32Type, 4>(raw, i32::from_be_bytes),
            DataType::Int64 => self.numbers::<Int64Type, 8>(raw, i64::from_be_bytes),
            DataType::Float32 => self.numbers::<Float32Type, 4>(raw, f32::from_be_bytes),
            _ => self.numbers::<Float64Type, 8>(raw, f64::from_be_bytes),
        }
    }

    fn numbers<T: ArrowPrimitiveType, const N: usize>(
        &self,
        raw: &RawBatch,
        from_be: fn([u8; N]) -> T::Native,
    ) -> (ArrayRef, Vec<BadRecord>) {
        let read = |i: usize| {
            let mut bytes = <[u8; N]>::try_from(raw.record(i)).ok()?;
            if self.options.little_endian {
                bytes.reverse();
            }
            Some(from_be(bytes))
        };
        let values: Vec<Option<T::Native>> = (0..raw.len()).map(read).collect();
        let bad = bad_lengths(values.iter().map(Option::is_none), raw, N);
        (Arc::new(PrimitiveArray::<T>::from_iter_values(values.into_iter().flatten())), bad)
    }
}

fn bad_lengths(
    is_bad: impl Iterator<Item = bool>,
    raw: &RawBatch,
    expected: usize,
) -> Vec<BadRecord> {
    let bad = is_bad.enumerate().filter(|(_, bad)| *bad);
    bad.map(|(index, _)| BadRecord {
        index,
        part: None,
        reason: format!("{} bytes, not {expected}", raw.record(index).len()),
    })
    .collect()
}

impl Decoder for RawDecoder {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decode(&mut self, raw: &RawBatch) -> Decoded {
        let (payload, bad) = match &self.value {
            None => (vec![], vec![]),
            Some(data_type) => {
                let (values, bad) = self.values(data_type, raw);
                (vec![values], bad)
            }
        };
        let mut collected = Collected::default();
        if bad.is_empty() {
            collected.rows = raw.len();
        } else {
            let mut bad = bad.iter().map(|b| b.index).peekable();
            (0..raw.len())
                .filter(|i| bad.next_if_eq(i).is_none())
                .for_each(|record| collected.row(record, None));
        }
        collected.bad = bad;
        let rows = collected.rows;
        let batch = assemble(
            &self.schema,
            &self.outputs,
            &payload,
            raw,
            rows,
            collected.records(raw.len()),
        );
        collected.finish(raw, &self.schema, batch)
    }
}

/// Writes the one column of batches, a line feed after each value.
pub(crate) struct RawEncoder {
    options: RawOptions,
}

impl RawEncoder {
    pub fn new(schema: &SchemaRef, options: RawOptions) -> Result<RawEncoder, RawError> {
        match schema.fields().as_ref() {
            [field] => check_type(field.name(), field.data_type()).map(|()| RawEncoder { options }),
            other => Err(RawError::ColumnCount { count: other.len() }),
        }
    }

    /// Rows must not be NULL: raw has no form for it.
    pub(crate) fn encode_rows(
        &mut self,
        batch: &RecordBatch,
        rows: Range<usize>,
        out: &mut Vec<u8>,
    ) {
        let column = batch.column(0);
        for row in rows {
            self.write(column, row, out);
            out.push(b'\n');
        }
    }

    fn write(&self, column: &ArrayRef, row: usize, out: &mut Vec<u8>) {
        let start = out.len();
        match column.data_type() {
            DataType::Utf8 => {
                return self.options.charset.encode(column.as_string::<i32>().value(row), out);
            }
            DataType::Binary => return out.extend_from_slice(column.as_binary::<i32>().value(row)),
            DataType::Boolean => out.push(u8::from(column.as_boolean().value(row))),
            DataType::Int8 => {
                out.extend(column.as_primitive::<Int8Type>().value(row).to_be_bytes())
            }
            DataType::Int16 => {
                out.extend(column.as_primitive::<Int16Type>().value(row).to_be_bytes())
            }
            DataType::Int32 => {
                out.extend(column.as_primitive::<Int32Type>().value(row).to_be_bytes())
            }
            DataType::Int64 => {
                out.extend(column.as_primitive::<Int64Type>().value(row).to_be_bytes())
            }
            DataType::Float32 => {
                out.extend(column.as_primitive::<Float32Type>().value(row).to_be_bytes())
            }
            DataType::Float64 => {
                out.extend(column.as_primitive::<Float64Type>().value(row).to_be_bytes())
            }
            _ => {}
        }
        if self.options.little_endian {
            out[start..].reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Places;
    use arrow::datatypes::{Field, Schema};

    fn decode(
        data_type: DataType,
        options: RawOptions,
        records: &[&[u8]],
    ) -> (RecordBatch, Vec<usize>) {
        let schema = Arc::new(Schema::new(vec![Field::new("x", data_type, true)]));
        let mut raw = RawBatch { places: Places::default(), ..RawBatch::default() };
        for record in records {
            raw.push(|bytes| bytes.extend_from_slice(record));
        }
        let decoded = RawDecoder::new(&[RawSource::Value], schema, options).unwrap().decode(&raw);
        let bad: Vec<usize> = decoded.bad.iter().map(|b| b.index).collect();
        if bad.is_empty() {
            assert_eq!(decoded.record_of_row, None);
        } else {
            let rows = decoded.record_of_row.unwrap();
            assert_eq!(rows.len(), decoded.batch.num_rows());
            assert!(rows.iter().all(|r| !bad.contains(&(*r as usize))));
        }
        (decoded.batch, bad)
    }

    #[test]
    fn every_type_goes_out_and_comes_back() {
        let little = RawOptions { little_endian: true, ..RawOptions::default() };
        for (data_type, options, good, other) in [
            (DataType::Utf8, RawOptions::default(), &b" a "[..], None),
            (DataType::Binary, RawOptions::default(), &[0, 255], None),
            (DataType::Boolean, RawOptions::default(), &[1], Some(&b"true"[..])),
            (DataType::Int8, RawOptions::default(), &[200], Some(&b""[..])),
            (DataType::Int16, little, &[1, 2], Some(&[1])),
            (DataType::Int32, RawOptions::default(), &[1, 2, 3, 4], Some(&b"12345"[..])),
            (DataType::Int64, little, &[1, 2, 3, 4, 5, 6, 7, 8], Some(&b"1"[..])),
            (DataType::Float32, RawOptions::default(), &[0x3f, 0x80, 0, 0], Some(&b"1.0"[..])),
            (DataType::Float64, little, &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f], Some(&b"1.0"[..])),
        ] {
            let records: Vec<&[u8]> = other.into_iter().chain([good]).collect();
            let (batch, bad) = decode(data_type.clone(), options, &records);
            assert_eq!(bad, if other.is_some() { vec![0] } else { vec![] }, "{data_type}");
            let mut out = Vec::new();
            RawEncoder::new(&batch.schema(), options).unwrap().encode_rows(&batch, 0..1, &mut out);
            assert_eq!(out, [good, b"\n"].concat(), "{data_type}");
        }
    }

    #[test]
    fn a_record_that_was_cut_is_none() {
        let long = vec![b'x'; crate::record::RECORD_BYTES_MAX];
        let (batch, bad) = decode(DataType::Utf8, RawOptions::default(), &[b"a", &long, b"b"]);
        assert_eq!(bad, [1]);
        assert_eq!(
            batch.column(0).as_string::<i32>().iter().collect::<Vec<_>>(),
            [Some("a"), Some("b")]
        );
    }

    #[test]
    fn numbers_have_the_order_of_the_option() {
        let little = RawOptions { little_endian: true, ..RawOptions::default() };
        let value = |options| {
            decode(DataType::Int32, options, &[&[1, 0, 0, 2]])
                .0
                .column(0)
                .as_primitive::<Int32Type>()
                .value(0)
        };
        assert_eq!((value(RawOptions::default()), value(little)), (0x0100_0002, 0x0200_0001));
    }

    #[test]
    fn charsets_as_java_has_them() {
        for (name, bytes, text, back) in [
            ("utf-8", &b"a\xffb"[..], "a\u{fffd}b", &b"a\xef\xbf\xbdb"[..]),
            ("US-ASCII", b"a\xe9", "a\u{fffd}", b"a?"),
            ("ISO-8859-1", b"a\xe9", "a\u{e9}", b"a\xe9"),
            (
                "UTF-16BE",
                &[0, 0x61, 0xd8, 0x3d, 0xde, 0],
                "a\u{1f600}",
                &[0, 0x61, 0xd8, 0x3d, 0xde, 0],
            ),
            ("UTF-16LE", &[0x61, 0, 0x62], "a\u{fffd}", &[0x61, 0, 0xfd, 0xff]),
            ("UTF-16", &[0xff, 0xfe, 0x61, 0], "a", &[0xfe, 0xff, 0, 0x61]),
        ] {
            let charset: Charset = name.parse().unwrap();
            let (batch, _) =
                decode(DataType::Utf8, RawOptions { charset, ..RawOptions::default() }, &[bytes]);
            assert_eq!(batch.column(0).as_string::<i32>().value(0), text, "{name}");
            let mut out = Vec::new();
            charset.encode(text, &mut out);
            assert_eq!(out, back, "{name}");
        }
        assert!("EBCDIC".parse::<Charset>().is_err());
    }
}
