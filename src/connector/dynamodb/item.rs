//! Which DynamoDB item does a row become?
//!
//! Called by the sink for every row, on the worker; `value` says what each column becomes. What
//! always holds: two rows have the same [`Item::key`] if and only if DynamoDB would keep them as
//! one item; an item that is returned fits the limits that can be checked here; an item is written
//! with a version ([`Put`]), always.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;

use crate::connector::dynamodb::value::{Value, value, write_json_object};
use crate::map_keys;
use crate::sink::version::TEXT_LEN;

/// The item attribute that holds the version of an upsert.
pub(crate) const VERSION_ATTRIBUTE: &str = "paceline_version";
/// The item attribute that is true where there is no row any more: a tombstone, which keeps writes
/// out that come late. Readers leave these out.
pub(crate) const DELETED_ATTRIBUTE: &str = "paceline_deleted";
/// The item attribute that says when a tombstone may be forgotten, in seconds since the epoch: what
/// DynamoDB's TTL is to be turned on for.
pub(crate) const EXPIRES_ATTRIBUTE: &str = "paceline_expires";
/// How long a tombstone stays at least. A write of this run arrives minutes late at the most; an
/// older run that somebody resumes finds the tombstones of a week.
pub(crate) const TOMBSTONE_S: i64 = 7 * 24 * 60 * 60;
/// DynamoDB's limit on an item with its attribute names, bytes.
const ITEM_BYTES_MAX: usize = 400 * 1024;
/// What a value costs in memory besides its text: pointers, capacities, map entries.
const VALUE_OVERHEAD_BYTES: usize = 64;

/// DynamoDB's limits on a partition key and a sort key, bytes: no item has a longer one.
pub(crate) const KEY_BYTES_MAX: [usize; 2] = [2048, 1024];
/// What every item has beside its columns, bytes.
const OWN_BYTES: usize = VERSION_ATTRIBUTE.len() + TEXT_LEN;

/// A row as DynamoDB would hold it, or the key of one that is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The values of the table's key attributes, each with its type and length: equal for equal
    /// items only.
    pub key: Arc<[u8]>,
    pub attributes: Vec<(Arc<str>, Value)>,
    /// The item goes: `attributes` are those of its key only.
    pub deletes: bool,
    /// What it occupies while it waits.
    pub memory_bytes: usize,
}

/// An item on its way to DynamoDB. It is written where the table holds no higher version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    pub item: Item,
    pub version: Arc<str>,
}

impl Put {
    /// The attributes that the table holds once this is written: those of the row, or of the
    /// tombstone in its place, and the version. `now_s`: the server's time, seconds since the epoch.
    pub(crate) fn stored(&self, now_s: i64) -> impl Iterator<Item = (String, Value)> {
        let Put { item, version } = self;
        let columns = item.attributes.iter().map(|(name, value)| (name.to_string(), value.clone()));
        let version = (VERSION_ATTRIBUTE.to_owned(), Value::Text(version.to_string()));
        let expires = Value::Number((now_s + TOMBSTONE_S).to_string());
        let tombstone = [
            (DELETED_ATTRIBUTE.to_owned(), Value::Bool(true)),
            (EXPIRES_ATTRIBUTE.to_owned(), expires),
        ];
        columns.chain([version]).chain(tombstone.into_iter().filter(|_| item.deletes))
    }
}

impl Item {
    /// The row as a JSON object, for people.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::new();
        write_json_object(self.attributes.iter().map(|(n, v)| (n.as_ref(), v)), &mut out);
        out
    }
}

/// The key of an item from its key attributes, in the order of the table's key schema. None for a
/// type no key can have.
pub(crate) fn key_bytes<'a>(values: impl IntoIterator<Item = &'a Value>) -> Option<Arc<[u8]>> {
    let mut key = Vec::new();
    for value in values {
        let (kind, bytes) = match value {
            Value::Text(s) => (b'S', s.as_bytes()),
            Value::Number(n) => (b'N', n.as_bytes()),
            Value::Bytes(b) => (b'B', b.as_slice()),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => return None,
        };
        key.push(kind);
        key.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        key.extend_from_slice(bytes);
    }
    Some(key.into())
}

/// What becomes of a column that is NULL: `sink.ignore-nulls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    Written,
    /// The item has no such attribute.
    LeftOut,
}

/// Makes items of the rows of one schema.
pub(crate) struct ItemEncoder {
    names: Vec<Arc<str>>,
    /// Columns of the table's key, in the order of its key schema.
    key: Vec<usize>,
    nulls: Nulls,
}

impl ItemEncoder {
    /// `names` are those of the batch's columns. Columns must be of types that
    /// `value::is_supported` knows.
    pub fn new(names: Vec<Arc<str>>, key: Vec<usize>, nulls: Nulls) -> ItemEncoder {
        ItemEncoder { names, key, nulls }
    }

