//! JSON to columns and back, on 200-byte Alleycat events: 5 of 10 members are read, as the
//! leaderboard query does.

use std::hint::black_box;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use criterion::{Criterion, Throughput};
use paceline::format::Decoder;
use paceline::format::json::{
    EncodeOptions, FieldSource, JsonDecoder, JsonEncoder, JsonField, JsonOptions,
};
use paceline::record::RawBatch;

const RECORDS: u32 = 4096;

/// Events of many racers, with the numbers as a device sends them: some whole, some with fractions.
fn events() -> RawBatch {
    let mut raw = RawBatch::default();
    for i in 0..RECORDS {
        let (racer, second) = (i % 1000, i / 1000 + 1);
        let cadence = 30.0 + f64::from(i * 7 % 600) / 10.0;
        let resistance = 33.0 + f64::from(i * 13 % 530) / 10.0;
        let event = format!(
            r#"{{"uuid":"b340d30f-625b-4f6a-9a3f-{i:012x}","event":"update","deviceTimestamp":{},"second":{second},"raceId":5400802,"name":"Hayden","racerId":{racer},"classId":3,"cadence":{cadence},"resistance":{resistance}}}"#,
            1_620_566_842_970i64 + i64::from(second) * 1000,
        );
        raw.push(|bytes| bytes.extend_from_slice(event.as_bytes()));
        raw.bytes.push(b'\n');
    }
    raw
}

fn decoder() -> JsonDecoder {
    let columns = [
        ("deviceTimestamp", DataType::Int64),
        ("raceId", DataType::Int64),
        ("racerId", DataType::Int64),
        ("cadence", DataType::Float64),
        ("resistance", DataType::Float64),
    ];
    let fields = columns
        .iter()
        .map(|(name, _)| JsonField { name: (*name).into(), source: FieldSource::Payload });
    let schema = Schema::new(
        columns.iter().map(|(name, t)| Field::new(*name, t.clone(), true)).collect::<Vec<_>>(),
    );
    JsonDecoder::new(fields.collect(), Arc::new(schema), JsonOptions::default())
        .expect("the types are supported")
}

pub fn decode(c: &mut Criterion) {
    let raw = events();
    let mut decoder = decoder();
    assert!(decoder.decode(&raw).bad.is_empty());
    let mut group = c.benchmark_group("json");
    group.throughput(Throughput::Elements(RECORDS.into()));
    group.bench_function("decode_5_of_10", |b| b.iter(|| decoder.decode(black_box(&raw))));
    group.finish();
}

pub fn encode(c: &mut Criterion) {
    let batch = decoder().decode(&events()).batch;
    let mut encoder = JsonEncoder::new(&batch.schema(), EncodeOptions::default())
        .expect("the types are supported");
    let mut out = Vec::new();
    let mut group = c.benchmark_group("json");
    group.throughput(Throughput::Elements(RECORDS.into()));
    group.bench_function("encode_5", |b| {
        b.iter(|| {
            out.clear();
            encoder.encode(black_box(&batch), &mut out);
        });
    });
    group.finish();
}
