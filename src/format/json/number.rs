//! How is the text of a number read, bare or in quotes? The rules are those of Java's parsers,
//! which Flink uses.
//!
//! Called by `convert` for every numeric column that the scanner's shortcut for short numbers does
//! not cover. What always holds: no allocation, no panic, and nothing is accepted that Java's
//! parsers refuse.

/// Text in quotes is trimmed as Java's `trim` does: of everything up to the space.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&c| c > b' ').unwrap_or(text.len());
    let end = text.iter().rposition(|&c| c > b' ').map_or(start, |last| last + 1);
    &text[start..end]
}

/// `Long.parseLong`: an optional sign and digits, leading zeros allowed.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    // Built up as a negative number, since the smallest one has no positive counterpart.
    let mut value = 0i64;
    for c in digits {
        let digit = c.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// A JSON number in an INT or BIGINT column. One with a fraction or an exponent goes through DOUBLE
/// and is cut towards zero, as in Flink: 9.7 is 9, 1e3 is 1000.
pub(super) fn integer_from_json_number(text: &[u8], min: i64, max: i64) -> Option<i64> {
    let value = if text.iter().all(|c| matches!(c, b'0'..=b'9' | b'-')) {
        integer(text)?
    } else {
        let value = float::<f64>(text)?;
        if !(min as f64..=max as f64).contains(&value) {
            return None;
        }
        value as i64
    };
    (min..=max).contains(&value).then_some(value)
}

/// `Double.parseDouble` and `Float.parseFloat` on trimmed text, without hexadecimal.
pub(super) fn float<T: std::str::FromStr + From<f32> + std::ops::Neg<Output = T>>(
    text: &[u8],
) -> Option<T> {
    let (negative, magnitude) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let value = match magnitude {
        b"NaN" => T::from(f32::NAN),
        b"Infinity" => T::from(f32::INFINITY),
        _ => {
            // Java takes a type letter after the digits.
            let digits = match magnitude.split_last()? {
                (b'd' | b'D' | b'f' | b'F', rest) => rest,
                _ => magnitude,
            };
            // Rust would also read `inf` and `nan`; what starts with a digit or a point is read
            // alike by both.
            if !matches!(digits.first()?, b'0'..=b'9' | b'.') {
                return None;
            }
            std::str::from_utf8(digits).ok()?.parse::<T>().ok()?
        }
    };
    Some(if negative { -value } else { value })
}

/// A decimal number that fits, one too large for the type (NULL in Flink), or no number.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decimal {
    Value(i128),
    TooLarge,
}

