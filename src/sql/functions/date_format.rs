//! Java's date patterns, `yyyy-MM-dd HH:mm:ss`, for writing and reading a time.
//!
//! Known letters: y u M d H h k m s S a E D Q q w n, text in quotes, and whatever is no letter. Names are English. Called by
//! `temporal`.

use super::old_calendar;
use crate::format::time_text::{civil_from_days, days_from_civil};

const MS_PER_DAY: i64 = 86_400_000;
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
    write_date(civil_from_days(ms.div_euclid(MS_PER_DAY)), ms, below_ns, &pieces(pattern)?)
}

/// The same in the calendar of Java's SimpleDateFormat.
pub fn write_old(ms: i64, pattern: &str) -> Result<String, String> {
    let days = ms.div_euclid(MS_PER_DAY);
    let pieces = pieces(pattern)?;
    if days < days_from_civil(1583, 1, 1) && pieces.iter().any(|piece| matches!(piece, Piece::Field('D' | 'w', _))) {
        return Err("the pattern letters 'D' and 'w' are not supported before 1583".into());
    }
    write_date(old_calendar::date_of(days), ms, 0, &pieces)
}

fn write_date((year, month, day): (i64, u32, u32), ms: i64, below_ns: i64, pieces: &[Piece]) -> Result<String, String> {
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
            ('y' | 'u', 2) => number(year.rem_euclid(100)),
            ('y' | 'u', _) => number(year),
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

/// Reads a time at the start of a text. None if it does not have the form.
pub fn parse<'a>(text: &'a str, pattern: &str, excess: Excess) -> Result<Option<Parts<'a>>, String> {
    let mut rest = text;
    let (mut year, mut month, mut day) = (1970i64, 1i64, 1i64);
    let (mut hour, mut minute, mut second, mut millis, mut half) = (0i64, 0i64, 0i64, 0i64, None);
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
        let available = rest.bytes().take_while(u8::is_ascii_digit).count();
        let width = if fixed { available.min(count) } else { available };
        let Ok(value) = rest[..width].parse::<i64>() else { return Ok(None) };
        match letter {
            'y' | 'u' => year = if count == 2 && width == 2 { 2000 + value } else { value },
            'M' => month = value,
            'd' => day = value,
            'H' | 'h' | 'k' | 'K' => hour = value,
            'm' => minute = value,
            's' => second = value,
            'S' => millis = format!("{value:0width$}0000")[..3].parse().unwrap_or(0),
            other => return Err(format!("the pattern letter '{other}' is not supported for reading")),
        }
        rest = &rest[width..];
    }
    if let Some(half) = half {
        hour = hour % 12 + half;
    }
    let days = match excess {
        Excess::Carry => {
            // Hours too many may lead past the change of calendars.
            let carried = ((hour * 60 + minute) * 60 + second).div_euclid(86_400);
            old_calendar::days_of(year, month, day + carried) - carried
        }
        Excess::Cut => {
            if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 24 || minute > 59 || second > 59 {
                return Ok(None);
            }
            let next = if month == 12 { (year + 1, 1) } else { (year, month as u32 + 1) };
            let first = days_from_civil(year, month as u32, 1);
            let in_range = days_from_civil(next.0, next.1, 1) - first;
            first + day.min(in_range) - 1
        }
    };
    let ms = days * MS_PER_DAY + ((hour * 60 + minute) * 60 + second) * 1000 + millis;
    Ok(Some(Parts { ms, rest }))
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
}
