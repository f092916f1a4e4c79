//! Which type do several expressions have in common?

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, DataFusionError, Result};
use datafusion_expr::{Expr, ExprSchemable};

use super::casts::{implicit_cast, is_text};
use super::places::refused;
use crate::types::common::common_type;
use crate::types::sql_name;

/// Casts expressions to their common type.
pub(super) fn meet_all(what: &str, expressions: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let types = expressions.iter().map(|e| e.get_type(schema)).collect::<Result<Vec<_>>>()?;
    if types.windows(2).all(|t| t[0] == t[1]) {
        return Ok(expressions);
    }
    let mut to = DataType::Null;
    for (data_type, expression) in types.iter().zip(&expressions) {
        to = match common_type(&to, data_type) {
            Some(to) => to,
            // Text is read where a time is wanted.
            None if is_text(data_type) && to.is_temporal() => to,
            None if is_text(&to) && data_type.is_temporal() => data_type.clone(),
            None => {
                let message = format!(
                    "'{what}' cannot bring {} and {} together",
                    sql_name(&to),
                    sql_name(data_type)
                );
                return refused(message, expression);
            }
        };
    }
    expressions.into_iter().map(|e| implicit_cast(e, &to, schema)).collect()
}

/// The same for as many expressions as are given.
pub(super) fn meet<const N: usize>(
    what: &str,
    expressions: [Expr; N],
    schema: &DFSchema,
) -> Result<[Expr; N]> {
    let met = meet_all(what, expressions.into(), schema)?;
    met.try_into().map_err(|_| DataFusionError::Internal("as many expressions as before".into()))
}
