//! Functions whose result has the type of their arguments: ABS, SIGN, FLOOR, CEIL, GREATEST, LEAST;
//! and HEX, which takes numbers and text.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringArray, make_comparator};
use arrow::compute::{SortOptions, cast, interleave, unary};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type,
};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::floats::one_nan;
use crate::types::common::common_type;
use crate::types::decimal::pow10;
use crate::types::sql_name;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Which {
    Abs,
    Sign,
    Floor,
    Ceil,
    Greatest,
    Least,
    Hex,
}

const ALL: [(&str, Which); 8] = [
    ("abs", Which::Abs),
    ("sign", Which::Sign),
    ("floor", Which::Floor),
    ("ceil", Which::Ceil),
    ("ceiling", Which::Ceil),
    ("greatest", Which::Greatest),
    ("least", Which::Least),
    ("hex", Which::Hex),
];

pub fn all() -> impl Iterator<Item = ScalarUDF> {
    ALL.into_iter().map(|(name, which)| {
        ScalarUDF::from(Numeric {
            name,
            which,
            signature: Signature::user_defined(Volatility::Immutable),
        })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Numeric {
    name: &'static str,
    which: Which,
    signature: Signature,
}

impl ScalarUDFImpl for Numeric {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name.to_uppercase();
        if matches!(self.which, Which::Greatest | Which::Least) {
            let mut to = DataType::Null;
            for data_type in given {
                to = match common_type(&to, data_type) {
                    Some(to) => to,
                    None => {
                        return plan_err!(
                            "'{name}' cannot bring {} and {} together",
                            sql_name(&to),
                            sql_name(data_type)
                        );
                    }
                };
            }
            return if given.is_empty() {
                plan_err!("'{name}' takes at least 1 argument")
            } else {
                Ok(vec![to; given.len()])
            };
        }
        match given {
            [DataType::Null] => {
                Ok(vec![if self.which == Which::Hex { DataType::Utf8 } else { DataType::Int32 }])
            }
            [DataType::Utf8] if self.which == Which::Hex => Ok(given.to_vec()),
            [t] if t.is_integer() && self.which == Which::Hex => Ok(vec![DataType::Int64]),
            [t] if t.is_numeric() && self.which != Which::Hex => Ok(given.to_vec()),
            [t] => plan_err!("'{name}' does not take {}", sql_name(t)),
            _ => plan_err!("'{name}' takes 1 argument, not {}", given.len()),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match (self.which, &arguments[0]) {
            (Which::Hex, _) => DataType::Utf8,
            (Which::Floor | Which::Ceil, DataType::Decimal128(p, _)) => DataType::Decimal128(*p, 0),
            (_, t) => t.clone(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays =
            args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let Some(first) = arrays.first() else {
            return exec_err!("'{}' takes an argument", self.name);
        };
        let out = match self.which {
            Which::Greatest => extreme(&arrays, Ordering::Greater)?,
            Which::Least => extreme(&arrays, Ordering::Less)?,
            Which::Hex => hex(first)?,
            which => map(which, first)?,
        };
        Ok(ColumnarValue::Array(out))
    }
}

fn map(which: Which, array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::Int8 => {
            integers::<Int8Type>(array, |v| integer(which, v, i8::wrapping_abs, i8::signum))
        }
        DataType::Int16 => {
            integers::<Int16Type>(array, |v| integer(which, v, i16::wrapping_abs, i16::signum))
        }
        DataType::Int32 => {
            integers::<Int32Type>(array, |v| integer(which, v, i32::wrapping_abs, i32::signum))
        }
        DataType::Int64 => {
            integers::<Int64Type>(array, |v| integer(which, v, i64::wrapping_abs, i64::signum))
        }
        DataType::Float32 => integers::<Float32Type>(array, |v| float(which, f64::from(v)) as f32),
        DataType::Float64 => integers::<Float64Type>(array, |v| float(which, v)),
        DataType::Decimal128(p, s) => {
            let unit = pow10(*s as u32);
            let values = array.as_primitive::<Decimal128Type>();
            let out: PrimitiveArray<Decimal128Type> = match which {
                Which::Abs => unary(values, i128::abs),
                Which::Sign => unary(values, |v| v.signum() * unit),
                Which::Floor => unary(values, |v| v.div_euclid(unit)),
                _ => unary(values, |v| -(-v).div_euclid(unit)),
            };
            let scale = if matches!(which, Which::Floor | Which::Ceil) { 0 } else { *s };
            Arc::new(out.with_precision_and_scale(*p, scale)?)
        }
        other => return exec_err!("{which:?} does not take {other}"),
    })
}

fn integers<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    f: impl Fn(T::Native) -> T::Native,
) -> ArrayRef {
    Arc::new(unary::<_, _, T>(array.as_primitive::<T>(), f))
}

fn integer<T>(which: Which, value: T, abs: fn(T) -> T, sign: fn(T) -> T) -> T {
    match which {
        Which::Abs => abs(value),
        Which::Sign => sign(value),
        _ => value,
    }
}

fn float(which: Which, value: f64) -> f64 {
    match which {
        Which::Abs => value.abs(),
        Which::Floor => value.floor(),
        Which::Ceil => value.ceil(),
        // Zero keeps its sign.
        _ if value == 0.0 || value.is_nan() => value,
        _ => value.signum(),
    }
}

/// The greatest or least of each row; NULL if any is.
fn extreme(arrays: &[ArrayRef], wanted: Ordering) -> Result<ArrayRef> {
    let arrays: Vec<ArrayRef> = arrays.iter().map(one_nan).collect();
    let rows = arrays[0].len();
    let mut best = vec![0usize; rows];
    for (number, array) in arrays.iter().enumerate() {
        // Against each of those before, since the best so far differs from row to row.
        let comparators = (0..number)
            .map(|before| {
                make_comparator(array.as_ref(), arrays[before].as_ref(), SortOptions::default())
            })
            .collect::<std::result::Result<Vec<_>, _>>()?;
        for (row, best) in best.iter_mut().enumerate() {
            if arrays[*best].is_null(row) || number == 0 {
                continue;
            }
            if array.is_null(row) || comparators[*best](row, row) == wanted {
                *best = number;
            }
        }
    }
    let references: Vec<&dyn Array> = arrays.iter().map(|a| a.as_ref()).collect();
    let picks: Vec<(usize, usize)> =
        best.into_iter().enumerate().map(|(row, array)| (array, row)).collect();
    Ok(interleave(&references, &picks)?)
}

fn hex(array: &ArrayRef) -> Result<ArrayRef> {
    if *array.data_type() == DataType::Utf8 {
        let bytes = |text: &str| text.bytes().map(|b| format!("{b:02X}")).collect::<String>();
        return Ok(Arc::new(
            array.as_string::<i32>().iter().map(|t| t.map(bytes)).collect::<StringArray>(),
        ));
    }
    let numbers = cast(array, &DataType::Int64)?;
    let text = numbers.as_primitive::<Int64Type>().iter().map(|v| v.map(|v| format!("{v:X}")));
    Ok(Arc::new(text.collect::<StringArray>()))
}
