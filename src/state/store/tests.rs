//! Does the store in memory behave as the one in RocksDB?
//!
//! The same random calls go to one of each. What they answer must be the same, before and after a
//! checkpoint and a restart on it.

use std::path::PathBuf;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use super::*;
use crate::files::memory::Tree;
use crate::files::{Access, on_disk};
use crate::support::seeds::each_seed;
use crate::support::tier::by_tier;

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// The same store, once of each kind.
struct Twins {
    folder: TempDir,
    files: Arc<dyn Files>,
    /// In the memory of a process that is killed.
    stores: [StateDb; 2],
    /// Counts folders.
    lives: u32,
}

impl Twins {
    fn kinds(files: &Arc<dyn Files>) -> [Stores; 2] {
        [StoreKind::RocksDb, StoreKind::Memory(files.clone())].map(|kind| kind.stores(1 << 20, 1))
    }

    fn new() -> Twins {
        let (folder, files) = (tempfile::tempdir().unwrap(), on_disk());
        let at = |name: &str| folder.path().join(name);
        let [rocks, memory] = Twins::kinds(&files);
        let stores = [rocks.open(&at("rocks-0")).unwrap(), memory.open(&at("memory-0")).unwrap()];
        Twins { folder, files, stores, lives: 0 }
    }

    /// Takes a checkpoint of each, and goes on from it as another process does. What is written
    /// after the checkpoint is lost.
    fn restart(&mut self, lost: &[Verb]) {
        self.lives += 1;
        let folder = |kind: &str| self.folder.path().join(format!("{kind}-{}", self.lives));
        let folders: [PathBuf; 2] = [folder("rocks"), folder("memory")];
        for (store, folder) in self.stores.iter().zip(&folders) {
            store.checkpoint(folder).unwrap();
            write(store, lost, false);
            assert!(store.checkpoint(folder).is_err(), "a folder that is there");
        }
        let kinds = Twins::kinds(&self.files);
        for ((store, kind), folder) in self.stores.iter_mut().zip(kinds).zip(&folders) {
            *store = kind.open(folder).unwrap();
        }
    }

    fn same<T: PartialEq + std::fmt::Debug>(&self, ask: impl Fn(&StateDb) -> T) {
        let [rocks, memory] = &self.stores;
        assert_eq!(ask(memory), ask(rocks));
    }
}

#[derive(Debug, Clone)]
enum Verb {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    DeleteRange(Vec<u8>, Vec<u8>),
}

/// Short, and alike, so that keys meet.
fn key(rng: &mut impl Rng) -> Vec<u8> {
    let length = rng.random_range(1..4);
    (0..length).map(|_| [0, 1, 7, 255][rng.random_range(0..4)]).collect()
}

fn range(rng: &mut impl Rng) -> (Vec<u8>, Vec<u8>) {
    let (a, b) = (key(rng), key(rng));
    if a <= b { (a, b) } else { (b, a) }
}

fn verbs(rng: &mut impl Rng) -> Vec<Verb> {
    let one = |rng: &mut _| match Rng::random_range(rng, 0..8) {
        0 => Verb::Delete(key(rng)),
        1 => {
            let (from, to) = range(rng);
            Verb::DeleteRange(from, to)
        }
        _ => {
            let length = Rng::random_range(rng, 0..20);
            Verb::Put(key(rng), vec![Rng::random(rng); length])
        }
    };
    let count = rng.random_range(0..30);
    (0..count).map(|_| one(&mut *rng)).collect()
}

fn write(store: &StateDb, verbs: &[Verb], through: bool) {
    let mut changes = if through { store.changes() } else { store.batch() };
    assert!(changes.is_empty());
    for verb in verbs {
        match verb {
            Verb::Put(key, value) => changes.put(key, value),
            Verb::Delete(key) => changes.delete(key),
            Verb::DeleteRange(from, to) => changes.delete_range(from, to),
        }
    }
    assert_eq!(changes.is_empty(), verbs.is_empty());
    store.write(changes).unwrap();
}

fn scanned(store: &StateDb, from: &[u8], to: &[u8]) -> Entries {
    let mut entries = Entries::new();
    store
        .scan(from, to, |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            Ok::<_, StateError>(())
        })
        .unwrap();
    entries
}

