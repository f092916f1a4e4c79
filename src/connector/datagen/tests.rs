//! Rows by tables, the rate by a clock that is set, and reading on from any row.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use arrow::datatypes::{DataType, TimeUnit};

use super::*;
use crate::time::clock::SetClock;

fn columns() -> Vec<Declared> {
    let column = |name: &str, data_type| Declared { name: name.into(), data_type, exact: None };
    let mut columns = vec![
        column("n", DataType::Int64),
        column("i", DataType::Int32),
        column("d", DataType::Float64),
        column("m", DataType::Decimal128(5, 2)),
        column("s", DataType::Utf8),
        column("b", DataType::Boolean),
        column("y", DataType::Binary),
        column("ts", DataType::Timestamp(TimeUnit::Millisecond, None)),
        column("dt", DataType::Date32),
    ];
    columns.push(Declared { exact: Some("CHAR(3)".into()), ..column("c", DataType::Utf8) });
    columns
}

fn source(options: &[(&str, &str)]) -> (DatagenSource, Arc<SetClock>) {
    let map: BTreeMap<String, String> =
        options.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let options = DatagenOptions::parse("t", &map, &columns()).unwrap();
    let names: Vec<String> = columns().into_iter().map(|c| c.name).collect();
    let clock = Arc::new(SetClock::at(1_700_000_000_000));
    (DatagenSource::new("t", options, &names, clock.clone()), clock)
}

fn rows(source: &DatagenSource, from: u64, batch: usize) -> Vec<String> {
    let split = source.discover().unwrap().remove(0).id;
    let mut reader = source
        .open(&split, &Position::after_records(from), ReadAhead::alone(Arc::new(|| {})))
        .unwrap();
    let mut rows = Vec::new();
    loop {
        match reader.poll(batch).unwrap() {
            Polled::Records(raw) => {
                assert_eq!(
                    reader.position(),
                    Position::after_records(from + (rows.len() + raw.len()) as u64)
                );
                rows.extend(
                    (0..raw.len()).map(|i| String::from_utf8(raw.record(i).to_vec()).unwrap()),
                );
            }
            Polled::Pending { .. } | Polled::Found { .. } | Polled::End { .. } => return rows,
        }
    }
}

const FAST: (&str, &str) = ("rows-per-second", "1000000000000");

#[test]
fn values_lie_in_their_ranges_and_do_not_depend_on_how_a_row_is_reached() {
    let (source, clock) = source(&[
        FAST,
        ("fields.n.kind", "sequence"),
        ("fields.n.start", "-5"),
        ("fields.n.end", "194"),
        ("fields.i.min", "3"),
        ("fields.i.max", "5"),
        ("fields.d.min", "-1"),
        ("fields.d.max", "1"),
        ("fields.s.length", "7"),
        ("fields.s.var-len", "true"),
        ("fields.b.null-rate", "0.5"),
        ("fields.y.null-rate", "1"),
        ("fields.ts.max-past", "10 s"),
    ]);
    assert!(source.bounded());
    let split = source.discover().unwrap().remove(0).id;
    let mut reader = source
        .open(&split, &Position::after_records(0), ReadAhead::alone(Arc::new(|| {})))
        .unwrap();
    clock.monotonic_ms.store(1000, Ordering::Relaxed);
    let mut all = Vec::new();
    while let Polled::Records(raw) = reader.poll(37).unwrap() {
        all.extend((0..raw.len()).map(|i| String::from_utf8(raw.record(i).to_vec()).unwrap()));
    }
    assert_eq!(all.len(), 200);
    let (mut lengths, mut nulls, mut numbers) = (vec![0; 8], 0, vec![0; 6]);
    for (i, row) in all.iter().enumerate() {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        assert_eq!(row["n"], i as i64 - 5);
        numbers[row["i"].as_u64().unwrap() as usize] += 1;
        assert!((-1.0..=1.0).contains(&row["d"].as_f64().unwrap()));
        assert!((0.0..=999.0).contains(&row["m"].as_f64().unwrap()));
        lengths[row["s"].as_str().unwrap().len()] += 1;
        nulls += usize::from(row["b"].is_null());
        assert!(row["y"].is_null());
        let ts = row["ts"].as_str().unwrap();
        assert!(("2023-11-14 22:13:10".."2023-11-14 22:13:21").contains(&ts), "{ts}");
        assert_eq!(row["dt"], "2023-11-14");
        assert_eq!(row["c"].as_str().unwrap().len(), 3);
    }
    assert!(
        numbers[..3].iter().all(|n| *n == 0) && numbers[3..].iter().all(|n| *n > 20),
        "{numbers:?}"
    );
    assert!(lengths[0] == 0 && lengths[1..].iter().all(|n| *n > 5), "{lengths:?}");
    assert!((50..150).contains(&nulls), "{nulls}");
    for from in [1, 100, 199] {
        let mut reader = source
            .open(&split, &Position::after_records(from), ReadAhead::alone(Arc::new(|| {})))
            .unwrap();
        clock.monotonic_ms.fetch_add(1000, Ordering::Relaxed);
        let Polled::Records(raw) = reader.poll(1).unwrap() else { panic!("a row is there") };
        assert_eq!(raw.record(0), all[from as usize].as_bytes());
    }
}

