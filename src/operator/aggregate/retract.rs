//! Aggregates over a table that changes: kernels that also take rows back, and DISTINCT for keyed state.
//!
//! Used by `group`. A [`RetractKernel`] forgets a row exactly: sums and counts are inverted, MIN and MAX keep every value
//! with the number of its rows. What always holds: the result after any sequence of updates and retractions is that of the
//! rows that are left, and NULL (0 for COUNT) once none is left. A row may be taken back before it was added, as two paths of
//! a query can deliver them in that order.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Float64Array, Int64Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type, Int64Type};

use super::count::Count;
use super::edge::null_key;
use super::listing::Form;
use super::ordered::{self, Reading};
use super::sum::{DECIMAL_LIMIT, each_float, each_integer, wrap};
use super::{Aggregate, Fixed, Function, Kernel, Selected, avg, kernel};
use crate::operator::OperatorError;
use crate::state::key::{KeyBuf, decode_keys, encode_keys};

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
    /// `retracts`: rows may be taken back. None if the aggregate cannot do that.
    pub fn of(aggregate: &Aggregate, retracts: bool) -> Option<Accumulators> {
        let plain = |aggregate: &Aggregate| {
            if retracts {
                retracting(aggregate).map(Accumulators::Retract)
            } else {
                Some(Accumulators::Append(kernel(aggregate)))
            }
        };
        let inner = plain(aggregate)?;
        if !aggregate.distinct {
            return Some(inner);
        }
        Some(Accumulators::Retract(Box::new(Distinct {
            values: ValueSets::default(),
            inner,
            input_type: aggregate.input_type.clone(),
        })))
    }

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

fn retracting(aggregate: &Aggregate) -> Option<Box<dyn RetractKernel>> {
    Some(match aggregate.function {
        Function::Count => Box::new(Count::default()),
        Function::Sum | Function::Avg => {
            Box::new(SumCount { sums: Sums::of(&aggregate.input_type), counts: Count::default(), aggregate: aggregate.clone() })
        }
        Function::Min | Function::Max => {
            let max = aggregate.function == Function::Max;
            Box::new(Extreme { values: ValueSets::default(), data_type: aggregate.input_type.clone(), max })
        }
        Function::FirstValue => ordered::kernel(&aggregate.input_type, Reading::First),
        Function::LastValue => ordered::kernel(&aggregate.input_type, Reading::Last),
        Function::ListAgg if !aggregate.first_seen => match &aggregate.fixed {
            Fixed::Form(Form::Text { separator }) => ordered::kernel(&aggregate.input_type, Reading::List(separator.clone())),
            _ => return None,
        },
        _ => return None,
    })
}

impl RetractKernel for Count {
    fn retract(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        self.add(groups, argument, rows, -1);
    }
}

enum Sums {
    Integer(Vec<i64>),
    Float(Vec<f64>),
    /// A sum beyond DECIMAL(38) is NULL for as long as it is there; 128 bits wrap, so that what is taken back fits again.
    Decimal(Vec<i128>),
}

impl Sums {
    fn of(input: &DataType) -> Sums {
        match input {
            DataType::Decimal128(..) => Sums::Decimal(vec![]),
            DataType::Float32 | DataType::Float64 => Sums::Float(vec![]),
            _ => Sums::Integer(vec![]),
        }
    }

    fn add(&mut self, groups: &[u32], argument: &ArrayRef, rows: Selected<'_>, negate: bool) {
        match self {
            Sums::Integer(sums) => each_integer(groups, argument, rows, |g, v| {
                sums[g] = if negate { sums[g].wrapping_sub(v) } else { sums[g].wrapping_add(v) };
            }),
            Sums::Float(sums) => each_float(groups, argument, rows, |g, v| sums[g] += if negate { -v } else { v }),
            Sums::Decimal(sums) => {
                let array = argument.as_primitive::<Decimal128Type>();
                rows.for_each(groups, array, |row, g| {
                    let v = array.value(row);
                    sums[g] = if negate { sums[g].wrapping_sub(v) } else { sums[g].wrapping_add(v) };
                });
            }
        }
    }
}

/// SUM and AVG as a sum and the number of its values.
struct SumCount {
    sums: Sums,
    counts: Count,
    aggregate: Aggregate,
}

