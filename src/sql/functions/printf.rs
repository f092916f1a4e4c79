//! PRINTF(format, values...): Java's `String.format`, in its common conversions.
//!
//! `%s`, `%d`, `%f`, `%x`, `%X`, `%b`, `%c`, `%n` and `%%`, with the flags `-`, `0`, `,` and `+`, a width and a precision. Another
//! conversion, or one that its value does not fit, refuses the row. NULL prints as `null`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::DataType;

use super::cast::append_text;
use crate::sql::functions::arity::at_least;
use crate::sql::functions::nested::definition::{Call, Definition};
use crate::types::sql_name;

pub const PRINTF: Definition = Definition {
    name: "printf",
    takes: at_least(1),
    arguments: |given| {
        if given[0] != DataType::Utf8 && !given[0].is_null() {
            return Err("the format is text".into());
        }
        let fits = |t: &DataType| t.is_null() || t.is_numeric() || matches!(t, DataType::Utf8 | DataType::Boolean);
        match given[1..].iter().find(|t| !fits(t)) {
            Some(other) => Err(format!("a value of type {} has no form: CAST it to STRING", sql_name(other))),
            None => Ok(std::iter::once(DataType::Utf8).chain(given[1..].iter().cloned()).collect()),
        }
    },
    result: |_| DataType::Utf8,
    run: |call| {
        let formats = call.args[0].as_string::<i32>();
        let mut out = StringBuilder::with_capacity(call.rows, call.rows * 16);
        for row in 0..call.rows {
            match call.args[0].is_null(row) {
                true => out.append_null(),
                false => out.append_value(format(formats.value(row), call, row)?),
            }
        }
        Ok(Arc::new(out.finish()))
    },
};

/// The widest field: a format comes from data, too.
const WIDTH_MAX: usize = 10_000;

fn format(format: &str, call: &Call<'_>, row: usize) -> Result<String, String> {
    let mut out = String::new();
    let mut values = call.args[1..].iter();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let flags = rest.chars().take_while(|c| matches!(c, '-' | '0' | ',' | '+')).count();
        let (flags, after) = rest.split_at(flags);
        let (width, after) = digits(after);
        let (precision, after) = match after.strip_prefix('.').map(digits) {
            Some((precision, after)) => (precision, after),
            None => (None, after),
        };
        let mut chars = after.chars();
        let conversion = chars.next().ok_or_else(|| format!("'{format}' ends in a conversion"))?;
        rest = chars.as_str();
        if width.is_some_and(|w| w > WIDTH_MAX) || precision.is_some_and(|p| p > WIDTH_MAX) {
            return Err(format!("'{format}' has a width above {WIDTH_MAX}"));
        }
        let text = match conversion {
            'n' => "\n".to_string(),
            '%' => "%".to_string(),
            _ => {
                let value = values.next().ok_or_else(|| format!("'{format}' has more conversions than values"))?;
                convert(conversion, flags, precision, value, row)?
            }
        };
        pad(&mut out, &text, flags, width.unwrap_or(0));
    }
    out.push_str(rest);
    Ok(out)
}

fn digits(text: &str) -> (Option<usize>, &str) {
    let (digits, after) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    (if digits.is_empty() { None } else { Some(digits.parse().unwrap_or(usize::MAX)) }, after)
}

fn convert(conversion: char, flags: &str, precision: Option<usize>, value: &ArrayRef, row: usize) -> Result<String, String> {
    let mut text = String::new();
    let is_null = value.is_null(row);
    if !is_null {
        append_text(&mut text, value, row, 0)?;
    }
    // Java's words for what SQL writes in capitals.
    if *value.data_type() == DataType::Boolean {
        text = text.to_lowercase();
    }
    let wrong = || format!("'%{conversion}' does not take a value of type {}", sql_name(value.data_type()));
    let is_integer = value.data_type().is_integer() || value.data_type().is_null();
    let text = match conversion {
        'b' if is_null => "false".to_string(),
        _ if is_null => "null".to_string(),
        'b' if *value.data_type() != DataType::Boolean => "true".to_string(),
        's' | 'b' => text,
        'S' => text.to_uppercase(),
        'c' if *value.data_type() == DataType::Utf8 && text.chars().count() == 1 => text,
        'd' if is_integer => grouped(&text, flags),
        'x' | 'X' if is_integer => {
            let number: i64 = text.parse().map_err(|_| wrong())?;
            // As many digits as the type of a negative number has.
            let bits = value.data_type().primitive_width().unwrap_or(8) * 8;
            let hex = format!("{:x}", if bits == 64 { number as u64 } else { number as u64 & ((1 << bits) - 1) });
            if conversion == 'X' { hex.to_uppercase() } else { hex }
        }
        'f' if value.data_type().is_floating() => {
            let number: f64 = text.parse().map_err(|_| wrong())?;
            match number.is_finite() {
                true => grouped(&rounded(number, precision.unwrap_or(6)), flags),
                false => text,
            }
        }
        _ => return Err(wrong()),
    };
    Ok(match (conversion, precision) {
        ('s' | 'S' | 'b', Some(length)) => text.chars().take(length).collect(),
        _ => text,
    })
}

/// Java rounds the decimal form half up, Rust the binary one half to even.
fn rounded(number: f64, digits: usize) -> String {
    let shown = format!("{number:?}");
    let half = shown.split_once('.').is_some_and(|(_, f)| f.len() == digits + 1 && f.ends_with('5'));
    if half {
        let whole = &shown[..shown.len() - 1];
        // One more than the digit 5 rounds away from zero.
        if let Ok(up) = format!("{whole}6").parse::<f64>() {
            return format!("{up:.digits$}");
        }
    }
    format!("{number:.digits$}")
}

fn grouped(number: &str, flags: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or((if flags.contains('+') { "+" } else { "" }, number), |d| ("-", d));
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    if !flags.contains(',') {
        return format!("{sign}{digits}");
    }
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    format!("{sign}{out}{fraction}")
}

fn pad(out: &mut String, text: &str, flags: &str, width: usize) {
    let missing = width.saturating_sub(text.chars().count());
    if flags.contains('-') {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if flags.contains('0') {
        let sign = text.len() - text.trim_start_matches(['-', '+']).len();
        out.push_str(&text[..sign]);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(&text[sign..]);
    } else {
        out.extend(std::iter::repeat_n(' ', missing));
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int32Array, StringArray};

    #[test]
    fn conversions_are_javas() {
        let args: [ArrayRef; 4] = [
            Arc::new(StringArray::from(vec![""])),
            Arc::new(StringArray::from(vec![Some("ab")])),
            Arc::new(Int32Array::from(vec![-1234])),
            Arc::new(Float64Array::from(vec![2.125])),
        ];
        let call = Call { args: &args, rows: 1, result: &DataType::Utf8 };
        for (text, expected) in [
            ("%s-%d", "ab--1234"),
            ("%5s|%-5d|%f", "   ab|-1234|2.125000"),
            ("%.1s %08d %.2f%%", "a -0001234 2.13%"),
            ("%S %,d%n", "AB -1,234\n"),
            ("%s %x", "ab fffffb2e"),
        ] {
            assert_eq!(format(text, &call, 0).as_deref(), Ok(expected));
        }
        for text in ["%d", "%q", "%", "%s %d %f %s"] {
            assert!(format(text, &call, 0).is_err(), "{text}");
        }
    }
}
