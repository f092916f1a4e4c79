//! ARRAY, MAP, ROW and MULTISET: how are they written, and which Arrow types hold them?
//!
//! sqlparser does not read `ROW<p INT>` or `MAP<STRING, INT>`. [`collapse`] turns every such type in the tokens of a file
//! into one quoted name, which sqlparser takes for a type of its own; [`parse`] reads that name. Called by `parse` and
//! `types`. What always holds: two types that Flink calls equal are equal Arrow types: fields inside have the names and
//! nullability that the functions here give them, and no metadata but a MULTISET's mark.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::dialect::FlinkDialect;
use super::types::arrow_field;
use crate::map_keys;

/// Levels that types may be nested: values are read and written recursively.
const DEPTH_MAX: usize = 32;
/// Metadata of the entries of a map that is a MULTISET.
const MULTISET: &str = "paceline.multiset";

/// ARRAY of a type.
pub fn array_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", element, true)))
}

/// MAP of two types.
pub fn map_of(key: DataType, value: DataType) -> DataType {
    DataType::Map(Arc::new(entries(key, value)), false)
}

/// MULTISET of a type: a map of each element to how often it occurs, an INT.
pub fn multiset_of(element: DataType) -> DataType {
    let mark = HashMap::from([(MULTISET.to_string(), "true".to_string())]);
    DataType::Map(Arc::new(entries(element, DataType::Int32).with_metadata(mark)), false)
}

/// ROW of named types.
pub fn row_of(fields: impl IntoIterator<Item = (String, DataType)>) -> DataType {
    DataType::Struct(fields.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect::<Fields>())
}

fn entries(key: DataType, value: DataType) -> Field {
    let fields = vec![map_keys::field(key), Field::new("value", value, true)];
    Field::new("entries", DataType::Struct(fields.into()), false)
}

pub fn is_multiset(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Map(entries, _) if entries.metadata().contains_key(MULTISET))
}

/// The types of a map's keys and values.
pub fn map_types(data_type: &DataType) -> Option<(&DataType, &DataType)> {
    map_keys::types(data_type)
}

/// The SQL name of a nested type, given how its parts are called.
pub fn name(data_type: &DataType, of: &dyn Fn(&DataType) -> String) -> Option<String> {
    Some(match data_type {
        DataType::List(item) => format!("ARRAY<{}>", of(item.data_type())),
        DataType::Struct(fields) => {
            let parts: Vec<String> = fields.iter().map(|f| format!("`{}` {}", f.name(), of(f.data_type()))).collect();
            format!("ROW<{}>", parts.join(", "))
        }
        map => {
            let (key, value) = map_types(map)?;
            if is_multiset(map) { format!("MULTISET<{}>", of(key)) } else { format!("MAP<{}, {}>", of(key), of(value)) }
        }
    })
}

fn opens(token: &Token) -> bool {
    let Token::Word(Word { value, quote_style: None, .. }) = token else { return false };
    ["ARRAY", "MAP", "ROW", "MULTISET"].iter().any(|name| value.eq_ignore_ascii_case(name))
}

/// Puts one quoted name for the tokens of every nested type.
pub fn collapse(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if opens(&tokens[at].token)
            && let Some(end) = type_end(&tokens, at)
        {
            let text: String = tokens[at..end].iter().map(|t| t.token.to_string()).collect();
            out.push(TokenWithSpan { token: Token::make_word(&text, Some('`')), span: tokens[at].span });
            at = end;
            continue;
        }
        out.push(tokens[at].clone());
        at += 1;
    }
    out
}

/// The position after the type that begins at `start`; None if `<` does not follow, or is never closed.
fn type_end(tokens: &[TokenWithSpan], start: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, TokenWithSpan { token, .. }) in tokens.iter().enumerate().skip(start + 1) {
        match token {
            Token::Whitespace(_) => {}
            Token::Lt => depth += 1,
            _ if depth == 0 => return None,
            Token::Gt | Token::ShiftRight => {
                depth = depth.checked_sub(if *token == Token::Gt { 1 } else { 2 })?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            Token::SemiColon => return None,
            _ => {}
        }
    }
    None
}

/// True if the name of a type that sqlparser does not know is one that [`collapse`] made.
pub fn is_nested(text: &str) -> bool {
    text.ends_with('>') && text.contains('<')
}

/// The Arrow type of a nested type in text.
pub fn parse(text: &str) -> Result<DataType, String> {
    read(text).map(|(data_type, _)| data_type)
}

