//! Whose folder is it, what may be removed from it, and how often is it read? State directories as
//! users have them.

use std::collections::BTreeSet;

use super::*;
use crate::checkpoint::durable::MARKER;
use crate::who::{Mistake, Who};

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
    }
}

/// Publishes a checkpoint with one file of a store.
fn checkpoint(store: &mut CheckpointStore, epoch: u64) {
    let epoch = Epoch::new(epoch);
    store.begin(epoch).unwrap();
    let part = store.staging().join(format!("{epoch:08}/worker-0"));
    fs::create_dir(&part).unwrap();
    fs::write(part.join("000001.sst"), "0123456789").unwrap();
    fs::write(part.join("CURRENT"), "MANIFEST").unwrap();
    store.publish(manifest(epoch, 1)).unwrap();
}

fn put(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// All files below a folder, by their paths in it.
fn files(root: &Path) -> BTreeSet<String> {
    fn walk(root: &Path, folder: &Path, out: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, out);
            } else {
                out.insert(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut out = BTreeSet::new();
    walk(root, root, &mut out);
    out
}

fn refused(root: &Path) -> String {
    let error = CheckpointStore::open(root).err().expect("refused");
    assert_eq!(error.who(), Who::User(Mistake::Asked), "{error}");
    error.to_string()
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
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), name, "mine");
        let error = refused(dir.path());
        let found = name.split('/').next().unwrap();
        assert!(
            error.contains(&format!("holds '{found}'"))
                && error.contains("name a new or an empty folder"),
            "{error}"
        );
        assert_eq!(files(dir.path()), BTreeSet::from([name.to_string()]));
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(refused(file.path()).contains("is no folder"));
}

#[test]
fn a_new_folder_an_empty_one_and_what_an_early_kill_leaves_are_ours() {
    let dir = tempfile::tempdir().unwrap();
    CheckpointStore::open(&dir.path().join("a/new/one")).unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    let early = dir.path().join("early");
    for name in ["lock", "paceline-state.tmp"] {
        put(&early, name, "");
    }
    for name in ["checkpoints", "lost+found"] {
        fs::create_dir(early.join(name)).unwrap();
    }
    for name in ["empty", "early"] {
        for _ in 0..2 {
            let store = CheckpointStore::open(&dir.path().join(name)).unwrap();
            assert!(store.run_name(255).starts_with("ff-"), "{}", store.run_name(255));
        }
    }
}

#[test]
fn a_directory_of_an_earlier_version_goes_on_and_is_marked() {
    let dir = tempfile::tempdir().unwrap();
    checkpoint(&mut CheckpointStore::open(dir.path()).unwrap(), 3);
    fs::remove_file(dir.path().join(MARKER)).unwrap();
    put(dir.path(), "errors/part-1.jsonl", "{}");
    for _ in 0..2 {
        let mut store = CheckpointStore::open(dir.path()).unwrap();
        assert_eq!(store.read().unwrap().checkpoints.len(), 1);
        // Its files have names without an identity.
        assert_eq!(store.run_name(255), "ff");
    }
    assert!(dir.path().join(MARKER).exists());
    let mut store = CheckpointStore::open(dir.path()).unwrap();
    store.clear().unwrap();
    assert_ne!(store.run_name(255), "ff");
}

#[test]
fn runs_of_the_same_millisecond_have_names_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let names: BTreeSet<String> = ["a", "b", "c"]
        .iter()
        .map(|n| CheckpointStore::open(&dir.path().join(n)).unwrap().run_name(1))
        .collect();
    assert_eq!(names.len(), 3);
}

#[test]
fn what_lies_among_our_files_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = CheckpointStore::open(dir.path()).unwrap();
    for epoch in 0..4 {
        checkpoint(&mut store, epoch);
    }
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
    for name in ours.iter().chain(&foreign) {
        put(dir.path(), name, "1");
    }
    // A link to a folder elsewhere is not followed.
    #[cfg(unix)]
    std::os::unix::fs::symlink(
        dir.path().join("checkpoints/00000003/worker-0"),
        dir.path().join("live/worker-1"),
    )
    .unwrap();
    store.retain(Epoch::new(3)).unwrap();
    store.drop_after(Some(Epoch::new(3))).unwrap();
    assert!(
        dir.path().join("checkpoints/00000003/worker-0/CURRENT").exists(),
        "still a checkpoint"
    );
    #[cfg(unix)]
    fs::remove_file(dir.path().join("live/worker-1")).unwrap();
    store.clear().unwrap();
    let left = files(dir.path());
    let expected: BTreeSet<String> =
        foreign.iter().copied().chain(["lock", MARKER]).map(String::from).collect();
    assert_eq!(left, expected);
}

