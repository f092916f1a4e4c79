//! JOIN, IN and EXISTS: rows of two inputs side by side, within the same window or an interval of time.
//!
//! The condition is taken apart: equal window bounds say that it is a window join, other equations between the two sides are
//! keys, the rest is looked at for each pair. Both inputs are exchanged by the keys.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_common::{Column, DFSchema, JoinType, NullEquality};
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Expr, Join, LogicalPlan, Operator, lit};

use super::lookup::looked_up;
use super::windowed::{RowsUse, look_ahead};
use super::{Fragment, Lowering, PlanResult, Role, Route, physical, unsupported};
use crate::operator::join::interval::Interval;
use crate::operator::join::{JoinKind, JoinSpec};
use crate::plan::calls::strip_cast;
use crate::plan::physical::OperatorPlan;
use crate::sql::catalog::{is_proctime, is_rowtime};
use crate::sql::window_tvf::interval_ms;
use crate::state::key::is_key_type;
use crate::state::packed::is_packable;
use crate::types::sql_name;

/// A condition taken apart.
#[derive(Default)]
struct Condition {
    /// Pairs of window_start, window_end.
    starts: bool,
    ends: bool,
    /// An expression over each side.
    keys: Vec<(Expr, Expr)>,
    rest: Vec<Expr>,
}

