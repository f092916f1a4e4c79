//! What do all workers know of a source table? Its splits, who owns each, and how far it is.
//!
//! Made by `graph`, used by each worker's `source`, shown by observers. What always holds: a split
//! has one owner, from its registration on, and whoever registers it comes to the same one.
//!
//! A shard that splits, read by worker 0, hands over to its children under one lock, so that no
//! moment passes in which nobody holds the watermark back for what they are going to give:
//!
//! ```text
//! worker 0   reads P ── last record ── End { C, D } ─┬─ registers C and D ─ finishes P ─┬─ opens C
//! the table  P holds the watermark                   └─ C and D hold it where P ended ──┤
//! worker 1   reads others ──────────────────────────────────────────────────────────────┴─ opens D
//! ```
//!
//! A checkpoint that falls between the two knows D from P's children, if worker 1 had noted its
//! own splits before ([`crate::checkpoint::manifest::join_splits`]).

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ids::WorkerId;
use crate::source::budget::ReadBudget;
use crate::source::{Position, Source, SplitId, SplitSeed};
use crate::state::key::hash_key;
use crate::time::Watermark;
use crate::time::alignment::Aligned;
use crate::time::watermark::{SplitStatus, SplitTable};

/// What the split table keeps for the source layer.
#[derive(Debug, Clone)]
pub struct SplitData {
    pub position: Position,
    /// Rows it has given.
    pub rows: u64,
    /// Splits that took this one's place when it ended.
    pub children: Vec<SplitSeed>,
    /// Not read yet, and held at the watermark of its first record: its own watermark starts at
    /// none.
    pub peeked: bool,
}

/// A source table as all workers see it.
pub struct SharedSource {
    pub table: String,
    pub source: Arc<dyn Source>,
    splits: Mutex<SplitTable<SplitData>>,
    /// A split that has been certified empty for this long becomes idle; zero: never (Flink's
    /// default).
    pub idle_timeout: Duration,
    /// With whom it is kept together, if it is.
    pub(super) aligned: Option<Aligned>,
    pub workers: usize,
    /// What the readers of all sources may hold.
    pub(super) budget: Arc<ReadBudget>,
    watermark_ms: AtomicI64,
    /// By worker: how far the split that is furthest behind is behind; None if none has said.
    /// Locked once a second.
    lags_ms: Mutex<Vec<Option<i64>>>,
}

impl SharedSource {
    pub fn new(
        table: String,
        source: Arc<dyn Source>,
        splits: SplitTable<SplitData>,
        idle_timeout: Duration,
        aligned: Option<Aligned>,
        workers: usize,
        budget: Arc<ReadBudget>,
    ) -> SharedSource {
        SharedSource {
            table,
            source,
            splits: Mutex::new(splits),
            idle_timeout,
            aligned,
            workers,
            budget,
            watermark_ms: AtomicI64::new(Watermark::NONE.ms()),
            lags_ms: Mutex::new(vec![None; workers]),
        }
    }

    pub fn splits(&self) -> MutexGuard<'_, SplitTable<SplitData>> {
        self.splits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds splits that others have made known. Gives them with the places at which they begin,
    /// which are those of whoever made them known first: a checkpoint goes by these to see which
    /// children have been opened, and would else forget a parent whose watermark a child of a merge
    /// has not got yet.
    pub(super) fn register(
        &self,
        splits: &mut SplitTable<SplitData>,
        seeds: Vec<SplitSeed>,
    ) -> Vec<SplitSeed> {
        let register = |mut seed: SplitSeed| {
            let parents = seed.parents.iter().map(|p| p.0.to_string()).collect();
            let data = SplitData {
                position: seed.start.clone(),
                rows: 0,
                children: vec![],
                peeked: false,
            };
            let owner = self.owner_of_child(&seed.id);
            let (none, waiting) = (Watermark::NONE, SplitStatus::Waiting);
            splits.register(&seed.id.0, parents, owner, none, waiting, data);
            if let Some(known) = splits.get(&seed.id.0).filter(|known| known.status == waiting) {
                seed.start = known.data.position.clone();
            }
            seed
        };
        seeds.into_iter().map(register).collect()
    }

    /// How far the split that is furthest behind the newest record of its own is behind, ms of
    /// arrival time; None if no split has said.
    pub fn lag_ms(&self) -> Option<i64> {
        self.lags_ms().iter().copied().flatten().max()
    }

    /// The watermark last computed, for display.
    pub fn reached(&self) -> Watermark {
        Watermark::at(self.watermark_ms.load(Ordering::Relaxed))
    }

    pub(super) fn note_reached(&self, watermark: Watermark) {
        self.watermark_ms.store(watermark.ms(), Ordering::Relaxed);
    }

    /// Notes how far a worker's splits are behind; None if none of them has said.
    pub(super) fn note_lag(&self, worker: WorkerId, lag_ms: Option<i64>) {
        self.lags_ms()[worker.index()] = lag_ms;
    }

    fn lags_ms(&self) -> MutexGuard<'_, Vec<Option<i64>>> {
        self.lags_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owner_of_child(&self, id: &SplitId) -> WorkerId {
        WorkerId::new((hash_key(id.0.as_bytes()) % self.workers as u64) as usize)
    }
}
