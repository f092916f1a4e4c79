//! Which steps do the records of a table pass before its format?
//!
//! Called by `connect` when a job starts, and for `check`. What always holds: a setting that a
//! table's connector has no use for is an error.

use crate::config::{Aggregation, Compression, Config};
use crate::connector::error::config_error;
use crate::connector::{ConnectError, Connectors, metadata_keys};
use crate::plan::physical::SourcePlan;
use crate::sql::hints;
use crate::unpack::Unpack;
use crate::unpack::compressed::Compressed;
use crate::unpack::kpl::{Kpl, Misplaced};

/// The steps of a table, in their order: what lies outside is opened first.
#[derive(Default)]
pub(super) struct Steps {
    aggregation: Option<Misplaced>,
    compression: Option<Compression>,
    metadata: Vec<String>,
}

impl Steps {
    pub fn of(
        plan: &SourcePlan,
        config: &Config,
        connectors: &Connectors,
    ) -> Result<Steps, ConnectError> {
        let table = hints::base_name(&plan.table.name);
        let compression = config.compressed_records.get(table).copied();
        let aggregation = config.aggregated_records.get(table).copied();
        let is_stream =
            plan.rows.is_none() && connectors.reads(&plan.table)?.1.records_are_opaque();
        if !is_stream {
            let refused = |key: &str, value: &str, reason: &str| {
                let key = format!("'paceline.{table}.{key}' = '{value}'");
                Err(config_error(&plan.table, format!("{key}: {reason}")))
            };
            return match (compression, aggregation) {
                (Some(compression), _) => refused(
                    "compression",
                    compression.name(),
                    "records of this connector are never compressed; a file whose name ends in .gz is read as what it is",
                ),
                (_, Some(aggregation)) if aggregation != Aggregation::None => refused(
                    "aggregation",
                    aggregation.name(),
                    "records of this connector are no aggregates; those of Kinesis streams may be",
                ),
                _ => Ok(Steps::default()),
            };
        }
        Ok(Steps {
            aggregation: match aggregation.unwrap_or_default() {
                Aggregation::Kpl => Some(Misplaced::Kept),
                Aggregation::KplStrict => Some(Misplaced::Dropped),
                Aggregation::None => None,
            },
            compression,
            metadata: metadata_keys(plan),
        })
    }

    /// Makes them, for one worker.
    pub fn make(&self) -> Result<Vec<Box<dyn Unpack>>, String> {
        let mut steps: Vec<Box<dyn Unpack>> = Vec::new();
        if let Some(misplaced) = self.aggregation {
            steps.push(Box::new(Kpl::new(&self.metadata, misplaced)));
        }
        if let Some(compression) = self.compression {
            let step = Compressed::new(compression)
                .map_err(|e| format!("records cannot be decompressed: {e}"))?;
            steps.push(Box::new(step));
        }
        Ok(steps)
    }
}
