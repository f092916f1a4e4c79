//! What takes the place of a remote table under `--local`: a sample to read, an embedded table to
//! write.

use std::path::Path;
use std::sync::Arc;

use crate::connector::alleycat::{AlleycatOptions, AlleycatSource};
use crate::connector::error::config_error;
use crate::connector::filesystem::source::FileSource;
use crate::connector::stand_in::generate::SampleSource;
use crate::connector::stand_in::table::{EmbeddedTable, Shows};
use crate::connector::stand_in::{guess, names};
use crate::connector::{ConnectError, Environment, formats};
use crate::files::{Access, on_disk};
use crate::plan::physical::{SinkPlan, SourcePlan};
use crate::sink::TableSpec;
use crate::sink::version::WriteMode;
use crate::source::Source;
use crate::sql::catalog::Table;
use crate::sql::compared::Compared;
use crate::sql::hints;

/// Rows made for a table without a sample: enough for some windows to fire.
const SAMPLE_ROWS: u64 = 1000;
const SAMPLE_SEED: u64 = 1;

/// What stands in for a remote source: the setting, the file beside the query, or rows made from
/// the schema.
pub(super) fn sample(
    plan: &SourcePlan,
    env: &Environment<'_>,
    compared: &Compared,
) -> Result<Arc<dyn Source>, ConnectError> {
    let table = &plan.table;
    let name = hints::base_name(&table.name);
    match env.config.samples.get(name) {
        Some(text) if text == "alleycat" || text.starts_with("alleycat:") => {
            let options = AlleycatOptions::parse_sample(text)?;
            Ok(Arc::new(AlleycatSource::new(&table.name, options, env.clock.clone())))
        }
        Some(path) => {
            let base = env.query_path.parent().unwrap_or(Path::new("."));
            Ok(Arc::new(FileSource::new(
                &table.name,
                &base.join(path).display().to_string(),
                vec![],
            )?))
        }
        None => {
            let beside = names::sample(table, &env.query_path.with_extension("samples"))?;
            if beside.is_file() {
                return Ok(Arc::new(FileSource::new(
                    &table.name,
                    &beside.display().to_string(),
                    vec![],
                )?));
            }
            tracing::info!(
                "table '{name}' ({}) is not here and has no sample: {SAMPLE_ROWS} rows are made up",
                table.connector()
            );
            let columns = guess::columns(table, compared);
            let times = formats::times_of_samples(table);
            let source = SampleSource::new(&table.name, columns, times, SAMPLE_ROWS, SAMPLE_SEED);
            Ok(Arc::new(source))
        }
    }
}

/// The embedded table that is written instead.
pub(super) fn table(
    plan: &SinkPlan,
    table: &Table,
    mode: WriteMode,
    env: &Environment<'_>,
) -> Result<Arc<EmbeddedTable>, ConnectError> {
    let folder = env.state_dir.join("tables");
    let dir = names::embedded(table, &folder)?;
    on_disk()
        .create_folder(&folder, Access::OwnerOnly)
        .map_err(|e| config_error(table, format!("{}: {e}", folder.display())))?;
    // What the table is partitioned by need be no key.
    let spec = TableSpec {
        primary_key: plan.key.clone(),
        partitioned_by: vec![],
        ..plan.table_spec(table)
    };
    let shows = if plan.updates && plan.key.is_empty() { Shows::Changes } else { Shows::Rows };
    Ok(EmbeddedTable::open(&dir, spec, env.run_ms, mode, shows)?)
}
