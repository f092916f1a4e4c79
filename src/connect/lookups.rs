//! From the tables that a plan looks up to what answers: their connectors, or a sample under
//! `--local`.
//!
//! Called by `connect`. What always holds: options are checked unless something stands in for the table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::stand_ins;
use crate::connector::error::{config_error, place};
use crate::connector::formats::RecordsOf;
use crate::connector::in_memory::{self, table::MemoryTable};
use crate::connector::{ConnectError, Connectors, Environment, Use, check_options};
use crate::lookup::options::LookupOptions;
use crate::lookup::{Lookup, LookupTable};
use crate::plan::physical::{LookupPlan, PhysicalPlan};
use crate::sql::catalog::Table;
use crate::sql::compared::Compared;

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
        (Arc::new(sample(plan, env, compared).map_err(|e| place(e, table))?), options)
    } else {
        refuse_changes(table)?;
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
    refuse_changes(table)?;
    let (connector, looks_up) = connectors.looks_up(table)?;
    check_options(table, connector)?;
    LookupOptions::parse(&table.options).map_err(|e| config_error(table, e))?;
    looks_up.check(plan)
}

/// A row that is looked up is there: a list of changes has none.
fn refuse_changes(table: &Table) -> Result<(), ConnectError> {
    let Some(format) = table.change_format() else { return Ok(()) };
    Err(config_error(
        table,
        format!(
            "the format {format} holds changes, and no rows to look up: join it FOR SYSTEM_TIME AS OF a rowtime, with a PRIMARY KEY, or \
             without a bound in time"
        ),
    ))
}

/// What is to be known of the tables that are looked up, each once: for `check`.
pub(super) fn notes(plan: &PhysicalPlan, connectors: &Connectors) -> Vec<String> {
    let tables = plan.lookups.iter().map(|lookup| &lookup.source.table);
    let notes = tables.filter_map(|table| Some(connectors.looks_up(table).ok()?.1.notes(table)));
    let notes: BTreeSet<String> = notes.flatten().collect();
    notes.into_iter().collect()
}

/// All rows of the table's sample.
fn sample(
    plan: &LookupPlan,
    env: &Environment<'_>,
    compared: &Compared,
) -> Result<MemoryTable, ConnectError> {
    let source = stand_ins::sample(&plan.source, env, compared)?;
    in_memory::read(plan, source.as_ref(), RecordsOf::Sample, env.config.memory_bytes)
}
