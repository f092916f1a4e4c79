//! What do epochs come to? A table of situations.

use super::*;

const EVERY_10_S: CheckpointTrigger = CheckpointTrigger::Interval(Duration::from_secs(10));

fn part(worker: usize, epoch: u64) -> Happened {
    Happened::Part(snapshot(worker, epoch))
}

fn drained(worker: usize) -> Happened {
    Happened::Drained(WorkerId::new(worker))
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

fn store(epoch: u64) -> Action {
    let parts = vec![snapshot(0, epoch), snapshot(1, epoch)];
    Action::Store { epoch: Epoch::new(epoch), is_finished: false, parts }
}

fn store_last(epoch: u64) -> Action {
    let parts = vec![snapshot(0, epoch), snapshot(1, epoch)];
    Action::Store { epoch: Epoch::new(epoch), is_finished: true, parts }
}

fn publish(epoch: u64) -> Action {
    Action::Publish { epoch: Epoch::new(epoch) }
}

fn complete(epoch: u64) -> Action {
    Action::Complete { epoch: Epoch::new(epoch) }
}

/// It waits to be stored.
fn tell(epoch: u64, seconds: u64) -> Action {
    let waited = Duration::from_secs(seconds);
    Action::Tell { epoch: Epoch::new(epoch), waits: Waits::ToBeStored, waited }
}

fn tell_published(epoch: u64, seconds: u64) -> Action {
    let waited = Duration::from_secs(seconds);
    Action::Tell { epoch: Epoch::new(epoch), waits: Waits::ToBePublished, waited }
}

fn fail(epoch: u64, seconds: u64, is_last: bool) -> Action {
    let waited = Duration::from_secs(seconds);
    Action::Fail { epoch: Epoch::new(epoch), waited, is_last }
}

/// Tells the machine one thing after the other and compares what it wants done.
fn walk(mut epochs: Epochs, steps: Vec<(Happened, Stands, Vec<Action>)>) {
    for (number, (happened, stands, wanted)) in steps.into_iter().enumerate() {
        let text = format!("step {number}: {happened:?}");
        assert_eq!(epochs.on(happened, stands), wanted, "{text}");
    }
}

#[test]
fn an_epoch_is_stored_when_all_parts_are_here_and_published_then() {
    walk(
        machine(EVERY_10_S),
        vec![
            (Happened::Nothing, at(9), vec![]),
            (Happened::Nothing, at(10), vec![open(5, Afterwards::GoesOn)]),
            (part(1, 5), at(11), vec![]),
            (part(0, 5), at(12), vec![store(5), publish(5)]),
            (Happened::Published, at(13), vec![complete(5)]),
            (Happened::Nothing, at(20), vec![open(6, Afterwards::GoesOn)]),
        ],
    );
}

#[test]
fn checkpoints_go_on_while_sinks_are_at_one_and_all_that_waits_is_published_at_once() {
    let full = |seconds| Stands { is_owed_full: true, ..at(seconds) };
    walk(
        machine(EVERY_10_S),
        vec![
            (Happened::Nothing, at(10), vec![open(5, Afterwards::GoesOn)]),
            (part(0, 5), at(11), vec![]),
            (part(1, 5), at(12), vec![store(5), publish(5)]),
            (Happened::Nothing, at(20), vec![open(6, Afterwards::GoesOn)]),
            (part(0, 6), at(20), vec![]),
            (part(1, 6), at(21), vec![store(6)]),
            (Happened::Nothing, at(30), vec![open(7, Afterwards::GoesOn)]),
            (part(0, 7), at(30), vec![]),
            (part(1, 7), at(31), vec![store(7)]),
            // As much waits as may.
            (Happened::Nothing, full(40), vec![]),
            (Happened::Nothing, full(42), vec![tell_published(5, 30)]),
            (
                Happened::Published,
                at(43),
                vec![complete(5), publish(7), open(8, Afterwards::GoesOn)],
            ),
            (Happened::Published, at(44), vec![complete(7)]),
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
            (part(1, 5), at(18), vec![store(5), publish(5)]),
            (Happened::Published, at(19), vec![complete(5)]),
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
            (part(0, 5), read(229), vec![]),
            (part(1, 5), read(229), vec![store(5), publish(5)]),
            (Happened::Published, read(229), vec![complete(5)]),
            (Happened::Nothing, read(230), vec![open(6, Afterwards::GoesOn)]),
        ],
    );
}

#[test]
fn a_sink_that_is_nearly_full_gets_its_epoch_whatever_the_trigger() {
    let full = |seconds| Stands { is_epoch_wanted: true, ..at(seconds) };
    for trigger in [CheckpointTrigger::AtEnd, CheckpointTrigger::Records(100), EVERY_10_S] {
        walk(
            machine(trigger),
            vec![
                (Happened::Nothing, at(1), vec![]),
                (Happened::Nothing, full(1), vec![open(5, Afterwards::GoesOn)]),
                (part(0, 5), at(1), vec![]),
                (part(1, 5), at(1), vec![store(5), publish(5)]),
                (Happened::Published, at(2), vec![complete(5)]),
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
            (drained(1), at(1), vec![]),
            (drained(0), stop, vec![open(5, Afterwards::Ends)]),
            (part(0, 5), stop, vec![]),
            (part(1, 5), stop, vec![store_last(5), publish(5)]),
            (Happened::Published, stop, vec![complete(5), Action::End(Outcome::Finished)]),
        ],
    );
}

#[test]
fn a_stop_waits_for_the_open_epoch_and_takes_one_of_its_own() {
    let stop = |seconds| Stands { is_stop_asked: true, ..at(seconds) };
    walk(
        machine(EVERY_10_S),
        vec![
            (Happened::Nothing, at(10), vec![open(5, Afterwards::GoesOn)]),
            (part(0, 5), stop(10), vec![]),
            (part(1, 5), stop(10), vec![store(5), publish(5), open(6, Afterwards::Stops)]),
            (part(0, 6), stop(11), vec![]),
            (drained(0), stop(11), vec![]),
            (part(1, 6), stop(11), vec![store(6)]),
            (Happened::Published, stop(11), vec![complete(5), publish(6)]),
            (drained(1), stop(11), vec![]),
            (Happened::Published, stop(12), vec![complete(6), Action::End(Outcome::Stopped)]),
        ],
    );
}

#[test]
fn an_epoch_that_waits_is_told_ever_more_rarely_and_counts_as_failed_after_its_time() {
    walk(
        machine(EVERY_10_S),
        vec![
            (Happened::Nothing, at(10), vec![open(5, Afterwards::GoesOn)]),
            (Happened::Nothing, at(39), vec![]),
            (part(0, 5), at(40), vec![tell(5, 30)]),
            (Happened::Nothing, at(69), vec![]),
            (Happened::Nothing, at(70), vec![tell(5, 60)]),
            (Happened::Nothing, at(110), vec![fail(5, 100, false)]),
            (Happened::Nothing, at(130), vec![tell(5, 120)]),
            (Happened::Nothing, at(210), vec![fail(5, 200, true)]),
        ],
    );
}

#[test]
fn failures_are_counted_in_a_row_and_what_is_published_is_not_one() {
    walk(
        machine(EVERY_10_S),
        vec![
            (Happened::Nothing, at(10), vec![open(5, Afterwards::GoesOn)]),
            (part(0, 5), at(110), vec![tell(5, 100), fail(5, 100, false)]),
            (part(1, 5), at(111), vec![store(5), publish(5), open(6, Afterwards::GoesOn)]),
            (Happened::Nothing, at(141), vec![tell_published(5, 30), tell(6, 30)]),
            (
                Happened::Nothing,
                at(211),
                vec![tell_published(5, 100), tell(6, 100), fail(6, 100, false)],
            ),
        ],
    );
}

#[test]
fn a_stop_does_not_wait_for_the_outside() {
    let stop = |seconds| Stands { is_stop_asked: true, ..at(seconds) };
    let held = |seconds| Stands { is_outside_awaited: true, ..stop(seconds) };
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
            (part(1, 5), stop(2), vec![store(5), publish(5)]),
            (Happened::Nothing, stop(5), vec![]),
            (Happened::Nothing, stop(6), vec![Action::GiveUp]),
            (Happened::Nothing, stop(7), vec![]),
            (Happened::GaveUp, stop(7), vec![stopped()]),
        ],
    );
    // An older one is being published: the job still takes its last, and leaves both; also where
    // the older one is published just then.
    for happened in [Happened::GaveUp, Happened::Published] {
        let end = match happened {
            Happened::Published => vec![complete(5), stopped()],
            _ => vec![stopped()],
        };
        walk(
            machine(EVERY_10_S),
            vec![
                (Happened::Nothing, at(10), vec![open(5, Afterwards::GoesOn)]),
                (part(0, 5), at(10), vec![]),
                (part(1, 5), at(10), vec![store(5), publish(5)]),
                (Happened::Nothing, stop(19), vec![open(6, Afterwards::Stops)]),
                (part(0, 6), stop(19), vec![]),
                (part(1, 6), stop(20), vec![store(6)]),
                (Happened::Nothing, stop(24), vec![Action::GiveUp]),
                (happened, stop(25), end),
            ],
        );
    }
    // Neither the older one nor the last gets through.
    walk(
        machine(EVERY_10_S),
        vec![
            (Happened::Nothing, at(10), vec![open(5, Afterwards::GoesOn)]),
            (part(0, 5), at(10), vec![]),
            (part(1, 5), at(10), vec![store(5), publish(5)]),
            (Happened::Nothing, stop(19), vec![open(6, Afterwards::Stops)]),
            (Happened::Nothing, stop(24), vec![]),
            (Happened::Nothing, held(25), vec![Action::GiveUp, tell(6, 6), stopped()]),
        ],
    );
    // A job that has read everything waits for its table until it is asked to stop.
    walk(
        machine(CheckpointTrigger::AtEnd),
        vec![
            (drained(0), at(1), vec![]),
            (drained(1), at(1), vec![open(5, Afterwards::Ends)]),
            (part(0, 5), at(1), vec![]),
            (part(1, 5), at(1), vec![store_last(5), publish(5)]),
            (Happened::Nothing, at(40), vec![tell_published(5, 39)]),
            (Happened::Nothing, stop(41), vec![]),
            (Happened::Nothing, stop(46), vec![Action::GiveUp]),
            (Happened::GaveUp, stop(46), vec![stopped()]),
        ],
    );
}

#[test]
fn what_goes_by_time_goes_on_while_an_epoch_is_under_way() {
    let limits = CheckpointLimits::default();
    let mut epochs = Epochs::new(CheckpointTrigger::AtEnd, limits, 1, Epoch::START, Duration::ZERO);
    let ms =
        |ms| Stands { now: Duration::from_millis(ms), is_stop_asked: true, ..Stands::default() };
    assert_eq!(epochs.on(Happened::Nothing, ms(100)), [Action::Show, open(1, Afterwards::Stops)]);
    assert_eq!(epochs.on(Happened::Nothing, ms(199)), []);
    assert_eq!(epochs.on(Happened::Nothing, ms(200)), [Action::Show]);
    let waited = Duration::from_millis(59_900);
    let tell = Action::Tell { epoch: Epoch::new(1), waits: Waits::ToBeStored, waited };
    assert_eq!(epochs.on(Happened::Nothing, ms(60_000)), [Action::Show, Action::Audit, tell]);
    assert_eq!(epochs.on(Happened::Nothing, ms(60_050)), []);
}
