//! Types in declarations, with the forms of Flink's that sqlparser does not read: `ROW(a INT, b STRING)`
//! for `ROW<a INT, b STRING>`, `INT ARRAY` and `INT MULTISET` for `ARRAY<INT>` and `MULTISET<INT>`.
//!
//! Called by `parse` where a column or a parameter has its type. What always holds: what comes out is
//! a type as `types::nested` names it.

use sqlparser::ast::{DataType as SqlType, Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::{begins, comment, word};

/// The type that comes next.
pub(super) fn data_type(parser: &mut Parser) -> Result<SqlType, ParserError> {
    let mut found = if begins(parser, &["ROW"]) && parser.peek_nth_token(1).token == Token::LParen {
        row(parser)?
    } else {
        parser.parse_data_type()?
    };
    loop {
        let outer = if word(parser, "ARRAY") {
            "ARRAY"
        } else if word(parser, "MULTISET") {
            "MULTISET"
        } else {
            return Ok(found);
        };
        found = named(format!("{outer}<{}>", text(&found)));
    }
}

/// `ROW(name type [NOT NULL] [COMMENT 'text'], ...)`, with the words in angle brackets.
fn row(parser: &mut Parser) -> Result<SqlType, ParserError> {
    parser.advance_token();
    parser.expect_token(&Token::LParen)?;
    let mut fields = Vec::new();
    loop {
        let name = parser.parse_identifier()?;
        let data_type = data_type(parser)?;
        let _ = parser.parse_keywords(&[Keyword::NOT, Keyword::NULL])
            || parser.parse_keyword(Keyword::NULL);
        comment(parser)?;
        fields.push(format!("`{}` {}", name.value, text(&data_type)));
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    parser.expect_token(&Token::RParen)?;
    Ok(named(format!("ROW<{}>", fields.join(", "))))
}

/// A type under the name that stands for it.
fn named(text: String) -> SqlType {
    SqlType::Custom(ObjectName::from(vec![Ident::with_quote('`', text)]), vec![])
}

/// A type as it is written within others.
fn text(data_type: &SqlType) -> String {
    match data_type {
        SqlType::Custom(name, modifiers) if modifiers.is_empty() => {
            let parts = name.0.iter().filter_map(|part| part.as_ident());
            parts.map(|part| part.value.clone()).collect::<Vec<_>>().join(".")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::bind::bind;
    use crate::types::sql_name;

    #[test]
    fn types_are_read_in_all_of_flinks_forms() {
        for (written, wanted) in [
            ("ROW(a INT, b STRING)", "ROW<`a` INT, `b` STRING>"),
            (
                "ROW(a INT NOT NULL COMMENT 'x', b ROW(c TIMESTAMP(3)))",
                "ROW<`a` INT, `b` ROW<`c` TIMESTAMP(3)>>",
            ),
            ("DOUBLE ARRAY", "ARRAY<DOUBLE>"),
            ("ROW(a INT) ARRAY NOT NULL", "ARRAY<ROW<`a` INT>>"),
            ("ROW(m MAP<STRING, INT>) MULTISET", "MULTISET<ROW<`m` MAP<STRING, INT>>>"),
            ("DECIMAL(10, 2) ARRAY ARRAY", "ARRAY<ARRAY<DECIMAL(10, 2)>>"),
        ] {
            let sql = format!("CREATE TABLE t (x {written}) WITH ('connector' = 'print');");
            let script = bind(&sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
            assert_eq!(sql_name(&script.catalog.tables["t"].columns[0].data_type), wanted);
        }
    }
}
