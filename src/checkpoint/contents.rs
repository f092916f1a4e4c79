//! What does a state directory hold, for somebody who only looks?
//!
//! Called by `paceline checkpoints`. What always holds: nothing is made, changed, removed or
//! locked, so a job may run meanwhile; what it removes while it is looked at counts as not there.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::decide::Disk;
use super::depot::Depot;
use super::durable::{MARKER, StoreError, at};
use super::folder::Folder;
use super::found;
use super::own;
use crate::files::{Entry, Files};

/// All that is in a state directory.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Every checkpoint that has a manifest, from the newest on, each checked as a start would
    /// check it.
    pub disk: Disk,
    /// When each was published, in the same order.
    pub times: Vec<SystemTime>,
    /// What there is besides, by name.
    pub others: Vec<Other>,
}

/// A file or folder that is no checkpoint.
#[derive(Debug)]
pub(crate) struct Other {
    /// Its path in the state directory.
    pub name: String,
    /// Of all files in it. What a link leads to is not counted.
    pub bytes: u64,
    pub what: &'static str,
}

const IN_PARTS: &str = "a checkpoint without a manifest: being made, or left by a kill";
const FOREIGN: &str = "not Paceline's";

/// Looks at everything. A folder that is missing or somebody else's is a mistake of whoever asks.
pub(crate) fn look(files: Arc<dyn Files>, root: &Path) -> Result<Contents, StoreError> {
    own::examine(files.as_ref(), root)?;
    if !files.is_folder(root) {
        return Err(StoreError::Missing { path: root.display().to_string() });
    }
    let mut contents = Contents { disk: Disk::default(), times: vec![], others: vec![] };
    let mut clean = found::is_clean(files.as_ref(), root);
    while !contents.add_checkpoints(&files, root, clean)? {
        // A job is at work there and replaces its checkpoints. The next look is quick enough to see
        // the newest.
        clean = true;
        contents = Contents { disk: Disk::default(), times: vec![], others: vec![] };
    }
    contents.add_others(files.as_ref(), root)?;
    contents.others.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(contents)
}

impl Contents {
    /// Returns false if one was removed meanwhile.
    fn add_checkpoints(
        &mut self,
        files: &Arc<dyn Files>,
        root: &Path,
        clean: bool,
    ) -> Result<bool, StoreError> {
        // First: checkpoints that are newer than these may be found, but none that they name is
        // missed.
        self.disk.publishing = found::read_epoch(files.as_ref(), root, "publishing")?;
        self.disk.published = found::read_epoch(files.as_ref(), root, "published")?;
        let depot = Folder::of_state(files.clone(), root);
        for epoch in found::epochs(&depot)?.into_iter().rev() {
            let Some(found) = found::find(&depot, epoch, clean, &mut 0)? else {
                let name = format!("checkpoints/{}", own::folder_of(epoch));
                self.add(files.as_ref(), &root.join(&name), name, IN_PARTS)?;
                continue;
            };
            // A manifest is removed before what it names: if it is still there, its files were not
            // missed for being removed.
            match depot.list(&found::manifest_of(epoch))?.first() {
                Some(manifest) => self.times.push(manifest.put_at),
                None => return Ok(false),
            }
            self.disk.checkpoints.push(found);
        }
        Ok(true)
    }

    fn add_others(&mut self, files: &dyn Files, root: &Path) -> Result<(), StoreError> {
        for (Entry { path, kind, .. }, name) in own::entries(files, root)? {
            let what = match name.as_str() {
                MARKER
                | "lock"
                | "publishing"
                | "published"
                | found::LAST_RUN
                | "clean"
                | "checkpoints"
                | "lost+found" => continue,
                "live" if kind.is_folder() => "stores in use; never read after a crash",
                own::STAGING if kind.is_folder() => {
                    "of a checkpoint that is being made, or left by a kill"
                }
                "tables" if kind.is_folder() => "embedded tables",
                "errors" if kind.is_folder() => "records and rows that could not be used",
                _ => FOREIGN,
            };
            self.add(files, &path, name, what)?;
        }
        for (entry, name) in own::entries(files, &root.join("checkpoints"))? {
            if own::epoch_of(&entry).is_none() {
                self.add(files, &entry.path, format!("checkpoints/{name}"), FOREIGN)?;
            }
        }
        Ok(())
    }

    /// Notes something, unless it is gone or a folder of ours in which there is nothing.
    fn add(
        &mut self,
        files: &dyn Files,
        path: &Path,
        name: String,
        what: &'static str,
    ) -> Result<(), StoreError> {
        if let Some(bytes) = size(files, path)?.filter(|bytes| *bytes > 0 || what == FOREIGN) {
            self.others.push(Other { name, bytes, what });
        }
        Ok(())
    }
}

/// The bytes of a file, or of all files below a folder; None if it is gone.
fn size(files: &dyn Files, path: &Path) -> Result<Option<u64>, StoreError> {
    let found = match files.symlink_metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(at(path)(e)),
    };
    if !found.kind.is_folder() {
        return Ok(Some(found.size_bytes));
    }
    let mut bytes = 0;
    for (entry, _) in own::entries(files, path)? {
        bytes += size(files, &entry.path)?.unwrap_or(0);
    }
    Ok(Some(bytes))
}
