//! How much of a text is shown, and what is said of the rest?
//!
//! Used wherever a message quotes what came from outside: a record, a value, a line of SQL. What
//! always holds: a text that is cut says so at its end, with the number of bytes that are missing;
//! it is cut between characters.

use std::borrow::Cow;

/// An error message on a terminal or in a log, bytes: a screen or two. What it quotes is kept
/// elsewhere in full.
pub(crate) const MESSAGE_BYTES_MAX: usize = 8 << 10;

/// The text, or its first `bytes_max` bytes and how many are missing.
pub fn bounded(text: &str, bytes_max: usize) -> Cow<'_, str> {
    match left_out(text, bytes_max) {
        0 => Cow::Borrowed(text),
        missing => Cow::Owned(format!(
            "{}… ({missing} of {} bytes left out)",
            &text[..text.len() - missing],
            text.len()
        )),
    }
}

/// The bytes of a text that [`bounded`] leaves out.
pub(crate) fn left_out(text: &str, bytes_max: usize) -> usize {
    text.len() - text.floor_char_boundary(bytes_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so() {
        for (text, bytes_max, expected) in [
            ("", 0, ""),
            ("abc", 3, "abc"),
            ("abcd", 3, "abc… (1 of 4 bytes left out)"),
            ("aéé", 2, "a… (4 of 5 bytes left out)"),
            ("aéé", 3, "aé… (2 of 5 bytes left out)"),
        ] {
            assert_eq!(bounded(text, bytes_max), expected);
        }
    }
}
