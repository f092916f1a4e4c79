//! Comparisons of FLOATs and DOUBLEs as Java's operators make them: with NaN none holds but `<>`,
//! and -0.0 is 0.0.
//!
//! Arrow's kernels have a total order instead, in which NaN is above all numbers.
//! `sql::java_comparisons` puts these in their place, before a plan's expressions are made; columns
//! of other types keep Arrow's.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// A comparison of two floats of one type.
pub fn call(op: Operator, left: Expr, right: Expr) -> Expr {
    let comparison = JavaComparison {
        op,
        name: format!("({op})"),
        signature: Signature::user_defined(Volatility::Immutable),
    };
    ScalarUDF::from(comparison).call(vec![left, right])
}

/// True of what [`call`] takes.
pub(crate) fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JavaComparison {
    op: Operator,
    name: String,
    signature: Signature,
}

impl ScalarUDFImpl for JavaComparison {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [a, b] if a == b && a.is_floating() => Ok(arguments.to_vec()),
            _ => plan_err!("'{}' compares two DOUBLEs", self.op),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return exec_err!("a comparison has two sides");
        };
        let constant =
            matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let out: ArrayRef = match left.data_type() {
            DataType::Float32 => Arc::new(compare::<Float32Type>(self.op, left, right, rows)?),
            DataType::Float64 => Arc::new(compare::<Float64Type>(self.op, left, right, rows)?),
            other => return exec_err!("'{}' does not take {other}", self.op),
        };
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&out, 0)?)
        } else {
            ColumnarValue::Array(out)
        })
    }
}

/// One side: a column, or a constant with its value if it is not NULL.
enum Side<T: ArrowPrimitiveType> {
    Column(PrimitiveArray<T>),
    Constant(Option<T::Native>),
}

impl<T: ArrowPrimitiveType> Side<T> {
    fn of(value: &ColumnarValue) -> Result<Side<T>> {
        Ok(match value {
            ColumnarValue::Array(array) => Side::Column(array.as_primitive::<T>().clone()),
            ColumnarValue::Scalar(scalar) => {
                let one = scalar.to_array_of_size(1)?;
                Side::Constant(one.is_valid(0).then(|| one.as_primitive::<T>().value(0)))
            }
        })
    }

    fn nulls(&self, rows: usize) -> Option<NullBuffer> {
        match self {
            Side::Column(column) => column.nulls().cloned(),
            Side::Constant(None) => Some(NullBuffer::new_null(rows)),
            Side::Constant(Some(_)) => None,
        }
    }
}

/// Which rows a test holds for, whatever is NULL.
fn each<T: ArrowPrimitiveType>(
    left: &Side<T>,
    right: &Side<T>,
    rows: usize,
    holds: impl Fn(T::Native, T::Native) -> bool,
) -> BooleanBuffer {
    match (left, right) {
        (Side::Column(a), Side::Column(b)) => {
            let (a, b) = (&a.values()[..rows], &b.values()[..rows]);
            BooleanBuffer::collect_bool(rows, |row| holds(a[row], b[row]))
        }
        (Side::Column(a), Side::Constant(b)) => {
            let (a, b) = (&a.values()[..rows], b.unwrap_or_default());
            BooleanBuffer::collect_bool(rows, |row| holds(a[row], b))
        }
        (Side::Constant(a), Side::Column(b)) => {
            let (a, b) = (a.unwrap_or_default(), &b.values()[..rows]);
            BooleanBuffer::collect_bool(rows, |row| holds(a, b[row]))
        }
        (Side::Constant(a), Side::Constant(b)) => {
            let holds = holds(a.unwrap_or_default(), b.unwrap_or_default());
            BooleanBuffer::collect_bool(rows, |_| holds)
        }
    }
}

