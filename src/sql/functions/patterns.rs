//! LIKE with an escape character, SIMILAR TO, and the REGEXP functions.
//!
//! Expressions are those of the `regex` crate: the common ones of Java's, without look-around and back references, which
//! are refused when a row needs them. Each thread keeps the last ones it compiled.

use std::cell::RefCell;

use regex::Regex;

use super::rows::ParameterKind::{Int, Text};
use super::rows::{Answer, Body, Definition, Row, function};

pub const ALL: [Definition; 8] = [
    function(
        "like",
        &[Text, Text, Text],
        Body::Boolean(|r| {
            let pattern = like(r.text(1), r.text_or(2, ""))?;
            with(&pattern, |regex| regex.is_match(r.text(0))).map(Some)
        }),
    )
    .requires(2),
    function(
        "similar",
        &[Text, Text, Text],
        Body::Boolean(|r| {
            let pattern = similar(r.text(1), r.text_or(2, ""))?;
            with(&pattern, |regex| regex.is_match(r.text(0))).map(Some)
        }),
    )
    .requires(2),
    function(
        "regexp",
        &[Text, Text],
        Body::Boolean(|r| {
            if r.text(1).is_empty() {
                return Ok(Some(false));
            }
            with(r.text(1), |regex| regex.is_match(r.text(0))).map(Some)
        }),
    ),
    function(
        "regexp_replace",
        &[Text, Text, Text],
        Body::Text(|r| {
            // The new text is taken as it is: Flink quotes its `$1`.
            with(r.text(1), |regex| regex.replace_all(r.text(0), regex::NoExpand(r.text(2))).into_owned()).map(Some)
        }),
    ),
    function("regexp_extract", &[Text, Text, Int], Body::Text(extract)).requires(2),
    function(
        "regexp_count",
        &[Text, Text],
        Body::Int(|r| with(r.text(1), |regex| regex.find_iter(r.text(0)).count() as i32).map(Some)),
    ),
    function(
        "regexp_instr",
        &[Text, Text],
        Body::Int(|r| {
            let text = r.text(0);
            let at = |m: regex::Match<'_>| text[..m.start()].chars().count() as i32 + 1;
            with(r.text(1), |regex| regex.find(text).map_or(0, at)).map(Some)
        }),
    ),
    function(
        "regexp_substr",
        &[Text, Text],
        Body::Text(|r| with(r.text(1), |regex| regex.find(r.text(0)).map(|m| m.as_str().to_string()))),
    ),
];

thread_local! {
    /// A pattern is nearly always a constant: one call after the other asks for the same few.
    static COMPILED: RefCell<Vec<(String, Regex)>> = const { RefCell::new(Vec::new()) };
}

const COMPILED_MAX: usize = 16;

/// Calls with the compiled expression.
pub fn with<T>(pattern: &str, use_it: impl FnOnce(&Regex) -> T) -> Result<T, String> {
    COMPILED.with_borrow_mut(|compiled| {
        if let Some((_, regex)) = compiled.iter().find(|(p, _)| p == pattern) {
            return Ok(use_it(regex));
        }
        let regex = Regex::new(pattern).map_err(|_| format!("'{pattern}' is not a regular expression that is supported"))?;
        if compiled.len() == COMPILED_MAX {
            compiled.remove(0);
        }
        let out = use_it(&regex);
        compiled.push((pattern.to_string(), regex));
        Ok(out)
    })
}

fn extract(row: &Row<'_>) -> Answer<String> {
    let Ok(group) = usize::try_from(row.int_or(2, 0)) else { return Ok(None) };
    with(row.text(1), |regex| {
        let groups = regex.captures(row.text(0))?;
        groups.get(group).map(|m| m.as_str().to_string())
    })
}

fn one_char(escape: &str) -> Result<Option<char>, String> {
    let mut chars = escape.chars();
    match (chars.next(), chars.next()) {
        (first, None) => Ok(first),
        _ => Err(format!("the escape character '{escape}' is not one character")),
    }
}

/// The regular expression of a LIKE pattern.
fn like(pattern: &str, escape: &str) -> Result<String, String> {
    let escape = one_char(escape)?;
    let mut out = String::from("(?s)^");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => match chars.next() {
                Some(next) => out.push_str(&regex::escape(&next.to_string())),
                None => return Err(format!("the pattern '{pattern}' ends with its escape character")),
            },
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push('$');
    Ok(out)
}

/// The regular expression of a SIMILAR TO pattern: % and _ as in LIKE, the rest as it is.
fn similar(pattern: &str, escape: &str) -> Result<String, String> {
    let escape = one_char(escape)?;
    let mut out = String::from("(?s)^(?:");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => match chars.next() {
                Some(next) => out.push_str(&regex::escape(&next.to_string())),
                None => return Err(format!("the pattern '{pattern}' ends with its escape character")),
            },
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '.' | '^' | '$' | '\\' => out.push_str(&regex::escape(&c.to_string())),
            c => out.push(c),
        }
    }
    out.push_str(")$");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_expressions() {
        let matches = |pattern: String, text| with(&pattern, |r| r.is_match(text)).expect(text);
        assert!(matches(like("a\\_c", "\\").expect("like"), "a_c"));
        assert!(!matches(like("a\\_c", "\\").expect("like"), "abc"));
        assert!(matches(like("a.c%", "").expect("like"), "a.c\nd"));
        assert!(matches(similar("a(b|c)c", "").expect("similar"), "acc"));
        assert!(!matches(similar("a.c", "").expect("similar"), "abc"));
    }
}
