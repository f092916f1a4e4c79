//! GROUP BY: a window aggregation, one over the rows of windows that have fired, or a changelog.
//!
//! A GROUP BY that names window_start and window_end of a window function is that window's
//! aggregation. Over rows that a window has fired it is one too: the rows of one window come
//! together, and leave with it. Every other GROUP BY keeps a table of groups that changes with each
//! row.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::{Column, DFSchema};
use datafusion_expr::{Aggregate as AggregateNode, Expr, GroupingSet as SqlSets, cast};
use datafusion_physical_expr::PhysicalExpr;

use super::rows::clock_below;
use super::windowed;
use super::{
    Above, AggregateInput, Fired, Fragment, Late, Lowering, Pending, PlanResult, Role,
    aggregate_call, physical, unsupported,
};
use crate::config::Emit;
use crate::operator::aggregate::Aggregate;
use crate::operator::expand::{ExpandSpec, GroupingSet};
use crate::operator::group::{GroupSpec, Pace, WindowedSpec};
use crate::operator::session::SessionSpec;
use crate::operator::window::slice::{WindowKind, Windows};
use crate::operator::window::{GroupColumn, WindowAggregateSpec};
use crate::plan::calls::Call;
use crate::plan::physical::OperatorPlan;
use crate::sql::window_tvf::{TvfWindow, WindowForm};
use crate::state::key::is_key_type;

/// What a GROUP BY groups by.
struct Grouping<'a> {
    /// Without the number of the grouping set.
    exprs: Vec<&'a Expr>,
    roles: Vec<Role>,
    /// What each keeps of `exprs`.
    sets: Vec<GroupingSet>,
}

