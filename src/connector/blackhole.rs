//! Rows that go nowhere (the `blackhole` connector): for measuring a query without its sink.
//!
//! Called by `runtime` through [`Sink`]. What always holds: a row is counted as written, and
//! nothing else is done with it.

use std::sync::Arc;

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

pub(crate) struct Blackhole;

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
        Ok(Arc::new(BlackholeSink))
    }
}

struct BlackholeSink;

impl Sink for BlackholeSink {
    /// Nothing is visible, so nothing is visible twice.
    fn guarantee(&self) -> Guarantee {
        Guarantee::EffectivelyOnce
    }

    fn writer(&self, _writer: usize, _wake: Wake) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(BlackholeWriter))
    }
}

struct BlackholeWriter;

impl SinkWriter for BlackholeWriter {
    fn write(&mut self, _rows: &Rows) -> Result<(), SinkError> {
        Ok(())
    }

    fn begin_prepare(
        &mut self,
        _epoch: Epoch,
        _afterwards: Afterwards,
    ) -> Result<Prepared, SinkError> {
        Ok(Prepared::staged(Vec::new()))
    }
}
