//! Where do decoded values go? One typed, growing column per projected field.
//!
//! Called by the scanners through `convert`, and by `JsonDecoder` at the end of each record and batch. What always holds
//! between records: every column has as many entries as there are rows. While row `n` is read a column has `n` entries
//! (nothing yet) or `n + 1`; a second value for the same row replaces the first, and a record that fails is undone by
//! cutting every column back to `n`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, ListArray, MapArray, PrimitiveArray, StringArray,
    StructArray, Time32MillisecondArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Fields, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
};

use super::{JsonOptions, MissingFields};
use crate::format::time_text::{TimestampStandard, ZoneSuffix};
use crate::map_keys;

pub(in crate::format) struct Column {
    /// Name of the member in the JSON object.
    pub member: String,
    pub nullable: bool,
    pub values: Values,
    /// Rows that are NULL, ascending. Most columns have none, so this costs nothing per row.
    nulls: Vec<usize>,
    data_type: DataType,
}

pub(in crate::format) enum Values {
    Bool(Vec<bool>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Decimal {
        values: Vec<i128>,
        precision: u8,
        scale: i8,
    },
    Text(VarBytes),
    Bytes(VarBytes),
    Date(Vec<i32>),
    Time(Vec<i32>),
    Timestamp {
        values: Vec<i64>,
        unit: TimeUnit,
        suffix: ZoneSuffix,
        standard: TimestampStandard,
    },
    Array {
        ends: Vec<i32>,
        items: Box<Column>,
    },
    /// Keys are text.
    Map {
        ends: Vec<i32>,
        keys: Box<Column>,
        values: Box<Column>,
    },
    Row {
        rows: usize,
        fields: Vec<Column>,
        missing: MissingFields,
    },
}

/// Values of any length, one after another; entry `i` ends at `ends[i]`.
#[derive(Default)]
pub(in crate::format) struct VarBytes {
    pub bytes: Vec<u8>,
    /// Starts with 0.
    ends: Vec<i32>,
}

impl VarBytes {
    fn len(&self) -> usize {
        self.ends.len() - 1
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        self.bytes.truncate(self.ends[rows] as usize);
    }

    /// Makes everything appended to `bytes` since the last entry one entry. None, and no change, if the column
    /// would then hold more bytes than 32-bit offsets reach.
    #[must_use]
    pub fn close(&mut self) -> Option<()> {
        if let Ok(end) = i32::try_from(self.bytes.len()) {
            self.ends.push(end);
            Some(())
        } else {
            self.drop_open();
            None
        }
    }

    /// Forgets what was appended to `bytes` since the last entry.
    pub fn drop_open(&mut self) {
        self.bytes.truncate(self.ends[self.len()] as usize);
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        // The next batch is likely to need as much.
        let room = Vec::with_capacity(self.bytes.len());
        (OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(std::mem::replace(&mut self.bytes, room)))
    }
}

impl Column {
    /// None if a column of this type cannot come from JSON.
    pub fn new(member: String, field: &Field, options: &JsonOptions) -> Option<Column> {
        let var = || VarBytes { bytes: Vec::new(), ends: vec![0] };
        let values = match field.data_type() {
            DataType::Boolean => Values::Bool(Vec::new()),
            DataType::Int8 => Values::I8(Vec::new()),
            DataType::Int16 => Values::I16(Vec::new()),
            DataType::Int32 => Values::I32(Vec::new()),
            DataType::Int64 => Values::I64(Vec::new()),
            DataType::Float32 => Values::F32(Vec::new()),
            DataType::Float64 => Values::F64(Vec::new()),
            DataType::Decimal128(precision, scale) => {
                Values::Decimal { values: Vec::new(), precision: *precision, scale: *scale }
            }
            DataType::Utf8 => Values::Text(var()),
            DataType::Binary => Values::Bytes(var()),
            DataType::Date32 => Values::Date(Vec::new()),
            DataType::Time32(TimeUnit::Millisecond) => Values::Time(Vec::new()),
            DataType::Timestamp(unit, zone) => Values::Timestamp {
                values: Vec::new(),
                unit: *unit,
                suffix: ZoneSuffix::of(zone.as_ref()),
                standard: options.timestamp_standard,
            },
            DataType::List(item) => Values::Array { ends: vec![0], items: Box::new(Column::new(String::new(), item, options)?) },
            DataType::Map(..) => {
                let (key, value) = map_keys::types(field.data_type())?;
                if *key != DataType::Utf8 {
                    return None;
                }
                let part = |data_type: &DataType, nullable| {
                    let field = Field::new("", data_type.clone(), nullable);
                    Column::new(String::new(), &field, options).map(Box::new)
                };
                Values::Map { ends: vec![0], keys: part(key, false)?, values: part(value, true)? }
            }
            DataType::Struct(fields) => {
                let fields = fields.iter().map(|f| Column::new(f.name().clone(), f, options)).collect::<Option<_>>()?;
                Values::Row { rows: 0, fields, missing: options.missing_fields }
            }
            _ => return None,
        };
        let (nullable, data_type) = (field.is_nullable(), field.data_type().clone());
        Some(Column { member, nullable, values, nulls: Vec::new(), data_type })
    }

