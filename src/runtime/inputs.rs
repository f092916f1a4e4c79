//! Is the input still what the run began with?
//!
//! Called by `job`: at each start from a checkpoint, and every minute, it says what has changed.
//! What always holds: it only says so; what was read stands, and nothing is read twice.

use std::collections::BTreeSet;

use crate::checkpoint::manifest::Manifest;
use crate::plan::physical::PhysicalPlan;
use crate::runtime::options::Connected;
use crate::source::StoredSplit;

/// Changes of a table's input that are told one by one.
const CHANGES_TOLD_MAX: usize = 10;

/// Changes that were told. Each is told once.
#[derive(Default)]
pub struct Changes(BTreeSet<String>);

impl Changes {
    /// Says what is not any more as the job of the checkpoint read it.
    pub(crate) fn tell(&mut self, plan: &PhysicalPlan, connected: &Connected, manifest: &Manifest) {
        for (plan, source) in plan.sources.iter().zip(&connected.sources) {
            let table = plan.table.name.as_str();
            let splits =
                manifest.sources.iter().filter(|s| s.table == table).flat_map(|s| &s.splits);
            let stored: Vec<StoredSplit<'_>> = splits
                .map(|s| StoredSplit { id: &s.id, position: &s.position, finished: s.finished })
                .collect();
            self.tell_of(table, source.audit(&stored));
        }
    }

    fn tell_of(&mut self, table: &str, changes: Vec<String>) {
        let new: Vec<String> =
            changes.into_iter().map(|change| format!("table {table}: {change}")).collect();
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
