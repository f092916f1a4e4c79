//! Where in the text is the mistake, and what should stand there instead?
//!
//! Every error of the front end ends as a [`SqlError`]; `cli` prints it with the line and a caret.
//! Lines and columns count from 1, columns in characters.

use std::fmt::Write;

use datafusion_common::{DataFusionError, SchemaError};
use sqlparser::parser::ParserError;

use crate::bounded::{MESSAGE_BYTES_MAX, bounded};
use crate::engine_words::{self, Words};
use crate::secret::Secrets;
use crate::suggest::nearest;
use crate::who::{Mistake, Who};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    pub message: String,
    /// What to write instead, if that is known.
    pub help: Option<String>,
    pub place: Option<TextPlace>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextPlace {
    pub line: u64,
    pub column: u64,
}

impl SqlError {
    pub fn new(message: impl Into<String>) -> SqlError {
        SqlError { message: message.into(), help: None, place: None }
    }

    pub fn at(mut self, place: Option<TextPlace>) -> SqlError {
        self.place = self.place.or(place);
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> SqlError {
        self.help = Some(help.into());
        self
    }

    pub fn who(&self) -> Who {
        Who::User(Mistake::Asked)
    }

    /// The error with the line it is in and a caret below it. Passwords and the like are not shown.
    pub fn render(&self, file: &str, text: &str) -> String {
        self.render_without(file, text, [])
    }

    /// The same with more values that are not shown: those that stand for `${NAME}` in the text.
    pub(crate) fn render_without<'a>(
        &self,
        file: &str,
        text: &str,
        values: impl IntoIterator<Item = &'a str>,
    ) -> String {
        // The mark at the start of a UTF-8 file has no column.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let secrets = Secrets::of(text).and(values);
        let hidden =
            |message: &str| bounded(&secrets.hide(message), MESSAGE_BYTES_MAX).into_owned();
        let mut out = format!("error: {}\n", hidden(&self.message));
        if let Some(place) = self.place {
            let above: usize = text
                .split_inclusive('\n')
                .take(place.line.saturating_sub(1) as usize)
                .map(str::len)
                .sum();
            let line = text[above..].lines().next().unwrap_or_default();
            let (line, caret) =
                secrets.hide_line(line, above, place.column.saturating_sub(1) as usize);
            let (line, caret) = around(&line, caret);
            let number = place.line.to_string();
            let margin = " ".repeat(number.len());
            // Tabs stay tabs above the caret, so that it stands where it should.
            let before = line.chars().chain(std::iter::repeat(' ')).take(caret);
            let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let _ = writeln!(out, "{margin}--> {file}:{}:{}", place.line, place.column);
            let _ = writeln!(out, "{margin} |\n{number} | {line}\n{margin} | {indent}^");
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "help: {}", hidden(help));
        }
        out
    }

    /// An error of DataFusion's planner. `statement` is the text of the statement and where it
    /// starts: a name in the message is looked up there if the error does not carry its place.
    pub(crate) fn from_plan(error: &DataFusionError, statement: &Source<'_>) -> SqlError {
        let span = error.diagnostic().and_then(|d| d.span);
        let place = span
            .filter(|s| s.start.line > 0)
            .map(|s| TextPlace { line: s.start.line, column: s.start.column });
        if let DataFusionError::SchemaError(schema_error, _) = error.find_root()
            && let Some(own) = of_names(schema_error)
        {
            let place =
                place.or_else(|| statement.find_quoted(&own.message)).or(Some(statement.start));
            return own.at(place);
        }
        let Words { message, help } = engine_words::of(error);
        let place = place.or_else(|| statement.find_quoted(&message)).or(Some(statement.start));
        SqlError { message, help, place }
    }

    /// The same where no statement is at hand.
    pub(crate) fn of_engine(error: &DataFusionError) -> SqlError {
        let Words { message, help } = engine_words::of(error);
        SqlError { message, help, place: None }
    }

    /// An error of the parser. Its place is at the end of the message.
    pub(crate) fn from_parser(error: &ParserError) -> SqlError {
        let text = match error {
            ParserError::ParserError(m) | ParserError::TokenizerError(m) => m.clone(),
            ParserError::RecursionLimitExceeded => "the statement is nested too deeply".into(),
        };
        let Some((message, at)) = text.rsplit_once(" at Line: ") else {
            return SqlError::new(text);
        };
        let mut numbers = at.split(", Column: ").map(|n| n.trim().parse::<u64>());
        match (numbers.next(), numbers.next()) {
            (Some(Ok(line)), Some(Ok(column))) => {
                SqlError::new(lower_first(message)).at(Some(TextPlace { line, column }))
            }
            _ => SqlError::new(text),
        }
    }
}

