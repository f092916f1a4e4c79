//! From the plan to workers: builds chains, inboxes and stores, and gives each its restored state.
//!
//! Called once per start by `job`. What always holds: every worker has every chain; splits and key
//! groups are dealt among them; the parts of a checkpoint taken with another number of workers are
//! re-dealt by key group.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::chain::{Chain, ChainEnd, Link, SinkEnd};
use super::control::{Control, Report};
use super::errors::ErrorStream;
use super::exchange::Outlet;
use super::inbox::Inbox;
use super::spans;
use super::worker::{EdgeInput, SharedSource, SplitData, Worker, WorkerParts, WorkerSource};
use crate::checkpoint::manifest::{Manifest, SplitState, StagedOfSinks};
use crate::checkpoint::store::CheckpointStore;
use crate::ids::{OperatorId, WorkerId};
use crate::ingest::Ingest;
use crate::lookup::LookupError;
use crate::operator::OperatorState;
use crate::operator::sort::OfNoKey;
use crate::plan::physical::{ChainInput, ChainOutput, OperatorPlan, PhysicalPlan, Site};
use crate::runtime::error::JobError;
use crate::runtime::options::{Alignment, Connected, JobOptions, SourceWatermarks};
use crate::sink::{Sink, Staged};
use crate::source::Source;
use crate::source::budget::ReadBudget;
use crate::state::key_group::of_no_key;
use crate::state::layout::key_group_of;
use crate::state::store::{Changes, StateDb, Stores};
use crate::state::{StateError, owner_of};
use crate::time::Watermark;
use crate::time::alignment::{Aligned, AlignmentGroup};
use crate::time::watermark::{Boundedness, SplitStatus, SplitTable};
use crate::wake::Wake;

/// Bytes a lane holds before its producer has to wait: a few batches, so that workers rarely wait
/// for each other and the memory of all lanes stays small against the rest.
pub const LANE_BYTES_MAX: usize = 4 << 20;

/// The shared side of every source, its splits dealt among the workers.
pub(crate) fn share_sources(
    plan: &PhysicalPlan,
    connected: &Connected,
    manifest: &Manifest,
    options: &JobOptions,
) -> Vec<Arc<SharedSource>> {
    let workers = options.workers;
    let budget = ReadBudget::new(options.read_ahead_bytes);
    let mut groups = Groups::of(&connected.watermarks);
    let ends = plan.sources.iter().zip(&connected.sources).zip(&connected.watermarks);
    let shared = ends.map(|((source_plan, source), watermarks)| {
        let name = &source_plan.table.name;
        let splits = manifest
            .sources
            .iter()
            .find(|s| s.table == *name)
            .map(|s| s.splits.as_slice())
            .unwrap_or_default();
        let boundedness =
            if source.bounded() { Boundedness::Bounded } else { Boundedness::Unbounded };
        let table = deal(splits, workers, boundedness);
        let aligned = watermarks.alignment.as_ref().and_then(|alignment| groups.join(alignment));
        let idle_timeout = watermarks.idle_timeout;
        Arc::new(SharedSource::new(
            name.clone(),
            source.clone(),
            table,
            idle_timeout,
            aligned,
            workers,
            budget.clone(),
        ))
    });
    shared.collect()
}

/// Groups of sources that are kept together, by name, with the members that have joined.
struct Groups(BTreeMap<String, (Arc<AlignmentGroup>, usize)>);

impl Groups {
    fn of(watermarks: &[SourceWatermarks]) -> Groups {
        let mut members: BTreeMap<&String, usize> = BTreeMap::new();
        for alignment in watermarks.iter().filter_map(|w| w.alignment.as_ref()) {
            *members.entry(&alignment.group).or_default() += 1;
        }
        Groups(
            members
                .into_iter()
                .map(|(name, n)| (name.clone(), (Arc::new(AlignmentGroup::new(n)), 0)))
                .collect(),
        )
    }

    /// The place of the next member.
    fn join(&mut self, alignment: &Alignment) -> Option<Aligned> {
        let (group, joined) = self.0.get_mut(&alignment.group)?;
        let member = *joined;
        *joined += 1;
        let max_drift_ms = i64::try_from(alignment.max_drift.as_millis()).unwrap_or(i64::MAX);
        Some(Aligned { group: group.clone(), member, max_drift_ms })
    }
}

