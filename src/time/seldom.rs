//! How often is something said that happens again and again? The first time at once, and from then on
//! once a minute, with how often it has happened.
//!
//! Used where calls are repeated without end: a service that throttles one call in three for a week
//! would else fill a disk. What always holds: between two lines lies a minute; what is not said is
//! counted in the next line.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::timer::{self, Instant};

/// From one line to the next.
const PAUSE: Duration = Duration::from_secs(60);

/// Counts what is said now and then.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    said: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// Counts one more. Gives how many there were since something was said, if it is time to.
    pub fn count(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.unsaid += 1;
        let now = timer::now();
        if state.said.is_some_and(|said| now - said < PAUSE) {
            return None;
        }
        state.said = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::virtual_time::VirtualTime;

    #[test]
    fn a_line_a_minute_says_how_often() {
        let begun = VirtualTime::begin();
        let seldom = Seldom::default();
        let mut said = Vec::new();
        for second in 0..150 {
            begun.0.advance_to(Duration::from_secs(second));
            said.extend(seldom.count().map(|n| (second, n)));
        }
        assert_eq!(said, [(0, 1), (60, 60), (120, 60)]);
    }
}
