//! ARRAY, MAP, ROW and MULTISET: how are they written?
//!
//! sqlparser does not read `ROW<p INT>` or `MAP<STRING, INT>`. [`collapse`] turns every such type
//! in the tokens of a file into one quoted name, which sqlparser takes for a type of its own;
//! [`parse`] reads that name. Called by `parse` and `types`. What always holds: a type that is read
//! here is made by `types::nested`.

use arrow::datatypes::DataType;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::arrow_field;
use crate::sql::dialect::FlinkDialect;
use crate::types::nested::{array_of, map_of, multiset_of, row_of};

/// Levels that types may be nested: values are read and written recursively.
const DEPTH_MAX: usize = 32;
fn opens(token: &Token) -> bool {
    let Token::Word(Word { value, quote_style: None, .. }) = token else { return false };
    ["ARRAY", "MAP", "ROW", "MULTISET"].iter().any(|name| value.eq_ignore_ascii_case(name))
}

/// Puts one quoted name for the tokens of every nested type.
pub(crate) fn collapse(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if opens(&tokens[at].token)
            && let Some(end) = type_end(&tokens, at)
        {
            let text: String = tokens[at..end].iter().map(|t| t.token.to_string()).collect();
            out.push(TokenWithSpan {
                token: Token::make_word(&text, Some('`')),
                span: tokens[at].span,
            });
            at = end;
            continue;
        }
        out.push(tokens[at].clone());
        at += 1;
    }
    out
}

/// The position after the type that begins at `start`; None if `<` does not follow, or is never
/// closed.
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
pub(crate) fn is_nested(text: &str) -> bool {
    text.ends_with('>') && text.contains('<')
}

/// The Arrow type of a nested type in text.
pub fn parse(text: &str) -> Result<DataType, String> {
    read(text).map(|(data_type, _)| data_type)
}

/// The same as the target of a CAST, which would have to cut and pad what is inside: that is not
/// supported.
pub(crate) fn check_cast(text: &str) -> Result<(), String> {
    match read(text)? {
        (_, false) => Ok(()),
        (_, true) => Err(format!(
            "a CAST to {text}, with lengths or precisions inside, is not supported: use STRING, BYTES or TIMESTAMP(3)"
        )),
    }
}

/// The type, and whether a part of it has a length or a precision that the Arrow type does not
/// keep.
fn read(text: &str) -> Result<(DataType, bool), String> {
    // `>>` closes two types.
    let wrong = |e: sqlparser::parser::ParserError| format!("type '{text}': {e}");
    let tokens = sqlparser::tokenizer::Tokenizer::new(&FlinkDialect, text)
        .tokenize()
        .map_err(|e| format!("type '{text}': {e}"))?;
    let split = tokens.into_iter().flat_map(|token| match token {
        Token::ShiftRight => vec![Token::Gt, Token::Gt],
        other => vec![other],
    });
    let parser = Parser::new(&FlinkDialect).with_tokens(split.collect());
    let mut reader = TypeReader { parser, is_exact: false };
    let data_type = reader.data_type(0)?;
    reader.parser.expect_token(&Token::EOF).map_err(wrong)?;
    Ok((data_type, reader.is_exact))
}

/// Reads the tokens of a type.
struct TypeReader<'a> {
    parser: Parser<'a>,
    /// A part that was read has a length or a precision that the Arrow type does not keep.
    is_exact: bool,
}

