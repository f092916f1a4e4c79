//! What is wrong with a table: in what the query says of it, or outside.

use crate::sink::SinkError;
use crate::source::SourceError;
use crate::sql::catalog::Table;
use crate::sql::error::SqlError;
use crate::who::Who;

/// What went wrong: in what the query says of a table, or with what it names.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{}", .0.message)]
    Query(SqlError),
    #[error(transparent)]
    Source(SourceError),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

impl ConnectError {
    pub fn who(&self) -> Who {
        match self {
            ConnectError::Query(e) => e.who(),
            ConnectError::Source(e) => e.who(),
            ConnectError::Sink(e) => e.who(),
        }
    }

    /// The error as one of the query's text, which has a place to show.
    pub(crate) fn in_text(&self) -> Option<&SqlError> {
        match self {
            ConnectError::Query(e) => Some(e),
            ConnectError::Source(_) | ConnectError::Sink(_) => None,
        }
    }

    /// A source that cannot be what the query says, whatever the reason.
    pub(crate) fn of_query(e: &SourceError) -> ConnectError {
        ConnectError::Query(SqlError::new(e.to_string()))
    }
}

impl From<SourceError> for ConnectError {
    fn from(e: SourceError) -> Self {
        match e {
            SourceError::Config { .. } => ConnectError::of_query(&e),
            SourceError::Failed { .. } | SourceError::Read { .. } | SourceError::Stored { .. } => {
                ConnectError::Source(e)
            }
        }
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
