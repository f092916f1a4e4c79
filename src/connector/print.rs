//! Rows as lines for people (the `print` connector): `+I[1, abc, null]`, as Apache Flink prints a
//! row.
//!
//! Called by `runtime` through [`Sink`]. Rows are printed when they come, not when they are
//! committed, since someone is watching: after a crash some are printed again. What always holds:
//! the lines of one `write` stand together, however many workers print.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Time32MillisecondType,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::error::ConnectError;
use super::{Connector, Environment, Writes};
use crate::format::time_text::{TimestampStandard, ZoneSuffix};
use crate::format::{number_text, time_text};
use crate::ids::Epoch;
use crate::map_keys;
use crate::options::{OptionKind, OptionSpec};
use crate::plan::connectors::{RowsTaken, Uses};
use crate::plan::physical::SinkPlan;
use crate::rows::Rows;
use crate::sink::version::WriteMode;
use crate::sink::{Afterwards, Guarantee, Prepared, Sink, SinkError, SinkWriter};
use crate::sql::catalog::Table;
use crate::wake::Wake;
use crate::who::Who;

pub struct Print;

impl Connector for Print {
    fn name(&self) -> &'static str {
        "print"
    }
    fn about(&self) -> &'static str {
        "Each change as a line on the standard output, as Flink prints it."
    }
    fn options(&self) -> Vec<OptionSpec> {
        vec![OptionSpec::new("print-identifier", OptionKind::Text, "what every line begins with")]
    }
    fn uses(&self) -> Uses {
        Uses { rows: RowsTaken::Changes, ..Uses::default() }
    }
    fn writes(&self) -> Option<&dyn Writes> {
        Some(self)
    }
}

impl Writes for Print {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }
    fn check(&self, _plan: &SinkPlan, _table: &Table) -> Result<(), ConnectError> {
        Ok(())
    }
    fn sink(
        &self,
        _plan: &SinkPlan,
        table: &Table,
        _mode: WriteMode,
        _env: &Environment<'_>,
    ) -> Result<Arc<dyn Sink>, ConnectError> {
        let id = table.options.get("print-identifier").map(String::as_str);
        Ok(Arc::new(PrintSink::new(&table.name, id, Box::new(std::io::stdout()))))
    }
}

/// Lines are handed to the output in pieces of about this size.
const BUFFER_BYTES: usize = 64 << 10;

/// Prints the rows of one table.
pub(crate) struct PrintSink {
    table: Arc<str>,
    /// What each line starts with: `id> ` if the option `print-identifier` is set.
    prefix: Arc<str>,
    /// Shared by the writers, which are on different threads.
    out: Arc<Mutex<Box<dyn Write + Send>>>,
}

impl PrintSink {
    /// `identifier` is the option `print-identifier`; `out` is the process's standard output, or a
    /// test's.
    pub fn new(table: &str, identifier: Option<&str>, out: Box<dyn Write + Send>) -> PrintSink {
        let prefix =
            identifier.filter(|id| !id.is_empty()).map(|id| format!("{id}> ")).unwrap_or_default();
        PrintSink { table: table.into(), prefix: prefix.into(), out: Arc::new(Mutex::new(out)) }
    }
}

impl Sink for PrintSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn writer(&self, _writer: usize, _wake: Wake) -> Result<Box<dyn SinkWriter>, SinkError> {
        let (table, prefix, out) =
            (Arc::clone(&self.table), Arc::clone(&self.prefix), Arc::clone(&self.out));
        Ok(Box::new(PrintWriter { table, prefix, out, lines: Vec::new() }))
    }
}

struct PrintWriter {
    table: Arc<str>,
    prefix: Arc<str>,
    out: Arc<Mutex<Box<dyn Write + Send>>>,
    lines: Vec<u8>,
}

impl SinkWriter for PrintWriter {
    fn write(&mut self, rows: &Rows) -> Result<(), SinkError> {
        let failed =
            |reason: String, who| SinkError::Write { table: self.table.to_string(), reason, who };
        let closed = |e: std::io::Error| failed(e.to_string(), Who::of_io(&e));
        // A panic while printing elsewhere leaves the output usable.
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        for row in 0..rows.batch.num_rows() {
            self.lines.extend_from_slice(self.prefix.as_bytes());
            self.lines.extend_from_slice(rows.op(row).name().as_bytes());
            self.lines.push(b'[');
            for (i, column) in rows.batch.columns().iter().enumerate() {
                if i > 0 {
                    self.lines.extend_from_slice(b", ");
                }
                write_value(&mut self.lines, column.as_ref(), row)
                    .map_err(|reason| failed(reason, Who::Us))?;
            }
            self.lines.extend_from_slice(b"]\n");
            if self.lines.len() >= BUFFER_BYTES {
                out.write_all(&self.lines).map_err(closed)?;
                self.lines.clear();
            }
        }
        out.write_all(&self.lines).and_then(|()| out.flush()).map_err(closed)?;
        self.lines.clear();
        Ok(())
    }

