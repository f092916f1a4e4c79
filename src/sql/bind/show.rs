//! What do SHOW and DESCRIBE answer?
//!
//! From what stands before them in the file, in the tables that Flink's SQL client prints. Called by
//! the binder; `cli` prints the answers. What always holds: no answer holds a secret.

use std::fmt;

use datafusion_expr::{Expr, Operator};
use sqlparser::ast::Ident;

use super::names::OfFile;
use super::{Binder, insert};
use crate::engine_words::in_sql;
use crate::secret::{Secrets, shown};
use crate::sql::catalog::{Column, ColumnKind, Table, Watermark, is_proctime, is_rowtime};
use crate::sql::error::{Source, SqlError};
use crate::sql::functions::clock;
use crate::sql::statement::{NameFilter, Placed, Show, place_of};
use crate::sql::window_tvf::interval_ms;
use crate::types::{field_sql_name, sql_name};

/// What one statement answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Table {
        header: Vec<&'static str>,
        rows: Vec<Vec<String>>,
    },
    /// A statement that would declare it again.
    Text(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (header, rows) = match self {
            Answer::Text(text) => return writeln!(f, "{text}"),
            Answer::Table { rows, .. } if rows.is_empty() => return writeln!(f, "Empty set"),
            Answer::Table { header, rows } => (header, rows),
        };
        let width = console::measure_text_width;
        let widths: Vec<usize> = (0..header.len())
            .map(|c| rows.iter().map(|row| width(&row[c])).fold(width(header[c]), usize::max))
            .collect();
        let rule: String =
            widths.iter().map(|w| format!("+{}", "-".repeat(w + 2))).collect::<String>() + "+";
        let line = |f: &mut fmt::Formatter<'_>, cells: &mut dyn Iterator<Item = &str>| {
            for (cell, wide) in cells.zip(&widths) {
                write!(f, "| {}{cell} ", " ".repeat(wide - width(cell)))?;
            }
            writeln!(f, "|")
        };
        writeln!(f, "{rule}")?;
        line(f, &mut header.iter().copied())?;
        writeln!(f, "{rule}")?;
        for row in rows {
            line(f, &mut row.iter().map(String::as_str))?;
        }
        writeln!(f, "{rule}")?;
        let rows = rows.len();
        writeln!(f, "{rows} row{} in set", if rows == 1 { "" } else { "s" })
    }
}

fn names(header: &'static str, names: impl IntoIterator<Item = String>) -> Answer {
    Answer::Table { header: vec![header], rows: names.into_iter().map(|name| vec![name]).collect() }
}

impl Binder {
    /// Keeps the text of a view.
    pub(super) fn note_text(&mut self, name: &Ident, source: &Source<'_>) {
        self.view_texts.insert(name.value.clone(), Secrets::hide_all(&text_of(source)));
    }

    pub(super) fn show(
        &mut self,
        what: &Show,
        filter: Option<&NameFilter>,
        placed: &Placed,
    ) -> Result<(), SqlError> {
        let catalog = &self.names.catalog;
        let mut answer = match what {
            Show::Names { header, names: known } => names(header, known.iter().cloned()),
            // Views are tables too, as in Flink.
            Show::Tables(database) => names("table name", within(catalog.names(), database)),
            Show::Views(database) => {
                names("view name", within(catalog.views.keys().map(String::as_str), database))
            }
            Show::UserFunctions => names("function name", self.names.of_file.keys().cloned()),
            Show::Functions => {
                let code = self.names.of_file.iter().filter(|(_, of)| **of != OfFile::Sql);
                let code = code.map(|(name, _)| name.clone());
                let mut all: Vec<String> =
                    self.names.functions.names().map(str::to_string).chain(code).collect();
                all.sort_unstable();
                all.dedup();
                names("function name", all)
            }
            Show::Modules => names("module name", ["core".to_string()]),
            Show::FullModules => Answer::Table {
                header: vec!["module name", "used"],
                rows: vec![vec!["core".into(), "TRUE".into()]],
            },
            Show::CreateTable(name) => match catalog.tables.get(&name.value) {
                Some(table) => Answer::Text(declaration(table)),
                None => return self.not_there(name, placed),
            },
            Show::CreateView(name) => match self.view_texts.get(&name.value) {
                Some(text) if catalog.views.contains_key(&name.value) => Answer::Text(text.clone()),
                _ if catalog.tables.contains_key(&name.value) => {
                    let error = SqlError::new(format!("'{}' is a table", name.value));
                    return Err(error.at(place_of(name)).help("write SHOW CREATE TABLE"));
                }
                _ => return self.not_there(name, placed),
            },
            Show::Columns(name) => match self.columns(name) {
                Some(answer) => answer,
                None => return self.not_there(name, placed),
            },
            Show::Catalogs
            | Show::CurrentCatalog
            | Show::Databases(_)
            | Show::CurrentDatabase
            | Show::Nothing => names("", []),
        };
        if let (Some(filter), Answer::Table { rows, .. }) = (filter, &mut answer) {
            rows.retain(|row| row.first().is_some_and(|name| filter.keeps(name)));
        }
        self.answers.push(answer);
        Ok(())
    }

