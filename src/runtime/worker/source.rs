//! Which split is read next, and what follows from what it gives?
//!
//! One source table on one worker, read by `reading`. What always holds: the split that holds the
//! watermark back goes first; the rows of a split are handed on before its new watermark is
//! published.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::shared_source::{SharedSource, SplitData};
use super::turns::Turns;
use crate::checkpoint::manifest::SplitState;
use crate::ids::WorkerId;
use crate::ingest::{Ingest, Ingested, SplitMarks};
use crate::operator::Rows;
use crate::record::{RawBatch, Unusable};
use crate::runtime::control::Stats;
use crate::runtime::error::JobError;
use crate::runtime::errors::{BarrierSide, ErrorStream};
use crate::runtime::inbox::Parker;
use crate::source::{Pause, Polled, ReadAhead, SplitId, SplitReader, SplitSeed};
use crate::sql::hints;
use crate::state::key::hash_key;
use crate::time::Watermark;
use crate::time::idle::EmptyAnswers;
use crate::time::watermark::{Places, SplitStatus};

/// From one look at how far splits are behind to the next.
const LAG_INTERVAL: Duration = Duration::from_secs(1);

/// What reading needs of the worker.
pub(super) struct Reading<'a> {
    pub worker: WorkerId,
    pub batch_rows: usize,
    /// By the monotonic clock.
    pub now: Duration,
    /// Processing time, ms since the epoch.
    pub now_ms: i64,
    pub stats: &'a Stats,
    pub errors: &'a mut ErrorStream,
    /// Where what is read stands to the barrier of the epoch that is being prepared.
    pub side: BarrierSide,
}

/// What came of reading.
pub(super) enum Read {
    Rows(Rows),
    /// A split has ended, or others were found.
    Splits,
    Nothing,
}

struct OpenSplit {
    id: SplitId,
    /// Of the table's name and the split's, for rows.
    hash: u64,
    reader: Box<dyn SplitReader>,
    watermark: Watermark,
    /// Rows it has given.
    rows: u64,
    /// The split table has it as idle.
    is_idle: bool,
    /// It is ahead of others, and its reader was told.
    is_paused: bool,
    reported_bytes: u64,
}

/// One source table on one worker.
pub struct WorkerSource {
    shared: Arc<SharedSource>,
    ingest: Ingest,
    /// Chains that read the table.
    pub chains: Arc<[usize]>,
    /// Rows were given out: the split whose they are, and its watermark, which is published once
    /// they are handed on.
    given: Option<(SplitId, Watermark)>,
    /// By the slot that `turns` gave each.
    open: Vec<Option<OpenSplit>>,
    turns: Turns,
    sent_watermark: Watermark,
    /// When the lag was noted last.
    lag_noted: Duration,
    found: Found,
}

/// What a split that finds others has found here.
#[derive(Default)]
struct Found {
    /// Its children that a checkpoint before has with it. Their owners have noted them since.
    noted: usize,
    /// Those that were forgotten since the last checkpoint.
    forgotten: BTreeSet<SplitId>,
    /// Those that were forgotten before that: no owner knows them in the coming one.
    forgotten_before: BTreeSet<SplitId>,
}

impl WorkerSource {
    pub fn new(shared: Arc<SharedSource>, ingest: Ingest, chains: Vec<usize>) -> WorkerSource {
        WorkerSource {
            shared,
            ingest,
            chains: chains.into(),
            given: None,
            open: Vec::new(),
            turns: Turns::new(),
            sent_watermark: Watermark::NONE,
            lag_noted: Duration::ZERO,
            found: Found::default(),
        }
    }

    /// The splits that `worker` owns, as the checkpoint keeps them.
    pub(super) fn split_states(&mut self, worker: WorkerId) -> Vec<SplitState> {
        self.forget_found();
        let open: HashMap<&str, &OpenSplit> =
            self.open.iter().flatten().map(|o| (&*o.id.0, o)).collect();
        let splits = self.shared.splits();
        let own = splits.iter().filter(|entry| entry.owner == worker);
        own.map(|entry| {
            let open = open.get(&*entry.id);
            SplitState {
                id: entry.id.to_string(),
                parents: entry.parents.clone(),
                position: open.map_or_else(|| entry.data.position.clone(), |o| o.reader.position()),
                watermark: open.map_or(entry.watermark, |o| o.watermark),
                rows: open.map_or(entry.data.rows, |o| o.rows),
                peeked: entry.data.peeked,
                finished: entry.status == SplitStatus::Finished,
                children: entry.data.children.clone(),
            }
        })
        .collect()
    }

