//! When do the rows of a window function get their windows?
//!
//! An aggregation by a window usually computes the windows itself, from rows that do not have them
//! yet. Rows get their windows first where something below the aggregation computes with them,
//! where nothing aggregates them, and those of a SESSION wherever they are not grouped by just what
//! the session is partitioned by. `aggregate`, `join` and the Top-N look ahead with [`look_ahead`]
//! before they lower their input. What always holds: it looks through just those nodes that leave
//! rows in the windows of one window function.

use std::collections::BTreeSet;

use datafusion_common::DFSchema;
use datafusion_expr::{Aggregate as AggregateNode, Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use super::lookup::looked_up;
use super::{Fired, Fragment, Late, Lowering, PlanResult, Role, RowsUse, column_of, unsupported};
use crate::operator::session::rows::SessionRowsSpec;
use crate::operator::window::assign::{AssignSpec, AssignedColumn};
use crate::plan::physical::OperatorPlan;
use crate::sql::unnest::Unnest;
use crate::sql::window_tvf::{TvfWindow, WindowTvf};
use crate::state::key::is_key_type;

/// The window function below a node.
pub struct Below<'a> {
    tvf: &'a WindowTvf,
    pub roles: Vec<Role>,
    /// Something on the way computes with the window's columns.
    computes: bool,
}

/// The window function whose rows a plan gives, if they are still in its windows.
pub(crate) fn look_ahead(plan: &LogicalPlan) -> PlanResult<Option<Below<'_>>> {
    Ok(match plan {
        LogicalPlan::SubqueryAlias(alias) => look_ahead(&alias.input)?,
        LogicalPlan::Filter(filter) => match look_ahead(&filter.input)? {
            Some(below) => {
                let computes = below.computes
                    || names_window(&filter.predicate, filter.input.schema(), &below.roles)?;
                Some(Below { computes, ..below })
            }
            None => None,
        },
        LogicalPlan::Projection(projection) => match look_ahead(&projection.input)? {
            Some(mut below) => {
                let schema = projection.input.schema();
                let mut roles = Vec::new();
                for expression in &projection.expr {
                    let column = column_of(expression, schema)?;
                    below.computes |=
                        column.is_none() && names_window(expression, schema, &below.roles)?;
                    roles.push(column.map_or(Role::Plain, |c| below.roles[c]));
                }
                Some(Below { roles, ..below })
            }
            None => None,
        },
        LogicalPlan::Extension(extension) => {
            if let Some(unnest) = extension.node.as_any().downcast_ref::<Unnest>() {
                let Some(mut below) = look_ahead(&unnest.input)? else { return Ok(None) };
                below.computes |= names_window(&unnest.value, unnest.input.schema(), &below.roles)?;
                below.roles.extend(std::iter::repeat_n(Role::Plain, unnest.added()));
                return Ok(Some(below));
            }
            let Some(tvf) = extension.node.as_any().downcast_ref::<WindowTvf>() else {
                return Ok(None);
            };
            Some(Below { tvf, roles: roles(tvf)?, computes: false })
        }
        // Rows stay what they are beside those that are looked up for them.
        LogicalPlan::Join(join) if looked_up(&join.right).is_some() => {
            match look_ahead(&join.left)? {
                Some(mut below) => {
                    below.roles.extend(std::iter::repeat_n(
                        Role::Plain,
                        join.right.schema().fields().len(),
                    ));
                    for expression in join.on.iter().map(|(left, _)| left).chain(&join.filter) {
                        below.computes |= names_window(expression, &join.schema, &below.roles)?;
                    }
                    Some(below)
                }
                None => None,
            }
        }
        _ => None,
    })
}

/// The roles of the columns that a window function gives.
pub(crate) fn roles(tvf: &WindowTvf) -> PlanResult<Vec<Role>> {
    let mut roles = vec![Role::Plain; tvf.input.schema().fields().len()];
    roles.extend([Role::WindowStart, Role::WindowEnd, Role::WindowTime]);
    if let TvfWindow::Session { partition, .. } = &tvf.window {
        for (number, column) in partition.iter().enumerate() {
            roles[UserDefinedLogicalNodeCore::schema(tvf).index_of_column(column)?] =
                Role::SessionKey(number);
        }
    }
    Ok(roles)
}

