//! The Alleycat leaderboard with a made-up crowd: `paceline run --local queries/alleycat/leaderboard.sql` as a program.
//!
//! Shows that a job can be started from a program of one's own. Further arguments are passed on.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let query = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries/alleycat/leaderboard.sql");
    let arguments: [OsString; 4] = ["paceline".into(), "run".into(), "--local".into(), query.into()];
    ExitCode::from(paceline::cli::main(arguments.into_iter().chain(std::env::args_os().skip(1))))
}
