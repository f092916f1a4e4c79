//! The checkpoints of a job and the state directory it runs in: begin, publish, keep the newest,
//! take one back.
//!
//! Where checkpoints are kept is a [`Depot`]; what only the process on this machine needs stands in
//! the state directory. What always holds: nothing is removed that `own` does not know as ours; a
//! checkpoint's files are read once after a start, however often it is asked what is there.
//!
//! ```text
//! STATE/paceline-state                says that the folder is ours; made first
//! STATE/lock                          held by the process that runs the job
//! STATE/publishing                    the epoch whose files are being given their final names, as decimal text
//! STATE/published                     the epoch whose files all have them
//! STATE/last-run                      the number of the newest run, as decimal text: --fresh leaves it
//! STATE/clean                         exists after a clean stop until a job begins its work: without it checksums are verified
//! STATE/live/worker-K/                the stores in use; never read after a crash
//! STATE/staging/EPOCH/worker-K/       hard links of a store's files, until the checkpoint is published
//! STATE/checkpoints/EPOCH/worker-K/   the same in the depot
//! STATE/checkpoints/EPOCH/manifest    exists last: then the checkpoint exists
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::decide::Disk;
use super::depot::{Content, Depot, Put};
use super::durable::{LOCK_WAIT_MAX, StoreError, at, sync_folder, write_durably};
use super::folder::Folder;
use super::found::{
    LAST_RUN, checksum, epochs, find, is_clean, manifest_of, read_epoch, read_last_run,
};
use super::manifest::{FileEntry, Manifest};
use super::{codec, own};
use crate::files::{Access, Files, Lock, on_disk};
use crate::ids::{Epoch, WorkerId};

/// A state directory, locked for this process.
pub struct CheckpointStore {
    files: Arc<dyn Files>,
    root: PathBuf,
    depot: Box<dyn Depot>,
    _lock: Lock,
    /// Tells this run from those of other directories that began in the same millisecond.
    identity: String,
    /// Checksums of store files already read; they never change once written. Key: worker, name,
    /// size.
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
    /// Fails without having touched anything if the folder is not empty and is not a state
    /// directory.
    pub fn open(root: &Path) -> Result<CheckpointStore, StoreError> {
        CheckpointStore::open_in(on_disk(), root)
    }

    /// The same where files are kept elsewhere.
    pub fn open_in(files: Arc<dyn Files>, root: &Path) -> Result<CheckpointStore, StoreError> {
        own::examine(files.as_ref(), root)?;
        files.create_folder_durably(root, Access::OwnerOnly).map_err(at(root))?;
        let lock = lock(files.as_ref(), root)?;
        let identity = own::mark(files.as_ref(), root)?;
        // The marker and the notes beside it may be those of a process that was killed before it had
        // made them durable, and this one acts on them.
        sync_folder(files.as_ref(), root)?;
        for name in ["checkpoints", "live"] {
            files.create_folder(&root.join(name), Access::OwnerOnly).map_err(at(root))?;
        }
        for name in ["checkpoints", "live", own::STAGING, "tables", "errors"] {
            if let Err(e) = files.close_off(&root.join(name)) {
                tracing::warn!("{} can be read by others: {e}", root.join(name).display());
            }
        }
        let clean = is_clean(files.as_ref(), root);
        let depot = Box::new(Folder::of_state(files.clone(), root));
        let (root, checksums) = (root.to_path_buf(), HashMap::new());
        Ok(CheckpointStore {
            files,
            root,
            depot,
            _lock: lock,
            identity,
            checksums,
            clean,
            found: None,
            verified_bytes: 0,
        })
    }

    /// A run's name in the names of files: that of its start, ms since the epoch, and what tells it
    /// from others of the same time.
    pub fn run_name(&self, run_ms: i64) -> String {
        if self.identity.is_empty() {
            format!("{run_ms:x}")
        } else {
            format!("{run_ms:x}-{}", self.identity)
        }
    }

    /// The number of the newest run that began here, as far as is known. No later one may have a
    /// lower one: what it writes would give way to what that one has written.
    /// `disk`: what is there, as far as it can be read.
    pub(crate) fn last_run(&self, disk: Option<&Disk>) -> Option<i64> {
        let in_manifests = disk.into_iter().flat_map(Disk::manifests).map(|m| m.run_ms);
        in_manifests.chain(read_last_run(&*self.files, &self.root)).max()
    }

    /// Notes, durably, that a run of this number begins.
    pub(crate) fn note_run(&self, run_ms: i64) -> Result<(), StoreError> {
        write_durably(&*self.files, &self.root.join(LAST_RUN), run_ms.to_string().as_bytes())
    }

    /// Where workers put their parts of a checkpoint that is being made: this folder / epoch /
    /// `worker-K`.
    pub(crate) fn staging(&self) -> PathBuf {
        self.root.join(own::STAGING)
    }

