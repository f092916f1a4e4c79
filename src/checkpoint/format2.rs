//! How were manifests written before connectors had positions of their own? Format 2, read and
//! turned into today's.
//!
//! Called by `codec`. Then all positions were one enum, and how files looked when a run began stood
//! behind the rest; manifests that are older still end before that. What always holds: fields and
//! variants stand in the order of that time, since the bytes have no names.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::manifest::{FileEntry, Manifest, SourceState, SplitState};
use crate::ids::{Epoch, OperatorId};
use crate::operator::OperatorState;
use crate::source::{Position, RunState, SplitId, SplitSeed};
use crate::time::Watermark;

#[derive(Deserialize)]
pub(crate) struct Manifest2 {
    run_ms: i64,
    epoch: Epoch,
    finished: bool,
    plan: String,
    workers: usize,
    key_groups: u16,
    sources: Vec<Source2>,
    operators: Vec<(OperatorId, OperatorState)>,
    files: Vec<FileEntry>,
    staged: Vec<(String, Vec<Vec<u8>>)>,
}

#[derive(Deserialize)]
struct Source2 {
    table: String,
    splits: Vec<Split2>,
}

#[derive(Deserialize)]
struct Split2 {
    id: String,
    parents: Vec<String>,
    position: Position2,
    watermark: Watermark,
    rows: u64,
    peeked: bool,
    finished: bool,
    children: Vec<Seed2>,
}

#[derive(Deserialize)]
struct Seed2 {
    id: SplitId,
    parents: Vec<SplitId>,
    start: Position2,
}

#[derive(Deserialize)]
enum Position2 {
    File { offset: u64, lines: u64 },
    ShardHorizon,
    ShardTime { arrival_ms: i64 },
    ShardAfter { sequence_number: String },
    Generated { records: u64 },
    Folder { seen: Vec<String> },
}

/// How a file looked when the run began.
#[derive(Deserialize)]
pub(crate) struct FirstLook2 {
    table: String,
    split: String,
    look: Look2,
}

#[derive(Deserialize)]
struct Look2 {
    size_bytes: u64,
    modified_ms: i64,
}

impl From<Position2> for Position {
    fn from(position: Position2) -> Position {
        match position {
            Position2::File { offset, lines } => {
                Position::new("file", 1, &json!({ "offset": offset, "lines": lines }))
            }
            Position2::Folder { seen } => Position::new("folder", 1, &json!({ "seen": seen })),
            Position2::ShardHorizon => Position::new("shard", 1, &json!("Horizon")),
            Position2::ShardTime { arrival_ms } => {
                Position::new("shard", 1, &json!({ "Time": { "arrival_ms": arrival_ms } }))
            }
            Position2::ShardAfter { sequence_number } => Position::new(
                "shard",
                1,
                &json!({ "After": { "sequence_number": sequence_number } }),
            ),
            Position2::Generated { records } => Position::after_records(records),
        }
    }
}

impl From<Seed2> for SplitSeed {
    fn from(seed: Seed2) -> SplitSeed {
        SplitSeed { id: seed.id, parents: seed.parents, start: seed.start.into() }
    }
}

impl From<Split2> for SplitState {
    fn from(split: Split2) -> SplitState {
        SplitState {
            id: split.id,
            parents: split.parents,
            position: split.position.into(),
            watermark: split.watermark,
            rows: split.rows,
            peeked: split.peeked,
            finished: split.finished,
            children: split.children.into_iter().map(Into::into).collect(),
        }
    }
}

impl Manifest2 {
    pub(crate) fn into_manifest(self, first_looks: Vec<FirstLook2>) -> Manifest {
        let mut looks: BTreeMap<String, serde_json::Map<String, serde_json::Value>> =
            BTreeMap::new();
        for FirstLook2 { table, split, look } in first_looks {
            let look = json!({ "size_bytes": look.size_bytes, "modified_ms": look.modified_ms });
            looks.entry(table).or_default().insert(split, look);
        }
        let sources = self.sources.into_iter().map(|source| SourceState {
            run: looks.remove(&source.table).map(|looks| RunState::new("files", 1, &looks)),
            splits: source.splits.into_iter().map(Into::into).collect(),
            table: source.table,
        });
        Manifest {
            run_ms: self.run_ms,
            epoch: self.epoch,
            finished: self.finished,
            plan: self.plan,
            workers: self.workers,
            key_groups: self.key_groups,
            sources: sources.collect(),
            operators: self.operators,
            files: self.files,
            staged: self.staged,
            begun: None,
        }
    }
}
