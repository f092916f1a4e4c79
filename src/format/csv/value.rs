//! What does the text of a CSV field mean in a column of a given type?
//!
//! Called by the decoder for every projected field. The rules are nearly those of JSON for text in quotes; where Flink's
//! two formats differ, it says so here. What always holds: a value that does not fit leaves the column without an entry
//! for the row.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use memchr::memmem;

use super::CsvOptions;
use crate::format::ParseErrors;
use crate::format::json::{Column, JsonOptions, Token, put};
use crate::format::time_text;

/// A growing column.
pub(super) enum Target {
    Scalar { column: Column, kind: CellType },
    List(List),
}

/// The types whose text CSV reads in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellType {
    Decimal,
    Date,
    Time,
    Bytes,
    Other,
}

/// A column of arrays of scalars: their elements one after another.
pub(super) struct List {
    name: String,
    nullable: bool,
    field: FieldRef,
    items: Column,
    kind: CellType,
    /// Elements up to the end of each row.
    ends: Vec<i32>,
    /// Rows that are NULL, ascending.
    nulls: Vec<usize>,
}

fn cell_type(data_type: &DataType) -> CellType {
    match data_type {
        DataType::Decimal128(..) => CellType::Decimal,
        DataType::Date32 => CellType::Date,
        DataType::Time32(TimeUnit::Millisecond) => CellType::Time,
        DataType::Binary => CellType::Bytes,
        _ => CellType::Other,
    }
}

/// A scalar column. None for a type that CSV does not hold.
fn scalar(name: &str, field: &Field) -> Option<Column> {
    if field.data_type().is_nested() {
        return None;
    }
    Column::new(name.to_owned(), field, &JsonOptions::default())
}

impl Target {
    pub fn new(field: &Field) -> Option<Target> {
        if let DataType::List(item) = field.data_type() {
            let items = scalar(field.name(), item)?;
            let (name, nullable, kind) = (field.name().clone(), field.is_nullable(), cell_type(item.data_type()));
            return Some(Target::List(List { name, nullable, field: item.clone(), items, kind, ends: vec![], nulls: vec![] }));
        }
        Some(Target::Scalar { column: scalar(field.name(), field)?, kind: cell_type(field.data_type()) })
    }

    pub fn name(&self) -> &str {
        match self {
            Target::Scalar { column, .. } => &column.member,
            Target::List(list) => &list.name,
        }
    }

    pub fn nullable(&self) -> bool {
        match self {
            Target::Scalar { column, .. } => column.nullable,
            Target::List(list) => list.nullable,
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Target::Scalar { column, .. } => column.len(),
            Target::List(list) => list.ends.len(),
        }
    }

    pub fn is_null(&self, row: usize) -> bool {
        match self {
            Target::Scalar { column, .. } => column.is_null(row),
            Target::List(list) => list.nulls.last() == Some(&row),
        }
    }

    pub fn reserve(&mut self, rows: usize) {
        match self {
            Target::Scalar { column, .. } => column.reserve(rows),
            Target::List(list) => list.ends.reserve(rows),
        }
    }

    /// Cuts back to `rows` entries.
    pub fn truncate(&mut self, rows: usize) {
        match self {
            Target::Scalar { column, .. } => column.truncate(rows),
            Target::List(list) => list.truncate(rows),
        }
    }

    pub fn push_null(&mut self) {
        match self {
            Target::Scalar { column, .. } => column.push_null(),
            Target::List(list) => {
                list.nulls.push(list.ends.len());
                list.close();
            }
        }
    }

    /// Sets the value for `row`; gives the number of values that became NULL because they cannot be read.
    pub fn put(&mut self, row: usize, text: &[u8], options: &CsvOptions) -> Result<u64, String> {
        match self {
            Target::Scalar { column, kind } => put_scalar(column, *kind, row, text, options),
            Target::List(list) => list.put(text, options),
        }
    }

    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Target::Scalar { column, .. } => column.finish(),
            Target::List(list) => list.finish(),
        }
    }
}

impl List {
    fn close(&mut self) {
        // Elements are no more than the bytes of a batch, which are counted in 32 bits.
        self.ends.push(self.items.len() as i32);
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.items.truncate(self.ends.last().map_or(0, |&end| end as usize));
        while self.nulls.last().is_some_and(|&row| row >= rows) {
            self.nulls.pop();
        }
    }