    pub fn len(&self) -> usize {
        match &self.values {
            Values::Bool(v) => v.len(),
            Values::I8(v) => v.len(),
            Values::I16(v) => v.len(),
            Values::I32(v) | Values::Date(v) | Values::Time(v) => v.len(),
            Values::I64(v) | Values::Timestamp { values: v, .. } => v.len(),
            Values::F32(v) => v.len(),
            Values::F64(v) => v.len(),
            Values::Decimal { values, .. } => values.len(),
            Values::Text(v) | Values::Bytes(v) => v.len(),
            Values::Array { ends, .. } | Values::Map { ends, .. } => ends.len() - 1,
            Values::Row { rows, .. } => *rows,
        }
    }

    /// Makes room for `rows` more rows, so that no push within a batch grows a buffer of fixed-width values.
    pub fn reserve(&mut self, rows: usize) {
        match &mut self.values {
            Values::Bool(v) => v.reserve(rows),
            Values::I8(v) => v.reserve(rows),
            Values::I16(v) => v.reserve(rows),
            Values::I32(v) | Values::Date(v) | Values::Time(v) => v.reserve(rows),
            Values::I64(v) | Values::Timestamp { values: v, .. } => v.reserve(rows),
            Values::F32(v) => v.reserve(rows),
            Values::F64(v) => v.reserve(rows),
            Values::Decimal { values, .. } => values.reserve(rows),
            Values::Text(v) | Values::Bytes(v) => v.ends.reserve(rows),
            Values::Array { ends, .. } | Values::Map { ends, .. } => ends.reserve(rows),
            Values::Row { fields, .. } => fields.iter_mut().for_each(|f| f.reserve(rows)),
        }
    }

    /// Cuts back to `rows` entries; does nothing to a column that has no more.
    pub fn truncate(&mut self, rows: usize) {
        if self.len() <= rows {
            return;
        }
        match &mut self.values {
            Values::Bool(v) => v.truncate(rows),
            Values::I8(v) => v.truncate(rows),
            Values::I16(v) => v.truncate(rows),
            Values::I32(v) | Values::Date(v) | Values::Time(v) => v.truncate(rows),
            Values::I64(v) | Values::Timestamp { values: v, .. } => v.truncate(rows),
            Values::F32(v) => v.truncate(rows),
            Values::F64(v) => v.truncate(rows),
            Values::Decimal { values, .. } => values.truncate(rows),
            Values::Text(v) | Values::Bytes(v) => v.truncate(rows),
            Values::Array { ends, .. } | Values::Map { ends, .. } => ends.truncate(rows + 1),
            Values::Row { rows: has, .. } => *has = rows,
        }
        self.drop_open();
        while self.nulls.last().is_some_and(|&row| row >= rows) {
            self.nulls.pop();
        }
    }

