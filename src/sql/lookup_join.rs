//! `JOIN dim FOR SYSTEM_TIME AS OF o.pt AS d ON ...`: a join with what a table says as of the time of
//! each left row.
//!
//! DataFusion's planner passes over the version of a table. [`rewrite`] puts it into the join: the
//! table gets a name that marks it, the time becomes a condition. [`resolve`] checks the time once
//! columns are known. What always holds: what is left is a join with a scan of a [`PlannedLookup`],
//! which is asked by its key (processing time), or one whose condition names the rowtimes of both
//! sides, whose versions are joined ([`versions`]); a version anywhere else is refused.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion_common::tree_node::Transformed;
use datafusion_common::{Column, DataFusionError, Result as PlanResult};
use datafusion_expr::logical_plan::TableScanBuilder;
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{Expr, Join, LogicalPlan, SubqueryAlias};
use sqlparser::ast::{
    BinaryOperator, Expr as SqlExpr, Ident, JoinConstraint, JoinOperator, ObjectName, Query,
    SetExpr, Spanned, TableAlias, TableFactor, TableVersion, TableWithJoins, VisitMut, VisitorMut,
};

use super::catalog::{PlannedLookup, PlannedTable, is_proctime, is_rowtime};
use super::error::{SqlError, TextPlace};
use super::functions::as_of;
use super::{flink_types, hints};
use crate::sql::catalog::LOOKED_UP;
use crate::sql::syntax::call;

const HELP: &str = "write FROM orders AS o JOIN dim FOR SYSTEM_TIME AS OF o.pt AS d ON o.k = d.k";

/// Puts versions of tables into their joins.
pub(crate) fn rewrite(query: &mut Query) -> Result<(), SqlError> {
    query.visit(&mut Rewriter).break_value().map_or(Ok(()), Err)
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        body(&mut query.body)
    }

    /// After the joins of a query: what has a version now is not joined.
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        match factor {
            TableFactor::Table { version: Some(_), .. } => {
                let error =
                    SqlError::new("FOR SYSTEM_TIME AS OF stands behind the second table of a JOIN");
                ControlFlow::Break(error.at(place(factor)).help(HELP))
            }
            TableFactor::NestedJoin { table_with_joins, .. } => joins(table_with_joins),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn body(of: &mut SetExpr) -> ControlFlow<SqlError> {
    match of {
        SetExpr::Select(select) => select.from.iter_mut().try_for_each(joins),
        SetExpr::SetOperation { left, right, .. } => {
            body(left)?;
            body(right)
        }
        _ => ControlFlow::Continue(()),
    }
}

fn place(factor: &TableFactor) -> Option<TextPlace> {
    let start = factor.span().start;
    (start.line > 0).then_some(TextPlace { line: start.line, column: start.column })
}

fn joins(table: &mut TableWithJoins) -> ControlFlow<SqlError> {
    for join in &mut table.joins {
        let at = place(&join.relation);
        let TableFactor::Table { name, alias, version, .. } = &mut join.relation else { continue };
        let Some(of) = version.take() else { continue };
        let refused = |message: &str| ControlFlow::Break(SqlError::new(message).at(at).help(HELP));
        let TableVersion::ForSystemTimeAsOf(time) = of else {
            return refused("of the versions of a table only FOR SYSTEM_TIME AS OF is supported");
        };
        let (JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)) = &mut join.join_operator
        else {
            return refused("a lookup join is INNER or LEFT");
        };
        let JoinConstraint::On(condition) = on else {
            return refused("a lookup join needs ON with an equation between the two tables");
        };
        let Some(last) = name.0.last().and_then(|part| part.as_ident()).cloned() else { continue };
        alias.get_or_insert_with(|| TableAlias {
            explicit: true,
            name: Ident { value: hints::base_name(&last.value).to_string(), ..last.clone() },
            columns: vec![],
            at: None,
        });
        *name = ObjectName::from(vec![Ident {
            value: format!("{LOOKED_UP}{}", last.value),
            quote_style: Some('`'),
            ..last
        }]);
        let given =
            std::mem::replace(condition, SqlExpr::Value(sqlparser::ast::Value::Null.into()));
        *condition = SqlExpr::BinaryOp {
            left: Box::new(SqlExpr::Nested(Box::new(given))),
            op: BinaryOperator::And,
            right: Box::new(call(as_of::NAME, vec![time])),
        };
    }
    ControlFlow::Continue(())
}

/// Checks the times that [`rewrite`] has put into joins. Where they are of the clock, the join is a
/// lookup and the time is taken away; where they are of events, the right side is read as it is
/// declared, and its rowtime goes beside the time.
pub fn resolve(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    let resolved = |node: LogicalPlan| {
        let LogicalPlan::Join(join) = node else { return Ok(Transformed::no(node)) };
        let Some((time, rest)) = version_time(&join) else {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        };
        let join = match kind_of_time(&time, &join)? {
            TimeKind::Processing => {
                check_is_table(&join.right, &time)?;
                Join { filter: conjunction(rest), ..join }
            }
            TimeKind::Event => {
                let right = as_declared(&join.right)?;
                let rowtime = rowtime_of(&right, &time)?;
                let times = as_of::udf().call(vec![time, rowtime]);
                let filter = conjunction(rest.into_iter().chain([times]));
                Join { right: Arc::new(right), filter, ..join }
            }
        };
        Ok(Transformed::yes(LogicalPlan::Join(join)))
    };
    Ok(plan.transform_up_with_subqueries(resolved)?.data)
}

