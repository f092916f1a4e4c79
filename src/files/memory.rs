//! A tree of files in memory, for tests: what does a crash leave of it?
//!
//! A [`Tree`] is the disk, on which one process after the other works: each has a view of its own
//! from [`Tree::boot`]. What always holds: of a file, the bytes that were synced are surely there
//! after a crash, and of a folder, the names as they were when it was synced. Of what came later,
//! each name, and each tail of bytes, is there or not as the seed says, for itself: nothing is
//! promised of the order in which a system writes. A process that is dead changes nothing and sees
//! nothing: each of its calls fails with an error that [`is_crash`] knows.
//!
//! ```text
//! boot ─ changes, counted ─ dies at one of them ─┬─ restart: the machine goes on, all is there   ─ boot
//!                                                └─ crash: the machine stops, some of it is lost ─ boot
//! ```

mod nodes;
#[cfg(test)]
mod tests;

use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rand::Rng;

use super::{Access, Entry, Existing, FileWriter, Files, Lock, Metadata};
use crate::planted::{self, Bug};
use nodes::{Id, Node, Nodes};

/// A disk. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Tree(Arc<Mutex<Machine>>);

struct Machine {
    nodes: Nodes,
    /// Counts processes; the last is the one that runs. A view of another is of a dead one.
    life: u64,
    is_dead: bool,
    /// Changes that this process has asked for.
    operations: u64,
    /// The number of the one at which it dies.
    dies_at: Option<u64>,
    /// Files that this process has locked.
    locked: Vec<Id>,
}

/// The error of every call of a process that is dead.
#[derive(Debug, thiserror::Error)]
#[error("the process was killed by its test")]
struct Dead;

fn dead() -> io::Error {
    io::Error::other(Dead)
}

/// True for the error that a process gets from the tree when it is dead.
pub(crate) fn is_crash(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Dead>())
}

/// True for the words of that error, in whatever it was wrapped.
pub(crate) fn tells_of_crash(message: &str) -> bool {
    message.contains(&Dead.to_string())
}

impl Tree {
    pub(crate) fn new() -> Tree {
        Tree(Arc::new(Mutex::new(Machine {
            nodes: Nodes::new(),
            life: 0,
            is_dead: true,
            operations: 0,
            dies_at: None,
            locked: Vec::new(),
        })))
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The view of a new process. One that still runs is killed.
    pub(crate) fn boot(&self) -> Arc<dyn Files> {
        let mut machine = self.machine();
        machine.life += 1;
        machine.is_dead = false;
        machine.operations = 0;
        machine.dies_at = None;
        machine.locked.clear();
        Arc::new(View { tree: self.clone(), life: Some(machine.life) })
    }

    /// A view that does not die and whose changes are not counted: what a test puts there and looks
    /// at.
    pub(crate) fn outside(&self) -> Arc<dyn Files> {
        Arc::new(View { tree: self.clone(), life: None })
    }

    /// Changes that the process has asked for since it was booted: files opened to be written,
    /// writes, syncs, new names and removed ones.
    pub(crate) fn operations(&self) -> u64 {
        self.machine().operations
    }

    /// Has the process die at a change, counted from 1 since it was booted. The change is not made;
    /// of a write, half is.
    pub(crate) fn die_at(&self, operation: u64) {
        self.machine().dies_at = Some(operation);
    }

    /// Kills the process. What it did is there as it was, and as little durable as it was.
    pub(crate) fn kill(&self) {
        let mut machine = self.machine();
        machine.is_dead = true;
        machine.locked.clear();
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.machine().is_dead
    }

    /// Stops the machine: the process is dead, and what was not durable is there or not as the seed
    /// says. Then what is there is durable.
    pub(crate) fn crash(&self, rng: &mut impl Rng) {
        self.kill();
        self.machine().nodes.crash(rng);
    }

    /// Makes everything durable as it is.
    pub(crate) fn sync(&self) {
        self.machine().nodes.sync();
    }
}

/// A process's view of the tree.
struct View {
    tree: Tree,
    /// None: that of nobody.
    life: Option<u64>,
}

/// What a process is about to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Intent {
    Look,
    Change,
}

