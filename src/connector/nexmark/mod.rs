//! The auction house of the Nexmark benchmark: persons, auctions and bids, the same in every run.
//!
//! Called by `connect`. In reading order: this file (splits, reading), `options`, `schema` (which
//! columns a table may have), `events` (which event is the n-th). One split, whose name holds the
//! seed and the time of its first event, so that a resumed job goes on with the same events. What
//! always holds: event n does not depend on how it is reached, on batches, on workers or on the
//! clock; the clock decides only when it comes, and that only if it is asked for.

mod events;
mod options;
mod schema;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use self::events::{Events, Needed};
use self::options::{Afterwards, NexmarkOptions, OPTIONS, Pace, SEED};
use crate::connector::error::{ConnectError, config_error};
use crate::connector::{Connector, Environment, Reads, formats};
use crate::options::OptionSpec;
use crate::plan::physical::SourcePlan;
use crate::record::{Places, RawBatch};
use crate::source::{
    Polled, Position, ReadAhead, Source, SourceError, SplitId, SplitReader, SplitSeed,
};
use crate::sql::catalog::{ColumnKind, Table};
use crate::sql::hints;
use crate::time::clock::SharedClock;
use crate::time::idle::EmptyAnswers;
use crate::who::Who;

/// Payload bytes after which a batch is full, whatever the number of events.
const BATCH_BYTES: usize = 4 << 20;

pub(crate) struct Nexmark;

impl Connector for Nexmark {
    fn name(&self) -> &'static str {
        "nexmark"
    }
    fn about(&self) -> &'static str {
        "The auction house of the Nexmark benchmark, the same in every run: `paceline.<table>.seed` chooses another one."
    }
    fn options(&self) -> Vec<OptionSpec> {
        OPTIONS.to_vec()
    }
    fn reads(&self) -> Option<&dyn Reads> {
        Some(self)
    }
}

impl Reads for Nexmark {
    fn check(&self, plan: &SourcePlan) -> Result<(), ConnectError> {
        parsed(&plan.table, SEED).map(|_| ())
    }

    fn is_endless(&self, table: &Table) -> bool {
        parsed(table, SEED).is_ok_and(|options| options.events.is_none())
    }

    fn source(
        &self,
        plan: &SourcePlan,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn Source>, ConnectError> {
        let table = &plan.table;
        let seed = env.config.seeds.get(hints::base_name(&table.name)).copied().unwrap_or(SEED);
        let names: Vec<String> =
            plan.decode.iter().map(|&c| table.columns[c].name.clone()).collect();
        Ok(Arc::new(NexmarkSource {
            table: table.name.clone(),
            options: parsed(table, seed)?,
            needed: schema::needed(&names),
            clock: env.clock.clone(),
        }))
    }
}

fn parsed(table: &Table, seed: u64) -> Result<NexmarkOptions, ConnectError> {
    for column in &table.columns {
        match column.kind {
            ColumnKind::Computed(_) => {}
            ColumnKind::Physical => schema::check(&column.name, &column.data_type)
                .map_err(|reason| config_error(table, reason))?,
            ColumnKind::Metadata { .. } => {
                let reason =
                    format!("column '{}': connector 'nexmark' has no metadata", column.name);
                return Err(config_error(table, reason));
            }
        }
    }
    NexmarkOptions::parse(&formats::without_format(table), seed)
        .map_err(|reason| config_error(table, reason))
}

struct NexmarkSource {
    table: String,
    options: NexmarkOptions,
    needed: Needed,
    clock: SharedClock,
}

impl Source for NexmarkSource {
    fn discover(&self) -> Result<Vec<SplitSeed>, SourceError> {
        let name = SplitName { seed: self.options.shape.seed, start_ms: self.options.start_ms };
        let id = SplitId(name.to_string().into());
        Ok(vec![SplitSeed { id, parents: vec![], start: Position::after_records(0) }])
    }

    fn open(
        &self,
        split: &SplitId,
        position: &Position,
        _ahead: ReadAhead,
    ) -> Result<Box<dyn SplitReader>, SourceError> {
        let Some(SplitName { seed, start_ms }) = SplitName::parse(&split.0) else {
            return Err(SourceError::Read {
                table: self.table.clone(),
                split: split.clone(),
                reason: "not a split of Nexmark events".into(),
                // The split was made here.
                who: Who::Us,
            });
        };
        let next = position.records().map_err(|e| SourceError::not_read(&self.table, &e))?;
        let mut shape = self.options.shape.clone();
        shape.seed = seed;
        Ok(Box::new(NexmarkReader {
            events: Events { shape, start_ms, needed: self.needed },
            end: self.options.events,
            pace: self.options.pace,
            afterwards: self.options.afterwards,
            next,
            opened: (next, self.clock.monotonic()),
            clock: self.clock.clone(),
            empty: None,
            read_bytes: 0,
        }))
    }

    fn bounded(&self) -> bool {
        self.options.events.is_some() && self.options.afterwards == Afterwards::End
    }
}

/// What a split's id says: `nexmark-1@1436918400000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SplitName {
    seed: u64,
    start_ms: i64,
}

impl std::fmt::Display for SplitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "nexmark-{}@{}", self.seed, self.start_ms)
    }
}

impl SplitName {
    fn parse(text: &str) -> Option<SplitName> {
        let (seed, start_ms) = text.strip_prefix("nexmark-")?.split_once('@')?;
        Some(SplitName { seed: seed.parse().ok()?, start_ms: start_ms.parse().ok()? })
    }
}

struct NexmarkReader {
    events: Events,
    /// None: without end.
    end: Option<u64>,
    pace: Pace,
    afterwards: Afterwards,
    next: u64,
    /// The event and the time at which this reader began: the rate counts from there, without a
    /// burst after a pause.
    opened: (u64, Duration),
    clock: SharedClock,
    empty: Option<EmptyAnswers>,
    read_bytes: u64,
}

impl NexmarkReader {
    /// Up to which event they may have come by now.
    fn due(&self) -> u64 {
        match self.pace {
            Pace::Fast => u64::MAX,
            Pace::Due => {
                let elapsed = self.clock.monotonic().saturating_sub(self.opened.1);
                let come = elapsed.as_micros() * u128::from(self.events.shape.rate) / 1_000_000 + 1;
                self.opened.0.saturating_add(u64::try_from(come).unwrap_or(u64::MAX))
            }
        }
    }
}

impl SplitReader for NexmarkReader {
    fn poll(&mut self, max_records: usize) -> Result<Polled, SourceError> {
        let end = self.end.unwrap_or(i64::MAX as u64);
        if self.next >= end && self.afterwards == Afterwards::End {
            return Ok(Polled::End { children: vec![] });
        }
        let first = self.next;
        let until = self.due().min(end).min(first.saturating_add(max_records as u64));
        let mut raw = RawBatch { places: Places::Generated { first }, ..RawBatch::default() };
        while self.next < until && raw.bytes.len() < BATCH_BYTES {
            raw.push(|bytes| self.events.write(self.next, bytes));
            self.next += 1;
        }
        if raw.is_empty() {
            self.empty = Some(EmptyAnswers::and_one(self.empty, self.clock.monotonic()));
            return Ok(Polled::Pending { empty: self.empty });
        }
        self.empty = None;
        self.read_bytes += raw.bytes.len() as u64;
        Ok(Polled::Records(raw))
    }

    fn position(&self) -> Position {
        Position::after_records(self.next)
    }

    fn bytes_read(&self) -> u64 {
        self.read_bytes
    }
}
