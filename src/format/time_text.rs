//! How are dates and times written as text, and read back?
//!
//! Called per row by `format::json`, by sinks that print, and by casts. The text forms are those of Apache Flink's JSON
//! format: `yyyy-MM-dd HH:mm:ss[.fraction]`, the fraction without trailing zeros, `T` in place of the space for ISO-8601,
//! and a `Z` at the end of a TIMESTAMP_LTZ. Years before 0 and beyond 9999 carry a sign, as in ISO 8601. What always holds:
//! the calendar is proleptic Gregorian, reading refuses a year whose days a DATE does not count (beyond some 5.8 million
//! years), and whatever is written for the others reads back as the same value.

use std::sync::Arc;

use arrow::datatypes::TimeUnit;

const SECONDS_PER_DAY: i64 = 86_400;
/// A Flink formatter reads at most nanoseconds.
const FRACTION_DIGITS_MAX: usize = 9;
const TWO_DIGITS: &[u8; 200] =
    b"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// How date and time stand together: the values of Flink's `json.timestamp-format.standard`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimestampStandard {
    /// A space between them.
    #[default]
    Sql,
    /// A `T` between them.
    Iso8601,
}

/// What stands behind a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneSuffix {
    /// Nothing, as of a TIMESTAMP.
    Absent,
    /// The `Z` of a TIMESTAMP_LTZ.
    Z,
}

impl ZoneSuffix {
    /// The suffix of values of a column that has this zone, or none.
    pub fn of(zone: Option<&Arc<str>>) -> ZoneSuffix {
        if zone.is_some() { ZoneSuffix::Z } else { ZoneSuffix::Absent }
    }
}

/// What is made of a day that the month does not have, and of 24:00:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolver {
    /// The month's last day, and the next midnight, as Java resolves them.
    Smart,
    /// Nothing: there are no such times.
    Strict,
}

/// Ticks of `unit` in a second.
pub const fn ticks_per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Appends a timestamp of `value` ticks since 1970-01-01T00:00:00.
pub fn write_timestamp(out: &mut Vec<u8>, value: i64, unit: TimeUnit, suffix: ZoneSuffix, standard: TimestampStandard) {
    let per_second = ticks_per_second(unit);
    let seconds = value.div_euclid(per_second);
    let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY) as u32;
    write_date_days(out, seconds.div_euclid(SECONDS_PER_DAY));
    out.push(match standard {
        TimestampStandard::Sql => b' ',
        TimestampStandard::Iso8601 => b'T',
    });
    write_clock(out, second_of_day);
    write_fraction(out, nanos as u32);
    if suffix == ZoneSuffix::Z {
        out.push(b'Z');
    }
}

/// Appends `yyyy-MM-dd`; years beyond 9999 carry a sign.
pub fn write_date(out: &mut Vec<u8>, days: i32) {
    write_date_days(out, i64::from(days));
}

/// Appends `HH:mm:ss` of a time of day; like Flink's JSON it leaves out the milliseconds.
pub fn write_time(out: &mut Vec<u8>, millis_of_day: i32) {
    write_clock(out, (i64::from(millis_of_day).div_euclid(1000)).rem_euclid(SECONDS_PER_DAY) as u32);
}

/// Appends `.123` for 123,000,000 ns, nothing for 0.
pub fn write_fraction(out: &mut Vec<u8>, nanos: u32) {
    if nanos == 0 {
        return;
    }
    let mut text = *b".000000000";
    let mut rest = nanos;
    for digit in text[1..].iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    let end = text.iter().rposition(|&c| c != b'0').map_or(0, |last| last + 1);
    out.extend_from_slice(&text[..end]);
}

