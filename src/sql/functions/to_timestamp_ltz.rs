//! TO_TIMESTAMP_LTZ(number, precision): a point in time from epoch seconds (precision 0),
//! milliseconds (3) and so on; and TO_TIMESTAMP_LTZ(text[, format[, zone]]), a local time of the
//! zone, which is UTC if none is given.
//!
//! What always holds: a number before the year 0 or beyond the year 9999 gives NULL, so that one in
//! the wrong unit moves no watermark. From BIGINT milliseconds nothing is computed: the values are
//! the timestamps.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowTimestampType, DataType, Decimal128Type, Field, FieldRef, Float64Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::temporal::read_timestamp;
use crate::time::zone::Zone;
use crate::types::decimal::pow10;
use crate::types::sql_name;

/// The first and the last second that a number may mean: 0000-01-01 00:00:00 and 9999-12-31
/// 23:59:59.
const SECONDS: (i64, i64) = (-62_167_219_200, 253_402_300_799);

pub(crate) fn udf() -> ScalarUDF {
    ScalarUDF::from(ToTimestampLtz { signature: Signature::user_defined(Volatility::Immutable) })
}

fn result(precision: u32) -> DataType {
    let unit = match precision {
        0..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    };
    DataType::Timestamp(unit, Some("UTC".into()))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToTimestampLtz {
    signature: Signature,
}

impl ScalarUDFImpl for ToTimestampLtz {
    fn name(&self) -> &str {
        "to_timestamp_ltz"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [DataType::Utf8] | [DataType::Utf8, DataType::Utf8] => Ok(arguments.to_vec()),
            [number] | [number, _] if number.is_integer() || number.is_null() => {
                // The precision has to stay a constant.
                let precision = arguments.get(1).map(|_| DataType::Int32);
                Ok(std::iter::once(DataType::Int64).chain(precision).collect())
            }
            [number] | [number, _] if number.is_numeric() => {
                let number = if number.is_floating() { DataType::Float64 } else { number.clone() };
                let precision = arguments.get(1).map(|_| DataType::Int32);
                Ok(std::iter::once(number).chain(precision).collect())
            }
            [text, format, zone]
                if [text, format, zone].iter().all(|t| **t == DataType::Utf8 || t.is_null()) =>
            {
                Ok(vec![DataType::Utf8; 3])
            }
            [other] | [other, _] => {
                plan_err!(
                    "'TO_TIMESTAMP_LTZ' takes a number and a precision of 0 to 9, or text, not {}",
                    sql_name(other)
                )
            }
            _ => plan_err!(
                "'TO_TIMESTAMP_LTZ' takes a number and a precision of 0 to 9, or text and its format"
            ),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(result(3))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let precision = match (args.arg_fields[0].data_type(), args.scalar_arguments.get(1)) {
            (DataType::Utf8, _) => {
                if let Some(Some(ScalarValue::Utf8(Some(zone)))) = args.scalar_arguments.get(2)
                    && let Err(reason) = Zone::named(zone)
                {
                    return plan_err!("{reason}");
                }
                3
            }
            (_, None) => 3,
            (_, Some(Some(constant))) => precision(constant)?,
            (_, Some(None)) => {
                return plan_err!("the precision of 'TO_TIMESTAMP_LTZ' must be a constant");
            }
        };
        Ok(Arc::new(Field::new(self.name(), result(precision), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let first = args.args[0].to_array(args.number_rows)?;
        if *first.data_type() == DataType::Utf8 {
            let others = args
                .args
                .iter()
                .skip(1)
                .map(|a| a.to_array(args.number_rows))
                .collect::<Result<Vec<_>>>()?;
            let others: Vec<&StringArray> = others.iter().map(|a| a.as_string()).collect();
            return of_text(first.as_string(), &others);
        }
        let precision = match args.args.get(1) {
            None => 3,
            Some(ColumnarValue::Scalar(constant)) => precision(constant)?,
            Some(_) => return exec_err!("the precision of TO_TIMESTAMP_LTZ must be a constant"),
        };
        let array: ArrayRef = match precision {
            0..=3 => Arc::new(
                of_numbers::<TimestampMillisecondType>(&first, precision, 3)?
                    .with_data_type(result(precision)),
            ),
            4..=6 => Arc::new(
                of_numbers::<TimestampMicrosecondType>(&first, precision, 6)?
                    .with_data_type(result(precision)),
            ),
            _ => Arc::new(
                of_numbers::<TimestampNanosecondType>(&first, precision, 9)?
                    .with_data_type(result(precision)),
            ),
        };
        Ok(ColumnarValue::Array(array))
    }
}

/// Numbers that count units of `precision` digits after the second, as a column whose type has
/// `digits`.
fn of_numbers<T: ArrowTimestampType>(
    numbers: &ArrayRef,
    precision: u32,
    digits: u32,
) -> Result<PrimitiveArray<T>> {
    let per_second = 10i128.pow(digits);
    // Nanoseconds have fewer years than these: what is more than 64 bits gives NULL too.
    let clamped = |ticks: i128| ticks.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    let bounds = clamped(i128::from(SECONDS.0) * per_second)
        ..=clamped((i128::from(SECONDS.1) + 1) * per_second - 1);
    let held = |ticks: i128| i64::try_from(ticks).ok().filter(|ticks| bounds.contains(ticks));
    let up = 10i128.pow(digits - precision);
    Ok(match numbers.data_type() {
        DataType::Float64 => {
            // The cast holds what is too large at the ends of 128 bits, which are out of bounds.
            let number =
                |v: f64| if v.is_nan() { None } else { held((v * up as f64).floor() as i128) };
            numbers.as_primitive::<Float64Type>().unary_opt(number)
        }
        DataType::Decimal128(_, scale) => {
            let down = pow10(u32::from(scale.unsigned_abs()));
            numbers
                .as_primitive::<Decimal128Type>()
                .unary_opt(|v| (v / down).checked_mul(up).and_then(held))
        }
        _ => {
            let numbers = cast(numbers, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            let plain = precision == digits && numbers.values().iter().all(|v| bounds.contains(v));
            if plain {
                PrimitiveArray::new(numbers.values().clone(), numbers.nulls().cloned())
            } else {
                numbers.unary_opt(|v| held(i128::from(v) * up))
            }
        }
    })
}

fn precision(constant: &ScalarValue) -> Result<u32> {
    let number = match constant {
        ScalarValue::Int64(Some(p)) => *p,
        ScalarValue::Int32(Some(p)) => i64::from(*p),
        _ => -1,
    };
    match u32::try_from(number) {
        Ok(p @ 0..=9) => Ok(p),
        _ => plan_err!("the precision of 'TO_TIMESTAMP_LTZ' must be a constant from 0 to 9"),
    }
}

/// `others`: formats and zones, if there are any. A zone that is none gives NULL.
fn of_text(texts: &StringArray, others: &[&StringArray]) -> Result<ColumnarValue> {
    let read = |row: usize| {
        if texts.is_null(row) || others.iter().any(|a| a.is_null(row)) {
            return Ok(None);
        }
        let local = read_timestamp(texts.value(row), others.first().map(|f| f.value(row)))?;
        Ok(match (local, others.get(1).map(|zones| Zone::named(zones.value(row)))) {
            (Some(local), Some(Ok(Some(zone)))) => Some(zone.instant(local)),
            (_, Some(Err(_))) => None,
            (local, _) => local,
        })
    };
    let millis: std::result::Result<PrimitiveArray<TimestampMillisecondType>, String> =
        (0..texts.len()).map(read).collect();
    match millis {
        Ok(millis) => Ok(ColumnarValue::Array(Arc::new(millis.with_data_type(result(3))))),
        Err(reason) => exec_err!("TO_TIMESTAMP_LTZ: {reason}"),
    }
}
