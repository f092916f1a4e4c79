//! Checkpoints on disk: folders, hard links, fsync and rename.
//!
//! What always holds: nothing is removed that `own` does not know as ours; a checkpoint's files are read once after a start,
//! however often it is asked what is there.
//!
//! ```text
//! STATE/paceline-state                says that the folder is ours; made first
//! STATE/lock                          held by the process that runs the job
//! STATE/publishing                    the epoch whose files are being given their final names, as decimal text
//! STATE/published                     the epoch whose files all have them
//! STATE/clean                         exists after a clean stop until a job begins its work: without it checksums are verified
//! STATE/live/worker-K/                the stores in use; never read after a crash
//! STATE/checkpoints/EPOCH/manifest    exists last: then the checkpoint exists
//! STATE/checkpoints/EPOCH/worker-K/   hard links of the store's files
//! ```

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::decide::Disk;
use super::durable::{LOCK_WAIT_MAX, StoreError, at, sync_folder, write_durably};
use super::found::{checksum, epochs, find, is_clean, read_epoch};
use super::manifest::{FileEntry, Manifest};
use super::{codec, own};
use crate::ids::{Epoch, WorkerId};
use crate::private;

/// A state directory, locked for this process.
pub struct CheckpointStore {
    root: PathBuf,
    _lock: File,
    /// Tells this run from those of other directories that began in the same millisecond.
    identity: String,
    /// Checksums of store files already read; they never change once written. Key: worker, name, size.
    checksums: HashMap<(String, u64), u32>,
    /// The last process stopped in order: sizes are enough.
    clean: bool,
    /// What was found at the start, and checked.
    found: Option<Disk>,
    /// Bytes read to check them.
    verified_bytes: u64,
}

/// Checkpoints kept: the newest, and one to fall back on.
const RETAINED: usize = 2;
const LOCK_STEP: Duration = Duration::from_millis(20);

impl CheckpointStore {
    /// Fails without having touched anything if the folder is not empty and is not a state directory.
    pub fn open(root: &Path) -> Result<CheckpointStore, StoreError> {
        own::examine(root)?;
        private::create_folder(root).map_err(at(root))?;
        let lock = lock(root)?;
        let identity = own::mark(root)?;
        for name in ["checkpoints", "live"] {
            private::create_folder(&root.join(name)).map_err(at(root))?;
        }
        for name in ["checkpoints", "live", "tables", "errors"] {
            if let Err(e) = private::close_off(&root.join(name)) {
                tracing::warn!("{} can be read by others: {e}", root.join(name).display());
            }
        }
        let clean = is_clean(root);
        let (checksums, found) = (HashMap::new(), None);
        Ok(CheckpointStore { root: root.to_path_buf(), _lock: lock, identity, checksums, clean, found, verified_bytes: 0 })
    }

