//! Which files have come into a folder? The split that looks for them.
//!
//! Called by `runtime` as any other split of a folder that is watched (`source.monitor-interval`).
//! It has no records: from time to time it lists the folder and gives the files it has not seen as
//! new splits. What always holds: a file is given once, by its name; its position holds all names
//! given, so one that is deleted and comes again is not read again. A file is read to the end that
//! it has when it is reached: writers should rename finished files into the folder.

use std::collections::BTreeSet;
use std::time::Duration;

use super::position::FolderPosition;
use crate::connector::filesystem::source::{list, start_of};
use crate::source::{Polled, Position, SourceError, SplitId, SplitReader};
use crate::time::clock::SharedClock;
use crate::who::Who;

/// The watcher's split. No file that is read begins with a dot.
pub(super) const SPLIT: &str = ".watch";

pub(super) struct Watcher {
    pub table: String,
    pub root: std::path::PathBuf,
    pub every: Duration,
    pub clock: SharedClock,
    pub seen: BTreeSet<String>,
    /// When the folder was listed last.
    pub listed: Duration,
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
        let new: Vec<String> = names.into_iter().filter(|name| !self.seen.contains(name)).collect();
        if new.is_empty() {
            return Ok(Polled::Pending { empty: None });
        }
        let splits = new.iter().map(|name| start_of(name)).collect();
        self.seen.extend(new);
        Ok(Polled::Found { splits })
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
                Polled::Found { splits } => {
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
            matches!(again.poll(1).unwrap(), Polled::Found { splits } if splits.len() == 1 && &*splits[0].id.0 == "e")
        );
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
