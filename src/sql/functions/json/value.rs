//! A JSON value as Flink's functions see it: read, walked by `path`, written.
//!
//! Members keep their order; of two with one name the last counts, in the place of the first. Numbers keep their digits as a
//! Java BigDecimal does: 1.50 stays, 1.0e3 is 1.0E+3. Written text has its members sorted by name and no blanks.

use std::collections::HashMap;

/// Deeper values are not read, as Jackson has it.
const DEPTH_MAX: usize = 1000;
/// Objects of more members than this look a name up in a table.
const LINEAR_MAX: usize = 16;

#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// Digits with an optional sign.
    Integer(String),
    /// As BigDecimal prints it.
    Decimal(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Json::Array(_) | Json::Object(_))
    }

    /// Reads the value at the start of a text. What follows an object, an array or a text is not looked at.
    pub fn read(text: &str) -> Option<Json> {
        let mut reader = Reader { bytes: text.as_bytes(), text, at: 0 };
        reader.blanks();
        let value = reader.value(0)?;
        let plain = matches!(value, Json::Null | Json::Bool(_) | Json::Integer(_) | Json::Decimal(_));
        let next = reader.bytes.get(reader.at);
        (!plain || next.is_none_or(|c| matches!(c, b' ' | b'\t' | b'\n' | b'\r'))).then_some(value)
    }

    /// Sets a member, in the place of one with the same name.
    pub fn set(members: &mut Vec<(String, Json)>, name: String, value: Json) {
        match members.iter_mut().find(|(n, _)| *n == name) {
            Some(member) => member.1 = value,
            None => members.push((name, value)),
        }
    }

    pub fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Integer(number) | Json::Decimal(number) => out.push_str(number),
            Json::Text(text) => write_text(out, text),
            Json::Array(elements) => {
                out.push('[');
                for (at, element) in elements.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    element.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                let mut sorted: Vec<&(String, Json)> = members.iter().collect();
                // Java compares UTF-16 units.
                sorted.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
                out.push('{');
                for (at, (name, value)) in sorted.into_iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_text(out, name);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    pub fn written(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// A scalar as text without quotes.
    pub fn plain(&self) -> String {
        match self {
            Json::Text(text) => text.clone(),
            other => other.written(),
        }
    }
}

/// Text in quotes, with Jackson's escapes.
pub fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        self.text.get(self.at..)?.starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > DEPTH_MAX {
            return None;
        }
        match *self.bytes.get(self.at)? {
            b'"' => self.string().map(Json::Text),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            b'[' => {
                self.at += 1;
                let mut elements = Vec::new();
                self.blanks();
                if self.take(b']') {
                    return Some(Json::Array(elements));
                }
                loop {
                    self.blanks();
                    elements.push(self.value(depth + 1)?);
                    self.blanks();
                    if self.take(b']') {
                        return Some(Json::Array(elements));
                    }
                    self.take(b',').then_some(())?;
                }
            }
            b'{' => self.object(depth),
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        self.at += 1;
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        self.blanks();
        if self.take(b'}') {
            return Some(Json::Object(members));
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.blanks();
            self.take(b':').then_some(())?;
            self.blanks();
            let value = self.value(depth + 1)?;
            if members.len() < LINEAR_MAX {
                Json::set(&mut members, name, value);
            } else {
                if known.is_empty() {
                    known = members.iter().enumerate().map(|(i, (n, _))| (n.clone(), i)).collect();
                }
                match known.get(&name) {
                    Some(&at) => members[at].1 = value,
                    None => {
                        known.insert(name.clone(), members.len());
                        members.push((name, value));
                    }
                }
            }
            self.blanks();
            if self.take(b'}') {
                return Some(Json::Object(members));
            }
            self.take(b',').then_some(())?;
        }
    }

    fn string(&mut self) -> Option<String> {
        self.take(b'"').then_some(())?;
        let mut out = String::new();
        loop {
            let rest = self.text.get(self.at..)?;
            let length = rest.bytes().position(|c| c == b'"' || c == b'\\' || c < b' ')?;
            out.push_str(&rest[..length]);
            self.at += length + 1;
            match self.bytes[self.at - 1] {
                b'"' => return Some(out),
                b'\\' => {}
                // A control character has to be escaped.
                _ => return None,
            }
            let escape = *self.bytes.get(self.at)?;
            self.at += 1;
            out.push(match escape {
                b'"' | b'\\' | b'/' => char::from(escape),
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    let unit = self.unit()?;
                    let mut code = unit;
                    if (0xd800..0xdc00).contains(&unit) && self.bytes.get(self.at..self.at + 2) == Some(b"\\u") {
                        let from = self.at;
                        self.at += 2;
                        let low = self.unit()?;
                        if (0xdc00..0xe000).contains(&low) {
                            code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        } else {
                            self.at = from;
                        }
                    }
                    // Half a pair is no character.
                    char::from_u32(code).unwrap_or('?')
                }
                _ => return None,
            });
        }
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.bytes().all(|c| c.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    }

    fn number(&mut self) -> Option<Json> {
        let start = self.at;
        self.take(b'-');
        let digits = |reader: &mut Self| {
            let from = reader.at;
            while reader.bytes.get(reader.at).is_some_and(u8::is_ascii_digit) {
                reader.at += 1;
            }
            (reader.at > from).then_some(from..reader.at)
        };
        let whole = digits(self)?;
        if self.bytes[whole.start] == b'0' && whole.len() > 1 {
            return None;
        }
        let fraction = if self.take(b'.') { Some(digits(self)?) } else { None };
        let mut exponent = None;
        if self.take(b'e') || self.take(b'E') {
            let from = self.at;
            if !self.take(b'+') {
                self.take(b'-');
            }
            digits(self)?;
            exponent = Some(self.text[from..self.at].parse::<i32>().ok()?);
        }
        let text = &self.text[start..self.at];
        if fraction.is_none() && exponent.is_none() {
            return Some(Json::Integer(if text == "-0" { "0".into() } else { text.into() }));
        }
        let fraction = fraction.map_or("", |f| &self.text[f]);
        let unscaled = format!("{}{fraction}", &self.text[whole]);
        let unscaled = unscaled.trim_start_matches('0');
        let unscaled = if unscaled.is_empty() { "0" } else { unscaled };
        let sign = if text.starts_with('-') && unscaled != "0" { "-" } else { "" };
        Some(Json::Decimal(decimal(sign, unscaled, fraction.len() as i64 - i64::from(exponent.unwrap_or(0)))))
    }
}