    /// A run's name in the names of files: that of its start, ms since the epoch, and what tells it from others of the same time.
    pub fn run_name(&self, run_ms: i64) -> String {
        if self.identity.is_empty() { format!("{run_ms:x}") } else { format!("{run_ms:x}-{}", self.identity) }
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    fn folder(&self, epoch: Epoch) -> PathBuf {
        self.checkpoints().join(own::folder_of(epoch))
    }

    /// The folder of a worker's live store.
    pub fn live(&self, worker: WorkerId) -> PathBuf {
        self.root.join("live").join(format!("worker-{worker}"))
    }

    /// A worker's part of a checkpoint.
    pub fn worker_part(&self, epoch: Epoch, worker: WorkerId) -> PathBuf {
        self.folder(epoch).join(format!("worker-{worker}"))
    }

    /// Drops everything that earlier runs left here. What is not ours stays.
    pub fn clear(&mut self) -> Result<(), StoreError> {
        for epoch in epochs(&self.root)? {
            own::remove_checkpoint(&self.folder(epoch))?;
        }
        own::remove_workers(&self.root.join("live"))?;
        own::remove_tables(&self.root.join("tables"))?;
        for name in ["publishing", "published"] {
            own::remove_file(&self.root.join(name))?;
        }
        self.identity = own::mark_anew(&self.root)?;
        self.found = None;
        Ok(())
    }

    /// What is there, from the newest checkpoint to the first that can be used: manifests checked by their checksum, files by
    /// size and, after an unclean stop, content. Read at the first call; later calls give the same.
    pub fn read(&mut self) -> Result<Disk, StoreError> {
        if let Some(found) = &self.found {
            return Ok(found.clone());
        }
        let mut disk = Disk::default();
        for epoch in epochs(&self.root)?.into_iter().rev() {
            let found = find(&self.root, epoch, self.clean, &mut self.verified_bytes)?;
            let usable = found.as_ref().is_some_and(|f| f.manifest.is_ok());
            disk.checkpoints.extend(found);
            if usable {
                break;
            }
        }
        disk.publishing = read_epoch(&self.root, "publishing")?;
        disk.published = read_epoch(&self.root, "published")?;
        if self.verified_bytes > 0 {
            tracing::debug!(bytes = self.verified_bytes, "checked after an unclean stop");
        }
        self.found = Some(disk.clone());
        Ok(disk)
    }

    /// Makes the folder that workers put their parts into.
    pub fn begin(&self, epoch: Epoch) -> Result<(), StoreError> {
        let folder = self.folder(epoch);
        own::remove_checkpoint(&folder)?;
        private::create_folder(&folder).map_err(at(&folder))?;
        match own::left_of_workers(&folder)? {
            Some(path) => Err(StoreError::InTheWay { path: path.display().to_string() }),
            None => Ok(()),
        }
    }

    /// Publishes a checkpoint whose worker parts are complete. Lists their files in the manifest first.
    pub fn publish(&mut self, mut manifest: Manifest) -> Result<Manifest, StoreError> {
        let folder = self.folder(manifest.epoch);
        private::create_folder(&folder).map_err(at(&folder))?;
        manifest.files = Vec::new();
        for worker in WorkerId::all(manifest.workers) {
            let part = folder.join(format!("worker-{worker}"));
            if !part.exists() {
                continue;
            }
            for entry in fs::read_dir(&part).map_err(at(&part))? {
                let path = entry.map_err(at(&part))?.path();
                manifest.files.push(self.entry(&folder, &path)?);
            }
            sync_folder(&part)?;
        }
        manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
        write_durably(&folder.join("manifest"), &codec::encode(&manifest))?;
        sync_folder(&self.checkpoints())?;
        Ok(manifest)
    }

    fn entry(&mut self, folder: &Path, path: &Path) -> Result<FileEntry, StoreError> {
        let size_bytes = fs::metadata(path).map_err(at(path))?.len();
        let relative = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        let is_table = path.extension().is_some_and(|e| e == "sst");
        let key = (relative.clone(), size_bytes);
        let crc32c = match self.checksums.get(&key).filter(|_| is_table) {
            Some(&crc) => crc,
            None => {
                let crc = checksum(path).map_err(at(path))?;
                if is_table {
                    self.checksums.insert(key, crc);
                } else {
                    // RocksDB syncs its tables; the small files beside them are ours to make durable.
                    File::open(path).and_then(|f| f.sync_all()).map_err(at(path))?;
                }
                crc
            }
        };
        Ok(FileEntry { path: relative, size_bytes, crc32c })
    }

    /// Notes, durably, that files of this epoch are about to get their final names.
    pub fn begin_publishing(&self, epoch: Epoch) -> Result<(), StoreError> {
        write_durably(&self.root.join("publishing"), epoch.to_string().as_bytes())
    }

    /// Notes, durably, that they have.
    pub fn end_publishing(&self, epoch: Epoch) -> Result<(), StoreError> {
        write_durably(&self.root.join("published"), epoch.to_string().as_bytes())
    }

    /// Forgets all but the newest checkpoints, and parts that never became one.
    pub fn retain(&self, newest: Epoch) -> Result<(), StoreError> {
        let older = epochs(&self.root)?.into_iter().rev().filter(|epoch| *epoch <= newest);
        for epoch in older.skip(RETAINED) {
            own::remove_checkpoint(&self.folder(epoch))?;
        }
        Ok(())
    }

    /// Removes what a killed process left after `epoch`: parts without a manifest, damaged checkpoints.
    pub fn drop_after(&self, epoch: Option<Epoch>) -> Result<(), StoreError> {
        for number in epochs(&self.root)? {
            if epoch.is_none_or(|e| number > e) {
                own::remove_checkpoint(&self.folder(number))?;
            }
        }
        own::remove_workers(&self.root.join("live"))
    }

    /// Makes fresh hard links of a worker's part for a live store to be opened on.
    pub fn link_live(&self, epoch: Epoch, worker: WorkerId) -> Result<PathBuf, StoreError> {
        let to = self.live(worker);
        self.link_part(epoch, worker, &to)
    }

    /// The same into a folder of the caller's choice.
    pub fn link_part(&self, epoch: Epoch, worker: WorkerId, to: &Path) -> Result<PathBuf, StoreError> {
        let (from, to) = (self.worker_part(epoch, worker), to.to_path_buf());
        private::create_folder(&to).map_err(at(&to))?;
        if !from.exists() {
            return Ok(to);
        }
        for entry in fs::read_dir(&from).map_err(at(&from))? {
            let path = entry.map_err(at(&from))?.path();
            let target = to.join(path.file_name().unwrap_or_default());
            // Tables are immutable; RocksDB appends to or replaces the others, so they are copied.
            let linked = if path.extension().is_some_and(|e| e == "sst") {
                fs::hard_link(&path, &target)
            } else {
                fs::copy(&path, &target).map(|_| ())
            };
            linked.map_err(at(&target))?;
        }
        Ok(to)
    }

    /// Takes the mark of a stop in order away, before the first change.
    pub fn begin_work(&self) -> Result<(), StoreError> {
        own::remove_file(&self.root.join("clean"))?;
        sync_folder(&self.root)
    }

    /// Marks a stop in order: the next start need not read every file.
    pub fn mark_clean(&self) -> Result<(), StoreError> {
        write_durably(&self.root.join("clean"), b"")
    }
}

/// Takes the lock, which goes with the process.
fn lock(root: &Path) -> Result<File, StoreError> {
    let path = root.join("lock");
    let lock = private::file_options().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
    let mut waited = Duration::ZERO;
    while waited < LOCK_WAIT_MAX {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if waited.is_zero() => {
                let seconds = LOCK_WAIT_MAX.as_secs();
                tracing::info!("{} is in use by another process: waiting up to {seconds} s for it to end", root.display());
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(at(&path)(e)),
        }
        std::thread::sleep(LOCK_STEP);
        waited += LOCK_STEP;
    }
    Err(StoreError::Locked { path: root.display().to_string() })
}

#[cfg(test)]
mod tests;
