//! Where do decoded values go? One typed, growing column per projected field.
//!
//! Called by the scanners through `convert`, and by `JsonDecoder` at the end of each record and batch. What always holds
//! between records: every column has as many entries as there are rows. While row `n` is read a column has `n` entries
//! (nothing yet) or `n + 1`; a second value for the same row replaces the first, and a record that fails is undone by
//! cutting every column back to `n`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, PrimitiveArray, StringArray, Time32MillisecondArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
};

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
    Decimal { values: Vec<i128>, precision: u8, scale: i8 },
    Text(VarBytes),
    Bytes(VarBytes),
    Date(Vec<i32>),
    Time(Vec<i32>),
    Timestamp { values: Vec<i64>, unit: TimeUnit, utc: bool, iso: bool },
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
    pub fn new(member: String, field: &Field, iso: bool) -> Option<Column> {
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
            DataType::Timestamp(unit, zone) => Values::Timestamp { values: Vec::new(), unit: *unit, utc: zone.is_some(), iso },
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
        }
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
        }
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
            Values::Timestamp { utc, iso, .. } => {
                let (name, suffix) = if *utc { ("TIMESTAMP_LTZ", "Z") } else { ("TIMESTAMP", "") };
                let separator = if *iso { 'T' } else { ' ' };
                format!("{name} as yyyy-MM-dd{separator}HH:mm:ss[.fraction]{suffix}")
            }
        }
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
        let mut column = Column::new("s".into(), &Field::new("s", DataType::Utf8, true), false).unwrap();
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
