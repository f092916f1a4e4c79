//! What does a CAST become before its type is known to the planner?

use arrow::datatypes::DataType;
use sqlparser::ast::{CastKind, DataType as SqlType, Expr, Ident};

use super::take;
use crate::sql::error::SqlError;
use crate::sql::functions::intervals;
use crate::sql::planned_cast::{CAST, TRY_CAST};
use crate::sql::statement::place_of;
use crate::sql::syntax::{cast, constant_interval, text};
use crate::sql::types::{arrow_type, nested};

/// A call of the planner's cast with the type in text. A type that is not supported is refused
/// here, where its place is known; the expression is taken only then, since the message may go by
/// its place.
pub(super) fn planned(
    kind: &CastKind,
    expression: &mut Box<Expr>,
    data_type: &SqlType,
) -> Result<Expr, SqlError> {
    let name = custom_name(data_type);
    let place = name.and_then(place_of);
    let target = arrow_type(data_type).map_err(|e| SqlError::new(e).at(place))?;
    if let Some(name) = name.filter(|name| nested::is_nested(&name.value)) {
        nested::check_cast(&name.value).map_err(|e| SqlError::new(e).at(place))?;
    }
    let kind = if *kind == CastKind::Cast { CAST } else { TRY_CAST };
    // Of a constant the kind is known here, and for a zero here alone.
    if let (Expr::Interval(interval), DataType::Utf8) = (&**expression, target)
        && let Some((family, length)) = constant_interval(interval)
    {
        return Ok(cast(kind, text(intervals::text_of(family, length)), data_type));
    }
    Ok(cast(kind, take(expression), data_type))
}

/// The name of a type that sqlparser does not know.
fn custom_name(data_type: &SqlType) -> Option<&Ident> {
    match data_type {
        SqlType::Custom(name, _) => name.0.first()?.as_ident(),
        _ => None,
    }
}