    fn begin_prepare(
        &mut self,
        _epoch: Epoch,
        _afterwards: Afterwards,
    ) -> Result<Prepared, SinkError> {
        Ok(Prepared::staged(Vec::new()))
    }
}

/// Appends a value as Java's `toString` gives it: times as ISO-8601, decimals with their scale,
/// bytes as numbers.
fn write_value(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Result<(), String> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Float32 => {
            number_text::write_f32(out, array.as_primitive::<Float32Type>().value(row))
        }
        DataType::Float64 => {
            number_text::write_f64(out, array.as_primitive::<Float64Type>().value(row))
        }
        DataType::Decimal128(_, scale) => {
            number_text::write_decimal(
                out,
                array.as_primitive::<Decimal128Type>().value(row),
                i32::from(*scale),
            );
        }
        DataType::Utf8 => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => {
            // Java's bytes are signed.
            let bytes: Vec<i8> =
                array.as_binary::<i32>().value(row).iter().map(|&b| b as i8).collect();
            out.extend_from_slice(format!("{bytes:?}").as_bytes());
        }
        DataType::Date32 => {
            time_text::write_date(out, array.as_primitive::<Date32Type>().value(row))
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            let ms = array.as_primitive::<Time32MillisecondType>().value(row);
            let start = out.len();
            time_text::write_time(out, ms);
            write_java_fraction(
                out,
                start,
                (ms.rem_euclid(1000) * 1_000_000) as u32,
                WholeMinute::WithoutSeconds,
            );
        }
        DataType::Timestamp(unit, zone) => {
            let value = match unit {
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row),
                TimeUnit::Millisecond => {
                    array.as_primitive::<TimestampMillisecondType>().value(row)
                }
                TimeUnit::Microsecond => {
                    array.as_primitive::<TimestampMicrosecondType>().value(row)
                }
                TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row),
            };
            let per_second = time_text::ticks_per_second(*unit);
            let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
            let start = out.len();
            let seconds = value.div_euclid(per_second);
            time_text::write_timestamp(
                out,
                seconds,
                TimeUnit::Second,
                ZoneSuffix::Absent,
                TimestampStandard::Iso8601,
            );
            // `LocalDateTime` leaves out seconds that are 0, `Instant` does not.
            match ZoneSuffix::of(zone.as_ref()) {
                ZoneSuffix::Absent => {
                    write_java_fraction(out, start, nanos as u32, WholeMinute::WithoutSeconds)
                }
                ZoneSuffix::Z => {
                    write_java_fraction(out, start, nanos as u32, WholeMinute::WithSeconds);
                    out.push(b'Z');
                }
            }
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            write_all(out, b"[", b"]", items.len(), |out, at| {
                write_value(out, items.as_ref(), at)
            })?;
        }
        DataType::Struct(_) => {
            let fields = array.as_struct().columns();
            write_all(out, b"+I[", b"]", fields.len(), |out, at| {
                write_value(out, fields[at].as_ref(), row)
            })?;
        }
        DataType::Map(..) => {
            let pairs = array.as_map().value(row);
            let (keys, values) = (map_keys::of_entries(&pairs), pairs.column(1));
            write_all(out, b"{", b"}", pairs.len(), |out, at| {
                write_value(out, keys.as_ref(), at)?;
                out.push(b'=');
                write_value(out, values.as_ref(), at)
            })?;
        }
        _ => {
            let formatter = ArrayFormatter::try_new(array, &FormatOptions::default())
                .map_err(|e| e.to_string())?;
            out.extend_from_slice(formatter.value(row).to_string().as_bytes());
        }
    }
    Ok(())
}

/// Appends so many values between two marks.
fn write_all(
    out: &mut Vec<u8>,
    open: &[u8],
    close: &[u8],
    count: usize,
    each: impl Fn(&mut Vec<u8>, usize) -> Result<(), String>,
) -> Result<(), String> {
    out.extend_from_slice(open);
    for at in 0..count {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        each(out, at)?;
    }
    out.extend_from_slice(close);
    Ok(())
}

/// How a time is written whose seconds are 0.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WholeMinute {
    WithSeconds,
    WithoutSeconds,
}

