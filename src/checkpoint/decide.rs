//! What to do after a start: a pure function from what is on disk to a decision.
//!
//! `store` reads the disk and calls [`decide`]; `runtime::job` carries the decision out. The names
//! of the tests are the list of situations.

use super::manifest::Manifest;
use crate::ids::Epoch;
use crate::sink::Leaves;

/// A checkpoint folder as it was found.
#[derive(Debug, Clone)]
pub struct Found {
    pub epoch: Epoch,
    /// The manifest, or why this is not a checkpoint that can be used.
    pub manifest: Result<Manifest, String>,
}

/// What the disk says.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    /// In any order. Folders without a manifest are not listed: a checkpoint exists when its
    /// manifest does.
    pub checkpoints: Vec<Found>,
    /// The epoch whose publication was begun last.
    pub publishing: Option<Epoch>,
    /// The epoch whose publication was ended last.
    pub published: Option<Epoch>,
}

impl Disk {
    /// Those of the checkpoints that can be read, in any order.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.checkpoints.iter().filter_map(|found| found.manifest.as_ref().ok())
    }
}

/// What the start asks for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    pub plan: &'a str,
    /// What the job's sinks have left of an epoch that was published.
    pub leaves: Leaves,
    pub allow_duplicates: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing there: begin a run.
    Start,
    /// Go on from this checkpoint. `skipped`: newer ones that are damaged, with the reason.
    Resume { manifest: Box<Manifest>, skipped: Vec<(Epoch, String)> },
    /// The job had finished.
    AlreadyFinished { manifest: Box<Manifest> },
    /// Stored state does not fit: with the reason and what to do.
    Refuse(String),
}