#[test]
fn a_store_is_not_made_among_foreign_files_and_replaces_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = CheckpointStore::open(dir.path()).unwrap();
    put(dir.path(), "staging/00000001/worker-0/notes.txt", "1");
    put(dir.path(), "staging/00000002/notes.txt", "1");
    put(dir.path(), "checkpoints/00000002/worker-0/notes.txt", "mine");
    let error = store.begin(Epoch::new(1)).unwrap_err();
    assert!(
        error.who() == Who::User(Mistake::Asked)
            && error.to_string().contains("00000001/worker-0 is not Paceline's"),
        "{error}"
    );
    checkpoint(&mut store, 2);
    assert_eq!(
        fs::read_to_string(dir.path().join("checkpoints/00000002/worker-0/notes.txt")).unwrap(),
        "mine"
    );
    fs::create_dir(dir.path().join("checkpoints/00000003")).unwrap();
    fs::create_dir(dir.path().join("checkpoints/00000003/manifest")).unwrap();
    let error = store.publish(manifest(Epoch::new(3), 1)).unwrap_err();
    assert!(
        error.who() == Who::User(Mistake::Asked)
            && error.to_string().contains("00000003/manifest is not Paceline's"),
        "{error}"
    );
}

#[test]
fn the_newest_checkpoint_is_checked_once_and_the_older_only_if_it_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = CheckpointStore::open(dir.path()).unwrap();
    for epoch in 0..3 {
        checkpoint(&mut store, epoch);
    }
    drop(store);
    // 10 and 8 bytes in each.
    let mut store = CheckpointStore::open(dir.path()).unwrap();
    for _ in 0..3 {
        let found: Vec<u64> =
            store.read().unwrap().checkpoints.iter().map(|f| f.epoch.number()).collect();
        assert_eq!((found, store.verified_bytes), (vec![2], 18));
    }
    store.mark_clean().unwrap();
    drop(store);
    let mut store = CheckpointStore::open(dir.path()).unwrap();
    store.read().unwrap();
    assert_eq!(store.verified_bytes, 0, "it had stopped in order");
    drop(store);
    // A start that did not come to its work changes nothing about that.
    let mut store = CheckpointStore::open(dir.path()).unwrap();
    store.read().unwrap();
    assert_eq!(store.verified_bytes, 0);
    store.begin_work().unwrap();
    drop(store);
    put(dir.path(), "checkpoints/00000002/worker-0/000001.sst", "012345678X");
    let mut store = CheckpointStore::open(dir.path()).unwrap();
    let found: Vec<bool> =
        store.read().unwrap().checkpoints.iter().map(|f| f.manifest.is_ok()).collect();
    assert_eq!(found, [false, true]);
}

#[test]
fn a_lock_that_a_dying_process_still_holds_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let dying = CheckpointStore::open(dir.path()).unwrap();
    let killed = std::thread::spawn(move || {
        std::thread::sleep(LOCK_STEP * 3);
        drop(dying);
    });
    CheckpointStore::open(dir.path()).unwrap();
    killed.join().unwrap();
}

#[cfg(unix)]
#[test]
fn state_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("st");
    // As an earlier version left it.
    for name in ["checkpoints", "errors"] {
        fs::create_dir_all(root.join(name)).unwrap();
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    put(&root, "checkpoints/00000000/manifest", "");
    fs::write(
        root.join("checkpoints/00000000/manifest"),
        codec::encode(&manifest(Epoch::START, 1)),
    )
    .unwrap();
    let mut store = CheckpointStore::open(&root).unwrap();
    checkpoint(&mut store, 1);
    store.begin_publishing(Epoch::new(1)).unwrap();
    store.mark_clean().unwrap();
    let new = dir.path().join("new");
    CheckpointStore::open(&new).unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in ["st/checkpoints", "st/checkpoints/00000001", "st/live", "st/errors", "new"] {
        assert_eq!(mode(dir.path().join(folder)), 0o700, "{folder}");
    }
    for file in ["lock", "paceline-state", "publishing", "clean", "checkpoints/00000001/manifest"] {
        assert_eq!(mode(root.join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_part_comes_back_without_what_was_put_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = CheckpointStore::open(dir.path()).unwrap();
    checkpoint(&mut store, 1);
    put(dir.path(), "checkpoints/00000001/worker-0/000077.sst", "not of this checkpoint");
    let found = store.read().unwrap().checkpoints.remove(0).manifest.unwrap();
    let live = store.fetch_live(&found, WorkerId::FIRST).unwrap();
    assert_eq!(files(&live), BTreeSet::from(["000001.sst".to_string(), "CURRENT".to_string()]));
    assert!(
        !store.fetch_part(&found, WorkerId::new(1), &dir.path().join("live/worker-1")).unwrap(),
        "there was one worker"
    );
    assert!(!dir.path().join("staging").exists(), "nothing is left of the making");
}
