//! Results as files of lines in a folder, each row exactly once (the `filesystem` connector).
//!
//! Called by `runtime` through [`Sink`]. A writer appends to a *part* whose name starts with a dot.
//! `begin_prepare` has the parts of an epoch made durable, large ones beside the worker, and then
//! gives their names for the manifest;
//! only when the manifest is durable does `commit` rename them. What always holds: a file without a
//! leading dot is complete and never changes; a part is visible if and only if a manifest names it;
//! a crash at any point is repaired by `recommit` (renames what was not yet) and
//! `discard_uncommitted` (removes the parts of this run that no manifest names), in this order,
//! before anything is written. Readers may take files away as soon as they have their final names.
//!
//! ```text
//! .part-<table>-<run>-<epoch>-<writer>-<number>.jsonl.inprogress   being written, or waiting for its manifest
//!  part-<table>-<run>-<epoch>-<writer>-<number>.jsonl              committed
//! ```
//!
//! A committed name holds the epoch that `begin_prepare` was given. That of a part holds the epoch
//! the writer expected, which is wrong after a restore and does not matter: the manifest connects
//! the two.

mod publish;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};

use arrow::datatypes::SchemaRef;

use publish::{Missing, StagedPart};

use crate::files::{Access, Existing, FileWriter as OpenFile, Files};
use crate::format::encode::{EncodeFormat, RowEncoder};
use crate::format::json::EncodeOptions;
use crate::ids::Epoch;
use crate::rows::Rows;
use crate::sink::{Afterwards, Guarantee, Prepared, Rejected, Sink, SinkError, SinkWriter};
use crate::tasks::{Stopped, Tasks};
use crate::wake::Wake;
use crate::who::{Again, Who};

/// A part is closed when it is this large, so that readers get files they can handle.
const PART_BYTES_MAX: u64 = 256 << 20;
/// Encoded rows go to the file in pieces of about this size.
const BUFFER_BYTES: usize = 1 << 20;
/// Rows encoded between two looks at the buffer: bounds it at this many rows beyond `BUFFER_BYTES`.
const ROWS_PER_STEP: usize = 1024;
/// Parts left by a crash that a writer steps over before it gives up. `discard_uncommitted` leaves
/// none.
const NAME_ATTEMPTS_MAX: u64 = 1000;
/// Common limit of a file name is 255 bytes; the rest is for epoch, writer, number and suffixes.
const NAME_PREFIX_BYTES_MAX: usize = 160;
const PART_SUFFIX: &str = ".inprogress";

/// A part of so many bytes or more is synced beside the worker, which would wait for the disk as
/// long as that takes to write them. In tests, whose parts are small, some are that large.
const SYNCED_ASIDE_BYTES: u64 = if cfg!(test) { 200 } else { 1 << 20 };

/// Writes rows of one table into one folder.
pub(crate) struct FileSink {
    target: Arc<Target>,
    part_bytes_max: u64,
    folder_early: bool,
    aside: Option<Aside>,
}

/// Where large parts are synced.
#[derive(Clone)]
struct Aside {
    tasks: Tasks,
    from_bytes: u64,
}

/// What all writers of the sink share.
struct Target {
    files: Arc<dyn Files>,
    table: String,
    folder: PathBuf,
    /// `part-<table>-<run>-`
    prefix: String,
    schema: SchemaRef,
    format: EncodeFormat,
    /// To files, and to the folder if it is made here.
    access: Access,
    /// The folder's name was made durable by this process.
    is_folder_durable: AtomicBool,
}

impl FileSink {
    /// `run` becomes part of file names: letters, digits, `.`, `_` and `-` only. The folder is made
    /// by the first writer, so that a folder that cannot be made is found out at the start.
    pub fn new(
        files: Arc<dyn Files>,
        table: &str,
        folder: PathBuf,
        run: &str,
        schema: SchemaRef,
        format: impl Into<EncodeFormat>,
    ) -> Result<FileSink, SinkError> {
        let target = Arc::new(Target::new(files, table, folder, run, schema, format.into())?);
        Ok(FileSink { target, part_bytes_max: PART_BYTES_MAX, folder_early: true, aside: None })
    }

