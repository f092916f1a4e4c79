//! IS JSON, JSON_EXISTS, JSON_VALUE, JSON_QUERY, JSON_QUOTE, JSON_UNQUOTE: questions to text.

use std::cell::RefCell;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringBuilder};
use arrow::datatypes::DataType;

use super::path::{Found, Missing, Path};
use super::value::Json;
use crate::sql::functions::arity::exactly;
use crate::sql::functions::nested::definition::{Call, Definition as NestedDefinition};
use crate::sql::functions::rows::ParameterKind::{Boolean, Double, Int, Text};
use crate::sql::functions::rows::{Answer, Body, Definition, Row, function};
use crate::types::nested::array_of;

pub const ALL: [Definition; 9] = [
    function("(is_json)", &[Text, Text], Body::Boolean(is_json)).sees_nulls(),
    function("(json_exists)", &[Text, Text, Text], Body::Boolean(exists)),
    // Text, path, ON EMPTY, its default, ON ERROR, its default.
    function(
        "(json_value)",
        &[Text, Text, Text, Text, Text, Text],
        Body::Text(|r| value(r, plain, |r, at| r.text(at).to_string())),
    )
    .sees_nulls(),
    function(
        "(json_value int)",
        &[Text, Text, Text, Int, Text, Int],
        Body::Int(|r| value(r, integer, |r, at| r.int(at))),
    )
    .sees_nulls(),
    function(
        "(json_value double)",
        &[Text, Text, Text, Double, Text, Double],
        Body::Double(|r| value(r, double, |r, at| r.double(at))),
    )
    .sees_nulls(),
    function(
        "(json_value boolean)",
        &[Text, Text, Text, Boolean, Text, Boolean],
        Body::Boolean(|r| value(r, boolean, |r, at| r.boolean(at))),
    )
    .sees_nulls(),
    // Text, path, wrapper, ON EMPTY, ON ERROR.
    function(
        "(json_query)",
        &[Text, Text, Text, Text, Text],
        Body::Text(|r| {
            let texts = [r.text(0), r.text(1), r.text(2), r.text(3), r.text(4)];
            Ok(query(texts, |json| Some(json.written()))?.map(|found| match found {
                Answered::Value(text) => text,
                Answered::Empty(text) => text.to_string(),
            }))
        }),
    ),
    function("json_quote", &[Text], Body::Text(|r| Ok(Some(quote(r.text(0)))))),
    function("json_unquote", &[Text], Body::Text(|r| Ok(Some(unquote(r.text(0)))))),
];

/// `JSON_QUERY(... RETURNING ARRAY<STRING>)`.
pub const ARRAY_QUERY: NestedDefinition = NestedDefinition {
    name: "(json_query array)",
    takes: exactly(5),
    arguments: |given| Ok(vec![DataType::Utf8; given.len()]),
    result: |_| array_of(DataType::Utf8),
    run: array_query,
};

thread_local! {
    /// A path is nearly always a constant: one call after the other asks for the same few.
    static PATHS: RefCell<Vec<(String, Arc<Path>)>> = const { RefCell::new(Vec::new()) };
}
const PATHS_MAX: usize = 16;

fn path(text: &str) -> Result<Arc<Path>, String> {
    PATHS.with_borrow_mut(|paths| {
        if let Some((_, path)) = paths.iter().find(|(t, _)| t == text) {
            return Ok(path.clone());
        }
        let path = Arc::new(Path::parse(text)?);
        if paths.len() == PATHS_MAX {
            paths.remove(0);
        }
        paths.push((text.to_string(), path.clone()));
        Ok(path)
    })
}

/// What a path finds in a text; and whether the path is lax.
fn find(text: &str, path_text: &str) -> Result<(Found, bool), String> {
    let path = path(path_text)?;
    // The null of JSON has no parts, not even itself. A lax path finds nothing in what is no JSON.
    let found = match Json::read(text) {
        None if path.lax => Ok(None),
        None | Some(Json::Null) => Err(Missing),
        Some(json) => path.find(&json),
    };
    Ok((found, path.lax))
}

fn is_json(row: &Row<'_>) -> Answer<bool> {
    let json = if row.is_null(0) { None } else { Json::read(row.text(0)) };
    Ok(Some(match (row.text(1), &json) {
        (_, None) => false,
        ("ARRAY", Some(json)) => matches!(json, Json::Array(_)),
        ("OBJECT", Some(json)) => matches!(json, Json::Object(_)),
        ("SCALAR", Some(json)) => json.is_scalar(),
        _ => true,
    }))
}

fn exists(row: &Row<'_>) -> Answer<bool> {
    let (found, _) = find(row.text(0), row.text(1))?;
    match (found, row.text(2)) {
        (Ok(found), _) => Ok(Some(found.is_some_and(|json| json != Json::Null))),
        (Err(Missing), "TRUE") => Ok(Some(true)),
        (Err(Missing), "FALSE") => Ok(Some(false)),
        (Err(Missing), "UNKNOWN") => Ok(None),
        (Err(Missing), _) => Err(format!("'{}' is not in the value", row.text(1))),
    }
}

