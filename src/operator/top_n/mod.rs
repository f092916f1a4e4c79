//! Window Top-N: ROW_NUMBER() OVER (PARTITION BY window, keys ORDER BY ...) with a bound on the
//! number.
//!
//! Two operators work together. The one behind the aggregation keeps the best N per key of this
//! worker's rows and sends them on with the watermark; the one behind the exchange numbers the best
//! of all. In reading order: `best` (which rows those are), `waiting` (rows of windows that are not
//! over), `prune` and `number` (the operators), `ended` (ranks that a board has no more).
//!
//! What always holds: the order is total (after ORDER BY, the row's other columns decide; where the
//! first or last row of a key in event time is asked for, its place in the order of arrival does
//! before them), so the result does not depend on batches and workers; NULL sorts lowest; rows wait
//! here for their window only, and only N per key plus one batch's worth are kept.

mod best;
pub mod ended;
pub mod number;
pub mod prune;
mod waiting;

use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;

use crate::ids::OperatorId;
use crate::time::zone::Zone;

/// A window Top-N, resolved. Column numbers are those of the input.
#[derive(Debug, Clone)]
pub struct TopNSpec {
    pub operator: OperatorId,
    /// The zone in which the windows lie; None: on event time as it is.
    pub zone: Option<Zone>,
    /// PARTITION BY columns besides the window's.
    pub partition_by: Vec<usize>,
    pub order_by: Vec<(usize, SortOptions)>,
    pub limit: usize,
    /// The last column of `input` and of the ORDER BY is the place in the order of arrival, which
    /// rows do not have yet when they come to the first stage.
    pub by_arrival: bool,
    pub input: SchemaRef,
    /// The input's columns without the place, then the row number if the query selects it.
    pub output: SchemaRef,
}

/// Which of the two this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopNStage {
    /// Before the exchange: prunes, keeps the input's columns, holds nothing over a watermark or a
    /// barrier.
    Prune,
    /// After it: numbers rows, keeps state.
    Number,
}
