//! PERCENTILE: the value at a fraction of the sorted values, exact, between two of them
//! interpolated. NULLs are skipped; NULL if there was no other.
//!
//! Entries of the log are how often a value was seen (8 bytes, big-endian) and the value as DOUBLE
//! in key encoding, whose bytes sort as values do. What always holds: the order of entries does not
//! matter, and entries of one value may be added up at any time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};

use super::log::Logs;
use super::{Kernel, Selected};
use crate::floats::one_nan_64;
use crate::operator::OperatorError;

/// The type of PERCENTILE with an array of fractions.
pub(crate) fn array_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)))
}

pub(crate) fn kernel(fractions: Fractions) -> Box<dyn Kernel> {
    Box::new(Percentile { logs: Logs::default(), fractions })
}

/// Which percentiles are asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fractions {
    /// Between 0 and 1.
    pub fractions: Vec<f64>,
    /// An ARRAY of a value for each, else there is one.
    pub as_array: bool,
}

impl Fractions {
    /// The percentiles of groups, given the values of each with how often they are there, lowest
    /// first.
    pub(super) fn results(&self, groups: impl Iterator<Item = Vec<(f64, i64)>>) -> ArrayRef {
        let results: Vec<Option<Vec<f64>>> = groups
            .map(|values| {
                let total: i64 = values.iter().map(|(_, n)| n).sum();
                (total > 0).then(|| {
                    self.fractions.iter().map(|f| at_fraction(&values, total, *f)).collect()
                })
            })
            .collect();
        if !self.as_array {
            return Arc::new(
                results.iter().map(|r| r.as_ref()?.first().copied()).collect::<Float64Array>(),
            );
        }
        let offsets =
            OffsetBuffer::from_lengths(results.iter().map(|r| r.as_ref().map_or(0, Vec::len)));
        let nulls = NullBuffer::from_iter(results.iter().map(Option::is_some));
        let values: ArrayRef =
            Arc::new(results.into_iter().flatten().flatten().map(Some).collect::<Float64Array>());
        let DataType::List(field) = array_type() else { return values };
        Arc::new(ListArray::new(field, offsets, values, Some(nulls)))
    }
}

/// Calls `f(row, group, times)` for each value that counts, at least once.
pub(super) fn each(
    groups: &[u32],
    values: &Float64Array,
    rows: Selected<'_>,
    mut f: impl FnMut(usize, usize, i64),
) {
    let times = rows.second().and_then(|n| cast(n, &DataType::Int64).ok());
    let times = times.as_ref().map(|n| n.as_primitive::<Int64Type>());
    rows.for_each(groups, values, |row, g| {
        let times = times.map_or(1, |n| if n.is_valid(row) { n.value(row) } else { 0 });
        if times > 0 {
            f(row, g, times);
        }
    });
}

struct Percentile {
    logs: Logs,
    fractions: Fractions,
}

impl Percentile {
    fn compact(&mut self, g: usize) {
        self.logs.compact(g, |entries| {
            added_up(entries).into_iter().map(|(v, n)| entry(n, v).to_vec()).collect()
        });
    }
}

fn entry(times: i64, value: f64) -> [u8; 16] {
    let mut entry = [0; 16];
    entry[..8].copy_from_slice(&times.to_be_bytes());
    entry[8..].copy_from_slice(&value.to_be_bytes());
    entry
}

/// Every value once with how often it was seen, lowest first.
fn added_up(entries: Vec<&[u8]>) -> Vec<(f64, i64)> {
    let read = |e: &[u8]| {
        let (times, value) = e.split_first_chunk::<8>()?;
        Some((
            one_nan_64(f64::from_be_bytes(*value.first_chunk::<8>()?)),
            i64::from_be_bytes(*times),
        ))
    };
    let mut values: Vec<(f64, i64)> = entries.into_iter().filter_map(read).collect();
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    values.dedup_by(|from, into| {
        let same = from.0.total_cmp(&into.0).is_eq();
        if same {
            into.1 = into.1.saturating_add(from.1);
        }
        same
    });
    values
}

/// Linear interpolation at `(total - 1) * fraction`, as Flink's PERCENTILE does.
fn at_fraction(values: &[(f64, i64)], total: i64, fraction: f64) -> f64 {
    let position = (total - 1) as f64 * fraction;
    let (lower, higher) = (position.floor(), position.ceil());
    let value_at = |place: f64| {
        let mut before = 0;
        let found = values.iter().find(|(_, n)| {
            before += n;
            before as f64 > place
        });
        found.or(values.last()).map_or(f64::NAN, |(v, _)| *v)
    };
    let (low, high) = (value_at(lower), value_at(higher));
    if lower == higher || low == high {
        low
    } else {
        (higher - position) * low + (position - lower) * high
    }
}

impl Kernel for Percentile {
    fn resize(&mut self, groups: usize) {
        self.logs.resize(groups);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        let Some(values) = argument.and_then(|a| cast(a, &DataType::Float64).ok()) else { return };
        let values = values.as_primitive::<Float64Type>();
        let mut long = Vec::new();
        each(groups, values, rows, |row, g, times| {
            if self.logs.push(g, &[&entry(times, values.value(row))]) {
                long.push(g);
            }
        });
        long.dedup();
        for g in long {
            self.compact(g);
        }
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        for g in self.logs.merge(groups, &state[0]) {
            self.compact(g);
        }
    }
    fn clear(&mut self, group: u32) {
        self.logs.clear(group);
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        vec![self.logs.state(picks)]
    }
    fn state_types(&self) -> Vec<DataType> {
        Logs::state_types()
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        Ok(self.fractions.results(picks.iter().map(|&g| added_up(self.logs.entries(g).collect()))))
    }
    fn memory_bytes(&self) -> usize {
        self.logs.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_between_two_are_interpolated() {
        let values = [(1.0, 1), (2.0, 3), (10.0, 1)];
        for (fraction, expected) in [(0.0, 1.0), (0.5, 2.0), (0.125, 1.5), (1.0, 10.0), (0.9, 6.8)]
        {
            let found = at_fraction(&values, 5, fraction);
            assert!((found - expected).abs() < 1e-9, "{fraction}: {found}");
        }
    }

    #[test]
    fn a_long_log_is_added_up_and_gives_the_same() {
        let mut kernel = Percentile {
            logs: Logs::default(),
            fractions: Fractions { fractions: vec![0.5], as_array: false },
        };
        kernel.resize(1);
        let values: ArrayRef =
            Arc::new(Float64Array::from_iter_values((0..1000).map(|i| f64::from(i % 10))));
        for _ in 0..50 {
            kernel.update(&[0; 1000], Some(&values), Selected::ALL);
        }
        let result = kernel.evaluate(&[0]).expect("evaluates");
        assert_eq!(result.as_primitive::<Float64Type>().value(0), 4.5);
        assert!(kernel.logs.entries(0).count() < 2000);
    }
}