impl Lowering<'_> {
    pub(super) fn aggregate(&mut self, node: &AggregateNode) -> PlanResult<Fragment> {
        let told = clock_below(node)?;
        let node = told.as_ref().unwrap_or(node);
        let rows_use = windowed::use_by_aggregation(node)?;
        let fragment = self.plan(&node.input, Above::using(rows_use))?;
        let groups = match node.group_expr.as_slice() {
            [Expr::GroupingSet(sets)] => sets.distinct_expr(),
            exprs => exprs.iter().collect(),
        };
        let fragment = self.windows_for(fragment, groups)?;
        let fragment = self.windows_for(fragment, &node.aggr_expr)?;
        let grouping = grouping(node, &fragment)?;
        let names_window = grouping.roles.contains(&Role::WindowStart)
            && grouping.roles.contains(&Role::WindowEnd);
        let pending = fragment.pending.clone().filter(|_| names_window);
        if fragment.updates && fragment.fired.is_some() && names_window {
            return unsupported("an aggregation within windows over rows that are updated");
        }
        let emit = self.config.emit;
        let takes_fires =
            pending.as_ref().is_none_or(|pending| pending.form == WindowForm::GroupBy);
        if !takes_fires && (emit.early.is_some() || emit.late.is_some()) {
            return unsupported(
                "early and late fires are for GROUP BY TUMBLE(...) and HOP(...), as in Flink: with TABLE(TUMBLE(...)) the setting \
                 'table.exec.emit.early-fire.enabled' or 'table.exec.emit.late-fire.enabled'",
            );
        }
        match pending {
            Some(pending)
                if fragment.updates || pending.form == WindowForm::GroupBy && !emit.is_once() =>
            {
                self.changing_windows(fragment, node, &pending)
            }
            Some(pending) => self.window_aggregate(fragment, node, &grouping, pending),
            None if fragment.fired.is_some() && names_window && fragment.pending.is_none() => {
                self.fired_aggregate(fragment, node, &grouping)
            }
            None => self.changelog(fragment, node, &grouping),
        }
    }

    /// The aggregation of a window function.
    fn window_aggregate(
        &mut self,
        fragment: Fragment,
        node: &AggregateNode,
        grouping: &Grouping<'_>,
        Pending { window, rowtime, .. }: Pending,
    ) -> PlanResult<Fragment> {
        let batch_schema = fragment.batch_schema()?;
        let mut input = AggregateInput::new(&batch_schema, rowtime)?;
        let column = |role: Role| match role {
            Role::WindowStart => Some(GroupColumn::WindowStart),
            Role::WindowEnd => Some(GroupColumn::WindowEnd),
            Role::WindowTime => Some(GroupColumn::WindowTime),
            Role::Plain | Role::SessionKey(_) | Role::Rank(_) | Role::RankKey(_) => None,
        };
        let (group_columns, key_types) = keys(&fragment, grouping, &mut input, column)?;
        let aggregates = aggregates(&fragment, node, Some(&window), &mut input)?;
        self.note_arrival(&aggregates);
        let rowtime_type = batch_schema.field(rowtime).data_type().clone();
        let zone = self.zone_of(&rowtime_type);
        let names: Vec<String> = node.schema.fields().iter().map(|f| f.name().clone()).collect();
        let output = WindowAggregateSpec::output_schema(
            &names,
            &group_columns,
            &key_types,
            &aggregates,
            &rowtime_type,
        );
        let input = input.finish();
        self.push_input(
            &fragment,
            input,
            WindowAggregateSpec::FIRST_KEY,
            (grouping, &group_columns),
        );
        let operator = self.next_operator();
        let mut after = after(&fragment, node, grouping);
        after.fired = Some(Fired::new(zone.clone(), &window));
        match window {
            TvfWindow::Sliced(windows) => {
                self.sliced(
                    &mut after,
                    WindowAggregateSpec {
                        operator,
                        windows,
                        zone,
                        key_types,
                        aggregates,
                        group_columns,
                        output,
                        in_order: true,
                    },
                );
            }
            TvfWindow::Session { gap_ms, .. } => {
                let first = WindowAggregateSpec::FIRST_KEY;
                self.exchange(&mut after, (first..first + key_types.len()).collect());
                let spec = SessionSpec {
                    operator,
                    gap_ms,
                    zone,
                    key_types,
                    aggregates,
                    group_columns,
                    output,
                };
                self.push(&after, OperatorPlan::SessionAggregate(spec));
            }
        }
        self.end_by_clock(&after);
        self.type_set_number(&after, grouping)?;
        Ok(after)
    }

    /// An aggregation of rows that a window fired, within that window.
    fn fired_aggregate(
        &mut self,
        fragment: Fragment,
        node: &AggregateNode,
        grouping: &Grouping<'_>,
    ) -> PlanResult<Fragment> {
        let batch_schema = fragment.batch_schema()?;
        let end = grouping.roles.iter().position(|r| *r == Role::WindowEnd).unwrap_or_default();
        let end = fragment.column_of(grouping.exprs[end])?.unwrap_or_default();
        // Rows know their window by its end; the column only has to be there.
        let mut input = AggregateInput::new(&batch_schema, end)?;
        let column = |role: Role| match role {
            Role::WindowEnd => Some(GroupColumn::WindowEnd),
            // What is not known from the end is a key like any other.
            _ => None,
        };
        let (group_columns, key_types) = keys(&fragment, grouping, &mut input, column)?;
        let aggregates = aggregates(&fragment, node, None, &mut input)?;
        self.note_arrival(&aggregates);
        let names: Vec<String> = node.schema.fields().iter().map(|f| f.name().clone()).collect();
        let end_type = batch_schema.field(end).data_type().clone();
        let output = WindowAggregateSpec::output_schema(
            &names,
            &group_columns,
            &key_types,
            &aggregates,
            &end_type,
        );
        let input = input.finish();
        self.push_input(
            &fragment,
            input,
            WindowAggregateSpec::FIRST_KEY,
            (grouping, &group_columns),
        );
        let operator = self.next_operator();
        let mut after = after(&fragment, node, grouping);
        let zone = fragment.fired.as_ref().and_then(|f| f.zone.clone());
        after.fired = fragment.fired;
        let windows = Windows { kind: WindowKind::Fired, offset_ms: 0 };
        self.sliced(
            &mut after,
            WindowAggregateSpec {
                operator,
                windows,
                zone,
                key_types,
                aggregates,
                group_columns,
                output,
                in_order: true,
            },
        );
        self.end_by_clock(&after);
        self.type_set_number(&after, grouping)?;
        Ok(after)
    }

    /// Has sources say when rows arrived, where an aggregate asks.
    fn note_arrival(&mut self, aggregates: &[Aggregate]) {
        if aggregates.iter().any(|a| a.function.goes_by_arrival()) {
            self.mark_arrivals();
        }
    }

    fn sliced(&mut self, after: &mut Fragment, spec: WindowAggregateSpec) {
        if self.config.workers > 1 {
            self.push(after, OperatorPlan::LocalAggregate(spec.clone()));
            self.exchange(after, vec![]);
        }
        self.push(after, OperatorPlan::WindowAggregate(spec));
    }

    /// Windows whose rows are updated, or that are sent more than once.
    fn changing_windows(
        &mut self,
        fragment: Fragment,
        node: &AggregateNode,
        pending: &Pending,
    ) -> PlanResult<Fragment> {
        let window = &pending.window;
        if matches!(window, TvfWindow::Session { .. }) {
            return unsupported(
                "a SESSION over rows that are updated, or with early or late fires",
            );
        }
        let overlaps =
            !matches!(window, TvfWindow::Sliced(Windows { kind: WindowKind::Tumble { .. }, .. }));
        if overlaps && node.aggr_expr.iter().any(goes_by_arrival) {
            return unsupported(
                "an aggregate that goes by the order of rows in HOP or CUMULATE windows whose rows are updated, or that are sent \
                 early or late: Flink orders rows by their slices there",
            );
        }
        let emit = match pending.form {
            WindowForm::GroupBy => self.config.emit,
            WindowForm::TableFunction => Emit::default(),
        };
        if fragment.on_clock && !emit.is_once() {
            return unsupported("early and late fires of windows of processing time");
        }
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX / 4);
        let pace = |delay: Duration| {
            if delay.is_zero() { Pace::EachRow } else { Pace::After { delay_ms: ms(delay) } }
        };
        let lateness_ms = ms(emit.lateness);
        let fragment = self.assign_changing_windows(fragment, lateness_ms)?;
        let zone = fragment.fired.as_ref().and_then(|f| f.zone.clone());
        let grouping = grouping(node, &fragment)?;
        let end =
            grouping.roles.iter().position(|role| *role == Role::WindowEnd).unwrap_or_default();
        let windows = WindowedSpec {
            end,
            zone,
            early: emit.early.map_or(Pace::Never, pace),
            // As in Flink: without a late fire, a late row that is allowed is sent at once.
            late: emit.late.map_or(Pace::EachRow, pace),
            lateness_ms,
        };
        self.table_of_groups(fragment, node, &grouping, Some(windows))
    }

    /// A table of groups that changes with each row.
    fn changelog(
        &mut self,
        fragment: Fragment,
        node: &AggregateNode,
        grouping: &Grouping<'_>,
    ) -> PlanResult<Fragment> {
        let fragment = self.assign_windows(fragment, Late::Kept)?;
        self.table_of_groups(fragment, node, grouping, None)
    }

    fn table_of_groups(
        &mut self,
        fragment: Fragment,
        node: &AggregateNode,
        grouping: &Grouping<'_>,
        windows: Option<WindowedSpec>,
    ) -> PlanResult<Fragment> {
        let batch_schema = fragment.batch_schema()?;
        let mut input = AggregateInput::keyed(&batch_schema);
        let (group_columns, key_types) = keys(&fragment, grouping, &mut input, |_| None)?;
        let aggregates = aggregates(&fragment, node, None, &mut input)?;
        self.note_arrival(&aggregates);
        let input = input.finish();
        self.push_input(&fragment, input, 0, (grouping, &group_columns));
        self.group_table(&fragment, node, grouping, (key_types, aggregates), windows)
    }

    fn group_table(
        &mut self,
        fragment: &Fragment,
        node: &AggregateNode,
        grouping: &Grouping<'_>,
        (key_types, aggregates): (Vec<DataType>, Vec<Aggregate>),
        windows: Option<WindowedSpec>,
    ) -> PlanResult<Fragment> {
        let retracts = fragment.updates;
        let operator = self.next_operator();
        let types =
            key_types.iter().cloned().chain(aggregates.iter().map(|a| a.output_type.clone()));
        let fields =
            node.schema.fields().iter().zip(types).map(|(f, t)| Field::new(f.name(), t, true));
        let output: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut after = after(fragment, node, grouping);
        if windows.as_ref().is_some_and(WindowedSpec::is_final) {
            // They close as other windows do.
            after.fired = fragment.fired.clone();
        } else if windows.is_some() {
            // One bound of a window tells the other, so one of its columns is enough.
            let bound = after.roles.iter().position(|role| role.is_window());
            after.key = Some(
                (0..key_types.len())
                    .filter(|&c| !after.roles[c].is_window() || Some(c) == bound)
                    .collect(),
            );
            after.updates = true;
        } else {
            after.roles.fill(Role::Plain);
            after.key = Some((0..key_types.len()).collect());
            after.updates = true;
        }
        self.exchange(&mut after, (0..key_types.len()).collect());
        // In a bundle, rows of several splits are one batch, which no longer says when they
        // arrived.
        let bundle_rows = self
            .config
            .bundle_rows
            .filter(|_| !aggregates.iter().any(|a| a.function.goes_by_arrival()));
        let ttl = self.state_ttl(&node.input).filter(|_| windows.is_none());
        let spec = GroupSpec {
            operator,
            key_types,
            aggregates,
            retracts,
            ttl,
            bundle_rows,
            windows,
            output,
        };
        self.push(&after, OperatorPlan::GroupAggregate(spec));
        self.end_by_clock(&after);
        self.type_set_number(&after, grouping)?;
        Ok(after)
    }

    /// Computes what an aggregation reads, and multiplies the rows for its grouping sets.
    fn push_input(
        &mut self,
        fragment: &Fragment,
        (exprs, schema): (Exprs, SchemaRef),
        first_key: usize,
        (grouping, group_columns): (&Grouping<'_>, &[GroupColumn]),
    ) {
        let calc =
            OperatorPlan::Calc { predicate: None, projection: Some(exprs), output: schema.clone() };
        self.push(fragment, calc);
        if !grouping.sets.is_empty() {
            // What a window knows of itself is no key here.
            let is_key = |at: usize| matches!(group_columns[at], GroupColumn::Key(_));
            let of_keys = |set: &GroupingSet| {
                let keeps = set
                    .keeps
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| is_key(*at))
                    .map(|(_, keeps)| *keeps)
                    .collect();
                GroupingSet { keeps, number: set.number }
            };
            let sets: Vec<GroupingSet> = grouping.sets.iter().map(of_keys).collect();
            let keys = (0..grouping.exprs.len()).filter(|&at| is_key(at)).count();
            let mut fields: Vec<_> = schema.fields().to_vec();
            fields
                .insert(first_key + keys, Arc::new(Field::new("grouping", DataType::Int64, true)));
            let output = Arc::new(Schema::new(fields));
            self.push(fragment, OperatorPlan::Expand(ExpandSpec { first_key, sets, output }));
        }
    }

    /// Gives the number of the grouping set the type that the plan has for it.
    fn type_set_number(&mut self, after: &Fragment, grouping: &Grouping<'_>) -> PlanResult<()> {
        if grouping.sets.is_empty() {
            return Ok(());
        }
        let output = after.arrow_schema()?;
        let number = grouping.exprs.len();
        let mut fields: Vec<_> = output.fields().to_vec();
        let wanted = fields[number].data_type().clone();
        fields[number] = Arc::new(Field::new(fields[number].name(), DataType::Int64, true));
        let has = DFSchema::try_from(Schema::new(fields))?;
        let columns = has.columns().into_iter().enumerate().map(|(i, c): (usize, Column)| {
            let column = Expr::Column(c);
            physical(&if i == number { cast(column, wanted.clone()) } else { column }, &has)
        });
        let projection = Some(columns.collect::<PlanResult<Vec<_>>>()?);
        self.push(after, OperatorPlan::Calc { predicate: None, projection, output });
        Ok(())
    }
}

