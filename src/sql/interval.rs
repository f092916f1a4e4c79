//! How long is `INTERVAL '1 02:03:04.5' DAY TO SECOND`?
//!
//! Flink has two kinds of intervals: months and milliseconds. Called by `rewrite`.

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    Months(i64),
    Milliseconds(i64),
}

/// Units of the second kind, from the largest, with their ms.
const UNITS: [(&str, i64); 4] = [("DAY", 86_400_000), ("HOUR", 3_600_000), ("MINUTE", 60_000), ("SECOND", 1000)];

/// Reads the text of an interval of one unit, or of the units `from` to `to`. None if it is none.
pub fn amount(text: &str, from: &str, to: Option<&str>) -> Option<Amount> {
    let text = text.trim();
    let (sign, text) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (if text.starts_with('-') { -1 } else { 1 }, rest),
        None => (1, text),
    };
    match (from, to) {
        ("YEAR", Some("MONTH")) => {
            let (years, months) = text.split_once('-')?;
            let (years, months) = (number(years)?, number(months)?);
            (months < 12).then_some(Amount::Months(sign * (years.checked_mul(12)?.checked_add(months)?)))
        }
        ("YEAR" | "QUARTER" | "MONTH", None) => {
            let months = match from {
                "YEAR" => 12,
                "QUARTER" => 3,
                _ => 1,
            };
            Some(Amount::Months(sign * number(text)?.checked_mul(months)?))
        }
        ("WEEK", None) => Some(Amount::Milliseconds(sign * number(text)?.checked_mul(7 * UNITS[0].1)?)),
        (_, None) => {
            let (_, ms) = UNITS.iter().find(|(name, _)| *name == from)?;
            let total = if from == "SECOND" { seconds_ms(text)? } else { number(text)?.checked_mul(*ms)? };
            Some(Amount::Milliseconds(sign * total))
        }
        (_, Some(to)) => {
            let first = UNITS.iter().position(|(name, _)| *name == from)?;
            let last = UNITS.iter().position(|(name, _)| *name == to)?;
            if first >= last {
                return None;
            }
            let parts: Vec<&str> = if first == 0 {
                let (days, clock) = text.split_once(' ')?;
                std::iter::once(days).chain(clock.trim().split(':')).collect()
            } else {
                text.split(':').collect()
            };
            if parts.len() != last - first + 1 {
                return None;
            }
            let mut total = 0i64;
            for (index, (part, (name, ms))) in parts.iter().zip(&UNITS[first..]).enumerate() {
                let value = if *name == "SECOND" { seconds_ms(part)? } else { number(part)?.checked_mul(*ms)? };
                // Behind the first unit there is less than one of the unit before.
                let (_, unit_before_ms) = UNITS[first + index.saturating_sub(1)];
                if index > 0 && value >= unit_before_ms {
                    return None;
                }
                total = total.checked_add(value)?;
            }
            Some(Amount::Milliseconds(sign * total))
        }
    }
}

fn number(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 10 && text.bytes().all(|c| c.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Seconds with up to nine digits of a fraction, of which the first three count.
fn seconds_ms(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let ms: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    number(whole)?.checked_mul(1000)?.checked_add(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range() {
        for (text, from, to, expected) in [
            ("5", "SECOND", None, Some(5000)),
            ("0.001", "SECOND", None, Some(1)),
            ("-1.5", "SECOND", None, Some(-1500)),
            ("90", "MINUTE", None, Some(5_400_000)),
            ("2", "WEEK", None, Some(1_209_600_000)),
            ("00:10", "MINUTE", Some("SECOND"), Some(10_000)),
            ("02:03", "HOUR", Some("MINUTE"), Some(7_380_000)),
            ("02:03:04", "HOUR", Some("SECOND"), Some(7_384_000)),
            ("1 02:03:04.567", "DAY", Some("SECOND"), Some(93_784_567)),
            ("1 02", "DAY", Some("HOUR"), Some(93_600_000)),
            ("1 02:03", "DAY", Some("MINUTE"), Some(93_780_000)),
            ("00:70", "MINUTE", Some("SECOND"), None),
            ("1", "DAY", Some("SECOND"), None),
            ("x", "DAY", None, None),
        ] {
            assert_eq!(amount(text, from, to), expected.map(Amount::Milliseconds), "{text} {from} {to:?}");
        }
        assert_eq!(amount("1-2", "YEAR", Some("MONTH")), Some(Amount::Months(14)));
        assert_eq!(amount("-1", "QUARTER", None), Some(Amount::Months(-3)));
    }
}
