//! From the tables that a plan looks up to what answers: their connectors, or a sample under
//! `--local`.
//!
//! Called by `connect`. What always holds: options are checked unless something stands in for the table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::concat_batches;

use super::stand_ins;
use crate::connector::error::{config_error, place};
use crate::connector::formats::{DecodeFormat, RecordsOf};
use crate::connector::stand_in::memory::MemoryTable;
use crate::connector::{ConnectError, Connectors, Environment, Use, check_options};
use crate::format::RowsPerRecord;
use crate::lookup::options::LookupOptions;
use crate::lookup::{Lookup, LookupTable};
use crate::plan::physical::LookupPlan;
use crate::source::{Polled, ReadAhead};
use crate::sql::compared::Compared;

/// Records taken from a sample at a time.
const SAMPLE_BATCH: usize = 8192;
/// Rows of a table in memory: a sample of more is no sample.
const SAMPLE_ROWS_MAX: usize = 1_000_000;

pub(super) fn lookup(
    plan: &LookupPlan,
    env: &Environment<'_>,
    compared: &Compared,
) -> Result<Arc<Lookup>, ConnectError> {
    let table = &plan.source.table;
    let (answers, options): (Arc<dyn LookupTable>, _) = if env.local
        && env.connectors.is_out_of_reach(table, Use::Read)
    {
        // How often another system would be asked is its own business.
        let options = LookupOptions::parse(&BTreeMap::new()).map_err(|e| config_error(table, e))?;
        (Arc::new(in_memory(plan, env, compared).map_err(|e| place(e, table))?), options)
    } else {
        let (connector, looks_up) = env.connectors.looks_up(table)?;
        check_options(table, connector)?;
        let options = LookupOptions::parse(&table.options).map_err(|e| config_error(table, e))?;
        (looks_up.table(plan, &options, env)?, options)
    };
    Ok(Arc::new(Lookup::new(plan.spec.clone(), answers, options.cache, env.clock.clone())))
}

/// Finds what is wrong with a table's declaration, without touching the outside.
pub(super) fn check(plan: &LookupPlan, connectors: &Connectors) -> Result<(), ConnectError> {
    let table = &plan.source.table;
    let (connector, looks_up) = connectors.looks_up(table)?;
    check_options(table, connector)?;
    LookupOptions::parse(&table.options).map_err(|e| config_error(table, e))?;
    looks_up.check(plan)
}

/// All rows of the table's sample.
fn in_memory(
    plan: &LookupPlan,
    env: &Environment<'_>,
    compared: &Compared,
) -> Result<MemoryTable, ConnectError> {
    let table = &plan.source.table;
    let source = stand_ins::sample(&plan.source, env, compared)?;
    if !source.bounded() {
        return Err(config_error(table, "its sample never ends: name a file of its rows"));
    }
    let schema = &plan.source.decode_schema;
    let mut decoder = DecodeFormat::of(&plan.source, RecordsOf::Sample, RowsPerRecord::One)?
        .decoder(&table.name, schema)?;
    let (mut batches, mut rows) = (Vec::new(), 0);
    // A sample is what a setting names.
    let wrong = |e| ConnectError::of_query(&e);
    for split in source.discover().map_err(wrong)? {
        let mut reader = source
            .open(&split.id, &split.start, ReadAhead::alone(Arc::new(|| {})))
            .map_err(wrong)?;
        while let Polled::Records(raw) = reader.poll(SAMPLE_BATCH).map_err(wrong)? {
            let decoded = decoder.decode(&raw);
            if let Some(bad) = decoded.bad.first() {
                let at = raw.places.describe(bad.index);
                return Err(config_error(table, format!("its sample, {at}: {}", bad.reason)));
            }
            rows += decoded.batch.num_rows();
            if rows > SAMPLE_ROWS_MAX {
                return Err(config_error(
                    table,
                    format!("its sample has more than {SAMPLE_ROWS_MAX} rows"),
                ));
            }
            batches.push(decoded.batch);
        }
    }
    let all = concat_batches(schema, &batches).map_err(|e| config_error(table, e))?;
    MemoryTable::new(&plan.spec, &all).map_err(|e| config_error(table, e))
}
