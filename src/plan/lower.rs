//! From logical plans to chains of operators.
//!
//! [`lower`] walks each query's plan from the top; sources come first, so a chain grows from its
//! source to its sink. Window columns exist only after the aggregation: between the window function
//! and the aggregation they are *virtual*, known by their role and absent from the batches. What
//! always holds: operator numbers depend on the queries alone; with one worker there are no edges
//! but where inputs meet, with more each aggregation has one before it.
//!
//! In reading order: `sources` (what is read), `chains` and `fragment` (what is being built),
//! `nodes` (which node becomes what), `rows` (scans and projections), `windowed` (rows with their
//! windows), `aggregate` with `aggregate_input`, `top_n` and `rank`, `sort`, `over`, `pattern`, `join`, `union`,
//! `set_operation`, `sinks` (where rows go); `lookup` is the join with a table that is asked row by
//! row, `versioned` the one with what a table said at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion_common::tree_node::TreeNode;
use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::Expr;
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};

use super::fingerprint;
use super::physical::{
    ChainPlan, LookupPlan, OperatorPlan, PhysicalPlan, Route, SinkPlan, SourcePlan,
};
use crate::config::{Config, RuntimeMode};
use crate::ids::OperatorId;
use crate::ingest::WatermarkExpression;
use crate::operator::marks::Mark;
use crate::plan::connectors::KnownConnectors;
use crate::sql::bind::Script;
use crate::sql::catalog::{Column, ColumnKind, Table};
use crate::sql::compared::Compared;
use crate::sql::error::{Source, SqlError};
use crate::sql::functions::random;
use crate::sql::java_comparisons;
use crate::time::zone::Zone;
use crate::types::sql_name;
use aggregate_input::{AggregateInput, aggregate_call};
use chains::Chains;
use fragment::{Fired, Fragment, Late, Pending, Role, column_of};
use rank::NumberBound;
use sources::{collect_columns, source_plan};

/// Lowers all queries of a script into one job with these settings. `text` is the script, for
/// messages.
pub fn lower(
    script: &Script,
    text: &str,
    config: &Config,
    connectors: &dyn KnownConnectors,
) -> Result<PhysicalPlan, SqlError> {
    check_tables_of_settings(script, config)?;
    let mut lowering = Lowering::new(script, config, connectors);
    lowering.read_tables(script, text)?;
    lowering.compared = Compared::of(text);
    let tables = script.catalog.tables.values();
    lowering.compared.keys = tables.flat_map(|table| table.primary_key.iter().cloned()).collect();
    for query in &script.queries {
        let source = Source { text, start: query.start, end: query.end };
        lowering.query(query).map_err(|e| SqlError::from_plan(&e, &source))?;
    }
    if lowering.sinks.is_empty() {
        return Err(SqlError::new("nothing to do: the file has no INSERT and no SELECT")
            .help("add INSERT INTO <table> SELECT ..., or a SELECT to print"));
    }
    lowering.finish().map_err(|e| SqlError::of_engine(&e))
}

/// Refuses a setting of a table that the file does not declare. A file without tables may be part
/// of one that does.
fn check_tables_of_settings(script: &Script, config: &Config) -> Result<(), SqlError> {
    if script.catalog.names().next().is_none() {
        return Ok(());
    }
    let of_records = config.many_records.iter().map(|table| (table, "records"));
    let compressed = config.compressed_records.keys().map(|table| (table, "compression"));
    let aggregated = config.aggregated_records.keys().map(|table| (table, "aggregation"));
    let enveloped = config.envelopes.keys().map(|table| (table, "envelope"));
    let named = of_records.chain(compressed).chain(aggregated).chain(enveloped);
    let named = named.chain(config.ahead_max.keys().map(|table| (table, "max-ahead")));
    for (table, key) in named {
        if script.catalog.names().all(|name| name != *table) {
            return Err(script.setting_error(format!(
                "setting 'paceline.{table}.{key}': there is no table '{table}'"
            )));
        }
    }
    Ok(())
}

