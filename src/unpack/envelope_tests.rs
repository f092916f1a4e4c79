//! What of an envelope becomes a record, what metadata, and what neither.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimeUnit, TimestampMillisecondType};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::support::damage::damage;
use crate::support::seeds::each_seed;
use crate::support::tier::by_tier;

const LOGS: &str = r#"{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/aws/lambda/f","logStream":"s",
  "subscriptionFilters":["all"],"logEvents":[
  {"id":"31953106606966983378809025079804211143289615424298221568","timestamp":1432826855000,"message":"{\"a\": 1.10, \"b\":\"\\u00e9\"}"},
  {"id":"2","timestamp":1432826855001,"message":"START \"x\"\n"},
  {"id":"3","timestamp":1432826855002,"message":"{broken"}]}"#;
const CONTROL: &str = r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],
  "logEvents":[{"id":"","timestamp":1510254469274,"message":"CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}]}"#;
const EVENT: &str = r#"{"version":"0","id":"6a7e8feb","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2",
  "account":"111122223333","time":"2017-12-22T18:43:48Z","region":"us-west-1","resources":["arn:1"],
  "detail":{"instance-id":" i-1","n":12345678901234567890.10}}"#;
const CHANGE: &str = r#"{"data":{"id":315209,"d":1.10},"metadata":{"timestamp":"2020-12-15T05:47:42.724458Z","record-type":"data","operation":"load",
  "partition-key-type":"primary-key","schema-name":"lab","table-name":"leads","transaction-id":87978110091475}}"#;
const CREATED: &str =
    r#"{"metadata":{"record-type":"control","operation":"create-table","table-name":"leads"}}"#;

fn raw(records: &[&str]) -> RawBatch {
    let mut raw = RawBatch::default();
    records.iter().for_each(|record| raw.push(|bytes| bytes.extend_from_slice(record.as_bytes())));
    raw.places = Places::Lines { numbers: (1..=records.len() as u64).collect() };
    raw.metadata =
        vec![Arc::new(StringArray::from_iter_values((0..records.len()).map(|n| format!("m{n}"))))];
    raw
}

fn step(envelope: Envelope, fields: &[(&str, DataType)]) -> Opener {
    let field = |(index, (name, data_type)): (usize, &(&str, DataType))| Field {
        // The source's own column stands in between.
        index: if index == 0 { 0 } else { index + 1 },
        name: (*name).into(),
        data_type: data_type.clone(),
    };
    Opener::new(envelope, fields.iter().enumerate().map(field).collect())
}

fn contents(unpacked: &Unpacked) -> Vec<&str> {
    let raw = &unpacked.raw;
    (0..raw.len()).map(|i| std::str::from_utf8(raw.record(i)).unwrap()).collect()
}

fn times() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

#[test]
fn log_events_are_records_and_health_checks_none() {
    let fields = [
        ("logGroup", DataType::Utf8),
        ("timestamp", times()),
        ("id", DataType::Utf8),
        ("message", DataType::Utf8),
    ];
    let mut step = step(Envelope::CloudWatchLogs, &fields);
    let unpacked = step.unpack(raw(&[CONTROL, LOGS]));
    assert_eq!(
        contents(&unpacked),
        [
            "{\"a\": 1.10, \"b\":\"\\u00e9\"}",
            "{\"message\":\"START \\\"x\\\"\\n\"}",
            "{\"message\":\"{broken\"}"
        ]
    );
    assert_eq!((unpacked.counts.control, unpacked.unusable.len()), (1, 0));
    let metadata = &unpacked.raw.metadata;
    let text = |column: usize, row| metadata[column].as_string::<i32>().value(row).to_string();
    assert_eq!((text(0, 2), text(1, 2)), ("/aws/lambda/f".into(), "m1".into()));
    let times = metadata[2].as_primitive::<TimestampMillisecondType>();
    assert_eq!((times.value(0), times.value(2)), (1_432_826_855_000, 1_432_826_855_002));
    assert_eq!(text(3, 0).len(), 56);
    assert_eq!(text(4, 1), "START \"x\"\n");
    assert_eq!(unpacked.raw.places.describe(2), "line 2, log event 2");
}

