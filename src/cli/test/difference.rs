//! How does a result differ from what is expected, in words for people?
//!
//! Called by `test`. What always holds: rows are compared as a multiset and by value (1 is 1.0,
//! fractions agree to 12 digits, since the order of adding may not matter); the text is bounded.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::attempt::Table;
use super::expected::Expected;

/// Rows that are told of a table.
const ROWS_TOLD: usize = 20;

/// A table that is not what it should be.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    pub table: String,
    pub text: String,
}

/// Compares all tables. `folder`: where what is expected stands.
pub fn all(expected: &Expected, came: &[Table], folder: &Path) -> Vec<Difference> {
    let mut found = Vec::new();
    for table in came {
        let file = folder.join(format!("{}.jsonl", table.name));
        let text = match expected.get(&table.name) {
            None => Some(format!("  {} is missing; {} came\n", file.display(), count(&table.rows))),
            Some(rows) => of_rows(rows, table),
        };
        found.extend(text.map(|text| Difference { table: table.name.clone(), text }));
    }
    for name in expected.keys().filter(|name| came.iter().all(|t| t.name != **name)) {
        let file = folder.join(format!("{name}.jsonl"));
        let text = format!("  {} is there, and the query has no such result\n", file.display());
        found.push(Difference { table: name.clone(), text });
    }
    found
}

fn count(rows: &[String]) -> String {
    match rows.len() {
        1 => "1 row".into(),
        n => format!("{n} rows"),
    }
}

/// What is told of a row.
enum Told {
    /// A key that has another row.
    Changed {
        key: String,
        columns: String,
    },
    Missing(String),
    Extra(String),
}

fn of_rows(expected: &[String], table: &Table) -> Option<String> {
    let mut missing = by_value(expected);
    let mut extra = Vec::new();
    for row in &table.rows {
        let value = canonical(row);
        match missing.get_mut(&value).and_then(Vec::pop) {
            Some(_) => {}
            None => extra.push(row.as_str()),
        }
    }
    let mut missing: Vec<&str> = missing.into_values().flatten().collect();
    missing.sort_unstable();
    if missing.is_empty() && extra.is_empty() {
        return None;
    }
    let mut told = Vec::new();
    if !table.key.is_empty() {
        missing.retain(|row| {
            let (before, key) = (object(row), key_of(row, &table.key));
            let Some(at) = extra.iter().position(|other| key_of(other, &table.key) == key) else {
                return true;
            };
            let columns = changed(&before, &object(extra.remove(at)));
            told.push(Told::Changed { key, columns });
            false
        });
    }
    told.extend(missing.iter().map(|row| Told::Missing((*row).to_string())));
    told.extend(extra.iter().map(|row| Told::Extra((*row).to_string())));
    let mut text = format!("  {} expected, {} came\n", count(expected), table.rows.len());
    for one in told.iter().take(ROWS_TOLD) {
        text.push_str(&match one {
            Told::Changed { key, columns } => format!("  ~ {key}: {columns}\n"),
            Told::Missing(row) => format!("  - {row}\n"),
            Told::Extra(row) => format!("  + {row}\n"),
        });
    }
    if told.len() > ROWS_TOLD {
        text.push_str(&format!("  and {} more\n", told.len() - ROWS_TOLD));
    }
    text.push_str(legend(&told));
    Some(text)
}

fn legend(told: &[Told]) -> &'static str {
    match told.iter().any(|one| matches!(one, Told::Changed { .. })) {
        true => "  (- expected and missing, + came and not expected, ~ another row of the key)\n",
        false => "  (- expected and missing, + came and not expected)\n",
    }
}

fn by_value(rows: &[String]) -> BTreeMap<String, Vec<&str>> {
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for row in rows {
        found.entry(canonical(row)).or_default().push(row);
    }
    found
}

fn object(row: &str) -> Map<String, Value> {
    // Expected rows have been read before, and ours are objects.
    serde_json::from_str(row).unwrap_or_default()
}

/// `site="a", minute=3`.
fn key_of(row: &str, key: &[String]) -> String {
    let row = object(row);
    let columns =
        key.iter().map(|name| format!("{name}={}", row.get(name).unwrap_or(&Value::Null)));
    columns.collect::<Vec<_>>().join(", ")
}

/// `n 3 -> 4, city "a" -> nothing`.
fn changed(before: &Map<String, Value>, now: &Map<String, Value>) -> String {
    let names = before.keys().chain(now.keys().filter(|name| !before.contains_key(*name)));
    let shown = |value: Option<&Value>| value.map_or("nothing".into(), Value::to_string);
    let differ =
        names.filter(|name| before.get(*name).map(in_digits) != now.get(*name).map(in_digits));
    let columns = differ
        .map(|name| format!("{name} {} -> {}", shown(before.get(name)), shown(now.get(name))));
    columns.collect::<Vec<_>>().join(", ")
}

