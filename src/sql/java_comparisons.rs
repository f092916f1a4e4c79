//! Which comparisons go by Java's rules? Those of FLOATs and DOUBLEs, in whatever form a query has
//! them.
//!
//! BETWEEN, IN and CASE with an operand are taken apart into plain comparisons. NOT of a comparison
//! is its opposite, as Flink's planner has it: `NOT (d > 1)` is `d <= 1`, which does not hold for
//! NaN. Called by `plan::lower` for every expression that is to be run; keys of a join stay
//! equalities and are found by their bytes. What always holds: an expression without floats is the
//! same as before.

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::{Between, BinaryExpr, Case, InList};
use datafusion_expr::{Expr, ExprSchemable, Operator};

use super::functions::java_comparison;

/// An expression whose floats are compared as in Java.
pub fn expression(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(expression.transform_down(|e| one(e, schema))?.data)
}

fn is_float(expression: &Expr, schema: &DFSchema) -> Result<bool> {
    Ok(matches!(expression.get_type(schema)?, DataType::Float32 | DataType::Float64))
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// Terms between AND or OR, as a tree that is no deeper than it must be.
fn joined(mut terms: Vec<Expr>, op: Operator) -> Option<Expr> {
    while terms.len() > 1 {
        let mut pairs = Vec::with_capacity(terms.len().div_ceil(2));
        let mut each = terms.into_iter();
        while let Some(left) = each.next() {
            pairs.push(match each.next() {
                Some(right) => binary(left, op, right),
                None => left,
            });
        }
        terms = pairs;
    }
    terms.pop()
}

fn one(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if java_comparison::is_comparison(op)
                && is_float(&left, schema)?
                && is_float(&right, schema)? =>
        {
            Transformed::yes(java_comparison::call(op, *left, *right))
        }
        Expr::Not(inner) => match opposite(&inner, schema)? {
            // What it is now is looked at again.
            Some(opposite) => one(opposite, schema)?,
            None => Transformed::no(Expr::Not(inner)),
        },
        Expr::Between(Between { expr, negated, low, high }) if is_float(&expr, schema)? => {
            let (low_op, high_op, both) = match negated {
                false => (Operator::GtEq, Operator::LtEq, Operator::And),
                true => (Operator::Lt, Operator::Gt, Operator::Or),
            };
            Transformed::yes(binary(
                binary((*expr).clone(), low_op, *low),
                both,
                binary(*expr, high_op, *high),
            ))
        }
        Expr::InList(InList { expr, list, negated }) if is_float(&expr, schema)? => {
            let (op, all) = if negated {
                (Operator::NotEq, Operator::And)
            } else {
                (Operator::Eq, Operator::Or)
            };
            let terms = list.iter().map(|item| binary((*expr).clone(), op, item.clone())).collect();
            match joined(terms, all) {
                // A list of one is looked at again: it is no more than its comparison.
                Some(terms) => one(terms, schema)?,
                None => Transformed::no(Expr::InList(InList { expr, list, negated })),
            }
        }
        Expr::Case(Case { expr: Some(operand), when_then_expr, else_expr })
            if is_float(&operand, schema)? =>
        {
            let when = |when: Box<Expr>| Box::new(binary((*operand).clone(), Operator::Eq, *when));
            let when_then_expr =
                when_then_expr.into_iter().map(|(w, then)| (when(w), then)).collect();
            Transformed::yes(Expr::Case(Case { expr: None, when_then_expr, else_expr }))
        }
        other => Transformed::no(other),
    })
}

/// What holds where a condition over floats does not; None of one without.
fn opposite(condition: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    Ok(match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And | Operator::Or
                if opposite(left, schema)?.is_some() || opposite(right, schema)?.is_some() =>
            {
                let op = if *op == Operator::And { Operator::Or } else { Operator::And };
                Some(binary(Expr::Not(left.clone()), op, Expr::Not(right.clone())))
            }
            op if is_float(left, schema)? && is_float(right, schema)? => op
                .negate()
                .filter(|op| java_comparison::is_comparison(*op))
                .map(|op| binary((**left).clone(), op, (**right).clone())),
            _ => None,
        },
        Expr::Not(inner) => opposite(inner, schema)?.map(|_| (**inner).clone()),
        Expr::Between(between) if is_float(&between.expr, schema)? => {
            Some(Expr::Between(Between { negated: !between.negated, ..between.clone() }))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Field, Schema};
    use datafusion_expr::{col, lit};

    #[test]
    fn every_form_over_floats_and_none_over_others() {
        let fields = [("d", DataType::Float64), ("e", DataType::Float64), ("i", DataType::Int64)];
        let fields: Vec<Field> =
            fields.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect();
        let schema = DFSchema::try_from(Schema::new(fields)).expect("a schema");
        let d = || col("d");
        for (before, after) in [
            (d().gt(lit(1.0)), "(>)(d, Float64(1))"),
            (Expr::Not(Box::new(d().gt(lit(1.0)))), "(<=)(d, Float64(1))"),
            (
                Expr::Not(Box::new(d().gt(lit(1.0)).or(col("i").is_null()))),
                "(<=)(d, Float64(1)) AND NOT i IS NULL",
            ),
            (Expr::Not(Box::new(Expr::Not(Box::new(d().lt(col("e")))))), "(<)(d, e)"),
            (d().between(lit(1.0), lit(2.0)), "(>=)(d, Float64(1)) AND (<=)(d, Float64(2))"),
            (
                Expr::Not(Box::new(d().between(lit(1.0), lit(2.0)))),
                "(<)(d, Float64(1)) OR (>)(d, Float64(2))",
            ),
            (d().in_list(vec![lit(1.0), col("e")], false), "(=)(d, Float64(1)) OR (=)(d, e)"),
            (d().in_list(vec![col("e")], true), "(!=)(d, e)"),
            (col("i").gt(lit(1i64)), "i > Int64(1)"),
            (Expr::Not(Box::new(col("i").gt(lit(1i64)))), "NOT i > Int64(1)"),
            (col("i").in_list(vec![lit(1i64)], false), "i IN ([Int64(1)])"),
        ] {
            let found = expression(before.clone(), &schema).expect("is rewritten");
            assert_eq!(found.to_string(), after, "{before}");
        }
    }
}
