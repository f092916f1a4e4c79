//! Which types have the two sides of an operator?
//!
//! Arithmetic is in `arithmetic`; here are comparisons. What always holds: the sides of a
//! comparison that is left to the engine have one type, or are refused by it.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion_expr::{Expr, ExprSchemable, Operator};

use super::arithmetic::{calculate, operation};
use super::casts::{implicit_cast, is_text};
use super::nested_calls::nested_call;
use super::places::refused;
use crate::sql::functions::{intervals, nested};
use crate::types::common::{common_type, is_float};
use crate::types::sql_name;

/// An operator whose sides have their types.
pub(super) fn binary(
    BinaryExpr { left, op, right }: BinaryExpr,
    schema: &DFSchema,
) -> Result<Expr> {
    let (a, b) = (left.get_type(schema)?, right.get_type(schema)?);
    if let Some(operation) = operation(op) {
        if !(a.is_numeric() || a.is_null())
            || !(b.is_numeric() || b.is_null())
            || a.is_null() && b.is_null()
        {
            return Ok(plain(*left, op, *right));
        }
        return calculate(operation, op, *left, *right, schema);
    }
    if is_comparison(op) {
        comparison(*left, op, *right, schema)
    } else {
        Ok(plain(*left, op, *right))
    }
}

/// An operator between two expressions as they are.
fn plain(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// A comparison with both sides in one type.
fn comparison(left: Expr, op: Operator, right: Expr, schema: &DFSchema) -> Result<Expr> {
    let (a, b) = (left.get_type(schema)?, right.get_type(schema)?);
    if a.is_nested() && b.is_nested() && matches!(op, Operator::Eq | Operator::NotEq) {
        let equal = nested_equality(left, right, schema)?;
        return Ok(if op == Operator::Eq { equal } else { Expr::Not(Box::new(equal)) });
    }
    if intervals::is_interval(&a) && intervals::is_interval(&b) {
        let [left, right] = intervals::lengths(left, right, schema)?;
        return Ok(plain(left, op, right));
    }
    if a.is_nested() || b.is_nested() {
        return refused(
            format!("'{op}' does not take {} and {}", sql_name(&a), sql_name(&b)),
            &left,
        );
    }
    if a == b || a.is_null() || b.is_null() {
        return Ok(plain(left, op, right));
    }
    // Between a constant in text and a time the text is read.
    let temporal = |t: &DataType| t.is_temporal() && !matches!(t, DataType::Interval(_));
    if is_text(&a) && temporal(&b) {
        return Ok(plain(implicit_cast(left, &b, schema)?, op, right));
    }
    if is_text(&b) && temporal(&a) {
        return Ok(plain(left, op, implicit_cast(right, &a, schema)?));
    }
    let to = match is_order(op) && text_and_number(&a, &b) {
        true => common_type(&DataType::Int64, if is_text(&a) { &b } else { &a }),
        false => compared_as(&a, &b),
    };
    match to {
        Some(to) => {
            Ok(plain(implicit_cast(left, &to, schema)?, op, implicit_cast(right, &to, schema)?))
        }
        None => Ok(plain(left, op, right)),
    }
}

/// Whether an operator asks which side is larger.
pub(super) fn is_order(op: Operator) -> bool {
    matches!(op, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
}

/// A text and a number: the text is read as a BIGINT, or as what holds a BIGINT and the number.
pub(super) fn text_and_number(a: &DataType, b: &DataType) -> bool {
    is_text(a) && b.is_numeric() || a.is_numeric() && is_text(b)
}

/// The type in which two numbers are compared. None leaves their types, as those of anything else.
fn compared_as(a: &DataType, b: &DataType) -> Option<DataType> {
    if !(a.is_numeric() && b.is_numeric()) {
        None
    } else if is_float(a) || is_float(b) {
        Some(DataType::Float64)
    } else {
        common_type(a, b)
    }
}

/// Whether two nested values are equal. Two ROWs that are written out are compared field by field:
/// NULL where a field is.
fn nested_equality(left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
    let fields = |e: &Expr| match e {
        Expr::ScalarFunction(call) if call.func.name() == nested::ROW => Some(call.args.clone()),
        _ => None,
    };
    if let (Some(ours), Some(theirs)) = (fields(&left), fields(&right)) {
        let pairs = ours.into_iter().zip(theirs);
        let equal = pairs
            .map(|(l, r)| binary(BinaryExpr::new(Box::new(l), Operator::Eq, Box::new(r)), schema));
        let all = equal.collect::<Result<Vec<_>>>()?.into_iter().reduce(Expr::and);
        if let Some(all) = all {
            return Ok(all);
        }
    }
    nested_call(ScalarFunction { func: nested::equal(), args: vec![left, right] }, schema)
}

/// Whether an operator compares its sides.
pub(super) fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}
