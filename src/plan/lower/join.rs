//! JOIN, IN and EXISTS: rows of two inputs side by side, within the same window or an interval of
//! time.
//!
//! The condition is taken apart: equal window bounds say that it is a window join, other equations
//! between the two sides are keys, the rest is looked at for each pair. Both inputs are exchanged
//! by the keys. What always holds: rows that are joined are bounded in time, by their window or by
//! an interval; what is not would be kept for ever and is refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_common::{DFSchema, JoinType, NullEquality};
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Expr, Join, LogicalPlan, Operator, lit};
use datafusion_physical_expr::PhysicalExpr;

use super::interval::interval;
use super::lookup::looked_up;
use super::windowed::look_ahead;
use super::{
    Above, Fired, Fragment, Late, Lowering, PlanResult, Role, Route, RowsUse, check_columns,
    physical, unsupported,
};
use crate::operator::join::interval::Interval;
use crate::operator::join::{JoinKind, JoinSpec};
use crate::plan::physical::OperatorPlan;
use crate::sql::catalog::is_proctime;
use crate::state::key::is_key_type;
use crate::state::packed::is_packable;

/// A condition taken apart.
#[derive(Default)]
struct JoinCondition {
    /// Pairs of window_start, window_end.
    starts: bool,
    ends: bool,
    /// An expression over each side.
    keys: Vec<(Expr, Expr)>,
    rest: Vec<Expr>,
}

impl JoinCondition {
    fn names_window(&self) -> bool {
        self.starts && self.ends
    }
}

impl Lowering<'_> {
    /// A join: a lookup where the right side is a table that is asked, else one of rows in the same
    /// window or of about the same time.
    pub(super) fn join(&mut self, join: &Join, above: Above) -> PlanResult<Fragment> {
        if let Some(table) = looked_up(&join.right) {
            return self.lookup_join(join, table, above.rows_use);
        }
        let mut left = self.join_input(&join.left)?;
        let mut right = self.join_input(&join.right)?;
        if left.updates || right.updates {
            return unsupported("a JOIN of rows that are updated is not supported yet");
        }
        let mut condition = take_apart(join, &left, &right)?;
        let interval = bound_in_time(join, &condition, &left, &right)?;
        if interval.is_some() && condition.keys.is_empty() {
            // All rows have one key.
            condition.keys.push((lit(1), lit(1)));
        }
        self.go_by_one_clock(join, interval.as_ref(), &mut left, &mut right)?;
        let fired = if interval.is_some() { None } else { Some(common_window(&left, &right)?) };
        let kind = kind(join, &condition)?;
        let spec = self.join_spec(join, kind, condition, fired.as_ref(), [&left, &right])?;
        let route = |input: usize| Route::Keys(spec.placed_by(input).to_vec());
        let chain = self.chains.join(vec![(left.chain, route(0)), (right.chain, route(1))]);
        let width = spec.output.fields().len();
        let (schema, on_clock) = (join.schema.clone(), left.on_clock);
        match interval {
            None => {
                let (roles, key) = (roles(kind, &left, &right, width), key(&left, &right, width));
                let after =
                    Fragment { roles, fired, key, on_clock, ..Fragment::new(chain, &schema) };
                self.push(&after, OperatorPlan::WindowJoin(spec));
                self.end_by_clock(&after);
                Ok(after)
            }
            Some(interval) => {
                for input in &spec.inputs {
                    check_columns("an interval JOIN of rows", input, is_key_type)?;
                }
                let after = Fragment { on_clock, ..Fragment::new(chain, &schema) };
                self.push(&after, OperatorPlan::IntervalJoin(spec, interval));
                Ok(after)
            }
        }
    }

    /// Rows of a window function are joined within their windows.
    fn join_input(&mut self, input: &LogicalPlan) -> PlanResult<Fragment> {
        let rows_use = match look_ahead(input)? {
            Some(_) => RowsUse { late: Late::Dropped, session_is_aggregated: false },
            None => RowsUse::default(),
        };
        let fragment = self.plan(input, Above::using(rows_use))?;
        self.assign_windows(fragment, Late::Dropped)
    }

    /// Makes the clock the watermark of both sides where they are joined by processing time;
    /// refuses sides of two kinds of time.
    fn go_by_one_clock(
        &mut self,
        join: &Join,
        interval: Option<&Interval>,
        left: &mut Fragment,
        right: &mut Fragment,
    ) -> PlanResult<()> {
        if let Some(Interval { rowtimes: [l, r], .. }) = interval
            && is_proctime(left.schema.field(*l))
        {
            if join.join_type != JoinType::Inner {
                return unsupported("an outer JOIN within an interval of processing time");
            }
            self.go_by_clock(left, *l)?;
            self.go_by_clock(right, *r)?;
        } else if left.on_clock != right.on_clock {
            return unsupported("a JOIN of event time with processing time");
        }
        Ok(())
    }

    /// What the operator has to know. Keys that the inputs have not as columns are added to them.
    fn join_spec(
        &mut self,
        join: &Join,
        kind: JoinKind,
        condition: JoinCondition,
        fired: Option<&Fired>,
        [left, right]: [&Fragment; 2],
    ) -> PlanResult<JoinSpec> {
        let pairs = left.batch_schema()?.join(&right.batch_schema()?)?;
        let widths = [left.roles.len(), right.roles.len()];
        for side in [left, right] {
            check_columns("a JOIN of rows", side.batch_schema()?.inner(), is_packable)?;
        }
        let (left_exprs, right_exprs): (Vec<Expr>, Vec<Expr>) = condition.keys.into_iter().unzip();
        let (left_keys, left_schema) = self.key_columns(left, &left_exprs)?;
        let (right_keys, right_schema) = self.key_columns(right, &right_exprs)?;
        debug_assert_eq!(left_keys.len(), right_keys.len(), "each key has a column on both sides");
        let condition = match conjunction(condition.rest) {
            Some(rest) => Some(pair_condition(&rest, &pairs, widths[0], &left_schema)?),
            None => None,
        };
        let inputs = [left_schema, right_schema];
        Ok(JoinSpec {
            operator: self.next_operator(),
            zone: fired.and_then(|f| f.zone.clone()),
            kind,
            keys: [left_keys, right_keys],
            output: output(join, kind, &inputs, widths),
            inputs,
            widths,
            condition,
        })
    }

    /// Columns with the values of the keys; those that are not there are added behind the others.
    pub(super) fn key_columns(
        &mut self,
        fragment: &Fragment,
        keys: &[Expr],
    ) -> PlanResult<(Vec<usize>, SchemaRef)> {
        let schema = fragment.batch_schema()?;
        let mut fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        let mut exprs = schema
            .columns()
            .into_iter()
            .map(|c| physical(&Expr::Column(c), &schema))
            .collect::<PlanResult<Vec<_>>>()?;
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
            self.push(
                fragment,
                OperatorPlan::Calc { predicate: None, projection: Some(exprs), output },
            );
        }
        Ok((columns, schema))
    }
}

