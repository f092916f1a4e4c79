//! Does the code keep to its own map? Who may know whom, the one door per outside thing, and the
//! note on top of each file.

mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use scan::{File, Sources};

/// The floors as the map of the library lists them, the lowest first: lines `- name` behind "Who
/// may know whom".
fn floors(map: &str) -> Vec<String> {
    let list = map.split("# Who may know whom").nth(1).expect("the map says who may know whom");
    let lines = list.lines().filter_map(|l| l.strip_prefix("//! - "));
    let names = |line: &str| -> Vec<String> {
        let head = line.split(':').next().unwrap_or_default();
        head.split('`').skip(1).step_by(2).map(String::from).collect()
    };
    lines.flat_map(names).collect()
}

/// Who knows a module that stands above its own.
fn arrows_upwards(sources: &Sources, floors: &[String]) -> Vec<String> {
    let floor = |file: &File| file.module.first().and_then(|m| floors.iter().position(|f| f == m));
    let mut found = Vec::new();
    for (from, to) in sources.uses() {
        let (from, to) = (&sources.files[from], &sources.files[to]);
        if from.module.is_empty() || from.name == "main.rs" {
            continue;
        }
        if floor(from) < floor(to) {
            found.push(format!("{} uses {}", from.name, to.name));
        }
    }
    found
}

/// Files that know each other in a circle, a line for each circle. What a file uses of the module
/// file of its own folder does not count: what is written there is common to the folder.
fn circles(sources: &Sources) -> Vec<BTreeSet<String>> {
    let mut uses: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (from, to) in sources.uses() {
        if !sources.files[from].module.starts_with(&sources.files[to].module) {
            uses.entry(from).or_default().insert(to);
        }
    }
    let reached = |from: usize| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(at) = next.pop() {
            next.extend(uses.get(&at).into_iter().flatten().filter(|&&to| seen.insert(to)));
        }
        seen
    };
    let all: Vec<BTreeSet<usize>> = (0..sources.files.len()).map(reached).collect();
    let mut found: BTreeSet<BTreeSet<String>> = BTreeSet::new();
    for (at, seen) in all.iter().enumerate().filter(|(at, seen)| seen.contains(at)) {
        let circle = seen.iter().filter(|&&other| all[other].contains(&at));
        found.insert(circle.map(|&i| sources.files[i].name.clone()).collect());
    }
    found.into_iter().collect()
}

/// Things outside of the library, and the only files that may know them.
const DOORS: [(&[&str], &[&str]); 10] = [
    (&["aws_sdk_kinesis"], &["connector/kinesis/client"]),
    (&["aws_sdk_dynamodb"], &["connector/dynamodb"]),
    (&["rocksdb"], &["state/rocks.rs", "connector/stand_in/table/store.rs"]),
    (&["bincode"], &["checkpoint/codec.rs"]),
    (&["sqlparser"], &["sql/"]),
    // Sources read what others have written, and commands what they are given.
    (&["std", "fs"], &["files/disk.rs", "connector/filesystem/source", "cli/"]),
    (&["SystemTime", "now"], &["time/clock.rs"]),
    (&["Instant", "now"], &["time/clock.rs", "time/timer.rs", "time/virtual_time.rs"]),
    (&["Utc", "now"], &["time/clock.rs"]),
    (&["tokio", "time"], &["time/timer.rs"]),
];

fn past_the_doors(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for file in &sources.files {
        for (what, allowed) in DOORS {
            if file.names(what) && !allowed.iter().any(|a| file.name.starts_with(a)) {
                found.push(format!("{} uses {}", file.name, what.join("::")));
            }
        }
    }
    found
}

/// The folder whose functions are called with types and values, never with text of a query.
const FUNCTIONS: &str = "sql/functions/";
/// What reads text of a query.
const PARSERS: [&str; 2] = ["sqlparser", "datafusion_sql"];

/// Where a function knows a parser, or any part of `sql` that stands beside or above the functions:
/// parsing, types in text, rewriting, binding. The planning side knows the functions and hands
/// types down.
fn functions_that_read_sql(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources.files.iter().filter(|file| file.name.starts_with(FUNCTIONS)) {
        for parser in PARSERS.iter().filter(|parser| file.names(&[parser])) {
            found.push(format!("{} uses {parser}", file.name));
        }
    }
    for (from, to) in sources.uses() {
        let (from, to) = (&sources.files[from].name, &sources.files[to].name);
        if from.starts_with(FUNCTIONS) && to.starts_with("sql/") && !to.starts_with(FUNCTIONS) {
            found.push(format!("{from} uses {to}"));
        }
    }
    found
}

/// Read once for all rules.
fn library() -> &'static Sources {
    static LIBRARY: LazyLock<Sources> = LazyLock::new(Sources::of_the_library);
    &LIBRARY
}

fn map() -> &'static File {
    library().files.iter().find(|f| f.name == "lib.rs").expect("a library")
}

#[test]
fn every_file_says_what_it_answers() {
    for file in &library().files {
        assert!(file.text.starts_with("//!"), "{} does not open with //!", file.name);
    }
}

#[test]
fn one_door_per_outside_thing() {
    assert_eq!(past_the_doors(library()), Vec::<String>::new());
}

#[test]
fn functions_know_no_parser() {
    assert_eq!(functions_that_read_sql(library()), Vec::<String>::new());
}

