//! How do the columns of a query become those of the table that an INSERT writes to?
//!
//! By position, with the casts that Flink makes without being asked, and with what keeps NULL and
//! long text out of columns that do not take them. What always holds: the plan has just the columns
//! that the table takes, in its order.

use arrow::datatypes::DataType;
use datafusion_common::{Column as PlanColumn, DFSchema, ScalarValue};
use datafusion_expr::utils::conjunction;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use sqlparser::ast::Ident;

use crate::sql::catalog::{Catalog, Column, Table};
use crate::sql::enforce::{self, Enforcers};
use crate::sql::error::SqlError;
use crate::sql::flink_types::implicit_cast;
use crate::sql::functions::not_null;
use crate::sql::null_keys;
use crate::sql::statement::place_of;
use crate::suggest::nearest;
use crate::types::nested::is_multiset;
use crate::types::sql_name;

/// The error of an INSERT into a table that is not declared.
pub(super) fn no_table(name: &Ident, catalog: &Catalog) -> SqlError {
    if catalog.views.contains_key(&name.value) {
        return SqlError::new(format!("'{}' is a view: nothing can be written to it", name.value))
            .at(place_of(name));
    }
    let near = nearest(&name.value, catalog.tables.keys().map(String::as_str));
    let error = SqlError::new(format!("table '{}' does not exist", name.value)).at(place_of(name));
    match near {
        Some(near) => error.help(format!("did you mean '{near}'?")),
        None => error.help("declare it with CREATE TABLE before the INSERT"),
    }
}

/// Adds the columns of PARTITION (k = v) behind those of the query. Returns the names of all.
pub(super) fn with_constants(
    plan: LogicalPlan,
    target: &Table,
    named: &[Ident],
    constants: Vec<(Ident, Expr)>,
) -> Result<(LogicalPlan, Vec<Ident>), SqlError> {
    if constants.is_empty() {
        return Ok((plan, named.to_vec()));
    }
    let sink = target.sink_columns();
    let is_constant = |column: &str| constants.iter().any(|(name, _)| name.value == column);
    let mut names: Vec<Ident> = match named {
        [] => sink
            .iter()
            .map(|&c| &target.columns[c].name)
            .filter(|name| !is_constant(name))
            .map(Ident::new)
            .collect(),
        named => named.to_vec(),
    };
    let mut exprs: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    for (name, value) in constants {
        let column = target.columns.iter().find(|c| c.name == name.value).ok_or_else(|| {
            let message = format!("table '{}' has no column '{}'", target.name, name.value);
            SqlError::new(message).at(place_of(&name))
        })?;
        if !target.partitioned_by.contains(&column.name) {
            let message = format!("'{}' is no partition column of '{}'", name.value, target.name);
            return Err(SqlError::new(message)
                .at(place_of(&name))
                .help(format!("declare it with PARTITIONED BY ({})", name.value)));
        }
        // A constant is written as text or as a number, whatever the column's type is.
        let value = datafusion_expr::cast(value, column.data_type.clone());
        exprs.push(value.alias(format!("partition {}", name.value)));
        names.push(name);
    }
    let plan = LogicalPlanBuilder::from(plan)
        .project(exprs)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|e| SqlError::of_engine(&e))?;
    Ok((plan, names))
}

/// Casts a query's columns to the sink's, by position; columns that an INSERT does not name are
/// NULL.
pub(super) fn fit(
    plan: LogicalPlan,
    target: &Table,
    named: &[Ident],
    enforcers: Enforcers,
) -> Result<LogicalPlan, SqlError> {
    let sink: Vec<usize> = target.sink_columns();
    let order = positions(target, &sink, named)?;
    check_width(&plan, target, &sink, &order)?;
    let given = plan.schema().columns();
    let (mut exprs, mut present) = (Vec::new(), Vec::new());
    for (position, &number) in sink.iter().enumerate() {
        let column = &target.columns[number];
        let Some(from) = order.iter().position(|&o| o == position) else {
            exprs.push(missing(column, target, plan.schema())?);
            continue;
        };
        check_assignable(&plan, from, column, target)?;
        let expr = converted(&given[from], column, plan.schema(), enforcers)
            .map_err(|e| SqlError::of_engine(&e))?;
        let expr = if !column.not_null {
            expr
        } else if enforcers.drop_null {
            present.push(Expr::Column(given[from].clone()).is_not_null());
            expr
        } else {
            not_null::call(expr, &column.name)
        };
        exprs.push(null_keys::written(expr, &column.data_type, target).alias(&column.name));
    }
    debug_assert_eq!(
        exprs.len(),
        sink.len(),
        "one expression for each column that the table takes"
    );
    let builder = LogicalPlanBuilder::from(plan);
    match conjunction(present) {
        Some(present) => builder.filter(present),
        None => Ok(builder),
    }
    .and_then(|rows| rows.project(exprs))
    .and_then(LogicalPlanBuilder::build)
    .map_err(|e| SqlError::of_engine(&e))
}

