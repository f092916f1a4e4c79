//! ARRAY, MAP, ROW and MULTISET: which Arrow types hold them?
//!
//! Whatever makes a nested type makes it here. What always holds: two types that Flink calls equal
//! are equal Arrow types: fields inside have the names and nullability that the functions here give
//! them, and no metadata but a MULTISET's mark.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};

use crate::map_keys;

/// Metadata of the entries of a map that is a MULTISET.
const MULTISET: &str = "paceline.multiset";

/// ARRAY of a type.
pub(crate) fn array_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", element, true)))
}

/// MAP of two types.
pub(crate) fn map_of(key: DataType, value: DataType) -> DataType {
    DataType::Map(Arc::new(entries(key, value)), false)
}

/// MULTISET of a type: a map of each element to how often it occurs, an INT.
pub(crate) fn multiset_of(element: DataType) -> DataType {
    let mark = HashMap::from([(MULTISET.to_string(), "true".to_string())]);
    DataType::Map(Arc::new(entries(element, DataType::Int32).with_metadata(mark)), false)
}

/// ROW of named types.
pub(crate) fn row_of(fields: impl IntoIterator<Item = (String, DataType)>) -> DataType {
    DataType::Struct(
        fields
            .into_iter()
            .map(|(name, data_type)| Field::new(name, data_type, true))
            .collect::<Fields>(),
    )
}

fn entries(key: DataType, value: DataType) -> Field {
    let fields = vec![map_keys::field(key), Field::new("value", value, true)];
    Field::new("entries", DataType::Struct(fields.into()), false)
}

pub(crate) fn is_multiset(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Map(entries, _) if entries.metadata().contains_key(MULTISET))
}

/// The types of a map's keys and values.
pub(crate) fn map_types(data_type: &DataType) -> Option<(&DataType, &DataType)> {
    map_keys::types(data_type)
}

/// The SQL name of a nested type, given how its parts are called.
pub fn name(data_type: &DataType, of: &dyn Fn(&DataType) -> String) -> Option<String> {
    Some(match data_type {
        DataType::List(item) => format!("ARRAY<{}>", of(item.data_type())),
        DataType::Struct(fields) => {
            let parts: Vec<String> =
                fields.iter().map(|f| format!("`{}` {}", f.name(), of(f.data_type()))).collect();
            format!("ROW<{}>", parts.join(", "))
        }
        map => {
            let (key, value) = map_types(map)?;
            if is_multiset(map) {
                format!("MULTISET<{}>", of(key))
            } else {
                format!("MAP<{}, {}>", of(key), of(value))
            }
        }
    })
}
