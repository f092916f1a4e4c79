//! What does a checkpoint that takes its time wait for?
//!
//! Workers note here what holds up the epoch that is open, and who publishes what that waits for;
//! the job thread reads it, for log lines and `/health`. What always holds: a note names a table, an operator or a
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

/// The notes of all workers, and of who publishes.
#[derive(Debug)]
pub struct Holds {
    workers: Vec<Mutex<Option<Hold>>>,
    publication: Mutex<Option<Hold>>,
}

impl Holds {
    pub fn new(workers: usize) -> Holds {
        let workers = (0..workers).map(|_| Mutex::default()).collect();
        Holds { workers, publication: Mutex::default() }
    }

    pub(crate) fn note(&self, worker: usize, hold: Option<Hold>) {
        *lock(&self.workers[worker]) = hold;
    }

    pub(crate) fn note_publication(&self, hold: Option<Hold>) {
        *lock(&self.publication) = hold;
    }

    /// What it waits for to publish.
    pub(crate) fn of_publication(&self) -> Option<Hold> {
        lock(&self.publication).clone()
    }

    /// What the open epoch waits for: what is outside if there is such a thing, since all else may
    /// wait for that.
    pub(crate) fn of_workers(&self) -> Option<Hold> {
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
    fn what_is_outside_is_named_first() {
        let holds = Holds::new(2);
        let told = || told(Duration::from_secs(93), holds.of_workers().as_ref());
        assert_eq!(told(), "waits 93 s for its workers");
        holds.note(0, Some(Hold::here("the barrier to reach Rank".into())));
        assert_eq!(told(), "waits 93 s for the barrier to reach Rank");
        holds.note(1, Some(Hold::room_in("board")));
        assert_eq!(told(), "waits 93 s for table board to take what it was given");
        holds.note_publication(Some(Hold::room_in("sums")));
        assert_eq!(told(), "waits 93 s for table board to take what it was given");
        assert_eq!(holds.of_publication(), Some(Hold::room_in("sums")));
        holds.note(1, None);
        assert_eq!(told(), "waits 93 s for the barrier to reach Rank");
    }
}
