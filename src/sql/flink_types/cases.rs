//! Which types have the parts of a CASE?
//!
//! What always holds: its conditions are true or false or, behind CASE x, of the type of x; its
//! results have one type.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::Case;
use datafusion_expr::{Expr, ExprSchemable};

use super::meet::meet_all;
use super::operands::check_operands;
use super::operators::binary;
use super::places::refused;
use crate::types::sql_name;

/// A CASE that stands for a call such as COALESCE. Its conditions are new: their sides may have
/// different types.
pub(super) fn typed_case(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    let Expr::Case(case) = expression else { return Ok(expression) };
    let typed = |when: Expr| match when {
        Expr::BinaryExpr(b) => {
            check_operands(b.op, &b.op.to_string(), &b.left, &b.right, schema)?;
            binary(b, schema)
        }
        other => Ok(other),
    };
    let when_then_expr =
        case.when_then_expr.into_iter().map(|(when, then)| Ok((Box::new(typed(*when)?), then)));
    let when_then_expr = when_then_expr.collect::<Result<Vec<_>>>()?;
    case_expression(Case { when_then_expr, ..case }, schema)
}

/// A CASE whose parts have their types.
pub(super) fn case_expression(case: Case, schema: &DFSchema) -> Result<Expr> {
    let Case { expr, when_then_expr, else_expr } = case;
    let (whens, mut results): (Vec<Expr>, Vec<Expr>) =
        when_then_expr.into_iter().map(|(w, t)| (*w, *t)).unzip();
    let (expr, whens) = match expr {
        None => (None, conditions(whens, schema)?),
        Some(expr) => {
            let (expr, whens) = compared(*expr, whens, schema)?;
            (Some(Box::new(expr)), whens)
        }
    };
    let has_else = else_expr.is_some();
    results.extend(else_expr.map(|e| *e));
    let mut results = meet_all("CASE", results, schema)?;
    let else_expr = if has_else { results.pop().map(Box::new) } else { None };
    debug_assert_eq!(whens.len(), results.len(), "each WHEN has its THEN");
    let when_then_expr =
        whens.into_iter().zip(results).map(|(w, t)| (Box::new(w), Box::new(t))).collect();
    Ok(Expr::Case(Case { expr, when_then_expr, else_expr }))
}

/// The conditions of CASE WHEN, which are true or false.
fn conditions(whens: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    for when in &whens {
        let data_type = when.get_type(schema)?;
        if data_type != DataType::Boolean && !data_type.is_null() {
            return refused(format!("WHEN takes a condition, not {}", sql_name(&data_type)), when);
        }
    }
    Ok(whens)
}

/// The value of CASE x and what it is compared with, in one type.
fn compared(value: Expr, mut whens: Vec<Expr>, schema: &DFSchema) -> Result<(Expr, Vec<Expr>)> {
    if value.get_type(schema)?.is_nested() {
        return refused(
            "CASE compares no ARRAY, MAP or ROW: write CASE WHEN ... = ...".into(),
            &value,
        );
    }
    whens.insert(0, value);
    let mut whens = meet_all("CASE", whens, schema)?;
    let value = whens.remove(0);
    Ok((value, whens))
}
