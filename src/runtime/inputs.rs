//! Is the input still what the run began with?
//!
//! Called by `job`: it notes how splits look when a run begins, and at each start from a checkpoint says what has changed. What
//! always holds: it only says so; what was read stands, and nothing is read twice.

use std::collections::{BTreeSet, HashMap};

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

/// Changes that were told. Each is told once.
#[derive(Default)]
pub struct Changes(BTreeSet<String>);

impl Changes {
    /// Says what is not any more as the job of the checkpoint read it.
    pub fn tell(&mut self, plan: &PhysicalPlan, connected: &Connected, manifest: &Manifest) {
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
            self.tell_of(table, source.changes(&stored));
        }
    }

    fn tell_of(&mut self, table: &str, changes: Vec<String>) {
        let new: Vec<String> = changes.into_iter().map(|change| format!("table {table}: {change}")).collect();
        let new: Vec<String> = new.into_iter().filter(|line| !self.0.contains(line)).collect();
        for line in new.iter().take(CHANGES_TOLD_MAX) {
            tracing::warn!("{line}");
        }
        if new.len() > CHANGES_TOLD_MAX {
            tracing::warn!("table {table}: the same of {} more", new.len() - CHANGES_TOLD_MAX);
        }
        self.0.extend(new);
    }
}
