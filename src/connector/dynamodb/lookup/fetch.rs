//! How is a question split into calls, and what happens when DynamoDB says no?
//!
//! Called by `DynamoDbLookup` in a task for each question. What always holds: some calls are on
//! their way at once, never more than [`CALLS_MAX`]; a call that fails is made again after growing
//! pauses, as often as `lookup.max-retries` says, and keys that were answered meanwhile are not
//! asked for again; an answer has no more than [`ANSWER_BYTES_MAX`].

use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::RecordBatch;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::connector::dynamodb::api::{Attributes, BATCH_KEYS_MAX, Failure, Found, Page};
use crate::connector::dynamodb::describe::describe;
use crate::connector::dynamodb::item::{DELETED_ATTRIBUTE, KEY_BYTES_MAX};
use crate::connector::dynamodb::lookup::{Shared, item};
use crate::connector::dynamodb::lost::Lost;
use crate::connector::dynamodb::value::{Value, value, write_json_object};
use crate::lookup::LookupError;
use crate::time::timer;
use crate::who::{Again, Mistake, Who};

/// Calls of one question that may be on their way. A question's keys fit into ten batches; queries
/// are one for each key.
const CALLS_MAX: usize = 16;
/// What the items of one question may hold in text form: enough for thousands of rows, small
/// against a job's memory.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_FACTOR: f32 = 3.0;
/// As long as a throttled table needs to recover. Jitter adds up to as much again.
const PAUSE_MAX: Duration = Duration::from_millis(2500);

/// The rows of some keys.
pub async fn rows(shared: &Shared, keys: &RecordBatch) -> Result<RecordBatch, LookupError> {
    shared.look().await?;
    let batch_keys = if shared.spec.is_unique() { BATCH_KEYS_MAX } else { 1 };
    let keys: Vec<Attributes> = (0..keys.num_rows()).filter_map(|row| key(keys, row)).collect();
    let mut waiting =
        keys.chunks(batch_keys).map(<[Attributes]>::to_vec).collect::<Vec<_>>().into_iter();
    let mut calls = FuturesUnordered::new();
    let (mut items, mut bytes) = (Vec::new(), 0);
    loop {
        while calls.len() < CALLS_MAX
            && let Some(keys) = waiting.next()
        {
            calls.push(Call { shared, items: vec![], bytes: 0 }.run(keys));
        }
        let Some(done) = calls.next().await else { break };
        let done = done?;
        bytes += done.iter().map(size_bytes).sum::<usize>();
        if bytes > ANSWER_BYTES_MAX {
            return Err(shared.error(too_much()));
        }
        items.extend(done);
    }
    // An item that has not the columns' types.
    item::decode(&items, &shared.spec.schema)
        .map_err(|reason| shared.error(Lost { reason, who: Who::User(Mistake::Data) }))
}

fn too_much() -> Lost {
    let reason = format!(
        "the rows of some keys have more than {ANSWER_BYTES_MAX} bytes together; name more of the key in ON"
    );
    Lost { reason, who: Who::User(Mistake::Data) }
}

/// There was a row, and there is none any more.
fn is_tombstone(item: &Attributes) -> bool {
    item.iter().any(|(name, _)| name == DELETED_ATTRIBUTE)
}

fn size_bytes(item: &Attributes) -> usize {
    item.iter().map(|(name, value)| name.len() + value.size_bytes()).sum()
}

/// A key in DynamoDB's types. None if it is one that no item can have: such a key is not asked for.
fn key(keys: &RecordBatch, row: usize) -> Option<Attributes> {
    let mut out = Vec::with_capacity(keys.num_columns());
    for ((field, column), bytes_max) in
        keys.schema_ref().fields().iter().zip(keys.columns()).zip(KEY_BYTES_MAX)
    {
        let value = value(column, row).ok()?;
        let bytes = match &value {
            Value::Text(s) => s.len(),
            Value::Bytes(b) => b.len(),
            _ => 1,
        };
        if bytes == 0 || bytes > bytes_max {
            return None;
        }
        out.push((field.name().clone(), value));
    }
    Some(out)
}

/// One call with its repetitions.
struct Call<'a> {
    shared: &'a Shared,
    items: Vec<Attributes>,
    bytes: usize,
}

