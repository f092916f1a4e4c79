//! Checkpoints on disk: folders, hard links, fsync and rename.
//!
//! ```text
//! STATE/lock                          held by the process that runs the job
//! STATE/publishing                    the epoch whose files are being given their final names, as decimal text
//! STATE/published                     the epoch whose files all have them
//! STATE/clean                         exists after a clean stop; removed at start: without it checksums are verified
//! STATE/live/worker-K/                the stores in use; never read after a crash
//! STATE/checkpoints/EPOCH/manifest    exists last: then the checkpoint exists
//! STATE/checkpoints/EPOCH/worker-K/   hard links of the store's files
//! ```

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::codec;
use super::decide::{Disk, Found};
use super::manifest::{FileEntry, Manifest};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
    #[error("state directory {path} is in use by another process")]
    Locked { path: String },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.display().to_string();
    move |source| StoreError::Io { path, source }
}

/// A state directory, locked for this process.
pub struct CheckpointStore {
    root: PathBuf,
    _lock: File,
    /// Checksums of store files already read; they never change once written. Key: worker, name, size.
    checksums: HashMap<(String, u64), u32>,
    /// The last process stopped in order: sizes are enough.
    clean: bool,
}

/// Checkpoints kept: the newest, and one to fall back on.
const RETAINED: usize = 2;

