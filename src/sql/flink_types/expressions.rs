//! Which type has an expression whose parts have theirs?
//!
//! [`expression`] goes from the leaves up. What always holds: an expression that went through twice
//! is the same.

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion_expr::expr::{
    AggregateFunction, Between, BinaryExpr, Cast, InList, ScalarFunction, TryCast,
};
use datafusion_expr::{Expr, ExprSchemable, Operator, Subquery};

use super::arithmetic::calculate;
use super::cases::{case_expression, typed_case};
use super::casts::{explicit_cast, implicit_cast};
use super::meet::{meet, meet_all};
use super::nested_calls::nested_call;
use super::operators::{binary, text_and_number};
use super::places::refused;
use crate::sql::functions::cast::Unreadable;
use crate::sql::functions::{conditional, intervals, sql_bodied, type_of};
use crate::sql::planned_cast;
use crate::types::common::common_type;
use crate::types::decimal::Operation;
use crate::types::sql_name;

/// An expression over these columns with Flink's types.
pub fn expression(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(expression.transform_up(|e| typed(e, schema).map(Transformed::yes))?.data)
}

/// One expression whose parts have their types.
fn typed(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    match expression {
        Expr::Literal(ScalarValue::Decimal256(..), _) => {
            plan_err!("a number has at most 38 digits")
        }
        Expr::Literal(value, metadata) => Ok(Expr::Literal(literal(value), metadata)),
        Expr::BinaryExpr(given) => binary(given, schema),
        Expr::Cast(Cast { expr, field }) => {
            explicit_cast(*expr, &field, Unreadable::RefusesRow, schema)
        }
        Expr::TryCast(TryCast { expr, field }) => {
            explicit_cast(*expr, &field, Unreadable::IsNull, schema)
        }
        Expr::Case(case) => case_expression(case, schema),
        Expr::Between(given) => between(given, schema),
        Expr::InList(given) => in_list(given, schema),
        Expr::InSubquery(given) => {
            same_type("IN", &given.expr, &given.subquery, schema)?;
            Ok(Expr::InSubquery(given))
        }
        Expr::SetComparison(given) => {
            same_type("a comparison with ANY or ALL", &given.expr, &given.subquery, schema)?;
            Ok(Expr::SetComparison(given))
        }
        Expr::AggregateFunction(call) => aggregate(call, schema),
        Expr::Negative(value) => negative(value, schema),
        Expr::ScalarFunction(call) => scalar(call, schema),
        other => Ok(other),
    }
}

/// A constant: an integer is INT if it fits, and past BIGINT a DECIMAL.
fn literal(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Int64(Some(v)) => {
            i32::try_from(v).map_or(value, |v| ScalarValue::Int32(Some(v)))
        }
        ScalarValue::UInt64(Some(v)) => ScalarValue::Decimal128(
            Some(i128::from(v)),
            if v >= 10u64.pow(19) { 20 } else { 19 },
            0,
        ),
        // DataFusion does not count the 0 before the point.
        ScalarValue::Decimal128(Some(v), p, s) if i32::from(p) == i32::from(s) && p < 38 => {
            ScalarValue::Decimal128(Some(v), p + 1, s)
        }
        other => other,
    }
}

/// BETWEEN, with its three parts in one type. Intervals have none that is compared, and text and
/// numbers none that they meet in elsewhere: they become two comparisons.
fn between(Between { expr, negated, low, high }: Between, schema: &DFSchema) -> Result<Expr> {
    let (of, from, to) = (expr.get_type(schema)?, low.get_type(schema)?, high.get_type(schema)?);
    let mixes = text_and_number(&of, &from) || text_and_number(&of, &to);
    if intervals::is_interval(&of) || mixes {
        let side =
            |op, bound: Expr| binary(BinaryExpr::new(expr.clone(), op, Box::new(bound)), schema);
        let within = side(Operator::GtEq, *low)?.and(side(Operator::LtEq, *high)?);
        return Ok(if negated { Expr::Not(Box::new(within)) } else { within });
    }
    let [expr, low, high] = meet("BETWEEN", [*expr, *low, *high], schema)?;
    Ok(Expr::Between(Between::new(Box::new(expr), negated, Box::new(low), Box::new(high))))
}

