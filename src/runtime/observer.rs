//! What does a caller see of a job? How it goes, and how it ended.
//!
//! Called by `job` and `recovery`; implemented by whoever runs a job.

use std::sync::Arc;
use std::time::Duration;

use super::control::Stats;
use super::worker::SharedSource;
use crate::ids::Epoch;

/// How a job ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The input ended, and everything that follows from it is in the sinks.
    Finished,
    /// It had finished in an earlier process; nothing was done.
    AlreadyFinished,
    /// Stopped from outside, ready to go on.
    Stopped,
}

/// What a caller may look at while the job runs.
pub trait Observer {
    /// Called about every 100 ms and once at the end.
    fn progress(&mut self, stats: &Stats, sources: &[Arc<SharedSource>]);
    /// What the checkpoint under way waits for, and for how long already; None while none is under
    /// way. Called before each `progress`, and before the job thread does what may take its time.
    fn checkpoint_waits(&mut self, _hold: Option<(Duration, &str)>) {}
    /// The newest checkpoint.
    fn checkpoint(&mut self, _epoch: Epoch) {}
    /// Where the job goes on: the epoch, and newer checkpoints that had to be left out.
    fn resumed(&mut self, _epoch: Epoch, _skipped: &[(Epoch, String)]) {}
}
