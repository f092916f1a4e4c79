//! Made-up rows at a steady rate: the connector `datagen`, with Flink's options.
//!
//! Called by `connect`. One split, whose name holds when the run began, so that a resumed job makes the same rows with the
//! same times. What always holds: the values of row n do not depend on how it is reached, on batches or on the clock; the
//! clock decides only when it comes. Flink's random values differ from run to run, ours do not.

mod field;
mod options;

use std::sync::Arc;
use std::time::Duration;

use crate::record::{Places, RawBatch};
use crate::source::{Polled, Position, Source, SourceError, SplitId, SplitReader, SplitSeed, Wake};
use crate::time::clock::SharedClock;
use crate::time::idle::EmptyAnswers;
use field::Field;
pub use options::{DatagenOptions, Declared};

/// Payload bytes after which a batch is full, whatever the number of rows.
const BATCH_BYTES: usize = 4 << 20;
const SEED: u64 = 1;

pub struct DatagenSource {
    table: String,
    options: DatagenOptions,
    /// Numbers of the columns that are needed.
    needed: Arc<[usize]>,
    clock: SharedClock,
}

impl DatagenSource {
    /// `needed`: names of the columns whose values are made.
    pub fn new(table: &str, options: DatagenOptions, needed: &[String], clock: SharedClock) -> DatagenSource {
        let needed = (0..options.fields.len()).filter(|&i| needed.contains(&options.fields[i].name)).collect();
        DatagenSource { table: table.into(), options, needed, clock }
    }
}

impl Source for DatagenSource {
    fn discover(&self) -> Result<Vec<SplitSeed>, SourceError> {
        let id = SplitId(format!("datagen@{}", self.clock.wall_ms()).into());
        Ok(vec![SplitSeed { id, parents: vec![], start: Position::Generated { records: 0 } }])
    }

    fn open(&self, split: &SplitId, position: &Position, _wake: Wake) -> Result<Box<dyn SplitReader>, SourceError> {
        let error = |reason: &str| SourceError::Read { table: self.table.clone(), split: split.clone(), reason: reason.into() };
        let start_ms = split.0.strip_prefix("datagen@").and_then(|ms| ms.parse().ok());
        let start_ms: i64 = start_ms.ok_or_else(|| error("not a split of made-up rows"))?;
        let Position::Generated { records } = *position else { return Err(error("not a position in made-up rows")) };
        Ok(Box::new(DatagenReader {
            fields: self.options.fields.clone(),
            needed: self.needed.clone(),
            rows: self.options.rows.unwrap_or(u64::MAX),
            rows_per_second: self.options.rows_per_second,
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
    rows: u64,
    rows_per_second: u64,
    /// When the run began, by the wall clock.
    start_ms: i64,
    next: u64,
    /// The row and the time at which this reader began: the rate counts from there, without a burst after a pause.
    opened: (u64, Duration),
    clock: SharedClock,
    empty: Option<EmptyAnswers>,
    read_bytes: u64,
}

impl DatagenReader {
    /// Rows that may have come by now.
    fn due(&self) -> u64 {
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
        if self.next >= self.rows {
            return Ok(Polled::End { children: vec![] });
        }
        let first = self.next;
        let until = self.due().min(self.rows).min(first.saturating_add(max_records as u64));
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
        Position::Generated { records: self.next }
    }

    fn bytes_read(&self) -> u64 {
        self.read_bytes
    }
}

#[cfg(test)]
mod tests;
