//! Continuous Top-N: the best rows of each partition, kept up to date row by row.
//!
//! ROW_NUMBER() with a bound on the number where no window closes, and ORDER BY with LIMIT. Runs
//! behind an exchange by the partition. In reading order: `sorted` (the rows of a partition in
//! order), `changes` (what one row changes), `operator`. What always holds: for each row, in order,
//! the changes that Flink prints. Rows that compare equal keep the order in which they came.

mod changes;
pub mod operator;
pub(crate) mod sorted;

use std::time::Duration;

use crate::ids::OperatorId;
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;

/// How a partition is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Over rows that are never taken back: as many rows as come out.
    Best,
    /// The same for a single row, which is replaced in place. `ties_replace`: by one that compares
    /// equal too.
    First { ties_replace: bool },
    /// Rows may be taken back: all of them.
    All,
    /// The same; of a partition the row that came last is shown, whatever it is ordered by.
    Newest,
}

/// A continuous Top-N, resolved. Column numbers are those of the input.
#[derive(Debug, Clone)]
pub struct RankSpec {
    /// Stable number of the operator within the query; part of stored keys.
    pub operator: OperatorId,
    pub partition: Vec<usize>,
    pub order: Vec<(usize, SortOptions)>,
    /// The first and the last number that come out, from 1.
    pub start: usize,
    pub end: usize,
    /// The number is looked at: rows that only move up or down are sent again.
    pub with_number: bool,
    pub keeping: Keeping,
    /// A partition is forgotten when nothing changed in it for so long (`table.exec.state.ttl`);
    /// None: never.
    pub ttl: Option<Duration>,
    pub input: SchemaRef,
    /// The input's columns, then the number if the query has a column for it: NULL unless it is
    /// looked at.
    pub output: SchemaRef,
}
