//! Results as files of lines in a folder, each row exactly once (the `filesystem` connector).
//!
//! Called by `runtime` through [`Sink`]. A writer appends to a *part* whose name starts with a dot. `prepare` makes the
//! parts of an epoch durable and returns their names for the manifest; only when the manifest is durable does `commit`
//! rename them. What always holds: a file without a leading dot is complete and never changes; a part is visible if and
//! only if a manifest names it; a crash at any point is repaired by `recommit` (renames what was not yet) and `discard_uncommitted`
//! (removes the parts of this run that no manifest names), in this order, before anything is written. Readers may take files
//! away as soon as they have their final names.
//!
//! ```text
//! .part-<table>-<run>-<epoch>-<writer>-<number>.jsonl.inprogress   being written, or waiting for its manifest
//!  part-<table>-<run>-<epoch>-<writer>-<number>.jsonl              committed
//! ```
//!
//! A committed name holds the epoch that `prepare` was given. That of a part holds the epoch the writer expected, which
//! is wrong after a restore and does not matter: the manifest connects the two.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use super::{Guarantee, Rejected, Sink, SinkError, SinkRows, SinkWriter};
use crate::format::encode::{EncodeFormat, RowEncoder};
use crate::format::json::EncodeOptions;
use crate::private;

/// A part is closed when it is this large, so that readers get files they can handle.
const PART_BYTES_MAX: u64 = 256 << 20;
/// Encoded rows go to the file in pieces of about this size.
const BUFFER_BYTES: usize = 1 << 20;
/// Rows encoded between two looks at the buffer: bounds it at this many rows beyond `BUFFER_BYTES`.
const ROWS_PER_STEP: usize = 1024;
/// Parts left by a crash that a writer steps over before it gives up. `discard_uncommitted` leaves none.
const NAME_ATTEMPTS_MAX: u64 = 1000;
/// Common limit of a file name is 255 bytes; the rest is for epoch, writer, number and suffixes.
const NAME_PREFIX_BYTES_MAX: usize = 160;
const PART_SUFFIX: &str = ".inprogress";

/// Writes rows of one table into one folder.
pub struct FileSink {
    target: Arc<Target>,
    part_bytes_max: u64,
    folder_early: bool,
}

/// What all writers of the sink share.
struct Target {
    table: String,
    folder: PathBuf,
    /// `part-<table>-<run>-`
    prefix: String,
    schema: SchemaRef,
    format: EncodeFormat,
    /// Files, and the folder if it is made here, are for their owner alone.
    private: bool,
}

/// A finished part as the manifest holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StagedPart {
    part: String,
    name: String,
    length_bytes: u64,
    crc32c: u32,
}

impl FileSink {
    /// `run` becomes part of file names: letters, digits, `.`, `_` and `-` only. The folder is made by the first writer, so
    /// that a folder that cannot be made is found out at the start.
    pub fn new(
        table: &str,
        folder: PathBuf,
        run: &str,
        schema: SchemaRef,
        format: impl Into<EncodeFormat>,
    ) -> Result<FileSink, SinkError> {
        let target = Arc::new(Target::new(table, folder, run, schema, format.into())?);
        Ok(FileSink { target, part_bytes_max: PART_BYTES_MAX, folder_early: true })
    }

    /// The error stream: files of records as they came in, for their owner alone. Most jobs write none, so the folder is
    /// made with the first one.
    pub fn errors(folder: PathBuf, run: &str, schema: SchemaRef) -> Result<FileSink, SinkError> {
        let target = Target::new("errors", folder, run, schema, EncodeOptions::default().into())?;
        let target = Arc::new(Target { private: true, ..target });
        Ok(FileSink { target, part_bytes_max: PART_BYTES_MAX, folder_early: false })
    }

    /// Gives every part its name. `missing`: what it means that a part is neither staged nor there under its name.
    fn publish_all(&self, staged: &[Vec<u8>], missing: Missing) -> Result<(), SinkError> {
        let target = &self.target;
        let mut any = false;
        for text in staged {
            let parts: Vec<StagedPart> = serde_json::from_slice(text)
                .map_err(|e| target.refused(format!("the list of parts in the checkpoint cannot be read: {e}")))?;
            for part in &parts {
                target.publish(part, missing)?;
                any = true;
            }
        }
        // The folder may have been taken away with all that was in it.
        if any && target.folder.is_dir() { target.sync_folder() } else { Ok(()) }
    }
}

