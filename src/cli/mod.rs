//! The command line: what can be asked for, and how answers look.
//!
//! Subcommands are one file each. What always holds: results go to stdout, everything about the run
//! to stderr; exit codes are those of [`Exit`] and nothing else.

mod board;
mod check;
mod checkpoints;
mod progress;
mod run;
pub mod simulate;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

use crate::sql::error::SqlError;

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Finished, or stopped in order.
    Done = 0,
    /// The job failed; starting it again goes on from the newest checkpoint.
    Failed = 1,
    /// The query or its options are wrong.
    Wrong = 2,
    /// Stored state does not fit.
    State = 3,
}

/// Windowed SQL over streams: one binary, one SQL file.
#[derive(Parser)]
#[command(name = "paceline", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines on stderr look. RUST_LOG sets the level (default: warn for libraries, info for
    /// paceline).
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
}

const EXIT_CODES: &str = "Exit codes:
  0  finished, or stopped in order
  1  the job failed; starting it again goes on from the newest checkpoint
  2  the query or its options are wrong
  3  stored state does not fit the query, or is damaged beyond what can be used";

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Run a SQL file
    Run(run::Args),
    /// Parse, bind and plan a SQL file; print the plan, guarantees and warnings; touch nothing
    /// outside
    Check(check::Args),
    /// Print what a state directory holds and which checkpoint a start would go on from; change
    /// nothing
    #[command(after_help = checkpoints::EXIT_CODES)]
    Checkpoints(checkpoints::Args),
    /// Send an Alleycat crowd to a file, to stdout, or to a Kinesis stream
    Simulate(simulate::Args),
}

/// Runs a command line, the program's name first, and returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(e) => {
            let wrong = e.use_stderr();
            // Nothing can be done about a closed terminal.
            let _ = e.print();
            return if wrong { Exit::Wrong as u8 } else { Exit::Done as u8 };
        }
    };
    logs(cli.log_format);
    let exit = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Checkpoints(args) => checkpoints::run(&args),
        Command::Simulate(args) => simulate::main(&args),
    };
    exit as u8
}

fn logs(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "error,paceline=info".into());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    // A second call in one process keeps the first subscriber.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// A SQL file and its text.
struct SqlFile {
    path: PathBuf,
    text: String,
}

impl SqlFile {
    fn read(path: &Path) -> Result<SqlFile, Exit> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(SqlFile { path: path.to_path_buf(), text }),
            Err(e) => {
                eprintln!("error: {}: {e}", path.display());
                Err(Exit::Wrong)
            }
        }
    }

    /// Prints an error with its place in the file.
    fn show(&self, error: &SqlError) -> Exit {
        eprint!("{}", error.render(&self.path.display().to_string(), &self.text));
        Exit::Wrong
    }
}

/// `K=V` of `--set`.
fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((k, v)) => Ok((k.trim().to_string(), v.trim().to_string())),
        None => Err("expected KEY=VALUE".into()),
    }
}