/// Reads a timestamp in ticks of `unit`. A finer fraction is cut (towards the past). The suffix has to be there; ISO-8601
/// lets the seconds be left out. As Java resolves them, a day that the month does not have is its last and 24:00:00 is the
/// next midnight, but not in a TIMESTAMP of ISO-8601. None for any other text, and for a time that `unit` cannot hold
/// (nanoseconds end in the years 1677 and 2262).
pub fn parse_timestamp(text: &[u8], unit: TimeUnit, suffix: ZoneSuffix, standard: TimestampStandard) -> Option<i64> {
    let text = match suffix {
        ZoneSuffix::Z => text.strip_suffix(b"Z")?,
        ZoneSuffix::Absent => text,
    };
    let (date, rest) = split_date(text)?;
    let (separator, clock) = rest.split_first()?;
    let separates = match standard {
        TimestampStandard::Sql => *separator == b' ',
        TimestampStandard::Iso8601 => matches!(separator, b'T' | b't'),
    };
    if !separates {
        return None;
    }
    let resolver = match (standard, suffix) {
        (TimestampStandard::Iso8601, ZoneSuffix::Absent) => Resolver::Strict,
        _ => Resolver::Smart,
    };
    let days = i64::from(date.days(resolver)?);
    let (second_of_day, nanos) = parse_clock(clock, standard, resolver)?;
    let per_second = ticks_per_second(unit);
    let seconds = days * SECONDS_PER_DAY + second_of_day;
    // Added in i128: a time before 1677 whose fraction brings it back into range must not fail half way.
    let ticks = i128::from(seconds) * i128::from(per_second) + i128::from(nanos / (1_000_000_000 / per_second));
    i64::try_from(ticks).ok()
}

/// Reads `yyyy-MM-dd` as days since 1970-01-01.
pub fn parse_date(text: &[u8]) -> Option<i32> {
    match split_date(text)? {
        (date, []) => date.days(Resolver::Strict),
        _ => None,
    }
}

/// A date as it is written.
struct WrittenDate {
    year: i64,
    month: u32,
    day: u32,
}

impl WrittenDate {
    /// Days since 1970-01-01.
    fn days(self, resolver: Resolver) -> Option<i32> {
        let WrittenDate { year, month, day } = self;
        if !(1..=12).contains(&month) || day == 0 || day > 31 {
            return None;
        }
        let last = days_in_month(year, month);
        if day > last && resolver == Resolver::Strict {
            return None;
        }
        i32::try_from(days_from_civil(year, month, day.min(last))).ok()
    }
}

/// `yyyy-MM-dd` at the start of a text, and what follows. A year of more than four digits has a sign.
fn split_date(text: &[u8]) -> Option<(WrittenDate, &[u8])> {
    const YEAR_DIGITS_MAX: usize = 10;
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let signed = digits.len() < text.len();
    let width = if signed { digits.iter().take(YEAR_DIGITS_MAX + 1).take_while(|c| c.is_ascii_digit()).count() } else { 4 };
    // A plus says that there are more than four.
    if !(4..=YEAR_DIGITS_MAX).contains(&width) || signed && !negative && width == 4 {
        return None;
    }
    let (year, rest) = digits.split_at_checked(width)?;
    let (rest, after) = rest.split_at_checked(6)?;
    if rest[0] != b'-' || rest[3] != b'-' || !year.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let year = year.iter().fold(0, |year, digit| year * 10 + i64::from(digit - b'0'));
    // Minus zero is no year.
    if negative && year == 0 {
        return None;
    }
    let year = if negative { -year } else { year };
    Some((WrittenDate { year, month: two(rest, 1)?, day: two(rest, 4)? }, after))
}

/// Reads `HH:mm:ss[.fraction]` as milliseconds of the day; a finer fraction is cut.
pub fn parse_time(text: &[u8]) -> Option<i32> {
    let (second_of_day, nanos) = parse_clock(text, TimestampStandard::Sql, Resolver::Smart)?;
    i32::try_from(second_of_day % SECONDS_PER_DAY * 1000 + nanos / 1_000_000).ok()
}

/// Year, month and day of a day count since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    // Counted from 0000-03-01, so that the leap day is the last of its year; an era is 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01 of a day that exists.
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let shifted_year = year - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let shifted_month = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

fn write_date_days(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil_from_days(days);
    if (0..=9999).contains(&year) {
        let mut text = *b"0000-00-00";
        put_two(&mut text, 0, year as u32 / 100);
        put_two(&mut text, 2, year as u32 % 100);
        put_two(&mut text, 5, month);
        put_two(&mut text, 8, day);
        out.extend_from_slice(&text);
    } else {
        let sign = if year < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs()).as_bytes());
    }
}

