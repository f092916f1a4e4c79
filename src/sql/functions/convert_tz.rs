//! CONVERT_TZ(text, from, to): a local time of one zone as that of another.
//!
//! Flink goes by Java's SimpleDateFormat and GregorianCalendar, and so does this: numbers may be too large and are counted
//! on, text may follow, and before 1582-10-15 the calendar is Julian. A text that is no time is NULL; a zone that is none is
//! UTC.

use super::old_calendar::{date_of, days_of};
use super::rows::ParameterKind::Text;
use super::rows::{Answer, Body, Definition, Row, function};
use crate::time::MS_PER_DAY;
use crate::time::java_zone::JavaZone;

pub const CONVERT_TZ: Definition = function("convert_tz", &[Text, Text, Text], Body::Text(convert));

/// Digits of a number, so that nothing below overflows.
const DIGITS_MAX: usize = 8;

fn convert(row: &Row<'_>) -> Answer<String> {
    let Some([year, month, day, hour, minute, second]) = fields(row.text(0))? else { return Ok(None) };
    let seconds = (hour * 60 + minute) * 60 + second;
    let days = days_of(year, month, day + seconds.div_euclid(86_400));
    let local_ms = days * MS_PER_DAY + seconds.rem_euclid(86_400) * 1000;
    let ms = JavaZone::named(row.text(1)).instant(local_ms);
    Ok(Some(written(JavaZone::named(row.text(2)).local(ms))))
}

/// The six numbers of `yyyy-MM-dd HH:mm:ss`, each with blanks and a minus before it; what follows does not matter.
fn fields(text: &str) -> Result<Option<[i64; 6]>, String> {
    let mut rest = text;
    let mut fields = [0; 6];
    let mut too_large = None;
    for (at, field) in fields.iter_mut().enumerate() {
        if at > 0 {
            match rest.strip_prefix(["", "-", "-", " ", ":", ":"][at]) {
                Some(after) => rest = after,
                None => return Ok(None),
            }
        }
        rest = rest.trim_start_matches([' ', '\t']);
        let (sign, digits) = rest.strip_prefix('-').map_or((1, rest), |digits| (-1, digits));
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        if length > DIGITS_MAX {
            too_large.get_or_insert(&digits[..length]);
        } else {
            let Ok(number) = digits[..length].parse::<i64>() else { return Ok(None) };
            *field = sign * number;
        }
        rest = &digits[length..];
    }
    match too_large {
        Some(number) => Err(format!("'{number}' is too large a number for a time")),
        None => Ok(Some(fields)),
    }
}

fn written(ms: i64) -> String {
    let (days, seconds) = (ms.div_euclid(MS_PER_DAY), ms.rem_euclid(MS_PER_DAY) / 1000);
    let (year, month, day) = date_of(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written_as_java_does() {
        for (text, expected) in [
            ("2024-07-01 12:00:00.5", Some("2024-07-01 12:00:00")),
            ("2024-7-1 1:2:3x", Some("2024-07-01 01:02:03")),
            (" 2024-07-01  12:00:00", Some("2024-07-01 12:00:00")),
            ("2024-07-01 25:61:61", Some("2024-07-02 02:02:01")),
            ("24-07-01 12:00:00", Some("0024-07-01 12:00:00")),
            ("2024-07--1 12:00:00", Some("2024-06-29 12:00:00")),
            ("2024-0-0 0:0:0", Some("2023-11-30 00:00:00")),
            ("1582-10-10 01:02:03", Some("1582-10-20 01:02:03")),
            ("1582-10-04 24:00:00", Some("1582-10-15 00:00:00")),
            ("1500-02-29 00:00:00", Some("1500-02-29 00:00:00")),
            ("0000-01-01 00:00:00", Some("0001-01-01 00:00:00")),
            ("-0001-01-01 00:00:00", Some("0002-01-01 00:00:00")),
            ("12024-01-01 00:00:00", Some("12024-01-01 00:00:00")),
            ("2024-07-01 12:00", None),
            ("+2024-07-01 12:00:00", None),
            ("2024 -07-01 12:00:00", None),
        ] {
            let read = fields(text).expect("small numbers").map(|[year, month, day, hour, minute, second]| {
                let seconds = (hour * 60 + minute) * 60 + second;
                written(days_of(year, month, day + seconds.div_euclid(86_400)) * MS_PER_DAY + seconds.rem_euclid(86_400) * 1000)
            });
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        assert!(fields("123456789-01-01 00:00:00").is_err());
    }
}
