//! `paceline test`: does a query still give what is expected of it?
//!
//! Samples beside the query go in, as under `run --local`; what comes is compared with files beside
//! the query. In reading order: this file, `attempt` (one run, kept from the outside by `ends`),
//! `expected` (the files), `difference` (what is told of one), `variations` (runs that may not
//! matter). What always holds: nothing outside is read or written but samples and local files that
//! the query reads; files of what is expected are written only if that is asked for.

mod attempt;
mod difference;
mod ends;
mod expected;
mod variations;

use std::path::{Path, PathBuf};

use self::attempt::{Came, Subject};
use self::variations::Variation;
use super::exit::refused;
use super::{Exit, SqlFile, key_value};

#[derive(clap::Args)]
pub struct Args {
    /// The SQL file. Samples are in `<file>.samples/<table>.jsonl`, what is expected is in
    /// `<file>.expected/<table>.jsonl`, or `select_<n>.jsonl`
    query: PathBuf,
    /// Write what comes as what is expected
    #[arg(long)]
    accept: bool,
    /// Run it again with 1 to 4 workers, other batches and checkpoints, and killed: none of this
    /// may matter
    #[arg(long)]
    vary: bool,
    /// The first of the seeds from which kills are drawn
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Override a setting: Flink's keys, and ours under `paceline.`
    #[arg(long = "set", value_name = "K=V", value_parser = key_value)]
    settings: Vec<(String, String)>,
    /// What stands for ${NAME} in the file's texts; without a value it is that of the environment
    #[arg(long = "var", value_name = "NAME=V")]
    variables: Vec<String>,
}

pub(super) const EXIT_CODES: &str = "Exit codes:
  0  what came is what is expected
  1  it differs, or the run failed
  2  the query or its options are wrong";

pub fn run(args: &Args) -> Exit {
    match start(args) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn start(args: &Args) -> Result<Exit, Exit> {
    let file = SqlFile::read(&args.query, &args.variables)?;
    let subject = Subject { file: &file, settings: &args.settings };
    let folder = args.query.with_extension("expected");
    let came = subject.run(&Variation::plain())?;
    came.notes.iter().for_each(|note| println!("note: {note}"));
    if args.accept {
        expected::write(&folder, &came.tables).map_err(refused)?;
        println!("{}: written: {}", folder.display(), came.rows());
    }
    if !as_expected(&folder, &came, "")? {
        println!(
            "{}: differs from what is expected; if it is right, --accept writes it down",
            args.query.display()
        );
        return Ok(Exit::Failed);
    }
    let variations = if args.vary { variations::all(args.seed, came.records) } else { vec![] };
    for variation in &variations {
        let varied = subject.run(variation)?;
        if !as_expected(&folder, &varied, &format!(", with {variation}"))? {
            println!(
                "{}: differs with {variation}, and does not without: it depends on what may not matter",
                args.query.display()
            );
            return Ok(Exit::Failed);
        }
    }
    let varied = match variations.len() {
        0 => String::new(),
        runs => format!(", the same in {runs} variations"),
    };
    println!("{}: as expected: {}{varied}", args.query.display(), came.rows());
    Ok(Exit::Done)
}

/// Says how what came differs from the files. `how`: in which variation.
fn as_expected(folder: &Path, came: &Came, how: &str) -> Result<bool, Exit> {
    let expected = expected::read(folder)?;
    let differences = difference::all(&expected, &came.tables, folder);
    for difference in &differences {
        println!("{}{how}:\n{}", difference.table, difference.text);
    }
    Ok(differences.is_empty())
}
