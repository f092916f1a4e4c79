//! Rows that stand in the query itself: VALUES, and a SELECT without FROM.
//!
//! Made by `connect` for the sources that `plan::lower` evaluated. One split; a record is the number of a row and no bytes.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::format::{Decoded, Decoder};
use crate::record::{Places, RawBatch, Span};
use crate::source::{Polled, Position, ReadAhead, Source, SourceError, SplitId, SplitReader, SplitSeed};

pub struct ValuesSource {
    rows: u64,
}

impl ValuesSource {
    pub fn new(rows: usize) -> ValuesSource {
        ValuesSource { rows: rows as u64 }
    }
}

impl Source for ValuesSource {
    fn discover(&self) -> Result<Vec<SplitSeed>, SourceError> {
        Ok(vec![SplitSeed { id: SplitId("values".into()), parents: vec![], start: Position::after_records(0) }])
    }

    fn open(&self, _split: &SplitId, position: &Position, _ahead: ReadAhead) -> Result<Box<dyn SplitReader>, SourceError> {
        let next = position.records().map_err(|e| SourceError::not_read("VALUES", &e))?;
        Ok(Box::new(ValuesReader { next, rows: self.rows }))
    }

    fn bounded(&self) -> bool {
        true
    }
}

struct ValuesReader {
    next: u64,
    rows: u64,
}

impl SplitReader for ValuesReader {
    fn poll(&mut self, max_records: usize) -> Result<Polled, SourceError> {
        let first = self.next;
        self.next = self.rows.min(first + max_records as u64);
        if self.next == first {
            return Ok(Polled::End { children: vec![] });
        }
        let spans = vec![Span { start: 0, end: 0 }; (self.next - first) as usize];
        Ok(Polled::Records(RawBatch { spans, places: Places::Generated { first }, ..RawBatch::default() }))
    }

    fn position(&self) -> Position {
        Position::after_records(self.next)
    }
}

/// Gives the rows that the records of a [`ValuesSource`] count.
pub struct ValuesDecoder {
    rows: RecordBatch,
    schema: SchemaRef,
}

impl ValuesDecoder {
    pub fn new(rows: RecordBatch) -> ValuesDecoder {
        ValuesDecoder { schema: rows.schema(), rows }
    }
}

impl Decoder for ValuesDecoder {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decode(&mut self, raw: &RawBatch) -> Decoded {
        let first = match raw.places {
            Places::Generated { first } => first as usize,
            Places::Lines { .. } | Places::Sequence { .. } | Places::Within { .. } => 0,
        };
        Decoded { batch: self.rows.slice(first, raw.len()), record_of_row: None, parts: None, bad: vec![], skipped: 0, nulled: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{Array, AsArray, Int32Array};
    use arrow::datatypes::Int32Type;

    #[test]
    fn every_row_once_from_any_position() {
        let column: Arc<dyn Array> = Arc::new(Int32Array::from_iter_values(0..10));
        let rows = RecordBatch::try_from_iter([("x", column)]).unwrap();
        let source = ValuesSource::new(10);
        let split = source.discover().unwrap().remove(0).id;
        for from in 0..=10 {
            for batch in [1, 3, 100] {
                let mut decoder = ValuesDecoder::new(rows.clone());
                let mut reader = source.open(&split, &Position::after_records(from), ReadAhead::alone(Arc::new(|| {}))).unwrap();
                let mut found = Vec::new();
                while let Polled::Records(raw) = reader.poll(batch).unwrap() {
                    found.extend(decoder.decode(&raw).batch.column(0).as_primitive::<Int32Type>().values().to_vec());
                    assert_eq!(reader.position(), Position::after_records(from + found.len() as u64));
                }
                assert_eq!(found, (from as i32..10).collect::<Vec<_>>());
            }
        }
    }
}
