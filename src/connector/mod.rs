//! The systems outside, a folder for each: how a table of it is read, written, or looked up.
//!
//! A connector is a folder with a [`Connector`], and a line in [`Connectors::built_in`]. Called by
//! `connect`, which walks the tables of a plan. `options` compares WITH with what a connector
//! lists, `formats` makes decoders and encoders, `watermarks` reads what any source may say,
//! `elsewhere` knows
//! connectors that are not here by name, `inline` holds what a query brings itself (VALUES, the rows of a bare SELECT),
//! `in_memory` tables that are read once to be looked up, `stand_in` what
//! takes the place of a remote system under `--local`. What always holds: nothing outside is
//! touched by a `check`.

pub mod alleycat;
pub mod blackhole;
pub mod datagen;
pub mod dynamodb;
mod elsewhere;
pub mod environment;
pub mod error;
mod faker;
pub mod filesystem;
mod firehose;
pub mod formats;
pub(crate) mod in_memory;
pub mod inline;
pub mod kinesis;
mod nexmark;
pub mod print;
pub mod stand_in;
pub mod watermarks;

use std::sync::Arc;

use crate::lookup::LookupTable;
use crate::lookup::options::LookupOptions;
use crate::options::{self, OptionKind, OptionSpec};
use crate::plan::connectors::{KnownConnectors, RowsTaken, Uses};
use crate::plan::physical::{LookupPlan, SinkPlan, SourcePlan};
use crate::sink::version::WriteMode;
use crate::sink::{Guarantee, Sink};
use crate::source::Source;
use crate::sql::catalog::{ColumnKind, Table};
use crate::sql::hints;
use crate::suggest::nearest;
use crate::tasks::Tasks;
use crate::time::clock::SharedClock;
pub use environment::{Bounds, Environment, OnGap};
pub use error::ConnectError;
use error::config_error;

/// A kind of system that tables may stand for.
pub trait Connector: Send + Sync {
    /// What WITH calls it.
    fn name(&self) -> &'static str;
    /// What it is, in a sentence for people.
    fn about(&self) -> &'static str;
    /// All options, `format` among them if it has one, without `connector` and without those of the
    /// format.
    fn options(&self) -> Vec<OptionSpec>;
    /// What the planner has to know.
    fn uses(&self) -> Uses {
        Uses::default()
    }
    /// Out of this machine's reach: under `--local` a sample or an embedded table takes its place.
    fn is_remote(&self) -> bool {
        false
    }
    /// What of a table is not here, in words: its format, or the place where it is.
    fn lacks(&self, table: &Table) -> Option<String> {
        lacks_format(table)
    }
    /// The same for one table, which is to be read or written.
    fn is_out_of_reach(&self, table: &Table, _wanted: Use) -> bool {
        self.is_remote() || self.lacks(table).is_some()
    }
    /// How it is read, if it can be.
    fn reads(&self) -> Option<&dyn Reads> {
        None
    }
    /// How it is written, if it can be.
    fn writes(&self) -> Option<&dyn Writes> {
        None
    }
    /// How it is looked up by key, if it can be.
    fn looks_up(&self) -> Option<&dyn LooksUp> {
        None
    }
}

