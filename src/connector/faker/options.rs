//! Which expression makes which column?
//!
//! Called by the connector for a table. What always holds: each column, and each part of a nested
//! one, has an expression.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;

use super::expression::Expression;
use crate::connector::datagen::field::{Field, FieldKind};
use crate::connector::datagen::{DatagenOptions, Declared};
use crate::map_keys;

const ROWS_PER_SECOND: u64 = 10_000;

pub(super) fn parse(
    options: &BTreeMap<String, String>,
    columns: &[Declared],
) -> Result<DatagenOptions, String> {
    let mut left = options.clone();
    let rows_per_second = number(&mut left, "rows-per-second")?.unwrap_or(ROWS_PER_SECOND);
    let rows = number(&mut left, "number-of-rows")?;
    let fields = columns
        .iter()
        .map(|c| field(&c.name, &c.name, &c.data_type, &mut left))
        .collect::<Result<Vec<Field>, String>>()?;
    // What is left is of columns that are computed, or of none.
    Ok(DatagenOptions { rows_per_second, rows, fields, is_paced: true })
}

fn number(left: &mut BTreeMap<String, String>, key: &str) -> Result<Option<u64>, String> {
    let Some(text) = left.remove(key) else { return Ok(None) };
    match text.trim().parse() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(format!("'{key}' is a whole number from 1 on, not '{text}'")),
    }
}

/// `path`: the column, and the way into it.
fn field(
    path: &str,
    name: &str,
    data_type: &DataType,
    left: &mut BTreeMap<String, String>,
) -> Result<Field, String> {
    let key = |option: &str| format!("fields.{path}.{option}");
    let rate: f64 = match left.remove(&key("null-rate")) {
        None => 0.0,
        Some(text) => text
            .trim()
            .parse()
            .ok()
            .filter(|rate| (0.0..=1.0).contains(rate))
            .ok_or_else(|| format!("'{}' is from 0 to 1, not '{text}'", key("null-rate")))?,
    };
    let length = |left: &mut BTreeMap<String, String>| match left.remove(&key("length")) {
        None => Ok(1),
        Some(text) => text.trim().parse().map_err(|_| format!("'{}' = '{text}'", key("length"))),
    };
    let kind = match data_type {
        DataType::List(element) => {
            let length = length(left)?;
            let element = field(path, element.name(), element.data_type(), left)?;
            FieldKind::List { element: Box::new(element), length }
        }
        DataType::Map(..) => {
            let Some((key, value)) = map_keys::types(data_type) else {
                return Err(format!("column '{path}' has no entries"));
            };
            let length = length(left)?;
            let mut part = |name: &str, data_type: &DataType| {
                field(&format!("{path}.{name}"), name, data_type, left).map(Box::new)
            };
            FieldKind::Map { key: part("key", key)?, value: part("value", value)?, length }
        }
        DataType::Struct(parts) => {
            let parts = parts.iter().map(|part| {
                field(&format!("{path}.{}", part.name()), part.name(), part.data_type(), left)
            });
            FieldKind::Row(parts.collect::<Result<_, String>>()?)
        }
        _ => {
            let text = left.remove(&key("expression")).ok_or_else(|| {
                format!("WITH needs '{}': what makes its values", key("expression"))
            })?;
            let expression = Expression::parse(&text)
                .map_err(|e| format!("'{}' = '{text}': {e}", key("expression")))?;
            FieldKind::Made(Arc::new(expression))
        }
    };
    let null_below = (rate * 4_294_967_296.0) as u64;
    Ok(Field { name: name.to_string(), data_type: data_type.clone(), kind, null_below })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: DataType) -> Declared {
        Declared { name: name.into(), data_type, exact: None }
    }

    fn parsed(options: &[(&str, &str)], columns: &[Declared]) -> Result<DatagenOptions, String> {
        parse(&options.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(), columns)
    }

    #[test]
    fn values_are_of_their_types() {
        let columns = [
            column("name", DataType::Utf8),
            column("age", DataType::Int32),
            column("tags", DataType::new_list(DataType::Utf8, true)),
        ];
        let options = [
            ("number-of-rows", "5"),
            ("fields.name.expression", "#{Name.fullName}"),
            ("fields.age.expression", "#{number.numberBetween '20','30'}"),
            ("fields.tags.expression", "#{regexify '(a|b){1}'}"),
            ("fields.tags.length", "2"),
        ];
        let made = parsed(&options, &columns).expect("parses");
        assert_eq!(made.rows, Some(5));
        for row in 0..50 {
            let mut out = vec![b'['];
            for (number, field) in made.fields.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                field.write(&mut out, 1, number as u64, row, 0);
            }
            out.push(b']');
            let values: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
            assert!(values[0].as_str().is_some_and(|name| name.contains(' ')), "{values}");
            assert!(values[1].as_i64().is_some_and(|n| (20..30).contains(&n)), "{values}");
            assert_eq!(values[2].as_array().map(Vec::len), Some(2));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let columns = [column("n", DataType::Int64)];
        assert!(parsed(&[], &columns).expect_err("needs it").contains("'fields.n.expression'"));
        let open = [("fields.n.expression", "#{Name.fullName")];
        assert!(parsed(&open, &columns).expect_err("is open").contains("not closed"));
    }
}
