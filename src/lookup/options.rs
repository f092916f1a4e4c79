//! What does the WITH of a table say about looking it up? Flink's keys, read and checked before
//! anything outside is touched.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::duration;
use crate::options::{OptionKind, OptionSpec};

/// All keys start with this.
pub(crate) const PREFIX: &str = "lookup.";
const CACHE: &str = "lookup.cache";
const MAX_ROWS: &str = "lookup.partial-cache.max-rows";
const AFTER_WRITE: &str = "lookup.partial-cache.expire-after-write";
const AFTER_ACCESS: &str = "lookup.partial-cache.expire-after-access";
const MISSING: &str = "lookup.partial-cache.cache-missing-key";
const RETRIES: &str = "lookup.max-retries";
/// The options of a table that is looked up.
pub const OPTIONS: [OptionSpec; 6] = [
    OptionSpec::new(CACHE, OptionKind::Text, "NONE, or PARTIAL: answers are kept").or("NONE"),
    OptionSpec::new(MAX_ROWS, OptionKind::Number(1, ROWS_MAX as u64), "rows that are kept at most"),
    OptionSpec::new(AFTER_WRITE, OptionKind::Duration, "how long an answer is kept after it came"),
    OptionSpec::new(
        AFTER_ACCESS,
        OptionKind::Duration,
        "how long an answer is kept after it was last used",
    ),
    OptionSpec::new(MISSING, OptionKind::Flag, "that there is no row is kept too").or("true"),
    OptionSpec::new(
        RETRIES,
        OptionKind::Number(0, RETRIES_MAX as u64),
        "how often a question that failed is asked again",
    )
    .or("3"),
];
const RETRIES_DEFAULT: usize = 3;
/// With the longest pause between two, more than an hour.
const RETRIES_MAX: usize = 1000;
/// More than fit into the bytes that a cache may have.
const ROWS_MAX: usize = 100_000_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupOptions {
    /// None: every question goes outside.
    pub cache: Option<CacheOptions>,
    /// How often a call that failed is made again.
    pub retries: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOptions {
    /// Rows that are kept; a key without rows counts as one. None: as many as fit.
    pub rows_max: Option<usize>,
    /// How long a row is kept after it was fetched.
    pub expire_after_write: Option<Duration>,
    /// How long a row is kept after it was last used.
    pub expire_after_access: Option<Duration>,
    /// That a key has no rows is kept too.
    pub keeps_missing: bool,
}

impl CacheOptions {
    fn never_forgets(&self) -> bool {
        self.rows_max.is_none()
            && self.expire_after_write.is_none()
            && self.expire_after_access.is_none()
    }
}

impl LookupOptions {
    /// Reads the keys that start with [`PREFIX`]; others are none of its business. The error does
    /// not name the table.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<LookupOptions, String> {
        let get =
            |key: &str| options.get(key).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let number = |key: &str, min: usize, max: usize| match get(key) {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(n) if (min..=max).contains(&n) => Ok(Some(n)),
                _ => Err(format!("'{key}' is a number from {min} to {max}, not '{text}'")),
            },
        };
        let time = |key: &str| match get(key) {
            None => Ok(None),
            Some(text) => match duration(&text) {
                Ok(time) if !time.is_zero() => Ok(Some(time)),
                Ok(_) => Err(format!("'{key}' is longer than 0")),
                Err(e) => Err(format!("'{key}' = '{text}': {e}")),
            },
        };
        let cache = CacheOptions {
            rows_max: number(MAX_ROWS, 1, ROWS_MAX)?,
            expire_after_write: time(AFTER_WRITE)?,
            expire_after_access: time(AFTER_ACCESS)?,
            keeps_missing: match get(MISSING).map(|v| v.to_lowercase()).as_deref() {
                None | Some("true") => true,
                Some("false") => false,
                Some(other) => return Err(format!("'{MISSING}' is true or false, not '{other}'")),
            },
        };
        let cache = match get(CACHE).map(|v| v.to_uppercase()).as_deref() {
            None | Some("NONE") => None,
            // As in Flink: rows must leave the cache some time.
            Some("PARTIAL") if cache.never_forgets() => {
                return Err(format!(
                    "'{CACHE}' = 'PARTIAL' needs one of '{MAX_ROWS}', '{AFTER_WRITE}' and '{AFTER_ACCESS}'"
                ));
            }
            Some("PARTIAL") => Some(cache),
            Some(other) => return Err(format!("'{CACHE}' is NONE or PARTIAL here, not '{other}'")),
        };
        Ok(LookupOptions {
            cache,
            retries: number(RETRIES, 0, RETRIES_MAX)?.unwrap_or(RETRIES_DEFAULT),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<LookupOptions, String> {
        LookupOptions::parse(
            &pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        )
    }

    #[test]
    fn defaults_are_flinks() {
        assert_eq!(
            parse(&[("table-name", "t"), (MAX_ROWS, "5")]).unwrap(),
            LookupOptions { cache: None, retries: 3 }
        );
        let cache = parse(&[(CACHE, "partial"), (MAX_ROWS, "5"), (AFTER_WRITE, "10 s")])
            .unwrap()
            .cache
            .unwrap();
        assert_eq!(
            (cache.rows_max, cache.keeps_missing, cache.expire_after_access),
            (Some(5), true, None)
        );
        assert_eq!(cache.expire_after_write, Some(Duration::from_secs(10)));
        assert_eq!(parse(&[(RETRIES, "0")]).unwrap().retries, 0);
    }

    #[test]
    fn errors_say_what_to_write() {
        let error = |pairs: &[(&str, &str)]| parse(pairs).unwrap_err();
        assert!(error(&[(CACHE, "FULL")]).contains("NONE or PARTIAL"));
        assert!(error(&[(CACHE, "PARTIAL")]).contains(MAX_ROWS));
        assert!(error(&[(AFTER_ACCESS, "5 moons")]).contains("duration"));
        assert!(error(&[(AFTER_WRITE, "0 s")]).contains("longer than 0"));
        assert!(error(&[(MAX_ROWS, "0")]).contains("from 1"));
        assert!(error(&[(MISSING, "maybe")]).contains("true or false"));
    }
}