impl SumCount {
    fn raw(&self, picks: &[u32]) -> ArrayRef {
        let picks = picks.iter().map(|&g| g as usize);
        match &self.sums {
            Sums::Integer(sums) => Arc::new(picks.map(|g| Some(sums[g])).collect::<Int64Array>()),
            Sums::Float(sums) => Arc::new(picks.map(|g| Some(sums[g])).collect::<Float64Array>()),
            Sums::Decimal(sums) => {
                let raw = picks.map(|g| Some(sums[g])).collect::<arrow::array::Decimal128Array>();
                Arc::new(raw.with_data_type(self.sum_type()))
            }
        }
    }

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
            Sums::Decimal(sums) => sums.resize(groups, 0),
        }
        self.counts.resize(groups);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        if let Some(values) = argument {
            self.sums.add(groups, values, rows, false);
        }
        self.counts.update(groups, argument, rows);
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        self.sums.add(groups, &state[0], Selected::ALL, false);
        self.counts.merge(groups, &state[1..]);
    }
    fn clear(&mut self, group: u32) {
        let g = group as usize;
        match &mut self.sums {
            Sums::Integer(sums) => sums[g] = 0,
            Sums::Float(sums) => sums[g] = 0.0,
            Sums::Decimal(sums) => sums[g] = 0,
        }
        self.counts.clear(group);
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        let mut state = vec![self.raw(picks)];
        state.extend(self.counts.state(picks));
        state
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![self.sum_type(), DataType::Int64]
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        let counts = self.counts.evaluate(picks)?;
        let counts = counts.as_primitive::<Int64Type>();
        let raw = self.raw(picks);
        // Without values there is no sum, whatever rounding left there.
        let known = |i: usize| counts.value(i) != 0;
        let sums: ArrayRef = match raw.data_type() {
            DataType::Int64 => {
                let sums = raw.as_primitive::<Int64Type>();
                Arc::new((0..sums.len()).map(|i| known(i).then(|| sums.value(i))).collect::<Int64Array>())
            }
            DataType::Float64 => {
                let sums = raw.as_primitive::<Float64Type>();
                Arc::new((0..sums.len()).map(|i| known(i).then(|| sums.value(i))).collect::<Float64Array>())
            }
            other => {
                let sums = raw.as_primitive::<Decimal128Type>();
                let fits = |i: usize| (known(i) && sums.value(i).abs() < DECIMAL_LIMIT).then(|| sums.value(i));
                Arc::new((0..sums.len()).map(fits).collect::<arrow::array::Decimal128Array>().with_data_type(other.clone()))
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
            Sums::Decimal(sums) => sums.capacity() * 16,
        };
        sums + self.counts.memory_bytes()
    }
}

impl RetractKernel for SumCount {
    fn retract(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        if let Some(values) = argument {
            self.sums.add(groups, values, rows, true);
        }
        self.counts.add(groups, argument, rows, -1);
    }
}

/// Values of one group in key encoding, which sorts as the values do, with the number of their rows. Never zero.
#[derive(Default, Clone)]
struct ValueCounts(BTreeMap<Box<[u8]>, i64>);

/// What a value of a group costs in memory besides its bytes: its pointer and count, and its part of the tree's nodes.
const ENTRY_BYTES: usize = 48;

impl ValueCounts {
    /// Adds `by` rows of a value. Returns the number before and after.
    fn add(&mut self, value: &[u8], by: i64) -> (i64, i64) {
        let before = self.0.get(value).copied().unwrap_or(0);
        let after = before + by;
        if after == 0 {
            self.0.remove(value);
        } else if let Some(count) = self.0.get_mut(value) {
            *count = after;
        } else {
            self.0.insert(value.into(), after);
        }
        (before, after)
    }

    fn memory_bytes(&self) -> usize {
        self.0.keys().map(|k| k.len() + ENTRY_BYTES).sum()
    }

    /// `count (8) | length (4) | value` for each, little-endian.
    fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (value, count) in &self.0 {
            out.extend_from_slice(&count.to_le_bytes());
            out.extend_from_slice(&(value.len() as u32).to_le_bytes());
            out.extend_from_slice(value);
        }
        out
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while let Some((count, rest)) = bytes.split_first_chunk::<8>()
            && let Some((length, rest)) = rest.split_first_chunk::<4>()
            && let Some((value, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)
        {
            self.add(value, i64::from_le_bytes(*count));
            bytes = rest;
        }
    }
}

/// The values of every group, and what they take in memory, kept as they change: it is asked for at each step.
#[derive(Default)]
struct ValueSets {
    groups: Vec<ValueCounts>,
    heap_bytes: usize,
}