/// The interval of time that rows of the two sides may be apart; None for a window join.
fn bound_in_time(
    join: &Join,
    condition: &JoinCondition,
    left: &Fragment,
    right: &Fragment,
) -> PlanResult<Option<Interval>> {
    if condition.names_window() {
        return Ok(None);
    }
    let Some(interval) = interval(join, left, right)? else {
        return unsupported(
            "a 'JOIN' without a bound in time keeps all rows for ever and is not supported: join rows of the same window, ON \
             l.window_start = r.window_start AND l.window_end = r.window_end, or of about the same time, l.ts BETWEEN r.ts - \
             INTERVAL '5' SECOND AND r.ts + INTERVAL '5' SECOND",
        );
    };
    if !matches!(
        join.join_type,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full
    ) {
        return unsupported(
            "IN or EXISTS over rows of about the same time; write a JOIN, or use rows of the same window",
        );
    }
    Ok(Some(interval))
}

/// The window that the rows of both sides are in.
fn common_window(left: &Fragment, right: &Fragment) -> PlanResult<Fired> {
    match (&left.fired, &right.fired) {
        (Some(l), Some(r)) if l == r => Ok(l.clone()),
        (Some(l), Some(r)) if l.zone != r.zone => {
            unsupported("a window JOIN of windows in different time zones")
        }
        (Some(_), Some(_)) => unsupported(
            "a JOIN of rows in windows of different sizes or kinds; both sides need the same window",
        ),
        _ => unsupported("a window JOIN of rows that are not in windows"),
    }
}

