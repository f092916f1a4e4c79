//! Connector `kinesis`: the records of a stream.
//!
//! `options` is what WITH says; `api` lists the calls to a stream, `client` makes
//! them and is the only file that knows the AWS SDK, `poll` is the loop of one shard, `queue` lies between that loop and the worker, `source` ties them together.

pub(crate) mod api;
mod bounds;
mod client;
mod coverage;
mod gaps;
pub mod options;
mod poll;
pub mod position;
pub(crate) mod queue;
pub(crate) mod source;
mod successors;
mod timestamp;
mod writer;

use std::sync::Arc;

use super::FORMAT;
use super::error::{ConnectError, place};
use super::{Bounds, Connector, Environment, Reads, formats, metadata_keys};
use crate::aws;
use crate::options::OptionSpec;
use crate::plan::physical::SourcePlan;
use crate::source::Source;
use api::Streams;
use client::Aws;
pub use options::{InitPosition, KinesisOptions};
pub use source::{KinesisSource, METADATA_KEYS};
pub use writer::KinesisWriter;

pub struct Kinesis {
    streams: Box<dyn Streams>,
}

impl Default for Kinesis {
    /// Streams of AWS.
    fn default() -> Kinesis {
        Kinesis { streams: Box::new(Aws) }
    }
}

impl Kinesis {
    /// Streams that are elsewhere.
    #[cfg(test)]
    pub(crate) fn on(streams: impl Streams + 'static) -> Kinesis {
        Kinesis { streams: Box::new(streams) }
    }
}

impl Connector for Kinesis {
    fn name(&self) -> &'static str {
        "kinesis"
    }
    fn about(&self) -> &'static str {
        "The records of a Kinesis stream; shards that split or merge are followed."
    }
    fn options(&self) -> Vec<OptionSpec> {
        options::OPTIONS.into_iter().chain([FORMAT.required()]).chain(aws::OPTIONS).collect()
    }
    fn is_remote(&self) -> bool {
        true
    }
    fn reads(&self) -> Option<&dyn Reads> {
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
        let source = KinesisSource::on(
            self.streams.as_ref(),
            &table.name,
            options,
            metadata_keys(plan),
            env.on_gap,
            env.clock.clone(),
            env.tasks.clone(),
        )?;
        Ok(Arc::new(source))
    }

    fn takes_bounds(&self) -> bool {
        true
    }
    fn records_are_opaque(&self) -> bool {
        true
    }
}
