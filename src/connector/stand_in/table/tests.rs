//! Is a row visible once, and does the newest stay? The embedded table on a disk of its own,
//! reopened as after a kill.

use std::sync::Arc;

use arrow::array::{Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;

use super::*;
use crate::change::Op;
use crate::sink::PrepareNow;
use crate::time::EventTime;

fn spec(key: &[&str]) -> TableSpec {
    let fields =
        vec![Field::new("a", DataType::Utf8, true), Field::new("n", DataType::Int32, true)];
    TableSpec {
        name: "t".into(),
        schema: Arc::new(Schema::new(fields)),
        primary_key: vec![],
        partitioned_by: key.iter().map(|k| (*k).to_string()).collect(),
    }
}

fn rows(spec: &TableSpec, values: &[(Option<&str>, i32)], window_end_ms: Option<i64>) -> Rows {
    let a = StringArray::from_iter(values.iter().map(|v| v.0));
    let n = Int32Array::from_iter_values(values.iter().map(|v| v.1));
    Rows::of_window(
        RecordBatch::try_new(spec.schema.clone(), vec![Arc::new(a), Arc::new(n)]).unwrap(),
        window_end_ms.map(EventTime::at),
    )
}

#[test]
fn the_later_window_and_the_later_run_win() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&["a"]);
    {
        let table =
            EmbeddedTable::open(dir.path(), spec.clone(), 10, WriteMode::Versioned, Shows::Rows)
                .unwrap();
        let mut writer = table.writer(0, Arc::new(|| {})).unwrap();
        writer
            .write(&rows(&spec, &[(Some("x"), 1), (Some("x"), 2), (Some("b"), 9)], Some(2000)))
            .unwrap();
        let generation = table.generation();
        assert!(generation > 0);
        table
            .writer(1, Arc::new(|| {}))
            .unwrap()
            .write(&rows(&spec, &[(Some("x"), 3)], Some(1000)))
            .unwrap();
        assert_eq!(table.generation(), generation, "an older row changes nothing");
        assert_eq!(writer.prepare(1).unwrap(), Vec::<u8>::new());
        assert_eq!(table.rows().unwrap(), [r#"{"a":"b","n":9}"#, r#"{"a":"x","n":2}"#]);
    }
    let table =
        EmbeddedTable::open(dir.path(), spec.clone(), 11, WriteMode::Versioned, Shows::Rows)
            .unwrap();
    table
        .writer(0, Arc::new(|| {}))
        .unwrap()
        .write(&rows(&spec, &[(Some("x"), 4)], Some(1000)))
        .unwrap();
    assert_eq!(table.rows().unwrap(), [r#"{"a":"b","n":9}"#, r#"{"a":"x","n":4}"#]);
}

#[test]
fn of_one_window_the_higher_revision_wins() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&["a"]);
    let table =
        EmbeddedTable::open(dir.path(), spec.clone(), 10, WriteMode::Versioned, Shows::Rows)
            .unwrap();
    for (n, revision) in [(1, 7), (2, 9), (3, 8)] {
        let row = rows(&spec, &[(Some("x"), n)], Some(1000));
        table
            .writer(0, Arc::new(|| {}))
            .unwrap()
            .write(&Rows { revisions: Some(vec![revision].into()), ..row })
            .unwrap();
    }
    assert_eq!(table.rows().unwrap(), [r#"{"a":"x","n":2}"#]);
}

#[test]
fn without_a_window_the_last_write_wins() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&["a"]);
    let table =
        EmbeddedTable::open(dir.path(), spec.clone(), 10, WriteMode::Versioned, Shows::Rows)
            .unwrap();
    let mut writer = table.writer(0, Arc::new(|| {})).unwrap();
    for n in [5, 3, 4] {
        writer.write(&rows(&spec, &[(Some("x"), n)], None)).unwrap();
    }
    assert_eq!(table.rows().unwrap(), [r#"{"a":"x","n":4}"#]);
}

#[test]
fn results_without_a_window_are_seen_with_their_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&["a"]);
    let open = || {
        EmbeddedTable::open(dir.path(), spec.clone(), 10, WriteMode::InOrder, Shows::Rows).unwrap()
    };
    let deleted = |key| Rows {
        ops: Some([Op::Delete].into_iter().collect()),
        ..rows(&spec, &[(Some(key), 0)], None)
    };
    let staged = {
        let table = open();
        let mut writer = table.writer(0, Arc::new(|| {})).unwrap();
        writer
            .write(&rows(&spec, &[(Some("x"), 1), (Some("y"), 2), (Some("x"), 3)], None))
            .unwrap();
        let staged = writer.prepare(1).unwrap();
        // This is un-happened by a kill.
        writer.write(&deleted("x")).unwrap();
        writer.write(&rows(&spec, &[(Some("z"), 4)], None)).unwrap();
        assert_eq!(table.rows().unwrap(), Vec::<String>::new());
        staged
    };
    let table = open();
    for _ in 0..2 {
        table.recommit(std::slice::from_ref(&staged)).unwrap();
        table.discard_uncommitted().unwrap();
        assert_eq!(table.rows().unwrap(), [r#"{"a":"x","n":3}"#, r#"{"a":"y","n":2}"#]);
    }
    let mut writer = table.writer(0, Arc::new(|| {})).unwrap();
    writer.write(&deleted("y")).unwrap();
    writer.write(&rows(&spec, &[(Some("x"), 5)], None)).unwrap();
    let generation = table.generation();
    table.commit(&[writer.prepare(2).unwrap()]).unwrap();
    assert_eq!(table.rows().unwrap(), [r#"{"a":"x","n":5}"#]);
    assert!(table.generation() > generation);
    assert_eq!(table.leaves(), Leaves::Changes);
}

#[test]
fn a_null_key_is_rejected_and_the_others_pass() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&["a"]);
    let table =
        EmbeddedTable::open(dir.path(), spec.clone(), 10, WriteMode::Versioned, Shows::Rows)
            .unwrap();
    let mut writer = table.writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(&spec, &[(None, 1), (Some("x"), 2)], None)).unwrap();
    assert_eq!(table.rows().unwrap(), [r#"{"a":"x","n":2}"#]);
    let rejected = writer.take_rejected();
    assert_eq!(
        rejected,
        [Rejected { row: r#"{"a":null,"n":1}"#.into(), reason: "key column 'a' is NULL".into() }]
    );
    assert!(writer.take_rejected().is_empty());
}

#[test]
fn rows_without_a_key_appear_once_and_only_when_committed() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&[]);
    let staged = {
        let table =
            EmbeddedTable::open(dir.path(), spec.clone(), 10, WriteMode::Versioned, Shows::Rows)
                .unwrap();
        let mut writers =
            [table.writer(1, Arc::new(|| {})).unwrap(), table.writer(0, Arc::new(|| {})).unwrap()];
        writers[0].write(&rows(&spec, &[(Some("x"), 1), (Some("x"), 1)], None)).unwrap();
        writers[1].write(&rows(&spec, &[(None, 2)], None)).unwrap();
        let staged: Vec<Vec<u8>> = writers.iter_mut().map(|w| w.prepare(1).unwrap()).collect();
        assert!(writers[0].prepare(2).unwrap().is_empty());
        // After the barrier: not part of the epoch, and lost with the process.
        writers[0].write(&rows(&spec, &[(Some("lost"), 3)], None)).unwrap();
        assert_eq!(table.generation(), 0);
        assert!(table.rows().unwrap().is_empty());
        staged
    };
    let table =
        EmbeddedTable::open(dir.path(), spec.clone(), 10, WriteMode::Versioned, Shows::Rows)
            .unwrap();
    let mut writer = table.writer(0, Arc::new(|| {})).unwrap();
    writer.write(&rows(&spec, &[(Some("new"), 4)], None)).unwrap();
    for _ in 0..2 {
        table.commit(&staged).unwrap();
        table.discard_uncommitted().unwrap();
        // In order of epoch, worker and number, whichever writer came first.
        assert_eq!(
            table.rows().unwrap(),
            [r#"{"a":null,"n":2}"#, r#"{"a":"x","n":1}"#, r#"{"a":"x","n":1}"#]
        );
    }
    let generation = table.generation();
    table.commit(&[writer.prepare(2).unwrap()]).unwrap();
    assert_eq!(table.rows().unwrap()[3], r#"{"a":"new","n":4}"#);
    assert!(table.generation() > generation);
    assert!(table.commit(&[b"?".to_vec()]).is_err());
}

#[test]
fn another_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(
        EmbeddedTable::open(dir.path(), spec(&["a"]), 10, WriteMode::Versioned, Shows::Rows)
            .unwrap(),
    );
    let error =
        EmbeddedTable::open(dir.path(), spec(&["n"]), 10, WriteMode::Versioned, Shows::Rows)
            .err()
            .unwrap()
            .to_string();
    assert!(error.contains("has another key"), "{error}");
    let error =
        EmbeddedTable::open(dir.path(), spec(&["z"]), 10, WriteMode::Versioned, Shows::Rows)
            .err()
            .unwrap()
            .to_string();
    assert!(error.contains("key column 'z' does not exist"), "{error}");
}

#[test]
fn writers_at_once_keep_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&["a"]);
    let table =
        EmbeddedTable::open(dir.path(), spec.clone(), 10, WriteMode::Versioned, Shows::Rows)
            .unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let mut writer = table.writer(worker, Arc::new(|| {})).unwrap();
            let spec = &spec;
            scope.spawn(move || {
                for i in 0..100i32 {
                    let n = i * 4 + worker as i32;
                    writer.write(&rows(spec, &[(Some("x"), n)], Some(i64::from(n)))).unwrap();
                }
            });
        }
    });
    assert_eq!(table.rows().unwrap(), [r#"{"a":"x","n":399}"#]);
}

#[test]
fn an_equal_version_is_written_again_and_counted_apart() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&["a"]);
    let table =
        EmbeddedTable::open(dir.path(), spec.clone(), 10, WriteMode::Versioned, Shows::Rows)
            .unwrap();
    let mut writer = table.writer(0, Arc::new(|| {})).unwrap();
    for (n, window_end_ms) in [(1, 1000), (2, 1000), (3, 2000), (4, 1000)] {
        writer.write(&rows(&spec, &[(Some("x"), n)], Some(window_end_ms))).unwrap();
    }
    assert_eq!(table.rows().unwrap(), [r#"{"a":"x","n":3}"#]);
    assert_eq!(table.counts(), Counts { same: 1, newer_window: 1, other_run: 0 });
    drop((writer, table));
    // The state directory of an earlier run that was put back.
    let table = EmbeddedTable::open(dir.path(), spec.clone(), 9, WriteMode::Versioned, Shows::Rows)
        .unwrap();
    table
        .writer(0, Arc::new(|| {}))
        .unwrap()
        .write(&rows(&spec, &[(Some("x"), 5)], Some(9000)))
        .unwrap();
    assert_eq!(table.rows().unwrap(), [r#"{"a":"x","n":3}"#]);
    assert_eq!(table.counts(), Counts { same: 0, newer_window: 0, other_run: 1 });
}

#[test]
fn beside_rows_without_a_window_the_last_one_wins_too() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&["a"]);
    let table =
        EmbeddedTable::open(dir.path(), spec.clone(), 10, WriteMode::InOrder, Shows::Rows).unwrap();
    let mut writer = table.writer(0, Arc::new(|| {})).unwrap();
    for (epoch, (n, window_end_ms)) in (1..).zip([(1, Some(1000)), (2, None), (3, Some(500))]) {
        writer.write(&rows(&spec, &[(Some("x"), n)], window_end_ms)).unwrap();
        table.commit(&[writer.prepare(epoch).unwrap()]).unwrap();
        assert_eq!(table.rows().unwrap(), [format!(r#"{{"a":"x","n":{n}}}"#)]);
    }
    assert_eq!(table.counts(), Counts::default());
}
