//! Rows of a table outside, asked for by key: what a lookup join needs of it.
//!
//! Used by `operator::join::lookup`, connected by `connect`. In reading order: `options` (what WITH
//! may say), `cache` (answers that are kept), `asker` (an operator's questions and their answers);
//! what answers is in `connector`. What always holds: nothing here waits on a worker's thread;
//! whoever asks is woken once the answer is there, and there is one answer to each question,
//! whatever becomes of the outside.

mod asker;
pub mod cache;
pub mod options;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::who::{Again, Who};

pub use crate::lookup::cache::Key;
pub use asker::{Answer, Asker, Keys, Lookup, Reply};

/// A table that can be asked. Shared by all workers.
pub trait LookupTable: Send + Sync {
    /// Asks for the rows of some keys: a row each, all different, without NULL. Must not wait. The
    /// reply is a batch of [`LookupSpec::schema`]; rows of one key stand in the order in which they
    /// are to come out.
    fn ask(&self, keys: RecordBatch, reply: Reply);
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct LookupSpec {
    /// The SQL table, for messages.
    pub table: String,
    /// The columns of an answer.
    pub schema: SchemaRef,
    /// Those among them that are asked by.
    pub keys: Vec<usize>,
    /// The table's primary key: in DynamoDB the partition key, then the sort key if there is one.
    /// None: any number of rows may have the same values.
    pub primary_key: Vec<String>,
}

impl LookupSpec {
    /// A key has one row at most.
    pub(crate) fn is_unique(&self) -> bool {
        let is_asked =
            |column: &String| self.keys.iter().any(|&key| self.schema.field(key).name() == column);
        !self.primary_key.is_empty() && self.primary_key.iter().all(is_asked)
    }

    /// The columns of a question.
    pub(crate) fn key_schema(&self) -> SchemaRef {
        Arc::new(arrow::datatypes::Schema::new(
            self.keys.iter().map(|&k| self.schema.field(k).clone()).collect::<Vec<_>>(),
        ))
    }
}

/// A failure that ends the job. The message says where and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    #[error("lookup in table '{table}': {reason}")]
    Table { table: String, reason: String, who: Who },
    #[error("lookup in table '{table}' of {key}: {reason}")]
    Key { table: String, key: String, reason: String, who: Who },
    #[error("lookup: the table stopped before it had answered")]
    Stopped,
}

impl LookupError {
    pub fn who(&self) -> Who {
        match self {
            LookupError::Table { who, .. } | LookupError::Key { who, .. } => *who,
            LookupError::Stopped => Who::Outside(Again::MayHelp),
        }
    }
}
