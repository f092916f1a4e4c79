//! CSV to columns and columns to CSV, by the rules of Apache Flink's `csv` format.
//!
//! Called by `runtime` (a [`CsvDecoder`] per worker and source table) and by sinks ([`CsvEncoder`]). Only the fields that
//! the query needs are converted; the others are counted. What always holds: a record that cannot be read leaves no
//! trace in the columns and comes back with a reason; under `csv.ignore-parse-errors` a bad field is NULL and a record
//! with surplus fields vanishes, both counted.

mod encode;
mod fields;
mod value;

pub use encode::CsvEncoder;
pub use fields::{Dialect, RecordEnds};

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, SchemaRef};

use super::assemble::{Output, assemble};
use super::collected::Collected;
use super::{BadRecord, Decoded, Decoder, FOLLOWS, ParseErrors, RecordPart, RowsPerRecord, cut};
use crate::record::{RawBatch, Span};
use fields::Fields;
use value::Target;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Flink's options of the `csv` format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    pub dialect: Dialect,
    /// `csv.ignore-parse-errors`
    pub parse_errors: ParseErrors,
    /// `csv.array-element-delimiter`
    pub array_delimiter: String,
    /// `paceline.<table>.records`: each line of a record may be one.
    pub rows_per_record: RowsPerRecord,
    /// `csv.null-literal`: text that is NULL. When writing NULL is '' without it.
    pub null_literal: Option<String>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions {
            dialect: Dialect::default(),
            parse_errors: ParseErrors::default(),
            array_delimiter: ";".into(),
            rows_per_record: RowsPerRecord::default(),
            null_literal: None,
        }
    }
}

/// Why a table cannot be read from or written as CSV: the query is wrong (exit code 2).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CsvError {
    #[error("column `{column}`: the type {} is not supported by the format csv", crate::types::sql_name(.data_type))]
    UnsupportedType { column: String, data_type: DataType },
    #[error("{sources} CSV fields for a schema of {columns} columns")]
    FieldCount { sources: usize, columns: usize },
}

/// Where a column of the decoder's output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CsvSource {
    /// The field at this place of a record, from 0.
    Field(usize),
    /// The array at this index of [`RawBatch::metadata`].
    Metadata(usize),
}

/// Decodes raw records that hold one line of CSV each.
pub struct CsvDecoder {
    schema: SchemaRef,
    options: CsvOptions,
    outputs: Vec<Output>,
    targets: Vec<Target>,
    /// For each field of a record, the target it goes to.
    target_of_field: Vec<Option<usize>>,
    has_not_null: bool,
    /// Content of a field whose quotes were undone.
    scratch: Vec<u8>,
}

enum Fate {
    /// `after`: where in the record its line ends.
    Row {
        nulled: u64,
        after: usize,
    },
    Skipped,
    Bad(String),
}

impl CsvDecoder {
    /// `sources` and the columns of `schema` correspond one to one; a record has `field_count` fields.
    pub fn new(
        sources: &[CsvSource],
        field_count: usize,
        schema: SchemaRef,
        options: CsvOptions,
    ) -> Result<CsvDecoder, CsvError> {
        if sources.len() != schema.fields().len() {
            return Err(CsvError::FieldCount { sources: sources.len(), columns: schema.fields().len() });
        }
        let mut targets = Vec::new();
        let mut outputs = Vec::new();
        let mut target_of_field = vec![None; field_count];
        for (source, field) in sources.iter().zip(schema.fields()) {
            match *source {
                CsvSource::Metadata(index) => outputs.push(Output::Metadata(index)),
                CsvSource::Field(index) => {
                    let target = Target::new(field).ok_or_else(|| CsvError::UnsupportedType {
                        column: field.name().clone(),
                        data_type: field.data_type().clone(),
                    })?;
                    let slot = target_of_field.get_mut(index);
                    *slot.ok_or(CsvError::FieldCount { sources: index + 1, columns: field_count })? = Some(targets.len());
                    outputs.push(Output::Payload(targets.len()));
                    targets.push(target);
                }
            }
        }
        let has_not_null = targets.iter().any(|t: &Target| !t.nullable());
        Ok(CsvDecoder { schema, options, outputs, targets, target_of_field, has_not_null, scratch: Vec::new() })
    }

