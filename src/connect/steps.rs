//! Which steps do the records of a table pass before its format?
//!
//! Called by `connect` when a job starts, and for `check`. What always holds: a setting that a
//! table's connector has no use for is an error.

use arrow::datatypes::DataType;

use crate::config::{Aggregation, Compression, Config, Envelope};
use crate::connector::error::config_error;
use crate::connector::{ConnectError, Connectors, formats, metadata_keys};
use crate::plan::physical::SourcePlan;
use crate::sql::catalog::ColumnKind;
use crate::sql::hints;
use crate::unpack::Unpack;
use crate::unpack::changes::Changes;
use crate::unpack::compressed::Compressed;
use crate::unpack::envelope::{Field, METADATA, Opener};
use crate::unpack::kpl::{Kpl, Misplaced};

/// The steps of a table, in their order: what lies outside is opened first.
#[derive(Default)]
pub(super) struct Steps {
    aggregation: Option<Misplaced>,
    compression: Option<Compression>,
    envelope: Option<(Envelope, Vec<Field>)>,
    /// The keys of the source's metadata.
    metadata: Vec<String>,
    changes: Option<Changes>,
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
        let changes = match &plan.rows {
            Some(_) => None,
            None => formats::changes(&plan.table)?,
        };
        let is_stream =
            plan.rows.is_none() && connectors.reads(&plan.table)?.1.records_are_opaque();
        if !is_stream {
            let refused = |key: &str, value: &str, reason: &str| {
                let key = format!("'paceline.{table}.{key}' = '{value}'");
                Err(config_error(&plan.table, format!("{key}: {reason}")))
            };
            let compression = compression.filter(|c| *c != Compression::None);
            return match (compression, aggregation, config.envelopes.get(table)) {
                (_, _, Some(envelope)) => refused(
                    "envelope",
                    envelope.name(),
                    "records of this connector are in no envelopes; those of Kinesis streams may be",
                ),
                (Some(compression), ..) => refused(
                    "compression",
                    compression.name(),
                    "records of this connector are never compressed; a file whose name ends in .gz is read as what it is",
                ),
                (_, Some(aggregation), _) if aggregation != Aggregation::None => refused(
                    "aggregation",
                    aggregation.name(),
                    "records of this connector are no aggregates; those of Kinesis streams may be",
                ),
                _ => Ok(Steps { changes, ..Steps::default() }),
            };
        }
        let envelope = config.envelopes.get(table).copied();
        // Subscriptions compress what they send.
        let implied = (envelope == Some(Envelope::CloudWatchLogs)).then_some(Compression::Gzip);
        let (of_envelope, metadata): (Vec<_>, Vec<_>) = metadata_keys(plan)
            .into_iter()
            .zip(types_of_metadata(plan))
            .enumerate()
            .partition(|(_, (key, _))| envelope.is_some() && key.starts_with(METADATA));
        let fields = of_envelope.into_iter().map(|(index, (key, data_type))| Field {
            index,
            name: key[METADATA.len()..].to_string(),
            data_type,
        });
        Ok(Steps {
            aggregation: match aggregation.unwrap_or_default() {
                Aggregation::Kpl => Some(Misplaced::Kept),
                Aggregation::KplStrict => Some(Misplaced::Dropped),
                Aggregation::None => None,
            },
            compression: compression.or(implied),
            envelope: envelope.map(|envelope| (envelope, fields.collect())),
            changes,
            metadata: metadata.into_iter().map(|(_, (key, _))| key).collect(),
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
            steps.extend(step.map(|step| Box::new(step) as Box<dyn Unpack>));
        }
        if let Some((envelope, fields)) = &self.envelope {
            steps.push(Box::new(Opener::new(*envelope, fields.clone())));
        }
        if let Some(changes) = &self.changes {
            steps.push(Box::new(changes.clone()));
        }
        Ok(steps)
    }
}

/// The types of the metadata columns that a plan reads, in the order of their keys.
fn types_of_metadata(plan: &SourcePlan) -> impl Iterator<Item = DataType> {
    let columns = plan.decode.iter().zip(plan.decode_schema.fields());
    columns.filter_map(|(&column, field)| match plan.table.columns[column].kind {
        ColumnKind::Metadata { .. } => Some(field.data_type().clone()),
        _ => None,
    })
}
