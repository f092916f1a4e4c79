//! What a writer has been given, sent: what happens in a job while it goes on.

use std::time::Duration;

use paceline::ids::Epoch;
use paceline::sink::{Afterwards, Prepared, Rejected, SinkError, SinkWriter};

pub trait PrepareAndWait {
    /// Ends epochs until one has nothing staged, as everything has arrived. Returns what was
    /// rejected meanwhile.
    fn prepare(&mut self, epoch: u64) -> Result<Vec<Rejected>, SinkError>;
}

impl<W: SinkWriter + ?Sized> PrepareAndWait for W {
    fn prepare(&mut self, epoch: u64) -> Result<Vec<Rejected>, SinkError> {
        let mut all_rejected = Vec::new();
        let mut pause = Duration::from_millis(1);
        let mut prepared = self.begin_prepare(Epoch::new(epoch), Afterwards::GoesOn)?;
        loop {
            prepared = match prepared {
                Prepared::Waits => self.poll_prepare()?,
                Prepared::Part { staged, rejected } => {
                    all_rejected.extend(rejected);
                    if staged.is_empty() {
                        return Ok(all_rejected);
                    }
                    self.begin_prepare(Epoch::new(epoch), Afterwards::GoesOn)?
                }
            };
            std::thread::sleep(pause);
            // Staging much takes time in which nothing is acknowledged.
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}
