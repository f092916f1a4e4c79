//! How far apart in time may the rows of an interval join be?
//!
//! Read from the comparisons of the two sides' rowtimes in the join's condition. What always holds:
//! the bounds are in whole milliseconds and leave out no pair that the condition takes, since the
//! condition is looked at for each pair too.

use datafusion_common::Column;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Expr, Join, Operator};

use super::{Fragment, PlanResult};
use crate::operator::join::interval::Interval;
use crate::plan::calls::strip_cast;
use crate::sql::window_tvf::interval_ms;

/// The bounds that a condition sets on how far the rowtimes of the two sides are apart. None if it
/// does not set both.
pub(super) fn interval(
    join: &Join,
    left: &Fragment,
    right: &Fragment,
) -> PlanResult<Option<Interval>> {
    let mut bounds = Bounds { left, right, lower_ms: None, upper_ms: None, rowtimes: None };
    for (a, b) in &join.on {
        bounds.compare(a, Operator::Eq, b);
    }
    for conjunct in join.filter.iter().flat_map(split_conjunction) {
        match conjunct {
            Expr::BinaryExpr(e) => bounds.compare(&e.left, e.op, &e.right),
            Expr::Not(inner) => {
                if let Expr::BinaryExpr(e) = &**inner
                    && let Some(op) = e.op.negate()
                {
                    bounds.compare(&e.left, op, &e.right);
                }
            }
            Expr::Between(between) if !between.negated => {
                bounds.compare(&between.expr, Operator::GtEq, &between.low);
                bounds.compare(&between.expr, Operator::LtEq, &between.high);
            }
            _ => {}
        }
    }
    let Bounds {
        lower_ms: Some(lower_ms), upper_ms: Some(upper_ms), rowtimes: Some(rowtimes), ..
    } = bounds
    else {
        return Ok(None);
    };
    Ok(Some(Interval { lower_ms, upper_ms, rowtimes }))
}

/// What the comparisons so far say of the left rowtime less the right one.
struct Bounds<'a> {
    left: &'a Fragment,
    right: &'a Fragment,
    lower_ms: Option<i64>,
    upper_ms: Option<i64>,
    /// The columns that are compared, of the left side and of the right.
    rowtimes: Option<[usize; 2]>,
}

impl Bounds<'_> {
    /// Takes a comparison of the two sides' times. Of several pairs of columns the first counts.
    fn compare(&mut self, a: &Expr, op: Operator, b: &Expr) {
        let (Some((x, x_plus)), Some((y, y_plus))) = (rowtime_plus(a), rowtime_plus(b)) else {
            return;
        };
        // left + l op right + r, so left - right op r - l.
        let (op, by, times) = match (self.pair(x, y), self.pair(y, x)) {
            (Some(times), _) => (op, y_plus - x_plus, times),
            (None, Some(times)) => (op.swap().unwrap_or(op), x_plus - y_plus, times),
            (None, None) => return,
        };
        if self.rowtimes.is_some_and(|known| known != times) {
            return;
        }
        let (raises, lowers) = match op {
            Operator::Eq => (true, true),
            Operator::Gt | Operator::GtEq => (true, false),
            Operator::Lt | Operator::LtEq => (false, true),
            _ => return,
        };
        if raises {
            self.lower_ms = Some(self.lower_ms.map_or(by, |known| known.max(by)));
        }
        if lowers {
            self.upper_ms = Some(self.upper_ms.map_or(by, |known| known.min(by)));
        }
        self.rowtimes = Some(times);
    }

    /// A time attribute of the left side and one of the right that can be compared: both of event
    /// time or both of the clock.
    fn pair(&self, left: &Column, right: &Column) -> Option<[usize; 2]> {
        let attribute = |side: &Fragment, column: &Column| {
            let index = side.schema.maybe_index_of_column(column)?;
            let is_rowtime = side.is_rowtime(index);
            (is_rowtime || side.is_proctime(index)).then_some((index, is_rowtime))
        };
        let ((l, l_is_rowtime), (r, r_is_rowtime)) =
            (attribute(self.left, left)?, attribute(self.right, right)?);
        (l_is_rowtime == r_is_rowtime).then_some([l, r])
    }
}

/// A rowtime column with what is added to it, ms.
fn rowtime_plus(expression: &Expr) -> Option<(&Column, i64)> {
    match strip_cast(expression) {
        Expr::Column(column) => Some((column, 0)),
        Expr::BinaryExpr(e) if e.op == Operator::Plus => {
            let (column, plus) = rowtime_plus(&e.left)?;
            Some((column, plus.saturating_add(interval_ms(&e.right).ok()?)))
        }
        Expr::BinaryExpr(e) if e.op == Operator::Minus => {
            let (column, plus) = rowtime_plus(&e.left)?;
            Some((column, plus.saturating_sub(interval_ms(&e.right).ok()?)))
        }
        _ => None,
    }
}
