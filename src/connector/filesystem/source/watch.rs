//! Which files have come into a folder? The split that looks for them.
//!
//! Called by `runtime` as any other split of a folder that is watched (`source.monitor-interval`).
//! It has no records: from time to time it lists the folder and gives the files it has not seen as
//! new splits. What always holds: a file is given once, by its name, for as long as it is in the
//! folder; its position holds the names given. A file is read to the end that it has when it is
//! reached: writers should rename finished files into the folder.
//!
//! Names of files that were taken away are forgotten, so that a folder through which files pass
//! for years fills no checkpoint: once a file was in no listing for [`FORGOTTEN_AFTER`], and was
//! read to its end. So what is kept is as large as the folder, and what passes through it in that
//! time. A file that is missing for a shorter time, as when a network file system is mounted again,
//! is not read twice; one that comes under its name after that is a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::position::FolderPosition;
use crate::connector::filesystem::source::{list, start_of};
use crate::source::{Polled, Position, SourceError, SplitId, SplitReader};
use crate::time::clock::SharedClock;
use crate::who::Who;

/// The watcher's split. No file that is read begins with a dot.
pub(super) const SPLIT: &str = ".watch";
/// A file that is missing for so long is gone.
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

pub(super) struct Watcher {
    table: String,
    root: PathBuf,
    every: Duration,
    clock: SharedClock,
    seen: BTreeSet<String>,
    /// Of those seen, the ones that were not in the last listing, with when that was first so.
    missing: BTreeMap<String, Duration>,
    /// When the folder was listed last.
    listed: Duration,
}

impl Watcher {
    /// `seen`: names that were given before.
    pub fn new(
        table: String,
        root: PathBuf,
        every: Duration,
        clock: SharedClock,
        seen: Vec<String>,
    ) -> Watcher {
        let listed = clock.monotonic();
        let (seen, missing) = (seen.into_iter().collect(), BTreeMap::new());
        Watcher { table, root, every, clock, seen, missing, listed }
    }

    /// Notes which files are missing. Returns those that have been for long.
    fn note_missing(&mut self, names: &[String], now: Duration) -> Vec<SplitId> {
        // Ascending, as listed.
        let is_there = |name: &String| names.binary_search(name).is_ok();
        self.missing.retain(|name, _| !is_there(name));
        for name in self.seen.iter().filter(|name| !is_there(name)) {
            if !self.missing.contains_key(name) {
                self.missing.insert(name.clone(), now);
            }
        }
        let is_long = |since: &Duration| now.saturating_sub(*since) >= FORGOTTEN_AFTER;
        let gone = self.missing.iter().filter(|(_, since)| is_long(since));
        gone.map(|(name, _)| SplitId(name.as_str().into())).collect()
    }
}

impl SplitReader for Watcher {
    fn poll(&mut self, _max_records: usize) -> Result<Polled, SourceError> {
        let now = self.clock.monotonic();
        if now.saturating_sub(self.listed) < self.every {
            return Ok(Polled::Pending { empty: None });
        }
        self.listed = now;
        let names = list(&self.root).map_err(|e| SourceError::Read {
            table: self.table.clone(),
            split: SplitId(SPLIT.into()),
            reason: format!("{}: {e}", self.root.display()),
            who: Who::of_io(&e),
        })?;
        let gone = self.note_missing(&names, now);
        let new: Vec<String> = names.into_iter().filter(|name| !self.seen.contains(name)).collect();
        if new.is_empty() && gone.is_empty() {
            return Ok(Polled::Pending { empty: None });
        }
        let splits = new.iter().map(|name| start_of(name)).collect();
        self.seen.extend(new);
        Ok(Polled::Found { splits, gone })
    }

    fn forget(&mut self, gone: &BTreeSet<SplitId>) {
        for SplitId(name) in gone {
            self.seen.remove(&**name);
            self.missing.remove(&**name);
        }
    }