fn goes_by_arrival(expression: &Expr) -> bool {
    match expression {
        Expr::Alias(alias) => goes_by_arrival(&alias.expr),
        Expr::AggregateFunction(call) => {
            Call::new(call).is_ok_and(|call| call.function.goes_by_arrival())
        }
        _ => false,
    }
}

/// A CUBE of more columns repeats each row more than a thousand times.
const CUBE_COLUMNS_MAX: usize = 10;

type Exprs = Vec<Arc<dyn PhysicalExpr>>;

/// The fragment behind an aggregation.
fn after(fragment: &Fragment, node: &AggregateNode, grouping: &Grouping<'_>) -> Fragment {
    let mut roles = grouping.roles.clone();
    roles.resize(node.schema.fields().len(), Role::Plain);
    let columns = grouping.exprs.len() + usize::from(!grouping.sets.is_empty());
    let key = Some((0..columns).filter(|&i| !roles[i].is_window()).collect());
    Fragment {
        roles,
        key,
        on_clock: fragment.on_clock,
        ..Fragment::new(fragment.chain, &node.schema)
    }
}

fn grouping<'a>(node: &'a AggregateNode, fragment: &Fragment) -> PlanResult<Grouping<'a>> {
    let [Expr::GroupingSet(all)] = node.group_expr.as_slice() else {
        let exprs: Vec<&Expr> = node.group_expr.iter().collect();
        let roles = exprs.iter().map(|e| fragment.role_of(e)).collect::<PlanResult<Vec<_>>>()?;
        return Ok(Grouping { exprs, roles, sets: vec![] });
    };
    let sets = match all {
        SqlSets::GroupingSets(sets) => sets.clone(),
        SqlSets::Rollup(exprs) => (0..=exprs.len()).rev().map(|n| exprs[..n].to_vec()).collect(),
        SqlSets::Cube(exprs) if exprs.len() <= CUBE_COLUMNS_MAX => {
            let subset = |mask: usize| {
                exprs
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| mask >> i & 1 == 0)
                    .map(|(_, e)| e.clone())
                    .collect()
            };
            (0..1 << exprs.len()).map(subset).collect()
        }
        SqlSets::Cube(exprs) => {
            return unsupported(format!(
                "CUBE of {} columns: it repeats each row {} times",
                exprs.len(),
                1u64 << exprs.len().min(63)
            ));
        }
    };
    let exprs = all.distinct_expr();
    let roles = exprs.iter().map(|e| fragment.role_of(e)).collect::<PlanResult<Vec<_>>>()?;
    let mut out: Vec<GroupingSet> = Vec::new();
    for set in &sets {
        let has: Vec<bool> = exprs.iter().map(|e| set.contains(e)).collect();
        if roles.iter().zip(&has).any(|(role, has)| role.is_window() && !has) {
            return unsupported("grouping sets that do not all hold window_start and window_end");
        }
        // As the plan has it: a bit for each column that is left out, then how often the same set
        // came before.
        let mask = has.iter().fold(0i64, |mask, has| mask << 1 | i64::from(!has));
        let low = (1i64 << exprs.len()) - 1;
        let before = out.iter().filter(|s| s.number & low == mask).count() as i64;
        out.push(GroupingSet { keeps: has, number: mask | before << exprs.len() });
    }
    Ok(Grouping { exprs, roles, sets: out })
}