/// For each column of the query, the position among the sink's columns that it goes to.
fn positions(target: &Table, sink: &[usize], named: &[Ident]) -> Result<Vec<usize>, SqlError> {
    if named.is_empty() {
        return Ok((0..sink.len()).collect());
    }
    let position = |name: &Ident| {
        sink.iter().position(|&c| target.columns[c].name == name.value).ok_or_else(|| {
            SqlError::new(format!(
                "table '{}' has no column '{}' to insert into",
                target.name, name.value
            ))
            .at(place_of(name))
        })
    };
    named.iter().map(position).collect()
}

/// Refuses a query that has more or fewer columns than the INSERT fills.
fn check_width(
    plan: &LogicalPlan,
    target: &Table,
    sink: &[usize],
    order: &[usize],
) -> Result<(), SqlError> {
    let given = plan.schema().fields().len();
    if given == order.len() {
        return Ok(());
    }
    let wanted: Vec<String> = order.iter().map(|&i| target.columns[sink[i]].name.clone()).collect();
    let (count, names) = (wanted.len(), wanted.join(", "));
    Err(SqlError::new(format!(
        "the query has {given} columns, table '{}' takes {count}: {names}",
        target.name
    )))
}

/// NULL for a column that the INSERT does not name.
fn missing(column: &Column, target: &Table, schema: &DFSchema) -> Result<Expr, SqlError> {
    if column.not_null {
        let message = format!(
            "the INSERT does not name column '{}' of table '{}', which is NOT NULL",
            column.name, target.name
        );
        return Err(SqlError::new(message));
    }
    let null = implicit_cast(lit(ScalarValue::Null), &column.data_type, schema)
        .map_err(|e| SqlError::of_engine(&e))?;
    Ok(null.alias(&column.name))
}

/// Refuses a column of the query whose type the table's column does not take without a CAST.
fn check_assignable(
    plan: &LogicalPlan,
    from: usize,
    column: &Column,
    target: &Table,
) -> Result<(), SqlError> {
    let field = plan.schema().field(from);
    if is_assignable(field.data_type(), &column.data_type) {
        return Ok(());
    }
    let message = format!(
        "column {} of the query ('{}') is {}, column '{}' of table '{}' is {}",
        from + 1,
        field.name(),
        sql_name(field.data_type()),
        column.name,
        target.name,
        sql_name(&column.data_type)
    );
    Err(SqlError::new(message).help(format!(
        "write CAST({} AS {})",
        field.name(),
        sql_name(&column.data_type)
    )))
}

/// A column of the query in the type and with the length of the table's.
fn converted(
    given: &PlanColumn,
    column: &Column,
    schema: &DFSchema,
    enforcers: Enforcers,
) -> datafusion_common::Result<Expr> {
    let expr = implicit_cast(Expr::Column(given.clone()), &column.data_type, schema)?;
    enforce::length(expr, column, schema, enforcers)
}

/// True if Flink casts without being asked: between numbers unless digits before the point may be
/// lost, between timestamps, a TIMESTAMP to DATE and TIME, and NULL to anything.
fn is_assignable(from: &DataType, to: &DataType) -> bool {
    let inside = |a: &DataType, b: &DataType| is_assignable(a, b);
    match (from, to) {
        (DataType::List(a), DataType::List(b)) => return inside(a.data_type(), b.data_type()),
        (DataType::Map(a, _), DataType::Map(b, _)) => {
            return is_multiset(from) == is_multiset(to) && inside(a.data_type(), b.data_type());
        }
        (DataType::Struct(a), DataType::Struct(b)) => {
            return a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| inside(a.data_type(), b.data_type()));
        }
        _ => {}
    }
    let fits = match to {
        DataType::Decimal128(..) | DataType::Float64 => from.is_numeric(),
        DataType::Float32 => from.is_numeric() && *from != DataType::Float64,
        to if to.is_integer() => {
            from.is_integer() && from.primitive_width() <= to.primitive_width()
        }
        DataType::Timestamp(..) => matches!(from, DataType::Timestamp(..)),
        DataType::Date32 | DataType::Time32(_) => matches!(from, DataType::Timestamp(_, None)),
        _ => false,
    };
    from == to || from.is_null() || fits
}
