//! The embedded table on disk: the only file of the sinks that knows RocksDB.
//!
//! Called by the embedded table. What always holds: a batch of changes is seen whole or not at all,
//! also after the process is killed (the write-ahead log is on); after [`TableStore::sync`] it
//! survives a loss of power.

use std::path::Path;
use std::time::Duration;

use crate::state::rocks::scan_range;
use crate::who::{Again, Who};
use rocksdb::{BlockBasedOptions, Cache, DB, ErrorKind, LogLevel, Options, WriteBatch};

/// Memory of a table's write buffers and of its cache, bytes each. Result tables are small and
/// written in bursts.
const BUFFER_BYTES: usize = 8 << 20;

pub(crate) struct TableStore {
    db: DB,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(#[from] rocksdb::Error);

impl StoreError {
    /// The table stands for one outside.
    pub(crate) fn who(&self) -> Who {
        match self.0.kind() {
            ErrorKind::Corruption => Who::Outside(Again::IsInVain),
            _ => Who::Outside(Again::MayHelp),
        }
    }
}

/// Changes that become visible together.
#[derive(Default)]
pub struct Changes(WriteBatch);

impl Changes {
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.0.put(key, value);
    }
    pub fn delete(&mut self, key: &[u8]) {
        self.0.delete(key);
    }
    pub(crate) fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        self.0.delete_range(from, to);
    }
    pub(crate) fn size_bytes(&self) -> usize {
        self.0.size_in_bytes()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How long an opening waits for the store's lock: a process that was just killed may not have let
/// go of it yet, though it has let go of the state directory.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
const LOCK_STEP: Duration = Duration::from_millis(20);

fn open(options: &Options, dir: &Path) -> Result<DB, rocksdb::Error> {
    let mut waited = Duration::ZERO;
    loop {
        match DB::open(options, dir) {
            // RocksDB's words for a lock that another process holds.
            Err(e) if e.as_ref().contains("While lock file") && waited < LOCK_WAIT_MAX => {
                std::thread::sleep(LOCK_STEP);
                waited += LOCK_STEP;
            }
            opened => return opened,
        }
    }
}

impl TableStore {
    pub fn open(dir: &Path) -> Result<TableStore, StoreError> {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_lru_cache(BUFFER_BYTES));
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&table);
        options.set_write_buffer_size(BUFFER_BYTES / 2);
        options.set_max_write_buffer_number(2);
        // The log is cut when it holds this much, so that opening stays quick.
        options.set_max_total_wal_size(4 * BUFFER_BYTES as u64);
        // The info log would grow without bound.
        options.set_log_level(LogLevel::Header);
        options.set_keep_log_file_num(1);
        options.set_stats_dump_period_sec(0);
        Ok(TableStore { db: open(&options, dir)? })
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get(key)?)
    }

    pub fn write(&self, changes: Changes) -> Result<(), StoreError> {
        Ok(self.db.write(changes.0)?)
    }

    /// Makes everything written so far durable.
    pub fn sync(&self) -> Result<(), StoreError> {
        Ok(self.db.flush_wal(true)?)
    }

    /// Calls `each` for the entries in `from..to`, in key order.
    pub fn scan<E: From<StoreError>>(
        &self,
        from: &[u8],
        to: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        scan_range(&self.db, from, to, |entry| {
            let (key, value) = entry.map_err(StoreError)?;
            each(&key, &value)
        })
    }
}
