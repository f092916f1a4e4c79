//! From statements to logical plans: names resolved, types known, columns pruned.
//!
//! [`bind`] reads a whole SQL file. CREATE statements fill the catalog; INSERTs and SELECTs become plans; SETs become
//! settings. Called by `cli` and by tests.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError, Result as PlanResult, TableReference, plan_err};
use datafusion_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion_expr::planner::{
    ContextProvider, ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawWindowExpr, RelationPlanner, TypePlanner,
};
use datafusion_expr::{
    AggregateUDF, Expr, ExprSchemable, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, Operator, ScalarUDF, TableSource,
    WindowFunctionDefinition, WindowUDF, lit,
};
use datafusion_optimizer::analyzer::resolve_grouping_function::ResolveGroupingFunction;
use datafusion_optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion_optimizer::analyzer::{Analyzer, AnalyzerRule};
use datafusion_optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_optimizer::{Optimizer, OptimizerContext, OptimizerRule};
use datafusion_sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel};
use sqlparser::ast::{BinaryOperator, DataType as SqlType, Expr as SqlExpr, Ident, Query, SetExpr, Statement as SqlStatement};

use super::catalog::{Catalog, Column, ColumnKind, Table, Watermark};
use super::enforce::{self, Enforcers};
use super::error::{Place, Source, SqlError};
use super::flink_types::{self, check_operands, implicit_cast};
use super::functions::{Functions, clock, interval_times, nested, not_null, ranks};
use super::parse::parse;
use super::types::arrow_field;
use super::unnest::{self, UnnestPlanner};
use super::window_tvf::{WindowPlanner, interval_ms};
use super::{
    group_windows, item_names, join_filters, lookup_join, null_keys, planned_cast, rank_keys, refused, row_stars, table_like,
    zones,
};
use crate::sql::catalog::looked_up;
use crate::sql::statement::{ColumnDef, ColumnDefKind, CreateTable, Placed, Statement, place_of};
use crate::suggest::nearest;
use crate::time::zone::Zone;
use crate::types::nested::is_multiset;
use crate::types::{EXACT, sql_name};

/// A SQL file, understood.
pub struct Script {
    pub catalog: Catalog,
    /// SET statements in order; the last one of a key counts.
    pub settings: BTreeMap<String, String>,
    /// Where each was set, if in the file.
    pub setting_places: BTreeMap<String, Place>,
    /// None is UTC.
    pub zone: Option<Zone>,
    pub queries: Vec<BoundQuery>,
    /// Queries of each EXPLAIN: their plan is shown, they are not run.
    pub explained: Vec<Explained>,
}

/// What one EXPLAIN asks about.
pub struct Explained {
    pub place: Place,
    pub queries: Vec<BoundQuery>,
}

impl Script {
    /// A message about settings, with the place of the first that it names in quotes.
    pub fn setting_error(&self, message: String) -> SqlError {
        let place = message.split('\'').skip(1).step_by(2).find_map(|key| self.setting_places.get(key).copied());
        SqlError::new(message).at(place)
    }

    /// For each EXPLAIN, a script of its queries alone.
    pub fn take_explained(&mut self) -> Vec<Script> {
        let alone = |explained: Explained| Script {
            catalog: Catalog::default(),
            settings: self.settings.clone(),
            setting_places: self.setting_places.clone(),
            zone: self.zone.clone(),
            queries: explained.queries,
            explained: vec![],
        };
        std::mem::take(&mut self.explained).into_iter().map(alone).collect()
    }
}

/// One INSERT or SELECT.
pub struct BoundQuery {
    pub target: Target,
    /// Columns are those of the target, in its order.
    pub plan: LogicalPlan,
    pub start: Place,
    pub end: Place,
}

pub enum Target {
    Table(Arc<Table>),
    /// A bare SELECT.
    Print,
}

/// Settings of Flink that make it emit other rows, with the only value that is supported.
const CHANGES_RESULTS: [(&str, &str); 1] = [("table.exec.legacy-cast-behaviour", "disabled")];

/// Reads and binds a SQL file.
pub fn bind(text: &str) -> Result<Script, SqlError> {
    bind_with(text, &[])
}

