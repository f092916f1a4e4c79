//! How is a file of a state directory written so that it is there whole or not at all, and what may
//! go wrong with it?
//!
//! Used by everything that touches a state directory.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::files::Files;
use crate::who::{Again, Mistake, Who};

/// How long a start waits for the lock: a process that was just killed holds it until the system
/// has taken down its memory, which takes the longer the more it had. Who waits for a process that
/// goes on working is told soon enough.
pub(super) const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);

/// The file by which a state directory is known.
pub(crate) const MARKER: &str = "paceline-state";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
    #[error("{path}: {reason}")]
    Damaged { path: String, reason: String },
    #[error("state directory {path} is in use by another process, which has not ended within {} s", LOCK_WAIT_MAX.as_secs())]
    Locked { path: String },
    #[error(
        "{path} is no state directory of Paceline: it has no file '{}', and is not empty (it holds '{found}'); nothing in it was \
         touched; name a new or an empty folder",
        MARKER
    )]
    NotOurs { path: String, found: String },
    #[error("the state directory {path} is no folder; name a new or an empty one")]
    NoFolder { path: String },
    #[error("there is no folder {path}; name the one that was given as --state-dir")]
    Missing { path: String },
    #[error(
        "{path} is not Paceline's and stands where a checkpoint goes; move it out of the state directory"
    )]
    InTheWay { path: String },
}

impl StoreError {
    pub fn who(&self) -> Who {
        match self {
            StoreError::Io { source, .. } => Who::of_io(source),
            StoreError::Damaged { .. } => Who::Stored(Again::IsInVain),
            StoreError::Locked { .. } => Who::Outside(Again::MayHelp),
            // Another folder has to be named, or something moved.
            StoreError::NotOurs { .. }
            | StoreError::NoFolder { .. }
            | StoreError::Missing { .. }
            | StoreError::InTheWay { .. } => Who::User(Mistake::Asked),
        }
    }
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.display().to_string();
    move |source| StoreError::Io { path, source }
}

pub(super) fn sync_folder(files: &dyn Files, path: &Path) -> Result<(), StoreError> {
    files.sync_folder(path).map_err(at(path))
}

/// Temporary name, fsync, rename, fsync of the folder: afterwards the file is there whole, or not
/// at all.
pub(super) fn write_durably(
    files: &dyn Files,
    path: &Path,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let temporary = path.with_extension("tmp");
    files
        .write_and_sync(&temporary, bytes)
        .and_then(|()| files.rename(&temporary, path))
        .map_err(at(path))?;
    path.parent().map_or(Ok(()), |folder| sync_folder(files, folder))
}
