//! A job in a program of one's own: only what the library exports is used here.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};
use paceline::{Function, Job, JobFailure, Mistake, Outcome, Ran, Who};

use crate::connectors::Counter;

const SQL: &str = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'counter', 'count' = '25');
    CREATE TABLE found (n BIGINT) WITH ('connector' = 'counter');
    INSERT INTO found SELECT TIMES_SEVEN(n) FROM numbers WHERE Times_Seven(n) > 150;";

/// Multiplies; refuses 3.
fn times_seven() -> Function {
    Function::new("times_seven", [DataType::Int64], DataType::Int64, |columns| {
        let numbers = columns[0].as_primitive::<Int64Type>();
        if numbers.iter().flatten().any(|n| n == 3) {
            return Err("three is not allowed".into());
        }
        let result: Int64Array = numbers.iter().map(|n| n.map(|n| n * 7)).collect();
        Ok(Arc::new(result) as ArrayRef)
    })
}

#[test]
fn a_query_with_a_source_a_sink_and_a_function_of_ones_own() {
    let counter = Counter::default();
    let dir = tempfile::tempdir().unwrap();
    let job = || {
        Job::new(SQL)
            .connector(counter.clone())
            .function(times_seven())
            .state_dir(dir.path().join("state"))
    };
    assert!(job().check().unwrap().contains("found"), "the plan in words");
    let ran = job().set("parallelism.default", "2").run().unwrap();
    assert_eq!(ran, Ran { outcome: Outcome::Finished, records: 25, rows: 3, late: 0, unusable: 1 });
    assert_eq!(counter.sorted(), ["{\"n\":154}", "{\"n\":161}", "{\"n\":168}"]);
    let errors: String = fs::read_dir(dir.path().join("state/errors"))
        .unwrap()
        .map(|f| fs::read_to_string(f.unwrap().path()).unwrap())
        .collect();
    assert!(errors.contains("three is not allowed"), "{errors}");
    // The state directory is the run: it has finished.
    assert_eq!(job().run().unwrap().outcome, Outcome::AlreadyFinished);
}

#[test]
fn a_job_is_stopped_from_another_thread_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let sql = format!(
        "CREATE TABLE ticks (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '500', 'fields.n.kind' = 'sequence',
             'fields.n.start' = '1', 'fields.n.end' = '600');
         CREATE TABLE res (n BIGINT) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{}');
         INSERT INTO res SELECT n FROM ticks;",
        dir.path().join("res").display()
    );
    let job = || Job::new(&*sql).state_dir(dir.path().join("state"));
    let first = job();
    let stop = first.stop();
    let running = std::thread::spawn(move || first.run());
    std::thread::sleep(Duration::from_millis(300));
    stop.stop();
    assert_eq!(running.join().unwrap().unwrap().outcome, Outcome::Stopped);
    assert_eq!(job().run().unwrap().outcome, Outcome::Finished);
    let rows = crate::support::job::sink_rows(&dir.path().join("res"));
    assert_eq!(rows.len(), 600, "each row once");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let wrong = |job: Job| match job.run() {
        Err(e @ (JobFailure::Query(_) | JobFailure::Connect(_))) => {
            assert_eq!(e.who(), Who::User(Mistake::Asked));
            e.to_string()
        }
        other => panic!("{other:?}"),
    };
    let text = wrong(Job::new("SELECT n FROM numbres;"));
    assert!(
        text.contains("query:1:15")
            && text.contains('^')
            && text.contains("'numbres' does not exist"),
        "{text}"
    );
    let text = wrong(Job::new(SQL).connector(Counter::default()));
    assert!(text.to_lowercase().contains("times_seven"), "{text}");
    let text = wrong(Job::new("SELECT 1;").set("paceline.batch.row", "5"));
    assert!(text.contains("did you mean 'paceline.batch.rows'"), "{text}");
    let upper =
        Function::new("upper", [DataType::Utf8], DataType::Utf8, |columns| Ok(columns[0].clone()));
    let text = wrong(Job::new("SELECT 1;").function(upper));
    assert!(text.contains("there is a function 'UPPER' already"), "{text}");
    let text = wrong(Job::new(SQL).function(times_seven()));
    assert!(text.contains("no connector 'counter' here"), "{text}");
}
