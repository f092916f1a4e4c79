//! ORDER BY, and results that are sent once.
//!
//! Two operators, which have in common that rows wait. `by_time`: rows of a stream leave in order of
//! their rowtime, as the watermark passes it. `at_end`, for jobs in batch mode: rows are counted (in
//! `counts`) until the input has ended, and those that are there then leave in order, each once. What
//! always holds: the order is total, so it does not depend on batches, workers or crashes.

pub mod at_end;
pub mod by_time;
mod counts;

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;

use super::over::OverSpec;
use crate::ids::OperatorId;

/// ORDER BY a rowtime, resolved.
#[derive(Debug, Clone)]
pub struct ByTimeSpec {
    /// How rows wait: without keys and without functions.
    pub waiting: OverSpec,
    /// What rows of one time are ordered by, before the order in which they came.
    pub then: Vec<(usize, SortOptions)>,
}

/// What is left at the end of input, resolved. Column numbers are those of the rows.
#[derive(Debug, Clone)]
pub struct AtEndSpec {
    /// Stable number of the operator within the query; part of stored keys.
    pub operator: OperatorId,
    /// Rows of one worker are in this order, and after it in that of their values. None: rows stay
    /// with the workers that they belong to, and nothing is said of their order.
    pub order: Option<Vec<(usize, SortOptions)>>,
    pub slice: Slice,
    /// What comes out if nothing is there: the result of an aggregate without keys.
    pub if_empty: Option<RecordBatch>,
    pub rows: SchemaRef,
}

/// Which rows of those that are in order come out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slice {
    /// Rows at the front of the order that are left out.
    pub skip: u64,
    /// Rows behind them that come out at most.
    pub fetch: Option<u64>,
}

/// Whether rows that have no key come to this worker: one of all has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfNoKey {
    ComeHere,
    GoElsewhere,
}
