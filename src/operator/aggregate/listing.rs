//! LISTAGG, ARRAY_AGG, JSON_ARRAYAGG, JSON_OBJECTAGG and LAST_VALUE(DISTINCT): all values in the order they came.
//!
//! Entries of the log are a place in the order of arrival and a value as its `form` has it. What always holds: entries are
//! sorted when a result is made, so they may be merged in any order; with DISTINCT, a value counts where it came first.

use std::collections::HashSet;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::arrival::ORDER_BYTES;
use super::form::Form;
use super::log::Logs;
use super::{Kernel, Selected};
use crate::operator::OperatorError;

/// What becomes of a value that a group has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    Kept,
    /// Each value counts once, where it came first.
    Skipped,
}

pub fn kernel(form: Form, repeats: Repeats) -> Box<dyn Kernel> {
    Box::new(Listing { logs: Logs::default(), form, repeats })
}

struct Listing {
    logs: Logs,
    form: Form,
    repeats: Repeats,
}

impl Listing {
    /// The values of a group in order.
    fn values(&self, g: u32) -> Vec<&[u8]> {
        let mut entries: Vec<&[u8]> = self.logs.entries(g).collect();
        match self.repeats {
            Repeats::Skipped => entries = first_seen(entries),
            Repeats::Kept => entries.sort_unstable(),
        }
        entries.into_iter().filter_map(|e| e.get(ORDER_BYTES..)).collect()
    }
}

/// Each value once, where it came first, in the order of arrival.
fn first_seen(mut entries: Vec<&[u8]>) -> Vec<&[u8]> {
    entries.sort_unstable();
    let mut seen = HashSet::with_capacity(entries.len());
    entries.retain(|e| seen.insert(e.get(ORDER_BYTES..)));
    entries
}

fn compact(logs: &mut Logs, g: usize) {
    logs.compact(g, |entries| first_seen(entries).into_iter().map(<[u8]>::to_vec).collect());
}

impl Kernel for Listing {
    fn resize(&mut self, groups: usize) {
        self.logs.resize(groups);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        let (Some(values), Some(places)) = (argument, rows.places()) else { return };
        let Listing { logs, form, repeats } = self;
        form.each(groups, values, rows, |row, g, value| {
            if logs.push(g, &[&places.of(row), value]) && *repeats == Repeats::Skipped {
                compact(logs, g);
            }
        });
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        for g in self.logs.merge(groups, &state[0]) {
            if self.repeats == Repeats::Skipped {
                compact(&mut self.logs, g);
            }
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
        self.form.results(picks.iter().map(|&g| self.values(g).into_iter()))
    }
    fn memory_bytes(&self) -> usize {
        self.logs.memory_bytes()
    }
}
