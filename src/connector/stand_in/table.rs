//! A result table inside the state directory: what stands in for remote tables under `run --local`.
//!
//! Called by `runtime` as a sink, and by the command line and the live page through
//! [`EmbeddedTable::rows`]. Entries:
//!
//! ```text
//! 0x00 name                                       "layout": what the key is; "opened": how often the table was opened
//! 0x01 key                          = row         tables with a key; the key as `state::key` writes it
//! 0x01 run epoch writer number      = row         tables without one, once their epoch is committed
//! 0x02 opened instance number       = row         rows of a table without a key that are not committed yet
//! 0x02 opened instance number       = change      results without a window, of a table with a key, likewise
//! row = version text, JSON object     nothing behind the version: the row was deleted
//! change = length of the key (4), 0x01 key, row   no row: it is deleted
//! ```
//!
//! What always holds: with a key, a result of a window gives way only to one whose version is not
//! lower, so the table ends the same however often results are written again. Everything else waits
//! for its checkpoint, as in the tables that this stands in for: what a crash un-happens was never
//! seen, and `commit` moves what writers named at a barrier; it finds nothing to move when it is
//! repeated.

mod store;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef};

use crate::files::{Access, on_disk};
use crate::format::json::{EncodeOptions, JsonEncoder};
use crate::ids::Epoch;
use crate::rows::Rows;
use crate::sink::version::{Counts, Standing, TEXT_LEN, Tally, Version, WriteMode};
use crate::sink::{
    Afterwards, Guarantee, Leaves, Prepared, Rejected, Sink, SinkError, SinkWriter, TableSpec,
};
use crate::state::key::{KeyBuf, encode_keys, is_key_type};
use crate::types::sql_name;
use crate::wake::Wake;
use crate::who::{Again, Who};
use store::{Changes, StoreError, TableStore};

const LAYOUT: &[u8] = b"\x00layout";
const OPENED: &[u8] = b"\x00opened";
const ROWS: u8 = 1;
const STAGED: u8 = 2;
/// Rows are committed in pieces of this size, so that an epoch of any length fits in memory.
const PIECE_BYTES: usize = 4 << 20;

/// What a row of a table without a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// A row that was added.
    Rows,
    /// A change, with what it does to the row (`op`) before the columns.
    Changes,
}

/// A table in a folder of its own, shared by all workers. Only one process can have it open.
pub struct EmbeddedTable {
    shared: Arc<Shared>,
}

struct Shared {
    spec: TableSpec,
    /// Columns of the upsert key.
    key: Vec<usize>,
    run_ms: i64,
    mode: WriteMode,
    shows: Shows,
    tally: Tally,
    /// This opening's number: rows that an earlier process staged are never taken for ours.
    opened: u64,
    store: TableStore,
    /// Held from reading a row's version to replacing it.
    compare_and_write: Mutex<()>,
    generation: AtomicU64,
    /// Writers made so far.
    instances: AtomicU64,
}

/// Rows of a table without a key that a writer staged in one epoch: what `prepare` hands to
/// `commit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StagedRange {
    epoch: Epoch,
    /// The number of its writer.
    writer: u64,
    opened: u64,
    instance: u64,
    from: u64,
    to: u64,
}

impl StagedRange {
    /// Six big-endian numbers.
    fn encode(self) -> Vec<u8> {
        join(
            &[],
            &[self.epoch.number(), self.writer, self.opened, self.instance, self.from, self.to],
        )
    }

    fn decode(bytes: &[u8]) -> Option<StagedRange> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let numbers: [u64; 6] =
            numbers.iter().map(|n| u64::from_be_bytes(*n)).collect::<Vec<_>>().try_into().ok()?;
        let [epoch, writer, opened, instance, from, to] = numbers;
        rest.is_empty().then_some(StagedRange {
            epoch: Epoch::new(epoch),
            writer,
            opened,
            instance,
            from,
            to,
        })
    }
}

fn join(prefix: &[u8], numbers: &[u64]) -> Vec<u8> {
    let mut key = prefix.to_vec();
    for number in numbers {
        key.extend_from_slice(&number.to_be_bytes());
    }
    key
}

/// A change that waits for its checkpoint.
fn change(key: &[u8], row: &[u8]) -> Vec<u8> {
    [&(key.len() as u32).to_be_bytes(), key, row].concat()
}

