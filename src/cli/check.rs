//! `paceline check`: everything about a query that can be known without running it.

use std::path::PathBuf;

use super::exit::ended;
use super::variables::hidden;
use super::{Exit, SqlFile, key_value};
use crate::config::Config;
use crate::connect;
use crate::connector::{Connectors, Use, watermarks};
use crate::plan::explain::explain;
use crate::plan::lower::lower;
use crate::plan::physical::SourcePlan;
use crate::sql::bind::{ONLY_DECLARES, Script};
use crate::sql::catalog::Table;

#[derive(clap::Args)]
pub struct Args {
    /// The SQL file
    query: PathBuf,
    /// Override a setting: Flink's keys, and ours under `paceline.`
    #[arg(long = "set", value_name = "K=V", value_parser = key_value)]
    settings: Vec<(String, String)>,
    /// What stands for ${NAME} in the file's texts; without a value it is that of the environment
    #[arg(long = "var", value_name = "NAME=V")]
    variables: Vec<String>,
    /// As `run --local` runs it: nothing is said of tables that are replaced there
    #[arg(long)]
    local: bool,
}

pub fn run(args: &Args) -> Exit {
    let file = match SqlFile::read(&args.query, &args.variables) {
        Ok(file) => file,
        Err(exit) => return exit,
    };
    let connectors = Connectors::built_in();
    let mut script = match file.bind(&args.settings) {
        Ok(script) => script,
        Err(exit) => return exit,
    };
    let mut settings = script.settings.clone();
    settings.extend(args.settings.iter().cloned());
    let config = match Config::resolve(&settings, 1) {
        Ok(config) => config,
        Err(e) => return file.show(&script.setting_error(e)),
    };
    let explained = script.take_explained();
    if script.queries.is_empty() {
        // `check` shows the plan anyway.
        script.queries = explained.into_iter().flat_map(|e| e.queries).collect();
    }
    let notes = std::mem::take(&mut script.notes);
    for answer in &script.answers {
        print!("{}", hidden(&answer.to_string()));
    }
    if script.only_declares() {
        for note in &notes {
            println!("note: {}", hidden(note));
        }
        println!("note: {ONLY_DECLARES}");
        return Exit::Done;
    }
    let stages = script.stages(&|table| connectors.ends(table));
    let several = stages.len() > 1;
    for (number, script) in stages.iter().enumerate() {
        if several {
            println!("job {} of {}, one after the other:", number + 1, stages.len());
        }
        if let Err(exit) = shown(args, &file, script, &config, &connectors) {
            return exit;
        }
    }
    for note in &notes {
        println!("note: {}", hidden(note));
    }
    for warning in &config.warnings {
        println!("warning: {}", hidden(warning));
    }
    Exit::Done
}

/// What is to be said of a job.
fn shown(
    args: &Args,
    file: &SqlFile,
    script: &Script,
    config: &Config,
    connectors: &Connectors,
) -> Result<(), Exit> {
    let plan = lower(script, &file.text, config, connectors).map_err(|e| file.show(&e))?;
    let instead = |table: &Table, wanted: Use| {
        let is_replaced = args.local && connectors.is_out_of_reach(table, wanted);
        is_replaced || connectors.is_stand_in(table)
    };
    connect::check(&plan, config, connectors, &instead).map_err(|e| match e.in_text() {
        Some(of_text) => file.show(of_text),
        None => ended(&e, e.who()),
    })?;
    let text = explain(&plan, |sink| connect::guarantee(&plan.sinks[sink], connectors));
    print!("{}", hidden(&text));
    for note in connect::notes(&plan, config, connectors) {
        println!("{}", hidden(&note));
    }
    let may_stall = |s: &&SourcePlan| {
        matches!(s.table.connector(), "kinesis" | "kinesis-legacy")
            && watermarks::of(s, config).is_ok_and(|found| found.idle_timeout.is_zero())
    };
    for source in plan.sources.iter().filter(may_stall) {
        println!(
            "warning: table '{}' is a stream and table.exec.source.idle-timeout is 0: one shard without records holds back all results",
            source.table.name
        );
    }
    if !args.local {
        for warning in connect::unknown(&plan, connectors) {
            println!("warning: {}", hidden(&warning));
        }
    }
    Ok(())
}
