//! A condition that stands above a join, in WHERE or around a subquery: part of the join, if it is on
//! both sides, else of the side that it is on.
//!
//! Called by `bind` for every plan. Whether a join has a bound in time shows in its own condition,
//! so what Flink finds by pushing filters down is brought there: through subqueries, views and
//! other joins. A join without a bound keeps its rows: those that a condition on one side refuses
//! are left out before it. What always holds: the rows that come out are the same. An outer join
//! whose missing rows such a condition refuses is an inner one.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DFSchema, JoinType, Result};
use datafusion_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion_expr::{Expr, Filter, Join, LogicalPlan, Operator, Projection, SubqueryAlias, lit};

use super::catalog::PlannedLookup;
use super::functions::{as_of, clock, current_watermark};
use super::lookup_join;

/// Moves the conditions of all filters of a plan.
pub(crate) fn gather(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan
        .transform_down(|plan| match plan {
            LogicalPlan::Filter(_) => filter(plan),
            LogicalPlan::Join(join) => spare_sides(join),
            plan => Ok(Transformed::no(plan)),
        })?
        .data)
}

/// Takes what a join's own condition says of one side alone before the join, where rows that it
/// refuses come out in no way.
fn spare_sides(join: Join) -> Result<Transformed<LogicalPlan>> {
    let spares_left =
        matches!(join.join_type, JoinType::Inner | JoinType::Right | JoinType::LeftSemi);
    let spares_right = !is_as_of(&join)
        && matches!(
            join.join_type,
            JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti
        );
    let (mut left, mut right, mut stay) = (vec![], vec![], vec![]);
    for condition in join.filter.iter().flat_map(split_conjunction) {
        let pushed = !asks_more(condition);
        match sides(condition, &join) {
            (true, false) if spares_left && pushed => left.push(condition.clone()),
            (false, true) if spares_right && pushed => right.push(condition.clone()),
            _ => stay.push(condition.clone()),
        }
    }
    if left.is_empty() && right.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let left = filtered(&join.left, conjunction(left))?;
    let right = filtered(&join.right, conjunction(right))?;
    Ok(Transformed::yes(LogicalPlan::Join(Join { left, right, filter: conjunction(stay), ..join })))
}

/// True if the right side is asked what it says as of a time: leaving out rows before that would
/// bring others forward.
fn is_as_of(join: &Join) -> bool {
    fn is_looked_up(plan: &LogicalPlan) -> bool {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => is_looked_up(&alias.input),
            LogicalPlan::TableScan(scan) => scan.source.downcast_ref::<PlannedLookup>().is_some(),
            _ => false,
        }
    }
    is_looked_up(&join.right) || lookup_join::versions(join).is_some()
}

fn filtered(plan: &Arc<LogicalPlan>, condition: Option<Expr>) -> Result<Arc<LogicalPlan>> {
    Ok(match condition {
        Some(condition) => Arc::new(LogicalPlan::Filter(Filter::try_new(condition, plan.clone())?)),
        None => plan.clone(),
    })
}

/// Whether all columns of a condition, which has some, are of the left side, and of the right.
fn sides(condition: &Expr, join: &Join) -> (bool, bool) {
    let columns = condition.column_refs();
    let of = |side: &LogicalPlan| {
        !columns.is_empty() && columns.iter().all(|c| side.schema().has_column(c))
    };
    (of(&join.left), of(&join.right))
}

fn filter(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Filter(filter) = plan else { return Ok(Transformed::no(plan)) };
    let mut input = Arc::unwrap_or_clone(filter.input);
    let mut stay = Vec::new();
    let mut moved = false;
    for condition in split_conjunction_owned(filter.predicate) {
        let taken = if asks_more(&condition) { None } else { absorbed(&condition, &input)? };
        match taken {
            Some(changed) => (input, moved) = (changed, true),
            None => stay.push(condition),
        }
    }
    let plan = match conjunction(stay) {
        Some(predicate) => LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?),
        None => input,
    };
    Ok(if moved { Transformed::yes(plan) } else { Transformed::no(plan) })
}

