//! `PATTERN (...) WITHIN INTERVAL '1' HOUR DEFINE ...`, which sqlparser does not read.
//!
//! Called by `parse` on the tokens of a file. The interval becomes a definition among those of DEFINE,
//! under a name that no SQL variable has; the planner of the pattern takes it out again. What always
//! holds: tokens without WITHIN between PATTERN and DEFINE stay as they are.

use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The name of the definition.
pub(crate) const WITHIN: &str = "(within)";

/// Moves each interval to the definitions behind it.
pub(crate) fn to_definitions(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_word = |token: &TokenWithSpan, word: &str| matches!(&token.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word));
    if !tokens.iter().any(|t| is_word(t, "WITHIN")) {
        return tokens;
    }
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len() + 8);
    let mut rest = tokens.into_iter().peekable();
    // How deep the parentheses of a PATTERN are; None outside of one.
    let mut depth: Option<usize> = None;
    let mut is_behind_pattern = false;
    while let Some(token) = rest.next() {
        if is_behind_pattern && is_word(&token, "WITHIN") {
            let mut interval = Vec::new();
            while let Some(next) = rest.next_if(|next| !is_word(next, "DEFINE")) {
                interval.push(next);
            }
            let Some(define) = rest.next() else {
                out.push(token);
                out.extend(interval);
                break;
            };
            let span = token.span;
            let made = |token| TokenWithSpan { token, span };
            out.push(define);
            out.push(made(Token::make_word(WITHIN, Some('`'))));
            out.push(made(Token::make_keyword("AS")));
            out.extend(interval);
            out.push(made(Token::Comma));
            is_behind_pattern = false;
            continue;
        }
        match (&token.token, depth) {
            (Token::Whitespace(_), _) => {}
            (Token::LParen, Some(deep)) => depth = Some(deep + 1),
            (Token::RParen, Some(1)) => (depth, is_behind_pattern) = (None, true),
            (Token::RParen, Some(deep)) => depth = Some(deep.saturating_sub(1)),
            _ if is_word(&token, "PATTERN") => depth = Some(0),
            (_, Some(0)) => depth = None,
            (_, None) => is_behind_pattern = false,
            _ => {}
        }
        out.push(token);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dialect::FlinkDialect;
    use sqlparser::tokenizer::Tokenizer;

    #[test]
    fn an_interval_becomes_a_definition() {
        let moved = |text: &str| {
            let tokens = Tokenizer::new(&FlinkDialect, text).tokenize_with_location().unwrap();
            let words = to_definitions(tokens)
                .into_iter()
                .filter(|t| !matches!(t.token, Token::Whitespace(_)));
            words.map(|t| t.token.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            moved("PATTERN (A B+? (C D)) WITHIN INTERVAL '1' HOUR DEFINE A AS x"),
            "PATTERN ( A B + ? ( C D ) ) DEFINE `(within)` AS INTERVAL '1' HOUR , A AS x"
        );
        for same in ["SELECT pattern , within FROM t", "PATTERN ( A ) DEFINE A AS within > 1"] {
            assert_eq!(moved(same), same);
        }
    }
}
