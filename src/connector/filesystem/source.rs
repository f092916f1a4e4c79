//! Files of lines as a source: a file or a folder, each file a split.
//!
//! Connector `filesystem`. What always holds: a record is a line without its end (`\n` or `\r\n`),
//! or in CSV some lines if a quoted field spans them; blank lines are counted but, in JSON, not
//! delivered; the last line needs no end; a position is the offset after the last line delivered,
//! so a file may grow between two runs but not shrink.

mod changes;
mod position;
mod watch;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMillisecondArray};
use flate2::bufread::MultiGzDecoder;

use changes::FirstLooks;
use position::{FilePosition, FolderPosition};

use crate::format::csv::{Dialect, RecordEnds};

use crate::record::{Places, RECORD_BYTES_MAX, RawBatch, Span};
use crate::time::clock::SharedClock;
use crate::wake::Wake;
use crate::who::{Again, Who};

use crate::source::{
    Polled, Position, ReadAhead, RunState, Source, SourceError, SplitId, SplitReader, SplitSeed,
    StoredSplit,
};

/// Bytes read at a time.
const BLOCK_BYTES: usize = 256 << 10;
/// Lines read ahead to learn a file's first event time.
const PEEK_RECORDS: usize = 16;
/// Bytes of a compressed file that are dropped in one poll on the way to a position: some
/// milliseconds of decompressing, which the worker's other splits and its barriers wait for.
const SKIPPED_AT_ONCE_BYTES: u64 = 4 << 20;
/// Files that a worker reads side by side: enough to keep pace with files that are parallel in
/// time, few enough to leave files that follow one another closed.
const OPEN_AT_ONCE: usize = 4;

/// Metadata columns of the connector: Flink's names.
pub const METADATA_KEYS: [&str; 4] =
    ["file.path", "file.name", "file.size", "file.modification-time"];

pub(crate) struct FileSource {
    table: String,
    root: PathBuf,
    metadata: Vec<String>,
    framing: Framing,
    /// How often the folder is looked through for new files.
    watch: Option<(Duration, SharedClock)>,
    /// How the files looked when the run began.
    first_looks: OnceLock<FirstLooks>,
}

/// What is a record of a file?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A line that is not blank.
    Lines,
    /// Any line.
    AllLines,
    /// A line, or several if a quoted field spans them.
    Csv(Dialect),
}

impl FileSource {
    /// `path`: a file, or a folder whose files are read (not those that start with `.` or `_`).
    /// `metadata`: keys of the metadata columns that are wanted, each one of [`METADATA_KEYS`].
    pub fn new(table: &str, path: &str, metadata: Vec<String>) -> Result<FileSource, SourceError> {
        let root = PathBuf::from(path.strip_prefix("file://").unwrap_or(path));
        if let Some(unknown) = metadata.iter().find(|m| !METADATA_KEYS.contains(&m.as_str())) {
            let reason = format!(
                "there is no metadata '{unknown}'; the connector has {}",
                METADATA_KEYS.join(", ")
            );
            return Err(SourceError::Config { table: table.into(), reason });
        }
        Ok(FileSource {
            table: table.into(),
            root,
            metadata,
            framing: Framing::Lines,
            watch: None,
            first_looks: OnceLock::new(),
        })
    }

    /// The same with other records than lines that are not blank.
    pub(crate) fn framed(self, framing: Framing) -> FileSource {
        FileSource { framing, ..self }
    }

    /// The same, without an end: every so often the folder is looked through for new files.
    pub fn watched(self, every: Duration, clock: SharedClock) -> Result<FileSource, SourceError> {
        if !self.root.is_dir() {
            let reason = format!(
                "{} is no folder, and 'source.monitor-interval' watches one",
                self.root.display()
            );
            return Err(SourceError::Config { table: self.table, reason });
        }
        Ok(FileSource { watch: Some((every, clock)), ..self })
    }

    fn path_of(&self, split: &SplitId) -> PathBuf {
        if self.root.is_dir() { self.root.join(&*split.0) } else { self.root.clone() }
    }