    /// The folder of a worker's live store.
    pub fn live(&self, worker: WorkerId) -> PathBuf {
        self.root.join("live").join(format!("worker-{worker}"))
    }

    /// Drops everything that earlier runs left here but the number of the last one. What is not ours
    /// stays.
    pub fn clear(&mut self) -> Result<(), StoreError> {
        for epoch in epochs(self.depot.as_ref())? {
            self.remove(epoch)?;
        }
        own::remove_staged(self.files.as_ref(), &self.staging())?;
        own::remove_workers(self.files.as_ref(), &self.root.join("live"))?;
        own::remove_tables(self.files.as_ref(), &self.root.join("tables"))?;
        for name in ["publishing", "published"] {
            own::remove_file(self.files.as_ref(), &self.root.join(name))?;
        }
        self.identity = own::mark_anew(self.files.as_ref(), &self.root)?;
        self.found = None;
        Ok(())
    }

    /// What is there, from the newest checkpoint to the first that can be used: manifests checked
    /// by their checksum, files by size and, after an unclean stop, content. Read at the first
    /// call; later calls give the same. All of it is durable on return: a process that was killed
    /// may have written what it did not come to make so, and whoever reads it acts on it.
    pub fn read(&mut self) -> Result<Disk, StoreError> {
        if let Some(found) = &self.found {
            return Ok(found.clone());
        }
        let mut disk = Disk::default();
        for epoch in epochs(self.depot.as_ref())?.into_iter().rev() {
            let found = find(self.depot.as_ref(), epoch, self.clean, &mut self.verified_bytes)?;
            let usable = found.as_ref().is_some_and(|f| f.manifest.is_ok());
            disk.checkpoints.extend(found);
            if usable {
                self.depot.make_durable(&manifest_of(epoch))?;
                break;
            }
        }
        disk.publishing = read_epoch(self.files.as_ref(), &self.root, "publishing")?;
        disk.published = read_epoch(self.files.as_ref(), &self.root, "published")?;
        if self.verified_bytes > 0 {
            tracing::debug!(bytes = self.verified_bytes, "checked after an unclean stop");
        }
        self.found = Some(disk.clone());
        Ok(disk)
    }

    /// Makes the folder that workers put their parts into.
    pub(crate) fn begin(&self, epoch: Epoch) -> Result<(), StoreError> {
        self.remove(epoch)?;
        let staging = self.staging();
        own::remove_staged(self.files.as_ref(), &staging)?;
        let folder = staging.join(own::folder_of(epoch));
        self.files.create_folder(&folder, Access::OwnerOnly).map_err(at(&folder))?;
        match own::left_of_workers(self.files.as_ref(), &folder)? {
            Some(path) => Err(StoreError::InTheWay { path: path.display().to_string() }),
            None => Ok(()),
        }
    }

    /// Publishes a checkpoint whose worker parts are complete. Lists their files in the manifest
    /// first.
    pub(crate) fn publish(&mut self, mut manifest: Manifest) -> Result<Manifest, StoreError> {
        let folder = self.staging().join(own::folder_of(manifest.epoch));
        manifest.files = Vec::new();
        let mut paths = Vec::new();
        for worker in WorkerId::all(manifest.workers) {
            let part = folder.join(format!("worker-{worker}"));
            for (entry, _) in own::entries(self.files.as_ref(), &part)? {
                manifest.files.push(self.entry(&folder, &entry.path)?);
                paths.push(entry.path);
            }
        }
        let objects = manifest.files.iter().zip(&paths).map(|(file, path)| {
            let name = format!("{}/{}", own::folder_of(manifest.epoch), file.path);
            // RocksDB syncs its tables; the small files beside them are ours to make durable.
            (
                name,
                if own::is_table(&file.path) {
                    Content::Synced(path)
                } else {
                    Content::Unsynced(path)
                },
            )
        });
        self.put(&objects.collect::<Vec<_>>())?;
        manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
        self.put(&[(manifest_of(manifest.epoch), Content::Bytes(&codec::encode(&manifest)))])?;
        own::remove_staged(self.files.as_ref(), &self.staging())?;
        Ok(manifest)
    }

