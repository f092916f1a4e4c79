//! Checkpoints in a state directory: the depot that every job has, on the local disk.
//!
//! Made by `store` for a job and by `contents` for people. An object is a file below
//! `checkpoints/`. Tables are hard links of those that the stores in use have, so a checkpoint
//! costs names, not bytes. What always holds: only files whose names and places are ours (`own`)
//! are listed or removed; whatever else lies among them stays, and so does the folder it is in.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::depot::{Content, Depot, Object, Put};
use super::durable::{StoreError, at, sync_folder};
use super::own;
use crate::files::{Access, Files};

/// The checkpoints of one state directory. Nothing is made or changed before something is put or
/// deleted.
pub(crate) struct Folder {
    files: Arc<dyn Files>,
    root: PathBuf,
    /// Where a file stands until it is whole. On the same file system, so that it can be linked.
    scratch: PathBuf,
}

impl Folder {
    pub(crate) fn of_state(files: Arc<dyn Files>, state: &Path) -> Folder {
        let (root, scratch) = (state.join("checkpoints"), state.join(own::STAGING));
        Folder { files, root, scratch }
    }

    /// The folders between an object's file and the root, from the inside out.
    fn folders_of<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Path> {
        path.ancestors().skip(1).take_while(|folder| **folder != *self.root)
    }

    /// Puts one object. Folders in which a name may be new are added to `changed`.
    fn put(
        &self,
        name: &str,
        content: Content<'_>,
        changed: &mut BTreeSet<PathBuf>,
    ) -> Result<Put, StoreError> {
        let target = self.root.join(name);
        let below_root: Vec<&Path> = self.folders_of(&target).collect();
        // All of them: one that is there may have been made by a process that was killed before it
        // made the name durable.
        changed.extend(below_root.iter().map(|folder| folder.to_path_buf()));
        changed.insert(self.root.clone());
        // One after the other from the outside in, so that each is made private.
        for folder in below_root.into_iter().rev().filter(|folder| !self.files.is_folder(folder)) {
            self.files.create_folder(folder, Access::OwnerOnly).map_err(at(folder))?;
        }
        let temporary;
        let whole = match content {
            Content::Bytes(bytes) => {
                self.files
                    .create_folder(&self.scratch, Access::OwnerOnly)
                    .map_err(at(&self.scratch))?;
                temporary = self.scratch.join(own::SCRATCH_FILE);
                self.files.write_and_sync(&temporary, bytes).map_err(at(&temporary))?;
                &temporary
            }
            Content::Synced(path) => path,
            Content::Unsynced(path) => {
                self.files.sync_file(path).map_err(at(path))?;
                path
            }
        };
        // Unlike a rename, a link never replaces what is there.
        match self.files.hard_link(whole, &target) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Ok(Put::Taken(name.to_string()));
            }
            Err(e) => return Err(at(&target)(e)),
        }
        if matches!(content, Content::Bytes(_)) {
            own::remove_file(self.files.as_ref(), whole)?;
        }
        Ok(Put::Done)
    }

    /// The files below an epoch's folder that are ours.
    fn list_epoch(&self, epoch: &str, objects: &mut Vec<Object>) -> Result<(), StoreError> {
        let folder = self.root.join(epoch);
        for (entry, name) in own::entries(self.files.as_ref(), &folder)? {
            if entry.kind.is_file() && own::is_of_a_checkpoint(&name) {
                objects.extend(self.object(format!("{epoch}/{name}"), &entry.path)?);
            } else if entry.kind.is_folder() && own::is_worker(&name) {
                for (file, file_name) in own::entries(self.files.as_ref(), &entry.path)? {
                    if file.kind.is_file() && own::is_store_file(&file_name) {
                        let object = format!("{epoch}/{name}/{file_name}");
                        objects.extend(self.object(object, &file.path)?);
                    }
                }
            }
        }
        Ok(())
    }

    /// None if it is gone meanwhile.
    fn object(&self, name: String, path: &Path) -> Result<Option<Object>, StoreError> {
        match self.files.metadata(path) {
            Ok(found) => {
                Ok(Some(Object { name, size_bytes: found.size_bytes, put_at: found.modified }))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(at(path)(e)),
        }
    }
}

