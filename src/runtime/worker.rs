//! The loop: one worker, one thread, no waiting except for something to do.
//!
//! A step goes through a fixed list: send what waits for room, finish a snapshot, go on with fires, drain the inbox, take a
//! barrier, read from a split. What always holds: a chain with no room downstream gets no rows from a source and does not
//! fire, while the worker's other chains go on and barriers pass it in their order, so no ring of workers can wait for each
//! other; a barrier enters a chain only between fires; all rows of a split are handed on before the
//! split's new watermark is published. [`Worker::step`] never blocks on other workers, so a test can run all workers of a
//! job in one thread, in any order.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::chain::{Chain, ChainEnd};
use super::crash::{CrashPoint, CrashSchedule};
use super::errors::ErrorStream;
use super::inbox::{Inbox, Parker};
use super::ingest::{Ingest, SplitMarks};
use crate::checkpoint::manifest::SplitState;
use crate::operator::{Context, Counters, Event, FailedRows, OperatorError, OperatorState, Rows};
use crate::sink::SinkError;
use crate::source::{Polled, Position, Source, SourceError, SplitId, SplitReader, SplitSeed};
use crate::state::key::hash_key;
use crate::state::rocks::{Changes, StateDb, StateError};
use crate::time::clock::ProcessingClock;
use crate::time::watermark::{SplitStatus, SplitTable};
use crate::time::{MAX_TIME_MS, MIN_TIME_MS};

/// A failure that ends the job.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("table {table}, split {split}: {reason}")]
    Ingest { table: String, split: String, reason: String },
    #[error("exchange: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A crash that a test asked for.
    #[error("killed at {0:?}")]
    Crashed(CrashPoint),
}

/// What the split table keeps for the source layer.
#[derive(Debug, Clone)]
pub struct SplitData {
    pub position: Position,
    /// Rows it has given.
    pub rows: u64,
    /// Splits that took this one's place when it ended.
    pub children: Vec<SplitSeed>,
    /// Not read yet, and held at the watermark of its first record: its own watermark starts at none.
    pub peeked: bool,
}

/// A source table as all workers see it.
pub struct SharedSource {
    pub table: String,
    pub source: Arc<dyn Source>,
    splits: Mutex<SplitTable<SplitData>>,
    /// A split that has been certified empty for this long becomes idle; zero: never (Flink's default).
    pub idle_timeout: Duration,
    pub workers: usize,
    /// The source watermark last computed, for display.
    pub watermark_ms: AtomicI64,
}

impl SharedSource {
    pub fn new(
        table: String,
        source: Arc<dyn Source>,
        splits: SplitTable<SplitData>,
        idle_timeout: Duration,
        workers: usize,
    ) -> SharedSource {
        SharedSource {
            table,
            source,
            splits: Mutex::new(splits),
            idle_timeout,
            workers,
            watermark_ms: AtomicI64::new(MIN_TIME_MS),
        }
    }

    pub fn splits(&self) -> MutexGuard<'_, SplitTable<SplitData>> {
        self.splits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owner_of_child(&self, id: &SplitId) -> usize {
        (hash_key(id.0.as_bytes()) % self.workers as u64) as usize
    }
}

struct OpenSplit {
    id: SplitId,
    /// Of the table's name and the split's, for rows.
    hash: u64,
    reader: Box<dyn SplitReader>,
    watermark_ms: i64,
    /// Rows it has given.
    rows: u64,
    /// When the split was first certified empty, since its last record.
    empty_since: Option<Duration>,
    reported_bytes: u64,
}

/// One source table on one worker.
pub struct WorkerSource {
    pub shared: Arc<SharedSource>,
    pub ingest: Ingest,
    /// Chains that read the table.
    pub chains: Vec<usize>,
    open: Vec<OpenSplit>,
    sent_watermark_ms: i64,
}

impl WorkerSource {
    pub fn new(shared: Arc<SharedSource>, ingest: Ingest, chains: Vec<usize>) -> WorkerSource {
        WorkerSource { shared, ingest, chains, open: Vec::new(), sent_watermark_ms: MIN_TIME_MS }
    }
}

/// The edges that feed a chain, as it sees them: lanes, one for each edge and producer.
pub struct EdgeInput {
    pub chain: usize,
    lanes: Vec<LaneInput>,
    passed_watermark_ms: i64,
    passed_tick_ms: i64,
}

