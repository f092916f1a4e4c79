//! Which types do functions over ARRAY, MAP and ROW take?

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, DataFusionError, Result};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{Expr, ExprSchemable};

use super::casts::implicit_cast;
use super::places::refused;
use crate::sql::functions::{intervals, nested};

/// Casts the arguments of a function over nested values to what it takes.
pub(super) fn nested_call(
    ScalarFunction { func, mut args }: ScalarFunction,
    schema: &DFSchema,
) -> Result<Expr> {
    let given = args.iter().map(|a| a.get_type(schema)).collect::<Result<Vec<_>>>()?;
    if let ("extract", [unit, value], [_, DataType::Interval(_)]) =
        (func.name(), args.as_slice(), given.as_slice())
    {
        intervals::check_part(unit, value, schema)?;
    }
    match nested::arguments(func.name(), &given) {
        None => {}
        Some(Err(reason)) => match args.first() {
            Some(first) => return refused(reason, first),
            None => return Err(DataFusionError::Plan(reason)),
        },
        Some(Ok(types)) => {
            debug_assert_eq!(types.len(), args.len(), "a function says the type of each argument");
            let cast = args.into_iter().zip(types).map(|(a, to)| implicit_cast(a, &to, schema));
            args = cast.collect::<Result<Vec<_>>>()?;
            nested::check(func.name(), &args)?;
        }
    }
    Ok(Expr::ScalarFunction(ScalarFunction { func, args }))
}