/// The rest of the condition over a pair of rows. Columns that were added to the left side for the
/// join lie between the two.
fn pair_condition(
    rest: &Expr,
    pairs: &DFSchema,
    left_width: usize,
    left: &Schema,
) -> PlanResult<Arc<dyn PhysicalExpr>> {
    if left.fields().len() == left_width {
        return physical(rest, pairs);
    }
    let mut fields: Vec<_> = pairs.iter().map(|(q, f)| (q.cloned(), f.clone())).collect();
    for added in (left_width..left.fields().len()).rev() {
        fields.insert(left_width, (None, Arc::new(left.field(added).clone())));
    }
    physical(rest, &DFSchema::new_with_metadata(fields, Default::default())?)
}

/// The columns that come out, with the names that the plan has for them. IN and EXISTS give the
/// left side's alone.
fn output(join: &Join, kind: JoinKind, inputs: &[SchemaRef; 2], widths: [usize; 2]) -> SchemaRef {
    let sides = if matches!(kind, JoinKind::Semi | JoinKind::Anti | JoinKind::NullAwareAnti) {
        1
    } else {
        2
    };
    let given = inputs
        .iter()
        .zip(widths)
        .take(sides)
        .flat_map(|(schema, width)| schema.fields().iter().take(width));
    let fields = given
        .zip(join.schema.fields())
        .map(|(field, named)| field.as_ref().clone().with_name(named.name()));
    Arc::new(Schema::new(fields.collect::<Vec<Field>>()))
}

/// The part in windows of the columns that come out: none where a row may be missing.
fn roles(kind: JoinKind, left: &Fragment, right: &Fragment, width: usize) -> Vec<Role> {
    let mut roles = left.roles.clone();
    if matches!(kind, JoinKind::Right | JoinKind::Full) {
        // Missing where the left row is.
        roles.fill(Role::Plain);
    }
    if width > roles.len() {
        let keeps = matches!(kind, JoinKind::Inner | JoinKind::Right);
        roles.extend(right.roles.iter().map(|&role| if keeps { role } else { Role::Plain }));
    }
    roles
}

/// What tells the pairs of a window apart: the keys of both sides, if both are known.
fn key(left: &Fragment, right: &Fragment, width: usize) -> Option<BTreeSet<usize>> {
    let left_width = left.roles.len();
    match (&left.key, &right.key) {
        (Some(key), _) if width == left_width => Some(key.clone()),
        (Some(l), Some(r)) => {
            Some(l.iter().copied().chain(r.iter().map(|c| c + left_width)).collect())
        }
        _ => None,
    }
}

/// Which equations of the condition are of the windows, and which are keys.
fn take_apart(join: &Join, left: &Fragment, right: &Fragment) -> PlanResult<JoinCondition> {
    if join.null_equality == NullEquality::NullEqualsNull && !join.on.is_empty() {
        return unsupported("a JOIN where NULLs are equal");
    }
    let mut out = JoinCondition::default();
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
            Expr::BinaryExpr(e)
                if e.op == Operator::Eq && of(&e.left, left) && of(&e.right, right) =>
            {
                equation(&e.left, &e.right)?
            }
            Expr::BinaryExpr(e)
                if e.op == Operator::Eq && of(&e.left, right) && of(&e.right, left) =>
            {
                equation(&e.right, &e.left)?
            }
            Expr::Literal(value, _)
                if *value == datafusion_common::ScalarValue::Boolean(Some(true)) => {}
            other => rest.push(other.clone()),
        }
    }
    out.rest = rest;
    Ok(out)
}

/// The kind of join, by what comes out.
fn kind(join: &Join, condition: &JoinCondition) -> PlanResult<JoinKind> {
    Ok(match join.join_type {
        JoinType::Inner => JoinKind::Inner,
        JoinType::Left => JoinKind::Left,
        JoinType::Right => JoinKind::Right,
        JoinType::Full => JoinKind::Full,
        JoinType::LeftSemi => JoinKind::Semi,
        JoinType::LeftAnti if !join.null_aware => JoinKind::Anti,
        JoinType::LeftAnti if condition.keys.len() == 1 && condition.rest.is_empty() => {
            JoinKind::NullAwareAnti
        }
        JoinType::LeftAnti => {
            return unsupported(
                "NOT IN with further conditions between the two sides; write NOT EXISTS",
            );
        }
        other => return unsupported(format!("{other} JOIN")),
    })
}