fn compare<T: ArrowPrimitiveType>(
    op: Operator,
    left: &ColumnarValue,
    right: &ColumnarValue,
    rows: usize,
) -> Result<BooleanArray>
where
    T::Native: PartialOrd,
{
    let (left, right) = (Side::<T>::of(left)?, Side::<T>::of(right)?);
    let nulls = NullBuffer::union(left.nulls(rows).as_ref(), right.nulls(rows).as_ref());
    let found = match op {
        Operator::Eq => each(&left, &right, rows, |a, b| a == b),
        Operator::NotEq => each(&left, &right, rows, |a, b| a != b),
        Operator::Lt => each(&left, &right, rows, |a, b| a < b),
        Operator::LtEq => each(&left, &right, rows, |a, b| a <= b),
        Operator::Gt => each(&left, &right, rows, |a, b| a > b),
        Operator::GtEq => each(&left, &right, rows, |a, b| a >= b),
        Operator::IsDistinctFrom => {
            return Ok(BooleanArray::new(!&same(&left, &right, rows), None));
        }
        Operator::IsNotDistinctFrom => {
            return Ok(BooleanArray::new(same(&left, &right, rows), None));
        }
        other => return exec_err!("'{other}' compares nothing"),
    };
    Ok(BooleanArray::new(found, nulls))
}

/// Equal, or both NULL.
fn same<T: ArrowPrimitiveType>(left: &Side<T>, right: &Side<T>, rows: usize) -> BooleanBuffer
where
    T::Native: PartialEq,
{
    let equal = each(left, right, rows, |a, b| a == b);
    let valid = |nulls: Option<NullBuffer>| {
        nulls.map_or_else(|| BooleanBuffer::new_set(rows), NullBuffer::into_inner)
    };
    let (left, right) = (valid(left.nulls(rows)), valid(right.nulls(rows)));
    &(&(&left & &right) & &equal) | &!&(&left | &right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Float64Array;

    #[test]
    fn columns_and_constants_give_the_same() {
        let values = [
            Some(f64::NAN),
            Some(-f64::NAN),
            Some(0.0),
            Some(-0.0),
            Some(1.5),
            Some(f64::INFINITY),
            None,
        ];
        let ops = [
            (Operator::Eq, (|a, b| a == b) as fn(f64, f64) -> bool),
            (Operator::NotEq, |a, b| a != b),
            (Operator::Lt, |a, b| a < b),
            (Operator::LtEq, |a, b| a <= b),
            (Operator::Gt, |a, b| a > b),
            (Operator::GtEq, |a, b| a >= b),
        ];
        let column = ColumnarValue::Array(Arc::new(Float64Array::from(values.to_vec())));
        let rows = values.len();
        for constant in values {
            let scalar = ColumnarValue::Scalar(ScalarValue::Float64(constant));
            let repeated = ColumnarValue::Array(Arc::new(Float64Array::from(vec![constant; rows])));
            for (op, holds) in ops {
                let expected: BooleanArray =
                    values.iter().map(|v| Some(holds((*v)?, constant?))).collect();
                let swapped: BooleanArray =
                    values.iter().map(|v| Some(holds(constant?, (*v)?))).collect();
                for (left, right, expected) in [
                    (&column, &scalar, &expected),
                    (&column, &repeated, &expected),
                    (&scalar, &column, &swapped),
                ] {
                    assert_eq!(
                        &compare::<Float64Type>(op, left, right, rows).expect("compares"),
                        expected,
                        "{op} {constant:?}"
                    );
                }
            }
            let distinct: BooleanArray = values.iter().map(|v| Some(*v != constant)).collect();
            let found = compare::<Float64Type>(Operator::IsDistinctFrom, &column, &scalar, rows)
                .expect("compares");
            let not = compare::<Float64Type>(Operator::IsNotDistinctFrom, &column, &repeated, rows)
                .expect("compares");
            assert_eq!((found.values(), found.null_count()), (distinct.values(), 0));
            assert_eq!(not.values(), &!distinct.values());
        }
    }
}
