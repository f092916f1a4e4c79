//! Which rows, if there is no sample? Rows made from a table's columns, so that any query file runs
//! on a laptop.
//!
//! Called by `connect` for `--local`; [`Draws`] also serves the crowd in `alleycat`. What always
//! holds: row n depends on the seed, the columns and n alone, so reading goes on at any row at
//! once, and the same seed gives the same bytes everywhere. Values come from small ranges, so that
//! groups repeat and windows fill.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use chrono::{DateTime, Utc};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::Value;

use crate::format::time_text::TimestampStandard;
use crate::map_keys;
use crate::record::{Places, RawBatch};
use crate::source::{
    Polled, Position, ReadAhead, Source, SourceError, SplitId, SplitReader, SplitSeed,
};
use crate::sql::compared::Literal;

/// 2026-01-01T00:00:00Z: no row is earlier. Fixed, so that two runs agree.
const START_MS: i64 = 1_767_225_600_000;
/// Event time from one row to the next.
const STEP_MS: i64 = 100;
/// Rows are up to this much out of order.
const DISORDER_MS: u32 = 1000;
/// Different values of a column that looks like a key.
const KEYS: u32 = 10;
/// Payload bytes after which a batch is full, whatever the number of rows.
const BATCH_BYTES: usize = 4 << 20;
/// Which stream of draws: different for everything that is made from one seed.
const SAMPLE_ROWS: u64 = 1;

const WORDS: [&str; 12] = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "jetty",
    "knoll", "lagoon",
];

/// Random numbers that are specified to the bit: ChaCha8, keyed by a seed and a purpose, with a
/// stream of its own for each place. No distribution of a library is used, since those may change.
pub struct Draws(ChaCha8Rng);

impl Draws {
    pub fn new(seed: u64, purpose: u64, place: u64) -> Draws {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&purpose.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(place);
        Draws(generator)
    }

    /// A number from 0 to `n` - 1 (0 if `n` is 0). Always takes one draw.
    pub fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }
}

/// A bounded source with one split.
pub(crate) struct SampleSource {
    table: String,
    columns: Arc<[SampleColumn]>,
    rows: u64,
    seed: u64,
    times: TimestampStandard,
}

/// A column of made-up rows.
#[derive(Debug, Clone)]
pub(crate) struct SampleColumn {
    pub name: String,
    pub data_type: DataType,
    pub values: Values,
}

/// Which values a column has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    /// By its type and its name.
    ByName,
    /// The row's event time.
    Time(TimeForm),
    /// One of so many keys, which other tables have too. A text is the noun with a number.
    Key { noun: String, keys: u32 },
    /// A number that no other row has, or a digit of it: the row's number by `over`, below `below`.
    /// A text is the noun with that number.
    Distinct { noun: String, over: u64, below: u64 },
    /// What the query compares it with, or something near.
    Among(Vec<Literal>),
    /// A text of digits, of which the query makes a number.
    Digits,
}

/// How an event time is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TimeForm {
    /// ms since the epoch in an integer; else as the column's type is written.
    Milliseconds,
    Seconds,
    /// A text, by a format of chrono.
    Text(String),
    /// The number of ms or seconds since the epoch, in a text.
    Digits {
        seconds: bool,
    },
}

impl SampleSource {
    /// `columns`: what the payload holds. `times`: how TIMESTAMPs are written.
    pub fn new(
        table: &str,
        columns: Vec<SampleColumn>,
        times: TimestampStandard,
        rows: u64,
        seed: u64,
    ) -> SampleSource {
        SampleSource { table: table.into(), columns: columns.into(), rows, seed, times }
    }

    fn split() -> SplitId {
        SplitId("sample-0-of-1".into())
    }
}

/// True for names such as `eventTime`, `timestamp`, `ts`, `created_ts`, `deviceTs`; false for
/// `amounts`.
pub(crate) fn is_time_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower.contains("time")
        || lower == "ts"
        || lower.starts_with("ts_")
        || lower.ends_with("_ts")
        || name.ends_with("Ts")
}

/// True for names such as `id`, `orderId`, `sensor_id`, `KEY`; false for `paid`.
pub(crate) fn is_key_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower == "id"
        || lower.ends_with("_id")
        || name.ends_with("Id")
        || name.ends_with("ID")
        || lower.ends_with("key")
}

/// What a key column is the key of: `shop` for `shop_id`.
pub(crate) fn key_noun(name: &str) -> &str {
    let noun =
        ["_id", "Id", "ID", "_key", "Key"].iter().find_map(|suffix| name.strip_suffix(suffix));
    noun.filter(|n| !n.is_empty()).unwrap_or(name)
}

