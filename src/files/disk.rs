//! Files on the system's disk.
//!
//! Made once for a process, by the command or by a program of one's own, and by tests. What always
//! holds: folders and files that hold state, checkpoints or the error stream are made for their
//! owner alone; what others made keeps its mode.

use std::fs::{self, DirBuilder, File, FileType, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::{Access, Entry, Existing, FileWriter, Files, Kind, Lock, Metadata};

/// The files of the machine.
pub fn on_disk() -> Arc<dyn Files> {
    Arc::new(Disk)
}

/// The system's calls, as they are.
struct Disk;

fn file_options(access: Access) -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    if access == Access::OwnerOnly {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options.write(true);
    options
}

impl From<FileType> for Kind {
    fn from(found: FileType) -> Kind {
        if found.is_file() {
            Kind::File
        } else if found.is_dir() {
            Kind::Folder
        } else {
            Kind::Other
        }
    }
}

impl TryFrom<fs::Metadata> for Metadata {
    type Error = io::Error;

    fn try_from(found: fs::Metadata) -> io::Result<Metadata> {
        Ok(Metadata {
            kind: found.file_type().into(),
            size_bytes: found.len(),
            modified: found.modified()?,
        })
    }
}

impl Files for Disk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(File::open(path)?))
    }

    fn create(
        &self,
        path: &Path,
        existing: Existing,
        access: Access,
    ) -> io::Result<Box<dyn FileWriter>> {
        let mut options = file_options(access);
        match existing {
            Existing::IsOverwritten => options.create(true).truncate(true),
            Existing::IsKept => options.create_new(true),
        };
        Ok(Box::new(Writer(options.open(path)?)))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn hard_link(&self, file: &Path, name: &Path) -> io::Result<()> {
        fs::hard_link(file, name)
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::copy(from, to).map(|_| ())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn create_dir(&self, path: &Path, access: Access) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        if access == Access::OwnerOnly {
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        }
        builder.create(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        fs::read_dir(folder)?
            .map(|entry| {
                let entry = entry?;
                let kind = entry.file_type()?.into();
                Ok(Entry { name: entry.file_name(), path: entry.path(), kind })
            })
            .collect()
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        fs::metadata(path)?.try_into()
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        fs::symlink_metadata(path)?.try_into()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn close_off(&self, folder: &Path) -> io::Result<()> {
        match fs::symlink_metadata(folder) {
            #[cfg(unix)]
            Ok(found) if found.is_dir() => {
                use std::os::unix::fs::PermissionsExt;
                if found.permissions().mode() & 0o077 == 0 {
                    return Ok(());
                }
                fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
            }
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let file = file_options(Access::OwnerOnly).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }
}

struct Writer(File);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl FileWriter for Writer {
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it exists").permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (files, folder) = (on_disk(), dir.path().join("a/b"));
        files.create_folder(&folder, Access::OwnerOnly).unwrap();
        files.create_folder(&folder, Access::OwnerOnly).unwrap();
        files.create(&folder.join("f"), Existing::IsKept, Access::OwnerOnly).unwrap();
        assert_eq!((mode(&folder), mode(&folder.join("f"))), (0o700, 0o600));
        let again = files.create(&folder.join("f"), Existing::IsKept, Access::OwnerOnly);
        assert_eq!(again.err().unwrap().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn only_folders_of_ones_own_are_closed_off() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["open", "elsewhere"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), dir.path().join("link")).unwrap();
        for name in ["open", "link", "absent"] {
            on_disk().close_off(&dir.path().join(name)).unwrap();
        }
        assert_eq!(
            (mode(&dir.path().join("open")), mode(&dir.path().join("elsewhere"))),
            (0o700, 0o755)
        );
    }
}
