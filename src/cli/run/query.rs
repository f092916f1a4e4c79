//! From a SQL file to a plan and its settings.
//!
//! Called by `run` before anything outside is touched. EXPLAIN statements are answered here.

use std::collections::BTreeMap;

use super::{Args, Exit, SqlFile};
use crate::cli::variables::hidden;
use crate::config::Config;
use crate::connect;
use crate::connector::Connectors;
use crate::plan::explain::explain;
use crate::plan::lower::lower;
use crate::plan::physical::PhysicalPlan;
use crate::sql::bind::{ONLY_DECLARES, Script};
use crate::sql::error::TextPlace;

/// What is to be run.
pub(super) struct Query {
    pub plan: PhysicalPlan,
    pub config: Config,
    /// Where its first statement begins.
    pub start: Option<TextPlace>,
}

impl Query {
    /// The jobs of the file, one after the other; none if it only asks for explanations.
    pub(super) fn of(
        args: &Args,
        file: &SqlFile,
        connectors: &Connectors,
    ) -> Result<Vec<Query>, Exit> {
        let mut script = file.bind(&args.settings)?;
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let config = Config::resolve(&settings(args, &script), cores)
            .map_err(|e| file.show(&script.setting_error(e)))?;
        let config = Config { samples_end_clock_windows: args.local, ..config };
        for note in &script.notes {
            tracing::info!("{note}");
        }
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        for answer in &script.answers {
            print!("{}", hidden(&answer.to_string()));
        }
        let explained = script.take_explained();
        for script in &explained {
            let plan = lower(script, &file.text, &config, connectors).map_err(|e| file.show(&e))?;
            let shown = explain(&plan, |sink| connect::guarantee(&plan.sinks[sink], connectors));
            print!("{}", hidden(&shown));
        }
        if script.queries.is_empty() && !explained.is_empty() {
            return Ok(vec![]);
        }
        if script.only_declares() {
            tracing::warn!("{ONLY_DECLARES}");
            return Ok(vec![]);
        }
        let mut jobs = Vec::new();
        for script in script.stages(&|table| connectors.ends(table)) {
            let start = script.queries.first().map(|query| query.start);
            let mut plan =
                lower(&script, &file.text, &config, connectors).map_err(|e| file.show(&e))?;
            if args.local {
                // Its positions and results are of other sources and sinks.
                plan.fingerprint.push_str("--local\n");
            }
            for warning in &plan.warnings {
                tracing::warn!("{warning}");
            }
            jobs.push(Query { plan, config: config.clone(), start });
        }
        Ok(jobs)
    }
}

/// Settings of the file, and those of the command line over them.
fn settings(args: &Args, script: &Script) -> BTreeMap<String, String> {
    let mut settings = script.settings.clone();
    settings.extend(args.settings.iter().cloned());
    if let Some(n) = args.parallelism {
        settings.insert("parallelism.default".into(), n.to_string());
    }
    settings
}