struct LaneInput {
    /// In the worker's inbox.
    number: usize,
    /// Which of the chain's inputs.
    input: u8,
    watermark_ms: i64,
    tick_ms: i64,
    /// Its barrier has arrived: it is not read until those of all lanes have.
    blocked: bool,
}

impl EdgeInput {
    /// `edges` are the chain's inputs in order.
    pub fn new(edges: &[usize], chain: usize, workers: usize) -> EdgeInput {
        let lanes = edges.iter().enumerate().flat_map(|(input, edge)| {
            let lane = move |producer| (edge * workers + producer, input as u8);
            (0..workers).map(lane)
        });
        let lanes = lanes.map(|(number, input)| LaneInput {
            number,
            input,
            watermark_ms: MIN_TIME_MS,
            tick_ms: MIN_TIME_MS,
            blocked: false,
        });
        EdgeInput { chain, lanes: lanes.collect(), passed_watermark_ms: MIN_TIME_MS, passed_tick_ms: MIN_TIME_MS }
    }
}

/// Figures of a running job, for progress and metrics.
#[derive(Debug, Default)]
pub struct Stats {
    pub rows_in: AtomicU64,
    pub bytes_in: AtomicU64,
    pub rows_out: AtomicU64,
    pub diverted: AtomicU64,
    pub late_rows: AtomicU64,
    pub late_by_fired_mark: AtomicU64,
    pub windows_fired: AtomicU64,
    pub state_bytes: AtomicU64,
    /// Times that accumulators were moved to the store because memory ran short.
    pub spills: AtomicU64,
}

/// What workers and the job thread tell each other.
pub struct Control {
    /// The newest epoch that the job has opened.
    pub requested_epoch: AtomicU64,
    /// Set when threads must stop where they are.
    pub stop: AtomicBool,
    pub stats: Stats,
    pub crashes: Arc<dyn CrashSchedule>,
    pub clock: ProcessingClock,
    /// Something in the job goes by processing time: workers send ticks.
    pub ticks: bool,
    pub batch_rows: usize,
    /// Accumulators that one worker may hold before it moves some to the store.
    pub accumulator_bytes_max: usize,
}

/// A worker's part of an epoch.
#[derive(Debug)]
pub struct Snapshot {
    pub worker: usize,
    pub epoch: u64,
    /// Per source table, in plan order: the splits that this worker owns.
    pub splits: Vec<Vec<SplitState>>,
    /// (operator, state).
    pub operators: Vec<(u32, OperatorState)>,
    /// (sink, what its writer staged).
    pub staged: Vec<(usize, Vec<u8>)>,
    pub errors_staged: Vec<u8>,
}

#[derive(Debug)]
pub enum Report {
    Snapshot(Snapshot),
    /// Every window has fired and the end of input has passed all chains.
    Drained(usize),
    Failed(WorkerError),
}

/// A snapshot under way.
struct OpenEpoch {
    epoch: u64,
    splits: Vec<Vec<SplitState>>,
}

/// What a worker is made of, put together by `graph`.
pub struct WorkerParts {
    pub id: usize,
    /// All workers' inboxes; number `id` is its own.
    pub inboxes: Vec<Arc<Inbox>>,
    pub sources: Vec<WorkerSource>,
    pub edges: Vec<EdgeInput>,
    pub chains: Vec<Chain>,
    /// Numbers of the operators of each chain; 0 for those without state.
    pub operator_ids: Vec<Vec<u32>>,
    pub sink_names: Vec<String>,
    pub db: StateDb,
    pub errors: ErrorStream,
    pub control: Arc<Control>,
    pub reports: Sender<Report>,
    /// Where checkpoints go: this folder / epoch / worker.
    pub checkpoints: PathBuf,
}

pub struct Worker {
    id: usize,
    inbox: Arc<Inbox>,
    peers: Vec<Arc<Inbox>>,
    sources: Vec<WorkerSource>,
    edges: Vec<EdgeInput>,
    chains: Vec<Chain>,
    operator_ids: Vec<Vec<u32>>,
    sink_names: Vec<String>,
    db: StateDb,
    errors: ErrorStream,
    control: Arc<Control>,
    reports: Sender<Report>,
    checkpoints: PathBuf,
    injected_epoch: u64,
    open_epoch: Option<OpenEpoch>,
    drained_reported: bool,
    counters: Counters,
    failed: Vec<FailedRows>,
    next_source: usize,
    /// Bytes of accumulators after the last step.
    held_bytes: usize,
    sent_tick_ms: i64,
}

