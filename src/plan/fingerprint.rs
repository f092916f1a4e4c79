//! What must a job find unchanged when it goes on from a checkpoint?
//!
//! `lower` puts the texts made here into the plan's fingerprint, which a manifest keeps. Stored
//! positions belong to a source's records, stored watermarks and lateness to its watermark, stored
//! aggregates to the types and the computed columns. Where these have changed the stored state is
//! of another job. Places in the SQL text and how a service is reached do not count.

use std::collections::BTreeSet;

use crate::secret::is_secret;
use crate::sql::catalog::{Column, ColumnKind, Table};

/// A source table, as far as a query uses it: `used` are column numbers.
pub fn source(table: &Table, used: &BTreeSet<usize>) -> String {
    let mut out = format!("from {} {}", table.name, identity(table));
    for &column in used {
        out.push_str(&format!(" {}", text(&table.columns[column])));
    }
    if let Some(watermark) = &table.watermark {
        out.push_str(&format!(
            " watermark {} as {}",
            text(&table.columns[watermark.rowtime]),
            watermark.expression
        ));
    }
    out + "\n"
}

fn text(column: &Column) -> String {
    let kind = match &column.kind {
        ColumnKind::Physical => String::new(),
        ColumnKind::Metadata { key, .. } => format!(" from {key}"),
        ColumnKind::Computed(expression) => format!(" as {expression}"),
    };
    format!("{}: {}{kind}", column.name, column.data_type)
}

/// The options that say which records or rows a table holds: not those that only say how they are
/// reached or in what order, and no passwords.
pub(crate) fn identity(table: &Table) -> String {
    let how = ["aws.", "source.", "sink.", "lookup."];
    let which = table
        .options
        .iter()
        .filter(|(key, _)| !how.iter().any(|prefix| key.starts_with(prefix)) && !is_secret(key));
    which.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
