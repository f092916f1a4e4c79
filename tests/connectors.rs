//! Is a connector a folder and a line? One that is added here runs a query like those of the
//! binary, and `queries/CONNECTORS.md` lists those with the options that they check.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use paceline::aws;
use paceline::config::Config;
use paceline::connector::error::config_error;
use paceline::connector::formats::{
    CANAL_OPTIONS, CSV_OPTIONS, DEBEZIUM_OPTIONS, JSON_OPTIONS, MAXWELL_OPTIONS, RAW_OPTIONS,
};
use paceline::connector::watermarks::OPTIONS as WATERMARK_OPTIONS;
use paceline::connector::{
    ConnectError, Connector, Connectors, Environment, FORMAT, Reads, Writes,
};
use paceline::format::json::{EncodeOptions, JsonEncoder};
use paceline::ids::Epoch;
use paceline::lookup;
use paceline::options::{OptionKind, OptionSpec};
use paceline::plan::connectors::{RowsTaken, Uses};
use paceline::plan::lower::lower;
use paceline::plan::physical::{SinkPlan, SourcePlan};
use paceline::record::{Places, RawBatch, Span};
use paceline::rows::Rows;
use paceline::runtime::options::CheckpointTrigger;
use paceline::sink::version::WriteMode;
use paceline::sink::{Afterwards, Guarantee, Prepared, Sink, SinkError, SinkWriter};
use paceline::source::{
    Polled, Position, ReadAhead, Source, SourceError, SplitId, SplitReader, SplitSeed,
};
use paceline::sql::bind::bind;
use paceline::sql::catalog::Table;
use paceline::wake::Wake;

use crate::support::job::{Variation, finish};

/// Counts: rows `{"n": 0}`, `{"n": 1}`, ... up to the option `count`; as a sink it keeps what it is
/// given, in memory.
#[derive(Clone, Default)]
pub struct Counter {
    kept: Arc<Mutex<Vec<String>>>,
}

const COUNT: OptionSpec =
    OptionSpec::new("count", OptionKind::Number(1, 1_000_000), "rows in all").or("10");

impl Counter {
    /// What the sink was given.
    pub fn sorted(&self) -> Vec<String> {
        let mut kept = self.kept.lock().expect("not poisoned").clone();
        kept.sort();
        kept
    }
}

impl Connector for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }
    fn about(&self) -> &'static str {
        "Counts."
    }
    fn options(&self) -> Vec<OptionSpec> {
        vec![COUNT, FORMAT]
    }
    fn uses(&self) -> Uses {
        Uses { rows: RowsTaken::New, ..Uses::default() }
    }
    fn reads(&self) -> Option<&dyn Reads> {
        Some(self)
    }
    fn writes(&self) -> Option<&dyn Writes> {
        Some(self)
    }
}

impl Reads for Counter {
    fn check(&self, plan: &SourcePlan) -> Result<(), ConnectError> {
        if plan.table.columns.iter().any(|c| c.name == "n") {
            return Ok(());
        }
        Err(config_error(&plan.table, "a counter has a column 'n'"))
    }
    fn source(
        &self,
        plan: &SourcePlan,
        _env: &Environment<'_>,
    ) -> Result<Arc<dyn Source>, ConnectError> {
        let count = plan.table.options.get(COUNT.key).map_or("10", String::as_str);
        Ok(Arc::new(Numbers { count: count.parse().expect("checked") }))
    }
}

impl Writes for Counter {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }
    fn check(&self, _plan: &SinkPlan, _table: &Table) -> Result<(), ConnectError> {
        Ok(())
    }
    fn sink(
        &self,
        plan: &SinkPlan,
        _: &Table,
        _: WriteMode,
        _: &Environment<'_>,
    ) -> Result<Arc<dyn Sink>, ConnectError> {
        let encoder =
            JsonEncoder::new(&plan.schema, EncodeOptions::default()).expect("plain columns");
        Ok(Arc::new(Keep { kept: self.kept.clone(), encoder: Arc::new(Mutex::new(encoder)) }))
    }
}

struct Numbers {
    count: u64,
}

