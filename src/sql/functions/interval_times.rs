//! `n * INTERVAL '1' HOUR`: an interval as often as an integer says.
//!
//! `bind` puts it in place of the operator, which DataFusion has not.

use std::sync::Arc;

use arrow::array::{Array, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The name of the function. No SQL text can write it.
pub(crate) const NAME: &str = "(interval_times)";

pub(crate) fn udf() -> ScalarUDF {
    ScalarUDF::from(IntervalTimes { signature: Signature::user_defined(Volatility::Immutable) })
}

fn interval() -> DataType {
    DataType::Interval(IntervalUnit::MonthDayNano)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalTimes {
    signature: Signature,
}

impl ScalarUDFImpl for IntervalTimes {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [number, DataType::Interval(_)] if number.is_integer() => {
                Ok(vec![DataType::Int64, interval()])
            }
            _ => plan_err!("an INTERVAL is multiplied by an integer only"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(interval())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [numbers, lengths] = args.args.as_slice() else {
            return exec_err!("an INTERVAL is multiplied by one number");
        };
        let numbers = cast(&numbers.to_array(args.number_rows)?, &DataType::Int64)?;
        let lengths = lengths.to_array(args.number_rows)?;
        let (numbers, lengths) = (
            numbers.as_primitive::<Int64Type>(),
            lengths.as_primitive::<IntervalMonthDayNanoType>(),
        );
        let each = (0..numbers.len()).map(|row| {
            if numbers.is_null(row) || lengths.is_null(row) {
                return Ok(None);
            }
            match times(numbers.value(row), lengths.value(row)) {
                Some(length) => Ok(Some(length)),
                None => exec_err!("{} times an INTERVAL is too long", numbers.value(row)),
            }
        });
        let out = each.collect::<Result<PrimitiveArray<IntervalMonthDayNanoType>>>()?;
        Ok(ColumnarValue::Array(Arc::new(out)))
    }
}

fn times(number: i64, length: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let months = i32::try_from(number.checked_mul(length.months.into())?).ok()?;
    let days = i32::try_from(number.checked_mul(length.days.into())?).ok()?;
    Some(IntervalMonthDayNano::new(months, days, number.checked_mul(length.nanoseconds)?))
}
