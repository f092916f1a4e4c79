//! What becomes of `MAP[NULL, 1]` in a JSON sink? `json.map-null-key.mode` of its table says it.
//!
//! [`written`] puts a call around each column of an INSERT that has maps, at any depth: it refuses
//! the row (FAIL), leaves out the entry (DROP), or gives the key its text (LITERAL). Called by
//! `bind`, and by `connect` to check the options. What always holds: no NULL key reaches the format
//! `json` of a table; elsewhere NULL is a key like others.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, StringArray, StructArray, UInt32Array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion_common::{Result, exec_err};
use datafusion_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::catalog::Table;
use crate::map_keys;

pub(crate) const MODE: &str = "json.map-null-key.mode";
pub(crate) const LITERAL: &str = "json.map-null-key.literal";

/// `json.map-null-key.mode` with its literal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum NullKeys {
    Fail,
    Drop,
    Literal(String),
}

impl NullKeys {
    /// The mode of a table's options, or what is wrong with it.
    pub fn of(options: &BTreeMap<String, String>) -> std::result::Result<NullKeys, String> {
        match options.get(MODE).map(|mode| mode.to_uppercase()).as_deref() {
            None | Some("FAIL") => Ok(NullKeys::Fail),
            Some("DROP") => Ok(NullKeys::Drop),
            Some("LITERAL") => Ok(NullKeys::Literal(
                options.get(LITERAL).cloned().unwrap_or_else(|| "null".into()),
            )),
            Some(other) => Err(format!("'{MODE}' is FAIL, DROP or LITERAL, not '{other}'")),
        }
    }
}

/// A column of an INSERT with the keys that its table writes.
pub fn written(column: Expr, data_type: &DataType, target: &Table) -> Expr {
    let is_json = target.options.get("format").is_some_and(|format| format == "json");
    if !is_json || !map_keys::has_maps(data_type) {
        return column;
    }
    // An option that is wrong is refused with the table.
    let mode = NullKeys::of(&target.options).unwrap_or(NullKeys::Fail);
    ScalarUDF::from(Written { mode, signature: Signature::user_defined(Volatility::Immutable) })
        .call(vec![column])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Written {
    mode: NullKeys,
    signature: Signature,
}

impl ScalarUDFImpl for Written {
    fn name(&self) -> &str {
        "(written_keys)"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arguments.to_vec())
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [column] = args.args.as_slice() else {
            return exec_err!("one column is written at a time");
        };
        match rewritten(&column.to_array(args.number_rows)?, &self.mode) {
            Ok(column) => Ok(ColumnarValue::Array(column)),
            Err(Refused::NullKey) => exec_err!(
                "a MAP with NULL as a key is not written; '{MODE}' may be DROP or LITERAL"
            ),
            Err(Refused::Arrow(e)) => Err(e.into()),
        }
    }
}

enum Refused {
    NullKey,
    Arrow(ArrowError),
}

impl From<ArrowError> for Refused {
    fn from(error: ArrowError) -> Refused {
        Refused::Arrow(error)
    }
}

/// Values with other keys in their maps; the same column where none is NULL.
fn rewritten(column: &ArrayRef, mode: &NullKeys) -> std::result::Result<ArrayRef, Refused> {
    if !map_keys::has_maps(column.data_type()) {
        return Ok(column.clone());
    }
    let same = |old: &ArrayRef, new: &ArrayRef| Arc::ptr_eq(old, new);
    Ok(match column.data_type() {
        DataType::List(item) => {
            let list = column.as_list::<i32>();
            let values = rewritten(list.values(), mode)?;
            match same(list.values(), &values) {
                true => column.clone(),
                false => Arc::new(ListArray::try_new(
                    item.clone(),
                    list.offsets().clone(),
                    values,
                    list.nulls().cloned(),
                )?),
            }
        }
        DataType::Struct(fields) => {
            let old = column.as_struct().columns();
            let new = old
                .iter()
                .map(|c| rewritten(c, mode))
                .collect::<std::result::Result<Vec<_>, _>>()?;
            match old.iter().zip(&new).all(|(old, new)| same(old, new)) {
                true => column.clone(),
                false => Arc::new(StructArray::try_new_with_length(
                    fields.clone(),
                    new,
                    column.nulls().cloned(),
                    column.len(),
                )?),
            }
        }
        DataType::Map(field, sorted) => {
            let map = column.as_map();
            let values = rewritten(map.values(), mode)?;
            let keys = map_keys::keys(map);
            if keys.null_count() == 0 && same(map.values(), &values) {
                return Ok(column.clone());
            }
            let (keys, values, offsets) = entries(map, keys, values, mode)?;
            let DataType::Struct(parts) = field.data_type() else { return Ok(column.clone()) };
            let pairs =
                StructArray::try_new(parts.clone(), vec![map_keys::wrap(keys)?, values], None)?;
            Arc::new(MapArray::try_new(
                field.clone(),
                offsets,
                pairs,
                map.nulls().cloned(),
                *sorted,
            )?)
        }
        _ => column.clone(),
    })
}

type Entries = (ArrayRef, ArrayRef, OffsetBuffer<i32>);

