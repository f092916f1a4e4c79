//! What does the clock on the wall say? A session's time zone: from points in time to local times and back.
//!
//! Local times are milliseconds too: those of 1970-01-01 00:00:00 on the wall. Used where a TIMESTAMP_LTZ meets the calendar:
//! by functions (`sql::zones`) and by windows, which lie on local time. What always holds: [`Zone::watermark`] never goes
//! back, although the clock does in autumn.
//!
//! Zones are those of the IANA database that is compiled in (chrono-tz, by way of Arrow), or fixed offsets. Their changes are
//! found once, from 1800 to 2100; before and after, the first and last offset hold.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use super::{MS_PER_DAY, Watermark};
use arrow::array::timezone::Tz;
use chrono::{DateTime, Offset, TimeZone};

/// 1800-01-01 and 2100-01-01: the database has no further changes.
const FIRST_MS: i64 = -5_364_662_400_000;
const LAST_MS: i64 = 4_102_444_800_000;

/// There are some 600 zones, and names beyond them are offsets; a name more is read anew each time.
const KNOWN_MAX: usize = 4096;

/// A time zone other than UTC.
#[derive(Clone)]
pub struct Zone {
    name: Arc<str>,
    /// The offset before the first change, ms.
    first_offset_ms: i64,
    changes: Arc<[Change]>,
}

/// From this point in time on the zone has another offset.
#[derive(Clone, Copy)]
struct Change {
    at_ms: i64,
    before_ms: i64,
    after_ms: i64,
}

impl Zone {
    /// As [`Zone::parse`], for names that come with rows: each is read once, since finding the changes of a zone takes long.
    pub fn named(name: &str) -> Result<Option<Zone>, String> {
        static KNOWN: Mutex<BTreeMap<String, Option<Zone>>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = known.get(name) {
            return Ok(zone.clone());
        }
        // What is no zone is found out at once, and there is no end of such names.
        let zone = Zone::parse(name)?;
        if known.len() < KNOWN_MAX {
            known.insert(name.to_string(), zone.clone());
        }
        Ok(zone)
    }

    /// The zone of a name as Flink takes it: `Europe/Berlin`, `GMT+02:00`, `+02:00`. None for UTC itself.
    pub fn parse(name: &str) -> Result<Option<Zone>, String> {
        let fixed = ["UTC", "GMT", "UT"].into_iter().find_map(|p| name.strip_prefix(p)).filter(|o| o.starts_with(['+', '-']));
        let bad = || format!("'{name}' is no time zone; write one as 'Europe/Berlin' or '+02:00'");
        let tz = match (name, fixed) {
            ("Z", _) => return Ok(None),
            (_, Some(offset)) => Tz::from_str(&two_digits(offset)),
            (name, None) => Tz::from_str(&two_digits(name)),
        };
        let tz = tz.map_err(|_| bad())?;
        let mut zone = Zone { name: name.into(), first_offset_ms: offset_ms(&tz, FIRST_MS).ok_or_else(bad)?, changes: [].into() };
        zone.changes = changes(&tz, zone.first_offset_ms);
        Ok(if zone.first_offset_ms == 0 && zone.changes.is_empty() { None } else { Some(zone) })
    }

    /// The local time of a point in time.
    pub fn local(&self, ms: i64) -> i64 {
        let passed = self.changes.partition_point(|c| c.at_ms <= ms);
        ms.saturating_add(self.offset(passed))
    }

    /// The point in time of a local time: the first of two, and for a time that the clock skips, as if it had not yet been
    /// put forward. So does Java.
    pub fn instant(&self, local_ms: i64) -> i64 {
        let passed = self.changes.partition_point(|c| c.at_ms + c.before_ms.max(c.after_ms) <= local_ms);
        local_ms.saturating_sub(self.offset(passed))
    }

    /// The local time that is over, for good, at a watermark. While an hour is gone through that will come once more, that
    /// hour has not begun.
    pub fn watermark(&self, watermark: Watermark) -> Watermark {
        let ms = watermark.ms();
        let passed = self.changes.partition_point(|c| c.at_ms <= ms);
        let local = ms.saturating_add(self.offset(passed));
        debug_assert!(self.changes.get(passed).is_none_or(|next| ms < next.at_ms), "a change of the clocks has passed unseen");
        Watermark::at(match self.changes.get(passed) {
            Some(next) => local.min(next.at_ms + next.after_ms - 1),
            None => local,
        })
    }

