//! How are JSON_VALUE, JSON_QUERY, JSON_EXISTS, JSON_OBJECT, JSON_ARRAY and IS JSON read, which
//! have a grammar of their own?
//!
//! Called by `dialect` before sqlparser sees the words. Each form becomes a call of a function in
//! `functions::json` with its clauses as text. What always holds: what is not one of these forms is
//! left alone.

use sqlparser::ast::{DataType as SqlType, Expr, UnaryOperator, Value};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::functions::json::{self, ARRAY, ARRAY_QUERY, OBJECT};
use crate::sql::syntax::{call, text};

type Parsed<T> = Result<T, ParserError>;

/// Marks a value that is JSON already; `JSON(...)` exists inside JSON_OBJECT and JSON_ARRAY only.
const JSON: &str = "JSON";

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

fn is_word(parser: &Parser, at: usize, word: &str) -> bool {
    matches!(&parser.peek_nth_token_ref(at).token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

fn word(parser: &mut Parser, expected: &str) -> bool {
    let found = is_word(parser, 0, expected);
    if found {
        parser.advance_token();
    }
    found
}

fn words(parser: &mut Parser, expected: &[&str]) -> bool {
    let found = expected.iter().enumerate().all(|(at, w)| is_word(parser, at, w));
    if found {
        expected.iter().for_each(|_| parser.advance_token());
    }
    found
}

/// One of the functions at this place, if there is one.
pub(crate) fn prefix(parser: &mut Parser) -> Option<Parsed<Expr>> {
    if parser.peek_nth_token_ref(1).token != Token::LParen {
        return None;
    }
    let parse: fn(&mut Parser) -> Parsed<Expr> = match &parser.peek_token_ref().token {
        Token::Word(w) if w.quote_style.is_none() => match w.value.to_ascii_uppercase().as_str() {
            "JSON_VALUE" => json_value,
            "JSON_QUERY" => json_query,
            "JSON_EXISTS" => json_exists,
            "JSON_OBJECT" => json_object,
            "JSON_ARRAY" => json_array,
            _ => return None,
        },
        _ => return None,
    };
    parser.advance_token();
    parser.advance_token();
    Some(parse(parser).and_then(|expr| {
        parser.expect_token(&Token::RParen)?;
        Ok(expr)
    }))
}

/// `x IS [NOT] JSON [VALUE | SCALAR | ARRAY | OBJECT]`.
pub(crate) fn infix(parser: &mut Parser, left: &Expr) -> Option<Expr> {
    let negated = words(parser, &["IS", "NOT", JSON]);
    if !negated && !words(parser, &["IS", JSON]) {
        return None;
    }
    let kind = ["VALUE", "SCALAR", "ARRAY", "OBJECT"]
        .into_iter()
        .find(|kind| word(parser, kind))
        .unwrap_or("VALUE");
    let is = call("(is_json)", vec![left.clone(), text(kind)]);
    Some(if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(is) } } else { is })
}

/// The value and the path, which has to be a constant.
fn value_and_path(parser: &mut Parser) -> Parsed<[Expr; 2]> {
    let value = parser.parse_expr()?;
    parser.expect_token(&Token::Comma)?;
    let path = parser.parse_literal_string()?;
    json::check_path(&path).map_err(ParserError::ParserError)?;
    Ok([value, text(path)])
}

fn returning(parser: &mut Parser) -> Parsed<Option<SqlType>> {
    if word(parser, "RETURNING") { parser.parse_data_type().map(Some) } else { Ok(None) }
}

fn json_exists(parser: &mut Parser) -> Parsed<Expr> {
    let [value, path] = value_and_path(parser)?;
    let behavior = ["TRUE", "FALSE", "UNKNOWN", "ERROR"]
        .into_iter()
        .find(|b| words(parser, &[b, "ON", "ERROR"]));
    Ok(call("(json_exists)", vec![value, path, text(behavior.unwrap_or("FALSE"))]))
}

fn json_value(parser: &mut Parser) -> Parsed<Expr> {
    let [value, path] = value_and_path(parser)?;
    let name = match returning(parser)? {
        None | Some(SqlType::Varchar(None) | SqlType::String(None)) => "(json_value)",
        Some(SqlType::Int(_) | SqlType::Integer(_)) => "(json_value int)",
        Some(SqlType::Double(_) | SqlType::DoublePrecision) => "(json_value double)",
        Some(SqlType::Boolean) => "(json_value boolean)",
        Some(other) => {
            let message =
                format!("JSON_VALUE returns STRING, BOOLEAN, INTEGER or DOUBLE, not {other}");
            return Err(ParserError::ParserError(message));
        }
    };
    let (mut on_empty, mut on_error) = (("NULL", null()), ("NULL", null()));
    loop {
        let clause = if word(parser, "DEFAULT") {
            ("DEFAULT", parser.parse_expr()?)
        } else if is_word(parser, 1, "ON") && word(parser, "NULL") {
            ("NULL", null())
        } else if is_word(parser, 1, "ON") && word(parser, "ERROR") {
            ("ERROR", null())
        } else {
            break;
        };
        parser.expect_keyword_is(Keyword::ON)?;
        if word(parser, "EMPTY") {
            on_empty = clause;
        } else if word(parser, "ERROR") {
            on_error = clause;
        } else {
            return parser.expected_ref("EMPTY or ERROR", parser.peek_token_ref());
        }
    }
    Ok(call(name, vec![value, path, text(on_empty.0), on_empty.1, text(on_error.0), on_error.1]))
}