/// The same with settings that count more than the file's own.
pub fn bind_with(text: &str, overrides: &[(String, String)]) -> Result<Script, SqlError> {
    // Editors on Windows put a mark at the start of a UTF-8 file.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut binder = Binder::default();
    let mut script = Script {
        catalog: Catalog::default(),
        settings: BTreeMap::new(),
        setting_places: BTreeMap::new(),
        zone: None,
        queries: vec![],
        explained: vec![],
    };
    for (key, value) in overrides {
        binder.set(key, value)?;
        script.settings.insert(key.clone(), value.clone());
    }
    for placed in parse(text, &mut binder.catalog.hint_secrets)? {
        let source = placed.source(text);
        if matches!(&placed.statement, Statement::Set { key, .. } if overrides.iter().any(|(k, _)| k == key)) {
            continue;
        }
        binder.statement(&placed, &source, &mut script)?;
    }
    script.catalog = binder.catalog;
    script.zone = binder.zone;
    Ok(script)
}

struct Binder {
    catalog: Catalog,
    /// Declarations, for tables that are like others.
    declared: HashMap<String, CreateTable>,
    zone: Option<Zone>,
    functions: Functions,
    config: ConfigOptions,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
}

impl Default for Binder {
    fn default() -> Self {
        let functions = Functions::default().with(planned_cast::all());
        let time_plus = functions.scalar("time_plus");
        let interval_times = functions.scalar(interval_times::NAME);
        let edges = ranks::EDGES.iter().filter_map(|name| functions.aggregate(name)).collect();
        let field = functions.scalar(nested::FIELD);
        Binder {
            catalog: Catalog::default(),
            declared: HashMap::new(),
            zone: None,
            functions,
            config: ConfigOptions::default(),
            expr_planners: vec![Arc::new(FlinkExprPlanner { time_plus, edges, interval_times, field })],
            relation_planners: vec![Arc::new(UnnestPlanner), Arc::new(WindowPlanner)],
        }
    }
}

impl Binder {
    fn statement(&mut self, placed: &Placed, source: &Source<'_>, script: &mut Script) -> Result<(), SqlError> {
        match &placed.statement {
            Statement::Set { key, value } => {
                self.set(key, value).map_err(|e| e.at(Some(placed.start)))?;
                script.setting_places.insert(key.clone(), placed.start);
                script.settings.insert(key.clone(), value.clone());
            }
            Statement::CreateTable(table) => {
                self.must_be_new(&table.name, table.if_not_exists)?;
                let declared = self.stands_alone(table)?;
                let table = self.table(&declared, source)?;
                self.declared.entry(table.name.clone()).or_insert(declared);
                self.catalog.tables.entry(table.name.clone()).or_insert_with(|| Arc::new(table));
            }
            Statement::CreateView { name, columns, query, if_not_exists } => {
                self.must_be_new(name, *if_not_exists)?;
                let mut plan = self.query(query, source)?;
                plan = if columns.is_empty() { apart(plan)? } else { rename(plan, columns)? };
                self.catalog.views.entry(name.value.clone()).or_insert(plan);
            }
            Statement::Insert { table, columns, query } => {
                let plan = named_values(self.query(query, source)?, query)?;
                let Some(target) = self.catalog.table(&table.value) else {
                    if self.catalog.views.contains_key(&table.value) {
                        return Err(SqlError::new(format!("'{}' is a view: nothing can be written to it", table.value))
                            .at(place_of(table)));
                    }
                    let near = nearest(&table.value, self.catalog.tables.keys().map(String::as_str));
                    let error = SqlError::new(format!("table '{}' does not exist", table.value)).at(place_of(table));
                    return Err(match near {
                        Some(near) => error.help(format!("did you mean '{near}'?")),
                        None => error.help("declare it with CREATE TABLE before the INSERT"),
                    });
                };
                let enforcers =
                    Enforcers::of(&script.settings).map_err(|e| script.setting_error(e.message).at(Some(placed.start)))?;
                let plan = fit(plan, &target, columns, enforcers).map_err(|e| e.at(place_of(table)))?;
                self.push(Target::Table(target), plan, placed, source, script)?;
            }
            Statement::Select(query) => {
                let plan = apart(named_values(self.query(query, source)?, query)?)?;
                self.push(Target::Print, plan, placed, source, script)?;
            }
        }
        Ok(())
    }