/// Ticks are at least so far apart, so that a worker with nothing to do does not send one in every step.
const TICK_MS: i64 = 10;
/// Events taken from a lane before the next one's turn.
const LANE_TURN_EVENTS: usize = 16;

impl Worker {
    pub fn new(parts: WorkerParts) -> Worker {
        let WorkerParts {
            id,
            inboxes,
            sources,
            edges,
            chains,
            operator_ids,
            sink_names,
            db,
            errors,
            control,
            reports,
            checkpoints,
        } = parts;
        Worker {
            id,
            inbox: inboxes[id].clone(),
            peers: inboxes,
            sources,
            edges,
            chains,
            operator_ids,
            sink_names,
            db,
            errors,
            injected_epoch: control.requested_epoch.load(Ordering::Acquire),
            control,
            reports,
            checkpoints,
            open_epoch: None,
            drained_reported: false,
            counters: Counters::default(),
            failed: Vec::new(),
            next_source: 0,
            held_bytes: 0,
            sent_tick_ms: MIN_TIME_MS,
        }
    }

    pub fn parker(&self) -> Arc<Parker> {
        self.inbox.parker.clone()
    }

    /// Runs until told to stop. For a thread of its own.
    pub fn run(mut self) {
        self.inbox.parker.attach();
        while !self.control.stop.load(Ordering::Acquire) {
            match self.step() {
                Ok(true) => {}
                // Sources without a wake-up of their own are polled again after this long.
                Ok(false) => self.inbox.parker.park(Duration::from_millis(20)),
                Err(e) => {
                    // The job may be gone already; then nobody needs the report.
                    let _ = self.reports.send(Report::Failed(e));
                    return;
                }
            }
        }
    }

    /// Does one round of what can be done. Returns false if there was nothing.
    pub fn step(&mut self) -> Result<bool, WorkerError> {
        let mut busy = self.flush_outlets();
        busy |= self.continue_snapshot()?;
        busy |= self.continue_fires()?;
        busy |= self.drain_inbox()?;
        self.keep_within_memory()?;
        busy |= self.take_barrier()?;
        busy |= self.read_sources()?;
        self.send_ticks()?;
        self.publish_counters();
        self.report_drained();
        Ok(busy)
    }

    fn flush_outlets(&mut self) -> bool {
        let mut moved = false;
        for chain in &mut self.chains {
            if let ChainEnd::Edge(outlet) = &mut chain.end {
                moved |= outlet.flush();
            }
        }
        moved
    }

    fn is_stalled(&self) -> bool {
        self.chains.iter().any(Chain::is_stalled)
    }

    /// Moves accumulators to the store while there are too many. Not during a snapshot, whose store must stay as it was at
    /// the barrier: until that is written, sources wait instead.
    fn keep_within_memory(&mut self) -> Result<(), WorkerError> {
        self.held_bytes = self.memory_bytes();
        let most = self.control.accumulator_bytes_max;
        if self.held_bytes <= most || self.open_epoch.is_some() {
            return Ok(());
        }
        let mut order: Vec<usize> = (0..self.chains.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(self.chains[i].memory_bytes()));
        for i in order {
            // Some more than needed, so that it is not done again at once.
            while self.held_bytes > most / 4 * 3 {
                let mut changes = Changes::default();
                if !self.chains[i].spill(&mut changes)? {
                    break;
                }
                self.control.stats.spills.fetch_add(1, Ordering::Relaxed);
                if !changes.is_empty() {
                    self.db.write(changes)?;
                }
                self.held_bytes = self.memory_bytes();
            }
        }
        Ok(())
    }

    fn room_bytes(&self) -> usize {
        self.control.accumulator_bytes_max.saturating_sub(self.held_bytes)
    }

    fn crash(&self, point: CrashPoint) -> Result<(), WorkerError> {
        if self.control.crashes.reached(point) { Err(WorkerError::Crashed(point)) } else { Ok(()) }
    }

