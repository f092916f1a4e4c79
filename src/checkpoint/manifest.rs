//! What does a checkpoint say about itself?
//!
//! One [`Manifest`] per epoch: everything needed to go on besides the files it names. Epoch 0 is
//! written before the first record is read and holds the run's identity and the resolved start of
//! every split.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, OperatorId};
use crate::operator::OperatorState;
use crate::source::{Position, RunState, SplitSeed};
use crate::time::Watermark;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// When the run started, ms since the epoch by the wall clock. Fixed in epoch 0, kept on
    /// resume: it names the run, and later runs win over earlier ones at upsert sinks.
    pub run_ms: i64,
    pub epoch: Epoch,
    /// The last epoch of a bounded job: every window has fired and every sink has acknowledged.
    pub finished: bool,
    /// The physical plan as text, without parallelism: a changed query has another one.
    pub plan: String,
    pub workers: usize,
    pub key_groups: u16,
    pub sources: Vec<SourceState>,
    /// (operator, state).
    pub operators: Vec<(OperatorId, OperatorState)>,
    /// Every file of the checkpoint, relative to its folder.
    pub files: Vec<FileEntry>,
    /// What sinks must publish: (sink name, what its writers staged). It also has what was staged
    /// for epochs before, as far as nobody had begun to publish that.
    pub staged: StagedOfSinks,
    /// What sinks were publishing when the manifest was written, of an earlier epoch.
    pub begun: Option<Begun>,
}

/// (sink name, what its writers staged).
pub type StagedOfSinks = Vec<(String, Vec<Vec<u8>>)>;

/// A publication that had begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub epoch: Epoch,
    pub staged: StagedOfSinks,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    pub table: String,
    /// What the source keeps over the whole run.
    pub run: Option<RunState>,
    pub splits: Vec<SplitState>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitState {
    pub id: String,
    pub parents: Vec<String>,
    pub position: Position,
    pub watermark: Watermark,
    /// Rows it has given: the number of the next one.
    pub rows: u64,
    /// Not read yet; `watermark` is that of its first record.
    pub peeked: bool,
    pub finished: bool,
    pub children: Vec<SplitSeed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub path: String,
    pub size_bytes: u64,
    pub crc32c: u32,
}

/// Joins what the workers said about a source's splits. A child that was registered after its owner
/// had taken its snapshot is known from its parent only: it is added as it was registered, without
/// a watermark of its own. It takes that of its parents when it is opened, and by then the other
/// parent of a merge may stand lower than the one that named it.
pub(crate) fn join_splits(parts: Vec<Vec<SplitState>>) -> Vec<SplitState> {
    let mut splits: Vec<SplitState> = parts.into_iter().flatten().collect();
    splits.sort_by(|a, b| a.id.cmp(&b.id));
    let mut missing: Vec<SplitState> = Vec::new();
    let mut known: HashSet<&str> = splits.iter().map(|s| s.id.as_str()).collect();
    for child in splits.iter().flat_map(|parent| &parent.children) {
        if known.insert(&child.id.0) {
            missing.push(SplitState {
                id: child.id.0.to_string(),
                parents: child.parents.iter().map(|p| p.0.to_string()).collect(),
                position: child.start.clone(),
                watermark: Watermark::NONE,
                rows: 0,
                peeked: false,
                finished: false,
                children: vec![],
            });
        }
    }
    splits.extend(missing);
    splits
}

