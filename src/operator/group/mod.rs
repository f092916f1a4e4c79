//! GROUP BY without a window: a table of groups that changes with every row, sent on as a stream of changes.
//!
//! Runs behind an exchange by key, so one worker sees all rows of a key. In reading order: `keyed` (groups in memory and in
//! the store), `changes` (from rows to what they change), `aggregate` (the operator), `upserts` (changes by key). What always holds: for each row, in
//! order, the change that Flink prints: +I for a group's first row; -U and +U when its result differs; -D when its last row
//! is taken back. No row is ever late here.

pub mod aggregate;
mod changes;
pub mod keyed;
pub mod upserts;

use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef};

use super::aggregate::Aggregate;

/// A GROUP BY without a window, resolved. Input columns are, in this order: the keys, then arguments and filters.
#[derive(Debug, Clone)]
pub struct GroupSpec {
    /// Stable number of the operator within the query; part of stored keys.
    pub operator: u32,
    pub key_types: Vec<DataType>,
    pub aggregates: Vec<Aggregate>,
    /// Rows of the input may be taken back.
    pub retracts: bool,
    /// A group is forgotten when it got no row for so long (`table.exec.state.ttl`); None: never.
    pub ttl: Option<Duration>,
    /// Rows that are folded together before anything is sent (`table.exec.mini-batch.size`); None: each by itself.
    pub bundle_rows: Option<usize>,
    /// The keys, then the aggregates.
    pub output: SchemaRef,
}