#[test]
fn the_map_lists_every_module() {
    let map = &map().text;
    let listed = floors(map);
    // Those for unit tests alone are private.
    let module = |line: &'static str| {
        line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ")?.strip_suffix(';')
    };
    let declared: Vec<&str> = map.lines().filter_map(module).collect();
    let mut sorted = listed.clone();
    sorted.sort();
    let mut expected: Vec<String> = declared.iter().map(|s| s.to_string()).collect();
    expected.sort();
    assert_eq!(sorted, expected, "the list under \"Who may know whom\" and the modules declared");
}

#[test]
fn floors_know_only_what_is_below_them() {
    let found = arrows_upwards(library(), &floors(&map().text));
    assert!(found.is_empty(), "{} arrows upwards:\n{}", found.len(), found.join("\n"));
}

#[test]
fn files_know_each_other_in_no_circle() {
    let sources = library();
    let found = circles(sources);
    let mut lines = Vec::new();
    for circle in &found {
        lines.push("a circle:".to_string());
        for (from, to) in sources.uses() {
            let (from, to) = (&sources.files[from], &sources.files[to]);
            if circle.contains(&from.name)
                && circle.contains(&to.name)
                && !from.module.starts_with(&to.module)
            {
                lines.push(format!("  {} uses {}", from.name, to.name));
            }
        }
    }
    assert!(found.is_empty(), "{} circles:\n{}", found.len(), lines.join("\n"));
}

mod planted {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Sources {
        Sources::new(files.iter().map(|(name, text)| File::new(name, text)).collect())
    }

    fn two_floors() -> Vec<String> {
        floors("//! # Who may know whom\n//!\n//! - `low`: below\n//! - `high`: above\n")
    }

    #[test]
    fn an_arrow_upwards_is_found_however_it_is_written() {
        for text in [
            "use crate::high::x;",
            "use crate::{high::{self, x}, low};",
            "#[cfg(test)] mod tests { use crate::low::y; }\nfn f() { crate::high::x() }",
            "fn f() { vec![crate::high::x()]; }",
            "#[cfg(not(test))] use crate::high::x;",
            "use super::high::x;",
        ] {
            let found =
                arrows_upwards(&sources(&[("low.rs", text), ("high/mod.rs", "")]), &two_floors());
            assert_eq!(found, ["low.rs uses high/mod.rs"], "{text}");
        }
        for text in [
            "#[cfg(test)] use crate::high::{a, b};\nfn f() {}",
            "// crate::high::x",
            "pub(in crate::high) fn f() {}",
        ] {
            let found =
                arrows_upwards(&sources(&[("low.rs", text), ("high/mod.rs", "")]), &two_floors());
            assert_eq!(found, Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_name_handed_on_leads_to_its_file() {
        let files = [
            ("low.rs", "use crate::own::x;"),
            ("own.rs", "pub use crate::high::inner::x;"),
            ("high/inner.rs", ""),
            ("high/mod.rs", ""),
        ];
        let found = arrows_upwards(&sources(&files), &two_floors());
        assert!(found.contains(&"low.rs uses high/inner.rs".to_string()), "{found:?}");
    }

    #[test]
    fn a_circle_is_found_unless_it_goes_through_the_folders_own_file() {
        let circle = [
            ("a/mod.rs", "mod x; mod y;"),
            ("a/x.rs", "use super::y::f;"),
            ("a/y.rs", "fn f() { super::x::g() }"),
        ];
        assert_eq!(
            circles(&sources(&circle)),
            [BTreeSet::from(["a/x.rs".to_string(), "a/y.rs".to_string()])]
        );
        let own = [
            ("a/mod.rs", "mod x; use x::f; pub fn g() {}"),
            ("a/x.rs", "use super::g; pub fn f() {}"),
        ];
        assert_eq!(circles(&sources(&own)), Vec::<BTreeSet<String>>::new());
    }

    #[test]
    fn a_function_that_reads_sql_is_found() {
        let beside = [
            ("sql/functions/mod.rs", "pub mod other;"),
            ("sql/functions/other.rs", ""),
            ("sql/mod.rs", "mod types;"),
            ("sql/types.rs", "use sqlparser::ast::DataType;"),
        ];
        for (text, expected) in [
            ("use sqlparser::ast::Expr;", "sql/functions/f.rs uses sqlparser"),
            (
                "fn f() { datafusion_sql::parser::parse() }",
                "sql/functions/f.rs uses datafusion_sql",
            ),
            ("use crate::sql::types::data_type;", "sql/functions/f.rs uses sql/types.rs"),
            ("use super::super::types;", "sql/functions/f.rs uses sql/types.rs"),
        ] {
            let files: Vec<(&str, &str)> =
                beside.into_iter().chain([("sql/functions/f.rs", text)]).collect();
            assert_eq!(functions_that_read_sql(&sources(&files)), [expected], "{text}");
        }
        for text in [
            "use super::other;",
            "use crate::sql::functions::other;",
            "#[cfg(test)] use sqlparser::ast::Expr;",
        ] {
            let files: Vec<(&str, &str)> =
                beside.into_iter().chain([("sql/functions/f.rs", text)]).collect();
            assert_eq!(functions_that_read_sql(&sources(&files)), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_second_door_and_a_hidden_clock_are_found() {
        let files = [
            ("a.rs", "use rocksdb::{DB, Options};"),
            ("b.rs", "fn f() { let t = std::time::Instant::now(); }"),
            ("c.rs", "async fn f() { tokio::time::sleep(x).await }"),
            ("d.rs", "use tokio::{time, sync};"),
        ];
        let found = past_the_doors(&sources(&files));
        assert_eq!(
            found,
            [
                "a.rs uses rocksdb",
                "b.rs uses Instant::now",
                "c.rs uses tokio::time",
                "d.rs uses tokio::time"
            ]
        );
    }
}
