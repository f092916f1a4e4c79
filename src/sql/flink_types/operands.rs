//! Does an operator of Flink take these two sides?
//!
//! Asked by the planner before it looks for a meaning of its own, and for conditions that are made
//! here. What always holds: a message names the types in SQL's words, with the place of the side
//! that is wrong.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, DataFusionError, Result};
use datafusion_expr::{Expr, ExprSchemable, Operator};

use super::arithmetic::operation;
use super::casts::is_text;
use super::operators::{is_comparison, is_order, text_and_number};
use super::places::{at, refused};
use crate::sql::functions::nested;
use crate::types::common::common_type;
use crate::types::sql_name;

/// Refuses sides that the operator does not take; `sign` is how the query writes it. Whatever has
/// no type yet is taken.
pub fn check_operands(
    op: Operator,
    sign: &str,
    left: &Expr,
    right: &Expr,
    schema: &DFSchema,
) -> Result<()> {
    let (a, b) = (left.get_type(schema)?, right.get_type(schema)?);
    if a.is_null() || b.is_null() {
        return Ok(());
    }
    if op == Operator::StringConcat {
        return check_concatenation([&a, &b], [left, right]);
    }
    if operation(op).is_some() {
        check_arithmetic(op, sign, [&a, &b], [left, right])?;
    }
    if is_comparison(op) && !is_comparable(op, &a, &b) {
        let names = format!("{} and {}", sql_name(&a), sql_name(&b));
        let message =
            format!("cannot compare {names} with '{sign}'\nDid you mean to CAST one of them?");
        return Err(at(at(DataFusionError::Plan(message), right), left));
    }
    Ok(())
}

/// `||` takes text on both sides.
fn check_concatenation([a, b]: [&DataType; 2], [left, right]: [&Expr; 2]) -> Result<()> {
    let (given, wrong) = match (is_text(a), is_text(b)) {
        (true, true) => return Ok(()),
        (true, false) => (b, right),
        _ => (a, left),
    };
    refused(
        format!("'||' takes text only, not {}\nDid you mean CAST(... AS STRING)?", sql_name(given)),
        wrong,
    )
}

/// Arithmetic takes numbers, or a time or a length of time and an interval.
fn check_arithmetic(
    op: Operator,
    sign: &str,
    [a, b]: [&DataType; 2],
    [left, right]: [&Expr; 2],
) -> Result<()> {
    if is_time(a) && is_time(b) && op == Operator::Minus {
        let message = "the difference of two times needs its unit\nDid you mean TIMESTAMPDIFF(SECOND, <from>, <to>)?";
        return refused(message.into(), left);
    }
    let scales = matches!(op, Operator::Multiply | Operator::Divide);
    let with_interval = (is_interval(a) || is_interval(b))
        && (is_time(a)
            || is_time(b)
            || is_interval(a) && is_interval(b)
            || scales && (a.is_numeric() || b.is_numeric()));
    if a.is_numeric() && b.is_numeric() || with_interval {
        return Ok(());
    }
    let wrong = if a.is_numeric() { right } else { left };
    let message = format!("'{sign}' does not take {} and {}", sql_name(a), sql_name(b));
    Err(at(at(DataFusionError::Plan(message), left), wrong))
}

/// Whether Flink compares values of these types.
fn is_comparable(op: Operator, a: &DataType, b: &DataType) -> bool {
    let nested = a.is_nested() && common_type(a, b).is_some_and(|t| nested::is_comparable(&t));
    a == b && !a.is_nested()
        || nested && matches!(op, Operator::Eq | Operator::NotEq)
        || a.is_numeric() && b.is_numeric()
        || is_time(a) && is_time(b)
        || is_interval(a) && is_interval(b)
        || is_text(a) && is_time(b)
        || is_time(a) && is_text(b)
        // Text is read as a number where one is larger, and nowhere else.
        || is_order(op) && text_and_number(a, b)
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

/// A point in time or of the day.
fn is_time(data_type: &DataType) -> bool {
    data_type.is_temporal() && !is_interval(data_type)
}
