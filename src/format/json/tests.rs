//! The rules of reading JSON as tables of cases. Each case runs on the fast and on the careful path, which must agree.

mod fuzz;
mod recorded;
mod several;

use std::sync::Arc;

use super::*;

use arrow::array::{Array, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;

use crate::format::BadRecord;
use crate::format::json::{EncodeOptions, JsonEncoder};

fn raw(records: &[&[u8]]) -> RawBatch {
    let mut raw = RawBatch::default();
    for record in records {
        raw.push(|bytes| bytes.extend_from_slice(record));
        raw.bytes.push(b'\n');
    }
    raw
}

fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(name, t)| Field::new(*name, t.clone(), true)).collect::<Vec<_>>()))
}

fn decoder(schema: &SchemaRef, options: JsonOptions) -> JsonDecoder {
    let payload = |f: &Arc<Field>| JsonField { name: f.name().clone(), source: FieldSource::Payload };
    JsonDecoder::new(schema.fields().iter().map(payload).collect(), schema.clone(), options).unwrap()
}

const IGNORE: JsonOptions = JsonOptions {
    parse_errors: ParseErrors::Ignored,
    missing_fields: MissingFields::AreNull,
    rows_per_record: RowsPerRecord::One,
    timestamp_standard: TimestampStandard::Sql,
};

/// Decodes on both paths and checks that they agree. The fast one reads the batch twice, so that the second time it
/// knows the order of the keys.
fn decode(schema: &SchemaRef, options: JsonOptions, records: &[&[u8]]) -> Decoded {
    let batch = raw(records);
    let slow = decoder(schema, options).decode_records(&batch, Way::Careful);
    let mut decoder = decoder(schema, options);
    for _ in 0..2 {
        let fast = decoder.decode_records(&batch, Way::Fast);
        assert_eq!(fast.batch, slow.batch);
        assert_eq!(fast.record_of_row, slow.record_of_row);
        assert_eq!((&fast.bad, fast.skipped, fast.nulled), (&slow.bad, slow.skipped, slow.nulled));
    }
    slow
}

