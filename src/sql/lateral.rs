//! LATERAL subqueries, in the forms that become joins.
//!
//! Called by `bind` before subqueries are joined. DataFusion joins those whose WHERE alone looks at
//! the row before them, aggregates without GROUP BY included. Two things are made Flink's here. An
//! aggregate of no rows is no row of an inner join, though SQL has one (a LEFT JOIN has its COUNT of
//! 0). And its Top-N for each row becomes such a subquery: the rows of each key are numbered, and the
//! condition is what the numbers are filtered with.
//!
//! ```text
//! LATERAL (SELECT n, v FROM t WHERE k = o.k ORDER BY v DESC LIMIT 3)
//! LATERAL (SELECT n, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) AS r FROM t) WHERE r <= 3 AND k = o.k)
//! ```
//!
//! What always holds: a subquery that is none of these is refused, and so is one with an aggregate of
//! the rows of each row whose join would have another meaning.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, Result, plan_err};
use datafusion_expr::expr::{Sort as SortExpr, WindowFunction};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    Aggregate, BinaryExpr, Expr, ExprFunctionExt, FetchType, Filter, Join, JoinType, Limit,
    LogicalPlan, LogicalPlanBuilder, Operator, Projection, SkipType, Sort, Subquery,
    WindowFunctionDefinition, lit,
};

use super::functions::ranks;

/// How the refusal of a subquery begins, by which its place is found.
pub(super) const REFUSED: &str = "this LATERAL subquery is not supported";
/// The number of a row within its key. No SQL name is that.
const NUMBER: &str = "(number)";

/// Makes joinable what can be.
pub(crate) fn as_flink_joins(plan: LogicalPlan) -> Result<LogicalPlan> {
    let node = |plan| match plan {
        LogicalPlan::Subquery(lateral) => {
            check_aggregates(&lateral.subquery)?;
            of_subquery(lateral, numbered)
        }
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            let right = join.right.as_ref().clone().transform_down(|plan| match plan {
                LogicalPlan::Subquery(lateral) => {
                    let changed = of_subquery(lateral, grouped)?;
                    Ok(Transformed { tnr: TreeNodeRecursion::Jump, ..changed })
                }
                plan @ LogicalPlan::SubqueryAlias(_) => Ok(Transformed::no(plan)),
                plan => Ok(Transformed::new(plan, false, TreeNodeRecursion::Jump)),
            })?;
            Ok(right
                .update_data(|right| LogicalPlan::Join(Join { right: Arc::new(right), ..join })))
        }
        plan => Ok(Transformed::no(plan)),
    };
    Ok(plan.transform_up(node)?.data)
}

/// A subquery that is changed, or as it is.
fn of_subquery(
    lateral: Subquery,
    change: impl FnOnce(&LogicalPlan) -> Result<Option<LogicalPlan>>,
) -> Result<Transformed<LogicalPlan>> {
    Ok(match change(&lateral.subquery)? {
        Some(changed) => Transformed::yes(LogicalPlan::Subquery(Subquery {
            subquery: Arc::new(changed),
            ..lateral
        })),
        None => Transformed::no(LogicalPlan::Subquery(lateral)),
    })
}

/// Refuses an aggregate without GROUP BY of the rows of each row, unless it is what the subquery
/// gives: what another node makes of its row of no rows is known to no join.
fn check_aggregates(subquery: &LogicalPlan) -> Result<()> {
    let mut plan = subquery;
    while let LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) = plan {
        plan = plan.inputs()[0];
    }
    if let LogicalPlan::Aggregate(aggregate) = plan
        && aggregate.group_expr.is_empty()
    {
        plan = aggregate.input.as_ref();
        if let LogicalPlan::Filter(filter) = plan {
            plan = filter.input.as_ref();
        }
        if !plan.all_out_ref_exprs().is_empty() {
            return plan_err!(
                "{REFUSED}: the row before it may stand in the WHERE of its aggregate alone"
            );
        }
    }
    plan.apply(|node| match node {
        LogicalPlan::Aggregate(aggregate)
            if aggregate.group_expr.is_empty() && !node.all_out_ref_exprs().is_empty() =>
        {
            plan_err!("{REFUSED}: an aggregate of the rows of each row may be all that it gives, and not under DISTINCT, GROUP BY or another aggregate")
        }
        _ => Ok(TreeNodeRecursion::Continue),
    })?;
    Ok(())
}

