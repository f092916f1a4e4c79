//! Where does an expression stand in the text?

use sqlparser::ast::{Expr, TypedString};

use crate::sql::error::TextPlace;
use crate::sql::statement::place_of;

/// The place of the first word of an expression that has one.
pub(super) fn of(expression: &Expr) -> Option<TextPlace> {
    let mut at = expression;
    // Down the left side, step by step: this may be as deep as what is refused for its depth.
    loop {
        at = match at {
            Expr::BinaryOp { left, .. } => left,
            Expr::Nested(e) | Expr::UnaryOp { expr: e, .. } | Expr::IsNull(e) | Expr::IsNotNull(e) => e,
            Expr::Cast { expr, .. } | Expr::Between { expr, .. } | Expr::InList { expr, .. } | Expr::Like { expr, .. } => expr,
            Expr::Identifier(name) => return place_of(name),
            Expr::CompoundIdentifier(parts) => return parts.first().and_then(place_of),
            Expr::Function(f) => return f.name.0.first().and_then(|p| p.as_ident()).and_then(place_of),
            Expr::Interval(interval) => &interval.value,
            Expr::Value(value) | Expr::TypedString(TypedString { value, .. }) => {
                let start = value.span.start;
                return (start.line > 0).then_some(TextPlace { line: start.line, column: start.column });
            }
            _ => return None,
        };
    }
}
