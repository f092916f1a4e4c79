//! When is an epoch opened, when is it complete, and when is the job over?
//!
//! [`Epochs`] decides, `job` acts: what happened goes in, what is to be done comes out, and nothing
//! here reads a clock, a disk or a worker. The table of its tests lists the situations. What always
//! holds: one epoch is open at a time, from its request until its checkpoint is stored; epochs are
//! numbered in order without a gap; sinks publish one thing at a time, which is all that was stored
//! by then; the last epoch is the one that ends the job.
//!
//! ```text
//! workers  ── Open ──▶ open ── Store (all parts are here) ──▶ stored ── Open ──▶ …
//!                       │ a stop, and what is outside holds it up
//!                       └──▶ End: the checkpoint before it stands
//! sinks                                   Publish what is stored ──▶ publishing ── Complete ──▶ Publish what was stored meanwhile, or End
//!                                                                        │ a stop: GiveUp
//!                                                                        └──▶ End: the next start publishes
//! ```
//!
//! So checkpoints go on while a table takes nothing, until as much waits for it as may
//! ([`Stands::is_owed_full`]).
//!
//! An epoch that is not through a phase in its time is told ([`Action::Tell`]), and one that is open
//! for the time that a checkpoint may take counts as failed ([`Action::Fail`]). Its barrier cannot be
//! called back, and another one would stand behind it; so it stays under way, counts as failed once
//! more each time that time has passed again, and is a checkpoint after all when it gets through.

use std::time::Duration;

use crate::ids::{Epoch, WorkerId};
use crate::runtime::control::Snapshot;
use crate::runtime::observer::Outcome;
use crate::runtime::options::{CheckpointLimits, CheckpointTrigger};
use crate::sink::Afterwards;

/// From one call of `progress` to the next.
const SHOW_INTERVAL: Duration = Duration::from_millis(100);
/// From one audit of the sources to the next: rare enough to cost nothing, soon enough to be told
/// the same day.
const AUDIT_INTERVAL: Duration = Duration::from_secs(60);

/// An epoch that is in one phase for so long is told; it is told again each time the wait has
/// doubled.
const TOLD_AFTER: Duration = Duration::from_secs(30);
/// How long a stop waits for what is outside: whoever asked for it may kill the process soon.
pub(crate) const STOP_WAIT_MAX: Duration = Duration::from_secs(5);

/// What has happened.
#[derive(Debug)]
pub(crate) enum Happened {
    /// Nothing but time.
    Nothing,
    /// A worker has completed its part of the open epoch.
    Part(Snapshot),
    /// Every window of a worker has fired and the end of input has passed all its chains.
    Drained(WorkerId),
    /// The sinks have published what they staged.
    Published,
    /// They have given up, as they were asked to.
    GaveUp,
}

/// How the job stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stands {
    /// By the monotonic clock.
    pub now: Duration,
    /// Read by this process.
    pub records: u64,
    /// Somebody asked the job to stop.
    pub is_stop_asked: bool,
    /// A sink holds so much for the next checkpoint that it should come soon.
    pub is_epoch_wanted: bool,
    /// Something outside holds the open epoch up.
    pub is_outside_awaited: bool,
    /// Checkpoints hold as much that sinks have not published as they may.
    pub is_owed_full: bool,
}

/// What is to be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Show how far the job is.
    Show,
    /// Ask the sources what has changed in their systems.
    Audit,
    /// Request an epoch of the workers.
    Open { epoch: Epoch, afterwards: Afterwards },
    /// Make a checkpoint of the parts.
    Store { epoch: Epoch, is_finished: bool, parts: Vec<Snapshot> },
    /// Let the sinks publish what the newest checkpoint has for them, which is that of this epoch.
    Publish { epoch: Epoch },
    /// Note that the epoch is complete, with all before it, and forget older ones.
    Complete { epoch: Epoch },
    /// Say what the epoch waits for: to be stored, or to be published.
    Tell { epoch: Epoch, waits: Waits, waited: Duration },
    /// Count the epoch as failed. `is_last`: more in a row are not tolerated, and the job fails.
    Fail { epoch: Epoch, waited: Duration, is_last: bool },
    /// Have the sinks give up publishing.
    GiveUp,
    /// The job is over.
    End(Outcome),
}

/// What an epoch has still to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    ToBeStored,
    ToBePublished,
}

/// Why an epoch was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Regular,
    Stop,
    Finish,
}

