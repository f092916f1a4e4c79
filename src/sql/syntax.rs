//! Pieces of parsed SQL, made and read by what rewrites it: calls, texts, casts, intervals.
//!
//! Knows sqlparser's nodes alone. Used by `dialect`, `rewrite` and the other passes over a
//! statement.

use sqlparser::ast::{
    DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, Interval, ObjectName, Value, ValueWithSpan,
};

use super::functions::intervals::Family;

/// A call of a function.
pub fn call(name: impl Into<Ident>, args: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![name.into()]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args
                .into_iter()
                .map(|a| FunctionArg::Unnamed(FunctionArgExpr::Expr(a)))
                .collect(),
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

pub fn text(value: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.into()).into())
}

pub fn cast(name: &str, expression: Expr, data_type: &SqlType) -> Expr {
    call(name, vec![expression, text(data_type.to_string())])
}

/// The kind and length of an interval that [`normal_interval`] made.
pub(crate) fn constant_interval(interval: &Interval) -> Option<(Family, i64)> {
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) =
        &*interval.value
    else {
        return None;
    };
    match text.strip_suffix(" months") {
        Some(months) => Some((Family::Months, months.parse().ok()?)),
        // Three digits stand behind the point.
        None => Some((
            Family::Milliseconds,
            text.strip_suffix(" seconds")?.replace('.', "").parse().ok()?,
        )),
    }
}
