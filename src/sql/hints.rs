//! Hints behind a table's name: `t /*+ OPTIONS('key' = 'value') */`.
//!
//! Called by `parse`, to which hints are comments, and by `bind`. Those behind SELECT are of
//! `select_hints`; one behind a table becomes part of the table's name (`hinted_name`), so the table
//! with other options is another table for all that follows, and shows as it was written, but for
//! secrets: the name holds their numbers. What always holds: a hint that would change results and is
//! not known is refused; no secret gets into a name.

use std::collections::BTreeMap;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use super::dialect::FlinkDialect;
use super::error::{SqlError, TextPlace};
use super::hinted_name::MARK;
pub(crate) use super::hinted_name::{base_name, short_name};
use super::select_hints;
use crate::secret::{MASK, is_secret};

/// The options that a name's hint gives. `secrets`: those that [`attach`] has taken out of hints.
pub fn options(name: &str, secrets: &[String]) -> Option<BTreeMap<String, String>> {
    let (_, hint) = name.split_once(MARK)?;
    let mut options = parse(hint.strip_suffix(" */")?).ok()?;
    for (_, value) in options.iter_mut().filter(|(key, _)| is_secret(key)) {
        let number: usize = value.strip_prefix(MASK)?.parse().ok()?;
        *value = secrets.get(number.checked_sub(1)?)?.clone();
    }
    Some(options)
}

/// What stands for a secret in a name: its number among those of the file.
fn number_of(secret: &str, secrets: &mut Vec<String>) -> String {
    let known = secrets.iter().position(|known| known == secret);
    let index = known.unwrap_or_else(|| {
        secrets.push(secret.to_string());
        secrets.len() - 1
    });
    format!("{MASK}{}", index + 1)
}

/// What [`attach`] has found.
#[derive(Default)]
pub(crate) struct Attached {
    pub tokens: Vec<TokenWithSpan>,
    /// The secrets of all hints by their number.
    pub secrets: Vec<String>,
    /// Hints that are of no effect, a sentence each.
    pub notes: Vec<String>,
}

/// Puts hints into the names before them.
pub(crate) fn attach(tokens: Vec<TokenWithSpan>) -> Result<Attached, SqlError> {
    let hint_of = |token: &Token| match token {
        Token::Whitespace(Whitespace::MultiLineComment(text)) => {
            text.strip_prefix('+').map(str::to_owned)
        }
        _ => None,
    };
    if !tokens.iter().any(|t| hint_of(&t.token).is_some()) {
        return Ok(Attached { tokens, ..Attached::default() });
    }
    let (mut secrets, mut notes) = (Vec::new(), Vec::new());
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        let Some(hint) = hint_of(&token.token) else {
            out.push(token);
            continue;
        };
        let place = TextPlace { line: token.span.start.line, column: token.span.start.column };
        let refused = |message: String| SqlError::new(message).at(Some(place));
        let kind: String =
            hint.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let is_space = |t: &&TokenWithSpan| matches!(t.token, Token::Whitespace(_));
        let behind = out.iter().rev().find(|t| !is_space(t)).map(|t| &t.token);
        let is_select = matches!(behind, Some(Token::Word(w)) if w.keyword == Keyword::SELECT);
        if is_select || !kind.eq_ignore_ascii_case("OPTIONS") {
            notes.extend(select_hints::check(hint.trim()).map_err(refused)?);
            if is_select {
                out.push(token);
            }
            continue;
        }
        let options = parse(&hint).map_err(|e| refused(format!("the hint OPTIONS: {e}")))?;
        // Whole words only: what stands between the name and its hint is dropped.
        while matches!(out.last(), Some(t) if matches!(t.token, Token::Whitespace(_))) {
            out.pop();
        }
        let before = out
            .iter()
            .rev()
            .filter(|t| !matches!(t.token, Token::Whitespace(_)))
            .nth(1)
            .map(|t| t.token.clone());
        let Some(TokenWithSpan { token: Token::Word(word), span }) = out.pop() else {
            return Err(refused("the hint OPTIONS stands behind the name of a table".into()));
        };
        let list: Vec<String> = (options.iter())
            .map(|(k, v)| {
                let shown = if is_secret(k) { number_of(v, &mut secrets) } else { v.clone() };
                format!("{}={}", quoted(k), quoted(&shown))
            })
            .collect();
        let name = format!("{}{MARK}OPTIONS({}) */", word.value, list.join(", "));
        out.push(TokenWithSpan { token: Token::make_word(&name, Some('`')), span });
        // Columns are called by the table's own name, unless there is an alias.
        while matches!(rest.peek(), Some(t) if matches!(&t.token, Token::Whitespace(w) if !is_hint(w)))
        {
            rest.next();
        }
        let space = || TokenWithSpan { token: Token::Whitespace(Whitespace::Space), span };
        let is_keyword = |keyword| matches!(&before, Some(Token::Word(w)) if w.quote_style.is_none() && w.keyword == keyword);
        let has_alias = matches!(rest.peek(), Some(t) if is_alias(&t.token));
        // FOR SYSTEM_TIME AS OF comes before the alias; `lookup_join` sees to that.
        let has_version = matches!(rest.peek(), Some(t) if matches!(&t.token, Token::Word(w) if w.keyword == Keyword::FOR));
        if !is_keyword(Keyword::TABLE) && !is_keyword(Keyword::INTO) && !has_alias && !has_version {
            out.push(space());
            out.push(TokenWithSpan { token: Token::make_word("AS", None), span });
            out.push(space());
            out.push(TokenWithSpan { token: Token::make_word(&word.value, Some('`')), span });
        }
        out.push(space());
    }
    Ok(Attached { tokens: out, secrets, notes })
}

