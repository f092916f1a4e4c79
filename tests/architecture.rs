//! Does the code keep to its own map? Who imports what, the one door per outside thing, and the note on top of each file.

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, out: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push((path.clone(), fs::read_to_string(&path).expect("readable")));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut out = Vec::new();
    walk(&root, &mut out);
    out.iter().map(|(p, t)| (p.strip_prefix(&root).expect("inside").to_path_buf(), t.clone())).collect()
}

/// Without its tests: those may reach further.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

#[test]
fn every_file_says_what_it_answers() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{} does not open with //!", path.display());
    }
}

#[test]
fn one_door_per_outside_thing() {
    let doors: [(&str, &[&str]); 6] = [
        ("aws_sdk_kinesis", &["source/kinesis/client"]),
        ("aws_sdk_dynamodb", &["sink/dynamodb"]),
        ("use rocksdb", &["state/rocks.rs", "sink/table/store.rs"]),
        ("bincode", &["checkpoint/codec.rs"]),
        ("use sqlparser", &["sql/"]),
        ("SystemTime::now", &["time/clock.rs"]),
    ];
    for (path, text) in sources() {
        let name = path.display().to_string();
        for (what, allowed) in doors {
            let allowed = allowed.iter().any(|a| name.starts_with(a));
            let lines = code(&text).lines().filter(|l| !l.trim_start().starts_with("//"));
            assert!(allowed || !lines.clone().any(|l| l.contains(what)), "{name} uses {what}");
        }
    }
}

#[test]
fn layers_know_only_what_is_below_them() {
    let forbidden: [(&str, &[&str]); 8] = [
        ("time/", &["format", "source", "sink", "lookup", "state", "checkpoint", "operator", "sql", "plan", "runtime", "cli"]),
        ("format/", &["lookup", "state", "checkpoint", "operator", "plan", "runtime", "cli", "sink"]),
        ("source/", &["lookup", "operator", "state", "plan", "runtime", "sink", "checkpoint"]),
        ("sink/", &["operator", "plan", "runtime", "source", "checkpoint", "lookup"]),
        ("lookup/", &["state", "checkpoint", "operator", "sql", "plan", "runtime", "cli"]),
        ("state/", &["format", "source", "sink", "lookup", "checkpoint", "operator", "sql", "plan", "runtime", "cli"]),
        ("operator/", &["format", "source", "sink", "checkpoint", "sql", "plan", "runtime", "cli"]),
        ("checkpoint/", &["format", "sink", "lookup", "sql", "plan", "runtime", "cli"]),
    ];
    for (path, text) in sources() {
        let name = path.display().to_string();
        for (layer, above) in forbidden.iter().filter(|(layer, _)| name.starts_with(layer)) {
            for module in *above {
                let uses =
                    code(&text).lines().any(|l| l.contains(&format!("crate::{module}::")) && !l.trim_start().starts_with("//"));
                assert!(!uses, "{name} ({layer}) uses crate::{module}");
            }
        }
    }
}
