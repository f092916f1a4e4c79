//! A time written as a pattern says.

use super::MONTHS;
use super::pattern::{PatternField, Token, tokens};
use crate::format::time_text::{civil_from_days, days_from_civil};
use crate::sql::functions::old_calendar;
use crate::time::MS_PER_DAY;

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

pub fn write(ms: i64, pattern: &str) -> Result<String, String> {
    write_to_ns(ms, 0, pattern)
}

/// The same, with the nanoseconds below the millisecond.
pub fn write_to_ns(ms: i64, below_ns: i64, pattern: &str) -> Result<String, String> {
    write_date(civil_from_days(ms.div_euclid(MS_PER_DAY)), year_text, ms, below_ns, &tokens(pattern)?)
}

/// A year as Java's DateTimeFormatter writes it: `y` counts within its era, `u` has a sign, and of four letters and more a
/// plus says that there are more digits than letters.
fn year_text(PatternField { letter, count }: PatternField, year: i64) -> String {
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
    let tokens = tokens(pattern)?;
    if days < days_from_civil(1583, 1, 1)
        && tokens.iter().any(|token| matches!(token, Token::Field(PatternField { letter: 'D' | 'w', .. })))
    {
        return Err("the pattern letters 'D' and 'w' are not supported before 1583".into());
    }
    let years = |field: PatternField, year: i64| match field.count {
        2 => format!("{:02}", year % 100),
        width => format!("{year:0width$}"),
    };
    write_date(old_calendar::date_of(days), years, ms, 0, &tokens)
}

fn write_date(
    (year, month, day): (i64, u32, u32),
    year_text: impl Fn(PatternField, i64) -> String,
    ms: i64,
    below_ns: i64,
    tokens: &[Token],
) -> Result<String, String> {
    let days = ms.div_euclid(MS_PER_DAY);
    let of_day = ms.rem_euclid(MS_PER_DAY);
    let (hour, minute, second, millis) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60, of_day % 1000);
    let nanos = millis * 1_000_000 + below_ns;
    let weekday = DAYS[(days + 3).rem_euclid(7) as usize];
    let quarter = (month - 1) / 3 + 1;
    let mut out = String::new();
    for token in tokens {
        let field = match token {
            Token::Text(text) => {
                out.push_str(text);
                continue;
            }
            Token::Field(field) => *field,
        };
        let PatternField { letter, count } = field;
        let mut number = |value: i64| out.push_str(&format!("{value:0count$}"));
        match (letter, count) {
            ('y' | 'u', _) => out.push_str(&year_text(field, year)),
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
