//! How are many groups aggregated at once? Kernels for all aggregate functions, with Flink's types and overflow.
//!
//! A [`Kernel`] holds one column of accumulators, indexed by group. Called by `window::table` once per batch. `update` folds
//! rows in, `state` and `merge` move partial aggregates between workers and the store, `evaluate` reads results without
//! changing anything. Rows, partials and groups may come in any order: the result is the same (FLOAT and DOUBLE sums to a
//! relative 1e-9). Functions that go by the order of arrival keep each row's place in it (`arrival`).
//!
//! In reading order: `count`, `sum`, `sum_decimal`, `avg`, `min_max`, `moments`, `moments_exact`, `moments_float` (numbers), `arrival`, `edge`
//! (first and last value), `log` (accumulators that keep every value), `form`, `listing`, `percentile`, `collect`; over rows
//! that are taken back: `retract`, `value_sets`, `counted`, `ordered`, `distinct`.

pub mod arrival;
mod avg;
mod collect;
mod count;
mod counted;
mod distinct;
mod edge;
pub mod form;
mod listing;
mod log;
mod min_max;
mod moments;
mod ordered;
pub mod percentile;
pub mod retract;
#[cfg(test)]
mod retract_random;
pub mod retracting;
mod sum;
mod sum_decimal;
mod value_sets;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::DataType;

use super::OperatorError;
use crate::state::key::is_key_type;
use arrival::ArrivalPlaces;
use form::Form;
use listing::Repeats;
use moments::Moment;
use percentile::Fractions;

/// Which aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Function {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    StddevPop,
    StddevSamp,
    VarPop,
    VarSamp,
    FirstValue,
    LastValue,
    ListAgg,
    Percentile,
    ArrayAgg,
    JsonArray,
    JsonObject,
    Collect,
}

impl Function {
    /// True if the result depends on which row came first: rows must know when they arrived.
    pub fn goes_by_arrival(self) -> bool {
        use Function::{ArrayAgg, FirstValue, JsonArray, JsonObject, LastValue, ListAgg};
        matches!(self, FirstValue | LastValue | ListAgg | ArrayAgg | JsonArray | JsonObject)
    }

    /// True if Flink cannot merge two of its accumulators: it refuses the function in HOP, CUMULATE and SESSION.
    pub fn is_for_tumble_only(self) -> bool {
        matches!(self, Function::FirstValue | Function::LastValue | Function::JsonArray)
    }
}

/// What becomes of values that are NULL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NullValues {
    #[default]
    Skipped,
    /// A NULL is a value like any other.
    Kept,
}

/// Which way a value of a group turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Comes,
    /// It is taken back.
    Goes,
}

/// What a call fixes besides its columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Fixed {
    #[default]
    Nothing,
    /// The fractions of PERCENTILE.
    Fractions(Fractions),
    /// What a listing makes of its values.
    Form(Form),
}

/// An aggregate call, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    pub function: Function,
    /// Index of the argument among the input columns; None is COUNT(*).
    pub argument: Option<usize>,
    /// Index of the second argument: the value of JSON_OBJECTAGG, the frequency of PERCENTILE.
    pub second: Option<usize>,
    pub fixed: Fixed,
    /// Index of a BOOLEAN input column: only rows where it is true count.
    pub filter: Option<usize>,
    /// The values are collected in a set first. Not for what goes by arrival, which must know where each came first.
    pub distinct: bool,
    /// DISTINCT of what goes by arrival: over rows that stay, the kernel itself sees to it.
    pub first_seen: bool,
    /// Type of the argument; Int64 for COUNT(*).
    pub input_type: DataType,
    pub output_type: DataType,
}

