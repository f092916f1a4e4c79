//! The options of the connector `datagen`, as Flink names them, checked against the table's
//! columns.
//!
//! Called by `connect`. What always holds: a key that no column has, or that the column's kind does
//! not take, is an error.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, FieldRef};

use crate::config::duration;
use crate::connector::datagen::field::{Field, FieldKind};
use crate::map_keys;
use crate::source::SourceError;
use crate::types::EXACT;

/// A column of the payload as the table declares it.
#[derive(Debug, Clone)]
pub struct Declared {
    pub name: String,
    pub data_type: DataType,
    /// Where Arrow's type does not say all: `CHAR(3)`, `VARBINARY(8)`.
    pub exact: Option<String>,
}

#[derive(Debug, Clone)]
pub struct DatagenOptions {
    pub rows_per_second: u64,
    /// Rows in all: the smallest of `number-of-rows` and the lengths of the sequences.
    pub rows: Option<u64>,
    pub fields: Vec<Field>,
    /// Rows come at their rate; else as fast as they are read.
    pub is_paced: bool,
}

const ROWS_PER_SECOND: u64 = 10_000;
/// Length of a STRING or BYTES.
const LENGTH: u32 = 100;
/// Elements of an ARRAY or a MAP.
const COLLECTION_LENGTH: u32 = 3;
const COLLECTION_LENGTH_MAX: u32 = 10_000;
/// The longest text or bytes that can be asked for: so that a row is far smaller than a batch.
const LENGTH_MAX: u32 = 1 << 20;

impl DatagenOptions {
    pub fn parse(
        table: &str,
        options: &BTreeMap<String, String>,
        columns: &[Declared],
    ) -> Result<DatagenOptions, SourceError> {
        Self::read(options, columns)
            .map_err(|reason| SourceError::Config { table: table.into(), reason })
    }

    fn read(
        options: &BTreeMap<String, String>,
        columns: &[Declared],
    ) -> Result<DatagenOptions, String> {
        let mut left = options.clone();
        let rows_per_second = take(&mut left, "rows-per-second")?.unwrap_or(ROWS_PER_SECOND);
        if rows_per_second == 0 {
            return Err("'rows-per-second' is at least 1".into());
        }
        let number_of_rows: Option<u64> = take(&mut left, "number-of-rows")?;
        // Flink's number of readers: the rows are the same.
        let _: Option<u32> = take(&mut left, "scan.parallelism")?;
        let fields = columns
            .iter()
            .map(|column| field(column, &mut left))
            .collect::<Result<Vec<Field>, String>>()?;
        if let Some(key) = left.keys().next() {
            return Err(format!(
                "there is no option '{key}' here; options: rows-per-second, number-of-rows, and for each column \
                 fields.<column>.kind (random or sequence), null-rate, start and end of a sequence, min, max, max-past, length \
                 and var-len where the type has them"
            ));
        }
        let rows = fields.iter().filter_map(Field::rows).chain(number_of_rows).min();
        Ok(DatagenOptions { rows_per_second, rows, fields, is_paced: true })
    }
}

fn take<T: std::str::FromStr>(
    left: &mut BTreeMap<String, String>,
    key: &str,
) -> Result<Option<T>, String> {
    match left.remove(key) {
        None => Ok(None),
        Some(text) => match text.trim().parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(format!("'{key}' = '{text}' is not a value of its kind")),
        },
    }
}

fn field(column: &Declared, left: &mut BTreeMap<String, String>) -> Result<Field, String> {
    let key = |option: &str| format!("fields.{}.{option}", column.name);
    let kind = left.remove(&key("kind")).unwrap_or_else(|| "random".into());
    let rate: f64 = take(left, &key("null-rate"))?.unwrap_or(0.0);
    if !(0.0..=1.0).contains(&rate) {
        return Err(format!("'{}' is from 0 to 1, not {rate}", key("null-rate")));
    }
    let kind = match kind.as_str() {
        "sequence" => sequence(column, left)?,
        "random" => random(column, left)?,
        other => return Err(format!("'{}' is random or sequence, not '{other}'", key("kind"))),
    };
    let null_below = (rate * 4_294_967_296.0) as u64;
    Ok(Field { name: column.name.clone(), data_type: column.data_type.clone(), kind, null_below })
}

fn sequence(column: &Declared, left: &mut BTreeMap<String, String>) -> Result<FieldKind, String> {
    use DataType as T;
    if !matches!(
        column.data_type,
        T::Int8
            | T::Int16
            | T::Int32
            | T::Int64
            | T::Float32
            | T::Float64
            | T::Decimal128(..)
            | T::Utf8
    ) {
        return Err(format!("column '{}': its type has no sequence", column.name));
    }
    let mut bound = |option: &str| {
        let key = format!("fields.{}.{option}", column.name);
        take(left, &key)?.ok_or_else(|| format!("a sequence needs '{key}'"))
    };
    Ok(FieldKind::Sequence { start: bound("start")?, end: bound("end")? })
}

