//! Which values are never shown? Passwords, keys and tokens that stand in options.
//!
//! Used wherever the text of a query or one of its options gets into a message. Which option holds
//! a secret is told by its key, as in Flink. What always holds: a secret's place in a shown text is
//! taken by [`MASK`]; nothing is said of its length.

use std::ops::Range;

/// Stands for a secret.
pub(crate) const MASK: &str = "****";

/// Parts of keys whose values are secret: Flink's list and a few more.
const PARTS: [&str; 14] = [
    "password",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api-key",
    "private-key",
    "privatekey",
    "service-key",
    "account.key",
    "auth-params",
    "basic-auth",
    "jaas.config",
    "http-headers",
];

/// Shorter secrets are hidden in messages only where they are quoted: they are parts of too many
/// words.
const UNQUOTED_BYTES_MIN: usize = 4;

pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    PARTS.iter().any(|part| key.contains(part))
}

/// An option's value, as it may be shown.
pub fn shown<'a>(key: &str, value: &'a str) -> &'a str {
    if is_secret(key) { MASK } else { value }
}

/// The secrets of a SQL text. They are found without parsing, since a text that cannot be parsed is
/// shown, too.
pub struct Secrets {
    /// Where values stand, without their quotes; ascending.
    places: Vec<Range<usize>>,
    /// The values, longest first.
    values: Vec<String>,
}

impl Secrets {
    pub fn of(text: &str) -> Secrets {
        let (mut places, mut values) = (Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(found) = text[at..].find(['\'', '"', '`']) {
            let quote = at + found;
            at = quote + 1;
            if let Some(place) = after_key(text, quote).and_then(|end| value_at(text, end)) {
                at = place.end;
                values.push(text[place.clone()].replace("''", "'"));
                values.push(text[place.clone()].to_string());
                places.push(place);
            }
        }
        values.retain(|value| !value.is_empty());
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Secrets { places, values }
    }

    /// With more values that are never shown, wherever they come from.
    #[must_use]
    pub(crate) fn and<'a>(mut self, values: impl IntoIterator<Item = &'a str>) -> Secrets {
        let filled = values.into_iter().filter(|value| !value.is_empty());
        self.values.extend(filled.map(String::from));
        self.values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        self
    }

    /// The whole text, as it may be shown.
    pub(crate) fn hide_all(text: &str) -> String {
        let secrets = Secrets::of(text);
        let mut out = String::new();
        let mut at = 0;
        for place in &secrets.places {
            out.push_str(&text[at..place.start]);
            out.push_str(MASK);
            at = place.end;
        }
        out + &text[at..]
    }

    /// A message that may quote parts of the text.
    pub(crate) fn hide(&self, message: &str) -> String {
        let mut out = message.to_string();
        for value in &self.values {
            if value.len() >= UNQUOTED_BYTES_MIN {
                out = out.replace(value.as_str(), MASK);
            } else {
                out = out.replace(&format!("'{value}'"), &format!("'{MASK}'"));
            }
        }
        out
    }

    /// A line of the text from byte `start` on, and how many characters stand before the one that
    /// had `before` before it.
    pub(crate) fn hide_line(&self, line: &str, start: usize, before: usize) -> (String, usize) {
        let mut out = String::new();
        let (mut length, mut caret) = (0, None);
        let mut masked: Option<usize> = None;
        for (number, (offset, c)) in line.char_indices().enumerate() {
            let place = self.places.iter().position(|place| place.contains(&(start + offset)));
            if place.is_none() || place != masked {
                if number >= before {
                    caret = caret.or(Some(length));
                }
                match place {
                    Some(_) => out.push_str(MASK),
                    None => out.push(c),
                }
                length += if place.is_some() { MASK.len() } else { 1 };
            } else if number == before {
                // Within a secret: at its start.
                caret = caret.or(Some(length - MASK.len()));
            }
            masked = place;
        }
        let characters = line.chars().count();
        (out, caret.unwrap_or(length + before.saturating_sub(characters)))
    }
}

/// Behind the quoted key that begins at `quote`, if it is that of a secret.
fn after_key(text: &str, quote: usize) -> Option<usize> {
    let rest = &text[quote + 1..];
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let length = rest.find(|c| !is_part(c))?;
    (rest.as_bytes()[length] == text.as_bytes()[quote] && is_secret(&rest[..length]))
        .then_some(quote + 1 + length + 1)
}

