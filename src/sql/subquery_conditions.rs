//! Conditions over subqueries, in the forms that become joins.
//!
//! Called by `bind` before subqueries are joined. IN and EXISTS that stand alone in WHERE, or between
//! its ANDs, become semi and anti joins as they are. Comparisons with ANY and ALL are turned into
//! them; what stands anywhere else, under OR, in CASE, in the SELECT list, is turned into counts of
//! the subquery's rows, of which each row of the outer query gets one. What always holds: the value
//! is the one of SQL's three-valued logic.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DFSchema, ExprSchema, Result, plan_err};
use datafusion_expr::expr::{AggregateFunction, Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    BinaryExpr, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, lit, when,
};

use super::functions::aggregates;

/// Turns the conditions of a plan and of its subqueries.
pub(crate) fn turn(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan.transform_down_with_subqueries(node)?.data)
}

fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if let LogicalPlan::Filter(filter) = plan {
        let schema = filter.input.schema().clone();
        let mut changed = false;
        let mut all = Vec::new();
        for condition in split_conjunction_owned(filter.predicate) {
            let turned = conjunct(condition, &schema)?;
            changed |= turned.transformed;
            all.push(turned.data);
        }
        let predicate = conjunction(all).unwrap_or_else(|| lit(true));
        let plan = LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?);
        return Ok(if changed { Transformed::yes(plan) } else { Transformed::no(plan) });
    }
    let LogicalPlan::Projection(projection) = &plan else { return Ok(Transformed::no(plan)) };
    let schema = projection.input.schema().clone();
    plan.map_expressions(|e| {
        let name = e.schema_name().to_string();
        let turned = nested(e, &schema)?;
        // The column keeps its name.
        Ok(turned
            .update_data(|e| if e.schema_name().to_string() == name { e } else { e.alias(name) }))
    })
}

/// A condition that has to be true for a row to stay: what is not known counts as false.
fn conjunct(condition: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match condition {
        Expr::SetComparison(comparison) => {
            let SetComparison { expr, subquery, op, quantifier } = comparison;
            let turned = match (op, quantifier) {
                (Operator::Eq, SetQuantifier::Any) => {
                    Expr::InSubquery(InSubquery { expr, subquery, negated: false })
                }
                (Operator::NotEq, SetQuantifier::All) => {
                    Expr::InSubquery(InSubquery { expr, subquery, negated: true })
                }
                (op, SetQuantifier::Any) => {
                    let meets = compared(&expr, op, &subquery, schema)?;
                    Expr::Exists(Exists { subquery: filtered(&subquery, meets)?, negated: false })
                }
                (op, SetQuantifier::All) => {
                    let fails = compared(&expr, op, &subquery, schema)?.is_not_true();
                    Expr::Exists(Exists { subquery: filtered(&subquery, fails)?, negated: true })
                }
            };
            Ok(Transformed::yes(turned))
        }
        joined @ (Expr::InSubquery(_) | Expr::Exists(_)) => Ok(Transformed::no(joined)),
        Expr::Not(inner) => match *inner {
            Expr::InSubquery(inner) => {
                let negated = !inner.negated;
                Ok(Transformed::yes(Expr::InSubquery(InSubquery { negated, ..inner })))
            }
            Expr::Exists(inner) => {
                let negated = !inner.negated;
                Ok(Transformed::yes(Expr::Exists(Exists { negated, ..inner })))
            }
            other => nested(Expr::Not(Box::new(other)), schema),
        },
        other => nested(other, schema),
    }
}

/// The conditions within an expression, as counts.
fn nested(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expression.transform_up(|e| {
        Ok(Transformed::yes(match e {
            Expr::Exists(Exists { subquery, negated }) => {
                let has = has_rows(&subquery)?;
                if negated { has.is_not_true() } else { has.is_true() }
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                let is_in = any(&expr, Operator::Eq, &subquery, schema)?;
                if negated { Expr::Not(Box::new(is_in)) } else { is_in }
            }
            Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
                match (quantifier, op.negate()) {
                    (SetQuantifier::Any, _) => any(&expr, op, &subquery, schema)?,
                    // Of all rows, where of none the contrary holds.
                    (SetQuantifier::All, Some(contrary)) => {
                        Expr::Not(Box::new(any(&expr, contrary, &subquery, schema)?))
                    }
                    (SetQuantifier::All, None) => return plan_err!("'{op} ALL' is not supported"),
                }
            }
            other => return Ok(Transformed::no(other)),
        }))
    })
}

/// Whether a comparison holds with any row: not known if it holds with none and is not known of
/// some.
fn any(expr: &Expr, op: Operator, subquery: &Subquery, schema: &DFSchema) -> Result<Expr> {
    let meets = compared(expr, op, subquery, schema)?;
    let meets = has_rows(&filtered(subquery, meets)?)?;
    let unknown = has_rows(&filtered(subquery, value(subquery).is_null())?)?;
    let unknown = unknown.or(expr.clone().is_null().and(has_rows(subquery)?));
    when(meets, lit(true))
        .when(unknown, lit(datafusion_common::ScalarValue::Boolean(None)))
        .otherwise(lit(false))
}

/// The column of a subquery.
fn value(subquery: &Subquery) -> Expr {
    Expr::Column(Column::from(subquery.subquery.schema().qualified_field(0)))
}

/// A comparison with each row of a subquery, as a condition within it.
fn compared(expr: &Expr, op: Operator, subquery: &Subquery, schema: &DFSchema) -> Result<Expr> {
    if subquery.subquery.schema().fields().len() != 1 {
        return plan_err!("a subquery to compare with has one column");
    }
    let outer = |e: Expr| match e {
        Expr::Column(column) => {
            let field = schema.field_from_column(&column)?;
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field.clone(), column)))
        }
        other => Ok(Transformed::no(other)),
    };
    let outer = expr.clone().transform_up(outer)?.data;
    Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(outer), op, Box::new(value(subquery)))))
}

fn filtered(subquery: &Subquery, condition: Expr) -> Result<Subquery> {
    let plan =
        LogicalPlanBuilder::from(subquery.subquery.as_ref().clone()).filter(condition)?.build()?;
    Ok(of(plan, subquery))
}

fn of(plan: LogicalPlan, like: &Subquery) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: like.spans.clone() }
}

/// Whether a subquery has rows.
fn has_rows(subquery: &Subquery) -> Result<Expr> {
    let count =
        AggregateFunction::new_udf(aggregates::count(), vec![lit(1i64)], false, None, vec![], None);
    let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
        .aggregate(Vec::<Expr>::new(), vec![Expr::AggregateFunction(count)])?
        .build()?;
    Ok(Expr::ScalarSubquery(of(plan, subquery)).gt(lit(0i64)))
}