/// Flink's result type of an aggregate, or None if it does not take the argument. That of COLLECT is SQL's to say.
pub fn result_type(function: Function, input: &DataType) -> Option<DataType> {
    use DataType::{Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Utf8};
    match (function, input) {
        (Function::Count, _) => Some(Int64),
        (Function::Sum | Function::Avg, Int8 | Int16 | Int32 | Int64 | Float32 | Float64) => Some(input.clone()),
        (Function::Sum, Decimal128(_, s)) => Some(Decimal128(38, *s)),
        (Function::Avg, Decimal128(_, s)) => Some(Decimal128(38, (*s).max(6))),
        (Function::Min | Function::Max, t) if min_max::supports(t) => Some(t.clone()),
        (Function::StddevPop | Function::StddevSamp | Function::VarPop | Function::VarSamp, t) => moments::result_type(t),
        (Function::FirstValue | Function::LastValue, t) if is_key_type(t) => Some(t.clone()),
        (Function::ListAgg, Utf8) => Some(Utf8),
        (Function::Percentile, Int8 | Int16 | Int32 | Int64 | Float32 | Float64 | Decimal128(..)) => Some(Float64),
        (Function::ArrayAgg, t) if is_key_type(t) => Some(form::array_type(t)),
        (Function::JsonObject, Utf8) => Some(Utf8),
        (Function::JsonArray, _) => Some(Utf8),
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
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError>;
    /// What a change of is an update of the group though the result stays the same: Flink's row of a group has it beside the
    /// result.
    fn beside(&self, _picks: &[u32]) -> Option<ArrayRef> {
        None
    }
    fn memory_bytes(&self) -> usize;
}

/// The kernel of an aggregate. `Aggregate::output_type` must come from [`result_type`].
pub fn kernel(aggregate: &Aggregate) -> Box<dyn Kernel> {
    let input = &aggregate.input_type;
    match aggregate.function {
        Function::Count => Box::new(count::Count::default()),
        Function::Sum => sum::kernel(&aggregate.input_type, &aggregate.output_type),
        Function::Avg => avg::kernel(&aggregate.input_type, &aggregate.output_type),
        Function::Min => min_max::kernel(&aggregate.input_type, min_max::Extreme::Least),
        Function::Max => min_max::kernel(&aggregate.input_type, min_max::Extreme::Greatest),
        Function::StddevPop | Function::StddevSamp | Function::VarPop | Function::VarSamp => {
            moments::kernel(input, aggregate.moment())
        }
        Function::FirstValue => edge::kernel(input, edge::Side::First),
        Function::LastValue if !aggregate.first_seen => edge::kernel(input, edge::Side::Last),
        Function::Percentile => percentile::kernel(aggregate.fractions()),
        Function::Collect => collect::kernel(input, &aggregate.output_type),
        Function::LastValue | Function::ListAgg | Function::ArrayAgg | Function::JsonArray | Function::JsonObject => {
            let repeats = if aggregate.first_seen { Repeats::Skipped } else { Repeats::Kept };
            listing::kernel(aggregate.form(), repeats)
        }
    }
}

impl Aggregate {
    /// A call without DISTINCT, FILTER or anything else. `argument` None is COUNT(*).
    pub fn plain(function: Function, argument: Option<usize>, input_type: DataType, output_type: DataType) -> Aggregate {
        Aggregate {
            function,
            argument,
            second: None,
            fixed: Fixed::Nothing,
            filter: None,
            distinct: false,
            first_seen: false,
            input_type,
            output_type,
        }
    }

    /// Of PERCENTILE.
    fn fractions(&self) -> Fractions {
        if let Fixed::Fractions(fractions) = &self.fixed { fractions.clone() } else { Fractions::default() }
    }

    /// Of a standard deviation or variance.
    fn moment(&self) -> Moment {
        use Function::{StddevPop, StddevSamp, VarSamp};
        Moment { sample: matches!(self.function, StddevSamp | VarSamp), root: matches!(self.function, StddevPop | StddevSamp) }
    }

    /// Of what is made of values in their order.
    fn form(&self) -> Form {
        match (&self.fixed, self.function) {
            (Fixed::Form(form), _) => form.clone(),
            (_, Function::FirstValue) => Form::First { item: self.input_type.clone() },
            (_, Function::LastValue) => Form::Last { item: self.input_type.clone() },
            _ => Form::Text { separator: ",".into() },
        }
    }
}

/// Which rows of a batch take part (those where the FILTER is true), and what is known of them besides the argument.
#[derive(Clone, Copy)]
pub struct Selected<'a> {
    filter: Option<&'a BooleanArray>,
    second: Option<&'a ArrayRef>,
    places: Option<ArrivalPlaces<'a>>,
}

impl<'a> Selected<'a> {
    pub const ALL: Selected<'static> = Selected { filter: None, second: None, places: None };

    pub fn by(filter: Option<&'a BooleanArray>) -> Selected<'a> {
        Selected { filter, ..Selected::ALL }
    }

    /// The rows of an aggregate's input that take part.
    pub fn of(aggregate: &Aggregate, columns: &'a [ArrayRef], places: ArrivalPlaces<'a>) -> Selected<'a> {
        Selected {
            filter: aggregate.filter.map(|f| columns[f].as_boolean()),
            second: aggregate.second.map(|s| &columns[s]),
            places: Some(places),
        }
    }

    /// The same with another choice of rows.
    pub fn filtered(self, filter: &'a BooleanArray) -> Selected<'a> {
        Selected { filter: Some(filter), ..self }
    }

    /// The second argument.
    pub fn second(&self) -> Option<&'a ArrayRef> {
        self.second
    }

    /// When the rows arrived. None for partial aggregates and values of a set, which have no such place.
    pub fn places(&self) -> Option<ArrivalPlaces<'a>> {
        self.places
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

    /// The same, also with NULLs where they are kept.
    pub fn for_each_kept(&self, groups: &[u32], argument: &ArrayRef, nulls: NullValues, mut f: impl FnMut(usize, usize)) {
        if nulls == NullValues::Skipped {
            return self.for_each(groups, argument, f);
        }
        for (row, &g) in groups.iter().enumerate().filter(|(row, _)| self.has(*row)) {
            f(row, g as usize);
        }
    }
}
