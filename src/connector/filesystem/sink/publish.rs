//! How does a part get its name? Once, and also after a kill at any point of it.
//!
//! Called by the sink's `commit` and `recommit` with what writers staged. What always holds: a part
//! is renamed and never copied, so its rows are in the folder once; readers may take a file away as
//! soon as it has its name; a file under a part's name that is another one is never replaced.

use std::io::{self, ErrorKind};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::connector::filesystem::sink::{BUFFER_BYTES, Target};
use crate::files::Files;
use crate::sink::SinkError;
use crate::who::{Again, Who};

/// A finished part as the manifest holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StagedPart {
    pub part: String,
    pub name: String,
    pub length_bytes: u64,
    pub crc32c: u32,
}

/// What it means that a part is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It was never renamed: its rows are lost.
    Lost,
    /// It may have been renamed before a kill: then whoever reads the folder has it.
    Taken,
}

impl Target {
    /// Gives every part its name. `missing`: what it means that a part is neither staged nor there
    /// under its name.
    pub(super) fn publish_all(
        &self,
        staged: &[Vec<u8>],
        missing: Missing,
    ) -> Result<(), SinkError> {
        let mut any = false;
        for text in staged {
            let parts: Vec<StagedPart> = serde_json::from_slice(text).map_err(|e| {
                self.refused(
                    Who::Stored(Again::IsInVain),
                    format!("the list of parts in the checkpoint cannot be read: {e}"),
                )
            })?;
            for part in &parts {
                self.publish(part, missing)?;
                any = true;
            }
        }
        // The folder may have been taken away with all that was in it.
        if any && self.files.is_folder(&self.folder) { self.sync_folder() } else { Ok(()) }
    }

    /// Somebody has changed what is in the folder.
    fn changed(&self, reason: String) -> SinkError {
        self.refused(Who::Outside(Again::IsInVain), reason)
    }

    /// Gives a part its final name, unless an earlier attempt has done so.
    fn publish(&self, staged: &StagedPart, missing: Missing) -> Result<(), SinkError> {
        // Names come from our manifest; one that would leave the folder is damage.
        if [&staged.part, &staged.name]
            .iter()
            .any(|name| Path::new(name).file_name() != Some(name.as_ref()))
        {
            return Err(self.refused(
                Who::Stored(Again::IsInVain),
                format!("`{}` in the checkpoint is not a file name", staged.name),
            ));
        }
        let (part, name) = (self.folder.join(&staged.part), self.folder.join(&staged.name));
        // The final name first: a writer that was killed after an earlier resume may have left a
        // younger part under the same temporary name, and that one is not ours to publish.
        match self.files.metadata(&name) {
            Ok(found) => {
                let is_same_length = found.size_bytes == staged.length_bytes;
                let checksum = || checksum(self.files.as_ref(), &name);
                if is_same_length
                    && checksum().map_err(|e| self.failed("read", &name, &e))? == staged.crc32c
                {
                    return Ok(());
                }
                return Err(self.changed(format!(
                    "{} ({} bytes) is not the file of {} bytes that the checkpoint names: move it elsewhere and start again",
                    name.display(),
                    found.size_bytes,
                    staged.length_bytes
                )));
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(self.failed("look at", &name, &e)),
        }
        match self.files.metadata(&part) {
            Ok(found) => {
                if found.size_bytes != staged.length_bytes {
                    let (path, found, expected) =
                        (part.display(), found.size_bytes, staged.length_bytes);
                    return Err(self.changed(format!(
                        "{path} has {found} bytes, the checkpoint says {expected}"
                    )));
                }
                self.files.rename(&part, &name).map_err(|e| self.failed("rename", &part, &e))
            }
            Err(e) if e.kind() == ErrorKind::NotFound && missing == Missing::Taken => {
                tracing::warn!(
                    "table {}: {} ({} bytes) had its name, or was about to, when the job was killed, and is not in the folder any \
                     more; it counts as taken by a reader and is not written again",
                    self.table,
                    name.display(),
                    staged.length_bytes
                );
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Err(self.changed(format!(
                "a part named by the checkpoint is gone: neither {} nor {} exists",
                part.display(),
                name.display()
            ))),
            Err(e) => Err(self.failed("look at", &part, &e)),
        }
    }
}

fn checksum(files: &dyn Files, path: &Path) -> io::Result<u32> {
    let mut file = files.open(path)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut crc32c = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(crc32c),
            read => crc32c = crc32c::crc32c_append(crc32c, &buffer[..read]),
        }
    }
}
