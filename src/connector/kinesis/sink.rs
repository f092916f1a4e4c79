//! A stream as a sink: each new row is a record.
//!
//! Made by `connect` for a table, one [`RecordWriter`] for each worker. What always holds: a
//! checkpoint is complete only when the stream has all records from before it, so that none is
//! lost; after a crash those behind the last checkpoint come again.

use std::sync::Arc;

use super::api::StreamApi;
use super::backlog::{Order, Together};
use super::entries::EntryMaker;
use super::put::{Lost, Putter, PutterConfig};
use super::sink_options::{Partitioner, SinkOptions};
use super::{Bounds, KinesisOptions};
use crate::config::Aggregation;
use crate::connector::error::{config_error, place};
use crate::connector::{ConnectError, Environment, formats};
use crate::format::changes::ChangeMessage;
use crate::format::encode::EncodeFormat;
use crate::format::json::{EncodeOptions, JsonEncoder};
use crate::ids::Epoch;
use crate::plan::physical::SinkPlan;
use crate::rows::Rows;
use crate::sink::{
    Afterwards, Guarantee, Prepared, Rejected, Sink, SinkError, SinkWriter, TableSpec,
};
use crate::sql::catalog::Table;
use crate::sql::hints;
use crate::tasks::Tasks;
use crate::wake::Wake;

/// What a table's declaration says.
pub(super) struct Parts {
    pub stream: KinesisOptions,
    options: SinkOptions,
    format: EncodeFormat,
    spec: TableSpec,
    key_columns: Vec<usize>,
    message: Option<ChangeMessage>,
}

/// Reads a declaration, and finds what is wrong with it.
pub(super) fn parsed(plan: &SinkPlan, table: &Table) -> Result<Parts, ConnectError> {
    let stream =
        KinesisOptions::parse(&table.name, &formats::without_format(table), Bounds::default())
            .map_err(|e| place(e.into(), table))?;
    let format = formats::encode_format(table)?;
    format.encoder(&plan.schema).map_err(|e| config_error(table, e))?;
    let key_columns = table.partitioned_by.iter().map(|name| {
        plan.schema.index_of(name).map_err(|_| {
            config_error(table, format!("PARTITIONED BY '{name}': the column is not written"))
        })
    });
    Ok(Parts {
        stream,
        options: SinkOptions::parse(table)?,
        format,
        spec: plan.table_spec(table),
        key_columns: key_columns.collect::<Result<_, _>>()?,
        message: table.change_format().and_then(ChangeMessage::of_format),
    })
}

/// Bytes of an aggregate at most: what the Kinesis Producer Library takes unless it is told
/// otherwise.
const AGGREGATE_BYTES_MAX: usize = 51_200;

pub(super) struct StreamSink {
    parts: Parts,
    together: Together,
    stream: Arc<dyn StreamApi>,
    run_ms: i64,
    tasks: Tasks,
}

impl StreamSink {
    pub fn new(parts: Parts, stream: Arc<dyn StreamApi>, env: &Environment<'_>) -> StreamSink {
        let aggregation = env.config.aggregated_records.get(hints::base_name(&parts.spec.name));
        let together = match aggregation {
            Some(Aggregation::Kpl | Aggregation::KplStrict) => Together::UpTo(AGGREGATE_BYTES_MAX),
            Some(Aggregation::None) | None => Together::Never,
        };
        StreamSink { parts, together, stream, run_ms: env.run_ms, tasks: env.tasks.clone() }
    }
}

impl Sink for StreamSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn writer(&self, writer: usize, wake: Wake) -> Result<Box<dyn SinkWriter>, SinkError> {
        let Parts { stream, options, format, spec, key_columns, .. } = &self.parts;
        let config = |reason: String| SinkError::Config { table: spec.name.clone(), reason };
        let entries = EntryMaker {
            encoder: format.encoder(&spec.schema).map_err(|e| config(e.to_string()))?,
            message: self.parts.message,
            json: JsonEncoder::new(&spec.schema, EncodeOptions::default())
                .map_err(|e| config(e.to_string()))?,
            partitioner: options.partitioner.clone(),
            key_columns: key_columns.clone(),
            seed: (self.run_ms, writer as u64),
            made: 0,
        };
        let putter = Putter::new(PutterConfig {
            stream: self.stream.clone(),
            stream_name: stream.stream_name.clone(),
            order: match options.partitioner {
                Partitioner::Fields { .. } => Order::PerKey,
                Partitioner::Fixed => Order::All,
                Partitioner::Random => Order::None,
            },
            together: self.together,
            batch_max: options.batch_max,
            batch_bytes_max: options.batch_bytes_max,
            calls_max: options.requests_max,
            records_max: options.buffered_max,
            fail_on_error: options.fail_on_error,
            tasks: self.tasks.clone(),
            wake,
        });
        Ok(Box::new(RecordWriter {
            table: spec.name.clone(),
            entries,
            putter,
            rejected: Vec::new(),
            rejected_before: Vec::new(),
        }))
    }
}

struct RecordWriter {
    table: String,
    entries: EntryMaker,
    putter: Arc<Putter>,
    rejected: Vec<Rejected>,
    /// Those of the epoch that is being prepared.
    rejected_before: Vec<Rejected>,
}

impl RecordWriter {
    fn failed(&self, lost: Lost) -> SinkError {
        SinkError::Write { table: self.table.clone(), reason: lost.reason, who: lost.who }
    }
}

impl SinkWriter for RecordWriter {
    fn write(&mut self, rows: &Rows) -> Result<(), SinkError> {
        let mut entries = Vec::with_capacity(rows.len());
        let writable = self.entries.encoder.writable(&rows.batch);
        if let Some((_, others)) = &writable {
            let reason = format!("{others} rows are NULL, for which the format has no record");
            self.rejected.push(Rejected { row: "null".into(), reason });
        }
        let batch = writable.map_or_else(|| rows.batch.clone(), |(batch, _)| batch);
        // Only the format raw leaves rows out, and takes new ones alone.
        for entry in self.entries.entries(&batch, |row| rows.op(row)) {
            match entry {
                Ok(entry) => entries.push(entry),
                Err(rejected) => self.rejected.push(rejected),
            }
        }
        self.putter.push(entries).map_err(|lost| self.failed(lost))
    }

    fn has_room(&mut self) -> bool {
        self.putter.has_room()
    }

    fn memory_bytes(&self) -> usize {
        self.putter.memory_bytes()
    }

    fn begin_prepare(
        &mut self,
        _epoch: Epoch,
        _afterwards: Afterwards,
    ) -> Result<Prepared, SinkError> {
        self.putter.begin_barrier();
        self.rejected_before.append(&mut self.rejected);
        self.poll_prepare()
    }

    fn poll_prepare(&mut self) -> Result<Prepared, SinkError> {
        if self.putter.poll_prepared().map_err(|lost| self.failed(lost))? {
            let rejected = std::mem::take(&mut self.rejected_before);
            return Ok(Prepared::Part { staged: Vec::new(), rejected });
        }
        Ok(Prepared::Waits)
    }

    fn take_rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }
}

impl Drop for RecordWriter {
    fn drop(&mut self) {
        self.putter.close();
    }
}
