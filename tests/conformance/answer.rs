//! Does a sink hold what Flink wrote? An [`Answer`] is a file of `expected/`, compared with what a
//! run of ours left behind. Called by [`super::runs`]. What always holds: rows are compared by
//! value, and a difference is told with some of its rows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use paceline::operator::Op;

use crate::support::changelog_sink::{changes, op_of};
use crate::support::job::{canonical, sink_rows_to};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The rows of a sink.
    Rows,
    /// What a bare SELECT printed.
    Changes,
}

/// What of a changelog is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// How often each change was made.
    EachChange,
    /// The table that the changes lead to.
    Table,
}

/// How often each row is there, or each change of a row with its kind.
type Counts = BTreeMap<(&'static str, String), i64>;

pub struct Answer {
    /// The sink's, or `select_1` and so on.
    pub name: String,
    pub kind: Kind,
    text: String,
}

impl Answer {
    /// A file of `expected/`. The types of a SELECT's columns are no answer.
    pub fn load(path: &Path) -> Result<Option<Answer>, String> {
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        let stem = file
            .strip_suffix(".jsonl")
            .ok_or_else(|| format!("expected/{file}: an answer is a .jsonl"))?;
        if stem.ends_with(".schema") {
            return Ok(None);
        }
        let text = fs::read_to_string(path).map_err(|e| format!("expected/{file}: {e}"))?;
        let (name, kind) = stem
            .strip_suffix(".changelog")
            .map_or((stem, Kind::Rows), |name| (name, Kind::Changes));
        Ok(Some(Answer { name: name.to_owned(), kind, text }))
    }

    /// Compares with what a run left in `dir`: sinks below `out`, printed changes below `changes`.
    pub fn compare(&self, dir: &Path, compared: Compared, digits: usize) -> Result<(), String> {
        let (expected, found) = match self.kind {
            Kind::Rows => {
                let rows = |rows: Vec<String>| count(rows.into_iter().map(|row| (("", row), 1)));
                let expected = self.text.lines().map(|line| canonical(line, digits)).collect();
                (rows(expected), rows(sink_rows_to(&dir.join("out").join(&self.name), digits)))
            }
            Kind::Changes => {
                let changes = changes(&dir.join("changes").join(&self.name));
                (
                    count_changes(self.recorded(), compared, digits),
                    count_changes(changes, compared, digits),
                )
            }
        };
        if expected == found {
            return Ok(());
        }
        let totals: (i64, i64) = (found.values().sum(), expected.values().sum());
        let (missing, extra) = (differing(&expected, &found), differing(&found, &expected));
        Err(format!(
            "{}: {} rows, not {}\nmissing {missing:#?}\nextra {extra:#?}",
            self.name, totals.0, totals.1
        ))
    }

    fn recorded(&self) -> Vec<(Op, String)> {
        // The recorder wrote infinities and NaN bare, which is no JSON.
        let text =
            self.text.replace(":Infinity", ":\"Infinity\"").replace(":-Infinity", ":\"-Infinity\"");
        let text = text.replace(":NaN", ":\"NaN\"");
        let change = |line: &str| {
            let mut row: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(line).expect("an object");
            let op = row.remove("op").expect("an op");
            (op_of(op.as_str().expect("text")), serde_json::to_string(&row).expect("an object"))
        };
        text.lines().map(change).collect()
    }
}

fn count_changes(changes: Vec<(Op, String)>, compared: Compared, digits: usize) -> Counts {
    count(changes.into_iter().map(|(op, row)| {
        let (kind, by) = match compared {
            Compared::EachChange => (op.name(), 1),
            Compared::Table if op.adds() => ("", 1),
            Compared::Table => ("", -1),
        };
        ((kind, canonical(&row, digits)), by)
    }))
}

fn count(rows: impl Iterator<Item = ((&'static str, String), i64)>) -> Counts {
    let mut counts = Counts::new();
    for (row, by) in rows {
        *counts.entry(row).or_default() += by;
    }
    counts.retain(|_, n| *n != 0);
    counts
}

/// Some of what is in `a` and not as often in `b`.
fn differing(a: &Counts, b: &Counts) -> Vec<String> {
    let differ = a.iter().filter(|(row, n)| b.get(*row) != Some(*n));
    differ.take(3).map(|((kind, row), n)| format!("{n} x {kind} {row}")).collect()
}
