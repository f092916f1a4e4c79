//! The statements that make, change and take away tables and views.
//!
//! Called by the binder. What always holds: a query that is bound keeps the tables as they were
//! when it was read; a table that is declared anew after a query has used it gets a name of its
//! own, so that the job has both.

use std::sync::Arc;

use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::LogicalPlan;
use sqlparser::ast::{Ident, Query};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Tokenizer;

use super::column_names::{apart, named_values, rename};
use super::create_table::Declaration;
use super::{Binder, Target};
use crate::sql::catalog::PlannedTable;
use crate::sql::dialect::FlinkDialect;
use crate::sql::error::{Source, SqlError};
use crate::sql::statement::{Change, ColumnDef, ColumnDefKind, CreateTable, Placed, place_of};
use crate::sql::types::nested;
use crate::sql::{alter, hints, table_like};
use crate::suggest::nearest;
use crate::types::{EXACT, sql_name};

impl Binder {
    /// A table of the catalog. With IF NOT EXISTS the first one of a name stays.
    pub(super) fn create_table(
        &mut self,
        table: &CreateTable,
        source: &Source<'_>,
    ) -> Result<(), SqlError> {
        if !table.if_not_exists {
            self.must_be_new(&table.name)?;
        } else if self.names.catalog.names().any(|n| n == table.name.value) {
            return Ok(());
        }
        let declared = self.stands_alone(table)?;
        self.declare(declared, source)
    }

    /// Puts a declaration that stands alone into the catalog.
    fn declare(&mut self, declared: CreateTable, source: &Source<'_>) -> Result<(), SqlError> {
        let key = declared.name.value.clone();
        let uses = self.used.iter().filter(|used| *used == &key).count();
        let mut bound = declared.clone();
        if uses > 0 {
            bound.name.value = format!("{key} ({})", uses + 1);
            self.used.push(key.clone());
        }
        let zone = self.settings.zone.as_ref();
        let table = Declaration { names: &self.names, zone, create: &bound, source }.bind()?;
        self.names.catalog.tables.insert(key.clone(), Arc::new(table));
        self.declared.insert(key, declared);
        Ok(())
    }

    /// A table with the columns of a query, and the INSERT of its rows.
    pub(super) fn create_table_as(
        &mut self,
        table: &CreateTable,
        query: &Query,
        placed: &Placed,
        source: &Source<'_>,
    ) -> Result<(), SqlError> {
        if self.names.catalog.names().any(|n| n == table.name.value) {
            if !table.if_not_exists {
                return self.must_be_new(&table.name);
            }
            // The table stays, and takes the rows.
            let (target, plan) = self.insert(&table.name, &[], &[], query, placed, source)?;
            return self.add(target, plan, placed, source);
        }
        let plan = apart(named_values(self.names.query(query, source)?, query)?)?;
        let mut declared = table.clone();
        let mut columns: Vec<ColumnDef> = Vec::new();
        for field in plan.schema().fields() {
            let given = declared.columns.iter().position(|c| c.name.value == *field.name());
            columns.push(match given {
                // What the statement says of a column counts more than the query's type.
                Some(at) => declared.columns.remove(at),
                None => {
                    let text = field.metadata().get(EXACT).cloned();
                    let text = text.unwrap_or_else(|| sql_name(field.data_type()));
                    let name = Ident {
                        quote_style: Some('`'),
                        ..Ident::with_span(table.name.span, field.name())
                    };
                    let sql_type = parsed_type(&text).ok_or_else(|| {
                        let message =
                            format!("column '{}' is {text}, which no table holds", field.name());
                        SqlError::new(message).at(place_of(&table.name))
                    })?;
                    ColumnDef { name, kind: ColumnDefKind::Physical { sql_type, not_null: false } }
                }
            });
        }
        // Columns of its own stand before those of the query.
        declared.columns.append(&mut columns);
        let names: Vec<Ident> = plan
            .schema()
            .fields()
            .iter()
            .map(|f| Ident {
                quote_style: Some('`'),
                ..Ident::with_span(table.name.span, f.name())
            })
            .collect();
        self.declare(declared, source)?;
        let (target, plan) = self.insert(&table.name, &[], &names, query, placed, source)?;
        self.add(target, plan, placed, source)
    }

