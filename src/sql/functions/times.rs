//! How do milliseconds become a column of times?
//!
//! Called by `rows` for functions that give a time. What always holds: a value that the type cannot
//! hold refuses its row, and so does one whose day a DATE does not count.

use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, Time32MillisecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use crate::time::MS_PER_DAY;
use crate::types::sql_name;

/// Milliseconds as values of a temporal type, with the nanoseconds below them.
pub fn times(
    ms: Vec<Option<i64>>,
    below_ns: impl Fn(usize) -> i64,
    to: &DataType,
) -> Result<ArrayRef, String> {
    let out_of_range = || format!("the result is out of the range of {}", sql_name(to));
    if ms.iter().flatten().any(|ms| i32::try_from(ms.div_euclid(MS_PER_DAY)).is_err()) {
        return Err(out_of_range());
    }
    let each = ms.into_iter();
    let finer = |(row, ms): (usize, Option<i64>), per_ms: i64, below: i64| match ms {
        Some(ms) => {
            let value = ms.checked_mul(per_ms).and_then(|v| v.checked_add(below_ns(row) / below));
            value.map(Some).ok_or_else(out_of_range)
        }
        None => Ok(None),
    };
    Ok(match to {
        DataType::Date32 => {
            let days = each.map(|ms| Some(ms?.div_euclid(MS_PER_DAY) as i32));
            Arc::new(days.collect::<PrimitiveArray<Date32Type>>())
        }
        DataType::Time32(_) => Arc::new(
            each.map(|ms| i32::try_from(ms?).ok())
                .collect::<PrimitiveArray<Time32MillisecondType>>(),
        ),
        DataType::Timestamp(TimeUnit::Second, _) => {
            let seconds = each.map(|ms| Some(ms?.div_euclid(1000)));
            Arc::new(
                seconds.collect::<PrimitiveArray<TimestampSecondType>>().with_data_type(to.clone()),
            )
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros =
                each.enumerate().map(|v| finer(v, 1000, 1000)).collect::<Result<Vec<_>, _>>()?;
            Arc::new(
                PrimitiveArray::<TimestampMicrosecondType>::from(micros).with_data_type(to.clone()),
            )
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let nanos =
                each.enumerate().map(|v| finer(v, 1_000_000, 1)).collect::<Result<Vec<_>, _>>()?;
            Arc::new(
                PrimitiveArray::<TimestampNanosecondType>::from(nanos).with_data_type(to.clone()),
            )
        }
        to => Arc::new(
            each.collect::<PrimitiveArray<TimestampMillisecondType>>().with_data_type(to.clone()),
        ),
    })
}
