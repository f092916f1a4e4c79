//! Is the input still what the run began with?
//!
//! Called by `job`: it notes how splits look when a run begins, and at each start from a checkpoint says what has changed. What
//! always holds: it only says so; what was read stands, and nothing is read twice.

use std::collections::HashMap;

use crate::checkpoint::manifest::{FirstLook, Manifest, SourceState};
use crate::plan::physical::PhysicalPlan;
use crate::runtime::options::Connected;
use crate::source::{SplitId, StoredSplit};

/// Changes of a table's input that are told one by one.
const CHANGES_TOLD_MAX: usize = 10;

/// How the splits of a new run look.
pub fn first_looks(connected: &Connected, states: &[SourceState]) -> Vec<FirstLook> {
    let mut looks = Vec::new();
    for (source, state) in connected.sources.iter().zip(states) {
        for split in &state.splits {
            let look = source.look(&SplitId(split.id.as_str().into()));
            looks.extend(look.map(|look| FirstLook { table: state.table.clone(), split: split.id.clone(), look }));
        }
    }
    looks
}

/// Says what is not any more as the job of the checkpoint read it.
pub fn tell_changes(plan: &PhysicalPlan, connected: &Connected, manifest: &Manifest) {
    let looks: HashMap<_, _> = manifest.first_looks.iter().map(|l| ((l.table.as_str(), l.split.as_str()), l.look)).collect();
    for (plan, source) in plan.sources.iter().zip(&connected.sources) {
        let table = plan.table.name.as_str();
        let splits = manifest.sources.iter().filter(|s| s.table == table).flat_map(|s| &s.splits);
        let stored: Vec<StoredSplit<'_>> = splits
            .map(|s| StoredSplit {
                id: &s.id,
                position: &s.position,
                finished: s.finished,
                first_look: looks.get(&(table, s.id.as_str())).copied(),
            })
            .collect();
        let changes = source.changes(&stored);
        for change in changes.iter().take(CHANGES_TOLD_MAX) {
            tracing::warn!("table {table}: {change}");
        }
        if changes.len() > CHANGES_TOLD_MAX {
            tracing::warn!("table {table}: the same of {} more", changes.len() - CHANGES_TOLD_MAX);
        }
    }
}
