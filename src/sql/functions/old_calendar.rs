//! Which day has a date in Java's GregorianCalendar, which is Julian before 1582-10-15?
//!
//! Flink's functions that go by SimpleDateFormat ask: CONVERT_TZ, UNIX_TIMESTAMP, FROM_UNIXTIME and
//! the patterns over text. Those of TIMESTAMPs have the Gregorian calendar for all times.

use crate::format::time_text::{civil_from_days, days_from_civil};

/// 1582-10-15 in days since 1970: the first day of the Gregorian calendar.
const GREGORIAN: i64 = -141_427;
/// The number of 1970-01-01 among the Julian days.
const DAY_OF_1970: i64 = 2_440_588;

/// Days since 1970 of a date; a month or day too many is counted on. Of the days that the change
/// left out, the Julian ones.
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = (year + (month - 1).div_euclid(12), (month - 1).rem_euclid(12) + 1);
    let gregorian = days_from_civil(year, month as u32, 1) + day - 1;
    if year >= 1582 && gregorian >= GREGORIAN {
        return gregorian;
    }
    julian_days(year, month) + day - 1
}

/// Year, month and day. Years before the first are counted back, without a sign.
pub(crate) fn date_of(days: i64) -> (i64, u32, u32) {
    let (year, month, day) =
        if days >= GREGORIAN { civil_from_days(days) } else { julian_date(days) };
    (if year > 0 { year } else { 1 - year }, month, day)
}

/// Days since 1970 of the first of a month of the Julian calendar.
fn julian_days(year: i64, month: i64) -> i64 {
    let early = (14 - month) / 12;
    let (year, month) = (year + 4800 - early, month + 12 * early - 3);
    1 + (153 * month + 2) / 5 + 365 * year + year.div_euclid(4) - 32_083 - DAY_OF_1970
}

fn julian_date(days: i64) -> (i64, u32, u32) {
    let days = days + DAY_OF_1970 + 32_082;
    let year = (4 * days + 3).div_euclid(1461);
    let day = days - (1461 * year).div_euclid(4);
    let month = (5 * day + 2) / 153;
    (
        year - 4800 + month / 10,
        (month + 3 - 12 * (month / 10)) as u32,
        (day - (153 * month + 2) / 5 + 1) as u32,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_agree_on_both_sides_of_the_change() {
        for ((year, month, day), days, date) in [
            ((2024, 2, 30), 19_783, (2024, 3, 1)),
            ((1582, 10, 15), GREGORIAN, (1582, 10, 15)),
            ((1582, 10, 4), GREGORIAN - 1, (1582, 10, 4)),
            ((1582, 10, 10), GREGORIAN + 5, (1582, 10, 20)),
            ((1500, 2, 29), -171_596, (1500, 2, 29)),
            ((1, 1, 1), -719_164, (1, 1, 1)),
            ((0, 1, 1), -719_530, (1, 1, 1)),
        ] {
            assert_eq!(days_of(year, month, day), days, "{year}-{month}-{day}");
            assert_eq!(date_of(days), date, "{days}");
        }
        for days in (-800_000..-140_000).step_by(97) {
            let (year, month, day) = date_of(days);
            // Without a sign a year before the first is not the same again.
            if days >= -719_164 {
                assert_eq!(days_of(year, month.into(), day.into()), days);
            }
        }
    }
}