    /// A table that the file does not declare may be one that a catalog outside keeps.
    fn not_there(&mut self, name: &Ident, placed: &Placed) -> Result<(), SqlError> {
        if name.value.contains('.') {
            self.notes.push(format!(
                "line {}: '{}' is not declared in the file: there is nothing to show of it",
                placed.start.line, name.value
            ));
            return Ok(());
        }
        let unknown = insert::no_table(name, &self.names.catalog);
        Err(unknown.at(place_of(name)))
    }

    /// The columns of a table or a view.
    fn columns(&self, name: &Ident) -> Option<Answer> {
        let catalog = &self.names.catalog;
        let header = vec!["name", "type", "null", "key", "extras", "watermark"];
        let flag = |flag: bool| if flag { "TRUE" } else { "FALSE" }.to_string();
        if let Some(table) = catalog.tables.get(&name.value) {
            let key = match table.primary_key.is_empty() {
                true => String::new(),
                false => format!("PRI({})", table.primary_key.join(", ")),
            };
            let schema = table.schema();
            let row = |(i, column): (usize, &Column)| {
                let field = schema.field(i);
                let watermark = table.watermark.as_ref().filter(|w| w.rowtime == i);
                let mark = match field {
                    _ if watermark.is_some() => " *ROWTIME*",
                    field if is_proctime(field) => " *PROCTIME*",
                    _ => "",
                };
                let is_null = !column.not_null && !is_proctime(field);
                let is_key = table.primary_key.contains(&column.name);
                vec![
                    column.name.clone(),
                    format!("{}{mark}", type_of(column)),
                    flag(is_null),
                    if is_key { key.clone() } else { String::new() },
                    extras(column),
                    watermark.map(watermark_text).unwrap_or_default(),
                ]
            };
            let rows = table.columns.iter().enumerate().map(row).collect();
            return Some(Answer::Table { header, rows });
        }
        let plan = catalog.views.get(&name.value)?;
        let row = |field: &arrow::datatypes::FieldRef| {
            let mark = if is_rowtime(field) {
                " *ROWTIME*"
            } else if is_proctime(field) {
                " *PROCTIME*"
            } else {
                ""
            };
            let (name, none) = (field.name().clone(), String::new);
            let of_type = format!("{}{mark}", field_sql_name(field));
            vec![name, of_type, flag(field.is_nullable()), none(), none(), none()]
        };
        let rows = plan.schema().fields().iter().map(row).collect();
        Some(Answer::Table { header, rows })
    }
}

/// The names of a database among those of a file: `database` is the identifier of any table there
/// without the table's own name.
fn within<'a>(all: impl Iterator<Item = &'a str>, database: &Option<Ident>) -> Vec<String> {
    let prefix = database.as_ref().map_or("", |database| database.value.as_str());
    let own = all.filter_map(|name| name.strip_prefix(prefix)).filter(|name| !name.contains('.'));
    let mut own: Vec<String> = own.map(str::to_string).collect();
    own.sort_unstable();
    own
}

impl NameFilter {
    /// Whether a name is like the pattern: `%` is any text, `_` any character.
    fn keeps(&self, name: &str) -> bool {
        let folded = |text: &str| match self.ignores_case {
            true => text.to_lowercase().chars().collect::<Vec<char>>(),
            false => text.chars().collect(),
        };
        is_like(&folded(name), &folded(&self.pattern)) != self.is_negated
    }
}

fn is_like(name: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some(('%', rest)) => (0..=name.len()).any(|at| is_like(&name[at..], rest)),
        Some((c, rest)) => name
            .split_first()
            .is_some_and(|(first, left)| (*c == '_' || c == first) && is_like(left, rest)),
    }
}

fn type_of(column: &Column) -> String {
    column.exact.clone().unwrap_or_else(|| sql_name(&column.data_type))
}

/// What a column is beside its type.
fn extras(column: &Column) -> String {
    match &column.kind {
        ColumnKind::Physical => String::new(),
        ColumnKind::Computed(expression) => format!("AS {}", written(expression)),
        ColumnKind::Metadata { key, is_virtual } => {
            let from = match *key == column.name {
                true => String::new(),
                false => format!(" FROM '{key}'"),
            };
            format!("METADATA{from}{}", if *is_virtual { " VIRTUAL" } else { "" })
        }
    }
}