pub(crate) fn decide(disk: &Disk, wanted: Wanted<'_>) -> Decision {
    let mut newest_first: Vec<&Found> = disk.checkpoints.iter().collect();
    newest_first.sort_by_key(|f| std::cmp::Reverse(f.epoch));
    let mut skipped = Vec::new();
    for found in newest_first {
        let manifest = match &found.manifest {
            Ok(manifest) => manifest,
            Err(reason) => {
                skipped.push((found.epoch, reason.clone()));
                continue;
            }
        };
        if manifest.plan != wanted.plan {
            return Decision::Refuse(
                "the state directory belongs to another query (its plan differs); use --fresh to drop that state and start over, \
                 or another --state-dir"
                    .into(),
            );
        }
        if let Some(published) = disk.publishing
            && published > manifest.epoch
            && wanted.leaves != Leaves::Nothing
            && !wanted.allow_duplicates
        {
            let damage: Vec<String> =
                skipped.iter().map(|(e, r)| format!("checkpoint {e}: {r}")).collect();
            let damage = if damage.is_empty() { "it is gone".into() } else { damage.join("; ") };
            let older = manifest.epoch;
            return Decision::Refuse(match wanted.leaves {
                Leaves::Changes => format!(
                    "checkpoint {published} cannot be used ({damage}), and its changes may be in the tables already: going on from \
                     checkpoint {older} would write older results over them until it has caught up, and might leave rows that are \
                     no result any more; use --fresh to start over, or --allow-duplicates to accept that"
                ),
                Leaves::Nothing | Leaves::Rows => format!(
                    "checkpoint {published} cannot be used ({damage}), and its files may be published already: going on from checkpoint \
                     {older} would publish them twice; use --allow-duplicates to accept that"
                ),
            });
        }
        let manifest = Box::new(manifest.clone());
        return if manifest.finished {
            Decision::AlreadyFinished { manifest }
        } else {
            Decision::Resume { manifest, skipped }
        };
    }
    if skipped.is_empty() {
        return Decision::Start;
    }
    let damage: Vec<String> = skipped.iter().map(|(e, r)| format!("checkpoint {e}: {r}")).collect();
    Decision::Refuse(format!(
        "no checkpoint can be used ({}); use --fresh to start over",
        damage.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(epoch: u64) -> Found {
        let epoch = Epoch::new(epoch);
        let manifest = Manifest {
            run_ms: 1,
            epoch,
            finished: false,
            plan: "q".into(),
            workers: 1,
            key_groups: 128,
            sources: vec![],
            operators: vec![],
            files: vec![],
            staged: vec![],
            begun: None,
        };
        Found { epoch, manifest: Ok(manifest) }
    }
    fn bad(epoch: u64) -> Found {
        Found { epoch: Epoch::new(epoch), manifest: Err("truncated".into()) }
    }
    const WANTED: Wanted<'static> =
        Wanted { plan: "q", leaves: Leaves::Rows, allow_duplicates: false };

    fn epoch_of(decision: &Decision) -> Option<Epoch> {
        if let Decision::Resume { manifest, .. } = decision { Some(manifest.epoch) } else { None }
    }

    #[test]
    fn an_empty_directory_starts_a_run() {
        assert_eq!(decide(&Disk::default(), WANTED), Decision::Start);
    }

    #[test]
    fn the_newest_checkpoint_is_used() {
        let disk = Disk {
            checkpoints: vec![good(1), good(3), good(2)],
            publishing: Some(Epoch::new(3)),
            published: None,
        };
        assert_eq!(epoch_of(&decide(&disk, WANTED)), Some(Epoch::new(3)));
    }

    #[test]
    fn killed_between_manifest_and_publication() {
        let disk = Disk {
            checkpoints: vec![good(2), good(3)],
            publishing: Some(Epoch::new(2)),
            published: None,
        };
        assert_eq!(epoch_of(&decide(&disk, WANTED)), Some(Epoch::new(3)));
    }

    #[test]
    fn damaged_but_not_published_falls_back() {
        let disk = Disk {
            checkpoints: vec![good(2), bad(3)],
            publishing: Some(Epoch::new(2)),
            published: None,
        };
        assert_eq!(epoch_of(&decide(&disk, WANTED)), Some(Epoch::new(2)));
    }

    #[test]
    fn damaged_after_publication_is_refused_unless_duplicates_are_allowed() {
        let disk = Disk {
            checkpoints: vec![good(2), bad(3)],
            publishing: Some(Epoch::new(3)),
            published: None,
        };
        assert!(
            matches!(decide(&disk, WANTED), Decision::Refuse(r) if r.contains("--allow-duplicates"))
        );
        assert_eq!(
            epoch_of(&decide(&disk, Wanted { allow_duplicates: true, ..WANTED })),
            Some(Epoch::new(2))
        );
        assert_eq!(
            epoch_of(&decide(&disk, Wanted { leaves: Leaves::Nothing, ..WANTED })),
            Some(Epoch::new(2))
        );
        let of_changes = Wanted { leaves: Leaves::Changes, ..WANTED };
        assert!(matches!(
            decide(&disk, of_changes),
            Decision::Refuse(r) if r.contains("older results over them") && r.contains("--fresh")
        ));
        let accepted = Wanted { allow_duplicates: true, ..of_changes };
        assert_eq!(epoch_of(&decide(&disk, accepted)), Some(Epoch::new(2)));
    }

    #[test]
    fn a_missing_newest_checkpoint_counts_as_damaged() {
        let disk =
            Disk { checkpoints: vec![good(2)], publishing: Some(Epoch::new(3)), published: None };
        assert!(matches!(decide(&disk, WANTED), Decision::Refuse(_)));
    }

    #[test]
    fn nothing_but_damage_is_refused() {
        let disk = Disk { checkpoints: vec![bad(0), bad(1)], publishing: None, published: None };
        assert!(matches!(decide(&disk, WANTED), Decision::Refuse(r) if r.contains("--fresh")));
    }

    #[test]
    fn another_query_is_refused() {
        let disk = Disk { checkpoints: vec![good(1)], publishing: None, published: None };
        assert!(
            matches!(decide(&disk, Wanted { plan: "other", ..WANTED }), Decision::Refuse(r) if r.contains("another query"))
        );
    }

    #[test]
    fn a_finished_job_stays_finished() {
        let mut last = good(4);
        if let Ok(m) = &mut last.manifest {
            m.finished = true;
        }
        let disk = Disk {
            checkpoints: vec![good(3), last],
            publishing: Some(Epoch::new(4)),
            published: None,
        };
        assert!(matches!(decide(&disk, WANTED), Decision::AlreadyFinished { .. }));
    }
}
