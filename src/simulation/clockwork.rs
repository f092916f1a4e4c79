//! What happens next in a world: a step of a worker, a poll of a task, or time passes?
//!
//! A [`Clockwork`] is of one process, made by `world`. What always holds: turns follow from the seed;
//! a process that is to be killed or stopped at a turn is; one that goes round in circles ends.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::executor::{Moved, Sim};
use super::scenario::End;
use crate::runtime::crash::{CrashPoint, CrashSchedule};
use crate::runtime::options::{OneThread, Turn, Turns};
use crate::time::virtual_time::VirtualTime;

/// A job that has not ended after so many turns goes round in circles.
const TURNS_MAX: u64 = 3_000_000;
/// No process has anything to do for so long.
const LASTS_MAX: Duration = Duration::from_secs(36 * 3600);

/// Dies the n-th time that a point is reached.
pub(super) struct CrashAt {
    pub point: CrashPoint,
    pub left: AtomicU64,
}

impl CrashSchedule for CrashAt {
    fn reached(&self, point: CrashPoint) -> bool {
        point == self.point && self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// Gives turns to workers, tasks and time.
pub(super) struct Clockwork {
    sim: Arc<Sim>,
    time: Arc<VirtualTime>,
    end: Option<End>,
    /// How often what waits to be published has its turn: at once, or after other checkpoints.
    publication_share: f64,
    /// What happens in the midst of the process, and at which turn.
    once: Option<(u64, Box<dyn Fn() + Send + Sync>)>,
    /// Set when the process is asked to stop.
    pub stop: Arc<AtomicBool>,
    /// When the process began, by the world's clock.
    began: Duration,
    state: Mutex<Ticking>,
}

struct Ticking {
    rng: ChaCha8Rng,
    turns: u64,
    /// Why it was stopped, if nothing else was possible.
    why: String,
}

impl Clockwork {
    pub fn new(sim: &Arc<Sim>, time: &Arc<VirtualTime>, seed: u64, end: Option<End>) -> Clockwork {
        let mut rng = ChaCha8Rng::seed_from_u64(!seed);
        let publication_share = [0.5, 0.05, 0.005][rng.random_range(0..3)];
        let ticking = Ticking { rng, turns: 0, why: String::new() };
        Clockwork {
            sim: sim.clone(),
            time: time.clone(),
            end,
            publication_share,
            once: None,
            stop: Arc::default(),
            began: time.elapsed(),
            state: Mutex::new(ticking),
        }
    }

    fn state(&self) -> MutexGuard<'_, Ticking> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has something happen at a turn. The process stands still meanwhile, while time passes.
    pub fn once(&mut self, turn: u64, what: impl Fn() + Send + Sync + 'static) {
        self.once = Some((turn, Box::new(what)));
    }

    pub fn turns(&self) -> u64 {
        self.state().turns
    }

    /// Why nothing went on, in words behind an error.
    pub fn why(&self) -> String {
        self.state().why.clone()
    }
}

impl Turns for Clockwork {
    fn next(&self, stands: OneThread) -> Turn {
        let OneThread { workers, idle, publishes } = stands;
        let mut state = self.state();
        state.turns += 1;
        let turn = state.turns;
        if let Some((_, what)) = self.once.as_ref().filter(|(at, _)| *at == turn) {
            drop(state);
            what();
            state = self.state();
        }
        match self.end {
            Some(End::KilledAtTurn(at)) if turn > at => return Turn::Killed,
            Some(End::StoppedAtTurn(at)) if turn > at => self.stop.store(true, Ordering::Release),
            Some(End::KilledAtWrite(..)) if self.sim.is_killed() => return Turn::Killed,
            _ => {}
        }
        let lasts = self.time.elapsed() - self.began;
        if turn > TURNS_MAX || lasts > LASTS_MAX {
            state.why = format!(", after {turn} turns and {} s", lasts.as_secs_f64());
            return Turn::Nothing;
        }
        let worker = state.rng.random_range(0..workers);
        let task_first = state.rng.random_bool(0.3);
        let publication_first = publishes && state.rng.random_bool(self.publication_share);
        drop(state);
        if publication_first {
            return Turn::Publication;
        }
        // Each of the workers has most likely looked.
        let all_idle = idle > 3 * workers;
        if (task_first || all_idle) && self.sim.run_one() {
            return Turn::Outside;
        }
        if !all_idle {
            return Turn::Worker(worker);
        }
        match self.sim.pass_time(Duration::from_millis(100)) {
            Moved::On => Turn::Outside,
            Moved::Nowhere => Turn::Nothing,
        }
    }
}
