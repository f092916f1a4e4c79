//! A worker's state: what operators put, read, scan and delete, and what a checkpoint takes of it.
//!
//! Called by operators and by `runtime`. Each worker has a store of its own, used by that worker's
//! thread alone: one in RocksDB, or in a test one in memory, which behaves the same. What always
//! holds: a crash loses what is in no checkpoint, and a restore opens a checkpoint's files, never
//! what a killed process had in use.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread::JoinHandle;

use super::StateError;
#[cfg(test)]
use super::memory::{MemoryBatch, MemoryStore};
pub use super::rocks::StateMemory;
use super::rocks::{RocksBatch, RocksStore};
#[cfg(test)]
use crate::files::Files;

/// Which stores the workers of a job have.
#[derive(Clone, Default)]
pub enum StoreKind {
    #[default]
    RocksDb,
    /// Their checkpoints are files of the tree.
    #[cfg(test)]
    Memory(Arc<dyn Files>),
}

/// Opens the stores of a job.
pub(crate) enum Stores {
    RocksDb(StateMemory),
    #[cfg(test)]
    Memory(Arc<dyn Files>),
}

impl StoreKind {
    /// `cache_bytes` bounds what `stores` stores together take of the memory.
    pub(crate) fn stores(&self, cache_bytes: usize, stores: usize) -> Stores {
        match self {
            StoreKind::RocksDb => Stores::RocksDb(StateMemory::new(cache_bytes, stores)),
            #[cfg(test)]
            StoreKind::Memory(files) => Stores::Memory(files.clone()),
        }
    }
}

impl Stores {
    /// Opens a store on what a checkpoint left in the folder, or an empty one.
    pub(crate) fn open(&self, folder: &Path) -> Result<StateDb, StateError> {
        match self {
            Stores::RocksDb(memory) => StateDb::open(folder, memory),
            #[cfg(test)]
            Stores::Memory(files) => {
                Ok(StateDb(Store::Memory(MemoryStore::open(files.clone(), folder)?)))
            }
        }
    }
}

/// A checkpoint of a store that is being made. Dropped, it waits for its end: until then the store is
/// in use.
pub(crate) struct Linking {
    result: Receiver<Result<(), StateError>>,
    thread: Option<JoinHandle<()>>,
}

impl Linking {
    /// What came of it, once.
    pub fn ended(&self) -> Option<Result<(), StateError>> {
        match self.result.try_recv() {
            Ok(linked) => Some(linked),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                let reason = "who linked it has ended without a word; this is a bug".into();
                Some(Err(StateError { path: "the store of a worker".into(), reason }))
            }
        }
    }
}

impl Drop for Linking {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic was told by the hang-up.
            let _ = thread.join();
        }
    }
}

/// A worker's store.
pub struct StateDb(Store);

enum Store {
    Rocks(Arc<RocksStore>),
    #[cfg(test)]
    Memory(MemoryStore),
}

/// Changes to a store. Those of [`StateDb::batch`] become visible together; those of
/// [`StateDb::changes`] go to the store by the mebibyte, so that moving a large table there takes
/// no second copy of it. Nothing is lost by that: the log is off, so a crash loses all of them, and
/// between two parts nobody reads.
pub struct Changes<'a> {
    batch: Batch,
    through: Option<&'a StateDb>,
    /// The first failure; [`StateDb::write`] returns it.
    failed: Option<StateError>,
    /// Some went to the store before.
    written: bool,
}

enum Batch {
    Rocks(RocksBatch),
    #[cfg(test)]
    Memory(MemoryBatch),
}

/// The same for a store, or for changes, of each kind.
macro_rules! of_either {
    ($of:ident, $either:expr, $it:ident => $each:expr) => {
        match $either {
            $of::Rocks($it) => $each,
            #[cfg(test)]
            $of::Memory($it) => $each,
        }
    };
}

/// Changes that go to the store at a time: large against the cost of a write, small against a write
/// buffer.
const BATCH_BYTES: usize = 1 << 20;

impl Changes<'_> {
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        of_either!(Batch, &mut self.batch, batch => batch.put(key, value));
        self.pass_on();
    }
    pub(crate) fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        debug_assert!(from <= to, "a range of the store ends before it begins");
        of_either!(Batch, &mut self.batch, batch => batch.delete_range(from, to));
        self.pass_on();
    }
    pub fn delete(&mut self, key: &[u8]) {
        of_either!(Batch, &mut self.batch, batch => batch.delete(key));
        self.pass_on();
    }
    pub(crate) fn size_bytes(&self) -> usize {
        of_either!(Batch, &self.batch, batch => batch.size_bytes())
    }
    /// True if there were none.
    pub fn is_empty(&self) -> bool {
        of_either!(Batch, &self.batch, batch => batch.is_empty()) && !self.written
    }

    fn pass_on(&mut self) {
        if let Some(db) = self.through
            && self.size_bytes() >= BATCH_BYTES
            && self.failed.is_none()
        {
            self.written = true;
            let full = std::mem::replace(&mut self.batch, db.new_batch());
            self.failed = db.write_batch(full).err();
        }
    }
}