impl CheckpointStore {
    pub fn open(root: &Path) -> Result<CheckpointStore, StoreError> {
        fs::create_dir_all(root.join("checkpoints")).map_err(at(root))?;
        let path = root.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: root.display().to_string() }),
            Err(TryLockError::Error(e)) => return Err(at(&path)(e)),
        }
        let clean = fs::remove_file(root.join("clean")).is_ok();
        Ok(CheckpointStore { root: root.to_path_buf(), _lock: lock, checksums: HashMap::new(), clean })
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    fn folder(&self, epoch: u64) -> PathBuf {
        self.checkpoints().join(format!("{epoch:08}"))
    }

    /// The folder of a worker's live store.
    pub fn live(&self, worker: usize) -> PathBuf {
        self.root.join("live").join(format!("worker-{worker}"))
    }

    /// A worker's part of a checkpoint.
    pub fn worker_part(&self, epoch: u64, worker: usize) -> PathBuf {
        self.folder(epoch).join(format!("worker-{worker}"))
    }

    /// Drops everything that earlier runs left here.
    pub fn clear(&mut self) -> Result<(), StoreError> {
        for folder in ["checkpoints", "live", "tables"] {
            remove_all(&self.root.join(folder))?;
        }
        remove_all(&self.root.join("publishing"))?;
        remove_all(&self.root.join("published"))?;
        fs::create_dir_all(self.checkpoints()).map_err(at(&self.root))
    }

    /// Reads what is there, and checks it: manifests by their checksum, files by size and, after an unclean stop, content.
    pub fn read(&mut self) -> Result<Disk, StoreError> {
        let mut disk = Disk::default();
        let folder = self.checkpoints();
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let entry = entry.map_err(at(&folder))?;
            let path = entry.path().join("manifest");
            let Some(epoch) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(at(&path)(e)),
            };
            let manifest =
                codec::decode(&bytes).map_err(|e| format!("manifest: {e}")).and_then(|m| self.verify(&entry.path(), m));
            disk.checkpoints.push(Found { epoch, manifest });
        }
        disk.publishing = self.read_epoch("publishing")?;
        disk.published = self.read_epoch("published")?;
        Ok(disk)
    }

    fn verify(&self, folder: &Path, manifest: Manifest) -> Result<Manifest, String> {
        for file in &manifest.files {
            let path = folder.join(&file.path);
            let size = fs::metadata(&path).map_err(|e| format!("{}: {e}", file.path))?.len();
            if size != file.size_bytes {
                return Err(format!("{} has {size} bytes instead of {}", file.path, file.size_bytes));
            }
            if !self.clean && checksum(&path).map_err(|e| format!("{}: {e}", file.path))? != file.crc32c {
                return Err(format!("{} has changed: its checksum does not match", file.path));
            }
        }
        Ok(manifest)
    }

    /// Makes the empty folder that workers put their parts into.
    pub fn begin(&self, epoch: u64) -> Result<(), StoreError> {
        let folder = self.folder(epoch);
        remove_all(&folder)?;
        fs::create_dir_all(&folder).map_err(at(&folder))
    }

    /// Publishes a checkpoint whose worker parts are complete. Lists their files in the manifest first.
    pub fn publish(&mut self, mut manifest: Manifest) -> Result<Manifest, StoreError> {
        let folder = self.folder(manifest.epoch);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        manifest.files = Vec::new();
        for worker in 0..manifest.workers {
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
    pub fn begin_publishing(&self, epoch: u64) -> Result<(), StoreError> {
        write_durably(&self.root.join("publishing"), epoch.to_string().as_bytes())
    }

    /// Notes, durably, that they have.
    pub fn end_publishing(&self, epoch: u64) -> Result<(), StoreError> {
        write_durably(&self.root.join("published"), epoch.to_string().as_bytes())
    }

    fn read_epoch(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let path = self.root.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let reason = || io::Error::new(io::ErrorKind::InvalidData, "this is no epoch number; use --fresh to start over");
                text.trim().parse().map(Some).map_err(|_| at(&path)(reason()))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(at(&path)(e)),
        }
    }

    /// Forgets all but the newest checkpoints, and parts that never became one.
    pub fn retain(&self, newest: u64) -> Result<(), StoreError> {
        let folder = self.checkpoints();
        let mut epochs: Vec<u64> = Vec::new();
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let name = entry.map_err(at(&folder))?.file_name();
            epochs.extend(name.to_str().and_then(|n| n.parse::<u64>().ok()));
        }
        epochs.retain(|e| *e <= newest);
        epochs.sort_unstable_by_key(|e| std::cmp::Reverse(*e));
        for epoch in epochs.into_iter().skip(RETAINED) {
            remove_all(&self.folder(epoch))?;
        }
        Ok(())
    }

    /// Removes what a killed process left after `epoch`: parts without a manifest, damaged checkpoints.
    pub fn drop_after(&self, epoch: Option<u64>) -> Result<(), StoreError> {
        let folder = self.checkpoints();
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let entry = entry.map_err(at(&folder))?;
            let number = entry.file_name().to_str().and_then(|n| n.parse::<u64>().ok());
            if number.is_none_or(|n| epoch.is_none_or(|e| n > e)) {
                remove_all(&entry.path())?;
            }
        }
        remove_all(&self.root.join("live"))
    }

    /// Makes fresh hard links of a worker's part for a live store to be opened on.
    pub fn link_live(&self, epoch: u64, worker: usize) -> Result<PathBuf, StoreError> {
        let to = self.live(worker);
        self.link_part(epoch, worker, &to)
    }

    /// The same into a folder of the caller's choice.
    pub fn link_part(&self, epoch: u64, worker: usize, to: &Path) -> Result<PathBuf, StoreError> {
        let (from, to) = (self.worker_part(epoch, worker), to.to_path_buf());
        fs::create_dir_all(&to).map_err(at(&to))?;
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

    /// Marks a stop in order: the next start need not read every file.
    pub fn mark_clean(&self) -> Result<(), StoreError> {
        write_durably(&self.root.join("clean"), b"")
    }
}

fn checksum(path: &Path) -> io::Result<u32> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 << 10];
    let mut crc = 0;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(crc);
        }
        crc = crc32c::crc32c_append(crc, &buffer[..n]);
    }
}

fn remove_all(path: &Path) -> Result<(), StoreError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at(path)(e)),
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|f| f.sync_all()).map_err(at(path))
}

/// Temporary name, fsync, rename, fsync of the folder: afterwards the file is there whole, or not at all.
fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = path.with_extension("tmp");
    let write = || {
        let mut file = File::create(&temporary)?;
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(at(path))?;
    path.parent().map_or(Ok(()), sync_folder)
}