/// The key and the row of a change.
fn split_change(change: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = change.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

impl EmbeddedTable {
    /// What a row is.
    pub(crate) fn shows(&self) -> Shows {
        self.shared.shows
    }

    /// Opens or creates the table in `dir`. `run_ms` is the start of the run, kept on resume.
    pub fn open(
        dir: &Path,
        spec: TableSpec,
        run_ms: i64,
        mode: WriteMode,
        shows: Shows,
    ) -> Result<Arc<EmbeddedTable>, SinkError> {
        let config = |reason: String| SinkError::Config { table: spec.name.clone(), reason };
        let mut key = Vec::new();
        let mut layout = String::new();
        for name in spec.upsert_key() {
            let (index, field) = spec
                .schema
                .column_with_name(name)
                .ok_or_else(|| config(format!("key column '{name}' does not exist")))?;
            if !is_key_type(field.data_type()) {
                return Err(config(format!(
                    "column '{name}' of type {} cannot be part of a key",
                    sql_name(field.data_type())
                )));
            }
            key.push(index);
            layout.push_str(&format!("{name} {}\n", field.data_type()));
        }
        let unfit =
            |reason: String, who| SinkError::Unfit { table: spec.name.clone(), reason, who };
        on_disk()
            .create_folder(dir, Access::OwnerOnly)
            .map_err(|e| unfit(format!("cannot create {}: {e}", dir.display()), Who::of_io(&e)))?;
        let failed = |e: StoreError| unfit(format!("cannot open {}: {e}", dir.display()), e.who());
        let store = TableStore::open(dir).map_err(failed)?;
        let stored = store.get(LAYOUT).map_err(failed)?;
        if stored.is_some_and(|s| s != layout.as_bytes()) {
            let reason = format!(
                "the table in {} has another key; remove the folder or start with --fresh",
                dir.display()
            );
            return Err(unfit(reason, Who::Outside(Again::IsInVain)));
        }
        let opened = store
            .get(OPENED)
            .map_err(failed)?
            .and_then(|v| v.try_into().ok())
            .map_or(0, u64::from_be_bytes)
            + 1;
        let mut changes = Changes::default();
        changes.put(LAYOUT, layout.as_bytes());
        changes.put(OPENED, &opened.to_be_bytes());
        store.write(changes).map_err(failed)?;
        let tally = Tally::new(&spec.name);
        let shared = Shared {
            spec,
            key,
            run_ms,
            mode,
            shows,
            tally,
            opened,
            store,
            compare_and_write: Mutex::default(),
            generation: AtomicU64::default(),
            instances: AtomicU64::default(),
        };
        Ok(Arc::new(EmbeddedTable { shared: Arc::new(shared) }))
    }

    pub fn spec(&self) -> &TableSpec {
        &self.shared.spec
    }

    /// All rows as JSON objects in key order (without a key: in commit order), columns in schema
    /// order.
    pub fn rows(&self) -> Result<Vec<String>, SinkError> {
        let mut rows = Vec::new();
        self.shared
            .store
            .scan(&[ROWS], &[ROWS + 1], |_, value| {
                let row = value.get(TEXT_LEN..).unwrap_or_default();
                if !row.is_empty() {
                    rows.push(String::from_utf8_lossy(row).into_owned());
                }
                Ok::<(), StoreError>(())
            })
            .map_err(|e| self.shared.failed(&e))?;
        Ok(rows)
    }

    /// How many results of windows that share keys were not new.
    pub fn counts(&self) -> Counts {
        self.shared.tally.counts()
    }

    /// Grows with each visible change since the table was opened.
    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }
}

impl Shared {
    fn failed(&self, e: &StoreError) -> SinkError {
        SinkError::Write {
            table: self.spec.name.clone(),
            reason: format!("embedded table: {e}"),
            who: e.who(),
        }
    }

    /// Writes what a reader of the table does not see.
    fn write(&self, changes: Changes) -> Result<(), StoreError> {
        if changes.is_empty() { Ok(()) } else { self.store.write(changes) }
    }

