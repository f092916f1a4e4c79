//! Which type have the constants that the planner would read in another one, and which of them are
//! no constants at all?

use sqlparser::ast::DataType as SqlType;
use sqlparser::ast::{ExactNumberInfo, Expr, TimezoneInfo, TypedString, ValueWithSpan, Values};

use crate::sql::error::SqlError;
use crate::sql::functions::cast::read;
use crate::sql::planned_cast::CAST;
use crate::sql::syntax::{cast, text};

/// A number with an exponent is a DOUBLE, by way of its text: the planner reads others as DECIMAL.
pub(super) fn with_exponent(number: &str) -> Expr {
    cast(CAST, text(number), &SqlType::Double(ExactNumberInfo::None))
}

/// The digits after the second of TIMESTAMP '...': those that are written are the precision. Text
/// that is no such time is refused.
pub(super) fn timestamp_digits(value: &ValueWithSpan) -> Result<u64, SqlError> {
    let written = value.clone().into_string().unwrap_or_default();
    if !read::is_timestamp_literal(&written) {
        return Err(SqlError::new(format!("'{written}' is no TIMESTAMP of the years 1 to 9999"))
            .help("write TIMESTAMP 'yyyy-MM-dd HH:mm:ss', with a day that the month has"));
    }
    Ok(written.split_once('.').map_or(0, |(_, fraction)| fraction.len().min(9) as u64))
}

/// Gives the TIMESTAMPs of a column of VALUES one precision, where not all its cells are TIMESTAMPs
/// of the same: the planner takes no others.
pub(super) fn one_precision(values: &mut Values) -> Result<(), SqlError> {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    for column in 0..width {
        let mut digits = Vec::new();
        for row in &values.rows {
            digits.push(match row.content.get(column) {
                Some(Expr::TypedString(TypedString {
                    data_type: SqlType::Timestamp(None, TimezoneInfo::None),
                    value,
                    ..
                })) => Some(timestamp_digits(value)?),
                _ => None,
            });
        }
        let Some(most) = digits.iter().flatten().max() else { continue };
        if digits.iter().all(|own| own.as_ref() == Some(most)) {
            continue;
        }
        // Of these the planner knows no others apart.
        let most = [3, 6, 9].into_iter().find(|known| known >= most).unwrap_or(9);
        for row in &mut values.rows {
            if let Some(Expr::TypedString(TypedString {
                data_type: SqlType::Timestamp(precision @ None, TimezoneInfo::None),
                ..
            })) = row.content.get_mut(column)
            {
                *precision = Some(most);
            }
        }
    }
    Ok(())
}

/// Refuses text behind DATE that is none.
pub(super) fn check_date(value: &ValueWithSpan) -> Result<(), SqlError> {
    let written = value.clone().into_string().unwrap_or_default();
    if !read::is_date_literal(&written) {
        return Err(SqlError::new(format!("'{written}' is no DATE of the years 1 to 9999"))
            .help("write DATE 'yyyy-MM-dd', with a day that the month has"));
    }
    Ok(())
}
