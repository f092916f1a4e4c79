//! Which type has a constant that the planner forgets? A text has its length, a timestamp its
//! digits, an interval its kind.
//!
//! `rewrite` asks for TYPEOF. What always holds: what is not known here is left to
//! `functions::type_of`, which refuses it.

use sqlparser::ast::{
    CharacterLength, DataType as SqlType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
    TimezoneInfo, TypedString, Value, ValueWithSpan,
};

use super::functions::nested;
use super::planned_cast::CAST;
use crate::sql::syntax::{cast, constant_interval, text};

/// The type of a constant that loses part of it when it is planned.
pub fn of(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Interval(interval) => {
            constant_interval(interval).map(|(family, _)| format!("INTERVAL {}", family.name()))
        }
        Expr::TypedString(TypedString {
            data_type: SqlType::Timestamp(Some(digits), TimezoneInfo::None),
            ..
        }) => Some(format!("TIMESTAMP({digits})")),
        _ => None,
    }
}

/// Says the length of texts that stand in an expression where its type goes by them.
pub fn lengths(expression: &mut Expr) {
    match expression {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(value), .. })
            if !value.is_empty() =>
        {
            let length = value.chars().count() as u64;
            let length = CharacterLength::IntegerLength { length, unit: None };
            let value = text(std::mem::take(value));
            *expression = cast(CAST, value, &SqlType::Char(Some(length)));
        }
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            let goes_by = [nested::ARRAY, nested::MAP, nested::ROW, "upper", "lower", "trim"];
            if let FunctionArguments::List(list) = &mut function.args
                && goes_by.contains(&name.trim_matches('`'))
            {
                for argument in &mut list.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument {
                        lengths(argument);
                    }
                }
            }
        }
        Expr::Trim { expr, .. } | Expr::Nested(expr) => lengths(expr),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_get_their_length_where_a_type_goes_by_it() {
        for (sql, expected) in [
            ("'abc'", "(cast)('abc', 'CHAR(3)')"),
            ("UPPER('a')", "UPPER((cast)('a', 'CHAR(1)'))"),
            ("EXTRACT(YEAR FROM 'a')", "EXTRACT(YEAR FROM 'a')"),
            ("''", "''"),
        ] {
            let parser = sqlparser::parser::Parser::new(&crate::sql::dialect::FlinkDialect);
            let mut expression =
                parser.try_with_sql(sql).and_then(|mut p| p.parse_expr()).expect(sql);
            lengths(&mut expression);
            assert_eq!(expression.to_string(), expected);
        }
    }
}
