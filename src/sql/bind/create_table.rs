//! How does a CREATE TABLE become a table of the catalog? Its columns get types, its expressions
//! become plans.
//!
//! Called by the binder with a declaration that stands alone: what LIKE takes over is in it
//! already. What always holds: a computed column sees the physical and metadata columns wherever
//! they stand, a watermark all columns.

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column as DFColumn, DFSchema, TableReference};
use datafusion_expr::{Expr, ExprSchemable};
use sqlparser::ast::{DataType as SqlType, Expr as SqlExpr, Ident};

use super::names::Names;
use crate::sql::catalog::{Column, ColumnKind, Table, Watermark};
use crate::sql::error::{Source, SqlError};
use crate::sql::functions::clock;
use crate::sql::statement::{ColumnDef, ColumnDefKind, CreateTable, place_of};
use crate::sql::types::arrow_field;
use crate::suggest::nearest;
use crate::time::zone::Zone;
use crate::types::{EXACT, sql_name};

/// One declaration that is being bound.
pub(super) struct Declaration<'a> {
    pub(super) names: &'a Names,
    pub(super) zone: Option<&'a Zone>,
    pub(super) create: &'a CreateTable,
    pub(super) source: &'a Source<'a>,
}

impl Declaration<'_> {
    /// The table that is declared.
    pub(super) fn bind(&self) -> Result<Table, SqlError> {
        debug_assert!(self.create.like.is_none(), "what LIKE takes over is in the declaration");
        let stored = self.stored()?;
        let mut columns: Vec<Column> = Vec::new();
        for ColumnDef { name, kind } in &self.create.columns {
            if columns.iter().any(|c| c.name == name.value) {
                return Err(SqlError::new(format!("column '{}' is declared twice", name.value))
                    .at(place_of(name)));
            }
            columns.push(self.column(name, kind, &stored)?);
        }
        for key in self.create.primary_key.iter().chain(&self.create.partitioned_by) {
            self.number_of(key, &columns)?;
        }
        let watermark = match &self.create.watermark {
            Some((rowtime, expression)) => Some(self.watermark(rowtime, expression, &columns)?),
            None => None,
        };
        let text = |idents: &[Ident]| idents.iter().map(|i| i.value.clone()).collect();
        Ok(Table {
            name: self.create.name.value.clone(),
            columns,
            watermark,
            primary_key: text(&self.create.primary_key),
            partitioned_by: text(&self.create.partitioned_by),
            options: self.create.options.clone(),
            place: place_of(&self.create.name).unwrap_or(self.source.start),
        })
    }

    /// The columns that come with the records, which computed columns see.
    fn stored(&self) -> Result<DFSchema, SqlError> {
        let mut stored = Vec::new();
        for ColumnDef { name, kind } in &self.create.columns {
            if let ColumnDefKind::Physical { sql_type, .. }
            | ColumnDefKind::Metadata { sql_type, .. } = kind
            {
                stored.push(typed(sql_type, name)?.with_name(&name.value));
            }
        }
        self.schema_of(stored)
    }

    /// Fields as columns of this table.
    fn schema_of(&self, fields: Vec<Field>) -> Result<DFSchema, SqlError> {
        let table = TableReference::bare(self.create.name.value.as_str());
        DFSchema::try_from_qualified_schema(table, &Schema::new(fields))
            .map_err(|e| SqlError::from_plan(&e, self.source))
    }

    /// One column with its type; a computed one gets that of its expression.
    fn column(
        &self,
        name: &Ident,
        kind: &ColumnDefKind,
        stored: &DFSchema,
    ) -> Result<Column, SqlError> {
        let is_key = self.create.primary_key.iter().any(|key| key.value == name.value);
        let not_null = is_key || matches!(kind, ColumnDefKind::Physical { not_null: true, .. });
        let (field, kind) = match kind {
            ColumnDefKind::Physical { sql_type, .. } => {
                (typed(sql_type, name)?, ColumnKind::Physical)
            }
            ColumnDefKind::Metadata { sql_type, key, is_virtual } => {
                let key = key.clone().unwrap_or_else(|| name.value.clone());
                (typed(sql_type, name)?, ColumnKind::Metadata { key, is_virtual: *is_virtual })
            }
            ColumnDefKind::Computed(expression) => {
                let expression =
                    self.names.expression(expression, stored, self.zone, self.source)?;
                of_one_row(&expression).map_err(|e| e.at(place_of(name)))?;
                let (_, field) = expression
                    .to_field(stored)
                    .map_err(|e| SqlError::from_plan(&e, self.source))?;
                (field.as_ref().clone(), ColumnKind::Computed(expression))
            }
        };
        let exact = field.metadata().get(EXACT).cloned();
        Ok(Column {
            name: name.value.clone(),
            data_type: field.data_type().clone(),
            exact,
            not_null,
            kind,
        })
    }

    /// The number of a column that the declaration names.
    fn number_of(&self, name: &Ident, columns: &[Column]) -> Result<usize, SqlError> {
        columns.iter().position(|c| c.name == name.value).ok_or_else(|| {
            let error = SqlError::new(format!(
                "table '{}' has no column '{}'",
                self.create.name.value, name.value
            ))
            .at(place_of(name));
            match nearest(&name.value, columns.iter().map(|c| c.name.as_str())) {
                Some(near) => error.help(format!("did you mean '{near}'?")),
                None => error,
            }
        })
    }

    /// WATERMARK FOR: the rowtime, and how far event time has come when a row has passed.
    fn watermark(
        &self,
        name: &Ident,
        expression: &SqlExpr,
        columns: &[Column],
    ) -> Result<Watermark, SqlError> {
        let rowtime = self.number_of(name, columns)?;
        check_rowtime(name, &columns[rowtime])?;
        let fields = columns
            .iter()
            .map(|c| Field::new(&c.name, c.data_type.clone(), true))
            .collect::<Vec<_>>();
        let all = self.schema_of(fields)?;
        // What stands in for a system under --local has its rows in order of time.
        if is_source_watermark(expression) {
            let expression = Expr::Column(DFColumn::from_name(&name.value));
            return Ok(Watermark { rowtime, expression, is_of_source: true });
        }
        let expression = self.names.expression(expression, &all, self.zone, self.source)?;
        of_one_row(&expression).map_err(|e| e.at(place_of(name)))?;
        let data_type =
            expression.get_type(&all).map_err(|e| SqlError::from_plan(&e, self.source))?;
        if !matches!(data_type, DataType::Timestamp(..)) {
            let message = format!(
                "the watermark of '{}' is {}, not a time",
                name.value,
                sql_name(&data_type)
            );
            let error = SqlError::new(message).at(place_of(name));
            return Err(error.help(format!(
                "write WATERMARK FOR {0} AS {0} - INTERVAL '5' SECOND",
                name.value
            )));
        }
        Ok(Watermark { rowtime, expression, is_of_source: false })
    }
}