    /// Writes rows that a reader sees.
    fn write_visible(&self, changes: Changes) -> Result<(), StoreError> {
        if !changes.is_empty() {
            self.store.write(changes)?;
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    }

    /// Makes staged rows visible. Rows that were moved already are not there any more.
    fn publish(&self, range: StagedRange) -> Result<(), StoreError> {
        let staged = |number| join(&[STAGED], &[range.opened, range.instance, number]);
        let run = self.run_ms.cast_unsigned() ^ (1 << 63);
        let mut changes = Changes::default();
        self.store.scan(&staged(range.from), &staged(range.to), |key, value| {
            if self.key.is_empty() {
                let number =
                    key.last_chunk::<8>().map_or(0, |n| u64::from_be_bytes(*n)) - range.from;
                let row = join(&[ROWS], &[run, range.epoch.number(), range.writer, number]);
                changes.put(&row, value);
            } else if let Some((row_key, row)) = split_change(value) {
                if row.is_empty() { changes.delete(row_key) } else { changes.put(row_key, row) }
            }
            changes.delete(key);
            if changes.size_bytes() >= PIECE_BYTES {
                self.write_visible(std::mem::take(&mut changes))
            } else {
                Ok(())
            }
        })?;
        self.write_visible(changes)
    }
}

impl Sink for EmbeddedTable {
    fn guarantee(&self) -> Guarantee {
        if self.shared.key.is_empty() { Guarantee::ExactlyOnce } else { Guarantee::EffectivelyOnce }
    }

    fn leaves(&self) -> Leaves {
        match (self.shared.key.is_empty(), self.shared.mode) {
            (true, _) => Leaves::Rows,
            (false, WriteMode::InOrder) => Leaves::Changes,
            (false, WriteMode::Unique | WriteMode::Versioned) => Leaves::Nothing,
        }
    }

    fn writer(&self, writer: usize, _wake: Wake) -> Result<Box<dyn SinkWriter>, SinkError> {
        let encoder = JsonEncoder::new(&self.shared.spec.schema, EncodeOptions::default());
        let encoder = encoder.map_err(|e| SinkError::Config {
            table: self.shared.spec.name.clone(),
            reason: e.to_string(),
        })?;
        Ok(Box::new(TableWriter {
            shared: self.shared.clone(),
            number: writer as u64,
            instance: self.shared.instances.fetch_add(1, Ordering::Relaxed),
            encoder,
            keys: KeyBuf::default(),
            value: Vec::new(),
            staged_from: 0,
            staged_to: 0,
            rejected: Vec::new(),
        }))
    }

    fn commit(&self, staged: &[Vec<u8>]) -> Result<(), SinkError> {
        for bytes in staged {
            let range = StagedRange::decode(bytes).ok_or_else(|| SinkError::Write {
                table: self.shared.spec.name.clone(),
                reason: "the checkpoint names staged rows in an unknown form".into(),
                who: Who::Stored(Again::IsInVain),
            })?;
            self.shared.publish(range).map_err(|e| self.shared.failed(&e))?;
        }
        self.shared.store.sync().map_err(|e| self.shared.failed(&e))
    }

    fn not_new(&self) -> Option<Counts> {
        Some(self.counts())
    }

    fn discard_uncommitted(&self) -> Result<(), SinkError> {
        let mut changes = Changes::default();
        // Writers of this process may be at work already: theirs stay.
        changes.delete_range(&[STAGED], &join(&[STAGED], &[self.shared.opened]));
        self.shared.write(changes).map_err(|e| self.shared.failed(&e))
    }
}

struct TableWriter {
    shared: Arc<Shared>,
    /// Its own among the writers of the table.
    number: u64,
    /// Which writer of this opening: part of the keys of staged rows.
    instance: u64,
    encoder: JsonEncoder,
    keys: KeyBuf,
    /// Reused for each row.
    value: Vec<u8>,
    /// Rows staged since the last barrier, and the number of the next one.
    staged_from: u64,
    staged_to: u64,
    rejected: Vec<Rejected>,
}

impl TableWriter {
    fn version(&self, rows: &Rows) -> Version {
        // Where rows without a window share the table, the last one wins, as it does in DynamoDB.
        let window_end = rows.window_end.filter(|_| self.shared.mode != WriteMode::InOrder);
        Version::of_window(self.shared.run_ms, window_end)
    }

    fn encode(&mut self, rows: &Rows, row: usize, version: Version) {
        self.value.clear();
        // Writing into a vector of bytes cannot fail.
        let _ = write!(self.value, "{version}");
        self.encoder.encode_row(&rows.batch, row, &mut self.value);
    }