/// What it means that a part is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// It was never renamed: its rows are lost.
    Lost,
    /// It may have been renamed before a kill: then whoever reads the folder has it.
    Taken,
}

impl Sink for FileSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn writer(&self, worker: usize) -> Result<Box<dyn SinkWriter>, SinkError> {
        let target = Arc::clone(&self.target);
        if self.folder_early {
            target.create_folder()?;
        }
        let encoder = target
            .format
            .encoder(&target.schema)
            .map_err(|e| SinkError::Config { table: target.table.clone(), reason: e.to_string() })?;
        Ok(Box::new(FileWriter {
            target,
            worker,
            part_bytes_max: self.part_bytes_max,
            encoder,
            rejected: Vec::new(),
            buffer: Vec::new(),
            open: None,
            finished: Vec::new(),
            next_epoch: 1,
            next_number: 0,
            failed: false,
        }))
    }

    fn commit(&self, staged: &[Vec<u8>]) -> Result<(), SinkError> {
        self.publish_all(staged, Missing::Lost)
    }

    fn recommit(&self, staged: &[Vec<u8>]) -> Result<(), SinkError> {
        self.publish_all(staged, Missing::Taken)
    }

    fn discard_uncommitted(&self) -> Result<(), SinkError> {
        let target = &self.target;
        let entries = match fs::read_dir(&target.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(target.failed("list", &target.folder, &e)),
        };
        let mut any = false;
        for entry in entries {
            let entry = entry.map_err(|e| target.failed("list", &target.folder, &e))?;
            if entry.file_name().to_str().is_some_and(|name| target.is_own_part(name)) {
                fs::remove_file(entry.path()).map_err(|e| target.failed("remove", &entry.path(), &e))?;
                any = true;
            }
        }
        if any { target.sync_folder() } else { Ok(()) }
    }
}

