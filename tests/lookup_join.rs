//! Lookup joins against a DynamoDB on loopback that throttles, fails and leaves keys unprocessed;
//! and what is refused.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Field, Schema};
use paceline::connector::dynamodb::lookup::DynamoDbLookup;
use paceline::lookup::{Asker, Lookup, LookupSpec};
use paceline::runtime::crash::{CrashPoint, CrashSchedule, NeverCrash};
use paceline::runtime::error::JobError;
use paceline::runtime::job::Outcome;
use paceline::runtime::options::CheckpointTrigger;
use paceline::time::clock::SystemClock;
use serde_json::{Value, json};

use crate::support::dynamodb_server::{DynamoDbServer, Faults};
use crate::support::job::{CrashAt, StopAt, Variation, attempt, planned, sink_rows};

const ROWS: i64 = 1500;
const RIDERS: i64 = 400;

/// A server with riders, and a folder with laps of theirs: every seventh of a rider that is not
/// known, every ninth of none.
struct World {
    server: DynamoDbServer,
    dir: tempfile::TempDir,
}

fn rider_of(lap: i64) -> Option<i64> {
    (lap % 9 != 0).then(|| if lap % 7 == 0 { RIDERS + lap } else { lap * 37 % RIDERS })
}

impl World {
    fn new() -> World {
        let world = World { server: DynamoDbServer::start(), dir: tempfile::tempdir().unwrap() };
        world.server.create_table("riders", ("id", "N"), None);
        world.server.create_table("bests", ("rider", "S"), Some(("course", "S")));
        for id in 0..RIDERS {
            let club = if id % 3 == 0 {
                json!({ "NULL": true })
            } else {
                json!({ "S": format!("club {}", id % 5) })
            };
            let item = json!({ "id": { "N": id.to_string() }, "name": { "S": format!("rider {id}") }, "club": club });
            world.server.put("riders", &item);
        }
        for (rider, course, best) in
            [("a", "north", "12.5"), ("a", "south", "9"), ("b", "north", "10.0")]
        {
            let item = json!({ "rider": { "S": rider }, "course": { "S": course }, "best": { "N": best } });
            world.server.put("bests", &item);
        }
        let mut laps = String::new();
        for lap in 1..=ROWS {
            let (second, rider) =
                (lap / 10, rider_of(lap).map_or("null".into(), |r| r.to_string()));
            let ts = format!("2026-01-01 00:{:02}:{:02}", second / 60, second % 60);
            writeln!(
                laps,
                r#"{{"lap":{lap},"rider":{rider},"name":"{}","ts":"{ts}"}}"#,
                ["a", "b", "c"][lap as usize % 3]
            )
            .unwrap();
        }
        fs::write(world.dir.path().join("laps.jsonl"), laps).unwrap();
        world
    }

    /// A script with all tables.
    fn sql(&self, lookup_options: &str, query: &str) -> String {
        let dir = self.dir.path().display();
        let aws = format!(
            "'connector' = 'dynamodb', 'aws.endpoint' = '{}', 'aws.credentials.basic.accesskeyid' = 'AKIDEXAMPLE', \
             'aws.credentials.basic.secretkey' = 'wJalrXUtnFEMI'{lookup_options}",
            self.server.endpoint()
        );
        let sink = |name: &str, columns: &str| {
            format!(
                "CREATE TABLE {name} ({columns}) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{dir}/{name}');"
            )
        };
        format!(
            "{LAPS} WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{dir}/laps.jsonl');
             CREATE TABLE riders (id BIGINT, name STRING, club STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('table-name' = 'riders', {aws});
             CREATE TABLE bests (rider STRING, course STRING, best DECIMAL(6, 2), note STRING, PRIMARY KEY (rider, course) NOT ENFORCED)
                 WITH ('table-name' = 'bests', {aws});
             {}\n{}\n{query}",
            sink("named", "lap BIGINT, name STRING, club STRING"),
            sink("sums", "window_end TIMESTAMP(3), club STRING, laps BIGINT"),
        )
    }

    fn rows(&self, sink: &str) -> Vec<String> {
        sink_rows(&self.dir.path().join(sink))
    }

    fn run(&self, sql: &str) -> Output {
        fs::write(self.dir.path().join("q.sql"), sql).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
        command
            .args(["run", "q.sql", "--output", "json", "--parallelism", "2"])
            .current_dir(self.dir.path());
        command.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap()
    }
}

const LAPS: &str =
    "CREATE TABLE laps (lap BIGINT, rider BIGINT, name STRING, ts TIMESTAMP(3), pt AS PROCTIME(),
     WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)";
