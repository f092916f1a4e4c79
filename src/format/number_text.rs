//! How are DOUBLE, FLOAT and DECIMAL written as text?
//!
//! Called by the JSON encoder and by sinks that print. The forms are Java's, since Flink's users compare text:
//! `Double.toString` (always a fraction digit, an exponent at 1e7 and above and below 1e-3) and `BigDecimal.toString`
//! (an exponent for a negative scale or very small values). What always holds: the digits are the shortest that read
//! back as the same value.

/// Appends a DOUBLE as Java's `Double.toString` does: `1.0`, `1.0E10`, `NaN`, `-Infinity`.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        write_not_finite(out, value);
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value).as_bytes();
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        out.extend_from_slice(text);
    } else {
        write_scientific(out, text);
    }
}

/// Appends a FLOAT as Java's `Float.toString` does.
pub fn write_f32(out: &mut Vec<u8>, value: f32) {
    if !value.is_finite() {
        write_not_finite(out, value.into());
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value).as_bytes();
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        out.extend_from_slice(text);
    } else {
        write_scientific(out, text);
    }
}

/// Appends `unscaled` times 10 to the power of minus `scale` as Java's `BigDecimal.toString` does: `12.50`, `1E+3`, `1E-7`.
pub fn write_decimal(out: &mut Vec<u8>, unscaled: i128, scale: i32) {
    let mut buffer = itoa::Buffer::new();
    let digits = digits_of(out, &mut buffer, unscaled);
    let adjusted = digits.len() as i32 - 1 - scale;
    if scale >= 0 && adjusted >= -6 {
        write_point(out, digits, scale);
        return;
    }
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if adjusted < 0 { b"E-" } else { b"E+" });
    out.extend_from_slice(itoa::Buffer::new().format(adjusted.unsigned_abs()).as_bytes());
}

/// The same value without an exponent.
pub fn write_decimal_plain(out: &mut Vec<u8>, unscaled: i128, scale: i32) {
    let mut buffer = itoa::Buffer::new();
    let digits = digits_of(out, &mut buffer, unscaled);
    write_point(out, digits, scale.max(0));
    if unscaled != 0 {
        out.resize(out.len() + (-scale).max(0) as usize, b'0');
    }
}

/// The same number with the fewest digits and the smallest scale, which becomes negative for powers of ten.
pub fn strip_trailing_zeros(mut unscaled: i128, mut scale: i32) -> (i128, i32) {
    if unscaled == 0 {
        return (0, 0);
    }
    while unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    (unscaled, scale)
}

fn write_not_finite(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(match value {
        nan if nan.is_nan() => b"NaN".as_slice(),
        ..0.0 => b"-Infinity",
        _ => b"Infinity",
    });
}

/// Writes the sign of `unscaled` and returns its digits.
fn digits_of<'a>(out: &mut Vec<u8>, buffer: &'a mut itoa::Buffer, unscaled: i128) -> &'a [u8] {
    if unscaled < 0 {
        out.push(b'-');
    }
    buffer.format(unscaled.unsigned_abs()).as_bytes()
}

fn write_point(out: &mut Vec<u8>, digits: &[u8], scale: i32) {
    let scale = scale as usize;
    if scale == 0 {
        out.extend_from_slice(digits);
    } else if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

/// Re-lays a finite number other than 0, in any of ryu's layouts, as `d.dddE-n`.
fn write_scientific(out: &mut Vec<u8>, text: &[u8]) {
    let text = match text.split_first() {
        Some((b'-', rest)) => {
            out.push(b'-');
            rest
        }
        _ => text,
    };
    let (mantissa, exponent) = match text.iter().position(|&c| c == b'e') {
        Some(at) => (&text[..at], std::str::from_utf8(&text[at + 1..]).ok().and_then(|e| e.parse::<i32>().ok()).unwrap_or(0)),
        None => (text, 0),
    };
    let point = mantissa.iter().position(|&c| c == b'.').unwrap_or(mantissa.len());
    let mut digits = [0u8; 32];
    let mut count = 0;
    let mut leading_zeros = 0;
    for &c in mantissa.iter().filter(|&&c| c != b'.') {
        if count == 0 && c == b'0' {
            leading_zeros += 1;
        } else {
            digits[count] = c;
            count += 1;
        }
    }
    while count > 1 && digits[count - 1] == b'0' {
        count -= 1;
    }
    out.push(digits[0]);
    out.push(b'.');
    if count > 1 {
        out.extend_from_slice(&digits[1..count]);
    } else {
        out.push(b'0');
    }
    out.push(b'E');
    out.extend_from_slice(itoa::Buffer::new().format(exponent + point as i32 - 1 - leading_zeros).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::seeds::each_seed;
    use crate::support::tier::by_tier;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_look_like_javas() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-78.5, "-78.5"),
            (0.001, "0.001"),
            (0.000_999, "9.99E-4"),
            (1e-5, "1.0E-5"),
            (1e-7, "1.0E-7"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (16_777_216.0, "1.6777216E7"),
            (1e10, "1.0E10"),
            (1.5e15, "1.5E15"),
            (1e20, "1.0E20"),
            (-1.234_567_89e-300, "-1.23456789E-300"),
            (f64::MAX, "1.7976931348623157E308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text(|out| write_f64(out, value)), expected);
        }
        assert_eq!(text(|out| write_f32(out, 16_777_216.0)), "1.6777216E7");
        assert_eq!(text(|out| write_f32(out, 1.1)), "1.1");
        assert_eq!(text(|out| write_f32(out, f32::NEG_INFINITY)), "-Infinity");
    }

    #[test]
    fn every_double_reads_back() {
        each_seed(0..by_tier(50, 100, 5000), |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for _ in 0..500 {
                let value = f64::from_bits(rng.random());
                if value.is_finite() {
                    assert_eq!(text(|out| write_f64(out, value)).parse::<f64>().unwrap().to_bits(), value.to_bits());
                }
                let value = f32::from_bits(rng.random());
                if value.is_finite() {
                    assert_eq!(text(|out| write_f32(out, value)).parse::<f32>().unwrap().to_bits(), value.to_bits());
                }
            }
        });
    }

    #[test]
    fn decimals_look_like_javas() {
        for (unscaled, scale, kept, stripped, plain) in [
            (1250, 2, "12.50", "12.5", "12.5"),
            (100_000, 2, "1000.00", "1E+3", "1000"),
            (-100_000, 2, "-1000.00", "-1E+3", "-1000"),
            (123_000, 0, "123000", "1.23E+5", "123000"),
            (0, 2, "0.00", "0", "0"),
            (1, 2, "0.01", "0.01", "0.01"),
            (-5, 1, "-0.5", "-0.5", "-0.5"),
            (1, 6, "0.000001", "0.000001", "0.000001"),
            (1, 7, "1E-7", "1E-7", "0.0000001"),
            (12, 9, "1.2E-8", "1.2E-8", "0.000000012"),
            (i128::MAX, 0, "170141183460469231731687303715884105727", "170141183460469231731687303715884105727", ""),
        ] {
            assert_eq!(text(|out| write_decimal(out, unscaled, scale)), kept);
            let (unscaled, scale) = strip_trailing_zeros(unscaled, scale);
            assert_eq!(text(|out| write_decimal(out, unscaled, scale)), stripped);
            if !plain.is_empty() {
                assert_eq!(text(|out| write_decimal_plain(out, unscaled, scale)), plain);
            }
        }
    }
}
