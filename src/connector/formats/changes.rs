//! What does WITH say of a format whose records tell what has changed?
//!
//! Asked by `formats` for the options, and by `connect` for the step that opens such records. What
//! always holds: names and values are those of Flink's formats.

use regex::Regex;

use super::{is_set, json, json_key, parse_errors};
use crate::connector::error::{ConnectError, config_error};
use crate::options::OptionKind::{Flag, OneOf, Text};
use crate::options::OptionSpec;
use crate::sql::catalog::Table;
use crate::unpack::changes::{Changes, Form, Schema};

const IGNORE: &str = "what cannot be read becomes NULL, or is left out and counted";
const TIMES: &str = "how times are written";
const PLAIN: &str = "a DECIMAL is written without an exponent";

/// The options of the format debezium-json.
pub const DEBEZIUM_OPTIONS: [OptionSpec; 4] = [
    json("debezium-json.encode.decimal-as-plain-number", Flag, "false", PLAIN),
    json("debezium-json.schema-include", Flag, "false", "messages have their schema around them"),
    json("debezium-json.ignore-parse-errors", Flag, "false", IGNORE),
    json("debezium-json.timestamp-format.standard", OneOf(&["SQL", "ISO-8601"]), "SQL", TIMES),
];
/// The options of the format canal-json.
pub const CANAL_OPTIONS: [OptionSpec; 5] = [
    json("canal-json.encode.decimal-as-plain-number", Flag, "false", PLAIN),
    json("canal-json.ignore-parse-errors", Flag, "false", IGNORE),
    json("canal-json.timestamp-format.standard", OneOf(&["SQL", "ISO-8601"]), "SQL", TIMES),
    OptionSpec::new(
        "canal-json.database.include",
        Text,
        "a regular expression: messages of databases whose names it does not match are left out",
    ),
    OptionSpec::new(
        "canal-json.table.include",
        Text,
        "a regular expression: messages of tables whose names it does not match are left out",
    ),
];
/// The options of the format maxwell-json.
pub const MAXWELL_OPTIONS: [OptionSpec; 3] = [
    json("maxwell-json.encode.decimal-as-plain-number", Flag, "false", PLAIN),
    json("maxwell-json.ignore-parse-errors", Flag, "false", IGNORE),
    json("maxwell-json.timestamp-format.standard", OneOf(&["SQL", "ISO-8601"]), "SQL", TIMES),
];
/// How the table's records say what has changed, if they do.
pub(crate) fn changes(table: &Table) -> Result<Option<Changes>, ConnectError> {
    let Some(format) = table.change_format() else { return Ok(None) };
    let pattern = |option: &str| match table.options.get(option) {
        None => Ok(None),
        // The whole name has to match, as in Java.
        Some(text) => Regex::new(&format!("^(?:{text})$"))
            .map(Some)
            .map_err(|e| config_error(table, format!("'{option}': {e}"))),
    };
    let form = match format {
        "debezium-json" => Form::Debezium {
            schema: match is_set(table, "debezium-json.schema-include")? {
                true => Schema::Included,
                false => Schema::LeftOut,
            },
        },
        "canal-json" => Form::Canal {
            database: pattern("canal-json.database.include")?,
            table: pattern("canal-json.table.include")?,
        },
        _ => Form::Maxwell,
    };
    let errors = parse_errors(table, &json_key(table, "ignore-parse-errors"))?;
    Ok(Some(Changes { form, errors }))
}
