//! From a plan's tables to the outside: each table's connector makes its end, and `--local` puts
//! something else in the place of remote ones.
//!
//! Called by `cli` with a plan; returns what `runtime::job` runs. What always holds: an option that
//! a connector does not have, and a value that is not of its kind, is an error before anything
//! outside is touched.

mod lookups;
mod stand_ins;
mod steps;

use std::sync::Arc;

use crate::config::{Config, RuntimeMode};
use crate::connector::error::{config_error, place};
use crate::connector::filesystem::sink::FileSink;
use crate::connector::formats::{DecodeFormat, RecordsOf};
use crate::connector::inline::select::{OpColumn, SelectSink};
use crate::connector::inline::values::ValuesSource;
use crate::connector::stand_in::table::EmbeddedTable;
use crate::connector::{ConnectError, Connectors, Environment, Use, check_options, watermarks};
use crate::format::RowsPerRecord;
use crate::ingest::Decoding;
use crate::options;
use crate::plan::physical::{PhysicalPlan, ResultKeys, SinkPlan, SinkTarget, SourcePlan};
use crate::runtime::errors;
use crate::runtime::options::Connected;
use crate::sink::version::WriteMode;
use crate::sink::{Guarantee, Sink};
use crate::source::Source;
use crate::sql::catalog::Table;
use crate::sql::compared::Compared;
use crate::sql::hints;
use crate::tasks::Tasks;
use crate::time::clock::SharedClock;
use steps::Steps;

/// A plan's ends, and the embedded tables among its sinks.
pub struct Connection {
    pub connected: Connected,
    pub tables: Vec<(String, Arc<EmbeddedTable>)>,
}

pub fn connect(plan: &PhysicalPlan, env: &Environment<'_>) -> Result<Connection, ConnectError> {
    let compared = &plan.compared;
    let mut sources = Vec::new();
    let mut decoders = Vec::new();
    let mut watermarks = Vec::new();
    for plan in &plan.sources {
        let made = source(plan, env, compared).map_err(|e| place(e, &plan.table))?;
        if env.config.mode == RuntimeMode::Batch && !made.bounded() {
            return Err(endless_in_batch(&plan.table, env.connectors));
        }
        let is_bounded_by_us = plan.rows.is_some()
            || env.connectors.reads(&plan.table).is_ok_and(|(_, reads)| reads.takes_bounds());
        if (env.bounds.from_ms.is_some() || env.bounds.to_ms.is_some()) && !is_bounded_by_us {
            return Err(config_error(
                &plan.table,
                "--from and --to bound Kinesis streams, and this is none",
            ));
        }
        sources.push(made);
        watermarks.push(watermarks::of(plan, env.config)?);
        let is_sample = env.local && env.connectors.is_out_of_reach(&plan.table, Use::Read);
        let records = if is_sample { RecordsOf::Sample } else { RecordsOf::Table };
        let format = DecodeFormat::of(plan, records, rows_per_record(plan, env.config))
            .map_err(|e| place(e, &plan.table))?;
        let steps =
            if is_sample { Steps::default() } else { Steps::of(plan, env.config, env.connectors)? };
        // Made once here, so that what fails does so now.
        steps.make().map_err(|e| config_error(&plan.table, e))?;
        // Made once here, so that an unsupported column is an error now.
        format.decoder(&plan.table.name, &plan.decode_schema).map_err(|e| place(e, &plan.table))?;
        let ahead_max_ms = env.config.ahead_max_ms(hints::base_name(&plan.table.name));
        decoders.push((
            plan.table.name.clone(),
            format,
            plan.decode_schema.clone(),
            steps,
            ahead_max_ms,
        ));
    }
    let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
    let mut tables = Vec::new();
    for plan in &plan.sinks {
        sinks.push(sink(plan, env, &mut tables)?);
    }
    let lookups = plan
        .lookups
        .iter()
        .map(|plan| lookups::lookup(plan, env, compared))
        .collect::<Result<_, _>>()?;
    let errors = FileSink::errors(
        env.files.clone(),
        env.errors_dir.clone(),
        &env.run_name,
        errors::schema(),
    )?;
    let connected = Connected {
        sources,
        decoding: Box::new(move |i| {
            let (table, format, schema, steps, ahead_max_ms) = &decoders[i];
            // It was made once already, from the same parts.
            let decoder = format
                .decoder(table, schema)
                .unwrap_or_else(|e| unreachable!("decoder of {table}: {e}"));
            let steps = steps.make().unwrap_or_else(|e| unreachable!("steps of {table}: {e}"));
            Decoding { steps, decoder, ahead_max_ms: *ahead_max_ms }
        }),
        lookups,
        sinks,
        errors: Arc::new(errors),
        refused: Arc::default(),
        watermarks,
    };
    Ok(Connection { connected, tables })
}

