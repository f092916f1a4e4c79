//! Items to rows: which value does a column have where the item has this attribute?
//!
//! The inverse of what the sink writes (`connector::dynamodb::value`). An item is written as a JSON
//! object in the form that the format `json` reads, which does the rest: texts are parsed into
//! dates, times and timestamps, numbers into the column's type. What always holds: an attribute
//! that is missing is NULL, one that no column names is passed over.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::connector::dynamodb::api::Attributes;
use crate::connector::dynamodb::value::Value;
use crate::format::Decoder;
use crate::format::json::{
    FieldSource, JsonDecoder, JsonField, JsonOptions, write_base64, write_string,
};
use crate::record::RawBatch;

/// The rows of items, one each. Errors: which item cannot be read, and why.
pub fn decode(items: &[Attributes], schema: &SchemaRef) -> Result<RecordBatch, String> {
    let fields = schema
        .fields()
        .iter()
        .map(|f| JsonField { name: f.name().clone(), source: FieldSource::Payload })
        .collect();
    let mut decoder = JsonDecoder::new(fields, schema.clone(), JsonOptions::default())
        .map_err(|e| e.to_string())?;
    let mut raw = RawBatch::default();
    for item in items {
        raw.push(|bytes| write_object(item, bytes));
    }
    let decoded = decoder.decode(&raw);
    match decoded.bad.first() {
        Some(bad) => {
            Err(format!("{}: {}", bad.reason, String::from_utf8_lossy(raw.record(bad.index))))
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::*;
    use arrow::datatypes::{DataType, Field, Int32Type, Schema};

    use crate::connector::dynamodb::value::value;

    fn item(entries: &[(&str, Value)]) -> Attributes {
        entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn what_the_sink_writes_comes_back() {
        let decimals =
            Decimal128Array::from(vec![Some(-150), None]).with_precision_and_scale(10, 2).unwrap();
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        maps.keys().append_value("a \"quoted\" key");
        maps.values().append_value(7);
        maps.append(true).unwrap();
        maps.append(false).unwrap();
        let zoned = TimestampMillisecondArray::from(vec![Some(1_709_168_523_045), None])
            .with_timezone("UTC");
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![Some("caf\u{e9}\n\\"), None])),
            Arc::new(BooleanArray::from(vec![Some(true), None])),
            Arc::new(Int8Array::from(vec![Some(-128), None])),
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None])),
            Arc::new(Float32Array::from(vec![Some(1.1), None])),
            Arc::new(Float64Array::from(vec![Some(-1e-7), None])),
            Arc::new(decimals),
            Arc::new(BinaryArray::from(vec![Some(&[0u8, 1, 255][..]), None])),
            Arc::new(Date32Array::from(vec![Some(19782), None])),
            Arc::new(Time32MillisecondArray::from(vec![Some(3_723_045), None])),
            Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None])),
            Arc::new(TimestampNanosecondArray::from(vec![Some(1_709_168_523_000_000_001), None])),
            Arc::new(zoned),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
                Some(vec![Some(1), None]),
                None,
            ])),
            Arc::new(maps.finish()),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .enumerate()
            .map(|(i, c)| Field::new(format!("c{i}"), c.data_type().clone(), true))
            .collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        for leaves_nulls_out in [false, true] {
            let items: Vec<Attributes> = (0..batch.num_rows())
                .map(|row| {
                    let cells = batch.schema_ref().fields().iter().zip(batch.columns());
                    let cells = cells
                        .map(|(field, column)| (field.name().clone(), value(column, row).unwrap()));
                    cells.filter(|(_, value)| !leaves_nulls_out || *value != Value::Null).collect()
                })
                .collect();
            assert_eq!(decode(&items, &batch.schema()).unwrap(), batch);
        }
    }

    #[test]
    fn what_others_write_is_read_as_json_would_be() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int32, true),
            Field::new(
                "tags",
                DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
                true,
            ),
        ]));
        let tags = Value::List(vec![Value::Text("x".into()), Value::Text("y".into())]);
        let items = [
            item(&[("other", Value::Bool(true)), ("n", Value::Number("7".into())), ("tags", tags)]),
            item(&[]),
        ];
        let rows = decode(&items, &schema).unwrap();
        assert_eq!(rows.column(0).as_ref(), &Int32Array::from(vec![Some(7), None]));
        assert_eq!(
            rows.column(1).as_list::<i32>().value(0).as_ref(),
            &StringArray::from(vec!["x", "y"])
        );
        let error = decode(&[item(&[("n", Value::Text("many".into()))])], &schema).unwrap_err();
        assert!(error.contains('n') && error.contains("many"), "{error}");
        assert_eq!(decode(&[], &schema).unwrap().num_rows(), 0);
    }
}