fn json_query(parser: &mut Parser) -> Parsed<Expr> {
    let [value, path] = value_and_path(parser)?;
    let name = match returning(parser)? {
        None | Some(SqlType::Varchar(None) | SqlType::String(None)) => "(json_query)",
        Some(SqlType::Custom(name, _))
            if name.to_string().to_uppercase().replace(['`', ' '], "") == "ARRAY<STRING>" =>
        {
            ARRAY_QUERY.name
        }
        Some(other) => {
            return Err(ParserError::ParserError(format!(
                "JSON_QUERY returns STRING or ARRAY<STRING>, not {other}"
            )));
        }
    };
    let mut wrapper = "WITHOUT";
    for (form, means) in [
        (&["WITHOUT", "ARRAY", "WRAPPER"][..], "WITHOUT"),
        (&["WITHOUT", "WRAPPER"], "WITHOUT"),
        (&["WITH", "CONDITIONAL", "ARRAY", "WRAPPER"], "CONDITIONAL"),
        (&["WITH", "CONDITIONAL", "WRAPPER"], "CONDITIONAL"),
        (&["WITH", "UNCONDITIONAL", "ARRAY", "WRAPPER"], "UNCONDITIONAL"),
        (&["WITH", "UNCONDITIONAL", "WRAPPER"], "UNCONDITIONAL"),
        (&["WITH", "ARRAY", "WRAPPER"], "UNCONDITIONAL"),
        (&["WITH", "WRAPPER"], "UNCONDITIONAL"),
    ] {
        if words(parser, form) {
            wrapper = means;
            break;
        }
    }
    let (mut on_empty, mut on_error) = ("NULL", "NULL");
    loop {
        let forms = [&["NULL"][..], &["ERROR"], &["EMPTY", "ARRAY"], &["EMPTY", "OBJECT"]];
        let names = ["NULL", "ERROR", "EMPTY ARRAY", "EMPTY OBJECT"];
        let found =
            forms.iter().zip(names).find(|(form, _)| words(parser, &[form, &["ON"][..]].concat()));
        let Some((_, clause)) = found else { break };
        if name == ARRAY_QUERY.name && clause == "EMPTY OBJECT" {
            return Err(ParserError::ParserError("an ARRAY cannot be EMPTY OBJECT".into()));
        }
        if word(parser, "EMPTY") {
            on_empty = clause;
        } else if word(parser, "ERROR") {
            on_error = clause;
        } else {
            return parser.expected_ref("EMPTY or ERROR", parser.peek_token_ref());
        }
    }
    Ok(call(name, vec![value, path, text(wrapper), text(on_empty), text(on_error)]))
}

/// `NULL ON NULL` or `ABSENT ON NULL`.
fn nulls(parser: &mut Parser, default: char) -> char {
    if words(parser, &["NULL", "ON", "NULL"]) {
        'N'
    } else if words(parser, &["ABSENT", "ON", "NULL"]) {
        'A'
    } else {
        default
    }
}

/// A value, and whether it is JSON already.
fn element(parser: &mut Parser) -> Parsed<(Expr, char)> {
    if is_word(parser, 0, JSON) && parser.peek_nth_token_ref(1).token == Token::LParen {
        parser.advance_token();
        parser.advance_token();
        let inside = parser.parse_expr()?;
        parser.expect_token(&Token::RParen)?;
        return Ok((inside, 'j'));
    }
    let value = parser.parse_expr()?;
    let is_json = matches!(&value, Expr::Function(f) if [OBJECT, ARRAY].contains(&f.name.to_string().as_str()));
    Ok((value, if is_json { 'j' } else { 'v' }))
}

fn at_end(parser: &Parser) -> bool {
    parser.peek_token_ref().token == Token::RParen
        || ((is_word(parser, 0, "NULL") || is_word(parser, 0, "ABSENT"))
            && is_word(parser, 1, "ON"))
}

fn json_object(parser: &mut Parser) -> Parsed<Expr> {
    let (mut flags, mut args) = (String::new(), vec![]);
    while !at_end(parser) {
        if !args.is_empty() {
            parser.expect_token(&Token::Comma)?;
        }
        let _ = word(parser, "KEY");
        args.push(parser.parse_expr()?);
        if !word(parser, "VALUE") {
            parser.expect_token(&Token::Colon)?;
        }
        let (value, flag) = element(parser)?;
        args.push(value);
        flags.push(flag);
    }
    let flags = format!("{}{flags}", nulls(parser, 'N'));
    args.insert(0, text(flags));
    Ok(call(OBJECT, args))
}

fn json_array(parser: &mut Parser) -> Parsed<Expr> {
    let (mut flags, mut args) = (String::new(), vec![]);
    while !at_end(parser) {
        if !args.is_empty() {
            parser.expect_token(&Token::Comma)?;
        }
        let (value, flag) = element(parser)?;
        args.push(value);
        flags.push(flag);
    }
    let flags = format!("{}{flags}", nulls(parser, 'A'));
    args.insert(0, text(flags));
    Ok(call(ARRAY, args))
}