    /// The same; large parts are synced by tasks, not by the worker.
    pub fn syncing_aside(self, tasks: Tasks) -> FileSink {
        FileSink { aside: Some(Aside { tasks, from_bytes: SYNCED_ASIDE_BYTES }), ..self }
    }

    /// The error stream: files of records as they came in, for their owner alone. Most jobs write
    /// none, so the folder is made with the first one.
    pub fn errors(
        files: Arc<dyn Files>,
        folder: PathBuf,
        run: &str,
        schema: SchemaRef,
    ) -> Result<FileSink, SinkError> {
        let format = EncodeOptions::default().into();
        let target = Target::new(files, "errors", folder, run, schema, format)?;
        let target = Arc::new(Target { access: Access::OwnerOnly, ..target });
        Ok(FileSink { target, part_bytes_max: PART_BYTES_MAX, folder_early: false, aside: None })
    }
}

impl Sink for FileSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn writer(&self, writer: usize, wake: Wake) -> Result<Box<dyn SinkWriter>, SinkError> {
        let target = Arc::clone(&self.target);
        if self.folder_early {
            target.create_folder()?;
        }
        let encoder = target.format.encoder(&target.schema).map_err(|e| SinkError::Config {
            table: target.table.clone(),
            reason: e.to_string(),
        })?;
        Ok(Box::new(FileWriter {
            target,
            number: writer,
            part_bytes_max: self.part_bytes_max,
            encoder,
            wake,
            aside: self.aside.clone(),
            rejected: Vec::new(),
            buffer: Vec::new(),
            open: None,
            finished: Vec::new(),
            preparing: None,
            next_epoch: Epoch::START.next(),
            next_number: 0,
            failed: false,
        }))
    }

    fn commit(&self, staged: &[Vec<u8>]) -> Result<(), SinkError> {
        self.target.publish_all(staged, Missing::Lost)
    }

    fn recommit(&self, staged: &[Vec<u8>]) -> Result<(), SinkError> {
        self.target.publish_all(staged, Missing::Taken)
    }

    fn discard_uncommitted(&self) -> Result<(), SinkError> {
        let target = &self.target;
        let entries = match target.files.list(&target.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(target.failed("list", &target.folder, &e)),
        };
        let mut any = false;
        for entry in entries {
            if entry.name.to_str().is_some_and(|name| target.is_own_part(name)) {
                target
                    .files
                    .remove_file(&entry.path)
                    .map_err(|e| target.failed("remove", &entry.path, &e))?;
                any = true;
            }
        }
        if any { target.sync_folder() } else { Ok(()) }
    }
}

impl Target {
    fn new(
        files: Arc<dyn Files>,
        table: &str,
        folder: PathBuf,
        run: &str,
        schema: SchemaRef,
        format: EncodeFormat,
    ) -> Result<Target, SinkError> {
        let config = |reason: String| SinkError::Config { table: table.to_owned(), reason };
        if run.is_empty()
            || !run.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
        {
            return Err(config(format!("the run id `{run}` cannot be part of a file name")));
        }
        let prefix = format!("part-{}-{run}-", file_name_of(table));
        if prefix.len() > NAME_PREFIX_BYTES_MAX {
            return Err(config("the table's name is too long to be part of a file name".into()));
        }
        // A type that the format cannot hold is reported here, not by the first worker.
        format.encoder(&schema).map_err(|e| config(e.to_string()))?;
        Ok(Target {
            files,
            table: table.to_owned(),
            folder,
            prefix,
            schema,
            format,
            access: Access::AsUsual,
            is_folder_durable: AtomicBool::new(false),
        })
    }

