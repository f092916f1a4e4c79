//! FIRST_VALUE, LAST_VALUE, LISTAGG, ARRAY_AGG and the JSON aggregates over a table that changes: every value, in the order in
//! which rows came.
//!
//! What is taken back is the oldest equal value, as in Flink. Called through `retract`, and behind `distinct` for each value
//! once. What always holds: a value is never both there and owed. A partial aggregate is
//! `values (4) | (length (4) | value) * values`, little-endian, twice: what is there, and what was taken back before it came.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray};
use arrow::datatypes::DataType;

use super::form::Form;
use super::retract::RetractKernel;
use super::{Kernel, Selected, Turn};
use crate::operator::OperatorError;

pub fn kernel(form: Form) -> Box<dyn RetractKernel> {
    Box::new(Ordered { groups: vec![], bytes: 0, form })
}

#[derive(Default)]
struct Values {
    there: Vec<Box<[u8]>>,
    owed: Vec<Box<[u8]>>,
}

struct Ordered {
    groups: Vec<Values>,
    bytes: usize,
    form: Form,
}

/// What a value costs in memory besides its bytes.
const VALUE_BYTES: usize = 32;

fn remove_first(values: &mut Vec<Box<[u8]>>, value: &[u8]) -> bool {
    match values.iter().position(|v| **v == *value) {
        Some(at) => {
            values.remove(at);
            true
        }
        None => false,
    }
}

impl Values {
    /// Adds a value, or takes one back. Returns by how many bytes memory changes.
    fn change(&mut self, value: &[u8], turn: Turn) -> isize {
        let (from, to) = match turn {
            Turn::Comes => (&mut self.owed, &mut self.there),
            Turn::Goes => (&mut self.there, &mut self.owed),
        };
        let cost = (value.len() + VALUE_BYTES) as isize;
        if remove_first(from, value) {
            -cost
        } else {
            to.push(value.into());
            cost
        }
    }
}

impl Ordered {
    fn each(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>, turn: Turn) {
        let Some(argument) = argument else { return };
        let Ordered { groups: held, bytes, form } = self;
        form.each(groups, argument, rows, |_, g, value| {
            *bytes = bytes.saturating_add_signed(held[g].change(value, turn));
        });
    }
}

fn write(out: &mut Vec<u8>, values: &[Box<[u8]>]) {
    out.extend_from_slice(&(values.len() as u32).to_le_bytes());
    for value in values {
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(value);
    }
}

fn read(input: &mut &[u8]) -> Option<Vec<Box<[u8]>>> {
    let number = |input: &mut &[u8]| {
        let (head, rest) = input.split_first_chunk::<4>()?;
        *input = rest;
        Some(u32::from_le_bytes(*head) as usize)
    };
    let count = number(input)?;
    let mut values = Vec::new();
    for _ in 0..count {
        let length = number(input)?;
        let (value, rest) = input.split_at_checked(length)?;
        *input = rest;
        values.push(value.into());
    }
    Some(values)
}

impl Kernel for Ordered {
    fn resize(&mut self, groups: usize) {
        self.groups.resize_with(groups, Values::default);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        self.each(groups, argument, rows, Turn::Comes);
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        let state = state[0].as_binary::<i32>();
        for (row, &g) in groups.iter().enumerate().filter(|(row, _)| state.is_valid(*row)) {
            let mut bytes = state.value(row);
            let (there, owed) = (read(&mut bytes).unwrap_or_default(), read(&mut bytes).unwrap_or_default());
            let group = &mut self.groups[g as usize];
            let changes = there.iter().map(|v| (v, Turn::Comes)).chain(owed.iter().map(|v| (v, Turn::Goes)));
            for (value, turn) in changes {
                self.bytes = self.bytes.saturating_add_signed(group.change(value, turn));
            }
        }
    }
    fn clear(&mut self, group: u32) {
        let Values { there, owed } = std::mem::take(&mut self.groups[group as usize]);
        self.bytes -= there.iter().chain(&owed).map(|v| v.len() + VALUE_BYTES).sum::<usize>();
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        let written = picks.iter().map(|&g| {
            let mut out = Vec::new();
            write(&mut out, &self.groups[g as usize].there);
            write(&mut out, &self.groups[g as usize].owed);
            out
        });
        vec![Arc::new(BinaryArray::from_iter_values(written))]
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Binary]
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        self.form.results(picks.iter().map(|&g| self.groups[g as usize].there.iter().map(AsRef::as_ref)))
    }
    fn memory_bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Values>() + self.bytes
    }
}

impl RetractKernel for Ordered {
    fn retract(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        self.each(groups, argument, rows, Turn::Goes);
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;

    fn text(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn the_oldest_equal_value_is_taken_back() {
        let mut list = kernel(Form::Text { separator: "-".into() });
        list.resize(2);
        list.update(&[0, 0, 0, 1], Some(&text(&[Some("a"), Some("b"), Some("a"), None])), Selected::ALL);
        list.retract(&[0, 1], Some(&text(&[Some("a"), Some("x")])), Selected::ALL);
        // What was taken back before it came never was.
        list.update(&[1], Some(&text(&[Some("x")])), Selected::ALL);
        let mut copy = kernel(Form::Text { separator: "-".into() });
        copy.resize(2);
        copy.merge(&[0, 1], &list.state(&[0, 1]));
        for kernel in [&list, &copy] {
            let result = kernel.evaluate(&[0, 1]).expect("evaluates");
            assert_eq!(result.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("b-a"), None]);
        }
    }
}
