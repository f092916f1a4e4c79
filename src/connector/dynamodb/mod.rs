//! Connector `dynamodb`: a table that is written by key, and looked up by key.
//!
//! In reading order: `options` (what WITH may say), `api` (the calls), `client` (by the AWS SDK),
//! `describe` (what table it is), `lost` (what ends it all), `made_again`
//! (is it the one of the run?); of `sink`: `value` and `item` (rows to items), `writers` (what
//! becomes of them), `outbox` (what waits for a checkpoint), `lanes` (order), `sender` (requests and
//! retries), `faults` (whose fault a refusal is); of `lookup`: `read` (its calls).

pub(crate) mod api;
mod client;
mod describe;
mod faults;
pub(crate) mod item;
mod lanes;
pub mod lookup;
mod lost;
mod made_again;
pub(crate) mod options;
mod outbox;
mod read;
mod sender;
pub mod sink;
mod staged;
pub(crate) mod value;
mod writers;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::FORMAT;
use super::error::{ConnectError, config_error};
use super::{Connector, Environment, LooksUp, Writes, formats};
use crate::aws;
use crate::lookup::LookupTable;
use crate::lookup::options::{LookupOptions, PREFIX};
use crate::options::OptionSpec;
use crate::plan::connectors::{Access, Uses};
use crate::plan::physical::{LookupPlan, ResultKeys, SinkPlan};
use crate::sink::version::WriteMode;
use crate::sink::{Guarantee, Sink, SinkError};
use crate::sql::catalog::Table;
use crate::tasks::Tasks;
use crate::time::clock::SharedClock;
use api::Tables;
use client::Aws;
use item::{DELETED_ATTRIBUTE, EXPIRES_ATTRIBUTE, TOMBSTONE_S};
use lookup::DynamoDbLookup;
use sink::DynamoDbSink;

pub(crate) struct DynamoDb {
    tables: Box<dyn Tables>,
}

impl Default for DynamoDb {
    /// Tables of AWS.
    fn default() -> DynamoDb {
        DynamoDb { tables: Box::new(Aws) }
    }
}

impl DynamoDb {
    /// Tables that are elsewhere.
    #[cfg(test)]
    pub(crate) fn on(tables: impl Tables + 'static) -> DynamoDb {
        DynamoDb { tables: Box::new(tables) }
    }
}

impl Connector for DynamoDb {
    fn name(&self) -> &'static str {
        "dynamodb"
    }
    fn about(&self) -> &'static str {
        "A DynamoDB table: upserts that never go backwards, and lookups by its key. Each item has the \
         version of its result, `paceline_version`, and is written on the condition that the table \
         holds none that is newer: the writer needs the permission to put items and to describe the \
         table. Results of windows are written at once, those without a window with the next \
         checkpoint. A row that is deleted leaves a tombstone for 7 days or more: an item of its key, \
         with `paceline_deleted` = true, which readers have to leave out, and with the time in \
         `paceline_expires` from which on it may go: turn on the table's TTL for that attribute."
    }
    fn options(&self) -> Vec<OptionSpec> {
        options::OPTIONS
            .into_iter()
            .chain(crate::lookup::options::OPTIONS)
            .chain([FORMAT])
            .chain(aws::OPTIONS)
            .collect()
    }
    fn uses(&self) -> Uses {
        Uses { access: Access::LookedUp, ..Uses::default() }
    }
    fn is_remote(&self) -> bool {
        true
    }
    fn writes(&self) -> Option<&dyn Writes> {
        Some(self)
    }
    fn looks_up(&self) -> Option<&dyn LooksUp> {
        Some(self)
    }
}

impl Writes for DynamoDb {
    fn guarantee(&self) -> Guarantee {
        Guarantee::EffectivelyOnce
    }

    fn check(&self, plan: &SinkPlan, table: &Table) -> Result<(), ConnectError> {
        LookupOptions::parse(&table.options).map_err(|e| config_error(table, e))?;
        DynamoDbSink::check(&plan.table_spec(table), &own_options(table))
            .map_err(|e| sink_error(e, table))
    }

    fn notes(&self, plan: &SinkPlan, table: &Table, checkpoints: &str) -> Vec<String> {
        let (name, mut notes) = (&table.name, Vec::new());
        if plan.keys == ResultKeys::InOrder {
            notes.push(format!(
                "note: results without a window are written to table '{name}' with the checkpoint that they belong to, so that a \
                 crash can take none back: {checkpoints}, and earlier when many wait"
            ));
        }
        if plan.updates {
            notes.push(format!(
                "warning: rows of table '{name}' can be deleted: such a row leaves an item in which '{DELETED_ATTRIBUTE}' is true, \
                 which readers have to leave out; turn on the DynamoDB table's TTL for '{EXPIRES_ATTRIBUTE}', so that it goes \
                 after {} days",
                TOMBSTONE_S / (24 * 60 * 60)
            ));
        }
        notes
    }

    fn server_ms(
        &self,
        plan: &SinkPlan,
        table: &Table,
        clock: &SharedClock,
        tasks: &Tasks,
    ) -> Result<Option<i64>, ConnectError> {
        let run_ms = clock.wall_ms();
        let sink = DynamoDbSink::on(
            self.tables.as_ref(),
            plan.table_spec(table),
            &own_options(table),
            run_ms,
            WriteMode::Unique,
            clock.clone(),
            tasks.clone(),
        );
        let asked = sink.and_then(|sink| sink.server_ms());
        asked.map(Some).map_err(|e| sink_error(e, table))
    }

    fn sink(
        &self,
        plan: &SinkPlan,
        table: &Table,
        mode: WriteMode,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn Sink>, ConnectError> {
        LookupOptions::parse(&table.options).map_err(|e| config_error(table, e))?;
        let sink = DynamoDbSink::on(
            self.tables.as_ref(),
            plan.table_spec(table),
            &own_options(table),
            env.run_ms,
            mode,
            env.clock.clone(),
            env.tasks.clone(),
        );
        let sink = sink.map_err(|e| sink_error(e, table))?;
        Ok(Arc::new(sink.on_gap(env.on_gap)))
    }
}

impl LooksUp for DynamoDb {
    fn check(&self, plan: &LookupPlan) -> Result<(), ConnectError> {
        let table = &plan.source.table;
        DynamoDbLookup::check(&plan.spec, &own_options(table)).map_err(|e| config_error(table, e))
    }

    fn table(
        &self,
        plan: &LookupPlan,
        options: &LookupOptions,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn LookupTable>, ConnectError> {
        let table = &plan.source.table;
        let made = DynamoDbLookup::on(
            self.tables.as_ref(),
            plan.spec.clone(),
            &own_options(table),
            options.retries,
            env.clock.clone(),
            env.tasks.clone(),
        );
        Ok(Arc::new(made.map_err(|e| config_error(table, e))?))
    }
}

/// The options of the table itself: one declaration may serve lookups too.
fn own_options(table: &Table) -> BTreeMap<String, String> {
    formats::without_format(table).into_iter().filter(|(key, _)| !key.starts_with(PREFIX)).collect()
}

fn sink_error(error: SinkError, table: &Table) -> ConnectError {
    match error {
        SinkError::Config { reason, .. } => config_error(table, reason),
        other => ConnectError::Sink(other),
    }
}