/// Reads `digits[.digits][e[+-]digits]` as an integer of units of 10^-`scale`, rounded half away
/// from zero.
pub(super) fn decimal(text: &[u8], precision: u8, scale: i8) -> Option<Decimal> {
    let (negative, text) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let (mantissa, exponent) = match text.iter().position(|c| matches!(c, b'e' | b'E')) {
        Some(at) => (&text[..at], exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|&c| c == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    if (whole.is_empty() && fraction.is_empty())
        || !whole.iter().chain(fraction).all(u8::is_ascii_digit)
    {
        return None;
    }
    let mut digits =
        whole.iter().chain(fraction).map(|c| i128::from(c - b'0')).skip_while(|&d| d == 0);
    let count = digits.clone().count() as i64;
    if count == 0 {
        return Some(Decimal::Value(0));
    }
    // The value is the digits times 10^shift in units of 10^-scale.
    let shift = exponent.saturating_sub(fraction.len() as i64).saturating_add(i64::from(scale));
    let kept = count.saturating_add(shift);
    if kept > i64::from(precision.min(38)) {
        return Some(Decimal::TooLarge);
    }
    if kept < 0 {
        return Some(Decimal::Value(0));
    }
    let mut value = 0i128;
    for _ in 0..kept {
        value = value * 10 + digits.next().unwrap_or(0);
    }
    if digits.next().is_some_and(|next| next >= 5) {
        value += 1;
    }
    if value >= 10i128.pow(u32::from(precision.min(38))) {
        return Some(Decimal::TooLarge);
    }
    Some(Decimal::Value(if negative { -value } else { value }))
}

/// An exponent as `BigDecimal` takes it: up to 10 digits. Anything that large overflows or vanishes
/// in any case.
fn exponent(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    (digits.len() <= 10).then(|| integer(text)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_quotes() {
        for (text, expected) in [
            ("12", Some(12)),
            ("+5", Some(5)),
            ("-007", Some(-7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("1.0", None),
            ("1_000", None),
            ("0x1", None),
            ("--1", None),
        ] {
            assert_eq!(integer(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(trim(b" \t12\n"), b"12");
        assert_eq!(trim(b"  "), b"");
    }

    #[test]
    fn fractions_are_cut_and_overflow_refused() {
        let int = |text: &str| {
            integer_from_json_number(text.as_bytes(), i32::MIN.into(), i32::MAX.into())
        };
        assert_eq!(int("9.7"), Some(9));
        assert_eq!(int("-9.7"), Some(-9));
        assert_eq!(int("1e3"), Some(1000));
        assert_eq!(int("-0.0"), Some(0));
        assert_eq!(int("2147483648"), None);
        assert_eq!(int("2147483648.0"), None);
        assert_eq!(int("-2147483648"), Some(-2_147_483_648));
        assert_eq!(int("1e400"), None);
        let big = |text: &str| integer_from_json_number(text.as_bytes(), i64::MIN, i64::MAX);
        assert_eq!(big("1e18"), Some(1_000_000_000_000_000_000));
        assert_eq!(big("1e19"), None);
        assert_eq!(big("9223372036854775808"), None);
    }

    #[test]
    fn doubles_as_java_reads_them() {
        for (text, expected) in [
            ("78.5", Some(78.5)),
            ("-0", Some(-0.0)),
            ("1e400", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("+1", Some(1.0)),
            ("5.", Some(5.0)),
            (".5", Some(0.5)),
            ("1d", Some(1.0)),
            ("1.5F", Some(1.5)),
            ("inf", None),
            ("nan", None),
            ("infinity", None),
            ("", None),
            ("d", None),
            (".", None),
            ("1e", None),
            ("+-1", None),
            ("x", None),
        ] {
            let value = float::<f64>(text.as_bytes());
            assert_eq!(value.map(f64::to_bits), expected.map(f64::to_bits), "{text}");
        }
        assert!(float::<f64>(b"NaN").unwrap().is_nan());
        assert_eq!(float::<f32>(b"1.1"), Some(1.1f32));
        assert_eq!(float::<f32>(b"1e39"), Some(f32::INFINITY));
    }

    #[test]
    fn decimals_round_half_up_and_overflow_to_null() {
        use Decimal::{TooLarge, Value};
        for (text, expected) in [
            ("12.50", Some(Value(1250))),
            ("0.005", Some(Value(1))),
            ("0.0049999999999999999999999999999999999999999999", Some(Value(0))),
            ("-0.005", Some(Value(-1))),
            ("-0.004", Some(Value(0))),
            ("1E3", Some(Value(100_000))),
            ("123456789e-8", Some(Value(123))),
            ("99999999.99", Some(Value(9_999_999_999))),
            ("99999999.995", Some(TooLarge)),
            ("123456789012.345", Some(TooLarge)),
            ("1e999999999", Some(TooLarge)),
            ("1e-999999999", Some(Value(0))),
            ("0e999999999", Some(Value(0))),
            ("00000000000000000000000000000000000000000000000000001", Some(Value(100))),
            (".5", Some(Value(50))),
            ("5.", Some(Value(500))),
            ("+7", Some(Value(700))),
            (".", None),
            ("", None),
            ("1e", None),
            ("1e99999999999", None),
            ("1.2.3", None),
            ("abc", None),
            ("NaN", None),
        ] {
            assert_eq!(decimal(text.as_bytes(), 10, 2), expected, "{text}");
        }
        let nines = "9".repeat(38);
        assert_eq!(decimal(nines.as_bytes(), 38, 0), Some(Value(10i128.pow(38) - 1)));
        assert_eq!(decimal(format!("{nines}.5").as_bytes(), 38, 0), Some(TooLarge));
        assert_eq!(decimal(format!("{nines}9").as_bytes(), 38, 0), Some(TooLarge));
    }
}
