//! Aggregates over a table that changes: kernels that also take rows back, and DISTINCT for keyed state.
//!
//! Used by `group`. A [`RetractKernel`] forgets a row exactly: sums and counts are inverted (`moments` too), what depends on
//! single values keeps every value with the number of its rows (`counted`) or in the order they came (`ordered`), and
//! DISTINCT is a set of counted values before any of them (`distinct`). What always holds: the result after any sequence of
//! updates and retractions is that of the rows that are left, and NULL (0 for COUNT) once none is left. A row may be taken
//! back before it was added, as two paths of a query can deliver them in that order. Merging two partial aggregates adds
//! them up: where values have an order, those of the one that is merged in come behind.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type, Int64Type};

use super::count::Count;
use super::sum::{each_float, each_integer, wrap};
use super::sum_decimal::WideSums;
use super::{Aggregate, Function, Kernel, Selected, Turn, avg};
use crate::operator::OperatorError;

/// A kernel that can take rows back.
pub trait RetractKernel: Kernel {
    /// Takes rows back that were added by `update`, in the same form.
    fn retract(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>);
}

/// The accumulators of one aggregate in keyed state.
pub enum Accumulators {
    /// Over a table that only grows.
    Append(Box<dyn Kernel>),
    Retract(Box<dyn RetractKernel>),
}

impl Accumulators {
    pub fn kernel(&self) -> &dyn Kernel {
        match self {
            Accumulators::Append(k) => k.as_ref(),
            Accumulators::Retract(k) => k.as_ref(),
        }
    }

    pub fn kernel_mut(&mut self) -> &mut dyn Kernel {
        match self {
            Accumulators::Append(k) => k.as_mut(),
            Accumulators::Retract(k) => k.as_mut(),
        }
    }

    /// Only where the kernel was made for it.
    pub fn retract(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        if let Accumulators::Retract(k) = self {
            k.retract(groups, argument, rows);
        }
    }
}

impl RetractKernel for Count {
    fn retract(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        self.add(groups, argument, rows, -1);
    }
}

pub(super) enum Sums {
    Integer(Vec<i64>),
    Float(Vec<f64>),
    Decimal(WideSums),
}

impl Sums {
    pub(super) fn of(input: &DataType) -> Sums {
        match input {
            DataType::Decimal128(..) => Sums::Decimal(WideSums::default()),
            DataType::Float32 | DataType::Float64 => Sums::Float(vec![]),
            _ => Sums::Integer(vec![]),
        }
    }

    fn add(&mut self, groups: &[u32], argument: &ArrayRef, rows: Selected<'_>, turn: Turn) {
        match self {
            Sums::Integer(sums) => each_integer(groups, argument, rows, |g, v| {
                sums[g] = match turn {
                    Turn::Comes => sums[g].wrapping_add(v),
                    Turn::Goes => sums[g].wrapping_sub(v),
                };
            }),
            Sums::Float(sums) => each_float(groups, argument, rows, |g, v| {
                sums[g] += match turn {
                    Turn::Comes => v,
                    Turn::Goes => -v,
                };
            }),
            Sums::Decimal(sums) => {
                let array = argument.as_primitive::<Decimal128Type>();
                rows.for_each(groups, array, |row, g| {
                    sums.add(
                        g,
                        match turn {
                            Turn::Comes => array.value(row),
                            Turn::Goes => -array.value(row),
                        },
                    );
                });
            }
        }
    }
}

/// SUM and AVG as a sum and the number of its values.
pub(super) struct SumCount {
    pub sums: Sums,
    pub counts: Count,
    pub aggregate: Aggregate,
}

impl SumCount {
    fn sum_type(&self) -> DataType {
        match &self.aggregate.input_type {
            DataType::Decimal128(_, s) => DataType::Decimal128(38, *s),
            DataType::Float32 | DataType::Float64 => DataType::Float64,
            _ => DataType::Int64,
        }
    }
}

impl Kernel for SumCount {
    fn resize(&mut self, groups: usize) {
        match &mut self.sums {
            Sums::Integer(sums) => sums.resize(groups, 0),
            Sums::Float(sums) => sums.resize(groups, 0.0),
            Sums::Decimal(sums) => sums.resize(groups),
        }
        self.counts.resize(groups);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        if let Some(values) = argument {
            self.sums.add(groups, values, rows, Turn::Comes);
        }
        self.counts.update(groups, argument, rows);
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        let (sums, counts) = state.split_at(state.len() - 1);
        match &mut self.sums {
            Sums::Decimal(wide) => wide.merge(groups, sums),
            others => others.add(groups, &sums[0], Selected::ALL, Turn::Comes),
        }
        self.counts.merge(groups, counts);
    }
    fn clear(&mut self, group: u32) {
        let g = group as usize;
        match &mut self.sums {
            Sums::Integer(sums) => sums[g] = 0,
            Sums::Float(sums) => sums[g] = 0.0,
            Sums::Decimal(sums) => sums.clear(group),
        }
        self.counts.clear(group);
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        let mut state: Vec<ArrayRef> = match &self.sums {
            Sums::Integer(sums) => vec![Arc::new(Int64Array::from_iter_values(picks.iter().map(|&g| sums[g as usize])))],
            Sums::Float(sums) => vec![Arc::new(Float64Array::from_iter_values(picks.iter().map(|&g| sums[g as usize])))],
            Sums::Decimal(sums) => sums.state(picks, &self.sum_type(), |_| true),
        };
        state.extend(self.counts.state(picks));
        state
    }
    fn state_types(&self) -> Vec<DataType> {
        let wraps = matches!(self.sums, Sums::Decimal(_)).then_some(DataType::Int32);
        [self.sum_type()].into_iter().chain(wraps).chain(self.counts.state_types()).collect()
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        let counts = self.counts.evaluate(picks)?;
        let counts = counts.as_primitive::<Int64Type>();
        // Without values there is no sum, whatever rounding left there.
        let known = || picks.iter().zip(counts.values()).map(|(&g, &n)| (n != 0).then_some(g as usize));
        let sums: ArrayRef = match &self.sums {
            Sums::Integer(sums) => Arc::new(known().map(|g| Some(sums[g?])).collect::<Int64Array>()),
            Sums::Float(sums) => Arc::new(known().map(|g| Some(sums[g?])).collect::<Float64Array>()),
            Sums::Decimal(sums) => {
                let fitting = known().map(|g| sums.get(g?)).collect::<Decimal128Array>();
                Arc::new(fitting.with_data_type(self.sum_type()))
            }
        };
        let output = &self.aggregate.output_type;
        if self.aggregate.function == Function::Avg {
            return Ok(avg::averages(&sums, counts, &self.sum_type(), output));
        }
        Ok(match sums.data_type() {
            DataType::Int64 => wrap(sums.as_primitive::<Int64Type>().iter(), output),
            DataType::Float64 if *output == DataType::Float32 => {
                Arc::new(sums.as_primitive::<Float64Type>().unary::<_, Float32Type>(|v| v as f32))
            }
            _ => sums,
        })
    }
    fn memory_bytes(&self) -> usize {
        let sums = match &self.sums {
            Sums::Integer(sums) => sums.capacity() * 8,
            Sums::Float(sums) => sums.capacity() * 8,
            Sums::Decimal(sums) => sums.memory_bytes(),
        };
        sums + self.counts.memory_bytes()
    }
}

impl RetractKernel for SumCount {
    fn retract(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        if let Some(values) = argument {
            self.sums.add(groups, values, rows, Turn::Goes);
        }
        self.counts.add(groups, argument, rows, -1);
    }
}
