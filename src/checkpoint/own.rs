//! What in a state directory is ours?
//!
//! Called by `store` before it makes, uses or removes anything there. A state directory holds a
//! marker: a folder without one that is not empty is somebody else's and is not touched.
//! Directories of earlier versions have no marker; they are known by their manifests, and get one.
//! What always holds: only files are removed whose names and places are those that we or RocksDB
//! give; whatever else lies among them stays, and so does the folder it is in.

use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};

use super::codec;
use super::durable::{MARKER, StoreError, at, write_durably};
use crate::files::{Entry, Files};
use crate::ids::Epoch;

const FIRST_LINE: &str =
    "This folder holds the state of a Paceline job: paceline makes and removes files in it.";
/// Says which run of all runs on all machines: then follows what `identity` gives.
const RUN: &str = "run ";

/// Fails, without having touched anything, if the folder is somebody else's.
pub(crate) fn examine(files: &dyn Files, root: &Path) -> Result<(), StoreError> {
    let entries = match files.list(root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            return Err(StoreError::NoFolder { path: root.display().to_string() });
        }
        Err(e) => return Err(at(root)(e)),
    };
    if read_marker(files, root)?.is_some() || holds_manifest(files, root)? {
        return Ok(());
    }
    for entry in entries {
        if !is_nothing(files, &entry).map_err(at(&entry.path))? {
            let found = entry.name.to_string_lossy().into_owned();
            return Err(StoreError::NotOurs { path: root.display().to_string(), found });
        }
    }
    Ok(())
}

/// The marker's identity; None if there is no marker.
fn read_marker(files: &dyn Files, root: &Path) -> Result<Option<String>, StoreError> {
    let path = root.join(MARKER);
    let text = match files.read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(at(&path)(e)),
    };
    let mut lines = text.lines();
    if lines.next() != Some(FIRST_LINE) {
        return Ok(None);
    }
    Ok(Some(lines.find_map(|line| line.strip_prefix(RUN)).unwrap_or_default().to_string()))
}

/// True for the state directory of a version that made no markers.
fn holds_manifest(files: &dyn Files, root: &Path) -> Result<bool, StoreError> {
    let folder = root.join("checkpoints");
    let entries = match files.list(&folder) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        Err(e) => return Err(at(&folder)(e)),
    };
    let is_checkpoint = |entry: &Entry| {
        let manifest = entry.path.join("manifest");
        epoch_of(entry).is_some() && files.read(&manifest).is_ok_and(|b| codec::is_manifest(&b))
    };
    Ok(entries.iter().any(is_checkpoint))
}

/// True for what can be in a folder that is as good as empty: what a process leaves that is killed
/// in its first moments, and what a new file system has.
fn is_nothing(files: &dyn Files, entry: &Entry) -> io::Result<bool> {
    let (kind, path) = (entry.kind, &entry.path);
    Ok(match entry.name.to_str() {
        Some("lock") => kind.is_file() && files.symlink_metadata(path)?.size_bytes == 0,
        Some("checkpoints") => kind.is_folder() && files.list(path)?.is_empty(),
        Some("lost+found") => kind.is_folder(),
        Some(name) => kind.is_file() && name.strip_suffix(".tmp") == Some(MARKER),
        None => false,
    })
}

/// Marks a folder that was examined, if it has no marker, and says which run it is of: empty for
/// those of earlier versions. Only the holder of the lock may do so.
pub(crate) fn mark(files: &dyn Files, root: &Path) -> Result<String, StoreError> {
    match read_marker(files, root)? {
        Some(identity) => Ok(identity),
        None if holds_manifest(files, root)? => write_marker(files, root, ""),
        None => mark_anew(files, root),
    }
}

/// Marks a folder for a run of its own.
pub(crate) fn mark_anew(files: &dyn Files, root: &Path) -> Result<String, StoreError> {
    // The keys of a hasher come from the system's source of random bits. A run is told from others
    // that began in the same millisecond, wherever they write to: 32 bits are plenty.
    let random = std::hash::RandomState::new().hash_one(root) as u32;
    write_marker(files, root, &format!("{random:08x}"))
}

fn write_marker(files: &dyn Files, root: &Path, identity: &str) -> Result<String, StoreError> {
    let text = format!("{FIRST_LINE}\n{RUN}{identity}\n");
    write_durably(files, &root.join(MARKER), text.as_bytes())?;
    Ok(identity.to_string())
}

/// The epoch of a checkpoint's folder. A folder with another form of the number is not ours.
pub(crate) fn epoch_of(entry: &Entry) -> Option<Epoch> {
    let epoch = Epoch::new(entry.name.to_str()?.parse().ok()?);
    (entry.name == *folder_of(epoch) && entry.kind.is_folder()).then_some(epoch)
}

