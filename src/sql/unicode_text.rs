//! Which text is `U&'caf\00e9'`, or `U&'caf!00e9' UESCAPE '!'`, or `_UTF16'café'`?
//!
//! Called by `parse` on the tokens of a file: what comes out is ordinary text, so nothing else knows of it. An escape is four
//! hexadecimal digits of UTF-16, as in Flink; twice the escape character stands for itself. The name of a character set
//! before a text changes nothing but which characters it may have.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::error::{SqlError, TextPlace};

/// Puts the text that is meant for the tokens of every `U&'...'`.
pub fn decode(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, SqlError> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if let Some(text) = of_charset(token, tokens.get(at + 1))? {
            out.push(TokenWithSpan { token: Token::SingleQuotedString(text), span: token.span });
            at += 2;
            continue;
        }
        let text = match (&token.token, tokens.get(at + 1).map(|t| &t.token), tokens.get(at + 2).map(|t| &t.token)) {
            (Token::Word(u), Some(Token::Ampersand), Some(Token::SingleQuotedString(text)))
                if u.quote_style.is_none() && u.value.eq_ignore_ascii_case("u") =>
            {
                text
            }
            _ => {
                out.push(token.clone());
                at += 1;
                continue;
            }
        };
        let place = TextPlace { line: token.span.start.line, column: token.span.start.column };
        let (escape, end) = escape_character(&tokens, at + 3).map_err(|e| e.at(Some(place)))?;
        let text = unescaped(text, escape).map_err(|e| SqlError::new(e).at(Some(place)))?;
        out.push(TokenWithSpan { token: Token::SingleQuotedString(text), span: token.span });
        at = end;
    }
    Ok(out)
}

/// The text behind the name of a character set, which is written right before it.
fn of_charset(name: &TokenWithSpan, text: Option<&TokenWithSpan>) -> Result<Option<String>, SqlError> {
    let (Token::Word(word), Some(Token::SingleQuotedString(text))) = (&name.token, text.map(|t| &t.token)) else {
        return Ok(None);
    };
    let Some(charset) = word.value.strip_prefix('_').filter(|_| word.quote_style.is_none()) else { return Ok(None) };
    let place = TextPlace { line: name.span.start.line, column: name.span.start.column };
    let limit = match charset.to_uppercase().as_str() {
        "UTF8" | "UTF16" => char::MAX,
        "LATIN1" => '\u{ff}',
        _ => {
            let message = format!("'{charset}' is no character set of a text; UTF8, UTF16 and LATIN1 are");
            return Err(SqlError::new(message).at(Some(place)));
        }
    };
    match text.chars().find(|c| *c > limit) {
        Some(other) => Err(SqlError::new(format!("'{other}' is no character of {charset}")).at(Some(place))),
        None => Ok(Some(text.clone())),
    }
}

/// The escape character, and where the tokens go on.
fn escape_character(tokens: &[TokenWithSpan], from: usize) -> Result<(char, usize), SqlError> {
    let next = |at: usize| (at..tokens.len()).find(|&at| !matches!(tokens[at].token, Token::Whitespace(_)));
    let is_uescape =
        |token: &Token| matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case("uescape"));
    let Some(at) = next(from).filter(|&at| is_uescape(&tokens[at].token)) else { return Ok(('\\', from)) };
    let refused = || SqlError::new("UESCAPE takes one character that is no digit from 0 to f, no space, quote or plus");
    let at = next(at + 1).ok_or_else(refused)?;
    let Token::SingleQuotedString(text) = &tokens[at].token else { return Err(refused()) };
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(c), None) if !c.is_ascii_hexdigit() && !c.is_whitespace() && !matches!(c, '+' | '"' | '\'') => Ok((c, at + 1)),
        _ => Err(refused()),
    }
}

fn unescaped(text: &str, escape: char) -> Result<String, String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut buffer = [0; 2];
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != escape {
            units.extend_from_slice(c.encode_utf16(&mut buffer));
            continue;
        }
        if rest.as_str().starts_with(escape) {
            rest.next();
            units.extend_from_slice(escape.encode_utf16(&mut buffer));
            continue;
        }
        let digits: String = rest.by_ref().take(4).collect();
        let is_escape = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        match u16::from_str_radix(&digits, 16) {
            Ok(unit) if is_escape => units.push(unit),
            _ => {
                return Err(format!(
                    "'{escape}{digits}' in a text that begins with U& is not '{escape}' and four digits from 0 to f"
                ));
            }
        }
    }
    String::from_utf16(&units)
        .map_err(|_| "a text that begins with U& has half a character: escapes from d800 to dfff are pairs".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_utf16_and_twice_is_itself() {
        for (text, escape, expected) in [
            (r"\0041b\00e9", '\\', Ok("Abé")),
            (r"\d83d\de00", '\\', Ok("😀")),
            (r"a\\0041", '\\', Ok(r"a\0041")),
            (r"!0041\", '!', Ok(r"A\")),
            ("!!", '!', Ok("!")),
            (r"\004", '\\', Err(())),
            (r"\+0041", '\\', Err(())),
            (r"\d83d", '\\', Err(())),
        ] {
            assert_eq!(unescaped(text, escape).as_deref().map_err(|_| ()), expected, "{text}");
        }
    }

    #[test]
    fn a_character_set_only_limits_the_characters() {
        let read = |text: &str| {
            let tokens = sqlparser::tokenizer::Tokenizer::new(&crate::sql::dialect::FlinkDialect, text).tokenize_with_location();
            let tokens = decode(tokens.expect("tokens")).map_err(|e| e.message)?;
            Ok::<_, String>(tokens.iter().map(|t| t.token.to_string()).collect::<String>())
        };
        assert_eq!(read("_UTF16'ü', _utf8'日', _LATIN1'ü'").as_deref(), Ok("'ü', '日', 'ü'"));
        assert_eq!(read("_UTF16 'ü'").as_deref(), Ok("_UTF16 'ü'"));
        assert!(read("_LATIN1'日'").is_err());
        assert!(read("_ASCII'a'").is_err());
    }
}
