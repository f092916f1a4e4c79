//! From logical plans to chains of operators.
//!
//! [`lower`] walks each query's plan from the top; sources come first, so a chain grows from its source to its sink. Window
//! columns exist only after the aggregation: between the window function and the aggregation they are *virtual*, known by
//! their role and absent from the batches. What always holds: operator numbers depend on the queries alone; with one worker
//! there are no edges but where inputs meet, with more each aggregation has one before it.
//!
//! In reading order: `sources` (what is read), `fragment` (a chain that is being built), `rows` (scans and projections),
//! `windowed` (rows with their windows), `aggregate` with `aggregate_input`, `top_n` and `rank`, `over`, `join`, `union`, `sinks`
//! (where rows go); `lookup` is the join with a table that is asked row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::DataType;
use datafusion_common::{Column, DFSchema, DataFusionError, JoinType};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::utils::conjunction;
use datafusion_expr::{Aggregate as AggregateNode, Distinct, Expr, Join, LogicalPlan};
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};

use super::fingerprint;
use super::physical::{ChainInput, ChainOutput, ChainPlan, LookupPlan, OperatorPlan, PhysicalPlan, Route, SinkPlan, SourcePlan};
use crate::config::{Config, Emit};
use crate::engine_words::UNSUPPORTED;
use crate::operator::marks::Mark;
use crate::plan::connectors::KnownConnectors;
use crate::sql::bind::Script;
use crate::sql::catalog::{PlannedTable, Table, is_rowtime};
use crate::sql::error::{Source, SqlError};
use crate::sql::java_comparisons;
use crate::sql::unnest::Unnest;
use crate::sql::window_tvf::{TvfWindow, WindowTvf};
use crate::time::zone::Zone;
use aggregate_input::{AggregateInput, aggregate_call};
use fragment::{Fired, Fragment, Role, column_of};
use rank::{NumberBound, number_bound};
use rows::asks_marks;
use sources::{collect_columns, source_plan};
use windowed::RowsUse;

/// Lowers all queries of a script into one job for so many workers. `text` is the script, for messages.
pub fn lower(script: &Script, text: &str, workers: usize, connectors: &dyn KnownConnectors) -> Result<PhysicalPlan, SqlError> {
    let config = Config::resolve(&script.settings, workers).map_err(|e| script.setting_error(e))?;
    if let Some(table) = config.many_records.iter().find(|table| script.catalog.names().all(|name| name != *table))
        && script.catalog.names().next().is_some()
    {
        return Err(script.setting_error(format!("setting 'paceline.{table}.records': there is no table '{table}'")));
    }
    let mut lowering = Lowering {
        connectors,
        workers,
        sources: Vec::new(),
        lookups: Vec::new(),
        sinks: Vec::new(),
        chains: Vec::new(),
        edges: 0,
        operators: 0,
        number_bound: None,
        number_is_bound: false,
        required: None,
        rows_use: RowsUse::default(),
        state_ttl: config.state_ttl,
        bundle_rows: config.bundle_rows,
        emit: config.emit,
        zone: script.zone.clone(),
        fingerprint: script.zone.as_ref().map(|zone| format!("in {zone:?}\n")).unwrap_or_default(),
        warnings: Vec::new(),
    };
    let mut used: BTreeMap<String, (Arc<Table>, BTreeSet<usize>)> = BTreeMap::new();
    for query in &script.queries {
        let source = Source { text, start: query.start, end: query.end };
        collect_columns(&query.plan, connectors, &mut used).map_err(|e| SqlError::from_plan(&e, &source))?;
    }
    for (table, columns) in used.into_values() {
        let source = Source { text, start: table.place, end: crate::sql::error::Place { line: u64::MAX, column: 0 } };
        lowering.fingerprint.push_str(&fingerprint::source(&table, &columns));
        let plan = source_plan(&table, columns).map_err(|e| SqlError::from_plan(&e, &source).at(Some(table.place)))?;
        lowering.sources.push(plan);
    }
    for query in &script.queries {
        let source = Source { text, start: query.start, end: query.end };
        lowering.query(query).map_err(|e| SqlError::from_plan(&e, &source))?;
    }
    if lowering.sinks.is_empty() {
        return Err(SqlError::new("nothing to do: the file has no INSERT and no SELECT")
            .help("add INSERT INTO <table> SELECT ..., or a SELECT to print"));
    }
    let Lowering { sources, lookups, sinks, mut chains, edges, fingerprint, mut warnings, .. } = lowering;
    chains.iter_mut().for_each(|chain| spare_sorting(&mut chain.operators));
    let asks_clock = |plan: &OperatorPlan| plan.goes_by_clock() || matches!(plan, OperatorPlan::Marks(Mark::Now, _));
    let reads_clock = sources.iter().any(|s| s.ingest.reads_clock) || !lookups.is_empty();
    if reads_clock || chains.iter().flat_map(|c| &c.operators).any(asks_clock) {
        warnings.push("the query goes by the clock: its results are not repeatable, a replay gives others".into());
    }
    let draws = |plan: &OperatorPlan| matches!(plan, OperatorPlan::Marks(Mark::Random(_), _));
    if chains.iter().flat_map(|c| &c.operators).any(draws) {
        warnings.push("the query draws random values: its results are not repeatable, a replay gives others".into());
    }
    Ok(PhysicalPlan { sources, lookups, sinks, chains, edges, fingerprint, warnings })
}