    fn offset(&self, changes_passed: usize) -> i64 {
        changes_passed.checked_sub(1).map_or(self.first_offset_ms, |last| self.changes[last].after_ms)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.name == other.name
    }
}
impl Eq for Zone {}
impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// `+2` as `+02`.
fn two_digits(offset: &str) -> Cow<'_, str> {
    match offset.as_bytes() {
        [sign @ (b'+' | b'-'), hour @ b'0'..=b'9'] => format!("{}0{}", *sign as char, *hour as char).into(),
        _ => offset.into(),
    }
}

fn offset_ms(tz: &Tz, ms: i64) -> Option<i64> {
    let utc = DateTime::from_timestamp_millis(ms)?.naive_utc();
    Some(i64::from(tz.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * 1000)
}

/// Looks at every day and closes in on the second of each change.
fn changes(tz: &Tz, first_offset_ms: i64) -> Arc<[Change]> {
    let mut changes = Vec::new();
    let mut before_ms = first_offset_ms;
    for day in (FIRST_MS..LAST_MS).step_by(MS_PER_DAY as usize).skip(1) {
        let Some(after_ms) = offset_ms(tz, day).filter(|o| *o != before_ms) else { continue };
        let (mut low, mut high) = (day - MS_PER_DAY, day);
        while high - low > 1000 {
            let middle = low + (high - low) / 2000 * 1000;
            if offset_ms(tz, middle) == Some(before_ms) { low = middle } else { high = middle }
        }
        changes.push(Change { at_ms: high, before_ms, after_ms });
        before_ms = after_ms;
    }
    changes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn zone(name: &str) -> Zone {
        Zone::parse(name).expect("known").expect("not UTC")
    }

    fn utc(text: &str) -> i64 {
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").expect("a time").and_utc().timestamp_millis()
    }

    #[test]
    fn names_and_offsets() {
        for name in ["UTC", "Z", "GMT", "Etc/UTC", "UTC+00:00"] {
            assert_eq!(Zone::parse(name).expect("known"), None, "{name}");
        }
        assert_eq!(zone("GMT+2").local(0), 2 * HOUR);
        for name in ["+05:30", "GMT+05:30", "UTC+05:30"] {
            assert_eq!(zone(name).local(0), 5 * HOUR + HOUR / 2, "{name}");
        }
        assert!(Zone::parse("Europe/Nowhere").is_err() && Zone::parse("").is_err());
    }

    #[test]
    fn a_change_is_where_the_law_has_it() {
        for (name, before, at) in [
            ("Europe/Berlin", utc("2024-03-31 00:59:59"), 2 * HOUR),
            ("Europe/Berlin", utc("2024-10-27 00:59:59"), HOUR),
            ("America/New_York", utc("2024-11-03 05:59:59"), -5 * HOUR),
            ("Australia/Lord_Howe", utc("2024-10-05 15:29:59"), 11 * HOUR),
        ] {
            let zone = zone(name);
            assert_ne!(zone.local(before) - before, at, "{name}");
            assert_eq!(zone.local(before + 1000) - (before + 1000), at, "{name}");
        }
    }

    #[test]
    fn instants_agree_with_local_times_and_are_the_first_of_two() {
        let berlin = zone("Europe/Berlin");
        for ms in (utc("1910-01-01 00:00:00")..utc("2050-01-01 00:00:00")).step_by(7 * 5_000_000) {
            let first = berlin.instant(berlin.local(ms));
            assert!(first == ms || berlin.local(first) == berlin.local(ms) && first < ms, "{ms}");
        }
        // 02:30 is there twice in autumn and not at all in spring.
        assert_eq!(berlin.instant(utc("2024-10-27 02:30:00")), utc("2024-10-27 00:30:00"));
        assert_eq!(berlin.instant(utc("2024-03-31 02:30:00")), utc("2024-03-31 01:30:00"));
    }

    #[test]
    fn watermarks_never_go_back_and_wait_for_the_second_pass() {
        let berlin = zone("Europe/Berlin");
        for (from, to) in [("2024-10-26 23:00:00", "2024-10-27 03:00:00"), ("2024-03-31 00:00:00", "2024-03-31 03:00:00")] {
            let mut last = Watermark::NONE;
            for ms in (utc(from)..utc(to)).step_by(100_000) {
                let mark = berlin.watermark(Watermark::at(ms));
                assert!(mark >= last && mark.ms() <= berlin.local(ms));
                last = mark;
            }
        }
        let two = utc("2024-10-27 02:00:00");
        for (watermark, local_ms) in [("2024-10-27 00:30:00", two - 1), ("2024-10-27 01:00:00", two)] {
            assert_eq!(berlin.watermark(Watermark::at(utc(watermark))).ms(), local_ms);
        }
        assert_eq!(berlin.watermark(Watermark::END), Watermark::END);
        assert!(berlin.watermark(Watermark::NONE).ms() < utc("1800-01-01 00:00:00"));
    }
}
