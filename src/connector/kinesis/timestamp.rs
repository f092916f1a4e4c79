//! Which moment does `source.init.timestamp` name? Called by the options' parser.
//!
//! Without a format: RFC 3339, or seconds since the epoch. With one: a pattern of Java's
//! SimpleDateFormat, as Flink takes it, of the letters that people use there; a time without a zone
//! is UTC.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

/// Ms since the epoch. The error says what is expected.
pub(crate) fn parse_ms(text: &str, pattern: Option<&str>) -> Result<i64, String> {
    let Some(pattern) = pattern else {
        let rfc3339 = || DateTime::parse_from_rfc3339(text).map(|t| t.timestamp_millis()).ok();
        return seconds_ms(text).or_else(rfc3339).ok_or_else(|| {
            format!(
                "'{text}' is neither like 2016-04-04T19:58:46.480Z nor seconds like 1459799926.480"
            )
        });
    };
    let format = chrono_format(pattern)?;
    let with_zone = || DateTime::parse_from_str(text, &format).map(|t| t.timestamp_millis()).ok();
    let without = || {
        NaiveDateTime::parse_from_str(text, &format).map(|t| t.and_utc().timestamp_millis()).ok()
    };
    let day = || {
        Some(
            NaiveDate::parse_from_str(text, &format)
                .ok()?
                .and_time(NaiveTime::MIN)
                .and_utc()
                .timestamp_millis(),
        )
    };
    // The format goes first: 20160404 can be a day.
    let parsed = with_zone().or_else(without).or_else(day).or_else(|| seconds_ms(text));
    parsed.ok_or_else(|| format!("'{text}' does not follow the format {pattern}"))
}

/// Seconds since the epoch with up to three decimals, exactly. None for anything else.
fn seconds_ms(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > 3 {
        return None;
    }
    let ms: i64 = format!("{decimals:0<3}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(ms)
}

/// A pattern of SimpleDateFormat in chrono's terms.
fn chrono_format(pattern: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('\'') {
            let end = quoted
                .find('\'')
                .ok_or_else(|| format!("a quote in the format {pattern} is not closed"))?;
            // Two quotes in a row are one that is meant.
            out.push_str(&if end == 0 { "'".to_owned() } else { quoted[..end].replace('%', "%%") });
            rest = &quoted[end + 1..];
            continue;
        }
        let length = rest.len() - rest.trim_start_matches(first).len();
        out.push_str(match &rest[..length] {
            "yyyy" => "%Y",
            "MM" => "%m",
            "dd" => "%d",
            "HH" => "%H",
            "mm" => "%M",
            "ss" => "%S",
            "SSS" => "%3f",
            "X" | "XX" | "XXX" | "Z" => "%#z",
            other if other.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                return Err(format!("'{other}' in the format {pattern} is not supported (yyyy MM dd HH mm ss SSS X Z are)"));
            }
            "%" => "%%",
            other => other,
        });
        rest = &rest[length..];
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_459_799_926_480;

    #[test]
    fn the_same_moment_in_every_spelling() {
        let spellings = [
            ("1459799926.480", None),
            ("1459799926.48", None),
            ("2016-04-04T19:58:46.480Z", None),
            ("2016-04-04T21:58:46.480+02:00", None),
            ("2016-04-04T19:58:46.480-00:00", Some("yyyy-MM-dd'T'HH:mm:ss.SSSXXX")),
            ("2016-04-04T19:58:46.480Z", Some("yyyy-MM-dd'T'HH:mm:ss.SSSXXX")),
            ("04/04/2016 21:58:46.480 +0200", Some("dd/MM/yyyy HH:mm:ss.SSS Z")),
            ("2016-04-04 19:58:46.480", Some("yyyy-MM-dd HH:mm:ss.SSS")),
        ];
        for (text, pattern) in spellings {
            assert_eq!(parse_ms(text, pattern), Ok(MS), "{text} as {pattern:?}");
        }
        assert_eq!(parse_ms("1459799926", None), Ok(1_459_799_926_000));
        assert_eq!(parse_ms("20160404", Some("yyyyMMdd")), Ok(1_459_728_000_000));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["yesterday", "2016-04-04", "-5", "1.2345", "99999999999999999999", ""] {
            assert!(parse_ms(text, None).is_err(), "{text}");
        }
        assert!(
            parse_ms("2016-04", Some("yyyy-MM-dd")).is_err_and(|e| e.contains("does not follow"))
        );
        assert!(parse_ms("x", Some("EEE yyyy")).is_err_and(|e| e.contains("'EEE'")));
        assert!(parse_ms("x", Some("yyyy'T")).is_err_and(|e| e.contains("not closed")));
    }
}