mod aggregate;
mod aggregate_input;
mod fragment;
mod join;
mod lookup;
mod over;
mod over_by_value;
mod rank;
mod rows;
mod sinks;
mod sources;
mod top_n;
mod union;
mod windowed;

type PlanResult<T> = Result<T, DataFusionError>;

fn unsupported<T>(what: impl Into<String>) -> PlanResult<T> {
    Err(DataFusionError::NotImplemented(what.into()))
}

fn physical(expression: &Expr, schema: &DFSchema) -> PlanResult<Arc<dyn PhysicalExpr>> {
    if let Some(name) = rows::asked_mark(expression)? {
        return unsupported(format!("'{name}' in this place; SELECT it in a subquery of the table"));
    }
    let expression = java_comparisons::expression(expression.clone(), schema)?;
    create_physical_expr(&expression, schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())
}

/// Lets windows send their rows as they lie where a Top-N follows, which has a total order of its own.
fn spare_sorting(operators: &mut [OperatorPlan]) {
    let mut order_shows = true;
    for operator in operators.iter_mut().rev() {
        match operator {
            OperatorPlan::TopN(spec, _) => order_shows = spec.by_arrival,
            // Takes rows one by one.
            OperatorPlan::Calc { .. } => {}
            OperatorPlan::WindowAggregate(spec) => {
                spec.in_order = order_shows;
                order_shows = true;
            }
            _ => order_shows = true,
        }
    }
}

struct Lowering<'a> {
    connectors: &'a dyn KnownConnectors,
    workers: usize,
    sources: Vec<SourcePlan>,
    lookups: Vec<LookupPlan>,
    sinks: Vec<SinkPlan>,
    chains: Vec<ChainPlan>,
    edges: usize,
    operators: u32,
    /// The bound on ROW_NUMBER found in the filter above it.
    number_bound: Option<NumberBound>,
    /// The bound has been seen to.
    number_is_bound: bool,
    /// Columns of a filter's rows that are used above it, if known.
    required: Option<BTreeSet<usize>>,
    /// How the rows of the next window function are used.
    rows_use: RowsUse,
    /// The session's time zone; None is UTC.
    zone: Option<Zone>,
    /// `table.exec.state.ttl`.
    state_ttl: Option<Duration>,
    /// `table.exec.mini-batch.size`, where mini-batches are on.
    bundle_rows: Option<usize>,
    /// `table.exec.emit.*`.
    emit: Emit,
    fingerprint: String,
    warnings: Vec<String>,
}

