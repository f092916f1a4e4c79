//! Is anything shown or left open that should not be? Secrets in messages, modes of files, names
//! that lead elsewhere, addresses.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn paceline(args: &[&str], dir: &Path) -> (i32, String) {
    let output: Output =
        Command::new(env!("CARGO_BIN_EXE_paceline")).args(args).current_dir(dir).output().unwrap();
    let text = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    (output.status.code().unwrap_or(-1), text)
}

/// A table on one line, as generated files have them.
const TABLE: &str = "CREATE TABLE src (k STRING) WITH ('connector'='kinesis', 'stream.arn'='arn:aws:kinesis:us-east-1:1:stream/s', \
                     'aws.endpoint'='http://127.0.0.1:9', 'format'='json', 'aws.credentials.basic.accesskeyid'='me', \
                     'aws.credentials.basic.secretkey'='open-sesame'EXTRA);\n";

#[test]
fn secrets_are_in_no_message() {
    let dir = tempfile::tempdir().unwrap();
    let out = "CREATE TABLE res (k STRING) WITH ('connector'='filesystem', 'format'='json', 'path'='out');\n";
    let plain = TABLE.replace("EXTRA", "");
    let hint = "/*+ OPTIONS('aws.credentials.basic.secretkey'='open-sesame') */";
    let hinted = |extra: &str| {
        format!(
            "{}{out}INSERT INTO res SELECT k FROM src {hint}{extra};",
            plain.replace("'open-sesame'", "'another'")
        )
    };
    for (sql, code, part) in [
        (
            TABLE.replace("EXTRA", ", 'bogus'='1'") + "SELECT k FROM src;",
            2,
            "has no option 'bogus'",
        ),
        (
            TABLE.replace("EXTRA", ", 'sink.password'='open-sesame'") + "SELECT k FROM src;",
            2,
            "sink.password",
        ),
        (TABLE.replace("EXTRA", " bogus"), 2, "'****' bogus"),
        (TABLE.replace("'open-sesame'EXTRA", "'open-sesame"), 2, "nterminated"),
        (plain.replace("secretkey'=", "secretkey' "), 2, "'****'"),
        (format!("{plain}SELECT bogus FROM src;"), 2, "bogus"),
        (
            format!("SET 'paceline.token' = 'open-sesame';\n{plain}SELECT k FROM src;"),
            2,
            "paceline.token",
        ),
        (hinted(" WHERE bogus = 1"), 2, "bogus"),
        (hinted(""), 0, "src /*+ OPTIONS("),
        (hinted("").replace("INSERT", "EXPLAIN PLAN FOR INSERT"), 0, "src /*+ OPTIONS("),
    ] {
        fs::write(dir.path().join("q.sql"), &sql).unwrap();
        for args in [&["check", "q.sql"][..], &["run", "q.sql", "--state-dir", "st"]] {
            if args[0] == "run" && code == 0 && !sql.contains("EXPLAIN") {
                continue;
            }
            let (found, text) = paceline(args, dir.path());
            assert!(found == code && text.contains(part), "{args:?} {sql}\n{text}");
            assert!(
                !text.contains("sesame") && !text.contains("another"),
                "{args:?} {sql}\n{text}"
            );
        }
    }
}

#[test]
fn a_secret_of_a_hint_is_in_no_file_and_no_log_and_may_change() {
    let dir = tempfile::tempdir().unwrap();
    let sql = TABLE.replace("EXTRA", "").replace("'open-sesame'", "'another'")
        + "CREATE TABLE res (k STRING) WITH ('connector'='filesystem', 'format'='json', 'path'='out');
           INSERT INTO res SELECT k FROM src /*+ OPTIONS('aws.credentials.basic.secretkey'='open-sesame') */;";
    fs::create_dir(dir.path().join("q.samples")).unwrap();
    fs::write(dir.path().join("q.samples/src.jsonl"), "{\"k\":1}\nbad\n").unwrap();
    for secret in ["open-sesame", "other-sesame"] {
        fs::write(dir.path().join("q.sql"), sql.replace("open-sesame", secret)).unwrap();
        let (code, text) = paceline(&["run", "q.sql", "--local", "--state-dir", "st"], dir.path());
        assert!(code == 0 && text.contains("finished") && !text.contains("sesame"), "{text}");
    }
    fn walk(folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path);
            } else {
                let bytes = fs::read(&path).unwrap();
                assert!(!bytes.windows(6).any(|w| w == b"sesame"), "{}", path.display());
            }
        }
    }
    walk(&dir.path().join("st"));
}

