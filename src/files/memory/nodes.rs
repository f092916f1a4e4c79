//! Which bytes and names are there, and which of them are durable?
//!
//! Called by the views of [`super::Tree`]. A name leads to a node, and several names may lead to
//! one file. What always holds: a node's durable side changes only when it is synced, and by a
//! crash, which makes both sides one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Component, Path};

use rand::Rng;

use crate::files::{Existing, Kind};

/// Which node. Never given twice.
pub(super) type Id = u64;

pub(super) enum Node {
    File(File),
    Folder(Folder),
}

#[derive(Default)]
pub(super) struct File {
    pub bytes: Vec<u8>,
    /// The number of the change that was its last.
    pub changed_at: u64,
    durable: Vec<u8>,
    /// What was done to the bytes since they were synced.
    since: Since,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Since {
    #[default]
    Nothing,
    Appended,
    /// They were cut off, and others may have been written.
    Rewritten,
}

#[derive(Default)]
pub(super) struct Folder {
    pub names: BTreeMap<OsString, Id>,
    durable: BTreeMap<OsString, Id>,
    /// What was done since it was synced, in order.
    since: Vec<Change>,
}

enum Change {
    Added(OsString, Id),
    Removed(OsString),
    /// Within a folder both names change, or neither does.
    Renamed {
        from: OsString,
        to: OsString,
        id: Id,
    },
}

/// How much of what is not durable a crash leaves.
#[derive(Clone, Copy)]
enum Left {
    Nothing,
    All,
    /// Of each by itself.
    Some,
}

impl File {
    pub(super) fn sync(&mut self) {
        if self.since != Since::Nothing {
            self.durable.clone_from(&self.bytes);
            self.since = Since::Nothing;
        }
    }

    fn crash(&mut self, left: Left, rng: &mut impl Rng) {
        if self.since == Since::Nothing {
            return;
        }
        let length = self.bytes.len();
        let kept = if self.since == Since::Appended { self.durable.len() } else { 0 };
        let outcome = match left {
            Left::Nothing => 0,
            Left::All => 1,
            Left::Some => rng.random_range(0..5),
        };
        match outcome {
            0 => self.bytes.clone_from(&self.durable),
            1 => {}
            2 => self.bytes.truncate(kept),
            3 => self.bytes.truncate(rng.random_range(kept..=length)),
            // The length was written before the bytes.
            _ => self.bytes[rng.random_range(kept..=length)..].fill(0),
        }
        self.sync();
    }
}

impl Folder {
    pub(super) fn sync(&mut self) {
        if !self.since.is_empty() {
            self.durable.clone_from(&self.names);
            self.since.clear();
        }
    }

    fn make(&mut self, change: Change) {
        apply(&change, &mut self.names);
        self.since.push(change);
    }

    fn crash(&mut self, left: Left, rng: &mut impl Rng) {
        let mut names = std::mem::take(&mut self.durable);
        for change in self.since.drain(..) {
            let survives = match left {
                Left::Nothing => false,
                Left::All => true,
                Left::Some => rng.random(),
            };
            if survives {
                apply(&change, &mut names);
            }
        }
        self.durable.clone_from(&names);
        self.names = names;
    }

    /// Nodes that it leads to, or may lead to after a crash.
    fn leads_to(&self) -> impl Iterator<Item = Id> {
        let since = self.since.iter().filter_map(|change| match change {
            Change::Added(_, id) | Change::Renamed { id, .. } => Some(*id),
            Change::Removed(_) => None,
        });
        self.names.values().chain(self.durable.values()).copied().chain(since)
    }
}

fn apply(change: &Change, names: &mut BTreeMap<OsString, Id>) {
    match change {
        Change::Added(name, id) => {
            names.insert(name.clone(), *id);
        }
        Change::Removed(name) => {
            names.remove(name);
        }
        Change::Renamed { from, to, id } => {
            // The name may have come back for another file.
            if names.get(from) == Some(id) {
                names.remove(from);
            }
            names.insert(to.clone(), *id);
        }
    }
}

const ROOT: Id = 0;

/// Nodes may be as many as this before those that nothing leads to are looked for.
const NODES_MIN: usize = 256;

pub(super) struct Nodes {
    nodes: BTreeMap<Id, Node>,
    next: Id,
    changes: u64,
    /// There are at most so many before those that nothing leads to are dropped.
    swept_at: usize,
}

impl Nodes {
    pub(super) fn new() -> Nodes {
        let root = Node::Folder(Folder::default());
        Nodes { nodes: [(ROOT, root)].into(), next: 1, changes: 0, swept_at: NODES_MIN }
    }

    /// A node that a name leads to.
    pub(super) fn node(&mut self, id: Id) -> &mut Node {
        self.nodes.get_mut(&id).expect("what a name leads to is kept")
    }

    pub(super) fn kind(&self, id: Id) -> Kind {
        match self.nodes[&id] {
            Node::File(_) => Kind::File,
            Node::Folder(_) => Kind::Folder,
        }
    }

    pub(super) fn find(&mut self, path: &Path) -> io::Result<Id> {
        let mut at = ROOT;
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            at = match self.node(at) {
                Node::Folder(folder) => *folder.names.get(name).ok_or(ErrorKind::NotFound)?,
                Node::File(_) => return Err(ErrorKind::NotADirectory.into()),
            };
        }
        Ok(at)
    }

