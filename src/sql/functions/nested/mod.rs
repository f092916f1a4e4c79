//! Functions over ARRAY, MAP, ROW and MULTISET: what may be asked of values that hold others?
//!
//! A family file lists its functions as [`Definition`]s; this file makes DataFusion functions of
//! them. `flink_types` casts the arguments to what [`arguments`] says, by Flink's rules, so that a
//! function sees its own types. What always holds: a function works on whole columns, by computing
//! which elements go where and taking them; the elements of sliced or NULL values are never looked
//! at.

mod access;
mod arrays;
mod constructors;
pub mod definition;
mod field;
pub mod lists;
mod maps;
mod text;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::{Expr, ScalarUDF};

use crate::sql::functions::nested::definition::{Definition, udf};
use crate::state::key::is_key_type;
use crate::types::common::common_type;
use crate::types::nested::map_types;
use crate::types::sql_name;

pub use access::ELEMENT;
pub use constructors::{ARRAY, MAP, ROW};
pub use field::FIELD;

fn families() -> impl Iterator<Item = &'static Definition> {
    let others =
        [&crate::sql::functions::json::ARRAY_QUERY, &crate::sql::functions::printf::PRINTF];
    access::ALL
        .iter()
        .chain([&access::EQUAL_NESTED])
        .chain(&arrays::ALL)
        .chain(&constructors::ALL)
        .chain(&maps::ALL)
        .chain(&text::ALL)
        .chain(others)
}

pub fn all() -> impl Iterator<Item = ScalarUDF> {
    families().map(udf).chain([field::udf()])
}

/// The comparison of two nested values.
pub(crate) fn equal() -> Arc<ScalarUDF> {
    Arc::new(udf(&access::EQUAL_NESTED))
}

/// Refuses what Flink refuses by the value of a constant.
pub fn check(name: &str, args: &[Expr]) -> Result<()> {
    if name == ELEMENT
        && let [_, Expr::Literal(ScalarValue::Int32(Some(index @ ..1)), _)] = args
    {
        return plan_err!("Array element access needs an index starting at 1 but was {index}.");
    }
    Ok(())
}

/// True if values of the type can be told apart and sorted.
pub(crate) fn is_comparable(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => is_comparable(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|f| is_comparable(f.data_type())),
        DataType::Map(..) => {
            map_types(data_type).is_some_and(|(k, v)| is_comparable(k) && is_comparable(v))
        }
        other => is_key_type(other),
    }
}

/// The type of an array's elements.
fn element(data_type: &DataType) -> std::result::Result<&DataType, String> {
    match data_type {
        DataType::List(item) => Ok(item.data_type()),
        other => Err(format!("{} is no ARRAY", sql_name(other))),
    }
}

fn meet(types: &[DataType]) -> std::result::Result<DataType, String> {
    let mut to = DataType::Null;
    for data_type in types {
        to = common_type(&to, data_type).ok_or_else(|| {
            format!("{} and {} have no type in common", sql_name(&to), sql_name(data_type))
        })?;
    }
    if to.is_null() { Err("NULL alone has no type: CAST it".into()) } else { Ok(to) }
}

/// The types that the arguments of a function are cast to; None if the function is none of these.
pub fn arguments(
    name: &str,
    given: &[DataType],
) -> Option<std::result::Result<Vec<DataType>, String>> {
    families().find(|d| d.name == name).map(|d| d.casts(given))
}
