//! Which node of a logical plan becomes what?
//!
//! [`Lowering::plan`] goes down to the sources and comes back with the fragment that it has built.
//! What always holds: a node adds its operators behind those of its inputs; what no operator does
//! is refused by its name.

use std::collections::BTreeSet;

use datafusion_common::{Column, JoinType};
use datafusion_expr::utils::conjunction;
use datafusion_expr::{
    Aggregate as AggregateNode, Distinct, Expr, Extension, Filter, Join, LogicalPlan, Projection,
    TableScan, UserDefinedLogicalNodeCore, Window,
};

use super::rank::{NumberBound, number_bound};
use super::rows::asks_marks;
use super::windowed;
use super::{
    Above, Fragment, Late, Lowering, Pending, PlanResult, RowsUse, over, physical, unsupported,
};
use crate::engine_words::UNSUPPORTED;
use crate::plan::physical::OperatorPlan;
use crate::sql::catalog::PlannedTable;
use crate::sql::pattern::MatchRecognize;
use crate::sql::unnest::Unnest;
use crate::sql::window_tvf::{TvfWindow, WindowForm, WindowTvf};

impl Lowering<'_> {
    /// The fragment that gives the rows of a node, with what is known above it.
    pub(super) fn plan(&mut self, plan: &LogicalPlan, above: Above) -> PlanResult<Fragment> {
        let fragment = self.node(plan, above)?;
        if self.is_batch() && fragment.updates {
            self.settled(plan, fragment)
        } else {
            Ok(fragment)
        }
    }

    fn node(&mut self, plan: &LogicalPlan, above: Above) -> PlanResult<Fragment> {
        match plan {
            LogicalPlan::TableScan(scan) => self.table_scan(scan),
            LogicalPlan::Values(values) => self.values(&values.values, &values.schema),
            // A SELECT without FROM.
            LogicalPlan::EmptyRelation(one) if one.produce_one_row => {
                self.values(&[vec![]], &one.schema)
            }
            LogicalPlan::SubqueryAlias(alias) => {
                Ok(Fragment { schema: alias.schema.clone(), ..self.plan(&alias.input, above)? })
            }
            LogicalPlan::Projection(projection) => self.projection(projection, above),
            LogicalPlan::Filter(filter) => self.filter(filter, None, above),
            LogicalPlan::Extension(extension) => self.extension(extension, above),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => self.window(window, above.bound),
            LogicalPlan::Join(join) => self.join(join, above),
            LogicalPlan::Union(union) => self.union(&union.inputs, &union.schema),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Sort(sort) => self.sort(sort),
            // Groups without aggregates.
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let columns = input.schema().columns().into_iter().map(Expr::Column).collect();
                self.aggregate(&AggregateNode::try_new(input.clone(), columns, vec![])?)
            }
            refused => unsupported(reason(refused)),
        }
    }

    /// A table, all of it or the columns that this query reads.
    fn table_scan(&mut self, scan: &TableScan) -> PlanResult<Fragment> {
        let Some(PlannedTable(table)) = scan.source.downcast_ref::<PlannedTable>() else {
            return unsupported(format!("'{}' cannot be read", scan.table_name));
        };
        self.scan(table, &scan.projected_schema)
    }

    /// A SELECT list. A filter right below it is told which of its columns are used.
    fn projection(&mut self, projection: &Projection, above: Above) -> PlanResult<Fragment> {
        let fragment = match projection.input.as_ref() {
            LogicalPlan::Filter(filter) => {
                let columns = projection.expr.iter().flat_map(Expr::column_refs);
                let index = |c: &Column| projection.input.schema().index_of_column(c);
                let required = columns.map(index).collect::<PlanResult<BTreeSet<usize>>>()?;
                self.filter(filter, Some(&required), above)?
            }
            input => self.plan(input, above)?,
        };
        self.project(fragment, &projection.expr, &projection.schema)
    }

    /// A condition. On a ROW_NUMBER below it it sets a bound, and both together are a Top-N; over a
    /// join it is part of the join's condition. `required` are the columns that are used above it,
    /// if known.
    fn filter(
        &mut self,
        filter: &Filter,
        required: Option<&BTreeSet<usize>>,
        above: Above,
    ) -> PlanResult<Fragment> {
        if let LogicalPlan::Join(join) = filter.input.as_ref()
            && join.join_type == JoinType::Inner
        {
            // FROM a, b WHERE ...: what follows is the join's condition.
            let condition = join.filter.clone().into_iter().chain([filter.predicate.clone()]);
            return self.join(&Join { filter: conjunction(condition), ..join.clone() }, above);
        }
        let bound = number_bound(&filter.predicate, &filter.input, required)?;
        let above = Above { bound: bound.clone().or(above.bound), ..above };
        let fragment = self.plan(&filter.input, above)?;
        match bound {
            // A continuous Top-N lets only those numbers out, and may not know them.
            Some(bound) if fragment.is_within_bound => {
                let fragment = Fragment { is_within_bound: false, ..fragment };
                match bound.rest {
                    Some(rest) => self.keep(fragment, rest),
                    None => Ok(fragment),
                }
            }
            _ => self.keep(fragment, filter.predicate.clone()),
        }
    }

    /// The rows for which a condition is true.
    fn keep(&mut self, fragment: Fragment, predicate: Expr) -> PlanResult<Fragment> {
        let fragment = self.windows_for(fragment, [&predicate])?;
        let output = fragment.arrow_schema()?;
        let asks = asks_marks(&predicate)?;
        let (predicates, schema) = self.with_marks(&fragment, &[predicate])?;
        let predicate = predicates.first().map(|p| physical(p, &schema)).transpose()?;
        // The marks go again.
        let own = schema.columns().into_iter().take(output.fields().len());
        let own =
            own.map(|c| physical(&Expr::Column(c), &schema)).collect::<PlanResult<Vec<_>>>()?;
        let projection = asks.then_some(own);
        self.push(&fragment, OperatorPlan::Calc { predicate, projection, output });
        Ok(fragment)
    }

    /// The nodes of our own: UNNEST, MATCH_RECOGNIZE and window functions.
    fn extension(&mut self, extension: &Extension, above: Above) -> PlanResult<Fragment> {
        if let Some(unnest) = extension.node.as_any().downcast_ref::<Unnest>() {
            let fragment = self.plan(&unnest.input, above)?;
            return self.unnest(fragment, unnest);
        }
        if let Some(pattern) = extension.node.as_any().downcast_ref::<MatchRecognize>() {
            return self.match_recognize(pattern);
        }
        match extension.node.as_any().downcast_ref::<WindowTvf>() {
            Some(tvf) => self.window_function(tvf, above.rows_use),
            None => unsupported(UNSUPPORTED),
        }
    }

    /// A window function: its columns stay virtual until something needs them. A session is made of
    /// all rows, whatever filter follows, so its rows get their windows here unless an aggregation
    /// finds the sessions itself.
    fn window_function(&mut self, tvf: &WindowTvf, rows_use: RowsUse) -> PlanResult<Fragment> {
        let mut fragment = self.plan(&tvf.input, Above::default())?;
        if fragment.pending.is_some() {
            return unsupported("a window over the rows of another window");
        }
        let rowtime = fragment.schema.index_of_column(&tvf.rowtime)?;
        if fragment.is_timeless {
            match tvf.form {
                // As in Flink, where the older form alone may stand there.
                WindowForm::GroupBy => self.note_window_over_join(),
                WindowForm::TableFunction => {
                    return unsupported(format!(
                        "a window over a JOIN without a bound in time: '{}' is no time attribute there, since rows come out long after \
                         their time. Bound the JOIN by time, or group the windows first and join their results",
                        tvf.rowtime.name
                    ));
                }
            }
            fragment.is_timeless = false;
        }
        if tvf.on_clock {
            self.go_by_clock(&mut fragment, rowtime)?;
        } else if fragment.on_clock {
            return unsupported("a window of event time over windows of processing time");
        }
        let pending = Pending {
            window: tvf.window.clone(),
            form: tvf.form,
            rowtime: fragment.batch_index(rowtime),
            hidden_rowtime: None,
            late: rows_use.late,
        };
        // The columns of a window that has fired are ordinary ones for the next.
        let fragment = Fragment {
            schema: UserDefinedLogicalNodeCore::schema(tvf).clone(),
            roles: windowed::roles(tvf)?,
            fired: None,
            key: None,
            pending: Some(pending),
            ..fragment
        };
        match &tvf.window {
            TvfWindow::Session { .. } if !rows_use.session_is_aggregated => {
                self.assign_windows(fragment, rows_use.late)
            }
            _ => Ok(fragment),
        }
    }

    /// Functions with OVER: a Top-N where a filter above bounds a ROW_NUMBER, a deduplication where
    /// the bound is 1 and rows are in order of their time, else functions of the rows up to each
    /// row.
    fn window(&mut self, window: &Window, bound: Option<NumberBound>) -> PlanResult<Fragment> {
        let numbers = over::is_row_number(window);
        let rows_use = match windowed::look_ahead(&window.input)? {
            Some(below) => {
                let in_windows = over::names_window(window, window.input.schema(), &below.roles)?;
                let late = if in_windows && numbers && bound.is_some() {
                    Late::Dropped
                } else {
                    Late::Kept
                };
                RowsUse { late, session_is_aggregated: false }
            }
            None => RowsUse::default(),
        };
        let fragment = self.plan(&window.input, Above::using(rows_use))?;
        let is_window_top_n = numbers
            && bound.is_some()
            && over::names_window(window, &fragment.schema, &fragment.roles)?;
        let is_first = bound.as_ref().is_some_and(|b| b.end == 1);
        match (over::time_order(window, &fragment)?, bound) {
            // The first row of each key is one whose number is 1: as in Flink, once the watermark
            // says so. By processing time it is the first that comes.
            (Some(rowtime), bound)
                if !is_window_top_n
                    && (!numbers
                        || bound.is_none()
                        || is_first && fragment.is_rowtime(rowtime)) =>
            {
                let rows = if is_first && numbers { over::Rows::First } else { over::Rows::All };
                self.over(window, fragment, rowtime, rows)
            }
            (_, Some(bound)) if numbers => self.top_n(fragment, window, bound),
            (_, bound) => self.over_by_value(window, fragment, bound.as_ref()),
        }
    }
}

/// Why a node is refused.
fn reason(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::EmptyRelation(_) => "a SELECT without FROM is not supported yet",
        LogicalPlan::RecursiveQuery(_) => "WITH RECURSIVE is not supported",
        LogicalPlan::Distinct(Distinct::On(_)) => "DISTINCT ON is not supported",
        _ => UNSUPPORTED,
    }
}