/// Splits in order of their watermarks, one to each worker in turn: neighbours in time are read
/// side by side.
fn deal(splits: &[SplitState], workers: usize, boundedness: Boundedness) -> SplitTable<SplitData> {
    let mut order: Vec<&SplitState> = splits.iter().collect();
    order.sort_by(|a, b| {
        a.finished
            .cmp(&b.finished)
            .then(a.watermark.cmp(&b.watermark))
            .then_with(|| a.id.cmp(&b.id))
    });
    let mut table = SplitTable::new(boundedness);
    for (i, split) in order.into_iter().enumerate() {
        let status = if split.finished { SplitStatus::Finished } else { SplitStatus::Waiting };
        let data = SplitData {
            position: split.position.clone(),
            rows: split.rows,
            children: split.children.clone(),
            peeked: split.peeked,
        };
        table.register(
            &split.id,
            split.parents.clone(),
            WorkerId::new(i % workers),
            split.watermark,
            status,
            data,
        );
    }
    table
}

/// Opens every worker's store with the state of the checkpoint.
fn open_stores(
    store: &CheckpointStore,
    manifest: &Manifest,
    workers: usize,
    stores: &Stores,
) -> Result<Vec<StateDb>, JobError> {
    if manifest.workers == workers {
        return WorkerId::all(workers)
            .map(|w| Ok(stores.open(&store.fetch_live(manifest, w)?)?))
            .collect();
    }
    let opened = WorkerId::all(workers)
        .map(|w| Ok(stores.open(&store.empty_live(w)?)?))
        .collect::<Result<Vec<_>, JobError>>()?;
    for old in WorkerId::all(manifest.workers) {
        // Opened on a copy of its names, never in place: opening writes.
        let scratch = store.live(WorkerId::new(opened.len() + old.index()));
        if store.fetch_part(manifest, old, &scratch)? {
            redeal(&scratch, &opened, stores)?;
        }
    }
    Ok(opened)
}

/// Changes written at a time while state is re-dealt.
const REDEAL_BYTES: usize = 2 << 20;

fn redeal(scratch: &Path, to: &[StateDb], stores: &Stores) -> Result<(), JobError> {
    let old = stores.open(scratch)?;
    let mut changes: Vec<Changes> = to.iter().map(StateDb::batch).collect();
    old.scan_all(|key, value| {
        let unknown =
            || StateError { path: scratch.display().to_string(), reason: "an unknown key".into() };
        let group = key_group_of(key).ok_or_else(unknown)?;
        let owner = owner_of(group, to.len()).index();
        changes[owner].put(key, value);
        if changes[owner].size_bytes() > REDEAL_BYTES {
            let full = std::mem::replace(&mut changes[owner], to[owner].batch());
            to[owner].write(full)?;
        }
        Ok::<_, StateError>(())
    })?;
    for (store, changes) in to.iter().zip(changes) {
        store.write(changes)?;
    }
    Ok(())
}

/// Everything a start needs to build workers.
pub(crate) struct Graph<'a> {
    pub plan: &'a PhysicalPlan,
    pub connected: &'a Connected,
    pub options: &'a JobOptions,
    pub manifest: &'a Manifest,
    pub store: &'a CheckpointStore,
    pub sources: &'a [Arc<SharedSource>],
    pub control: &'a Arc<Control>,
    pub reports: &'a Sender<Report>,
}

