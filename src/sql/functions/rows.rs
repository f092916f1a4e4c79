//! How is a scalar function written that looks at one row at a time?
//!
//! A family file lists its functions as [`Definition`]s: name, parameters, and a plain Rust function from a row's arguments
//! to a value. This file makes DataFusion functions of them. What always holds: a NULL argument gives NULL without a call,
//! unless the definition asks for NULLs; an error refuses the row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow::compute::{cast, unary};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float64Type, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit, Time32MillisecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::arity::{Arity, at_least, between};
use super::times::times;
use crate::time::MS_PER_DAY;
use crate::types::sql_name;

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    Text,
    /// Text, or the code of one character.
    TextOrCode,
    /// Any integer, as INT.
    Int,
    /// Any integer, as BIGINT.
    Long,
    /// Any number, as DOUBLE.
    Double,
    Boolean,
    Bytes,
    /// TIMESTAMP, TIMESTAMP_LTZ, DATE or TIME, as milliseconds.
    Time,
    /// The same, or text.
    TimeOrText,
    /// The same, or an interval.
    TimeOrInterval,
    Interval,
}

/// A value, None for NULL, or why the row is refused.
pub type Answer<T> = std::result::Result<Option<T>, String>;

/// The function from a row to its value.
#[derive(Clone, Copy)]
pub enum Body {
    Text(fn(&Row<'_>) -> Answer<String>),
    Int(fn(&Row<'_>) -> Answer<i32>),
    Long(fn(&Row<'_>) -> Answer<i64>),
    Double(fn(&Row<'_>) -> Answer<f64>),
    Boolean(fn(&Row<'_>) -> Answer<bool>),
    Bytes(fn(&Row<'_>) -> Answer<Vec<u8>>),
    Date(fn(&Row<'_>) -> Answer<i32>),
    /// Of the type of the first time among the arguments, in ms.
    Time(fn(&Row<'_>) -> Answer<i64>),
    /// The same; what the first time has below a millisecond stays.
    Later(fn(&Row<'_>) -> Answer<i64>),
    /// As Later, but a TIMESTAMP(3) where that is a DATE or there is none.
    Timestamp(fn(&Row<'_>) -> Answer<i64>),
    /// One DOUBLE to one DOUBLE: over a whole column at once.
    Map(fn(f64) -> f64),
}

#[derive(Clone, Copy)]
pub struct Definition {
    pub name: &'static str,
    pub parameters: &'static [ParameterKind],
    /// How many of the parameters must be given.
    pub required: usize,
    /// The last parameter may be repeated.
    pub repeats: bool,
    /// Called also where an argument is NULL.
    pub sees_nulls: bool,
    pub body: Body,
}

/// A function all of whose parameters are required.
pub const fn function(name: &'static str, parameters: &'static [ParameterKind], body: Body) -> Definition {
    Definition { name, parameters, required: parameters.len(), repeats: false, sees_nulls: false, body }
}

impl Definition {
    pub const fn requires(self, required: usize) -> Definition {
        Definition { required, ..self }
    }
    pub const fn repeats(self) -> Definition {
        Definition { repeats: true, ..self }
    }
    pub const fn sees_nulls(self) -> Definition {
        Definition { sees_nulls: true, ..self }
    }
    fn takes(&self) -> Arity {
        match self.repeats {
            true => at_least(self.required),
            false => between(self.required, self.parameters.len()),
        }
    }
    pub fn udf(self) -> ScalarUDF {
        ScalarUDF::from(Rowwise { name: self.name, definition: self, signature: Signature::user_defined(Volatility::Immutable) })
    }
}

/// The arguments of one row.
pub struct Row<'a> {
    arguments: &'a [ArrayRef],
    row: usize,
}

impl<'a> Row<'a> {
    pub fn new(arguments: &'a [ArrayRef], row: usize) -> Row<'a> {
        Row { arguments, row }
    }
    /// How many arguments the call has.
    pub fn count(&self) -> usize {
        self.arguments.len()
    }
    pub fn is_null(&self, at: usize) -> bool {
        self.arguments[at].is_null(self.row)
    }
    pub fn text(&self, at: usize) -> &'a str {
        self.arguments[at].as_string::<i32>().value(self.row)
    }
    pub fn int(&self, at: usize) -> i32 {
        self.arguments[at].as_primitive::<Int32Type>().value(self.row)
    }
    pub fn long(&self, at: usize) -> i64 {
        self.arguments[at].as_primitive::<Int64Type>().value(self.row)
    }
    pub fn double(&self, at: usize) -> f64 {
        self.arguments[at].as_primitive::<Float64Type>().value(self.row)
    }
    pub fn boolean(&self, at: usize) -> bool {
        self.arguments[at].as_boolean().value(self.row)
    }
    pub fn bytes(&self, at: usize) -> &'a [u8] {
        self.arguments[at].as_binary::<i32>().value(self.row)
    }
    /// Milliseconds of a time, rounded down.
    pub fn time(&self, at: usize) -> i64 {
        let array = &self.arguments[at];
        match array.data_type() {
            DataType::Date32 => i64::from(array.as_primitive::<Date32Type>().value(self.row)) * MS_PER_DAY,
            DataType::Time32(_) => i64::from(array.as_primitive::<Time32MillisecondType>().value(self.row)),
            DataType::Timestamp(TimeUnit::Second, _) => array.as_primitive::<TimestampSecondType>().value(self.row) * 1000,
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                array.as_primitive::<TimestampMicrosecondType>().value(self.row).div_euclid(1000)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                array.as_primitive::<TimestampNanosecondType>().value(self.row).div_euclid(1_000_000)
            }
            _ => array.as_primitive::<TimestampMillisecondType>().value(self.row),
        }
    }
    /// Nanoseconds of a time within its millisecond.
    pub fn below_ms_ns(&self, at: usize) -> i64 {
        let array = &self.arguments[at];
        match array.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                array.as_primitive::<TimestampMicrosecondType>().value(self.row).rem_euclid(1000) * 1000
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                array.as_primitive::<TimestampNanosecondType>().value(self.row).rem_euclid(1_000_000)
            }
            _ => 0,
        }
    }
    pub fn is_date(&self, at: usize) -> bool {
        *self.arguments[at].data_type() == DataType::Date32
    }
    /// The text of an argument that may be given as the code of a character.
    pub fn text_or_code(&self, at: usize) -> std::borrow::Cow<'a, str> {
        match self.arguments[at].data_type() {
            DataType::Utf8 => self.text(at).into(),
            _ => char::from_u32(self.int(at) as u32).map(String::from).unwrap_or_default().into(),
        }
    }
    /// Milliseconds of a time, or the text in its place.
    pub fn time_or_text(&self, at: usize) -> std::result::Result<i64, &'a str> {
        if *self.arguments[at].data_type() == DataType::Utf8 { Err(self.text(at)) } else { Ok(self.time(at)) }
    }
    /// An interval; None where the argument is something else.
    pub fn interval(&self, at: usize) -> Option<IntervalMonthDayNano> {
        let intervals = self.arguments[at].as_primitive_opt::<IntervalMonthDayNanoType>();
        intervals.map(|intervals| intervals.value(self.row))
    }
    /// The text of an argument that may be left out.
    pub fn text_or(&self, at: usize, default: &'a str) -> &'a str {
        if at < self.count() { self.text(at) } else { default }
    }
    pub fn int_or(&self, at: usize, default: i32) -> i32 {
        if at < self.count() { self.int(at) } else { default }
    }
}

struct Rowwise {
    name: &'static str,
    definition: Definition,
    signature: Signature,
}

impl std::fmt::Debug for Rowwise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
impl PartialEq for Rowwise {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.definition.parameters == other.definition.parameters
    }
}
impl Eq for Rowwise {}
impl std::hash::Hash for Rowwise {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

fn taken_as(kind: ParameterKind, given: &DataType) -> Option<DataType> {
    let null = given.is_null();
    match kind {
        ParameterKind::Text if null || *given == DataType::Utf8 => Some(DataType::Utf8),
        ParameterKind::Int if null || given.is_integer() => Some(DataType::Int32),
        ParameterKind::Long if null || given.is_integer() => Some(DataType::Int64),
        ParameterKind::Double if null || given.is_numeric() => Some(DataType::Float64),
        ParameterKind::Boolean if null || *given == DataType::Boolean => Some(DataType::Boolean),
        ParameterKind::Bytes if null || matches!(given, DataType::Binary | DataType::Utf8) => Some(DataType::Binary),
        ParameterKind::TextOrCode if null || *given == DataType::Utf8 => Some(DataType::Utf8),
        ParameterKind::TextOrCode if given.is_integer() => Some(DataType::Int32),
        ParameterKind::TimeOrText if *given == DataType::Utf8 => Some(DataType::Utf8),
        ParameterKind::Interval if null => Some(DataType::Interval(IntervalUnit::MonthDayNano)),
        ParameterKind::Interval | ParameterKind::TimeOrInterval if *given == DataType::Interval(IntervalUnit::MonthDayNano) => {
            Some(given.clone())
        }
        ParameterKind::Time | ParameterKind::TimeOrText | ParameterKind::TimeOrInterval => match given {
            DataType::Null => Some(DataType::Timestamp(TimeUnit::Millisecond, None)),
            DataType::Timestamp(..) | DataType::Date32 | DataType::Time32(TimeUnit::Millisecond) => Some(given.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn wanted(kind: ParameterKind) -> &'static str {
    match kind {
        ParameterKind::Text => "text",
        ParameterKind::TextOrCode => "text or the code of a character",
        ParameterKind::Int | ParameterKind::Long => "an integer",
        ParameterKind::Double => "a number",
        ParameterKind::Boolean => "a BOOLEAN",
        ParameterKind::Bytes => "BYTES or text",
        ParameterKind::Time => "a TIMESTAMP or a DATE",
        ParameterKind::TimeOrText => "a TIMESTAMP, a DATE or text",
        ParameterKind::TimeOrInterval => "a TIMESTAMP, a DATE or an INTERVAL",
        ParameterKind::Interval => "an INTERVAL",
    }
}

impl ScalarUDFImpl for Rowwise {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let (name, kinds) = (self.name.to_uppercase(), self.definition.parameters);
        let takes = self.definition.takes();
        if !takes.takes(given.len()) {
            return plan_err!("'{name}' takes {takes} arguments, not {}", given.len());
        }
        let mut types = Vec::with_capacity(given.len());
        for (at, data_type) in given.iter().enumerate() {
            let Some(kind) = kinds.get(at).or(kinds.last()) else { continue };
            match taken_as(*kind, data_type) {
                Some(data_type) => types.push(data_type),
                None => {
                    let (number, wanted, got) = (at + 1, wanted(*kind), sql_name(data_type));
                    return plan_err!("'{name}' takes {wanted} as argument {number}, not {got}");
                }
            }
        }
        Ok(types)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let time = || arguments.iter().find(|t| t.is_temporal()).cloned();
        let timestamp = DataType::Timestamp(TimeUnit::Millisecond, None);
        Ok(match self.definition.body {
            Body::Text(_) => DataType::Utf8,
            Body::Int(_) => DataType::Int32,
            Body::Long(_) => DataType::Int64,
            Body::Double(_) | Body::Map(_) => DataType::Float64,
            Body::Boolean(_) => DataType::Boolean,
            Body::Bytes(_) => DataType::Binary,
            Body::Date(_) => DataType::Date32,
            Body::Time(_) | Body::Later(_) => time().unwrap_or(timestamp),
            Body::Timestamp(_) => time().filter(|t| matches!(t, DataType::Timestamp(..))).unwrap_or(timestamp),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arguments = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let call = Call { arguments: &arguments, rows, sees_nulls: self.definition.sees_nulls };
        let out: std::result::Result<ArrayRef, String> = match self.definition.body {
            Body::Text(f) => call.each(f).map(|v| Arc::new(v.into_iter().collect::<StringArray>()) as ArrayRef),
            Body::Boolean(f) => call.each(f).map(|v| Arc::new(v.into_iter().collect::<BooleanArray>()) as ArrayRef),
            Body::Bytes(f) => call.each(f).map(|v| Arc::new(v.into_iter().collect::<BinaryArray>()) as ArrayRef),
            Body::Int(f) => call.primitive::<Int32Type>(f),
            Body::Long(f) => call.primitive::<Int64Type>(f),
            Body::Double(f) => call.primitive::<Float64Type>(f),
            Body::Date(f) => call.primitive::<Date32Type>(f),
            Body::Time(f) => call.each(f).and_then(|ms| times(ms, |_| 0, args.return_field.data_type())),
            Body::Later(f) | Body::Timestamp(f) => {
                let of = arguments.iter().position(|a| a.data_type().is_temporal()).unwrap_or_default();
                let below = |row| Row { arguments: &arguments, row }.below_ms_ns(of);
                call.each(f).and_then(|ms| times(ms, below, args.return_field.data_type()))
            }
            Body::Map(f) => {
                let input = cast(&arguments[0], &DataType::Float64)?;
                Ok(Arc::new(unary::<_, _, Float64Type>(input.as_primitive::<Float64Type>(), f)))
            }
        };
        match out {
            Ok(array) => Ok(ColumnarValue::Array(array)),
            Err(reason) => exec_err!("{}: {reason}", self.name.to_uppercase()),
        }
    }
}

struct Call<'a> {
    arguments: &'a [ArrayRef],
    rows: usize,
    sees_nulls: bool,
}

impl Call<'_> {
    fn each<T>(&self, f: fn(&Row<'_>) -> Answer<T>) -> std::result::Result<Vec<Option<T>>, String> {
        let one = |row: usize| {
            if !self.sees_nulls && self.arguments.iter().any(|a| a.is_null(row)) {
                return Ok(None);
            }
            f(&Row { arguments: self.arguments, row })
        };
        (0..self.rows).map(one).collect()
    }

    fn primitive<T: ArrowPrimitiveType>(&self, f: fn(&Row<'_>) -> Answer<T::Native>) -> std::result::Result<ArrayRef, String> {
        Ok(Arc::new(self.each(f)?.into_iter().collect::<PrimitiveArray<T>>()))
    }
}