    /// The item of a row, or why DynamoDB can never take it.
    pub fn encode(&self, batch: &RecordBatch, row: usize) -> Result<Item, String> {
        let mut attributes = Vec::with_capacity(self.names.len());
        let mut size_bytes = OWN_BYTES;
        let mut values = 0;
        let mut key = Vec::with_capacity(self.key.len());
        for (&column, bytes_max) in self.key.iter().zip(KEY_BYTES_MAX) {
            let value = value(batch.column(column), row).map_err(|e| self.blame(column, &e))?;
            let bytes = match &value {
                Value::Null => return Err(format!("key column '{}' is NULL", self.names[column])),
                Value::Text(text) => text.len(),
                Value::Bytes(bytes) => bytes.len(),
                _ => 1,
            };
            if bytes == 0 {
                let name = &self.names[column];
                return Err(format!("key column '{name}' is empty, which DynamoDB does not take"));
            }
            if bytes > bytes_max {
                let name = &self.names[column];
                return Err(format!(
                    "key column '{name}' has {bytes} bytes, DynamoDB takes {bytes_max}"
                ));
            }
            key.push(value);
        }
        let key = key_bytes(&key).ok_or("a key column has a type that no DynamoDB key can have")?;
        for (column, name) in self.names.iter().enumerate() {
            let value = value(batch.column(column), row).map_err(|e| self.blame(column, &e))?;
            if value == Value::Null && self.nulls == Nulls::LeftOut {
                continue;
            }
            size_bytes += name.len() + value.size_bytes();
            values += value.count();
            attributes.push((name.clone(), value));
        }
        if size_bytes > ITEM_BYTES_MAX {
            return Err(format!(
                "the item has about {size_bytes} bytes, DynamoDB takes {ITEM_BYTES_MAX}"
            ));
        }
        let memory_bytes = size_bytes + key.len() + values * VALUE_OVERHEAD_BYTES;
        Ok(Item { key, attributes, deletes: false, memory_bytes })
    }

    /// The item that takes a row's item away.
    pub(crate) fn encode_delete(&self, batch: &RecordBatch, row: usize) -> Result<Item, String> {
        let keys = batch.project(&self.key).map_err(|e| e.to_string())?;
        let names = self.key.iter().map(|&c| self.names[c].clone()).collect();
        let encoder =
            ItemEncoder { names, key: (0..self.key.len()).collect(), nulls: Nulls::Written };
        Ok(Item { deletes: true, ..encoder.encode(&keys, row)? })
    }

    /// A row that is no item as a JSON object, for people: values that DynamoDB cannot hold as
    /// text.
    pub(crate) fn row_json(&self, batch: &RecordBatch, row: usize) -> String {
        let value_or_text = |column: &ArrayRef| {
            let text = || {
                map_keys::shown(&column.slice(row, 1))
                    .and_then(|shown| array_value_to_string(&shown, 0))
            };
            value(column, row).unwrap_or_else(|_| match text() {
                Ok(text) => Value::Text(text),
                Err(e) => Value::Text(e.to_string()),
            })
        };
        let values: Vec<Value> = batch.columns().iter().map(value_or_text).collect();
        let mut out = String::new();
        write_json_object(self.names.iter().map(AsRef::as_ref).zip(&values), &mut out);
        out
    }

    fn blame(&self, column: usize, reason: &str) -> String {
        format!("column '{}': {reason}", self.names[column])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
            .unwrap()
    }

    fn encoder(batch: &RecordBatch, key: Vec<usize>, nulls: Nulls) -> ItemEncoder {
        ItemEncoder::new(
            batch.schema().fields().iter().map(|f| f.name().as_str().into()).collect(),
            key,
            nulls,
        )
    }