/// The part of a line that is shown, characters: a query may stand on one line.
const LINE_CHARACTERS_MAX: usize = 300;

/// A line of any length as far as it is shown, and where the caret stands below it: what is left
/// out is marked by an ellipsis.
fn around(line: &str, caret: usize) -> (String, usize) {
    let characters: Vec<char> = line.chars().collect();
    if characters.len() <= LINE_CHARACTERS_MAX {
        return (line.to_string(), caret);
    }
    let from =
        caret.saturating_sub(LINE_CHARACTERS_MAX / 2).min(characters.len() - LINE_CHARACTERS_MAX);
    let to = from + LINE_CHARACTERS_MAX;
    let mark = |is_cut: bool| if is_cut { "…" } else { "" };
    let shown: String = characters[from..to].iter().collect();
    (
        format!("{}{shown}{}", mark(from > 0), mark(to < characters.len())),
        caret - from + usize::from(from > 0),
    )
}

/// Columns that do not exist, or exist twice. DataFusion's own words advise double quotes and
/// settings that are not ours.
fn of_names(error: &SchemaError) -> Option<SqlError> {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            if let Some(first) = field.relation.as_ref().and_then(|r| r.catalog().or(r.schema())) {
                return Some(SqlError::new(format!(
                    "'{first}' is no table of this FROM and no ROW"
                )));
            }
            if let Some(relation) = &field.relation
                && !valid_fields
                    .iter()
                    .any(|f| f.relation.as_ref().is_some_and(|r| r.table() == relation.table()))
            {
                let mut tables: Vec<&str> = valid_fields
                    .iter()
                    .filter_map(|f| Some(f.relation.as_ref()?.table()))
                    .collect();
                tables.dedup();
                let error =
                    SqlError::new(format!("'{}' is not a table of this FROM", relation.table()));
                return Some(match nearest(relation.table(), tables) {
                    Some(near) => error.help(format!("did you mean '{near}'?")),
                    None => error,
                });
            }
            let message = match &field.relation {
                Some(relation) => format!("'{}' has no column '{}'", relation.table(), field.name),
                None => format!("column '{}' does not exist", field.name),
            };
            let mut known: Vec<&str> = Vec::new();
            for field in valid_fields {
                // Each once, and none that only the planner knows.
                if !known.contains(&field.name.as_str())
                    && !field.name.starts_with('(')
                    && !field.name.starts_with("EXPR$")
                {
                    known.push(&field.name);
                }
            }
            let error = SqlError::new(message);
            Some(match nearest(&field.name, known.iter().copied()) {
                Some(near) => error.help(format!("did you mean '{near}'?")),
                None if known.is_empty() => error,
                None => error.help(format!("the columns are {}", known.join(", "))),
            })
        }
        SchemaError::AmbiguousReference { field } => {
            let message = format!("column '{}' is in several tables", field.name);
            Some(SqlError::new(message).help(format!("write <table>.{}", field.name)))
        }
        SchemaError::DuplicateUnqualifiedField { name }
        | SchemaError::DuplicateQualifiedField { name, .. } => Some(
            SqlError::new(format!("two columns are called '{name}'"))
                .help("give one of them another name with AS"),
        ),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// A statement's own text, for finding names in it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The whole file.
    pub text: &'a str,
    pub start: TextPlace,
    /// The place after the statement; None at the end of the file.
    pub end: Option<TextPlace>,
}

