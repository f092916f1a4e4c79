//! Between ARRAYs, MAPs and ROWs: each value inside is cast to the type in its place.
//!
//! Fields of a ROW are cast by position, whatever their names. A value inside that cannot be read
//! refuses its row, or makes the whole NULL under TRY_CAST.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::DataType;

use super::{Type, Unreadable, convert_inside};
use crate::sql::functions::nested::lists::{reached, row_fields};
use crate::types::nested::is_multiset;

/// True if there is a cast from a nested type.
pub(crate) fn castable(from: &DataType, to: &DataType) -> bool {
    let inside = |from: &DataType, to: &DataType| from == to || super::castable(from, to);
    match (from, to) {
        (DataType::List(item), DataType::Utf8) => inside(item.data_type(), to),
        (DataType::Struct(fields), DataType::Utf8) => {
            fields.iter().all(|f| inside(f.data_type(), to))
        }
        (DataType::Map(entries, _), DataType::Utf8) => inside(entries.data_type(), to),
        (DataType::List(a), DataType::List(b)) => inside(a.data_type(), b.data_type()),
        (DataType::Map(a, _), DataType::Map(b, _)) => {
            is_multiset(from) == is_multiset(to) && inside(a.data_type(), b.data_type())
        }
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| inside(a.data_type(), b.data_type()))
        }
        _ => false,
    }
}

pub fn cast(array: &ArrayRef, to: &Type, unreadable: Unreadable) -> Result<ArrayRef, String> {
    match nested(array, &to.data_type) {
        Err(_) if unreadable == Unreadable::IsNull => {
            // Row by row: those that cannot be read are NULL.
            let row = |row| {
                nested(&array.slice(row, 1), &to.data_type)
                    .unwrap_or_else(|_| new_null_array(&to.data_type, 1))
            };
            let rows: Vec<ArrayRef> = (0..array.len()).map(row).collect();
            concat(&rows.iter().map(|r| &**r).collect::<Vec<_>>()).map_err(|e| e.to_string())
        }
        done => done,
    }
}

fn nested(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    let wrong = |e: arrow::error::ArrowError| e.to_string();
    match (array.data_type(), to) {
        (DataType::List(_), DataType::List(item)) => {
            let (values, offsets) = reached(array.as_list());
            let values = convert_inside(&values, item.data_type())?;
            Ok(Arc::new(
                ListArray::try_new(item.clone(), offsets, values, array.nulls().cloned())
                    .map_err(wrong)?,
            ))
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let map = array.as_map();
            let DataType::Struct(parts) = entries.data_type() else {
                return Err("a map has entries".into());
            };
            let columns = map
                .entries()
                .columns()
                .iter()
                .zip(parts)
                .map(|(c, part)| convert_inside(c, part.data_type()));
            let pairs =
                StructArray::try_new(parts.clone(), columns.collect::<Result<_, _>>()?, None)
                    .map_err(wrong)?;
            let offsets = map.offsets().clone();
            Ok(Arc::new(
                MapArray::try_new(entries.clone(), offsets, pairs, array.nulls().cloned(), *sorted)
                    .map_err(wrong)?,
            ))
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let columns = row_fields(array.as_struct());
            let columns =
                columns.iter().zip(fields).map(|(c, field)| convert_inside(c, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let made = StructArray::try_new_with_length(
                fields.clone(),
                columns,
                array.nulls().cloned(),
                array.len(),
            );
            Ok(Arc::new(made.map_err(wrong)?))
        }
        (from, to) => Err(format!("cannot cast {from} to {to}")),
    }
}
