//! JSON to columns and columns to JSON: objects, or arrays of them, by the rules of Apache Flink's
//! `json` format.
//!
//! Called by `runtime` (a [`JsonDecoder`] per worker and source table) and by sinks
//! ([`JsonEncoder`]). Decoding only builds the columns that the query needs. What always holds: the
//! fast scanner (`scan`) and the careful path (`slow`) give the same rows; a record that cannot be
//! read leaves no trace in the columns and comes back with a reason.
//!
//! Where Flink fails the job for bad data, the record is reported and reading goes on; under
//! `json.ignore-parse-errors` a bad field is NULL and a bad record is skipped, both counted. What
//! follows the first value of a record is read only if the table's records hold many; else it is
//! reported too ([`values`]).

pub(crate) mod base64;
mod column;
mod convert;
mod encode;
mod number;
mod scan;
mod slow;
mod text;
mod values;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, SchemaRef};

use crate::record::RawBatch;

use super::assemble::{Output, assemble};
use super::collected::Collected;
use super::{Decoded, Decoder, ParseErrors, RowsPerRecord};
use crate::format::json::text::skip_blanks;
use crate::format::time_text::TimestampStandard;
pub(crate) use base64::write as write_base64;
pub(super) use column::Column;
pub(super) use convert::{Token, put};
pub use encode::{EncodeOptions, JsonEncoder};
use scan::Scanner;
pub(crate) use text::write_string;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One column of the decoder's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonField {
    /// Name of the member in the JSON object, or of the metadata key (for messages only).
    pub name: String,
    pub source: FieldSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldSource {
    /// A member of the JSON object.
    Payload,
    /// The array at this index of [`RawBatch::metadata`].
    Metadata(usize),
}

/// What a member is that a record does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MissingFields {
    #[default]
    AreNull,
    /// The record is bad.
    AreErrors,
}

/// How an object is read. Both ways give the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By the scanner, and where it gives up with care.
    Fast,
    #[cfg_attr(not(test), expect(dead_code, reason = "tests compare the two ways"))]
    Careful,
}

/// Flink's options of the `json` format that concern reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JsonOptions {
    /// `json.ignore-parse-errors`
    pub parse_errors: ParseErrors,
    /// `json.fail-on-missing-field`
    pub missing_fields: MissingFields,
    /// `paceline.<table>.records`: a record may hold several values.
    pub rows_per_record: RowsPerRecord,
    /// `json.timestamp-format.standard`.
    pub timestamp_standard: TimestampStandard,
}

/// Why a table cannot be read from or written as JSON: the query is wrong (exit code 2).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JsonError {
    #[error("column `{column}`: the type {} is not supported by the format json", crate::types::sql_name(.data_type))]
    UnsupportedType { column: String, data_type: DataType },
    #[error("column `{column}`: another column reads the same JSON member `{member}`")]
    DuplicateMember { column: String, member: String },
    #[error("{fields} JSON fields for a schema of {columns} columns")]
    FieldCount { fields: usize, columns: usize },
    #[error(
        "json.fail-on-missing-field and json.ignore-parse-errors cannot both be true: set one of them to false"
    )]
    ConflictingOptions,
}

/// Decodes raw records that hold JSON objects.
pub struct JsonDecoder {
    schema: SchemaRef,
    options: JsonOptions,
    /// Where each output column comes from.
    outputs: Vec<Output>,
    columns: Vec<Column>,
    /// True if a row must be checked for NULL in a NOT NULL column.
    has_not_null: bool,
    scanner: Scanner,
}