/// A row by value, whatever the order of its columns.
fn canonical(row: &str) -> String {
    in_digits(&Value::Object(object(row)))
}

fn in_digits(value: &Value) -> String {
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(f)) if f.fract() == 0.0 && f.abs() < 9e15 => format!("{}", f as i64),
            (None, Some(f)) => {
                let text = format!("{f:.11e}");
                // 489.99999999999994 is 490 in so many digits.
                match text.parse::<f64>() {
                    Ok(f) if f.fract() == 0.0 && f.abs() < 9e15 => format!("{}", f as i64),
                    _ => text,
                }
            }
            (None, None) => number.to_string(),
        },
        Value::Array(elements) => {
            format!("[{}]", elements.iter().map(in_digits).collect::<Vec<_>>().join(","))
        }
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, String> =
                fields.iter().map(|(name, value)| (name, in_digits(value))).collect();
            format!("{sorted:?}")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(key: &[&str], expected: &[&str], came: &[&str]) -> Option<String> {
        let rows = |rows: &[&str]| rows.iter().map(ToString::to_string).collect::<Vec<_>>();
        let key = key.iter().map(ToString::to_string).collect();
        let table = Table { name: "t".into(), key, rows: rows(came) };
        of_rows(&rows(expected), &table)
    }

    #[test]
    fn rows_are_compared_by_value_and_as_often_as_they_are_there() {
        let same = |a: &[&str], b: &[&str]| assert_eq!(told(&[], a, b), None, "{a:?} {b:?}");
        same(&[], &[]);
        same(&[r#"{"a":1,"b":0.3}"#], &[r#"{"b":0.30000000000000004,"a":1.0}"#]);
        same(&[r#"{"a":489.99999999999994,"b":490}"#], &[r#"{"a":490.0,"b":490.00000000000006}"#]);
        same(&[r#"{"a":[1E+3,null]}"#], &[r#"{"a":[1000,null]}"#]);
        same(&[r#"{"a":1}"#, r#"{"a":2}"#], &[r#"{"a":2}"#, r#"{"a":1}"#]);
        for (a, b) in [
            (&[r#"{"a":1}"#][..], &[r#"{"a":1}"#, r#"{"a":1}"#][..]),
            (&[r#"{"a":1}"#], &[r#"{"a":"1"}"#]),
            (&[r#"{"a":null}"#], &[r"{}"]),
            (&[r#"{"a":0.3}"#], &[r#"{"a":0.30000001}"#]),
        ] {
            assert!(told(&[], a, b).is_some(), "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_row_of_the_same_key_is_told_by_its_columns() {
        let text = told(
            &["k"],
            &[r#"{"k":"a","n":3,"s":"x"}"#, r#"{"k":"b","n":1}"#],
            &[r#"{"k":"a","n":4,"s":"x"}"#, r#"{"k":"c","n":1}"#],
        );
        let expected = "  2 rows expected, 2 came\n  ~ k=\"a\": n 3 -> 4\n  - {\"k\":\"b\",\"n\":1}\n  \
                        + {\"k\":\"c\",\"n\":1}\n  (- expected and missing, + came and not expected, ~ another row of \
                        the key)\n";
        assert_eq!(text.as_deref(), Some(expected));
    }

    #[test]
    fn files_and_results_have_to_be_the_same_ones() {
        let table = |name: &str| Table { name: name.into(), key: vec![], rows: vec![] };
        let expected = Expected::from([("a".into(), vec![]), ("b".into(), vec![])]);
        let found = all(&expected, &[table("a"), table("c")], Path::new("q.expected"));
        let names: Vec<&str> = found.iter().map(|d| d.table.as_str()).collect();
        assert_eq!(names, ["c", "b"]);
        assert!(found[0].text.contains("c.jsonl is missing; 0 rows came"), "{found:?}");
        assert!(found[1].text.contains("the query has no such result"), "{found:?}");
    }

    #[test]
    fn many_rows_are_counted() {
        let came: Vec<String> = (0..30).map(|n| format!("{{\"n\":{n}}}")).collect();
        let came: Vec<&str> = came.iter().map(String::as_str).collect();
        let text = told(&[], &[], &came).expect("differs");
        assert!(text.contains("and 10 more") && text.lines().count() < 25, "{text}");
    }
}
