//! CREATE TABLE and CREATE VIEW, behind these words.
//!
//! Called by `parse`, and by `alter` for the columns, keys and watermarks that a table gets later.

use std::collections::BTreeMap;

use sqlparser::ast::Ident;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::{comment, data_type, is_word, table_name, word};
use crate::sql::statement::{
    ColumnDef, ColumnDefKind, CreateTable, Feature, Like, Statement, Strategy,
};

pub(super) fn names(parser: &mut Parser) -> Result<Vec<Ident>, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let names = parser.parse_comma_separated(Parser::parse_identifier)?;
    parser.expect_token(&Token::RParen)?;
    Ok(names)
}

pub(super) fn if_not_exists(parser: &mut Parser) -> bool {
    parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS])
}

pub(super) fn create_view(parser: &mut Parser) -> Result<Statement, ParserError> {
    let if_not_exists = if_not_exists(parser);
    let name = table_name(parser)?;
    let columns =
        if parser.peek_token_ref().token == Token::LParen { names(parser)? } else { vec![] };
    if parser.parse_keyword(Keyword::COMMENT) {
        parser.parse_literal_string()?;
    }
    parser.expect_keyword_is(Keyword::AS)?;
    Ok(Statement::CreateView { name, columns, query: parser.parse_query()?, if_not_exists })
}

/// CREATE MATERIALIZED TABLE, whose query fills it as long as the run lasts. How fresh it has to be
/// and by what kind of job does not change its rows.
pub(super) fn create_materialized_table(parser: &mut Parser) -> Result<Statement, ParserError> {
    match create(parser, freshness)? {
        Statement::CreateTableAs { table, query } => Ok(Statement::CreateTableAs { table, query }),
        _ => parser.expected("AS SELECT in a MATERIALIZED TABLE", parser.peek_token()),
    }
}

/// `FRESHNESS = INTERVAL '1' MINUTE REFRESH_MODE = CONTINUOUS`, both or one of them or none.
fn freshness(parser: &mut Parser) -> Result<(), ParserError> {
    if word(parser, "FRESHNESS") {
        parser.expect_token(&Token::Eq)?;
        parser.expect_keyword_is(Keyword::INTERVAL)?;
        parser.parse_literal_string()?;
        parser.parse_identifier()?;
    }
    if word(parser, "REFRESH_MODE") {
        parser.expect_token(&Token::Eq)?;
        if !(word(parser, "CONTINUOUS") || word(parser, "FULL")) {
            return parser.expected("CONTINUOUS or FULL", parser.peek_token());
        }
    }
    Ok(())
}

pub(super) fn create_table(parser: &mut Parser) -> Result<Statement, ParserError> {
    create(parser, |_| Ok(()))
}

