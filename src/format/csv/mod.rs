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
use arrow::record_batch::RecordBatch;

use super::assemble::{Output, assemble};
use super::{BadRecord, Decoded, Decoder, cut};
use crate::source::RawBatch;
use fields::Fields;
use value::Target;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Flink's options of the `csv` format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    pub dialect: Dialect,
    /// `csv.ignore-parse-errors`
    pub ignore_parse_errors: bool,
    /// `csv.array-element-delimiter`
    pub array_delimiter: String,
    /// `csv.null-literal`: text that is NULL. When writing NULL is '' without it.
    pub null_literal: Option<String>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions { dialect: Dialect::default(), ignore_parse_errors: false, array_delimiter: ";".into(), null_literal: None }
    }
}

/// Why a table cannot be read from or written as CSV: the query is wrong (exit code 2).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CsvError {
    #[error("column `{column}`: the type {} is not supported by the format csv", crate::sql::types::sql_name(.data_type))]
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
    Row { ignored: u64 },
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
            Ok(ignored) => Fate::Row { ignored },
            Err(reason) => {
                for target in &mut self.targets {
                    target.truncate(row);
                }
                Fate::Bad(reason)
            }
        }
    }

    fn fields(&mut self, record: &[u8], row: usize) -> Result<u64, String> {
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
        // As many as are converted must be there; which ones does not matter.
        if count < targets.len() && !options.ignore_parse_errors {
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
        Ok(ignored)
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
        let mut rows = 0;
        let mut record_of_row: Option<Vec<u32>> = None;
        let mut bad = Vec::new();
        let mut ignored = 0;
        for index in 0..raw.len() {
            match self.record(raw.record(index), rows) {
                Fate::Row { ignored: in_row } => {
                    ignored += in_row;
                    if let Some(records) = &mut record_of_row {
                        records.push(index as u32);
                    }
                    rows += 1;
                    continue;
                }
                Fate::Skipped => {}
                Fate::Bad(_) if self.options.ignore_parse_errors => ignored += 1,
                Fate::Bad(reason) => bad.push(BadRecord { index, reason }),
            }
            // Up to here every record was a row.
            record_of_row.get_or_insert_with(|| (0..rows as u32).collect());
        }
        let payload: Vec<ArrayRef> = self.targets.iter_mut().map(Target::finish).collect();
        match assemble(&self.schema, &self.outputs, &payload, raw, rows, record_of_row.as_deref()) {
            Ok(batch) => Decoded { batch, record_of_row, bad, ignored },
            Err(reason) => {
                let bad = (0..raw.len()).map(|index| BadRecord { index, reason: reason.clone() }).collect();
                let batch = RecordBatch::new_empty(self.schema.clone());
                Decoded { batch, record_of_row: Some(Vec::new()), bad, ignored: 0 }
            }
        }
    }
}

#[cfg(test)]
mod tests;