    /// Settings that do not matter here are ignored with a warning; some would give other results.
    fn set(&mut self, key: &str, value: &str) -> Result<(), SqlError> {
        if key == "table.local-time-zone" {
            self.set_zone(value)?;
        }
        if CHANGES_RESULTS.iter().any(|(k, v)| *k == key && !value.eq_ignore_ascii_case(v)) {
            return Err(SqlError::new(format!("'{key}' = '{value}' is not supported yet")));
        }
        Ok(())
    }

    fn set_zone(&mut self, name: &str) -> Result<(), SqlError> {
        let zone = Zone::parse(name).map_err(SqlError::new)?;
        // Tables and windows hold what they were declared with.
        if zone != self.zone && self.catalog.names().next().is_some() {
            return Err(SqlError::new("'table.local-time-zone' is set after a table or view was declared").help("set it first"));
        }
        self.zone = zone;
        Ok(())
    }

    fn must_be_new(&self, name: &Ident, if_not_exists: bool) -> Result<(), SqlError> {
        if !if_not_exists && self.catalog.names().any(|n| n == name.value) {
            return Err(SqlError::new(format!("'{}' is declared twice", name.value)).at(place_of(name)));
        }
        Ok(())
    }

    fn push(
        &self,
        target: Target,
        plan: LogicalPlan,
        placed: &Placed,
        source: &Source<'_>,
        script: &mut Script,
    ) -> Result<(), SqlError> {
        let in_zone = |plan| match &self.zone {
            Some(zone) => zones::plan(plan, zone),
            None => Ok(plan),
        };
        let plan = optimize(plan).and_then(in_zone).map_err(|e| self.plan_error(&e, source))?;
        let query = BoundQuery { target, plan, start: placed.start, end: placed.end };
        match (placed.explain, script.explained.last_mut()) {
            (None, _) => script.queries.push(query),
            (Some(place), Some(last)) if last.place == place => last.queries.push(query),
            (Some(place), _) => script.explained.push(Explained { place, queries: vec![query] }),
        }
        Ok(())
    }

    /// A declaration with what LIKE takes over.
    fn stands_alone(&self, table: &CreateTable) -> Result<CreateTable, SqlError> {
        let Some(like) = &table.like else { return Ok(table.clone()) };
        match self.declared.get(&like.source.value) {
            Some(source) => table_like::merge(table, like, source),
            None => {
                let near = nearest(&like.source.value, self.declared.keys().map(String::as_str));
                let error = SqlError::new(format!("table '{}' does not exist", like.source.value)).at(place_of(&like.source));
                Err(match near {
                    Some(near) => error.help(format!("did you mean '{near}'?")),
                    None => error,
                })
            }
        }
    }