impl Source for Numbers {
    fn discover(&self) -> Result<Vec<SplitSeed>, SourceError> {
        Ok(vec![SplitSeed {
            id: SplitId("numbers".into()),
            parents: vec![],
            start: Position::after_records(0),
        }])
    }
    fn open(
        &self,
        _: &SplitId,
        position: &Position,
        _: ReadAhead,
    ) -> Result<Box<dyn SplitReader>, SourceError> {
        let records = position.records().expect("written here");
        Ok(Box::new(Counting { next: records, count: self.count }))
    }
    fn bounded(&self) -> bool {
        true
    }
}

struct Counting {
    next: u64,
    count: u64,
}

impl SplitReader for Counting {
    fn poll(&mut self, max_records: usize) -> Result<Polled, SourceError> {
        if self.next == self.count {
            return Ok(Polled::End { children: vec![] });
        }
        let mut batch =
            RawBatch { places: Places::Generated { first: self.next }, ..RawBatch::default() };
        for _ in 0..max_records.min((self.count - self.next) as usize) {
            let start = batch.bytes.len() as u32;
            batch.bytes.extend_from_slice(format!("{{\"n\": {}}}", self.next).as_bytes());
            batch.spans.push(Span { start, end: batch.bytes.len() as u32 });
            self.next += 1;
        }
        Ok(Polled::Records(batch))
    }
    fn position(&self) -> Position {
        Position::after_records(self.next)
    }
}

struct Keep {
    kept: Arc<Mutex<Vec<String>>>,
    encoder: Arc<Mutex<JsonEncoder>>,
}

impl Sink for Keep {
    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }
    fn writer(&self, _writer: usize, _wake: Wake) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(Keep { kept: self.kept.clone(), encoder: self.encoder.clone() }))
    }
}

impl SinkWriter for Keep {
    fn write(&mut self, rows: &Rows) -> Result<(), SinkError> {
        let mut lines = Vec::new();
        self.encoder.lock().expect("not poisoned").encode(&rows.batch, &mut lines);
        let text = String::from_utf8(lines).expect("text");
        self.kept.lock().expect("not poisoned").extend(text.lines().map(String::from));
        Ok(())
    }
    fn begin_prepare(
        &mut self,
        _epoch: Epoch,
        _afterwards: Afterwards,
    ) -> Result<Prepared, SinkError> {
        Ok(Prepared::staged(vec![]))
    }
}

const SQL: &str = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'counter', 'count' = '25');
    CREATE TABLE even (n BIGINT) WITH ('connector' = 'counter');
    INSERT INTO even SELECT n FROM numbers WHERE MOD(n, 10) = 0;";

#[test]
fn a_connector_of_ones_own_runs_a_query() {
    let counter = Counter::default();
    let connectors = Arc::new(Connectors::built_in().with(counter.clone()));
    let dir = tempfile::tempdir().unwrap();
    let variation = Variation {
        connectors,
        batch_rows: 4,
        trigger: CheckpointTrigger::Records(7),
        ..Variation::plain(2)
    };
    let seen = finish(SQL, &dir.path().join("state"), &variation);
    assert!(seen.checkpoints > 0);
    assert_eq!(counter.sorted(), ["{\"n\":0}", "{\"n\":10}", "{\"n\":20}"]);
}

#[test]
fn its_options_are_checked_like_any_others() {
    let connectors = Connectors::built_in().with(Counter::default());
    let wrong = |sql: &str| {
        let script = bind(sql).unwrap();
        let config = Config::resolve(&script.settings, 1).unwrap();
        let plan = lower(&script, sql, &config, &connectors).unwrap();
        paceline::connect::check(&plan, &config, &connectors, &|_, _| false)
            .unwrap_err()
            .to_string()
    };
    let of = |from: &str, to: &str| wrong(&SQL.replace(from, to));
    assert!(of("'count' = '25'", "'counts' = '25'").contains(
        "has no option 'counts'; did you mean 'count'? (options: connector, count, format,"
    ));
    assert_eq!(
        of("'25'", "'0'"),
        "table 'numbers': 'count' is a number from 1 to 1000000, not '0'"
    );
    assert_eq!(
        of(
            "even (n BIGINT) WITH ('connector' = 'counter')",
            "even (n BIGINT) WITH ('connector' = 'conter')"
        ),
        "table 'even': no connector 'conter' here; did you mean 'counter'?; with --local it is a stand-in (connectors: filesystem, \
         kinesis, kinesis-legacy, dynamodb, print, blackhole, counter)"
    );
    let renamed = SQL
        .replace("numbers (n BIGINT)", "numbers (m BIGINT)")
        .replace("SELECT n", "SELECT m")
        .replace("MOD(n", "MOD(m");
    let batches = "CREATE TABLE t (k STRING PRIMARY KEY NOT ENFORCED) WITH ('connector'='dynamodb', 'table-name'='t', 'sink.batch.max_size'='3'); INSERT INTO t VALUES ('a');";
    assert!(wrong(batches).contains("did you mean 'sink.batch.max-size'?"));
    assert_eq!(wrong(&renamed), "table 'numbers': a counter has a column 'n'");
}

