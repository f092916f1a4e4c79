//! Between DATE, TIME, TIMESTAMP and TIMESTAMP_LTZ.
//!
//! Before 1970 Flink cuts towards zero where one would expect the floor: TIMESTAMP to DATE and to a
//! coarser TIMESTAMP. So do these.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, Time32MillisecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use super::Type;
use crate::format::time_text::ticks_per_second;

/// The raw value of a timestamp.
pub fn ticks(array: &ArrayRef, row: usize) -> i64 {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            array.as_primitive::<TimestampSecondType>().value(row)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            array.as_primitive::<TimestampMillisecondType>().value(row)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().value(row)
        }
        _ => array.as_primitive::<TimestampNanosecondType>().value(row),
    }
}

/// A timestamp array of the type's unit and zone. A value the unit cannot hold is NULL.
pub(crate) fn timestamps(
    values: impl Iterator<Item = Option<i64>>,
    to: &DataType,
) -> Result<ArrayRef, String> {
    let DataType::Timestamp(unit, _) = to else { return Err(format!("{to} is not a timestamp")) };
    Ok(match unit {
        TimeUnit::Second => Arc::new(
            values.collect::<PrimitiveArray<TimestampSecondType>>().with_data_type(to.clone()),
        ),
        TimeUnit::Millisecond => Arc::new(
            values.collect::<PrimitiveArray<TimestampMillisecondType>>().with_data_type(to.clone()),
        ),
        TimeUnit::Microsecond => Arc::new(
            values.collect::<PrimitiveArray<TimestampMicrosecondType>>().with_data_type(to.clone()),
        ),
        TimeUnit::Nanosecond => Arc::new(
            values.collect::<PrimitiveArray<TimestampNanosecondType>>().with_data_type(to.clone()),
        ),
    })
}

pub fn cast(array: &ArrayRef, to: &Type) -> Result<ArrayRef, String> {
    let rows = 0..array.len();
    let valid = |row: usize| array.is_valid(row).then_some(row);
    match (array.data_type(), &to.data_type) {
        (DataType::Date32, DataType::Timestamp(unit, _)) => {
            let (days, per_day) =
                (array.as_primitive::<Date32Type>(), ticks_per_second(*unit) * 86_400);
            timestamps(
                rows.map(|r| i64::from(days.value(valid(r)?)).checked_mul(per_day)),
                &to.data_type,
            )
        }
        (DataType::Time32(_), DataType::Timestamp(unit, _)) => {
            let (millis, per_ms) =
                (array.as_primitive::<Time32MillisecondType>(), ticks_per_second(*unit) / 1000);
            timestamps(
                rows.map(|r| Some(i64::from(millis.value(valid(r)?)) * per_ms)),
                &to.data_type,
            )
        }
        (DataType::Timestamp(from, _), DataType::Timestamp(unit, _)) => {
            let (from, unit) = (ticks_per_second(*from), ticks_per_second(*unit));
            let digits = to.precision() as u32;
            let convert = |v: i64| {
                let v = coarser(v, from, digits);
                if unit >= from {
                    v.checked_mul(unit / from)
                } else {
                    Some(v.div_euclid(from / unit))
                }
            };
            timestamps(rows.map(|r| convert(ticks(array, valid(r)?))), &to.data_type)
        }
        (DataType::Timestamp(unit, zone), DataType::Date32) => {
            let per_day = ticks_per_second(*unit) * 86_400;
            let day = |v: i64| if zone.is_some() { v.div_euclid(per_day) } else { v / per_day };
            let out: PrimitiveArray<Date32Type> =
                rows.map(|r| i32::try_from(day(ticks(array, valid(r)?))).ok()).collect();
            Ok(Arc::new(out))
        }
        (DataType::Timestamp(unit, _), DataType::Time32(_)) => {
            let per_second = ticks_per_second(*unit);
            let time = |v: i64| (v.rem_euclid(per_second * 86_400) / per_second * 1000) as i32;
            let out: PrimitiveArray<Time32MillisecondType> =
                rows.map(|r| Some(time(ticks(array, valid(r)?)))).collect();
            Ok(Arc::new(out))
        }
        (DataType::Date32, DataType::Date32) | (DataType::Time32(_), DataType::Time32(_)) => {
            Ok(array.clone())
        }
        (from, to) => Err(format!("cannot cast {from} to {to}")),
    }
}

/// A timestamp with at most so many digits after the second.
fn coarser(value: i64, per_second: i64, digits: u32) -> i64 {
    let kept = 10i64.pow(digits.min(9));
    if kept >= per_second {
        return value;
    }
    let step = per_second / kept;
    if digits > 3 {
        return value.div_euclid(step) * step;
    }
    // Whole milliseconds first, by the floor; those towards zero.
    let per_ms = (per_second / 1000).max(1);
    let ms = value.div_euclid(per_ms);
    let step_ms = step / per_ms;
    ms / step_ms * step_ms * per_ms
}