    fn push(&mut self, chain: usize, event: Event) -> Result<(), WorkerError> {
        let after_barrier = self.chains[chain].frozen_epoch.is_some();
        let mut out = Vec::new();
        let room_bytes = self.room_bytes();
        let mut cx = Context {
            out: &mut out,
            db: &self.db,
            failed: &mut self.failed,
            counters: &mut self.counters,
            room_bytes,
            now_ms: self.control.clock.now_ms(),
        };
        self.chains[chain].push(event, &mut cx)?;
        self.divert_failed(chain, after_barrier)
    }

    fn continue_fires(&mut self) -> Result<bool, WorkerError> {
        let mut busy = false;
        for i in 0..self.chains.len() {
            // After its barrier a chain's state belongs to the snapshot until that is in a checkpoint.
            let chain = &mut self.chains[i];
            if chain.frozen_epoch.is_some() || !chain.has_work() || chain.is_waiting() || !chain.has_room() {
                continue;
            }
            let mut out = Vec::new();
            let room_bytes = self.room_bytes();
            let mut cx = Context {
                out: &mut out,
                db: &self.db,
                failed: &mut self.failed,
                counters: &mut self.counters,
                room_bytes,
                now_ms: self.control.clock.now_ms(),
            };
            self.chains[i].work(&mut cx)?;
            self.divert_failed(i, false)?;
            self.crash(CrashPoint::MidFire)?;
            busy = true;
        }
        Ok(busy)
    }

    fn drain_inbox(&mut self) -> Result<bool, WorkerError> {
        let mut busy = false;
        for e in 0..self.edges.len() {
            for lane in 0..self.edges[e].lanes.len() {
                for _ in 0..LANE_TURN_EVENTS {
                    let chain = self.edges[e].chain;
                    let LaneInput { number, blocked, .. } = self.edges[e].lanes[lane];
                    if blocked || self.chains[chain].has_work() || !self.chains[chain].has_room() {
                        break;
                    }
                    let Some((event, was_full)) = self.inbox.pop(number) else { break };
                    busy = true;
                    if was_full {
                        self.wake_others();
                    }
                    self.receive(e, lane, event)?;
                }
            }
        }
        Ok(busy)
    }

    fn receive(&mut self, e: usize, lane: usize, event: Event) -> Result<(), WorkerError> {
        let edge = &mut self.edges[e];
        let chain = edge.chain;
        match event {
            Event::Watermark(w) => {
                edge.lanes[lane].watermark_ms = w;
                let lowest = edge.lanes.iter().map(|l| l.watermark_ms).min().unwrap_or(w);
                if lowest > edge.passed_watermark_ms {
                    edge.passed_watermark_ms = lowest;
                    self.push(chain, Event::Watermark(lowest))?;
                }
            }
            Event::Tick(t) => {
                edge.lanes[lane].tick_ms = t;
                let lowest = edge.lanes.iter().map(|l| l.tick_ms).min().unwrap_or(t);
                if lowest > edge.passed_tick_ms {
                    edge.passed_tick_ms = lowest;
                    self.push(chain, Event::Tick(lowest))?;
                }
            }
            Event::Barrier(epoch) => {
                edge.lanes[lane].blocked = true;
                if edge.lanes.iter().all(|l| l.blocked) {
                    edge.lanes.iter_mut().for_each(|l| l.blocked = false);
                    self.open_epoch(epoch);
                    self.push(chain, Event::Barrier(epoch))?;
                }
            }
            Event::Rows(rows) => {
                let input = edge.lanes[lane].input;
                self.push(chain, Event::Rows(Rows { input, ..rows }))?;
            }
            partials => self.push(chain, partials)?,
        }
        Ok(())
    }

    /// A lane has room again: its producer may be waiting for that.
    fn wake_others(&self) {
        for peer in &self.peers {
            peer.parker.wake();
        }
    }

    fn open_epoch(&mut self, epoch: u64) {
        if self.open_epoch.is_none() {
            let splits = self.sources.iter().map(|s| s.split_states(self.id)).collect();
            self.open_epoch = Some(OpenEpoch { epoch, splits });
        }
    }

    /// Sends the barrier of a newly requested epoch down the chains that read sources.
    fn take_barrier(&mut self) -> Result<bool, WorkerError> {
        let requested = self.control.requested_epoch.load(Ordering::Acquire);
        let source_chains: Vec<usize> = self.sources.iter().flat_map(|s| s.chains.clone()).collect();
        if requested <= self.injected_epoch || source_chains.iter().any(|&c| self.chains[c].has_work()) {
            return Ok(false);
        }
        self.injected_epoch = requested;
        self.open_epoch(requested);
        for chain in source_chains {
            self.push(chain, Event::Barrier(requested))?;
        }
        Ok(true)
    }

