//! From the `format` options of a table to what decodes and encodes its records.
//!
//! Used by `connect` and by connectors that have a format. A new format adds a line to
//! [`options_of`], [`DecodeFormat::of`] and [`encode_format`]. What always holds: keys and defaults
//! are Flink's; an option of another format is unknown.

mod changes;

use std::collections::BTreeMap;
use std::str::FromStr;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::error::{ConnectError, config_error};
use super::watermarks;
use crate::connector::filesystem::source::Framing;
use crate::connector::inline::values::ValuesDecoder;
use crate::format::csv::{CsvDecoder, CsvOptions, CsvSource, Dialect};
use crate::format::encode::EncodeFormat;
use crate::format::json::{
    EncodeOptions, FieldSource, JsonDecoder, JsonField, JsonOptions, MissingFields,
};
use crate::format::raw::{Charset, RawDecoder, RawOptions, RawSource};
use crate::format::time_text::TimestampStandard;
use crate::format::{Decoder, ParseErrors, RowsPerRecord};
use crate::options::OptionKind::{Flag, OneOf, Text};
use crate::options::{OptionKind, OptionSpec};
use crate::plan::physical::SourcePlan;
use crate::sql::catalog::{ColumnKind, Table};
use crate::sql::error::SqlError;
use crate::sql::hints;
use crate::sql::null_keys::{self, NullKeys};

pub(crate) use changes::changes;
pub use changes::{CANAL_OPTIONS, DEBEZIUM_OPTIONS, MAXWELL_OPTIONS};

const fn json(
    key: &'static str,
    kind: OptionKind,
    default: &'static str,
    help: &'static str,
) -> OptionSpec {
    OptionSpec::new(key, kind, help).or(default)
}

/// The options of the format json.
pub const JSON_OPTIONS: [OptionSpec; 7] = [
    json(
        "json.ignore-parse-errors",
        Flag,
        "false",
        "what cannot be read becomes NULL, or is left out and counted",
    ),
    json(
        "json.fail-on-missing-field",
        Flag,
        "false",
        "a record without one of the columns cannot be read",
    ),
    json(
        "json.timestamp-format.standard",
        OneOf(&["SQL", "ISO-8601"]),
        "SQL",
        "how times are written",
    ),
    json("json.encode.ignore-null-fields", Flag, "false", "NULLs are left out of what is written"),
    json(
        "json.encode.decimal-as-plain-number",
        Flag,
        "false",
        "a DECIMAL is written without an exponent",
    ),
    json(
        null_keys::MODE,
        OneOf(&["FAIL", "DROP", "LITERAL"]),
        "FAIL",
        "what becomes of a NULL key of a MAP that is written",
    ),
    json(null_keys::LITERAL, Text, "null", "what such a key is written as with LITERAL"),
];

/// The options of the format csv.
pub const CSV_OPTIONS: [OptionSpec; 9] = [
    OptionSpec::new("csv.field-delimiter", Text, "what stands between two fields: one ASCII character").or(","),
    OptionSpec::new("csv.disable-quote-character", Flag, "fields are never quoted").or("false"),
    OptionSpec::new("csv.quote-character", Text, "what a field is quoted with: one ASCII character").or("\""),
    OptionSpec::new("csv.allow-comments", Flag, "lines that begin with # are left out").or("false"),
    OptionSpec::new("csv.ignore-parse-errors", Flag, "what cannot be read becomes NULL, or is left out and counted").or("false"),
    OptionSpec::new("csv.array-element-delimiter", Text, "what stands between the elements of an ARRAY").or(";"),
    OptionSpec::new("csv.escape-character", Text, "what takes its meaning from the character behind it: one ASCII character"),
    OptionSpec::new("csv.null-literal", Text, "the text that is read and written for NULL"),
    OptionSpec::new(
        "csv.write-bigdecimal-in-scientific-notation",
        Flag,
        "taken for the sake of Flink's files; decimals are written to files in the scientific form either way",
    )
    .or("true"),
];
/// The options of the format raw.
pub const RAW_OPTIONS: [OptionSpec; 2] = [
    OptionSpec::new("raw.charset", Text, "the charset of a STRING").or("UTF-8"),
    OptionSpec::new(
        "raw.endianness",
        OneOf(&["big-endian", "little-endian"]),
        "the order of a number's bytes",
    )
    .or("big-endian"),
];

