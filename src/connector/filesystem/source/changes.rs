//! Is a file still what was read? What a start from a checkpoint says about files that were written
//! to meanwhile.
//!
//! Called by [`crate::connector::filesystem::source::FileSource`]. A bounded job takes its files to
//! be finished: nothing is read twice and nothing that was added to a file that was read, so
//! whoever added it has to be told. What always holds: only names, sizes and times are looked at; a
//! file that is gone is no change, since it may have been put away.

use std::collections::{BTreeMap, HashSet};
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::connector::filesystem::source::{is_gzip, list};
use crate::source::{NotRead, RunState, StoredSplit};

use super::position::FilePosition;

/// How a file looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Look {
    pub size_bytes: u64,
    /// When it was written last, ms since the epoch.
    pub modified_ms: i64,
}

/// How the files looked when the run began, by split. Every checkpoint of the run keeps it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct FirstLooks(BTreeMap<String, Look>);

impl FirstLooks {
    const KIND: &'static str = "files";
    const VERSION: u8 = 1;

    pub fn taken<'a>(files: impl Iterator<Item = (&'a str, PathBuf)>) -> FirstLooks {
        FirstLooks(
            files.filter_map(|(split, path)| Some((split.to_owned(), look(&path)?))).collect(),
        )
    }

    pub fn of(stored: &RunState) -> Result<FirstLooks, NotRead> {
        stored.read(Self::KIND, Self::VERSION)
    }

    pub fn kept(&self) -> RunState {
        RunState::new(Self::KIND, Self::VERSION, self)
    }

    pub fn get(&self, split: &str) -> Option<Look> {
        self.0.get(split).copied()
    }
}

/// When a file was written last, ms since the epoch; 0 where the system does not know.
pub(super) fn modified_ms(found: &Metadata) -> i64 {
    let modified = found.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    modified.map_or(0, |d| d.as_millis() as i64)
}

pub(super) fn look(path: &Path) -> Option<Look> {
    let found = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
    Some(Look { size_bytes: found.len(), modified_ms: modified_ms(&found) })
}

/// What has changed about a file that a checkpoint knows. `first`: how it looked when the run
/// began, if that was noted.
pub(super) fn of_file(path: &Path, split: &StoredSplit<'_>, first: Option<Look>) -> Option<String> {
    let now = look(path)?;
    let FilePosition { offset, .. } = FilePosition::of(split.position).ok()?;
    let name = path.display();
    let size = now.size_bytes;
    // Of a compressed file it is not known how many of its bytes were read.
    if split.finished && !is_gzip(path) {
        if size > offset {
            return Some(format!(
                "{name} has grown since it was read: {offset} bytes were read, it has {size} now, and the rest is not read \
                 (--fresh starts over)"
            ));
        }
        if size < offset {
            return Some(format!(
                "{name} was cut or replaced since it was read: {offset} bytes were read, it has {size} now"
            ));
        }
        // One that grew while it was read, and was read to its end, is as it should be.
        let rewritten = first
            .is_some_and(|first| first.size_bytes == size && first.modified_ms != now.modified_ms);
        return rewritten.then(|| {
            format!("{name} was written to since the run began; it has {size} bytes, as then, and is not read again (--fresh starts over)")
        });
    }
    let first = first.filter(|first| *first != now && (split.finished || offset > 0))?;
    let what_now = if split.finished {
        "it is not read again (--fresh starts over)"
    } else {
        "what is left is read as it is now"
    };
    Some(format!(
        "{name} was written to since the run began: it had {} bytes then and has {size} now; {what_now}",
        first.size_bytes
    ))
}

/// Files of the folder that have come since the run began, where nobody watches for them.
pub(super) fn new_files(root: &Path, splits: &[StoredSplit<'_>]) -> Option<String> {
    let known: HashSet<&str> = splits.iter().map(|split| split.id).collect();
    let names = list(root).ok()?;
    let new: Vec<&String> = names.iter().filter(|name| !known.contains(name.as_str())).collect();
    let more = match new.len() {
        0 => return None,
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    Some(format!(
        "{}{more} came into {} after the run began and is not read: set 'source.monitor-interval' to watch a folder, or start over \
         with --fresh",
        new[0],
        root.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_about_files_that_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a"), b"12345\n").unwrap();
        std::fs::write(path("a.gz"), b"12345\n").unwrap();
        let now = look(&path("a")).unwrap();
        let first =
            |size_bytes, earlier| Some(Look { size_bytes, modified_ms: now.modified_ms - earlier });
        let of = |name: &str, offset, finished, first_look| {
            let position = FilePosition { offset, lines: 1 }.into();
            let split = StoredSplit { id: name, position: &position, finished };
            of_file(&path(name), &split, first_look).unwrap_or_default()
        };
        for (offset, finished, seen, part) in [
            // Read to its end, and nothing happened; or no look was taken.
            (6, true, first(6, 0), ""),
            (6, true, None, ""),
            // It grew while it was read.
            (6, true, first(3, 9), ""),
            (4, true, first(4, 9), "4 bytes were read, it has 6 now"),
            (4, true, None, "has grown"),
            (9, true, first(9, 9), "was cut or replaced"),
            (6, true, first(6, 9), "it has 6 bytes, as then"),
            (2, false, first(6, 0), ""),
            (2, false, first(3, 9), "it had 3 bytes then and has 6 now; what is left is read"),
            (2, false, None, ""),
            // Nothing of it was read yet.
            (0, false, first(3, 9), ""),
        ] {
            let said = of("a", offset, finished, seen);
            assert_eq!(
                (said.is_empty(), said.contains(part)),
                (part.is_empty(), true),
                "{offset} {finished} {seen:?}: {said}"
            );
        }
        // Offsets count what a compressed file holds.
        let packed = look(&path("a.gz")).unwrap();
        assert_eq!(of("a.gz", 40, true, Some(packed)), "");
        assert!(
            of("a.gz", 40, true, Some(Look { size_bytes: 3, ..packed }))
                .contains("it is not read again")
        );
        assert_eq!(of("gone", 4, true, first(4, 0)), "");
    }

    #[test]
    fn files_that_came_later_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let position = FilePosition::START.into();
        let known = [StoredSplit { id: "a", position: &position, finished: true }];
        for (name, part) in [
            ("a", None),
            ("_hidden", None),
            ("b", Some("b came into")),
            ("c", Some("b and 1 more came into")),
        ] {
            std::fs::write(dir.path().join(name), b"").unwrap();
            let said = new_files(dir.path(), &known);
            assert!(
                said.is_some() == part.is_some()
                    && said.unwrap_or_default().contains(part.unwrap_or_default()),
                "{name}"
            );
        }
    }
}