    pub fn push_null(&mut self) {
        self.nulls.push(self.len());
        match &mut self.values {
            Values::Bool(v) => v.push(false),
            Values::I8(v) => v.push(0),
            Values::I16(v) => v.push(0),
            Values::I32(v) | Values::Date(v) | Values::Time(v) => v.push(0),
            Values::I64(v) | Values::Timestamp { values: v, .. } => v.push(0),
            Values::F32(v) => v.push(0.0),
            Values::F64(v) => v.push(0.0),
            Values::Decimal { values, .. } => values.push(0),
            Values::Text(v) | Values::Bytes(v) => v.ends.push(v.ends[v.len()]),
            Values::Array { ends, .. } | Values::Map { ends, .. } => ends.extend(ends.last().copied()),
            Values::Row { rows, fields, .. } => {
                *rows += 1;
                fields.iter_mut().for_each(Column::push_null);
            }
        }
    }

    /// Forgets the parts of a value that was begun and not closed.
    pub fn drop_open(&mut self) {
        match &mut self.values {
            Values::Text(v) | Values::Bytes(v) => v.drop_open(),
            Values::Array { ends, items } => items.truncate(ends.last().map_or(0, |&end| end as usize)),
            Values::Map { ends, keys, values } => {
                let end = ends.last().map_or(0, |&end| end as usize);
                keys.truncate(end);
                values.truncate(end);
            }
            Values::Row { rows, fields, .. } => fields.iter_mut().for_each(|f| f.truncate(*rows)),
            _ => {}
        }
    }

    pub fn is_nested(&self) -> bool {
        matches!(self.values, Values::Array { .. } | Values::Map { .. } | Values::Row { .. })
    }

    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.last() == Some(&row)
    }

    /// The column so far as an array; the column is empty afterwards.
    pub fn finish(&mut self) -> ArrayRef {
        let nulls = self.finish_nulls();
        match &mut self.values {
            Values::Bool(v) => Arc::new(BooleanArray::new(BooleanBuffer::from(std::mem::take(v)), nulls)),
            Values::I8(v) => primitive::<Int8Type>(v, nulls),
            Values::I16(v) => primitive::<Int16Type>(v, nulls),
            Values::I32(v) => primitive::<Int32Type>(v, nulls),
            Values::I64(v) => primitive::<Int64Type>(v, nulls),
            Values::F32(v) => primitive::<Float32Type>(v, nulls),
            Values::F64(v) => primitive::<Float64Type>(v, nulls),
            Values::Decimal { values, .. } => {
                Arc::new(Decimal128Array::new(std::mem::take(values).into(), nulls).with_data_type(self.data_type.clone()))
            }
            Values::Text(v) => {
                let (offsets, bytes) = v.take();
                Arc::new(StringArray::new(offsets, bytes, nulls))
            }
            Values::Bytes(v) => {
                let (offsets, bytes) = v.take();
                Arc::new(BinaryArray::new(offsets, bytes, nulls))
            }
            Values::Array { .. } | Values::Map { .. } | Values::Row { .. } => self.finish_nested(nulls),
            Values::Date(v) => Arc::new(Date32Array::new(std::mem::take(v).into(), nulls)),
            Values::Time(v) => Arc::new(Time32MillisecondArray::new(std::mem::take(v).into(), nulls)),
            Values::Timestamp { values, unit, .. } => {
                let values = std::mem::take(values).into();
                let data_type = self.data_type.clone();
                match unit {
                    TimeUnit::Second => Arc::new(TimestampSecondArray::new(values, nulls).with_data_type(data_type)),
                    TimeUnit::Millisecond => Arc::new(TimestampMillisecondArray::new(values, nulls).with_data_type(data_type)),
                    TimeUnit::Microsecond => Arc::new(TimestampMicrosecondArray::new(values, nulls).with_data_type(data_type)),
                    TimeUnit::Nanosecond => Arc::new(TimestampNanosecondArray::new(values, nulls).with_data_type(data_type)),
                }
            }
        }
    }

