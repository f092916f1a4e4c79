//! Made-up rows at a steady rate: the connector `datagen`, with Flink's options.
//!
//! Called by `connect`. One split, whose name holds when the run began, so that a resumed job makes
//! the same rows with the same times. What always holds: the values of row n do not depend on how
//! it is reached, on batches or on the clock; the clock decides only when it comes. Flink's random
//! values differ from run to run, ours do not.

pub(crate) mod field;
mod options;

use std::sync::Arc;
use std::time::Duration;

use crate::connector::error::{ConnectError, config_error, place};
use crate::connector::formats::RecordsOf;
use crate::connector::{Connector, Environment, LooksUp, Reads, formats, in_memory};
use crate::lookup::LookupTable;
use crate::lookup::options::LookupOptions;
use crate::options::{OptionKind, OptionSpec};
use crate::plan::connectors::{Access, Uses};
use crate::plan::physical::{LookupPlan, SourcePlan};
use crate::record::{Places, RawBatch};
use crate::source::{
    Polled, Position, ReadAhead, Source, SourceError, SplitId, SplitReader, SplitSeed,
};
use crate::sql::catalog::{ColumnKind, Table};
use crate::sql::hints;
use crate::time::clock::SharedClock;
use crate::time::idle::EmptyAnswers;
use crate::who::Who;
use field::Field;
pub use options::{DatagenOptions, Declared};

/// Payload bytes after which a batch is full, whatever the number of rows.
const BATCH_BYTES: usize = 4 << 20;
const SEED: u64 = 1;

/// Options of a column, behind `fields.<column>.`, beside those of the table.
const OPTIONS: [OptionSpec; 12] = [
    OptionSpec::new("rows-per-second", OptionKind::Text, "how many rows come in a second")
        .or("10000"),
    OptionSpec::new(
        "number-of-rows",
        OptionKind::Text,
        "rows in all; without it the shortest sequence, or no end",
    ),
    OptionSpec::new(
        "scan.parallelism",
        OptionKind::Text,
        "taken for the sake of Flink's files: the rows are the same",
    ),
    OptionSpec::new("fields.<column>.kind", OptionKind::Text, "random or sequence").or("random"),
    OptionSpec::new("fields.<column>.null-rate", OptionKind::Text, "share of NULLs, 0 to 1")
        .or("0"),
    OptionSpec::new("fields.<column>.start", OptionKind::Text, "the first number of a sequence"),
    OptionSpec::new("fields.<column>.end", OptionKind::Text, "the last number of a sequence"),
    OptionSpec::new("fields.<column>.min", OptionKind::Text, "the smallest random number"),
    OptionSpec::new("fields.<column>.max", OptionKind::Text, "the largest random number"),
    OptionSpec::new(
        "fields.<column>.max-past",
        OptionKind::Text,
        "how far before now a time lies at most",
    )
    .or("0"),
    OptionSpec::new(
        "fields.<column>.length",
        OptionKind::Text,
        "characters or bytes of a text, elements of a collection",
    )
    .or("100"),
    OptionSpec::new(
        "fields.<column>.var-len",
        OptionKind::Text,
        "the length is random, up to this",
    )
    .or("false"),
];

pub(crate) struct Datagen;

impl Connector for Datagen {
    fn name(&self) -> &'static str {
        "datagen"
    }
    fn about(&self) -> &'static str {
        "Made-up rows at a steady rate, the same in every run."
    }
    fn options(&self) -> Vec<OptionSpec> {
        OPTIONS.to_vec()
    }
    fn uses(&self) -> Uses {
        Uses { access: Access::Either, ..Uses::default() }
    }
    fn reads(&self) -> Option<&dyn Reads> {
        Some(self)
    }
    fn looks_up(&self) -> Option<&dyn LooksUp> {
        Some(self)
    }
}

