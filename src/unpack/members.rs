//! The members of a JSON object, each as it is written.
//!
//! Read by the steps whose records are messages in JSON. What always holds: no value is read before
//! somebody asks for it, so that what a message holds stays byte for byte as its producer wrote it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// By name; of several of one name the last.
pub(super) type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Characters of a value that a reason quotes.
const QUOTED_MAX: usize = 50;

/// The members of the object that a record is.
pub(super) fn whole(record: &[u8]) -> Result<Members<'_>, String> {
    let mut values = serde_json::Deserializer::from_slice(record);
    let members = object(&mut values)?;
    values.end().map_err(|e| format!("something follows its object: {e}"))?;
    Ok(members)
}

/// The members of the object that a record begins with.
pub(super) fn first(record: &[u8]) -> Result<Members<'_>, String> {
    object(&mut serde_json::Deserializer::from_slice(record))
}

fn object<'a>(
    values: &mut serde_json::Deserializer<serde_json::de::SliceRead<'a>>,
) -> Result<Members<'a>, String> {
    Members::deserialize(values).map_err(|e| format!("it is no object: {e}"))
}

/// The beginning of a text, as a reason quotes it.
pub(super) fn shortened(text: &str) -> &str {
    text.char_indices().nth(QUOTED_MAX).map_or(text, |(end, _)| &text[..end])
}
