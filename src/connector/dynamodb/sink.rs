//! Results into a DynamoDB table, as upserts by key.
//!
//! Called by `runtime` as any sink; `writers` are its ends. What always holds: writes of one key are
//! made one after the other, and each is conditional on a version that is not higher, so the table
//! never goes back; results without a window are sent by `commit`, when the checkpoint that they
//! belong to is durable, all others at once; once a writer has given its part of an epoch,
//! everything written before its barrier is in the table, superseded, handed out as rejected, or
//! staged in the checkpoint; a fault of the table rejects no row, it ends the job.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::api::{TableApi, TableKey, Tables};
use super::client::Aws;
use super::describe::describe;
use super::item::{DELETED_ATTRIBUTE, EXPIRES_ATTRIBUTE, ItemEncoder, Put, VERSION_ATTRIBUTE};
use super::lost::Lost;
use super::made_again::MadeAgain;
use super::options::DynamoDbOptions;
use super::sender::{Sender, SenderConfig};
use super::staged::{self, SentBy};
use super::value::{is_supported, key_type};
use super::writers::{DirectWriter, Ending, OutboxWriter, RowItems};
use crate::aws::clock::ServerClock;
use crate::connector::environment::OnGap;
use crate::sink::version::{Counts, Tally, Version, WriteMode};
use crate::sink::{Guarantee, Leaves, Rejected, Sink, SinkError, SinkWriter, Staged, TableSpec};
use crate::tasks::Tasks;
use crate::time::clock::{Clock, SharedClock, SystemClock};
use crate::time::seldom::Seldom;
use crate::types::sql_name;
use crate::wake::Wake;
use crate::who::{Again, Who};

/// Why `commit` ends before all has arrived.
fn given_up() -> Lost {
    Lost::outside(Again::MayHelp, "the job has ended meanwhile")
}

pub struct DynamoDbSink {
    spec: TableSpec,
    options: DynamoDbOptions,
    run_ms: i64,
    mode: WriteMode,
    tasks: Tasks,
    api: Arc<dyn TableApi>,
    /// What may wait in one writer.
    buffer_bytes_max: usize,
    clock: Arc<ServerClock>,
    /// Looked at for the first writer: until then nothing outside is touched.
    table: Mutex<Option<Arc<Table>>>,
    tally: Arc<Tally>,
    made_again: Arc<MadeAgain>,
    retries_told: Arc<Seldom>,
    behind_told: Seldom,
    /// What the checkpoint had staged that the job goes on from: for the first writer to send.
    resumed: Mutex<Vec<Put>>,
    /// What `commit` waits for at the moment.
    committing: Mutex<Committing>,
    ending: Ending,
    /// Rows that the table refused when they were committed.
    refused: Mutex<Vec<Rejected>>,
}

#[derive(Default)]
struct Committing {
    senders: Vec<Arc<Sender>>,
    /// The job has failed or stops: nothing more is committed.
    is_over: bool,
}

/// The table as it was found.
struct Table {
    found: TableKey,
    /// Columns of its key, in the order of its key schema.
    key: Vec<usize>,
}

impl DynamoDbSink {
    /// A table of AWS. Checks the options. `run_ms` is the start of the run, kept on resume.
    pub fn new(
        spec: TableSpec,
        options: &BTreeMap<String, String>,
        run_ms: i64,
        mode: WriteMode,
        tasks: Tasks,
    ) -> Result<DynamoDbSink, SinkError> {
        DynamoDbSink::on(&Aws, spec, options, run_ms, mode, SystemClock::shared(), tasks)
    }

    /// The same of tables that may be elsewhere.
    pub(crate) fn on(
        tables: &dyn Tables,
        spec: TableSpec,
        options: &BTreeMap<String, String>,
        run_ms: i64,
        mode: WriteMode,
        clock: SharedClock,
        tasks: Tasks,
    ) -> Result<DynamoDbSink, SinkError> {
        let options = checked_options(&spec, options)?;
        let clock = ServerClock::new(clock);
        let api = tables.open(&options, clock.clone());
        let tally = Arc::new(Tally::new(&spec.name));
        let made_again = MadeAgain::new(&options.table_name, run_ms);
        Ok(DynamoDbSink {
            spec,
            options,
            run_ms,
            mode,
            tasks,
            api,
            buffer_bytes_max: tables.buffer_bytes_max(),
            clock,
            table: Mutex::default(),
            tally,
            made_again,
            retries_told: Arc::default(),
            behind_told: Seldom::default(),
            resumed: Mutex::default(),
            committing: Mutex::default(),
            ending: Ending::default(),
            refused: Mutex::default(),
        })
    }

