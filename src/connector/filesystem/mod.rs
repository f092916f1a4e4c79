//! Connector `filesystem`: files of lines, read and written.

pub mod sink;
pub mod source;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::FORMAT;
use super::error::{ConnectError, config_error};
use super::formats::RecordsOf;
use super::{
    Connector, Environment, LooksUp, Reads, Use, Writes, formats, in_memory, lacks_format,
    metadata_keys, required,
};
use crate::config::duration;
use crate::lookup::LookupTable;
use crate::lookup::options::LookupOptions;
use crate::options::{OptionKind, OptionSpec};
use crate::plan::connectors::{Access, RowsTaken, Uses};
use crate::plan::physical::{LookupPlan, SinkPlan, SourcePlan};
use crate::sink::version::WriteMode;
use crate::sink::{Guarantee, Sink};
use crate::source::Source;
use crate::sql::catalog::Table;
use crate::sql::hints;
use sink::FileSink;
use source::FileSource;

const MONITOR_INTERVAL: &str = "source.monitor-interval";

const ROLLS: &str = "a file is published with the checkpoint that it is complete with";
const COMMITS: &str = "rows are written into one folder, their partition columns with them";

pub(crate) struct Filesystem;

impl Connector for Filesystem {
    fn name(&self) -> &'static str {
        "filesystem"
    }
    fn about(&self) -> &'static str {
        "Files of lines, plain or gzip: a file or a folder is read, or read once and looked up; a folder is written."
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
            OptionSpec::ignored("auto-compaction", ROLLS),
            OptionSpec::ignored("compaction.<column>", ROLLS),
            OptionSpec::ignored("sink.rolling-policy.<column>", ROLLS),
            OptionSpec::ignored("sink.partition-commit.<column>", COMMITS),
            OptionSpec::ignored("partition.<column>", COMMITS),
            OptionSpec::ignored("sink.parallelism", "each worker writes files of its own"),
            OptionSpec::ignored("sink.shuffle-by-partition.<column>", COMMITS),
            OptionSpec::ignored("source.report-statistics", "plans need no statistics"),
        ]
    }
    fn lacks(&self, table: &Table) -> Option<String> {
        let path = local_path(table);
        match path.split_once("://") {
            Some((scheme, _)) => Some(format!("file system '{scheme}://'")),
            None => lacks_format(table),
        }
    }
    /// For reading also a file that is not there.
    fn is_out_of_reach(&self, table: &Table, wanted: Use) -> bool {
        self.lacks(table).is_some() || wanted == Use::Read && !Path::new(local_path(table)).exists()
    }
    fn uses(&self) -> Uses {
        Uses { rows: RowsTaken::New, access: Access::Either, ..Uses::default() }
    }
    fn reads(&self) -> Option<&dyn Reads> {
        Some(self)
    }
    fn writes(&self) -> Option<&dyn Writes> {
        Some(self)
    }
    fn looks_up(&self) -> Option<&dyn LooksUp> {
        Some(self)
    }
}

/// The path without the scheme of local files.
fn local_path(table: &Table) -> &str {
    let path = table.options.get("path").map_or("", String::as_str);
    path.strip_prefix("file://").unwrap_or(path)
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

    fn ends(&self, table: &Table) -> bool {
        !table.options.contains_key(MONITOR_INTERVAL)
    }

    fn is_endless(&self, table: &Table) -> bool {
        !self.ends(table)
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

impl LooksUp for Filesystem {
    fn notes(&self, table: &Table) -> Vec<String> {
        let name = hints::base_name(&table.name);
        vec![format!(
            "note: table '{name}' is looked up in memory: its files are read when a run starts, and what is written to them \
             meanwhile is seen by the next (Apache Flink does not look files up)"
        )]
    }

    fn check(&self, plan: &LookupPlan) -> Result<(), ConnectError> {
        let table = &plan.source.table;
        match monitor_interval(table)? {
            Some(_) => Err(in_memory::endless(table)),
            None => Ok(()),
        }
    }

    fn table(
        &self,
        plan: &LookupPlan,
        _options: &LookupOptions,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn LookupTable>, ConnectError> {
        LooksUp::check(self, plan)?;
        let source = self.source(&plan.source, env)?;
        let memory_bytes = env.config.memory_bytes;
        let rows = in_memory::read(plan, source.as_ref(), RecordsOf::Table, memory_bytes)?;
        Ok(Arc::new(rows))
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