    fn stage(&mut self, rows: &Rows, of_batch: Version) -> Result<(), StoreError> {
        let mut changes = Changes::default();
        for row in 0..rows.batch.num_rows() {
            self.encode(rows, row, Version { revision: rows.revision(row), ..of_batch });
            let mut value = std::mem::take(&mut self.value);
            if self.shared.shows == Shows::Changes {
                let op = format!("\"op\":\"{}\",", rows.op(row).name());
                let inside = TEXT_LEN + 1;
                value.splice(inside..inside, op.into_bytes());
            }
            self.stage_value(&mut changes, &value);
            self.value = value;
        }
        self.shared.write(changes)
    }

    /// Keeps something for the coming epoch.
    fn stage_value(&mut self, changes: &mut Changes, value: &[u8]) {
        let place = [self.shared.opened, self.instance, self.staged_to];
        changes.put(&join(&[STAGED], &place), value);
        self.staged_to += 1;
    }

    fn upsert(&mut self, rows: &Rows, of_batch: Version) -> Result<(), StoreError> {
        let columns: Vec<ArrayRef> =
            self.shared.key.iter().map(|&c| rows.batch.column(c).clone()).collect();
        encode_keys(&columns, rows.batch.num_rows(), &mut self.keys);
        let shared = self.shared.clone();
        let _guard = shared.compare_and_write.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = Changes::default();
        let mut key = vec![ROWS];
        for row in 0..rows.batch.num_rows() {
            if let Some(null) = shared.key.iter().find(|&&c| rows.batch.column(c).is_null(row)) {
                if !rows.op(row).adds() {
                    // It was rejected when it was added: there is nothing to delete.
                    continue;
                }
                self.value.clear();
                self.encoder.encode_row(&rows.batch, row, &mut self.value);
                let reason =
                    format!("key column '{}' is NULL", shared.spec.schema.field(*null).name());
                self.rejected.push(Rejected {
                    row: String::from_utf8_lossy(&self.value).into_owned(),
                    reason,
                });
                continue;
            }
            key.truncate(1);
            key.extend_from_slice(self.keys.get(row));
            let adds = rows.op(row).adds();
            if shared.mode == WriteMode::InOrder {
                // They come in order: none that is older comes behind.
                self.value.clear();
                if adds {
                    self.encode(rows, row, of_batch);
                }
                let staged = change(&key, &self.value);
                self.stage_value(&mut changes, &staged);
                continue;
            }
            // Of rows with one version, as those of a batch without revisions, the last one wins.
            let version = Version { revision: rows.revision(row), ..of_batch };
            let held = shared
                .store
                .get(&key)?
                .and_then(|row| Version::parse(std::str::from_utf8(row.get(..TEXT_LEN)?).ok()?));
            let standing = version.against(held.as_ref());
            if shared.mode == WriteMode::Versioned {
                shared.tally.add(standing);
            }
            if matches!(standing, Standing::Newer | Standing::Same) {
                if adds {
                    self.encode(rows, row, version);
                } else {
                    self.value.clear();
                    // Writing into a vector of bytes cannot fail.
                    let _ = write!(self.value, "{version}");
                }
                changes.put(&key, &self.value);
            }
        }
        if shared.mode == WriteMode::InOrder {
            return shared.write(changes);
        }
        shared.write_visible(changes)
    }
}

impl SinkWriter for TableWriter {
    fn write(&mut self, rows: &Rows) -> Result<(), SinkError> {
        let version = self.version(rows);
        let done = if self.shared.key.is_empty() {
            self.stage(rows, version)
        } else {
            self.upsert(rows, version)
        };
        done.map_err(|e| self.shared.failed(&e))
    }

    fn begin_prepare(
        &mut self,
        epoch: Epoch,
        _afterwards: Afterwards,
    ) -> Result<Prepared, SinkError> {
        self.shared.store.sync().map_err(|e| self.shared.failed(&e))?;
        let (from, to) = (self.staged_from, self.staged_to);
        self.staged_from = to;
        if from == to {
            return Ok(Prepared::Part { staged: Vec::new(), rejected: self.take_rejected() });
        }
        let range = StagedRange {
            epoch,
            writer: self.number,
            opened: self.shared.opened,
            instance: self.instance,
            from,
            to,
        };
        Ok(Prepared::Part { staged: range.encode(), rejected: self.take_rejected() })
    }

    fn take_rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }
}

#[cfg(test)]
mod tests;
