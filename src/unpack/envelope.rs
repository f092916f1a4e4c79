//! Envelopes: what services of AWS put around the records that they send to a stream.
//!
//! Made by `connect` where a setting names the service. What always holds: what the format reads is
//! the content as its producer wrote it, byte for byte; the fields of the envelope are metadata,
//! whose keys begin with [`METADATA`], so that no name of theirs meets one of the content; a message
//! that says something of its sender is counted and gives nothing.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, TimestampMillisecondArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::members::{Members, shortened, whole};
use super::{Counts, Unpack, Unpacked};
use crate::config::Envelope;
use crate::format::json::base64;
use crate::record::{Parts, Places, RECORD_BYTES_MAX, RawBatch};

/// What the keys of an envelope's metadata begin with.
pub(crate) const METADATA: &str = "envelope.";

/// Records taken at a time where one holds many: see [`SHARED_BYTES_MAX`].
const RECORDS_MAX: usize = 16;
/// What a message says once for all of its log events is repeated for each. So much may come of
/// that: no sender comes near it, and the metadata of a batch stays within 1 GiB.
const SHARED_BYTES_MAX: usize = 4 * RECORD_BYTES_MAX;

/// A metadata column that is a field of the envelope.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Its place among the metadata columns of the table.
    pub index: usize,
    /// The field's name in the envelope.
    pub name: String,
    pub data_type: DataType,
}

/// Takes the content out of envelopes.
pub(crate) struct Opener {
    envelope: Envelope,
    /// In the order of their places.
    fields: Vec<Field>,
}

impl Opener {
    pub fn new(envelope: Envelope, fields: Vec<Field>) -> Opener {
        debug_assert!(fields.is_sorted_by_key(|f| f.index), "fields in their order");
        Opener { envelope, fields }
    }
}

impl Unpack for Opener {
    fn records_max(&self) -> Option<usize> {
        (self.envelope == Envelope::CloudWatchLogs).then_some(RECORDS_MAX)
    }

    fn unpack(&mut self, raw: RawBatch) -> Unpacked {
        let mut opened = Opened {
            raw: RawBatch::default(),
            records: Vec::with_capacity(raw.len()),
            numbers: Vec::new(),
            texts: vec![Vec::new(); self.fields.len()],
            counts: Counts::default(),
        };
        let mut unusable = Vec::new();
        for i in 0..raw.len() {
            let before = opened.mark();
            if let Err(reason) = self.open(i, raw.record(i), &mut opened) {
                opened.back_to(before);
                let name = self.envelope.name();
                let reason = format!("as 'envelope' = '{name}' reads the record, {reason}");
                unusable.push(raw.unusable(i, reason));
            }
        }
        let Opened { raw: mut content, records, numbers, texts, counts } = opened;
        content.metadata = raw.metadata_of(&records);
        for (field, texts) in self.fields.iter().zip(texts) {
            let at = field.index.min(content.metadata.len());
            content.metadata.insert(at, typed(texts, &field.data_type));
        }
        let parts = (self.envelope == Envelope::CloudWatchLogs)
            .then_some(Parts { what: "log event", numbers });
        content.places = Places::Within { source: Box::new(raw.places), records, parts };
        Unpacked { raw: content, unusable, counts }
    }
}

/// What came of the records so far.
struct Opened {
    raw: RawBatch,
    records: Vec<u32>,
    numbers: Vec<Option<u32>>,
    /// Of each field, for each record.
    texts: Vec<Vec<Option<String>>>,
    counts: Counts,
}

impl Opened {
    fn mark(&self) -> (usize, usize) {
        (self.raw.bytes.len(), self.records.len())
    }

    /// Forgets what came since.
    fn back_to(&mut self, (bytes, records): (usize, usize)) {
        self.raw.bytes.truncate(bytes);
        self.raw.spans.truncate(records);
        self.records.truncate(records);
        self.numbers.truncate(records);
        self.texts.iter_mut().for_each(|texts| texts.truncate(records));
    }

    fn push(&mut self, record: usize, number: usize, content: &[u8]) {
        self.raw.push(|bytes| bytes.extend_from_slice(content));
        self.records.push(record as u32);
        self.numbers.push(Some(number as u32));
    }
}

