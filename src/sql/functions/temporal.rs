//! Functions of dates and times: EXTRACT, FLOOR and CEIL to a unit, TIMESTAMPADD, TIMESTAMPDIFF,
//! and text to and from.
//!
//! `rewrite` turns the special forms into these calls, with the unit as text. Times are
//! milliseconds, rounded down. Before 1970 Flink takes parts with Java's `/` and `%`, so an hour
//! can be negative there; so do these.

use super::cast::read;
use super::date_format::{self, Excess, Parts};
use super::intervals;
use super::rows::ParameterKind::{Int, Long, Text, Time, TimeOrInterval, TimeOrText};
use super::rows::{Answer, Body, Definition, Row, function};
use crate::format::time_text::{civil_from_days, days_from_civil};
use crate::sql::functions::months::{add_months, months_from};
use crate::time::MS_PER_DAY;

const DATE_TIME: &str = "yyyy-MM-dd HH:mm:ss";

pub const ALL: [Definition; 24] = [
    function("extract", &[Text, TimeOrInterval], Body::Long(extract)),
    function("year", &[Time], Body::Long(|r| part("YEAR", r.time(0)))),
    function("quarter", &[Time], Body::Long(|r| part("QUARTER", r.time(0)))),
    function("month", &[Time], Body::Long(|r| part("MONTH", r.time(0)))),
    function("week", &[Time], Body::Long(|r| part("WEEK", r.time(0)))),
    function("dayofyear", &[Time], Body::Long(|r| part("DOY", r.time(0)))),
    function("dayofmonth", &[Time], Body::Long(|r| part("DAY", r.time(0)))),
    function("dayofweek", &[Time], Body::Long(|r| part("DOW", r.time(0)))),
    function("hour", &[Time], Body::Long(|r| part("HOUR", r.time(0)))),
    function("minute", &[Time], Body::Long(|r| part("MINUTE", r.time(0)))),
    function("second", &[Time], Body::Long(|r| part("SECOND", r.time(0)))),
    function("floor_to", &[Text, Time], Body::Time(|r| to_unit(r, Towards::Past))),
    function("ceil_to", &[Text, Time], Body::Time(|r| to_unit(r, Towards::Future))),
    function(
        "timestampadd",
        &[Text, Int, Time],
        Body::Later(|r| add(r.text(0), r.int(1).into(), r.time(2))),
    ),
    function(
        "timestampadd_clock",
        &[Text, Int, Time],
        Body::Timestamp(|r| add(r.text(0), r.int(1).into(), r.time(2))),
    ),
    function(
        "timestampdiff",
        &[Text, Time, Time],
        Body::Int(|r| difference(r.text(0), r.time(1), r.time(2))),
    ),
    function(
        "timestampdiff_nanoseconds",
        &[Text, Time, Time],
        Body::Long(|r| {
            Ok(Some((r.time(2).wrapping_sub(r.time(1)) / 1000).wrapping_mul(1_000_000_000)))
        }),
    ),
    function(
        "date_format",
        &[TimeOrText, Text],
        Body::Text(|r| match r.time_or_text(0) {
            Ok(ms) => date_format::write_to_ns(ms, r.below_ms_ns(0), r.text(1)).map(Some),
            // Text has to have a time of day here.
            Err(text) => match date_format::parse(text, DATE_TIME, Excess::Carry)? {
                Some(parts) => date_format::write_old(parts.ms, r.text(1)).map(Some),
                None => Ok(None),
            },
        }),
    ),
    function("to_date", &[Text, Text], Body::Date(to_date)).requires(1),
    function(
        "to_timestamp",
        &[Text, Text],
        Body::Timestamp(|r| read_timestamp(r.text(0), (r.count() > 1).then(|| r.text(1)))),
    )
    .requires(1),
    function(
        "from_unixtime",
        &[Long, Text],
        Body::Text(|r| {
            let Some(ms) = r.long(0).checked_mul(1000) else { return Ok(None) };
            date_format::write_old(ms, r.text_or(1, DATE_TIME)).map(Some)
        }),
    )
    .requires(1),
    function("unix_timestamp", &[Text, Text], Body::Long(unix_timestamp)).requires(1),
    function(
        "time_plus",
        &[Time, Long],
        Body::Time(|r| Ok(Some((r.time(0) + r.long(1)).rem_euclid(MS_PER_DAY)))),
    ),
    function("dayname", &[Time], Body::Text(|r| date_format::write(r.time(0), "EEEE").map(Some))),
];

