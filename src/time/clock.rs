//! What time is it outside? The only place that reads the system clock.
//!
//! Logic receives a [`Clock`], or better a time as a value, so that an hour of idleness is tested
//! in an instant. Wall time may jump and is only for people and servers (run ids, arrival times);
//! durations use the monotonic reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01T00:00:00Z by the wall clock. May go backwards.
    fn wall_ms(&self) -> i64;
    /// Time since some fixed moment. Never goes backwards.
    fn monotonic(&self) -> Duration;
}

pub type SharedClock = Arc<dyn Clock>;

/// Processing time: wall time that never goes back, the same for all workers of a job.
pub struct ProcessingClock {
    clock: SharedClock,
    latest_ms: AtomicI64,
}

impl ProcessingClock {
    pub fn new(clock: SharedClock) -> ProcessingClock {
        ProcessingClock { clock, latest_ms: AtomicI64::new(i64::MIN) }
    }

    /// Milliseconds since the epoch; at least what any worker has seen before.
    pub fn now_ms(&self) -> i64 {
        let wall_ms = self.clock.wall_ms();
        self.latest_ms.fetch_max(wall_ms, Ordering::AcqRel).max(wall_ms)
    }

    pub fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

/// The machine's clocks.
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    pub fn shared() -> SharedClock {
        Arc::new(SystemClock { start: Instant::now() })
    }
}

impl Clock for SystemClock {
    fn wall_ms(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
    }
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that unit tests set.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct SetClock {
    pub wall_ms: AtomicI64,
    pub monotonic_ms: std::sync::atomic::AtomicU64,
}

#[cfg(test)]
impl SetClock {
    pub fn at(wall_ms: i64) -> SetClock {
        SetClock { wall_ms: AtomicI64::new(wall_ms), ..SetClock::default() }
    }
}

#[cfg(test)]
impl Clock for SetClock {
    fn wall_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::Relaxed)
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_ms.load(Ordering::Relaxed))
    }
}
