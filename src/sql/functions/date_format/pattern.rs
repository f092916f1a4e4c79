//! A pattern as tokens: fields and the text between them.
//!
//! Called by `writing` and `reading`. Any letter is a field here: which letters stand for something is for them to say.

use std::iter::Peekable;
use std::str::Chars;

pub(super) enum Token {
    Field(PatternField),
    Text(String),
}

/// A letter, and how often it stands there.
#[derive(Clone, Copy)]
pub(super) struct PatternField {
    pub letter: char,
    pub count: usize,
}

pub(super) fn tokens(pattern: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\'' => {
                Token::Text(quoted(&mut chars).ok_or_else(|| format!("the pattern '{pattern}' has a quote without its end"))?)
            }
            letter if letter.is_ascii_alphabetic() => {
                let mut count = 1;
                while chars.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                Token::Field(PatternField { letter, count })
            }
            other => Token::Text(other.to_string()),
        });
    }
    Ok(out)
}

/// Text up to the quote that ends it, in which two quotes are one. Nothing between quotes is a quote too.
fn quoted(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()? {
            '\'' if chars.next_if_eq(&'\'').is_some() => text.push('\''),
            '\'' => break,
            c => text.push(c),
        }
    }
    Some(if text.is_empty() { "'".into() } else { text })
}