#[test]
fn events_have_a_detail_and_fields() {
    let fields = [
        ("detail-type", DataType::Utf8),
        ("time", times()),
        ("resources", DataType::Utf8),
        ("none", DataType::Int64),
    ];
    let mut step = step(Envelope::EventBridge, &fields);
    let unpacked = step.unpack(raw(&[EVENT, "{\"id\":1}", "[]"]));
    assert_eq!(contents(&unpacked), ["{\"instance-id\":\" i-1\",\"n\":12345678901234567890.10}"]);
    let metadata = &unpacked.raw.metadata;
    assert_eq!(metadata[0].as_string::<i32>().value(0), "EC2 Instance State-change Notification");
    assert_eq!(metadata[2].as_primitive::<TimestampMillisecondType>().value(0), 1_513_968_228_000);
    assert_eq!(metadata[3].as_string::<i32>().value(0), "[\"arn:1\"]");
    assert!(metadata[4].is_null(0));
    let told: Vec<&str> = unpacked.unusable.iter().map(|u| &*u.place).collect();
    assert_eq!(told, ["line 2", "line 3"]);
    assert!(unpacked.unusable[0].reason.contains("'envelope' = 'eventbridge'"));
    assert!(unpacked.unusable[0].reason.contains("no 'detail'"), "{:?}", unpacked.unusable);
}

#[test]
fn changes_have_data_and_operations() {
    let fields = [
        ("operation", DataType::Utf8),
        ("transaction-id", DataType::Int64),
        ("timestamp", times()),
    ];
    let mut step = step(Envelope::Dms, &fields);
    let unpacked = step.unpack(raw(&[CREATED, CHANGE]));
    assert_eq!(contents(&unpacked), ["{\"id\":315209,\"d\":1.10}"]);
    let metadata = &unpacked.raw.metadata;
    assert_eq!(metadata[0].as_string::<i32>().value(0), "load");
    assert_eq!(metadata[2].as_primitive::<Int64Type>().value(0), 87_978_110_091_475);
    assert_eq!(metadata[3].as_primitive::<TimestampMillisecondType>().value(0), 1_608_011_262_724);
    assert_eq!((unpacked.counts.control, unpacked.unusable.len()), (1, 0));
}

#[test]
fn payloads_of_devices_are_as_they_are_or_in_base64() {
    let mut step = step(Envelope::Iot, &[("ts", DataType::Int64)]);
    let encoded = r#"{"data":"eyJhIjoxfQ==","ts":7}"#;
    let unpacked = step.unpack(raw(&[
        "{\"a\":0}",
        encoded,
        "{\"data\":{\"b\":1}}",
        "no json",
        "{\"data\":\"?\"}",
    ]));
    assert_eq!(contents(&unpacked), ["{\"a\":0}", "{\"a\":1}", "{\"data\":{\"b\":1}}", "no json"]);
    let ts = unpacked.raw.metadata[0].as_primitive::<Int64Type>();
    assert_eq!((ts.is_null(0), ts.value(1)), (true, 7));
    assert_eq!(unpacked.unusable[0].place, "line 5");
}

#[test]
fn what_is_said_for_all_events_does_not_grow_past_all_measure() {
    let group = "g".repeat(1 << 20);
    let events = vec![r#"{"id":"","timestamp":0,"message":""}"#; 100].join(",");
    let message =
        format!(r#"{{"messageType":"DATA_MESSAGE","logGroup":"{group}","logEvents":[{events}]}}"#);
    let unpacked =
        step(Envelope::CloudWatchLogs, &[("logGroup", DataType::Utf8)]).unpack(raw(&[&message]));
    assert_eq!((unpacked.raw.len(), unpacked.unusable.len()), (0, 1));
    let unpacked = step(Envelope::CloudWatchLogs, &[]).unpack(raw(&[&message]));
    assert_eq!((unpacked.raw.len(), unpacked.unusable.len()), (100, 0));
}

#[test]
fn damaged_envelopes() {
    let all = [Envelope::CloudWatchLogs, Envelope::EventBridge, Envelope::Dms, Envelope::Iot];
    each_seed(0..by_tier(300, 300, 20_000), |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for good in [LOGS, CONTROL, EVENT, CHANGE, CREATED] {
            let mut bytes = good.as_bytes().to_vec();
            damage(&mut rng, &mut bytes, b"\"\"\\{}[]:,0-e. nul\xff\xc3");
            let mut batch = RawBatch::default();
            batch.push(|out| out.extend_from_slice(&bytes));
            batch.push(|out| out.extend_from_slice(EVENT.as_bytes()));
            batch.places = Places::Lines { numbers: vec![1, 2] };
            for envelope in all {
                let fields = [("id", DataType::Utf8), ("timestamp", times())];
                let mut step = step(envelope, &fields);
                let batch = RawBatch {
                    bytes: batch.bytes.clone(),
                    spans: batch.spans.clone(),
                    places: batch.places.clone(),
                    metadata: vec![],
                    ops: None,
                };
                let unpacked = step.unpack(batch);
                let count = unpacked.raw.len();
                assert!(unpacked.raw.metadata.iter().all(|column| column.len() == count));
                (0..count).for_each(|i| drop(unpacked.raw.places.describe(i)));
            }
        }
    });
}