/// A connector as a source.
pub trait Reads {
    /// Finds what is wrong with a table's declaration. Its options are of their kinds already.
    fn check(&self, plan: &SourcePlan) -> Result<(), ConnectError>;
    /// Makes the source; nothing is read yet.
    fn source(
        &self,
        plan: &SourcePlan,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn Source>, ConnectError>;
    /// What `check` says of a table, a line each that begins with "note" or "warning".
    fn notes(&self, _table: &Table) -> Vec<String> {
        vec![]
    }
    /// True if `--from` and `--to` bound it by arrival times.
    fn takes_bounds(&self) -> bool {
        false
    }
    /// True if reading the table ends where it ends when the job begins, whatever is written
    /// meanwhile.
    fn ends(&self, _table: &Table) -> bool {
        false
    }
    /// True if reading the table never ends, whatever the run is told.
    fn is_endless(&self, _table: &Table) -> bool {
        false
    }
    /// True if a record is whatever a producer made of it, so that it can be compressed; a line of
    /// a file is not.
    fn records_are_opaque(&self) -> bool {
        false
    }
}

/// A connector as a sink.
pub trait Writes {
    fn guarantee(&self) -> Guarantee;
    /// Finds what is wrong with a table's declaration. Its options are of their kinds already.
    fn check(&self, plan: &SinkPlan, table: &Table) -> Result<(), ConnectError>;
    /// What `check` says of a table beside its guarantee, a line each that begins with "note" or
    /// "warning". `checkpoints`: how often one is taken, in words.
    fn notes(&self, _plan: &SinkPlan, _table: &Table, _checkpoints: &str) -> Vec<String> {
        vec![]
    }
    /// What time it is at the system, ms since the epoch; None where nobody is asked. Asked when a
    /// run begins: its number is that time, so that what it writes wins over what was written before
    /// by other machines.
    fn server_ms(
        &self,
        _plan: &SinkPlan,
        _table: &Table,
        _clock: &SharedClock,
        _tasks: &Tasks,
    ) -> Result<Option<i64>, ConnectError> {
        Ok(None)
    }
    /// Makes the sink; nothing is written yet. `mode`: how results share the table's keys.
    fn sink(
        &self,
        plan: &SinkPlan,
        table: &Table,
        mode: WriteMode,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn Sink>, ConnectError>;
}

/// A connector as a table to look up.
pub trait LooksUp {
    /// What `check` says of a table whose rows are not those that it has when it is asked, a line
    /// each that begins with "note".
    fn notes(&self, _table: &Table) -> Vec<String> {
        vec![]
    }
    /// Finds what is wrong with a table's declaration. Its options are of their kinds already.
    fn check(&self, plan: &LookupPlan) -> Result<(), ConnectError>;
    /// Makes what answers; nothing is asked yet.
    fn table(
        &self,
        plan: &LookupPlan,
        options: &LookupOptions,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn LookupTable>, ConnectError>;
}

/// What a table is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Read,
    Write,
}

/// The connectors that tables may name.
pub struct Connectors(Vec<Box<dyn Connector>>);

impl Connectors {
    /// Those of the binary. A new one adds a line.
    pub fn built_in() -> Connectors {
        Connectors(vec![
            Box::new(filesystem::Filesystem),
            Box::new(kinesis::Kinesis::default()),
            Box::new(kinesis::Kinesis::legacy()),
            Box::new(dynamodb::DynamoDb::default()),
            Box::new(datagen::Datagen),
            Box::new(faker::Faker),
            Box::new(alleycat::Alleycat),
            Box::new(nexmark::Nexmark),
            Box::new(print::Print),
            Box::new(blackhole::Blackhole),
            Box::new(firehose::Firehose),
        ])
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, connector: impl Connector + 'static) -> Connectors {
        self.0.push(Box::new(connector));
        self
    }

    /// With one in the place of that of its name.
    #[cfg(test)]
    pub(crate) fn replacing(mut self, connector: impl Connector + 'static) -> Connectors {
        self.0.retain(|known| known.name() != connector.name());
        self.with(connector)
    }

    pub fn iter(&self) -> impl Iterator<Item = &dyn Connector> {
        self.0.iter().map(AsRef::as_ref)
    }

    pub fn get(&self, name: &str) -> Option<&dyn Connector> {
        self.iter().find(|c| c.name() == name)
    }

    /// True if something on this machine takes the table's place under `--local`.
    pub fn is_out_of_reach(&self, table: &Table, wanted: Use) -> bool {
        match self.get(table.connector()) {
            Some(connector) => connector.is_out_of_reach(table, wanted),
            None => self.is_elsewhere(table),
        }
    }

    /// True if reading the table ends where it ends when the job begins.
    pub(crate) fn ends(&self, table: &Table) -> bool {
        self.reads(table).is_ok_and(|(_, reads)| reads.ends(table))
    }

    /// True if the table's connector is not here, or only as a name; or if it names none, as a table
    /// of a catalog does.
    pub fn is_elsewhere(&self, table: &Table) -> bool {
        self.get(table.connector()).is_none_or(|connector| {
            connector.reads().is_none()
                && connector.writes().is_none()
                && connector.looks_up().is_none()
        })
    }

    /// True if the table can only be planned, and run with `--local`.
    pub fn is_stand_in(&self, table: &Table) -> bool {
        self.is_elsewhere(table)
            || self.get(table.connector()).is_some_and(|c| c.lacks(table).is_some())
    }

    /// What `check` says of a table that is not here.
    pub(crate) fn warning(&self, table: &Table) -> Option<String> {
        if let Some(what) = self.get(table.connector()).and_then(|c| c.lacks(table)) {
            let name = hints::base_name(&table.name);
            return Some(format!("no {what} here (table '{name}'); with --local it is a stand-in"));
        }
        self.is_elsewhere(table).then(|| {
            let who = match table.connector() {
                "" => "no connector".to_string(),
                name => format!("no connector '{name}' here"),
            };
            let (name, instead) = (hints::base_name(&table.name), self.instead(table.connector()));
            format!("{who} (table '{name}'){instead}; with --local it is a stand-in")
        })
    }

