//! From logical plans to chains of operators.
//!
//! [`lower`] walks each query's plan from the top; sources come first, so a chain grows from its source to its sink. Window
//! columns exist only after the aggregation: between the window function and the aggregation they are *virtual*, known by
//! their role and absent from the batches. What always holds: operator numbers depend on the queries alone; with one worker
//! there are no edges, with more each aggregation has one before it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, DFSchemaRef, DataFusionError, ScalarValue, TableReference};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr::{AggregateFunction, Sort as SortExpr, WindowFunctionParams};
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Aggregate as AggregateNode, Expr, LogicalPlan, Operator, WindowFunctionDefinition};
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};

use super::fingerprint;
use super::physical::{
    ChainInput, ChainOutput, ChainPlan, OperatorPlan, PhysicalPlan, ResultKeys, SinkPlan, SinkTarget, SourcePlan,
};
use super::values;
use crate::operator::aggregate::{Aggregate, Function};
use crate::operator::session::SessionSpec;
use crate::operator::top_n::{TopNSpec, TopNStage};
use crate::operator::window::assign::{AssignSpec, AssignedColumn};
use crate::operator::window::slice::WindowKind;
use crate::operator::window::{GroupColumn, WindowAggregateSpec};
use crate::runtime::ingest::{IngestSpec, WatermarkExpression, WatermarkSpec};
use crate::sql::bind::{BoundQuery, Script, Target};
use crate::sql::catalog::{ColumnKind, PlannedTable, Table};
use crate::sql::error::{Source, SqlError};
use crate::sql::functions::{not_null, planned_function};
use crate::sql::window_tvf::{TvfWindow, WindowTvf, interval_ms};
use crate::state::key::is_key_type;
use crate::state::packed::is_packable;

