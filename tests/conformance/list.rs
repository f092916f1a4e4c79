//! Which cases are there, for a reader? `tests/cases/LIST.md`, written from the heads of the queries. Called by
//! `tests/cases.rs`. What always holds: the list is what the heads say, and codes of facts are those of FACTS.md.

use std::fmt::Write;
use std::fs;

use super::answer::Kind;
use super::case::{Case, Found, cases_folder};
use super::head::{WORDS, Word};

pub fn is_true(found: &[Found]) {
    let cases: Vec<&Case> = found.iter().filter_map(|(_, case)| case.as_deref().ok()).collect();
    facts_exist(&cases);
    let list = list(&cases);
    let path = cases_folder().join("LIST.md");
    if std::env::var_os("PACELINE_WRITE_LISTS").is_some() {
        fs::write(&path, &list).expect("writes");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = list.lines().zip(written.lines()).find(|(a, b)| a != b);
    assert!(list == written, "tests/cases/LIST.md is stale, write it with PACELINE_WRITE_LISTS=1: {differs:?}");
    let readme = fs::read_to_string(cases_folder().join("README.md")).expect("README.md");
    for (word, _) in WORDS {
        assert!(readme.contains(&format!("`-- {word}`")), "tests/cases/README.md says nothing of `-- {word}`");
    }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

fn list(cases: &[&Case]) -> String {
    let answers = |kind| cases.iter().flat_map(|case| &case.answers).filter(|answer| answer.kind == kind).count();
    let mut out = format!(
        "# The cases\n\nWritten by the test `list_of_cases` from the heads of the queries: see the README beside this file. Codes are those \
         of FACTS.md.\n\n{} cases, {} sinks, {} changelogs.\n",
        cases.len(),
        answers(Kind::Rows),
        answers(Kind::Changes),
    );
    let mut family = "";
    for case in cases {
        let (of, name) = case.name.split_once("::").expect("a family and a case");
        if of != family {
            family = of;
            let _ = writeln!(out, "\n## {family}\n\n| case | shows | surprising |\n| --- | --- | --- |");
        }
        let lines = case.head.lines.iter().filter(|line| line.word == Word::Surprising);
        let surprising: Vec<&str> = lines.map(|line| line.reason.as_str()).collect();
        let _ = writeln!(out, "| {name} | {} | {} |", escaped(&case.head.shows), escaped(&surprising.join("; ")));
    }
    out.push_str("\n## What differs from Flink, and why\n\n| case | what | why |\n| --- | --- | --- |\n");
    for case in cases {
        for line in case.head.lines.iter().filter(|line| line.word != Word::Surprising) {
            let _ = writeln!(out, "| {} | {} | {} |", case.name, line.word, escaped(&line.reason));
        }
    }
    out
}

/// Codes in parentheses, such as (A3), are facts of FACTS.md.
fn facts_exist(cases: &[&Case]) {
    let facts = fs::read_to_string(cases_folder().join("FACTS.md")).expect("FACTS.md");
    for case in cases {
        for line in &case.head.lines {
            for code in line.reason.split('(').skip(1).filter_map(|rest| rest.split_once(')')).map(|(code, _)| code) {
                let is_code =
                    code.len() > 1 && code.starts_with(char::is_uppercase) && code[1..].bytes().all(|b| b.is_ascii_digit());
                assert!(!is_code || facts.contains(&format!("**{code}")), "{}: FACTS.md has no {code}", case.name);
            }
        }
    }
}