impl Depot for Folder {
    fn put_if_absent(&self, objects: &[(String, Content<'_>)]) -> Result<Put, StoreError> {
        let mut changed = BTreeSet::new();
        let mut outcome = Put::Done;
        for (name, content) in objects {
            outcome = self.put(name, *content, &mut changed)?;
            if outcome != Put::Done {
                break;
            }
        }
        // From the inside out: a name that is durable leads to something that is.
        for folder in changed.iter().rev() {
            sync_folder(self.files.as_ref(), folder)?;
        }
        Ok(outcome)
    }

    fn make_durable(&self, name: &str) -> Result<(), StoreError> {
        // Its bytes were synced before it got its name.
        let path = self.root.join(name);
        let folders = self.folders_of(&path).chain([self.root.as_path()]);
        folders.into_iter().try_for_each(|folder| sync_folder(self.files.as_ref(), folder))
    }

    fn get(&self, name: &str) -> Result<Option<Box<dyn Read>>, StoreError> {
        let path = self.root.join(name);
        match self.files.open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(at(&path)(e)),
        }
    }

    fn fetch(&self, name: &str, to: &Path) -> Result<(), StoreError> {
        let from = self.root.join(name);
        // RocksDB appends to or replaces what is no table.
        let fetched = if own::is_table(name) {
            self.files.hard_link(&from, to)
        } else {
            self.files.copy(&from, to)
        };
        fetched.map_err(at(to))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError> {
        let mut objects = Vec::new();
        for (entry, name) in own::entries(self.files.as_ref(), &self.root)? {
            // A name begins with the prefix only if one of the two continues the other.
            let possible = prefix.starts_with(&name) || name.starts_with(prefix);
            if possible && own::epoch_of(&entry).is_some() {
                self.list_epoch(&name, &mut objects)?;
            }
        }
        objects.retain(|object| object.name.starts_with(prefix));
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(objects)
    }

    fn delete(&self, names: &[String]) -> Result<(), StoreError> {
        let mut folders = BTreeSet::new();
        for name in names {
            debug_assert!(own::is_object(name), "{name} was never put");
            let path = self.root.join(name);
            own::remove_file(self.files.as_ref(), &path)?;
            folders.extend(self.folders_of(&path).map(Path::to_path_buf));
        }
        for folder in folders.into_iter().rev() {
            own::remove_emptied(self.files.as_ref(), &folder)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::files::on_disk;

    fn names(folder: &Folder, prefix: &str) -> Vec<String> {
        folder.list(prefix).unwrap().into_iter().map(|o| o.name).collect()
    }

    fn text(folder: &Folder, name: &str) -> Option<String> {
        let mut text = String::new();
        folder.get(name).unwrap()?.read_to_string(&mut text).unwrap();
        Some(text)
    }

    #[test]
    fn an_object_is_put_once_and_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let depot = Folder::of_state(on_disk(), dir.path());
        assert_eq!(text(&depot, "00000001/manifest"), None);
        let put = |bytes: &[u8]| {
            depot.put_if_absent(&[("00000001/manifest".into(), Content::Bytes(bytes))]).unwrap()
        };
        assert_eq!(put(b"first"), Put::Done);
        assert_eq!(put(b"second"), Put::Taken("00000001/manifest".into()));
        assert_eq!(text(&depot, "00000001/manifest").as_deref(), Some("first"));
    }

    #[test]
    fn files_come_back_as_they_were_and_changing_one_changes_no_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let depot = Folder::of_state(on_disk(), dir.path());
        let (table, current) = (dir.path().join("000004.sst"), dir.path().join("CURRENT"));
        fs::write(&table, "table").unwrap();
        fs::write(&current, "current").unwrap();
        let objects = [
            ("00000002/worker-0/000004.sst".to_string(), Content::Synced(&table)),
            ("00000002/worker-0/CURRENT".to_string(), Content::Unsynced(&current)),
        ];
        assert_eq!(depot.put_if_absent(&objects).unwrap(), Put::Done);
        for name in ["000004.sst", "CURRENT"] {
            let back = dir.path().join(format!("back-{name}"));
            depot.fetch(&format!("00000002/worker-0/{name}"), &back).unwrap();
            assert_eq!(fs::read(&back).unwrap(), fs::read(dir.path().join(name)).unwrap());
        }
        fs::write(dir.path().join("back-CURRENT"), "changed").unwrap();
        assert_eq!(text(&depot, "00000002/worker-0/CURRENT").as_deref(), Some("current"));
    }

    #[test]
    fn listing_and_deleting_keep_to_their_prefix_and_to_what_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let depot = Folder::of_state(on_disk(), dir.path());
        for name in ["00000001/manifest", "00000001/worker-0/CURRENT", "00000012/manifest"] {
            depot.put_if_absent(&[(name.into(), Content::Bytes(b"x"))]).unwrap();
        }
        fs::write(dir.path().join("checkpoints/00000001/notes.txt"), "mine").unwrap();
        assert_eq!(
            names(&depot, ""),
            ["00000001/manifest", "00000001/worker-0/CURRENT", "00000012/manifest"]
        );
        assert_eq!(names(&depot, "00000001/"), ["00000001/manifest", "00000001/worker-0/CURRENT"]);
        assert_eq!(names(&depot, "00000001/w"), ["00000001/worker-0/CURRENT"]);
        assert_eq!(names(&depot, "0000000"), ["00000001/manifest", "00000001/worker-0/CURRENT"]);
        depot.delete(&names(&depot, "00000001/")).unwrap();
        depot.delete(&names(&depot, "00000012/")).unwrap();
        assert_eq!(names(&depot, ""), Vec::<String>::new());
        assert!(dir.path().join("checkpoints/00000001/notes.txt").exists());
        assert!(
            !dir.path().join("checkpoints/00000001/worker-0").exists()
                && !dir.path().join("checkpoints/00000012").exists()
        );
    }
}