    fn planner(&self) -> SqlToRel<'_, Binder> {
        let options = ParserOptions::new()
            .with_parse_float_as_decimal(true)
            .with_enable_ident_normalization(false)
            .with_map_string_types_to_utf8view(false)
            .with_collect_spans(true)
            // NULL sorts lowest.
            .with_default_null_ordering(NullOrdering::NullsMin);
        SqlToRel::new_with_options(self, options)
    }

    fn query(&self, query: &Query, source: &Source<'_>) -> Result<LogicalPlan, SqlError> {
        let mut query = query.clone();
        refused::calls(&query, &|name| {
            self.functions.scalar(name).is_some()
                && self.functions.aggregate(name).is_none()
                && self.functions.window(name).is_none()
        })?;
        group_windows::rewrite(&mut query)?;
        unnest::rewrite(&mut query)?;
        lookup_join::rewrite(&mut query)?;
        row_stars::expand(&mut query, self);
        self.planner()
            .sql_statement_to_plan(SqlStatement::Query(Box::new(query)))
            .and_then(flink_types::apply)
            .and_then(lookup_join::resolve)
            .map_err(|e| self.plan_error(&e, source))
    }

    /// An error of the planner in our words.
    fn plan_error(&self, error: &DataFusionError, source: &Source<'_>) -> SqlError {
        let error = SqlError::from_plan(error, source);
        let Some(rest) = error.message.strip_prefix("Invalid function '") else { return error };
        let name = rest.split('\'').next().unwrap_or_default().to_string();
        let place = source.find(&name).or(error.place);
        if name.eq_ignore_ascii_case("SOURCE_WATERMARK") {
            return SqlError::new("SOURCE_WATERMARK() is not supported: no connector here has watermarks of its own")
                .at(place)
                .help("write WATERMARK FOR ts AS ts - INTERVAL '5' SECOND");
        }
        let upper = name.to_uppercase();
        if self.functions.window(&name).is_some() {
            let error = SqlError::new(format!("'{upper}' numbers rows or looks at others: it needs OVER")).at(place);
            return error.help(format!("write {upper}(...) OVER (PARTITION BY ... ORDER BY ...)"));
        }
        if let Some((window, _)) = group_windows::part_of(&upper) {
            return SqlError::new(format!("'{upper}' stands where rows are grouped by {window}(...)")).at(place);
        }
        let unknown = SqlError::new(format!("function '{upper}' is not known")).at(place);
        match nearest(&name, self.functions.names()) {
            Some(near) => unknown.help(format!("did you mean '{}'?", near.to_uppercase())),
            None => unknown,
        }
    }

    /// A typed and coerced expression over the given columns.
    fn expression(&self, expression: &SqlExpr, schema: &DFSchema, source: &Source<'_>) -> Result<Expr, SqlError> {
        self.typed_expression(expression.clone(), schema).map_err(|e| self.plan_error(&e, source))
    }

    fn typed_expression(&self, expression: SqlExpr, schema: &DFSchema) -> PlanResult<Expr> {
        let expression = self.planner().sql_to_expr(expression, schema, &mut PlannerContext::new())?;
        let expression = flink_types::expression(expression, schema)?;
        let context = datafusion_expr::simplify::SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build();
        let expression = ExprSimplifier::new(context).coerce(expression, schema)?;
        match &self.zone {
            Some(zone) => zones::expression(expression, schema, zone),
            None => Ok(expression),
        }
    }

    fn table(&self, create: &CreateTable, source: &Source<'_>) -> Result<Table, SqlError> {
        let mut columns: Vec<Column> = Vec::new();
        let typed = |sql: &SqlType, name: &Ident| {
            arrow_field(sql).map_err(|e| SqlError::new(format!("column '{}': {e}", name.value)).at(place_of(name)))
        };
        // Computed columns see the others, wherever they stand.
        let mut stored = Vec::new();
        for ColumnDef { name, kind } in &create.columns {
            if let ColumnDefKind::Physical { sql_type, .. } | ColumnDefKind::Metadata { sql_type, .. } = kind {
                stored.push(typed(sql_type, name)?.with_name(&name.value));
            }
        }
        let stored = df_schema(&create.name.value, Schema::new(stored), source)?;
        for ColumnDef { name, kind } in &create.columns {
            if columns.iter().any(|c| c.name == name.value) {
                return Err(SqlError::new(format!("column '{}' is declared twice", name.value)).at(place_of(name)));
            }
            let is_key = create.primary_key.iter().any(|key| key.value == name.value);
            let not_null = is_key || matches!(kind, ColumnDefKind::Physical { not_null: true, .. });
            let (field, kind) = match kind {
                ColumnDefKind::Physical { sql_type, .. } => (typed(sql_type, name)?, ColumnKind::Physical),
                ColumnDefKind::Metadata { sql_type, key, is_virtual } => {
                    let key = key.clone().unwrap_or_else(|| name.value.clone());
                    (typed(sql_type, name)?, ColumnKind::Metadata { key, is_virtual: *is_virtual })
                }
                ColumnDefKind::Computed(expression) => {
                    let expression = self.expression(expression, &stored, source)?;
                    of_one_row(&expression).map_err(|e| e.at(place_of(name)))?;
                    let (_, field) = expression.to_field(&stored).map_err(|e| SqlError::from_plan(&e, source))?;
                    (field.as_ref().clone(), ColumnKind::Computed(expression))
                }
            };
            let exact = field.metadata().get(EXACT).cloned();
            columns.push(Column { name: name.value.clone(), data_type: field.data_type().clone(), exact, not_null, kind });
        }
        let known = |name: &Ident| {
            columns.iter().position(|c| c.name == name.value).ok_or_else(|| {
                let error =
                    SqlError::new(format!("table '{}' has no column '{}'", create.name.value, name.value)).at(place_of(name));
                match nearest(&name.value, columns.iter().map(|c| c.name.as_str())) {
                    Some(near) => error.help(format!("did you mean '{near}'?")),
                    None => error,
                }
            })
        };
        for key in create.primary_key.iter().chain(&create.partitioned_by) {
            known(key)?;
        }
        let watermark = match &create.watermark {
            None => None,
            Some((name, expression)) => {
                let rowtime = known(name)?;
                if matches!(&columns[rowtime].kind, ColumnKind::Computed(computed) if clock::is_proctime(computed)) {
                    let message = format!("'{}' is a processing time: it has no watermark", name.value);
                    return Err(SqlError::new(message).at(place_of(name)).help("leave out its WATERMARK FOR"));
                }
                if !matches!(columns[rowtime].data_type, DataType::Timestamp(..)) {
                    let message = format!(
                        "the rowtime '{}' is {}, not TIMESTAMP or TIMESTAMP_LTZ",
                        name.value,
                        sql_name(&columns[rowtime].data_type)
                    );
                    let error = SqlError::new(message).at(place_of(name));
                    return Err(
                        error.help(format!("add a computed column, for example: ts AS TO_TIMESTAMP_LTZ({}, 3)", name.value))
                    );
                }
                let fields = columns.iter().map(|c| Field::new(&c.name, c.data_type.clone(), true)).collect::<Vec<_>>();
                let all = df_schema(&create.name.value, Schema::new(fields), source)?;
                let expression = self.expression(expression, &all, source)?;
                of_one_row(&expression).map_err(|e| e.at(place_of(name)))?;
                let data_type = expression.get_type(&all).map_err(|e| SqlError::from_plan(&e, source))?;
                if !matches!(data_type, DataType::Timestamp(..)) {
                    let message = format!("the watermark of '{}' is {}, not a time", name.value, sql_name(&data_type));
                    let error = SqlError::new(message).at(place_of(name));
                    return Err(error.help(format!("write WATERMARK FOR {0} AS {0} - INTERVAL '5' SECOND", name.value)));
                }
                Some(Watermark { rowtime, expression })
            }
        };
        let text = |idents: &[Ident]| idents.iter().map(|i| i.value.clone()).collect();
        Ok(Table {
            name: create.name.value.clone(),
            columns,
            watermark,
            primary_key: text(&create.primary_key),
            partitioned_by: text(&create.partitioned_by),
            options: create.options.clone(),
            place: place_of(&create.name).unwrap_or(source.start),
        })
    }
}

