//! Whose folder is it, what may be removed from it, and how often is it read? State directories as
//! users have them.

use std::collections::BTreeSet;
#[cfg(unix)]
use std::fs;

use tempfile::TempDir;

use super::*;
use crate::checkpoint::durable::MARKER;
use crate::files::memory::Tree;
use crate::who::{Mistake, Who};

/// Where a test has its folders.
struct Place {
    files: Arc<dyn Files>,
    root: PathBuf,
    _folder: Option<TempDir>,
}

impl Place {
    fn on_disk() -> Place {
        let folder = tempfile::tempdir().unwrap();
        Place { files: on_disk(), root: folder.path().to_path_buf(), _folder: Some(folder) }
    }

    /// The same things hold on the disk and in the memory of a test.
    fn each(test: impl Fn(&Place)) {
        test(&Place::on_disk());
        let files = Tree::new().boot();
        let root = PathBuf::from("/st");
        files.create_folder(&root, Access::OwnerOnly).unwrap();
        test(&Place { files, root, _folder: None });
    }

    fn open(&self) -> CheckpointStore {
        self.open_at("")
    }

    fn open_at(&self, name: &str) -> CheckpointStore {
        CheckpointStore::open_in(self.files.clone(), &self.root.join(name)).unwrap()
    }

    fn refused(&self, name: &str) -> String {
        let opened = CheckpointStore::open_in(self.files.clone(), &self.root.join(name));
        let error = opened.err().expect("refused");
        assert_eq!(error.who(), Who::User(Mistake::Asked), "{error}");
        error.to_string()
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        self.files.create_folder(path.parent().unwrap(), Access::AsUsual).unwrap();
        self.files.write_and_sync(&path, text.as_bytes()).unwrap();
    }

    fn make(&self, folder: &str) {
        self.files.create_folder(&self.root.join(folder), Access::AsUsual).unwrap();
    }

    fn has(&self, name: &str) -> bool {
        self.files.exists(&self.root.join(name))
    }

    fn remove(&self, name: &str) {
        self.files.remove_file(&self.root.join(name)).unwrap();
    }

    /// All files, by their paths.
    fn files(&self) -> BTreeSet<String> {
        self.files_in("")
    }

    fn files_in(&self, folder: &str) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        let root = self.root.join(folder);
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in self.files.list(&folder).unwrap() {
                if entry.kind.is_folder() {
                    folders.push(entry.path);
                } else {
                    out.insert(entry.path.strip_prefix(&root).unwrap().display().to_string());
                }
            }
        }
        out
    }
}

fn manifest(epoch: Epoch, workers: usize) -> Manifest {
    Manifest {
        run_ms: 7,
        epoch,
        finished: false,
        plan: "q".into(),
        workers,
        key_groups: 128,
        sources: vec![],
        operators: vec![],
        files: vec![],
        staged: vec![],
        begun: None,
    }
}

/// Publishes a checkpoint with one file of a store.
fn checkpoint(store: &mut CheckpointStore, epoch: u64) {
    let epoch = Epoch::new(epoch);
    store.begin(epoch).unwrap();
    let part = store.staging().join(format!("{epoch:08}/worker-0"));
    store.files.create_dir(&part, Access::OwnerOnly).unwrap();
    store.files.write_and_sync(&part.join("000001.sst"), b"0123456789").unwrap();
    store.files.write_and_sync(&part.join("CURRENT"), b"MANIFEST").unwrap();
    store.publish(manifest(epoch, 1)).unwrap();
}

#[test]
fn a_folder_that_is_not_ours_is_refused_and_not_touched() {
    for name in [
        "notes.txt",
        "checkpoints/photo.jpg",
        "checkpoints/00000003/manifest",
        "lock",
        "tables/t/CURRENT",
        "paceline-state",
    ] {
        Place::each(|place| {
            place.put(name, "mine");
            let error = place.refused("");
            let found = name.split('/').next().unwrap();
            assert!(
                error.contains(&format!("holds '{found}'"))
                    && error.contains("name a new or an empty folder"),
                "{error}"
            );
            assert_eq!(place.files(), BTreeSet::from([name.to_string()]));
        });
    }
    Place::each(|place| {
        place.put("file", "");
        assert!(place.refused("file").contains("is no folder"));
    });
}