impl TypeReader<'_> {
    fn data_type(&mut self, depth: usize) -> Result<DataType, String> {
        if depth > DEPTH_MAX {
            return Err(format!("a type is nested more than {DEPTH_MAX} levels deep"));
        }
        let name = match &self.parser.peek_token_ref().token {
            token if !opens(token) => None,
            Token::Word(word) => Some(word.value.to_uppercase()),
            _ => None,
        };
        let data_type = match name {
            None => self.plain()?,
            Some(name) => {
                self.parser.advance_token();
                self.expect(&Token::Lt)?;
                let data_type = self.inside(&name, depth)?;
                self.expect(&Token::Gt)?;
                data_type
            }
        };
        self.nullable();
        Ok(data_type)
    }

    /// A type that ARRAY or MULTISET may follow: `INT ARRAY`. In a collection none may, as in Flink.
    fn part(&mut self, depth: usize) -> Result<DataType, String> {
        let mut found = self.data_type(depth)?;
        for outer in depth.. {
            let of = match &self.parser.peek_token_ref().token {
                Token::Word(w) if w.quote_style.is_none() => w.value.to_uppercase(),
                _ => return Ok(found),
            };
            found = match of.as_str() {
                "ARRAY" => array_of(found),
                "MULTISET" => multiset_of(found),
                _ => return Ok(found),
            };
            if outer > DEPTH_MAX {
                return Err(format!("a type is nested more than {DEPTH_MAX} levels deep"));
            }
            self.parser.advance_token();
            self.nullable();
        }
        Ok(found)
    }

    /// Whether a value inside may be NULL is not told apart.
    fn nullable(&mut self) {
        let _ = self.parser.parse_keywords(&[Keyword::NOT, Keyword::NULL])
            || self.parser.parse_keyword(Keyword::NULL);
    }

    fn expect(&mut self, token: &Token) -> Result<(), String> {
        let found = self.parser.peek_token();
        match self.parser.consume_token(token) {
            true => Ok(()),
            false => Err(format!("expected {token} in the type, found {found}")),
        }
    }

    /// A type without others inside.
    fn plain(&mut self) -> Result<DataType, String> {
        let field = arrow_field(&self.parser.parse_data_type().map_err(|e| e.to_string())?)?;
        self.is_exact |= !field.metadata().is_empty();
        Ok(field.data_type().clone())
    }

    /// The nested type of this name, from what stands between its brackets.
    fn inside(&mut self, name: &str, depth: usize) -> Result<DataType, String> {
        Ok(match name {
            "ARRAY" => array_of(self.data_type(depth + 1)?),
            "MULTISET" => multiset_of(self.data_type(depth + 1)?),
            "MAP" => {
                let key = self.part(depth + 1)?;
                self.expect(&Token::Comma)?;
                map_of(key, self.part(depth + 1)?)
            }
            _ => row_of(self.fields(depth)?),
        })
    }

    fn fields(&mut self, depth: usize) -> Result<Vec<(String, DataType)>, String> {
        let mut fields = Vec::new();
        loop {
            let name = self.parser.parse_identifier().map_err(|e| e.to_string())?.value;
            let data_type = self.part(depth + 1)?;
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(format!("a ROW has the field '{name}' twice"));
            }
            fields.push((name, data_type));
            if matches!(self.parser.peek_token_ref().token, Token::SingleQuotedString(_)) {
                self.parser.advance_token();
            }
            if !self.parser.consume_token(&Token::Comma) {
                return Ok(fields);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::sql_name;

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
        assert_eq!(
            parse(
                "ROW<p int array, q MAP<STRING, INT NOT NULL ARRAY NOT NULL>, r INT ARRAY MULTISET>"
            ),
            parse("ROW<p ARRAY<INT>, q MAP<STRING, ARRAY<INT>>, r MULTISET<ARRAY<INT>>>")
        );
        assert_ne!(parse("MULTISET<STRING>"), parse("MAP<STRING, INT>"));
    }

    #[test]
    fn what_is_no_type_is_refused() {
        assert!(check_cast("ARRAY<CHAR(3)>").is_err() && check_cast("ARRAY<STRING>").is_ok());
        for text in [
            "ARRAY<>",
            "ARRAY<INT",
            "ARRAY<INT ARRAY>",
            "MULTISET<INT ARRAY>",
            "MAP<INT>",
            "ROW<INT>",
            "ROW<a INT, a INT>",
            "ARRAY<INT> x",
            "ARRAY<NOPE>",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = format!("{}INT{}", "ARRAY<".repeat(40), ">".repeat(40));
        assert!(parse(&deep).is_err());
    }
}
