//! Where does a run keep its state, and where does it write what could not be used?
//!
//! Asked by [`super::Job`] and by `paceline run`, once. What always holds: a run without a state
//! directory has a folder that no other run ever sees.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::config::Config;

pub(crate) struct Folders {
    pub state: PathBuf,
    pub errors: PathBuf,
    /// The folder of the state if it goes with the run. Dropping it removes the folder.
    _temporary: Option<TempDir>,
}

impl Folders {
    pub(crate) fn of(state_dir: Option<&Path>, config: &Config) -> io::Result<Folders> {
        let (state, temporary) = match state_dir {
            Some(folder) => (folder.to_path_buf(), None),
            // A new folder each time: what a killed process left behind is never gone on from.
            None => {
                let folder = tempfile::Builder::new().prefix("paceline-").tempdir()?;
                (folder.path().to_path_buf(), Some(folder))
            }
        };
        let errors = match &config.errors_path {
            Some(path) => PathBuf::from(path),
            // Temporary state goes with the run; what could not be read must not.
            None if temporary.is_some() => PathBuf::from("paceline-errors"),
            None => state.join("errors"),
        };
        Ok(Folders { state, errors, _temporary: temporary })
    }
}