/// IN with a list, in one type. Where an exact number is looked for among constants they take its
/// type first: 2 is in (2.5).
fn in_list(InList { expr, list, negated }: InList, schema: &DFSchema) -> Result<Expr> {
    let to = expr.get_type(schema)?;
    if to.is_nested() || intervals::is_interval(&to) {
        return refused(format!("IN does not take {}", sql_name(&to)), &expr);
    }
    let is_exact = to.is_integer() || matches!(to, DataType::Decimal128(..));
    // Constants take the type of what is looked for, numbers become text too.
    let others = list.iter().map(|e| e.get_type(schema)).collect::<Result<Vec<_>>>()?;
    let are_constants = list.iter().all(|e| matches!(e, Expr::Literal(..)));
    if are_constants && !others.is_empty() && others.iter().all(|t| text_and_number(&to, t)) {
        let list = list.into_iter().map(|e| implicit_cast(e, &to, schema));
        return Ok(Expr::InList(InList::new(expr, list.collect::<Result<_>>()?, negated)));
    }
    let list = if is_exact && list.iter().all(|e| matches!(e, Expr::Literal(..))) {
        let list = list.into_iter().map(|e| {
            let number = e.get_type(schema)?.is_numeric();
            if number || matches!(&e, Expr::Literal(v, _) if v.is_null()) {
                implicit_cast(e, &to, schema)
            } else {
                Ok(e)
            }
        });
        list.collect::<Result<Vec<_>>>()?
    } else {
        list
    };
    let mut all = meet_all("IN", std::iter::once(*expr).chain(list).collect(), schema)?;
    let expr = all.remove(0);
    Ok(Expr::InList(InList::new(Box::new(expr), all, negated)))
}

/// Refuses a value that has no type in common with the column of a subquery.
fn same_type(what: &str, value: &Expr, subquery: &Subquery, schema: &DFSchema) -> Result<()> {
    let Some(column) = subquery.subquery.schema().fields().first() else { return Ok(()) };
    let given = value.get_type(schema)?;
    if common_type(&given, column.data_type()).is_some() {
        return Ok(());
    }
    let (given, of) = (sql_name(&given), sql_name(column.data_type()));
    refused(format!("{what} does not compare {given} with {of}"), value)
}

/// An aggregate: its FILTER is a condition, and COUNT of an untyped NULL counts nothing (another
/// constant counts rows).
fn aggregate(mut call: AggregateFunction, schema: &DFSchema) -> Result<Expr> {
    if let Some(filter) = &call.params.filter {
        let given = filter.get_type(schema)?;
        if given != DataType::Boolean && !given.is_null() {
            return plan_err!(
                "'FILTER' takes a condition that is true or false, not {}",
                sql_name(&given)
            );
        }
    }
    if call.func.name() == "count" {
        for argument in &mut call.params.args {
            if matches!(argument, Expr::Literal(ScalarValue::Null, _)) {
                *argument = Expr::Literal(ScalarValue::Int32(None), None);
            }
        }
    }
    Ok(Expr::AggregateFunction(call))
}

/// A minus sign before a number or an interval.
fn negative(value: Box<Expr>, schema: &DFSchema) -> Result<Expr> {
    let given = value.get_type(schema)?;
    if given.is_numeric() || given.is_null() || intervals::is_interval(&given) {
        return Ok(Expr::Negative(value));
    }
    refused(format!("'-' takes a number or an INTERVAL, not {}", sql_name(&given)), &value)
}

/// A call: one of a function with a SQL body is written out, the planner's casts, TYPEOF and MOD have types of their own, COALESCE and its like
/// become CASE.
fn scalar(call: ScalarFunction, schema: &DFSchema) -> Result<Expr> {
    let cast = |argument, to: &DataType| implicit_cast(argument, to, schema);
    if let Some(written) = sql_bodied::written_out(&call, schema, cast) {
        return written;
    }
    let ScalarFunction { func, mut args } = call;
    match func.name() {
        planned_cast::CAST => planned(args, Unreadable::RefusesRow, schema),
        planned_cast::TRY_CAST => planned(args, Unreadable::IsNull, schema),
        type_of::NAME => type_of::text(&args, schema),
        "mod" if args.len() == 2 => {
            let (left, right) = (args.remove(0), args.remove(0));
            calculate(Operation::Modulo, Operator::Modulo, left, right, schema)
        }
        name => match conditional::as_case(name, args) {
            Ok(case) => typed_case(case, schema),
            Err(args) => nested_call(ScalarFunction { func, args }, schema),
        },
    }
}

/// The cast that a call with the type in text stands for.
fn planned(mut args: Vec<Expr>, unreadable: Unreadable, schema: &DFSchema) -> Result<Expr> {
    let (Some(Expr::Literal(to, _)), Some(expression)) = (args.pop(), args.pop()) else {
        return plan_err!("CAST needs a type");
    };
    explicit_cast(expression, &planned_cast::target(&to)?, unreadable, schema)
}
