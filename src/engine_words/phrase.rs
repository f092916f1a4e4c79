//! A message of the engine with its parts in braces, and the same in words of SQL.
//!
//! The tables of `engine_words` are made of these. In a message `{part}` is kept under its name, `...` may be anything, and what
//! stands between is found as early as possible; a message without `...` at an end begins or ends there. In our words `{part}`
//! is what was kept, and `{part:short}` is the same in the way that `short` names.

use super::Words;
use super::sql_text::in_sql;

pub(super) struct Phrase {
    engine: &'static str,
    ours: &'static str,
    help: Option<&'static str>,
}

/// A message, and what is said instead.
pub(super) const fn said(engine: &'static str, ours: &'static str) -> Phrase {
    Phrase { engine, ours, help: None }
}

impl Phrase {
    pub(super) const fn help(self, help: &'static str) -> Phrase {
        Phrase { help: Some(help), ..self }
    }

    /// Our words for a message, if it is this one.
    pub(super) fn words(&self, message: &str) -> Option<Words> {
        let parts = Captures::of(self.engine, message)?;
        let help = match self.help {
            Some(help) => Some(parts.fill(help)?),
            None => None,
        };
        Some(Words { message: parts.fill(self.ours)?, help })
    }
}

/// What stood in a message where its pattern has braces.
pub(super) struct Captures<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Captures<'a> {
    /// The parts of a message. None if it is not of the pattern.
    pub(super) fn of(pattern: &'static str, message: &'a str) -> Option<Captures<'a>> {
        let mut parts = Vec::new();
        // What a part or an ellipsis takes is known when the text behind it is found.
        let mut open: Option<&'static str> = None;
        let mut rest = message;
        for piece in pieces(pattern) {
            match piece {
                Piece::Part(name) => open = Some(name),
                Piece::Ellipsis => open = Some(""),
                Piece::Text(text) => {
                    let at = match open {
                        None => rest.starts_with(text).then_some(0),
                        Some(_) => rest.find(text),
                    }?;
                    parts.extend(open.take().map(|name| (name, &rest[..at])));
                    rest = &rest[at + text.len()..];
                }
            }
        }
        match open {
            Some(name) => parts.push((name, rest)),
            None if !rest.is_empty() => return None,
            None => {}
        }
        Some(Captures(parts))
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(part, _)| *part == name).map(|(_, text)| *text)
    }

    /// Our words with the parts in them.
    fn fill(&self, ours: &'static str) -> Option<String> {
        let mut out = String::new();
        for piece in pieces(ours) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Ellipsis => out.push_str(ELLIPSIS),
                Piece::Part(part) => {
                    let (name, way) = part.split_once(':').unwrap_or((part, ""));
                    out.push_str(&written(self.get(name)?, way)?);
                }
            }
        }
        Some(out)
    }
}

/// A part the way our words ask for.
fn written(part: &str, way: &str) -> Option<String> {
    Some(match way {
        "" => part.to_string(),
        "capitals" => part.to_uppercase(),
        "name" => part.trim_matches(['\'', '`', '"', '(', ')']).to_uppercase(),
        "short" => short(part),
        "sql" => in_sql(part),
        "trimmed" => part.trim().to_string(),
        "last word" => part.rsplit(' ').next().unwrap_or_default().to_string(),
        "counted from 1" => (part.parse::<usize>().ok()? + 1).to_string(),
        _ => return None,
    })
}

/// A name of a column without its table, a call in capitals.
fn short(name: &str) -> String {
    let name = in_sql(name);
    match name.split_once('(') {
        Some((call, _)) if !call.is_empty() && call.chars().all(|c| c.is_alphanumeric() || c == '_') => call.to_uppercase(),
        _ => name.rsplit('.').next().unwrap_or(&name).trim_matches(['(', ')', '"', '`']).to_string(),
    }
}

const ELLIPSIS: &str = "...";

enum Piece {
    Text(&'static str),
    /// A part by its name.
    Part(&'static str),
    Ellipsis,
}

/// A pattern taken apart.
fn pieces(pattern: &'static str) -> impl Iterator<Item = Piece> {
    let mut rest = pattern;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(behind) = rest.strip_prefix(ELLIPSIS) {
            rest = behind;
            return Some(Piece::Ellipsis);
        }
        if let Some((name, behind)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            rest = behind;
            return Some(Piece::Part(name));
        }
        let end = [rest.find(ELLIPSIS), rest[1..].find('{').map(|at| at + 1)].into_iter().flatten().min().unwrap_or(rest.len());
        let (text, behind) = rest.split_at(end);
        rest = behind;
        Some(Piece::Text(text))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{calls, clauses, operators, unsupported};
    use super::*;

    #[test]
    fn parts_are_kept_and_written() {
        const PHRASE: Phrase =
            said("...no '{what}' in {where}", "'{what:name}' is not in {where:short}").help("see row {row:counted from 1}");
        assert_eq!(PHRASE.words("no 'sum' in t.a"), None, "the help names a part that the message has not");
        const PLAIN: Phrase = said("...no '{what}' in {where}", "'{what:name}' is not in {where:short}");
        assert_eq!(PLAIN.words("there is no 'sum' in t.a").map(|w| w.message).as_deref(), Some("'SUM' is not in a"));
        for (pattern, text, is_of_it) in [
            ("at the start...", "at the start of a text", true),
            ("at the start...", "not at the start", false),
            ("{all} at the end", "this is at the end", true),
            ("{all} at the end", "at the end, or not", false),
            ("all of it", "all of it", true),
            ("all of it", "all of it and more", false),
        ] {
            assert_eq!(Captures::of(pattern, text).is_some(), is_of_it, "{pattern} and {text}");
        }
    }

    #[test]
    fn every_phrase_has_the_parts_that_it_writes() {
        for phrase in [unsupported::PHRASES, clauses::PHRASES, operators::PHRASES, calls::PHRASES].into_iter().flatten() {
            let kept: Vec<(&str, &str)> = pieces(phrase.engine)
                .filter_map(|piece| match piece {
                    Piece::Part(name) => Some((name, "1")),
                    Piece::Text(_) | Piece::Ellipsis => None,
                })
                .collect();
            let parts = Captures(kept);
            assert!(parts.fill(phrase.ours).is_some(), "{}", phrase.ours);
            assert!(phrase.help.is_none_or(|help| parts.fill(help).is_some()), "{:?}", phrase.help);
        }
    }
}
