//! Where are files kept, and what may be done with them?
//!
//! Used by `checkpoint`, by the sink that writes files, and by the stores of tests, so that all
//! that a job must find again after a crash goes through one door: [`Files`]. [`disk`] is the
//! system's; a test may have a tree in memory that says which bytes and names a crash leaves. A
//! job's sources, the SQL file and RocksDB read and write their files themselves. What always
//! holds: nothing here caches, retries or syncs by itself; what is made for its owner only is made
//! so, never made first and closed off later.

pub mod disk;
pub(crate) mod handles;
#[cfg(test)]
pub(crate) mod memory;

use std::any::Any;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use disk::on_disk;

/// A tree of files and folders. Errors are those of the system, without the path.
pub trait Files: Send + Sync {
    /// Opens a file to be read from its start.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>>;

    /// Opens a file to be written from its start.
    fn create(
        &self,
        path: &Path,
        existing: Existing,
        access: Access,
    ) -> io::Result<Box<dyn FileWriter>>;

    /// Makes a file's bytes durable that somebody has written: not its name.
    fn sync_file(&self, path: &Path) -> io::Result<()>;

    /// Moves a file to another name, in the place of the file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, which must be free.
    fn hard_link(&self, file: &Path, name: &Path) -> io::Result<()>;

    /// Makes a file with the same bytes, which nothing makes durable.
    fn copy(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder in which there is nothing.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes one folder, whose parent is there.
    fn create_dir(&self, path: &Path, access: Access) -> io::Result<()>;

    /// What is in a folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>>;

    /// What is at a path; a link is followed.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// The same; a link is what it is.
    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// Makes durable which names a folder has, and what each leads to.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Closes a folder off that was left open to others. A link to a folder elsewhere is left as it
    /// is, and a folder that is missing is none to close.
    fn close_off(&self, folder: &Path) -> io::Result<()>;

    /// Locks a file, which is made if need be, until what is returned is dropped or the process
    /// ends. None if another has locked it.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Lock>>;
}

/// A lock that is held.
pub type Lock = Box<dyn Any + Send>;

/// A file that is being written.
pub trait FileWriter: Write + Send {
    /// Makes the bytes written so far durable: not the file's name.
    fn sync(&mut self) -> io::Result<()>;
}

/// What becomes of a file that is written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It loses its bytes and gets new ones.
    IsOverwritten,
    /// It stays, and opening fails.
    IsKept,
}

/// Who may read what is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Records as they came in, whatever is in them, are nobody else's. Where there are no such
    /// modes (not Unix), this is as usual.
    OwnerOnly,
    /// Whoever the system lets.
    AsUsual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    /// A link that was not followed, and what else a system has.
    Other,
}

impl Kind {
    pub fn is_file(self) -> bool {
        self == Kind::File
    }

    pub fn is_folder(self) -> bool {
        self == Kind::Folder
    }
}

/// What a folder has under one name. A link is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: OsString,
    /// The folder's path with the name.
    pub path: PathBuf,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    pub kind: Kind,
    pub size_bytes: u64,
    pub modified: SystemTime,
}

/// What is made of the operations.
impl dyn Files + '_ {
    /// False also where it cannot be looked at.
    pub fn is_folder(&self, path: &Path) -> bool {
        self.metadata(path).is_ok_and(|found| found.kind.is_folder())
    }

    /// False also where it cannot be looked at.
    pub fn is_file(&self, path: &Path) -> bool {
        self.metadata(path).is_ok_and(|found| found.kind.is_file())
    }

    /// False also where it cannot be looked at.
    pub fn exists(&self, path: &Path) -> bool {
        self.metadata(path).is_ok()
    }

    /// All bytes of a file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes a file for its owner alone and makes its bytes durable, but not yet its name.
    pub fn write_and_sync(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.create(path, Existing::IsOverwritten, Access::OwnerOnly)?;
        file.write_all(bytes)?;
        file.sync()
    }

    /// Makes the folder if it is not there. Missing parents are made as any program makes them.
    pub fn create_folder(&self, path: &Path, access: Access) -> io::Result<()> {
        if self.is_folder(path) {
            return Ok(());
        }
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            self.create_folder(parent, Access::AsUsual)?;
        }
        match self.create_dir(path, access) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists && self.is_folder(path) => Ok(()),
            made => made,
        }
    }

    /// The same, and makes durable that it is there: also if an earlier process, which was killed
    /// meanwhile, had made it.
    pub fn create_folder_durably(&self, path: &Path, access: Access) -> io::Result<()> {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !self.is_folder(path) {
            if parent != path {
                self.create_folder_durably(parent, Access::AsUsual)?;
            }
            self.create_folder(path, access)?;
        }
        match self.sync_folder(parent) {
            // Who may not read a folder cannot sync it, and there are systems on which nobody can.
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            synced => synced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_with_their_parents_and_a_file_in_the_way_is_an_error() {
        let dir = tempfile::tempdir().expect("a folder");
        let tree = memory::Tree::new();
        for (files, root) in [(on_disk(), dir.path()), (tree.boot(), Path::new("/"))] {
            let folder = root.join("a/b/c");
            for _ in 0..2 {
                files.create_folder(&folder, Access::OwnerOnly).unwrap();
            }
            assert!(files.is_folder(&folder));
            files.create_folder_durably(&root.join("d/e"), Access::AsUsual).unwrap();
            files.write_and_sync(&root.join("file"), b"").unwrap();
            for path in ["file", "file/below"] {
                assert!(files.create_folder(&root.join(path), Access::OwnerOnly).is_err());
                assert!(files.create_folder_durably(&root.join(path), Access::AsUsual).is_err());
            }
        }
    }
}