impl Lowering<'_> {
    fn plan(&mut self, plan: &LogicalPlan) -> PlanResult<Fragment> {
        let required = self.required.take();
        match plan {
            LogicalPlan::TableScan(scan) => {
                let Some(PlannedTable(table)) = scan.source.downcast_ref::<PlannedTable>() else {
                    return unsupported(format!("'{}' cannot be read", scan.table_name));
                };
                self.scan(table, &scan.projected_schema)
            }
            LogicalPlan::Values(values) => self.values(&values.values, &values.schema),
            // A SELECT without FROM.
            LogicalPlan::EmptyRelation(one) if one.produce_one_row => self.values(&[vec![]], &one.schema),
            LogicalPlan::SubqueryAlias(alias) => {
                let mut fragment = self.plan(&alias.input)?;
                fragment.schema = alias.schema.clone();
                Ok(fragment)
            }
            LogicalPlan::Projection(projection) => {
                if let LogicalPlan::Filter(_) = projection.input.as_ref() {
                    let columns = projection.expr.iter().flat_map(Expr::column_refs);
                    let index = |c: &Column| projection.input.schema().index_of_column(c);
                    self.required = Some(columns.map(index).collect::<PlanResult<_>>()?);
                }
                let fragment = self.plan(&projection.input)?;
                self.project(fragment, &projection.expr, &projection.schema)
            }
            LogicalPlan::Filter(filter) if matches!(filter.input.as_ref(), LogicalPlan::Join(join) if join.join_type == JoinType::Inner) =>
            {
                // FROM a, b WHERE ...: what follows is the join's condition.
                let LogicalPlan::Join(join) = filter.input.as_ref() else { return unsupported("a JOIN") };
                let condition = join.filter.clone().into_iter().chain([filter.predicate.clone()]);
                self.join(&Join { filter: conjunction(condition), ..join.clone() })
            }
            LogicalPlan::Filter(filter) => {
                let bound = number_bound(&filter.predicate, &filter.input, required.as_ref())?;
                if bound.is_some() {
                    self.number_bound = bound.clone();
                }
                let mut fragment = self.plan(&filter.input)?;
                // A continuous Top-N lets only those numbers out, and may not know them.
                let is_done = bound.is_some() && std::mem::take(&mut self.number_is_bound);
                let predicate = if is_done { bound.and_then(|b| b.rest) } else { Some(filter.predicate.clone()) };
                if let Some(predicate) = predicate {
                    fragment = self.windows_for(fragment, [&predicate])?;
                    let output = fragment.arrow_schema()?;
                    let asks = asks_marks(&predicate)?;
                    let (predicates, schema) = self.with_marks(&fragment, &[predicate])?;
                    let predicate = predicates.first().map(|p| physical(p, &schema)).transpose()?;
                    // The marks go again.
                    let own = schema.columns().into_iter().take(output.fields().len());
                    let own = own.map(|c| physical(&Expr::Column(c), &schema)).collect::<PlanResult<Vec<_>>>()?;
                    let projection = asks.then_some(own);
                    self.push(&fragment, OperatorPlan::Calc { predicate, projection, output });
                }
                Ok(fragment)
            }
            LogicalPlan::Extension(extension) => {
                if let Some(unnest) = extension.node.as_any().downcast_ref::<Unnest>() {
                    let fragment = self.plan(&unnest.input)?;
                    return self.unnest(fragment, unnest);
                }
                let Some(tvf) = extension.node.as_any().downcast_ref::<WindowTvf>() else {
                    return unsupported(UNSUPPORTED);
                };
                let rows_use = std::mem::take(&mut self.rows_use);
                let mut fragment = self.plan(&tvf.input)?;
                if fragment.pending.is_some() {
                    return unsupported("a window over the rows of another window");
                }
                let rowtime = fragment.schema.index_of_column(&tvf.rowtime)?;
                if tvf.on_clock {
                    self.go_by_clock(&mut fragment, rowtime)?;
                } else if fragment.on_clock {
                    return unsupported("a window of event time over windows of processing time");
                }
                fragment.rowtime = Some(fragment.batch_index(rowtime));
                fragment.schema = datafusion_expr::UserDefinedLogicalNodeCore::schema(tvf).clone();
                // The columns of a window that has fired are ordinary ones for the next.
                fragment.roles = windowed::roles(tvf)?;
                fragment.fired = None;
                fragment.key = None;
                fragment.pending = Some(tvf.window.clone());
                fragment.in_windows = rows_use.in_windows;
                fragment.in_group_by = tvf.in_group_by;
                match &tvf.window {
                    // A session is made of all rows, whatever filter follows.
                    TvfWindow::Session { .. } if !rows_use.session_is_aggregated => {
                        self.assign_windows(fragment, rows_use.in_windows)
                    }
                    _ => Ok(fragment),
                }
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => {
                let bound = self.number_bound.take();
                if let Some(below) = windowed::look_ahead(&window.input)? {
                    let in_windows = over::names_window(window, window.input.schema(), &below.roles)?;
                    let is_top_n = over::is_row_number(window) && bound.is_some();
                    self.rows_use = RowsUse { in_windows: in_windows && is_top_n, session_is_aggregated: false };
                }
                let fragment = self.plan(&window.input)?;
                let numbers = over::is_row_number(window);
                let is_window_top_n =
                    numbers && bound.is_some() && over::names_window(window, &fragment.schema, &fragment.roles)?;
                let is_first = bound.as_ref().is_some_and(|b| b.end == 1);
                match (over::time_order(window, &fragment)?, bound) {
                    // The first row of each key is one whose number is 1: as in Flink, once the watermark says so. By
                    // processing time it is the first that comes.
                    (Some(rowtime), bound)
                        if !is_window_top_n
                            && (!numbers || bound.is_none() || is_first && is_rowtime(fragment.schema.field(rowtime))) =>
                    {
                        let mut after = self.over(window, fragment, rowtime, is_first && numbers)?;
                        if is_first && numbers {
                            after.key = over::partition_columns(window, &after.schema)?;
                        }
                        Ok(after)
                    }
                    (_, Some(bound)) if numbers => self.top_n(fragment, window, bound),
                    (_, bound) => self.over_by_value(window, fragment, bound.is_some()),
                }
            }
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => self.union(&union.inputs, &union.schema),
            LogicalPlan::Sort(_) => {
                unsupported("'ORDER BY' of a stream has no end to wait for; add LIMIT, or use ROW_NUMBER() in a window Top-N")
            }
            LogicalPlan::Limit(limit) => self.limit(limit),
            // Groups without aggregates.
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let columns = input.schema().columns().into_iter().map(Expr::Column).collect();
                self.aggregate(&AggregateNode::try_new(input.clone(), columns, vec![])?)
            }
            LogicalPlan::EmptyRelation(_) => unsupported("a SELECT without FROM is not supported yet"),
            LogicalPlan::Subquery(_) => unsupported("a LATERAL subquery is not supported"),
            LogicalPlan::RecursiveQuery(_) => unsupported("WITH RECURSIVE is not supported"),
            LogicalPlan::Distinct(Distinct::On(_)) => unsupported("DISTINCT ON is not supported"),
            _ => unsupported(UNSUPPORTED),
        }
    }

    fn push(&mut self, fragment: &Fragment, operator: OperatorPlan) {
        self.chains[fragment.chain].operators.push(operator);
    }

    /// The zone in which windows over a rowtime of this type lie.
    fn zone_of(&self, rowtime: &DataType) -> Option<Zone> {
        self.zone.clone().filter(|_| matches!(rowtime, DataType::Timestamp(_, Some(_))))
    }

    /// Ends the chain with an edge and begins the next one behind it.
    fn exchange(&mut self, fragment: &mut Fragment, columns: Vec<usize>) {
        if self.workers == 1 {
            return;
        }
        let edge = self.edges;
        self.edges += 1;
        self.chains[fragment.chain].output = ChainOutput::Edge { edge, route: Route::Keys(columns) };
        fragment.chain = self.chains.len();
        self.chains.push(ChainPlan {
            input: ChainInput::Edges(vec![edge]),
            operators: vec![],
            output: ChainOutput::Sink(usize::MAX),
        });
    }

    /// Ends several chains with an edge each and begins the one that all of them feed. Returns its number.
    fn join_chains(&mut self, chains: Vec<(usize, Route)>) -> usize {
        let edges: Vec<usize> = (self.edges..self.edges + chains.len()).collect();
        self.edges += chains.len();
        for (&edge, (chain, route)) in edges.iter().zip(chains) {
            self.chains[chain].output = ChainOutput::Edge { edge, route };
        }
        self.chains.push(ChainPlan { input: ChainInput::Edges(edges), operators: vec![], output: ChainOutput::Sink(usize::MAX) });
        self.chains.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::bind::bind;

    /// Whether the windows of a query are sent in order.
    fn in_order(select: &str, workers: usize) -> Vec<bool> {
        let sql = format!(
            "CREATE TABLE t (k BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector'='filesystem','format'='json','path'='in');
             CREATE VIEW counts AS SELECT window_start, window_end, k, COUNT(*) AS c
               FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, k;
             {select};"
        );
        let plan = lower(&bind(&sql).expect("binds"), &sql, workers, &crate::connector::Connectors::built_in()).expect("plans");
        let operators = plan.chains.iter().flat_map(|c| &c.operators);
        operators.filter_map(|o| if let OperatorPlan::WindowAggregate(spec) = o { Some(spec.in_order) } else { None }).collect()
    }

    #[test]
    fn windows_are_sorted_only_where_their_order_shows() {
        let top = "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY c DESC) AS rn FROM counts) WHERE rn <= 1";
        for workers in [1, 2] {
            assert_eq!(in_order(top, workers), [false], "{workers} workers");
            assert_eq!(in_order("SELECT * FROM counts", workers), [true], "{workers} workers");
        }
    }
}