impl Source<'_> {
    /// The place of the first word of the statement that a message puts in quotes.
    fn find_quoted(&self, message: &str) -> Option<TextPlace> {
        let quoted = message.split(['\'', '"', '`']).skip(1).step_by(2);
        quoted.filter_map(|name| self.find(name.rsplit('.').next()?)).next()
    }

    /// The place of a word in the statement, whatever its case.
    pub fn find(&self, word: &str) -> Option<TextPlace> {
        if word.is_empty() {
            return None;
        }
        for (index, line) in self.text.lines().enumerate() {
            let number = index as u64 + 1;
            if number < self.start.line || self.end.is_some_and(|end| number > end.line) {
                continue;
            }
            let mut from = 0;
            let lower = line.to_ascii_lowercase();
            while let Some(found) =
                lower.get(from..).and_then(|rest| rest.find(&word.to_ascii_lowercase()))
            {
                let at = from + found;
                from = at + word.len();
                let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                let column = line[..at].chars().count() as u64 + 1;
                let place = TextPlace { line: number, column };
                let comment = line[..at].contains("--");
                if !comment
                    && !is_part(line[..at].chars().next_back())
                    && !is_part(line[from..].chars().next())
                    && place >= self.start
                    && self.end.is_none_or(|end| place < end)
                {
                    return Some(place);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_word() {
        let text = "SELECT a,\n\tbogus\nFROM t";
        let source = Source {
            text,
            start: TextPlace { line: 1, column: 1 },
            end: Some(TextPlace { line: 4, column: 1 }),
        };
        let place = source.find("BOGUS");
        assert_eq!(place, Some(TextPlace { line: 2, column: 2 }));
        let rendered = SqlError::new("no column 'bogus'")
            .at(place)
            .help("did you mean 'a'?")
            .render("q.sql", text);
        assert_eq!(
            rendered,
            "error: no column 'bogus'\n --> q.sql:2:2\n  |\n2 | \tbogus\n  | \t^\nhelp: did you mean 'a'?\n"
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = "CREATE TABLE t (k STRING) WITH ('aws.credentials.basic.secretkey'='open-sesame', bogus)";
        let at =
            |word: &str| Some(TextPlace { line: 1, column: text.find(word).unwrap() as u64 + 1 });
        for word in ["CREATE", "sesame", "bogus"] {
            let error = SqlError::new("found: 'open-sesame'").help("not open-sesame").at(at(word));
            let rendered = error.render("q.sql", text);
            assert!(
                !rendered.contains("sesame") && rendered.contains("found: '****'"),
                "{rendered}"
            );
            let lines: Vec<&str> = rendered.lines().collect();
            let under = &lines[3][lines[4].find('^').unwrap()..];
            assert!(under.starts_with(if word == "sesame" { "****" } else { word }), "{rendered}");
        }
    }

    #[test]
    fn of_a_long_line_the_part_at_the_caret_is_shown() {
        let text = format!("{} bogus {}", "x".repeat(5000), "y".repeat(5000));
        for (column, under, marks) in [(1, "xxx", 1), (5002, "bogus", 2), (10_000, "yyy", 1)] {
            let rendered = SqlError::new("wrong")
                .at(Some(TextPlace { line: 1, column }))
                .render("q.sql", &text);
            let lines: Vec<Vec<char>> =
                rendered.lines().map(|line| line.chars().collect()).collect();
            let caret = lines[4].iter().position(|c| *c == '^').unwrap();
            let shown: String = lines[3][caret..].iter().collect();
            assert!(shown.starts_with(under) && rendered.len() < 1000, "{rendered}");
            assert_eq!(rendered.matches('…').count(), marks);
        }
        let long = SqlError::new("x".repeat(1 << 20)).render("q.sql", "");
        assert!(long.len() < 10_000 && long.contains("bytes left out"));
    }
}
