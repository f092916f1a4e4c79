//! Text to statements.
//!
//! Flink's statements are read here, token by token, over sqlparser's public parser; queries and
//! expressions inside them are sqlparser's. Called by `bind`. What always holds: every statement
//! carries its place in the text.

mod alter;
mod create;
mod data_type;
mod functions;
mod session;
mod settings;
mod show;
mod unsupported;

use std::collections::BTreeMap;

use sqlparser::ast::Ident;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::dialect::FlinkDialect;
use super::error::{SqlError, TextPlace};
use super::hints::Attached;
use super::pattern::within;
use super::variables::Variables;
use super::{hints, rewrite, unicode_text, variables};
use crate::sql::statement::{Placed, Statement};
use crate::sql::types::nested;
use session::Session;

/// A file, read.
pub struct Parsed {
    pub statements: Vec<Placed>,
    /// What the file asks for and is left out: one sentence each.
    pub notes: Vec<String>,
    /// Secrets that stand in hints, which the names of tables show by their numbers.
    pub hint_secrets: Vec<String>,
}

/// Reads all statements of a file.
pub fn parse(text: &str) -> Result<Parsed, SqlError> {
    parse_with(text, None)
}

/// The same with values for the names in its texts. Without them `${NAME}` is a text like others.
pub(super) fn parse_with(text: &str, given: Option<&Variables>) -> Result<Parsed, SqlError> {
    let tokens = Tokenizer::new(&FlinkDialect, text)
        .tokenize_with_location()
        .map_err(|e| SqlError::from_parser(&ParserError::TokenizerError(e.to_string())))?;
    let tokens = match given {
        Some(given) => variables::fill_in(tokens, given)?,
        None => tokens,
    };
    for token in &tokens {
        if let Token::DoubleQuotedString(name) = &token.token {
            let place = TextPlace { line: token.span.start.line, column: token.span.start.column };
            let error = SqlError::new(format!(
                "\"{name}\" is in double quotes, which Flink SQL does not have"
            ))
            .at(Some(place));
            return Err(error.help("quote names with backticks, text with single quotes"));
        }
    }
    let tokens = within::to_definitions(local_time_zones(unicode_text::decode(tokens)?));
    let Attached { tokens, secrets: hint_secrets, notes } = hints::attach(tokens)?;
    let mut parser =
        Parser::new(&FlinkDialect).with_tokens_with_locations(nested::collapse(tokens));
    let mut reading = Reading { notes, ..Reading::default() };
    let end = end_of(text);
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        if parser.peek_token_ref().token == Token::EOF {
            let Reading { statements, session, mut notes, .. } = reading;
            notes.extend(session.notes());
            return Ok(Parsed { statements, notes, hint_secrets });
        }
        reading.set += 1;
        statement_or_set(&mut parser, end, &mut reading)?;
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reading {
    statements: Vec<Placed>,
    session: Session,
    notes: Vec<String>,
    /// The number of the statement, or of the set.
    set: usize,
}

/// Puts `TIMESTAMP_LTZ(p)` for its long form, `TIMESTAMP(p) WITH LOCAL TIME ZONE`, which sqlparser
/// does not read.
fn local_time_zones(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let solid: Vec<usize> =
        (0..tokens.len()).filter(|&i| !matches!(tokens[i].token, Token::Whitespace(_))).collect();
    let word = |at: usize, expected: &str| {
        solid.get(at).is_some_and(
            |&i| matches!(&tokens[i].token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(expected)),
        )
    };
    let mut renamed = Vec::new();
    let mut dropped = Vec::new();
    for at in 0..solid.len() {
        if !word(at, "TIMESTAMP") {
            continue;
        }
        let with = if solid.get(at + 1).is_some_and(|&i| tokens[i].token == Token::LParen) {
            at + 4
        } else {
            at + 1
        };
        if ["WITH", "LOCAL", "TIME", "ZONE"].iter().enumerate().all(|(i, w)| word(with + i, w)) {
            renamed.push(solid[at]);
            dropped.extend_from_slice(&solid[with..with + 4]);
        }
    }
    let each = tokens.into_iter().enumerate().filter(|(i, _)| dropped.binary_search(i).is_err());
    each.map(|(i, token)| match renamed.binary_search(&i) {
        Ok(_) => TokenWithSpan { token: Token::make_word("TIMESTAMP_LTZ", None), ..token },
        Err(_) => token,
    })
    .collect()
}

fn here(parser: &Parser) -> TextPlace {
    let at = parser.peek_token_ref().span.start;
    TextPlace { line: at.line, column: at.column }
}

/// Behind the last character of the text.
fn end_of(text: &str) -> TextPlace {
    let last = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()).last();
    last.map_or(TextPlace { line: 1, column: 1 }, |(i, l)| TextPlace {
        line: i as u64 + 1,
        column: l.trim_end().chars().count() as u64 + 1,
    })
}