/// The same as the target of a CAST, which would have to cut and pad what is inside: that is not supported.
pub fn check_cast(text: &str) -> Result<(), String> {
    match read(text)? {
        (_, false) => Ok(()),
        (_, true) => Err(format!(
            "a CAST to {text}, with lengths or precisions inside, is not supported: use STRING, BYTES or TIMESTAMP(3)"
        )),
    }
}

/// The type, and whether a part of it has a length or a precision that the Arrow type does not keep.
fn read(text: &str) -> Result<(DataType, bool), String> {
    // `>>` closes two types.
    let wrong = |e: sqlparser::parser::ParserError| format!("type '{text}': {e}");
    let tokens =
        sqlparser::tokenizer::Tokenizer::new(&FlinkDialect, text).tokenize().map_err(|e| format!("type '{text}': {e}"))?;
    let split = tokens.into_iter().flat_map(|token| match token {
        Token::ShiftRight => vec![Token::Gt, Token::Gt],
        other => vec![other],
    });
    let mut parser = Parser::new(&FlinkDialect).with_tokens(split.collect());
    let mut exact = false;
    let parsed = one(&mut parser, 0, &mut exact)?;
    parser.expect_token(&Token::EOF).map_err(wrong)?;
    Ok((parsed, exact))
}

fn one(parser: &mut Parser, depth: usize, exact: &mut bool) -> Result<DataType, String> {
    if depth > DEPTH_MAX {
        return Err(format!("a type is nested more than {DEPTH_MAX} levels deep"));
    }
    let name = match &parser.peek_token_ref().token {
        token if !opens(token) => None,
        Token::Word(word) => Some(word.value.to_uppercase()),
        _ => None,
    };
    let text = |e: sqlparser::parser::ParserError| e.to_string();
    let parsed = match name {
        None => {
            let field = arrow_field(&parser.parse_data_type().map_err(text)?)?;
            *exact |= !field.metadata().is_empty();
            field.data_type().clone()
        }
        Some(name) => {
            parser.advance_token();
            parser.expect_token(&Token::Lt).map_err(text)?;
            let parsed = match name.as_str() {
                "ARRAY" => array_of(one(parser, depth + 1, exact)?),
                "MULTISET" => multiset_of(one(parser, depth + 1, exact)?),
                "MAP" => {
                    let key = one(parser, depth + 1, exact)?;
                    parser.expect_token(&Token::Comma).map_err(text)?;
                    map_of(key, one(parser, depth + 1, exact)?)
                }
                _ => {
                    let mut fields = Vec::new();
                    loop {
                        let name = parser.parse_identifier().map_err(text)?.value;
                        let data_type = one(parser, depth + 1, exact)?;
                        if fields.iter().any(|(known, _)| *known == name) {
                            return Err(format!("a ROW has the field '{name}' twice"));
                        }
                        fields.push((name, data_type));
                        if matches!(parser.peek_token_ref().token, Token::SingleQuotedString(_)) {
                            parser.advance_token();
                        }
                        if !parser.consume_token(&Token::Comma) {
                            break row_of(fields);
                        }
                    }
                }
            };
            parser.expect_token(&Token::Gt).map_err(text)?;
            parsed
        }
    };
    // Whether a value inside may be NULL is not told apart.
    let _ = parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]) || parser.parse_keyword(Keyword::NULL);
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::types::sql_name;

    #[test]
    fn types_come_back_as_they_were_written() {
        for text in [
            "ARRAY<INT>",
            "ARRAY<ARRAY<STRING>>",
            "MAP<STRING, ROW<`p` INT, `q` ARRAY<DECIMAL(10, 2)>>>",
            "ROW<`a b` TIMESTAMP(3), `r` ROW<`x` TIMESTAMP_LTZ(3)>>",
            "MULTISET<BIGINT>",
        ] {
            assert_eq!(sql_name(&parse(text).expect(text)), text);
        }
        assert_eq!(parse("row<p int not null>"), parse("ROW<`p` INT>"));
        assert_ne!(parse("MULTISET<STRING>"), parse("MAP<STRING, INT>"));
    }

    #[test]
    fn what_is_no_type_is_refused() {
        assert!(check_cast("ARRAY<CHAR(3)>").is_err() && check_cast("ARRAY<STRING>").is_ok());
        for text in ["ARRAY<>", "ARRAY<INT", "MAP<INT>", "ROW<INT>", "ROW<a INT, a INT>", "ARRAY<INT> x", "ARRAY<NOPE>"] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = format!("{}INT{}", "ARRAY<".repeat(40), ">".repeat(40));
        assert!(parse(&deep).is_err());
    }
}