    /// `wake`: called when a poll has given nothing and the next may give more.
    fn reader(
        &self,
        split: &SplitId,
        position: &Position,
        wake: Wake,
    ) -> Result<FileReader, SourceError> {
        let FilePosition { offset, lines } =
            FilePosition::of(position).map_err(|e| SourceError::not_read(&self.table, &e))?;
        let path = self.path_of(split);
        let error = |e: std::io::Error| SourceError::Read {
            table: self.table.clone(),
            split: split.clone(),
            reason: format!("{}: {e}", path.display()),
            who: Who::of_io(&e),
        };
        let mut file = File::open(&path).map_err(error)?;
        // A compressed file has no place to go to: what was read already is decompressed again and
        // dropped, poll by poll.
        let (content, to_skip): (Box<dyn Read + Send>, u64) = if is_gzip(&path) {
            (Box::new(MultiGzDecoder::new(BufReader::new(file))), offset)
        } else {
            let length = file.metadata().map_err(error)?.len();
            if length < offset {
                return Err(cut(&self.table, split, &path, length, offset));
            }
            file.seek(SeekFrom::Start(offset)).map_err(error)?;
            (Box::new(file), 0)
        };
        Ok(FileReader {
            table: self.table.clone(),
            split: split.clone(),
            metadata: self.metadata.clone(),
            framing: self.framing,
            path,
            content,
            to_skip,
            wake,
            offset,
            lines,
            tail: Vec::new(),
            ended: false,
            read_bytes: 0,
            cut_bytes: 0,
        })
    }
}

impl Source for FileSource {
    fn discover(&self) -> Result<Vec<SplitSeed>, SourceError> {
        let failed =
            |reason: String, who| SourceError::Failed { table: self.table.clone(), reason, who };
        if !self.root.is_dir() {
            if !self.root.exists() {
                let reason = format!(
                    "{} does not exist; 'path' names a file or a folder of files",
                    self.root.display()
                );
                return Err(failed(reason, Who::Outside(Again::IsInVain)));
            }
            return Ok(vec![start_of(&file_name(&self.root))]);
        }
        let names = list(&self.root)
            .map_err(|e| failed(format!("{}: {e}", self.root.display()), Who::of_io(&e)))?;
        let mut splits: Vec<SplitSeed> = names.iter().map(|name| start_of(name)).collect();
        if self.watch.is_some() {
            let start = FolderPosition { seen: names }.into();
            splits.push(SplitSeed { id: SplitId(watch::SPLIT.into()), parents: vec![], start });
        }
        Ok(splits)
    }

    fn open(
        &self,
        split: &SplitId,
        position: &Position,
        ahead: ReadAhead,
    ) -> Result<Box<dyn SplitReader>, SourceError> {
        match &self.watch {
            Some((every, clock)) if self.finds(split) => {
                let position = FolderPosition::of(position)
                    .map_err(|e| SourceError::not_read(&self.table, &e))?;
                Ok(Box::new(watch::Watcher::new(
                    self.table.clone(),
                    self.root.clone(),
                    *every,
                    clock.clone(),
                    position.seen,
                )))
            }
            _ => Ok(Box::new(self.reader(split, position, ahead.wake)?)),
        }
    }

    fn bounded(&self) -> bool {
        self.watch.is_none()
    }

    fn finds(&self, split: &SplitId) -> bool {
        *split.0 == *watch::SPLIT
    }

    fn peek(&self, split: &SplitId) -> Result<Option<RawBatch>, SourceError> {
        if self.finds(split) {
            return Ok(None);
        }
        match self
            .reader(split, &FilePosition::START.into(), Arc::new(|| {}))?
            .poll(PEEK_RECORDS)?
        {
            Polled::Records(batch) => Ok(Some(batch)),
            _ => Ok(None),
        }
    }

    fn setup(&self, stored: Option<&RunState>) -> Result<Option<RunState>, SourceError> {
        let looks = match stored {
            Some(stored) => {
                FirstLooks::of(stored).map_err(|e| SourceError::not_read(&self.table, &e))?
            }
            None => {
                // What cannot be listed is said by `discover`.
                let splits = self.discover().unwrap_or_default();
                FirstLooks::taken(
                    splits.iter().map(|split| (&*split.id.0, self.path_of(&split.id))),
                )
            }
        };
        let kept = looks.kept();
        // Called once at a start.
        let _ = self.first_looks.set(looks);
        Ok(Some(kept))
    }

