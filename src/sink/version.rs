//! Which of two results for one key is the newer?
//!
//! Used by sinks that hold one row per key. What always holds: the text of a version sorts as the version does, so that a
//! store that can only compare strings keeps the newer row; versions of one key never fall from run to run.

use std::fmt;

/// Length of a version's text, bytes.
pub const TEXT_LEN: usize = 50;

/// The version of an upsert, compared field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Start of the run, ms since the epoch. Kept on resume, so that a later run wins over an earlier one.
    pub run_ms: i64,
    /// End of the window that made the row, ms since the epoch.
    pub window_end_ms: i64,
    /// Input changes folded into the row, never emissions: a replay reaches at least the old number.
    pub revision: u64,
}

impl Version {
    /// The version of rows of a window, or of rows without one: among those the last one written wins.
    pub fn of_window(run_ms: i64, window_end_ms: Option<i64>) -> Version {
        Version { run_ms, window_end_ms: window_end_ms.unwrap_or(i64::MIN), revision: 0 }
    }
}

/// Three numbers of 16 hexadecimal digits. The sign bit is flipped, so that negative numbers come first.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unsigned = |v: i64| v.cast_unsigned() ^ (1 << 63);
        write!(f, "{:016x}-{:016x}-{:016x}", unsigned(self.run_ms), unsigned(self.window_end_ms), self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_sorts_as_the_version() {
        let numbers = [i64::MIN, -1_000_000, -1, 0, 1, 15, 16, 1_700_000_000_000, i64::MAX];
        let mut versions = Vec::new();
        for run_ms in numbers {
            for window_end_ms in numbers {
                for revision in [0, 9, 10, u64::MAX] {
                    versions.push(Version { run_ms, window_end_ms, revision });
                }
            }
        }
        versions.sort();
        for pair in versions.windows(2) {
            let (a, b) = (pair[0].to_string(), pair[1].to_string());
            assert!(a < b, "{:?} is {a}, {:?} is {b}", pair[0], pair[1]);
            assert_eq!(a.len(), TEXT_LEN);
        }
    }

    #[test]
    fn rows_without_a_window_give_way_to_any_window() {
        assert!(Version::of_window(5, None) < Version::of_window(5, Some(-1)));
        assert!(Version::of_window(6, None) > Version::of_window(5, Some(i64::MAX)));
    }
}
