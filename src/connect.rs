//! From a plan's tables to the outside: the one list of connectors, and what `--local` puts in their place.
//!
//! Called by `cli` with a plan; returns what `runtime::job` runs. A new connector adds a line to [`source`], [`sink`] or `lookups`.
//! What always holds: an option that a connector does not know is an error that lists those it knows.

mod formats;
mod lookups;
mod names;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use formats::DecodeFormat;

use crate::config::{Config, duration};
use crate::connector::alleycat::{AlleycatOptions, AlleycatSource};
use crate::connector::blackhole::BlackholeSink;
use crate::connector::datagen::{DatagenOptions, DatagenSource, Declared};
use crate::connector::dynamodb::sink::DynamoDbSink;
use crate::connector::filesystem::sink::FileSink;
use crate::connector::filesystem::source::FileSource;
use crate::connector::inline::select::{SelectFormat, SelectSink};
use crate::connector::inline::values::ValuesSource;
use crate::connector::kinesis::{Bounds, KinesisOptions, KinesisSource};
use crate::connector::print::PrintSink;
use crate::connector::stand_in::generate::SampleSource;
use crate::connector::stand_in::table::EmbeddedTable;
use crate::plan::physical::{PhysicalPlan, ResultKeys, SinkPlan, SinkTarget, SourcePlan};
use crate::private;
use crate::runtime::errors;
use crate::runtime::options::Connected;
use crate::sink::version::WriteMode;
use crate::sink::{Guarantee, Sink, SinkError};
use crate::source::{Source, SourceError};
use crate::sql::catalog::{ColumnKind, Table};
use crate::sql::error::SqlError;
use crate::sql::hints;
use crate::suggest::nearest;
use crate::time::clock::SharedClock;

/// The surroundings of a job.
pub struct Environment<'a> {
    pub config: &'a Config,
    /// The SQL file, for its samples.
    pub query_path: PathBuf,
    pub local: bool,
    pub state_dir: PathBuf,
    /// Where the error stream goes.
    pub errors_dir: PathBuf,
    pub run_ms: i64,
    /// The run in the names of files.
    pub run_name: String,
    /// Arrival times that bound streams: `--from`, `--to`.
    pub bounds: Bounds,
    pub clock: SharedClock,
    pub runtime: tokio::runtime::Handle,
    pub select: SelectFormat,
}

/// What went wrong: in the query's options (exit code 2) or outside (1).
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{}", .0.message)]
    Query(SqlError),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

impl From<SourceError> for ConnectError {
    fn from(e: SourceError) -> Self {
        ConnectError::Query(SqlError::new(e.to_string()))
    }
}

/// A plan's ends, and the embedded tables among its sinks.
pub struct Connection {
    pub connected: Connected,
    pub tables: Vec<(String, Arc<EmbeddedTable>)>,
}

pub fn connect(plan: &PhysicalPlan, env: &Environment<'_>) -> Result<Connection, ConnectError> {
    let mut sources = Vec::new();
    let mut decoders = Vec::new();
    for plan in &plan.sources {
        let made = source(plan, env).map_err(|e| place(e, &plan.table))?;
        if (env.bounds.from_ms.is_some() || env.bounds.to_ms.is_some())
            && plan.table.connector() != "kinesis"
            && plan.rows.is_none()
        {
            return Err(config_error(&plan.table, "--from and --to bound Kinesis streams, and this is none"));
        }
        sources.push(made);
        let is_sample = env.local && is_remote(plan.table.connector());
        let format = DecodeFormat::of(plan, is_sample, holds_many(plan, env.config)).map_err(|e| place(e, &plan.table))?;
        // Made once here, so that an unsupported column is an error now.
        format.decoder(&plan.table.name, &plan.decode_schema).map_err(|e| place(e, &plan.table))?;
        decoders.push((plan.table.name.clone(), format, plan.decode_schema.clone()));
    }
    let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
    let mut tables = Vec::new();
    for plan in &plan.sinks {
        sinks.push(sink(plan, env, &mut tables)?);
    }
    let lookups = plan.lookups.iter().map(|plan| lookups::lookup(plan, env)).collect::<Result<_, _>>()?;
    let errors = FileSink::errors(env.errors_dir.clone(), &env.run_name, errors::schema())?;
    let connected = Connected {
        sources,
        decoder: Box::new(move |i| {
            let (table, format, schema) = &decoders[i];
            // It was made once already, from the same parts.
            format.decoder(table, schema).unwrap_or_else(|e| unreachable!("decoder of {table}: {e}"))
        }),
        lookups,
        sinks,
        errors: Arc::new(errors),
        idle_timeout: env.config.idle_timeout,
    };
    Ok(Connection { connected, tables })
}

