//! Between text and nested values: SPLIT, STR_TO_MAP, ARRAY_JOIN, REGEXP_EXTRACT_ALL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, MapBuilder, MapFieldNames, StringBuilder};
use arrow::datatypes::{DataType, Int32Type};

use crate::map_keys;
use crate::sql::functions::arity::{between, exactly};
use crate::sql::functions::nested::definition::{Call, Definition};
use crate::sql::functions::patterns::with;
use crate::types::nested::{array_of, map_of};

pub const ALL: [Definition; 3] = [
    Definition {
        name: "split",
        takes: exactly(2),
        arguments: texts,
        result: |_| array_of(DataType::Utf8),
        run: |call| {
            let (text, separator) = (call.args[0].as_string::<i32>(), call.args[1].as_string::<i32>());
            lists(call, |row, out| {
                let text = text.value(row);
                match separator.value(row) {
                    _ if text.is_empty() => {}
                    // Each character of Java's, of which one beyond the BMP has two: it is kept whole here.
                    "" => text.chars().for_each(|c| out.append_value(c.encode_utf8(&mut [0; 4]))),
                    by => text.split(by).for_each(|part| out.append_value(part)),
                }
                Ok(())
            })
        },
    },
    Definition {
        name: "regexp_extract_all",
        takes: between(2, 3),
        arguments: |given| {
            texts(&given[..2])?;
            match given.get(2) {
                None => Ok(vec![DataType::Utf8; 2]),
                Some(t) if t.is_integer() || t.is_null() => Ok(vec![DataType::Utf8, DataType::Utf8, DataType::Int32]),
                Some(_) => Err("the group is an INT".into()),
            }
        },
        result: |_| array_of(DataType::Utf8),
        run: extract_all,
    },
    Definition {
        name: "str_to_map",
        takes: between(1, 3),
        arguments: texts,
        result: |_| map_of(DataType::Utf8, DataType::Utf8),
        run: to_map,
    },
];

fn texts(given: &[DataType]) -> Result<Vec<DataType>, String> {
    match given.iter().all(|t| *t == DataType::Utf8 || t.is_null()) {
        true => Ok(vec![DataType::Utf8; given.len()]),
        false => Err("it takes text".into()),
    }
}

/// A list of text for each row in which no argument is NULL.
fn lists(call: &Call<'_>, f: impl Fn(usize, &mut StringBuilder) -> Result<(), String>) -> Result<ArrayRef, String> {
    let DataType::List(item) = call.result else { return Err("not a list".into()) };
    let mut out = ListBuilder::with_capacity(StringBuilder::new(), call.rows).with_field(item.clone());
    let valid = call.valid();
    for row in 0..call.rows {
        let is_valid = valid.as_ref().is_none_or(|v| v.is_valid(row));
        if is_valid {
            f(row, out.values())?;
        }
        out.append(is_valid);
    }
    Ok(Arc::new(out.finish()))
}

/// The parts that match, or of one group of each; no list for a group that the expression does not have.
fn extract_all(call: &Call<'_>) -> Result<ArrayRef, String> {
    let DataType::List(item) = call.result else { return Err("not a list".into()) };
    let (text, pattern) = (call.args[0].as_string::<i32>(), call.args[1].as_string::<i32>());
    let group = call.args.get(2).map(|g| g.as_primitive::<Int32Type>());
    let valid = call.valid();
    let mut out = ListBuilder::with_capacity(StringBuilder::new(), call.rows).with_field(item.clone());
    for row in 0..call.rows {
        if valid.as_ref().is_some_and(|v| v.is_null(row)) {
            out.append(false);
            continue;
        }
        let wanted = usize::try_from(group.map_or(1, |g| g.value(row))).ok();
        let values = out.values();
        let found = with(pattern.value(row), |regex| match wanted {
            Some(group) if group < regex.captures_len() => {
                for found in regex.captures_iter(text.value(row)) {
                    values.append_option(found.get(group).map(|m| m.as_str()));
                }
                true
            }
            _ => false,
        })?;
        out.append(found);
    }
    Ok(Arc::new(out.finish()))
}

/// STR_TO_MAP(text [, between pairs, between key and value]): `,` and `=` if not told. Both are regular expressions.
fn to_map(call: &Call<'_>) -> Result<ArrayRef, String> {
    let column = |at: usize| call.args.get(at).map(|a| a.as_string::<i32>());
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut out = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    let valid = call.valid();
    let mut pairs: Vec<(&str, Option<&str>)> = Vec::new();
    for row in 0..call.rows {
        pairs.clear();
        let is_valid = valid.as_ref().is_none_or(|v| v.is_valid(row));
        if is_valid && let Some(text) = column(0).filter(|text| !text.value(row).is_empty()) {
            let between = column(1).map_or(",", |c| c.value(row));
            let within = column(2).map_or("=", |c| c.value(row));
            let parts: Vec<&str> = with(between, |regex| regex.split(text.value(row)).collect())?;
            for part in parts {
                let at = with(within, |regex| regex.find(part).map(|m| m.range()))?;
                let (key, value) = match at {
                    Some(at) => (&part[..at.start], Some(&part[at.end..])),
                    None => (part, None),
                };
                match pairs.iter_mut().find(|(k, _)| *k == key) {
                    Some(known) => known.1 = value,
                    None => pairs.push((key, value)),
                }
            }
        }
        for (key, value) in &pairs {
            out.keys().append_value(key);
            out.values().append_option(*value);
        }
        out.append(is_valid).map_err(|e| e.to_string())?;
    }
    Ok(Arc::new(map_keys::from_plain(&out.finish()).map_err(|e| e.to_string())?))
}

/// ARRAY_JOIN(array, between [, for NULL]): NULLs are left out if nothing stands for them.
pub fn join(call: &Call<'_>) -> Result<ArrayRef, String> {
    let (list, between) = (call.list(0), call.args[1].as_string::<i32>());
    let for_null = call.args.get(2).map(|a| a.as_string::<i32>());
    let values = list.values().as_string::<i32>();
    let valid = call.valid();
    let mut out = StringBuilder::with_capacity(call.rows, call.rows * 16);
    let mut text = String::new();
    for row in 0..call.rows {
        if valid.as_ref().is_some_and(|v| v.is_null(row)) {
            out.append_null();
            continue;
        }
        text.clear();
        let mut first = true;
        for at in list.offsets()[row] as usize..list.offsets()[row + 1] as usize {
            let part = match (values.is_valid(at), for_null) {
                (true, _) => values.value(at),
                (false, Some(replacement)) => replacement.value(row),
                (false, None) => continue,
            };
            if !std::mem::take(&mut first) {
                text.push_str(between.value(row));
            }
            text.push_str(part);
        }
        out.append_value(&text);
    }
    Ok(Arc::new(out.finish()))
}
