//! What a connector is given besides its table: the surroundings of the job.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::Connectors;
use super::inline::select::SelectFormat;
use crate::config::Config;
use crate::files::Files;
use crate::tasks::Tasks;
use crate::time::clock::SharedClock;

/// Arrival times that bound reading, ms since the epoch, half open; set by `--from` and `--to`.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    pub from_ms: Option<i64>,
    pub to_ms: Option<i64>,
}

/// What happens where records have expired before they were read, or results are gone with their
/// table.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub enum OnGap {
    /// The job ends with an error that names what is missing.
    #[default]
    Refuse,
    /// It says what is missing and goes on without it: `--accept-gaps`.
    Accept,
}

/// The surroundings of a job.
pub struct Environment<'a> {
    /// Those that tables may name.
    pub connectors: &'a Connectors,
    pub config: &'a Config,
    /// The SQL file, for its samples.
    pub query_path: PathBuf,
    pub local: bool,
    /// Where state, the error stream and results in files are kept.
    pub files: Arc<dyn Files>,
    pub state_dir: PathBuf,
    /// Where the error stream goes.
    pub errors_dir: PathBuf,
    pub run_ms: i64,
    /// The run in the names of files.
    pub run_name: String,
    /// Arrival times that bound streams: `--from`, `--to`.
    pub bounds: Bounds,
    pub on_gap: OnGap,
    pub clock: SharedClock,
    /// Where network calls run.
    pub tasks: Tasks,
    pub select: SelectFormat,
}
