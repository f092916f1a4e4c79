//! Records that hold several values: arrays, objects one after the other, text behind them. What comes of each, on both paths.

use super::*;

/// One letter for what becomes of each part, in order: the rows' ids, then what is reported with its part and bytes, then what is
/// skipped.
fn outcome(options: JsonOptions, records: &[&[u8]]) -> String {
    let decoded = decode(&schema(&[("a", DataType::Int64)]), options, records);
    let ids = decoded.batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
    let mut out: Vec<String> = (0..ids.len())
        .map(|row| {
            let record = decoded.record_of_row.as_ref().map_or(row as u32, |r| r[row]);
            let part = decoded.parts.as_ref().and_then(|p| p[row]);
            let id = if ids.is_null(row) { "NULL".into() } else { ids.value(row).to_string() };
            match part {
                None => format!("{id}@{record}"),
                Some(part) => format!("{id}@{record}.{}", part.number),
            }
        })
        .collect();
    for bad in &decoded.bad {
        let text = match bad.part {
            None => "whole".into(),
            Some(part) => {
                let text = &records[bad.index][part.span.start as usize..part.span.end as usize];
                format!("{}={}", part.number, String::from_utf8_lossy(text).replace('\n', "|"))
            }
        };
        out.push(format!("!{}.{text}", bad.index));
    }
    if decoded.skipped > 0 {
        out.push(format!("skipped {}", decoded.skipped));
    }
    out.join(" ")
}

const MANY: JsonOptions = JsonOptions {
    rows_per_record: RowsPerRecord::Many,
    parse_errors: ParseErrors::Reported,
    missing_fields: MissingFields::AreNull,
    timestamp_standard: TimestampStandard::Sql,
};

