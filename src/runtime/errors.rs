//! The error stream: records that could not be decoded and rows that a kernel or a sink refused.
//!
//! Each becomes a row of one fixed schema and is written through a file sink, so it is checkpointed
//! like any output: after a crash no error is lost or doubled. Log lines are bounded: the first few
//! of each worker, then a count.
//!
//! What always holds: the raw bytes of a record are kept as the source gave them. Reasons and
//! derived rows quote values of any length, and wait in memory while a snapshot is under way, so
//! they are cut at a bound; what is cut says so and is counted.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use crc32c::crc32c_append;

use crate::bounded::{bounded, left_out};
use crate::ids::Epoch;
use crate::map_keys;
use crate::operator::FailedRows;
use crate::rows::Rows;
use crate::sink::{Afterwards, Prepared, Rejected, Sink, SinkError, SinkWriter};
use crate::who::Who;

/// Log lines about bad input per worker; the error stream has all of them.
pub(crate) const LOGGED_MAX: u64 = 5;
/// A log line, bytes: some lines on a screen. The error stream has more.
const LOG_BYTES_MAX: usize = 2 << 10;
/// A reason, bytes: they quote values, of which the beginning is enough to know what is wrong.
const REASON_BYTES_MAX: usize = 4 << 10;
/// A derived row as text, bytes. Its record is not kept, so this is large: hundreds of usual rows.
const ROW_BYTES_MAX: usize = 1 << 20;

/// What may wait for the end of an epoch, bytes: a table that is slow to acknowledge holds it up,
/// and each record is bad.
const WAITING_BYTES_MAX: usize = 16 << 20;

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

/// Where something stands to the barrier of the epoch that is being prepared, if one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarrierSide {
    Before,
    Behind,
}

/// One worker's end of the error stream.
pub struct ErrorStream {
    writer: Box<dyn SinkWriter>,
    /// What failed behind a barrier whose epoch is not complete yet.
    next_epoch: Vec<Rows>,
    next_epoch_bytes: usize,
    count: u64,
    reported: u64,
    /// Bytes of rows and reasons that were left out since the last look.
    cut_bytes: u64,
    /// An epoch was ended, and what is on its way has to arrive.
    is_preparing: bool,
}

impl ErrorStream {
    pub fn new(writer: Box<dyn SinkWriter>) -> ErrorStream {
        ErrorStream::behind(0, writer)
    }

    /// The same behind others that have told of so many rows.
    fn behind(count: u64, writer: Box<dyn SinkWriter>) -> ErrorStream {
        ErrorStream {
            writer,
            next_epoch: Vec::new(),
            next_epoch_bytes: 0,
            count,
            reported: count,
            cut_bytes: 0,
            is_preparing: false,
        }
    }

    /// A record that is not what its table says. `place`: split, position, reason. `side`: where it
    /// stands to the barrier of the epoch in progress.
    pub(crate) fn bad_record(
        &mut self,
        table: &str,
        place: [&str; 3],
        raw: &[u8],
        side: BarrierSide,
    ) -> Result<(), SinkError> {
        let [split, position, reason] = place;
        self.log(|| format!("record diverted: table {table}, split {split}, {position}: {reason}"));
        self.put(["decode", table, split, position, reason], None, Some(raw), side)
    }

    /// Rows that an expression refused.
    pub(crate) fn failed_rows(
        &mut self,
        failed: &FailedRows,
        side: BarrierSide,
    ) -> Result<(), SinkError> {
        for row in 0..failed.rows.num_rows() {
            let text = row_text(&failed.rows, row);
            self.log(|| {
                format!("row diverted: operator {}: {}: {text}", failed.operator, failed.reason)
            });
            self.put(
                ["operator", &failed.operator, "", "", &failed.reason],
                Some(&text),
                None,
                side,
            )?;
        }
        Ok(())
    }

    /// A result that a sink can never take.
    pub fn rejected(
        &mut self,
        table: &str,
        row: &str,
        reason: &str,
        side: BarrierSide,
    ) -> Result<(), SinkError> {
        self.log(|| format!("row diverted: sink {table}: {reason}: {row}"));
        self.put(["sink", table, "", "", reason], Some(row), None, side)
    }

