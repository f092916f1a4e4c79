//! Folders and files that only their owner may read.
//!
//! State, checkpoints and the error stream hold records as they came in, whatever is in them. Used
//! by `checkpoint` and by the sinks that write beside it. What always holds: what is made here is
//! made private, never made first and closed off later; what others made keeps its mode. Where
//! there are no such modes (not Unix), nothing is different from a plain call.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

/// Makes the folder if it is not there, for its owner alone. Missing parents are made as any
/// program makes them.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Options with which a file that is made can be read and written by its owner alone.
pub(crate) fn file_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Closes a folder off that an earlier version left open to others. A link to a folder elsewhere is
/// left as it is.
pub(crate) fn close_off(folder: &Path) -> io::Result<()> {
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
        let folder = dir.path().join("a/b");
        create_folder(&folder).unwrap();
        create_folder(&folder).unwrap();
        file_options().write(true).create_new(true).open(folder.join("f")).unwrap();
        assert_eq!((mode(&folder), mode(&folder.join("f"))), (0o700, 0o600));
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(create_folder(&dir.path().join("file")).is_err());
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
            close_off(&dir.path().join(name)).unwrap();
        }
        assert_eq!(
            (mode(&dir.path().join("open")), mode(&dir.path().join("elsewhere"))),
            (0o700, 0o755)
        );
    }
}