/// Batch mode waits for an end that a table does not have.
fn endless_in_batch(table: &Table, connectors: &Connectors) -> ConnectError {
    let takes_bounds = connectors.reads(table).is_ok_and(|(_, reads)| reads.takes_bounds());
    let instead =
        if takes_bounds { "run it with --to" } else { "give it an end, such as 'number-of-rows'" };
    config_error(
        table,
        format!(
            "reading it never ends, and 'execution.runtime-mode' = 'batch' waits for the end: {instead}, or use \
             'streaming'"
        ),
    )
}

fn rows_per_record(plan: &SourcePlan, config: &Config) -> RowsPerRecord {
    match config.many_records.contains(hints::base_name(&plan.table.name)) {
        true => RowsPerRecord::Many,
        false => RowsPerRecord::One,
    }
}

fn source(
    plan: &SourcePlan,
    env: &Environment<'_>,
    compared: &Compared,
) -> Result<Arc<dyn Source>, ConnectError> {
    let table = &plan.table;
    if let Some(rows) = &plan.rows {
        return Ok(Arc::new(ValuesSource::new(rows.num_rows())));
    }
    if env.local && env.connectors.is_out_of_reach(table, Use::Read) {
        return stand_ins::sample(plan, env, compared);
    }
    let (connector, reads) = env.connectors.reads(table)?;
    check_options(table, connector)?;
    reads.source(plan, env)
}

fn sink(
    plan: &SinkPlan,
    env: &Environment<'_>,
    tables: &mut Vec<(String, Arc<EmbeddedTable>)>,
) -> Result<Arc<dyn Sink>, ConnectError> {
    let table = match &plan.target {
        SinkTarget::Print => {
            let ops = if plan.updates { OpColumn::Shown } else { OpColumn::Hidden };
            return Ok(Arc::new(SelectSink::new(&plan.name, plan.schema.clone(), ops, env.select)));
        }
        SinkTarget::Table(table) => table,
    };
    let mode = match plan.keys {
        ResultKeys::Unique => WriteMode::Unique,
        ResultKeys::SharedByWindows => WriteMode::Versioned,
        ResultKeys::InOrder => WriteMode::InOrder,
    };
    if env.local && env.connectors.is_out_of_reach(table, Use::Write) {
        let embedded = stand_ins::table(plan, table, mode, env)?;
        tables.push((table.name.clone(), embedded.clone()));
        return Ok(embedded);
    }
    let (connector, writes) = env.connectors.writes(table)?;
    check_options(table, connector)?;
    writes.sink(plan, table, mode, env)
}

/// What time it is at the systems that results go to, the latest of them, ms since the epoch; None
/// if nobody is asked.
pub fn server_ms(
    plan: &PhysicalPlan,
    connectors: &Connectors,
    clock: &SharedClock,
    tasks: &Tasks,
) -> Result<Option<i64>, ConnectError> {
    let mut latest = None;
    for plan in &plan.sinks {
        if let SinkTarget::Table(table) = &plan.target {
            let (connector, writes) = connectors.writes(table)?;
            check_options(table, connector)?;
            latest = latest.max(writes.server_ms(plan, table, clock, tasks)?);
        }
    }
    Ok(latest)
}