impl Source for SampleSource {
    fn discover(&self) -> Result<Vec<SplitSeed>, SourceError> {
        Ok(vec![SplitSeed {
            id: Self::split(),
            parents: vec![],
            start: Position::after_records(0),
        }])
    }

    fn open(
        &self,
        _split: &SplitId,
        position: &Position,
        _ahead: ReadAhead,
    ) -> Result<Box<dyn SplitReader>, SourceError> {
        let records = position.records().map_err(|e| SourceError::not_read(&self.table, &e))?;
        let columns = self.columns.clone();
        Ok(Box::new(SampleReader {
            columns,
            rows: self.rows,
            seed: self.seed,
            times: self.times,
            next: records,
            read_bytes: 0,
        }))
    }

    fn bounded(&self) -> bool {
        true
    }
}

struct SampleReader {
    columns: Arc<[SampleColumn]>,
    rows: u64,
    seed: u64,
    times: TimestampStandard,
    next: u64,
    read_bytes: u64,
}

impl SplitReader for SampleReader {
    fn poll(&mut self, max_records: usize) -> Result<Polled, SourceError> {
        let first = self.next;
        let mut raw = RawBatch { places: Places::Generated { first }, ..RawBatch::default() };
        while self.next < self.rows && raw.len() < max_records && raw.bytes.len() < BATCH_BYTES {
            raw.push(|bytes| push_row(bytes, &self.columns, self.seed, self.next, self.times));
            self.next += 1;
        }
        if raw.is_empty() {
            return Ok(Polled::End { children: vec![] });
        }
        self.read_bytes += raw.bytes.len() as u64;
        Ok(Polled::Records(raw))
    }

    fn position(&self) -> Position {
        Position::after_records(self.next)
    }

    fn bytes_read(&self) -> u64 {
        self.read_bytes
    }
}

/// Appends one JSON object, its fields in the columns' order.
fn push_row(
    out: &mut Vec<u8>,
    columns: &[SampleColumn],
    seed: u64,
    number: u64,
    times: TimestampStandard,
) {
    let mut draws = Draws::new(seed, SAMPLE_ROWS, number);
    // One event time for the whole row.
    let time_ms = START_MS + number as i64 * STEP_MS + i64::from(draws.below(DISORDER_MS + 1));
    let row = RowAt { number, time_ms, times };
    let fields = columns.iter().map(|c| {
        let value = value(&mut draws, &c.name, &c.data_type, &c.values, row);
        format!("{}:{value}", Value::from(c.name.as_str()))
    });
    let fields: Vec<String> = fields.collect();
    out.push(b'{');
    out.extend_from_slice(fields.join(",").as_bytes());
    out.push(b'}');
}

/// A row, as far as its values depend on it.
#[derive(Debug, Clone, Copy)]
struct RowAt {
    number: u64,
    /// Its event time.
    time_ms: i64,
    times: TimestampStandard,
}

fn value(
    draws: &mut Draws,
    name: &str,
    data_type: &DataType,
    values: &Values,
    row: RowAt,
) -> Value {
    let RowAt { number, time_ms, times } = row;
    let is_text = *data_type == DataType::Utf8;
    let is_key = is_key_name(name);
    // Drawn for each column, so that what one of them has does not change with the others.
    let small = draws.below(if is_key { KEYS } else { 100 });
    match values {
        Values::Key { noun, keys } => {
            let key = draws.below(*keys);
            return if is_text { Value::from(format!("{noun}-{key}")) } else { Value::from(key) };
        }
        Values::Distinct { noun, over, below } => {
            let key = number / over % below;
            return if is_text { Value::from(format!("{noun}-{key}")) } else { Value::from(key) };
        }
        Values::Digits => return Value::from(small.to_string()),
        Values::Time(TimeForm::Digits { seconds }) => {
            let time = if *seconds { time_ms.div_euclid(1000) } else { time_ms };
            return Value::from(time.to_string());
        }
        Values::Time(TimeForm::Seconds) => return Value::from(time_ms.div_euclid(1000)),
        Values::Time(TimeForm::Text(format)) => return Value::from(text_of(time_ms, format)),
        Values::Time(TimeForm::Milliseconds) if *data_type == DataType::Int64 => {
            return Value::from(time_ms);
        }
        Values::Among(literals) => {
            if let Some(value) = among(draws, data_type, literals) {
                return value;
            }
        }
        Values::Time(TimeForm::Milliseconds) | Values::ByName => {}
    }
    match data_type {
        DataType::Boolean => Value::from(draws.below(2) == 1),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Value::from(small),
        // Tenths and hundredths, as people write them.
        DataType::Float32 | DataType::Float64 => {
            Value::from(f64::from(small * 10 + draws.below(10)) / 10.0)
        }
        DataType::Decimal128(precision, scale) => decimal(draws, *precision, *scale),
        DataType::Utf8 if is_key => Value::from(format!("{}-{small}", key_noun(name))),
        DataType::Utf8 => Value::from(word(draws)),
        // JSON has no bytes: base64, here of three letters.
        DataType::Binary => Value::from(["YWJj", "ZGVm", "Z2hp"][draws.below(3) as usize]),
        DataType::Date32 => Value::from(text_of(time_ms, "%Y-%m-%d")),
        DataType::Time32(_) => Value::from(text_of(time_ms, "%H:%M:%S")),
        DataType::Timestamp(_, zone) => {
            let between = if times == TimestampStandard::Iso8601 { "T" } else { " " };
            let behind = if zone.is_some() { "Z" } else { "" };
            Value::from(text_of(time_ms, &format!("%Y-%m-%d{between}%H:%M:%S%.3f{behind}")))
        }
        DataType::List(element) => {
            let length = 1 + draws.below(3);
            let one = |_| by_name(draws, element.name(), element.data_type(), row);
            Value::Array((0..length).map(one).collect())
        }
        DataType::Struct(fields) => {
            let one =
                |f: &FieldRef| (f.name().clone(), by_name(draws, f.name(), f.data_type(), row));
            Value::Object(fields.iter().map(one).collect())
        }
        DataType::Map(..) => map(draws, data_type, row),
        // No other type can be declared.
        _ => Value::Null,
    }
}