pub(crate) fn folder_of(epoch: Epoch) -> String {
    format!("{epoch:08}")
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

/// Where workers put their part of a checkpoint that is being made, a folder for each epoch.
pub(crate) const STAGING: &str = "staging";
/// The file in it that is written before it gets the name of an object.
pub(crate) const SCRATCH_FILE: &str = "object.tmp";

/// What a checkpoint has beside the stores of its workers. Earlier versions wrote the manifest
/// under the second name first.
pub(crate) fn is_of_a_checkpoint(name: &str) -> bool {
    matches!(name, "manifest" | "manifest.tmp")
}

/// A name that objects of checkpoints have: `EPOCH/manifest` or `EPOCH/worker-K/FILE`.
pub(crate) fn is_object(name: &str) -> bool {
    match name.split('/').collect::<Vec<_>>()[..] {
        [epoch, file] => is_digits(epoch) && is_of_a_checkpoint(file),
        [epoch, worker, file] => is_digits(epoch) && is_worker(worker) && is_store_file(file),
        _ => false,
    }
}

/// A table of RocksDB: written once, and synced by RocksDB. What else is in a store is replaced or
/// appended to.
pub(crate) fn is_table(name: &str) -> bool {
    name.ends_with(".sst")
}

/// `worker-K`, and what it is called until it is complete.
pub(crate) fn is_worker(name: &str) -> bool {
    name.strip_prefix("worker-").map(|n| n.strip_suffix(".tmp").unwrap_or(n)).is_some_and(is_digits)
}

/// A name that RocksDB gives to a file of a store.
pub(crate) fn is_store_file(name: &str) -> bool {
    match name.split_once(['.', '-']) {
        None => matches!(name, "CURRENT" | "IDENTITY" | "LOCK" | "LOG"),
        Some(("LOG", rest)) => rest.strip_prefix("old.").is_some_and(is_digits),
        Some(("MANIFEST", number)) => is_digits(number),
        Some(("OPTIONS", number)) => is_digits(number.strip_suffix(".dbtmp").unwrap_or(number)),
        Some((number, kind)) => {
            is_digits(number) && matches!(kind, "sst" | "log" | "blob" | "dbtmp")
        }
    }
}

/// What is in a folder, which may be missing, as far as its name is text.
pub fn entries(files: &dyn Files, folder: &Path) -> Result<Vec<(Entry, String)>, StoreError> {
    let entries = match files.list(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(e) => return Err(at(folder)(e)),
    };
    // A name that is no text is none that we gave. A link has its own kind, so nothing is followed
    // to elsewhere.
    let named = entries.into_iter().filter_map(|entry| {
        let name = entry.name.to_str()?.to_string();
        Some((entry, name))
    });
    Ok(named.collect())
}

/// Removes a file of ours; it may be gone.
pub fn remove_file(files: &dyn Files, path: &Path) -> Result<(), StoreError> {
    match files.remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at(path)(e)),
        _ => Ok(()),
    }
}

/// Removes a folder, unless something is left in it.
pub(crate) fn remove_emptied(files: &dyn Files, folder: &Path) -> Result<(), StoreError> {
    match files.remove_dir(folder) {
        Err(e)
            if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) =>
        {
            Err(at(folder)(e))
        }
        _ => Ok(()),
    }
}

/// Removes the files of a store, and its folder if that leaves it empty.
fn remove_store(files: &dyn Files, folder: &Path) -> Result<(), StoreError> {
    for (entry, name) in entries(files, folder)? {
        if entry.kind.is_file() && is_store_file(&name) {
            remove_file(files, &entry.path)?;
        }
    }
    remove_emptied(files, folder)
}

/// Removes the stores of workers: those in use, or those of a checkpoint. The folder stays.
pub(crate) fn remove_workers(files: &dyn Files, folder: &Path) -> Result<(), StoreError> {
    for (entry, name) in entries(files, folder)? {
        if entry.kind.is_folder() && is_worker(&name) {
            remove_store(files, &entry.path)?;
        }
    }
    Ok(())
}

/// What is still there in the places of workers' stores, once those were removed.
pub(crate) fn left_of_workers(
    files: &dyn Files,
    folder: &Path,
) -> Result<Option<PathBuf>, StoreError> {
    let mut entries = entries(files, folder)?.into_iter();
    Ok(entries.find(|(_, name)| is_worker(name)).map(|(entry, _)| entry.path))
}

/// Removes what workers put into the staging folder, and the folder if that leaves it empty.
pub(crate) fn remove_staged(files: &dyn Files, folder: &Path) -> Result<(), StoreError> {
    remove_file(files, &folder.join(SCRATCH_FILE))?;
    for (entry, _) in entries(files, folder)? {
        if epoch_of(&entry).is_some() {
            remove_workers(files, &entry.path)?;
            remove_emptied(files, &entry.path)?;
        }
    }
    remove_emptied(files, folder)
}

/// Removes embedded tables, each a store in a folder of its own. The folder stays.
pub(crate) fn remove_tables(files: &dyn Files, folder: &Path) -> Result<(), StoreError> {
    for (Entry { path, kind, .. }, _) in entries(files, folder)? {
        let has = |name: &str| files.is_file(&path.join(name));
        if kind.is_folder() && has("CURRENT") && has("IDENTITY") {
            remove_store(files, &path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_rocksdb_gives_and_others() {
        for name in [
            "CURRENT",
            "LOCK",
            "LOG",
            "LOG.old.17",
            "MANIFEST-000004",
            "OPTIONS-000007",
            "OPTIONS-000007.dbtmp",
            "000012.sst",
            "3.log",
        ] {
            assert!(is_store_file(name), "{name}");
        }
        for name in [
            "notes.txt",
            "LOG.txt",
            "MANIFEST",
            "MANIFEST-x",
            "x.sst",
            ".sst",
            "000012.sst.bak",
            "current",
            "12",
            "1.txt",
        ] {
            assert!(!is_store_file(name), "{name}");
        }
        assert!(is_worker("worker-0") && is_worker("worker-12.tmp"));
        assert!(!is_worker("worker-") && !is_worker("worker-a") && !is_worker("my-worker-1"));
        for name in
            ["00000007/manifest", "00000007/worker-1/CURRENT", "00000007/worker-1.tmp/000003.sst"]
        {
            assert!(is_object(name), "{name}");
        }
        for name in [
            "manifest",
            "x/manifest",
            "00000007/notes.txt",
            "00000007/worker-1",
            "00000007/worker-1/x/CURRENT",
            "../7/manifest",
        ] {
            assert!(!is_object(name), "{name}");
        }
    }
}