/// Completes a time written from `start` on, with whole seconds, in the way of `java.time`: the
/// fraction in groups of three digits.
fn write_java_fraction(out: &mut Vec<u8>, start: usize, nanos: u32, whole_minute: WholeMinute) {
    if nanos == 0 {
        if whole_minute == WholeMinute::WithoutSeconds && out[start..].ends_with(b":00") {
            out.truncate(out.len() - 3);
        }
        return;
    }
    let point = out.len();
    time_text::write_fraction(out, nanos);
    let digits = out.len() - point - 1;
    out.resize(out.len() + digits.next_multiple_of(3) - digits, b'0');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::PrepareNow;
    use arrow::array::*;
    use arrow::datatypes::{Field, Int32Type};
    use arrow::record_batch::RecordBatch;

    /// An output that the test can look into.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn printed(identifier: Option<&str>, columns: Vec<ArrayRef>) -> String {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let batch = RecordBatch::try_from_iter_with_nullable(
            names.into_iter().zip(columns).map(|(n, a)| (n, a, true)),
        );
        let out = Shared::default();
        let sink = PrintSink::new("t", identifier, Box::new(out.clone()));
        let mut writer = sink.writer(0, Arc::new(|| {})).unwrap();
        writer.write(&Rows::of_window(batch.unwrap(), None)).unwrap();
        assert_eq!(writer.prepare(1).unwrap(), b"");
        String::from_utf8(out.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn rows_look_like_flinks() {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(vec![Some(1), None])),
            Arc::new(StringArray::from(vec![Some("a \"b\", c"), None])),
            Arc::new(
                Decimal128Array::from(vec![Some(1250), None])
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ),
            Arc::new(Float64Array::from(vec![Some(1e10), None])),
            Arc::new(BooleanArray::from(vec![Some(false), None])),
            Arc::new(BinaryArray::from(vec![Some(&[1u8, 255][..]), None])),
            Arc::new(Date32Array::from(vec![Some(0), None])),
        ];
        let expected = "+I[1, a \"b\", c, 12.50, 1.0E10, false, [1, -1], 1970-01-01]\n\
                        +I[null, null, null, null, null, null, null]\n";
        assert_eq!(printed(None, columns), expected);
        let one: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![7]))];
        assert_eq!(printed(Some("id"), one), "id> +I[7]\n");
    }

    #[test]
    fn nested_values_look_like_flinks() {
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        map.keys().append_value("b");
        map.values().append_null();
        map.append(true).unwrap();
        let keys = map_keys::wrap(Arc::new(StringArray::from(vec![None::<&str>]))).unwrap();
        let field = |name: &str, array: &ArrayRef, nullable| {
            Arc::new(Field::new(name, array.data_type().clone(), nullable))
        };
        let ones: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        let entries = StructArray::from(vec![
            (field("key", &keys, false), keys.clone()),
            (field("value", &ones, true), ones.clone()),
        ]);
        let entries_field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
        let offsets = arrow::buffer::OffsetBuffer::from_lengths([1]);
        let null_key = MapArray::new(entries_field, offsets, entries, None, false);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
        let row = StructArray::from(vec![
            (field("x", &ones, true), ones.clone()),
            (field("y", &texts, true), texts),
        ]);
        let list =
            ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None])]);
        let columns: Vec<ArrayRef> =
            vec![Arc::new(map.finish()), Arc::new(null_key), Arc::new(row), Arc::new(list)];
        assert_eq!(printed(None, columns), "+I[{b=null}, {null=1}, +I[1, null], [1, null]]\n");
    }

    #[test]
    fn times_are_those_of_java_time() {
        let times = |ms: Vec<i64>| -> Vec<ArrayRef> {
            let utc = TimestampMillisecondArray::from(ms.clone()).with_timezone("UTC");
            let of_day = ms.iter().map(|ms| ms.rem_euclid(86_400_000) as i32);
            vec![
                Arc::new(TimestampMillisecondArray::from(ms.clone())),
                Arc::new(utc),
                Arc::new(Time32MillisecondArray::from_iter_values(of_day)),
            ]
        };
        let expected = "+I[1970-01-01T00:00, 1970-01-01T00:00:00Z, 00:00]\n\
                        +I[1970-01-01T00:00:01, 1970-01-01T00:00:01Z, 00:00:01]\n\
                        +I[1969-12-31T23:59:59.500, 1969-12-31T23:59:59.500Z, 23:59:59.500]\n";
        assert_eq!(printed(None, times(vec![0, 1000, -500])), expected);
        let micros: Vec<ArrayRef> = vec![Arc::new(TimestampMicrosecondArray::from(vec![10]))];
        assert_eq!(printed(None, micros), "+I[1970-01-01T00:00:00.000010]\n");
    }

    #[test]
    fn a_broken_output_is_an_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let array: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let rows = Rows::of_window(RecordBatch::try_from_iter([("v", array)]).unwrap(), None);
        let sink = PrintSink::new("t", None, Box::new(Closed));
        let error = sink.writer(0, Arc::new(|| {})).unwrap().write(&rows).unwrap_err();
        assert!(error.to_string().starts_with("sink t: failed to write"), "{error}");
    }
}
