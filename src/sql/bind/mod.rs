//! From statements to logical plans: names resolved, types known, columns pruned.
//!
//! [`bind`] reads a whole SQL file. CREATE statements fill the catalog; INSERTs and SELECTs become
//! plans; SETs become settings. Called by `cli` and by tests. What always holds: a statement sees
//! what stands before it in the file, and nothing of what stands behind it.
//!
//! In reading order: `script` (the result) with `stages` (what
//! waits for what), `settings` (SET), `names` with `operators` (what a
//! query may name), `query`, `create_table`, `declare` (CREATE, ALTER, DROP), `functions` (CREATE FUNCTION), `show` (SHOW, DESCRIBE), `column_names` (views and VALUES), `insert`,
//! `optimize`.

mod column_names;
mod create_table;
mod declare;
mod functions;
mod insert;
mod names;
mod operators;
mod optimize;
mod query;
mod script;
mod settings;
mod show;
mod stages;

use std::collections::HashMap;

use datafusion_common::DFSchema;
use datafusion_expr::{LogicalPlan, ScalarUDF};
use sqlparser::ast::{Expr as SqlExpr, Ident, Query};

use super::error::{Source, SqlError};
use super::parse::{Parsed, parse_with};
use super::statement::{CreateTable, Placed, Statement, place_of};
use super::variables::Variables;
use super::zones;
use column_names::{apart, named_values};
use names::Names;
pub(crate) use script::ONLY_DECLARES;
pub use script::{BoundQuery, Explained, Script, Target};
use settings::Settings;
pub use show::Answer;

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
    let Parsed { statements, notes, hint_secrets } = parse_with(text, variables)?;
    binder.notes = notes;
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
    /// Names of tables that queries use, once more for each that was declared anew since.
    used: Vec<String>,
    notes: Vec<String>,
    /// The texts of the queries of views, as the file has them.
    view_texts: HashMap<String, String>,
    answers: Vec<Answer>,
}

impl Binder {
    fn statement(&mut self, placed: &Placed, source: &Source<'_>) -> Result<(), SqlError> {
        match &placed.statement {
            Statement::Set { key, value } => {
                self.settings.set(key, value, placed.start, &self.names.catalog)
            }
            Statement::Reset(key) => self
                .settings
                .reset(key.as_deref(), &self.names.catalog)
                .map_err(|e| e.at(Some(placed.start))),
            Statement::CreateTable(table) => self.create_table(table, source),
            Statement::CreateTableAs { table, query } => {
                self.create_table_as(table, query, placed, source)
            }
            Statement::AlterTable { name, if_exists, change } => {
                self.alter_table(name, *if_exists, change, source)
            }
            Statement::ChangeView { name, query } => self.change_view(name, query, source),
            Statement::RenameView { name, to } => self.rename_view(name, to),
            Statement::Drop { what, name, if_exists } => self.drop(what, name, *if_exists),
            // Their names are in those of the tables already.
            Statement::CreateCatalog { .. }
            | Statement::CreateDatabase { .. }
            | Statement::UseCatalog(_)
            | Statement::UseDatabase(_) => Ok(()),
            Statement::CreateView { name, columns, query, if_not_exists } => {
                if !if_not_exists {
                    self.must_be_new(name)?;
                }
                if !self.names.catalog.views.contains_key(&name.value) {
                    self.note_text(name, source);
                }
                self.create_view(name, columns, query, source)
            }
            Statement::Insert { table, partition, columns, query } => {
                let (target, plan) =
                    self.insert(table, partition, columns, query, placed, source)?;
                self.add(target, plan, placed, source)
            }
            Statement::CreateFunction(function) => self.create_function(function, source),
            Statement::DropFunction { name, if_exists } => self.drop_function(name, *if_exists),
            Statement::Show { what, filter } => self.show(what, filter.as_ref(), placed),
            Statement::Select(query) => {
                let plan = apart(named_values(self.names.query(query, source)?, query)?)?;
                self.add(Target::Print, plan, placed, source)
            }
        }
    }

    /// The table that an INSERT writes to, and the plan of the rows that it takes.
    fn insert(
        &self,
        table: &Ident,
        partition: &[(Ident, SqlExpr)],
        columns: &[Ident],
        query: &Query,
        placed: &Placed,
        source: &Source<'_>,
    ) -> Result<(Target, LogicalPlan), SqlError> {
        let plan = named_values(self.names.query(query, source)?, query)?;
        let catalog = &self.names.catalog;
        let target = catalog.table(&table.value).ok_or_else(|| insert::no_table(table, catalog))?;
        let mut constants = Vec::new();
        for (column, value) in partition {
            let value = self.names.expression(value, &DFSchema::empty(), None, source)?;
            constants.push((column.clone(), value));
        }
        let (plan, columns) = insert::with_constants(plan, &target, columns, constants)?;
        let enforcers = self.settings.enforcers().map_err(|e| e.at(Some(placed.start)))?;
        let plan =
            insert::fit(plan, &target, &columns, enforcers).map_err(|e| e.at(place_of(table)))?;
        Ok((Target::Table(target), plan))
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
        self.note_use(&target, &plan);
        let query =
            BoundQuery { target, plan, start: placed.start, end: placed.end, set: placed.set };
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
            notes: self.notes,
            answers: self.answers,
            functions: self.names.of_file.len(),
        }
    }
}
