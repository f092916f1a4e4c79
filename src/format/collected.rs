//! What becomes of the records of a batch, put down record by record.
//!
//! Called by the decoders. A record may give several rows or none: each row knows its record, and
//! which part of it, so that errors further on have their place. What always holds: as long as row
//! i is record i nothing is kept for it.

use super::{BadRecord, Decoded, ParseErrors, RecordPart};
use crate::record::RawBatch;

/// What a record looks like that no format reads as it is, by its first bytes.
fn hint(record: &[u8]) -> Option<&'static str> {
    const HINTS: [(&[u8], &str); 3] = [
        (
            &[0x1f, 0x8b],
            "it looks like gzip (it begins with 1f 8b); for a stream whose records are compressed, \
             SET 'paceline.<table>.compression' = 'gzip'",
        ),
        (
            &[0x28, 0xb5, 0x2f, 0xfd],
            "it looks like zstd (it begins with 28 b5 2f fd); for a stream whose records are compressed, \
             SET 'paceline.<table>.compression' = 'zstd'",
        ),
        (
            &[0xf3, 0x89, 0x9a, 0xc2],
            "it looks like an aggregate of the Kinesis Producer Library (it begins with f3 89 9a c2) that is damaged, or that is not to be \
             opened: SET 'paceline.<table>.aggregation' = 'kpl'",
        ),
    ];
    HINTS.iter().find(|(magic, _)| record.starts_with(magic)).map(|(_, hint)| *hint)
}

#[derive(Debug, Default)]
pub(super) struct Collected {
    pub rows: usize,
    record_of_row: Option<Vec<u32>>,
    parts: Option<Vec<Option<RecordPart>>>,
    pub bad: Vec<BadRecord>,
    pub skipped: u64,
    pub nulled: u64,
}

impl Collected {
    /// A row that is a record, or a part of one.
    pub fn row(&mut self, record: usize, part: Option<RecordPart>) {
        if self.record_of_row.is_none() && record != self.rows {
            self.record_of_row = Some((0..self.rows as u32).collect());
        }
        if let Some(records) = &mut self.record_of_row {
            records.push(record as u32);
        }
        if part.is_some() && self.parts.is_none() {
            self.parts = Some(vec![None; self.rows]);
        }
        if let Some(parts) = &mut self.parts {
            parts.push(part);
        }
        self.rows += 1;
    }

    /// A record, or a part of one, that is no row.
    pub fn bad(
        &mut self,
        record: usize,
        part: Option<RecordPart>,
        reason: String,
        errors: ParseErrors,
    ) {
        match errors {
            ParseErrors::Ignored => self.skipped += 1,
            ParseErrors::Reported => self.bad.push(BadRecord { index: record, part, reason }),
        }
    }

    /// For each row its record. None: row i is record i of so many.
    pub fn records(&mut self, count: usize) -> Option<&[u32]> {
        if self.record_of_row.is_none() && self.rows != count {
            self.record_of_row = Some((0..self.rows as u32).collect());
        }
        self.record_of_row.as_deref()
    }

    /// The batch with all that is to say about it; `batch` may be what went wrong with the columns.
    pub fn finish(
        self,
        raw: &RawBatch,
        schema: &arrow::datatypes::SchemaRef,
        batch: Result<arrow::array::RecordBatch, String>,
    ) -> Decoded {
        let Collected { record_of_row, parts, mut bad, skipped, nulled, .. } = self;
        match batch {
            Ok(batch) => {
                debug_assert!(
                    record_of_row.as_ref().is_none_or(|r| r.len() == batch.num_rows()),
                    "a row of no record"
                );
                debug_assert!(
                    parts.as_ref().is_none_or(|p| p.len() == batch.num_rows()),
                    "a row of no part"
                );
                for one in &mut bad {
                    if let Some(hint) = hint(raw.record(one.index)) {
                        one.reason = format!("{hint}: {}", one.reason);
                    }
                }
                Decoded { batch, record_of_row, parts, bad, skipped, nulled }
            }
            Err(reason) => {
                let bad = (0..raw.len())
                    .map(|index| BadRecord { index, part: None, reason: reason.clone() })
                    .collect();
                let batch = arrow::array::RecordBatch::new_empty(schema.clone());
                Decoded {
                    batch,
                    record_of_row: Some(Vec::new()),
                    parts: None,
                    bad,
                    skipped: 0,
                    nulled: 0,
                }
            }
        }
    }
}
