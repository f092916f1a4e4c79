//! How are the clauses of JSON_ARRAYAGG and JSON_OBJECTAGG read?
//!
//! Called by `dialect` before sqlparser sees the words. What always holds: what is not one of these
//! calls is left alone.

use sqlparser::ast::{Expr, Ident};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::functions::json;
use crate::sql::syntax::call;

/// `JSON_ARRAYAGG(v [{NULL | ABSENT} ON NULL])` and `JSON_OBJECTAGG([KEY] k VALUE v [...])` become
/// calls of the name with what is to be done with NULLs, and `_json` where the value is JSON
/// already, made by a JSON function.
pub fn parse(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let word = |parser: &Parser, at: usize| match &parser.peek_nth_token_ref(at).token {
        Token::Word(w) if w.quote_style.is_none() => Some(w.value.to_uppercase()),
        _ => None,
    };
    let name = word(parser, 0)
        .filter(|name| matches!(name.as_str(), "JSON_ARRAYAGG" | "JSON_OBJECTAGG"))?;
    if parser.peek_nth_token_ref(1).token != Token::LParen {
        return None;
    }
    let is_object = name == "JSON_OBJECTAGG";
    let place = parser.next_token().span;
    let mut parse = || {
        parser.expect_token(&Token::LParen)?;
        let mut args = Vec::new();
        if is_object {
            // KEY is a word of the call unless a comma or VALUE shows it to be a column.
            if word(parser, 0).is_some_and(|w| w == "KEY")
                && word(parser, 1).is_none_or(|w| w != "VALUE")
            {
                parser.advance_token();
            }
            args.push(parser.parse_expr()?);
            if word(parser, 0).is_none_or(|w| w != "VALUE") {
                return parser.expected("VALUE", parser.peek_token());
            }
            parser.advance_token();
        }
        let value = parser.parse_expr()?;
        let is_json = matches!(&value, Expr::Function(f)
            if f.name.0.first().and_then(|n| n.as_ident()).is_some_and(|n| n.value == json::OBJECT || n.value == json::ARRAY));
        args.push(value);
        let mut keeps_nulls = is_object;
        if let Some(first @ ("NULL" | "ABSENT")) = word(parser, 0).as_deref() {
            keeps_nulls = first == "NULL";
            parser.advance_token();
            parser.expect_keyword_is(Keyword::ON)?;
            parser.expect_keyword_is(Keyword::NULL)?;
        }
        parser.expect_token(&Token::RParen)?;
        let (nulls, json) =
            (if keeps_nulls { "null" } else { "absent" }, if is_json { "_json" } else { "" });
        Ok(call(Ident::with_span(place, format!("{}_{nulls}{json}", name.to_lowercase())), args))
    };
    Some(parse())
}
