//! PROCTIME() and the other functions of the clock as the planner sees them. Never run:
//! `plan::lower` puts a column with the time of day in their place.
//!
//! Those that give a local time (LOCALTIMESTAMP, CURRENT_DATE) are casts of these, made by
//! `sql::rewrite`. What always holds: all of them give the same time for a row, as in Flink.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion_common::{Result, not_impl_err};
use datafusion_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, lit,
};

const PROCTIME_NAME: &str = "proctime";
/// UNIX_TIMESTAMP() without arguments: seconds since the epoch.
pub(crate) const UNIX_SECONDS: &str = "unix_timestamp_now";
const NAMES: [&str; 5] =
    [PROCTIME_NAME, "current_timestamp", "now", "current_row_timestamp", UNIX_SECONDS];

pub fn all() -> impl Iterator<Item = ScalarUDF> {
    NAMES.into_iter().map(|name| {
        ScalarUDF::from(Clock { name, signature: Signature::nullary(Volatility::Volatile) })
    })
}

/// The type of the time of day.
pub(crate) fn now_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// A call that gives the time of day.
pub fn call() -> Expr {
    let udf = ScalarUDF::from(Clock {
        name: "current_timestamp",
        signature: Signature::nullary(Volatility::Volatile),
    });
    udf.call(vec![])
}

/// What a function is called in SQL.
pub fn name_of(name: &str) -> String {
    if name == UNIX_SECONDS { "UNIX_TIMESTAMP".into() } else { name.to_uppercase() }
}

/// True for a call of PROCTIME().
pub(crate) fn is_proctime(expression: &Expr) -> bool {
    matches!(expression, Expr::ScalarFunction(function) if function.name() == PROCTIME_NAME)
}

/// What a call becomes over a column with the time of day; None if it is another function.
pub fn over(call: &Expr, now: Expr) -> Option<Expr> {
    let Expr::ScalarFunction(function) = call else { return None };
    match function.name() {
        UNIX_SECONDS => Some(datafusion_expr::cast(now, DataType::Int64) / lit(1000i64)),
        name if NAMES.contains(&name) => Some(now),
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Clock {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Clock {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.name == UNIX_SECONDS { DataType::Int64 } else { now_type() })
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name, self.return_type(&[])?, false);
        let marks = HashMap::from([(PROCTIME.to_string(), "true".to_string())]);
        Ok(Arc::new(if self.name == PROCTIME_NAME { field.with_metadata(marks) } else { field }))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        not_impl_err!(
            "'{}' in this place; SELECT it in a subquery of the table",
            name_of(self.name)
        )
    }
}

/// Field metadata that marks a processing-time attribute: what PROCTIME() gives.
pub const PROCTIME: &str = "paceline.proctime";
