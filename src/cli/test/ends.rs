//! What does a tested query read and write, instead of what it names?
//!
//! Called by `attempt` between planning and connecting. A table with a sample reads that, whatever
//! its connector; a remote one without is made up, as under `run --local`. Rows of a table whose
//! later rows replace earlier ones go to an embedded table, as there; all other results are kept in
//! memory, change by change. What always holds: no sink of the query's own is connected; a change
//! counts once, however often the run is killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;

use crate::config::Config;
use crate::connector::stand_in::names;
use crate::connector::{ConnectError, Connector, Connectors, Use};
use crate::format::json::{EncodeOptions, JsonEncoder};
use crate::ids::Epoch;
use crate::options::OptionSpec;
use crate::plan::connectors::{KnownConnectors, RowsTaken};
use crate::plan::physical::{PhysicalPlan, SinkTarget};
use crate::rows::Rows;
use crate::sink::{Afterwards, Guarantee, Prepared, Sink, SinkError, SinkWriter};
use crate::sql::catalog::Table;
use crate::sql::hints;
use crate::wake::Wake;
use crate::who::Who;

/// The connector of tables that something stands in for.
const STAND_IN: &str = "paceline test";
/// The connector of tables whose sink is replaced once it is made.
const NOWHERE: &str = "blackhole";

/// Never connected: being remote is all that it says.
struct StandIn;

impl Connector for StandIn {
    fn name(&self) -> &'static str {
        STAND_IN
    }
    fn about(&self) -> &'static str {
        "What a tested query reads and writes."
    }
    fn options(&self) -> Vec<OptionSpec> {
        vec![]
    }
    fn is_remote(&self) -> bool {
        true
    }
}

pub fn connectors() -> Connectors {
    Connectors::built_in().with(StandIn)
}

/// What takes the places of a plan's ends.
pub struct Ends {
    /// One for each sink; None: an embedded table.
    pub captured: Vec<Option<Arc<Captured>>>,
    /// Tables whose rows are made up.
    pub made_up: Vec<String>,
}

/// Puts stand-ins for the ends of a plan. `query`: the path of its file.
pub fn replace(
    plan: &mut PhysicalPlan,
    query: &Path,
    config: &Config,
    connectors: &Connectors,
) -> Result<Ends, ConnectError> {
    let samples = query.with_extension("samples");
    let mut made_up = Vec::new();
    for source in plan.sources.iter_mut().filter(|source| source.rows.is_none()) {
        let name = hints::base_name(&source.table.name);
        if config.samples.contains_key(name) || names::sample(&source.table, &samples)?.is_file() {
            source.table = with_connector(&source.table, STAND_IN);
        } else if connectors.is_out_of_reach(&source.table, Use::Read) {
            made_up.push(name.to_string());
        }
    }
    let mut captured = Vec::new();
    for sink in &mut plan.sinks {
        let is_embedded = match &sink.target {
            SinkTarget::Print => false,
            SinkTarget::Table(table) => {
                let rows = connectors.uses(table).rows;
                let keyed = rows == RowsTaken::Keyed && !table.upsert_key().is_empty();
                let stands_in = if keyed { STAND_IN } else { NOWHERE };
                let mut replaced = with_connector(table, stands_in);
                if !keyed {
                    Arc::make_mut(&mut replaced).options.retain(|key, _| key == "connector");
                }
                sink.target = SinkTarget::Table(replaced);
                keyed
            }
        };
        captured
            .push((!is_embedded).then(|| Arc::new(Captured::new(&sink.name, sink.schema.clone()))));
    }
    Ok(Ends { captured, made_up })
}

fn with_connector(table: &Arc<Table>, connector: &str) -> Arc<Table> {
    let mut table = Table::clone(table);
    table.options.insert("connector".into(), connector.into());
    Arc::new(table)
}

/// A change: by how much it alters how often the row is there, and the row as a JSON object.
type Change = (i64, String);

/// A result in memory, by the parts in which it was committed.
pub struct Captured {
    name: String,
    schema: SchemaRef,
    parts: Mutex<BTreeMap<String, Vec<Change>>>,
}

impl Captured {
    fn new(name: &str, schema: SchemaRef) -> Captured {
        Captured { name: name.into(), schema, parts: Mutex::default() }
    }

    /// The rows that the changes lead to, sorted.
    pub fn rows(&self) -> Vec<String> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for (by, row) in parts.values().flatten() {
            *counts.entry(row).or_default() += by;
        }
        let rows = counts.into_iter().flat_map(|(row, n)| {
            std::iter::repeat_n(row.to_string(), usize::try_from(n).unwrap_or(0))
        });
        rows.collect()
    }

    /// Takes over what an earlier attempt of the run has committed.
    pub fn goes_on_from(&self, earlier: &Captured) {
        let parts = earlier.parts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).extend(parts);
    }
}

impl Sink for Captured {
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn writer(&self, writer: usize, _wake: Wake) -> Result<Box<dyn SinkWriter>, SinkError> {
        let encoder = JsonEncoder::new(&self.schema, EncodeOptions::default())
            .map_err(|e| SinkError::Config { table: self.name.clone(), reason: e.to_string() })?;
        Ok(Box::new(Writer { writer, encoder, lines: String::new() }))
    }

    /// A part is a line with its name, and a line for each change. The same part again replaces
    /// itself.
    fn commit(&self, staged: &[Vec<u8>]) -> Result<(), SinkError> {
        for part in staged {
            let error = || SinkError::Write {
                table: self.name.clone(),
                reason: "what was staged is no list of changes".into(),
                who: Who::Us,
            };
            let text = std::str::from_utf8(part).map_err(|_| error())?;
            let (name, lines) = text.split_once('\n').ok_or_else(error)?;
            let changes = lines.lines().map(|line| {
                let (sign, row) = line.split_at_checked(1).ok_or_else(error)?;
                Ok((if sign == "+" { 1 } else { -1 }, row.to_string()))
            });
            let changes = changes.collect::<Result<Vec<Change>, SinkError>>()?;
            let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            parts.insert(name.to_string(), changes);
        }
        Ok(())
    }
}

struct Writer {
    writer: usize,
    encoder: JsonEncoder,
    lines: String,
}

impl SinkWriter for Writer {
    fn write(&mut self, rows: &Rows) -> Result<(), SinkError> {
        let mut row = Vec::new();
        for i in 0..rows.batch.num_rows() {
            row.clear();
            self.encoder.encode_row(&rows.batch, i, &mut row);
            self.lines.push(if rows.op(i).adds() { '+' } else { '-' });
            // JSON has no line ends within an object.
            self.lines.push_str(&String::from_utf8_lossy(&row));
            self.lines.push('\n');
        }
        Ok(())
    }

    fn begin_prepare(
        &mut self,
        epoch: Epoch,
        _afterwards: Afterwards,
    ) -> Result<Prepared, SinkError> {
        if self.lines.is_empty() {
            return Ok(Prepared::staged(vec![]));
        }
        let staged = format!("{epoch:08}-{}\n{}", self.writer, std::mem::take(&mut self.lines));
        Ok(Prepared::staged(staged.into_bytes()))
    }
}
