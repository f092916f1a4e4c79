//! When is an epoch opened, when is it complete, and when is the job over?
//!
//! [`Epochs`] decides, `job` acts: what happened goes in, what is to be done comes out, and nothing
//! here reads a clock, a disk or a worker. The table of its tests lists the situations. What always
//! holds: one epoch is under way at a time, from its request until its sinks have published; epochs
//! are numbered in order without a gap; the last one is the one that ends the job.
//!
//! ```text
//! waiting ── Open ──▶ open ── Publish (all parts are here) ──▶ publishing ── Complete ──▶ waiting, or End
//!                      │ a stop, and what is outside holds it up                 │ a stop: GiveUp
//!                      └──▶ End: the checkpoint before it stands                 └──▶ End: the next start publishes
//! ```
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
    /// Make a checkpoint of the parts, then let the sinks publish.
    Publish { epoch: Epoch, is_finished: bool, parts: Vec<Snapshot> },
    /// Note that the epoch is complete and forget older ones.
    Complete { epoch: Epoch },
    /// Say what the epoch waits for.
    Tell { epoch: Epoch, waited: Duration },
    /// Count the epoch as failed. `is_last`: more in a row are not tolerated, and the job fails.
    Fail { epoch: Epoch, waited: Duration, is_last: bool },
    /// Have the sinks give up publishing.
    GiveUp,
    /// The job is over.
    End(Outcome),
}

/// Why an epoch was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Regular,
    Stop,
    Finish,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    Open { purpose: Purpose, parts: Vec<Snapshot> },
    Publishing { purpose: Purpose },
}

/// What the phase that the machine is in has come to.
#[derive(Debug, Clone, Copy)]
struct Watch {
    /// When the phase began.
    since: Duration,
    /// After which wait it is told next.
    tell_after: Duration,
    /// After which wait it counts as failed next.
    fail_after: Duration,
}

