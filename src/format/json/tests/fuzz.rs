//! The fast path against the careful one, on records made from a seed and then damaged.
//!
//! Catches: values or columns mixed up by a wrong guess of the key order, rows not undone after a failure half way,
//! text that only one path accepts, and panics on any bytes.

use super::*;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::damage::damage;
use crate::support::seeds::{chosen, each_seed};
use crate::support::tier::by_tier;

const RECORDS_PER_BATCH: usize = 100;
/// With one set of options, for one seed.
const BATCHES_PER_SEED: usize = 5;
/// What damage is made of.
const ALPHABET: &[u8] = b"\"\\{}[]:,0123456789.-+eEtrufalsn \t\x01\x7f\xc3\xa9\xff";

/// Whether the seeds reached both outcomes in numbers, so many for each seed: otherwise a comparison says little.
fn both_in_numbers(seeds: u64, [(what, found, per_seed), (other, found_other, per_seed_other)]: [(&str, usize, u64); 2]) {
    let is_enough = found as u64 > per_seed * seeds && found_other as u64 > per_seed_other * seeds;
    assert!(is_enough || chosen().is_some(), "{found} {what}, {found_other} {other}");
}

fn all_types() -> SchemaRef {
    schema(&[
        ("deviceTimestamp", DataType::Int64),
        ("i", DataType::Int32),
        ("t", DataType::Int8),
        ("cadence", DataType::Float64),
        ("f", DataType::Float32),
        ("m", DataType::Decimal128(12, 3)),
        ("name", DataType::Utf8),
        ("b", DataType::Boolean),
        ("ts", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("dt", DataType::Date32),
        ("by", DataType::Binary),
    ])
}

const KEYS: &[&str] =
    &["deviceTimestamp", "i", "t", "cadence", "f", "m", "name", "b", "ts", "dt", "by", "event", "uuid", "nested", "I", "é"];

fn value(rng: &mut ChaCha8Rng, depth: usize) -> String {
    match rng.random_range(0..16) {
        0 => "null".into(),
        1 => ["true", "false", "\"TRUE\"", "\"no\""].choose(rng).unwrap().to_string(),
        2..=4 => rng.random_range(-1000..1000).to_string(),
        5 => rng.random::<i64>().to_string(),
        6 => rng.random::<u64>().to_string(),
        7..=8 => format!("{}.{}", rng.random_range(-100..100), rng.random_range(0..1000)),
        9 => format!("{:e}", f64::from_bits(rng.random())).replace("NaN", "1").replace("inf", "2"),
        10 => format!("\"{}\"", rng.random_range(-300..300)),
        11 => format!("\"20{:02}-0{}-1{} 0{}:00:00.{}\"", 24, rng.random_range(1..9), 2, 3, rng.random_range(1..9999)),
        12 => ["\"2024-02-29\"", "\"AQID\"", "\"NaN\"", "\"\"", "\"1e5\"", "1E400", "-0", "0.5"].choose(rng).unwrap().to_string(),
        13 => {
            let text: String = (0..rng.random_range(0..20)).map(|_| rng.random_range('\0'..='\u{2ff}')).collect();
            serde_json::to_string(&text).unwrap()
        }
        14 if depth < 3 => {
            let items: Vec<String> = (0..rng.random_range(0..4)).map(|_| value(rng, depth + 1)).collect();
            format!("[{}]", items.join([",", " , "][rng.random_range(0..2)]))
        }
        15 if depth < 3 => object(rng, depth + 1),
        _ => "\"Hayden 😀 \\u00e9\\n\"".into(),
    }
}

fn object(rng: &mut ChaCha8Rng, depth: usize) -> String {
    let members: Vec<String> =
        (0..rng.random_range(0..5)).map(|_| format!("\"{}\":{}", KEYS.choose(rng).unwrap(), value(rng, depth))).collect();
    format!("{{{}}}", members.join(","))
}

/// Mostly in the order of the schema, as producers write, and mostly of the right type.
fn record(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let tidy = rng.random_bool(0.5);
    let mut members = Vec::new();
    for key in KEYS {
        if rng.random_bool(0.1) {
            continue;
        }
        let value = match (*key, tidy) {
            ("deviceTimestamp", true) => rng.random_range(1_600_000_000_000i64..1_700_000_000_000).to_string(),
            ("i" | "t", true) => rng.random_range(-128..128).to_string(),
            ("cadence" | "f" | "m", true) => format!("{}", f64::from(rng.random_range(-9000..9000)) / 100.0),
            ("ts", true) => "\"2024-01-02 03:04:05.678\"".into(),
            ("dt", true) => "\"2024-01-02\"".into(),
            ("by", true) => "\"AQID\"".into(),
            ("name", true) => "\"Hayden\"".into(),
            _ => value(rng, 0),
        };
        members.push(format!("\"{key}\":{value}"));
    }
    if rng.random_bool(0.2) {
        for _ in 0..3 {
            let (a, b) = (rng.random_range(0..members.len()), rng.random_range(0..members.len()));
            members.swap(a, b);
        }
        members.push(members[0].clone());
    }
    let blanks = ["", "", "", " ", "\t", "\r\n"];
    let mut text = String::from("{");
    for (i, member) in members.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(blanks.choose(rng).unwrap());
        text.push_str(member);
        text.push_str(blanks.choose(rng).unwrap());
    }
    text.push('}');
    let mut bytes = text.into_bytes();
    if rng.random_bool(0.4) {
        damage(rng, &mut bytes, ALPHABET);
    }
    bytes
}

