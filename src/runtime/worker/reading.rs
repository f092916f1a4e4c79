//! Which split is read next, and what follows from what it gives?
//!
//! The part of a worker's step that reads. What always holds: the split that holds the watermark back goes first; all rows of
//! a split are handed on before the split's new watermark is published; a chain that is in the middle of something, or has no
//! room, is given nothing; nothing is read between the request of an epoch and its barrier, nor after the barrier of the last.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Worker;
use super::turns::Turns;
use crate::checkpoint::manifest::SplitState;
use crate::format::BadRecord;
use crate::ingest::{Ingest, SplitMarks};
use crate::operator::{Event, Rows};
use crate::record::RawBatch;
use crate::runtime::crash::CrashPoint;
use crate::runtime::error::WorkerError;
use crate::runtime::errors::BarrierSide;
use crate::runtime::inbox::Parker;
use crate::source::{Polled, Position, ReadAhead, Source, SplitId, SplitReader, SplitSeed};
use crate::sql::hints;
use crate::state::key::hash_key;
use crate::time::idle::EmptyAnswers;
use crate::time::watermark::{SplitStatus, SplitTable};
use crate::time::{MIN_TIME_MS, Watermark};

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
    /// What a split may read ahead, bytes.
    split_bytes: usize,
    /// The source watermark last computed, for display.
    pub watermark_ms: AtomicI64,
    /// By worker: how far the split that is furthest behind is behind.
    lags_ms: Vec<AtomicI64>,
}

/// In [`SharedSource::lags_ms`]: no split has said.
const NO_LAG: i64 = -1;

impl SharedSource {
    pub fn new(
        table: String,
        source: Arc<dyn Source>,
        splits: SplitTable<SplitData>,
        idle_timeout: Duration,
        workers: usize,
        split_bytes: usize,
    ) -> SharedSource {
        SharedSource {
            table,
            source,
            splits: Mutex::new(splits),
            idle_timeout,
            workers,
            split_bytes,
            watermark_ms: AtomicI64::new(MIN_TIME_MS),
            lags_ms: (0..workers).map(|_| AtomicI64::new(NO_LAG)).collect(),
        }
    }

    pub fn splits(&self) -> MutexGuard<'_, SplitTable<SplitData>> {
        self.splits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds splits that others have made known.
    fn register(&self, splits: &mut SplitTable<SplitData>, seeds: &[SplitSeed]) {
        for seed in seeds {
            let parents = seed.parents.iter().map(|p| p.0.to_string()).collect();
            let data = SplitData { position: seed.start.clone(), rows: 0, children: vec![], peeked: false };
            splits.register(&seed.id.0, parents, self.owner_of_child(&seed.id), MIN_TIME_MS, SplitStatus::Waiting, data);
        }
    }

    /// How far the split that is furthest behind the newest record of its own is behind, ms of arrival time; None if no split
    /// has said.
    pub fn lag_ms(&self) -> Option<i64> {
        self.lags_ms.iter().map(|lag| lag.load(Ordering::Relaxed)).filter(|lag| *lag != NO_LAG).max()
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
    /// The split table has it as idle.
    is_idle: bool,
    reported_bytes: u64,
}

/// One source table on one worker.
pub struct WorkerSource {
    pub shared: Arc<SharedSource>,
    pub ingest: Ingest,
    /// Chains that read the table.
    pub chains: Vec<usize>,
    /// By the slot that `turns` gave each.
    open: Vec<Option<OpenSplit>>,
    turns: Turns,
    sent_watermark_ms: i64,
    /// When the lag was noted last.
    lag_noted: Duration,
}

impl WorkerSource {
    pub fn new(shared: Arc<SharedSource>, ingest: Ingest, chains: Vec<usize>) -> WorkerSource {
        WorkerSource {
            shared,
            ingest,
            chains,
            open: Vec::new(),
            turns: Turns::new(),
            sent_watermark_ms: MIN_TIME_MS,
            lag_noted: Duration::ZERO,
        }
    }