fn is_hint(whitespace: &Whitespace) -> bool {
    matches!(whitespace, Whitespace::MultiLineComment(text) if text.starts_with('+'))
}

/// True for a word that begins an alias: AS, or a name that begins no clause.
fn is_alias(token: &Token) -> bool {
    match token {
        Token::Word(w) => {
            w.quote_style.is_some() || w.keyword == Keyword::AS || w.keyword == Keyword::NoKeyword
        }
        _ => false,
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `OPTIONS('k' = 'v', ...)`.
fn parse(hint: &str) -> Result<BTreeMap<String, String>, String> {
    let tokens = Tokenizer::new(&FlinkDialect, hint).tokenize().map_err(|e| e.to_string())?;
    let mut tokens = tokens.into_iter().filter(|t| !matches!(t, Token::Whitespace(_)));
    let expected = || "write OPTIONS('key' = 'value', ...)".to_string();
    if !matches!(tokens.next(), Some(Token::Word(_))) || tokens.next() != Some(Token::LParen) {
        return Err(expected());
    }
    let mut options = BTreeMap::new();
    loop {
        let (
            Some(Token::SingleQuotedString(key)),
            Some(Token::Eq),
            Some(Token::SingleQuotedString(value)),
        ) = (tokens.next(), tokens.next(), tokens.next())
        else {
            return Err(expected());
        };
        options.insert(key, value);
        match tokens.next() {
            Some(Token::Comma) => {}
            Some(Token::RParen) if tokens.next().is_none() => return Ok(options),
            _ => return Err(expected()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attached(text: &str) -> Result<String, SqlError> {
        let tokens = Tokenizer::new(&FlinkDialect, text).tokenize_with_location().unwrap();
        Ok(attach(tokens)?.tokens.iter().map(|t| t.token.to_string()).collect())
    }

    #[test]
    fn hints_become_part_of_the_name() {
        for (text, expected) in [
            (
                "FROM t /*+ OPTIONS('a'='b') */ WHERE x",
                "FROM `t /*+ OPTIONS('a'='b') */` AS `t` WHERE x",
            ),
            ("FROM t/*+OPTIONS('a' = 'it''s')*/", "FROM `t /*+ OPTIONS('a'='it''s') */` AS `t` "),
            (
                "FROM t /*+ OPTIONS('b'='2','a'='1') */ AS u",
                "FROM `t /*+ OPTIONS('a'='1', 'b'='2') */` AS u",
            ),
            ("FROM t /*+ OPTIONS('a'='1') */ u, v", "FROM `t /*+ OPTIONS('a'='1') */` u, v"),
            (
                "TUMBLE(TABLE t /*+ options('a'='1') */, x)",
                "TUMBLE(TABLE `t /*+ OPTIONS('a'='1') */` , x)",
            ),
            ("INTO t /*+ OPTIONS('a'='1') */ SELECT", "INTO `t /*+ OPTIONS('a'='1') */` SELECT"),
            ("SELECT /*+ BROADCAST(t) */ 1 /* text */", "SELECT /*+ BROADCAST(t) */ 1 /* text */"),
        ] {
            assert_eq!(attached(text).unwrap(), expected);
        }
        for (text, part) in [
            ("FROM t /*+ FAST(t) */", "FAST is not supported"),
            ("FROM t /*+ OPTIONS(a='1') */", "write OPTIONS('key' = 'value'"),
            ("FROM (x) /*+ OPTIONS('a'='1') */", "behind the name of a table"),
        ] {
            let error = attached(text).unwrap_err();
            assert!(error.message.contains(part) && error.place.is_some(), "{error:?}");
        }
    }

    #[test]
    fn secrets_are_not_part_of_the_name() {
        let text = "FROM t /*+ OPTIONS('a.secret'='x','b'='y') */, t /*+ OPTIONS('a.secret'='z') */, u /*+ OPTIONS('token'='x') */";
        let Attached { tokens, secrets, .. } =
            attach(Tokenizer::new(&FlinkDialect, text).tokenize_with_location().unwrap()).unwrap();
        let names: Vec<String> = (tokens.into_iter())
            .filter_map(|t| match t.token {
                Token::Word(w) if w.value.contains(MARK) => Some(w.value),
                _ => None,
            })
            .collect();
        let shown = [
            "t /*+ OPTIONS('a.secret'='****1', 'b'='y') */",
            "t /*+ OPTIONS('a.secret'='****2') */",
            "u /*+ OPTIONS('token'='****1') */",
        ];
        assert_eq!(
            (names.as_slice(), secrets.as_slice()),
            (shown.map(String::from).as_slice(), ["x", "z"].map(String::from).as_slice())
        );
        assert_eq!(options(&names[0], &secrets).unwrap()["a.secret"], "x");
        assert_eq!(options(&names[0], &secrets).unwrap()["b"], "y");
        assert_eq!(options(&names[1], &secrets).unwrap()["a.secret"], "z");
    }

    #[test]
    fn names_come_apart_again() {
        let name = "t /*+ OPTIONS('a'='it''s */', 'b'='2') */";
        assert_eq!(base_name(name), "t");
        assert_eq!(options(name, &[]).unwrap()["a"], "it's */");
        assert_eq!((base_name("t"), options("t", &[])), ("t", None));
        assert_eq!(short_name("t"), "t");
        assert!(short_name(name).starts_with("t_") && short_name(name).len() == 18);
    }
}
