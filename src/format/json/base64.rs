//! How are BYTES written in JSON? As base64 (RFC 4648 section 4), padded, without line feeds, as
//! Jackson writes them.
//!
//! Called by the decoder and the encoder of BYTES columns. What always holds: only the canonical
//! form is read back (padding present, unused bits zero), apart from blanks between the characters,
//! which are skipped.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn write(out: &mut Vec<u8>, bytes: &[u8]) {
    for group in bytes.chunks(3) {
        let bits = (u32::from(group[0]) << 16)
            | (u32::from(group.get(1).copied().unwrap_or(0)) << 8)
            | u32::from(group.get(2).copied().unwrap_or(0));
        for position in 0..4 {
            out.push(if position <= group.len() {
                ALPHABET[(bits >> (18 - 6 * position)) as usize & 63]
            } else {
                b'='
            });
        }
    }
}

/// Appends the bytes that `text` stands for. On None, `out` may hold some of them.
pub(crate) fn read(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    let (mut bits, mut characters, mut padding) = (0u32, 0, 0);
    for &c in text.iter().filter(|&&c| c > b' ') {
        if c == b'=' {
            padding += 1;
            bits <<= 6;
        } else if padding > 0 {
            return None;
        } else {
            bits = (bits << 6) | value(c)?;
        }
        characters += 1;
        if characters == 4 {
            let [_, bytes @ ..] = bits.to_be_bytes();
            let keep = 3usize.checked_sub(padding).filter(|keep| *keep > 0)?;
            if bytes[keep..].iter().any(|&b| b != 0) {
                return None;
            }
            out.extend_from_slice(&bytes[..keep]);
            // `padding` stays, so that nothing but blanks may follow it.
            (bits, characters) = (0, 0);
        }
    }
    (characters == 0).then_some(())
}

fn value(c: u8) -> Option<u32> {
    Some(u32::from(match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        read(&mut out, text.as_bytes()).map(|()| out)
    }

    #[test]
    fn the_examples_of_the_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut out = Vec::new();
            write(&mut out, bytes.as_bytes());
            assert_eq!(out, text.as_bytes());
            assert_eq!(decoded(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(decoded("Zm 9v\n").unwrap(), b"foo");
        for bad in [
            "Z",
            "Zg",
            "Zg=",
            "Z===",
            "====",
            "Zg==Zg==",
            "Zg===",
            "Zh==",
            "Zm9*",
            "=Zg=",
            "Zg==\u{e9}",
        ] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }

    #[test]
    fn all_byte_values_come_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        for length in 0..bytes.len() {
            let mut text = Vec::new();
            write(&mut text, &bytes[..length]);
            assert_eq!(decoded(std::str::from_utf8(&text).unwrap()).unwrap(), &bytes[..length]);
        }
    }
}
