//! A job as data: which sources are read, what happens to their rows, where results go.
//!
//! Made by `lower`, printed by `explain`, built by `runtime::graph`. Operator numbers depend on the
//! query alone, not on parallelism: they are part of stored keys.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion_physical_expr::PhysicalExpr;

use crate::ids::OperatorId;
use crate::ingest::IngestSpec;
use crate::lookup::{Asker, LookupError, LookupSpec};
use crate::operator::Operator;
use crate::operator::calc::Calc;
use crate::operator::expand::{Expand, ExpandSpec};
use crate::operator::group::aggregate::GroupAggregate;
use crate::operator::group::upserts::Upserts;
use crate::operator::group::windowed::WindowedGroups;
use crate::operator::group::{GroupSpec, Pace};
use crate::operator::join::JoinSpec;
use crate::operator::join::interval::{Interval, IntervalJoin};
use crate::operator::join::lookup::{LookupJoin, LookupJoinSpec};
use crate::operator::join::multiset::{Multiset, MultisetSpec};
use crate::operator::join::regular::{RegularJoin, RegularSpec};
use crate::operator::join::versioned::{VersionedJoin, VersionedSpec};
use crate::operator::join::window::WindowJoin;
use crate::operator::marks::{Mark, Marks};
use crate::operator::over::OverSpec;
use crate::operator::over::by_value::{ByValueSpec, OverByValue};
use crate::operator::over::operator::Over;
use crate::operator::pattern::PatternSpec;
use crate::operator::pattern::operator::Pattern;
use crate::operator::processing_time::{EndedWindows, ProcessingTime};
use crate::operator::rank::RankSpec;
use crate::operator::rank::operator::Rank;
use crate::operator::session::SessionSpec;
use crate::operator::session::aggregate::SessionAggregate;
use crate::operator::session::rows::{SessionRows, SessionRowsSpec};
use crate::operator::sort::at_end::AtEnd;
use crate::operator::sort::by_time::ByTime;
use crate::operator::sort::{AtEndSpec, ByTimeSpec, OfNoKey};
use crate::operator::top_n::ended::{EndedRanks, EndedRanksSpec};
use crate::operator::top_n::number::NumberTopN;
use crate::operator::top_n::prune::PruneTopN;
use crate::operator::top_n::{TopNSpec, TopNStage};
use crate::operator::unnest::{Elements, Unnest, UnnestSpec};
use crate::operator::window::WindowAggregateSpec;
use crate::operator::window::aggregate::WindowAggregate;
use crate::operator::window::assign::{AssignSpec, AssignWindows};
use crate::operator::window::local::LocalAggregate;
use crate::sink::TableSpec;
use crate::sql::catalog::Table;
use crate::sql::compared::Compared;
use crate::time::zone::Zone;

pub struct PhysicalPlan {
    pub sources: Vec<SourcePlan>,
    pub lookups: Vec<LookupPlan>,
    pub sinks: Vec<SinkPlan>,
    pub chains: Vec<ChainPlan>,
    /// Number of edges; edge i feeds the chain whose `ChainInput::Edges` names it.
    pub edges: usize,
    /// The plan as text without parallelism: what a checkpoint is compared with.
    pub fingerprint: String,
    /// Things the user should know, one sentence each.
    pub warnings: Vec<String>,
    /// What columns are compared with: for rows that are made up.
    pub compared: Compared,
}

/// A table that is read, once, by all queries of the job.
pub struct SourcePlan {
    pub table: Arc<Table>,
    /// Numbers of the physical and metadata columns that the decoder delivers.
    pub decode: Vec<usize>,
    pub decode_schema: SchemaRef,
    pub ingest: IngestSpec,
    /// The rows themselves, if they stand in the query.
    pub rows: Option<RecordBatch>,
}

/// A table that is looked up, by one join.
pub struct LookupPlan {
    /// How it would be read: what stands in for it under `--local` is.
    pub source: SourcePlan,
    pub spec: LookupSpec,
}

/// A table that is written, or a SELECT that is printed.
pub struct SinkPlan {
    pub name: String,
    pub target: SinkTarget,
    pub schema: SchemaRef,
    /// Rows may be updated and deleted.
    pub updates: bool,
    /// The columns of the key by which the table takes rows; none if it takes them as they come.
    pub key: Vec<String>,
    /// How results relate to the table's key.
    pub keys: ResultKeys,
}

impl SinkPlan {
    /// The sink table with its key, as `table` declares it.
    pub(crate) fn table_spec(&self, table: &Table) -> TableSpec {
        TableSpec {
            name: table.name.clone(),
            schema: self.schema.clone(),
            primary_key: table.primary_key.clone(),
            partitioned_by: table.partitioned_by.clone(),
        }
    }
}

pub enum SinkTarget {
    Table(Arc<Table>),
    /// A bare SELECT.
    Print,
}

/// How results share the sink's upsert key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultKeys {
    /// The key holds the window: no two results share one.
    Unique,
    /// Several windows share a key: the later one wins.
    SharedByWindows,
    /// Rows without a window: the last one wins.
    InOrder,
}

