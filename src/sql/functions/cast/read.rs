//! Dates and times in text, for the functions that read them as the casts do.

use arrow::datatypes::TimeUnit;

use super::parse::timestamp;
pub use super::parse::{date, timestamp_carrying};

/// A TIMESTAMP(3) in ms.
pub(crate) fn timestamp_ms(text: &str) -> Option<i64> {
    timestamp(text, TimeUnit::Millisecond, 3)
}

/// True if the text is a timestamp whose day the month has.
pub fn exists(text: &str) -> bool {
    timestamp_ms(text)
        .is_some_and(|ms| timestamp_carrying(text).is_none_or(|carried| carried == ms))
}

/// True if a text can stand behind the word TIMESTAMP: it means just the time that it says.
pub(crate) fn is_timestamp_literal(text: &str) -> bool {
    timestamp_ms(text).is_some_and(|ms| timestamp_carrying(text) == Some(ms))
        && !text.contains(" 24")
}

/// True if a text can stand behind the word DATE.
pub(crate) fn is_date_literal(text: &str) -> bool {
    const YEAR_1: i32 = -719_162;
    date(text).is_some_and(|days| days >= YEAR_1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_mean_what_they_say() {
        for (text, is_one) in [
            ("2024-02-29 12:34:56.789", true),
            ("0001-01-01 00:00:00", true),
            ("2024-02-30 00:00:00", false),
            ("0000-01-01 00:00:00", false),
            ("+10000-01-01 00:00:00", false),
            ("2024-05-01 24:00:00", false),
            ("yesterday", false),
        ] {
            assert_eq!(is_timestamp_literal(text), is_one, "{text}");
        }
        assert!(
            is_date_literal("0001-01-01")
                && !is_date_literal("0000-12-31")
                && !is_date_literal("2023-02-29")
        );
    }
}
