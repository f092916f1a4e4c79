//! What does a checkpoint that takes its time wait for?
//!
//! Workers and the job thread note here what holds up the epoch that is under way; the job thread
//! reads it, for log lines and `/health`. What always holds: a note names a table, an operator or a
//! step, in words that follow "waits 93 s for"; notes are looked up now and then and decide
//! nothing but whether a stop goes on waiting.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sql::hints;

/// From one look of a worker at what holds it up to the next: a look costs more than a step.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Something that holds an epoch up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    pub awaited: String,
    /// It waits for a system outside, so that nobody here can say for how long.
    pub is_outside: bool,
}

impl Hold {
    pub fn here(awaited: String) -> Hold {
        Hold { awaited, is_outside: false }
    }

    /// A sink is full.
    pub fn room_in(table: &str) -> Hold {
        let table = hints::base_name(table);
        Hold { awaited: format!("table {table} to take what it was given"), is_outside: true }
    }
}

/// The notes of all workers, and of the job thread and who publishes for it.
#[derive(Debug)]
pub struct Holds {
    workers: Vec<Mutex<Option<Hold>>>,
    job: Mutex<Option<Hold>>,
}

impl Holds {
    pub fn new(workers: usize) -> Holds {
        Holds { workers: (0..workers).map(|_| Mutex::default()).collect(), job: Mutex::default() }
    }

    pub(crate) fn note(&self, worker: usize, hold: Option<Hold>) {
        *lock(&self.workers[worker]) = hold;
    }

    pub(crate) fn note_job(&self, hold: Option<Hold>) {
        *lock(&self.job) = hold;
    }

    /// What an epoch waits for: what is outside if there is such a thing, since all else may wait
    /// for that.
    pub(crate) fn now(&self) -> Option<Hold> {
        if let Some(hold) = lock(&self.job).clone() {
            return Some(hold);
        }
        let mut holds: Vec<Hold> =
            self.workers.iter().filter_map(|worker| lock(worker).clone()).collect();
        // Stable: of several the first worker's.
        holds.sort_by_key(|hold| !hold.is_outside);
        holds.into_iter().next()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `waits 93 s for table board to take what it was given`
pub(crate) fn told(waited: Duration, hold: Option<&Hold>) -> String {
    let awaited = hold.map_or("its workers", |hold| &hold.awaited);
    format!("waits {} s for {awaited}", waited.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outside_is_named_first_and_the_job_before_its_workers() {
        let holds = Holds::new(2);
        let told = || told(Duration::from_secs(93), holds.now().as_ref());
        assert_eq!(told(), "waits 93 s for its workers");
        holds.note(0, Some(Hold::here("the barrier to reach Rank".into())));
        assert_eq!(told(), "waits 93 s for the barrier to reach Rank");
        holds.note(1, Some(Hold::room_in("board")));
        assert_eq!(told(), "waits 93 s for table board to take what it was given");
        holds.note_job(Some(Hold::here("its files to be stored".into())));
        assert_eq!(told(), "waits 93 s for its files to be stored");
        holds.note_job(None);
        holds.note(1, None);
        assert_eq!(told(), "waits 93 s for the barrier to reach Rank");
    }
}