impl Opener {
    fn open(&self, i: usize, record: &[u8], opened: &mut Opened) -> Result<(), String> {
        match self.envelope {
            Envelope::CloudWatchLogs => self.logs(i, record, opened),
            Envelope::EventBridge => {
                let event = whole(record)?;
                let detail = event.get("detail").ok_or("it has no 'detail'")?;
                opened.push(i, 0, detail.get().as_bytes());
                self.note(opened, &[&event])
            }
            Envelope::Dms => self.change(i, record, opened),
            Envelope::Iot => {
                // Payloads are put into the stream as they are, unless the rule encodes them.
                let message = whole(record).unwrap_or_default();
                match message.get("data").filter(|data| data.get().starts_with('"')) {
                    Some(data) => {
                        let text = text(data)?.unwrap_or_default();
                        let mut content = Vec::new();
                        base64::read(&mut content, text.as_bytes())
                            .ok_or("its 'data' is not base64")?;
                        opened.push(i, 0, &content);
                    }
                    None => opened.push(i, 0, record),
                }
                self.note(opened, &[&message])
            }
        }
    }

    /// A message of a subscription of CloudWatch Logs: each log event is a record.
    fn logs(&self, i: usize, record: &[u8], opened: &mut Opened) -> Result<(), String> {
        let message = whole(record)?;
        let kind = message.get("messageType").ok_or("it has no 'messageType'")?;
        match kind.get() {
            "\"CONTROL_MESSAGE\"" => {
                opened.counts.control += 1;
                return Ok(());
            }
            "\"DATA_MESSAGE\"" => {}
            other => return Err(format!("its 'messageType' is {}", shortened(other))),
        }
        let events = message.get("logEvents").ok_or("it has no 'logEvents'")?;
        let events: Vec<Members<'_>> =
            serde_json::from_str(events.get()).map_err(|e| format!("its 'logEvents': {e}"))?;
        let shared: usize =
            self.fields.iter().filter_map(|f| message.get(&f.name)).map(|v| v.get().len()).sum();
        if shared.saturating_mul(events.len()) > SHARED_BYTES_MAX {
            return Err("what it says for all log events is far longer than they are".into());
        }
        for (number, event) in events.iter().enumerate() {
            let raw = event
                .get("message")
                .ok_or_else(|| format!("its log event {number} has no 'message'"))?;
            let text = text(raw)?.unwrap_or_default();
            let is_object = text.trim_start().starts_with('{')
                && serde_json::from_str::<IgnoredAny>(&text).is_ok();
            if is_object {
                opened.push(i, number, text.as_bytes());
            } else {
                opened.push(i, number, format!("{{\"message\":{}}}", raw.get()).as_bytes());
            }
            self.note(opened, &[event, &message])?;
        }
        Ok(())
    }

    /// A message of the Database Migration Service.
    fn change(&self, i: usize, record: &[u8], opened: &mut Opened) -> Result<(), String> {
        let message = whole(record)?;
        let metadata = message.get("metadata").ok_or("it has no 'metadata'")?;
        let metadata = whole(metadata.get().as_bytes())?;
        if metadata.get("record-type").is_some_and(|kind| kind.get() == "\"control\"") {
            opened.counts.control += 1;
            return Ok(());
        }
        let data = message.get("data").ok_or("it has no 'data'")?;
        opened.push(i, 0, data.get().as_bytes());
        self.note(opened, &[&metadata, &message])
    }

    /// Notes the fields of the newest record, from where each is found first.
    fn note(&self, opened: &mut Opened, from: &[&Members<'_>]) -> Result<(), String> {
        for (field, texts) in self.fields.iter().zip(&mut opened.texts) {
            let found = from.iter().find_map(|members| members.get(&field.name));
            texts.push(found.map_or(Ok(None), |value| text(value))?);
        }
        Ok(())
    }
}

/// A string as what it means, and any other value as it is written.
fn text(value: &RawValue) -> Result<Option<String>, String> {
    match value.get() {
        "null" => Ok(None),
        string if string.starts_with('"') => {
            serde_json::from_str(string).map(Some).map_err(|e| format!("a string in it: {e}"))
        }
        other => Ok(Some(other.to_string())),
    }
}

/// A column of its declared type; what cannot be one is NULL.
fn typed(texts: Vec<Option<String>>, data_type: &DataType) -> ArrayRef {
    let array: ArrayRef = match data_type {
        DataType::Timestamp(_, zone) => {
            let times = texts.iter().map(|text| text.as_deref().and_then(time_ms));
            let times = times.collect::<TimestampMillisecondArray>();
            Arc::new(times.with_timezone_opt(zone.clone()))
        }
        _ => Arc::new(texts.into_iter().collect::<StringArray>()),
    };
    match cast(&array, data_type) {
        Ok(column) => column,
        // A type that no text can be: the batch says so, record by record.
        Err(_) => array,
    }
}

/// Milliseconds since the epoch, or a time of day with its date and zone.
fn time_ms(text: &str) -> Option<i64> {
    let time = || chrono::DateTime::parse_from_rfc3339(text).ok().map(|t| t.timestamp_millis());
    text.parse().ok().or_else(time)
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
