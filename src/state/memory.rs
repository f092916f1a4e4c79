//! A worker's state in memory, for tests: behaves as the store in RocksDB does.
//!
//! Called by `store`. All that it holds is in one ordered map, which goes with the process. What
//! always holds: a checkpoint is files of names that RocksDB has too, and of the same kinds: a
//! table, which is synced, never changes and is linked wherever it is needed, and a file that says
//! which table it is, which nobody has synced.
//!
//! ```text
//! table   = entries (4) | entry* | CRC-32C of all before (4)       little-endian
//! entry   = length of the key (4) | key | length of the value (4) | value
//! CURRENT = name of the table
//! ```

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StateError;
use crate::files::{Access, Existing, Files};

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) struct MemoryStore {
    files: Arc<dyn Files>,
    folder: PathBuf,
    content: Mutex<Content>,
}

struct Content {
    entries: Entries,
    /// The newest table in the folder.
    table: Option<String>,
    /// The table has just these entries.
    is_table_current: bool,
    /// The number of the next table. Greater than those of all before it, also of earlier processes:
    /// one name has one content.
    next_table: u64,
}

enum Change {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    DeleteRange(Vec<u8>, Vec<u8>),
}

/// Changes that become visible together.
#[derive(Default)]
pub(super) struct MemoryBatch {
    changes: Vec<Change>,
    size_bytes: usize,
}

impl MemoryBatch {
    fn add(&mut self, change: Change, size_bytes: usize) {
        self.changes.push(change);
        self.size_bytes += size_bytes;
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.add(Change::Put(key.to_vec(), value.to_vec()), key.len() + value.len());
    }

    pub(super) fn delete(&mut self, key: &[u8]) {
        self.add(Change::Delete(key.to_vec()), key.len());
    }

    pub(super) fn delete_range(&mut self, from: &[u8], to: &[u8]) {
        self.add(Change::DeleteRange(from.to_vec(), to.to_vec()), from.len() + to.len());
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

const CURRENT: &str = "CURRENT";

impl MemoryStore {
    pub(super) fn open(files: Arc<dyn Files>, folder: &Path) -> Result<MemoryStore, StateError> {
        let content = read(files.as_ref(), folder).map_err(|e| failed(folder, &e))?;
        Ok(MemoryStore { files, folder: folder.to_path_buf(), content: Mutex::new(content) })
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, batch: MemoryBatch) {
        let mut content = self.content();
        if !batch.is_empty() {
            content.is_table_current = false;
        }
        for change in batch.changes {
            match change {
                Change::Put(key, value) => {
                    content.entries.insert(key, value);
                }
                Change::Delete(key) => {
                    content.entries.remove(&key);
                }
                Change::DeleteRange(from, to) => {
                    content.entries.retain(|key, _| *key < from || *key >= to);
                }
            }
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.content().entries.get(key).cloned()
    }

    /// Calls `each` for the entries in `from..to`, or behind `from`, as they were at the call.
    pub(super) fn scan<E>(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        // A copy: whoever scans may write meanwhile.
        let found: Vec<_> = self
            .content()
            .entries
            .range(from.to_vec()..)
            .take_while(|(key, _)| to.is_none_or(|to| key.as_slice() < to))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        found.iter().try_for_each(|(key, value)| each(key, value))
    }

    pub(super) fn checkpoint(&self, to: &Path) -> Result<(), StateError> {
        self.link(to).map_err(|e| failed(to, &e))
    }

    /// The table is written only if the newest does not do, so checkpoints share it.
    fn link(&self, to: &Path) -> io::Result<()> {
        let (files, mut content) = (&self.files, self.content());
        if !content.is_table_current {
            let table = format!("{:06}.sst", content.next_table);
            content.next_table += 1;
            files.write_and_sync(&self.folder.join(&table), &encode(&content.entries))?;
            content.is_table_current = true;
            if let Some(older) = content.table.replace(table) {
                files.remove_file(&self.folder.join(older))?;
            }
        }
        let table = content.table.clone().unwrap_or_default();
        files.create_dir(to, Access::OwnerOnly)?;
        files.hard_link(&self.folder.join(&table), &to.join(&table))?;
        files
            .create(&to.join(CURRENT), Existing::IsKept, Access::OwnerOnly)?
            .write_all(table.as_bytes())
    }
}

fn failed(path: &Path, reason: &io::Error) -> StateError {
    StateError { path: path.display().to_string(), reason: reason.to_string() }
}

fn read(files: &dyn Files, folder: &Path) -> io::Result<Content> {
    files.create_folder(folder, Access::OwnerOnly)?;
    if !files.exists(&folder.join(CURRENT)) {
        let (entries, table) = (Entries::new(), None);
        return Ok(Content { entries, table, is_table_current: false, next_table: 1 });
    }
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the store is damaged");
    let table = String::from_utf8(files.read(&folder.join(CURRENT))?).map_err(|_| damaged())?;
    let number: u64 =
        table.strip_suffix(".sst").and_then(|n| n.parse().ok()).ok_or_else(damaged)?;
    let entries = decode(&files.read(&folder.join(&table))?).ok_or_else(damaged)?;
    let (table, next_table) = (Some(table), number + 1);
    Ok(Content { entries, table, is_table_current: true, next_table })
}

fn encode(entries: &Entries) -> Vec<u8> {
    let mut out = (entries.len() as u32).to_le_bytes().to_vec();
    for text in entries.iter().flat_map(|(key, value)| [key, value]) {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text);
    }
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// None if it is damaged.
fn decode(bytes: &[u8]) -> Option<Entries> {
    let (mut rest, crc) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(rest) != u32::from_le_bytes(*crc) {
        return None;
    }
    let number = |rest: &mut &[u8]| {
        let (number, after) = rest.split_first_chunk::<4>()?;
        *rest = after;
        Some(u32::from_le_bytes(*number) as usize)
    };
    let text = |rest: &mut &[u8]| {
        let length = number(rest)?;
        let (text, after) = rest.split_at_checked(length)?;
        *rest = after;
        Some(text.to_vec())
    };
    let count = number(&mut rest)?;
    (0..count).map(|_| Some((text(&mut rest)?, text(&mut rest)?))).collect()
}