fn random(column: &Declared, left: &mut BTreeMap<String, String>) -> Result<FieldKind, String> {
    use DataType as T;
    let key = |option: &str| format!("fields.{}.{option}", column.name);
    let mut integers = |min: i64, max: i64| {
        let (low, high) =
            (take(left, &key("min"))?.unwrap_or(min), take(left, &key("max"))?.unwrap_or(max));
        if low < min || high > max || low > high {
            return Err(format!(
                "'{}' = {low} and '{}' = {high} are no range of the column's type",
                key("min"),
                key("max")
            ));
        }
        Ok(FieldKind::Integer { min: low, max: high })
    };
    match &column.data_type {
        T::List(element) => {
            let length = length(left, &key("length"))?;
            let element = nested(&column.name, "element", element, left)?;
            Ok(FieldKind::List { element: Box::new(element), length })
        }
        T::Map(..) => {
            let Some((name, value)) = map_keys::types(&column.data_type) else {
                return Err(format!("column '{}' has no entries", column.name));
            };
            let part =
                |data_type: &DataType| Arc::new(ArrowField::new("part", data_type.clone(), true));
            let length = length(left, &key("length"))?;
            Ok(FieldKind::Map {
                key: Box::new(nested(&column.name, "key", &part(name), left)?),
                value: Box::new(nested(&column.name, "value", &part(value), left)?),
                length,
            })
        }
        T::Struct(fields) => {
            let fields = fields.iter().map(|field| {
                let made = nested(&column.name, field.name(), field, left)?;
                Ok(Field { name: field.name().clone(), ..made })
            });
            Ok(FieldKind::Row(fields.collect::<Result<_, String>>()?))
        }
        T::Boolean => Ok(FieldKind::Boolean),
        T::Int8 => integers(i8::MIN.into(), i8::MAX.into()),
        T::Int16 => integers(i16::MIN.into(), i16::MAX.into()),
        T::Int32 => integers(i32::MIN.into(), i32::MAX.into()),
        T::Int64 => integers(i64::MIN, i64::MAX),
        // Java's MIN_VALUE is the smallest positive number.
        T::Float32 => fractions(column, left, f64::from(f32::from_bits(1)), f64::from(f32::MAX)),
        T::Float64 => fractions(column, left, f64::from_bits(1), f64::MAX),
        T::Decimal128(precision, scale) => {
            let limit = 10f64.powi(i32::from(*precision) - i32::from(*scale)) - 1.0;
            let FieldKind::Fraction { min, max } =
                fractions(column, left, f64::from_bits(1), f64::MAX)?
            else {
                return Err(format!("column '{}' has no range", column.name));
            };
            Ok(FieldKind::Fraction { min: min.max(-limit), max: max.min(limit) })
        }
        T::Utf8 | T::Binary => {
            let declared = column.exact.as_deref().and_then(length_of);
            let given: Option<u32> = take(left, &key("length"))?;
            let length = given.or(declared).unwrap_or(LENGTH).min(declared.unwrap_or(LENGTH_MAX));
            if given.is_some_and(|g| g == 0 || g != length) {
                return Err(format!(
                    "'{}' is from 1 to {}",
                    key("length"),
                    declared.unwrap_or(LENGTH_MAX)
                ));
            }
            let var_len = take(left, &key("var-len"))?.unwrap_or(false);
            Ok(if column.data_type == T::Utf8 {
                FieldKind::Text { length, var_len }
            } else {
                FieldKind::Bytes { length, var_len }
            })
        }
        T::Date32 | T::Time32(_) => Ok(FieldKind::Time { max_past_ms: 0 }),
        T::Timestamp(..) => {
            let past = left
                .remove(&key("max-past"))
                .map(|text| duration(&text).map_err(|e| format!("'{}': {e}", key("max-past"))));
            let past = past.transpose()?.unwrap_or_default();
            Ok(FieldKind::Time { max_past_ms: u64::try_from(past.as_millis()).unwrap_or(u64::MAX) })
        }
        other => {
            Err(format!("column '{}': values of the type {other} cannot be made", column.name))
        }
    }
}

/// What an ARRAY, a MAP or a ROW holds: its options go on behind those of the column.
fn nested(
    column: &str,
    part: &str,
    inner: &FieldRef,
    left: &mut BTreeMap<String, String>,
) -> Result<Field, String> {
    let declared = Declared {
        name: format!("{column}.{part}"),
        data_type: inner.data_type().clone(),
        exact: inner.metadata().get(EXACT).cloned(),
    };
    field(&declared, left)
}

/// How many elements a collection has.
fn length(left: &mut BTreeMap<String, String>, key: &str) -> Result<u32, String> {
    let length: u32 = take(left, key)?.unwrap_or(COLLECTION_LENGTH);
    match length {
        0..=COLLECTION_LENGTH_MAX => Ok(length),
        _ => Err(format!("'{key}' is from 0 to {COLLECTION_LENGTH_MAX}, not {length}")),
    }
}

fn fractions(
    column: &Declared,
    left: &mut BTreeMap<String, String>,
    min: f64,
    max: f64,
) -> Result<FieldKind, String> {
    let key = |option: &str| format!("fields.{}.{option}", column.name);
    let (low, high): (f64, f64) =
        (take(left, &key("min"))?.unwrap_or(min), take(left, &key("max"))?.unwrap_or(max));
    if low.is_finite() && high.is_finite() && low <= high && high <= max && low >= -max {
        return Ok(FieldKind::Fraction { min: low, max: high });
    }
    Err(format!(
        "'{}' = {low} and '{}' = {high} are no range of the column's type",
        key("min"),
        key("max")
    ))
}

/// The n of `CHAR(n)`.
fn length_of(exact: &str) -> Option<u32> {
    exact
        .split_once('(')?
        .1
        .strip_suffix(')')?
        .parse()
        .ok()
        .filter(|n| (1..=LENGTH_MAX).contains(n))
}
