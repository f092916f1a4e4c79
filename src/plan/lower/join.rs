//! JOIN, IN and EXISTS: rows of two inputs side by side, within the same window, an interval of
//! time, or without a bound in time.
//!
//! The condition is taken apart: equal window bounds say that it is a window join, bounds on how far
//! the rowtimes are apart that it is an interval join, and all else is a regular join. Other
//! equations between the two sides are keys, the rest is looked at for each pair. Both inputs are
//! exchanged by the keys. What always holds: rows that are updated meet in a regular join; its
//! columns are no time attributes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_common::{DFSchema, JoinType, NullEquality};
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Expr, ExprSchemable, Join, LogicalPlan, Operator, lit};
use datafusion_physical_expr::PhysicalExpr;

use super::interval::interval;
use super::lookup::looked_up;
use super::set_operation::set_operation;
use super::windowed::look_ahead;
use super::{
    Above, Fired, Fragment, Late, Lowering, PlanResult, Role, Route, RowsUse, check_columns,
    physical, unsupported,
};
use crate::operator::join::interval::Interval;
use crate::operator::join::regular::RegularSpec;
use crate::operator::join::{JoinKind, JoinSpec};
use crate::plan::physical::OperatorPlan;
use crate::sql::lookup_join;
use crate::sql::select_hints::ttl_of;
use crate::state::key::{is_key_type, is_row_type};
use crate::state::packed::is_packable;

/// A condition taken apart.
#[derive(Default)]
pub(super) struct JoinCondition {
    /// Pairs of window_start, window_end.
    starts: bool,
    ends: bool,
    /// An expression over each side.
    pub(super) keys: Vec<(Expr, Expr)>,
    /// Those of the windows, which are keys where no window joins the rows.
    pub(super) bounds: Vec<(Expr, Expr)>,
    rest: Vec<Expr>,
}

impl JoinCondition {
    fn names_window(&self) -> bool {
        self.starts && self.ends
    }
}

impl JoinCondition {
    /// Gives all rows one key if the condition has none.
    fn have_a_key(&mut self) {
        if self.keys.is_empty() {
            self.keys.push((lit(1), lit(1)));
        }
    }

    /// NOT IN, as a condition under which a row of the left side is left out: the values are equal,
    /// or one of them is not known. Where neither can be, they are a key.
    fn without_nulls(&mut self, join: &Join) -> PlanResult<()> {
        let is_nullable = |(a, b): &(Expr, Expr)| {
            Ok(a.nullable(join.left.schema())? || b.nullable(join.right.schema())?)
        };
        let nullable = self.keys.iter().map(is_nullable).collect::<PlanResult<Vec<bool>>>()?;
        let mut nullable = nullable.into_iter();
        let (unsure, keys): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.keys).into_iter().partition(|_| nullable.next() == Some(true));
        self.keys = keys;
        self.rest.extend(unsure.into_iter().map(|(a, b)| a.eq(b).is_not_false()));
        Ok(())
    }
}

/// What bounds the rows that a row is joined with.
enum Reach {
    Window(Fired),
    Interval(Interval),
    /// Nothing: all rows are kept.
    Everything,
}

