//! How does a long chain of AND or OR stay within what the planner may recurse?
//!
//! Called by the rewriter for every expression before its depth is counted. What always holds: the
//! terms keep their order.

use sqlparser::ast::{BinaryOperator, Expr, Value};

/// Turns `a OR b OR c OR d`, which nests as deep as it is long, into a balanced tree.
pub(super) fn balance(expression: &mut Expr) {
    let op = match expression {
        Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), left, .. } if matches!(&**left, Expr::BinaryOp { op: inner, .. } if inner == op) => {
            op.clone()
        }
        _ => return,
    };
    let mut terms = Vec::new();
    let mut rest = std::mem::replace(expression, Expr::Value(Value::Null.into()));
    loop {
        match rest {
            Expr::BinaryOp { left, op: inner, right } if inner == op => {
                terms.push(*right);
                rest = *left;
            }
            last => {
                terms.push(last);
                break;
            }
        }
    }
    terms.reverse();
    debug_assert!(terms.len() >= 3, "a chain has two operators at least");
    while terms.len() > 1 {
        let mut pairs = Vec::with_capacity(terms.len().div_ceil(2));
        let mut each = terms.into_iter();
        while let Some(left) = each.next() {
            pairs.push(match each.next() {
                Some(right) => {
                    // Parentheses keep the tree from being taken for a chain again.
                    let pair = Expr::BinaryOp {
                        left: Box::new(left),
                        op: op.clone(),
                        right: Box::new(right),
                    };
                    Expr::Nested(Box::new(pair))
                }
                None => left,
            });
        }
        terms = pairs;
    }
    if let Some(tree) = terms.pop() {
        *expression = tree;
    }
}
