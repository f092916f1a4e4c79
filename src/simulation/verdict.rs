//! Is the answer of a world right, beside that of the same world in peace?
//!
//! Called at the end of each world. What always holds: where nothing has expired and nothing was
//! cleared, rows and errors are the same to the byte; where something has, nothing is there that the
//! peaceful world does not have.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Answer;
use super::life::Lived;
use super::scenario::{From, Scenario};

/// What the reason of a refused item says, in the error stream.
const REFUSAL: &str = "on purpose";

pub(super) fn is_right(scenario: &Scenario, lived: &Lived, expected: &Answer) -> bool {
    let Answer { rows, errors } = &lived.answer;
    let are_known = |errors: &[String]| errors.iter().all(|e| expected.errors.contains(e));
    if lived.from == From::Latest {
        // It was killed before anybody saw where it began.
        return true;
    }
    if lived.has_gap {
        // What has expired can only be missing, or late.
        return are_known(&without_refusals(errors)) && is_part(scenario, rows, &expected.rows);
    }
    if lived.is_cleared {
        // Of what it held some can be missing, and of what several windows share the newest.
        let is_known = |row| !scenario.query.has_rows_of_one_window || expected.rows.contains(row);
        return *errors == expected.errors && rows.iter().all(is_known);
    }
    // How many of a total's results come between two that are sent is a matter of time.
    let is_of_time = |e: &String| is_refusal(e) && !is_of_one_window(scenario, e);
    let settled =
        |errors: &[String]| errors.iter().filter(|e| !is_of_time(e)).cloned().collect::<Vec<_>>();
    // In peace there is the last total alone, which always comes.
    let has_last = scenario.query.is_append_only
        || expected.errors.iter().filter(|e| is_of_time(e)).all(|e| errors.contains(e));
    *rows == expected.rows && settled(errors) == settled(&expected.errors) && has_last
}

/// Whether it is a refused row that comes once, whatever befalls the job.
fn is_of_one_window(scenario: &Scenario, error: &str) -> bool {
    scenario.query.has_rows_of_one_window && error.contains(r#""name":"res""#)
}

fn is_refusal(error: &str) -> bool {
    error.contains(REFUSAL)
}

fn without_refusals(errors: &[String]) -> Vec<String> {
    errors.iter().filter(|e| !is_refusal(e)).cloned().collect()
}

/// Whether rows of windows are those of some of the records: each window is one that there is, and
/// has no more records in it. Other rows can be any.
fn is_part(scenario: &Scenario, rows: &[String], expected: &[String]) -> bool {
    // Of a session that lacks records there may be two.
    if !scenario.query.has_rows_of_one_window || scenario.query.name == "sessions" {
        return true;
    }
    let windows = |rows: &[String]| -> BTreeMap<String, u64> {
        let parsed = rows.iter().filter_map(|row| serde_json::from_str::<Value>(row).ok());
        parsed
            .map(|row| (format!("{} {}", row["k"], row["we"]), row["c"].as_u64().unwrap_or(0)))
            .collect()
    };
    let most = windows(expected);
    windows(rows).iter().all(|(window, count)| most.get(window).is_some_and(|most| count <= most))
}
