//! One run of the query under test, from its text to the rows of its results.
//!
//! Called by `test` for each variation. What always holds: a run has a folder of its own, which
//! goes with it; all its attempts are on that folder, each going on where the one before was
//! killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ends::{self, Ends};
use super::variations::{Attempt, KillAt, Variation};
use crate::cli::exit::{ended, refused, wrong};
use crate::cli::{Exit, SqlFile};
use crate::config::Config;
use crate::connector::inline::select::SelectFormat;
use crate::connector::{Bounds, Connectors, OnGap};
use crate::embed::start::{Start, StartError, Started};
use crate::files::on_disk;
use crate::plan::lower::lower;
use crate::plan::physical::{PhysicalPlan, SinkTarget};
use crate::runtime::control::Stats;
use crate::runtime::error::JobError;
use crate::runtime::job::{self, Observer};
use crate::runtime::worker::SharedSource;
use crate::state::store::StoreKind;
use crate::time::clock::SystemClock;

/// Records that could not be used of which more is said than their number.
const UNUSABLE_TOLD: usize = 3;

/// The query under test.
pub struct Subject<'a> {
    pub file: &'a SqlFile,
    pub settings: &'a [(String, String)],
}

/// A result of the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    /// The columns whose values a later row replaces.
    pub key: Vec<String>,
    /// JSON objects, sorted by their bytes.
    pub rows: Vec<String>,
}

/// What came of a run.
pub struct Came {
    /// In the order of the query.
    pub tables: Vec<Table>,
    /// Records that the last attempt read.
    pub records: u64,
    /// What people should know, a sentence each.
    pub notes: Vec<String>,
}

impl Came {
    /// `2 results, 17 rows`.
    pub fn rows(&self) -> String {
        let rows: usize = self.tables.iter().map(|table| table.rows.len()).sum();
        let results = if self.tables.len() == 1 { "result" } else { "results" };
        let plural = if rows == 1 { "row" } else { "rows" };
        format!("{} {results}, {rows} {plural}", self.tables.len())
    }
}

impl Subject<'_> {
    pub fn run(&self, variation: &Variation) -> Result<Came, Exit> {
        let folder = tempfile::Builder::new().prefix("paceline-").tempdir().map_err(refused)?;
        let mut earlier: Option<Ends> = None;
        for attempt in &variation.attempts {
            match self.attempt(*attempt, folder.path(), earlier.as_ref())? {
                Ended::Killed(ends) => earlier = Some(ends),
                Ended::Finished(came) => return Ok(came),
            }
        }
        // The last attempt of a variation is not killed.
        Err(ended("the last attempt was killed", crate::who::Who::Us))
    }

    fn attempt(
        &self,
        attempt: Attempt,
        folder: &Path,
        earlier: Option<&Ends>,
    ) -> Result<Ended, Exit> {
        let file = self.file;
        let connectors = ends::connectors();
        let (mut plan, config) = self.plan(attempt, &connectors)?;
        let ends = ends::replace(&mut plan, &file.path, &config, &connectors)
            .map_err(|e| self.not_started(&e.into()))?;
        if let Some(earlier) = earlier {
            for (now, before) in ends.captured.iter().zip(&earlier.captured) {
                if let (Some(now), Some(before)) = (now, before) {
                    now.goes_on_from(before);
                }
            }
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(refused)?;
        let errors_dir = folder.join("errors");
        let start = Start {
            connectors: &connectors,
            config: &config,
            plan: &plan,
            query_path: file.path.clone(),
            local: true,
            files: on_disk(),
            state_dir: folder.join("state"),
            errors_dir: errors_dir.clone(),
            bounds: Bounds::default(),
            on_gap: OnGap::Refuse,
            select: SelectFormat::Json,
            fresh: false,
            allow_duplicates: false,
            clock: SystemClock::shared(),
            tasks: runtime.handle().clone().into(),
            stores: StoreKind::RocksDb,
            stop: Arc::default(),
        };
        let started = start.start().map_err(|e| self.not_started(&e))?;
        let Started { mut connection, mut options, store, run_ms } = started;
        self.has_an_end(&plan, &connection.connected.sources)?;
        for (sink, captured) in connection.connected.sinks.iter_mut().zip(&ends.captured) {
            if let Some(captured) = captured {
                *sink = captured.clone();
            }
        }
        options.trigger = attempt.trigger;
        if let Some(kill) = attempt.kill {
            options.crashes = Arc::new(KillAt::new(kill));
        }
        let mut seen = Seen::default();
        match job::run(&plan, &connection.connected, &options, store, run_ms, &mut seen) {
            Ok(_) => {}
            Err(JobError::Crashed(_)) => return Ok(Ended::Killed(ends)),
            Err(e) => return Err(ended(&e, e.who())),
        }
        let mut embedded: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, table) in &connection.tables {
            embedded.insert(name, table.rows().map_err(|e| ended(&e, e.who()))?);
        }
        let tables = tables(&plan, &ends, embedded);
        let notes = notes(&plan, &ends, &file.path, &seen, &errors_dir);
        Ok(Ended::Finished(Came { tables, records: seen.records, notes }))
    }

    fn plan(
        &self,
        attempt: Attempt,
        connectors: &Connectors,
    ) -> Result<(PhysicalPlan, Config), Exit> {
        let file = self.file;
        let mut script = file.bind(self.settings)?;
        // Only what runs is tested.
        drop(script.take_explained());
        let mut settings = script.settings.clone();
        settings.extend(self.settings.iter().cloned());
        let config =
            Config::resolve(&settings, 1).map_err(|e| file.show(&script.setting_error(e)))?;
        let config = Config { workers: attempt.workers, batch_rows: attempt.batch_rows, ..config };
        let plan = lower(&script, &file.text, &config, connectors).map_err(|e| file.show(&e))?;
        Ok((plan, config))
    }

    fn not_started(&self, error: &StartError) -> Exit {
        match error.in_text() {
            Some(of_text) => self.file.show(of_text),
            None => ended(error, error.who()),
        }
    }

    /// A test ends when all is read.
    fn has_an_end(
        &self,
        plan: &PhysicalPlan,
        sources: &[Arc<dyn crate::source::Source>],
    ) -> Result<(), Exit> {
        let endless = plan.sources.iter().zip(sources).find(|(_, source)| !source.bounded());
        let Some((source, _)) = endless else { return Ok(()) };
        let name = crate::sql::hints::base_name(&source.table.name);
        let samples = self.file.path.with_extension("samples");
        Err(wrong(format!(
            "table '{name}' has no end: put rows for the test into {}",
            samples.join(format!("{name}.jsonl")).display()
        )))
    }
}

