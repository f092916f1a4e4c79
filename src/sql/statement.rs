//! What does a file say? Its statements as they were written, before names and types are known.
//!
//! Made by `parse`, completed by `table_like` and `rewrite`, bound by `bind`.

use std::collections::BTreeMap;

use sqlparser::ast::{DataType as SqlType, Expr, Ident, Query};

use super::error::{Source, TextPlace};

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a file has few statements, each parsed once")]
pub enum Statement {
    Set { key: String, value: String },
    CreateTable(CreateTable),
    CreateView { name: Ident, columns: Vec<Ident>, query: Box<Query>, if_not_exists: bool },
    Insert { table: Ident, columns: Vec<Ident>, query: Box<Query> },
    Select(Box<Query>),
}

#[derive(Debug, Clone)]
pub struct CreateTable {
    pub name: Ident,
    pub if_not_exists: bool,
    pub columns: Vec<ColumnDef>,
    pub watermark: Option<(Ident, Expr)>,
    pub primary_key: Vec<Ident>,
    pub partitioned_by: Vec<Ident>,
    pub options: BTreeMap<String, String>,
    pub like: Option<Like>,
}

#[derive(Debug, Clone)]
pub struct ColumnDef {
    pub name: Ident,
    pub kind: ColumnDefKind,
}

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a table has few columns, each parsed once")]
pub enum ColumnDefKind {
    Physical {
        sql_type: SqlType,
        not_null: bool,
    },
    /// `key` defaults to the column's name.
    Metadata {
        sql_type: SqlType,
        key: Option<String>,
        is_virtual: bool,
    },
    Computed(Expr),
}

/// A statement and where it stands.
#[derive(Debug, Clone)]
pub struct Placed {
    pub statement: Statement,
    pub start: TextPlace,
    /// The place behind it; None at the end of the file.
    pub end: Option<TextPlace>,
    /// Where the EXPLAIN begins that asks for the plan instead of rows.
    pub explain: Option<TextPlace>,
}

impl Placed {
    pub fn source<'a>(&self, text: &'a str) -> Source<'a> {
        Source { text, start: self.start, end: self.end }
    }
}

pub fn place_of(ident: &Ident) -> Option<TextPlace> {
    (ident.span.start.line > 0).then_some(TextPlace { line: ident.span.start.line, column: ident.span.start.column })
}

/// `LIKE source (INCLUDING ALL, ...)`.
#[derive(Debug, Clone)]
pub struct Like {
    pub source: Ident,
    pub rules: Vec<(Strategy, Feature)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    Including,
    Excluding,
    Overwriting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    All,
    Constraints,
    Distribution,
    Generated,
    Metadata,
    Options,
    Partitions,
    Watermarks,
}

impl Feature {
    pub fn parse(word: &str) -> Option<Feature> {
        Some(match word.to_uppercase().as_str() {
            "ALL" => Feature::All,
            "CONSTRAINTS" => Feature::Constraints,
            "DISTRIBUTION" => Feature::Distribution,
            "GENERATED" => Feature::Generated,
            "METADATA" => Feature::Metadata,
            "OPTIONS" => Feature::Options,
            "PARTITIONS" => Feature::Partitions,
            "WATERMARKS" => Feature::Watermarks,
            _ => return None,
        })
    }
}
