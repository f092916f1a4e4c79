//! What does ALTER TABLE make of a declaration?
//!
//! Called by the binder with what CREATE TABLE, LIKE and earlier changes have said. What always
//! holds: the result is a declaration as a CREATE TABLE would say it, which is bound anew.

use sqlparser::ast::Ident;

use super::error::SqlError;
use crate::sql::statement::{Change, ColumnPlace, CreateTable, place_of};
use crate::suggest::nearest;

/// The declaration after the change; a RENAME of the table is the binder's own business.
pub(super) fn changed(before: &CreateTable, change: &Change) -> Result<CreateTable, SqlError> {
    let mut table = before.clone();
    match change {
        Change::Add(parts, places) => add(&mut table, parts, places)?,
        Change::Modify(parts, places) => modify(&mut table, parts, places)?,
        Change::DropColumns(names) => {
            for name in names {
                let at = column(&table, name)?;
                if table.primary_key.iter().any(|key| key.value == name.value) {
                    return Err(error(format!("column '{}' is part of the key", name.value), name)
                        .help("write ALTER TABLE ... DROP PRIMARY KEY first"));
                }
                if table.watermark.as_ref().is_some_and(|(rowtime, _)| rowtime.value == name.value)
                {
                    return Err(error(format!("column '{}' has a watermark", name.value), name)
                        .help("write ALTER TABLE ... DROP WATERMARK first"));
                }
                table.columns.remove(at);
            }
        }
        Change::DropKey => table.primary_key.clear(),
        Change::DropWatermark => table.watermark = None,
        Change::RenameColumn(from, to) => {
            let at = column(&table, from)?;
            table.columns[at].name = to.clone();
            for name in table.primary_key.iter_mut().chain(&mut table.partitioned_by) {
                if name.value == from.value {
                    *name = to.clone();
                }
            }
        }
        Change::Set(options) => table.options.extend(options.clone()),
        Change::Reset(keys) => {
            for key in keys {
                table.options.remove(key);
            }
        }
        Change::Rename(_) | Change::Nothing => {}
    }
    Ok(table)
}

fn add(
    table: &mut CreateTable,
    parts: &CreateTable,
    places: &[Option<ColumnPlace>],
) -> Result<(), SqlError> {
    for (new, place) in parts.columns.iter().zip(places) {
        if table.columns.iter().any(|c| c.name.value == new.name.value) {
            let message = format!("table '{}' has a column '{}' already", table.name, new.name);
            return Err(error(message.replace('`', ""), &new.name)
                .help("write ALTER TABLE ... MODIFY to change it"));
        }
        let at = position(table, place.as_ref())?.unwrap_or(table.columns.len());
        table.columns.insert(at, new.clone());
    }
    if let Some((rowtime, expression)) = &parts.watermark {
        if table.watermark.is_some() {
            return Err(error("the table has a watermark already".into(), rowtime)
                .help("write ALTER TABLE ... MODIFY WATERMARK FOR ..."));
        }
        table.watermark = Some((rowtime.clone(), expression.clone()));
    }
    if let Some(first) = parts.primary_key.first() {
        if !table.primary_key.is_empty() {
            return Err(error("the table has a key already".into(), first)
                .help("write ALTER TABLE ... DROP PRIMARY KEY first"));
        }
        table.primary_key.clone_from(&parts.primary_key);
    }
    Ok(())
}

fn modify(
    table: &mut CreateTable,
    parts: &CreateTable,
    places: &[Option<ColumnPlace>],
) -> Result<(), SqlError> {
    for (new, place) in parts.columns.iter().zip(places) {
        let at = column(table, &new.name)?;
        match place {
            None => table.columns[at] = new.clone(),
            Some(place) => {
                table.columns.remove(at);
                let at = position(table, Some(place))?.unwrap_or(table.columns.len());
                table.columns.insert(at, new.clone());
            }
        }
    }
    if parts.watermark.is_some() {
        table.watermark.clone_from(&parts.watermark);
    }
    if !parts.primary_key.is_empty() {
        table.primary_key.clone_from(&parts.primary_key);
    }
    Ok(())
}

fn position(table: &CreateTable, place: Option<&ColumnPlace>) -> Result<Option<usize>, SqlError> {
    Ok(match place {
        None => None,
        Some(ColumnPlace::First) => Some(0),
        Some(ColumnPlace::After(name)) => Some(column(table, name)? + 1),
    })
}

fn column(table: &CreateTable, name: &Ident) -> Result<usize, SqlError> {
    let names = || table.columns.iter().map(|c| c.name.value.as_str());
    names().position(|n| n == name.value).ok_or_else(|| {
        let message = format!("table '{}' has no column '{}'", table.name.value, name.value);
        match nearest(&name.value, names()) {
            Some(near) => error(message, name).help(format!("did you mean '{near}'?")),
            None => error(message, name),
        }
    })
}

fn error(message: String, at: &Ident) -> SqlError {
    SqlError::new(message).at(place_of(at))
}
