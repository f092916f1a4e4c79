//! Which expression becomes which other one?
//!
//! [`rewritten`] is the list of forms; what takes more than a line to say is a function below it,
//! or a file beside this one. What always holds: the parts of an expression are rewritten before it
//! is.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, CeilFloorKind, DataType as SqlType, DateTimeField, Expr,
    Ident, Subscript, TimezoneInfo, TypedString, UnaryOperator, Value, ValueWithSpan,
};

use super::{calls, casts, intervals, literals, take};
use crate::sql::error::SqlError;
use crate::sql::functions::nested;
use crate::sql::overlaps;
use crate::sql::syntax::{call, text};

/// What stands for an expression whose parts are rewritten already; None leaves it, where it may
/// have been completed in place.
pub(super) fn rewritten(expression: &mut Expr) -> Result<Option<Expr>, SqlError> {
    Ok(match expression {
        Expr::Value(ValueWithSpan { value: Value::Number(number, _), .. })
            if number.contains(['e', 'E']) =>
        {
            Some(literals::with_exponent(number))
        }
        Expr::Cast { kind: CastKind::DoubleColon, .. } => {
            return Err(
                SqlError::new("'::' is no operator of Flink SQL").help("write CAST(... AS ...)")
            );
        }
        Expr::Cast { kind, expr, data_type, .. } => Some(casts::planned(kind, expr, data_type)?),
        Expr::CompoundFieldAccess { root, access_chain } => {
            Some(element(take(root), std::mem::take(access_chain))?)
        }
        Expr::Tuple(parts) => Some(call(nested::ROW, std::mem::take(parts))),
        Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } => {
            Some(overlaps::condition(left, right)?)
        }
        Expr::BinaryOp { op, .. } if !is_flinks(op) => {
            return Err(SqlError::new(format!("'{op}' is no operator of Flink SQL")));
        }
        Expr::Interval(interval) => intervals::normal(interval)?,
        Expr::TypedString(TypedString {
            data_type: SqlType::Timestamp(p @ None, TimezoneInfo::None),
            value,
            ..
        }) => {
            *p = Some(literals::timestamp_digits(value)?);
            None
        }
        Expr::TypedString(TypedString { data_type: SqlType::Date, value, .. }) => {
            literals::check_date(value)?;
            None
        }
        Expr::Extract { field, expr, .. } => {
            Some(call("extract", vec![text(intervals::unit(field)), take(expr)]))
        }
        Expr::Floor { expr, field: CeilFloorKind::DateTimeField(field) }
            if *field != DateTimeField::NoDateTime =>
        {
            Some(call("floor_to", vec![text(intervals::unit(field)), take(expr)]))
        }
        Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(field) }
            if *field != DateTimeField::NoDateTime =>
        {
            Some(call("ceil_to", vec![text(intervals::unit(field)), take(expr)]))
        }
        Expr::Substring { expr, substring_from, substring_for, .. } => Some(substring(
            take(expr),
            substring_from.as_mut().map(take),
            substring_for.as_mut().map(take),
        )),
        Expr::Position { expr, r#in } => Some(call("position", vec![take(expr), take(r#in)])),
        Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            let mut args = vec![take(expr), take(overlay_what), take(overlay_from)];
            args.extend(overlay_for.as_mut().map(take));
            Some(call("overlay", args))
        }
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            let found = matching("similar", [take(expr), take(pattern)], escape_char.take());
            Some(if *negated { not(found) } else { found })
        }
        Expr::Like { any: false, pattern, escape_char: None, .. } if is_plain(pattern) => None,
        Expr::Like { negated, any: false, expr, pattern, escape_char } => {
            let found = matching("like", [take(expr), take(pattern)], escape_char.take());
            Some(if *negated { not(found) } else { found })
        }
        Expr::Function(function) => calls::rewritten(function)?,
        _ => None,
    })
}

/// `a[1]` and `r.f`, one call for each step. Names in front, as in `t.a[1]`, may begin with that of a
/// table: which they are is left to the planner.
fn element(root: Expr, access: Vec<AccessExpr>) -> Result<Expr, SqlError> {
    let mut names: Vec<Ident> = match &root {
        Expr::Identifier(first) => vec![first.clone()],
        Expr::CompoundIdentifier(names) => names.clone(),
        _ => vec![],
    };
    let mut access = access.into_iter().peekable();
    while !names.is_empty()
        && let Some(AccessExpr::Dot(Expr::Identifier(name))) = access.peek()
    {
        names.push(name.clone());
        access.next();
    }
    let root = if names.len() > 1 { Expr::CompoundIdentifier(names) } else { root };
    access.try_fold(root, |value, access| match access {
        AccessExpr::Subscript(Subscript::Index { index }) => {
            Ok(call(nested::ELEMENT, vec![value, index]))
        }
        AccessExpr::Dot(Expr::Identifier(name)) => {
            Ok(call(nested::FIELD, vec![value, text(name.value)]))
        }
        other => Err(SqlError::new(format!("'{other}' is no element of a value"))),
    })
}

/// SUBSTRING as a call; without FROM it begins at the first character.
fn substring(value: Expr, from: Option<Expr>, length: Option<Expr>) -> Expr {
    let from = from.unwrap_or_else(|| Expr::Value(Value::Number("1".into(), false).into()));
    let mut args = vec![value, from];
    args.extend(length);
    call("substring", args)
}

/// LIKE or SIMILAR TO as a call, which knows the escape character if one is named.
fn matching(function: &str, value_and_pattern: [Expr; 2], escape: Option<ValueWithSpan>) -> Expr {
    let mut args = Vec::from(value_and_pattern);
    args.extend(escape.map(Expr::Value));
    call(function, args)
}

fn not(condition: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(condition) }
}

/// Whether DataFusion's LIKE means what Flink's does: the first has a backslash as its escape
/// character, the second none.
fn is_plain(pattern: &Expr) -> bool {
    matches!(pattern, Expr::Value(v) if matches!(&v.value, Value::SingleQuotedString(p) if !p.contains('\\')))
}

fn is_flinks(op: &BinaryOperator) -> bool {
    use BinaryOperator::{
        And, Divide, Eq, Gt, GtEq, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Or, Plus, StringConcat,
    };
    matches!(
        op,
        And | Or
            | Plus
            | Minus
            | Multiply
            | Divide
            | Modulo
            | StringConcat
            | Eq
            | NotEq
            | Lt
            | LtEq
            | Gt
            | GtEq
    )
}
