//! TO_TIMESTAMP_LTZ(number, precision): a point in time from epoch seconds (precision 0) or milliseconds (3).
//!
//! From BIGINT milliseconds nothing is computed: the values are the timestamps.

use std::sync::Arc;

use arrow::array::{Array, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMillisecondType};
use datafusion_common::ScalarValue;
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::sql::types::sql_name;

pub fn udf() -> ScalarUDF {
    ScalarUDF::from(ToTimestampLtz { signature: Signature::user_defined(Volatility::Immutable) })
}

fn result() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
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
            [number] | [number, _] if number.is_integer() => {
                // The precision has to stay a constant.
                let precision = arguments.get(1).map(|_| DataType::Int32);
                Ok(std::iter::once(DataType::Int64).chain(precision).collect())
            }
            [other] | [other, _] => {
                plan_err!("'TO_TIMESTAMP_LTZ' takes a BIGINT and a precision of 0 or 3, not {}", sql_name(other))
            }
            _ => plan_err!("'TO_TIMESTAMP_LTZ' takes a number and a precision of 0 or 3"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(result())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let precision = match args.args.get(1) {
            None => 3,
            Some(ColumnarValue::Scalar(ScalarValue::Int64(Some(p)))) => *p,
            Some(ColumnarValue::Scalar(ScalarValue::Int32(Some(p)))) => i64::from(*p),
            Some(_) => return exec_err!("the precision of TO_TIMESTAMP_LTZ must be a constant 0 or 3"),
        };
        let numbers = cast(&args.args[0].to_array(args.number_rows)?, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        let millis: PrimitiveArray<TimestampMillisecondType> = match precision {
            3 => PrimitiveArray::new(numbers.values().clone(), numbers.nulls().cloned()),
            // NULL where the year is beyond what a timestamp holds.
            0 => numbers.iter().map(|v| v.and_then(|s| s.checked_mul(1000))).collect(),
            other => return exec_err!("the precision of TO_TIMESTAMP_LTZ must be 0 or 3, not {other}"),
        };
        Ok(ColumnarValue::Array(Arc::new(millis.with_data_type(result()))))
    }
}