    /// Blank text is no element at all, and the null literal one that is NULL.
    fn put(&mut self, text: &[u8], options: &CsvOptions) -> Result<u64, String> {
        let separator = options.array_delimiter.as_bytes();
        let mut ignored = 0;
        let mut rest = text;
        if memmem::find(text, separator).is_some() || text.iter().any(|c| *c > b' ') {
            loop {
                let end = memmem::find(rest, separator);
                let element = &rest[..end.unwrap_or(rest.len())];
                let at = self.items.len();
                ignored += put_scalar(&mut self.items, self.kind, at, element, options)?;
                match end {
                    Some(end) => rest = &rest[end + separator.len()..],
                    None => break,
                }
            }
        }
        self.close();
        Ok(ignored)
    }

    fn finish(&mut self) -> ArrayRef {
        let rows = self.ends.len();
        let nulls = (!self.nulls.is_empty()).then(|| {
            let mut valid = vec![true; rows];
            for row in self.nulls.drain(..) {
                valid[row] = false;
            }
            NullBuffer::from(valid)
        });
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        offsets.append(&mut self.ends);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Arc::new(ListArray::new(self.field.clone(), offsets, self.items.finish(), nulls))
    }
}

fn put_scalar(column: &mut Column, kind: CellType, row: usize, text: &[u8], options: &CsvOptions) -> Result<u64, String> {
    if options.null_literal.as_ref().is_some_and(|null| null.as_bytes() == text) {
        column.truncate(row);
        column.push_null();
        return Ok(0);
    }
    let mut rewritten = [0; 10];
    let value = match kind {
        CellType::Date => lenient_date(text, &mut rewritten),
        CellType::Time => full_time(text, &mut rewritten),
        // JSON trims it; CSV takes no blank.
        CellType::Decimal if text.first().is_some_and(|c| *c <= b' ') || text.last().is_some_and(|c| *c <= b' ') => None,
        CellType::Bytes if text.iter().any(|c| *c <= b' ') => None,
        _ => Some(text),
    };
    if value.is_some_and(|value| put(column, row, Token::Text(value), None)) {
        return Ok(0);
    }
    if options.parse_errors == ParseErrors::Ignored {
        column.truncate(row);
        column.push_null();
        return Ok(1);
    }
    let shown: String = String::from_utf8_lossy(text).chars().take(SHOWN_CHARS).collect();
    Err(format!("field `{}`: '{shown}' is no {}", column.member, column.sql_type()))
}

/// Of a bad field, in the reason. The record itself is kept beside it.
const SHOWN_CHARS: usize = 40;

/// `java.sql.Date.valueOf`: month and day may have one digit, and a day that the month does not have runs on into the next.
fn lenient_date<'a>(text: &'a [u8], buffer: &'a mut [u8; 10]) -> Option<&'a [u8]> {
    // Its years have no sign.
    if text.first().is_some_and(u8::is_ascii_digit) && time_text::parse_date(text).is_some() {
        return Some(text);
    }
    let mut parts = text.split(|c| *c == b'-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    let sizes = year.len() == 4 && (1..=2).contains(&month.len()) && (1..=2).contains(&day.len());
    if parts.next().is_some() || !sizes || !digits(year) || !digits(month) || !digits(day) {
        return None;
    }
    let number = |part: &[u8]| part.iter().fold(0, |n, c| n * 10 + u32::from(c - b'0'));
    let (month, day) = (number(month), number(day));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = time_text::days_from_civil(i64::from(number(year)), month, 1) + i64::from(day) - 1;
    let (year, month, day) = time_text::civil_from_days(days);
    let mut value = [u64::from(year.unsigned_abs() as u32), u64::from(month), u64::from(day)];
    for (at, part) in [(0..4, 0), (5..7, 1), (8..10, 2)] {
        for digit in buffer[at].iter_mut().rev() {
            *digit = b'0' + (value[part] % 10) as u8;
            value[part] /= 10;
        }
    }
    (buffer[4], buffer[7]) = (b'-', b'-');
    Some(buffer)
}

/// The seconds of a TIME may be left out, and there is no 24:00.
fn full_time<'a>(text: &'a [u8], buffer: &'a mut [u8; 10]) -> Option<&'a [u8]> {
    if text.starts_with(b"24") {
        return None;
    }
    if text.len() != 5 {
        return Some(text);
    }
    buffer[..5].copy_from_slice(text);
    buffer[5..8].copy_from_slice(b":00");
    Some(&buffer[..8])
}