fn by_name(draws: &mut Draws, name: &str, data_type: &DataType, row: RowAt) -> Value {
    let is_time = is_time_name(name) && *data_type == DataType::Int64;
    let values = if is_time { Values::Time(TimeForm::Milliseconds) } else { Values::ByName };
    value(draws, name, data_type, &values, row)
}

/// A few entries; NULL where keys are no texts, since JSON has no others.
fn map(draws: &mut Draws, data_type: &DataType, row: RowAt) -> Value {
    match map_keys::types(data_type) {
        Some((DataType::Utf8, value_type)) => {
            let one = |_| (word(draws).to_string(), by_name(draws, "value", value_type, row));
            Value::Object((0..2).map(one).collect())
        }
        _ => Value::Null,
    }
}

fn word(draws: &mut Draws) -> &'static str {
    WORDS[draws.below(WORDS.len() as u32) as usize]
}

/// A constant of the query, or a value on either side of it. None if none is of the type.
fn among(draws: &mut Draws, data_type: &DataType, literals: &[Literal]) -> Option<Value> {
    if *data_type == DataType::Utf8 {
        let texts: Vec<&String> = literals
            .iter()
            .filter_map(|l| match l {
                Literal::Text(text) => Some(text),
                Literal::Number(_) => None,
            })
            .collect();
        let chosen = texts.get(draws.below(u32::try_from(texts.len()).ok()?) as usize)?;
        let other = word(draws);
        return Some(Value::from(if draws.below(4) == 0 { other } else { chosen.as_str() }));
    }
    let numbers: Vec<f64> = literals
        .iter()
        .filter_map(|l| match l {
            Literal::Number(number) => Some(*number),
            Literal::Text(_) => None,
        })
        .collect();
    let chosen = *numbers.get(draws.below(u32::try_from(numbers.len()).ok()?) as usize)?;
    let (kind, part) = (draws.below(3), f64::from(draws.below(1000)) / 1000.0);
    let number = match kind {
        0 => chosen,
        1 => chosen + if draws.below(2) == 1 { 1.0 } else { -1.0 },
        _ => part * chosen.abs().max(1.0) * 2.0,
    };
    let max = match data_type {
        DataType::Int8 => i64::from(i8::MAX),
        DataType::Int16 => i64::from(i16::MAX),
        DataType::Int32 => i64::from(i32::MAX),
        DataType::Int64 => 1 << 53,
        DataType::Float32 | DataType::Float64 => return Some(Value::from(number)),
        DataType::Decimal128(precision, scale) => {
            let most = 10f64.powi(i32::from(*precision) - i32::from(*scale)) - 1.0;
            return Some(Value::from((number.clamp(-most, most) * 100.0).round() / 100.0));
        }
        _ => return None,
    };
    Some(Value::from((number.round() as i64).clamp(-max, max)))
}

