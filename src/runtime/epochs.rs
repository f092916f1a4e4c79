//! When is an epoch opened, when is it complete, and when is the job over?
//!
//! [`Epochs`] decides, `job` acts: what happened goes in, what is to be done comes out, and nothing
//! here reads a clock, a disk or a worker. The table of its tests lists the situations. What always
//! holds: one epoch is under way at a time, from its request until its sinks have published; epochs
//! are numbered in order without a gap; the last one is the one that ends the job.
//!
//! ```text
//! waiting ── Open ──▶ open ── Publish (all parts are here) ──▶ publishing ── Complete ──▶ waiting, or End
//! ```

use std::time::Duration;

use crate::ids::{Epoch, WorkerId};
use crate::runtime::control::Snapshot;
use crate::runtime::observer::Outcome;
use crate::runtime::options::CheckpointTrigger;
use crate::sink::Afterwards;

/// From one call of `progress` to the next.
const SHOW_INTERVAL: Duration = Duration::from_millis(100);
/// From one audit of the sources to the next: rare enough to cost nothing, soon enough to be told
/// the same day.
const AUDIT_INTERVAL: Duration = Duration::from_secs(60);

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

/// The state of the machine.
#[derive(Debug)]
pub(crate) struct Epochs {
    trigger: CheckpointTrigger,
    /// The number of the newest epoch, which is under way unless the phase is `Waiting`.
    newest: Epoch,
    phase: Phase,
    /// By worker.
    drained: Vec<bool>,
    /// When the newest epoch was opened, and the records read by then.
    opened: (Duration, u64),
    shown: Duration,
    audited: Duration,
}

impl Epochs {
    /// `newest`: epochs up to this one are numbered already. `now`: by the monotonic clock.
    pub fn new(trigger: CheckpointTrigger, workers: usize, newest: Epoch, now: Duration) -> Epochs {
        let drained = vec![false; workers];
        Epochs {
            trigger,
            newest,
            phase: Phase::Waiting,
            drained,
            opened: (now, 0),
            shown: Duration::ZERO,
            audited: now,
        }
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
        match happened {
            Happened::Nothing => {}
            Happened::Drained(worker) => self.drained[worker.index()] = true,
            Happened::Part(part) => actions.extend(self.add_part(part)),
            Happened::Published => {
                let Phase::Publishing { purpose } = self.phase else {
                    debug_assert!(false, "sinks have published what nobody asked for");
                    return actions;
                };
                self.phase = Phase::Waiting;
                actions.push(Action::Complete { epoch: self.newest });
                match purpose {
                    Purpose::Regular => {}
                    Purpose::Stop => actions.push(Action::End(Outcome::Stopped)),
                    Purpose::Finish => actions.push(Action::End(Outcome::Finished)),
                }
                if purpose != Purpose::Regular {
                    return actions;
                }
            }
        }
        actions.extend(self.open(stands));
        actions
    }

    fn add_part(&mut self, part: Snapshot) -> Option<Action> {
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
        let afterwards =
            if purpose == Purpose::Regular { Afterwards::GoesOn } else { Afterwards::Ends };
        Some(Action::Open { epoch: self.newest, afterwards })
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
        Epochs { shown: Duration::MAX, ..Epochs::new(trigger, 2, Epoch::new(4), Duration::ZERO) }
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
                    vec![Action::Complete { epoch: Epoch::new(5) }, open(6, Afterwards::Ends)],
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

    #[test]
    fn what_goes_by_time_goes_on_while_an_epoch_is_under_way() {
        let mut epochs = Epochs::new(CheckpointTrigger::AtEnd, 1, Epoch::START, Duration::ZERO);
        let ms = |ms| Stands {
            now: Duration::from_millis(ms),
            is_stop_asked: true,
            ..Stands::default()
        };
        assert_eq!(
            epochs.on(Happened::Nothing, ms(100)),
            [Action::Show, open(1, Afterwards::Ends)]
        );
        assert_eq!(epochs.on(Happened::Nothing, ms(199)), []);
        assert_eq!(epochs.on(Happened::Nothing, ms(200)), [Action::Show]);
        assert_eq!(epochs.on(Happened::Nothing, ms(60_000)), [Action::Show, Action::Audit]);
        assert_eq!(epochs.on(Happened::Nothing, ms(60_050)), []);
    }
}
