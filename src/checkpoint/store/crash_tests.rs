//! What does a start find when the process, or the machine, stopped at any one change to its files?
//!
//! A life of a job's checkpoints is run again and again on a tree in memory, and each time dies at
//! the next change. Then the machine is restarted or crashes, more than once, and what a start
//! decides must fit what the life had seen: a checkpoint whose publication was told is there, and
//! none is gone on from that is not whole.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::checkpoint::decide::{Decision, Wanted, decide};
use crate::files::memory::{Tree, tells_of_crash};
use crate::sink::Leaves;
use crate::support::seeds::each_seed;
use crate::support::tier::by_tier;

const ROOT: &str = "/data/job/state";
const PLAN: &str = "q";
/// A life of so many checkpoints is the last: the job comes to its end in it.
const LAST: u64 = 3;

/// What a life was told before it ended.
#[derive(Debug, Default)]
struct Told {
    /// The newest checkpoint that `publish` returned.
    published: Option<Epoch>,
    /// The newest that `publish` was asked for.
    asked: Option<Epoch>,
    /// The newest whose files got their names: `begin_publishing` returned.
    begun: Option<Epoch>,
    ended: Option<Epoch>,
}

fn manifest(epoch: Epoch) -> Manifest {
    Manifest {
        run_ms: 7,
        epoch,
        finished: false,
        plan: PLAN.into(),
        workers: 2,
        key_groups: 128,
        sources: vec![],
        operators: vec![],
        files: vec![],
        staged: vec![],
        begun: None,
    }
}

/// The bytes that a store's file has in an epoch; a table stays as it is in two epochs.
fn content(epoch: Epoch, worker: usize, name: &str) -> String {
    format!("{name} of {worker} in {epoch}")
}

fn table(epoch: Epoch) -> Epoch {
    Epoch::new(epoch.number() / 2)
}

struct Life<'a> {
    files: Arc<dyn Files>,
    told: &'a mut Told,
    /// Whether its last checkpoint is that of a job which has come to its end.
    finishes: bool,
}

impl Life<'_> {
    /// Starts as a job does, and takes checkpoints.
    fn live(&mut self, checkpoints: u64) -> Result<(), StoreError> {
        let mut store = CheckpointStore::open_in(self.files.clone(), Path::new(ROOT))?;
        let disk = store.read()?;
        let mut epoch = match self.decide(&disk) {
            Decision::AlreadyFinished { manifest } => {
                return self.recommit(&store, &disk, manifest.epoch);
            }
            Decision::Resume { manifest, .. } => {
                store.begin_work()?;
                store.drop_after(Some(manifest.epoch))?;
                self.recommit(&store, &disk, manifest.epoch)?;
                self.verify(&store, &manifest)?;
                disk.publishing.max(Some(manifest.epoch)).expect("at least that")
            }
            _ => {
                store.begin_work()?;
                store.drop_after(None)?;
                self.publish(&mut store, manifest(Epoch::START))?;
                Epoch::START
            }
        };
        for left in (0..checkpoints).rev() {
            epoch = epoch.next();
            let finished = self.finishes && left == 0;
            self.checkpoint(&mut store, Manifest { finished, ..manifest(epoch) })?;
        }
        store.mark_clean()
    }

    fn recommit(
        &mut self,
        store: &CheckpointStore,
        disk: &Disk,
        epoch: Epoch,
    ) -> Result<(), StoreError> {
        if disk.published < Some(epoch) {
            if disk.publishing < Some(epoch) {
                store.begin_publishing(epoch)?;
            }
            // Now sinks publish.
            self.told.begun = Some(epoch);
            store.end_publishing(epoch)?;
            self.told.ended = Some(epoch);
        }
        Ok(())
    }

    fn checkpoint(
        &mut self,
        store: &mut CheckpointStore,
        manifest: Manifest,
    ) -> Result<(), StoreError> {
        let epoch = manifest.epoch;
        store.begin(epoch)?;
        for worker in 0..2 {
            let part = store.staging().join(own::folder_of(epoch)).join(format!("worker-{worker}"));
            self.stage(epoch, worker, &part).map_err(at(&part))?;
        }
        self.publish(store, manifest)?;
        store.begin_publishing(epoch)?;
        self.told.begun = Some(epoch);
        store.end_publishing(epoch)?;
        self.told.ended = Some(epoch);
        store.retain(epoch)
    }

    /// As RocksDB does: tables are synced and linked, what is beside them is written.
    fn stage(&self, epoch: Epoch, worker: usize, part: &Path) -> std::io::Result<()> {
        self.files.create_dir(part, Access::OwnerOnly)?;
        let name = format!("{:06}.sst", table(epoch).number());
        let live = Path::new(ROOT).join("live").join(format!("worker-{worker}"));
        self.files.create_folder(&live, Access::OwnerOnly)?;
        if !self.files.exists(&live.join(&name)) {
            let bytes = content(table(epoch), worker, &name);
            self.files.write_and_sync(&live.join(&name), bytes.as_bytes())?;
        }
        self.files.hard_link(&live.join(&name), &part.join(&name))?;
        let current = content(epoch, worker, "CURRENT");
        let existing = crate::files::Existing::IsKept;
        self.files
            .create(&part.join("CURRENT"), existing, Access::OwnerOnly)?
            .write_all(current.as_bytes())
    }

    fn publish(
        &mut self,
        store: &mut CheckpointStore,
        manifest: Manifest,
    ) -> Result<(), StoreError> {
        let epoch = manifest.epoch;
        self.told.asked = Some(epoch);
        store.publish(manifest)?;
        self.told.published = Some(epoch);
        Ok(())
    }

    /// What a start does must fit what was told before.
    fn decide(&self, disk: &Disk) -> Decision {
        let wanted = Wanted { plan: PLAN, leaves: Leaves::Rows, allow_duplicates: false };
        let (decision, told) = (decide(disk, wanted), &self.told);
        match &decision {
            Decision::Start => assert_eq!(told.published, None, "{told:?}: it is lost"),
            Decision::Resume { manifest, .. } | Decision::AlreadyFinished { manifest } => {
                let epoch = Some(manifest.epoch);
                assert!(epoch >= told.published && epoch <= told.asked, "{told:?}: {epoch:?}");
            }
            Decision::Refuse(reason) => panic!("{told:?}: {reason}"),
        }
        assert!(disk.publishing >= told.begun && disk.published >= told.ended, "{told:?}");
        decision
    }

    /// The files that a restore gets are those that were staged.
    fn verify(&self, store: &CheckpointStore, manifest: &Manifest) -> Result<(), StoreError> {
        for worker in WorkerId::all(manifest.workers) {
            let live = store.fetch_live(manifest, worker)?;
            let mut found = BTreeMap::new();
            for (entry, name) in own::entries(self.files.as_ref(), &live)? {
                let bytes = self.files.read(&entry.path).map_err(at(&entry.path))?;
                found.insert(name, String::from_utf8(bytes).expect("text"));
            }
            let of =
                |epoch: Epoch, name: &str| (name.to_string(), content(epoch, worker.index(), name));
            let epoch = manifest.epoch;
            let table_name = format!("{:06}.sst", table(epoch).number());
            let expected = match epoch {
                Epoch::START => BTreeMap::new(),
                _ => BTreeMap::from([of(table(epoch), &table_name), of(epoch, "CURRENT")]),
            };
            assert_eq!(found, expected, "of epoch {epoch}");
        }
        Ok(())
    }
}

