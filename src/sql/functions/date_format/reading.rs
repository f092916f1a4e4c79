//! A time read as a pattern says.

use super::pattern::{PatternField, Token, tokens};
use super::{MONTHS, numbers};
use crate::format::time_text::days_from_civil;
use crate::sql::functions::old_calendar;
use crate::time::MS_PER_DAY;

/// Years that are read: some less than a DATE counts the days of.
const YEARS_MAX: i64 = 5_800_000;

/// A time that was read, and the text behind it.
pub struct Parts<'a> {
    pub ms: i64,
    pub rest: &'a str,
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
    let tokens = tokens(pattern)?;
    let mut read = ReadFields::default();
    let mut rest = text;
    for (index, token) in tokens.iter().enumerate() {
        let after = match token {
            Token::Text(expected) => rest.strip_prefix(expected.as_str()),
            Token::Field(field) => read.take(*field, rest, &tokens[index + 1..], excess)?,
        };
        match after {
            Some(after) => rest = after,
            None => return Ok(None),
        }
    }
    Ok(read.ms(excess).map(|ms| Parts { ms, rest }))
}

/// What the fields of a text say, each as it stands there.
struct ReadFields {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    /// Hours before the half of the day that AM or PM names.
    half: Option<i64>,
    minute: i64,
    second: i64,
    millis: i64,
}

impl Default for ReadFields {
    fn default() -> ReadFields {
        ReadFields { year: 1970, month: 1, day: 1, hour: 0, half: None, minute: 0, second: 0, millis: 0 }
    }
}

impl ReadFields {
    /// Takes a field at the start of a text and returns what is behind it; None if it is not there.
    fn take<'a>(
        &mut self,
        field: PatternField,
        text: &'a str,
        behind: &[Token],
        excess: Excess,
    ) -> Result<Option<&'a str>, String> {
        match field {
            PatternField { letter: 'M', count: count @ 3.. } => Ok(self.take_month(count, text)),
            PatternField { letter: 'a', .. } => Ok(self.take_half(text)),
            _ => {
                let read = match excess {
                    Excess::Carry => numbers::by_simple_format(text, field, behind),
                    Excess::Cut => numbers::by_formatter(text, field, behind),
                };
                let Some((value, after)) = read else { return Ok(None) };
                self.set(field, value, text.len() - after.len())?;
                Ok(Some(after))
            }
        }
    }

    /// A month's name, or the three letters of it.
    fn take_month<'a>(&mut self, count: usize, text: &'a str) -> Option<&'a str> {
        let as_written = |name: &'static str| if count == 3 { &name[..3] } else { name };
        let names = MONTHS.into_iter().map(as_written).zip(1..);
        let starts = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let (name, month) = names.into_iter().find(|(name, _)| starts(name))?;
        self.month = month;
        Some(&text[name.len()..])
    }

    fn take_half<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let (half, rest) = text.split_at_checked(2)?;
        self.half = Some(match half {
            half if half.eq_ignore_ascii_case("AM") => 0,
            half if half.eq_ignore_ascii_case("PM") => 12,
            _ => return None,
        });
        Some(rest)
    }

    /// Keeps a number, which had `width` characters.
    fn set(&mut self, field: PatternField, value: i64, width: usize) -> Result<(), String> {
        match field.letter {
            'y' | 'u' => self.year = if field.count == 2 && width == 2 { 2000 + value } else { value },
            'M' => self.month = value,
            'd' => self.day = value,
            'k' => self.hour = if value == 24 { 0 } else { value },
            'H' | 'h' | 'K' => self.hour = value,
            'm' => self.minute = value,
            's' => self.second = value,
            'S' => self.millis = format!("{value:0width$}0000")[..3].parse().unwrap_or(0),
            other => return Err(format!("the pattern letter '{other}' is not supported for reading")),
        }
        Ok(())
    }

    /// The time that the fields make. None if there is none.
    fn ms(&self, excess: Excess) -> Option<i64> {
        let hour = self.half.map_or(self.hour, |half| self.hour % 12 + half);
        let second_of_day = (hour * 60 + self.minute) * 60 + self.second;
        let days = match excess {
            Excess::Carry => {
                // Hours too many may lead past the change of calendars.
                let carried = second_of_day.div_euclid(86_400);
                old_calendar::days_of(self.year, self.month, self.day + carried) - carried
            }
            Excess::Cut => self.cut_days(second_of_day)?,
        };
        days.checked_mul(MS_PER_DAY)?.checked_add(second_of_day * 1000 + self.millis)
    }

    /// The day, or the month's last. None if the calendar or a clock has no such number.
    fn cut_days(&self, second_of_day: i64) -> Option<i64> {
        let ReadFields { year, month, day, minute, second, millis, .. } = *self;
        let no_time = minute > 59 || second > 59 || second_of_day > 86_400 || second_of_day == 86_400 && millis > 0;
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year.abs() > YEARS_MAX || no_time {
            return None;
        }
        let next = if month == 12 { (year + 1, 1) } else { (year, month as u32 + 1) };
        let first = days_from_civil(year, month as u32, 1);
        let in_range = days_from_civil(next.0, next.1, 1) - first;
        Some(first + day.min(in_range) - 1)
    }
}