enum Ended {
    Killed(Ends),
    Finished(Came),
}

/// All results by their names; results of one table are one.
fn tables(
    plan: &PhysicalPlan,
    ends: &Ends,
    mut embedded: BTreeMap<&str, Vec<String>>,
) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for (sink, captured) in plan.sinks.iter().zip(&ends.captured) {
        let rows = match captured {
            Some(captured) => captured.rows(),
            None => embedded.remove(sink.name.as_str()).unwrap_or_default(),
        };
        let key = match &sink.target {
            SinkTarget::Table(table) => table.upsert_key().to_vec(),
            SinkTarget::Print => vec![],
        };
        match tables.iter_mut().find(|table| table.name == sink.name) {
            Some(table) => table.rows.extend(rows),
            None => tables.push(Table { name: sink.name.clone(), key, rows }),
        }
    }
    for table in &mut tables {
        table.rows.sort();
    }
    tables
}

fn notes(
    plan: &PhysicalPlan,
    ends: &Ends,
    query: &Path,
    seen: &Seen,
    errors: &Path,
) -> Vec<String> {
    let samples = query.with_extension("samples");
    let mut notes = plan.warnings.clone();
    notes.extend(ends.made_up.iter().map(|name| {
        let file = samples.join(format!("{name}.jsonl"));
        format!("the rows of table '{name}' are made up: there is no {}", file.display())
    }));
    if seen.unusable > 0 {
        notes.push(format!("{} records or rows could not be used, such as", seen.unusable));
        notes.extend(lines(errors).iter().take(UNUSABLE_TOLD).map(|line| unusable(line)));
    }
    notes
}

/// A row of the error stream in words: whose it is, where it stands, and why.
fn unusable(line: &str) -> String {
    let row: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    let text = |column: &str| row[column].as_str().unwrap_or_default().to_string();
    format!("  {}, {}: {}", text("name"), text("position"), text("reason"))
}

/// The lines of all files in a folder, as far as they can be read.
fn lines(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = files.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    texts.flat_map(|text| text.lines().map(String::from).collect::<Vec<_>>()).collect()
}

#[derive(Default)]
struct Seen {
    records: u64,
    unusable: u64,
}

impl Observer for Seen {
    fn progress(&mut self, stats: &Stats, _: &[Arc<SharedSource>]) {
        self.records = stats.rows_in.load(Ordering::Relaxed);
        self.unusable = stats.diverted.load(Ordering::Relaxed);
    }
}