/// The entries of maps without NULL as a key. Of entries with one key the last one counts.
fn entries(
    map: &MapArray,
    keys: &ArrayRef,
    values: ArrayRef,
    mode: &NullKeys,
) -> std::result::Result<Entries, Refused> {
    let literal = match mode {
        NullKeys::Literal(text) => Some(text.as_str()),
        NullKeys::Fail | NullKeys::Drop => None,
    };
    let texts = keys.as_string_opt::<i32>();
    let is_literal = |at: usize| {
        texts.is_some_and(|texts| texts.is_valid(at) && Some(texts.value(at)) == literal)
    };
    let (mut kept, mut ends) = (Vec::with_capacity(keys.len()), vec![0]);
    for row in 0..map.len() {
        let all = map.offsets()[row] as usize..map.offsets()[row + 1] as usize;
        let reached = if map.is_valid(row) { all } else { 0..0 };
        if *mode == NullKeys::Fail && reached.clone().any(|at| keys.is_null(at)) {
            return Err(Refused::NullKey);
        }
        let is_named = |at: usize| literal.is_some() && (keys.is_null(at) || is_literal(at));
        let last_named = reached.clone().rev().find(|&at| is_named(at));
        let stays = |&at: &usize| Some(at) == last_named || keys.is_valid(at) && !is_named(at);
        kept.extend(reached.filter(stays).map(|at| at as u32));
        ends.push(kept.len() as i32);
    }
    let kept = UInt32Array::from(kept);
    let keys = take(keys, &kept, None)?;
    let keys: ArrayRef = match (literal, keys.as_string_opt::<i32>()) {
        (Some(literal), Some(texts)) => {
            Arc::new(texts.iter().map(|key| Some(key.unwrap_or(literal))).collect::<StringArray>())
        }
        _ => keys,
    };
    Ok((keys, take(&values, &kept, None)?, OffsetBuffer::new(ScalarBuffer::from(ends))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::nested::{array_of, map_of};
    use arrow::array::Int32Array;
    use arrow::util::display::array_value_to_string;

    /// Maps of text to INT, the last of them inside an array.
    fn column(rows: &[&[(Option<&str>, i32)]]) -> ArrayRef {
        let pairs: Vec<(Option<&str>, i32)> =
            rows.iter().flat_map(|row| row.iter().copied()).collect();
        let keys: ArrayRef = Arc::new(pairs.iter().map(|(key, _)| *key).collect::<StringArray>());
        let values: ArrayRef =
            Arc::new(pairs.iter().map(|(_, value)| Some(*value)).collect::<Int32Array>());
        let DataType::Map(field, _) = map_of(DataType::Utf8, DataType::Int32) else {
            panic!("a map")
        };
        let DataType::Struct(parts) = field.data_type() else { panic!("entries") };
        let entries = StructArray::new(
            parts.clone(),
            vec![map_keys::wrap(keys).expect("keys"), values],
            None,
        );
        let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.len()));
        Arc::new(MapArray::new(field, offsets, entries, None, false))
    }

    fn text(column: &ArrayRef) -> Vec<String> {
        let shown = map_keys::shown(column).expect("shown");
        (0..shown.len()).map(|row| array_value_to_string(&shown, row).expect("text")).collect()
    }

    #[test]
    fn each_mode_writes_its_keys() {
        let rows: [&[(Option<&str>, i32)]; 4] = [
            &[(Some("a"), 1), (None, 2)],
            &[],
            &[(None, 3), (Some("none"), 4), (None, 5)],
            &[(None, 6), (Some("none"), 7)],
        ];
        let maps = column(&rows);
        let DataType::List(item) = array_of(maps.data_type().clone()) else { panic!("a list") };
        let inside: ArrayRef =
            Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([1, 3]), maps.clone(), None));
        let of = |mode: &NullKeys, column: &ArrayRef| {
            rewritten(column, mode).ok().map(|column| text(&column))
        };
        assert_eq!(
            of(&NullKeys::Drop, &maps),
            Some(["{a: 1}", "{}", "{none: 4}", "{none: 7}"].map(String::from).into())
        );
        let literal = NullKeys::Literal("none".into());
        assert_eq!(
            of(&literal, &maps),
            Some(["{a: 1, none: 2}", "{}", "{none: 5}", "{none: 7}"].map(String::from).into())
        );
        assert_eq!(
            of(&literal, &inside),
            Some(["[{a: 1, none: 2}]", "[{}, {none: 5}, {none: 7}]"].map(String::from).into())
        );
        assert_eq!((of(&NullKeys::Fail, &maps), of(&NullKeys::Fail, &inside)), (None, None));
        let whole = column(&[&[(Some("a"), 1)]]);
        assert!(rewritten(&whole, &NullKeys::Fail).is_ok_and(|same| Arc::ptr_eq(&same, &whole)));
    }

    #[test]
    fn modes_in_any_case_and_unknown_ones() {
        let of = |options: &[(&str, &str)]| {
            NullKeys::of(
                &options.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect(),
            )
        };
        assert_eq!(of(&[]), Ok(NullKeys::Fail));
        assert_eq!(of(&[(MODE, "drop")]), Ok(NullKeys::Drop));
        assert_eq!(of(&[(MODE, "Literal")]), Ok(NullKeys::Literal("null".into())));
        assert_eq!(
            of(&[(MODE, "LITERAL"), (LITERAL, "none")]),
            Ok(NullKeys::Literal("none".into()))
        );
        assert!(of(&[(MODE, "SKIP")]).is_err());
    }
}
