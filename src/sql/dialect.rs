//! How Flink SQL is tokenised and where its grammar differs from what sqlparser knows.
//!
//! `TABLE src [PARTITION BY k]` as a function argument becomes a call of the name [`TABLE_ARGUMENT`], which `window_tvf` understands;
//! `DESCRIPTOR(ts)` is an ordinary call already.

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// The function name that stands for `TABLE name` as an argument.
pub const TABLE_ARGUMENT: &str = "__table_argument";

#[derive(Debug)]
pub struct FlinkDialect;

impl Dialect for FlinkDialect {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_' || ch == '$'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    /// `x BETWEEN SYMMETRIC a AND b` takes its bounds in either order; ASYMMETRIC says what is meant anyway.
    fn parse_infix(&self, parser: &mut Parser, left: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        let is = |at: usize, name: &str| matches!(&parser.peek_nth_token_ref(at).token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(name));
        let negated = is(0, "NOT");
        let at = usize::from(negated);
        let symmetric = is(at + 1, "SYMMETRIC");
        if !is(at, "BETWEEN") || !(symmetric || is(at + 1, "ASYMMETRIC")) {
            return None;
        }
        for _ in 0..at + 2 {
            parser.advance_token();
        }
        Some(parser.parse_between(left.clone(), negated).map(|between| match between {
            Expr::Between { expr, negated, low, high } if symmetric => {
                let swapped = Expr::Between { expr: expr.clone(), negated, low: high.clone(), high: low.clone() };
                let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
                let given = Expr::Between { expr, negated, low, high };
                Expr::Nested(Box::new(Expr::BinaryOp { left: Box::new(given), op, right: Box::new(swapped) }))
            }
            other => other,
        }))
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        if let Some(call) = json_aggregate(parser) {
            return Some(call);
        }
        if !parser.peek_keyword(Keyword::TABLE) || !matches!(parser.peek_nth_token(1).token, Token::Word(_)) {
            return None;
        }
        parser.advance_token();
        Some(parser.parse_object_name(false).and_then(|name| {
            let argument = Expr::CompoundIdentifier(name.0.iter().filter_map(|p| p.as_ident().cloned()).collect());
            let args = std::iter::once(argument).chain(partition_columns(parser)?).collect();
            Ok(call(TABLE_ARGUMENT.into(), args))
        }))
    }
}

fn call(name: Ident, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|a| FunctionArg::Unnamed(FunctionArgExpr::Expr(a))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// `JSON_ARRAYAGG(v [{NULL | ABSENT} ON NULL])` and `JSON_OBJECTAGG([KEY] k VALUE v [...])` become calls of the name with
/// what is to be done with NULLs, and `_json` where the value is JSON already, made by a JSON function.
fn json_aggregate(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let word = |parser: &Parser, at: usize| match &parser.peek_nth_token_ref(at).token {
        Token::Word(w) if w.quote_style.is_none() => Some(w.value.to_uppercase()),
        _ => None,
    };
    let name = word(parser, 0).filter(|name| matches!(name.as_str(), "JSON_ARRAYAGG" | "JSON_OBJECTAGG"))?;
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
            if word(parser, 0).is_some_and(|w| w == "KEY") && word(parser, 1).is_none_or(|w| w != "VALUE") {
                parser.advance_token();
            }
            args.push(parser.parse_expr()?);
            if !word(parser, 0).is_some_and(|w| w == "VALUE") {
                return parser.expected("VALUE", parser.peek_token());
            }
            parser.advance_token();
        }
        let value = parser.parse_expr()?;
        let is_json = matches!(&value, Expr::Function(f)
            if matches!(f.name.to_string().to_uppercase().as_str(), "JSON_OBJECT" | "JSON_ARRAY" | "JSON"));
        args.push(value);
        let mut keeps_nulls = is_object;
        if let Some(first @ ("NULL" | "ABSENT")) = word(parser, 0).as_deref() {
            keeps_nulls = first == "NULL";
            parser.advance_token();
            parser.expect_keyword_is(Keyword::ON)?;
            parser.expect_keyword_is(Keyword::NULL)?;
        }
        parser.expect_token(&Token::RParen)?;
        let (nulls, json) = (if keeps_nulls { "null" } else { "absent" }, if is_json { "_json" } else { "" });
        Ok(call(Ident::with_span(place, format!("{}_{nulls}{json}", name.to_lowercase())), args))
    };
    Some(parse())
}

/// `PARTITION BY k` or `PARTITION BY (a, b)` after `TABLE name`.
fn partition_columns(parser: &mut Parser) -> Result<Vec<Expr>, ParserError> {
    if !parser.parse_keywords(&[Keyword::PARTITION, Keyword::BY]) {
        return Ok(vec![]);
    }
    let names = if parser.consume_token(&Token::LParen) {
        let names = parser.parse_comma_separated(Parser::parse_identifier)?;
        parser.expect_token(&Token::RParen)?;
        names
    } else {
        vec![parser.parse_identifier()?]
    };
    Ok(names.into_iter().map(Expr::Identifier).collect())
}
