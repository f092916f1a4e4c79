//! Which table does a name stand for? Catalogs and databases, which are names and nothing else.
//!
//! Owned by `parse`, which hands over each statement as it stands in the file. After that a table
//! is known by one identifier: its own name if it is of the default database, `database.name` or
//! `catalog.database.name` else. What always holds: two different tables have two identifiers; a
//! query calls its tables' columns as it did before.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use crate::sql::dialect::TABLE_ARGUMENT;
use crate::sql::error::SqlError;
use crate::sql::hints;
use crate::sql::statement::{Change, Show, Statement, place_of};

const DEFAULT_CATALOG: &str = "default_catalog";
const DEFAULT_DATABASE: &str = "default_database";
/// Between the parts of a name while it is one identifier. No name has it.
const SEPARATOR: char = '\u{1f}';

/// Two parts of a name as one identifier.
pub(super) fn joined(before: &str, part: &str) -> String {
    format!("{before}{SEPARATOR}{part}")
}

/// The last part of a name.
pub(super) fn last_part(name: &str) -> &str {
    name.rsplit(SEPARATOR).next().unwrap_or(name)
}

/// Where names are looked for, and what is declared.
pub(super) struct Session {
    catalog: String,
    database: String,
    /// Catalogs with their types.
    catalogs: BTreeMap<String, String>,
    /// Databases of the default catalog; other catalogs keep theirs outside.
    databases: BTreeSet<String>,
    declared: BTreeSet<String>,
    distributed: Vec<String>,
    notes: Vec<String>,
}

impl Default for Session {
    fn default() -> Session {
        Session {
            catalog: DEFAULT_CATALOG.into(),
            database: DEFAULT_DATABASE.into(),
            catalogs: [(DEFAULT_CATALOG.to_string(), String::new())].into(),
            databases: [DEFAULT_DATABASE.to_string()].into(),
            declared: BTreeSet::new(),
            distributed: Vec::new(),
            notes: Vec::new(),
        }
    }
}

impl Session {
    /// Completes the names of a statement, and takes note of what it declares.
    pub(super) fn resolve(&mut self, statement: &mut Statement) -> Result<(), SqlError> {
        match statement {
            Statement::CreateCatalog { name, options, .. } => {
                let kind = options.get("type").cloned().unwrap_or_default();
                self.catalogs.insert(name.value.clone(), kind);
            }
            Statement::CreateDatabase { name, .. } => {
                let parts: Vec<&str> = name.value.split(SEPARATOR).collect();
                let (catalog, database) = match parts[..] {
                    [database] => (self.catalog.as_str(), database),
                    [catalog, database] => (catalog, database),
                    _ => return Err(wrong_parts(name, "catalog.database")),
                };
                if catalog == DEFAULT_CATALOG {
                    self.databases.insert(database.to_string());
                }
            }
            Statement::UseCatalog(name) => {
                if !self.catalogs.contains_key(&name.value) {
                    self.expect_catalog(&name.value);
                }
                self.catalog = name.value.clone();
                self.database = "default".into();
                if self.catalog == DEFAULT_CATALOG {
                    self.database = DEFAULT_DATABASE.into();
                }
            }
            Statement::UseDatabase(name) => {
                let parts: Vec<String> = name.value.split(SEPARATOR).map(String::from).collect();
                let (catalog, database) = match &parts[..] {
                    [database] => (self.catalog.clone(), database.clone()),
                    [catalog, database] => (catalog.clone(), database.clone()),
                    _ => return Err(wrong_parts(name, "catalog.database")),
                };
                self.expect_database(&catalog, &database);
                (self.catalog, self.database) = (catalog, database);
            }
            Statement::CreateTable(table) => {
                let catalog = self.declare(&mut table.name)?;
                self.give_connector(&catalog, &mut table.options, table.like.is_some());
                if let Some(like) = &mut table.like {
                    self.complete(&mut like.source)?;
                }
                if table.is_distributed {
                    self.distributed.push(table.name.value.clone());
                }
            }
            Statement::CreateTableAs { table, query } => {
                self.queried(query)?;
                let catalog = self.declare(&mut table.name)?;
                self.give_connector(&catalog, &mut table.options, false);
            }
            Statement::CreateView { name, query, .. } => {
                self.queried(query)?;
                self.declare(name)?;
            }
            Statement::ChangeView { name, query } => {
                self.complete(name)?;
                self.queried(query)?;
            }
            Statement::RenameView { name, to } => {
                let before = name.value.clone();
                self.complete(name)?;
                self.beside(&before, to);
                self.declare(to)?;
            }
            Statement::AlterTable { name, change, .. } => {
                let before = name.value.clone();
                self.complete(name)?;
                if let Change::Rename(to) = change {
                    self.beside(&before, to);
                    self.declare(to)?;
                }
            }
            Statement::Drop { name, .. } => self.complete(name)?,
            Statement::Insert { table, query, .. } => {
                self.complete(table)?;
                self.queried(query)?;
            }
            Statement::Select(query) => self.queried(query)?,
            Statement::Show { what, .. } => self.shown(what)?,
            Statement::CreateFunction(_)
            | Statement::DropFunction { .. }
            | Statement::Set { .. }
            | Statement::Reset(_) => {}
        }
        Ok(())
    }

