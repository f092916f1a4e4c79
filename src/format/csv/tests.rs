//! Decoding and encoding by tables: what Flink 2.3 gave for the same bytes.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, ListArray, StringArray};
use arrow::datatypes::{Field, Int32Type, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;

use super::*;
use crate::record::{Places, Span};

fn raw(records: &[&str]) -> RawBatch {
    let mut bytes = Vec::new();
    let spans = records.iter().map(|record| {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(record.as_bytes());
        Span { start, end: bytes.len() as u32 }
    });
    let spans = spans.collect();
    RawBatch { bytes, spans, places: Places::default(), metadata: vec![], ops: None }
}

fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(
        columns.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>(),
    ))
}

/// One value of one column per record: None where the record is bad.
fn column(data_type: DataType, options: CsvOptions, values: &[&str]) -> Vec<Option<String>> {
    let mut decoder =
        CsvDecoder::new(&[CsvSource::Field(0)], 1, schema(&[("x", data_type)]), options).unwrap();
    let one = |value: &&str| {
        let decoded = decoder.decode(&raw(&[value]));
        assert_eq!(decoded.batch.num_rows() + decoded.bad.len(), 1, "{value}");
        let array = decoded.batch.column(0);
        decoded.bad.is_empty().then(|| {
            if array.is_null(0) { "NULL".into() } else { array_value_to_string(array, 0).unwrap() }
        })
    };
    values.iter().map(one).collect()
}

#[test]
fn values_that_csv_reads_unlike_json() {
    type Read<'a> = (&'a str, Option<&'a str>);
    let cases: [(DataType, &[Read]); 6] = [
        (
            DataType::Int8,
            &[(" 1 ", Some("1")), ("+5", Some("5")), ("128", None), ("", None), ("1.0", None)],
        ),
        (DataType::Boolean, &[(" True ", Some("true")), ("1", Some("false")), ("", Some("false"))]),
        (
            DataType::Decimal128(10, 2),
            &[
                ("1e3", Some("1000.00")),
                (" 1", None),
                ("1.005", Some("1.01")),
                ("123456789012", Some("NULL")),
                ("5.", Some("5.00")),
            ],
        ),
        (
            DataType::Date32,
            &[
                ("2023-02-29", Some("2023-03-01")),
                ("2024-2-9", Some("2024-02-09")),
                ("2024-12-31", Some("2024-12-31")),
                ("24-01-01", None),
                ("2024-13-01", None),
                (" 2024-02-29", None),
            ],
        ),
        (
            DataType::Time32(arrow::datatypes::TimeUnit::Millisecond),
            &[
                ("12:34", Some("12:34:00")),
                ("12:34:56.7891", Some("12:34:56.789")),
                ("24:00:00", None),
                ("1:2:3", None),
            ],
        ),
        (
            DataType::Binary,
            &[("AQID", Some("010203")), ("A QID", None), ("QQ", None), ("", Some(""))],
        ),
    ];
    for (data_type, values) in cases {
        let texts: Vec<&str> = values.iter().map(|v| v.0).collect();
        let expected: Vec<Option<String>> = values.iter().map(|v| v.1.map(str::to_owned)).collect();
        assert_eq!(
            column(data_type.clone(), CsvOptions::default(), &texts),
            expected,
            "{data_type}"
        );
        // With errors ignored what cannot be read is NULL.
        let ignoring = CsvOptions { parse_errors: ParseErrors::Ignored, ..CsvOptions::default() };
        let expected: Vec<Option<String>> =
            expected.into_iter().map(|v| v.or(Some("NULL".into()))).collect();
        assert_eq!(column(data_type, ignoring, &texts), expected);
    }
}

