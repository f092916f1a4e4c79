//! `a[i]`, `m[k]`, CARDINALITY, ELEMENT, and comparison of nested values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Int32Type};

use super::{element, is_comparable, meet};
use crate::sql::functions::arity::exactly;
use crate::sql::functions::nested::definition::{Call, Definition};
use crate::sql::functions::nested::lists::{Pool, pick, row_fields};
use crate::state::key::{KeyBuf, encode_keys};
use crate::types::nested::{is_multiset, map_types};
use crate::{floats, map_keys};

/// `a[i]` and `m[k]`.
pub const ELEMENT: &str = "(item)";

pub const ALL: [Definition; 3] = [
    Definition {
        name: ELEMENT,
        takes: exactly(2),
        arguments: |given| {
            if let Some((key, _)) = map_types(&given[0]) {
                return Ok(vec![given[0].clone(), key.clone()]);
            }
            element(&given[0]).map_err(|_| "only an ARRAY or a MAP has elements".to_string())?;
            if !(given[1].is_integer() || given[1].is_null()) {
                return Err("an ARRAY is indexed by an INT".into());
            }
            Ok(vec![given[0].clone(), DataType::Int32])
        },
        result: |types| match &types[0] {
            DataType::List(item) => item.data_type().clone(),
            map => map_types(map).map_or(DataType::Null, |(_, value)| value.clone()),
        },
        run: |call| if matches!(call.args[0].data_type(), DataType::List(_)) { array_item(call) } else { map_item(call) },
    },
    Definition {
        name: "cardinality",
        takes: exactly(1),
        arguments: |given| match &given[0] {
            // As in Flink, not those of a MULTISET.
            DataType::List(_) | DataType::Map(..) if !is_multiset(&given[0]) => Ok(given.to_vec()),
            _ => Err("it counts the elements of an ARRAY or a MAP".into()),
        },
        result: |_| DataType::Int32,
        run: |call| {
            let offsets = match call.args[0].data_type() {
                DataType::List(_) => call.list(0).offsets(),
                _ => call.map(0).offsets(),
            };
            let counts = offsets.windows(2).map(|o| o[1] - o[0]).collect::<Vec<_>>();
            Ok(Arc::new(Int32Array::new(counts.into(), call.args[0].nulls().cloned())))
        },
    },
    Definition {
        name: "element",
        takes: exactly(1),
        arguments: |given| element(&given[0]).map(|_| given.to_vec()),
        result: |types| element(&types[0]).cloned().unwrap_or(DataType::Null),
        run: |call| {
            let list = call.list(0);
            let one = |row: usize| match list.value_length(row) {
                _ if list.is_null(row) => Ok(None),
                0 => Ok(None),
                1 => Ok(Some(list.offsets()[row] as u32)),
                n => Err(format!("an ARRAY of one element is wanted, not of {n}")),
            };
            pick(list.values(), (0..call.rows).map(one).collect::<Result<_, _>>()?)
        },
    },
];

/// `a = b` of nested values.
pub const EQUAL_NESTED: Definition = Definition {
    name: "(equal)",
    takes: exactly(2),
    arguments: |given| {
        let both = meet(given)?;
        if is_comparable(&both) { Ok(vec![both; 2]) } else { Err("values of this type cannot be compared".into()) }
    },
    result: |_| DataType::Boolean,
    run: equal,
};

fn array_item(call: &Call<'_>) -> Result<ArrayRef, String> {
    let (list, index) = (call.list(0), call.args[1].as_primitive::<Int32Type>());
    let one = |row: usize| {
        if list.is_null(row) || index.is_null(row) || index.value(row) < 1 || index.value(row) > list.value_length(row) {
            return None;
        }
        Some((list.offsets()[row] + index.value(row) - 1) as u32)
    };
    pick(list.values(), (0..call.rows).map(one).collect())
}

fn map_item(call: &Call<'_>) -> Result<ArrayRef, String> {
    let map = call.map(0);
    let pool = Pool::new(&[&floats::one_zero(map_keys::keys(map)), &floats::one_zero(&call.args[1])])?;
    let keys = pool.keys();
    let one = |row: usize| {
        if map.is_null(row) || call.args[1].is_null(row) || floats::is_nan(&call.args[1], row) {
            return None;
        }
        let wanted = keys.get(pool.starts[1] as usize + row);
        (map.offsets()[row]..map.offsets()[row + 1]).find(|&at| keys.get(at as usize) == wanted).map(|at| at as u32)
    };
    pick(map.values(), (0..call.rows).map(one).collect())
}

/// Whether an array or a map of the row has a NULL in it, at any depth.
fn holes(values: &ArrayRef) -> Vec<bool> {
    let any = |elements: &ArrayRef, offsets: &OffsetBuffer<i32>| {
        let inside = holes(elements);
        let is_hole = |at: usize| elements.is_null(at) || inside[at];
        offsets.windows(2).map(|o| (o[0] as usize..o[1] as usize).any(is_hole)).collect()
    };
    match values.data_type() {
        DataType::List(_) => any(values.as_list::<i32>().values(), values.as_list::<i32>().offsets()),
        DataType::Map(..) => any(values.as_map().values(), values.as_map().offsets()),
        DataType::Struct(_) => {
            let fields: Vec<Vec<bool>> = row_fields(values.as_struct()).iter().map(holes).collect();
            (0..values.len()).map(|row| fields.iter().any(|f| f[row])).collect()
        }
        _ => vec![false; values.len()],
    }
}

/// NULL if a side is. By Flink's rules NULL fields of rows are equal to each other, NULL elements of arrays and maps are not.
fn equal(call: &Call<'_>) -> Result<ArrayRef, String> {
    let never = holes(&call.args[0]);
    let (mut left, mut right) = (KeyBuf::default(), KeyBuf::default());
    encode_keys(&call.args[..1], call.rows, &mut left);
    encode_keys(&call.args[1..], call.rows, &mut right);
    let same = BooleanBuffer::collect_bool(call.rows, |row| left.get(row) == right.get(row) && !never[row]);
    Ok(Arc::new(BooleanArray::new(same, call.valid())))
}
