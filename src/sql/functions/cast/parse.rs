//! From text: what does Flink read in it?
//!
//! Each reader is Flink's own, with its oddities: a fraction is cut from text for an integer, `1`
//! is a DATE, `2024-02-30` is the 29th as a TIMESTAMP and nothing as a DATE, and one stray
//! character behind a short DECIMAL is skipped.

use std::fmt::Display;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, TimeUnit,
};

use super::time::timestamps;
use super::{Type, Unreadable};
use crate::format::time_text::{days_from_civil, ticks_per_second};
use crate::time::MS_PER_DAY;
use crate::types::decimal::{parse_as, rescale};

pub fn cast(array: &StringArray, to: &Type, unreadable: Unreadable) -> Result<ArrayRef, String> {
    Ok(match &to.data_type {
        DataType::Int8 => {
            each::<Int8Type>(array, to, unreadable, |t| integer(t).and_then(|v| v.try_into().ok()))?
        }
        DataType::Int16 => each::<Int16Type>(array, to, unreadable, |t| {
            integer(t).and_then(|v| v.try_into().ok())
        })?,
        DataType::Int32 => each::<Int32Type>(array, to, unreadable, |t| {
            integer(t).and_then(|v| v.try_into().ok())
        })?,
        DataType::Int64 => each::<Int64Type>(array, to, unreadable, integer)?,
        DataType::Float32 => each::<Float32Type>(array, to, unreadable, floating)?,
        DataType::Float64 => each::<Float64Type>(array, to, unreadable, floating)?,
        DataType::Boolean => {
            let mut bad = Bad { first: None };
            let out: BooleanArray = array.iter().map(|t| bad.note(t?, boolean(t?))).collect();
            bad.check(to, unreadable)?;
            Arc::new(out)
        }
        DataType::Decimal128(p, s) => {
            let mut bad = Bad { first: None };
            let out: PrimitiveArray<Decimal128Type> =
                array.iter().map(|t| bad.note(t?, decimal(t?, *p, *s)).flatten()).collect();
            bad.check(to, unreadable)?;
            Arc::new(out.with_precision_and_scale(*p, *s).map_err(|e| e.to_string())?)
        }
        DataType::Date32 => each::<Date32Type>(array, to, unreadable, date)?,
        DataType::Time32(_) => each::<Time32MillisecondType>(array, to, unreadable, time)?,
        DataType::Timestamp(unit, _) => {
            let mut bad = Bad { first: None };
            let digits = to.precision();
            let values: Vec<Option<i64>> =
                array.iter().map(|t| bad.note(t?, timestamp(t?, *unit, digits))).collect();
            bad.check(to, unreadable)?;
            timestamps(values.into_iter(), &to.data_type)?
        }
        DataType::Binary => {
            let bytes: BinaryArray = array.iter().map(|t| t.map(str::as_bytes)).collect();
            cut_bytes(&bytes, to)
        }
        other => return Err(format!("cannot cast STRING to {other}")),
    })
}

/// BINARY(n) and VARBINARY(n) have a length.
pub(crate) fn cut_bytes(array: &BinaryArray, to: &Type) -> ArrayRef {
    let (exactly, at_most) = (to.modifier("BINARY"), to.modifier("VARBINARY"));
    let cut = |bytes: &[u8]| {
        let length = exactly.or(at_most).unwrap_or(usize::MAX);
        let mut out = bytes[..bytes.len().min(length)].to_vec();
        if let Some(length) = exactly {
            out.resize(length, 0);
        }
        out
    };
    Arc::new(array.iter().map(|b| b.map(cut)).collect::<BinaryArray>())
}

/// Remembers the first text that could not be read.
struct Bad {
    first: Option<String>,
}

impl Bad {
    fn note<T>(&mut self, text: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && self.first.is_none() {
            self.first = Some(text.to_string());
        }
        value
    }

