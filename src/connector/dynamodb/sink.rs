//! Results into a DynamoDB table, as upserts by key.
//!
//! Called by `runtime` as any sink. What always holds: writes of one key are made one after the
//! other; where results of several windows share a key, a write is conditional on a version that is
//! not higher, so the table never goes back; once a writer has given its part of an epoch,
//! everything written before its barrier is in the table, superseded, handed out as rejected, or
//! staged in the checkpoint; a fault of the table rejects no row, it ends the job.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use super::api::{TableApi, TableKey, Tables};
use super::client::Aws;
use super::describe::describe;
use super::item::{DELETED_ATTRIBUTE, EXPIRES_ATTRIBUTE, Item, ItemEncoder, VERSION_ATTRIBUTE};
use super::options::DynamoDbOptions;
use super::outbox::{Outbox, OutboxConfig};
use super::staged;
use super::value::{is_supported, key_type};
use crate::aws::clock::ServerClock;
use crate::ids::Epoch;
use crate::rows::Rows;
use crate::sink::version::{Counts, TEXT_LEN, Tally, Version, WriteMode};
use crate::sink::{
    Afterwards, Guarantee, Prepared, Rejected, Sink, SinkError, SinkWriter, Staged, TableSpec,
};
use crate::tasks::Tasks;
use crate::time::clock::{SharedClock, SystemClock};
use crate::types::sql_name;
use crate::wake::Wake;

pub struct DynamoDbSink {
    spec: TableSpec,
    options: DynamoDbOptions,
    run_ms: i64,
    mode: WriteMode,
    tasks: Tasks,
    api: Arc<dyn TableApi>,
    /// Looked at for the first writer: until then nothing outside is touched.
    table: Mutex<Option<Arc<Table>>>,
    tally: Arc<Tally>,
    /// What the checkpoint had staged that the job goes on from: for the first writer to send.
    resumed: Mutex<Vec<Item>>,
}

/// The table as it was found.
struct Table {
    found: TableKey,
    /// Columns of its key, in the order of its key schema.
    key: Vec<usize>,
}

impl DynamoDbSink {
    /// A table of AWS. Checks the options. `run_ms` is the start of the run, kept on resume.
    pub fn new(
        spec: TableSpec,
        options: &BTreeMap<String, String>,
        run_ms: i64,
        mode: WriteMode,
        tasks: Tasks,
    ) -> Result<DynamoDbSink, SinkError> {
        DynamoDbSink::on(&Aws, spec, options, run_ms, mode, SystemClock::shared(), tasks)
    }

    /// The same of tables that may be elsewhere.
    pub(crate) fn on(
        tables: &dyn Tables,
        spec: TableSpec,
        options: &BTreeMap<String, String>,
        run_ms: i64,
        mode: WriteMode,
        clock: SharedClock,
        tasks: Tasks,
    ) -> Result<DynamoDbSink, SinkError> {
        let options = checked_options(&spec, options)?;
        let api = tables.open(&options, ServerClock::new(clock));
        let tally = Arc::new(Tally::new(&spec.name));
        Ok(DynamoDbSink {
            spec,
            options,
            run_ms,
            mode,
            tasks,
            api,
            table: Mutex::default(),
            tally,
            resumed: Mutex::default(),
        })
    }

    /// Finds what is wrong with a table's declaration, without touching the outside.
    pub fn check(spec: &TableSpec, options: &BTreeMap<String, String>) -> Result<(), SinkError> {
        checked_options(spec, options).map(drop)
    }

    /// How many results of windows that share keys were not new.
    pub fn counts(&self) -> Counts {
        self.tally.counts()
    }

    fn config(&self, reason: String) -> SinkError {
        SinkError::Config { table: self.spec.name.clone(), reason }
    }

    fn table(&self) -> Result<Arc<Table>, SinkError> {
        let mut slot = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = &*slot {
            return Ok(table.clone());
        }
        let found = self.wait(describe(self.api.clone()))?;
        let found = found.map_err(|reason| SinkError::Write {
            table: self.spec.name.clone(),
            reason: format!("DynamoDB table '{}': {reason}", self.options.table_name),
        })?;
        let key = self.key_columns(&found)?;
        Ok(slot.insert(Arc::new(Table { found, key })).clone())
    }