impl View {
    /// The tree, if the process lives to do that.
    fn enter(&self, intent: Intent) -> io::Result<MutexGuard<'_, Machine>> {
        let mut machine = self.tree.machine();
        let Some(life) = self.life else { return Ok(machine) };
        if life != machine.life || machine.is_dead {
            return Err(dead());
        }
        if intent == Intent::Change {
            machine.operations += 1;
            if machine.dies_at == Some(machine.operations) {
                machine.is_dead = true;
                machine.locked.clear();
                return Err(dead());
            }
        }
        Ok(machine)
    }

    fn change(&self) -> io::Result<MutexGuard<'_, Machine>> {
        self.enter(Intent::Change)
    }

    fn look(&self) -> io::Result<MutexGuard<'_, Machine>> {
        self.enter(Intent::Look)
    }

    fn again(&self) -> View {
        View { tree: self.tree.clone(), life: self.life }
    }
}

impl Files for View {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        let bytes = self.look()?.nodes.file(path)?.bytes.clone();
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn create(
        &self,
        path: &Path,
        existing: Existing,
        _: Access,
    ) -> io::Result<Box<dyn FileWriter>> {
        let file = self.change()?.nodes.create(path, existing)?;
        Ok(Box::new(Writer { view: self.again(), file }))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.change()?.nodes.file(path)?.sync();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?.nodes.rename(from, to)
    }

    fn hard_link(&self, file: &Path, name: &Path) -> io::Result<()> {
        self.change()?.nodes.hard_link(file, name)
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        let bytes = self.look()?.nodes.file(from)?.bytes.clone();
        self.create(to, Existing::IsOverwritten, Access::AsUsual)?.write_all(&bytes)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change()?.nodes.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.change()?.nodes.remove_folder(path)
    }

    fn create_dir(&self, path: &Path, _: Access) -> io::Result<()> {
        self.change()?.nodes.create_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut machine = self.look()?;
        let names: Vec<_> = machine.nodes.folder(folder)?.names.clone().into_iter().collect();
        let entry = |(name, id)| {
            let path = folder.join(&name);
            Entry { name, path, kind: machine.nodes.kind(id) }
        };
        Ok(names.into_iter().map(entry).collect())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let mut machine = self.look()?;
        let found = machine.nodes.find(path)?;
        let (size_bytes, changed_at) = match machine.nodes.node(found) {
            Node::File(file) => (file.bytes.len() as u64, file.changed_at),
            Node::Folder(_) => (0, 0),
        };
        Ok(Metadata {
            kind: machine.nodes.kind(found),
            size_bytes,
            // Time is counted in changes: it depends on nothing but them.
            modified: SystemTime::UNIX_EPOCH + Duration::from_secs(changed_at),
        })
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.metadata(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut machine = self.change()?;
        let folder = machine.nodes.folder(folder)?;
        if !planted::has(Bug::LosesUnsyncedNames) {
            folder.sync();
        }
        Ok(())
    }

    fn close_off(&self, _: &Path) -> io::Result<()> {
        self.look().map(|_| ())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let found = self.look()?.nodes.find(path);
        let file = match found {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                self.change()?.nodes.create(path, Existing::IsKept)?
            }
            found => found?,
        };
        let mut machine = self.look()?;
        if machine.locked.contains(&file) {
            return Ok(None);
        }
        machine.locked.push(file);
        Ok(Some(Box::new(Held { view: self.again(), file })))
    }
}

struct Writer {
    view: View,
    file: Id,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let was_alive = self.view.look().is_ok();
        match self.view.change() {
            Ok(mut machine) => {
                machine.nodes.append(self.file, bytes);
                Ok(bytes.len())
            }
            Err(e) => {
                if was_alive {
                    self.view.tree.machine().nodes.append(self.file, &bytes[..bytes.len() / 2]);
                }
                Err(e)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.view.look().map(|_| ())
    }
}

impl FileWriter for Writer {
    fn sync(&mut self) -> io::Result<()> {
        self.view.change()?.nodes.sync_file(self.file);
        Ok(())
    }
}

/// A lock, which a dead process holds no more.
struct Held {
    view: View,
    file: Id,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Ok(mut machine) = self.view.look() {
            machine.locked.retain(|file| *file != self.file);
        }
    }
}