    fn audit(&self, splits: &[StoredSplit<'_>]) -> Vec<String> {
        let is_unwatched_folder = self.watch.is_none() && self.root.is_dir();
        let new = is_unwatched_folder.then(|| changes::new_files(&self.root, splits)).flatten();
        let of_files = splits.iter().filter_map(|split| {
            let first = self.first_looks.get().and_then(|looks| looks.get(split.id));
            changes::of_file(&self.path_of(&SplitId(split.id.into())), split, first)
        });
        of_files.chain(new).collect()
    }

    fn open_at_once(&self) -> Option<usize> {
        Some(OPEN_AT_ONCE)
    }

    fn size_hint_bytes(&self) -> Option<u64> {
        if self.watch.is_some() {
            return None;
        }
        let splits = self.discover().ok()?;
        // What a compressed file holds is known at its end only.
        let size = |path: PathBuf| {
            if is_gzip(&path) { None } else { Some(std::fs::metadata(path).ok()?.len()) }
        };
        splits.iter().map(|s| size(self.path_of(&s.id))).sum()
    }
}

/// A file from its first line.
fn start_of(name: &str) -> SplitSeed {
    SplitSeed { id: SplitId(name.into()), parents: vec![], start: FilePosition::START.into() }
}

/// Names of a folder's files, ascending: not those that start with `.` or `_`.
fn list(root: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(['.', '_']) && entry.path().is_file() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "gz")
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

/// A file does not have what was read of it.
fn cut(table: &str, split: &SplitId, path: &Path, length: u64, offset: u64) -> SourceError {
    let reason = format!(
        "{} has {length} bytes, but {offset} were read already: it was cut or replaced",
        path.display()
    );
    SourceError::Read {
        table: table.into(),
        split: split.clone(),
        reason,
        who: Who::Outside(Again::IsInVain),
    }
}

struct FileReader {
    table: String,
    split: SplitId,
    metadata: Vec<String>,
    framing: Framing,
    path: PathBuf,
    content: Box<dyn Read + Send>,
    /// Bytes of the content that were read before the position it was opened at, and are still to be
    /// dropped.
    to_skip: u64,
    wake: Wake,
    /// After the last line delivered.
    offset: u64,
    lines: u64,
    /// Read but not delivered: what stands at `offset`.
    tail: Vec<u8>,
    ended: bool,
    read_bytes: u64,
    cut_bytes: u64,
}

impl FileReader {
    fn error(&self, error: &std::io::Error) -> SourceError {
        SourceError::Read {
            table: self.table.clone(),
            split: self.split.clone(),
            reason: format!("{}: {error}", self.path.display()),
            who: Who::of_io(error),
        }
    }

    /// Drops a part of what is to be skipped.
    fn skip(&mut self) -> Result<(), SourceError> {
        let most = self.to_skip.min(SKIPPED_AT_ONCE_BYTES);
        let skipped = std::io::copy(&mut self.content.by_ref().take(most), &mut std::io::sink())
            .map_err(|e| self.error(&e))?;
        self.to_skip -= skipped;
        if skipped < most {
            let length = self.offset - self.to_skip;
            return Err(cut(&self.table, &self.split, &self.path, length, self.offset));
        }
        Ok(())
    }

    /// Appends a block to `bytes`; notes the end of the file.
    fn fill(&mut self, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        let from = bytes.len();
        bytes.resize(from + BLOCK_BYTES, 0);
        let n = self.content.read(&mut bytes[from..]).map_err(|e| self.error(&e))?;
        bytes.truncate(from + n);
        self.ended = n == 0;
        Ok(())
    }

    /// Drops what is too much of the line at `at` and reads on to its end. What is left is no whole
    /// record, so the decoder refuses it and the error stream keeps it.
    fn cut_line(&mut self, bytes: &mut Vec<u8>, at: usize) -> Result<(), SourceError> {
        let mut rest = bytes.split_off(at + RECORD_BYTES_MAX);
        let mut skipped = rest.len();
        loop {
            rest.clear();
            self.fill(&mut rest)?;
            match memchr::memchr(b'\n', &rest) {
                Some(end) => {
                    skipped += end + 1;
                    bytes.extend_from_slice(&rest[end + 1..]);
                    break;
                }
                None if self.ended => break,
                None => skipped += rest.len(),
            }
        }
        self.lines += 1;
        let whole = (RECORD_BYTES_MAX + skipped) as u64;
        self.offset += whole;
        self.read_bytes += whole;
        self.cut_bytes += skipped as u64;
        tracing::warn!(
            "table {}, {}: line {} has {whole} bytes; it is cut to {RECORD_BYTES_MAX}",
            self.table,
            self.split,
            self.lines
        );
        Ok(())
    }

