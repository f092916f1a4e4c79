//! What happens to a value that its sink column does not take?
//!
//! Called by `bind` for every INSERT. By Flink's settings: a row with NULL in a NOT NULL column is
//! refused, or dropped (`table.exec.sink.not-null-enforcer`); text and bytes keep their length, or
//! are cut and padded to that of the column (`table.exec.sink.type-length-enforcer`).

use std::collections::{BTreeMap, HashMap};

use arrow::datatypes::Field;
use datafusion_common::{DFSchema, Result};
use datafusion_expr::Expr;

use super::catalog::Column;
use super::error::SqlError;
use super::flink_types;
use crate::types::EXACT;

/// The two settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Enforcers {
    /// Rows with NULL where none may be vanish, instead of going to the error stream.
    pub drop_null: bool,
    pub trim_pad: bool,
}

impl Enforcers {
    pub fn of(settings: &BTreeMap<String, String>) -> std::result::Result<Enforcers, SqlError> {
        let flag =
            |key: &str, off: &str, on: &str| match settings.get(key).map(|v| v.to_lowercase()) {
                None => Ok(false),
                Some(value) if value == off => Ok(false),
                Some(value) if value == on => Ok(true),
                Some(value) => Err(SqlError::new(format!(
                    "'{key}' = '{value}' is not supported; {off} and {on} are"
                ))),
            };
        Ok(Enforcers {
            drop_null: flag("table.exec.sink.not-null-enforcer", "error", "drop")?,
            trim_pad: flag("table.exec.sink.type-length-enforcer", "ignore", "trim_pad")?,
        })
    }
}

/// The value with the length of its column.
pub fn length(
    value: Expr,
    column: &Column,
    schema: &DFSchema,
    enforcers: Enforcers,
) -> Result<Expr> {
    let Some(exact) = column.exact.as_ref().filter(|_| enforcers.trim_pad) else {
        return Ok(value);
    };
    let sized =
        ["CHAR(", "VARCHAR(", "BINARY(", "VARBINARY("].iter().any(|name| exact.starts_with(name));
    if !sized {
        return Ok(value);
    }
    let field = Field::new(&column.name, column.data_type.clone(), true);
    flink_types::length_cast(
        value,
        &field.with_metadata(HashMap::from([(EXACT.to_string(), exact.clone())])),
        schema,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_in_any_case_and_unknown_ones() {
        let of = |key: &str, value: &str| {
            Enforcers::of(&BTreeMap::from([(key.to_string(), value.to_string())]))
        };
        assert!(of("table.exec.sink.not-null-enforcer", "DROP").unwrap().drop_null);
        assert_eq!(of("table.exec.sink.not-null-enforcer", "Error").unwrap(), Enforcers::default());
        assert!(of("table.exec.sink.type-length-enforcer", "Trim_Pad").unwrap().trim_pad);
        assert!(
            of("table.exec.sink.type-length-enforcer", "error")
                .unwrap_err()
                .message
                .contains("not supported")
        );
    }
}
