//! What are the precision, the scale and the digits of a DECIMAL result?
//!
//! Flink's rules: the result type of + - * / %, half-up rounding to a scale, NULL where the digits do not fit. Values are
//! unscaled integers with their scale beside them. Called by `functions::arithmetic` and the casts. What always holds: a
//! result has at most its precision's digits; a division keeps 38 significant digits before it is rounded to its scale,
//! since Flink does so and the two roundings can be seen.

use arrow::datatypes::i256;

/// Digits that a DECIMAL has at most.
pub const DIGITS_MAX: u8 = 38;
/// Digits after the point that a result keeps where it has to give some up.
const SCALE_KEPT: i32 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// What becomes of digits that are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// Half goes away from zero.
    HalfUp,
    /// Towards zero.
    Down,
}

/// Precision and scale.
pub type Shape = (u8, i8);

/// The shape of a result before it is cut to 38 digits.
fn wanted(operation: Operation, (p1, s1): Shape, (p2, s2): Shape) -> (i32, i32) {
    let (p1, s1, p2, s2) = (i32::from(p1), i32::from(s1), i32::from(p2), i32::from(s2));
    match operation {
        Operation::Add | Operation::Subtract => {
            let scale = s1.max(s2);
            ((p1 - s1).max(p2 - s2) + scale + 1, scale)
        }
        Operation::Multiply => (p1 + p2 + 1, s1 + s2),
        Operation::Divide => {
            let scale = SCALE_KEPT.max(s1 + p2 + 1);
            (p1 - s1 + s2 + scale, scale)
        }
        Operation::Modulo => {
            let scale = s1.max(s2);
            ((p1 - s1).min(p2 - s2) + scale, scale)
        }
    }
}

/// The shape of a result. Beyond 38 digits the whole part is kept and the fraction shortened, to 6 digits at least.
pub fn shape(operation: Operation, left: Shape, right: Shape) -> Shape {
    let (precision, scale) = wanted(operation, left, right);
    let max = i32::from(DIGITS_MAX);
    if precision <= max {
        return (precision as u8, scale as i8);
    }
    let whole = precision - scale;
    (DIGITS_MAX, (max - whole).max(scale.min(SCALE_KEPT)) as i8)
}

/// True if a result of this operation fits 128 bits on every way there.
pub fn is_small(operation: Operation, left: Shape, right: Shape) -> bool {
    operation != Operation::Divide && wanted(operation, left, right).0 <= i32::from(DIGITS_MAX)
        // A modulo scales both sides up before it makes them smaller.
        && (operation != Operation::Modulo || wanted(Operation::Add, left, right).0 <= i32::from(DIGITS_MAX))
}

/// The shape that holds both sides of a comparison or a CASE.
pub fn common((p1, s1): Shape, (p2, s2): Shape) -> Shape {
    let scale = i32::from(s1.max(s2));
    let whole = (i32::from(p1) - i32::from(s1)).max(i32::from(p2) - i32::from(s2));
    let max = i32::from(DIGITS_MAX);
    if whole + scale <= max { ((whole + scale) as u8, scale as i8) } else { (DIGITS_MAX, (max - whole).max(0) as i8) }
}

pub fn pow10(digits: u32) -> i128 {
    10i128.pow(digits.min(38))
}

fn pow10_wide(digits: u32) -> i256 {
    // 10^76 is the largest power that 256 bits hold.
    i256::from_i128(10).wrapping_pow(digits.min(76))
}

/// `value` of scale `from` at scale `to`, rounded half up; None if it has more digits than `precision`.
pub fn rescale(value: i128, from: i32, to: i32, precision: u8) -> Option<i128> {
    let scaled = if to >= from {
        if value == 0 {
            return Some(0);
        }
        if to - from > 38 {
            return None;
        }
        value.checked_mul(pow10((to - from) as u32))?
    } else if from - to > 38 {
        0
    } else {
        half_up(value, pow10((from - to) as u32))
    };
    fits(scaled, precision).then_some(scaled)
}

pub fn fits(value: i128, precision: u8) -> bool {
    value.unsigned_abs() < pow10(u32::from(precision)).unsigned_abs()
}

fn half_up(value: i128, unit: i128) -> i128 {
    let (whole, rest) = (value / unit, value % unit);
    // Twice the rest could overflow.
    if rest.unsigned_abs() >= unit.unsigned_abs() - rest.unsigned_abs() { whole + value.signum() } else { whole }
}

fn rescale_wide(value: i256, from: i32, to: i32, precision: u8) -> Option<i128> {
    let scaled = if to >= from {
        value.checked_mul(pow10_wide((to - from) as u32))?
    } else {
        let unit = pow10_wide((from - to) as u32);
        let (whole, rest) = (value.checked_div(unit)?, value.checked_rem(unit)?);
        let up = rest.wrapping_abs() >= unit.wrapping_sub(rest.wrapping_abs());
        let sign = if value.is_negative() { i256::MINUS_ONE } else { i256::ONE };
        if up { whole.wrapping_add(sign) } else { whole }
    };
    let scaled = scaled.to_i128()?;
    fits(scaled, precision).then_some(scaled)
}

/// One result; None is NULL. The divisor is not zero.
pub fn compute(operation: Operation, (a, s1): (i128, i8), (b, s2): (i128, i8), (precision, scale): Shape) -> Option<i128> {
    let (s1, s2, scale) = (i32::from(s1), i32::from(s2), i32::from(scale));
    let both = s1.max(s2);
    let wide = |v: i128, from: i32| i256::from_i128(v).wrapping_mul(pow10_wide((both - from) as u32));
    match operation {
        Operation::Add => rescale_wide(wide(a, s1).wrapping_add(wide(b, s2)), both, scale, precision),
        Operation::Subtract => rescale_wide(wide(a, s1).wrapping_sub(wide(b, s2)), both, scale, precision),
        Operation::Multiply => rescale_wide(i256::from_i128(a).wrapping_mul(i256::from_i128(b)), s1 + s2, scale, precision),
        Operation::Modulo => rescale_wide(wide(a, s1).checked_rem(wide(b, s2))?, both, scale, precision),
        Operation::Divide => divide(a, b, s1 - s2, scale, precision),
    }
}