    /// Each line of a record; a quoted field may hold line ends.
    fn lines(&mut self, index: usize, record: &[u8], out: &mut Collected) {
        let (mut at, mut number) = (0, 0);
        while at < record.len() {
            let end = RecordEnds::new(self.options.dialect).find(&record[at..]).map(|n| at + n);
            let (line_end, next) = end.map_or((record.len(), record.len()), |end| (end, end + 1));
            let stop = if line_end > at && record[line_end - 1] == b'\r' { line_end - 1 } else { line_end };
            number += 1;
            let whole = number == 1 && next == record.len();
            let part = (!whole).then_some(RecordPart { number, span: Span { start: at as u32, end: stop as u32 } });
            self.put(index, part, &record[at..stop], out);
            at = next;
        }
    }

    /// Makes a row of one line. Returns what stands behind it.
    fn put(&mut self, index: usize, part: Option<RecordPart>, line: &[u8], out: &mut Collected) -> Option<RecordPart> {
        match self.record(line, out.rows) {
            Fate::Row { nulled, after } => {
                out.nulled += nulled;
                out.row(index, part);
                let blank = line[after..].iter().all(u8::is_ascii_whitespace);
                let start = after + line[after..].iter().take_while(|c| matches!(c, b'\r' | b'\n')).count();
                (!blank).then_some(RecordPart { number: 2, span: Span { start: start as u32, end: line.len() as u32 } })
            }
            // A comment: what stands below it is the record.
            Fate::Skipped => {
                let below = line.iter().position(|&c| c == b'\n')? + 1;
                let part = self.put(index, part, &line[below..], out)?;
                let Span { start, end } = part.span;
                Some(RecordPart { span: Span { start: start + below as u32, end: end + below as u32 }, ..part })
            }
            Fate::Bad(reason) => {
                out.bad(index, part, reason, self.options.parse_errors);
                None
            }
        }
    }

    fn record(&mut self, record: &[u8], row: usize) -> Fate {
        let whole = record;
        let record = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record);
        if self.options.dialect.is_skipped(record) {
            return Fate::Skipped;
        }
        if let Some(reason) = cut(whole) {
            return Fate::Bad(reason);
        }
        match self.fields(record, row) {
            Ok((nulled, after)) => Fate::Row { nulled, after: whole.len() - after },
            Err(reason) => {
                for target in &mut self.targets {
                    target.truncate(row);
                }
                Fate::Bad(reason)
            }
        }
    }

    /// How many fields are NULL for being bad, and how much of the record follows its line.
    fn fields(&mut self, record: &[u8], row: usize) -> Result<(u64, usize), String> {
        let CsvDecoder { options, targets, target_of_field, scratch, .. } = self;
        let mut fields = Fields::new(options.dialect, record);
        let mut count = 0;
        let mut ignored = 0;
        while let Some(field) = fields.next(scratch).map_err(|e| e.to_string())? {
            match target_of_field.get(count) {
                Some(None) => {}
                Some(Some(target)) => match targets[*target].put(row, field, options) {
                    Ok(in_field) => ignored += in_field,
                    Err(reason) => return Err(reason),
                },
                // One more that is blank is a delimiter at the end of the line.
                None if count == target_of_field.len() && field.iter().all(|c| *c <= b' ') => {}
                None => return Err(format!("more than {} fields", target_of_field.len())),
            }
            count += 1;
        }
        let after = fields.after().len();
        // As many as are converted must be there; which ones does not matter.
        if count < targets.len() && options.parse_errors == ParseErrors::Reported {
            return Err(format!("{count} fields where {} are needed", targets.len()));
        }
        for target in targets.iter_mut().filter(|t| t.len() == row) {
            target.push_null();
        }
        if self.has_not_null
            && let Some(target) = targets.iter().find(|t| !t.nullable() && t.is_null(row))
        {
            return Err(format!("field `{}` is NULL or missing, but its column is NOT NULL", target.name()));
        }
        Ok((ignored, after))
    }
}

impl Decoder for CsvDecoder {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decode(&mut self, raw: &RawBatch) -> Decoded {
        for target in &mut self.targets {
            target.reserve(raw.len());
        }
        let mut out = Collected::default();
        for index in 0..raw.len() {
            match self.options.rows_per_record {
                RowsPerRecord::Many => self.lines(index, raw.record(index), &mut out),
                RowsPerRecord::One => {
                    let after = self.put(index, None, raw.record(index), &mut out);
                    if let Some(part) = after {
                        out.bad.push(BadRecord { index, part: Some(part), reason: FOLLOWS.into() });
                    }
                }
            }
        }
        let payload: Vec<ArrayRef> = self.targets.iter_mut().map(Target::finish).collect();
        let rows = out.rows;
        let batch = assemble(&self.schema, &self.outputs, &payload, raw, rows, out.records(raw.len()));
        out.finish(raw, &self.schema, batch)
    }
}

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod tests;
