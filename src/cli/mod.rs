//! The command line: what can be asked for, and how answers look.
//!
//! Subcommands are one file each. What always holds: results go to stdout, everything about the run
//! to stderr; exit codes are those of [`Exit`] and nothing else.

mod board;
mod check;
mod checkpoints;
mod exit;
pub(crate) mod progress;
mod run;
pub mod simulate;
mod test;
mod variables;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

use self::exit::{EXIT_CODES, wrong};
use crate::files::handles;
use crate::sql::bind::{Script, bind_with};
use crate::sql::error::SqlError;
use crate::sql::variables::Variables;
use crate::who::{Mistake, Who};

pub use self::exit::Exit;

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
    /// Run a SQL file on samples and compare what comes with what is expected; nothing outside is
    /// touched
    #[command(after_help = test::EXIT_CODES)]
    Test(test::Args),
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
            // Help is asked for in the same way.
            let is_wrong = e.use_stderr();
            // Nothing can be done about a closed terminal.
            let _ = e.print();
            let exit = if is_wrong { Who::User(Mistake::Asked).into() } else { Exit::Done };
            return exit as u8;
        }
    };
    logs(cli.log_format);
    handles::raise_limit();
    let exit = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
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
        .with_writer(|| variables::Hiding)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    // A second call in one process keeps the first subscriber.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// A SQL file, its text, and what stands for `${NAME}` in it.
struct SqlFile {
    path: PathBuf,
    text: String,
    variables: Variables,
}

impl SqlFile {
    fn read(path: &Path, given: &[String]) -> Result<SqlFile, Exit> {
        let variables = variables::values(given).map_err(wrong)?;
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(SqlFile { path: path.to_path_buf(), text, variables }),
            Err(e) => Err(wrong(format!("{}: {e}", path.display()))),
        }
    }

    /// What the file asks for. `settings` count more than its own.
    fn bind(&self, settings: &[(String, String)]) -> Result<Script, Exit> {
        bind_with(&self.text, settings, &self.variables).map_err(|e| self.show(&e))
    }

    /// Prints an error with its place in the file.
    fn show(&self, error: &SqlError) -> Exit {
        let (file, values) = (self.path.display().to_string(), self.variables.values());
        eprint!("{}", error.render_without(&file, &self.text, values.map(String::as_str)));
        error.who().into()
    }
}

/// `K=V` of `--set`.
fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((k, v)) => Ok((k.trim().to_string(), v.trim().to_string())),
        None => Err("expected KEY=VALUE".into()),
    }
}
