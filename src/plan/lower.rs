//! From logical plans to chains of operators.
//!
//! [`lower`] walks each query's plan from the top; sources come first, so a chain grows from its source to its sink. Window
//! columns exist only after the aggregation: between the window function and the aggregation they are *virtual*, known by
//! their role and absent from the batches. What always holds: operator numbers depend on the queries alone; with one worker
//! there are no edges, with more each aggregation has one before it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, DFSchemaRef, DataFusionError, JoinType, TableReference};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr::{AggregateFunction, WindowFunctionParams};
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::utils::conjunction;
use datafusion_expr::{
    Aggregate as AggregateNode, Distinct, Expr, ExprSchemable, Join, LogicalPlan, Operator, WindowFunctionDefinition,
};
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};

use super::calls::Call;
use super::fingerprint;
use super::physical::{
    ChainInput, ChainOutput, ChainPlan, OperatorPlan, PhysicalPlan, ResultKeys, Route, SinkPlan, SinkTarget, SourcePlan,
};
use super::values;
use crate::config::Config;
use crate::operator::aggregate::Aggregate;
use crate::operator::top_n::{TopNSpec, TopNStage};
use crate::operator::unnest::UnnestSpec;
use crate::runtime::ingest::{IngestSpec, WatermarkExpression, WatermarkSpec};
use crate::sql::bind::{BoundQuery, Script, Target};
use crate::sql::catalog::{ColumnKind, PlannedTable, ROWTIME, Table};
use crate::sql::error::{Source, SqlError};
use crate::sql::functions::{current_watermark, not_null};
use crate::sql::nested_types::is_multiset;
use crate::sql::unnest::Unnest;
use crate::sql::window_tvf::{TvfWindow, WindowTvf, interval_ms};
use crate::state::packed::is_packable;
use crate::time::zone::Zone;
use rank::{NumberBound, number_bound, sort_columns};
use windowed::RowsUse;