/// The options that the table's format has, besides `format` itself.
pub(crate) fn options_of(table: &Table) -> &'static [OptionSpec] {
    match table.options.get("format").map(String::as_str) {
        Some("csv") => &CSV_OPTIONS,
        Some("raw") => &RAW_OPTIONS,
        Some("debezium-json") => &DEBEZIUM_OPTIONS,
        Some("canal-json") => &CANAL_OPTIONS,
        Some("maxwell-json") => &MAXWELL_OPTIONS,
        _ => &JSON_OPTIONS,
    }
}

/// Whose records are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordsOf {
    Table,
    /// What stands in for the table. It is JSON whatever the table's format is, and has no
    /// metadata: those columns are read from its records.
    Sample,
}

/// How records of a source table become columns.
pub(crate) enum DecodeFormat {
    Json {
        fields: Vec<JsonField>,
        options: JsonOptions,
    },
    Csv {
        sources: Vec<CsvSource>,
        field_count: usize,
        options: CsvOptions,
    },
    Raw {
        sources: Vec<RawSource>,
        options: RawOptions,
    },
    /// The rows stand in the query.
    Values(RecordBatch),
}

impl DecodeFormat {
    pub fn of(
        plan: &SourcePlan,
        records: RecordsOf,
        rows_per_record: RowsPerRecord,
    ) -> Result<DecodeFormat, ConnectError> {
        if let Some(rows) = &plan.rows {
            return Ok(DecodeFormat::Values(rows.clone()));
        }
        let table = &plan.table;
        let mut metadata = 0;
        let mut field_of = |column: usize| match table.columns[column].kind {
            ColumnKind::Metadata { .. } if records == RecordsOf::Table => {
                metadata += 1;
                FieldSource::Metadata(metadata - 1)
            }
            _ => FieldSource::Payload,
        };
        let fields: Vec<(usize, FieldSource)> =
            plan.decode.iter().map(|&c| (c, field_of(c))).collect();
        let physical: Vec<usize> = (0..table.columns.len())
            .filter(|&c| matches!(table.columns[c].kind, ColumnKind::Physical))
            .collect();
        let format = match records {
            RecordsOf::Sample => "json",
            RecordsOf::Table => name(table)?,
        };
        match format {
            "csv" => {
                let sources = fields.into_iter().map(|(column, source)| match source {
                    FieldSource::Metadata(index) => CsvSource::Metadata(index),
                    FieldSource::Payload => {
                        CsvSource::Field(physical.iter().take_while(|&&c| c != column).count())
                    }
                });
                Ok(DecodeFormat::Csv {
                    sources: sources.collect(),
                    field_count: physical.len(),
                    options: CsvOptions { rows_per_record, ..csv_options(table)? },
                })
            }
            _ if rows_per_record == RowsPerRecord::Many
                && (format == "raw" || table.change_format().is_some()) =>
            {
                let key = format!("'paceline.{}.records' = 'many'", hints::base_name(&table.name));
                Err(config_error(
                    table,
                    format!("{key}: with the format {format} a record is one value"),
                ))
            }
            "raw" => {
                raw_columns(table, physical.len())?;
                let sources = fields.into_iter().map(|(_, source)| match source {
                    FieldSource::Metadata(index) => RawSource::Metadata(index),
                    FieldSource::Payload => RawSource::Value,
                });
                Ok(DecodeFormat::Raw { sources: sources.collect(), options: raw_options(table)? })
            }
            _ => {
                let fields = fields.into_iter();
                let fields = fields
                    .map(|(column, source)| JsonField {
                        name: table.columns[column].name.clone(),
                        source,
                    })
                    .collect();
                let is_other = table
                    .options
                    .get("format")
                    .is_some_and(|f| matches!(f.as_str(), "csv" | "raw"));
                let options = match records {
                    RecordsOf::Sample if is_other => JsonOptions::default(),
                    _ => json_options(table)?,
                };
                Ok(DecodeFormat::Json {
                    fields,
                    options: JsonOptions { rows_per_record, ..options },
                })
            }
        }
    }

    pub fn decoder(
        &self,
        table: &str,
        schema: &SchemaRef,
    ) -> Result<Box<dyn Decoder>, ConnectError> {
        let schema = schema.clone();
        let refused =
            |e: String| ConnectError::Query(SqlError::new(format!("table '{table}': {e}")));
        Ok(match self {
            DecodeFormat::Values(rows) => Box::new(ValuesDecoder::new(rows.clone())),
            DecodeFormat::Json { fields, options } => Box::new(
                JsonDecoder::new(fields.clone(), schema, *options)
                    .map_err(|e| refused(e.to_string()))?,
            ),
            DecodeFormat::Csv { sources, field_count, options } => Box::new(
                CsvDecoder::new(sources, *field_count, schema, options.clone())
                    .map_err(|e| refused(e.to_string()))?,
            ),
            DecodeFormat::Raw { sources, options } => Box::new(
                RawDecoder::new(sources, schema, *options).map_err(|e| refused(e.to_string()))?,
            ),
        })
    }
}

