//! The only door to RocksDB: opening a store, writing batches, range scans, range deletes,
//! hard-link checkpoints.
//!
//! Called by `store` for a worker's state. The write-ahead log is off: a crash loses everything
//! since the last checkpoint, and a restore opens fresh hard links of the checkpoint, never the live
//! folder.

use std::path::Path;

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, IteratorMode, LogLevel, Options, ReadOptions,
    WriteBatch, WriteBufferManager, WriteOptions,
};

use super::StateError;
use crate::files::handles;

/// Memory that all stores of a process share.
#[derive(Clone)]
pub struct StateMemory {
    cache: Cache,
    write_buffers: WriteBufferManager,
    /// Bytes of one write buffer of one store.
    write_buffer_bytes: usize,
    /// Files that one store may have open. None: any number.
    files_max: Option<i32>,
}

/// Write buffers of a store: one that is filled and one that is written to disk.
const WRITE_BUFFERS: usize = 2;

/// Below this RocksDB would write files of a few entries.
const WRITE_BUFFER_BYTES_MIN: usize = 256 << 10;

impl StateMemory {
    /// `bytes` bounds block cache and write buffers of `stores` stores together: write buffers are
    /// charged to the cache.
    ///
    /// Each store has its own share of the write buffers, and waits for its own disk writes alone.
    /// The manager could make all stores wait until their sum is small enough; but a store writes
    /// its buffer out only when something is written to it, so two that wait for each other's would
    /// wait for ever.
    pub fn new(bytes: usize, stores: usize) -> StateMemory {
        let cache = Cache::new_lru_cache(bytes);
        let write_buffers = WriteBufferManager::new_write_buffer_manager_with_cache(
            bytes / 2,
            false,
            cache.clone(),
        );
        let share = bytes / 2 / WRITE_BUFFERS / stores.max(1);
        let write_buffer_bytes = share.max(WRITE_BUFFER_BYTES_MIN);
        StateMemory { cache, write_buffers, write_buffer_bytes, files_max: handles::share(stores) }
    }
}

/// A store in RocksDB.
pub(super) struct RocksStore {
    db: DB,
    path: String,
}

/// Changes that become visible together.
#[derive(Default)]
pub(super) struct RocksBatch(WriteBatch);

impl RocksBatch {
    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.0.put(key, value);
    }

    pub(super) fn delete(&mut self, key: &[u8]) {
        self.0.delete(key);
    }

    pub(super) fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        self.0.delete_range(from, to);
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.0.size_in_bytes()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn options(memory: &StateMemory) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&memory.cache);
    table.set_block_size(16 << 10);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_manager(&memory.write_buffers);
    options.set_write_buffer_size(memory.write_buffer_bytes);
    options.set_max_write_buffer_number(WRITE_BUFFERS as i32);
    options.set_compression_type(DBCompressionType::Lz4);
    // Range deletes slow reads where the number of open files is limited, so it is only where the
    // process may not have many.
    options.set_max_open_files(memory.files_max.unwrap_or(-1));
    // The info log would grow without bound.
    options.set_log_level(LogLevel::Header);
    options.set_keep_log_file_num(1);
    options.set_stats_dump_period_sec(0);
    // Every checkpoint leaves a small file in level 0, and expired windows are deleted before they
    // are worth merging.
    options.set_level_zero_file_num_compaction_trigger(8);
    options
}

impl RocksStore {
    pub(super) fn open(path: &Path, memory: &StateMemory) -> Result<RocksStore, StateError> {
        let name = path.display().to_string();
        let db = DB::open(&options(memory), path)
            .map_err(|e| StateError { path: name.clone(), reason: e.to_string() })?;
        Ok(RocksStore { db, path: name })
    }

    fn err(&self, e: &rocksdb::Error) -> StateError {
        StateError { path: self.path.clone(), reason: e.to_string() }
    }

    pub(super) fn write(&self, batch: RocksBatch) -> Result<(), StateError> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch.0, &options).map_err(|e| self.err(&e))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.db.get(key).map_err(|e| self.err(&e))
    }

    pub(super) fn multi_get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        self.db.multi_get(keys).into_iter().map(|value| value.map_err(|e| self.err(&e))).collect()
    }

    pub(super) fn scan<E: From<StateError>>(
        &self,
        from: &[u8],
        to: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        scan_range(&self.db, from, to, |entry| {
            let (key, value) = entry.map_err(|e| self.err(&e))?;
            each(&key, &value)
        })
    }

    pub(super) fn scan_all<E: From<StateError>>(
        &self,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for entry in self.db.iterator(IteratorMode::Start) {
            let (key, value) = entry.map_err(|e| self.err(&e))?;
            each(&key, &value)?;
        }
        Ok(())
    }

    pub(super) fn checkpoint(&self, folder: &Path) -> Result<(), StateError> {
        let checkpoint = Checkpoint::new(&self.db).map_err(|e| self.err(&e))?;
        checkpoint.create_checkpoint(folder).map_err(|e| self.err(&e))
    }
}

/// Calls `each` for the entries in `from..to` of a database, in key order.
pub(crate) fn scan_range<E>(
    db: &DB,
    from: &[u8],
    to: &[u8],
    each: impl FnMut(Result<(Box<[u8]>, Box<[u8]>), rocksdb::Error>) -> Result<(), E>,
) -> Result<(), E> {
    debug_assert!(from <= to, "a range of the store ends before it begins");
    let mut read = ReadOptions::default();
    read.set_iterate_lower_bound(from);
    read.set_iterate_upper_bound(to);
    db.iterator_opt(IteratorMode::Start, read).try_for_each(each)
}
