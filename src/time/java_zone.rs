//! What does Java's older `TimeZone` say? Flink's CONVERT_TZ asks it.
//!
//! It differs from [`Zone`] in names (`PST`; what is unknown is GMT), before 1900 (the zone's
//! present standard time) and for a local time that there is twice (the second). Called by
//! `sql::functions::convert_tz`. What always holds: there is an answer for every name.

use super::zone::Zone;

/// 1900-01-01: Java's table begins here.
const FIRST_MS: i64 = -2_208_988_800_000;
/// 2024-01-01, and a month: where the standard time is looked for. A zone whose clock goes back for
/// a month has it there.
const NOW_MS: i64 = 1_704_067_200_000;
const MONTH_MS: i64 = 2_635_200_000;
/// The longest time that any clock has been put back, and more.
const OVERLAP_MS: i64 = 3 * 3_600_000;
/// Names of three letters that are not in the database, or mean another zone there.
const SHORT: [(&str, &str); 25] = [
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
];

/// A time zone; UTC where there is none of the name.
#[derive(Debug, Clone)]
pub(crate) struct JavaZone {
    zone: Option<Zone>,
    standard_ms: i64,
}

impl JavaZone {
    pub fn named(name: &str) -> JavaZone {
        let long = SHORT.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| *long);
        let zone = match long.strip_prefix("GMT") {
            Some(offset) if offset.starts_with(['+', '-']) => {
                fixed(offset).and_then(|o| Zone::named(&o).ok().flatten())
            }
            // An offset alone, or behind UTC, is none of its names.
            _ if long.starts_with(['+', '-'])
                || long.starts_with("UT") && long.contains(['+', '-']) =>
            {
                None
            }
            _ => Zone::named(long).ok().flatten(),
        };
        let standard_ms = zone.as_ref().map_or(0, |zone| {
            let offsets =
                (0..12).map(|month| NOW_MS + month * MONTH_MS).map(|ms| zone.local(ms) - ms);
            offsets.min().unwrap_or_default()
        });
        JavaZone { zone, standard_ms }
    }

    /// The local time of a point in time, both in ms.
    pub fn local(&self, ms: i64) -> i64 {
        match &self.zone {
            Some(zone) if ms >= FIRST_MS => zone.local(ms),
            _ => ms.saturating_add(self.standard_ms),
        }
    }

    /// The point in time of a local time: the second of two.
    pub(crate) fn instant(&self, local_ms: i64) -> i64 {
        let standard = local_ms.saturating_sub(self.standard_ms);
        let Some(zone) = self.zone.as_ref().filter(|_| standard >= FIRST_MS) else {
            return standard;
        };
        let first = zone.instant(local_ms);
        let later = first.saturating_add(OVERLAP_MS);
        let second = local_ms.saturating_sub(zone.local(later) - later);
        if second > first && zone.local(first) == local_ms && zone.local(second) == local_ms {
            second
        } else {
            first
        }
    }
}

/// `+2`, `+02:00`, `-0800` as `+02:00`. Hours to 23, minutes to 59.
fn fixed(offset: &str) -> Option<String> {
    let (sign, digits) = offset.split_at(1);
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 && hours.len() <= 2 => (hours, minutes),
        None if matches!(digits.len(), 1 | 2) => (digits, "0"),
        None if matches!(digits.len(), 3 | 4) && digits.is_ascii() => {
            digits.split_at(digits.len() - 2)
        }
        _ => return None,
    };
    let number = |text: &str| {
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u8>().ok()).flatten()
    };
    let (hours, minutes) =
        (number(hours).filter(|h| *h < 24)?, number(minutes).filter(|m| *m < 60)?);
    Some(format!("{sign}{hours:02}:{minutes:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> i64 {
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")
            .expect("a time")
            .and_utc()
            .timestamp_millis()
    }

    #[test]
    fn names_are_javas() {
        let noon = utc("2024-07-01 12:00:00");
        for (name, expected) in [
            ("+02:00", "12:00:00"),
            ("GMT+02:00", "10:00:00"),
            ("GMT+2", "10:00:00"),
            ("GMT-0800", "20:00:00"),
            ("GMT+02:30", "09:30:00"),
            ("GMT+24", "12:00:00"),
            ("UTC+02:00", "12:00:00"),
            ("PST", "19:00:00"),
            ("EST", "17:00:00"),
            ("IST", "06:30:00"),
            ("CET", "10:00:00"),
            ("US/Pacific", "19:00:00"),
            ("europe/berlin", "12:00:00"),
            ("", "12:00:00"),
        ] {
            assert_eq!(
                JavaZone::named(name).instant(noon),
                utc(&format!("2024-07-01 {expected}")),
                "{name}"
            );
        }
    }

    #[test]
    fn the_second_of_two_and_the_standard_time_before_1900() {
        for (name, local, expected) in [
            ("Europe/Berlin", "2024-10-27 02:30:00", "2024-10-27 01:30:00"),
            ("Europe/Berlin", "2024-10-27 03:30:00", "2024-10-27 02:30:00"),
            ("Europe/Berlin", "2024-03-31 02:30:00", "2024-03-31 01:30:00"),
            ("Europe/Berlin", "1890-01-01 00:00:00", "1889-12-31 23:00:00"),
            ("Europe/Berlin", "1945-05-24 02:30:00", "1945-05-24 00:30:00"),
            ("America/New_York", "2024-11-03 01:30:00", "2024-11-03 06:30:00"),
            ("America/New_York", "2024-03-10 02:30:00", "2024-03-10 07:30:00"),
            ("America/New_York", "1880-01-01 00:00:00", "1880-01-01 05:00:00"),
            ("Asia/Kolkata", "1880-01-01 00:00:00", "1879-12-31 18:30:00"),
            ("Asia/Kolkata", "1905-01-01 00:00:00", "1904-12-31 18:38:50"),
            ("Africa/Casablanca", "1880-01-01 00:00:00", "1880-01-01 00:00:00"),
            ("Africa/Casablanca", "2024-07-01 00:00:00", "2024-06-30 23:00:00"),
            ("Europe/Dublin", "2024-10-27 01:30:00", "2024-10-27 01:30:00"),
        ] {
            assert_eq!(JavaZone::named(name).instant(utc(local)), utc(expected), "{name} {local}");
        }
        assert_eq!(
            JavaZone::named("Europe/Berlin").local(utc("1890-01-01 00:00:00")),
            utc("1890-01-01 01:00:00")
        );
    }
}
