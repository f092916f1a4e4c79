//! Types and constants as Arrow and DataFusion print them, written as in SQL.
//!
//! Called by `engine_words` for whole messages, and wherever a type of Arrow's is named below the
//! SQL layer. What always holds: text that names none of them stays as it is.

/// Where the name of an Arrow type that a text starts with ends.
pub(super) fn type_end(text: &str) -> Option<usize> {
    let word = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    if !TYPES.iter().any(|(arrow, sql)| *arrow == &text[..word] || *sql == &text[..word]) {
        return None;
    }
    Some(if text[word..].starts_with('(') { word + closing(&text[word..])? + 1 } else { word })
}

/// Where the parenthesis closes that a text starts with.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quoted) = (0usize, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Arrow's types and SQL's. Where one takes arguments there they are read below.
const TYPES: [(&str, &str); 33] = [
    ("Boolean", "BOOLEAN"),
    ("Int8", "TINYINT"),
    ("Int16", "SMALLINT"),
    ("Int32", "INT"),
    ("Int64", "BIGINT"),
    ("UInt8", "SMALLINT"),
    ("UInt16", "INT"),
    ("UInt32", "BIGINT"),
    ("UInt64", "BIGINT"),
    ("Float16", "FLOAT"),
    ("Float32", "FLOAT"),
    ("Float64", "DOUBLE"),
    ("Utf8", "STRING"),
    ("LargeUtf8", "STRING"),
    ("Utf8View", "STRING"),
    ("Binary", "BYTES"),
    ("LargeBinary", "BYTES"),
    ("BinaryView", "BYTES"),
    ("FixedSizeBinary", "BYTES"),
    ("Date32", "DATE"),
    ("Date64", "DATE"),
    ("Time32", "TIME"),
    ("Time64", "TIME"),
    ("Timestamp", "TIMESTAMP"),
    ("Interval", "INTERVAL"),
    ("Duration", "INTERVAL"),
    ("Decimal128", "DECIMAL"),
    ("Decimal256", "DECIMAL"),
    ("List", "ARRAY"),
    ("LargeList", "ARRAY"),
    ("Struct", "ROW"),
    ("Map", "MAP"),
    ("IntervalMonthDayNano", "INTERVAL"),
];

/// Types and constants of a message as SQL writes them, and calls that have inner names by those
/// that were written.
pub fn in_sql(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        if let Some((written, after)) = inner_call(rest, &out) {
            out.push_str(&written);
            rest = after;
            continue;
        }
        if !first.is_alphanumeric() {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let inside = after
            .starts_with('(')
            .then(|| closing(after))
            .flatten()
            .map(|close| (&after[1..close], &after[close + 1..]));
        match (TYPES.iter().find(|(arrow, _)| *arrow == word), inside) {
            (Some((arrow, sql)), Some((inside, behind))) => {
                out.push_str(
                    &constant(arrow, inside).unwrap_or_else(|| with_arguments(sql, inside)),
                );
                rest = behind;
            }
            (Some((_, sql)), None) => {
                out.push_str(sql);
                rest = after;
            }
            _ => {
                out.push_str(word);
                rest = after;
            }
        }
    }
    out
}

/// A call whose name is in parentheses, as no name in SQL is: `(field)(r,'a')`, or its name alone
/// in quotes.
fn inner_call<'a>(text: &'a str, before: &str) -> Option<(String, &'a str)> {
    let name = text.strip_prefix('(')?.split_once(')')?.0;
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, ' ' | '_')) {
        return None;
    }
    let after = &text[name.len() + 2..];
    if after.starts_with('(') {
        let close = closing(after)?;
        let arguments = in_sql(&after[1..close]);
        let written = match (name, arguments.rsplit_once(',')) {
            ("field", Some((row, field))) => format!("{row}.{}", field.trim_matches(['\'', ' '])),
            ("item", Some((of, index))) => format!("{of}[{index}]"),
            _ => format!("{}({arguments})", name.to_uppercase()),
        };
        return Some((written, &after[close + 1..]));
    }
    let column = before.ends_with('.') && !after.starts_with(|c: char| c.is_alphanumeric());
    if column {
        return Some((name.to_string(), after));
    }
    (before.ends_with('\'') && after.starts_with('\'')).then(|| (name.to_uppercase(), after))
}

/// `Int64(5)` and `Utf8("x")`. None if this is a type with its arguments.
fn constant(arrow: &str, inside: &str) -> Option<String> {
    if inside == "NULL" {
        return Some("NULL".into());
    }
    Some(match arrow {
        "Utf8" | "LargeUtf8" | "Utf8View" => format!("'{}'", inside.trim_matches('"')),
        "Boolean" => inside.to_uppercase(),
        "Decimal128" | "Decimal256" => {
            let (digits, rest) = inside.strip_prefix("Some(")?.split_once(')')?;
            let scale: usize = rest.rsplit(',').next()?.trim().parse().ok()?;
            let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |d| ("-", d));
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = padded.split_at(padded.len() - scale);
            format!("{sign}{whole}{}{fraction}", if scale > 0 { "." } else { "" })
        }
        "Date32" | "Date64" => format!("DATE '{}'", inside.trim_matches('"')),
        "IntervalMonthDayNano" => format!("INTERVAL '{}'", inside.trim_matches('"')),
        other if other.contains("Int") || other.starts_with("Float") => inside.to_string(),
        _ => return None,
    })
}

/// A type whose arguments SQL writes otherwise, or not at all.
fn with_arguments(sql: &str, inside: &str) -> String {
    match sql {
        "DECIMAL" => format!("DECIMAL({inside})"),
        "TIMESTAMP" => {
            let (unit, zone) = inside.split_once(',').unwrap_or((inside, ""));
            let digits = match unit.trim() {
                "s" | "Second" => 0,
                "us" | "µs" | "Microsecond" => 6,
                "ns" | "Nanosecond" => 9,
                _ => 3,
            };
            let local = if matches!(zone.trim(), "" | "None") { "" } else { "_LTZ" };
            format!("TIMESTAMP{local}({digits})")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_constants_as_sql_writes_them() {
        for (theirs, ours) in [
            ("Int64 and Utf8", "BIGINT and STRING"),
            ("Timestamp(ms) > Time32(ms)", "TIMESTAMP(3) > TIME"),
            (
                "Timestamp(Nanosecond, None), Timestamp(ms, \"UTC\")",
                "TIMESTAMP(9), TIMESTAMP_LTZ(3)",
            ),
            ("Decimal128(10, 2) but Decimal128(Some(-150),4,2)", "DECIMAL(10, 2) but -1.50"),
            ("Decimal128(Some(5),3,3)", "0.005"),
            ("Struct(\"a\": Int32, \"q\": List(Utf8)) on 'r'", "ROW on 'r'"),
            ("found Int64(5), Utf8(\"x\"), Boolean(true), Utf8(NULL)", "found 5, 'x', TRUE, NULL"),
            ("by '(field)(t.r,Utf8(\"a\")) + Int64(1)'", "by 't.r.a + 1'"),
            ("by '(item)(t.ar,Int32(1))'", "by 't.ar[1]'"),
            ("'(JSON_VALUE)' takes text", "'JSON_VALUE' takes text"),
            ("t.(window_start)", "t.window_start"),
            ("keys (a, b) stay", "keys (a, b) stay"),
            ("Utf8y, my_Int64 and Int64_2", "Utf8y, my_BIGINT and BIGINT_2"),
        ] {
            assert_eq!(in_sql(theirs), ours, "{theirs}");
        }
    }
}
