//! Text with `#{Provider.method 'argument', ...}` in it.
//!
//! Called by `options`; the values come from `providers`. What always holds: what is no call stays
//! as it is; arguments may hold calls themselves.

use super::providers;
use crate::connector::datagen::field::Maker;
use crate::connector::stand_in::generate::Draws;

/// A template, read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expression(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Call {
        /// In lower case, without underscores: `name.fullname`.
        name: String,
        arguments: Vec<Expression>,
    },
}

impl Expression {
    pub fn parse(text: &str) -> Result<Expression, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(start) = rest.find("#{") {
            if start > 0 {
                parts.push(Part::Text(rest[..start].to_string()));
            }
            let inside = &rest[start + 2..];
            let end = end_of(inside).ok_or("'#{' begins a call that is not closed")?;
            parts.push(call(&inside[..end])?);
            rest = &inside[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_string()));
        }
        Ok(Expression(parts))
    }
}

impl Maker for Expression {
    fn text(&self, draws: &mut Draws, time_ms: i64) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Call { name, arguments } => {
                    let arguments: Vec<String> =
                        arguments.iter().map(|a| a.text(draws, time_ms)).collect();
                    out.push_str(&providers::value(name, &arguments, draws, time_ms));
                }
            }
        }
        out
    }
}

/// Where the brace stands that closes a call; braces within quotes do not count.
fn end_of(text: &str) -> Option<usize> {
    let (mut depth, mut quoted) = (0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            '{' if !quoted => depth += 1,
            '}' if !quoted && depth == 0 => return Some(at),
            '}' if !quoted => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `Name.fullName` or `number.numberBetween '1','10'`.
fn call(text: &str) -> Result<Part, String> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_whitespace() || c == '\'').unwrap_or(text.len());
    let name = text[..end].to_lowercase().replace('_', "");
    if name.is_empty() {
        return Err("#{} names no provider".into());
    }
    let mut arguments = Vec::new();
    let mut rest = text[end..].trim_start();
    while let Some(quoted) = rest.strip_prefix('\'') {
        // A quote within an argument is doubled.
        let mut end = None;
        let mut letters = quoted.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            if letter == '\'' {
                if letters.peek().is_some_and(|(_, next)| *next == '\'') {
                    letters.next();
                } else {
                    end = Some(at);
                    break;
                }
            }
        }
        let end = end.ok_or("an argument is not closed")?;
        arguments.push(Expression::parse(&quoted[..end].replace("''", "'"))?);
        rest = quoted[end + 1..].trim_start_matches([',', ' ', ')']);
    }
    Ok(Part::Call { name, arguments })
}
