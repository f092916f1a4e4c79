//! What is wrong with a table: in what the query says of it, or outside.

use crate::sink::SinkError;
use crate::source::SourceError;
use crate::sql::catalog::Table;
use crate::sql::error::SqlError;

/// What went wrong: in the query's options (exit code 2) or outside (1).
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{}", .0.message)]
    Query(SqlError),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

impl From<SourceError> for ConnectError {
    fn from(e: SourceError) -> Self {
        ConnectError::Query(SqlError::new(e.to_string()))
    }
}

pub fn place(error: ConnectError, table: &Table) -> ConnectError {
    match error {
        ConnectError::Query(e) => ConnectError::Query(e.at(Some(table.place))),
        other => other,
    }
}

/// Something is wrong with what WITH or the columns of a table say.
pub fn config_error(table: &Table, reason: impl std::fmt::Display) -> ConnectError {
    ConnectError::Query(
        SqlError::new(format!("table '{}': {reason}", table.name)).at(Some(table.place)),
    )
}