const CACHED: &str = ", 'lookup.cache' = 'PARTIAL', 'lookup.partial-cache.max-rows' = '100'";
const PATIENT: &str = ", 'lookup.max-retries' = '100'";
const NAMED: &str = "INSERT INTO named SELECT lap, r.name, r.club FROM laps AS l
     LEFT JOIN riders FOR SYSTEM_TIME AS OF l.pt AS r ON l.rider = r.id AND r.club <> 'club 1';";

fn trouble() -> Faults {
    Faults {
        throttle_every: 5,
        fail_every: 7,
        unprocessed_every: 3,
        delay_ms_max: 8,
        reads: true,
        ..Faults::default()
    }
}

/// What `NAMED` gives.
fn named() -> Vec<String> {
    let row = |lap: i64| {
        let known = rider_of(lap).filter(|&r| r < RIDERS && r % 3 != 0 && r % 5 != 1);
        match known {
            Some(r) => {
                json!({ "lap": lap, "name": format!("rider {r}"), "club": format!("club {}", r % 5) })
            }
            None => json!({ "lap": lap, "name": null, "club": null }),
        }
    };
    canonical((1..=ROWS).map(row))
}

/// As `sink_rows` writes them.
fn canonical(rows: impl Iterator<Item = Value>) -> Vec<String> {
    let mut rows: Vec<String> = rows.map(|row| row.to_string()).collect();
    rows.sort();
    rows
}

fn values(rows: &[String]) -> Vec<Value> {
    let mut rows: Vec<Value> = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
    rows.sort_by_key(ToString::to_string);
    rows
}

#[test]
fn a_left_join_through_throttling_and_unprocessed_keys() {
    // One key that is left may meet trouble many times in a row.
    for cache in [PATIENT.to_owned(), format!("{PATIENT}{CACHED}")] {
        let world = World::new();
        world.server.set_faults(trouble());
        let output = world.run(&world.sql(&cache, NAMED));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(values(&world.rows("named")), values(&named()), "{cache}");
        assert_eq!(world.server.calls("Query"), 0);
    }
}

#[test]
fn an_inner_join_before_a_window() {
    let world = World::new();
    let query = "INSERT INTO sums SELECT window_end, r.club, COUNT(*) FROM TABLE(TUMBLE(TABLE laps, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) l
         JOIN riders FOR SYSTEM_TIME AS OF l.pt AS r ON l.rider = r.id GROUP BY window_start, window_end, r.club;";
    let output = world.run(&world.sql(CACHED, query));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut want: BTreeMap<(i64, Option<i64>), i64> = BTreeMap::new();
    for lap in 1..=ROWS {
        if let Some(rider) = rider_of(lap).filter(|&r| r < RIDERS) {
            *want.entry((lap / 600 + 1, (rider % 3 != 0).then_some(rider % 5))).or_default() += 1;
        }
    }
    let want = want.into_iter().map(|((minute, club), laps)| {
        let club = club.map(|c| format!("club {c}"));
        json!({ "window_end": format!("2026-01-01 00:{minute:02}:00"), "club": club, "laps": laps })
    });
    assert_eq!(values(&world.rows("sums")), values(&canonical(want)));
}

