//! How does a MAP hold NULL as a key, as Flink's does?
//!
//! Keys of an Arrow map are never NULL, so each key of ours is a row of one field, and that may be.
//! Whoever makes or reads the keys of a MAP or a MULTISET goes through here: `sql` for types and
//! functions, the formats, `operator`. What always holds: code that copies, compares or stores maps
//! as a whole need not know.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// The one field of a key. No SQL text is likely to name a field so.
const FIELD: &str = "(key)";

/// The field of the keys of a map.
pub fn field(key: DataType) -> Field {
    Field::new("key", DataType::Struct(one_field(key)), false)
}

fn one_field(key: DataType) -> Fields {
    vec![Field::new(FIELD, key, true)].into()
}

/// The types of a map's keys and values. None of another type.
pub fn types(map: &DataType) -> Option<(&DataType, &DataType)> {
    let DataType::Map(entries, _) = map else { return None };
    let DataType::Struct(parts) = entries.data_type() else { return None };
    let [key, value] = &**parts else { return None };
    let key = match key.data_type() {
        DataType::Struct(fields) if is_key(fields) => fields[0].data_type(),
        plain => plain,
    };
    Some((key, value.data_type()))
}

fn is_key(fields: &Fields) -> bool {
    fields.len() == 1 && fields[0].name() == FIELD
}

/// Keys as a map takes them.
pub(crate) fn wrap(keys: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let length = keys.len();
    let fields = one_field(keys.data_type().clone());
    Ok(Arc::new(StructArray::try_new_with_length(fields, vec![keys], None, length)?))
}

/// A map of ours from one with Arrow's own keys.
pub(crate) fn from_plain(map: &MapArray) -> Result<MapArray, ArrowError> {
    let parts =
        vec![field(map.key_type().clone()), Field::new("value", map.value_type().clone(), true)];
    let entries = StructArray::try_new(
        parts.into(),
        vec![wrap(map.keys().clone())?, map.values().clone()],
        None,
    )?;
    let field = Field::new("entries", entries.data_type().clone(), false);
    MapArray::try_new(Arc::new(field), map.offsets().clone(), entries, map.nulls().cloned(), false)
}

/// The keys of all entries of a map, some of which may be NULL.
pub fn keys(map: &MapArray) -> &ArrayRef {
    unwrapped(map.keys())
}

/// The same of entries that were taken out of a map.
pub(crate) fn of_entries(entries: &StructArray) -> &ArrayRef {
    unwrapped(entries.column(0))
}

fn unwrapped(keys: &ArrayRef) -> &ArrayRef {
    match keys.data_type() {
        DataType::Struct(fields) if is_key(fields) => keys.as_struct().column(0),
        _ => keys,
    }
}

/// A column for people: with the texts of keys as the keys of its maps, NULL among them.
pub fn shown(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !has_maps(column.data_type()) {
        return Ok(column.clone());
    }
    Ok(match column.data_type() {
        DataType::List(item) => {
            let list = column.as_list::<i32>();
            let values = shown(list.values())?;
            let item = item.as_ref().clone().with_data_type(values.data_type().clone());
            Arc::new(ListArray::try_new(
                Arc::new(item),
                list.offsets().clone(),
                values,
                list.nulls().cloned(),
            )?)
        }
        DataType::Struct(fields) => {
            let columns =
                column.as_struct().columns().iter().map(shown).collect::<Result<Vec<_>, _>>()?;
            let typed = |(field, column): (&Arc<Field>, &ArrayRef)| {
                field.as_ref().clone().with_data_type(column.data_type().clone())
            };
            let fields: Vec<Field> = fields.iter().zip(&columns).map(typed).collect();
            Arc::new(StructArray::try_new_with_length(
                fields.into(),
                columns,
                column.nulls().cloned(),
                column.len(),
            )?)
        }
        _ => {
            let map = column.as_map();
            let keys = shown(keys(map))?;
            let options = FormatOptions::default().with_null("NULL");
            let texts = ArrayFormatter::try_new(&keys, &options)?;
            let texts: StringArray =
                (0..keys.len()).map(|at| Some(texts.value(at).to_string())).collect();
            let values = shown(map.values())?;
            let parts = vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", values.data_type().clone(), true),
            ];
            let entries = StructArray::try_new(parts.into(), vec![Arc::new(texts), values], None)?;
            let field = Field::new("entries", entries.data_type().clone(), false);
            Arc::new(MapArray::try_new(
                Arc::new(field),
                map.offsets().clone(),
                entries,
                map.nulls().cloned(),
                false,
            )?)
        }
    })
}

/// True if values of the type are maps or have maps inside.
pub(crate) fn has_maps(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::List(item) => has_maps(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|f| has_maps(f.data_type())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int32Array;
    use arrow::buffer::OffsetBuffer;
    use arrow::compute::{concat, take};

    fn map() -> ArrayRef {
        let keys = wrap(Arc::new(StringArray::from(vec![Some("a"), None, None, Some("b")])))
            .expect("keys");
        let parts = vec![field(DataType::Utf8), Field::new("value", DataType::Int32, true)];
        let values = Arc::new(Int32Array::from(vec![Some(1), Some(2), None, Some(4)]));
        let entries =
            StructArray::try_new(parts.into(), vec![keys, values], None).expect("entries");
        let of = Field::new("entries", entries.data_type().clone(), false);
        Arc::new(
            MapArray::try_new(
                Arc::new(of),
                OffsetBuffer::from_lengths([2, 0, 1, 1]),
                entries,
                None,
                false,
            )
            .expect("a map"),
        )
    }

    #[test]
    fn a_key_may_be_null_and_stays_so() {
        let rows = take(&map(), &arrow::array::UInt32Array::from(vec![2, 0]), None).expect("rows");
        let both = concat(&[&rows, &map()]).expect("rows");
        let nulls: Vec<bool> =
            keys(both.as_map()).as_string::<i32>().iter().map(|key| key.is_none()).collect();
        assert_eq!(nulls, [true, false, true, false, true, true, false]);
        assert_eq!(of_entries(&map().as_map().value(0)).as_string::<i32>().value(0), "a");
        assert_eq!(types(map().data_type()), Some((&DataType::Utf8, &DataType::Int32)));
    }

    #[test]
    fn people_see_null() {
        let shown = shown(&map()).expect("shown");
        let text = ArrayFormatter::try_new(&shown, &FormatOptions::default().with_null("NULL"))
            .expect("text")
            .value(0)
            .to_string();
        assert_eq!(text, "{a: 1, NULL: 2}");
    }
}