#[test]
fn a_new_folder_an_empty_one_and_what_an_early_kill_leaves_are_ours() {
    Place::each(|place| {
        place.open_at("a/new/one");
        for name in ["early/lock", "early/paceline-state.tmp"] {
            place.put(name, "");
        }
        for folder in ["empty", "early/checkpoints", "early/lost+found"] {
            place.make(folder);
        }
        for name in ["empty", "early"] {
            for _ in 0..2 {
                let store = place.open_at(name);
                assert!(store.run_name(255).starts_with("ff-"), "{}", store.run_name(255));
            }
        }
    });
}

#[test]
fn a_directory_of_an_earlier_version_goes_on_and_is_marked() {
    Place::each(|place| {
        checkpoint(&mut place.open(), 3);
        place.remove(MARKER);
        place.put("errors/part-1.jsonl", "{}");
        for _ in 0..2 {
            let mut store = place.open();
            assert_eq!(store.read().unwrap().checkpoints.len(), 1);
            // Its files have names without an identity.
            assert_eq!(store.run_name(255), "ff");
        }
        assert!(place.has(MARKER));
        let mut store = place.open();
        store.clear().unwrap();
        assert_ne!(store.run_name(255), "ff");
    });
}

#[test]
fn runs_of_the_same_millisecond_have_names_of_their_own() {
    Place::each(|place| {
        let names: BTreeSet<String> =
            ["a", "b", "c"].iter().map(|n| place.open_at(n).run_name(1)).collect();
        assert_eq!(names.len(), 3);
    });
}

#[test]
fn what_lies_among_our_files_stays() {
    let ours = [
        "live/worker-0/000004.sst",
        "live/worker-0/CURRENT",
        "staging/00000009/worker-1/CURRENT",
        "staging/object.tmp",
        "checkpoints/00000009/worker-0/000001.sst",
        "checkpoints/00000009/manifest.tmp",
        "tables/t/CURRENT",
        "tables/t/IDENTITY",
        "tables/t/000009.log",
        "published",
    ];
    let foreign = [
        "notes.txt",
        "checkpoints/notes.txt",
        "checkpoints/3/manifest",
        "checkpoints/backup/manifest",
        "checkpoints/00000001/notes.txt",
        "checkpoints/00000003/worker-x/CURRENT",
        "live/notes.txt",
        "staging/notes.txt",
        "staging/00000009/notes.txt",
        "live/worker-0/notes.txt",
        "tables/notes.txt",
        "tables/mine/LOG",
        "tables/t/notes.txt",
        "errors/part-1.jsonl",
    ];
    Place::each(|place| {
        let mut store = place.open();
        for epoch in 0..4 {
            checkpoint(&mut store, epoch);
        }
        for name in ours.iter().chain(&foreign) {
            place.put(name, "1");
        }
        store.retain(Epoch::new(3)).unwrap();
        store.drop_after(Some(Epoch::new(3))).unwrap();
        assert!(place.has("checkpoints/00000003/worker-0/CURRENT"), "still a checkpoint");
        store.clear().unwrap();
        let expected: BTreeSet<String> =
            foreign.iter().copied().chain(["lock", MARKER]).map(String::from).collect();
        assert_eq!(place.files(), expected);
    });
}

#[cfg(unix)]
#[test]
fn a_link_to_a_folder_elsewhere_is_not_followed() {
    let place = Place::on_disk();
    let mut store = place.open();
    checkpoint(&mut store, 3);
    let linked = place.root.join("checkpoints/00000003/worker-0");
    std::os::unix::fs::symlink(linked, place.root.join("live/worker-1")).unwrap();
    store.drop_after(Some(Epoch::new(3))).unwrap();
    assert!(place.has("checkpoints/00000003/worker-0/CURRENT"), "still a checkpoint");
}

