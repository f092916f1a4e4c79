//! A clock that stands still until it is moved, for tests that run a whole job on one thread.
//!
//! [`VirtualTime::begin`] gives it to a thread; `timer` and [`VirtualClock`] go by it from then on.
//! Whoever runs the tasks of that thread moves it to the next deadline when nothing else is left to
//! do. What always holds: it never goes back; deadlines come in their order, and those of one
//! instant in the order in which they were set.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::clock::Clock;
use super::timer::Instant;

thread_local! {
    static CURRENT: RefCell<Option<Arc<VirtualTime>>> = const { RefCell::new(None) };
}

/// The time of one thread.
pub(crate) struct VirtualTime {
    /// What its instants count from.
    base: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    elapsed: Duration,
    /// By deadline since the beginning, then in the order in which they were set.
    sleepers: BTreeMap<(Duration, u64), Waker>,
    set: u64,
}

/// Ends the thread's virtual time when it is dropped.
pub(crate) struct Begun(pub Arc<VirtualTime>);

impl Drop for Begun {
    fn drop(&mut self) {
        CURRENT.with(|current| *current.borrow_mut() = None);
    }
}

impl VirtualTime {
    /// Gives this thread a time of its own, which begins now.
    pub fn begin() -> Begun {
        let time = Arc::new(VirtualTime { base: Instant::now(), state: Mutex::default() });
        CURRENT.with(|current| *current.borrow_mut() = Some(time.clone()));
        Begun(time)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.state().elapsed
    }

    /// The next deadline that somebody waits for, since the beginning.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.state().sleepers.keys().next().map(|(deadline, _)| *deadline)
    }

    /// Moves to a time since the beginning and wakes whoever waited for one up to it. Stays where it
    /// is if that has passed.
    pub fn advance_to(&self, to: Duration) {
        let mut state = self.state();
        state.elapsed = state.elapsed.max(to);
        let past = state.elapsed + Duration::from_nanos(1);
        let later = state.sleepers.split_off(&(past, 0));
        let due = std::mem::replace(&mut state.sleepers, later);
        drop(state);
        due.into_values().for_each(Waker::wake);
    }
}

/// The instant of this thread's virtual time, if it has one.
pub(super) fn now() -> Option<Instant> {
    CURRENT.with(|current| current.borrow().as_ref().map(|time| time.base + time.elapsed()))
}

/// A wait by this thread's virtual time, if it has one.
pub(super) fn sleep_until(deadline: Instant) -> Option<Sleep> {
    CURRENT.with(|current| {
        let time = current.borrow().clone()?;
        let deadline = deadline.saturating_duration_since(time.base);
        Some(Sleep { time, deadline, key: None })
    })
}

pub(super) struct Sleep {
    time: Arc<VirtualTime>,
    deadline: Duration,
    /// Its place among those that wait.
    key: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let time = self.time.clone();
        let mut state = time.state();
        if state.elapsed >= self.deadline {
            return Poll::Ready(());
        }
        state.set += 1;
        let new = (self.deadline, state.set);
        let key = *self.key.get_or_insert(new);
        state.sleepers.insert(key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.time.state().sleepers.remove(&key);
        }
    }
}

/// What a machine with this time takes for the time of day.
pub(crate) struct VirtualClock {
    pub time: Arc<VirtualTime>,
    /// At the beginning, ms since the epoch.
    pub start_ms: i64,
}

impl Clock for VirtualClock {
    fn wall_ms(&self) -> i64 {
        self.start_ms + self.time.elapsed().as_millis() as i64
    }

    fn monotonic(&self) -> Duration {
        self.time.elapsed()
    }
}