fn write_clock(out: &mut Vec<u8>, second_of_day: u32) {
    let mut text = *b"00:00:00";
    put_two(&mut text, 0, second_of_day / 3600);
    put_two(&mut text, 3, second_of_day / 60 % 60);
    put_two(&mut text, 6, second_of_day % 60);
    out.extend_from_slice(&text);
}

fn put_two(text: &mut [u8], at: usize, value: u32) {
    let from = value as usize * 2;
    text[at..at + 2].copy_from_slice(&TWO_DIGITS[from..from + 2]);
}

fn two(text: &[u8], at: usize) -> Option<u32> {
    let (high, low) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    (high < 10 && low < 10).then(|| u32::from(high) * 10 + u32::from(low))
}

/// Second of the day and nanoseconds of `HH:mm:ss[.fraction]`, or of `HH:mm`, where ISO-8601 lets the seconds be missing.
/// 24:00:00 is the end of the day, unless strictly read.
fn parse_clock(text: &[u8], standard: TimestampStandard, resolver: Resolver) -> Option<(i64, i64)> {
    if text.len() < 5 || text[2] != b':' {
        return None;
    }
    let (hour, minute) = (two(text, 0)?, two(text, 3)?);
    let hour_max = match resolver {
        Resolver::Smart => 24,
        Resolver::Strict => 23,
    };
    if hour > hour_max || minute > 59 {
        return None;
    }
    let before_seconds = i64::from(hour * 3600 + minute * 60);
    if text.len() == 5 && standard == TimestampStandard::Iso8601 {
        return (before_seconds <= SECONDS_PER_DAY).then_some((before_seconds, 0));
    }
    if text.len() < 8 || text[5] != b':' {
        return None;
    }
    let second = two(text, 6)?;
    let (seconds, nanos) = (before_seconds + i64::from(second), parse_fraction(&text[8..])?);
    if second > 59 || seconds > SECONDS_PER_DAY || seconds == SECONDS_PER_DAY && nanos > 0 {
        return None;
    }
    Some((seconds, nanos))
}

