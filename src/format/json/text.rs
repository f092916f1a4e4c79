//! How is text escaped in JSON, and read back?
//!
//! Called by both scanners, by the encoder, and for nested values that go into a STRING column.
//! What always holds: `unescape` undoes `write_string`, and `write_string` leaves `/` and
//! characters of the basic plane as they are, as Jackson does.

use crate::format::number_text;

use super::number;

/// What a byte needs inside a JSON string: nothing, an escape, or (first byte of four) two
/// surrogate escapes.
const PLAIN: u8 = 0;
const ESCAPE: u8 = 1;
const ASTRAL: u8 = 2;
const CLASSES: [u8; 256] = {
    let mut classes = [PLAIN; 256];
    let mut c = 0;
    while c < 256 {
        if c < 0x20 || c == b'"' as usize || c == b'\\' as usize {
            classes[c] = ESCAPE;
        } else if c >= 0xF0 {
            classes[c] = ASTRAL;
        }
        c += 1;
    }
    classes
};
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends `text` in quotes.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let c = bytes[at];
        match CLASSES[c as usize] {
            PLAIN => at += 1,
            ESCAPE => {
                out.extend_from_slice(&bytes[copied..at]);
                write_escape(out, c);
                at += 1;
                copied = at;
            }
            _ => {
                out.extend_from_slice(&bytes[copied..at]);
                let end = (at + 4).min(bytes.len());
                for unit in text.get(at..end).unwrap_or_default().encode_utf16() {
                    write_unit(out, unit);
                }
                at = end;
                copied = end;
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, c: u8) {
    let short = match c {
        b'"' | b'\\' => c,
        0x08 => b'b',
        0x0C => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => return write_unit(out, c.into()),
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn write_unit(out: &mut Vec<u8>, unit: u16) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(HEX[usize::from(unit >> shift) & 15]);
    }
}

/// Appends the content of a JSON string, given without its quotes. Bytes that are not escapes are
/// copied as they are, so that the result is UTF-8 if they are. Half a surrogate pair becomes `?`,
/// as in Java. None for an escape that JSON does not have; `out` may then hold a part.
pub(super) fn unescape(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    let mut at = 0;
    while let Some(offset) = memchr::memchr(b'\\', &text[at..]) {
        out.extend_from_slice(&text[at..at + offset]);
        at += offset + 2;
        match text.get(at - 1)? {
            c @ (b'"' | b'\\' | b'/') => out.push(*c),
            b'b' => out.push(0x08),
            b'f' => out.push(0x0C),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let unit = hex4(text, at)?;
                at += 4;
                let mut code = u32::from(unit);
                if (0xD800..0xDC00).contains(&unit) && text.get(at..at + 2) == Some(b"\\u") {
                    let low = hex4(text, at + 2)?;
                    if (0xDC00..0xE000).contains(&low) {
                        at += 6;
                        code = 0x10000 + ((code - 0xD800) << 10) + (u32::from(low) - 0xDC00);
                    }
                }
                let c = char::from_u32(code).unwrap_or('?');
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return None,
        }
    }
    out.extend_from_slice(&text[at..]);
    Some(())
}

/// Four hexadecimal digits at `at`.
pub(super) fn hex4(text: &[u8], at: usize) -> Option<u16> {
    let mut value = 0;
    for &c in text.get(at..at + 4)? {
        value = value << 4 | char::from(c).to_digit(16)? as u16;
    }
    Some(value)
}

/// Appends a valid JSON value as Jackson's tree prints it: no blanks, strings escaped as by
/// `write_string`, numbers with a fraction or exponent as DOUBLE. Used for an object or array in a
/// STRING column. None if it is not UTF-8.
pub(super) fn compact(out: &mut Vec<u8>, json: &[u8]) -> Option<()> {
    let mut scratch = Vec::new();
    let mut at = 0;
    while let Some(&c) = json.get(at) {
        match c {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            b'"' => {
                let end = string_end(json, at)?;
                scratch.clear();
                unescape(&mut scratch, &json[at + 1..end - 1])?;
                write_string(out, std::str::from_utf8(&scratch).ok()?);
                at = end;
            }
            b'-' | b'0'..=b'9' => {
                let length = json[at..]
                    .iter()
                    .take_while(|c| matches!(c, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
                    .count();
                let text = &json[at..at + length];
                match number::float::<f64>(text) {
                    Some(value)
                        if value.is_finite()
                            && text.iter().any(|c| matches!(c, b'.' | b'e' | b'E')) =>
                    {
                        number_text::write_f64(out, value);
                    }
                    _ => out.extend_from_slice(text),
                }
                at += length;
            }
            _ => {
                out.push(c);
                at += 1;
            }
        }
    }
    Some(())
}

/// Position after the closing quote of the string that opens at `at`. None if it does not end.
pub(super) fn string_end(json: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

pub(super) fn skip_blanks(json: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = json.get(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::seeds::each_seed;
    use crate::support::tier::by_tier;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    fn unescaped(text: &str) -> Option<String> {
        let mut out = Vec::new();
        unescape(&mut out, text.as_bytes())?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn strings_are_escaped_as_jackson_does() {
        assert_eq!(written("plain / é"), "\"plain / é\"");
        assert_eq!(
            written("\" \\ \n\t\r\u{8}\u{c}\u{1f}\u{0}\u{7f}"),
            r#""\" \\ \n\t\r\b\f\u001F\u0000"#.to_owned() + "\u{7f}\""
        );
        assert_eq!(written("a😀b"), r#""a\uD83D\uDE00b""#);
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(unescaped(r#"\u00e9 \ud83d\uDE00 \" \\ \/ \n\t"#).unwrap(), "é 😀 \" \\ / \n\t");
        assert_eq!(
            unescaped(r"\ud83dx \ud83d\n \ude00 \ud83d\ud83d\ude00").unwrap(),
            "?x ?\n ? ?😀"
        );
        for bad in [r"\q", r"\u12", r"\u12g4", r"\ud83d\u12", "\\"] {
            assert_eq!(unescaped(bad), None, "{bad}");
        }
    }

    #[test]
    fn escaping_and_unescaping_agree_with_serde_json() {
        each_seed(0..by_tier(50, 100, 5000), |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for _ in 0..200 {
                let text: String = (0..rng.random_range(0..12))
                    .map(|_| match rng.random_range(0..4) {
                        0 => rng.random_range('\0'..='\u{ff}'),
                        1 => rng.random_range('\u{800}'..='\u{ffff}'),
                        2 => rng.random_range('\u{10000}'..='\u{10ffff}'),
                        _ => ['"', '\\', '/', 'a'][rng.random_range(0..4)],
                    })
                    .collect();
                let json = written(&text);
                assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
                assert_eq!(unescaped(&json[1..json.len() - 1]).unwrap(), text);
                let json = serde_json::to_string(&text).unwrap();
                assert_eq!(unescaped(&json[1..json.len() - 1]).unwrap(), text);
            }
        });
    }

    #[test]
    fn nested_values_lose_their_blanks() {
        let mut out = Vec::new();
        compact(&mut out, br#"{ "o" : [1, 2.50, -1e20, 1e400, "a\/ \u00e9\"" , null,true ] }"#)
            .unwrap();
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            r#"{"o":[1,2.5,-1.0E20,1e400,"a/ é\"",null,true]}"#
        );
        assert_eq!(compact(&mut out, b"[\"\xff\"]"), None);
    }
}