fn extract(row: &Row<'_>) -> Answer<i64> {
    if let Some(interval) = row.interval(1) {
        return intervals::part(row.text(0), interval);
    }
    let (ms, below_ns) = (row.time(1), row.below_ms_ns(1));
    match row.text(0) {
        "MICROSECOND" => Ok(Some(ms % 1000 * 1000 + below_ns / 1000)),
        "NANOSECOND" => Ok(Some(ms % 1000 * 1_000_000 + below_ns)),
        unit => part(unit, ms),
    }
}

/// One part of a time.
fn part(unit: &str, ms: i64) -> Answer<i64> {
    let days = ms / MS_PER_DAY;
    let (year, month, day) = civil_from_days(days);
    let (month, day) = (i64::from(month), i64::from(day));
    let year_start = days_from_civil(year, 1, 1);
    // Monday is 1; 1970-01-01 was a Thursday.
    let iso_day = (days + 3).rem_euclid(7) + 1;
    let (iso_year, iso_week) = iso_week(days, iso_day);
    Ok(Some(match unit {
        "YEAR" => year,
        "QUARTER" => (month + 2) / 3,
        "MONTH" => month,
        "WEEK" => iso_week,
        "DAY" => day,
        "HOUR" => ms % MS_PER_DAY / 3_600_000,
        "MINUTE" => ms % 3_600_000 / 60_000,
        "SECOND" => ms % 60_000 / 1000,
        "MILLISECOND" => ms % 1000,
        "DOY" | "DAYOFYEAR" => days - year_start + 1,
        "DOW" | "DAYOFWEEK" => iso_day % 7 + 1,
        "ISODOW" => iso_day,
        "ISOYEAR" => iso_year,
        "EPOCH" => ms / 1000,
        "DECADE" => year / 10,
        "CENTURY" => (year + if year > 0 { 99 } else { -99 }) / 100,
        "MILLENNIUM" => (year + if year > 0 { 999 } else { -999 }) / 1000,
        other => return Err(format!("'{other}' is no unit of time")),
    }))
}

/// Year and number of the ISO week of a day.
fn iso_week(days: i64, iso_day: i64) -> (i64, i64) {
    // The week belongs to the year of its Thursday.
    let thursday = days + 4 - iso_day;
    let (year, ..) = civil_from_days(thursday);
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// FLOOR or CEIL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Towards {
    Past,
    Future,
}

/// To a whole unit. A larger unit than a day looks at the date alone.
fn to_unit(row: &Row<'_>, towards: Towards) -> Answer<i64> {
    let (unit, ms, up) = (row.text(0), row.time(1), towards == Towards::Future);
    let size = match unit {
        "MILLISECOND" | "MICROSECOND" | "NANOSECOND" => return Ok(Some(ms)),
        "SECOND" => 1000,
        "MINUTE" => 60_000,
        "HOUR" => 3_600_000,
        "DAY" => MS_PER_DAY,
        _ => 0,
    };
    if size > 0 {
        // CEIL of a DATE to the DAY is the next day in Flink.
        let next_anyway = row.is_date(1);
        let floor = ms.div_euclid(size) * size;
        return Ok(Some(if up && (floor != ms || next_anyway) { floor + size } else { floor }));
    }
    let days = ms / MS_PER_DAY;
    let (year, month, _) = civil_from_days(days);
    let years = |year: i64| days_from_civil(year, 1, 1);
    let months = |first: i64| {
        let (year, month) = (year + first.div_euclid(12), first.rem_euclid(12));
        days_from_civil(year, month as u32 + 1, 1)
    };
    let of_century = |length: i64| (year - 1).div_euclid(length) * length + 1;
    let quarter = i64::from(month - 1) / 3 * 3;
    // Where it starts, where the next one starts, and whether a start is its own ceiling.
    let (start, next, exact) = match unit {
        "WEEK" => {
            let sunday = days - (days + 4).rem_euclid(7);
            (sunday, sunday + 7, true)
        }
        "MONTH" => (months(i64::from(month) - 1), months(i64::from(month)), true),
        "QUARTER" => (months(quarter), months(quarter + 3), true),
        "YEAR" => (years(year), years(year + 1), true),
        "DECADE" => (years(year.div_euclid(10) * 10), years(year.div_euclid(10) * 10 + 10), false),
        "CENTURY" => (years(of_century(100)), years(of_century(100) + 100), false),
        "MILLENNIUM" => (years(of_century(1000)), years(of_century(1000) + 1000), false),
        other => return Err(format!("'{other}' is no unit of time")),
    };
    let day = if !up || exact && start == days { start } else { next };
    Ok(Some(day * MS_PER_DAY))
}