    /// What is to be done where the table has been made again since the run began.
    pub(super) fn on_gap(self, on_gap: OnGap) -> DynamoDbSink {
        self.made_again.agree(on_gap);
        self
    }

    /// Finds what is wrong with a table's declaration, without touching the outside.
    pub fn check(spec: &TableSpec, options: &BTreeMap<String, String>) -> Result<(), SinkError> {
        checked_options(spec, options).map(drop)
    }

    /// What time it is at the table, ms since the epoch. Looks at the table, which has to be that of
    /// the query.
    pub(super) fn server_ms(&self) -> Result<i64, SinkError> {
        self.table()?;
        Ok(self.clock.wall_ms())
    }

    /// How many results were not new.
    pub fn counts(&self) -> Counts {
        self.tally.counts()
    }

    /// The table outside, or what the checkpoint has for it, is not of this query.
    fn unfit(&self, who: Who, reason: String) -> SinkError {
        SinkError::Unfit { table: self.spec.name.clone(), reason, who }
    }

    fn table(&self) -> Result<Arc<Table>, SinkError> {
        let mut slot = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = &*slot {
            return Ok(table.clone());
        }
        let found = self.wait(describe(self.api.clone()))?;
        let found = found.map_err(|lost| SinkError::Write {
            table: self.spec.name.clone(),
            reason: format!("DynamoDB table '{}': {}", self.options.table_name, lost.reason),
            who: lost.who,
        })?;
        let key = self.key_columns(&found.key)?;
        self.made_again.look(&found, &found.key);
        Ok(slot.insert(Arc::new(Table { found: found.key, key })).clone())
    }

    /// Runs network work.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, SinkError> {
        self.tasks.wait(work).map_err(|e| self.failed(Lost { reason: e.to_string(), who: Who::Us }))
    }

    /// The columns of the table's key. It must be the SQL table's: with fewer attributes rows would
    /// replace each other, with more a result would be written beside its predecessor.
    fn key_columns(&self, found: &TableKey) -> Result<Vec<usize>, SinkError> {
        let unfit = |reason| self.unfit(Who::Outside(Again::IsInVain), reason);
        let name = &self.options.table_name;
        let attributes = || found.attributes.iter().map(|(n, _)| n.as_str());
        let wanted: BTreeSet<&str> = self.spec.upsert_key().iter().map(String::as_str).collect();
        if attributes().collect::<BTreeSet<_>>() != wanted {
            let list = attributes().collect::<Vec<_>>().join(", ");
            return Err(unfit(format!(
                "the key of DynamoDB table '{name}' is ({list}), that of the SQL table is ({}): declare PRIMARY KEY ({list}) NOT \
                 ENFORCED, or create the DynamoDB table with the other key",
                self.spec.upsert_key().join(", ")
            )));
        }
        let mut key = Vec::new();
        for (attribute, found) in &found.attributes {
            // Checked in `new`: every key column exists.
            let Some((index, field)) = self.spec.schema.column_with_name(attribute) else {
                continue;
            };
            match key_type(field.data_type()) {
                Some(written) if written == found => key.push(index),
                written => {
                    let written =
                        written.map_or("cannot be a key".into(), |w| format!("is written as {w}"));
                    return Err(unfit(format!(
                        "key attribute '{attribute}' of DynamoDB table '{name}' has type {found}, but the column of type {} \
                         {written}: change the column's type (CAST in the query) or the DynamoDB table",
                        field.data_type()
                    )));
                }
            }
        }
        Ok(key)
    }
}

fn checked_options(
    spec: &TableSpec,
    options: &BTreeMap<String, String>,
) -> Result<DynamoDbOptions, SinkError> {
    let config = |reason: String| SinkError::Config { table: spec.name.clone(), reason };
    let options = DynamoDbOptions::parse(options).map_err(config)?;
    if spec.upsert_key().is_empty() {
        return Err(config(
            "a DynamoDB table needs a key: add PRIMARY KEY (...) NOT ENFORCED to its columns, or PARTITIONED BY (...)".into(),
        ));
    }
    for name in spec.upsert_key() {
        let field = spec.schema.column_with_name(name).map(|(_, field)| field);
        let field = field.ok_or_else(|| config(format!("key column '{name}' does not exist")))?;
        if is_supported(field.data_type()) && key_type(field.data_type()).is_none() {
            return Err(config(format!(
                "column '{name}' of type {} cannot be part of a key",
                sql_name(field.data_type())
            )));
        }
    }
    for field in spec.schema.fields() {
        if !is_supported(field.data_type()) {
            return Err(config(format!(
                "column '{}' of type {} cannot be written",
                field.name(),
                sql_name(field.data_type())
            )));
        }
        let name = field.name();
        if [VERSION_ATTRIBUTE, DELETED_ATTRIBUTE, EXPIRES_ATTRIBUTE].contains(&name.as_str()) {
            return Err(config(format!(
                "the attribute '{name}' says how new an item is: give the column another name"
            )));
        }
    }
    Ok(options)
}

