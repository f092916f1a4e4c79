//! Records made from a seed and then damaged, under every kind of option.
//!
//! Catches: panics on any bytes, a record that leaves a trace in the columns or in the next record,
//! places outside of a record.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, TimeUnit};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::format::{ParseErrors, RowsPerRecord};
use crate::record::Places;
use crate::support::damage::damage;
use crate::support::seeds::each_seed;
use crate::support::tier::by_tier;

const RECORDS_PER_SEED: usize = 20;
const ALPHABET: &[u8] =
    b"\"\"',;|\\#\n\r 0123456789.-+eEtrufalsNUL\t\x00\x7f\xc3\xa9\xff\xef\xbb\xbf";

fn schema() -> SchemaRef {
    let column = |(name, data_type): (&str, DataType)| Field::new(name, data_type, name != "id");
    let columns = [
        ("id", DataType::Int64),
        ("t", DataType::Int8),
        ("b", DataType::Boolean),
        ("d", DataType::Float64),
        ("m", DataType::Decimal128(10, 2)),
        ("s", DataType::Utf8),
        ("y", DataType::Binary),
        ("dt", DataType::Date32),
        ("ts", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("a", DataType::new_list(DataType::Int32, true)),
        ("l", DataType::new_list(DataType::Utf8, true)),
    ];
    Arc::new(Schema::new(columns.map(column).to_vec()))
}

fn raw(records: &[Vec<u8>]) -> RawBatch {
    let mut bytes = Vec::new();
    let mut spans = Vec::new();
    for record in records {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(record);
        spans.push(Span { start, end: bytes.len() as u32 });
    }
    RawBatch { bytes, spans, places: Places::default(), metadata: vec![], ops: None }
}

fn options(rng: &mut ChaCha8Rng) -> CsvOptions {
    let dialect = Dialect {
        delimiter: *b",;|".choose(rng).unwrap(),
        quote: *[Some(b'"'), Some(b'\''), None].choose(rng).unwrap(),
        escape: *[None, Some(b'\\')].choose(rng).unwrap(),
        comments: rng.random(),
    };
    CsvOptions {
        dialect,
        parse_errors: *[ParseErrors::Reported, ParseErrors::Ignored].choose(rng).unwrap(),
        array_delimiter: ["~", "::"].choose(rng).unwrap().to_string(),
        rows_per_record: *[RowsPerRecord::One, RowsPerRecord::Many].choose(rng).unwrap(),
        null_literal: [None, Some(String::new()), Some("NULL".into())].choose(rng).unwrap().clone(),
    }
}

fn field(rng: &mut ChaCha8Rng, options: &CsvOptions) -> String {
    let text = match rng.random_range(0..10) {
        0 => String::new(),
        1 => "NULL".into(),
        2..=4 => rng.random_range(-200..200).to_string(),
        5 => format!("{}.{:03}", rng.random_range(-99..99), rng.random_range(0..1000)),
        6 => ["true", "2024-02-29", "2024-02-29 01:02:03.456", "AQID", "1e5", " 7 "]
            .choose(rng)
            .unwrap()
            .to_string(),
        7 => (0..rng.random_range(0..4))
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .join(&options.array_delimiter),
        _ => (0..rng.random_range(0..8))
            .map(|_| *['a', 'é', '😀', ' ', '\n', ',', '"', '#'].choose(rng).unwrap())
            .collect(),
    };
    match options.dialect.quote.map(char::from) {
        Some(quote) if rng.random_bool(0.4) => {
            format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}")))
        }
        _ => text,
    }
}

fn record(rng: &mut ChaCha8Rng, options: &CsvOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in
        0..if options.rows_per_record == RowsPerRecord::Many { rng.random_range(1..4) } else { 1 }
    {
        if rng.random_bool(0.05) {
            bytes.extend_from_slice(b"# remark\n");
        }
        // A number to begin with, so that most records can be read.
        let mut fields = vec![rng.random_range(0..100).to_string()];
        fields.extend((0..rng.random_range(8..12)).map(|_| field(rng, options)));
        bytes.extend_from_slice(
            fields.join(&char::from(options.dialect.delimiter).to_string()).as_bytes(),
        );
        bytes.extend_from_slice([&b""[..], b"\n", b"\r\n"].choose(rng).unwrap());
    }
    if rng.random_bool(0.4) {
        damage(rng, &mut bytes, ALPHABET);
    }
    bytes
}

fn decoder(options: &CsvOptions) -> CsvDecoder {
    let sources: Vec<CsvSource> = (0..schema().fields().len()).map(CsvSource::Field).collect();
    CsvDecoder::new(&sources, sources.len(), schema(), options.clone()).unwrap()
}

/// What is told of each record: its rows, and what is bad in it. NaN is equal to itself only as
/// text.
fn told(decoded: &Decoded, first: usize) -> Vec<String> {
    let row_of =
        |row: usize| decoded.record_of_row.as_ref().map_or(row, |records| records[row] as usize);
    let rows = (0..decoded.batch.num_rows()).map(|row| {
        let part = decoded.parts.as_ref().and_then(|parts| parts[row]);
        format!(
            "{:04} row {part:?} {:?}",
            first + row_of(row),
            decoded.batch.slice(row, 1).columns()
        )
    });
    let bad = decoded
        .bad
        .iter()
        .map(|bad| format!("{:04} bad {:?} {}", first + bad.index, bad.part, bad.reason));
    let mut all: Vec<String> = rows.chain(bad).collect();
    all.sort();
    all
}

#[test]
fn damaged_records_never_panic_and_leave_no_trace() {
    each_seed(0..by_tier(150, 500, 50_000), |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let options = options(&mut rng);
        let records: Vec<Vec<u8>> =
            (0..RECORDS_PER_SEED).map(|_| record(&mut rng, &options)).collect();
        let together = decoder(&options).decode(&raw(&records));
        let (mut alone, mut skipped, mut nulled) = (Vec::new(), 0, 0);
        for (number, record) in records.iter().enumerate() {
            let decoded = decoder(&options).decode(&raw(std::slice::from_ref(record)));
            let parts = decoded
                .parts
                .iter()
                .flatten()
                .flatten()
                .chain(decoded.bad.iter().filter_map(|bad| bad.part.as_ref()));
            for RecordPart { span, .. } in parts {
                assert!(
                    span.start <= span.end && span.end as usize <= record.len(),
                    "{span:?} of {record:?}"
                );
            }
            assert!(
                options.rows_per_record == RowsPerRecord::Many || decoded.batch.num_rows() <= 1,
                "{record:?}"
            );
            alone.extend(told(&decoded, number));
            skipped += decoded.skipped;
            nulled += decoded.nulled;
        }
        let show = || records.iter().map(|r| String::from_utf8_lossy(r) + "\n").collect::<String>();
        assert_eq!(told(&together, 0), alone, "{options:?}\n{}", show());
        assert_eq!(
            (together.skipped, together.nulled),
            (skipped, nulled),
            "{options:?}\n{}",
            show()
        );
    });
}
