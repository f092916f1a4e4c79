//! A writer's part of an epoch, waited for: what a worker does between its other work.

use std::time::Duration;

use paceline::ids::Epoch;
use paceline::sink::{Afterwards, Prepared, Rejected, SinkError, SinkWriter};

pub trait PrepareAndWait {
    /// Ends an epoch as if it were the last one, and waits until it is complete. Returns what was rejected in it.
    fn prepare(&mut self, epoch: u64) -> Result<Vec<Rejected>, SinkError>;
}

impl<W: SinkWriter + ?Sized> PrepareAndWait for W {
    fn prepare(&mut self, epoch: u64) -> Result<Vec<Rejected>, SinkError> {
        let mut prepared = self.begin_prepare(Epoch::new(epoch), Afterwards::Ends)?;
        loop {
            match prepared {
                Prepared::Part { rejected, .. } => return Ok(rejected),
                Prepared::Waits => std::thread::sleep(Duration::from_millis(1)),
            }
            prepared = self.poll_prepare()?;
        }
    }
}
