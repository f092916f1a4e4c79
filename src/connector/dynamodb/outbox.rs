//! How many requests are on their way at once, and what happens when DynamoDB says no?
//!
//! A worker pushes items and goes on; tasks on the network runtime send them, in the order that
//! `lanes` gives. What always holds: an item is settled only when it is acknowledged, superseded or
//! rejected; an item that cannot be taken does not hold up the others; throttling and errors of the
//! server are tried again for ever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::describe::describe;
use crate::connector::dynamodb::api::{Failure, TableApi, TableKey};
use crate::connector::dynamodb::item::Item;
use crate::connector::dynamodb::lanes::{KeyLanes, Sent};
use crate::connector::dynamodb::staged;
use crate::sink::version::{Tally, WriteMode};
use crate::sink::{Afterwards, Prepared, Rejected};
use crate::tasks::Tasks;
use crate::time::timer;
use crate::wake::Wake;

/// What may wait in one writer, bytes. Some seconds of a table that takes 1000 items a second;
/// several writers share memory with the state.
pub(crate) const BUFFER_BYTES_MAX: usize = 8 << 20;
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
/// Long enough to let a throttled table recover, short enough to notice soon. Jitter adds up to as
/// much again.
const RETRY_DELAY_MAX: Duration = Duration::from_millis(2500);

/// One writer's items, shared with the tasks that send them.
pub(crate) struct Outbox {
    lanes: Mutex<KeyLanes>,
    /// Wakes the worker when a request has ended.
    wake: Wake,
    /// What is on its way may be staged at a barrier: written again, by whomever, it does not go
    /// over something newer.
    may_stage: bool,
    api: Arc<dyn TableApi>,
    key_names: Vec<Arc<str>>,
    key: TableKey,
    /// Requests carry no condition and their order does not matter.
    in_batches: bool,
    batch_size: usize,
    requests_max: usize,
    items_max: usize,
    fail_on_error: bool,
    tasks: Tasks,
    table: String,
    tally: Arc<Tally>,
    retries: AtomicU64,
}

/// Limits and surroundings of an outbox.
pub(crate) struct OutboxConfig {
    pub mode: WriteMode,
    /// Names of the table's key attributes, in the order of its key schema.
    pub key_names: Vec<Arc<str>>,
    /// The table's key as it was found, which is that of the items.
    pub key: TableKey,
    pub batch_size: usize,
    pub requests_max: usize,
    /// Items that may wait or be on their way.
    pub items_max: usize,
    /// A failed request is not sent again, and an item that cannot be taken is a failure.
    pub fail_on_error: bool,
    pub tasks: Tasks,
    /// Wakes the worker that fills it.
    pub wake: Wake,
    /// For log lines.
    pub table: String,
    pub tally: Arc<Tally>,
}

impl Outbox {
    pub fn new(api: Arc<dyn TableApi>, config: OutboxConfig) -> Arc<Outbox> {
        Arc::new(Outbox {
            lanes: Mutex::new(KeyLanes::new(config.mode)),
            wake: config.wake,
            may_stage: config.mode != WriteMode::InOrder,
            api,
            key_names: config.key_names,
            key: config.key,
            in_batches: config.mode == WriteMode::Unique,
            // Conditions and order need requests of their own.
            batch_size: if config.mode == WriteMode::Unique { config.batch_size } else { 1 },
            requests_max: config.requests_max,
            items_max: config.items_max,
            fail_on_error: config.fail_on_error,
            tasks: config.tasks,
            table: config.table,
            tally: config.tally,
            retries: AtomicU64::default(),
        })
    }

    fn lanes(&self) -> MutexGuard<'_, KeyLanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes items over, in order. Never waits. Errors: what made all writing impossible.
    pub fn push(self: &Arc<Self>, items: Vec<Item>) -> Result<(), String> {
        let mut lanes = self.lanes();
        if let Some(failure) = &lanes.failure {
            return Err(failure.clone());
        }
        for item in items {
            if let Some(standing) = lanes.push(item) {
                self.tally.add(standing);
            }
        }
        self.send_more(lanes);
        Ok(())
    }

    pub fn has_room(&self) -> bool {
        let lanes = self.lanes();
        lanes.bytes < BUFFER_BYTES_MAX && lanes.items < self.items_max
    }

    /// Ends an epoch. What is on its way is staged if the job goes on and that does no harm; else
    /// it has to arrive.
    pub fn begin_prepare(&self, afterwards: Afterwards) -> Result<Prepared, String> {
        let mut lanes = self.lanes();
        lanes.begin_barrier();
        if self.may_stage && afterwards == Afterwards::GoesOn && lanes.failure.is_none() {
            let staged = staged::encode(lanes.unsettled());
            return Ok(Prepared::Part { staged, rejected: lanes.stage() });
        }
        drop(lanes);
        self.poll_prepare()
    }