/// True for `SOURCE_WATERMARK()`.
fn is_source_watermark(expression: &SqlExpr) -> bool {
    expression.to_string().eq_ignore_ascii_case("SOURCE_WATERMARK()")
}

/// Refuses a column that cannot be a rowtime.
fn check_rowtime(name: &Ident, column: &Column) -> Result<(), SqlError> {
    if matches!(&column.kind, ColumnKind::Computed(computed) if clock::is_proctime(computed)) {
        let message = format!("'{}' is a processing time: it has no watermark", name.value);
        return Err(SqlError::new(message).at(place_of(name)).help("leave out its WATERMARK FOR"));
    }
    if !matches!(column.data_type, DataType::Timestamp(..)) {
        let given = sql_name(&column.data_type);
        let message =
            format!("the rowtime '{}' is {given}, not TIMESTAMP or TIMESTAMP_LTZ", name.value);
        let error = SqlError::new(message).at(place_of(name));
        return Err(error.help(format!(
            "add a computed column, for example: ts AS TO_TIMESTAMP_LTZ({}, 3)",
            name.value
        )));
    }
    Ok(())
}

/// The field of a declared type.
fn typed(sql: &SqlType, name: &Ident) -> Result<Field, SqlError> {
    arrow_field(sql)
        .map_err(|e| SqlError::new(format!("column '{}': {e}", name.value)).at(place_of(name)))
}

/// Refuses what a computed column and a watermark cannot ask for.
pub(super) fn of_one_row(expression: &Expr) -> Result<(), SqlError> {
    let mut asks = None;
    // The walk cannot fail: its closure does not.
    let _ = expression.apply(|e| {
        match e {
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) => {
                asks = Some("aggregate functions")
            }
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => {
                asks = Some("subqueries")
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match asks {
        Some(what) => Err(SqlError::new(format!(
            "a column and a watermark are computed from one row, without {what}"
        ))),
        None => Ok(()),
    }
}
