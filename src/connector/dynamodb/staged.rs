//! What was on its way to the table at a barrier, as the manifest keeps it.
//!
//! Written by the sink's writers, read when a job goes on from that checkpoint: a slow table holds
//! no checkpoint up, since what it has not acknowledged is part of it. What always holds: what is
//! read back writes the same items; another version of the form is refused.

use serde::{Deserialize, Serialize};

use super::item::Item;
use super::value::Value;
use crate::sink::Staged;

/// Of this form. Another one gets the next number.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Items {
    version: u32,
    items: Vec<StagedItem>,
}

#[derive(Serialize, Deserialize)]
struct StagedItem {
    key: Vec<u8>,
    attributes: Vec<(String, Value)>,
    deletes: bool,
    version: Option<String>,
    memory_bytes: usize,
}

/// Empty if there are none.
pub fn encode<'a>(items: impl Iterator<Item = &'a Item>) -> Staged {
    let items: Vec<StagedItem> = items
        .map(|item| StagedItem {
            key: item.key.to_vec(),
            attributes: item
                .attributes
                .iter()
                .map(|(name, value)| (name.to_string(), value.clone()))
                .collect(),
            deletes: item.deletes,
            version: item.version.as_deref().map(String::from),
            memory_bytes: item.memory_bytes,
        })
        .collect();
    if items.is_empty() {
        return Staged::new();
    }
    // Plain data in memory always encodes.
    serde_json::to_vec(&Items { version: VERSION, items }).unwrap_or_default()
}

/// The items again, or why they cannot be read.
pub fn decode(staged: &[u8]) -> Result<Vec<Item>, String> {
    let items: Items = serde_json::from_slice(staged)
        .map_err(|e| format!("rows staged in the checkpoint cannot be read: {e}"))?;
    if items.version != VERSION {
        let found = items.version;
        return Err(format!(
            "rows staged in the checkpoint have form {found}; this version reads form {VERSION}"
        ));
    }
    let item = |item: StagedItem| Item {
        key: item.key.into(),
        attributes: item.attributes.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        deletes: item.deletes,
        version: item.version.map(Into::into),
        memory_bytes: item.memory_bytes,
    };
    Ok(items.items.into_iter().map(item).collect())
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
            version: Some("7".into()),
            memory_bytes: 99,
        };
        let deletion = Item { deletes: true, version: None, ..item.clone() };
        let staged = encode([&item, &deletion].into_iter());
        assert_eq!(decode(&staged), Ok(vec![item, deletion]));
        assert!(encode(std::iter::empty()).is_empty());
        let other =
            String::from_utf8(staged).unwrap().replacen("\"version\":1", "\"version\":2", 1);
        assert!(decode(other.as_bytes()).unwrap_err().contains("form 2"));
        assert!(decode(b"{").is_err());
    }
}
