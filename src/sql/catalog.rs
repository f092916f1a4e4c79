//! Which tables are there? The tables and views that a SQL file declares.
//!
//! Filled by `bind` from CREATE statements; read by DataFusion's planner through `bind`, and by
//! `plan` and `connect` for columns and options. What always holds: a table's columns are in
//! declared order; names are case-sensitive.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_expr::{Expr, LogicalPlan, TableSource};

use super::error::TextPlace;
use super::functions::clock;
use super::hints;
use crate::sql::functions::clock::PROCTIME;
use crate::types::{EXACT, NULLABLE};

/// Field metadata that marks a rowtime: only such columns can be a window's DESCRIPTOR.
pub const ROWTIME: &str = "paceline.rowtime";

pub(crate) fn is_rowtime(field: &Field) -> bool {
    field.metadata().contains_key(ROWTIME)
}

pub(crate) fn is_proctime(field: &Field) -> bool {
    field.metadata().contains_key(PROCTIME)
}

#[derive(Clone)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    pub watermark: Option<Watermark>,
    pub primary_key: Vec<String>,
    pub partitioned_by: Vec<String>,
    /// What stands in WITH, also secrets.
    pub options: BTreeMap<String, String>,
    pub place: TextPlace,
}

/// By its name alone: options may hold secrets.
impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub data_type: DataType,
    /// Declared NOT NULL, or part of the primary key. Sinks refuse rows without a value; sources
    /// may give none.
    pub not_null: bool,
    /// The declared type where Arrow's does not say all of it: `TIMESTAMP(0)`, `CHAR(3)`.
    pub exact: Option<String>,
    pub kind: ColumnKind,
}

#[derive(Debug, Clone)]
pub enum ColumnKind {
    /// Part of the payload.
    Physical,
    /// Comes with the record. A sink ignores virtual ones.
    Metadata { key: String, is_virtual: bool },
    /// Computed from physical and metadata columns; typed and coerced.
    Computed(Expr),
}

#[derive(Debug, Clone)]
pub struct Watermark {
    /// Number of the rowtime column.
    pub rowtime: usize,
    /// Over all columns; typed and coerced.
    pub expression: Expr,
    /// It is the system's own, `SOURCE_WATERMARK()`; the expression is what stands for it.
    pub is_of_source: bool,
}

impl Table {
    /// All columns. The rowtime's field is marked.
    pub fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().enumerate().map(|(i, c)| {
            let mut metadata = HashMap::new();
            if self.watermark.as_ref().is_some_and(|w| w.rowtime == i) {
                metadata.insert(ROWTIME.to_string(), "true".to_string());
            }
            if matches!(&c.kind, ColumnKind::Computed(expression) if clock::is_proctime(expression))
            {
                metadata.insert(PROCTIME.to_string(), "true".to_string());
            }
            metadata.extend(c.exact.clone().map(|exact| (EXACT.to_string(), exact)));
            if matches!(c.kind, ColumnKind::Physical)
                && !c.not_null
                && !metadata.contains_key(ROWTIME)
            {
                metadata.insert(NULLABLE.to_string(), "true".to_string());
            }
            Field::new(&c.name, c.data_type.clone(), true).with_metadata(metadata)
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Numbers of the columns that an INSERT fills.
    pub fn sink_columns(&self) -> Vec<usize> {
        let writable = |c: &Column| match &c.kind {
            ColumnKind::Physical => true,
            ColumnKind::Metadata { is_virtual, .. } => !is_virtual,
            ColumnKind::Computed(_) => false,
        };
        self.columns.iter().enumerate().filter(|(_, c)| writable(c)).map(|(i, _)| i).collect()
    }

    /// The connector as WITH names it; no text if it names none, which no connector is called.
    pub fn connector(&self) -> &str {
        self.options.get("connector").map_or("", String::as_str)
    }

    /// The format of its records, if they say themselves whether a row is added or taken back.
    pub(crate) fn change_format(&self) -> Option<&str> {
        let format = self.options.get("format")?.as_str();
        ["debezium-json", "canal-json", "maxwell-json"].contains(&format).then_some(format)
    }

    /// The columns that identify a row of an upsert sink.
    pub(crate) fn upsert_key(&self) -> &[String] {
        if self.primary_key.is_empty() { &self.partitioned_by } else { &self.primary_key }
    }
}

/// A table as DataFusion's planner sees it.
#[derive(Debug)]
pub(crate) struct PlannedTable(pub Arc<Table>);

impl TableSource for PlannedTable {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }
}

/// A view: its plan stands in for it.
#[derive(Debug)]
pub(crate) struct PlannedView(pub LogicalPlan);

impl TableSource for PlannedView {
    fn schema(&self) -> SchemaRef {
        self.0.schema().inner().clone()
    }
    fn get_logical_plan(&'_ self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.0))
    }
}

/// Everything that a SQL file declares.
#[derive(Default, Clone)]
pub struct Catalog {
    /// Secrets in hints, which the names of tables do not show.
    pub hint_secrets: Vec<String>,
    pub tables: BTreeMap<String, Arc<Table>>,
    pub views: BTreeMap<String, LogicalPlan>,
}

impl Catalog {
    /// A table by its name; with the options of a hint in it.
    pub fn table(&self, name: &str) -> Option<Arc<Table>> {
        let Some(options) = hints::options(name, &self.hint_secrets) else {
            return self.tables.get(name).cloned();
        };
        let mut table = Table::clone(self.tables.get(hints::base_name(name))?);
        table.name = name.to_string();
        table.options.extend(options);
        Some(Arc::new(table))
    }

    pub fn source(&self, name: &str) -> Option<Arc<dyn TableSource>> {
        if let Some(name) = looked_up(name) {
            let table = self
                .table(name)
                .map(|table| Arc::new(PlannedLookup::new(table)) as Arc<dyn TableSource>);
            return table.or_else(|| self.view(name));
        }
        if let Some(table) = self.table(name) {
            return Some(Arc::new(PlannedTable(table)));
        }
        self.view(name)
    }

    fn view(&self, name: &str) -> Option<Arc<dyn TableSource>> {
        let plan = self.views.get(name)?;
        Some(Arc::new(PlannedView(plan.clone())))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().chain(self.views.keys()).map(String::as_str)
    }
}

/// Begins the name of a table that is looked up. No SQL name does.
pub(crate) const LOOKED_UP: &str = "(as of) ";

/// A table behind FOR SYSTEM_TIME AS OF, as DataFusion's planner sees it.
#[derive(Debug)]
pub(crate) struct PlannedLookup {
    /// As it is looked up: its rowtime is no time of the rows that it is looked up for.
    pub table: Arc<Table>,
    /// As it is read where its versions are joined.
    pub declared: Arc<Table>,
}

impl PlannedLookup {
    fn new(declared: Arc<Table>) -> PlannedLookup {
        let table = Arc::new(Table { watermark: None, ..Table::clone(&declared) });
        PlannedLookup { table, declared }
    }
}

impl TableSource for PlannedLookup {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }
}

/// The table behind a marked name.
pub(crate) fn looked_up(name: &str) -> Option<&str> {
    name.strip_prefix(LOOKED_UP)
}