impl Call<'_> {
    async fn run(mut self, mut keys: Vec<Attributes>) -> Result<Vec<Attributes>, LookupError> {
        let mut from: Option<Attributes> = None;
        let mut pauses = self.pauses();
        loop {
            let outcome = if self.shared.spec.is_unique() {
                let answer = self.shared.api.get_batch(&keys, &self.shared.wanted).await;
                answer.map(|Found { items, left }| (items, left, None))
            } else {
                let Some(partition) = keys.first().and_then(|key| key.first()) else {
                    return Ok(self.items);
                };
                let (api, wanted) = (&self.shared.api, &self.shared.wanted);
                let answer = api.query(partition, wanted, from.as_ref()).await;
                answer.map(|Page { items, next }| {
                    (items, if next.is_some() { keys.clone() } else { vec![] }, next)
                })
            };
            let (reason, pause) = match outcome {
                Ok((mut items, left, next)) => {
                    items.retain(|item| !is_tombstone(item));
                    self.bytes += items.iter().map(size_bytes).sum::<usize>();
                    self.items.extend(items);
                    if left.is_empty() {
                        return Ok(self.items);
                    }
                    if self.bytes > ANSWER_BYTES_MAX {
                        return Err(self.error(&left, too_much()));
                    }
                    let progress = left.len() < keys.len();
                    (keys, from) = (left, next);
                    if progress || from.is_some() {
                        pauses = self.pauses();
                    }
                    if from.is_some() {
                        continue;
                    }
                    let reason = format!("{} keys of a batch were not processed", keys.len());
                    (reason, if progress { Some(PAUSE_MIN) } else { pauses.next() })
                }
                Err(Failure::Retry(reason)) => (reason, pauses.next()),
                Err(Failure::Fatal(reason) | Failure::Refused(reason)) => {
                    return Err(self.error(&keys, Lost::outside(Again::IsInVain, reason)));
                }
                Err(Failure::Missing(reason)) => {
                    let reason =
                        format!("it does not exist any more: create it and start again ({reason})");
                    return Err(self.shared.error(Lost::outside(Again::IsInVain, reason)));
                }
                Err(Failure::Unfit(reason) | Failure::Unclear(reason)) => {
                    return Err(self.unfit(&keys, reason).await);
                }
                Err(Failure::Superseded(_)) => {
                    let reason = "a read failed a condition".into();
                    return Err(self.error(&keys, Lost { reason, who: Who::Us }));
                }
            };
            let Some(pause) = pause else {
                return Err(self.error(&keys, Lost::outside(Again::MayHelp, reason)));
            };
            self.log_retry(&reason);
            timer::sleep(pause).await;
        }
    }

    /// The table's key may have changed since it was first looked at.
    async fn unfit(&self, keys: &[Attributes], reason: String) -> LookupError {
        let found = describe(self.shared.api.clone()).await;
        let in_vain = |reason| Lost::outside(Again::IsInVain, reason);
        let changed = match found {
            Ok(found) => self.shared.check_key(&found.key),
            Err(lost) => Err(lost.reason),
        };
        match changed {
            Ok(()) => self.error(keys, in_vain(reason)),
            Err(changed) => self
                .shared
                .error(in_vain(format!("it has changed while the job ran: {changed} ({reason})"))),
        }
    }

    fn log_retry(&self, reason: &str) {
        let repeated = self.shared.repeated.fetch_add(1, Ordering::Relaxed) + 1;
        // Lines grow with the logarithm of the failures.
        if repeated.is_power_of_two() {
            let table = &self.shared.options.table_name;
            tracing::warn!(
                table,
                repeated,
                "DynamoDB did not answer a lookup, asking again: {reason}"
            );
        }
    }

    fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        let pauses = ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(PAUSE_MIN)
            .with_factor(PAUSE_FACTOR);
        pauses.with_max_delay(PAUSE_MAX).with_max_times(self.shared.retries).build()
    }

    fn error(&self, keys: &[Attributes], Lost { reason, who }: Lost) -> LookupError {
        let mut key = String::new();
        if let Some(first) = keys.first() {
            write_json_object(first.iter().map(|(n, v)| (n.as_str(), v)), &mut key);
        }
        if keys.len() > 1 {
            key.push_str(&format!(" and {} keys more", keys.len() - 1));
        }
        LookupError::Key { table: self.shared.spec.table.clone(), key, reason, who }
    }
}