/// The plan with the condition in one of its joins, if that has columns of the condition on both
/// sides.
fn absorbed(condition: &Expr, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    Ok(match plan {
        LogicalPlan::Join(join) => in_join(condition, join)?.map(LogicalPlan::Join),
        LogicalPlan::Filter(filter) => match absorbed(condition, &filter.input)? {
            Some(input) => Some(LogicalPlan::Filter(Filter::try_new(
                filter.predicate.clone(),
                Arc::new(input),
            )?)),
            None => None,
        },
        LogicalPlan::SubqueryAlias(alias) => {
            let below =
                alias.input.schema().columns().into_iter().map(Expr::Column).collect::<Vec<_>>();
            match absorbed(&over(condition, &alias.schema, &below)?, &alias.input)? {
                Some(input) => Some(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(
                    Arc::new(input),
                    alias.alias.clone(),
                )?)),
                None => None,
            }
        }
        LogicalPlan::Projection(projection) => {
            let below = over(condition, &projection.schema, &projection.expr)?;
            if asks_more(&below) {
                return Ok(None);
            }
            match absorbed(&below, &projection.input)? {
                Some(input) => {
                    let (exprs, schema) = (projection.expr.clone(), projection.schema.clone());
                    Some(LogicalPlan::Projection(Projection::try_new_with_schema(
                        exprs,
                        Arc::new(input),
                        schema,
                    )?))
                }
                None => None,
            }
        }
        _ => None,
    })
}

/// True if a condition asks for more than columns: the clock, a watermark, chance. Joins cannot
/// give that.
fn asks_more(condition: &Expr) -> bool {
    let asks = |e: &Expr| {
        let named = matches!(e, Expr::ScalarFunction(call) if [current_watermark::NAME, as_of::NAME].contains(&call.name()));
        Ok(named || e.is_volatile_node() || clock::over(e, lit(0)).is_some())
    };
    // The walk cannot fail: its closure does not.
    condition.exists(asks).unwrap_or(true)
}

/// The condition over what the columns of a schema stand for.
fn over(condition: &Expr, schema: &DFSchema, below: &[Expr]) -> Result<Expr> {
    let columns: HashMap<Column, Expr> = schema
        .columns()
        .into_iter()
        .zip(below.iter().map(|e| e.clone().unalias_nested().data))
        .collect();
    let replaced = |e: Expr| {
        Ok(match &e {
            Expr::Column(column) => {
                columns.get(column).cloned().map_or_else(|| Transformed::no(e), Transformed::yes)
            }
            _ => Transformed::no(e),
        })
    };
    Ok(condition.clone().transform_up(replaced)?.data)
}

fn in_join(condition: &Expr, join: &Join) -> Result<Option<Join>> {
    let columns = condition.column_refs();
    let (of_left, of_right) = sides(condition, join);
    // What a filter refuses before such a join never comes out of it.
    let keeps_left = matches!(
        join.join_type,
        JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti
    );
    let keeps_right =
        matches!(join.join_type, JoinType::Inner | JoinType::Right) && !is_as_of(join);
    if of_left && !of_right && keeps_left {
        let left = match absorbed(condition, &join.left)? {
            Some(left) => Arc::new(left),
            None => filtered(&join.left, Some(condition.clone()))?,
        };
        return Ok(Some(Join { left, ..join.clone() }));
    }
    if of_right && !of_left && keeps_right {
        let right = match absorbed(condition, &join.right)? {
            Some(right) => Arc::new(right),
            None => filtered(&join.right, Some(condition.clone()))?,
        };
        return Ok(Some(Join { right, ..join.clone() }));
    }
    let both = !of_left && !of_right && columns.iter().all(|c| join.schema.has_column(c));
    let is_inner = match join.join_type {
        JoinType::Inner => true,
        JoinType::Left | JoinType::Right | JoinType::Full => refuses_null(condition),
        _ => false,
    };
    if !both || columns.is_empty() || !is_inner {
        return Ok(None);
    }
    let all = join.filter.clone().into_iter().chain([condition.clone()]);
    Ok(Some(Join { filter: conjunction(all), join_type: JoinType::Inner, ..join.clone() }))
}

/// True if the condition does not hold where any of its columns is NULL.
fn refuses_null(condition: &Expr) -> bool {
    fn is_strict(value: &Expr) -> bool {
        match value {
            Expr::Column(_) | Expr::Literal(..) => true,
            Expr::Cast(cast) => is_strict(&cast.expr),
            Expr::BinaryExpr(e) => {
                matches!(e.op, Operator::Plus | Operator::Minus)
                    && is_strict(&e.left)
                    && is_strict(&e.right)
            }
            _ => false,
        }
    }
    match condition {
        Expr::BinaryExpr(e) => {
            let compares = matches!(
                e.op,
                Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
            );
            compares && is_strict(&e.left) && is_strict(&e.right)
        }
        // One bound may refuse what the other knows nothing of.
        Expr::Between(b) => {
            !b.negated && [&b.expr, &b.low, &b.high].into_iter().all(|e| is_strict(e))
        }
        _ => false,
    }
}