impl LooksUp for Datagen {
    fn notes(&self, table: &Table) -> Vec<String> {
        let name = hints::base_name(&table.name);
        vec![format!(
            "note: table '{name}' is looked up among the rows that it makes (Apache Flink does not look such a table up)"
        )]
    }

    fn check(&self, plan: &LookupPlan) -> Result<(), ConnectError> {
        Reads::check(self, &plan.source)?;
        match parsed(&plan.source.table)?.rows {
            Some(_) => Ok(()),
            None => Err(in_memory::endless(&plan.source.table)),
        }
    }

    fn table(
        &self,
        plan: &LookupPlan,
        _options: &LookupOptions,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn LookupTable>, ConnectError> {
        // Nobody waits for rows at their rate before the first question.
        let options = DatagenOptions { is_paced: false, ..parsed(&plan.source.table)? };
        let source = source_of(&plan.source, options, env)?;
        let memory_bytes = env.config.memory_bytes;
        Ok(Arc::new(in_memory::read(plan, source.as_ref(), RecordsOf::Table, memory_bytes)?))
    }
}

impl Reads for Datagen {
    fn check(&self, plan: &SourcePlan) -> Result<(), ConnectError> {
        parsed(&plan.table).map(|_| ()).map_err(|e| place(e, &plan.table))
    }

    fn is_endless(&self, table: &Table) -> bool {
        parsed(table).is_ok_and(|options| options.rows.is_none())
    }

    fn source(
        &self,
        plan: &SourcePlan,
        env: &Environment<'_>,
    ) -> Result<Arc<dyn Source>, ConnectError> {
        let table = &plan.table;
        source_of(plan, parsed(table)?, env)
    }
}

/// Rows that a run with `--local` reads of a table without an end.
const LOCAL_ROWS: u64 = 1000;

/// A source of made-up rows. With `--local` it ends, and nobody waits for its rows.
pub(crate) fn source_of(
    plan: &SourcePlan,
    mut options: DatagenOptions,
    env: &Environment<'_>,
) -> Result<Arc<dyn Source>, ConnectError> {
    let table = &plan.table;
    let needed: Vec<String> = plan.decode.iter().map(|&c| table.columns[c].name.clone()).collect();
    if env.local {
        options.is_paced = false;
        if options.rows.is_none() {
            options.rows = Some(LOCAL_ROWS);
            tracing::info!(
                "table '{}' has no end: with --local its first {LOCAL_ROWS} rows are read",
                table.name
            );
        }
    }
    Ok(Arc::new(DatagenSource::new(&table.name, options, &needed, env.clock.clone())))
}

/// The physical columns of a table.
pub(crate) fn declared(table: &Table) -> Vec<Declared> {
    (table.columns.iter())
        .filter(|c| matches!(c.kind, ColumnKind::Physical))
        .map(|c| Declared {
            name: c.name.clone(),
            data_type: c.data_type.clone(),
            exact: c.exact.clone(),
        })
        .collect()
}

fn parsed(table: &Table) -> Result<DatagenOptions, ConnectError> {
    if let Some(column) =
        table.columns.iter().find(|c| matches!(c.kind, ColumnKind::Metadata { .. }))
    {
        return Err(config_error(
            table,
            format!("column '{}': connector 'datagen' has no metadata", column.name),
        ));
    }
    let columns = declared(table);
    Ok(DatagenOptions::parse(&table.name, &formats::without_format(table), &columns)?)
}

pub(crate) struct DatagenSource {
    table: String,
    options: DatagenOptions,
    /// Numbers of the columns that are needed.
    needed: Arc<[usize]>,
    clock: SharedClock,
}

impl DatagenSource {
    /// `needed`: names of the columns whose values are made.
    pub fn new(
        table: &str,
        options: DatagenOptions,
        needed: &[String],
        clock: SharedClock,
    ) -> DatagenSource {
        let needed = (0..options.fields.len())
            .filter(|&i| needed.contains(&options.fields[i].name))
            .collect();
        DatagenSource { table: table.into(), options, needed, clock }
    }
}

impl Source for DatagenSource {
    fn discover(&self) -> Result<Vec<SplitSeed>, SourceError> {
        let id = SplitId(format!("datagen@{}", self.clock.wall_ms()).into());
        Ok(vec![SplitSeed { id, parents: vec![], start: Position::after_records(0) }])
    }