impl StateDb {
    /// Opens a store in RocksDB, or makes one.
    pub fn open(path: &Path, memory: &StateMemory) -> Result<StateDb, StateError> {
        Ok(StateDb(Store::Rocks(Arc::new(RocksStore::open(path, memory)?))))
    }

    fn new_batch(&self) -> Batch {
        match &self.0 {
            Store::Rocks(_) => Batch::Rocks(RocksBatch::default()),
            #[cfg(test)]
            Store::Memory(_) => Batch::Memory(MemoryBatch::default()),
        }
    }

    /// Changes that become visible together, by [`StateDb::write`].
    pub fn batch(&self) -> Changes<'static> {
        Changes { batch: self.new_batch(), through: None, failed: None, written: false }
    }

    /// Changes that may be larger than memory should hold twice; [`StateDb::write`] ends them.
    pub fn changes(&self) -> Changes<'_> {
        Changes { through: Some(self), ..self.batch() }
    }

    /// Writes changes that were made for this store.
    pub fn write(&self, changes: Changes) -> Result<(), StateError> {
        match changes.failed {
            Some(failed) => Err(failed),
            None => self.write_batch(changes.batch),
        }
    }

    fn write_batch(&self, batch: Batch) -> Result<(), StateError> {
        match (&self.0, batch) {
            (Store::Rocks(store), Batch::Rocks(batch)) => store.write(batch),
            #[cfg(test)]
            (Store::Memory(store), Batch::Memory(batch)) => {
                store.write(batch);
                Ok(())
            }
            #[cfg(test)]
            _ => unreachable!("changes of a store of another kind"),
        }
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match &self.0 {
            Store::Rocks(store) => store.get(key),
            #[cfg(test)]
            Store::Memory(store) => Ok(store.get(key)),
        }
    }

    /// The values of several keys, in their order.
    pub(crate) fn multi_get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        match &self.0 {
            Store::Rocks(store) => store.multi_get(keys),
            #[cfg(test)]
            Store::Memory(store) => Ok(keys.iter().map(|key| store.get(key)).collect()),
        }
    }

    /// Calls `each` for the entries in `from..to`, in key order.
    pub fn scan<E: From<StateError>>(
        &self,
        from: &[u8],
        to: &[u8],
        each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.0 {
            Store::Rocks(store) => store.scan(from, to, each),
            #[cfg(test)]
            Store::Memory(store) => store.scan(from, Some(to), each),
        }
    }

    /// Calls `each` for every entry, in key order.
    pub fn scan_all<E: From<StateError>>(
        &self,
        each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.0 {
            Store::Rocks(store) => store.scan_all(each),
            #[cfg(test)]
            Store::Memory(store) => store.scan(&[], None, each),
        }
    }

    /// Links everything, which is in files then, into `folder`, which must not exist and must be on
    /// the same volume.
    pub fn checkpoint(&self, folder: &Path) -> Result<(), StateError> {
        of_either!(Store, &self.0, store => store.checkpoint(folder))
    }

    /// The same on a thread of its own: what is in memory is written out and synced first, for which
    /// a worker would wait. Nothing may be written to the store until the answer is there, of which
    /// `wake` tells. A store in memory answers at once.
    pub(crate) fn checkpoint_aside(
        &self,
        folder: &Path,
        wake: impl FnOnce() + Send + 'static,
    ) -> Linking {
        let (give, result) = mpsc::channel();
        let thread = match &self.0 {
            Store::Rocks(store) => {
                let (store, folder) = (store.clone(), folder.to_owned());
                Some(std::thread::spawn(move || {
                    let linked = store.checkpoint(&folder);
                    // Whoever is woken may open the store anew.
                    drop(store);
                    // The worker may be gone.
                    let _ = give.send(linked);
                    wake();
                }))
            }
            #[cfg(test)]
            Store::Memory(_) => {
                let _ = give.send(self.checkpoint(folder));
                None
            }
        };
        Linking { result, thread }
    }
}

#[cfg(test)]
mod tests;
