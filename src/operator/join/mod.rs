//! Joins: rows of two inputs side by side.
//!
//! Both inputs come through an exchange by the join's keys, so one worker has all rows that can
//! match. In reading order: `columns` (of two inputs side by side), `pairs` (which rows of two batches match, in bounded steps), `window`
//! (rows of the same window), `held` (rows that wait for others) and `interval` (rows of about the
//! same time), `versioned` (rows with what a table said at their time), both with `due` (what a
//! watermark has to look at) and `waiting` (their state), `regular` (rows without a bound in time),
//! `multiset` (INTERSECT ALL and EXCEPT ALL). `lookup` stands apart: its other side is a table outside, and nothing is exchanged
//! for it.

mod columns;
pub(super) mod due;
mod held;
pub mod interval;
pub mod lookup;
pub mod multiset;
mod pairs;
pub mod regular;
pub mod versioned;
mod waiting;
pub mod window;

use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use datafusion_physical_expr::PhysicalExpr;

use crate::ids::OperatorId;
use crate::time::zone::Zone;

/// Which rows come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    Inner,
    /// Rows without a match too, with NULLs in the other's place.
    Left,
    Right,
    Full,
    /// Rows of the left input that have a match, once, without the other's columns.
    Semi,
    /// Those that have none.
    Anti,
    /// NOT IN: none if the right side holds a NULL; a left NULL only if the right side is empty.
    NullAwareAnti,
}

impl JoinKind {
    fn keeps_left(self) -> bool {
        matches!(self, JoinKind::Left | JoinKind::Full | JoinKind::Anti | JoinKind::NullAwareAnti)
    }

    fn keeps_right(self) -> bool {
        matches!(self, JoinKind::Right | JoinKind::Full)
    }

    fn only_left(self) -> bool {
        matches!(self, JoinKind::Semi | JoinKind::Anti | JoinKind::NullAwareAnti)
    }
}

/// A join, resolved.
#[derive(Debug, Clone)]
pub struct JoinSpec {
    /// Stable number of the operator within the query; part of stored keys.
    pub operator: OperatorId,
    /// The zone in which the windows lie; None: on event time as it is.
    pub zone: Option<Zone>,
    pub kind: JoinKind,
    /// Columns of each input that must be equal, pairwise. NULLs are equal to nothing.
    pub keys: [Vec<usize>; 2],
    pub inputs: [SchemaRef; 2],
    /// Columns of each input that come out: those behind them were added for the join.
    pub widths: [usize; 2],
    /// Over the columns of both inputs.
    pub condition: Option<Arc<dyn PhysicalExpr>>,
    pub output: SchemaRef,
}

impl JoinSpec {
    /// The columns of the key, as the left side has them.
    fn key_fields(&self) -> Vec<Field> {
        self.keys[0].iter().map(|&c| self.inputs[0].field(c).clone()).collect()
    }

    /// Columns of an input that decide which worker and key group has a row. NOT IN has to see
    /// every NULL of the other side: all its rows come together.
    pub(crate) fn placed_by(&self, input: usize) -> &[usize] {
        if self.kind == JoinKind::NullAwareAnti { &[] } else { &self.keys[input] }
    }
}
