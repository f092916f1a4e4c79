//! What is wrong with the operands of an operator.
//!
//! Where a message has to be looked into to say which operand is wrong, a function takes it apart.

use super::Words;
use super::phrase::{Captures, Phrase, said};
use super::sql_text::{in_sql, type_end};

pub(super) const PHRASES: &[Phrase] = &[
    said(
        "...Unary operator '{operator}' requires a boolean expression, got {type}",
        "'{operator}' takes a condition that is true or false, not {type:sql}",
    ),
    said("...Unary operator '{operator}' only supports...", "'{operator}' takes a number or an INTERVAL"),
];

/// Our words for a message about two operands.
pub(super) fn taken_apart(text: &str) -> Option<Words> {
    [comparison, condition, like].into_iter().find_map(|of| of(text))
}

fn comparison(text: &str) -> Option<Words> {
    let rest = text.strip_prefix("Cannot infer common argument type for comparison operation ")?;
    let (left, op, right) = operands(rest)?;
    Some(Words::new(format!("cannot compare {left} and {right} with '{op}'")).help("did you mean to CAST one of them?"))
}

/// AND and OR.
fn condition(text: &str) -> Option<Words> {
    let rest = text.strip_prefix("Cannot infer common argument type for logical boolean operation ")?;
    let (left, op, right) = operands(rest)?;
    let wrong = if left == "BOOLEAN" { right } else { left };
    Some(Words::new(format!("'{op}' takes conditions that are true or false, not {wrong}")))
}

fn like(text: &str) -> Option<Words> {
    let parts = Captures::of("...to coerce {left} and {right} in LIKE...", text)?;
    let (left, right) = (in_sql(parts.get("left")?), in_sql(parts.get("right")?));
    Some(Words::new(format!("'LIKE' takes text, not {}", if left == "STRING" { right } else { left })))
}

/// `Int64 IS DISTINCT FROM Boolean`, taken apart.
fn operands(text: &str) -> Option<(String, String, String)> {
    let left_end = type_end(text)?;
    let (left, rest) = text.split_at(left_end);
    let rest = rest.trim();
    // The operator ends where the other type begins.
    let at = (0..rest.len())
        .filter(|&i| rest.is_char_boundary(i))
        .find(|&i| (i == 0 || rest[..i].ends_with(' ')) && type_end(&rest[i..]).is_some_and(|end| end == rest.len() - i))?;
    Some((in_sql(left), rest[..at].trim().to_string(), in_sql(&rest[at..])))
}
