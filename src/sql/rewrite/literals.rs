//! Which type have the constants that the planner would read in another one, and which of them are
//! no constants at all?

use sqlparser::ast::DataType as SqlType;
use sqlparser::ast::{ExactNumberInfo, Expr, ValueWithSpan};

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

/// Refuses text behind DATE that is none.
pub(super) fn check_date(value: &ValueWithSpan) -> Result<(), SqlError> {
    let written = value.clone().into_string().unwrap_or_default();
    if !read::is_date_literal(&written) {
        return Err(SqlError::new(format!("'{written}' is no DATE of the years 1 to 9999"))
            .help("write DATE 'yyyy-MM-dd', with a day that the month has"));
    }
    Ok(())
}