impl ValueSets {
    fn resize(&mut self, groups: usize) {
        self.groups.resize_with(groups, ValueCounts::default);
    }

    /// As [`ValueCounts::add`].
    fn add(&mut self, group: usize, value: &[u8], by: i64) -> (i64, i64) {
        let (before, after) = self.groups[group].add(value, by);
        match (before, after) {
            (0, 0) => {}
            (0, _) => self.heap_bytes += value.len() + ENTRY_BYTES,
            (_, 0) => self.heap_bytes -= value.len() + ENTRY_BYTES,
            _ => {}
        }
        (before, after)
    }

    fn clear(&mut self, group: u32) {
        self.heap_bytes -= std::mem::take(&mut self.groups[group as usize]).memory_bytes();
    }

    fn write(&self, picks: &[u32]) -> ArrayRef {
        Arc::new(BinaryArray::from_iter_values(picks.iter().map(|&g| self.groups[g as usize].write())))
    }

    fn read(&mut self, groups: &[u32], state: &ArrayRef) {
        for (&g, bytes) in groups.iter().zip(state.as_binary::<i32>().iter()) {
            let values = &mut self.groups[g as usize];
            let before = values.memory_bytes();
            values.read(bytes.unwrap_or_default());
            self.heap_bytes = self.heap_bytes - before + values.memory_bytes();
        }
    }

    fn memory_bytes(&self) -> usize {
        self.groups.capacity() * size_of::<ValueCounts>() + self.heap_bytes
    }
}

/// MIN and MAX with every value they may fall back to.
struct Extreme {
    values: ValueSets,
    data_type: DataType,
    max: bool,
}

impl Extreme {
    fn add(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>, by: i64) {
        let Some(argument) = argument else { return };
        let mut keys = KeyBuf::default();
        encode_keys(std::slice::from_ref(argument), argument.len(), &mut keys);
        rows.for_each(groups, argument, |row, g| {
            self.values.add(g, keys.get(row), by);
        });
    }
}

impl Kernel for Extreme {
    fn resize(&mut self, groups: usize) {
        self.values.resize(groups);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        self.add(groups, argument, rows, 1);
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        self.values.read(groups, &state[0]);
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
        let none = null_key(&self.data_type);
        let best = picks.iter().map(|&g| {
            let mut there = self.values.groups[g as usize].0.iter().filter(|(_, n)| **n > 0);
            let best = if self.max { there.next_back() } else { there.next() };
            best.map_or(none.as_slice(), |(value, _)| value)
        });
        Ok(decode_keys(std::slice::from_ref(&self.data_type), best)?.remove(0))
    }
    fn memory_bytes(&self) -> usize {
        self.values.memory_bytes()
    }
}

impl RetractKernel for Extreme {
    fn retract(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        self.add(groups, argument, rows, -1);
    }
}

/// An aggregate over the distinct values: each counts while it has rows.
struct Distinct {
    values: ValueSets,
    inner: Accumulators,
    input_type: DataType,
}

impl Distinct {
    fn change(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>, by: i64) {
        let Some(argument) = argument else { return };
        let mut keys = KeyBuf::default();
        encode_keys(std::slice::from_ref(argument), argument.len(), &mut keys);
        let (mut turned, mut turned_groups) = (Vec::new(), Vec::new());
        rows.for_each(groups, argument, |row, g| {
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
        if by > 0 {
            self.inner.kernel_mut().update(&turned_groups, Some(&values), Selected::ALL);
        } else {
            self.inner.retract(&turned_groups, Some(&values), Selected::ALL);
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
        self.values.read(groups, &state[0]);
        self.inner.kernel_mut().merge(groups, &state[1..]);
    }
    fn clear(&mut self, group: u32) {
        self.values.clear(group);
        self.inner.kernel_mut().clear(group);
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        let mut state = vec![self.values.write(picks)];
        state.extend(self.inner.kernel().state(picks));
        state
    }
    fn state_types(&self) -> Vec<DataType> {
        let mut types = vec![DataType::Binary];
        types.extend(self.inner.kernel().state_types());
        types
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        self.inner.kernel().evaluate(picks)
    }
    fn memory_bytes(&self) -> usize {
        self.values.memory_bytes() + self.inner.kernel().memory_bytes() + size_of_val(&self.input_type)
    }
}

impl RetractKernel for Distinct {
    fn retract(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        self.change(groups, argument, rows, -1);
    }
}