/// The value that stands behind a key, with or without an equals sign, whatever the mistakes.
fn value_at(text: &str, mut at: usize) -> Option<Range<usize>> {
    let mut equals = false;
    loop {
        let rest = &text[at..];
        let blank = rest.len() - rest.trim_start().len();
        at += match rest.trim_start().chars().next()? {
            _ if blank > 0 => blank,
            '=' | ':' => {
                equals = true;
                1
            }
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            quote @ ('\'' | '"' | '`') => {
                let from = at + 1;
                let mut to = from;
                loop {
                    let Some(end) = text[to..].find(quote) else { return Some(from..text.len()) };
                    to += end;
                    if !text[to + 1..].starts_with(quote) {
                        return Some(from..to);
                    }
                    to += 2;
                }
            }
            _ if equals => {
                let length = rest
                    .find(|c: char| c.is_whitespace() || matches!(c, ',' | ')' | ';' | '\''))
                    .unwrap_or(rest.len());
                return Some(at..at + length);
            }
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> String {
        Secrets::of(text).hide_line(text, 0, 0).0
    }

    #[test]
    fn keys_of_secrets() {
        for key in [
            "aws.credentials.basic.secretkey",
            "Password",
            "sink.auth-token",
            "properties.sasl.jaas.config",
            "api-key",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in [
            "connector",
            "aws.credentials.provider",
            "aws.credentials.basic.accesskeyid",
            "table-name",
            "key.format",
        ] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn values_of_secrets_are_masked_wherever_they_stand() {
        for (text, expected) in [
            (
                "WITH ('a'='b', 'x.secretkey'='abc', 'c'='d')",
                "WITH ('a'='b', 'x.secretkey'='****', 'c'='d')",
            ),
            ("'password' = 'it''s me', 'b'", "'password' = '****', 'b'"),
            ("'password'\n\t=\n'p'", "'password'\n\t=\n'****'"),
            ("'password' -- mine\n= /* so */ 'p'", "'password' -- mine\n= /* so */ '****'"),
            // Mistakes.
            ("'password' 'p')", "'password' '****')"),
            ("'password'=\"p\")", "'password'=\"****\")"),
            ("'password'=p)", "'password'=****)"),
            ("'password'='never ended", "'password'='****"),
            ("-- don't\n'password'='p'", "-- don't\n'password'='****'"),
            ("-- 'password'='p'", "-- 'password'='****'"),
            ("/*+ OPTIONS('a.token'='p', 'b'='c') */", "/*+ OPTIONS('a.token'='****', 'b'='c') */"),
            // No values.
            ("k IN ('password', 'token')", "k IN ('password', 'token')"),
            ("'password'", "'password'"),
            ("'password'=", "'password'="),
            ("'password'='')", "'password'='')"),
            ("SELECT password = 'p'", "SELECT password = 'p'"),
        ] {
            assert_eq!(hidden(text), expected);
        }
    }

    #[test]
    fn messages_and_carets() {
        let text = "'a'='b',\n 'x.password'='abcdef', 'token'='no' bogus";
        let secrets = Secrets::of(text);
        assert_eq!(
            secrets.hide("found: 'abcdef' and abcdef, 'no' but no"),
            "found: '****' and ****, '****' but no"
        );
        let line = text.lines().nth(1).unwrap();
        let at = |word: &str| line.find(word).unwrap();
        for (before, under) in [
            (1, "'x.pass"),
            (at("abcdef"), "****'"),
            (at("cdef"), "****'"),
            (at("'token"), "'token"),
            (at("bogus"), "bogus"),
        ] {
            let (shown, caret) = secrets.hide_line(line, 9, before);
            assert_eq!(shown, " 'x.password'='****', 'token'='****' bogus");
            assert!(shown[caret..].starts_with(under), "{before}: {}", &shown[caret..]);
        }
        assert_eq!(
            secrets.hide_line(line, 9, line.len() + 1).1,
            " 'x.password'='****', 'token'='****' bogus".len() + 1
        );
    }
}
