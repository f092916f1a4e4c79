//! Which split is read next, and what follows from what it gives?
//!
//! The part of a worker's step that reads. What always holds: the split that holds the watermark back goes first; all rows of
//! a split are handed on before the split's new watermark is published; a chain that is in the middle of something, or has no
//! room, is given nothing.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Worker, WorkerError};
use crate::checkpoint::manifest::SplitState;
use crate::format::BadRecord;
use crate::operator::{Event, Rows};
use crate::runtime::crash::CrashPoint;
use crate::runtime::ingest::{Ingest, SplitMarks};
use crate::source::{Polled, Position, RawBatch, Source, SplitId, SplitReader, SplitSeed};
use crate::sql::hints;
use crate::state::key::hash_key;
use crate::time::MIN_TIME_MS;
use crate::time::watermark::{SplitStatus, SplitTable};

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

impl WorkerSource {
    /// The splits that `worker` owns, as the checkpoint keeps them.
    pub(super) fn split_states(&self, worker: usize) -> Vec<SplitState> {
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

/// Ticks are at least so far apart, so that a worker with nothing to do does not send one in every step.
const TICK_MS: i64 = 10;

impl Worker {
    /// Reads one batch from one split, lowest watermark first, and publishes the source watermark.
    pub(super) fn read_sources(&mut self) -> Result<bool, WorkerError> {
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

    pub(super) fn open_splits(&mut self, s: usize) -> Result<(), WorkerError> {
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

    pub(super) fn read_split(&mut self, s: usize) -> Result<bool, WorkerError> {
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

    pub(super) fn take_records(&mut self, s: usize, i: usize, raw: &RawBatch) -> Result<(), WorkerError> {
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
        stats.skipped.fetch_add(ingested.skipped, Ordering::Relaxed);
        stats.nulled.fetch_add(ingested.nulled, Ordering::Relaxed);
        for BadRecord { index, part, reason } in &ingested.bad {
            let (id, mut place, mut bytes) = (split.id.to_string(), raw.places.describe(*index), raw.record(*index));
            if let Some(part) = part {
                place = format!("{place}, part {}", part.number);
                bytes = &bytes[part.span.start as usize..part.span.end as usize];
            }
            let table = &source.shared.table;
            let reason = reason.replace("<table>", hints::base_name(table));
            self.errors.bad_record(table, [&id, &place, &reason], bytes, self.open_epoch.is_some())?;
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

    pub(super) fn note_pending(&mut self, s: usize, i: usize, caught_up: bool) {
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
    pub(super) fn add_splits(&mut self, s: usize, i: usize, found: Vec<SplitSeed>) {
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

    pub(super) fn end_split(&mut self, s: usize, i: usize, children: Vec<SplitSeed>) {
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

    pub(super) fn send_watermark(&mut self, s: usize) -> Result<bool, WorkerError> {
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
    pub(super) fn send_ticks(&mut self) -> Result<(), WorkerError> {
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
}