    /// Writes frozen state, one table a step; makes the store's checkpoint when every chain has seen the barrier.
    fn continue_snapshot(&mut self) -> Result<bool, WorkerError> {
        let Some(epoch) = self.open_epoch.as_ref().map(|e| e.epoch) else { return Ok(false) };
        let mut busy = false;
        let mut complete = true;
        for chain in &mut self.chains {
            if chain.frozen_epoch != Some(epoch) {
                complete = false;
                continue;
            }
            let mut changes = Changes::default();
            complete &= chain.write_frozen(&mut changes)?;
            if !changes.is_empty() {
                self.db.write(changes)?;
                busy = true;
            }
        }
        if !complete {
            return Ok(busy);
        }
        self.db.checkpoint(&self.checkpoints.join(format!("{epoch:08}")).join(format!("worker-{}", self.id)))?;
        self.crash(CrashPoint::AfterFlush)?;
        let mut staged = Vec::new();
        for chain in &mut self.chains {
            chain.frozen_epoch = None;
            if let ChainEnd::Sink(end) = &mut chain.end {
                staged.extend(end.staged.take().filter(|s| !s.is_empty()).map(|s| (end.sink, s)));
            }
        }
        let operators = self.chains.iter().zip(&self.operator_ids).flat_map(|(chain, ids)| {
            ids.iter().copied().zip(&chain.operators).filter(|(id, _)| *id != 0).map(|(id, o)| (id, o.state()))
        });
        let operators = operators.collect();
        let errors_staged = self.errors.prepare(epoch)?;
        let splits = self.open_epoch.take().map(|e| e.splits).unwrap_or_default();
        let snapshot = Snapshot { worker: self.id, epoch, splits, operators, staged, errors_staged };
        // The job thread may have failed meanwhile: then it has set `stop`.
        let _ = self.reports.send(Report::Snapshot(snapshot));
        Ok(true)
    }

    /// Reads one batch from one split, lowest watermark first, and publishes the source watermark.
    fn read_sources(&mut self) -> Result<bool, WorkerError> {
        let mut busy = false;
        if self.open_epoch.is_some() && self.held_bytes > self.control.accumulator_bytes_max {
            return Ok(false);
        }
        for turn in 0..self.sources.len() {
            let s = (self.next_source + turn) % self.sources.len();
            if self.sources[s].chains.clone().into_iter().any(|c| self.chains[c].has_work() || !self.chains[c].has_room()) {
                continue;
            }
            self.open_splits(s)?;
            busy |= self.read_split(s)?;
            // The rows may have to wait for something: the watermark comes behind them.
            if !self.sources[s].chains.iter().any(|&c| self.chains[c].has_work()) {
                busy |= self.send_watermark(s)?;
            }
        }
        self.next_source = self.next_source.wrapping_add(1) % self.sources.len().max(1);
        Ok(busy)
    }

    fn open_splits(&mut self, s: usize) -> Result<(), WorkerError> {
        let source = &mut self.sources[s];
        while source.open.len() < source.shared.source.open_at_once() {
            let next = source.shared.splits().next_to_open(self.id).map(|(id, e)| {
                let own_ms = if std::mem::take(&mut e.data.peeked) { MIN_TIME_MS } else { e.watermark_ms };
                (id, e.data.position.clone(), own_ms, e.data.rows)
            });
            let Some((id, position, watermark_ms, rows)) = next else { return Ok(()) };
            let id = SplitId(id.into());
            let parker = self.inbox.parker.clone();
            let reader = source.shared.source.open(&id, &position, Arc::new(move || parker.wake()))?;
            let hash = hash_key(format!("{}/{id}", source.shared.table).as_bytes());
            source.open.push(OpenSplit { id, hash, reader, watermark_ms, rows, empty_since: None, reported_bytes: 0 });
        }
        Ok(())
    }

