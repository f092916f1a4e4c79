//! `JOIN dim FOR SYSTEM_TIME AS OF o.pt AS d ON ...`: a join whose right side is asked for the rows
//! of each left row.
//!
//! DataFusion's planner passes over the version of a table. [`rewrite`] puts it into the join: the
//! table gets a name that marks it, the time becomes a condition. [`resolve`] checks the time once
//! columns are known and takes the condition away. What always holds: what is left is a join with a
//! scan of a [`PlannedLookup`](crate::sql::catalog::PlannedLookup), which `plan::lower` makes an operator of; a version anywhere else
//! is refused.

use std::ops::ControlFlow;

use datafusion_common::tree_node::Transformed;
use datafusion_common::{DataFusionError, Result as PlanResult};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{Expr, Join, LogicalPlan};
use sqlparser::ast::{
    BinaryOperator, Expr as SqlExpr, Ident, JoinConstraint, JoinOperator, ObjectName, Query,
    SetExpr, Spanned, TableAlias, TableFactor, TableVersion, TableWithJoins, VisitMut, VisitorMut,
};

use super::catalog::{is_proctime, is_rowtime};
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

/// Checks the times that [`rewrite`] has put into joins, and takes them away.
pub fn resolve(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    let without = |node: LogicalPlan| {
        let LogicalPlan::Join(Join { filter: Some(filter), .. }) = &node else {
            return Ok(Transformed::no(node));
        };
        let (times, rest): (Vec<Expr>, Vec<Expr>) = split_conjunction_owned(filter.clone())
            .into_iter()
            .partition(|e| matches!(e, Expr::ScalarFunction(call) if call.name() == as_of::NAME));
        let LogicalPlan::Join(join) = node else { return Ok(Transformed::no(node)) };
        for time in &times {
            if let Expr::ScalarFunction(call) = time {
                call.args.first().map_or(Ok(()), |time| check(time, &join))?;
            }
        }
        Ok(Transformed::new_transformed(
            LogicalPlan::Join(Join { filter: conjunction(rest), ..join }),
            !times.is_empty(),
        ))
    };
    Ok(plan.transform_up_with_subqueries(without)?.data)
}

/// The time is a processing-time attribute of the left side.
fn check(time: &Expr, join: &Join) -> PlanResult<()> {
    let refused = |message: String| Err(flink_types::at(DataFusionError::Plan(message), time));
    let left = join.left.schema();
    let Expr::Column(column) = time else {
        return refused(format!(
            "FOR SYSTEM_TIME AS OF takes a processing-time attribute of the left table, not '{time}'"
        ));
    };
    let Some(index) = left.maybe_index_of_column(column) else {
        return refused(format!(
            "FOR SYSTEM_TIME AS OF takes a time attribute of the left table: '{}' is not of it",
            column.name
        ));
    };
    let field = left.field(index);
    if is_rowtime(field) {
        let message = "is a rowtime; a table is looked up as it is at the moment: add pt AS PROCTIME() to the left table, and \
                       write FOR SYSTEM_TIME AS OF its pt";
        return refused(format!("'{}' {message}", column.name));
    }
    if !is_proctime(field) {
        let message = "is no processing-time attribute: add pt AS PROCTIME() to the left table, and write FOR SYSTEM_TIME AS OF its pt";
        return refused(format!("'{}' {message}", column.name));
    }
    Ok(())
}