/// What a record of a file is.
pub(crate) fn framing(table: &Table) -> Result<Framing, ConnectError> {
    Ok(match name(table)? {
        "csv" => Framing::Csv(csv_options(table)?.dialect),
        "raw" => Framing::AllLines,
        _ => Framing::Lines,
    })
}

pub(crate) fn encode_format(table: &Table) -> Result<EncodeFormat, ConnectError> {
    Ok(match name(table)? {
        format
            if table.change_format().is_some()
                && !matches!(table.connector(), "kinesis" | "kinesis-legacy") =>
        {
            let reason = format!(
                "the format {format} is read here, and written to Kinesis streams alone; json, csv and raw are"
            );
            return Err(config_error(table, reason));
        }
        "csv" => EncodeFormat::Csv(csv_options(table)?),
        "raw" => {
            raw_columns(table, table.sink_columns().len())?;
            EncodeFormat::Raw(raw_options(table)?)
        }
        _ => {
            NullKeys::of(&table.options).map_err(|e| config_error(table, e))?;
            EncodeFormat::Json(EncodeOptions {
                ignore_null_fields: is_set(table, "json.encode.ignore-null-fields")?,
                decimal_as_plain_number: is_set(
                    table,
                    &json_key(table, "encode.decimal-as-plain-number"),
                )?,
                timestamp_standard: timestamp_standard(table)?,
            })
        }
    })
}

/// Those that are here.
pub(super) const FORMATS: &str = "json, csv, raw, debezium-json, canal-json and maxwell-json";

/// Whether the table's format is here.
pub(super) fn is_known(table: &Table) -> bool {
    let is_of_rows = |format: &String| ["json", "csv", "raw"].contains(&format.as_str());
    table.options.get("format").is_some_and(is_of_rows) || table.change_format().is_some()
}

fn name(table: &Table) -> Result<&str, ConnectError> {
    match table.options.get("format").map(String::as_str) {
        Some(format) if is_known(table) => Ok(format),
        None if !matches!(table.connector(), "filesystem" | "kinesis" | "kinesis-legacy") => {
            Ok("json")
        }
        None => Err(config_error(
            table,
            "WITH needs 'format' = 'json', 'csv', 'raw', or one of changes such as 'debezium-json'",
        )),
        Some(other) => {
            Err(config_error(table, format!("format '{other}' is not supported; {FORMATS} are")))
        }
    }
}

/// A flag as it is given.
fn flag(table: &Table, key: &str) -> Result<Option<bool>, ConnectError> {
    match table.options.get(key).map(|v| v.to_lowercase()).as_deref() {
        None => Ok(None),
        Some("false") => Ok(Some(false)),
        Some("true") => Ok(Some(true)),
        Some(other) => Err(config_error(table, format!("'{key}' is true or false, not '{other}'"))),
    }
}

/// A flag that is false unless it is given.
fn is_set(table: &Table, key: &str) -> Result<bool, ConnectError> {
    Ok(flag(table, key)?.unwrap_or(false))
}

fn parse_errors(table: &Table, key: &str) -> Result<ParseErrors, ConnectError> {
    Ok(if is_set(table, key)? { ParseErrors::Ignored } else { ParseErrors::Reported })
}

fn timestamp_standard(table: &Table) -> Result<TimestampStandard, ConnectError> {
    let key = json_key(table, "timestamp-format.standard");
    match table.options.get(&key).map(String::as_str) {
        None | Some("SQL") => Ok(TimestampStandard::Sql),
        Some("ISO-8601") => Ok(TimestampStandard::Iso8601),
        Some(other) => {
            Err(config_error(table, format!("'{key}' is SQL or ISO-8601, not '{other}'")))
        }
    }
}

/// An option of JSON, under the name of the table's format.
fn json_key(table: &Table, option: &str) -> String {
    let format = table.change_format().unwrap_or("json");
    format!("{format}.{option}")
}

/// How a sample of the table writes times: as its records do, if they are JSON.
pub(crate) fn times_of_samples(table: &Table) -> TimestampStandard {
    match table.options.get("format").map(String::as_str) {
        None | Some("json") => timestamp_standard(table).unwrap_or(TimestampStandard::Sql),
        Some(_) => TimestampStandard::Sql,
    }
}