fn names_window(expression: &Expr, schema: &DFSchema, roles: &[Role]) -> PlanResult<bool> {
    for column in expression.column_refs() {
        if roles[schema.index_of_column(column)?].is_window() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// True if GROUP BY with these roles is the aggregation of a session.
pub(crate) fn is_of_session(roles: impl Iterator<Item = Role>, partition: usize) -> bool {
    let grouped: BTreeSet<Role> = roles.filter(|role| !role.is_window()).collect();
    grouped == (0..partition).map(Role::SessionKey).collect()
}

/// What an aggregation does with the rows of the window function below it.
pub(crate) fn use_by_aggregation(node: &AggregateNode) -> PlanResult<RowsUse> {
    let Some(below) = look_ahead(&node.input)? else { return Ok(RowsUse::default()) };
    let schema = node.input.schema();
    let (exprs, has_sets) = match node.group_expr.as_slice() {
        [Expr::GroupingSet(sets)] => (sets.distinct_expr(), true),
        exprs => (exprs.iter().collect(), false),
    };
    let mut computes = below.computes;
    let mut grouped = Vec::new();
    for expression in exprs {
        let column = column_of(expression, schema)?;
        computes |= column.is_none() && names_window(expression, schema, &below.roles)?;
        grouped.push(column.map_or(Role::Plain, |c| below.roles[c]));
    }
    for expression in &node.aggr_expr {
        computes |= names_window(expression, schema, &below.roles)?;
    }
    let mut in_windows = grouped.contains(&Role::WindowStart) && grouped.contains(&Role::WindowEnd);
    let mut session_is_aggregated = false;
    if let TvfWindow::Session { partition, .. } = &below.tvf.window {
        in_windows &= !has_sets && is_of_session(grouped.iter().copied(), partition.len());
        session_is_aggregated = in_windows && !computes;
    }
    let late = if in_windows { Late::Dropped } else { Late::Kept };
    Ok(RowsUse { late, session_is_aggregated })
}

/// Where each column comes from once rows have their windows.
fn assigned_columns(from: &Fragment) -> Vec<AssignedColumn> {
    let of = |column: usize| match from.roles[column] {
        Role::WindowStart => AssignedColumn::WindowStart,
        Role::WindowEnd => AssignedColumn::WindowEnd,
        Role::WindowTime => AssignedColumn::WindowTime,
        Role::Plain | Role::SessionKey(_) | Role::Rank(_) | Role::RankKey(_) => {
            AssignedColumn::Input(from.batch_index(column))
        }
    };
    (0..from.roles.len()).map(of).collect()
}

/// The batch columns that a session is partitioned by; None if one of them is gone. Other windows
/// have none.
fn session_keys(from: &Fragment, window: &TvfWindow) -> Option<Vec<usize>> {
    let TvfWindow::Session { partition, .. } = window else { return Some(vec![]) };
    let key = |number| {
        from.roles
            .iter()
            .position(|role| *role == Role::SessionKey(number))
            .map(|c| from.batch_index(c))
    };
    (0..partition.len()).map(key).collect()
}

impl Lowering<'_> {
    /// The rows with their windows, if an expression computes with columns that they do not have
    /// yet.
    pub(super) fn windows_for<'e>(
        &mut self,
        fragment: Fragment,
        exprs: impl IntoIterator<Item = &'e Expr>,
    ) -> PlanResult<Fragment> {
        let mut computes = false;
        for expression in exprs {
            computes |= fragment.column_of(expression)?.is_none()
                && names_window(expression, &fragment.schema, &fragment.roles)?;
        }
        match fragment.pending.as_ref().map(|pending| pending.late) {
            Some(late) if computes => self.assign_windows(fragment, late),
            _ => Ok(fragment),
        }
    }

    /// Gives rows the columns of a window function that nothing aggregates.
    pub(super) fn assign_windows(&mut self, from: Fragment, late: Late) -> PlanResult<Fragment> {
        self.assign(from, late, None)
    }

    /// The same for windows that are sent more than once, which take rows for so many ms after
    /// their end.
    pub(super) fn assign_changing_windows(
        &mut self,
        from: Fragment,
        lateness_ms: i64,
    ) -> PlanResult<Fragment> {
        self.assign(from, Late::Dropped, Some(lateness_ms))
    }

    /// `changing_ms`: how long changing windows take rows after their end; None for windows that
    /// are sent once.
    fn assign(
        &mut self,
        from: Fragment,
        late: Late,
        changing_ms: Option<i64>,
    ) -> PlanResult<Fragment> {
        let Some(pending) = from.pending.clone() else { return Ok(from) };
        let (columns, input, rowtime) =
            (assigned_columns(&from), from.arrow_schema()?, pending.rowtime);
        let zone = self.zone_of(input.field(rowtime).data_type());
        // Only what is within the windows waits for them; other rows are just rows.
        let fired = (late == Late::Dropped).then(|| Fired::new(zone.clone(), &pending.window));
        let session_keys = session_keys(&from, &pending.window);
        let mut to = Fragment { pending: None, fired, key: None, ..from };
        let output = to.arrow_schema()?;
        match pending.window {
            TvfWindow::Sliced(windows) => {
                let (drop_late, row_by_row) = (late == Late::Dropped, changing_ms.is_some());
                let lateness_ms = changing_ms.unwrap_or_default();
                let spec = AssignSpec {
                    windows,
                    zone,
                    rowtime,
                    columns,
                    output,
                    drop_late,
                    lateness_ms,
                    row_by_row,
                };
                self.push(&to, OperatorPlan::AssignWindows(spec));
            }
            TvfWindow::Session { gap_ms, .. } => {
                let Some(keys) = session_keys else {
                    return unsupported(
                        "a SESSION whose PARTITION BY columns are dropped before its rows are used",
                    );
                };
                if to.updates {
                    return unsupported("a SESSION over rows that are updated");
                }
                if let Some(field) = input.fields().iter().find(|f| !is_key_type(f.data_type())) {
                    return unsupported(format!(
                        "rows of a SESSION with a column of type {}: '{}'",
                        field.data_type(),
                        field.name()
                    ));
                }
                self.mark_arrivals();
                let operator = self.next_operator();
                self.exchange(&mut to, keys.clone());
                let spec = SessionRowsSpec {
                    operator,
                    gap_ms,
                    zone,
                    rowtime,
                    keys,
                    input,
                    columns,
                    output,
                };
                self.push(&to, OperatorPlan::SessionRows(spec));
                self.end_by_clock(&to);
            }
        }
        Ok(to)
    }

    /// Gives rows the time at which they pass as their `column`, and makes the clock their
    /// watermark.
    pub(super) fn go_by_clock(&mut self, fragment: &mut Fragment, column: usize) -> PlanResult<()> {
        if fragment.updates {
            return unsupported(
                "processing time of rows that are updated: what is taken back would have another time",
            );
        }
        let (column, schema) = (fragment.batch_index(column), fragment.arrow_schema()?);
        let operator = self.next_operator();
        self.push(fragment, OperatorPlan::ProcessingTime { operator, column, schema });
        fragment.on_clock = true;
        Ok(())
    }

    /// Behind an operator that fires windows: those of processing time end by the clock, not with
    /// the input.
    pub(super) fn end_by_clock(&mut self, after: &Fragment) {
        // Samples end at once: nobody would see what windows by the clock make of them.
        if self.config.samples_end_clock_windows {
            return;
        }
        if let Some(fired) = after.fired.as_ref().filter(|_| after.on_clock) {
            let plan = OperatorPlan::EndedWindows(fired.zone.clone());
            self.push(after, plan);
        }
    }

    /// Has sources say when rows arrived.
    pub(super) fn mark_arrivals(&mut self) {
        self.sources.iter_mut().for_each(|source| source.ingest.marks_arrival = true);
    }
}
