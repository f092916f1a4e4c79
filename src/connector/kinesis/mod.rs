//! Connector `kinesis`: the records of a stream, read and written. `kinesis-legacy` is the same.
//!
//! `options` is what WITH says; `api` lists the calls to a stream, `client` makes them and is the
//! only file that knows the AWS SDK. Reading: `poll` is the loop of one shard, `queue` lies between
//! that loop and the worker, `source` ties them together. Writing: `sink` with `sink_options`,
//! `entries` (rows as records with partition keys), `backlog` (what is sent next, in order) and
//! `put` (the calls).

pub(crate) mod api;
mod backlog;
mod bounds;
mod client;
mod coverage;
mod entries;
mod gaps;
pub mod options;
mod poll;
pub mod position;
mod put;
pub(crate) mod queue;
mod sink;
mod sink_options;
pub(crate) mod source;
mod successors;
mod timestamp;
mod writer;

use std::sync::Arc;

use super::FORMAT;
use super::error::{ConnectError, place};
use super::{Bounds, Connector, Environment, Reads, Writes, formats, metadata_keys};
use crate::aws;
use crate::aws::clock::ServerClock;
use crate::config::Aggregation;
use crate::options::OptionSpec;
use crate::plan::connectors::{RowsTaken, Uses};
use crate::plan::physical::{SinkPlan, SourcePlan};
use crate::sink::version::WriteMode;
use crate::sink::{Guarantee, Sink, SinkError};
use crate::source::Source;
use crate::sql::catalog::Table;
use crate::sql::hints;
use crate::unpack::envelope;
use crate::who::Who;
use api::Streams;
use client::Aws;
pub use options::{InitPosition, KinesisOptions};
use sink_options::{Partitioner, SinkOptions};
use source::KeysOfShards;
pub use source::{KinesisSource, METADATA_KEYS};
pub use writer::KinesisWriter;

pub struct Kinesis {
    name: &'static str,
    streams: Box<dyn Streams>,
}

impl Default for Kinesis {
    /// Streams of AWS.
    fn default() -> Kinesis {
        Kinesis { name: "kinesis", streams: Box::new(Aws) }
    }
}

impl Kinesis {
    /// The same under the name that Flink's older connector has.
    pub(crate) fn legacy() -> Kinesis {
        Kinesis { name: "kinesis-legacy", ..Kinesis::default() }
    }

    /// Streams that are elsewhere.
    #[cfg(test)]
    pub(crate) fn on(streams: impl Streams + 'static) -> Kinesis {
        Kinesis { name: "kinesis", streams: Box::new(streams) }
    }
}

impl Connector for Kinesis {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        "The records of a Kinesis stream; shards that split or merge are followed. Each row that is written is a record."
    }
    fn options(&self) -> Vec<OptionSpec> {
        let own = options::OPTIONS.into_iter().chain(sink_options::OPTIONS);
        own.chain([FORMAT.required()]).chain(aws::OPTIONS).collect()
    }
    fn uses(&self) -> Uses {
        Uses { rows: RowsTaken::New, ..Uses::default() }
    }
    fn is_remote(&self) -> bool {
        true
    }
    fn reads(&self) -> Option<&dyn Reads> {
        Some(self)
    }
    fn writes(&self) -> Option<&dyn Writes> {
        Some(self)
    }
}

impl Reads for Kinesis {
    fn check(&self, plan: &SourcePlan) -> Result<(), ConnectError> {
        let table = &plan.table;
        let parsed =
            KinesisOptions::parse(&table.name, &formats::without_format(table), Bounds::default());
        parsed.map(|_| ()).map_err(|e| place(e.into(), table))
    }

    fn source(
        &self,
        plan: &SourcePlan,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn Source>, ConnectError> {
        let table = &plan.table;
        let options =
            KinesisOptions::parse(&table.name, &formats::without_format(table), env.bounds)?;
        let name = hints::base_name(&table.name);
        let mut keys = metadata_keys(plan);
        // Whoever opens the envelope gives what is on it.
        if env.config.envelopes.contains_key(name) {
            keys.retain(|key| !key.starts_with(envelope::METADATA));
        }
        let source = KinesisSource::on(
            self.streams.as_ref(),
            &table.name,
            options,
            keys,
            env.on_gap,
            env.clock.clone(),
            env.tasks.clone(),
        )?;
        let keys = match env.config.aggregation(name) {
            Aggregation::KplStrict => KeysOfShards::AtStart,
            Aggregation::Kpl | Aggregation::None => KeysOfShards::WhenFound,
        };
        Ok(Arc::new(source.with_keys_of_shards(keys)))
    }

    fn notes(&self, table: &Table) -> Vec<String> {
        options::other_region(hints::base_name(&table.name), &table.options).into_iter().collect()
    }

    fn takes_bounds(&self) -> bool {
        true
    }
    fn records_are_opaque(&self) -> bool {
        true
    }
}

impl Writes for Kinesis {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn check(&self, plan: &SinkPlan, table: &Table) -> Result<(), ConnectError> {
        sink::parsed(plan, table).map(|_| ())
    }

    fn notes(&self, _plan: &SinkPlan, table: &Table, checkpoints: &str) -> Vec<String> {
        let key = match SinkOptions::parse(table).map(|options| options.partitioner) {
            Ok(Partitioner::Fields { .. }) => format!(
                "partition keys are the values of {}; records of one key arrive in their order",
                table.partitioned_by.join(", ")
            ),
            Ok(Partitioner::Fixed) => "each worker has one partition key".into(),
            _ => "partition keys are random".into(),
        };
        let name = hints::base_name(&table.name);
        let written = format!(
            "note: stream of '{name}': {key}; records written since the last checkpoint, taken {checkpoints}, are written again after a crash"
        );
        options::other_region(name, &table.options).into_iter().chain([written]).collect()
    }

    fn sink(
        &self,
        plan: &SinkPlan,
        table: &Table,
        _mode: WriteMode,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn Sink>, ConnectError> {
        let parts = sink::parsed(plan, table)?;
        let clock = ServerClock::new(env.clock.clone());
        let name = table.name.clone();
        let stream = self.streams.open(&parts.stream, clock, &env.tasks).map_err(|e| {
            ConnectError::Sink(SinkError::Write {
                table: name,
                reason: e.to_string(),
                who: Who::Us,
            })
        })?;
        Ok(Arc::new(sink::StreamSink::new(parts, stream, env)))
    }
}
