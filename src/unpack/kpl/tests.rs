//! What comes of batches in which some records are aggregates.

use std::sync::Arc;

use super::*;

/// As `aws-kinesis-agg` for Python 1.2.3 writes it: `tests/support/kpl.py` has made it.
const FOREIGN: &[u8] = include_bytes!("../../../tests/support/kpl.bin");

fn raw(records: &[&[u8]], hashes: Option<HashRange>) -> RawBatch {
    let mut raw = RawBatch::default();
    for record in records {
        raw.push(|bytes| bytes.extend_from_slice(record));
    }
    let numbers = (0..records.len()).map(|n| (n + 100).to_string()).collect();
    let arrivals_ms = (0..records.len() as i64).map(Some).collect();
    raw.places = Places::Sequence { numbers, arrivals_ms, hashes };
    raw.metadata = vec![
        Arc::new(Int64Array::from(vec![0; records.len()])),
        Arc::new(StringArray::from_iter_values((0..records.len()).map(|n| format!("outer-{n}")))),
        Arc::new(StringArray::from_iter_values((0..records.len()).map(|n| format!("s{n}")))),
    ];
    raw
}

fn step(misplaced: Misplaced) -> Kpl {
    let keys = [SUB_SEQUENCE_NUMBER, PARTITION_KEY, "sequence-number"].map(str::to_string);
    Kpl::new(&keys, misplaced)
}

/// Payload, key, number within the aggregate, sequence number, place and arrival of each record.
fn shown(unpacked: &Unpacked) -> Vec<String> {
    let raw = &unpacked.raw;
    let keys = raw.metadata[1].as_string::<i32>();
    let numbers = raw.metadata[0].as_primitive::<arrow::datatypes::Int64Type>();
    let sequence = raw.metadata[2].as_string::<i32>();
    let one = |i: usize| {
        let payload = String::from_utf8_lossy(raw.record(i));
        let (place, arrived) = (raw.places.describe(i), raw.places.arrived_ms(i));
        let (key, number, sequence) = (keys.value(i), numbers.value(i), sequence.value(i));
        format!("{payload} {key} {number} {sequence} {place} {arrived:?}")
    };
    (0..raw.len()).map(one).collect()
}

fn aggregate(records: &[(&str, &str)]) -> Vec<u8> {
    message::write(records.iter().map(|(key, data)| (*key, data.as_bytes())))
}

#[test]
fn what_is_in_an_aggregate_takes_its_place() {
    let two = aggregate(&[("k", "x"), ("l", "y")]);
    let unpacked = step(Misplaced::Kept).unpack(raw(&[b"plain", &two, b"behind"], None));
    assert_eq!(
        shown(&unpacked),
        [
            "plain outer-0 0 s0 sequence number 100 Some(0)",
            "x k 0 s1 sequence number 101, sub-sequence number 0 Some(1)",
            "y l 1 s1 sequence number 101, sub-sequence number 1 Some(1)",
            "behind outer-2 0 s2 sequence number 102 Some(2)",
        ]
    );
    assert!(unpacked.unusable.is_empty() && unpacked.counts == Counts::default());
}

#[test]
fn what_is_none_stays_as_it_is() {
    let mut broken = aggregate(&[("k", "x")]);
    *broken.last_mut().unwrap() ^= 1;
    let unpacked = step(Misplaced::Kept).unpack(raw(&[&broken, b"", b"\xf3\x89\x9a\xc2"], None));
    assert_eq!(unpacked.raw.record(0), broken);
    assert_eq!((unpacked.raw.len(), unpacked.unusable.len()), (3, 0));
    // Nothing is moved where nothing looks like one.
    let plain = raw(&[b"{}", b"[]"], None);
    let bytes = plain.bytes.as_ptr();
    let unpacked = step(Misplaced::Kept).unpack(plain);
    assert_eq!(unpacked.raw.bytes.as_ptr(), bytes);
    assert!(matches!(unpacked.raw.places, Places::Sequence { .. }));
}