/// An expression as text.
fn written(expression: &Expr) -> String {
    if let Expr::BinaryExpr(e) = expression
        && e.op == Operator::Minus
        && let (Expr::Column(column), Ok(ms)) = (e.left.as_ref(), interval_ms(&e.right))
    {
        let (seconds, rest) = (ms / 1000, ms % 1000);
        let length = if rest == 0 { seconds.to_string() } else { format!("{seconds}.{rest:03}") };
        return format!("`{}` - INTERVAL '{length}' SECOND", column.name);
    }
    match expression {
        call if clock::is_proctime(call) => "PROCTIME()".into(),
        Expr::Column(column) => format!("`{}`", column.name),
        other => in_sql(&other.to_string()),
    }
}

/// The statement that would declare a table again.
fn declaration(table: &Table) -> String {
    let column = |column: &Column| {
        let name = &column.name;
        match &column.kind {
            ColumnKind::Computed(_) => format!("  `{name}` {}", extras(column)),
            ColumnKind::Metadata { .. } => {
                format!("  `{name}` {} {}", type_of(column), extras(column))
            }
            ColumnKind::Physical => {
                let not_null = if column.not_null { " NOT NULL" } else { "" };
                format!("  `{name}` {}{not_null}", type_of(column))
            }
        }
    };
    let quoted = |names: &[String]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let mut parts: Vec<String> = table.columns.iter().map(column).collect();
    if let Some(watermark) = &table.watermark {
        let rowtime = &table.columns[watermark.rowtime].name;
        parts.push(format!("  WATERMARK FOR `{rowtime}` AS {}", watermark_text(watermark)));
    }
    if !table.primary_key.is_empty() {
        let name = table.primary_key.join("_");
        let key = quoted(&table.primary_key);
        parts.push(format!("  CONSTRAINT `PK_{name}` PRIMARY KEY ({key}) NOT ENFORCED"));
    }
    let mut out = format!("CREATE TABLE {} (\n{}\n)", full_name(&table.name), parts.join(",\n"));
    if !table.partitioned_by.is_empty() {
        out += &format!("\nPARTITIONED BY ({})", quoted(&table.partitioned_by));
    }
    let option = |(key, value): (&String, &String)| {
        format!("  '{key}' = '{}'", shown(key, value).replace('\'', "''"))
    };
    let options: Vec<String> = table.options.iter().map(option).collect();
    out + &format!("\nWITH (\n{}\n)", options.join(",\n"))
}

/// A table's identifier with its catalog and its database.
fn full_name(key: &str) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    match parts[..] {
        [catalog, database, table] => format!("`{catalog}`.`{database}`.`{table}`"),
        [database, table] => format!("`default_catalog`.`{database}`.`{table}`"),
        _ => format!("`default_catalog`.`default_database`.`{key}`"),
    }
}

/// The text of a statement.
fn text_of(source: &Source<'_>) -> String {
    let lines = source.text.lines().enumerate().map(|(i, line)| (i as u64 + 1, line));
    let mut out: Vec<String> = Vec::new();
    for (number, line) in lines {
        if number < source.start.line || source.end.is_some_and(|end| number > end.line) {
            continue;
        }
        let from = if number == source.start.line { source.start.column as usize - 1 } else { 0 };
        let to = source.end.filter(|end| end.line == number).map(|end| end.column as usize - 1);
        let characters = line.chars().take(to.unwrap_or(usize::MAX)).skip(from);
        out.push(characters.collect());
    }
    out.join("\n").trim().trim_end_matches(';').trim_end().to_string()
}