    #[test]
    fn every_type() {
        let decimal =
            Decimal128Array::from(vec![Some(-150), None]).with_precision_and_scale(38, 2).unwrap();
        let utc = TimestampMillisecondArray::from(vec![Some(1_709_168_523_000), None])
            .with_timezone("UTC");
        let batch = batch(vec![
            ("k", Arc::new(StringArray::from(vec!["x", "y"]))),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("l", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
            ("f", Arc::new(Float32Array::from(vec![Some(1.1), None]))),
            ("d", Arc::new(Float64Array::from(vec![Some(-0.0), None]))),
            ("m", Arc::new(decimal)),
            ("y", Arc::new(BinaryArray::from(vec![Some(&[1u8, 255][..]), None]))),
            ("dt", Arc::new(Date32Array::from(vec![Some(19782), None]))),
            ("tm", Arc::new(Time32MillisecondArray::from(vec![Some(3_723_045), None]))),
            (
                "ts",
                Arc::new(TimestampMicrosecondArray::from(vec![Some(1_709_168_523_900_000), None])),
            ),
            ("tz", Arc::new(utc)),
        ]);
        let item = encoder(&batch, vec![0], Nulls::Written).encode(&batch, 0).unwrap();
        let want = r#"{"k":"x","b":true,"l":-9223372036854775808,"f":1.1,"d":0,"m":-1.50,"y":"01ff","dt":"2024-02-29","tm":"01:02:03.045","ts":"2024-02-29 01:02:03.9","tz":"2024-02-29 01:02:03Z"}"#;
        assert_eq!(item.to_json(), want);
        assert_eq!(
            encoder(&batch, vec![0], Nulls::LeftOut).encode(&batch, 1).unwrap().to_json(),
            r#"{"k":"y"}"#
        );
        let nulls = encoder(&batch, vec![0], Nulls::Written).encode(&batch, 1).unwrap();
        assert_eq!(nulls.attributes.iter().filter(|(_, v)| *v == Value::Null).count(), 10);
    }

    #[test]
    fn keys_differ_where_items_do() {
        let a: ArrayRef =
            Arc::new(StringArray::from(vec![Some("ab"), Some("a"), Some("b"), Some("a"), None]));
        let b: ArrayRef = Arc::new(StringArray::from(vec!["c", "bc", "a", "b", "z"]));
        let batch = batch(vec![("a", a), ("b", b)]);
        let encoder = encoder(&batch, vec![0, 1], Nulls::Written);
        let keys: std::collections::HashSet<Arc<[u8]>> =
            (0..4).map(|r| encoder.encode(&batch, r).unwrap().key).collect();
        assert_eq!(keys.len(), 4);
        assert_eq!(encoder.encode(&batch, 4).unwrap_err(), "key column 'a' is NULL");
    }

    #[test]
    fn a_key_that_no_item_can_have_is_refused_here() {
        let long = "x".repeat(1025);
        let a: ArrayRef = Arc::new(StringArray::from(vec!["", "a", "a", long.as_str()]));
        let b: ArrayRef = Arc::new(StringArray::from(vec!["b", "", long.as_str(), "b"]));
        let batch = batch(vec![("a", a), ("b", b)]);
        let encoder = encoder(&batch, vec![0, 1], Nulls::Written);
        for (row, reason) in [
            (0, "key column 'a' is empty"),
            (1, "key column 'b' is empty"),
            (2, "key column 'b' has 1025 bytes, DynamoDB takes 1024"),
        ] {
            for item in [encoder.encode(&batch, row), encoder.encode_delete(&batch, row)] {
                assert!(item.is_err_and(|e| e.starts_with(reason)), "{reason}");
            }
        }
        assert!(encoder.encode(&batch, 3).is_ok(), "a partition key may have 2048");
    }

    #[test]
    fn a_tombstone_has_the_key_the_version_and_its_end() {
        let batch = batch(vec![
            ("k", Arc::new(StringArray::from(vec!["x"])) as ArrayRef),
            ("n", Arc::new(Int32Array::from(vec![7]))),
        ]);
        let encoder = encoder(&batch, vec![0], Nulls::Written);
        let names = |item: Item| -> Vec<String> {
            let put = Put { item, version: "v".into() };
            put.stored(100).map(|(name, _)| name).collect()
        };
        let row = encoder.encode(&batch, 0).unwrap();
        assert_eq!(names(row), ["k", "n", VERSION_ATTRIBUTE]);
        let item = encoder.encode_delete(&batch, 0).unwrap();
        assert_eq!(
            names(item.clone()),
            ["k", VERSION_ATTRIBUTE, DELETED_ATTRIBUTE, EXPIRES_ATTRIBUTE]
        );
        let expires = Value::Number((100 + TOMBSTONE_S).to_string());
        let put = Put { item, version: "v".into() };
        assert_eq!(put.stored(100).last(), Some((EXPIRES_ATTRIBUTE.to_owned(), expires)));
    }

    #[test]
    fn what_dynamodb_cannot_hold_is_refused_with_the_column() {
        let d: ArrayRef =
            Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, 1e126, -1e-131, 9.9e125]));
        let batch =
            batch(vec![("k", Arc::new(Int32Array::from(vec![1; 5])) as ArrayRef), ("d", d)]);
        let encoder = encoder(&batch, vec![0], Nulls::Written);
        assert_eq!(encoder.row_json(&batch, 0), r#"{"k":1,"d":"NaN"}"#);
        for row in 0..4 {
            let error = encoder.encode(&batch, row).unwrap_err();
            assert!(error.starts_with("column 'd': "), "{error}");
        }
        assert!(encoder.encode(&batch, 4).is_ok());
    }

    #[test]
    fn the_size_counts_names_and_values() {
        for (len, fits) in
            [(ITEM_BYTES_MAX - OWN_BYTES - 4, true), (ITEM_BYTES_MAX - OWN_BYTES - 3, false)]
        {
            let text = "x".repeat(len);
            // k, v: two names of one byte; the number 7 takes two.
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("k", Arc::new(Int32Array::from(vec![7]))),
                ("v", Arc::new(StringArray::from(vec![text]))),
            ];
            let batch = batch(columns);
            assert_eq!(encoder(&batch, vec![0], Nulls::Written).encode(&batch, 0).is_ok(), fits);
        }
    }
}