    /// Completes what a SHOW names, and answers what the session alone knows.
    fn shown(&self, what: &mut Show) -> Result<(), SqlError> {
        let names = |header, names: &mut dyn Iterator<Item = &String>| Show::Names {
            header,
            names: names.cloned().collect(),
        };
        let known = match what {
            Show::Catalogs => names("catalog name", &mut self.catalogs.keys()),
            Show::CurrentCatalog => {
                names("current catalog name", &mut std::iter::once(&self.catalog))
            }
            Show::CurrentDatabase => {
                names("current database name", &mut std::iter::once(&self.database))
            }
            Show::Databases(catalog) => {
                let catalog = catalog.as_ref().map_or(self.catalog.as_str(), |c| c.value.as_str());
                match catalog {
                    DEFAULT_CATALOG => names("database name", &mut self.databases.iter()),
                    // Others keep theirs outside.
                    _ => names("database name", &mut std::iter::empty()),
                }
            }
            Show::Tables(database) | Show::Views(database) => {
                // The identifier of any table there, without the table's own name.
                let mut of_database = match database.take() {
                    Some(name) => Ident { value: joined(&name.value, ""), ..name },
                    None => Ident::new(""),
                };
                self.complete(&mut of_database)?;
                *database = Some(of_database);
                return Ok(());
            }
            Show::CreateTable(name) | Show::CreateView(name) | Show::Columns(name) => {
                return self.complete(name);
            }
            _ => return Ok(()),
        };
        *what = known;
        Ok(())
    }

    /// What is to be said at the end of the file.
    pub(super) fn notes(mut self) -> Vec<String> {
        if !self.distributed.is_empty() {
            let tables = self.distributed.join(", ");
            self.notes.push(format!(
                "DISTRIBUTED of {tables} does nothing here: rows go to workers by the keys of the query"
            ));
        }
        self.notes
    }

    /// Completes the name of what is declared. Returns its catalog.
    fn declare(&mut self, name: &mut Ident) -> Result<String, SqlError> {
        let parts: Vec<String> = name.value.split(SEPARATOR).map(String::from).collect();
        let (catalog, database) = match &parts[..] {
            [catalog, database, _] => (catalog.clone(), database.clone()),
            [database, _] => (self.catalog.clone(), database.clone()),
            _ => (self.catalog.clone(), self.database.clone()),
        };
        self.expect_database(&catalog, &database);
        self.complete(name)?;
        self.declared.insert(name.value.clone());
        Ok(catalog)
    }

    /// Puts a new name into the database of the old one, unless it says another.
    fn beside(&self, before: &str, to: &mut Ident) {
        if !to.value.contains(SEPARATOR)
            && let Some((database, _)) = before.rsplit_once(SEPARATOR)
        {
            to.value = joined(database, &to.value);
        }
    }

    /// A table of a catalog of another system is kept there.
    fn give_connector(&self, catalog: &str, options: &mut BTreeMap<String, String>, is_like: bool) {
        let kind = self.catalogs.get(catalog).map_or("", String::as_str);
        let is_kept = !kind.is_empty() && kind != "generic_in_memory";
        if is_kept && !is_like && !options.contains_key("connector") {
            options.insert("connector".into(), kind.into());
        }
    }

    /// Makes a name the identifier of its table.
    fn complete(&self, name: &mut Ident) -> Result<(), SqlError> {
        let parts: Vec<&str> = name.value.split(SEPARATOR).collect();
        if parts.len() > 3 {
            return Err(wrong_parts(name, "catalog.database.table"));
        }
        name.value = self.key(&parts);
        Ok(())
    }

