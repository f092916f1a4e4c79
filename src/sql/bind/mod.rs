//! From statements to logical plans: names resolved, types known, columns pruned.
//!
//! [`bind`] reads a whole SQL file. CREATE statements fill the catalog; INSERTs and SELECTs become
//! plans; SETs become settings. Called by `cli` and by tests. What always holds: a statement sees
//! what stands before it in the file, and nothing of what stands behind it.
//!
//! In reading order: `script` (the result), `settings` (SET), `names` with `operators` (what a
//! query may name), `query`, `create_table`, `column_names` (views and VALUES), `insert`,
//! `optimize`.

mod column_names;
mod create_table;
mod insert;
mod names;
mod operators;
mod optimize;
mod query;
mod script;
mod settings;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion_expr::{LogicalPlan, ScalarUDF};
use sqlparser::ast::{Ident, Query};

use super::error::{Source, SqlError};
use super::parse::{Parsed, parse_with};
use super::statement::{CreateTable, Placed, Statement, place_of};
use super::variables::Variables;
use super::{table_like, zones};
use crate::suggest::nearest;
use column_names::{apart, named_values, rename};
use create_table::Declaration;
use names::Names;
pub use script::{BoundQuery, Explained, Script, Target};
use settings::Settings;

/// Reads and binds a SQL file.
pub fn bind(text: &str) -> Result<Script, SqlError> {
    bind_using(text, &[], [])
}

/// The same with settings that count more than the file's own, and values for `${NAME}`.
pub(crate) fn bind_with(
    text: &str,
    overrides: &[(String, String)],
    variables: &Variables,
) -> Result<Script, SqlError> {
    bind_all(text, overrides, Some(variables), [])
}

/// The same with functions that queries may call besides those that are built in.
pub(crate) fn bind_using(
    text: &str,
    overrides: &[(String, String)],
    functions: impl IntoIterator<Item = ScalarUDF>,
) -> Result<Script, SqlError> {
    bind_all(text, overrides, None, functions)
}

fn bind_all(
    text: &str,
    overrides: &[(String, String)],
    variables: Option<&Variables>,
    functions: impl IntoIterator<Item = ScalarUDF>,
) -> Result<Script, SqlError> {
    // Editors on Windows put a mark at the start of a UTF-8 file.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut binder = Binder { names: Names::with(functions)?, ..Binder::default() };
    for (key, value) in overrides {
        binder.settings.override_with(key, value, &binder.names.catalog)?;
    }
    let Parsed { statements, hint_secrets } = parse_with(text, variables)?;
    binder.names.catalog.hint_secrets = hint_secrets;
    for placed in statements {
        binder.statement(&placed, &placed.source(text))?;
    }
    Ok(binder.finish())
}

/// What the statements so far have said.
#[derive(Default)]
struct Binder {
    names: Names,
    /// Declarations, for tables that are like others.
    declared: HashMap<String, CreateTable>,
    settings: Settings,
    queries: Vec<BoundQuery>,
    explained: Vec<Explained>,
}

impl Binder {
    fn statement(&mut self, placed: &Placed, source: &Source<'_>) -> Result<(), SqlError> {
        match &placed.statement {
            Statement::Set { key, value } => {
                self.settings.set(key, value, placed.start, &self.names.catalog)
            }
            Statement::CreateTable(table) => self.create_table(table, source),
            Statement::CreateView { name, columns, query, if_not_exists } => {
                if !if_not_exists {
                    self.must_be_new(name)?;
                }
                self.create_view(name, columns, query, source)
            }
            Statement::Insert { table, columns, query } => {
                let (target, plan) = self.insert(table, columns, query, placed, source)?;
                self.add(target, plan, placed, source)
            }
            Statement::Select(query) => {
                let plan = apart(named_values(self.names.query(query, source)?, query)?)?;
                self.add(Target::Print, plan, placed, source)
            }
        }
    }

    /// A table of the catalog. With IF NOT EXISTS the first one of a name stays.
    fn create_table(&mut self, table: &CreateTable, source: &Source<'_>) -> Result<(), SqlError> {
        if !table.if_not_exists {
            self.must_be_new(&table.name)?;
        }
        let declared = self.stands_alone(table)?;
        let zone = self.settings.zone.as_ref();
        let table = Declaration { names: &self.names, zone, create: &declared, source }.bind()?;
        self.declared.entry(table.name.clone()).or_insert(declared);
        self.names.catalog.tables.entry(table.name.clone()).or_insert_with(|| Arc::new(table));
        Ok(())
    }

    /// A view of the catalog, which is its query's plan.
    fn create_view(
        &mut self,
        name: &Ident,
        columns: &[Ident],
        query: &Query,
        source: &Source<'_>,
    ) -> Result<(), SqlError> {
        let plan = self.names.query(query, source)?;
        let plan = if columns.is_empty() { apart(plan)? } else { rename(plan, columns)? };
        self.names.catalog.views.entry(name.value.clone()).or_insert(plan);
        Ok(())
    }

    /// The table that an INSERT writes to, and the plan of the rows that it takes.
    fn insert(
        &self,
        table: &Ident,
        columns: &[Ident],
        query: &Query,
        placed: &Placed,
        source: &Source<'_>,
    ) -> Result<(Target, LogicalPlan), SqlError> {
        let plan = named_values(self.names.query(query, source)?, query)?;
        let catalog = &self.names.catalog;
        let target = catalog.table(&table.value).ok_or_else(|| insert::no_table(table, catalog))?;
        let enforcers = self.settings.enforcers().map_err(|e| e.at(Some(placed.start)))?;
        let plan =
            insert::fit(plan, &target, columns, enforcers).map_err(|e| e.at(place_of(table)))?;
        Ok((Target::Table(target), plan))
    }

    fn must_be_new(&self, name: &Ident) -> Result<(), SqlError> {
        if self.names.catalog.names().any(|n| n == name.value) {
            return Err(
                SqlError::new(format!("'{}' is declared twice", name.value)).at(place_of(name))
            );
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
                let error = SqlError::new(format!("table '{}' does not exist", like.source.value))
                    .at(place_of(&like.source));
                Err(match near {
                    Some(near) => error.help(format!("did you mean '{near}'?")),
                    None => error,
                })
            }
        }
    }

    /// Adds a query to those that are run, or to those that its EXPLAIN asks about.
    fn add(
        &mut self,
        target: Target,
        plan: LogicalPlan,
        placed: &Placed,
        source: &Source<'_>,
    ) -> Result<(), SqlError> {
        let in_zone = |plan| match &self.settings.zone {
            Some(zone) => zones::plan(plan, zone),
            None => Ok(plan),
        };
        let plan = optimize::optimize(plan)
            .and_then(in_zone)
            .map_err(|e| self.names.plan_error(&e, source))?;
        let query = BoundQuery { target, plan, start: placed.start, end: placed.end };
        match (placed.explain, self.explained.last_mut()) {
            (None, _) => self.queries.push(query),
            // The queries of an explained statement set come one after the other.
            (Some(place), Some(last)) if last.place == place => last.queries.push(query),
            (Some(place), _) => self.explained.push(Explained { place, queries: vec![query] }),
        }
        Ok(())
    }

    fn finish(self) -> Script {
        let Settings { values, places, zone } = self.settings;
        debug_assert!(
            places.keys().all(|key| values.contains_key(key)),
            "what has a place has a value"
        );
        Script {
            catalog: self.names.catalog,
            settings: values,
            setting_places: places,
            zone,
            queries: self.queries,
            explained: self.explained,
        }
    }
}