/// What a watermark is declared as.
fn watermark_text(watermark: &Watermark) -> String {
    if watermark.is_of_source {
        return "SOURCE_WATERMARK()".into();
    }
    written(&watermark.expression)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::bind::bind;

    fn answers(sql: &str) -> Vec<Answer> {
        bind(sql).unwrap_or_else(|e| panic!("{sql}: {e:?}")).answers
    }

    const TABLES: &str = "CREATE TABLE orders (id BIGINT NOT NULL, k STRING, v DECIMAL(10, 2), ts TIMESTAMP(3), p AS PROCTIME(),
        off BIGINT METADATA FROM 'offset' VIRTUAL, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, PRIMARY KEY (id) NOT ENFORCED)
        PARTITIONED BY (k) WITH ('connector' = 'kafka', 'properties.password' = 'sesame');
        CREATE VIEW v AS SELECT id, ts FROM orders;
        CREATE TABLE db2.t (a INT) WITH ('connector' = 'print');\n";

    /// As Flink 2.3 prints it, but for the watermark's width.
    #[test]
    fn columns_are_described_as_flink_does() {
        let found = answers(&format!(
            "{TABLES} DESCRIBE orders; DESC v; SHOW COLUMNS FROM orders LIKE 'i%';"
        ));
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            text[0],
            "\
+------+-----------------------------+-------+---------+--------------------------------+----------------------------+
| name |                        type |  null |     key |                         extras |                  watermark |
+------+-----------------------------+-------+---------+--------------------------------+----------------------------+
|   id |                      BIGINT | FALSE | PRI(id) |                                |                            |
|    k |                      STRING |  TRUE |         |                                |                            |
|    v |              DECIMAL(10, 2) |  TRUE |         |                                |                            |
|   ts |      TIMESTAMP(3) *ROWTIME* |  TRUE |         |                                | `ts` - INTERVAL '5' SECOND |
|    p | TIMESTAMP_LTZ(3) *PROCTIME* | FALSE |         |                  AS PROCTIME() |                            |
|  off |                      BIGINT |  TRUE |         | METADATA FROM 'offset' VIRTUAL |                            |
+------+-----------------------------+-------+---------+--------------------------------+----------------------------+
6 rows in set
"
        );
        assert!(text[1].contains("|   ts | TIMESTAMP(3) *ROWTIME* |"), "{}", text[1]);
        assert!(text[2].ends_with("1 row in set\n"), "{}", text[2]);
    }

    #[test]
    fn names_are_those_of_their_database() {
        let found = answers(&format!(
            "{TABLES} SHOW TABLES; SHOW TABLES LIKE 'o%'; SHOW TABLES NOT LIKE 'o%'; SHOW VIEWS; SHOW TABLES IN db2; USE db2;
             SHOW TABLES; SHOW CURRENT DATABASE; SHOW DATABASES; SHOW CATALOGS; SHOW USER FUNCTIONS; SHOW JARS;"
        ));
        let lists: Vec<String> = found
            .iter()
            .map(|answer| match answer {
                Answer::Table { rows, .. } => rows.concat().join(" "),
                Answer::Text(text) => text.clone(),
            })
            .collect();
        let wanted = [
            "orders v",
            "orders",
            "v",
            "v",
            "t",
            "t",
            "db2",
            "db2 default_database",
            "default_catalog",
            "",
            "",
        ];
        assert_eq!(lists, wanted);
        assert_eq!(found[10].to_string(), "Empty set\n");
    }

    #[test]
    fn declarations_come_back_without_secrets() {
        let found = answers(&format!("{TABLES} SHOW CREATE TABLE orders; SHOW CREATE VIEW v;"));
        let Answer::Text(table) = &found[0] else { panic!("{found:?}") };
        assert!(table.starts_with("CREATE TABLE `default_catalog`.`default_database`.`orders` (\n  `id` BIGINT NOT NULL,\n"));
        assert!(table.contains("WATERMARK FOR `ts` AS `ts` - INTERVAL '5' SECOND"), "{table}");
        assert!(table.contains("PARTITIONED BY (`k`)") && !table.contains("sesame"), "{table}");
        let again = table.replace("`orders`", "`again`");
        assert_eq!(bind(&again).expect("it is a declaration").catalog.tables.len(), 1);
        assert_eq!(found[1], Answer::Text("CREATE VIEW v AS SELECT id, ts FROM orders".into()));
    }

    #[test]
    fn a_view_is_shown_as_it_is_by_now_without_secrets() {
        let found = answers(&format!(
            "{TABLES} CREATE VIEW IF NOT EXISTS v AS SELECT 1 AS one; SHOW CREATE VIEW v;
             ALTER VIEW v AS SELECT id FROM orders /*+ OPTIONS('password' = 'sesame') */; SHOW CREATE VIEW v;
             ALTER VIEW v RENAME TO w; SHOW CREATE VIEW w;"
        ));
        let text = |at: usize| found[at].to_string();
        assert!(text(0).contains("SELECT id, ts FROM orders"), "{found:?}");
        assert!(
            text(1).contains("'password' = '****'") && !text(1).contains("sesame"),
            "{found:?}"
        );
        assert_eq!(text(2), text(1));
        let error = bind(&format!("{TABLES} SHOW CREATE VIEW orders;")).err().expect("no view");
        assert!(error.message.contains("is a table"), "{error:?}");
    }

    #[test]
    fn what_is_not_there_is_an_error_unless_a_catalog_outside_may_have_it() {
        let error = bind("SHOW CREATE TABLE nothing;").err().expect("not there");
        assert!(error.message.contains("'nothing'") && error.place.is_some(), "{error:?}");
        let script = bind("CREATE CATALOG c WITH ('type' = 'jdbc'); USE CATALOG c; DESC t;");
        assert!(script.expect("may be there").notes.concat().contains("nothing to show"));
    }
}