    fn key(&self, parts: &[&str]) -> String {
        let (catalog, database, table) = match *parts {
            [catalog, database, table] => (catalog, database, table),
            [database, table] => (self.catalog.as_str(), database, table),
            [table] => (self.catalog.as_str(), self.database.as_str(), table),
            _ => return parts.join("."),
        };
        match (catalog, database) {
            (DEFAULT_CATALOG, DEFAULT_DATABASE) => table.to_string(),
            (DEFAULT_CATALOG, _) => format!("{database}.{table}"),
            _ => format!("{catalog}.{database}.{table}"),
        }
    }

    /// The identifier of what a query reads. A name alone may be that of a WITH.
    fn of_query(&self, parts: &[&str]) -> Option<String> {
        let key = self.key(parts);
        let is_other = match parts {
            [name] => key != *name && self.declared.contains(hints::base_name(&key)),
            _ => true,
        };
        is_other.then_some(key)
    }

    fn queried(&self, query: &mut impl VisitMut) -> Result<(), SqlError> {
        query.visit(&mut Resolve { session: self }).break_value().map_or(Ok(()), Err)
    }

    /// Notes a catalog that the file does not declare: it may be one that a Flink cluster keeps.
    fn expect_catalog(&mut self, catalog: &str) {
        self.catalogs.insert(catalog.to_string(), String::new());
        self.notes.push(format!(
            "catalog '{catalog}' is not declared in the file: it is taken as a name"
        ));
    }

    fn expect_database(&mut self, catalog: &str, database: &str) {
        if !self.catalogs.contains_key(catalog) {
            self.expect_catalog(catalog);
        } else if catalog == DEFAULT_CATALOG && self.databases.insert(database.to_string()) {
            self.notes.push(format!(
                "database '{database}' is not declared in the file: it is taken as a name"
            ));
        }
    }
}

fn wrong_parts(name: &Ident, form: &str) -> SqlError {
    let shown = name.value.replace(SEPARATOR, ".");
    SqlError::new(format!("'{shown}' has too many parts: a name is {form}")).at(place_of(name))
}

/// Completes the names in a query.
struct Resolve<'a> {
    session: &'a Session,
}

impl Resolve<'_> {
    /// One identifier for several, with the place of the first.
    fn renamed(&self, parts: &[Ident]) -> Option<Ident> {
        let words: Vec<&str> = parts.iter().map(|p| p.value.as_str()).collect();
        let value = (parts.len() <= 3).then(|| self.session.of_query(&words)).flatten()?;
        let first = parts.first()?;
        Some(Ident { value, quote_style: Some('`'), span: first.span })
    }
}

impl VisitorMut for Resolve<'_> {
    type Break = SqlError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let parts: Vec<Ident> = name.0.iter().filter_map(|p| p.as_ident().cloned()).collect();
        if parts.len() != name.0.len() {
            return ControlFlow::Continue(());
        }
        if let (Some(renamed), Some(last)) = (self.renamed(&parts), parts.last()) {
            let called = hints::base_name(&last.value).to_string();
            if alias.is_none() && called != renamed.value {
                let name = Ident { value: called, quote_style: Some('`'), span: last.span };
                *alias = Some(TableAlias { explicit: true, name, columns: vec![], at: None });
            }
            *name = ObjectName(vec![ObjectNamePart::Identifier(renamed)]);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<SqlError> {
        match expression {
            Expr::Function(Function { name, args: FunctionArguments::List(list), .. })
                if name.to_string() == TABLE_ARGUMENT =>
            {
                if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::CompoundIdentifier(
                    parts,
                )))) = list.args.first_mut()
                    && let Some(renamed) = self.renamed(parts)
                {
                    *parts = vec![renamed];
                }
            }
            // `database.table.column`, where there is such a table.
            Expr::CompoundIdentifier(parts) if parts.len() > 2 => {
                for length in [3, 2] {
                    if parts.len() <= length {
                        continue;
                    }
                    let words: Vec<&str> =
                        parts[..length].iter().map(|p| p.value.as_str()).collect();
                    if self.session.declared.contains(&self.session.key(&words)) {
                        parts.drain(..length - 1);
                        break;
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
