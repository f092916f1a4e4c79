//! MIN, MAX, COLLECT and PERCENTILE over a table that changes: every value with the number of its
//! rows.
//!
//! Called through `retract`. What always holds: the result is that of the values with more than
//! zero rows, in whatever order they came, went and were merged; a partial aggregate is the values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};

use super::edge::null_key;
use super::percentile::{self, Fractions};
use super::retract::RetractKernel;
use super::value_sets::ValueSets;
use super::{Kernel, Selected, collect};
use crate::operator::OperatorError;
use crate::state::key::{KeyBuf, decode_keys, encode_keys};

/// What is made of the values.
pub(crate) enum Reading {
    Least,
    Greatest,
    /// A map of this type.
    Multiset(DataType),
    /// Of values as DOUBLE.
    Percentiles(Fractions),
}

pub(crate) fn kernel(input: &DataType, reading: Reading) -> Box<dyn RetractKernel> {
    let value_type =
        if let Reading::Percentiles(_) = reading { DataType::Float64 } else { input.clone() };
    Box::new(Counted { values: ValueSets::default(), value_type, reading })
}

struct Counted {
    values: ValueSets,
    value_type: DataType,
    reading: Reading,
}

impl Counted {
    fn add(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>, by: i64) {
        let Some(values) = argument.and_then(|a| cast(a, &self.value_type).ok()) else { return };
        let mut keys = KeyBuf::default();
        encode_keys(std::slice::from_ref(&values), values.len(), &mut keys);
        if let Reading::Percentiles(_) = self.reading {
            percentile::each(
                groups,
                values.as_primitive::<Float64Type>(),
                rows,
                |row, g, times| {
                    self.values.add(g, keys.get(row), by * times);
                },
            );
        } else {
            rows.for_each(groups, &values, |row, g| {
                self.values.add(g, keys.get(row), by);
            });
        }
    }

    fn decoded<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Result<ArrayRef, OperatorError> {
        Ok(decode_keys(std::slice::from_ref(&self.value_type), keys)?.remove(0))
    }

    fn weighted(&self, group: u32) -> Result<Vec<(f64, i64)>, OperatorError> {
        let values = self.decoded(self.values.there(group).map(|(value, _)| value))?;
        let times = self.values.there(group).map(|(_, n)| n);
        Ok(values.as_primitive::<Float64Type>().values().iter().copied().zip(times).collect())
    }
}

/// The key of NaN in a type that has it.
fn nan_key(data_type: &DataType) -> Option<Box<[u8]>> {
    let nan: ArrayRef = match data_type {
        DataType::Float32 => Arc::new(Float32Array::from(vec![f32::NAN])),
        DataType::Float64 => Arc::new(Float64Array::from(vec![f64::NAN])),
        _ => return None,
    };
    let mut keys = KeyBuf::default();
    encode_keys(&[nan], 1, &mut keys);
    Some(keys.get(0).into())
}

impl Kernel for Counted {
    fn resize(&mut self, groups: usize) {
        self.values.resize(groups);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        self.add(groups, argument, rows, 1);
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        self.values.read(groups, &state[0], |_, _, _| ());
    }
    fn clear(&mut self, group: u32) {
        self.values.clear(group);
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        vec![self.values.write(picks)]
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Binary]
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        let none = null_key(&self.value_type);
        let or_none = |found: Option<_>| found.map_or(none.as_slice(), |(value, _)| value);
        match &self.reading {
            Reading::Least => {
                self.decoded(picks.iter().map(|&g| or_none(self.values.there(g).next())))
            }
            Reading::Greatest => {
                let nan = nan_key(&self.value_type);
                let greatest = |g| {
                    let mut values = self.values.there(g);
                    let last = values.next_back();
                    // All NaN are one value, above the numbers; any number is taken before it.
                    match last {
                        Some((value, _)) if nan.as_deref() == Some(value) => {
                            values.next_back().or(last)
                        }
                        last => last,
                    }
                };
                self.decoded(picks.iter().map(|&g| or_none(greatest(g))))
            }
            Reading::Multiset(output) => collect::multisets(
                picks.iter().map(|&g| self.values.there(g)),
                &self.value_type,
                output,
            ),
            Reading::Percentiles(fractions) => {
                let groups =
                    picks.iter().map(|&g| self.weighted(g)).collect::<Result<Vec<_>, _>>()?;
                Ok(fractions.results(groups.into_iter()))
            }
        }
    }
    fn memory_bytes(&self) -> usize {
        self.values.memory_bytes()
    }
}

impl RetractKernel for Counted {
    fn retract(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        self.add(groups, argument, rows, -1);
    }
}
