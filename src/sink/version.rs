//! Which of two results for one key is the newer?
//!
//! Used by sinks that hold one row per key. What always holds: the text of a version sorts as the
//! version does, so that a store that can only compare strings keeps the newer row; versions of one
//! key never fall from run to run; an equal version is the same result, and may be written again.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ids::Epoch;
use crate::time::EventTime;

/// Length of a version's text, bytes.
pub(crate) const TEXT_LEN: usize = 50;

/// How results share the key of their table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// No two results share a key.
    Unique,
    /// Results of several windows share a key: the later window wins, whatever order the writes
    /// arrive in.
    Versioned,
    /// Rows without a window: the last one wins. They are written with the checkpoint that they
    /// belong to.
    InOrder,
}

/// The version of an upsert, compared field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Version {
    /// Start of the run, ms since the epoch. Kept on resume, so that a later run wins over an
    /// earlier one.
    pub run_ms: i64,
    /// End of the window that made the row; the earliest time for a row of none, so that the text
    /// of a version is as long for all.
    pub window_end: EventTime,
    /// For a row without a window: the number of the epoch in whose checkpoint it is. It is sent
    /// when that checkpoint is durable, so the number of an epoch that may have been sent is never
    /// given to another one, and one that is sent again is sent with its own. For a row of a window
    /// that is sent more than once at once: the input changes folded into it, never emissions, so
    /// that a replay reaches at least the old number.
    pub revision: u64,
}

impl Version {
    /// The version of rows of a window. Without one: the lowest of the run.
    pub fn of_window(run_ms: i64, window_end: Option<EventTime>) -> Version {
        Version { run_ms, window_end: window_end.unwrap_or(EventTime::MIN), revision: 0 }
    }

    /// The version of rows without a window that an epoch has brought.
    pub fn of_epoch(run_ms: i64, epoch: Epoch) -> Version {
        Version { revision: epoch.number(), ..Version::of_window(run_ms, None) }
    }

    /// The version of a text that [`Version`] has written; None for any other.
    pub fn parse(text: &str) -> Option<Version> {
        let mut numbers = text
            .split('-')
            .map(|digits| u64::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 16));
        let mut number = || numbers.next().flatten();
        let signed = |v: u64| (v ^ (1 << 63)).cast_signed();
        let version = Version {
            run_ms: signed(number()?),
            window_end: EventTime::at(signed(number()?)),
            revision: number()?,
        };
        numbers.next().is_none().then_some(version)
    }

    /// How a result of this version stands against the one that a table holds.
    pub fn against(&self, held: Option<&Version>) -> Standing {
        match held {
            None => Standing::Newer,
            Some(held) if self > held => Standing::Newer,
            Some(held) if self == held => Standing::Same,
            Some(held) if self.run_ms == held.run_ms => Standing::BehindWindow,
            Some(_) => Standing::BehindRun,
        }
    }
}

/// What kept a result of this version out of a table that holds a row with that text for a version.
/// What this program has not written is somebody else's.
pub(crate) fn lost_to(own: &str, held: Option<&str>) -> Standing {
    match (Version::parse(own), held.and_then(Version::parse)) {
        (Some(own), Some(held)) => own.against(Some(&held)),
        _ => Standing::BehindRun,
    }
}

/// How a result stands against the one that its table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The table holds nothing, or something older: it is written.
    Newer,
    /// The table holds it already: it is written again, as after a crash.
    Same,
    /// The table holds the result of a later window of this run, or of a later epoch: nothing is
    /// written, and nothing is missing.
    BehindWindow,
    /// The table holds a result of a run that began later: this run writes in vain.
    BehindRun,
}

/// How many results were not new to their table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Written again.
    pub same: u64,
    /// Left out because a later window's was there or waiting.
    pub newer_window: u64,
    /// Lost to a run that began later.
    pub other_run: u64,
}

/// Counts the results of all writers of a table, and says at their end what it has counted.
#[derive(Debug)]
pub(crate) struct Tally {
    table: String,
    same: AtomicU64,
    newer_window: AtomicU64,
    other_run: AtomicU64,
}

impl Tally {
    /// For the table of this name.
    pub fn new(table: &str) -> Tally {
        let [same, newer_window, other_run] = [0; 3].map(AtomicU64::new);
        Tally { table: table.into(), same, newer_window, other_run }
    }

