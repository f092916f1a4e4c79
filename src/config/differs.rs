//! Which settings of Flink would make it give other results than this program does?
//!
//! Called by `config` for every setting that it does not follow. A setting that only says how Flink
//! goes about its work is none of these; one that is set to what happens here anyway is no
//! difference. What always holds: whoever sets one of them to something else is told what happens
//! instead, by `check` and at each run.

use super::duration;

/// What of a setting's values happens here.
enum Same {
    /// One of these, in any case.
    Values(&'static [&'static str]),
    /// A time that is not zero.
    NotZero,
    Nothing,
}

const SETTINGS: [(&str, Same, &str); 12] = [
    (
        "pipeline.auto-watermark-interval",
        Same::NotZero,
        "watermarks are not turned off: they advance with each record",
    ),
    (
        "execution.state-recovery.path",
        Same::Nothing,
        "savepoints of Flink are not read: the job begins with the state of --state-dir",
    ),
    (
        "execution.savepoint.path",
        Same::Nothing,
        "savepoints of Flink are not read: the job begins with the state of --state-dir",
    ),
    ("table.sql-dialect", Same::Values(&["default"]), "the file is read as Flink SQL"),
    (
        "table.dml-sync",
        Same::Values(&["false"]),
        "all INSERTs of the file run side by side as one job, not one after the other",
    ),
    (
        "table.column-expansion-strategy",
        Same::Values(&[""]),
        "SELECT * gives all columns, those of metadata too",
    ),
    (
        "table.dynamic-table-options.enabled",
        Same::Values(&["true"]),
        "hints with OPTIONS are followed",
    ),
    (
        "table.exec.sort.default-limit",
        Same::Values(&["-1"]),
        "ORDER BY without LIMIT gives all rows",
    ),
    (
        "table.exec.sink.nested-constraint-enforcer",
        Same::Values(&["ignore"]),
        "NOT NULL and lengths are not enforced within ROW, ARRAY and MAP",
    ),
    (
        "table.exec.deduplicate.insert-update-after-sensitive-enabled",
        Same::Values(&["true"]),
        "the first row of a key is an insertion, never an update",
    ),
    (
        "table.optimizer.non-deterministic-update.strategy",
        Same::Values(&["ignore"]),
        "nothing is added to the plan that keeps what a lookup or a random function gave for a row",
    ),
    (
        "table.exec.sink.require-on-conflict",
        Same::Values(&["false"]),
        "a query whose rows have another key than its table is run without ON CONFLICT: the last row of a key wins",
    ),
];

/// What happens instead of what a setting asks for; None if it makes no difference.
pub fn instead(key: &str, value: &str) -> Option<&'static str> {
    let (_, same, what) = SETTINGS.iter().find(|(known, ..)| *known == key)?;
    let is_same = match same {
        Same::Values(values) => values.iter().any(|same| same.eq_ignore_ascii_case(value.trim())),
        Same::NotZero => duration(value).is_ok_and(|time| !time.is_zero()),
        Same::Nothing => false,
    };
    (!is_same).then_some(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_results_are_told() {
        for (key, value, part) in [
            ("pipeline.auto-watermark-interval", "200 ms", ""),
            ("pipeline.auto-watermark-interval", "0", "not turned off"),
            ("execution.state-recovery.path", "s3://x", "--state-dir"),
            ("table.dml-sync", "true", "side by side"),
            ("taskmanager.numberOfTaskSlots", "4", ""),
        ] {
            let said = instead(key, value).unwrap_or_default();
            assert!(
                said.contains(part) && said.is_empty() == part.is_empty(),
                "{key} {value}: {said}"
            );
        }
    }
}
