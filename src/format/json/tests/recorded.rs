//! What Apache Flink 2.3 did with the same records: the conformance cases `parse_errors` and
//! `formats`.

use super::*;

/// Objects by value: the order of records and the text of a double are not part of the contract.
fn values<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut values: Vec<String> = lines
        .into_iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap().to_string())
        .collect();
    values.sort();
    values
}

#[test]
fn parse_errors() {
    let input = r#"{"i":1,"s":"ok","d":1.0,"b":true}
{"i":"abc","s":"bad int","d":2.0,"b":true}
not json at all
{"i":2147483648,"s":"int overflow","d":"x","b":"yes"}
{"i":3,"s":"unterminated

{"i":4,"s":"after blank","d":"NaN","b":1}
[1,2]
{"i":5,"s":"dup","i":6}
{"i":7,"s":"trailing"} {"i":8,"s":"second object on the line"}
{"i":9.7,"s":"fraction","d":1e400,"b":"TRUE"}
{"I":10,"s":"case"}"#;
    let expected = r#"{"i":1,"s":"ok","d":1.0,"b":true}
{"i":4,"s":"after blank","d":"NaN","b":false}
{"i":6,"s":"dup","d":null,"b":null}
{"i":7,"s":"trailing","d":null,"b":null}
{"i":9,"s":"fraction","d":"Infinity","b":true}
{"i":null,"s":"bad int","d":2.0,"b":true}
{"i":null,"s":"case","d":null,"b":null}
{"i":null,"s":"int overflow","d":null,"b":false}"#;
    let columns = [
        ("i", DataType::Int32),
        ("s", DataType::Utf8),
        ("d", DataType::Float64),
        ("b", DataType::Boolean),
    ];
    let records: Vec<&[u8]> = input.lines().map(str::as_bytes).collect();
    let decoded = decode(&schema(&columns), IGNORE, &records);
    let written = rows(&decoded.batch);
    assert_eq!(values(written.iter().map(String::as_str)), values(expected.lines()));
    // Two bad lines, two elements, three bad fields; the text after an object is kept.
    assert_eq!((decoded.skipped, decoded.nulled), (4, 3));
    assert_eq!(decoded.bad.iter().map(|b| b.index).collect::<Vec<_>>(), [9]);

    // Without the option Flink's job fails at the first of these; ours reports each.
    let decoded = decode(&schema(&columns), JsonOptions::default(), &records);
    assert_eq!(decoded.bad.iter().map(|b| b.index).collect::<Vec<_>>(), [1, 2, 3, 4, 7, 7, 9]);
}

#[test]
fn formats() {
    let input = r#"{"i":1,"b":true,"f":1.1,"d":100000000000000000000,"m":12.50,"s":"plain","dt":"2024-02-29","tm":"01:02:03","t3":"2024-02-29 01:02:03","tz":"2024-02-29 01:02:03Z","t9":"2024-02-29 01:02:03.123456789","ar":[1,null,3],"mp":{"x":1,"y":null},"rw":{"p":1,"q":"z"},"by":"AQID","extra":"ignored"}
{"i":"12","b":"true","f":"2.5","d":"0.001","m":"0.005","s":12,"t3":"2024-02-29 01:02:03.12"}
{"i":3.0,"s":{"o":[1, 2]},"d":1e-5,"m":1E3,"t3":"2024-02-29 01:02:03.999999"}
{"i":null,"s":null}
{"s":true,"m":123456789012.345,"d":1234567.0,"f":16777216}
{"s":"uni \u00e9 \ud83d\ude00 \" \\ / \n\t","m":-0.004,"d":0.001,"f":0.001}
{}"#;
    // As recorded, without the nested columns, and with the TIMESTAMP(3) of the third row cut to
    // milliseconds: a Flink row keeps the .999999 that it read.
    let expected = r#"{"i":1,"b":true,"f":1.1,"d":1.0E20,"m":12.5,"s":"plain","dt":"2024-02-29","tm":"01:02:03","t3":"2024-02-29 01:02:03","tz":"2024-02-29 01:02:03Z","t9":"2024-02-29 01:02:03.123456789","by":"AQID"}
{"i":12,"b":true,"f":2.5,"d":0.001,"m":0.01,"s":"12","dt":null,"tm":null,"t3":"2024-02-29 01:02:03.12","tz":null,"t9":null,"by":null}
{"i":3,"b":null,"f":null,"d":1.0E-5,"m":1E+3,"s":"{\"o\":[1,2]}","dt":null,"tm":null,"t3":"2024-02-29 01:02:03.999","tz":null,"t9":null,"by":null}
{"i":null,"b":null,"f":null,"d":null,"m":null,"s":null,"dt":null,"tm":null,"t3":null,"tz":null,"t9":null,"by":null}
{"i":null,"b":null,"f":1.6777216E7,"d":1234567.0,"m":null,"s":"true","dt":null,"tm":null,"t3":null,"tz":null,"t9":null,"by":null}
{"i":null,"b":null,"f":0.001,"d":0.001,"m":0,"s":"uni é \uD83D\uDE00 \" \\ / \n\t","dt":null,"tm":null,"t3":null,"tz":null,"t9":null,"by":null}
{"i":null,"b":null,"f":null,"d":null,"m":null,"s":null,"dt":null,"tm":null,"t3":null,"tz":null,"t9":null,"by":null}"#;
    let columns = [
        ("i", DataType::Int32),
        ("b", DataType::Boolean),
        ("f", DataType::Float32),
        ("d", DataType::Float64),
        ("m", DataType::Decimal128(10, 2)),
        ("s", DataType::Utf8),
        ("dt", DataType::Date32),
        ("tm", DataType::Time32(TimeUnit::Millisecond)),
        ("t3", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("tz", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
        ("t9", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ("by", DataType::Binary),
    ];
    let records: Vec<&[u8]> = input.lines().map(str::as_bytes).collect();
    let decoded = decode(&schema(&columns), JsonOptions::default(), &records);
    assert_eq!(decoded.bad, []);
    // Here even the text of numbers is Flink's.
    assert_eq!(rows(&decoded.batch), expected.lines().collect::<Vec<_>>());
}