/// The state of the machine.
#[derive(Debug)]
pub(crate) struct Epochs {
    trigger: CheckpointTrigger,
    limits: CheckpointLimits,
    /// The number of the newest epoch, which is under way unless the phase is `Waiting`.
    newest: Epoch,
    phase: Phase,
    /// By worker.
    drained: Vec<bool>,
    /// When the newest epoch was opened, and the records read by then.
    opened: (Duration, u64),
    shown: Duration,
    audited: Duration,
    watch: Watch,
    /// Failures since the last epoch that was complete.
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
            phase: Phase::Waiting,
            drained,
            opened: (now, 0),
            shown: Duration::ZERO,
            audited: now,
            watch: limits.watch(now),
            failures: 0,
            stop_asked: None,
            has_given_up: false,
        }
    }

    /// Since when the phase lasts that something is to come out of; None while nothing is awaited.
    pub fn awaited_since(&self) -> Option<Duration> {
        (!matches!(self.phase, Phase::Waiting)).then_some(self.watch.since)
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
            Happened::Part(part) => actions.extend(self.add_part(part, stands.now)),
            Happened::GaveUp => {
                debug_assert!(self.has_given_up, "nobody asked the sinks to give up");
                actions.push(Action::End(Outcome::Stopped));
                return actions;
            }
            Happened::Published => {
                let Phase::Publishing { purpose } = self.phase else {
                    debug_assert!(false, "sinks have published what nobody asked for");
                    return actions;
                };
                self.phase = Phase::Waiting;
                self.failures = 0;
                actions.push(Action::Complete { epoch: self.newest });
                let outcome = match purpose {
                    // No sink publishes any more.
                    Purpose::Regular if self.has_given_up => Some(Outcome::Stopped),
                    Purpose::Regular => None,
                    Purpose::Stop => Some(Outcome::Stopped),
                    Purpose::Finish => Some(Outcome::Finished),
                };
                if let Some(outcome) = outcome {
                    actions.push(Action::End(outcome));
                    return actions;
                }
            }
        }
        actions.extend(self.open(stands));
        actions.extend(self.watch(stands));
        actions
    }

    /// What follows from how long the phase lasts.
    fn watch(&mut self, stands: Stands) -> Vec<Action> {
        if matches!(self.phase, Phase::Waiting) {
            return vec![];
        }
        let (epoch, mut actions) = (self.newest, Vec::new());
        let waited = stands.now.saturating_sub(self.watch.since);
        let is_open = matches!(self.phase, Phase::Open { .. });
        let stop_waited = self.stop_asked.map(|asked| stands.now.saturating_sub(asked));
        if stop_waited.is_some_and(|waited| waited >= STOP_WAIT_MAX) {
            if is_open && stands.is_outside_awaited {
                actions.push(Action::Tell { epoch, waited });
                actions.push(Action::End(Outcome::Stopped));
                return actions;
            }
            if !is_open && !std::mem::replace(&mut self.has_given_up, true) {
                actions.push(Action::GiveUp);
            }
        }
        if waited >= self.watch.tell_after {
            self.watch.tell_after = waited * 2;
            actions.push(Action::Tell { epoch, waited });
        }
        // What is being published is a checkpoint already.
        if is_open && waited >= self.watch.fail_after {
            self.watch.fail_after = waited + self.limits.timeout;
            self.failures += 1;
            let is_last = self.limits.failures_max.is_some_and(|most| self.failures > most);
            actions.push(Action::Fail { epoch, waited, is_last });
        }
        actions
    }

    fn add_part(&mut self, part: Snapshot, now: Duration) -> Option<Action> {
        let Phase::Open { purpose, parts } = &mut self.phase else {
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
        self.phase = Phase::Publishing { purpose };
        self.watch = self.limits.watch(now);
        Some(Action::Publish { epoch: self.newest, is_finished: purpose == Purpose::Finish, parts })
    }

    fn open(&mut self, stands: Stands) -> Option<Action> {
        if !matches!(self.phase, Phase::Waiting) {
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
        } else if is_due || stands.is_epoch_wanted {
            Purpose::Regular
        } else {
            return None;
        };
        self.opened = (stands.now, stands.records);
        self.newest = self.newest.next();
        self.phase = Phase::Open { purpose, parts: Vec::new() };
        self.watch = self.limits.watch(stands.now);
        let afterwards = match purpose {
            Purpose::Regular => Afterwards::GoesOn,
            Purpose::Stop => Afterwards::Stops,
            Purpose::Finish => Afterwards::Ends,
        };
        Some(Action::Open { epoch: self.newest, afterwards })
    }
}