/// Refuses what a computed column and a watermark cannot ask for.
fn of_one_row(expression: &Expr) -> Result<(), SqlError> {
    let mut asks = None;
    // The walk cannot fail: its closure does not.
    let _ = expression.apply(|e| {
        match e {
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) => asks = Some("aggregate functions"),
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => asks = Some("subqueries"),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match asks {
        Some(what) => Err(SqlError::new(format!("a column and a watermark are computed from one row, without {what}"))),
        None => Ok(()),
    }
}

fn df_schema(table: &str, schema: Schema, source: &Source<'_>) -> Result<DFSchema, SqlError> {
    DFSchema::try_from_qualified_schema(TableReference::bare(table), &schema).map_err(|e| SqlError::from_plan(&e, source))
}

fn rename(plan: LogicalPlan, names: &[Ident]) -> Result<LogicalPlan, SqlError> {
    let columns = plan.schema().columns();
    if columns.len() != names.len() {
        return Err(SqlError::new(format!("the view names {} columns, its query has {}", names.len(), columns.len()))
            .at(names.first().and_then(place_of)));
    }
    let exprs = columns.into_iter().zip(names).map(|(c, n)| Expr::Column(c).alias(&n.value));
    LogicalPlanBuilder::from(plan)
        .project(exprs.collect::<Vec<_>>())
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| SqlError::of_engine(&e))
}

/// Rows that stand in the query have columns without names.
fn named_values(plan: LogicalPlan, query: &Query) -> Result<LogicalPlan, SqlError> {
    if !matches!(*query.body, SetExpr::Values(_)) {
        return Ok(plan);
    }
    let names: Vec<Ident> = (0..plan.schema().fields().len()).map(|i| Ident::new(format!("EXPR${i}"))).collect();
    rename(plan, &names)
}

/// The plan with a name of its own for each column, as Flink numbers those that tables share.
fn apart(plan: LogicalPlan) -> Result<LogicalPlan, SqlError> {
    match item_names::each_once(plan.schema().fields().iter().map(|f| f.name().as_str())) {
        Some(names) => rename(plan, &names.into_iter().map(Ident::new).collect::<Vec<_>>()),
        None => Ok(plan),
    }
}

/// Casts a query's columns to the sink's, by position; columns that an INSERT does not name are NULL.
fn fit(plan: LogicalPlan, target: &Table, named: &[Ident], enforcers: Enforcers) -> Result<LogicalPlan, SqlError> {
    let sink: Vec<usize> = target.sink_columns();
    let mut order = Vec::new();
    for name in named {
        let at = sink.iter().position(|&c| target.columns[c].name == name.value);
        order.push(at.ok_or_else(|| {
            SqlError::new(format!("table '{}' has no column '{}' to insert into", target.name, name.value)).at(place_of(name))
        })?);
    }
    if named.is_empty() {
        order = (0..sink.len()).collect();
    }
    let given = plan.schema().columns();
    if given.len() != order.len() {
        let wanted: Vec<String> = order.iter().map(|&i| target.columns[sink[i]].name.clone()).collect();
        let message = format!(
            "the query has {} columns, table '{}' takes {}: {}",
            given.len(),
            target.name,
            wanted.len(),
            wanted.join(", ")
        );
        return Err(SqlError::new(message));
    }
    let mut exprs = Vec::new();
    let mut present = None;
    for (position, &number) in sink.iter().enumerate() {
        let column = &target.columns[number];
        let Some(from) = order.iter().position(|&o| o == position) else {
            if column.not_null {
                let message =
                    format!("the INSERT does not name column '{}' of table '{}', which is NOT NULL", column.name, target.name);
                return Err(SqlError::new(message));
            }
            exprs.push(
                implicit_cast(lit(datafusion_common::ScalarValue::Null), &column.data_type, plan.schema())
                    .map_err(|e| SqlError::of_engine(&e))?
                    .alias(&column.name),
            );
            continue;
        };
        let field = plan.schema().field(from);
        if !assignable(field.data_type(), &column.data_type) {
            let message = format!(
                "column {} of the query ('{}') is {}, column '{}' of table '{}' is {}",
                from + 1,
                field.name(),
                sql_name(field.data_type()),
                column.name,
                target.name,
                sql_name(&column.data_type)
            );
            return Err(SqlError::new(message).help(format!("write CAST({} AS {})", field.name(), sql_name(&column.data_type))));
        }
        let expr = Expr::Column(given[from].clone());
        let expr = implicit_cast(expr, &column.data_type, plan.schema()).map_err(|e| SqlError::of_engine(&e))?;
        let expr = enforce::length(expr, column, plan.schema(), enforcers).map_err(|e| SqlError::of_engine(&e))?;
        let expr = match column.not_null {
            true if enforcers.drop_null => {
                let is_present = Expr::Column(given[from].clone()).is_not_null();
                present = Some(present.map_or(is_present.clone(), |p: Expr| p.and(is_present)));
                expr
            }
            true => not_null::call(expr, &column.name),
            false => expr,
        };
        exprs.push(null_keys::written(expr, &column.data_type, target).alias(&column.name));
    }
    let builder = LogicalPlanBuilder::from(plan);
    match present {
        Some(present) => builder.filter(present),
        None => Ok(builder),
    }
    .and_then(|rows| rows.project(exprs))
    .and_then(LogicalPlanBuilder::build)
    .map_err(|e| SqlError::of_engine(&e))
}

/// True if Flink casts without being asked: between numbers unless digits before the point may be lost, between timestamps,
/// a TIMESTAMP to DATE, and NULL to anything.
fn assignable(from: &DataType, to: &DataType) -> bool {
    let inside = |a: &DataType, b: &DataType| assignable(a, b);
    match (from, to) {
        (DataType::List(a), DataType::List(b)) => return inside(a.data_type(), b.data_type()),
        (DataType::Map(a, _), DataType::Map(b, _)) => {
            return is_multiset(from) == is_multiset(to) && inside(a.data_type(), b.data_type());
        }
        (DataType::Struct(a), DataType::Struct(b)) => {
            return a.len() == b.len() && a.iter().zip(b).all(|(a, b)| inside(a.data_type(), b.data_type()));
        }
        _ => {}
    }
    let fits = match to {
        DataType::Decimal128(..) | DataType::Float64 => from.is_numeric(),
        DataType::Float32 => from.is_numeric() && *from != DataType::Float64,
        to if to.is_integer() => from.is_integer() && from.primitive_width() <= to.primitive_width(),
        DataType::Timestamp(..) => matches!(from, DataType::Timestamp(..)),
        DataType::Date32 => matches!(from, DataType::Timestamp(_, None)),
        _ => false,
    };
    from == to || from.is_null() || fits
}

fn optimize(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    let rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> =
        vec![Arc::new(ResolveGroupingFunction::new()), Arc::new(TypeCoercion::new())];
    let plan = Analyzer::with_rules(rules).execute_and_check(plan, &ConfigOptions::default(), |_, _| {})?;
    let by = |rule: Arc<dyn OptimizerRule + Send + Sync>, plan| {
        Optimizer::with_rules(vec![rule]).optimize(plan, &OptimizerContext::new(), |_, _| {})
    };
    // IN and EXISTS become joins.
    let plan = by(Arc::new(DecorrelatePredicateSubquery::new()), plan)?;
    let plan = rank_keys::as_columns(join_filters::gather(plan)?)?;
    // Column pruning alone. The other rules assume batch operators: one turns COUNT(DISTINCT x) into two aggregations.
    by(Arc::new(OptimizeProjections::new()), plan)
}

/// Flink's forms that DataFusion's planner leaves to extensions.
#[derive(Debug)]
struct FlinkExprPlanner {
    time_plus: Option<Arc<ScalarUDF>>,
    /// FIRST_VALUE and LAST_VALUE.
    edges: Vec<Arc<AggregateUDF>>,
    interval_times: Option<Arc<ScalarUDF>>,
    field: Option<Arc<ScalarUDF>>,
}

impl ExprPlanner for FlinkExprPlanner {
    /// Refuses operands that Flink's operators do not take, before DataFusion finds a meaning for them.
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> PlanResult<PlannerResult<RawBinaryExpr>> {
        let op = match raw.op {
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            BinaryOperator::Multiply => Operator::Multiply,
            BinaryOperator::Divide => Operator::Divide,
            BinaryOperator::Modulo => Operator::Modulo,
            BinaryOperator::StringConcat => Operator::StringConcat,
            BinaryOperator::Eq => Operator::Eq,
            BinaryOperator::NotEq => Operator::NotEq,
            BinaryOperator::Lt => Operator::Lt,
            BinaryOperator::LtEq => Operator::LtEq,
            BinaryOperator::Gt => Operator::Gt,
            BinaryOperator::GtEq => Operator::GtEq,
            _ => return Ok(PlannerResult::Original(raw)),
        };
        check_operands(op, &raw.op.to_string(), &raw.left, &raw.right, schema)?;
        // The sum of a TIME and an interval goes round the clock.
        if let (Operator::Plus | Operator::Minus, DataType::Time32(_)) = (op, raw.left.get_type(schema)?)
            && let Ok(ms) = interval_ms(&raw.right)
            && let Some(plus) = self.time_plus.clone()
        {
            let ms = if op == Operator::Minus { -ms } else { ms };
            return Ok(PlannerResult::Planned(plus.call(vec![raw.left, lit(ms)])));
        }
        if op == Operator::Multiply
            && let Some(times) = self.interval_times.clone()
        {
            let is_interval = |e: &Expr| Ok::<_, DataFusionError>(matches!(e.get_type(schema)?, DataType::Interval(_)));
            if is_interval(&raw.right)? {
                return Ok(PlannerResult::Planned(times.call(vec![raw.left, raw.right])));
            }
            if is_interval(&raw.left)? {
                return Ok(PlannerResult::Planned(times.call(vec![raw.right, raw.left])));
            }
        }
        Ok(PlannerResult::Original(raw))
    }

    /// COUNT(*) counts rows here too; FIRST_VALUE and LAST_VALUE are aggregates.
    fn plan_window(&self, mut raw: RawWindowExpr) -> PlanResult<PlannerResult<RawWindowExpr>> {
        let edge = match &raw.func_def {
            WindowFunctionDefinition::WindowUDF(udf) => self.edges.iter().find(|e| e.name() == udf.name()),
            WindowFunctionDefinition::AggregateUDF(_) => None,
        };
        if let Some(edge) = edge {
            raw.func_def = WindowFunctionDefinition::AggregateUDF(edge.clone());
        }
        #[expect(deprecated, reason = "the wildcard is how COUNT(*) arrives here")]
        let counts_rows = raw.func_def.name() == "count" && matches!(raw.args.as_slice(), [] | [Expr::Wildcard { .. }]);
        if counts_rows {
            raw.args = vec![lit(1i64)];
        }
        Ok(PlannerResult::Original(raw))
    }

    /// `r.f`: a field of a ROW. A name that it does not have is found when the types are.
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested: &[String],
    ) -> PlanResult<PlannerResult<Vec<Expr>>> {
        let Some(call) = &self.field else { return Ok(PlannerResult::Original(vec![])) };
        let row = Expr::Column(datafusion_common::Column::new(qualifier.cloned(), field.name()));
        Ok(PlannerResult::Planned(nested.iter().fold(row, |row, name| call.call(vec![row, lit(name.as_str())]))))
    }

    /// COUNT(*) counts rows: as COUNT of a constant.
    fn plan_aggregate(&self, raw: RawAggregateExpr) -> PlanResult<PlannerResult<RawAggregateExpr>> {
        #[expect(deprecated, reason = "the wildcard is how COUNT(*) arrives here")]
        let counts_rows = raw.func.name() == "count" && matches!(raw.args.as_slice(), [] | [Expr::Wildcard { .. }]);
        if !counts_rows {
            return Ok(PlannerResult::Original(raw));
        }
        let params = AggregateFunctionParams {
            args: vec![lit(1i64)],
            distinct: raw.distinct,
            filter: raw.filter,
            order_by: raw.order_by,
            null_treatment: raw.null_treatment,
        };
        Ok(PlannerResult::Planned(Expr::AggregateFunction(AggregateFunction { func: raw.func, params })))
    }
}

