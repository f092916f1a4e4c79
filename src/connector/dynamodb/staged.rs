//! What was on its way to the table at a barrier, or waited for it, as the manifest keeps it.
//!
//! Written by the sink's writers, read when it is committed, or when a job goes on from that
//! checkpoint: a slow table holds no checkpoint up, since what it has not acknowledged is part of
//! it. What always holds: what is read back writes the same items with the same versions; another
//! version of the form is refused.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::item::{Item, Put};
use super::value::Value;
use crate::sink::Staged;

/// Of this form. Another one gets the next number.
const VERSION: u32 = 1;

/// Who sends what is staged?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SentBy {
    /// The writers of the job that goes on from the checkpoint.
    #[default]
    Writers,
    /// `commit`: the job ends with the checkpoint.
    Commit,
}

#[derive(Serialize, Deserialize)]
struct Items {
    version: u32,
    /// Missing where it is the writers.
    #[serde(default)]
    sent_by: SentBy,
    items: Vec<StagedItem>,
}

#[derive(Serialize, Deserialize)]
struct StagedItem {
    key: Vec<u8>,
    attributes: Vec<(String, Value)>,
    deletes: bool,
    /// Missing in what was staged before every item had one.
    version: Option<String>,
    memory_bytes: usize,
}

/// Empty if there are none.
pub fn encode<'a>(puts: impl Iterator<Item = &'a Put>, sent_by: SentBy) -> Staged {
    let items: Vec<StagedItem> = puts
        .map(|Put { item, version }| StagedItem {
            key: item.key.to_vec(),
            attributes: item
                .attributes
                .iter()
                .map(|(name, value)| (name.to_string(), value.clone()))
                .collect(),
            deletes: item.deletes,
            version: Some(version.to_string()),
            memory_bytes: item.memory_bytes,
        })
        .collect();
    if items.is_empty() {
        return Staged::new();
    }
    // Plain data in memory always encodes.
    serde_json::to_vec(&Items { version: VERSION, sent_by, items }).unwrap_or_default()
}

/// The items again and who sends them, or why they cannot be read. `lowest`: the version of those
/// without one.
pub fn decode(staged: &[u8], lowest: &Arc<str>) -> Result<(SentBy, Vec<Put>), String> {
    let items: Items = serde_json::from_slice(staged)
        .map_err(|e| format!("rows staged in the checkpoint cannot be read: {e}"))?;
    if items.version != VERSION {
        let found = items.version;
        return Err(format!(
            "rows staged in the checkpoint have form {found}; this version reads form {VERSION}"
        ));
    }
    let put = |staged: StagedItem| {
        let attributes = staged.attributes.into_iter().map(|(name, value)| (name.into(), value));
        let item = Item {
            key: staged.key.into(),
            attributes: attributes.collect(),
            deletes: staged.deletes,
            memory_bytes: staged.memory_bytes,
        };
        Put { item, version: staged.version.map_or_else(|| lowest.clone(), Into::into) }
    };
    Ok((items.sent_by, items.items.into_iter().map(put).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_back_as_they_were() {
        let nested = Value::Map(vec![(
            "l".into(),
            Value::List(vec![Value::Null, Value::Bool(true), Value::Bytes(vec![0, 255])]),
        )]);
        let item = Item {
            key: [1, 2].as_slice().into(),
            attributes: vec![
                ("n".into(), Value::Number("1.5".into())),
                ("m".into(), nested),
                ("t".into(), Value::Text("ä".into())),
            ],
            deletes: false,
            memory_bytes: 99,
        };
        let lowest: Arc<str> = "0".into();
        let deletion = Item { deletes: true, ..item.clone() };
        let puts = [(item, "7"), (deletion, "8")];
        let puts = puts.map(|(item, version)| Put { item, version: version.into() });
        let staged = encode(puts.iter(), SentBy::Commit);
        assert_eq!(decode(&staged, &lowest), Ok((SentBy::Commit, puts.to_vec())));
        let text = String::from_utf8(staged.clone()).unwrap();
        let text = text.replacen("\"7\"", "null", 1).replacen("\"sent_by\":\"Commit\",", "", 1);
        let (sent_by, older) = decode(text.as_bytes(), &lowest).unwrap();
        assert_eq!(sent_by, SentBy::Writers);
        assert_eq!(older[0], Put { version: lowest.clone(), ..puts[0].clone() });
        assert!(encode(std::iter::empty(), SentBy::Writers).is_empty());
        let other =
            String::from_utf8(staged).unwrap().replacen("\"version\":1", "\"version\":2", 1);
        assert!(decode(other.as_bytes(), &lowest).unwrap_err().contains("form 2"));
        assert!(decode(b"{", &lowest).is_err());
    }
}
