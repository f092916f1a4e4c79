//! Why does nothing more come of a request to DynamoDB, and who has to act?
//!
//! Made where repetitions end: by `describe`, `sender` and `lookup`, whose owners make an error of
//! the table of it.

use crate::sink::SinkError;
use crate::who::{Again, Who};

/// What no repetition has mended, or can: it ends the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub reason: String,
    pub who: Who,
}

impl Lost {
    pub fn outside(again: Again, reason: impl Into<String>) -> Lost {
        Lost { reason: reason.into(), who: Who::Outside(again) }
    }

    /// As the end of writing into a table.
    pub fn of(self, table: &str) -> SinkError {
        SinkError::Write { table: table.into(), reason: self.reason, who: self.who }
    }
}
