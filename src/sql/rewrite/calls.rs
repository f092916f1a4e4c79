//! Which calls mean in Flink what another call means to the planner?
//!
//! Called for every function call whose arguments are rewritten already. What always holds: a call
//! that is not named here is left as it is.

use sqlparser::ast::{
    DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, Ident, ObjectName, TimezoneInfo,
};

use crate::sql::constant_types;
use crate::sql::error::SqlError;
use crate::sql::functions::clock;
use crate::sql::planned_cast::CAST;
use crate::sql::syntax::{call, cast, text};

/// What TIMESTAMPADD and TIMESTAMPDIFF count in.
const UNITS: [&str; 9] =
    ["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND"];
/// Those that TIMESTAMPDIFF alone takes.
const UNITS_OF_DIFFERENCE: [&str; 5] =
    ["MICROSECOND", "NANOSECOND", "DECADE", "CENTURY", "MILLENNIUM"];

/// What stands for a call; None leaves it, with its arguments changed where the function needs it.
pub(super) fn rewritten(function: &mut Function) -> Result<Option<Expr>, SqlError> {
    let name = function.name.to_string().to_uppercase();
    check_null_treatment(function, &name)?;
    Ok(match name.as_str() {
        "LOCALTIMESTAMP" | "CURRENT_DATE" | "CURRENT_TIME" | "LOCALTIME" => Some(local_time(&name)),
        "UNIX_TIMESTAMP" if has_no_arguments(function) => Some(call(clock::UNIX_SECONDS, vec![])),
        "GROUPING" | "GROUPING_ID" => Some(grouping(function)),
        "TYPEOF" => type_of(function),
        "TIMESTAMPDIFF" | "TIMESTAMPADD" => {
            name_unit(function, &name)?;
            None
        }
        _ => None,
    })
}

/// ARRAY_AGG alone takes IGNORE NULLS and RESPECT NULLS.
fn check_null_treatment(function: &Function, name: &str) -> Result<(), SqlError> {
    if let FunctionArguments::List(list) = &function.args
        && list.clauses.iter().any(|c| matches!(c, FunctionArgumentClause::IgnoreOrRespectNulls(_)))
        && name != "ARRAY_AGG"
    {
        return Err(SqlError::new(format!(
            "IGNORE NULLS or RESPECT NULLS in '{name}' is not supported"
        )));
    }
    Ok(())
}

/// Local times are casts of the time of day. Flink declares TIME(0) and gives milliseconds.
fn local_time(name: &str) -> Expr {
    let local = match name {
        "LOCALTIMESTAMP" => SqlType::Timestamp(Some(3), TimezoneInfo::None),
        "CURRENT_DATE" => SqlType::Date,
        _ => SqlType::Time(Some(3), TimezoneInfo::None),
    };
    cast(CAST, call("current_timestamp", vec![]), &local)
}

/// DataFusion has one function for both names, which gives an INT where Flink's gives a BIGINT.
fn grouping(function: &Function) -> Expr {
    let mut grouping = function.clone();
    grouping.name = ObjectName::from(vec![Ident::new("grouping")]);
    cast(CAST, Expr::Function(grouping), &SqlType::BigInt(None))
}

/// The name of the type of a constant that loses it when it is planned. Of others TYPEOF is asked
/// when types are known, by then with the lengths of the texts in them.
fn type_of(function: &mut Function) -> Option<Expr> {
    let first = first_argument(function)?;
    if let Some(name) = constant_types::of(first) {
        return Some(text(format!("{name} NOT NULL")));
    }
    constant_types::lengths(first);
    None
}

/// Makes text of the unit, which stands there as if it were a column.
fn name_unit(function: &mut Function, name: &str) -> Result<(), SqlError> {
    let Some(first) = first_argument(function) else { return Ok(()) };
    let Expr::Identifier(unit) = &*first else { return Ok(()) };
    let unit = unit.value.to_uppercase();
    let unit = match unit.strip_prefix("SQL_TSI_") {
        Some("FRAC_SECOND") => "NANOSECOND",
        Some(unit) => unit,
        None => &unit,
    };
    let is_difference = name == "TIMESTAMPDIFF";
    let is_unit = UNITS.contains(&unit) || is_difference && UNITS_OF_DIFFERENCE.contains(&unit);
    if !is_unit {
        return Err(SqlError::new(format!("'{unit}' is no unit of time"))
            .help(format!("units are {}", UNITS.join(", "))));
    }
    *first = text(unit);
    // A DATE becomes a TIMESTAMP where a part of a day is added; nanoseconds need a BIGINT.
    let other = match unit {
        "HOUR" | "MINUTE" | "SECOND" | "MILLISECOND" if !is_difference => "timestampadd_clock",
        "NANOSECOND" => "timestampdiff_nanoseconds",
        _ => return Ok(()),
    };
    function.name = ObjectName::from(vec![Ident::new(other)]);
    Ok(())
}

fn has_no_arguments(function: &Function) -> bool {
    matches!(&function.args, FunctionArguments::List(list) if list.args.is_empty())
}

fn first_argument(function: &mut Function) -> Option<&mut Expr> {
    match &mut function.args {
        FunctionArguments::List(list) => match list.args.first_mut() {
            Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) => Some(first),
            _ => None,
        },
        _ => None,
    }
}