pub struct ChainPlan {
    pub input: ChainInput,
    pub operators: Vec<OperatorPlan>,
    pub output: ChainOutput,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainInput {
    Source(usize),
    /// Rows of the i-th edge are the i-th input of the chain.
    Edges(Vec<usize>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainOutput {
    /// Partial aggregates go by their key group, rows as `route` says.
    Edge {
        edge: usize,
        route: Route,
    },
    Sink(usize),
}

/// Which worker gets a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The owner of the key group of these columns; of group 0 if there are none.
    Keys(Vec<usize>),
    /// The worker that has it.
    Stay,
}

#[derive(Clone)]
pub enum OperatorPlan {
    Calc {
        predicate: Option<Arc<dyn PhysicalExpr>>,
        projection: Option<Vec<Arc<dyn PhysicalExpr>>>,
        output: SchemaRef,
    },
    AssignWindows(AssignSpec),
    LocalAggregate(WindowAggregateSpec),
    WindowAggregate(WindowAggregateSpec),
    SessionAggregate(SessionSpec),
    SessionRows(SessionRowsSpec),
    TopN(TopNSpec, TopNStage),
    Expand(ExpandSpec),
    WindowJoin(JoinSpec),
    IntervalJoin(JoinSpec, Interval),
    VersionedJoin(VersionedSpec),
    RegularJoin(RegularSpec),
    Multiset(MultisetSpec),
    /// The second is the number of the table among those that are looked up.
    LookupJoin(LookupJoinSpec, usize),
    Pattern(PatternSpec),
    Over(OverSpec),
    OverByValue(ByValueSpec),
    Rank(RankSpec),
    GroupAggregate(GroupSpec),
    /// The schema has the mark as its last column.
    Marks(Mark, SchemaRef),
    /// Makes a column the time at which rows pass, and the clock their watermark.
    ProcessingTime {
        operator: OperatorId,
        column: usize,
        schema: SchemaRef,
    },
    /// Behind windows of processing time, which lie in this zone.
    EndedWindows(Option<Zone>),
    SortByTime(ByTimeSpec),
    AtEnd(AtEndSpec),
    /// For a sink with a key, whose columns these are.
    Upserts(Vec<usize>),
    /// For a sink whose key is the rank of a window Top-N.
    EndedRanks(EndedRanksSpec),
    Unnest(UnnestSpec, Elements),
}

/// Where an operator is built: what its worker offers it.
pub struct Site<'a> {
    /// Connects it to the table of that number among those that are looked up.
    pub asker: &'a dyn Fn(usize) -> Result<Asker, LookupError>,
    pub of_no_key: OfNoKey,
}

impl OperatorPlan {
    /// Its number if it keeps state.
    pub(crate) fn state_id(&self) -> Option<OperatorId> {
        Some(match self {
            OperatorPlan::WindowAggregate(spec) => spec.operator,
            OperatorPlan::SessionAggregate(spec) => spec.operator,
            OperatorPlan::SessionRows(spec) => spec.operator,
            OperatorPlan::TopN(spec, TopNStage::Number) => spec.operator,
            OperatorPlan::GroupAggregate(spec) => spec.operator,
            OperatorPlan::WindowJoin(spec) | OperatorPlan::IntervalJoin(spec, _) => spec.operator,
            OperatorPlan::VersionedJoin(spec) => spec.join.operator,
            OperatorPlan::RegularJoin(spec) => spec.join.operator,
            OperatorPlan::Multiset(spec) => spec.operator,
            OperatorPlan::Pattern(spec) => spec.waiting.operator,
            OperatorPlan::Over(spec) => spec.operator,
            OperatorPlan::OverByValue(spec) => spec.operator,
            OperatorPlan::Rank(spec) => spec.operator,
            OperatorPlan::SortByTime(spec) => spec.waiting.operator,
            OperatorPlan::AtEnd(spec) => spec.operator,
            OperatorPlan::ProcessingTime { operator, .. } => *operator,
            _ => return None,
        })
    }