    /// Runs network work.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, SinkError> {
        self.tasks
            .wait(work)
            .map_err(|e| SinkError::Write { table: self.spec.name.clone(), reason: e.to_string() })
    }

    /// The columns of the table's key. It must be the SQL table's: with fewer attributes rows would
    /// replace each other, with more a result would be written beside its predecessor.
    fn key_columns(&self, found: &TableKey) -> Result<Vec<usize>, SinkError> {
        let name = &self.options.table_name;
        let attributes = || found.attributes.iter().map(|(n, _)| n.as_str());
        let wanted: BTreeSet<&str> = self.spec.upsert_key().iter().map(String::as_str).collect();
        if attributes().collect::<BTreeSet<_>>() != wanted {
            let list = attributes().collect::<Vec<_>>().join(", ");
            return Err(self.config(format!(
                "the key of DynamoDB table '{name}' is ({list}), that of the SQL table is ({}): declare PRIMARY KEY ({list}) NOT \
                 ENFORCED, or create the DynamoDB table with the other key",
                self.spec.upsert_key().join(", ")
            )));
        }
        let mut key = Vec::new();
        for (attribute, found) in &found.attributes {
            // Checked in `new`: every key column exists.
            let Some((index, field)) = self.spec.schema.column_with_name(attribute) else {
                continue;
            };
            match key_type(field.data_type()) {
                Some(written) if written == found => key.push(index),
                written => {
                    let written =
                        written.map_or("cannot be a key".into(), |w| format!("is written as {w}"));
                    return Err(self.config(format!(
                        "key attribute '{attribute}' of DynamoDB table '{name}' has type {found}, but the column of type {} \
                         {written}: change the column's type (CAST in the query) or the DynamoDB table",
                        field.data_type()
                    )));
                }
            }
        }
        Ok(key)
    }
}

fn checked_options(
    spec: &TableSpec,
    options: &BTreeMap<String, String>,
) -> Result<DynamoDbOptions, SinkError> {
    let config = |reason: String| SinkError::Config { table: spec.name.clone(), reason };
    let options = DynamoDbOptions::parse(options).map_err(config)?;
    if spec.upsert_key().is_empty() {
        return Err(config(
            "a DynamoDB table needs a key: add PRIMARY KEY (...) NOT ENFORCED to its columns, or PARTITIONED BY (...)".into(),
        ));
    }
    for name in spec.upsert_key() {
        let field = spec.schema.column_with_name(name).map(|(_, field)| field);
        let field = field.ok_or_else(|| config(format!("key column '{name}' does not exist")))?;
        if is_supported(field.data_type()) && key_type(field.data_type()).is_none() {
            return Err(config(format!(
                "column '{name}' of type {} cannot be part of a key",
                sql_name(field.data_type())
            )));
        }
    }
    for field in spec.schema.fields() {
        if !is_supported(field.data_type()) {
            return Err(config(format!(
                "column '{}' of type {} cannot be written",
                field.name(),
                sql_name(field.data_type())
            )));
        }
        let name = field.name();
        if [VERSION_ATTRIBUTE, DELETED_ATTRIBUTE, EXPIRES_ATTRIBUTE].contains(&name.as_str()) {
            return Err(config(format!(
                "the attribute '{name}' says how new an item is: give the column another name"
            )));
        }
    }
    Ok(options)
}

