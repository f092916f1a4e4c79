//! Where can a job be killed? The points at which recovery differs, so that tests can die at each
//! of them.
//!
//! The job asks its [`CrashSchedule`] at every point; a real run never crashes. When a schedule
//! says so, all threads stop where they are and nothing is flushed, renamed or cleaned up: what is
//! on disk is what a killed process leaves.

/// A named point in the life of a checkpoint or a fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CrashPoint {
    /// A window has emitted some of its rows.
    MidFire,
    /// A worker has made the hard-link checkpoint of its store.
    AfterFlush,
    /// All workers have, and the manifest is not written.
    BeforeManifest,
    /// The manifest exists; no file of the epoch has its final name.
    BeforeRename,
    /// The files of the epoch have their final names.
    AfterRename,
    /// A batch was read from a split.
    MidRead,
    /// Between two turns, where all happens on one thread.
    AnyTurn,
}

impl CrashPoint {
    pub const ALL: [CrashPoint; 6] = [
        CrashPoint::MidFire,
        CrashPoint::AfterFlush,
        CrashPoint::BeforeManifest,
        CrashPoint::BeforeRename,
        CrashPoint::AfterRename,
        CrashPoint::MidRead,
    ];
}

pub trait CrashSchedule: Send + Sync {
    /// True if the job dies here.
    fn reached(&self, point: CrashPoint) -> bool;
}

/// A job that is not killed from within.
pub struct NeverCrash;

impl CrashSchedule for NeverCrash {
    fn reached(&self, _: CrashPoint) -> bool {
        false
    }
}