/// An aggregate without GROUP BY, grouped by what its rows have in common with the row before it: so
/// that no rows have none.
fn grouped(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
            let Some(input) = grouped(plan.inputs()[0])? else { return Ok(None) };
            Ok(Some(plan.with_new_exprs(plan.expressions(), vec![input])?))
        }
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
            let LogicalPlan::Filter(filter) = aggregate.input.as_ref() else { return Ok(None) };
            let conditions = split_conjunction_owned(filter.predicate.clone());
            let outer = conditions.iter().filter(|condition| condition.contains_outer());
            let Some(keys) = outer.map(key).collect::<Option<Vec<Expr>>>() else { return Ok(None) };
            let (input, calls) = (aggregate.input.clone(), aggregate.aggr_expr.clone());
            Ok(Some(LogicalPlan::Aggregate(Aggregate::try_new(input, keys, calls)?)))
        }
        _ => Ok(None),
    }
}

/// Refuses what has not become a join.
pub(crate) fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply(|node| match node {
        LogicalPlan::Subquery(_) => plan_err!(
            "{REFUSED}: the row before it may stand in its WHERE, and with ORDER BY and LIMIT only as `column = o.column`"
        ),
        _ => Ok(TreeNodeRecursion::Continue),
    })?;
    Ok(())
}

/// The subquery with a number in the place of its LIMIT, if the rows that it orders are those of a
/// key.
fn numbered(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Limit(limit) = plan else { return Ok(None) };
    let LogicalPlan::Sort(Sort { expr: order, input, fetch: None }) = limit.input.as_ref() else {
        return Ok(None);
    };
    let LogicalPlan::Projection(projection) = input.as_ref() else { return Ok(None) };
    let LogicalPlan::Filter(filter) = projection.input.as_ref() else { return Ok(None) };
    let Some((first, last)) = bounds(limit)? else { return Ok(None) };
    let (outer, own): (Vec<Expr>, Vec<Expr>) = split_conjunction_owned(filter.predicate.clone())
        .into_iter()
        .partition(Expr::contains_outer);
    let Some(keys) = outer.iter().map(key).collect::<Option<Vec<Expr>>>() else { return Ok(None) };
    if keys.is_empty() {
        return Ok(None);
    }
    let order = order.iter().map(|sort| below(sort, projection)).collect::<Result<Vec<_>>>()?;
    let Some(function) = ranks::all().find(|function| function.name() == ranks::ROW_NUMBER) else {
        return Ok(None);
    };
    let function = WindowFunctionDefinition::WindowUDF(Arc::new(function));
    let number = Expr::from(WindowFunction::new(function, vec![]));
    let number = number.partition_by(keys).order_by(order).build()?;
    let rows = match conjunction(own) {
        Some(own) => LogicalPlan::Filter(Filter::try_new(own, filter.input.clone())?),
        None => filter.input.as_ref().clone(),
    };
    let mut columns: Vec<Expr> = rows.schema().columns().into_iter().map(Expr::Column).collect();
    columns.push(Expr::Column(Column::from_name(number.schema_name().to_string())).alias(NUMBER));
    let numbered = LogicalPlanBuilder::from(rows).window(vec![number])?.project(columns)?;
    let number = || Expr::Column(Column::from_name(NUMBER));
    let bounded = numbered.filter(number().gt_eq(lit(first)).and(number().lt_eq(lit(last))))?;
    let of_row = outer.into_iter().reduce(Expr::and).unwrap_or_else(|| lit(true));
    let chosen = bounded.filter(of_row)?.project(projection.expr.clone())?;
    Ok(Some(chosen.build()?))
}

/// The numbers that LIMIT and OFFSET let through, from 1.
fn bounds(limit: &Limit) -> Result<Option<(i64, i64)>> {
    let (SkipType::Literal(skip), FetchType::Literal(Some(fetch))) =
        (limit.get_skip_type()?, limit.get_fetch_type()?)
    else {
        return Ok(None);
    };
    let ends = i64::try_from(skip).ok().zip(i64::try_from(fetch).ok());
    // Whoever asks for more rows than there are numbers gets all that come.
    Ok(ends.and_then(|(skip, fetch)| Some((skip.checked_add(1)?, skip.saturating_add(fetch)))))
}

/// What a condition sets equal to the row before the subquery.
fn key(condition: &Expr) -> Option<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else {
        return None;
    };
    let is_outer = |side: &Expr| side.contains_outer() && side.column_refs().is_empty();
    match (is_outer(left), is_outer(right)) {
        (false, true) if !left.contains_outer() => Some(left.as_ref().clone()),
        (true, false) if !right.contains_outer() => Some(right.as_ref().clone()),
        _ => None,
    }
}

/// A sort key in terms of what the projection reads.
fn below(sort: &SortExpr, projection: &Projection) -> Result<SortExpr> {
    let schema: &DFSchema = &projection.schema;
    let expr = sort.expr.clone().transform(|expr| {
        let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
        Ok(match schema.maybe_index_of_column(column) {
            Some(index) => Transformed::yes(projection.expr[index].clone().unalias()),
            None => Transformed::no(expr),
        })
    })?;
    Ok(SortExpr { expr: expr.data, ..sort.clone() })
}