    /// Nobody else puts what this run puts: a name that is taken is somebody else's file.
    fn put(&self, objects: &[(String, Content<'_>)]) -> Result<(), StoreError> {
        match self.depot.put_if_absent(objects)? {
            Put::Done => Ok(()),
            Put::Taken(name) => Err(StoreError::InTheWay {
                path: self.root.join("checkpoints").join(name).display().to_string(),
            }),
        }
    }

    /// Removes a checkpoint. Its manifest goes first: what is left after a kill is no checkpoint.
    fn remove(&self, epoch: Epoch) -> Result<(), StoreError> {
        let folder = format!("{}/", own::folder_of(epoch));
        let (first, rest): (Vec<String>, Vec<String>) = self
            .depot
            .list(&folder)?
            .into_iter()
            .map(|o| o.name)
            .partition(|name| *name == manifest_of(epoch));
        self.depot.delete(&first)?;
        self.depot.delete(&rest)
    }

    fn entry(&mut self, folder: &Path, path: &Path) -> Result<FileEntry, StoreError> {
        let size_bytes = self.files.metadata(path).map_err(at(path))?.size_bytes;
        let relative = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        let key = (relative.clone(), size_bytes);
        let crc32c = match self.checksums.get(&key).filter(|_| own::is_table(&relative)) {
            Some(&crc) => crc,
            None => {
                let crc = self.files.open(path).and_then(checksum).map_err(at(path))?;
                if own::is_table(&relative) {
                    self.checksums.insert(key, crc);
                }
                crc
            }
        };
        Ok(FileEntry { path: relative, size_bytes, crc32c })
    }

    /// Notes, durably, that files of this epoch are about to get their final names.
    pub(crate) fn begin_publishing(&self, epoch: Epoch) -> Result<(), StoreError> {
        self.note("publishing", epoch.to_string().as_bytes())
    }

    /// Notes, durably, that they have.
    pub(crate) fn end_publishing(&self, epoch: Epoch) -> Result<(), StoreError> {
        self.note("published", epoch.to_string().as_bytes())
    }

    /// Forgets all but the newest checkpoints, and parts that never became one.
    pub fn retain(&self, newest: Epoch) -> Result<(), StoreError> {
        let older = epochs(self.depot.as_ref())?.into_iter().rev().filter(|epoch| *epoch <= newest);
        for epoch in older.skip(RETAINED) {
            self.remove(epoch)?;
        }
        Ok(())
    }

    /// Removes what a killed process left after `epoch`: parts without a manifest, damaged
    /// checkpoints.
    pub(crate) fn drop_after(&self, epoch: Option<Epoch>) -> Result<(), StoreError> {
        for number in epochs(self.depot.as_ref())? {
            if epoch.is_none_or(|e| number > e) {
                self.remove(number)?;
            }
        }
        own::remove_staged(self.files.as_ref(), &self.staging())?;
        own::remove_workers(self.files.as_ref(), &self.root.join("live"))
    }

    /// Makes the folder in which a worker's live store begins without anything.
    pub(crate) fn empty_live(&self, worker: WorkerId) -> Result<PathBuf, StoreError> {
        let folder = self.live(worker);
        self.files.create_folder(&folder, Access::OwnerOnly).map_err(at(&folder))?;
        Ok(folder)
    }

    /// Takes a worker's part of a checkpoint to where its live store is opened.
    pub(crate) fn fetch_live(
        &self,
        manifest: &Manifest,
        worker: WorkerId,
    ) -> Result<PathBuf, StoreError> {
        let to = self.live(worker);
        self.fetch_part(manifest, worker, &to)?;
        Ok(to)
    }

    /// The same into a folder of the caller's choice. Returns false if that worker had no store.
    pub(crate) fn fetch_part(
        &self,
        manifest: &Manifest,
        worker: WorkerId,
        to: &Path,
    ) -> Result<bool, StoreError> {
        self.files.create_folder(to, Access::OwnerOnly).map_err(at(to))?;
        let folder = format!("worker-{worker}/");
        let mut found = false;
        for file in &manifest.files {
            if let Some(name) = file.path.strip_prefix(&folder) {
                self.depot.fetch(
                    &format!("{}/{}", own::folder_of(manifest.epoch), file.path),
                    &to.join(name),
                )?;
                found = true;
            }
        }
        Ok(found)
    }

    /// Takes the mark of a stop in order away, before the first change.
    pub(crate) fn begin_work(&self) -> Result<(), StoreError> {
        own::remove_file(self.files.as_ref(), &self.root.join("clean"))?;
        sync_folder(self.files.as_ref(), &self.root)
    }

    /// Marks a stop in order: the next start need not read every file.
    pub(crate) fn mark_clean(&self) -> Result<(), StoreError> {
        self.note("clean", b"")
    }

    fn note(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        write_durably(self.files.as_ref(), &self.root.join(name), bytes)
    }
}

/// Takes the lock, which goes with the process.
fn lock(files: &dyn Files, root: &Path) -> Result<Lock, StoreError> {
    let path = root.join("lock");
    let mut waited = Duration::ZERO;
    while waited < LOCK_WAIT_MAX {
        if let Some(lock) = files.try_lock(&path).map_err(at(&path))? {
            return Ok(lock);
        }
        if waited.is_zero() {
            let seconds = LOCK_WAIT_MAX.as_secs();
            tracing::info!(
                "{} is in use by another process: waiting up to {seconds} s for it to end",
                root.display()
            );
        }
        std::thread::sleep(LOCK_STEP);
        waited += LOCK_STEP;
    }
    Err(StoreError::Locked { path: root.display().to_string() })
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;
