//! Do the scalar functions give Flink's values? The cases of `tests/functions`, recorded in Apache
//! Flink 2.3, once each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Rows by id.
fn rows(text: &str) -> BTreeMap<i64, Value> {
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        (row["id"].as_i64().expect("an id"), row)
    };
    text.lines().map(row).collect()
}

/// Doubles agree to 12 digits: functions of libm differ in the last ones.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) if a != b => (a - b).abs() <= 1e-12 * a.abs().max(b.abs()),
        (Some(_), Some(_)) => true,
        _ => a == b,
    }
}

#[test]
fn every_recorded_value() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions");
    let mut compared = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(&root).expect("the cases") {
        let case = entry.expect("readable").path();
        let dir = tempfile::tempdir().expect("temporary folder");
        let sql = fs::read_to_string(case.join("query.sql")).expect("a query");
        let sql = sql
            .replace("${DIR}", &case.display().to_string())
            .replace("${OUT}", &dir.path().join("out").display().to_string());
        fs::write(dir.path().join("q.sql"), sql).expect("writes");
        let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
        let output = command
            .args(["run", "q.sql"])
            .current_dir(dir.path())
            .output()
            .expect("the binary starts");
        assert!(
            output.status.success(),
            "{}: {}",
            case.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        for entry in fs::read_dir(case.join("expected")).expect("answers") {
            let path = entry.expect("readable").path();
            let sink = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let expected = rows(&fs::read_to_string(&path).expect("readable"));
            let mut written = String::new();
            for part in fs::read_dir(dir.path().join("out").join(&sink)).expect("the sink") {
                written.push_str(
                    &fs::read_to_string(part.expect("readable").path()).expect("readable"),
                );
            }
            let found = rows(&written);
            for (id, row) in &expected {
                for (column, value) in row.as_object().expect("an object") {
                    compared += 1;
                    let ours = found.get(id).map_or(&Value::Null, |r| &r[column]);
                    if !same(ours, value) || !found.contains_key(id) {
                        wrong.push(format!(
                            "{} {sink} {column} of {id}: {ours}, not {value}",
                            case.display()
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 5_000, "only {compared} values");
}