    /// What to write in the place of a connector that is not here: another one, or its name as it is
    /// spelt.
    fn instead(&self, name: &str) -> String {
        match nearest(name, self.iter().map(Connector::name)) {
            Some(near) => format!("; did you mean '{near}'?"),
            None => format!(": what takes its place is {}", elsewhere::instead_of(name)),
        }
    }

    /// How a table is read. An error says what can be.
    pub fn reads(&self, table: &Table) -> Result<(&dyn Connector, &dyn Reads), ConnectError> {
        let found = self.get(table.connector()).and_then(|c| Some((c, c.reads()?)));
        found.ok_or_else(|| self.unknown(table, Use::Read))
    }

    /// How a table is written. An error says what can be.
    pub fn writes(&self, table: &Table) -> Result<(&dyn Connector, &dyn Writes), ConnectError> {
        let found = self.get(table.connector()).and_then(|c| Some((c, c.writes()?)));
        found.ok_or_else(|| self.unknown(table, Use::Write))
    }

    /// How a table is looked up.
    pub fn looks_up(&self, table: &Table) -> Result<(&dyn Connector, &dyn LooksUp), ConnectError> {
        let found = self.get(table.connector()).and_then(|c| Some((c, c.looks_up()?)));
        found.ok_or_else(|| {
            config_error(
                table,
                format!("the connector '{}' cannot be looked up", table.connector()),
            )
        })
    }

    fn unknown(&self, table: &Table, wanted: Use) -> ConnectError {
        let known: Vec<&str> = self
            .iter()
            .filter(|c| match wanted {
                Use::Read => c.reads().is_some(),
                Use::Write => c.writes().is_some(),
            })
            .map(Connector::name)
            .collect();
        let name = table.connector();
        if name.is_empty() {
            let (last, others) =
                known.split_last().map_or(("", &[][..]), |(last, others)| (*last, others));
            let to = match wanted {
                Use::Read => "read from",
                Use::Write => "write to",
            };
            return config_error(
                table,
                format!("WITH needs a 'connector': {} or {last} to {to}", others.join(", ")),
            );
        }
        if self.is_elsewhere(table) {
            let instead = self.instead(name);
            let reason = format!(
                "no connector '{name}' here{instead}; with --local it is a stand-in (connectors: {})",
                known.join(", ")
            );
            return config_error(table, reason);
        }
        let to = match wanted {
            Use::Read => "read",
            Use::Write => "written",
        };
        config_error(
            table,
            format!(
                "a table of the connector '{name}' cannot be {to} (those of these can: {})",
                known.join(", ")
            ),
        )
    }
}

impl KnownConnectors for Connectors {
    fn uses(&self, table: &Table) -> Uses {
        let uses =
            self.get(table.connector()).map_or_else(|| elsewhere::uses(table), Connector::uses);
        match uses.rows {
            // Its records can say what each row does.
            RowsTaken::New if table.change_format().is_some() => {
                Uses { rows: RowsTaken::Changes, ..uses }
            }
            _ => uses,
        }
    }
}

/// Where the payload is encoded. Its own options are those of [`formats`].
pub const FORMAT: OptionSpec = OptionSpec::new(
    "format",
    OptionKind::Text,
    "how a record is written: json, csv or raw; what is read may be debezium-json, canal-json or maxwell-json too",
);

/// A format that is not here.
pub(crate) fn lacks_format(table: &Table) -> Option<String> {
    let format = table.options.get(FORMAT.key)?;
    (!formats::is_known(table)).then(|| format!("format '{format}' ({} are)", formats::FORMATS))
}

/// Compares what stands in WITH with the options of its connector and its format.
pub(crate) fn check_options(table: &Table, connector: &dyn Connector) -> Result<(), ConnectError> {
    let mut known = connector.options();
    if known.iter().any(|o| o.key == FORMAT.key) {
        known.extend(formats::options_of(table));
    }
    if connector.reads().is_some() {
        known.extend(watermarks::OPTIONS);
    }
    options::check(&table.options, table.connector(), &known).map_err(|e| config_error(table, e))
}

/// An option that must be there.
pub fn required<'a>(table: &'a Table, key: &str, what: &str) -> Result<&'a str, ConnectError> {
    table
        .options
        .get(key)
        .map(String::as_str)
        .ok_or_else(|| config_error(table, format!("WITH needs '{key}': {what}")))
}

/// The keys of the metadata columns that a plan reads, in the order in which they are decoded.
pub(crate) fn metadata_keys(plan: &SourcePlan) -> Vec<String> {
    let keys = plan.decode.iter().filter_map(|&c| match &plan.table.columns[c].kind {
        ColumnKind::Metadata { key, .. } => Some(key.clone()),
        _ => None,
    });
    keys.collect()
}