/// Leaves out the splits that nobody will ask for again: those that were read to their end, whose
/// children have all been opened, as were those before them. A stream that is scaled up and down
/// every day would else fill its checkpoints with shards that are long gone. What a child has of
/// its parents, which is where its watermark begins, it has had since it was opened.
pub(crate) fn forget_finished(splits: Vec<SplitState>) -> Vec<SplitState> {
    let by_id: HashMap<&str, &SplitState> = splits.iter().map(|s| (s.id.as_str(), s)).collect();
    // The parents of a merge may name different starts.
    let mut starts: HashMap<&str, Vec<&Position>> = HashMap::new();
    for child in splits.iter().flat_map(|split| &split.children) {
        starts.entry(&child.id.0).or_default().push(&child.start);
    }
    let is_opened = |child: &SplitSeed| {
        let has_moved = |c: &SplitState| !starts[&*child.id.0].contains(&&c.position);
        by_id.get(&*child.id.0).is_some_and(|c| c.finished || has_moved(c))
    };
    let mut forgotten: HashSet<String> = HashSet::new();
    let mut next: Vec<&SplitState> = splits.iter().collect();
    while let Some(split) = next.pop() {
        let has_parent = |p: &String| by_id.contains_key(p.as_str()) && !forgotten.contains(p);
        let is_forgotten = split.finished
            && !split.children.is_empty()
            && !split.parents.iter().any(has_parent)
            && split.children.iter().all(is_opened);
        if is_forgotten && forgotten.insert(split.id.clone()) {
            // They had to wait for this one.
            next.extend(split.children.iter().filter_map(|c| by_id.get(&*c.id.0).copied()));
        }
    }
    let mut kept = splits;
    kept.retain(|split| !forgotten.contains(&split.id));
    for split in &mut kept {
        split.parents.retain(|parent| !forgotten.contains(parent));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SplitId;

    fn split(id: &str, finished: bool, children: &[&str]) -> SplitState {
        let seed = |c: &&str| SplitSeed {
            id: SplitId((*c).into()),
            parents: vec![SplitId(id.into())],
            start: Position::after_records(0),
        };
        SplitState {
            id: id.into(),
            parents: vec![],
            position: Position::after_records(0),
            watermark: Watermark::at(7),
            rows: 0,
            peeked: false,
            finished,
            children: children.iter().map(seed).collect(),
        }
    }

    #[test]
    fn a_child_that_only_its_parent_knows_is_not_lost() {
        let joined =
            join_splits(vec![vec![split("p", true, &["c"])], vec![split("q", false, &[])]]);
        assert_eq!(joined.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["p", "q", "c"]);
        assert_eq!(joined[2].watermark, Watermark::NONE, "its own; it stands where its parents do");
    }

    #[test]
    fn splits_whose_children_are_open_are_forgotten_with_all_before_them() {
        let opened = |mut split: SplitState| {
            split.position = Position::after_records(3);
            split
        };
        let of = |mut split: SplitState, parents: &[&str]| {
            split.parents = parents.iter().map(|p| (*p).into()).collect();
            split
        };
        // g was split into p and q, which were merged into m; q into r, beside it.
        let all = |m: SplitState| {
            vec![
                of(m, &["p", "q"]),
                of(split("p", true, &["m"]), &["g"]),
                of(split("q", true, &["m", "r"]), &["g"]),
                of(split("r", true, &[]), &["q"]),
                split("g", true, &["p", "q"]),
            ]
        };
        let ids = |splits: Vec<SplitState>| -> Vec<(String, Vec<String>)> {
            forget_finished(splits).into_iter().map(|s| (s.id, s.parents)).collect()
        };
        let kept = |id: &str, parents: &[&str]| {
            (id.to_string(), parents.iter().map(|p| (*p).to_string()).collect::<Vec<_>>())
        };
        assert_eq!(
            ids(all(split("m", false, &[]))),
            [kept("m", &["p", "q"]), kept("p", &[]), kept("q", &[]), kept("r", &["q"])],
            "m still has to begin where p and q ended"
        );
        assert_eq!(
            ids(all(opened(split("m", false, &[])))),
            [kept("m", &[]), kept("r", &[])],
            "r has ended at a bound, and nothing took its place"
        );
        assert_eq!(ids(vec![split("p", false, &["c"])]), [kept("p", &[])]);
    }

    #[test]
    fn a_child_with_progress_is_not_reset() {
        let mut child = split("c", false, &[]);
        child.position = Position::after_records(9);
        let joined = join_splits(vec![vec![split("p", true, &["c"])], vec![child.clone()]]);
        assert_eq!(joined.iter().find(|s| s.id == "c"), Some(&child));
        assert_eq!(joined.len(), 2);
    }
}
