//! What is on disk, and is it whole? Reads, and changes nothing.
//!
//! Called by `store` at a start and by `contents` for people, so that both judge by the same rules.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use super::codec;
use super::decide::Found;
use super::depot::Depot;
use super::durable::{StoreError, at};
use super::manifest::{FileEntry, Manifest};
use super::own;
use crate::files::Files;
use crate::ids::Epoch;

/// True if the last process stopped in order and none has begun to work since.
pub(crate) fn is_clean(files: &dyn Files, root: &Path) -> bool {
    files.exists(&root.join("clean"))
}

/// The epochs of which the depot has anything, ascending.
pub fn epochs(depot: &dyn Depot) -> Result<Vec<Epoch>, StoreError> {
    let mut epochs: Vec<Epoch> = depot
        .list("")?
        .iter()
        .filter_map(|o| o.name.split('/').next()?.parse().ok())
        .map(Epoch::new)
        .collect();
    epochs.sort_unstable();
    epochs.dedup();
    Ok(epochs)
}

/// The name of the object that makes a checkpoint one.
pub(crate) fn manifest_of(epoch: Epoch) -> String {
    format!("{}/manifest", own::folder_of(epoch))
}

/// A checkpoint as the depot has it: the manifest checked by its checksum, files by their size and,
/// if the last stop was not clean, their content, whose bytes are counted. None without a manifest.
pub fn find(
    depot: &dyn Depot,
    epoch: Epoch,
    clean: bool,
    verified_bytes: &mut u64,
) -> Result<Option<Found>, StoreError> {
    let name = manifest_of(epoch);
    let Some(mut reader) = depot.get(&name)? else { return Ok(None) };
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(at(Path::new(&name)))?;
    let folder = format!("{}/", own::folder_of(epoch));
    let sizes: HashMap<String, u64> =
        depot.list(&folder)?.into_iter().map(|o| (o.name, o.size_bytes)).collect();
    let verified = |manifest: Manifest| {
        for file in &manifest.files {
            verify(depot, &folder, &sizes, file, clean, verified_bytes)?;
        }
        Ok(manifest)
    };
    let manifest = codec::decode(&bytes).map_err(|e| format!("manifest: {e}")).and_then(verified);
    Ok(Some(Found { epoch, manifest }))
}

fn verify(
    depot: &dyn Depot,
    folder: &str,
    sizes: &HashMap<String, u64>,
    file: &FileEntry,
    clean: bool,
    verified_bytes: &mut u64,
) -> Result<(), String> {
    let name = format!("{folder}{}", file.path);
    let missing = || format!("{} is missing", file.path);
    let size = *sizes.get(&name).ok_or_else(missing)?;
    if size != file.size_bytes {
        return Err(format!("{} has {size} bytes instead of {}", file.path, file.size_bytes));
    }
    if clean {
        return Ok(());
    }
    *verified_bytes += size;
    let reader = depot.get(&name).map_err(|e| e.to_string())?.ok_or_else(missing)?;
    if checksum(reader).map_err(|e| format!("{}: {e}", file.path))? != file.crc32c {
        return Err(format!("{} has changed: its checksum does not match", file.path));
    }
    Ok(())
}

/// An epoch that was noted in a file of this name.
pub(crate) fn read_epoch(
    files: &dyn Files,
    root: &Path,
    name: &str,
) -> Result<Option<Epoch>, StoreError> {
    let path = root.join(name);
    let damaged = |reason| StoreError::Damaged { path: path.display().to_string(), reason };
    match files.read(&path) {
        Ok(bytes) => {
            let number = std::str::from_utf8(&bytes).ok().and_then(|t| t.trim().parse().ok());
            let number = number.ok_or_else(|| {
                damaged("this is no epoch number; use --fresh to start over".into())
            })?;
            Ok(Some(Epoch::new(number)))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        // It is no text.
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(damaged(e.to_string())),
        Err(e) => Err(at(&path)(e)),
    }
}

/// The file that has the number of the last run, which outlives the run's checkpoints.
pub(crate) const LAST_RUN: &str = "last-run";

/// The number of the last run that began here. None if there is none, or none that can be read: a
/// start that drops what is there has to be able to do so.
pub(crate) fn read_last_run(files: &dyn Files, root: &Path) -> Option<i64> {
    let bytes = files.read(&root.join(LAST_RUN)).ok()?;
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

/// CRC-32C of all that is read.
pub fn checksum(mut content: impl Read) -> io::Result<u32> {
    let mut buffer = vec![0; 256 << 10];
    let mut crc = 0;
    loop {
        let n = content.read(&mut buffer)?;
        if n == 0 {
            return Ok(crc);
        }
        crc = crc32c::crc32c_append(crc, &buffer[..n]);
    }
}