/// A table; `behind_options` reads what may stand between its options and its query.
fn create(
    parser: &mut Parser,
    behind_options: fn(&mut Parser) -> Result<(), ParserError>,
) -> Result<Statement, ParserError> {
    let mut table = CreateTable {
        if_not_exists: if_not_exists(parser),
        ..CreateTable::named(table_name(parser)?)
    };
    // A table that is like another one, or that takes its columns from a query, need not have
    // columns of its own.
    if parser.consume_token(&Token::LParen) {
        loop {
            table_element(parser, &mut table)?;
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        parser.expect_token(&Token::RParen)?;
    }
    loop {
        if parser.parse_keyword(Keyword::COMMENT) {
            parser.parse_literal_string()?;
        } else if word(parser, "PARTITIONED") {
            parser.expect_keyword_is(Keyword::BY)?;
            table.partitioned_by = names(parser)?;
        } else if word(parser, "DISTRIBUTED") {
            distribution(parser)?;
            table.is_distributed = true;
        } else {
            break;
        }
    }
    if parser.parse_keyword(Keyword::WITH) {
        table.options = options(parser)?;
    }
    behind_options(parser)?;
    if parser.parse_keyword(Keyword::AS) {
        return Ok(Statement::CreateTableAs { table, query: parser.parse_query()? });
    }
    if parser.parse_keyword(Keyword::LIKE) {
        table.like = Some(Like { source: table_name(parser)?, rules: like_rules(parser)? });
    } else if table.columns.is_empty() {
        return parser
            .expected("LIKE or AS SELECT after a table without columns", parser.peek_token());
    }
    Ok(Statement::CreateTable(table))
}

/// `('key' = 'value', ...)`.
pub(super) fn options(parser: &mut Parser) -> Result<BTreeMap<String, String>, ParserError> {
    let mut options = BTreeMap::new();
    parser.expect_token(&Token::LParen)?;
    while !parser.consume_token(&Token::RParen) {
        let key = parser.parse_literal_string()?;
        parser.expect_token(&Token::Eq)?;
        let value = parser.parse_literal_string()?;
        options.insert(key, value);
        if !parser.consume_token(&Token::Comma) {
            parser.expect_token(&Token::RParen)?;
            break;
        }
    }
    Ok(options)
}

/// `BY [HASH | RANGE] (a, ...) [INTO n BUCKETS]` or `INTO n BUCKETS`, behind DISTRIBUTED.
pub(super) fn distribution(parser: &mut Parser) -> Result<(), ParserError> {
    let is_by = parser.parse_keyword(Keyword::BY);
    if is_by {
        let _ = word(parser, "HASH") || word(parser, "RANGE");
        names(parser)?;
    }
    if parser.parse_keyword(Keyword::INTO) {
        parser.parse_literal_uint()?;
        if !word(parser, "BUCKETS") {
            return parser.expected("BUCKETS", parser.peek_token());
        }
    } else if !is_by {
        return parser.expected("BY or INTO after DISTRIBUTED", parser.peek_token());
    }
    Ok(())
}

/// `(INCLUDING ALL EXCLUDING OPTIONS ...)`, with or without commas.
fn like_rules(parser: &mut Parser) -> Result<Vec<(Strategy, Feature)>, ParserError> {
    let mut rules = Vec::new();
    if !parser.consume_token(&Token::LParen) {
        return Ok(rules);
    }
    while !parser.consume_token(&Token::RParen) {
        let strategy = if word(parser, "INCLUDING") {
            Strategy::Including
        } else if word(parser, "EXCLUDING") {
            Strategy::Excluding
        } else if word(parser, "OVERWRITING") {
            Strategy::Overwriting
        } else {
            return parser.expected("INCLUDING, EXCLUDING or OVERWRITING", parser.peek_token());
        };
        let Some(feature) = Feature::parse(&parser.peek_token_ref().token.to_string()) else {
            return parser.expected(
                "ALL, CONSTRAINTS, DISTRIBUTION, GENERATED, METADATA, OPTIONS, PARTITIONS or WATERMARKS",
                parser.peek_token(),
            );
        };
        parser.advance_token();
        rules.push((strategy, feature));
        let _ = parser.consume_token(&Token::Comma);
    }
    Ok(rules)
}

pub(super) fn table_element(
    parser: &mut Parser,
    table: &mut CreateTable,
) -> Result<(), ParserError> {
    if is_word(parser, "WATERMARK")
        && matches!(parser.peek_nth_token(1).token, Token::Word(ref w) if w.keyword == Keyword::FOR)
    {
        if table.watermark.is_some() {
            return parser.expected("at most one WATERMARK", parser.peek_token());
        }
        parser.advance_token();
        parser.expect_keyword_is(Keyword::FOR)?;
        let column = parser.parse_identifier()?;
        parser.expect_keyword_is(Keyword::AS)?;
        table.watermark = Some((column, parser.parse_expr()?));
        return Ok(());
    }
    if parser.parse_keyword(Keyword::CONSTRAINT) {
        parser.parse_identifier()?;
        if !parser.peek_keyword(Keyword::PRIMARY) {
            return parser.expected("PRIMARY KEY", parser.peek_token());
        }
    }
    if parser.parse_keywords(&[Keyword::PRIMARY, Keyword::KEY]) {
        table.primary_key = names(parser)?;
        return not_enforced(parser);
    }
    let name = parser.parse_identifier()?;
    if parser.parse_keyword(Keyword::AS) {
        let expression = parser.parse_expr()?;
        table.columns.push(ColumnDef { name, kind: ColumnDefKind::Computed(expression) });
        return comment(parser);
    }
    let sql_type = data_type::data_type(parser)?;
    let mut not_null = parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]);
    let _ = parser.parse_keyword(Keyword::NULL);
    if word(parser, "METADATA") {
        let key = if parser.parse_keyword(Keyword::FROM) {
            Some(parser.parse_literal_string()?)
        } else {
            None
        };
        let is_virtual = parser.parse_keyword(Keyword::VIRTUAL);
        table
            .columns
            .push(ColumnDef { name, kind: ColumnDefKind::Metadata { sql_type, key, is_virtual } });
        return comment(parser);
    }
    if parser.parse_keywords(&[Keyword::PRIMARY, Keyword::KEY]) {
        table.primary_key = vec![name.clone()];
        not_null = true;
        not_enforced(parser)?;
    }
    table.columns.push(ColumnDef { name, kind: ColumnDefKind::Physical { sql_type, not_null } });
    comment(parser)
}

fn not_enforced(parser: &mut Parser) -> Result<(), ParserError> {
    if parser.parse_keywords(&[Keyword::NOT, Keyword::ENFORCED]) {
        return Ok(());
    }
    parser.expected(
        "NOT ENFORCED after PRIMARY KEY (keys are declared, not checked)",
        parser.peek_token(),
    )
}
