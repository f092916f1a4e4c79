//! Statements of Flink that do nothing here, and those that cannot be done.
//!
//! Called by `parse` before anything else reads a statement. What always holds: a statement that is
//! left out does not change what the file's queries give; what would is refused at its place, with
//! what to do instead.

use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::{begins, here};
use crate::sql::error::SqlError;

/// First words of statements that have no effect on results, and why none is needed.
const LEFT_OUT: [(&[&str], &str); 18] = [
    (&["SHOW"], "`paceline check` shows tables and plans"),
    (&["DESCRIBE"], "`paceline check` shows columns and types"),
    (&["DESC"], "`paceline check` shows columns and types"),
    (&["HELP"], "`paceline --help` does"),
    (&["CLEAR"], "there is no screen to clear"),
    (&["QUIT"], "a file ends where it ends"),
    (&["EXIT"], "a file ends where it ends"),
    (&["ANALYZE"], "plans need no statistics"),
    (&["ADD", "JAR"], "connectors and formats are built in, and no JAR is read"),
    (&["REMOVE", "JAR"], "no JAR is read"),
    (&["LOAD", "MODULE"], "the functions are those of `queries/FUNCTIONS.md`"),
    (&["UNLOAD", "MODULE"], "the functions are those of `queries/FUNCTIONS.md`"),
    (&["USE", "MODULES"], "the functions are those of `queries/FUNCTIONS.md`"),
    (&["ALTER", "DATABASE"], "a database is a name"),
    (&["ALTER", "CATALOG"], "a catalog is a name"),
    (&["DROP", "DATABASE"], "a database is a name"),
    (&["DROP", "CATALOG"], "a catalog is a name"),
    (&["CALL"], "a procedure is called where its catalog is"),
];

/// Statements that would have to do something, and what to do instead.
const REFUSED: [(&[&str], &str); 12] = [
    (
        &["TRUNCATE"],
        "empty the table where it is kept, or start with --fresh on another state directory",
    ),
    (&["UPDATE"], "a stream changes rows by INSERT INTO a table with a PRIMARY KEY"),
    (&["DELETE"], "a stream deletes rows by INSERT INTO a table with a PRIMARY KEY"),
    (&["MERGE"], "write INSERT INTO a table with a PRIMARY KEY"),
    (
        &["COMPILE", "PLAN"],
        "`paceline check` shows the plan; state is compared with it at each start",
    ),
    (&["COMPILE", "AND"], "`paceline run` plans and runs the file"),
    (&["EXECUTE", "PLAN"], "`paceline run` plans and runs the file"),
    (&["STOP", "JOB"], "stop the process with SIGTERM: it takes a last checkpoint"),
    (&["INSERT", "OVERWRITE"], "write INSERT INTO: rows are added while they stream"),
    (
        &["ALTER", "MATERIALIZED", "TABLE"],
        "it is filled as long as the run lasts: stop and start the run, or change its query",
    ),
    (&["CREATE", "MODEL"], "ask the model outside, and look its answers up"),
    (&["CREATE", "CONNECTION"], "write what it holds into the table's WITH"),
];

/// Reads a statement that is left out, and says so; None if it is another one. Errors: it cannot
/// be left out.
pub(super) fn left_out(parser: &mut Parser) -> Result<Option<String>, SqlError> {
    if let Some((words, instead)) = REFUSED.iter().find(|(words, _)| begins(parser, words)) {
        let place = here(parser);
        let error = SqlError::new(format!("{} is not supported", words.join(" ")));
        return Err(error.at(Some(place)).help(*instead));
    }
    let Some((words, why)) = LEFT_OUT.iter().find(|(words, _)| begins(parser, words)) else {
        return Ok(None);
    };
    let line = here(parser).line;
    while !matches!(parser.peek_token_ref().token, Token::SemiColon | Token::EOF) {
        parser.advance_token();
    }
    Ok(Some(format!("line {line}: {} does nothing here: {why}", words.join(" "))))
}
