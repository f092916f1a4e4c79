//! A bare SELECT: rows for a person, or one JSON object a line for a program.
//!
//! Rows are printed as they come, so after a crash some may be printed again. As a table, the
//! header is printed once and columns keep the width their type needs.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::format::json::{EncodeOptions, JsonEncoder};
use crate::ids::Epoch;
use crate::map_keys;
use crate::rows::Rows;
use crate::sink::{Afterwards, Guarantee, Prepared, Sink, SinkError, SinkWriter};
use crate::wake::Wake;
use crate::who::Who;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SelectFormat {
    /// Columns under a header.
    Table,
    /// One object a line, `op` first.
    Json,
}

/// Whether a row under a header is printed with what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpColumn {
    /// Rows may be updated and deleted.
    Shown,
    /// Rows are only added.
    Hidden,
}

/// Whether the header has been printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Header {
    #[default]
    Missing,
    Printed,
}

pub(crate) struct SelectSink {
    name: String,
    schema: SchemaRef,
    ops: OpColumn,
    format: SelectFormat,
    header: Arc<Mutex<Header>>,
}

impl SelectSink {
    pub fn new(name: &str, schema: SchemaRef, ops: OpColumn, format: SelectFormat) -> SelectSink {
        SelectSink { name: name.to_string(), schema, ops, format, header: Arc::default() }
    }
}

impl Sink for SelectSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn writer(&self, _writer: usize, _wake: Wake) -> Result<Box<dyn SinkWriter>, SinkError> {
        let encoder = JsonEncoder::new(&self.schema, EncodeOptions::default())
            .map_err(|e| SinkError::Config { table: self.name.clone(), reason: e.to_string() })?;
        Ok(Box::new(SelectWriter {
            schema: self.schema.clone(),
            ops: self.ops,
            format: self.format,
            encoder,
            header: self.header.clone(),
        }))
    }
}

struct SelectWriter {
    schema: SchemaRef,
    ops: OpColumn,
    format: SelectFormat,
    encoder: JsonEncoder,
    header: Arc<Mutex<Header>>,
}

/// Characters that values of a type usually need.
fn width(data_type: &DataType) -> usize {
    match data_type {
        DataType::Boolean | DataType::Int8 | DataType::Int16 => 6,
        DataType::Int32 => 11,
        DataType::Timestamp(..) => 23,
        DataType::Date32 => 10,
        _ => 16,
    }
}

impl SelectWriter {
    fn text(&mut self, rows: &Rows, header: Header) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        if self.format == SelectFormat::Json {
            let mut row = Vec::new();
            for i in 0..rows.batch.num_rows() {
                row.clear();
                self.encoder.encode_row(&rows.batch, i, &mut row);
                out.extend_from_slice(format!("{{\"op\":\"{}\",", rows.op(i).name()).as_bytes());
                // Without the brace that opens the object.
                out.extend_from_slice(row.strip_prefix(b"{").unwrap_or(&row));
                out.push(b'\n');
            }
            return Ok(out);
        }
        let widths: Vec<usize> = self
            .schema
            .fields()
            .iter()
            .map(|f| width(f.data_type()).max(console::measure_text_width(f.name())))
            .collect();
        let mut line = |op: &str, cells: Vec<String>, numbers: bool| {
            if self.ops == OpColumn::Shown {
                out.extend_from_slice(
                    console::pad_str(op, 4, console::Alignment::Left, None).as_bytes(),
                );
            }
            for (i, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                let right = numbers && self.schema.field(i).data_type().is_numeric();
                let align =
                    if right { console::Alignment::Right } else { console::Alignment::Left };
                let padded = console::pad_str(cell, *width, align, None);
                out.extend_from_slice(if i > 0 { b"  " } else { b"" });
                out.extend_from_slice(padded.as_bytes());
            }
            while out.last() == Some(&b' ') {
                out.pop();
            }
            out.push(b'\n');
        };
        if header == Header::Missing {
            line("op", self.schema.fields().iter().map(|f| f.name().clone()).collect(), true);
            line("--", widths.iter().map(|w| "-".repeat(*w)).collect(), false);
        }
        let options = FormatOptions::default()
            .with_null("NULL")
            .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.3f"));
        let columns = rows
            .batch
            .columns()
            .iter()
            .map(map_keys::shown)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| e.to_string())?;
        let formatters = columns.iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options));
        let formatters = formatters.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
        for i in 0..rows.batch.num_rows() {
            line(
                rows.op(i).name(),
                formatters.iter().map(|f| f.value(i).to_string()).collect(),
                true,
            );
        }
        Ok(out)
    }
}

impl SinkWriter for SelectWriter {
    fn write(&mut self, rows: &Rows) -> Result<(), SinkError> {
        let error = |reason, who| SinkError::Write { table: "SELECT".into(), reason, who };
        let shared = self.header.clone();
        // Held while printing: lines of two workers do not mix.
        let mut header = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let text = self.text(rows, *header).map_err(|reason| error(reason, Who::Us))?;
        *header = Header::Printed;
        std::io::stdout().write_all(&text).map_err(|e| error(e.to_string(), Who::of_io(&e)))
    }

    fn begin_prepare(
        &mut self,
        _epoch: Epoch,
        _afterwards: Afterwards,
    ) -> Result<Prepared, SinkError> {
        Ok(Prepared::staged(Vec::new()))
    }
}
