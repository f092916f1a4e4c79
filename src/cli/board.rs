//! The result tables of `--local`, redrawn in the terminal as they change.
//!
//! On a terminal the board is drawn in place; otherwise each table is printed once, at the end.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use comfy_table::{CellAlignment, Table, presets};
use console::Term;

use crate::connector::stand_in::table::{EmbeddedTable, Shows};

/// Rows of a table shown on the board; the table in the state directory has them all.
const ROWS_SHOWN: usize = 20;

/// What a change does to its row.
const OP: &str = "op";

pub(crate) struct Board {
    tables: Vec<(String, Arc<EmbeddedTable>)>,
    term: Term,
    live: bool,
    drawn_lines: usize,
    /// The generations of the tables as they were drawn last.
    drawn: Option<Vec<u64>>,
}

impl Board {
    /// None if there is no table to show.
    pub fn new(tables: Vec<(String, Arc<EmbeddedTable>)>) -> Option<Board> {
        let live = std::io::stdout().is_terminal();
        (!tables.is_empty()).then(|| Board {
            tables,
            term: Term::stdout(),
            live,
            drawn_lines: 0,
            drawn: None,
        })
    }

    /// Draws the tables again if one has changed.
    pub(crate) fn draw(&mut self, status: &str) {
        let generations: Vec<u64> = self.tables.iter().map(|(_, t)| t.generation()).collect();
        if !self.live || self.drawn.as_ref() == Some(&generations) {
            return;
        }
        self.drawn = Some(generations);
        let text = self.text(status);
        // A closed terminal ends the drawing, not the job.
        let _ = self.term.clear_last_lines(self.drawn_lines);
        let _ = self.term.write_str(&text);
        self.drawn_lines = text.lines().count();
    }

    /// Prints the tables as they are at the end.
    pub fn finish(&mut self, status: &str) {
        if self.live {
            self.drawn = None;
            self.draw(status);
            return;
        }
        let text = self.text(status);
        let _ = std::io::stdout().write_all(text.as_bytes());
    }

    fn text(&self, status: &str) -> String {
        let mut out = String::new();
        for (name, table) in &self.tables {
            let (count, rows) = match table.rows() {
                Ok(rows) => (rows.len(), rows),
                Err(e) => {
                    out.push_str(&format!("{name}: {e}\n"));
                    continue;
                }
            };
            out.push_str(&format!("{name} ({count} rows)\n"));
            let op = OP.to_string();
            let changes = (table.shows() == Shows::Changes).then_some(&op);
            let columns = table.spec().schema.fields().iter().map(|f| f.name());
            let columns: Vec<String> = columns.cloned().collect();
            let names: Vec<&String> = changes.into_iter().chain(&columns).collect();
            if let Some(shown) = render(&names, &latest(rows)) {
                out.push_str(&shown);
                out.push('\n');
            }
        }
        out.push_str(status);
        out.push('\n');
        out
    }
}

/// The last rows in key order: for boards of races that follow one another, the newest.
fn latest(rows: Vec<String>) -> Vec<BTreeMap<String, serde_json::Value>> {
    let skip = rows.len().saturating_sub(ROWS_SHOWN);
    rows.iter().skip(skip).filter_map(|r| serde_json::from_str(r).ok()).collect()
}

/// The rows as a table with these columns; None without rows.
fn render(names: &[&String], rows: &[BTreeMap<String, serde_json::Value>]) -> Option<String> {
    rows.first()?;
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(names);
    for row in rows {
        table.add_row(names.iter().map(|n| match row.get(*n) {
            None | Some(serde_json::Value::Null) => String::new(),
            Some(serde_json::Value::String(s)) => s.clone(),
            Some(other) => other.to_string(),
        }));
    }
    for (i, name) in names.iter().enumerate() {
        if rows.iter().any(|r| r.get(*name).is_some_and(serde_json::Value::is_number))
            && let Some(column) = table.column_mut(i)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Some(table.to_string())
}