    /// Drops what need not be in any checkpoint from the coming one on, about splits that a split of
    /// this worker has found: a folder through which files pass would else fill them.
    fn forget_found(&mut self) {
        let shared = self.shared.clone();
        let finder = self.open.iter_mut().flatten().find(|split| shared.source.finds(&split.id));
        let Some(finder) = finder else { return };
        let Found { noted, forgotten, forgotten_before, .. } = &mut self.found;
        finder.reader.forget(forgotten_before);
        *forgotten_before = std::mem::take(forgotten);
        if let Some(data) = shared.splits().data_mut(&finder.id.0) {
            data.children.drain(..*noted);
            *noted = data.children.len();
        }
    }

    fn split(&mut self, slot: usize) -> Result<&mut OpenSplit, JobError> {
        self.open.get_mut(slot).and_then(Option::as_mut).ok_or(JobError::NoSuchSplit(slot))
    }

    /// Opens what this worker may open.
    pub(super) fn open_splits(
        &mut self,
        worker: WorkerId,
        parker: &Arc<Parker>,
    ) -> Result<(), JobError> {
        let source = self.shared.source.clone();
        while source.open_at_once().is_none_or(|most| self.turns.len() < most) {
            let next = self.shared.splits().next_to_open(worker).map(|entry| {
                let own = if std::mem::take(&mut entry.data.peeked) {
                    Watermark::NONE
                } else {
                    entry.watermark
                };
                (SplitId(entry.id.clone()), entry.data.position.clone(), own, entry.data.rows)
            });
            let Some((id, position, watermark, rows)) = next else { return Ok(()) };
            let (slot, wake) = self.turns.open(watermark, parker.clone());
            let ahead = ReadAhead { wake, budget: self.shared.budget.clone() };
            let reader = source.open(&id, &position, ahead)?;
            let hash = hash_key(format!("{}/{id}", self.shared.table).as_bytes());
            if self.open.len() <= slot {
                self.open.resize_with(slot + 1, || None);
            }
            self.open[slot] = Some(OpenSplit {
                id,
                hash,
                reader,
                watermark,
                rows,
                is_idle: false,
                is_paused: false,
                reported_bytes: 0,
            });
        }
        Ok(())
    }

    /// Whether a split that gave nothing holds the watermark back.
    fn note_pending(
        &mut self,
        slot: usize,
        empty: Option<EmptyAnswers>,
        now: Duration,
    ) -> Result<(), JobError> {
        let shared = self.shared.clone();
        let split = self.split(slot)?;
        let is_idle = shared.source.finds(&split.id)
            || empty.is_some_and(|answers| answers.are_idle(shared.idle_timeout, now));
        if is_idle && !split.is_idle {
            shared.splits().set_idle(&split.id.0);
        } else if split.is_idle && !is_idle {
            shared.splits().set_active(&split.id.0);
        }
        split.is_idle = is_idle;
        Ok(())
    }

    /// Registers what a split has found. It is noted with the finder too: until the owners have
    /// taken their snapshots, a checkpoint knows the new splits from there.
    fn add_splits(
        &mut self,
        slot: usize,
        found: Vec<SplitSeed>,
        gone: Vec<SplitId>,
    ) -> Result<(), JobError> {
        let shared = self.shared.clone();
        let finder = self.split(slot)?;
        finder.is_idle = true;
        let mut splits = shared.splits();
        let found = shared.register(&mut splits, found);
        if let Some(data) = splits.data_mut(&finder.id.0) {
            data.children.extend(found);
        }
        splits.set_idle(&finder.id.0);
        let (finder_id, watermark) = (finder.id.clone(), finder.watermark);
        // Named again until they have ended.
        let Found { noted, forgotten, forgotten_before } = &mut self.found;
        let gone = gone.into_iter().filter(|id| splits.forget(&id.0));
        forgotten.extend(gone.filter(|id| !forgotten_before.contains(id)));
        // A checkpoint would else know them from there, as not read yet.
        if !forgotten.is_empty()
            && let Some(data) = splits.data_mut(&finder_id.0)
        {
            let stays = |child: &SplitSeed| !forgotten.contains(&child.id);
            *noted = data.children[..*noted].iter().filter(|child| stays(child)).count();
            data.children.retain(stays);
        }
        drop(splits);
        self.turns.read(slot, watermark);
        Ok(())
    }