    fn read_split(&mut self, s: usize) -> Result<bool, WorkerError> {
        // The split that holds the watermark back goes first; the others have their turn when it has nothing.
        let mut order: Vec<usize> = (0..self.sources[s].open.len()).collect();
        order.sort_by_key(|&i| self.sources[s].open[i].watermark_ms);
        for i in order {
            let polled = self.sources[s].open[i].reader.poll(self.control.batch_rows)?;
            match polled {
                Polled::Records(raw) => {
                    self.take_records(s, i, &raw)?;
                    self.crash(CrashPoint::MidRead)?;
                    return Ok(true);
                }
                Polled::Pending { caught_up } => self.note_pending(s, i, caught_up),
                Polled::Found { splits } => {
                    self.add_splits(s, i, splits);
                    return Ok(true);
                }
                Polled::End { children } => {
                    self.end_split(s, i, children);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn take_records(&mut self, s: usize, i: usize, raw: &crate::source::RawBatch) -> Result<(), WorkerError> {
        let source = &mut self.sources[s];
        let split = &mut source.open[i];
        split.empty_since = None;
        let marks = SplitMarks { watermark_ms: split.watermark_ms, rows: split.rows };
        let ingested = source.ingest.run(raw, marks, self.control.clock.now_ms()).map_err(|reason| WorkerError::Ingest {
            table: source.shared.table.clone(),
            split: split.id.to_string(),
            reason,
        })?;
        let stats = &self.control.stats;
        stats.rows_in.fetch_add(raw.len() as u64, Ordering::Relaxed);
        let read = split.reader.bytes_read();
        stats.bytes_in.fetch_add(read.saturating_sub(split.reported_bytes), Ordering::Relaxed);
        split.reported_bytes = read;
        for (index, reason) in &ingested.bad {
            let (id, place) = (split.id.to_string(), raw.places.describe(*index));
            self.errors.bad_record(&source.shared.table, [&id, &place, reason], raw.record(*index), self.open_epoch.is_some())?;
        }
        split.watermark_ms = split.watermark_ms.max(ingested.watermark_ms);
        split.rows += ingested.rows.len() as u64;
        let rows = Rows { split: split.hash, ..ingested.rows };
        let chains = source.chains.clone();
        for chain in chains {
            self.push(chain, Event::Rows(rows.clone()))?;
        }
        // Published only now that the rows are on their way: whoever sees it may pass it on.
        let source = &self.sources[s];
        source.shared.splits().advance(&source.open[i].id.0, source.open[i].watermark_ms);
        Ok(())
    }

    fn note_pending(&mut self, s: usize, i: usize, caught_up: bool) {
        let source = &mut self.sources[s];
        let split = &mut source.open[i];
        if source.shared.source.finds(&split.id) {
            source.shared.splits().set_idle(&split.id.0);
            return;
        }
        if !caught_up || source.shared.idle_timeout.is_zero() {
            split.empty_since = None;
            return;
        }
        let now = self.control.clock.monotonic();
        let since = *split.empty_since.get_or_insert(now);
        if now.saturating_sub(since) >= source.shared.idle_timeout {
            source.shared.splits().set_idle(&split.id.0);
        }
    }

    /// Registers what a split has found. It is noted with the finder too: until the owners have taken their snapshots,
    /// a checkpoint knows the new splits from there.
    fn add_splits(&mut self, s: usize, i: usize, found: Vec<SplitSeed>) {
        let source = &mut self.sources[s];
        let finder = &source.open[i].id;
        let mut splits = source.shared.splits();
        for seed in &found {
            let parents = seed.parents.iter().map(|p| p.0.to_string()).collect();
            let data = SplitData { position: seed.start.clone(), rows: 0, children: vec![], peeked: false };
            let owner = source.shared.owner_of_child(&seed.id);
            splits.register(&seed.id.0, parents, owner, MIN_TIME_MS, SplitStatus::Waiting, data);
        }
        if let Some(entry) = splits.get_mut(&finder.0) {
            entry.data.children.extend(found);
        }
        splits.set_idle(&finder.0);
    }

    fn end_split(&mut self, s: usize, i: usize, children: Vec<SplitSeed>) {
        let source = &mut self.sources[s];
        let split = source.open.swap_remove(i);
        let mut splits = source.shared.splits();
        for child in &children {
            let parents = child.parents.iter().map(|p| p.0.to_string()).collect();
            let data = SplitData { position: child.start.clone(), rows: 0, children: vec![], peeked: false };
            let owner = source.shared.owner_of_child(&child.id);
            splits.register(&child.id.0, parents, owner, MIN_TIME_MS, SplitStatus::Waiting, data);
        }
        if let Some(entry) = splits.get_mut(&split.id.0) {
            entry.data = SplitData { position: split.reader.position(), rows: split.rows, children, peeked: false };
        }
        splits.finish(&split.id.0);
    }

    fn send_watermark(&mut self, s: usize) -> Result<bool, WorkerError> {
        let source = &mut self.sources[s];
        let watermark = source.shared.splits().watermark();
        source.shared.watermark_ms.store(watermark, Ordering::Relaxed);
        if watermark <= source.sent_watermark_ms {
            return Ok(false);
        }
        source.sent_watermark_ms = watermark;
        for chain in source.chains.clone() {
            self.push(chain, Event::Watermark(watermark))?;
        }
        Ok(true)
    }

    /// Tells chains that read sources what time it is, in jobs that go by it. A chain that is in the middle of something
    /// gets the next tick.
    fn send_ticks(&mut self) -> Result<(), WorkerError> {
        if !self.control.ticks {
            return Ok(());
        }
        let now_ms = self.control.clock.now_ms();
        if now_ms < self.sent_tick_ms.saturating_add(TICK_MS) {
            return Ok(());
        }
        self.sent_tick_ms = now_ms;
        let chains: Vec<usize> = self.sources.iter().flat_map(|s| s.chains.clone()).collect();
        for chain in chains {
            if !self.chains[chain].has_work() && self.chains[chain].has_room() {
                self.push(chain, Event::Tick(now_ms))?;
            }
        }
        Ok(())
    }

    /// Hands failed rows of a chain to the error stream: to the epoch they belong to.
    fn divert_failed(&mut self, chain: usize, after_barrier: bool) -> Result<(), WorkerError> {
        for failed in self.failed.drain(..) {
            self.errors.failed_rows(&failed, after_barrier)?;
        }
        if let ChainEnd::Sink(end) = &mut self.chains[chain].end {
            for rejected in end.writer.take_rejected() {
                self.errors.rejected(&self.sink_names[end.sink], &rejected.row, &rejected.reason, after_barrier)?;
            }
        }
        Ok(())
    }

    fn publish_counters(&mut self) {
        let counters = std::mem::take(&mut self.counters);
        let stats = &self.control.stats;
        stats.late_rows.fetch_add(counters.late_rows, Ordering::Relaxed);
        stats.late_by_fired_mark.fetch_add(counters.late_by_fired_mark, Ordering::Relaxed);
        stats.windows_fired.fetch_add(counters.windows_fired, Ordering::Relaxed);
        stats.diverted.fetch_add(self.errors.count_new(), Ordering::Relaxed);
        for chain in &mut self.chains {
            if let ChainEnd::Sink(end) = &mut chain.end {
                stats.rows_out.fetch_add(std::mem::take(&mut end.rows_written), Ordering::Relaxed);
            }
        }
    }

    /// Accumulators held in memory by all chains.
    pub fn memory_bytes(&self) -> usize {
        self.chains.iter().map(Chain::memory_bytes).sum()
    }

    fn report_drained(&mut self) {
        if self.drained_reported || self.is_stalled() {
            return;
        }
        if self.chains.iter().all(|c| c.watermark_ms == MAX_TIME_MS && !c.has_work()) {
            self.drained_reported = true;
            let _ = self.reports.send(Report::Drained(self.id));
        }
    }
}

impl WorkerSource {
    /// The splits that `worker` owns, as the checkpoint keeps them.
    fn split_states(&self, worker: usize) -> Vec<SplitState> {
        let splits = self.shared.splits();
        let own = splits.iter().filter(|(_, e)| e.owner == worker);
        own.map(|(id, entry)| {
            let open = self.open.iter().find(|o| *o.id.0 == **id);
            SplitState {
                id: id.clone(),
                parents: entry.parents.clone(),
                position: open.map_or_else(|| entry.data.position.clone(), |o| o.reader.position()),
                watermark_ms: open.map_or(entry.watermark_ms, |o| o.watermark_ms),
                rows: open.map_or(entry.data.rows, |o| o.rows),
                peeked: entry.data.peeked,
                finished: entry.status == SplitStatus::Finished,
                children: entry.data.children.clone(),
            }
        })
        .collect()
    }
}
