//! `paceline checkpoints`: what a state directory holds, and what a start would do with it.
//!
//! What always holds: nothing there is made, changed or locked.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};

use super::Exit;
use super::exit::ended;
use crate::checkpoint::contents::{self, Contents};
use crate::checkpoint::decide::{Decision, Found, Wanted, decide};
use crate::checkpoint::manifest::Manifest;
use crate::files::on_disk;
use crate::sink::Leaves;
use crate::who::{Again, Who};

pub(crate) const EXIT_CODES: &str = "Exit codes:
  0  everything is whole
  1  it could not be read
  2  there is no such folder, or it is no state directory
  3  something in it is damaged, even if a start could go on from an older checkpoint";

#[derive(clap::Args)]
pub struct Args {
    /// The state directory; a job may run on it meanwhile
    #[arg(value_name = "DIR")]
    state_dir: PathBuf,
}

pub fn run(args: &Args) -> Exit {
    match contents::look(on_disk(), &args.state_dir) {
        Ok(contents) => show(&contents),
        Err(e) => ended(&e, e.who()),
    }
}

fn show(contents: &Contents) -> Exit {
    let checkpoints = &contents.disk.checkpoints;
    for (found, time) in checkpoints.iter().zip(&contents.times) {
        show_checkpoint(found, *time);
    }
    if !contents.others.is_empty() {
        println!("besides:");
    }
    for other in &contents.others {
        println!("  {}: {} bytes ({})", other.name.escape_debug(), other.bytes, other.what);
    }
    println!("{}", at_a_start(contents));
    let is_whole = checkpoints.iter().all(|f| f.manifest.is_ok());
    if is_whole { Exit::Done } else { Who::Stored(Again::IsInVain).into() }
}

fn show_checkpoint(found: &Found, time: SystemTime) {
    let time = DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true);
    let manifest = match &found.manifest {
        Ok(manifest) => manifest,
        Err(reason) => return println!("checkpoint {}, {time}: damaged ({reason})", found.epoch),
    };
    let stores: BTreeSet<&str> =
        manifest.files.iter().filter_map(|f| Some(f.path.split_once('/')?.0)).collect();
    let bytes: u64 = manifest.files.iter().map(|f| f.size_bytes).sum();
    let (operators, stores) = (manifest.operators.len(), stores.len());
    println!(
        "checkpoint {}, {time}: complete, {operators} operators, {stores} stores of {bytes} bytes",
        found.epoch
    );
    for source in &manifest.sources {
        let finished = source.splits.iter().filter(|s| s.finished).count();
        let rows: u64 = source.splits.iter().map(|s| s.rows).sum();
        println!(
            "  source {}: {} splits, {finished} of them finished, {rows} rows",
            source.table,
            source.splits.len()
        );
    }
}

/// What a start of the same query would do.
fn at_a_start(contents: &Contents) -> String {
    let usable: Option<&Manifest> = contents.disk.manifests().next();
    let plan = usable.map_or("", |m| m.plan.as_str());
    // Which sinks the query has is not in the checkpoint: without one that publishes by epoch, more
    // is possible.
    let with = |leaves| decide(&contents.disk, Wanted { plan, leaves, allow_duplicates: false });
    match (with(Leaves::Rows), with(Leaves::Nothing)) {
        (Decision::Start, _) => "no checkpoint: a start begins a new run".into(),
        (Decision::Resume { manifest, .. }, _) => {
            format!("a start goes on from checkpoint {}", manifest.epoch)
        }
        (Decision::AlreadyFinished { manifest }, _) => {
            format!(
                "the job had finished with checkpoint {}: a start has nothing to do",
                manifest.epoch
            )
        }
        (
            Decision::Refuse(reason),
            Decision::Resume { manifest, .. } | Decision::AlreadyFinished { manifest },
        ) => {
            format!(
                "a start is refused if a sink is exactly once, or takes changes into a DynamoDB table ({reason}); else it goes on from \
                 checkpoint {}",
                manifest.epoch
            )
        }
        (Decision::Refuse(reason), _) => format!("a start is refused: {reason}"),
    }
}