    /// Ends an epoch: what came after its barrier goes to the next one. To be asked again while it
    /// has to wait.
    pub fn prepare(&mut self, epoch: Epoch, afterwards: Afterwards) -> Result<Prepared, SinkError> {
        let prepared = if self.is_preparing {
            self.writer.poll_prepare()?
        } else {
            self.writer.begin_prepare(epoch, afterwards)?
        };
        self.is_preparing = prepared == Prepared::Waits;
        if !self.is_preparing {
            self.next_epoch_bytes = 0;
            for rows in self.next_epoch.drain(..) {
                self.writer.write(&rows)?;
            }
        }
        Ok(prepared)
    }

    /// True while so much waits for the end of an epoch that nothing more should be read.
    pub(crate) fn is_full(&self) -> bool {
        self.next_epoch_bytes > WAITING_BYTES_MAX
    }

    /// How many were diverted since the last call.
    pub(crate) fn count_new(&mut self) -> u64 {
        let new = self.count - self.reported;
        self.reported = self.count;
        new
    }

    /// How many bytes of them were left out since the last call.
    pub(crate) fn cut_bytes_new(&mut self) -> u64 {
        std::mem::take(&mut self.cut_bytes)
    }

    fn log(&mut self, line: impl Fn() -> String) {
        self.count += 1;
        let bounded_line = || bounded(&line(), LOG_BYTES_MAX).into_owned();
        match self.count {
            n if n < LOGGED_MAX => tracing::warn!("{}", bounded_line()),
            LOGGED_MAX => {
                tracing::warn!("{} (more follow in the error stream, not here)", bounded_line())
            }
            _ => {}
        }
    }

    fn put(
        &mut self,
        text: [&str; 5],
        row: Option<&str>,
        raw: Option<&[u8]>,
        side: BarrierSide,
    ) -> Result<(), SinkError> {
        let mut columns: Vec<ArrayRef> = Vec::new();
        let column = |value: Option<&str>| {
            let mut builder = StringBuilder::new();
            builder.append_option(value);
            Arc::new(builder.finish()) as ArrayRef
        };
        let [stage, name, split, position, reason] = text;
        let cut =
            left_out(reason, REASON_BYTES_MAX) + row.map_or(0, |row| left_out(row, ROW_BYTES_MAX));
        self.cut_bytes += cut as u64;
        for value in [stage, name, split, position, &bounded(reason, REASON_BYTES_MAX)] {
            columns.push(column((!value.is_empty()).then_some(value)));
        }
        columns.push(column(row.map(|row| bounded(row, ROW_BYTES_MAX)).as_deref()));
        let mut bytes = BinaryBuilder::new();
        bytes.append_option(raw);
        columns.push(Arc::new(bytes.finish()));
        let batch = RecordBatch::try_new(schema(), columns).map_err(|e| SinkError::Write {
            table: "errors".into(),
            reason: e.to_string(),
            who: Who::Us,
        })?;
        let rows = Rows::of_window(batch, None);
        match side {
            BarrierSide::Before => self.writer.write(&rows),
            BarrierSide::Behind => {
                self.next_epoch_bytes += rows.batch.get_array_memory_size();
                self.next_epoch.push(rows);
                Ok(())
            }
        }
    }
}

/// Numbers of writers of what is refused when an epoch is published begin here: workers have lower
/// ones.
const REFUSED_WRITERS: usize = 1 << 32;

