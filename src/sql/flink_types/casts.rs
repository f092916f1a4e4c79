//! How does an expression come to another type: because the user wrote CAST, or because types have
//! to meet?
//!
//! Constants are cast here and now; a constant text that cannot be read is refused before a row is.
//! What always holds: a cast between two equal types is none.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion_common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion_expr::expr::Cast;
use datafusion_expr::{ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs};

use super::places::at;
use crate::sql::functions::cast::{self, Unreadable};
use crate::sql::functions::intervals;
use crate::types::common::decimal_shape;

fn field_of(expression: &Expr, schema: &DFSchema) -> Result<Arc<Field>> {
    Ok(expression.to_field(schema)?.1)
}

/// An expression in another type, without the user having asked for it.
pub fn implicit_cast(expression: Expr, to: &DataType, schema: &DFSchema) -> Result<Expr> {
    let from = field_of(&expression, schema)?;
    if from.data_type() == to {
        return Ok(expression);
    }
    if let Expr::Literal(value, _) = &expression {
        if value.is_null() {
            return Ok(Expr::Literal(ScalarValue::try_from(to)?, None));
        }
        let to = Field::new("", to.clone(), true);
        if let Some(folded) = fold(&expression, &from, &to) {
            return Ok(folded);
        }
        readable(&expression, &to)?;
    }
    // Arrow's own kernels where nothing can be lost: they are faster.
    let exact = match (from.data_type(), to) {
        (a, b) if a.is_integer() && b.is_integer() => widens(a, b),
        (DataType::Float32, DataType::Float64) => true,
        (a, DataType::Float64) => a.is_integer(),
        _ => false,
    };
    if exact {
        return Ok(Expr::Cast(Cast::new(Box::new(expression), to.clone())));
    }
    cast::call(expression, &from, &Field::new("", to.clone(), true), Unreadable::RefusesRow)
}

/// Text or bytes cut and padded to the length of a field.
pub fn length_cast(expression: Expr, to: &Field, schema: &DFSchema) -> Result<Expr> {
    explicit_cast(expression, to, Unreadable::RefusesRow, schema)
}

/// CAST or TRY_CAST as the user wrote it.
pub(super) fn explicit_cast(
    expression: Expr,
    to: &Field,
    unreadable: Unreadable,
    schema: &DFSchema,
) -> Result<Expr> {
    let from = field_of(&expression, schema)?;
    if intervals::is_interval(from.data_type()) && is_text(to.data_type()) {
        return explicit_cast(intervals::to_text(expression, schema)?, to, unreadable, schema);
    }
    if let Some(folded) = fold(&expression, &from, to) {
        return Ok(folded);
    }
    if widens(from.data_type(), to.data_type()) {
        return Ok(Expr::Cast(Cast::new(Box::new(expression), to.data_type().clone())));
    }
    if unreadable == Unreadable::RefusesRow {
        readable(&expression, to)?;
    }
    let place = expression.clone();
    cast::call(expression, &from, to, unreadable).map_err(|e| at(e, &place))
}

/// Refuses a constant text that no row could cast.
fn readable(expression: &Expr, to: &Field) -> Result<()> {
    match expression {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => match cast::constant(text, to) {
            Some(reason) => plan_err!("{reason}"),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// A constant in another type. Integers stay casts: their literals would be narrowed again.
fn fold(expression: &Expr, from: &Field, to: &Field) -> Option<Expr> {
    let Expr::Literal(value, _) = expression else { return None };
    if to.data_type().is_integer() || !to.metadata().is_empty() || !from.metadata().is_empty() {
        return None;
    }
    let Ok(Expr::ScalarFunction(call)) =
        cast::call(expression.clone(), from, to, Unreadable::RefusesRow)
    else {
        return None;
    };
    let args = ScalarFunctionArgs {
        args: vec![ColumnarValue::Scalar(value.clone())],
        arg_fields: vec![Arc::new(from.clone())],
        number_rows: 1,
        return_field: Arc::new(to.clone()),
        config_options: Arc::default(),
    };
    match call.func.invoke_with_args(args) {
        Ok(ColumnarValue::Scalar(value)) => Some(Expr::Literal(value, None)),
        _ => None,
    }
}

/// Whether both are integers and the second holds every value of the first.
fn widens(from: &DataType, to: &DataType) -> bool {
    from.is_integer() && to.is_integer() && decimal_shape(from) < decimal_shape(to)
}

/// Whether a type is text.
pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8)
}