/// What is to be known of the sinks beside their guarantees: for `check`.
pub fn notes(plan: &PhysicalPlan, config: &Config, connectors: &Connectors) -> Vec<String> {
    let checkpoints = match (config.checkpoint_records, config.checkpoint_interval) {
        (Some(records), _) => format!("every {records} records (paceline.checkpoint.records)"),
        (None, Some(interval)) => {
            format!("every {interval:?} (execution.checkpointing.interval)")
        }
        (None, None) => "at the end (execution.checkpointing.interval is 0)".into(),
    };
    let tables = plan.sinks.iter().filter_map(|sink| match &sink.target {
        SinkTarget::Table(table) => Some((sink, table)),
        SinkTarget::Print => None,
    });
    let notes = tables.filter_map(|(sink, table)| {
        let (_, writes) = connectors.writes(table).ok()?;
        Some(writes.notes(sink, table, &checkpoints))
    });
    let of_sources = plan.sources.iter().filter(|s| s.rows.is_none()).filter_map(|source| {
        let (_, reads) = connectors.reads(&source.table).ok()?;
        Some(reads.notes(&source.table))
    });
    notes
        .chain(of_sources)
        .flatten()
        .chain(lookups::notes(plan, connectors))
        .chain(ignored(plan, connectors))
        .collect()
}

/// Options that are read and change nothing, a line for each table.
fn ignored(plan: &PhysicalPlan, connectors: &Connectors) -> Vec<String> {
    let mut notes = Vec::new();
    for table in tables(plan) {
        let Some(connector) = connectors.get(table.connector()) else { continue };
        let known = connector.options();
        let mut reasons: Vec<String> = options::ignored(&table.options, &known)
            .map(|(key, why)| format!("'{key}' ({why})"))
            .collect();
        reasons.dedup();
        if !reasons.is_empty() {
            let name = hints::base_name(&table.name);
            notes.push(format!("note: table '{name}': of no effect here: {}", reasons.join(", ")));
        }
    }
    notes.sort();
    notes.dedup();
    notes
}

/// The tables that a plan names.
fn tables(plan: &PhysicalPlan) -> impl Iterator<Item = &Arc<Table>> {
    let sources = plan.sources.iter().filter(|s| s.rows.is_none()).map(|s| &s.table);
    let lookups = plan.lookups.iter().map(|lookup| &lookup.source.table);
    let sinks = plan.sinks.iter().filter_map(|sink| match &sink.target {
        SinkTarget::Table(table) => Some(table),
        SinkTarget::Print => None,
    });
    sources.chain(lookups).chain(sinks)
}

/// The guarantee of each sink, without touching the outside: for `check`.
pub fn guarantee(plan: &SinkPlan, connectors: &Connectors) -> Guarantee {
    match &plan.target {
        SinkTarget::Table(table) => connectors
            .writes(table)
            .map_or(Guarantee::AtLeastOnce, |(_, writes)| writes.guarantee()),
        SinkTarget::Print => Guarantee::AtLeastOnce,
    }
}

/// Tables of connectors that are not here, each once: for `check`.
pub fn unknown(plan: &PhysicalPlan, connectors: &Connectors) -> Vec<String> {
    let mut found: Vec<String> =
        tables(plan).filter_map(|table| connectors.warning(table)).collect();
    found.sort();
    found.dedup();
    found
}

/// Checks what can be checked about tables without touching the outside. `instead`: which tables
/// something stands in for, whose options need not be right.
pub fn check(
    plan: &PhysicalPlan,
    config: &Config,
    connectors: &Connectors,
    instead: &dyn Fn(&Table, Use) -> bool,
) -> Result<(), ConnectError> {
    for plan in plan.sources.iter().filter(|s| s.rows.is_none()) {
        let table = &plan.table;
        if instead(table, Use::Read) {
            continue;
        }
        let (connector, reads) = connectors.reads(table)?;
        check_options(table, connector)?;
        reads.check(plan)?;
        if config.mode == RuntimeMode::Batch && reads.is_endless(table) {
            return Err(endless_in_batch(table, connectors));
        }
        watermarks::of(plan, config)?;
        Steps::of(plan, config, connectors)?;
        let format = DecodeFormat::of(plan, RecordsOf::Table, rows_per_record(plan, config))?;
        format.decoder(&table.name, &plan.decode_schema).map_err(|e| place(e, table))?;
    }
    let mut lookups = plan.lookups.iter().filter(|plan| !instead(&plan.source.table, Use::Read));
    lookups.try_for_each(|plan| lookups::check(plan, connectors))?;
    for plan in &plan.sinks {
        if let SinkTarget::Table(table) = &plan.target
            && !instead(table, Use::Write)
        {
            let (connector, writes) = connectors.writes(table)?;
            check_options(table, connector)?;
            writes.check(plan, table)?;
        }
    }
    Ok(())
}
