//! Where does a run keep its state, and where does it write what could not be used?
//!
//! Called by `run` once. What always holds: a run without `--state-dir` has a folder that no other run ever sees.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Args, Exit, failed};
use crate::config::Config;
use crate::embed::start::errors_dir;

pub(super) struct Folders {
    pub state: PathBuf,
    pub errors: PathBuf,
    /// The folder of the state if it goes with the process. Dropping it removes the folder.
    _temporary: Option<TempDir>,
}

impl Folders {
    pub(super) fn of(args: &Args, config: &Config) -> Result<Folders, Exit> {
        // A new folder each time: what a killed process left behind is never gone on from.
        let temporary = match &args.state_dir {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("paceline-").tempdir().map_err(failed)?),
        };
        let state = args.state_dir.as_deref().or(temporary.as_ref().map(|t| t.path())).unwrap_or(Path::new(".")).to_path_buf();
        let errors = errors_dir(config, &state, args.state_dir.is_some());
        Ok(Folders { state, errors, _temporary: temporary })
    }
}
