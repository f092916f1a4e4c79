//! MIN and MAX over every ordered type. NULL if no value was seen. Floats use the total order (-0.0
//! < 0.0), and NaN is the result only where no number is, so that the result does not depend on
//! arrival.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, PrimitiveArray, StringArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType,
};

use super::{Kernel, Selected};
use crate::operator::OperatorError;

pub(crate) fn supports(data_type: &DataType) -> bool {
    use DataType::{
        Binary, Boolean, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Time32,
        Timestamp, Utf8,
    };
    matches!(
        data_type,
        Int8 | Int16
            | Int32
            | Int64
            | Float32
            | Float64
            | Decimal128(..)
            | Date32
            | Time32(TimeUnit::Millisecond)
            | Boolean
            | Utf8
            | Binary
    ) || matches!(data_type, Timestamp(unit, _) if *unit != TimeUnit::Second)
}

/// Which value of a group is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extreme {
    Least,
    Greatest,
}

pub(crate) fn kernel(data_type: &DataType, extreme: Extreme) -> Box<dyn Kernel> {
    let max = extreme == Extreme::Greatest;
    macro_rules! primitive {
        ($t:ty) => {
            if max {
                Box::new(Best::<$t, true>::new(data_type)) as Box<dyn Kernel>
            } else {
                Box::new(Best::<$t, false>::new(data_type))
            }
        };
    }
    match data_type {
        DataType::Int8 => primitive!(Int8Type),
        DataType::Int16 => primitive!(Int16Type),
        DataType::Int32 => primitive!(Int32Type),
        DataType::Int64 => primitive!(Int64Type),
        DataType::Float32 => primitive!(Float32Type),
        DataType::Float64 => primitive!(Float64Type),
        DataType::Decimal128(..) => primitive!(Decimal128Type),
        DataType::Date32 => primitive!(Date32Type),
        DataType::Time32(_) => primitive!(Time32MillisecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => primitive!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => primitive!(TimestampMicrosecondType),
        DataType::Timestamp(_, _) => primitive!(TimestampNanosecondType),
        _ => Box::new(BestBytes { best: vec![], data_type: data_type.clone(), max, heap_bytes: 0 }),
    }
}

/// Which value is better.
trait TotalOrder: Copy {
    /// Whether this one takes the place of another where values that are `better` do.
    fn beats(self, other: Self, better: Ordering) -> bool;
}
macro_rules! exact {
    ($($t:ty),*) => { $(impl TotalOrder for $t {
        #[inline]
        fn beats(self, other: Self, better: Ordering) -> bool { self.cmp(&other) == better }
    })* };
}
macro_rules! floating {
    ($($t:ty),*) => { $(impl TotalOrder for $t {
        #[inline]
        fn beats(self, other: Self, better: Ordering) -> bool {
            !self.is_nan() && (other.is_nan() || self.total_cmp(&other) == better)
        }
    })* };
}
exact!(i8, i16, i32, i64, i128);
floating!(f32, f64);

struct Best<T: ArrowPrimitiveType, const MAX: bool> {
    best: Vec<T::Native>,
    seen: Vec<bool>,
    data_type: DataType,
}

impl<T: ArrowPrimitiveType, const MAX: bool> Best<T, MAX> {
    fn new(data_type: &DataType) -> Self {
        Best { best: vec![], seen: vec![], data_type: data_type.clone() }
    }

    fn picked(&self, picks: &[u32]) -> ArrayRef {
        let best = picks.iter().map(|&g| self.seen[g as usize].then_some(self.best[g as usize]));
        Arc::new(best.collect::<PrimitiveArray<T>>().with_data_type(self.data_type.clone()))
    }
}

impl<T: ArrowPrimitiveType, const MAX: bool> Kernel for Best<T, MAX>
where
    T::Native: TotalOrder,
{
    fn resize(&mut self, groups: usize) {
        self.best.resize(groups, T::Native::default());
        self.seen.resize(groups, false);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        let Some(argument) = argument else { return };
        let array = argument.as_primitive::<T>();
        let values = array.values();
        let better = if MAX { Ordering::Greater } else { Ordering::Less };
        rows.for_each(groups, array, |row, g| {
            if !self.seen[g] || values[row].beats(self.best[g], better) {
                self.best[g] = values[row];
                self.seen[g] = true;
            }
        });
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        self.update(groups, Some(&state[0]), Selected::ALL);
    }
    fn clear(&mut self, group: u32) {
        self.seen[group as usize] = false;
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        vec![self.picked(picks)]
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![self.data_type.clone()]
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        Ok(self.picked(picks))
    }
    fn memory_bytes(&self) -> usize {
        self.best.capacity() * size_of::<T::Native>() + self.seen.capacity()
    }
}

/// STRING, BYTES and BOOLEAN, as bytes.
struct BestBytes {
    best: Vec<Option<Box<[u8]>>>,
    data_type: DataType,
    max: bool,
    heap_bytes: usize,
}

impl BestBytes {
    fn picked(&self, picks: &[u32]) -> ArrayRef {
        let best = picks.iter().map(|&g| self.best[g as usize].as_deref());
        match self.data_type {
            DataType::Boolean => {
                Arc::new(best.map(|b| b.map(|b| b[0] == 1)).collect::<BooleanArray>())
            }
            DataType::Utf8 => Arc::new(
                best.map(|b| b.map(|b| String::from_utf8_lossy(b).into_owned()))
                    .collect::<StringArray>(),
            ),
            _ => Arc::new(best.collect::<BinaryArray>()),
        }
    }

    fn offer(&mut self, g: usize, value: &[u8]) {
        let better = self.best[g]
            .as_deref()
            .is_none_or(|best| if self.max { value > best } else { value < best });
        if better {
            self.heap_bytes += value.len();
            self.heap_bytes -= self.best[g].replace(value.into()).map_or(0, |old| old.len());
        }
    }
}

impl Kernel for BestBytes {
    fn resize(&mut self, groups: usize) {
        self.best.resize(groups, None);
    }
    fn update(&mut self, groups: &[u32], argument: Option<&ArrayRef>, rows: Selected<'_>) {
        let Some(argument) = argument else { return };
        rows.for_each(groups, argument, |row, g| match &self.data_type {
            DataType::Boolean => self.offer(g, &[u8::from(argument.as_boolean().value(row))]),
            DataType::Utf8 => self.offer(g, argument.as_string::<i32>().value(row).as_bytes()),
            _ => self.offer(g, argument.as_binary::<i32>().value(row)),
        });
    }
    fn merge(&mut self, groups: &[u32], state: &[ArrayRef]) {
        self.update(groups, Some(&state[0]), Selected::ALL);
    }
    fn clear(&mut self, group: u32) {
        self.heap_bytes -= self.best[group as usize].take().map_or(0, |old| old.len());
    }
    fn state(&self, picks: &[u32]) -> Vec<ArrayRef> {
        vec![self.picked(picks)]
    }
    fn state_types(&self) -> Vec<DataType> {
        vec![self.data_type.clone()]
    }
    fn evaluate(&self, picks: &[u32]) -> Result<ArrayRef, OperatorError> {
        Ok(self.picked(picks))
    }
    fn memory_bytes(&self) -> usize {
        self.best.capacity() * 16 + self.heap_bytes
    }
}
