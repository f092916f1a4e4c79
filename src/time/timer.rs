//! Waiting on the I/O side: the one door to tokio's clock.
//!
//! Called by tasks that talk to the network: pauses between calls, deadlines, the pace of a poll.
//! Workers never wait by it. What always holds: on a thread that has a [`virtual_time`], which only
//! tests have, all of these go by it.
//!
//! [`virtual_time`]: super::virtual_time

use std::future::Future;
use std::time::Duration;

pub use tokio::time::Instant;

/// The instant that it is.
pub fn now() -> Instant {
    #[cfg(test)]
    if let Some(now) = super::virtual_time::now() {
        return now;
    }
    Instant::now()
}

/// Waits for that long.
pub fn sleep(pause: Duration) -> impl Future<Output = ()> + Send {
    sleep_until(now() + pause)
}

/// Waits until then.
#[cfg(not(test))]
pub fn sleep_until(deadline: Instant) -> impl Future<Output = ()> + Send {
    tokio::time::sleep_until(deadline)
}

/// Waits until then.
#[cfg(test)]
pub async fn sleep_until(deadline: Instant) {
    match super::virtual_time::sleep_until(deadline) {
        Some(sleep) => sleep.await,
        None => tokio::time::sleep_until(deadline).await,
    }
}
