//! JSON_OBJECT, JSON_ARRAY and JSON_STRING: JSON of values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::value::Json;
use crate::format::number_text::{write_decimal_plain, write_f64};
use crate::format::time_text::{TimestampStandard, ZoneSuffix, write_timestamp};
use crate::map_keys;
use crate::types::sql_name;

/// The names of the calls. Their first argument is how they take NULLs (`N` to write them, `A` to leave them out), followed by
/// `j` for each value that is JSON already and `v` for each other.
pub const OBJECT: &str = "(json_object)";
pub const ARRAY: &str = "(json_array)";
const STRING: &str = "json_string";

pub fn udfs() -> impl Iterator<Item = ScalarUDF> {
    [OBJECT, ARRAY, STRING]
        .into_iter()
        .map(|name| ScalarUDF::from(Make { name, signature: Signature::user_defined(Volatility::Immutable) }))
}

/// The JSON text of an expression's value, for aggregates of JSON.
pub fn text_of(expression: Expr) -> Expr {
    ScalarUDF::from(Make { name: STRING, signature: Signature::user_defined(Volatility::Immutable) }).call(vec![expression])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Make {
    name: &'static str,
    signature: Signature,
}

/// True if values of the type have a form in JSON.
fn is_writable(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => is_writable(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|f| is_writable(f.data_type())),
        DataType::Map(..) => map_keys::types(data_type).is_some_and(|(key, value)| *key == DataType::Utf8 && is_writable(value)),
        DataType::Null | DataType::Boolean | DataType::Utf8 | DataType::Timestamp(..) => true,
        other => other.is_numeric(),
    }
}

impl ScalarUDFImpl for Make {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let title = self.name.trim_matches(['(', ')']).to_uppercase();
        if self.name == STRING && given.len() != 1 {
            return plan_err!("'{title}' takes 1 argument, not {}", given.len());
        }
        if let Some(other) = given.iter().find(|t| !is_writable(t)) {
            return plan_err!("'{title}' does not take a value of type {}: CAST it to STRING", sql_name(other));
        }
        Ok(given.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let mut out = StringBuilder::with_capacity(args.number_rows, args.number_rows * 32);
        for row in 0..args.number_rows {
            let made = match self.name {
                STRING if arrays[0].is_null(row) => Ok(None),
                STRING => of(&arrays[0], row).map(Some),
                OBJECT => joined(&arrays, row, Whole::Object).map(Some),
                _ => joined(&arrays, row, Whole::Array).map(Some),
            };
            match made {
                Ok(json) => out.append_option(json.map(|json| json.written())),
                Err(reason) => return exec_err!("{}: {reason}", self.name.trim_matches(['(', ')']).to_uppercase()),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

/// What is made of parts.
#[derive(Clone, Copy)]
enum Whole {
    /// Of names and values.
    Object,
    /// Of values.
    Array,
}

fn joined(args: &[ArrayRef], row: usize, whole: Whole) -> std::result::Result<Json, String> {
    let Some((flags, args)) = args.split_first() else { return Err("no arguments".into()) };
    let flags = flags.as_string::<i32>().value(row).as_bytes();
    let keep_nulls = flags.first() == Some(&b'N');
    let (mut members, mut elements) = (Vec::new(), Vec::new());
    let columns = match whole {
        Whole::Object => 2,
        Whole::Array => 1,
    };
    for (parts, flag) in args.chunks(columns).zip(&flags[1..]) {
        let Some((value, name)) = parts.split_last() else { continue };
        let json = match value.is_null(row) {
            true if keep_nulls => Json::Null,
            true => continue,
            false if *flag == b'j' => {
                let text = value.as_string::<i32>().value(row);
                Json::read(text).ok_or_else(|| format!("'{text}' is not JSON"))?
            }
            false => of(value, row)?,
        };
        match name {
            [name] if name.is_null(row) => return Err("a member has no name: its KEY is NULL".into()),
            [name] => Json::set(&mut members, name.as_string::<i32>().value(row).to_string(), json),
            _ => elements.push(json),
        }
    }
    Ok(match whole {
        Whole::Object => Json::Object(members),
        Whole::Array => Json::Array(elements),
    })
}

/// The JSON of a value.
fn of(array: &ArrayRef, row: usize) -> std::result::Result<Json, String> {
    if array.is_null(row) {
        return Ok(Json::Null);
    }
    let number = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        write(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    // A FLOAT is widened, and both are written as a BigDecimal of their text.
    let floating = |value: f64| {
        let text = number(&|out| write_f64(out, value));
        Json::read(&text).unwrap_or(Json::Text(text))
    };
    let time = |value: i64, unit: TimeUnit, suffix: ZoneSuffix| {
        Json::Text(number(&|out| write_timestamp(out, value, unit, suffix, TimestampStandard::Iso8601)))
    };
    Ok(match array.data_type() {
        DataType::Boolean => Json::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Json::Integer(array.as_primitive::<Int8Type>().value(row).to_string()),
        DataType::Int16 => Json::Integer(array.as_primitive::<Int16Type>().value(row).to_string()),
        DataType::Int32 => Json::Integer(array.as_primitive::<Int32Type>().value(row).to_string()),
        DataType::Int64 => Json::Integer(array.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Float32 => floating(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => floating(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            let value = array.as_primitive::<Decimal128Type>().value(row);
            Json::Decimal(number(&|out| write_decimal_plain(out, value, i32::from(*scale))))
        }
        DataType::Utf8 => Json::Text(array.as_string::<i32>().value(row).to_string()),
        DataType::Timestamp(unit, zone) => {
            let value = match unit {
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row),
                TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(row),
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
                TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row),
            };
            time(value, *unit, ZoneSuffix::of(zone.as_ref()))
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Json::Array((0..items.len()).map(|at| of(&items, at)).collect::<std::result::Result<_, _>>()?)
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members = fields.iter().zip(columns).map(|(f, c)| Ok((f.name().clone(), of(c, row)?)));
            Json::Object(members.collect::<std::result::Result<_, String>>()?)
        }
        DataType::Map(..) => {
            let pairs = array.as_map().value(row);
            let (keys, values) = (map_keys::of_entries(&pairs).as_string::<i32>(), pairs.column(1));
            if keys.null_count() > 0 {
                return Err("a MAP with NULL as a key has no form in JSON".into());
            }
            let members = (0..pairs.len()).map(|at| Ok((keys.value(at).to_string(), of(values, at)?)));
            Json::Object(members.collect::<std::result::Result<_, String>>()?)
        }
        other => return Err(format!("{} has no form in JSON", sql_name(other))),
    })
}