    fn metadata_columns(&self, rows: usize) -> Result<Vec<ArrayRef>, SourceError> {
        if self.metadata.is_empty() {
            return Ok(vec![]);
        }
        let meta = std::fs::metadata(&self.path).map_err(|e| self.error(&e))?;
        let text = |t: String| {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(t, rows))) as ArrayRef
        };
        let columns = self.metadata.iter().map(|key| match key.as_str() {
            "file.path" => text(self.path.display().to_string()),
            "file.name" => text(file_name(&self.path)),
            "file.size" => Arc::new(Int64Array::from_value(meta.len() as i64, rows)),
            _ => Arc::new(
                TimestampMillisecondArray::from_value(changes::modified_ms(&meta), rows)
                    .with_timezone("UTC"),
            ),
        });
        Ok(columns.collect())
    }
}

/// The search for the end of one record. It goes on where it stopped when there are more bytes.
enum Search {
    Line { seen: usize },
    Csv(RecordEnds),
}

impl Search {
    fn new(framing: Framing) -> Search {
        match framing {
            Framing::Lines | Framing::AllLines => Search::Line { seen: 0 },
            Framing::Csv(dialect) => Search::Csv(RecordEnds::new(dialect)),
        }
    }

    /// Where the line feed that ends the record stands in `bytes`, which start with the record.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Search::Csv(ends) => ends.find(bytes),
            Search::Line { seen } => {
                let found = memchr::memchr(b'\n', &bytes[*seen..]).map(|n| *seen + n);
                *seen = bytes.len();
                found
            }
        }
    }
}

impl SplitReader for FileReader {
    fn poll(&mut self, max_records: usize) -> Result<Polled, SourceError> {
        if self.to_skip > 0 {
            self.skip()?;
            if self.to_skip > 0 {
                (self.wake)();
                return Ok(Polled::Pending { empty: None });
            }
        }
        let mut bytes = std::mem::take(&mut self.tail);
        let mut spans = Vec::new();
        let mut numbers = Vec::new();
        let mut at = 0;
        let mut search = Search::new(self.framing);
        while spans.len() < max_records {
            let end = search.end(&bytes[at..]).map(|n| at + n);
            let (line_end, next) = match end {
                Some(end) => (end, end + 1),
                None if self.ended && at < bytes.len() => (bytes.len(), bytes.len()),
                None if self.ended => break,
                None => {
                    if bytes.len() - at > RECORD_BYTES_MAX {
                        self.cut_line(&mut bytes, at)?;
                        spans.push(Span { start: at as u32, end: (at + RECORD_BYTES_MAX) as u32 });
                        numbers.push(self.lines);
                        at += RECORD_BYTES_MAX;
                        search = Search::new(self.framing);
                        continue;
                    }
                    // Enough for a batch: the rest comes with the next one.
                    if !spans.is_empty() && bytes.len() > BLOCK_BYTES * 8 {
                        break;
                    }
                    self.fill(&mut bytes)?;
                    continue;
                }
            };
            let stop =
                if line_end > at && bytes[line_end - 1] == b'\r' { line_end - 1 } else { line_end };
            let record = &bytes[at..stop];
            if self.framing != Framing::Lines || !record.iter().all(u8::is_ascii_whitespace) {
                spans.push(Span { start: at as u32, end: stop as u32 });
                // The line where it begins.
                numbers.push(self.lines + 1);
            }
            self.lines += 1;
            if let Framing::Csv(_) = self.framing {
                self.lines += memchr::memchr_iter(b'\n', record).count() as u64;
            }
            self.offset += (next - at) as u64;
            self.read_bytes += (next - at) as u64;
            at = next;
            search = Search::new(self.framing);
        }
        self.tail = bytes[at..].to_vec();
        if spans.is_empty() {
            return Ok(Polled::End { children: vec![] });
        }
        bytes.truncate(at);
        let metadata = self.metadata_columns(spans.len())?;
        let places = Places::Lines { numbers };
        Ok(Polled::Records(RawBatch { bytes, spans, places, metadata, ops: None }))
    }

    fn position(&self) -> Position {
        FilePosition { offset: self.offset, lines: self.lines }.into()
    }

    fn bytes_read(&self) -> u64 {
        self.read_bytes
    }

    fn take_bytes_cut(&mut self) -> u64 {
        std::mem::take(&mut self.cut_bytes)
    }
}

#[cfg(test)]
mod tests;
