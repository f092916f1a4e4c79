//! Java's date patterns, `yyyy-MM-dd HH:mm:ss`, for writing and reading a time.
//!
//! Known letters: y u M d H h k m s S a E D Q q w n, text in quotes, and whatever is no letter. Names are English. Called by
//! `temporal`. A pattern is taken apart in `pattern`; `writing` and `reading` say what each of its tokens stands for.

mod numbers;
mod pattern;
mod reading;
mod writing;

pub use reading::{Excess, Parts, parse};
pub use writing::{write, write_old, write_to_ns};

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::time_text::{civil_from_days, days_from_civil};
    use crate::time::MS_PER_DAY;

    #[test]
    fn patterns_write_and_read() {
        let ms = 1_709_210_096_789;
        for (pattern, expected) in [
            ("yyyy-MM-dd HH:mm:ss.SSS", "2024-02-29 12:34:56.789"),
            ("dd/MM/yy hh:mm a", "29/02/24 12:34 PM"),
            ("EEE d MMM yyyy", "Thu 29 Feb 2024"),
            ("yyyyMMdd'T'HHmmss", "20240229T123456"),
            ("y QQQ w D", "2024 Q1 9 60"),
        ] {
            assert_eq!(write(ms, pattern).as_deref(), Ok(expected), "{pattern}");
        }
        assert!(write(ms, "ZZ").is_err());
        let read = |text, pattern| parse(text, pattern, Excess::Cut).expect("a pattern").map(|p| (p.ms, p.rest));
        assert_eq!(read("2024-02-29 12:34:56.789", "yyyy-MM-dd HH:mm:ss.SSS"), Some((ms, "")));
        assert_eq!(read("20240229", "yyyyMMdd"), Some((1_709_164_800_000, "")));
        assert_eq!(read("29.02.2024 x", "dd.MM.yyyy"), Some((1_709_164_800_000, " x")));
        assert_eq!(read("x", "yyyy"), None);
        assert_eq!(read("2023-02-29", "yyyy-MM-dd"), read("2023-02-28", "yyyy-MM-dd"));
        let carried = parse("2023-14-01", "yyyy-MM-dd", Excess::Carry).expect("a pattern").map(|p| p.ms);
        assert_eq!(carried, read("2024-02-01", "yyyy-MM-dd").map(|r| r.0));
    }

    #[test]
    fn years_are_as_long_as_their_pattern_says() {
        let year = |text, pattern| {
            parse(text, pattern, Excess::Cut).expect("a pattern").map(|p| (civil_from_days(p.ms / MS_PER_DAY).0, p.rest))
        };
        for (text, pattern, expected) in [
            ("9999", "yyyy", Some((9999, ""))),
            ("10000", "yyyy", None),
            ("+10000", "yyyy", Some((10_000, ""))),
            ("+2024", "yyyy", None),
            ("999", "yyyy", None),
            ("999", "y", Some((999, ""))),
            ("10000", "y", Some((10_000, ""))),
            ("10000", "yyyyy", Some((10_000, ""))),
            ("0000", "yyyy", None),
            ("0000", "uuuu", Some((0, ""))),
            ("-2024", "uuuu", Some((-2024, ""))),
            ("-2024", "yyyy", None),
            ("20240101", "yyyyMMdd", Some((2024, ""))),
            ("120240101", "yyyyMMdd", None),
            ("24", "yy", Some((2024, ""))),
            ("5800001", "y", None),
            ("999999999999999999999", "y", None),
        ] {
            assert_eq!(year(text, pattern), expected, "{text} by {pattern}");
        }
        let old = |text| parse(text, "yyyy-MM-dd", Excess::Carry).expect("a pattern").map(|p| p.ms);
        assert_eq!((old("-0001-01-01"), old("10000-01-01")), (Some(-62_198_928_000_000), Some(253_402_300_800_000)));
        assert_eq!((old("+2024-01-01"), old("2147483647-01-01"), old("2024-01-99999999999")), (None, None, None));
        for (year, pattern, expected) in [
            (10_000, "yyyy", "+10000"),
            (10_000, "yyyyy y uuuu u yy", "10000 10000 +10000 10000 00"),
            (0, "yyyy uuuu yy", "0001 0000 01"),
            (-1, "yyyy uuuu u uu", "0002 -0001 -1 01"),
        ] {
            assert_eq!(write(days_from_civil(year, 5, 6) * MS_PER_DAY, pattern).as_deref(), Ok(expected), "{year}");
        }
    }
}