#[test]
fn rows_come_at_the_rate_and_end_with_the_shortest_sequence() {
    let (source, clock) = source(&[("rows-per-second", "10"), ("number-of-rows", "25")]);
    assert_eq!(rows(&source, 0, 100).len(), 1);
    let split = source.discover().unwrap().remove(0).id;
    let mut reader = source
        .open(&split, &Position::after_records(0), ReadAhead::alone(Arc::new(|| {})))
        .unwrap();
    let mut come = |ms| {
        clock.monotonic_ms.store(ms, Ordering::Relaxed);
        match reader.poll(100).unwrap() {
            Polled::Records(raw) => raw.len(),
            Polled::Pending { empty } => usize::from(empty.is_none()),
            Polled::Found { .. } | Polled::End { .. } => 99,
        }
    };
    assert_eq!(
        [come(0), come(50), come(1000), come(1000), come(9000), come(9000)],
        [1, 0, 10, 0, 14, 99]
    );
    let sequence =
        |end| [("fields.n.kind", "sequence"), ("fields.n.start", "1"), ("fields.n.end", end)];
    let count = |options: &[(&str, &str)]| self::source(options).0.options.rows;
    assert_eq!(count(&sequence("7")), Some(7));
    assert_eq!(count(&[&sequence("7")[..], &[("number-of-rows", "3")]].concat()), Some(3));
    assert_eq!(count(&sequence("0")), Some(0));
    assert_eq!(count(&[]), None);
}

#[test]
fn options_that_do_not_fit_are_named() {
    for (options, part) in [
        (&[("fields.n.kind", "sequence")][..], "a sequence needs 'fields.n.start'"),
        (&[("fields.b.kind", "sequence")], "column 'b': its type has no sequence"),
        (&[("fields.n.kind", "other")], "random or sequence"),
        (&[("fields.zz.min", "1")], "no option 'fields.zz.min'"),
        (&[("fields.b.length", "1")], "no option 'fields.b.length'"),
        (&[("fields.i.min", "x")], "'fields.i.min' = 'x'"),
        (&[("fields.i.min", "5"), ("fields.i.max", "4")], "are no range"),
        (&[("fields.i.max", "3000000000")], "are no range"),
        (&[("fields.c.length", "4")], "from 1 to 3"),
        (&[("fields.n.null-rate", "2")], "from 0 to 1"),
        (&[("rows-per-second", "0")], "at least 1"),
        (&[("fields.ts.max-past", "soon")], "max-past"),
    ] {
        let map: BTreeMap<String, String> =
            options.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let error = DatagenOptions::parse("t", &map, &columns()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
