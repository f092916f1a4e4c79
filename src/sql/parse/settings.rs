//! SET and RESET, which take keys and values with and without quotes.
//!
//! Called by `parse`. What always holds: a value without quotes is what stands up to the end of the
//! statement, without a blank in it, as in Flink's SQL client.

use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::word;
use crate::sql::statement::Statement;

/// A statement that begins with SET or RESET; None if it begins otherwise.
pub(super) fn statement(parser: &mut Parser) -> Result<Option<Statement>, ParserError> {
    if parser.parse_keyword(Keyword::SET) {
        return set(parser).map(Some);
    }
    if !word(parser, "RESET") {
        return Ok(None);
    }
    if matches!(parser.peek_token_ref().token, Token::SemiColon | Token::EOF) {
        return Ok(Some(Statement::Reset(None)));
    }
    if matches!(parser.peek_token_ref().token, Token::SingleQuotedString(_)) {
        return Ok(Some(Statement::Reset(Some(parser.parse_literal_string()?))));
    }
    Ok(Some(Statement::Reset(Some(unquoted(parser, "a key")?))))
}

fn set(parser: &mut Parser) -> Result<Statement, ParserError> {
    if matches!(parser.peek_token_ref().token, Token::SingleQuotedString(_)) {
        let key = parser.parse_literal_string()?;
        parser.expect_token(&Token::Eq)?;
        return Ok(Statement::Set { key, value: parser.parse_literal_string()? });
    }
    let key = unquoted(parser, "a key, such as 'table.exec.state.ttl'")?;
    parser.expect_token(&Token::Eq)?;
    let value = if matches!(parser.peek_token_ref().token, Token::SingleQuotedString(_)) {
        parser.parse_literal_string()?
    } else {
        unquoted(parser, "a value; one with a blank stands in quotes")?
    };
    Ok(Statement::Set { key, value })
}

/// Words, points, minus signs and numbers up to a blank, a `=` or the end of the statement.
fn unquoted(parser: &mut Parser, expected: &str) -> Result<String, ParserError> {
    let first = parser.peek_token();
    let mut text = String::new();
    loop {
        let next = if text.is_empty() { parser.peek_token() } else { parser.peek_token_no_skip() };
        match next.token {
            Token::Word(_)
            | Token::Number(..)
            | Token::Period
            | Token::Minus
            | Token::Colon
            | Token::Div
            | Token::Mod
            | Token::Plus => {
                text.push_str(&next.token.to_string());
                if text.len() == next.token.to_string().len() {
                    parser.next_token();
                } else {
                    parser.next_token_no_skip();
                }
            }
            _ if text.is_empty() => return parser.expected(expected, first),
            _ => return Ok(text),
        }
    }
}
