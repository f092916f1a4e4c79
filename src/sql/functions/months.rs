//! How many months lie between two times, and which time is some months later?
//!
//! Used by the functions of the calendar and by intervals. Days are counted from 1970-01-01.

use crate::format::time_text::{civil_from_days, days_from_civil};
use crate::time::MS_PER_DAY;

/// Months later, on the last day of the month where there is no such day.
pub(crate) fn add_months(days: i64, months: i64) -> i64 {
    let (year, month, day) = civil_from_days(days);
    let total = year * 12 + i64::from(month) - 1 + months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) as u32 + 1);
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let last = days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1);
    days_from_civil(year, month, day.min(last as u32))
}

pub(crate) fn months_between(later: i64, earlier: i64) -> i64 {
    if later < earlier {
        return -months_between(earlier, later);
    }
    // No month is longer than 31 days: this is at most the number.
    let mut months = (later - earlier) / 31;
    loop {
        if add_months(earlier, months) >= later || add_months(earlier, months + 1) > later {
            return months;
        }
        months += 1;
    }
}

/// Whole months from one time to another, both in ms.
pub(crate) fn months_from(from: i64, to: i64) -> i64 {
    let (later, earlier) = (to.div_euclid(MS_PER_DAY), from.div_euclid(MS_PER_DAY));
    let months = months_between(later, earlier);
    let short = add_months(earlier, months) == later
        && to.rem_euclid(MS_PER_DAY) < from.rem_euclid(MS_PER_DAY);
    months - i64::from(short)
}
