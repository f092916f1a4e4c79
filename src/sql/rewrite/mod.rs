//! What does Flink's grammar say with forms that DataFusion's planner does not take?
//!
//! Goes over a parsed query before it is planned: select items get Flink's names (`item_names`),
//! special forms become calls (`EXTRACT(DAY FROM x)`, `FLOOR(x TO DAY)`), intervals become
//! milliseconds or months, numbers with an exponent DOUBLEs, and long chains of AND and OR balanced
//! trees. Called by `parse`. What always holds: nothing after it recurses deeper than
//! [`DEPTH_MAX`].
//!
//! In reading order: `balance` (AND and OR), `forms` (which expression becomes which), and for it
//! `casts`, `literals`, `intervals` and `calls`; `places` says where an expression stands.

mod balance;
mod calls;
mod casts;
mod forms;
mod intervals;
mod literals;
mod places;

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, LimitClause, Query, SetExpr, TableFactor, Value, VisitMut, VisitorMut};

use super::error::SqlError;
use super::{item_names, refused};
use crate::sql::statement::{Change, ColumnDefKind, CreateTable, FunctionBody, Statement};

/// Levels that an expression may be nested. `a + b + c` has as many levels as operators; AND and OR
/// count their logarithm.
const DEPTH_MAX: usize = 128;

/// Rewrites the queries and expressions of a statement in place.
pub fn statement(statement: &mut Statement) -> Result<(), SqlError> {
    match statement {
        Statement::Set { .. }
        | Statement::Reset(_)
        | Statement::RenameView { .. }
        | Statement::Drop { .. }
        | Statement::CreateCatalog { .. }
        | Statement::CreateDatabase { .. }
        | Statement::UseCatalog(_)
        | Statement::UseDatabase(_)
        | Statement::Show { .. }
        | Statement::DropFunction { .. } => Ok(()),
        Statement::CreateFunction(function) => match &mut function.body {
            FunctionBody::Sql { body, .. } => run(body.as_mut()),
            FunctionBody::Code { .. } => Ok(()),
        },
        Statement::CreateView { query, .. }
        | Statement::ChangeView { query, .. }
        | Statement::Select(query) => run(query),
        Statement::Insert { query, partition, .. } => {
            partition.iter_mut().try_for_each(|(_, value)| run(value))?;
            run(query)
        }
        Statement::CreateTable(table) => declaration(table),
        Statement::CreateTableAs { table, query } => {
            declaration(table)?;
            run(query)
        }
        Statement::AlterTable { change, .. } => match change {
            Change::Add(table, _) | Change::Modify(table, _) => declaration(table),
            _ => Ok(()),
        },
    }
}

fn declaration(table: &mut CreateTable) -> Result<(), SqlError> {
    if let Some((_, expression)) = &mut table.watermark {
        run(expression)?;
    }
    for column in &mut table.columns {
        if let ColumnDefKind::Computed(expression) = &mut column.kind {
            run(expression)?;
        }
    }
    Ok(())
}

fn run(ast: &mut impl VisitMut) -> Result<(), SqlError> {
    let mut rewriter = Rewriter { depth: 0 };
    ast.visit(&mut rewriter).break_value().map_or(Ok(()), Err)?;
    debug_assert_eq!(rewriter.depth, 0, "every expression is left that was entered");
    Ok(())
}

struct Rewriter {
    depth: usize,
}

impl VisitorMut for Rewriter {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        item_names::give(&mut query.body);
        if let SetExpr::Values(values) = &mut *query.body
            && let Err(error) = literals::one_precision(values)
        {
            return ControlFlow::Break(error);
        }
        flow(refused::query(query).and_then(|()| limit(query)))
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        flow(refused::table(factor))
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<SqlError> {
        balance::balance(expression);
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("the expression is nested more than {DEPTH_MAX} levels deep");
            let error = SqlError::new(message).at(places::of(expression));
            return ControlFlow::Break(error.help("compute parts of it in a subquery or a view"));
        }
        flow(refused::expression(expression))
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<SqlError> {
        self.depth -= 1;
        match forms::rewritten(expression) {
            Ok(Some(new)) => *expression = new,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error.at(places::of(expression))),
        }
        ControlFlow::Continue(())
    }
}

/// A result as the visitor wants it.
fn flow(outcome: Result<(), SqlError>) -> ControlFlow<SqlError> {
    match outcome {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// Makes LIMIT of FETCH NEXT n ROWS ONLY.
fn limit(query: &mut Query) -> Result<(), SqlError> {
    // The planner does not look at FETCH any more: LIMIT says the same.
    let Some(fetch) = query.fetch.take() else { return Ok(()) };
    let Some(quantity) = fetch.quantity.filter(|_| !fetch.with_ties && !fetch.percent) else {
        return Err(SqlError::new("of FETCH only FETCH NEXT n ROWS ONLY is supported"));
    };
    match &mut query.limit_clause {
        None => {
            query.limit_clause = Some(LimitClause::LimitOffset {
                limit: Some(quantity),
                offset: None,
                limit_by: vec![],
            });
        }
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(quantity),
        Some(_) => return Err(SqlError::new("LIMIT and FETCH in one query")),
    }
    Ok(())
}

/// Takes a part out of an expression that is thrown away.
fn take(part: &mut Box<Expr>) -> Expr {
    std::mem::replace(&mut **part, Expr::Value(Value::Null.into()))
}
