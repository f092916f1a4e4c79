//! SHOW and DESCRIBE.
//!
//! Called by `parse`. What is asked for that no file of Flink's tables has (jobs, procedures,
//! partitions of a catalog) is left to `unsupported`, which leaves it out with a note.

use sqlparser::ast::Ident;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};

use super::{table_name, word};
use crate::sql::statement::{NameFilter, Show, Statement};

/// A statement that begins with SHOW, DESCRIBE or DESC; None if it begins otherwise or asks for
/// something else.
pub(super) fn statement(parser: &mut Parser) -> Result<Option<Statement>, ParserError> {
    if super::begins(parser, &["SHOW"]) {
        let Some(what) = asked(parser) else { return Ok(None) };
        return show(parser, what).map(Some);
    }
    let is_described = super::begins(parser, &["DESCRIBE"]) || super::begins(parser, &["DESC"]);
    let others = ["CATALOG", "DATABASE", "FUNCTION", "JOB", "MODEL", "MATERIALIZED", "CONNECTION"];
    let is_other = |kind: &&str| {
        super::begins(parser, &["DESCRIBE", kind]) || super::begins(parser, &["DESC", kind])
    };
    if !is_described || others.iter().any(is_other) {
        return Ok(None);
    }
    parser.advance_token();
    let _ = word(parser, "EXTENDED");
    let name = table_name(parser)?;
    Ok(Some(Statement::Show { what: Show::Columns(name), filter: None }))
}

/// What a SHOW asks for, by its first words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Catalogs,
    CurrentCatalog,
    Databases,
    CurrentDatabase,
    Tables,
    Views,
    UserFunctions,
    Functions,
    CreateTable,
    CreateView,
    Columns,
    Modules,
    FullModules,
    /// Of these a file has none: JARs and models.
    None,
}

fn asked(parser: &mut Parser) -> Option<Asked> {
    let forms: [(&[&str], Asked); 14] = [
        (&["SHOW", "CATALOGS"], Asked::Catalogs),
        (&["SHOW", "CURRENT", "CATALOG"], Asked::CurrentCatalog),
        (&["SHOW", "DATABASES"], Asked::Databases),
        (&["SHOW", "CURRENT", "DATABASE"], Asked::CurrentDatabase),
        (&["SHOW", "TABLES"], Asked::Tables),
        (&["SHOW", "VIEWS"], Asked::Views),
        (&["SHOW", "USER", "FUNCTIONS"], Asked::UserFunctions),
        (&["SHOW", "FUNCTIONS"], Asked::Functions),
        (&["SHOW", "CREATE", "TABLE"], Asked::CreateTable),
        (&["SHOW", "CREATE", "VIEW"], Asked::CreateView),
        (&["SHOW", "COLUMNS"], Asked::Columns),
        (&["SHOW", "MODULES"], Asked::Modules),
        (&["SHOW", "FULL", "MODULES"], Asked::FullModules),
        (&["SHOW", "JARS"], Asked::None),
    ];
    let (words, what) = forms.iter().find(|(words, _)| super::begins(parser, words))?;
    words.iter().for_each(|_| parser.advance_token());
    Some(*what)
}

fn show(parser: &mut Parser, asked: Asked) -> Result<Statement, ParserError> {
    let what = match asked {
        Asked::Catalogs => Show::Catalogs,
        Asked::CurrentCatalog => Show::CurrentCatalog,
        Asked::CurrentDatabase => Show::CurrentDatabase,
        Asked::Databases => Show::Databases(within(parser)?),
        Asked::Tables => Show::Tables(within(parser)?),
        Asked::Views => Show::Views(within(parser)?),
        Asked::UserFunctions => {
            within(parser)?;
            Show::UserFunctions
        }
        Asked::Functions => {
            within(parser)?;
            Show::Functions
        }
        Asked::CreateTable => Show::CreateTable(table_name(parser)?),
        Asked::CreateView => Show::CreateView(table_name(parser)?),
        Asked::Columns => match within(parser)? {
            Some(table) => Show::Columns(table),
            None => return parser.expected("FROM and a table", parser.peek_token()),
        },
        Asked::Modules => Show::Modules,
        Asked::FullModules => Show::FullModules,
        Asked::None => Show::Nothing,
    };
    Ok(Statement::Show { what, filter: filter(parser)? })
}

/// `FROM name` or `IN name`.
fn within(parser: &mut Parser) -> Result<Option<Ident>, ParserError> {
    if parser.parse_keyword(Keyword::FROM) || parser.parse_keyword(Keyword::IN) {
        return table_name(parser).map(Some);
    }
    Ok(None)
}

/// `[NOT] LIKE 'pattern'` or `[NOT] ILIKE 'pattern'`.
fn filter(parser: &mut Parser) -> Result<Option<NameFilter>, ParserError> {
    let is_negated = parser.parse_keyword(Keyword::NOT);
    let ignores_case = parser.parse_keyword(Keyword::ILIKE);
    if !ignores_case && !parser.parse_keyword(Keyword::LIKE) {
        if is_negated {
            return parser.expected("LIKE or ILIKE", parser.peek_token());
        }
        return Ok(None);
    }
    Ok(Some(NameFilter { is_negated, ignores_case, pattern: parser.parse_literal_string()? }))
}
