//! `(a, b) OVERLAPS (c, d)`: have two spans of time a moment in common?
//!
//! Called by `rewrite`, which puts comparisons in its place, as Flink's planner does: the ends of a
//! span may come in either order, the second may be an INTERVAL behind the first, and spans that
//! touch overlap. What is NULL follows from those.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
};

use super::error::SqlError;
use super::functions::nested;

/// The condition; both sides are rewritten already.
pub fn condition(left: &Expr, right: &Expr) -> Result<Expr, SqlError> {
    let wrong =
        || SqlError::new("OVERLAPS takes two spans: (<start>, <end>) or (<start>, INTERVAL ...)");
    let ((start, end), (other_start, other_end)) =
        (span(left).ok_or_else(wrong)?, span(right).ok_or_else(wrong)?);
    let first = binary(end, BinaryOperator::GtEq, other_start);
    let second = binary(other_end, BinaryOperator::GtEq, start);
    Ok(Expr::Nested(Box::new(binary(first, BinaryOperator::And, second))))
}

/// The earlier and the later end of a span.
fn span(side: &Expr) -> Option<(Expr, Expr)> {
    let Expr::Function(row) = side else { return None };
    let FunctionArguments::List(list) = &row.args else { return None };
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(one)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(other)),
    ] = list.args.as_slice()
    else {
        return None;
    };
    if row.name.to_string() != nested::ROW {
        return None;
    }
    let other = match other {
        Expr::Interval(_) => binary(one.clone(), BinaryOperator::Plus, other.clone()),
        end => end.clone(),
    };
    let if_in_order = |then: &Expr, otherwise: &Expr| Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen {
            condition: binary(one.clone(), BinaryOperator::LtEq, other.clone()),
            result: then.clone(),
        }],
        else_result: Some(Box::new(otherwise.clone())),
    };
    Some((if_in_order(one, &other), if_in_order(&other, one)))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}
