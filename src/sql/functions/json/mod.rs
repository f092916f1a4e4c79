//! The JSON functions of SQL: IS JSON, JSON_EXISTS, JSON_VALUE, JSON_QUERY, JSON_OBJECT,
//! JSON_ARRAY, JSON_STRING, JSON_QUOTE and JSON_UNQUOTE.
//!
//! Those with a grammar of their own (`RETURNING`, `ON EMPTY`, `KEY`) arrive as calls with their
//! clauses as text. What always holds: text that is no JSON is an error for the ON ERROR clause,
//! never for the row.

mod make;
mod path;
mod query;
mod value;

pub use make::{ARRAY, OBJECT, text_of, udfs};
pub use query::{ALL, ARRAY_QUERY};

/// Refuses a path that the functions could not follow, with the reason.
pub(crate) fn check_path(path: &str) -> Result<(), String> {
    path::Path::parse(path).map(drop)
}
