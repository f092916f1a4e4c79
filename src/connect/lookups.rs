//! From the tables that a plan looks up to what answers: DynamoDB, or a sample under `--local`.
//!
//! Called by `connect`. What always holds: options are checked whatever stands in for the table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::concat_batches;

use super::formats::DecodeFormat;
use super::{ConnectError, Environment, config_error, connector_options, is_remote, place, sample};
use crate::connector::dynamodb::lookup::DynamoDbLookup;
use crate::connector::stand_in::memory::MemoryTable;
use crate::lookup::options::{LookupOptions, PREFIX};
use crate::lookup::{Lookup, LookupTable};
use crate::plan::physical::LookupPlan;
use crate::source::Polled;
use crate::sql::catalog::Table;

/// Records taken from a sample at a time.
const SAMPLE_BATCH: usize = 8192;
/// Rows of a table in memory: a sample of more is no sample.
const SAMPLE_ROWS_MAX: usize = 1_000_000;

/// The options of a DynamoDB table: those of the connector, and those of its lookups. One declaration may serve both.
pub(super) fn dynamodb_options(table: &Table) -> Result<(BTreeMap<String, String>, LookupOptions), ConnectError> {
    let (lookup, own): (BTreeMap<_, _>, BTreeMap<_, _>) =
        connector_options(table).into_iter().partition(|(key, _)| key.starts_with(PREFIX));
    Ok((own, LookupOptions::parse(&lookup).map_err(|e| config_error(table, e))?))
}

pub(super) fn lookup(plan: &LookupPlan, env: &Environment<'_>) -> Result<Arc<Lookup>, ConnectError> {
    let table = &plan.source.table;
    let (own, options) = dynamodb_options(table)?;
    let answers: Arc<dyn LookupTable> = if env.local && is_remote(table.connector()) {
        Arc::new(in_memory(plan, env).map_err(|e| place(e, table))?)
    } else {
        let made = DynamoDbLookup::new(plan.spec.clone(), &own, options.retries, env.runtime.clone());
        Arc::new(made.map_err(|e| config_error(table, e))?)
    };
    Ok(Arc::new(Lookup::new(plan.spec.clone(), answers, options.cache, env.clock.clone())))
}

/// Finds what is wrong with a table's declaration, without touching the outside.
pub(super) fn check(plan: &LookupPlan) -> Result<(), ConnectError> {
    let table = &plan.source.table;
    let (own, _) = dynamodb_options(table)?;
    DynamoDbLookup::check(&plan.spec, &own).map_err(|e| config_error(table, e))
}

/// All rows of the table's sample.
fn in_memory(plan: &LookupPlan, env: &Environment<'_>) -> Result<MemoryTable, ConnectError> {
    let table = &plan.source.table;
    let source = sample(&plan.source, env)?;
    if !source.bounded() {
        return Err(config_error(table, "its sample never ends: name a file of its rows"));
    }
    let schema = &plan.source.decode_schema;
    let mut decoder = DecodeFormat::of(&plan.source, true, false)?.decoder(&table.name, schema)?;
    let (mut batches, mut rows) = (Vec::new(), 0);
    for split in source.discover()? {
        let mut reader = source.open(&split.id, &split.start, Arc::new(|| {}))?;
        while let Polled::Records(raw) = reader.poll(SAMPLE_BATCH)? {
            let decoded = decoder.decode(&raw);
            if let Some(bad) = decoded.bad.first() {
                let at = raw.places.describe(bad.index);
                return Err(config_error(table, format!("its sample, {at}: {}", bad.reason)));
            }
            rows += decoded.batch.num_rows();
            if rows > SAMPLE_ROWS_MAX {
                return Err(config_error(table, format!("its sample has more than {SAMPLE_ROWS_MAX} rows")));
            }
            batches.push(decoded.batch);
        }
    }
    let all = concat_batches(schema, &batches).map_err(|e| config_error(table, e))?;
    MemoryTable::new(&plan.spec, &all).map_err(|e| config_error(table, e))
}
