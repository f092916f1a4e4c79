//! + - * / % where Flink's differ from DataFusion's: DECIMAL, and every division.
//!
//! `flink_types` puts these in place of the operators. A division of integers or DECIMALs by zero
//! refuses its row, one of doubles is infinite; everything else that does not fit is NULL (DECIMAL)
//! or wraps (integers).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, PrimitiveArray};
use arrow::compute::{binary, try_binary, unary};
use arrow::datatypes::{
    ArrowNativeTypeOp, ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type,
};
use arrow::error::ArrowError;
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::types::decimal::{Operation, Shape, compute, is_small, pow10, shape};

/// A call on two DECIMALs, or on two other numbers of one type.
pub fn call(operation: Operation, left: Expr, right: Expr) -> Expr {
    ScalarUDF::from(Arithmetic {
        operation,
        signature: Signature::user_defined(Volatility::Immutable),
    })
    .call(vec![left, right])
}

/// True for what [`call`] makes.
pub(crate) fn is_call(function: &ScalarUDF) -> bool {
    function.inner().downcast_ref::<Arithmetic>().is_some()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Arithmetic {
    operation: Operation,
    signature: Signature,
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "add",
            Operation::Subtract => "subtract",
            Operation::Multiply => "multiply",
            Operation::Divide => "divide",
            Operation::Modulo => "modulo",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arguments.to_vec())
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Decimal128(p1, s1), DataType::Decimal128(p2, s2)] => {
                let (p, s) = shape(self.operation, (*p1, *s1), (*p2, *s2));
                Ok(DataType::Decimal128(p, s))
            }
            [a, b] if a == b && a.is_numeric() => Ok(a.clone()),
            _ => plan_err!("'{}' does not take {arguments:?}", self.name()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return exec_err!("'{}' takes two arguments", self.name());
        };
        if let (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) = (left, right)
            && let Some(out) = by_constant(self.operation, left, right)
        {
            return Ok(ColumnarValue::Array(out));
        }
        let (left, right) = (left.to_array(args.number_rows)?, right.to_array(args.number_rows)?);
        let out = match left.data_type() {
            DataType::Decimal128(..) => {
                decimals(self.operation, left.as_primitive(), right.as_primitive())?
            }
            DataType::Float32 => numbers::<Float32Type>(self.operation, &left, &right)?,
            DataType::Float64 => numbers::<Float64Type>(self.operation, &left, &right)?,
            DataType::Int8 => integers::<Int8Type>(self.operation, &left, &right)?,
            DataType::Int16 => integers::<Int16Type>(self.operation, &left, &right)?,
            DataType::Int32 => integers::<Int32Type>(self.operation, &left, &right)?,
            DataType::Int64 => integers::<Int64Type>(self.operation, &left, &right)?,
            other => return exec_err!("'{}' does not take {other}", self.name()),
        };
        Ok(ColumnarValue::Array(out))
    }
}

/// A column divided by a constant that is neither NULL nor zero: `MOD(auction, 123)`.
fn by_constant(operation: Operation, left: &ArrayRef, right: &ScalarValue) -> Option<ArrayRef> {
    match right {
        ScalarValue::Int32(Some(b)) => divided::<Int32Type>(operation, left, *b),
        ScalarValue::Int64(Some(b)) => divided::<Int64Type>(operation, left, *b),
        ScalarValue::Float64(Some(b)) => divided::<Float64Type>(operation, left, *b),
        _ => None,
    }
}

fn divided<T: ArrowPrimitiveType>(
    operation: Operation,
    left: &ArrayRef,
    by: T::Native,
) -> Option<ArrayRef> {
    if by.is_zero() {
        return None;
    }
    let left = left.as_primitive_opt::<T>()?;
    let out: PrimitiveArray<T> = match operation {
        Operation::Divide => unary(left, |a| a.div_wrapping(by)),
        Operation::Modulo => unary(left, |a| a.mod_wrapping(by)),
        _ => return None,
    };
    Some(Arc::new(out))
}

fn numbers<T: ArrowPrimitiveType>(
    operation: Operation,
    left: &ArrayRef,
    right: &ArrayRef,
) -> Result<ArrayRef> {
    let (left, right) = (left.as_primitive::<T>(), right.as_primitive::<T>());
    let out: PrimitiveArray<T> = match operation {
        Operation::Divide => binary(left, right, |a, b| a.div_wrapping(b))?,
        Operation::Modulo => binary(left, right, |a, b| a.mod_wrapping(b))?,
        Operation::Add => binary(left, right, |a, b| a.add_wrapping(b))?,
        Operation::Subtract => binary(left, right, |a, b| a.sub_wrapping(b))?,
        Operation::Multiply => binary(left, right, |a, b| a.mul_wrapping(b))?,
    };
    Ok(Arc::new(out))
}

fn integers<T: ArrowPrimitiveType>(
    operation: Operation,
    left: &ArrayRef,
    right: &ArrayRef,
) -> Result<ArrayRef> {
    let (a, b) = (left.as_primitive::<T>(), right.as_primitive::<T>());
    let by_zero = |b: T::Native| if b.is_zero() { Err(ArrowError::DivideByZero) } else { Ok(b) };
    let out: PrimitiveArray<T> = match operation {
        // The smallest value by -1 wraps.
        Operation::Divide => try_binary(a, b, |a, b| Ok(a.div_wrapping(by_zero(b)?)))?,
        Operation::Modulo => try_binary(a, b, |a, b| Ok(a.mod_wrapping(by_zero(b)?)))?,
        _ => return numbers::<T>(operation, left, right),
    };
    Ok(Arc::new(out))
}

fn shape_of(array: &Decimal128Array) -> Shape {
    (array.precision(), array.scale())
}

fn decimals(
    operation: Operation,
    left: &Decimal128Array,
    right: &Decimal128Array,
) -> Result<ArrayRef> {
    let (from_left, from_right) = (shape_of(left), shape_of(right));
    let (precision, scale) = shape(operation, from_left, from_right);
    let both = from_left.1.max(from_right.1);
    let (up_left, up_right) =
        (pow10((both - from_left.1) as u32), pow10((both - from_right.1) as u32));
    let small = is_small(operation, from_left, from_right);
    let out: Decimal128Array = match operation {
        Operation::Add if small => binary(left, right, |a, b| a * up_left + b * up_right)?,
        Operation::Subtract if small => binary(left, right, |a, b| a * up_left - b * up_right)?,
        Operation::Multiply if small => binary(left, right, |a, b| a * b)?,
        _ => {
            let divides = matches!(operation, Operation::Divide | Operation::Modulo);
            let rows = (0..left.len()).map(|row| {
                if left.is_null(row) || right.is_null(row) {
                    return Ok(None);
                }
                let (a, b) = (left.value(row), right.value(row));
                if divides && b == 0 {
                    return Err(ArrowError::DivideByZero);
                }
                Ok(compute(operation, (a, from_left.1), (b, from_right.1), (precision, scale)))
            });
            rows.collect::<std::result::Result<PrimitiveArray<Decimal128Type>, _>>()?
        }
    };
    Ok(Arc::new(out.with_precision_and_scale(precision, scale)?))
}