/// Lowers all queries of a script into one job for so many workers. `text` is the script, for messages.
pub fn lower(script: &Script, text: &str, workers: usize) -> Result<PhysicalPlan, SqlError> {
    let mut lowering = Lowering {
        workers,
        sources: Vec::new(),
        sinks: Vec::new(),
        chains: Vec::new(),
        edges: 0,
        operators: 0,
        row_limit: None,
        fingerprint: String::new(),
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
    let ingest = IngestSpec { table: table.name.clone(), columns: exprs, schema, watermark };
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
#[derive(Debug, Clone, Copy)]
struct Fired {
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
    /// The window that fired the rows.
    fired: Option<Fired>,
    /// Columns that identify a row within its window, if known.
    key: Option<BTreeSet<usize>>,
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
        match expression {
            Expr::Alias(alias) => self.column_of(&alias.expr),
            Expr::Column(column) => Ok(Some(self.schema.index_of_column(column)?)),
            // It checks a column and leaves it as it is.
            checked => not_null::inside(checked).map_or(Ok(None), |inner| self.column_of(inner)),
        }
    }

    /// Window columns that exist only after the aggregation cannot be computed with before it.
    fn refuse_virtual(&self, expression: &Expr) -> PlanResult<()> {
        for column in expression.column_refs() {
            if self.is_virtual(self.schema.index_of_column(column)?) {
                return unsupported(format!(
                    "'{}' of a window is used before the rows are aggregated; group by window_start and window_end first",
                    column.name
                ));
            }
        }
        Ok(())
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
    row_limit: Option<usize>,
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
        if let SinkTarget::Table(table) = &target
            && !table.upsert_key().is_empty()
            && table.connector() != "filesystem"
        {
            // One writer owns a key: its writes have an order.
            let columns = table.sink_columns();
            let key =
                table.upsert_key().iter().filter_map(|k| columns.iter().position(|&c| table.columns[c].name == *k)).collect();
            self.exchange(&mut fragment, key);
        }
        if let Some(existing) = self.sinks.iter().position(|s| s.name == name) {
            let sink = &mut self.sinks[existing];
            // Results of two INSERTs may share a key.
            sink.keys = if sink.keys == ResultKeys::InOrder || keys == ResultKeys::InOrder {
                ResultKeys::InOrder
            } else {
                ResultKeys::SharedByWindows
            };
            self.chains[fragment.chain].output = ChainOutput::Sink(existing);
            return Ok(());
        }
        self.chains[fragment.chain].output = ChainOutput::Sink(number);
        self.sinks.push(SinkPlan { name, target, schema, keys });
        Ok(())
    }

    /// How the rows of a query share the key of the table they go to.
    fn result_keys(&mut self, table: &Table, fragment: &Fragment) -> ResultKeys {
        let Some(fired) = fragment.fired else { return ResultKeys::InOrder };
        let columns = table.sink_columns();
        let sink_key: BTreeSet<usize> =
            table.upsert_key().iter().filter_map(|k| columns.iter().position(|&c| table.columns[c].name == *k)).collect();
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
                let fragment = self.plan(&projection.input)?;
                self.project(fragment, &projection.expr, &projection.schema)
            }
            LogicalPlan::Filter(filter) => {
                let limit = row_limit(&filter.predicate, &filter.input)?;
                if let Some(limit) = limit {
                    self.row_limit = Some(limit);
                }
                let fragment = self.plan(&filter.input)?;
                fragment.refuse_virtual(&filter.predicate)?;
                let predicate = physical(&filter.predicate, &fragment.batch_schema()?)?;
                let output = fragment.arrow_schema()?;
                self.push(&fragment, OperatorPlan::Calc { predicate: Some(predicate), projection: None, output });
                Ok(fragment)
            }
            LogicalPlan::Extension(extension) => {
                let Some(tvf) = extension.node.as_any().downcast_ref::<WindowTvf>() else {
                    return unsupported(extension.node.name().to_string());
                };
                let mut fragment = self.plan(&tvf.input)?;
                if fragment.pending.is_some() {
                    return unsupported("a window over the rows of another window");
                }
                let rowtime = fragment.schema.index_of_column(&tvf.rowtime)?;
                fragment.rowtime = Some(fragment.batch_index(rowtime));
                fragment.schema = datafusion_expr::UserDefinedLogicalNodeCore::schema(tvf).clone();
                // The columns of a window that has fired are ordinary ones for the next.
                fragment.roles.fill(Role::Plain);
                fragment.roles.extend([Role::WindowStart, Role::WindowEnd, Role::WindowTime]);
                fragment.fired = None;
                fragment.key = None;
                if let TvfWindow::Session { partition, .. } = &tvf.window {
                    for (number, column) in partition.iter().enumerate() {
                        let index = fragment.schema.index_of_column(column)?;
                        fragment.roles[index] = Role::SessionKey(number);
                    }
                }
                fragment.pending = Some(tvf.window.clone());
                Ok(fragment)
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => {
                let limit = self.row_limit.take();
                let fragment = self.plan(&window.input)?;
                self.top_n(fragment, &window.window_expr, &window.schema, limit)
            }
            LogicalPlan::Join(_) => unsupported("JOIN is not supported yet"),
            LogicalPlan::Union(_) => unsupported("UNION is not supported yet; write one INSERT for each part"),
            LogicalPlan::Sort(_) => {
                unsupported("ORDER BY of a stream has no end to wait for; use ROW_NUMBER() in a window Top-N")
            }
            LogicalPlan::Limit(_) => unsupported("LIMIT of a stream is not supported; use ROW_NUMBER() in a window Top-N"),
            LogicalPlan::Distinct(_) => unsupported("SELECT DISTINCT is not supported yet; group by the columns in a window"),
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
            fired: None,
            key: None,
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

    fn project(&mut self, from: Fragment, exprs: &[Expr], schema: &DFSchemaRef) -> PlanResult<Fragment> {
        let roles = exprs.iter().map(|e| from.role_of(e)).collect::<PlanResult<Vec<_>>>()?;
        let columns = exprs.iter().map(|e| from.column_of(e)).collect::<PlanResult<Vec<_>>>()?;
        let batch_schema = from.batch_schema()?;
        let mut projection = Vec::new();
        for (expression, role) in exprs.iter().zip(&roles) {
            if from.pending.is_some() && role.is_window() {
                continue;
            }
            from.refuse_virtual(expression)?;
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
        let (schema, pending, fired) = (schema.clone(), from.pending.clone(), from.fired);
        let to = Fragment { chain: from.chain, schema, roles, pending, rowtime, hidden_rowtime, fired, key };
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

    fn aggregate(&mut self, node: &AggregateNode) -> PlanResult<Fragment> {
        let fragment = self.plan(&node.input)?;
        let roles = node.group_expr.iter().map(|e| fragment.role_of(e)).collect::<PlanResult<Vec<_>>>()?;
        if node.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))) {
            return unsupported("GROUPING SETS, ROLLUP and CUBE are not supported yet");
        }
        let (Some(window), Some(rowtime)) = (fragment.pending.clone(), fragment.rowtime) else {
            return unsupported(
                "GROUP BY without a window is not supported yet; group by window_start and window_end of a window",
            );
        };
        if !(roles.contains(&Role::WindowStart) && roles.contains(&Role::WindowEnd)) {
            return unsupported(
                "GROUP BY without a window is not supported yet: a window aggregation groups by both window_start and window_end",
            );
        }
        if let TvfWindow::Session { partition, .. } = &window {
            let grouped: BTreeSet<Role> = roles.iter().copied().filter(|role| !role.is_window()).collect();
            if grouped != (0..partition.len()).map(Role::SessionKey).collect() {
                return unsupported(
                    "GROUP BY of a SESSION names window_start, window_end and just the columns that the session is partitioned by; \
                     any other is a GROUP BY without a window, which is not supported yet",
                );
            }
        }
        let batch_schema = fragment.batch_schema()?;
        let mut input = AggregateInput::new(&batch_schema, rowtime)?;
        let mut group_columns = Vec::new();
        let mut key_types = Vec::new();
        for (expression, role) in node.group_expr.iter().zip(&roles) {
            group_columns.push(match role {
                Role::WindowStart => GroupColumn::WindowStart,
                Role::WindowEnd => GroupColumn::WindowEnd,
                Role::WindowTime => GroupColumn::WindowTime,
                Role::Plain | Role::SessionKey(_) => {
                    fragment.refuse_virtual(expression)?;
                    let data_type = input.add_key(expression)?;
                    if !is_key_type(&data_type) {
                        return unsupported(format!("GROUP BY a column of type {data_type}: '{expression}'"));
                    }
                    key_types.push(data_type);
                    GroupColumn::Key(key_types.len() - 1)
                }
            });
        }
        let mut aggregates = Vec::new();
        for expression in &node.aggr_expr {
            let mut inner = expression;
            while let Expr::Alias(alias) = inner {
                inner = &alias.expr;
            }
            let Expr::AggregateFunction(call) = inner else { return unsupported(format!("'{expression}' as an aggregate")) };
            aggregates.push(aggregate_call(&fragment, call, &mut input)?);
        }
        self.operators += 1;
        let names: Vec<String> = node.schema.fields().iter().map(|f| f.name().clone()).collect();
        let rowtime_type = batch_schema.field(rowtime).data_type().clone();
        let output = WindowAggregateSpec::output_schema(&names, &group_columns, &key_types, &aggregates, &rowtime_type);
        let operator = self.operators;
        let AggregateInput { exprs, fields, .. } = input;
        let calc = OperatorPlan::Calc { predicate: None, projection: Some(exprs), output: Arc::new(Schema::new(fields)) };
        self.push(&fragment, calc);
        let mut after = Fragment {
            chain: fragment.chain,
            schema: node.schema.clone(),
            key: Some((0..roles.len()).filter(|&i| !roles[i].is_window()).collect()),
            roles: roles.into_iter().chain(std::iter::repeat_n(Role::Plain, node.aggr_expr.len())).collect(),
            pending: None,
            rowtime: None,
            hidden_rowtime: None,
            fired: None,
        };
        match window {
            TvfWindow::Sliced(windows) => {
                let start_is_unique = !matches!(windows.kind, WindowKind::Cumulate { .. });
                after.fired = Some(Fired { start_is_unique });
                let spec = WindowAggregateSpec { operator, windows, key_types, aggregates, group_columns, output };
                if self.workers > 1 {
                    self.push(&after, OperatorPlan::LocalAggregate(spec.clone()));
                    self.exchange(&mut after, vec![]);
                }
                self.push(&after, OperatorPlan::WindowAggregate(spec));
            }
            TvfWindow::Session { gap_ms, .. } => {
                after.fired = Some(Fired { start_is_unique: false });
                let first = WindowAggregateSpec::FIRST_KEY;
                self.exchange(&mut after, (first..first + key_types.len()).collect());
                let spec = SessionSpec { operator, gap_ms, key_types, aggregates, group_columns, output };
                self.push(&after, OperatorPlan::SessionAggregate(spec));
            }
        }
        Ok(after)
    }

    fn top_n(&mut self, fragment: Fragment, exprs: &[Expr], schema: &DFSchemaRef, limit: Option<usize>) -> PlanResult<Fragment> {
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
        let fragment = self.assign_windows(fragment, true)?;
        let Some(limit) = limit else {
            return unsupported("'ROW_NUMBER' needs a bound: put the query into a subquery and filter it, WHERE rn <= 10");
        };
        if fragment.fired.is_none() {
            return unsupported(
                "Top-N of rows that were not aggregated in a window is not supported yet: 'ROW_NUMBER' goes over a window aggregation",
            );
        }
        let partition = partition_by.iter().map(|e| fragment.column_of(e)).collect::<PlanResult<Option<Vec<_>>>>()?;
        let Some(partition) = partition else {
            return unsupported("PARTITION BY of 'ROW_NUMBER' takes columns; compute others in a subquery");
        };
        let has = |role| partition.iter().any(|&c| fragment.roles[c] == role);
        if !(has(Role::WindowTime) || has(Role::WindowStart) && has(Role::WindowEnd)) {
            return unsupported(
                "Top-N over all windows is not supported yet: PARTITION BY window_start, window_end and the keys",
            );
        }
        let mut order = Vec::new();
        for SortExpr { expr, asc, nulls_first } in order_by {
            let Some(column) = fragment.column_of(expr)? else {
                return unsupported("ORDER BY of 'ROW_NUMBER' takes columns; compute others in a subquery");
            };
            order.push((column, SortOptions { descending: !asc, nulls_first: *nulls_first }));
        }
        let input = fragment.arrow_schema()?;
        if let Some(field) = input.fields().iter().find(|f| !is_packable(f.data_type())) {
            return unsupported(format!("a Top-N of rows with a column of type {}: '{}'", field.data_type(), field.name()));
        }
        self.operators += 1;
        let mut output = input.fields().to_vec();
        output.push(Arc::new(Field::new(schema.field(schema.fields().len() - 1).name(), DataType::Int64, true)));
        let keys: Vec<usize> = partition.iter().copied().filter(|&c| !fragment.roles[c].is_window()).collect();
        let spec = TopNSpec {
            operator: self.operators,
            partition_by: keys.clone(),
            order_by: order,
            limit,
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

    /// Gives rows the columns of a window function that nothing aggregates.
    fn assign_windows(&mut self, from: Fragment, drop_late: bool) -> PlanResult<Fragment> {
        let (Some(window), Some(rowtime)) = (&from.pending, from.rowtime) else { return Ok(from) };
        let TvfWindow::Sliced(windows) = *window else {
            return unsupported("a SESSION without GROUP BY window_start, window_end is not supported yet");
        };
        let columns = (0..from.roles.len()).map(|column| match from.roles[column] {
            Role::WindowStart => AssignedColumn::WindowStart,
            Role::WindowEnd => AssignedColumn::WindowEnd,
            Role::WindowTime => AssignedColumn::WindowTime,
            Role::Plain | Role::SessionKey(_) => AssignedColumn::Input(from.batch_index(column)),
        });
        let columns = columns.collect();
        // Only a Top-N waits for its window; other rows are just rows.
        let fired = drop_late.then_some(Fired { start_is_unique: !matches!(windows.kind, WindowKind::Cumulate { .. }) });
        let to = Fragment { pending: None, rowtime: None, hidden_rowtime: None, fired, key: None, ..from };
        let output = to.arrow_schema()?;
        self.push(&to, OperatorPlan::AssignWindows(AssignSpec { windows, rowtime, columns, output, drop_late }));
        Ok(to)
    }

    /// Ends the chain with an edge and begins the next one behind it.
    fn exchange(&mut self, fragment: &mut Fragment, columns: Vec<usize>) {
        if self.workers == 1 {
            return;
        }
        let edge = self.edges;
        self.edges += 1;
        self.chains[fragment.chain].output = ChainOutput::Edge { edge, columns };
        fragment.chain = self.chains.len();
        self.chains.push(ChainPlan { input: ChainInput::Edge(edge), operators: vec![], output: ChainOutput::Sink(usize::MAX) });
    }
}

/// The input of an aggregation: the rowtime, the keys, then arguments and filters.
struct AggregateInput<'a> {
    schema: &'a DFSchema,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    fields: Vec<Field>,
}

impl<'a> AggregateInput<'a> {
    fn new(schema: &'a DFSchema, rowtime: usize) -> PlanResult<AggregateInput<'a>> {
        let (qualifier, field) = schema.qualified_field(rowtime);
        let expr = physical(&Expr::Column(Column::new(qualifier.cloned(), field.name())), schema)?;
        let field = Field::new("rowtime", field.data_type().clone(), true);
        Ok(AggregateInput { schema, exprs: vec![expr], fields: vec![field] })
    }

    fn add(&mut self, expression: &Expr, name: &str) -> PlanResult<(usize, DataType)> {
        let expr = physical(expression, self.schema)?;
        let data_type = expr.data_type(self.schema.inner())?;
        // The same column may serve several aggregates.
        if let Some(known) = self.exprs.iter().position(|e| e.to_string() == expr.to_string()) {
            return Ok((known, data_type));
        }
        self.exprs.push(expr);
        self.fields.push(Field::new(format!("{name}{}", self.fields.len()), data_type.clone(), true));
        Ok((self.fields.len() - 1, data_type))
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

fn aggregate_call(fragment: &Fragment, call: &AggregateFunction, input: &mut AggregateInput<'_>) -> PlanResult<Aggregate> {
    let Some(function) = planned_function(&call.func) else { return unsupported(format!("'{}'", call.func.name())) };
    if !call.params.order_by.is_empty() {
        return unsupported(format!("ORDER BY inside '{}'", call.func.name()));
    }
    let [argument] = call.params.args.as_slice() else {
        return unsupported(format!("'{}' with several arguments", call.func.name()));
    };
    fragment.refuse_virtual(argument)?;
    let filter = match &call.params.filter {
        Some(filter) => {
            fragment.refuse_virtual(filter)?;
            Some(input.add(filter, "filter")?.0)
        }
        None => None,
    };
    let counts_rows =
        function == Function::Count && matches!(argument, Expr::Literal(v, _) if *v != ScalarValue::Null && !v.is_null());
    let (argument, input_type) = if counts_rows {
        (None, DataType::Int64)
    } else {
        let (column, data_type) = input.add(argument, "argument")?;
        (Some(column), data_type)
    };
    let distinct = call.params.distinct && !matches!(function, Function::Min | Function::Max);
    if distinct && !is_key_type(&input_type) {
        return unsupported(format!("DISTINCT over a column of type {input_type}"));
    }
    let output_type = crate::operator::aggregate::result_type(function, &input_type);
    let Some(output_type) = output_type else { return unsupported(format!("'{}' of {input_type}", call.func.name())) };
    Ok(Aggregate { function, argument, filter, distinct, input_type, output_type })
}

/// The bound that a filter sets on a ROW_NUMBER below it.
fn row_limit(predicate: &Expr, input: &LogicalPlan) -> PlanResult<Option<usize>> {
    for conjunct in split_conjunction(predicate) {
        let (column, literal, op) = match conjunct {
            Expr::BinaryExpr(comparison) => match (strip_cast(&comparison.left), strip_cast(&comparison.right)) {
                (Expr::Column(c), Expr::Literal(v, _)) => (c, v, comparison.op),
                (Expr::Literal(v, _), Expr::Column(c)) => (c, v, comparison.op.swap().unwrap_or(comparison.op)),
                _ => continue,
            },
            Expr::Between(between) if !between.negated => match (strip_cast(&between.expr), strip_cast(&between.high)) {
                (Expr::Column(c), Expr::Literal(v, _)) => (c, v, Operator::LtEq),
                _ => continue,
            },
            _ => continue,
        };
        let Some(index) = input.schema().maybe_index_of_column(column) else { continue };
        if !is_row_number(input, index)? {
            continue;
        }
        let ScalarValue::Float64(Some(bound)) = literal.cast_to(&DataType::Float64)? else { continue };
        let limit = match op {
            Operator::LtEq | Operator::Eq => bound.floor(),
            Operator::Lt => bound.ceil() - 1.0,
            _ => continue,
        };
        return Ok(Some(limit.max(0.0) as usize));
    }
    Ok(None)
}

/// What is below casts that the types of a comparison have brought in.
fn strip_cast(expression: &Expr) -> &Expr {
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