impl Target {
    fn new(table: &str, folder: PathBuf, run: &str, schema: SchemaRef, format: EncodeFormat) -> Result<Target, SinkError> {
        let config = |reason: String| SinkError::Config { table: table.to_owned(), reason };
        if run.is_empty() || !run.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-')) {
            return Err(config(format!("the run id `{run}` cannot be part of a file name")));
        }
        let prefix = format!("part-{}-{run}-", file_name_of(table));
        if prefix.len() > NAME_PREFIX_BYTES_MAX {
            return Err(config("the table's name is too long to be part of a file name".into()));
        }
        // A type that the format cannot hold is reported here, not by the first worker.
        format.encoder(&schema).map_err(|e| config(e.to_string()))?;
        Ok(Target { table: table.to_owned(), folder, prefix, schema, format, private: false })
    }

    fn create_folder(&self) -> Result<(), SinkError> {
        create_folder(&self.folder, self.private).map_err(|e| self.failed("create the folder", &self.folder, &e))
    }

    fn failed(&self, action: &str, path: &Path, error: &io::Error) -> SinkError {
        self.refused(format!("{action} {}: {error}", path.display()))
    }

    fn refused(&self, reason: String) -> SinkError {
        SinkError::Write { table: self.table.clone(), reason }
    }

    fn sync_folder(&self) -> Result<(), SinkError> {
        sync_folder(&self.folder).map_err(|e| self.failed("sync", &self.folder, &e))
    }

    fn name(&self, epoch: u64, worker: usize, number: u64) -> String {
        format!("{}{epoch:08}-{worker}-{number}.{}", self.prefix, self.format.extension())
    }

    /// True for the parts of this table and run. The run `a` must not take those of a run `a-1`, so what follows the
    /// prefix has to be exactly three numbers.
    fn is_own_part(&self, name: &str) -> bool {
        let numbers = name
            .strip_prefix('.')
            .and_then(|name| name.strip_prefix(self.prefix.as_str()))
            .and_then(|name| name.strip_suffix(PART_SUFFIX))
            .and_then(|name| name.strip_suffix(self.format.extension()))
            .and_then(|name| name.strip_suffix('.'));
        numbers.is_some_and(|numbers| {
            let is_number = |n: &str| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit());
            numbers.split('-').count() == 3 && numbers.split('-').all(is_number)
        })
    }

    /// Gives a part its final name, unless an earlier attempt has done so.
    fn publish(&self, staged: &StagedPart, missing: Missing) -> Result<(), SinkError> {
        // Names come from our manifest; one that would leave the folder is damage.
        if [&staged.part, &staged.name].iter().any(|name| Path::new(name).file_name() != Some(name.as_ref())) {
            return Err(self.refused(format!("`{}` in the checkpoint is not a file name", staged.name)));
        }
        let (part, name) = (self.folder.join(&staged.part), self.folder.join(&staged.name));
        // The final name first: a writer that was killed after an earlier resume may have left a younger part under the same
        // temporary name, and that one is not ours to publish.
        match fs::metadata(&name) {
            Ok(found) => {
                let is_same_length = found.len() == staged.length_bytes;
                if is_same_length && checksum(&name).map_err(|e| self.failed("read", &name, &e))? == staged.crc32c {
                    return Ok(());
                }
                return Err(self.refused(format!(
                    "{} ({} bytes) is not the file of {} bytes that the checkpoint names: move it elsewhere and start again",
                    name.display(),
                    found.len(),
                    staged.length_bytes
                )));
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(self.failed("look at", &name, &e)),
        }
        match fs::metadata(&part) {
            Ok(found) => {
                if found.len() != staged.length_bytes {
                    let (path, found, expected) = (part.display(), found.len(), staged.length_bytes);
                    return Err(self.refused(format!("{path} has {found} bytes, the checkpoint says {expected}")));
                }
                fs::rename(&part, &name).map_err(|e| self.failed("rename", &part, &e))
            }
            Err(e) if e.kind() == ErrorKind::NotFound && missing == Missing::Taken => {
                tracing::warn!(
                    "table {}: {} ({} bytes) had its name, or was about to, when the job was killed, and is not in the folder any \
                     more; it counts as taken by a reader and is not written again",
                    self.table,
                    name.display(),
                    staged.length_bytes
                );
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Err(self.refused(format!(
                "a part named by the checkpoint is gone: neither {} nor {} exists",
                part.display(),
                name.display()
            ))),
            Err(e) => Err(self.failed("look at", &part, &e)),
        }
    }
}

/// One worker's parts.
struct FileWriter {
    target: Arc<Target>,
    worker: usize,
    part_bytes_max: u64,
    encoder: RowEncoder,
    /// Rows that the format has no form for.
    rejected: Vec<Rejected>,
    /// Encoded rows that are not in the file yet.
    buffer: Vec<u8>,
    open: Option<OpenPart>,
    /// Synced parts of the coming epoch, with their numbers.
    finished: Vec<(u64, StagedPart)>,
    next_epoch: u64,
    next_number: u64,
    /// Set by the first failure: what the part then holds is unknown, so nothing may be added to it or staged.
    failed: bool,
}

struct OpenPart {
    file: File,
    part: String,
    number: u64,
    length_bytes: u64,
    crc32c: u32,
}

impl SinkWriter for FileWriter {
    fn write(&mut self, rows: &SinkRows) -> Result<(), SinkError> {
        self.guarded(|writer| writer.write_batch(rows))
    }

    fn prepare(&mut self, epoch: u64) -> Result<Vec<u8>, SinkError> {
        self.guarded(|writer| writer.stage(epoch))
    }

    fn take_rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }
}

impl FileWriter {
    fn guarded<T>(&mut self, step: impl FnOnce(&mut FileWriter) -> Result<T, SinkError>) -> Result<T, SinkError> {
        if self.failed {
            return Err(self.target.refused("an earlier write failed: resume from the last checkpoint".into()));
        }
        let result = step(self);
        self.failed = result.is_err();
        result
    }