    fn create_folder(&self) -> Result<(), SinkError> {
        // Whoever reads the folder may have taken it away.
        if self.is_folder_durable.load(Ordering::Relaxed) && self.files.is_folder(&self.folder) {
            return Ok(());
        }
        self.files
            .create_folder_durably(&self.folder, self.access)
            .map_err(|e| self.failed("create the folder", &self.folder, &e))?;
        self.is_folder_durable.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn failed(&self, action: &str, path: &Path, error: &io::Error) -> SinkError {
        self.refused(Who::of_io(error), format!("{action} {}: {error}", path.display()))
    }

    fn refused(&self, who: Who, reason: String) -> SinkError {
        SinkError::Write { table: self.table.clone(), reason, who }
    }

    fn sync_folder(&self) -> Result<(), SinkError> {
        self.files.sync_folder(&self.folder).map_err(|e| self.failed("sync", &self.folder, &e))
    }

    fn name(&self, epoch: Epoch, writer: usize, number: u64) -> String {
        format!("{}{epoch:08}-{writer}-{number}.{}", self.prefix, self.format.extension())
    }

    /// True for the parts of this table and run. The run `a` must not take those of a run `a-1`, so
    /// what follows the prefix has to be exactly three numbers.
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
}

/// One worker's parts.
struct FileWriter {
    target: Arc<Target>,
    /// Its own among the writers of the table.
    number: usize,
    part_bytes_max: u64,
    encoder: RowEncoder,
    wake: Wake,
    aside: Option<Aside>,
    /// Rows that the format has no form for.
    rejected: Vec<Rejected>,
    /// Encoded rows that are not in the file yet.
    buffer: Vec<u8>,
    open: Option<OpenPart>,
    /// Closed parts of the coming epoch.
    finished: Vec<FinishedPart>,
    /// What is being made durable of the epoch whose barrier has come.
    preparing: Option<Preparing>,
    next_epoch: Epoch,
    next_number: u64,
    /// Set by the first failure: what the part then holds is unknown, so nothing may be added to it
    /// or staged.
    failed: bool,
}

struct OpenPart {
    file: Box<dyn OpenFile>,
    part: String,
    number: u64,
    length_bytes: u64,
    crc32c: u32,
}

/// A part that nothing is added to any more. Its final name is known when the epoch is.
struct FinishedPart {
    part: String,
    number: u64,
    length_bytes: u64,
    crc32c: u32,
    /// What came of its sync, if that is done beside the worker.
    synced: Option<Receiver<io::Result<()>>>,
}

/// A writer's part of an epoch that is not durable yet.
struct Preparing {
    staged: Vec<u8>,
    /// Rows from before the barrier.
    rejected: Vec<Rejected>,
    /// Syncs under way, with the names of the parts.
    syncs: Vec<(String, Receiver<io::Result<()>>)>,
}

impl SinkWriter for FileWriter {
    fn write(&mut self, rows: &Rows) -> Result<(), SinkError> {
        self.guarded(|writer| writer.write_batch(rows))
    }

    fn begin_prepare(
        &mut self,
        epoch: Epoch,
        _afterwards: Afterwards,
    ) -> Result<Prepared, SinkError> {
        let preparing = self.guarded(|writer| writer.stage(epoch))?;
        self.preparing = Some(preparing);
        self.poll_prepare()
    }

    fn poll_prepare(&mut self) -> Result<Prepared, SinkError> {
        self.guarded(FileWriter::continue_prepare)
    }

    fn take_rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }
}

impl FileWriter {
    fn guarded<T>(
        &mut self,
        step: impl FnOnce(&mut FileWriter) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        if self.failed {
            return Err(self.target.refused(
                Who::Outside(Again::MayHelp),
                "an earlier write failed: resume from the last checkpoint".into(),
            ));
        }
        let result = step(self);
        self.failed = result.is_err();
        result
    }

