//! Hints behind SELECT: which state STATE_TTL speaks of, what of LOOKUP does nothing, and what is
//! refused.

use std::fs;
use std::process::Command;

const TABLES: &str = "
    CREATE TABLE orders (id BIGINT, customer BIGINT, amount INT, pt AS PROCTIME()) WITH ('connector' = 'datagen');
    CREATE TABLE customers (id BIGINT, name STRING) WITH ('connector' = 'datagen', 'number-of-rows' = '5');
    CREATE VIEW large AS SELECT * FROM orders WHERE amount > 10;
    SET 'table.exec.state.ttl' = '1 h';\n";

/// What `check` prints, and the notes about hints in it; or what it refuses.
fn planned(query: &str) -> Result<(String, Vec<String>), String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("q.sql"), format!("{TABLES}{query}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    let output = command.args(["check", "q.sql"]).current_dir(dir.path()).env_clear();
    let output = output.output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let notes = shown.lines().filter(|line| line.starts_with("note: the hint"));
    Ok((shown.clone(), notes.map(str::to_owned).collect()))
}

#[test]
fn each_side_of_a_join_and_each_aggregation_is_kept_as_its_hint_says() {
    let hour = "3600000 ms after their last change";
    for (query, lines) in [
        (
            "SELECT /*+ STATE_TTL('o' = '1d', 'customers' = '12h') */ o.id, name FROM orders AS o JOIN customers ON o.customer = customers.id;",
            vec!["rows of the left side are kept 86400000 ms after their last change, those of the right 43200000 ms"],
        ),
        // The rows that have been joined already, and those that no hint names, are kept as the job says.
        (
            "SELECT /*+ STATE_TTL('c' = '0 s') */ o.id, c.name, l.amount FROM orders o LEFT JOIN customers c ON o.customer = c.id
             JOIN large l ON l.id = o.id;",
            vec![
                "left side are kept 3600000 ms after their last change, those of the right for ever",
                "rows of both sides are kept 3600000 ms",
            ],
        ),
        (
            "SELECT /*+ STATE_TTL('l' = '2 min') */ customer, COUNT(*) FROM large AS l WHERE id > 3 GROUP BY customer;",
            vec!["groups are kept 120000 ms after their last change"],
        ),
        (
            "SELECT customer, COUNT(*) FROM (SELECT /*+ STATE_TTL('orders' = '1 d') */ customer FROM orders) t GROUP BY customer;",
            vec![hour],
        ),
        (
            "SELECT /*+ STATE_TTL('t' = '1 d'), BROADCAST(t) */ DISTINCT t.customer FROM (SELECT customer FROM orders) AS t;",
            vec!["groups are kept 86400000 ms"],
        ),
        // A hint is of its own SELECT, whether or not that has a name.
        (
            "SELECT customer, COUNT(*) FROM (SELECT /*+ STATE_TTL('orders' = '1 d') */ customer FROM orders) GROUP BY customer;",
            vec![hour],
        ),
        (
            "SELECT COUNT(*) FROM (SELECT /*+ STATE_TTL('orders' = '1 d') */ customer FROM orders),
               (SELECT /*+ STATE_TTL('customers' = '1 d') */ id FROM customers) WHERE customer = id;",
            vec!["rows of both sides are kept 3600000 ms"],
        ),
        (
            "SELECT /*+ STATE_TTL('orders' = '1 d') */ id FROM orders WHERE customer IN (SELECT id FROM customers);",
            vec!["rows of both sides are kept 3600000 ms"],
        ),
        // Of two hints about a table the first says, of two in one hint the last.
        (
            "SELECT /*+ STATE_TTL('large' = '2 min'), STATE_TTL('large' = '3 min') */ customer, COUNT(*) FROM large GROUP BY customer;",
            vec!["groups are kept 120000 ms"],
        ),
        (
            "SELECT /*+ STATE_TTL('large' = '2 min', 'large' = '3 min') */ customer, COUNT(*) FROM large GROUP BY customer;",
            vec!["groups are kept 180000 ms"],
        ),
        (
            "SELECT /*+ STATE_TTL('o' = '1d') */ o.id, u.x FROM orders AS o JOIN customers AS c ON o.id = c.id CROSS JOIN UNNEST(ARRAY[1, 2]) AS u (x);",
            vec!["rows of the left side are kept 86400000 ms", "those of the right 3600000 ms"],
        ),
    ] {
        let (shown, notes) = planned(query).unwrap_or_else(|e| panic!("{query}: {e}"));
        for line in lines {
            assert!(shown.contains(line), "{query}: {line}\n{shown}");
        }
        assert_eq!(notes, Vec::<String>::new());
    }
}

#[test]
fn a_lookup_hint_is_checked_and_what_does_nothing_is_told() {
    let lookup = |hint: &str| {
        planned(&format!(
            "SELECT /*+ {hint} */ o.id, c.name FROM orders AS o JOIN customers FOR SYSTEM_TIME AS OF o.pt AS c ON o.customer = c.id;"
        ))
    };
    assert!(lookup("LOOKUP('table'='c')").is_ok_and(|(_, notes)| notes.is_empty()));
    let (_, notes) =
        lookup("LOOKUP('table'='c', 'async'='true', 'output-mode'='allow_unordered')").unwrap();
    assert!(notes.len() == 1 && notes[0].contains("'async', 'output-mode'"), "{notes:?}");
    for (hint, words) in [
        ("LOOKUP('table'='x')", "names 'x', which is not in the FROM of its SELECT (o, c)"),
        ("LOOKUP('table'='customers')", "names 'customers'"),
        ("LOOKUP('async'='true')", "needs 'table'"),
        ("STATE_TTL('x'='1d')", "STATE_TTL names 'x'"),
        ("STATE_TTL('o'='soon')", "'o' = 'soon'"),
        ("FASTER('o')", "the hint FASTER is not supported"),
    ] {
        let error = lookup(hint).expect_err(hint);
        assert!(error.contains(words), "{hint}: {error}");
    }
}