impl DynamoDbSink {
    fn failed(&self, lost: Lost) -> SinkError {
        lost.of(&self.spec.name)
    }

    fn sender(&self, table: &Table, wake: Wake) -> Arc<Sender> {
        Sender::new(SenderConfig {
            api: self.api.clone(),
            key: table.found.clone(),
            requests_max: self.options.requests_max,
            items_max: self.options.buffered_max,
            bytes_max: self.buffer_bytes_max,
            fail_on_error: self.options.fail_on_error,
            tasks: self.tasks.clone(),
            wake,
            table: self.options.table_name.clone(),
            retries_told: self.retries_told.clone(),
            tally: self.tally.clone(),
        })
    }

    /// What writers have staged, with who sends it. Items that an older release staged without a
    /// version give way to any that has one.
    fn decode(&self, staged: &[Staged]) -> Result<Vec<(SentBy, Put)>, SinkError> {
        let lowest = Version::of_window(self.run_ms, None).to_string().into();
        let mut puts = Vec::new();
        for part in staged.iter().filter(|part| !part.is_empty()) {
            let part = staged::decode(part, &lowest);
            let (sent_by, part) =
                part.map_err(|reason| self.unfit(Who::Stored(Again::IsInVain), reason))?;
            puts.extend(part.into_iter().map(|put| (sent_by, put)));
        }
        Ok(puts)
    }

    /// What was staged of windows for one of the two to send.
    fn decode_sent_by(&self, wanted: SentBy, staged: &[Staged]) -> Result<Vec<Put>, SinkError> {
        let puts = self.decode(staged)?.into_iter().filter(|(sent_by, _)| *sent_by == wanted);
        Ok(puts.map(|(_, put)| put).collect())
    }

    /// Sends what was staged until all has arrived. Notes what the table refused.
    fn send_all(&self, puts: Vec<Put>) -> Result<(), SinkError> {
        let table = self.table()?;
        let sender = self.sender(&table, Arc::new(|| {}));
        sender.push(puts).map_err(|lost| self.failed(lost))?;
        self.settle(vec![sender])
    }

    /// Waits until all that these have has arrived. Notes what the table refused.
    fn settle(&self, senders: Vec<Arc<Sender>>) -> Result<(), SinkError> {
        {
            let mut committing = lock(&self.committing);
            if committing.is_over {
                senders.iter().for_each(|sender| sender.close());
                return Err(self.failed(given_up()));
            }
            committing.senders = senders.clone();
        }
        let settled = self.wait(async move {
            let mut refused = Vec::new();
            for sender in senders {
                refused.extend(sender.settled().await?);
            }
            Ok(refused)
        });
        lock(&self.committing).senders.clear();
        lock(&self.refused).extend(settled?.map_err(|lost| self.failed(lost))?);
        Ok(())
    }

    /// Sends results without a window. Two queries may have written the same key: then that of the
    /// later writer stays, whichever arrives first.
    fn commit_changes(&self, staged: &[Staged]) -> Result<(), SinkError> {
        let puts = self.decode(staged)?.into_iter().map(|(_, put)| (put.item.key.clone(), put));
        let by_key: BTreeMap<Arc<[u8]>, Put> = puts.collect();
        if by_key.is_empty() {
            return Ok(());
        }
        let behind = self.counts().newer_window;
        self.send_all(by_key.into_values().collect())?;
        let behind = self.counts().newer_window - behind;
        if behind > 0
            && let Some(checkpoints) = self.behind_told.count()
        {
            tracing::warn!(
                table = self.options.table_name,
                behind,
                checkpoints,
                "results are not written: the table holds those of a later checkpoint of this run; was the state directory taken \
                 from a copy, or does another process run on one?"
            );
        }
        Ok(())
    }

