//! The MAP functions.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray};
use arrow::datatypes::DataType;

use super::constructors::Pairs;
use super::{element, is_comparable, meet};
use crate::map_keys;
use crate::sql::functions::arity::{at_least, exactly};
use crate::sql::functions::nested::definition::{Call, Definition};
use crate::sql::functions::nested::lists::Pool;
use crate::types::nested::{array_of, is_multiset, map_of, map_types, row_of};

pub const ALL: [Definition; 5] = [
    Definition {
        name: "map_keys",
        takes: exactly(1),
        arguments: one_map,
        result: |types| map_types(&types[0]).map_or(DataType::Null, |(key, _)| array_of(key.clone())),
        run: |call| list(call, map_keys::keys(call.map(0))),
    },
    Definition {
        name: "map_values",
        takes: exactly(1),
        arguments: one_map,
        result: |types| map_types(&types[0]).map_or(DataType::Null, |(_, value)| array_of(value.clone())),
        run: |call| list(call, call.map(0).values()),
    },
    Definition {
        name: "map_entries",
        takes: exactly(1),
        arguments: one_map,
        result: |types| {
            let Some((key, value)) = map_types(&types[0]) else { return DataType::Null };
            array_of(row_of([("key".to_string(), key.clone()), ("value".to_string(), value.clone())]))
        },
        run: |call| {
            let DataType::List(item) = call.result else { return Err("not a list".into()) };
            let DataType::Struct(fields) = item.data_type() else { return Err("not rows".into()) };
            let map = call.map(0);
            let columns = vec![map_keys::keys(map).clone(), map.values().clone()];
            let rows = arrow::array::StructArray::try_new(fields.clone(), columns, None).map_err(|e| e.to_string())?;
            list(call, &(Arc::new(rows) as ArrayRef))
        },
    },
    Definition {
        name: "map_from_arrays",
        takes: exactly(2),
        arguments: |given| {
            element(&given[1])?;
            if is_comparable(element(&given[0])?) { Ok(given.to_vec()) } else { Err("its keys cannot be compared".into()) }
        },
        result: |types| match (element(&types[0]), element(&types[1])) {
            (Ok(key), Ok(value)) => map_of(key.clone(), value.clone()),
            _ => DataType::Null,
        },
        run: from_arrays,
    },
    Definition {
        name: "map_union",
        takes: at_least(1),
        arguments: |given| {
            let of = meet(given)?;
            one_map(std::slice::from_ref(&of))?;
            Ok(vec![of; given.len()])
        },
        result: |types| types[0].clone(),
        run: union,
    },
];

fn one_map(given: &[DataType]) -> Result<Vec<DataType>, String> {
    match map_types(&given[0]) {
        Some((key, _)) if !is_multiset(&given[0]) && is_comparable(key) => Ok(given.to_vec()),
        _ => Err("it takes a MAP".into()),
    }
}

/// Lists of these values with the offsets of the map.
fn list(call: &Call<'_>, values: &ArrayRef) -> Result<ArrayRef, String> {
    let DataType::List(item) = call.result else { return Err("not a list".into()) };
    let map = call.map(0);
    let made = ListArray::try_new(item.clone(), map.offsets().clone(), values.clone(), map.nulls().cloned());
    Ok(Arc::new(made.map_err(|e| e.to_string())?))
}

fn from_arrays(call: &Call<'_>) -> Result<ArrayRef, String> {
    let (keys, values) = (call.list(0), call.list(1));
    let mut pairs = Pairs::new(call.rows).unique();
    for row in 0..call.rows {
        if keys.is_null(row) || values.is_null(row) {
            pairs.null();
            continue;
        }
        if keys.value_length(row) != values.value_length(row) {
            return Err(format!("{} keys for {} values", keys.value_length(row), values.value_length(row)));
        }
        for at in 0..keys.value_length(row) {
            pairs.push((keys.offsets()[row] + at) as u32, (values.offsets()[row] + at) as u32);
        }
        pairs.close();
    }
    pairs.finish(&Pool::new(&[keys.values()])?, &Pool::new(&[values.values()])?, call.result)
}

fn union(call: &Call<'_>) -> Result<ArrayRef, String> {
    let maps: Vec<_> = (0..call.args.len()).map(|at| call.map(at)).collect();
    let keys = Pool::new(&maps.iter().map(|m| map_keys::keys(m)).collect::<Vec<_>>())?;
    let values = Pool::new(&maps.iter().map(|m| m.values()).collect::<Vec<_>>())?;
    let valid = call.valid();
    let mut pairs = Pairs::new(call.rows);
    let bytes = keys.keys();
    let mut seen: HashSet<&[u8]> = HashSet::new();
    for row in 0..call.rows {
        if valid.as_ref().is_some_and(|v| v.is_null(row)) {
            pairs.null();
            continue;
        }
        seen.clear();
        // Flink goes from the last map to the first, and keeps the first value of a key that it meets.
        for (map, (key, value)) in maps.iter().zip(keys.starts.iter().zip(&values.starts)).rev() {
            for at in map.offsets()[row] as u32..map.offsets()[row + 1] as u32 {
                if seen.insert(bytes.get((key + at) as usize)) {
                    pairs.push(key + at, value + at);
                }
            }
        }
        pairs.close();
    }
    pairs.finish(&keys, &values, call.result)
}
