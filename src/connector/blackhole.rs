//! Rows that go nowhere (the `blackhole` connector): for measuring a query without its sink.
//!
//! Called by `runtime` through [`Sink`]. What always holds: every row written is counted, by all writers together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::ConnectError;
use super::{Connector, Environment, Writes};
use crate::ids::Epoch;
use crate::options::OptionSpec;
use crate::plan::connectors::{RowsTaken, Uses};
use crate::plan::physical::SinkPlan;
use crate::rows::Rows;
use crate::sink::version::WriteMode;
use crate::sink::{Afterwards, Guarantee, Prepared, Sink, SinkError, SinkWriter};
use crate::sql::catalog::Table;
use crate::wake::Wake;

pub struct Blackhole;

impl Connector for Blackhole {
    fn name(&self) -> &'static str {
        "blackhole"
    }
    fn about(&self) -> &'static str {
        "Takes everything and keeps nothing: for measuring."
    }
    fn options(&self) -> Vec<OptionSpec> {
        vec![]
    }
    fn uses(&self) -> Uses {
        Uses { rows: RowsTaken::Changes, ..Uses::default() }
    }
    fn writes(&self) -> Option<&dyn Writes> {
        Some(self)
    }
}

impl Writes for Blackhole {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }
    fn check(&self, _plan: &SinkPlan, _table: &Table) -> Result<(), ConnectError> {
        Ok(())
    }
    fn sink(
        &self,
        _plan: &SinkPlan,
        _table: &Table,
        _mode: WriteMode,
        _env: &Environment<'_>,
    ) -> Result<Arc<dyn Sink>, ConnectError> {
        Ok(Arc::new(BlackholeSink::default()))
    }
}

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

    fn writer(&self, _writer: usize, _wake: Wake) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(BlackholeWriter { rows: Arc::clone(&self.rows) }))
    }
}

struct BlackholeWriter {
    rows: Arc<AtomicU64>,
}

impl SinkWriter for BlackholeWriter {
    fn write(&mut self, rows: &Rows) -> Result<(), SinkError> {
        self.rows.fetch_add(rows.batch.num_rows() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn begin_prepare(&mut self, _epoch: Epoch, _afterwards: Afterwards) -> Result<Prepared, SinkError> {
        Ok(Prepared::staged(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::PrepareNow;
    use arrow::array::{ArrayRef, Int64Array};
    use arrow::record_batch::RecordBatch;

    #[test]
    fn rows_of_all_writers_are_counted() {
        let array: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let rows = Rows::of_window(RecordBatch::try_from_iter([("v", array)]).unwrap(), None);
        let sink = BlackholeSink::default();
        let mut writers = [sink.writer(0, Arc::new(|| {})).unwrap(), sink.writer(1, Arc::new(|| {})).unwrap()];
        for writer in &mut writers {
            writer.write(&rows).unwrap();
            assert_eq!(writer.prepare(1).unwrap(), b"");
        }
        assert_eq!(sink.rows(), 6);
    }
}