/// Adds rows that sinks refused when they published an epoch, whose part of the stream is published
/// already, and publishes them too. When that is repeated with the same rows, they are there
/// already: the writer's number, which is in the file's name, is a checksum of them.
/// `refused_before`: how many there were in earlier epochs, since the log has the first alone.
pub(crate) fn publish_refused(
    errors: &dyn Sink,
    epoch: Epoch,
    refused: &[(&str, Rejected)],
    refused_before: u64,
) -> Result<(), SinkError> {
    if refused.is_empty() {
        return Ok(());
    }
    let mut refused: Vec<_> = refused.iter().collect();
    refused.sort_by_key(|(table, rejected)| (*table, &rejected.row));
    let checksum = refused.iter().fold(0, |crc, (table, Rejected { row, reason })| {
        [*table, row, reason].iter().fold(crc, |crc, text| crc32c_append(crc, text.as_bytes()))
    });
    let writer = errors.writer(REFUSED_WRITERS + checksum as usize, Arc::new(|| {}))?;
    let mut stream = ErrorStream::behind(refused_before, writer);
    for (table, Rejected { row, reason }) in refused {
        stream.rejected(table, row, reason, BarrierSide::Before)?;
    }
    let Prepared::Part { staged, .. } = stream.prepare(epoch, Afterwards::Ends)? else {
        return Ok(());
    };
    errors.commit(&[staged])
}

/// A row as `name=value` pairs, for people.
fn row_text(batch: &RecordBatch, row: usize) -> String {
    use arrow::util::display::array_value_to_string;
    let schema = batch.schema();
    let pairs = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let text = || {
            map_keys::shown(&column.slice(row, 1))
                .and_then(|shown| array_value_to_string(&shown, 0))
        };
        let value = if column.is_null(row) { "NULL".into() } else { text().unwrap_or_default() };
        format!("{}={value}", field.name())
    });
    pairs.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use arrow::array::AsArray;

    use super::*;

    /// Keeps what it is given.
    struct Kept(Arc<Mutex<Vec<RecordBatch>>>);

    impl SinkWriter for Kept {
        fn write(&mut self, rows: &Rows) -> Result<(), SinkError> {
            self.0.lock().unwrap().push(rows.batch.clone());
            Ok(())
        }
        fn begin_prepare(&mut self, _: Epoch, _: Afterwards) -> Result<Prepared, SinkError> {
            Ok(Prepared::staged(vec![]))
        }
    }

    #[test]
    fn what_fails_behind_a_barrier_waits_for_the_epoch_to_end() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let mut errors = ErrorStream::new(Box::new(Kept(kept.clone())));
        let count = || kept.lock().unwrap().len();
        let raw = vec![b'x'; WAITING_BYTES_MAX];
        errors.bad_record("t", ["s", "line 2", "bad"], &raw, BarrierSide::Behind).unwrap();
        errors.bad_record("t", ["s", "line 1", "bad"], b"x", BarrierSide::Before).unwrap();
        assert_eq!((count(), errors.is_full()), (1, true));
        errors.prepare(Epoch::new(1), Afterwards::GoesOn).unwrap();
        assert_eq!((count(), errors.is_full()), (2, false));
    }

    #[test]
    fn what_is_too_long_is_cut_and_counted_and_records_are_kept_whole() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let mut errors = ErrorStream::new(Box::new(Kept(kept.clone())));
        let long = "x".repeat(2 * ROW_BYTES_MAX);
        errors
            .bad_record("t", ["s", "line 1", &long], long.as_bytes(), BarrierSide::Before)
            .unwrap();
        assert_eq!(errors.cut_bytes_new(), (long.len() - REASON_BYTES_MAX) as u64);
        errors.rejected("t", &long, "no key", BarrierSide::Before).unwrap();
        assert_eq!(
            (errors.cut_bytes_new(), errors.cut_bytes_new()),
            ((long.len() - ROW_BYTES_MAX) as u64, 0)
        );
        let text = |batch: &RecordBatch, column: &str| {
            batch.column_by_name(column).unwrap().as_string::<i32>().value(0).to_string()
        };
        let kept = kept.lock().unwrap();
        assert!(text(&kept[0], "reason").ends_with(&format!(
            "… ({} of {} bytes left out)",
            long.len() - REASON_BYTES_MAX,
            long.len()
        )));
        assert_eq!(
            kept[0].column_by_name("raw").unwrap().as_binary::<i32>().value(0).len(),
            long.len()
        );
        assert!(
            text(&kept[1], "row").ends_with("bytes left out)")
                && text(&kept[1], "row").len() < ROW_BYTES_MAX + 100
        );
        assert_eq!(text(&kept[1], "reason"), "no key");
    }
}
