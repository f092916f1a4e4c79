//! Rows that go nowhere (the `blackhole` connector): for measuring a query without its sink.
//!
//! Called by `runtime` through [`Sink`]. What always holds: every row written is counted, by all writers together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sink::{Guarantee, Sink, SinkError, SinkRows, SinkWriter};

#[derive(Debug, Default)]
pub struct BlackholeSink {
    rows: Arc<AtomicU64>,
}

impl BlackholeSink {
    /// Rows written since the sink was made.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}

impl Sink for BlackholeSink {
    /// Nothing is visible, so nothing is visible twice.
    fn guarantee(&self) -> Guarantee {
        Guarantee::EffectivelyOnce
    }

    fn writer(&self, _worker: usize) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(BlackholeWriter { rows: Arc::clone(&self.rows) }))
    }
}

struct BlackholeWriter {
    rows: Arc<AtomicU64>,
}

impl SinkWriter for BlackholeWriter {
    fn write(&mut self, rows: &SinkRows) -> Result<(), SinkError> {
        self.rows.fetch_add(rows.batch.num_rows() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn prepare(&mut self, _epoch: u64) -> Result<Vec<u8>, SinkError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use arrow::record_batch::RecordBatch;

    #[test]
    fn rows_of_all_writers_are_counted() {
        let array: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let rows = SinkRows::insert(RecordBatch::try_from_iter([("v", array)]).unwrap(), None);
        let sink = BlackholeSink::default();
        let mut writers = [sink.writer(0).unwrap(), sink.writer(1).unwrap()];
        for writer in &mut writers {
            writer.write(&rows).unwrap();
            assert_eq!(writer.prepare(1).unwrap(), b"");
        }
        assert_eq!(sink.rows(), 6);
    }
}