fn table(out: &mut String, options: &[OptionSpec]) {
    out.push_str("| option | value | default | what it says |\n| --- | --- | --- | --- |\n");
    for option in options {
        let default = match option.default {
            _ if option.required => "(required)".into(),
            Some(default) => format!("`{default}`"),
            None => String::new(),
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | {default} | {} |",
            option.key,
            option.kind.describe(),
            match option.is_ignored {
                true => format!("of no effect here: {}", option.help),
                false => option.help.into(),
            }
        );
    }
    out.push('\n');
}

/// The list, from the connectors themselves.
fn list() -> String {
    let mut out = String::from(
        "# Connectors\n\nWhat WITH may say, by `connector`. Keys and values are those of Apache Flink where it has them. `paceline check` compares a\n\
         file with this list. Written by `PACELINE_WRITE_LISTS=1 cargo test connectors`.\n\n",
    );
    let shared = [("lookups", lookup::options::OPTIONS.to_vec()), ("AWS", aws::OPTIONS.to_vec())];
    for connector in Connectors::built_in().iter() {
        let _ = writeln!(out, "## {}\n\n{}\n", connector.name(), connector.about());
        let mut can: Vec<String> = Vec::new();
        if connector.reads().is_some() {
            can.push("It is read".into());
        }
        if let Some(writes) = connector.writes() {
            can.push(format!("It is written, {}", writes.guarantee()));
        }
        if connector.looks_up().is_some() {
            can.push("It is looked up by key".into());
        }
        if connector.is_remote() {
            can.push("Under `--local` something on this machine takes its place".into());
        }
        let _ = writeln!(out, "{}.\n", can.join(". "));
        let all = connector.options();
        let of = |group: &[OptionSpec]| group.iter().all(|o| all.contains(o));
        let own: Vec<OptionSpec> = all
            .iter()
            .filter(|o| !shared.iter().any(|(_, group)| of(group) && group.contains(o)))
            .copied()
            .collect();
        if !own.is_empty() {
            table(&mut out, &own);
        }
        let more: Vec<String> = shared
            .iter()
            .filter(|(_, group)| of(group))
            .map(|(name, _)| format!("those of [{name}](#options-of-{})", name.to_lowercase()))
            .collect();
        if !more.is_empty() {
            let _ = writeln!(out, "Besides: {}.\n", more.join(", "));
        }
    }
    for (name, group) in &shared {
        let _ = writeln!(out, "## Options of {}\n", name.to_lowercase());
        table(&mut out, group);
    }
    let _ = writeln!(out, "## Watermarks\n\nOf any table that is read.\n");
    table(&mut out, &WATERMARK_OPTIONS);
    for (name, options) in [
        ("json", &JSON_OPTIONS[..]),
        ("csv", &CSV_OPTIONS[..]),
        ("raw", &RAW_OPTIONS[..]),
        ("debezium-json", &DEBEZIUM_OPTIONS[..]),
        ("canal-json", &CANAL_OPTIONS[..]),
        ("maxwell-json", &MAXWELL_OPTIONS[..]),
    ] {
        let _ = writeln!(out, "## Format {name}\n");
        table(&mut out, options);
    }
    out.trim_end().to_string() + "\n"
}

#[test]
fn the_list_is_what_the_connectors_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries/CONNECTORS.md");
    if std::env::var_os("PACELINE_WRITE_LISTS").is_some() {
        fs::write(&path, list()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, list(), "PACELINE_WRITE_LISTS=1 cargo test connectors writes it again");
}
