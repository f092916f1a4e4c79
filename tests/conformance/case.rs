//! Which cases are there? Every folder below `tests/cases/<family>/`. Called by `tests/cases.rs`.
//!
//! What always holds: a folder gives a case or an error, never nothing; the name of a case is
//! `<family>::<folder>`; a head names only sinks that have answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::answer::{Answer, Kind};
use super::head::{Head, Word};

pub struct Case {
    pub name: String,
    pub folder: PathBuf,
    pub head: Head,
    pub answers: Vec<Answer>,
    /// The query, with `${DIR}` and `${OUT}` for its folders.
    text: String,
}

/// A folder's name and what it is.
pub type Found = (String, Result<Arc<Case>, String>);

pub fn cases_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

pub fn discover() -> Vec<Found> {
    let mut found = Vec::new();
    for family in folders(&cases_folder()) {
        let family_name = name_of(&family);
        let cases = folders(&family);
        if cases.is_empty() || family.join("query.sql").exists() {
            found.push((family_name, Err("a case stands in the folder of its family".into())));
            continue;
        }
        for folder in cases {
            let name = format!("{family_name}::{}", name_of(&folder));
            found.push((name.clone(), Case::load(name, folder).map(Arc::new)));
        }
    }
    found
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).unwrap_or_else(|e| panic!("{}: {e}", of.display()));
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut folders: Vec<PathBuf> =
        paths.filter(|path| path.is_dir() && !name_of(path).starts_with('.')).collect();
    folders.sort();
    folders
}

fn name_of(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

impl Case {
    fn load(name: String, folder: PathBuf) -> Result<Case, String> {
        let text =
            fs::read_to_string(folder.join("query.sql")).map_err(|e| format!("query.sql: {e}"))?;
        let head = Head::parse(&text).map_err(|e| format!("query.sql: {e}"))?;
        let mut answers = Vec::new();
        for entry in fs::read_dir(folder.join("expected")).map_err(|e| format!("expected: {e}"))? {
            answers.extend(Answer::load(&entry.map_err(|e| e.to_string())?.path())?);
        }
        if answers.is_empty() {
            return Err("expected: holds no answers".into());
        }
        answers.sort_by(|a, b| a.name.cmp(&b.name));
        let case = Case { name, folder, head, answers, text };
        for line in &case.head.lines {
            let exists = |name: &str, is: &dyn Fn(Kind) -> bool| {
                case.answers.iter().any(|a| a.name == name && is(a.kind))
            };
            let names_one = match &line.word {
                Word::Differs(sink) => exists(sink, &|_| true),
                Word::AgreesAsTable(select) | Word::GoesByArrival(select) => {
                    exists(select, &|kind| kind == Kind::Changes)
                }
                Word::Surprising | Word::Digits(_) | Word::DealtOverFiles | Word::Refused => true,
            };
            if !names_one {
                return Err(format!("query.sql: `{}`: expected/ has no such answer", line.word));
            }
        }
        Ok(case)
    }

    pub fn is_refused(&self) -> bool {
        self.head.says(&Word::Refused)
    }

    /// The SQL with its folders filled in. `input` replaces the case's own folder.
    pub fn sql(&self, input: &Path, out: &Path) -> String {
        self.text
            .replace("${DIR}", &input.display().to_string())
            .replace("${OUT}", &out.display().to_string())
    }

    /// A case without windows and groups keeps nothing in the store.
    pub fn keeps_state(&self) -> bool {
        let mut lines = self.text.lines().filter(|line| !line.starts_with("--"));
        lines.any(|line| line.contains("TABLE(") || line.contains("GROUP BY"))
    }

    /// How many lines its inputs have.
    pub fn records(&self) -> u64 {
        fn count(path: &Path) -> u64 {
            let inside = fs::read_dir(path)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|e| e.file_name() != "expected");
            let lines = || {
                fs::read(path)
                    .map_or(0, |bytes| bytes.iter().filter(|b| **b == b'\n').count() as u64)
            };
            if path.is_dir() { inside.map(|e| count(&e.path())).sum() } else { lines() }
        }
        count(&self.folder)
    }
}