/// True if a record of the table may hold several rows.
fn holds_many(plan: &SourcePlan, config: &Config) -> bool {
    config.many_records.contains(hints::base_name(&plan.table.name))
}

fn place(error: ConnectError, table: &Table) -> ConnectError {
    match error {
        ConnectError::Query(e) => ConnectError::Query(e.at(Some(table.place))),
        other => other,
    }
}

fn config_error(table: &Table, reason: impl std::fmt::Display) -> ConnectError {
    ConnectError::Query(SqlError::new(format!("table '{}': {reason}", table.name)).at(Some(table.place)))
}

/// Connectors that read something this machine does not have.
fn is_remote(connector: &str) -> bool {
    matches!(connector, "kinesis" | "dynamodb" | "firehose")
}

fn metadata_keys(plan: &SourcePlan) -> Vec<String> {
    let keys = plan.decode.iter().filter_map(|&c| match &plan.table.columns[c].kind {
        ColumnKind::Metadata { key, .. } => Some(key.clone()),
        _ => None,
    });
    keys.collect()
}

fn source(plan: &SourcePlan, env: &Environment<'_>) -> Result<Arc<dyn Source>, ConnectError> {
    let table = &plan.table;
    if let Some(rows) = &plan.rows {
        return Ok(Arc::new(ValuesSource::new(rows.num_rows())));
    }
    match table.connector() {
        connector if env.local && is_remote(connector) => sample(plan, env),
        "filesystem" => {
            check_options(table, &FILE_OPTIONS)?;
            let path = required(table, "path", "the file or folder to read")?;
            let source = FileSource::new(&table.name, path, metadata_keys(plan))?.framed(formats::framing(table)?);
            Ok(match monitor_interval(table)? {
                Some(every) => Arc::new(source.watched(every, env.clock.clone())?),
                None => Arc::new(source),
            })
        }
        "alleycat" => {
            let options = AlleycatOptions::parse(&table.name, &connector_options(table))?;
            Ok(Arc::new(AlleycatSource::new(&table.name, options, env.clock.clone())))
        }
        "datagen" => {
            let options = datagen_options(table)?;
            let needed: Vec<String> = plan.decode.iter().map(|&c| table.columns[c].name.clone()).collect();
            Ok(Arc::new(DatagenSource::new(&table.name, options, &needed, env.clock.clone())))
        }
        "kinesis" => {
            let options = KinesisOptions::parse(&table.name, &connector_options(table), env.bounds)?;
            let source = KinesisSource::new(&table.name, options, metadata_keys(plan), env.clock.clone(), env.runtime.clone())?;
            Ok(Arc::new(source))
        }
        "" => Err(config_error(table, "WITH needs a 'connector': filesystem, kinesis, datagen or alleycat to read from")),
        other => Err(unknown_connector(table, other, &SOURCES)),
    }
}

/// Connectors to read from.
const SOURCES: [&str; 4] = ["filesystem", "kinesis", "datagen", "alleycat"];

const FILE_OPTIONS: [&str; 4] = ["connector", "path", "format", MONITOR_INTERVAL];
const MONITOR_INTERVAL: &str = "source.monitor-interval";

fn monitor_interval(table: &Table) -> Result<Option<Duration>, ConnectError> {
    let Some(text) = table.options.get(MONITOR_INTERVAL) else { return Ok(None) };
    match duration(text) {
        Ok(every) if every.is_zero() => Err(config_error(table, format!("'{MONITOR_INTERVAL}' is longer than 0"))),
        Ok(every) => Ok(Some(every)),
        Err(e) => Err(config_error(table, format!("'{MONITOR_INTERVAL}' = '{text}': {e}"))),
    }
}

fn datagen_options(table: &Table) -> Result<DatagenOptions, ConnectError> {
    if table.options.contains_key("format") {
        return Err(config_error(table, "connector 'datagen' has no option 'format'"));
    }
    if let Some(column) = table.columns.iter().find(|c| matches!(c.kind, ColumnKind::Metadata { .. })) {
        return Err(config_error(table, format!("column '{}': connector 'datagen' has no metadata", column.name)));
    }
    let columns: Vec<Declared> = (table.columns.iter())
        .filter(|c| matches!(c.kind, ColumnKind::Physical))
        .map(|c| Declared { name: c.name.clone(), data_type: c.data_type.clone(), exact: c.exact.clone() })
        .collect();
    Ok(DatagenOptions::parse(&table.name, &connector_options(table), &columns)?)
}