impl Lowering<'_> {
    pub(super) fn join(&mut self, join: &Join) -> PlanResult<Fragment> {
        if let Some(table) = looked_up(&join.right) {
            return self.lookup_join(join, table);
        }
        let left = self.join_input(&join.left)?;
        let mut left = self.assign_windows(left, true)?;
        let right = self.join_input(&join.right)?;
        let mut right = self.assign_windows(right, true)?;
        if left.updates || right.updates {
            return unsupported("a JOIN of rows that are updated is not supported yet");
        }
        let mut condition = take_apart(join, &left, &right)?;
        let is_window_join = condition.starts && condition.ends;
        let interval = if is_window_join { None } else { interval(join, &left, &right)? };
        if !is_window_join && interval.is_none() {
            return unsupported(
                "a 'JOIN' without a bound in time keeps all rows for ever and is not supported: join rows of the same window, ON \
                 l.window_start = r.window_start AND l.window_end = r.window_end, or of about the same time, l.ts BETWEEN r.ts - \
                 INTERVAL '5' SECOND AND r.ts + INTERVAL '5' SECOND",
            );
        }
        if interval.is_some() && !matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full) {
            return unsupported("IN or EXISTS over rows of about the same time; write a JOIN, or use rows of the same window");
        }
        if interval.is_some() && condition.keys.is_empty() {
            // All rows have one key.
            condition.keys.push((lit(1), lit(1)));
        }
        if let Some(Interval { rowtimes: [l, r], .. }) = interval
            && is_proctime(left.schema.field(l))
        {
            if join.join_type != JoinType::Inner {
                return unsupported("an outer JOIN within an interval of processing time");
            }
            self.go_by_clock(&mut left, l)?;
            self.go_by_clock(&mut right, r)?;
        } else if left.on_clock != right.on_clock {
            return unsupported("a JOIN of event time with processing time");
        }
        // The window of both, if they are in one.
        let fired = match (&left.fired, &right.fired) {
            _ if interval.is_some() => None,
            (Some(l), Some(r)) if l == r => Some(l.clone()),
            (Some(l), Some(r)) if l.zone != r.zone => {
                return unsupported("a window JOIN of windows in different time zones");
            }
            (Some(_), Some(_)) => {
                return unsupported("a JOIN of rows in windows of different sizes or kinds; both sides need the same window");
            }
            _ => return unsupported("a window JOIN of rows that are not in windows"),
        };
        let kind = kind(join, &condition)?;
        let (rest, keys) = (conjunction(condition.rest), condition.keys);
        let filter_schema = left.batch_schema()?.join(&right.batch_schema()?)?;
        let widths = [left.roles.len(), right.roles.len()];
        let (left_exprs, right_exprs): (Vec<Expr>, Vec<Expr>) = keys.into_iter().unzip();
        for side in [&left, &right] {
            let schema = side.batch_schema()?;
            if let Some(field) = schema.fields().iter().find(|f| !is_packable(f.data_type())) {
                return unsupported(format!(
                    "a JOIN of rows with a column of type {}: '{}'",
                    sql_name(field.data_type()),
                    field.name()
                ));
            }
        }
        let (left_keys, left_schema) = self.key_columns(&left, &left_exprs)?;
        let (right_keys, right_schema) = self.key_columns(&right, &right_exprs)?;
        let over = |width: usize, schema: &SchemaRef| (0..width).map(|c| schema.field(c).clone()).collect::<Vec<_>>();
        let condition = match rest {
            // Columns that were added for the join lie between the two sides.
            Some(rest) if left_schema.fields().len() == widths[0] => Some(physical(&rest, &filter_schema)?),
            Some(rest) => {
                let mut fields: Vec<_> = filter_schema.iter().map(|(q, f)| (q.cloned(), f.clone())).collect();
                for c in (widths[0]..left_schema.fields().len()).rev() {
                    fields.insert(widths[0], (None, Arc::new(left_schema.field(c).clone())));
                }
                Some(physical(&rest, &DFSchema::new_with_metadata(fields, Default::default())?)?)
            }
            None => None,
        };
        let mut fields = over(widths[0], &left_schema);
        if !matches!(kind, JoinKind::Semi | JoinKind::Anti | JoinKind::NullAwareAnti) {
            fields.extend(over(widths[1], &right_schema));
        }
        let output: SchemaRef = Arc::new(Schema::new(
            fields.iter().zip(join.schema.fields()).map(|(f, named)| f.clone().with_name(named.name())).collect::<Vec<Field>>(),
        ));
        self.operators += 1;
        let mut roles = left.roles.clone();
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            // Missing where the left row is.
            roles.fill(Role::Plain);
        }
        if output.fields().len() > roles.len() {
            let keeps = matches!(kind, JoinKind::Inner | JoinKind::Right);
            roles.extend(right.roles.iter().map(|&role| if keeps { role } else { Role::Plain }));
        }
        let key = match (&left.key, &right.key) {
            (Some(key), _) if output.fields().len() == widths[0] => Some(key.clone()),
            (Some(l), Some(r)) => Some(l.iter().copied().chain(r.iter().map(|c| c + widths[0])).collect()),
            _ => None,
        };
        let spec = JoinSpec {
            operator: self.operators,
            zone: fired.as_ref().and_then(|f| f.zone.clone()),
            kind,
            keys: [left_keys, right_keys],
            inputs: [left_schema, right_schema],
            widths,
            condition,
            output,
        };
        let route = |input: usize| Route::Keys(spec.placed_by(input).to_vec());
        let chain = self.join_chains(vec![(left.chain, route(0)), (right.chain, route(1))]);
        let mut after = Fragment { chain, schema: join.schema.clone(), roles, fired, key, ..left };
        match interval {
            None => {
                self.push(&after, OperatorPlan::WindowJoin(spec));
                self.end_by_clock(&after);
            }
            Some(interval) => {
                if let Some(field) = spec.inputs.iter().flat_map(|s| s.fields()).find(|f| !is_key_type(f.data_type())) {
                    let (data_type, name) = (sql_name(field.data_type()), field.name());
                    return unsupported(format!("an interval JOIN of rows with a column of type {data_type}: '{name}'"));
                }
                after.key = None;
                after.roles.fill(Role::Plain);
                self.push(&after, OperatorPlan::IntervalJoin(spec, interval));
            }
        }
        Ok(after)
    }

    /// Rows of a window function are joined within their windows.
    fn join_input(&mut self, input: &LogicalPlan) -> PlanResult<Fragment> {
        if look_ahead(input)?.is_some() {
            self.rows_use = RowsUse { in_windows: true, session_is_aggregated: false };
        }
        self.plan(input)
    }

    /// Columns with the values of the keys; those that are not there are added behind the others.
    pub(super) fn key_columns(&mut self, fragment: &Fragment, keys: &[Expr]) -> PlanResult<(Vec<usize>, SchemaRef)> {
        let schema = fragment.batch_schema()?;
        let mut fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        let mut exprs =
            schema.columns().into_iter().map(|c| physical(&Expr::Column(c), &schema)).collect::<PlanResult<Vec<_>>>()?;
        let before = exprs.len();
        let mut columns = Vec::new();
        for key in keys {
            let expr = physical(key, &schema)?;
            let data_type = expr.data_type(schema.inner())?;
            if !is_key_type(&data_type) {
                return unsupported(format!("a JOIN by a value of type {data_type}: '{key}'"));
            }
            if let Expr::Column(column) = key {
                columns.push(schema.index_of_column(column)?);
                continue;
            }
            columns.push(exprs.len());
            fields.push(Field::new(format!("join key {}", exprs.len()), data_type, true));
            exprs.push(expr);
        }
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        if exprs.len() > before {
            let output = schema.clone();
            self.push(fragment, OperatorPlan::Calc { predicate: None, projection: Some(exprs), output });
        }
        Ok((columns, schema))
    }
}

