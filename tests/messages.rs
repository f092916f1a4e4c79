//! Do messages about queries speak of SQL alone, and show where? Every query of
//! `tests/messages/queries.txt` is wrong or not supported; below it stand its message, what the
//! caret points at, and the help. `PACELINE_RECORD=1` writes them anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::support::job::planned;

const TABLES: &str = include_str!("messages/tables.sql");

/// Words of what does the work below, which say nothing to whoever writes SQL.
const ENGINE: [&str; 31] = [
    "DataFusion",
    "datafusion",
    "Arrow",
    "arrow",
    "sqlparser",
    "Utf8",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt",
    "Float32",
    "Float64",
    "Boolean",
    "Decimal128",
    "Date32",
    "Time32",
    "Timestamp(",
    "MonthDayNano",
    "LogicalPlan",
    "ogical plan",
    "ogical expression",
    "hysical plan",
    "SchemaError",
    "Schema error",
    "during planning",
    "coercion",
    "ExprPlanner",
    "Some(",
    "Internal",
    "{ ",
];

/// What is shown for a query: message, the text at the caret, help.
fn shown(query: &str) -> String {
    let text = format!("{TABLES}{query};\n");
    let Err(error) = planned(&text) else { return "    accepted\n".into() };
    let rendered = error.render("q.sql", &text);
    for word in ENGINE {
        assert!(!rendered.replace(query, "").contains(word), "{word}:\n{rendered}");
    }
    assert!(
        rendered.lines().any(|l| l.trim_start().starts_with('|') && l.trim_end().ends_with('^')),
        "no caret:\n{rendered}"
    );
    let place = error.place.expect("a place");
    let line = text.lines().nth(place.line as usize - 1).unwrap_or_default();
    let at: String = line.chars().skip(place.column as usize - 1).take(16).collect();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "    {}\n    at {}",
        error.message.replace('\n', "\n    "),
        if at.is_empty() { "the end" } else { &at }
    );
    if let Some(help) = error.help {
        let _ = writeln!(out, "    help: {help}");
    }
    out.lines().map(|l| format!("{}\n", l.trim_end())).collect()
}

#[test]
fn every_message_is_in_sqls_words_and_shows_where() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages/queries.txt");
    let recorded = fs::read_to_string(&path).unwrap();
    let queries: Vec<&str> =
        recorded.lines().filter(|l| !l.starts_with(' ') && !l.is_empty()).collect();
    let found: String = queries.iter().map(|query| format!("{query}\n{}", shown(query))).collect();
    if std::env::var_os("PACELINE_RECORD").is_some() {
        fs::write(&path, &found).unwrap();
    }
    for (wanted, found) in recorded.lines().zip(found.lines()) {
        assert_eq!(found, wanted);
    }
    assert!(queries.len() > 300 && recorded == found);
    assert!(!found.contains("    accepted\n"));
}