/// What stands in for a remote source: the setting, the file beside the query, or rows made from the schema.
fn sample(plan: &SourcePlan, env: &Environment<'_>) -> Result<Arc<dyn Source>, ConnectError> {
    let table = &plan.table;
    let name = hints::base_name(&table.name);
    match env.config.samples.get(name) {
        Some(text) if text == "alleycat" || text.starts_with("alleycat:") => {
            let options = AlleycatOptions::parse_sample(text)?;
            Ok(Arc::new(AlleycatSource::new(&table.name, options, env.clock.clone())))
        }
        Some(path) => {
            let base = env.query_path.parent().unwrap_or(Path::new("."));
            Ok(Arc::new(FileSource::new(&table.name, &base.join(path).display().to_string(), vec![])?))
        }
        None => {
            let beside = names::sample(table, &env.query_path.with_extension("samples"))?;
            if beside.is_file() {
                return Ok(Arc::new(FileSource::new(&table.name, &beside.display().to_string(), vec![])?));
            }
            let columns = table.columns.iter().filter(|c| !matches!(c.kind, ColumnKind::Computed(_)));
            let columns = columns.map(|c| (c.name.clone(), c.data_type.clone())).collect();
            let rowtime = table.watermark.as_ref().map(|w| table.columns[w.rowtime].name.clone());
            Ok(Arc::new(SampleSource::new(&table.name, columns, rowtime, SAMPLE_ROWS, SAMPLE_SEED)))
        }
    }
}

/// Rows made for a table without a sample: enough for some windows to fire.
const SAMPLE_ROWS: u64 = 1000;
const SAMPLE_SEED: u64 = 1;

fn sink(
    plan: &SinkPlan,
    env: &Environment<'_>,
    tables: &mut Vec<(String, Arc<EmbeddedTable>)>,
) -> Result<Arc<dyn Sink>, ConnectError> {
    let table = match &plan.target {
        SinkTarget::Print => return Ok(Arc::new(SelectSink::new(&plan.name, plan.schema.clone(), plan.updates, env.select))),
        SinkTarget::Table(table) => table,
    };
    let mode = match plan.keys {
        ResultKeys::Unique => WriteMode::Unique,
        ResultKeys::SharedByWindows => WriteMode::Versioned,
        ResultKeys::InOrder => WriteMode::InOrder,
    };
    match table.connector() {
        connector if env.local && is_remote(connector) => {
            let folder = env.state_dir.join("tables");
            let dir = names::embedded(table, &folder)?;
            private::create_folder(&folder).map_err(|e| config_error(table, format!("{}: {e}", folder.display())))?;
            let embedded = EmbeddedTable::open(&dir, table_spec(plan, table), env.run_ms, mode)?;
            tables.push((table.name.clone(), embedded.clone()));
            Ok(embedded)
        }
        "filesystem" => {
            check_options(table, &FILE_OPTIONS)?;
            let path = required(table, "path", "the folder to write to")?;
            let folder = PathBuf::from(path.strip_prefix("file://").unwrap_or(path));
            Ok(Arc::new(FileSink::new(
                &hints::short_name(&table.name),
                folder,
                &env.run_name,
                plan.schema.clone(),
                formats::encode_format(table)?,
            )?))
        }
        "print" => {
            check_options(table, &["connector", "print-identifier"])?;
            let id = table.options.get("print-identifier").map(String::as_str);
            Ok(Arc::new(PrintSink::new(&table.name, id, Box::new(std::io::stdout()))))
        }
        "blackhole" => {
            check_options(table, &["connector"])?;
            Ok(Arc::new(BlackholeSink::default()))
        }
        "dynamodb" => {
            let (options, _) = lookups::dynamodb_options(table)?;
            let sink = DynamoDbSink::new(table_spec(plan, table), &options, env.run_ms, mode, env.runtime.clone());
            Ok(Arc::new(sink.map_err(|e| dynamodb_error(e, table))?))
        }
        "" => Err(config_error(table, "WITH needs a 'connector': filesystem, dynamodb, print or blackhole to write to")),
        other => Err(unknown_connector(table, other, &["filesystem", "dynamodb", "print", "blackhole"])),
    }
}