    pub(super) fn file(&mut self, path: &Path) -> io::Result<&mut File> {
        let found = self.find(path)?;
        match self.node(found) {
            Node::File(file) => Ok(file),
            Node::Folder(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn folder(&mut self, path: &Path) -> io::Result<&mut Folder> {
        let found = self.find(path)?;
        match self.node(found) {
            Node::Folder(folder) => Ok(folder),
            Node::File(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    /// The folder that a path's name is in, and the name.
    fn place<'a>(&mut self, path: &'a Path) -> io::Result<(&mut Folder, &'a OsStr)> {
        let name = path.file_name().ok_or(ErrorKind::AlreadyExists)?;
        Ok((self.folder(path.parent().unwrap_or(Path::new("")))?, name))
    }

    /// Gives a node a name, which must be free.
    fn add(&mut self, path: &Path, id: Id) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        if folder.names.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        folder.make(Change::Added(name.to_owned(), id));
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        folder.make(Change::Removed(name.to_owned()));
        self.sweep();
        Ok(())
    }

    fn insert(&mut self, path: &Path, node: Node) -> io::Result<Id> {
        let id = self.next;
        self.add(path, id)?;
        self.next += 1;
        self.nodes.insert(id, node);
        Ok(id)
    }

    pub(super) fn create(&mut self, path: &Path, existing: Existing) -> io::Result<Id> {
        let changed_at = self.changed();
        match self.find(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                self.insert(path, Node::File(File { changed_at, ..File::default() }))
            }
            found => {
                let id = found?;
                match self.node(id) {
                    _ if existing == Existing::IsKept => Err(ErrorKind::AlreadyExists.into()),
                    Node::Folder(_) => Err(ErrorKind::IsADirectory.into()),
                    Node::File(file) => {
                        if !file.bytes.is_empty() {
                            file.bytes.clear();
                            file.since = Since::Rewritten;
                        }
                        file.changed_at = changed_at;
                        Ok(id)
                    }
                }
            }
        }
    }

    fn changed(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    /// A file that has no name any more may be gone.
    pub(super) fn append(&mut self, id: Id, bytes: &[u8]) {
        let changed_at = self.changed();
        if let Some(Node::File(file)) = self.nodes.get_mut(&id)
            && !bytes.is_empty()
        {
            file.bytes.extend_from_slice(bytes);
            file.changed_at = changed_at;
            if file.since == Since::Nothing {
                file.since = Since::Appended;
            }
        }
    }

    pub(super) fn sync_file(&mut self, id: Id) {
        if let Some(Node::File(file)) = self.nodes.get_mut(&id) {
            file.sync();
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let id = self.find(from)?;
        let replaced = match self.find(to) {
            Ok(other) if self.kind(other) == Kind::Folder => {
                return Err(ErrorKind::IsADirectory.into());
            }
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            found => found.ok(),
        };
        if replaced == Some(id) {
            return Ok(());
        }
        if from.parent() == to.parent() {
            let (_, old) = self.place(from)?;
            let old = old.to_owned();
            let (folder, name) = self.place(to)?;
            folder.make(Change::Renamed { from: old, to: name.to_owned(), id });
        } else {
            let (folder, name) = self.place(to)?;
            folder.make(Change::Added(name.to_owned(), id));
            self.remove(from)?;
        }
        Ok(())
    }

    pub(super) fn hard_link(&mut self, file: &Path, name: &Path) -> io::Result<()> {
        let id = self.find(file)?;
        if self.kind(id) == Kind::Folder {
            return Err(ErrorKind::PermissionDenied.into());
        }
        self.add(name, id)
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.file(path)?;
        self.remove(path)
    }

    pub(super) fn remove_folder(&mut self, path: &Path) -> io::Result<()> {
        if !self.folder(path)?.names.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        self.remove(path)
    }

    pub(super) fn create_folder(&mut self, path: &Path) -> io::Result<()> {
        self.insert(path, Node::Folder(Folder::default())).map(|_| ())
    }

    pub(super) fn sync(&mut self) {
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => file.sync(),
                Node::Folder(folder) => folder.sync(),
            }
        }
    }

    pub(super) fn crash(&mut self, rng: &mut impl Rng) {
        let left = [Left::Nothing, Left::All, Left::Some, Left::Some][rng.random_range(0..4)];
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => file.crash(left, rng),
                Node::Folder(folder) => folder.crash(left, rng),
            }
        }
        self.swept_at = 0;
        self.sweep();
    }

    /// Drops what nothing leads to, now and then.
    fn sweep(&mut self) {
        if self.nodes.len() < self.swept_at {
            return;
        }
        let mut reached = BTreeSet::from([ROOT]);
        let mut next = vec![ROOT];
        while let Some(at) = next.pop() {
            if let Some(Node::Folder(folder)) = self.nodes.get(&at) {
                next.extend(folder.leads_to().filter(|id| reached.insert(*id)));
            }
        }
        self.nodes.retain(|id, _| reached.contains(id));
        self.swept_at = NODES_MIN.max(self.nodes.len() * 2);
    }
}
