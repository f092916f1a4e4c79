//! What are the columns of a query called where its own names do not do?
//!
//! A view may name them, VALUES has no names, and tables that are joined may share some. What
//! always holds: the columns themselves stay as they are, in their order.

use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use sqlparser::ast::{Ident, Query, SetExpr};

use crate::sql::error::SqlError;
use crate::sql::item_names;
use crate::sql::statement::place_of;

/// The plan with the names that a view lists.
pub(super) fn rename(plan: LogicalPlan, names: &[Ident]) -> Result<LogicalPlan, SqlError> {
    let columns = plan.schema().columns();
    if columns.len() != names.len() {
        return Err(SqlError::new(format!(
            "the view names {} columns, its query has {}",
            names.len(),
            columns.len()
        ))
        .at(names.first().and_then(place_of)));
    }
    let exprs = columns.into_iter().zip(names).map(|(c, n)| Expr::Column(c).alias(&n.value));
    LogicalPlanBuilder::from(plan)
        .project(exprs.collect::<Vec<_>>())
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| SqlError::of_engine(&e))
}

/// Rows that stand in the query have columns without names.
pub(super) fn named_values(plan: LogicalPlan, query: &Query) -> Result<LogicalPlan, SqlError> {
    if !matches!(*query.body, SetExpr::Values(_)) {
        return Ok(plan);
    }
    let names: Vec<Ident> =
        (0..plan.schema().fields().len()).map(|i| Ident::new(format!("EXPR${i}"))).collect();
    rename(plan, &names)
}

/// The plan with a name of its own for each column, as Flink numbers those that tables share.
pub(super) fn apart(plan: LogicalPlan) -> Result<LogicalPlan, SqlError> {
    match item_names::each_once(plan.schema().fields().iter().map(|f| f.name().as_str())) {
        Some(names) => rename(plan, &names.into_iter().map(Ident::new).collect::<Vec<_>>()),
        None => Ok(plan),
    }
}