/// An epoch that workers are at.
#[derive(Debug)]
struct Open {
    purpose: Purpose,
    parts: Vec<Snapshot>,
    watch: Watch,
    /// After which wait it counts as failed next.
    fail_after: Duration,
}

/// What the sinks are at.
#[derive(Debug)]
struct Publishing {
    /// The newest that is part of it.
    epoch: Epoch,
    watch: Watch,
}

/// What a phase has come to.
#[derive(Debug, Clone, Copy)]
struct Watch {
    /// When the phase began.
    since: Duration,
    /// After which wait it is told next.
    tell_after: Duration,
}

impl Watch {
    fn new(now: Duration) -> Watch {
        Watch { since: now, tell_after: TOLD_AFTER }
    }

    fn waited(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }

    /// The wait, if it is to be told.
    fn told(&mut self, now: Duration) -> Option<Duration> {
        let waited = self.waited(now);
        if waited < self.tell_after {
            return None;
        }
        self.tell_after = waited * 2;
        Some(waited)
    }
}

/// The state of the machine.
#[derive(Debug)]
pub(crate) struct Epochs {
    trigger: CheckpointTrigger,
    limits: CheckpointLimits,
    /// The number of the newest epoch.
    newest: Epoch,
    open: Option<Open>,
    publishing: Option<Publishing>,
    /// The newest that is stored, while it waits for what the sinks are at.
    stored: Option<Epoch>,
    /// How the job ends, once its last epoch is stored.
    ending: Option<Outcome>,
    /// By worker.
    drained: Vec<bool>,
    /// When the newest epoch was opened, and the records read by then.
    opened: (Duration, u64),
    shown: Duration,
    audited: Duration,
    /// Failures since the last epoch that was stored.
    failures: u64,
    stop_asked: Option<Duration>,
    has_given_up: bool,
}

impl Epochs {
    /// `newest`: epochs up to this one are numbered already. `now`: by the monotonic clock.
    pub fn new(
        trigger: CheckpointTrigger,
        limits: CheckpointLimits,
        workers: usize,
        newest: Epoch,
        now: Duration,
    ) -> Epochs {
        let drained = vec![false; workers];
        Epochs {
            trigger,
            limits,
            newest,
            open: None,
            publishing: None,
            stored: None,
            ending: None,
            drained,
            opened: (now, 0),
            shown: Duration::ZERO,
            audited: now,
            failures: 0,
            stop_asked: None,
            has_given_up: false,
        }
    }

    /// What is waited for, and since when; None while nothing is. Of two things the one that has
    /// lasted longer.
    pub fn awaited(&self) -> Option<(Waits, Duration)> {
        let open = self.open.as_ref().map(|open| (Waits::ToBeStored, open.watch.since));
        let published = self.publishing.as_ref().map(|p| (Waits::ToBePublished, p.watch.since));
        open.into_iter().chain(published).min_by_key(|(_, since)| *since)
    }

    /// What follows from what has happened.
    pub fn on(&mut self, happened: Happened, stands: Stands) -> Vec<Action> {
        let mut actions = Vec::new();
        if stands.now.saturating_sub(self.shown) >= SHOW_INTERVAL {
            self.shown = stands.now;
            actions.push(Action::Show);
        }
        if stands.now.saturating_sub(self.audited) >= AUDIT_INTERVAL {
            self.audited = stands.now;
            actions.push(Action::Audit);
        }
        if stands.is_stop_asked {
            self.stop_asked.get_or_insert(stands.now);
        }
        match happened {
            Happened::Nothing => {}
            Happened::Drained(worker) => self.drained[worker.index()] = true,
            Happened::Part(part) => actions.extend(self.add_part(part)),
            Happened::GaveUp => {
                debug_assert!(self.has_given_up, "nobody asked the sinks to give up");
                actions.push(Action::End(Outcome::Stopped));
                return actions;
            }
            Happened::Published => {
                let Some(Publishing { epoch, .. }) = self.publishing.take() else {
                    debug_assert!(false, "sinks have published what nobody asked for");
                    return actions;
                };
                actions.push(Action::Complete { epoch });
                let is_all = self.stored.is_none();
                // Once they have given up no sink publishes any more: the rest is for the next start.
                let given_up = self.has_given_up.then_some(Outcome::Stopped);
                if let Some(outcome) = self.ending.filter(|_| is_all).or(given_up) {
                    actions.push(Action::End(outcome));
                    return actions;
                }
            }
        }
        actions.extend(self.publish(stands.now));
        actions.extend(self.open(stands));
        actions.extend(self.watch(stands));
        actions
    }