fn dynamodb_error(error: SinkError, table: &Table) -> ConnectError {
    match error {
        SinkError::Config { reason, .. } => config_error(table, reason),
        other => ConnectError::Sink(other),
    }
}

fn table_spec(plan: &SinkPlan, table: &Table) -> crate::sink::TableSpec {
    crate::sink::TableSpec {
        name: table.name.clone(),
        schema: plan.schema.clone(),
        primary_key: table.primary_key.clone(),
        partitioned_by: table.partitioned_by.clone(),
    }
}

/// The guarantee of each sink, without touching the outside: for `check`.
pub fn guarantee(plan: &SinkPlan) -> Guarantee {
    match &plan.target {
        SinkTarget::Table(table) => match table.connector() {
            "filesystem" => Guarantee::ExactlyOnce,
            "dynamodb" => Guarantee::EffectivelyOnce,
            _ => Guarantee::AtLeastOnce,
        },
        SinkTarget::Print => Guarantee::AtLeastOnce,
    }
}

/// Checks what can be checked about tables without touching the outside.
pub fn check(plan: &PhysicalPlan, config: &Config) -> Result<(), ConnectError> {
    for plan in plan.sources.iter().filter(|s| s.rows.is_none()) {
        let table = &plan.table;
        match table.connector() {
            "filesystem" => {
                check_options(table, &FILE_OPTIONS)?;
                monitor_interval(table)?;
            }
            "alleycat" => {
                AlleycatOptions::parse(&table.name, &connector_options(table)).map_err(|e| place(e.into(), table))?;
            }
            "kinesis" => {
                let parsed = KinesisOptions::parse(&table.name, &connector_options(table), Bounds::default());
                parsed.map_err(|e| place(e.into(), table))?;
            }
            "datagen" => {
                datagen_options(table)?;
            }
            other => return Err(unknown_connector(table, other, &SOURCES)),
        }
        let format = DecodeFormat::of(plan, false, holds_many(plan, config))?;
        format.decoder(&table.name, &plan.decode_schema).map_err(|e| place(e, table))?;
    }
    plan.lookups.iter().try_for_each(lookups::check)?;
    for plan in &plan.sinks {
        if let SinkTarget::Table(table) = &plan.target {
            match table.connector() {
                "filesystem" => {
                    check_options(table, &FILE_OPTIONS)?;
                    let format = formats::encode_format(table)?;
                    format.encoder(&plan.schema).map_err(|e| config_error(table, e))?;
                }
                "print" => check_options(table, &["connector", "print-identifier"])?,
                "blackhole" => check_options(table, &["connector"])?,
                "dynamodb" => DynamoDbSink::check(&table_spec(plan, table), &lookups::dynamodb_options(table)?.0)
                    .map_err(|e| dynamodb_error(e, table))?,
                other => return Err(unknown_connector(table, other, &["filesystem", "dynamodb", "print", "blackhole"])),
            }
        }
    }
    Ok(())
}

fn unknown_connector(table: &Table, name: &str, known: &[&str]) -> ConnectError {
    let near = nearest(name, known.iter().copied()).map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
    config_error(table, format!("connector '{name}' is not supported here{near} (supported: {})", known.join(", ")))
}

fn required<'a>(table: &'a Table, key: &str, what: &str) -> Result<&'a str, ConnectError> {
    table.options.get(key).map(String::as_str).ok_or_else(|| config_error(table, format!("WITH needs '{key}': {what}")))
}

/// The options of the connector alone.
fn connector_options(table: &Table) -> BTreeMap<String, String> {
    let format = formats::options_of(table);
    let own = |k: &str| k != "connector" && k != "format" && !format.contains(&k);
    table.options.iter().filter(|(k, _)| own(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn check_options(table: &Table, known: &[&str]) -> Result<(), ConnectError> {
    let all: Vec<&str> = known.iter().chain(formats::options_of(table)).copied().collect();
    match table.options.keys().find(|k| !all.contains(&k.as_str())) {
        None => Ok(()),
        Some(key) => {
            let near = nearest(key, all.iter().copied()).map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
            Err(config_error(
                table,
                format!("connector '{}' has no option '{key}'{near} (options: {})", table.connector(), all.join(", ")),
            ))
        }
    }
}
