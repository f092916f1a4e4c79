//! How much was held at once in a world? For tests that compare it with the bounds.
//!
//! Noted by `runtime` in builds for unit tests alone, read by `simulation` at the end of each
//! process. What always holds: what is noted is of the calling thread, which runs the whole world.

use std::cell::Cell;

/// The most that was seen, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Peaks {
    /// In a lane between two workers.
    pub lane: usize,
    /// One event in a lane.
    pub event: usize,
    /// Made for a lane or a sink by one event, or by one step of a fire.
    pub step: usize,
    /// At the end of a chain, waiting for room in lanes.
    pub outlet: usize,
    /// In the writer of a sink.
    pub writer: usize,
    /// Staged in the newest checkpoint and not known to be published.
    pub owed: usize,
    /// Staged for one epoch.
    pub staged: usize,
}

thread_local! {
    static PEAKS: Cell<Peaks> = Cell::default();
}

/// Notes what is held in one of the places.
pub(crate) fn note(place: impl FnOnce(&mut Peaks) -> &mut usize, bytes: usize) {
    PEAKS.with(|cell| {
        let mut peaks = cell.get();
        let most = place(&mut peaks);
        *most = bytes.max(*most);
        cell.set(peaks);
    });
}

/// What was noted since the last call.
pub(crate) fn take() -> Peaks {
    PEAKS.take()
}