    /// Whether everything from before the barrier has arrived.
    pub fn poll_prepare(&self) -> Result<Prepared, String> {
        let mut lanes = self.lanes();
        if let Some(failure) = &lanes.failure {
            return Err(failure.clone());
        }
        let rejected = lanes.take_prepared();
        Ok(rejected
            .map_or(Prepared::Waits, |rejected| Prepared::Part { staged: Vec::new(), rejected }))
    }

    /// Notes a row that cannot be an item.
    pub(crate) fn reject(&self, rejected: Rejected) {
        self.lanes().reject_row(rejected);
    }

    pub fn take_rejected(&self) -> Vec<Rejected> {
        self.lanes().take_rejected()
    }

    /// Sends nothing more, not even again.
    pub fn close(&self) {
        self.lanes().closed = true;
    }

    /// Starts as many requests as there is reason to.
    fn send_more(self: &Arc<Self>, mut lanes: MutexGuard<'_, KeyLanes>) {
        let mut requests = Vec::new();
        while lanes.requests < self.requests_max && !lanes.closed && lanes.failure.is_none() {
            // A request that is not full waits for company while others are on their way, but not
            // for those that pause.
            if lanes.ready.len() < self.batch_size && lanes.requests > lanes.pausing {
                break;
            }
            let items = lanes.next_request(self.batch_size);
            if items.is_empty() {
                break;
            }
            lanes.requests += 1;
            requests.push(Request { outbox: self.clone(), items, pausing: false });
        }
        // A runtime that has stopped drops a task at once, and the request then wants the lock.
        drop(lanes);
        for request in requests {
            self.tasks.spawn(request.send());
        }
    }

    /// Why the table takes nothing of this job any more, if that is why it refused a request. Its
    /// description may be some seconds old.
    async fn unfit(&self, reason: &str, refusal: Refusal) -> Option<String> {
        let (table, key) = (&self.table, &self.key);
        match describe(self.api.clone()).await {
            Ok(found) if found != *key => Some(format!(
                "DynamoDB table '{table}' has changed while the job ran: its key is {found}, the query writes {key} ({reason}). \
                 Give the table its former key, or the query that of the table, and start again"
            )),
            Ok(_) if refusal == Refusal::Unclear => None,
            Ok(_) => Some(format!(
                "DynamoDB table '{table}' does not take rows of this query, whose key is {key}: {reason}"
            )),
            // Whoever may write need not be allowed to look.
            Err(why) if refusal == Refusal::OfTheKey => Some(format!(
                "DynamoDB table '{table}' does not take rows with the key {key}: {reason} ({why})"
            )),
            Err(_) => None,
        }
    }

    fn log_retry(&self, reason: &str) {
        let retries = self.retries.fetch_add(1, Ordering::Relaxed) + 1;
        // Lines grow with the logarithm of the failures.
        if retries.is_power_of_two() {
            tracing::warn!(
                table = self.table,
                retries,
                "DynamoDB did not take a write, trying again: {reason}"
            );
        }
    }
}

/// What a refused request says of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Its key is not that of the query.
    OfTheKey,
    /// Perhaps that, perhaps something of the items.
    Unclear,
}

/// Items on their way together. When it ends, however it ends, the outbox learns of it.
struct Request {
    outbox: Arc<Outbox>,
    /// Not settled yet.
    items: Vec<Arc<Sent>>,
    /// Counted among those that pause.
    pausing: bool,
}

impl Request {
    async fn send(mut self) {
        let mut delays = delays();
        // Of several items refused together, the reason is known only item by item.
        let mut one_by_one = false;
        while !self.items.is_empty() && !self.outbox.lanes().closed {
            let before = self.items.len();
            let count = if one_by_one { 1 } else { before };
            match self.put(count).await {
                Ok(()) => {}
                Err(Failure::Refused(_) | Failure::Unclear(_)) => one_by_one = true,
                Err(Failure::Retry(reason)) => {
                    if self.items.len() < before {
                        delays = self::delays();
                    }
                    self.outbox.log_retry(&reason);
                    self.pause(delays.next().unwrap_or(RETRY_DELAY_MAX)).await;
                }
                Err(Failure::Fatal(reason) | Failure::Unfit(reason) | Failure::Missing(reason)) => {
                    self.outbox.lanes().failure.get_or_insert(reason);
                    return;
                }
                // `put` settles these.
                Err(Failure::Superseded(_)) => {}
            }
        }
    }