/// What makes a replay give other results than the run before.
fn not_repeatable(
    sources: &[SourcePlan],
    lookups: &[LookupPlan],
    chains: &[ChainPlan],
) -> Vec<String> {
    let has =
        |wanted: fn(&OperatorPlan) -> bool| chains.iter().flat_map(|c| &c.operators).any(wanted);
    let asks_clock = |plan: &OperatorPlan| {
        plan.goes_by_clock() || matches!(plan, OperatorPlan::Marks(Mark::Now, _))
    };
    let reads_clock = sources.iter().any(|s| s.ingest.reads_clock) || !lookups.is_empty();
    let mut warnings = Vec::new();
    if reads_clock || has(asks_clock) {
        warnings.push(
            "the query goes by the clock: its results are not repeatable, a replay gives others"
                .into(),
        );
    }
    let draws = |column: &Column| match &column.kind {
        ColumnKind::Computed(e) => e.exists(|e| Ok(random::draw_of(e).is_some())).unwrap_or(false),
        _ => false,
    };
    if has(|plan| matches!(plan, OperatorPlan::Marks(Mark::Random(_), _)))
        || sources.iter().any(|s| s.table.columns.iter().any(draws))
    {
        warnings.push(
            "the query draws random values: its results are not repeatable, a replay gives others"
                .into(),
        );
    }
    warnings
}

mod aggregate;
mod aggregate_input;
mod chains;
mod fragment;
mod interval;
mod join;
mod lookup;
mod nodes;
mod over;
mod over_by_value;
mod pattern;
mod rank;
mod rows;
mod set_operation;
mod sinks;
mod sort;
mod sources;
mod top_n;
mod union;
mod versioned;
mod windowed;

type PlanResult<T> = Result<T, DataFusionError>;

fn unsupported<T>(what: impl Into<String>) -> PlanResult<T> {
    Err(DataFusionError::NotImplemented(what.into()))
}

/// A mistake of the planning itself: no query can ask for it.
fn internal<T>(what: impl Into<String>) -> PlanResult<T> {
    Err(DataFusionError::Internal(what.into()))
}

/// Refuses columns that an operator cannot keep or send on; `what` names the rows.
fn check_columns(what: &str, schema: &Schema, takes: fn(&DataType) -> bool) -> PlanResult<()> {
    match schema.fields().iter().find(|f| !takes(f.data_type())) {
        Some(field) => unsupported(format!(
            "{what} with a column of type {}: '{}'",
            sql_name(field.data_type()),
            field.name()
        )),
        None => Ok(()),
    }
}

/// An expression as operators compute it, over columns of the batches.
fn physical(expression: &Expr, schema: &DFSchema) -> PlanResult<Arc<dyn PhysicalExpr>> {
    if let Some(name) = rows::asked_mark(expression)? {
        return unsupported(format!(
            "'{name}' in this place; SELECT it in a subquery of the table"
        ));
    }
    let expression = java_comparisons::expression(expression.clone(), schema)?;
    create_physical_expr(
        &expression,
        schema,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )
}

/// Lets windows send their rows as they lie where a Top-N follows, which has a total order of its
/// own.
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

/// How the rows of the next window function are used above it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct RowsUse {
    late: Late,
    /// By the aggregation of a SESSION, which finds the sessions itself.
    session_is_aggregated: bool,
}

/// What is known above a node of what becomes of its rows. It goes down with the walk; what a node
/// has done about it comes up in its [`Fragment`].
#[derive(Default)]
struct Above {
    /// The bound that a filter sets on the ROW_NUMBER below it.
    bound: Option<NumberBound>,
    /// How the rows of the next window function are used.
    rows_use: RowsUse,
}

impl Above {
    fn using(rows_use: RowsUse) -> Above {
        Above { bound: None, rows_use }
    }
}

/// A job that is being built.
struct Lowering<'a> {
    connectors: &'a dyn KnownConnectors,
    config: &'a Config,
    /// The session's time zone; None is UTC.
    zone: Option<Zone>,
    sources: Vec<SourcePlan>,
    lookups: Vec<LookupPlan>,
    sinks: Vec<SinkPlan>,
    chains: Chains,
    /// For the next operator that keeps state.
    next_operator: OperatorId,
    fingerprint: String,
    warnings: Vec<String>,
    compared: Compared,
}

