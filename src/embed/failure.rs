//! Why a job of one's own program did not run or did not end well.

use super::QUERY;
use super::start::StartError;
use crate::connector::ConnectError;
use crate::runtime::error::JobError;
use crate::sql::error::SqlError;
use crate::who::{Mistake, Who};

/// The message is for people: it says where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum JobFailure {
    /// The query or a setting is wrong: with the line, and a caret below what is meant.
    #[error("{0}")]
    Query(String),
    /// A table's connection is wrong, or what it names is not there.
    #[error(transparent)]
    Connect(ConnectError),
    /// The system refused threads or a temporary folder.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// The job failed, or does not go on from what its state directory holds.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl JobFailure {
    /// Who has to act. Where [`crate::Again::MayHelp`] is said, the same job may be run again as it
    /// is; else something has to change before.
    pub fn who(&self) -> Who {
        match self {
            JobFailure::Query(_) => Who::User(Mistake::Asked),
            JobFailure::Connect(e) => e.who(),
            JobFailure::System(e) => Who::of_io(e),
            JobFailure::Job(e) => e.who(),
        }
    }

    pub(super) fn query(error: &SqlError, sql: &str) -> JobFailure {
        JobFailure::Query(error.render(QUERY, sql))
    }

    pub(super) fn connect(error: ConnectError, sql: &str) -> JobFailure {
        match error.in_text() {
            Some(of_text) => JobFailure::query(of_text, sql),
            None => JobFailure::Connect(error),
        }
    }

    pub(super) fn start(error: StartError, sql: &str) -> JobFailure {
        match error {
            StartError::Connect(e) => JobFailure::connect(e, sql),
            StartError::State(e) => JobFailure::Job(e),
        }
    }
}