impl JsonDecoder {
    /// `fields` and the columns of `schema` correspond one to one.
    pub fn new(
        fields: Vec<JsonField>,
        schema: SchemaRef,
        options: JsonOptions,
    ) -> Result<JsonDecoder, JsonError> {
        if options.parse_errors == ParseErrors::Ignored
            && options.missing_fields == MissingFields::AreErrors
        {
            return Err(JsonError::ConflictingOptions);
        }
        if fields.len() != schema.fields().len() {
            return Err(JsonError::FieldCount {
                fields: fields.len(),
                columns: schema.fields().len(),
            });
        }
        let mut columns = Vec::new();
        let mut outputs = Vec::new();
        let mut members = HashSet::new();
        for (field, target) in fields.into_iter().zip(schema.fields()) {
            match field.source {
                FieldSource::Metadata(index) => outputs.push(Output::Metadata(index)),
                FieldSource::Payload => {
                    let (column, member) = (target.name().clone(), field.name);
                    if !members.insert(member.clone()) {
                        return Err(JsonError::DuplicateMember { column, member });
                    }
                    let data_type = target.data_type().clone();
                    let built = Column::new(member, target, &options)
                        .ok_or(JsonError::UnsupportedType { column, data_type })?;
                    outputs.push(Output::Payload(columns.len()));
                    columns.push(built);
                }
            }
        }
        let has_not_null = columns.iter().any(|c: &Column| !c.nullable);
        let scanner = Scanner::new(&columns);
        Ok(JsonDecoder { schema, options, outputs, columns, has_not_null, scanner })
    }

    fn decode_records(&mut self, raw: &RawBatch, way: Way) -> Decoded {
        for column in &mut self.columns {
            column.reserve(raw.len());
        }
        let mut out = Collected::default();
        for index in 0..raw.len() {
            let record = raw.record(index);
            let json = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record);
            if way == Way::Fast
                && let Some(end) = self.scanner.record(json, &mut self.columns, out.rows)
                && skip_blanks(json, end) == json.len()
            {
                match self.close_row(out.rows) {
                    Ok(()) => out.row(index, None),
                    Err(reason) => out.bad(index, None, reason, self.options.parse_errors),
                }
                continue;
            }
            self.undo_row(out.rows);
            self.values(index, record, way, &mut out);
        }
        let payload: Vec<ArrayRef> = self.columns.iter_mut().map(Column::finish).collect();
        let rows = out.rows;
        let batch =
            assemble(&self.schema, &self.outputs, &payload, raw, rows, out.records(raw.len()));
        out.finish(raw, &self.schema, batch)
    }

    /// Reads the object at a place as the next row. Returns how many of its fields are NULL for
    /// being bad, and where it ends, if it does.
    fn object(
        &mut self,
        json: &[u8],
        at: usize,
        row: usize,
        way: Way,
    ) -> (Result<u64, String>, Option<usize>) {
        if way == Way::Fast
            && let Some(length) = self.scanner.record(&json[at..], &mut self.columns, row)
        {
            return (self.close_row(row).map(|()| 0), Some(at + length));
        }
        self.undo_row(row);
        let end = values::end_of(json, at);
        // What is no object is shown with what follows it.
        let rest_end = || match self.options.rows_per_record {
            RowsPerRecord::Many => {
                memchr::memchr(b'\n', &json[at..]).map_or(json.len(), |n| at + n)
            }
            RowsPerRecord::One => json.len(),
        };
        let value = &json[at..end.filter(|_| json[at] == b'{').unwrap_or_else(rest_end)];
        match slow::record(value, &mut self.columns, row, self.options.parse_errors) {
            Ok(nulled) => (self.close_row(row).map(|()| nulled), end),
            Err(reason) => {
                self.undo_row(row);
                (Err(reason), end)
            }
        }
    }

    fn undo_row(&mut self, row: usize) {
        for column in &mut self.columns {
            column.truncate(row);
        }
    }

    /// Gives every column an entry for the row that was read, or takes it back with the reason.
    fn close_row(&mut self, row: usize) -> Result<(), String> {
        let mut refused = None;
        for column in &mut self.columns {
            if column.len() == row {
                if self.options.missing_fields == MissingFields::AreErrors {
                    refused = Some(format!("field `{}` is missing", column.member));
                    break;
                }
                column.push_null();
            }
        }
        if refused.is_none() && self.has_not_null {
            let null = self.columns.iter().find(|c| !c.nullable && c.is_null(row));
            refused = null.map(|c| {
                format!("field `{}` is NULL or missing, but its column is NOT NULL", c.member)
            });
        }
        match refused {
            None => Ok(()),
            Some(reason) => {
                self.undo_row(row);
                Err(reason)
            }
        }
    }
}

impl Decoder for JsonDecoder {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decode(&mut self, raw: &RawBatch) -> Decoded {
        self.decode_records(raw, Way::Fast)
    }
}