    fn end_split(&mut self, slot: usize, children: Vec<SplitSeed>) {
        self.turns.close(slot);
        let Some(split) = self.open[slot].take() else { return };
        let mut splits = self.shared.splits();
        let children = self.shared.register(&mut splits, children);
        if let Some(data) = splits.data_mut(&split.id.0) {
            *data = SplitData {
                position: split.reader.position(),
                rows: split.rows,
                children,
                peeked: false,
            };
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

    /// Reads from the split that holds the watermark back, or from the next one that has something.
    /// Rows that come of it are to be handed to every chain that reads the table, and then
    /// [`WorkerSource::handed_on`].
    pub(super) fn read(&mut self, reading: Reading<'_>) -> Result<Read, JobError> {
        debug_assert!(self.given.is_none(), "rows of {:?} were not handed on", self.given);
        self.turns.refresh(reading.now);
        // Of thousands of splits only now and then.
        if reading.now.saturating_sub(self.lag_noted) >= LAG_INTERVAL {
            self.lag_noted = reading.now;
            let lag_ms = self.open.iter().flatten().filter_map(|split| split.reader.lag_ms()).max();
            self.shared.note_lag(reading.worker, lag_ms);
        }
        let records_max = self.ingest.records_max(reading.batch_rows);
        while let Some(slot) = self.turns.next() {
            if self.is_to_wait(slot)? {
                continue;
            }
            match self.split(slot)?.reader.poll(records_max)? {
                Polled::Records(raw) => {
                    return self.take_records(slot, raw, reading).map(Read::Rows);
                }
                Polled::Pending { empty } => self.note_pending(slot, empty, reading.now)?,
                Polled::Found { splits, gone } => {
                    self.add_splits(slot, splits, gone)?;
                    return Ok(Read::Splits);
                }
                Polled::End { children } => {
                    self.end_split(slot, children);
                    return Ok(Read::Splits);
                }
            }
        }
        Ok(Read::Nothing)
    }

    /// True for a split that others of its group have to catch up with. It gets its turn again at
    /// the next sweep.
    fn is_to_wait(&mut self, slot: usize) -> Result<bool, JobError> {
        let shared = self.shared.clone();
        let Some(aligned) = &shared.aligned else { return Ok(false) };
        let places =
            if shared.source.open_at_once().is_some() { Places::Few } else { Places::ForAll };
        let split = self.split(slot)?;
        let waits =
            aligned.is_ahead(split.watermark) && !shared.splits().is_awaited(&split.id.0, places);
        if waits != split.is_paused {
            split.is_paused = waits;
            split.reader.pause(if waits { Pause::Begins } else { Pause::Ends });
        }
        Ok(waits)
    }

    /// Makes rows of records; what cannot be used goes to the error stream.
    fn take_records(
        &mut self,
        slot: usize,
        raw: RawBatch,
        reading: Reading<'_>,
    ) -> Result<Rows, JobError> {
        let split =
            self.open.get_mut(slot).and_then(Option::as_mut).ok_or(JobError::NoSuchSplit(slot))?;
        let table = &self.shared.table;
        let marks = SplitMarks { watermark: split.watermark, rows: split.rows };
        let records = raw.len() as u64;
        let ingested = self.ingest.run(raw, marks, reading.now_ms).map_err(|reason| {
            JobError::Ingest { table: table.clone(), split: split.id.to_string(), reason }
        })?;
        split.count(records, &ingested, reading.stats);
        for Unusable { place, bytes, reason } in ingested.unusable() {
            let reason = reason.replace("<table>", hints::base_name(table));
            reading.errors.bad_record(
                table,
                [&split.id.0, &place, &reason],
                &bytes,
                reading.side,
            )?;
        }
        split.watermark = split.watermark.max(ingested.watermark);
        split.rows += ingested.rows.len() as u64;
        split.is_idle = false;
        self.given = Some((split.id.clone(), split.watermark));
        self.turns.read(slot, split.watermark);
        Ok(Rows { split: split.hash, ..ingested.rows })
    }

    /// The rows that were read are on their way: whoever sees their split's watermark now may pass
    /// it on.
    pub(super) fn handed_on(&mut self) {
        if let Some((id, watermark)) = self.given.take() {
            self.shared.splits().advance(&id.0, watermark);
        }
    }

    /// The source's watermark, if it has grown since the last call.
    pub(super) fn new_watermark(&mut self) -> Option<Watermark> {
        debug_assert!(self.given.is_none(), "a watermark before the rows of {:?}", self.given);
        let mut splits = self.shared.splits();
        let watermark = splits.watermark();
        if let Some(aligned) = &self.shared.aligned {
            // Under the lock, so that no older report takes the place of a newer one.
            aligned.report(splits.lowest_holding());
        }
        drop(splits);
        self.shared.note_reached(watermark);
        let is_new = watermark > self.sent_watermark;
        self.sent_watermark = self.sent_watermark.max(watermark);
        is_new.then_some(watermark)
    }
}

impl OpenSplit {
    fn count(&mut self, records: u64, ingested: &Ingested, stats: &Stats) {
        stats.rows_in.fetch_add(records, Ordering::Relaxed);
        let read = self.reader.bytes_read();
        stats.bytes_in.fetch_add(read.saturating_sub(self.reported_bytes), Ordering::Relaxed);
        self.reported_bytes = read;
        stats.diverted_bytes_cut.fetch_add(self.reader.take_bytes_cut(), Ordering::Relaxed);
        stats.skipped.fetch_add(ingested.skipped, Ordering::Relaxed);
        stats.nulled.fetch_add(ingested.nulled, Ordering::Relaxed);
        stats.misplaced.fetch_add(ingested.counts.misplaced, Ordering::Relaxed);
        stats.control.fetch_add(ingested.counts.control, Ordering::Relaxed);
    }
}