/// A number with `scale` digits after the point that fits into `precision` digits and is below
/// 1000.
fn decimal(draws: &mut Draws, precision: u8, scale: i8) -> Value {
    let scale = u32::from(scale.unsigned_abs());
    let whole_digits = u32::from(precision).saturating_sub(scale).min(3);
    let whole = draws.below(10u32.pow(whole_digits));
    // More digits than four are zeros.
    let fraction_digits = scale.min(4);
    let fraction = draws.below(10u32.pow(fraction_digits));
    let unit = f64::from(10u32.pow(fraction_digits));
    if fraction_digits == 0 {
        Value::from(whole)
    } else {
        Value::from(f64::from(whole) + f64::from(fraction) / unit)
    }
}

fn text_of(time_ms: i64, format: &str) -> String {
    let time: DateTime<Utc> = DateTime::from_timestamp_millis(time_ms).unwrap_or_default();
    time.format(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::TimeUnit;

    fn source(rows: u64, seed: u64) -> SampleSource {
        let ltz = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let columns = vec![
            ("orderId".to_string(), DataType::Utf8),
            ("sensor_id".to_string(), DataType::Int64),
            ("eventTime".to_string(), DataType::Int64),
            ("at".to_string(), DataType::Timestamp(TimeUnit::Millisecond, None)),
            ("zoned".to_string(), ltz),
            ("price".to_string(), DataType::Decimal128(6, 2)),
            ("amounts".to_string(), DataType::Int64),
            ("paid".to_string(), DataType::Boolean),
            ("town".to_string(), DataType::Utf8),
        ];
        let of_name = |(name, data_type): (String, DataType)| {
            let is_time = is_time_name(&name) && data_type == DataType::Int64;
            let values =
                if is_time { Values::Time(TimeForm::Milliseconds) } else { Values::ByName };
            SampleColumn { name, data_type, values }
        };
        SampleSource::new(
            "orders",
            columns.into_iter().map(of_name).collect(),
            TimestampStandard::Sql,
            rows,
            seed,
        )
    }

    fn read(source: &SampleSource, from: u64, batch: usize) -> Vec<String> {
        let split = source.discover().expect("lists").remove(0).id;
        let mut reader = source
            .open(&split, &Position::after_records(from), ReadAhead::alone(Arc::new(|| {})))
            .expect("opens");
        let mut rows = vec![];
        while let Polled::Records(raw) = reader.poll(batch).expect("reads") {
            rows.extend(
                (0..raw.len()).map(|i| String::from_utf8_lossy(raw.record(i)).into_owned()),
            );
            assert_eq!(reader.position(), Position::after_records(from + rows.len() as u64));
        }
        rows
    }

    #[test]
    fn the_same_rows_from_any_row_on_and_others_for_another_seed() {
        let all = read(&source(300, 1), 0, 7);
        assert_eq!(all.len(), 300);
        for from in [0, 1, 150, 299, 300] {
            assert_eq!(read(&source(300, 1), from, 64), all[from as usize..], "from {from}");
        }
        assert_ne!(read(&source(300, 2), 0, 7), all);
        // Fixed bytes: a change here changes what everyone sees.
        assert_eq!(all[0], FIRST_ROW);
    }

    const FIRST_ROW: &str = r#"{"orderId":"order-2","sensor_id":5,"eventTime":1767225600347,"at":"2026-01-01 00:00:00.347","zoned":"2026-01-01 00:00:00.347Z","price":351.03,"amounts":89,"paid":false,"town":"cedar"}"#;

    #[test]
    fn keys_repeat_and_times_advance_with_bounded_disorder() {
        let rows: Vec<Value> = read(&source(1000, 1), 0, 100)
            .iter()
            .map(|r| serde_json::from_str(r).expect("JSON"))
            .collect();
        let keys: std::collections::BTreeSet<String> =
            rows.iter().map(|r| r["orderId"].to_string()).collect();
        assert_eq!(keys.len(), KEYS as usize);
        let times: Vec<i64> =
            rows.iter().map(|r| r["eventTime"].as_i64().expect("epoch ms")).collect();
        for (n, (row, time)) in rows.iter().zip(&times).enumerate() {
            let ahead_ms = time - (START_MS + n as i64 * STEP_MS);
            assert!(
                (0..=i64::from(DISORDER_MS)).contains(&ahead_ms),
                "row {n} is {ahead_ms} ms off"
            );
            let text = row["at"].as_str().expect("text");
            let parsed = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.3f")
                .expect("a timestamp");
            assert_eq!(parsed.and_utc().timestamp_millis(), *time);
            assert_eq!(row["zoned"].as_str(), Some(format!("{text}Z").as_str()));
            assert!(row["amounts"].as_i64().is_some_and(|a| a < 100), "'amounts' is no time");
        }
        assert!(times.windows(2).any(|t| t[1] < t[0]), "some rows are out of order");
    }
}
