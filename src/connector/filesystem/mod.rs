//! Connector `filesystem`: files of lines, read and written.

pub mod sink;
pub mod source;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::FORMAT;
use super::error::{ConnectError, config_error};
use super::{Connector, Environment, Reads, Writes, formats, metadata_keys, required};
use crate::config::duration;
use crate::options::{OptionKind, OptionSpec};
use crate::plan::connectors::{RowsTaken, Uses};
use crate::plan::physical::{SinkPlan, SourcePlan};
use crate::sink::version::WriteMode;
use crate::sink::{Guarantee, Sink};
use crate::source::Source;
use crate::sql::catalog::Table;
use crate::sql::hints;
use sink::FileSink;
use source::FileSource;

const MONITOR_INTERVAL: &str = "source.monitor-interval";

pub(crate) struct Filesystem;

impl Connector for Filesystem {
    fn name(&self) -> &'static str {
        "filesystem"
    }
    fn about(&self) -> &'static str {
        "Files of lines, plain or gzip: a file or a folder is read, a folder is written."
    }
    fn options(&self) -> Vec<OptionSpec> {
        vec![
            OptionSpec::new(
                "path",
                OptionKind::Text,
                "the file or folder to read, or the folder to write to",
            )
            .required(),
            FORMAT.required(),
            OptionSpec::new(
                MONITOR_INTERVAL,
                OptionKind::Duration,
                "how often a folder is looked at for new files; without it the table ends. A file that was gone for an hour is a new one",
            ),
        ]
    }
    fn uses(&self) -> Uses {
        Uses { rows: RowsTaken::New, ..Uses::default() }
    }
    fn reads(&self) -> Option<&dyn Reads> {
        Some(self)
    }
    fn writes(&self) -> Option<&dyn Writes> {
        Some(self)
    }
}

impl Reads for Filesystem {
    fn check(&self, plan: &SourcePlan) -> Result<(), ConnectError> {
        monitor_interval(&plan.table).map(|_| ())
    }

    fn source(
        &self,
        plan: &SourcePlan,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn Source>, ConnectError> {
        let table = &plan.table;
        let path = required(table, "path", "the file or folder to read")?;
        let source = FileSource::new(&table.name, path, metadata_keys(plan))?
            .framed(formats::framing(table)?);
        Ok(match monitor_interval(table)? {
            Some(every) => Arc::new(source.watched(every, env.clock.clone())?),
            None => Arc::new(source),
        })
    }
}

impl Writes for Filesystem {
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn check(&self, plan: &SinkPlan, table: &Table) -> Result<(), ConnectError> {
        let format = formats::encode_format(table)?;
        format.encoder(&plan.schema).map_err(|e| config_error(table, e))?;
        Ok(())
    }

    fn sink(
        &self,
        plan: &SinkPlan,
        table: &Table,
        _mode: WriteMode,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn Sink>, ConnectError> {
        let path = required(table, "path", "the folder to write to")?;
        let folder = PathBuf::from(path.strip_prefix("file://").unwrap_or(path));
        let name = hints::short_name(&table.name);
        let sink = FileSink::new(
            env.files.clone(),
            &name,
            folder,
            &env.run_name,
            plan.schema.clone(),
            formats::encode_format(table)?,
        )?;
        Ok(Arc::new(sink.syncing_aside(env.tasks.clone())))
    }
}

fn monitor_interval(table: &Table) -> Result<Option<Duration>, ConnectError> {
    let Some(text) = table.options.get(MONITOR_INTERVAL) else { return Ok(None) };
    match duration(text) {
        Ok(every) if every.is_zero() => {
            Err(config_error(table, format!("'{MONITOR_INTERVAL}' is longer than 0")))
        }
        Ok(every) => Ok(Some(every)),
        Err(e) => Err(config_error(table, format!("'{MONITOR_INTERVAL}' = '{text}': {e}"))),
    }
}