/// NaN is equal to itself only as bits.
fn assert_same(fast: &Decoded, slow: &Decoded, records: &[Vec<u8>]) {
    let show = || records.iter().map(|r| String::from_utf8_lossy(r) + "\n").collect::<String>();
    assert_eq!((&fast.record_of_row, &fast.parts), (&slow.record_of_row, &slow.parts), "{}", show());
    assert_eq!((&fast.bad, fast.skipped, fast.nulled), (&slow.bad, slow.skipped, slow.nulled), "{}", show());
    for (fast, slow) in fast.batch.columns().iter().zip(slow.batch.columns()) {
        assert!(fast.to_data() == slow.to_data() || format!("{fast:?}") == format!("{slow:?}"), "{fast:?} {slow:?}\n{}", show());
    }
}

#[test]
fn fast_and_careful_path_give_the_same_rows() {
    let schema = all_types();
    let seeds = by_tier(25, 50, 2000);
    let (mut read, mut refused) = (0, 0);
    each_seed(0..seeds, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for options in [JsonOptions::default(), IGNORE] {
            let mut decoder = decoder(&schema, options);
            for _ in 0..BATCHES_PER_SEED {
                let records: Vec<Vec<u8>> = (0..RECORDS_PER_BATCH).map(|_| record(&mut rng)).collect();
                let batch = raw(&records.iter().map(Vec::as_slice).collect::<Vec<_>>());
                let slow = decoder.decode_records(&batch, Way::Careful);
                assert_same(&decoder.decode_records(&batch, Way::Fast), &slow, &records);
                read += slow.batch.num_rows();
                refused += RECORDS_PER_BATCH - slow.batch.num_rows();
            }
        }
    });
    both_in_numbers(seeds, [("read", read, 200), ("refused", refused, 80)]);
}

/// Objects one after the other, in arrays and on lines, some of them damaged.
fn several(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.random_range(1..4) {
        let separator: &[u8] = [&b""[..], b" ", b"\n", b"\r\n"].choose(rng).unwrap();
        if rng.random_bool(0.3) {
            let elements: Vec<Vec<u8>> = (0..rng.random_range(0..4)).map(|_| record(rng)).collect();
            bytes.extend([&b"["[..], &elements.join(&b","[..]), b"]"].concat());
        } else {
            bytes.extend(record(rng));
        }
        bytes.extend(separator);
    }
    if rng.random_bool(0.2) {
        damage(rng, &mut bytes, ALPHABET);
    }
    bytes
}

