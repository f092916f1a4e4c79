//! DISTINCT in keyed state: an aggregate over the values that a group has, each once.
//!
//! Used by `retract`. A value is added to the aggregate behind when its first row comes, and taken back with its last; what
//! the order of values matters to sees them in the order in which they came. What always holds: a partial aggregate is the
//! values with their numbers of rows and nothing else, so merging two is exact: a value that is in both counts once.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;

use super::form::Form;
use super::retract::{Accumulators, RetractKernel};
use super::value_sets::ValueSets;
use super::{Aggregate, Fixed, Kernel, NullValues, Selected, Turn};
use crate::operator::OperatorError;
use crate::state::key::{KeyBuf, decode_keys, encode_keys};

pub struct Distinct {
    values: ValueSets,
    inner: Accumulators,
    input_type: DataType,
    nulls: NullValues,
}

/// Groups, and a value of each.
type Turned = (Vec<u32>, Vec<Box<[u8]>>);

/// `inner`: the same aggregate without DISTINCT.
pub fn kernel(aggregate: &Aggregate, inner: Accumulators) -> Box<dyn RetractKernel> {
    let nulls = match &aggregate.fixed {
        Fixed::Form(Form::Array { nulls, .. }) => *nulls,
        _ => NullValues::Skipped,
    };
    Box::new(Distinct { values: ValueSets::default(), inner, input_type: aggregate.input_type.clone(), nulls })
}

impl Distinct {
    fn change(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>, by: i64) {
        let Some(argument) = argument else { return };
        let mut keys = KeyBuf::default();
        encode_keys(std::slice::from_ref(argument), argument.len(), &mut keys);
        let (mut turned, mut turned_groups) = (Vec::new(), Vec::new());
        rows.for_each_kept(groups, argument, self.nulls, |row, g| {
            let (before, after) = self.values.add(g, keys.get(row), by);
            if (before > 0) != (after > 0) {
                turned.push(row as u32);
                turned_groups.push(g as u32);
            }
        });
        if turned.is_empty() {
            return;
        }
        // Indices come from the batch itself, and take knows every type that can be a key.
        let Ok(values) = take(argument, &UInt32Array::from(turned), None) else { return };
        self.turn(&turned_groups, &values, if by > 0 { Turn::Comes } else { Turn::Goes });
    }

    /// Tells the aggregate that values came or went.
    fn turn(&mut self, groups: &[u32], values: &ArrayRef, turn: Turn) {
        match turn {
            Turn::Comes => self.inner.kernel_mut().update(groups, Some(values), Selected::ALL),
            Turn::Goes => self.inner.retract(groups, Some(values), Selected::ALL),
        }
    }
}

impl Kernel for Distinct {
    fn resize(&mut self, groups: usize) {
        self.values.resize(groups);
        self.inner.kernel_mut().resize(groups);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        self.change(groups, argument, rows, 1);
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        let (mut came, mut went) = (Turned::default(), Turned::default());
        self.values.read(groups, &state[0], |g, value, turn| {
            let (groups, values) = match turn {
                Turn::Comes => &mut came,
                Turn::Goes => &mut went,
            };
            groups.push(g);
            values.push(value.into());
        });
        // Those that came first: where a group is merged twice at once, a value may come and go again.
        for ((groups, values), turn) in [(came, Turn::Comes), (went, Turn::Goes)] {
            if groups.is_empty() {
                continue;
            }
            let decoded = decode_keys(std::slice::from_ref(&self.input_type), values.iter().map(AsRef::as_ref));
            // Sets are written by this kernel: what is damaged was found by its checksum before.
            let Ok(mut decoded) = decoded else { continue };
            self.turn(&groups, &decoded.remove(0), turn);
        }
    }
    fn clear(&mut self, group: u32) {
        self.values.clear(group);
        self.inner.kernel_mut().clear(group);
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        vec![self.values.write(picks)]
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Binary]
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        self.inner.kernel().evaluate(picks)
    }
    fn beside(&self, picks: &[u32]) -> Option<ArrayRef> {
        self.inner.kernel().beside(picks)
    }
    fn memory_bytes(&self) -> usize {
        self.values.memory_bytes() + self.inner.kernel().memory_bytes()
    }
}

impl RetractKernel for Distinct {
    fn retract(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        self.change(groups, argument, rows, -1);
    }
}
