//! How Flink SQL is tokenised and where its grammar differs from what sqlparser knows.
//!
//! `TABLE src [PARTITION BY k]` as a function argument becomes a call of the name
//! [`TABLE_ARGUMENT`], which `window_tvf` understands; `DESCRIPTOR(ts)` is an ordinary call
//! already.

use sqlparser::ast::{BinaryOperator, Expr};
use sqlparser::dialect::{Dialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::functions::nested;
use super::{json_aggregates, json_calls, time_difference};
use crate::sql::syntax::call;

/// The function name that stands for `TABLE name` as an argument.
pub(crate) const TABLE_ARGUMENT: &str = "__table_argument";

#[derive(Debug)]
pub(crate) struct FlinkDialect;

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

    /// `ARRAY_AGG(x IGNORE NULLS)`; `rewrite` refuses it elsewhere.
    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    /// `SELECT /*+ STATE_TTL('t' = '1 d') */`.
    fn supports_comment_optimizer_hint(&self) -> bool {
        true
    }

    /// `FOR SYSTEM_TIME AS OF`.
    fn supports_table_versioning(&self) -> bool {
        true
    }

    fn supports_match_recognize(&self) -> bool {
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

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        time_difference::precedence(parser).map(Ok)
    }

    /// `x BETWEEN SYMMETRIC a AND b` takes its bounds in either order; ASYMMETRIC says what is
    /// meant anyway.
    fn parse_infix(
        &self,
        parser: &mut Parser,
        left: &Expr,
        _: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if let Some(is_json) = json_calls::infix(parser, left) {
            return Some(Ok(is_json));
        }
        if let Some(difference) = time_difference::infix(parser, left) {
            return Some(difference);
        }
        if let Some(distinct) = self.distinct(parser, left) {
            return Some(distinct);
        }
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
                let swapped = Expr::Between {
                    expr: expr.clone(),
                    negated,
                    low: high.clone(),
                    high: low.clone(),
                };
                let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
                let given = Expr::Between { expr, negated, low, high };
                Expr::Nested(Box::new(Expr::BinaryOp {
                    left: Box::new(given),
                    op,
                    right: Box::new(swapped),
                }))
            }
            other => other,
        }))
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        if let Some(call) = json_aggregates::parse(parser) {
            return Some(call);
        }
        // `ARRAY[...]` and `MAP[...]`; sqlparser knows the second in other forms only.
        if let Some(parsed) = json_calls::prefix(parser) {
            return Some(parsed);
        }
        for (keyword, name) in [(Keyword::ARRAY, nested::ARRAY), (Keyword::MAP, nested::MAP)] {
            if parser.peek_keyword(keyword) && parser.peek_nth_token_ref(1).token == Token::LBracket
            {
                parser.advance_token();
                parser.advance_token();
                return Some(elements(parser).map(|elements| call(name, elements)));
            }
        }
        if !parser.peek_keyword(Keyword::TABLE)
            || !matches!(parser.peek_nth_token(1).token, Token::Word(_))
        {
            return None;
        }
        parser.advance_token();
        Some(parser.parse_object_name(false).and_then(|name| {
            let argument = Expr::CompoundIdentifier(
                name.0.iter().filter_map(|p| p.as_ident().cloned()).collect(),
            );
            let mut args = vec![argument];
            args.extend(partition_columns(parser)?);
            Ok(call(TABLE_ARGUMENT, args))
        }))
    }
}

impl FlinkDialect {
    /// `x IS [NOT] DISTINCT FROM y`: sqlparser takes everything that follows for `y`, an AND too.
    fn distinct(&self, parser: &mut Parser, left: &Expr) -> Option<Result<Expr, ParserError>> {
        let negated =
            parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]);
        if !negated && !parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) {
            return None;
        }
        let left = Box::new(left.clone());
        Some(parser.parse_subexpr(self.prec_value(Precedence::Is)).map(|right| match negated {
            true => Expr::IsNotDistinctFrom(left, Box::new(right)),
            false => Expr::IsDistinctFrom(left, Box::new(right)),
        }))
    }
}

/// The expressions up to `]`.
fn elements(parser: &mut Parser) -> Result<Vec<Expr>, ParserError> {
    if parser.consume_token(&Token::RBracket) {
        return Ok(vec![]);
    }
    let elements = parser.parse_comma_separated(Parser::parse_expr)?;
    parser.expect_token(&Token::RBracket)?;
    Ok(elements)
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
