//! Tables that are looked up in memory: all rows are read once, when the run starts.
//!
//! Called by connectors whose systems cannot be asked for a key, and by `connect` for what stands in
//! for a remote table. What always holds: the rows together have at most a quarter of
//! `paceline.memory`, and what has no end, or more, or a record that cannot be read, is an error
//! before the first row of the job.

pub(crate) mod table;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::error::{ConnectError, config_error};
use crate::connector::formats::{DecodeFormat, RecordsOf};
use crate::format::{Decoder, RowsPerRecord};
use crate::plan::physical::LookupPlan;
use crate::source::{Polled, ReadAhead, Source, SourceError, SplitSeed};
use crate::sql::catalog::Table;
use table::MemoryTable;

/// Records that are read at a time.
const BATCH_RECORDS: usize = 8192;
/// The part of `paceline.memory` that rows of one table may have.
const MEMORY_SHARE: usize = 4;
/// What a row costs beside its columns: its key, and its place among those of the key.
const ROW_BYTES: usize = 64;

/// Reads all that `source` has. `memory_bytes`: what the whole job may have.
pub(crate) fn read(
    plan: &LookupPlan,
    source: &dyn Source,
    records: RecordsOf,
    memory_bytes: usize,
) -> Result<MemoryTable, ConnectError> {
    let table = &plan.source.table;
    if !source.bounded() {
        return Err(endless(table));
    }
    let schema = &plan.source.decode_schema;
    let mut reading = Reading {
        table,
        // A sample is what a setting names.
        failed: match records {
            RecordsOf::Sample => |e| ConnectError::of_query(&e),
            RecordsOf::Table => ConnectError::from,
        },
        decoder: DecodeFormat::of(&plan.source, records, RowsPerRecord::One)?
            .decoder(&table.name, schema)?,
        batches: vec![],
        bytes: 0,
        bytes_max: memory_bytes / MEMORY_SHARE,
    };
    for split in source.discover().map_err(reading.failed)? {
        reading.split(source, &split)?;
    }
    let all = concat_batches(schema, &reading.batches).map_err(|e| config_error(table, e))?;
    MemoryTable::new(&plan.spec, &all).map_err(|e| config_error(table, e))
}

/// What is read once must have an end.
pub(crate) fn endless(table: &Table) -> ConnectError {
    config_error(
        table,
        "it is looked up, so all of it is read when the run starts, and it never ends: give it an \
         end ('number-of-rows' of made-up rows, a file without 'source.monitor-interval')",
    )
}

/// A table of which a part was read.
struct Reading<'a> {
    table: &'a Table,
    failed: fn(SourceError) -> ConnectError,
    decoder: Box<dyn Decoder>,
    batches: Vec<RecordBatch>,
    bytes: usize,
    bytes_max: usize,
}

impl Reading<'_> {
    fn split(&mut self, source: &dyn Source, split: &SplitSeed) -> Result<(), ConnectError> {
        let mut reader = source
            .open(&split.id, &split.start, ReadAhead::alone(Arc::new(|| {})))
            .map_err(self.failed)?;
        loop {
            let raw = match reader.poll(BATCH_RECORDS).map_err(self.failed)? {
                Polled::Records(raw) => raw,
                Polled::End { .. } => return Ok(()),
                // What is bounded goes on at once, and has no more splits than it named.
                Polled::Pending { .. } | Polled::Found { .. } => continue,
            };
            let decoded = self.decoder.decode(&raw);
            if let Some(bad) = decoded.bad.first() {
                let at = raw.places.describe(bad.index);
                return Err(config_error(
                    self.table,
                    format!("it is looked up, and {at} cannot be read: {}", bad.reason),
                ));
            }
            let rows = &decoded.batch;
            self.bytes += rows.get_array_memory_size() + rows.num_rows() * ROW_BYTES;
            if self.bytes > self.bytes_max {
                let most = self.bytes_max >> 20;
                return Err(config_error(
                    self.table,
                    format!(
                        "it is looked up, and its rows have more than {most} MiB, a quarter of 'paceline.memory': raise that, or \
                         keep them in a table of the connector dynamodb"
                    ),
                ));
            }
            self.batches.push(decoded.batch);
        }
    }
}