fn json_options(table: &Table) -> Result<JsonOptions, ConnectError> {
    Ok(JsonOptions {
        parse_errors: parse_errors(table, &json_key(table, "ignore-parse-errors"))?,
        missing_fields: match is_set(table, "json.fail-on-missing-field")? {
            true => MissingFields::AreErrors,
            false => MissingFields::AreNull,
        },
        timestamp_standard: timestamp_standard(table)?,
        rows_per_record: RowsPerRecord::One,
    })
}

fn csv_options(table: &Table) -> Result<CsvOptions, ConnectError> {
    let defaults = CsvOptions::default();
    let unquoted = is_set(table, "csv.disable-quote-character")?;
    if unquoted && table.options.contains_key("csv.quote-character") {
        return Err(config_error(
            table,
            "'csv.quote-character' and 'csv.disable-quote-character' cannot both be set",
        ));
    }
    // Decimals are written to files in the scientific form either way, as Flink does.
    flag(table, "csv.write-bigdecimal-in-scientific-notation")?;
    let quote = character(table, "csv.quote-character")?.or(defaults.dialect.quote);
    Ok(CsvOptions {
        dialect: Dialect {
            delimiter: character(table, "csv.field-delimiter")?
                .unwrap_or(defaults.dialect.delimiter),
            quote: quote.filter(|_| !unquoted),
            escape: character(table, "csv.escape-character")?,
            comments: is_set(table, "csv.allow-comments")?,
        },
        parse_errors: parse_errors(table, "csv.ignore-parse-errors")?,
        array_delimiter: match table.options.get("csv.array-element-delimiter") {
            Some(empty) if empty.is_empty() => {
                return Err(config_error(table, "'csv.array-element-delimiter' is empty"));
            }
            given => given.cloned().unwrap_or(defaults.array_delimiter),
        },
        null_literal: table.options.get("csv.null-literal").cloned(),
        rows_per_record: RowsPerRecord::One,
    })
}

/// An option of one ASCII character; Java's escapes, such as `\t`, are undone.
fn character(table: &Table, key: &str) -> Result<Option<u8>, ConnectError> {
    let Some(text) = table.options.get(key) else { return Ok(None) };
    let refused = || config_error(table, format!("'{key}' is one ASCII character, not '{text}'"));
    let code = match text.as_str() {
        "\\t" => b'\t',
        "\\b" => 8,
        "\\f" => 12,
        "\\\\" => b'\\',
        "\\'" => b'\'',
        "\\\"" => b'"',
        hex if hex.len() == 6 && hex.starts_with("\\u") => {
            u8::try_from(u32::from_str_radix(&hex[2..], 16).map_err(|_| refused())?)
                .map_err(|_| refused())?
        }
        other => match other.as_bytes() {
            [one] => *one,
            _ => return Err(refused()),
        },
    };
    // A line end in this place would end the record first.
    if code.is_ascii() && !matches!(code, b'\n' | b'\r') { Ok(Some(code)) } else { Err(refused()) }
}

fn raw_columns(table: &Table, count: usize) -> Result<(), ConnectError> {
    if count == 1 {
        return Ok(());
    }
    Err(config_error(
        table,
        format!("the format raw holds one physical column, and the table has {count}"),
    ))
}

fn raw_options(table: &Table) -> Result<RawOptions, ConnectError> {
    let charset = table.options.get("raw.charset").map_or("UTF-8", String::as_str);
    let little_endian =
        match table.options.get("raw.endianness").map_or("big-endian", String::as_str) {
            "big-endian" => false,
            "little-endian" => true,
            other => {
                return Err(config_error(
                    table,
                    format!("'raw.endianness' is big-endian or little-endian, not '{other}'"),
                ));
            }
        };
    let charset = Charset::from_str(charset).map_err(|known| {
        config_error(
            table,
            format!("'raw.charset' = '{charset}' is not supported; these are: {known}"),
        )
    })?;
    Ok(RawOptions { charset, little_endian })
}

/// What stands in WITH, without what is common to all connectors and without the format and its
/// options.
pub(crate) fn without_format(table: &Table) -> BTreeMap<String, String> {
    let format = options_of(table);
    let own = |k: &str| {
        k != "connector"
            && k != "format"
            && !watermarks::is_one(k)
            && format.iter().all(|o| o.key != k)
    };
    table.options.iter().filter(|(k, _)| own(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
}
