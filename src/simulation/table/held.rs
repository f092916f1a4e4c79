//! What does a table hold, and what has it held under each key?
//!
//! The storage behind the service's calls. What always holds: an item takes the place of one whose
//! version is not higher, and of none else; every change is in the history of its key.

use std::collections::BTreeMap;

use crate::connector::dynamodb::api::{Attributes, Failure, OTHER_KEY, TableKey, Wanted};
use crate::connector::dynamodb::item::{
    DELETED_ATTRIBUTE, EXPIRES_ATTRIBUTE, Put, VERSION_ATTRIBUTE, key_bytes,
};
use crate::connector::dynamodb::value::{Value, write_json_object};
use crate::planted::{self, Bug};
use crate::sink::version::{Standing, lost_to};

/// What a table has held under a key, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The service's time, ms since the epoch.
    pub at_ms: i64,
    /// Which caller has written it.
    pub who: String,
    pub what: What,
    pub version: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Item(Attributes),
    Tombstone,
    /// TTL has taken the tombstone away.
    Gone,
}

/// A table.
pub(super) struct Table {
    /// Names and types of the key's attributes, hash before range.
    pub key: Vec<(String, String)>,
    /// When it was created, ms since the epoch.
    pub made_ms: i64,
    pub items: BTreeMap<Vec<u8>, Attributes>,
    pub history: BTreeMap<Vec<u8>, Vec<Change>>,
}

impl Table {
    pub fn has_key(&self, name: &str) -> bool {
        self.key.iter().any(|(key, _)| key == name)
    }

    /// The place of an item or of a key. Errors: it has another key than the table.
    pub fn place(&self, item: &Attributes) -> Result<Vec<u8>, Failure> {
        let unfit = |name: &str| {
            Failure::Unfit(format!("ValidationException: Type mismatch for key {name}"))
        };
        let mut values = Vec::new();
        for (name, kind) in &self.key {
            let value = get(item, name).ok_or_else(|| unfit(name))?;
            let is = match value {
                Value::Text(text) if text.is_empty() => {
                    let reason = "ValidationException: One or more parameter values are not valid: empty string value";
                    return Err(Failure::Refused(format!("{reason}. Key: {name}")));
                }
                Value::Text(_) => "S",
                Value::Number(_) => "N",
                Value::Bytes(_) => "B",
                _ => return Err(unfit(name)),
            };
            if is != kind {
                return Err(unfit(name));
            }
            values.push(value.clone());
        }
        key_bytes(&values).map(|key| key.to_vec()).ok_or_else(|| unfit("of the table"))
    }

    /// A write arrives. `known`: the table's key as `who` knows it.
    pub fn put(
        &mut self,
        put: &Put,
        known: &TableKey,
        who: &str,
        at_ms: i64,
    ) -> Result<Standing, Failure> {
        let Put { item, version } = put;
        let stored: Attributes = put.stored(at_ms.div_euclid(1000)).collect();
        let place = self.place(&stored)?;
        let held = self.items.get(&place);
        let held_version = held.and_then(version_of).map(String::from);
        let is_other = |held: &Attributes| {
            let known = known.attributes.iter().map(|(name, _)| name);
            known
                .into_iter()
                .any(|name| get(held, name).is_some_and(|v| Some(v) != get(&stored, name)))
        };
        let is_of_other_key = held.is_some_and(is_other);
        if is_of_other_key {
            return Err(Failure::Unfit(OTHER_KEY.into()));
        }
        let is_newer = planted::has(Bug::IgnoresVersions)
            || held_version.as_deref().is_none_or(|held| held <= &**version);
        if is_newer {
            let what = if item.deletes { What::Tombstone } else { What::Item(stored.clone()) };
            let change = Change {
                at_ms,
                who: who.into(),
                what,
                version: version_of(&stored).map(String::from),
            };
            self.history.entry(place.clone()).or_default().push(change);
            if item.deletes && planted::has(Bug::ForgetsTombstones) {
                self.items.remove(&place);
            } else {
                self.items.insert(place, stored);
            }
        }
        match held_version.as_deref() {
            held if !is_newer => Err(Failure::Superseded(lost_to(version, held))),
            Some(held) if *held == **version => Ok(Standing::Same),
            _ => Ok(Standing::Newer),
        }
    }

    /// Takes away what TTL would have by now.
    pub fn expire(&mut self, now_ms: i64) {
        let is_over = |item: &Attributes| match get(item, EXPIRES_ATTRIBUTE) {
            Some(Value::Number(text)) => text.parse::<i64>().is_ok_and(|s| s * 1000 <= now_ms),
            _ => false,
        };
        for (place, item) in self.items.extract_if(.., |_, item| is_over(item)) {
            let version = version_of(&item).map(String::from);
            let change = Change { at_ms: now_ms, who: "TTL".into(), what: What::Gone, version };
            self.history.entry(place).or_default().push(change);
        }
    }

    pub fn read(&self, place: &[u8], wanted: &Wanted) -> Option<Attributes> {
        Some(only(self.items.get(place)?, wanted))
    }
}

pub(super) fn is_tombstone(item: &Attributes) -> bool {
    item.iter().any(|(name, value)| name == DELETED_ATTRIBUTE && *value == Value::Bool(true))
}

pub(super) fn is_own(name: &str) -> bool {
    ![VERSION_ATTRIBUTE, DELETED_ATTRIBUTE, EXPIRES_ATTRIBUTE].contains(&name)
}

/// Some attributes of an item, in the order of their names.
pub(super) fn json(item: &Attributes, is_wanted: impl Fn(&str) -> bool) -> String {
    let wanted: BTreeMap<&str, &Value> =
        item.iter().filter(|(n, _)| is_wanted(n)).map(|(n, v)| (n.as_str(), v)).collect();
    let mut out = String::new();
    write_json_object(wanted.into_iter(), &mut out);
    out
}

pub(super) fn get<'a>(item: &'a Attributes, name: &str) -> Option<&'a Value> {
    item.iter().find(|(n, _)| n == name).map(|(_, value)| value)
}

fn version_of(item: &Attributes) -> Option<&str> {
    match get(item, VERSION_ATTRIBUTE) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

pub(super) fn only(item: &Attributes, wanted: &Wanted) -> Attributes {
    item.iter().filter(|(name, _)| wanted.contains(name)).cloned().collect()
}
