//! What a Top-N is partitioned and ordered by, as columns: `PARTITION BY r.a`, `ORDER BY UPPER(k)
//! LIMIT 3`.
//!
//! Called by `bind` for every plan. Ranks are kept by columns of their input, so values that are
//! none are computed below. What always holds: the columns that come out have the names and the
//! order that they had.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, Result};
use datafusion_expr::expr::WindowFunction;
use datafusion_expr::{Expr, LogicalPlan, Projection, Sort, Window};

use super::functions::ranks;

/// Computes the keys of all ROW_NUMBERs and ORDER BYs of a plan below them.
pub(crate) fn as_columns(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan.transform_up(node)?.data)
}

fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    Ok(match plan {
        LogicalPlan::Projection(projection) => match projection.input.as_ref() {
            LogicalPlan::Window(window) => match numbers(&projection, window)? {
                Some(changed) => Transformed::yes(changed),
                None => Transformed::no(LogicalPlan::Projection(projection)),
            },
            _ => Transformed::no(LogicalPlan::Projection(projection)),
        },
        LogicalPlan::Sort(sort) => match sorted(&sort)? {
            Some(changed) => Transformed::yes(changed),
            None => Transformed::no(LogicalPlan::Sort(sort)),
        },
        other => Transformed::no(other),
    })
}

/// Values that are no columns, each with the column that stands for it.
struct Keys(Vec<(Expr, Column)>);

impl Keys {
    fn of<'a>(values: impl Iterator<Item = &'a Expr>) -> Keys {
        let mut keys: Vec<(Expr, Column)> = Vec::new();
        for value in values {
            // Constants order nothing; what draws anew each time has no place in a key.
            let plain = matches!(value, Expr::Column(_) | Expr::Literal(..)) || value.is_volatile();
            if !plain && keys.iter().all(|(known, _)| known != value) {
                let name = format!("(key {})", keys.len());
                keys.push((value.clone(), Column::from_name(name)));
            }
        }
        Keys(keys)
    }

    /// The rows with the keys behind their columns.
    fn below(&self, input: &Arc<LogicalPlan>) -> Result<LogicalPlan> {
        let columns = input.schema().columns().into_iter().map(Expr::Column);
        let keys = self.0.iter().map(|(value, column)| value.clone().alias(column.name()));
        Ok(LogicalPlan::Projection(Projection::try_new(
            columns.chain(keys).collect(),
            input.clone(),
        )?))
    }

    fn replaced(&self, expression: Expr) -> Result<Expr> {
        let by_column = |e: Expr| {
            let known = self.0.iter().find(|(value, _)| *value == e);
            Ok(known.map_or_else(
                || Transformed::no(e),
                |(_, column)| Transformed::yes(Expr::Column(column.clone())),
            ))
        };
        Ok(expression.transform_down(by_column)?.data)
    }
}

/// A projection over ROW_NUMBERs, if some key of theirs is no column.
fn numbers(projection: &Projection, window: &Window) -> Result<Option<LogicalPlan>> {
    let function = |expression: &Expr| match expression.clone().unalias() {
        Expr::WindowFunction(function) if function.fun.name() == ranks::ROW_NUMBER => {
            Some(*function)
        }
        _ => None,
    };
    let Some(functions) =
        window.window_expr.iter().map(function).collect::<Option<Vec<WindowFunction>>>()
    else {
        return Ok(None);
    };
    let values = functions.iter().flat_map(|f| {
        f.params.partition_by.iter().chain(f.params.order_by.iter().map(|s| &s.expr))
    });
    let keys = Keys::of(values);
    if keys.0.is_empty() {
        return Ok(None);
    }
    let mut numbers = Vec::new();
    for mut function in functions {
        let params = &mut function.params;
        params.partition_by = std::mem::take(&mut params.partition_by)
            .into_iter()
            .map(|e| keys.replaced(e))
            .collect::<Result<_>>()?;
        for sort in &mut params.order_by {
            sort.expr = keys.replaced(sort.expr.clone())?;
        }
        numbers.push(Expr::from(function));
    }
    let named = |exprs: &[Expr]| {
        exprs.iter().map(|e| Column::from_name(e.schema_name().to_string())).collect::<Vec<_>>()
    };
    let (before, after) = (named(&window.window_expr), named(&numbers));
    let below =
        LogicalPlan::Window(Window::try_new(numbers, Arc::new(keys.below(&window.input)?))?);
    let renamed = |e: Expr| {
        let number = match &e {
            Expr::Column(column) => before.iter().position(|b| b.name == column.name),
            _ => None,
        };
        Ok(number.map_or_else(
            || Transformed::no(e),
            |n| Transformed::yes(Expr::Column(after[n].clone())),
        ))
    };
    let exprs =
        projection.expr.iter().map(|e| Ok(keys.replaced(e.clone())?.transform_up(renamed)?.data));
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    Ok(Some(LogicalPlan::Projection(Projection::try_new_with_schema(
        exprs,
        Arc::new(below),
        projection.schema.clone(),
    )?)))
}

fn sorted(sort: &Sort) -> Result<Option<LogicalPlan>> {
    let keys = Keys::of(sort.expr.iter().map(|s| &s.expr));
    if keys.0.is_empty() {
        return Ok(None);
    }
    let mut expr = sort.expr.clone();
    for one in &mut expr {
        one.expr = keys.replaced(one.expr.clone())?;
    }
    let below = LogicalPlan::Sort(Sort {
        expr,
        input: Arc::new(keys.below(&sort.input)?),
        fetch: sort.fetch,
    });
    let columns = sort.input.schema().columns().into_iter().map(Expr::Column).collect();
    Ok(Some(LogicalPlan::Projection(Projection::try_new_with_schema(
        columns,
        Arc::new(below),
        sort.input.schema().clone(),
    )?)))
}