impl Graph<'_> {
    pub fn build(&self) -> Result<Vec<Worker>, JobError> {
        let workers = self.options.workers;
        let stores = self.options.stores.stores(self.options.state_cache_bytes, workers);
        let stores = open_stores(self.store, self.manifest, workers, &stores)?;
        let inboxes: Vec<Arc<Inbox>> = (0..workers)
            .map(|_| Arc::new(Inbox::new(self.plan.edges * workers, self.options.lane_bytes_max)))
            .collect();
        WorkerId::all(workers).zip(stores).map(|(id, db)| self.worker(id, db, &inboxes)).collect()
    }

    /// Chains before this one that feed the same sink: each has a writer of its own, with a number
    /// of its own.
    fn earlier_writers(&self, chain: usize, sink: usize) -> usize {
        self.plan.chains[..chain].iter().filter(|c| c.output == ChainOutput::Sink(sink)).count()
    }

    fn worker(
        &self,
        id: WorkerId,
        db: StateDb,
        inboxes: &[Arc<Inbox>],
    ) -> Result<Worker, JobError> {
        let workers = inboxes.len();
        let restored: BTreeMap<OperatorId, OperatorState> =
            self.manifest.operators.iter().copied().collect();
        let mut chains = Vec::new();
        let mut operator_ids = Vec::new();
        let mut edges = Vec::new();
        let parker = inboxes[id.index()].parker.clone();
        let wake: Wake = Arc::new(move || parker.wake());
        let span = spans::worker(id);
        for (number, plan) in self.plan.chains.iter().enumerate() {
            let asker = |number: usize| self.connected.lookups[number].asker(wake.clone());
            let chain_span = spans::chain(&span, self.plan, number);
            let rows_of_no_key = match owner_of(of_no_key(), workers) == id {
                true => OfNoKey::ComeHere,
                false => OfNoKey::GoElsewhere,
            };
            let site = Site { asker: &asker, of_no_key: rows_of_no_key };
            let link = |(place, o): (usize, &OperatorPlan)| {
                let name = o.name();
                Ok::<_, LookupError>(Link {
                    operator: o.build(&site)?,
                    span: spans::operator(&chain_span, place, &name),
                    name,
                })
            };
            let mut links =
                plan.operators.iter().enumerate().map(link).collect::<Result<Vec<_>, _>>()?;
            let ids: Vec<Option<OperatorId>> =
                plan.operators.iter().map(|o| o.state_id()).collect();
            for (link, marks) in links
                .iter_mut()
                .zip(&ids)
                .filter_map(|(link, id)| Some((link, restored.get(id.as_ref()?)?)))
            {
                link.run(|operator, _| match operator.state() {
                    Some(state) => state.restore(marks, &db),
                    None => Ok(()),
                })?;
            }
            let end = match &plan.output {
                ChainOutput::Edge { edge, route } => {
                    ChainEnd::Edge(Outlet::new(*edge, id, route.clone(), inboxes.to_vec()))
                }
                ChainOutput::Sink(sink) => ChainEnd::Sink(SinkEnd {
                    sink: *sink,
                    writer: self.connected.sinks[*sink].writer(
                        id.index() + workers * self.earlier_writers(number, *sink),
                        wake.clone(),
                    )?,
                    prepared: None,
                    control: self.control.clone(),
                    rows_written: 0,
                }),
            };
            if let ChainInput::Edges(inputs) = &plan.input {
                edges.push(EdgeInput::new(inputs, number, workers));
            }
            chains.push(Chain::new(links, end, chain_span));
            operator_ids.push(ids);
        }
        let sources =
            self.plan.sources.iter().zip(self.sources).enumerate().map(|(s, (source, shared))| {
                let readers = self
                    .plan
                    .chains
                    .iter()
                    .enumerate()
                    .filter(|(_, c)| c.input == ChainInput::Source(s))
                    .map(|(i, _)| i);
                let ingest = Ingest::new(source.ingest.clone(), (self.connected.decoding)(s));
                WorkerSource::new(shared.clone(), ingest, readers.collect())
            });
        Ok(Worker::new(WorkerParts {
            id,
            span,
            inboxes: inboxes.to_vec(),
            sources: sources.collect(),
            edges,
            chains,
            operator_ids,
            sink_names: self.plan.sinks.iter().map(|s| s.name.clone()).collect(),
            db,
            errors: ErrorStream::new(self.connected.errors.writer(id.index(), wake)?),
            control: self.control.clone(),
            reports: self.reports.clone(),
            staging: self.store.staging(),
        }))
    }
}

/// The splits a new run starts with. Those whose first record can be read are held at its watermark
/// until they are opened.
pub(crate) fn first_splits(
    source: &dyn Source,
    ingest: &mut Ingest,
) -> Result<Vec<SplitState>, JobError> {
    let mut states = Vec::new();
    for seed in source.discover()? {
        let peeked = source.peek(&seed.id)?.and_then(|raw| ingest.first_watermark(raw));
        states.push(SplitState {
            id: seed.id.0.to_string(),
            parents: seed.parents.iter().map(|p| p.0.to_string()).collect(),
            position: seed.start,
            watermark: peeked.unwrap_or(Watermark::NONE),
            rows: 0,
            peeked: peeked.is_some(),
            finished: false,
            children: vec![],
        });
    }
    Ok(states)
}

/// All sinks of a job by name, with the error stream last.
pub(crate) fn named_sinks<'a>(
    plan: &'a PhysicalPlan,
    connected: &'a Connected,
) -> impl Iterator<Item = (&'a str, &'a Arc<dyn Sink>)> {
    plan.sinks
        .iter()
        .map(|s| s.name.as_str())
        .zip(&connected.sinks)
        .chain(std::iter::once((ERRORS, &connected.errors)))
}

/// What is staged of a sink.
pub(crate) fn staged_of<'a>(staged: &'a StagedOfSinks, sink: &str) -> &'a [Staged] {
    staged
        .iter()
        .find(|(name, _)| name == sink)
        .map(|(_, staged)| staged.as_slice())
        .unwrap_or_default()
}

/// The name of the error stream among the sinks of a manifest. No SQL table can be called that.
pub(crate) const ERRORS: &str = "(errors)";