fn value<T>(
    row: &Row<'_>,
    read: fn(&Json) -> Answer<T>,
    default: fn(&Row<'_>, usize) -> T,
) -> Answer<T> {
    if row.is_null(0) || row.is_null(1) {
        return Ok(None);
    }
    let (found, lax) = find(row.text(0), row.text(1))?;
    let clause = match found {
        Ok(None | Some(Json::Null)) => 2,
        Ok(Some(json)) if json.is_scalar() => return read(&json),
        Ok(Some(_)) if lax => 2,
        Ok(Some(_)) | Err(Missing) => 4,
    };
    match row.text(clause) {
        "NULL" => Ok(None),
        "DEFAULT" if row.is_null(clause + 1) => Ok(None),
        "DEFAULT" => Ok(Some(default(row, clause + 1))),
        _ => Err(format!("'{}' finds no scalar in the value", row.text(1))),
    }
}

fn plain(json: &Json) -> Answer<String> {
    Ok(Some(json.plain()))
}

/// Flink casts what Java's parser made of the value: an INTEGER has to be an INT of JSON, a DOUBLE
/// has to have a fraction or an exponent.
fn integer(json: &Json) -> Answer<i32> {
    match json {
        Json::Integer(digits) => {
            digits.parse().map(Some).map_err(|_| format!("{digits} is no INTEGER"))
        }
        other => Err(format!("{} is no INTEGER", other.written())),
    }
}

fn double(json: &Json) -> Answer<f64> {
    match json {
        Json::Decimal(digits) => {
            digits.parse().map(Some).map_err(|_| format!("{digits} is no DOUBLE"))
        }
        other => Err(format!("{} is no DOUBLE", other.written())),
    }
}

fn boolean(json: &Json) -> Answer<bool> {
    match json {
        Json::Bool(value) => Ok(Some(*value)),
        other => Err(format!("{} is no BOOLEAN", other.written())),
    }
}

enum Answered<T> {
    Value(T),
    /// `[]` or `{}`, as the clause says.
    Empty(&'static str),
}

/// JSON_QUERY: text, path, wrapper, ON EMPTY, ON ERROR. What `read` does not take is an error for
/// ON ERROR.
fn query<T>(texts: [&str; 5], read: fn(&Json) -> Option<T>) -> Result<Option<Answered<T>>, String> {
    let [text, path, wrapper, on_empty, on_error] = texts;
    let (found, lax) = find(text, path)?;
    let clause = match found {
        Ok(None | Some(Json::Null)) => on_empty,
        Ok(Some(json)) => {
            let json = match (wrapper, json) {
                ("UNCONDITIONAL", json) => Json::Array(vec![json]),
                ("CONDITIONAL", json @ Json::Array(_)) => json,
                ("CONDITIONAL", json) => Json::Array(vec![json]),
                (_, json) => json,
            };
            match (json.is_scalar(), read(&json)) {
                (false, Some(value)) => return Ok(Some(Answered::Value(value))),
                (true, _) if lax => on_empty,
                _ => on_error,
            }
        }
        Err(Missing) => on_error,
    };
    match clause {
        "NULL" => Ok(None),
        "EMPTY ARRAY" => Ok(Some(Answered::Empty("[]"))),
        "EMPTY OBJECT" => Ok(Some(Answered::Empty("{}"))),
        _ => Err(format!("'{path}' finds no array and no object in the value")),
    }
}

fn array_query(call: &Call<'_>) -> Result<ArrayRef, String> {
    let DataType::List(item) = call.result else { return Err("not a list".into()) };
    let texts: Vec<_> = call.args.iter().map(|a| a.as_string::<i32>()).collect();
    let mut out =
        ListBuilder::with_capacity(StringBuilder::new(), call.rows).with_field(item.clone());
    let elements = |json: &Json| match json {
        Json::Array(elements) => Some(elements.clone()),
        _ => None,
    };
    for row in 0..call.rows {
        if call.args.iter().any(|a| a.is_null(row)) {
            out.append(false);
            continue;
        }
        match query([0, 1, 2, 3, 4].map(|at: usize| texts[at].value(row)), elements)? {
            None => out.append(false),
            Some(Answered::Empty(_)) => out.append(true),
            Some(Answered::Value(elements)) => {
                for element in &elements {
                    out.values().append_option((*element != Json::Null).then(|| element.plain()));
                }
                out.append(true);
            }
        }
    }
    Ok(Arc::new(out.finish()))
}

/// JSON_QUOTE escapes all that is not ASCII. A character beyond the BMP comes out as Flink writes
/// it: its code, then the second half of its pair.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '/' => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii() => out.push(c),
            c => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
                if let Some(low) = c.encode_utf16(&mut [0; 2]).get(1) {
                    out.push_str(&format!("\\u{low:04x}"));
                }
            }
        }
    }
    out.push('"');
    out
}

/// The content of text in quotes that begins with a JSON string, up to the last quote; other text
/// as it is.
fn unquote(text: &str) -> String {
    let inside = text
        .strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .filter(|_| Json::read(text).is_some());
    let Some(inside) = inside else { return text.to_string() };
    // Quotes inside, which end the string that was checked, are taken as they are.
    let mut escaped = String::from("\"");
    let mut after_backslash = false;
    for c in inside.chars() {
        if c == '"' && !after_backslash {
            escaped.push('\\');
        }
        after_backslash = c == '\\' && !after_backslash;
        escaped.push(c);
    }
    escaped.push('"');
    match Json::read(&escaped) {
        Some(Json::Text(content)) => content,
        _ => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_come_and_go_as_in_flink() {
        assert_eq!(quote("a/b\"\u{1}é😀"), "\"a\\/b\\\"\u{1}\\u00e9\\u1f600\\ude00\"");
        for (text, expected) in [
            ("\"a\\\"b\" x\"", "a\"b\" x"),
            ("\"\\u0041\"", "A"),
            ("\"", "\""),
            ("x", "x"),
            ("\"\\x\"", "\"\\x\""),
        ] {
            assert_eq!(unquote(text), expected);
        }
    }
}
