//! What becomes of the rows that a worker writes? Items, sent at once or kept for the checkpoint.
//!
//! Made by the sink, one for each worker and query. What always holds: every item has a version
//! ([`Version`]); results of windows, which a replay makes again as they were, are sent at once
//! ([`DirectWriter`]); results without a window wait for their checkpoint ([`OutboxWriter`]).

use std::sync::{Arc, Mutex, PoisonError};

use super::item::{Item, ItemEncoder, Put};
use super::lost::Lost;
use super::outbox::Outbox;
use super::sender::Sender;
use super::staged::SentBy;
use crate::ids::Epoch;
use crate::rows::Rows;
use crate::sink::version::Version;
use crate::sink::{Afterwards, Prepared, Rejected, SinkError, SinkWriter};
use crate::who::{Mistake, Who};

/// Makes items of rows.
pub(super) struct RowItems {
    pub table: String,
    pub run_ms: i64,
    pub items: ItemEncoder,
    /// A row that cannot be an item ends the job.
    pub fail_on_error: bool,
}

impl RowItems {
    /// What becomes of a row: an item, or the end of one. `rejected` is given a row that cannot be
    /// one.
    fn item(
        &self,
        rows: &Rows,
        row: usize,
        rejected: impl FnOnce(Rejected),
    ) -> Result<Option<Item>, SinkError> {
        if !rows.op(row).adds() {
            // One that cannot be an item was rejected when it was added: there is nothing to delete.
            return Ok(self.items.encode_delete(&rows.batch, row).ok());
        }
        let reason = match self.items.encode(&rows.batch, row) {
            Ok(item) => return Ok(Some(item)),
            Err(reason) => reason,
        };
        let text = self.items.row_json(&rows.batch, row);
        if self.fail_on_error {
            let reason = format!("{reason}: {text}");
            return Err(self.failed(Lost { reason, who: Who::User(Mistake::Data) }));
        }
        rejected(Rejected { row: text, reason });
        // What it may replace is no result any more.
        let replaced =
            rows.ops.as_ref().and_then(|_| self.items.encode_delete(&rows.batch, row).ok());
        Ok(replaced)
    }

    fn failed(&self, lost: Lost) -> SinkError {
        lost.of(&self.table)
    }
}

/// Sends what it is given at once.
pub(super) struct DirectWriter {
    rows: RowItems,
    sender: Arc<Sender>,
    ending: Ending,
}

/// Senders of writers with which the job ends: `commit` waits for them.
pub(super) type Ending = Arc<Mutex<Vec<Arc<Sender>>>>;

impl DirectWriter {
    pub fn new(rows: RowItems, sender: Arc<Sender>, ending: Ending) -> DirectWriter {
        DirectWriter { rows, sender, ending }
    }
}

impl SinkWriter for DirectWriter {
    fn write(&mut self, rows: &Rows) -> Result<(), SinkError> {
        let of_batch = Version::of_window(self.rows.run_ms, rows.window_end);
        // Most rows have no revision: they share the text.
        let of_all: Arc<str> = of_batch.to_string().into();
        let mut puts = Vec::with_capacity(rows.len());
        for row in 0..rows.len() {
            let version = match rows.revision(row) {
                0 => of_all.clone(),
                revision => Version { revision, ..of_batch }.to_string().into(),
            };
            let item = self.rows.item(rows, row, |rejected| self.sender.reject(rejected))?;
            puts.extend(item.map(|item| Put { item, version }));
        }
        self.sender.push(puts).map_err(|lost| self.rows.failed(lost))
    }

    fn has_room(&mut self) -> bool {
        self.sender.has_room()
    }

    fn has_room_before_barrier(&mut self) -> bool {
        self.sender.has_room_before_barrier()
    }

    fn memory_bytes(&self) -> usize {
        self.sender.memory_bytes()
    }

    fn begin_prepare(
        &mut self,
        _epoch: Epoch,
        afterwards: Afterwards,
    ) -> Result<Prepared, SinkError> {
        let sent_by = match afterwards {
            Afterwards::GoesOn | Afterwards::Stops => SentBy::Writers,
            Afterwards::Ends => {
                let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
                ending.push(self.sender.clone());
                SentBy::Commit
            }
        };
        self.sender.stage(sent_by).map_err(|lost| self.rows.failed(lost))
    }

    fn take_rejected(&mut self) -> Vec<Rejected> {
        self.sender.take_rejected()
    }
}

impl Drop for DirectWriter {
    fn drop(&mut self) {
        // A writer that takes over must not meet writes of this one.
        self.sender.close();
    }
}

/// Keeps what it is given for the checkpoint.
pub(super) struct OutboxWriter {
    rows: RowItems,
    outbox: Outbox,
    rejected: Vec<Rejected>,
}

impl OutboxWriter {
    /// `bytes_max`: what it may hold.
    pub fn new(rows: RowItems, bytes_max: usize) -> OutboxWriter {
        OutboxWriter { rows, outbox: Outbox::new(bytes_max), rejected: Vec::new() }
    }
}

impl SinkWriter for OutboxWriter {
    fn write(&mut self, rows: &Rows) -> Result<(), SinkError> {
        for row in 0..rows.len() {
            let item = self.rows.item(rows, row, |rejected| self.rejected.push(rejected))?;
            item.into_iter().for_each(|item| self.outbox.push(item));
        }
        Ok(())
    }

    fn has_room(&mut self) -> bool {
        self.outbox.has_room()
    }

    /// Only a barrier empties it. What comes before one at most lies in its lanes, and in a fire
    /// that is under way.
    fn has_room_before_barrier(&mut self) -> bool {
        true
    }

    fn wants_epoch(&self) -> bool {
        self.outbox.wants_epoch()
    }

    fn memory_bytes(&self) -> usize {
        self.outbox.memory_bytes()
    }

    fn begin_prepare(
        &mut self,
        epoch: Epoch,
        _afterwards: Afterwards,
    ) -> Result<Prepared, SinkError> {
        let version: Arc<str> = Version::of_epoch(self.rows.run_ms, epoch).to_string().into();
        let staged = self.outbox.stage(&version);
        Ok(Prepared::Part { staged, rejected: self.take_rejected() })
    }

    fn take_rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }
}
