//! OVER: for each row, an aggregate of the rows of its key up to it.
//!
//! Runs behind an exchange by key. Rows wait until the watermark reaches them and are then taken in
//! order of time, those of one time in order of arrival. In reading order: `waiting` (which rows
//! are due), `tail` (what later frames still reach), `lateness` (which rows a frame of time still
//! takes), `frames` (aggregates over ranges of rows), `bounded` and `unbounded` (the two kinds of
//! frames), `operator`.
//!
//! Ordered by a column that is no time, nothing waits: `by_value` with `ordered` and `running`
//! sends each row at once, and again when an earlier one comes.
//!
//! **Late rows, one split** (Flink's rule). A row is behind if its time is at or before the
//! watermark. With an unbounded frame it is dropped. With a bounded one it is taken after all rows
//! up to that watermark, and dropped only if its key has given out a row of its time or later; a
//! key's first rows are taken however late they are. Frames of time add a detail of Flink's, which
//! `lateness` explains.
//!
//! **Several splits.** A row is behind if its *own split's* watermark says so. It is taken at that
//! watermark's turn: after the rows of all splits up to it, before all others. So what comes out is
//! a function of the records of each split, and does not depend on how the splits interleave:
//!
//! ```text
//! turn(row) = (time, 0)               if time > watermark of its split before it
//!           = (that watermark, 1)     else
//! order     = turn, time, split, number in the split
//! ```

mod bounded;
pub mod by_value;
pub(super) mod frames;
mod lateness;
pub mod operator;
mod tail;
mod unbounded;
pub(super) mod waiting;

use arrow::datatypes::SchemaRef;

use super::aggregate::Aggregate;
use crate::ids::OperatorId;

/// How far back a row's frame reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Rows up to so much earlier, and those of the same time.
    Range { preceding_ms: i64 },
    /// So many rows before it.
    Rows { preceding: usize },
    /// The same, counted from the last row of its time: what LAG looks back over.
    RowsBeforePeers { preceding: usize },
    /// All before it, and those of the same time.
    UnboundedRange,
    /// All before it.
    UnboundedRows,
}

/// A function over the frame.
#[derive(Debug, Clone)]
pub enum OverCall {
    Aggregate(Aggregate),
    /// The value of a column so many rows before; behind the start of a key that of another column,
    /// or NULL.
    Lag {
        column: usize,
        offset: usize,
        default: Option<usize>,
    },
    RowNumber,
    /// RANK and DENSE_RANK: both count the rows up to this time, as Flink has it, where they differ
    /// from other databases.
    Rank,
}

/// An OVER clause with its functions, resolved. Column numbers are those of the input.
#[derive(Debug, Clone)]
pub struct OverSpec {
    /// Stable number of the operator within the query; part of stored keys.
    pub operator: OperatorId,
    pub frame: Frame,
    /// Only the first row of each key is wanted. Flink's deduplication takes one at the watermark
    /// itself, its OVER does not.
    pub first_only: bool,
    pub partition: Vec<usize>,
    pub rowtime: usize,
    pub calls: Vec<OverCall>,
    pub input: SchemaRef,
    /// Columns of the input that come out; those behind them were added for the functions.
    pub width: usize,
    /// Those columns, then the results.
    pub output: SchemaRef,
}