const FILE_JOB: &str = "CREATE TABLE src (k STRING, v INT) WITH ('connector'='filesystem','format'='json','path'='in');
CREATE TABLE res (k STRING) WITH ('connector'='filesystem','format'='json','path'='out');
INSERT INTO res SELECT k FROM src WHERE v > 0;";

#[cfg(unix)]
#[test]
fn state_and_errors_are_for_their_owner_alone_and_results_are_not() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("q.sql"), FILE_JOB).unwrap();
    fs::write(dir.path().join("in"), "{\"k\":\"a\",\"v\":1}\nbad\n").unwrap();
    let (code, text) = paceline(&["run", "q.sql", "--state-dir", "st"], dir.path());
    assert_eq!(code, 0, "{text}");
    assert_eq!(paceline(&["run", "q.sql"], dir.path()).0, 0);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in [
        "st",
        "st/checkpoints",
        "st/checkpoints/00000001",
        "st/live",
        "st/errors",
        "paceline-errors",
    ] {
        assert_eq!(mode(&dir.path().join(folder)), 0o700, "{folder}");
    }
    let files = |folder: &str| {
        fs::read_dir(dir.path().join(folder))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect::<Vec<_>>()
    };
    for file in [
        files("st/errors"),
        files("paceline-errors"),
        vec![dir.path().join("st/checkpoints/00000001/manifest")],
    ]
    .concat()
    {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert_ne!(mode(&files("out")[0]) & 0o044, 0, "results are for others, as the umask has it");
}

#[test]
fn a_value_of_any_length_makes_no_long_line_and_what_is_cut_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("q.sql"), FILE_JOB.replace("v > 0", "10 / v > 0")).unwrap();
    let long = "x".repeat(2 << 20);
    fs::write(
        dir.path().join("in"),
        format!("{{\"k\":\"{long}\",\"v\":0}}\n{{\"k\":\"{long}\",\"v\":\"y\"}}\n"),
    )
    .unwrap();
    let (code, text) = paceline(&["run", "q.sql", "--state-dir", "st"], dir.path());
    assert!(
        code == 0 && text.len() < 10_000 && text.contains("bytes left out"),
        "{} {code}",
        text.len()
    );
    assert!(
        text.contains("2 in the error stream (1,048,") && text.contains("bytes of them left out)"),
        "{text}"
    );
    let file = fs::read_dir(dir.path().join("st/errors")).unwrap().next().unwrap().unwrap().path();
    let errors = fs::read_to_string(file).unwrap();
    let errors: Vec<serde_json::Value> =
        errors.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |stage: &str| errors.iter().find(|error| error["stage"] == stage).unwrap();
    // A record is kept whole, in base64; a row is not.
    assert!(of("decode")["raw"].as_str().unwrap().len() > long.len());
    let row = of("operator")["row"].as_str().unwrap();
    assert!(row.len() < (1 << 20) + 100 && row.ends_with("bytes left out)"));
}

#[test]
fn names_of_tables_lead_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["../../etc/x", "/etc/x", ".."] {
        let source = TABLE.replace("EXTRA", "").replace(" src ", &format!(" `{name}` "));
        fs::write(dir.path().join("q.sql"), format!("{source}SELECT k FROM `{name}`;")).unwrap();
        let (code, text) = paceline(&["run", "q.sql", "--local", "--state-dir", "st"], dir.path());
        assert!(
            code == 2
                && text.contains("q.sql:1:")
                && text.contains("leads out of the folder of samples"),
            "{name}: {text}"
        );
        let sink = format!(
            "CREATE TABLE src (k STRING) WITH ('connector'='datagen', 'number-of-rows'='1');
             CREATE TABLE `{name}` (k STRING, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector'='dynamodb', 'table-name'='t');
             INSERT INTO `{name}` SELECT k FROM src;"
        );
        fs::write(dir.path().join("q.sql"), sink).unwrap();
        let (code, text) = paceline(&["run", "q.sql", "--local", "--state-dir", "st"], dir.path());
        assert!(
            code == 2 && text.contains("q.sql:2:") && text.contains("cannot hold a path"),
            "{name}: {text}"
        );
    }
}

#[test]
fn an_address_that_others_reach_is_warned_about_whatever_the_log_level() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("q.sql"), FILE_JOB).unwrap();
    fs::write(dir.path().join("in"), "").unwrap();
    for (address, warned) in [("0.0.0.0:0", true), ("127.0.0.1:0", false)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
        let output = command
            .args(["run", "q.sql", "--listen", address])
            .env("RUST_LOG", "off")
            .current_dir(&dir)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success()
                && text.contains("warning: --listen 0.0.0.0:0 can be reached") == warned,
            "{text}"
        );
    }
}