#[test]
fn surplus_missing_and_unused_fields() {
    let schema = schema(&[("c", DataType::Utf8), ("a", DataType::Int64)]);
    let sources = [CsvSource::Field(2), CsvSource::Field(0)];
    let records = [
        "1,x,one",
        "2,x",
        "3",
        "4,x,four,",
        "5,x,five, ,",
        "6,x,six,y",
        "",
        "bad,x,y",
        "7,\"x\"z,y",
        "8,,",
    ];
    let mut decoder = CsvDecoder::new(&sources, 3, schema.clone(), CsvOptions::default()).unwrap();
    let decoded = decoder.decode(&raw(&records));
    assert_eq!(decoded.record_of_row.as_deref(), Some(&[0, 1, 3, 9][..]));
    assert_eq!(decoded.batch.column(1).as_primitive::<Int64Type>().values().as_ref(), [1, 2, 4, 8]);
    let text: Vec<Option<&str>> = decoded.batch.column(0).as_string::<i32>().iter().collect();
    assert_eq!(text, [Some("one"), None, Some("four"), Some("")]);
    let bad: Vec<(usize, &str)> =
        decoded.bad.iter().map(|b| (b.index, b.reason.as_str())).collect();
    assert_eq!(bad[0], (2, "1 fields where 2 are needed"));
    assert_eq!(bad[1], (4, "more than 3 fields"));
    assert_eq!(bad[4], (7, "field `a`: 'bad' is no BIGINT"));
    assert_eq!(bad[5], (8, "text follows the closing quote of a field"));
    let ignoring = CsvOptions { parse_errors: ParseErrors::Ignored, ..CsvOptions::default() };
    let decoded = CsvDecoder::new(&sources, 3, schema, ignoring).unwrap().decode(&raw(&records));
    assert_eq!(decoded.record_of_row.as_deref(), Some(&[0, 1, 2, 3, 6, 7, 9][..]));
    assert!(decoded.bad.is_empty());
    assert_eq!(decoded.skipped + decoded.nulled, 5);
}

#[test]
fn arrays_nulls_and_comments() {
    let item = |t| DataType::new_list(t, true);
    let schema =
        schema(&[("s", DataType::Utf8), ("n", item(DataType::Int32)), ("t", item(DataType::Utf8))]);
    let options = CsvOptions {
        array_delimiter: "|".into(),
        null_literal: Some("NULL".into()),
        dialect: Dialect { comments: true, ..Dialect::default() },
        ..CsvOptions::default()
    };
    let sources = [CsvSource::Field(0), CsvSource::Field(1), CsvSource::Field(2)];
    let mut decoder = CsvDecoder::new(&sources, 3, schema, options).unwrap();
    let records = ["a,1|2,x|y", "# b", "b,x|1,q", "NULL,NULL,NULL", " ", "c,,|"];
    let decoded = decoder.decode(&raw(&records));
    assert_eq!(decoded.record_of_row.as_deref(), Some(&[0, 3, 5][..]));
    assert_eq!(decoded.bad.len(), 1);
    let numbers: &ListArray = decoded.batch.column(1).as_list();
    assert_eq!(numbers.value(0).as_primitive::<Int32Type>().values().as_ref(), [1, 2]);
    assert!(numbers.value(1).is_null(0));
    assert_eq!(numbers.value(2).len(), 0);
    let text: &ListArray = decoded.batch.column(2).as_list();
    assert_eq!(text.value(2).as_string::<i32>().iter().collect::<Vec<_>>(), [Some(""), Some("")]);
    assert!(decoded.batch.column(0).is_null(1));
}