    /// The splits that `worker` owns, as the checkpoint keeps them.
    pub(super) fn split_states(&self, worker: usize) -> Vec<SplitState> {
        let open: HashMap<&str, &OpenSplit> = self.open.iter().flatten().map(|o| (&*o.id.0, o)).collect();
        let splits = self.shared.splits();
        let own = splits.iter().filter(|entry| entry.owner == worker);
        own.map(|entry| {
            let open = open.get(&*entry.id);
            SplitState {
                id: entry.id.to_string(),
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

    /// Notes how far the open splits are behind, for display.
    pub(super) fn note_lag(&self, worker: usize) {
        let lag_ms = self.open.iter().flatten().filter_map(|split| split.reader.lag_ms()).max();
        self.shared.lags_ms[worker].store(lag_ms.unwrap_or(NO_LAG), Ordering::Relaxed);
    }

    fn split(&mut self, slot: usize) -> Result<&mut OpenSplit, WorkerError> {
        self.open.get_mut(slot).and_then(Option::as_mut).ok_or(WorkerError::NoSuchSplit(slot))
    }

    /// Opens what this worker may open.
    fn open_splits(&mut self, worker: usize, parker: &Arc<Parker>) -> Result<(), WorkerError> {
        let source = self.shared.source.clone();
        while source.open_at_once().is_none_or(|most| self.turns.len() < most) {
            let next = self.shared.splits().next_to_open(worker).map(|entry| {
                let own_ms = if std::mem::take(&mut entry.data.peeked) { MIN_TIME_MS } else { entry.watermark_ms };
                (SplitId(entry.id.clone()), entry.data.position.clone(), own_ms, entry.data.rows)
            });
            let Some((id, position, watermark_ms, rows)) = next else { return Ok(()) };
            let (slot, wake) = self.turns.open(watermark_ms, parker.clone());
            let ahead = ReadAhead { wake, bytes_max: self.shared.split_bytes };
            let reader = source.open(&id, &position, ahead)?;
            let hash = hash_key(format!("{}/{id}", self.shared.table).as_bytes());
            if self.open.len() <= slot {
                self.open.resize_with(slot + 1, || None);
            }
            self.open[slot] = Some(OpenSplit { id, hash, reader, watermark_ms, rows, is_idle: false, reported_bytes: 0 });
        }
        Ok(())
    }

    /// Whether a split that gave nothing holds the watermark back.
    fn note_pending(&mut self, slot: usize, empty: Option<EmptyAnswers>, now: Duration) -> Result<(), WorkerError> {
        let shared = self.shared.clone();
        let split = self.split(slot)?;
        let is_idle = shared.source.finds(&split.id) || empty.is_some_and(|answers| answers.are_idle(shared.idle_timeout, now));
        if is_idle && !split.is_idle {
            shared.splits().set_idle(&split.id.0);
        } else if split.is_idle && !is_idle {
            shared.splits().set_active(&split.id.0);
        }
        split.is_idle = is_idle;
        Ok(())
    }

    /// Registers what a split has found. It is noted with the finder too: until the owners have taken their snapshots,
    /// a checkpoint knows the new splits from there.
    fn add_splits(&mut self, slot: usize, found: Vec<SplitSeed>) -> Result<(), WorkerError> {
        let shared = self.shared.clone();
        let finder = self.split(slot)?;
        finder.is_idle = true;
        let mut splits = shared.splits();
        shared.register(&mut splits, &found);
        if let Some(data) = splits.data_mut(&finder.id.0) {
            data.children.extend(found);
        }
        splits.set_idle(&finder.id.0);
        drop(splits);
        let watermark_ms = finder.watermark_ms;
        self.turns.read(slot, watermark_ms);
        Ok(())
    }

    fn end_split(&mut self, slot: usize, children: Vec<SplitSeed>) {
        self.turns.close(slot);
        let Some(split) = self.open[slot].take() else { return };
        let mut splits = self.shared.splits();
        self.shared.register(&mut splits, &children);
        if let Some(data) = splits.data_mut(&split.id.0) {
            *data = SplitData { position: split.reader.position(), rows: split.rows, children, peeked: false };
        }
        splits.finish(&split.id.0);
        if splits.all_finished() && !self.shared.source.bounded() {
            let table = &self.shared.table;
            tracing::warn!(
                table,
                "every split has ended and none has taken their place: waiting, which is not the end of the input"
            );
        }
    }
}

/// From one look at how far splits are behind to the next.
const LAG_INTERVAL: Duration = Duration::from_secs(1);
/// Ticks are at least so far apart, so that a worker with nothing to do does not send one in every step.
const TICK_MS: i64 = 10;

impl Worker {
    /// Reads one batch from one split, lowest watermark first, and publishes the source watermark.
    pub(super) fn read_sources(&mut self) -> Result<bool, WorkerError> {
        let mut busy = false;
        for turn in 0..self.sources.len() {
            let s = (self.next_source + turn) % self.sources.len();
            if self.sources[s].chains.clone().into_iter().any(|c| self.chains[c].has_work() || !self.chains[c].has_room()) {
                continue;
            }
            self.sources[s].open_splits(self.id, &self.inbox.parker)?;
            busy |= self.read_split(s)?;
            // The rows may have to wait for something: the watermark comes behind them.
            if !self.sources[s].chains.iter().any(|&c| self.chains[c].has_work()) {
                busy |= self.send_watermark(s)?;
            }
        }
        self.next_source = self.next_source.wrapping_add(1) % self.sources.len().max(1);
        Ok(busy)
    }

    fn read_split(&mut self, s: usize) -> Result<bool, WorkerError> {
        let now = self.control.clock.monotonic();
        let source = &mut self.sources[s];
        source.turns.refresh(now);
        // Of thousands of splits only now and then.
        if now.saturating_sub(source.lag_noted) >= LAG_INTERVAL {
            source.lag_noted = now;
            source.note_lag(self.id);
        }
        while let Some(slot) = self.sources[s].turns.next() {
            let source = &mut self.sources[s];
            match source.split(slot)?.reader.poll(self.control.batch_rows)? {
                Polled::Records(raw) => {
                    self.take_records(s, slot, &raw)?;
                    self.crash(CrashPoint::MidRead)?;
                    return Ok(true);
                }
                Polled::Pending { empty } => source.note_pending(slot, empty, now)?,
                Polled::Found { splits } => {
                    source.add_splits(slot, splits)?;
                    return Ok(true);
                }
                Polled::End { children } => {
                    source.end_split(slot, children);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn take_records(&mut self, s: usize, slot: usize, raw: &RawBatch) -> Result<(), WorkerError> {
        let source = &mut self.sources[s];
        let split = source.open.get_mut(slot).and_then(Option::as_mut).ok_or(WorkerError::NoSuchSplit(slot))?;
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
        stats.diverted_bytes_cut.fetch_add(split.reader.take_bytes_cut(), Ordering::Relaxed);
        stats.skipped.fetch_add(ingested.skipped, Ordering::Relaxed);
        stats.nulled.fetch_add(ingested.nulled, Ordering::Relaxed);
        let side = if self.open_epoch.is_some() { BarrierSide::Behind } else { BarrierSide::Before };
        for BadRecord { index, part, reason } in &ingested.bad {
            let (id, mut place, mut bytes) = (split.id.to_string(), raw.places.describe(*index), raw.record(*index));
            if let Some(part) = part {
                place = format!("{place}, part {}", part.number);
                bytes = &bytes[part.span.start as usize..part.span.end as usize];
            }
            let table = &source.shared.table;
            let reason = reason.replace("<table>", hints::base_name(table));
            self.errors.bad_record(table, [&id, &place, &reason], bytes, side)?;
        }
        split.watermark_ms = split.watermark_ms.max(ingested.watermark_ms);
        split.rows += ingested.rows.len() as u64;
        split.is_idle = false;
        let watermark_ms = split.watermark_ms;
        source.turns.read(slot, watermark_ms);
        let rows = Rows { split: split.hash, ..ingested.rows };
        let id = split.id.clone();
        let chains = source.chains.clone();
        for chain in chains {
            self.push(chain, Event::Rows(rows.clone()))?;
        }
        // Published only now that the rows are on their way: whoever sees it may pass it on.
        self.sources[s].shared.splits().advance(&id.0, watermark_ms);
        Ok(())
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
            self.push(chain, Event::Watermark(Watermark::at(watermark)))?;
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