#[test]
fn one_value_a_record() {
    for (record, strict, ignoring) in [
        (r#"{"a":1}{"a":2}"#, r#"1@0 !0.2={"a":2}"#, r#"1@0 !0.2={"a":2}"#),
        ("{\"a\":1}\n{\"a\":2}\n", "1@0 !0.2={\"a\":2}|", "1@0 !0.2={\"a\":2}|"),
        ("{\"a\":1}\n", "1@0", "1@0"),
        (r#"{"a":1} x"#, "1@0 !0.2=x", "1@0 !0.2=x"),
        (r#"x {"a":1}"#, "!0.whole", "skipped 1"),
        (r#"{"a":1"#, "!0.whole", "skipped 1"),
        (r#"{"a":"x"} {"a":2}"#, "!0.whole", r#"NULL@0 !0.2={"a":2}"#),
        (r#"[{"a":1},{"a":2}]"#, "1@0.1 2@0.2", "1@0.1 2@0.2"),
        (r#" [ {"a":1} , {} ] "#, "1@0.1 NULL@0.2", "1@0.1 NULL@0.2"),
        ("[]", "", ""),
        (r#"[{"a":1},null,{"a":3}]"#, "1@0.1 3@0.3 !0.2=null", "1@0.1 skipped 2"),
        (r#"[{"a":1},[{"a":2}],5]"#, r#"1@0.1 !0.2=[{"a":2}] !0.3=5"#, "1@0.1 skipped 2"),
        (r#"[{"a":"x"},{"a":2}]"#, r#"2@0.2 !0.1={"a":"x"}"#, "NULL@0.1 2@0.2"),
        (r#"[{"a":1},{"a":2}"#, "1@0.1 2@0.2 !0.3=", "1@0.1 2@0.2 skipped 1"),
        (r#"[{"a":1},{"a":2},]"#, "1@0.1 2@0.2 !0.3=]", "1@0.1 2@0.2 skipped 1"),
        (r#"[{"a":1} {"a":2}]"#, r#"1@0.1 !0.2={"a":2}]"#, "1@0.1 skipped 1"),
        (r#"[{"a":1},{"a":},{"a":3}]"#, r#"1@0.1 3@0.3 !0.2={"a":}"#, "1@0.1 skipped 2"),
        (r#"[{"a":1}] {"a":2}"#, r#"1@0.1 !0.2={"a":2}"#, r#"1@0.1 !0.2={"a":2}"#),
        (r#"[{"a":1,"b":"]}\"["}]"#, "1@0.1", "1@0.1"),
        ("null", "!0.whole", "skipped 1"),
    ] {
        assert_eq!(outcome(JsonOptions::default(), &[record.as_bytes()]), strict, "{record}");
        assert_eq!(outcome(IGNORE, &[record.as_bytes()]), ignoring, "{record}, errors ignored");
    }
}

#[test]
fn many_values_a_record() {
    for (record, strict, ignoring) in [
        (r#"{"a":1}"#, "1@0", "1@0"),
        ("{\"a\":1}\n\n{\"a\":2}\r\n", "1@0.1 2@0.2", "1@0.1 2@0.2"),
        (r#"{"a":1}{"a":2} {"a":3}"#, "1@0.1 2@0.2 3@0.3", "1@0.1 2@0.2 3@0.3"),
        (r#"{"a":1}[{"a":2},{"a":3}]{"a":4}"#, "1@0.1 2@0.2 3@0.3 4@0.4", "1@0.1 2@0.2 3@0.3 4@0.4"),
        ("{\n\"a\":\n1}\n{\"a\":2}", "1@0.1 2@0.2", "1@0.1 2@0.2"),
        // Broken text ends with its line.
        ("{\"a\":1\n{\"a\":2}\n{\"a\":3}", "2@0.2 3@0.3 !0.1={\"a\":1", "2@0.2 3@0.3 skipped 1"),
        ("{\"a\":1}\nx y\n{\"a\":3}", "1@0.1 3@0.4 !0.2=x !0.3=y", "1@0.1 3@0.4 skipped 2"),
        (r#"{"a":}{"a":2}"#, r#"2@0.2 !0.1={"a":}"#, "2@0.2 skipped 1"),
        (r#"{"a":"x"}{"a":2}"#, r#"2@0.2 !0.1={"a":"x"}"#, "NULL@0.1 2@0.2"),
        ("[{\"a\":1},\n{\"a\":2}\n{\"a\":3}", "1@0.1 2@0.2 !0.3={\"a\":3}", "1@0.1 2@0.2 skipped 1"),
        ("[{\"a\":1}\n", "1@0.1 !0.2=", "1@0.1 skipped 1"),
        ("}\n{\"a\":2}", "2@0.2 !0.1=}", "2@0.2 skipped 1"),
    ] {
        assert_eq!(outcome(MANY, &[record.as_bytes()]), strict, "{record}");
        assert_eq!(
            outcome(JsonOptions { rows_per_record: RowsPerRecord::Many, ..IGNORE }, &[record.as_bytes()]),
            ignoring,
            "{record}, errors ignored"
        );
    }
}

#[test]
fn rows_know_their_records_among_others() {
    let records: &[&[u8]] = &[br#"{"a":1}"#, br#"{"a":2}{"a":3}"#, b"", br#"[{"a":4}]"#, br#"{"a":5}"#];
    assert_eq!(outcome(MANY, records), "1@0 2@1.1 3@1.2 4@3.1 5@4");
    let records: &[&[u8]] = &["\u{feff}{\"a\":1}{\"a\":2}".as_bytes(), br#"{"a":3}"#];
    assert_eq!(outcome(JsonOptions::default(), records), "1@0 3@1 !0.2={\"a\":2}");
}

#[test]
fn what_looks_like_gzip_is_called_so() {
    let decoded = decode(&schema(&[("a", DataType::Int64)]), JsonOptions::default(), &[b"\x1f\x8b\x08\x00x", b"x"]);
    assert!(decoded.bad[0].reason.starts_with("it looks like gzip (it begins with 1f 8b)"), "{}", decoded.bad[0].reason);
    assert!(!decoded.bad[1].reason.contains("gzip"));
}