/// Runs one life to its death at `operation`, or to its end; true if it came to its end.
fn live(tree: &Tree, told: &mut Told, checkpoints: u64, operation: Option<u64>) -> bool {
    let (files, finishes) = (tree.boot(), checkpoints == LAST);
    if let Some(operation) = operation {
        tree.die_at(operation);
    }
    match (Life { files, told, finishes }).live(checkpoints) {
        Ok(()) => true,
        Err(e) => {
            assert!(tree.is_dead() && tells_of_crash(&e.to_string()), "{e}");
            false
        }
    }
}

/// Stops the machine, or just the process.
fn stop(tree: &Tree, rng: &mut impl Rng) {
    if rng.random_bool(0.5) { tree.crash(rng) } else { tree.kill() }
}

#[test]
fn a_stop_at_any_change_loses_no_checkpoint_and_leaves_no_half_of_one() {
    each_seed(0..by_tier(4, 20, 300), |seed| {
        for operation in 1.. {
            let mut rng = ChaCha8Rng::seed_from_u64(seed * 10_000 + operation);
            let (tree, mut told) = (Tree::new(), Told::default());
            // What is dead before this folder is there has no state directory to go on from.
            let data = Path::new(ROOT).parent().expect("a parent");
            tree.outside().create_folder(data, Access::AsUsual).expect("a folder");
            tree.sync();
            let checkpoints = if seed % 2 == 0 { 5 } else { LAST };
            let ended = live(&tree, &mut told, checkpoints, Some(operation));
            // Stops come again while what the first has left is being mended.
            for _ in 0..rng.random_range(0..4) {
                stop(&tree, &mut rng);
                let most = [10, 40][rng.random_range(0..2)];
                let operation = rng.random_range(1..most);
                live(&tree, &mut told, rng.random_range(1..=LAST), Some(operation));
            }
            stop(&tree, &mut rng);
            assert!(live(&tree, &mut told, 2, None));
            // And then it is there for good.
            tree.crash(&mut rng);
            assert!(live(&tree, &mut told, 2, None));
            if ended {
                assert!(operation > 100, "a life has few changes: {operation}");
                break;
            }
        }
    });
}
