//! How is an INTERVAL written so that the planner reads one number of milliseconds or months?

use sqlparser::ast::{DateTimeField, Expr, Interval, UnaryOperator, Value, ValueWithSpan};

use crate::sql::error::SqlError;
use crate::sql::interval::{Amount, amount};
use crate::sql::syntax::text;

/// The name of a unit of time, in the singular and in upper case.
pub(super) fn unit(field: &DateTimeField) -> String {
    let name = field.to_string().to_uppercase();
    name.strip_suffix('S').map(String::from).unwrap_or(name)
}

/// An interval as one number of milliseconds or months. Text that is no such interval is an error.
pub(super) fn normal(interval: &Interval) -> Result<Option<Expr>, SqlError> {
    let Interval { value, leading_field: Some(from), last_field: to, .. } = interval else {
        return Ok(None);
    };
    let (text_value, negative) = match &**value {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => (text, false),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
            Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => {
                (text, true)
            }
            _ => return Ok(None),
        },
        _ => {
            return Err(SqlError::new("an INTERVAL takes its number in quotes")
                .help("write INTERVAL '5' SECOND"));
        }
    };
    let (from, to) = (unit(from), to.as_ref().map(unit));
    let Some(amount) = amount(text_value, &from, to.as_deref()) else {
        let range = to.map(|to| format!(" TO {to}")).unwrap_or_default();
        let message = format!("'{text_value}' is no INTERVAL of {from}{range}");
        return Err(SqlError::new(message));
    };
    let sign = if negative { -1 } else { 1 };
    let normal = match amount {
        Amount::Months(months) => format!("{} months", sign * months),
        Amount::Milliseconds(ms) => {
            let ms = sign * ms;
            format!(
                "{}{}.{:03} seconds",
                if ms < 0 { "-" } else { "" },
                ms.abs() / 1000,
                ms.abs() % 1000
            )
        }
    };
    Ok(Some(Expr::Interval(Interval {
        value: Box::new(text(normal)),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })))
}