fn all(store: &StateDb) -> Entries {
    let mut entries = Entries::new();
    store
        .scan_all(|key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            Ok::<_, StateError>(())
        })
        .unwrap();
    entries
}

#[test]
fn a_store_in_memory_answers_as_one_in_rocksdb() {
    each_seed(0..by_tier(30, 200, 2000), |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut twins = Twins::new();
        for _ in 0..rng.random_range(5..40) {
            match rng.random_range(0..10) {
                0 => twins.restart(&verbs(&mut rng)),
                1..5 => {
                    let (verbs, through) = (verbs(&mut rng), rng.random());
                    twins.stores.iter().for_each(|store| write(store, &verbs, through));
                }
                5 => {
                    let key = key(&mut rng);
                    twins.same(|store| store.get(&key).unwrap());
                }
                6 => {
                    let keys: Vec<Vec<u8>> =
                        (0..rng.random_range(0..9)).map(|_| key(&mut rng)).collect();
                    twins.same(|store| store.multi_get(&keys).unwrap());
                }
                7 | 8 => {
                    let (from, to) = range(&mut rng);
                    twins.same(|store| scanned(store, &from, &to));
                }
                _ => twins.same(all),
            }
        }
        twins.restart(&[]);
        twins.same(all);
    });
}

#[test]
fn large_changes_go_to_either_store_by_the_mebibyte() {
    let twins = Twins::new();
    for store in &twins.stores {
        let mut changes = store.changes();
        for number in 0..3u8 {
            changes.put(&[number], &vec![number; BATCH_BYTES / 2]);
        }
        assert!(changes.size_bytes() < BATCH_BYTES && all(store).len() == 2);
        store.write(changes).unwrap();
    }
    twins.same(all);
}

#[test]
fn a_scan_sees_the_store_as_it_was_and_its_error_ends_it() {
    let twins = Twins::new();
    for store in &twins.stores {
        write(store, &[1, 2, 3].map(|k| Verb::Put(vec![k], vec![k])), false);
        let mut seen = Vec::new();
        let ended = store.scan_all(|key, _| {
            write(store, &[Verb::DeleteRange(vec![0], vec![9])], false);
            seen.push(key[0]);
            let error = || StateError { path: "here".into(), reason: "enough".into() };
            if seen.len() == 2 { Err(error()) } else { Ok(()) }
        });
        assert_eq!((seen, ended.unwrap_err().path), (vec![1, 2], "here".to_string()));
        assert_eq!(all(store), []);
    }
}

#[test]
fn checkpoints_in_memory_share_a_table_until_something_changes_and_damage_is_found() {
    let tree = Tree::new();
    let files = tree.boot();
    let stores = StoreKind::Memory(files.clone()).stores(0, 1);
    let store = stores.open(Path::new("live")).unwrap();
    let names = |folder: &str| -> Vec<String> {
        let entries = files.list(Path::new(folder)).unwrap();
        entries.into_iter().map(|e| e.name.into_string().unwrap()).collect()
    };
    write(&store, &[Verb::Put(vec![1], vec![1])], false);
    for folder in ["a", "b"] {
        store.checkpoint(Path::new(folder)).unwrap();
        assert_eq!(names(folder), ["000001.sst", "CURRENT"]);
    }
    let store = stores.open(Path::new("b")).unwrap();
    store.checkpoint(Path::new("c")).unwrap();
    assert_eq!(names("c"), ["000001.sst", "CURRENT"]);
    write(&store, &[Verb::Delete(vec![1])], false);
    store.checkpoint(Path::new("d")).unwrap();
    assert_eq!(
        (names("d"), names("b")),
        (
            vec!["000002.sst".to_string(), "CURRENT".into()],
            vec!["000002.sst".to_string(), "CURRENT".into()],
        )
    );
    let table = Path::new("a/000001.sst");
    let whole = files.read(table).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        files.remove_file(table).unwrap();
        files.write_and_sync(table, &damaged).unwrap();
        assert!(stores.open(Path::new("a")).is_err(), "byte {at}");
    }
    files.create_dir(Path::new("empty"), Access::AsUsual).unwrap();
    assert_eq!(all(&stores.open(Path::new("empty")).unwrap()), []);
}
