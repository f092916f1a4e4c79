//! Lookup joins with tables that are read once: files, made-up rows, and what stands in for systems
//! that are not here; and what is refused of them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn paceline(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    command.args(arguments).current_dir(dir).env_clear().output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const LAPS: &str = "CREATE TABLE laps (lap BIGINT, rider BIGINT, course STRING, pt AS PROCTIME())
    WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'laps.jsonl');\n";
const ROWS: &str = r#"{"lap":1,"rider":1,"course":"north"}
{"lap":2,"rider":2,"course":"south"}
{"lap":3,"rider":9,"course":"north"}
{"lap":4,"rider":null,"course":"north"}
"#;
const CLUBS: &str = "1,ann,north\n1,ann,south\n2,bob,south\n2,bea,south\n-,nobody,north\n";

/// A folder with laps, the clubs of riders, and `sql` behind the table of laps.
fn folder(sql: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("laps.jsonl"), ROWS).unwrap();
    fs::write(dir.path().join("clubs.csv"), CLUBS).unwrap();
    fs::write(dir.path().join("q.sql"), format!("{LAPS}{sql}")).unwrap();
    dir
}

/// The sorted rows that a query gives.
fn rows_of(sql: &str, arguments: &[&str]) -> Vec<String> {
    let dir = folder(sql);
    let all = [&["run", "q.sql", "--output", "json"], arguments].concat();
    let output = paceline(dir.path(), &all);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut rows: Vec<String> = text(&output.stdout)
        .lines()
        .map(|line| line.replace(r#""op":"+I","#, ""))
        .filter(|line| line.starts_with('{'))
        .collect();
    rows.sort();
    rows
}

fn clubs(key: &str) -> String {
    format!(
        "CREATE TABLE clubs (id BIGINT, name STRING, course STRING{key})
            WITH ('connector' = 'filesystem', 'format' = 'csv', 'csv.null-literal' = '-', 'path' = 'clubs.csv');\n"
    )
}

#[test]
fn a_file_without_a_key_is_looked_up_by_any_columns() {
    let join = "FROM laps AS l LEFT JOIN clubs FOR SYSTEM_TIME AS OF l.pt AS c ON";
    let by_one = format!("{}SELECT lap, c.name {join} l.rider = c.id;", clubs(""));
    let want = [
        r#"{"lap":1,"name":"ann"}"#,
        r#"{"lap":1,"name":"ann"}"#,
        r#"{"lap":2,"name":"bea"}"#,
        r#"{"lap":2,"name":"bob"}"#,
        r#"{"lap":3,"name":null}"#,
        r#"{"lap":4,"name":null}"#,
    ];
    assert_eq!(rows_of(&by_one, &["--parallelism", "2"]), want);
    let by_two = format!(
        "{}SELECT lap, c.name, c.id {join} c.course = l.course AND l.rider = c.id AND c.name <> 'bob';",
        clubs("")
    );
    let want = [
        r#"{"lap":1,"name":"ann","id":1}"#,
        r#"{"lap":2,"name":"bea","id":2}"#,
        r#"{"lap":3,"name":null,"id":null}"#,
        r#"{"lap":4,"name":null,"id":null}"#,
    ];
    assert_eq!(rows_of(&by_two, &[]), want);
    // A constant is a key too.
    let constant = format!(
        "{}SELECT lap, c.name {} c.id = l.rider AND c.course = 'north';",
        clubs(""),
        join.replace("LEFT ", "")
    );
    assert_eq!(rows_of(&constant, &[]), [r#"{"lap":1,"name":"ann"}"#]);
}

#[test]
fn of_rows_with_one_declared_key_the_last_counts() {
    let sql = format!(
        "{}SELECT lap, c.name FROM laps AS l JOIN clubs FOR SYSTEM_TIME AS OF l.pt AS c ON l.course = c.course;",
        clubs(", PRIMARY KEY (id) NOT ENFORCED")
    );
    // Rider 1 is in the south, rider 2 is Bea, and a rider without a number is none.
    let want = [r#"{"lap":2,"name":"ann"}"#, r#"{"lap":2,"name":"bea"}"#];
    assert_eq!(rows_of(&sql, &[]), want);
}

const FAKED: &str = "CREATE TABLE riders (name STRING, age INT, id BIGINT, extra AS UPPER(name)) WITH ('connector' = 'faker',
    'fields.name.expression' = '#{Name.fullName}', 'fields.id.expression' = '#{number.numberBetween ''0'',''100''}',
    'fields.age.expression' = '#{number.numberBetween ''20'',''30''}');\n";

#[test]
fn faker_makes_a_row_for_any_key_and_the_same_for_the_same() {
    let sql = format!(
        "{FAKED}SELECT lap, r.id, r.name, r.age FROM laps AS l LEFT JOIN riders FOR SYSTEM_TIME AS OF l.pt AS r ON l.rider = r.id;
         SELECT course, r.name FROM laps AS l JOIN riders FOR SYSTEM_TIME AS OF l.pt AS r ON l.course = r.name AND r.age >= 20;
         SELECT r.name, r.age FROM laps AS l JOIN riders FOR SYSTEM_TIME AS OF l.pt AS r ON r.id = 5;"
    );
    let rows: Vec<serde_json::Value> =
        rows_of(&sql, &[]).iter().map(|row| serde_json::from_str(row).unwrap()).collect();
    for row in rows.iter().filter(|row| row["lap"].as_i64().is_some_and(|lap| lap < 4)) {
        let lap = row["lap"].as_u64().unwrap() as usize;
        assert_eq!(row["id"].as_u64(), Some([1, 2, 9][lap - 1]), "the key is the key: {row}");
        assert!(row["name"].as_str().is_some_and(|name| name.contains(' ')), "{row}");
        assert!(row["age"].as_i64().is_some_and(|age| (20..30).contains(&age)), "{row}");
    }
    let by_course = rows.iter().filter(|row| row["course"].is_string());
    assert!(by_course.clone().all(|row| row["course"] == row["name"]) && by_course.count() == 4);
    let mut of_five: Vec<_> = rows.iter().filter(|row| row.get("lap").is_none()).collect();
    of_five.retain(|row| row.get("course").is_none());
    assert!(of_five.len() == 4 && of_five.iter().all(|row| *row == of_five[0]), "{of_five:?}");
}

#[test]
fn made_up_rows_with_an_end_are_looked_up() {
    let sql = "CREATE TABLE numbers (id BIGINT, other BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1',
            'number-of-rows' = '7', 'fields.id.kind' = 'sequence', 'fields.id.start' = '2', 'fields.id.end' = '8',
            'fields.other.min' = '5', 'fields.other.max' = '5');
        SELECT lap, n.other FROM laps AS l JOIN numbers FOR SYSTEM_TIME AS OF l.pt AS n ON l.rider = n.id;";
    assert_eq!(rows_of(sql, &[]), [r#"{"lap":2,"other":5}"#]);
}

#[test]
fn a_system_that_is_not_here_needs_no_key() {
    let sql = "CREATE TABLE users (id BIGINT, name STRING) WITH ('connector' = 'jdbc', 'url' = 'jdbc:mysql://db/x', 'table-name' = 'u');
        SELECT lap, u.name FROM laps AS l LEFT JOIN users FOR SYSTEM_TIME AS OF l.pt AS u ON l.rider = u.id;";
    let dir = folder(sql);
    let checked = paceline(dir.path(), &["check", "q.sql"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(
        text(&checked.stdout).contains("look up users by id, Left"),
        "{}",
        text(&checked.stdout)
    );
    fs::create_dir(dir.path().join("q.samples")).unwrap();
    let users = "{\"id\":1,\"name\":\"ann\"}\n{\"id\":1,\"name\":\"amy\"}\n";
    fs::write(dir.path().join("q.samples/users.jsonl"), users).unwrap();
    let ran = paceline(dir.path(), &["run", "q.sql", "--local", "--output", "json"]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let mut names: Vec<String> = text(&ran.stdout).lines().map(str::to_owned).collect();
    names.retain(|line| line.contains("\"lap\":1,") || line.contains("\"lap\":2,"));
    names.sort();
    let want = [
        r#"{"op":"+I","lap":1,"name":"amy"}"#,
        r#"{"op":"+I","lap":1,"name":"ann"}"#,
        r#"{"op":"+I","lap":2,"name":null}"#,
    ];
    assert_eq!(names, want);
}

#[test]
fn what_cannot_be_read_once_is_refused() {
    let join = |on: &str| {
        format!("SELECT lap FROM laps AS l JOIN t FOR SYSTEM_TIME AS OF l.pt AS t ON {on};")
    };
    let file = |path: &str, more: &str| {
        format!(
            "CREATE TABLE t (id BIGINT, name STRING, course STRING)
             WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}'{more});\n"
        )
    };
    let datagen = "CREATE TABLE t (id BIGINT) WITH ('connector' = 'datagen');\n";
    for (table, on, words) in [
        (file(".", ", 'source.monitor-interval' = '1 s'"), "l.rider = t.id", "never ends"),
        (datagen.into(), "l.rider = t.id", "'number-of-rows'"),
        (file("clubs.csv", ""), "l.rider > t.id", "an equation for one of its columns"),
    ] {
        let dir = folder(&format!("{table}{}", join(on)));
        let checked = paceline(dir.path(), &["check", "q.sql"]);
        let said = text(&checked.stderr);
        assert!(checked.status.code() == Some(2) && said.contains(words), "{words}: {said}");
    }
    let bad = folder(&format!("{}{}", file("clubs.csv", ""), join("l.rider = t.id")));
    fs::write(bad.path().join("clubs.csv"), "1,ann,north\nx,bob,south\n").unwrap();
    let ran = paceline(bad.path(), &["run", "q.sql"]);
    let said = text(&ran.stderr);
    assert!(ran.status.code() == Some(2) && said.contains("line 2 cannot be read"), "{said}");
    let many = folder(&format!(
        "SET 'paceline.memory' = '256 mb';\n{}{}",
        file("many.csv", ""),
        join("l.rider = t.id")
    ));
    fs::write(many.path().join("many.csv"), "1,ann,north\n".repeat(1_000_000)).unwrap();
    let ran = paceline(many.path(), &["run", "q.sql"]);
    let said = text(&ran.stderr);
    assert!(said.contains("more than 64 MiB, a quarter of 'paceline.memory'"), "{said}");
}
