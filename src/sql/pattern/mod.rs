//! MATCH_RECOGNIZE in FROM: from its clauses to a node of the logical plan.
//!
//! [`within`] makes WITHIN readable, `clauses` takes the clauses apart, `references` what conditions
//! and measures say of rows, and [`PatternPlanner`] makes the node, with a projection above it that
//! computes the measures. `plan::lower` makes the operator. What always holds: what Flink 2.3 refuses
//! is refused here with its place.

mod clauses;
mod node;
mod references;
pub(crate) mod within;

pub(crate) use node::{Condition, MatchRecognize, Operand, Reference, What};

use std::sync::Arc;

use datafusion_common::{Result, plan_err};
use datafusion_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder};
use sqlparser::ast::{AfterMatchSkip, RowsPerMatch, TableFactor};

use crate::operator::pattern::partial::Skip;
use references::{Place, References};

/// Plans MATCH_RECOGNIZE.
#[derive(Debug)]
pub(crate) struct PatternPlanner;

impl RelationPlanner for PatternPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::MatchRecognize {
            table,
            partition_by,
            order_by,
            measures,
            rows_per_match,
            after_match_skip,
            pattern,
            symbols,
            alias,
        } = relation
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        if matches!(rows_per_match, Some(RowsPerMatch::AllRows(_))) {
            return plan_err!(
                "'ALL ROWS PER MATCH' is not supported, as in Flink: write ONE ROW PER MATCH"
            );
        }
        let (within, definitions): (Vec<_>, Vec<_>) =
            symbols.into_iter().partition(|d| d.symbol.value == within::WITHIN);
        let variables = clauses::variables(&pattern)?;
        let within_ms = clauses::within_ms(within, context)?;
        let variable = |name: &str| match variables.iter().position(|v| v.name == name) {
            Some(variable) => Ok(variable),
            None => plan_err!("'{name}' is no variable of the PATTERN"),
        };
        let skip = match &after_match_skip {
            None | Some(AfterMatchSkip::ToNextRow) => Skip::ToNextRow,
            Some(AfterMatchSkip::PastLastRow) => Skip::PastLastRow,
            Some(AfterMatchSkip::ToFirst(name)) => Skip::ToFirst(variable(&name.value)?),
            Some(AfterMatchSkip::ToLast(name)) => Skip::ToLast(variable(&name.value)?),
        };
        let input = context.plan(*table)?;
        let partition = clauses::partition(partition_by, &input, context)?;
        let order = clauses::order(order_by, &input, context)?;
        let names: Vec<&str> = variables.iter().map(|v| v.name.as_str()).collect();
        let mut references = References::new(&names, &input, &order[0].0, context);
        let mut conditions = vec![None; variables.len()];
        for definition in definitions {
            let at = variable(&definition.symbol.value)?;
            if conditions[at].is_some() {
                return plan_err!("'{}' is defined twice", definition.symbol.value);
            }
            conditions[at] = Some(references.condition(at, definition.definition)?);
        }
        let mut columns = Vec::new();
        for measure in measures {
            columns
                .push((references.rewritten(measure.expr, Place::Measures)?, measure.alias.value));
        }
        let (values, aggregates, found) = references.finish();
        let node = MatchRecognize::try_new(
            node::Parts {
                partition,
                order,
                values,
                aggregates,
                variables,
                conditions,
                skip,
                within_ms,
                measures: found,
            },
            input,
        )?;
        let kept: Vec<Expr> = (0..node.partition_len())
            .map(|at| {
                Expr::Column(datafusion_common::Column::from(node.output().qualified_field(at)))
            })
            .collect();
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        let mut exprs = kept;
        for (measure, name) in columns {
            exprs.push(context.sql_to_expr(measure, plan.schema())?.alias(name));
        }
        let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}
