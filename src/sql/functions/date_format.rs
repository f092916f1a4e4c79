//! Java's date patterns, `yyyy-MM-dd HH:mm:ss`, for writing and reading a time.
//!
//! Known letters: y u M d H h k m s S a E D Q q w n, text in quotes, and whatever is no letter. Names are English. Called by
//! `temporal`.

use super::old_calendar;
use crate::format::time_text::{civil_from_days, days_from_civil};
use crate::time::MS_PER_DAY;

/// Years that are read: some less than a DATE counts the days of.
const YEARS_MAX: i64 = 5_800_000;
const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A time that was read, and the text behind it.
pub struct Parts<'a> {
    pub ms: i64,
    pub rest: &'a str,
}

enum Piece {
    /// A letter, and how often it stands there.
    Field(char, usize),
    Text(String),
}

fn pieces(pattern: &str) -> Result<Vec<Piece>, String> {
    let mut out = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' {
            let mut text = String::new();
            loop {
                match chars.next() {
                    Some('\'') if chars.peek() == Some(&'\'') => {
                        chars.next();
                        text.push('\'');
                    }
                    Some('\'') => break,
                    Some(c) => text.push(c),
                    None => return Err(format!("the pattern '{pattern}' has a quote without its end")),
                }
            }
            out.push(Piece::Text(if text.is_empty() { "'".into() } else { text }));
        } else if c.is_ascii_alphabetic() {
            let mut count = 1;
            while chars.next_if_eq(&c).is_some() {
                count += 1;
            }
            out.push(Piece::Field(c, count));
        } else {
            out.push(Piece::Text(c.to_string()));
        }
    }
    Ok(out)
}

pub fn write(ms: i64, pattern: &str) -> Result<String, String> {
    write_to_ns(ms, 0, pattern)
}

/// The same, with the nanoseconds below the millisecond.
pub fn write_to_ns(ms: i64, below_ns: i64, pattern: &str) -> Result<String, String> {
    write_date(civil_from_days(ms.div_euclid(MS_PER_DAY)), year_text, ms, below_ns, &pieces(pattern)?)
}

/// A year as Java's DateTimeFormatter writes it: `y` counts within its era, `u` has a sign, and of four letters and more a
/// plus says that there are more digits than letters.
fn year_text(letter: char, count: usize, year: i64) -> String {
    let year = if letter == 'y' && year <= 0 { 1 - year } else { year };
    if count == 2 {
        return format!("{:02}", year.unsigned_abs() % 100);
    }
    let digits = format!("{:0count$}", year.unsigned_abs());
    match year {
        ..0 => format!("-{digits}"),
        _ if count >= 4 && digits.len() > count => format!("+{digits}"),
        _ => digits,
    }
}

/// The same in the calendar of Java's SimpleDateFormat.
pub fn write_old(ms: i64, pattern: &str) -> Result<String, String> {
    let days = ms.div_euclid(MS_PER_DAY);
    let pieces = pieces(pattern)?;
    if days < days_from_civil(1583, 1, 1) && pieces.iter().any(|piece| matches!(piece, Piece::Field('D' | 'w', _))) {
        return Err("the pattern letters 'D' and 'w' are not supported before 1583".into());
    }
    let years = |_, count, year: i64| match count {
        2 => format!("{:02}", year % 100),
        _ => format!("{year:0count$}"),
    };
    write_date(old_calendar::date_of(days), years, ms, 0, &pieces)
}

