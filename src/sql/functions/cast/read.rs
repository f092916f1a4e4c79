//! Dates and times in text, for the functions that read them as the casts do.

use arrow::datatypes::TimeUnit;

pub use super::parse::date;
use super::parse::timestamp;

/// A TIMESTAMP(3) in ms.
pub fn timestamp_ms(text: &str) -> Option<i64> {
    timestamp(text, TimeUnit::Millisecond, 3)
}

/// True if the text is a timestamp whose day the month has.
pub fn exists(text: &str) -> bool {
    timestamp_ms(text).is_some() && timestamp_ms(text) == lenient_timestamp_ms(text)
}

/// The same where a day that the month does not have is counted on into the next.
pub fn lenient_timestamp_ms(text: &str) -> Option<i64> {
    let ms = timestamp_ms(text)?;
    let day: i64 = text.split([' ', '-']).nth(2)?.parse().ok()?;
    let (_, _, kept) = crate::format::time_text::civil_from_days(ms.div_euclid(86_400_000));
    Some(ms + (day - i64::from(kept)) * 86_400_000)
}