impl Lowering<'_> {
    /// A join: a lookup where the right side is a table that is asked, else one of rows in the same
    /// window or of about the same time.
    pub(super) fn join(&mut self, join: &Join, above: Above) -> PlanResult<Fragment> {
        if let Some(table) = looked_up(&join.right) {
            return self.lookup_join(join, table, above.rows_use);
        }
        if let Some((left, right, join)) = lookup_join::versions(join) {
            return self.versioned_join(&join, [&left, &right]);
        }
        if let Some(operation) = set_operation(join) {
            return self.set_operation(join, operation);
        }
        let mut left = self.join_input(&join.left)?;
        let mut right = self.join_input(&join.right)?;
        let condition = take_apart(join, &left, &right)?;
        match reach(join, &condition, &left, &right)? {
            Reach::Window(fired) => self.window_join(join, condition, fired, [left, right]),
            Reach::Interval(interval) => {
                self.go_by_one_clock(join, &interval, &mut left, &mut right)?;
                self.interval_join(join, condition, interval, [left, right])
            }
            Reach::Everything => self.regular_join(join, condition, [left, right]),
        }
    }

    /// Rows of the same window.
    fn window_join(
        &mut self,
        join: &Join,
        condition: JoinCondition,
        fired: Fired,
        [left, right]: [Fragment; 2],
    ) -> PlanResult<Fragment> {
        if left.on_clock != right.on_clock {
            return unsupported("a JOIN of event time with processing time");
        }
        if join.null_equality == NullEquality::NullEqualsNull && !condition.keys.is_empty() {
            return unsupported("INTERSECT or EXCEPT of rows in windows");
        }
        let kind = kind(join, &condition)?;
        let spec = self.join_spec(join, kind, condition, Some(&fired), [&left, &right])?;
        let chain = self.meet(&spec, [&left, &right]);
        let width = spec.output.fields().len();
        let after = Fragment {
            roles: roles(kind, &left, &right, width),
            fired: Some(fired),
            key: pair_key(&left, &right, width),
            on_clock: left.on_clock,
            ..Fragment::new(chain, &join.schema)
        };
        self.push(&after, OperatorPlan::WindowJoin(spec));
        self.end_by_clock(&after);
        Ok(after)
    }

    /// Rows of about the same time.
    fn interval_join(
        &mut self,
        join: &Join,
        mut condition: JoinCondition,
        interval: Interval,
        [left, right]: [Fragment; 2],
    ) -> PlanResult<Fragment> {
        condition.have_a_key();
        let kind = kind(join, &condition)?;
        let spec = self.join_spec(join, kind, condition, None, [&left, &right])?;
        for input in &spec.inputs {
            check_columns("an interval JOIN of rows", input, is_row_type)?;
        }
        let chain = self.meet(&spec, [&left, &right]);
        let after = Fragment { on_clock: left.on_clock, ..Fragment::new(chain, &join.schema) };
        self.push(&after, OperatorPlan::IntervalJoin(spec, interval));
        Ok(after)
    }

    /// All rows, for as long as the state TTL says.
    fn regular_join(
        &mut self,
        join: &Join,
        mut condition: JoinCondition,
        [left, right]: [Fragment; 2],
    ) -> PlanResult<Fragment> {
        condition.keys.append(&mut condition.bounds);
        let mut kind = kind(join, &condition)?;
        if kind == JoinKind::NullAwareAnti {
            kind = JoinKind::Anti;
            condition.without_nulls(join)?;
        }
        condition.have_a_key();
        let is_key = |side: &Fragment, exprs: &[Expr]| -> PlanResult<bool> {
            let columns = exprs
                .iter()
                .filter_map(|e| side.column_of(e).transpose())
                .collect::<PlanResult<BTreeSet<usize>>>()?;
            Ok(side.key.as_ref().is_some_and(|key| key.is_subset(&columns)))
        };
        let (left_exprs, right_exprs): (Vec<Expr>, Vec<Expr>) =
            condition.keys.iter().cloned().unzip();
        let finds_one = [is_key(&right, &right_exprs)?, is_key(&left, &left_exprs)?];
        let spec = self.join_spec(join, kind, condition, None, [&left, &right])?;
        for input in &spec.inputs {
            check_columns("a JOIN of rows", input, is_row_type)?;
        }
        let nulls_match = join.null_equality == NullEquality::NullEqualsNull;
        let chain = self.meet(&spec, [&left, &right]);
        let width = spec.output.fields().len();
        let updates =
            left.updates || right.updates || !matches!(kind, JoinKind::Inner | JoinKind::Semi);
        // In batch mode all rows wait for the end: only where one side may be missing there may be no
        // time.
        let may_lack_a_side = !matches!(kind, JoinKind::Inner | JoinKind::Semi | JoinKind::Anti);
        let is_timeless =
            !self.is_batch() || may_lack_a_side || left.is_timeless || right.is_timeless;
        let after = Fragment {
            key: joined_key(kind, finds_one, [&left, &right], width),
            updates,
            scattered: left.scatters(&spec.keys[0]) || right.scatters(&spec.keys[1]),
            on_clock: left.on_clock || right.on_clock,
            is_timeless,
            ..Fragment::new(chain, &join.schema)
        };
        // IN and EXISTS have no hints: in Flink those of the SELECT around them are of its own joins.
        let ttls = match kind {
            JoinKind::Semi | JoinKind::Anti => [(); 2].map(|()| self.state_ttl_unhinted()),
            _ => [&join.left, &join.right].map(|input| self.state_ttl(input)),
        };
        if ttls.iter().any(Option::is_none) && !self.is_batch() {
            self.note_unbounded_join();
        }
        self.push(&after, OperatorPlan::RegularJoin(RegularSpec { join: spec, nulls_match, ttls }));
        Ok(after)
    }

    /// How long the rows of an input are kept: as its hint says, else as the job does. In a batch all
    /// of them, to its end.
    pub(super) fn state_ttl(&self, input: &LogicalPlan) -> Option<Duration> {
        let of_job = self.state_ttl_unhinted();
        if self.is_batch() { of_job } else { ttl_of(input).unwrap_or(of_job) }
    }

    fn state_ttl_unhinted(&self) -> Option<Duration> {
        if self.is_batch() { None } else { self.config.state_ttl }
    }

    /// Has the rows of both sides come together by the join's keys. Returns the chain that has them.
    pub(super) fn meet(&mut self, spec: &JoinSpec, [left, right]: [&Fragment; 2]) -> usize {
        let route = |input: usize| Route::Keys(spec.placed_by(input).to_vec());
        self.chains.join(vec![(left.chain, route(0)), (right.chain, route(1))])
    }

    /// Says once that rows are kept for ever.
    fn note_unbounded_join(&mut self) {
        let text = "a JOIN without a bound in time keeps all rows of both sides for ever; SET 'table.exec.state.ttl' forgets those \
                    that do not change for so long";
        if !self.warnings.iter().any(|known| known == text) {
            self.warnings.push(text.into());
        }
    }

    /// Says what a window over a join without a bound goes by.
    pub(super) fn note_window_over_join(&mut self) {
        if !self.is_batch() {
            self.warnings.push(
                "a window over a JOIN without a bound in time: a row is late by the watermark of the side whose row came last, so what \
                 is late goes by which side came first, as in Flink"
                    .into(),
            );
        }
    }

    /// Rows of a window function are joined within their windows.
    pub(super) fn join_input(&mut self, input: &LogicalPlan) -> PlanResult<Fragment> {
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
        interval: &Interval,
        left: &mut Fragment,
        right: &mut Fragment,
    ) -> PlanResult<()> {
        let Interval { rowtimes: [l, r], .. } = interval;
        if left.is_proctime(*l) {
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
    pub(super) fn join_spec(
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

/// What bounds the rows that a row of either side is joined with.
fn reach(
    join: &Join,
    condition: &JoinCondition,
    left: &Fragment,
    right: &Fragment,
) -> PlanResult<Reach> {
    if left.updates || right.updates {
        return Ok(Reach::Everything);
    }
    if condition.names_window() {
        return common_window(left, right).map(Reach::Window);
    }
    // IN and EXISTS keep no time: what they let out goes by what comes later.
    let pairs = matches!(
        join.join_type,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full
    );
    Ok(match interval(join, left, right)? {
        Some(interval) if pairs => Reach::Interval(interval),
        _ => Reach::Everything,
    })
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

/// What tells the pairs of a regular join apart. `finds_one`: a row of that side is joined with one
/// of the other at most, so that its own key tells.
fn joined_key(
    kind: JoinKind,
    finds_one: [bool; 2],
    [left, right]: [&Fragment; 2],
    width: usize,
) -> Option<BTreeSet<usize>> {
    let has_nulls = [
        matches!(kind, JoinKind::Right | JoinKind::Full),
        matches!(kind, JoinKind::Left | JoinKind::Full),
    ];
    if finds_one[0] && !has_nulls[0] && left.key.is_some() {
        return left.key.clone();
    }
    let left_width = left.roles.len();
    if finds_one[1] && !has_nulls[1] && width > left_width && right.key.is_some() {
        return right.key.as_ref().map(|key| key.iter().map(|c| c + left_width).collect());
    }
    pair_key(left, right, width)
}

/// What tells the pairs of rows apart: the keys of both sides, if both are known.
fn pair_key(left: &Fragment, right: &Fragment, width: usize) -> Option<BTreeSet<usize>> {
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
pub(super) fn take_apart(
    join: &Join,
    left: &Fragment,
    right: &Fragment,
) -> PlanResult<JoinCondition> {
    let mut out = JoinCondition::default();
    let mut equation = |a: &Expr, b: &Expr| -> PlanResult<()> {
        match (left.role_of(a)?, right.role_of(b)?) {
            (Role::WindowStart, Role::WindowStart) => out.starts = true,
            (Role::WindowEnd, Role::WindowEnd) => out.ends = true,
            _ => {
                out.keys.push((a.clone(), b.clone()));
                return Ok(());
            }
        }
        out.bounds.push((a.clone(), b.clone()));
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
