//! Does a world find a fault? Faults that can be planted, each in one place.
//!
//! Read by the fake services and, in builds for unit tests alone, by the few places of the job in
//! which a fault cannot be made from outside. What always holds: without [`plant`] there is none;
//! what is planted is of the calling thread, which runs the whole world.

use std::cell::Cell;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Reading goes on at the last record that was read, not after it.
    ResumesAtLastRecord,
    /// Of the children of a shard one is forgotten.
    ForgetsAChild,
    /// A shard that another one waits for is paused, since it is ahead.
    PausesWhatOthersWaitFor,
    /// Sinks publish before the checkpoint is there.
    PublishesBeforeManifest,
    /// What a killed process had not published is not published by the next one.
    ForgetsToPublishAgain,
    /// A checkpoint does not hold what sinks are publishing when it is made.
    ForgetsWhatIsBegun,
    /// A checkpoint does not hold what the one before it had for sinks that had not come to that.
    ForgetsWhatWaits,
    /// A checkpoint holds the position of what was read ahead, not of what was taken.
    StoresPositionOfReadAhead,
    /// The folder of a file that was given its name is not synced.
    LosesUnsyncedNames,
    /// A write takes the place of a newer one: one that arrives late wins.
    IgnoresVersions,
    /// A row that is deleted leaves nothing behind that keeps older ones out.
    ForgetsTombstones,
    /// A revision counts what a process has sent.
    CountsEmissionsAsRevisions,
    /// A write that the table did not take counts as written.
    DropsThrottledWrites,
    /// A chain is given rows though those before them wait for room.
    IgnoresFullLanes,
}

impl Bug {
    pub const ALL: [Bug; 14] = [
        Bug::ResumesAtLastRecord,
        Bug::ForgetsAChild,
        Bug::PausesWhatOthersWaitFor,
        Bug::PublishesBeforeManifest,
        Bug::ForgetsToPublishAgain,
        Bug::ForgetsWhatIsBegun,
        Bug::ForgetsWhatWaits,
        Bug::StoresPositionOfReadAhead,
        Bug::LosesUnsyncedNames,
        Bug::IgnoresVersions,
        Bug::ForgetsTombstones,
        Bug::CountsEmissionsAsRevisions,
        Bug::DropsThrottledWrites,
        Bug::IgnoresFullLanes,
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a fault, or none, until the next call.
pub(crate) fn plant(bug: Option<Bug>) {
    PLANTED.with(|planted| planted.set(bug));
}

/// True if this fault is planted.
pub(crate) fn has(bug: Bug) -> bool {
    PLANTED.with(|planted| planted.get() == Some(bug))
}