    fn write_batch(&mut self, rows: &SinkRows) -> Result<(), SinkError> {
        let writable = self.encoder.writable(&rows.batch);
        let batch = writable.as_ref().map_or(&rows.batch, |(batch, _)| batch);
        let others = writable.as_ref().map_or(0, |(_, others)| *others);
        let rejected = Rejected { row: "null".into(), reason: "the format raw has no form for NULL".into() };
        self.rejected.extend(std::iter::repeat_n(rejected, others));
        let count = batch.num_rows();
        let mut start = 0;
        while start < count {
            let end = count.min(start + ROWS_PER_STEP);
            self.encoder.encode_rows(batch, start..end, &mut self.buffer);
            start = end;
            let part_bytes = self.open.as_ref().map_or(0, |part| part.length_bytes) + self.buffer.len() as u64;
            if part_bytes >= self.part_bytes_max {
                self.finish_part()?;
            } else if self.buffer.len() >= BUFFER_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn stage(&mut self, epoch: u64) -> Result<Vec<u8>, SinkError> {
        self.finish_part()?;
        self.next_epoch = epoch + 1;
        self.next_number = 0;
        if self.finished.is_empty() {
            return Ok(Vec::new());
        }
        // The parts must be found under their names after a power failure, too.
        self.target.sync_folder()?;
        let (target, worker) = (&self.target, self.worker);
        let staged: Vec<StagedPart> = self
            .finished
            .drain(..)
            .map(|(number, part)| StagedPart { name: target.name(epoch, worker, number), ..part })
            .collect();
        serde_json::to_vec(&staged).map_err(|e| target.refused(format!("list the parts of epoch {epoch}: {e}")))
    }

    /// Moves the buffer into the part, which is opened by its first bytes: no rows, no file.
    fn flush(&mut self) -> Result<(), SinkError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.open.is_none() {
            self.open = Some(self.create_part()?);
        }
        if let Some(part) = &mut self.open {
            let path = self.target.folder.join(&part.part);
            part.file.write_all(&self.buffer).map_err(|e| self.target.failed("write", &path, &e))?;
            part.length_bytes += self.buffer.len() as u64;
            part.crc32c = crc32c::crc32c_append(part.crc32c, &self.buffer);
            self.buffer.clear();
        }
        Ok(())
    }

    fn create_part(&mut self) -> Result<OpenPart, SinkError> {
        self.target.create_folder()?;
        for _ in 0..NAME_ATTEMPTS_MAX {
            let number = self.next_number;
            self.next_number += 1;
            let part = format!(".{}{PART_SUFFIX}", self.target.name(self.next_epoch, self.worker, number));
            let path = self.target.folder.join(&part);
            // Never opens a file that exists: it may be waiting for the commit of a restored epoch.
            let mut options = if self.target.private { private::file_options() } else { OpenOptions::new() };
            match options.write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(OpenPart { file, part, number, length_bytes: 0, crc32c: 0 }),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(self.target.failed("create", &path, &e)),
            }
        }
        Err(self.target.refused(format!("{} is full of unfinished parts of this run", self.target.folder.display())))
    }

    /// Closes the open part, so that a crash can no longer lose any of it.
    fn finish_part(&mut self) -> Result<(), SinkError> {
        self.flush()?;
        if let Some(OpenPart { file, part, number, length_bytes, crc32c }) = self.open.take() {
            let path = self.target.folder.join(&part);
            file.sync_all().map_err(|e| self.target.failed("sync", &path, &e))?;
            // The final name is known when the epoch is.
            self.finished.push((number, StagedPart { part, name: String::new(), length_bytes, crc32c }));
        }
        Ok(())
    }
}

/// A table's name with everything but letters, digits and `_` as `%xx`; so it holds no `-`, which separates.
fn file_name_of(table: &str) -> String {
    let mut out = String::new();
    for c in table.bytes() {
        if c.is_ascii_alphanumeric() || c == b'_' {
            out.push(char::from(c));
        } else {
            out.push_str(&format!("%{c:02x}"));
        }
    }
    out
}

/// Creates the folder and makes its own entry, and those of the parents made with it, durable. `private`: it is for its
/// owner alone; its parents are not.
fn create_folder(folder: &Path, private: bool) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_folder(parent, false)?;
    match if private { private::create_folder(folder) } else { fs::create_dir(folder) } {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    sync_folder(parent)
}

fn checksum(path: &Path) -> io::Result<u32> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut crc32c = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(crc32c),
            read => crc32c = crc32c::crc32c_append(crc32c, &buffer[..read]),
        }
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