fn parse_fraction(text: &[u8]) -> Option<i64> {
    let Some((point, digits)) = text.split_first() else { return Some(0) };
    if *point != b'.' || digits.is_empty() || digits.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    let mut nanos = 0;
    for i in 0..FRACTION_DIGITS_MAX {
        let digit = digits.get(i).map_or(0, |c| c.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        nanos = nanos * 10 + i64::from(digit);
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::seeds::each_seed;
    use crate::support::tier::by_tier;
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    use TimestampStandard::{Iso8601, Sql};
    use ZoneSuffix::{Absent, Z};
    use chrono::{DateTime, Datelike, NaiveDate};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn text(value: i64, unit: TimeUnit, suffix: ZoneSuffix, standard: TimestampStandard) -> String {
        let mut out = Vec::new();
        write_timestamp(&mut out, value, unit, suffix, standard);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn timestamps_are_written_as_flink_does() {
        for (value, unit, suffix, standard, expected) in [
            (0, Millisecond, Absent, Sql, "1970-01-01 00:00:00"),
            (-1, Millisecond, Absent, Sql, "1969-12-31 23:59:59.999"),
            (1_709_168_523_120, Millisecond, Absent, Sql, "2024-02-29 01:02:03.12"),
            (1_709_168_523_000, Millisecond, Z, Sql, "2024-02-29 01:02:03Z"),
            (1_709_168_523_000_010, Microsecond, Z, Iso8601, "2024-02-29T01:02:03.00001Z"),
            (1_709_168_523_123_456_789, Nanosecond, Absent, Sql, "2024-02-29 01:02:03.123456789"),
            (-62_135_596_800, Second, Absent, Sql, "0001-01-01 00:00:00"),
            (253_402_300_799_999, Millisecond, Absent, Sql, "9999-12-31 23:59:59.999"),
            (253_402_300_800, Second, Absent, Sql, "+10000-01-01 00:00:00"),
            (-62_198_755_200, Second, Absent, Sql, "-0001-01-01 00:00:00"),
        ] {
            assert_eq!(text(value, unit, suffix, standard), expected);
        }
        text(i64::MAX, Second, Z, Iso8601);
        text(i64::MIN, Second, Z, Iso8601);
    }

    #[test]
    fn timestamps_are_read_by_the_same_rules() {
        let day = 1_709_164_800_000;
        for (input, suffix, standard, expected) in [
            ("2024-02-29 00:00:00", Absent, Sql, Some(day)),
            ("2024-02-29 00:00:00.1", Absent, Sql, Some(day + 100)),
            ("2024-02-29 00:00:00.999999", Absent, Sql, Some(day + 999)),
            ("1969-12-31 23:59:59.9999", Absent, Sql, Some(-1)),
            ("2024-02-29T00:00", Absent, Iso8601, Some(day)),
            ("2024-02-29T00:00:01Z", Z, Iso8601, Some(day + 1000)),
            ("2024-02-29 00:00:00Z", Z, Sql, Some(day)),
            ("2024-02-29 00:00:00Z", Absent, Sql, None),
            ("2024-02-29 00:00:00", Z, Sql, None),
            ("2024-02-29T00:00:00", Absent, Sql, None),
            ("2024-02-29 00:00:00", Absent, Iso8601, None),
            ("2024-02-29 00:00", Absent, Sql, None),
            ("2023-02-29 00:00:00", Absent, Sql, Some(1_677_542_400_000)),
            ("2023-02-29T00:00:00", Absent, Iso8601, None),
            ("1900-02-29 00:00:00", Absent, Sql, Some(-2_203_977_600_000)),
            ("2024-04-31 00:00:00", Absent, Sql, Some(1_714_435_200_000)),
            ("2024-04-32 00:00:00", Absent, Sql, None),
            ("2024-13-01 00:00:00", Absent, Sql, None),
            ("2024-00-01 00:00:00", Absent, Sql, None),
            ("2024-01-00 00:00:00", Absent, Sql, None),
            ("0000-01-01 00:00:00", Absent, Sql, Some(-62_167_219_200_000)),
            ("-0001-01-01 00:00:00", Absent, Sql, Some(-62_198_755_200_000)),
            ("-0000-01-01 00:00:00", Absent, Sql, None),
            ("+2024-01-01 00:00:00", Absent, Sql, None),
            ("10000-01-01 00:00:00", Absent, Sql, None),
            ("+10000-01-01 00:00:00", Absent, Sql, Some(253_402_300_800_000)),
            ("+10000-01-01T00:00", Absent, Iso8601, Some(253_402_300_800_000)),
            ("-12024-01-01 00:00:00", Absent, Sql, Some(-441_608_025_600_000)),
            ("+5881580-07-11 00:00:00", Absent, Sql, Some(i64::from(i32::MAX) * 86_400_000)),
            ("+5881580-07-12 00:00:00", Absent, Sql, None),
            ("+999999999-01-01 00:00:00", Absent, Sql, None),
            ("+99999999999-01-01 00:00:00", Absent, Sql, None),
            ("999-01-01 00:00:00", Absent, Sql, None),
            ("2024-02-29 24:00:00", Absent, Sql, Some(day + 86_400_000)),
            ("2024-02-29 24:00:00.000", Absent, Sql, Some(day + 86_400_000)),
            ("2024-02-29 24:00:00.001", Absent, Sql, None),
            ("2024-02-29 24:00:01", Absent, Sql, None),
            ("2024-02-29T24:00:00", Absent, Iso8601, None),
            ("2024-02-29T24:00Z", Z, Iso8601, Some(day + 86_400_000)),
            ("2024-02-29T24:01Z", Z, Iso8601, None),
            ("2024-02-30T00:00:00Z", Z, Iso8601, Some(day)),
            ("2024-02-29 23:60:00", Absent, Sql, None),
            ("2024-02-29 23:59:60", Absent, Sql, None),
            ("2024-02-29 00:00:00.", Absent, Sql, None),
            ("2024-02-29 00:00:00.1234567890", Absent, Sql, None),
            ("2024-02-29 00:00:00.12x", Absent, Sql, None),
            ("2024-02-2\u{e9} 00:00:00", Absent, Sql, None),
            (" 2024-02-29 00:00:00", Absent, Sql, None),
            ("2024-02-29", Absent, Sql, None),
            ("", Absent, Sql, None),
            ("Z", Z, Sql, None),
        ] {
            assert_eq!(parse_timestamp(input.as_bytes(), Millisecond, suffix, standard), expected, "{input}");
        }
        assert_eq!(parse_timestamp(b"1600-01-01 00:00:00", Nanosecond, Absent, Sql), None);
        assert_eq!(parse_timestamp(b"1677-09-21 00:12:43.145224192", Nanosecond, Absent, Sql), Some(i64::MIN));
        assert_eq!(parse_timestamp(b"1677-09-21 00:12:43.145224191", Nanosecond, Absent, Sql), None);
        assert_eq!(parse_timestamp(b"2262-04-11 23:47:16.854775807", Nanosecond, Absent, Sql), Some(i64::MAX));
    }

    #[test]
    fn dates_and_times_of_day() {
        assert_eq!(parse_date(b"2024-02-29"), Some(19782));
        assert_eq!(parse_date(b"2024-2-29"), None);
        assert_eq!(parse_time(b"01:02:03"), Some(3_723_000));
        assert_eq!(parse_time(b"23:59:59.9999"), Some(86_399_999));
        assert_eq!((parse_date(b"2023-02-29"), parse_date(b"0000-01-01")), (None, Some(-719_528)));
        assert_eq!((parse_date(b"-0001-01-01"), parse_date(b"+10000-01-01")), (Some(-719_893), Some(2_932_897)));
        assert_eq!((parse_time(b"01:02"), parse_time(b"24:00:00")), (None, Some(0)));
        let mut out = Vec::new();
        write_date(&mut out, -1);
        write_time(&mut out, 3_723_999);
        assert_eq!(out, b"1969-12-3101:02:03");
    }

    /// Every day of years 0001 to 9999 agrees with chrono, in both directions.
    #[test]
    fn the_calendar_agrees_with_chrono() {
        let first = NaiveDate::from_ymd_opt(1, 1, 1).unwrap();
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        let mut date = first;
        let mut days = (first - epoch).num_days();
        let mut out = Vec::new();
        while date.year() <= 9999 {
            assert_eq!(civil_from_days(days), (i64::from(date.year()), date.month(), date.day()));
            assert_eq!(days_from_civil(date.year().into(), date.month(), date.day()), days);
            if days % 97 == 0 {
                out.clear();
                write_date(&mut out, days as i32);
                assert_eq!(out, date.format("%Y-%m-%d").to_string().as_bytes());
                assert_eq!(parse_date(&out), Some(days as i32));
            }
            date = date.succ_opt().unwrap();
            days += 1;
        }
    }

    #[test]
    fn random_timestamps_agree_with_chrono_and_read_back() {
        each_seed(0..by_tier(50, 100, 5000), |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for _ in 0..200 {
                for unit in [Second, Millisecond, Microsecond, Nanosecond] {
                    let per_second = ticks_per_second(unit);
                    let (low, high) = if unit == Nanosecond {
                        (i64::MIN, i64::MAX)
                    } else {
                        (-62_135_596_800 * per_second, 253_402_300_800 * per_second - 1)
                    };
                    let value = rng.random_range(low..=high);
                    let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
                    let expected = DateTime::from_timestamp(value.div_euclid(per_second), nanos as u32).unwrap();
                    let mut expected = expected.format("%Y-%m-%d %H:%M:%S.%9f").to_string();
                    expected.truncate(expected.trim_end_matches('0').trim_end_matches('.').len().max(19));
                    let written = text(value, unit, Absent, Sql);
                    assert_eq!(written, expected);
                    assert_eq!(parse_timestamp(written.as_bytes(), unit, Absent, Sql), Some(value));
                }
            }
        });
    }
}
