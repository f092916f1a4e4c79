//! How does a query, or an expression of a declaration, become a plan with Flink's types?
//!
//! The passes over the parsed query come first, then DataFusion's planner, then those over its
//! plan. Called for the query of every view, INSERT and SELECT, and for every computed column and
//! watermark.

use std::sync::Arc;

use datafusion_common::{DFSchema, DataFusionError, Result as PlanResult};
use datafusion_expr::{Expr, LogicalPlan};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_sql::planner::PlannerContext;
use sqlparser::ast::{Expr as SqlExpr, Query, Statement as SqlStatement};

use super::names::{Names, OfFile};
use crate::sql::error::{Source, SqlError};
use crate::sql::{
    flink_types, group_windows, lateral, lookup_join, refused, row_stars, select_hints, unnest,
    zones,
};
use crate::suggest::nearest;
use crate::time::zone::Zone;

impl Names {
    /// The plan of a query, with Flink's types.
    pub(super) fn query(
        &self,
        query: &Query,
        source: &Source<'_>,
    ) -> Result<LogicalPlan, SqlError> {
        let mut query = query.clone();
        refused::calls(&query, &|name| {
            self.functions.scalar(name).is_some()
                && self.functions.aggregate(name).is_none()
                && self.functions.window(name).is_none()
        })?;
        group_windows::rewrite(&mut query)?;
        unnest::rewrite(&mut query)?;
        lookup_join::rewrite(&mut query)?;
        row_stars::expand(&mut query, self);
        select_hints::rewrite(&mut query)?;
        self.planner()
            .sql_statement_to_plan(SqlStatement::Query(Box::new(query)))
            .and_then(flink_types::apply)
            .and_then(lookup_join::resolve)
            .map_err(|e| self.plan_error(&e, source))
    }

    /// A typed and coerced expression over the given columns, whose local times are those of the
    /// zone.
    pub(super) fn expression(
        &self,
        expression: &SqlExpr,
        schema: &DFSchema,
        zone: Option<&Zone>,
        source: &Source<'_>,
    ) -> Result<Expr, SqlError> {
        self.typed_expression(expression.clone(), schema, zone)
            .map_err(|e| self.plan_error(&e, source))
    }

    fn typed_expression(
        &self,
        expression: SqlExpr,
        schema: &DFSchema,
        zone: Option<&Zone>,
    ) -> PlanResult<Expr> {
        let expression =
            self.planner().sql_to_expr(expression, schema, &mut PlannerContext::new())?;
        let expression = flink_types::expression(expression, schema)?;
        let context = datafusion_expr::simplify::SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .build();
        let expression = ExprSimplifier::new(context).coerce(expression, schema)?;
        match zone {
            Some(zone) => zones::expression(expression, schema, zone),
            None => Ok(expression),
        }
    }

    /// An error of the planner in our words. It knows an unknown function by its message alone:
    /// what the name stands for elsewhere, and which name is near, is known here.
    pub(super) fn plan_error(&self, error: &DataFusionError, source: &Source<'_>) -> SqlError {
        let error = SqlError::from_plan(error, source);
        if error.message.starts_with(lateral::REFUSED) {
            return SqlError { place: source.find("LATERAL"), ..error };
        }
        let Some(rest) = error.message.strip_prefix("Invalid function '") else { return error };
        let name = rest.split('\'').next().unwrap_or_default().to_string();
        let place = source.find(&name).or(error.place);
        if name.eq_ignore_ascii_case("SOURCE_WATERMARK") {
            return SqlError::new("SOURCE_WATERMARK() stands alone in WATERMARK FOR ... AS")
                .at(place)
                .help("write WATERMARK FOR ts AS SOURCE_WATERMARK()");
        }
        let upper = name.to_uppercase();
        if self.functions.window(&name).is_some() {
            let error =
                SqlError::new(format!("'{upper}' numbers rows or looks at others: it needs OVER"))
                    .at(place);
            return error.help(format!("write {upper}(...) OVER (PARTITION BY ... ORDER BY ...)"));
        }
        if let Some((window, _)) = group_windows::part_of(&upper) {
            return SqlError::new(format!(
                "'{upper}' stands where rows are grouped by {window}(...)"
            ))
            .at(place);
        }
        if let Some(OfFile::Code(class)) = self.of_file.get(&name.to_lowercase()) {
            let message = format!(
                "function {name} is '{class}', code for Flink's JVM or Python, which does not run here"
            );
            return SqlError::new(message).at(place).help(format!(
                "write it in SQL: CREATE FUNCTION {name}(x BIGINT) RETURNS BIGINT RETURN x + 1; or in Rust, as a function of a job \
                 (`paceline::Job::function`)"
            ));
        }
        let unknown = SqlError::new(format!("function '{upper}' is not known")).at(place);
        match nearest(&name, self.functions.names()) {
            Some(near) => unknown.help(format!("did you mean '{}'?", near.to_uppercase())),
            None => unknown,
        }
    }
}