    fn finish_nested(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        let offsets = |ends: &mut Vec<i32>| OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(ends, vec![0])));
        match (&mut self.values, &self.data_type) {
            (Values::Array { ends, items }, DataType::List(item)) => {
                Arc::new(ListArray::new(item.clone(), offsets(ends), items.finish(), nulls))
            }
            (Values::Map { ends, keys, values }, DataType::Map(entries, _)) => {
                let DataType::Struct(parts) = entries.data_type() else { return new_null_array(&self.data_type, 0) };
                let keys = keys.finish();
                let keys = if parts[0].data_type().is_nested() { map_keys::wrap(keys.clone()).unwrap_or(keys) } else { keys };
                let pairs = StructArray::new(parts.clone(), vec![keys, values.finish()], None);
                Arc::new(MapArray::new(entries.clone(), offsets(ends), pairs, nulls, false))
            }
            (Values::Row { rows, fields, .. }, DataType::Struct(parts)) => {
                let arrays = fields.iter_mut().map(Column::finish).collect();
                let rows = std::mem::take(rows);
                Arc::new(row_array(parts, arrays, nulls, rows))
            }
            // `new` made the values of this type.
            _ => new_null_array(&self.data_type, 0),
        }
    }

    fn finish_nulls(&mut self) -> Option<NullBuffer> {
        if self.nulls.is_empty() {
            return None;
        }
        let mut valid = vec![true; self.len()];
        for row in self.nulls.drain(..) {
            valid[row] = false;
        }
        Some(NullBuffer::from(valid))
    }

    /// The declared type in SQL words, with the text form where it is not obvious. For error messages.
    pub fn sql_type(&self) -> String {
        match &self.values {
            Values::Bool(_) => "BOOLEAN".into(),
            Values::I8(_) => "TINYINT".into(),
            Values::I16(_) => "SMALLINT".into(),
            Values::I32(_) => "INT".into(),
            Values::I64(_) => "BIGINT".into(),
            Values::F32(_) => "FLOAT".into(),
            Values::F64(_) => "DOUBLE".into(),
            Values::Decimal { precision, scale, .. } => format!("DECIMAL({precision}, {scale})"),
            Values::Text(_) => "STRING".into(),
            Values::Bytes(_) => "BYTES as base64".into(),
            Values::Date(_) => "DATE as yyyy-MM-dd".into(),
            Values::Time(_) => "TIME as HH:mm:ss[.fraction]".into(),
            Values::Timestamp { suffix, standard, .. } => {
                let (name, suffix) = match suffix {
                    ZoneSuffix::Z => ("TIMESTAMP_LTZ", "Z"),
                    ZoneSuffix::Absent => ("TIMESTAMP", ""),
                };
                let separator = match standard {
                    TimestampStandard::Iso8601 => 'T',
                    TimestampStandard::Sql => ' ',
                };
                format!("{name} as yyyy-MM-dd{separator}HH:mm:ss[.fraction]{suffix}")
            }
            Values::Array { items, .. } => format!("ARRAY<{}>", items.sql_type()),
            Values::Map { values, .. } => format!("MAP<STRING, {}>", values.sql_type()),
            Values::Row { fields, .. } => {
                let fields: Vec<String> = fields.iter().map(|f| format!("{} {}", f.member, f.sql_type())).collect();
                format!("ROW<{}>", fields.join(", "))
            }
        }
    }
}

fn row_array(parts: &Fields, arrays: Vec<ArrayRef>, nulls: Option<NullBuffer>, rows: usize) -> StructArray {
    match StructArray::try_new_with_length(parts.clone(), arrays, nulls, rows) {
        Ok(array) => array,
        // The fields were pushed in step, so this does not happen; NULLs of the right length at least.
        Err(_) => StructArray::new_null(parts.clone(), rows),
    }
}

fn primitive<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(std::mem::take(values).into(), nulls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};

    #[test]
    fn cutting_back_undoes_values_and_nulls() {
        let mut column = Column::new("s".into(), &Field::new("s", DataType::Utf8, true), &JsonOptions::default()).unwrap();
        let push = |column: &mut Column, text: &str| {
            let Values::Text(v) = &mut column.values else { panic!() };
            v.bytes.extend_from_slice(text.as_bytes());
            v.close().unwrap();
        };
        push(&mut column, "one");
        column.push_null();
        push(&mut column, "three");
        column.truncate(2);
        assert!(column.is_null(1));
        column.truncate(1);
        assert!(!column.is_null(0));
        push(&mut column, "two");
        column.push_null();
        column.truncate(7);
        let array = column.finish();
        assert_eq!(array.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("one"), Some("two"), None]);
        assert_eq!(column.len(), 0);
        column.push_null();
        assert_eq!(column.finish().null_count(), 1);
    }
}