impl Sink for DynamoDbSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::EffectivelyOnce
    }

    fn writer(&self, _writer: usize, wake: Wake) -> Result<Box<dyn SinkWriter>, SinkError> {
        let table = self.table()?;
        let names: Vec<Arc<str>> =
            self.spec.schema.fields().iter().map(|f| f.name().as_str().into()).collect();
        let outbox = OutboxConfig {
            mode: self.mode,
            key_names: table.key.iter().map(|&k| names[k].clone()).collect(),
            key: table.found.clone(),
            batch_size: self.options.batch_size,
            requests_max: self.options.requests_max,
            items_max: self.options.buffered_max,
            fail_on_error: self.options.fail_on_error,
            tasks: self.tasks.clone(),
            wake,
            table: self.options.table_name.clone(),
            tally: self.tally.clone(),
        };
        let outbox = Outbox::new(self.api.clone(), outbox);
        let resumed =
            std::mem::take(&mut *self.resumed.lock().unwrap_or_else(PoisonError::into_inner));
        outbox
            .push(resumed)
            .map_err(|reason| SinkError::Write { table: self.spec.name.clone(), reason })?;
        let extra_bytes =
            if self.mode == WriteMode::Versioned { VERSION_ATTRIBUTE.len() + TEXT_LEN } else { 0 };
        Ok(Box::new(DynamoDbWriter {
            table: self.spec.name.clone(),
            run_ms: self.run_ms,
            versioned: self.mode == WriteMode::Versioned,
            items: ItemEncoder::new(names, table.key.clone(), self.options.nulls, extra_bytes),
            fail_on_error: self.options.fail_on_error,
            outbox,
        }))
    }

    fn resume(&self, staged: &[Staged]) -> Result<(), SinkError> {
        let mut resumed = self.resumed.lock().unwrap_or_else(PoisonError::into_inner);
        for part in staged {
            resumed.extend(staged::decode(part).map_err(|reason| self.config(reason))?);
        }
        Ok(())
    }
}

struct DynamoDbWriter {
    table: String,
    run_ms: i64,
    versioned: bool,
    items: ItemEncoder,
    /// A row that cannot be an item ends the job.
    fail_on_error: bool,
    outbox: Arc<Outbox>,
}

impl SinkWriter for DynamoDbWriter {
    fn write(&mut self, rows: &Rows) -> Result<(), SinkError> {
        let of_batch = Version::of_window(self.run_ms, rows.window_end);
        let text = |version: Version| -> Option<Arc<str>> {
            self.versioned.then(|| version.to_string().into())
        };
        // Most rows have no revision: they share the text.
        let of_all = text(of_batch);
        let mut items = Vec::with_capacity(rows.batch.num_rows());
        for row in 0..rows.batch.num_rows() {
            let version = match rows.revision(row) {
                0 => of_all.clone(),
                revision => text(Version { revision, ..of_batch }),
            };
            let item = if rows.op(row).adds() {
                self.items.encode(&rows.batch, row, version.as_ref())
            } else {
                self.items.encode_delete(&rows.batch, row)
            };
            match item {
                Ok(item) => items.push(item),
                // It was rejected when it was added: there is nothing to delete.
                Err(_) if !rows.op(row).adds() => {}
                Err(reason) => {
                    if rows.ops.is_some()
                        && let Ok(delete) = self.items.encode_delete(&rows.batch, row)
                    {
                        // What it may replace is no result any more.
                        items.push(delete);
                    }
                    let row = self.items.row_json(&rows.batch, row);
                    if self.fail_on_error {
                        return Err(SinkError::Write {
                            table: self.table.clone(),
                            reason: format!("{reason}: {row}"),
                        });
                    }
                    self.outbox.reject(Rejected { row, reason });
                }
            }
        }
        self.outbox
            .push(items)
            .map_err(|reason| SinkError::Write { table: self.table.clone(), reason })
    }

    fn has_room(&mut self) -> bool {
        self.outbox.has_room()
    }

    fn begin_prepare(
        &mut self,
        _epoch: Epoch,
        afterwards: Afterwards,
    ) -> Result<Prepared, SinkError> {
        self.outbox
            .begin_prepare(afterwards)
            .map_err(|reason| SinkError::Write { table: self.table.clone(), reason })
    }

    fn poll_prepare(&mut self) -> Result<Prepared, SinkError> {
        self.outbox
            .poll_prepare()
            .map_err(|reason| SinkError::Write { table: self.table.clone(), reason })
    }

    fn take_rejected(&mut self) -> Vec<Rejected> {
        self.outbox.take_rejected()
    }
}

impl Drop for DynamoDbWriter {
    fn drop(&mut self) {
        // A writer that takes over must not meet writes of this one.
        self.outbox.close();
    }
}
