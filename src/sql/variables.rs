//! What does `${NAME}` stand for in a text? The value that the command line gives for it.
//!
//! Called by `parse` on the tokens of a file, so that nothing else knows of it: a value is the
//! content of a text, or part of one, whatever characters it holds, and can never become SQL.
//! `$${NAME}` stands for `${NAME}` itself. What always holds: a name without a value is an error at
//! its place; an error never shows a value.

use std::collections::BTreeMap;

use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

use super::error::{SqlError, TextPlace};
use crate::suggest::nearest;

/// Names and their values.
pub type Variables = BTreeMap<String, String>;

/// Whether a name may stand in `${...}`: letters, digits and `_`, and no digit first.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Puts values for names in all texts, those in hints too.
pub(super) fn fill_in(
    mut tokens: Vec<TokenWithSpan>,
    variables: &Variables,
) -> Result<Vec<TokenWithSpan>, SqlError> {
    for TokenWithSpan { token, span } in &mut tokens {
        let place = TextPlace { line: span.start.line, column: span.start.column };
        match token {
            // Behind the quote.
            Token::SingleQuotedString(text) => {
                filled(text, variables, Quotes::Single, behind(place, 1))?
            }
            Token::Whitespace(Whitespace::MultiLineComment(text)) if text.starts_with('+') => {
                filled(text, variables, Quotes::Doubled, behind(place, 2))?;
            }
            _ => {}
        }
    }
    Ok(tokens)
}

/// How a quote of a value is written where the value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Single,
    /// In the text of a hint, which is read later.
    Doubled,
}

fn behind(place: TextPlace, characters: u64) -> TextPlace {
    TextPlace { column: place.column + characters, ..place }
}

/// `start`: where the text begins in the file.
fn filled(
    text: &mut String,
    variables: &Variables,
    quotes: Quotes,
    start: TextPlace,
) -> Result<(), SqlError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(found) = rest.find("${") {
        let (before, marked) = rest.split_at(found);
        let name = marked[2..].split_once('}').map(|(name, _)| name).filter(|n| is_name(n));
        let Some(name) = name else {
            out.push_str(before);
            out.push_str("${");
            rest = &marked[2..];
            continue;
        };
        rest = &marked[name.len() + 3..];
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str(&format!("${{{name}}}"));
            continue;
        }
        out.push_str(before);
        let Some(value) = variables.get(name) else {
            let at = text.len() - rest.len() - name.len() - 3;
            return Err(unset(name, variables).at(Some(place_in(text, at, quotes, start))));
        };
        match quotes {
            Quotes::Single => out.push_str(value),
            Quotes::Doubled => out.push_str(&value.replace('\'', "''")),
        }
    }
    out.push_str(rest);
    *text = out;
    Ok(())
}

fn unset(name: &str, variables: &Variables) -> SqlError {
    let near = nearest(name, variables.keys().map(String::as_str));
    let help = match near {
        Some(near) => format!("did you mean '{near}'? Or give it with --var {name}=VALUE"),
        None => format!(
            "give it with --var {name}=VALUE, or with --var {name} from the environment; $${{{name}}} stands for the text itself"
        ),
    };
    SqlError::new(format!("the variable {name} has no value")).help(help)
}

/// Where byte `at` of a text stands in the file. In a file, a quote within a text is two.
fn place_in(text: &str, at: usize, quotes: Quotes, start: TextPlace) -> TextPlace {
    let before = &text[..at];
    let line = before.rsplit('\n').next().unwrap_or_default();
    let quoted = match quotes {
        Quotes::Single => line.matches('\'').count(),
        Quotes::Doubled => 0,
    };
    let column = (line.chars().count() + quoted) as u64;
    match before.matches('\n').count() as u64 {
        0 => behind(start, column),
        lines => TextPlace { line: start.line + lines, column: column + 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::{parse, parse_with};
    use super::*;
    use crate::sql::statement::Statement;

    fn variables() -> Variables {
        [("A", "x"), ("PASSWORD", "it's ${A}")].map(|(k, v)| (k.into(), v.into())).into()
    }

    fn value_of(text: &str) -> String {
        let sql = format!("SET 'k' = '{text}';");
        let parsed = parse_with(&sql, Some(&variables())).expect("parses");
        match &parsed.statements[0].statement {
            Statement::Set { value, .. } => value.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_stand_for_names() {
        for (text, expected) in [
            ("${A}", "x"),
            ("a${A}b${A}", "axbx"),
            // A value is text, and is not looked through again.
            ("${PASSWORD}", "it's ${A}"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            // No names.
            ("${}${1}${a b}${A", "${}${1}${a b}${A"),
            ("$A {A}", "$A {A}"),
        ] {
            assert_eq!(value_of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_name_without_a_value_is_an_error_at_its_place() {
        for (sql, line, column) in [
            ("SET 'k' = '${B}';", 1, 12),
            ("SET 'k' = 'it''s ${A} ${B}';", 1, 23),
            ("SET 'k' =\n 'a\nb${B}';", 3, 2),
            ("SELECT * FROM t /*+ OPTIONS('path' = '${B}') */;", 1, 39),
        ] {
            let error = parse_with(sql, Some(&variables())).err().expect("no value");
            assert!(error.message.contains("B has no value"), "{error:?}");
            assert_eq!(error.place, Some(TextPlace { line, column }), "{sql}");
        }
        assert!(parse("SET 'k' = '${B}';").is_ok(), "nobody gives values here");
    }

    #[test]
    fn hints_take_values_too() {
        let sql = "SELECT * FROM t /*+ OPTIONS('path' = '${PASSWORD}') */;";
        let parsed = parse_with(sql, Some(&variables())).expect("parses");
        let shown = format!("{:?}", parsed.statements[0].statement);
        assert!(shown.contains("it''s ${A}"), "{shown}");
    }
}