fn lines(values: Vec<Option<&str>>, options: CsvOptions) -> Vec<String> {
    let numbers = Int32Array::from_iter_values(0..values.len() as i32);
    let columns: Vec<(&str, ArrayRef)> =
        vec![("n", Arc::new(numbers)), ("s", Arc::new(StringArray::from(values)))];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
            .unwrap();
    let mut encoder = CsvEncoder::new(&batch.schema(), options).unwrap();
    let mut out = Vec::new();
    encoder.encode_rows(&batch, 0..batch.num_rows(), &mut out);
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn quotes_are_written_where_jackson_writes_them() {
    let values = [
        "plain",
        "q\"uote",
        "back\\slash",
        "#hash",
        "it's",
        "-x.y/z:0",
        "abcdefghijklmnopqrstuvwx",
        "abcdefghijklmnopqrstuvwxy",
        "äöüäöüäöüäöüäöüäöüäöüäöü",
        "",
        "a|b",
    ];
    let dialect = Dialect::default();
    let with = |dialect| CsvOptions { dialect, ..CsvOptions::default() };
    let expected = [
        "0,plain",
        "1,\"q\"\"uote\"",
        "2,\"back\\slash\"",
        "3,\"#hash\"",
        "4,\"it's\"",
        "5,-x.y/z:0",
        "6,abcdefghijklmnopqrstuvwx",
        "7,\"abcdefghijklmnopqrstuvwxy\"",
        "8,äöüäöüäöüäöüäöüäöüäöüäöü",
        "9,",
        "10,a|b",
    ];
    assert_eq!(lines(values.map(Some).to_vec(), with(dialect)), expected);
    let escaped =
        lines(vec![Some("back\\slash")], with(Dialect { escape: Some(b'\\'), ..dialect }));
    assert_eq!(escaped, ["0,\"back\\\\slash\""]);
    let bare = lines(
        values.map(Some).to_vec(),
        with(Dialect { quote: None, escape: Some(b'\\'), ..dialect }),
    );
    assert_eq!(bare[1..4], ["1,q\"uote", "2,back\\slash", "3,#hash"]);
    let options = CsvOptions {
        null_literal: Some("NULL".into()),
        ..with(Dialect { delimiter: b'|', ..dialect })
    };
    let piped = lines(vec![Some("plain"), None, Some("äöü"), Some("")], options);
    assert_eq!(piped, ["0|\"plain\"", "1|NULL", "2|äöü", "3|"]);
}

#[test]
fn records_of_several_lines() {
    use ParseErrors::{Ignored, Reported};
    use RowsPerRecord::{Many, One};
    let columns = [("a", DataType::Int32), ("b", DataType::Utf8)];
    let outcome = |rows_per_record, parse_errors, comments: bool, record: &str| {
        let dialect = Dialect { comments, ..Dialect::default() };
        let options =
            CsvOptions { rows_per_record, parse_errors, dialect, ..CsvOptions::default() };
        let sources = [CsvSource::Field(0), CsvSource::Field(1)];
        let mut decoder = CsvDecoder::new(&sources, 2, schema(&columns), options).unwrap();
        let decoded = decoder.decode(&raw(&[record]));
        let mut out: Vec<String> = (0..decoded.batch.num_rows())
            .map(|row| {
                let part =
                    decoded.parts.as_ref().map_or(0, |p| p[row].map_or(0, |part| part.number));
                format!("{}@{part}", array_value_to_string(decoded.batch.column(1), row).unwrap())
            })
            .collect();
        for bad in &decoded.bad {
            let part = bad.part.map(|p| {
                format!("{}={}", p.number, &record[p.span.start as usize..p.span.end as usize])
            });
            out.push(format!("!{}", part.unwrap_or("whole".into())));
        }
        if decoded.skipped > 0 {
            out.push(format!("skipped {}", decoded.skipped));
        }
        out.join(" ")
    };
    for (record, one, many) in [
        ("1,x", "x@0", "x@0"),
        ("1,x\n", "x@0", "x@0"),
        ("1,x\r\n", "x@0", "x@0"),
        ("1,x\n2,y\n", "x@0 !2=2,y\n", "x@1 y@2"),
        ("1,x\r\n2,y", "x@0 !2=2,y", "x@1 y@2"),
        ("1,\"x\n!\"\n2,y", "x\n!@0 !2=2,y", "x\n!@1 y@2"),
        ("z,x\n2,y", "!whole", "y@2 !1=z,x"),
    ] {
        assert_eq!(outcome(One, Reported, false, record), one, "{record:?}");
        assert_eq!(outcome(Many, Reported, false, record), many, "{record:?}, many");
    }
    assert_eq!(outcome(Many, Ignored, false, "1,x,3\n2,y"), "y@2 skipped 1");
    assert_eq!(outcome(One, Reported, true, "# z\n1,x\n2,y"), "x@0 !2=2,y");
    assert_eq!(outcome(Many, Reported, true, "# z\n1,x\n2,y"), "x@2 y@3");
}
