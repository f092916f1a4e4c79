//! Waiting on the I/O side: the one door to tokio's clock.
//!
//! Called by tasks that talk to the network: pauses between calls, deadlines, the pace of a poll.
//! Workers never wait by it. What always holds: whoever pauses tokio's clock pauses all of these
//! with it.

pub use tokio::time::{Instant, sleep, sleep_until};

/// The instant that it is on tokio's clock.
pub fn now() -> Instant {
    Instant::now()
}