/// Where the next token is; None at the end of the file, which has no place in the tokens.
fn end_place(parser: &Parser) -> Option<TextPlace> {
    let place = here(parser);
    (place.line > 0).then_some(place)
}

/// One statement or one set, or an EXPLAIN of either. `end` is the end of the file.
fn statement_or_set(
    parser: &mut Parser,
    end: TextPlace,
    out: &mut Reading,
) -> Result<(), SqlError> {
    let start = here(parser);
    if !parser.parse_keyword(Keyword::EXPLAIN) {
        return one(parser, end, out);
    }
    // What Flink can show besides the plan: it is left out.
    while word(parser, "PLAN")
        || word(parser, "FOR")
        || word(parser, "ESTIMATED_COST")
        || word(parser, "CHANGELOG_MODE")
    {
        let _ = parser.consume_token(&Token::Comma);
    }
    let first = out.statements.len();
    let inner = here(parser);
    one(parser, end, out)?;
    for placed in &mut out.statements[first..] {
        if !matches!(placed.statement, Statement::Insert { .. } | Statement::Select(_)) {
            return Err(
                SqlError::new("EXPLAIN is for INSERT, SELECT and statement sets").at(Some(inner))
            );
        }
        placed.explain = Some(start);
    }
    Ok(())
}

/// One statement, or the statements of one set.
fn one(parser: &mut Parser, end: TextPlace, out: &mut Reading) -> Result<(), SqlError> {
    let start = here(parser);
    let execute = word(parser, "EXECUTE");
    let explained_set = is_word(parser, "STATEMENT")
        && matches!(parser.peek_nth_token(1).token, Token::Word(ref w) if w.keyword == Keyword::SET);
    if execute || explained_set || word(parser, "BEGIN") {
        if !(word(parser, "STATEMENT") && parser.parse_keyword(Keyword::SET)) {
            return Err(SqlError::new("expected STATEMENT SET")
                .at(Some(here(parser)))
                .help("EXECUTE STATEMENT SET BEGIN INSERT ...; INSERT ...; END;"));
        }
        if (execute || explained_set) && !parser.parse_keyword(Keyword::BEGIN) {
            return Err(SqlError::new("expected BEGIN").at(Some(here(parser))));
        }
        let _ = parser.consume_token(&Token::SemiColon);
        while !parser.parse_keyword(Keyword::END) {
            if !parser.peek_keyword(Keyword::INSERT) {
                return Err(SqlError::new(
                    "a statement set holds INSERT statements and ends with END",
                )
                .at(Some(here(parser))));
            }
            one(parser, end, out)?;
            let _ = parser.consume_token(&Token::SemiColon);
        }
        return Ok(());
    }
    let read = match show::statement(parser).transpose() {
        Some(shown) => shown,
        None => {
            if let Some(note) = unsupported::left_out(parser)? {
                out.notes.push(note);
                return Ok(());
            }
            statement(parser)
        }
    };
    let mut statement = read.map_err(|e| {
        let at_end = parser.peek_token_ref().token == Token::EOF;
        SqlError::from_parser(&e).at(Some(if at_end { end } else { start }))
    })?;
    let behind = end_place(parser);
    match &parser.peek_token_ref().token {
        Token::SemiColon | Token::EOF => {}
        Token::Word(word) if word.value.eq_ignore_ascii_case("MATCH_RECOGNIZE") => {
            let message = "MATCH_RECOGNIZE behind a subquery is not supported";
            let error = SqlError::new(message).at(behind);
            return Err(
                error.help("CREATE VIEW v AS the subquery, and write FROM v MATCH_RECOGNIZE (...)")
            );
        }
        other => {
            let message = format!("unexpected {other} after the end of the statement");
            return Err(SqlError::new(message).at(behind).help("statements are separated by ';'"));
        }
    }
    rewrite::statement(&mut statement).map_err(|e| e.at(Some(start)))?;
    out.session.resolve(&mut statement)?;
    out.statements.push(Placed { statement, start, end: behind, set: out.set, explain: None });
    Ok(())
}