    fn check(self, to: &Type, unreadable: Unreadable) -> Result<(), String> {
        match self.first {
            Some(text) if unreadable == Unreadable::RefusesRow => Err(refusal(&text, to.name())),
            _ => Ok(()),
        }
    }
}

fn refusal(text: &str, to: impl Display) -> String {
    format!("cannot cast '{text}' to {to}")
}

fn each<T: ArrowPrimitiveType>(
    array: &StringArray,
    to: &Type,
    unreadable: Unreadable,
    read: impl Fn(&str) -> Option<T::Native>,
) -> Result<ArrayRef, String> {
    let mut bad = Bad { first: None };
    let out: PrimitiveArray<T> = array.iter().map(|t| bad.note(t?, read(t?))).collect();
    bad.check(to, unreadable)?;
    Ok(Arc::new(out))
}

/// A sign, digits, and a fraction that is dropped.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim_matches(' ');
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if digits.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|c| c.is_ascii_digit()) {
        return None;
    }
    whole.bytes().try_fold(0i64, |v, c| v.checked_mul(10)?.checked_add(sign * i64::from(c - b'0')))
}

/// What Java's Double.parseDouble reads: NaN and Infinity by those names alone, and a letter for
/// the type at the end.
fn floating<T: std::str::FromStr>(text: &str) -> Option<T> {
    let text = text.trim();
    let named = matches!(text.trim_start_matches(['+', '-']), "NaN" | "Infinity");
    if named {
        return text.parse().ok();
    }
    let text = match text.strip_suffix(['d', 'D', 'f', 'F']) {
        Some(number) if number.ends_with(|c: char| c.is_ascii_digit() || c == '.') => number,
        _ => text,
    };
    let plain =
        text.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'+' | b'-' | b'.' | b'e' | b'E'));
    if plain { text.parse().ok() } else { None }
}

pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// None is no number, Some(None) one that does not fit.
#[expect(clippy::option_option, reason = "no number fails a cast, one that is too big is NULL")]
fn decimal(text: &str, precision: u8, scale: i8) -> Option<Option<i128>> {
    const SHORT: usize = 18;
    if usize::from(precision) <= SHORT && text.len() <= SHORT {
        return short_decimal(text.as_bytes(), precision, scale);
    }
    parse_as(text.trim(), (precision, scale))
}

/// Flink's fast reader for short texts: the first character that is no digit ends the number and is
/// not looked at.
#[expect(clippy::option_option, reason = "as above")]
fn short_decimal(text: &[u8], precision: u8, scale: i8) -> Option<Option<i128>> {
    let space = |c: &u8| matches!(c, b' ' | b'\n' | b'\t');
    let start = text.iter().position(|c| !space(c))?;
    let mut rest = text[start..].iter().peekable();
    let negative = rest.peek() == Some(&&b'-');
    if negative || rest.peek() == Some(&&b'+') {
        rest.next();
        rest.peek()?;
    }
    let (mut value, mut fraction, mut seen_point, mut last) = (0i128, 0i32, false, b'0');
    for &c in rest.by_ref() {
        last = c;
        match c {
            b'0'..=b'9' => {
                value = value * 10 + i128::from(c - b'0');
                fraction += i32::from(seen_point);
            }
            b'.' if seen_point => return None,
            b'.' => seen_point = true,
            _ => break,
        }
    }
    let mut exponent = 0i32;
    if matches!(last, b'e' | b'E') && rest.peek().is_some() {
        let down = rest.peek() == Some(&&b'-');
        if down || rest.peek() == Some(&&b'+') {
            rest.next();
        }
        let mut digits = 0;
        for &c in rest.by_ref() {
            if !c.is_ascii_digit() {
                break;
            }
            digits += 1;
            exponent = exponent.saturating_mul(10).saturating_add(i32::from(c - b'0'));
        }
        if digits == 0 {
            return None;
        }
        if down {
            exponent = -exponent;
        }
    }
    if !rest.all(space) {
        return None;
    }
    let value = if negative { -value } else { value };
    Some(rescale(value, fraction.saturating_sub(exponent), i32::from(scale), precision))
}

