//! Which type has a sum, a product and so on of two numbers?
//!
//! Integers stay integers, a FLOAT or DOUBLE makes the other side one, everything else is DECIMAL
//! with the precision that Flink gives the result.

use arrow::datatypes::{DataType, Field};
use datafusion_common::{DFSchema, Result, plan_err};
use datafusion_expr::expr::BinaryExpr;
use datafusion_expr::{Expr, ExprSchemable, Operator};

use super::casts::implicit_cast;
use crate::sql::functions::arithmetic;
use crate::sql::functions::cast::{self, Unreadable};
use crate::types::common::{common_type, decimal_shape, is_float};
use crate::types::decimal::Operation;
use crate::types::sql_name;

/// The operation that an operator stands for, if it is arithmetic.
pub(super) fn operation(op: Operator) -> Option<Operation> {
    match op {
        Operator::Plus => Some(Operation::Add),
        Operator::Minus => Some(Operation::Subtract),
        Operator::Multiply => Some(Operation::Multiply),
        Operator::Divide => Some(Operation::Divide),
        Operator::Modulo => Some(Operation::Modulo),
        _ => None,
    }
}

/// A sum, a product and so on of two numbers; also MOD.
pub(super) fn calculate(
    operation: Operation,
    op: Operator,
    left: Expr,
    right: Expr,
    schema: &DFSchema,
) -> Result<Expr> {
    let (a, b) = (left.get_type(schema)?, right.get_type(schema)?);
    // A NULL is of the other side's type.
    let (a, b) = (if a.is_null() { b.clone() } else { a.clone() }, if b.is_null() { a } else { b });
    if is_float(&a) || is_float(&b) || a.is_integer() && b.is_integer() {
        let Some(to) = common_type(&a, &b) else {
            return plan_err!("no common type of {} and {}", sql_name(&a), sql_name(&b));
        };
        let sides = [implicit_cast(left, &to, schema)?, implicit_cast(right, &to, schema)?];
        return binary_numbers(operation, op, sides, [a, b], to);
    }
    let (Some((p1, s1)), Some((p2, s2))) = (decimal_shape(&a), decimal_shape(&b)) else {
        return plan_err!("no arithmetic between {} and {}", sql_name(&a), sql_name(&b));
    };
    let left = implicit_cast(left, &DataType::Decimal128(p1, s1), schema)?;
    let right = implicit_cast(right, &DataType::Decimal128(p2, s2), schema)?;
    Ok(arithmetic::call(operation, left, right))
}

/// The result of two integers, or of floating-point numbers, that are in their common type already;
/// `given` are the types that they were written in.
fn binary_numbers(
    operation: Operation,
    op: Operator,
    [left, right]: [Expr; 2],
    [a, b]: [DataType; 2],
    to: DataType,
) -> Result<Expr> {
    // Arrow has no division and no remainder with Flink's answer for a zero.
    let by_function = matches!(operation, Operation::Divide | Operation::Modulo);
    let result = if by_function {
        arithmetic::call(operation, left, right)
    } else {
        Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
    };
    let nullable = |data_type| Field::new("", data_type, true);
    if (&a, &b) == (&DataType::Float32, &DataType::Float64) {
        // A FLOAT on the left keeps the result a FLOAT.
        return cast::call(result, &nullable(b), &nullable(a), Unreadable::RefusesRow);
    }
    // The remainder of integers has the type of the divisor.
    if operation == Operation::Modulo && to != b && to.is_integer() {
        return cast::call(result, &nullable(to), &nullable(b), Unreadable::RefusesRow);
    }
    Ok(result)
}
