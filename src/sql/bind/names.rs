//! What do the names in a query stand for? The tables, views and functions that DataFusion's
//! planner asks for.
//!
//! [`Names`] is the planner's context: the catalog as it is at this point of the file, the
//! functions, and Flink's own forms. Used by `query`, `create_table` and the statements above them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DFSchema, Result as PlanResult, TableReference, plan_err};
use datafusion_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion_sql::planner::{NullOrdering, ParserOptions, SqlToRel};
use sqlparser::ast::{DataType as SqlType, Query, Statement as SqlStatement};

use super::operators::FlinkExprPlanner;
use crate::sql::catalog::{Catalog, looked_up};
use crate::sql::error::SqlError;
use crate::sql::functions::Functions;
use crate::sql::pattern::PatternPlanner;
use crate::sql::types::arrow_field;
use crate::sql::unnest::UnnestPlanner;
use crate::sql::window_tvf::WindowPlanner;
use crate::sql::{planned_cast, row_stars};
use crate::suggest::nearest;

/// A function that the file declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OfFile {
    Sql,
    /// Code that does not run here, by its class.
    Code(String),
}

/// What a query may name.
pub(super) struct Names {
    pub(super) catalog: Catalog,
    pub(super) functions: Functions,
    /// Functions that the file declares, by their names in lower case.
    pub(super) of_file: BTreeMap<String, OfFile>,
    config: ConfigOptions,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
}

impl Default for Names {
    fn default() -> Self {
        Names::of(Functions::default().with(planned_cast::all()))
    }
}

impl Names {
    /// With functions that a program brings. One that has the name of another is refused.
    pub(super) fn with(more: impl IntoIterator<Item = ScalarUDF>) -> Result<Names, SqlError> {
        let mut functions = Functions::default().with(planned_cast::all());
        for function in more {
            if functions.knows(function.name()) {
                return Err(SqlError::new(format!(
                    "there is a function '{}' already",
                    function.name().to_uppercase()
                )));
            }
            functions = functions.with([function]);
        }
        Ok(Names::of(functions))
    }

    fn of(functions: Functions) -> Names {
        Names {
            catalog: Catalog::default(),
            of_file: BTreeMap::new(),
            config: ConfigOptions::default(),
            expr_planners: vec![Arc::new(FlinkExprPlanner::new(&functions))],
            relation_planners: vec![
                Arc::new(UnnestPlanner),
                Arc::new(WindowPlanner),
                Arc::new(PatternPlanner),
            ],
            functions,
        }
    }
}

impl Names {
    /// DataFusion's planner over these names, with Flink's reading of numbers, letters and NULLs.
    pub(super) fn planner(&self) -> SqlToRel<'_, Names> {
        let options = ParserOptions::new()
            .with_parse_float_as_decimal(true)
            .with_enable_ident_normalization(false)
            .with_map_string_types_to_utf8view(false)
            .with_collect_spans(true)
            // NULL sorts lowest.
            .with_default_null_ordering(NullOrdering::NullsMin);
        SqlToRel::new_with_options(self, options)
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

impl row_stars::Known for Names {
    fn schema_of(&self, query: Query) -> PlanResult<DFSchema> {
        let plan = self.planner().sql_statement_to_plan(SqlStatement::Query(Box::new(query)))?;
        Ok(plan.schema().as_ref().clone())
    }
    fn has_column(&self, table: &str, column: &str) -> bool {
        self.catalog
            .source(table)
            .is_some_and(|source| source.schema().field_with_name(column).is_ok())
    }
}

impl ContextProvider for Names {
    fn get_table_source(&self, name: TableReference) -> PlanResult<Arc<dyn TableSource>> {
        if let Some(source) = self.catalog.source(name.table()) {
            return Ok(source);
        }
        let name = looked_up(name.table()).unwrap_or(name.table());
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
