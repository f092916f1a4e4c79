//! CREATE, ALTER and DROP FUNCTION.
//!
//! Called by `parse`. Two forms are read: Flink's, which names code for its JVM or Python, and that of
//! the SQL standard, whose body is an expression: `CREATE FUNCTION f(x BIGINT) RETURNS BIGINT RETURN
//! x + 1`, as PostgreSQL and Databricks have it; the body may stand in quotes (`LANGUAGE SQL AS $$ x + 1
//! $$`). What always holds: a function is known by the last
//! part of its name.

use sqlparser::ast::{Expr, Ident};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

use super::{create, data_type, here, is_word, session, table_name, word};
use crate::sql::dialect::FlinkDialect;
use crate::sql::statement::{CreateFunction, FunctionBody, Statement};
use crate::sql::types::nested;

const DOLLARS: &str = "$$";

/// Behind CREATE ... FUNCTION.
pub(super) fn create(parser: &mut Parser, is_replaced: bool) -> Result<Statement, ParserError> {
    let if_not_exists = create::if_not_exists(parser);
    let name = name(parser)?;
    let body = if parser.peek_token_ref().token == Token::LParen {
        sql_body(parser)?
    } else {
        code(parser)?
    };
    Ok(Statement::CreateFunction(CreateFunction { name, if_not_exists, is_replaced, body }))
}

/// ALTER [TEMPORARY [SYSTEM]] FUNCTION, behind ALTER; None if something else is altered.
pub(super) fn alter(parser: &mut Parser) -> Result<Option<Statement>, ParserError> {
    if !consume_function(parser) {
        return Ok(None);
    }
    let _ = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let name = name(parser)?;
    let body = code(parser)?;
    let function = CreateFunction { name, if_not_exists: false, is_replaced: true, body };
    Ok(Some(Statement::CreateFunction(function)))
}

/// DROP [TEMPORARY [SYSTEM]] FUNCTION, behind DROP; None if something else is dropped.
pub(super) fn drop(parser: &mut Parser) -> Result<Option<Statement>, ParserError> {
    if !consume_function(parser) {
        return Ok(None);
    }
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    Ok(Some(Statement::DropFunction { name: name(parser)?, if_exists }))
}

/// FUNCTION, with the words that may stand before it.
fn consume_function(parser: &mut Parser) -> bool {
    let words =
        [&["FUNCTION"][..], &["TEMPORARY", "FUNCTION"], &["TEMPORARY", "SYSTEM", "FUNCTION"]];
    let is_there = |words: &&&[&str]| {
        words.iter().enumerate().all(|(i, word)| {
            matches!(&parser.peek_nth_token_ref(i).token, Token::Word(w) if w.value.eq_ignore_ascii_case(word))
        })
    };
    let Some(found) = words.iter().find(is_there) else { return false };
    let count = found.len();
    (0..count).for_each(|_| parser.advance_token());
    true
}

fn name(parser: &mut Parser) -> Result<Ident, ParserError> {
    let name = table_name(parser)?;
    let last = session::last_part(&name.value).to_string();
    Ok(Ident { value: last, ..name })
}

/// `(x BIGINT, ...) RETURNS type [LANGUAGE SQL] RETURN expression`, or AS and the expression in quotes.
fn sql_body(parser: &mut Parser) -> Result<FunctionBody, ParserError> {
    let mut parameters = Vec::new();
    parser.expect_token(&Token::LParen)?;
    while !parser.consume_token(&Token::RParen) {
        let name = parser.parse_identifier()?;
        parameters.push((name, data_type::data_type(parser)?));
        if !parser.consume_token(&Token::Comma) {
            parser.expect_token(&Token::RParen)?;
            break;
        }
    }
    if !word(parser, "RETURNS") {
        return parser.expected("RETURNS and a type after the parameters", parser.peek_token());
    }
    let returns = data_type::data_type(parser)?;
    let _ = word(parser, "DETERMINISTIC");
    if word(parser, "LANGUAGE") && !word(parser, "SQL") {
        return parser.expected("SQL, in which the body is written", parser.peek_token());
    }
    let (body, place) = if word(parser, "RETURN") {
        let place = here(parser);
        (parser.parse_expr()?, place)
    } else if parser.parse_keyword(Keyword::AS) {
        let place = here(parser);
        (quoted(parser)?, place)
    } else {
        return parser.expected("RETURN and an expression", parser.peek_token());
    };
    Ok(FunctionBody::Sql { parameters, returns, body: Box::new(body), place })
}

/// `$$ expression $$` or `'expression'`, with the places that it has in the file. Dollars are letters
/// in Flink SQL, so that the two are words.
fn quoted(parser: &mut Parser) -> Result<Expr, ParserError> {
    if word(parser, DOLLARS) {
        let body = parser.parse_expr()?;
        if !word(parser, DOLLARS) {
            return parser.expected("a blank and $$ behind the expression", parser.peek_token());
        }
        return Ok(body);
    }
    let start = parser.peek_token_ref().span.start;
    let Token::SingleQuotedString(text) = parser.next_token().token else {
        parser.prev_token();
        return parser.expected("$$ expression $$, with blanks", parser.peek_token());
    };
    let mut tokens = Tokenizer::new(&FlinkDialect, &text)
        .tokenize_with_location()
        .map_err(|e| ParserError::TokenizerError(e.to_string()))?;
    for at in tokens.iter_mut().flat_map(|token| [&mut token.span.start, &mut token.span.end]) {
        if at.line == 1 {
            // Behind the quote.
            at.column += start.column;
        }
        at.line += start.line - 1;
    }
    let mut inner = Parser::new(&FlinkDialect).with_tokens_with_locations(nested::collapse(tokens));
    let body = inner.parse_expr()?;
    inner.expect_token(&Token::EOF)?;
    Ok(body)
}

/// `AS 'class' [LANGUAGE JAVA] [USING JAR 'a.jar', ...] [WITH (...)]`.
fn code(parser: &mut Parser) -> Result<FunctionBody, ParserError> {
    if !parser.parse_keyword(Keyword::AS) {
        return parser.expected(
            "(parameters) RETURNS type RETURN expression, or AS 'class'",
            parser.peek_token(),
        );
    }
    let class = parser.parse_literal_string()?;
    if word(parser, "LANGUAGE") {
        parser.parse_identifier()?;
    }
    if parser.parse_keyword(Keyword::USING) {
        loop {
            if !(is_word(parser, "JAR") || is_word(parser, "ARTIFACT") || is_word(parser, "FILE")) {
                return parser.expected("JAR and its path", parser.peek_token());
            }
            parser.advance_token();
            parser.parse_literal_string()?;
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    }
    if parser.parse_keyword(Keyword::WITH) {
        create::options(parser)?;
    }
    Ok(FunctionBody::Code { class })
}