#[test]
fn a_partition_is_asked_for_where_the_sort_key_is_not_named() {
    let world = World::new();
    world.server.set_faults(trouble());
    let select = "SELECT lap, b.course, b.best FROM laps AS l JOIN bests FOR SYSTEM_TIME AS OF l.pt AS b ON b.rider = l.name WHERE lap < 4;
         SELECT lap, b.best FROM laps AS l JOIN bests FOR SYSTEM_TIME AS OF l.pt AS b ON l.name = b.rider AND b.course = 'south'
         WHERE lap < 4;";
    let output = world.run(&world.sql(PATIENT, select));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<&str> = std::str::from_utf8(&output.stdout).unwrap().lines().collect();
    lines.sort_unstable();
    // Laps 1, 2, 3 are of b, c, a.
    let want = [
        r#"{"op":"+I","lap":1,"course":"north","best":1E+1}"#,
        r#"{"op":"+I","lap":3,"best":9}"#,
        r#"{"op":"+I","lap":3,"course":"north","best":12.5}"#,
        r#"{"op":"+I","lap":3,"course":"south","best":9}"#,
    ];
    assert_eq!(lines, want);
    assert!(world.server.calls("Query") > 0 && world.server.calls("BatchGetItem") > 0);
}

#[test]
fn a_partition_of_several_pages_and_other_joins_beside() {
    let world = World::new();
    for part in 0..8 {
        let item = json!({ "rider": { "S": "c" }, "course": { "S": format!("{part}") }, "note": { "S": "x".repeat(300_000) } });
        world.server.put("bests", &item);
    }
    let select = "SELECT COUNT(*) AS parts, SUM(CHAR_LENGTH(b.note)) AS size, MAX(b.course) AS part FROM laps AS l
         JOIN bests FOR SYSTEM_TIME AS OF l.pt AS b ON b.rider = l.name WHERE lap = 2;
         SELECT lap, part, b.best FROM laps AS l JOIN bests /*+ OPTIONS('lookup.cache' = 'NONE') */ FOR SYSTEM_TIME AS OF l.pt AS b
         ON b.rider = l.name AND b.course = 'south' CROSS JOIN UNNEST(ARRAY[1, 2]) AS u (part) WHERE lap = 3;";
    let output = world.run(&world.sql("", select));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().rfind(|line| line.contains("parts"));
    assert_eq!(last, Some(r#"{"op":"+U","parts":8,"size":2400000,"part":"7"}"#), "{text}");
    assert!(
        text.contains(r#""lap":3,"part":1,"best":9}"#)
            && text.contains(r#""lap":3,"part":2,"best":9}"#),
        "{text}"
    );
    assert!(world.server.calls("Query") >= 3);
}

#[test]
fn kills_and_other_workers_change_nothing() {
    let world = World::new();
    world.server.set_faults(Faults { delay_ms_max: 3, reads: true, ..Faults::default() });
    let sql = world.sql(CACHED, NAMED);
    let state = world.dir.path().join("state");
    let points = [
        Some(CrashPoint::MidRead),
        Some(CrashPoint::MidFire),
        Some(CrashPoint::BeforeManifest),
        None,
    ];
    for (kill, point) in points.into_iter().enumerate() {
        let crashes: Arc<dyn CrashSchedule> = match point {
            Some(point) => Arc::new(CrashAt { point, remaining: AtomicI64::new(4) }),
            None => Arc::new(NeverCrash),
        };
        let trigger = CheckpointTrigger::Records(200);
        let variation = Variation {
            batch_rows: [7, 100, 33, 50][kill],
            trigger,
            crashes,
            ..Variation::plain(1 + kill % 3)
        };
        match (attempt(&sql, &state, &variation).0, point) {
            (Err(JobError::Crashed(_)), Some(_)) | (Ok(Outcome::Finished), None) => {}
            (other, _) => panic!("kill {kill}: {other:?}"),
        }
    }
    assert_eq!(values(&world.rows("named")), values(&named()));
}

/// Two sources that wait for answers nearly all the time, but hardly ever both: a stop must not
/// wait for that.
#[test]
fn sources_that_take_turns_at_waiting_do_not_put_a_stop_off() {
    let world = World::new();
    world.server.set_faults(Faults { delay_ms_max: 200, reads: true, ..Faults::default() });
    let dir = world.dir.path().display();
    let both = format!(
        "CREATE TABLE more (lap BIGINT, rider BIGINT, pt AS PROCTIME())
             WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{dir}/laps.jsonl');
         EXECUTE STATEMENT SET BEGIN {NAMED} {} END;",
        NAMED.replace("FROM laps", "FROM more")
    );
    let variation = Variation { batch_rows: 5, ..Variation::plain(1) };
    let stopper = StopAt::new(10, variation.stop.clone());
    let variation = Variation { crashes: stopper.clone(), ..variation };
    let (outcome, _) = attempt(&world.sql("", &both), &world.dir.path().join("state"), &variation);
    assert_eq!(outcome.unwrap(), Outcome::Stopped);
    // Those that come before the job has asked for its last epoch.
    assert!(stopper.reads_after() <= 4, "{} reads after the stop", stopper.reads_after());
}

#[test]
fn a_lookup_that_cannot_succeed_ends_the_job() {
    let says_of = |world: &World, options: &str, query: &str, words: &[&str]| {
        let output = world.run(&world.sql(options, query));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(words.iter().all(|w| text.contains(w)), "{text}");
    };
    let says = |world: &World, options: &str, words: &[&str]| says_of(world, options, NAMED, words);
    let world = World::new();
    world.server.set_faults(Faults {
        deny: Some("AccessDeniedException"),
        reads: true,
        ..Faults::default()
    });
    says(&world, "", &["lookup in table 'riders' of {\"id\":", "AccessDenied"]);
    world.server.set_faults(Faults { throttle_every: 1, reads: true, ..Faults::default() });
    says(
        &world,
        ", 'lookup.max-retries' = '1'",
        &["lookup in table 'riders' of", "ProvisionedThroughputExceeded"],
    );
    world.server.set_faults(Faults::default());
    world.server.put(
        "bests",
        &json!({ "rider": { "S": "b" }, "course": { "S": "south" }, "best": { "S": "fast" } }),
    );
    let bests = "SELECT lap, b.best FROM laps AS l JOIN bests FOR SYSTEM_TIME AS OF l.pt AS b ON b.rider = l.name;";
    says_of(&world, "", bests, &["lookup in table 'bests'", "best", "fast"]);
    let without = World { server: DynamoDbServer::start(), dir: world.dir };
    says(&without, "", &["'riders'", "does not exist"]);
    without.server.create_table("riders", ("id", "S"), None);
    says(&without, "", &["key attribute 'id'", "type S"]);
}

/// Asks for a rider's row, and waits for the answer.
fn ask(asker: &mut Asker, id: i64) -> Result<usize, String> {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![id]));
    let keys = asker.encode(&[column]).map_err(|e| e.to_string())?;
    asker.ask(vec![keys.get(0).unwrap().into()]).map_err(|e| e.to_string())?;
    while asker.is_waiting() {
        std::thread::yield_now();
    }
    asker.take().map(|answer| answer.unwrap().rows.num_rows()).map_err(|e| e.to_string())
}

#[test]
fn a_table_that_changes_while_it_is_asked_is_said_to_have_changed() {
    for (key, words) in [
        (Some((("id", "S"), None)), ["'riders'", "it has changed while the job ran", "has type S"]),
        (
            Some((("rider", "N"), None)),
            ["'riders'", "it has changed while the job ran", "its key is (rider)"],
        ),
        (
            Some((("id", "N"), Some(("club", "S")))),
            ["'riders'", "it has changed while the job ran", "its key is (id, club)"],
        ),
        (None, ["'riders'", "it does not exist any more", "create it"]),
    ] {
        let world = World::new();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let fields =
            vec![Field::new("id", DataType::Int64, true), Field::new("name", DataType::Utf8, true)];
        let (schema, primary_key) = (Arc::new(Schema::new(fields)), vec!["id".to_owned()]);
        let spec = LookupSpec { table: "riders".into(), schema, keys: vec![0], primary_key };
        let options = [
            ("table-name", "riders"),
            ("aws.endpoint", world.server.endpoint()),
            ("aws.credentials.basic.accesskeyid", "AKIDEXAMPLE"),
            ("aws.credentials.basic.secretkey", "wJalrXUtnFEMI"),
            ("aws.credentials.provider", "BASIC"),
        ];
        let options = options.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let table = DynamoDbLookup::new(spec.clone(), &options, 3, runtime.handle().clone().into())
            .unwrap();
        let lookup = Arc::new(Lookup::new(spec, Arc::new(table), None, SystemClock::shared()));
        let mut asker = lookup.asker(Arc::new(|| {})).unwrap();
        assert_eq!(ask(&mut asker, 1), Ok(1));
        assert_eq!(ask(&mut asker, RIDERS + 1), Ok(0));
        world.server.delete_table("riders");
        if let Some((hash, range)) = key {
            world.server.create_table("riders", hash, range);
        }
        let error = ask(&mut asker, 2).unwrap_err();
        assert!(words.iter().all(|w| error.contains(w)), "{error}");
    }
}

#[test]
fn a_sample_stands_in_for_the_table() {
    let world = World::new();
    let samples = world.dir.path().join("q.samples");
    fs::create_dir(&samples).unwrap();
    fs::write(
        samples.join("riders.jsonl"),
        "{\"id\":37,\"name\":\"Ada\"}\n{\"id\":74,\"name\":\"Bo\",\"club\":\"x\"}\n",
    )
    .unwrap();
    let query = "SELECT lap, r.name, r.club FROM laps AS l JOIN riders FOR SYSTEM_TIME AS OF l.pt AS r ON l.rider = r.id WHERE lap < 5;";
    fs::write(world.dir.path().join("q.sql"), world.sql("", query)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    let output = command
        .args(["run", "--local", "q.sql", "--output", "json"])
        .current_dir(&world.dir)
        .output()
        .unwrap();
    let mut lines: Vec<&str> = std::str::from_utf8(&output.stdout).unwrap().lines().collect();
    lines.sort_unstable();
    let want = [
        r#"{"op":"+I","lap":1,"name":"Ada","club":null}"#,
        r#"{"op":"+I","lap":2,"name":"Bo","club":"x"}"#,
    ];
    assert_eq!(lines, want, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(world.server.calls("BatchGetItem") + world.server.calls("DescribeTable"), 0);
}

#[test]
fn what_is_no_lookup_join_is_refused_with_its_place() {
    let tables = format!(
        "{LAPS} WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'laps.jsonl');
CREATE TABLE riders (id BIGINT, name STRING, club STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'dynamodb', 'table-name' = 'r');
CREATE TABLE bests (rider STRING, course STRING, best INT, PRIMARY KEY (rider, course) NOT ENFORCED)
 WITH ('connector' = 'dynamodb', 'table-name' = 'b', 'lookup.cache' = 'PARTIAL');
CREATE TABLE loose (id BIGINT) WITH ('connector' = 'dynamodb', 'table-name' = 'b');
CREATE TABLE stream (id BIGINT) WITH ('connector' = 'kinesis', 'stream.arn' = 'arn:aws:kinesis:eu-west-1:1:stream/s', 'format' = 'json');
CREATE VIEW v AS SELECT * FROM laps;
"
    );
    let line = tables.lines().count() as u64 + 1;
    for (query, column, words) in [
        ("SELECT * FROM riders;", 15, "cannot be read, only looked up"),
        (
            "SELECT * FROM laps AS l JOIN riders AS r ON l.rider = r.id;",
            30,
            "FOR SYSTEM_TIME AS OF",
        ),
        (
            "SELECT * FROM laps AS l JOIN stream FOR SYSTEM_TIME AS OF l.pt AS r ON l.rider = r.id;",
            30,
            "cannot be looked up",
        ),
        (
            "SELECT * FROM laps AS l JOIN v FOR SYSTEM_TIME AS OF l.pt AS r ON l.rider = r.rider;",
            54,
            "cannot be looked up",
        ),
        (
            "SELECT * FROM laps AS l JOIN ridders FOR SYSTEM_TIME AS OF l.pt AS r ON l.rider = r.id;",
            30,
            "does not exist",
        ),
        ("SELECT * FROM laps FOR SYSTEM_TIME AS OF pt;", 15, "second table of a JOIN"),
        (
            "SELECT * FROM laps AS l, riders FOR SYSTEM_TIME AS OF l.pt AS r WHERE l.rider = r.id;",
            26,
            "second table of a JOIN",
        ),
        (
            "SELECT * FROM laps AS l RIGHT JOIN riders FOR SYSTEM_TIME AS OF l.pt AS r ON l.rider = r.id;",
            36,
            "INNER or LEFT",
        ),
        (
            "SELECT * FROM laps AS l FULL JOIN riders FOR SYSTEM_TIME AS OF l.pt AS r ON l.rider = r.id;",
            35,
            "INNER or LEFT",
        ),
        (
            "SELECT * FROM laps AS l CROSS JOIN riders FOR SYSTEM_TIME AS OF l.pt AS r;",
            36,
            "INNER or LEFT",
        ),
        (
            "SELECT * FROM laps AS l JOIN riders FOR SYSTEM_TIME AS OF l.ts AS r ON l.rider = r.id;",
            59,
            "joins the versions of a table, which needs one too",
        ),
        (
            "SELECT * FROM laps AS l JOIN riders FOR SYSTEM_TIME AS OF l.name AS r ON l.rider = r.id;",
            59,
            "is no time attribute",
        ),
        (
            "SELECT * FROM laps AS l JOIN riders FOR SYSTEM_TIME AS OF l.nope AS r ON l.rider = r.id;",
            59,
            "nope",
        ),
        (
            "SELECT * FROM laps AS l JOIN riders FOR SYSTEM_TIME AS OF l.pt AS r ON l.rider > r.id;",
            30,
            "needs in its ON an equation for 'id'",
        ),
        (
            "SELECT * FROM laps AS l JOIN riders FOR SYSTEM_TIME AS OF l.pt AS r ON l.name = r.name;",
            30,
            "needs in its ON an equation for 'id'",
        ),
        (
            "SELECT * FROM laps AS l JOIN riders FOR SYSTEM_TIME AS OF l.pt AS r ON l.name = CAST(r.id AS STRING);",
            30,
            "'id'",
        ),
        (
            "SELECT * FROM laps AS l JOIN loose FOR SYSTEM_TIME AS OF l.pt AS r ON l.rider = r.id;",
            30,
            "PRIMARY KEY",
        ),
        (
            "SELECT * FROM laps AS l JOIN bests FOR SYSTEM_TIME AS OF l.pt AS r ON l.name = r.course;",
            30,
            "needs in its ON an equation for 'rider'",
        ),
    ] {
        let error = planned(&format!("{tables}{query}")).expect_err(query);
        let place = error.place.map(|p| (p.line, p.column));
        assert!(error.message.contains(words), "{query}\n{error:?}");
        assert_eq!(place, Some((line, column)), "{query}\n{error:?}");
    }
    let options =
        "SELECT * FROM laps AS l JOIN bests FOR SYSTEM_TIME AS OF l.pt AS r ON l.name = r.rider;";
    let error = planned(&format!("{tables}{options}")).expect_err("no bound");
    assert!(
        error.message.contains("'lookup.cache' = 'PARTIAL' needs one of") && error.place.is_some(),
        "{error:?}"
    );
}