fn write_date(
    (year, month, day): (i64, u32, u32),
    year_text: impl Fn(char, usize, i64) -> String,
    ms: i64,
    below_ns: i64,
    pieces: &[Piece],
) -> Result<String, String> {
    let days = ms.div_euclid(MS_PER_DAY);
    let of_day = ms.rem_euclid(MS_PER_DAY);
    let (hour, minute, second, millis) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60, of_day % 1000);
    let nanos = millis * 1_000_000 + below_ns;
    let weekday = DAYS[(days + 3).rem_euclid(7) as usize];
    let quarter = (month - 1) / 3 + 1;
    let mut out = String::new();
    for piece in pieces {
        let (letter, count) = match piece {
            Piece::Text(text) => {
                out.push_str(text);
                continue;
            }
            Piece::Field(letter, count) => (*letter, *count),
        };
        let mut number = |value: i64| out.push_str(&format!("{value:0count$}"));
        match (letter, count) {
            ('y' | 'u', _) => out.push_str(&year_text(letter, count, year)),
            ('M' | 'L', 1 | 2) => number(month.into()),
            ('M' | 'L', 3) => out.push_str(&MONTHS[month as usize - 1][..3]),
            ('M' | 'L', 4) => out.push_str(MONTHS[month as usize - 1]),
            ('d', _) => number(day.into()),
            ('D', _) => number(days - days_from_civil(year, 1, 1) + 1),
            ('H', _) => number(hour),
            ('k', _) => number(if hour == 0 { 24 } else { hour }),
            ('K', _) => number(hour % 12),
            ('h', _) => number(if hour % 12 == 0 { 12 } else { hour % 12 }),
            ('m', _) => number(minute),
            ('s', _) => number(second),
            ('S', _) => {
                let digits = format!("{nanos:09}");
                out.push_str(digits.get(..count).unwrap_or(&digits));
            }
            ('n', _) => number(nanos),
            ('a', 1) => out.push_str(if hour < 12 { "AM" } else { "PM" }),
            ('E', 1..=3) => out.push_str(&weekday[..3]),
            ('E', 4) => out.push_str(weekday),
            ('Q' | 'q', 1 | 2) => number(quarter.into()),
            ('Q' | 'q', 3) => out.push_str(&format!("Q{quarter}")),
            ('w', _) => number(week(days, year)),
            _ => return Err(format!("the pattern letters '{}' are not supported", letter.to_string().repeat(count))),
        }
    }
    Ok(out)
}

/// The week of the year that starts on Sundays, the first being that of 1 January.
fn week(days: i64, year: i64) -> i64 {
    let sunday = |days: i64| days - (days + 4).rem_euclid(7);
    // The last days of December may be in the first week of the next year.
    if sunday(days) == sunday(days_from_civil(year + 1, 1, 1)) {
        return 1;
    }
    (sunday(days) - sunday(days_from_civil(year, 1, 1))) / 7 + 1
}

/// What becomes of a day that the month does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// It is the month's last.
    Cut,
    /// It is counted on, as is a thirteenth month, in the calendar of Java's SimpleDateFormat.
    Carry,
}

/// Digits at the start of a text as Java's DateTimeFormatter takes them, and what follows: two letters and more stand for as
/// many digits, one for any number; a year may have more digits behind a plus, and a minus. `reserved` digits behind them
/// belong to the fields that follow at once.
fn strict_number(text: &str, letter: char, count: usize, reserved: usize) -> Option<(i64, &str)> {
    const DIGITS_MAX: usize = 18;
    let is_year = matches!(letter, 'y' | 'u') && count != 2;
    let any_width = is_year || count == 1 && letter != 'S';
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') if any_width => (-1, &text[1..]),
        Some(b'+') if is_year && count >= 4 => (1, &text[1..]),
        _ => (1, text),
    };
    let signed = digits.len() < text.len();
    let available = digits.bytes().take_while(u8::is_ascii_digit).count().min(DIGITS_MAX);
    let width = if any_width { available.saturating_sub(reserved) } else { available.min(count) };
    let longer = width > count;
    let fits = match (is_year && count >= 4, signed && sign > 0) {
        (true, true) => longer,
        (true, false) => sign < 0 || !longer,
        _ => true,
    };
    if width < count || !fits {
        return None;
    }
    let value: i64 = digits[..width].parse().ok()?;
    // Minus zero is no number, and an era has no year 0.
    if sign < 0 && value == 0 || letter == 'y' && count != 2 && sign * value < 1 {
        return None;
    }
    Some((sign * value, &digits[width..]))
}