/// The time as of which the right side of a join is asked, and the rest of the condition.
fn version_time(join: &Join) -> Option<(Expr, Vec<Expr>)> {
    let (mut times, rest): (Vec<Expr>, Vec<Expr>) = split_conjunction_owned(join.filter.clone()?)
        .into_iter()
        .partition(|e| matches!(e, Expr::ScalarFunction(call) if call.name() == as_of::NAME));
    match times.pop() {
        Some(Expr::ScalarFunction(mut call)) => Some((call.args.swap_remove(0), rest)),
        _ => None,
    }
}

/// The rowtimes of both sides that [`resolve`] has put into a join of versions, and the join
/// without them.
pub(crate) fn versions(join: &Join) -> Option<(Expr, Expr, Join)> {
    let is_times = |e: &Expr| matches!(e, Expr::ScalarFunction(call) if call.name() == as_of::NAME);
    let (mut times, rest): (Vec<Expr>, Vec<Expr>) =
        split_conjunction_owned(join.filter.clone()?).into_iter().partition(is_times);
    let Some(Expr::ScalarFunction(call)) = times.pop() else { return None };
    let [left, right] = <[Expr; 2]>::try_from(call.args).ok()?;
    Some((left, right, Join { filter: conjunction(rest), ..join.clone() }))
}

/// The right side with the watermark of its table.
fn as_declared(plan: &LogicalPlan) -> PlanResult<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::SubqueryAlias(alias) => LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(
            Arc::new(as_declared(&alias.input)?),
            alias.alias.clone(),
        )?),
        LogicalPlan::TableScan(scan) => match scan.source.downcast_ref::<PlannedLookup>() {
            Some(lookup) => {
                let source = Arc::new(PlannedTable(lookup.declared.clone()));
                let declared = TableScanBuilder::new(scan.table_name.clone(), source)
                    .with_projection(scan.projection.clone())
                    .with_filters(scan.filters.clone())
                    .with_fetch(scan.fetch);
                LogicalPlan::TableScan(declared.build()?)
            }
            None => plan.clone(),
        },
        other => other.clone(),
    })
}

/// The rowtime of the right side.
fn rowtime_of(right: &LogicalPlan, time: &Expr) -> PlanResult<Expr> {
    let mut rowtimes = right.schema().iter().filter(|(_, field)| is_rowtime(field));
    match (rowtimes.next(), rowtimes.next()) {
        (Some((qualifier, field)), None) => {
            Ok(Expr::Column(Column::new(qualifier.cloned(), field.name())))
        }
        (None, _) => refused(
            "FOR SYSTEM_TIME AS OF a rowtime joins the versions of a table, which needs one too: declare WATERMARK FOR its time \
             column, and SELECT that in a view",
            time,
        ),
        (Some(_), Some(_)) => refused(
            "FOR SYSTEM_TIME AS OF a rowtime joins the versions of a table with one rowtime; this side has several: CAST all but \
             one to TIMESTAMP in a view",
            time,
        ),
    }
}

/// A view cannot be asked for the rows of a key.
fn check_is_table(right: &LogicalPlan, time: &Expr) -> PlanResult<()> {
    match right {
        LogicalPlan::SubqueryAlias(alias) => check_is_table(&alias.input, time),
        LogicalPlan::TableScan(_) => Ok(()),
        _ => refused(
            "a view cannot be looked up: FOR SYSTEM_TIME AS OF a processing time stands behind a table. As of a rowtime, the \
             versions of a view are joined",
            time,
        ),
    }
}

fn refused<T>(message: impl Into<String>, time: &Expr) -> PlanResult<T> {
    Err(flink_types::at(DataFusionError::Plan(message.into()), time))
}

enum TimeKind {
    Processing,
    Event,
}

/// The time has to be a time attribute of the left side.
fn kind_of_time(time: &Expr, join: &Join) -> PlanResult<TimeKind> {
    let left = join.left.schema();
    let Expr::Column(column) = time else {
        return refused(
            format!("FOR SYSTEM_TIME AS OF takes a time attribute of the left table, not '{time}'"),
            time,
        );
    };
    let Some(index) = left.maybe_index_of_column(column) else {
        let name = &column.name;
        return refused(
            format!(
                "FOR SYSTEM_TIME AS OF takes a time attribute of the left table: '{name}' is not of it"
            ),
            time,
        );
    };
    let field = left.field(index);
    if is_rowtime(field) {
        return Ok(TimeKind::Event);
    }
    if is_proctime(field) {
        return Ok(TimeKind::Processing);
    }
    refused(
        format!(
            "'{}' is no time attribute: add pt AS PROCTIME() to the left table and write FOR SYSTEM_TIME AS OF its pt, or declare \
             WATERMARK FOR the column to join the versions of a table",
            column.name
        ),
        time,
    )
}