impl<'a> Lowering<'a> {
    fn new(
        script: &Script,
        config: &'a Config,
        connectors: &'a dyn KnownConnectors,
    ) -> Lowering<'a> {
        Lowering {
            connectors,
            config,
            zone: script.zone.clone(),
            sources: Vec::new(),
            lookups: Vec::new(),
            sinks: Vec::new(),
            chains: Chains::default(),
            next_operator: OperatorId::FIRST,
            fingerprint: [
                (config.mode == RuntimeMode::Batch).then(|| "in batch mode\n".to_string()),
                script.zone.as_ref().map(|zone| format!("in {zone:?}\n")),
            ]
            .into_iter()
            .flatten()
            .collect(),
            warnings: Vec::new(),
            compared: Compared::default(),
        }
    }

    /// Makes a source of each table that is read, with the columns that any query uses.
    fn read_tables(&mut self, script: &Script, text: &str) -> Result<(), SqlError> {
        let mut used: BTreeMap<String, (Arc<Table>, BTreeSet<usize>)> = BTreeMap::new();
        for query in &script.queries {
            let source = Source { text, start: query.start, end: query.end };
            collect_columns(&query.plan, self.connectors, &mut used)
                .map_err(|e| SqlError::from_plan(&e, &source))?;
        }
        for (table, columns) in used.into_values() {
            let source = Source { text, start: table.place, end: None };
            self.fingerprint.push_str(&fingerprint::source(&table, &columns));
            let mut plan = source_plan(&table, columns)
                .map_err(|e| SqlError::from_plan(&e, &source).at(Some(table.place)))?;
            if let (RuntimeMode::Batch, Some(watermark)) =
                (self.config.mode, &mut plan.ingest.watermark)
            {
                watermark.expression = WatermarkExpression::AtEnd;
            }
            self.sources.push(plan);
        }
        Ok(())
    }

    /// The job, once all queries are lowered.
    fn finish(self) -> PlanResult<PhysicalPlan> {
        let Lowering {
            sources, lookups, sinks, chains, fingerprint, mut warnings, compared, ..
        } = self;
        let (mut chains, edges) = chains.finish()?;
        chains.iter_mut().for_each(|chain| spare_sorting(&mut chain.operators));
        warnings.extend(not_repeatable(&sources, &lookups, &chains));
        Ok(PhysicalPlan { sources, lookups, sinks, chains, edges, fingerprint, warnings, compared })
    }

    /// The number of the next operator that keeps state.
    fn next_operator(&mut self) -> OperatorId {
        let next = self.next_operator.next();
        std::mem::replace(&mut self.next_operator, next)
    }

    fn push(&mut self, fragment: &Fragment, operator: OperatorPlan) {
        self.chains.push(fragment.chain, operator);
    }

    /// The zone in which windows over a rowtime of this type lie.
    fn zone_of(&self, rowtime: &DataType) -> Option<Zone> {
        self.zone.clone().filter(|_| matches!(rowtime, DataType::Timestamp(_, Some(_))))
    }

    /// Ends the chain with an edge and begins the next one behind it, where there are other workers
    /// to send rows to.
    fn exchange(&mut self, fragment: &mut Fragment, columns: Vec<usize>) {
        if self.config.workers > 1 {
            fragment.chain = self.chains.join(vec![(fragment.chain, Route::Keys(columns))]);
        }
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
        let script = bind(&sql).expect("binds");
        let config = Config::resolve(&script.settings, workers).expect("settings");
        let plan = lower(&script, &sql, &config, &crate::connector::Connectors::built_in())
            .expect("plans");
        let operators = plan.chains.iter().flat_map(|c| &c.operators);
        operators
            .filter_map(|o| {
                if let OperatorPlan::WindowAggregate(spec) = o { Some(spec.in_order) } else { None }
            })
            .collect()
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