/// Lowers all queries of a script into one job for so many workers. `text` is the script, for messages.
pub fn lower(script: &Script, text: &str, workers: usize) -> Result<PhysicalPlan, SqlError> {
    let config = Config::resolve(&script.settings, workers).map_err(SqlError::new)?;
    let mut lowering = Lowering {
        workers,
        sources: Vec::new(),
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
        zone: script.zone.clone(),
        fingerprint: script.zone.as_ref().map(|zone| format!("in {zone:?}\n")).unwrap_or_default(),
        warnings: Vec::new(),
    };
    let mut used: BTreeMap<String, (Arc<Table>, BTreeSet<usize>)> = BTreeMap::new();
    for query in &script.queries {
        let source = Source { text, start: query.start, end: query.end };
        collect_columns(&query.plan, &mut used).map_err(|e| SqlError::from_plan(&e, &source))?;
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
    let Lowering { sources, sinks, chains, edges, fingerprint, warnings, .. } = lowering;
    Ok(PhysicalPlan { sources, sinks, chains, edges, fingerprint, warnings })
}

mod aggregate;
mod join;
mod over;
mod rank;
mod union;
mod windowed;

type PlanResult<T> = Result<T, DataFusionError>;

fn unsupported<T>(what: impl Into<String>) -> PlanResult<T> {
    Err(DataFusionError::NotImplemented(what.into()))
}

/// Notes which columns of which tables a plan reads.
fn collect_columns(plan: &LogicalPlan, used: &mut BTreeMap<String, (Arc<Table>, BTreeSet<usize>)>) -> PlanResult<()> {
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(PlannedTable(table)) = scan.source.downcast_ref::<PlannedTable>()
        {
            let (_, columns) = used.entry(table.name.clone()).or_insert_with(|| (table.clone(), BTreeSet::new()));
            match &scan.projection {
                Some(projection) => columns.extend(projection.iter().copied()),
                None => columns.extend(0..table.columns.len()),
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// How a table is read when these of its columns are used. Columns that the watermark needs are added.
fn source_plan(table: &Arc<Table>, mut columns: BTreeSet<usize>) -> PlanResult<SourcePlan> {
    if let Some(watermark) = &table.watermark {
        columns.insert(watermark.rowtime);
        let names = watermark.expression.column_refs();
        columns.extend(table.columns.iter().enumerate().filter(|(_, c)| names.iter().any(|n| n.name == c.name)).map(|(i, _)| i));
    }
    let mut decode: BTreeSet<usize> = BTreeSet::new();
    for &c in &columns {
        match &table.columns[c].kind {
            ColumnKind::Computed(expression) => {
                let names = expression.column_refs();
                decode.extend(
                    table.columns.iter().enumerate().filter(|(_, t)| names.iter().any(|n| n.name == t.name)).map(|(i, _)| i),
                );
            }
            _ => {
                decode.insert(c);
            }
        }
    }
    let field = |i: &usize| Field::new(&table.columns[*i].name, table.columns[*i].data_type.clone(), true);
    let decode: Vec<usize> = decode.into_iter().collect();
    let decode_schema: SchemaRef = Arc::new(Schema::new(decode.iter().map(field).collect::<Vec<_>>()));
    let schema: SchemaRef = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let name = TableReference::bare(table.name.as_str());
    let decoded = DFSchema::try_from_qualified_schema(name.clone(), &decode_schema)?;
    let exprs = columns.iter().map(|&c| match &table.columns[c].kind {
        ColumnKind::Computed(expression) => physical(expression, &decoded),
        _ => physical(&Expr::Column(Column::new(Some(name.clone()), &table.columns[c].name)), &decoded),
    });
    let exprs = exprs.collect::<PlanResult<Vec<_>>>()?;
    let watermark = match &table.watermark {
        None => None,
        Some(watermark) => {
            let rowtime = columns.iter().position(|&c| c == watermark.rowtime).unwrap_or_default();
            let rowtime_name = &table.columns[watermark.rowtime].name;
            let expression = match delay_ms(&watermark.expression, rowtime_name) {
                Some(delay_ms) => WatermarkExpression::Delay { delay_ms },
                None => WatermarkExpression::General(physical(
                    &watermark.expression,
                    &DFSchema::try_from_qualified_schema(name, &schema)?,
                )?),
            };
            Some(WatermarkSpec { rowtime, expression })
        }
    };
    let ingest = IngestSpec { table: table.name.clone(), columns: exprs, schema, watermark, marks_arrival: false };
    Ok(SourcePlan { table: table.clone(), decode, decode_schema, ingest, rows: None })
}

/// The constant of `rowtime - INTERVAL`, in ms.
fn delay_ms(expression: &Expr, rowtime: &str) -> Option<i64> {
    let is_rowtime = |e: &Expr| matches!(e, Expr::Column(c) if c.name == rowtime);
    match expression {
        e if is_rowtime(e) => Some(0),
        Expr::BinaryExpr(e) if e.op == Operator::Minus && is_rowtime(&e.left) => interval_ms(&e.right).ok(),
        _ => None,
    }
}

fn physical(expression: &Expr, schema: &DFSchema) -> PlanResult<Arc<dyn PhysicalExpr>> {
    create_physical_expr(expression, schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())
}

/// What a column is, as far as windows are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Plain,
    WindowStart,
    WindowEnd,
    WindowTime,
    /// The n-th PARTITION BY column of a SESSION.
    SessionKey(usize),
}

impl Role {
    fn is_window(self) -> bool {
        matches!(self, Role::WindowStart | Role::WindowEnd | Role::WindowTime)
    }
}

/// The window that fired rows.
#[derive(Debug, Clone)]
struct Fired {
    /// The zone in which the window lies; None: on the rowtime as it is.
    zone: Option<Zone>,
    /// No two windows of a key have the same start.
    start_is_unique: bool,
}

/// The name of a rowtime that the plan does not name. No SQL column can be called that.
const HIDDEN_ROWTIME: &str = "(rowtime)";

/// A chain being built: the plan node it has come to.
struct Fragment {
    chain: usize,
    schema: DFSchemaRef,
    roles: Vec<Role>,
    /// The window function whose columns are still virtual.
    pending: Option<TvfWindow>,
    /// Index of the rowtime in the batches, while a window is pending.
    rowtime: Option<usize>,
    /// The rowtime follows the plan's columns in the batches: the plan has dropped it, the window needs it.
    hidden_rowtime: Option<FieldRef>,
    /// What is above it uses the rows within their windows.
    in_windows: bool,
    /// The window that fired the rows.
    fired: Option<Fired>,
    /// Columns that identify a row within its window (of changes: a row), if known.
    key: Option<BTreeSet<usize>>,
    /// Rows may be updated and deleted.
    updates: bool,
}

impl Fragment {
    fn is_virtual(&self, column: usize) -> bool {
        self.pending.is_some() && self.roles[column].is_window()
    }

    /// The columns that batches have.
    fn batch_schema(&self) -> PlanResult<DFSchema> {
        let fields = self.schema.iter().enumerate().filter(|(i, _)| !self.is_virtual(*i));
        // Metadata marks time attributes for the binder only; batches carry none.
        let plain = |f: &FieldRef| Arc::new(Field::new(f.name(), f.data_type().clone(), true));
        let visible = fields.map(|(_, (q, f))| (q.cloned(), plain(f)));
        let hidden = self.hidden_rowtime.iter().map(|f| (None, f.clone()));
        DFSchema::new_with_metadata(visible.chain(hidden).collect(), HashMap::new())
    }

    fn arrow_schema(&self) -> PlanResult<SchemaRef> {
        Ok(self.batch_schema()?.inner().clone())
    }

    /// The batch column of a plan column.
    fn batch_index(&self, column: usize) -> usize {
        (0..column).filter(|&c| !self.is_virtual(c)).count()
    }

    fn role_of(&self, expression: &Expr) -> PlanResult<Role> {
        Ok(match self.column_of(expression)? {
            Some(column) => self.roles[column],
            None => Role::Plain,
        })
    }

    /// The plan column that an expression merely names.
    fn column_of(&self, expression: &Expr) -> PlanResult<Option<usize>> {
        column_of(expression, &self.schema)
    }

    /// Window columns that exist only after the aggregation cannot be computed with before it.
    fn refuse_virtual(&self, expression: &Expr) -> PlanResult<()> {
        for column in expression.column_refs() {
            if self.schema.maybe_index_of_column(column).is_some_and(|c| self.is_virtual(c)) {
                return unsupported(format!(
                    "'{}' of a window is used before the rows are aggregated; group by window_start and window_end first",
                    column.name
                ));
            }
        }
        Ok(())
    }
}

/// The column of a schema that an expression merely names.
fn column_of(expression: &Expr, schema: &DFSchema) -> PlanResult<Option<usize>> {
    match expression {
        Expr::Alias(alias) => column_of(&alias.expr, schema),
        Expr::Column(column) => Ok(Some(schema.index_of_column(column)?)),
        // It checks a column and leaves it as it is.
        checked => not_null::inside(checked).map_or(Ok(None), |inner| column_of(inner, schema)),
    }
}

struct Lowering {
    workers: usize,
    sources: Vec<SourcePlan>,
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
    fingerprint: String,
    warnings: Vec<String>,
}

impl Lowering {
    fn query(&mut self, query: &BoundQuery) -> PlanResult<()> {
        self.fingerprint.push_str(&format!("{}\n", query.plan.display_indent()));
        let fragment = self.plan(&query.plan)?;
        let mut fragment = self.assign_windows(fragment, false)?;
        let schema = fragment.arrow_schema()?;
        let number = self.sinks.len();
        let (name, target, keys) = match &query.target {
            Target::Print => (format!("select_{}", number + 1), SinkTarget::Print, ResultKeys::InOrder),
            Target::Table(table) => {
                let keys = self.result_keys(table, &fragment);
                let (options, key) = (fingerprint::identity(table), table.upsert_key());
                self.fingerprint.push_str(&format!("into {} {options} {key:?} {:?}\n", table.name, fragment.arrow_schema()?));
                (table.name.clone(), SinkTarget::Table(table.clone()), keys)
            }
        };
        let sink_key: Vec<usize> = match &target {
            SinkTarget::Table(table) if table.connector() != "filesystem" => sink_key(table),
            _ => vec![],
        };
        if fragment.updates {
            self.deliver_changes(&target, &sink_key, &fragment)?;
        }
        if !sink_key.is_empty() {
            // One writer owns a key: its writes have an order.
            self.exchange(&mut fragment, sink_key);
        }
        if let Some(existing) = self.sinks.iter().position(|s| s.name == name) {
            let sink = &mut self.sinks[existing];
            // Results of two INSERTs may share a key.
            sink.keys = if sink.keys == ResultKeys::InOrder || keys == ResultKeys::InOrder {
                ResultKeys::InOrder
            } else {
                ResultKeys::SharedByWindows
            };
            sink.updates |= fragment.updates;
            self.chains[fragment.chain].output = ChainOutput::Sink(existing);
            return Ok(());
        }
        self.chains[fragment.chain].output = ChainOutput::Sink(number);
        self.sinks.push(SinkPlan { name, target, schema, updates: fragment.updates, keys });
        Ok(())
    }

    /// Makes changes fit the table they go to, or says why they do not.
    fn deliver_changes(&mut self, target: &SinkTarget, sink_key: &[usize], fragment: &Fragment) -> PlanResult<()> {
        let SinkTarget::Table(table) = target else { return Ok(()) };
        let name = &table.name;
        let takes_all = matches!(table.connector(), "print" | "blackhole");
        if sink_key.is_empty() && !takes_all {
            return unsupported(format!(
                "the result is updated as rows arrive, and table '{name}' ({}) only takes new rows: group by a window, or write \
                 into a table with PRIMARY KEY (...) NOT ENFORCED and the connector 'dynamodb'",
                table.connector()
            ));
        }
        let has: BTreeSet<usize> = sink_key.iter().copied().collect();
        match &fragment.key {
            _ if sink_key.is_empty() => {}
            // With more columns in the table's key an update may move a row to another key: its old one is deleted.
            Some(key) if key.is_subset(&has) => {
                if key.len() == has.len() {
                    let schema = fragment.arrow_schema()?;
                    self.push(fragment, OperatorPlan::DropUpdateBefore(schema));
                }
            }
            key => {
                let names = |columns: &BTreeSet<usize>| -> Vec<String> {
                    columns.iter().map(|&c| format!("'{}'", fragment.schema.field(c).name())).collect()
                };
                let rows = match key {
                    Some(key) if !key.is_empty() => format!("one for each {}", names(key).join(", ")),
                    Some(_) => "a single one".into(),
                    None => "not told apart by any columns".into(),
                };
                return unsupported(format!(
                    "the result's rows are {rows}, table '{name}' has one for each {}: several would overwrite each other. Make the \
                     columns that tell the rows apart the table's key",
                    names(&has).join(", ")
                ));
            }
        }
        Ok(())
    }

    /// How the rows of a query share the key of the table they go to.
    fn result_keys(&mut self, table: &Table, fragment: &Fragment) -> ResultKeys {
        let Some(fired) = &fragment.fired else { return ResultKeys::InOrder };
        let sink_key: BTreeSet<usize> = sink_key(table).into_iter().collect();
        if sink_key.is_empty() {
            return ResultKeys::Unique;
        }
        let names_window = sink_key.iter().any(|&c| match fragment.roles[c] {
            Role::WindowEnd | Role::WindowTime => true,
            Role::WindowStart => fired.start_is_unique,
            Role::Plain | Role::SessionKey(_) => false,
        });
        let names_row = fragment.key.as_ref().is_some_and(|key| key.is_subset(&sink_key));
        if !names_row {
            self.warnings.push(format!(
                "several results of one window can share a key of '{}' ({}): which of them stays is not defined; add the \
                 grouping columns to the key",
                table.name,
                table.upsert_key().join(", ")
            ));
        }
        if names_window && names_row { ResultKeys::Unique } else { ResultKeys::SharedByWindows }
    }

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
                    let asks = asks_watermark(&predicate)?;
                    let (predicates, schema) = self.with_watermark(&fragment, &[predicate])?;
                    let predicate = predicates.first().map(|p| physical(p, &schema)).transpose()?;
                    // The watermark goes again.
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
                    return unsupported(extension.node.name().to_string());
                };
                let rows_use = std::mem::take(&mut self.rows_use);
                let mut fragment = self.plan(&tvf.input)?;
                if fragment.pending.is_some() {
                    return unsupported("a window over the rows of another window");
                }
                let rowtime = fragment.schema.index_of_column(&tvf.rowtime)?;
                fragment.rowtime = Some(fragment.batch_index(rowtime));
                fragment.schema = datafusion_expr::UserDefinedLogicalNodeCore::schema(tvf).clone();
                // The columns of a window that has fired are ordinary ones for the next.
                fragment.roles = windowed::roles(tvf)?;
                fragment.fired = None;
                fragment.key = None;
                fragment.pending = Some(tvf.window.clone());
                fragment.in_windows = rows_use.in_windows;
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
                match over::rowtime_order(window, &fragment)? {
                    // The first row of each key is one whose number is 1: as in Flink, once the watermark says so.
                    Some(rowtime) if !is_window_top_n && (!numbers || bound.is_none() || is_first) => {
                        let mut after = self.over(window, fragment, rowtime)?;
                        if is_first && numbers {
                            after.key = over::partition_columns(window, &after.schema)?;
                        }
                        Ok(after)
                    }
                    _ => self.top_n(fragment, &window.window_expr, &window.schema, bound),
                }
            }
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => self.union(&union.inputs, &union.schema),
            LogicalPlan::Sort(_) => {
                unsupported("ORDER BY of a stream has no end to wait for; add LIMIT, or use ROW_NUMBER() in a window Top-N")
            }
            LogicalPlan::Limit(limit) => self.limit(limit),
            // Groups without aggregates.
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let columns = input.schema().columns().into_iter().map(Expr::Column).collect();
                self.aggregate(&AggregateNode::try_new(input.clone(), columns, vec![])?)
            }
            LogicalPlan::EmptyRelation(_) => unsupported("a SELECT without FROM is not supported yet"),
            other => unsupported(format!("{} is not supported", other.display())),
        }
    }

    fn push(&mut self, fragment: &Fragment, operator: OperatorPlan) {
        self.chains[fragment.chain].operators.push(operator);
    }

    /// Rows that stand in the query.
    fn values(&mut self, rows: &[Vec<Expr>], schema: &DFSchemaRef) -> PlanResult<Fragment> {
        let number = self.sources.iter().filter(|s| s.rows.is_some()).count();
        self.sources.push(values::source(number, rows, schema, physical)?);
        Ok(self.read(self.sources.len() - 1, schema))
    }

    /// A chain that begins at a source.
    fn read(&mut self, source: usize, schema: &DFSchemaRef) -> Fragment {
        let chain = self.chains.len();
        // The output is set when the chain ends.
        self.chains.push(ChainPlan {
            input: ChainInput::Source(source),
            operators: vec![],
            output: ChainOutput::Sink(usize::MAX),
        });
        Fragment {
            chain,
            schema: schema.clone(),
            roles: vec![Role::Plain; schema.fields().len()],
            pending: None,
            rowtime: None,
            hidden_rowtime: None,
            in_windows: false,
            fired: None,
            key: None,
            updates: false,
        }
    }

    fn scan(&mut self, table: &Table, schema: &DFSchemaRef) -> PlanResult<Fragment> {
        let source = self.sources.iter().position(|s| s.table.name == table.name);
        let source = source.ok_or_else(|| DataFusionError::Internal(format!("'{}' was not planned as a source", table.name)))?;
        let fragment = self.read(source, schema);
        let has = self.sources[source].ingest.schema.clone();
        if schema.fields().len() != has.fields().len() {
            // Other queries read more columns of the table.
            let name = TableReference::bare(table.name.as_str());
            let all = DFSchema::try_from_qualified_schema(name.clone(), &has)?;
            let columns =
                schema.fields().iter().map(|f| physical(&Expr::Column(Column::new(Some(name.clone()), f.name())), &all));
            let projection = Some(columns.collect::<PlanResult<Vec<_>>>()?);
            let output = fragment.arrow_schema()?;
            self.push(&fragment, OperatorPlan::Calc { predicate: None, projection, output });
        }
        Ok(fragment)
    }

    /// Puts a column with the watermark in the place of CURRENT_WATERMARK, if an expression asks for it. Returns the expressions
    /// and the columns they are over.
    fn with_watermark(&mut self, fragment: &Fragment, exprs: &[Expr]) -> PlanResult<(Vec<Expr>, DFSchema)> {
        let schema = fragment.batch_schema()?;
        let mut data_type = None;
        for expression in exprs {
            expression.apply(|e| {
                if let Expr::ScalarFunction(call) = e
                    && call.name() == current_watermark::NAME
                {
                    data_type = Some(e.get_type(&schema)?);
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        let Some(data_type) = data_type else { return Ok((exprs.to_vec(), schema)) };
        if fragment.fired.is_some() || fragment.updates {
            return unsupported("'CURRENT_WATERMARK' of rows that do not come straight from a table");
        }
        let name = "(watermark)";
        let fields = schema.iter().map(|(q, f)| (q.cloned(), f.clone()));
        let fields = fields.chain([(None, Arc::new(Field::new(name, data_type, true)))]).collect();
        let schema = DFSchema::new_with_metadata(fields, HashMap::new())?;
        self.push(fragment, OperatorPlan::CurrentWatermark(schema.inner().clone()));
        let column = |e: Expr| {
            let is_call = matches!(&e, Expr::ScalarFunction(call) if call.name() == current_watermark::NAME);
            Ok(if is_call { Transformed::yes(Expr::Column(Column::from_name(name))) } else { Transformed::no(e) })
        };
        let exprs = exprs.iter().map(|e| Ok(e.clone().transform(column)?.data)).collect::<PlanResult<_>>()?;
        Ok((exprs, schema))
    }

    fn project(&mut self, from: Fragment, exprs: &[Expr], schema: &DFSchemaRef) -> PlanResult<Fragment> {
        let from = self.windows_for(from, exprs)?;
        let roles = exprs.iter().map(|e| from.role_of(e)).collect::<PlanResult<Vec<_>>>()?;
        let columns = exprs.iter().map(|e| from.column_of(e)).collect::<PlanResult<Vec<_>>>()?;
        let (exprs, batch_schema) = self.with_watermark(&from, exprs)?;
        let mut projection = Vec::new();
        for (expression, role) in exprs.iter().zip(&roles) {
            if from.pending.is_some() && role.is_window() {
                continue;
            }
            projection.push(physical(expression, &batch_schema)?);
        }
        // The rowtime of a pending window has to stay, also where the query does not name it.
        let (mut rowtime, mut hidden_rowtime) = (None, None);
        if let Some(batch_column) = from.rowtime {
            let named = columns.iter().enumerate().find(|(i, c)| {
                !roles[*i].is_window() && c.is_some_and(|c| !from.is_virtual(c) && from.batch_index(c) == batch_column)
            });
            rowtime = named.map(|(i, _)| (0..i).filter(|&c| !roles[c].is_window()).count());
            if rowtime.is_none() {
                let (qualifier, field) = batch_schema.qualified_field(batch_column);
                rowtime = Some(projection.len());
                projection.push(physical(&Expr::Column(Column::new(qualifier.cloned(), field.name())), &batch_schema)?);
                hidden_rowtime = Some(Arc::new(Field::new(HIDDEN_ROWTIME, field.data_type().clone(), true)));
            }
        }
        let key = from.key.as_ref().and_then(|key| key.iter().map(|k| columns.iter().position(|c| *c == Some(*k))).collect());
        let (schema, pending) = (schema.clone(), from.pending.clone());
        let fired = from.fired.clone();
        let to = Fragment { schema, roles, pending, rowtime, hidden_rowtime, fired, key, ..from };
        let output = to.arrow_schema()?;
        let unchanged = projection.len() == batch_schema.fields().len()
            && columns
                .iter()
                .filter_map(|c| c.filter(|&c| !from.is_virtual(c)).map(|c| from.batch_index(c)))
                .eq(0..projection.len());
        let renamed = batch_schema.inner().fields() != output.fields();
        if !unchanged || renamed {
            self.push(&to, OperatorPlan::Calc { predicate: None, projection: Some(projection), output });
        }
        Ok(to)
    }

    /// A projection that adds the value, whose rows may be refused, and the operator that takes it apart.
    fn unnest(&mut self, from: Fragment, node: &Unnest) -> PlanResult<Fragment> {
        let from = self.windows_for(from, [&node.value])?;
        let input = from.batch_schema()?;
        let value = physical(&node.value, &input)?;
        let data_type = value.data_type(input.inner())?;
        let columns = input.iter().map(|(q, f)| physical(&Expr::Column(Column::new(q.cloned(), f.name())), &input));
        let mut projection = columns.collect::<PlanResult<Vec<_>>>()?;
        projection.push(value);
        let mut fields = input.inner().fields().to_vec();
        fields.push(Arc::new(Field::new("(unnest)", data_type.clone(), true)));
        let output = Arc::new(Schema::new(fields));
        self.push(&from, OperatorPlan::Calc { predicate: None, projection: Some(projection), output });
        let column = input.fields().len();
        let before = column - usize::from(from.hidden_rowtime.is_some());
        let rowtime = from.rowtime.map(|at| if at >= before { at + node.added() } else { at });
        let mut roles = from.roles.clone();
        roles.extend(std::iter::repeat_n(Role::Plain, node.added()));
        let schema = datafusion_expr::UserDefinedLogicalNodeCore::schema(node).clone();
        let to = Fragment { schema, roles, rowtime, key: None, ..from };
        let spec = UnnestSpec { column, before, outer: node.outer, ordinality: node.ordinality, output: to.arrow_schema()? };
        self.push(&to, OperatorPlan::Unnest(spec, is_multiset(&data_type)));
        Ok(to)
    }

    fn top_n(
        &mut self,
        fragment: Fragment,
        exprs: &[Expr],
        schema: &DFSchemaRef,
        bound: Option<NumberBound>,
    ) -> PlanResult<Fragment> {
        let [expression] = exprs else { return unsupported("several OVER functions in one query are not supported yet") };
        let mut inner = expression;
        while let Expr::Alias(alias) = inner {
            inner = &alias.expr;
        }
        let Expr::WindowFunction(function) = inner else { return unsupported(format!("'{expression}'")) };
        if !matches!(&function.fun, WindowFunctionDefinition::WindowUDF(f) if f.name() == "row_number") {
            return unsupported(format!("'{}' with OVER is not supported yet; ROW_NUMBER() is, as a window Top-N", function.fun));
        }
        let WindowFunctionParams { partition_by, order_by, .. } = &function.params;
        let Some(bound) = bound else {
            return unsupported("'ROW_NUMBER' needs a bound: put the query into a subquery and filter it, WHERE rn <= 10");
        };
        let partition = partition_by.iter().map(|e| fragment.column_of(e)).collect::<PlanResult<Option<Vec<_>>>>()?;
        let Some(partition) = partition else {
            return unsupported("PARTITION BY of 'ROW_NUMBER' takes columns; compute others in a subquery");
        };
        let has = |role| partition.iter().any(|&c| fragment.roles[c] == role);
        let is_in_windows = has(Role::WindowTime) || has(Role::WindowStart) && has(Role::WindowEnd);
        let fragment = self.assign_windows(fragment, is_in_windows)?;
        let mut order = sort_columns(&fragment, order_by)?;
        let zone = match &fragment.fired {
            Some(fired) if is_in_windows && !fragment.updates => fired.zone.clone(),
            _ => {
                self.number_is_bound = true;
                return self.rank(fragment, partition, order, &bound, schema, true);
            }
        };
        let limit = bound.end;
        let input = fragment.arrow_schema()?;
        // The first or last row of a key in event time: of several at once, the one that came first or last.
        let by_time = |c: usize| fragment.schema.field(c).metadata().contains_key(ROWTIME);
        let by_arrival = limit == 1 && order.len() == 1 && by_time(order[0].0);
        if let Some(field) = input.fields().iter().find(|f| !is_packable(f.data_type())) {
            return unsupported(format!("a Top-N of rows with a column of type {}: '{}'", field.data_type(), field.name()));
        }
        self.operators += 1;
        let mut output = input.fields().to_vec();
        let mut input = input;
        if by_arrival {
            self.mark_arrivals();
            order.push((output.len(), order[0].1));
            let place = Arc::new(Field::new("(place)", DataType::Binary, true));
            input = Arc::new(Schema::new(output.iter().cloned().chain([place]).collect::<Vec<_>>()));
        }
        output.push(Arc::new(Field::new(schema.field(schema.fields().len() - 1).name(), DataType::Int64, true)));
        let keys: Vec<usize> = partition.iter().copied().filter(|&c| !fragment.roles[c].is_window()).collect();
        let spec = TopNSpec {
            operator: self.operators,
            zone,
            partition_by: keys.clone(),
            order_by: order,
            limit,
            by_arrival,
            input,
            output: Arc::new(Schema::new(output)),
        };
        let number = fragment.roles.len();
        let mut roles = fragment.roles.clone();
        roles.push(Role::Plain);
        let mut after = Fragment {
            schema: schema.clone(),
            roles,
            key: Some(keys.iter().copied().chain(std::iter::once(number)).collect()),
            ..fragment
        };
        if self.workers > 1 {
            self.push(&after, OperatorPlan::TopN(spec.clone(), TopNStage::Prune));
            self.exchange(&mut after, keys);
        }
        self.push(&after, OperatorPlan::TopN(spec, TopNStage::Number));
        Ok(after)
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

/// The input of an aggregation: the rowtime of a window, the keys, then arguments and filters.
struct AggregateInput<'a> {
    schema: &'a DFSchema,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    fields: Vec<Field>,
    /// Columns that come before the arguments in what the aggregation reads, and not here.
    shifted: usize,
    /// Columns before this one are not shared with arguments: grouping sets put NULLs into them.
    first_shared: usize,
}

impl<'a> AggregateInput<'a> {
    fn new(schema: &'a DFSchema, rowtime: usize) -> PlanResult<AggregateInput<'a>> {
        let (qualifier, field) = schema.qualified_field(rowtime);
        let expr = physical(&Expr::Column(Column::new(qualifier.cloned(), field.name())), schema)?;
        let field = Field::new("rowtime", field.data_type().clone(), true);
        Ok(AggregateInput { schema, exprs: vec![expr], fields: vec![field], shifted: 0, first_shared: 0 })
    }

    /// Without a rowtime.
    fn keyed(schema: &'a DFSchema) -> AggregateInput<'a> {
        AggregateInput { schema, exprs: vec![], fields: vec![], shifted: 0, first_shared: 0 }
    }

    /// Behind the keys comes a column that is not computed here.
    fn shift(&mut self) {
        self.shifted = 1;
        self.first_shared = self.exprs.len();
    }

    fn finish(self) -> (Vec<Arc<dyn PhysicalExpr>>, SchemaRef) {
        (self.exprs, Arc::new(Schema::new(self.fields)))
    }

    fn add(&mut self, expression: &Expr, name: &str) -> PlanResult<(usize, DataType)> {
        let expr = physical(expression, self.schema)?;
        let data_type = expr.data_type(self.schema.inner())?;
        // The same column may serve several aggregates.
        let known = (self.first_shared..self.exprs.len()).find(|&i| self.exprs[i].to_string() == expr.to_string());
        if let Some(known) = known {
            return Ok((known + self.shifted, data_type));
        }
        self.exprs.push(expr);
        self.fields.push(Field::new(format!("{name}{}", self.fields.len()), data_type.clone(), true));
        Ok((self.fields.len() - 1 + self.shifted, data_type))
    }

    /// Keys have their own places, also where one repeats another column.
    fn add_key(&mut self, expression: &Expr) -> PlanResult<DataType> {
        let expr = physical(expression, self.schema)?;
        let data_type = expr.data_type(self.schema.inner())?;
        self.exprs.push(expr);
        self.fields.push(Field::new(format!("key{}", self.fields.len()), data_type.clone(), true));
        Ok(data_type)
    }
}

fn aggregate_call(
    fragment: &Fragment,
    call: &AggregateFunction,
    window: Option<&TvfWindow>,
    input: &mut AggregateInput<'_>,
) -> PlanResult<Aggregate> {
    let call = Call::new(call)?;
    if let Some(window) = window {
        call.check_window(window)?;
    }
    let mut column = |expression: Option<&Expr>, name| match expression {
        Some(expression) => {
            fragment.refuse_virtual(expression)?;
            input.add(expression, name).map(Some)
        }
        None => Ok(None),
    };
    let filter = column(call.filter, "filter")?.map(|(column, _)| column);
    let argument = column(call.argument.as_deref(), "argument")?;
    let second = column(call.second.as_deref(), "argument")?;
    call.over(argument, second, filter)
}

/// The columns of a table's key among those that are written.
fn sink_key(table: &Table) -> Vec<usize> {
    let columns = table.sink_columns();
    table.upsert_key().iter().filter_map(|k| columns.iter().position(|&c| table.columns[c].name == *k)).collect()
}

fn asks_watermark(expression: &Expr) -> PlanResult<bool> {
    expression.exists(|e| Ok(matches!(e, Expr::ScalarFunction(call) if call.name() == current_watermark::NAME)))
}

/// What is below casts that the types of a comparison have brought in.
pub(super) fn strip_cast(expression: &Expr) -> &Expr {
    match expression {
        Expr::Cast(cast) => strip_cast(&cast.expr),
        Expr::ScalarFunction(call) if call.name().starts_with("cast ") && call.args.len() == 1 => strip_cast(&call.args[0]),
        other => other,
    }
}

/// True if a column comes from a ROW_NUMBER further down.
fn is_row_number(plan: &LogicalPlan, column: usize) -> PlanResult<bool> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => is_row_number(&alias.input, column),
        LogicalPlan::Filter(filter) => is_row_number(&filter.input, column),
        LogicalPlan::Projection(projection) => {
            let mut expression = &projection.expr[column];
            while let Expr::Alias(alias) = expression {
                expression = &alias.expr;
            }
            match expression {
                Expr::Column(c) => is_row_number(&projection.input, projection.input.schema().index_of_column(c)?),
                _ => Ok(false),
            }
        }
        LogicalPlan::Window(window) => Ok(column >= window.input.schema().fields().len()),
        _ => Ok(false),
    }
}
