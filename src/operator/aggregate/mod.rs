//! How are many groups aggregated at once? Kernels for COUNT, SUM, AVG, MIN and MAX with Flink's types and overflow.
//!
//! A [`Kernel`] holds one column of accumulators, indexed by group. Called by `window::table` once per batch. `update` folds
//! rows in, `state` and `merge` move partial aggregates between workers and the store, `evaluate` reads results without
//! changing anything. Rows, partials and groups may come in any order: the result is the same (FLOAT and DOUBLE sums to a
//! relative 1e-9).

mod avg;
mod count;
mod min_max;
pub mod retract;
mod sum;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::datatypes::DataType;

/// Which aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Function {
    Count,
    Sum,
    Avg,
    Min,
    Max,
}

/// An aggregate call, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    pub function: Function,
    /// Index of the argument among the input columns; None is COUNT(*).
    pub argument: Option<usize>,
    /// Index of a BOOLEAN input column: only rows where it is true count.
    pub filter: Option<usize>,
    pub distinct: bool,
    /// Type of the argument; Int64 for COUNT(*).
    pub input_type: DataType,
    pub output_type: DataType,
}

/// Flink's result type of an aggregate, or None if it does not take the argument.
pub fn result_type(function: Function, input: &DataType) -> Option<DataType> {
    use DataType::{Decimal128, Float32, Float64, Int8, Int16, Int32, Int64};
    match (function, input) {
        (Function::Count, _) => Some(Int64),
        (Function::Sum | Function::Avg, Int8 | Int16 | Int32 | Int64 | Float32 | Float64) => Some(input.clone()),
        (Function::Sum, Decimal128(_, s)) => Some(Decimal128(38, *s)),
        (Function::Avg, Decimal128(_, s)) => Some(Decimal128(38, (*s).max(6))),
        (Function::Min | Function::Max, t) if min_max::supports(t) => Some(t.clone()),
        _ => None,
    }
}

/// The accumulators of one aggregate, one per group.
pub trait Kernel: Send {
    /// Makes room for groups up to `groups`; new ones start empty.
    fn resize(&mut self, groups: usize);
    /// Folds rows in: row i belongs to group `groups[i]` and takes part if `rows` says so.
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>);
    /// Folds partial aggregates in, in the form that [`Kernel::state`] gives.
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]);
    /// Makes a group empty again.
    fn clear(&mut self, group: u32);
    /// The partial aggregates of the picked groups, in that order.
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef>;
    fn state_types(&self) -> Vec<DataType>;
    /// The results of the picked groups, in that order, with the aggregate's output type.
    fn evaluate(&self, picks: &[u32]) -> ArrayRef;
    fn memory_bytes(&self) -> usize;
}

/// The kernel of an aggregate. `Aggregate::output_type` must come from [`result_type`].
pub fn kernel(aggregate: &Aggregate) -> Box<dyn Kernel> {
    match aggregate.function {
        Function::Count => Box::new(count::Count::default()),
        Function::Sum => sum::kernel(&aggregate.input_type, &aggregate.output_type),
        Function::Avg => avg::kernel(&aggregate.input_type, &aggregate.output_type),
        Function::Min => min_max::kernel(&aggregate.input_type, false),
        Function::Max => min_max::kernel(&aggregate.input_type, true),
    }
}

/// Which rows of a batch take part: those where the FILTER is true.
#[derive(Clone, Copy)]
pub struct Selected<'a> {
    filter: Option<&'a BooleanArray>,
}

impl<'a> Selected<'a> {
    pub const ALL: Selected<'static> = Selected { filter: None };

    pub fn by(filter: Option<&'a BooleanArray>) -> Selected<'a> {
        Selected { filter }
    }

    #[inline]
    pub fn has(&self, row: usize) -> bool {
        self.filter.is_none_or(|f| f.is_valid(row) && f.value(row))
    }

    /// Calls `f(row, group)` for the rows that take part and where `argument` is not NULL.
    #[inline]
    pub fn for_each<A: Array + ?Sized>(&self, groups: &[u32], argument: &A, mut f: impl FnMut(usize, usize)) {
        match (self.filter, argument.nulls().filter(|n| n.null_count() > 0)) {
            (None, None) => {
                for (row, &g) in groups.iter().enumerate() {
                    f(row, g as usize);
                }
            }
            (None, Some(nulls)) => {
                for (row, &g) in groups.iter().enumerate() {
                    if nulls.is_valid(row) {
                        f(row, g as usize);
                    }
                }
            }
            (Some(_), nulls) => {
                for (row, &g) in groups.iter().enumerate() {
                    if self.has(row) && nulls.is_none_or(|n| n.is_valid(row)) {
                        f(row, g as usize);
                    }
                }
            }
        }
    }
}