    /// Waits for results of windows when the job ends with them: for the writers that send them
    /// already, or, after a kill, for what these had staged. The publication before it may be under
    /// way when writers end, and is not to wait for them: what the table refuses of theirs is told
    /// in the name of the last.
    fn commit_last(&self, staged: &[Staged]) -> Result<(), SinkError> {
        let puts = self.decode_sent_by(SentBy::Commit, staged)?;
        if puts.is_empty() {
            return Ok(());
        }
        let ending = lock(&self.ending).clone();
        if ending.is_empty() { self.send_all(puts) } else { self.settle(ending) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink for DynamoDbSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::EffectivelyOnce
    }

    /// A replay makes the same windows again. Changes it makes by another way.
    fn leaves(&self) -> Leaves {
        if self.mode == WriteMode::InOrder { Leaves::Changes } else { Leaves::Nothing }
    }

    fn writer(&self, _writer: usize, wake: Wake) -> Result<Box<dyn SinkWriter>, SinkError> {
        let table = self.table()?;
        let names = self.spec.schema.fields().iter().map(|f| f.name().as_str().into()).collect();
        let rows = RowItems {
            table: self.spec.name.clone(),
            run_ms: self.run_ms,
            items: ItemEncoder::new(names, table.key.clone(), self.options.nulls),
            fail_on_error: self.options.fail_on_error,
        };
        if self.mode == WriteMode::InOrder {
            return Ok(Box::new(OutboxWriter::new(rows, self.buffer_bytes_max)));
        }
        let sender = self.sender(&table, wake);
        let resumed = std::mem::take(&mut *lock(&self.resumed));
        sender.push(resumed).map_err(|lost| self.failed(lost))?;
        Ok(Box::new(DirectWriter::new(rows, sender, self.ending.clone())))
    }

    fn commit(&self, staged: &[Staged]) -> Result<(), SinkError> {
        match self.mode {
            WriteMode::InOrder => self.commit_changes(staged),
            WriteMode::Unique | WriteMode::Versioned => self.commit_last(staged),
        }
    }

    /// Of changes the newest of each key; of windows what was on its way at the newer barrier, which
    /// has all that was still on its way of the older.
    fn join_staged(&self, older: Vec<Staged>, newer: Vec<Staged>) -> Vec<Staged> {
        if self.mode != WriteMode::InOrder {
            return newer;
        }
        match self.decode(&[older.as_slice(), newer.as_slice()].concat()) {
            Ok(puts) => {
                let puts = puts.into_iter().map(|(_, put)| (put.item.key.clone(), put));
                let by_key: BTreeMap<Arc<[u8]>, Put> = puts.collect();
                let joined = staged::encode(by_key.values(), SentBy::Commit);
                if joined.is_empty() { Vec::new() } else { vec![joined] }
            }
            // Not possible for what this process has staged; whoever commits it says so.
            Err(_) => [older, newer].concat(),
        }
    }

    fn resume(&self, staged: &[Staged]) -> Result<(), SinkError> {
        if self.mode == WriteMode::InOrder {
            // That was committed.
            return Ok(());
        }
        let puts = self.decode_sent_by(SentBy::Writers, staged)?;
        lock(&self.resumed).extend(puts);
        Ok(())
    }

    fn take_refused(&self) -> Vec<Rejected> {
        std::mem::take(&mut *lock(&self.refused))
    }

    fn not_new(&self) -> Option<Counts> {
        Some(self.counts())
    }

    fn missing(&self) -> Option<String> {
        self.made_again.missing()
    }

    fn audit(&self) -> Result<(), SinkError> {
        let known = lock(&self.table).clone();
        let Some(table) = known else { return Ok(()) };
        if let Some(found) = self.made_again.other_key() {
            let own = &table.found;
            let reason = format!(
                "DynamoDB table '{}' has changed while the job ran: its key is {found}, the query writes {own}. Give the table its \
                 former key, or the query that of the table, and start again",
                self.options.table_name
            );
            return Err(self.unfit(Who::Outside(Again::IsInVain), reason));
        }
        let (api, made_again) = (self.api.clone(), self.made_again.clone());
        self.tasks.spawn(async move {
            // Whoever may write need not be allowed to look, and a write says that the table is not
            // there any more.
            if let Ok(found) = api.describe().await {
                made_again.look(&found, &table.found);
            }
        });
        Ok(())
    }

    fn give_up(&self) {
        let mut committing = lock(&self.committing);
        committing.is_over = true;
        committing.senders.iter().for_each(|sender| sender.give_up(given_up()));
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