/// Adds the keys to an aggregation's input; `column` says which columns are none.
fn keys(
    fragment: &Fragment,
    grouping: &Grouping<'_>,
    input: &mut AggregateInput<'_>,
    column: impl Fn(Role) -> Option<GroupColumn>,
) -> PlanResult<(Vec<GroupColumn>, Vec<DataType>)> {
    let (mut group_columns, mut key_types) = (Vec::new(), Vec::new());
    for (expression, role) in grouping.exprs.iter().zip(&grouping.roles) {
        if let Some(column) = column(*role) {
            group_columns.push(column);
            continue;
        }
        fragment.refuse_virtual(expression)?;
        let data_type = input.add_key(expression)?;
        if !is_key_type(&data_type) {
            return unsupported(format!("GROUP BY a column of type {data_type}: '{expression}'"));
        }
        group_columns.push(GroupColumn::Key(key_types.len()));
        key_types.push(data_type);
    }
    if !grouping.sets.is_empty() {
        input.shift();
        group_columns.push(GroupColumn::Key(key_types.len()));
        key_types.push(DataType::Int64);
    }
    Ok((group_columns, key_types))
}

fn aggregates(
    fragment: &Fragment,
    node: &AggregateNode,
    window: Option<&TvfWindow>,
    input: &mut AggregateInput<'_>,
) -> PlanResult<Vec<Aggregate>> {
    let call = |expression: &Expr| {
        let mut inner = expression;
        while let Expr::Alias(alias) = inner {
            inner = &alias.expr;
        }
        let Expr::AggregateFunction(call) = inner else {
            return unsupported(format!("'{expression}' as an aggregate"));
        };
        aggregate_call(fragment, call, window, input)
    };
    node.aggr_expr.iter().map(call).collect()
}