fn add(unit: &str, number: i64, ms: i64) -> Answer<i64> {
    let months = |months: i64| {
        let days = add_months(ms.div_euclid(MS_PER_DAY), months);
        days.checked_mul(MS_PER_DAY)?.checked_add(ms.rem_euclid(MS_PER_DAY))
    };
    // An INT of weeks is less than 64 bits of ms.
    let later = match unit {
        "YEAR" => months(number * 12),
        "QUARTER" => months(number * 3),
        "MONTH" => months(number),
        "WEEK" => ms.checked_add(number * 7 * MS_PER_DAY),
        "DAY" => ms.checked_add(number * MS_PER_DAY),
        "HOUR" => ms.checked_add(number * 3_600_000),
        "MINUTE" => ms.checked_add(number * 60_000),
        "SECOND" => ms.checked_add(number * 1000),
        "MILLISECOND" => ms.checked_add(number),
        other => return Err(format!("'{other}' is no unit of time")),
    };
    match later {
        Some(ms) => Ok(Some(ms)),
        None => Err("the result is beyond the times that there are".into()),
    }
}

fn difference(unit: &str, from: i64, to: i64) -> Answer<i32> {
    let months = || months_from(from, to);
    let ms = to.wrapping_sub(from);
    Ok(Some(match unit {
        // Flink's DECADE is a year.
        "YEAR" | "DECADE" => months() as i32 / 12,
        "CENTURY" => months() as i32 / 1200,
        "MILLENNIUM" => months() as i32 / 12_000,
        "QUARTER" => months() as i32 / 3,
        "MONTH" => months() as i32,
        // By way of the seconds as INT, which wrap.
        "WEEK" => (ms / 1000) as i32 / 604_800,
        "DAY" => (ms / MS_PER_DAY) as i32,
        "HOUR" => (ms / 3_600_000) as i32,
        "MINUTE" => (ms / 60_000) as i32,
        "SECOND" => (ms / 1000) as i32,
        // Of whole seconds, and wrapping, as in Flink.
        "MILLISECOND" => ((ms / 1000) as i32).wrapping_mul(1000),
        "MICROSECOND" => ((ms / 1000) as i32).wrapping_mul(1_000_000),
        other => return Err(format!("'{other}' is no unit of time")),
    }))
}

fn to_date(row: &Row<'_>) -> Answer<i32> {
    if row.count() == 1 {
        return Ok(read::date(row.text(0)));
    }
    match date_format::parse(row.text(0), row.text(1), Excess::Carry)? {
        Some(Parts { ms, .. }) => Ok(i32::try_from(ms.div_euclid(MS_PER_DAY)).ok()),
        // What Flink's conversion of the smallest BIGINT comes to.
        None => Ok(Some((i64::MIN / MS_PER_DAY) as i32)),
    }
}

/// A timestamp in text, in ms, by a format or in the standard form.
pub(crate) fn read_timestamp(text: &str, format: Option<&str>) -> Answer<i64> {
    let format = match format {
        Some(format) if format != DATE_TIME || text.starts_with('+') || !read::exists(text) => {
            format
        }
        _ => return Ok(read::timestamp_ms(text)),
    };
    Ok(match date_format::parse(text, format, Excess::Cut)? {
        Some(Parts { ms, rest: "" }) => Some(ms),
        // Then the standard form, in which a day too many is the next month's.
        _ => read::timestamp_carrying(text),
    })
}

fn unix_timestamp(row: &Row<'_>) -> Answer<i64> {
    let parts = date_format::parse(row.text(0), row.text_or(1, DATE_TIME), Excess::Carry)?;
    Ok(Some(parts.map_or(i64::MIN, |p| p.ms.div_euclid(1000))))
}
