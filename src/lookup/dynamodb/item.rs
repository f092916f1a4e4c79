//! Items to rows: which value does a column have where the item has this attribute?
//!
//! The inverse of what the sink writes (`sink::dynamodb::value`). An item is written as a JSON object in the form that the
//! format `json` reads, which does the rest: texts are parsed into dates, times and timestamps, numbers into the column's type. What
//! always holds: an attribute that is missing is NULL, one that no column names is passed over.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::format::Decoder;
use crate::format::json::{FieldSource, JsonDecoder, JsonField, JsonOptions, write_base64, write_string};
use crate::sink::dynamodb::read::Attributes;
use crate::sink::dynamodb::value::Value;
use crate::source::{RawBatch, Span};

/// The rows of items, one each. Errors: which item cannot be read, and why.
pub fn decode(items: &[Attributes], schema: &SchemaRef) -> Result<RecordBatch, String> {
    let fields = schema.fields().iter().map(|f| JsonField { name: f.name().clone(), source: FieldSource::Payload }).collect();
    let mut decoder = JsonDecoder::new(fields, schema.clone(), JsonOptions::default()).map_err(|e| e.to_string())?;
    let mut raw = RawBatch::default();
    for item in items {
        let start = raw.bytes.len() as u32;
        write_object(item, &mut raw.bytes);
        raw.spans.push(Span { start, end: raw.bytes.len() as u32 });
    }
    let decoded = decoder.decode(&raw);
    match decoded.bad.first() {
        Some(bad) => Err(format!("{}: {}", bad.reason, String::from_utf8_lossy(raw.record(bad.index)))),
        None => Ok(decoded.batch),
    }
}

fn write_object(entries: &[(String, Value)], out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (name, value)) in entries.iter().enumerate() {
        out.extend_from_slice(if i > 0 { b"," } else { b"" });
        write_string(out, name);
        out.push(b':');
        write(value, out);
    }
    out.push(b'}');
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        Value::Number(n) => out.extend_from_slice(n.as_bytes()),
        Value::Text(s) => write_string(out, s),
        Value::Bytes(b) => {
            out.push(b'"');
            write_base64(out, b);
            out.push(b'"');
        }
        Value::List(values) => {
            out.push(b'[');
            for (i, value) in values.iter().enumerate() {
                out.extend_from_slice(if i > 0 { b"," } else { b"" });
                write(value, out);
            }
            out.push(b']');
        }
        Value::Map(entries) => write_object(entries, out),
    }
}
