//! Numbers at the start of a text, as far as a field of a pattern takes them.
//!
//! Called by `reading`. Java has two readers of dates, which differ in how many digits they take.

use super::pattern::{PatternField, Token};

/// Digits at the start of a text as Java's DateTimeFormatter takes them, and what follows: two letters and more stand for as
/// many digits, one for any number; a year may have more digits behind a plus, and a minus. `reserved` digits behind them
/// belong to the fields that follow at once.
fn strict(text: &str, PatternField { letter, count }: PatternField, reserved: usize) -> Option<(i64, &str)> {
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

/// How many digits a field takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    /// At most as many as the pattern has letters.
    OfThePattern,
    Any,
}

/// The same as Java's SimpleDateFormat takes them, which counts digits only where a field follows at once.
fn lenient(text: &str, field: PatternField, width: Width) -> Option<(i64, &str)> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) if field.letter == 'y' => (-1, digits),
        _ => (1, text),
    };
    let available = digits.bytes().take_while(u8::is_ascii_digit).count();
    let width = match width {
        Width::OfThePattern => available.min(field.count),
        Width::Any => available,
    };
    // Java's are 32 bits.
    let value: i32 = digits[..width].parse().ok()?;
    Some((sign * i64::from(value), &digits[width..]))
}

/// What a field takes by the rules of DateTimeFormatter; `behind` are the tokens behind it.
pub(super) fn by_formatter<'a>(text: &'a str, field: PatternField, behind: &[Token]) -> Option<(i64, &'a str)> {
    let following = behind.iter().map_while(|token| match token {
        Token::Field(PatternField { count: count @ 2.., .. }) => Some(*count),
        _ => None,
    });
    strict(text, field, following.sum())
}

/// The same by those of SimpleDateFormat.
pub(super) fn by_simple_format<'a>(text: &'a str, field: PatternField, behind: &[Token]) -> Option<(i64, &'a str)> {
    // Digits that stand against other digits have the pattern's width.
    let stands_against_digits = matches!(behind.first(), Some(Token::Field(_)));
    let width = if stands_against_digits || field.letter == 'S' { Width::OfThePattern } else { Width::Any };
    lenient(text, field, width)
}
