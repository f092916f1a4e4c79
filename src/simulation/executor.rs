//! Who runs next? All tasks of a world on one thread, in an order that follows from a seed.
//!
//! A [`Sim`] is the [`Executor`] of one process in a [`super::world`]: killed with it, while what it
//! has sent to the fake servers stays with them. What always holds: only tasks that were woken run,
//! one poll at a time; time moves only when nobody is awake; the same seed gives the same order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::tasks::{BoxFuture, Executor, Running, Tasks};
use crate::time::virtual_time::VirtualTime;

/// The tasks of one process.
pub(crate) struct Sim {
    time: Arc<VirtualTime>,
    state: Mutex<State>,
}

struct State {
    rng: ChaCha8Rng,
    /// By the order in which they were spawned.
    tasks: BTreeMap<u64, Task>,
    spawned: u64,
    is_killed: bool,
}

struct Task {
    /// None while it is polled.
    future: Option<BoxFuture<'static, ()>>,
    flags: Arc<Flags>,
}

struct Flags {
    is_woken: AtomicBool,
    is_finished: AtomicBool,
    is_aborted: AtomicBool,
}

impl Wake for Flags {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Relaxed);
    }
}

impl Running for Handle {
    fn abort(&self) {
        self.0.is_aborted.store(true, Ordering::Relaxed);
        self.0.is_woken.store(true, Ordering::Relaxed);
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished.load(Ordering::Relaxed)
    }
}

struct Handle(Arc<Flags>);

/// What came of moving on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// A task ran, or time has passed.
    On,
    /// Nobody is awake and nobody waits for a time.
    Nowhere,
}

impl Sim {
    pub fn new(time: Arc<VirtualTime>, seed: u64) -> Arc<Sim> {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let state = State { rng, tasks: BTreeMap::new(), spawned: 0, is_killed: false };
        Arc::new(Sim { time, state: Mutex::new(state) })
    }

    pub fn tasks(self: &Arc<Self>) -> Tasks {
        Tasks::on(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls one of the tasks that are awake. False if there is none.
    pub fn run_one(&self) -> bool {
        let mut state = self.state();
        let woken = |task: &Task| task.flags.is_woken.load(Ordering::Relaxed);
        let awake: Vec<u64> =
            state.tasks.iter().filter(|(_, task)| woken(task)).map(|(id, _)| *id).collect();
        if awake.is_empty() {
            return false;
        }
        let id = awake[state.rng.random_range(0..awake.len())];
        let Some(task) = state.tasks.get_mut(&id) else { return false };
        let (future, flags) = (task.future.take(), task.flags.clone());
        drop(state);
        flags.is_woken.store(false, Ordering::Relaxed);
        let Some(mut future) = future else { return true };
        let is_over = flags.is_aborted.load(Ordering::Relaxed)
            || future.as_mut().poll(&mut Context::from_waker(&Waker::from(flags.clone())))
                == Poll::Ready(());
        let mut state = self.state();
        // A process that was killed by this task drops it with all others.
        match state.tasks.get_mut(&id) {
            Some(task) if !is_over => task.future = Some(future),
            _ => {
                state.tasks.remove(&id);
                drop(state);
                // Dropping may spawn.
                drop(future);
                flags.is_finished.store(true, Ordering::Relaxed);
            }
        }
        true
    }

    /// Lets time pass until the next deadline of a task, or by at most this much.
    pub fn pass_time(&self, at_most: Duration) -> Moved {
        let until = self.time.elapsed().saturating_add(at_most);
        match self.time.next_deadline() {
            Some(deadline) => self.time.advance_to(deadline.min(until)),
            None if at_most == Duration::MAX => return Moved::Nowhere,
            None => self.time.advance_to(until),
        }
        Moved::On
    }

    pub fn is_killed(&self) -> bool {
        self.state().is_killed
    }

    /// Ends the process: nothing of it runs any more.
    pub fn kill(&self) {
        let mut state = self.state();
        state.is_killed = true;
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        // Dropping may spawn, which gives nothing any more.
        drop(tasks);
    }
}

impl Executor for Sim {
    fn spawn(&self, task: BoxFuture<'static, ()>) -> Box<dyn Running> {
        let mut state = self.state();
        let flags = Arc::new(Flags {
            is_woken: AtomicBool::new(true),
            is_finished: AtomicBool::new(state.is_killed),
            is_aborted: AtomicBool::new(false),
        });
        if !state.is_killed {
            state.spawned += 1;
            let id = state.spawned;
            state.tasks.insert(id, Task { future: Some(task), flags: flags.clone() });
        }
        Box::new(Handle(flags))
    }

    fn wait(&self, ended: &mpsc::Receiver<()>) {
        while ended.try_recv() == Err(TryRecvError::Empty) {
            if !self.run_one() && self.pass_time(Duration::MAX) == Moved::Nowhere {
                // Nobody will ever answer: the process hangs, which ends it here.
                self.kill();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::timer::{self, sleep};

    /// Three tasks that note their steps, in the order that a seed gives.
    fn steps(seed: u64) -> String {
        let begun = VirtualTime::begin();
        let sim = Sim::new(begun.0.clone(), seed);
        let noted = Arc::new(Mutex::new(String::new()));
        for name in ["a", "b", "c"] {
            let noted = noted.clone();
            sim.tasks().spawn(async move {
                for pause_ms in [0, 5, 5] {
                    sleep(Duration::from_millis(pause_ms)).await;
                    noted.lock().unwrap_or_else(PoisonError::into_inner).push_str(name);
                }
            });
        }
        while sim.run_one() || sim.pass_time(Duration::MAX) == Moved::On {}
        assert_eq!(begun.0.elapsed(), Duration::from_millis(10));
        noted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[test]
    fn the_order_follows_from_the_seed_and_time_from_deadlines() {
        assert_eq!(steps(1), steps(1));
        let orders: std::collections::BTreeSet<String> = (0..50).map(steps).collect();
        assert!(orders.len() > 10, "{orders:?}");
    }

    #[test]
    fn work_is_waited_for_and_a_hang_is_noticed() {
        let begun = VirtualTime::begin();
        let sim = Sim::new(begun.0.clone(), 1);
        let start = timer::now();
        let slept = sim.tasks().wait(async {
            sleep(Duration::from_secs(3600)).await;
            7
        });
        assert_eq!(slept.ok(), Some(7));
        assert_eq!(timer::now() - start, Duration::from_secs(3600));
        let running = sim.tasks().spawn(std::future::pending());
        running.abort();
        assert!(sim.run_one() && running.is_finished());
        assert!(sim.tasks().wait(std::future::pending::<()>()).is_err());
    }
}