    fn write_batch(&mut self, rows: &Rows) -> Result<(), SinkError> {
        let writable = self.encoder.writable(&rows.batch);
        let batch = writable.as_ref().map_or(&rows.batch, |(batch, _)| batch);
        let others = writable.as_ref().map_or(0, |(_, others)| *others);
        let rejected =
            Rejected { row: "null".into(), reason: "the format raw has no form for NULL".into() };
        self.rejected.extend(std::iter::repeat_n(rejected, others));
        let count = batch.num_rows();
        let mut start = 0;
        while start < count {
            let end = count.min(start + ROWS_PER_STEP);
            self.encoder.encode_rows(batch, start..end, &mut self.buffer);
            start = end;
            let part_bytes =
                self.open.as_ref().map_or(0, |part| part.length_bytes) + self.buffer.len() as u64;
            if part_bytes >= self.part_bytes_max {
                self.finish_part()?;
            } else if self.buffer.len() >= BUFFER_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn stage(&mut self, epoch: Epoch) -> Result<Preparing, SinkError> {
        self.finish_part()?;
        self.next_epoch = epoch.next();
        self.next_number = 0;
        let (mut parts, mut syncs) = (Vec::new(), Vec::new());
        for FinishedPart { part, number, length_bytes, crc32c, synced } in self.finished.drain(..) {
            syncs.extend(synced.map(|synced| (part.clone(), synced)));
            let name = self.target.name(epoch, self.number, number);
            parts.push(StagedPart { part, name, length_bytes, crc32c });
        }
        let staged = if parts.is_empty() {
            Vec::new()
        } else {
            serde_json::to_vec(&parts).map_err(|e| {
                self.target.refused(Who::Us, format!("list the parts of epoch {epoch}: {e}"))
            })?
        };
        Ok(Preparing { staged, rejected: std::mem::take(&mut self.rejected), syncs })
    }

    /// Looks whether everything is durable by now.
    fn continue_prepare(&mut self) -> Result<Prepared, SinkError> {
        let Some(preparing) = &mut self.preparing else { return Ok(Prepared::Waits) };
        while let Some((part, synced)) = preparing.syncs.last() {
            match synced.try_recv() {
                Err(TryRecvError::Empty) => return Ok(Prepared::Waits),
                Ok(Ok(())) => drop(preparing.syncs.pop()),
                Ok(Err(e)) => {
                    return Err(self.target.failed("sync", &self.target.folder.join(part), &e));
                }
                Err(TryRecvError::Disconnected) => {
                    let reason = format!("{part} was not synced: {Stopped}");
                    return Err(self.target.refused(Who::Us, reason));
                }
            }
        }
        if !preparing.staged.is_empty() {
            // The parts must be found under their names after a power failure, too.
            self.target.sync_folder()?;
        }
        let Some(Preparing { staged, rejected, .. }) = self.preparing.take() else {
            return Ok(Prepared::Waits);
        };
        Ok(Prepared::Part { staged, rejected })
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
            part.file
                .write_all(&self.buffer)
                .map_err(|e| self.target.failed("write", &path, &e))?;
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
            let part =
                format!(".{}{PART_SUFFIX}", self.target.name(self.next_epoch, self.number, number));
            let path = self.target.folder.join(&part);
            // Never opens a file that exists: it may be waiting for the commit of a restored epoch.
            match self.target.files.create(&path, Existing::IsKept, self.target.access) {
                Ok(file) => return Ok(OpenPart { file, part, number, length_bytes: 0, crc32c: 0 }),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(self.target.failed("create", &path, &e)),
            }
        }
        let folder = self.target.folder.display();
        Err(self.target.refused(
            Who::Outside(Again::IsInVain),
            format!("{folder} is full of unfinished parts of this run"),
        ))
    }

    /// Closes the open part, and sees to it that a crash can no longer lose any of it.
    fn finish_part(&mut self) -> Result<(), SinkError> {
        self.flush()?;
        if let Some(OpenPart { mut file, part, number, length_bytes, crc32c }) = self.open.take() {
            let aside = self.aside.as_ref().filter(|aside| length_bytes >= aside.from_bytes);
            let synced = match aside {
                Some(aside) => {
                    let (give, synced) = mpsc::channel();
                    let wake = self.wake.clone();
                    aside.tasks.block(move || {
                        // The writer may be gone.
                        let _ = give.send(file.sync());
                        wake();
                    });
                    Some(synced)
                }
                None => {
                    let path = self.target.folder.join(&part);
                    file.sync().map_err(|e| self.target.failed("sync", &path, &e))?;
                    None
                }
            };
            self.finished.push(FinishedPart { part, number, length_bytes, crc32c, synced });
        }
        Ok(())
    }
}

/// A table's name with everything but letters, digits and `_` as `%xx`; so it holds no `-`, which
/// separates.
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

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;