#[test]
fn a_store_is_not_made_among_foreign_files_and_replaces_none() {
    Place::each(|place| {
        let mut store = place.open();
        place.put("staging/00000001/worker-0/notes.txt", "1");
        place.put("staging/00000002/notes.txt", "1");
        place.put("checkpoints/00000002/worker-0/notes.txt", "mine");
        let error = store.begin(Epoch::new(1)).unwrap_err();
        assert!(
            error.who() == Who::User(Mistake::Asked)
                && error.to_string().contains("00000001/worker-0 is not Paceline's"),
            "{error}"
        );
        checkpoint(&mut store, 2);
        let notes = place.root.join("checkpoints/00000002/worker-0/notes.txt");
        assert_eq!(place.files.read(&notes).unwrap(), b"mine");
        place.make("checkpoints/00000003/manifest");
        let error = store.publish(manifest(Epoch::new(3), 1)).unwrap_err();
        assert!(
            error.who() == Who::User(Mistake::Asked)
                && error.to_string().contains("00000003/manifest is not Paceline's"),
            "{error}"
        );
    });
}

#[test]
fn the_newest_checkpoint_is_checked_once_and_the_older_only_if_it_is_damaged() {
    Place::each(the_newest_checkpoint_is_checked_once);
}

fn the_newest_checkpoint_is_checked_once(place: &Place) {
    let mut store = place.open();
    for epoch in 0..3 {
        checkpoint(&mut store, epoch);
    }
    drop(store);
    // 10 and 8 bytes in each.
    let mut store = place.open();
    for _ in 0..3 {
        let found: Vec<u64> =
            store.read().unwrap().checkpoints.iter().map(|f| f.epoch.number()).collect();
        assert_eq!((found, store.verified_bytes), (vec![2], 18));
    }
    store.mark_clean().unwrap();
    drop(store);
    let mut store = place.open();
    store.read().unwrap();
    assert_eq!(store.verified_bytes, 0, "it had stopped in order");
    drop(store);
    // A start that did not come to its work changes nothing about that.
    let mut store = place.open();
    store.read().unwrap();
    assert_eq!(store.verified_bytes, 0);
    store.begin_work().unwrap();
    drop(store);
    place.put("checkpoints/00000002/worker-0/000001.sst", "012345678X");
    let mut store = place.open();
    let found: Vec<bool> =
        store.read().unwrap().checkpoints.iter().map(|f| f.manifest.is_ok()).collect();
    assert_eq!(found, [false, true]);
}

#[test]
fn a_lock_that_a_dying_process_still_holds_is_waited_for() {
    Place::each(|place| {
        let dying = place.open();
        let killed = std::thread::spawn(move || {
            std::thread::sleep(LOCK_STEP * 3);
            drop(dying);
        });
        place.open();
        killed.join().unwrap();
    });
}

#[cfg(unix)]
#[test]
fn state_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::on_disk();
    // As an earlier version left it.
    for name in ["st/checkpoints", "st/errors"] {
        place.make(name);
        let permissions = fs::Permissions::from_mode(0o755);
        fs::set_permissions(place.root.join(name), permissions).unwrap();
    }
    place.make("st/checkpoints/00000000");
    let bytes = codec::encode(&manifest(Epoch::START, 1));
    fs::write(place.root.join("st/checkpoints/00000000/manifest"), bytes).unwrap();
    let mut store = place.open_at("st");
    checkpoint(&mut store, 1);
    store.begin_publishing(Epoch::new(1)).unwrap();
    store.mark_clean().unwrap();
    place.open_at("new");
    let mode =
        |name: &str| fs::metadata(place.root.join(name)).unwrap().permissions().mode() & 0o777;
    for folder in ["st/checkpoints", "st/checkpoints/00000001", "st/live", "st/errors", "new"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    for file in ["lock", "paceline-state", "publishing", "clean", "checkpoints/00000001/manifest"] {
        assert_eq!(mode(&format!("st/{file}")), 0o600, "{file}");
    }
}

#[test]
fn a_part_comes_back_without_what_was_put_beside_it() {
    Place::each(|place| {
        let mut store = place.open();
        checkpoint(&mut store, 1);
        place.put("checkpoints/00000001/worker-0/000077.sst", "not of this checkpoint");
        let found = store.read().unwrap().checkpoints.remove(0).manifest.unwrap();
        store.fetch_live(&found, WorkerId::FIRST).unwrap();
        let expected = BTreeSet::from(["000001.sst".to_string(), "CURRENT".to_string()]);
        assert_eq!(place.files_in("live/worker-0"), expected);
        assert!(
            !store.fetch_part(&found, WorkerId::new(1), &store.live(WorkerId::new(1))).unwrap(),
            "there was one worker"
        );
        assert!(!place.has("staging"), "nothing is left of the making");
    });
}