fn small_number(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() || text.len() > 9 || !text.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// `yyyy[-M[-d]]`; what follows a space is dropped.
pub fn date(text: &str) -> Option<i32> {
    let text = match text.find(' ') {
        Some(at) if at > 0 => &text[..at],
        _ => text,
    };
    let mut parts = text.splitn(3, '-').map(small_number);
    let year = parts.next()??;
    let month = parts.next().unwrap_or(Some(1))?;
    let day = parts.next().unwrap_or(Some(1))?;
    if !(0..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || day < 1
        || day > days_in_month(year, month)
    {
        return None;
    }
    i32::try_from(days_from_civil(year, month as u32, day as u32)).ok()
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let next = if month == 12 {
        days_from_civil(year + 1, 1, 1)
    } else {
        days_from_civil(year, month as u32 + 1, 1)
    };
    next - days_from_civil(year, month as u32, 1)
}

/// `H[:m[:s[.f]]]`, in ms of the day.
fn time(text: &str) -> Option<i32> {
    let mut parts = text.splitn(3, ':');
    let hour = small_number(parts.next()?)?;
    let minute = parts.next().map_or(Some(0), small_number)?;
    let (second, millis) = match parts.next() {
        None => (0, 0),
        Some(rest) => match rest.split_once('.') {
            None => (small_number(rest)?, 0),
            Some((second, fraction)) => {
                (small_number(second)?, nanos(fraction.trim())? / 1_000_000)
            }
        },
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    i32::try_from(((hour * 60 + minute) * 60 + second) * 1000 + millis).ok()
}

/// The nanoseconds of up to nine digits of a fraction.
fn nanos(digits: &str) -> Option<i64> {
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

/// `yyyy-M-d[ H:m:s[.f]]` from the year 1 on, with so many digits of the fraction kept. A year of
/// more than four digits has a plus. A day that the month does not have is its last, and 24:00:00
/// is the next midnight.
pub fn timestamp(text: &str, unit: TimeUnit, digits: usize) -> Option<i64> {
    const SECONDS_PER_DAY: i64 = 86_400;
    let (date, clock) = match text.split_once(' ') {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, year_fits) = match year.strip_prefix('+') {
        Some(year) => (year, year.len() > 4),
        None => (year, year.len() == 4),
    };
    if parts.next().is_some() || !year_fits || month.len() > 2 || day.len() > 2 {
        return None;
    }
    let (year, month, day) = (small_number(year)?, small_number(month)?, small_number(day)?);
    if year == 0 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // No day that a DATE does not count.
    let days = i32::try_from(days_from_civil(
        year,
        month as u32,
        day.min(days_in_month(year, month)) as u32,
    ))
    .ok()?;
    let (mut second_of_day, mut fraction) = (0, 0);
    if let Some(clock) = clock {
        let (clock, rest) = clock.split_once('.').map_or((clock, None), |(c, f)| (c, Some(f)));
        let mut parts = clock.split(':');
        let mut part =
            || parts.next().filter(|p| p.len() <= 2 && !p.starts_with(' ') && !p.ends_with(' '));
        let (hour, minute, second) =
            (small_number(part()?)?, small_number(part()?)?, small_number(part()?)?);
        if let Some(rest) = rest {
            let step = 10i64.pow(9 - digits.min(9) as u32);
            fraction = nanos(rest)? / step * step;
        }
        second_of_day = (hour * 60 + minute) * 60 + second;
        let too_late =
            second_of_day > SECONDS_PER_DAY || second_of_day == SECONDS_PER_DAY && fraction > 0;
        if parts.next().is_some() || minute > 59 || second > 59 || too_late {
            return None;
        }
    }
    let per_second = ticks_per_second(unit);
    let seconds = i64::from(days) * SECONDS_PER_DAY + second_of_day;
    seconds.checked_mul(per_second)?.checked_add(fraction / (1_000_000_000 / per_second))
}

/// The same as Java's `Timestamp.valueOf` reads it, in ms: what is too much of a day, an hour, a
/// minute or a second is counted on into the next.
pub fn timestamp_carrying(text: &str) -> Option<i64> {
    let (date, clock) = match text.trim().split_once(' ') {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some()
        || year.len() != 4
        || !(1..=2).contains(&month.len())
        || !(1..=2).contains(&day.len())
    {
        return None;
    }
    let (year, month, day) = (small_number(year)?, small_number(month)?, small_number(day)?);
    // There, the year 0 is the year 1.
    if year == 0 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_from_civil(year, month as u32, 1) + day - 1;
    let Some(clock) = clock else { return Some(days * MS_PER_DAY) };
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(c, f)| (c, Some(f)));
    let mut parts = clock.split(':').map(small_number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() {
        return None;
    }
    let millis = fraction.map_or(Some(0), nanos)? / 1_000_000;
    Some(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_text() {
        for (text, expected) in [
            (" 42 ", Some(42)),
            ("1.9", Some(1)),
            ("-1.", Some(-1)),
            ("+5", Some(5)),
            ("1e3", None),
        ] {
            assert_eq!(integer(text), expected, "{text}");
        }
        assert_eq!((integer(""), integer("-"), integer("9223372036854775808")), (None, None, None));
        assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(floating::<f64>("1d"), Some(1.0));
        assert_eq!((floating::<f64>("inf"), floating::<f64>("nan")), (None, None));
        assert_eq!(
            (decimal("T", 10, 2), decimal("1,5", 10, 2), decimal("", 10, 2)),
            (Some(Some(0)), None, None)
        );
        assert_eq!(
            (decimal("1e3", 10, 2), decimal("1e3", 3, 0)),
            (Some(Some(100_000)), Some(None))
        );
    }

    #[test]
    fn dates_and_times_in_text() {
        assert_eq!(
            (date("1970"), date("1970-2"), date("1970-01-02 12:00:00")),
            (Some(0), Some(31), Some(1))
        );
        assert_eq!((date("2024-02-30"), date("12:34"), date("1.9")), (None, None, None));
        assert_eq!(
            (time("1"), time("12:34"), time("24:00")),
            (Some(3_600_000), Some(45_240_000), None)
        );
        let ms = |text| timestamp(text, TimeUnit::Millisecond, 3);
        assert_eq!(
            (ms("1970-1-2"), ms("1970-01-01 0:0:1.5"), ms("1970-01-01T00:00:00")),
            (Some(86_400_000), Some(1500), None)
        );
        assert_eq!(
            (ms("2023-02-30"), ms("2023-02-28")),
            (ms("2023-02-28"), Some(1_677_542_400_000))
        );
        assert_eq!(
            (ms("0000-12-31"), ms("0001-01-01"), ms("-0001-01-01")),
            (None, Some(-62_135_596_800_000), None)
        );
        assert_eq!(
            (ms("10000-01-01"), ms("+10000-01-01"), ms("+2024-01-01")),
            (None, Some(253_402_300_800_000), None)
        );
        assert_eq!(
            (ms("+999999999-01-01"), ms("1970-01-01 24:00:00"), ms("1970-01-01 24:00:00.1")),
            (None, Some(86_400_000), None)
        );
        let carrying = timestamp_carrying;
        assert_eq!(
            (carrying("1970-1-32"), carrying("1969-2-29 24:30:60")),
            (None, Some(-26_350_140_000))
        );
        assert_eq!(
            (carrying("0000-01-01 00:00:00"), carrying("+10000-01-01"), carrying("1970-01-01 1:2")),
            (None, None, None)
        );
    }
}