#[test]
fn what_a_foreign_producer_wrote() {
    let unpacked = step(Misplaced::Kept).unpack(raw(&[FOREIGN], None));
    let rows: Vec<String> = shown(&unpacked);
    assert_eq!(rows.len(), 5);
    assert!(rows[0].starts_with("{\"id\":0} rider-0 0 s0 "), "{rows:?}");
    assert!(rows[3].starts_with("{\"id\":3} rider-0 3 s0 "), "{rows:?}");
    assert!(rows[4].starts_with("{\"id\":4} ümlaut 4 s0 "), "{rows:?}");
}

/// Its third record has an explicit hash key of 7.
#[test]
fn keys_of_other_shards_are_counted_and_left_out_where_that_is_wanted() {
    let home = hash("rider-0");
    let around = HashRange { first: home - 1, last: home + 1 };
    for (misplaced, numbers) in [(Misplaced::Kept, 5), (Misplaced::Dropped, 2)] {
        let unpacked = step(misplaced).unpack(raw(&[FOREIGN], Some(around)));
        assert_eq!((unpacked.raw.len(), unpacked.counts.misplaced), (numbers, 3), "{misplaced:?}");
    }
    let low = HashRange { first: 0, last: 7 };
    let unpacked = step(Misplaced::Dropped).unpack(raw(&[FOREIGN], Some(low)));
    assert_eq!(
        shown(&unpacked),
        ["{\"id\":2} rider-2 2 s0 sequence number 100, sub-sequence number 2 Some(0)"]
    );
    let unpacked = step(Misplaced::Dropped).unpack(raw(&[FOREIGN], None));
    assert_eq!(unpacked.raw.len(), 5, "a shard whose keys nobody knows has all");
}

#[test]
fn a_record_without_its_key_is_unusable_and_the_others_are_not() {
    let message = b"\x0a\x01k\x1a\x05\x08\x00\x1a\x01x\x1a\x05\x08\x09\x1a\x01y\x1a\x07\x08\x00\x10\x00\x1a\x01z\x1a\x05\x08\x00\x1a\x01w";
    let record = [b"\xf3\x89\x9a\xc2", &message[..], &Md5::digest(message)].concat();
    let unpacked = step(Misplaced::Kept).unpack(raw(&[&record], None));
    let payloads: Vec<&[u8]> = (0..2).map(|i| unpacked.raw.record(i)).collect();
    assert_eq!((unpacked.raw.len(), payloads), (2, vec![&b"x"[..], b"w"]));
    let told: Vec<(&str, &[u8])> =
        unpacked.unusable.iter().map(|u| (&*u.place, &*u.bytes)).collect();
    assert_eq!(
        told,
        [
            ("sequence number 100, sub-sequence number 1", &b"y"[..]),
            ("sequence number 100, sub-sequence number 2", b"z")
        ]
    );
}

#[test]
fn keys_that_grow_past_all_measure_are_refused() {
    let of_key = |length: usize| {
        let key = "k".repeat(length);
        let record = message::write((0..1000).map(|_| (&*key, &b""[..])));
        step(Misplaced::Kept).unpack(raw(&[&record], None))
    };
    let unpacked = of_key(100_000);
    assert_eq!((unpacked.raw.len(), unpacked.unusable.len()), (0, 1));
    assert_eq!(of_key(256).raw.len(), 1000);
}

#[test]
fn batches_become_smaller_as_records_grow() {
    let mut step = step(Misplaced::Kept);
    let many: Vec<(&str, &str)> = vec![("k", "x"); 1000];
    assert_eq!(step.records_max(), None);
    step.unpack(raw(&[&aggregate(&many)], None));
    assert_eq!(step.records_max(), Some(8));
    step.unpack(raw(&[b"plain"], None));
    assert_eq!(step.records_max(), None);
}

#[test]
fn the_longest_records_pass() {
    let data = vec![b'x'; 10 << 20];
    let long = message::write(std::iter::once(("k", &data[..(10 << 20) - 100])));
    let many = message::write(data.chunks(100).take(95_000).map(|data| ("k", data)));
    assert!(long.len() <= 10 << 20 && many.len() <= 10 << 20);
    let unpacked = step(Misplaced::Kept).unpack(raw(&[&long, &data, &many], None));
    assert_eq!(unpacked.raw.len(), 95_002);
    let lengths: Vec<usize> = (0..3).map(|i| unpacked.raw.record(i).len()).collect();
    assert_eq!(lengths, [(10 << 20) - 100, 10 << 20, 100]);
}