    /// True if it must be told what time it is.
    pub(crate) fn goes_by_clock(&self) -> bool {
        let after = |pace| matches!(pace, Pace::After { .. });
        match self {
            OperatorPlan::ProcessingTime { .. } => true,
            OperatorPlan::GroupAggregate(GroupSpec { windows: Some(w), .. }) => {
                after(w.early) || after(w.late)
            }
            _ => false,
        }
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        match self {
            OperatorPlan::Calc { output, .. } => {
                let names: Vec<&str> = output.fields().iter().map(|f| f.name().as_str()).collect();
                format!("calc({})", names.join(", "))
            }
            OperatorPlan::AssignWindows(_) => "window rows".into(),
            OperatorPlan::LocalAggregate(_) => "window".into(),
            OperatorPlan::WindowAggregate(spec) => format!("window {}", spec.operator),
            OperatorPlan::SessionAggregate(spec) => format!("session {}", spec.operator),
            OperatorPlan::SessionRows(spec) => format!("session rows {}", spec.operator),
            OperatorPlan::TopN(spec, _) => format!("top-n {}", spec.operator),
            OperatorPlan::Expand(_) => "grouping sets".into(),
            OperatorPlan::WindowJoin(spec) => format!("window join {}", spec.operator),
            OperatorPlan::IntervalJoin(spec, _) => format!("interval join {}", spec.operator),
            OperatorPlan::VersionedJoin(spec) => format!("versioned join {}", spec.join.operator),
            OperatorPlan::Multiset(spec) => format!("set operation {}", spec.operator),
            OperatorPlan::RegularJoin(spec) => format!("join {}", spec.join.operator),
            OperatorPlan::LookupJoin(spec, _) => format!("lookup join {}", spec.table),
            OperatorPlan::Pattern(spec) => format!("pattern {}", spec.waiting.operator),
            OperatorPlan::Over(spec) => format!("over {}", spec.operator),
            OperatorPlan::OverByValue(spec) => format!("over {}", spec.operator),
            OperatorPlan::Rank(spec) => format!("rank {}", spec.operator),
            OperatorPlan::GroupAggregate(spec) => format!("group {}", spec.operator),
            OperatorPlan::Marks(..) => "marks".into(),
            OperatorPlan::ProcessingTime { .. } => "processing time".into(),
            OperatorPlan::EndedWindows(_) => "ended windows".into(),
            OperatorPlan::SortByTime(spec) => format!("sort {}", spec.waiting.operator),
            OperatorPlan::AtEnd(spec) => format!("at end {}", spec.operator),
            OperatorPlan::Upserts(_) => "upserts".into(),
            OperatorPlan::EndedRanks(_) => "ended ranks".into(),
            OperatorPlan::Unnest(..) => "unnest".into(),
        }
    }

    /// The operator for one worker.
    pub fn build(&self, site: &Site<'_>) -> Result<Box<dyn Operator>, LookupError> {
        Ok(match self.clone() {
            OperatorPlan::Calc { predicate, projection, output } => {
                Box::new(Calc::new(predicate, projection, output))
            }
            OperatorPlan::AssignWindows(spec) => Box::new(AssignWindows::new(spec)),
            OperatorPlan::LocalAggregate(spec) => Box::new(LocalAggregate::new(spec)),
            OperatorPlan::WindowAggregate(spec) => Box::new(WindowAggregate::new(spec)),
            OperatorPlan::SessionAggregate(spec) => Box::new(SessionAggregate::new(spec)),
            OperatorPlan::SessionRows(spec) => Box::new(SessionRows::new(spec)),
            OperatorPlan::TopN(spec, TopNStage::Prune) => Box::new(PruneTopN::new(spec)),
            OperatorPlan::TopN(spec, TopNStage::Number) => Box::new(NumberTopN::new(spec)),
            OperatorPlan::Rank(spec) => Box::new(Rank::new(spec)),
            OperatorPlan::Pattern(spec) => Box::new(Pattern::new(spec)),
            OperatorPlan::Over(spec) => Box::new(Over::new(spec)),
            OperatorPlan::OverByValue(spec) => Box::new(OverByValue::new(spec)),
            OperatorPlan::IntervalJoin(spec, interval) => {
                Box::new(IntervalJoin::new(spec, interval))
            }
            OperatorPlan::WindowJoin(spec) => Box::new(WindowJoin::new(spec)),
            OperatorPlan::VersionedJoin(spec) => Box::new(VersionedJoin::new(spec)),
            OperatorPlan::Multiset(spec) => Box::new(Multiset::new(spec)),
            OperatorPlan::RegularJoin(spec) => Box::new(RegularJoin::new(spec)),
            OperatorPlan::LookupJoin(spec, number) => {
                Box::new(LookupJoin::new(spec, (site.asker)(number)?))
            }
            OperatorPlan::Expand(spec) => Box::new(Expand::new(spec)),
            OperatorPlan::GroupAggregate(spec) => match spec.windows.clone() {
                Some(windows) => Box::new(WindowedGroups::new(spec, windows)),
                None => Box::new(GroupAggregate::new(spec)),
            },
            OperatorPlan::Marks(mark, schema) => Box::new(Marks::new(mark, schema)),
            OperatorPlan::ProcessingTime { column, schema, .. } => {
                Box::new(ProcessingTime::new(column, schema))
            }
            OperatorPlan::EndedWindows(zone) => Box::new(EndedWindows::new(zone)),
            OperatorPlan::SortByTime(spec) => Box::new(ByTime::new(spec)),
            OperatorPlan::AtEnd(spec) => Box::new(AtEnd::new(spec, site.of_no_key)),
            OperatorPlan::Upserts(key) => Box::new(Upserts::new(key)),
            OperatorPlan::EndedRanks(spec) => Box::new(EndedRanks::new(spec)),
            OperatorPlan::Unnest(spec, elements) => Box::new(Unnest::new(spec, elements)),
        })
    }
}