/// Whether these words come next, in any case.
fn begins(parser: &Parser, words: &[&str]) -> bool {
    words.iter().enumerate().all(|(i, expected)| {
        matches!(
            &parser.peek_nth_token_ref(i).token,
            Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(expected)
        )
    })
}

/// Consumes a word that sqlparser has no keyword for.
fn word(parser: &mut Parser, expected: &str) -> bool {
    let found = is_word(parser, expected);
    if found {
        parser.advance_token();
    }
    found
}

fn is_word(parser: &Parser, expected: &str) -> bool {
    matches!(&parser.peek_token_ref().token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(expected))
}

/// A name with or without database and catalog, as one identifier; `session` completes it.
fn table_name(parser: &mut Parser) -> Result<Ident, ParserError> {
    let mut name = parser.parse_identifier()?;
    while parser.consume_token(&Token::Period) {
        let part = parser.parse_identifier()?;
        name = Ident { value: session::joined(&name.value, &part.value), ..name };
    }
    Ok(name)
}

fn statement(parser: &mut Parser) -> Result<Statement, ParserError> {
    if let Some(statement) = settings::statement(parser)? {
        return Ok(statement);
    }
    if parser.parse_keyword(Keyword::CREATE) {
        return created(parser);
    }
    if parser.parse_keyword(Keyword::INSERT) {
        return insert(parser);
    }
    if parser.parse_keyword(Keyword::USE) {
        return Ok(match parser.parse_keyword(Keyword::CATALOG) {
            true => Statement::UseCatalog(parser.parse_identifier()?),
            false => Statement::UseDatabase(table_name(parser)?),
        });
    }
    if parser.parse_keyword(Keyword::ALTER) {
        return match functions::alter(parser)? {
            Some(altered) => Ok(altered),
            None => alter::statement(parser),
        };
    }
    if parser.parse_keyword(Keyword::DROP) {
        return match functions::drop(parser)? {
            Some(dropped) => Ok(dropped),
            None => alter::drop(parser),
        };
    }
    if parser.peek_keyword(Keyword::SELECT)
        || parser.peek_keyword(Keyword::WITH)
        || parser.peek_keyword(Keyword::VALUES)
        || parser.peek_token_ref().token == Token::LParen
    {
        return Ok(Statement::Select(parser.parse_query()?));
    }
    parser.expected(
        "SET, CREATE, ALTER, DROP, USE, INSERT INTO, EXECUTE STATEMENT SET, EXPLAIN or SELECT",
        parser.peek_token(),
    )
}

/// What CREATE makes.
fn created(parser: &mut Parser) -> Result<Statement, ParserError> {
    let is_replaced = parser.parse_keywords(&[Keyword::OR, Keyword::REPLACE]);
    if begins(parser, &["OR", "ALTER", "MATERIALIZED"]) {
        parser.advance_token();
        parser.advance_token();
    }
    let temporary = parser.parse_keyword(Keyword::TEMPORARY);
    if begins(parser, &["SYSTEM", "FUNCTION"]) {
        parser.advance_token();
    }
    if parser.parse_keyword(Keyword::FUNCTION) {
        return functions::create(parser, is_replaced);
    }
    if parser.parse_keyword(Keyword::TABLE) {
        return create::create_table(parser);
    }
    if begins(parser, &["MATERIALIZED", "TABLE"]) {
        parser.advance_token();
        parser.advance_token();
        return create::create_materialized_table(parser);
    }
    if parser.parse_keyword(Keyword::VIEW) {
        return create::create_view(parser);
    }
    if !temporary && parser.parse_keyword(Keyword::CATALOG) {
        let if_not_exists = create::if_not_exists(parser);
        let name = parser.parse_identifier()?;
        comment(parser)?;
        let options = match parser.parse_keyword(Keyword::WITH) {
            true => create::options(parser)?,
            false => BTreeMap::new(),
        };
        return Ok(Statement::CreateCatalog { name, options, if_not_exists });
    }
    if !temporary && parser.parse_keyword(Keyword::DATABASE) {
        let if_not_exists = create::if_not_exists(parser);
        let name = table_name(parser)?;
        comment(parser)?;
        if parser.parse_keyword(Keyword::WITH) {
            create::options(parser)?;
        }
        return Ok(Statement::CreateDatabase { name, if_not_exists });
    }
    let what = if temporary {
        "TABLE, VIEW or FUNCTION after CREATE TEMPORARY"
    } else {
        "TABLE, VIEW, TEMPORARY VIEW, FUNCTION, DATABASE or CATALOG after CREATE"
    };
    parser.expected(what, parser.peek_token())
}

