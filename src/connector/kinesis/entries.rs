//! From a row to a record of a stream: its payload and its partition key.
//!
//! Called by the sink's writer. What always holds: an entry is one that the stream can take; a row
//! of which none can be made is given back with the reason.

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use xxhash_rust::xxh3::xxh3_128;

use super::api::Entry;
use super::sink_options::Partitioner;
use crate::change::Op;
use crate::format::changes::ChangeMessage;
use crate::format::encode::RowEncoder;
use crate::format::json::JsonEncoder;
use crate::sink::Rejected;

/// Characters of a partition key. Flink cuts longer ones too.
const KEY_CHARS_MAX: usize = 256;
/// Payload and key of a record, as a stream takes them unless it was told otherwise.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// Makes the entries of one writer.
pub(super) struct EntryMaker {
    pub encoder: RowEncoder,
    /// Where a record says what its row does.
    pub message: Option<ChangeMessage>,
    /// For rows that cannot be records.
    pub json: JsonEncoder,
    pub partitioner: Partitioner,
    /// The columns of PARTITIONED BY.
    pub key_columns: Vec<usize>,
    /// The writer's number and run, from which its keys are made.
    pub seed: (i64, u64),
    pub made: u64,
}

impl EntryMaker {
    /// The entries of a batch, each in the order of its row. `op`: what a row does.
    pub fn entries(
        &mut self,
        batch: &RecordBatch,
        op: impl Fn(usize) -> Op,
    ) -> Vec<Result<Entry, Rejected>> {
        (0..batch.num_rows()).map(|row| self.entry(batch, row, op(row))).collect()
    }

    fn entry(&mut self, batch: &RecordBatch, row: usize, op: Op) -> Result<Entry, Rejected> {
        let mut data = Vec::new();
        self.encoder.encode_rows(batch, row..row + 1, &mut data);
        // A record is what stands on a line of a file.
        if data.last() == Some(&b'\n') {
            data.pop();
        }
        if let Some(message) = self.message {
            data = message.of(op, &data);
        }
        let key = self.key(batch, row);
        self.made += 1;
        let bytes = data.len() + key.len();
        let reason = if key.is_empty() {
            "its partition key is empty: write other columns into PARTITIONED BY".to_string()
        } else if bytes > RECORD_BYTES_MAX {
            format!("a record of {bytes} bytes: a stream takes {RECORD_BYTES_MAX} at most")
        } else {
            return Ok((key, data));
        };
        let mut text = Vec::new();
        self.json.encode_row(batch, row, &mut text);
        Err(Rejected { row: String::from_utf8_lossy(&text).into_owned(), reason })
    }

    fn key(&self, batch: &RecordBatch, row: usize) -> String {
        let (run_ms, writer) = self.seed;
        let hashed = |number: u64| {
            let seed = [run_ms as u64, writer, number].map(u64::to_be_bytes).concat();
            format!("{:032x}", xxh3_128(&seed))
        };
        match &self.partitioner {
            Partitioner::Random => hashed(self.made + 1),
            Partitioner::Fixed => hashed(0),
            Partitioner::Fields { delimiter } => {
                let values = self.key_columns.iter().map(|&c| text(batch, c, row));
                let all = values.collect::<Vec<_>>().join(delimiter);
                match all.char_indices().nth(KEY_CHARS_MAX) {
                    Some((end, _)) => all[..end].to_string(),
                    None => all,
                }
            }
        }
    }
}

/// A value as text; "null" for none, as in Flink.
fn text(batch: &RecordBatch, column: usize, row: usize) -> String {
    let options = FormatOptions::default().with_null("null");
    ArrayFormatter::try_new(batch.column(column), &options)
        .map_or_else(|_| "null".into(), |formatter| formatter.value(row).to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::format::encode::EncodeFormat;
    use crate::format::json::EncodeOptions;

    fn maker(partitioner: Partitioner) -> (EntryMaker, RecordBatch) {
        let schema = Arc::new(Schema::new(vec![
            Field::new("k", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
        ]));
        let long = "x".repeat(300);
        let columns: [ArrayRef; 2] = [
            Arc::new(StringArray::from(vec![Some("a"), None, Some(&long)])),
            Arc::new(Int64Array::from(vec![1, 2, 3])),
        ];
        let batch = RecordBatch::try_new(schema.clone(), columns.to_vec()).unwrap();
        let format = EncodeFormat::Json(EncodeOptions::default());
        let maker = EntryMaker {
            encoder: format.encoder(&schema).unwrap(),
            message: None,
            json: JsonEncoder::new(&schema, EncodeOptions::default()).unwrap(),
            partitioner,
            key_columns: vec![0, 1],
            seed: (7, 1),
            made: 0,
        };
        (maker, batch)
    }

    #[test]
    fn keys_are_values_of_columns() {
        let (mut maker, batch) = maker(Partitioner::Fields { delimiter: "|".into() });
        let entries: Vec<Entry> =
            maker.entries(&batch, |_| Op::Insert).into_iter().map(Result::unwrap).collect();
        let keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["a|1", "null|2", &"x".repeat(256)]);
        assert_eq!(entries[0].1, br#"{"k":"a","n":1}"#);
    }

    #[test]
    fn fixed_and_random_keys() {
        let keys = |partitioner| -> Vec<String> {
            let (mut maker, batch) = maker(partitioner);
            maker.entries(&batch, |_| Op::Insert).into_iter().map(|e| e.unwrap().0).collect()
        };
        let (fixed, random) = (keys(Partitioner::Fixed), keys(Partitioner::Random));
        assert!(fixed.iter().all(|key| *key == fixed[0]));
        assert!(random[0] != random[1] && random[1] != random[2] && random[0] != fixed[0]);
    }
}