    fn open(
        &self,
        split: &SplitId,
        position: &Position,
        _ahead: ReadAhead,
    ) -> Result<Box<dyn SplitReader>, SourceError> {
        let error = |reason: &str| SourceError::Read {
            table: self.table.clone(),
            split: split.clone(),
            reason: reason.into(),
            // The split was made here.
            who: Who::Us,
        };
        let start_ms = split.0.strip_prefix("datagen@").and_then(|ms| ms.parse().ok());
        let start_ms: i64 = start_ms.ok_or_else(|| error("not a split of made-up rows"))?;
        let records = position.records().map_err(|e| SourceError::not_read(&self.table, &e))?;
        Ok(Box::new(DatagenReader {
            fields: self.options.fields.clone(),
            needed: self.needed.clone(),
            rows: self.options.rows,
            rows_per_second: self.options.rows_per_second,
            is_paced: self.options.is_paced,
            start_ms,
            next: records,
            opened: (records, self.clock.monotonic()),
            clock: self.clock.clone(),
            empty: None,
            read_bytes: 0,
        }))
    }

    fn bounded(&self) -> bool {
        self.options.rows.is_some()
    }
}

struct DatagenReader {
    fields: Vec<Field>,
    needed: Arc<[usize]>,
    /// None: without end.
    rows: Option<u64>,
    rows_per_second: u64,
    /// False: all rows are there at once.
    is_paced: bool,
    /// When the run began, by the wall clock.
    start_ms: i64,
    next: u64,
    /// The row and the time at which this reader began: the rate counts from there, without a burst
    /// after a pause.
    opened: (u64, Duration),
    clock: SharedClock,
    empty: Option<EmptyAnswers>,
    read_bytes: u64,
}

impl DatagenReader {
    /// Rows that may have come by now.
    fn due(&self) -> u64 {
        if !self.is_paced {
            return u64::MAX;
        }
        let elapsed = self.clock.monotonic().saturating_sub(self.opened.1);
        let come = elapsed.as_micros() * u128::from(self.rows_per_second) / 1_000_000 + 1;
        self.opened.0.saturating_add(u64::try_from(come).unwrap_or(u64::MAX))
    }

    /// Row times are as far apart as the rate says.
    fn time_ms(&self, row: u64) -> i64 {
        let since = u128::from(row) * 1000 / u128::from(self.rows_per_second);
        self.start_ms.saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
    }

    fn push_row(&self, out: &mut Vec<u8>, row: u64) {
        let time_ms = self.time_ms(row);
        out.push(b'{');
        for (i, &number) in self.needed.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            let field = &self.fields[number];
            crate::format::json::write_string(out, &field.name);
            out.push(b':');
            field.write(out, SEED, number as u64, row, time_ms);
        }
        out.push(b'}');
    }
}

impl SplitReader for DatagenReader {
    fn poll(&mut self, max_records: usize) -> Result<Polled, SourceError> {
        if self.rows.is_some_and(|rows| self.next >= rows) {
            return Ok(Polled::End { children: vec![] });
        }
        let first = self.next;
        let until = self.due().min(first.saturating_add(max_records as u64));
        let until = self.rows.map_or(until, |rows| until.min(rows));
        let mut raw = RawBatch { places: Places::Generated { first }, ..RawBatch::default() };
        while self.next < until && raw.bytes.len() < BATCH_BYTES {
            raw.push(|bytes| self.push_row(bytes, self.next));
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

#[cfg(test)]
mod tests;