impl CheckpointLimits {
    fn watch(&self, now: Duration) -> Watch {
        Watch { since: now, tell_after: TOLD_AFTER, fail_after: self.timeout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY_10_S: CheckpointTrigger = CheckpointTrigger::Interval(Duration::from_secs(10));

    fn part(worker: usize, epoch: u64) -> Happened {
        Happened::Part(snapshot(worker, epoch))
    }

    fn snapshot(worker: usize, epoch: u64) -> Snapshot {
        let (worker, epoch) = (WorkerId::new(worker), Epoch::new(epoch));
        Snapshot {
            worker,
            epoch,
            splits: vec![],
            operators: vec![],
            staged: vec![],
            errors_staged: vec![],
        }
    }

    /// A job of two workers whose epochs up to 4 are numbered.
    fn machine(trigger: CheckpointTrigger) -> Epochs {
        let limits = CheckpointLimits { timeout: Duration::from_secs(100), failures_max: Some(1) };
        let epochs = Epochs::new(trigger, limits, 2, Epoch::new(4), Duration::ZERO);
        Epochs { shown: Duration::MAX, audited: Duration::MAX, ..epochs }
    }

    fn at(seconds: u64) -> Stands {
        Stands { now: Duration::from_secs(seconds), ..Stands::default() }
    }

    fn open(epoch: u64, afterwards: Afterwards) -> Action {
        Action::Open { epoch: Epoch::new(epoch), afterwards }
    }

    /// Tells the machine one thing after the other and compares what it wants done.
    fn walk(mut epochs: Epochs, steps: Vec<(Happened, Stands, Vec<Action>)>) {
        for (number, (happened, stands, wanted)) in steps.into_iter().enumerate() {
            let text = format!("step {number}: {happened:?}");
            assert_eq!(epochs.on(happened, stands), wanted, "{text}");
        }
    }

    #[test]
    fn an_epoch_is_published_when_all_parts_are_here_and_the_next_waits_for_its_sinks() {
        let parts = vec![snapshot(0, 5), snapshot(1, 5)];
        walk(
            machine(EVERY_10_S),
            vec![
                (Happened::Nothing, at(9), vec![]),
                (Happened::Nothing, at(10), vec![open(5, Afterwards::GoesOn)]),
                (part(1, 5), at(11), vec![]),
                (
                    part(0, 5),
                    at(12),
                    vec![Action::Publish { epoch: Epoch::new(5), is_finished: false, parts }],
                ),
                (Happened::Nothing, at(30), vec![]),
                (
                    Happened::Published,
                    at(31),
                    vec![Action::Complete { epoch: Epoch::new(5) }, open(6, Afterwards::GoesOn)],
                ),
            ],
        );
    }

    #[test]
    fn the_interval_runs_from_opening_to_opening() {
        walk(
            machine(EVERY_10_S),
            vec![
                (Happened::Nothing, at(10), vec![open(5, Afterwards::GoesOn)]),
                (part(0, 5), at(18), vec![]),
                (
                    part(1, 5),
                    at(18),
                    vec![Action::Publish {
                        epoch: Epoch::new(5),
                        is_finished: false,
                        parts: vec![snapshot(0, 5), snapshot(1, 5)],
                    }],
                ),
                (Happened::Published, at(19), vec![Action::Complete { epoch: Epoch::new(5) }]),
                (Happened::Nothing, at(20), vec![open(6, Afterwards::GoesOn)]),
            ],
        );
    }

    #[test]
    fn records_are_counted_from_opening_to_opening() {
        let read = |records| Stands { records, ..Stands::default() };
        walk(
            machine(CheckpointTrigger::Records(100)),
            vec![
                (Happened::Nothing, read(99), vec![]),
                (Happened::Nothing, read(130), vec![open(5, Afterwards::GoesOn)]),
                (part(0, 5), read(300), vec![]),
                (
                    part(1, 5),
                    read(300),
                    vec![Action::Publish {
                        epoch: Epoch::new(5),
                        is_finished: false,
                        parts: vec![snapshot(0, 5), snapshot(1, 5)],
                    }],
                ),
                (Happened::Published, read(229), vec![Action::Complete { epoch: Epoch::new(5) }]),
                (Happened::Nothing, read(230), vec![open(6, Afterwards::GoesOn)]),
            ],
        );
    }

    #[test]
    fn a_sink_that_is_nearly_full_gets_its_epoch_whatever_the_trigger() {
        let full = |seconds| Stands { is_epoch_wanted: true, ..at(seconds) };
        for trigger in [CheckpointTrigger::AtEnd, CheckpointTrigger::Records(100), EVERY_10_S] {
            let parts = vec![snapshot(0, 5), snapshot(1, 5)];
            walk(
                machine(trigger),
                vec![
                    (Happened::Nothing, at(1), vec![]),
                    (Happened::Nothing, full(1), vec![open(5, Afterwards::GoesOn)]),
                    (part(0, 5), full(1), vec![]),
                    (
                        part(1, 5),
                        full(1),
                        vec![Action::Publish { epoch: Epoch::new(5), is_finished: false, parts }],
                    ),
                    (Happened::Published, at(2), vec![Action::Complete { epoch: Epoch::new(5) }]),
                ],
            );
        }
    }

    #[test]
    fn a_drained_job_finishes_and_a_stop_does_not_take_that_away() {
        let stop = Stands { is_stop_asked: true, ..at(1) };
        walk(
            machine(CheckpointTrigger::AtEnd),
            vec![
                (Happened::Drained(WorkerId::new(1)), at(1), vec![]),
                (Happened::Drained(WorkerId::new(0)), stop, vec![open(5, Afterwards::Ends)]),
                (part(0, 5), stop, vec![]),
                (
                    part(1, 5),
                    stop,
                    vec![Action::Publish {
                        epoch: Epoch::new(5),
                        is_finished: true,
                        parts: vec![snapshot(0, 5), snapshot(1, 5)],
                    }],
                ),
                (
                    Happened::Published,
                    stop,
                    vec![Action::Complete { epoch: Epoch::new(5) }, Action::End(Outcome::Finished)],
                ),
            ],
        );
    }

    #[test]
    fn a_stop_waits_for_the_epoch_under_way_and_takes_one_of_its_own() {
        let stop = |seconds| Stands { is_stop_asked: true, ..at(seconds) };
        let publish = |epoch| Action::Publish {
            epoch: Epoch::new(epoch),
            is_finished: false,
            parts: vec![snapshot(0, epoch), snapshot(1, epoch)],
        };
        walk(
            machine(EVERY_10_S),
            vec![
                (Happened::Nothing, at(10), vec![open(5, Afterwards::GoesOn)]),
                (part(0, 5), stop(10), vec![]),
                (part(1, 5), stop(10), vec![publish(5)]),
                (
                    Happened::Published,
                    stop(10),
                    vec![Action::Complete { epoch: Epoch::new(5) }, open(6, Afterwards::Stops)],
                ),
                (part(0, 6), stop(11), vec![]),
                (Happened::Drained(WorkerId::new(0)), stop(11), vec![]),
                (part(1, 6), stop(11), vec![publish(6)]),
                (
                    Happened::Published,
                    stop(12),
                    vec![Action::Complete { epoch: Epoch::new(6) }, Action::End(Outcome::Stopped)],
                ),
            ],
        );
    }

    fn tell(epoch: u64, seconds: u64) -> Action {
        Action::Tell { epoch: Epoch::new(epoch), waited: Duration::from_secs(seconds) }
    }

    #[test]
    fn an_epoch_that_waits_is_told_ever_more_rarely_and_counts_as_failed_after_its_time() {
        let fail = |seconds, is_last| Action::Fail {
            epoch: Epoch::new(5),
            waited: Duration::from_secs(seconds),
            is_last,
        };
        walk(
            machine(EVERY_10_S),
            vec![
                (Happened::Nothing, at(10), vec![open(5, Afterwards::GoesOn)]),
                (Happened::Nothing, at(39), vec![]),
                (part(0, 5), at(40), vec![tell(5, 30)]),
                (Happened::Nothing, at(69), vec![]),
                (Happened::Nothing, at(70), vec![tell(5, 60)]),
                (Happened::Nothing, at(110), vec![fail(100, false)]),
                (Happened::Nothing, at(130), vec![tell(5, 120)]),
                (Happened::Nothing, at(210), vec![fail(200, true)]),
            ],
        );
    }

    #[test]
    fn failures_are_counted_in_a_row_and_what_is_published_is_not_one() {
        let fail = |epoch| Action::Fail {
            epoch: Epoch::new(epoch),
            waited: Duration::from_secs(100),
            is_last: false,
        };
        let publish = |epoch| Action::Publish {
            epoch: Epoch::new(epoch),
            is_finished: false,
            parts: vec![snapshot(0, epoch), snapshot(1, epoch)],
        };
        walk(
            machine(EVERY_10_S),
            vec![
                (Happened::Nothing, at(10), vec![open(5, Afterwards::GoesOn)]),
                (part(0, 5), at(110), vec![tell(5, 100), fail(5)]),
                (part(1, 5), at(111), vec![publish(5)]),
                (Happened::Nothing, at(140), vec![]),
                (Happened::Nothing, at(300), vec![tell(5, 189)]),
                (
                    Happened::Published,
                    at(301),
                    vec![Action::Complete { epoch: Epoch::new(5) }, open(6, Afterwards::GoesOn)],
                ),
                (Happened::Nothing, at(401), vec![tell(6, 100), fail(6)]),
            ],
        );
    }

    #[test]
    fn a_stop_does_not_wait_for_the_outside() {
        let stop = |seconds| Stands { is_stop_asked: true, ..at(seconds) };
        let held = |seconds| Stands { is_outside_awaited: true, ..stop(seconds) };
        let publish = |epoch, is_finished| Action::Publish {
            epoch: Epoch::new(epoch),
            is_finished,
            parts: vec![snapshot(0, epoch), snapshot(1, epoch)],
        };
        let stopped = || Action::End(Outcome::Stopped);
        // A barrier does not get through: the checkpoint before it stands.
        walk(
            machine(CheckpointTrigger::AtEnd),
            vec![
                (Happened::Nothing, stop(1), vec![open(5, Afterwards::Stops)]),
                (Happened::Nothing, held(5), vec![]),
                (Happened::Nothing, stop(9), vec![]),
                (Happened::Nothing, held(9), vec![tell(5, 8), stopped()]),
            ],
        );
        // The checkpoint is there, and what it has for the sinks is left to the next start.
        walk(
            machine(CheckpointTrigger::AtEnd),
            vec![
                (Happened::Nothing, stop(1), vec![open(5, Afterwards::Stops)]),
                (part(0, 5), stop(1), vec![]),
                (part(1, 5), stop(2), vec![publish(5, false)]),
                (Happened::Nothing, stop(5), vec![]),
                (Happened::Nothing, stop(6), vec![Action::GiveUp]),
                (Happened::Nothing, stop(7), vec![]),
                (Happened::GaveUp, stop(7), vec![stopped()]),
            ],
        );
        // The same of one that was under way, also where it is published just then.
        walk(
            machine(EVERY_10_S),
            vec![
                (Happened::Nothing, at(10), vec![open(5, Afterwards::GoesOn)]),
                (part(0, 5), at(10), vec![]),
                (part(1, 5), at(10), vec![publish(5, false)]),
                (Happened::Nothing, stop(20), vec![]),
                (Happened::Nothing, stop(25), vec![Action::GiveUp]),
                (
                    Happened::Published,
                    stop(25),
                    vec![Action::Complete { epoch: Epoch::new(5) }, stopped()],
                ),
            ],
        );
        // A job that has read everything waits for its table until it is asked to stop.
        let drained = |worker| Happened::Drained(WorkerId::new(worker));
        walk(
            machine(CheckpointTrigger::AtEnd),
            vec![
                (drained(0), at(1), vec![]),
                (drained(1), at(1), vec![open(5, Afterwards::Ends)]),
                (part(0, 5), at(1), vec![]),
                (part(1, 5), at(1), vec![publish(5, true)]),
                (Happened::Nothing, at(40), vec![tell(5, 39)]),
                (Happened::Nothing, stop(41), vec![]),
                (Happened::Nothing, stop(46), vec![Action::GiveUp]),
                (Happened::GaveUp, stop(46), vec![stopped()]),
            ],
        );
    }

    #[test]
    fn what_goes_by_time_goes_on_while_an_epoch_is_under_way() {
        let limits = CheckpointLimits::default();
        let mut epochs =
            Epochs::new(CheckpointTrigger::AtEnd, limits, 1, Epoch::START, Duration::ZERO);
        let ms = |ms| Stands {
            now: Duration::from_millis(ms),
            is_stop_asked: true,
            ..Stands::default()
        };
        assert_eq!(
            epochs.on(Happened::Nothing, ms(100)),
            [Action::Show, open(1, Afterwards::Stops)]
        );
        assert_eq!(epochs.on(Happened::Nothing, ms(199)), []);
        assert_eq!(epochs.on(Happened::Nothing, ms(200)), [Action::Show]);
        let tell = Action::Tell { epoch: Epoch::new(1), waited: Duration::from_millis(59_900) };
        assert_eq!(epochs.on(Happened::Nothing, ms(60_000)), [Action::Show, Action::Audit, tell]);
        assert_eq!(epochs.on(Happened::Nothing, ms(60_050)), []);
    }
}