    /// What follows from how long the phases last.
    fn watch(&mut self, stands: Stands) -> Vec<Action> {
        let mut actions = Vec::new();
        let stop_waited = self.stop_asked.map(|asked| stands.now.saturating_sub(asked));
        let is_stop_due = stop_waited.is_some_and(|waited| waited >= STOP_WAIT_MAX);
        let is_held = self.open.is_none() || stands.is_outside_awaited;
        if is_stop_due && is_held {
            if self.publishing.is_some() && !std::mem::replace(&mut self.has_given_up, true) {
                actions.push(Action::GiveUp);
            }
            if let Some(open) = &self.open {
                let (waits, waited) = (Waits::ToBeStored, open.watch.waited(stands.now));
                actions.push(Action::Tell { epoch: self.newest, waits, waited });
                actions.push(Action::End(Outcome::Stopped));
                return actions;
            }
        }
        if let Some(Publishing { epoch, watch }) = &mut self.publishing
            && let Some(waited) = watch.told(stands.now)
        {
            actions.push(Action::Tell { epoch: *epoch, waits: Waits::ToBePublished, waited });
        }
        let Some(open) = &mut self.open else { return actions };
        let (epoch, waits) = (self.newest, Waits::ToBeStored);
        let told = open.watch.told(stands.now);
        actions.extend(told.map(|waited| Action::Tell { epoch, waits, waited }));
        let waited = open.watch.waited(stands.now);
        if waited >= open.fail_after {
            open.fail_after = waited + self.limits.timeout;
            self.failures += 1;
            let is_last = self.limits.failures_max.is_some_and(|most| self.failures > most);
            actions.push(Action::Fail { epoch, waited, is_last });
        }
        actions
    }

    fn add_part(&mut self, part: Snapshot) -> Option<Action> {
        let Some(Open { purpose, parts, .. }) = &mut self.open else {
            debug_assert!(
                false,
                "worker {} gives a part of epoch {}, and none is open",
                part.worker, part.epoch
            );
            return None;
        };
        debug_assert_eq!(part.epoch, self.newest, "a part of another epoch");
        debug_assert!(
            parts.iter().all(|p| p.worker != part.worker),
            "worker {} gives two parts",
            part.worker
        );
        parts.push(part);
        if parts.len() < self.drained.len() {
            return None;
        }
        let (purpose, mut parts) = (*purpose, std::mem::take(parts));
        parts.sort_by_key(|p| p.worker);
        self.open = None;
        self.stored = Some(self.newest);
        self.failures = 0;
        self.ending = match purpose {
            Purpose::Regular => None,
            Purpose::Stop => Some(Outcome::Stopped),
            Purpose::Finish => Some(Outcome::Finished),
        };
        Some(Action::Store { epoch: self.newest, is_finished: purpose == Purpose::Finish, parts })
    }

    /// Has the sinks publish what is stored, if they are at nothing.
    fn publish(&mut self, now: Duration) -> Option<Action> {
        if self.publishing.is_some() {
            return None;
        }
        let epoch = self.stored.take()?;
        self.publishing = Some(Publishing { epoch, watch: Watch::new(now) });
        Some(Action::Publish { epoch })
    }

    fn open(&mut self, stands: Stands) -> Option<Action> {
        if self.open.is_some() || self.ending.is_some() {
            return None;
        }
        let (opened_at, opened_records) = self.opened;
        let is_due = match self.trigger {
            CheckpointTrigger::Interval(interval) => {
                stands.now.saturating_sub(opened_at) >= interval
            }
            CheckpointTrigger::Records(n) => stands.records >= opened_records + n,
            CheckpointTrigger::AtEnd => false,
        };
        let purpose = if self.drained.iter().all(|&d| d) {
            Purpose::Finish
        } else if stands.is_stop_asked {
            Purpose::Stop
        } else if (is_due || stands.is_epoch_wanted) && !stands.is_owed_full {
            Purpose::Regular
        } else {
            return None;
        };
        self.opened = (stands.now, stands.records);
        self.newest = self.newest.next();
        self.open = Some(Open {
            purpose,
            parts: Vec::new(),
            watch: Watch::new(stands.now),
            fail_after: self.limits.timeout,
        });
        let afterwards = match purpose {
            Purpose::Regular => Afterwards::GoesOn,
            Purpose::Stop => Afterwards::Stops,
            Purpose::Finish => Afterwards::Ends,
        };
        Some(Action::Open { epoch: self.newest, afterwards })
    }
}

#[cfg(test)]
#[path = "epochs_tests.rs"]
mod tests;