#[test]
fn both_paths_agree_on_records_of_several_values() {
    let schema = all_types();
    let seeds = by_tier(12, 25, 1000);
    let mut parts = [0; 2];
    each_seed(0..seeds, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for options in [JsonOptions::default(), IGNORE] {
            for (many, rows_per_record) in [RowsPerRecord::One, RowsPerRecord::Many].into_iter().enumerate() {
                let mut decoder = decoder(&schema, JsonOptions { rows_per_record, ..options });
                for _ in 0..BATCHES_PER_SEED {
                    let records: Vec<Vec<u8>> = (0..RECORDS_PER_BATCH).map(|_| several(&mut rng)).collect();
                    let batch = raw(&records.iter().map(Vec::as_slice).collect::<Vec<_>>());
                    let slow = decoder.decode_records(&batch, Way::Careful);
                    assert_same(&decoder.decode_records(&batch, Way::Fast), &slow, &records);
                    let rows = slow.parts.iter().flatten().flatten();
                    let reported = slow.bad.iter().filter_map(|b| Some((b.part?, records[b.index].len())));
                    parts[many] += rows.count();
                    for (part, length) in reported {
                        assert!(part.span.start <= part.span.end && part.span.end as usize <= length, "{part:?}");
                    }
                }
            }
        }
    });
    both_in_numbers(seeds, [("parts of records of one", parts[0], 80), ("of several", parts[1], 80)]);
}

#[test]
fn arbitrary_bytes_never_panic() {
    let schema = all_types();
    let mut decoder = decoder(&schema, JsonOptions { rows_per_record: RowsPerRecord::Many, ..IGNORE });
    let alphabet = b"\"\"\"\\u{}[]:,,0129.-+eE \n\xff\xd8\x00i";
    each_seed(0..by_tier(100, 200, 20_000), |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let records: Vec<Vec<u8>> = (0..RECORDS_PER_BATCH)
            .map(|_| {
                let mut record: Vec<u8> = match rng.random_range(0..3) {
                    0 => (0..rng.random_range(0..40)).map(|_| rng.random()).collect(),
                    _ => (0..rng.random_range(0..40)).map(|_| *alphabet.choose(&mut rng).unwrap()).collect(),
                };
                if rng.random_bool(0.5) {
                    record.splice(0..0, *b"{\"i\":");
                }
                record
            })
            .collect();
        let batch = raw(&records.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let slow = decoder.decode_records(&batch, Way::Careful);
        assert_same(&decoder.decode_records(&batch, Way::Fast), &slow, &records);
    });
}

/// What the careful path takes for JSON is what serde_json takes, apart from raw control characters in strings.
#[test]
fn the_careful_path_accepts_what_serde_json_accepts() {
    let schema = schema(&[]);
    let mut decoder = decoder(&schema, JsonOptions::default());
    let (mut accepted, mut refused) = (0, 0);
    let seeds = by_tier(50, 100, 5000);
    each_seed(0..seeds, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..RECORDS_PER_BATCH {
            let record = record(&mut rng);
            let has_controls = record.iter().any(|c| *c < b' ' && !matches!(c, b'\t' | b'\r' | b'\n'));
            let is_object = record.iter().find(|c| !matches!(c, b' ' | b'\t' | b'\r' | b'\n')) == Some(&b'{');
            // In IgnoredAny as in our paths, what is not projected need not be UTF-8.
            let valid = is_object && serde_json::from_slice::<serde::de::IgnoredAny>(&record).is_ok();
            let decoded = decoder.decode_records(&raw(&[&record]), Way::Careful);
            let ours = decoded.batch.num_rows() == 1 && decoded.bad.is_empty() && is_object;
            if valid {
                assert!(ours, "{}: {:?}", String::from_utf8_lossy(&record), decoded.bad);
                accepted += 1;
            } else if ours {
                let text = String::from_utf8_lossy(&record);
                assert!(has_controls || text.contains(['\t', '\r', '\n']), "{text}");
            } else {
                refused += 1;
            }
        }
    });
    both_in_numbers(seeds, [("accepted", accepted, 30), ("refused", refused, 10)]);
}