/// SQL types in CAST.
#[derive(Debug)]
struct FlinkTypes;

impl TypePlanner for FlinkTypes {
    fn plan_type_field(&self, sql: &SqlType) -> PlanResult<Option<FieldRef>> {
        match arrow_field(sql) {
            Ok(field) => Ok(Some(Arc::new(field))),
            // DataFusion's own reading is for types we have none for, INTERVAL for one.
            Err(_) if matches!(sql, SqlType::Interval { .. }) => Ok(None),
            Err(reason) => plan_err!("{reason}"),
        }
    }
}

impl row_stars::Known for Binder {
    fn schema_of(&self, query: Query) -> PlanResult<DFSchema> {
        let plan = self.planner().sql_statement_to_plan(SqlStatement::Query(Box::new(query)))?;
        Ok(plan.schema().as_ref().clone())
    }
    fn has_column(&self, table: &str, column: &str) -> bool {
        self.catalog.source(table).is_some_and(|source| source.schema().field_with_name(column).is_ok())
    }
}

impl ContextProvider for Binder {
    fn get_table_source(&self, name: TableReference) -> PlanResult<Arc<dyn TableSource>> {
        if let Some(source) = self.catalog.source(name.table()) {
            return Ok(source);
        }
        let name = looked_up(name.table()).unwrap_or(name.table());
        if self.catalog.views.contains_key(name) {
            return plan_err!("view '{name}' cannot be looked up: FOR SYSTEM_TIME AS OF stands behind a table");
        }
        match nearest(name, self.catalog.names()) {
            Some(near) => plan_err!("table '{name}' does not exist\nDid you mean '{near}'?"),
            None => plan_err!("table '{name}' does not exist"),
        }
    }
    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expr_planners
    }
    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }
    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(FlinkTypes))
    }
    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.scalar(name)
    }
    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }
    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregate(name)
    }
    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions.window(name)
    }
    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }
    fn options(&self) -> &ConfigOptions {
        &self.config
    }
    fn udf_names(&self) -> Vec<String> {
        self.functions.scalar_names()
    }
    fn higher_order_function_names(&self) -> Vec<String> {
        vec![]
    }
    fn udaf_names(&self) -> Vec<String> {
        self.functions.aggregate_names()
    }
    fn udwf_names(&self) -> Vec<String> {
        self.functions.window_names()
    }
}
