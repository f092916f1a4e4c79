//! ALTER and DROP, behind these words.
//!
//! Called by `parse`; what an ALTER TABLE makes of a declaration is in `sql::alter`.

use sqlparser::ast::Ident;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::create::{distribution, names, options, table_element};
use super::{is_word, table_name, word};
use crate::sql::statement::{Change, ColumnPlace, CreateTable, Statement};

fn if_exists(parser: &mut Parser) -> bool {
    parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS])
}

/// DROP of a table or view.
pub(super) fn drop(parser: &mut Parser) -> Result<Statement, ParserError> {
    let _ = parser.parse_keyword(Keyword::TEMPORARY);
    let what = if parser.parse_keyword(Keyword::TABLE) {
        "table"
    } else if parser.parse_keyword(Keyword::VIEW) {
        "view"
    } else {
        return parser.expected(
            "TABLE, VIEW, FUNCTION, DATABASE or CATALOG after DROP",
            parser.peek_token(),
        );
    };
    let if_exists = if_exists(parser);
    Ok(Statement::Drop { what, name: table_name(parser)?, if_exists })
}

/// ALTER TABLE or ALTER VIEW.
pub(super) fn statement(parser: &mut Parser) -> Result<Statement, ParserError> {
    let _ = parser.parse_keyword(Keyword::TEMPORARY);
    if parser.parse_keyword(Keyword::VIEW) {
        let name = table_name(parser)?;
        if parser.parse_keyword(Keyword::AS) {
            return Ok(Statement::ChangeView { name, query: parser.parse_query()? });
        }
        parser.expect_keyword_is(Keyword::RENAME)?;
        parser.expect_keyword_is(Keyword::TO)?;
        return Ok(Statement::RenameView { name, to: table_name(parser)? });
    }
    if !parser.parse_keyword(Keyword::TABLE) {
        return parser.expected("TABLE or VIEW after ALTER", parser.peek_token());
    }
    let if_exists = if_exists(parser);
    let name = table_name(parser)?;
    Ok(Statement::AlterTable { change: change(parser, &name)?, name, if_exists })
}

fn change(parser: &mut Parser, name: &Ident) -> Result<Change, ParserError> {
    if parser.parse_keyword(Keyword::SET) {
        return Ok(Change::Set(options(parser)?));
    }
    if word(parser, "RESET") {
        parser.expect_token(&Token::LParen)?;
        let keys = parser.parse_comma_separated(Parser::parse_literal_string)?;
        parser.expect_token(&Token::RParen)?;
        return Ok(Change::Reset(keys));
    }
    if parser.parse_keyword(Keyword::RENAME) {
        if parser.parse_keyword(Keyword::TO) {
            return Ok(Change::Rename(table_name(parser)?));
        }
        let column = parser.parse_identifier()?;
        parser.expect_keyword_is(Keyword::TO)?;
        return Ok(Change::RenameColumn(column, parser.parse_identifier()?));
    }
    if parser.parse_keyword(Keyword::DROP) {
        return dropped(parser);
    }
    let adds = parser.parse_keyword(Keyword::ADD);
    if !adds && !word(parser, "MODIFY") {
        return parser.expected("ADD, MODIFY, DROP, RENAME, SET or RESET", parser.peek_token());
    }
    if adds {
        let _ = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    }
    if adds && is_word(parser, "PARTITION") {
        partitions(parser)?;
        return Ok(Change::Nothing);
    }
    if word(parser, "DISTRIBUTION") {
        distribution(parser)?;
        return Ok(Change::Nothing);
    }
    let mut parts = CreateTable::named(name.clone());
    let mut places = Vec::new();
    if parser.consume_token(&Token::LParen) {
        loop {
            element(parser, &mut parts, &mut places)?;
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        parser.expect_token(&Token::RParen)?;
    } else {
        element(parser, &mut parts, &mut places)?;
    }
    Ok(if adds { Change::Add(parts, places) } else { Change::Modify(parts, places) })
}

/// A column with its place, a watermark or a key.
fn element(
    parser: &mut Parser,
    parts: &mut CreateTable,
    places: &mut Vec<Option<ColumnPlace>>,
) -> Result<(), ParserError> {
    let before = parts.columns.len();
    table_element(parser, parts)?;
    if parts.columns.len() > before {
        places.push(if word(parser, "FIRST") {
            Some(ColumnPlace::First)
        } else if word(parser, "AFTER") {
            Some(ColumnPlace::After(parser.parse_identifier()?))
        } else {
            None
        });
    }
    Ok(())
}

fn dropped(parser: &mut Parser) -> Result<Change, ParserError> {
    if is_word(parser, "PARTITION") || is_word(parser, "IF") {
        let _ = if_exists(parser);
        partitions(parser)?;
        return Ok(Change::Nothing);
    }
    if word(parser, "DISTRIBUTION") {
        return Ok(Change::Nothing);
    }
    if parser.parse_keywords(&[Keyword::PRIMARY, Keyword::KEY]) {
        return Ok(Change::DropKey);
    }
    if parser.parse_keyword(Keyword::CONSTRAINT) {
        parser.parse_identifier()?;
        return Ok(Change::DropKey);
    }
    if word(parser, "WATERMARK") {
        return Ok(Change::DropWatermark);
    }
    if parser.peek_token_ref().token == Token::LParen {
        return Ok(Change::DropColumns(names(parser)?));
    }
    Ok(Change::DropColumns(vec![parser.parse_identifier()?]))
}

/// `PARTITION (...) WITH (...) PARTITION (...)`, up to the end of the statement.
fn partitions(parser: &mut Parser) -> Result<(), ParserError> {
    while !matches!(parser.peek_token_ref().token, Token::SemiColon | Token::EOF) {
        parser.advance_token();
    }
    Ok(())
}
