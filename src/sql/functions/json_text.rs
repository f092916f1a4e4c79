//! Values as JSON text inside JSON_ARRAYAGG and JSON_OBJECTAGG, as Flink writes them: decimals with all their digits,
//! times with a T.
//!
//! `plan::calls` puts this function around the arguments, so that the aggregates see text alone. What always holds: what is
//! written is valid JSON; NULL stays NULL, for the aggregate to decide.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::format::{number_text, time_text};
use crate::sql::types::sql_name;

/// An expression's value as JSON text.
pub fn of(expression: Expr) -> Expr {
    ScalarUDF::from(JsonText { signature: Signature::user_defined(Volatility::Immutable) }).call(vec![expression])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonText {
    signature: Signature,
}

impl ScalarUDFImpl for JsonText {
    /// No SQL text can write it.
    fn name(&self) -> &str {
        "(json)"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arguments.to_vec())
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [argument] if is_supported(argument) => Ok(DataType::Utf8),
            [argument] => plan_err!("{} inside JSON is not supported yet", sql_name(argument)),
            _ => plan_err!("JSON text is of one value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = args.args.as_slice() else { return exec_err!("JSON text is of one value") };
        let values = argument.to_array(args.number_rows)?;
        let mut out = StringBuilder::with_capacity(values.len(), values.len() * 8);
        let mut text = Vec::new();
        for row in 0..values.len() {
            if values.is_null(row) {
                out.append_null();
                continue;
            }
            text.clear();
            write_value(&values, row, &mut text);
            out.append_value(String::from_utf8_lossy(&text));
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

fn is_supported(data_type: &DataType) -> bool {
    use DataType::{Boolean, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Timestamp, Utf8};
    matches!(data_type, Boolean | Int8 | Int16 | Int32 | Int64 | Float32 | Float64 | Decimal128(..) | Utf8)
        || matches!(data_type, Timestamp(unit, None) if *unit != TimeUnit::Second)
}

/// Appends one value of a supported type.
fn write_value(values: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    macro_rules! integer {
        ($t:ty) => {
            out.extend_from_slice(itoa::Buffer::new().format(values.as_primitive::<$t>().value(row)).as_bytes())
        };
    }
    match values.data_type() {
        DataType::Boolean => out.extend_from_slice(if values.as_boolean().value(row) { b"true" } else { b"false" }),
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::Float32 => {
            let value = values.as_primitive::<Float32Type>().value(row);
            quoted_unless(value.is_finite(), out, |out| number_text::write_f32(out, value));
        }
        DataType::Float64 => {
            let value = values.as_primitive::<Float64Type>().value(row);
            quoted_unless(value.is_finite(), out, |out| number_text::write_f64(out, value));
        }
        DataType::Decimal128(_, scale) => {
            number_text::write_decimal_plain(out, values.as_primitive::<Decimal128Type>().value(row), (*scale).into());
        }
        DataType::Timestamp(unit, _) => {
            let value = match unit {
                TimeUnit::Microsecond => values.as_primitive::<TimestampMicrosecondType>().value(row),
                TimeUnit::Nanosecond => values.as_primitive::<TimestampNanosecondType>().value(row),
                _ => values.as_primitive::<TimestampMillisecondType>().value(row),
            };
            quoted_unless(false, out, |out| time_text::write_timestamp(out, value, *unit, false, true));
        }
        // Text always encodes.
        _ => out.extend_from_slice(serde_json::Value::from(values.as_string::<i32>().value(row)).to_string().as_bytes()),
    }
}

/// JSON has no number for what is not finite, and none for times.
fn quoted_unless(plain: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if !plain {
        out.push(b'"');
    }
    write(out);
    if !plain {
        out.push(b'"');
    }
}