/// The same as Java's SimpleDateFormat takes them, which counts digits only where a field follows at once.
fn lenient_number(text: &str, letter: char, count: usize, fixed: bool) -> Option<(i64, &str)> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) if letter == 'y' => (-1, digits),
        _ => (1, text),
    };
    let available = digits.bytes().take_while(u8::is_ascii_digit).count();
    let width = if fixed { available.min(count) } else { available };
    // Java's are 32 bits.
    let value: i32 = digits[..width].parse().ok()?;
    Some((sign * i64::from(value), &digits[width..]))
}

/// Reads a time at the start of a text. None if it does not have the form.
pub fn parse<'a>(text: &'a str, pattern: &str, excess: Excess) -> Result<Option<Parts<'a>>, String> {
    let mut rest = text;
    let (mut year, mut month, mut day) = (1970i64, 1i64, 1i64);
    let (mut hour, mut minute, mut second, mut millis, mut half) = (0, 0, 0, 0i64, None);
    let all = pieces(pattern)?;
    for (index, piece) in all.iter().enumerate() {
        let (letter, count) = match piece {
            Piece::Text(expected) => {
                match rest.strip_prefix(expected.as_str()) {
                    Some(after) => rest = after,
                    None => return Ok(None),
                }
                continue;
            }
            Piece::Field(letter, count) => (*letter, *count),
        };
        if letter == 'M' && count >= 3 {
            let found = MONTHS.iter().position(|name| {
                let name = if count == 3 { &name[..3] } else { name };
                rest.get(..name.len()).is_some_and(|r| r.eq_ignore_ascii_case(name))
            });
            let Some(found) = found else { return Ok(None) };
            month = found as i64 + 1;
            rest = &rest[if count == 3 { 3 } else { MONTHS[found].len() }..];
            continue;
        }
        if letter == 'a' {
            half = match rest.get(..2) {
                Some(m) if m.eq_ignore_ascii_case("AM") => Some(0),
                Some(m) if m.eq_ignore_ascii_case("PM") => Some(12),
                _ => return Ok(None),
            };
            rest = &rest[2..];
            continue;
        }
        // Digits that stand against other digits have the pattern's width.
        let fixed = matches!(all.get(index + 1), Some(Piece::Field(..))) || letter == 'S';
        let read = match excess {
            Excess::Carry => lenient_number(rest, letter, count, fixed),
            Excess::Cut => {
                let following = all[index + 1..].iter().map_while(|piece| match piece {
                    Piece::Field(_, count @ 2..) => Some(*count),
                    _ => None,
                });
                strict_number(rest, letter, count, following.sum())
            }
        };
        let Some((value, after)) = read else { return Ok(None) };
        let width = rest.len() - after.len();
        rest = after;
        match letter {
            'y' | 'u' => year = if count == 2 && width == 2 { 2000 + value } else { value },
            'M' => month = value,
            'd' => day = value,
            'k' => hour = if value == 24 { 0 } else { value },
            'H' | 'h' | 'K' => hour = value,
            'm' => minute = value,
            's' => second = value,
            'S' => millis = format!("{value:0width$}0000")[..3].parse().unwrap_or(0),
            other => return Err(format!("the pattern letter '{other}' is not supported for reading")),
        }
    }
    if let Some(half) = half {
        hour = hour % 12 + half;
    }
    let second_of_day = (hour * 60 + minute) * 60 + second;
    let days = match excess {
        Excess::Carry => {
            // Hours too many may lead past the change of calendars.
            let carried = second_of_day.div_euclid(86_400);
            old_calendar::days_of(year, month, day + carried) - carried
        }
        Excess::Cut => {
            let no_time = minute > 59 || second > 59 || second_of_day > 86_400 || second_of_day == 86_400 && millis > 0;
            if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year.abs() > YEARS_MAX || no_time {
                return Ok(None);
            }
            let next = if month == 12 { (year + 1, 1) } else { (year, month as u32 + 1) };
            let first = days_from_civil(year, month as u32, 1);
            let in_range = days_from_civil(next.0, next.1, 1) - first;
            first + day.min(in_range) - 1
        }
    };
    let ms = days.checked_mul(MS_PER_DAY).and_then(|ms| ms.checked_add(second_of_day * 1000 + millis));
    Ok(ms.map(|ms| Parts { ms, rest }))
}

#[cfg(test)]
mod tests {
    use super::*;

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
