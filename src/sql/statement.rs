//! What does a file say? Its statements as they were written, before names and types are known.
//!
//! Made by `parse`, completed by `table_like` and `rewrite`, bound by `bind`.

use std::collections::BTreeMap;

use sqlparser::ast::{DataType as SqlType, Expr, Ident, Query};

use super::error::{Source, TextPlace};

#[derive(Debug, Clone)]
pub enum Statement {
    Set {
        key: String,
        value: String,
    },
    /// One key, or all of them.
    Reset(Option<String>),
    CreateTable(CreateTable),
    /// A table with the columns of a query, whose rows are inserted.
    CreateTableAs {
        table: CreateTable,
        query: Box<Query>,
    },
    CreateView {
        name: Ident,
        columns: Vec<Ident>,
        query: Box<Query>,
        if_not_exists: bool,
    },
    AlterTable {
        name: Ident,
        if_exists: bool,
        change: Change,
    },
    RenameView {
        name: Ident,
        to: Ident,
    },
    ChangeView {
        name: Ident,
        query: Box<Query>,
    },
    /// A table or a view.
    Drop {
        what: &'static str,
        name: Ident,
        if_exists: bool,
    },
    CreateCatalog {
        name: Ident,
        options: BTreeMap<String, String>,
        if_not_exists: bool,
    },
    CreateDatabase {
        name: Ident,
        if_not_exists: bool,
    },
    UseCatalog(Ident),
    UseDatabase(Ident),
    /// `partition`: columns that are the same in all rows, with their values.
    Insert {
        table: Ident,
        partition: Vec<(Ident, Expr)>,
        columns: Vec<Ident>,
        query: Box<Query>,
    },
    Select(Box<Query>),
    /// SHOW and DESCRIBE: answered from what the file declares.
    Show {
        what: Show,
        filter: Option<NameFilter>,
    },
    CreateFunction(CreateFunction),
    DropFunction {
        name: Ident,
        if_exists: bool,
    },
}

/// What a SHOW or a DESCRIBE asks for.
#[derive(Debug, Clone)]
pub enum Show {
    Catalogs,
    CurrentCatalog,
    /// Of a catalog; None: of the current one.
    Databases(Option<Ident>),
    CurrentDatabase,
    /// Of a database; None: of the current one.
    Tables(Option<Ident>),
    Views(Option<Ident>),
    Functions,
    UserFunctions,
    CreateTable(Ident),
    CreateView(Ident),
    Columns(Ident),
    Modules,
    FullModules,
    Nothing,
    /// What the session knows: names under a header.
    Names {
        header: &'static str,
        names: Vec<String>,
    },
}

/// `[NOT] LIKE 'pattern'` behind a SHOW.
#[derive(Debug, Clone)]
pub struct NameFilter {
    pub is_negated: bool,
    pub ignores_case: bool,
    pub pattern: String,
}

#[derive(Debug, Clone)]
pub struct CreateFunction {
    /// The last part of its name.
    pub name: Ident,
    pub if_not_exists: bool,
    pub is_replaced: bool,
    pub body: FunctionBody,
}

#[derive(Debug, Clone)]
pub enum FunctionBody {
    Sql {
        parameters: Vec<(Ident, SqlType)>,
        returns: SqlType,
        body: Box<Expr>,
        /// Where the body begins.
        place: TextPlace,
    },
    /// Code for Flink's JVM or Python.
    Code { class: String },
}

/// What ALTER TABLE does.
#[derive(Debug, Clone)]
pub enum Change {
    /// Columns with their places, a watermark, a key.
    Add(CreateTable, Vec<Option<ColumnPlace>>),
    Modify(CreateTable, Vec<Option<ColumnPlace>>),
    DropColumns(Vec<Ident>),
    DropKey,
    DropWatermark,
    RenameColumn(Ident, Ident),
    Rename(Ident),
    Set(BTreeMap<String, String>),
    Reset(Vec<String>),
    /// What says how rows lie, and changes none.
    Nothing,
}

/// Where a column comes to stand.
#[derive(Debug, Clone)]
pub enum ColumnPlace {
    First,
    After(Ident),
}

#[derive(Debug, Clone)]
pub struct CreateTable {
    pub name: Ident,
    pub if_not_exists: bool,
    pub columns: Vec<ColumnDef>,
    pub watermark: Option<(Ident, Expr)>,
    pub primary_key: Vec<Ident>,
    pub partitioned_by: Vec<Ident>,
    /// DISTRIBUTED BY, which says how rows lie.
    pub is_distributed: bool,
    pub options: BTreeMap<String, String>,
    pub like: Option<Like>,
}

impl CreateTable {
    /// A table of which only the name is known.
    pub(crate) fn named(name: Ident) -> CreateTable {
        CreateTable {
            name,
            if_not_exists: false,
            columns: vec![],
            watermark: None,
            primary_key: vec![],
            partitioned_by: vec![],
            is_distributed: false,
            options: BTreeMap::new(),
            like: None,
        }
    }
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
    /// Statements of one set have the same number.
    pub set: usize,
    /// Where the EXPLAIN begins that asks for the plan instead of rows.
    pub explain: Option<TextPlace>,
}

impl Placed {
    pub fn source<'a>(&self, text: &'a str) -> Source<'a> {
        Source { text, start: self.start, end: self.end }
    }
}

pub(crate) fn place_of(ident: &Ident) -> Option<TextPlace> {
    (ident.span.start.line > 0)
        .then_some(TextPlace { line: ident.span.start.line, column: ident.span.start.column })
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