/// `BigDecimal.toString`: plain if the scale is not negative and the number not tiny, else with an exponent.
fn decimal(sign: &str, unscaled: &str, scale: i64) -> String {
    let adjusted = unscaled.len() as i64 - 1 - scale;
    if scale >= 0 && adjusted >= -6 {
        let scale = scale as usize;
        if scale == 0 {
            return format!("{sign}{unscaled}");
        }
        let padded = format!("{unscaled:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        return format!("{sign}{whole}.{fraction}");
    }
    let (first, rest) = unscaled.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let plus = if adjusted >= 0 { "+" } else { "" };
    if adjusted == 0 { format!("{sign}{first}{point}{rest}") } else { format!("{sign}{first}{point}{rest}E{plus}{adjusted}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_sorted_and_normal() {
        for (text, expected) in [
            (r#" {"b" : 1.50, "a":[true,null,"x\u0041\n"]} tail"#, r#"{"a":[true,null,"xA\n"],"b":1.50}"#),
            (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
            ("1.0e3", "1.0E+3"),
            ("1e-7", "1E-7"),
            ("0.000001", "0.000001"),
            ("-0.0", "0.0"),
            ("12e0", "12"),
            ("\"\\ud83d\\ude00\"", "\"😀\""),
        ] {
            assert_eq!(Json::read(text).expect(text).written(), expected);
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", " ", "not json", "{", "[1,]", "01", "1x", "truex", "{\"a\"}", "\"\n\"", "\"\\x\"", "-", "1.", "{,}"] {
            assert_eq!(Json::read(text), None, "{text}");
        }
        assert_eq!(Json::read(&"[".repeat(2000)), None);
    }
}