fn insert(parser: &mut Parser) -> Result<Statement, ParserError> {
    if !parser.parse_keyword(Keyword::INTO) {
        return parser.expected("INTO", parser.peek_token());
    }
    let table = table_name(parser)?;
    let mut partition = Vec::new();
    if parser.parse_keyword(Keyword::PARTITION) {
        parser.expect_token(&Token::LParen)?;
        loop {
            let column = parser.parse_identifier()?;
            if parser.consume_token(&Token::Eq) {
                partition.push((column, parser.parse_expr()?));
            }
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        parser.expect_token(&Token::RParen)?;
    }
    let columns = if parser.peek_token_ref().token == Token::LParen
        && !matches!(parser.peek_nth_token(1).token, Token::Word(ref w) if w.keyword == Keyword::SELECT || w.keyword == Keyword::WITH)
        && parser.peek_nth_token(1).token != Token::LParen
    {
        create::names(parser)?
    } else {
        vec![]
    };
    Ok(Statement::Insert { table, partition, columns, query: parser.parse_query()? })
}

/// `COMMENT 'text'`, which is left out.
fn comment(parser: &mut Parser) -> Result<(), ParserError> {
    if parser.parse_keyword(Keyword::COMMENT) {
        parser.parse_literal_string()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::ColumnDefKind;

    #[test]
    fn a_table_with_every_kind_of_column() {
        let text =
            "CREATE TABLE t (a BIGINT NOT NULL, `second` INT COMMENT 'x', at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
            ts AS TO_TIMESTAMP_LTZ(a, 3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, PRIMARY KEY (a) NOT ENFORCED)
            PARTITIONED BY (a) WITH ('connector' = 'kinesis', 'x' = 'it''s')";
        let parsed = parse(text).expect("parses").statements;
        let [Placed { statement: Statement::CreateTable(t), .. }] = parsed.as_slice() else {
            panic!("{parsed:?}")
        };
        assert_eq!(t.columns.len(), 4);
        assert!(matches!(&t.columns[0].kind, ColumnDefKind::Physical { not_null: true, .. }));
        assert!(
            matches!(&t.columns[2].kind, ColumnDefKind::Metadata { key: Some(k), is_virtual: true, .. } if k == "timestamp")
        );
        assert!(matches!(&t.columns[3].kind, ColumnDefKind::Computed(_)));
        assert!(t.watermark.is_some() && t.primary_key.len() == 1 && t.partitioned_by.len() == 1);
        assert_eq!(t.options["x"], "it's");
    }

    #[test]
    fn several_statements_and_sets() {
        let text = "SET 'a.b' = 'c'; CREATE TEMPORARY VIEW v AS SELECT 1;
            EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b (x, y) SELECT 1, 2; END; SELECT * FROM v;";
        let kinds: Vec<String> = parse(text)
            .expect("parses")
            .statements
            .iter()
            .map(|p| format!("{:?}", p.statement))
            .collect();
        let starts = ["Set", "CreateView", "Insert", "Insert", "Select"];
        assert_eq!(kinds.len(), starts.len());
        assert!(kinds.iter().zip(starts).all(|(k, s)| k.starts_with(s)), "{kinds:?}");
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, line, column) in [
            ("SELEC 1", 1, 1),
            ("SET 'a' = 'b';\nINSERT t SELECT 1", 2, 8),
            ("CREATE TABLE t (a INT, PRIMARY KEY (a))", 1, 39),
            ("CREATE TABLE t (a INT,\n  b WRONG WRONG)", 2, 11),
            ("SELECT 1 FROM t WHERE", 1, 22),
            ("SELECT 'abc", 1, 8),
        ] {
            let error = parse(text).err().expect(text);
            let place = error.place.unwrap_or_else(|| panic!("{text}: {error:?}"));
            assert!(
                place.line == line && (place.column == column || place.column == 0),
                "{text}: {error:?}"
            );
        }
    }
}