    fn position(&self) -> Position {
        FolderPosition { seen: self.seen.iter().cloned().collect() }.into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::connector::filesystem::source::FileSource;
    use crate::source::{ReadAhead, Source};
    use crate::time::clock::SetClock;

    #[test]
    fn files_are_given_once_when_the_interval_has_passed() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(dir.path().join(name), b"x\n").unwrap();
        let clock = Arc::new(SetClock::at(0));
        let path = dir.path().display().to_string();
        let source = FileSource::new("t", &path, vec![])
            .unwrap()
            .watched(Duration::from_millis(100), clock.clone())
            .unwrap();
        assert!(!source.bounded());
        write("a");
        let first = source.discover().unwrap();
        let ids: Vec<&str> = first.iter().map(|s| &*s.id.0).collect();
        assert_eq!(ids, ["a", SPLIT]);
        let watch = &first[1];
        assert!(
            source.finds(&watch.id)
                && !source.finds(&first[0].id)
                && source.peek(&watch.id).unwrap().is_none()
        );
        let mut reader =
            source.open(&watch.id, &watch.start, ReadAhead::alone(Arc::new(|| {}))).unwrap();
        let mut come = |ms| {
            clock.monotonic_ms.store(ms, Ordering::Relaxed);
            match reader.poll(1).unwrap() {
                Polled::Found { splits, .. } => {
                    splits.iter().map(|s| s.id.to_string()).collect::<Vec<_>>().join(" ")
                }
                Polled::Pending { .. } => String::new(),
                other => panic!("{other:?}"),
            }
        };
        write("b");
        write(".c.inprogress");
        assert_eq!((come(50), come(100), come(150)), (String::new(), "b".into(), String::new()));
        write("d");
        std::fs::remove_file(dir.path().join("a")).unwrap();
        assert_eq!((come(199), come(200)), (String::new(), "d".into()));
        write("a");
        assert_eq!(come(300), "");
        let position = reader.position();
        assert_eq!(
            position,
            FolderPosition { seen: ["a", "b", "d"].map(String::from).to_vec() }.into()
        );
        write("e");
        let mut again =
            source.open(&watch.id, &position, ReadAhead::alone(Arc::new(|| {}))).unwrap();
        clock.monotonic_ms.store(400, Ordering::Relaxed);
        assert!(
            matches!(again.poll(1).unwrap(), Polled::Found { splits, .. } if splits.len() == 1 && &*splits[0].id.0 == "e")
        );
    }

    #[test]
    fn a_file_that_stays_away_is_forgotten_and_one_that_comes_back_soon_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SetClock::at(0));
        let names = ["a", "b", "c"].map(String::from).to_vec();
        let second = Duration::from_secs(1);
        let root = dir.path().to_path_buf();
        let mut watcher = Watcher::new("t".into(), root, second, clock.clone(), names);
        let write = |name: &str| std::fs::write(dir.path().join(name), b"x\n").unwrap();
        let remove = |name: &str| std::fs::remove_file(dir.path().join(name)).unwrap();
        let at = |watcher: &mut Watcher, seconds: u64| {
            clock.monotonic_ms.store(seconds * 1000, Ordering::Relaxed);
            match watcher.poll(1).unwrap() {
                Polled::Found { splits, gone } => {
                    let id = |id: &SplitId| id.to_string();
                    (
                        splits.iter().map(|s| id(&s.id)).collect::<Vec<_>>(),
                        gone.iter().map(id).collect::<Vec<_>>(),
                    )
                }
                _ => (vec![], vec![]),
            }
        };
        let nothing = || (Vec::<String>::new(), Vec::<String>::new());
        write("a");
        write("b");
        assert_eq!(at(&mut watcher, 10), nothing(), "c is missing from now on");
        remove("b");
        assert_eq!(at(&mut watcher, 20), nothing());
        write("b");
        assert_eq!(at(&mut watcher, 3000), nothing());
        remove("b");
        assert_eq!(at(&mut watcher, 3609), nothing());
        assert_eq!(at(&mut watcher, 3610), (vec![], vec!["c".into()]));
        assert_eq!(at(&mut watcher, 3620), (vec![], vec!["c".into()]), "until it is forgotten");
        watcher.forget(&BTreeSet::from([SplitId("c".into())]));
        let seen = FolderPosition { seen: vec!["a".into(), "b".into()] };
        assert_eq!(watcher.position(), seen.into());
        write("c");
        assert_eq!(at(&mut watcher, 3630), (vec!["c".into()], vec![]));
        assert_eq!(at(&mut watcher, 7300), (vec![], vec!["b".into()]));
    }

    #[test]
    fn only_a_folder_can_be_watched() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = FileSource::new("t", &file.path().display().to_string(), vec![]).unwrap();
        let clock = Arc::new(SetClock::at(0));
        assert!(
            source
                .watched(Duration::from_secs(1), clock)
                .is_err_and(|e| e.to_string().contains("is no folder"))
        );
    }
}
