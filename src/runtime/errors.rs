//! The error stream: records that could not be decoded and rows that a kernel or a sink refused.
//!
//! Each becomes a row of one fixed schema and is written through a file sink, so it is checkpointed like any output: after a
//! crash no error is lost or doubled. Log lines are bounded: the first few of each worker, then a count.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::map_keys;
use crate::operator::FailedRows;
use crate::sink::{SinkError, SinkRows, SinkWriter};

/// Log lines about bad input per worker; the error stream has all of them.
const LOGGED_MAX: u64 = 5;

/// Columns of the error stream.
pub fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("stage"),
        text("name"),
        text("split"),
        text("position"),
        text("reason"),
        text("row"),
        Field::new("raw", DataType::Binary, true),
    ]))
}

/// One worker's end of the error stream.
pub struct ErrorStream {
    writer: Box<dyn SinkWriter>,
    /// What failed after a barrier whose epoch is not written yet. Bounded by the time that a snapshot takes.
    next_epoch: Vec<SinkRows>,
    count: u64,
    reported: u64,
}

impl ErrorStream {
    pub fn new(writer: Box<dyn SinkWriter>) -> ErrorStream {
        ErrorStream { writer, next_epoch: Vec::new(), count: 0, reported: 0 }
    }

    /// A record that is not what its table says. `place`: split, position, reason. `after_barrier`: it follows the barrier
    /// of the epoch in progress.
    pub fn bad_record(&mut self, table: &str, place: [&str; 3], raw: &[u8], after_barrier: bool) -> Result<(), SinkError> {
        let [split, position, reason] = place;
        self.log(|| format!("record diverted: table {table}, split {split}, {position}: {reason}"));
        self.put(["decode", table, split, position, reason], None, Some(raw), after_barrier)
    }

    /// Rows that an expression refused.
    pub fn failed_rows(&mut self, failed: &FailedRows, after_barrier: bool) -> Result<(), SinkError> {
        for row in 0..failed.rows.num_rows() {
            let text = row_text(&failed.rows, row);
            self.log(|| format!("row diverted: operator {}: {}: {text}", failed.operator, failed.reason));
            self.put(["operator", &failed.operator, "", "", &failed.reason], Some(&text), None, after_barrier)?;
        }
        Ok(())
    }

    /// A result that a sink can never take.
    pub fn rejected(&mut self, table: &str, row: &str, reason: &str, after_barrier: bool) -> Result<(), SinkError> {
        self.log(|| format!("row diverted: sink {table}: {reason}: {row}"));
        self.put(["sink", table, "", "", reason], Some(row), None, after_barrier)
    }

    /// Ends an epoch: what came after its barrier goes to the next one.
    pub fn prepare(&mut self, epoch: u64) -> Result<Vec<u8>, SinkError> {
        let staged = self.writer.prepare(epoch)?;
        for rows in self.next_epoch.drain(..) {
            self.writer.write(&rows)?;
        }
        Ok(staged)
    }

    /// How many were diverted since the last call.
    pub fn count_new(&mut self) -> u64 {
        let new = self.count - self.reported;
        self.reported = self.count;
        new
    }

    fn log(&mut self, line: impl Fn() -> String) {
        self.count += 1;
        match self.count {
            n if n < LOGGED_MAX => tracing::warn!("{}", line()),
            LOGGED_MAX => tracing::warn!("{} (more follow in the error stream, not here)", line()),
            _ => {}
        }
    }

    fn put(&mut self, text: [&str; 5], row: Option<&str>, raw: Option<&[u8]>, after_barrier: bool) -> Result<(), SinkError> {
        let mut columns: Vec<ArrayRef> = Vec::new();
        let column = |value: Option<&str>| {
            let mut builder = StringBuilder::new();
            builder.append_option(value);
            Arc::new(builder.finish()) as ArrayRef
        };
        for value in text {
            columns.push(column((!value.is_empty()).then_some(value)));
        }
        columns.push(column(row));
        let mut bytes = BinaryBuilder::new();
        bytes.append_option(raw);
        columns.push(Arc::new(bytes.finish()));
        let batch = RecordBatch::try_new(schema(), columns)
            .map_err(|e| SinkError::Write { table: "errors".into(), reason: e.to_string() })?;
        let rows = SinkRows::insert(batch, None);
        if after_barrier {
            self.next_epoch.push(rows);
            return Ok(());
        }
        self.writer.write(&rows)
    }
}

/// A row as `name=value` pairs, for people.
fn row_text(batch: &RecordBatch, row: usize) -> String {
    use arrow::util::display::array_value_to_string;
    let schema = batch.schema();
    let pairs = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let text = || map_keys::shown(&column.slice(row, 1)).and_then(|shown| array_value_to_string(&shown, 0));
        let value = if column.is_null(row) { "NULL".into() } else { text().unwrap_or_default() };
        format!("{}={value}", field.name())
    });
    pairs.collect::<Vec<_>>().join(", ")
}
