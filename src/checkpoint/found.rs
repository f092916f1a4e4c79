//! What is on disk, and is it whole? Reads, and changes nothing.
//!
//! Called by `store` at a start and by `contents` for people, so that both judge by the same rules.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::codec;
use super::decide::Found;
use super::durable::{StoreError, at};
use super::manifest::{FileEntry, Manifest};
use super::own;
use crate::ids::Epoch;

/// True if the last process stopped in order and none has begun to work since.
pub fn is_clean(root: &Path) -> bool {
    root.join("clean").exists()
}

/// Numbers of the folders that can be checkpoints, ascending.
pub fn epochs(root: &Path) -> Result<Vec<Epoch>, StoreError> {
    let folder = root.join("checkpoints");
    let mut epochs = Vec::new();
    for (entry, ..) in own::entries(&folder)? {
        epochs.extend(own::epoch_of(&entry));
    }
    epochs.sort_unstable();
    Ok(epochs)
}

/// A checkpoint as it is on disk: the manifest checked by its checksum, files by their size and, if the last stop was not
/// clean, their content, whose bytes are counted. None without a manifest.
pub fn find(root: &Path, epoch: Epoch, clean: bool, verified_bytes: &mut u64) -> Result<Option<Found>, StoreError> {
    let folder = root.join("checkpoints").join(own::folder_of(epoch));
    let path = folder.join("manifest");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(at(&path)(e)),
    };
    let verified = |manifest: Manifest| {
        for file in &manifest.files {
            verify(&folder, file, clean, verified_bytes)?;
        }
        Ok(manifest)
    };
    let manifest = codec::decode(&bytes).map_err(|e| format!("manifest: {e}")).and_then(verified);
    Ok(Some(Found { epoch, manifest }))
}

fn verify(folder: &Path, file: &FileEntry, clean: bool, verified_bytes: &mut u64) -> Result<(), String> {
    let path = folder.join(&file.path);
    let size = fs::metadata(&path).map_err(|e| format!("{}: {e}", file.path))?.len();
    if size != file.size_bytes {
        return Err(format!("{} has {size} bytes instead of {}", file.path, file.size_bytes));
    }
    if clean {
        return Ok(());
    }
    *verified_bytes += size;
    if checksum(&path).map_err(|e| format!("{}: {e}", file.path))? != file.crc32c {
        return Err(format!("{} has changed: its checksum does not match", file.path));
    }
    Ok(())
}

/// An epoch that was noted in a file of this name.
pub fn read_epoch(root: &Path, name: &str) -> Result<Option<Epoch>, StoreError> {
    let path = root.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let reason = || io::Error::new(io::ErrorKind::InvalidData, "this is no epoch number; use --fresh to start over");
            text.trim().parse().map(|number| Some(Epoch::new(number))).map_err(|_| at(&path)(reason()))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(at(&path)(e)),
    }
}

/// CRC-32C of a file's content.
pub fn checksum(path: &Path) -> io::Result<u32> {
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