    /// Puts the first `count` items and settles those that need nothing more. Errors: what the
    /// others wait for; [`Failure::Refused`] and [`Failure::Unclear`] only of several.
    async fn put(&mut self, count: usize) -> Result<(), Failure> {
        let outbox = self.outbox.clone();
        let outcome = if outbox.in_batches {
            // Batches of one too: a role that may write in batches need not be allowed to put.
            {
                let items: Vec<&Item> = self.items[..count].iter().map(|sent| &sent.item).collect();
                outbox.api.put_batch(&items, &outbox.key_names).await
            }
        } else {
            let put = outbox.api.put(&self.items[0].item).await;
            if let Ok(standing) | Err(Failure::Superseded(standing)) = &put {
                outbox.tally.add(*standing);
            }
            put.map(|_| Vec::new())
        };
        match outcome {
            Ok(left) => {
                self.settle_first(count, &left);
                if left.is_empty() {
                    return Ok(());
                }
                Err(Failure::Retry(format!("{} items of a batch were not processed", left.len())))
            }
            Err(Failure::Superseded(_)) => {
                self.settle_first(1, &[]);
                Ok(())
            }
            Err(Failure::Unfit(reason)) => Err(Failure::Fatal(
                outbox.unfit(&reason, Refusal::OfTheKey).await.unwrap_or(reason),
            )),
            Err(Failure::Missing(reason)) => Err(Failure::Fatal(format!(
                "DynamoDB table '{}' does not exist any more: create it with the key {} and start again ({reason})",
                outbox.table, outbox.key
            ))),
            Err(Failure::Unclear(reason)) => match outbox.unfit(&reason, Refusal::Unclear).await {
                Some(reason) => Err(Failure::Fatal(reason)),
                None if count == 1 => self.refuse(reason),
                None => Err(Failure::Unclear(reason)),
            },
            Err(Failure::Refused(reason)) if count == 1 => self.refuse(reason),
            Err(Failure::Retry(reason)) if outbox.fail_on_error => Err(Failure::Fatal(reason)),
            Err(failure) => Err(failure),
        }
    }

    /// Settles the first item, which can never be taken.
    fn refuse(&mut self, reason: String) -> Result<(), Failure> {
        let item = &self.items[0].item;
        // A row that is deleted and could not be one was rejected when it was added.
        if !item.deletes {
            let row = item.to_json();
            if self.outbox.fail_on_error {
                return Err(Failure::Fatal(format!("{reason}: {row}")));
            }
            self.outbox.lanes().reject(&self.items[0], Rejected { row, reason });
        }
        self.settle_first(1, &[]);
        Ok(())
    }

    async fn pause(&mut self, delay: Duration) {
        self.begin_pause();
        timer::sleep(delay).await;
        self.end_pause();
    }

    fn begin_pause(&mut self) {
        self.pausing = true;
        let mut lanes = self.outbox.lanes();
        lanes.pausing += 1;
        // What waited for company of this request need not wait any longer.
        self.outbox.send_more(lanes);
    }

    fn end_pause(&mut self) {
        self.pausing = false;
        self.outbox.lanes().pausing -= 1;
    }

    /// Settles the first `count` items except those at the indexes `left`.
    fn settle_first(&mut self, count: usize, left: &[usize]) {
        let rest = self.items.split_off(count);
        let mut lanes = self.outbox.lanes();
        for (i, item) in
            std::mem::replace(&mut self.items, Vec::with_capacity(left.len() + rest.len()))
                .into_iter()
                .enumerate()
        {
            if left.contains(&i) {
                self.items.push(item);
            } else {
                lanes.settle(&item);
            }
        }
        self.items.extend(rest);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut lanes = self.outbox.lanes();
        lanes.requests -= 1;
        lanes.pausing -= usize::from(self.pausing);
        if !self.items.is_empty() && !lanes.closed {
            // Nobody will send them: better an error than a barrier that never ends.
            lanes.failure.get_or_insert_with(|| {
                "the network runtime stopped before all rows were written".into()
            });
        }
        self.outbox.send_more(lanes);
        (self.outbox.wake)();
    }
}

fn delays() -> ExponentialBackoff {
    let delays = ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(RETRY_DELAY_MIN)
        .with_max_delay(RETRY_DELAY_MAX);
    delays.without_max_times().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_cap_and_never_end() {
        let delays: Vec<Duration> = delays().take(200).collect();
        assert_eq!(delays.len(), 200);
        assert!(delays[0] >= RETRY_DELAY_MIN && delays[0] <= RETRY_DELAY_MIN * 2);
        assert!(delays[100..].iter().all(|d| (RETRY_DELAY_MAX..=RETRY_DELAY_MAX * 2).contains(d)));
    }
}
