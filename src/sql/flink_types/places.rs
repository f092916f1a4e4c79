//! Where in the text is an expression that is refused once types are known?

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DataFusionError, Diagnostic};
use datafusion_expr::Expr;

/// An error with the place of the first column of an expression.
pub fn at(error: DataFusionError, expression: &Expr) -> DataFusionError {
    let mut span = None;
    // The walk cannot fail: its closure does not.
    let _ = expression.apply(|e| {
        if let Expr::Column(column) = e {
            span = span.or(column.spans.first());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match span {
        Some(span) => {
            let message = error.strip_backtrace();
            error.with_diagnostic(Diagnostic::new_error(message, Some(span)))
        }
        None => error,
    }
}

/// A refusal with that place.
pub(super) fn refused<T>(message: String, expression: &Expr) -> datafusion_common::Result<T> {
    Err(at(DataFusionError::Plan(message), expression))
}