    /// A view of the catalog, which is its query's plan.
    pub(super) fn create_view(
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

    pub(super) fn change_view(
        &mut self,
        name: &Ident,
        query: &Query,
        source: &Source<'_>,
    ) -> Result<(), SqlError> {
        self.must_be_view(name)?;
        let plan = apart(self.names.query(query, source)?)?;
        self.names.catalog.views.insert(name.value.clone(), plan);
        self.note_text(name, source);
        Ok(())
    }

    pub(super) fn rename_view(&mut self, name: &Ident, to: &Ident) -> Result<(), SqlError> {
        self.must_be_view(name)?;
        self.must_be_new(to)?;
        if let Some(plan) = self.names.catalog.views.remove(&name.value) {
            self.names.catalog.views.insert(to.value.clone(), plan);
        }
        if let Some(text) = self.view_texts.remove(&name.value) {
            self.view_texts.insert(to.value.clone(), text);
        }
        Ok(())
    }

    pub(super) fn alter_table(
        &mut self,
        name: &Ident,
        if_exists: bool,
        change: &Change,
        source: &Source<'_>,
    ) -> Result<(), SqlError> {
        let Some(before) = self.declared.get(&name.value) else {
            return if if_exists { Ok(()) } else { Err(self.no_such("table", name)) };
        };
        match change {
            Change::Nothing => Ok(()),
            Change::Rename(to) => {
                let renamed = CreateTable { name: to.clone(), ..before.clone() };
                self.must_be_new(to)?;
                self.declared.remove(&name.value);
                self.names.catalog.tables.remove(&name.value);
                self.declare(renamed, source)
            }
            _ => {
                let changed = alter::changed(before, change)?;
                self.declare(changed, source)
            }
        }
    }

    pub(super) fn drop(
        &mut self,
        what: &'static str,
        name: &Ident,
        if_exists: bool,
    ) -> Result<(), SqlError> {
        let catalog = &mut self.names.catalog;
        let was_there = match what {
            "view" => catalog.views.remove(&name.value).is_some(),
            _ => catalog.tables.remove(&name.value).is_some(),
        };
        if what == "table" {
            self.declared.remove(&name.value);
        }
        if was_there || if_exists { Ok(()) } else { Err(self.no_such(what, name)) }
    }

    fn no_such(&self, what: &str, name: &Ident) -> SqlError {
        let error =
            SqlError::new(format!("{what} '{}' does not exist", name.value)).at(place_of(name));
        match nearest(&name.value, self.names.catalog.names()) {
            Some(near) => error.help(format!("did you mean '{near}'?")),
            None => error,
        }
    }

    fn must_be_view(&self, name: &Ident) -> Result<(), SqlError> {
        match self.names.catalog.views.contains_key(&name.value) {
            true => Ok(()),
            false => Err(self.no_such("view", name)),
        }
    }

    pub(super) fn must_be_new(&self, name: &Ident) -> Result<(), SqlError> {
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

    /// Notes which tables a query uses as they are now.
    pub(super) fn note_use(&mut self, target: &Target, plan: &LogicalPlan) {
        let mut names: Vec<String> = Vec::new();
        if let Target::Table(table) = target {
            names.push(hints::base_name(&table.name).to_string());
        }
        // The walk cannot fail: its closure does not.
        let _ = plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Some(PlannedTable(table)) = scan.source.downcast_ref::<PlannedTable>()
            {
                names.push(hints::base_name(&table.name).to_string());
            }
            Ok(TreeNodeRecursion::Continue)
        });
        for name in names {
            if !self.used.contains(&name) {
                self.used.push(name);
            }
        }
    }
}

/// The type that a text names.
fn parsed_type(text: &str) -> Option<sqlparser::ast::DataType> {
    let tokens = Tokenizer::new(&FlinkDialect, text).tokenize_with_location().ok()?;
    let mut parser =
        Parser::new(&FlinkDialect).with_tokens_with_locations(nested::collapse(tokens));
    parser.parse_data_type().ok()
}
