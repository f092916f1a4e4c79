//! `(ts - t2) DAY TO SECOND`: how is the difference of two times written, and which kind of
//! interval is it?
//!
//! `dialect` asks [`precedence`] and [`infix`] behind every `)`. What comes out is a call of
//! [`NAME`] with both times and the kind in text. Of the units that are written only the kind
//! counts, as in Flink: `(ts - t2) HOUR` has its minutes too.

use sqlparser::ast::{BinaryOperator, Expr, Value};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::functions::intervals::{Family, NAME};
use crate::sql::syntax::call;

/// Units from the largest, with the kind of interval they make.
const UNITS: [(&str, Family); 8] = [
    ("YEAR", Family::Months),
    ("QUARTER", Family::Months),
    ("MONTH", Family::Months),
    ("WEEK", Family::Milliseconds),
    ("DAY", Family::Milliseconds),
    ("HOUR", Family::Milliseconds),
    ("MINUTE", Family::Milliseconds),
    ("SECOND", Family::Milliseconds),
];

/// Above all operators: what stands before it is in parentheses.
const PRECEDENCE: u8 = 100;

/// The precedence of a unit of time behind a parenthesis; None for other tokens. Flink's units are
/// reserved words, so this is never a name.
pub(crate) fn precedence(parser: &Parser) -> Option<u8> {
    let behind = parser.get_current_token().token == Token::RParen;
    (behind && unit_at(&parser.peek_token_ref().token).is_some()).then_some(PRECEDENCE)
}

/// The difference that a unit makes of `left`.
pub(crate) fn infix(parser: &mut Parser, left: &Expr) -> Option<Result<Expr, ParserError>> {
    precedence(parser)?;
    Some(difference(parser, left))
}

fn difference(parser: &mut Parser, left: &Expr) -> Result<Expr, ParserError> {
    let minus = match left {
        Expr::Nested(inner) => match inner.as_ref() {
            Expr::BinaryOp { left, op: BinaryOperator::Minus, right } => Some((left, right)),
            _ => None,
        },
        _ => None,
    };
    let Some((later, earlier)) = minus else {
        return parser.expected("(<time> - <time>) before a unit of time", parser.peek_token());
    };
    let (from, family) = unit(parser)?;
    if matches!(&parser.peek_token_ref().token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case("to"))
    {
        parser.advance_token();
        let place = parser.peek_token();
        let (to, of) = unit(parser)?;
        if of != family || to <= from {
            return parser.expected("a smaller unit of the same kind after TO", place);
        }
    }
    let kind = Expr::Value(Value::SingleQuotedString(family.name().into()).into());
    Ok(call(NAME, vec![later.as_ref().clone(), earlier.as_ref().clone(), kind]))
}

/// A unit with its digits, `DAY(3)`, which change nothing.
fn unit(parser: &mut Parser) -> Result<(usize, Family), ParserError> {
    let Some(at) = unit_at(&parser.peek_token_ref().token) else {
        return parser.expected("a unit of time", parser.peek_token());
    };
    parser.advance_token();
    if parser.consume_token(&Token::LParen) {
        parser.parse_comma_separated(Parser::parse_literal_uint)?;
        parser.expect_token(&Token::RParen)?;
    }
    Ok((at, UNITS[at].1))
}

fn unit_at(token: &Token) -> Option<usize> {
    match token {
        Token::Word(w) if w.quote_style.is_none() => {
            UNITS.iter().position(|(name, _)| w.value.eq_ignore_ascii_case(name))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::dialect::FlinkDialect;
    use sqlparser::parser::Parser;

    fn read(text: &str) -> Option<String> {
        let mut parser = Parser::new(&FlinkDialect).try_with_sql(text).expect("tokens");
        let expression = parser.parse_expr().ok()?;
        (parser.peek_token_ref().token == sqlparser::tokenizer::Token::EOF)
            .then(|| expression.to_string())
    }

    #[test]
    fn the_unit_says_the_kind() {
        for (text, expected) in [
            ("(a - b) DAY TO SECOND", Some("(time_difference)(a, b, 'SECOND(3)')")),
            ("(a - b) hour", Some("(time_difference)(a, b, 'SECOND(3)')")),
            ("(a - b) DAY(3) TO SECOND(3)", Some("(time_difference)(a, b, 'SECOND(3)')")),
            ("(a - b) YEAR TO MONTH", Some("(time_difference)(a, b, 'MONTH')")),
            ("c + (a - b) MONTH", Some("c + (time_difference)(a, b, 'MONTH')")),
            ("2 * (a - b - c) DAY > d", Some("2 * (time_difference)(a - b, c, 'SECOND(3)') > d")),
            ("(a - b) YEAR TO DAY", None),
            ("(a - b) SECOND TO DAY", None),
            ("(a + b) DAY", None),
            ("f(a) DAY", None),
        ] {
            assert_eq!(read(text).as_deref(), expected, "{text}");
        }
    }
}