    pub fn add(&self, standing: Standing) {
        let counter = match standing {
            Standing::Newer => return,
            Standing::Same => &self.same,
            Standing::BehindWindow => &self.newer_window,
            Standing::BehindRun => &self.other_run,
        };
        let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
        // Lines grow with the logarithm of the losses.
        if standing == Standing::BehindRun && count.is_power_of_two() {
            tracing::warn!(
                table = self.table,
                lost = count,
                "results are not written: the table holds those of a run that began later; does another job write into it?"
            );
        }
    }

    pub fn counts(&self) -> Counts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            same: count(&self.same),
            newer_window: count(&self.newer_window),
            other_run: count(&self.other_run),
        }
    }
}

/// Three numbers of 16 hexadecimal digits. The sign bit is flipped, so that negative numbers come
/// first.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unsigned = |v: i64| v.cast_unsigned() ^ (1 << 63);
        write!(
            f,
            "{:016x}-{:016x}-{:016x}",
            unsigned(self.run_ms),
            unsigned(self.window_end.ms()),
            self.revision
        )
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let Counts { same, newer_window, other_run } = self.counts();
        if same + newer_window + other_run > 0 {
            tracing::info!(
                table = self.table,
                same,
                newer_window,
                other_run,
                "results that were not new to their table"
            );
        }
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
            for window_end in numbers.map(EventTime::at) {
                for revision in [0, 9, 10, u64::MAX] {
                    versions.push(Version { run_ms, window_end, revision });
                }
            }
        }
        versions.sort();
        for pair in versions.windows(2) {
            let (a, b) = (pair[0].to_string(), pair[1].to_string());
            assert!(a < b, "{:?} is {a}, {:?} is {b}", pair[0], pair[1]);
            assert_eq!(a.len(), TEXT_LEN);
            assert_eq!(Version::parse(&a), Some(pair[0]));
        }
    }

    #[test]
    fn other_texts_are_no_versions() {
        let text = Version::of_window(5, Some(EventTime::at(7))).to_string();
        for other in [
            "",
            "1",
            "x-y-z",
            &text[1..],
            &format!("{text}-0"),
            &text.replace('8', "g"),
            &format!("{text} "),
        ] {
            assert_eq!(Version::parse(other), None, "{other}");
        }
    }

    #[test]
    fn results_are_told_apart_by_what_they_meet() {
        let tally = Tally::new("t");
        let own = Version::of_window(5, Some(EventTime::at(7)));
        for (held, standing) in [
            (None, Standing::Newer),
            (Some(Version::of_window(4, Some(EventTime::at(9)))), Standing::Newer),
            (Some(Version::of_window(5, Some(EventTime::at(6)))), Standing::Newer),
            (Some(own), Standing::Same),
            (Some(Version::of_window(5, Some(EventTime::at(8)))), Standing::BehindWindow),
            (Some(Version { revision: 1, ..own }), Standing::BehindWindow),
            (Some(Version::of_window(6, None)), Standing::BehindRun),
        ] {
            assert_eq!(own.against(held.as_ref()), standing, "{held:?}");
            tally.add(standing);
        }
        assert_eq!(tally.counts(), Counts { same: 1, newer_window: 2, other_run: 1 });
    }

    #[test]
    fn a_later_epoch_wins_and_one_that_is_sent_again_is_the_same() {
        let of = |run_ms, epoch| Version::of_epoch(run_ms, Epoch::new(epoch));
        assert_eq!(of(5, 8).against(Some(&of(5, 7))), Standing::Newer);
        assert_eq!(of(5, 7).against(Some(&of(5, 7))), Standing::Same);
        assert_eq!(of(5, 7).against(Some(&of(5, 8))), Standing::BehindWindow);
        assert_eq!(of(5, 8).against(Some(&of(6, 1))), Standing::BehindRun);
    }

    #[test]
    fn rows_without_a_window_give_way_to_any_window() {
        assert!(Version::of_window(5, None) < Version::of_window(5, Some(EventTime::at(-1))));
        assert!(Version::of_window(6, None) > Version::of_window(5, Some(EventTime::MAX)));
    }
}
