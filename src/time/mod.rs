//! When? Event time, watermarks and the one door to the system clock.
//!
//! Used by every layer; knows of others no more than the numbers of workers. Event time is
//! milliseconds since 1970-01-01T00:00:00Z everywhere.

mod event_time;

pub mod alignment;
pub mod clock;
pub mod idle;
pub mod java_zone;
pub(crate) mod seldom;
pub mod timer;
#[cfg(test)]
pub(crate) mod virtual_time;
pub mod watermark;
pub mod zone;

pub use event_time::{EventTime, Watermark};

/// A day without a change of the clocks.
pub(crate) const MS_PER_DAY: i64 = 86_400_000;