fn digits(value: i128) -> i32 {
    value.unsigned_abs().checked_ilog10().map_or(1, |d| d as i32 + 1)
}

fn divide(a: i128, b: i128, scale_of_quotient: i32, scale: i32, precision: u8) -> Option<i128> {
    if a == 0 {
        return Some(0);
    }
    let negative = (a < 0) != (b < 0);
    let signed = |v: i128| if negative { -v } else { v };
    // Straight to the scale, where rounding to 38 digits before could not make a difference.
    let up = scale - scale_of_quotient;
    let (da, db) = (digits(a), digits(b));
    if up >= 0 && da + up <= 37 && da + up + db < 38 {
        let (numerator, denominator) = (a.unsigned_abs() as i128 * pow10(up as u32), b.unsigned_abs() as i128);
        let (whole, rest) = (numerator / denominator, numerator % denominator);
        let rounded = if rest >= denominator - rest { whole + 1 } else { whole };
        return fits(rounded, precision).then(|| signed(rounded));
    }
    let (a, b) = (i256::from_i128(a).wrapping_abs(), i256::from_i128(b).wrapping_abs());
    let mut shift = 38 - da + db;
    let limit = pow10_wide(38);
    // 38 or 39 digits at the first try.
    if a.wrapping_mul(pow10_wide(shift as u32)).checked_div(b)? >= limit {
        shift -= 1;
    }
    let numerator = a.wrapping_mul(pow10_wide(shift as u32));
    let (whole, rest) = (numerator.checked_div(b)?, numerator.checked_rem(b)?);
    let rounded = if rest >= b.wrapping_sub(rest) { whole.wrapping_add(i256::ONE) } else { whole };
    rescale_wide(rounded, scale_of_quotient + shift, scale, precision).map(signed)
}

/// A decimal number in text, as Java's BigDecimal reads it: the unscaled digits and the scale. Digits beyond 76 do not count.
pub fn parse(text: &str) -> Option<(i256, i32)> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (mut value, mut scale, mut seen_point, mut count) = (i256::ZERO, 0i32, false, 0);
    for c in digits.chars() {
        if c == '.' && !seen_point {
            seen_point = true;
            continue;
        }
        let digit = decimal_digit(c)?;
        count += 1;
        if value < pow10_wide(74) {
            value = value.wrapping_mul(i256::from_i128(10)).wrapping_add(i256::from_i128(i128::from(digit)));
            scale += i32::from(seen_point);
        } else if !seen_point {
            return None;
        }
    }
    if count == 0 {
        return None;
    }
    Some((if negative { value.wrapping_neg() } else { value }, scale.checked_sub(exponent)?))
}

/// Java takes the digits of every script; the full-width ones are those that occur.
fn decimal_digit(c: char) -> Option<u32> {
    c.to_digit(10).or_else(|| ('\u{ff10}'..='\u{ff19}').contains(&c).then(|| c as u32 - 0xff10))
}

/// A number in text as a decimal of this shape: None if it is no number, Some(None) if it does not fit.
pub fn parse_as(text: &str, (precision, scale): Shape) -> Option<Option<i128>> {
    let (value, from) = parse(text)?;
    let to = i32::from(scale);
    if value == i256::ZERO || from - to > 76 {
        return Some(Some(0));
    }
    if to - from > 76 {
        return Some(None);
    }
    Some(rescale_wide(value, from, to, precision))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_flinks() {
        use Operation::*;
        for (operation, left, right, expected) in [
            (Divide, (10, 2), (10, 0), (21, 13)),
            (Multiply, (10, 0), (2, 1), (13, 1)),
            (Add, (38, 18), (38, 18), (38, 17)),
            (Multiply, (38, 18), (38, 18), (38, 6)),
            (Divide, (38, 18), (10, 0), (38, 18)),
            (Add, (38, 0), (10, 0), (38, 0)),
            (Divide, (38, 0), (38, 0), (38, 6)),
            (Modulo, (10, 2), (12, 4), (12, 4)),
            (Modulo, (10, 2), (2, 1), (3, 2)),
        ] {
            assert_eq!(shape(operation, left, right), expected, "{operation:?} {left:?} {right:?}");
        }
    }

    #[test]
    fn results_round_half_up_and_overflow_is_null() {
        use Operation::*;
        assert_eq!(compute(Divide, (125, 2), (3, 0), (21, 13)), Some(4_166_666_666_667));
        assert_eq!(compute(Divide, (-755, 2), (3, 0), (21, 13)), Some(-25_166_666_666_667));
        let big = pow10(38) - 1;
        assert_eq!(compute(Add, (big, 0), (1, 0), (38, 0)), None);
        assert_eq!(compute(Multiply, (big, 0), (big, 0), (38, 0)), None);
        assert_eq!(compute(Divide, (big, 0), (big, 0), (38, 6)), Some(1_000_000));
        assert_eq!(compute(Divide, (1, 18), (3, 0), (38, 18)), Some(0));
        assert_eq!(compute(Modulo, (-125, 2), (3, 1), (3, 2)), Some(-5));
        assert_eq!(parse_as("1.005", (10, 2)), Some(Some(101)));
        assert_eq!(parse_as("1e3", (3, 0)), Some(None));
        assert_eq!(parse_as("x", (3, 0)), None);
    }
}