fn take_apart(join: &Join, left: &Fragment, right: &Fragment) -> PlanResult<Condition> {
    if join.null_equality == NullEquality::NullEqualsNull && !join.on.is_empty() {
        return unsupported("a JOIN where NULLs are equal");
    }
    let mut out = Condition::default();
    let mut equation = |a: &Expr, b: &Expr| -> PlanResult<()> {
        match (left.role_of(a)?, right.role_of(b)?) {
            (Role::WindowStart, Role::WindowStart) => out.starts = true,
            (Role::WindowEnd, Role::WindowEnd) => out.ends = true,
            _ => out.keys.push((a.clone(), b.clone())),
        }
        Ok(())
    };
    for (a, b) in &join.on {
        equation(a, b)?;
    }
    let of = |expression: &Expr, side: &Fragment| {
        let columns = expression.column_refs();
        !columns.is_empty() && columns.iter().all(|c| side.schema.has_column(c))
    };
    let mut rest = Vec::new();
    for conjunct in join.filter.iter().flat_map(split_conjunction) {
        match conjunct {
            Expr::BinaryExpr(e) if e.op == Operator::Eq && of(&e.left, left) && of(&e.right, right) => {
                equation(&e.left, &e.right)?
            }
            Expr::BinaryExpr(e) if e.op == Operator::Eq && of(&e.left, right) && of(&e.right, left) => {
                equation(&e.right, &e.left)?
            }
            Expr::Literal(value, _) if *value == datafusion_common::ScalarValue::Boolean(Some(true)) => {}
            other => rest.push(other.clone()),
        }
    }
    out.rest = rest;
    Ok(out)
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

/// The bounds that a condition sets on how far the rowtimes of the two sides are apart. None if it does not set both.
fn interval(join: &Join, left: &Fragment, right: &Fragment) -> PlanResult<Option<Interval>> {
    let attribute = |side: &Fragment, column: &Column| -> PlanResult<Option<usize>> {
        let Some(index) = side.schema.maybe_index_of_column(column) else { return Ok(None) };
        let field = side.schema.field(index);
        Ok((is_rowtime(field) || is_proctime(field)).then_some(index))
    };
    let same_time = |l: usize, r: usize| is_rowtime(left.schema.field(l)) == is_rowtime(right.schema.field(r));
    let (mut lower_ms, mut upper_ms, mut rowtimes) = (i64::MIN, i64::MAX, None);
    let mut bound = |a: &Expr, op: Operator, b: &Expr| -> PlanResult<()> {
        let (Some((x, x_plus)), Some((y, y_plus))) = (rowtime_plus(a), rowtime_plus(b)) else { return Ok(()) };
        // left + l op right + r, so left - right op r - l.
        let (op, by, times) = match (attribute(left, x)?, attribute(right, y)?) {
            (Some(l), Some(r)) if same_time(l, r) => (op, y_plus - x_plus, [l, r]),
            _ => match (attribute(left, y)?, attribute(right, x)?) {
                (Some(l), Some(r)) if same_time(l, r) => (op.swap().unwrap_or(op), x_plus - y_plus, [l, r]),
                _ => return Ok(()),
            },
        };
        if rowtimes.is_some_and(|known| known != times) {
            return Ok(());
        }
        // Bounds in whole ms; the condition itself is looked at too.
        match op {
            Operator::Eq => (lower_ms, upper_ms) = (lower_ms.max(by), upper_ms.min(by)),
            Operator::Gt | Operator::GtEq => lower_ms = lower_ms.max(by),
            Operator::Lt | Operator::LtEq => upper_ms = upper_ms.min(by),
            _ => return Ok(()),
        }
        rowtimes = Some(times);
        Ok(())
    };
    for (a, b) in &join.on {
        bound(a, Operator::Eq, b)?;
    }
    for conjunct in join.filter.iter().flat_map(split_conjunction) {
        match conjunct {
            Expr::BinaryExpr(e) => bound(&e.left, e.op, &e.right)?,
            Expr::Not(inner) => {
                if let Expr::BinaryExpr(e) = &**inner
                    && let Some(op) = e.op.negate()
                {
                    bound(&e.left, op, &e.right)?;
                }
            }
            Expr::Between(between) if !between.negated => {
                bound(&between.expr, Operator::GtEq, &between.low)?;
                bound(&between.expr, Operator::LtEq, &between.high)?;
            }
            _ => {}
        }
    }
    let Some(rowtimes) = rowtimes.filter(|_| lower_ms > i64::MIN && upper_ms < i64::MAX) else { return Ok(None) };
    Ok(Some(Interval { lower_ms, upper_ms, rowtimes }))
}

fn kind(join: &Join, condition: &Condition) -> PlanResult<JoinKind> {
    Ok(match join.join_type {
        JoinType::Inner => JoinKind::Inner,
        JoinType::Left => JoinKind::Left,
        JoinType::Right => JoinKind::Right,
        JoinType::Full => JoinKind::Full,
        JoinType::LeftSemi => JoinKind::Semi,
        JoinType::LeftAnti if !join.null_aware => JoinKind::Anti,
        JoinType::LeftAnti if condition.keys.len() == 1 && condition.rest.is_empty() => JoinKind::NullAwareAnti,
        JoinType::LeftAnti => return unsupported("NOT IN with further conditions between the two sides; write NOT EXISTS"),
        other => return unsupported(format!("{other} JOIN")),
    })
}
