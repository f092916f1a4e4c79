//! The ARRAY functions.
//!
//! Elements are told apart and sorted by their key bytes (`state::key`), NULL first.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array};
use arrow::datatypes::{DataType, Int32Type};

use super::{element, is_comparable, meet};
use crate::floats;
use crate::sql::functions::arity::{Arity, at_least, between, exactly};
use crate::sql::functions::nested::definition::{Call, Definition};
use crate::sql::functions::nested::lists::{Lists, Pool, pick};
use crate::state::key::KeyBuf;
use crate::types::nested::array_of;

type Wanted = Result<Vec<DataType>, String>;

const fn define(
    name: &'static str,
    takes: Arity,
    arguments: fn(&[DataType]) -> Wanted,
    result: fn(&[DataType]) -> DataType,
    run: fn(&Call<'_>) -> Result<ArrayRef, String>,
) -> Definition {
    Definition { name, takes, arguments, result, run }
}

pub const ALL: [Definition; 16] = [
    define("array_append", exactly(2), with_element, same, |c| put(c, NewElement::Back)),
    define("array_prepend", exactly(2), with_element, same, |c| put(c, NewElement::Front)),
    define("array_concat", at_least(1), alike, same, concat),
    define(
        "array_contains",
        exactly(2),
        with_element,
        |_| DataType::Boolean,
        |call| {
            let found = positions(call, NullElement::IsLookedFor)?;
            Ok(Arc::new(found.iter().map(|at| Some(at? > 0)).collect::<BooleanArray>()))
        },
    ),
    define(
        "array_position",
        exactly(2),
        with_element,
        |_| DataType::Int32,
        |call| Ok(Arc::new(positions(call, NullElement::GivesNull)?)),
    ),
    define("array_distinct", exactly(1), comparable, same, |c| sets(c, SetOperation::Distinct)),
    define("array_union", exactly(2), alike, same, |c| sets(c, SetOperation::Union)),
    define("array_except", exactly(2), alike, same, |c| sets(c, SetOperation::Except)),
    define("array_intersect", exactly(2), alike, same, |c| sets(c, SetOperation::Intersect)),
    define("array_max", exactly(1), comparable, element_type, |c| extreme(c, Ordering::Greater)),
    define("array_min", exactly(1), comparable, element_type, |c| extreme(c, Ordering::Less)),
    define("array_remove", exactly(2), with_element, same, remove),
    define(
        "array_reverse",
        exactly(1),
        |given| element(&given[0]).map(|_| given.to_vec()),
        same,
        |call| each(call, |list, row, _, out| out.extend((range(list, row)).rev())),
    ),
    define("array_slice", between(2, 3), with_ints, same, slice),
    define("array_sort", between(1, 3), with_flags, same, sort),
    define(
        "array_join",
        between(2, 3),
        |given| {
            let wanted = vec![array_of(DataType::Utf8), DataType::Utf8, DataType::Utf8];
            match given.iter().zip(&wanted).all(|(g, w)| g == w || g.is_null()) {
                true => Ok(wanted[..given.len()].to_vec()),
                false => Err("it joins an ARRAY of STRING by a STRING".into()),
            }
        },
        |_| DataType::Utf8,
        super::text::join,
    ),
];

fn same(types: &[DataType]) -> DataType {
    types[0].clone()
}

fn element_type(types: &[DataType]) -> DataType {
    element(&types[0]).cloned().unwrap_or(DataType::Null)
}

/// An array whose elements can be compared.
fn comparable(given: &[DataType]) -> Wanted {
    if is_comparable(element(&given[0])?) { Ok(given.to_vec()) } else { Err("its elements cannot be compared".into()) }
}

/// An array and one element; both take the type they have in common.
fn with_element(given: &[DataType]) -> Wanted {
    let of = meet(&[element(&given[0])?.clone(), given[1].clone()])?;
    comparable(&[array_of(of.clone()), of])
}

/// Arrays of one type.
fn alike(given: &[DataType]) -> Wanted {
    let of = meet(given)?;
    comparable(&vec![of; given.len()])
}

fn with_ints(given: &[DataType]) -> Wanted {
    element(&given[0])?;
    if given[1..].iter().any(|t| !t.is_integer() && !t.is_null()) {
        return Err("positions are INTs".into());
    }
    Ok([&given[..1], &vec![DataType::Int32; given.len() - 1]].concat())
}

fn with_flags(given: &[DataType]) -> Wanted {
    comparable(given)?;
    if given[1..].iter().any(|t| !matches!(t, DataType::Boolean | DataType::Null)) {
        return Err("its flags are BOOLEANs".into());
    }
    Ok([&given[..1], &vec![DataType::Boolean; given.len() - 1]].concat())
}

/// The indices of a row's elements.
fn range(list: &arrow::array::ListArray, row: usize) -> std::ops::Range<u32> {
    list.offsets()[row] as u32..list.offsets()[row + 1] as u32
}

/// Makes a list of some of the first array's elements for each row in which no argument is NULL.
fn each(call: &Call<'_>, f: impl Fn(&arrow::array::ListArray, usize, &KeyBuf, &mut Lists)) -> Result<ArrayRef, String> {
    let list = call.list(0);
    let pool = Pool::new(&[list.values()])?;
    let keys = if is_comparable(pool.elements.data_type()) { pool.keys() } else { KeyBuf::default() };
    let valid = call.valid();
    let mut out = Lists::new(call.rows);
    for row in 0..call.rows {
        if valid.as_ref().is_some_and(|v| v.is_null(row)) {
            out.null();
        } else {
            f(list, row, &keys, &mut out);
            out.close();
        }
    }
    out.finish(&pool, call.result)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NewElement {
    Front,
    Back,
}

/// The array with one element more.
fn put(call: &Call<'_>, place: NewElement) -> Result<ArrayRef, String> {
    let list = call.list(0);
    let pool = Pool::new(&[list.values(), &call.args[1]])?;
    let mut out = Lists::new(call.rows);
    for row in 0..call.rows {
        if list.is_null(row) {
            out.null();
            continue;
        }
        let one = pool.starts[1] + row as u32;
        if place == NewElement::Front {
            out.push(one);
        }
        out.extend(range(list, row));
        if place == NewElement::Back {
            out.push(one);
        }
        out.close();
    }
    out.finish(&pool, call.result)
}

fn concat(call: &Call<'_>) -> Result<ArrayRef, String> {
    let lists: Vec<_> = (0..call.args.len()).map(|at| call.list(at)).collect();
    let pool = Pool::new(&lists.iter().map(|l| l.values()).collect::<Vec<_>>())?;
    let valid = call.valid();
    let mut out = Lists::new(call.rows);
    for row in 0..call.rows {
        if valid.as_ref().is_some_and(|v| v.is_null(row)) {
            out.null();
            continue;
        }
        for (list, start) in lists.iter().zip(&pool.starts) {
            out.extend(range(list, row).map(|at| start + at));
        }
        out.close();
    }
    out.finish(&pool, call.result)
}

/// What becomes of an element to look for that is NULL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NullElement {
    /// As any other.
    IsLookedFor,
    GivesNull,
}

/// Where each row's element is in its array, from 1; 0 if it is not. NULL for a NULL array.
fn positions(call: &Call<'_>, null_element: NullElement) -> Result<Int32Array, String> {
    let list = call.list(0);
    let pool = Pool::new(&[&floats::one_zero(list.values()), &floats::one_zero(&call.args[1])])?;
    let keys = pool.keys();
    let one = |row: usize| {
        if list.is_null(row) || null_element == NullElement::GivesNull && call.args[1].is_null(row) {
            return None;
        }
        if call.args[1].is_valid(row) && floats::is_nan(&call.args[1], row) {
            return Some(0);
        }
        let wanted = keys.get(pool.starts[1] as usize + row);
        Some(range(list, row).position(|at| keys.get(at as usize) == wanted).map_or(0, |at| at as i32 + 1))
    };
    Ok((0..call.rows).map(one).collect())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SetOperation {
    /// Of one array.
    Distinct,
    Union,
    Except,
    Intersect,
}

/// The distinct elements of the first array, of both, or of the first by whether the second has them.
fn sets(call: &Call<'_>, operation: SetOperation) -> Result<ArrayRef, String> {
    let first = call.list(0);
    let second = (call.args.len() > 1).then(|| call.list(1));
    let mut columns = vec![first.values()];
    columns.extend(second.map(|l| l.values()));
    let pool = Pool::new(&columns)?;
    let keys = pool.keys();
    let valid = call.valid();
    let mut out = Lists::new(call.rows);
    let mut seen: HashSet<&[u8]> = HashSet::new();
    let mut in_second: HashSet<&[u8]> = HashSet::new();
    for row in 0..call.rows {
        if valid.as_ref().is_some_and(|v| v.is_null(row)) {
            out.null();
            continue;
        }
        seen.clear();
        in_second.clear();
        let others = second.map_or(0..0, |l| range(l, row)).map(|at| pool.starts[1] + at);
        if operation == SetOperation::Union {
            for at in range(first, row).chain(others) {
                if seen.insert(keys.get(at as usize)) {
                    out.push(at);
                }
            }
        } else {
            in_second.extend(others.map(|at| keys.get(at as usize)));
            for at in range(first, row) {
                let key = keys.get(at as usize);
                let is_kept = match operation {
                    SetOperation::Distinct | SetOperation::Union => true,
                    SetOperation::Except => !in_second.contains(key),
                    SetOperation::Intersect => in_second.contains(key),
                };
                if is_kept && seen.insert(key) {
                    out.push(at);
                }
            }
        }
        out.close();
    }
    out.finish(&pool, call.result)
}

/// The element that is not NULL and than which no other is greater, or less.
fn extreme(call: &Call<'_>, than_others: Ordering) -> Result<ArrayRef, String> {
    let list = call.list(0);
    let pool = Pool::new(&[list.values()])?;
    let keys = pool.keys();
    let one = |row: usize| {
        if list.is_null(row) {
            return None;
        }
        let some = range(list, row).filter(|&at| pool.elements.is_valid(at as usize));
        match than_others {
            Ordering::Less => some.min_by_key(|&at| keys.get(at as usize)),
            _ => some.max_by_key(|&at| keys.get(at as usize)),
        }
    };
    pick(&pool.elements, (0..call.rows).map(one).collect())
}

fn remove(call: &Call<'_>) -> Result<ArrayRef, String> {
    let list = call.list(0);
    let pool = Pool::new(&[list.values(), &call.args[1]])?;
    let keys = pool.keys();
    let mut out = Lists::new(call.rows);
    for row in 0..call.rows {
        if list.is_null(row) {
            out.null();
            continue;
        }
        let unwanted = keys.get(pool.starts[1] as usize + row);
        out.extend(range(list, row).filter(|&at| keys.get(at as usize) != unwanted));
        out.close();
    }
    out.finish(&pool, call.result)
}

/// Positions count from 1, or from the end where they are negative; 0 is the first.
fn slice(call: &Call<'_>) -> Result<ArrayRef, String> {
    let ints: Vec<_> = call.args[1..].iter().map(|a| a.as_primitive::<Int32Type>()).collect();
    each(call, |list, row, _, out| {
        let all = range(list, row);
        let length = all.len() as i64;
        let place = |position: i32| match i64::from(position) {
            0 => 0,
            p @ 1.. => p - 1,
            p => length + p,
        };
        let from = place(ints[0].value(row));
        let to = ints.get(1).map_or(length - 1, |end| place(end.value(row)));
        if length > 0 && from <= to && from < length && to >= 0 {
            let (from, to) = (from.max(0) as u32, to.min(length - 1) as u32);
            out.extend(all.start + from..=all.start + to);
        }
    })
}

/// ARRAY_SORT(array [, ascending [, NULLs first]]): NULLs come first where it ascends, if not told.
fn sort(call: &Call<'_>) -> Result<ArrayRef, String> {
    let flags: Vec<_> = call.args[1..].iter().map(|a| a.as_boolean()).collect();
    each(call, |list, row, keys, out| {
        let ascending = flags.first().is_none_or(|f| f.value(row));
        let nulls_first = flags.get(1).map_or(ascending, |f| f.value(row));
        out.extend(range(list, row));
        let values = list.values();
        out.open().sort_by(|&a, &b| {
            let (a, b) = (a as usize, b as usize);
            match (values.is_null(a), values.is_null(b)) {
                (false, false) if ascending => keys.get(a).cmp(keys.get(b)),
                (false, false) => keys.get(b).cmp(keys.get(a)),
                (x, y) if nulls_first => y.cmp(&x),
                (x, y) => x.cmp(&y),
            }
        });
    })
}