/// The rows as our encoder writes them.
fn rows(batch: &RecordBatch) -> Vec<String> {
    let mut out = Vec::new();
    JsonEncoder::new(&batch.schema(), EncodeOptions::default()).unwrap().encode(batch, &mut out);
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

/// Reads `{"x": value}` into a column of the type; the value as our encoder writes it, or the reason.
fn read(data_type: &DataType, value: &str) -> Result<String, String> {
    let schema = schema(&[("x", data_type.clone())]);
    let record = format!("{{\"x\":{value}}}");
    let ignoring = decode(&schema, IGNORE, &[record.as_bytes()]);
    let mut strict = decode(&schema, JsonOptions::default(), &[record.as_bytes()]);
    match strict.bad.pop() {
        Some(bad) => {
            assert_eq!(strict.batch.num_rows(), 0);
            assert_eq!(ignoring.skipped + ignoring.nulled, 1);
            Err(bad.reason)
        }
        None => {
            assert_eq!(ignoring.batch, strict.batch);
            let row = rows(&strict.batch).remove(0);
            Ok(row[5..row.len() - 1].to_owned())
        }
    }
}

/// `Some` is what must come out, None means a bad field.
fn check(data_type: DataType, cases: &[(&str, Option<&str>)]) {
    for (value, expected) in cases {
        let actual = read(&data_type, value);
        assert_eq!(actual.as_deref().ok(), *expected, "{value} as {data_type}: {actual:?}");
    }
}

#[test]
fn integers() {
    check(
        DataType::Int32,
        &[
            ("1", Some("1")),
            ("-0", Some("0")),
            ("9.7", Some("9")),
            ("-9.7", Some("-9")),
            ("3.0", Some("3")),
            ("1e3", Some("1000")),
            ("2147483647", Some("2147483647")),
            ("-2147483648", Some("-2147483648")),
            ("2147483648", None),
            ("99999999999999999999", None),
            ("1e400", None),
            ("\"12\"", Some("12")),
            ("\" +7 \"", Some("7")),
            ("\"\\u0037\"", Some("7")),
            ("\"9.7\"", None),
            ("\"\"", None),
            ("\"abc\"", None),
            ("true", None),
            ("[1]", None),
            ("{}", None),
            ("null", Some("null")),
        ],
    );
    check(
        DataType::Int64,
        &[
            ("999999999999999999", Some("999999999999999999")),
            ("-9223372036854775808", Some("-9223372036854775808")),
            ("9223372036854775807", Some("9223372036854775807")),
            ("9223372036854775808", None),
            ("1620566842970.9", Some("1620566842970")),
        ],
    );
    check(DataType::Int8, &[("127", Some("127")), ("-129", None), ("9.7", None), ("\"-128\"", Some("-128"))]);
    check(DataType::Int16, &[("32767", Some("32767")), ("32768", None), ("1.0", None)]);
}

#[test]
fn doubles() {
    check(
        DataType::Float64,
        &[
            ("78.5", Some("78.5")),
            ("-0", Some("-0.0")),
            ("-0.0", Some("-0.0")),
            ("0.1", Some("0.1")),
            ("123456789012345", Some("1.23456789012345E14")),
            ("1234567890123456789", Some("1.2345678901234568E18")),
            ("0.30000000000000004", Some("0.30000000000000004")),
            ("1e-5", Some("1.0E-5")),
            ("1E+2", Some("100.0")),
            ("1e400", Some("\"Infinity\"")),
            ("-1e400", Some("\"-Infinity\"")),
            ("\"NaN\"", Some("\"NaN\"")),
            ("\"-Infinity\"", Some("\"-Infinity\"")),
            ("\" 2.5 \"", Some("2.5")),
            ("\"1d\"", Some("1.0")),
            ("\"inf\"", None),
            ("\"x\"", None),
            ("false", None),
        ],
    );
    check(DataType::Float32, &[("1.1", Some("1.1")), ("16777216", Some("1.6777216E7")), ("\"2.5\"", Some("2.5"))]);
}

#[test]
fn decimals() {
    check(
        DataType::Decimal128(10, 2),
        &[
            ("12.50", Some("12.5")),
            ("\"0.005\"", Some("0.01")),
            ("-0.004", Some("0")),
            ("-0.005", Some("-0.01")),
            ("1E3", Some("1E+3")),
            ("123456789012.345", Some("null")),
            ("\" 7 \"", Some("7")),
            ("\"abc\"", None),
            ("true", None),
        ],
    );
}

#[test]
fn booleans() {
    check(
        DataType::Boolean,
        &[
            ("true", Some("true")),
            ("false", Some("false")),
            ("\"TRUE\"", Some("true")),
            ("\" true \"", Some("true")),
            ("\"yes\"", Some("false")),
            ("1", Some("false")),
            ("[]", None),
        ],
    );
}

#[test]
fn strings() {
    check(
        DataType::Utf8,
        &[
            ("\"plain\"", Some("\"plain\"")),
            ("\"\"", Some("\"\"")),
            ("12", Some("\"12\"")),
            ("1.50", Some("\"1.50\"")),
            ("true", Some("\"true\"")),
            ("{\"o\":[1, 2]}", Some(r#""{\"o\":[1,2]}""#)),
            ("[ ]", Some("\"[]\"")),
            (r#""uni \u00e9 \ud83d\ude00 \" \\ \/ \n\t""#, Some(r#""uni é \uD83D\uDE00 \" \\ / \n\t""#)),
            ("\"raw\ttab\u{1}\"", Some(r#""raw\ttab\u0001""#)),
            (r#""half \ud83d pair""#, Some("\"half ? pair\"")),
            ("null", Some("null")),
        ],
    );
}

#[test]
fn times_and_bytes() {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond};
    let utc = Some("UTC".into());
    check(DataType::Date32, &[("\"2024-02-29\"", Some("\"2024-02-29\"")), ("\"2023-02-29\"", None), ("19782", None)]);
    check(DataType::Time32(Millisecond), &[("\"01:02:03.5\"", Some("\"01:02:03\"")), ("\"25:00:00\"", None)]);
    check(
        DataType::Timestamp(Millisecond, None),
        &[
            ("\"2024-02-29 01:02:03.12\"", Some("\"2024-02-29 01:02:03.12\"")),
            ("\"2024-02-29 01:02:03.1299\"", Some("\"2024-02-29 01:02:03.129\"")),
            ("\"2024-02-29T01:02:03\"", None),
            ("\"2024-02-29 01:02:03Z\"", None),
            ("1709168523000", None),
        ],
    );
    check(
        DataType::Timestamp(Microsecond, utc.clone()),
        &[("\"2024-02-29 01:02:03.999999Z\"", Some("\"2024-02-29 01:02:03.999999Z\"")), ("\"2024-02-29 01:02:03\"", None)],
    );
    check(
        DataType::Timestamp(Nanosecond, None),
        &[("\"2024-02-29 01:02:03.123456789\"", Some("\"2024-02-29 01:02:03.123456789\"")), ("\"1600-01-01 00:00:00\"", None)],
    );
    check(DataType::Binary, &[("\"AQID\"", Some("\"AQID\"")), ("\"AQI\"", None), ("1", None)]);

    let iso = JsonOptions { timestamp_standard: TimestampStandard::Iso8601, ..JsonOptions::default() };
    let schema = schema(&[("x", DataType::Timestamp(Millisecond, utc))]);
    let decoded = decode(&schema, iso, &[br#"{"x":"1970-01-01T00:00:01Z"}"#, br#"{"x":"1970-01-01 00:00:01Z"}"#]);
    assert_eq!(rows(&decoded.batch), [r#"{"x":"1970-01-01 00:00:01Z"}"#]);
    assert_eq!(
        decoded.bad[0].reason,
        "field `x`: expected TIMESTAMP_LTZ as yyyy-MM-ddTHH:mm:ss[.fraction]Z, found \"1970-01-01 00:00:01Z\""
    );
}

#[test]
fn members_may_stand_in_any_order_miss_or_come_twice() {
    let schema = schema(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
    let records: &[&[u8]] = &[
        br#"{"a":1,"b":"x"}"#,
        br#"{"b":"y","a":2}"#,
        b" { \"skip\" : { \"a\" : [ 9, {} , \"}\\\"\" ] } , \"a\" : 3 , \"b\" : \"z\" } \r",
        br#"{"a":4}"#,
        br#"{"A":5,"b":"case"}"#,
        br#"{"a":6,"b":"one","a":7,"b":"two"}"#,
        br#"{"a":8,"a":null}"#,
        br#"{"\u0061":9}"#,
        b"\xEF\xBB\xBF{\"a\":10}",
        b"{}",
        br#"{"x":1,"y":"s\\\"","z":-1.5e-3,"w":[true,false,null],"a":11,"b":"end"}"#,
        br#"{"x":1,"z":-1.5e-3,"w":[true,false,null],"a":12,"b":"end"}"#,
    ];
    let decoded = decode(&schema, JsonOptions::default(), records);
    assert_eq!(decoded.bad, []);
    assert_eq!(decoded.record_of_row, None);
    let expected = [
        r#"{"a":1,"b":"x"}"#,
        r#"{"a":2,"b":"y"}"#,
        r#"{"a":3,"b":"z"}"#,
        r#"{"a":4,"b":null}"#,
        r#"{"a":null,"b":"case"}"#,
        r#"{"a":7,"b":"two"}"#,
        r#"{"a":null,"b":null}"#,
        r#"{"a":9,"b":null}"#,
        r#"{"a":10,"b":null}"#,
        r#"{"a":null,"b":null}"#,
        r#"{"a":11,"b":"end"}"#,
        r#"{"a":12,"b":"end"}"#,
    ];
    assert_eq!(rows(&decoded.batch), expected);
}

/// A scanner that gives up on plain records is still right, only five times slower.
#[test]
fn plain_records_stay_on_the_fast_path() {
    let field =
        |name: &str, data_type: DataType| Column::new(name.into(), &Field::new(name, data_type, true), &JsonOptions::default());
    let mut columns: Vec<Column> =
        [("a", DataType::Int64), ("d", DataType::Float64), ("s", DataType::Utf8), ("b", DataType::Boolean)]
            .into_iter()
            .map(|(name, data_type)| field(name, data_type).unwrap())
            .collect();
    let mut scanner = Scanner::new(&columns);
    for (row, record) in [
        r#"{"a":1,"d":78.5,"s":"x","b":true}"#,
        r#" { "a" : 1 , "d" : 78 , "s" : "x" , "b" : false } "#,
        r#"{"s":"with \"escapes\" \u00e9","a":"12","d":1e-5,"b":null}"#,
        r#"{"other":{"n":[1,{"k":"v\n"}]},"t":true,"a":9.7,"d":"NaN","s":12}"#,
        "{}",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(scanner.record(record.as_bytes(), &mut columns, row).is_some(), "{record}");
        columns.iter_mut().filter(|c| c.len() == row).for_each(Column::push_null);
    }
}

#[test]
fn what_is_not_json_is_reported_with_its_place() {
    let schema = schema(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(500));
    let cases: &[(&[u8], &str)] = &[
        (b"not json", "not a JSON object: not json"),
        (b"\"text\"", "not a JSON object: \"text\""),
        (b"{\"a\":1,\"b\":\"x", "malformed JSON at byte 12: EOF while parsing a string: {\"a\":1,\"b\":\"x"),
        (b"{\"a\":1", "malformed JSON at byte 6: expected `,` or `}`: {\"a\":1"),
        (b"{\"a\":1,}", "malformed JSON at byte 7: expected the name of a field: {\"a\":1,}"),
        (b"{\"a\":01}", "malformed JSON at byte 6: invalid number: {\"a\":01}"),
        (b"{\"c\":1.}", "malformed JSON at byte 7: invalid number: {\"c\":1.}"),
        (b"{\"c\":\"\\q\"}", "malformed JSON at byte 7: invalid escape: {\"c\":\"\\q\"}"),
        (b"{\"c\":tru}", "malformed JSON at byte 8: expected ident: {\"c\":tru}"),
        (b"{\"c\":nullx}", "malformed JSON at byte 9: trailing characters: {\"c\":nullx}"),
        (b"{\"c\":[1}", "malformed JSON at byte 7: expected `,` or `]`: {\"c\":[1}"),
        (b"{\"a\" 1}", "malformed JSON at byte 5: expected `:`: {\"a\" 1}"),
        (b"{\"a\":}", "malformed JSON at byte 5: expected value: {\"a\":}"),
        (b"{\"a\":", "malformed JSON at byte 5: expected a value: {\"a\":"),
        (b"{a:1}", "malformed JSON at byte 1: expected the name of a field: {a:1}"),
        (b"{\"a\":1 \"b\":2}", "malformed JSON at byte 7: expected `,` or `}`: {\"a\":1 \"b\":2}"),
        (b"{\"b\":\"\xff\"}", "field `b`: expected STRING, found \"\u{fffd}\""),
        (b"{\"a\":\"abc\"}", "field `a`: expected BIGINT, found \"abc\""),
        (long.as_bytes(), &format!("field `a`: expected BIGINT, found \"{}…", "x".repeat(78))),
    ];
    for (record, reason) in cases {
        let records: &[&[u8]] = &[br#"{"a":1,"b":"before"}"#, record, br#"{"a":2,"b":"after"}"#];
        let decoded = decode(&schema, JsonOptions::default(), records);
        assert_eq!(decoded.bad, [BadRecord { index: 1, part: None, reason: (*reason).to_owned() }]);
        assert_eq!(decoded.record_of_row, Some(vec![0, 2]));
        assert_eq!(rows(&decoded.batch), [r#"{"a":1,"b":"before"}"#, r#"{"a":2,"b":"after"}"#]);
    }
}

#[test]
fn blank_records_and_trailing_text() {
    let schema = schema(&[("a", DataType::Int64)]);
    let records: &[&[u8]] = &[b"", b" \r\n", br#"{"a":1} {"a":2}"#, br#"{"a":3}}"#, b"{\"a\":4}\r"];
    for options in [JsonOptions::default(), IGNORE] {
        let decoded = decode(&schema, options, records);
        // What follows is kept, whether errors are ignored or not.
        let follows: Vec<_> =
            decoded.bad.iter().map(|b| (b.index, b.part.map(|p| (p.number, p.span.start, p.span.end)))).collect();
        assert_eq!(follows, [(2, Some((2, 8, 15))), (3, Some((2, 7, 8)))]);
        assert_eq!(decoded.record_of_row, Some(vec![2, 3, 4]));
        assert_eq!(decoded.skipped + decoded.nulled, 0);
        assert_eq!(rows(&decoded.batch), [r#"{"a":1}"#, r#"{"a":3}"#, r#"{"a":4}"#]);
    }
}

#[test]
fn bad_fields_can_be_ignored() {
    let schema = schema(&[("a", DataType::Int64), ("b", DataType::Int64)]);
    let records: &[&[u8]] = &[br#"{"a":"x","b":"y"}"#, b"{\"a\":1,\"b\":2", br#"{"a":"x","b":3}"#, br#"{"a":4,"a":"x","b":5}"#];
    let decoded = decode(&schema, IGNORE, records);
    assert_eq!(decoded.skipped + decoded.nulled, 5);
    assert_eq!(decoded.record_of_row, Some(vec![0, 2, 3]));
    assert_eq!(rows(&decoded.batch), [r#"{"a":null,"b":null}"#, r#"{"a":null,"b":3}"#, r#"{"a":null,"b":5}"#]);
}

#[test]
fn missing_and_null_where_they_are_not_allowed() {
    let nullable = schema(&[("a", DataType::Int64)]);
    let strict = JsonOptions { missing_fields: MissingFields::AreErrors, ..JsonOptions::default() };
    let records: &[&[u8]] = &[br#"{"a":null}"#, b"{}", br#"{"a":1}"#];
    let decoded = decode(&nullable, strict, records);
    assert_eq!(decoded.bad, [BadRecord { index: 1, part: None, reason: "field `a` is missing".into() }]);
    assert_eq!(rows(&decoded.batch), [r#"{"a":null}"#, r#"{"a":1}"#]);

    let not_null = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, false)]));
    let decoded = decode(&not_null, JsonOptions::default(), records);
    assert_eq!(decoded.bad.iter().map(|b| b.index).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(decoded.bad[0].reason, "field `a` is NULL or missing, but its column is NOT NULL");
    assert_eq!(decoded.batch.num_rows(), 1);
    assert_eq!(decode(&not_null, IGNORE, records).skipped, 2);
}

#[test]
fn metadata_follows_the_rows_that_were_read() {
    let schema = schema(&[("place", DataType::Utf8), ("n", DataType::Int64), ("seq", DataType::Int64)]);
    let field = |name: &str, source| JsonField { name: name.into(), source };
    let fields = vec![
        field("shard", FieldSource::Metadata(1)),
        field("count", FieldSource::Payload),
        field("sequence", FieldSource::Metadata(0)),
    ];
    let mut decoder = JsonDecoder::new(fields, schema, JsonOptions::default()).unwrap();
    let mut batch = raw(&[br#"{"count":1}"#, b"bad", br#"{"count":3,"n":9}"#]);
    batch.metadata = vec![Arc::new(Int64Array::from(vec![10, 20, 30])), Arc::new(StringArray::from(vec!["a", "b", "c"]))];
    let decoded = decoder.decode(&batch);
    assert_eq!(rows(&decoded.batch), [r#"{"place":"a","n":1,"seq":10}"#, r#"{"place":"c","n":3,"seq":30}"#]);

    batch.metadata.truncate(1);
    let decoded = decoder.decode(&batch);
    assert_eq!((decoded.bad.len(), decoded.batch.num_rows()), (3, 0));
    assert_eq!(decoded.record_of_row, Some(vec![]));
}

#[test]
fn a_query_may_need_no_column_at_all() {
    let decoded = decode(&schema(&[]), JsonOptions::default(), &[br#"{"a":1}"#, b"x", b"{}"]);
    assert_eq!(decoded.batch.num_rows(), 2);
}

#[test]
fn batches_do_not_leak_into_each_other() {
    let schema = schema(&[("s", DataType::Utf8), ("b", DataType::Boolean)]);
    let mut decoder = decoder(&schema, JsonOptions::default());
    let first = decoder.decode(&raw(&[br#"{"s":"one"}"#, br#"{"s":"two","b":true}"#, b"{\"s\":\"bad"]));
    let second = decoder.decode(&raw(&[br#"{"s":"three","b":false}"#]));
    assert_eq!(rows(&first.batch), [r#"{"s":"one","b":null}"#, r#"{"s":"two","b":true}"#]);
    assert_eq!(rows(&second.batch), [r#"{"s":"three","b":false}"#]);
    assert_eq!(second.batch.column(1).null_count(), 0);
}

#[test]
fn tables_that_cannot_be_read() {
    let payload = |name: &str| JsonField { name: name.into(), source: FieldSource::Payload };
    let error =
        |fields: Vec<JsonField>, schema: SchemaRef, options| JsonDecoder::new(fields, schema, options).err().unwrap().to_string();
    let nested = schema(&[("i", DataType::Int32), ("ar", DataType::new_list(DataType::UInt8, true))]);
    let text = error(vec![payload("i"), payload("ar")], nested.clone(), JsonOptions::default());
    assert!(text.starts_with("column `ar`: the type ARRAY"), "{text}");
    assert_eq!(error(vec![payload("i")], nested, JsonOptions::default()), "1 JSON fields for a schema of 2 columns");
    let two = schema(&[("a", DataType::Int32), ("b", DataType::Int32)]);
    let text = error(vec![payload("x"), payload("x")], two, JsonOptions::default());
    assert_eq!(text, "column `b`: another column reads the same JSON member `x`");
    let both = JsonOptions { missing_fields: MissingFields::AreErrors, ..IGNORE };
    assert!(error(vec![], schema(&[]), both).contains("cannot both be true"));
}

#[test]
fn nested_values_are_read_as_deep_as_their_type() {
    use crate::types::nested::{array_of, map_of, row_of};
    let row = row_of([("p".to_string(), DataType::Int32), ("q".to_string(), array_of(DataType::Utf8))]);
    let schema = schema(&[("m", map_of(DataType::Utf8, row)), ("a", array_of(array_of(DataType::Int32)))]);
    let records: &[&[u8]] = &[
        br#"{"m":{"k":{"p":1,"q":["x",null,{"z" : 1}],"other":[{}]},"n":null},"a":[[1,2],[],null]}"#,
        br#"{"m":{"k":{"p":1},"k":{"p":2}},"a":[]}"#,
        br#"{"m":[1],"a":[[1]]}"#,
        br#"{"m":null,"a":[["bad"]]}"#,
    ];
    let good = [
        r#"{"m":{"n":null,"k":{"p":1,"q":["x",null,"{\"z\":1}"]}},"a":[[1,2],[],null]}"#,
        r#"{"m":{"k":{"p":2,"q":null}},"a":[]}"#,
    ];
    let decoded = decode(&schema, JsonOptions::default(), records);
    assert_eq!(rows(&decoded.batch), good);
    assert_eq!(decoded.bad.len(), 2);
    let decoded = decode(&schema, IGNORE, records);
    assert_eq!(rows(&decoded.batch)[2..], [r#"{"m":null,"a":[[1]]}"#, r#"{"m":null,"a":[[null]]}"#]);
    assert_eq!(decoded.skipped + decoded.nulled, 2);
}
