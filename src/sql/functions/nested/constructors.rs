//! ARRAY[...], MAP[...] and ROW(...).

use std::sync::Arc;

use arrow::array::{ArrayRef, MapArray, StructArray, UInt32Array};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::DataType;

use super::{is_comparable, meet};
use crate::map_keys;
use crate::sql::functions::arity::at_least;
use crate::sql::functions::nested::definition::{Call, Definition};
use crate::sql::functions::nested::lists::{Lists, Pool};
use crate::types::nested::{array_of, map_of, map_types, row_of};

/// The names of the calls that the parser puts for the constructors.
pub const ARRAY: &str = "(array)";
pub const MAP: &str = "(map)";
pub const ROW: &str = "row";

pub const ALL: [Definition; 3] = [
    Definition {
        name: ARRAY,
        takes: at_least(1),
        arguments: |given| Ok(vec![meet(given)?; given.len()]),
        result: |types| array_of(types[0].clone()),
        run: array,
    },
    Definition {
        name: MAP,
        takes: at_least(2),
        arguments: map_arguments,
        result: |t| map_of(t[0].clone(), t[1].clone()),
        run: map,
    },
    Definition {
        name: ROW,
        takes: at_least(1),
        arguments: |given| Ok(given.to_vec()),
        result: |types| row_of(types.iter().enumerate().map(|(i, t)| (format!("EXPR${i}"), t.clone()))),
        run: row,
    },
];

fn array(call: &Call<'_>) -> Result<ArrayRef, String> {
    let pool = Pool::new(&call.args.iter().collect::<Vec<_>>())?;
    let mut lists = Lists::new(call.rows);
    for row in 0..call.rows as u32 {
        lists.extend(pool.starts.iter().map(|start| start + row));
        lists.close();
    }
    lists.finish(&pool, call.result)
}

fn map_arguments(given: &[DataType]) -> Result<Vec<DataType>, String> {
    if given.len() % 2 == 1 {
        return Err("keys and values come in pairs".into());
    }
    let side = |from: usize| meet(&given.iter().skip(from).step_by(2).cloned().collect::<Vec<_>>());
    let (key, value) = (side(0)?, side(1)?);
    if !is_comparable(&key) {
        return Err("its keys cannot be compared".into());
    }
    Ok([key, value].into_iter().cycle().take(given.len()).collect())
}

fn map(call: &Call<'_>) -> Result<ArrayRef, String> {
    let side = |from: usize| Pool::new(&call.args.iter().skip(from).step_by(2).collect::<Vec<_>>());
    let (keys, values) = (side(0)?, side(1)?);
    let mut pairs = Pairs::new(call.rows);
    for row in 0..call.rows as u32 {
        for (key, value) in keys.starts.iter().zip(&values.starts) {
            pairs.push(key + row, value + row);
        }
        pairs.close();
    }
    pairs.finish(&keys, &values, call.result)
}

fn row(call: &Call<'_>) -> Result<ArrayRef, String> {
    let DataType::Struct(fields) = call.result else { return Err("not a row".into()) };
    let made = StructArray::try_new_with_length(fields.clone(), call.args.to_vec(), None, call.rows);
    Ok(Arc::new(made.map_err(|e| e.to_string())?))
}

/// Pairs of keys and values of two pools, row by row. The last value of a key counts.
pub struct Pairs {
    pairs: Vec<(u32, u32)>,
    ends: Vec<usize>,
    valid: Vec<bool>,
    /// A key that comes twice refuses its row.
    unique: bool,
}

impl Pairs {
    pub fn new(rows: usize) -> Pairs {
        Pairs { pairs: Vec::new(), ends: Vec::with_capacity(rows), valid: Vec::with_capacity(rows), unique: false }
    }
    /// Where Flink would keep two entries with one key, which no map here can hold.
    pub fn unique(self) -> Pairs {
        Pairs { unique: true, ..self }
    }
    pub fn push(&mut self, key: u32, value: u32) {
        self.pairs.push((key, value));
    }
    pub fn close(&mut self) {
        self.ends.push(self.pairs.len());
        self.valid.push(true);
    }
    pub fn null(&mut self) {
        self.ends.push(self.pairs.len());
        self.valid.push(false);
    }

    pub fn finish(self, keys: &Pool, values: &Pool, result: &DataType) -> Result<ArrayRef, String> {
        let wrong = |e: arrow::error::ArrowError| e.to_string();
        let (DataType::Map(entries, sorted), Some(_)) = (result, map_types(result)) else { return Err("not a map".into()) };
        let DataType::Struct(parts) = entries.data_type() else { return Err("not a map".into()) };
        let bytes = keys.keys();
        let (mut kept_keys, mut kept_values): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        let mut offsets = vec![0i32];
        let mut from = 0;
        let mut at_of: std::collections::HashMap<&[u8], usize> = std::collections::HashMap::new();
        for end in &self.ends {
            at_of.clear();
            for &(key, value) in &self.pairs[from..*end] {
                match at_of.entry(bytes.get(key as usize)) {
                    std::collections::hash_map::Entry::Occupied(_) if self.unique => {
                        return Err("a key that comes twice is not supported".into());
                    }
                    std::collections::hash_map::Entry::Occupied(at) => kept_values[*at.get()] = value,
                    std::collections::hash_map::Entry::Vacant(at) => {
                        at.insert(kept_keys.len());
                        kept_keys.push(key);
                        kept_values.push(value);
                    }
                }
            }
            from = *end;
            offsets.push(i32::try_from(kept_keys.len()).map_err(|_| "too many pairs")?);
        }
        let keys = take(&keys.elements, &UInt32Array::from(kept_keys), None).and_then(map_keys::wrap).map_err(wrong)?;
        let values = take(&values.elements, &UInt32Array::from(kept_values), None).map_err(wrong)?;
        let pairs = StructArray::try_new(parts.clone(), vec![keys, values], None).map_err(wrong)?;
        let nulls = Some(arrow::buffer::NullBuffer::from(self.valid)).filter(|n| n.null_count() > 0);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, pairs, nulls, *sorted).map_err(wrong)?))
    }
}
